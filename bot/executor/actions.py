"""Acting: the one place where a plan's action becomes a call. Each is sent at most once per attempt."""

from __future__ import annotations

from typing import Literal, Protocol

from bot.api.actions import Action, InvokeMethod, ManualStep, RowTransaction, RunProgram
from bot.errors import OutcomeUnknown, ProgramFailed, TargetError, TargetFault
from bot.redaction import clip
from bot.transport.allowlist.eventcreate import LONGEST
from bot.transport.allowlist.web import CALLS
from bot.transport.client import QueryResult

EVENT = "eventcreate"  # the row of the catalogue that leaves a note in a host's own log
EVENT_LOG, EVENT_ID, EVENT_SOURCE = "Application", "1", "hvops"  # where that row writes
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
    """Whether the target, or our own rules, said no in a way that is known to mean that nothing was begun.

    Anything else may have happened all the same: most of all a fault that is on no list of refusals. A transaction says itself
    whether it was cut off at the one moment that decides; else nothing is half done.
    """
    if error.is_unsent:
        return True
    if isinstance(action, RowTransaction):
        return not isinstance(error, OutcomeUnknown)
    if isinstance(action, InvokeMethod) and action.may_begin_despite_fault and isinstance(error, TargetFault):
        return False
    return error.is_refusal


def fate_of(error: TargetError, action: Action) -> Literal["refused", "ended", "faulted", "unknown"]:
    """What an error tells of an action: "faulted" where the target has answered, and that answer says neither.

    Such an action is asked about like one without an answer, but it is not sent again: it was heard once. Of a program that
    has "ended" no time of its own is left to wait out.
    """
    if definitely_not_executed(error, action):
        return "refused"
    if isinstance(error, ProgramFailed):
        return "ended"
    return "faulted" if isinstance(error, TargetFault) else "unknown"


def log_host(action: Action) -> str:
    """The host whose event log tells of an action; "" where there is none: a database and a web service have no such log."""
    if not isinstance(action, (InvokeMethod, RunProgram)) or (isinstance(action, RunProgram) and action.what in CALLS):
        return ""
    return action.on


async def write_event_log_note(actor: Actor, action: Action, says: str, mark: str = "") -> str:
    """Write into the event log of the host that is acted on. Answers where it stands, or why it does not.

    Args:
        actor: writes.
        action: what is done.
        says: for people; shortened where it is too long.
        mark: for hvops itself, behind it; never shortened.
    """
    host = log_host(action)
    if not host:
        return ""
    text = f"{clip(says, LONGEST - len(mark) - 1)} {mark}" if mark else says
    try:
        await actor.change(RunProgram(host, EVENT, (("says", text),)), NOTE_SECONDS)
    except TargetError as error:
        return f"not noted in its event log: {error}"
    return f"noted in the event log of {host}"
