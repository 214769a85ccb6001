"""Whose turn it is to show a ticket: one at a time, in this process and in every other one on the same ledger.

Two bots on one store both hear of a ticket: each posts what the thread lacks, and looks first. Between the look and
the entry that says "shown" nobody else may do the same. The kernel lets go of a turn with the process that had it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from bot.errors import LedgerError

_GLANCE = 0.05  # seconds between two looks at whether another process is done


class TicketLocks:
    """Turns by the number of a ticket: byte N of a file beside the ledger stands for ticket T-N."""

    def __init__(self, ledger: Path) -> None:
        """Name the file. Raises LedgerError where it cannot be made."""
        whole = ledger.resolve()  # by whatever link a process was told of it, there is one file
        path = whole.with_name(f"{whole.name}.board")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                f"{path}: {error.strerror}. Showing tickets needs this file beside the ledger."
            ) from error
        self._here: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # as long as somebody wants one

    @asynccontextmanager
    async def of(self, ticket: str) -> AsyncIterator[None]:
        """Wait for the turn, and give it back."""
        digits = ticket.removeprefix("T-")
        number = int(digits) if digits.isascii() and digits.isdecimal() else 0
        here = self._here.setdefault(number, asyncio.Lock())
        async with here:
            while not self._lock(number, fcntl.F_WRLCK):  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(_GLANCE)
            try:
                yield
            finally:
                if self._file >= 0:
                    self._lock(number, fcntl.F_UNLCK)

    def close(self) -> None:
        """Give everything back."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _lock(self, number: int, kind: int) -> bool:
        """Whether it is so now. By open file, not by process: closing another one must not give ours back."""
        wanted = struct.pack("hhqqi", kind, os.SEEK_SET, number, 1, 0)  # struct flock (fcntl(2))
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, wanted)
            return True
        return False
