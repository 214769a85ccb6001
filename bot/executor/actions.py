"""Acting: the one place where a plan's action becomes a call. Each is sent at most once per attempt."""

from __future__ import annotations

from typing import Protocol

from bot.api.actions import Action, ByHand, Change, Invoke, Updates
from bot.errors import Absent, LoginRefused, OutcomeUnknown, OutOfBounds, QuotaExceeded, Refused, TargetError
from bot.transport.allowlist.web import CALLS
from bot.transport.client import Answer

EVENT = "eventcreate"  # the row of the catalogue that leaves a note in a host's own log
NOTE_SECONDS = 20.0


class Actor(Protocol):
    """Who carries actions out (`reach.Reach` for all but rows of a database)."""

    async def invoke(self, action: Invoke, seconds: float) -> Answer:
        """Call a method. Raises TargetError."""
        ...

    async def change(self, action: Change, seconds: float) -> Answer:
        """Run a program that changes something. Raises TargetError."""
        ...

    async def update(self, action: Updates, seconds: float) -> Answer:
        """Change rows of a database in one transaction. Raises TargetError."""
        ...


async def perform(actor: Actor, action: Action, seconds: float) -> Answer:
    """Carry one action out, exactly as it was approved: nothing in it is filled in. Raises TargetError; `is_definite` says which of them mean that nothing was begun."""
    if isinstance(action, Invoke):
        return await actor.invoke(action, seconds)
    if isinstance(action, Change):
        return await actor.change(action, seconds)
    if isinstance(action, Updates):
        return await actor.update(action, seconds)
    assert isinstance(action, ByHand)
    raise TypeError("a person does that, not the bot")


def is_definite(error: TargetError, action: Action) -> bool:
    """Whether the target, or our own rules, said no. Anything else may have happened all the same.

    A transaction says itself whether it was cut off at the one moment that decides; else nothing is half done.
    """
    if isinstance(action, Updates):
        return not isinstance(error, OutcomeUnknown)
    return isinstance(error, (Refused, Absent, LoginRefused, OutOfBounds, QuotaExceeded))


async def leave_note(actor: Actor, action: Action, says: str) -> str:
    """Write into the event log of the host that was acted on. Answers where it stands, or why it does not."""
    if not isinstance(action, (Invoke, Change)) or (isinstance(action, Change) and action.what in CALLS):
        return ""  # a web service has no such log
    try:
        await actor.change(Change(action.on, EVENT, (("says", says),)), NOTE_SECONDS)
    except TargetError as error:
        return f"not noted in its event log: {error}"
    return f"noted in the event log of {action.on}"
