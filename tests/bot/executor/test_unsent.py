"""What hvops itself knows to have never gone out is nothing that an undo, or a later try, has to reckon with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_world import APPROVER, is_now, set_to, simple, state, step

from bot.api.actions import RowTransaction, Update
from bot.api.plan import Group, Plan
from bot.api.queries import make_params
from bot.errors import AuthenticationFailed, NotBegun, PolicyViolation, QuotaExceeded, TargetFault

ROW = RowTransaction("hv03", "db", (Update("t", make_params(id="1"), make_params(b="0"), make_params(b="1")),))


def before_it_went_out(error):
    error.is_unsent = True
    return error


UNSENT = {
    "no worker": lambda: NotBegun("hv03", "not started: no worker of branch is there."),
    "our own rules": lambda: PolicyViolation(
        "hv03", "its address leads to another machine, so nothing was sent there."
    ),
    "login": lambda: before_it_went_out(AuthenticationFailed("hv03", "the login was refused.")),
    "turn": lambda: before_it_went_out(QuotaExceeded("hv03", "nothing was sent: it was busy.")),
}
ANSWERED = {
    "login": lambda: AuthenticationFailed("hv03", "the login was refused (HTTP 401)."),
    "busy": lambda: QuotaExceeded("hv03", "it is too busy."),
    "fault": lambda: TargetFault("hv03", "5960", code=5960, is_refusal=True),
}


def undoable(key, **more):
    back = {"undo": set_to("hv03", **{key: "0"}), "undone": (is_now("hv03", 60, **{key: "0"}),)}
    return replace(step(key, "hv03", **{key: "1"}), undo_says=f"Put {key} back", **back, **more)


def outcomes(bench, ticket):
    entries = bench.ledger.entries(ticket=ticket, kind="outcome", newest_first=False)
    return [(one.data.step, one.data.result, one.data.not_executed) for one in entries]


async def ran(bench, world, fault, *steps):
    """A ticket of these steps, whose first action ends in `fault`."""
    world.hosts["hv03"] |= {"a": "0", "b": "0"}
    bench.plans["reset"] = lambda on, _facts: simple(on, *steps)
    ticket = await bench.approved()
    world.faults = [fault]
    await bench.runs(2)
    return ticket


@pytest.mark.parametrize("why", UNSENT)
async def test_the_undo_of_what_never_went_out_leaves_what_someone_did_since(bench, world, why):
    ticket = await ran(bench, world, UNSENT[why](), undoable("b"))
    assert (bench.last(ticket).kind, world.order, outcomes(bench, ticket)) == ("failed", [], [("b", "failed", True)])
    world.hosts["hv03"]["b"] = "1"  # by hand, on purpose
    undo = (await bench.planner.undo(ticket)).plan
    assert (undo.steps, undo.reason) == ((), f"Nothing that {ticket} did can be undone.")


@pytest.mark.parametrize("why", ANSWERED)
async def test_what_a_target_says_to_have_refused_may_have_begun(bench, world, why):
    ticket = await ran(bench, world, ANSWERED[why](), undoable("b"))
    assert (bench.last(ticket).kind, outcomes(bench, ticket)) == ("failed", [("b", "failed", False)])
    assert [one.key for one in (await bench.planner.undo(ticket)).plan.steps] == ["undo-b"]


async def test_a_group_that_fails_undoes_only_what_went_out(bench, world):
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", (undoable("a"), undoable("b")), on_failure="undo"),))
    bench.plans["reset"] = lambda _on, _facts: plan
    world.hosts["hv03"] |= {"a": "0", "b": "0"}
    ticket = await bench.approved()
    world.faults = [None, UNSENT["no worker"]()]
    await bench.runs(2)
    assert world.order == [("hv03", "set", "1"), ("hv03", "set", "0")]
    assert outcomes(bench, ticket) == [("a", "done", False), ("b", "failed", True), ("undo-a", "done", False)]
    assert bench.last(ticket).data.rolled_back is True


@pytest.mark.parametrize("second", [*UNSENT])
async def test_what_was_sent_once_is_undone_though_its_second_try_never_went_out(bench, world, second):
    again = undoable("b", before=state("hv03"), repeatable=True)
    world.hosts["hv03"] |= {"b": "0"}
    bench.plans["reset"] = lambda on, _facts: simple(on, again)
    ticket = await bench.approved()
    world.faults = ["never", UNSENT[second]()]
    await bench.runs(2)
    assert bench.kinds(ticket).count("intent") == 2
    assert (bench.last(ticket).kind, outcomes(bench, ticket)) == ("failed", [("b", "failed", False)])
    assert [one.key for one in (await bench.planner.undo(ticket)).plan.steps] == ["undo-b"]


@pytest.mark.parametrize("fault", [*UNSENT, "refused transaction"])
async def test_what_someone_did_meanwhile_is_done_and_not_by_hvops(bench, world, fault):
    """Its check is met behind an action that never went out: the undo would put back what they did."""
    act = undoable("b") if fault in UNSENT else replace(undoable("b"), act=ROW)
    world.logins[0] = lambda: world.hosts["hv03"].update(b="1")
    ticket = await ran(bench, world, UNSENT[fault]() if fault in UNSENT else "refused", act)
    assert (bench.last(ticket).kind, world.order, outcomes(bench, ticket)) == ("done", [], [("b", "done", True)])
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.data.basis == "already so"
    assert "hvops changed nothing" in outcome.data.message
    assert (await bench.planner.undo(ticket)).plan.steps == ()


async def test_a_step_that_someone_has_put_back_in_its_stead_is_not_undone_either(bench, world):
    """The second step puts the first one back; it never went out, and is done all the same."""
    back = replace(step("a-back", "hv03", a="0"), reverts=("a",))
    world.hosts["hv03"] |= {"a": "0"}
    bench.plans["reset"] = lambda on, _facts: simple(on, undoable("a"), back)
    world.logins[1] = lambda: world.hosts["hv03"].update(a="0")
    ticket = await bench.approved()
    world.faults = [None, UNSENT["our own rules"]()]
    await bench.runs(2)
    assert bench.last(ticket).kind == "done"
    assert (await bench.planner.undo(ticket)).plan.steps == ()


@pytest.mark.parametrize("why", UNSENT)
async def test_where_its_host_is_silent_what_never_went_out_is_not_in_flight_and_begins_on_resume(bench, world, why):
    """As where a site's worker is away: it is the one that would be asked, too."""
    world.logins[0] = lambda: world.silent.add("hv03")
    ticket = await ran(bench, world, UNSENT[why](), undoable("b"))
    assert (bench.last(ticket).kind, outcomes(bench, ticket)) == ("interrupted", [("b", "not sent", True)])
    assert (await bench.planner.undo(ticket)).plan.steps == ()
    world.silent.clear()
    bench.decisions.resume(bench.press(APPROVER, ticket))
    await bench.runs(2)
    assert (bench.last(ticket).kind, world.order) == ("done", [("hv03", "set", "1")])
    assert [one.key for one in (await bench.planner.undo(ticket)).plan.steps] == ["undo-b"]


async def test_where_its_host_is_silent_what_was_sent_before_stays_in_flight(bench, world):
    again = undoable("b", before=state("hv03"), repeatable=True)
    world.hosts["hv03"] |= {"b": "0"}
    bench.plans["reset"] = lambda on, _facts: simple(on, again)
    ticket = await bench.approved()
    world.faults = ["never", UNSENT["no worker"]()]
    world.logins[1] = lambda: world.silent.add("hv03")
    await bench.runs(2)
    assert (bench.last(ticket).kind, outcomes(bench, ticket)) == ("interrupted", [("b", "not sent", True)])
    assert [one.key for one in (await bench.planner.undo(ticket)).plan.steps] == ["undo-b"]
