"""All hosts at once: a slot for each question, a deadline for each host, back-off when a host is too busy.

Questions wait as coroutines and go out on threads, because the login libraries block. A host that hangs costs one slot
until its deadline and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from bot.api.actions import InvokeMethod, RowTransaction, RunProgram
from bot.api.host_names import host_key
from bot.api.queries import (
    DoneChanges,
    GuestQuery,
    GuestRegistry,
    GuestRunReader,
    GuestWql,
    Query,
    Registry,
    RunReader,
    SampleHistory,
    WinRMConfig,
    Wql,
)
from bot.api.rows import Row, Rows
from bot.config.inventory_file import Web
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    LoginNotChecked,
    MalformedResponse,
    NotAskedInTime,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetError,
    TargetTimeout,
)
from bot.redaction import clip
from bot.transport.allowlist import PROGRAMS, Program
from bot.transport.allowlist.reading_methods import METHODS
from bot.transport.allowlist.web_probe import ANSWERS
from bot.transport.bounds import MAX_KEPT, MAX_KEPT_OF_ALL, MAX_NODES, SHORT, Latest, is_longer, weigh
from bot.transport.connect import CONNECT, measure_connect
from bot.transport.connection_pool import ConnectionPool, PooledCall
from bot.transport.http.commvault import BackupProduct, is_web
from bot.transport.http.loadmaster import LoadBalancers, is_appliance
from bot.transport.http.probe import Prober, is_probe
from bot.transport.routing import Profile, Route, Router, guest_key
from bot.transport.sql.databases import Databases, is_sql
from bot.transport.turns import Slots, judged_look
from bot.transport.windows import host_operations, winrm_config, wql
from bot.transport.windows.kerberos import no_answer_yet, wait_for_ticket
from bot.transport.windows.program_output import rows_of
from bot.transport.windows.winrm import Connection, Deadline, WireObserver
from bot.transport.windows.wsman import check_xml_text

T = TypeVar("T")
Work = Callable[[Connection, Deadline], T]

PER_HOST = 4  # questions to one host at a time, one of them a run's: WinRM 2.0 allows five shells per user [doc]
_OF_A_DOMAIN, _OF_A_REALM = 3 / 4, 7 / 8  # of the threads
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0  # seconds of back-off
_NODES = "mscluster_node"
_LEAST = 0.1  # seconds that a database or a service gets after a long wait
_SMALL, _FEW = 2**16, 100  # an answer with fewer bytes and rows is not weighed, but taken for twice its text
_BUSY = "Try again in a moment."
_MOST_HOSTS = 20_000  # hosts and guests of which it is remembered how they answered last
_LATE = 0.25  # seconds that a thread gets to notice its own deadline
GROUP = "slack user group"  # its members: {user, name, active}
_WATCH = 0.5  # seconds after which it is looked what a host sends that has not answered yet
_GRACE = 2.5  # seconds in which a thread past its deadline may still close what it opened


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What came back.

    Attributes:
        raw: the replies as they came, decoded: SOAP, or what a program printed.
        by: the host that answered; for a question to a cluster, the entry host.
        counts_as: by which that machine counts; "" where a site's worker asked, or no Windows.
        asked: when a worker began to ask, UTC; None where the way does not tell.
        answered: when it had the whole answer.
    """

    rows: Rows
    raw: str
    by: str
    asked: datetime | None = None
    answered: datetime | None = None
    counts_as: str = ""
    lease: object = None  # while anybody holds it, the answer counts against what is kept of that host


class _Lease:
    """Gives back what an answer takes, when nobody holds it any more."""


class TargetClient:
    """The way to Windows. Lives as long as the bot, in one event loop."""

    def __init__(
        self,
        router: Router,
        *,
        at_once: int = 128,
        programs: Mapping[str, Program] = PROGRAMS,
        tap: WireObserver | None = None,
        databases: Databases | None = None,
        backups: BackupProduct | None = None,
        balancers: LoadBalancers | None = None,
        prober: Prober | None = None,
    ) -> None:
        """Take the ways.

        Args:
            router: which name is reached where.
            at_once: how many questions are under way at a time.
            programs: the catalogue.
            tap: is told every request and reply in clear, on worker threads; for `hvops record`.
            databases: the way to VMM servers' databases; None where there are none.
            backups: the way to the backup product; None where there is none.
            balancers: the way to load balancers; None where there are none.
            prober: the way to web servers; None where none may be asked.
        """
        self.router = router
        self._prober = prober or Prober(Web())
        self._databases = databases or Databases({}, None)
        self._backups = backups or BackupProduct(None)
        self._balancers = balancers or LoadBalancers({}, {})
        self._programs = programs
        self._kept = ConnectionPool(tap)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="reach")
        self._slots = Slots(at_once)
        self._per_host: dict[str, Slots] = {}
        self._per_realm: dict[str, Slots] = {}
        self._per_domain: dict[tuple[str, str], Slots] = {}
        self._at_once = at_once
        self._code_pages: Latest[int] = Latest(_MOST_HOSTS)
        self._held: Counter[str] = Counter()  # machine -> bytes of its answers that requests still hold
        self._held_of_all = 0
        self._counting = threading.RLock()  # whoever lets go of an answer may be any thread
        self._running: set[PooledCall[Any]] = set()
        # Asks whether the operator's login may be used on a host; raises PolicyViolation. Without it, only where it is written.
        self.prove: Callable[[str], Awaitable[None]] | None = None
        # Asks Slack who is in a group; None where hvops runs without Slack. Raises TargetError.
        self.group_members: Callable[[str], Awaitable[Rows]] | None = None
        self._fell_silent: dict[str, float] = {}  # host -> when a question to it last ran out of time
        self._heard: dict[str, float] = {}  # host -> when it last answered anything

    @property
    def worker_sites(self) -> Mapping[str, str]:
        """Which names, in lower case, a site's worker reaches in place of this machine, and that site's name."""
        return {}

    async def warm(self) -> None:
        """Get ready what takes time, so that the first person does not wait for it."""

    async def answer(self, question: Query, seconds: float = 20.0) -> QueryResult:
        """Ask. `seconds` is how long one host may be silent, and all it has for anything but a program.

        Raises:
            TargetError: the target did not answer, or our own rules keep the question back.
        """
        if isinstance(question, (SampleHistory, DoneChanges)):
            raise TypeError("the ledger remembers, not a host")
        answer = await self._answer(question, seconds)
        size = sys.getsizeof(answer.raw)
        is_small = self._is_small(answer)
        weight = size if is_small else await asyncio.to_thread(weigh, answer.rows)  # of hundreds of thousands of cells
        return replace(answer, lease=self._lease(answer, self._whose(question, answer), size + weight))

    def _whose(self, question: Query, answer: QueryResult) -> tuple[str, ...]:
        """By which an answer counts. A guest, which may call itself as it likes, takes nothing of what a host may have.

        It counts by its id, so that others that lead to it take nothing of what it may have, and by where it was asked: one
        machine has no more because it is asked as many.
        """
        if not isinstance(question, GuestQuery):
            return (answer.counts_as or self.router.count_as(answer.by),)
        where = answer.counts_as or guest_key(question.fqdn)
        return (where, guest_key(f"with id {question.vm_id.strip('{}')}")) if question.vm_id else (where,)

    def _is_small(self, answer: QueryResult) -> bool:
        """Whether its rows take no more than its text, as those that were read from it."""
        is_short = sys.getsizeof(answer.raw) <= _SMALL and len(answer.rows) <= _FEW
        return is_short and not is_longer(answer.rows, _SMALL)

    def _lease(self, answer: QueryResult, whose: tuple[str, ...], weight: int) -> _Lease:
        """Count an answer.

        Raises:
            MalformedResponse: those of that machine that are still held are too much by now.
            QuotaExceeded: those of all hosts are, and this one's are not short.
        """
        with self._counting:
            of_one = max((self._held[one] for one in whose), default=0) + weight
            if of_one > MAX_KEPT:
                raise MalformedResponse(answer.by, "its answers exceed what hvops keeps in memory for one host.", _BUSY)
            if self._held_of_all + weight > MAX_KEPT_OF_ALL and of_one > SHORT:
                says = "its answer is long, and hvops has as many long answers in memory as it keeps at one time."
                raise QuotaExceeded(answer.by, says, _BUSY)
            self._held_of_all += weight
            for one in whose:
                self._held[one] += weight
        lease = _Lease()
        weakref.finalize(lease, self._give_back, whose, weight)
        return lease

    def _give_back(self, whose: tuple[str, ...], weight: int) -> None:
        with self._counting:
            self._held_of_all -= weight
            for one in whose:
                self._held[one] -= weight
                if self._held[one] <= 0:
                    del self._held[one]

    async def _answer(self, question: Query, seconds: float) -> QueryResult:
        if isinstance(question, GuestQuery):
            return await self._ask(self.router.guest(question.on, question.fqdn), question, seconds)
        if isinstance(question, RunReader) and (elsewhere := await self._elsewhere(question, seconds)):
            return elsewhere
        entries = self.router.entries(question.on)
        failures: list[TargetError] = []
        for entry in entries:
            try:
                way = await self._way(entry, self._profile(question))
                answer = await self._ask(way, question, seconds)
                check_nodes(question, answer)
            except PolicyViolation:  # the same on every host
                raise
            except TargetError as failure:  # also a refusal: the cluster service may be down on this node only
                failures.append(failure)
                if _ends_search(failure):
                    break
                continue
            if len(entries) > 1:
                self.router.mark_preferred(question.on, entry)
            self._learn(question, answer)
            return answer
        raise _nobody(question.on, failures, entries[len(failures) :])

    async def _elsewhere(self, question: RunReader, seconds: float) -> QueryResult | None:
        """The answer to what is asked of no Windows: a database, a web service, Slack; None for a program of a host."""
        on = question.on
        ask: Callable[[float], Awaitable[tuple[Rows, str]]] | None = None
        if question.what == GROUP:
            if self.group_members is None:
                raise NotFound(on, "hvops runs without Slack here, so nobody can say who is in the group.")
            return QueryResult(await self.group_members(on), "", "Slack")
        if is_probe(question.what):
            rows, raw = await self._prober.answer(question, seconds)
            return QueryResult(rows, raw, on)
        if question.what == ANSWERS:
            rows, raw = await self._prober.connect(question, seconds)
            return QueryResult(rows, raw, on)
        if is_sql(question):
            ask = partial(self._databases.answer, question)
        elif is_web(question.what):
            ask = partial(self._service(question).answer, question)
        elif question.what == CONNECT:
            on = self.router.entries(on)[0]
            found, told = await self._connected(on, seconds)
            return QueryResult(found, told, on)
        if ask is None:
            return None
        found, told = await self._in_turn(on, seconds, ask)
        return QueryResult(found, told, on)

    async def _connected(self, on: str, seconds: float) -> tuple[Rows, str]:
        """Connect to a host when it is its turn. A host whose turn never came was not silent: nobody asked it."""
        way, is_asked = self.router.host(on), False

        async def connect(left: float) -> tuple[Rows, str]:
            nonlocal is_asked
            is_asked = True
            return await measure_connect(way, left, of=seconds)

        try:
            return await self._in_turn(on, seconds, connect)
        except TargetTimeout as late:
            if is_asked:
                raise
            raise NotAskedInTime(on, late.message, late.hint) from None

    def _learn(self, question: Query, answer: QueryResult) -> None:
        """Whenever a cluster names all its nodes they can be reached, even one that joined a minute ago."""
        if not isinstance(question, Wql) or question.where:
            return  # some of them are not all of them
        if question.cls.casefold() == _NODES and self.router.is_cluster(question.on):
            self.router.add_nodes(question.on, (name for row in answer.rows if (name := str(row.get("Name") or ""))))

    async def invoke(self, action: InvokeMethod, seconds: float = 60.0) -> QueryResult:
        """Call a method with the operator's login: over a fresh connection, and never twice.

        Raises:
            TargetError: it was refused, or nobody knows: `TargetTimeout` does not mean that nothing happened.
        """
        ends = time.monotonic() + seconds
        with judged_look(action.on) as look:
            way = await self._way(action.on, "operator")
            row, raw = await self._once(
                way,
                lambda over, until: host_operations.call(over, action, until, look),
                seconds,
                reads=False,
                ends=ends,
            )
        return QueryResult((row,), raw, way.name)

    async def update(self, action: RowTransaction, seconds: float = 60.0) -> QueryResult:
        """Change rows of a VMM server's database, all or none. The answer is every row as it was before.

        Raises:
            OutcomeUnknown: it was cut off while it was committed.
            TargetError: it was not done, and nothing is half done.
        """
        rows = await self._in_turn(action.on, seconds, partial(self._databases.update, action), reads=False)
        return QueryResult(rows, "", action.on)

    async def change(self, action: RunProgram, seconds: float = 60.0) -> QueryResult:
        """Run a row of the catalogue that changes something, with its own login: over a fresh connection, never twice.

        However long the row may take elsewhere, it is over after `seconds`: what is not known by then may be begun again.

        Raises:
            PolicyViolation: there is no such row, or it only reads.
            TargetError: it was refused, or nobody knows: `TargetTimeout` does not mean that nothing happened.
        """
        if is_web(action.what):
            rows, raw = await self._in_turn(
                action.on, seconds, partial(self._service(action).change, action), reads=False
            )
            return QueryResult(rows, raw, action.on)
        program, ends = self._program(action), time.monotonic() + seconds
        with judged_look(action.on) as look:
            way = await self._way(action.on, "operator")
            work = self._running_of(way, program, action, look)
            (rows, raw), _ = await self._once(way, work, seconds, reads=False, ends=ends)
        return QueryResult(rows, raw, way.name)

    async def get(self, question: Wql, seconds: float = 20.0) -> QueryResult:
        """One instance by its keys (the `=` terms of `where`), or a singleton without any. Raises TargetError."""
        keys = tuple(sorted((term.column, term.value) for term in question.where if not isinstance(term.value, tuple)))
        way = self.router.host(question.on)

        def work(over: Connection, until: Deadline) -> Row:
            return host_operations.instance(over, question.namespace, question.cls, keys, until)

        row, raw = await self._patiently(way, work, seconds)
        return QueryResult((row,), raw, way.name)

    def close(self) -> None:
        """Give up what is under way, and close every connection."""
        for job in list(self._running):
            job.abort()
        self._kept.close()
        self._databases.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _way(self, name: str, profile: Profile) -> Route:
        """The way to a host. Raises PolicyViolation, also where the operator's login may not be used there."""
        if profile == "operator" and self.prove is not None:
            await self.prove(name)
        return self.router.host(name, profile)

    def _service(self, asked: RunReader | RunProgram) -> BackupProduct | LoadBalancers:
        return self._balancers if is_appliance(asked.what) else self._backups

    def _profile(self, question: Query) -> Profile:
        if not isinstance(question, RunReader) or question.what in METHODS:
            return "reader"
        return self._program(question).profile

    def _program(self, question: RunReader | GuestRunReader | RunProgram) -> Program:
        """The row. Raises PolicyViolation for one that is not there, or that is marked otherwise."""
        program = self._programs.get(question.what)
        if program is None:
            raise PolicyViolation(question.on, f"there is no {clip(repr(question.what), 60)} in the catalogue.")
        if isinstance(question, (RunReader, GuestRunReader)) and program.marked != "reads":
            raise PolicyViolation(question.on, f"{question.what!r} changes things, so no question may run it.")
        if isinstance(question, RunProgram) and program.marked != "changes":
            raise PolicyViolation(question.on, f"{question.what!r} only reads, so no step may stand on it.")
        return program

    async def _ask(self, way: Route, question: Query, seconds: float) -> QueryResult:
        if isinstance(question, RunReader) and question.what in METHODS:
            return await self._call(way, question, seconds)
        if isinstance(question, (RunReader, GuestRunReader)):
            return await self._run(way, question, seconds)
        try:
            work = _work(question)
        except ValueError as error:
            raise PolicyViolation(question.on, f"the question cannot be asked: {error}.") from None
        (rows, asked, answered), raw = await self._patiently(way, _timed(work), seconds)
        return QueryResult(rows, raw, way.name, asked, answered, way.key)

    async def _call(self, way: Route, question: RunReader, seconds: float) -> QueryResult:
        row = METHODS[question.what]
        try:
            keys = row.bound_keys(question.params)
        except ValueError as error:
            raise PolicyViolation(question.on, f"{error}.") from None

        def work(over: Connection, until: Deadline) -> Rows:
            return host_operations.read_method(over, row, keys, until)

        (rows, asked, answered), raw = await self._patiently(way, _timed(work), seconds)
        return QueryResult(rows, raw, way.name, asked, answered, way.key)

    async def _run(self, way: Route, question: RunReader | GuestRunReader, seconds: float) -> QueryResult:
        program = self._program(question)
        work = self._running_of(way, program, question)
        longest = max(seconds, program.seconds)
        ((rows, raw), asked, answered), _ = await self._patiently(way, _timed(work), longest, silence=seconds)
        return QueryResult(rows, raw, way.name, asked, answered, way.key)

    def _running_of(
        self,
        way: Route,
        program: Program,
        asked: RunReader | GuestRunReader | RunProgram,
        look: Callable[[], None] | None = None,
    ) -> Work[tuple[Rows, str]]:
        """What a worker does to run a row and to read what it printed, which may be megabytes.

        `look` is taken before one that changes something is begun.

        Raises PolicyViolation for values that it does not take.
        """
        try:
            argv = program.command_line(asked.params)
        except ValueError as error:
            raise PolicyViolation(asked.on, f"{error}.") from None

        def work(over: Connection, until: Deadline) -> tuple[Rows, str]:
            code_page = self._code_pages.get(way.key)
            if code_page is None:
                code_page = host_operations.oem_code_page(over, until)
                self._code_pages.put(way.key, code_page)
            output = host_operations.run(over, argv, code_page, until, look)
            output = replace(output, stdout=program.cover(output.stdout)) if program.cover else output
            return rows_of(way.name, program, asked, output), output.stdout + output.stderr

        return work

    async def _patiently(self, way: Route, work: Work[T], seconds: float, silence: float = 0) -> tuple[T, str]:
        """Ask, and ask again after a pause while the host says that it is too busy."""
        ends, pause = time.monotonic() + seconds, _FIRST_PAUSE
        said: QuotaExceeded | None = None
        while True:
            try:
                return await self._once(way, work, seconds, silence=silence, reads=True, ends=ends)
            except TargetTimeout:
                if said is not None:  # it did answer, just not this last time
                    raise said from None
                raise
            except QuotaExceeded as busy:
                said = busy
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, hides nothing
                if time.monotonic() + wait >= ends:
                    raise
                await asyncio.sleep(wait)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(
        self, way: Route, work: Work[T], seconds: float, *, silence: float = 0, reads: bool, ends: float = 0
    ) -> tuple[T, str]:
        """One attempt on a thread. Its slots are free again when the thread is, not when the caller has left.

        The wait for a slot is part of its time: who waited long has little left, and that says nothing of the host.
        """
        began = time.monotonic()
        ends = ends or began + seconds
        if not (reads and self._kept.has(way)):
            await wait_for_ticket(way.credentials, min(ends, began + (silence or seconds)))
        job = PooledCall(self._kept, way, work, lambda: Deadline(ends, silence or seconds), began, reads=reads)
        with ExitStack() as slots:
            for slot in (self._slots_of(way.key), *self._slots_of_domain(way), self._slots):
                await self._take(slot, slots, (way.name, way.key), began, ends, reads=reads)
            if self._fell_silent.get(way.key, 0) > max(began, self._heard.get(way.key, 0)):
                raise TargetTimeout(way.name, TargetTimeout.after(silence or seconds))  # to those it queued behind
            if time.monotonic() >= ends:
                raise self._too_late(way.name, way.key, began, ends, reads=reads)
            future = asyncio.get_running_loop().run_in_executor(self._threads, job.run)
            self._running.add(job)
            whole = ends - time.monotonic() >= seconds / 2
            future.add_done_callback(partial(self._ended, job, way.key, slots.pop_all(), whole=whole))
        return await _until(future, job, way, began, ends)

    def _slots_of(self, name: str) -> Slots:
        """Those of a host. Of hosts that nobody asks just now none are kept for ever: guests are called as they like."""
        if len(self._per_host) > _MOST_HOSTS:
            self._per_host = {one: slots for one, slots in self._per_host.items() if slots.is_in_use}
            for told in (self._fell_silent, self._heard):
                told.clear()
        return self._per_host.setdefault(host_key(name), Slots(PER_HOST))

    def _slots_of_domain(self, way: Route) -> tuple[Slots, Slots]:
        """Those of its domain, and of all that the same realm logs in to: fewer than there are, so that others have some.

        No deadline ends a thread that waits in libkrb5 or in the resolver: domain controllers of one domain that are silent
        must not take all of them. A login may reach through a trust into a domain whose own controllers are.
        """
        realm, domain = way.credentials.realm, host_key(way.service_name).partition(".")[2]
        least = min(2, self._at_once)  # one for a question, one for a run
        some, most = (max(least, int(self._at_once * share)) for share in (_OF_A_DOMAIN, _OF_A_REALM))
        return (
            self._per_domain.setdefault((realm, domain), Slots(some)),
            self._per_realm.setdefault(realm, Slots(most)),
        )

    async def _take(
        self, slot: Slots, held: ExitStack, of: tuple[str, str], began: float, ends: float, *, reads: bool = True
    ) -> None:
        """Wait for a slot of a machine, `of` being what it is called and by which it counts.

        Raises TargetTimeout; QuotaExceeded where something would have been done, as it surely was not.
        """
        try:
            who = await slot.acquire(ends)
        except TimeoutError:
            raise self._too_late(*of, began, ends, reads=reads) from None
        held.callback(slot.release, who)

    def _too_late(self, name: str, key: str, began: float, ends: float, *, reads: bool) -> TargetError:
        """Its time was over before it was sent."""
        waited = ends - began
        if not reads:
            was_busy = f"it was busy with other questions from hvops for {waited:.0f} s"
            busy = QuotaExceeded(
                name, f"nothing was sent: {was_busy if waited > 0 else 'the questions before it took all its time'}."
            )
            busy.is_unsent = True
            return busy
        if self._heard.get(key, 0) < began:  # nor did it answer those that were asked before
            return TargetTimeout(name, TargetTimeout.after(waited))
        return TargetTimeout(name, f"not asked: it was busy with other questions from hvops for {waited:.0f} s.", _BUSY)

    async def _in_turn(self, on: str, seconds: float, ask: Callable[[float], Awaitable[T]], *, reads: bool = True) -> T:
        """Ask a database or a service when it is this one's turn, within what is left of its time."""
        began, key = time.monotonic(), self.router.count_as(on)
        with ExitStack() as held:
            await self._take(self._slots_of(key), held, (on, key), began, began + seconds, reads=reads)
            return await ask(max(_LEAST, began + seconds - time.monotonic()))

    def _ended(
        self, job: PooledCall[Any], key: str, slots: ExitStack, future: asyncio.Future[Any], *, whole: bool
    ) -> None:
        # looked at even if the caller has left; noted before the slots go to those that would ask a silent host next
        error = None if future.cancelled() else future.exception()
        silent = isinstance(error, TargetTimeout)
        if (whole or not silent) and not isinstance(error, LoginNotChecked):  # that says nothing of the host
            (self._fell_silent if silent else self._heard)[key] = time.monotonic()
        slots.close()
        self._running.discard(job)


def check_nodes(question: Query, answer: QueryResult) -> None:
    """Raise MalformedResponse for more nodes than any cluster has: hvops would ask, and log in to, every one of them."""
    if isinstance(question, Wql) and question.cls.casefold() == _NODES and len(answer.rows) > MAX_NODES:
        says = f"it names {len(answer.rows):,} nodes, and no cluster has more than {MAX_NODES // 2}."
        raise MalformedResponse(answer.by, says)


def _timed(work: Work[T]) -> Work[tuple[T, datetime, datetime]]:
    """The work, and when a worker began and ended it: waiting for a slot does not count."""

    def timed(over: Connection, until: Deadline) -> tuple[T, datetime, datetime]:
        asked = datetime.now(UTC)
        return work(over, until), asked, datetime.now(UTC)

    return timed


def _work(question: Query) -> Work[Rows]:
    """What a worker does for a question. Raises ValueError for names and values that cannot be sent."""
    if isinstance(question, (Wql, GuestWql)):
        namespace = wql.namespace(question.namespace)
        query = wql.select(question.cls, question.columns, question.where)
        return lambda over, until: host_operations.rows(over, namespace, query, until)
    if isinstance(question, WinRMConfig):
        return lambda over, until: (winrm_config.read(over, until),)
    assert isinstance(question, (Registry, GuestRegistry))
    key, names = question.key, question.names
    for word in (key, *names):
        check_xml_text(word)
    return lambda over, until: (host_operations.registry(over, key, names, until),)


async def _until(
    future: asyncio.Future[tuple[T, str]], job: PooledCall[T], way: Route, began: float, ends: float
) -> tuple[T, str]:
    """Wait, but no longer than the deadline: a thread may hang where no socket deadline reaches, as in DNS."""
    done: set[Any] = set()
    try:
        while not done and (left := ends + _LATE - time.monotonic()) > 0:
            done, _ = await asyncio.wait({future}, timeout=min(left, _WATCH))
            if not done and job.is_mostly_wrapping():
                job.abort()
                raise MalformedResponse(
                    way.name, "it sends mostly TLS records that carry little or nothing, so it was given up."
                )
    except asyncio.CancelledError:
        asyncio.get_running_loop().call_later(_GRACE, job.abort)
        raise
    if not done and not future.done():
        if job.is_asking_kdc():  # nothing more goes to the host: its time is over
            job.abort()
            late = no_answer_yet(way.credentials)
            job.judge(late)
            raise late
        asyncio.get_running_loop().call_later(_GRACE, job.abort)
        raise TargetTimeout(way.name, TargetTimeout.after(ends - began))
    return future.result()


def _ends_search(failure: TargetError) -> bool:
    """Whether no other entry host is asked: each would say the same, and each wrong password brings the account nearer to its lockout."""
    return isinstance(failure, AuthenticationFailed) and not failure.is_only_there


def _nobody(on: str, failures: list[TargetError], left: Sequence[str]) -> TargetError:
    """No entry host of a cluster answered, or the one host did not. `left`: those that were not asked after that."""
    last = failures[-1]
    if len(failures) == 1:
        return last
    kinds = {type(failure) for failure in failures}
    says = f"none of its entry hosts answered: {' '.join(map(str, failures))}"
    if _ends_search(last):
        return type(last)(on, f"{says} Not asked after that: {', '.join(left)}." if left else says)
    if all(isinstance(failure, AuthenticationFailed) for failure in failures):
        return AuthenticationFailed(on, says, is_only_there=True)
    return (kinds.pop() if len(kinds) == 1 else ConnectionFailed)(on, says)
