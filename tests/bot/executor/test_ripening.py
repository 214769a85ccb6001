"""Gates that only take time: decided meanwhile, begun when they have passed; and the samples that let them pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from entry_samples import entry_data
from scripted_world import Clock, reset_plan

from bot.api.plan import Gate, GateOutcome
from bot.api.queries import make_params
from bot.api.report import Sample

REACHED = [("hv03", "set", "yes"), ("hv03", "restart"), ("hv03", "set", "no")]


class Ticking(Clock):
    """No two looks at it show the same time, as with a real one."""

    def __call__(self):
        self.forward(microseconds=1)
        return self.now


@pytest.fixture
def clock():
    return Ticking()


async def test_what_needs_no_time_starts_at_once(bench):
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"


def patient(clock, ready):
    """A plan whose one gate takes time until `ready`."""

    def plan(on, _facts):
        waits = Gate("Seen twice", outcome=GateOutcome.BLOCKED, measured="once", passes_at=ready.isoformat())
        gate = waits if clock() < ready else Gate("Seen twice", outcome=GateOutcome.PASSED)
        return replace(reset_plan(on, {"broken": "yes", "locked": "no"}), gates=(gate,))

    return plan


async def test_what_only_takes_time_can_be_approved_and_starts_when_it_is_so(bench, world, clock):
    bench.plans["reset"] = patient(clock, clock() + timedelta(seconds=90))
    ticket = await bench.approved()
    await bench.runs(3)
    assert bench.kinds(ticket) == ["proposed", "approved"]
    told = [one for one in bench.told if one.kind in ("looking", "ripening")]
    assert [one.kind for one in told] == ["looking", "ripening"], "it is looked at once, and again when it is time"
    assert told[1].says == "not yet: This check failed: Seen twice (once)"
    assert world.order == []
    assert bench.ledger.locks() == {}
    clock.forward(seconds=89)
    await bench.runs()
    assert bench.kinds(ticket) == ["proposed", "approved"]
    clock.forward(seconds=1)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert world.order == REACHED


async def test_what_takes_too_long_lapses(bench, world, clock):
    bench.plans["reset"] = patient(clock, clock() + timedelta(hours=2))
    ticket = await bench.approved()
    await bench.runs()
    clock.forward(minutes=16)
    await bench.runs()
    assert bench.kinds(ticket) == ["proposed", "approved", "lapsed"]
    assert world.order == []


async def test_a_restart_forgets_how_long_to_wait_and_looks_again(bench, clock):
    bench.plans["reset"] = patient(clock, clock() + timedelta(seconds=90))
    ticket = await bench.approved()
    await bench.runs()
    await bench.dies()
    await bench.runs()
    assert bench.kinds(ticket) == ["proposed", "approved"]
    assert [one.kind for one in bench.told].count("ripening") == 2
    clock.forward(seconds=90)
    await bench.runs()
    assert bench.last(ticket).kind == "done"


async def test_time_that_was_over_and_is_not_any_more_voids_what_has_begun(bench, world, clock):
    """Nothing of a ticket runs on a gate that does not hold, whatever held when it started."""
    ready = clock() + timedelta(seconds=90)
    bench.plans["reset"] = patient(clock, ready)
    ticket = await bench.approved()
    clock.forward(seconds=90)
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"], "takes_over": ""}), ticket)
    bench.plans["reset"] = patient(clock, clock() + timedelta(seconds=90))
    await bench.runs()
    assert bench.last(ticket).kind == "voided"
    assert bench.last(ticket).data.reason == "not yet: This check failed: Seen twice (once)"
    assert world.order == []


async def test_what_a_plan_saw_is_remembered_whether_it_was_proposed_or_refused(bench, world, clock):
    sample = Sample("hv03", "writer", make_params(state=5))
    began = clock()
    bench.plans["reset"] = lambda on, facts: replace(reset_plan(on, facts), samples=(sample,))
    proposed = await bench.propose()
    clock.forward(minutes=1)
    world.hosts["hv03"]["locked"] = "yes"
    refused = await bench.propose()
    assert refused.report.samples == (sample,)
    assert proposed.proposal.plan.samples == (), "they stand in the entry, beside the plan"
    assert bench.ledger.recall("hv03", "writer", began) == [
        {"state": 5, "at": "2026-03-02T14:00:00.000Z"},
        {"state": 5, "at": "2026-03-02T14:01:00.000Z"},
    ]
