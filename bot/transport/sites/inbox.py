"""The worker's end of the queue, with no right but to call the functions of `schema`.

Nothing is believed of a task but what its MAC covers: the row around it is only how it was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.ledger_place import Database
from bot.redaction import clip
from bot.transport.sites.database import STATEMENT_SECONDS, Clock, ClockWrong, Link, QueueAway, QueueRefuses, utc_now
from bot.transport.sites.messages import get_text, join_part, loads, read_time
from bot.transport.sites.schema import SCHEMA
from bot.transport.sites.signing import SiteKey

log = structlog.get_logger()

_LONGEST = timedelta(hours=1)  # that any task may last
_COLUMNS = (uuid.UUID, str, str, bytes, int, datetime)  # of a row that is taken
_BYTES_PER_SECOND = 2**18  # of the slowest link to a site

_HELLO = f"SELECT site_name, stale_seconds, now FROM {SCHEMA}.hello(%s, %s, %s)"  # noqa: S608 - our words
_TAKE = f"SELECT * FROM {SCHEMA}.take(%s, %s)"  # noqa: S608
_BEAT = f"SELECT * FROM {SCHEMA}.beat(%s, %s)"  # noqa: S608
_BEGIN = f"SELECT {SCHEMA}.begin_action(%s, %s)"
_ANSWER = f"SELECT {SCHEMA}.answer(%s, %s, %s, %s, %s, %s, %s)"
_BYE = f"SELECT {SCHEMA}.bye(%s)"


class NotOurs(Exception):
    """A task that is not done, and why."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of this site's, whose MAC was checked.

    Attributes:
        told: what it says.
        attempt: which worker's turn it is, from 1.
        clock: how the database's clock stood when it was taken.
        begin_by: until when an action may be begun, by the monotonic clock.
        ends: until when whatever it does has to have ended, by the same.
    """

    id: uuid.UUID
    kind: str
    told: Mapping[str, Any]
    attempt: int
    clock: Clock
    begin_by: float
    ends: float


@dataclass(frozen=True, slots=True)
class Unread:
    """A row as it was taken.

    Attributes:
        now: the database's time then.
        asked: when it was asked for, by the monotonic clock: whatever held up the answer, no later than `now`.
    """

    id: uuid.UUID
    kind: str
    body: str
    mac: bytes
    attempt: int
    now: datetime
    clock: Clock
    asked: float

    def read(self, site: str, key: SiteKey) -> Task:
        """What it says. Raises NotOurs where no bot has written it for this site, or it is over."""
        if not key.is_task(self.body, self.mac):
            raise NotOurs(
                "its MAC is not that of a bot of this site's: whoever put it has another key_file than this worker"
            )
        try:
            told = loads(self.body)
            named = get_text(told, "site"), get_text(told, "id"), get_text(told, "kind")
            not_after, until = read_time(told, "not_after"), read_time(told, "until")
        except ValueError as error:
            raise NotOurs(f"it cannot be read: {error}") from None
        if named != (site, str(self.id), self.kind):
            raise NotOurs("it was put under another name than its own")
        if not_after <= self.now:
            raise NotOurs("it is too late")
        if max(not_after, until) - self.now > _LONGEST:
            raise NotOurs("it would last longer than any task does")
        if self.kind == "action":
            try:
                self.clock.must_be_right("the clock of the worker")
            except ClockWrong as why:
                raise NotOurs(str(why)) from None
        begin_by, ends = (self.asked + (one - self.now).total_seconds() for one in (not_after, until))
        return Task(self.id, self.kind, told, self.attempt, self.clock, begin_by, ends)


def _is_whole(row: Sequence[object]) -> bool:
    """Whether a row is one at all. The database's owner can have any; one that is none ends no worker."""
    is_whole = len(row) == len(_COLUMNS) and all(map(isinstance, row, _COLUMNS))
    if not is_whole:
        log.warning("a task that is none", row=f"{clip(repr(row), 200)}")
    return is_whole


class Inbox:
    """What a worker takes and answers. Lives in one event loop."""

    def __init__(self, place: Database, key: SiteKey, site: str, *, name: str, version: str) -> None:
        """Take the address, with the site's own login; name and version are shown by doctor."""
        self.place = place
        self.site = site
        self._key = key
        self._about = (name, version)
        self._me = uuid.uuid4()
        self._in, self._out = Link(place, f"hvops worker {site}"), Link(place, f"hvops worker {site} (replies)")
        self._fence = Link(place, f"hvops worker {site} (acts)")  # no act waits for somebody's long answer
        self._ear = Link(place, f"hvops worker {site} (tasks)")

    async def hello(self) -> tuple[str, float]:
        """Say who works here. Answers which site the login is, and how long it may be silent. Raises QueueAway, QueueRefuses."""
        rows = await self._in.fetch(_HELLO, (self._me, *self._about))
        return str(rows[0][0]), float(rows[0][1])

    async def take(self, most: int) -> list[Unread]:
        """What to do next, of questions no more than so many. Raises QueueAway, QueueRefuses."""
        before, asked = utc_now(), time.monotonic()
        rows = await self._in.fetch(_TAKE, (self._me, most))
        after = utc_now()
        return [
            Unread(task, kind, body, bytes(mac), attempt, now, Clock.read(before, now, after), asked)
            for task, kind, body, mac, attempt, now in filter(_is_whole, rows)
        ]

    def read(self, unread: Unread) -> Task:
        """What a row says. Raises NotOurs."""
        return unread.read(self.site, self._key)

    async def beat(self, tasks: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """Say that they are still worked on. Answers those that need not be gone on with. Raises QueueAway, QueueRefuses."""
        return [row[0] for row in await self._in.fetch(_BEAT, (self._me, list(tasks)))]

    async def begin(self, task: uuid.UUID) -> str:
        """Write down that an action is about to be done: "" where it may, else why not. Raises QueueAway, QueueRefuses."""
        said = str((await self._fence.fetch(_BEGIN, (self._me, task)))[0][0])
        return "" if said == "begun" else said

    async def answer(
        self, task: Task | Unread, part: int, numbers: Sequence[int], texts: Sequence[str], *, is_last: bool
    ) -> bool:
        """Send a part of a reply. Whether anybody still waits for it. Raises QueueAway, QueueRefuses."""
        body = join_part({"site": self.site, "id": str(task.id), "part": part}, numbers, texts)
        values = (self._me, task.id, task.attempt, part, body, self._key.sign_reply(body), is_last)
        seconds = STATEMENT_SECONDS + len(body) / _BYTES_PER_SECOND
        return bool((await self._out.fetch(_ANSWER, values, seconds))[0][0])

    async def listen(self, heard: Callable[[], None]) -> None:
        """Hear of new tasks until the connection is lost. Raises QueueAway, QueueRefuses."""
        channel = hashlib.md5(self.site.encode(), usedforsecurity=False).hexdigest()
        await self._ear.listen(f"hvops_site_{channel}", lambda _says: heard())

    async def bye(self) -> None:
        """Say that nobody works here any more."""
        with contextlib.suppress(QueueAway, QueueRefuses):
            await self._in.fetch(_BYE, (self._me,))

    def close(self) -> None:
        """Let go of the connections, at once."""
        for link in (self._in, self._out, self._fence, self._ear):
            link.close()
