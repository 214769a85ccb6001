"""Connections kept open between questions, and one question over one of them. Everything here runs on worker threads."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from bot.errors import ConnectionFailed, TargetError, TargetTimeout
from bot.transport.connection_reasons import chain
from bot.transport.routing import Route
from bot.transport.windows.exception_mapping import from_exception
from bot.transport.windows.winrm import Connection, Deadline, WireObserver
from bot.transport.windows.wsman import WSManFaultReply

T = TypeVar("T")

IDLE_SECONDS = 90.0  # WinRM's listener closes an idle connection after about 120 s [src]


class ConnectionPool:
    """The open connections that nobody uses just now, by way."""

    def __init__(self, tap: WireObserver | None = None) -> None:
        self._idle: dict[Route, list[Connection]] = {}
        self._lock = threading.Lock()
        self._tap = tap
        self._is_closed = False

    def take(self, way: Route) -> Connection | None:
        """The connection used last, unless it has been idle for too long."""
        stale: list[Connection] = []
        with self._lock:
            idle = self._idle.get(way, [])
            found = idle.pop() if idle else None
            if found is not None and time.monotonic() - found.idle_since > IDLE_SECONDS:
                stale, found = [found, *idle], None
                idle.clear()
        for connection in stale:
            connection.close()
        return found

    def fresh(self, way: Route) -> Connection:
        """A new connection, not yet open. Raises TargetError."""
        return Connection(way, self._tap)

    def release(self, connection: Connection) -> None:
        """Keep it for the next question, or close it when anything went wrong with it."""
        with self._lock:
            if not (connection.is_broken or self._is_closed):
                self._idle.setdefault(connection.way, []).append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close all that are idle; those in use are closed when they come back."""
        with self._lock:
            self._is_closed = True
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
        for connection in idle:
            connection.close()


class PooledCall(Generic[T]):
    """One question to one host: takes a connection, asks, gives it back; on a dead one tries once more.

    A kept-open connection may have died of age, which says nothing about the host. So a *read* that fails on one is
    asked again over a fresh one; what changes something always begins on a fresh one and is never sent twice.
    """

    def __init__(
        self,
        kept: ConnectionPool,
        way: Route,
        work: Callable[[Connection, Deadline], T],
        seconds: Callable[[], Deadline],
        *,
        reads: bool,
    ) -> None:
        self._kept = kept
        self._way = way
        self._work = work
        self._deadline = seconds
        self._reads = reads
        self._connection: Connection | None = None
        self._is_aborted = False

    def run(self) -> tuple[T, str]:
        """The answer, and the raw replies. Raises TargetError."""
        began, deadline = time.monotonic(), self._deadline()
        try:
            kept = self._kept.take(self._way) if self._reads else None
            if kept is not None:
                try:
                    return self._over(kept, deadline)
                except Exception as error:
                    failed = self._translated(error, began)
                    if not kept.is_broken or isinstance(failed, TargetTimeout) or not deadline.left:
                        raise failed from error
            return self._over(self._kept.fresh(self._way), deadline)
        except Exception as error:
            failed = self._translated(error, began)
            for cause in chain(error):  # whoever keeps the error would keep all that had come by then
                traceback.clear_frames(cause.__traceback__)
            raise failed from error

    def abort(self) -> None:
        """Make `run` fail at once. From any thread."""
        self._is_aborted = True
        if self._connection is not None:
            self._connection.abort()

    def _over(self, connection: Connection, deadline: Deadline) -> tuple[T, str]:
        self._connection = connection
        if self._is_aborted:
            connection.abort()
        connection.forget()
        try:
            answer = self._work(connection, deadline)
            return answer, b"\n".join(connection.transcript).decode("utf-8", "replace")
        except Exception as error:
            connection.is_broken = connection.is_broken or not isinstance(error, (WSManFaultReply, TargetError))
            raise
        finally:
            connection.forget()
            self._kept.release(connection)

    def _translated(self, error: Exception, began: float) -> TargetError:
        failed = from_exception(self._way.name, error, time.monotonic() - began)
        if self._way.odd_port and isinstance(failed, TargetTimeout | ConnectionFailed):
            return type(failed)(failed.target, failed.message, self._way.odd_port)
        return failed
