"""A server on a thread of its own, for programs that are not asynchronous themselves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from lab.loop_thread import BackgroundLoop
from lab.sqlserver.server import SqlServer

T = TypeVar("T")


class BackgroundSqlServer:
    """A context manager around a `SqlServer`."""

    def __init__(self, server: SqlServer) -> None:
        self.server = server
        self._loop: BackgroundLoop

    def do(self, work: Callable[[], T]) -> T:
        """Do something with the server or its tables in its own thread, and wait for it."""

        async def there() -> T:
            return work()

        return self.call(there())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and wait for it."""
        return self._loop.call(work)

    def __enter__(self) -> Self:
        self._loop = BackgroundLoop("sql-server")
        try:
            self.call(self.server.start())
        except BaseException:
            self._loop.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self.server.stop())
        finally:
            self._loop.end()
