"""One ticket, from its start or from where it was left, to its end. Every turn stands in the ledger first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Any, Literal

import structlog

from bot.errors import AlreadyDecided, ChangesStopped, Expired, LedgerError, Locked, LookedTooEarly, ResumedSince
from bot.executor.context import BOT
from bot.executor.measuring import measure_after, measure_undone
from bot.executor.outcome import StepResult, StepStatus, ask_about, note_begun
from bot.executor.permissions import ASK_AGAIN_SECONDS, RoleCheck, recheck_roles, why_no_step_may_start
from bot.executor.record_check import AGAIN_SECONDS, check_records
from bot.executor.revalidate import NotDue, PlanDrift, revalidate, void_ticket
from bot.executor.run import Cancelled as CancelledRun
from bot.executor.run import OutOfTime, Preempted, Run
from bot.executor.step import do_step, has_begun_group
from bot.ledger import Entry, EntryDraft
from bot.ledger.entries import Cancelled, Closed, Done, Failed, Interrupted, Outcome, Resumed, Started
from bot.ledger.ticket_state import Ticket, TicketState
from bot.tickets.expired_answers import has_sent
from bot.tickets.run_history import ABANDONED, DONE, FAILED, StepInstance
from bot.tickets.undo import not_undone, owes_undo, place_of, steps_to_undo, undone_checks

log = structlog.get_logger()

NOT_PROVED = "The ledger cannot be verified now, so this does not start. Run hvops audit verify."
ASK_FOR_UNDO = (
    "Nothing was sent for this. Someone must check, then press Undo…: an approver answers for what is not known"
)
STANDS_STILL = "The ledger cannot be used or verified now, so this run is on hold. Run hvops audit verify."


class Outlook(Enum):
    """What would become of the start of an approved ticket, if nobody had its locks."""

    STARTS = auto()
    WAITS = auto()
    ENDS = auto()


async def run_ticket(run: Run) -> None:
    """Run a ticket that is approved or running. Returns when it has ended, is interrupted, or cannot start yet."""
    await _prove(run)
    await asyncio.to_thread(run.refresh)  # the first time it reads all of its entries
    run.heeds_cancel = not owes_undo(run.places, run.story)  # what failed before a crash is still undone
    ticket = await asyncio.to_thread(run.parts.ledger.ticket, run.ticket)
    assert ticket is not None
    run.attempt = ticket.attempt
    if ticket.state is TicketState.APPROVED:
        if not (await _is_newest_copy(run) and await _may_start(run) and await _start(run, ticket)):
            return
        await _go_on(run, looked=True)
    elif ticket.state is TicketState.RUNNING and await _may_take_up(run) and await _take_up(run):
        await _go_on(run, looked=False)


async def outlook_of(run: Run) -> Outlook:
    """How far the start of an approved ticket would come, as far as that can be known while another one has its locks.

    Nothing is written. What it waits for is told, and `not_before` says when to look again. A plan that is another one now counts
    as one that starts: whoever has the locks may be what makes it so, and it is judged once they are free.
    Raises LedgerError.
    """
    await _prove(run)
    await asyncio.to_thread(run.refresh)
    if not await _is_newest_copy(run):
        return Outlook.WAITS
    found = await recheck_roles(run)
    has_resumed = await asyncio.to_thread(run.parts.ledger.has_resumed_since_proposed, run.ticket)
    if found.lost or has_resumed:
        return Outlook.ENDS
    if found.unknown:
        _wait_for_roles(run, found)
        return Outlook.WAITS
    change = await revalidate(run, None)
    if isinstance(change, NotDue):
        _wait_for_time(run, change)
        return Outlook.WAITS
    return Outlook.STARTS


async def _prove(run: Run) -> None:
    """Prove what is about to run: all that was written since it was proposed, or since what it takes back was.

    Whoever can write to the file and has no key could otherwise put another plan under an approval, or take out that
    a step was done. Raises LedgerError.
    """
    ledger = run.parts.ledger
    tickets = [one for one in (run.ticket, run.proposal.made.undoes) if one]

    def prove() -> None:
        first = min(entry.seq for one in tickets if (entry := ledger.proposal(one)) is not None)
        ledger.verify_since(first)

    try:
        await asyncio.to_thread(prove)
    except LedgerError:
        run.tell("stopped", NOT_PROVED)
        raise


async def _start(run: Run, ticket: Ticket) -> bool:
    """Look again, and take the locks. False: not now, or never."""
    if not await _is_as_approved(run) or not await _may_start(run):  # looking took its time
        return False
    stood: dict[str, Any] = {"measured": run.measured} if run.measured else {}
    takes_over = await asyncio.to_thread(_takes_over, run)
    started = Started(attempt=1, locks=tuple(sorted(run.proposal.plan.locks)), takes_over=takes_over, **stood)
    try:
        await run.write(started, check=partial(_must_be_as_seen, run))
    except ResumedSince as since:
        await void_ticket(run, PlanDrift(str(since)))
        return False
    except LookedTooEarly as early:
        log.info("checking again before the start", ticket=ticket.id, why=str(early))
        return False
    except Locked as locked:
        run.tell("locked", str(locked))
        return False
    except (ChangesStopped, Expired, AlreadyDecided) as late:
        log.info("not started", ticket=ticket.id, why=str(late))
        return False
    run.attempt = 1
    return True


async def _is_as_approved(run: Run) -> bool:
    """Look again: whether the plan is the one that was approved, and may start now. Else it waits, or is void."""
    run.tell("looking")
    if await asyncio.to_thread(run.parts.ledger.has_resumed_since_proposed, run.ticket):
        # What is in doubt there now, nobody has seen who proposed this or approved it; nor does hvops ask for more of it.
        await void_ticket(run, PlanDrift(f"{run.proposal.made.undoes} has resumed since this undo was proposed"))
        return False
    change = await revalidate(run, None)
    if isinstance(change, NotDue):
        _wait_for_time(run, change)
        return False
    if change is not None:
        await void_ticket(run, change)
    return change is None


def _must_be_as_seen(run: Run) -> None:
    """Asked in the transaction of the start: since the plan was made afresh, Slack has taken its time to name its people.

    An undo whose ticket has resumed since it was proposed, and a lock that is held, the ledger itself refuses.

    Raises:
        LookedTooEarly: another ticket that needs the same has moved since, and may have changed what the plan goes by.
        LedgerError: another process may be running it.
    """
    run.must_lead()
    ledger = run.parts.ledger
    held = ledger.locks()
    holders = [ledger.ticket(held[lock]) for lock in run.proposal.plan.locks if lock in held]
    is_held = any(one is not None and one.state is TicketState.RUNNING for one in holders)
    if is_held or ledger.has_resumed_since_proposed(run.ticket):
        return
    if moved := ledger.moved_since(run.looked, run.proposal.plan.locks):
        raise LookedTooEarly(f"{' and '.join(moved)} moved after the plan was made afresh")


async def _is_newest_copy(run: Run) -> bool:
    """Whether the external records let it start; else it waits, and says for what."""
    why = (await check_records(run, run.places)).says
    if why:
        run.not_before = run.parts.now() + timedelta(seconds=AGAIN_SECONDS)
        run.tell("stopped", f"Waiting: {why}.")
    return not why


async def _may_start(run: Run) -> bool:
    """Whether those who asked and decided still may. Who lost the role ends it; where nobody can say, it waits."""
    found = await recheck_roles(run)
    if found.lost:
        await void_ticket(run, PlanDrift(found.lost))
    elif found.unknown:
        _wait_for_roles(run, found)
    return not (found.lost or found.unknown)


def _wait_for_roles(run: Run, found: RoleCheck) -> None:
    run.not_before = run.parts.now() + timedelta(seconds=ASK_AGAIN_SECONDS)
    run.tell("roles", f"Waiting: {found.unknown}")


def _wait_for_time(run: Run, change: NotDue) -> None:
    run.not_before = change.until
    run.tell("ripening", change.why)


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
    """Whether no external record knows more than the ledger. Where none can be read, what is in flight is settled first."""
    found = await check_records(run, run.places)
    run.unasked = bool(found.silent)
    if not found.more:
        return True
    at = _place_now(run)
    if at is not None:
        await _interrupt(run, at, StepResult(StepStatus.UNKNOWN, found.more))
    return at is None


def _place_now(run: Run) -> StepInstance | None:
    """The step in flight, the one whose group is to be undone, or the next one that would begin; None where all are done."""
    if run.story.in_flight is not None:
        return place_of(run.places, run.story.in_flight, run.story, run.parts.ledger.clock_skew)
    return _next_place(run) if run.heeds_cancel else _failed_place(run)


async def _take_up(run: Run) -> bool:
    """Go on after a restart, under a new attempt: what an older life of the bot still writes is refused.

    False: it may not go on, and was ended or left to a person.
    """
    if _is_through(run):
        return True  # nothing of it begins any more; only its end is not written down
    entries = await asyncio.to_thread(run.refresh)
    moves = [entry for entry in entries if entry.kind in ("started", "resumed", "intent", "outcome")]
    is_let_go_on = bool(moves) and _lets_go_on(moves[-1])
    try:
        why = await why_no_step_may_start(run)
    except CancelledRun:
        at = _next_place(run)
        if run.story.in_flight is None and at is not None:
            await _end_cancelled(run, at, "before it resumed")
            return False
        why = "it was cancelled while it was waiting to resume"
    if why:
        await _come_to_rest(run, why)
        return False
    if is_let_go_on:
        return True
    try:
        await run.next_attempt("hvops had stopped working on it")
    except Expired:  # its deadline has passed since it was looked at
        await _come_to_rest(run, run.late_in_words)
        return False
    return True


def _lets_go_on(entry: Entry) -> bool:
    """Whether it has just been let go on, by a person or because it has its locks again: this is that attempt."""
    resumed = entry.read_if(Resumed)
    return resumed is not None and (entry.actor != BOT or bool(resumed.locks))


async def _come_to_rest(run: Run, why: str) -> None:
    """Ask about the step in flight, begin nothing, and leave the rest to a person."""
    flying = run.story.in_flight
    run.now_at = place_of(run.places, flying, run.story, run.parts.ledger.clock_skew)
    known: str = ""
    effect: Literal["", "seen"] = ""
    if run.now_at is not None:
        known = (await ask_about(run, run.now_at)).says
        effect = await _effect(run, run.now_at)
    elif flying is not None:
        known = f"the outcome of {flying[0]} is not known"
    if _is_through(run):
        await _done(run, fresh=False)
        return
    at = run.now_at or (_next_place(run) if run.heeds_cancel else _failed_place(run))
    step, number = (at.step.key, at.number) if at else ("", None)
    interrupted = Interrupted(
        attempt=run.attempt, step=step, number=number, known=known or why, reason=why, effect=effect
    )
    await run.write(interrupted)


async def _effect(run: Run, at: StepInstance) -> Literal["", "seen"]:
    """Whether a step in flight is seen to have taken effect, now or before: who lets the run go on later may find it undone."""
    if at.key not in run.story.unsettled:
        return ""
    await note_begun(run, at, run.story.intents[at.key])
    return "seen" if run.was_seen_begun(at.key) else ""


def _is_through(run: Run) -> bool:
    """Whether every step is done, so that nothing of it would begin any more."""
    return bool(run.places) and all(run.story.result(place.key) == DONE for place in run.places)


def _next_place(run: Run) -> StepInstance | None:
    return next((place for place in run.places if not run.story.result(place.key)), None)


async def _go_on(run: Run, *, looked: bool) -> None:
    """Every step that is left, in order."""
    if run.is_taking_back:
        await _fail(run, _failed_place(run), run.story.failed_why)
        return
    fresh, is_taken_up = False, not looked
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
        if at.key not in run.story.intents and not looked:
            # Whatever kept it from beginning in an older life, nobody has looked since.
            again = (is_taken_up and not has_begun_group(run, at)) or (
                bool(run.outdated) and not has_sent(at, run.story)
            )
            if not await _may_begin(run, at, again=again):
                return
            is_taken_up = False
        looked = False
        if not await _do(run, at):
            return
        fresh = True
    run.now_at = run.places[-1] if run.places else None
    await _done(run, fresh=fresh)


async def _may_begin(run: Run, at: StepInstance, *, again: bool = False) -> bool:
    """Whether a step may begin that no life of the bot has begun.

    Before a group its people, the external records and the plan are checked again too; its people also before each act of a
    repeated group, whose rounds may wait for hours between two of them. False: the run has ended, or is left to a person.

    Args:
        run: the ticket.
        at: the step.
        again: it was held back, another life of the bot left it, or an approver's answer has expired behind a step by hand, and
            nothing of its group was sent: then all of that is checked before any step of it.
    """
    run.now_at = at
    if run.is_late():
        await _come_to_rest(run, run.late_in_words)
        return False
    begins = again or at.group.steps[0] is at.step
    if not begins and not (at.group.is_counted and at.step.act is not None):
        return True
    replans = at.begins_group or (again and (at.group.revalidate_before or not run.story.intents or bool(run.outdated)))
    replans = replans or (begins and bool(_why_frozen(run, at))) or (again and bool(run.why_answers_expired(at)))
    try:
        if replans:
            await asyncio.to_thread(run.raise_if_cancelled)
            await run.wait_while_stopped()
        why = await why_no_step_may_start(run)
    except CancelledRun:
        await _end_cancelled(run, at, "before any of it started")
        return False
    except Preempted:
        await _interrupt(run, at, StepResult(StepStatus.GAVE_WAY, f"waiting: {at.step.description}"))
        return False
    except OutOfTime:
        why = run.late_in_words
    if why and run.is_late():
        await _come_to_rest(run, why)
    elif why:
        await void_ticket(run, PlanDrift(why))
    if why or (begins and not await _agrees_outside(run, at)):
        return False
    return not (replans and await _is_void(run, at))


async def _agrees_outside(run: Run, at: StepInstance) -> bool:
    """Whether the external records let a group start; False: it is left to a person."""
    why = (await check_records(run, run.around(at))).says
    if why:
        await _interrupt(run, at, StepResult(StepStatus.UNKNOWN, f"not started: {at.step.description}: {why}"))
    return not why


async def _is_void(run: Run, at: StepInstance) -> bool:
    """Before a group the plan is made afresh: the whole of it as long as nothing has been done.

    Behind a step that only waited a freeze is no gate of the rest, and keeps it from beginning all the same.
    """
    change = await revalidate(run, at if run.story.intents else None)
    if isinstance(change, NotDue):  # it has begun, so it had passed before
        change = PlanDrift(change.why)
    if change is None and (freeze := _why_frozen(run, at)):
        change = PlanDrift(f"it had changed nothing yet when a freeze began: {freeze}")
    if change is not None:
        await void_ticket(run, replace(change, why=f"{change.why}{await _begun_by_hand(run, at)}"))
    return change is not None


def _why_frozen(run: Run, at: StepInstance) -> str:
    """The freeze that began before anything was changed; "" where there is none. Repeated moves wait for its end instead."""
    return "" if at.group.is_counted else run.why_it_does_not_begin(at)


async def _begun_by_hand(run: Run, at: StepInstance) -> str:
    """That somebody may have begun a step by hand that was asked for and is asked for no more."""
    ticket = await asyncio.to_thread(run.parts.ledger.ticket, run.ticket)
    was_asked = at.step.is_by_hand and ticket is not None and any(begun[:2] == at.key for begun in ticket.intents)
    what = f"someone may have begun step {at.number} by hand, {at.step.description}"
    return f"; {what}: if so, undo it by hand" if was_asked else ""


async def _do(run: Run, at: StepInstance) -> bool:
    """One step. False: the run has ended, or is interrupted."""
    while (result := await do_step(run, at)).verdict is StepStatus.HELD_BACK:
        if not await _may_begin(run, at, again=True):
            return False
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
        await run.write(Failed(attempt=run.attempt, step=at.step.key, number=at.number, reason=reason))
        return
    if not says and (outcome := run.story.outcomes.get(at.key)):
        says = outcome.message
    run.heeds_cancel, run.failed, run.failed_why = False, at, says
    taken = [place for place in run.places if place.group is at.group and place.number <= at.number]
    undos = steps_to_undo(taken, run.story, run.parts.ledger.clock_skew)
    if undos and not run.is_taking_back and run.story.result(at.key) != FAILED:
        # Its guard failed, so nothing else tells that: the first undo may wait for hours, and meanwhile hvops be begun anew.
        await run.must_be_led_here()
        await run.write(Outcome(result="failed", message=says, not_executed=True, **run.place_of(at)))
    run.to_undo, run.is_undo_checked = undos, False
    for step in undos:
        place = StepInstance(at.number, at.group, 1, step)
        if run.story.result(place.key) == DONE:
            continue
        if run.story.result(place.key) == FAILED and place.key not in run.story.let_go_on:
            # It was sent, by a life of the bot that did not come to say that a person decides.
            result = StepResult(StepStatus.FAILED, run.story.outcomes[place.key].message)
        else:
            result = await do_step(run, place)
        if result.verdict is StepStatus.LEFT_TO_PERSON:
            failed = f"step {at.number}, {at.step.description}: {says}. " if says else ""
            left = f"{failed}Its group is not undone automatically: {result.says}. {ASK_FOR_UNDO}"
            await _interrupt(run, place, StepResult(StepStatus.UNKNOWN, left))
            return
        if result.verdict is not StepStatus.DONE:
            await _interrupt(
                run,
                place,
                replace(
                    result,
                    verdict=StepStatus.UNKNOWN,
                    says=f"the undo did not finish: {step.description}: {result.says}",
                ),
            )
            return
    stays = not_undone(taken, run.story)
    read = await measure_undone(run, undone_checks(taken, run.story))
    told: dict[str, Any] = {"measured": read} if read else {}
    told |= {"not_undone": stays} if stays else {}
    told |= {"attempt": run.attempt, "step": at.step.key, "number": at.number}
    reason = f"step {at.number}, {at.step.description}: {says}. {_undone_in_words(run, stays)}"
    await run.write(Failed(reason=reason, rolled_back=not stays, **told))


def _undone_in_words(run: Run, stays: Sequence[str]) -> str:
    """What was undone of a group that failed, and what stays."""
    if not stays:
        return "The steps of its group were undone"
    others = "The other steps of its group were undone. " if run.is_taking_back else ""
    return f"{others}Not undone: {'; '.join(stays)}"


def _failed_place(run: Run) -> StepInstance:
    """The step that failed, as its outcome or the first undo says; else the last of its group that was begun."""
    told = [place for place in run.places if run.story.result(place.key) == FAILED]
    if (known := run.place(run.story.failed) or next(iter(told), None)) is not None:
        return known
    begun = [place for place in run.places if place.key in run.story.intents]
    failed = [place for place in begun if run.story.result(place.key) != DONE]
    return (failed or begun)[-1]


async def _end_cancelled(run: Run, at: StepInstance, says: str) -> None:
    reason = f"cancelled at step {at.number}, {says}"
    await run.write(Cancelled(attempt=run.attempt, step=at.step.key, number=at.number, reason=reason))


async def _interrupt(run: Run, at: StepInstance, result: StepResult) -> None:
    """A person must decide; the locks stay, unless it only waits."""
    is_seen = run.story.in_flight is not None and run.was_seen_begun(run.story.in_flight)
    interrupted = Interrupted(
        attempt=run.attempt,
        step=at.step.key,
        number=at.number,
        known=result.says,
        reason=result.says,
        yields_locks=result.verdict is StepStatus.GAVE_WAY,
        effect="asked" if result.asks_if_undone else "seen" if is_seen else "",
    )
    await run.write(interrupted)


async def _done(run: Run, *, fresh: bool) -> None:
    """The end. Whoever was taken back is closed in the same transaction."""
    says = _all_done(run)
    read = await measure_after(run, fresh=fresh)
    measured: dict[str, Any] = {"measured": read} if read else {}
    done = Done(attempt=run.attempt, message=says, **measured)
    try:
        await _write_done(run, done)
    except AlreadyDecided:  # somebody has closed that one since it was looked at
        await _write_done(run, done)
    run.tell("done", says)


async def _write_done(run: Run, done: Done) -> None:
    """Raises AlreadyDecided where the ticket that was taken back has ended since it was looked at, and nothing was written."""
    drafts: Sequence[EntryDraft] = [EntryDraft(BOT, done, run.ticket)]
    other = await asyncio.to_thread(run.parts.ledger.ticket, run.proposal.made.undoes)
    if other is not None and other.state is TicketState.INTERRUPTED:
        closed = Closed(attempt=other.attempt, by=BOT, reason=f"undone by {run.ticket}")
        drafts = [*drafts, EntryDraft(BOT, closed, other.id)]
    await run.must_be_led_here()
    await run.parts.write_together(*drafts, check=run.must_lead)


def _all_done(run: Run) -> str:
    """What ended, and which of it nothing shows: "all 4 steps are done; confirmed but not verified: step 4"."""
    by_basis: dict[str, list[int]] = {}
    for place in run.places:
        by_basis.setdefault(run.story.outcomes[place.key].basis, []).append(place.number)
    says = f"all {len(run.places)} steps are done" if len(run.places) > 1 else "the step is done"
    told = [
        f"{what}: step{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        for basis, what in (("statement", "confirmed but not verified"), ("already so", "already done before"))
        if (numbers := by_basis.get(basis))
    ]
    return "; ".join([says, *told])
