"""Threads and processes append to one ledger: one chain, no gaps, nothing lost, one decision."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlite_utils
from entry_samples import entry_data, entry_data_of

from bot.errors import AlreadyDecided, SwitchUnchanged
from bot.ledger import EntryDraft, Ledger
from bot.ledger import ledger as of_ledger
from bot.ledger.anchors import Anchor
from bot.ledger.sqlite_store import SqliteStore

CHILD = """
import os, sys
from pathlib import Path
from bot.ledger import EntryDraft, Ledger
from bot.ledger.entries import Asked
from bot.ledger_place import Database
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
place = Database(os.environ["DATABASE"]) if "DATABASE" in os.environ else folder / "ledger.db"
with Ledger(place, folder / "ledger.key", folder / "anchors.txt") as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        ledger.append(name, Asked(line=str(number)))
"""


LONG = {
    "an old anchor": ("walk", lambda ledger, first: ledger.has(Anchor(first.seq, first.mac)), True),
    "samples of long ago": (
        "samples_since",
        lambda ledger, _: ledger.recall("hv03", "writer", datetime(2020, 1, 1, tzinfo=UTC)),
        [],
    ),
}


@pytest.mark.parametrize(("reads", "work", "found"), LONG.values(), ids=LONG)
def test_nobody_waits_to_decide_while_much_is_read(ledger, monkeypatch, reads, work, found):
    """An old head in the audit channel, or a question, must not hold what is asked of the ledger on the loop."""
    first = ledger.append("U1", entry_data("asked"))
    ledger.append("U1", entry_data("asked"))
    ledger.prove()
    under_way, may_end, slow = threading.Event(), threading.Event(), getattr(of_ledger, reads)

    def held(store, *rest):
        if store is not ledger._reader or reads != "walk":
            under_way.set()
            may_end.wait(30)
        yield from slow(store, *rest)

    monkeypatch.setattr(of_ledger, reads, held if reads == "walk" else lambda *rest: list(held(*rest)))
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(work, ledger, first)
        try:
            assert under_way.wait(30)
            assert pool.submit(ledger.is_stopped).result(10) is False
        finally:
            may_end.set()
        assert reading.result(30) == found


READ = {
    "its story": ("rows_of_ticket", lambda ledger, ticket: ledger.story(ticket)),
    "what its story lists": ("macs_of_ticket", lambda ledger, ticket: ledger.story(ticket)),
    "what its moves are among": ("macs_of_ticket", lambda ledger, ticket: ledger.moves(ticket)),
}


@pytest.mark.parametrize(("reads", "work"), READ.values(), ids=READ)
def test_nobody_waits_to_append_while_the_presses_of_a_ticket_are_read(ledger, clock, monkeypatch, reads, work):
    """Whoever appends has the lock of all writers, of every process, when it looks at what is proved."""
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30)}
    ticket, other = (ledger.append("U0", entry_data("proposed", proposal)).ticket for _ in range(2))
    press = entry_data("clicked", {"button": "t-look", "answer": ticket, "place": "C0OPS", "deliveries": []})
    ledger.append_together(*[EntryDraft("U9", press, ticket) for _ in range(50)])
    under_way, may_end, read = threading.Event(), threading.Event(), getattr(ledger._reader, reads)

    def held(*asked):
        under_way.set()
        may_end.wait(30)
        return read(*asked)

    monkeypatch.setattr(ledger._reader, reads, held)
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(work, ledger, ticket)
        try:
            assert under_way.wait(30)
            approved = entry_data("approved", {"by": "U1", "start_by": clock.later(5)})
            assert pool.submit(ledger.append, "U1", approved, other).result(10).ticket == other
            late = pool.submit(ledger.append, "U9", press, ticket).result(10)  # what comes meanwhile is not among them
        finally:
            may_end.set()
        assert late.seq not in [one.seq for one in reading.result(30)]
    assert late in ledger.story(ticket)


def test_a_ticket_of_many_presses_is_read_a_page_at_a_time(ledger, clock, monkeypatch):
    """Nobody else reads from the ledger meanwhile; so many rows at a time is how long they wait."""
    monkeypatch.setattr(of_ledger, "PAGE", 7)
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30)}
    ticket = ledger.append("U0", entry_data("proposed", proposal)).ticket
    press = entry_data("clicked", {"button": "t-look", "answer": ticket, "place": "C0OPS", "deliveries": []})
    ledger.append_together(*[EntryDraft("U9", press, ticket) for _ in range(27)])
    told, rows = [], ledger._reader.rows

    def counted(sql, parameters=()):
        found = rows(sql, parameters)
        told.append(len(found))
        return found

    monkeypatch.setattr(ledger._reader, "rows", counted)
    assert len(ledger.story(ticket)) == 28
    assert [one.kind for one in ledger.moves(ticket)] == ["proposed"]
    assert told.count(7) >= 8
    assert 28 not in told


def test_what_another_process_wrote_is_proved_before_the_lock_of_all_writers_is_taken(opened, clock, monkeypatch):
    monkeypatch.setattr(of_ledger, "_FRESH_SECONDS", -1.0)
    first, second = opened(), opened()
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30)}
    ticket = first.append("U0", entry_data("proposed", proposal)).ticket
    second.prove()
    press = entry_data("clicked", {"button": "t-look", "answer": ticket, "place": "C0OPS", "deliveries": []})
    first.append_together(*[EntryDraft("U9", press, ticket) for _ in range(50)])
    walked, walk = [], of_ledger.walk

    def counted(store, *rest):
        for row in walk(store, *rest):
            walked.append(store is second._store)
            yield row

    monkeypatch.setattr(of_ledger, "walk", counted)
    second.append("U1", entry_data("approved", {"by": "U1", "start_by": clock.later(5)}), ticket)
    assert walked.count(True) <= 1, "with the lock"
    assert walked.count(False) >= 50, "before it"


def test_threads_share_one_ledger(ledger):
    def work(name):
        for number in range(40):
            ledger.append(name, entry_data("asked", {"line": str(number)}))
            ledger.entries(limit=3)
        return name

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, "abcdef"))
    entries = ledger.entries(limit=1000, newest_first=False)
    assert [entry.seq for entry in entries] == list(range(1, 241))
    for name in "abcdef":
        assert [entry.line for entry in entries if entry.actor == name] == [str(one) for one in range(40)]
    verdict = ledger.verify()
    assert verdict.holds
    assert verdict.anchors == 240


def test_one_of_many_deciders_decides(ledger, clock):
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30)}
    ticket = ledger.append("U0", entry_data("proposed", proposal)).ticket
    together = threading.Barrier(8)

    def decide(number):
        together.wait()
        kind = "approved" if number % 2 else "rejected"
        try:
            return ledger.append(
                f"U{number}", entry_data_of(kind, {"by": f"U{number}", "start_by": clock.later(5)}), ticket
            )
        except AlreadyDecided:
            return None

    with ThreadPoolExecutor(8) as pool:
        decided = [entry for entry in pool.map(decide, range(1, 9)) if entry]
    assert len(decided) == 1
    assert ledger.head() == decided[0]


def test_two_processes_share_one_ledger_from_its_very_first_moment(tmp_path, opened, child_environment):
    arguments = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [
        subprocess.Popen(
            [*arguments, name, "150"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment,
            text=True,
        )
        for name in ("one", "two")
    ]
    try:
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        assert [child.wait(60) for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    ledger = opened()
    entries = ledger.entries(limit=1000, newest_first=False)
    assert [entry.seq for entry in entries] == list(range(1, 301))
    for name in ("one", "two"):
        assert [entry.line for entry in entries if entry.actor == name] == [str(one) for one in range(150)]
    verdict = ledger.verify()
    assert verdict.holds
    assert verdict.anchors == 300


def test_reading_does_not_wait_for_a_writer_and_verifying_does_not_stop_one(ledger):
    ledger.append("U", entry_data("asked"))
    with ledger._store.transaction():
        assert len(ledger.entries()) == 1
        assert ledger.verify().holds


@pytest.mark.sqlite
@pytest.mark.parametrize("entries", [3, 300], ids=["anchors in one read", "anchors in several"])
def test_what_is_appended_while_the_proof_reads_is_not_taken_for_cut_off(ledger, opened, entries, monkeypatch):
    for number in range(entries):
        ledger.append("U1", entry_data("asked", {"line": str(number)}))
    other, stream = opened(), SqliteStore.stream

    def append_between_rows(store, sql, *parameters):
        for row in stream(store, sql, *parameters):
            other.append("U2", entry_data("asked", {"line": "meanwhile"}))
            yield row

    monkeypatch.setattr(SqliteStore, "stream", append_between_rows)
    proof = ledger.verify()
    assert (proof.holds, proof.entries, proof.anchored) == (True, entries, entries), proof.says
    assert len(ledger.entries(limit=10_000)) > entries


@pytest.mark.sqlite
def test_processes_that_come_to_a_new_ledger_at_once_all_open_it(tmp_path):
    """The first start of two bots at the same moment: SQLite refuses to wait while it turns the journal over."""
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    for turn in range(4):
        folder = tmp_path / str(turn)
        folder.mkdir()
        told = [[*command[:-1], str(folder), name, "1"] for name in "abcd"]
        children = [
            subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for one in told
        ]
        said = [child.communicate("\n", timeout=60) for child in children]
        assert [child.returncode for child in children] == [0] * 4, said


@pytest.mark.sqlite
def test_a_journal_that_somebody_else_turns_over_is_waited_for(tmp_path, monkeypatch):
    real, refusals = sqlite_utils.Database.enable_wal, [1, 1]

    def busy(database):
        if refusals:
            refusals.pop()
            raise sqlite3.OperationalError("database is locked")
        real(database)

    monkeypatch.setattr(sqlite_utils.Database, "enable_wal", busy)
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        assert ledger.append("a", entry_data("asked")).seq == 1
    assert refusals == []


@pytest.mark.parametrize("kind", ["stop", "go"])
def test_of_many_who_switch_at_once_one_does_and_the_others_hear_who(opened, kind):
    """Each has a ledger of its own, as processes have: the transaction decides, not what each of them looked at before."""
    ledgers = [opened() for _ in range(6)]
    if kind == "go":
        ledgers[0].append("T0/U9", entry_data("stop", {"name": "night shift", "reason": "power work"}))
    together = threading.Barrier(6)

    def switch(number):
        together.wait()
        try:
            return ledgers[number].append(f"T0/U{number}", entry_data(kind, {"name": f"person {number}"}))
        except SwitchUnchanged as same:
            return same

    with ThreadPoolExecutor(6) as pool:
        came = list(pool.map(switch, range(6)))
    (won,) = [one for one in came if not isinstance(one, SwitchUnchanged)]
    lost = [one for one in came if isinstance(one, SwitchUnchanged)]
    assert [one.kind for one in ledgers[0].every()].count(kind) == 1
    assert {one.seq for one in lost} == {won.seq}
    assert all(won.name in str(one) for one in lost)
