"""What was held back before it was sent: how the host was then counts for nothing that is sent later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from scripted_world import APPROVER, OPERATOR, is_now, reset_plan, set_to, simple, state, step

from bot.api.actions import RunProgram
from bot.api.plan import Check, CompareToBefore, Step
from bot.errors import RolesUnknown
from bot.executor import step as step_module
from bot.tickets.run_history import story_of


def restarts(on, _facts):
    """A restart that is proved by a new instance, and a step that must not be sent before it has come."""
    new = Check(state(on), (CompareToBefore("restart", ("instance",), same=False),), within=600)
    restart = Step("restart", f"Restart {on}", RunProgram(on, "restart"), (new,), before=state(on), deadline=30)
    return simple(on, restart, step("resume", on, paused="never"))


@pytest.fixture
def held(bench, world):
    """A bot whose next act is held back at the login by a stop; `held.meanwhile` happens in it, then changes go on."""

    class Held:
        async def approved(self, plan=restarts, before=0):
            bench.plans["reset"] = plan
            ticket = await bench.approved()
            world.logins[before] = lambda: bench.decisions.stop_changes(OPERATOR, "power work")
            return ticket

        async def runs(self, meanwhile, life="the same life"):
            """Let it be held back, let something happen, and let it go on to its end."""
            sleep, waits = bench.parts.sleep, asyncio.Event()

            async def hold(seconds):
                if not bench.ledger.is_stopped():
                    await sleep(seconds)
                    return
                waits.set()
                if life == "another life":
                    await asyncio.Event().wait()
                meanwhile()
                bench.decisions.allow_changes(APPROVER)

            object.__setattr__(bench.parts, "sleep", hold)
            await bench.runner.tick()
            async with asyncio.timeout(20):
                await waits.wait()
            if life == "another life":
                await bench.dies()
                meanwhile()
                bench.decisions.allow_changes(APPROVER)
            await bench.runs(2)

    return Held()


LIVES = ["the same life", "another life"]


def outcomes(bench, ticket, key):
    found = (entry.data for entry in bench.ledger.story(ticket) if entry.kind == "outcome")
    return [(one.result, one.basis) for one in found if one.step == key]


def befores(bench, ticket, key, column):
    found = (entry.data for entry in bench.ledger.story(ticket) if entry.kind == "intent")
    return [one.before[0][column] for one in found if one.step == key]


@pytest.mark.parametrize("life", LIVES)
async def test_what_a_host_refused_is_not_done_because_somebody_did_it_while_it_was_held_back(bench, world, held, life):
    def by_hand():
        world.hosts["hv03"]["instance"] = "2"
        world.faults = ["refused"]

    ticket = await held.approved()
    await held.runs(by_hand, life)
    assert befores(bench, ticket, "restart", "instance") == ["1", "2"]
    assert outcomes(bench, ticket, "restart") == [("not sent", ""), ("failed", "")]
    assert bench.last(ticket).kind == "failed"


@pytest.mark.parametrize("life", LIVES)
async def test_what_was_sent_is_waited_for_although_the_same_came_about_while_it_was_held_back(
    bench, world, held, life
):
    seen, change = [], world.change

    async def watched(action, seconds):
        if action.what == "set":
            seen.append(world.rows("hv03")[0]["instance"])
        return await change(action, seconds)

    def by_hand():
        world.hosts["hv03"]["instance"] = "2"
        world.faults = [("slow", 60)]

    world.change = watched
    ticket = await held.approved()
    await held.runs(by_hand, life)
    assert seen == ["3"], "the next step is sent once the restart that was sent has come"
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("life", LIVES)
async def test_whether_it_was_so_already_is_asked_anew_too(bench, world, held, life):
    ticket = await held.approved(reset_plan)
    await held.runs(lambda: world.hosts["hv03"].update(paused="yes"), life)
    assert outcomes(bench, ticket, "pause") == [("not sent", ""), ("done", "already so")]


async def test_without_an_answer_of_how_it_is_now_nothing_is_sent(bench, world, held):
    """The old answer does not do in its place."""
    ticket = await held.approved()
    await held.runs(lambda: world.silent.add("hv03"))
    assert world.order == []
    assert "the state before it is not known" in bench.last(ticket).reason


def again(on, _facts):
    """It may be begun again where nothing has changed, and is taken back to how it was before."""
    one = Step(
        "set", "Set", set_to(on, a="1"), (is_now(on, 60, a="1"),), before=state(on), deadline=5,
        undo=set_to(on, a="0"), repeatable=True,
    )  # fmt: skip
    return simple(on, one)


@pytest.mark.parametrize("life", LIVES)
async def test_what_was_sent_once_is_judged_by_how_it_was_before_that(bench, world, held, life):
    """Begun again, it was held back; by then the host is another: nobody knows whether that is what came of the first one."""
    world.hosts["hv03"] |= {"a": "0", "note": "first"}
    world.faults = ["lost"]
    ticket = await held.approved(again)
    stop = world.logins.pop(0)
    world.logins[0] = lambda: world.logins.update({0: stop})  # the first is lost on the way, the second held back
    await held.runs(lambda: world.hosts["hv03"].update(note="second"), life)
    assert befores(bench, ticket, "set", "note") == ["first", "first"]
    assert (bench.last(ticket).kind, outcomes(bench, ticket, "set")) == ("interrupted", [("not sent", "")])
    story = story_of(bench.ledger.story(ticket))
    assert story.images["set"][0]["note"] == story.round_images["set", 1][0]["note"] == "first"
    assert (story.in_flight, story.intents["set", 1].times) == (("set", 1), 1)


@pytest.mark.parametrize("what", ["it is done", "something has changed", "nothing has changed"])
async def test_what_is_begun_again_is_asked_about_once_more_after_a_wait(bench, world, held, what):
    """It was seen that it had not happened, hours ago."""
    changed = {"it is done": {"a": "1"}, "something has changed": {"note": "second"}, "nothing has changed": {}}[what]
    world.hosts["hv03"] |= {"a": "0", "note": "first"}
    world.faults = ["lost"]
    bench.plans["reset"] = again
    ticket = await bench.approved()
    tell = bench.parts.tell

    def stops(told):
        tell(told)
        if told.kind == "resumed":  # it has just been seen that nothing has happened
            bench.decisions.stop_changes(OPERATOR, "power work")

    object.__setattr__(bench.parts, "tell", stops)
    await held.runs(partial(world.hosts["hv03"].update, changed))
    ends = {"it is done": "done", "something has changed": "interrupted", "nothing has changed": "done"}
    assert bench.last(ticket).kind == ends[what]
    assert len(world.order) == (what == "nothing has changed")


async def test_what_is_begun_again_is_asked_about_once_more_after_its_guard_has_waited(bench, world):
    """The guard waits for a lock of somebody else, who does it meanwhile."""
    world.hosts["hv03"] |= {"a": "0"}
    (one,) = again("hv03", {}).groups[0].steps
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(one, guard=(is_now("hv04", 600, locked="no"),)))
    ticket = await bench.approved()
    world.faults, sleep, waits = ["lost"], bench.parts.sleep, []

    def locks():
        world.hosts["hv04"]["locked"] = "yes"

    async def sleeps(seconds):
        await sleep(seconds)
        if bench.kinds(ticket)[-1] == "resumed":
            waits.append(seconds)
            if len(waits) == 3:
                world.hosts["hv03"]["a"], world.hosts["hv04"]["locked"] = "1", "no"

    world.logins[0] = locks
    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(2)
    assert len(waits) == 3
    assert (bench.last(ticket).kind, world.order) == ("done", [])


def comes_late(on, _facts):
    """It is sent, is not answered, and comes when everybody believes that it did not."""
    one = replace(step("pause", on, deadline=60, within=60, paused="yes"), before=state(on), repeatable=True)
    return simple(on, one)


def comes_late_guarded(on, _facts):
    """The same, with the guard of a drain: the node is not paused yet."""
    (one,) = comes_late(on, {}).groups[0].steps
    return simple(on, replace(one, guard=(is_now(on, 0, paused="no"),)))


LATE = pytest.mark.parametrize("plan", [comes_late, comes_late_guarded])


@LATE
@pytest.mark.parametrize("life", LIVES)
async def test_what_was_sent_is_asked_about_although_it_was_held_back_when_it_was_sent_again(
    bench, world, held, plan, life
):
    """The stop comes at the second login; in it the first one turns out to have happened."""
    world.faults = [("late", 300)]
    ticket = await held.approved(plan, before=1)
    await held.runs(lambda: bench.clock.forward(seconds=600), life)
    assert outcomes(bench, ticket, "pause") == [("not sent", ""), ("done", "changed")]
    assert (bench.last(ticket).kind, len(world.order)) == ("done", 1)


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("guarded", [False, True])
async def test_what_was_sent_and_is_neither_done_nor_as_before_is_for_a_person(bench, world, held, life, guarded):
    """Its guard, which is unmet by now, is no proof that it has not begun."""
    guard = (is_now("hv03", 0, drain=""),) if guarded else ()
    (one,) = comes_late("hv03", {}).groups[0].steps
    world.faults = ["never"]
    ticket = await held.approved(lambda on, _facts: simple(on, replace(one, guard=guard)), before=1)
    await held.runs(lambda: world.hosts["hv03"].update(drain="under way"), life)
    assert (bench.last(ticket).kind, bench.ledger.locks()) == ("interrupted", {"node:hv03": ticket})
    assert len(world.order) == 1


@pytest.mark.parametrize("life", LIVES)
async def test_what_was_sent_and_has_not_happened_is_sent_again_after_go(bench, world, held, life):
    world.faults = ["never"]
    ticket = await held.approved(comes_late_guarded, before=1)
    await held.runs(lambda: None, life)
    assert outcomes(bench, ticket, "pause") == [("not sent", ""), ("done", "changed")]
    assert (bench.last(ticket).kind, len(world.order)) == ("done", 2)


@LATE
@pytest.mark.parametrize("who", ["people", "external records"])
async def test_what_comes_while_nobody_can_say_whether_it_may_be_sent_again_is_done(
    bench, world, monkeypatch, plan, who
):
    """For some minutes Slack does not say who holds which role, or a log takes its time."""
    bench.plans["reset"] = plan
    ticket = await bench.approved()
    world.faults = [("late", 300)]
    began, people, records = bench.clock(), bench.people, step_module.check_records

    async def asks(person_id, name):
        if world.order and bench.clock() - began < timedelta(seconds=400):
            raise RolesUnknown("Slack does not answer")
        return await people(person_id, name)

    async def slowly(run, places):
        if world.order:
            bench.clock.forward(seconds=400)
        return await records(run, places)

    if who == "people":
        bench.parts = replace(bench.parts, people=asks)
        bench.runner = bench.new_runner()
    else:
        monkeypatch.setattr(step_module, "check_records", slowly)
    await bench.runs(2)
    assert outcomes(bench, ticket, "pause") == [("done", "changed")]
    assert (bench.last(ticket).kind, len(world.order)) == ("done", 1)


@pytest.mark.parametrize("comes", [True, False])
async def test_a_guard_that_is_unmet_for_what_was_sent_is_no_word_that_it_was_not_started(bench, world, comes):
    """The guard waits, and what was sent comes meanwhile, or does not."""
    (one,) = comes_late("hv03", {}).groups[0].steps
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(one, guard=(is_now("hv04", 300, locked="no"),)))
    ticket = await bench.approved()
    world.faults = [("late", 200) if comes else "never"]
    sleep = bench.parts.sleep

    async def sleeps(seconds):
        world.hosts["hv04"]["locked"] = "yes" if world.order else "no"
        await sleep(seconds)

    object.__setattr__(bench.parts, "sleep", sleeps)
    await bench.runs(2)
    assert len(world.order) == 1
    if comes:
        assert (bench.last(ticket).kind, outcomes(bench, ticket, "pause")) == ("done", [("done", "changed")])
    else:
        assert "not started again: locked is yes, not no" in bench.last(ticket).reason


async def test_a_cancel_at_the_second_login_ends_it_although_its_end_would_be_waited_for(bench, world):
    """It has not gone out again, so there is nothing of which the end is to be waited for."""
    (one,) = comes_late("hv03", {}).groups[0].steps
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(one, finishes=True))
    ticket = await bench.approved()
    world.faults = ["never"]
    world.logins[1] = lambda: bench.decisions.cancel(bench.press(OPERATOR, ticket))
    await bench.runs(2)
    assert (bench.last(ticket).kind, len(world.order)) == ("cancelled", 1)
    assert outcomes(bench, ticket, "pause") == [("not sent", ""), ("abandoned", "")]


async def test_a_cancel_while_what_was_sent_begins_to_come_is_left_to_a_person(bench, world):
    bench.plans["reset"] = comes_late
    ticket = await bench.approved()
    world.faults = ["never"]

    def cancels():
        world.hosts["hv03"]["drain"] = "under way"
        bench.decisions.cancel(bench.press(OPERATOR, ticket))

    world.logins[1] = cancels
    await bench.runs(2)
    assert (bench.last(ticket).kind, bench.ledger.locks()) == ("interrupted", {"node:hv03": ticket})
    assert len(world.order) == 1
