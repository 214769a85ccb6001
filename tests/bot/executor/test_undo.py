"""What is left to take back of a ticket: nothing, where the plan itself puts back what it changed on the way."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import scripted_world as scripted
import structlog
from entry_samples import entry_data
from scripted_world import (
    APPROVER,
    BOTH,
    OPERATOR,
    OtherClock,
    is_now,
    moves,
    set_to,
    simple,
    state,
    step,
    taken_at_once,
)

from bot.api.actions import ManualStep
from bot.api.command import Risk
from bot.api.plan import Expect, Gate, GateOutcome, Group, OpenQuestion, Plan, Step, exists
from bot.api.queries import Predicate
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan, TargetFault, TicketError, UsageError
from bot.ledger import EntryDraft
from bot.ledger.entries import Done, Failed, Interrupted, Started
from bot.tickets.plan_digest import plan_from_json, plan_to_json
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import proposal_of, step_seconds
from bot.tickets.run_history import DONE, FAILED, BegunStep, RunHistory, positions
from bot.tickets.undo import place_of, remaining_undo, under_way, undo_plan, without_past

FACTS = {"broken": "yes", "locked": "no"}


def told(plan, *results):
    """A story in which so many steps were begun, each with its result."""
    story = RunHistory()
    for place, result in zip(positions(plan), results, strict=False):
        story.intents[place.key] = BegunStep(datetime.now(UTC), 1, None, 1)
        story.outcomes[place.key] = entry_data("outcome", {"result": result})
    return story


@pytest.mark.parametrize(
    ("puts_back", "results", "keys"),
    [
        (False, (DONE, DONE, DONE), ["undo-pause"]),
        (True, (DONE, DONE, DONE), []),
        (True, (DONE, FAILED), ["undo-pause"]),
        (True, (DONE, DONE), ["undo-pause"]),
        (True, (), []),
    ],
)
def test_what_is_left_to_undo(puts_back, results, keys):
    plan = replace(scripted.reset_plan("hv03", FACTS), self_reverting=puts_back)
    assert [step.key for step in remaining_undo(plan, told(plan, *results))] == keys


@pytest.mark.parametrize(
    ("results", "keys"),
    [
        ((DONE,), ["undo-a"]),
        ((DONE, DONE), []),
        ((DONE, FAILED), []),
        ((DONE, "in flight"), []),
        ((DONE, "not sent"), ["undo-a"]),
        ((DONE, DONE, DONE), ["undo-c"]),
    ],
)
def test_nothing_is_undone_from_before_a_step_that_forbids_it_once_that_may_have_been_sent(results, keys):
    back = set_to("hv03", a="0")
    a, b, c = (replace(step(key, "hv03", a="1"), undo=back, undone=(is_now("hv03", a="0"),)) for key in "abc")
    b = replace(b, undo=None, undone=(), no_undo_after=True)
    plan = replace(scripted.reset_plan("hv03", FACTS), groups=(Group("all", (a, b, c)),))
    story = told(plan, *(DONE if one == "in flight" else one for one in results))
    if results[-1] == "in flight":
        del story.outcomes["b", 1]
    if results[-1] == "not sent":
        story.outcomes["b", 1] = entry_data("outcome", {"result": "failed", "not_executed": True})
    assert [one.key for one in remaining_undo(plan, story)] == keys
    says = undo_plan(SimpleNamespace(plan=plan, ticket="T-1"), story).reason
    assert ("No step before “b hv03” is undone" in says) == (keys != ["undo-a"])
    assert plan_from_json(plan_to_json(plan)) == plan
    assert any("no earlier step is undone" in line for line in plan_lines(plan, Risk.HIGH, "1"))


@pytest.mark.parametrize(
    ("results", "keys"),
    [
        ((DONE, DONE), []),
        ((DONE, FAILED), ["undo-a"]),
        ((DONE, "in flight"), ["undo-a"]),
        ((DONE, DONE, DONE), ["undo-c"]),
    ],
)
def test_what_a_later_step_has_put_back_is_not_undone(results, keys):
    """Somebody may have done the same on purpose since; nobody would be asked."""
    undo = {"undo": set_to("hv03", a="0"), "undone": (is_now("hv03", a="0"),)}
    a, c = (replace(step(key, "hv03", a="1"), **undo) for key in "ac")
    b = replace(step("b", "hv03", a="0"), reverts=("a", "no-step-of-this-plan"))
    plan = replace(scripted.reset_plan("hv03", FACTS), groups=(Group("all", (a, b, c)),))
    story = told(plan, *(DONE if one == "in flight" else one for one in results))
    if results[-1] == "in flight":
        del story.outcomes["b", 1]
    assert [one.key for one in remaining_undo(plan, story)] == keys
    assert plan_from_json(plan_to_json(plan)) == plan
    assert "   once done, no longer undone: step 1 (a hv03)" in plan_lines(plan, Risk.HIGH, "1")


LOCKS = Gate("No guest is locked", GateOutcome.PASSED)


@pytest.fixture
async def done(bench, world):
    """A ticket that has ended, and the gates that the next look will find; the plan itself finds nothing to do then."""
    gates = [LOCKS]

    def plan(on, facts):
        return replace(scripted.reset_plan(on, facts), gates=tuple(gates))

    bench.plans["reset"] = plan
    await bench.approved()
    await bench.runs()
    assert bench.last("T-1").kind == "done"
    world.hosts["hv03"]["broken"] = "no"
    return gates


async def undo(bench, by=scripted.OPERATOR):
    return await bench.proposals.undo(Request(by, "undo T-1", "button", "C0OPS"), "T-1")


async def test_the_way_back_shows_no_limit_that_nobody_counts(bench, world):
    """The cluster does not say which roles a drain moved: whatever waits to come back comes, and the limit of the way there is no limit."""
    bench.plans["reset"] = lambda on, facts: replace(scripted.reset_plan(on, facts), at_most=22)
    await bench.approved()
    await bench.runs()
    plan = (await undo(bench)).proposal.plan
    assert plan.at_most is None
    assert not [line for line in plan_lines(plan, Risk.HIGH, "1") if line.startswith("Limit:")]


async def test_what_guards_safety_is_asked_anew_and_holds_the_way_back(bench, done):
    done[:] = [replace(LOCKS, outcome=GateOutcome.BLOCKED, measured="9 of 11 locked")]
    with pytest.raises(
        TicketError, match=r"cannot be undone now\. This check failed: No guest is locked \(9 of 11 locked\)"
    ):
        await undo(bench)
    assert bench.ledger.head().kind == "refused"
    done[:] = [LOCKS]
    assert (await undo(bench)).proposal.plan.gates == (LOCKS,)


async def test_what_guards_worth_only_warns_on_the_way_back(bench, done):
    stuck = Gate("It is stuck", GateOutcome.BLOCKED, "it is well", guards="worth", passes_at="2026-03-02T15:00:00Z")
    done[:] = [LOCKS, stuck]
    assert (await undo(bench)).proposal.plan.gates[1] == replace(stuck, blocks=False, passes_at="")


async def test_what_is_not_known_is_answered_by_somebody_else_on_the_way_back_too(bench, world, done):
    silent = replace(LOCKS, outcome=GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion("locks of hv03", "timed out"),))
    done[:] = [silent]
    found = await undo(bench)
    assert (found.proposal.policy, bench.ledger.ticket(found.ticket).questions) == ("approval", ("locks of hv03",))
    bench.decisions.approve(bench.press(scripted.APPROVER, found.ticket), ("I looked in Failover Cluster Manager",))
    await bench.runs()
    assert bench.last(found.ticket).kind == "done"
    assert world.hosts["hv03"]["paused"] == "no"


async def test_a_gate_that_turned_between_approval_and_start_voids_the_way_back(bench, done):
    found = await undo(bench)
    bench.decisions.approve(bench.press(scripted.APPROVER, found.ticket))
    done[:] = [replace(LOCKS, outcome=GateOutcome.BLOCKED)]
    await bench.runs()
    assert bench.last(found.ticket).kind == "voided"


async def test_a_safety_gate_that_is_not_listed_any_more_is_shown_as_not_asked(bench, done):
    done.clear()
    (gate,) = (await undo(bench)).proposal.plan.gates
    assert (gate.description, gate.outcome, gate.blocks) == (LOCKS.description, GateOutcome.NOT_KNOWN, False)
    assert gate.measured.startswith("not asked")


async def test_a_command_that_cannot_be_asked_any_more_is_taken_back_by_nobodys_word(bench, done):
    """Its plan had gates that guard safety: quorum, locks and other running changes are among those."""
    del bench.pipeline.registry.commands["reset"]
    with pytest.raises(TicketError, match="It is not known whether T-1 can be undone safely"):
        await undo(bench)


async def test_a_command_says_itself_what_has_to_be_so_on_the_way_back(bench, done):
    command = bench.pipeline.registry.commands["reset"]
    asked = []

    def gates(args, facts, back):
        asked.append((args.host.name, facts["name"], [step.key for step in back.steps]))
        return (replace(LOCKS, description="Nobody updates the cluster"),)

    spec = replace(command.spec, undo_gates=gates)
    bench.pipeline.registry.commands["reset"] = replace(command, spec=spec)
    done[:] = [replace(LOCKS, outcome=GateOutcome.BLOCKED)]
    (gate,) = (await undo(bench)).proposal.plan.gates
    assert gate.description == "Nobody updates the cluster"
    assert asked == [("hv03", "hv03", ["undo-pause"])]


async def test_what_was_done_on_a_node_of_another_cluster_by_now_has_no_undo(bench, world, done):
    """It would take the old cluster's locks and freezes, and nobody would ask for a role on the new one."""
    moves(bench)
    with pytest.raises(NoPlan, match="No plan to undo T-1: hv03 was in prod then and is in branch now") as refused:
        await undo(bench, scripted.BOTH)
    assert "Request a change of its own for hv03" in str(refused.value)
    assert [entry.ticket for entry in bench.ledger.entries(kind="proposed")] == ["T-1"]
    assert bench.ledger.locks() == {}


async def test_nothing_is_taken_back_where_the_node_moves_between_approval_and_start(bench, world, done):
    found = await undo(bench)
    bench.decisions.approve(bench.press(scripted.APPROVER, found.ticket))
    acts = len(world.order)
    moves(bench)
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, len(world.order)) == ("voided", acts)
    assert "hv03 was in prod then and is in branch now" in bench.last(found.ticket).reason
    assert "started" not in bench.kinds(found.ticket)


@pytest.mark.parametrize("typed", ["hv03", "hv03.corp.example"])
async def test_what_is_taken_back_by_hand_goes_by_where_its_node_is_too(bench, world, typed):
    """By the name that its plan asks for, whether it was typed so or not."""
    world.hosts[typed] = dict(world.hosts["hv03"])
    tweak = replace(
        step("tweak", "hv03", tweaked="yes"),
        undo=ManualStep("Put it back", "operator"),
        undone=(is_now("hv03", tweaked="no"),),
    )
    bench.plans["reset"] = lambda *_: scripted.simple("hv03", tweak)
    await bench.approved(f"/reset {typed}")
    await bench.runs()
    moves(bench)
    with pytest.raises(NoPlan, match="hv03 was in prod then and is in branch now"):
        await undo(bench)


async def test_where_nobody_knows_where_a_node_is_its_change_has_no_undo(bench, world, done):
    async def lost(names):
        why = "There is no such host. The nodes of prod are not known: no answer."
        return {name: UsageError(why) for name in names}

    bench.planner._inventory.find_now = lost
    with pytest.raises(NoPlan, match=r"where it is now is not known: .* The nodes of prod are not known"):
        await undo(bench)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_node_that_moves_in_the_middle_of_a_group_is_acted_on_no_more(bench, world, fails):
    """Neither the next step of its plan is sent there, nor what would take the group back."""
    first = replace(step("first", "hv03", a="1"), undo=set_to("hv03", a=""), undone=(is_now("hv03", a=""),))
    groups = (Group("all", (first, step("second", "hv03", b="1")), on_failure="undo"),)
    bench.plans["reset"] = lambda *_: Plan("why", "", "", ("node:hv03",), (), groups)
    ticket = await bench.approved()
    if fails:
        world.faults = [None, "refused"]
        world.logins[1] = lambda: moves(bench)
    else:
        world.hooks[1] = lambda: moves(bench)
    await bench.runs()
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", 1)
    assert "hv03 is in branch now, and this was decided for prod" in bench.last(ticket).data.known


async def test_a_group_that_failed_goes_back_by_the_guards_of_its_steps_alone(bench, world):
    """Nobody is asked in the middle: what the gates say by then keeps nothing half done."""

    def plan(on, facts):
        whole = scripted.reset_plan(on, facts)
        group = Group("all", whole.steps, on_failure="undo")
        return replace(
            whole, gates=(replace(LOCKS, outcome=GateOutcome.of(facts.get("locked") == "no")),), groups=(group,)
        )

    bench.plans["reset"] = plan
    world.hooks[1] = lambda: world.hosts["hv03"].update(locked="yes")
    world.faults = [None, "refused"]
    ticket = await bench.approved()
    await bench.runs()
    assert (bench.last(ticket).kind, bench.last(ticket).data.rolled_back) == ("failed", True)
    assert world.hosts["hv03"]["paused"] == "no"


def guarded(bench, world):
    """Something is set, something else fails, and what was set goes back: unless somebody else has set it meanwhile."""
    world.hosts["hv03"]["a"] = ""
    mine = exists(state("hv03"), Predicate("a", "in", ("", "1")), within=30).described_as("a is as it was left")
    write = replace(
        step("write", "hv03", a="1"), before=state("hv03"), undo=set_to("hv03", a=""), undone=(is_now("hv03", a=""),),
        undo_guard=(mine,),
    )  # fmt: skip
    judge = Step("judge", "It is well", None, (is_now("hv03", within=60, b="1"),))
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", (write, judge), on_failure="undo"),))
    bench.plans["reset"] = lambda *_: plan
    return plan


async def test_what_somebody_else_has_changed_meanwhile_is_not_taken_back(bench, world):
    guarded(bench, world)
    ticket = await bench.approved()
    world.hooks[1] = lambda: world.later.append((bench.clock() + timedelta(seconds=20), "hv03", {"a": "theirs"}))
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert "not started: not met: a is as it was left" in bench.last(ticket).data.known
    assert (len(world.order), world.rows("hv03")[0]["a"]) == (1, "theirs")


async def test_what_nobody_else_has_changed_goes_back(bench, world):
    plan = guarded(bench, world)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.rolled_back
    assert world.rows("hv03")[0]["a"] == ""
    assert plan_from_json(plan_to_json(plan)) == plan
    assert any("undo only if: a is as it was left" in line for line in plan_lines(plan, Risk.HIGH, "1"))


def test_a_guard_of_the_way_back_is_signed_where_there_is_one():
    """What was signed before there was such a field keeps its digest."""
    plain = Plan("why", "", "", ("node:hv03",), (), (Group("all", (step("one", "hv03", a="1"),)),))
    assert "undo_guard" not in str(plan_to_json(plain))
    assert plan_from_json(plan_to_json(plain)) == plain


def slow(on, _facts):
    """An action that may take ten minutes, and whose answer says nothing."""
    pause = Step(
        "pause",
        f"Pause {on}",
        set_to(on, paused="yes"),
        done=(is_now(on, 600, paused="yes"),),
        before=state(on),
        undo=set_to(on, paused="no"),
        undone=(is_now(on, 60, paused="no"),),
        deadline=600,
    )
    return simple(on, pause)


async def test_what_was_sent_and_may_be_under_way_is_undone_once_its_time_is_over(benches, world, clock):
    """Its wait was ended, or it was interrupted, while the host was at it: an undo before that would be overtaken by it."""
    bench = benches(plans={"reset": slow})
    world.faults = [("late", 400)]
    ticket = await bench.approved()
    began = clock()

    def stops():
        if bench.ledger.ticket(ticket).intent is not None and not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    sleep = bench.parts.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        stops()

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(1)
    assert bench.last(ticket).kind in ("interrupted", "cancelled")
    assert clock() - began < timedelta(seconds=300)
    plan = (await bench.planner.undo(ticket)).plan
    (waits,) = (gate for gate in plan.gates if gate.passes_at)
    assert "“Pause hv03” was sent and may still be in progress until" in waits.finding
    assert datetime.fromisoformat(waits.passes_at) >= began + timedelta(seconds=600)
    bench.known[BOTH.id] = BOTH
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, back))
    await bench.runs(2)
    assert bench.last(back).kind == "approved", "it waits"
    clock.forward(seconds=700)
    await bench.runs(3)
    assert bench.last(back).kind == "done"
    clock.forward(seconds=700)
    assert world.rows("hv03")[0]["paused"] == "no"
    assert bench.ledger.verify().holds


@pytest.fixture
async def left(benches, world, clock):
    """Makes an approved undo of a shutdown that was taken, and whose wait was ended: bench, undo, and when it was sent."""

    async def stopped(comes_after, set_by=0, **values):
        world.hosts["hv03"]["power"] = "on"
        bench = benches(plans={"reset": taken_at_once})
        other = OtherClock(clock, 0)
        bench.goes_by(other)
        bench.planner._clock = other
        bench.known[BOTH.id] = BOTH
        world.faults = [("slow", comes_after)]
        world.hooks[1] = lambda: (
            world.hosts["hv03"].update(values),
            bench.decisions.cancel(bench.press(OPERATOR, "T-1")),
        )
        ticket, began = await bench.approved(), clock()
        await bench.runs()
        (outcome,) = (one.data for one in bench.ledger.story(ticket) if one.kind == "outcome")
        assert (bench.last(ticket).kind, outcome.result) == ("cancelled", "abandoned")
        other.set_by(set_by)
        back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
        bench.decisions.approve(bench.press(APPROVER, back))
        await bench.runs()
        assert bench.last(back).kind == "approved", "it starts once the host can have taken it"
        clock.forward(seconds=110)
        return bench, back, began

    return stopped


def basis(bench, ticket):
    return [(one.data.result, one.data.basis) for one in bench.ledger.story(ticket) if one.kind == "outcome"]


async def test_what_a_host_took_and_carries_out_later_is_undone_once_it_shows(left, world, clock):
    """Else the undo would be done by how it was before, and the machine go off afterwards, with no ticket left open."""
    bench, back, began = await left(400)
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("done", [("done", "changed")])
    assert timedelta(seconds=400) <= clock() - began < timedelta(seconds=500)
    clock.forward(seconds=1000)
    assert world.rows("hv03")[0]["power"] == "on"
    said = [one.says for one in bench.told if one.kind == "progress" and one.ticket == back]
    assert said[0].startswith("“Shut down hv03” was sent and may still take effect until 14:16 UTC on 2026-03-02")


async def test_nothing_to_undo_counts_once_the_whole_time_of_what_was_sent_is_over(left, world, clock):
    bench, back, began = await left(10**6)
    plan = bench.ledger.proposal(back)
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("done", [("done", "already so")])
    assert clock() - began >= timedelta(seconds=60 + 900)
    assert clock() < datetime.fromisoformat(plan.fields["run_until"])


async def test_a_clock_that_was_set_forward_since_shortens_no_wait_for_something_to_undo(left, world, clock):
    bench, back, began = await left(800, set_by=600)
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("done", [("done", "changed")])
    assert clock() - began >= timedelta(seconds=800)
    assert world.rows("hv03")[0]["power"] == "on"


async def test_a_clock_that_was_set_forward_since_takes_no_wait_out_of_the_plan(left):
    bench, *_ = await left(400)
    acts, made = bench.planner._taken_back("T-1", "")
    late = acts.story.intents["stop", 1].at + timedelta(hours=2)
    for steady, waits in ((None, False), (100.0, True), (1004.0, True), (1006.0, False)):
        (step,) = without_past(made.plan, late, None, steady).steps
        assert (step.undoes is not None) is waits


async def test_silence_is_nothing_that_shows(left, world, clock):
    """Whether there is something to undo, a host that does not answer has not said."""
    bench, back, began = await left(400)
    sleep = bench.parts.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        world.silent = {"hv03"} if clock() - began < timedelta(seconds=300) else set()

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("done", [("done", "changed")])
    assert clock() - began >= timedelta(seconds=400)
    clock.forward(seconds=1000)
    assert world.rows("hv03")[0]["power"] == "on"


async def test_what_shows_at_once_is_undone_at_once(left, world, clock):
    """A drain, of which the node says at once that it is paused, is not waited for."""
    bench, back, began = await left(10**6, power="going off")
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("done", [("done", "changed")])
    assert clock() - began < timedelta(seconds=200)


@pytest.mark.parametrize(("comes_after", "ends"), [(400, "failed"), (10**6, "done")])
async def test_an_undo_that_was_refused_is_not_done_by_what_shows_before_that_time_is_over(
    left, world, clock, comes_after, ends
):
    """The host was busy with what is undone, and a moment later it shows nothing of it."""
    bench, back, began = await left(comes_after, power="going off")
    world.logins[1] = lambda: world.hosts["hv03"].update(power="on")
    world.faults = ["refused"]
    await bench.runs(3)
    assert (bench.last(back).kind, len(world.order)) == (ends, 1)
    assert clock() - began >= timedelta(seconds=400 if ends == "failed" else 960)


@pytest.mark.parametrize("how", ["cancelled", "killed"])
async def test_the_wait_after_a_refused_undo_that_is_left_calls_nothing_done(left, world, clock, how):
    bench, back, _ = await left(400, power="going off")
    world.logins[1] = lambda: world.hosts["hv03"].update(power="on")
    world.faults = ["refused"]
    sleep, waits = bench.parts.sleep, asyncio.Event()

    async def sleeps(seconds):
        await sleep(seconds)
        if how == "killed":
            waits.set()
            await asyncio.Event().wait()
        if not bench.ledger.ticket(back).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, back))

    object.__setattr__(bench.parts, "sleep", sleeps)
    if how == "cancelled":
        await bench.runs(2)
        assert (bench.last(back).kind, basis(bench, back)) == ("cancelled", [("abandoned", "")])
        return
    await bench.runner.tick()
    async with asyncio.timeout(30):
        await waits.wait()
    object.__setattr__(bench.parts, "sleep", sleep)
    await bench.dies()
    await bench.runs(3)
    assert (bench.last(back).kind, basis(bench, back)) == ("interrupted", [])
    assert world.rows("hv03")[0]["power"] == "off"


async def test_who_ends_the_wait_for_something_to_undo_leaves_nothing_called_done(left, world):
    bench, back, _ = await left(400)
    sleep = bench.parts.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        if bench.ledger.ticket(back).attempt and not bench.ledger.ticket(back).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, back))

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(2)
    assert (bench.last(back).kind, basis(bench, back)) == ("cancelled", [])
    assert [step.key for step in (await bench.planner.undo("T-1")).plan.steps] == ["undo-stop"]


async def test_the_plan_of_an_undo_says_until_when_it_waits_and_gives_it_that_time(left, clock):
    bench, back, began = await left(400)
    proposed = proposal_of(bench.ledger, back)
    (step,) = proposed.plan.steps
    ends = began + timedelta(seconds=60 + 45 + 900)
    assert datetime.fromisoformat(step.undoes.until) == ends
    (line,) = (
        one for one in plan_lines(proposed.plan, Risk.HIGH, "1") if "starts once there is something to undo" in one
    )
    assert step.undoes.until in line
    assert step_seconds(step) == 900 + step_seconds(replace(step, undoes=None))
    assert datetime.fromisoformat(proposed.run_until) > ends + timedelta(seconds=120)
    assert plan_from_json(plan_to_json(proposed.plan)) == proposed.plan
    # Of an undo that is asked for when all of that is over, the plan says nothing of it.
    clock.now = ends + timedelta(seconds=1)
    assert [one.undoes for one in (await bench.planner.undo("T-1")).plan.steps] == [None]
    (approved,) = (await bench.planner.undo("T-1", "", proposed.plan, back)).plan.steps
    assert approved.undoes == step.undoes


async def test_an_undo_of_an_earlier_interruption_frees_no_lock_of_a_later_one(bench, world):
    """Another approver let the ticket go on meanwhile, and something else is in doubt by now that nobody has seen."""
    bench.known[BOTH.id] = BOTH
    ticket = await bench.approved()
    world.hooks[1] = lambda: world.silent.add("hv03")
    await bench.runs(2)
    assert bench.last(ticket).kind == "interrupted"
    world.silent.clear()
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    world.faults = ["never"]
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.ledger.ticket(ticket).attempt > 1) == ("interrupted", True)
    sent = len(world.order)
    bench.decisions.approve(bench.press(APPROVER, back))
    bench.clock.forward(minutes=10)  # until nothing can be under way
    await bench.runs(2)
    assert (bench.last(back).kind, len(world.order)) == ("voided", sent)
    assert f"{ticket} has resumed since this undo was proposed" in bench.last(back).reason
    assert bench.ledger.locks() == {"node:hv03": ticket}


def two_steps(on, _facts):
    """A pause, which may be sent again, and a second step; both can be undone."""
    (pause,) = slow(on, _facts).groups[0].steps
    second = replace(step("second", on, second="yes"), before=state(on), undo=set_to(on, second="no"))
    return simple(on, replace(pause, before=state(on), repeatable=True), second)


async def in_doubt(bench, world):
    """A ticket that is interrupted behind its first step."""
    bench.plans["reset"] = two_steps
    bench.known[BOTH.id] = BOTH
    ticket = await bench.approved()
    world.hooks[1] = lambda: world.silent.add("hv03")
    await bench.runs(2)
    assert bench.last(ticket).kind == "interrupted"
    world.silent.clear()
    bench.clock.forward(minutes=20)  # nothing can be under way any more
    return ticket


async def undo_that_waits_for_slack(bench, world, asks, meanwhile):
    """An interrupted ticket, and its approved undo that runs; what happens while Slack is asked so often for its people."""
    ticket = await in_doubt(bench, world)
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, back))
    asked, people = [], bench.people

    async def takes_its_time(person_id, name):
        if asyncio.current_task().get_name() == back:
            asked.append(person_id)
            if len(asked) == asks:
                await meanwhile(ticket)
        return await people(person_id, name)

    object.__setattr__(bench.parts, "people", takes_its_time)
    await bench.runs()
    return ticket, back


@pytest.mark.parametrize("ends", ["done", "interrupted"])
async def test_an_undo_does_not_start_where_its_ticket_resumes_while_slack_is_asked_for_its_people(bench, world, ends):
    """Two people at once: one lets the ticket go on, while the undo that another approved has looked and starts."""

    async def goes_on(ticket):
        world.faults = [] if ends == "done" else [TargetFault("hv03", "something happened", code=5)]
        bench.decisions.resume(bench.press(BOTH, ticket))
        for _ in range(2_000):
            if bench.ledger.ticket(ticket).attempt > 1 and bench.last(ticket).kind in ("done", "interrupted"):
                break
            await bench.runner.tick()
            await asyncio.sleep(0.001)

    ticket, back = await undo_that_waits_for_slack(bench, world, 3, goes_on)
    await bench.runs(2)
    assert bench.last(ticket).kind == ends
    assert (bench.last(back).kind, "started" in bench.kinds(back)) == ("voided", False)
    assert f"{ticket} has resumed since this undo was proposed" in bench.last(back).reason
    assert world.order[-1][2] == "yes", "nothing was undone"
    assert bench.ledger.locks() == ({} if ends == "done" else {"node:hv03": ticket})
    assert bench.ledger.verify().holds


@pytest.mark.parametrize("then", ["running", "interrupted"])
async def test_no_undo_is_proposed_of_a_ticket_that_resumes_while_hosts_are_asked(bench, world, monkeypatch, then):
    """It would be made from how things stood before, and start by itself at an interruption that nobody has seen."""
    ticket = await in_doubt(bench, world)
    undo = bench.planner.undo

    async def takes_its_time(name):
        made = await undo(name)
        bench.decisions.resume(bench.press(BOTH, ticket))
        if then == "interrupted":
            bench.ledger.append("bot", Interrupted(attempt=2, reason="again"), ticket)
        return made

    monkeypatch.setattr(bench.planner, "undo", takes_its_time)
    with pytest.raises(TicketError, match=f"{ticket} has moved on while its undo was planned"):
        await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)
    assert bench.ledger.undos_of(ticket) == ()
    assert bench.ledger.head().kind == "refused"


@pytest.mark.parametrize("asks", [1, 3], ids=["before it looks", "for its replacement"])
async def test_what_replaces_an_undo_is_proposed_of_no_ticket_that_resumes_meanwhile(bench, world, monkeypatch, asks):
    rebuild = bench.planner.rebuild

    async def of_another_version(proposal, *words):
        bench.planner.version = "another" if proposal.made.undoes else bench.version
        return await rebuild(proposal, *words)

    async def goes_on(ticket):
        bench.decisions.resume(bench.press(BOTH, ticket))

    monkeypatch.setattr(bench.planner, "rebuild", of_another_version)
    ticket, back = await undo_that_waits_for_slack(bench, world, asks, goes_on)
    assert bench.last(back).kind == "voided"
    assert bench.ledger.undos_of(ticket) == (back,)
    assert f"{ticket} has " in bench.last(back).reason


async def test_what_starts_looks_again_where_another_ticket_has_moved_since_under_its_locks(bench, world):
    """A ticket that gave way is let go on while Slack is asked: what it changes, the plan made before does not know."""
    bench.known[BOTH.id] = BOTH
    first = await bench.approved("/tweak hv03", BOTH, BOTH)
    bench.ledger.append("bot", Started(attempt=1, locks=("node:hv03",)), first)
    bench.ledger.append("bot", Interrupted(attempt=1, reason="it waits", yields_locks=True), first)
    second = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, second))
    asked, people = [], bench.people

    async def takes_its_time(person_id, name):
        if asyncio.current_task().get_name() == second:
            asked.append(person_id)
            if len(asked) == 3:  # twice before its plan is made afresh
                bench.decisions.resume(bench.press(BOTH, first))
                bench.ledger.append("bot", Done(attempt=2, message="done"), first)
                world.hosts["hv03"]["broken"] = "no"
        return await people(person_id, name)

    object.__setattr__(bench.parts, "people", takes_its_time)
    await bench.runs(2)
    assert (bench.last(second).kind, world.order) == ("voided", [])
    assert "nothing is left to do" in bench.last(second).reason


async def test_a_start_waits_for_a_ticket_that_goes_on_just_before_its_locks_are_taken_over(bench, world, monkeypatch):
    """Its person lets it go on in that very moment: nobody is to blame, and the start is due as soon as that one has ended."""
    bench.known[BOTH.id] = BOTH
    first = await bench.approved("/tweak hv03", BOTH, BOTH)
    bench.ledger.append("bot", Started(attempt=1, locks=("node:hv03",)), first)
    bench.ledger.append("bot", Interrupted(attempt=1, reason="it waits", yields_locks=True), first)
    second = await bench.approved()
    append_together, tried = bench.ledger.append_together, []

    def after_go_on(*drafts, **how):
        if drafts[0].kind == "started" and not tried:
            tried.append(drafts[0].data.takes_over)
            bench.decisions.resume(bench.press(BOTH, first))
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", after_go_on)
    with structlog.testing.capture_logs() as logs:
        await bench.runs()
    assert (tried, bench.ledger.ticket(second).state) == ([first], "approved")
    await bench.runs(3)
    assert (bench.last(first).kind, bench.last(second).kind) == ("done", "done")
    assert not [one for one in logs if one["log_level"] in ("warning", "error")]


async def test_go_on_counts_no_more_where_an_undo_has_begun_and_ended_since_it_was_looked_at(bench, world, monkeypatch):
    ticket = await in_doubt(bench, world)
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, back))
    append_together = bench.ledger.append_together

    def after_an_undo(*drafts, **how):
        if drafts[0].kind == "resumed" and "started" not in bench.kinds(back):
            act = {"step": "undo-pause", "round": 1, "attempt": 1}
            for told in (
                Started(attempt=1, locks=("node:hv03",), takes_over=ticket),
                entry_data("intent", act),
                entry_data("outcome", act),
                Failed(attempt=1, reason="the rest could not be undone"),
            ):
                append_together(EntryDraft("bot", told, back))
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", after_an_undo)
    with pytest.raises(TicketError, match=f"{ticket} cannot go on: {back} has begun to take it back"):
        bench.decisions.resume(bench.press(BOTH, ticket))
    assert bench.ledger.ticket(ticket).state == "interrupted"


async def test_an_undo_ends_as_done_also_where_somebody_closes_its_ticket_in_that_moment(bench, world, monkeypatch):
    ticket = await in_doubt(bench, world)
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, back))
    append_together = bench.ledger.append_together

    def after_a_close(*drafts, **how):
        if drafts[0].kind == "done" and bench.ledger.ticket(ticket).state == "interrupted":
            bench.decisions.close(bench.press(OPERATOR, ticket), "by hand")
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", after_a_close)
    await bench.runs(2)
    assert (bench.last(back).kind, bench.ledger.locks()) == ("done", {})
    assert bench.kinds(ticket)[-1] == "closed"
    assert bench.last(ticket).reason == "by hand"


@pytest.mark.parametrize(("undo", "waits"), [(None, 645 + 3_000), (set_to("hv03", paused="no"), 645)])
def test_of_what_has_no_undo_of_its_own_the_time_in_which_it_shows_counts_as_well(undo, waits):
    """A restart is taken at once; the host goes down minutes later, with the guests that an undo has brought back to it."""
    step = Step(
        "restart",
        "Restart hv03",
        set_to("hv03", paused="yes"),
        done=(is_now("hv03", 3_000, paused="yes"),),
        before=state("hv03"),
        undo=undo,
        undone=(is_now("hv03", 60, paused="no"),) if undo else (),
        deadline=600,
    )
    begun = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    story = RunHistory(intents={("restart", 1): BegunStep(begun, 1, None, 1)}, unsettled={("restart", 1)})
    (gate,) = under_way([(simple("hv03", step), story)], begun + timedelta(seconds=1), None)
    assert datetime.fromisoformat(gate.passes_at) == begun + timedelta(seconds=waits)


UNTOUCHED = Gate("Nobody has used hv03 since", GateOutcome.PASSED)
DISCARDS = [
    replace(UNTOUCHED, outcome=GateOutcome.BLOCKED, measured="it was used for 3 h"),
    replace(UNTOUCHED, outcome=GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion("use of hv03", "no state tells"),)),
    replace(UNTOUCHED, outcome=GateOutcome.NOT_KNOWN, answerable=False),
]


@pytest.fixture
def failing(bench, world):
    """The third step of a group fails; `failing.gates` are what the command's undo is asked, `asked` with which steps."""

    class Failing:
        gates = (UNTOUCHED,)

        def __init__(self):
            self.asked = []
            command = bench.pipeline.registry.commands["reset"]
            spec = replace(command.spec, undo_gates=self.undo_gates)
            bench.pipeline.registry.commands["reset"] = replace(command, spec=spec)
            first, second = (
                replace(
                    step(key, "hv03", **{key: "1"}),
                    undo=set_to("hv03", **{key: ""}),
                    undone=(is_now("hv03", **{key: ""}),),
                )
                for key in ("one", "two")
            )
            fails = Step(
                "three", "three hv03", set_to("hv03", three="1"), (is_now("hv03", three="2", give_up=Expect()),)
            )
            groups = (Group("all", (first, second, fails), on_failure="undo"),)
            self.plan = Plan("why", "", "", ("node:hv03",), (), groups)
            bench.plans["reset"] = lambda *_: self.plan

        def undo_gates(self, _args, _facts, back):
            self.asked.append([step.key for step in back.steps])
            return self.gates

        def values(self):
            row = world.rows("hv03")[0]
            return row["one"], row["two"]

    return Failing()


@pytest.mark.parametrize("gate", DISCARDS, ids=["blocked", "an approver would be asked", "nobody can answer"])
async def test_what_a_persons_undo_is_asked_no_run_passes_over_by_itself(bench, world, failing, gate):
    """Nothing is sent, and a person's undo asks an approver."""
    failing.gates = (gate,)
    ticket = await bench.approved()
    await bench.runs(2)
    end = bench.last(ticket)
    assert (end.kind, len(world.order), failing.values()) == ("interrupted", 3, ("1", "1"))
    assert f"Its group is not undone automatically: {gate.finding}" in end.reason
    assert end.reason.startswith("step 3, three hv03: ")
    assert failing.asked == [["undo-two", "undo-one"]]


async def test_a_failed_group_whose_undo_may_be_sent_is_undone_by_the_run(bench, world, failing):
    ticket = await bench.approved()
    await bench.runs()
    assert (bench.last(ticket).kind, bench.last(ticket).data.rolled_back) == ("failed", True)
    assert (failing.values(), failing.asked) == (("", ""), [["undo-two", "undo-one"]])


async def test_what_an_approver_of_the_ticket_answered_for_the_same_check_counts_for_its_undo(bench, world, failing):
    unknown = DISCARDS[1]
    failing.plan = replace(failing.plan, gates=(unknown,))
    failing.gates = (unknown,)
    ticket = (await bench.propose("/reset hv03", OPERATOR)).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket), ("I asked everybody",))
    await bench.runs()
    assert (bench.last(ticket).kind, failing.values()) == ("failed", ("", ""))


@pytest.mark.parametrize("held", [3, 4], ids=["before the first undo", "between two undos"])
async def test_behind_a_stop_it_is_asked_anew_whether_the_run_may_undo(bench, world, failing, held):
    world.hooks[held] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
    sleep = bench.parts.sleep

    async def hold(seconds):
        if not bench.ledger.is_stopped():
            await sleep(seconds)
            return
        failing.gates = (DISCARDS[0],)
        bench.decisions.allow_changes(APPROVER)

    object.__setattr__(bench.parts, "sleep", hold)
    ticket = await bench.approved()
    await bench.runs(2)
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", held)
    assert "it was used for 3 h" in bench.last(ticket).reason
    assert failing.asked[-1] == ["undo-two", "undo-one"][held - 3 :]


@pytest.mark.parametrize("by", ["Go On", "a restart"])
async def test_who_goes_on_with_an_undo_has_it_asked_again(bench, world, failing, by):
    ticket = await bench.approved()
    if by == "Go On":
        failing.gates = (DISCARDS[1],)
        await bench.runs()
        bench.decisions.resume(bench.press(APPROVER, ticket))
    else:
        stops = asyncio.Event()
        world.hooks[4] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")

        async def hold(seconds):
            stops.set()
            await asyncio.Event().wait()

        sleep = bench.parts.sleep
        object.__setattr__(bench.parts, "sleep", hold)
        await bench.runner.tick()
        async with asyncio.timeout(20):
            await stops.wait()
        await bench.dies()
        object.__setattr__(bench.parts, "sleep", sleep)
        failing.gates = (DISCARDS[1],)
        bench.decisions.allow_changes(APPROVER)
    acts = len(world.order)
    await bench.runs(2)
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", acts)
    assert "Its group is not undone automatically" in bench.last(ticket).reason


async def test_what_is_left_to_a_person_is_undone_once_an_approver_has_answered(bench, world, failing):
    failing.gates = (DISCARDS[1],)
    ticket = await bench.approved()
    await bench.runs()
    found = await undo(bench)
    assert bench.ledger.ticket(found.ticket).questions == ("use of hv03",)
    bench.decisions.approve(bench.press(APPROVER, found.ticket), ("I looked",))
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, failing.values()) == ("done", ("", ""))
    assert bench.last(ticket).kind == "closed"


async def test_a_bug_in_what_an_undo_takes_leaves_it_to_a_person(bench, world, failing):
    def broken(*_):
        raise ZeroDivisionError

    command = bench.pipeline.registry.commands["reset"]
    bench.pipeline.registry.commands["reset"] = replace(command, spec=replace(command.spec, undo_gates=broken))
    ticket = await bench.approved()
    await bench.runs()
    assert (bench.last(ticket).kind, len(world.order)) == ("interrupted", 3)
    assert "something went wrong inside hvops itself (id " in bench.last(ticket).reason


def test_an_undo_in_flight_waits_for_what_it_undoes_also_where_it_is_only_asked_about():
    """A restarted bot reads it off the plan: by what shows alone, it would count as done before its action has come."""
    undo = replace(step("a", "hv03", a="1"), undo=set_to("hv03", a="0"), undone=(is_now("hv03", 60, a="0"),))
    begun = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    story = RunHistory(intents={("a", 1): BegunStep(begun, 1, None, 1)}, unsettled={("a", 1)})
    places = positions(simple("hv03", undo))
    assert place_of(places, ("undo-a", 1), story).step.undoes is not None
    assert place_of(places, ("undo-a", 1)).step.undoes is None
