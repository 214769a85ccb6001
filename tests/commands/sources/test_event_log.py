"""What logs name, however they wrap it."""

from datetime import UTC, datetime

import pytest

from commands.sources.event_log import (
    MOST,
    callback_error,
    drain_error,
    format_error_code,
    logged_events,
    named_guest,
    read_error_code,
    snapshot_failures,
)

VM = "9FC171E7-B2C6-4BD2-9FF0-253209B2A69D"


def row(at="2026-11-22T22:14:37.5538748Z", **data):
    return {"event_id": "10102", "record_id": "7", "at": at, "provider": "Microsoft-Windows-Hyper-V-VMMS", "data": data}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"VmName": "crm-01", "VmId": VM}, (VM, "crm-01")),
        ({"Parameter0": "crm-01", "Parameter1": VM.lower()}, (VM, "crm-01")),
        ({"VmId": f"{{{VM}}}", "VmName": "crm-01", "ErrorCode": "0x80042301"}, (VM, "crm-01")),
        ({"Data0": "crm-01", "Data1": VM}, (VM, "crm-01")),
        # the id of the only known capture is no GUID: then the name is all there is
        ({"VmName": "undisclosed", "VmId": "84521EG0G-8B7A-54ED-2F24-392A1761ED11"}, ("", "undisclosed")),
        ({"VmName": VM}, (VM, VM)),
        ({}, ("", "")),
        ({"VmName": "<!channel>", "VmId": ""}, ("", "<!channel>")),
    ],
)
def test_a_vmms_event_names_a_guest_by_id_else_by_name(data, found):
    (event,) = snapshot_failures("hv03", datetime(2026, 11, 22, tzinfo=UTC), 9600).read([row(**data)])
    assert named_guest(event) == found


def test_events_come_newest_first_with_times_in_utc():
    newer, older = snapshot_failures("hv03", datetime(2026, 11, 22, tzinfo=UTC), 9600).read(
        [row("2026-11-22T01:00:00+02:00"), row("2026-11-22T00:00:00Z")]
    )
    assert newer.at == datetime(2026, 11, 22, tzinfo=UTC)
    assert older.at == datetime(2026, 11, 21, 23, tzinfo=UTC)


def test_repeated_values_are_all_read():
    (event,) = snapshot_failures("hv03", datetime(2026, 11, 22, tzinfo=UTC), 9600).read(
        [row(Data=("one", "hr = 0x80070005, Zugriff verweigert"))]
    )
    assert event.texts == ("one", "hr = 0x80070005, Zugriff verweigert")
    assert callback_error(event) == 5


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5960", 5960),
        ("0x1748", 5960),
        ("0X1748", 5960),
        ("0x80071748", 5960),
        ("-2147018936", 5960),
        ("2147948360", 5960),
        (" 0x00001748 ", 5960),
        ("0x32", 50),
        ("0", 0),
        ("0x80042301", 0x80042301),
        ("0x80070005, Access is denied.\r\n", 5),
        ("hr = 0x80070005, Zugriff verweigert", 5),
        ("5960.", 5960),
        ("web-15960", None),
        ("15960", 15960),
        ("5960-web", None),
        ("0x1748z", None),
        ("0x", None),
        ("hr", None),
        ("role 5960", None),
        ("{5960}", None),
        ("٥", None),
        ("", None),
    ],
)
def test_one_error_in_every_form_is_one_number(text, code):
    assert read_error_code(text) == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"ResourceGroup": "erp-01", "Status": "0x1748"}, 5960),
        ({"ResourceGroup": "web-15960", "ErrorCode": "0x32"}, 50),
        ({"ResourceGroup": "5960", "Status": "0x32"}, 50),
        ({"Status": "5960", "ResourceGroup": "7"}, 5960),
        ({"Data0": "5960", "Data1": "0x32"}, 50),
        ({"ResourceGroup": "web-5960"}, None),
        ({"ResourceGroup": "5960", "Status": ""}, None),
        ({}, None),
    ],
)
def test_the_error_of_a_drain_stands_in_its_own_field(data, code):
    (event,) = snapshot_failures("hv03", datetime(2026, 11, 22, tzinfo=UTC), 9600).read([row(**data)])
    assert drain_error(event) == code


def test_codes_are_shown_as_people_look_them_up():
    assert [format_error_code(code) for code in (0, 5960, 0x80042301)] == ["0", "5960", "0x80042301"]


@pytest.mark.parametrize("gap", [{"event_id": ""}, {"at": ""}, {"at": "yesterday"}, {"event_id": "x"}])
def test_a_row_without_number_or_time_is_counted_and_hides_no_other(gap):
    log = read([row() | gap, row(VmName="crm-01")])
    assert [named_guest(event) for event in log] == [("", "crm-01")]
    assert log.unreadable == 1
    assert not log.is_whole(SINCE)


SINCE = datetime(2026, 11, 22, tzinfo=UTC)


def read(rows):
    return snapshot_failures("hv03", SINCE, 9600).read(rows)


@pytest.mark.parametrize(
    ("count", "since", "whole"),
    [
        (0, SINCE, True),
        (MOST - 1, SINCE, True),
        (MOST, SINCE, False),
        (MOST, SINCE.replace(hour=22), False),
        (MOST, SINCE.replace(hour=23), True),  # what may be cut off is older than that
    ],
)
def test_a_list_as_long_as_was_asked_for_may_be_cut(count, since, whole):
    assert read([row("2026-11-22T22:00:00Z")] * count).is_whole(since) is whole


def test_a_list_that_cannot_be_read_at_all_is_not_whole():
    assert not read([row(at="")] * MOST).is_whole(SINCE.replace(hour=23))


def test_the_question_is_bounded_in_time_and_number():
    question = logged_events("hv03", "System", (1137, 1071), datetime(2026, 11, 22, tzinfo=UTC), "X").query
    assert dict(question.params) == {
        "channel": "System",
        "ids": "1137,1071",
        "most": 200,
        "provider": "X",
        "since": "2026-11-22T00:00:00Z",
    }
