"""A check that settles is not asked before its time, so that nobody takes an old answer for the new state."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from scripted_world import APPROVER, OPERATOR, STRANGER, OtherClock, is_now, person, set_to, simple, step

from bot.api.plan import Check, Expect, Plan, Step
from bot.api.queries import Wql
from bot.errors import TargetTimeout, TicketError
from bot.executor import outcome, polling
from bot.executor.polling import CheckResult, CheckState
from bot.tickets.plan_digest import plan_from_json, plan_to_json

QUESTION = Wql("hv01", "root/cimv2", "Win32_Service")


def test_a_check_that_settles_after_its_end_is_refused():
    with pytest.raises(ValueError, match="asked within its time"):
        Check(QUESTION, (Expect(),), within=10, settle=11)


def test_what_is_signed_names_it_only_where_it_is_set():
    plain = Plan("why", "", "", (), (), (), afterwards=(Check(QUESTION, (Expect(),), within=30),))
    settling = replace(plain, afterwards=(replace(plain.afterwards[0], settle=17),))
    assert "settle" not in str(plan_to_json(plain))
    assert "'settle': 17" in str(plan_to_json(settling))
    assert plan_from_json(plan_to_json(plain)) == plain
    assert plan_from_json(plan_to_json(settling)) == settling


async def test_nothing_is_asked_before_its_time_is_over(monkeypatch):
    """The first look would be met at once, by what was so before."""
    now, looks = [0.0], []

    async def look_at(*_):
        looks.append(now[0])
        return CheckResult(CheckState.MET, "", ())

    async def pause(seconds, _says):
        now[0] += seconds

    monkeypatch.setattr(polling, "look_at", look_at)
    parts = SimpleNamespace(monotonic=lambda: now[0])
    # by its own time; with a step's longer deadline, which makes nothing settle later; ten seconds after a restart
    for ends, over in ((26, None), (300, None), (16, 10)):
        for settle, first in ((0, 0), (17, 17), (26, 26)):
            now[0] = 0.0
            check = Check(QUESTION, (Expect(),), within=26, every=3, settle=settle)
            settled = None if over is None else settle - over
            seen = await polling.wait_for(parts, (check,), {}, ends, pause, settled=settled)
            assert (seen.is_, looks.pop()) == (CheckState.MET, max(0, first - (over or 0)))


def settling(bench):
    """Something is set, and whether it was well shows after ten minutes: until then the old state is told."""
    check = replace(is_now("hv03", 900, broken="yes"), settle=600, description="it is well")
    judge = Step("judge", "Wait until it was looked at anew", None, (check,))
    bench.plans["reset"] = lambda on, _facts: simple(on, step("write", on, a="1"), judge)


def when_it_judges(bench, ticket, do):
    """Do something once, half a minute after the waiting has begun."""
    sleep, done = bench.clock.sleep, []

    async def sleeping(seconds):
        await sleep(seconds)
        begun = [
            datetime.fromisoformat(one.at)
            for one in bench.ledger.story(ticket)
            if one.kind == "intent" and one.data.step == "judge"
        ]
        if begun and not done and bench.clock() > begun[0] + timedelta(seconds=30):
            done.append(do())

    object.__setattr__(bench.parts, "sleep", sleeping)


async def test_who_cancels_while_it_settles_ends_nothing_as_done(bench):
    settling(bench)
    ticket = await bench.approved()
    when_it_judges(bench, ticket, lambda: bench.decisions.cancel(bench.press(OPERATOR, ticket)))
    await bench.runs()
    assert bench.last(ticket).kind == "cancelled"
    assert "still reports the state before the step" in bench.last(ticket).data.reason


async def test_what_is_in_flight_after_a_restart_is_not_judged_before_it_has_settled(bench):
    """Somebody lost the role while the bot was not running: one look has to do, and it would come too early."""
    settling(bench)
    ticket = await bench.approved()
    when_it_judges(bench, ticket, lambda: [one.cancel() for one in bench.runner._tasks.values()])
    await bench.runs()
    await bench.dies()
    bench.now_are[APPROVER.id] = person(2)
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert "still reports the state before the step" in bench.last(ticket).data.known
    bench.clock.forward(minutes=11)
    bench.now_are.clear()
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("what", ["cancelled", "interrupted"])
async def test_who_ends_it_before_its_time_takes_no_old_answer_for_the_new_state(benches, world, clock, what):
    """A cancellation looks once, and so does a restart after which somebody lost the role: both may come too early."""
    world.hosts["hv03"] |= {"up": "yes", "check": "old"}
    write = Step("write", "Write", set_to("hv03", check="new"), (is_now("hv03", check="new"),))
    judge = Step("judge", "Judge", None, (replace(is_now("hv03", 60, up="yes"), settle=30),))
    came = asyncio.Event()

    async def sleep(seconds):
        if not came.is_set() and bench.kinds("T-1").count("intent") == 2:
            came.set()
            world.later.append((clock() + timedelta(seconds=20), "hv03", {"up": "no"}))
            if what == "interrupted":
                await asyncio.Event().wait()
            bench.decisions.cancel(bench.press(OPERATOR, "T-1"))
        await clock.sleep(seconds)

    bench = benches(sleep=sleep)
    bench.plans["reset"] = lambda on, _facts: simple(on, write, judge)
    ticket = await bench.approved()
    await bench.runner.tick()
    await came.wait()
    if what == "interrupted":
        await bench.dies()
        bench.now_are[OPERATOR.id] = replace(STRANGER, id=OPERATOR.id)
    await bench.runs()
    assert bench.last(ticket).kind == what
    assert "still reports the state before the step" in bench.last(ticket).data.reason + getattr(
        bench.last(ticket).data, "known", ""
    )
    assert not [one for one in bench.ledger.story(ticket)[-2:] if one.fields.get("result") == "done"]


async def test_after_a_lost_reply_it_settles_from_when_the_act_can_have_ended(bench, monkeypatch):
    """A step that acts and settles: its check would tell the state before, and be met at once."""
    write = step("write", "hv03", a="1")
    late = replace(write, done=tuple(replace(check, within=900, settle=600) for check in write.done))
    bench.plans["reset"] = lambda on, _facts: simple(on, late)
    real, looks = outcome.wait_for, []

    async def lost(_action, _seconds):
        raise TargetTimeout("hv03", "no answer in 60 s.")

    async def wait_for(parts, checks, *more, **how):
        seen = await real(parts, checks, *more, **how)
        looks.append(parts.clock())
        return seen

    monkeypatch.setattr(bench.parts.actor, "change", lost)
    monkeypatch.setattr(outcome, "wait_for", wait_for)
    ticket = await bench.approved()
    await bench.runs()
    intent = next(one for one in bench.ledger.story(ticket) if one.kind == "intent")
    asked = [(one - datetime.fromisoformat(intent.at)).total_seconds() for one in looks]
    assert min(asked) >= late.deadline + 600


def judged_by(bench, seconds):
    """Its clock is set by so many seconds, half a minute after the waiting has begun. Returns how long it really waited."""
    settling(bench)
    clock = OtherClock(bench.clock, 0)
    bench.goes_by(clock)
    real, looks = bench.parts.look, []

    def look(*more):
        looks.append(bench.clock())
        return real(*more)

    object.__setattr__(bench.parts, "look", look)
    when_it_judges(bench, "T-1", lambda: clock.set_by(seconds))
    return looks


@pytest.mark.parametrize("seconds", [0, 900, -900])
async def test_a_clock_that_is_set_while_it_settles_lets_it_be_judged_no_sooner(bench, world, seconds):
    """The old state was told, and met; it was done, and what came of the change afterwards undid nothing and told nobody."""
    looks = judged_by(bench, seconds)
    ticket = await bench.approved()
    world.later.append((bench.clock() + timedelta(seconds=300), "hv03", {"broken": "no"}))
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    begun = [one for one in bench.ledger.story(ticket) if one.kind == "intent"][-1]
    waited = (looks[-1] - datetime.fromisoformat(begun.at)).total_seconds()
    assert 900 <= waited <= 910


async def test_a_clock_that_is_set_forward_lets_a_check_have_its_time(bench, world):
    """It was judged failed at once, and what worked was undone."""
    judged_by(bench, 1500)
    ticket = await bench.approved()
    world.hosts["hv03"]["broken"] = "no"
    world.later.append((bench.clock() + timedelta(seconds=700), "hv03", {"broken": "yes"}))
    bench.plans["reset"], first = (lambda on, _facts: first(on, {"broken": "yes"})), bench.plans["reset"]
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("seconds", [0, 900, -900])
async def test_who_cancels_after_the_clock_was_set_forward_ends_nothing_as_done_that_settles(bench, seconds):
    judged_by(bench, seconds)
    ticket = await bench.approved()
    sleep = bench.parts.sleep

    async def sleeping(pause):
        await sleep(pause)
        begun = [one for one in bench.ledger.story(ticket) if one.kind == "intent"]
        if len(begun) > 1 and bench.clock() > datetime.fromisoformat(begun[1].at) + timedelta(seconds=60):
            with suppress(TicketError):
                bench.decisions.cancel(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleeping)
    await bench.runs()
    assert bench.last(ticket).kind == "cancelled"
    assert "still reports the state before the step" in bench.last(ticket).data.reason


async def test_a_clock_that_is_set_forward_while_the_bot_is_down_lets_it_be_judged_no_sooner(benches, world):
    """Its intent is old by the new clock; how long it has really settled nobody knows."""
    one = benches()
    settling(one)
    ticket = await one.approved()
    when_it_judges(one, ticket, lambda: [each.cancel() for each in one.runner._tasks.values()])
    await one.runs()
    await one.close()
    two = benches()
    settling(two)
    two.goes_by(OtherClock(one.clock, 1500))
    world.later.append((one.clock() + timedelta(seconds=300), "hv03", {"broken": "no"}))
    await two.runs()
    assert two.last(ticket).kind == "failed"
