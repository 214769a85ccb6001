"""Entries about what people type: of each person few are written at a time, and of their refusals some a minute.

The ledger takes one entry at a time, and keeps it for good. Whoever has a hundred lines refused waits for themselves alone;
what is beyond some a minute is counted, and the ledger says how many there were.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf

import structlog

from bot.dispatch.person_rate import PersonRate
from bot.errors import LedgerError
from bot.ledger import Entry, Ledger
from bot.ledger.entries import EntryData, Refused
from bot.transport.turns import Slots, asking_as

log = structlog.get_logger()

_AT_ONCE = 5  # but for one place that is for runs; of one person two
_REFUSALS, _REFUSAL_SECONDS = 30, 2.0  # of one person that are written one by one: more than anybody types by hand
_COUNTED_SECONDS = 60.0  # for which the others are counted before their number is written
_CLOSING_SECONDS = 2.0  # that the end of the process waits for such numbers


@dataclass(slots=True)
class _Counted:
    """Refusals of one person that are not written: the first one, and how many there are."""

    first: Refused
    number: int = 1


class LineEntries:
    """Writes what is said of people's lines, on threads that neither a press nor a stop waits for."""

    def __init__(
        self, ledger: Ledger, refusals: PersonRate | None = None, *, counted_seconds: float = _COUNTED_SECONDS
    ) -> None:
        """Take the ledger, and how often a refusal of one person is written."""
        self._ledger = ledger
        self._refusals = refusals or PersonRate(_REFUSALS, _REFUSAL_SECONDS)
        self._counted_seconds = counted_seconds
        self._slots = Slots(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE - 1, "lines")
        self._counted: dict[str, _Counted] = {}
        self._writing: set[asyncio.Task[None]] = set()  # what writes their number, until it has
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Write how many refusals were counted by now."""
        self._closing.set()
        if self._writing:
            _, late = await asyncio.wait(self._writing, timeout=_CLOSING_SECONDS)
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False)

    async def write(self, actor: str, data: EntryData, ticket: str | None = None) -> Entry:
        """Append an entry about a line of this person, when it is their turn. Raises LedgerError, TicketError."""
        with asking_as(actor):
            who = await self._slots.acquire(inf)
        try:
            append = partial(self._ledger.append, actor, data, ticket)
            return await asyncio.get_running_loop().run_in_executor(self._threads, append)
        finally:
            self._slots.release(who)

    async def refuse(self, actor: str, refused: Refused, ticket: str | None = None, *, always: bool = False) -> None:
        """Write a refusal down, or count it where this person has had many.

        What ends something that stands in the ledger is always written: a press, or a line that was asked.

        Args:
            actor: whose line it was.
            refused: what was not done, and why.
            ticket: which it is about, or None.
            always: it answers a press, whether or not it names it.

        Raises:
            LedgerError: it could not be written.
            TicketError: there is no such ticket.
        """
        ends_something = ticket is not None or refused.click is not None or refused.asked is not None
        if always or ends_something or self._refusals.take(actor):
            await self.write(actor, refused, ticket)
        elif (counted := self._counted.get(actor)) is not None:
            counted.number += 1
        else:
            log.warning("too many refused lines of one person; further ones are counted, not written", actor=actor)
            self._counted[actor] = counted = _Counted(refused)
            writing = asyncio.create_task(self._write_number(actor, counted))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def _write_number(self, actor: str, counted: _Counted) -> None:
        """Count for a while, or until the process ends, and write down what it came to; what cannot be written is kept till then."""
        while not await self._has_written(actor, counted):
            if self._closing.is_set():
                return
            if (since := self._counted.get(actor)) is not None:  # begun while it was written
                since.first, since.number = counted.first, since.number + counted.number
                return
            self._counted[actor] = counted

    async def _has_written(self, actor: str, counted: _Counted) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._counted_seconds):
                await self._closing.wait()
        del self._counted[actor]
        first, number = counted.first, counted.number
        lines = "1 more line" if number == 1 else f"{number:,} more lines"
        says = f"{lines} of this person refused shortly after one another; only the first is shown here."
        refused = Refused(
            name=first.name, line=first.line, reason=says, category="not answered", via=first.via, place=first.place
        )
        try:
            await self.write(actor, refused)
        except asyncio.CancelledError:
            log.warning("the process ended before the number of refused lines was written", actor=actor, lines=number)
            raise
        except LedgerError as error:
            log.warning(
                "could not write the number of refused lines to the ledger", actor=actor, lines=number, why=str(error)
            )
            return False
        return True
