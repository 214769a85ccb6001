"""What became of an act: settled by how things are now, whatever the reply was.

The reply only says how long it is worth waiting. A target that refused has not begun. One that did not answer, or that
answered a bot that is no more, may have: until the deadline of its act it may even still be at it. So may one that answered
with a fault that is no known refusal; it is asked until the time of the checks is over, and nothing is sent or undone before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from bot.api.actions import RowTransaction
from bot.api.plan import CompareToBefore, Step
from bot.api.queries import Query
from bot.executor.actions import log_host, write_event_log_note
from bot.executor.permissions import RoleCheck, recheck_confirmation
from bot.executor.polling import (
    LARGEST_IMAGES,
    CheckResult,
    CheckState,
    before_image,
    look_at,
    max_wait,
    time_to_settle,
    wait_for,
)
from bot.executor.run import Cancelled, Run
from bot.executor.unseen import may_come_until, wait_for_something_to_undo, what_may_come
from bot.formatting import clauses, format_time
from bot.ledger.entries import Outcome
from bot.ledger.envelope import to_timestamp
from bot.ledger.shared_locks import MOST_SKEW_BETWEEN_BOTS
from bot.redaction import clip
from bot.serialization import evidence_to_bytes
from bot.tickets.conditions import same_rows
from bot.tickets.readings import MOST_READINGS
from bot.tickets.run_history import NOT_SENT, BegunStep, StepInstance
from bot.tickets.undo import NOTE_SECONDS

MOST_TIMES = 3  # how often the bot itself begins one and the same step
# How long nobody may have looked, beyond the time that an action may take, for "as before" to mean that it did not happen.
_AWAY_SECONDS = 120.0
_SHOWN = 2_000  # characters of a reply that an entry repeats; the rest is in the evidence


class StepStatus(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"  # it says so itself, or nothing of it was begun
    UNKNOWN = "unknown"  # a person must decide
    CANCELLED = "cancelled"
    GAVE_WAY = "gave way"
    LEFT_TO_PERSON = "left to a person"  # the undo of what failed: nothing was sent, and a person has to ask for it
    HELD_BACK = "held back"  # by a stop, before anything of its group was sent: whether it may begin is asked anew


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended, and why.

    Attributes:
        asks_if_undone: all is as before it, and a person decides whether it was done and then undone.
    """

    verdict: StepStatus
    says: str = ""
    asks_if_undone: bool = False


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of an act, as far as its reply tells.

    Attributes:
        kind: "accepted"; "refused": it has not begun; "ended": it failed, and nobody knows what it has changed; "faulted": it has
            answered, and perhaps begun; "unknown": no answer, or the bot was not running.
        fresh: this process has just acted; nothing was lost in between.
        is_unsent: hvops itself knows that nothing of it went out this time.
    """

    kind: Literal["accepted", "refused", "ended", "faulted", "unknown"]
    says: str = ""
    raw: str = ""
    fresh: bool = True
    is_unsent: bool = False


async def reconcile(run: Run, at: StepInstance, fate: SendResult) -> StepResult | None:
    """Find out what became of an act. None: it has not happened, and may be begun again."""
    intent = run.story.intents[at.key]
    seen = CheckResult(CheckState.UNKNOWN, fate.says, ())
    try:
        if at.step.is_by_hand:
            return await _settle_by_hand(run, at, intent)
        if fate.kind == "refused" or not fate.fresh:  # nobody saw that it was this undo which made it so
            await wait_for_something_to_undo(run, at, await may_come_until(run, at))
        if fate.kind == "refused":
            return await _settle_refused(run, at, fate)
        if fate.kind in ("faulted", "unknown"):
            await _note_first_look(run, at)
            seen = await _wait_out(run, at, intent)
            is_open = seen.is_ not in (CheckState.MET, CheckState.FAILED)
            if is_open and (why := await _why_not_again(run, at, intent, fate)) is not None:
                told = CheckResult(CheckState.UNKNOWN, why, ())
                result = StepResult(StepStatus.UNKNOWN, why, asks_if_undone=True)
                return await _conclude(run, at, result, fate, told) if why else None
        if seen.is_ not in (CheckState.MET, CheckState.FAILED):
            settled, ends = _times(run, at, intent, fate)
            seen = await wait_for(run.parts, at.step.done, run.images, ends, run.pause, settled=settled)
        verdict = _verdict(at, seen)
        if fate.kind in ("ended", "faulted") and verdict is StepStatus.UNKNOWN and await _is_untouched(run, at, intent):
            verdict = StepStatus.FAILED  # all its time is over, and what it changes first is as it was
    except Cancelled:
        return await abandon(run, at, fate)
    return await _conclude(run, at, StepResult(verdict, _said(fate, seen)), fate, seen)


async def _settle_refused(run: Run, at: StepInstance, fate: SendResult) -> StepResult:
    """How things are all the same, by one look.

    Where that does not tell, a person decides. What never went out is not in flight then: an undo does not ask for it, and who
    lets the run go on has it begun. What an earlier intent of it sent stands as it stood.
    """
    seen = await look_at(run.parts, at.step.done, run.images)
    verdict = {CheckState.MET: StepStatus.DONE, CheckState.UNKNOWN: StepStatus.UNKNOWN}.get(seen.is_, StepStatus.FAILED)
    says = _said(fate, seen)
    if verdict is StepStatus.UNKNOWN and fate.is_unsent:
        await write_not_sent(run, at, says)
    return await _conclude(run, at, StepResult(verdict, says), fate, seen)


async def write_not_sent(run: Run, at: StepInstance, why: str) -> None:
    """Write down that nothing of an act went out: else it would be asked about as if it might have happened."""
    await run.write(Outcome(result=NOT_SENT, message=why.rstrip("."), not_executed=True, **run.place_of(at)))


def _times(run: Run, at: StepInstance, intent: BegunStep, fate: SendResult) -> tuple[float, float]:
    """From when on an answer tells of the change, and until when it is worth waiting, by the clock that nobody sets."""
    if fate.fresh:
        now = run.parts.monotonic()
        return now + time_to_settle(at.step.done), now + max_wait(at.step.done)
    return _settled(run, at, intent), _over(run, at, intent) + max_wait(at.step.done)


def _over(run: Run, at: StepInstance, intent: BegunStep) -> float:
    """When an act has ended at the latest, by the clock that nobody sets.

    Where an earlier life of the bot sent it, the time of its intent has to do: after a crash it counts from that, and not from
    the restart.
    """
    acts = 0.0 if at.step.act is None else _longest(run, at)
    if (sent := run.sent.get(at.key)) is not None:
        return sent + acts
    return run.parts.monotonic() + (intent.at - run.parts.clock()).total_seconds() + acts


def _settled(run: Run, at: StepInstance, intent: BegunStep) -> float:
    """From when on an answer tells of the change, by the clock that nobody sets.

    The intent of an earlier life may bear the time of another machine, or of a clock that is put right since, and an answer that
    comes too early is taken for the new state: so the time to settle passes here as well, from when this run was taken up.
    """
    acts = 0.0 if at.step.act is None else _longest(run, at)
    over = _over(run, at, intent)
    if at.key not in run.sent and run.locked_at is not None:
        over = max(over, run.locked_at + acts)
    return over + time_to_settle(at.step.done)


def _seconds_left(run: Run, at: StepInstance, intent: BegunStep) -> float:
    """Seconds until an act has ended at the latest, whoever sent it.

    Its intent may bear the time of another machine, or of a clock that is put right since: what would be sent again is waited for
    by a clock that nobody sets, too, from when it was sent here, or nobody else could send it any more.
    """
    over = _over(run, at, intent)
    if at.step.repeatable and at.key not in run.sent and run.locked_at is not None:
        over = max(over, run.locked_at + _longest(run, at))
    return over - run.parts.monotonic()


async def _note_first_look(run: Run, at: StepInstance) -> None:
    """Note when its host was first heard about what an earlier life of the bot sent: hvops may be back, and not ask for long."""
    if at.key in run.sent or at.key in run.looked_at:
        return
    if (await look_at(run.parts, at.step.done, run.images)).is_ is not CheckState.UNKNOWN:
        run.looked_at[at.key] = run.parts.monotonic()


async def _wait_out(run: Run, at: StepInstance, intent: BegunStep) -> CheckResult:
    """Until its deadline an act may still be under way over there, whoever sent it.

    Where its checks settle, nothing is asked meanwhile: the time to settle begins with its end, at the latest.
    """

    async def pause(seconds: float, says: str) -> None:
        await note_begun(run, at, intent)
        await run.pause(seconds, says)

    if time_to_settle(at.step.done):
        while (left := _seconds_left(run, at, intent)) > 0:
            await pause(min(run.parts.every, left), "until the act can have ended")
        return CheckResult(CheckState.UNKNOWN, "the source still reports the state before the step", ())
    while True:
        ends = run.parts.monotonic() + _seconds_left(run, at, intent)
        seen = await wait_for(run.parts, at.step.done, run.images, ends, pause)
        if seen.is_ in (CheckState.MET, CheckState.FAILED) or _seconds_left(run, at, intent) <= 0:
            return seen


def _longest(run: Run, at: StepInstance) -> float:
    """Seconds from an intent to when its act has ended at the latest: a note on the host may come in between."""
    notes = run.parts.outside is not None and at.step.act is not None and log_host(at.step.act)
    return at.step.deadline + (NOTE_SECONDS if notes else 0.0)


async def has_not_happened(run: Run, at: StepInstance, intent: BegunStep) -> bool:
    """Whether the step may be begun again: marked so, everything is as it was before, and nobody has seen it otherwise since."""
    return intent.times < MOST_TIMES and not run.was_seen_begun(at.key) and await _is_untouched(run, at, intent)


async def _why_not_again(run: Run, at: StepInstance, intent: BegunStep, fate: SendResult) -> str | None:
    """Why a step is not begun again though everything is as before: a person decides. "": it is; None: it is not as before."""
    if not await _is_untouched(run, at, intent):
        return None
    if run.was_seen_begun(at.key):
        return _put_back(intent)
    if fate.kind != "unknown" or intent.times >= MOST_TIMES:
        return None
    return _as_before(intent) if await asyncio.to_thread(_was_away, run, at, intent) else ""


async def note_begun(run: Run, at: StepInstance, intent: BegunStep) -> None:
    """Note that something of it shows: where everything is as before later, it was done and put back, and not left undone."""
    if run.was_seen_begun(at.key) or not at.step.repeatable or at.step.before is None or intent.before is None:
        return
    now, _ = await before_image(run.parts, at.step.before)
    is_other = now is not None and same_rows(now, intent.before) is False
    if is_other or (await look_at(run.parts, at.step.untouched, run.images)).is_ is CheckState.UNMET:
        run.seen_begun.add(at.key)


async def _is_untouched(run: Run, at: StepInstance, intent: BegunStep) -> bool:
    """Whether nothing of it shows: its image is as it was, and what it changes first beside that is so still, asked last."""
    if not at.step.repeatable or at.step.before is None or intent.before is None:
        return False
    now, _ = await before_image(run.parts, at.step.before)
    if now is None or not same_rows(now, intent.before):
        return False
    return (await look_at(run.parts, at.step.untouched, run.images)).is_ is CheckState.MET


def _was_away(run: Run, at: StepInstance, intent: BegunStep) -> bool:
    """Whether no host was heard for so long that it may have been done, and undone by people, and be as before for that reason.

    Whoever let the run go on, and was asked just that, has looked by then: nobody else was told to. Where the times of then and now cannot be compared,
    nobody knows for how long nobody looked, and a person decides. Raises LedgerError.
    """
    if run.locked_at is None:
        return False
    doubt = run.parts.ledger.clock_doubt()
    if (sent := run.sent.get(at.key)) is not None:  # a machine that stood still since shows as a clock that was set
        return doubt.noticed is not None and doubt.noticed >= sent
    begun = (intent.at, intent.seq)
    looked, seq = max(begun, run.story.let_begin_again.get(at.key, begun), key=lambda one: one[1])
    if seq <= doubt.up_to:
        return True
    now = run.parts.monotonic()
    looked_again = run.parts.clock() - timedelta(seconds=now - run.looked_at.get(at.key, now))
    seconds = (looked_again - looked).total_seconds()
    return seconds > _longest(run, at) + _AWAY_SECONDS or seconds < -MOST_SKEW_BETWEEN_BOTS


def _as_before(intent: BegunStep) -> str:
    return (
        f"everything is as it was before the step, which was started at {format_time(to_timestamp(intent.at))}; its host was not heard "
        "for a while after that, so it is not known whether the step was done and then undone"
    )


def _put_back(intent: BegunStep) -> str:
    return (
        f"the step, which was started at {format_time(to_timestamp(intent.at))}, was seen to take effect, and now everything is "
        "as it was before it: someone may have undone it"
    )


def _verdict(at: StepInstance, seen: CheckResult) -> StepStatus:
    """What a look means: an act that is not done, and does not say that it failed, may still become so."""
    if seen.is_ is CheckState.MET:
        return StepStatus.DONE
    if seen.is_ is CheckState.FAILED or (seen.is_ is CheckState.UNMET and at.step.act is None):
        return StepStatus.FAILED
    return StepStatus.UNKNOWN


async def _settle_by_hand(run: Run, at: StepInstance, intent: BegunStep) -> StepResult:
    """Wait for a person, look, and say so where it is not done yet.

    As long as nothing has been changed, a freeze that begins ends the wait: nobody is asked to begin inside it.
    """
    heard, ends = 0, _over(run, at, intent)
    says = "waiting for a manual step"
    while True:
        await asyncio.to_thread(run.refresh)
        hands = run.story.confirmations.get(at.key, 0)
        said = await recheck_confirmation(run, at) if hands > heard else RoleCheck()
        if said.unknown:
            says = f"waiting: {said.unknown}"
        elif said.lost:
            heard, says = hands, f"not confirmed: {said.lost}"
        elif hands > heard:
            heard = hands
            patience = run.parts.monotonic() + max_wait(at.step.done)
            seen = await wait_for(run.parts, at.step.done, run.images, patience, run.pause)
            if seen.is_ is CheckState.MET:
                return await _conclude(run, at, StepResult(StepStatus.DONE, seen.says), SendResult("accepted"), seen)
            says = f"not done yet: {seen.says}"
        if not said.unknown and (freeze := run.why_it_does_not_begin(at)):
            outcome = Outcome(result=NOT_SENT, message=f"no one confirmed it before the {freeze}", **run.place_of(at))
            await run.write(outcome)
            return StepResult(StepStatus.HELD_BACK, freeze)
        if run.parts.monotonic() >= ends:
            result = StepResult(StepStatus.FAILED, f"no one did it in time ({says})")
            return await _conclude(run, at, result, SendResult("accepted"), CheckResult(CheckState.UNMET, says, ()))
        await run.pause(run.parts.every, says)


async def ask_about(run: Run, at: StepInstance) -> StepResult:
    """What became of a step in flight, by one look: nothing of it is waited for, repeated or begun."""
    seen = await _look_now(run, at)
    await asyncio.to_thread(run.refresh)
    unheard = await _why_unheard(run, at)
    ended = {CheckState.MET: StepStatus.DONE, CheckState.FAILED: StepStatus.FAILED}.get(seen.is_)
    if ended is None or unheard:
        return StepResult(StepStatus.UNKNOWN, f"{at.step.description}: {unheard or seen.says}")
    return await _conclude(run, at, StepResult(ended, seen.says), SendResult("unknown", fresh=False), seen)


async def _why_unheard(run: Run, at: StepInstance) -> str:
    """Why nobody's word says that a step by hand is done: nobody gave it, or who did may not; "" for one, and for other steps."""
    if not at.step.is_by_hand:
        return ""
    if not run.story.confirmations.get(at.key):
        return "no one confirmed it"
    said = await recheck_confirmation(run, at)
    return f"not confirmed: {said.lost}" if said.lost else said.unknown


async def _look_now(run: Run, at: StepInstance) -> CheckResult:
    """One look at a step in flight; none before its checks settle, since until then they tell what was so before."""
    left = _settled(run, at, run.story.intents[at.key]) - run.parts.monotonic()
    if time_to_settle(at.step.done) and left > 0:
        settled = format_time((run.parts.clock() + timedelta(seconds=left)).isoformat())
        says = f"the source still reports the state before the step; a current reading is possible from {settled}"
        return CheckResult(CheckState.UNKNOWN, says, ())
    seen = await look_at(run.parts, at.step.done, run.images)
    if seen.is_ is CheckState.MET and run.parts.monotonic() < await may_come_until(run, at):
        return replace(seen, is_=CheckState.UNKNOWN, says=what_may_come(at))
    return seen


async def abandon(run: Run, at: StepInstance, fate: SendResult) -> StepResult:
    """Cancelled while waiting. What is known now stands in the outcome; what nobody knows, a person must decide."""
    seen = await _look_now(run, at)
    await asyncio.to_thread(run.refresh)
    unheard = await _why_unheard(run, at)  # whoever cancels says that it was not done
    if seen.is_ is CheckState.MET and not unheard:
        return await _conclude(run, at, StepResult(StepStatus.DONE), fate, seen)
    if fate.kind in ("ended", "faulted", "unknown"):
        return StepResult(StepStatus.UNKNOWN, f"cancelled while its outcome is unknown: {_said(fate, seen)}")
    says = seen.says or unheard or "no one confirmed it"
    more: dict[str, Any] = {"measured": seen.readings[:MOST_READINGS]} if seen.readings else {}
    if _changed_nothing(run, at, fate):
        more["not_executed"] = True
    outcome = Outcome(result="abandoned", message=says, evidence=await _kept(run, seen), **run.place_of(at), **more)
    await run.write(outcome)
    return StepResult(StepStatus.CANCELLED, f"while waiting for “{at.step.description}”: {says}")


async def not_begun(run: Run, at: StepInstance, says: str) -> StepResult:
    """A step of which an intent stands, of which it was seen that it had not happened, and which may not begin again.

    Its guard may have waited, and may be unmet because what was sent has come by now: so it is asked about first.
    """
    fate, seen = SendResult("refused", fresh=False), await _look_now(run, at)
    if seen.is_ is CheckState.MET:
        result = StepResult(StepStatus.DONE, seen.says)
    elif seen.is_ is CheckState.FAILED:
        result = StepResult(StepStatus.FAILED, seen.says)
    elif await has_not_happened(run, at, run.story.intents[at.key]):
        result = StepResult(StepStatus.FAILED, says)
    else:
        result = StepResult(StepStatus.UNKNOWN, clauses((says, seen.says)))
    return await _conclude(run, at, result, fate, seen)


async def _conclude(run: Run, at: StepInstance, result: StepResult, fate: SendResult, seen: CheckResult) -> StepResult:
    """Write the outcome, where there is one. What is unknown stays in flight."""
    if result.verdict not in (StepStatus.DONE, StepStatus.FAILED):
        return result
    step = at.step
    more: dict[str, Any] = {}  # what is not known is not claimed
    if step.act is not None and fate.fresh and fate.kind != "refused":
        more["event_log_note"] = await write_event_log_note(run.parts.actor, step.act, _note(run, at, result))
    if _changed_nothing(run, at, fate):
        more["not_executed"] = True
    if (question := _shown_after(step)) is not None and run.story.weight < LARGEST_IMAGES // 2:
        more["after"], _ = await before_image(run.parts, question)
    if seen.readings:
        more["measured"] = seen.readings[:MOST_READINGS]
    says = result.says
    if result.verdict is StepStatus.DONE:
        basis, why = _basis(run, at, fate)
        more |= {"basis": basis} if basis else {}
        says = clauses((says, why))
    outcome = Outcome(
        result="done" if result.verdict is StepStatus.DONE else "failed",
        message=says,
        reply=await asyncio.to_thread(clip, fate.says or fate.raw, _SHOWN),
        evidence=await _kept(run, seen),
        **run.place_of(at),
        **more,
    )
    await run.write(outcome)
    return result


def _changed_nothing(run: Run, at: StepInstance, fate: SendResult) -> bool:
    """Whether nothing of it can have happened, nor come later: an earlier one of the step, which was sent, may.

    What never went out has changed nothing, and a transaction that was not committed. What else a target says that it has not
    begun, it may have: a program half-way, and one that lies at all. However the host is by now, whatever made it so was not
    hvops, and is not hvops' to undo.
    """
    is_known = fate.is_unsent or isinstance(at.step.act, RowTransaction)
    return is_known and fate.kind == "refused" and fate.fresh and run.story.intents[at.key].times == 1


_PROVES_NOTHING = "so it does not prove that the action had an effect"
_BY_WHAT_HELD: Mapping[str, tuple[Literal["", "changed", "already so"], str]] = {
    "no": ("changed", ""),
    "yes": ("already so", f"the check was already met before the action, {_PROVES_NOTHING}"),
    "not known": ("", f"it is not known whether the check was met before the action, {_PROVES_NOTHING}"),
}


def _basis(
    run: Run, at: StepInstance, fate: SendResult
) -> tuple[Literal["", "changed", "already so", "statement"], str]:
    """What “done” rests on, and the sentence that says so. Only what was not so before proves that it was done."""
    held = run.story.intents[at.key].held_before
    if at.step.is_by_hand:
        by = f"confirmed by {run.story.confirmed_by.get(at.key, 'someone')}"
        if not at.step.done:
            return "statement", f"{by}; no machine can be queried, so it is not verified"
        if held == "no":
            return "changed", f"{by}; the check was not met before and is met now"
        why = (
            "the check was already met before the step"
            if held == "yes"
            else "it is not known whether the check was met before"
        )
        return "statement", f"{by}; not verified: {why}"
    if _changed_nothing(run, at, fate):
        return "already so", "the check is met, and hvops changed nothing"
    return _BY_WHAT_HELD.get(held, ("", ""))


def _shown_after(step: Step) -> Query | None:
    """What is asked once more for the record: the before-image's question, or that of a comparison with an older one."""
    compared = (check.question for check in step.done for one in check.holds if isinstance(one, CompareToBefore))
    return step.before or next(compared, None)


def _note(run: Run, at: StepInstance, result: StepResult) -> str:
    """What stands in the host's own event log, so that both logs can be matched."""
    proposal = run.proposal
    return (
        f"hvops {run.ticket}: {at.step.description}: {result.verdict}. Asked for by {proposal.requester_name} "
        f"({proposal.requester}), {proposal.decided} by {run.approver}. Plan {proposal.digest[:16]}."
    )


async def _kept(run: Run, seen: CheckResult) -> str:
    """On a thread: a host can answer megabytes, all of which are searched for secrets.

    Without room for them it says so: a plan may have thousands of rounds, and its outcomes are written in any case.
    """

    def keep() -> str:
        evidence = run.parts.evidence_limits.kept(run.proposal.requester, seen.evidence)
        return run.parts.ledger.put_blob(evidence_to_bytes(evidence))

    return await asyncio.to_thread(keep)


def _said(fate: SendResult, seen: CheckResult) -> str:
    """The reply and the state, each where it says something."""
    return clauses((fate.says, seen.says))
