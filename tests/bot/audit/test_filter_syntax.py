"""Filters as people type them, and as chat clients change them on the way."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.audit import filter_syntax
from bot.errors import UsageError

NOW = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)


def test_nothing_typed_is_the_last_day():
    wanted = filter_syntax.read("")
    assert wanted.bounds(NOW) == (NOW - timedelta(hours=24), None)
    assert wanted.time_in_words() == "24 h"
    assert str(wanted) == "/audit"


def test_everything_that_can_be_typed_is_read_and_said_again():
    wanted = filter_syntax.read(
        "PROD --who <@U02|someone> --what /Drain-Node —outcome FAILED --when 7d --until 2026-03-01T12:30"
    )
    assert (wanted.about, wanted.who, wanted.what, wanted.outcome) == ("PROD", "U02", "drain-node", "failed")
    assert wanted.bounds(NOW) == (datetime(2026, 2, 22, 12, 30, tzinfo=UTC), datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    assert filter_syntax.read(str(wanted).removeprefix("/audit")) == wanted


@pytest.mark.parametrize(
    ("typed", "since", "until"),
    [
        ("--since 2026-03-01", datetime(2026, 3, 1, tzinfo=UTC), None),
        ("--until 2026-03-01", None, datetime(2026, 3, 1, tzinfo=UTC)),
        ("--when all", None, None),
        ("T-412", None, None),
        ("t-412 --when 2h", NOW - timedelta(hours=2), None),
        ("--when 90m", NOW - timedelta(minutes=90), None),
        ("--since 2026-03-01T10:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC), None),
    ],
)
def test_stretches_of_time(typed, since, until):
    assert filter_syntax.read(typed).bounds(NOW) == (since, until)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("prod branch", "Name one cluster, host or ticket, not"),
        ("--outcome faild", "is not one of: answered"),
        ("--when soon", "is not a time such as 24h"),
        ("--when 0h", "is not a time such as 24h"),
        ("--since yesterday", "is not a date such as"),
        ("--since 0001-01-01T00:00+14:00", "is not a date such as"),
        ("--until 9999-12-31T23:59-12:00", "is not a date such as"),
        ("--when 24h --since 2026-03-01", "not both"),
        ("--whom operator", "There is no option --whom"),
        ("--when", "Missing:"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(typed, says):
    with pytest.raises(UsageError, match=says):
        filter_syntax.read(typed)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(typed):
    try:
        wanted = filter_syntax.read(typed)
    except UsageError:
        return
    assert filter_syntax.read(str(wanted).partition(" ")[2]) == wanted
    wanted.filter(NOW).condition()
    assert wanted.time_in_words()


def test_what_is_longer_than_any_ledger_is_all():
    wanted = filter_syntax.read("--when 99999w")
    assert str(wanted) == "/audit --when all"
    assert wanted.time_in_words() == "all"
