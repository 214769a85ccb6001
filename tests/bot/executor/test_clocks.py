"""A clock that is set, or was set while hvops was away: what was sent before it is not taken for over, nor its host for looked at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from scripted_world import APPROVER, BOTH, OPERATOR, OtherClock, Request, is_now, set_to, simple, state

from bot.api.plan import Step
from bot.errors import RolesUnknown

PAUSED = ("hv03", "set", "yes")


def pausing(seconds, *, repeatable=False):
    """One action of that time, which can be undone."""

    def plan(on, _facts):
        return simple(
            on,
            Step(
                "pause",
                f"Pause {on}",
                set_to(on, paused="yes"),
                done=(is_now(on, seconds, paused="yes"),),
                before=state(on),
                undo=set_to(on, paused="no"),
                undone=(is_now(on, 60, paused="no"),),
                deadline=seconds,
                repeatable=repeatable,
            ),
        )

    return {"reset": plan}


async def cancelled_at_once(bench, world):
    """An action that comes after four hundred seconds; whoever asked for it cancels while nobody knows."""
    world.faults = [("late", 400)]
    ticket, sleep = await bench.approved(), bench.parts.sleep

    async def sleeping(seconds):
        await sleep(seconds)
        if not bench.ledger.ticket(ticket).cancel_asked:
            bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleeping)
    await bench.runs()
    object.__setattr__(bench.parts, "sleep", sleep)
    return ticket


@pytest.mark.parametrize("seconds", [0, 900, -900])
async def test_a_clock_that_is_set_lets_no_undo_come_before_what_was_sent_can_have_ended(
    benches, world, clock, seconds
):
    """It was undone while the host was at it, and came afterwards: paused, with no ticket open and no lock held."""
    bench = benches(plans=pausing(600))
    began, own = clock(), OtherClock(clock, 0)
    bench.goes_by(own)
    ticket = await cancelled_at_once(bench, world)
    own.set_by(seconds)
    back = (await bench.proposals.undo(Request(BOTH, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.known[BOTH.id] = BOTH
    bench.decisions.approve(bench.press(APPROVER, back))
    while bench.last(back).kind not in ("done", "failed", "lapsed", "interrupted"):
        assert (clock() - began).total_seconds() < 900
        clock.forward(seconds=20)
        await bench.runs()
    assert bench.last(back).kind == "done"
    assert (clock() - began).total_seconds() >= 645
    clock.forward(seconds=700)
    assert world.rows("hv03")[0]["paused"] == "no"


async def killed_behind_its_action(bench, world):
    """Its action was done; no answer came, and nobody looked before the bot was gone."""
    world.faults = ["unanswered"]
    ticket, sent = await bench.approved(), asyncio.Event()

    async def stays(_seconds):
        await asyncio.Event().wait()

    object.__setattr__(bench.parts, "sleep", stays)
    answer = world.answer

    async def silent(question, seconds=20.0):
        if world.order:
            sent.set()
            await asyncio.Event().wait()
        return await answer(question, seconds)

    world.answer = silent
    await bench.runner.tick()
    await sent.wait()
    await bench.dies()
    await bench.close()
    world.answer = answer
    world.rows("hv03")
    world.hosts["hv03"]["paused"] = "no"  # its people put it back, on purpose
    return ticket


@pytest.mark.parametrize(("away", "times"), [((1, 0), 2), ((10, 0), 1), ((1, 5), 1), ((15, 16), 1)])
async def test_by_a_clock_behind_the_newest_entry_nobody_knows_how_long_hvops_was_away(
    benches, world, clock, away, times
):
    """By such a clock it was away for less than no time, and did again what people had undone."""
    minutes, behind = away
    ticket = await killed_behind_its_action(benches(plans=pausing(60, repeatable=True)), world)
    clock.forward(minutes=minutes)
    two = benches(plans=pausing(60, repeatable=True))
    two.goes_by(OtherClock(clock, -60 * behind))
    two.ledger._clocks.begin(two.ledger._latest[0], two.ledger.head().seq)
    await two.runs(3)
    assert world.order.count(PAUSED) == times
    if times == 1:
        assert two.last(ticket).kind == "interrupted"
        assert "it is not known whether the step was done and then undone" in two.last(ticket).reason
        two.decisions.resume(two.press(APPROVER, ticket))
        await two.runs(3)
        assert two.last(ticket).kind == "done", "someone who looked lets it go on"


@pytest.mark.parametrize("seconds", [600, -30])
async def test_by_a_clock_that_was_set_since_nobody_knows_how_long_hvops_was_away(benches, world, clock, seconds):
    """It began by a clock that was wrong, and the time server put that right at once."""
    ticket = await killed_behind_its_action(benches(plans=pausing(60, repeatable=True)), world)
    clock.forward(minutes=10)
    two, other = benches(plans=pausing(60, repeatable=True)), OtherClock(clock, -590)
    two.goes_by(other)
    other.set_by(seconds)
    await two.runs(3)
    assert world.order.count(PAUSED) == 1
    assert two.last(ticket).kind == "interrupted"
    two.decisions.resume(two.press(APPROVER, ticket))
    await two.runs(3)
    assert two.last(ticket).kind == "done"


async def test_a_machine_that_stood_still_behind_an_action_does_not_do_it_again(benches, world, clock):
    """Of a machine that is paused the clock that nobody sets stands still, too; the other one is put right afterwards."""
    bench = benches(plans=pausing(60, repeatable=True))
    other = OtherClock(clock, 0)
    bench.goes_by(other)
    world.faults = ["unanswered"]
    ticket, sleep = await bench.approved(), bench.parts.sleep

    async def sleeping(seconds):
        await sleep(seconds)
        if "asleep" not in world.hosts["hv03"]:
            other.set_by(900)
            world.hosts["hv03"] |= {"asleep": "once", "paused": "no"}

    object.__setattr__(bench.parts, "sleep", sleeping)
    answer = world.answer

    async def late(question, seconds=20.0):  # it stands still before the first look
        found = await answer(question, seconds)
        if world.order and "asleep" not in world.hosts["hv03"]:
            return replace(found, rows=({**found.rows[0], "paused": "no"},))
        return found

    world.answer = late
    await bench.runs(2)
    assert world.order.count(PAUSED) == 1
    assert bench.last(ticket).kind == "interrupted"
    assert datetime.fromisoformat(bench.last(ticket).at) <= other()


async def test_back_at_once_and_blind_for_long_hvops_does_not_do_again_what_people_undid(benches, world, clock):
    """It is back in seconds, and asks no host: while Slack does not say who holds which role, no run goes on."""
    ticket = await killed_behind_its_action(benches(plans=pausing(60, repeatable=True)), world)
    clock.forward(seconds=20)
    began, two = clock(), benches(plans=pausing(60, repeatable=True))
    two.now_are[OPERATOR.id] = RolesUnknown("Slack does not answer.")
    sleep = two.parts.sleep

    async def sleeping(seconds):
        await sleep(seconds)
        if (clock() - began).total_seconds() > 1_200:
            two.now_are.clear()

    object.__setattr__(two.parts, "sleep", sleeping)
    await two.runs(3)
    assert world.order.count(PAUSED) == 1
    assert two.last(ticket).kind == "interrupted"
    assert "it is not known whether the step was done and then undone" in two.last(ticket).reason
