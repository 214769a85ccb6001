"""The ledger in a schema of PostgreSQL's, for bots on more than one machine.

Writes happen inside `transaction()`, under one lock of a table: unlike an advisory lock it takes a right on that table, so
whoever may only connect or read holds up nobody [doc postgresql sql-lock]. An append takes two round trips: the lock, the
head and what else is decided by come back together, and the entries go out together with the commit.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count
from typing import Any, TypeVar

import psycopg

from bot.errors import LedgerError
from bot.ledger import postgresql_schema as schema
from bot.ledger.dialect import POSTGRESQL
from bot.ledger.postgresql_connection import Connection, NoAnswer, Reconnector, connect, must_keep_sessions
from bot.ledger.store import (
    CLAIMS,
    OPEN_SHOWN,
    PAGE,
    VERIFY,
    CommitUnknown,
    Link,
    Row,
    Store,
    StoreRefuses,
    below_first,
)
from bot.ledger_place import Database
from bot.redaction import clip_line, strip_end

# Whoever appends has it. Of that table, as it is the smallest one: autovacuum is through with it in no time.
LOCK = f"LOCK TABLE {schema.SCHEMA}.lock IN SHARE ROW EXCLUSIVE MODE"
LOCK_SECONDS = 5  # how long to wait for another process's transaction, which lasts milliseconds
IDLE_SECONDS = 10  # a transaction whose client has gone ends after that, and with it its lock
Result = TypeVar("Result")
_DURABLE = ("on", "remote_apply")
_OPTIONS = {
    "search_path": f"{schema.SCHEMA},pg_temp",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "standard_conforming_strings": "on",
    # Definitions are compared as they are printed, by connections that began at different times.
    "quote_all_identifiers": "off",
}
_SESSION = """SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('server_encoding'), current_setting('session_replication_role'), pg_is_in_recovery()::text,
    pg_backend_pid()"""
_HEAD = f"SELECT {POSTGRESQL.body()}, previous, mac FROM entry ORDER BY seq DESC LIMIT 1"  # noqa: S608 - our words
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
    LOCK,
    "SELECT current_setting('synchronous_commit')",
    _HEAD,
)
_FROM = f"SELECT seq, {POSTGRESQL.body()}, previous, mac FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?"  # noqa: S608
_COMPARED = (below_first(POSTGRESQL), CLAIMS, OPEN_SHOWN)
# A row that was not kept as it was written divides by zero, which takes the transaction back before its commit.
_INSERT = f"""WITH kept AS (INSERT INTO entry (seq, body, previous, mac) VALUES (%(seq)s, %(body)s, %(previous)s, %(mac)s)
    RETURNING body, previous, mac)
    SELECT 1 / count(*) FROM kept
    WHERE {POSTGRESQL.body()} = %(bytes)s AND previous = %(previous)s AND mac = %(mac)s"""  # noqa: S608 - our words
_known: dict[int, frozenset[schema.Definition]] = {}  # by version of the server


@dataclass(slots=True)
class _Writing:
    """A transaction under the lock: what came with the lock, and what goes with the commit."""

    head: Link | None
    fingerprint: str
    begin: int | None
    ahead: list[Row]
    compared: dict[str, list[tuple[Any, ...]]]  # statement -> its rows, until something is written
    entries: list[dict[str, Any]] = field(default_factory=list)


class PostgresqlStore(Store):
    """A ledger in a database of PostgreSQL's. A connection that was lost is made anew by whoever needs it next."""

    name = "postgresql"
    dialect = POSTGRESQL

    def __init__(self, place: Database, *, read_only: bool = False) -> None:
        """Connect, and make the tables in a database that has none. Raises LedgerError."""
        self.place: Database = place
        self.key: bytes | None = None
        self._read_only = read_only
        self._lock = threading.RLock()
        self._writing: _Writing | None = None
        self._in_snapshot = self._is_closed = False
        self._sound = ""  # the fingerprint of the definitions that were compared last, and were right
        self._cursors = count()
        self._anew = Reconnector(place, partial(self._connect, read_only=read_only))
        with self._translated():
            self._connection = self._connect(read_only=read_only)
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._is_closed = True  # by ourselves: it is not made anew
            self._anew.close()
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self, begin: int | None = None) -> Iterator[None]:
        """Hold the lock of all writers: everything inside is committed, or nothing is.

        Args:
            begin: the entries from there on are wanted inside; they come with the lock.

        Raises:
            LedgerError: nothing was written.
            CommitUnknown: the connection was lost while it was committed.
        """
        with self._lock, self._translated():
            self._writing = self._begin(begin)
            try:
                yield
                self._commit(self._writing)
            except BaseException:
                self._take_back()
                raise
            finally:
                self._writing = None

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, however long it takes."""
        with self._lock, self._translated():
            self._anew_where_lost(lambda: self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            self._in_snapshot = True
            try:
                yield
            finally:
                self._in_snapshot = False
                self._take_back()

    def head(self) -> Link | None:
        """Body, previous mac and mac of the newest entry; None in an empty ledger."""
        writing = self._writing
        if writing is not None and not writing.entries:
            return writing.head
        return super().head()

    def insert(self, seq: int, body: bytes, previous: bytes, mac: bytes) -> None:
        """Append an entry, at the latest with the commit. Inside a transaction."""
        assert self._writing is not None
        text = body.decode("utf-8")
        row = {"seq": seq, "body": text, "bytes": body, "previous": previous, "mac": mac}
        self._writing.entries.append(row)
        self._writing.compared.clear()

    def walk(self, begin: int = -(2**63), most: int = -1) -> Iterator[Row]:
        """Number, body, previous mac and mac of the entries from a number on. Inside a snapshot or a transaction."""
        left = most
        while left:
            page = self._page(begin, PAGE if left < 0 else min(left, PAGE))
            yield from page
            if len(page) < PAGE:
                return
            begin, left = page[-1][0] + 1, left - len(page) if left > 0 else left

    def mac_of(self, seq: int) -> bytes | None:
        """The mac of an entry; None where there is none of that number."""
        writing = self._writing
        if writing is not None and writing.begin is not None and seq >= writing.begin:
            for number, *_, mac in writing.ahead:
                if number == seq:
                    return mac
        return super().mac_of(seq)

    def again(self) -> PostgresqlStore:
        """Another connection to the same database, only for reading. Raises LedgerError."""
        return PostgresqlStore(self.place, read_only=True)

    def check_definitions(self) -> None:
        """The tables, columns, indexes, triggers and functions are those of a ledger. Raises LedgerError.

        They are compared whole where the catalogue was written since they were last.
        """
        writing = self._writing
        fingerprint = writing.fingerprint if writing is not None else ""
        fingerprint = fingerprint or str(self.rows(schema.FINGERPRINT)[0][0])
        if fingerprint == self._sound:
            return
        if says := self.altered_definitions():
            raise LedgerError(f"{self.place}: {says} {VERIFY}")
        self._sound = fingerprint

    def altered_definitions(self) -> str:
        """Which definition is not as a ledger's is, in a sentence, or ""."""
        found = self.rows(schema.definitions(schema.SCHEMA))
        return schema.altered(schema.as_found(found), self._of_a_new_ledger())

    def integrity(self) -> str:
        """Whether the stored columns are what the bodies say, "ok" where they are."""
        try:
            with self.snapshot():
                found = self.rows(schema.UNLIKE_ITS_BODY)[0][0]
        except LedgerError as error:
            return str(error.__cause__ or error)
        return "ok" if found is None else f"the columns of entry {found} are not what its body says"

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read all rows; question marks stand for the parameters. Raises LedgerError."""
        with self._lock, self._translated():
            self._send()
            if self._writing is not None:
                if (found := self._writing.compared.get(sql)) is not None:
                    return found
                return self._execute_whole(self._with_values(_spoken(sql), parameters)).fetchall()
            return self._anew_where_lost(lambda: self._connection.execute(_spoken(sql), parameters).fetchall())

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Read rows one by one; for a connection of one's own, inside `snapshot()`. Raises LedgerError."""
        with self._translated(), self._connection.cursor(f"stream{next(self._cursors)}") as cursor:
            cursor.itersize = PAGE
            yield from cursor.execute(_spoken(sql), parameters)

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement that writes."""
        with self._lock, self._translated():
            self._send()
            self._forget_compared()
            self._execute_whole(self._with_values(_spoken(sql), parameters))

    def write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement that writes, for each of these rows of parameters."""
        with self._lock, self._translated(), self._connection.cursor() as cursor:
            self._send()
            self._forget_compared()
            cursor.executemany(_spoken(sql), rows)

    def rest(self) -> None:
        """Let this transaction stand longer than others while something else is done. Inside a transaction."""
        self.write("SET LOCAL idle_in_transaction_session_timeout = '10min'")

    def _page(self, begin: int, most: int) -> list[Row]:
        writing = self._writing
        if writing is not None and writing.begin is not None and begin >= writing.begin and not writing.entries:
            ahead = [row for row in writing.ahead if row[0] >= begin]
            if len(writing.ahead) < PAGE or len(ahead) >= most:  # all there are, or as many as are wanted
                return ahead[:most]
        rows = self.rows(_FROM, (begin, most))
        return [(seq, body, previous, mac) for seq, body, previous, mac in rows]

    def _begin(self, begin: int | None) -> _Writing:
        """Take the lock, and what is decided by, in one round trip. What was lost meanwhile is connected anew, once."""

        def together() -> _Writing:
            # Each statement has a snapshot of its own, so what follows the lock is read after it was given.
            ahead = _FROM.replace("?", "{}").format(int(begin or 0), PAGE)
            more = () if begin is None else (schema.FINGERPRINT, ahead, *_COMPARED)
            told = self._connection.execute("; ".join((*_BEGIN, *more)), prepare=False)
            _, _, durable, head, *came = results(told)
            self._must_be_durable(str(durable[0][0]))
            newest = head[0] if head else None
            if not came:
                return _Writing(newest, "", begin, [], {})
            prints, rows, *compared = came
            return _Writing(newest, str(prints[0][0]), begin, rows, dict(zip(_COMPARED, compared, strict=True)))

        try:
            return self._anew_where_lost(together)
        except BaseException:
            self._take_back()
            raise

    def _commit(self, writing: _Writing) -> None:
        """Send what is left and the commit, in one round trip."""
        connection = self._connection
        try:
            self._execute_whole(*[self._with_values(_INSERT, row) for row in writing.entries], "COMMIT")
        except psycopg.errors.DivisionByZero as error:
            first = writing.entries[0]["seq"]
            raise LedgerError(f"{self.place}: entry {first} was not kept as it was written. {VERIFY}") from error
        except psycopg.Error as error:
            if connection.closed:  # whether the server has it, whoever looks for it will know
                raise CommitUnknown(
                    f"{self.place}: the connection was lost during the commit: {_said(error)}"
                ) from error
            raise

    def _send(self) -> None:
        """Send the entries that wait, so that what follows sees them."""
        if self._writing is not None and self._writing.entries:
            waiting, self._writing.entries = self._writing.entries, []
            self._execute_whole(*[self._with_values(_INSERT, row) for row in waiting])

    def _forget_compared(self) -> None:
        if self._writing is not None:
            self._writing.compared.clear()

    def _with_values(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> str:
        return psycopg.ClientCursor(self._connection).mogrify(sql, values)

    def _execute_whole(self, *statements: str) -> psycopg.Cursor:
        """Run these in one round trip, as one message.

        Of a message that arrives in part the server waits for the rest no longer than a transaction may be idle. Between those of
        a pipeline, or of a statement whose values go apart from it, it waits without end, and with the lock
        [doc postgresql runtime-config-client].
        """
        return self._connection.execute("; ".join(statements).encode(), prepare=False)

    def _take_back(self) -> None:
        """End the transaction; where that cannot be done, the connection, and the server ends it."""
        try:
            if not self._connection.closed and self._connection.info.transaction_status:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    def _anew_where_lost(self, act: Callable[[], Result]) -> Result:
        """Do what changes nothing by itself; outside of a transaction once more where the connection was lost meanwhile."""
        is_inside = self._writing is not None or self._in_snapshot
        if self._is_closed:
            raise LedgerError(f"{self.place}: the ledger was closed. Nothing was written.")
        if self._connection.closed and not is_inside:
            self._connection = self._anew.connection()
        self._connection.patience = self.patience
        try:
            return act()
        except NoAnswer:
            raise  # who has waited so long for one does not wait for another one
        except psycopg.OperationalError:
            if is_inside or not self._connection.closed:
                raise
        self._connection = self._anew.connection()
        self._connection.patience = self.patience
        return act()

    def _connect(self, *, read_only: bool) -> Connection:
        """A connection to a server that keeps what it has confirmed. Raises LedgerError for another one."""
        is_read_only = {"default_transaction_read_only": "off"} if not read_only else {}
        connection = connect(self.place, _OPTIONS | is_read_only, read_only=read_only)
        try:
            self._must_keep_what_it_confirms(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _must_keep_what_it_confirms(self, connection: Connection) -> None:
        durable, fsync, whole_pages, encoding, role, is_replica, pid = one_of(connection.execute(_SESSION))
        wrong = {
            "it is a replica, not the primary": is_replica == "true",
            "fsync is off, so a power failure loses entries": fsync != "on",
            "full_page_writes is off, so a power failure damages entries": whole_pages != "on",
            f"its encoding is {encoding}, not UTF8": encoding != "UTF8",
            "session_replication_role lets triggers be passed over": role == "replica",
        }
        if why := next((says for says, is_so in wrong.items() if is_so), ""):
            raise LedgerError(f"{self.place} cannot keep a ledger: {why}.")
        self._must_be_durable(durable)
        must_keep_sessions(self.place, connection, pid)

    def _must_be_durable(self, synchronous_commit: str) -> None:
        """An entry that was answered for is on the disk, not in a cache, when the power fails."""
        if synchronous_commit not in _DURABLE:
            raise LedgerError(
                f"{self.place} cannot keep a ledger: synchronous_commit is {synchronous_commit}, so entries that were "
                f"answered for can be lost. Set it to {' or '.join(_DURABLE)} for this database."
            )

    def _prepare(self) -> None:
        """Make the tables where there are none; only ever by one process at a time."""
        if self._version() is None and not self._read_only:
            # Who comes second waits for the name of the schema, and is then told that it is there.
            made_by_another = psycopg.errors.UniqueViolation, psycopg.errors.DuplicateSchema
            with contextlib.suppress(*made_by_another), self._connection.transaction():
                _make(self._connection, schema.SCHEMA)
        version = self._version()
        if version is None:
            raise LedgerError(f"{self.place}: there is no such ledger.")
        if version != schema.VERSION:
            raise LedgerError(f"{self.place}: not a ledger of this version (found {version}, know {schema.VERSION}).")

    def _version(self) -> str | None:
        sql = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s"
        found = self._connection.execute(sql, (schema.SCHEMA,)).fetchone()
        return None if found is None else str(found[0])

    def _of_a_new_ledger(self) -> frozenset[schema.Definition]:
        """What a ledger's definitions are as this server prints them: made beside, on a connection of its own, and taken back."""
        version = self._connection.info.server_version
        if version not in _known:
            with self._translated(), contextlib.closing(self._connect(read_only=False)) as beside:
                beside.execute("BEGIN")  # and never a commit
                _make(beside, schema.REFERENCE)
                found = beside.execute(schema.definitions(schema.REFERENCE)).fetchall()
            _known[version] = schema.as_wanted(found)
        return _known[version]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what PostgreSQL and psycopg say into LedgerError, once, here."""
        try:
            yield
        except NoAnswer as error:
            raise LedgerError(
                f"{self.place}: the ledger does not answer ({_said(error)}). Nothing was written."
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            says = f"{self.place}: the ledger cannot be used now: {_said(error)}. Nothing was written."
            raise LedgerError(says) from error
        except psycopg.Error as error:
            says = f"{self.place}: the ledger refuses this, or is damaged: {_said(error)}. Nothing was written."
            raise StoreRefuses(says) from error
        except (UnicodeError, OverflowError) as error:
            raise LedgerError(f"{self.place}: the ledger cannot hold this: {error}. Nothing was written.") from error


def _make(connection: Connection, name: str) -> None:
    """Make the tables in a schema of that name. Inside a transaction."""
    connection.execute(f"CREATE SCHEMA {name}")
    connection.execute(f"SET LOCAL search_path = {name}, pg_temp")
    for statement in schema.EVERYTHING:
        connection.execute(statement)
    connection.execute(f"COMMENT ON SCHEMA {name} IS '{schema.VERSION}'")


def one_of(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    """The one row that there is."""
    found = cursor.fetchone()
    assert found is not None
    return found


def results(cursor: psycopg.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of each of several statements that were sent as one."""
    while True:
        yield cursor.fetchall() if cursor.description is not None else []
        if not cursor.nextset():
            return


def _said(error: psycopg.Error) -> str:
    """What the server or libpq says, in one line."""
    return strip_end(clip_line(str(error)))


@lru_cache(maxsize=512)
def _spoken(sql: str) -> str:
    """A statement of ours with the marks that psycopg takes. None of ours has a question or percent mark in a text."""
    return sql.replace("?", "%s")
