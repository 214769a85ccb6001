"""The undo of a ticket beside other tickets: earlier undos of it."""

from dataclasses import replace
from functools import partial

import pytest
import scripted_world as scripted
from scripted_world import is_now, set_to, step

from bot.api.plan import Group, Plan
from bot.dispatch.pipeline import Request


def switch(key, on="hv03", value="1"):
    """Set a value; the undo sets it back to 0."""
    return replace(
        step(key, on, **{key: value}), undo=set_to(on, **{key: "0"}), undone=(is_now(on, 60, **{key: "0"}),),
        undo_says=f"Set {key} of {on} back", before=scripted.state(on),
    )  # fmt: skip


def about(key, on="hv03", program="other"):
    """The same by another program than all others."""
    made = switch(key, on)
    return replace(made, act=replace(made.act, what=program), undo=replace(made.undo, what=program))


def plan_of(*steps, **more):
    """A plan of these steps under the lock of a cluster."""
    return lambda *_: Plan("why", "all stops", "none", ("cluster:prod",), (), (Group("all", steps, **more),))


def add(bench, **plans):
    for name, plan in plans.items():
        bench.plans[name] = plan
        bench.planner._registry.commands[name] = scripted.command(name, partial(bench._plan, name))


@pytest.fixture
def ready(bench, world):
    for values in world.hosts.values():
        values.update(dict.fromkeys("abc", "0"))
    add(
        bench,
        work=plan_of(*map(switch, "abc")),
        back=plan_of(replace(step("back", "hv03", a="0"), key="back")),
        other=plan_of(about("b")),
    )
    return bench


async def done(bench, line):
    ticket = await bench.approved(line)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    return ticket


async def undo(bench, ticket="T-1", by=scripted.OPERATOR):
    return await bench.proposals.undo(Request(by, f"undo {ticket}", "button", "C0OPS"), ticket)


async def runs(bench, ticket, answers=()):
    bench.decisions.approve(bench.press(scripted.APPROVER, ticket), answers)
    await bench.runs()
    return bench.last(ticket)


async def stopped_undo(bench, world, steps=1):
    """T-1 is done, and T-2 undoes the newest steps of it before somebody stops it."""
    await done(bench, "/work hv03")
    found = (await undo(bench)).ticket
    world.hooks[3 + steps] = lambda: bench.decisions.cancel(bench.press(scripted.OPERATOR, found))
    assert (await runs(bench, found)).kind == "cancelled"
    return found


def keys(proposed):
    return [one.key for one in proposed.proposal.plan.steps]


async def test_what_an_earlier_undo_has_done_is_not_undone_again(ready, world):
    await stopped_undo(ready, world)
    world.hosts["hv03"]["c"] = "1"  # somebody has set it on purpose since
    again = await undo(ready)
    assert keys(again) == ["undo-b", "undo-a"]
    assert again.proposal.plan.reason.endswith("Already done by T-2: Set c of hv03 back.")
    assert (await runs(ready, again.ticket)).kind == "done"
    assert [world.hosts["hv03"][key] for key in "abc"] == ["0", "0", "1"]


async def test_a_third_undo_counts_what_both_before_it_have_done(ready, world):
    await stopped_undo(ready, world)
    again = await undo(ready)
    world.hooks[5] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, again.ticket))
    assert (await runs(ready, again.ticket)).kind == "cancelled"
    third = await undo(ready)
    assert keys(third) == ["undo-a"]
    both = "Already done by T-2: Set c of hv03 back. Already done by T-3: Set b of hv03 back."
    assert both in third.proposal.plan.reason
    assert (await runs(ready, third.ticket)).kind == "done"
    assert len(world.order) == 6


async def test_what_an_earlier_undo_may_have_done_is_found_out_by_the_next_one(ready, world):
    """It was sent, and somebody stopped it while it was waited for."""
    await done(ready, "/work hv03")
    first = (await undo(ready)).ticket
    world.faults = [("slow", 86_400)]
    world.hooks[4] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    assert (await runs(ready, first)).kind == "cancelled"
    assert [one.data.result for one in ready.ledger.story(first) if one.kind == "outcome"] == ["abandoned"]
    assert keys(await undo(ready)) == ["undo-c", "undo-b", "undo-a"]


async def test_an_undo_that_was_stopped_counts_itself_when_it_is_checked_again(ready, world):
    """Made anew for its own start, nothing of it is left out."""
    found = await undo(ready, await done(ready, "/work hv03"))
    made = await ready.planner.rebuild(found.proposal)
    assert made.digest == found.proposal.made.digest
    await runs(ready, found.ticket)
    assert [one.key for one in (await ready.planner.rebuild(found.proposal)).plan.steps] == keys(found)
