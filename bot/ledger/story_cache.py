"""Entries of long tickets, as they were read and proved: a ticket of thousands of steps is not decoded for each look at it.

Which entries a ticket has, and in which order, is proved at each look by the caller. Here is only what stands in those that
have the mac that was proved then.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bot.ledger.envelope import Entry

_LONG = 64  # entries from which a ticket is worth it
# Bytes of all tickets together: what hosts answer stands in them, and the whole bot stays below 256 MB. One with 10,000
# presses takes some 30 MB; of one that takes more, what is beyond is read at each look.
_MOST = 40 * 2**20
_ENTRY = 2_400  # bytes that an entry takes beside its fields, with what was read of it


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of one ticket: its entries from the first one on, and how many bytes they take."""

    entries: tuple[Entry, ...] = ()
    weight: int = 0


_NOTHING = _Kept()


class StoryCache:
    """Of each ticket the entries from its first one on. Safe between threads."""

    def __init__(self, most: int = _MOST) -> None:
        """Nothing yet; at most so many bytes, as `weigh_entry` weighs them."""
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        with self._lock:
            return sum(len(kept.entries) for kept in self._kept.values())

    @property
    def weight(self) -> int:
        """How many bytes all that is kept takes, roughly."""
        return self._weight

    def known(self, ticket: str, listed: Sequence[tuple[int, bytes]]) -> tuple[Entry, ...]:
        """What is kept of a ticket, as far as it is what is listed now.

        Args:
            ticket: its number.
            listed: number and mac of all its entries, oldest first, proved.
        """
        with self._lock:
            kept = self._kept.get(ticket, _NOTHING).entries
        is_same = len(kept) <= len(listed) and all(
            (entry.seq, entry.mac) == told for entry, told in zip(kept, listed, strict=False)
        )
        return kept if is_same else ()

    def keep(self, ticket: str, entries: Sequence[Entry]) -> None:
        """Keep a ticket's entries, oldest first; those of the ticket that was longest not looked at go.

        Of one that takes more room than there is, its first ones: the others are read at each look.
        """
        if len(entries) < _LONG:
            return
        with self._lock:
            before = self._kept.get(ticket, _NOTHING)
        # On the caller's thread, beside the lock: megabytes are gone through, each entry once.
        kept = self._fitting(before, entries)
        with self._lock:
            self._weight += kept.weight - self._kept.pop(ticket, _NOTHING).weight
            self._kept[ticket] = kept
            while self._weight > self._most:
                self._weight -= self._kept.popitem(last=False)[1].weight

    def _fitting(self, before: _Kept, entries: Sequence[Entry]) -> _Kept:
        """As many of a ticket's entries as there is room for, those that were weighed before not again."""
        goes_on = 0 < len(before.entries) <= len(entries) and entries[len(before.entries) - 1] is before.entries[-1]
        count, weight = (len(before.entries), before.weight) if goes_on else (0, 0)
        while count < len(entries) and (more := weight + weigh_entry(entries[count])) <= self._most:
            count, weight = count + 1, more
        return before if goes_on and count == len(before.entries) else _Kept(tuple(islice(entries, count)), weight)


def weigh_entry(entry: Entry) -> int:
    """How many bytes an entry takes in memory, roughly: what hosts answered can take twenty times what it has on disk."""
    weight = _ENTRY
    names: set[str] = set()  # a document has each of its names once
    left: list[Any] = [entry.fields]
    while left:
        one = left.pop()
        if one is None or isinstance(one, bool):
            continue
        weight += sys.getsizeof(one)
        if isinstance(one, dict):
            names.update(one)
            left += one.values()
        elif isinstance(one, (list, tuple)):
            left += one
    return weight + sum(map(sys.getsizeof, names))
