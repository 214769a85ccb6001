"""A ticket that is voided half-way, as its plan is another one by now or a role was lost: what it sent may still come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_world import APPROVER, step
from test_other_tickets import add, plan_of, switch

from bot.api.plan import Group, Plan
from bot.errors import TargetTimeout


@pytest.mark.parametrize("before", ["already so", "not known"])
@pytest.mark.parametrize("ended_by", ["another plan", "a lost role"])
async def test_what_it_has_sent_is_waited_for_by_the_next_change_there(bench, world, clock, before, ended_by):
    world.hosts["hv03"].update(a="0", b="1" if before == "already so" else "0")
    asked = world.answer

    def work(_on, facts):
        first = replace(step("b", "hv03", deadline=600, b="1"), before=None)
        second = switch("a", value="2" if facts.get("drift") else "1")
        return Plan("why", "all", "none", ("cluster:prod",), (), (Group("one", (first,)), Group("two", (second,))))

    async def answers(query, *more):
        ticket = bench.ledger.ticket("T-1")
        if before == "not known" and ticket is not None and ticket.state == "running" and not world.order:
            world.hosts["hv03"].update(b="1")  # someone else does it at that moment
            raise TargetTimeout(query.on, "no answer in 20 s.")
        return await asked(query, *more)

    def ends():
        if ended_by == "another plan":
            world.hosts["hv03"]["drift"] = "yes"
        else:
            bench.now_are[APPROVER.id] = replace(APPROVER, roles={})

    add(bench, work=work, back=plan_of(replace(step("b", "hv03", b="0"), key="back")))
    world.answer = answers
    world.faults = [("slow", 500)]
    world.hooks[1] = ends
    ticket = await bench.approved("/work hv03")
    await bench.runs(2)
    assert (bench.last(ticket).kind, bool(world.later)) == ("voided", True), "the host is still at it"
    bench.now_are.clear()
    found = await bench.propose("/back hv03")
    assert any("was sent and may still be in progress until" in gate.finding for gate in found.proposal.plan.gates)
    bench.decisions.approve(bench.press(APPROVER, found.ticket))
    await bench.runs(2)
    assert bench.last(found.ticket).kind == "approved", "it waits"
    clock.forward(seconds=720)
    await bench.runs(2)
    assert (bench.last(found.ticket).kind, world.rows("hv03")[0]["b"]) == ("done", "0")
