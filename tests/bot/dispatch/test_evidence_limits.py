from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.api.report import Finding, Remedy, Report, Severity
from bot.dispatch.evidence_limits import (
    A_SECOND,
    AT_ONCE,
    LEAST_FREE,
    MOST_OF_THE_REST,
    EvidenceLimits,
    free_bytes,
    stored_remainder,
)
from bot.serialization import Evidence, evidence_to_bytes, report_to_bytes

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
    kept = sum(len(evidence_to_bytes(one)) for one in answers if one == LONG)
    assert AT_ONCE - len(evidence_to_bytes(LONG)) < kept <= AT_ONCE
    question, failure = answers[-1]
    assert (
        question.raw
        == "[not stored: you have used up your storage quota for answers; some 120 MB of it is free again after an hour.]"
    )
    assert (question.on, question.query, failure) == ("hv03", "SELECT Name FROM Writer", LONG[1])
    assert limits.kept("U2", LONG) == LONG
    time.now += len(evidence_to_bytes(LONG)) / A_SECOND
    assert limits.kept("U1", LONG) == LONG
    assert limits.kept("U1", LONG) != LONG


def test_what_somebody_has_left_grows_by_the_second_and_to_no_more_than_at_first():
    time = Time()
    limits = EvidenceLimits(lambda: None, time)
    assert limits.why_not("U1", AT_ONCE + 1) != ""
    assert limits.why_not("U1", AT_ONCE) == "", "what was not kept takes nothing"
    assert limits.why_not("U1", 1) != ""
    time.now += 60
    assert limits.why_not("U1", 60 * A_SECOND + 1) != ""
    assert limits.why_not("U1", 60 * A_SECOND - 1) == ""
    assert limits.why_not("U1", A_SECOND) != ""
    time.now += 10 * AT_ONCE / A_SECOND
    assert limits.why_not("U1", AT_ONCE + 1) != ""
    assert limits.why_not("U1", AT_ONCE) == ""


def test_who_has_all_of_theirs_again_is_forgotten_and_nobody_else():
    """A workspace has many people, and a bot runs for months."""
    time = Time()
    limits = EvidenceLimits(lambda: None, time)
    assert limits.why_not("U1", AT_ONCE) == ""
    for number in range(5_000):
        time.now += 1
        assert limits.why_not(f"U-{number}", A_SECOND) == ""
    assert len(limits._room._left) < 1_100
    assert limits.why_not("U1", 5_001 * A_SECOND) != ""
    assert limits.why_not("U1", 4_999 * A_SECOND) == ""


@pytest.mark.parametrize(("free", "is_kept"), [(LEAST_FREE, True), (LEAST_FREE - 1, False), (0, False), (None, True)])
def test_where_the_disk_is_nearly_full_its_room_is_for_entries(free, is_kept):
    limits = EvidenceLimits(lambda: free)
    kept = limits.kept("U1", LONG)
    assert (kept == LONG) is is_kept
    assert (limits.why_not("U1", 1) == "") is is_kept
    if not is_kept:
        assert kept[0].raw == f"[not stored: the ledger's disk has only {free >> 20} MB free.]"


def test_what_counts_is_what_the_disk_holds():
    """A host can answer in signs of four bytes each."""
    limits = EvidenceLimits(lambda: None, Time())
    told = (Evidence("hv03", "x", "\N{OGHAM SPACE MARK}\U0001f411" * 2**21),)
    assert sum(limits.kept("U1", told) == told for _ in range(100)) == AT_ONCE // len(evidence_to_bytes(told))


@pytest.mark.parametrize("long", ["many", "one"])
def test_of_what_is_not_kept_the_questions_are_bounded_as_well(long):
    """There may be one for each of four thousand guests, and they are asked on and on."""
    asked = tuple(
        Evidence(f"crm-{number:04}", "SELECT * FROM Volume" * (1 if long == "many" else 10_000), "x", "no answer")
        for number in range(4_096)
    )
    kept = EvidenceLimits(lambda: 0).kept("U1", asked)
    assert len(evidence_to_bytes(kept)) < 2 * MOST_OF_THE_REST
    assert kept[-1].query == f"and {4_096 - len(kept) + 1:,} more"
    assert all(one.raw == "[not stored: the ledger's disk has only 0 MB free.]" for one in kept)


def test_of_a_report_that_is_not_kept_its_title_and_what_its_buttons_start_are_left():
    remedies = tuple(Remedy(f"Resume Backup {number}", f"/resume-backup {number}") for number in range(4_096))
    findings = (Finding(Severity.FAULT, "FULL", "crm-01", "0 MB free"),) * 4_096
    report = Report("t" * 9_999, "s" * 9_999, "guests", 4_096, 4_000, findings, remedies=remedies)
    left = stored_remainder(report, "the ledger's disk has only 7 MB free")
    assert len(report_to_bytes(left)) < 4 * MOST_OF_THE_REST
    assert (left.title, left.asked, left.answered) == ("t" * 500, 4_096, 4_000)
    assert left.remedies == remedies[: len(left.remedies)]
    assert len(left.remedies) > 25  # as many as a message has buttons
    assert [(one.status, one.summary) for one in left.findings] == [
        ("NOT STORED", "the ledger's disk has only 7 MB free. To see the full answer again, rerun the command.")
    ]
    assert not left.has_findings


def test_many_answers_of_one_person_at_once_count_each():
    limits = EvidenceLimits(lambda: None, Time())
    with ThreadPoolExecutor(8) as threads:
        whys = list(threads.map(lambda _: limits.why_not("U1", AT_ONCE // 1_000), range(4_000)))
    assert whys.count("") == 1_000


def test_what_is_free_is_told_of_a_file_alone(tmp_path):
    assert free_bytes(tmp_path / "ledger.db") > 0
    assert free_bytes(Path("/nowhere/ledger.db")) is None
    assert free_bytes("postgresql://ledger") is None
