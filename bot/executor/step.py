"""One step: guard, before-image, intent, act; `settle` then finds out what became of it.

The intent is in the ledger before anything happens, and an act is sent once per intent. So after a crash there is at
most one step of which nobody knows, and it is asked about before anything else.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any

from bot.api.actions import ManualStep
from bot.api.plan import Check, Step
from bot.api.rows import Rows
from bot.errors import ChangesStopped, Expired, LedgerError, TargetError, TargetTimeout, Withheld
from bot.executor.actions import fate_of, perform
from bot.executor.measuring import held_before
from bot.executor.outcome import (
    SendResult,
    StepResult,
    StepStatus,
    abandon,
    ask_about,
    has_not_happened,
    not_begun,
    reconcile,
    write_not_sent,
)
from bot.executor.own_undo import must_be_undone_here
from bot.executor.permissions import why_no_step_may_start
from bot.executor.polling import LARGEST_IMAGES, CheckState, before_image, max_wait, wait_for
from bot.executor.record_check import check_records, leave_note
from bot.executor.run import Cancelled, KnownElsewhere, LeftToPerson, NotAllowedNow, OutOfTime, Preempted, Run
from bot.executor.unseen import may_come_until, wait_for_others, wait_for_something_to_undo
from bot.ledger import Entry
from bot.ledger.entries import HeldBefore, Intent
from bot.tickets.expired_answers import has_sent
from bot.tickets.plan_text import action_in_words
from bot.tickets.run_history import StepInstance
from bot.transport.errand import Errand, carrying_out
from bot.transport.turns import last_look, sending_unless

_GRACE = 5.0  # seconds beyond its deadline after which an actor that hangs is left alone


async def do_step(run: Run, at: StepInstance) -> StepResult:
    """Bring one step to its end, from wherever it stands."""
    run.now_at = at
    try:
        while True:
            if run.story.in_flight == at.key:
                result = await reconcile(run, at, _away(at))
            else:
                result = await _begin_and_settle(run, at)
            if result is not None:
                _note_look(run, at, result)
                return result
            result = await _act_again(run, at)
            if result is not None:
                return result
    except Preempted:
        return await _give_way(run, at)
    except Cancelled:  # it has not happened, and is not begun again
        return await _abandon(run, at)
    except (KnownElsewhere, NotAllowedNow, LeftToPerson) as why:
        return _not_sent_now(run, at, why)
    except (OutOfTime, Expired):  # a step in flight is asked about; one that is not, begins no more
        return await _out_of_time(run, at)


def _not_sent_now(run: Run, at: StepInstance, why: Exception) -> StepResult:
    if isinstance(why, LeftToPerson):
        return StepResult(StepStatus.LEFT_TO_PERSON, str(why))
    again = " again" if run.story.in_flight == at.key else ""
    return StepResult(StepStatus.UNKNOWN, f"not started{again}: {at.step.description}: {why}")


async def _give_way(run: Run, at: StepInstance) -> StepResult:
    """Leave a wait to whoever needs its locks. What was confirmed until then counts no more, and its person is told."""
    await asyncio.to_thread(run.refresh)
    again = "; it was confirmed already: check it and press Done again once it resumes"
    said = again if run.story.confirmations.get(at.key) else ""
    return StepResult(StepStatus.GAVE_WAY, f"waiting: {at.step.description}{said}")


async def _abandon(run: Run, at: StepInstance) -> StepResult:
    if run.story.in_flight != at.key:
        return StepResult(StepStatus.CANCELLED, f"before: {at.step.description}")
    # While it waited, what was sent may have begun to come after all.
    is_untouched = await has_not_happened(run, at, run.story.intents[at.key])
    return await abandon(run, at, SendResult("accepted" if is_untouched else "unknown"))


async def _out_of_time(run: Run, at: StepInstance) -> StepResult:
    await asyncio.to_thread(run.refresh)
    if run.story.in_flight != at.key:
        return StepResult(StepStatus.UNKNOWN, f"{run.late_in_words}; not started: {at.step.description}")
    result = await ask_about(run, at)
    if result.verdict is not StepStatus.UNKNOWN:
        return result
    return StepResult(StepStatus.UNKNOWN, f"{run.late_in_words}; not known: {result.says}")


async def _begin_and_settle(run: Run, at: StepInstance) -> StepResult | None:
    """A step that has not begun. None: it turned out not to have happened, and may be begun again."""
    held_back, may_come = False, await may_come_until(run, at)
    while True:
        if (ended := await _until_ready(run, at, may_come, held_back=held_back)) is not None:
            return ended
        # Anew each time: what the host was before it was held back tells nothing of what is sent hours later.
        (before, why), held = await asyncio.gather(_image(run, at.step), held_before(run, at.step))
        if held != "no" and run.parts.monotonic() < may_come:  # it shows no more, and may come again
            continue
        if at.step.before is not None and before is None:
            return StepResult(StepStatus.FAILED, f"not started: the state before it is not known: {why}")
        held_back = True
        if await asyncio.to_thread(_was_begun, run, at):
            await run.next_attempt(f"step {at.step.key} was not sent; it may start now")
        with suppress(ChangesStopped):  # between the glance and the transaction: wait for go, and check again
            if (fate := await _intend_and_act(run, at, before, held)) is not None:
                return await reconcile(run, at, fate)


async def _until_ready(run: Run, at: StepInstance, may_come: float, *, held_back: bool) -> StepResult | None:
    """Wait until a step may begin. What else ends it before that; None where it may.

    Args:
        run: the run.
        at: the step.
        may_come: until when what it undoes may still take effect, by the clock that nobody sets.
        held_back: it was about to begin, and something held it back.
    """
    try:
        if await wait_for_something_to_undo(run, at, may_come):
            run.is_undo_checked = False
            await _ask_again(run, at)
        has_waited = await wait_for_others(run, at)
        if await _waited(run, at) or has_waited or held_back:
            if not has_begun_group(run, at):
                return StepResult(StepStatus.HELD_BACK, f"before: {at.step.description}")
            await _ask_again(run, at)
            run.has_waited, run.is_undo_checked = True, False
        await must_be_undone_here(run, at)
        not_ready = await _not_ready(run, at)
    except Cancelled:
        return StepResult(StepStatus.CANCELLED, f"before: {at.step.description}")
    if not_ready:
        return StepResult(StepStatus.FAILED, f"not started: {not_ready}")
    return _held_back(run, at)


def _held_back(run: Run, at: StepInstance) -> StepResult | None:
    """A freeze, or an answer that has expired, behind whatever it waited for; None where neither holds it."""
    if expired := run.why_answers_expired(at):
        if has_sent(at, run.story):
            return StepResult(StepStatus.UNKNOWN, f"not started: {at.step.description}: {expired}")
        return StepResult(StepStatus.HELD_BACK, f"before: {at.step.description}")
    if at.step.is_by_hand and run.why_it_does_not_begin(at):
        return StepResult(StepStatus.HELD_BACK, f"before: {at.step.description}")
    return None


async def _waited(run: Run, at: StepInstance) -> bool:
    """Wait for go where changes are stopped, and for the end of a window; whether either was necessary.

    Raises Cancelled, Preempted, OutOfTime.
    """
    await asyncio.to_thread(run.raise_if_cancelled, is_sending=True)
    has_waited = await run.wait_while_stopped()
    return await run.wait_until_allowed(at) or has_waited


def has_begun_group(run: Run, at: StepInstance) -> bool:
    """Whether an act of its group may have been sent, in whatever round; taking back begins after that."""
    if not run.is_planned(at):
        return True
    acts = {step.key for step in at.group.steps if step.act is not None}
    return run.story.may_have_sent(acts)


def _was_begun(run: Run, at: StepInstance) -> bool:
    """Whether this attempt began it already, and it was not sent."""
    ticket = run.parts.ledger.ticket(run.ticket)
    return ticket is not None and (*at.key, run.attempt) in ticket.intents


async def _ask_again(run: Run, at: StepInstance) -> None:
    """Whether those who asked and decided still may, and whether the external records still agree.

    Raises:
        NotAllowedNow: somebody lost the role.
        KnownElsewhere: an external record knows more than the ledger, or none can be read.
        Cancelled, OutOfTime, Preempted: while nobody could say.
    """
    why = await why_no_step_may_start(run)
    if run.is_late():
        raise OutOfTime
    if why:
        raise NotAllowedNow(why)
    if why := (await check_records(run, run.around(at))).says:
        raise KnownElsewhere(why)
    run.unasked = False


async def _image(run: Run, step: Step) -> tuple[Rows | None, str]:
    """The before-image; None where none is asked for, or none is to be had."""
    if step.before is None:
        return None, ""
    return await before_image(run.parts, step.before, LARGEST_IMAGES - run.story.weight)


async def _act_again(run: Run, at: StepInstance) -> StepResult | None:
    """Begin the step once more, after it was seen that it has not happened. Its people and guards are asked again.

    Whatever of that took its time, what was sent is asked about once more before its guard, which may be unmet because it came.

    None: it was not begun, and what became of it is to be asked about once more: while it was waited, it may have happened.
    """
    await _ask_again(run, at)
    await run.next_attempt(f"step {at.step.key} did not happen; starting it again")
    while await _waited(run, at):
        await _ask_again(run, at)
    if (result := await reconcile(run, at, SendResult("unknown", fresh=False))) is not None:
        return result
    run.is_undo_checked = False
    await must_be_undone_here(run, at)
    not_ready = await _not_ready(run, at)
    begun = run.story.intents[at.key]
    if not await has_not_happened(run, at, begun):  # what its guard misses may be what the step itself has changed
        return None
    if not_ready:
        return await not_begun(run, at, f"not started again: {not_ready}")
    if expired := run.why_answers_expired(at):
        raise NotAllowedNow(expired)
    try:
        fate = await _intend_and_act(run, at, begun.before, begun.held_before)
    except ChangesStopped:
        return None
    return await reconcile(run, at, fate) if fate is not None else None


async def _not_ready(run: Run, at: StepInstance) -> str:
    """Why the step may not begin now; "" where it may. Raises Cancelled, Preempted, OutOfTime.

    Where the run has waited since it looked, be it for its guard, all that was looked at must hold at once with the guard.
    """
    look, guard = _look_before(run, at), run.proposal.plan.guards_of(at.step)
    while checks := (*look, *guard) if run.has_waited else guard:
        looks_again = run.has_waited
        ends = run.parts.monotonic() + max_wait(checks)
        seen = await wait_for(run.parts, checks, run.images, ends, run.pause)
        if seen.is_ is not CheckState.MET:
            return seen.says or "its guard is not met"
        if looks_again or not look or not run.has_waited:
            break
    run.has_waited = run.has_waited and not look
    return ""


def _look_before(run: Run, at: StepInstance) -> tuple[Check, ...]:
    """What the steps right before it that only wait have seen, in a group whose rounds may be left for hours between the two."""
    if not at.group.is_counted or not run.is_planned(at):
        return ()
    before = takewhile(lambda step: step is not at.step, at.group.steps)
    look = takewhile(lambda step: step.act is None, reversed(tuple(before)))
    return tuple(replace(check, settle=0) for step in look for check in step.done)


def _note_look(run: Run, at: StepInstance, result: StepResult) -> None:
    """What was seen just now is not looked at once more before the act, unless the run waits in between."""
    if at.step.act is None and result.verdict is StepStatus.DONE and not _look_before(run, at):
        run.has_waited = False


async def _intend_and_act(run: Run, at: StepInstance, before: Any, held: HeldBefore) -> SendResult | None:
    """One piece, which the end of the bot waits for: torn apart it would leave a doubt that nobody needs.

    None: it was written down, and held back before it was sent; an outcome says so.

    Raises:
        Cancelled, OutOfTime, Preempted: the same, because it was asked to end, or its time is over.
        ChangesStopped: nothing may begin now, and nothing was begun.
        KnownElsewhere: the same; somewhere outside more is known.
        NotAllowedNow: the host is in another place by now than where it was decided.
        LedgerError: this process is not the one that acts any more.
    """
    await _must_stand(run, at)
    act = at.step.act
    if act is None or isinstance(act, ManualStep):
        pass
    elif why := await run.parts.planner.why_not_there(run.proposal.places, act.on):
        raise NotAllowedNow(why)
    run.idle.clear()
    try:
        await asyncio.to_thread(run.must_lead)
        intent = await _intend(run, at, before, held)
        run.sent[at.key] = run.parts.monotonic()
        await leave_note(run, at, intent)
        return await _act(run, at, intent)
    except Withheld as held_back:
        await _not_sent(run, at, held_back.message)
        return None
    except KnownElsewhere as elsewhere:
        if not elsewhere.may_be_sent:  # else it is asked about, as what another copy may have done
            await write_not_sent(run, at, str(elsewhere))
        raise
    finally:
        run.idle.set()


async def _not_sent(run: Run, at: StepInstance, why: str) -> None:
    """Write down that nothing of an act went out: else it would be asked about as if it might have happened.

    Raises:
        Cancelled, OutOfTime, Preempted: it is not begun again, either.
        LedgerError: this process is not the one that acts any more.
    """
    await write_not_sent(run, at, why)
    await asyncio.to_thread(run.must_lead)
    await asyncio.to_thread(run.raise_if_cancelled, is_sending=True)


def _why_not(run: Run, at: StepInstance) -> str:
    """Why an act may go out no more, "" where it may: a host can take its time for the note, or for the login.

    Asked on whatever thread sends it, and never on the loop's, once the target has let it in.
    """
    try:
        run.must_lead()
        run.raise_if_cancelled(is_sending=True)
        held = run.parts.ledger.why_blocked() or run.why_it_waits(at) or run.why_it_does_not_begin(at)
        return held or run.why_answers_expired(at)
    except Cancelled:
        return "it was cancelled"
    except Preempted:
        return "another ticket needs its locks"
    except OutOfTime:
        return run.late_in_words
    except LedgerError as error:
        return f"the ledger does not allow it now ({str(error).rstrip('.')})"


async def _must_stand(run: Run, at: StepInstance) -> None:
    """A run that nobody outside could be asked about when it was taken up begins nothing until somebody was."""
    if run.unasked:
        if why := (await check_records(run, [at])).says:
            raise KnownElsewhere(why)
        run.unasked = False


async def _intend(run: Run, at: StepInstance, before: Any, held: HeldBefore) -> Entry:
    """Write down what is about to be done, before it is done."""
    step = at.step
    more: dict[str, Any] = {"held_before": held} if held else {}
    if run.failed is not None:  # a guard that failed stands in no outcome: after a crash nobody would know of it
        more |= {"failed_step": run.failed.key[0], "failed_round": run.failed.key[1], "failed_why": run.failed_why}
    intent = Intent(
        description=step.description,
        action=action_in_words(step.act) if step.act is not None else "",
        before=before,
        deadline_seconds=step.deadline,
        **run.place_of(at),
        **more,
    )
    return await run.write(intent)


async def _act(run: Run, at: StepInstance, intent: Entry) -> SendResult:
    step = at.step
    if step.act is None or step.is_by_hand:
        return SendResult("accepted")
    began = run.sent[at.key] = run.parts.monotonic()
    try:
        with sending_unless(partial(_why_not, run, at)), carrying_out(_errand(run, at, intent)):
            # Before anything of it is asked of the target, and again before it goes out.
            await asyncio.to_thread(last_look(step.key))
            left = _time_left(run, at, began)
            async with asyncio.timeout(left + _GRACE):
                answer = await perform(run.parts.actor, step.act, left)
    except Withheld:
        raise
    except TimeoutError:
        return SendResult("unknown", str(TargetTimeout(step.key, TargetTimeout.after(step.deadline))))
    except TargetError as error:
        return SendResult(fate_of(error, step.act), str(error), getattr(error, "raw", ""), is_unsent=error.is_unsent)
    return SendResult("accepted", raw=answer.raw)


def _time_left(run: Run, at: StepInstance, began: float) -> float:
    """Seconds of an act's time: the last look has taken some, and what ends later could be under way when it is sent again.

    Raises Withheld where none is left.
    """
    left = began + at.step.deadline - run.parts.monotonic()
    if left <= 0:
        raise Withheld(at.step.key, "its time ran out before it was sent.")
    return left


def _errand(run: Run, at: StepInstance, intent: Entry) -> Errand:
    """What a worker at another site is told of it: nothing but the plan's own actions, and what takes them back, is done for it."""
    plan = run.proposal.plan
    permitted = tuple(act for step in plan.steps for act in (step.act, step.undo) if act is not None)
    return Errand(run.ticket, at.step.key, run.proposal.digest, intent.id, permitted)


def _away(at: StepInstance) -> SendResult:
    """The fate of a step that was begun before: by another life of the bot, or before somebody let it go on."""
    if at.step.act is None or at.step.is_by_hand:
        return SendResult("accepted", fresh=False)  # nothing of ours was under way: simply wait on
    return SendResult("unknown", "hvops did not see how the action ended", fresh=False)
