"""Work on a file that others keep, which nobody waits for longer than a while.

A share whose server is gone answers neither with bytes nor with an error: whoever reads or writes there stands still until
it is back. So that happens on a thread of its own, which is left standing there; what else is to be done there is not begun
before it has gone on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
LINGER_SECONDS = 1.0


class NoAnswer(OSError):
    """It takes longer than anybody waits."""


def call_once(name: str, work: Callable[[], T], seconds: float) -> T:
    """What one thing comes to, done on a thread that ends with it. Raises NoAnswer after so long, and leaves it standing."""
    future: Future[T] = Future()
    threading.Thread(target=_finish, args=(future, work), name=name, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            return future.result()
        raise NoAnswer(f"no answer in {seconds:.0f} s") from None


def _finish(future: Future[T], work: Callable[[], T]) -> None:
    try:
        done = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits hears of it
        future.set_exception(error)
    else:
        future.set_result(done)


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
        self._now: Future[Any] | None = None
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
            raise self._no_answer(future, seconds) from None

    def call(self, work: Callable[[], T], seconds: float) -> T:
        """Do it, and wait so long. Raises NoAnswer; where something stands still already it is not begun."""
        if self._stands_still():
            raise NoAnswer("it has not answered since it was last asked")
        return self.wait(self.submit(work), seconds)

    async def ask(self, work: Callable[[], T], seconds: float) -> T:
        """The same for one who waits on a loop: no other thread stands there meanwhile. Raises NoAnswer."""
        if self._stands_still():
            raise NoAnswer("it has not answered since it was last asked")
        future = self.submit(work)
        told = asyncio.wrap_future(future)
        try:
            if not (await asyncio.wait((told,), timeout=seconds))[0]:
                raise self._no_answer(future, seconds)
            return await told
        finally:
            future.cancel()  # what nobody waits for any more is not begun
            told.cancel()

    def _no_answer(self, future: Future[Any], seconds: float) -> NoAnswer:
        if not self._stands_still():
            self._stuck = self._now or future
        return NoAnswer(f"no answer in {seconds:.0f} s")

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
            if not future.set_running_or_notify_cancel():
                continue
            self._now = future
            _finish(future, work)
            self._now = None
