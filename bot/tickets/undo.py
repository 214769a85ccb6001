"""Taking back: the undos of what has happened, in reverse. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bot.api.plan import UNDO, Check, CompareToBefore, Group, Plan, Step
from bot.tickets.proposal import PlannedChange, Proposal
from bot.tickets.run_history import DONE, RunHistory, StepInstance, positions


def undo_step(step: Step, turn: int = 1) -> Step:
    """The step that takes another one back, judged by what the plan says or by the before-image."""
    assert step.undo is not None
    assert step.undone or step.before is not None
    done = step.undone or (Check(step.before, (CompareToBefore(step.key),), within=step.deadline),)  # type: ignore[arg-type]
    number = f".{turn}" if turn > 1 else ""
    return Step(
        key=f"{UNDO}{step.key}{number}",
        description=f"Take back: {step.undo_says or step.description}",
        act=step.undo,
        done=done,
        deadline=step.deadline,
    )


def steps_to_undo(done: Iterable[StepInstance], story: RunHistory) -> tuple[Step, ...]:
    """The undos of everything that was begun, the newest first; what cannot be undone, or has been, is left out.

    A step that was begun and never told its outcome may have happened: its undo is among them, and finds out.
    """
    begun = [place for place in done if place.key in story.intents and place.step.undo is not None]
    undos = [undo_step(place.step, place.round) for place in reversed(begun) if not story.is_untouched(place.key)]
    return tuple(step for step in undos if story.result((step.key, 1)) != DONE)


def remaining_undo(plan: Plan, story: RunHistory) -> tuple[Step, ...]:
    """What an undo of a plan would do now; nothing where the plan has put back itself what it changed on the way."""
    places = positions(plan)
    if plan.self_reverting and all(story.result(place.key) == DONE for place in places):
        return ()
    return steps_to_undo(places, story)


def undone_checks(places: Iterable[StepInstance], story: RunHistory) -> tuple[Check, ...]:
    """What tells whether it is as it was before: each question once, against its oldest image.

    A later step's image shows what an earlier one had done, which is not what somebody wants back.
    """
    begun = [place for place in places if place.key in story.intents and place.step.undo is not None]
    asked = {
        place.step.before: Check(
            place.step.before,
            (CompareToBefore(place.step.key),),
            description=f"noted before “{place.step.description}”, and so again",
        )
        for place in reversed(begun)
        if place.step.before is not None and place.step.key in story.images and not story.is_untouched(place.key)
    }
    return tuple(reversed(asked.values()))


def undo_plan(proposal: Proposal, story: RunHistory) -> Plan:
    """The plan that takes a ticket back; without groups where there is nothing to take back."""
    plan, places = proposal.plan, positions(proposal.plan)
    steps = remaining_undo(plan, story)
    kept = [place.step.description for place in places if place.key in story.intents and place.step.undo is None]
    stays = f" Stays as it is: {'; '.join(dict.fromkeys(kept))}." if kept else ""
    if not steps and steps_to_undo(places, story):
        stays = " What it changed on the way it has put back itself."
    return Plan(
        reason=f"Takes back what {proposal.ticket} has done.{stays}"
        if steps
        else f"Nothing that {proposal.ticket} has done can be taken back.{stays}",
        impact=plan.impact,
        rollback=f"None: this is the way back of {proposal.ticket}.",
        locks=plan.locks,
        gates=(),
        groups=(Group("undo", steps),) if steps else (),
        afterwards=undone_checks(places, story) if steps else (),
    )


def undo_line(ticket: str) -> str:
    """The line of the ticket that takes another one back."""
    return f"undo {ticket}"


def build_undo(proposal: Proposal, story: RunHistory, version: str) -> PlannedChange:
    """The undo of a ticket, as something to propose."""
    return replace(
        proposal.made,
        line=undo_line(proposal.ticket),
        command="undo",
        plan=undo_plan(proposal, story),
        version=version,
        undoes=proposal.ticket,
    )
