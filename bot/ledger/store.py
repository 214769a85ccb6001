"""The statements: with `filters` and `beginnings`, which it carries out, all the SQL there is for another database to speak.

One `Store` is one connection under one lock. Writes happen inside `transaction()`, which takes SQLite's write lock
at once (BEGIN IMMEDIATE): whoever reads the head there is the only one who can append to it, in any process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sqlite_utils
import sqlite_utils.db

from bot.errors import LedgerError
from bot.ledger import schema
from bot.ledger.envelope import FIRST, Entry, decode, entry_mac

BUSY_SECONDS = 10.0  # how long to wait for another process's transaction, which lasts milliseconds
_AGAIN_SECONDS = 0.02
# All that SQLite and sqlite-utils can raise; a number too large for SQLite is an OverflowError of Python's, and a
# damaged file may hold text that is none.
_FOREIGN: tuple[type[Exception], ...] = (
    sqlite3.Error,
    sqlite3.Warning,
    OverflowError,
    UnicodeDecodeError,
    *(one for one in vars(sqlite_utils.db).values() if isinstance(one, type) and issubclass(one, Exception)),
)
_LISTED = """id, state, ending, requester, approver, digest, open_until, start_by, attempt, target, line,
    first_entry, last_entry"""
_NEWEST = "SELECT body, previous, mac FROM entry NOT INDEXED ORDER BY seq DESC LIMIT 1"
ENTRY_COLUMNS = "seq, CAST(body AS BLOB), previous, mac"
VERIFY = "Run hvops audit verify."


class FileRefuses(LedgerError):
    """What the file holds was in the way: neither another process's transaction, nor a disk that is full or away."""


class Store:
    """One connection to the ledger's database. Safe between threads.

    Attributes:
        key: with it, every entry that is read is proved by its own mac; without it, whoever reads proves nothing.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, and make the tables in a new file. Raises LedgerError."""
        self.path = path
        self.key: bytes | None = None
        self._opened: tuple[int, int] | None = None
        self._lock = threading.RLock()
        with _translated(path):
            connection = _connect(path, read_only=read_only)
        try:
            with _translated(path):
                self._database = sqlite_utils.Database(connection, execute_plugins=False)
                self._prepare(read_only=read_only)
                self._opened = _identity(path)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold SQLite's write lock: everything inside is committed, or nothing is. Raises LedgerError."""
        with self._lock, _translated(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._must_be_in_place()
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, however long it takes."""
        with self._lock, _translated(self.path):
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.rollback()

    def head(self) -> tuple[bytes, bytes, bytes] | None:
        """Body, previous mac and mac of the newest entry; None in an empty ledger."""
        found = self.rows(f"SELECT CAST(body AS BLOB), previous, mac FROM ({_NEWEST})")  # noqa: S608 - a constant
        return found[0] if found else None

    def insert(self, seq: int, body: bytes, previous: bytes, mac: bytes) -> None:
        """Append an entry; the columns and the ticket table follow by themselves."""
        row = (seq, body.decode("utf-8"), previous, mac)
        self.write("INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)", row)
        if self.link(seq) != (body, previous, mac):  # a trigger that is not ours can drop a row without a word
            raise LedgerError(f"{self.path}: entry {seq} was not kept as it was written. Run hvops audit verify.")

    def link(self, seq: int) -> tuple[bytes, bytes, bytes] | None:
        """Body, previous mac and mac of an entry, as they lie in the file."""
        found = self.rows("SELECT CAST(body AS BLOB), previous, mac FROM entry NOT INDEXED WHERE seq = ?", (seq,))
        return found[0] if found else None

    def select(
        self,
        where: str,
        parameters: Sequence[Any],
        limit: int,
        *,
        newest_first: bool = True,
        kinds: Collection[str] = (),
        ticket: str | None = None,
    ) -> list[Entry]:
        """Entries that match a condition of ours; values only through parameters.

        Raises:
            LedgerError: one of them was altered, or says itself that it is of another kind or ticket than was asked for.
        """
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {ENTRY_COLUMNS} FROM entry WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - our conditions
        found = [self.entry_from(row) for row in self.rows(sql, (*parameters, limit))]
        for one in found:
            if (kinds and one.kind not in kinds) or ticket not in (None, one.ticket):
                raise LedgerError(
                    f"{self.path}: the file lists entry {one.seq} under the wrong kind or ticket. {VERIFY}"
                )
        return found

    def entry_from(self, row: Sequence[Any]) -> Entry:
        """The entry in a row of ENTRY_COLUMNS. Raises LedgerError where it is not what was written, or no entry."""
        seq, body, previous, mac = row
        try:
            if self.key is not None and entry_mac(self.key, previous, body) != mac:
                raise LedgerError(f"{self.path}: entry {seq} was altered. {VERIFY}")
            entry = decode(body, mac)
        except (TypeError, ValueError, KeyError) as error:
            raise LedgerError(f"{self.path}: entry {seq} cannot be read: {error}. {VERIFY}") from None
        if entry.seq != seq:
            raise LedgerError(f"{self.path}: entry {entry.seq} is stored in place of entry {seq}. {VERIFY}")
        return entry

    def check_definitions(self) -> None:
        """The tables, columns, indexes, triggers and views are those of a ledger. Raises LedgerError."""
        says = self.altered_definitions()
        if not says and (version := int(self.rows("PRAGMA user_version")[0][0])) != schema.VERSION:
            says = f"It claims to be of version {version}."
        if says:
            raise LedgerError(f"{self.path}: {says} {VERIFY}")

    def altered_definitions(self) -> str:
        """Which definition is not as a ledger's is, in a sentence, or ""."""
        return schema.altered(self.rows(schema.DEFINITIONS), _of_a_new_ledger())

    def tickets(self, states: Collection[str]) -> list[str]:
        """The ids of the tickets in those states, oldest first."""
        marks = ", ".join("?" * len(states))
        sql = f"SELECT id FROM ticket WHERE state IN ({marks}) ORDER BY number"  # noqa: S608 - question marks
        return [row[0] for row in self.rows(sql, tuple(states))]

    def listed(self, states: Collection[str], limit: int, *, newest_first: bool) -> list[tuple[Any, ...]]:
        """Rows of the ticket table, without reading a single entry, and no more of them than are wanted."""
        order = "DESC" if newest_first else "ASC"
        of_one = f"SELECT * FROM (SELECT {_LISTED}, number FROM ticket WHERE state = ? ORDER BY number {order} LIMIT ?)"  # noqa: S608
        sql = f"{' UNION ALL '.join([of_one] * len(states))} ORDER BY number {order} LIMIT ?"
        told = [word for state in states for word in (state, limit)]
        return [row[:-1] for row in self.rows(sql, (*told, limit))] if states else []

    def counted(self) -> dict[str, int]:
        """How many tickets are in each state that any is in, ended ones left out: there may be very many."""
        sql = "SELECT state, count(*) FROM ticket WHERE state IN ('proposed', 'approved', 'running', 'interrupted') GROUP BY state"
        return {str(state): int(count) for state, count in self.rows(sql)}

    def with_line(self, line: str) -> list[tuple[Any, ...]]:
        """Rows of the ticket table with that very line, the newest first."""
        sql = f"SELECT {_LISTED} FROM ticket WHERE line = ? ORDER BY number DESC"  # noqa: S608 - our columns
        return self.rows(sql, (line,))

    def untold_ends(self) -> list[str]:
        """The ids of the ended tickets whose end no thread tells whole, nor, where they had no message, anybody directly; oldest first."""
        sql = """SELECT id FROM ticket WHERE state = 'ended' AND NOT EXISTS (
            SELECT 1 FROM entry AS told WHERE told.ticket = ticket.id AND told.kind = 'shown'
            AND json_extract(told.body, '$.data.entry') >= ticket.last_entry AND (
                json_extract(told.body, '$.data.what') = 'thread-reply'
                AND json_extract(told.body, '$.data.missing') IS NULL
                OR json_extract(told.body, '$.data.what') = 'missing-part'
                OR json_extract(told.body, '$.data.what') = 'direct-message' AND NOT EXISTS (
                    SELECT 1 FROM entry AS placed WHERE placed.ticket = ticket.id AND placed.kind = 'shown'
                    AND json_extract(placed.body, '$.data.what') = 'ticket-message'))) ORDER BY number"""
        return [row[0] for row in self.rows(sql)]

    def yielding_tickets(self) -> list[str]:
        """The ids of the interrupted tickets that only wait, and gave their locks away for that."""
        sql = """SELECT ticket.id FROM ticket JOIN entry ON entry.seq = ticket.last_entry
            WHERE ticket.state = 'interrupted' AND json_extract(entry.body, '$.data.yields_locks') ORDER BY ticket.number"""
        return [row[0] for row in self.rows(sql)]

    def overdue(self, now: str) -> list[str]:
        """The ids of the proposals that nobody decided in time."""
        return self._late("ticket_late", "proposed", "open_until", now)

    def expiring_approvals(self, now: str) -> list[str]:
        """The ids of the approvals that did not start in time."""
        return self._late("ticket_lapsing", "approved", "start_by", now)

    def _late(self, index: str, state: str, column: str, now: str) -> list[str]:
        # the index is named: SQLite, which has no statistics here, would read all tickets of that state instead
        sql = f"""SELECT id FROM ticket INDEXED BY {index} WHERE state = '{state}'
            AND julianday({column}) < julianday(?) ORDER BY julianday({column})"""  # noqa: S608 - our own words
        return [row[0] for row in self.rows(sql, (now,))]

    def row(self, seq: int) -> tuple[Any, ...] | None:
        """The row of an entry, of ENTRY_COLUMNS, by its number alone."""
        found = self.rows(f"SELECT {ENTRY_COLUMNS} FROM entry NOT INDEXED WHERE seq = ?", (seq,))  # noqa: S608 - our columns
        return found[0] if found else None

    def macs_of_ticket(self, ticket: str, after: int) -> list[tuple[int, bytes]]:
        """Number and mac of the entries of a ticket behind one, oldest first, as the index has them."""
        found = self.rows("SELECT seq, mac FROM entry WHERE ticket = ? AND seq > ? ORDER BY seq", (ticket, after))
        return [(int(seq), bytes(mac)) for seq, mac in found]

    def rows_of_ticket(self, ticket: str, after: int = 0) -> list[tuple[Any, ...]]:
        """The rows of the entries of a ticket behind one, of ENTRY_COLUMNS, oldest first, as the index has them."""
        asked = f"SELECT {ENTRY_COLUMNS} FROM entry WHERE ticket = ? AND seq > ? ORDER BY seq"  # noqa: S608 - our columns
        return self.rows(asked, (ticket, after))

    def of_ticket(self, ticket: str) -> list[Entry]:
        """All entries of a ticket, oldest first, as the index has them."""
        return self.select("ticket = ?", (ticket,), -1, newest_first=False, ticket=ticket)

    def newest_switch(self) -> Entry | None:
        """The newest of the entries stop and go; None before the first."""
        found = self.select("kind IN ('stop', 'go')", (), 1, kinds=("stop", "go"))
        return found[0] if found else None

    def stops_shown(self) -> list[Entry]:
        """The entries that say which channel was told of which stop or go, oldest first: few, among very many others."""
        where = "kind = 'shown' AND json_extract(body, '$.data.what') = 'stop'"
        return self.select(where, (), -1, newest_first=False, kinds=("shown",))

    def following(self, kinds: Collection[str], after: int, limit: int) -> list[Entry]:
        """The next entries of some kinds, oldest first.

        Walks on from `after`: few entries are new, and an index by kind would give all there ever were.
        """
        marks = ", ".join("?" * len(kinds))
        sql = f"""SELECT {ENTRY_COLUMNS} FROM entry NOT INDEXED WHERE seq > ? AND kind IN ({marks})
            ORDER BY seq LIMIT ?"""  # noqa: S608 - question marks
        return [self.entry_from(row) for row in self.rows(sql, (after, *kinds, limit))]

    def last_published(self) -> int:
        """The newest entry up to which the audit channel has been told all; 0 before the first."""
        sql = """SELECT json_extract(body, '$.data.last_published') AS published
            FROM entry NOT INDEXED WHERE kind IN ('shown', 'anchor') AND published IS NOT NULL ORDER BY seq DESC LIMIT 1"""
        found = self.rows(sql)
        return int(found[0][0]) if found else 0

    def locks(self) -> dict[str, str]:
        """Which ticket holds which lock."""
        return {name: line[-1] for name, line in self.lock_claims().items()}

    def lock_claims(self) -> dict[str, tuple[str, ...]]:
        """The tickets that claim each lock; the last one holds it."""
        claims: dict[str, tuple[str, ...]] = {}
        for name, ticket in self.rows("SELECT name, ticket FROM lock ORDER BY name, rank"):
            claims[name] = (*claims.get(name, ()), ticket)
        return claims

    def put_blob(self, sha256: str, data: bytes) -> None:
        """Keep bytes by their digest; the same bytes are kept once."""
        self.write("INSERT INTO blob VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, data))

    def blob(self, sha256: str) -> bytes | None:
        """The bytes of that digest, or None where they were dropped or never were. Raises LedgerError for others."""
        found = self.rows("SELECT bytes FROM blob WHERE sha256 = ?", (sha256,))
        if found and hashlib.sha256(found[0][0]).hexdigest() != sha256:
            raise LedgerError(f"{self.path}: the raw answer {sha256[:12]}… was altered. Run hvops audit verify.")
        return bytes(found[0][0]) if found else None

    def with_samples(self, on: str, what: str, since: str, first: int) -> list[Entry]:
        """The answers and proposals since a time that carry samples about a target, oldest first.

        Walks on from the entry `first`, the first of that time: an index could leave entries out.
        """
        sql = f"""SELECT {ENTRY_COLUMNS} FROM entry NOT INDEXED
            WHERE seq >= ? AND kind IN ('answered', 'proposed') AND at >= ? AND EXISTS (
                SELECT 1 FROM json_each(body, '$.data.samples') AS sample
                WHERE lower(json_extract(sample.value, '$.on')) = lower(?) AND json_extract(sample.value, '$.what') = ?)
            ORDER BY seq"""  # noqa: S608 - our columns
        return [self.entry_from(row) for row in self.rows(sql, (first, since, on, what))]

    def rebuild(self, tickets: Sequence[Mapping[str, Any]], claims: Mapping[str, Sequence[str]]) -> None:
        """Put the derived tables back to what the entries say. Inside a transaction."""
        self.write("DELETE FROM ticket")
        self.write("DELETE FROM lock")
        for row in tickets:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            self.write(f"INSERT INTO ticket ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - our columns
        for name, line in claims.items():
            for rank, ticket in enumerate(line):
                self.write("INSERT INTO lock (name, ticket, rank) VALUES (?, ?, ?)", (name, ticket, rank))

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read all rows. Raises LedgerError."""
        with self._lock, _translated(self.path):
            return list(self._database.execute(sql, parameters).fetchall())

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Read rows one by one; for a connection of one's own, inside `snapshot()`. Raises LedgerError."""
        with _translated(self.path):
            yield from self._database.execute(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement that writes."""
        with self._lock, _translated(self.path):
            self._database.execute(sql, parameters)

    def _prepare(self, *, read_only: bool) -> None:
        if not read_only:
            self._enable_wal()
            # FULL: an entry that was answered for is on the disk, not in a cache, when the power fails.
            self._database.execute("PRAGMA synchronous=FULL")
            with self.transaction():
                if self._version() == 0:
                    for statement in schema.EVERYTHING.values():
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version={schema.VERSION}")
        if (version := self._version()) != schema.VERSION:
            raise LedgerError(f"{self.path}: not a ledger of this version (found {version}, know {schema.VERSION}).")

    def _enable_wal(self) -> None:
        """Two bots may come to a new file at once: here SQLite does not wait for the other one, so this does."""
        ends = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._database.enable_wal()
            except sqlite3.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                return

    def _must_be_in_place(self) -> None:
        """What is written into a file that was moved away or replaced is in no ledger that anybody can open."""
        if self._opened and self._opened != _identity(self.path):
            raise LedgerError(
                f"{self.path} is not the file that was opened: it was moved, removed or replaced. Put the right one back"
                " and start hvops anew. Nothing was written."
            )

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])


@cache
def _of_a_new_ledger() -> frozenset[schema.Definition]:
    database = sqlite3.connect(":memory:")
    try:
        for statement in schema.EVERYTHING.values():
            database.execute(statement)
        return frozenset(database.execute(schema.DEFINITIONS))
    finally:
        database.close()


def _identity(path: Path) -> tuple[int, int]:
    """Which file that is; (0, 0) where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def previous_of(head: tuple[bytes, bytes, bytes] | None) -> bytes:
    """What the next entry chains to."""
    return bytes(head[2]) if head else FIRST


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        return _connect_to_read(path)
    # Made before SQLite does, so that nobody else can read it even for a moment; its -wal and -shm inherit the mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open without any way to write. A copy in a read-only place needs `immutable`: it has no -shm to share."""
    address = path.absolute().as_uri()
    if not path.exists():
        raise FileNotFoundError(path)
    alone = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    mode = "mode=ro&immutable=1" if alone else "mode=ro"
    return sqlite3.connect(
        f"{address}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into LedgerError, once, here."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LedgerError(f"{path}: the ledger cannot be used now: {error}. Nothing was written.") from error
    except _FOREIGN as error:
        kind = FileRefuses if isinstance(error, sqlite3.DatabaseError) else LedgerError
        raise kind(f"{path}: the ledger refuses this, or is damaged: {error}. Nothing was written.") from error
    except FileNotFoundError as error:
        raise LedgerError(f"{path}: there is no such ledger, or no such directory.") from error
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror or error}. Nothing was written.") from error
