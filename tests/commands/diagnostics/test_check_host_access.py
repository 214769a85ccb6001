"""`/check-host-access` from scripted replies to the whole report."""

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.queries import WinRMConfig, Wql
from bot.api.report import Finding, Healthy, Remedy, Report, Severity
from commands.diagnostics.check_host_access import COMMAND, Args

PROD = Target("prod", "cluster", "prod")
HV01 = Target("hv01", "host", "prod")
ALONE = Target("backup01", "host")
VMM_HOST = Target("vmm01", "host", services_of=("vmm",))
NODES = ("hv01", "hv02", "hv03", "hv04", "hv05", "hv06")
VMMS, INTEGRATION = "Microsoft-Windows-Hyper-V-VMMS-Admin", "Microsoft-Windows-Hyper-V-Integration-Admin"
CLUSTER, GUESTS, CHANNELS = "MSCluster_Cluster", "Msvm_ComputerSystem", "wevtutil enumerate channels"
SYSTEM, WRITERS, CONFIG, CODE_PAGE = "Win32_OperatingSystem", "vssadmin list writers", "winrm/config", "CodePage"
RIGHTS = ("By hand", "See deploy/rights.md.")
NOT_TRIED = "The login was not confirmed, so nothing else was checked."
SERVER = "Microsoft Windows Server 2012 R2 Datacenter 6.3.9600"
WELL = {
    "LOGIN": SERVER,
    "QUOTAS": "30 shells, 1024 MB each",
    "CODE PAGE": "OEM 437",
    "HYPER-V": "root/virtualization/v2 answers",
    "EVENT CHANNELS": f"{VMMS} exists",
    "WRITERS": "vssadmin lists them",
    "CLUSTER WMI": "root/MSCluster answers",
}


def system(caption="Microsoft Windows Server 2012 R2 Datacenter ", version="6.3.9600", build="9600", at=None):
    return [{"Caption": caption, "Version": version, "BuildNumber": build, "LocalDateTime": at}]


def config(shells="30", memory="1024", unencrypted="false"):
    winrs = {"MaxShellsPerUser": shells, "MaxMemoryPerShellMB": memory}
    return [{"MaxEnvelopeSizekb": "500", "Service": {"AllowUnencrypted": unencrypted}, "Winrs": winrs}]


@pytest.fixture
def hosts(make, now):
    """A healthy cluster; keyword arguments name a host and replace its answers."""

    def script(**over):
        found = make.cluster() | {
            ("*", SYSTEM): system(at=now.isoformat()),
            ("*", CONFIG): config(),
            ("*", CODE_PAGE): [{"OEMCP": "437"}],
            ("*", CHANNELS): [{"name": VMMS}, {"name": INTEGRATION}],
            ("*", CLUSTER): [{"Name": "prod"}],
        }
        for host, answers in over.items():
            found |= {(host, what): rows for what, rows in answers.items()}
        return found

    return script


@pytest.fixture
def check(scripted):
    async def run(script, target=PROD, silent=None):
        run.ask = scripted(script, silent)
        args = Args(target)
        return COMMAND.evaluate(args, await COMMAND.collect(args, run.ask))

    return run


def fine(report):
    """Word -> the hosts that are well."""
    found = {}
    for one in report.fine:
        found.setdefault(one.word, []).extend(one.targets)
    return found


async def test_a_healthy_cluster_whole(check, hosts):
    assert await check(hosts()) == Report(
        title="prod: hvops can query everything it needs on all 6 hosts",
        summary="prod: hvops can query everything it needs on all 6 hosts",
        of="hosts",
        asked=6,
        answered=6,
        fine=(
            Healthy("VM IDS", ("prod",), "read from PrivateProperties"),
            *(Healthy(word, NODES, says) for word, says in WELL.items()),
        ),
    )
    assert check.ask.rounds == 3


async def test_one_node_of_a_cluster(check, hosts):
    report = await check(hosts(), HV01)
    assert report.title == "hv01: hvops can query everything it needs"
    assert report.fine == tuple(Healthy(word, ("hv01",), says) for word, says in WELL.items())
    assert {question.on for question in check.ask.asked} == {"hv01"}


async def test_a_host_that_stands_alone_is_not_asked_for_a_cluster(check, hosts):
    report = await check(hosts(backup01={GUESTS: [{"Name": "BACKUP01"}]}), ALONE)
    assert [one.word for one in report.fine] == [word for word in WELL if word != "CLUSTER WMI"]
    assert report.title == "backup01: hvops can query everything it needs"


async def test_the_host_of_vmms_service_is_not_asked_for_hyper_v(check, hosts):
    report = await check(hosts(), VMM_HOST)
    assert not report.has_findings
    assert [one.word for one in report.fine] == ["LOGIN", "QUOTAS", "CODE PAGE"]
    assert report.notes == (
        "vmm01 runs the service of vmm, so Hyper-V, event channels and VSS writers were not checked.",
    )


async def test_a_refused_login_is_a_fault_and_nothing_else_is_tried(check, hosts):
    refused = Unknown("hv05", "login refused", "it does not accept the password.", "Correct [credentials.reader].")
    report = await check(hosts(hv05={SYSTEM: refused}))
    assert report.title == "prod: hvops cannot query everything it needs on hv05"
    assert report.findings == (
        Finding(
            Severity.FAULT,
            "LOGIN",
            "hv05",
            "it does not accept the password.",
            (
                ("Means", "The first query was refused, so nothing else was checked on this host."),
                ("By hand", "Correct [credentials.reader]."),
            ),
        ),
    )
    assert (report.asked, report.answered, report.unanswered) == (6, 5, ())
    assert [question for question in check.ask.asked if question.on == "hv05"] == [
        Wql("hv05", "root/cimv2", SYSTEM, ("Caption", "Version", "BuildNumber"))
    ]
    assert not any("hv05" in names for names in fine(report).values())


async def test_a_cluster_that_refuses_the_login_is_a_fault(check):
    refused = Unknown("prod", "login refused", "hv01: it does not accept the password.", "Correct it.")
    report = await check({("prod", "MSCluster_Node"): refused})
    assert report.title == "prod: hvops cannot query everything it needs"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "CLUSTER WMI", "prod")
    assert finding.summary == "hv01: it does not accept the password."
    assert (report.asked, report.fine) == (0, ())


async def test_a_silent_host_is_unknown_and_named(check, hosts):
    report = await check(hosts(), silent={"hv05": "timed out"})
    assert report.title == "prod: hvops can query everything it needs on 5 of 6 hosts, hv05 unknown"
    assert report.unanswered == (Unknown("hv05", "timed out", f"no answer in 20 s. {NOT_TRIED}"),)
    assert report.findings == ()
    assert (report.asked, report.answered) == (6, 5)
    assert fine(report)["LOGIN"] == ["hv01", "hv02", "hv03", "hv04", "hv06"]


@pytest.mark.parametrize(("target", "name"), [(PROD, "prod"), (HV01, "hv01")])
async def test_where_nobody_answers_nothing_is_known(check, target, name):
    report = await check({}, target, {"prod": "unreachable", "hv01": "unreachable"})
    assert report.title == f"{name}: not known whether hvops can query everything it needs"
    assert [(one.target, one.kind) for one in report.unanswered] == [(name, "unreachable")]
    assert (report.findings, report.fine) == ((), ())


async def test_a_host_that_falls_silent_after_its_login_names_each_check_once(check, hosts):
    slow = Unknown("hv05", "timed out", "no answer in 20 s.")
    late = dict.fromkeys((CONFIG, CODE_PAGE, GUESTS, CHANNELS, WRITERS, CLUSTER), slow)
    report = await check(hosts(hv05=late))
    says = "Not known: quotas, code page, hyper-v, event channels, writers, cluster wmi."
    assert report.unanswered == (Unknown("hv05", "timed out", f"no answer in 20 s. {says}"),)
    assert {word for word, names in fine(report).items() if "hv05" in names} == {"LOGIN"}
    assert report.title.endswith("5 of 6 hosts, hv05 unknown")


NEEDED = {
    "CODE PAGE": CODE_PAGE,
    "HYPER-V": GUESTS,
    "EVENT CHANNELS": CHANNELS,
    "WRITERS": WRITERS,
    "CLUSTER WMI": CLUSTER,
}


@pytest.mark.parametrize("word", NEEDED)
@pytest.mark.parametrize("kind", ["login refused", "refused", "not allowed"])
async def test_what_a_host_refuses_is_a_fault_with_the_rights_it_takes(check, hosts, word, kind):
    report = await check(hosts(hv03={NEEDED[word]: Unknown("hv03", kind, "access is denied.")}))
    says = f"{'root/virtualization/v2: ' if word == 'HYPER-V' else ''}access is denied."
    assert report.findings == (Finding(Severity.FAULT, word, "hv03", says, (RIGHTS,)),)
    assert "hv03" not in fine(report)[word]
    assert report.title == "prod: hvops cannot query everything it needs on hv03"


async def test_a_fault_of_the_cluster_itself(check, hosts):
    denied = Unknown("prod", "login refused", "hv01: access is denied.", "Grant it.")
    report = await check(hosts(prod={"MSCluster_Resource": denied}))
    expected = Finding(Severity.FAULT, "VM IDS", "prod", "hv01: access is denied.", (("By hand", "Grant it."),))
    assert report.findings == (expected,)
    assert report.title == "prod: hvops cannot query everything it needs"
    assert "VM IDS" not in fine(report)


async def test_quotas_that_only_administrators_are_told_are_no_fault_and_not_good(check, hosts):
    denied = Unknown("hv03", "login refused", "access is denied.")
    report = await check(hosts(hv03={CONFIG: denied}))
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.NOTE, "QUOTAS", "hv03")
    assert finding.summary == "WinRM quotas could not be read: access is denied."
    assert not report.has_findings
    assert "hv03" not in fine(report)["QUOTAS"]


async def test_an_empty_namespace_is_a_missing_right_and_never_a_host_without_guests(check, hosts):
    report = await check(hosts(hv02={GUESTS: []}, hv04={GUESTS: []}))
    lines = (("By hand", "Add the reader account to Hyper-V Administrators on the host. See deploy/rights.md."),)
    says = "root/virtualization/v2 is empty for this account"
    assert report.findings == (Finding(Severity.FAULT, "HYPER-V", "hv02, hv04", says, lines),)
    assert report.title == "prod: hvops cannot query everything it needs on hv02, hv04"
    only_itself = await check(hosts(hv02={GUESTS: [{"Name": "HV02"}]}))
    assert "hv02" in fine(only_itself)["HYPER-V"]


async def test_a_host_without_the_role(check, hosts):
    absent = Unknown("hv02", "absent", "it has no such namespace.")
    report = await check(hosts(hv02={GUESTS: absent}))
    lines = (("By hand", "Check that the Hyper-V role is installed on the host."),)
    says = "no Hyper-V namespace root/virtualization/v2"
    assert report.findings == (Finding(Severity.FAULT, "HYPER-V", "hv02", says, lines),)


@pytest.mark.parametrize(
    ("build", "namespace"),
    [("7601", "root/virtualization"), ("9200", "root/virtualization/v2"), (None, "root/virtualization/v2")],
)
async def test_the_build_decides_which_namespace_is_asked(check, hosts, build, namespace):
    report = await check(hosts(hv01={SYSTEM: system(build=build, at="2026-11-22T22:41:00Z")}), HV01)
    assert next(one.summary for one in report.fine if one.word == "HYPER-V") == f"{namespace} answers"
    assert [one.namespace for one in check.ask.asked if isinstance(one, Wql) and one.cls == GUESTS] == [namespace]


@pytest.mark.parametrize(
    ("told", "says", "by_hand"),
    [
        (
            config(shells="5"),
            "MaxShellsPerUser is 5 (at least 6)",
            'winrm set winrm/config/winrs @{MaxShellsPerUser="30"}',
        ),
        (
            config(shells="5", memory="150"),
            "MaxShellsPerUser is 5 (at least 6), MaxMemoryPerShellMB is 150 (at least 256)",
            'winrm set winrm/config/winrs @{MaxShellsPerUser="30"}; winrm set winrm/config/winrs @{MaxMemoryPerShellMB="1024"}',
        ),
        (
            config(unencrypted="true"),
            "AllowUnencrypted is on, which hvops never needs",
            'winrm set winrm/config/service @{AllowUnencrypted="false"}',
        ),
    ],
)
async def test_quotas_that_are_low_and_a_service_that_does_without_encryption(check, hosts, told, says, by_hand):
    report = await check(hosts(hv03={CONFIG: told}))
    assert report.findings == (Finding(Severity.WARNING, "QUOTAS", "hv03", says, (("By hand", by_hand),)),)
    assert report.title == "prod: hvops can query everything it needs on all 6 hosts, with 1 warning"
    assert WinRMConfig("hv03") in check.ask.asked


async def test_the_title_counts_what_is_said_not_of_whom(check, hosts):
    report = await check(hosts(hv03={CONFIG: config("5")}, hv04={CONFIG: config("5")}), silent={"hv05": "timed out"})
    assert report.title.endswith("on 5 of 6 hosts, hv05 unknown, with 1 warning")
    assert [one.target for one in report.findings] == ["hv03, hv04"]


async def test_quotas_that_suffice_are_exactly_these(check, hosts):
    assert not (await check(hosts(hv03={CONFIG: config("6", "256")}))).has_findings
    assert (await check(hosts(hv03={CONFIG: config("5", "256")}))).has_findings
    assert (await check(hosts(hv03={CONFIG: config("6", "255")}))).has_findings


@pytest.mark.parametrize("page", ["", "4711", "437; cls", "4_3_7", "437 ", "٤٣٧", None])
async def test_a_code_page_that_nobody_knows(check, hosts, page):
    report = await check(hosts(hv03={CODE_PAGE: [{"OEMCP": page}]}))
    lines = (("Means", "Output of command-line tools may be garbled."),)
    says = f"hvops cannot decode OEM code page {page or '(not set)'}"
    assert report.findings == (Finding(Severity.WARNING, "CODE PAGE", "hv03", says, lines),)


async def test_event_channels(check, hosts):
    report = await check(hosts(hv02={CHANNELS: [{"name": "System"}]}, hv03={CHANNELS: [{"name": VMMS.upper()}]}))
    lines = (("Means", "hvops cannot search this host for event 10102 (a guest's shadow copy failed)."),)
    assert report.findings == (Finding(Severity.WARNING, "EVENT CHANNELS", "hv02", f"no {VMMS}", lines),)
    without = next(one for one in report.fine if one.targets == ("hv03",))
    assert without.summary == f"{VMMS} exists; {INTEGRATION} is missing, which is fine"


async def test_no_writers_are_a_warning_and_have_a_command_of_their_own(check, hosts):
    report = await check(hosts(hv02={WRITERS: []}, hv03={WRITERS: []}))
    lines = (
        ("Means", "Every Windows host has VSS writers, so an empty list means that VSS is broken: see KB2009550."),
    )
    assert report.findings == (
        Finding(Severity.WARNING, "WRITERS", "hv02, hv03", "vssadmin lists no VSS writers", lines),
    )
    assert report.remedies == (Remedy("Check Writers", "/check-writers hv02"),)


async def test_a_login_that_is_told_nothing_is_not_well(check, hosts):
    report = await check(hosts(hv03={SYSTEM: []}))
    says = "login works, but Win32_OperatingSystem returned no data"
    assert Finding(Severity.WARNING, "LOGIN", "hv03", says, (RIGHTS,)) in report.findings
    assert "hv03" not in fine(report)["LOGIN"]


async def test_a_node_that_knows_no_cluster(check, hosts):
    report = await check(hosts(hv03={CLUSTER: []}))
    does = "Check that the Cluster service is running. If hv03 left the cluster, correct inventory.toml."
    says = "root/MSCluster names no cluster"
    assert report.findings == (Finding(Severity.WARNING, "CLUSTER WMI", "hv03", says, (("By hand", does),)),)


async def test_private_properties_that_do_not_tell_the_ids(check, hosts, make):
    some = [*make.resource_rows()[:3], *make.resource_rows(private=False)[3:5]]
    report = await check(hosts(prod={"MSCluster_Resource": some}))
    says = "in PrivateProperties for 3 of 5 resources; the rest are read from the registry"
    lines = (("By hand", 'Nothing is broken. Please run hvops record "/check-host-access prod" and open an issue.'),)
    assert report.findings == (Finding(Severity.WARNING, "VM IDS", "prod", says, lines),)
    none = await check(hosts(prod={"MSCluster_Resource": []}))
    assert none.findings == (Finding(Severity.NOTE, "VM IDS", "prod", "the cluster has no virtual machines"),)
    assert not none.has_findings
    assert "VM IDS" not in fine(none)


async def test_faults_come_before_warnings_and_notes(check, hosts):
    denied = Unknown("hv01", "login refused", "access is denied.")
    report = await check(hosts(hv01={CONFIG: denied}, hv02={CONFIG: config("5")}, hv03={GUESTS: []}))
    assert [one.severity for one in report.findings] == [Severity.FAULT, Severity.WARNING, Severity.NOTE]


NONSENSE = [
    ("LOGIN", SYSTEM, [{"Caption": {"a": "b"}}]),
    ("LOGIN", SYSTEM, [{"Caption": "Windows", "BuildNumber": "many"}]),
    ("QUOTAS", CONFIG, []),
    ("QUOTAS", CONFIG, [{}]),
    ("QUOTAS", CONFIG, [{"Winrs": "no", "Service": "no"}]),
    ("QUOTAS", CONFIG, config(shells=None)),
    ("QUOTAS", CONFIG, config(memory="lots")),
    ("QUOTAS", CONFIG, config(unencrypted="perhaps")),
    ("QUOTAS", CONFIG, [config()[0] | {"Service": {}}]),
    ("CODE PAGE", CODE_PAGE, [{"OEMCP": ("437", "850")}]),
    ("EVENT CHANNELS", CHANNELS, [{"name": {"x": "y"}}]),
    ("WRITERS", WRITERS, [{"name": "System Writer"}]),
    ("CLUSTER WMI", CLUSTER, [{"Name": ("a", "b")}]),
]


@pytest.mark.parametrize(("word", "subject", "rows"), NONSENSE)
async def test_nonsense_is_unknown_never_well(check, hosts, word, subject, rows):
    report = await check(hosts(hv03={subject: rows}))
    (unknown,) = report.unanswered
    assert (unknown.target, unknown.kind) == ("hv03", "bad reply")
    assert unknown.why.endswith(NOT_TRIED if word == "LOGIN" else f"Not known: {word.lower()}.")
    assert "hv03" not in fine(report).get(word, [])
    assert "hv03 unknown" in report.title


async def test_hostile_text_stays_text(check, hosts):
    names = ("<!channel>", "a, b", "x" * 300)
    script = hosts(prod={"MSCluster_Node": [{"Name": name, "State": "0", "BuildNumber": "9600"} for name in names]})
    script |= {(name, GUESTS): [{"Name": name}] for name in names}
    script[names[0], SYSTEM] = system(caption="<!here> \x1b[31m`rm -rf`", at="2026-11-22T22:41:00Z")
    script[names[1], GUESTS] = []
    script[names[2], GUESTS] = []
    report = await check(script)
    assert len(report.title) <= 150
    assert [one.target for one in report.findings] == [f"a, b, {'x' * 300}"]
    assert any(one.summary.startswith("<!here> \x1b[31m`rm -rf`") for one in report.fine)


async def test_a_thousand_hosts_stay_readable(check, hosts):
    names = [f"h{number:03}" for number in range(1000)]
    script = hosts(prod={"MSCluster_Node": [{"Name": one, "State": "0", "BuildNumber": "9600"} for one in names]})
    script |= {(name, GUESTS): [{"Name": name}] if number % 2 else [] for number, name in enumerate(names)}
    report = await check(script)
    assert report.title == "prod: hvops cannot query everything it needs on h000, h002 and 498 more"
    (finding,) = report.findings
    assert finding.target.startswith("h000, h002, h004")
    assert len(report.fine) == 8
