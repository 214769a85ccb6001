"""Look again: the plan is made afresh, and must still be the one that was approved."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.errors import HvopsError, LedgerError, NotAllowed, TicketError
from bot.executor.context import BOT
from bot.executor.run import Run
from bot.ledger import Draft
from bot.tickets.plan_digest import group_digest
from bot.tickets.plan_text import difference
from bot.tickets.proposal import Made, draft_proposal
from bot.tickets.run_history import Position

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NotYet:
    """The plan is the one that was approved, but one of its gates still takes time.

    Attributes:
        why: a sentence.
        until: when it is worth looking again.
    """

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """Why the plan does not hold any more.

    Attributes:
        why: a sentence.
        lines: the difference, line by line; () where no plan could be made at all.
        made: the plan as it would be now, or None.
    """

    why: str
    lines: tuple[str, ...] = ()
    made: Made | None = None


async def changed(run: Run, at: Position | None) -> Changed | NotYet | None:
    """Whether the plan is another one now, or not to be started yet; None where it is the same.

    Args:
        run: the ticket.
        at: the step that begins the group to compare; None to compare the whole plan, before the first act.
    """
    try:
        made = await run.parts.planner.again(run.proposal)
    except LedgerError:
        raise
    except HvopsError as error:
        return Changed(f"the plan could not be made afresh: {error}")
    except Exception:
        bug = secrets.token_hex(4)
        log.exception("our bug while looking again", bug=bug, ticket=run.ticket)
        return Changed(f"the plan could not be made afresh: something went wrong inside hvops itself (id {bug})")
    if _is_same(run, made, at):
        return _not_yet(made) if at is None else None
    lines = difference(run.proposal.plan, made.plan, made.risk, (run.proposal.made.version, made.version))
    return Changed(_why(made), lines, made)


async def void(run: Run, change: Changed) -> None:
    """End the ticket, and propose what is so now in the same transaction, where something can be proposed."""
    data = {"why": run.parts.mask.text(change.why), "difference": [run.parts.mask.text(one) for one in change.lines]}
    drafts = [Draft("voided", BOT, data, run.ticket)]
    if change.made is not None and change.made.can_run:
        drafts += _replacement(run, change.made)
    await run.parts.write_together(*drafts)
    run.tell("voided", change.why)


def _replacement(run: Run, made: Made) -> list[Draft]:
    proposal, parts = run.proposal, run.parts
    by = (proposal.requester, proposal.requester_name)
    more = {"replaces": run.ticket}
    try:
        return [draft_proposal(made, by, parts.policy, now=parts.clock(), mask=parts.mask, more=more)]
    except (NotAllowed, TicketError) as error:
        log.warning("no replacement proposed", ticket=run.ticket, why=str(error))
        return []


def _is_same(run: Run, made: Made, at: Position | None) -> bool:
    if at is None:
        return made.digest == run.proposal.digest
    fresh = next((group for group in made.plan.groups if group.key == at.group.key), None)
    if fresh is None or made.plan.held_by:
        return False
    return group_digest(fresh, made.version) == group_digest(at.group, run.proposal.made.version)


def _not_yet(made: Made) -> NotYet | None:
    waits = made.plan.ripening
    if not waits:
        return None
    last = waits[-1]
    return NotYet(f"not yet: {last.says} ({last.measured})", datetime.fromisoformat(last.ripens_at))


def _why(made: Made) -> str:
    if made.plan.held_by:
        gate = made.plan.held_by[0]
        return f"not so any more: {gate.says}" + (f" ({gate.measured})" if gate.measured else "")
    if not made.plan.groups:
        return f"there is nothing to do any more: {made.plan.because}"
    return "the plan made afresh is not the one that was approved"
