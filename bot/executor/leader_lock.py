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
        self._file = -1
        self.is_held = False
        self._open()

    def acquire(self) -> bool:
        """Whether this process is the leader. Raises LedgerError where the file cannot be made.

        A lock on a file that was removed or replaced is nobody's: the one that stands there now is asked for.
        """
        if not self._is_in_place():
            self.close()
            self._open()
        if not self.is_held:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.is_held = self._is_in_place()  # it may have been replaced between the two
        return self.is_held

    def must_hold(self) -> None:
        """Raise LedgerError unless this process is still the leader, by the file that stands there now."""
        if not (self.is_held and self._is_in_place()):
            self.is_held = False
            raise LedgerError(
                f"{self.path} was removed or replaced while this bot ran, so another one may run the same tickets. "
                "Nothing more is begun here until this bot holds the lock again."
            )

    def close(self) -> None:
        """Let another process be the leader."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.is_held = -1, False

    def _open(self) -> None:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}. Runs need this file beside the ledger.") from error

    def _is_in_place(self) -> bool:
        """Whether the file that is open here is the one that stands at the path."""
        if self._file < 0:
            return False
        try:
            there, ours = self.path.stat(follow_symlinks=False), os.fstat(self._file)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
