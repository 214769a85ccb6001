"""Look again: the plan is made afresh, and must still be the one that was approved.

What a person answered stands for what was missing then, by name and for its gate, and for nothing else: less may be
missing now; what is known now must be so; and what is newly missing was answered by nobody.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.api.command import Role
from bot.api.plan import Gate, GateOutcome
from bot.errors import AlreadyDecided, HvopsError, LedgerError, LookedTooEarly, PermissionDenied, TicketError
from bot.executor.context import BOT
from bot.executor.permissions import lacks
from bot.executor.run import Run
from bot.ledger import EntryDraft
from bot.ledger.entries import Voided
from bot.tickets.plan_digest import digest_as_approved, gates_as_approved, group_digest, is_covered, is_within_bound
from bot.tickets.plan_text import difference
from bot.tickets.proposal import Origin, PlannedChange, draft_proposal
from bot.tickets.readings import short_reading
from bot.tickets.run_history import StepInstance

log = structlog.get_logger()

_ANOTHER_PLAN = "the recalculated plan is not the one that was {}"


@dataclass(frozen=True, slots=True)
class NotDue:
    """The plan is the one that was approved, but one of its gates still takes time.

    Attributes:
        why: a sentence.
        until: when it is worth looking again.
    """

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class PlanDrift:
    """Why the plan does not hold any more.

    Attributes:
        why: a sentence.
        lines: the difference, line by line; () where no plan could be made at all.
        made: the plan as it would be now, or None.
    """

    why: str
    lines: tuple[str, ...] = ()
    made: PlannedChange | None = None


async def revalidate(run: Run, at: StepInstance | None) -> PlanDrift | NotDue | None:
    """Whether the plan is another one now, or not to be started yet; None where it is the same.

    Args:
        run: the ticket.
        at: the step that begins the group to compare; None to compare the whole plan, before the first act.
    """
    await asyncio.to_thread(run.refresh)  # what was answered too long ago counts no more
    run.looked = await asyncio.to_thread(run.parts.ledger.proved_up_to)
    try:
        made = await run.parts.planner.rebuild(run.proposal, at.group.key if at is not None else "")
    except LedgerError:
        raise
    except HvopsError as error:
        return PlanDrift(f"the plan could not be recalculated: {error}")
    except Exception:
        bug = secrets.token_hex(4)
        log.exception("our bug while looking again", bug=bug, ticket=run.ticket)
        return PlanDrift(f"the plan could not be recalculated: something went wrong inside hvops itself (id {bug})")
    run.measured = short_reading(made.plan.current_state)
    change = await asyncio.to_thread(_compared, run, made, at)  # a plan is as long as a host makes it
    if change is None:
        run.rests_on = run.answered
    return change


def _compared(run: Run, made: PlannedChange, at: StepInstance | None) -> PlanDrift | NotDue | None:
    if _is_same(run, made, at):
        return _not_yet(made) if at is None else None
    versions = (run.proposal.made.version, made.version)
    gates = gates_as_approved(made.plan, run.proposal.plan, run.answered)
    lines = difference(run.proposal.plan, replace(made.plan, gates=gates), made.risk, versions)
    lines += tuple(f"+ Affects: {place}" for place in _new_places(run, made))
    return PlanDrift(_why(run, made), lines, made)


async def void_ticket(run: Run, change: PlanDrift) -> None:
    """End the ticket, and propose what is so now in the same transaction, where something can be proposed.

    What somebody has withdrawn meanwhile has ended already, and nothing replaces it.
    """
    replacement, why_not = await _replacement(run, change.made)
    try:
        try:
            await _write_void(run, change, replacement, why_not)
        except LookedTooEarly as late:
            await _write_void(run, change, (), str(late))
    except AlreadyDecided as ended:
        log.info("not voided", ticket=run.ticket, why=str(ended))


async def _write_void(run: Run, change: PlanDrift, replacement: Sequence[EntryDraft], why_not: str) -> None:
    """Raises LookedTooEarly where nobody has looked at what the replacement would take back as it is by now."""
    mask, undoes = run.parts.mask, run.proposal.made.undoes
    why = f"{change.why}; no replacement was proposed: {why_not}" if why_not else change.why

    def masked() -> Voided:
        lines = tuple(mask.redact_text(one) for one in change.lines)
        return Voided(attempt=run.attempt, reason=mask.redact_text(why), difference=lines)

    def must_be_as_seen() -> None:
        run.must_lead()
        if replacement and undoes and run.parts.ledger.last_move(undoes) > run.looked:
            raise LookedTooEarly(f"{undoes} has moved on meanwhile")

    voided = await asyncio.to_thread(masked)
    await run.must_be_led_here()
    await run.parts.write_together(EntryDraft(BOT, voided, run.ticket), *replacement, check=must_be_as_seen)
    run.tell("voided", why)


async def _replacement(run: Run, made: PlannedChange | None) -> tuple[list[EntryDraft], str]:
    """What is proposed instead, for whoever asked and as they may now; nothing, and why not."""
    if made is None or not made.can_run:
        return [], ""
    proposal, parts = run.proposal, run.parts
    try:
        by = await parts.people(proposal.requester, proposal.requester_name)
        if missing := lacks(by, Role.OPERATOR, made.places):
            return [], f"{by.name} ({by.id}) {missing}"
        draft = await asyncio.to_thread(
            draft_proposal,
            made,
            by,
            parts.policy,
            now=parts.now(),
            mask=parts.mask,
            origin=Origin(replaces=run.ticket),
            accounts=parts.accounts,
        )
    except (PermissionDenied, TicketError) as error:
        log.warning("no replacement proposed", ticket=run.ticket, why=str(error))
        return [], str(error).rstrip(".")
    return [draft], ""


def _reaches_too_many(run: Run, made: PlannedChange) -> bool:
    """Whether more would lose their place than was signed."""
    return not is_within_bound(made.plan, run.proposal.plan)


def _is_same(run: Run, made: PlannedChange, at: StepInstance | None) -> bool:
    if _reaches_too_many(run, made):
        return False
    if at is None:
        approved = run.proposal
        fresh_digest = digest_as_approved(
            made.plan, approved.plan, run.answered, made.risk, made.version, run_until=approved.run_until
        )
        return fresh_digest == approved.digest and not _new_places(run, made)
    fresh = next((group for group in made.plan.groups if group.key == at.group.key), None)
    if fresh is None or _uncovered(run, made) or _vanished(run, made) or _new_places(run, made):
        return False
    return group_digest(fresh, made.version) == group_digest(at.group, run.proposal.made.version)


def _new_places(run: Run, made: PlannedChange) -> tuple[str, ...]:
    """What the same plan affects now and did not when it was approved: a node that changed its cluster."""
    before = {place.casefold() for place in run.proposal.places}
    return tuple(place for place in made.places if place.casefold() not in before)


def _uncovered(run: Run, made: PlannedChange) -> tuple[Gate, ...]:
    """The gates that block now, but for those that the approver answered; half-way also those that would pass in time."""
    before = {gate.description: gate for gate in run.proposal.plan.gates}
    pending = [gate for gate in made.plan.pending_gates if gate.guards == "safety"] if run.story.intents else []
    blocking = (*made.plan.blocking_gates, *pending)
    return tuple(gate for gate in blocking if not is_covered(gate, before.get(gate.description), run.answered))


def _vanished(run: Run, made: PlannedChange) -> tuple[Gate, ...]:
    """The approved gates that guard safety and that the plan made afresh does not ask any more: nobody knows what they say."""
    asked = {gate.description for gate in made.plan.gates}
    return tuple(
        gate
        for gate in run.proposal.plan.gates
        if gate.blocks and gate.guards == "safety" and gate.description not in asked
    )


def _not_yet(made: PlannedChange) -> NotDue | None:
    waits = made.plan.pending_gates
    if not waits:
        return None
    last = waits[-1]
    return NotDue(f"not yet: {last.finding}", datetime.fromisoformat(last.passes_at))


def _why(run: Run, made: PlannedChange) -> str:
    if gates := _uncovered(run, made):
        gate = next((one for one in gates if not one.is_open), gates[0])
        missing = [one.what for one in gate.questions if one.what not in run.answered]
        if gate.is_open and missing:
            is_old = run.outdated.issuperset(missing)
            so = "the approver's answer has expired" if is_old else "not known now, and no approver answered for it"
            return f"{so}: {', '.join(missing)}"
        asked = {one.description: one.is_open for one in run.proposal.plan.gates}
        if asked.get(gate.description) and gate.outcome is GateOutcome.BLOCKED:
            return f"what was not known is known now, and blocks: {gate.finding}"
        return f"a check does not pass now: {gate.finding}"
    return _what_else(run, made)


def _what_else(run: Run, made: PlannedChange) -> str:
    decided = run.proposal.decided
    if _reaches_too_many(run, made):
        return f"it would now move more guests and other roles than the {run.proposal.plan.at_most} that were {decided}"
    if not made.plan.groups:
        return f"nothing is left to do: {made.plan.reason}"
    if gone := _vanished(run, made):
        return f"the plan no longer includes a check that was {decided}: {gone[0].description}"
    places = ", ".join(_new_places(run, made))
    return f"it now affects {places}, which nobody {decided}" if places else _ANOTHER_PLAN.format(decided)
