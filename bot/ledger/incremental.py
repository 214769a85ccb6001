"""The chain, looked at so often that it has to be cheap: whole from time to time, and in between what is new.

This is no `verify`: the raw answers, tickets that have ended and the older anchors are not looked at. What was looked
at, and when, is said with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.errors import LedgerError
from bot.ledger.anchors import WAIT_SECONDS, Anchor, AnchorSeal, newest
from bot.ledger.envelope import FIRST, is_written_with
from bot.ledger.patience import NoAnswer, PatientThread
from bot.ledger.places import open_store
from bot.ledger.store import Store
from bot.ledger_place import Place

SHORT = 20_000  # entries: a ledger that short is walked whole each time, in a tenth of a second
AT_ONCE = 200_000  # entries of one look: about a second; the rest is left to the next ones, and that is said
WHOLE_AGAIN = timedelta(hours=1)
SLOW_SECONDS = 0.5  # of an anchor file that no look waits for the next time


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """How far the chain holds.

    Attributes:
        to: the number of the last entry that holds.
        at: when that was looked at.
        whole_to, whole_at: the last walk that began at entry 1: how far it went, and when.
        anchored: whether the newest anchor names an entry that is there and the same; None where there is no anchor.
        of: the number of the newest entry: more than `to` while not all has been walked yet.
        broken_at: the number of the first entry that does not hold, or None.
        says: what is wrong, or "". Also where all entries hold, and the file lists them otherwise than they are.
    """

    to: int
    at: datetime
    whole_to: int
    whole_at: datetime
    of: int = 0
    anchored: bool | None = None
    broken_at: int | None = None
    says: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return self.broken_at is None and not self.says


class BrokenChain(LedgerError):
    """An entry that does not hold.

    Attributes:
        seq: its number.
    """

    def __init__(self, seq: int, says: str) -> None:
        super().__init__(says)
        self.seq = seq


def walk(store: Store, key: bytes, start: Anchor, most: int = -1) -> Iterator[tuple[int, bytes, bytes]]:
    """Prove the entries after one, and give number, body and mac of each. Inside a snapshot. Raises BrokenChain.

    A row below 1 is in no chain, and lists show it: whoever put it in could write here.
    """
    head = start
    if (below := store.below_first()) is not None:
        raise BrokenChain(below, "it was put in, as no entry has a number below 1")
    if start.seq and store.mac_of(start.seq) != start.mac:
        raise BrokenChain(start.seq, "it is not the entry that stood there before")
    for seq, body, previous, mac in store.walk(start.seq + 1, most):
        if seq != head.seq + 1:
            raise BrokenChain(head.seq + 1, "it is missing")
        if previous != head.mac or not is_written_with(key, previous, body, mac):
            raise BrokenChain(seq, "it does not match its mac, or does not follow the one before")
        head = Anchor(seq, mac)
        yield seq, body, mac


class IncrementalVerifier:
    """Looks at the chain of one ledger. Safe between threads; blocking."""

    def __init__(self, place: Place, key: bytes, anchor_file: Path, clock: Callable[[], datetime]) -> None:
        """Take what `verify` takes. Opens nothing yet."""
        self._place, self._key, self._anchor_file, self._clock = place, key, anchor_file, clock
        self._seal = AnchorSeal(key)
        self._one_at_a_time = threading.Lock()
        self._asking = PatientThread("newest anchor")
        self._read: tuple[float, Future[tuple[Anchor | None, float]]] | None = None  # since when, and what it comes to
        self._is_slow = False  # the last time that it was read
        self._known: Anchor | None = None
        self._last: ChainStatus | None = None
        self._head = Anchor(0, FIRST)

    def look(self) -> ChainStatus:
        """Walk what is new, or all of it. Raises LedgerError where the ledger cannot be read."""
        with self._one_at_a_time:
            anchor = self._newest_anchor()  # before the entries: these are on the disk before their anchor is
            store = open_store(self._place, read_only=True)
            try:
                with store.snapshot():
                    self._last = self._looked(store, anchor)
            finally:
                store.close()
            return self._last

    def _newest_anchor(self) -> Anchor | None:
        """None also where the file does not answer; of one that is slow, what it said last. Raises LedgerError."""
        if self._read is None:
            self._read = time.monotonic(), self._asking.submit(self._timed)
        since, reading = self._read
        try:
            found, took = self._asking.wait(reading, 0.0 if self._is_slow else WAIT_SECONDS)
        except NoAnswer:
            self._is_slow = True
            return self._known if time.monotonic() - since < WAIT_SECONDS else None
        except LedgerError:
            self._read = None
            raise
        self._read, self._known, self._is_slow = None, found, took > SLOW_SECONDS
        return found

    def _timed(self) -> tuple[Anchor | None, float]:
        began = time.monotonic()
        return newest(self._anchor_file, self._seal), time.monotonic() - began

    def since(self, seq: int) -> None:
        """Prove the chain from an entry to the newest one. Raises LedgerError that names the first that does not hold."""
        store = open_store(self._place, read_only=True)
        try:
            with store.snapshot():
                before = store.mac_of(seq - 1)
                start = Anchor(seq - 1, FIRST if before is None else bytes(before))
                head, broken, says = self._walk(store, start, -1)
        finally:
            store.close()
        if broken is None and head.seq < seq:
            broken, says = seq, "it is missing"
        if broken is not None:
            raise LedgerError(f"{self._place}: entry {broken} does not hold: {says}. Run hvops audit verify.")

    def _looked(self, store: Store, anchor: Anchor | None) -> ChainStatus:
        now, last = self._clock(), self._last
        again = last is None or not last.holds or last.to <= SHORT
        again = again or (last is not None and last.to == last.of <= AT_ONCE and now - last.whole_at >= WHOLE_AGAIN)
        start = Anchor(0, FIRST) if again else self._head
        self._head, broken, says = self._walk(store, start, AT_ONCE)
        of = store.length()
        if broken is None and of < (last.to if last else 0):
            broken, says = of + 1, f"entries up to {last.to if last else 0} were there before"
        found = ChainStatus(self._head.seq, now, self._head.seq, now, of, broken_at=broken, says=says)
        if last is not None and not again:
            found = replace(found, whole_to=last.whole_to, whole_at=last.whole_at)
        return found if broken else self._anchored(store, found, anchor)

    def _walk(self, store: Store, start: Anchor, most: int) -> tuple[Anchor, int | None, str]:
        """The last entry that holds, and the first that does not, with why."""
        head = start
        try:
            for seq, _, mac in walk(store, self._key, start, most):
                head = Anchor(seq, mac)
        except BrokenChain as broken:
            return head, broken.seq, str(broken)
        except (LedgerError, TypeError, ValueError) as error:
            return head, head.seq + 1, f"it cannot be read: {error}"
        return head, None, ""

    def _anchored(self, store: Store, found: ChainStatus, anchor: Anchor | None) -> ChainStatus:
        if anchor is None:
            return found
        if anchor.seq > found.of:
            says = f"cut off: an anchor knows entry {anchor.seq}"
            return replace(found, anchored=False, broken_at=found.of + 1, says=says)
        if store.mac_of(anchor.seq) != anchor.mac:
            return replace(found, anchored=False, broken_at=anchor.seq, says="it is not the entry that was anchored")
        return replace(found, anchored=True)
