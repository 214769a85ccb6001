"""One ticket, from its start or from where it was left, to its end. Every turn stands in the ledger first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bot.errors import AlreadyDecided, Expired, LedgerError, Locked, Stopped
from bot.executor.context import BOT
from bot.executor.outcome import Result, Verdict
from bot.executor.revalidate import Changed, NotYet, changed, void
from bot.executor.run import CancelAsked, Run
from bot.executor.step import do_step
from bot.ledger import Draft
from bot.ledger.ticket_state import State, Ticket
from bot.tickets.run_history import ABANDONED, DONE, FAILED, Position
from bot.tickets.undo import to_take_back

log = structlog.get_logger()


async def run_ticket(run: Run) -> None:
    """Run a ticket that is approved or running. Returns when it has ended, is interrupted, or cannot start yet."""
    await _prove(run)
    ticket = run.parts.ledger.ticket(run.ticket)
    assert ticket is not None
    run.refresh()
    if ticket.state is State.APPROVED:
        if not await _start(run, ticket):
            return
        await _go_on(run, looked=True)
    elif ticket.state is State.RUNNING:
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
        await asyncio.to_thread(ledger.prove_since, first)
    except LedgerError:
        run.tell("stopped", "The ledger cannot be proved now, so nothing of this begins. Run hvops audit verify.")
        raise


async def _start(run: Run, ticket: Ticket) -> bool:
    """Look again, and take the locks. False: not now, or never."""
    run.tell("looking")
    change = await changed(run, None)
    if isinstance(change, NotYet):
        run.not_before = change.until
        run.tell("ripening", change.why)
        return False
    if change is not None:
        await void(run, change)
        return False
    data = {"attempt": 1, "locks": sorted(run.proposal.plan.locks), "takes_over": _takes_over(run)}
    try:
        await run.write("started", **data)
    except Locked as locked:
        run.tell("locked", str(locked))
        return False
    except (Stopped, Expired, AlreadyDecided) as late:
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
        if holder is None or holder.state is not State.INTERRUPTED:
            continue
        if holder.gives_way or holder.id == run.proposal.made.undoes:
            return holder.id
    return ""


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
    for at in run.places:
        result = run.story.result(at.key)
        if result == DONE:
            continue
        if result == FAILED:
            await _fail(run, at, str(run.story.outcomes[at.key].get("says", "")))
            return
        if result == ABANDONED:
            await _end_cancelled(run, at, str(run.story.outcomes[at.key].get("says", "")))
            return
        if at.begins_group and at.key not in run.story.intents and not looked and await _is_void(run, at):
            return
        looked = False
        if not await _do(run, at):
            return
    run.now_at = run.places[-1] if run.places else None
    await _done(run)


async def _is_void(run: Run, at: Position) -> bool:
    """Before a group the plan is made afresh: the whole of it as long as nothing has been done."""
    run.now_at = at
    try:
        run.heed()
        await run.wait_while_stopped()
    except CancelAsked:
        await _end_cancelled(run, at, "before anything of it was begun")
        return True
    change = await changed(run, at if run.story.intents else None)
    if isinstance(change, NotYet):  # it has begun, so it had passed before
        change = Changed(change.why)
    if change is not None:
        await void(run, change)
    return change is not None


async def _do(run: Run, at: Position) -> bool:
    """One step. False: the run has ended, or is interrupted."""
    result = await do_step(run, at)
    if result.verdict is Verdict.DONE:
        return True
    if result.verdict is Verdict.FAILED:
        await _fail(run, at, result.says)
    elif result.verdict is Verdict.CANCELLED:
        await _end_cancelled(run, at, result.says)
    else:
        await _interrupt(run, at, result)
    return False


async def _fail(run: Run, at: Position, says: str) -> None:
    """End as failed; take the group back first where the plan says so."""
    if at.group.on_failure == "stop":
        await run.write("failed", step=at.step.key, number=at.number, why=f"step {at.number}, {at.step.says}: {says}")
        return
    run.heeds_cancel = False
    taken = [place for place in run.places if place.group is at.group and place.number <= at.number]
    for step in to_take_back(taken, run.story):
        place = Position(at.number, at.group, 1, step)
        if run.story.result(place.key) == DONE:
            continue
        result = await do_step(run, place)
        if result.verdict is not Verdict.DONE:
            await _interrupt(run, place, Result(Verdict.UNKNOWN, f"taking back {step.says}: {result.says}"))
            return
    says = says or str(run.story.outcomes.get(at.key, {}).get("says", ""))
    why = f"step {at.number}, {at.step.says}: {says}. What its group had done was taken back"
    await run.write("failed", step=at.step.key, number=at.number, why=why, undone=True)


def _failed_place(run: Run) -> Position:
    """The step after which taking back began: the last of its group that was begun."""
    begun = [place for place in run.places if place.key in run.story.intents]
    failed = [place for place in begun if run.story.result(place.key) != DONE]
    return (failed or begun)[-1]


async def _end_cancelled(run: Run, at: Position, says: str) -> None:
    await run.write("cancelled", step=at.step.key, number=at.number, why=f"cancelled at step {at.number}, {says}")


async def _interrupt(run: Run, at: Position, result: Result) -> None:
    """A person must decide; the locks stay, unless it only waits."""
    gives_way = result.verdict is Verdict.GAVE_WAY
    await run.write(
        "interrupted", step=at.step.key, number=at.number, known=result.says, why=result.says, gives_way=gives_way
    )


async def _done(run: Run) -> None:
    """The end. Whoever was taken back is closed in the same transaction."""
    says = f"all {len(run.places)} steps are done" if len(run.places) > 1 else "the step is done"
    drafts: Sequence[Draft] = [Draft("done", BOT, {"says": says}, run.ticket)]
    other = run.parts.ledger.ticket(run.proposal.made.undoes)
    if other is not None and other.state is State.INTERRUPTED:
        closed = {"by": BOT, "why": f"taken back by {run.ticket}"}
        drafts = [*drafts, Draft("closed", BOT, closed, other.id)]
    await run.parts.write_together(*drafts)
    run.tell("done", says)
