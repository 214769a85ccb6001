"""A server on a thread with an event loop of its own, for programs that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from lab.sqlserver.server import SqlServer

T = TypeVar("T")


class BackgroundSqlServer:
    """A context manager around a `SqlServer`."""

    def __init__(self, server: SqlServer) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sql-server", daemon=True)

    def do(self, work: Callable[[], T]) -> T:
        """Do something with the server or its tables in its own thread, and wait for it."""

        async def there() -> T:
            return work()

        return self.call(there())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.call(self.server.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self.server.stop())
        finally:
            self._end()

    def _end(self) -> None:
        self.call(_end_other_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_other_tasks() -> None:
    """End what is left in the loop, such as clients that came while it stopped."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
