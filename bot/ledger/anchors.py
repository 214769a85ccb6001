"""Anchors: the head of the ledger, remembered elsewhere, one line per entry.

A chain cannot show what was cut off its end. A file kept elsewhere (another machine, append-only) can: each line
is the number and the mac of an entry that was once there. Slack's audit channel is a second external record, and the
event logs of hosts that were acted on are a third.

Each anchor names its ledger, and carries a seal that only a holder of the ledger's key can make. So a line of another
ledger is told from one of ours: it proves nothing about what is missing here.
"""

from __future__ import annotations

import hmac
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from bot.errors import LedgerError
from bot.ledger.patience import NoAnswer, PatientThread, call_once
from bot.ledger_place import Database, Place
from bot.private_files import open_regular

WAIT_SECONDS = 5.0  # for a line to be written: it is where others keep it, who may be away
OPEN_SECONDS = 60.0  # for the file to be opened and looked at before the bot begins
_TOGETHER = 30  # lines in one write: fewer bytes than a pipe takes at once
_TAIL = 4096  # bytes: more than a line, so the last line is whole
_RECENT = 32_768  # bytes
_DIGITS = 16  # of the number of an entry


T = TypeVar("T")
Origin = Literal["ours", "forged", "foreign"]
SEAL_BYTES = 16  # of the HMAC: nobody guesses 128 bits
_SEALS = b"hvops: seals of anchors"  # the key of the seals is derived, so that no seal is ever a mac of an entry


@dataclass(frozen=True, slots=True)
class Anchor:
    """That an entry with this number had this mac.

    Attributes:
        ledger: the id of the ledger, or "" where none is told.
        seal: proves that a holder of the key wrote number, mac and id together; b"" where there is none.
    """

    seq: int
    mac: bytes
    ledger: str = field(default="", compare=False)
    seal: bytes = field(default=b"", compare=False)

    def __str__(self) -> str:
        """As a line of the file: number, mac, the ledger's id and the seal, in hexadecimal."""
        return f"{self.seq} {self.mac.hex()} {self.ledger} {self.seal.hex()}"


class AnchorSeal:
    """Seals the anchors of a ledger, and tells its own from others.

    Attributes:
        ledger: the id of the ledger; "" before its first entry.
    """

    def __init__(self, key: bytes, ledger: str = "") -> None:
        """Derive the key of the seals from the key of the ledger."""
        self._key = hmac.digest(key, _SEALS, "sha256")
        self.ledger = ledger

    def sign(self, seq: int, mac: bytes, about: str = "") -> Anchor:
        """The anchor of an entry of this ledger. What it is `about` is bound as well: a note cannot pose as another."""
        return Anchor(seq, mac, self.ledger, self._of(self.ledger, seq, mac, about))

    def holds(self, anchor: Anchor, about: str = "") -> bool:
        """Whether somebody with this key made it, of whichever of that key's ledgers."""
        return hmac.compare_digest(anchor.seal, self._of(anchor.ledger, anchor.seq, anchor.mac, about))

    def origin(self, anchor: Anchor) -> Origin:
        """Where it comes from: "forged" claims to be of this ledger and is not; "foreign" is of somebody else's."""
        if self.holds(anchor):
            return "ours"
        return "forged" if anchor.ledger == self.ledger != "" else "foreign"

    def _of(self, ledger: str, seq: int, mac: bytes, about: str) -> bytes:
        told = f"{ledger} {seq} {mac.hex()} {about}".encode()
        return hmac.digest(self._key, told, "sha256")[:SEAL_BYTES]


class Anchors:
    """The anchor file. Opened once and only ever appended to, on a thread that may stand still: nobody else does.

    Attributes:
        written: the newest anchor that was, by this process; None before the first.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open for appending. Raises LedgerError where the file cannot be made."""
        self.path = path
        self.written: Anchor | None = None
        self._monotonic = monotonic
        self._thread = PatientThread("anchors")
        self._telling = threading.Lock()
        self._trouble = ""
        self._waiting: deque[tuple[Anchor, float]] = deque()  # each with when it was to be written
        self._is_writing = False
        try:
            # made with its mode, whatever the umask: who else could read it would learn when something happens
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "ab+", buffering=0)
        except OSError as error:
            raise _cannot_be_written(path, error) from error
        try:
            self._end_a_torn_line()
        except OSError as error:
            self._file.close()
            raise _cannot_be_written(path, error) from error

    @property
    def trouble(self) -> str:
        """Why the last anchor is not written, or "". The entry itself stands: it is in the ledger."""
        with self._telling:
            if self._waiting and self._monotonic() - self._waiting[0][1] >= WAIT_SECONDS:
                return self._is_late(self._waiting[0][0], f"no answer in {WAIT_SECONDS:.0f} s")
            return self._trouble

    def _is_late(self, anchor: Anchor, why: str) -> str:
        return f"{self.path}: the anchor of entry {anchor.seq} is not written yet: {why}"

    def write(self, anchor: Anchor) -> None:
        """Have one line appended soon, behind those before it. Waits for nothing: a share may take its time, or be away."""
        with self._telling:
            self._waiting.append((anchor, self._monotonic()))
            is_writing, self._is_writing = self._is_writing, True
        if not is_writing:
            self._thread.submit(self._write_waiting)

    def settle(self) -> str:
        """Wait until what was to be written by now is, for a while at most. Returns why the last of it is not, or ""."""
        try:
            self._thread.call(_nothing, WAIT_SECONDS)
        except NoAnswer as error:
            with self._telling:
                if self._waiting:
                    return self._is_late(self._waiting[0][0], str(error))
        return self.trouble

    def _write_waiting(self) -> None:
        """Append what waits: a share that is slow for each write gets many lines with one."""
        while True:
            with self._telling:
                anchors = [anchor for anchor, _ in islice(self._waiting, _TOGETHER)]
                self._is_writing = bool(anchors)
                if not anchors:
                    return
            trouble = self._append(anchors)
            with self._telling:
                for _ in anchors:
                    self._waiting.popleft()
                self._trouble = trouble
                self.written = self.written if trouble else anchors[-1]

    def _append(self, anchors: Sequence[Anchor]) -> str:
        """Append lines, in one write, so that two processes do not mix theirs. Returns why they were not, or "".

        Others can append a line without an end, which would swallow ours: then they are written again, on lines of their own.
        """
        lines = "".join(f"{anchor}\n" for anchor in anchors).encode()
        try:
            if self._file.write(lines) != len(lines) or not self._begins_a_line(len(lines)):
                self._file.write(b"\n" + lines)
        except (OSError, ValueError) as error:
            return f"{self.path}: the anchor of entry {anchors[-1].seq} was not written: {error}"
        return ""

    def close(self) -> None:
        """Close the file, once all is written; one that does not answer is left alone."""
        with suppress(NoAnswer):
            self._thread.wait(self._thread.submit(self._file.close), WAIT_SECONDS)

    def _begins_a_line(self, length: int) -> bool:
        """Whether what was just written stands at the beginning of a line; a pipe cannot tell."""
        if not self._file.seekable():
            return True
        begin = self._file.tell() - length  # behind what was appended, whoever else appends meanwhile
        return begin <= 0 or os.pread(self._file.fileno(), 1, begin - 1) == b"\n"

    def _end_a_torn_line(self) -> None:
        """After a crash in the middle of a line, the next one must not continue it."""
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")


def _nothing() -> None:
    pass


def patiently(path: Path, work: Callable[[], T], seconds: float | None = None) -> T:
    """Do something with an anchor file on a thread of its own, before anything depends on it: its share may be away.

    Raises:
        LedgerError: it took longer than that, or as the work does.
    """
    try:
        return call_once("anchor file", work, OPEN_SECONDS if seconds is None else seconds)
    except NoAnswer as error:
        raise LedgerError(f"{path}: {error} from the anchor file. Check the share that it is on.") from None


def _cannot_be_written(path: Path, error: OSError) -> LedgerError:
    return LedgerError(f"{path}: anchors cannot be written: {error.strerror}. Correct anchor_file.")


def newest(path: Path, seal: AnchorSeal | None = None) -> Anchor | None:
    """The highest of the last anchors; None where there is none.

    Args:
        path: the file.
        seal: only what it holds for counts; where the end of the file has nothing of the kind, all of it is read.

    Raises:
        LedgerError: it cannot be read.
    """
    known, is_whole = _at_the_end(path, _TAIL)
    if seal is None:
        return max(known, key=_number, default=None)
    own = [anchor for anchor in known if seal.holds(anchor)]
    if own or is_whole:
        return max(own, key=_number, default=None)
    return max((anchor for anchor in anchors_in(path) if seal.holds(anchor)), key=_number, default=None)


def recent(path: Path, seal: AnchorSeal, begin: int | None = None) -> Iterator[Anchor]:
    """Some hundred anchors of this ledger from the end of the file, in its order. Raises LedgerError.

    Two processes write there: one whose entries were cut off behind the other's back has left its anchors.

    Args:
        path: the file.
        seal: of the ledger.
        begin: how many bytes were looked at already: all that came since is among them, however much others appended.
    """
    end = max(0, (length_of(path) or 0) - _RECENT)
    known = anchors_in(path, begin=end if begin is None else min(max(0, begin - _TAIL), end))
    return (anchor for anchor in known if anchor.ledger == seal.ledger and seal.holds(anchor))


def beyond(path: Path, seal: AnchorSeal, seq: int, length: int | None) -> Anchor | None:
    """The newest anchor of this ledger with a greater number than that, in so many first bytes of a file. Raises LedgerError.

    All of it is read, and little done for each line: who may only append can put hundreds of old anchors behind it.
    """
    found = None
    for line in _lines(path, length, 0):
        number = line.partition(b" ")[0]
        if (
            len(number) > _DIGITS
            or not (number.isascii() and number.isdigit())
            or int(number) <= max(seq, found.seq if found else 0)
        ):
            continue
        anchor = _read(line)
        if anchor is not None and seal.ledger in ("", anchor.ledger) and seal.holds(anchor):
            found = anchor
    return found


def _at_the_end(path: Path, most: int) -> tuple[list[Anchor], bool]:
    """The anchors in so many last bytes, and whether that is all of the file. Raises LedgerError."""
    try:
        with open_regular(path) as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - most))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return [], True
    except OSError as error:
        raise LedgerError(f"{path}: anchors cannot be read: {error.strerror}.") from error
    return [anchor for line in lines if (anchor := _read(line)) is not None], length <= most


def _number(anchor: Anchor) -> int:
    return anchor.seq


def is_elsewhere(ledger: Place, anchor_file: Path) -> bool:
    """Whether an anchor file is on another file system than the ledger, so that no copy of one disk has both.

    A database on this machine keeps its files nobody knows where: that counts as beside them.
    """
    if isinstance(ledger, Database):
        return not ledger.is_here
    try:
        return ledger.resolve().parent.stat().st_dev != anchor_file.resolve().parent.stat().st_dev
    except (OSError, RuntimeError):  # a ring of links
        return False


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


def appended_to(path: Path, length: int) -> Iterator[Anchor]:
    """What a file has behind so many bytes, and the last lines before them: one may have been half there. Raises LedgerError."""
    return anchors_in(path, begin=max(0, length - _TAIL))


def anchors_in(path: Path, length: int | None = None, begin: int = 0) -> Iterator[Anchor]:
    """All anchors of a file, in its order; torn lines are passed over.

    Args:
        path: the file.
        length: read only so many bytes (see `length_of`), for one who proves an older moment than the file's.
        begin: how many bytes to pass over.
    """
    return (anchor for line in _lines(path, length, begin) if (anchor := _read(line)) is not None)


def _lines(path: Path, length: int | None, begin: int) -> Iterator[bytes]:
    """The lines of a file, without those that are longer than any anchor. Raises LedgerError."""
    read = begin
    try:
        with path.open("rb") as file:  # also a pipe that was named for it
            if begin:
                file.seek(begin)
            is_rest = False  # of a line that is longer than any anchor: others may write there, and never end one
            while line := file.readline(_TAIL):
                read += len(line)
                if length is not None and read > length:
                    return
                ends = line.endswith(b"\n") or len(line) < _TAIL
                if ends and not is_rest:
                    yield line
                is_rest = not ends
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(f"{path}: anchors cannot be read: {error.strerror}.") from error


def _read(line: bytes) -> Anchor | None:
    """One line, or None for one that a crash has torn."""
    try:
        seq, mac, ledger, seal = line.decode("ascii").split()
        anchor = Anchor(int(seq), bytes.fromhex(mac), ledger, bytes.fromhex(seal))
    except ValueError:
        return None
    is_whole = len(anchor.mac) == 32 and len(anchor.seal) == SEAL_BYTES  # noqa: PLR2004 - SHA-256
    return anchor if is_whole and anchor.seq > 0 else None
