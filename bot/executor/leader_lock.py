"""One runner per ledger: a lock of the operating system, which a killed process cannot keep."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bot.errors import LedgerError


class LeaderLock:
    """The right to run what was decided, for one process at a time.

    The file beside the ledger stays; what counts is the lock on it, and the kernel lets go of that with the process.
    """

    def __init__(self, ledger: Path) -> None:
        """Name the lock of a ledger. Raises LedgerError where its file cannot be made."""
        whole = ledger.resolve()  # by whatever link a process was told of it, there is one lock
        self.path = whole.with_name(f"{whole.name}.runner")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}. Runs need this file beside the ledger.") from error
        self.is_held = False

    def acquire(self) -> bool:
        """Whether this process is the one."""
        if not self.is_held:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.is_held = True
        return True

    def close(self) -> None:
        """Let another process be the one."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.is_held = -1, False
