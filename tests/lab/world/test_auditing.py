"""auditpol and eventcreate on practice machines."""

from __future__ import annotations

import csv
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.windows.query import wql_rows
from lab.world import audit_policy
from lab.world.factory import make

NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"
CATEGORY = "{6997984A-797A-11D9-BED3-505054503030}"
FILES, FILTERING = "{0CCE921D-69AE-11D9-BED3-505054503030}", "{0CCE9226-69AE-11D9-BED3-505054503030}"


def report(world, name: str, what: str = f"/category:{CATEGORY}") -> list[dict[str, str]]:
    output = world.machine(name).run(["auditpol", "/get", what, "/r"])
    assert output.exit_code == 0
    head, blank, *rows = output.stdout.split("\r\n")
    assert blank == ""
    assert rows.pop() == ""
    return list(csv.DictReader([head, *rows]))


def inclusion(world, name: str) -> dict[str, str]:
    rows = report(world, name)
    return {list(row.values())[3]: list(row.values())[4] for row in rows}


def run(world, *words: str, on: str = "hv01", by: str = "operator"):
    return world.machine(on).acting_for(world.accounts[by].user).run(["auditpol", *words])


def test_the_report_has_six_columns_and_every_subcategory(world):
    rows = report(world, "hv01")
    assert list(rows[0]) == [
        "Machine Name",
        "Policy Target",
        "Subcategory",
        "Subcategory GUID",
        "Inclusion Setting",
        "Exclusion Setting",
    ]
    assert len(rows) == 14
    assert {row["Inclusion Setting"] for row in rows} == {"No Auditing"}
    assert rows[0]["Subcategory GUID"] == FILES
    assert [row["Subcategory"] for row in rows if "Filtering" in row["Subcategory"]] == [
        "Filtering Platform Packet Drop",
        "Filtering Platform Connection",
    ]


def test_names_and_settings_follow_the_language_and_guids_do_not(world):
    for node in ("hv04", "hv06"):
        world.node(node).audit[audit_policy.guid_of("921D")] = audit_policy.BOTH
    german, french = report(world, "hv04")[0], report(world, "hv06")[0]
    assert list(german.values())[1:5] == ["System", "Dateisystem", FILES, "Erfolg und Fehler"]
    assert list(french.values())[1:5] == ["Système", "Système de fichiers", FILES, "Succès et échec"]
    assert set(inclusion(world, "hv04")) == set(inclusion(world, "hv06")) == set(inclusion(world, "hv01"))


def test_2008_r2_lacks_what_came_with_2012(clock):
    world = make(clock=clock, releases={"prod": "2008R2"})
    assert len(report(world, "hv01")) == 12


@pytest.mark.parametrize(
    ("before", "words", "after"),
    [
        (0, ["/success:enable"], 1),
        (2, ["/success:enable"], 3),
        (3, ["/success:disable"], 2),
        (0, ["/success:enable", "/failure:enable"], 3),
        (1, ["/success:disable", "/failure:enable"], 2),
        (3, ["/success:disable", "/failure:disable"], 0),
        (2, [], 3),
    ],
)
def test_each_half_is_set_by_itself(world, before, words, after):
    world.node("hv01").audit[audit_policy.guid_of("921D")] = before
    output = run(world, "/set", f"/subcategory:{FILES}", *words)
    assert (output.exit_code, output.stdout) == (0, "The command was successfully executed.\r\n")
    names = ("No Auditing", "Success", "Failure", "Success and Failure")
    assert inclusion(world, "hv01")[FILES] == names[after]
    assert sum(value != "No Auditing" for value in inclusion(world, "hv01").values()) == (after > 0)


def test_several_are_set_at_once_by_guid_or_name(world):
    run(world, "/set", f"/subcategory:{FILES.lower()},{FILTERING}", "/failure:enable")
    assert report(world, "hv01", "/subcategory:File System")[0]["Inclusion Setting"] == "Failure"
    assert report(world, "hv01", f"/subcategory:{FILTERING}")[0]["Inclusion Setting"] == "Failure"


def test_a_reader_may_look_and_not_set(world):
    assert run(world, "/get", f"/category:{CATEGORY}", "/r", by="reader").exit_code == 0
    output = run(world, "/set", f"/subcategory:{FILES}", "/success:enable", by="reader")
    assert (output.exit_code, "0x00000522" in output.stdout) == (1314, True)
    assert inclusion(world, "hv01")[FILES] == "No Auditing"


@pytest.mark.parametrize(
    "words",
    [
        ["/set", "/subcategory:{0CCE9999-69AE-11D9-BED3-505054503030}", "/success:enable"],
        ["/set", f"/subcategory:{FILES}", "/success:maybe"],
        ["/set", "/success:enable"],
        ["/set", f"/category:{CATEGORY}", "/success:enable"],
        ["/get", "/category:{69979848-797A-11D9-BED3-505054503030}", "/r"],
        ["/get", "/category:*", "/r"],
        ["/get", "/r"],
        ["/get", f"/subcategory:{FILES},nothing", "/r"],
        ["/clear"],
        [],
    ],
)
def test_nonsense_is_refused_and_changes_nothing(world, words):
    output = run(world, *words)
    assert (output.exit_code, "0x00000057" in output.stdout) == (0x57, True)
    assert set(inclusion(world, "hv01").values()) == {"No Auditing"}


def toggle(node, *, on: bool, but: frozenset[str] = audit_policy.FILTERING_PLATFORM):
    for each in audit_policy.subcategories(node):
        if each.guid not in {audit_policy.guid_of(number) for number in but}:
            audit_policy.change(node, each.guid, success=on, failure=None)


def test_browsing_works_again_once_everything_was_on_and_off_again(world):
    node = world.node("hv02")
    node.browsing = "fails"
    toggle(node, on=True, but=audit_policy.FILTERING_PLATFORM | {"9244"})
    toggle(node, on=False)
    assert node.browsing == "fails", "one subcategory was left out"
    toggle(node, on=True)
    assert node.browsing == "toggled"
    toggle(node, on=False)
    assert node.browsing == "works"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["921D", "9226", "9244"]), st.sampled_from([True, False, None]), st.sampled_from([True, False, None]))))  # fmt: skip
def test_the_policy_is_always_what_was_set_last(deeds):
    node = make().node("hv01")
    expected = dict.fromkeys(("921D", "9226", "9244"), (False, False))
    for number, success, failure in deeds:
        audit_policy.change(node, audit_policy.guid_of(number), success=success, failure=failure)
        old = expected[number]
        expected[number] = (old[0] if success is None else success, old[1] if failure is None else failure)
    found = audit_policy.policy(node)
    assert {number: (bool(found[audit_policy.guid_of(number)] & 1), bool(found[audit_policy.guid_of(number)] & 2)) for number in expected} == expected  # fmt: skip


EVENT = ["/L", "APPLICATION", "/SO", "hvops", "/T", "INFORMATION", "/ID", "101", "/D", 'ticket 7: "a" & <b> by op, é']


def create(world, *words: str, by: str = "operator"):
    return world.machine("hv01").acting_for(world.accounts[by].user).run(["eventcreate", *(words or EVENT)])


def test_an_event_is_created_and_found_by_both_ways_of_asking(world):
    output = create(world)
    assert output.exit_code == 0
    assert output.stdout.strip() == (
        "SUCCESS: An event of type 'INFORMATION' was created in the 'APPLICATION' log with 'hvops' as the source."
    )
    query = "/q:*[System[Provider[@Name='hvops'] and EventID=101]]"
    found = world.machine("hv01").run(["wevtutil", "qe", "Application", query, "/e:Events"]).stdout
    (event,) = fromstring(found)
    assert event.findtext(f"{NS}EventData/{NS}Data") == EVENT[-1]
    asked = "SELECT * FROM Win32_NTLogEvent WHERE Logfile='Application' AND SourceName='hvops'"
    (row,) = wql_rows(world.machine("hv01"), "root/cimv2", asked)
    assert (row.instance["EventCode"], row.instance["Message"], row.instance["Type"]) == (101, EVENT[-1], "Information")
    assert create(world).exit_code == 0, "its own source may be used again"


def test_only_an_operator_creates_events(world):
    output = create(world, by="reader")
    assert (output.exit_code, output.stderr, output.stdout) == (1, "ERROR: Access is denied.\r\n", "")
    assert not any(event.provider == "hvops" for event in world.node("hv01").events)


@pytest.mark.parametrize(
    "words",
    [
        EVENT[:-2],
        EVENT[:-1],
        ["/L", "SECURITY", *EVENT[2:]],
        [*EVENT[:4], "/T", "NOISE", *EVENT[6:]],
        [*EVENT[:6], "/ID", "1001", *EVENT[8:]],
        [*EVENT[:6], "/ID", "0", *EVENT[8:]],
        ["/L", "SYSTEM", "/SO", "Service Control Manager", *EVENT[4:]],
        [*EVENT, "/D", "twice"],
        [*EVENT, "/X", "unknown"],
        ["/?"],
    ],
)
def test_eventcreate_refuses(world, words):
    before = len(world.node("hv01").events)
    output = create(world, *words)
    assert (output.exit_code, output.stderr.startswith("ERROR: ")) == (1, True)
    assert len(world.node("hv01").events) == before
