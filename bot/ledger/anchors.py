"""Anchors: the head of the ledger, remembered elsewhere, one line per entry.

A chain cannot know what was cut off its end. A file that others keep (another machine, append-only) can: each
line is the number and the mac of an entry that was once there. Slack's audit channel is a second such place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.errors import LedgerError

_TAIL = 4096  # bytes: more than a line, so the last line is whole


@dataclass(frozen=True, slots=True)
class Anchor:
    """That an entry with this number had this mac."""

    seq: int
    mac: bytes

    def __str__(self) -> str:
        """As it is written, and posted: number, then the mac in hexadecimal."""
        return f"{self.seq} {self.mac.hex()}"


class Anchors:
    """The anchor file. Opened once and only ever appended to.

    Attributes:
        trouble: why the last anchor could not be written, or "". The entry itself stands: it is in the ledger.
    """

    def __init__(self, path: Path) -> None:
        """Open for appending. Raises LedgerError where the file cannot be made."""
        self.path = path
        self.trouble = ""
        try:
            self._file = path.open("ab+", buffering=0)
            self._end_a_torn_line()
        except OSError as error:
            raise LedgerError(f"{path}: anchors cannot be written: {error.strerror}. Correct anchor_file.") from error

    def write(self, anchor: Anchor) -> None:
        """Append one line, in one write, so that two processes do not mix theirs."""
        try:
            self._file.write(f"{anchor}\n".encode())
            self.trouble = ""
        except (OSError, ValueError) as error:
            self.trouble = f"{self.path}: the anchor of entry {anchor.seq} was not written: {error}"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _end_a_torn_line(self) -> None:
        """After a crash in the middle of a line, the next one must not continue it."""
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")


def newest(path: Path) -> Anchor | None:
    """The highest of the last anchors; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"{path}: anchors cannot be read: {error.strerror}.") from error
    known = [anchor for line in lines if (anchor := _read(line)) is not None]
    return max(known, key=lambda anchor: anchor.seq, default=None)


def length_of(path: Path) -> int | None:
    """How many bytes of anchors there are now, 0 where there is no file; None for a pipe, which tells no length.

    Raises:
        LedgerError: it cannot be read.
    """
    try:
        found = path.stat()
        return found.st_size if stat.S_ISREG(found.st_mode) else None
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise LedgerError(f"{path}: anchors cannot be read: {error.strerror}.") from error


def anchors_in(path: Path, length: int | None = None) -> Iterator[Anchor]:
    """All anchors of a file, in its order; torn lines are passed over.

    Args:
        path: the file.
        length: read only so many bytes (see `length_of`), for one who proves an older moment than the file's.
    """
    read = 0
    try:
        with path.open("rb") as file:
            for line in file:
                read += len(line)
                if length is not None and read > length:
                    return
                anchor = _read(line)
                if anchor is not None:
                    yield anchor
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(f"{path}: anchors cannot be read: {error.strerror}.") from error


def _read(line: bytes) -> Anchor | None:
    """One line, or None for one that a crash has torn."""
    words = line.split()
    try:
        anchor = Anchor(int(words[0]), bytes.fromhex(words[1].decode("ascii")))
    except (IndexError, ValueError):
        return None
    return anchor if len(anchor.mac) == 32 and anchor.seq > 0 else None  # noqa: PLR2004 - SHA-256
