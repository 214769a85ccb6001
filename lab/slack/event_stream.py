"""Events of the workspace, as a page or a waiting test follows them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.slack.model import Message, View

KEPT = 2_000
"""Events kept for a page that reconnects."""


@dataclass(frozen=True)
class Event:
    """Something changed.

    Attributes:
        kind: as listed in the package's docstring.
        seen_by: member ids that may know of it; None: everybody.
    """

    version: int
    kind: str
    seen_by: frozenset[str] | None = None
    channel: str | None = None
    ts: str | None = None
    message: Message | None = None
    view: View | None = None

    def concerns(self, member: str) -> bool:
        """Whether this member may know of it."""
        return self.seen_by is None or member in self.seen_by


class Stream:
    """A numbered log of events with any number of followers.

    Attributes:
        version: number of the latest event.
        listeners: called with every event while it happens.
    """

    def __init__(self) -> None:
        self.version = 0
        self.listeners: list[Callable[[Event], None]] = []
        self._log: deque[Event] = deque(maxlen=KEPT)
        self._followers: set[asyncio.Queue[Event]] = set()

    def emit(self, kind: str, **about: Any) -> Event:
        """Number the event, keep it, and hand it to everybody who follows."""
        self.version += 1
        event = Event(self.version, kind, **about)
        self._log.append(event)
        for queue in self._followers:
            queue.put_nowait(event)
        for listener in self.listeners:
            listener(event)
        return event

    def since(self, version: int) -> list[Event] | None:
        """Events after that version; None when they are no longer all kept, or the version is from another run."""
        if version > self.version or (self._log and version < self._log[0].version - 1):
            return None
        return [event for event in self._log if event.version > version]

    @contextmanager
    def follow(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that gets every event from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)
