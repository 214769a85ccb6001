import contextlib
import time
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.transport.allowlist import wevtutil
from bot.transport.allowlist.definitions import BadOutput

NS = "http://schemas.microsoft.com/win/2004/08/events/event"


def event(data, number=10102, channel="Microsoft-Windows-Hyper-V-VMMS-Admin"):
    return (
        f"<Event xmlns='{NS}'><System><Provider Name='Microsoft-Windows-Hyper-V-VMMS' Guid='{{6066f867}}'/>"
        f"<EventID>{number}</EventID><Level>2</Level><TimeCreated SystemTime='2026-11-21T22:14:37.8748473Z'/>"
        f"<EventRecordID>52262</EventRecordID><Channel>{channel}</Channel><Computer>hv03.corp.example</Computer>"
        f"</System>{data}</Event>\r\n"
    )


def user(inside):
    return (
        '<UserData><VmlEventLog xmlns="http://www.microsoft.com/Windows/Virtualization/Events">'
        f"{inside}</VmlEventLog></UserData>"
    )


def test_user_data_by_its_names():
    (row,) = wevtutil.parse_events(event(user("<VmName>test-tfs-01</VmName><VmId>7E0C</VmId>")))
    assert row == {
        "event_id": "10102",
        "record_id": "52262",
        "at": "2026-11-21T22:14:37.8748473Z",
        "provider": "Microsoft-Windows-Hyper-V-VMMS",
        "channel": "Microsoft-Windows-Hyper-V-VMMS-Admin",
        "computer": "hv03.corp.example",
        "level": "2",
        "data": {"VmName": "test-tfs-01", "VmId": "7E0C"},
    }


def test_older_names_event_data_and_classic_values_without_names():
    output = (
        event(user("<Parameter0>a</Parameter0><Parameter1>b</Parameter1>"))
        + event("<EventData><Data Name='ResourceName'>VM x</Data><Data Name='E'>5960</Data></EventData>", 1137)
        + event("<EventData><Data>one</Data><Data></Data><Binary>2D2D</Binary></EventData>", 8194)
        + event("", 1)
    )
    assert [row["data"] for row in wevtutil.parse_events(output)] == [
        {"Parameter0": "a", "Parameter1": "b"},
        {"ResourceName": "VM x", "E": "5960"},
        {"Data0": "one", "Data1": ""},
        {},
    ]


def test_repeated_names_are_all_kept():
    (row,) = wevtutil.parse_events(event(user("<P>1</P><P>2</P><P>3</P>")))
    assert row["data"] == {"P": ("1", "2", "3")}


def test_no_hits_are_no_rows():
    assert wevtutil.parse_events("") == ()
    assert wevtutil.parse_events("\ufeff\r\n") == ()
    assert wevtutil.parse_events("<?xml version='1.0'?>\r\n") == ()


def test_characters_that_xml_forbids_do_not_hide_the_events():
    (row,) = wevtutil.parse_events("\ufeff" + event(user("<VmName>a\x01b&#x1;c&#31;d&amp;#1;</VmName>")))
    assert row["data"] == {"VmName": "a\ufffdb\ufffdc\ufffdd&#1;"}


@pytest.mark.parametrize(
    "output",
    [
        event("")[:-20],
        event("") + "<Event",
        "not xml",
        "<Other/>",
        '<!DOCTYPE a [<!ENTITY b "c">]>' + event(""),
    ],
)
def test_what_is_no_list_of_events_is_refused(output):
    with pytest.raises(BadOutput):
        wevtutil.parse_events(output)


def test_an_event_without_its_system_part_is_there_and_hides_no_other():
    odd, row = wevtutil.parse_events(f"<Event xmlns='{NS}'/>" + event(""))
    assert (odd["event_id"], odd["at"], odd["data"]) == ("", "", {})
    assert odd.keys() == row.keys()
    assert row["event_id"] == "10102"


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_any_name_of_a_guest_survives(name):
    (row,) = wevtutil.parse_events(event(user(f"<VmName>{escape(name)}</VmName>")))
    assert row["data"] == {"VmName": name}


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_any_text_gives_rows_or_is_refused(output):
    with contextlib.suppress(BadOutput):
        assert isinstance(wevtutil.parse_events(output), tuple)


def test_channels():
    assert wevtutil.parse_channels("\ufeffSystem\r\nMicrosoft-Windows-X/Operational\r\n\r\n") == (
        {"name": "System"},
        {"name": "Microsoft-Windows-X/Operational"},
    )


def test_an_event_with_a_hundred_thousand_values_takes_no_longer_than_its_length():
    """Adding to a tuple one by one is quadratic; a program may print 6 MB."""
    values = '<Data Name="x">1</Data>' * 100_000
    event = f'<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System/><EventData>{values}</EventData></Event>'
    began = time.perf_counter()
    (row,) = wevtutil.parse_events(event)
    assert len(row["data"]["x"]) == 100_000
    assert time.perf_counter() - began < 60
