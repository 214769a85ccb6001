"""The third clock: after `run_until` nothing of a ticket begins, whoever asks for it and whatever the clock says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import structlog
from scripted_world import (
    APPROVER,
    OPERATOR,
    POLICY,
    OtherClock,
    by_hand,
    command,
    is_now,
    reset_plan,
    simple,
    state,
    step,
)

from bot.api.actions import ManualStep
from bot.api.plan import Gate, GateOutcome, Group, OpenQuestion, Step
from bot.dispatch.pipeline import Request
from bot.errors import Expired, OutcomeUnknown, TicketError, UnreadableEntry
from bot.executor import step as steps
from bot.ledger.entries import Intent, Resumed
from bot.tickets.plan_digest import digest
from bot.tickets.plan_text import plan_lines
from bot.tickets.proposal import latest_end, proposal_from

STARTED = [("hv03", "set", "yes"), ("hv03", "restart"), ("hv03", "set", "no")]
BEFORE_START = timedelta(minutes=POLICY.open_minutes + POLICY.start_minutes)


def until(bench, ticket):
    return datetime.fromisoformat(bench.ledger.ticket(ticket).run_until)


async def stays_in_the_first_group(bench, world, clock, then):
    """A run whose first group is done; the bot is gone before it says so for the second one."""
    ticket = await bench.approved()
    gone = asyncio.Event()

    async def no_more(_proposal, _group=""):
        gone.set()
        await asyncio.Event().wait()

    rebuild, bench.planner.rebuild = bench.planner.rebuild, None
    looks = []

    async def once(proposal, group=""):
        looks.append(proposal)
        return await (rebuild(proposal, group) if len(looks) == 1 else no_more(proposal))

    bench.planner.rebuild = once
    await bench.runner.tick()
    await gone.wait()
    await bench.dies()
    bench.planner.rebuild = rebuild
    clock.forward(**then)
    return ticket


# what it is


async def test_it_is_the_latest_start_and_all_the_time_that_the_steps_are_given(bench, clock):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("one", on, deadline=60, within=90, a="1"))
    ticket = (await bench.propose()).ticket
    assert until(bench, ticket) == clock() + BEFORE_START + timedelta(seconds=150)


async def test_a_step_by_hand_and_a_soak_have_their_own_time(bench, clock):
    plan = simple("hv03", by_hand("hv03", deadline=3600), step("one", "hv03", a="1"), soak_seconds=86400)
    policy = bench.policy.model_copy(update={"manual_hours": 2})
    expected = BEFORE_START + timedelta(hours=1 + 2, seconds=120 + 86400)
    assert latest_end(plan, policy, clock()) == clock() + expected
    twice = replace(plan, groups=(replace(plan.groups[0], times=2),))
    assert latest_end(twice, policy, clock()) == clock() + BEFORE_START + timedelta(hours=6, seconds=240 + 86400)


async def test_what_takes_back_a_group_that_fails_has_its_time_too(clock):
    plan = reset_plan("hv03", {"broken": "yes", "locked": "no"})
    back = replace(plan, groups=tuple(replace(one, on_failure="undo") for one in plan.groups))
    assert latest_end(back, POLICY, clock()) > latest_end(plan, POLICY, clock())


async def test_it_is_signed_and_shown(bench):
    proposed = await bench.propose()
    proposal = proposed.proposal
    made, last = proposal.made, proposal.run_until
    assert proposal.digest == digest(made.plan, made.risk, made.version, last)
    assert proposal.digest != digest(made.plan, made.risk, made.version)
    assert f"Deadline: no step starts after {last}" in plan_lines(made.plan, made.risk, made.version, last)
    later = proposed.entry.fields | {"run_until": "2036-01-01T00:00:00.000Z"}
    with pytest.raises(UnreadableEntry, match="not the one that its digest"):
        proposal_from(replace(proposed.entry, fields=later))


async def test_a_soak_is_signed(bench):
    plan = (await bench.propose()).proposal.made.plan
    longer = replace(plan, soak_seconds=60)
    assert digest(plan, "high", "1") != digest(longer, "high", "1")
    assert "Soak time beyond its steps: 60 s" in plan_lines(longer, "high", "1")
    with pytest.raises(ValueError, match="less time"):
        replace(plan, soak_seconds=-1)


# what it ends


async def test_first_group_done_and_the_bot_away_for_thirty_days(bench, world, clock):
    ticket = await stays_in_the_first_group(bench, world, clock, {"days": 30})
    await bench.runs(5)
    assert world.order == STARTED[:1]
    assert bench.kinds(ticket)[-1] == "interrupted"
    assert "resumed" not in bench.kinds(ticket)
    assert "the deadline, " in bench.last(ticket).reason
    with pytest.raises(Expired, match=r"T-1 had its deadline at .* Undo it or close it"):
        bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(3)
    assert world.order == STARTED[:1]


async def test_the_same_run_goes_on_while_its_time_is_not_over(bench, world, clock):
    ticket = await stays_in_the_first_group(bench, world, clock, {"minutes": 5})
    await bench.runs(3)
    assert (world.order, bench.last(ticket).kind) == (STARTED, "done")


async def test_a_deadline_that_passes_in_the_moment_of_going_on_is_nobodys_fault(bench, world, clock, monkeypatch):
    """The bot is begun anew just before it: what it wants to write down comes too late."""
    ticket = await stays_in_the_first_group(bench, world, clock, {})
    append_together, tried = bench.ledger.append_together, []

    def too_late(*drafts, **how):
        if drafts[0].kind == "resumed":
            tried.append(drafts[0].kind)
            clock.now = until(bench, ticket) + timedelta(seconds=1)
        return append_together(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", too_late)
    with structlog.testing.capture_logs() as logs:
        await bench.runs()
    assert tried
    assert bench.last(ticket).kind == "interrupted"
    assert bench.last(ticket).reason.endswith("has passed, so no further step starts")
    assert not [one for one in logs if one["log_level"] in ("warning", "error")]


@pytest.mark.parametrize("reached", [True, False])
async def test_a_step_in_flight_is_asked_about_first(bench, world, clock, reached):
    ticket = await bench.approved()
    world.faults.append(("late", 30) if reached else "never")
    reset = asyncio.Event()

    async def gone(_seconds):
        reset.set()
        await asyncio.Event().wait()

    sleep = bench.parts.sleep
    object.__setattr__(bench.parts, "sleep", gone)
    await bench.runner.tick()
    await reset.wait()
    await bench.dies()
    object.__setattr__(bench.parts, "sleep", sleep)
    clock.forward(days=30)
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert bench.last(ticket).kind == "interrupted"
    outcomes = [one.data.result for one in bench.ledger.entries(ticket=ticket, kind="outcome")]
    assert outcomes == (["done"] if reached else [])
    assert "resumed" not in bench.kinds(ticket)


async def test_the_last_step_in_flight_that_is_done_ends_the_ticket_as_done(bench, world, clock):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("one", on, a="1"))
    ticket = await bench.approved()
    world.faults.append(("late", 30))
    reset, sleep = asyncio.Event(), bench.parts.sleep

    async def gone(_seconds):
        reset.set()
        await asyncio.Event().wait()

    object.__setattr__(bench.parts, "sleep", gone)
    await bench.runner.tick()
    await reset.wait()
    await bench.dies()
    object.__setattr__(bench.parts, "sleep", sleep)
    clock.forward(days=30)
    await bench.runs(3)
    assert (len(world.order), bench.last(ticket).kind) == (1, "done")


async def test_what_was_stopped_for_too_long_begins_no_more(bench, world, clock):
    ticket = await bench.approved()
    world.hooks[1] = lambda: bench.decisions.stop_changes(OPERATOR, "a storm")
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (STARTED[:1], "interrupted")
    assert clock() > until(bench, ticket)


async def test_a_person_who_does_nothing_for_days_is_waited_for_no_longer(bench, clock):
    hand = replace(by_hand("hv03"), act=ManualStep("Look", "operator"), deadline=3600)
    bench.plans["reset"] = lambda on, _facts: simple(on, step("one", on, a="1"), hand)
    ticket = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket))
    long = until(bench, ticket) - timedelta(hours=1) - timedelta(hours=8)
    assert long < clock() + timedelta(hours=2)  # its own deadline and the hours of a person, and no more
    await bench.runs()
    assert bench.last(ticket).kind in ("failed", "interrupted")
    assert bench.kinds(ticket).count("intent") == 2


async def test_who_gave_way_does_not_go_on_after_its_time(bench, world, clock):
    soak = Step("soak", "Soak", None, (is_now("hv03", 3600, broken="no"),), preemptible=True)
    bench.plans["soak"] = lambda on, _facts: simple(on, soak, step("after", on, after="1"))
    bench.planner._registry.commands["soak"] = command("soak", bench.plans["soak"])
    waiting = await bench.approved("/soak hv03")
    await bench.runner.tick()
    while "intent" not in bench.kinds(waiting):  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.001)
    urgent = await bench.approved()
    while bench.ledger.ticket(urgent).state != "ended":
        await bench.runner.tick()
        if "interrupted" in bench.kinds(waiting):
            clock.now = max(clock.now, until(bench, waiting) + timedelta(seconds=1))
            break
        await asyncio.sleep(0.001)
    world.hosts["hv03"]["broken"] = "no"
    await bench.runs(5)
    assert bench.kinds(waiting)[-1] == "interrupted"
    assert "resumed" not in bench.kinds(waiting)


async def test_the_ledger_itself_takes_nothing_that_begins_after_it(bench, world, clock):
    ticket = await stays_in_the_first_group(bench, world, clock, {"days": 30})
    for late in (
        Resumed(attempt=2, by="bot"),
        Resumed(attempt=2, by=APPROVER.id),
        Intent(step="restart", round=1, attempt=1, description=""),
    ):
        with pytest.raises(Expired, match="the deadline, "):
            bench.ledger.append(late.fields.get("by", "bot"), late, ticket)


async def test_what_is_left_can_still_be_taken_back_by_a_plan_of_its_own(bench, world, clock):
    ticket = await stays_in_the_first_group(bench, world, clock, {"days": 30})
    await bench.runs()
    undo = await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C"), ticket)
    bench.decisions.approve(bench.press(APPROVER, undo.ticket))
    await bench.runs()
    assert bench.last(undo.ticket).kind == "done"
    assert bench.last(ticket).kind == "closed"


# a clock that is set back


async def test_a_clock_set_back_revives_no_proposal(bench, clock):
    ticket = (await bench.propose()).ticket
    clock.forward(minutes=31)
    await bench.propose("/reset hv04")
    clock.forward(minutes=-20)
    with pytest.raises(TicketError, match="was open until"):
        bench.decisions.approve(bench.press(APPROVER, ticket))
    assert "approved" not in bench.kinds(ticket)


async def test_a_clock_set_back_revives_no_run(bench, world, clock):
    ticket = await stays_in_the_first_group(bench, world, clock, {"days": 30})
    await bench.propose("/reset hv04")
    clock.forward(days=-30)
    await bench.runs(3)
    assert world.order == STARTED[:1]
    assert bench.last(ticket).kind == "interrupted"
    with pytest.raises(Expired):
        bench.decisions.resume(bench.press(APPROVER, ticket))


async def test_a_clock_set_back_starts_no_approval_that_is_too_old(bench, world, clock):
    ticket = await bench.approved()
    clock.forward(minutes=20)
    await bench.propose("/reset hv04")
    clock.forward(minutes=-19)
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind) == ([], "lapsed")


async def test_a_clock_that_was_ahead_and_was_put_right_lets_no_approval_wait_for_ever(benches, world, clock):
    """What is decided is dated behind the newest entry, which is a month ahead: that time does not stand still."""
    beats = [100.0]
    bench = benches(monotonic=lambda: beats[0])
    clock.forward(days=30)
    await bench.propose("/reset hv04")
    clock.forward(days=-30)
    ticket, late = await bench.approved(), (await bench.propose("/tweak hv04")).ticket
    clock.forward(minutes=31)
    beats[0] += 31 * 60
    await bench.runs(2)
    assert (world.order, bench.last(ticket).kind, bench.last(late).kind) == ([], "lapsed", "expired")


# answers


CRM = "free space of crm-03"


def unknown_room(on, _facts):
    room = Gate("Every guest has room", GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion(CRM, "timed out"),))
    wait = Step("wait", "Wait for a person", ManualStep("Look", "operator"), (is_now(on, seen="yes"),), deadline=7200)
    made = reset_plan(on, {"broken": "yes", "locked": "no"})
    return replace(made, gates=(room,), groups=(Group("hand", (wait,)), *made.groups))


async def answered(bench):
    bench.plans["reset"] = unknown_room
    ticket = (await bench.propose()).ticket
    bench.decisions.approve(bench.press(APPROVER, ticket), ("I looked in the guest.",))
    return ticket


@pytest.mark.parametrize(("after", "ends"), [({"minutes": 10}, "done"), ({"hours": 1, "minutes": 30}, "voided")])
async def test_an_answer_counts_for_the_run_that_follows_and_not_for_what_a_person_delays(
    bench, world, clock, after, ends
):
    ticket = await answered(bench)
    world.hosts["hv03"]["seen"] = "yes"
    sleep, pressed = clock.sleep, []

    async def late(seconds):
        await sleep(seconds)
        if not pressed and bench.ledger.ticket(ticket).intent:
            clock.forward(**after)
            pressed.append(bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket)))

    object.__setattr__(bench.parts, "sleep", late)
    await bench.runs()
    assert bench.last(ticket).kind == ends
    if ends == "voided":
        assert world.order == []
        assert f"the approver's answer has expired: {CRM}" in bench.last(ticket).reason


def repeatable(on, _facts):
    return simple(on, replace(step("a", on, within=600, a="1"), before=state(on), repeatable=True))


async def test_a_clock_that_is_put_right_while_the_bot_is_down_has_nothing_sent_again_that_is_under_way(
    benches, world, clock
):
    """By the time of its intent alone the action was over when the next life asked about it."""

    bench = benches(plans={"pause": repeatable})
    ticket = await bench.approved("/pause hv03")
    world.faults = [("slow", 50)]
    sent, real = asyncio.Event(), world.change

    async def change(action, seconds):
        await real(action, seconds)
        sent.set()
        await asyncio.Event().wait()

    world.change = change
    await bench.runner.tick()
    await sent.wait()
    world.change = real
    await bench.dies()
    bench.goes_by(OtherClock(clock, 300))
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert all(times == 1 for times in world.acts.values()), world.order


class PutRight(OtherClock):
    """Is set forward while somebody waits."""

    async def sleep(self, seconds):
        await super().sleep(seconds)
        self._ahead = timedelta(seconds=300)


@pytest.mark.parametrize("life", ["same", "next"])
async def test_a_clock_that_is_put_right_while_it_is_waited_by_it_has_nothing_sent_again_that_is_under_way(
    benches, world, clock, life
):
    """The machine of a bot that was killed may begin with a clock that is behind, and is told the time a minute later."""

    bench = benches(plans={"pause": repeatable})
    ticket = await bench.approved("/pause hv03")
    world.faults = [("slow", 50)]
    sent, real = asyncio.Event(), world.change

    async def change(action, seconds):
        await real(action, seconds)
        sent.set()
        world.change = real
        if life == "same":
            raise OutcomeUnknown("hv03", "the connection was lost")
        await asyncio.Event().wait()

    world.change = change
    if life == "same":
        bench.goes_by(PutRight(clock, 0))
    else:
        await bench.runner.tick()
        await sent.wait()
        await bench.dies()
        bench.goes_by(PutRight(clock, 0))
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert all(times == 1 for times in world.acts.values()), world.order


@pytest.mark.parametrize("looked", [30, 70])
async def test_an_act_that_had_to_wait_for_the_ledger_has_ended_all_the_same_when_it_is_sent_again(
    benches, world, clock, monkeypatch, looked
):
    """A database can take its time for the last look: what is sent behind it has what is left, and is not sent without any."""

    bench = benches(plans={"pause": repeatable})
    ticket = await bench.approved("/pause hv03")
    real_look, real_change, slow = steps.last_look, world.change, [looked]

    def last_look(on):
        look = real_look(on)

        def late():
            look()
            clock.forward(seconds=slow.pop() if slow else 0)

        return late

    async def change(action, seconds):
        world.change = real_change
        world.faults = [("slow", seconds - 1)]
        await real_change(action, seconds)
        clock.forward(seconds=max(0, 65 - looked))
        raise TimeoutError

    monkeypatch.setattr(steps, "last_look", last_look)
    world.change = change
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert world.order == [("hv03", "set", "1")]
