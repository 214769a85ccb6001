"""The ledger in one file of SQLite: the default, for one machine.

Writes happen inside `transaction()`, which takes SQLite's write lock at once (BEGIN IMMEDIATE). sqlite-utils, whose import
takes as long as all else that a short command does, is loaded where tables are made or written, not where they are read.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import LedgerError
from bot.ledger import schema
from bot.ledger.dialect import SQLITE
from bot.ledger.key import OF_SQLITE
from bot.ledger.store import VERIFY, Store, StoreRefuses
from bot.private_files import check_regular, made_by_others

if TYPE_CHECKING:
    import sqlite_utils

BUSY_SECONDS = 10.0  # how long to wait for another process's transaction, which lasts milliseconds
_AGAIN_SECONDS = 0.02
# All that SQLite can raise; a number too large for SQLite is an OverflowError of Python's, and a damaged file may hold
# text that is none.
_FOREIGN: tuple[type[Exception], ...] = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeDecodeError)


_PRIMARY = 0xFF  # of a code of SQLite's: what it adds above that is only detail
# What may be otherwise a moment later. All else that SQLite calls an operational error is of what the file has it compute.
_PASSES = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_SCHEMA,
    }
)


class SqliteStore(Store):
    """A ledger in a file of SQLite's."""

    name = "sqlite"
    dialect = SQLITE

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, and make the tables in a new file. Raises LedgerError, also where others made what SQLite would take for its own."""
        if why := made_by_others(path, *OF_SQLITE):
            raise LedgerError(f"SQLite would take it for a part of the ledger: {why}")
        self.place: Path = path
        self.key: bytes | None = None
        self._opened: tuple[int, int] | None = None
        self._sound: int | None = None  # the number of the definitions that were right when they were compared
        self._lock = threading.RLock()
        with _translated(path):
            self._connection = _connect(path, read_only=read_only)
        try:
            with _translated(path):
                self._prepare(read_only=read_only)
                self._opened = _identity(path)
        except BaseException:
            self._connection.close()
            raise

    @cached_property
    def _database(self) -> sqlite_utils.Database:
        """The same connection, as what writes through it sees it."""
        import sqlite_utils  # noqa: PLC0415 - only who writes pays for it

        return sqlite_utils.Database(self._connection, execute_plugins=False)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self, begin: int | None = None) -> Iterator[None]:
        """Hold SQLite's write lock: everything inside is committed, or nothing is. Raises LedgerError."""
        del begin  # all of it is here
        with self._lock, _translated(self.place):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._must_be_in_place()
                self._parse_anew()
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, however long it takes."""
        with self._lock, _translated(self.place):
            self._connection.execute("BEGIN")
            try:
                self._parse_anew()
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def again(self) -> SqliteStore:
        """Another connection to the same file, only for reading. Raises LedgerError."""
        return SqliteStore(self.place, read_only=True)

    def mark_as_export(self) -> None:
        """It is written out of a database, to be read, and takes no entries of its own."""
        self.write(f"PRAGMA application_id={schema.EXPORT}")

    @property
    def is_export(self) -> bool:
        """Whether it was."""
        return int(self.rows("PRAGMA application_id")[0][0]) == schema.EXPORT

    def integrity(self) -> str:
        """What SQLite finds wrong with its file, "ok" for nothing. An altered index would hide entries from every list."""
        try:
            return str(self.rows("PRAGMA integrity_check(1)")[0][0])
        except LedgerError as error:
            return str(error.__cause__ or error)

    def check_definitions(self) -> None:
        """The tables, columns, indexes, triggers and views are those of a ledger. Raises LedgerError."""
        says = self.altered_definitions()
        if not says and (version := int(self.rows("PRAGMA user_version")[0][0])) != schema.VERSION:
            says = f"It claims to be of version {version}."
        if says:
            self._sound = None
            raise LedgerError(f"{self.place}: {says} {VERIFY}")
        with self._lock, _translated(self.place):
            if self._connection.in_transaction:  # in which `_parse_anew` has looked
                self._sound = self._definitions()

    def altered_definitions(self) -> str:
        """Which definition is not as a ledger's is, in a sentence, or ""."""
        return schema.altered(self.rows(schema.DEFINITIONS), _of_a_new_ledger())

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read all rows. Raises LedgerError."""
        with self._lock, _translated(self.place):
            return self._connection.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Read rows one by one; for a connection of one's own, inside `snapshot()`. Raises LedgerError."""
        with _translated(self.place):
            yield from self._connection.execute(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement that writes."""
        with self._lock, _translated(self.place):
            self._database.execute(sql, parameters)

    def write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement that writes, for each of these rows of parameters."""
        with self._lock, _translated(self.place):
            self._database.conn.executemany(sql, rows)

    def rest(self) -> None:
        """A transaction may stand here as long as it does."""

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
            raise LedgerError(f"{self.place}: not a ledger of this version (found {version}, know {schema.VERSION}).")

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
        if self._opened and self._opened != _identity(self.place):
            raise LedgerError(
                f"{self.place} is not the file that was opened: it was moved, removed or replaced. Put the right one back"
                " and start hvops anew. Nothing was written."
            )

    def _parse_anew(self) -> None:
        """Let the connection go by the definitions that stand in the file, and by no others.

        SQLite parses them again where their number (`schema_version`) is another one. Whoever writes to the file can have it
        parse a definition, and put the text back under the same number: then the connection goes on by one that nobody sees.
        So it parses them until they were compared under that number, and were right.
        """
        if self._definitions() != self._sound:
            self._connection.execute("PRAGMA writable_schema=RESET")

    def _definitions(self) -> int:
        return int(self._connection.execute("PRAGMA schema_version").fetchone()[0])

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


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


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    check_regular(path, *(path.with_name(f"{path.name}{end}") for end in OF_SQLITE))  # SQLite would wait for a writer
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


def _foreign() -> tuple[type[Exception], ...]:
    """All that SQLite and sqlite-utils can raise; what was not loaded raises nothing."""
    loaded = list(vars(sys.modules.get("sqlite_utils.db", object)).values())  # at once: others may be loading it
    return (*_FOREIGN, *(one for one in loaded if isinstance(one, type) and issubclass(one, Exception)))


def _may_pass(error: Exception) -> bool:
    """Whether SQLite says that it is the disk, the memory or another process, and nothing that the file has it do."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and (code is None or code & _PRIMARY in _PASSES)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into LedgerError, once, here."""
    try:
        yield
    except _foreign() as error:
        if _may_pass(error):
            raise LedgerError(f"{path}: the ledger cannot be used now: {error}. Nothing was written.") from error
        kind = StoreRefuses if isinstance(error, sqlite3.DatabaseError) else LedgerError
        raise kind(f"{path}: the ledger refuses this, or is damaged: {error}. Nothing was written.") from error
    except FileNotFoundError as error:
        raise LedgerError(f"{path}: there is no such ledger, or no such directory.") from error
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror or error}. Nothing was written.") from error
