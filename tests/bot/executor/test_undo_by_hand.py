"""The undo of a ticket with a step by hand in it: what another ticket, or a freeze, may do while it waits for its person."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scripted_world import APPROVER, BOTH, OPERATOR, Step, is_now, step
from test_freezes import asks_before_it_sends, stretch, told
from test_manual_steps import HANDS, shared, shown_on_card, until
from test_other_tickets import about, switch

from bot.api.actions import ManualStep
from bot.api.plan import Group, Plan
from bot.dispatch.pipeline import Request

STOP = Step(
    "stop",
    "Stop the service",
    ManualStep("Stop it", "operator"),
    (),
    deadline=7_200,
    undo=ManualStep("Start it", "operator"),
    undone=(is_now("hv03", seen="back"),),
    undo_says="Start the service again",
)


def plan_of(*steps, **more):
    return lambda *_: Plan("why", "none", "none", ("vmm",), (), (Group("all", steps, **more),))


def confirm(bench, ticket):
    bench.decisions.confirm_manual_step(replace(bench.press(OPERATOR, ticket), shown=shown_on_card(bench, ticket)))


async def waits_at(bench, ticket, key):
    await until(bench, ticket, lambda: (bench.ledger.ticket(ticket).intent or ("",))[0] == key)


async def undo_of(bench, ticket):
    found = await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C0OPS"), ticket)
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    return found.ticket


async def turns(bench, many=200):
    for _ in range(many):
        await bench.runner.tick()
        await asyncio.sleep(0.001)


@pytest.fixture
async def done(bench, world):
    """A ticket that has set a row and had a service stopped by hand."""
    world.hosts["hv03"].update(row="0", seen="no")
    bench.plans["reset"] = plan_of(switch("row"), STOP)
    bench.plans["tweak"] = lambda on, _facts: shared(step("other", on, row="7"))
    ticket = await bench.approved()
    await waits_at(bench, ticket, "stop")
    confirm(bench, ticket)
    await bench.runs(3)
    assert bench.last(ticket).kind == "done"
    return ticket


async def test_an_undo_that_waits_for_its_person_gives_way_to_nobody(bench, world, done):
    """What another ticket changed meanwhile, it would set back."""
    undo = await undo_of(bench, done)
    await until(bench, undo, lambda: bench.ledger.ticket(undo).intent is not None)
    other = await bench.approved("/tweak hv03", BOTH, BOTH)
    await turns(bench, 30)
    assert bench.last(other).kind == "approved"
    assert "started" not in bench.kinds(other)
    world.hosts["hv03"]["seen"] = "back"
    confirm(bench, undo)
    await until(bench, other, lambda: bench.kinds(other)[-1] == "done")
    assert (bench.last(undo).kind, world.rows("hv03")[0]["row"]) == ("done", "7")


async def test_nor_does_it_give_away_what_a_half_done_ticket_keeps_others_from(bench, world):
    world.hosts["hv03"].update(row="0")
    bench.plans["reset"] = plan_of(STOP, switch("row"), step("more", "hv03", more="1"))
    bench.plans["tweak"] = lambda on, _facts: shared(step("other", on, row="7"))
    world.faults = ["unanswered", "never"]
    ticket = await bench.approved()
    await waits_at(bench, ticket, "stop")
    confirm(bench, ticket)
    await until(bench, ticket, lambda: bench.ledger.ticket(ticket).state == "interrupted")
    bench.clock.forward(hours=1)
    other = await bench.approved("/tweak hv04", BOTH, BOTH)
    undo = await undo_of(bench, ticket)
    await until(bench, undo, lambda: (bench.ledger.ticket(undo).intent or ("",))[0] == "undo-stop")
    await turns(bench)
    assert "started" not in bench.kinds(other)


async def test_a_freeze_that_is_written_meanwhile_holds_the_first_act_of_the_undo_of_what_is_done(bench, world, done):
    """Its plan has no check for freezes, as there was none; only what was left half done is undone inside one."""
    undo = await undo_of(bench, done)
    asks_before_it_sends(bench)
    await until(bench, undo, lambda: bench.ledger.ticket(undo).intent is not None)
    await bench.dies()
    told(bench, stretch(bench, -1, 300, "emergency"))
    asks_before_it_sends(bench)
    await turns(bench, 20)
    assert len(world.order) == 1
    assert (bench.last(undo).kind, bench.ledger.ticket(undo).intent) == ("voided", None)


async def test_a_run_undoes_nothing_by_itself_that_a_later_ticket_changed_while_it_waited(bench, world):
    """It gives way while it waits for its person; what had its locks then stands for itself."""
    world.hosts["hv03"].update(a="0", b="0", seen="no")
    bench.plans["reset"] = plan_of(switch("a"), HANDS["checked"], about("b"), on_failure="undo")
    later = replace(switch("a", value="7"), key="other")
    bench.plans["tweak"] = plan_of(later)
    first = await bench.approved()
    await waits_at(bench, first, "look")
    other = await bench.approved("/tweak hv03", BOTH, BOTH)
    await until(bench, first, lambda: bench.kinds(other)[-1] == "done")
    await until(bench, first, lambda: "resumed" in bench.kinds(first))
    world.hosts["hv03"]["seen"] = "yes"
    world.faults = ["refused"]
    confirm(bench, first)
    await bench.runs(3)
    assert world.rows("hv03")[0]["a"] == "7"
    assert bench.last(first).kind == "interrupted"
    assert f"hvops has changed hv03 since: {other}" in bench.last(first).reason
