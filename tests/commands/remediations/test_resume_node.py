"""`/resume-node`: one step for a paused node, and nothing for any other."""

import pytest

from bot.api.actions import InvokeMethod
from bot.api.command import Risk
from bot.api.facts import Unknown
from bot.api.plan import Check, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, Wql
from commands.remediations.resume_node import COMMAND, Failback

NODE = Wql(
    "prod", "root/MSCluster", "MSCluster_Node", ("Name", "State", "NodeDrainStatus"), (Predicate("Name", "=", "hv03"),)
)


def script(make, state=2, drain=2, **over):
    rows = [make.node_row("hv01"), make.node_row("hv03", state=state, drain=drain) | over]
    return {("prod", "MSCluster_Node"): rows}


def step(says, kind):
    return Step(
        key="resume",
        description=says,
        act=InvokeMethod(
            "hv03", "root/MSCluster", (("Name", "hv03"),), "MSCluster_Node", "Resume", (("FailbackType", kind),)
        ),
        guard=(Check(NODE, (Expect((Predicate("State", "=", 2),)),)).described_as("hv03 is paused"),),
        done=(Check(NODE, (Expect((Predicate("State", "=", 0),)),), within=120).described_as("hv03 is up"),),
        before=NODE,
        repeatable=True,
    )


@pytest.mark.parametrize(
    ("drain", "measured"), [("7", "NodeDrainStatus is 7"), (None, "not known: NodeDrainStatus is not told")]
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
    assert plan.reason == f"No plan for hv03: hv03 is {word}."


async def test_the_whole_plan(planned, make):
    plan = await planned(COMMAND, script(make))
    assert plan == Plan(
        reason="hv03 is paused and drained.",
        impact="The guests that its drain moved away come back at once, live.",
        rollback="Drain hv03 again.",
        locks=("cluster:prod",),
        gates=(
            Gate("hv03 is paused", outcome=GateOutcome.PASSED),
            Gate("No drain of hv03 is under way", outcome=GateOutcome.PASSED, blocks=False),
        ),
        groups=(Group("resume", (step("Resume hv03: its guests come back", 1),)),),
        current_state="hv03 is paused and drained",
        expected_state="hv03 is up and takes guests again",
    )
    assert planned.ask.rounds == 1
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
    assert plan.groups == (Group("resume", (step(says, kind),)),)


@pytest.mark.parametrize("word", ["", "now", "1", "immediate;", "нет"])
def test_what_is_no_failback(word):
    with pytest.raises(ValueError, match=f"^{word}$"):
        Failback.parse(word)


@pytest.mark.parametrize(
    ("state", "because"),
    [(0, "Nothing to resume: hv03 is up."), (1, "Nothing to resume: hv03 is down.")],
)
async def test_a_node_that_is_not_paused(planned, make, state, because):
    plan = await planned(COMMAND, script(make, state=state))
    assert (plan.reason, plan.groups) == (because, ())


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


async def test_refusals(planned, make, alone):
    silent = {("prod", "MSCluster_Node"): Unknown("prod", "timed out", "no answer in 20 s.")}
    assert (await planned(COMMAND, silent)).reason == "No plan for hv03: prod: no answer in 20 s."
    nobody = {("prod", "MSCluster_Node"): [make.node_row("hv01")]}
    assert (await planned(COMMAND, nobody)).reason == "No plan for hv03: prod has no node of that name."
    assert "belongs to no cluster" in (await planned(COMMAND, {}, alone)).reason
    old = await planned(COMMAND, script(make, BuildNumber="7601"))
    assert (old.groups, "2008 R2" in old.reason) == ((), True)
