"""Whether the people behind a ticket still hold their roles: checked again, live, before each start of work.

A decision stays in the ledger for good; the role behind it may be taken away. Everyone who requested, approved, answered
or resumed the ticket must hold that role now. If one of them lost it, the ticket ends; while nobody can say, it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.api.actions import ManualStep
from bot.api.command import Role
from bot.dispatch.authorization import EVERYWHERE, Person, require_role
from bot.errors import PermissionDenied, RolesUnknown
from bot.executor.run import OutOfTime, Run
from bot.ledger.entries import Approved
from bot.tickets.decisions import CONFIRM
from bot.tickets.proposal import forbidden_by
from bot.tickets.run_history import StepInstance

ASK_AGAIN_SECONDS = 10.0  # between two attempts to learn who holds which role


@dataclass(frozen=True, slots=True)
class RoleCheck:
    """Whether the people of a ticket still hold their roles.

    Attributes:
        lost: who may not have it run any more, and which role is missing, or which rule of the settings is in the way, as a
            sentence without its stop; "" for nothing.
        unknown: of whom that is not known now, and why; "" where it is known of everybody.
    """

    lost: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """What somebody did about a ticket, and the role that it took."""

    person: str
    name: str
    did: str
    role: Role


async def recheck_roles(run: Run) -> RoleCheck:
    """Look up everybody whose word the ticket runs on. Raises LedgerError."""
    await asyncio.to_thread(run.refresh)
    parts = tuple(_parts(run))
    lost, unknown = [], []
    for part in parts:
        try:
            missing = lacks(await run.parts.people(part.person, part.name), part.role, run.proposal.places)
        except RolesUnknown as error:
            unknown.append(f"cannot tell whether {part.name} ({part.person}), who {part.did}, still may: {error}")
            continue
        except PermissionDenied as error:
            missing = str(error).rstrip(".")
        if missing:
            lost.append(f"{part.name} ({part.person}), who {part.did}, {missing}")
    decided = f"{run.proposal.decided} it"
    if not any(part.did.startswith(decided) for part in parts):
        lost.append(f"nobody {decided}")
    if (one := _one_person(run, parts)) and not lost:
        lost.append(one)
    if (why := forbidden_by(run.parts.policy, run.proposal) or _refused_answers(run)) and not lost:
        lost.append(why)
    return RoleCheck("; ".join(lost), "; ".join(unknown))


async def why_no_step_may_start(run: Run) -> str:
    """That its deadline has passed, or that somebody lost the role. "" where a step may start.

    Waits while nobody can say who holds which role. Raises Cancelled, Preempted.
    """
    while not run.is_late():
        found = await recheck_roles(run)
        if found.lost or not found.unknown:
            return found.lost
        try:
            await run.pause(ASK_AGAIN_SECONDS, f"waiting: {found.unknown}")
        except OutOfTime:
            break
    return run.late_in_words


async def recheck_confirmation(run: Run, at: StepInstance) -> RoleCheck:
    """Look up whoever said last that a step by hand is done: another bot may have taken it, which goes by other rules.

    Where its host is in another place by now, nobody who decided or confirmed it has a say, and nothing is asked of that host.
    """
    act = at.step.act
    assert isinstance(act, ManualStep)
    person, name = run.story.confirmer[at.key], run.story.confirmed_by[at.key]
    try:
        missing = lacks(await run.parts.people(person, name), Role[act.role.upper()], run.proposal.places)
    except RolesUnknown as error:
        return RoleCheck(unknown=f"cannot tell whether {name} ({person}), who confirmed it, still may: {error}")
    except PermissionDenied as error:
        missing = str(error).rstrip(".")
    if missing:
        return RoleCheck(f"{name} ({person}), who confirmed it, {missing}")
    hosts = (check.question.on for check in at.step.done)
    return RoleCheck(await run.parts.planner.why_not_there(run.proposal.places, *hosts))


def lacks(person: Person, role: Role, places: Iterable[str]) -> str:
    """Which role somebody does not hold where it is needed: "does not hold the role operator on branch"; "" for none.

    Raises:
        RolesUnknown: nobody can say now.
    """
    for place in tuple(places) or (EVERYWHERE,):
        try:
            require_role(person, role, place)
        except RolesUnknown as error:
            raise RolesUnknown(person.unknown or str(error)) from error
        except PermissionDenied:
            why = f" ({person.barred.rstrip('.')})" if person.barred else ""
            where = "everywhere" if place == EVERYWHERE else f"on {place}"
            return f"does not hold the role {role.name.lower()} {where} now{why}"
    return ""


def _parts(run: Run) -> Iterator[_Part]:
    proposal = run.proposal
    decides = Role.OPERATOR if proposal.policy == CONFIRM else Role.APPROVER
    yield _Part(proposal.requester, proposal.requester_name, "asked for it", Role.OPERATOR)
    for entry in run.decided:
        if entry.kind == Approved.kind:
            said = entry.read(Approved)
            answered = " and answered its unknowns" if said.answers else ""
            yield _Part(said.by, entry.name or said.by, f"{proposal.decided} it{answered}", decides)
        else:
            yield _Part(entry.actor, entry.name or entry.actor, "resumed it", decides)


def _one_person(run: Run, parts: Iterable[_Part]) -> str:
    """That who asked and who decided are one person, as the settings say by now; "" where they are two."""
    proposal = run.proposal
    if proposal.policy == CONFIRM:
        return ""
    accounts = run.parts.accounts
    decided = [one for one in parts if one.role is Role.APPROVER and accounts.are_one(one.person, proposal.requester)]
    return (
        f"{proposal.requester_name} ({proposal.requester}), who asked for it, and {decided[0].name} "
        f"({decided[0].person}), who {decided[0].did}, are accounts of the same person"
        if decided
        else ""
    )


def _refused_answers(run: Run) -> str:
    """That it runs on what a person answered, and the settings refuse such plans by now; "" where they do not."""
    if not any(not one.is_override for one in run.proposal.plan.open_questions) or run.parts.policy.unknown != "refuse":
        return ""
    return 'it runs on what somebody answered, and settings.toml refuses that by now ([policy] unknown = "refuse")'
