"""The databases of VMM servers: questions and transactions on threads, each with its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bot.api.actions import RowTransaction, Update
from bot.api.queries import RunReader
from bot.api.rows import Row, format_rows
from bot.config.inventory_file import Vmm
from bot.errors import OutcomeUnknown, PolicyViolation, TargetTimeout
from bot.transport.allowlist.sql import CHANGEABLE, QUERIES, VMM, Query, UpdatableTable
from bot.transport.sql.connection_string import DatabaseLogin, connection_string
from bot.transport.sql.odbc import DatabaseCall, drivers
from bot.transport.turns import last_look

T = TypeVar("T")

_AT_ONCE = 4  # connections to one server at a time: it is asked a handful of questions
_LATE = 1.0  # seconds that a driver gets to notice its own deadline
_GRACE = 2.5  # seconds in which a transaction past its deadline may still say how it ended


class Databases:
    """The way to all VMM databases of the inventory."""

    def __init__(self, servers: Mapping[str, Vmm], login: DatabaseLogin | None) -> None:
        """Take the servers of the inventory by lower-case name, and the login; None where the settings name none."""
        self._servers = servers
        self._login = login
        # Each has its own: a driver that a server feeds a byte at a time knows no deadline, and holds its thread for ever.
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._running: set[DatabaseCall] = set()

    async def answer(self, question: RunReader, seconds: float) -> tuple[list[Row], str]:
        """The rows of a question, and the same as text. Raises TargetError."""
        query = _query(question)
        try:
            values = query.bind(question.params)
        except ValueError as error:
            raise PolicyViolation(question.on, f"{error}.") from None
        job = self._job(question.on, seconds)

        def select() -> tuple[list[Row], str]:
            rows = job.select(query.text, values)
            return rows, format_rows(rows)

        late = TargetTimeout(question.on, TargetTimeout.after(seconds))
        return await self._run(question.on, job, select, late)

    async def update(self, action: RowTransaction, seconds: float) -> list[Row]:
        """Change rows in one transaction; answers each row as it was.

        Raises:
            OutcomeUnknown: nobody can know whether it was committed until somebody looks.
            TargetError: it was not done, and nothing is half done.
        """
        changes = changes_of(action)
        job = self._job(action.on, seconds)
        unknown = OutcomeUnknown(
            action.on, f"{TargetTimeout.after(seconds)} Whether the change was made is not known.", "Check again."
        )
        look = last_look(action.on)
        return await self._run(action.on, job, lambda: job.update(changes, look), unknown)

    def close(self) -> None:
        """Give up what is under way."""
        for job in list(self._running):
            job.abort()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def _job(self, on: str, seconds: float) -> DatabaseCall:
        vmm = self._servers.get(on.lower())
        if vmm is None:
            raise PolicyViolation(
                on, "it is no VMM server of the inventory.", "Add a table [vmm.NAME] to the inventory."
            )
        if self._login is None:
            raise PolicyViolation(on, "no login is set for its database ([credentials.vmm]).")
        return DatabaseCall(vmm.name, connection_string(vmm, self._login, drivers()), seconds)

    def _threads_of(self, on: str) -> ThreadPoolExecutor:
        found = self._threads.get(on.lower())
        if found is None:
            found = self._threads[on.lower()] = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="odbc")
        return found

    async def _run(self, on: str, job: DatabaseCall, work: Callable[[], T], late: Exception) -> T:
        """On a thread, and no longer than the deadline; then it is cancelled, and may still say how it ended."""
        future = asyncio.get_running_loop().run_in_executor(self._threads_of(on), work)
        self._running.add(job)
        future.add_done_callback(lambda done: self._ended(job, done))
        try:
            done, _ = await asyncio.wait({future}, timeout=job.seconds + _LATE)
            if not done:
                job.abort()
                done, _ = await asyncio.wait({future}, timeout=_GRACE)
        except asyncio.CancelledError:
            job.abort()
            raise
        if not done:
            raise late
        return future.result()

    def _ended(self, job: DatabaseCall, future: asyncio.Future[T]) -> None:
        self._running.discard(job)
        if not future.cancelled():
            future.exception()  # looked at: the caller may have left, and nobody else would


def is_sql(question: RunReader) -> bool:
    """Whether a row of the catalogue is a select."""
    return question.what in QUERIES


def _query(question: RunReader) -> Query:
    query = QUERIES[question.what]
    if query.marked != "reads":
        raise PolicyViolation(question.on, f"{question.what!r} changes things, so no question may run it.")
    return query


def changes_of(action: RowTransaction) -> list[tuple[UpdatableTable, Update]]:
    """Every change with the table it is allowed in. Raises PolicyViolation for any other."""
    if action.database != VMM or not action.rows:
        raise PolicyViolation(action.on, "a change names rows of the VMM database, and no other.")
    changes = []
    for row in action.rows:
        table = CHANGEABLE.get(row.table)
        if table is None:
            raise PolicyViolation(action.on, f"rows of {row.table!r:.60} may not be changed.")
        try:
            table.update(row)
            table.select(row)
        except ValueError as error:
            raise PolicyViolation(action.on, f"{error}.") from None
        changes.append((table, row))
    return changes
