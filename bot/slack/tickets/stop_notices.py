"""Every ops channel hears of each stop and go: posted until it is delivered, also what a terminal wrote or a restart left.

Where nobody can look whether a notice has arrived, it is posted in the end all the same: a stop that stands twice is better than one
that nobody heard of. What a channel was told stands in the ledger. Only the newest of stop and go is told, so a channel that was away, or let
nobody in, never hears "stopped" last of what is over: a go names the stop that it ends. No channel waits for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from bot.errors import HvopsError, LedgerError
from bot.executor.context import BOT
from bot.ledger import Entry, Ledger
from bot.ledger.entries import Stopped, StopShown
from bot.ledger.ticket_state import OPEN
from bot.slack.outbound.api_errors import DeliveryUnknown
from bot.slack.outbound.outbox import Outbox
from bot.slack.outbound.shielded_tasks import ShieldedTasks
from bot.slack.render.stop import notice
from bot.slack.tickets.ticket_messages import TicketMessages

log = structlog.get_logger()

NEWS = timedelta(days=7)  # a channel that never heard of any stop is not told of one that was over before that
_LOOKS = 5  # about a minute: after that, what may stand twice is better than what may stand nowhere


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How often, in seconds.

    Attributes:
        glance: between two looks at the ledger.
        first: after the first time that a channel did not take it; twice as long each time, up to `longest`.
        grace: for what is being posted when the bot is told to stop.
    """

    glance: float = 1.0
    first: float = 2.0
    longest: float = 30.0
    grace: float = 5.0
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(slots=True)
class _Channel:
    """How it stands with one channel.

    Attributes:
        told: the number of the newest stop or go that it was told of; 0: of none.
        failures: how often in a row it did not take one.
        not_before: when it is tried again, by the clock of the schedule.
        trouble: why it did not take it the last time, or "".
        unsure: the key of the one that may have arrived, or "".
        failed_looks: how often in a row nobody could look whether it has arrived.
        most_looks: after how many of them it is posted all the same; twice as many each time.
    """

    told: int = 0
    failures: int = 0
    unsure: str = ""
    failed_looks: int = 0
    most_looks: int = _LOOKS
    not_before: float = 0.0
    trouble: str = ""
    posting: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Memory:
    """What is known of the channels; read out of the ledger when this process becomes the one that tells."""

    channels: dict[str, _Channel] = field(default_factory=dict)
    shown_on_cards: int = -1  # the newest stop or go that open tickets were brought up to date with


class StopNotices:
    """Tells the ops channels of stop and go."""

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        board: TicketMessages,
        channels: Collection[str],
        *,
        may: Callable[[], bool] = lambda: True,
        schedule: RetrySchedule | None = None,
    ) -> None:
        """Take the parts.

        Args:
            outbox: posts.
            ledger: has what is told, and remembers who was told it.
            board: shows tickets, on which it stands as well.
            channels: the ids of all ops channels.
            may: whether this process is the one that tells; another one on the same ledger would tell it twice.
            schedule: how often.
        """
        self._outbox, self._ledger, self._board = outbox, ledger, board
        self._names = tuple(dict.fromkeys(channels))
        self._may, self._schedule = may, schedule or RetrySchedule()
        self._memory: _Memory | None = None
        self._unbroken = ShieldedTasks()
        self._trouble = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop` is set; what is being posted then is written down as well."""
        try:
            while not stop.is_set():
                await self._guarded()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._schedule.glance)
        finally:
            channels = self._memory.channels.values() if self._memory is not None else ()
            waiting = [one.posting for one in channels if one.posting is not None]
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await self._unbroken.close(self._schedule.grace)

    def troubles(self) -> Iterator[str]:
        """Which channels were not told yet, and why, a sentence for each."""
        channels = self._memory.channels if self._memory is not None else {}
        for name, one in channels.items():
            if one.trouble:
                yield f"#{name} has not been told of the latest stop or go: {one.trouble}"

    async def _guarded(self) -> None:
        try:
            await self._look()
        except Exception as error:
            is_ours = not isinstance(error, HvopsError)
            if str(error) != self._trouble:
                log.warning("stop and go are not told", why=str(error), exc_info=error if is_ours else None)
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _look(self) -> None:
        """Bring whatever does not say the newest stop or go on its way. Raises LedgerError where nothing is proved."""
        if not self._may():
            self._memory = None  # another process tells meanwhile, and what it told stands in the ledger
            return
        newest = await asyncio.to_thread(self._ledger.newest_switch)
        if newest is None:
            return
        if self._memory is None:
            told = await asyncio.to_thread(self._ledger.stops_shown)
            self._memory = _Memory({name: _Channel(told.get(name, 0)) for name in self._names})
        if self._memory.shown_on_cards != newest.seq:
            self._memory.shown_on_cards = newest.seq
            for ticket in await asyncio.to_thread(self._proposed_before, newest.seq):
                self._board.show_again(ticket)
        for name, one in self._memory.channels.items():
            if one.posting is None and self._is_due(one, newest):
                one.posting = asyncio.create_task(self._tell(name, one, newest), name=f"stop notice {name}")

    def _is_due(self, one: _Channel, newest: Entry) -> bool:
        if one.told >= newest.seq or self._schedule.clock() < one.not_before:
            return False
        is_news = newest.kind == Stopped.kind or self._schedule.now() - datetime.fromisoformat(newest.at) < NEWS
        return one.told > 0 or is_news

    def _proposed_before(self, seq: int) -> list[str]:
        """The open tickets whose messages were made before that entry: later ones said it from the beginning."""
        return [one.id for one in self._ledger.listed(OPEN, limit=-1, newest_first=False) if one.first_entry < seq]

    async def _tell(self, name: str, one: _Channel, newest: Entry) -> None:
        """Tell one channel. Where it is not known whether that arrived, the next try looks for it first."""
        try:
            await self._unbroken.do(self._post(name, one, newest))
        except Exception as error:
            why = str(error) if isinstance(error, HvopsError) else f"our bug: {type(error).__name__}"
            if not isinstance(error, HvopsError):
                log.exception("our bug while telling of a stop or a go", channel=name)
            elif why != one.trouble:
                log.warning("an ops channel does not hear of a stop or a go", channel=name, why=why)
            one.trouble = why
            pause = min(self._schedule.first * 2.0 ** min(one.failures, 10), self._schedule.longest)
            one.failures, one.not_before = one.failures + 1, self._schedule.clock() + pause
        else:
            one.failures, one.not_before, one.trouble = 0, 0.0, ""
        finally:
            one.posting = None

    async def _post(self, name: str, one: _Channel, newest: Entry) -> None:
        before = None
        if newest.kind != Stopped.kind:
            found = await asyncio.to_thread(self._ledger.entries, kind=Stopped.kind, before=newest.seq, limit=1)
            before = next(iter(found), None)
        message = notice(newest, before, self._board.resumed_by())
        key = f"{newest.kind} {newest.id}"
        looks = one.failed_looks < one.most_looks
        try:  # an earlier life may have told it without being able to write that down
            since = datetime.fromisoformat(newest.at)
            ts = await self._outbox.post(
                name, message, key=key, looks_first=looks, was_sent=looks and one.unsure == key, since=since
            )
        except DeliveryUnknown as error:
            if error.was_sent:
                one.unsure = key
            one.failed_looks += 1
            if not looks:
                one.failed_looks, one.most_looks = 0, 2 * one.most_looks
            raise
        # It was told, even where that cannot be written down now: the next life may tell it again.
        one.told, one.failed_looks, one.most_looks = newest.seq, 0, _LOOKS
        shown = StopShown(entry=newest.seq, channel=name, ts=ts)
        try:
            await asyncio.to_thread(self._ledger.append, BOT, shown)
        except LedgerError as error:
            log.warning("that a channel heard of a stop or a go cannot be written down", channel=name, why=str(error))
