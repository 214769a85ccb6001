"""Times, cells, clauses and locks as people read them in sentences."""

import pytest

from bot.formatting import cell_text, clauses, column_text, format_locks, short_locks, without_stop
from bot.redaction import Redactor


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((), ""),
        (("2 of 2 real servers up.", "at least 1 is up"), "2 of 2 real servers up; at least 1 is up"),
        (("it is up.", "", "it is up"), "it is up"),
        (("and so on...", "done."), "and so on...; done"),
    ],
)
def test_readings_in_a_row_have_no_full_stop_before_a_semicolon(parts, says):
    assert clauses(parts) == says


def test_a_sentence_in_brackets_ends_without_a_stop():
    assert without_stop("no answer in 20 s. ") == "no answer in 20 s"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("", "empty"),
        (None, "empty"),
        (0, "0"),
        (False, "False"),
        ("Pending", "Pending"),
        ("2026-03-02T22:40:00+00:00", "2026-03-02 22:40:00 UTC"),
        ("2026-03-02T22:40:00.123Z", "2026-03-02 22:40:00 UTC"),
        ("2026-99-02T22:40:00Z", "2026-99-02T22:40:00Z"),
    ],
)
def test_a_cell_is_never_blank_and_a_time_says_its_zone(cell, says):
    assert cell_text(cell) == says


@pytest.mark.parametrize(
    ("name", "says"),
    [("reason_code", "reason code"), ("NodeDrainStatus", "NodeDrainStatus"), ("tbl_WLC_VObject", "tbl_WLC_VObject")],
)
def test_a_column_of_hvops_own_is_words(name, says):
    assert column_text(name) == says


def test_locks_name_each_thing_once():
    crm = "vmm:vmm:1174b1a8-0b4f-4c66-9f0e-3b0f0c1fca11"
    assert short_locks(("vmm:vmm", crm)) == "VMM vmm"
    assert short_locks((crm, "cluster:prod")) == "cluster prod, one object of VMM vmm"
    assert short_locks(("cluster:prod", crm, crm.replace("1174", "2285"))) == "cluster prod, one object of VMM vmm"
    assert short_locks(()) == format_locks(()) == "none"
    assert format_locks(("load-balancer:lm01", "kept:soak:prod")) == "soak prod, load balancer lm01"


def test_a_column_called_like_a_secret_is_masked_before_its_name_becomes_words():
    mask = Redactor(["hunter_two_9x"])
    assert mask.redact_text(column_text("hunter_two_9x")) == "[masked]"
    assert column_text("reason_code") == "reason code"
