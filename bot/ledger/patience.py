"""Work on a file that others keep, which nobody waits for longer than a while.

A share whose server is gone answers neither with bytes nor with an error: whoever reads or writes there stands still until
it is back. So that happens on a thread of its own, which is left standing there; what else is to be done there is not begun
before it has gone on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
LINGER_SECONDS = 1.0


class NoAnswer(OSError):
    """It takes longer than anybody waits."""


class PatientThread:
    """Does one thing after the other, on a thread that there is while there is something to do. Safe between threads.

    It stays for a moment after that: to begin one takes longer than most of what is to be done.
    """

    def __init__(self, name: str) -> None:
        """Nothing is to be done yet."""
        self._name = name
        self._work: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changing = threading.Condition()
        self._is_running = False
        self._stuck: Future[Any] | None = None

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have it done when all before it is."""
        future: Future[T] = Future()
        with self._changing:
            self._work.append((work, future))
            self._changing.notify()
            if not self._is_running:
                self._is_running = True  # a daemon: the end of the process waits for no share
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def wait(self, future: Future[T], seconds: float) -> T:
        """What it came to. Raises NoAnswer after so long, or at once where something before it stands still already."""
        try:
            return future.result(0 if self._stands_still() else seconds)
        except TimeoutError:
            if future.done():
                return future.result()  # in this very moment; or that is its own error
            if not self._stands_still():
                self._stuck = future
            raise NoAnswer(f"no answer in {seconds:.0f} s") from None

    def call(self, work: Callable[[], T], seconds: float) -> T:
        """Do it, and wait so long. Raises NoAnswer; where something stands still already it is not begun."""
        if self._stands_still():
            raise NoAnswer("it has not answered since it was last asked")
        return self.wait(self.submit(work), seconds)

    def _stands_still(self) -> bool:
        stuck = self._stuck
        return stuck is not None and not stuck.done()

    def _run(self) -> None:
        while True:
            with self._changing:
                if not self._work and not self._changing.wait_for(lambda: self._work, LINGER_SECONDS):
                    self._is_running = False
                    return
                work, future = self._work.popleft()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whoever waits hears of it
                future.set_exception(error)
