"""Names that forms suggest: what was answered before, kept in memory. Nobody is asked for them, and nothing rests on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

_PLACES = 1_000  # hosts whose names are kept; those of the longest silent one go first
_NAMES = 2_000  # of one host
_LONGEST = 75  # characters: a menu shows no longer ones, so they are typed


class KnownNames:
    """Names of guests, jobs, services and writers, by who named them last."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[str, str], tuple[tuple[str, str], ...]] = OrderedDict()

    def learn(self, kind: str, on: str, names: Iterable[str | tuple[str, str]]) -> None:
        """Take the names of one kind ("guest") that a host has just told: they take the place of those from before.

        Args:
            kind: "guest", "backup job".
            on: who told them.
            names: of things on that host; pairs where each is about a host of its own.
        """
        key = kind, on.lower()
        told = ((name, on) if isinstance(name, str) else name for name in names)
        short = ((name, about.lower()) for name, about in told if len(name) <= _LONGEST)
        self._of[key] = tuple(dict.fromkeys(pair for pair, _ in zip(short, range(_NAMES), strict=False)))
        self._of.move_to_end(key)
        while len(self._of) > _PLACES:
            self._of.popitem(last=False)

    def of(self, kind: str) -> Iterator[tuple[str, str]]:
        """Every name of that kind with the host that it is about, in lower case. On any thread: what is learnt meanwhile is left out."""
        for (known, _), names in tuple(self._of.items()):
            if known == kind:
                yield from names
