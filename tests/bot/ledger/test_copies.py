"""A ledger in another store: moved into a database, which is killed and broken off at every step, and written as a file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import psycopg
import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger import Ledger, copies
from bot.ledger.copies import Mover, move, take_back, write_file
from bot.ledger.key import read_key
from bot.ledger.places import open_store
from bot.ledger.verify import verify
from bot.redaction import Redactor

MOVER = Mover("os:ops1", "ops1@adm01", "adm01")
BEFORE, BETWEEN, AFTER = (
    ("proved", "copying", "copied"),
    ("anchoring", "closed", "followed", "compared"),
    ("committed",),
)
CHILD = """
import os, signal, sys
from pathlib import Path
from bot.ledger import copies
from bot.ledger.anchors import Anchors
from bot.ledger_place import Database
from bot.redaction import Redactor

folder, doomed = Path(sys.argv[1]), sys.argv[2]

def step(name):
    if name == doomed:
        os.kill(os.getpid(), signal.SIGKILL)

write = Anchors.write
Anchors.write = lambda self, anchor: (step("anchoring"), write(self, anchor))
files = tuple(folder / name for name in ("ledger.db", "ledger.key", "anchors.txt"))
copies.move(files, Database(sys.stdin.readline().strip()), copies.Mover("os:ops1", "ops1", "adm01"), Redactor(()), step)
"""


@pytest.fixture
def files(tmp_path):
    return tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt"


@pytest.fixture
def target(postgresql_cluster):
    return postgresql_cluster.database()


@pytest.fixture
def history(files, clock):
    """A ledger in a file, closed: tickets that wait, run and have ended, locks, raw answers, a hostile name."""
    with Ledger(*files, Redactor(()), clock) as ledger:
        append = ledger.append
        asked = append("T0/U1", entry_data("asked", {"line": "/check-writers \0 Å\u202eb", "target": "prod"}))
        append(
            "T0/U1", entry_data("answered", {"asked": asked.seq, "answer": "t", "report": ledger.put_blob(b"\0r\xff")})
        )
        for _ in range(3):
            append("T0/U1", entry_data("proposed", {"open_until": clock.later(60), "target": "hv03"}))
        for ticket in ("T-1", "T-2"):
            append("T0/U2", entry_data("approved", {"by": "T0/U2", "start_by": clock.later(5)}), ticket)
            append("bot", entry_data("started", {"attempt": 1, "locks": [f"host:{ticket}"]}), ticket)
        append("bot", entry_data("done"), "T-1")
        append("T0/U3", entry_data("stop", {"reason": "power work", "name": "night shift"}))
        return list(ledger.every())


def goes_on(place, files):
    """Whether a bot on it opens the ledger and appends."""
    try:
        with Ledger(place, *files[1:]) as ledger:
            ledger.append("U1", entry_data("asked", {"line": "after all that"}))
    except LedgerError:
        return False
    return True


def entries(place):
    store = open_store(place, read_only=True)
    try:
        with store.snapshot():
            return list(store.walk())
    finally:
        store.close()


def test_a_ledger_moves_with_its_chain_its_anchors_its_tickets_and_its_answers(files, target, history, clock):
    steps = []
    proof = move(files, target, MOVER, Redactor(()), steps.append)
    assert (proof.holds, proof.entries, proof.anchors) == (True, len(history) + 1, len(history) + 1), proof.says
    assert tuple(steps) == (*BEFORE, *(one for one in BETWEEN if one != "anchoring"), *AFTER)
    assert entries(target) == entries(files[0])
    with Ledger(target, *files[1:], clock=clock) as ledger:
        *before, moved = ledger.every()
        assert before == history
        assert (moved.kind, moved.actor, moved.name, moved.data.store, moved.data.address) == (
            "moved", "os:ops1", "ops1@adm01", "postgresql", str(target),
        )  # fmt: skip
        assert ledger.locks() == {"host:T-2": "T-2"}
        assert ledger.is_stopped()
        assert ledger.blob(history[1].data.report) == b"\0r\xff"
        assert ledger.append("T0/U1", entry_data("proposed", {"open_until": clock.later(60)})).ticket == "T-4"
        proof = ledger.verify()
        assert (proof.holds, proof.anchors) == (True, len(history) + 2)
    with pytest.raises(LedgerError, match=rf"takes no more entries: the ledger was moved to {target}"):
        Ledger(*files)
    assert not goes_on(files[0], files)
    with pytest.raises(LedgerError, match="cut off"):
        move(files, target, MOVER, Redactor(()))


def test_a_bot_that_still_runs_on_the_file_writes_nothing_more(files, target, history):
    with Ledger(*files) as running:
        move(files, target, MOVER, Redactor(()))
        with pytest.raises(LedgerError, match="takes no more entries"):
            running.append("U1", entry_data("asked"))


def test_what_is_appended_while_it_is_copied_comes_along(files, target, history):
    def meanwhile(step):
        if step == "copied":
            with Ledger(*files) as second:
                second.append("U1", entry_data("asked", {"line": second.put_blob(b"late")}))

    assert move(files, target, MOVER, Redactor(()), meanwhile).entries == len(history) + 2
    assert entries(target) == entries(files[0])
    with Ledger(target, *files[1:]) as ledger:
        assert ledger.blob(list(ledger.every())[-2].line) == b"late"


def killed_at(step, tmp_path, target):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), step],
        input=target.url, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr


def broken_off_at(step, files, target):
    def breaks(name):
        if name == step:
            with psycopg.connect(target.url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    with pytest.raises(LedgerError) as broken:
        move(files, target, MOVER, Redactor(()), breaks)
    assert ("--take-back" in str(broken.value)) is (step in BETWEEN)


@pytest.mark.postgresql
@pytest.mark.parametrize("step", [*BEFORE, *BETWEEN, *AFTER])
def test_killed_at_any_step_there_is_one_ledger_and_the_move_can_be_finished(tmp_path, files, target, history, step):
    killed_at(step, tmp_path, target)
    assert goes_on(files[0], files) is (step in BEFORE)
    assert goes_on(target, files) is (step in AFTER)
    if step in AFTER:
        with pytest.raises(LedgerError):
            take_back(files, target, MOVER, Redactor(()))
        return
    proof = move(files, target, MOVER, Redactor(()))
    assert (proof.holds, proof.entries) == (True, len(history) + 1 + (step in BEFORE)), proof.says
    assert goes_on(target, files)
    assert not goes_on(files[0], files)


@pytest.mark.postgresql
@pytest.mark.parametrize("step", [one for one in (*BEFORE, *BETWEEN) if one not in ("proved", "anchoring")])
def test_where_the_connection_is_lost_the_file_is_the_only_ledger(files, target, history, step):
    broken_off_at(step, files, target)
    assert not goes_on(target, files)
    assert entries(target) == []
    assert goes_on(files[0], files) is (step in BEFORE)
    proof = move(files, target, MOVER, Redactor(()))
    assert proof.holds, proof.says
    assert goes_on(target, files)


@pytest.mark.postgresql
def test_a_move_that_was_finished_is_said_to_be_and_nothing_is_done_again(tmp_path, files, target, history):
    killed_at("committed", tmp_path, target)
    before = entries(target)
    assert move(files, target, MOVER, Redactor(())).holds
    assert entries(target) == before


@pytest.mark.postgresql
@pytest.mark.parametrize("step", BETWEEN)
def test_a_move_that_ended_half_way_can_be_taken_back_and_begun_again(tmp_path, files, target, history, step):
    killed_at(step, tmp_path, target)
    assert take_back(files, target, MOVER, Redactor(())).data.store == "sqlite"
    assert goes_on(files[0], files)
    assert not goes_on(target, files)
    with pytest.raises(LedgerError, match="was not moved"):
        take_back(files, target, MOVER, Redactor(()))
    assert move(files, target, MOVER, Redactor(())).holds
    assert goes_on(target, files)


@pytest.mark.postgresql
def test_a_move_to_one_database_is_not_finished_in_another(tmp_path, files, target, history, postgresql_cluster):
    killed_at("closed", tmp_path, target)
    other = postgresql_cluster.database()
    for act in (move, take_back):
        with pytest.raises(LedgerError, match=f"was moved to {target}, not to {other}"):
            act(files, other, MOVER, Redactor(()))
    assert move(files, target, MOVER, Redactor(())).holds


@pytest.mark.postgresql
def test_a_database_that_holds_another_ledger_is_left_alone(tmp_path, files, target, history):
    (tmp_path / "other").mkdir()
    with Ledger(target, tmp_path / "other/key", tmp_path / "other/anchors") as other:
        other.append("U1", entry_data("asked"))
    with pytest.raises(LedgerError, match="holds another ledger"):
        move(files, target, MOVER, Redactor(()))
    assert len(entries(target)) == 1
    assert goes_on(files[0], files)


@pytest.mark.postgresql
def test_a_ledger_that_does_not_hold_is_not_moved(files, target, history):
    with sqlite3.connect(files[0]) as database:
        database.execute("DROP TRIGGER entry_stays")
        database.execute("UPDATE entry SET body = replace(body, 'power work', 'lunch')")
    with pytest.raises(LedgerError, match="was not moved"):
        move(files, target, MOVER, Redactor(()))
    assert entries_or_none(target) is None


@pytest.mark.postgresql
def test_what_the_database_changes_on_the_way_is_noticed_before_it_counts(files, target, history, monkeypatch):
    monkeypatch.setattr(
        copies, "copy",
        lambda source, there, after=0, real=copies.copy: (real(source, there, after) and there.write(
            "DELETE FROM lock"
        )) or there.length(),
    )  # fmt: skip
    with pytest.raises(LedgerError, match="does not hold"):
        move(files, target, MOVER, Redactor(()))
    monkeypatch.undo()
    assert not goes_on(target, files)
    assert move(files, target, MOVER, Redactor(())).holds


def entries_or_none(place):
    try:
        return entries(place)
    except LedgerError:
        return None


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_file_for_people_is_the_whole_ledger_and_can_be_proved(tmp_path, files, target, history, store):
    place = files[0]
    if store == "postgresql":
        move(files, target, MOVER, Redactor(()))
        place = target
    copy = tmp_path / "review.db"
    count = write_file(place, copy)
    assert count == len(entries(place))
    assert entries(copy) == entries(place)
    assert {path.name for path in tmp_path.iterdir() if "review" in path.name} == {"review.db"}
    assert copy.stat().st_mode & 0o077 == 0
    with Ledger(place, *files[1:]) as ledger:
        assert copies.verify(copy, ledger._key, files[2]).holds
    with sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True) as database:
        assert database.execute("SELECT ticket, status FROM tickets_readable").fetchall() == [
            ("T-3", "proposed"), ("T-2", "running"), ("T-1", "done"),
        ]  # fmt: skip
    with pytest.raises(LedgerError, match="is there already"):
        write_file(place, copy)


def test_a_file_that_could_not_be_written_leaves_nothing(tmp_path, files, history, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    before = set(tmp_path.iterdir())
    with pytest.raises(LedgerError, match="no room"):
        write_file(files[0], tmp_path / "review.db")
    assert {path for path in tmp_path.iterdir() if not path.name.startswith("ledger.db-")} == {
        path for path in before if not path.name.startswith("ledger.db-")
    }


def refuse(*_):
    raise OSError(28, "no room")


def test_what_others_planted_is_no_draft_of_a_file_for_people(tmp_path, files, history):
    """By the number of the process they knew its name: the ledger was written into a file of theirs, or through their link."""
    for number in range(os.getpid() - 1, os.getpid() + 1):
        theirs = tmp_path / f".review.db.{number}"
        theirs.touch()
        theirs.chmod(0o666)
    write_file(files[0], tmp_path / "review.db")
    assert theirs.stat().st_size == 0
    assert (tmp_path / "review.db").stat().st_ino != theirs.stat().st_ino
    assert (tmp_path / "review.db").stat().st_mode & 0o777 == 0o600
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".review") and one.is_dir()]


def test_a_ledger_is_not_moved_to_an_address_that_would_be_masked(files, target, history):
    """Its entry named no database, so it could be neither moved again nor taken back."""
    mask = Redactor([target.url.rpartition("/")[2]])
    with pytest.raises(LedgerError, match=r"was not moved: the address of the database, .*masked.*holds a secret"):
        move(files, target, MOVER, mask)
    assert entries(files[0])[-1][0] == len(history)
    assert goes_on(files[0], files)


def test_a_file_that_was_written_from_a_database_takes_no_entries(tmp_path, files, target, history):
    """Named by path, with the setting of the database lost, it would be a second ledger beside the first."""
    move(files, target, MOVER, Redactor(()))
    assert goes_on(target, files)
    write_file(target, tmp_path / "review.db")
    with pytest.raises(LedgerError, match="takes no more entries: the ledger was moved to postgresql"):
        Ledger(tmp_path / "review.db", *files[1:])
    assert goes_on(target, files)


@pytest.mark.postgresql
def test_nor_does_one_of_a_ledger_that_began_in_a_database(tmp_path, files, target):
    """No entry says of that where it is."""
    with Ledger(target, *files[1:]) as ledger:
        ledger.append("U1", entry_data("asked"))
    write_file(target, tmp_path / "review.db")
    with pytest.raises(LedgerError, match="takes no entries: it was written out of a database"):
        Ledger(tmp_path / "review.db", *files[1:])
    assert verify(tmp_path / "review.db", read_key(files[1]), files[2]).holds
    assert goes_on(target, files)
    write_file(tmp_path / "review.db", tmp_path / "again.db")
    with pytest.raises(LedgerError, match="takes no entries"):
        Ledger(tmp_path / "again.db", *files[1:])


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "prepared",
    ["ALTER TABLE hvops.entry ADD COLUMN more text", "CREATE SCHEMA e; CREATE TABLE e.c () INHERITS (hvops.entry)"],
)
def test_a_database_that_somebody_has_prepared_is_refused_before_the_file_is_closed(files, target, history, prepared):
    open_store(target).close()
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute(prepared)
    with pytest.raises(LedgerError, match="hvops audit verify"):
        move(files, target, MOVER, Redactor(()))
    assert goes_on(files[0], files)
