"""`/verify-kb-drift` from scripted replies to the whole report."""

import pytest

from bot.api.arguments import Kb, Target
from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Healthy, Remedy, Report, Severity, Table
from commands.diagnostics.verify_kb_drift import COMMAND, Args

PROD = Target("prod", "cluster", "prod")
NODES = ("hv01", "hv02", "hv03", "hv04", "hv05", "hv06")
COMMON = tuple(f"KB{number}" for number in range(2_500_000, 2_500_200))
LISTED = (*COMMON, "KB2570791", "KB2607712", "KB2616676", "KB2636573")
BUILD, QFE, SERVICING, AUTOMATIC = (
    "CurrentVersion",
    "Win32_QuickFixEngineering",
    "Component Based Servicing",
    "Auto Update",
)
DISKS = "Msvm_ResourceAllocationSettingData"
CBS_ONLY = "Windows lists only CBS updates, so “not listed” does not prove that an update is missing."


def qfe(*without):
    return [{"HotFixID": kb} for kb in LISTED if kb not in without]


def nodes(build="7601", revision=None, **over):
    script = {("prod", "MSCluster_Node"): [{"Name": node, "State": "0", "BuildNumber": build} for node in NODES]}
    for node in NODES:
        script |= {
            (node, BUILD): [{"CurrentBuildNumber": build, "UBR": revision}],
            (node, QFE): qfe(),
            (node, SERVICING): [{"subkeys": ("Packages", "ApplicabilityEvaluationCache")}],
            (node, AUTOMATIC): [{"subkeys": None}],
        }
    for node, answers in over.items():
        script |= {(node, what): rows for what, rows in answers.items()}
    return script


@pytest.fixture
def verify(scripted):
    async def run(script, silent=None, kbs=()):
        run.ask = scripted(script, silent)
        args = Args(PROD, tuple(Kb.parse(kb) for kb in kbs))
        return COMMAND.evaluate(args, await COMMAND.collect(args, run.ask))

    return run


async def test_nodes_that_agree(verify):
    assert await verify(nodes()) == Report(
        title="prod: 6 nodes agree",
        summary="prod: 6 nodes agree",
        of="nodes",
        asked=6,
        answered=6,
        fine=(Healthy("SAME", NODES, "build 7601"),),
        notes=("204 updates agree.", CBS_ONLY),
    )
    assert verify.ask.rounds == 2


async def test_the_drift_story_whole(verify):
    report = await verify(
        nodes(hv02={QFE: qfe("KB2607712")}, hv05={QFE: qfe("KB2607712")}, hv06={QFE: qfe("KB2570791")})
    )
    assert report == Report(
        title="prod: 3 of 6 nodes differ, 1 known issue",
        summary="prod: 3 of 6 nodes differ, 1 known issue; trap on hv02, hv05",
        of="nodes",
        asked=6,
        answered=6,
        findings=(
            Finding(
                Severity.FAULT,
                "KNOWN ISSUE",
                "hv02, hv05",
                "KB2616676 is listed without KB2607712.",
                (
                    (
                        "Means",
                        (
                            "Both are needed. KB2607712 was wrongly marked as superseded by KB2616676, so Windows no longer"
                            " offers it and answers “not applicable” when it is installed by hand."
                        ),
                    ),
                    ("By hand", "Per node: (1) remove KB2616676; (2) install KB2607712; (3) reinstall KB2616676."),
                    ("Next", "By hand, run cluster validation again: it names missing updates that WSUS does not."),
                    (
                        "Because",
                        "Field note on a 2008 R2 SP1 cluster; Microsoft security advisory 2607712 for the dates (2011-09-19).",
                    ),
                ),
            ),
            Finding(Severity.WARNING, "DIFFERS", "hv06", "KB2570791 not listed; 5 of 6 list it."),
        ),
        fine=(Healthy("SAME", ("hv01", "hv03", "hv04"), "build 7601"),),
        notes=("202 updates agree.", CBS_ONLY),
        table=Table(
            "Updates that not every node lists",
            (Column("KB"), Column("Not listed on")),
            (("KB2570791", "hv06"), ("KB2607712", "hv02, hv05")),
        ),
        remedies=(Remedy("Fix KB Drift…", "/fix-kb-drift prod KB2616676"),),
    )


@pytest.mark.parametrize("build", ["6002", "9200", "9600", "14393", "20348"])
async def test_the_traps_fire_nowhere_else(verify, build):
    report = await verify(nodes(build, "1", hv02={QFE: qfe("KB2607712", "KB2636573")}))
    cumulative = int(build) >= 14393
    assert [one.status for one in report.findings] == (["NOT ON ALL"] if cumulative else ["DIFFERS"])
    agree = "prod: 6 nodes of one build and revision, 1 other update not on all of them"
    assert report.title == (agree if cumulative else "prod: 1 of 6 nodes differ")


async def test_an_update_that_the_revision_does_not_cover_is_missed_and_an_older_one_is_history(verify):
    """One month has a cumulative update and another one for .NET; older ones stay in some lists."""
    alike = [{"HotFixID": kb} for kb in ("KB4580325", "KB4601345", "KB4601887")]
    odd = [{"HotFixID": kb} for kb in ("KB4580325", "KB4601345", "KB4500000")]
    world = {
        **{f"hv0{at}": {QFE: alike} for at in range(1, 7)},
        "hv03": {QFE: odd},
    }
    report = await verify(nodes("17763", "1757", **world))
    (found,) = report.findings
    assert (found.status, found.target, found.summary) == ("NOT ON ALL", "hv03", "KB4601887 not listed.")
    assert any("KB4500000" in note for note in report.notes)


async def test_a_silent_node_is_unknown_never_different(verify):
    report = await verify(nodes(), {"hv05": "timed out"})
    assert report.title == "prod: 5 nodes agree, 1 unknown"
    assert report.summary == "prod: 5 nodes agree, 1 unknown; hv05 UNKNOWN"
    assert report.findings == ()
    assert report.table is None
    assert report.unanswered == (Unknown("hv05", "timed out", "no answer in 20 s."),)
    assert (report.asked, report.answered) == (6, 5)


@pytest.mark.parametrize("part", [BUILD, QFE])
async def test_half_a_node_is_unknown_too(verify, part):
    refused = Unknown("hv05", "refused", "access is denied.")
    report = await verify(nodes(hv05={part: refused}))
    assert report.title == "prod: 5 nodes agree, 1 unknown"
    assert report.unanswered == (refused,)


async def test_of_cumulative_updates_only_build_and_revision_differ(verify):
    report = await verify(
        nodes("14393", "6897", hv03={BUILD: [{"CurrentBuildNumber": "14393", "UBR": "6796"}], QFE: qfe("KB2500000")})
    )
    assert [(one.status, one.target, one.summary) for one in report.findings] == [
        ("DIFFERS", "hv03", "Build 14393.6796; most nodes run 14393.6897."),
    ]
    assert report.title == "prod: 1 of 6 nodes differ"
    assert report.fine == (Healthy("SAME", ("hv01", "hv02", "hv04", "hv05", "hv06"), "build 14393.6897"),)
    assert report.table is None
    assert verify.ask.rounds == 2


async def test_at_one_revision_a_list_that_is_shorter_is_a_note(verify):
    report = await verify(nodes("17763", "6189", hv03={QFE: qfe("KB2500000", "KB2500001")}))
    assert report.title == "prod: 6 nodes agree"
    assert report.findings == ()
    assert report.fine == (Healthy("SAME", NODES, "build 17763.6189"),)
    assert report.table.rows == (("KB2500000", "hv03"), ("KB2500001", "hv03"))
    assert report.notes[0] == "202 updates agree."
    assert report.notes[1].startswith("Listed by some nodes only: KB2500000, KB2500001. Build and revision say")


async def test_before_2016_every_update_counts_whatever_the_revision(verify):
    report = await verify(nodes("9600", "20778", hv03={QFE: qfe("KB2500000")}))
    assert [(one.status, one.target) for one in report.findings] == [("DIFFERS", "hv03")]


async def test_a_cumulative_windows_without_a_revision_is_unknown(verify):
    report = await verify(nodes("17763", "6189", hv03={BUILD: [{"CurrentBuildNumber": "17763", "UBR": None}]}))
    assert report.title == "prod: 5 nodes agree, 1 unknown"
    assert [one.target for one in report.unanswered] == ["hv03"]


ENROLLED = {
    "Hotpatch.amd64": [{"Name": "Hotpatch Enrollment Package"}],
    "Memory Management": [{"HotPatchTableSize": "4096"}],
    "DeviceGuard": [{"EnableVirtualizationBasedSecurity": "1"}],
}
NOT_ENROLLED = {"Hotpatch.amd64": [{"Name": None}], "Memory Management": [{}], "DeviceGuard": [{}]}


async def test_a_revision_that_a_node_does_not_tell_is_no_difference(verify):
    report = await verify(nodes(build="9600", revision="20778", hv05={BUILD: [{"CurrentBuildNumber": "9600"}]}))
    assert report.title == "prod: 6 nodes agree, 1 revision not known"
    (found,) = report.findings
    assert (found.severity, found.status, found.target) == (Severity.NOTE, "NO REVISION", "hv05")
    assert "not known: it tells build 9600 without a UBR. Others: 9600.20778 on" in found.summary
    assert [(one.word, one.targets) for one in report.fine] == [("SAME", ("hv01", "hv02", "hv03", "hv04", "hv06"))]


async def test_most_nodes_without_a_revision_make_none_of_the_others_odd(verify):
    silent = {name: {BUILD: [{"CurrentBuildNumber": "9600"}]} for name in ("hv01", "hv02", "hv03", "hv04")}
    script = nodes(build="9600", revision="20778", hv06={BUILD: [{"CurrentBuildNumber": "9600", "UBR": "19000"}]})
    script |= {(name, BUILD): rows[BUILD] for name, rows in silent.items()}
    report = await verify(script)
    assert report.title == "prod: 1 of 6 nodes differ, 4 revisions not known"
    assert [(one.status, one.target) for one in report.findings] == [
        ("DIFFERS", "hv06"),
        ("NO REVISION", "hv01, hv02, hv03, hv04"),
    ]


def month(behind, **tracks):
    """Six nodes of 2025, hv03 at another revision; `tracks`: what each says of hotpatches, where not what `behind` says."""
    other = {BUILD: [{"CurrentBuildNumber": "26100", "UBR": "4061"}]}
    over = {name: dict(tracks.get(name, behind)) for name in NODES}
    over["hv03"] |= other
    return nodes("26100", "4349", **over)


async def test_revisions_of_a_windows_with_hotpatches_do_not_compare(verify):
    report = await verify(month(NOT_ENROLLED, hv03=ENROLLED))
    (finding,) = report.findings
    assert (finding.status, finding.severity) == ("NOT COMPARABLE", Severity.WARNING)
    assert "26100.4061 on hv03" in finding.summary
    assert "Hotpatched" in dict(finding.lines)["Means"]
    assert report.title == "prod: 2 revisions of 26100 that are not comparable"
    assert report.fine == ()


async def test_enrolled_nodes_are_on_one_track_and_compare(verify):
    report = await verify(month(ENROLLED))
    assert [(one.status, one.target) for one in report.findings] == [("DIFFERS", "hv03")]
    assert report.title == "prod: 1 of 6 nodes differ"


@pytest.mark.parametrize("part", list(ENROLLED))
async def test_enrolment_takes_all_its_signs(verify, part):
    for missing in (NOT_ENROLLED[part], Unknown("hv05", "refused", "access is denied.")):
        report = await verify(month(ENROLLED, hv05={**ENROLLED, part: missing}))
        assert [one.status for one in report.findings] == ["NOT COMPARABLE"]


async def test_two_windows_are_never_compared(verify):
    other = {BUILD: [{"CurrentBuildNumber": "17763", "UBR": "6189"}], QFE: [{"HotFixID": "KB5005112"}]}
    report = await verify(nodes("14393", "7336", hv06=other))
    (finding,) = report.findings
    assert (finding.status, finding.target) == ("OTHER WINDOWS", "hv06")
    assert "rolling upgrade" in dict(finding.lines)["Means"]
    assert report.title == "prod: 2 Windows builds on 6 nodes, compared within each only"
    assert report.table is None
    assert [one.summary for one in report.fine] == ["build 14393.7336", "build 17763.6189"]


async def test_two_windows_and_a_node_that_is_behind(verify):
    behind = {BUILD: [{"CurrentBuildNumber": "14393", "UBR": "7000"}]}
    other = {BUILD: [{"CurrentBuildNumber": "17763", "UBR": "6189"}]}
    report = await verify(nodes("14393", "7336", hv01=behind, hv06=other))
    assert [(one.status, one.target) for one in report.findings] == [("OTHER WINDOWS", "hv06"), ("DIFFERS", "hv01")]
    assert report.title == "prod: 1 of 6 nodes differ, 2 Windows builds on 6 nodes, compared within each only"


async def test_an_update_asked_for_by_number_is_told_and_differs_nowhere(verify):
    report = await verify(nodes("17763", "6189", hv03={QFE: qfe("KB2500000")}), kbs=["KB2500000", "KB7777777"])
    assert [(one.status, one.target, one.severity) for one in report.findings] == [
        ("NOT LISTED", "hv03", Severity.NOTE),
        ("NOT LISTED", "every node", Severity.NOTE),
    ]
    assert report.title == "prod: 6 nodes agree"


STARTED = [{"LastBootUpTime": "2026-11-20T10:00:00Z"}]
CBS_FLAG = {SERVICING: [{"subkeys": ("Packages", "RebootPending")}], "Win32_OperatingSystem": STARTED}


def asked(*days, event_id="4"):
    return [
        {
            "event_id": event_id,
            "at": f"2026-11-{day:02}T12:00:00Z",
            "provider": "Microsoft-Windows-Servicing",
            "data": {},
        }
        for day in days
    ]


LOG, SYSTEM_LOG = "wevtutil query events Setup", "wevtutil query events System"


async def test_a_reboot_is_pending_where_it_was_asked_for_after_the_last_start(verify):
    update = {
        AUTOMATIC: [{"subkeys": "RebootRequired"}],
        "Win32_OperatingSystem": STARTED,
        SYSTEM_LOG: asked(21, event_id="22"),
    }
    report = await verify(nodes(hv02={**CBS_FLAG, LOG: asked(21, 3)}, hv03=update))
    (finding,) = report.findings
    assert (finding.status, finding.target, finding.severity) == ("REBOOT PENDING", "hv02, hv03", Severity.WARNING)
    assert finding.summary.startswith(
        "A reboot is pending (servicing, Windows Update), flagged since the last start. hv02 last started "
    )
    assert report.title == "prod: 6 nodes agree, 2 reboots pending"
    assert verify.ask.rounds == 3


async def test_a_flag_that_outlived_the_restart_is_a_stuck_update(verify):
    report = await verify(nodes(hv02={**CBS_FLAG, LOG: asked(19, 3)}))
    (finding,) = report.findings
    assert (finding.status, finding.target) == ("STUCK UPDATE", "hv02")
    assert "estart one node after the other" not in str(report)
    assert report.title == "prod: 6 nodes agree, 1 reboot flag to look at"


@pytest.mark.parametrize(
    "over",
    [
        {LOG: []},
        {LOG: [*asked(19), {"event_id": "4", "at": None, "data": {}}]},
        {LOG: Unknown("hv02", "refused", "access is denied.")},
        {LOG: asked(19), "Win32_OperatingSystem": [{"LastBootUpTime": "2026-11-20T10:00:00"}]},
        {LOG: asked(19), "Win32_OperatingSystem": []},
    ],
)
async def test_a_flag_whose_age_nothing_tells_is_neither(verify, over):
    report = await verify(nodes(hv02={**CBS_FLAG, **over}))
    (finding,) = report.findings
    assert (finding.status, finding.target) == ("REBOOT FLAG", "hv02")
    assert "pending" not in report.title
    failed = isinstance(over[LOG], Unknown) or over.get("Win32_OperatingSystem") is not None
    assert bool(report.unanswered) is failed


async def test_unread_reboot_keys_are_said(verify):
    report = await verify(nodes(hv02={SERVICING: Unknown("hv02", "refused", "access is denied.")}))
    assert report.answered == 6
    assert report.unanswered == (
        Unknown("hv02", "refused", "access is denied. Whether a reboot is pending is not known."),
    )


async def test_updates_that_only_few_list(verify):
    extra = [*qfe(), {"HotFixID": "KB9999999"}]
    report = await verify(nodes(hv04={QFE: extra}))
    assert [(one.target, one.summary) for one in report.findings] == [("hv04", "Only here: KB9999999.")]
    assert report.table.rows == (("KB9999999", "all but hv04"),)
    assert report.title == "prod: 1 of 6 nodes differ"


async def test_only_the_updates_that_were_asked_for(verify):
    script = nodes("9600", hv06={QFE: qfe("KB2570791", "KB2500000")})
    report = await verify(script, kbs=["2570791", "kb7777777"])
    assert report.table.rows == (("KB2570791", "hv06"), ("KB7777777", "every node that answered (6)"))
    assert [(one.status, one.severity) for one in report.findings] == [
        ("DIFFERS", Severity.WARNING),
        ("NOT LISTED", Severity.NOTE),
    ]
    assert report.notes[0] == "0 updates agree."
    nowhere = await verify(nodes("9600"), kbs=["KB7777777"])
    assert nowhere.title == "prod: 6 nodes agree"
    assert not nowhere.has_findings


def disk(make, kind, key, parent=""):
    path = f'\\\\HV\\root\\virtualization:Msvm_ResourceAllocationSettingData.InstanceID="Microsoft:{make.vm_id(300)}\\\\{parent}"'
    return {
        "InstanceID": f"Microsoft:{make.vm_id(300)}\\{key}",
        "ResourceSubType": f"Microsoft {kind}",
        "Parent": path if parent else None,
    }


async def test_the_storvsc_trap_names_guests_with_scsi_disks(verify, make):
    disks = [
        disk(make, "Synthetic SCSI Controller", "c"),
        disk(make, "Synthetic Disk Drive", "d", "c"),
        disk(make, "Virtual Hard Disk", "v", "d"),
    ]
    hv03 = {QFE: qfe("KB2636573"), DISKS: disks, "Msvm_ComputerSystem": make.guest_rows("hv03")}
    hv04 = {QFE: qfe("KB2636573"), DISKS: [], "Msvm_ComputerSystem": make.guest_rows("hv04")}
    report = await verify(nodes(hv03=hv03, hv04=hv04))
    trap = report.findings[0]
    assert (trap.status, trap.target) == ("KNOWN ISSUE", "hv03")
    assert ("Because", "Disks on SCSI controllers: test-tfs-01.") in trap.lines
    assert "Whether a disk is dynamic was not read." in dict(trap.lines)["Means"]
    assert report.title == "prod: 2 of 6 nodes differ, 1 known issue"
    assert verify.ask.rounds == 3


async def test_unknown_disks_are_said_and_spring_nothing(verify, make):
    gone = Unknown("hv03", "timed out", "no answer in 20 s.")
    report = await verify(nodes(hv03={QFE: qfe("KB2636573"), DISKS: gone, "Msvm_ComputerSystem": []}))
    assert [one.status for one in report.findings] == ["DIFFERS"]
    assert "KB2636573" in report.unanswered[0].why


async def test_a_cluster_that_does_not_answer(verify):
    report = await verify({}, {"prod": "login refused"})
    assert report.title == "prod: no node said which updates it has"
    assert (report.asked, report.answered) == (0, 0)
    assert [one.kind for one in report.unanswered] == ["login refused"]


async def test_nonsense_and_hostile_rows(verify):
    hostile = [*qfe(), {"HotFixID": "<!channel>"}, {"HotFixID": "KB1; drop table"}, {"HotFixID": None}]
    report = await verify(nodes(hv03={QFE: hostile}, hv04={BUILD: [{"CurrentBuildNumber": "<html>"}]}))
    assert report.title == "prod: 5 nodes agree, 1 unknown"
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv04", "bad reply")]


async def test_a_large_cluster_of_strangers_stays_readable(verify):
    names = [f"h{number:03}" for number in range(300)]
    script = {("prod", "MSCluster_Node"): [{"Name": one, "State": "0", "BuildNumber": "9600"} for one in names]}
    for number, one in enumerate(names):
        script |= {
            (one, BUILD): [{"CurrentBuildNumber": "9600", "UBR": "1"}],
            (one, QFE): [{"HotFixID": "KB3000000"}, *([{"HotFixID": "KB3000001"}] if number % 3 else [])],
            (one, SERVICING): [{"subkeys": None}],
            (one, AUTOMATIC): [{"subkeys": None}],
        }
    report = await verify(script)
    (finding,) = report.findings
    assert finding.target == "h000, h003, h006, h009, h012, h015, h018 and 93 more"
    assert len(report.table.rows[0][1]) < 200
    assert report.fine[0].targets[-1] == "189 more"
