"""Connections to the queue that are noticed when they are dead, and made again; tables and grants, made once.

A connection can be dead in ways that neither end hears of: a firewall that forgets it, a proxy that takes everything and
hands nothing on. Keepalives and `tcp_user_timeout` notice the first, `client_connection_check_interval` does so at the
server; against the second each statement has a time of our own, after which the socket is shut.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import conninfo, sql

from bot.errors import SettingsError
from bot.ledger_place import Database
from bot.redaction import clip_line, strip_end
from bot.transport.sites import schema

STATEMENT_SECONDS = 5.0  # a statement takes milliseconds
_LONG_SECONDS = 20.0  # several statements, locks among them
LISTEN_SECONDS = 10.0  # a connection that hears nothing for so long is asked whether it still lives
_CONNECT_SECONDS = 5
_OPTIONS = {
    "search_path": "pg_catalog",
    "client_connection_check_interval": "5s",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "standard_conforming_strings": "on",
    "datestyle": "ISO",  # psycopg reads no other
    "synchronous_commit": "on",  # else a crash takes the row back that an action was begun by
}
# Again, as a statement: a pooler may be told to ignore startup parameters.
_SET = f"SELECT {', '.join(f'pg_catalog.set_config({name!r}, {value!r}, false)' for name, value in _OPTIONS.items())}"
_OF_STATEMENTS = "statement pooling mode"  # what PgBouncer says of a transaction there
_KEPT_ALIVE = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
MOST_SKEW = timedelta(minutes=5)  # between a clock of ours and the database's, as Kerberos allows [doc RFC 4120]
_POOLED = "unsupported startup parameter"  # what PgBouncer says of options


class QueueAway(Exception):
    """The queue cannot be used now. The text says why.

    Attributes:
        was_sent: whether the statement may have arrived: then nobody knows whether it was carried out.
    """

    def __init__(self, says: str, *, was_sent: bool) -> None:
        super().__init__(says)
        self.was_sent = was_sent


class QueueRefuses(Exception):
    """The server understood, and says no: a right is missing, or the queue is of another version."""


class ClockWrong(QueueRefuses):
    """No time of the database's can be gone by."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How the database's clock stands to ours.

    Attributes:
        offset: how far it is ahead.
        doubt: by how much that may be wrong: half of the time that asking took.
        told: what it said.
        heard: when that was here, by the monotonic clock.
    """

    offset: timedelta = timedelta(0)
    doubt: timedelta = timedelta(0)
    told: datetime = _LONG_AGO
    heard: float = 0.0

    @classmethod
    def read(cls, before: datetime, told: datetime, after: datetime) -> Clock:
        """What a reading tells that was asked for and arrived, just now, at these times of ours."""
        half = (after - before) / 2
        return cls(told - (before + half), half, told, time.monotonic())

    def at(self, moment: float) -> datetime:
        """The database's time at a moment of the monotonic clock, or somewhat less; whatever is done to our own clock meanwhile."""
        return self.told + timedelta(seconds=moment - self.heard)

    def must_be_right(self, whose: str) -> None:
        """Raise ClockWrong where the database's is so far off that what is too late could be begun by it. `whose` clock ours is."""
        if abs(self.offset) > MOST_SKEW + self.doubt:
            seconds = abs(self.offset).total_seconds()
            raise ClockWrong(
                f"{whose} and that of the database differ by {seconds:.0f} s, so nobody can say whether it is too late"
            )


class Link:
    """One connection in autocommit, used by one at a time, made again where it was lost. Lives in one event loop."""

    def __init__(self, place: Database, name: str) -> None:
        """Take the address; `name` is what the server calls the connection in its lists."""
        self.place = place
        self._name = name
        self._connection: psycopg.AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self._work: asyncio.Future[Any] | None = None  # what whoever has the turn waits for
        self._is_closed = False

    async def fetch(
        self, statement: str, values: Sequence[Any] = (), seconds: float = STATEMENT_SECONDS
    ) -> list[tuple[Any, ...]]:
        """Carry out one statement. Raises QueueAway, QueueRefuses."""
        async with self._turn:
            connection = await self._ready()
            found: list[tuple[Any, ...]] = await self._guarded(
                connection, self._rows(connection, statement, values), seconds
            )
            return found

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Tell what every notification on a channel says, "" for what came before, until the connection is lost. Raises QueueAway, QueueRefuses."""
        async with self._turn:
            connection = await self._ready()
            statement = f'LISTEN "{channel}"'
            await self._guarded(connection, self._rows(connection, statement, ()), STATEMENT_SECONDS)
            heard("")  # what came before anybody listened
            while True:
                await self._guarded(connection, _hear(connection, heard), LISTEN_SECONDS + STATEMENT_SECONDS)
                await self._guarded(connection, self._rows(connection, "SELECT 1", ()), STATEMENT_SECONDS)

    def close(self) -> None:
        """Let go of it, at once: whoever waits for an answer hears that the connection was lost."""
        self._is_closed = True
        # First whoever waits there: freed under the rest of a statement, libpq's memory would be read by it all the same.
        if self._work is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed already, and goes on with nothing
                self._work.cancel()
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    async def _ready(self) -> psycopg.AsyncConnection:
        self._must_be_open()
        if self._connection is None or self._connection.closed:
            connection = await connect(self.place, self._name)
            try:
                self._must_be_open()  # still
            except QueueAway:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    def _must_be_open(self) -> None:
        if self._is_closed:
            raise QueueAway("the connection was closed", was_sent=False)

    async def _rows(
        self, connection: psycopg.AsyncConnection, statement: str, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        cursor = await connection.execute(statement.encode(), values or None)
        return await cursor.fetchall() if cursor.description else []

    async def _guarded(self, connection: psycopg.AsyncConnection, work: Any, seconds: float) -> Any:
        self._work = asyncio.ensure_future(work)
        try:
            return await within(connection, self._work, seconds)
        except TimeoutError:
            await self._drop(connection)
            raise QueueAway(f"{self.place} did not answer in {seconds:.0f} s", was_sent=True) from None
        except asyncio.CancelledError:
            self._connection = None
            raise
        except psycopg.OperationalError as error:
            was_sent = connection.closed or isinstance(error, psycopg.errors.QueryCanceled)
            await self._drop(connection)
            raise QueueAway(f"{self.place}: {said(error)}", was_sent=was_sent) from error
        except psycopg.InterfaceError as error:
            await self._drop(connection)
            raise QueueAway(f"{self.place}: {said(error)}", was_sent=True) from error
        except psycopg.Error as error:
            raise QueueRefuses(f"{self.place}: {said(error)}") from error
        finally:
            self._work = None

    async def _drop(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = None
        with contextlib.suppress(psycopg.Error):
            await connection.close()


async def within(connection: psycopg.AsyncConnection, work: Any, seconds: float) -> Any:
    """Wait for work on a connection, but not for ever; whoever is cancelled meanwhile leaves the connection to nobody.

    Raises:
        TimeoutError: nothing came, and the connection was cut.
        psycopg.OperationalError: the work was cancelled, and nobody who waits for it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_looked_at)  # whoever waits may be gone
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if task.cancelled():
            raise psycopg.OperationalError("the connection was closed here")
        if done:
            return task.result()
        _shut(connection)
        await asyncio.wait({task}, timeout=_CONNECT_SECONDS)
        _looked_at(task)
    except asyncio.CancelledError:
        _shut(connection)
        with contextlib.suppress(Exception):
            await asyncio.wait({task}, timeout=_CONNECT_SECONDS)
        _looked_at(task)
        connection.pgconn.finish()
        raise
    raise TimeoutError


async def connect(place: Database, name: str) -> psycopg.AsyncConnection:
    """A connection. Raises QueueAway."""
    try:
        async with asyncio.timeout(2 * _CONNECT_SECONDS):
            connection = await psycopg.AsyncConnection.connect(
                conninfo.make_conninfo(place.url, **_KEPT_ALIVE),
                autocommit=True,
                options=" ".join(f"-c {option}={value}" for option, value in _OPTIONS.items()),
                application_name=name,
                prepare_threshold=None,
            )
            try:
                await connection.execute(_SET)
            except BaseException:
                await connection.close()
                raise
            return connection
    except TimeoutError:
        raise QueueAway(f"{place}: no connection in {2 * _CONNECT_SECONDS} s", was_sent=False) from None
    except psycopg.Error as error:
        says = said(error)
        if _POOLED in says:
            says = f"{says}. That is a pooler: connect to PostgreSQL itself, or let it pool sessions"
        raise QueueAway(f"{place}: {says}", was_sent=False) from error


async def _hear(connection: psycopg.AsyncConnection, heard: Callable[[str], None]) -> None:
    async for one in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
        heard(one.payload)


def _shut(connection: psycopg.AsyncConnection) -> None:
    """Cut the connection under whoever waits on it: they hear of it at once, as of any other loss."""
    with contextlib.suppress(OSError, psycopg.Error):
        copy = os.dup(connection.fileno())
        with socket.socket(fileno=copy) as one:
            one.shutdown(socket.SHUT_RDWR)


def _looked_at(task: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more."""
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()


def said(error: psycopg.Error) -> str:
    """What the server or libpq says, in one line."""
    return strip_end(clip_line(str(error)))


def utc_now() -> datetime:
    """Our own clock."""
    return datetime.now(UTC)


async def prepare(place: Database, logins: Mapping[str, str], stale_seconds: float) -> None:
    """Make the tables where there are none, and let each site's login call the functions, and nobody else.

    Args:
        place: with a login that may make a schema there.
        logins: of each site, its worker's.
        stale_seconds: how long a worker may be silent before its questions are given to another one.

    Raises:
        QueueAway: it cannot be used now.
        SettingsError: what the settings say of it cannot be.
    """
    connection = await connect(place, "hvops")
    try:
        await within(connection, _prepare(connection, place, logins, stale_seconds), _LONG_SECONDS)
    except TimeoutError:
        raise QueueAway(f"{place} did not answer in {_LONG_SECONDS:.0f} s", was_sent=True) from None
    except (psycopg.errors.DuplicateSchema, psycopg.errors.UniqueViolation) as error:
        raise QueueAway(f"{place}: another bot is making it", was_sent=False) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise QueueAway(f"{place}: {said(error)}", was_sent=True) from error
    except psycopg.Error as error:
        raise SettingsError(f"[sites] database: {place} cannot be set up: {said(error)}.") from error
    finally:
        with contextlib.suppress(psycopg.Error):
            await connection.close()


async def _prepare(
    connection: psycopg.AsyncConnection, place: Database, logins: Mapping[str, str], stale_seconds: float
) -> None:
    async with connection.transaction():
        await _make(connection, place)
        # Not an advisory lock, which any login of the database could hold.
        await connection.execute(f"LOCK TABLE {schema.SCHEMA}.site IN EXCLUSIVE MODE".encode())
        await _grant(connection, place, logins, stale_seconds)


async def _make(connection: psycopg.AsyncConnection, place: Database) -> None:
    asked = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s"
    found = await (await connection.execute(asked, (schema.SCHEMA,))).fetchone()
    if found is not None:
        if found[0] != schema.VERSION:
            raise SettingsError(
                f"[sites] database: {place} has a queue of another version ({found[0] or 'none'}; known is {schema.VERSION}). "
                f"Stop its bots and workers, and drop the schema {schema.SCHEMA}: it holds no records."
            )
        return
    await connection.execute(f"CREATE SCHEMA {schema.SCHEMA}".encode())
    await connection.execute(f"SET LOCAL search_path = {schema.SCHEMA}, pg_temp".encode())
    for statement in schema.EVERYTHING:
        await connection.execute(statement.encode())
    await connection.execute(f"COMMENT ON SCHEMA {schema.SCHEMA} IS '{schema.VERSION}'".encode())


# Who could read or write the tables by other ways than the functions.
_RIGHTS = (
    """SELECT rolsuper, rolcreaterole, pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = %s"""
)


async def _grant(
    connection: psycopg.AsyncConnection, place: Database, logins: Mapping[str, str], stale_seconds: float
) -> None:
    for site, login in logins.items():
        found = await (await connection.execute(_RIGHTS, (login,))).fetchone()
        if found is None:
            raise SettingsError(
                f"[sites.worker.{site}] login: {place} knows no {login}. Run there, as its administrator: "
                f"CREATE ROLE {login} LOGIN PASSWORD '…'."
            )
        if any(found):
            raise SettingsError(
                f"[sites.worker.{site}] login: {login} could read every site's tasks: it is a superuser, may create roles, or is a "
                "member of the bot's own. Give the worker a login of its own."
            )
    known: dict[str, str] = dict(await (await connection.execute(_KNOWN.encode())).fetchall())
    for site, login in known.items():
        if logins.get(site) != login:
            await connection.execute(_NO_SITE.encode(), (site,))
            await _privileges(connection, "REVOKE", "FROM", login)
    for site, login in logins.items():
        await connection.execute(_SITE.encode(), (site, login, timedelta(seconds=stale_seconds)))
        await _privileges(connection, "GRANT", "TO", login)


_KNOWN = f"SELECT name, login FROM {schema.SCHEMA}.site WHERE length(name) + length(login) < 1000 LIMIT 10000"  # noqa: S608 - our words
_NO_SITE = f"DELETE FROM {schema.SCHEMA}.site WHERE name = %s"  # noqa: S608 - our words
_SITE = f"""INSERT INTO {schema.SCHEMA}.site VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET login = excluded.login, stale = excluded.stale"""  # noqa: S608 - our words


async def _privileges(connection: psycopg.AsyncConnection, verb: str, of: str, login: str) -> None:
    what = [f"USAGE ON SCHEMA {schema.SCHEMA}"]
    what += [f"EXECUTE ON FUNCTION {schema.SCHEMA}.{one}" for one in schema.CALLABLE]
    found = await (await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,))).fetchone()
    for right in what if found else ():
        words = sql.SQL(f"{verb} {right} {of} ")
        await connection.execute(words + sql.Identifier(login))


async def is_pooled(place: Database) -> bool:
    """Whether a pooler hands the server's sessions round between transactions, as PgBouncer does unless it is told otherwise.

    Then nobody hears a notification, and a session is not what it was. While a second connection is in a transaction, one
    of the two has to have another session of the server's than before. Raises QueueAway.
    """
    one, two = await connect(place, "hvops doctor"), await connect(place, "hvops doctor")

    async def look() -> bool:
        before = await _session(one)
        async with two.transaction():
            beside, after = await _session(two), await _session(one)
        return before == beside or before != after

    try:
        async with asyncio.timeout(_LONG_SECONDS):
            return await look()
    except TimeoutError:
        raise QueueAway(f"{place} did not answer in {_LONG_SECONDS:.0f} s", was_sent=True) from None
    except psycopg.Error as error:
        if _OF_STATEMENTS in said(error):
            return True
        raise QueueAway(f"{place}: {said(error)}", was_sent=True) from error
    finally:
        for connection in (one, two):
            with contextlib.suppress(psycopg.Error):
                await connection.close()


async def _session(connection: psycopg.AsyncConnection) -> int:
    found = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert found is not None
    return int(found[0])


async def may_connect(place: Database, logins: Sequence[str]) -> list[str]:
    """Which of these logins may open that database: that of the ledger, for instance. Raises QueueAway."""
    connection = await connect(place, "hvops doctor")
    try:
        cursor = await connection.execute(_MAY_CONNECT, (list(logins),))
        return [str(login) for (login,) in await cursor.fetchall()]
    except psycopg.Error as error:
        raise QueueAway(f"{place}: {said(error)}", was_sent=True) from error
    finally:
        with contextlib.suppress(psycopg.Error):
            await connection.close()


_MAY_CONNECT = """SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)
AND has_database_privilege(oid, current_database(), 'CONNECT')"""
