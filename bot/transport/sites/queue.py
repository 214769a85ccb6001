"""The bot's end of the queue: puts tasks, waits for replies, withdraws what has not begun.

A put whose answer never came is repeated under the same id, which the database takes once. Notifications wake whoever waits;
a look every fifth of a second finds what they lost. While a task has not begun, the bot says that it still wants it: of a bot that
was killed nothing begins any more.

Each site has a connection and a look of its own: whoever has its worker's login can answer with all that a reply may hold, and
keep the rows of its own tasks locked, and whoever asks another site waits for neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from bot.errors import Withheld
from bot.ledger_place import Database
from bot.transport.sites import schema
from bot.transport.sites.database import STATEMENT_SECONDS, Clock, Link, QueueAway, QueueRefuses, prepare, utc_now
from bot.transport.sites.messages import dumps, split_part
from bot.transport.sites.signing import SiteKey

log = structlog.get_logger()

POLL_SECONDS = 0.2
_WANTED = timedelta(seconds=schema.WANTED_SECONDS)
_WANT_EVERY = 1.0  # seconds
_CLEAR_EVERY = 3600.0
_LONG_READ = 20.0  # seconds for parts of megabytes
_SHORT = 2**12  # characters of a part that is read on the loop
_WAITING = ("queued", "taken")
_FINAL = ("begun", "ended")  # whatever its row says later
GONE = "gone"  # what was put is not there any more, so nobody can say what became of it


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
        was_begun: of an action, whether it was ever seen begun.
        answers: what has arrived, as it was read, with its numbers; whoever waits takes it out.
        most: how many answers there can be, and so how many parts.
        reads: reads the text of an answer, beside the loop where it is long. Raises ValueError.
        spoilt: why a part that its worker wrote for it cannot be read: whatever that was to answer has no answer.
        wanted: False: let nobody begin it any more.
        looking: somebody is just asked whether it is still to be done: until that is known, it is not wanted.
        looked: of an action, when somebody was asked last who said that it is, by the monotonic clock.
        next: of each worker's turn, the part that has not come.
    """

    id: uuid.UUID
    kind: str
    site: Site
    clock: Clock
    state: str = "queued"
    was_begun: bool = False
    answers: list[tuple[int, Any]] = field(default_factory=list)
    most: int = 1
    reads: Callable[[str, Clock], Any] = lambda text, _clock: text
    spoilt: str = ""
    wanted: bool = True
    looking: bool = False
    looked: float = 0.0
    next: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(1, schema.MOST_TIMES + 1), 0))
    had: set[int] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_not_begun(self) -> bool:
        """Whether it can still be withdrawn, as far as is known."""
        return self.state in _WAITING

    def see(self, state: str) -> None:
        """It is in that state now. What has been begun once never was not."""
        self.was_begun = self.was_begun or state == "begun"
        if state != self.state and (self.state not in _FINAL or state == "ended"):
            self.state = state
            self.wake()

    def wake(self) -> None:
        """Something is new."""
        self._news.set()

    async def news(self, seconds: float) -> None:
        """Wait until something is new, but no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        self._news.clear()

    def take_answers(self) -> list[tuple[int, Any]]:
        """What has arrived since."""
        taken, self.answers = self.answers, []
        return taken


@dataclass(slots=True)
class _New:
    """A task that is being put.

    Attributes:
        within, lasts: as of `Queue.put`, from `began` on, by the monotonic clock.
        was_sent: whether it may be there already.
        looked: as of `Pending`.
    """

    id: uuid.UUID
    kind: str
    told: Mapping[str, Any]
    within: float
    lasts: float
    look: Callable[[], None] | None
    was_sent: bool = False
    looked: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds in which it may still be begun."""
        return self.within - (time.monotonic() - self.began)


@dataclass(slots=True, eq=False)
class _Lane:
    """What is put for one site, and its connection.

    Attributes:
        wanted_at: when it was said last that what is put is wanted, by the monotonic clock.
    """

    site: Site
    link: Link
    wanted_at: float = 0.0
    pending: dict[uuid.UUID, Pending] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""

    def next_parts(self) -> tuple[list[uuid.UUID], list[int], list[int]]:
        """The parts that have not come: task, turn and number of each."""
        following = [
            (one.id, turn, part) for one in self.pending.values() for turn, part in one.next.items() if part < one.most
        ]
        return [one for one, _, _ in following], [turn for _, turn, _ in following], [part for _, _, part in following]


class Queue:
    """Lives as long as the bot, in one event loop; it connects when it is first used.

    Attributes:
        away_at: when its database could not be used last, by the monotonic clock.
    """

    def __init__(self, place: Database, sites: Mapping[str, Site], stale_seconds: float) -> None:
        """Take the address, with the bot's own login, and the sites by their names in lower case."""
        self.place = place
        self.sites = sites
        self._stale_seconds = stale_seconds
        self._bot = uuid.uuid4()
        self._link, self._ear = Link(place, "hvops"), Link(place, "hvops (replies)")
        self._lanes: dict[str, _Lane] = {}
        self._is_prepared = False
        self._preparing = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self.away_at = float("-inf")
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
        most: int = 1,
        reads: Callable[[str, Clock], Any] | None = None,
        look: Callable[[], None] | None = None,
    ) -> Pending:
        """Put a task, and put it again while nobody knows whether it is there.

        An action is put without being wanted, then looked at once more, and only then wanted: a worker begins it at once.

        Args:
            site: whose worker takes it.
            kind: "questions", "action" or "hello".
            told: what it says.
            within: seconds in which it may be begun.
            lasts: seconds after which whatever it does has to have ended.
            task: its id, where it has one already.
            most: how many answers there can be.
            reads: reads the text of an answer, by how the database's clock stood; without it answers are their texts.
            look: of an action, raises Withheld where it is not to be done any more. Blocks; called on a thread.

        Raises:
            QueueAway: the queue could not be used in all that time, or it is not to be done any more; `was_sent` says whether it
                may be there all the same.
            QueueRefuses: the server says no, or its clock cannot be gone by; nothing was put.
            Withheld: it is not to be done any more; nothing was put.
            SettingsError: the queue cannot be set up.
        """
        new = _New(task or uuid.uuid4(), kind, told, within, lasts, look)
        lane = self._lane(site)
        while True:
            try:
                clock = await self._put_once(lane, new)
            except QueueAway as error:
                new.was_sent = new.was_sent or error.was_sent
                if new.left <= POLL_SECONDS:
                    raise QueueAway(str(error), was_sent=new.was_sent) from error
                await asyncio.sleep(POLL_SECONDS)
            except (QueueRefuses, Withheld) as error:
                if not new.was_sent:
                    raise
                raise QueueAway(str(error), was_sent=True) from error  # an earlier one may have arrived
            else:
                pending = Pending(new.id, kind, site, clock, most=most, looked=new.looked)
                if reads is not None:
                    pending.reads = reads
                return self._wait_for(lane, pending)

    async def _put_once(self, lane: _Lane, new: _New) -> Clock:
        """Put it, and let it be begun. Answers how the database's clock stood. Raises as `put` does."""
        site = lane.site
        await self._prepare()
        clock = await _clock(lane.link)
        if new.look is not None:
            clock.must_be_right(f"{self.place}: the clock of the bot")
            await asyncio.to_thread(new.look)
        now, left = clock.at(time.monotonic()), timedelta(seconds=new.left)
        body = dumps(
            {
                "site": site.name,
                "id": str(new.id),
                "kind": new.kind,
                "not_after": (now + left).isoformat(),
                "until": (now + left + timedelta(seconds=new.lasts - new.within)).isoformat(),
                **new.told,
            }
        )
        values = (new.id, site.name, self._bot, new.kind, body, site.key.sign_task(body), now + left)
        await lane.link.fetch(schema.PUT, (*values, now if new.look is not None else now + _WANTED))
        if new.look is not None:
            new.was_sent, new.looked = True, time.monotonic()  # who stands still behind the look says nothing new
            await asyncio.to_thread(new.look)
            await lane.link.fetch(schema.WANT_ONE, (clock.at(new.looked) + _WANTED, new.id))
        return clock

    async def withdraw(self, task: uuid.UUID, site: Site) -> str:
        """Let nobody begin an action any more. Raises QueueAway.

        Answers its state: "withdrawn"; that it was begun before; or GONE, where it may have been put and its row has vanished, or
        somebody else withdrew it: by a failover that lost it, or by whoever has the database.
        """
        lane = self._lane(site)
        if (pending := lane.pending.get(task)) is not None:
            pending.wanted = False
        rows = await lane.link.fetch(schema.WITHDRAW, (task, task, site.name, self._bot, "action"))
        (state, is_new, before), *_ = rows
        if pending is None:  # whoever withdrew it before, it was nobody here
            return GONE if is_new or before == "withdrawn" else str(state)
        if is_new:
            state = GONE
        pending.see(state)
        return pending.state

    def forget(self, pending: Pending) -> None:
        """Nobody waits for it any more."""
        self._lane(pending.site).pending.pop(pending.id, None)
        self._start("forget", self._forget(pending))

    async def workers(self) -> list[tuple[str, str, str, float]]:
        """Site, name, version of each worker of the last day, and how many seconds ago it was heard of. Raises QueueAway."""
        await self._prepare()
        rows = await self._link.fetch(schema.WORKERS, (self._names,))
        return [(str(site), str(name), str(version), float(age)) for site, name, version, age in rows]

    async def last_heard(self, site: Site) -> float | None:
        """How many seconds ago a worker of that site was heard of; None for not in a day. Raises QueueAway."""
        ages = [age for name, _, _, age in await self.workers() if name == site.name]
        return min(ages, default=None)

    async def waiting(self) -> dict[str, tuple[int, float]]:
        """How many tasks of each site nobody has taken, and how many seconds the oldest one waits. Raises QueueAway."""
        rows = await self._link.fetch(schema.WAITING, (self._names,))
        return {str(site): (int(count), float(age)) for site, count, age in rows}

    def close(self) -> None:
        """Let go of everything, at once."""
        for task in self._running.values():
            with contextlib.suppress(RuntimeError):  # its loop is closed already, and has ended it
                task.cancel()
        for link in (self._link, self._ear, *(lane.link for lane in self._lanes.values())):
            link.close()

    @property
    def _names(self) -> list[str]:
        return [site.name for site in self.sites.values()]

    def _lane(self, site: Site) -> _Lane:
        lane = self._lanes.get(site.name)
        if lane is None:
            lane = self._lanes[site.name] = _Lane(site, Link(self.place, f"hvops {site.name}"))
        return lane

    def _wait_for(self, lane: _Lane, pending: Pending) -> Pending:
        lane.pending[pending.id] = pending
        self._start(f"serve {lane.site.name}", self._serve(lane))
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

    async def _serve(self, lane: _Lane) -> None:
        """Look for what is new at a site while anybody waits."""
        lane.wanted_at = time.monotonic()  # a put says so itself
        while lane.pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await lane.news.wait()
            lane.news.clear()
            try:
                await _want(lane)
                await _collect(lane)
                await self._clear()
            except (QueueAway, QueueRefuses) as error:
                self.away_at = time.monotonic()
                _say(lane, str(error))
                await asyncio.sleep(POLL_SECONDS)
            else:
                _say(lane, "")

    async def _forget(self, pending: Pending) -> None:
        """Let an action that has not begun be begun no more, and delete what else was put; what an outage keeps goes in a day."""
        link = self._lane(pending.site).link
        with contextlib.suppress(QueueAway, QueueRefuses):
            if pending.kind != "action":
                await link.fetch(schema.FORGET, ([pending.id],))
            elif pending.has_not_begun:
                await link.fetch(schema.WITHDRAW, (pending.id, pending.id, pending.site.name, self._bot, pending.kind))

    async def _clear(self) -> None:
        if time.monotonic() - self._cleared >= _CLEAR_EVERY:
            await self._link.fetch(schema.CLEAR, (), _LONG_READ)
            self._cleared = time.monotonic()

    async def _listen(self) -> None:
        """Hear of replies. Without it they are found all the same, a moment later."""
        channel = f"hvops_bot_{_md5(str(self._bot))}"
        while True:
            try:
                await self._ear.listen(channel, self._heard)
            except (QueueAway, QueueRefuses) as error:
                log.info("replies are not heard of, only looked for", why=str(error))
            await asyncio.sleep(STATEMENT_SECONDS / 5)

    def _heard(self, site: str) -> None:
        """A part of a reply of that site's is there; "" for any."""
        for lane in self._lanes.values():
            if site in (lane.site.name, ""):
                lane.news.set()


async def _clock(link: Link) -> Clock:
    """How the database's clock stands to ours now. Raises QueueAway."""
    before = utc_now()
    rows = await link.fetch(schema.CLOCK)
    return Clock.read(before, rows[0][0], utc_now())


async def _want(lane: _Lane) -> None:
    """Say that what has not begun is still wanted, where it is time to."""
    if time.monotonic() - lane.wanted_at < _WANT_EVERY:
        return
    wanted = [one for one in lane.pending.values() if one.wanted and not one.looking and one.has_not_begun]
    if wanted:
        now = time.monotonic()
        until = [one.clock.at(one.looked if one.kind == "action" else now) + _WANTED for one in wanted]
        await lane.link.fetch(schema.WANT, ([one.id for one in wanted], until))
    lane.wanted_at = time.monotonic()


async def _collect(lane: _Lane) -> None:
    """Take what is new: whatever a task that has ended was answered is here before it counts as ended."""
    states = await lane.link.fetch(schema.STATES, (list(lane.pending),))
    while rows := await lane.link.fetch(schema.PARTS, lane.next_parts(), _LONG_READ):
        for number, turn, part, body, mac in rows:
            if (one := lane.pending.get(number)) is not None:
                one.next[turn] = part + 1
                await _take(one, part, body, mac)
                one.wake()
            await _want(lane)  # megabytes take their time, and what nobody wants for so long is begun no more
    for number, state in states:
        if (one := lane.pending.get(number)) is not None:
            one.see(state)


async def _take(pending: Pending, part: int, body: Any, mac: Any) -> None:
    """Take a part of a reply that a worker of its site wrote for this very task; anything else is passed over."""
    try:
        answers = await _beside(body, lambda: _read(pending, part, body, mac))
    except _Unreadable as error:
        pending.spoilt = str(error)
    except ValueError as error:
        log.warning("a reply that is none", site=pending.site.name, task=str(pending.id), why=str(error))
    else:
        pending.answers += answers
        pending.had.update(number for number, _ in answers)


def _say(lane: _Lane, trouble: str) -> None:
    if trouble != lane.trouble:
        log.warning("the queue of sites", site=lane.site.name, trouble=trouble or "is back")
    lane.trouble = trouble


class _Unreadable(ValueError):
    """A worker of the site wrote it for this very task, and it is no part of a reply."""


def _read(pending: Pending, part: int, body: Any, mac: Any) -> list[tuple[int, Any]]:
    """The answers of one part, one after the other: nothing else of the same site is read meanwhile.

    Raises:
        _Unreadable: its worker's word for this task, and nothing that can be read.
        ValueError: anybody's, or for something else.
    """
    if not (
        isinstance(body, str) and isinstance(mac, bytes)
    ):  # who may write the tables may make other columns of them
        raise ValueError("it is no text with a MAC")  # noqa: TRY004 - of the row, not of our value
    if not pending.site.key.is_reply(body, mac):
        raise ValueError("its MAC is not that of the site's worker")
    try:
        told, answers = split_part(body)
    except ValueError as error:
        raise _Unreadable(str(error)) from None
    if (told.get("site"), told.get("id"), told.get("part")) != (pending.site.name, str(pending.id), part):
        raise ValueError("it was written for something else")
    if any(number >= pending.most for number, _ in answers):
        raise _Unreadable("it answers what was not asked")
    return [(number, pending.reads(text, pending.clock)) for number, text in answers if number not in pending.had]


async def _beside(body: Any, work: Any) -> Any:
    """On a thread, where it is long enough for others to notice; of many short ones others have their turn in between."""
    if isinstance(body, str) and len(body) > _SHORT:
        return await asyncio.to_thread(work)
    await asyncio.sleep(0)
    return work()


def _md5(text: str) -> str:
    """As the database's own function writes it. It names a channel, and protects nothing."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
