"""Whether the clock of this process was set, and which entries bear times that its own cannot be compared with.

Two clocks are enough for the first: the one that people and time servers set, and the one that nobody sets. Where they
have moved apart, one of them was set, or the machine stood still. What a clock was set by before this process began, it
cannot tell, but for one that is behind the newest entry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

STEP_SECONDS = 5.0  # the clocks of a machine drift apart by less, and a look at both takes less


@dataclass(frozen=True, slots=True)
class ClockDoubt:
    """What is not known of times.

    Attributes:
        up_to: the times of entries up to this number cannot be compared with the clock of this process.
        noticed: when it was noticed last that the clock was set, by the one that nobody sets; None where it was not.
        by: how many seconds it was set forward then.
    """

    up_to: int = 0
    noticed: float | None = None
    by: float = 0.0


class ClockWatch:
    """Compares the two clocks of a process. Safe between threads."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        """Take the clock that can be set, and the one that nobody sets."""
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._doubt = ClockDoubt()
        self._apart = self._measure()

    def begin(self, newest: datetime, number: int) -> None:
        """Compare the clock with the newest entry that there was when this process began."""
        if (newest - self._clock()).total_seconds() > STEP_SECONDS:
            self._doubt = ClockDoubt(up_to=number)

    def look(self, newest: Callable[[], int]) -> ClockDoubt:
        """What is not known by now.

        Args:
            newest: the number of the newest entry; asked where the clock was set. What it raises goes on to the caller, and
                the next look finds the same.
        """
        with self._lock:
            by = self._measure() - self._apart
            if abs(by) > STEP_SECONDS:
                self._doubt = ClockDoubt(newest(), self._monotonic(), by)
                self._apart += by
            return self._doubt

    def _measure(self) -> float:
        """How far they are apart. A thread that stood still between the two is no clock that was set."""
        while True:
            began = self._monotonic()
            found = self._clock().timestamp() - began
            if self._monotonic() - began < STEP_SECONDS / 2:
                return found
