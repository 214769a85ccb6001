"""How often one person may have what there is for all of them together: some at once, then one every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

_MANY = 1_000  # people, after whom those who have all of theirs again are forgotten


class PersonRate:
    """So many at once for each person, and one more every so many seconds."""

    def __init__(self, at_once: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody had anything yet."""
        self._at_once, self._seconds, self._clock = at_once, seconds, clock
        self._left: dict[str, tuple[float, float]] = {}  # how many somebody had left, and when

    def take(self, who: str, many: float = 1) -> bool:
        """Whether a person may have so many now; then they are theirs."""
        now = self._clock()
        if len(self._left) > _MANY:
            self._left = {one: told for one, told in self._left.items() if self._now_left(told, now) < self._at_once}
        left = self._now_left(self._left.get(who, (self._at_once, now)), now)
        may = left >= many
        self._left[who] = left - many * may, now
        return may

    def reserve(self, who: str) -> float:
        """Let a person have one more, and say in how many seconds it is theirs."""
        now = self._clock()
        left = self._now_left(self._left.get(who, (self._at_once, now)), now) - 1
        self._left[who] = left, now
        return max(0.0, -left * self._seconds)

    def _now_left(self, told: tuple[float, float], now: float) -> float:
        left, then = told
        return min(self._at_once, left + (now - then) / self._seconds)
