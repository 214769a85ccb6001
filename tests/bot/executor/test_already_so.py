"""The undo of what was so already before anything was sent: it is not the ticket's change, and what was sent may still come."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scripted_world import APPROVER, BOTH, OPERATOR, is_now, set_to, simple, step

from bot.api.actions import ManualStep
from bot.api.plan import Group
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan


def switch(key, deadline=60):
    return replace(
        step(key, "hv03", deadline=deadline, **{key: "1"}),
        undo=set_to("hv03", **{key: "0"}),
        undone=(is_now("hv03", 60, **{key: "0"}),),
    )


def plan(*steps):
    return lambda *_: simple("hv03", *steps)


async def undo(bench):
    bench.known[BOTH.id] = BOTH
    return await bench.proposals.undo(Request(BOTH, "undo T-1", "button", "C0OPS"), "T-1")


def keys(proposed):
    return [one.key for one in proposed.proposal.plan.steps]


async def test_what_was_so_before_anything_was_sent_is_not_undone(benches, world):
    """Somebody else had done it, and nobody asked to take that from them."""
    world.hosts["hv03"].update(a="1", b="0")
    bench = benches(plans={"reset": plan(switch("a"), switch("b"))})
    ticket = await bench.approved()
    await bench.runs()
    bench.clock.forward(hours=1)
    found = await undo(bench)
    assert keys(found) == ["undo-b"]
    assert found.proposal.plan.reason == f"Undoes what {ticket} did. Not undone: a hv03 (already done before)."
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    await bench.runs(2)
    assert bench.last(found.ticket).kind == "done"
    assert (world.hosts["hv03"]["a"], world.hosts["hv03"]["b"]) == ("1", "0")


async def test_where_all_was_so_before_there_is_no_undo_and_it_says_why(benches, world):
    world.hosts["hv03"]["a"] = "1"
    bench = benches(plans={"reset": plan(switch("a"))})
    await bench.approved()
    await bench.runs()
    with pytest.raises(
        NoPlan, match=r"Nothing that T-1 did can be undone\. Not undone: a hv03 \(already done before\)"
    ):
        await undo(bench)


@pytest.mark.parametrize("how", ["done", "cancelled"])
async def test_an_undo_waits_for_what_was_sent_although_it_was_so_already(benches, world, clock, how):
    """The host takes it at once and carries it out within its time: nobody saw that end, whatever its checks say."""
    world.hosts["hv03"].update(a="0", b="1")
    bench = benches(plans={"reset": plan(switch("a"), switch("b", deadline=600))})
    world.faults = [None, ("slow", 500)]
    if how == "cancelled":
        world.hooks[2] = lambda: (
            world.hosts["hv03"].update(b="0"),
            bench.decisions.cancel(bench.press(OPERATOR, "T-1")),
        )
    ticket, began = await bench.approved(), clock()
    await bench.runs(2)
    assert bench.last(ticket).kind == how
    found = await undo(bench)
    (gate,) = found.proposal.plan.gates
    assert gate.finding.startswith("“b hv03” was sent and may still be in progress until")
    # It has no undo that would look for it: the time in which it shows counts, too.
    assert datetime.fromisoformat(gate.passes_at) >= began + timedelta(seconds=600 + 60)
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    await bench.runs(2)
    assert bench.last(found.ticket).kind == "approved", "it waits"
    clock.forward(seconds=750)
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, world.rows("hv03")[0]["a"], world.later) == ("done", "0", [])


async def test_a_group_that_failed_puts_back_only_what_it_changed(benches, world):
    world.hosts["hv03"].update(a="1", b="0")
    steps = (switch("a"), switch("b"), step("c", "hv03", c="1"))
    groups = (Group("all", steps, on_failure="undo"),)
    bench = benches(plans={"reset": lambda *_: replace(simple("hv03", *steps), groups=groups)})
    world.faults = [None, None, "refused"]
    ticket = await bench.approved()
    await bench.runs(2)
    end = bench.last(ticket)
    assert (end.kind, end.data.not_undone) == ("failed", ("a hv03 (already done before)",))
    assert (world.hosts["hv03"]["a"], world.hosts["hv03"]["b"]) == ("1", "0")


async def test_what_a_person_says_to_have_done_is_theirs_though_it_was_so_before(benches, world):
    """They may have begun before they were asked: their word says that it is the ticket's change."""
    world.hosts["hv03"]["a"] = "1"
    hand = replace(switch("a"), act=ManualStep("Set it", "operator"))
    bench = benches(plans={"reset": plan(hand)})
    ticket = await bench.approved()

    sleep = bench.parts.sleep

    async def sleeps(seconds):
        await sleep(seconds)
        if bench.ledger.ticket(ticket).intent is not None and not bench.ledger.entries(
            ticket=ticket, kind="step-confirmed"
        ):
            bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(2)
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert (bench.last(ticket).kind, outcome.data.basis) == ("done", "statement")
    assert keys(await undo(bench)) == ["undo-a"]
