"""The two causes of event 8194 are told apart."""

from datetime import UTC, datetime, timedelta

import pytest

from commands.sources.event_log import Event
from commands.vss.event_8194 import Cause, judge_callbacks

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
GERMAN = "hr = 0x80070005, Zugriff verweigert"
CONTEXT = "Generatorklassen-ID: {e8132975-6f93-4464-a53e-1050253ae220}"


def event(hours, *texts):
    return Event(8194, NOW - timedelta(hours=hours), tuple(("Data", text) for text in texts))


@pytest.mark.parametrize(
    ("events", "well", "unwell_at", "cause"),
    [
        ([event(20, GERMAN), event(1, GERMAN)], True, None, Cause.PERMISSION),
        ([event(20, GERMAN)], True, None, Cause.UNCLEAR),
        ([event(20, GERMAN), event(1, GERMAN)], False, None, Cause.STUCK_WRITER),
        # both are older than the last time a writer was ill: they may be its echo
        ([event(20, GERMAN), event(9, GERMAN)], True, NOW - timedelta(hours=8), Cause.UNCLEAR),
        ([event(7, GERMAN), event(1, GERMAN)], True, NOW - timedelta(hours=8), Cause.PERMISSION),
        ([event(8, GERMAN), event(1, GERMAN)], True, NOW - timedelta(hours=8), Cause.UNCLEAR),
    ],
)
def test_causes(events, well, unwell_at, cause):
    assert judge_callbacks(events, writers_are_well=well, unwell_at=unwell_at).cause is cause


def test_another_error_is_another_matter():
    for other in ("hr = 0x80042302", "hr = 0x800700050", "Operation: 0x80070005"):
        assert judge_callbacks([event(1, other)], writers_are_well=True, unwell_at=None) is None
    for same in ("0x80070005, Access is denied.", "0x80070005", "-2147024891"):
        assert judge_callbacks([event(1, same, CONTEXT)], writers_are_well=True, unwell_at=None) is not None
    assert judge_callbacks([event(1, "hr = 0x80042302")], writers_are_well=True, unwell_at=None) is None
    assert judge_callbacks([], writers_are_well=False, unwell_at=None) is None


def test_writers_are_named_by_their_class_id_in_any_language():
    error = judge_callbacks([event(1, GERMAN, CONTEXT), event(3, GERMAN)], writers_are_well=True, unwell_at=None)
    assert error.writers == ("System Writer",)
    assert (error.times, error.newest) == (2, NOW - timedelta(hours=1))
