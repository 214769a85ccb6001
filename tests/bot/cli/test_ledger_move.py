"""`hvops ledger move` and `hvops audit export --sqlite`: what they need, what they say, and how they end."""

from __future__ import annotations

import pytest
from entry_samples import entry_data

from bot.executor.leader_lock import LeaderLock
from bot.ledger import Ledger
from bot.ledger_place import Database

SETTINGS = """
inventory = "nowhere.toml"
[ledger]
path = "ledger.db"
key_file = "ledger.key"
anchor_file = "anchors.txt"
[roles.viewer]
clusters = ["*"]
[credentials.reader]
transport = "kerberos"
"""


@pytest.fixture
def files(tmp_path):
    """Those of a ledger with two entries, and settings that name it, without a database."""
    named = tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt"
    with Ledger(*named) as ledger:
        ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod"}))
        ledger.append("T0/U1", entry_data("proposed", {"line": "/drain-node hv03"}))
    (tmp_path / "settings.toml").write_text(SETTINGS)
    return named


@pytest.fixture
def database(postgresql_cluster, monkeypatch):
    """A new one, in the environment of the one command."""
    made = postgresql_cluster.database()
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", made.url)
    return made


@pytest.fixture
def move(hvops, tmp_path):
    return lambda *words: hvops("ledger", "move", "--settings", tmp_path / "settings.toml", *words)


def told(text):
    return " ".join(text.split())


def test_it_moves_proves_and_says_what_to_do_next(files, database, move, hvops, tmp_path):
    ended = move()
    assert ended.code == 0, ended.err
    assert f"The ledger is in {database}. Set database in [ledger] for every bot" in told(ended.out)
    assert "3 entries" in told(ended.out)
    assert "The file is verified. Copying it. Copied." in told(ended.out)
    shown = hvops("audit", "list", "--settings", tmp_path / "settings.toml")
    assert "(os:" in shown.out
    assert "The ledger goes on in postgresql://127.0.0.1" in told(shown.out)
    again = move()
    assert (again.code, "The ledger is in" in again.out) == (0, True)
    assert "It was moved before: nothing was copied now." in told(again.out)
    assert "Copying it" not in again.out
    assert "moved before" not in ended.out
    file = hvops("audit", "list", "--file", files[0])
    assert (file.code, "/check-writers prod" in file.out) == (0, True)  # a copy that people can read
    refused = move("--take-back")
    assert refused.code == 2
    assert "holds the ledger by now" in told(refused.err)


def test_no_password_is_shown_or_kept(files, database, move, postgresql_cluster):
    ended = move()
    with Ledger(database, *files[1:]) as ledger:
        assert postgresql_cluster.password not in f"{ended}{[entry.fields for entry in ledger.every()]}"


def test_it_is_refused_while_a_bot_runs_tickets_on_the_file(files, database, move):
    lock = LeaderLock(files[0])
    assert lock.acquire()
    try:
        for words in ((), ("--take-back",)):
            ended = move(*words)
            assert (ended.code, "A bot runs on" in told(ended.err)) == (2, True)
    finally:
        lock.close()
    with Ledger(*files) as ledger:
        assert ledger.head().seq == 2
    assert move().code == 0


def test_without_a_database_it_says_how_to_name_one(files, move):
    ended = move()
    assert (ended.code, "No database is set" in told(ended.err)) == (2, True)


def test_without_a_ledger_there_is_nothing_to_move(files, database, move):
    files[0].unlink()
    ended = move()
    assert (ended.code, "no such ledger to move" in told(ended.err)) == (2, True)
    assert not files[0].exists()


def test_a_database_that_is_away_moves_nothing(files, move, monkeypatch, postgresql_cluster):
    url = Database(postgresql_cluster.url("nowhere")).url
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", url)
    ended = move()
    assert (ended.code, "cannot be used now" in told(ended.err)) == (2, True)
    assert "Copying it" not in ended.out
    with Ledger(*files) as ledger:
        assert ledger.append("T0/U1", entry_data("asked")).seq == 3


def test_a_file_for_datasette_is_written_from_either_store_and_proved(files, database, move, hvops, tmp_path):
    settings = ("--settings", tmp_path / "settings.toml")
    assert move().code == 0
    for name, source in (("of-database.db", settings), ("of-file.db", ("--file", files[0]))):
        ended = hvops("audit", "export", "--sqlite", tmp_path / name, *source)
        assert ended.code == 0, ended.err
        assert f"3entriesin{tmp_path / name}" in told(ended.out).replace(" ", "")  # a terminal breaks long lines
        proof = hvops("audit", "verify", tmp_path / name, "--key", files[1], "--anchors", files[2])
        assert "3 entries match their MACs" in told(proof.out)
    again = hvops("audit", "export", "--sqlite", tmp_path / "of-file.db", *settings)
    assert (again.code, "is there already" in told(again.err)) == (2, True)


@pytest.mark.parametrize("words", [("--kind", "asked"), ("--output", "x.csv"), ("--since", "2026-01-01")])
def test_a_file_for_datasette_has_every_entry(files, hvops, tmp_path, words):
    ended = hvops("audit", "export", "--sqlite", tmp_path / "all.db", "--file", files[0], *words)
    assert (ended.code, "writes the whole ledger" in told(ended.err)) == (2, True)
    assert not (tmp_path / "all.db").exists()
