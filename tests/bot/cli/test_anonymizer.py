"""Names, identifiers and addresses become others, the same each time, and nothing else does."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bot.cli.anonymizer import Anonymiser, common_in, numbered, occurs, other_guid

ANONYMISER = Anonymiser({"hv01": "host01", "test-tfs-01": "vm0001", "corp.example": "d01.example", "corp": "d01"})


def test_names_go_wherever_they_stand_and_short_ones_only_alone():
    assert ANONYMISER.text("HV01.corp.example runs Test-TFS-01_disk.vhdx") == "host01.d01.example runs vm0001_disk.vhdx"
    assert ANONYMISER.text(r"CORP\svc on incorporated hv011") == r"d01\svc on incorporated hv011"


def test_the_longest_name_goes_first():
    assert Anonymiser({"sql": "a", "sql-01": "b"}).text("sql-01 sql") == "b a"


def test_addresses_become_those_for_documentation_and_stay_apart():
    text = ANONYMISER.text("10.0.0.1 10.0.0.2 10.0.0.1 127.0.0.1 255.255.255.0 6.3.9600.16384 fe80::1%4 12:30:45")
    assert text == ("192.0.2.1 192.0.2.2 192.0.2.1 127.0.0.1 255.255.255.0 6.3.9600.16384 2001:db8::3 12:30:45")


def test_hardware_addresses_keep_their_form_and_are_one_in_both():
    assert Anonymiser({}).text("00-15-5D-AA-BB-CC 00155DAABBCC 00:15:5d:aa:bb:cd") == (
        "00-15-5D-00-00-01 00155D000001 00:15:5D:00:00:02"
    )


def test_sids_keep_their_last_part():
    assert ANONYMISER.text("S-1-5-21-111-222-333-500 S-1-5-18") == "S-1-5-21-1-2-3-500 S-1-5-18"


def test_guids_change_but_for_those_of_every_windows():
    mine, writer = "0d3d9c1f-6f0a-4f5c-8a3e-000000000001", "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de"
    text = ANONYMISER.text(f"{mine} {mine.upper()} {{{writer}}} {mine}0")
    first, second, third, fourth = text.split()
    assert first != mine
    assert second == first.upper()
    assert third == f"{{{writer}}}"
    assert fourth == f"{mine}0"


def test_the_class_of_a_writer_is_known_by_its_place_in_any_language():
    text = (
        "Nom du rédacteur : « System Writer »\r\n   ID du rédacteur : {e8132975-6f93-4464-a53e-1050253ae220}\r\n"
        "   ID d'instance : {11111111-6f93-4464-a53e-1050253ae220}\r\n"
        "<Provider Name='x' Guid='{22222222-6f93-4464-a53e-1050253ae220}'/>"
    )
    assert common_in(text) == {"e8132975-6f93-4464-a53e-1050253ae220", "22222222-6f93-4464-a53e-1050253ae220"}
    kept = Anonymiser({}, common_in(text)).text(text)
    assert "e8132975-6f93" in kept
    assert "11111111-6f93" not in kept


@given(st.uuids(), st.uuids())
def test_both_byte_orders_of_a_machine_stay_both_byte_orders_of_one(guid, other):
    swapped = UUID(bytes_le=guid.bytes)
    assert other_guid(swapped) == UUID(bytes_le=other_guid(guid).bytes)
    assert (other_guid(guid) == other_guid(other)) == (guid == other)


def test_numbers_follow_the_order_of_the_names():
    assert numbered(["b", "A", "a", ""], "host{0:02d}") == {"a": "host01", "b": "host02"}


def test_whether_a_name_would_be_replaced():
    assert occurs("Memory", "<p:MemoryUsage>")
    assert not occurs("prod", "<p:ProductType>")
