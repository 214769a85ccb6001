"""What doctor says of backup windows and freezes: what never opens again, what contradicts itself, and nothing of the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from bot.api.windows import Window, WindowKind
from bot.config import inventory_file
from bot.config.inventory_file import InventoryFile
from bot.doctor.check import Status
from bot.doctor.windows import check_windows

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"
BACKUP, FREEZE, WORK = WindowKind.BACKUP, WindowKind.FREEZE, WindowKind.MAINTENANCE


def weekly(kind, days=range(7), begins="22:00", ends="04:00", *, name="nightly", scope=("prod",)):
    return Window(
        name, kind, BERLIN, time.fromisoformat(begins), time.fromisoformat(ends), scope, "prod", frozenset(days)
    )


def once(kind, first, last, begins="18:00", ends="06:00", *, name="year-end", scope=("prod",)):
    at, days = time.fromisoformat, date.fromisoformat
    return Window(name, kind, BERLIN, at(begins), at(ends), scope, "prod", frozenset(), days(first), days(last))


def said(*windows):
    return [(one.status, one.says) for one in check_windows(windows, NOW)]


def test_windows_that_are_well_are_one_line():
    ahead = once(FREEZE, "2026-12-20", "2027-01-07")
    assert said(weekly(BACKUP), ahead) == [(Status.OK, "2, open now: none")]
    ((status, says),) = said(weekly(BACKUP, begins="12:00", ends="14:00"))
    assert (status, says) == (
        Status.OK,
        "1, open now: backup “nightly” on prod, until 29 Nov 2026 14:00 (Europe/Berlin)",
    )
    assert said()[0][0] is Status.SKIP


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (once(BACKUP, "2026-11-20", "2026-11-21"), "never opens again: it ended 21 Nov 2026"),
        (once(WORK, "2026-11-20", "2026-11-21"), "never opens again: it ended 21 Nov 2026"),
        (once(FREEZE, "2025-12-20", "2026-01-07"), "it ended 7 Jan 2026, 326 days ago"),
    ],
)
def test_what_never_opens_again_is_said(window, says):
    ((status, told),) = said(window)
    assert status is Status.WARN
    assert says in told


def test_a_freeze_that_ended_lately_may_still_stand_there():
    assert said(once(FREEZE, "2026-11-10", "2026-11-20"))[0][0] is Status.OK


@pytest.mark.parametrize(
    ("work", "freeze", "day"),
    [
        (weekly(WORK, [5]), once(FREEZE, "2026-12-20", "2027-01-07"), "26 Dec 2026 22:00"),
        (once(WORK, "2027-01-02", "2027-01-02", "08:00", "12:00"), once(FREEZE, "2026-12-20", "2027-01-07"), "2 Jan 2027 08:00"),
        (weekly(WORK, [5]), weekly(FREEZE, [5], "23:00", "23:30"), "5 Dec 2026 22:00"),
        (once(WORK, "2026-12-05", "2026-12-05", "22:30", "23:30"), weekly(FREEZE, [5]), "5 Dec 2026 22:30"),
        (weekly(WORK, [5], scope=()), once(FREEZE, "2026-12-20", "2027-01-07"), "26 Dec 2026 22:00"),
    ],
)  # fmt: skip
def test_maintenance_within_a_freeze_is_said_with_its_first_day(work, freeze, day):
    for pair in ((work, freeze), (freeze, work)):
        ((status, told),) = said(*pair)
        assert status is Status.WARN
        assert f"maintenance “{work.name}”" in told
        assert day in told


@pytest.mark.parametrize(
    "pair",
    [
        (weekly(WORK, [5], "06:00", "08:00"), weekly(FREEZE, [5], "08:00", "10:00")),  # one ends as the other begins
        (weekly(WORK, [5]), once(FREEZE, "2026-12-20", "2026-12-22")),
        (weekly(WORK, [5], scope=("branch",)), once(FREEZE, "2026-12-20", "2027-01-07")),
        (weekly(BACKUP, [5]), once(FREEZE, "2026-12-20", "2027-01-07")),  # a backup changes nothing
    ],
)
def test_what_does_not_meet_is_no_contradiction(pair):
    assert [status for status, _ in said(*pair)] == [Status.OK]


def test_a_machine_without_time_zones_is_told_to_get_them(monkeypatch):
    def none(key):
        raise inventory_file.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(inventory_file, "ZoneInfo", none)
    table = {"name": "nightly", "kind": "backup", "from": "22:00", "to": "04:00", "zone": "UTC"}
    told = {"hosts": {"web01": {"domain": "corp.example"}}, "window": [table]}
    with pytest.raises(ValueError, match="'UTC' is no time zone"):
        InventoryFile.model_validate(told)
    monkeypatch.setattr(inventory_file, "available_timezones", set)
    with pytest.raises(ValueError, match="install its package tzdata"):
        InventoryFile.model_validate(told)
