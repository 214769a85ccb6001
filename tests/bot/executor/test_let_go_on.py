"""Whoever lets an interrupted run go on has looked at nothing that the interruption did not ask about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_world import APPROVER, OTHER, Step, is_now, set_to, simple, state
from test_run import killed_behind_its_first_action

from bot.errors import LedgerError

PAUSE = ("hv03", "set", "yes")


def put_back(world):
    """What was done is undone by people at the console, on purpose."""
    world.rows("hv03")
    assert world.hosts["hv03"]["paused"] == "yes"
    world.hosts["hv03"].update(paused="no", drain="")


@pytest.mark.parametrize("why", ["a silent host", "a lost role"])
async def test_go_on_is_no_look_where_something_else_was_asked(bench, world, clock, why):
    ticket = await killed_behind_its_first_action(bench, world)
    clock.forward(minutes=25)
    put_back(world)
    if why == "a silent host":
        world.silent.add("hv03")
    else:
        bench.now_are[APPROVER.id] = replace(APPROVER, roles={})
    await bench.runs(3)
    bench.now_are.clear()
    bench.decisions.resume(bench.press(OTHER, ticket))
    world.silent.clear()
    await bench.runs(3)
    end = bench.last(ticket)
    assert (world.order.count(PAUSE), end.kind, end.data.effect) == (1, "interrupted", "asked")
    assert "it is not known whether the step was done and then undone" in end.reason
    # Now they were asked just that, and decide.
    bench.decisions.resume(bench.press(OTHER, ticket))
    await bench.runs(3)
    assert world.order.count(PAUSE) == 2
    assert bench.last(ticket).kind == "done"


async def test_neither_is_it_where_hvops_was_there_all_the_time(bench, world, clock):
    world.faults = ["unanswered"]
    world.logins[0] = lambda: world.silent.add("hv03")
    ticket = await bench.approved()
    await bench.runs(3)
    put_back(world)
    world.silent.clear()
    clock.forward(minutes=20)
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(3)
    assert (world.order.count(PAUSE), bench.last(ticket).data.effect) == (1, "asked")


@pytest.fixture
def draining(bench, world):
    """A drain that shows at once, takes its time, and whose reply is lost; what is called at its fifth look."""
    act, done = set_to("hv03", paused="yes", drain="under way"), is_now("hv03", 600, paused="yes", drain="done")
    drain = Step("drain", "Drain hv03", act, (done,), before=state("hv03"), repeatable=True)
    bench.plans["reset"] = lambda on, _facts: simple(on, drain)
    world.faults = ["unanswered"]
    sleep, slept, at_the_fifth = bench.parts.sleep, [], []

    async def sleeping(seconds):
        await sleep(seconds)
        slept.append(world.rows("hv03"))
        if len(slept) == 5:
            for act in at_the_fifth:
                act()

    object.__setattr__(bench.parts, "sleep", sleeping)
    return at_the_fifth


async def test_what_was_seen_to_take_effect_before_an_interruption_still_counts(bench, world, draining):
    draining.append(lambda: world.silent.add("hv03"))
    ticket = await bench.approved()
    await bench.runs(3)
    assert (bench.last(ticket).kind, bench.last(ticket).data.effect) == ("interrupted", "seen")
    put_back(world)
    world.silent.clear()
    bench.decisions.resume(bench.press(APPROVER, ticket))  # at once: nobody was away for long
    await bench.runs(3)
    assert (len(world.order), bench.last(ticket).kind) == (1, "interrupted")
    assert "was seen to take effect, and now everything is as it was before it" in bench.last(ticket).reason
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(3)
    assert len(world.order) == 2


async def test_it_still_counts_where_the_ledger_could_not_be_used_meanwhile(bench, world, draining):
    real = bench.parts.ledger.ticket

    def fails(_ticket):
        bench.parts.ledger.ticket = real
        put_back(world)
        raise LedgerError("the database does not answer.")

    draining.append(lambda: setattr(bench.parts.ledger, "ticket", fails))
    ticket = await bench.approved()
    await bench.runs(3)
    bench.runner._trouble.clear()  # a second later
    await bench.runs(3)
    assert (len(world.order), bench.last(ticket).kind) == (1, "interrupted")
    assert "was seen to take effect" in bench.last(ticket).reason
