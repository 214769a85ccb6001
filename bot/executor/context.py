"""What a run works with, and what it tells."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.config.settings import Policy
from bot.dispatch.authorization import Accounts, Person
from bot.dispatch.evidence_limits import EvidenceLimits, free_bytes
from bot.dispatch.query_session import QuerySession
from bot.executor.actions import Actor
from bot.executor.external_records import ExternalRecords
from bot.ledger import Entry, EntryDraft, Ledger
from bot.ledger.entries import Transition
from bot.redaction import Redactor, mask_all
from bot.tickets.planner import Planner
from bot.tickets.proposal import Proposal

BOT = "bot"


@dataclass(frozen=True, slots=True)
class TicketChange:
    """Something happened to a ticket; its card says how it stands now.

    Attributes:
        kind: the kind of the entry that was just written, "progress" for a wait, "locked", "stopped", "ripening" or
            "roles" for a start that has to wait.
        step: the number of the step, from 1; 0 before the first.
        of: how many steps there are.
        says: a sentence, or "".
    """

    ticket: str
    kind: str
    step: int = 0
    of: int = 0
    says: str = ""

    def __post_init__(self) -> None:
        """Mask what is said: it stands in no entry, and whoever shows it escapes it first."""
        object.__setattr__(self, "says", mask_all(self.says))


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run works with.

    Attributes:
        look: makes a fresh look, from its time and None.
        people: who an id of the ledger is now, by id and name, with the roles that they hold now. Raises RolesUnknown.
        accounts: which accounts are one person's.
        tell: hears of everything that happens; called in the loop, must not raise and not take long.
        monotonic: a clock that nobody sets, in seconds.
        sleep: waits; a test makes time pass instead.
        every: seconds between two glances at whether somebody asked to cancel.
        may_start_now: why no round of a repeated group may go on now, as a sentence without its full stop: a window in which
            backups run, a freeze; "" where it may. Asked before each of its steps, again and again while it says something.
        may_begin_now: why the first act of a plan may not go out now, out of what was proposed, what was answered, the time, and
            whether it undoes what another ticket left half done, as such a sentence: a freeze that began after the plan was made
            afresh, and that nobody has overridden.
        outside: the external records of the ledger; None where they are not checked.
        evidence_limits: how much is kept of what is seen of steps, for each person who requested changes.
    """

    ledger: Ledger
    planner: Planner
    policy: Policy
    actor: Actor
    look: Callable[[datetime, Any], QuerySession]
    people: Callable[[str, str], Awaitable[Person]]
    accounts: Accounts = field(default_factory=Accounts)
    mask: Redactor = field(default_factory=Redactor)
    tell: Callable[[TicketChange], None] = lambda _happening: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = _sleep
    every: float = 1.0
    outside: ExternalRecords | None = None
    may_start_now: Callable[[Proposal, datetime], str] = lambda _proposal, _now: ""
    may_begin_now: Callable[[Proposal, frozenset[str], datetime, bool], str] = lambda _plan, _answers, _now, _half: ""
    evidence_limits: EvidenceLimits = field(init=False)

    def __post_init__(self) -> None:
        """Bound what is kept of steps apart from what the same person's questions keep."""
        free = functools.partial(free_bytes, self.ledger.place)
        used_up = "the requester's storage quota for the evidence of steps is used up"
        object.__setattr__(self, "evidence_limits", EvidenceLimits(free, self.monotonic, used_up))

    def now(self) -> datetime:
        """The time that decides: never behind the newest entry, so that a clock that was set back revives nothing."""
        return self.ledger.not_behind(self.clock())

    async def write(self, ticket: str, transition: Transition, **how: Callable[[], None]) -> Entry:
        """Append about a ticket, as the bot; `how`: see `Ledger.append_together`. Raises LedgerError, TicketError."""
        return (await self.write_together(EntryDraft(BOT, transition, ticket), **how))[0]

    async def write_together(self, *drafts: EntryDraft, **how: Callable[[], None]) -> tuple[Entry, ...]:
        """Append all or none, without holding up the loop.

        Shielded: a run that is cancelled in the middle must not leave while its entry is being written.
        """
        return await asyncio.shield(asyncio.to_thread(self.ledger.append_together, *drafts, **how))
