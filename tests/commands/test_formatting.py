"""Sizes, times and lists in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.facts import Unknown
from commands.formatting import (
    GIB,
    MIB,
    TIB,
    format_size,
    format_time,
    join_gaps,
    join_names,
    pluralize,
    tell_apart,
    truncate_list,
)

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count_", "words"),
    [
        (0, "0 MB"),
        (412 * MIB, "412 MB"),
        (GIB - 1, "1023 MB"),
        (GIB, "1 GB"),
        (GIB * 13 // 10, "1.2 GB"),
        (1400 * MIB, "1.3 GB"),
        (80 * GIB, "80 GB"),
        (21 * GIB + GIB // 2, "21 GB"),
        (3 * TIB // 2, "1.5 TB"),
    ],
)
def test_sizes_are_rounded_down(count_, words):
    assert format_size(count_) == words


@given(st.integers(0, 100 * TIB))
@settings(max_examples=100)
def test_a_size_never_promises_more_than_there_is(bytes_):
    number, unit = format_size(bytes_).split()
    assert float(number) * {"MB": MIB, "GB": GIB, "TB": TIB}[unit] <= bytes_


def test_a_time_carries_its_date_where_it_is_another_day():
    assert format_time(NOW, NOW) == "22:41 UTC"
    assert format_time(NOW - timedelta(days=1), NOW) == "21 Nov 22:41 UTC"
    assert format_time(datetime(2012, 9, 19, 22, 14, tzinfo=UTC), NOW) == "19 Sep 2012 22:14 UTC"


def test_nouns_and_lists():
    assert (pluralize(1, "node"), pluralize(0, "node"), pluralize(2, "entry", "entries")) == (
        "1 node",
        "0 nodes",
        "2 entries",
    )
    assert join_names(["a", "b"]) == "a, b"
    assert join_names([]) == ""
    assert join_names([str(number) for number in range(1000)], 4) == "0, 1, 2 and 997 more"


@given(st.lists(st.text(min_size=1), max_size=40), st.integers(2, 12))
@settings(max_examples=60)
def test_a_list_never_grows_beyond_its_bound(names, most):
    few = truncate_list(names, most)
    assert len(few) <= most
    if len(names) > most:
        assert few[-1] == f"{len(names) - most + 1} more"
    else:
        assert few == tuple(names)


def test_namesakes_are_told_apart_by_as_much_of_their_ids_as_it_takes():
    a, b, c = "D93C77E4-9D6E-51C4-8B1A-79D5CC8E23B8", "BC05E548-4076-5B82-84E3-031E345A2444", "CC"
    assert tell_apart([(a, "app"), (b, "App"), (c, "crm")]) == {a: "app (D93C77E4)", b: "App (BC05E548)", c: "crm"}
    assert tell_apart([(a, "app"), (a, "app")]) == {a: "app"}
    twin = f"{a[:-1]}9"
    assert tell_apart([(a, "app"), (twin, "app")]) == {a: f"app ({a})", twin: f"app ({twin})"}


def test_gaps_of_one_reason_are_said_together():
    refused, silent = (
        Unknown("hv01", "refused", "access is denied."),
        Unknown("hv01", "timed out", "no answer in 20 s."),
    )
    found = join_gaps(
        "hv01", [(refused, "its guests"), ("there", "its disks"), (silent, "its log"), (refused, "its updates")]
    )
    assert [(one.kind, one.why) for one in found] == [
        ("refused", "access is denied. Not known: its guests, its updates."),
        ("timed out", "no answer in 20 s. Not known: its log."),
    ]
