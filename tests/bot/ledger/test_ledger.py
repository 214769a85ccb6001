"""Appending to the ledger and reading it back."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import struct
import tracemalloc
from datetime import datetime, timedelta

import pytest
import sqlite_utils.db
from entry_samples import entry_data

from bot.errors import Expired, LedgerError, StopNotWritten, TicketError
from bot.ledger import EntryDraft, Filter, Ledger, Reader
from bot.ledger.anchors import anchors_in, newest
from bot.ledger.entries import Asked, Intent
from bot.ledger.envelope import to_timestamp
from bot.ledger.key import read_key
from bot.ledger.sqlite_store import SqliteStore, _translated
from bot.ledger.verify import verify
from bot.redaction import Redactor

KEY_AND_ANCHORS = ("ledger.key", "anchors.txt")
BESIDE = ("ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.db.runner", "ledger.db.board")


def asked(ledger, target="prod", actor="T1/U1"):
    return ledger.append(
        actor, entry_data("asked", {"line": f"/check-writers {target}", "target": target, "via": "slack"})
    )


def answered(ledger, question, token="a1", **more):
    return ledger.append(
        "T1/U1", entry_data("answered", {"asked": question.seq, "answer": token, "target": "prod", **more})
    )


def test_an_entry_comes_back_as_it_was_appended(ledger):
    entry = ledger.append("T1/U1", entry_data("asked", {"line": "/check-writers prød", "click": 3, "target": ""}))
    assert ledger.entry(1) == entry == ledger.head()
    assert (entry.seq, entry.kind, entry.actor, entry.ticket) == (1, "asked", "T1/U1", None)
    assert entry.at == "2026-03-02T14:00:00.000Z"
    assert entry.fields == {"line": "/check-writers prød", "click": 3, "target": ""}
    assert entry.data == Asked(line="/check-writers prød", click=3, target="")
    assert ledger.entry(2) is None


def test_an_empty_ledger_has_no_head_and_holds(ledger):
    assert ledger.head() is None
    assert ledger.entries() == []
    assert ledger.verify().holds


def test_the_stored_bytes_are_canonical_json(ledger, tmp_path):
    ledger.append("U", entry_data("asked", {"line": "/x", "click": 1, "name": "é"}))
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        body = database.execute("SELECT body FROM entry").fetchone()[0]
    database.close()
    assert len(bytes.fromhex(ledger.seal.ledger)) == 8
    assert body == (
        '{"actor":"U","at":"2026-03-02T14:00:00.000Z","data":{"click":1,"line":"/x","name":"é"},'
        f'"id":"{ledger.head().id}","kind":"asked","ledger":"{ledger.seal.ledger}","seq":1,"ticket":null}}'
    )


def test_secrets_never_enter(ledger, tmp_path):
    ledger.append("U", entry_data("refused", {"line": "/x hunter2", "reason": "password=abcdef"}))
    digest = ledger.put_blob(b'{"raw": "xoxb-1-secret and hunter2"}')
    assert json.loads(ledger.blob(digest)) == {"raw": "[masked] and [masked]"}
    ledger.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))
    assert b"masked" in everything
    assert not any(secret in everything for secret in (b"hunter2", b"abcdef", b"xoxb-1-secret"))


def test_a_secret_of_digits_enters_as_no_number_and_stops_no_count(opened):
    """What others told is masked, whatever its type; numbers of the entry itself are those of the ledger and stay."""
    ledger = opened(mask=Redactor(["20261130"]))
    told = {"line": "/x", "samples": [{"on": "hv01", "what": "space", "fields": {"free": 20261130, "at": 7}}]}
    entry = ledger.append("U", entry_data("answered", {"asked": 20261130, "answer": "t", **told}))
    assert entry.fields["samples"][0]["fields"] == {"free": "[masked]", "at": 7}
    assert entry.data.asked == 20261130
    digest = ledger.put_blob(b'{"EFI": 20261130, "password": {"value": ["abc"]}}')
    assert json.loads(ledger.blob(digest)) == {"EFI": "[masked]", "password": {"value": ["[masked]"]}}


def test_hostile_values_do_not_stop_the_ledger(ledger):
    line = '"); -- \\u0000, \\\\u0000'  # what PostgreSQL's copy of a body would take for the escape of NUL
    entry = ledger.append("U", entry_data("asked", {"name": "half \ud800 of one", "target": "a\x00b", "line": line}))
    assert entry.fields == {
        "name": "half ? of one",
        "target": "a\ufffdb",
        "line": '"); -- \\ufffd, \\\\ufffd',
    }
    assert Intent(step="s", round=1, attempt=1, description="", before=[{"big": 2**64}]).before == [{"big": str(2**64)}]
    assert ledger.entry(1).data == entry.data
    proposal = {
        "digest": "d",
        "policy": "approval",
        "open_until": "2999-01-01T00:00:00Z",
        "target": "a\x00b",
        "line": line,
    }
    ledger.append("U1", entry_data("proposed", proposal))
    assert ledger.verify().holds
    assert ledger.check_recent().holds


def test_fractions_and_unknown_kinds_are_refused(ledger):
    with pytest.raises(LedgerError, match="whole tenths"):
        ledger.append("U", entry_data("answered", {"samples": [1.5]}))
    with pytest.raises(LedgerError, match="no kind of entry named 'aksed'"):
        ledger.append("U", entry_data("aksed"))
    with pytest.raises(TicketError, match="belongs to no ticket"):
        ledger.append("U", entry_data("asked"), "T-1")
    assert ledger.head() is None


def test_several_entries_are_all_or_none(ledger):
    with pytest.raises(LedgerError):
        ledger.append_together(EntryDraft("U", entry_data("asked")), EntryDraft("U", entry_data("nonsense")))
    assert ledger.head() is None
    both = ledger.append_together(EntryDraft("U", entry_data("asked")), EntryDraft("U", entry_data("refused")))
    assert [entry.seq for entry in both] == [1, 2]
    assert ledger.verify().holds


def test_entries_are_found_by_each_of_their_sides(ledger, clock):
    first = asked(ledger)
    clock.forward(10)
    asked(ledger, "branch", "T1/U2")
    asked(ledger, "prod KB2607712")
    answered(ledger, first)
    numbers = lambda **wanted: [entry.seq for entry in ledger.entries(**wanted)]  # noqa: E731
    assert numbers() == [4, 3, 2, 1]
    assert numbers(newest_first=False, limit=2) == [1, 2]
    assert numbers(kind="asked") == [3, 2, 1]
    assert numbers(kind=("answered", "refused")) == [4]
    assert numbers(kind=()) == []
    assert numbers(actor="T1/U2") == [2]
    assert numbers(target="PROD") == [4, 3, 1]
    assert numbers(since=clock.now) == [4, 3, 2]
    assert numbers(until=clock.now) == [1]
    assert numbers(since=clock.now - timedelta(minutes=10), until=clock.now) == [1]
    assert numbers(before=3, limit=1) == [2]


def test_text_is_found_in_entries_reports_and_evidence(ledger):
    raw = ledger.put_blob(json.dumps(["State: [5] error 0x800423F4, 100%_done\\"]).encode())
    asked(ledger)
    answered(ledger, ledger.head(), report=raw, evidence=None)
    numbers = lambda text: [entry.seq for entry in ledger.entries(text=text)]  # noqa: E731
    assert numbers("check-WRITERS") == [1]
    assert numbers("0x800423f4") == [2]
    assert numbers("0x800423f4 prod") == [2]
    assert numbers("0x800423f4 branch") == []
    assert numbers("100%_done") == [2]
    assert numbers("1%0") == numbers("_rod") == []
    assert numbers('"prod"') == []


def test_every_entry_of_a_long_ledger_is_walked(ledger, monkeypatch):
    monkeypatch.setattr("bot.ledger.queries.PAGE", 2)
    for _ in range(5):
        asked(ledger)
    ledger.append("U", entry_data("refused"))
    assert [entry.seq for entry in ledger.every()] == [1, 2, 3, 4, 5, 6]
    assert [entry.seq for entry in ledger.every(Filter(kind="asked", after=2))] == [3, 4, 5]


def test_an_answer_is_found_by_its_token_and_a_token_is_given_once(ledger):
    question = asked(ledger)
    entry = answered(ledger, question, "token-1")
    assert ledger.find_answer("token-1") == entry
    assert ledger.find_answer("token-2") is None
    with pytest.raises(LedgerError):
        answered(ledger, question, "token-1")


def test_samples_are_recalled_oldest_first(ledger, clock):
    question = asked(ledger)
    samples = [
        {"on": "hv03", "what": "writer", "fields": {"instance": "{a}", "state": 5}},
        {"on": "hv01", "what": "writer", "fields": {"state": 1}},
        {"on": "hv03", "what": "patch", "fields": {}},
    ]
    answered(ledger, question, "t1", samples=samples)
    clock.forward(2)
    answered(ledger, question, "t2", samples=[{"on": "HV03", "what": "writer", "fields": {"state": 1}}])
    began = clock.now - timedelta(minutes=2)
    assert ledger.recall("hv03", "writer", began) == [
        {"instance": "{a}", "state": 5, "at": "2026-03-02T14:00:00.000Z"},
        {"state": 1, "at": "2026-03-02T14:02:00.000Z"},
    ]
    assert ledger.recall("hv03", "writer", clock.now) == [{"state": 1, "at": "2026-03-02T14:02:00.000Z"}]
    assert ledger.recall("hv09", "writer", began) == []


def test_of_more_samples_than_answers_can_hold_the_newest_are_recalled(ledger, clock, monkeypatch):
    monkeypatch.setattr("bot.ledger.queries.MOST_SAMPLES", 100)
    question = asked(ledger)
    began = clock.now
    for answer in range(30):
        clock.forward(1)
        many = [{"on": "hv03", "what": "writer", "fields": {"state": answer}}] * 10
        answered(ledger, question, f"t{answer}", samples=many)
    states = [row["state"] for row in ledger.recall("hv03", "writer", began)]
    assert states == sorted(states)
    assert states[-1] == 29
    assert 100 <= len(states) < 200


def test_the_same_bytes_are_kept_once_and_may_be_dropped(ledger, tmp_path):
    digest = ledger.put_blob(b"raw")
    assert ledger.put_blob(b"raw") == digest
    answered(ledger, asked(ledger), report=digest, evidence=digest)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        assert database.execute("SELECT count(*) FROM blob").fetchone() == (1,)
        database.execute("DELETE FROM blob")
    database.close()
    assert ledger.blob(digest) is None
    verdict = ledger.verify()
    assert verdict.holds
    assert verdict.notes == ("1 entry names raw answers that were dropped.",)


def test_files_are_readable_by_their_account_only(ledger, tmp_path):
    asked(ledger)
    for name in ("ledger.db", "ledger.db-wal", "ledger.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_a_closed_ledger_refuses_in_words(ledger):
    ledger.close()
    with pytest.raises(LedgerError, match="Nothing was written"):
        asked(ledger)


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(ledger):
    asked(ledger)
    pages = ledger._store.rows("PRAGMA page_count")[0][0]
    ledger._store.write(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(LedgerError, match=r"full\. Nothing was written"):
        ledger.append("U", entry_data("asked", {"line": "x" * 100_000}))
    ledger._store.write("PRAGMA max_page_count=1000000")
    assert asked(ledger).seq == 2
    assert ledger.verify().holds


def test_the_views_read_as_they_promise(ledger, tmp_path):
    question = asked(ledger)
    answered(ledger, question, verdict="prod: all well", seconds_tenths=12)
    ledger.append("U", entry_data("refused", {"line": "/x", "category": "not understood", "reason": "no such command"}))
    database = sqlite3.connect(tmp_path / "ledger.db")
    assert database.execute("SELECT line, outcome, message, seconds FROM questions").fetchall() == [
        ("/check-writers prod", "answered", "prod: all well", 1.2)
    ]
    assert database.execute("SELECT category, reason FROM refusals").fetchall() == [
        ("not understood", "no such command")
    ]
    assert [row[0] for row in database.execute("SELECT seq FROM timeline")] == [3, 2, 1]
    database.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path, opened):
    (tmp_path / "ledger.db").write_text("this is no database, and long enough to be looked at" * 50)
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        opened()
    (tmp_path / "other").mkdir()
    database = sqlite3.connect(tmp_path / "other" / "ledger.db")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(LedgerError, match="not a ledger of this version"):
        opened(tmp_path / "other")


def test_a_directory_that_is_missing_is_named(tmp_path, opened):
    with pytest.raises(LedgerError, match="no such directory"):
        opened(tmp_path / "nowhere")


def exceptions_of(module):
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert found
    return found


@pytest.mark.parametrize("foreign", [*exceptions_of(sqlite3), *exceptions_of(sqlite_utils.db), OverflowError, OSError])
def test_whatever_the_libraries_raise_becomes_a_sentence(tmp_path, foreign):
    with pytest.raises(LedgerError, match=r"ledger\.db"), _translated(tmp_path / "ledger.db"):
        raise foreign.__new__(foreign)  # some want arguments that do not matter here


def test_our_own_errors_pass_as_they_are(tmp_path):
    with pytest.raises(TicketError, match="as it is"), _translated(tmp_path / "ledger.db"):
        raise TicketError("as it is")


def test_what_follows_is_found_from_there_on_and_not_among_all_there_ever_were(ledger):
    for kind in ("stop", "go", "stop", "go", "stop"):
        asked(ledger)
        ledger.append("U2", entry_data(kind))
    assert [(one.kind, one.seq) for one in ledger.following(("stop", "go"), 4, 2)] == [("stop", 6), ("go", 8)]
    plans = []
    rows = ledger._reader.rows
    ledger._reader.rows = lambda sql, values=(): plans.extend(rows(f"EXPLAIN QUERY PLAN {sql}", values)) or []
    ledger._reader.following(("stop", "go"), 4, 2)
    ledger.last_published()
    assert [plan[3] for plan in plans] == ["SEARCH entry USING INTEGER PRIMARY KEY (rowid>?)", "SCAN entry"]


def test_no_entry_claims_an_earlier_time_than_the_one_before_it(opened, clock):
    ledger = opened()
    times = [ledger.append("U", entry_data("asked", {"line": "/x"})).at]
    clock.forward(minutes=-600)
    times.append(ledger.append("U", entry_data("asked", {"line": "/x"})).at)
    ledger.close()
    again = opened()
    assert again.now().isoformat(timespec="milliseconds").replace("+00:00", "Z") == times[0]
    times.append(again.append("U", entry_data("asked", {"line": "/x"})).at)
    assert times == [times[0]] * 3


def test_while_a_clock_is_behind_the_newest_entry_time_goes_on_all_the_same(opened, clock):
    """It was a month ahead once and was put right: nothing may stay open for that month."""
    beats = [100.0]
    ledger = opened(monotonic=lambda: beats[0])
    clock.forward(minutes=30 * 1440)
    first = ledger.append("U", entry_data("asked", {"line": "/x"}))
    clock.forward(minutes=-30 * 1440)
    until = to_timestamp(ledger.now() + timedelta(minutes=30))
    ticket = ledger.append("U1", entry_data("proposed", {"open_until": until, "digest": "d"})).ticket
    beats[0] += 31 * 60
    later = ledger.append("U", entry_data("asked", {"line": "/x"}))
    assert datetime.fromisoformat(later.at) - datetime.fromisoformat(first.at) == timedelta(minutes=31)
    approval = {"by": "U2", "digest": "d", "start_by": to_timestamp(ledger.now() + timedelta(minutes=15))}
    with pytest.raises(Expired):
        ledger.append("U2", entry_data("approved", approval), ticket)
    clock.forward(minutes=60 * 1440)  # once it has come so far again, it alone counts
    assert ledger.now() == clock()


def test_a_clock_that_is_set_back_gives_no_life_to_an_expired_proposal(ledger, clock):
    until = clock.later(minutes=30)
    ticket = ledger.append("U1", entry_data("proposed", {"open_until": until, "digest": "d"})).ticket
    clock.forward(minutes=31)
    ledger.append("U3", entry_data("asked", {"line": "/x"}))
    clock.forward(minutes=-31)
    approval = {"by": "U2", "digest": "d", "start_by": clock.later(minutes=15)}
    with pytest.raises(TicketError):
        ledger.append("U2", entry_data("approved", approval), ticket)


def test_every_ledger_has_an_id_of_its_own_and_keeps_it(opened, tmp_path):
    ledger = opened()
    assert ledger.seal.ledger == ""
    ledger.append("U", entry_data("asked", {"line": "/x"}))
    (tmp_path / "other").mkdir()
    other = opened(tmp_path / "other")
    other.append("U", entry_data("asked", {"line": "/x"}))
    assert ledger.seal.ledger != other.seal.ledger
    assert opened().seal.ledger == ledger.seal.ledger


@pytest.mark.parametrize(
    ("what", "mode", "does"),
    [
        (".", 0o777, r"every account of this machine can replace what is in it .*Run: chmod o-w"),
        (".", 0o757, "every account of this machine can replace what is in it"),
        ("ledger.key", 0o620, r"ledger\.key: other accounts of this machine can write it .*Run: chmod go-w"),
        ("ledger.key", 0o602, "other accounts of this machine can write it"),
        ("ledger.db", 0o646, r"ledger\.db: other accounts of this machine can write it"),
        ("anchors.txt", 0o606, r"anchors\.txt: other accounts of this machine can write it"),
        (
            ".",
            0o1777,
            r"every account of this machine can put files in it .*Run: chmod o-w",
        ),  # SQLite goes by such a file
        (".", 0o1757, "every account of this machine can put files in it"),
        ("ledger.db-journal", 0o606, r"ledger\.db-journal: other accounts of this machine can write it"),
        (".", 0o2775, ""),  # as Kubernetes gives a volume to a group; doctor warns
        ("ledger.db", 0o660, r"ledger\.db: other accounts of this machine can write it .*Run: chmod go-w"),
        ("ledger.db-wal", 0o620, r"ledger\.db-wal: other accounts of this machine can write it"),
        ("ledger.db.runner", 0o620, r"ledger\.db\.runner: other accounts of this machine can write it"),
        ("anchors.txt", 0o620, r"anchors\.txt: other accounts of this machine can write it"),
        ("ledger.db", 0o640, ""),
    ],
)
def test_files_that_others_could_have_put_there_decide_nothing(opened, tmp_path, what, mode, does):
    folder = tmp_path / "data"
    folder.mkdir()
    opened(folder).close()
    (folder / what).touch()
    (folder / what).chmod(mode)
    if not does:
        assert opened(folder).verify().holds
        return
    with pytest.raises(LedgerError, match=does):
        opened(folder)


def test_an_anchor_file_on_another_disk_may_be_of_a_group_that_keeps_it(opened, tmp_path, monkeypatch):
    """Its lines are sealed, and who keeps it may own it; everybody may not write there all the same."""
    monkeypatch.setattr("bot.ledger.key.is_elsewhere", lambda _ledger, _file: True)
    opened().close()
    (tmp_path / "anchors.txt").chmod(0o660)
    opened().close()
    (tmp_path / "anchors.txt").chmod(0o662)
    with pytest.raises(LedgerError, match="other accounts of this machine can write it"):
        opened()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["ledger.db", "ledger.key", "anchors.txt", "link", *BESIDE])
def test_files_of_another_account_decide_nothing(opened, tmp_path, monkeypatch, name):
    opened().close()
    (tmp_path / "anchors.txt").rename(tmp_path / "kept.txt")
    (tmp_path / "anchors.txt").symlink_to(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "kept.txt")
    (tmp_path / name).touch()
    os.chown(tmp_path / name, 12_345, -1, follow_symlinks=False)
    does = rf"run: chown 0 \S+; if not, run: rm \S+{name}" if name in BESIDE else "Run: chown 0"
    with pytest.raises(LedgerError, match=rf"{name} belongs to another account .*{does}"):
        opened()
    os.chown(tmp_path, 12_345, -1)
    assert opened().verify().holds  # root looks at what is that account's
    os.chown(tmp_path / name, 0, -1, follow_symlinks=False)
    monkeypatch.setattr("os.geteuid", lambda: 54_321)
    with pytest.raises(LedgerError, match=rf"{tmp_path} belongs to another account"):
        opened()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("by", ["ledger.db", "link.db"])
def test_no_transaction_that_another_account_planted_is_taken_back_by_whoever_opens_the_ledger(opened, tmp_path, by):
    """SQLite reads -journal as what it has to put back: this one says that the file was empty before."""
    folder = tmp_path / "data"
    folder.mkdir()
    with opened(folder) as ledger:
        asked(ledger)
    (tmp_path / "link.db").symlink_to(folder / "ledger.db")
    place = folder / by if by == "ledger.db" else tmp_path / by
    before, journal = (folder / "ledger.db").read_bytes(), folder / "ledger.db-journal"
    head = struct.pack(">8sIIIII", bytes.fromhex("d9d505f920a163d7"), 0, 0, 0, 512, 4096)
    journal.write_bytes(head.ljust(512, b"\0"))
    os.chown(journal, 12_345, -1)
    for opens in (
        lambda: Ledger(place, folder / "ledger.key", folder / "anchors.txt"),
        lambda: Reader(place),
        lambda: verify(place, read_key(folder / "ledger.key"), folder / "anchors.txt"),
        lambda: SqliteStore(place),
    ):
        with pytest.raises(LedgerError, match=r"ledger\.db-journal belongs to another account \(uid 12345\)"):
            opens()
    assert (folder / "ledger.db").read_bytes() == before
    journal.unlink()
    assert opened(folder).head().seq == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_who_reads_a_ledger_takes_what_its_own_account_put_beside_it(opened, tmp_path, monkeypatch):
    """An auditor, or root, reads the files of the bot's account."""
    ledger = opened()
    asked(ledger)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        os.chown(tmp_path / name, 12_345, -1)
    for uid in (0, 54_321):
        monkeypatch.setattr("os.geteuid", lambda uid=uid: uid)
        with Reader(tmp_path / "ledger.db") as reader:
            assert reader.head().seq == 1


@pytest.mark.parametrize("where", ["ledger.key", "anchors.txt"])
def test_a_key_or_an_anchor_file_where_everybody_can_put_files_is_refused(opened, tmp_path, monkeypatch, where):
    opened().close()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / where).rename(shared / where)
    files = [tmp_path / "ledger.db", *(shared / one if one == where else tmp_path / one for one in KEY_AND_ANCHORS)]
    with pytest.raises(LedgerError, match="every account of this machine can put files in it"):
        Ledger(*files)
    monkeypatch.setattr("bot.ledger.key.is_elsewhere", lambda _ledger, _file: True)
    if where == "anchors.txt":  # whoever keeps it may keep it so
        Ledger(*files).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_anchor_file_on_a_share_may_belong_to_those_who_keep_it(opened, tmp_path, monkeypatch):
    opened().close()
    os.chown(tmp_path / "anchors.txt", 12_345, -1)
    monkeypatch.setattr("bot.ledger.key.is_elsewhere", lambda _ledger, _file: True)
    assert opened().verify().holds


def test_a_line_of_anchors_that_never_ends_is_read_in_pieces(opened, tmp_path):
    """Whoever may append to the file on its share can write one of gigabytes."""
    ledger, path = opened(), tmp_path / "anchors.txt"
    asked(ledger)
    ledger.settle_anchors()
    first = path.read_bytes()
    path.write_bytes(first + b"1" * 20_000_000)
    tracemalloc.start()
    try:
        found = newest(path, ledger.seal)
        assert [one.seq for one in anchors_in(path)] == [1]
        assert (found.seq, ledger.verify().holds) == (1, True)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_follows_an_endless_line_is_an_anchor_again_and_its_end_is_none(opened, tmp_path):
    ledger, path = opened(), tmp_path / "anchors.txt"
    for _ in range(2):
        asked(ledger)
    ledger.settle_anchors()
    first, second = path.read_bytes().splitlines(keepends=True)
    for length in (4097 - len(first), 4096, 9_000):
        path.write_bytes(b"1" * length + first + second)
        assert [one.seq for one in anchors_in(path)] == [2]


def test_a_go_whose_commit_was_of_unknown_fate_ends_no_stop_that_came_meanwhile(ledger):
    """It was written before that stop, which could not be; the answer to its commit came afterwards."""
    ledger.append("U1", entry_data("stop"))
    append = ledger._append

    def away(*_):
        raise LedgerError("the database is away.")

    def late(drafts, *more):
        entries = append(drafts, *more)
        ledger._append = away
        with pytest.raises(StopNotWritten):
            ledger.append("U3", entry_data("stop", {"reason": "smoke in the room"}))
        ledger._append = append
        return entries

    ledger._append = late
    ledger.append("U2", entry_data("go"))
    assert ledger.is_stopped()
    ledger.append("U2", entry_data("go"))
    assert not ledger.is_stopped()
