"""Acting: the one place where a plan's action becomes a call. Each is sent at most once per attempt."""

from __future__ import annotations

from typing import Protocol

from bot.api.actions import Action, InvokeMethod, ManualStep, RowTransaction, RunProgram
from bot.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    PolicyViolation,
    QuotaExceeded,
    TargetError,
    TargetFault,
)
from bot.transport.allowlist.web import CALLS
from bot.transport.client import QueryResult

EVENT = "eventcreate"  # the row of the catalogue that leaves a note in a host's own log
NOTE_SECONDS = 20.0


class Actor(Protocol):
    """Who carries actions out (`transport.TargetClient` for all but rows of a database)."""

    async def invoke(self, action: InvokeMethod, seconds: float) -> QueryResult:
        """Call a method. Raises TargetError."""
        ...

    async def change(self, action: RunProgram, seconds: float) -> QueryResult:
        """Run a program that changes something. Raises TargetError."""
        ...

    async def update(self, action: RowTransaction, seconds: float) -> QueryResult:
        """Change rows of a database in one transaction. Raises TargetError."""
        ...


async def perform(actor: Actor, action: Action, seconds: float) -> QueryResult:
    """Carry one action out, exactly as it was approved: nothing in it is filled in. Raises TargetError; `definitely_not_executed` says which of them mean that nothing was begun."""
    if isinstance(action, InvokeMethod):
        return await actor.invoke(action, seconds)
    if isinstance(action, RunProgram):
        return await actor.change(action, seconds)
    if isinstance(action, RowTransaction):
        return await actor.update(action, seconds)
    assert isinstance(action, ManualStep)
    raise TypeError("a person does that, not the bot")


def definitely_not_executed(error: TargetError, action: Action) -> bool:
    """Whether the target, or our own rules, said no. Anything else may have happened all the same.

    A transaction says itself whether it was cut off at the one moment that decides; else nothing is half done.
    """
    if isinstance(action, RowTransaction):
        return not isinstance(error, OutcomeUnknown)
    return isinstance(error, (TargetFault, NotFound, AuthenticationFailed, PolicyViolation, QuotaExceeded))


async def write_event_log_note(actor: Actor, action: Action, says: str) -> str:
    """Write into the event log of the host that was acted on. Answers where it stands, or why it does not."""
    if not isinstance(action, (InvokeMethod, RunProgram)) or (isinstance(action, RunProgram) and action.what in CALLS):
        return ""  # a web service has no such log
    try:
        await actor.change(RunProgram(action.on, EVENT, (("says", says),)), NOTE_SECONDS)
    except TargetError as error:
        return f"not noted in its event log: {error}"
    return f"noted in the event log of {action.on}"
