"""Transactions, what undoes them, and waiting for rows that another transaction has locked.

READ COMMITTED without row versions, SQL Server's default: a reader waits for rows that somebody changed and did not
commit; NOLOCK does not. Locks for update (UPDLOCK) keep other writers out and let readers in [doc: locking guide].
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, Protocol

from lab.sqlserver import errors
from lab.sqlserver.store import Row
from lab.sqlserver.types import Value

Mode = Literal["S", "U", "X"]
_descriptors = count(0x2A00000001)


class Holder(Protocol):
    """Who holds locks: a session."""

    process: int
    lock_timeout: int  # milliseconds; -1 for as long as it takes
    waits_for: Holder | None


@dataclass(slots=True)
class Transaction:
    """An open transaction: how to undo it, newest last, and which rows it keeps locked."""

    descriptor: int = field(default_factory=lambda: next(_descriptors))
    depth: int = 1
    undo: list[tuple[Row, list[Value]]] = field(default_factory=list)
    locked: list[Row] = field(default_factory=list)

    def undo_to(self, mark: int) -> None:
        """Take back what was changed since there were `mark` entries."""
        while len(self.undo) > mark:
            row, values = self.undo.pop()
            row.values = values


class Locks:
    """All locks of an instance; one event loop, so nothing here races."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def free(self, row: Row, session: Holder, mode: Mode) -> None:
        """Wait until the session may have the row in that mode.

        Raises:
            SqlError: 1222, it took too long; 1205, it would wait for somebody who waits for it.
        """
        if not _conflicts(row, session, mode):
            return
        if session.lock_timeout == 0:
            raise errors.lock_timeout()
        limit = None if session.lock_timeout < 0 else session.lock_timeout / 1000
        try:
            async with asyncio.timeout(limit):
                while _conflicts(row, session, mode):
                    session.waits_for = row.holder  # type: ignore[assignment] # only sessions hold locks
                    if session in _chain(session):
                        raise errors.deadlocked(session.process)
                    await self._next_release()
        except TimeoutError:
            raise errors.lock_timeout() from None
        finally:
            session.waits_for = None

    def take(self, row: Row, session: Holder, transaction: Transaction, mode: Literal["U", "X"]) -> None:
        """Lock a row that is free."""
        if row.holder is not session:
            transaction.locked.append(row)
        row.mode = "X" if "X" in (mode, row.mode) else "U"
        row.holder = session

    def release(self, transaction: Transaction) -> None:
        """Let go of everything, and wake who waits."""
        for row in transaction.locked:
            row.holder, row.mode = None, ""
        transaction.locked.clear()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    @property
    def waiting(self) -> int:
        """How many wait for a row just now."""
        return len(self._waiting)

    async def _next_release(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


def _conflicts(row: Row, session: Holder, mode: Mode) -> bool:
    if row.holder is None or row.holder is session:
        return False
    return row.mode == "X" or mode != "S"


def _chain(session: Holder) -> Iterator[Holder]:
    """Whom it waits for, whom that one waits for, and so on."""
    seen: set[int] = set()
    one = session.waits_for
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.waits_for
