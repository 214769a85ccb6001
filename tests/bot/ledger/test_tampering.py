"""Every way to tamper with a ledger is found, and the entry is named."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
from pathlib import Path

import newer_version
import pytest
from entry_samples import entry_data

from bot.errors import LedgerError, TicketError, UnreadableEntry
from bot.ledger import Ledger
from bot.ledger.entries import RULES_VERSION
from bot.ledger.envelope import EntryDraft, encode, entry_mac
from bot.ledger.key import read_key
from bot.ledger.schema import TABLES, TRIGGERS
from bot.ledger.verify import verify


@pytest.fixture
def book(opened, tmp_path, clock) -> Path:
    """A folder with a ledger of ten questions, an answer with evidence and a running ticket, closed."""
    ledger: Ledger = opened()
    for number in range(10):
        ledger.append("U1", entry_data("asked", {"line": f"/check-writers hv0{number}", "target": f"hv0{number}"}))
    digest = ledger.put_blob(b"raw answer")
    ledger.append("U1", entry_data("answered", {"asked": 10, "answer": "t", "report": digest, "evidence": None}))
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30), "target": "hv03"}
    ledger.append("U1", entry_data("proposed", proposal))
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), "T-1")
    ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["cluster:prod"]}), "T-1")
    ledger.close()
    return tmp_path


def tamper(folder: Path, *statements: str, keep_triggers: bool = True) -> None:
    """Do what somebody with the file and time can do, and tidy up behind them."""
    database = sqlite3.connect(folder / "ledger.db")
    database.execute("PRAGMA ignore_check_constraints=on")
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(statement)
    if keep_triggers:
        for sql in TRIGGERS.values():
            database.execute(sql.strip())
    database.commit()
    database.close()


def proved(folder: Path):
    return verify(folder / "ledger.db", read_key(folder / "ledger.key"), folder / "anchors.txt")


def refused_to_open(folder: Path) -> str:
    with pytest.raises(LedgerError) as raised:
        Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt")
    return str(raised.value)


def test_an_honest_ledger_holds_and_says_what_was_proved(book):
    verdict = proved(book)
    assert verdict.holds
    assert (verdict.entries, verdict.anchors, verdict.broken_at, verdict.notes) == (14, 14, None, ())
    assert verdict.head.seq == 14


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = replace(body, 'hv04', 'hv09') WHERE seq = 5",
        "UPDATE entry SET body = body || ' ' WHERE seq = 5",
        "UPDATE entry SET mac = zeroblob(32) WHERE seq = 5",
        "UPDATE entry SET body = replace(body, '14:00', '13:00') WHERE seq = 5",
    ],
)
def test_an_edit_is_found(book, statement):
    tamper(book, statement)
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at, verdict.entries) == (False, 5, 4)
    assert "do not match their mac" in verdict.says


def test_missing_indexes_are_found(book):
    tamper(book, "DROP INDEX entry_kind", "DROP INDEX entry_answer", "DROP INDEX entry_ticket")
    assert proved(book).says == "The definition of entry_kind was removed."


@pytest.mark.parametrize(("gone", "says"), [("5", "entry 5 is missing"), ("5, 6, 7", "entries 5 to 7 are missing")])
def test_a_deletion_is_found(book, gone, says):
    tamper(book, f"DELETE FROM entry WHERE seq IN ({gone})")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 5)
    assert says in verdict.says


def test_a_deletion_with_the_numbers_closed_up_is_found(book):
    tamper(
        book,
        "DELETE FROM entry WHERE seq = 5",
        *(f"UPDATE entry SET seq = {n - 1} WHERE seq = {n}" for n in range(6, 15)),
    )
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 5)
    assert "entry 6 stands in its place" in verdict.says


def test_a_reordering_is_found(book):
    swap = ("UPDATE entry SET seq = 99 WHERE seq = 5", "UPDATE entry SET seq = 5 WHERE seq = 6")
    tamper(book, *swap, "UPDATE entry SET seq = 6 WHERE seq = 99")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 5)
    assert "reordered" in verdict.says


def test_an_entry_put_in_without_the_key_is_found(book):
    body = '{"actor":"U1","at":"2026-03-02T14:00:00.000Z","data":{},"id":"x","kind":"asked","seq":15,"ticket":null}'
    head = "(SELECT mac FROM entry WHERE seq = 14)"
    tamper(book, f"INSERT INTO entry (seq, body, previous, mac) VALUES (15, '{body}', {head}, zeroblob(32))")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 15)


def test_a_row_put_in_behind_the_end_is_no_proof_of_a_deletion(book):
    body = '{"actor":"U1","at":"2026-03-02T14:00:00.000Z","data":{},"id":"x","kind":"asked","seq":99,"ticket":null}'
    tamper(book, f"INSERT INTO entry (seq, body, previous, mac) VALUES (99, '{body}', randomblob(32), randomblob(32))")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at, verdict.entries) == (False, 15, 14)
    assert "entries 15 to 98 are missing, and entry 99, the next one there, does not match its mac" in verdict.says


def test_rows_below_the_first_entry_are_named_beside_what_else_is_broken(book):
    body = '{"actor":"U1","at":"2026-03-02T14:00:00.000Z","data":{},"id":"x","kind":"asked","seq":-3,"ticket":null}'
    tamper(
        book,
        f"INSERT INTO entry (seq, body, previous, mac) VALUES (-3, '{body}', randomblob(32), randomblob(32))",
        "DELETE FROM entry WHERE seq = 5",
    )
    verdict = proved(book)
    assert (verdict.broken_at, verdict.entries) == (5, 4)
    assert verdict.notes == ("Entry -3: it was put in, as no entry has a number below 1.",)


def test_a_raw_answer_put_in_is_told_from_an_altered_one(book):
    tamper(book, "INSERT INTO blob VALUES ('00ff', x'00')")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, None)
    assert "A raw answer that no entry names, 00ff…, was put in or altered." in verdict.says


def test_a_raw_answer_that_no_entry_names_is_no_sign_of_anything(book):
    """hvops keeps it before it writes the entry: it may have ended in between."""
    data = b"hv03 is healthy"
    tamper(book, f"INSERT INTO blob VALUES ('{hashlib.sha256(data).hexdigest()}', x'{data.hex()}')")
    assert (proved(book).holds, proved(book).notes) == (True, ())


def define(folder, sql):
    """Have the file say that its table of raw answers was defined so."""
    database = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    database.execute("PRAGMA writable_schema=ON")
    database.execute("UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = 'blob'", (sql,))
    database.close()


@pytest.mark.parametrize("becomes", ["CAST(bytes AS TEXT)", "CAST(x'ff41' AS TEXT)", "17", "NULL"])
def test_a_raw_answer_that_is_no_bytes_any_more_was_altered_and_is_named(book, becomes):
    """Who has the file can put the definition back. What is of another type has no digest, and is shown to nobody."""
    strict = TABLES["blob"].strip()
    define(book, strict.replace("STRICT, ", "").replace("BLOB NOT NULL", "BLOB"))
    tamper(book, f"UPDATE blob SET bytes = {becomes}")
    define(book, strict)
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 11)
    assert "the raw answer" in verdict.says
    digest = hashlib.sha256(b"raw answer").hexdigest()
    with (
        Ledger(book / "ledger.db", book / "ledger.key", book / "anchors.txt") as ledger,
        pytest.raises(LedgerError, match=r"the raw answer .* was altered"),
    ):
        ledger.blob(digest)


def test_a_fork_written_with_the_key_is_found(book):
    """Two writers that both followed entry 4: what stands as entry 6 follows a 5 that is no longer there."""
    key = read_key(book / "ledger.key")
    database = sqlite3.connect(book / "ledger.db")
    fourth = database.execute("SELECT mac FROM entry WHERE seq = 4").fetchone()[0]
    database.close()
    draft = EntryDraft("U9", entry_data("asked", {"line": "/other"}))
    other = encode(5, "2026-03-02T14:00:00.000Z", draft, draft.data.fields, None)
    mac = entry_mac(key, fourth, other)
    tamper(book, f"UPDATE entry SET body = '{other.decode()}', mac = x'{mac.hex()}' WHERE seq = 5")
    (book / "anchors.txt").unlink()
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 6)
    assert "forks" in verdict.says


def test_a_rewrite_with_the_key_is_found_by_the_anchors(book, clock):
    copy = book / "rewritten"
    copy.mkdir()
    shutil.copy(book / "ledger.key", copy)
    ledger = Ledger(copy / "ledger.db", copy / "ledger.key", copy / "anchors.txt", clock=clock)
    for number in range(14):
        ledger.append("U1", entry_data("asked", {"line": f"/nothing-happened {number}"}))
    ledger.close()
    shutil.copy(copy / "ledger.db", book / "ledger.db")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 1)
    assert "somebody with the key rewrote the ledger" in verdict.says


@pytest.mark.parametrize("last", [13, 5, 0])
def test_truncation_is_found_by_the_anchors_and_stops_the_bot(book, last):
    tamper(book, f"DELETE FROM entry WHERE seq > {last}", "DELETE FROM ticket", "DELETE FROM lock")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at, verdict.entries) == (False, last + 1, last)
    assert "cut off: an anchor knows entry" in verdict.says
    assert "knows entry 14: newer entries are gone" in refused_to_open(book)


def test_without_anchors_a_verdict_says_what_it_cannot_know(book):
    (book / "anchors.txt").unlink()
    tamper(book, "DELETE FROM entry WHERE seq > 10", "DELETE FROM ticket", "DELETE FROM lock")
    verdict = proved(book)
    assert verdict.holds
    assert verdict.notes == ("No anchors: whether newer entries were cut off cannot be known.",)


def test_a_ledger_that_vanished_is_not_begun_again(book):
    for file in book.glob("ledger.db*"):
        file.unlink()
    assert "newer entries are gone" in refused_to_open(book)
    (book / "ledger.key").unlink()
    assert "has no key yet, but" in refused_to_open(book)
    assert not (book / "ledger.key").exists()


def test_a_lost_key_is_never_replaced(book):
    (book / "ledger.key").unlink()
    assert "the key of the ledger is missing" in refused_to_open(book)
    assert not (book / "ledger.key").exists()


@pytest.mark.parametrize("text", ["", "too short", "zz" * 32, "00" * 31])
def test_half_a_key_is_no_key(book, text):
    (book / "ledger.key").write_text(text)
    assert "this is no key of a ledger" in refused_to_open(book)


def test_a_wrong_key_is_told_from_an_edit(book):
    (book / "ledger.key").write_text("ab" * 32)
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 1)
    assert "wrong key" in verdict.says
    assert "was not written with the key" in refused_to_open(book)


def test_an_edit_of_the_first_entry_is_told_from_a_wrong_key(book):
    tamper(book, "UPDATE entry SET body = replace(body, 'hv00', 'hv09') WHERE seq = 1")
    verdict = proved(book)
    assert verdict.broken_at == 1
    assert "it was edited" in verdict.says


def test_an_edited_head_stops_the_bot(book):
    tamper(book, "UPDATE entry SET body = replace(body, 'prod', 'none') WHERE seq = 14")
    assert "entry 14 was not written with the key" in refused_to_open(book)


def test_entries_that_vanish_while_the_bot_runs_stop_it(opened, tmp_path):
    ledger = opened()
    for _ in range(3):
        ledger.append("U1", entry_data("asked"))
    tamper(tmp_path, "DELETE FROM entry WHERE seq = 3")
    with pytest.raises(LedgerError, match="entries 3 to 3 have vanished"):
        ledger.append("U1", entry_data("asked"))


def test_a_missing_trigger_or_a_changed_column_is_found(book):
    tamper(book, keep_triggers=False)
    assert proved(book).says == "The definition of entry_follows was removed."


def test_an_entry_is_named_even_where_the_triggers_were_left_out(book):
    tamper(book, "UPDATE entry SET body = replace(body, 'U1', 'U9') WHERE seq = 2", keep_triggers=False)
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 2)
    assert verdict.notes == ("The definition of entry_follows was removed.",)


def test_a_table_that_cannot_even_be_read_is_named(book):
    tamper(book, "ALTER TABLE entry RENAME COLUMN body TO content", keep_triggers=False)
    verdict = proved(book)
    assert not verdict.holds
    assert verdict.says.startswith("The definition of entry")


def test_a_ticket_table_that_says_something_else_is_found_and_rebuilt(book, opened):
    tamper(book, "UPDATE ticket SET approver = 'U1' WHERE id = 'T-1'")
    verdict = proved(book)
    assert not verdict.holds
    assert "the ticket table shows T-1 otherwise" in verdict.says
    ledger = opened()
    ledger.rebuild()
    assert ledger.verify().holds


@pytest.mark.parametrize("statement", ["DELETE FROM lock", "UPDATE lock SET ticket = 'T-9'"])
def test_a_lock_table_that_says_something_else_is_found(book, statement):
    tamper(book, statement)
    assert "the lock table shows other locks" in proved(book).says


def test_an_altered_raw_answer_is_found_by_its_entry(book):
    tamper(book, "UPDATE blob SET bytes = CAST('other' AS BLOB)")
    verdict = proved(book)
    assert (verdict.holds, verdict.broken_at) == (False, 11)
    assert "raw answer" in verdict.says


def test_a_damaged_file_is_found(book):
    file = book / "ledger.db"
    data = bytearray(file.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(data)
    verdict = proved(book)
    assert not verdict.holds
    assert "damaged" in verdict.says


def test_an_index_that_hides_an_entry_from_lists_is_found(book):
    """The table is whole, but whoever asks for refusals or answers would not be shown this one."""
    database = sqlite3.connect(book / "ledger.db")
    root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry_kind'").fetchone()[0]
    size = database.execute("PRAGMA page_size").fetchone()[0]
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray((book / "ledger.db").read_bytes())
    page = slice((root - 1) * size, root * size)
    assert b"answered" in data[page]
    data[page] = data[page].replace(b"answered", b"answeree")
    (book / "ledger.db").write_bytes(data)
    verdict = proved(book)
    assert not verdict.holds
    assert "altered beside them" in verdict.says


def test_no_flipped_bit_makes_the_proof_stumble(book):
    """Whatever was done to the file, there is a verdict, and where entries are concerned it is not that they hold."""
    database = sqlite3.connect(book / "ledger.db")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    honest = (book / "ledger.db").read_bytes()
    chance = random.Random(7)
    bodies = [at for at in range(len(honest)) if honest.startswith(b'{"actor":"U1","at"', at)]
    assert len(bodies) >= 10
    places = [chance.randrange(len(honest)) for _ in range(150)] + [at + chance.randrange(-90, 60) for at in bodies]
    for place in places:
        data = bytearray(honest)
        data[place] ^= 1 << chance.randrange(8)
        copy = book / "copy.db"
        copy.write_bytes(data)
        for beside in ("copy.db-wal", "copy.db-shm"):
            (book / beside).unlink(missing_ok=True)
        try:
            verdict = verify(copy, read_key(book / "ledger.key"), book / "anchors.txt")
        except LedgerError:
            continue  # not even a database any more
        inside = any(at <= place < at + 60 for at in bodies)
        assert not (verdict.holds and inside), place


def test_a_schema_that_is_no_text_any_more_is_said_in_a_sentence(book):
    """SQLite's own complaint then quotes the bytes, and Python cannot read the complaint."""
    with sqlite3.connect(book / "ledger.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = (book / "ledger.db").read_bytes()
    (book / "ledger.db").write_bytes(data.replace(b"AFTER INSERT", b"AFTER \xc5NSERT"))
    assert not proved(book).holds


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = body WHERE seq = 5",
        "DELETE FROM entry WHERE seq = 14",
        "INSERT OR REPLACE INTO entry (seq, body, previous, mac) SELECT seq, body, previous, mac FROM entry WHERE seq = 14",
        "INSERT INTO entry (seq, body, previous, mac) SELECT 99, json_set(body, '$.seq', 99), mac, mac FROM entry WHERE seq = 14",
        "INSERT INTO entry (seq, body, previous, mac) SELECT 15, json_set(body, '$.seq', 15), previous, mac FROM entry WHERE seq = 14",
        "UPDATE blob SET bytes = x'00'",
    ],
)
def test_the_database_itself_refuses_by_accident(book, statement):
    database = sqlite3.connect(book / "ledger.db")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()
    assert proved(book).holds


def test_a_copy_in_a_place_that_cannot_be_written_is_verified(book, tmp_path):
    copy = tmp_path / "archive"
    copy.mkdir()
    shutil.copy(book / "ledger.db", copy / "copy.db")
    (copy / "copy.db").chmod(0o400)
    copy.chmod(0o500)
    try:
        assert verify(copy / "copy.db", read_key(book / "ledger.key"), book / "anchors.txt").holds
    finally:
        copy.chmod(0o700)


def test_no_ledger_at_all_is_an_error_and_not_a_verdict(tmp_path):
    with pytest.raises(LedgerError, match="no such ledger"):
        verify(tmp_path / "none.db", b"k" * 32)


def test_anchors_survive_a_torn_line_and_an_unwritable_moment(opened, tmp_path):
    ledger = opened()
    ledger.append("U1", entry_data("asked"))
    ledger.close()
    with (tmp_path / "anchors.txt").open("a") as file:
        file.write("2 abcd")
    ledger = opened()
    ledger.append("U1", entry_data("asked"))
    assert ledger.verify().anchors == 2
    ledger._anchors._file.close()
    assert ledger.append("U1", entry_data("asked")).seq == 3
    assert "anchor of entry 3 was not written" in ledger.settle_anchors()


def test_anchors_that_cannot_be_written_at_all_are_named_at_the_start(tmp_path):
    with pytest.raises(LedgerError, match="Correct anchor_file"):
        Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "nowhere" / "anchors.txt")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER quiet BEFORE INSERT ON entry WHEN NEW.kind = 'refused' BEGIN SELECT RAISE(IGNORE); END",
        "CREATE VIEW answers AS SELECT 'all is well' AS says",
        "CREATE TABLE entries (says TEXT)",
    ],
)
def test_what_was_added_to_the_file_is_found(book, statement):
    tamper(book, statement)
    verdict = proved(book)
    assert not verdict.holds
    assert "Unexpected" in verdict.says


def test_a_trigger_that_drops_entries_in_silence_is_heard(book):
    """Else a refusal would count as written down that nobody will ever read."""
    tamper(
        book, "CREATE TRIGGER quiet BEFORE INSERT ON entry WHEN NEW.kind = 'refused' BEGIN SELECT RAISE(IGNORE); END"
    )
    with Ledger(book / "ledger.db", book / "ledger.key", book / "anchors.txt") as ledger:
        with pytest.raises(LedgerError, match="not kept as it was written"):
            ledger.append(
                "U9",
                entry_data("refused", {"line": "/check-writers prod", "reason": "no role", "category": "not allowed"}),
            )
        assert ledger.append("U1", entry_data("asked", {"line": "/x"})).seq == 15


def test_an_altered_answer_or_raw_answer_is_shown_to_nobody(book):
    """The proof finds it too, but a button is pressed long before anybody asks for the proof."""
    raw = "UPDATE blob SET bytes = CAST('all is well' AS BLOB)"
    answer = """UPDATE entry SET body = replace(body, '"answer":"t"', '"answer":"forged"') WHERE kind = 'answered'"""
    tamper(book, raw, answer)
    with Ledger(book / "ledger.db", book / "ledger.key", book / "anchors.txt") as ledger:
        with pytest.raises(LedgerError, match="entry 11 was altered"):
            ledger.find_answer("forged")
        with pytest.raises(LedgerError, match="entry 11 was altered"):
            ledger.entry(11)
        with pytest.raises(LedgerError, match="was altered"):
            ledger.blob(hashlib.sha256(b"raw answer").hexdigest())
        assert ledger.blob("0" * 64) is None


def test_a_clock_that_was_set_back_is_told_and_breaks_nothing(opened, clock, tmp_path):
    ledger = opened()
    ledger.now = clock  # as no bot writes: its entries never go back behind the newest
    for minutes in (0, 5, -60, 1, -1, 0):
        clock.forward(minutes=minutes)
        ledger.append('U1","at":"', entry_data("asked", {"line": "/check-writers prod"}))
    ledger.close()
    verdict = proved(tmp_path)
    assert verdict.holds
    (told,) = [note for note in verdict.notes if "clock" in note]
    assert told.startswith("The clock was set back 2 times: entry 3 claims an earlier time than the one before it.")


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_file_that_was_put_in_place_of_an_open_one_is_not_written_past(opened, tmp_path, how):
    """Somebody restores a copy while the bot runs: what it wrote on would be in no file that anybody can open."""
    ledger = opened()
    ledger.append("U1", entry_data("asked", {"line": "/check-writers prod"}))
    copy = tmp_path / "copy.db"
    shutil.copy(ledger.path, copy)
    ledger.append("U1", entry_data("asked", {"line": "/check-writers branch"}))
    if how == "replaced":
        copy.replace(ledger.path)
    else:
        ledger.path.unlink()
    with pytest.raises(LedgerError, match=r"is not the file that was opened.*Nothing was written"):
        ledger.append("U1", entry_data("asked", {"line": "/hvops help"}))
    with pytest.raises(LedgerError, match="is not the file that was opened"):
        ledger.put_blob(b"raw answer")


def stranger(folder, *, entries, key=None):
    """Lines that another ledger would leave in an anchor file, with its own key or with one that is told."""
    other = folder / "other"
    other.mkdir()
    if key:
        shutil.copy(key, other / "ledger.key")
    with Ledger(other / "ledger.db", other / "ledger.key", other / "anchors.txt") as ledger:
        for _ in range(entries):
            ledger.append("U1", entry_data("asked", {"line": "/hvops help"}))
    return (other / "anchors.txt").read_text()


def test_lines_of_another_ledger_are_told_from_a_cut_and_keep_nobody_from_starting(book):
    """Whoever runs hvops with settings that name our anchor file leaves lines of a longer ledger there."""
    with (book / "anchors.txt").open("a") as file:
        file.write(stranger(book, entries=40))
    with Ledger(book / "ledger.db", book / "ledger.key", book / "anchors.txt") as ledger:
        assert ledger.check_recent().anchored
        assert ledger.append("U1", entry_data("asked", {"line": "/x"})).seq == 15
        told = ledger.verify()
    assert (told.broken_at, told.anchors) == (None, 15)
    assert told.notes == ("In the anchor file, 40 anchors are from another ledger and not compared.",)


def test_a_cut_is_found_however_many_foreign_lines_stand_behind_ours(book):
    tamper(book, "DELETE FROM entry WHERE seq > 10", "DELETE FROM ticket", "DELETE FROM lock")
    with (book / "anchors.txt").open("a") as file:
        file.write(stranger(book, entries=60))  # more than the end of the file that is looked at first
    assert "knows entry 14: newer entries are gone" in refused_to_open(book)


def test_a_line_that_claims_our_id_without_our_key_is_called_forged(book):
    ours = (book / "anchors.txt").read_text().splitlines()[-1].split()
    with (book / "anchors.txt").open("a") as file:
        file.write(f"2000 {ours[1]} {ours[2]} {ours[3]}\n")
    told = proved(book)
    assert (told.broken_at, told.anchors) == (None, 14)
    (note,) = told.notes
    assert note.startswith(
        "In the anchor file, 1 anchor claims to be from this ledger but not made with its key: forged"
    )


def test_another_ledger_of_the_same_key_in_place_of_ours_is_refused(book):
    stranger(book, entries=20, key=book / "ledger.key")
    shutil.copy(book / "other" / "ledger.db", book / "ledger.db")
    for left in book.glob("ledger.db-*"):
        left.unlink()
    assert "is not the ledger that" in refused_to_open(book)


def test_an_id_that_was_edited_makes_no_foreign_lines_of_ours(book):
    tamper(book, 'UPDATE entry SET body = replace(body, \'"ledger":"\', \'"ledger":"0\') WHERE seq = 1')
    assert "Entry 1 was not written with this key" in refused_to_open(book)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_anchor_file_is_for_this_account_only_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt").close()
    finally:
        os.umask(before)
    assert (tmp_path / "anchors.txt").stat().st_mode & 0o777 == 0o600


def proposal(clock, **more):
    return entry_data("proposed", {"digest": "d", "policy": "approval", "open_until": clock.later(30), **more})


def test_an_entry_that_the_rules_of_its_time_refuse_breaks_the_proof(opened, clock, tmp_path):
    """However it came there: a run that nobody approved is no footnote."""
    ledger = opened()
    ledger.append("U1", proposal(clock))
    fields = {"attempt": 1, "locks": [], "rules_version": RULES_VERSION}
    seq = newer_version.write(ledger, "started", fields, "T-1")
    verdict = proved(tmp_path)
    assert (verdict.holds, verdict.broken_at) == (False, seq)
    assert verdict.says == "Entry 2 was never allowed: T-1 is proposed; it cannot become started from there."
    for decides in (ledger.is_stopped, ledger.locks, lambda: ledger.ticket("T-1"), ledger.rebuild):
        with pytest.raises(LedgerError, match="entry 2 was never allowed"):
            decides()
    with pytest.raises(LedgerError, match="entry 2 was never allowed"):
        ledger.append("U1", entry_data("withdrawn", {"by": "U1"}), "T-1")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"digest": "of another plan"}, "the approved plan is of anoth, but this one is d"),
        ({"by": "U3"}, "an entry by U2 cannot record an approval by U3"),
    ],
)
def test_an_approval_of_another_plan_or_of_somebody_else_was_never_allowed(opened, clock, tmp_path, told, why):
    ledger = opened()
    ledger.append("U1", proposal(clock))
    fields = {"by": "U2", "digest": "d", "start_by": clock.later(30), **told}
    with pytest.raises(TicketError, match=why):
        ledger.append("U2", entry_data("approved", fields), "T-1")
    newer_version.write(ledger, "approved", fields | {"rules_version": RULES_VERSION}, "T-1", "U2")
    verdict = proved(tmp_path)
    assert (verdict.holds, verdict.broken_at) == (False, 2)
    assert why in verdict.says


def test_a_run_past_a_stop_and_a_lock_of_another_were_never_allowed(opened, clock, tmp_path):
    ledger = opened()
    for _ in range(2):
        ticket = ledger.append("U1", proposal(clock)).ticket
        ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)
    rules = {"rules_version": RULES_VERSION}
    ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    ledger.append("U2", entry_data("stop"))
    act = {"step": "a", "round": 1, "attempt": 1, "description": ""}
    newer_version.write(ledger, "intent", act | rules, "T-1")
    assert "Entry 7 was never allowed: T-1: /hvops stop is in force" in proved(tmp_path).says


def test_an_entry_of_newer_rules_stops_its_own_ticket_and_is_noted(opened, clock, tmp_path):
    ledger = opened()
    for _ in range(2):
        ledger.append("U1", proposal(clock))
    fields = {"attempt": 1, "locks": ["node:hv03"], "rules_version": RULES_VERSION + 1}
    newer_version.write(ledger, "started", fields, "T-1")
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), "T-2")
    with pytest.raises(UnreadableEntry, match="newer rules"):
        ledger.ticket("T-1")
    assert ledger.locks() == {"node:hv03": "T-1"}  # what it has locked is locked
    with pytest.raises(TicketError, match="T-1 holds node:hv03"):
        ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-2")
    verdict = proved(tmp_path)
    assert verdict.holds
    assert not verdict.is_complete
    assert "unaltered; complete" not in verdict.says
    assert [note for note in verdict.notes if "newer rules" in note]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ticket SET requester = 'U9' WHERE id = 'T-2'",
        "UPDATE ticket SET state = 'ended', ending = 'done' WHERE id = 'T-2'",
        "UPDATE lock SET ticket = 'T-2'",
        "DELETE FROM lock",
        "DELETE FROM ticket",
    ],
)
def test_tables_are_compared_also_beside_an_entry_that_cannot_be_read(opened, clock, tmp_path, statement):
    ledger = opened()
    for _ in range(2):
        ledger.append("U1", proposal(clock))
    newer_version.write(ledger, "started", {"attempt": 1, "locks": ["a"], "rules_version": RULES_VERSION + 1}, "T-1")
    assert proved(tmp_path).holds
    tamper(tmp_path, statement)
    verdict = proved(tmp_path)
    assert not verdict.holds
    assert "All entries hold, but the" in verdict.says


@pytest.mark.parametrize(
    ("was_proved", "why"),
    [(True, "it is not the entry that stood there before"), (False, "entries 3 to 3 have vanished")],
)
def test_what_is_cut_off_behind_a_running_bot_decides_nothing(opened, clock, tmp_path, was_proved, why):
    ledger = opened()
    ledger.append("U1", proposal(clock))
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), "T-1")
    ledger.prove()
    ledger.append("U1", entry_data("withdrawn", {"by": "U1"}), "T-1")
    if was_proved:
        ledger.prove()
    tamper(tmp_path, "DELETE FROM entry WHERE seq = 3", "UPDATE ticket SET state = 'approved', ending = ''")
    for decides in (lambda: ledger.ticket("T-1"), lambda: ledger.story("T-1"), lambda: ledger.listed(("approved",))):
        with pytest.raises(LedgerError, match=why):
            decides()


def test_two_processes_follow_each_other(opened, clock):
    """What one of them appends, the other proves before it decides."""
    one, other = opened(), opened()
    one.append("U1", proposal(clock))
    other.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), "T-1")
    assert one.ticket("T-1").state == "approved"
    one.append("U2", entry_data("stop"))
    assert other.is_stopped()
    with pytest.raises(TicketError, match="/hvops stop is in force"):
        other.append("bot", entry_data("started", {"attempt": 1, "locks": []}), "T-1")
    one.append("U2", entry_data("go"))
    other.append("bot", entry_data("started", {"attempt": 1, "locks": ["a"]}), "T-1")
    assert one.locks() == {"a": "T-1"}
    assert (one.verify().holds, one.verify().notes) == (True, ())


def test_a_refused_transition_leaves_nothing_behind(opened, clock):
    """A transaction of which one entry is refused is not in the memory of the ledger either."""
    ledger = opened()
    ledger.append("U1", proposal(clock))
    approval = EntryDraft("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), "T-1")
    with pytest.raises(TicketError):
        ledger.append_together(approval, EntryDraft("U2", entry_data("stop")), approval)
    assert (ledger.ticket("T-1").state, ledger.is_stopped()) == ("proposed", False)
    ledger.append_together(approval, EntryDraft("U1", proposal(clock)))
    assert [one.id for one in ledger.listed(("approved", "proposed"), -1)] == ["T-2", "T-1"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            sqlite3.OperationalError("disk I/O error"),
            "It could not be read to its end, so nothing is proved: disk I/O error.",
        ),
        (sqlite3.DatabaseError("malformed"), "It is damaged: malformed."),
    ],
)
def test_what_cannot_be_read_to_its_end_is_not_called_damaged(book, monkeypatch, fault, says):
    def run(_):
        raise fault

    monkeypatch.setattr("bot.ledger.verify._Proof.run", run)
    proof = verify(book / "ledger.db", read_key(book / "ledger.key"))
    assert (proof.holds, proof.is_complete, proof.says) == (False, False, says)
