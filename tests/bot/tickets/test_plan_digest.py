"""The digest covers everything that runs and nothing that is only measured; a plan comes back as it was written."""

import copy
from dataclasses import replace

import pytest

from bot.api.actions import InstanceReference, InvokeMethod, ManualStep, RowTransaction, RunProgram, Update
from bot.api.command import Risk
from bot.api.plan import (
    Check,
    CompareToBefore,
    Expect,
    FlagPredicate,
    Gate,
    GateOutcome,
    Group,
    OpenQuestion,
    Plan,
    PromisedTime,
    Step,
    exists,
    not_exists,
)
from bot.api.queries import GuestRegistry, GuestWql, Predicate, Registry, RunReader, SampleHistory, Wql, make_params
from bot.api.report import Remedy, Sample
from bot.errors import LedgerError
from bot.tickets import plan_text
from bot.tickets.plan_digest import digest, group_digest, plan_from_json, plan_to_json, signed_payload
from bot.tickets.plan_text import difference, plan_lines

NODES = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name", "State"), (Predicate("Name", "in", ("hv03", "hv04")),))
WRITERS = RunReader("hv03", "vssadmin list writers")
DRAIN = Step(
    "drain",
    "Pause and drain hv03",
    InvokeMethod(
        "hv03",
        "root/MSCluster",
        make_params(Name="hv03"),
        "MSCluster_Node",
        "Pause",
        make_params(DrainType=1),
        (0, 997),
    ),
    done=(
        Check(
            NODES,
            (Expect((Predicate("Name", "=", "hv03"),), (Predicate("NodeDrainStatus", "=", 2),), 1, 1),),
            within=1800,
            every=10,
            give_up=Expect((FlagPredicate("StatusInformation", 4), Predicate("NodeDrainStatus", "=", 3))),
        ).described_as("hv03 is drained", never="its drain failed"),
    ),
    guard=(not_exists(NODES, FlagPredicate("StatusInformation", 1)),),
    before=NODES,
    undo=InvokeMethod("hv03", "root/MSCluster", make_params(Name="hv03"), "MSCluster_Node", "Resume"),
    undone=(exists(NODES, Predicate("State", "=", 0), silence="wait"),),
    repeatable=True,
    undo_says="Resume hv03",
)
SAMPLE = Step(
    "sample",
    "Wait for a new writer",
    None,
    done=(
        Check(
            WRITERS,
            (CompareToBefore("restart", ("instance_id",), same=False, where=(Predicate("state", "=", "1"),)),),
            within=60,
        ),
    ),
    preemptible=True,
)
RESTART = Step(
    "restart", "Restart vmms", RunProgram("hv03", "restart", make_params(name="vmms")), (exists(NODES),), before=WRITERS
)
ROWS = RowTransaction(
    "vmm01", "VirtualManagerDB", (Update("tbl", make_params(Id="a"), make_params(State=1), make_params(State=None)),)
)
OTHERS = (
    Step("update", "Set one row", ROWS, (exists(Registry("vmm01", r"SOFTWARE\X", ("Version",))),)),
    Step(
        "look", "A person looks", ManualStep("Open the wizard", "operator"), (exists(SampleHistory("hv03", "writer")),)
    ),
    Step("guest", "Ask the guest", None, (exists(GuestWql("g", "g.corp.example", "id", "root/cimv2", "C")),)),
    Step("key", "Ask its registry", None, (exists(GuestRegistry("g", "g.corp.example", "id", "K")),)),
)
PLAN = Plan(
    reason="[5] since 22:58",
    impact="11 guests move",
    rollback="Resume hv03",
    locks=("node:hv03", "cluster:prod"),
    gates=(
        Gate("No guest is locked", outcome=GateOutcome.PASSED, measured="0 of 11"),
        Gate("Quorum", outcome=GateOutcome.BLOCKED, blocks=False),
    ),
    groups=(Group("drain", (DRAIN,), on_failure="undo"), Group("rest", (RESTART, SAMPLE, *OTHERS), times=2)),
    evidence=("raw",),
    remedies=(Remedy("Check Again", "/reset-writer hv03"),),
    samples=(Sample("hv03", "writer", make_params(state=5)),),
    touches=("hv03",),
)


def test_a_plan_comes_back_as_it_was_written():
    again = plan_from_json(plan_to_json(PLAN))
    assert again == PLAN
    assert digest(again, Risk.HIGH, "1") == digest(PLAN, Risk.HIGH, "1")


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, part in value.items():
            if name != "is":
                yield from leaves(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*path, index))
    elif not (value is None and path[-1] in ("act", "before", "undo", "give_up")):  # not a leaf: a value left out
        yield path


UNSIGNED = {
    "reason",
    "impact",
    "evidence",
    "remedies",
    "measured",
    "samples",
    "current_state",
    "self_reverting",
    "expected_state",
    "blocked",
    "not_known",
}


def altered(value, path):
    """The JSON with one leaf changed to another value of its type."""
    told = copy.deepcopy(value)
    inner = told
    for part in path[:-1]:
        inner = inner[part]
    old = inner[path[-1]]
    inner[path[-1]] = (not old) if isinstance(old, bool) else old + 1 if isinstance(old, int) else f"{old or ''}x"
    return told


@pytest.mark.parametrize("path", list(leaves(plan_to_json(PLAN))), ids=lambda path: ".".join(map(str, path)))
def test_every_leaf_is_either_signed_and_shown_or_measured(path):
    told = altered(plan_to_json(PLAN), path)
    try:
        other = plan_from_json(told)
    except LedgerError:
        return  # such a plan cannot even be written down
    changed = digest(other, Risk.HIGH, "1") != digest(PLAN, Risk.HIGH, "1")
    assert changed == (not UNSIGNED & set(map(str, path)))
    assert bool(difference(PLAN, other, Risk.HIGH, ("1", "1"))) == changed


REFERS = InvokeMethod(
    "dr01",
    "root/virtualization/v2",
    make_params(CreationClassName="Msvm_ReplicationService"),
    "Msvm_ReplicationService",
    "InitiateFailover",
    references=(InstanceReference("ComputerSystem", "Msvm_ComputerSystem", make_params(Name="A-1")),),
)
RICH = replace(
    PLAN,
    groups=(Group("refers", (Step("refers", "Fail over", REFERS, (exists(NODES),)),)),),
    promises=(PromisedTime("RTO", 60),),
)
RICH = replace(
    RICH,
    groups=(
        *RICH.groups,
        Group("moves", (replace(DRAIN, moves=Check(NODES, (Expect(at_least=0),)).described_as("are on hv03")),)),
    ),
    at_most=24,
)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in leaves(plan_to_json(RICH))
        if {"references", "promises", "moves", "at_most"} & set(map(str, path))
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_what_came_later_is_signed_and_shown_where_it_is(path):
    """Left out where a plan has none, so that an older plan keeps its digest."""
    other = plan_from_json(altered(plan_to_json(RICH), path))
    assert plan_from_json(plan_to_json(RICH)) == RICH
    assert digest(other, Risk.HIGH, "1") != digest(RICH, Risk.HIGH, "1")
    assert difference(RICH, other, Risk.HIGH, ("1", "1"))


def test_a_limit_that_holds_for_each_of_several_steps_says_so():
    """Each step counts by itself what it moves, so all together may move more than the number that is signed."""
    leaves_hv03, leaves_hv04 = (
        replace(DRAIN, key=f"drain-{node}", moves=Check(NODES, (Expect(at_least=0),)).described_as(f"are on {node}"))
        for node in ("hv03", "hv04")
    )

    def limit(*groups):
        lines = plan_lines(replace(PLAN, groups=groups, at_most=24), Risk.HIGH, "1")
        return [line for line in lines if line.startswith("Limit: ")]

    one = "Limit: moves no more than 24 guests and other roles"
    assert limit(Group("one", (leaves_hv03,))) == [one]
    assert limit(Group("one", (leaves_hv03,)), Group("two", (leaves_hv04,))) == [f"{one} in each of 2 steps"]
    assert limit(Group("often", (leaves_hv03,), times=3)) == [f"{one} in each of 3 steps"]


def test_whether_a_gate_passed_is_signed_and_why_it_did_not_is_not():
    gates = [replace(PLAN, gates=(Gate("Quorum", outcome),)) for outcome in GateOutcome]
    assert [plan_from_json(plan_to_json(one)) for one in gates] == gates
    passed, blocked, not_known = (digest(one, Risk.HIGH, "1") for one in gates)
    assert blocked == not_known != passed


def test_every_field_is_written_even_while_it_is_empty():
    plain = replace(PLAN, groups=(Group("rest", (RESTART, SAMPLE, *OTHERS)),), touches=())
    written = signed_payload(plain, Risk.HIGH, "1")
    step = written["groups"][0]["steps"][0]
    assert (written["touches"], step["undo_says"], step["done"][0]["never"]) == ([], "", "")
    # A plan keeps its digest for as long as `FORMAT` stays what it is.
    assert digest(plain, Risk.HIGH, "1") == "ed44cc4e433b0c6102e01f6818930912ebdafec1eb8e938c974f5acb597d5208"


def test_risk_and_code_version_are_signed():
    both = {digest(PLAN, risk, version) for risk in Risk for version in ("1", "2")}
    assert len(both) == 4
    assert difference(PLAN, PLAN, Risk.LOW, ("1", "2")) == ("- Code: 1", "+ Code: 2")


def test_the_order_of_locks_is_not_signed_and_that_of_steps_is():
    assert digest(replace(PLAN, locks=PLAN.locks[::-1]), Risk.LOW, "1") == digest(PLAN, Risk.LOW, "1")
    first, second = PLAN.groups
    turned = replace(PLAN, groups=(first, replace(second, steps=second.steps[:1] + second.steps[:0:-1])))
    assert digest(turned, Risk.LOW, "1") != digest(PLAN, Risk.LOW, "1")


def test_a_question_and_an_action_with_the_same_fields_are_not_the_same_bytes():
    reads = Group("g", (Step("s", "s", None, (exists(RunReader("a", "b")),)),))
    written = str(signed_payload(replace(PLAN, groups=(reads,)), Risk.LOW, "1"))
    assert "'is': 'RunReader'" in written
    assert group_digest(reads, "1") != group_digest(replace(reads, key="h"), "1")


def test_what_a_person_reads_names_every_target_and_wait():
    text = "\n".join(plan_lines(PLAN, Risk.HIGH, "1"))
    for word in (
        "hv03",
        "Pause(DrainType=1)",
        "1800 s",
        "vmm01",
        "State=1 → State=None",
        "by hand (operator)",
        "failed",
    ):
        assert word in text
    other = replace(PLAN, locks=("cluster:branch",))
    assert difference(PLAN, other, Risk.HIGH, ("1", "1")) == (
        "- Locks: cluster:prod, node:hv03",
        "+ Locks: cluster:branch",
    )


@pytest.mark.parametrize("long", ["many lines", "one line"])
def test_of_a_long_plan_no_line_is_compared_letter_by_letter(monkeypatch, long):
    """Two gates that named 300 guests each took minutes of the loop, and a thousand steps hours."""

    def plan(tag):
        names = [f"{tag}-{number:04}" for number in range(900)]
        if long == "one line":
            unknowns = tuple(OpenQuestion(f"free space of {name}", "silent") for name in names)
            return replace(PLAN, gates=(Gate("room", GateOutcome.NOT_KNOWN, unknowns=unknowns),))
        return replace(PLAN, gates=tuple(Gate(f"{name} has room", GateOutcome.PASSED) for name in names))

    monkeypatch.setattr(plan_text.difflib, "ndiff", lambda *_: pytest.fail("it took long"))
    lines = difference(plan("crm"), plan("sql"), Risk.HIGH, ("1", "1"))
    assert {line[:2] for line in lines} == {"- ", "+ "}
    assert all("crm-" in line for line in lines if line.startswith("- "))
    assert all("sql-" in line for line in lines if line.startswith("+ "))
    assert sum(line.count("-0899") for line in lines) == 2


@pytest.mark.parametrize(
    "told", [None, [], {"is": "Plan"}, {"is": "nothing"}, {"is": "Gate", "description": "", "outcome": "passed"}]
)
def test_what_is_no_plan_is_refused(told):
    with pytest.raises(LedgerError):
        plan_from_json(told)


@pytest.mark.parametrize("other", ["Severity", "datetime", "StrEnum"])
def test_only_the_parts_of_a_plan_are_read_back_and_no_other_class_that_stands_beside_them(other):
    with pytest.raises(LedgerError, match=other):
        plan_from_json(plan_to_json(PLAN) | {"reason": {"is": other, "year": 2026, "month": 3, "day": 2, "value": ""}})


@pytest.mark.parametrize("value", [1.5, {"a": 1}, {"a"}, object(), b"a"])
def test_what_a_plan_cannot_hold_is_never_signed_as_something_else(value):
    step = Step("a", "A", RunProgram("hv03", "x", (("value", value),)), (exists(WRITERS),))
    with pytest.raises(TypeError, match="a plan cannot hold"):
        digest(replace(PLAN, groups=(Group("g", (step,)),)), Risk.HIGH, "1")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"key": "Drain!"}, "no key"),
        ({"done": ()}, "when it is done"),
        ({"undo": ManualStep("x", "operator")}, "nothing says when"),
        ({"repeatable": True}, "has not happened"),
        ({"deadline": 0}, "no time"),
        ({"moves": Check(NODES, (CompareToBefore("a"),))}, "does not count what it moves"),
    ],
)
def test_a_step_that_nobody_could_judge_is_refused(step, why):
    good = Step("a", "a", None, (exists(NODES),))
    with pytest.raises(ValueError, match=why):
        replace(good, **step)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"groups": (PLAN.groups[0], PLAN.groups[0])}, "two groups"),
        ({"groups": (Group("a", (DRAIN,)), Group("b", (DRAIN,)))}, "two steps"),
        ({"groups": (Group("a", ()),)}, "no steps"),
        ({"locks": ()}, "locks"),
        ({"locks": ("guest:a\0b",)}, "NUL"),
        ({"groups": (Group("a", (SAMPLE,)),)}, "compared with restart"),
        ({"groups": (Group("a", (replace(DRAIN, moves=exists(NODES)),)),)}, "how many at most"),
    ],
)
def test_a_plan_that_could_not_be_run_is_refused(change, why):
    with pytest.raises(ValueError, match=why):
        replace(PLAN, **change)


SOON = "2026-03-02T14:02:00+00:00"


def test_a_gate_that_only_takes_time_is_signed_as_one_that_has_passed():
    waits = Gate("Seen twice", outcome=GateOutcome.BLOCKED, measured="once", passes_at=SOON)
    passed = Gate("Seen twice", outcome=GateOutcome.PASSED, measured="twice")
    before, after = (replace(PLAN, gates=(gate,)) for gate in (waits, passed))
    assert digest(before, Risk.HIGH, "1") == digest(after, Risk.HIGH, "1")
    assert difference(before, after, Risk.HIGH, ("1", "1")) == ()
    assert digest(replace(PLAN, gates=(Gate("Seen twice", outcome=GateOutcome.BLOCKED),)), Risk.HIGH, "1") != digest(
        before, Risk.HIGH, "1"
    )
    assert "Check pending, and nothing runs before it passes: Seen twice" in plan_lines(before, Risk.HIGH, "1")
    assert before.pending_gates == (waits,)
    assert (before.blocking_gates, after.pending_gates) == ((), ())
    assert plan_from_json(plan_to_json(before)) == before


@pytest.mark.parametrize(("passed", "ripens_at"), [(True, SOON), (False, "soon"), (False, "2026-03-02T14:02:00")])
def test_a_gate_nobody_could_wait_for(passed, ripens_at):
    gate = Gate("Seen twice", outcome=GateOutcome.of(passed), passes_at=ripens_at)
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words for the second one
        replace(PLAN, gates=(gate,))
