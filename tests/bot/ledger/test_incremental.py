"""The cheap look at the chain says what it looked at, and finds what is broken there."""

from __future__ import annotations

import sqlite3

import pytest
from entry_samples import entry_data

from bot.ledger import incremental
from bot.ledger.schema import TRIGGERS


def edit(ledger, sql):
    """Somebody edits the file past its triggers, and puts them back."""
    database = sqlite3.connect(ledger.path)
    for trigger in ("entry_stays", "entry_remains"):
        database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    database.execute(sql)
    for trigger in ("entry_stays", "entry_remains"):
        database.execute(TRIGGERS[trigger].strip())
    database.commit()
    database.close()


@pytest.fixture
def ten(ledger):
    for _ in range(10):
        ledger.append("os:ops1", entry_data("asked", {"line": "/check-writers prod"}))
    ledger.settle_anchors()
    return ledger


def test_all_of_a_short_ledger_is_walked_each_time(ten, clock):
    found = ten.check_recent()
    assert (found.holds, found.to, found.whole_to, found.anchored, found.at) == (True, 10, 10, True, clock.now)
    edit(ten, "UPDATE entry SET body = replace(body, 'prod', 'prud') WHERE seq = 4")
    found = ten.check_recent()
    assert (found.holds, found.broken_at, found.to) == (False, 4, 3)
    assert not ten.check_recent().holds


@pytest.mark.parametrize(
    ("sql", "at"),
    [
        ("DELETE FROM entry WHERE seq = 7", 7),
        ("DELETE FROM entry WHERE seq > 8", 9),
        ("UPDATE entry SET mac = zeroblob(32) WHERE seq = 10", 10),
    ],
)
def test_what_is_broken_is_named(ten, sql, at):
    ten.check_recent()
    edit(ten, sql)
    found = ten.check_recent()
    assert found.broken_at == at
    assert found.says


def test_a_ledger_cut_off_before_the_first_look_is_found_by_its_anchor(ten):
    edit(ten, "DELETE FROM entry WHERE seq > 8")
    found = ten.check_recent()
    assert (found.broken_at, found.anchored) == (9, False)
    assert "an anchor knows entry 10" in found.says


def test_an_anchor_of_another_entry_is_found(ten):
    lines = ten.anchor_file.read_text().splitlines()
    ten.anchor_file.write_text("\n".join([*lines[:-1], str(ten.seal.sign(10, b"\xab" * 32))]) + "\n")
    assert ten.check_recent().broken_at == 10


def test_without_anchors_nothing_is_claimed_of_them(ten):
    ten.anchor_file.unlink()
    assert ten.check_recent().anchored is None
    assert ten.check_recent().holds


def test_of_a_long_ledger_only_what_is_new_is_walked_and_that_is_said(ten, clock, monkeypatch):
    monkeypatch.setattr(incremental, "SHORT", 5)
    first = ten.check_recent()
    clock.forward(10)
    ten.append("os:ops1", entry_data("asked"))
    edit(ten, "UPDATE entry SET body = replace(body, 'prod', 'prud') WHERE seq = 4")
    found = ten.check_recent()
    assert (found.holds, found.to, found.at) == (True, 11, clock.now)
    assert (found.whole_to, found.whole_at) == (10, first.at)  # what was walked when: nothing more is claimed
    clock.forward(60)
    assert ten.check_recent().broken_at == 4  # the whole of it again, after an hour


def test_an_entry_that_was_replaced_where_the_walk_goes_on_is_found(ten, monkeypatch):
    monkeypatch.setattr(incremental, "SHORT", 5)
    ten.check_recent()
    edit(ten, "UPDATE entry SET mac = zeroblob(32) WHERE seq = 10")
    assert ten.check_recent().broken_at == 10


def test_a_very_long_ledger_is_walked_in_parts_and_how_far_is_said(ten, monkeypatch):
    monkeypatch.setattr(incremental, "SHORT", 2)
    monkeypatch.setattr(incremental, "AT_ONCE", 4)
    assert [
        (one.to, one.of, one.holds, one.anchored)
        for one in (ten.check_recent(), ten.check_recent(), ten.check_recent(), ten.check_recent())
    ] == [
        (4, 10, True, True),
        (8, 10, True, True),
        (10, 10, True, True),
        (10, 10, True, True),
    ]
    edit(ten, "DELETE FROM entry WHERE seq > 9")
    assert ten.check_recent().broken_at == 10
