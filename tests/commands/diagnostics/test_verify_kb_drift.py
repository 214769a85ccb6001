"""`/verify-kb-drift` from scripted replies to the whole report."""

import pytest

from bot.api.arguments import Kb, Target
from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Healthy, Report, Severity, Table
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
CBS_ONLY = "Windows lists CBS updates only: “not listed” is no proof of absence."


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
        title="prod: 3 of 6 nodes differ, 1 known trap",
        summary="prod: 3 of 6 nodes differ, 1 known trap; trap on hv02, hv05",
        of="nodes",
        asked=6,
        answered=6,
        findings=(
            Finding(
                Severity.FAULT,
                "TRAP",
                "hv02, hv05",
                "KB2616676 is listed without KB2607712.",
                (
                    (
                        "Means",
                        (
                            "Both are needed. KB2607712 was wrongly marked as superseded by KB2616676, so Windows offers it no"
                            " more and answers “not applicable” when it is installed by hand."
                        ),
                    ),
                    ("By hand", "Per node: (1) remove KB2616676; (2) install KB2607712; (3) reinstall KB2616676."),
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
    )


@pytest.mark.parametrize("build", ["6002", "9200", "9600", "14393", "20348"])
async def test_the_traps_fire_nowhere_else(verify, build):
    report = await verify(nodes(build, hv02={QFE: qfe("KB2607712", "KB2636573")}))
    assert [one.status for one in report.findings] == ["DIFFERS"]
    assert report.title == "prod: 1 of 6 nodes differ"


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


async def test_the_update_revision_comes_first(verify):
    report = await verify(
        nodes("14393", "6897", hv03={BUILD: [{"CurrentBuildNumber": "14393", "UBR": "6796"}], QFE: qfe("KB2500000")})
    )
    assert [(one.status, one.target, one.summary) for one in report.findings] == [
        ("DIFFERS", "hv03", "Build 14393.6796; most nodes run 14393.6897."),
        ("DIFFERS", "hv03", "KB2500000 not listed; 5 of 6 list it."),
    ]
    assert report.title == "prod: 1 of 6 nodes differ"
    assert report.fine == (Healthy("SAME", ("hv01", "hv02", "hv04", "hv05", "hv06"), "build 14393.6897"),)


async def test_pending_reboots(verify):
    report = await verify(
        nodes(
            hv02={SERVICING: [{"subkeys": ("Packages", "RebootPending")}]},
            hv03={AUTOMATIC: [{"subkeys": "RebootRequired"}]},
        )
    )
    (finding,) = report.findings
    assert (finding.status, finding.target, finding.severity) == ("REBOOT PENDING", "hv02, hv03", Severity.WARNING)
    assert finding.summary == "Wanted by servicing, Windows Update."
    assert report.title == "prod: 6 nodes agree, 2 reboots pending"


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
    assert (trap.status, trap.target) == ("TRAP", "hv03")
    assert ("Because", "Disks on SCSI controllers: test-tfs-01.") in trap.lines
    assert "Whether a disk is dynamic was not read." in dict(trap.lines)["Means"]
    assert report.title == "prod: 2 of 6 nodes differ, 1 known trap"
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
