"""Only the machine that was meant counts."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.sources.identity import guid, same_bios

ONE = "84521EA0-8B7A-54ED-2F24-392A1761ED11"


@pytest.mark.parametrize("text", [ONE, ONE.lower(), f"{{{ONE}}}", f" {{{ONE.lower()}}} "])
def test_a_guid_has_one_plain_form(text):
    assert guid(text) == ONE


@pytest.mark.parametrize(
    "text", ["", "HV03", "84521EG0G-8B7A-54ED-2F24-392A1761ED11", ONE[:-1], ONE + "0", f"x{ONE}", f"{ONE}\n{ONE}"]
)
def test_what_is_no_guid_is_nothing(text):
    assert guid(text) == ""


@given(st.uuids())
@settings(max_examples=50)
def test_a_bios_guid_is_the_same_in_both_byte_orders(one):
    other = uuid.UUID(bytes_le=one.bytes)
    nobody = one in (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1))
    assert same_bios(str(one), str(other)) is not nobody
    assert same_bios(f"{{{one}}}".upper(), str(one)) is not nobody


@given(st.uuids(), st.uuids())
@settings(max_examples=50)
def test_other_guids_are_other_machines(one, other):
    if other not in (one, uuid.UUID(bytes_le=one.bytes)):
        assert not same_bios(str(one), str(other))


@pytest.mark.parametrize("blank", ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", ""])
def test_firmware_without_an_id_proves_nothing(blank):
    assert not same_bios(blank, blank)
