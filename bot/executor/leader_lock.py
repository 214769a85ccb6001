"""One runner per ledger: a lock of the operating system, which a killed process cannot keep."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bot.errors import LedgerError
from bot.private_files import made_by_others


class LeaderLock:
    """The right to run what was decided, for one process at a time.

    Attributes:
        trouble: why this process cannot be the one; "" where it can.

    The file beside the ledger stays; what counts is the lock on it, and the kernel lets go of that with the process.
    """

    def __init__(self, ledger: Path) -> None:
        """Name the lock of a ledger, whose file it lies beside. Raises LedgerError where its own file cannot be made."""
        whole = ledger.resolve()  # by whatever link a process was told of it, there is one lock
        self.path = whole.with_name(f"{whole.name}.runner")
        self.is_held, self._file = False, -1
        # Whoever made it can hold it for good, and then nobody runs anything.
        theirs = made_by_others(whole, ".runner")
        self.trouble = f"This process runs nothing: {theirs}" if theirs else ""
        if theirs:
            return
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}. Runs need this file beside the ledger.") from error

    def acquire(self) -> bool:
        """Whether this process is the one. Never again once its file was taken away: another one may be by then."""
        if self.is_held:
            self._look()
        elif not self.trouble:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.is_held = True
            self._look()
        return self.is_held

    def must_be_held(self) -> None:
        """Raise LedgerError where this process is not the one, or its lock is on a file that others do not see."""
        if self.is_held:
            self._look()
        if not self.is_held:
            raise LedgerError(self.trouble or f"{self.path} is not held: another process runs the tickets.")

    def _look(self) -> None:
        """A lock counts for those who open the same file: one that was removed or replaced is nobody's business."""
        held = os.fstat(self._file)
        try:
            there = self.path.stat()
        except OSError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            how = "removed" if there is None else "replaced"
            self.is_held = False
            self.trouble = (
                f"{self.path} was {how} while this process held it, so another one may be running the tickets. This "
                "process no longer runs anything. Leave that file alone and restart hvops."
            )

    def close(self) -> None:
        """Let another process be the one."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.is_held = -1, False
