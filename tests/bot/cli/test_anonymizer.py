"""Names, identifiers and addresses become others, the same each time, and nothing else does."""

from __future__ import annotations

from uuid import UUID

import pytest
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


def test_addresses_at_the_end_of_a_sentence_or_before_a_colon_are_others():
    said = "It listens on 10.20.30.40. See http://10.20.30.40., 10.20.30.40:443; 5985:10.20.30.40: 010.020.030.040"
    assert Anonymiser({}).text(said) == (
        "It listens on 192.0.2.1. See http://192.0.2.1., 192.0.2.1:443; 5985:192.0.2.1: 192.0.2.1"
    )
    assert Anonymiser({}).text("2001:db8:aa::5: x, [FD00:1::7], fd00:1:0::7. fe80::1%eth0") == (
        "2001:db8::1: x, [2001:db8::2], 2001:db8::2. 2001:db8::3"
    )
    for stays in ("6.3.9600.16384", "10.0.1.2.5", "at 12:30: x", "::1", "::", "std::vector", "0.0.0.0:80", "C:1"):
        assert Anonymiser({}).text(stays) == stays


def test_an_address_within_an_address_of_the_other_kind_goes_with_it():
    assert Anonymiser({}).text("fd00:1234::10.1.2.3, ::ffff:10.1.2.3. 10.1.2.3") == (
        "2001:db8::1, 2001:db8::2. 192.0.2.3"
    )


def test_accounts_of_domains_that_nothing_lists_are_others_in_whatever_letters():
    anonymiser = Anonymiser({})
    assert anonymiser.text(r"corp\jane.doe, Corp\Jane.Doe; 'CORP\\jane.doe' (müller\jörg)") == (
        r"DOMAIN1\account1, DOMAIN1\account1; 'DOMAIN1\\account1' (DOMAIN2\account2)"
    )
    for stays in (r"system32\svchost.exe", r"logs\backup.log", r"%windir%\system32", r"Cluster\Parameters"):
        assert anonymiser.text(stays) == stays


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


def test_mail_addresses_become_others_the_same_each_time():
    said = "Max.Muster@corp.example, <max.muster@CORP.example>; a+b@x-y.co.uk"
    told = Anonymiser({"corp.example": "d01.example"}).text(said)
    assert told == "mail1@mail.example, <mail1@mail.example>; mail2@mail.example"
    assert Anonymiser({}).text("svc@REALM root@ @here 5@6.7") == "svc@REALM root@ @here 5@6.7"


def test_accounts_lose_domain_and_user_and_paths_stay():
    anonymiser = Anonymiser({"corp": "d01", "hv01": "host01", "svc-backup": "user01"})
    assert anonymiser.text(r"CORP\mmuster corp\mmuster CORP\HV01$ ACME\other corp\svc-backup") == (
        r"d01\account1 d01\account1 d01\host01$ DOMAIN1\account2 d01\user01"
    )
    for stays in (
        r"C:\Windows\System32\vmms.exe",
        r"HKLM\SOFTWARE\Microsoft",
        r"SOFTWARE\Microsoft",
        r"root\virtualization\v2",
        r"root\cimv2",
        r"NT AUTHORITY\SYSTEM",
        r"BUILTIN\Administrators",
        r"NT SERVICE\vmms",
        r"\\?\Volume",
    ):
        assert anonymiser.text(stays) == stays


def test_a_netbios_name_is_cut_to_fifteen_characters():
    anonymiser = Anonymiser({"test-tfs-server-01": "vm0001", "production-cluster": "a-very-long-replacement"})
    said = anonymiser.text("TEST-TFS-SERVER and test-tfs-server-01, PRODUCTION-CLUS")
    assert said == "vm0001 and vm0001, a-very-long-rep"


def test_guids_without_dashes_are_the_same_machine_as_with_them():
    guid = "4c4c4544-0042-3510-8052-b7c04f4d3232"
    dashed, bare, upper = Anonymiser({}).text(f"{guid} {guid.replace('-', '')} {guid.replace('-', '').upper()}").split()
    assert dashed != guid
    assert (bare, upper) == (dashed.replace("-", ""), dashed.replace("-", "").upper())
    assert Anonymiser({}).text("c12a7328f81f11d2ba4b00a0c93ec93b") == "c12a7328f81f11d2ba4b00a0c93ec93b"


def test_hardware_addresses_with_dots_are_the_same_as_with_others():
    said = Anonymiser({}).text("0015.5daa.bbcc 00-15-5D-AA-BB-CC 00.15.5d.aa.bb.cc 1000.2000.3000 10.0.17763.1")
    assert said == "0015.5D00.0001 00-15-5D-00-00-01 00.15.5D.00.00.01 1000.2000.3000 10.0.17763.1"


def test_sids_of_the_cloud_are_others_and_stay_apart():
    said = Anonymiser({}).text("S-1-12-1-1943430372-1249052806-2496021943-3034400218 S-1-12-1-5-6-7-8 S-1-12-1-5-6-7-8")
    assert said == "S-1-12-1-1-1-1-1 S-1-12-1-2-1-1-1 S-1-12-1-2-1-1-1"


@pytest.mark.parametrize("name", ["straße-01", "STRASSE-01", "Strasse-01"])
def test_a_name_is_found_in_every_way_in_which_its_case_can_be_written(name):
    anonymiser = Anonymiser({name: "vm0001"})
    for written in ("straße-01", "STRASSE-01", "STRAẞE-01", "Strasse-01"):
        assert anonymiser.text(f"of {written}.") == "of vm0001."


def test_a_letter_that_only_a_search_takes_for_another_breaks_nothing():
    assert Anonymiser({"mail-in": "vm0001"}).text("MAİL-İN maıl-ın") == "vm0001 vm0001"


def test_a_name_that_holds_an_address_or_an_account_goes_as_a_whole():
    anonymiser = Anonymiser({"web 10.1.2.3": "vm0001", "10.1.2.3-alt": "vm0002", r"lohn\huber": "vm0003"})
    assert anonymiser.text(r"Web 10.1.2.3, 10.1.2.3-alt, LOHN\Huber, 10.1.2.3") == "vm0001, vm0002, vm0003, 192.0.2.1"
