"""The undo of a run whose last wait was ended while a host was still at putting back what the run had changed on the way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from scripted_world import APPROVER, BOTH, OPERATOR, is_now, set_to, simple, step

from bot.api.plan import GateOutcome, Group, Step
from bot.api.windows import Window, WindowKind
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan, Unanswered
from bot.ledger import Ledger
from bot.tickets.run_history import BegunStep, RunHistory, StepInstance
from bot.tickets.undo import NOTE_SECONDS, settled_at

WHETHER = "whether “resume hv03” took effect and someone has changed it again on purpose since"


def plan(on, _facts):
    """Hold updates, pause, resume, and one thing more; the resume puts back the pause and nothing else."""
    held = replace(step("held", on, held="1"), undo=set_to(on, held="0"), undone=(is_now(on, 60, held="0"),))
    pause = replace(
        step("pause", on, a="1"), undo=set_to(on, a="0"), undone=(is_now(on, 60, a="0"),), undo_says=f"Resume {on}"
    )
    resume = replace(step("resume", on, within=120, a="0"), reverts=("pause",))
    return simple(on, held, pause, resume, step("last", on, z="1"))


def pause_alone(on, facts):
    whole = plan(on, facts)
    return replace(whole, groups=(replace(whole.groups[0], steps=whole.steps[1:]),))


@pytest.fixture
async def left(benches, world, clock):
    """Makes a ticket that was ended while its resume was waited for, and lets the host do that so many seconds later.

    It is stopped by a press, or interrupted by a host that is silent and then closed.
    """

    async def ended(how="cancelled", comes_after=30, plan=plan):
        world.hosts["hv03"].update(a="0", held="0")
        bench = benches(plans={"reset": plan})
        bench.known[BOTH.id] = BOTH
        sent = len(plan("hv03", {}).steps) - 1
        world.faults = [*[None] * (sent - 1), ("slow", comes_after)]
        world.hooks[sent] = {
            "cancelled": lambda: bench.decisions.cancel(bench.press(OPERATOR, "T-1")),
            "closed": lambda: world.silent.add("hv03"),
        }[how]
        ticket = await bench.approved()
        await bench.runs(2)
        if how == "closed":
            assert bench.last(ticket).kind == "interrupted"
            world.silent.clear()
            shown = bench.ledger.ticket(ticket).attempt
            bench.decisions.close(replace(bench.press(OPERATOR, ticket), shown=shown), "it is back")
        assert (bench.last(ticket).kind, len(world.order)) == (how, sent)
        return bench

    return ended


async def undo(bench, by=BOTH):
    return await bench.proposals.undo(Request(by, "undo T-1", "button", "C0OPS"), "T-1")


def keys(proposed):
    return [one.key for one in proposed.proposal.plan.steps]


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_what_was_put_back_after_its_wait_was_ended_is_not_undone(left, world, clock, how):
    bench = await left(how)
    clock.forward(days=3)
    found = await undo(bench)
    assert keys(found) == ["undo-held"]
    assert "“resume hv03” has since completed, so what it restored needs no undo" in found.proposal.plan.reason
    assert found.proposal.plan.gates == ()
    sent = len(world.order)
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, world.order[sent:]) == ("done", [("hv03", "set", "0")])
    assert (world.hosts["hv03"]["held"], bench.ledger.verify().holds) == ("0", True)


async def test_where_all_was_put_back_so_there_is_no_undo_and_it_says_why(left, clock):
    bench = await left(plan=pause_alone)
    clock.forward(days=3)
    with pytest.raises(NoPlan, match=r"Nothing that T-1 did can be undone.*“resume hv03” has since completed"):
        await undo(bench)
    assert bench.ledger.undos_of("T-1") == ()


@pytest.mark.parametrize("is_whole", [True, False])
async def test_what_is_found_to_be_whole_is_undone_inside_of_a_freeze_by_an_override_alone(
    left, world, clock, is_whole
):
    """Its last action was in flight when it was closed: seen to be done, nothing of it is left half done."""

    def waits_last(on, facts):
        waits = Step("wait", f"Wait for {on}", None, (is_now(on, 60, z="1"),))
        return simple(on, *plan(on, facts).steps[:3], waits)

    bench = await left("closed", plan=waits_last)
    clock.forward(days=3)
    world.rows("hv03")
    world.hosts["hv03"]["a"] = "0" if is_whole else "1"
    begins, ends = clock() - timedelta(hours=1), clock() + timedelta(hours=5)
    freeze = Window(
        "year-end", WindowKind.FREEZE, "UTC", begins.time().replace(second=0), ends.time().replace(second=0),
        ("prod",), "prod", frozenset(), begins.date(), ends.date(),
    )  # fmt: skip
    bench.planner._windows = (freeze,)
    overrides = [one for one in (await undo(bench)).proposal.plan.open_questions if one.is_override]
    assert len(overrides) == is_whole


@pytest.mark.parametrize("seconds", [0, 100])
def test_by_a_clock_that_was_set_a_look_is_taken_no_earlier(clock, seconds):
    """Or by the clock of another bot: a source that settles may still tell of the time before."""
    check = replace(is_now("hv03", 60, a="0"), settle=30)
    place = StepInstance(1, Group("all", ()), 1, replace(step("resume", "hv03", a="0"), done=(check,), deadline=60))
    story = RunHistory()
    story.intents[place.key] = BegunStep(clock() - timedelta(days=3), 1, None, 1)
    whole = 60 + NOTE_SECONDS + 30
    assert settled_at(place, story, clock()) == clock() + timedelta(days=-3, seconds=whole)
    asked = settled_at(place, story, clock(), steady=seconds, apart=60)
    assert asked == clock() + timedelta(seconds=whole + 60 - seconds)


@pytest.mark.parametrize("how", ["cancelled", "closed"])
@pytest.mark.parametrize("is_silent", [False, True])
async def test_what_somebody_did_again_since_is_undone_by_nobody_unasked(left, world, clock, how, is_silent):
    """A node that a person has paused for maintenance since looks like one that never came back."""
    bench = await left(how)
    clock.forward(days=3)
    world.rows("hv03")
    world.hosts["hv03"]["a"] = "1"
    if is_silent:
        world.silent.add("hv03")
    gates = (await bench.planner.undo("T-1")).plan.gates
    (gate,) = (one for one in gates if one.description == "T-1 has not restored what this undoes")
    assert (gate.outcome, gate.is_open) == (GateOutcome.NOT_KNOWN, True)
    assert gate.questions[0].what == WHETHER
    world.silent.clear()
    found = await undo(bench)
    assert (keys(found), found.proposal.made.open_questions) == (["undo-pause", "undo-held"], (WHETHER,))
    assert found.proposal.policy == "approval"
    with pytest.raises(Unanswered):
        bench.decisions.approve(bench.press(APPROVER, found.ticket))
    bench.decisions.approve(bench.press(APPROVER, found.ticket), ("it never came back: nobody was there since",))
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, world.rows("hv03")[0]["a"]) == ("done", "0")


async def test_what_is_put_back_between_proposal_and_start_voids_the_undo(left, world, clock):
    """Its time is not over yet when somebody asks for the undo, and the host does it in that time."""
    bench = await left(comes_after=100)
    found = await undo(bench)
    (waits,) = (gate for gate in found.proposal.plan.gates if gate.passes_at)
    assert "“resume hv03” was sent and may still be in progress until" in waits.finding
    assert found.proposal.made.open_questions == (WHETHER,)
    bench.decisions.approve(bench.press(APPROVER, found.ticket), ("I looked: it is still paused",))
    sent = len(world.order)
    clock.forward(seconds=300)
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, len(world.order)) == ("voided", sent)
    (instead,) = (one for one in bench.ledger.undos_of("T-1") if one != found.ticket)
    assert "“resume hv03” has since completed" in bench.ledger.proposal(instead).fields["plan"]["reason"]


def settles(on, facts):
    """The same; what tells of the resume may lag behind."""
    held, pause, resume, last = plan(on, facts).steps
    return simple(on, held, pause, replace(resume, done=(replace(resume.done[0], settle=100),)), last)


async def asked_about(bench):
    """What people are asked before T-1 is undone."""
    return [gate.questions[0].what for gate in (await bench.planner.undo("T-1")).plan.gates if gate.is_open]


async def test_a_look_before_its_checks_settle_tells_nothing(left, world, clock):
    """Until then a source may report the state before the step: what it shows is asked about."""
    bench = await left(plan=settles)
    clock.forward(seconds=150)
    assert await asked_about(bench) == [WHETHER]
    clock.forward(seconds=100)
    assert [one.key for one in (await bench.planner.undo("T-1")).plan.steps] == ["undo-held"]


async def test_such_a_look_waits_as_long_again_by_a_clock_that_was_set_since(left, clock, monkeypatch):
    bench = await left(plan=settles)
    clock.forward(days=3)
    steady = [150.0]
    monkeypatch.setattr(bench.planner, "_steady_seconds", lambda: steady[0])
    assert await asked_about(bench) == [WHETHER]
    steady[0] = 250.0
    assert await asked_about(bench) == []


async def test_such_a_look_waits_for_as_much_as_the_clocks_of_two_bots_may_differ(left, clock, monkeypatch):
    bench = await left(plan=settles)
    monkeypatch.setattr(Ledger, "clock_skew", 60.0)
    clock.forward(seconds=250)
    assert await asked_about(bench) == [WHETHER]
    clock.forward(seconds=60)
    assert await asked_about(bench) == []


async def test_nobody_is_asked_about_what_an_earlier_undo_has_undone_already(left, world, clock):
    bench = await left(comes_after=10**7)
    clock.forward(hours=1)
    first = (await undo(bench)).ticket
    sent = len(world.order)
    world.hooks[sent + 1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, first))
    bench.decisions.approve(bench.press(APPROVER, first), ("it is still paused, and was since",))
    await bench.runs(2)
    assert (bench.last(first).kind, world.hosts["hv03"]["a"]) == ("cancelled", "0")
    world.hosts["hv03"]["a"] = "1"  # on purpose, since
    clock.forward(hours=1)
    again = await undo(bench)
    assert (keys(again), again.proposal.made.open_questions) == (["undo-held"], ())


async def test_nobody_is_asked_about_a_step_that_puts_nothing_back(benches, world, clock):
    bench = benches(plans={"reset": lambda on, _: simple(on, plan(on, {}).steps[1], step("b", on, b="1"))})
    world.hosts["hv03"]["a"] = "0"
    world.faults = [None, ("slow", 10**6)]
    world.hooks[2] = lambda: bench.decisions.cancel(bench.press(OPERATOR, "T-1"))
    await bench.approved()
    await bench.runs(2)
    clock.now += timedelta(hours=1)
    plan_ = (await bench.planner.undo("T-1")).plan
    assert ([one.key for one in plan_.steps], plan_.gates) == (["undo-pause"], ())
