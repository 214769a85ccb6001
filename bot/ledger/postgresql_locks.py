"""Locks of bots on several machines: advisory locks of PostgreSQL's sessions, which the server takes back from whoever is gone.

A lock that went with its connection is the classic fork: whoever had it must learn that before the next act, and not from
its own memory. So whether a lock is held is asked of the server, on the very connection that holds it, and an answer that
does not come is a no. [doc postgresql explicit-locking, view-pg-locks]

Whoever may connect to a database may take any advisory lock there, and see which are held. So a lock of ours is not one
number but any of a hundred thousand, drawn afresh each time, and it is held where a session has one of them whose login may
write the ledger. Two that want it at once take turns by the lock of all writers, which takes that right as well.

A run has a connection of its own, so that what goes wrong with one takes no other's. The duties of a bot share one, and
what this bot tells of itself stands in that connection's application_name, which the server forgets with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psycopg
import structlog

from bot.errors import LedgerError
from bot.ledger.clock_watch import STEP_SECONDS
from bot.ledger.patience import PatientThread
from bot.ledger.postgresql_connection import Connection, connect
from bot.ledger.postgresql_schema import SCHEMA
from bot.ledger.postgresql_store import LOCK, results
from bot.ledger.shared_locks import (
    KEY_BITS,
    MARKS,
    Duty,
    LockSession,
    PresentBot,
    SharedLocks,
    duty_key,
    number_of_run,
    skew_in_words,
)
from bot.ledger_place import Database
from bot.redaction import clip_line, strip_end

log = structlog.get_logger()

ANSWER_SECONDS = 5.0  # for the server to say whether a lock is held; after that it counts as lost
CLOCK_SECONDS = 60.0  # between two comparisons of the clocks
FRESH_SECONDS = 5.0  # so long a look at the duties is good for
# No table that a session before it left in a pooler is taken for one of the server's.
_OPTIONS = {"lock_timeout": "3s", "search_path": "pg_catalog,pg_temp"}
KEYS = {duty: duty_key(duty) for duty in Duty}
CHANNEL = "hvops_appended"
_EAR_SECONDS = 1.0  # between two looks whether anybody still listens, and before a lost connection is made anew
_TOGETHER_SECONDS = 0.1  # what rings within that time is heard as one
# A lock's number: ours (11 bits), drawn (18), which lock (34). All numbers of one are more than a server has room for.
_OURS, _DRAWN_BITS = 0x687, 18
_OURS_AT = _DRAWN_BITS + KEY_BITS
_NUMBER = "((classid::bigint << 32) | objid::bigint)"
# Whose login is the owner's, a member of it, an administrator's, or was given what it takes to append.
_MAY_WRITE = f"""(pg_has_role(session.usesysid, (SELECT relowner FROM pg_class WHERE oid = to_regclass('{SCHEMA}.lock')), 'MEMBER')
    OR has_table_privilege(session.usesysid, to_regclass('{SCHEMA}.lock'), 'INSERT'))"""  # noqa: S608 - our words
_HERE = """locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_HELD = f"""SELECT {_NUMBER} & {(1 << KEY_BITS) - 1} AS key, pid, coalesce(session.application_name, '') AS name
    FROM pg_locks JOIN pg_stat_activity AS session USING (pid)
    WHERE {_HERE} AND {_NUMBER} >> {_OURS_AT} = {_OURS} AND {_MAY_WRITE}"""  # noqa: S608 - our words
_IS_HELD = f"SELECT count(*) FROM pg_locks WHERE {_HERE} AND {_NUMBER} = %s AND pid = pg_backend_pid()"  # noqa: S608 - our words
_WHOSE = f"SELECT key, pid = pg_backend_pid(), name FROM ({_HELD}) AS held"  # noqa: S608 - our words
_TAKE = f"""SELECT pg_try_advisory_lock({{number}})
    WHERE NOT EXISTS (SELECT FROM ({_HELD}) AS held WHERE key = {{key}})"""  # noqa: S608 - our words
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
# Of whoever may write, too: bots may log in as different members of one role, and a name anybody may give himself. Each login
# sees the names of all sessions; of those whose role it has not, only what they do is hidden [src: pg_stat_get_activity].
_BOTS = f"""SELECT pid, application_name FROM pg_stat_activity AS session
    WHERE datname = current_database() AND application_name LIKE 'hvops/%' AND {_MAY_WRITE}"""  # noqa: S608 - our words
# A name of an application has 63 bytes [doc postgresql runtime-config-logging]: with five marks and a process id of seven
# digits, Linux's longest [doc proc(5), pid_max], it has them all. The end of a host's name tells pods apart.
_LONGEST_HOST, _LONGEST_MARK = 14, 5
_NAME = re.compile(r"(hvops/([A-Za-z0-9.-]{1,14})/([0-9]{1,10})\.[0-9a-f]{4})((?:/[0-9a-f]{5}){0,5})", re.ASCII)


class PostgresqlLockSession(LockSession):
    """One connection and the locks on it. Safe between threads; made anew by whoever takes a lock after it was lost."""

    def __init__(self, place: Database, name: str) -> None:
        """Connect when it is first needed, under that application_name."""
        self._place, self._name = place, name
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._numbers: dict[int, int] = {}  # what was drawn for each lock that it took
        self._is_closed = False

    def take(self, key: int) -> bool:
        """Whether this session holds the lock now, taking it where it is free. Raises LedgerError."""
        with self._lock, _translated(self._place):
            if self._is_closed:
                raise LedgerError(f"{self._place}: the ledger was closed.")
            if self._connection is None or self._connection.closed:
                self._connection, self._numbers = connect_as(self._place, self._name), {}
            if self._is_held(self._connection, key):
                return True  # taken twice it would have to be given back twice
            self._numbers |= take_free(self._connection, (key,))
            return key in self._numbers

    def holds(self, key: int) -> bool:
        """Whether it holds it still, as the server says."""
        with self._lock:
            try:
                return self._connection is not None and self._is_held(self._connection, key)
            except psycopg.Error:
                self._lose()  # unasked, it may be held for ever
                return False

    def give_back(self, key: int) -> None:
        """Let others have it; where that cannot be said, it goes with the connection."""
        with self._lock:
            number = self._numbers.pop(key, None)
            try:
                if number is not None and self._connection is not None and not self._connection.closed:
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", (number,))
            except psycopg.Error:
                self._lose()

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            self._is_closed = True
            self._lose()

    def _is_held(self, connection: Connection, key: int) -> bool:
        number = self._numbers.get(key)
        if number is None:
            return False
        found = connection.execute(_IS_HELD, (number,)).fetchone()
        return bool(found and found[0])

    def _lose(self) -> None:
        _drop(self._connection)
        self._connection, self._numbers = None, {}


class PostgresqlLocks(SharedLocks):
    """The locks of one bot. Safe between threads."""

    def __init__(self, place: Database) -> None:
        """Nothing is connected yet."""
        self.marks: dict[str, str] = {}
        self._place = place
        self._looking = threading.Lock()
        self._duties: Connection | None = None
        self._held: frozenset[Duty] = frozenset()
        self._elsewhere: frozenset[int] = frozenset()
        self._free: frozenset[Duty] = frozenset()
        self._looked_at = -FRESH_SECONDS
        self._is_closed = False
        self.clock: Callable[[], float] = time.time  # of the machine
        self._compared: tuple[float, float] | None = (
            None  # the clock, and the one that nobody sets, at the last comparison
        )
        self._clock_trouble = ""
        self._bell = PatientThread(f"bell of {place}")
        self._is_ringing = threading.Event()
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[-_LONGEST_HOST:] or "-"
        self._name = (
            f"hvops/{host}/{os.getpid()}.{secrets.token_hex(2)}"  # of this bot alone: pods have the same process id
        )

    def session(self) -> LockSession:
        """A session of one's own."""
        return PostgresqlLockSession(self._place, self._name)

    def look(self) -> None:
        """Take each duty that is free, and see what is still held, here and elsewhere. Raises LedgerError."""
        with self._looking, _translated(self._place):
            began = time.monotonic()
            try:
                connection = self._connected()
                if self._is_to_be_compared():
                    self._compare(connection)
                held, others = self._now(connection)
                if self._clock_trouble and KEYS[Duty.RUNS] in held:  # one lock goes with them all
                    _drop(connection)
                    connection = self._connected()
                    held, others = self._now(connection)
                wanted = [key for duty, key in KEYS.items() if duty is not Duty.RUNS or not self._clock_trouble]
                if free := [key for key in wanted if key not in held | others]:
                    take_free(connection, free)
                    held, others = self._now(connection)
                self._held = frozenset(duty for duty, key in KEYS.items() if key in held)
                self._elsewhere = frozenset(key for key in others if number_of_run(key) is not None)
                self._free = frozenset(duty for duty, key in KEYS.items() if key not in held | others)
                self._looked_at = began
            except BaseException:
                self._held, self._elsewhere, self._free = frozenset(), frozenset(), frozenset()
                _drop(self._duties)
                self._duties = None
                raise

    def owns(self, duty: Duty) -> bool:
        """Whether this bot has a duty, by a look of a moment ago."""
        return duty in self._held and time.monotonic() - self._looked_at < FRESH_SECONDS

    def runs_elsewhere(self) -> frozenset[int]:
        """The locks of the runs of other bots, by that look."""
        return self._elsewhere

    def is_free(self, duty: Duty) -> bool:
        """Whether no bot at all has a duty, by the last look; not where that was not answered."""
        return duty in self._free

    def clock_trouble(self) -> str:
        """Why this bot starts nothing by its clock, by the last look."""
        return self._clock_trouble

    def compare_clock(self) -> str:
        """The same, asked now, on a connection of its own. Raises LedgerError."""
        with _translated(self._place), contextlib.closing(connect_as(self._place, "hvops")) as connection:
            return skew_in_words(*_ahead(connection, self.clock))

    def _is_to_be_compared(self) -> bool:
        """Whether it is time, or the clock was set since."""
        if self._compared is None:
            return True
        clock, steady = self.clock() - self._compared[0], time.monotonic() - self._compared[1]
        return steady > CLOCK_SECONDS or abs(clock - steady) > STEP_SECONDS

    def _compare(self, connection: Connection) -> None:
        says = skew_in_words(*_ahead(connection, self.clock))
        self._compared = self.clock(), time.monotonic()
        if says and not self._clock_trouble:
            log.error("this bot starts nothing", why=says)
        elif self._clock_trouble and not says:
            log.info("the clock of this machine is right again")
        self._clock_trouble = says

    def present(self) -> list[PresentBot]:
        """All bots that are there: which machine, what they tell of themselves, what they do for all. Raises LedgerError."""
        with _translated(self._place), contextlib.closing(connect_as(self._place, "hvops")) as connection:
            named = {int(pid): str(name) for pid, name in connection.execute(_BOTS).fetchall()}
            held = [(int(key), int(pid)) for key, pid, _ in connection.execute(_HELD).fetchall()]
        bots = {pid: found for pid, name in named.items() if (found := _NAME.fullmatch(name)) is not None}
        duty_of = {key: duty for duty, key in KEYS.items()}
        present = []
        for found in bots.values():
            if not found[4]:  # a session of a run, or of delivery
                continue
            pids = {pid for pid, other in bots.items() if other[1] == found[1]}
            own = [key for key, holder in held if holder in pids]
            duties = tuple(duty_of[key] for key in sorted(own) if key in duty_of)
            runs = tuple(sorted(number for key in own if (number := number_of_run(key)) is not None))
            marks = dict(zip(MARKS, found[4].strip("/").split("/"), strict=False))
            present.append(PresentBot(found[2], found[3], marks, duties, runs))
        return sorted(present, key=str)

    def ring(self) -> None:
        """Let the other bots know that something was appended: once for all that is appended before it is told."""
        if not self._is_ringing.is_set() and not self._is_closed and self._duties is not None:
            self._is_ringing.set()
            self._bell.submit(self._ring)

    def _ring(self) -> None:
        self._is_ringing.clear()
        with self._looking, contextlib.suppress(psycopg.Error, LedgerError):
            if self._duties is not None and not self._duties.closed:
                self._duties.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._name))

    def listen(self, hear: Callable[[], None]) -> None:
        """Hear the other bots on a thread and a connection of its own; one that was lost is made anew."""
        threading.Thread(target=self._listen, args=(hear,), name=f"ear of {self._place}", daemon=True).start()

    def _listen(self, hear: Callable[[], None]) -> None:
        while not self._is_closed:
            with (
                contextlib.suppress(psycopg.Error, LedgerError),
                contextlib.closing(connect_as(self._place, self._name)) as ear,
            ):
                ear.execute(f"LISTEN {CHANNEL}")
                hear()  # whoever rang while nobody listened
                while not self._is_closed:
                    for rung in ear.notifies(timeout=_EAR_SECONDS, stop_after=1):
                        if rung.payload != self._name:
                            hear()
                            time.sleep(_TOGETHER_SECONDS)
            time.sleep(_EAR_SECONDS)

    def give_up_duties(self) -> None:
        """Let another bot have them: they go with their connection."""
        with self._looking:
            self._held = frozenset()
            _drop(self._duties)
            self._duties = None

    def close(self) -> None:
        """Give everything back that is not a session's own."""
        self._is_closed = True
        self.give_up_duties()

    def _connected(self) -> Connection:
        if self._is_closed:
            raise LedgerError(f"{self._place}: the ledger was closed.")
        if self._duties is None or self._duties.closed:
            marks = "".join(f"/{self.marks.get(name, '')[:_LONGEST_MARK]:0>5}" for name in MARKS)
            self._duties = connect_as(self._place, f"{self._name}{marks}")
            self._compared = None
        return self._duties

    def _now(self, connection: Connection) -> tuple[set[int], set[int]]:
        """The locks that this connection holds, and those of other bots."""
        rows = connection.execute(_WHOSE).fetchall()
        own = {int(key) for key, is_this, _ in rows if is_this}
        return own, {int(key) for key, _, name in rows if not str(name).startswith(self._name)}


def take_free(connection: Connection, keys: Sequence[int]) -> dict[int, int]:
    """Take those locks that nobody has, in one round trip. Returns what was drawn for each. Raises psycopg.Error, LedgerError."""
    drawn = {key: _OURS << _OURS_AT | secrets.randbits(_DRAWN_BITS) << KEY_BITS | key for key in keys}
    takes = [_TAKE.format(number=number, key=key) for key, number in drawn.items()]
    try:
        told = connection.execute("; ".join(("BEGIN", LOCK, *takes, _WHOSE, "COMMIT")), prepare=False)
        _, _, *taken, whose, _ = results(told)
    finally:
        if not connection.closed and connection.info.transaction_status:
            connection.execute("ROLLBACK")
    own = {int(key) for key, is_this, _ in whose if is_this}
    got = {key: number for (key, number), rows in zip(drawn.items(), taken, strict=True) if rows and rows[0][0]}
    if got.keys() - own:  # by a role that it takes after it has logged in: no other bot would see its locks
        connection.close()
        raise LedgerError("the login of the bot is neither the owner of the ledger's tables nor a member of that role")
    return got


def _ahead(connection: Connection, clock: Callable[[], float]) -> tuple[float, float]:
    """By how many seconds a clock is ahead of the server's, and by how much that may be wrong: half the round trip."""
    before, began = clock(), time.monotonic()
    ((told,),) = connection.execute(_CLOCK).fetchall()
    half = (time.monotonic() - began) / 2
    return before + half - float(told), half


def connect_as(place: Database, name: str) -> Connection:
    """A connection under that application_name, with keepalives and TCP's user timeout. Raises psycopg.Error.

    Of several servers in the address only the primary's locks count: a replica gives each of them once more.
    """
    connection = connect(place, _OPTIONS, read_only=True)
    try:
        connection.patience = ANSWER_SECONDS
        named = "SELECT set_config('application_name', %s, false), pg_is_in_recovery()"
        found = connection.execute(named, (name,)).fetchone()
    except BaseException:
        connection.close()
        raise
    if found is None or found[1]:
        connection.close()
        raise psycopg.OperationalError("it is a replica, not the primary")
    return connection


def _drop(connection: Connection | None) -> None:
    if connection is not None:
        connection.close()


@contextlib.contextmanager
def _translated(place: Database) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        says = strip_end(clip_line(str(error)))
        raise LedgerError(f"{place}: who runs what cannot be asked now: {says}.") from error
