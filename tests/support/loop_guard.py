"""Notices whoever uses a ledger's database on a thread that runs an event loop.

A database that is silent holds whoever asks it for seconds; on the loop that would hold every acknowledgement too. What
bot/ does there while it serves is noted, wherever it was called from; what a test itself looks up is not.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot import app, services
from bot.ledger.store import Store

_BOT = Path(services.__file__).parent
_FOUND_THROUGH = (_BOT / "ledger", Path(sys.prefix), Path(asyncio.__file__).parent.parent, Path(__file__))


class LoopGuard:
    """Notes who uses a store on the loop.

    Attributes:
        is_on: whether it notes anything: a bot that begins or ends acknowledges nothing.
        noted: file, line and text of each of them, once.
    """

    def __init__(self) -> None:
        """Nothing is noted yet."""
        self.is_on = False
        self.noted: dict[str, None] = {}

    def watch(self, store: Store) -> None:
        """Let everything that asks this store's database say on which thread it does: it takes the store's lock."""
        store._lock = _Lock(self)

    def note(self) -> None:
        """Look who takes a lock, if that is on a loop."""
        if not self.is_on or asyncio._get_running_loop() is None:
            return
        used = next(one for one in reversed(traceback.extract_stack()) if not _is_below(one.filename, *_FOUND_THROUGH))
        if _is_below(used.filename, _BOT):
            self.noted[f"{Path(used.filename).relative_to(_BOT.parent)}:{used.lineno} {used.line}"] = None


class _Lock:
    def __init__(self, guard: LoopGuard) -> None:
        self._lock, self._guard = threading.RLock(), guard

    def __enter__(self) -> None:
        self._guard.note()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _is_below(filename: str, *places: Path) -> bool:
    return any(Path(filename).is_relative_to(place) for place in places)


@contextmanager
def guarding() -> Iterator[LoopGuard]:
    """Watch the ledgers of every bot that is made inside."""
    guard, open_ledger, reader = LoopGuard(), services.open_ledger, app.Reader

    def opened(*told, **named):
        ledger = open_ledger(*told, **named)
        for store in (ledger._store, ledger._reader):
            guard.watch(store)
        return ledger

    def made(*told, **named):
        one = reader(*told, **named)
        guard.watch(one._reader)
        return one

    services.open_ledger, app.Reader = opened, made
    try:
        yield guard
    finally:
        services.open_ledger, app.Reader = open_ledger, reader
