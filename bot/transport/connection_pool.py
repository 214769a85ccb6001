"""Connections kept open between questions, and one question over one of them. Everything here runs on worker threads."""

from __future__ import annotations

import resource
import threading
import time
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from bot.api.host_names import host_key
from bot.errors import AuthenticationFailed, ConnectionFailed, TargetError, TargetTimeout
from bot.transport.connection_reasons import chain
from bot.transport.routing import Route
from bot.transport.windows import host_operations
from bot.transport.windows.exception_mapping import from_exception
from bot.transport.windows.winrm import Connection, Deadline, WireObserver
from bot.transport.windows.wsman import WSManFaultReply

T = TypeVar("T")

IDLE_SECONDS = 90.0  # WinRM's listener closes an idle connection after about 120 s [src]
_ENOUGH_FILES = 65_536


def sockets_allowed() -> int:
    """How many files and sockets this process may have open, with its own limit raised as far as it goes.

    systemd gives a service 1,024 unless it asks for more [doc: systemd.exec, LimitNOFILE], and lets it ask for 524,288; a
    cluster of 64 nodes with 2,000 guests is 2,064 connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft in (resource.RLIM_INFINITY, wanted) or soft > wanted:
        return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class ConnectionPool:
    """The open connections that nobody uses just now, by way.

    Not more than half of what the process may open: the others are for questions under way, for Slack and the ledger.
    """

    def __init__(self, tap: WireObserver | None = None, most: int = 0) -> None:
        """`most`: how many are kept; 0 for half of all that may be open."""
        self._most = most or sockets_allowed() // 2
        self._idle: dict[tuple[str, Route], list[Connection]] = {}
        self._by_age: dict[Connection, None] = {}  # all of them, the one that has been idle longest first
        self._lock = threading.Lock()
        self._tap = tap
        self._is_closed = False

    def take(self, way: Route) -> Connection | None:
        """The connection used last, unless it has been idle for too long."""
        with self._lock:
            stale = self._drop_stale()
            idle = self._idle.get(_place(way))
            found = self._forget(idle[-1]) if idle else None
            if found is not None and _is_stale(found):
                stale, found = [*stale, found], None
        for connection in stale:
            connection.close()
        return found

    def has(self, way: Route) -> bool:
        """Whether a connection lies there that the next question may take."""
        with self._lock:
            return _place(way) in self._idle

    def fresh(self, way: Route) -> Connection:
        """A new connection, not yet open. Raises TargetError."""
        return Connection(way, self._tap)

    def release(self, connection: Connection) -> None:
        """Keep it for the next question, or close it when anything went wrong with it."""
        with self._lock:
            closing = self._drop_stale()
            if connection.is_broken or self._is_closed:
                closing.append(connection)
            else:
                self._idle.setdefault(_place(connection.way), []).append(connection)
                self._by_age[connection] = None
                if len(self._by_age) > self._most:
                    closing.append(self._forget(next(iter(self._by_age))))
        for each in closing:
            each.close()

    def close(self) -> None:
        """Close all that are idle; those in use are closed when they come back."""
        with self._lock:
            self._is_closed = True
            idle = list(self._by_age)
            self._by_age.clear()
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _drop_stale(self) -> list[Connection]:
        """Take out those of any way that were idle for too long: their hosts have closed them, or will."""
        stale = []
        for connection in self._by_age:
            if not _is_stale(connection):
                break
            stale.append(connection)
        return [self._forget(connection) for connection in stale]

    def _forget(self, connection: Connection) -> Connection:
        del self._by_age[connection]
        place = _place(connection.way)
        of_way = self._idle[place]
        of_way.remove(connection)
        if not of_way:
            del self._idle[place]
        return connection


def _place(way: Route) -> tuple[str, Route]:
    """Where a connection is kept: for every spelling of its host, and for no guest that only calls itself like another one."""
    return host_key(way.name), way


def _is_stale(connection: Connection) -> bool:
    return time.monotonic() - connection.idle_since > IDLE_SECONDS


class PooledCall(Generic[T]):
    """One question to one host: takes a connection, asks, gives it back; on a dead one tries once more.

    A kept-open connection may have died of age, which says nothing about the host. So a *read* that fails on one is
    asked again over a fresh one; what changes something always begins on a fresh one, asks first over that very connection
    which machine this is, and is never sent twice.
    """

    def __init__(
        self,
        kept: ConnectionPool,
        way: Route,
        work: Callable[[Connection, Deadline], T],
        seconds: Callable[[], Deadline],
        began: float,
        *,
        reads: bool,
    ) -> None:
        self._kept = kept
        self._way = way
        self._work = work
        self._deadline = seconds
        self._began = began  # when it was asked, by the monotonic clock: who waits counts the wait for a thread as well
        self._reads = reads
        self._connection: Connection | None = None
        self._is_aborted = False

    def run(self) -> tuple[T, str]:
        """The answer, and the raw replies. Raises TargetError."""
        deadline = self._deadline()
        try:
            kept = self._kept.take(self._way) if self._reads else None
            if kept is not None:
                try:
                    return self._over(kept, deadline)
                except Exception as error:
                    failed = self._translated(error)
                    if not kept.is_broken or isinstance(failed, TargetTimeout) or not deadline.left:
                        raise failed from error
            return self._over(self._kept.fresh(self._way), deadline)
        except Exception as error:
            failed = self._translated(error)
            for cause in chain(error):  # whoever keeps the error would keep all that had come by then
                traceback.clear_frames(cause.__traceback__)
            raise failed from error

    def abort(self) -> None:
        """Make `run` fail at once. From any thread."""
        self._is_aborted = True
        if self._connection is not None:
            self._connection.abort()

    def is_asking_kdc(self) -> bool:
        """Whether its thread waits for a KDC, before anything goes to the host. From any thread."""
        connection = self._connection
        return connection is not None and connection.is_asking_kdc()

    def judge(self, refused: AuthenticationFailed) -> None:
        """Mark a refusal that is this host's alone (`Connection.judge`). From any thread."""
        if self._connection is not None:
            self._connection.judge(refused)

    def is_mostly_wrapping(self) -> bool:
        """Whether its host sends much that carries nothing: no read returns, and a thread is busy with it. From any thread."""
        connection = self._connection
        return connection is not None and connection.is_mostly_wrapping()

    def _over(self, connection: Connection, deadline: Deadline) -> tuple[T, str]:
        self._connection = connection
        if self._is_aborted:
            connection.abort()
        connection.forget()
        try:
            if not self._reads:
                connection.hold()
                host_operations.check_itself(connection, deadline)
                connection.forget()
            answer = self._work(connection, deadline)
            return answer, b"\n".join(connection.transcript).decode("utf-8", "replace")
        except Exception as error:
            connection.is_broken = connection.is_broken or not isinstance(error, (WSManFaultReply, TargetError))
            raise
        finally:
            connection.forget()
            self._kept.release(connection)

    def _translated(self, error: Exception) -> TargetError:
        failed = from_exception(self._way.name, error, time.monotonic() - self._began)
        if isinstance(failed, AuthenticationFailed):
            self.judge(failed)
        if self._way.odd_port and isinstance(failed, TargetTimeout | ConnectionFailed):
            return type(failed)(failed.target, failed.message, self._way.odd_port)
        return failed
