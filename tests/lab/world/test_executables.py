"""What the executables of practice machines print."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world import events
from lab.world.executables import xpath

VMMS_ADMIN = "Microsoft-Windows-Hyper-V-VMMS-Admin"
NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"


@pytest.mark.parametrize(
    ("node", "name", "state", "error"),
    [
        ("hv01", "Writer name: '", "   State: [5] Waiting for completion", "   Last error: Retryable error"),
        ("hv04", 'Verfassername: "', "   Status: [5] Warten auf Abschluss", "   Letzter Fehler: Wiederholbarer Fehler"),
        ("hv06", "Nom du rédacteur : '", "   État : [5] En attente de la conclusion", "   Dernière erreur : Erreur récupérable"),
    ],
)  # fmt: skip
def test_writers_are_listed_in_the_machines_language(world, node, name, state, error):
    writer = world.node(node).writer("Microsoft Hyper-V VSS Writer")
    writer.state, writer.error = 5, "retryable"
    output = world.machine(node).run(["vssadmin", "list", "writers"])
    head, *blocks = output.stdout.removesuffix("\r\n\r\n").split("\r\n\r\n")
    assert output.exit_code == 0
    assert len(head.split("\r\n")) == 2
    assert head.endswith("(C) Copyright 2001-2013 Microsoft Corp.")
    assert len(blocks) == 13
    assert all(len(block.split("\r\n")) == 5 for block in blocks)
    assert all(block.startswith(name) for block in blocks)
    (sick,) = [block for block in blocks if "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de" in block]
    assert sick.split("\r\n")[3:] == [state, error]


def test_vssadmin_refuses_what_it_does_not_know(world):
    output = world.machine("hv01").run(["vssadmin", "delete", "shadows"])
    assert output.exit_code == 1
    assert "Invalid command" in output.stdout


def test_unknown_programs_are_answered_as_cmd_does(world):
    assert "is not recognized" in world.machine("hv01").run(["frobnicate"]).stderr
    assert "konnte nicht gefunden werden" in world.machine("hv04").run(["cmd", "/c", "frobnicate"]).stderr
    assert world.machine("hv01").run([]).exit_code == 1
    assert world.machine("hv01").run(["C:\\Windows\\System32\\HOSTNAME.EXE"]).stdout == "hv01\r\n"


def query(world, node: str, channel: str, text: str, *more: str):
    return world.machine(node).run(["wevtutil", "qe", channel, f"/q:{text}", "/f:xml", "/e:Events", *more])


def test_hyper_v_events_carry_user_data(world):
    guest = world.guest("crm-01")
    world.log(guest.node, events.snapshot_failed(guest, world.now))
    output = query(world, guest.node.name, VMMS_ADMIN, "*[System[(EventID=10102)]]", "/uni:true")
    assert output.utf16
    (event,) = fromstring(output.stdout)
    assert event.findtext(f"{NS}System/{NS}EventID") == "10102"
    log = event.find(f"{NS}UserData")[0]
    assert log.tag == "{http://www.microsoft.com/Windows/Virtualization/Events}VmlEventLog"
    assert [part.text for part in log] == ["crm-01", guest.vm_id.upper()]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("*", [1137, 1071, 8]),
        ("*[System[(EventID=1137 or EventID=1071)]]", [1137, 1071]),
        ("*[System[EventID=1137 and Provider[@Name='Microsoft-Windows-FailoverClustering']]]", [1137]),
        ("*[System[Provider[@Name='other'] or Level=4]]", [8]),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 3600000]]]", [1071, 8]),
        ("*[System[TimeCreated[@SystemTime>='2026-03-02T22:00:00.000Z']]]", [1071, 8]),
        ("*[System[TimeCreated[@SystemTime<'2026-03-02T22:00:00.000Z']]]", [1137]),
        ("*[EventData[Data[@Name='ErrorCode']='5960']]", [1137]),
        ("*[EventData[Data[@Name='ErrorCode']=5960]]", [1137]),
        ("*[EventData/Data='5960']", [1137]),
        ("*[System[EventID=1137]] and *[EventData]", [1137]),
        ("Event[System[(EventID >= 1000) and (EventID != 1071)]]", [1137]),
        ("*[System[band(Keywords, 0x8000000000000000)]]", [1137, 1071, 8]),
        ("*[System[EventID=1]]", []),
    ],
)
def test_queries_select_events(world, text, ids):
    node, guest = world.node("hv01"), world.node("hv01").guests[0]
    node.events.clear()
    world.log(node, events.drain_failed(guest, world.now - timedelta(hours=2)))
    world.log(node, events.blocked_by_lock(guest, world.now - timedelta(minutes=5)))
    started = events.service_state(node, "vmms", "running", world.now)
    world.log(node, type(started)(started.log, started.provider, 8, 4, started.at, started.data))
    found = fromstring(query(world, "hv01", "System", text).stdout)
    assert [int(event.findtext(f"{NS}System/{NS}EventID")) for event in found] == ids


def test_newest_first_and_not_more_than_asked(world):
    newest = query(world, "hv01", "System", "*", "/rd:true", "/c:1").stdout
    every = query(world, "hv01", "System", "*").stdout
    (event,) = fromstring(newest)
    assert event.findtext(f"{NS}System/{NS}EventRecordID") == fromstring(every)[-1].findtext(
        f"{NS}System/{NS}EventRecordID"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["qe", "No-Such-Channel"], 15007),
        (["qe", "System", "/q:*[System[EventID="], 15001),
        (["qe", "System", "/q:*[System[contains(Data, 'x')]]"], 15001),
        (["qe"], 87),
        (["qe", "System", "and", "more"], 87),
        (["cl", "System"], 87),
    ],
)
def test_wevtutil_refuses(world, words, code):
    assert world.machine("hv01").run(["wevtutil", *words]).exit_code == code


@pytest.mark.parametrize(
    "text",
    ["*[System//EventID]", "*[..]", "*[.='x']", "/Event", "*[System|EventData]", "*[not(System)]", "*[System * 2]",
     "*[System/EventID > -1]", "*[EventID=1.5]", "*['x'[1]]", "*[System/1]", "*[a='x'='y']", "*[e:System]",
     "*[$x]", "*[text()]", "*[last()]", "*[System[band(Keywords)]]", "*[System[timediff('x')]]"],
)  # fmt: skip
def test_of_xpath_only_what_the_event_log_has(text):
    with pytest.raises(xpath.InvalidQueryError):
        xpath.parse(text)(fromstring("<r><Event><System/></Event></r>"), datetime.now(UTC))


def test_channels_and_their_size(world):
    listed = world.machine("hv01").run(["wevtutil", "el"]).stdout.splitlines()
    assert {"System", "Application", VMMS_ADMIN, "Microsoft-Windows-FailoverClustering/Operational"} <= set(listed)
    assert VMMS_ADMIN not in world.machine("sql-01").run(["wevtutil", "el"]).stdout.splitlines()
    told = world.machine("hv01").run(["wevtutil", "gli", VMMS_ADMIN]).stdout
    assert re.search(r"^numberOfLogRecords: 3\r?$", told, re.MULTILINE)


@settings(max_examples=60)
@given(st.text(alphabet="*[]()@='<>! andorEventID1/,\"", max_size=40))
def test_any_text_is_a_query_or_refused(text):
    with suppress(xpath.InvalidQueryError):
        xpath.parse(text)
