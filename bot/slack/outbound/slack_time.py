"""What time it is at Slack, by the `Date` header of its answers.

Slack dates presses and messages by its own clock. This host's clock may be wrong by hours, so the two are never compared:
how old something of Slack's is, is told by Slack's times alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

Seconds = Callable[[], float]


class Stopwatch:
    """Seconds since it was made, by whichever of this host's two clocks has moved further.

    A machine that was saved and restored finds its monotonic clock where it was, one whose clock is set back the other one.
    """

    def __init__(self, monotonic: Seconds = time.monotonic, wall: Seconds = time.time) -> None:
        """Start."""
        self._monotonic, self._wall = monotonic, wall
        self._began = monotonic(), wall()

    def seconds(self) -> float:
        """How long ago it was started."""
        return max(0.0, *self._by_each())

    def apart(self) -> float:
        """How many of these seconds may never have passed, because one of the two clocks has not seen them."""
        return self.seconds() - max(0.0, min(self._by_each()))

    def _by_each(self) -> tuple[float, float]:
        monotonic, wall = self._began
        return self._monotonic() - monotonic, self._wall() - wall


class SlackTime:
    """Slack's clock, between two of its answers carried on by this host's."""

    def __init__(self, monotonic: Seconds = time.monotonic, wall: Seconds = time.time) -> None:
        """Take this host's clocks."""
        self._monotonic, self._wall = monotonic, wall
        self._noted: tuple[float, Stopwatch] | None = None

    def note(self, date: str | None) -> None:
        """Take the `Date` header of an answer that has just come (RFC 9110: whole seconds); one that is none tells nothing."""
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        self._noted = told, Stopwatch(self._monotonic, self._wall)

    def now(self) -> float | None:
        """Epoch seconds, late by no more than an answer takes; None while no answer has told."""
        if self._noted is None:
            return None
        told, since = self._noted
        return told + since.seconds()

    def apart(self) -> float:
        """By how many seconds it may be earlier than that: this host's clocks disagree since Slack last told; its next answer settles it.

        So it is where the host's clock is put right by minutes, or the machine was saved and restored.
        """
        return 0.0 if self._noted is None else self._noted[1].apart()


_TIMES: dict[str, SlackTime] = {}


def slack_time(base_url: str) -> SlackTime:
    """The clock of whatever answers there: one for all clients of this process."""
    return _TIMES.setdefault(base_url.rstrip("/"), SlackTime())
