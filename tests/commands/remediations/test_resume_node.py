"""`/resume-node`: one step for a paused node, and nothing for any other."""

from datetime import UTC, datetime

import pytest

from bot.api.actions import InvokeMethod
from bot.api.command import CHECK_RESULT, AfterRun, Risk
from bot.api.facts import Known, Unknown
from bot.api.plan import Check, Expect, FlagPredicate, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import DoneChanges, Predicate, Wql
from bot.tickets.conditions import unmet
from commands.remediations.resume_node import COMMAND, Failback

NOW = datetime(2026, 3, 2, 23, 5, tzinfo=UTC)
NODE = Wql(
    "prod", "root/MSCluster", "MSCluster_Node", ("Name", "State", "NodeDrainStatus"), (Predicate("Name", "=", "hv03"),)
)


ON_NODE = Wql(
    "prod",
    "root/MSCluster",
    "MSCluster_ResourceGroup",
    ("Name", "OwnerNode"),
    (Predicate("OwnerNode", "=", "hv03"), Predicate("GroupType", "=", 111)),
)
PAUSED = "hv03 is paused"


def script(make, state=2, drain=2, nodes=None, prod=None, **over):
    """The cluster with hv03 paused; keyword arguments are columns of its row, or replace what nodes and cluster say."""
    rows = [make.node_row("hv01"), make.node_row("hv02"), make.node_row("hv03", state=state, drain=drain) | over]
    vmms = {"Win32_Service": [{"Name": "vmms", "State": "Running", "ProcessId": "2000"}]}
    answers = {"hv03": vmms, **(nodes or {})}
    return make.cluster(prod={"MSCluster_Node": rows, **(prod or {})}, **answers)


AWAY = Check(
    Wql("prod", "root/MSCluster", "MSCluster_ResourceGroup", ("Name", "OwnerNode")),
    (Expect((Predicate("OwnerNode", "!=", "hv03"),), at_least=0),),
).described_as("are on other nodes than hv03")


def step(says, kind):
    return Step(
        key="resume",
        description=says,
        act=InvokeMethod(
            "hv03", "root/MSCluster", (("Name", "hv03"),), "MSCluster_Node", "Resume", (("FailbackType", kind),)
        ),
        guard=(Check(NODE, (Expect((Predicate("State", "=", 2),)),)).described_as("hv03 is paused"),),
        done=(Check(NODE, (Expect((Predicate("State", "=", 0),)),), within=120).described_as("hv03 is up"),),
        before=ON_NODE if kind == 1 else NODE,
        repeatable=True,
        untouched=(Check(NODE, (Expect((Predicate("State", "=", 2),)),)).described_as("hv03 is paused"),)
        if kind == 1
        else (),
        moves=AWAY if kind else None,
    )


ROLES = Wql(
    "prod",
    "root/MSCluster",
    "MSCluster_ResourceGroup",
    ("Name", "State", "StatusInformation"),
    (Predicate("GroupType", "=", 111),),
)
EVERY_ROLE = Wql(
    "prod",
    "root/MSCluster",
    "MSCluster_ResourceGroup",
    ("Name", "OwnerNode", "State", "StatusInformation"),
    (Predicate("GroupType", "=", 111),),
)
ENDINGS = ("done", "failed", "cancelled", "closed")
ARRIVE = Step(
    key="arrive",
    description="Wait until no guest is moving, then record the guests on hv03",
    act=None,
    done=(
        Check(
            ROLES, (Expect((FlagPredicate("StatusInformation", 4),), at_least=0, at_most=0),), within=1200
        ).described_as("no guest of prod is queued to move"),
        Check(ROLES, (Expect((Predicate("State", "=", 4),), at_least=0, at_most=0),), within=1200).described_as(
            "no guest of prod is being moved"
        ),
    ),
    before=Wql(
        "prod",
        "root/MSCluster",
        "MSCluster_ResourceGroup",
        ("Name", "OwnerNode"),
        (Predicate("OwnerNode", "=", "hv03"), Predicate("GroupType", "=", 111)),
    ),
)
GATES = (
    Gate(PAUSED, GateOutcome.PASSED, guards="worth"),
    Gate("hv03 is not being drained", GateOutcome.PASSED, blocks=False),
    Gate("The service vmms is running on hv03", GateOutcome.PASSED, "Running"),
    Gate(
        "No guest on another node of prod is locked, and no shared volume is in backup",
        GateOutcome.PASSED,
        blocks=False,
    ),
    Gate("All shared volumes of prod are healthy", GateOutcome.PASSED, "1 volume", blocks=False),
    Gate("Cluster-Aware Updating is not running on prod", GateOutcome.PASSED, "3 nodes asked"),
)


@pytest.mark.parametrize(
    ("drain", "measured"),
    [("7", "not known: hv03: NodeDrainStatus is 7"), (None, "not known: hv03: NodeDrainStatus is not told")],
)
async def test_a_drain_in_an_unlisted_state_may_be_under_way(planned, make, drain, measured):
    plan = await planned(COMMAND, script(make, NodeDrainStatus=drain))
    gate = plan.gates[1]
    assert (gate.outcome, gate.blocks, gate.measured) == (GateOutcome.NOT_KNOWN, False, measured)


@pytest.mark.parametrize(
    ("state", "word"), [("7", "in the unknown state 7"), (None, "in a state that the cluster does not tell")]
)
async def test_a_node_in_an_unlisted_state_is_not_well(planned, make, state, word):
    plan = await planned(COMMAND, script(make, State=state))
    assert plan.reason == f"No plan: hv03 is {word}."


async def test_the_whole_plan(planned, make):
    plan = await planned(COMMAND, script(make))
    assert plan == Plan(
        reason="hv03 is paused and drained.",
        impact="Guests that the drain moved away live-migrate back immediately.",
        rollback="Drain hv03 again.",
        locks=("cluster:prod",),
        gates=GATES,
        groups=(Group("resume", (step("Resume hv03: its guests come back", 1), ARRIVE)),),
        current_state="hv03 is paused and drained",
        expected_state="hv03 is up and takes guests again",
        at_most=12,
        afterwards=(
            Check(EVERY_ROLE, (Expect(at_least=0),)).described_as("guests came back to hv03"),
            *(
                Check(
                    DoneChanges("hv03", command, endings=ENDINGS, images=("drain",)), (Expect(at_least=0),)
                ).described_as(f"{command} of hv03 is in the ledger")
                for command in ("drain-node", "reset-writer", "resume-node")
            ),
        ),
    )
    assert planned.ask.rounds == 2
    assert COMMAND.risk is Risk.LOW


@pytest.mark.parametrize(
    ("word", "kind", "says"),
    [
        ("no", 0, "Resume hv03: its guests stay where they are"),
        ("immediate", 1, "Resume hv03: its guests come back"),
        ("POLICY", 2, "Resume hv03: its guests come back as their roles say"),
    ],
)
async def test_failback(planned, make, word, kind, says):
    plan = await planned(COMMAND, script(make), failback=Failback.parse(word))
    assert plan.groups == (Group("resume", (step(says, kind), ARRIVE) if kind == 1 else (step(says, kind),)),)


def known(rows):
    return Known(rows, NOW, NOW)


def role(name, on="HV03", state=0, flags=0):
    return {"Name": name, "OwnerNode": on, "State": state, "StatusInformation": flags}


def drained(*names, ticket="T-1", ended="2026-03-02T22:00:00.000Z", begun=("drain",), undone_by="", **more):
    """A drain in the ledger, with the guests that it noted."""
    before = {"drain": [{"Name": name, "OwnerNode": "hv03"} for name in names]}
    return {"ticket": ticket, "ended": ended, "begun": begun, "undone_by": undone_by, "before": before} | more


def told(roles, drains=(), resets=(), resumes=(), before=None):
    answers = [one if isinstance(one, Unknown) else known(list(one)) for one in (roles, drains, resets, resumes)]
    return COMMAND.describe_after(AfterRun("hv03", {} if before is None else {"resume": before}, tuple(answers)))


QUIET = Unknown("prod", "timed out", "no answer in 20 s.")
BY_OTHERS = "Whether others stayed away is not known: hvops did not drain the node"


def test_all_guests_that_hvops_drained_are_back():
    there = [role("crm-01"), role("crm-02"), role("web-01", on="hv01")]
    assert told(there, [drained("crm-01", "CRM-02")]) == (
        "2 of 2 guests that hv03 had before T-1 drained it are on hv03",
    )
    assert told(there, [drained()]) == ("hv03 had no guest before T-1 drained it",)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (role("crm-02", on="hv01", flags=1), "crm-02 (on hv01, locked: a locked guest does not move)"),
        (role("crm-02", on="hv01", state=1), "crm-02 (on hv01, it is off)"),
        (role("crm-02", on="hv01", state=2), "crm-02 (on hv01, its role has failed)"),
        (role("crm-02", on="hv01", flags=None), "crm-02 (on hv01, the cluster does not say why)"),
        (role("crm-02", on="hv01", state=None), "crm-02 (on hv01, the cluster does not say why)"),
        (role("crm-02", on=None), "crm-02 (its node is not told, the cluster does not say why)"),
        (role("other", on="hv01"), "crm-02 (no role of that name in the cluster)"),
    ],
)
def test_who_did_not_come_back_is_named_with_what_is_known_of_why(row, says):
    assert told([role("crm-01"), row], [drained("crm-01", "crm-02")]) == (
        f"{CHECK_RESULT}1 of 2 guests that hv03 had before T-1 drained it is on hv03",
        f"Not back: {says}",
    )


@pytest.mark.parametrize(
    ("ledger", "why"),
    [
        ({}, "hvops did not drain the node"),
        ({"drains": QUIET}, "the ledger was not read (no answer in 20 s)"),
        ({"drains": [drained("crm-01", undone_by="T-2")]}, "hvops did not drain the node since it was last resumed"),
        (
            {"drains": [drained("crm-01", begun=("drain", "undo-drain"))]},
            "hvops did not drain the node since it was last resumed",
        ),
        (
            {"drains": [drained("crm-01")], "resumes": [drained(ticket="T-2", ended="2026-03-02T22:10:00.000Z")]},
            "hvops did not drain the node since it was last resumed",
        ),
        (
            {
                "drains": [drained("crm-01")],
                "resets": [drained(ended="2026-03-02T22:10:00.000Z", begun=("drain", "resume"))],
            },
            "hvops did not drain the node since it was last resumed",
        ),
        ({"drains": [drained("crm-01", before={})]}, "T-1 did not note the guests that it drained"),
    ],
)
def test_where_the_ledger_knows_no_drain_nothing_is_said_of_who_stayed_away(ledger, why):
    there = [role("crm-01"), role("crm-02")]
    assert told(there, before=[{"Name": "CRM-02"}], **ledger) == (
        "1 guest came back to hv03, 2 there now",
        f"Whether others stayed away is not known: {why}",
    )


def test_a_drain_of_a_reset_that_failed_counts_and_the_newest_drain_does():
    there = [role("crm-01")]
    reset = drained("crm-01", ticket="T-3", ended="2026-03-02T23:00:00.000Z", begun=("drain", "stop"), ending="failed")
    resumed = drained(ticket="T-2", ended="2026-03-02T22:10:00.000Z", begun=("resume", "arrive"))
    assert told(there, [drained("crm-02")], [reset], [resumed]) == (
        "1 of 1 guest that hv03 had before T-3 drained it is on hv03",
    )


def test_the_end_says_whether_a_guest_is_there_again():
    assert told([role("crm-01"), role("crm-02")]) == ("2 guests on hv03", BY_OTHERS)
    (line,) = told([role("crm-01", on="hv01")])
    assert line.startswith(
        f"{CHECK_RESULT}no guest is on hv03. If its drain moved guests away, they stayed where they are"
    )
    (line,) = told(QUIET)
    assert line == f"{CHECK_RESULT}whether guests came back to hv03 is not known: no answer in 20 s."


@pytest.mark.parametrize(("word", "most"), [("no", None), ("immediate", 6), ("policy", 6)])
async def test_how_many_may_come_back_is_bounded(planned, make, word, most):
    """Twice what other nodes have, or may have: signed, and shown. What is on the node already does not come."""
    owners = ("hv01", "HV03", "hv02", None)
    roles = [row | {"OwnerNode": owner} for row, owner in zip(make.role_rows(), owners, strict=False)]
    plan = await planned(COMMAND, script(make, prod={"MSCluster_ResourceGroup": roles}), failback=Failback.parse(word))
    assert plan.at_most == most
    resume = plan.steps[0]
    limit = [one for one in plan.guards_of(resume) if one not in resume.guard]
    held = {number: not unmet(limit[0], roles[:1] * number, {}) for number in (6, 7)} if limit else None
    assert held == ({6: True, 7: False} if most else None)  # counted anew just before the node is resumed


@pytest.mark.parametrize("word", ["", "now", "1", "immediate;", "нет"])
def test_what_is_no_failback(word):
    with pytest.raises(ValueError, match=f"^{word}$"):
        Failback.parse(word)


@pytest.mark.parametrize(
    ("status", "is_", "way_out"),
    [
        ("1", "isolated", "wait until it has joined again"),
        ("2", "in quarantine", "wait, or Start-ClusterNode -Name hv03 -ClearQuarantine"),
        ("3", "in quarantine", "wait, or Start-ClusterNode -Name hv03 -ClearQuarantine"),
    ],
)
async def test_a_node_that_the_cluster_keeps_out_is_told_its_own_way_out(planned, make, status, is_, way_out):
    plan = await planned(COMMAND, script(make, state=1, StatusInformation=status))
    assert plan.reason.startswith(f"Nothing to resume: hv03 is {is_}. ")
    assert f"By hand: {way_out}" in plan.reason
    assert plan.groups == ()
    assert not plan.is_done_already


async def test_flags_of_a_drain_keep_no_node_from_being_resumed(planned, make):
    plan = await planned(COMMAND, script(make, StatusInformation="8"))
    assert plan.groups != ()


@pytest.mark.parametrize(
    ("state", "because"),
    [(0, "Nothing to resume: hv03 is up."), (1, "Nothing to resume: hv03 is down.")],
)
async def test_a_node_that_is_not_paused(planned, make, state, because):
    plan = await planned(COMMAND, script(make, state=state))
    assert (plan.reason, plan.groups) == (because, ())
    assert plan.is_done_already is (state == 0)


@pytest.mark.parametrize(
    ("drain", "because"),
    [(3, "hv03 is paused, its last drain failed."), (1, "hv03 is paused and being drained."), (0, "hv03 is paused.")],
)
async def test_how_its_drain_ended(planned, make, drain, because):
    plan = await planned(COMMAND, script(make, drain=drain))
    assert plan.reason == because
    warning = plan.gates[1]
    assert (warning.passed, warning.blocks) == (drain != 1, False)
    assert bool(warning.measured) is (drain == 1)


SILENT = Unknown("hv01", "timed out", "no answer in 20 s.")
HELD = {
    "a run of Cluster-Aware Updating on another node": (
        {"nodes": {"hv01": {"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]}}},
        "Cluster-Aware Updating is not running on prod",
        "reported by hv01",
    ),
    "a run of Cluster-Aware Updating that nobody tells of": (
        {"nodes": {"hv01": {"MSFT_CAURun": SILENT}}},
        "Cluster-Aware Updating is not running on prod",
        "not known: hv01: no answer in 20 s",
    ),
    "Hyper-V's service is stopped": (
        {"nodes": {"hv03": {"Win32_Service": [{"Name": "vmms", "State": "Stopped", "ProcessId": "0"}]}}},
        "The service vmms is running on hv03",
        "Stopped",
    ),
    "Hyper-V's service is not known": (
        {"nodes": {"hv03": {"Win32_Service": SILENT}}},
        "The service vmms is running on hv03",
        "not known: hv01: no answer in 20 s",
    ),
}


@pytest.mark.parametrize("case", HELD)
async def test_a_node_takes_no_guests_yet(planned, make, case):
    over, says, measured = HELD[case]
    plan = await planned(COMMAND, script(make, **over))
    gate = next(gate for gate in plan.gates if gate.description == says)
    if gate.is_open:  # which an approver may answer
        assert [one.what for one in plan.open_questions] == ["state of vmms of hv01"]
        return
    assert plan.groups == ()
    assert [(gate.description, gate.measured) for gate in plan.blocking_gates] == [(says, measured)]


WARNED = {
    "a guest elsewhere is locked": (
        lambda make: {"MSCluster_ResourceGroup": [row | {"OwnerNode": "hv01"} for row in make.role_rows(locked=1)]},
        "No guest on another node of prod is locked, and no shared volume is in backup",
        "locked on hv01: test-tfs-01",
    ),
    "a shared volume is in backup": (
        lambda _: {"MSCluster_ClusterSharedVolume": [{"Name": "V", "BackupState": "1", "FaultState": "0"}]},
        "No guest on another node of prod is locked, and no shared volume is in backup",
        "in backup: V",
    ),
    "a shared volume is out of reach": (
        lambda _: {"MSCluster_ClusterSharedVolume": [{"Name": "V", "BackupState": "0", "FaultState": "2"}]},
        "All shared volumes of prod are healthy",
        "V no access",
    ),
}


@pytest.mark.parametrize("case", WARNED)
async def test_what_only_warns(planned, make, case):
    prod, says, measured = WARNED[case]
    plan = await planned(COMMAND, script(make, prod=prod(make)))
    assert len(plan.groups) == 1
    assert [(gate.description, gate.measured) for gate in plan.other_gates] == [(says, measured)]


async def test_a_guest_that_is_locked_on_the_node_itself_moves_nowhere(planned, make):
    plan = await planned(COMMAND, script(make, prod={"MSCluster_ResourceGroup": make.role_rows(locked=1)}))
    assert plan.other_gates == ()


async def test_refusals(planned, make, alone):
    silent = make.cluster(prod={"MSCluster_Node": Unknown("prod", "timed out", "no answer in 20 s.")})
    assert (await planned(COMMAND, silent)).reason == "No plan for hv03: prod: no answer in 20 s."
    nobody = make.cluster(prod={"MSCluster_Node": [make.node_row("hv01")]})
    assert (await planned(COMMAND, nobody)).reason == "No plan for hv03: prod has no node of that name."
    assert "belongs to no cluster" in (await planned(COMMAND, {}, alone)).reason
    old = await planned(COMMAND, script(make, BuildNumber="7601"))
    assert (old.groups, "2008 R2" in old.reason) == ((), True)
