"""The undo of what was so already before anything was sent: it is not the ticket's change, and what was sent may still come."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scripted_world import APPROVER, BOTH, OPERATOR, is_now, set_to, simple, step

from bot.api.actions import ManualStep
from bot.api.plan import Group
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan, TargetTimeout, TicketError


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


@pytest.fixture
def unheard(benches, world):
    """A bench on which the one look before a step is lost, of what somebody else has done already."""
    world.hosts["hv03"]["a"] = "1"
    bench, answer = benches(plans={"reset": plan(switch("a"))}), world.answer

    async def answers(query, *more):
        ticket = bench.ledger.ticket("T-1")
        if ticket is not None and ticket.state == "running" and not world.order:
            raise TargetTimeout(query.on, "no answer in 20 s.")
        return await answer(query, *more)

    world.answer = answers
    return bench


async def test_an_undo_asks_whether_it_was_so_before_where_nobody_heard(unheard, world):
    """Silence is not knowledge: it may be what somebody else has done, and an approver says so."""
    await unheard.approved()
    await unheard.runs(2)
    (intent,) = unheard.ledger.entries(ticket="T-1", kind="intent")
    assert (unheard.last("T-1").kind, intent.data.held_before) == ("done", "not known")
    (outcome,) = unheard.ledger.entries(ticket="T-1", kind="outcome")
    assert outcome.message.startswith("it is not known whether the check was met before the action")
    early = (await unheard.planner.undo("T-1")).plan
    assert ["may still be in progress until" in gate.finding for gate in early.gates] == [False, True]
    unheard.clock.forward(hours=1)
    found = await undo(unheard)
    question = "whether someone else had done “a hv03” before T-1 did"
    assert found.proposal.made.open_questions == (question,)
    assert [gate.finding for gate in found.proposal.plan.gates] == [
        "It is not known whether what this undoes was so before T-1"
    ]
    with pytest.raises(TicketError, match="answer"):
        unheard.decisions.approve(unheard.press(APPROVER, found.ticket))
    unheard.decisions.approve(unheard.press(APPROVER, found.ticket), ("nobody else has worked on it",))
    await unheard.runs(2)
    assert (unheard.last(found.ticket).kind, world.hosts["hv03"]["a"]) == ("done", "0")


async def test_a_change_waits_for_what_was_sent_where_nobody_heard_whether_it_was_so_before(benches, world, clock):
    """The check of the undo was met, by somebody's hand, and tells nothing of what the host is still at."""
    steps, hand, asked = (switch("a"), step("b", "hv03", b="1")), [], world.answer
    groups = (Group("all", steps, on_failure="undo"),)
    bench = benches(
        plans={
            "reset": lambda *_: replace(simple("hv03", *steps), groups=groups),
            "set": plan(step("a", "hv03", a="1")),
        }
    )
    world.hosts["hv03"].update(a="0", b="0")

    async def answers(query, *more):
        outcomes = bench.ledger.entries(ticket="T-1", kind="outcome")
        if not hand and any(one.data.result == "failed" for one in outcomes):
            hand.append(world.hosts["hv03"].update(a="0"))
            raise TargetTimeout(query.on, "no answer in 20 s.")
        return await asked(query, *more)

    world.answer = answers
    world.faults = [None, "refused", ("late", 50)]
    ticket = await bench.approved()
    await bench.runs(2)
    assert (bench.last(ticket).kind, bool(world.later)) == ("failed", True), "the host is still at it"
    found = await bench.propose("/set hv03", OPERATOR)
    (gate,) = found.proposal.plan.gates
    assert "was sent and may still be in progress until" in gate.finding
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    await bench.runs(2)
    assert bench.last(found.ticket).kind == "approved", "it waits"
    clock.forward(seconds=200)
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, world.rows("hv03")[0]["a"], world.later) == ("done", "1", [])


async def test_no_run_undoes_by_itself_what_may_have_been_so_before(benches, world):
    """What Undo… would ask an approver, no failed group passes over: it may be what somebody else has done."""
    world.hosts["hv03"].update(a="1", b="0")
    steps, asked = (switch("a"), step("b", "hv03", b="1")), world.answer
    groups = (Group("all", steps, on_failure="undo"),)
    bench = benches(plans={"reset": lambda *_: replace(simple("hv03", *steps), groups=groups)})

    async def answers(query, *more):
        ticket = bench.ledger.ticket("T-1")
        if ticket is not None and ticket.state == "running" and not world.order:
            raise TargetTimeout(query.on, "no answer in 20 s.")
        return await asked(query, *more)

    world.answer = answers
    world.faults = [None, "refused"]
    ticket = await bench.approved()
    await bench.runs(2)
    end = bench.last(ticket)
    assert (end.kind, world.hosts["hv03"]["a"]) == ("interrupted", "1")
    assert "It is not known whether what this undoes was so before T-1" in end.reason
