"""An action that is answered with a fault may have begun."""

from __future__ import annotations

from dataclasses import replace

from scripted_world import is_now, set_to, state, step

from bot.api.plan import Group, Plan
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
