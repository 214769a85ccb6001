"""One step: guard, before-image, intent, act; `settle` then finds out what became of it.

The intent is in the ledger before anything happens, and an act is sent once per intent. So after a crash there is at
most one step of which nobody knows, and it is asked about before anything else.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from bot.api.actions import ByHand
from bot.errors import Stopped, TargetError, TimedOut
from bot.executor.actions import is_definite, perform
from bot.executor.outcome import Fate, Result, Verdict, abandon, settle
from bot.executor.polling import Is, image, longest, wait_for
from bot.executor.run import CancelAsked, GivesWay, Run
from bot.tickets.plan_text import action_in_words
from bot.tickets.run_history import Position

_GRACE = 5.0  # seconds beyond its deadline after which an actor that hangs is left alone


async def do_step(run: Run, at: Position) -> Result:
    """Bring one step to its end, from wherever it stands."""
    run.now_at = at
    try:
        while True:
            if run.story.in_flight == at.key:
                result = await settle(run, at, _away(at))
            else:
                result = await _begin_and_settle(run, at)
            if result is not None:
                return result
            await run.next_attempt(f"step {at.step.key} has not happened; it is begun again")
            result = await _act_again(run, at)
            if result is not None:
                return result
    except GivesWay:
        return Result(Verdict.GAVE_WAY, f"waiting: {at.step.says}")
    except CancelAsked:  # it has not happened, and is not begun again
        return await abandon(run, at, Fate("accepted"))


async def _begin_and_settle(run: Run, at: Position) -> Result | None:
    """A step that has not begun. None: it turned out not to have happened, and may be begun again."""
    while True:
        try:
            not_ready = await _not_ready(run, at)
        except CancelAsked:
            return Result(Verdict.CANCELLED, f"before: {at.step.says}")
        if not_ready is not None:
            return not_ready
        before, why = run.images.get(at.step.key), ""
        if at.step.before is not None and before is None:
            before, why = await image(run.parts, at.step.before)
            if before is None:
                return Result(Verdict.FAILED, f"not begun: the state before is not known: {why}")
        try:
            fate = await _intend_and_act(run, at, before)
        except Stopped:
            continue  # between the glance and the transaction; wait for go, and look at the guards again
        return await settle(run, at, fate)


async def _act_again(run: Run, at: Position) -> Result | None:
    """Begin the step once more, after it was seen that it has not happened."""
    await run.wait_while_stopped()
    try:
        fate = await _intend_and_act(run, at, run.story.images.get(at.step.key))
    except Stopped:
        return None
    return await settle(run, at, fate)


async def _not_ready(run: Run, at: Position) -> Result | None:
    """Why the step may not begin now; None where it may. Raises CancelAsked."""
    run.heed()
    await run.wait_while_stopped()
    guard = at.step.guard
    if not guard:
        return None
    seen = await wait_for(
        run.parts, guard, run.images, run.parts.clock() + timedelta(seconds=longest(guard)), run.pause
    )
    if seen.is_ is Is.SO:
        return None
    return Result(Verdict.FAILED, f"not begun: {seen.says}")


async def _intend_and_act(run: Run, at: Position, before: Any) -> Fate:
    """One piece, which the end of the bot waits for: torn apart it would leave a doubt that nobody needs.

    Raises:
        Stopped: nothing may begin now, and nothing was begun.
    """
    if at.step.act is not None and not isinstance(at.step.act, ByHand):
        await run.parts.planner.meet(at.step.act.on)
    run.idle.clear()
    try:
        await _intend(run, at, before)
        return await _act(run, at)
    finally:
        run.idle.set()


async def _intend(run: Run, at: Position, before: Any) -> None:
    """Write down what is about to be done, before it is done."""
    step = at.step
    await run.write_step(
        "intent",
        at,
        says=step.says,
        act=action_in_words(step.act) if step.act is not None else "",
        before=before,
        seconds=step.deadline,
    )


async def _act(run: Run, at: Position) -> Fate:
    step = at.step
    if step.act is None or step.is_by_hand:
        return Fate("accepted")
    try:
        async with asyncio.timeout(step.deadline + _GRACE):
            answer = await perform(run.parts.actor, step.act, float(step.deadline))
    except TimeoutError:
        return Fate("unknown", str(TimedOut(step.key, f"no answer in {step.deadline} s.")))
    except TargetError as error:
        return Fate("refused" if is_definite(error, step.act) else "unknown", str(error), getattr(error, "raw", ""))
    return Fate("accepted", raw=answer.raw)


def _away(at: Position) -> Fate:
    """The fate of a step that another life of the bot has begun."""
    if at.step.act is None or at.step.is_by_hand:
        return Fate("accepted", fresh=False)  # nothing of ours was under way: simply wait on
    return Fate("unknown", "the bot was away while it was under way", fresh=False)
