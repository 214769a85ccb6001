"""What a person reads off a machine: compared as tools print it, and never a little different."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.actions import ManualStep, ReadBack, TypedField
from bot.errors import Unanswered, WrongReadBack
from bot.tickets.plan_digest import _read, _written
from bot.tickets.read_back import LONGEST_TYPED, read_back

BYTES = 299_439_751_168  # 278.9 GB
SERIAL = TypedField("Serial number", "text", "SN-R810-VD0")
SIZE = TypedField("Size", "size", str(BYTES), "278 GB")
NUMBER = TypedField("Number in the console", "number")
STEP = ReadBack("Look.", "operator", (SERIAL, SIZE, NUMBER), "Load the driver.")


def said(serial="SN-R810-VD0", size="278 GB", number="1"):
    return read_back("T-1", 3, STEP, (serial, size, number))


def test_what_was_typed_stands_beside_what_it_was_typed_for():
    answers = said(serial="  sn-r810-vd0 ", size="279GB", number="0")
    assert [(one.what, one.answer) for one in answers] == [
        ("Serial number", "sn-r810-vd0"),
        ("Size", "279GB"),
        ("Number in the console", "0"),
    ]


@pytest.mark.parametrize("serial", ["SNR810VD0", "sn r810 vd0.", "SN_R810_VD0"])
def test_a_serial_number_as_any_tool_prints_it(serial):
    assert said(serial=serial)


@pytest.mark.parametrize("serial", [
        "SN-R810-VD1", "SN-R810", "SN-R810-VD00", "C3072E18", "-", "...",
        "S-NR810-VD0", "SN-R-810-VD0", "SN/R810/VD0", "SN-R810-VD0!",
        "\u017fN-R810-VD0", "SN\u200b-R810-VD0", "SN-R810-VD0\u0301", "\uff33N-R810-VD0", "SN-R81\u0660-VD0", "\u0405N-R810-VD0",
    ],
)  # fmt: skip
def test_another_serial_number(serial):
    with pytest.raises(
        WrongReadBack, match=r"stops at step 3: Serial number: .*has to be SN-R810-VD0.*Load the driver"
    ):
        said(serial=serial)


@pytest.mark.parametrize("size", ["278 GB", "279 gb", "278,9 GB", "278.87GB", "285568 MB", str(BYTES), "299436480000"])
def test_the_size_as_diskpart_and_wmic_show_it(size):
    assert said(size=size)


@pytest.mark.parametrize(
    "size", ["14 GB", "277 GB", "280 GB", "299 GB", "1 TB", "278", "278 PB", "-278 GB", "GB", "278 GB free", "٢٧٨ GB", "2781234567890123456789 GB", "0 GB", "0 B", "0.27 TB", "278.5 GB", "279.4 GB", "278 G\u0412"],
)  # fmt: skip
def test_another_size(size):
    with pytest.raises(WrongReadBack, match="Size: "):
        said(size=size)


@pytest.mark.parametrize("number", ["disk 0", "-1", "1.5", "٣", "1234567"])
def test_a_number_is_a_number(number):
    with pytest.raises(WrongReadBack, match="is no number"):
        said(number=number)


@pytest.mark.parametrize(
    "texts", [(), ("SN-R810-VD0",), ("SN-R810-VD0", "278 GB", ""), ("a", "b", "c", "d"), (" ", " ", " ")]
)
def test_what_is_not_typed_confirms_nothing(texts):
    with pytest.raises(Unanswered, match="not confirmed"):
        read_back("T-1", 3, STEP, texts)


def test_a_long_text_is_refused_before_it_is_repeated():
    with pytest.raises(Unanswered, match="at most"):
        said(serial="x" * (LONGEST_TYPED + 1))


def test_control_characters_are_shown_and_do_nothing():
    with pytest.raises(WrongReadBack) as told:
        said(serial="SN\u202e1")
    assert "\u202e" not in str(told.value)


def test_every_wrong_field_is_named():
    with pytest.raises(WrongReadBack, match=r"Serial number: “C3072E18”.*Size: “14 GB”"):
        said(serial="C3072E18", size="14 GB")


@given(st.text(max_size=LONGEST_TYPED), st.text(max_size=LONGEST_TYPED))
def test_any_text_is_compared_or_refused(serial, size):
    try:
        said(serial=serial, size=size)
    except (Unanswered, WrongReadBack):
        return
    assert serial.isascii()
    assert "".join(one for one in serial.casefold() if one.isalnum()) == "snr810vd0"


def confirms(expected, typed, compare="text", shown=""):
    try:
        read_back("T-1", 1, ReadBack("Look.", "operator", (TypedField("It", compare, expected, shown),), ""), (typed,))
    except WrongReadBack:
        return False
    return True


@pytest.mark.parametrize(
    ("expected", "typed"),
    [("1-23", "12-3"), ("12_3", "1_23"), ("K1", "\u212a1"), ("S1", "\u017f1"), ("SS", "\u00df"), ("5", "\u0665"), ("2", "\u00b2"),
     ("A/B", "AB"), ("A+1", "A1")],
)  # fmt: skip
def test_what_only_looks_the_same_is_another_one(expected, typed):
    assert confirms(expected, expected)
    assert not confirms(expected, typed)


@pytest.mark.parametrize(
    ("size", "shown", "typed", "is_it"),
    [
        (100 * 2**40, "100 TB", "99 TB", False), (100 * 2**40, "100 TB", "101 TB", False), (100 * 2**40, "100 TB", "100.9 TB", False),
        (100 * 2**40, "100 TB", "100 TB", True), (80 * 2**30, "80 GB", "80 GB", True), (80 * 2**30, "80 GB", "80.9 GB", False),
        (2_000_398_934_016, "1.8 TB", "1.8 TB", True), (2_000_398_934_016, "1.8 TB", "1863 GB", True),
        (2_000_398_934_016, "1.8 TB", "2 TB", False), (2_000_398_934_016, "1.8 TB", "1.9 TB", False),
        (2_000_398_934_016, "1.8 TB", "1850 GB", False), (480_103_981_056, "447 GB", "447 GB", True),
        (480_103_981_056, "447 GB", "450 GB", False), (480_103_981_056, "447 GB", "443 GB", False),
        (8 * 2**20, "8 MB", "0 B", False), (8 * 2**20, "8 MB", "24 MB", False), (8 * 2**20, "8 MB", "8 MB", True),
        (8 * 2**20, "", "8 MB", True), (8 * 2**20 + 5, "", "8 MB", True),
    ],
)  # fmt: skip
def test_how_far_a_size_may_be_off(size, shown, typed, is_it):
    assert confirms(str(size), typed, "size", shown) is is_it


@pytest.mark.parametrize(
    "field",
    [
        ("S", "text", ""),
        ("S", "text", "--"),
        ("S", "size", "278 GB"),
        ("S", "size", ""),
        ("S", "size", "²"),
        ("S", "size", "0"),
        ("S", "size", "9" * 5_000),
        ("S", "text", "\u00b2"),
        ("S", "text", "S\u0301N-1"),
        ("S", "text", "SN-1\u200b"),
    ],
)
def test_a_field_that_anything_would_match_cannot_be_made(field):
    with pytest.raises(ValueError, match="S: "):
        TypedField(*field)


def test_a_step_that_asks_for_nothing_cannot_be_made():
    for typed in ((), (SERIAL, SERIAL)):
        with pytest.raises(ValueError, match="each thing once"):
            ReadBack("Look.", "operator", typed, "")


def test_it_is_signed_with_all_its_fields_and_read_back_the_same():
    assert _read(_written(STEP)) == STEP
    assert _written(ManualStep("Look.", "operator")) == {"is": "ManualStep", "instruction": "Look.", "role": "operator"}
