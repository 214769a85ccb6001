"""Windows of the inventory: when backups run, when nothing may be changed, when maintenance is agreed. Pure, without a clock.

People write local times. Twice a year a local time exists twice, or not at all: a window then covers both readings, so it
begins with the earlier and ends with the later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AHEAD = 8  # days that are looked through for the next time that a window opens: a week, and the day it began on


class WindowKind(StrEnum):
    """What a window is for."""

    BACKUP = "backup"  # backups run: repeated moves wait, plans say when it opens
    FREEZE = "freeze"  # nothing starts, unless an approver overrides it with a reason
    MAINTENANCE = "maintenance"  # work is agreed; shown, and nothing else


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time on some days of the week, or once.

    Attributes:
        scope: the places that it is about, in lower case: clusters, hosts and load balancers; () for all.
        shown: the same as people wrote it.
        begins, ends: local times; ends on the next day where it is not after the beginning.
        weekdays: the days on which it begins, 0 for Monday; of one that is there once, empty.
        first, last: of one that is there once: the days of its beginning and its end.
    """

    name: str
    kind: WindowKind
    zone: str
    begins: time
    ends: time
    scope: tuple[str, ...] = ()
    shown: str = "everywhere"
    weekdays: frozenset[int] = frozenset()
    first: date | None = None
    last: date | None = None

    def is_about(self, places: Iterable[str]) -> bool:
        """Whether it is about one of these places."""
        return not self.scope or any(place.casefold() in self.scope for place in places)


@dataclass(frozen=True, slots=True)
class Opening:
    """One time that a window is open: from `begins`, before `ends`; UTC."""

    window: Window
    begins: datetime
    ends: datetime

    def is_open(self, at: datetime) -> bool:
        """Whether it is open then."""
        return self.begins <= at < self.ends

    def __str__(self) -> str:
        """As people read it: "freeze “year-end” on prod, until 7 Jan 2027 06:00 (Europe/Berlin)"."""
        return f"{self.window.kind} “{self.window.name}” {_on(self.window)}, until {self.end_in_words()}"

    def end_in_words(self) -> str:
        """Its end in its own zone: "7 Jan 2027 06:00 (Europe/Berlin)"."""
        return _in_zone(self.ends, self.window.zone)

    def ahead_in_words(self) -> str:
        """What opens, and when: "backup “nightly” on prod opens 29 Nov 2026 22:00 (Europe/Berlin), until 30 Nov 2026 04:00"."""
        begins = _in_zone(self.begins, self.window.zone)
        until = self.end_in_words().rpartition(" (")[0]
        return f"{self.window.kind} “{self.window.name}” {_on(self.window)} opens {begins}, until {until}"


def open_now(windows: Iterable[Window], places: Iterable[str], at: datetime, *kinds: WindowKind) -> tuple[Opening, ...]:
    """The windows that are open at a time, of these kinds, or of all where none is named; those that end last come first."""
    concerned = tuple(places)
    found = [
        one
        for window in windows
        if window.is_about(concerned) and (not kinds or window.kind in kinds)
        for one in openings(window, at)
        if one.is_open(at)
    ]
    return tuple(sorted(found, key=lambda one: (-one.ends.timestamp(), one.window.name)))


def next_opening(windows: Iterable[Window], places: Iterable[str], at: datetime) -> Opening | None:
    """The window that opens next after a time; None where none does within a week, and none is there once later."""
    concerned = tuple(places)
    ahead = [one for window in windows if window.is_about(concerned) for one in openings(window, at) if one.begins > at]
    return min(ahead, key=lambda one: (one.begins, one.window.name), default=None)


def openings(window: Window, at: datetime) -> Iterator[Opening]:
    """The times that a window is open, from the one that is open at `at` on, in order, for a week and a day."""
    if window.first is not None and window.last is not None:
        one = Opening(
            window,
            _moment(window.first, window.begins, window.zone, is_end=False),
            _moment(window.last, window.ends, window.zone, is_end=True),
        )
        if one.begins < one.ends and at < one.ends:
            yield one
        return
    today = at.astimezone(ZoneInfo(window.zone)).date()
    for ahead in range(-2, _AHEAD + 1):
        day = today + timedelta(days=ahead)
        if day.weekday() not in window.weekdays:
            continue
        ends_on = day if window.ends > window.begins else day + timedelta(days=1)
        begins = _moment(day, window.begins, window.zone, is_end=False)
        ends = _moment(ends_on, window.ends, window.zone, is_end=True)
        if begins < ends and at < ends:
            yield Opening(window, begins, ends)


def _moment(day: date, at: time, zone: str, *, is_end: bool) -> datetime:
    """A local time as UTC; of one that exists twice, or not at all, the earlier reading, or for an end the later one."""
    readings = [datetime.combine(day, at, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return max(readings) if is_end else min(readings)


def _on(window: Window) -> str:
    return f"on {window.shown}" if window.scope else "everywhere"


def _in_zone(at: datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y %H:%M} ({zone})"
