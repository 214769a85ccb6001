"""Stuck needs two samples of one instance, two minutes apart, with no backup between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.api.rows import CellError
from commands.sources.backup_state import Backup
from commands.sources.vss_writers import HYPER_V, Error, Writer
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import (
    WriterSample,
    WriterStatus,
    first_seen_waiting,
    judge_writer,
    last_unwell,
    last_well,
    sample,
    samples_of_each,
    waits_anew,
    writer_samples,
)
from tests.support.counted import CountedList

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
CALM, BUSY, SILENT = Backup(runs=False), Backup(runs=True, guests=("a",)), Backup(runs=None)


def writer(state=5, error=Error.RETRYABLE, instance="I1"):
    return Writer("W", "ID", instance, state, error, error.value)


def seen(ago, *, state=5, instance="I1", backup="no", writer_id="ID", error="Retryable error"):
    return WriterSample(NOW - ago, writer_id, instance, state, error, backup)


def verdict(one, backup=CALM, samples=(), build=9600):
    return judge_writer(one, backup, samples, NOW, build).verdict


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(minutes=2), WriterStatus.STUCK),
        (timedelta(minutes=1, seconds=59), WriterStatus.LOOKS_STUCK),
        (timedelta(hours=20), WriterStatus.STUCK),
        (timedelta(0), WriterStatus.LOOKS_STUCK),
    ],
)
def test_two_minutes_make_the_difference(ago, expected):
    assert verdict(writer(), samples=[seen(ago)]) is expected


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [seen(timedelta(minutes=9), instance="I2")],
        [seen(timedelta(minutes=9), writer_id="OTHER")],
        [seen(timedelta(minutes=9), state=1)],
        [seen(timedelta(minutes=9), state=8)],
        [seen(timedelta(minutes=9), backup="yes")],
        [seen(timedelta(minutes=9), backup="unknown")],
        [seen(timedelta(minutes=9)), seen(timedelta(minutes=5), state=1)],
        [seen(timedelta(minutes=9)), seen(timedelta(minutes=5), backup="yes")],
        [seen(timedelta(minutes=9)), seen(timedelta(minutes=1), instance="I2")],
    ],
    ids=[
        "none",
        "instance",
        "writer",
        "stable",
        "failed",
        "backup",
        "unknown",
        "well since",
        "backup since",
        "restarted since",
    ],
)
def test_a_sample_that_says_otherwise_proves_nothing(samples):
    assert verdict(writer(), samples=samples) is WriterStatus.LOOKS_STUCK


def test_a_silent_host_is_never_stuck_and_a_running_backup_is_busy():
    old = [seen(timedelta(minutes=9))]
    assert verdict(writer(), SILENT, old) is WriterStatus.LOOKS_STUCK
    assert verdict(writer(), BUSY, old) is WriterStatus.BUSY


def test_a_writer_of_the_hosts_own_is_stuck_only_where_no_product_is_open():
    """A backup of the host itself shows in no guest: with a product that nobody can ask, two looks prove no more."""
    open_product = Backup(runs=None, on_hosts=False)
    old = [seen(timedelta(minutes=9), backup="unknown")]
    judged = judge_writer(writer(), open_product, old, NOW, 9600)
    assert (judged.verdict, judged.seen) == (WriterStatus.LOOKS_STUCK, (NOW - timedelta(minutes=9),))
    hyper_v = replace(writer(), writer_id=HYPER_V)
    own = [seen(timedelta(minutes=9), writer_id=HYPER_V)]
    assert verdict(hyper_v, open_product, own) is WriterStatus.STUCK
    assert dict(sample("hv03", writer(), open_product).fields)["backup"] == "unknown"
    assert dict(sample("hv03", hyper_v, open_product).fields)["backup"] == "no"


def test_a_writer_waits_anew_where_the_answer_before_saw_another_instance():
    before = [seen(timedelta(hours=9), instance="I2"), seen(timedelta(minutes=9))]
    assert not waits_anew(writer(), before)
    assert waits_anew(writer(instance="I3"), before)
    assert not waits_anew(writer(1, instance="I3"), before)
    assert not waits_anew(writer(), [])
    assert first_seen_waiting(
        [writer(1), writer()], [*before, seen(timedelta(minutes=5), backup="yes")]
    ) == NOW - timedelta(minutes=9)
    assert first_seen_waiting([writer(1)], before) is None


def test_the_first_time_it_was_seen_is_the_start_of_the_unbroken_run():
    samples = [
        seen(timedelta(hours=9)),
        seen(timedelta(hours=8), state=1),
        seen(timedelta(minutes=30)),
        seen(timedelta(minutes=3), writer_id="OTHER", state=1),
        seen(timedelta(minutes=1)),
    ]
    judged = judge_writer(writer(), CALM, samples, NOW, 9600)
    assert judged.seen == (NOW - timedelta(minutes=30), NOW - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("oldest", "expected"),
    [
        (timedelta(minutes=2), WriterStatus.STUCK),
        (timedelta(minutes=1, seconds=59), WriterStatus.LOOKS_STUCK),
    ],
)
def test_the_two_minutes_count_from_the_oldest_sample_of_the_run_not_from_the_newest(oldest, expected):
    """Whoever asks every few seconds must not put off the verdict with each answer."""
    samples = [seen(timedelta(hours=9), state=1), seen(oldest), seen(timedelta(minutes=1)), seen(timedelta(seconds=5))]
    assert verdict(writer(), samples=samples) is expected


@pytest.mark.parametrize("state", [2, 3, 4, 5])
def test_all_waiting_states_can_be_stuck_with_or_without_an_error(state):
    assert verdict(writer(state, Error.NONE), samples=[seen(timedelta(minutes=2))]) is WriterStatus.STUCK
    assert verdict(writer(), samples=[seen(timedelta(minutes=2), state=state)]) is WriterStatus.STUCK


@pytest.mark.parametrize(
    ("one", "build", "expected"),
    [
        (writer(1, Error.NONE), 9600, WriterStatus.STABLE),
        (writer(1, Error.RETRYABLE), 9600, WriterStatus.ERROR),
        (writer(1, Error.UNREAD), 9600, WriterStatus.UNREAD),
        (writer(9, Error.NONE), 9600, WriterStatus.FAILED),
        (writer(9, Error.NONE), 3790, WriterStatus.EXPECTED),
        (writer(9, Error.NONE), 6001, WriterStatus.EXPECTED),
        (writer(9, Error.NONE), 6002, WriterStatus.EXPECTED),
        (writer(9, Error.NONE), 6003, WriterStatus.EXPECTED),
        (writer(9, Error.NONE), 6000, WriterStatus.FAILED),
        (writer(9, Error.NONE), None, WriterStatus.FAILED),
        (writer(9, Error.TIMED_OUT), 3790, WriterStatus.FAILED),
        (writer(8, Error.NONE), 3790, WriterStatus.FAILED),
        (writer(6, Error.UNREAD), 9600, WriterStatus.FAILED),
        (writer(15, Error.NONE), 9600, WriterStatus.FAILED),
        (writer(0, Error.NONE), 9600, WriterStatus.ODD),
        (writer(16, Error.NONE), 9600, WriterStatus.ODD),
    ],
)
def test_states_that_do_not_wait(one, build, expected):
    assert verdict(one, BUSY, build=build) is expected
    assert verdict(one, CALM, build=build) is expected


def test_what_is_remembered_is_what_is_read_back():
    kept = sample("hv03", writer(), CALM)
    (back,) = writer_samples("hv03").read([dict(kept.fields) | {"at": "2026-11-22T22:39:00+00:00"}])
    assert kept.what == "writer"
    assert back == WriterSample(NOW - timedelta(minutes=2), "ID", "I1", 5, "Retryable error", "no", "W")
    assert judge_writer(writer(), CALM, [back], NOW, 9600).verdict is WriterStatus.STUCK


@pytest.mark.parametrize(("backup", "kept"), [(CALM, "no"), (BUSY, "yes"), (SILENT, "unknown")])
def test_whether_a_backup_ran_is_remembered(backup, kept):
    assert dict(sample("hv03", writer(), backup).fields)["backup"] == kept


def test_memory_is_sorted_by_time_and_nonsense_is_refused():
    fields = dict(sample("hv03", writer(), CALM).fields)
    late, early = (fields | {"at": f"2026-11-22T22:3{minute}:00+00:00"} for minute in (9, 1))
    assert [one.at.minute for one in writer_samples("hv03").read([late, early])] == [31, 39]
    with pytest.raises(CellError):
        writer_samples("hv03").read([fields])


def test_when_a_writer_was_last_well():
    samples = [
        seen(timedelta(hours=3), state=1, error="No error"),
        seen(timedelta(hours=2)),
        seen(timedelta(hours=1), state=1, error="Retryable error"),
    ]
    assert last_well("ID", samples) == NOW - timedelta(hours=3)
    assert last_unwell(samples) == NOW - timedelta(hours=1)
    assert last_well("OTHER", samples) is None
    assert last_unwell([]) is None
    assert last_unwell([seen(timedelta(hours=1), backup="yes", error="No error")]) is None
    assert last_unwell([seen(timedelta(hours=1), backup="yes")]) == NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("samples", "was"),
    [
        ([seen(timedelta(hours=2), state=1), seen(timedelta(hours=1))], 5),
        ([seen(timedelta(hours=2)), seen(timedelta(hours=1), state=1)], None),
        ([seen(timedelta(hours=1), backup="yes")], None),
        ([seen(timedelta(hours=1), writer_id="OTHER")], None),
        ([], None),
    ],
)
def test_a_writer_that_is_well_again_says_what_it_was_when_it_was_seen_last(samples, was):
    well = judge_writer(writer(state=1, error=Error.NONE), CALM, samples, NOW, 9600)
    assert well.verdict is WriterStatus.STABLE
    assert (well.was.state if well.was else None) == was


@pytest.mark.parametrize("column", ["at", "state"])
def test_what_is_missing_from_memory_is_named(column):
    row = {
        "at": "2026-11-22T22:39:00Z",
        "state": 5,
        "writer_id": "ID",
        "instance_id": "I1",
        "error": "",
        "backup": "no",
    }
    with pytest.raises(CellError) as raised:
        writer_samples("hv03").read([row | {column: None}])
    assert raised.value.column == column


def remembered(name, instance, state, minutes, error="Retryable error"):
    return WriterSample(NOW - timedelta(minutes=minutes), "ID", instance, state, error, "no", name)


def test_a_writer_is_remembered_apart_from_its_twin():
    store, replica = (replace(writer(1, Error.NONE), name=name, instance_id=name) for name in ("Store", "Replica"))
    samples = (remembered("Replica", "old", 8, 9), remembered("Store", "Store", 8, 5), remembered("", "old", 8, 7))
    assert [one.at for one in samples_of_each((store, replica), samples)[0]] == [samples[1].at, samples[2].at]
    first, second = (replace(store, instance_id=key) for key in ("a", "b"))
    twins = (
        remembered("Store", "a", 8, 9),
        remembered("Store", "b", 1, 9, "No error"),
        remembered("Store", "c", 8, 99),
    )
    assert [one.instance_id for one in samples_of_each((first, second), twins)[0]] == ["a", "c"]


def test_of_thousands_of_writers_each_is_looked_up_and_not_compared_with_all():
    """A host that listed three thousand held the loop for nine seconds, and its plan for a minute."""
    listed = CountedList(
        replace(writer(1, Error.NONE), name=f"Store {number % 7}", instance_id=str(number)) for number in range(300)
    )
    samples = CountedList(remembered(f"Store {number % 7}", str(number), 8, 5) for number in range(300))
    CountedList.times = 0
    found = samples_of_each(listed, samples)
    assert [[seen.instance_id for seen in own] for own in found] == [[one.instance_id] for one in tuple(listed)]
    assert CountedList.times <= 5


def test_of_thousands_of_writers_each_is_named_without_going_through_all_of_them():
    listed = CountedList(
        judge_writer(
            replace(writer(1, Error.NONE), name=f"Store {at // 2}", instance_id=f"{at:08}"), CALM, (), NOW, 9600
        )
        for at in range(301)
    )
    node = NodeVerdict(None, listed, CALM, None, (), None, NOW)
    CountedList.times = 0
    names = [node.shown(one) for one in tuple(listed)]
    assert (names[0], names[-1]) == ("Store 0 (00000000)", "Store 150")
    assert CountedList.times <= 5


@pytest.mark.parametrize(
    ("samples", "seen", "well"),
    [
        ([], 0, None),
        ([remembered("W", "I1", 1, 20, "No error")], 0, 20),
        ([remembered("W", "I1", 1, 20, "No error"), remembered("W", "I1", 8, 10), remembered("W", "I1", 8, 5)], 2, 20),
        ([remembered("W", "I1", 8, 10), remembered("W", "I1", 9, 5)], 0, None),
        ([remembered("W", "another", 8, 10)], 0, None),
    ],
)
def test_a_failure_is_as_old_as_own_memory_says(samples, seen, well):
    verdict = judge_writer(writer(8), CALM, samples, NOW, 9600)
    assert verdict.verdict is WriterStatus.FAILED
    assert len(verdict.seen) == seen
    assert verdict.well_at == (None if well is None else NOW - timedelta(minutes=well))
