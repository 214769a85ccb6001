"""The bot's end of the queue: puts tasks, waits for replies, withdraws what has not begun.

A put whose answer never came is repeated under the same id, which the database takes once. Notifications wake whoever waits;
a look every fifth of a second finds what they lost. While a task has not begun, the bot says that it still wants it: of a bot that
was killed nothing begins any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from bot.ledger_place import Database
from bot.transport.sites import schema
from bot.transport.sites.database import STATEMENT_SECONDS, Clock, Link, QueueAway, QueueRefuses, prepare, utc_now
from bot.transport.sites.messages import dumps, get_list, loads, texts_of
from bot.transport.sites.signing import SiteKey

log = structlog.get_logger()

POLL_SECONDS = 0.2
_WANT_EVERY = 1.0  # seconds
_CLEAR_EVERY = 3600.0
_LONG_READ = 20.0  # seconds for parts of megabytes
_WAITING = ("queued", "taken")


@dataclass(frozen=True, slots=True)
class Site:
    """A site as the bot knows it.

    Attributes:
        login: its worker's at the database.
    """

    name: str
    login: str
    key: SiteKey


@dataclass(slots=True, eq=False)
class Pending:
    """A task that somebody waits for.

    Attributes:
        clock: how the database's clock stood when it was put.
        state: as last seen.
        answers: texts that have arrived, with their numbers; whoever waits takes them out.
        wanted: False: let nobody begin it any more.
    """

    id: uuid.UUID
    kind: str
    site: Site
    clock: Clock
    state: str = "queued"
    answers: list[tuple[int, str]] = field(default_factory=list)
    wanted: bool = True
    had: set[tuple[int, int]] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_not_begun(self) -> bool:
        """Whether it can still be withdrawn, as far as is known."""
        return self.state in _WAITING

    def wake(self) -> None:
        """Something is new."""
        self._news.set()

    async def news(self, seconds: float) -> None:
        """Wait until something is new, but no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        self._news.clear()

    def take_answers(self) -> list[tuple[int, str]]:
        """What has arrived since."""
        taken, self.answers = self.answers, []
        return taken


class Queue:
    """Lives as long as the bot, in one event loop; it connects when it is first used."""

    def __init__(self, place: Database, sites: Mapping[str, Site], stale_seconds: float) -> None:
        """Take the address, with the bot's own login, and the sites by their names in lower case."""
        self.place = place
        self.sites = sites
        self._stale_seconds = stale_seconds
        self._bot = uuid.uuid4()
        self._link, self._ear = Link(place, "hvops"), Link(place, "hvops (replies)")
        self._pending: dict[uuid.UUID, Pending] = {}
        self._news = asyncio.Event()
        self._is_prepared = False
        self._preparing = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._trouble = ""
        self._cleared = float("-inf")

    async def put(
        self,
        site: Site,
        kind: str,
        told: Mapping[str, Any],
        *,
        within: float,
        lasts: float,
        task: uuid.UUID | None = None,
    ) -> Pending:
        """Put a task, and put it again while nobody knows whether it is there.

        Args:
            site: whose worker takes it.
            kind: "questions", "action" or "hello".
            told: what it says.
            within: seconds in which it may be begun.
            lasts: seconds after which whatever it does has to have ended.
            task: its id, where it has one already.

        Raises:
            QueueAway: the queue could not be used in all that time; `was_sent` says whether it may be there all the same.
            QueueRefuses: the server says no.
            SettingsError: the queue cannot be set up.
        """
        began, number = time.monotonic(), task or uuid.uuid4()
        was_sent = False
        while True:
            left = within - (time.monotonic() - began)
            try:
                await self._prepare()
                clock = await self.clock()
                left = within - (time.monotonic() - began)
                now = utc_now() + clock.offset
                ends = now + timedelta(seconds=lasts - (time.monotonic() - began))
                body = dumps(
                    {
                        "site": site.name,
                        "id": str(number),
                        "kind": kind,
                        "not_after": (now + timedelta(seconds=left)).isoformat(),
                        "until": ends.isoformat(),
                        **told,
                    }
                )
                values = (number, site.name, self._bot, kind, body, site.key.sign_task(body))
                await self._link.fetch(schema.PUT, (*values, now + timedelta(seconds=left)))
            except QueueAway as error:
                was_sent = was_sent or error.was_sent
                if time.monotonic() - began + POLL_SECONDS >= within:
                    raise QueueAway(str(error), was_sent=was_sent) from error
                await asyncio.sleep(POLL_SECONDS)
            else:
                return self._wait_for(Pending(number, kind, site, clock))

    async def withdraw(self, task: uuid.UUID, site: Site) -> str:
        """Let nobody begin an action any more. Answers its state: "withdrawn", or that it was begun before. Raises QueueAway."""
        if (pending := self._pending.get(task)) is not None:
            pending.wanted = False
        rows = await self._link.fetch(schema.WITHDRAW, (task, site.name, self._bot, "action"))
        state = str(rows[0][0])
        if pending is not None:
            pending.state = state
        return state

    def forget(self, pending: Pending) -> None:
        """Nobody waits for it any more."""
        self._pending.pop(pending.id, None)
        self._start("forget", self._forget(pending))

    async def clock(self) -> Clock:
        """How the database's clock stands to ours now. Raises QueueAway."""
        before = utc_now()
        rows = await self._link.fetch(schema.CLOCK)
        return Clock.read(before, rows[0][0], utc_now())

    async def workers(self) -> list[tuple[str, str, str, float]]:
        """Site, name, version of each worker of the last day, and how many seconds ago it was heard of. Raises QueueAway."""
        await self._prepare()
        rows = await self._link.fetch(schema.WORKERS)
        return [(str(site), str(name), str(version), float(age)) for site, name, version, age in rows]

    async def last_heard(self, site: Site) -> float | None:
        """How many seconds ago a worker of that site was heard of; None for not in a day. Raises QueueAway."""
        ages = [age for name, _, _, age in await self.workers() if name == site.name]
        return min(ages, default=None)

    async def waiting(self) -> dict[str, tuple[int, float]]:
        """How many tasks of each site nobody has taken, and how many seconds the oldest one waits. Raises QueueAway."""
        rows = await self._link.fetch(schema.WAITING)
        return {str(site): (int(count), float(age)) for site, count, age in rows}

    def close(self) -> None:
        """Let go of everything, at once."""
        for task in self._running.values():
            with contextlib.suppress(RuntimeError):  # its loop is closed already, and has ended it
                task.cancel()
        self._link.close()
        self._ear.close()

    def _wait_for(self, pending: Pending) -> Pending:
        self._pending[pending.id] = pending
        self._start("serve", self._serve())
        self._start("listen", self._listen())
        return pending

    def _start(self, name: str, work: Any) -> None:
        """Start what runs beside, unless it runs already. Those that forget run side by side."""
        if name == "forget":
            name = f"forget {uuid.uuid4()}"
        running = self._running.get(name)
        if running is not None and not running.done():
            work.close()
            return
        task = self._running[name] = asyncio.create_task(work, name=f"sites: {name}")
        task.add_done_callback(lambda _done: self._ended(name, task))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if self._running.get(name) is task:
            del self._running[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("our bug beside the queue of sites", of=name, exc_info=error)

    async def _prepare(self) -> None:
        async with self._preparing:
            if not self._is_prepared:
                logins = {site.name: site.login for site in self.sites.values()}
                await prepare(self.place, logins, self._stale_seconds)
                self._is_prepared = True

    async def _serve(self) -> None:
        """Look for what is new while anybody waits."""
        wanted_at = time.monotonic()  # a put says so itself
        while self._pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._news.wait()
            self._news.clear()
            try:
                if time.monotonic() - wanted_at >= _WANT_EVERY:
                    await self._want()
                    wanted_at = time.monotonic()
                await self._collect()
                await self._clear()
            except (QueueAway, QueueRefuses) as error:
                self._say(str(error))
                await asyncio.sleep(POLL_SECONDS)
            else:
                self._say("")

    async def _want(self) -> None:
        ids = [one.id for one in self._pending.values() if one.wanted and one.has_not_begun]
        if ids:
            await self._link.fetch(schema.WANT, (ids,))

    async def _collect(self) -> None:
        """Take what is new: whatever a task that has ended was answered is here before it counts as ended."""
        ids = list(self._pending)
        states = await self._link.fetch(schema.STATES, (ids,))
        while rows := await self._link.fetch(schema.PARTS, (ids, *self._had()), _LONG_READ):
            for number, attempt, part, body, mac in rows:
                if (one := self._pending.get(number)) is not None:
                    one.had.add((attempt, part))
                    await self._take(one, part, body, bytes(mac))
                    one.wake()
            ids = [number for number in ids if number in self._pending]
        for number, state in states:
            if (one := self._pending.get(number)) is not None and one.state != state:
                one.state = state
                one.wake()

    def _had(self) -> tuple[list[uuid.UUID], list[int], list[int]]:
        """The parts that were taken: task, attempt and number of each."""
        had = [(one.id, *key) for one in self._pending.values() for key in one.had]
        return [one for one, _, _ in had], [attempt for _, attempt, _ in had], [part for _, _, part in had]

    async def _take(self, pending: Pending, part: int, body: str, mac: bytes) -> None:
        """Take a part of a reply that a worker of its site wrote for this very task; anything else is passed over."""
        try:
            pending.answers += await _beside(body, lambda: _read(pending, part, body, mac))
        except ValueError as error:
            log.warning("a reply that is none", site=pending.site.name, task=str(pending.id), why=str(error))

    async def _forget(self, pending: Pending) -> None:
        """Let an action that has not begun be begun no more, and delete what else was put; what an outage keeps goes in a day."""
        with contextlib.suppress(QueueAway, QueueRefuses):
            if pending.kind != "action":
                await self._link.fetch(schema.FORGET, ([pending.id],))
            elif pending.has_not_begun:
                await self._link.fetch(schema.WITHDRAW, (pending.id, pending.site.name, self._bot, pending.kind))

    async def _clear(self) -> None:
        if time.monotonic() - self._cleared >= _CLEAR_EVERY:
            await self._link.fetch(schema.CLEAR, (), _LONG_READ)
            self._cleared = time.monotonic()

    async def _listen(self) -> None:
        """Hear of replies. Without it they are found all the same, a moment later."""
        channel = f"hvops_bot_{_md5(str(self._bot))}"
        while True:
            try:
                await self._ear.listen(channel, self._news.set)
            except (QueueAway, QueueRefuses) as error:
                log.info("replies are not heard of, only looked for", why=str(error))
            await asyncio.sleep(STATEMENT_SECONDS / 5)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("the queue of sites", trouble=trouble or "is back")
        self._trouble = trouble


def _read(pending: Pending, part: int, body: str, mac: bytes) -> list[tuple[int, str]]:
    """The answers of one part. Raises ValueError."""
    if not pending.site.key.is_reply(body, mac):
        raise ValueError("its MAC is not that of the site's worker")
    told = loads(body)
    if (told.get("site"), told.get("id"), told.get("part")) != (pending.site.name, str(pending.id), part):
        raise ValueError("it was written for something else")
    numbers, texts = get_list(told, "numbers"), texts_of(get_list(told, "texts"))
    if len(numbers) != len(texts) or any(isinstance(one, bool) or not isinstance(one, int) for one in numbers):
        raise ValueError("its answers have no numbers")
    return list(zip(numbers, texts, strict=True))


async def _beside(body: str, work: Any) -> Any:
    """On a thread, where it is long enough for others to notice."""
    return await asyncio.to_thread(work) if len(body) > 2**16 else work()


def _md5(text: str) -> str:
    """As the database's own function writes it. It names a channel, and protects nothing."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
