"""Whose turn it is to show a ticket: one at a time, in this process and in every other one on the same ledger.

Two bots on one store both hear of a ticket: each posts what the thread lacks, and looks first. Between the look and
the entry that says "shown" nobody else may do the same. The kernel lets go of a turn with the process that had it; where
the ledger is in a database, its server does so with the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from bot.errors import LedgerError
from bot.ledger import Ledger
from bot.ledger.shared_locks import LockSession, delivery_key
from bot.private_files import made_by_others

_GLANCE = 0.05  # seconds between two looks at whether another process is done
_UNKNOWN = b"?"
_GLANCE_BEYOND = 0.2  # the same, where each look is a question to a server


class Turns(Protocol):
    """Whose turn it is to show which ticket."""

    def of(self, ticket: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait for the turn, and give it back. Raises LedgerError where nobody can say whose it is."""
        ...

    async def is_mine(self, ticket: str) -> bool:
        """Inside of a turn: whether it still is."""
        ...

    def had_others(self, ticket: str) -> bool:
        """Inside of a turn: whether another process may have had one since this process had its last.

        It may have posted what the ledger does not say, and have been killed before it wrote that down.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def turns_on(ledger: Ledger) -> Turns:
    """Those of all processes on a ledger. Raises LedgerError where the file of its locks cannot be made."""
    return TicketLocks(ledger.path) if ledger.shared is None else SharedTicketLocks(ledger.shared.session())


class SharedTicketLocks:
    """Turns by locks of the ledger's database, all on one connection: who loses that goes on with none of them."""

    def __init__(self, session: LockSession) -> None:
        """Take a session of one's own."""
        self._session = session
        self._here: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, ticket: str) -> AsyncIterator[None]:
        """Wait for the turn, and give it back. Raises LedgerError."""
        here = self._here.setdefault(ticket, asyncio.Lock())
        async with here:
            taking = asyncio.ensure_future(self._take(ticket))
            try:
                while not await asyncio.shield(taking):
                    await asyncio.sleep(_GLANCE_BEYOND)
                    taking = asyncio.ensure_future(self._take(ticket))
                yield
            finally:
                await asyncio.shield(self._give_back(ticket, taking))

    async def is_mine(self, ticket: str) -> bool:
        """Whether the server says so."""
        return await asyncio.to_thread(self._session.holds, delivery_key(ticket))

    def had_others(self, ticket: str) -> bool:
        """Nobody knows: the server forgets a turn with the connection of whoever had it."""
        del ticket
        return True

    def close(self) -> None:
        """Give everything back."""
        self._session.close()

    async def _take(self, ticket: str) -> bool:
        return await asyncio.to_thread(self._session.take, delivery_key(ticket))

    async def _give_back(self, ticket: str, taking: asyncio.Future[bool]) -> None:
        """Also what was still being asked for when nobody waited for it any more."""
        with contextlib.suppress(LedgerError):
            if await taking:
                await asyncio.to_thread(self._session.give_back, delivery_key(ticket))


class TicketLocks:
    """Turns by the number of a ticket: byte N of a file beside the ledger stands for ticket T-N, as far as locks go.

    What the file holds is who had each turn last, sixteen bytes a ticket: a name that a process draws when it starts.
    """

    def __init__(self, ledger: Path) -> None:
        """Name the file. Raises LedgerError where it cannot be made, or another account made it, who could keep every turn."""
        whole = ledger.resolve()  # by whatever link a process was told of it, there is one file
        if theirs := made_by_others(whole, ".board"):
            raise LedgerError(f"No ticket can be shown: {theirs}")
        path = whole.with_name(f"{whole.name}.board")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                f"{path}: {error.strerror}. Showing tickets needs this file beside the ledger."
            ) from error
        self._here: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # as long as somebody wants one
        self._me = uuid.uuid4().bytes
        self._had_others: set[int] = set()

    @asynccontextmanager
    async def of(self, ticket: str) -> AsyncIterator[None]:
        """Wait for the turn, and give it back."""
        number = _number_of(ticket)
        here = self._here.setdefault(number, asyncio.Lock())
        async with here:
            while not self._lock(number, fcntl.F_WRLCK):  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(_GLANCE)
            try:
                self._note_turn(number)
                yield
            finally:
                self._had_others.discard(number)
                if self._file >= 0:
                    self._lock(number, fcntl.F_UNLCK)

    async def is_mine(self, ticket: str) -> bool:
        """The kernel takes it from nobody who lives."""
        del ticket
        return True

    def had_others(self, ticket: str) -> bool:
        """Whether the turn before was another process's."""
        return _number_of(ticket) in self._had_others

    def close(self) -> None:
        """Give everything back."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _note_turn(self, number: int) -> None:
        """Note whose turn it was before, and that it is ours. Where the file cannot be used, it may have been anybody's."""
        try:
            before = os.pread(self._file, len(self._me), number * len(self._me))
            if before != self._me:
                os.pwrite(self._file, self._me, number * len(self._me))
        except OSError:
            before = _UNKNOWN
        if before.strip(b"\0") and before != self._me:
            self._had_others.add(number)

    def _lock(self, number: int, kind: int) -> bool:
        """Whether it is so now. By open file, not by process: closing another one must not give ours back."""
        wanted = struct.pack("hhqqi", kind, os.SEEK_SET, number, 1, 0)  # struct flock (fcntl(2))
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, wanted)
            return True
        return False


def _number_of(ticket: str) -> int:
    digits = ticket.removeprefix("T-")
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
