"""One ticket, from its start or from where it was left, to its end. Every turn stands in the ledger first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog

from bot.errors import AlreadyDecided, ChangesStopped, Expired, LedgerError, Locked
from bot.executor.context import BOT
from bot.executor.measuring import measure_after, measure_undone
from bot.executor.outcome import StepResult, StepStatus
from bot.executor.revalidate import NotDue, PlanDrift, revalidate, void_ticket
from bot.executor.run import Cancelled as CancelledRun
from bot.executor.run import Run
from bot.executor.standing import AGAIN_SECONDS, standing_of
from bot.executor.step import do_step
from bot.ledger import EntryDraft
from bot.ledger.entries import Cancelled, Closed, Done, Failed, Interrupted, Started
from bot.ledger.ticket_state import Ticket, TicketState
from bot.tickets.run_history import ABANDONED, DONE, FAILED, StepInstance
from bot.tickets.undo import steps_to_undo, undone_checks

log = structlog.get_logger()


async def run_ticket(run: Run) -> None:
    """Run a ticket that is approved or running. Returns when it has ended, is interrupted, or cannot start yet."""
    await _prove(run)
    ticket = run.parts.ledger.ticket(run.ticket)
    assert ticket is not None
    run.refresh()
    if ticket.state is TicketState.APPROVED:
        if not await _start(run, ticket):
            return
        await _go_on(run, looked=True)
    elif ticket.state is TicketState.RUNNING and await _may_take_up(run):
        await _take_up(run, ticket)
        await _go_on(run, looked=False)


async def _prove(run: Run) -> None:
    """Prove what is about to run: all that was written since it was proposed, or since what it takes back was.

    Whoever can write to the file and has no key could otherwise put another plan under an approval, or take out that
    a step was done. Raises LedgerError.
    """
    ledger = run.parts.ledger
    tickets = [one for one in (run.ticket, run.proposal.made.undoes) if one]
    try:
        first = min(entry.seq for one in tickets for entry in ledger.story(one))
        await asyncio.to_thread(ledger.verify_since, first)
    except LedgerError:
        run.tell("stopped", "The ledger cannot be proved now, so nothing of this begins. Run hvops audit verify.")
        raise


async def _start(run: Run, ticket: Ticket) -> bool:
    """Look again, and take the locks. False: not now, or never."""
    if why := (await standing_of(run, run.places)).says:
        run.not_before = run.parts.clock() + timedelta(seconds=AGAIN_SECONDS)
        run.tell("stopped", f"It waits: {why}.")
        return False
    run.tell("looking")
    change = await revalidate(run, None)
    if isinstance(change, NotDue):
        run.not_before = change.until
        run.tell("ripening", change.why)
        return False
    if change is not None:
        await void_ticket(run, change)
        return False
    stood: dict[str, Any] = {"measured": run.measured} if run.measured else {}
    started = Started(attempt=1, locks=tuple(sorted(run.proposal.plan.locks)), takes_over=_takes_over(run), **stood)
    try:
        await run.write(started)
    except Locked as locked:
        run.tell("locked", str(locked))
        return False
    except (ChangesStopped, Expired, AlreadyDecided) as late:
        log.info("not started", ticket=ticket.id, why=str(late))
        return False
    run.attempt = 1
    return True


def _takes_over(run: Run) -> str:
    """The interrupted ticket whose locks this one needs: the one it takes back, or one that gives way."""
    ledger = run.parts.ledger
    held = ledger.locks()
    for lock in run.proposal.plan.locks:
        holder = ledger.ticket(held.get(lock, ""))
        if holder is None or holder.state is not TicketState.INTERRUPTED:
            continue
        if holder.yields_locks or holder.id == run.proposal.made.undoes:
            return holder.id
    return ""


async def _may_take_up(run: Run) -> bool:
    """Whether no place outside knows more than the ledger. Where none can be asked, what is in flight is settled first."""
    standing = await standing_of(run, run.places)
    run.unasked = bool(standing.silent)
    if not standing.more:
        return True
    at = _place_now(run)
    if at is not None:
        await _interrupt(run, at, StepResult(StepStatus.UNKNOWN, standing.more))
    return at is None


def _place_now(run: Run) -> StepInstance | None:
    """The step in flight, or the next one that would begin; None where all are done."""
    flying = run.story.in_flight
    left = (place for place in run.places if flying == place.key or (not flying and not run.story.result(place.key)))
    return next(left, None)


async def _take_up(run: Run, ticket: Ticket) -> None:
    """Go on after a restart, under a new attempt: what an older life of the bot still writes is refused."""
    run.attempt = ticket.attempt
    moves = [entry for entry in run.refresh() if entry.kind in ("started", "resumed", "intent", "outcome")]
    if moves and moves[-1].kind == "resumed" and moves[-1].actor != BOT:
        return  # a person has just let it go on: this is that attempt
    await run.next_attempt("the bot was away")


async def _go_on(run: Run, *, looked: bool) -> None:
    """Every step that is left, in order."""
    if run.is_taking_back:
        await _fail(run, _failed_place(run), "")
        return
    fresh = False
    for at in run.places:
        result = run.story.result(at.key)
        if result == DONE:
            continue
        if result == FAILED:
            await _fail(run, at, run.story.outcomes[at.key].message)
            return
        if result == ABANDONED:
            await _end_cancelled(run, at, run.story.outcomes[at.key].message)
            return
        if at.begins_group and at.key not in run.story.intents and not looked and await _is_void(run, at):
            return
        if at.key not in run.story.intents and not looked and not await _may_begin(run, at):
            return
        looked = False
        if not await _do(run, at):
            return
        fresh = True
    run.now_at = run.places[-1] if run.places else None
    await _done(run, fresh=fresh)


async def _may_begin(run: Run, at: StepInstance) -> bool:
    """Whether places outside let a group begin; False: it is left to a person."""
    if at.group.steps[0] is not at.step:
        return True
    why = (await standing_of(run, [place for place in run.places if place.group is at.group])).says
    if why:
        run.now_at = at
        await _interrupt(run, at, StepResult(StepStatus.UNKNOWN, f"not begun: {at.step.description}: {why}"))
    return not why


async def _is_void(run: Run, at: StepInstance) -> bool:
    """Before a group the plan is made afresh: the whole of it as long as nothing has been done."""
    run.now_at = at
    try:
        run.raise_if_cancelled()
        await run.wait_while_stopped()
    except CancelledRun:
        await _end_cancelled(run, at, "before anything of it was begun")
        return True
    change = await revalidate(run, at if run.story.intents else None)
    if isinstance(change, NotDue):  # it has begun, so it had passed before
        change = PlanDrift(change.why)
    if change is not None:
        await void_ticket(run, change)
    return change is not None


async def _do(run: Run, at: StepInstance) -> bool:
    """One step. False: the run has ended, or is interrupted."""
    result = await do_step(run, at)
    if result.verdict is StepStatus.DONE:
        return True
    if result.verdict is StepStatus.FAILED:
        await _fail(run, at, result.says)
    elif result.verdict is StepStatus.CANCELLED:
        await _end_cancelled(run, at, result.says)
    else:
        await _interrupt(run, at, result)
    return False


async def _fail(run: Run, at: StepInstance, says: str) -> None:
    """End as failed; take the group back first where the plan says so."""
    if at.group.on_failure == "stop":
        reason = f"step {at.number}, {at.step.description}: {says}"
        await run.write(Failed(step=at.step.key, number=at.number, reason=reason))
        return
    run.heeds_cancel = False
    taken = [place for place in run.places if place.group is at.group and place.number <= at.number]
    for step in steps_to_undo(taken, run.story):
        place = StepInstance(at.number, at.group, 1, step)
        if run.story.result(place.key) == DONE:
            continue
        result = await do_step(run, place)
        if result.verdict is not StepStatus.DONE:
            await _interrupt(
                run, place, StepResult(StepStatus.UNKNOWN, f"taking back {step.description}: {result.says}")
            )
            return
    if not says and (outcome := run.story.outcomes.get(at.key)):
        says = outcome.message
    reason = f"step {at.number}, {at.step.description}: {says}. What its group had done was taken back"
    read = await measure_undone(run, undone_checks(taken, run.story))
    measured: dict[str, Any] = {"measured": read} if read else {}
    await run.write(Failed(step=at.step.key, number=at.number, reason=reason, rolled_back=True, **measured))


def _failed_place(run: Run) -> StepInstance:
    """The step after which taking back began: the last of its group that was begun."""
    begun = [place for place in run.places if place.key in run.story.intents]
    failed = [place for place in begun if run.story.result(place.key) != DONE]
    return (failed or begun)[-1]


async def _end_cancelled(run: Run, at: StepInstance, says: str) -> None:
    await run.write(Cancelled(step=at.step.key, number=at.number, reason=f"cancelled at step {at.number}, {says}"))


async def _interrupt(run: Run, at: StepInstance, result: StepResult) -> None:
    """A person must decide; the locks stay, unless it only waits."""
    interrupted = Interrupted(
        step=at.step.key,
        number=at.number,
        known=result.says,
        reason=result.says,
        yields_locks=result.verdict is StepStatus.GAVE_WAY,
    )
    await run.write(interrupted)


async def _done(run: Run, *, fresh: bool) -> None:
    """The end. Whoever was taken back is closed in the same transaction."""
    says = _all_done(run)
    read = await measure_after(run, fresh=fresh)
    done = Done(message=says, measured=read) if read else Done(message=says)
    drafts: Sequence[EntryDraft] = [EntryDraft(BOT, done, run.ticket)]
    other = run.parts.ledger.ticket(run.proposal.made.undoes)
    if other is not None and other.state is TicketState.INTERRUPTED:
        closed = Closed(by=BOT, reason=f"taken back by {run.ticket}")
        drafts = [*drafts, EntryDraft(BOT, closed, other.id)]
    await run.parts.write_together(*drafts)
    run.tell("done", says)


def _all_done(run: Run) -> str:
    """What ended, and which of it nothing shows: "all 4 steps are done; on a person's word: step 4"."""
    by_basis: dict[str, list[int]] = {}
    for place in run.places:
        by_basis.setdefault(run.story.outcomes[place.key].basis, []).append(place.number)
    says = f"all {len(run.places)} steps are done" if len(run.places) > 1 else "the step is done"
    told = [
        f"{what}: step{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        for basis, what in (("statement", "on a person's word"), ("already so", "already so before"))
        if (numbers := by_basis.get(basis))
    ]
    return "; ".join([says, *told])
