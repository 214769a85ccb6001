"""One connection to SCVMM's database, and what is done over it. The only module that imports pyodbc.

Blocking, and only ever run in a process of its own (`driver_process`), which is ended where nobody waits any more: a
driver is native code that can crash, and of FreeTDS's SQLCancel its own source says that from another thread it runs
unlocked [src]. A connection serves one question or one transaction. Never `fast_executemany`: with FreeTDS it crashes [cap].
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pyodbc

from bot.api.actions import Update
from bot.api.rows import Row
from bot.errors import MalformedResponse, OutcomeUnknown, TargetError, TargetFault, TargetTimeout
from bot.transport.allowlist.sql import Sent, UpdatableTable
from bot.transport.bounds import MAX_ROWS, MAX_WEIGHT, weigh
from bot.transport.sql.sql_errors import DriverError, to_texts, too_much_memory

pyodbc.pooling = False  # unixODBC would keep connections open behind our back
_AT_ONCE = 100  # rows: each as wide as the widest is under 2 MB
_MOST_COLUMNS, _WIDEST = 32, 4_000  # characters, or bytes: nvarchar(4000) is the widest that is asked for
_LEAST = 1  # seconds; 0 would mean "for ever" to a driver
_CALMER = 0.8  # of the time that is left, a lock may take: so that the database says what it was that took so long


def drivers() -> list[str]:
    """The drivers that are registered on this machine."""
    return list(pyodbc.drivers())


class DatabaseCall:
    """One question or one transaction."""

    def __init__(self, on: str, connection_string: str, seconds: float) -> None:
        self._on = on
        self._string = connection_string
        self.seconds = seconds
        self._ends = 0.0
        self.is_committing = False

    def select(self, text: str, values: Sequence[Sent]) -> list[Row]:
        """The rows of one select. Raises TargetError, DriverError."""
        return self._over(lambda cursor: self._rows(cursor, text, values))

    def update(self, changes: Sequence[tuple[UpdatableTable, Update]], look: Callable[[str], None]) -> list[Row]:
        """Change all of them, or none; answers each row as it was.

        `look` is called before the transaction begins ("begin") and before it is committed ("commit"), and does not come
        back where it may not be done any more.

        Raises:
            OutcomeUnknown: it was cut off while it was committed.
            TargetError, DriverError: it was not done.
        """
        return self._over(lambda cursor: self._transaction(cursor, changes, look))

    def _over(self, work: Callable[[Any], list[Row]]) -> list[Row]:
        """Connect, do it, disconnect. What was not committed is gone with the connection."""
        began = time.monotonic()
        self._ends = began + self.seconds
        connection = None
        try:
            connection = pyodbc.connect(self._string, timeout=self._left(), autocommit=True)
            connection.timeout = self._left()
            cursor = connection.cursor()
            cursor.execute(f"SET LOCK_TIMEOUT {int(self._left() * 1000 * _CALMER)}")
            found = work(cursor)
        except (pyodbc.Error, pyodbc.Warning) as error:
            if self.is_committing:
                raise _unknown(self._on) from error
            raise DriverError(to_texts(error.args), time.monotonic() - began) from error
        except MemoryError as error:
            if self.is_committing:
                raise _unknown(self._on) from error
            raise too_much_memory(self._on) from None  # its frames hold what is too much
        except UnicodeError as error:  # the driver decodes strictly: half a character in a name of a guest is enough
            if self.is_committing:
                raise _unknown(self._on) from error
            raise MalformedResponse(self._on, "a text in its reply is no text.") from error
        else:
            return found
        finally:
            if connection is not None:
                with suppress(pyodbc.Error):
                    connection.close()

    def _left(self) -> int:
        return max(_LEAST, round(self._ends - time.monotonic()))

    def _rows(self, cursor: Any, text: str, values: Sequence[Sent]) -> list[Row]:
        cursor.execute(text, *values)
        return [{name: _cell(value) for name, value in row.items()} for row in self._fetched(cursor)]

    def _fetched(self, cursor: Any) -> list[dict[str, Any]]:
        """All rows, counted while they come. Raises MalformedResponse."""
        names = _narrow(self._on, cursor.description)
        found: list[dict[str, Any]] = []
        weight = 0
        while rows := cursor.fetchmany(_AT_ONCE):
            found += (dict(zip(names, row, strict=True)) for row in rows)
            weight += weigh(found[-len(rows) :])
            if len(found) > MAX_ROWS or weight > MAX_WEIGHT:
                raise MalformedResponse(self._on, "its reply exceeds the size limit.")
        return found

    def _transaction(
        self, cursor: Any, changes: Sequence[tuple[UpdatableTable, Update]], look: Callable[[str], None]
    ) -> list[Row]:
        """As statements of our own: the driver's commit knows no deadline, with FreeTDS it waits for ever [cap].

        It has waited for the login by now, and for locks before it is committed: what is not committed has not happened.
        """
        look("begin")
        cursor.execute("SET XACT_ABORT ON")  # any error takes everything back, whatever the driver does next
        cursor.execute("BEGIN TRANSACTION")
        before = [self._change(cursor, table, update) for table, update in changes]
        look("commit")
        if time.monotonic() >= self._ends:  # it stood still meanwhile, and perhaps nobody waits any more
            raise TargetTimeout(self._on, TargetTimeout.after(self.seconds))
        self.is_committing = True
        cursor.execute("COMMIT TRANSACTION")
        return before

    def _change(self, cursor: Any, table: UpdatableTable, update: Update) -> Row:
        """Change one row that is still as it was seen. Raises TargetFault."""
        text, values = table.select(update)
        cursor.execute(text, *values)
        found = self._fetched(cursor)
        if len(found) != 1:
            raise _changed(self._on, f"{len(found)} rows of {update.table} have that {table.key} in place of one")
        for name, expected in table.expected(update).items():
            if not _same(found[0][name], expected):
                raise _changed(self._on, f"{name} is {_cell(found[0][name])} now, and was {_cell(expected)}")
        text, values = table.update(update)
        cursor.execute(text, *values)
        if cursor.rowcount != 1:
            raise _changed(self._on, f"{cursor.rowcount} rows would have been changed in place of one")
        return {name: _cell(value) for name, value in found[0].items()}


def _narrow(on: str, columns: Sequence[Sequence[Any]]) -> list[str]:
    """The names of the columns. A column without a limit holds two gigabytes a cell, which the driver would fetch.

    Raises:
        MalformedResponse: there is one, or more columns than are ever asked for.
    """
    if len(columns) > _MOST_COLUMNS or any(not 0 < (size or 0) <= _WIDEST for _, _, _, size, *_ in columns):
        raise MalformedResponse(on, "its reply has wider columns than any that hvops asks for.")
    return [column[0] for column in columns]


def is_known(error: BaseException) -> bool:
    """Whether this exception of pyodbc's would be translated."""
    return isinstance(error, (pyodbc.Error, pyodbc.Warning, TargetError))


def _changed(on: str, says: str) -> TargetFault:
    return TargetFault(on, f"{says}. Everything was rolled back, nothing was changed.", "Check again.")


def _unknown(on: str) -> OutcomeUnknown:
    says = "the connection was lost while the change was being committed. It was made as a whole or not at all."
    return OutcomeUnknown(on, says, "Look at the rows before anything else is done.")


def _same(found: Any, expected: Sent) -> bool:
    """Whether a value is the one that was seen; drivers give GUIDs as text."""
    if isinstance(expected, uuid.UUID):
        return found is not None and uuid.UUID(str(found)) == expected
    return bool(found == expected)


def _cell(value: Any) -> str | None:
    """A value as rows carry it. GUIDs in upper case, times in ISO 8601 without a zone, as they are kept."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, uuid.UUID):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex().upper() if isinstance(value, (bytes, bytearray)) else str(value)
