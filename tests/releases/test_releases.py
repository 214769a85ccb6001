"""What a release stored and printed is read by every version after it: its ledger, its settings, its JSON.

Each folder here is a release, written once by `write.py` and never again.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from entry_samples import entry_data

from bot.cli.audit import print_one
from bot.config.settings import load as load_settings
from bot.errors import Expired
from bot.ledger import Ledger, Reader
from bot.ledger.ticket_state import KINDS
from bot.ledger_place import Database
from tests.releases import write

HERE = Path(__file__).parent
RELEASES = sorted(path for path in HERE.iterdir() if (path / "ledger.json").exists())
NEVER_ALONE = {"moved"}  # a ledger that says so takes no more: the move of it is a test of its own
# What later versions no longer print, by release and file, with the reason: a promise that was broken on purpose.
BROKEN: dict[tuple[str, str], set[str]] = {}


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request):
    return request.param


@pytest.fixture
def copied(release):
    """The files of a release, where this user alone may read and write them."""
    with write.private_copy(release) as folder:
        yield folder


def files(folder):
    return folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt"


def stored(release, name):
    return json.loads((release / name).read_text(encoding="utf-8"))


def hvops(*words, given=""):
    return subprocess.run(
        [sys.executable, "-m", "bot", *map(str, words)],
        input=given, capture_output=True, text=True, check=False, cwd=write.ROOT,
    )  # fmt: skip


def proved(database, copied):
    """Prove it at the command line, beside anchors that come through a pipe, as from another machine."""
    words = ("audit", "verify", database, "--key", copied / "ledger.key", "--anchors", "/dev/stdin")
    return hvops(*words, given=(copied / "anchors.txt").read_text(encoding="utf-8"))


# --- the ledger --------------------------------------------------------------------------------------------------


def test_its_ledger_has_tickets_in_every_state_and_every_kind_of_entry(release):
    told = stored(release, "ledger.json")
    assert {one["state"] for one in told["tickets"].values()} >= {
        "proposed",
        "approved",
        "running",
        "interrupted",
        "ended",
    }
    ends = {one["end"] for one in told["tickets"].values()} - {""}
    assert ends >= {
        *("rejected", "withdrawn", "expired", "lapsed", "voided"),
        *("done", "failed", "cancelled", "closed"),
    }
    assert told["undone"]
    assert set(told["known"]) - set(told["kinds"]) == NEVER_ALONE
    assert set(told["known"]) <= KINDS


def test_its_ledger_is_proved_and_says_what_it_said(release, copied):
    told = stored(release, "ledger.json")
    del told["known"]
    with Ledger(*files(copied)) as ledger:
        proof = ledger.verify()
        assert (proof.holds, proof.entries) == (True, told["entries"]), proof.says
        assert proof.anchors > 0
        assert write.contents(ledger) == told
        ledger.rebuild()
        assert write.contents(ledger) == told


def back_then(copied):
    """A clock that goes on a minute after the newest entry: the deadlines of open tickets are absolute, and pass."""
    with Reader(copied / "ledger.db") as reader:
        newest = max(datetime.fromisoformat(one.at) for one in reader.every())
    ahead = newest + timedelta(minutes=1) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + ahead


def test_its_ledger_goes_on_and_so_does_every_open_ticket(release, copied):
    told = stored(release, "ledger.json")
    opened = {name: one for name, one in told["tickets"].items() if one["state"] != "ended"}
    with Ledger(*files(copied), clock=back_then(copied)) as ledger:
        assert ledger.append("os:ops1", entry_data("asked")).seq == told["entries"] + 1
        for name, one in opened.items():
            carry_to_its_end(ledger, name, one)
        assert {ledger.ticket(name).end for name in opened} == {"done"}
        assert ledger.locks() == {}
        proof = ledger.verify()
        assert proof.holds, proof.says
    with Ledger(*files(copied)) as ledger:
        assert ledger.ticket(next(iter(opened))).end == "done"


def test_what_is_open_in_it_when_its_deadline_has_passed_only_expires(release, copied):
    """Years later: nothing of what was approved then starts, and new tickets do."""
    told = stored(release, "ledger.json")
    with Ledger(*files(copied), clock=lambda: datetime(3000, 1, 1, tzinfo=UTC)) as ledger:
        assert ledger.append("os:ops1", entry_data("asked")).seq == told["entries"] + 1
        approved = [name for name, one in told["tickets"].items() if one["state"] == "approved"]
        for name in approved:
            with pytest.raises(Expired):
                ledger.append("bot", entry_data("started", attempt=1, locks=[f"node:{name}"]), name)
            ledger.append("bot", entry_data("lapsed", reason="It could not start in time."), name)
        assert approved
        assert {ledger.ticket(name).end for name in approved} == {"lapsed"}
        assert ledger.verify().holds


def carry_to_its_end(ledger, name, one):
    """On from wherever it stands."""
    other = "T0PRACTICE/U0ANOTHER"
    if one["state"] == "proposed":
        decision = entry_data("approved", by=other, digest=one["digest"])
        ledger.append(other, decision, name)
    if one["state"] in ("proposed", "approved"):
        ledger.append("bot", entry_data("started", attempt=1, locks=[f"node:{name}"]), name)
    if one["state"] == "interrupted":
        rests = ledger.ticket(name)
        locks = sorted(rests.locks) if rests.yields_locks else ()
        ledger.append(other, entry_data("resumed", by=other, attempt=rests.attempt + 1, locks=locks), name)
    ticket = ledger.ticket(name)
    step, turn = ticket.intent[:2] if ticket.intent else ("drain", 1)
    about = {"step": step, "round": turn, "attempt": ticket.attempt}
    if ticket.intent is None:
        ledger.append("bot", entry_data("intent", about), name)
    ledger.append("bot", entry_data("outcome", about, result="done"), name)
    ledger.append("bot", entry_data("done", attempt=ticket.attempt), name)


def test_one_entry_of_it_that_is_altered_is_found(copied):
    database = sqlite3.connect(copied / "ledger.db")
    triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("UPDATE entry SET body = json_set(body, '$.actor', 'T0/U9') WHERE seq = 5")
    for _, sql in triggers:
        database.execute(sql)
    database.commit()
    database.close()
    ended = hvops("audit", "verify", copied / "ledger.db", "--key", copied / "ledger.key")
    assert (ended.returncode, "BROKEN at entry 5" in ended.stdout) == (1, True), ended.stdout


def test_the_command_line_reads_it(release, copied):
    database = copied / "ledger.db"
    proof = proved(database, copied)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    told = stored(release, "ledger.json")
    assert f"Holds: {told['entries']} entries" in proof.stdout.replace(",", "")
    with Reader(database) as reader:
        assert {entry.ticket for entry in reader.every() if entry.ticket} >= set(told["tickets"])
        assert [entry.seq for entry in reader.every() if entry.data is None] == []


def test_the_story_of_each_ticket_of_it_is_told(release, copied, capsys):
    with Reader(copied / "ledger.db") as reader:
        for name in stored(release, "ledger.json")["tickets"]:
            print_one(reader, name, evidence=True, whole=True)
            assert f"{name}:" in capsys.readouterr().out


@pytest.mark.postgresql
def test_it_moves_into_a_database_and_goes_on_there(release, copied, postgresql_cluster, monkeypatch):
    database, clock = postgresql_cluster.database(), back_then(copied)
    settings = copied / "move.toml"
    settings.write_text(
        'inventory = "nowhere.toml"\n[credentials.reader]\ntransport = "kerberos"\n[ledger]\n', encoding="utf-8"
    )
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", database.url)
    ended = hvops("ledger", "move", "--settings", settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = stored(release, "ledger.json")
    with Ledger(Database(database.url), *files(copied)[1:], clock=clock) as ledger:
        moved = write.contents(ledger)
        assert (moved["tickets"], moved["held"], moved["undone"]) == (told["tickets"], told["held"], told["undone"])
        for name, one in told["tickets"].items():
            if one["state"] != "ended":
                carry_to_its_end(ledger, name, one)
        assert ledger.locks() == {}
        assert ledger.verify().holds


def test_its_exports_are_written_with_all_that_was_in_them(release, copied):
    again = write.exported(copied)
    before = list(csv.reader((release / "audit.csv").read_text(encoding="utf-8").splitlines()))
    now = list(csv.reader(again["audit.csv"].splitlines()))
    assert [name for name in before[0] if name not in now[0]] == []
    assert len(now) >= len(before) > 1
    lines = [json.loads(line) for line in (release / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    since = [json.loads(line) for line in again["audit.jsonl"].splitlines()]
    assert lost(lines, since) == {}
    kept = ("seq", "at", "kind", "actor", "ticket", "data", "mac")
    assert [[one[name] for name in kept] for one in since] == [[one[name] for name in kept] for one in lines]


def test_its_export_for_people_is_still_a_ledger(release, copied):
    proof = proved(copied / "audit.db", copied)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert str(stored(release, "ledger.json")["entries"]) in proof.stdout.replace(",", "")


# --- settings and inventory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["settings", "inventory"])
def test_its_files_are_read_as_they_were(release, name):
    told, now = stored(release, f"{name}.json"), write.read_files(release)[name]
    assert differences(told, now) == []


def differences(told, now, at=""):
    """Where a key is gone or has another value. What was added since is no difference."""
    if isinstance(told, dict) and isinstance(now, dict):
        return [each for key, one in told.items() for each in differences(one, now.get(key), f"{at}.{key}")]
    if isinstance(told, list) and isinstance(now, list) and len(told) == len(now):
        pairs = enumerate(zip(told, now, strict=True))
        return [each for place, (one, other) in pairs for each in differences(one, other, f"{at}[{place}]")]
    return [] if told == now else [f"{at}: {told!r} was read, now {now!r}"]


def test_its_settings_may_name_a_database_for_the_ledger(copied, monkeypatch):
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", "postgresql://hvops@db1/hvops?sslmode=verify-full")
    assert isinstance(load_settings(copied / "settings.toml").ledger.place, Database)


# --- what is printed for programs --------------------------------------------------------------------------------


def lost(told, now):
    """Paths of a JSON value that are gone, or where another type stands."""
    before, since = write.shape(told), write.shape(now)
    return {path: types for path, types in before.items() if not types & since.get(path, set())}


@pytest.mark.parametrize("name", write.PRINTED)
def test_its_json_has_each_key_still_with_a_value_of_the_same_type(release, name):
    if not (release / "printed" / name).exists():
        return  # a later version added it: this one promised nothing
    gone = lost(stored(release, f"printed/{name}"), json.loads(write.printed(name)))
    assert gone.keys() == BROKEN.get((release.name, name), set())


def test_each_check_of_doctor_has_its_keys_still(release):
    before = [
        json.loads(line) for line in (release / "printed" / "doctor.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    now = [json.loads(line) for line in write.checked().splitlines()]
    assert lost(before, now) == {}
    assert {one["status"] for one in now} <= {"OK", "WARN", "FAIL", "SKIP"}
    assert now


def test_a_key_that_is_gone_or_another_type_is_seen():
    told = {"report": {"findings": [{"target": "hv01", "lines": []}]}, "exit_code": 1}
    assert lost(told, {"report": {"findings": [{"target": "hv02", "lines": [], "new": 1}]}, "exit_code": 0}) == {}
    assert set(lost(told, {"report": {"findings": [{"target": None}]}, "exit_code": "1"})) == {
        "report.findings.[].target",
        "report.findings.[].lines",
        "exit_code",
    }
    assert differences({"a": {"b": [1]}}, {"a": {"b": [1], "c": 2}}) == []
    assert differences({"a": {"b": [1]}}, {"a": {"b": [2]}}) == [".a.b[0]: 1 was read, now 2"]


# --- captures and cases ------------------------------------------------------------------------------------------


def test_its_capture_is_asked_again(release):
    ended = hvops("ask", "--lab", release / "capture.json", "--json")
    assert ended.returncode in (0, 1), ended.stderr
    told = json.loads(ended.stdout)
    assert told["command"] == "check-writers"
    assert told["report"]["asked"] == told["report"]["answered"] > 0


def test_its_case_is_played_and_right(release):
    ended = hvops("ask", "--lab", release / "case.toml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "RIGHT" in ended.stdout
