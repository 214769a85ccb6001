"""All hosts at once: a slot for each question, a deadline for each host, back-off when a host is too busy.

Questions wait as coroutines and go out on threads, because the login libraries block. A host that hangs costs one slot
until its deadline and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from bot.api.actions import Change, Invoke, Updates
from bot.api.queries import GuestRegistry, GuestWql, Question, Read, Recall, Registry, Wql
from bot.api.rows import Row, Rows
from bot.errors import (
    LoginRefused,
    OutOfBounds,
    QuotaExceeded,
    TargetError,
    TimedOut,
    Unreachable,
)
from bot.transport.allowlist import PROGRAMS, Program
from bot.transport.connection_pool import Job, Kept
from bot.transport.http.commvault import BackupProduct, is_web
from bot.transport.routing import Profile, Way, Ways
from bot.transport.sql.databases import Databases, is_sql
from bot.transport.windows import host_operations, winrm_config, wql
from bot.transport.windows.program_output import rows_of
from bot.transport.windows.winrm import Connection, Deadline, Tap
from bot.transport.windows.wsman import sendable

T = TypeVar("T")
Work = Callable[[Connection, Deadline], T]

PER_HOST = 4  # questions to one host at a time: WinRM 2.0 allows five shells per user [doc]
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0  # seconds of back-off
_NODES = "mscluster_node"
_LATE = 0.25  # seconds that a thread gets to notice its own deadline
_GRACE = 2.5  # seconds in which a thread past its deadline may still close what it opened


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        raw: the replies as they came, decoded: SOAP, or what a program printed.
        by: the host that answered; for a question to a cluster, the entry host.
    """

    rows: Rows
    raw: str
    by: str


class Reach:
    """The way to Windows. Lives as long as the bot, in one event loop."""

    def __init__(
        self,
        ways: Ways,
        *,
        at_once: int = 128,
        programs: Mapping[str, Program] = PROGRAMS,
        tap: Tap | None = None,
        databases: Databases | None = None,
        backups: BackupProduct | None = None,
    ) -> None:
        """Take the ways.

        Args:
            ways: which name is reached where.
            at_once: how many questions are under way at a time.
            programs: the catalogue.
            tap: is told every request and reply in clear, on worker threads; for `hvops record`.
            databases: the way to VMM servers' databases; None where there are none.
            backups: the way to the backup product; None where there is none.
        """
        self.ways = ways
        self._databases = databases or Databases({}, None)
        self._backups = backups or BackupProduct(None)
        self._programs = programs
        self._kept = Kept(tap)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="reach")
        self._slots = asyncio.Semaphore(at_once)
        self._per_host: dict[str, asyncio.Semaphore] = {}
        self._code_pages: dict[str, int] = {}
        self._running: set[Job[Any]] = set()
        self._fell_silent: dict[str, float] = {}  # host -> when a question to it last ran out of time
        self._heard: dict[str, float] = {}  # host -> when it last answered anything

    async def answer(self, question: Question, seconds: float = 20.0) -> Answer:
        """Ask. `seconds` is how long one host may be silent, and all it has for anything but a program.

        Raises:
            TargetError: the target did not answer, or our own rules keep the question back.
        """
        if isinstance(question, Recall):
            raise TypeError("the ledger remembers, not a host")
        if isinstance(question, (GuestWql, GuestRegistry)):
            return await self._ask(self.ways.guest(question.on, question.fqdn), question, seconds)
        if isinstance(question, Read) and is_sql(question):
            rows, raw = await self._databases.answer(question, seconds)
            return Answer(rows, raw, question.on)
        if isinstance(question, Read) and is_web(question.what):
            found, told = await self._backups.answer(question, seconds)
            return Answer(found, told, question.on)
        entries = self.ways.entries(question.on)
        failures: list[TargetError] = []
        for entry in entries:
            try:
                answer = await self._ask(self.ways.host(entry, self._profile(question)), question, seconds)
            except (LoginRefused, OutOfBounds):
                raise  # the same on every host, and each wrong password brings the account nearer to its lockout
            except TargetError as failure:  # also a refusal: the cluster service may be down on this node only
                failures.append(failure)
                continue
            if len(entries) > 1:
                self.ways.prefer(question.on, entry)
            self._learn(question, answer)
            return answer
        raise _nobody(question.on, failures)

    def _learn(self, question: Question, answer: Answer) -> None:
        """Whenever a cluster names all its nodes they can be reached, even one that joined a minute ago."""
        if not isinstance(question, Wql) or question.where:
            return  # some of them are not all of them
        if question.cls.casefold() == _NODES and self.ways.is_cluster(question.on):
            self.ways.learn(question.on, (name for row in answer.rows if (name := str(row.get("Name") or ""))))

    async def invoke(self, action: Invoke, seconds: float = 60.0) -> Answer:
        """Call a method with the operator's login: over a fresh connection, and never twice.

        Raises:
            TargetError: it was refused, or nobody knows: `TimedOut` does not mean that nothing happened.
        """
        way = self.ways.host(action.on, "operator")
        row, raw = await self._once(
            way, lambda over, until: host_operations.call(over, action, until), seconds, reads=False
        )
        return Answer((row,), raw, way.name)

    async def update(self, action: Updates, seconds: float = 60.0) -> Answer:
        """Change rows of a VMM server's database, all or none. The answer is every row as it was before.

        Raises:
            OutcomeUnknown: it was cut off while it was committed.
            TargetError: it was not done, and nothing is half done.
        """
        rows = await self._databases.update(action, seconds)
        return Answer(rows, "", action.on)

    async def change(self, action: Change, seconds: float = 60.0) -> Answer:
        """Run a row of the catalogue that changes something, with its own login: over a fresh connection, never twice.

        Raises:
            OutOfBounds: there is no such row, or it only reads.
            TargetError: it was refused, or nobody knows: `TimedOut` does not mean that nothing happened.
        """
        if is_web(action.what):
            rows, raw = await self._backups.change(action, seconds)
            return Answer(rows, raw, action.on)
        program = self._program(action)
        way = self.ways.host(action.on, "operator")
        work = self._running_of(way, program, action)
        output, _ = await self._once(way, work, max(seconds, program.seconds), silence=seconds, reads=False)
        return Answer(rows_of(way.name, program, action, output), output.stdout + output.stderr, way.name)

    async def get(self, question: Wql, seconds: float = 20.0) -> Answer:
        """One instance by its keys (the `=` terms of `where`), or a singleton without any. Raises TargetError."""
        keys = tuple(sorted((term.column, term.value) for term in question.where if not isinstance(term.value, tuple)))
        way = self.ways.host(question.on)

        def work(over: Connection, until: Deadline) -> Row:
            return host_operations.instance(over, question.namespace, question.cls, keys, until)

        row, raw = await self._patiently(way, work, seconds)
        return Answer((row,), raw, way.name)

    async def configuration(self, name: str, seconds: float = 20.0) -> Row:
        """winrm/config of a host: quotas, and which logins it takes. Raises TargetError."""
        row, _ = await self._patiently(self.ways.host(name), winrm_config.read, seconds)
        return row

    def close(self) -> None:
        """Give up what is under way, and close every connection."""
        for job in list(self._running):
            job.abort()
        self._kept.close()
        self._databases.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _profile(self, question: Question) -> Profile:
        return self._program(question).profile if isinstance(question, Read) else "reader"

    def _program(self, question: Read | Change) -> Program:
        """The row. Raises OutOfBounds for one that is not there, or that is marked otherwise."""
        program = self._programs.get(question.what)
        if program is None:
            raise OutOfBounds(question.on, f"there is no {question.what!r:.60} in the catalogue.")
        if isinstance(question, Read) and program.marked != "reads":
            raise OutOfBounds(question.on, f"{question.what!r} changes things, so no question may run it.")
        if isinstance(question, Change) and program.marked != "changes":
            raise OutOfBounds(question.on, f"{question.what!r} only reads, so no step may stand on it.")
        return program

    async def _ask(self, way: Way, question: Question, seconds: float) -> Answer:
        if isinstance(question, Read):
            return await self._run(way, question, seconds)
        try:
            work = _work(question)
        except ValueError as error:
            raise OutOfBounds(question.on, f"the question cannot be asked: {error}.") from None
        rows, raw = await self._patiently(way, work, seconds)
        return Answer(rows, raw, way.name)

    async def _run(self, way: Way, question: Read, seconds: float) -> Answer:
        program = self._program(question)
        work = self._running_of(way, program, question)
        output, _ = await self._patiently(way, work, max(seconds, program.seconds), silence=seconds)
        return Answer(rows_of(way.name, program, question, output), output.stdout + output.stderr, way.name)

    def _running_of(self, way: Way, program: Program, asked: Read | Change) -> Work[host_operations.Output]:
        """What a worker does to run a row. Raises OutOfBounds for values that it does not take."""
        try:
            argv = program.command_line(asked.params)
        except ValueError as error:
            raise OutOfBounds(asked.on, f"{error}.") from None

        def work(over: Connection, until: Deadline) -> host_operations.Output:
            if way.name not in self._code_pages:
                self._code_pages[way.name] = host_operations.oem_code_page(over, until)
            return host_operations.run(over, argv, self._code_pages[way.name], until)

        return work

    async def _patiently(self, way: Way, work: Work[T], seconds: float, silence: float = 0) -> tuple[T, str]:
        """Ask, and ask again after a pause while the host says that it is too busy."""
        ends, pause = time.monotonic() + seconds, _FIRST_PAUSE
        while True:
            try:
                return await self._once(way, work, seconds, silence=silence, reads=True)
            except QuotaExceeded:
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, hides nothing
                if time.monotonic() + wait >= ends:
                    raise
                await asyncio.sleep(wait)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, way: Way, work: Work[T], seconds: float, *, silence: float = 0, reads: bool) -> tuple[T, str]:
        """One attempt on a thread. Its slots are free again when the thread is, not when the caller has left."""
        job = Job(self._kept, way, work, lambda: Deadline.of(seconds, silence), reads=reads)
        ours = self._per_host.setdefault(way.name, asyncio.Semaphore(PER_HOST))
        began = time.monotonic()
        with ExitStack() as slots:
            for slot in (ours, self._slots):
                await slot.acquire()
                slots.callback(slot.release)
            if self._fell_silent.get(way.name, 0) > max(began, self._heard.get(way.name, 0)):
                raise TimedOut(way.name, f"no answer in {silence or seconds:.0f} s.")  # to those it queued behind
            future = asyncio.get_running_loop().run_in_executor(self._threads, job.run)
            self._running.add(job)
            future.add_done_callback(partial(self._ended, job, way.name, slots.pop_all()))
        return await _until(future, job, way.name, seconds)

    def _ended(self, job: Job[Any], name: str, slots: ExitStack, future: asyncio.Future[Any]) -> None:
        # looked at even if the caller has left; noted before the slots go to those that would ask a silent host next
        silent = not future.cancelled() and isinstance(future.exception(), TimedOut)
        (self._fell_silent if silent else self._heard)[name] = time.monotonic()
        slots.close()
        self._running.discard(job)


def _work(question: Question) -> Work[Rows]:
    """What a worker does for a question. Raises ValueError for names and values that cannot be sent."""
    if isinstance(question, (Wql, GuestWql)):
        namespace = wql.namespace(question.namespace)
        query = wql.select(question.cls, question.columns, question.where)
        return lambda over, until: host_operations.rows(over, namespace, query, until)
    assert isinstance(question, (Registry, GuestRegistry))
    key, names = question.key, question.names
    for word in (key, *names):
        sendable(word)
    return lambda over, until: (host_operations.registry(over, key, names, until),)


async def _until(future: asyncio.Future[tuple[T, str]], job: Job[T], on: str, seconds: float) -> tuple[T, str]:
    """Wait, but no longer than the deadline: a thread may hang where no socket deadline reaches, as in DNS."""
    try:
        done, _ = await asyncio.wait({future}, timeout=seconds + _LATE)
    except asyncio.CancelledError:
        asyncio.get_running_loop().call_later(_GRACE, job.abort)
        raise
    if not done:
        asyncio.get_running_loop().call_later(_GRACE, job.abort)
        raise TimedOut(on, f"no answer in {seconds:.0f} s.")
    return future.result()


def _nobody(on: str, failures: list[TargetError]) -> TargetError:
    """No entry host of a cluster answered, or the one host did not."""
    if len(failures) == 1:
        return failures[0]
    kinds = {type(failure) for failure in failures}
    says = "none of its entry hosts answered: " + " ".join(str(failure) for failure in failures)
    return (kinds.pop() if len(kinds) == 1 else Unreachable)(on, says)
