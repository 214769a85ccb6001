"""Names and lists that count how often they are looked at: thousands are looked up, and none is compared with all."""

from __future__ import annotations


class CountedName(str):
    """A name that counts how often it is compared without its case; a test sets `times` to 0 before it looks."""

    __slots__ = ()
    times = 0

    def casefold(self) -> str:
        CountedName.times += 1
        return super().casefold()


class CountedList(tuple):
    """A list that counts how often it is gone through; a test sets `times` to 0 before it looks."""

    __slots__ = ()
    times = 0

    def __iter__(self):
        CountedList.times += 1
        return super().__iter__()
