"""The windows of the inventory: those that never open again, freezes left behind, freezes over agreed maintenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

from bot.api.windows import Opening, Window, WindowKind, open_now, openings
from bot.doctor.check import DoctorCheck, ok, skip, warn

_WHAT = "windows"
_LEFT_BEHIND = timedelta(days=30)  # after its end somebody may still want to read what a freeze was
_REMOVE = "Remove its [[window]], or give it new dates."
_CLASH = frozenset({WindowKind.FREEZE, WindowKind.MAINTENANCE})


def check_windows(windows: Sequence[Window], now: datetime) -> Iterator[DoctorCheck]:
    """Look at all of them. A zone that this machine does not know, and an end before its beginning, keep hvops from starting.

    Args:
        windows: of the inventory.
        now: the time, UTC.
    """
    if not windows:
        yield skip(
            _WHAT, "none in the inventory", "docs/windows.md: when backups run, and when nothing may be changed."
        )
        return
    found = [*_over(windows, now), *_clashes(windows, now)]
    yield from found
    if not found:
        now_open = [str(one) for one in open_now(windows, [place for one in windows for place in one.scope], now)]
        yield ok(_WHAT, f"{len(windows)}, open now: {'; '.join(now_open) or 'none'}")


def _over(windows: Sequence[Window], now: datetime) -> Iterator[DoctorCheck]:
    for one in windows:
        if one.last is None or next(openings(one, now), None) is not None:
            continue  # those with weekdays open each week
        ended = datetime.combine(one.last, one.ends, ZoneInfo(one.zone)).astimezone(UTC)
        says = f"{one.kind} “{one.name}” on {one.shown} never opens again: it ended {ended:%-d %b %Y}"
        if one.kind is not WindowKind.FREEZE:
            yield warn(_WHAT, says, _REMOVE)
        elif now - ended > _LEFT_BEHIND:
            yield warn(
                _WHAT, f"{says}, {(now - ended).days} days ago. The next one of its kind is not written", _REMOVE
            )


def _clashes(windows: Sequence[Window], now: datetime) -> Iterator[DoctorCheck]:
    """A freeze over a maintenance window of the same place: people agreed on work that hvops would not start."""
    for one, other in combinations(windows, 2):
        if {one.kind, other.kind} != _CLASH or not _share_a_place(one, other):
            continue
        meets = _first_meeting(one, other, now)
        if meets is not None:
            freeze, work = sorted(meets, key=lambda each: each.window.kind is not WindowKind.FREEZE)
            yield warn(
                _WHAT,
                f"maintenance “{work.window.name}” on {work.window.shown}, {_day(work.begins, work.window)}, is within freeze"
                f" “{freeze.window.name}” on {freeze.window.shown}, until {freeze.end_in_words()}: nothing starts then without"
                " an override",
                "Move one of them, or let the freeze end before.",
            )


def _share_a_place(one: Window, other: Window) -> bool:
    return not one.scope or not other.scope or bool(set(one.scope) & set(other.scope))


def _first_meeting(one: Window, other: Window, now: datetime) -> tuple[Opening, Opening] | None:
    """The first times at which both are open; of two that are there once or each week, a week from the later one on is enough."""
    at = max(now, *(_begins(each) for each in (one, other) if each.first is not None), now)
    pairs = ((here, there) for here in openings(one, at) for there in openings(other, at))
    return next((pair for pair in pairs if pair[0].begins < pair[1].ends and pair[1].begins < pair[0].ends), None)


def _begins(window: Window) -> datetime:
    assert window.first is not None
    midnight = datetime.combine(window.first, time(), ZoneInfo(window.zone))
    return midnight.astimezone(UTC)


def _day(at: datetime, window: Window) -> str:
    local = at.astimezone(ZoneInfo(window.zone))
    return f"{local.day} {local:%b %Y %H:%M} ({window.zone})"
