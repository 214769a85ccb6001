from pathlib import Path

import pytest

from bot.dispatch.evidence_limits import A_SECOND, AT_ONCE, LEAST_FREE, EvidenceLimits, free_bytes
from bot.serialization import Evidence

LONG = (Evidence("hv03", "SELECT Name FROM Writer", "x" * 2**22), Evidence("hv04", "", "", "no answer"))


class Time:
    now = 1_000.0

    def __call__(self):
        return self.now


def test_of_one_person_who_asks_on_and_on_the_raw_answers_of_an_hour_are_kept_and_nobody_else_has_less():
    """The disk of the ledger was full within the hour, and then nothing could be decided or stopped."""
    time = Time()
    limits = EvidenceLimits(lambda: None, time)
    answers = [limits.kept("U1", LONG) for _ in range(100)]
    kept = sum(len(one.raw) for answer in answers for one in answer if not one.raw.startswith("["))
    assert kept == AT_ONCE
    question, failure = answers[-1]
    assert question.raw == "[not kept: you have used up the room for your raw answers. Ask again in an hour.]"
    assert (question.on, question.query, failure) == ("hv03", "SELECT Name FROM Writer", LONG[1])
    assert limits.kept("U2", LONG) == LONG
    time.now += 2**22 / A_SECOND
    assert limits.kept("U1", LONG) == LONG
    assert limits.kept("U1", LONG) != LONG


@pytest.mark.parametrize(("free", "is_kept"), [(LEAST_FREE, True), (LEAST_FREE - 1, False), (0, False), (None, True)])
def test_where_the_disk_is_nearly_full_its_room_is_for_entries(free, is_kept):
    kept = EvidenceLimits(lambda: free).kept("U1", LONG)
    assert (kept == LONG) is is_kept
    if not is_kept:
        assert kept[0].raw == f"[not kept: the disk of the ledger has only {free >> 20} MB left]"


def test_what_is_free_is_told_of_a_file_alone(tmp_path):
    assert free_bytes(tmp_path / "ledger.db") > 0
    assert free_bytes(Path("/nowhere/ledger.db")) is None
    assert free_bytes("postgresql://ledger") is None
