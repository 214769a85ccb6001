"""What a connection has read of the definitions is what stands in the file, and nothing else.

Whoever writes to the file can let the bot's open connection read a definition, and put the text back without a new number.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger.schema import EVERYTHING
from bot.ledger.store import StoreRefuses

pytestmark = pytest.mark.sqlite
REFUSALS = ["RAISE(ABORT, 'no')", "json('no')", "no_such_function()", "printf('%*d', 2147483647, 1) || json('no')"]


def written(path, *statements, anew=True):
    """What somebody does to the file, with a new number of its definitions or without one."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as database:
        database.execute("PRAGMA writable_schema=ON")
        for statement, *parameters in statements:
            database.execute(statement, parameters)
        if anew:
            number = database.execute("PRAGMA schema_version").fetchone()[0]
            database.execute(f"PRAGMA schema_version={number + 1}")


def refuses(kind, does):
    return f"CREATE TRIGGER x BEFORE INSERT ON entry WHEN json_extract(NEW.body, '$.kind') = '{kind}' BEGIN SELECT {does}; END"


def put_trigger(path, kind, does):
    """Without asking SQLite whether it makes sense."""
    sql = refuses(kind, does)
    written(path, ("INSERT INTO sqlite_schema VALUES ('trigger', 'x', 'entry', 0, ?)", sql))


def take_trigger(path):
    written(path, ("DELETE FROM sqlite_schema WHERE name = 'x'",), anew=False)


@pytest.fixture
def ticket(ledger, clock):
    proposal = {"digest": "d", "policy": "approval", "open_until": clock.later(30), "target": "hv03"}
    return ledger.append("U1", entry_data("proposed", proposal)).ticket


@pytest.mark.parametrize("kind", ["clicked", "withdrawn", "rejected"])
def test_a_trigger_that_stands_in_the_file_no_more_refuses_nothing(ledger, ticket, kind):
    put_trigger(ledger.path, kind, "RAISE(ABORT, 'no')")
    ledger.put_blob(b"whatever the bot writes meanwhile: its connection reads the definitions")
    take_trigger(ledger.path)
    data = entry_data(kind, {} if kind == "clicked" else {"by": "U2"})
    assert ledger.append("U2", data, ticket).kind == kind
    assert ledger.check_recent().holds


@pytest.mark.parametrize("does", REFUSALS)
def test_a_press_that_the_file_does_not_take_ends_all_deciding(ledger, clock, ticket, does):
    """It is written down before anything is decided by it: where that fails, its person's decision is lost."""
    put_trigger(ledger.path, "clicked", does)
    with pytest.raises(LedgerError, match="Unexpected trigger"):
        ledger.append("U1", entry_data("clicked", {"button": "withdraw"}), ticket)
    with pytest.raises(StoreRefuses):
        ledger.append("U1", entry_data("clicked", {"button": "submit stop"}))
    take_trigger(ledger.path)
    with pytest.raises(LedgerError, match="does not take the entry clicked, which"):
        ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)
    assert not ledger.check_recent().holds


@pytest.mark.parametrize("code", ["BUSY", "FULL", "IOERR", "READONLY", "CANTOPEN"])
def test_a_disk_or_another_process_in_the_way_ends_no_deciding(ledger, clock, ticket, code, monkeypatch):
    def fail(*_):
        error = sqlite3.OperationalError(code)
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{code}")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(ledger._store._database, "execute", fail)
        with pytest.raises(LedgerError, match="cannot be used now"):
            ledger.append("U1", entry_data("clicked", {"button": "withdraw"}), ticket)
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)


def changed(name, old, new):
    assert old in EVERYTHING[name]
    return ("UPDATE sqlite_schema SET sql = ? WHERE name = ?", EVERYTHING[name].replace(old, new), name)


def put(kind, name, table, sql):
    """One more, with the pages of another index, so that SQLite has some for it."""
    root = "SELECT rootpage FROM sqlite_schema WHERE name = 'ticket_state'"
    return (f"INSERT INTO sqlite_schema VALUES (?, ?, ?, ({root}), ?)", kind, name, table, sql)


NEARLY_ALIKE = {
    "a letter in a literal": changed("decisions", "'approved', 'rejected'", "'Approved', 'rejected'"),
    "a blank in a literal": changed("one_end", "'rejected'", "'rejected '"),
    "a letter in a path": changed("entry", "'$.kind'", "'$.Kind'"),
    "a blank more": changed("one_end", "CREATE UNIQUE", "CREATE  UNIQUE"),
    "a remark": changed("one_end", "(ticket)", "(ticket/**/)"),
    "an end before the end": changed("decisions", "'stop', 'go')", "'stop')\0, 'go')"),
    "bytes in place of a text": ("UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE name = 'decisions'",),
    "a collation": changed("ticket", "state TEXT NOT NULL", "state TEXT NOT NULL COLLATE NOCASE"),
    "a table with row numbers": changed("lock", "STRICT, WITHOUT ROWID", "STRICT"),
    "a table that takes any type": changed("entry", ") STRICT", ")"),
    "a column that is stored": changed("entry", "'$.data.answer'))", "'$.data.answer')) STORED"),
    "an index of the same name": put("index", "One_End", "ticket", "CREATE INDEX One_End ON ticket (state)"),
    "an index under another name": put("index", "other", "ticket", "CREATE INDEX one_end ON ticket (state)"),
    "a trigger that is called statistics": put(
        "trigger", "sqlite_stat1", "entry", refuses("withdrawn", "RAISE(IGNORE)").replace(" x ", " sqlite_stat1 ")
    ),
    "a table in place of a function": put("table", "json_each", "json_each", "CREATE TABLE json_each (value)"),
    "a view in place of the schema": put(
        "view", "sqlite_schema", "sqlite_schema", "CREATE VIEW sqlite_schema AS SELECT * FROM sqlite_master"
    ),
}


@pytest.mark.parametrize("statement", NEARLY_ALIKE.values(), ids=NEARLY_ALIKE)
def test_a_definition_that_reads_nearly_alike_is_told_apart(ledger, ticket, statement):
    assert not ledger.is_stopped()
    written(ledger.path, statement)
    with pytest.raises(LedgerError, match=r"definition|Unexpected|malformed"):
        ledger.is_stopped()
    with pytest.raises(LedgerError, match=r"definition|Unexpected|malformed"):
        ledger.append("U2", entry_data("rejected", {"by": "U2"}), ticket)
    assert not ledger.verify().holds


HONEST = EVERYTHING["entry"]
COLUMN = "kind TEXT NOT NULL AS (json_extract(body, '$.kind'))"
LIE = HONEST.replace(
    COLUMN,
    "kind TEXT NOT NULL AS (CASE json_extract(body, '$.kind') WHEN 'approved' THEN 'shown'"
    " ELSE json_extract(body, '$.kind') END)",
)


@pytest.mark.parametrize("looks", ["status", "a list", "a write"])
def test_a_column_that_lied_once_hides_no_approval_from_the_audit_channel(ledger, clock, ticket, looks):
    ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)
    assert LIE != HONEST
    written(ledger.path, ("UPDATE sqlite_schema SET sql = ? WHERE name = 'entry'", LIE))
    if looks == "status":
        assert not ledger.check_recent().holds
    elif looks == "a list":
        ledger.entries(limit=5)
    else:
        ledger.put_blob(b"anything")
    with pytest.raises(LedgerError, match="definition of entry"):
        ledger.following(("approved",), 0, 5)
    written(ledger.path, ("UPDATE sqlite_schema SET sql = ? WHERE name = 'entry'", HONEST), anew=False)
    assert [one.kind for one in ledger.following(("approved",), 0, 5)] == ["approved"]


COLUMNS = {
    "line": "'/other x'",
    "target": "'hv09'",
    "requester": "'U9'",
    "digest": "'e'",
    "open_until": "'2999-01-01T00:00:00Z'",
    "attempt": "7",
    "last_entry": "999",
    "number": "77",
}


@pytest.mark.parametrize(("column", "value"), COLUMNS.items(), ids=COLUMNS)
def test_a_row_of_an_open_ticket_that_says_something_else_ends_all_deciding(ledger, clock, ticket, column, value):
    written(ledger.path, (f"UPDATE ticket SET {column} = {value} WHERE id = 'T-1'",), anew=False)
    assert not ledger.check_recent().holds
    with pytest.raises(LedgerError, match=f"T-1 with another {column}"):
        ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)
