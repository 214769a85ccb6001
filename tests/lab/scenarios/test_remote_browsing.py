"""Remote browsing fails until Object Access auditing was toggled; a person has to look."""

from __future__ import annotations

import csv

import pytest

CATEGORY = "{6997984A-797A-11D9-BED3-505054503030}"


@pytest.fixture
def world(begin):
    return begin("remote-browsing")


def auditpol(world, name: str, *words: str) -> str:
    machine = world.machine(name).acting_for(world.accounts["operator"].user)
    output = machine.run(["auditpol", *words])
    assert output.exit_code == 0
    return output.stdout


def policy(world, name: str) -> dict[str, str]:
    head, _, rows = auditpol(world, name, "/get", f"/category:{CATEGORY}", "/r").partition("\r\n\r\n")
    table = csv.DictReader([head, *rows.splitlines()])
    return {row["Subcategory GUID"]: row["Inclusion Setting"] for row in table}


def put(world, name: str, wanted: dict[str, str]) -> None:
    for guid, says in wanted.items():
        halves = [f"/{half}:{'enable' if half.title() in says else 'disable'}" for half in ("success", "failure")]
        auditpol(world, name, "/set", f"/subcategory:{guid}", *halves)


def test_two_nodes_fail_with_odd_settings_left_behind(world):
    told = dict(world.facts())
    assert {name: says for name, says in told.items() if "browsing" in name} == {
        "hv02 browsing": "fails",
        "hv05 browsing": "fails",
    }
    assert len(set(policy(world, "hv02").values())) == 4
    assert set(policy(world, "hv01").values()) == {"No Auditing"}
    assert all(world.node(name).release.key == "2012R2" for name in ("hv02", "hv05"))


def test_a_person_who_looks_sees_an_error_until_it_was_toggled_and_put_back(world):
    world.act("browse-hv02")
    assert dict(world.facts())["hv02 wizard"] == "an error again"
    before = policy(world, "hv02")
    filtering = {guid for guid in before if guid[1:9] in {"0CCE9225", "0CCE9226"}}
    for guid in before.keys() - filtering:
        auditpol(world, "hv02", "/set", f"/subcategory:{guid}", "/success:enable")
    told = dict(world.facts())
    assert told["hv02 browsing"].startswith("fails")
    assert told["hv02 audit policy"].endswith("settings differ")
    put(world, "hv02", before)
    world.act("browse-hv02")
    told = dict(world.facts())
    assert (told["hv02 browsing"], told["hv02 wizard"]) == ("works", "files are listed")
    assert told["hv02 audit policy"] == "as it was"
    assert policy(world, "hv02") == before
    assert told["hv05 browsing"] == "fails"


def test_switching_off_alone_helps_nothing(world):
    put(world, "hv05", dict.fromkeys(policy(world, "hv05"), "No Auditing"))
    world.act("browse-hv05")
    assert dict(world.facts())["hv05 wizard"] == "an error again"
