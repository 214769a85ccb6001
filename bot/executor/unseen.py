"""What an undo waits for: an action whose end nobody saw may take effect after its undo was judged by how it was before.

A host that takes a shutdown, or a move, at once carries it out in its own time. Until that is over, nothing to undo may mean
that nothing has come yet.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from bot.executor.measuring import held_before
from bot.executor.run import Run
from bot.formatting import format_time
from bot.tickets.run_history import StepInstance
from bot.tickets.undo import whole_seconds

_NEVER = float("-inf")


async def may_come_until(run: Run, at: StepInstance) -> float:
    """Until when what a step undoes may take effect, by the clock that nobody sets; long past where nothing may.

    An undo starts once its host can have taken it, so no more is left than the time in which it shows, whatever the clock says.
    Where that was set, it does not tell how long ago the action was sent: its whole time counts from when that was noticed.
    Raises LedgerError.
    """
    unseen = at.step.undoes
    if unseen is None or not at.step.done:
        return _NEVER
    left = (datetime.fromisoformat(unseen.until) - run.parts.now()).total_seconds()
    noticed = (await asyncio.to_thread(run.parts.ledger.clock_doubt)).noticed
    now = run.parts.monotonic()
    if noticed is not None:
        left = max(left, noticed + whole_seconds(at.step, unseen) - now)
    return now + min(left, unseen.within)


async def wait_for_something_to_undo(run: Run, at: StepInstance, until: float) -> bool:
    """Wait as long as nothing shows that a step could undo, until that moment at most. Whether it had to wait.

    Raises Cancelled, Preempted, OutOfTime.
    """
    has_waited = False
    while (left := until - run.parts.monotonic()) > 0 and await held_before(run, at.step) != "no":
        has_waited = True
        await run.pause(min(run.parts.every, left), what_may_come(at))
    return has_waited


async def wait_for_others(run: Run, at: StepInstance) -> bool:
    """Wait until what ended tickets have sent about the same things can take effect no more. Whether it had to wait.

    A run that gave its locks away does not know what others have done meanwhile, and what one of them left under way would
    reverse its next action. What is undone because a step failed waits for nothing.
    Raises Cancelled, Preempted, OutOfTime, LedgerError.
    """
    if run.attempt == 1 or at.step.act is None or at.step.is_by_hand or not run.is_planned(at):
        return False
    has_waited = False
    while waits := [gate for gate in await run.parts.planner.left_behind(run.proposal.plan) if gate.passes_at]:
        has_waited = True
        left = (datetime.fromisoformat(waits[0].passes_at) - run.parts.now()).total_seconds()
        await run.pause(min(run.parts.every, max(left, 1.0)), f"waiting: {waits[0].finding}")
    return has_waited


def what_may_come(at: StepInstance) -> str:
    """That what a step undoes may still take effect, as a sentence without its full stop."""
    unseen = at.step.undoes
    assert unseen is not None
    return (
        f"“{unseen.description}” was sent and may still take effect until {format_time(unseen.until)}; nothing shows yet that could"
        " be undone"
    )
