"""The tables, as SQLite keeps them. Everything but `body`, `previous`, `mac` and the blobs follows from the bodies.

Columns are generated from the canonical bytes. Whoever can write to the file can change what they show, so nothing
decides by them (see `proved`), and the definitions are compared before anything is decided. Triggers refuse to change
or delete an entry, and keep the `ticket` and `lock` tables, which are there for lists and as a second lock; both can be
rebuilt from the entries. The views are in a file of their own.

A row of `lock` is a claim, which stays until its ticket ends. Of several claims to one lock the one of the highest rank
holds it: it was taken over from the next lower one, which has it again once the higher one has ended. A claim to a lock
that somebody else holds gets that one's rank, which the primary key refuses. The columns of the key come first: where
they do not, an integrity check of SQLite 3.40 takes the others for NULL [seen].
"""

# ruff: noqa: S608 - every part of these statements is a constant of this file

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.ledger import views

VERSION = 2  # PRAGMA user_version
EXPORT = 0x68766F78  # PRAGMA application_id of a file that was written out of a database: "hvox"

_ENDS = "'rejected', 'withdrawn', 'expired', 'lapsed', 'voided', 'done', 'failed', 'cancelled', 'closed'"

ENTRY = """
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY CHECK (seq = json_extract(body, '$.seq')),
    body TEXT NOT NULL,
    previous BLOB NOT NULL UNIQUE CHECK (length(previous) = 32),
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    id TEXT NOT NULL AS (json_extract(body, '$.id')),
    at TEXT NOT NULL AS (json_extract(body, '$.at')),
    kind TEXT NOT NULL AS (json_extract(body, '$.kind')),
    actor TEXT NOT NULL AS (json_extract(body, '$.actor')),
    ticket TEXT AS (json_extract(body, '$.ticket')),
    target TEXT AS (json_extract(body, '$.data.target')),
    line TEXT AS (json_extract(body, '$.data.line')),
    verdict TEXT AS (json_extract(body, '$.data.verdict')),
    answer TEXT AS (json_extract(body, '$.data.answer'))
) STRICT"""

TABLES = {
    "entry": ENTRY,
    "blob": """
CREATE TABLE blob (
    sha256 TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID""",
    "ticket": """
CREATE TABLE ticket (
    id TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    state TEXT NOT NULL,
    ending TEXT NOT NULL,
    requester TEXT NOT NULL,
    approver TEXT NOT NULL,
    digest TEXT NOT NULL,
    open_until TEXT NOT NULL,
    start_by TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    target TEXT NOT NULL,
    line TEXT NOT NULL,
    first_entry INTEGER NOT NULL,
    last_entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    "lock": """
CREATE TABLE lock (
    name TEXT NOT NULL,
    rank INTEGER NOT NULL,
    ticket TEXT NOT NULL,
    PRIMARY KEY (name, rank)
) STRICT, WITHOUT ROWID""",
}

INDEXES = {
    "entry_id": "CREATE UNIQUE INDEX entry_id ON entry (id)",
    "entry_kind": "CREATE INDEX entry_kind ON entry (kind, at)",
    "entry_ticket": "CREATE INDEX entry_ticket ON entry (ticket) WHERE ticket IS NOT NULL",
    "entry_answer": "CREATE UNIQUE INDEX entry_answer ON entry (answer) WHERE kind = 'answered'",
    "entry_person": """CREATE INDEX entry_person ON entry (actor, json_extract(body, '$.data.name'))
    WHERE json_extract(body, '$.data.name') > ''""",
    "one_proposal": "CREATE UNIQUE INDEX one_proposal ON entry (ticket) WHERE kind = 'proposed'",
    "one_decision": """CREATE UNIQUE INDEX one_decision ON entry (ticket)
    WHERE kind IN ('approved', 'rejected', 'expired')""",
    "one_end": f"CREATE UNIQUE INDEX one_end ON entry (ticket) WHERE kind IN ({_ENDS})",
    "one_attempt": """CREATE UNIQUE INDEX one_attempt ON entry (ticket, json_extract(body, '$.data.attempt'))
    WHERE kind IN ('started', 'resumed')""",
    "one_intent": """CREATE UNIQUE INDEX one_intent ON entry (ticket, json_extract(body, '$.data.step'),
    json_extract(body, '$.data.round'), json_extract(body, '$.data.attempt')) WHERE kind = 'intent'""",
    "ticket_state": "CREATE INDEX ticket_state ON ticket (state, number)",
    "ticket_line": "CREATE INDEX ticket_line ON ticket (line, number)",
    "ticket_late": "CREATE INDEX ticket_late ON ticket (julianday(open_until)) WHERE state = 'proposed'",
    "ticket_lapsing": "CREATE INDEX ticket_lapsing ON ticket (julianday(start_by)) WHERE state = 'approved'",
}

TRIGGERS = {
    "entry_follows": """
CREATE TRIGGER entry_follows BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entry)
  OR NEW.previous IS NOT coalesce((SELECT mac FROM entry ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN
    SELECT RAISE(ABORT, 'an entry follows the newest one');
END""",
    "entry_stays": """
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is never changed');
END""",
    "entry_remains": """
CREATE TRIGGER entry_remains BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is never deleted');
END""",
    "blob_stays": """
CREATE TRIGGER blob_stays BEFORE UPDATE ON blob
BEGIN
    SELECT RAISE(ABORT, 'a blob is never changed; it may be deleted');
END""",
    "ticket_opens": """
CREATE TRIGGER ticket_opens AFTER INSERT ON entry WHEN NEW.kind = 'proposed'
BEGIN
    INSERT INTO ticket VALUES (
        NEW.ticket, CAST(substr(NEW.ticket, 3) AS INTEGER), 'proposed', '', NEW.actor, '',
        json_extract(NEW.body, '$.data.digest'), json_extract(NEW.body, '$.data.open_until'), '', 0,
        coalesce(NEW.target, ''), coalesce(NEW.line, ''), NEW.seq, NEW.seq);
END""",
    "ticket_moves": f"""
CREATE TRIGGER ticket_moves AFTER INSERT ON entry
WHEN NEW.ticket IS NOT NULL AND NEW.kind NOT IN ('proposed', 'refused', 'clicked', 'shown')
BEGIN
    UPDATE ticket SET
        state = CASE
            WHEN NEW.kind = 'approved' THEN 'approved'
            WHEN NEW.kind IN ('started', 'resumed') THEN 'running'
            WHEN NEW.kind = 'interrupted' THEN 'interrupted'
            WHEN NEW.kind IN ({_ENDS}) THEN 'ended'
            ELSE state END,
        ending = CASE WHEN NEW.kind IN ({_ENDS}) THEN NEW.kind ELSE ending END,
        approver = CASE WHEN NEW.kind = 'approved' THEN json_extract(NEW.body, '$.data.by') ELSE approver END,
        start_by = CASE WHEN NEW.kind = 'approved' THEN json_extract(NEW.body, '$.data.start_by') ELSE start_by END,
        attempt = CASE WHEN NEW.kind IN ('started', 'resumed')
            THEN json_extract(NEW.body, '$.data.attempt') ELSE attempt END,
        last_entry = NEW.seq
    WHERE id = NEW.ticket;
END""",
    "locks_taken": """
CREATE TRIGGER locks_taken AFTER INSERT ON entry WHEN NEW.kind IN ('started', 'resumed')
BEGIN
    INSERT INTO lock (name, ticket, rank) SELECT DISTINCT value, NEW.ticket, coalesce((
            SELECT rank + (ticket IS json_extract(NEW.body, '$.data.takes_over'))
            FROM lock WHERE name = value ORDER BY rank DESC LIMIT 1), 0)
        FROM json_each(NEW.body, '$.data.locks')
        WHERE NEW.ticket IS NOT (SELECT ticket FROM lock WHERE name = value ORDER BY rank DESC LIMIT 1);
END""",
    "locks_released": f"""
CREATE TRIGGER locks_released AFTER INSERT ON entry WHEN NEW.kind IN ({_ENDS})
BEGIN
    DELETE FROM lock WHERE ticket = NEW.ticket;
END""",
}


EVERYTHING = {name: sql.strip() for name, sql in (TABLES | INDEXES | TRIGGERS | views.VIEWS).items()}

DEFINITIONS = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
Definition = tuple[str, str, str, str | None]  # type, name, table and text, as sqlite_schema has them
_PLAIN_INDEX = re.compile(
    r"CREATE INDEX \w+ ON \w+ ?\(\w+( (ASC|DESC))?(, ?\w+( (ASC|DESC))?)*\)", re.ASCII | re.IGNORECASE
)
_STATISTICS = frozenset({"sqlite_stat1", "sqlite_stat4"})  # what ANALYZE leaves; they cost or save time


def altered(found: Sequence[Definition], wanted: frozenset[Definition]) -> str:
    """What of the definitions found is not as in a new ledger, in a sentence; "" where all is.

    Whoever replaced a column, a trigger, an index or a view would show other things than were written, or do others. An
    index more over plain columns is let be: it decides nothing, and somebody may have wanted quicker lists. One that is
    unique, partial or over an expression could refuse a stop or a withdrawal, and let everything else be written.
    """
    if len(found) == len(wanted) and wanted == frozenset(found):
        return ""
    left = [one for one in found if one[1] not in _STATISTICS or one[0] != "table"]
    known = {(one[0], one[1]): one for one in left}
    names = {name for _, name in known}
    for name in EVERYTHING:
        kind = next(one[0] for one in wanted if one[1] == name)
        if known.get((kind, name)) not in wanted:
            return f"The definition of {name} was {'changed' if name in names else 'removed'}."
    for one in left:
        if one not in wanted and not (_only_sorts(one) and one[1] not in {name for _, name, *_ in wanted}):
            return f"Unexpected {one[0]} in the file: {one[1]}."
    if missing := sorted(wanted - set(left), key=str):
        return f"The definition of {missing[0][1]} was removed."
    twice = next((one for one in left if left.count(one) > 1), None) if len(left) != len(set(left)) else None
    return f"There are two definitions of {twice[1]}." if twice else ""


def _only_sorts(one: Definition) -> bool:
    """Whether that is an index over plain columns, which can refuse no row."""
    return one[0] == "index" and one[3] is not None and _PLAIN_INDEX.fullmatch(one[3]) is not None
