"""A connection to PostgreSQL that nobody waits for longer than a while, and that is made anew beside who needs it.

A server that is gone, or a link that swallows what is sent, answers neither with bytes nor with an error. Three things
notice that: libpq's keepalives and TCP's user timeout, where the other machine is silent; a time within which each answer
has to come, where it is not, as with a server that stands still or a proxy in between; and, on the server, the same for its
clients, so that one that is gone keeps no lock.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, pq

from bot.errors import LedgerError
from bot.ledger import patience
from bot.ledger.patience import PatientThread
from bot.ledger_place import Database

CONNECT_SECONDS = 10  # for a connection to be made; those who need it do not all wait so long
WAIT_SECONDS = 2.0  # for who needs one, where it is made anew
_SLOW_SECONDS = 1.0  # where the last attempt took longer, nobody waits for the next one
_KEPT_ALIVE: dict[str, str | int] = {  # of libpq [doc postgresql libpq-connect]
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Of the server, for this client [doc postgresql runtime-config-connection]. The last two are not there on every system.
_WATCHED = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "client_connection_check_interval": "5s",
}
_SET = "pg_catalog.set_config(%s, %s, false)"  # whatever the search path is that the session began with
# SQLSTATEs of a server that is up again, or less busy, a moment later [doc postgresql errcodes-appendix]: connections, room,
# shutdown, start and crash, a lock that others hold.
_AWAY = ("08", "53", "57P01", "57P02", "57P03", "55P03")
# What libpq says of its own checks, which a server that is there does not pass. It knows no other language here.
_MISTAKES = re.compile(r"certificate|private key|does not support SSL")
# Of a server, or a pooler, that takes nobody just now. libpq passes on no SQLSTATE of a connection that was not made; a server
# that speaks another language is taken for one that refuses.
_CROWDED = re.compile(r"too many (?:clients|connections)|remaining connection slots|no more connections allowed")
T = TypeVar("T")


class NoAnswer(psycopg.OperationalError):
    """The server was silent for longer than anybody waits. The connection is closed: what became of it is not known."""


class Connection(psycopg.Connection):
    """One that is given up where its server is silent.

    Attributes:
        patience: for how many seconds it may be.
    """

    patience = 60.0

    def wait(self, gen: Generator[Any, Any, T], *rest: Any, **options: Any) -> T:
        """Wait for what an exchange with the server comes to. Raises NoAnswer."""
        try:
            return super().wait(_within(gen, self.patience), *rest, **options)
        except NoAnswer:
            self.close()  # the server may still be at it, so nothing else can be asked here
            raise


def _within(gen: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """The same exchange; a turn in which nothing was ready is 0 or None, by psycopg's own protocol."""
    ends = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                ends = time.monotonic() + seconds
            elif time.monotonic() > ends:
                gen.close()
                raise NoAnswer(f"no answer in {seconds:.0f} s")
            wanted = gen.send(ready)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]


def connect(place: Database, options: Mapping[str, str], *, read_only: bool = False) -> Connection:
    """Connect, with these settings of the server for this session.

    They go with the first message, and again as a statement: a pooler may be told to ignore startup parameters.
    `read_only`: every transaction, unless it says otherwise. Raises psycopg.Error.
    """
    connection = Connection.connect(
        conninfo.make_conninfo(place.url, **_KEPT_ALIVE),
        autocommit=True,
        options=" ".join(f"-c {name}={value}" for name, value in options.items()),
        application_name="hvops",
        client_encoding="UTF8",
    )
    try:
        connection.patience = CONNECT_SECONDS
        if read_only:  # not sooner: an address with target_session_attrs=read-write takes no session that began so [doc libpq-connect]
            connection.execute("SELECT pg_catalog.set_config('default_transaction_read_only', 'on', false)")
        if not _set(connection, {**options, **_WATCHED}):
            for name, value in options.items():
                connection.execute(f"SELECT {_SET}", (name, value))
            for name, value in _WATCHED.items():
                _set(connection, {name: value})
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: Connection, settings: Mapping[str, str]) -> bool:
    """Whether the server takes these settings. Raises psycopg.Error where it is gone."""
    try:
        connection.execute(
            f"SELECT {', '.join([_SET] * len(settings))}",
            [part for setting in settings.items() for part in setting],
        )
    except psycopg.DatabaseError:
        if connection.closed:
            raise
        return False
    return True


def must_keep_sessions(place: Database, connection: Connection, pid: int) -> None:
    """Refuse a pooler that hands the server's sessions round: no lock there outlives a transaction, nor is one its holder's.

    Where a pooler answers, the process that the server tells of at the beginning is not the session's [src pgbouncer
    objects.c]. Then a second connection decides: while it is in a transaction, one of the two has to have another session.

    Args:
        place: as messages name it.
        connection: outside a transaction.
        pid: of the server's process, as that connection was told by a statement.

    Raises:
        psycopg.Error: it is gone.
        LedgerError: it is such a pooler.
    """
    if pid == connection.info.backend_pid:
        return
    with connect(place, {}) as second, second.transaction():
        ((beside,),) = second.execute("SELECT pg_backend_pid()").fetchall()
        ((after,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    if pid == beside or pid != after:
        raise LedgerError(
            f"{place} is reached through a pooler that shares sessions, where no lock outlives a transaction. Connect to "
            "PostgreSQL itself, or set pool_mode = session for this database in PgBouncer."
        )


class Reconnector:
    """Makes a connection on a thread of its own, one at a time. Safe between threads."""

    def __init__(self, place: Database, make: Callable[[], Connection]) -> None:
        """Nothing is made yet.

        Args:
            place: as messages name it.
            make: makes one; may take long. Raises psycopg.Error, LedgerError.
        """
        self._place, self._make = place, make
        self._thread = PatientThread(f"connection to {place}")
        self._changing = threading.Lock()
        self._made: Future[Connection] | None = None
        self._is_slow = False

    def connection(self) -> Connection:
        """A new one. Raises psycopg.Error, LedgerError; also where it is still being made: whoever comes later gets it."""
        with self._changing:
            if self._made is None:
                self._made = self._thread.submit(self._timed)
            made = self._made
            try:
                connection = self._thread.wait(made, 0.0 if self._is_slow else WAIT_SECONDS)
            except patience.NoAnswer as error:
                self._is_slow = True
                raise LedgerError(f"{self._place} does not answer. Nothing was written.") from error
            except BaseException:
                self._made = None
                raise
            self._made = None
            return connection

    def close(self) -> None:
        """Close one that nobody fetched, now or when it is there."""
        with self._changing:
            if self._made is not None:
                self._made.add_done_callback(_close)
            self._made = None

    def _timed(self) -> Connection:
        began = time.monotonic()
        try:
            return self._make()
        finally:
            self._is_slow = time.monotonic() - began > _SLOW_SECONDS


def _close(made: Future[Connection]) -> None:
    if made.exception() is None:
        made.result().close()


def is_away(place: Database, error: LedgerError) -> bool:
    """Whether a ledger could not be opened because its server is away, or too busy, and not because it refuses us.

    Whatever the server itself says when a connection is made is in its own language, without a code. So libpq's ping is
    asked: it tells a server that does not answer, or takes nobody yet, from one that does [doc libpq-connect PQping]. One
    that does is asked once more, as it may have come back meanwhile. The ping lets no other thread run.

    Args:
        place: where the ledger is.
        error: what opening it came to.
    """
    for cause in _causes(error):
        if isinstance(cause, (NoAnswer, patience.NoAnswer)):
            return True
        if isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)):
            return _is_away(place, cause)
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_away(place: Database, error: psycopg.Error) -> bool:
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_AWAY)
    if error.pgconn is None:  # lost, out of time, or its name is not found
        return True
    if _MISTAKES.search(str(error)):
        return False
    answer = pq.PGconn.ping(conninfo.make_conninfo(place.url, **_KEPT_ALIVE).encode())
    if answer != pq.Ping.OK:
        return answer != pq.Ping.NO_ATTEMPT
    try:
        connect(place, {"search_path": "pg_catalog,pg_temp"}).close()
    except psycopg.Error as again:
        return _CROWDED.search(str(again)) is not None
    return True
