"""Room in memory for what is read of all hosts at one time, by threads that know nothing of each other.

What one host may send is bounded, and a cluster has many: of sixteen guests that send a megabyte of empty elements each, all
read at once, half a gigabyte was made. So whoever reads more than a little takes room for it first, and waits where there
is none.
"""

from __future__ import annotations

import threading
import time


class Room:
    """So many bytes. Used by any thread.

    Nobody who holds some waits for others that wait for him: whoever has held longest goes on beyond the limit, so all together
    never take more than the room and the longest answer of one host.
    """

    def __init__(self, most: int) -> None:
        """Share so many bytes, of which one host gets half."""
        self._most = most
        self._held: dict[object, tuple[str, int]] = {}  # who holds how much, and of which host; the longest first
        self._changed = threading.Condition()
        self.waiting = 0

    def take(self, holder: object, host: str, weight: int, ends: float) -> bool:
        """Hold that much from now on, in place of what was held. False where there is no room until then, by the monotonic clock."""
        with self._changed:
            while not self._has_room(holder, host, weight):
                left = ends - time.monotonic()
                if left <= 0:
                    return False
                self.waiting += 1
                try:
                    self._changed.wait(left)
                finally:
                    self.waiting -= 1
            self._held[holder] = (host, weight)
            return True

    def give_back(self, holder: object) -> None:
        """Hold nothing any more."""
        with self._changed:
            if self._held.pop(holder, None) is not None:
                self._changed.notify_all()

    def _has_room(self, holder: object, host: str, weight: int) -> bool:
        if next(iter(self._held), holder) is holder:
            return True
        others = [held for who, held in self._held.items() if who is not holder]
        of_host = sum(size for name, size in others if name == host)
        return sum(size for _, size in others) + weight <= self._most and of_host + weight <= self._most // 2
