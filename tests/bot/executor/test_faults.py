"""An action that is answered with a fault may have begun; and one that is under way never looks as if it had not."""

from __future__ import annotations

from dataclasses import replace

from scripted_world import is_now, set_to, state, step

from bot.api.plan import Check, Expect, Group, Plan
from bot.api.queries import Predicate
from bot.errors import ProgramFailed, TargetFault

FAULT = TargetFault("hv03", "WMI there failed without saying why.", code=0x80041001)


def planned(bench, *steps, on_failure="undo"):
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure=on_failure),))
    bench.plans["reset"] = lambda _on, _facts: plan


def first():
    """A step that is done and could be undone."""
    return replace(
        step("a", "hv03", a="1"), before=state("hv03"), undo=set_to("hv03", a="0"), undone=(is_now("hv03", a="0"),)
    )


def answers_with_a_fault(world, act):
    """The world takes an act, the one of that number, and answers it with a fault."""

    def fault():
        raise FAULT

    world.hooks[act] = fault


async def test_what_was_begun_and_answered_with_a_fault_is_waited_for(bench, world):
    """As a service that is slow to start, or a migration that goes on: it is neither failed nor undone, and sent once."""
    planned(bench, first(), step("b", "hv03", within=600, b="1"))
    world.faults = [None, ("slow", 400)]
    answers_with_a_fault(world, 2)
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert [value for *_, value in world.order] == ["1", "1"]


async def test_a_fault_after_which_nothing_happens_fails_once_the_time_is_over_and_is_not_sent_again(
    bench, world, clock
):
    repeatable = replace(step("b", "hv03", within=600, b="1"), before=state("hv03"), repeatable=True)
    planned(bench, first(), repeatable)
    world.faults = [None, FAULT]
    ticket = await bench.approved()
    before = clock()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    assert "without saying why" in bench.last(ticket).data.reason
    assert [value for *_, value in world.order] == ["1", "0"]  # b was asked for once, and a is undone
    assert (clock() - before).total_seconds() >= 600


async def test_of_a_fault_after_which_nobody_knows_a_person_decides_and_nothing_is_undone(bench, world):
    planned(bench, first(), step("b", "hv03", within=600, b="1"))
    world.faults = [None, FAULT]
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert world.hosts["hv03"]["a"] == "1"


async def test_a_program_that_has_ended_is_asked_about_for_the_time_of_its_checks_alone(bench, world, clock):
    """Its own time, which may be most of an hour, has ended with it."""
    planned(bench, first(), step("b", "hv03", deadline=2700, within=60, b="1"))
    world.faults = [None, ProgramFailed("hv03", "dism ended with exit code 14098.", code=14098)]
    ticket = await bench.approved()
    before = clock()
    await bench.runs()
    assert bench.last(ticket).kind == "interrupted"
    assert world.hosts["hv03"]["a"] == "1"
    assert 60 <= (clock() - before).total_seconds() < 600


async def test_a_known_refusal_fails_at_once(bench, world, clock):
    planned(bench, first(), step("b", "hv03", within=600, b="1"))
    world.faults = [None, TargetFault("hv03", "access denied", code=5, is_refusal=True)]
    ticket = await bench.approved()
    before = clock()
    await bench.runs()
    assert bench.last(ticket).kind == "failed"
    assert world.hosts["hv03"]["a"] == "0"
    assert (clock() - before).total_seconds() < 60


def drain(on="hv03", **more):
    """Its act changes the node at once and the guests, of which its image is, much later."""
    guests = is_now("hv04", within=3600, guests="none")
    node = Check(state(on), (Expect((Predicate("paused", "=", "no"),)),)).described_as("it is up")
    return replace(
        step("drain", on, paused="yes"), done=(guests,), guard=(node,), before=state("hv04"), repeatable=True, **more
    )


async def test_what_is_under_way_beside_its_image_is_waited_for(bench, world, clock):
    """Without `untouched` the image says "not happened" and the guard says "not started": both are untrue."""
    up = Check(state("hv03"), (Expect((Predicate("paused", "=", "no"),)),)).described_as("it is up")
    planned(bench, drain(untouched=(up,)))
    world.hosts["hv04"]["guests"] = "11"
    world.faults = ["unanswered"]
    ticket = await bench.approved()
    asked = world.answer

    async def answer(question, seconds=20.0):
        if (clock() - began).total_seconds() > 1800:
            world.hosts["hv04"]["guests"] = "none"
        return await asked(question, seconds)

    world.answer, began = answer, clock()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert len(world.order) == 1
    assert not any("did not happen" in str(entry.data) for entry in bench.ledger.entries(ticket=ticket))


async def test_what_the_guard_misses_may_be_what_the_step_has_changed(bench, world):
    """The act takes effect between the look at its image and the look at its guard."""
    pause = replace(step("pause", "hv03", within=600, done="yes", paused="yes"), guard=(is_now("hv03", paused="no"),))
    planned(bench, replace(pause, done=(is_now("hv03", 600, done="yes"),), before=state("hv03"), repeatable=True))
    world.faults = ["never"]
    ticket = await bench.approved()
    asked, taken = world.answer, []

    async def answer(question, seconds=20.0):
        if bench.kinds(ticket)[-1] == "resumed" and not taken:
            taken.append(True)
            world.hosts["hv03"]["paused"] = "yes"  # it came after all, half-way
        return await asked(question, seconds)

    world.answer = answer
    await bench.runs()
    assert taken
    assert bench.last(ticket).kind == "interrupted"
    assert not any("not started" in str(entry.data) for entry in bench.ledger.entries(ticket=ticket))
    assert len(world.order) == 1
