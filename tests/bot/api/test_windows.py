"""When a window is open: across midnight, weekdays, zones, and the two nights a year on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.windows import Window, WindowKind, next_opening, open_now, openings

BERLIN, NEW_YORK, AUCKLAND = "Europe/Berlin", "America/New_York", "Pacific/Auckland"


def window(
    begins="22:00", ends="04:00", zone=BERLIN, days=range(7), *, kind=WindowKind.BACKUP, scope=(), name="nightly"
):
    at = time.fromisoformat
    return Window(name, kind, zone, at(begins), at(ends), scope, ", ".join(scope), frozenset(days))


def once(first, last, begins="18:00", ends="06:00", *, zone=BERLIN, kind=WindowKind.FREEZE):
    at = time.fromisoformat
    days = date.fromisoformat(first), date.fromisoformat(last)
    return Window("year-end", kind, zone, at(begins), at(ends), ("prod",), "prod", frozenset(), *days)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-29T20:59", False),
        ("2026-11-29T21:00", True),  # 22:00 in Berlin
        ("2026-11-30T02:59", True),
        ("2026-11-30T03:00", False),  # the end is no part of it
    ],
)
def test_a_window_across_midnight(at, is_open):
    assert bool(open_now([window()], ["prod"], utc(at))) is is_open


def test_a_window_begins_on_its_weekdays_and_ends_on_the_next_one():
    fridays = window(days=[4])
    assert open_now([fridays], ["prod"], utc("2026-11-28T02:00"))  # Saturday, from Friday evening on
    assert not open_now([fridays], ["prod"], utc("2026-11-28T22:00"))
    ahead = next_opening([fridays], ["prod"], utc("2026-11-28T22:00"))
    assert (ahead.begins, ahead.ends) == (utc("2026-12-04T21:00"), utc("2026-12-05T03:00"))


def test_scopes_are_compared_without_case_and_none_means_everywhere():
    prod = window(scope=("prod",))
    at = utc("2026-11-29T22:00")
    assert open_now([prod], ["PROD", "branch"], at)
    assert not open_now([prod], ["branch"], at)
    assert open_now([window()], ["branch"], at)
    assert not open_now([prod], ["prod"], at, WindowKind.FREEZE)


@pytest.mark.parametrize(
    ("begins", "ends", "day", "first", "last"),
    [
        # 29 March 2026: 02:00 to 03:00 does not exist in Berlin; both readings are covered
        ("02:30", "05:00", "2026-03-29", "2026-03-29T00:30", "2026-03-29T03:00"),
        ("01:00", "02:30", "2026-03-29", "2026-03-29T00:00", "2026-03-29T01:30"),
        # 25 October 2026: 02:00 to 03:00 exists twice; it begins with the first and ends with the second
        ("02:30", "05:00", "2026-10-25", "2026-10-25T00:30", "2026-10-25T04:00"),
        ("01:00", "02:30", "2026-10-25", "2026-10-24T23:00", "2026-10-25T01:30"),
    ],
)
def test_on_the_nights_when_clocks_change_a_window_covers_both_readings(begins, ends, day, first, last):
    found = {one.begins: one.ends for one in openings(window(begins, ends), utc(f"{day}T00:00") - timedelta(hours=3))}
    assert found[utc(first)] == utc(last)


def test_a_freeze_with_dates_is_there_once():
    freeze = once("2026-12-20", "2027-01-07")
    assert not open_now([freeze], ["prod"], utc("2026-12-20T16:59"))
    (one,) = open_now([freeze], ["prod"], utc("2026-12-20T17:00"))
    assert str(one) == "freeze “year-end” on prod, until 7 Jan 2027 06:00 (Europe/Berlin)"
    assert next_opening([freeze], ["prod"], utc("2026-11-29T00:00")).begins == utc("2026-12-20T17:00")
    assert not list(openings(freeze, utc("2027-01-07T05:00")))


zones = st.sampled_from([BERLIN, NEW_YORK, AUCKLAND, "UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"])
clock = st.times().map(lambda one: one.replace(second=0, microsecond=0).isoformat("minutes"))
moments = st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: utc("2025-01-01T00:00") + timedelta(minutes=minutes))


@given(clock, clock, zones, st.sets(st.integers(0, 6), min_size=1), moments)
def test_whatever_is_written_it_is_open_when_the_clock_on_the_wall_says_so(begins, ends, zone, days, at):
    one = window(begins, ends, zone, days)
    local = at.astimezone(ZoneInfo(zone))
    wall, day = local.time().replace(second=0, microsecond=0), local.weekday()
    passes_midnight = one.ends <= one.begins
    says = (
        (wall >= one.begins and day in days) or (wall < one.ends and (day - 1) % 7 in days)
        if passes_midnight
        else one.begins <= wall < one.ends and day in days
    )
    is_changing = len({(at + timedelta(hours=off)).astimezone(ZoneInfo(zone)).utcoffset() for off in (-27, 0, 27)}) > 1
    assert is_changing or bool(open_now([one], ["prod"], at)) is says


@given(clock, clock, zones, st.sets(st.integers(0, 6), min_size=1), moments)
def test_the_next_one_begins_later_within_a_week_and_nothing_opens_before_it(begins, ends, zone, days, at):
    one = window(begins, ends, zone, days)
    ahead = next_opening([one], ["prod"], at)
    assert at < ahead.begins <= at + timedelta(days=8)
    assert ahead.begins < ahead.ends <= ahead.begins + timedelta(hours=26)
    assert not [found for found in openings(one, at) if at < found.begins < ahead.begins]
