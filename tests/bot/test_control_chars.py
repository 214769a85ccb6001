import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.control_chars import escape_control_chars, is_unseen, reveal, spreadsheet_cell


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_json_says_the_same_without_a_character_that_a_terminal_obeys(text):
    written = escape_control_chars(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == json.loads(json.dumps(text))
    assert not {unicodedata.category(one) for one in written} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_every_such_character_there_is():
    unreadable = [chr(one) for one in range(sys.maxunicode + 1) if unicodedata.category(chr(one)) in ("Cc", "Cf")]
    left = [one for one in unreadable if escape_control_chars(one) == one and one not in "\t\n"]
    assert left == []


@pytest.mark.parametrize(
    "hidden",
    [
        *(0x3164, 0x115F, 0x1160, 0xFFA0, 0x2800, 0x034F, 0x17B4, 0x180B, 0xFE0F, 0xE0100, 0x1D159),
        *(0x2028, 0x200B, 0x202E, 0xD800, 0xE000, 0x1B, 0x7F, 0x9B),
    ],
    ids=hex,
)
def test_what_nobody_sees_is_shown_to_people_and_written_out_for_machines(hidden):
    assert reveal(f"crm-01{chr(hidden)}") == f"crm-01⟨U+{hidden:04X}⟩"
    assert chr(hidden) not in escape_control_chars(f"crm-01{chr(hidden)}")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u0441rm-01", "\u0441⟨U+0441⟩rm-01"),
        ("\u0441\u0441-01", "\u0441⟨U+0441⟩\u0441⟨U+0441⟩-01"),
        ("h\u03bd03", "h\u03bd⟨U+03BD⟩03"),
        ("сервер-01", "сервер-01"),
        ("SRV-Бухгалтерия", "SRV-Бухгалтерия"),
        ("он и она, а с ней", "он и она, а с ней"),
        ("Zeitüberschreitung, délai dépassé", "Zeitüberschreitung, délai dépassé"),
        ("东京-01", "东京-01"),
    ],
)
def test_a_letter_that_passes_for_a_latin_one_is_marked_and_a_language_is_not(name, shown):
    assert reveal(name) == shown


@given(st.text())
def test_nothing_unseen_is_left(text):
    assert not any(is_unseen(one) for one in reveal(text))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("x;=1+1", "x;'=1+1"),
        ("x\t@SUM(1)", "x\t'@SUM(1)"),
        ("|cmd", "'|cmd"),
        ("\ufe66x", "'\ufe66x"),
        ("-5.2", "-5.2"),
        ("+49", "+49"),
        ("hv03 is up", "hv03 is up"),
        ("a-b;c", "a-b;c"),
    ],
)
def test_no_cell_is_a_formula_in_any_locale(cell, written):
    assert spreadsheet_cell(cell) == written
