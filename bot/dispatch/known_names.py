"""Names that forms suggest: what was answered before, kept in memory. Nobody is asked for them, and nothing rests on them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator

_PLACES = 1_000  # hosts whose names are kept; those of the longest silent one go first
_NAMES = 2_000  # of one host
_LONGEST = 75  # characters: a menu shows no longer ones, so they are typed
_LONGEST_HOST = 253  # likewise, of a host with its domain: no longer one is in any inventory
_MOST = 32 * 2**20  # bytes of all of them: those of a thousand hosts of some hundreds take 30 MB
_PAIR = 72  # bytes that a name takes beside its text


class KnownNames:
    """Names of guests, jobs, services and writers, by who named them last."""

    def __init__(self) -> None:
        # Those of one kind that somebody told, and how many bytes they take; the one that told them last at the end.
        self._of: OrderedDict[tuple[str, str], tuple[tuple[tuple[str, str], ...], int]] = OrderedDict()
        self._weight = 0

    def learn(self, kind: str, on: str, names: Iterable[str | tuple[str, str]]) -> None:
        """Take the names of one kind ("guest") that a host has just told: they take the place of those from before.

        Args:
            kind: "guest", "backup job".
            on: who told them.
            names: of things on that host; pairs where each is about a host of its own.
        """
        key = kind, on.lower()
        hosts: dict[str, str] = {}  # each once, however many names are about it
        told = ((name, on) if isinstance(name, str) else name for name in names)
        short = ((name, about.lower()) for name, about in told if len(name) <= _LONGEST and len(about) <= _LONGEST_HOST)
        shared = ((name, hosts.setdefault(about, about)) for name, about in short)
        kept = tuple(dict.fromkeys(pair for pair, _ in zip(shared, range(_NAMES), strict=False)))
        weight = sum(_PAIR + sys.getsizeof(name) for name, _ in kept) + sum(map(sys.getsizeof, (*hosts, *key)))
        self._weight += weight - self._of.pop(key, ((), 0))[1]
        self._of[key] = kept, weight
        while len(self._of) > _PLACES or (self._weight > _MOST and len(self._of) > 1):
            self._weight -= self._of.popitem(last=False)[1][1]

    def of(self, kind: str) -> Iterator[tuple[str, str]]:
        """Every name of that kind with the host that it is about, in lower case. On any thread: what is learnt meanwhile is left out."""
        for (known, _), (names, _) in tuple(self._of.items()):
            if known == kind:
                yield from names
