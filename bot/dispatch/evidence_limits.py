"""How much raw evidence is kept for one person, and when none is: the ledger keeps it for good, and decisions need room."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from bot.serialization import Evidence

AT_ONCE = 256 * 2**20  # bytes of raw answers for one person; some fifty of the longest answers
A_SECOND = 35_000  # bytes that are added to that again: some 120 MB an hour
LEAST_FREE = 512 * 2**20  # bytes of the disk that entries have to themselves
_MANY = 1_000  # people, after whom those who have all of theirs again are forgotten


def free_bytes(place: object) -> int | None:
    """What is free on the disk of a ledger in a file; None where it is elsewhere, or cannot be told."""
    if not isinstance(place, Path):
        return None
    try:
        return shutil.disk_usage(place.parent).free
    except OSError:
        return None


class EvidenceLimits:
    """What of the evidence of an answer is kept. Safe between threads that do not share a person."""

    def __init__(self, free: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        """Take what tells how much room there is (`free_bytes`), and a clock that nobody sets, in seconds."""
        self._free, self._clock = free, clock
        self._left: dict[str, tuple[float, float]] = {}  # how much somebody had left, and when

    def kept(self, person: str, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """The evidence as it is kept: each question and each error, and the raw answers where there is room for them."""
        evidence = tuple(evidence)
        why = self._why_not(person, sum(len(one.raw) + len(one.rendered) for one in evidence))
        if not why:
            return evidence
        return tuple(replace(one, raw=why, rendered="") if one.raw or one.rendered else one for one in evidence)

    def _why_not(self, person: str, size: int) -> str:
        free = self._free()
        if free is not None and free < LEAST_FREE:
            return f"[not kept: the disk of the ledger has only {free >> 20} MB left]"
        now = self._clock()
        if len(self._left) > _MANY:
            self._left = {one: told for one, told in self._left.items() if self._now_left(told, now) < AT_ONCE}
        left = self._now_left(self._left.get(person, (AT_ONCE, now)), now)
        may = size <= left
        self._left[person] = left - size * may, now
        return "" if may else "[not kept: you have used up the room for your raw answers. Ask again in an hour.]"

    def _now_left(self, told: tuple[float, float], now: float) -> float:
        left, then = told
        return min(AT_ONCE, left + (now - then) * A_SECOND)
