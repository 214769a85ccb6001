"""Entries of long tickets, as they were read and proved: a ticket of thousands of steps is not decoded for each look at it.

Which entries a ticket has, and in which order, is proved at each look by the caller. Here is only what stands in those that
have the mac that was proved then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from bot.ledger.envelope import Entry

_LONG = 64  # entries from which a ticket is worth it
_MOST = 30_000  # entries of all tickets together, some 2 KB each; one of 5,000 repeated acts has 20,000


class StoryCache:
    """Of each ticket the entries from its first one on. Safe between threads."""

    def __init__(self, most: int = _MOST) -> None:
        """Nothing yet; at most so many entries."""
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Entry, ...]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def known(self, ticket: str, listed: Sequence[tuple[int, bytes]]) -> tuple[Entry, ...]:
        """What is kept of a ticket, as far as it is what is listed now.

        Args:
            ticket: its number.
            listed: number and mac of all its entries, oldest first, proved.
        """
        with self._lock:
            kept = self._kept.get(ticket, ())
        is_same = len(kept) <= len(listed) and all(
            (entry.seq, entry.mac) == told for entry, told in zip(kept, listed, strict=False)
        )
        return kept if is_same else ()

    def keep(self, ticket: str, entries: Sequence[Entry]) -> None:
        """Keep a ticket's entries, oldest first; those of the ticket that was longest not looked at go."""
        if not _LONG <= len(entries) <= self._most:
            return
        with self._lock:
            self._kept[ticket] = tuple(entries)
            self._kept.move_to_end(ticket)
            while sum(map(len, self._kept.values())) > self._most:
                self._kept.popitem(last=False)
