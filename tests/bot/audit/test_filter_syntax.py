"""Filters as people type them, and as chat clients change them on the way."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.audit import filter_syntax
from bot.dispatch.command_line import read_typed
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
        ("--who", "Missing: a user"),
        ("--who @", "is not a user"),
        ("--what /", "is not a command"),
        ("--what \x00", "is not a command"),
        ("prod\x01", "is not a cluster, a host or a ticket"),
        ("--who &amp;lt;", "hvops can't record this query in the ledger exactly as typed"),
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


def said_again(typed):
    """The question that stands in the ledger, as pages, files and the window of the filters read it."""
    return filter_syntax.read(read_typed(str(filter_syntax.read(typed))).rest)


ZONES = st.none() | st.integers(-14 * 3_600, 14 * 3_600).map(lambda seconds: timezone(timedelta(seconds=seconds)))
TIMES = st.datetimes(timezones=ZONES) | st.datetimes(timezones=ZONES).map(
    lambda at: at.replace(second=0, microsecond=0)
)


@settings(max_examples=300, deadline=None)
@given(option=st.sampled_from(("since", "until")), at=TIMES)
@example("since", datetime(2026, 12, 1, 0, 48, 3, tzinfo=UTC))
@example("until", datetime(2026, 12, 1, 0, 48, 0, 250, tzinfo=UTC))
@example("since", datetime(1, 1, 1, tzinfo=UTC))
@example("until", datetime(999, 1, 1, 0, 0, 1, tzinfo=UTC))
@example("since", datetime(2026, 12, 1, tzinfo=timezone(timedelta(seconds=1))))
def test_a_time_stands_in_the_ledger_as_it_was_asked(option, at):
    typed = f"--{option} {at.isoformat()}"
    try:
        wanted = filter_syntax.read(typed)
    except UsageError:
        with pytest.raises(OverflowError):
            at.astimezone(UTC)
        return
    assert getattr(wanted, option) == (at if at.tzinfo else at.replace(tzinfo=UTC))
    assert said_again(typed) == wanted


WORDS = st.text(alphabet="ab@/-=&;<>|lt\"'`\u2014\ud800\x00\u200b#U0", min_size=1, max_size=8)


@settings(max_examples=500, deadline=None)
@given(who=WORDS, what=WORDS, about=WORDS, equals=st.booleans())
@example("@@x", "//x", "prod", False)
@example("--x", "-", "T-1", True)
@example("&amp;lt;", "x", "prod", True)
def test_words_stand_in_the_ledger_as_they_were_asked_or_are_refused(who, what, about, equals):
    typed = f"{about} --who{'=' if equals else ' '}{who} --what{'=' if equals else ' '}{what}"
    try:
        wanted = filter_syntax.read(typed)
    except UsageError:
        return
    assert said_again(typed) == wanted
    assert str(wanted).encode()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--since 2026-12-01T00:48:03", "/audit --since 2026-12-01T00:48:03"),
        ("--since 2026-12-01T00:48:00+01:00", "/audit --since 2026-11-30T23:48"),
        ("--until 0001-01-01", "/audit --until 0001-01-01"),
        ("--who a\ud800", "/audit --who a\ufffd"),
        ("--who @@anna --what //Drain-Node", "/audit --who anna --what drain-node"),
    ],
)
def test_the_line_in_the_ledger(typed, line):
    assert str(filter_syntax.read(typed)) == line


def test_what_is_longer_than_any_ledger_is_all():
    wanted = filter_syntax.read("--when 99999w")
    assert str(wanted) == "/audit --when all"
    assert wanted.time_in_words() == "all"
