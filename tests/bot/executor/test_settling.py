"""A check that settles is not asked before its time, so that nobody takes an old answer for the new state."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from scripted_world import OPERATOR, STRANGER, is_now, set_to, simple

from bot.api.plan import Check, Expect, Plan, Step
from bot.api.queries import Wql
from bot.executor import polling
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
    at = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
    now, looks = [at], []

    async def look_at(*_):
        looks.append((now[0] - at).total_seconds())
        return CheckResult(CheckState.MET, "", ())

    async def pause(seconds, _says):
        now[0] += timedelta(seconds=seconds)

    monkeypatch.setattr(polling, "look_at", look_at)
    parts = SimpleNamespace(clock=lambda: now[0])
    # until its own end; with a step's longer deadline, which makes nothing settle later; ten seconds after a restart
    for ends, over in ((26, 0), (300, 0), (16, 10)):
        for settle, first in ((0, 0), (17, 17 - over), (26, 26 - over)):
            now[0] = at
            check = Check(QUESTION, (Expect(),), within=26, every=3, settle=settle)
            seen = await polling.wait_for(parts, (check,), {}, at + timedelta(seconds=ends), pause)
            assert (seen.is_, looks.pop()) == (CheckState.MET, first)


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
    assert "s too early to tell" in bench.last(ticket).data.reason + getattr(bench.last(ticket).data, "known", "")
    assert not [one for one in bench.ledger.story(ticket)[-2:] if one.fields.get("result") == "done"]
