"""Time for the practice Slack: the wall's, or one that a test moves by hand.

Trigger ids live three seconds, response URLs half an hour, retries of events come after five minutes. A test that
had to wait for them would sleep; with `ManualClock` it says `await clock.advance(3.1)`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """What the fake Slack asks about time."""

    def now(self) -> float:
        """Epoch seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed on this clock."""


class WallClock:
    """The machine's own time."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(seconds)


class ManualClock:
    """Stands still until somebody advances it."""

    def __init__(self, start: float = 1_767_222_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Epoch seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has gone far enough."""
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move on, waking every sleeper at its own moment, so that what it starts then is dated right."""
        until = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self._now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now = until
        await self._settle()

    async def _settle(self) -> None:
        # A few turns of the loop let the woken task act, and perhaps sleep again, before time goes on.
        for _ in range(5):
            await asyncio.sleep(0)
