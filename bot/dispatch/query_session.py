"""Ask the world for ONE request: many questions at once, each answered or accounted for.

A question that is asked twice in one request goes out once. Failures come back as `Unknown`, so that one silent host
spoils nothing; every question and its raw answer stand in `evidence`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Known, Unknown
from bot.api.host_names import host_key
from bot.api.queries import (
    DoneChanges,
    GuestQuery,
    GuestRegistry,
    GuestRunReader,
    GuestWql,
    LedgerQuery,
    Query,
    Registry,
    RunReader,
    SampleHistory,
    WinRMConfig,
    Wql,
)
from bot.api.query_client import K
from bot.api.rows import CellError, Rows, format_rows
from bot.api.sources import Source
from bot.config.settings import Limits
from bot.errors import HostNotKnown, NotAskedInTime, NotFound, PolicyViolation, TargetError, UsageError
from bot.redaction import clip, mask_all
from bot.serialization import Evidence
from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.reading_methods import METHODS
from bot.transport.allowlist.sql import QUERIES
from bot.transport.allowlist.web import CALLS
from bot.transport.allowlist.web_probe import ANSWERS, PROBES, connect_port
from bot.transport.bounds import MAX_EVIDENCE as _MOST
from bot.transport.bounds import is_longer
from bot.transport.client import GROUP, QueryResult
from bot.transport.windows.wql import select

T = TypeVar("T")

MAX_EVIDENCE = 4 * _MOST  # characters of one request: of longer answers the ledger keeps the beginning

MAX_QUESTIONS = 2**15  # of one request: twice as many as 64 nodes and 4,096 guests are asked
_LONGEST_SENTENCE = 4_000  # characters of why there is no answer
_FEW, _SHORT = 1_000, 2**16  # rows, and bytes of what came, that are read in no time
_ASK_AGAIN = "Ask again when it answers."
_ASK_LESS = "Ask about less at once, such as one host."
_AT_ONCE = 256  # questions of one kind: a host can name more guests than there is memory for tasks


class QueryExecutor(Protocol):
    """Who carries questions out (`transport.TargetClient`)."""

    async def answer(self, question: Query, seconds: float = 20.0) -> QueryResult:
        """Ask one question. Raises TargetError."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request has come: targets that have said all they were asked, of those asked so far.

    Attributes:
        waiting: the names of the others, in the order in which their questions began.
    """

    done: int
    total: int
    waiting: tuple[str, ...]


class QuerySession:
    """The `vocabulary.ask.Ask` of one request."""

    def __init__(
        self,
        target_client: QueryExecutor,
        recall: Callable[[LedgerQuery], Rows],
        now: datetime,
        deadlines: Limits,
        progress: Callable[[Progress], None] | None = None,
        *,
        place: Callable[[str], str] = lambda _: "",
        find: Callable[[str], Awaitable[Target]] | None = None,
        learn: Callable[[str, str, Iterable[str | tuple[str, str]]], None] | None = None,
    ) -> None:
        """Take the parts.

        Args:
            target_client: the way to the hosts.
            recall: the memory of the ledger.
            now: the time of this request, UTC.
            deadlines: per host and overall, in seconds; the overall one begins with the first question.
            progress: is told whenever a target begins or has finished; must not raise.
            place: the cluster of a host (`Router.scope_of`); "" where nobody knows.
            find: finds a name in the inventory, and asks the clusters for their nodes first where it has to
                (`Inventory.find_told`); None where only what is known by now counts.
            learn: is told the names in an answer, with their kind and who told them (`KnownNames.learn`).
        """
        self.evidence: list[Evidence] = []
        self.places: frozenset[str] = frozenset()  # set by the pipeline: where the person may ask; empty: not narrowed
        self._place = place
        self._find = find
        self._learn = learn
        self._discovery: asyncio.Future[Target] | None = None
        self._target_client = target_client
        self._recall = recall
        self._now = now
        self._deadlines = deadlines
        self._progress = progress
        self._ends = 0.0
        self._room = MAX_EVIDENCE  # characters
        self._answers: dict[Query, asyncio.Task[QueryResult | Unknown]] = {}
        # What hosts tell in errors is searched for secrets one by one, others' work in between.
        self._explaining = asyncio.Lock()
        self._left_out, self._left_out_at = 0, 0  # how many failures the evidence has no room for, and where it says so
        # Question and reader, by its id -> the reader, so that no other one has that id, and what it made of the answer.
        self._values: dict[tuple[Query, int], tuple[Callable[[Rows], Any], Any]] = {}
        self._reading: dict[tuple[Query, int], asyncio.Lock] = {}
        self._open: dict[str, int] = {}  # target -> how many of its questions are under way
        self._waiting: dict[str, None] = {}  # those of them of which any is, in the order in which they began
        self._silent: set[str] = set()
        self._unknown: dict[Unknown, None] = {}

    def count_from(self, began: float) -> None:
        """Let the time for the whole request have begun then, on the monotonic clock: it may have waited for its turn."""
        self._ends = began + self._deadlines.overall_seconds

    @property
    def now(self) -> datetime:
        """The time of this request, UTC."""
        return self._now

    @property
    def asked(self) -> tuple[str, ...]:
        """The targets asked so far, in order."""
        return tuple(self._open)

    @property
    def answered(self) -> tuple[str, ...]:
        """Those of them that answered everything they were asked."""
        return tuple(name for name, count in self._open.items() if not count and name not in self._silent)

    @property
    def unanswered(self) -> tuple[Unknown, ...]:
        """What nobody knows now, each once. Something that is not there was answered: it is not there."""
        return tuple(one for one in self._unknown if one.kind != NotFound.kind)

    async def query(self, source: Source[T]) -> Known[T] | Unknown:
        """Ask one source."""
        question = source.query
        answer = await self._answer(question)
        if isinstance(answer, Unknown):
            return self._unanswered(answer)
        try:
            value = await self._read(source, answer)
        except (CellError, ValueError, OverflowError) as error:  # a number beyond every time, for instance
            self._silent.add(question.on)
            self._keep_failure(question, "", _sentence(f"not understood: {error}"))
            says = f"its answer cannot be understood: {error}."
            return self._unanswered(Unknown(question.on, "bad reply", _sentence(says)))
        assert answer.asked is not None
        assert answer.answered is not None
        if source.names is not None and self._learn is not None:
            kind, names_of = source.names
            self._learn(kind, question.on, names_of(value))
        return Known(value, answer.asked, answer.answered)

    async def _read(self, source: Source[T], answer: QueryResult) -> T:
        """What a reader makes of an answer, once: commands ask the same for each node of a cluster, and would keep as many lists."""
        key = source.query, id(source.read)
        async with self._reading.setdefault(key, asyncio.Lock()):
            known = self._values.get(key)
            if known is None:
                known = self._values[key] = source.read, await _beside(source.read, answer)
        value: T = known[1]
        return value

    async def query_many(self, sources: Mapping[K, Source[T]]) -> dict[K, Known[T] | Unknown]:
        """Ask many, some hundreds at once. The answers carry the keys of the sources, in the same order."""
        found: dict[K, Known[T] | Unknown] = {}
        left = iter(sources.items())

        async def ask() -> None:
            for key, source in left:
                found[key] = await self.query(source)

        await asyncio.gather(*(ask() for _ in range(min(_AT_ONCE, len(sources)))))
        return {key: found[key] for key in sources}

    async def find_host(self, name: str) -> Target | Unknown:
        """The host or cluster of that name, whoever was asked before."""
        await asyncio.sleep(0)  # a service can name thousands, and none of them need be waited for
        if self._find is None:
            return self._unanswered(Unknown(name, "not in the inventory", "there is no inventory to look it up in."))
        try:
            return await self._in_time(name, self._find(name))
        except HostNotKnown as nobody_knows:
            return self._unanswered(Unknown(name, "not known", str(nobody_knows), _ASK_AGAIN))
        except UsageError as stranger:
            return self._unanswered(Unknown(name, "not in the inventory", str(stranger)))
        except TargetError as error:
            return self._unanswered(_unanswered(name, error))

    async def _meet(self, question: Query) -> None:
        """Ask the clusters for their nodes, once, before a name that came from somebody's answer is called a stranger."""
        is_data = isinstance(question, RunReader) and question.what in {*QUERIES, *CALLS, *PROBES, ANSWERS, GROUP}
        if self._find is None or is_data or isinstance(question, GuestQuery) or self._place(question.on):
            return
        if self._discovery is None:
            self._discovery = asyncio.ensure_future(self._find(question.on))
            self._discovery.add_done_callback(_retrieved)
        try:
            await self._in_time(question.on, asyncio.shield(self._discovery))
        except HostNotKnown:
            await self._must_be_known(question.on, self._find)
        except UsageError:
            pass  # who is asked about it says that it is a stranger

    async def _must_be_known(self, name: str, find: Callable[[str], Awaitable[Target]]) -> None:
        """Raise NotAskedInTime where nobody knows yet whether that is a host: "not in the inventory" would say that it is none."""
        if self._place(name):
            return
        try:
            await self._in_time(name, find(name))
        except HostNotKnown as nobody_knows:
            raise NotAskedInTime(name, str(nobody_knows), _ASK_AGAIN) from None
        except UsageError:
            pass

    def _unanswered(self, found: Unknown) -> Unknown:
        self._unknown[found] = None
        return found

    async def _answer(self, question: Query) -> QueryResult | Unknown:
        task = self._answers.get(question)
        if task is None and len(self._answers) >= MAX_QUESTIONS:
            self._silent.add(question.on)
            says = f"not asked: this question has already led to {MAX_QUESTIONS:,} others."
            return Unknown(question.on, PolicyViolation.kind, says, _ASK_LESS)
        if task is None:
            task = self._answers[question] = asyncio.create_task(self._ask(question))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()  # the request is given up, so nobody waits for the others either
            raise

    async def _ask(self, question: Query) -> QueryResult | Unknown:
        """Ask once. Why there is no answer is kept, and not the error with all that it was raised through."""
        if self._ends and asyncio.get_running_loop().time() >= self._ends:
            late = Unknown(question.on, NotAskedInTime.kind, self._too_late())
            self._silent.add(question.on)
            self._open.setdefault(question.on, 0)
            self._keep_failure(question, "", late.why)
            return late
        try:
            return await self._ask_target(question)
        except TargetError as error:
            async with self._explaining:
                why = _unanswered(question.on, error)
                self._silent.add(question.on)
                raw = self._within(getattr(error, "raw", ""))  # what no parser takes may be as long as what one does
                self._keep_failure(question, raw, why.why if str(error) == why.why else _sentence(str(error)))
                return why

    async def _ask_target(self, question: Query) -> QueryResult:
        if isinstance(question, (SampleHistory, DoneChanges)):
            self._check(question)
            asked = datetime.now(UTC)
            rows = await beside(self._recall, question)
            what = "samples" if isinstance(question, SampleHistory) else "changes"
            self.evidence.append(Evidence(question.on, describe(question), f"{len(rows)} {what} in the ledger"))
            return QueryResult(rows, "", "", asked, datetime.now(UTC))
        self._begin(question.on)
        asked = datetime.now(UTC)
        try:
            await self._meet(question)
            self._check(question)
            seconds = self._deadlines.per_host_seconds
            answer = await self._in_time(question.on, self._target_client.answer(question, seconds))
        finally:
            self._end(question.on)
        by = question.on if host_key(answer.by) == host_key(question.on) else f"{question.on} via {answer.by}"
        # A program's output reads well as it is; what an API sends is one line of JSON, as long as the list in it.
        is_output = isinstance(question, (RunReader, GuestRunReader)) and not (answer.rows and _is_json(answer.raw))
        shown = "" if is_output else await _beside(format_rows, answer)
        self.evidence.append(Evidence(by, describe(question), self._within(answer.raw), rendered=self._within(shown)))
        return replace(answer, asked=answer.asked or asked, answered=answer.answered or datetime.now(UTC))

    def _within(self, text: str) -> str:
        """As much of a text as the evidence of one request still takes, and that the rest was left out."""
        left, self._room = self._room, max(0, self._room - len(text))
        return text if len(text) <= left else f"{clip(text, left)}\n[{len(text) - left:,} more characters not kept]"

    def _keep_failure(self, question: Query, raw: str, why: str) -> None:
        """Keep why there is no answer; where the evidence has no more room, how many of those there are."""
        kept = Evidence(question.on, describe(question), raw, why)
        size = len(kept.query) + len(why)
        if raw or size <= self._room:
            self._room = max(0, self._room - size)
            self.evidence.append(kept)
            return
        if not self._left_out:
            self._left_out_at = len(self.evidence)
            self.evidence.append(replace(kept, query="further questions"))
        self._left_out += 1
        says = f"{self._left_out:,} more questions had no answer; they are not listed individually."
        self.evidence[self._left_out_at] = replace(self.evidence[self._left_out_at], error=says)

    def _check(self, question: Query) -> None:
        """A cluster may name hosts that are not its own; whoever asks about it has a role there, not with them."""
        if not self.places or isinstance(question, GuestQuery):
            return  # guests are proved by their identity
        place = self._place(question.on)
        if place and place not in self.places:
            asked = ", ".join(sorted(self.places))
            raise PolicyViolation(question.on, f"it belongs to {place}, and this question is about {asked}.")

    async def _in_time(self, on: str, answer: Awaitable[T]) -> T:
        """Wait within what is left of the whole request's time."""
        loop = asyncio.get_running_loop()
        self._ends = self._ends or loop.time() + self._deadlines.overall_seconds
        try:
            async with asyncio.timeout_at(self._ends):
                return await answer
        except TimeoutError:
            raise NotAskedInTime(on, self._too_late()) from None

    def _too_late(self) -> str:
        return f"no answer within the {self._deadlines.overall_seconds:.0f} s of the whole question."

    def _begin(self, target: str) -> None:
        self._open[target] = self._open.get(target, 0) + 1
        self._waiting[target] = None
        self._tell()

    def _end(self, target: str) -> None:
        self._open[target] -= 1
        if not self._open[target]:
            del self._waiting[target]
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            waiting = tuple(self._waiting)
            self._progress(Progress(len(self._open) - len(waiting), len(self._open), waiting))


async def _beside(work: Callable[[Rows], T], answer: QueryResult) -> T:
    """Work on rows, on a thread where there is so much that others would notice: one row can have a million cells."""
    is_much = len(answer.rows) > _FEW or len(answer.raw) > _SHORT or is_longer(answer.rows, _SHORT)
    return await beside(work, answer.rows) if is_much else work(answer.rows)


def _is_json(raw: str) -> bool:
    return raw.lstrip()[:1] in {"{", "["}


def _retrieved(done: asyncio.Future[Target]) -> None:
    """Nobody may be waiting any more: what it ended in is said by whoever asks next."""
    if not done.cancelled():
        done.exception()


def describe(question: Query) -> str:
    """The question as an engineer would write it: the WQL text, the registry key, the command line."""
    if isinstance(question, (Wql, GuestWql)):
        return f"{question.namespace}: {_query(question)}"
    if isinstance(question, (Registry, GuestRegistry)):
        return f"HKLM\\{question.key}: {', '.join(question.names) or 'subkeys'}"
    if isinstance(question, WinRMConfig):
        return "winrm/config"
    if isinstance(question, (SampleHistory, DoneChanges)):
        return _remembered(question)
    if isinstance(question, GuestRunReader):
        return _command_line(question)
    assert isinstance(question, RunReader)
    writes = next((write for rows, write in _WRITTEN if question.what in rows), _command_line)
    return writes(question)


def _remembered(question: LedgerQuery) -> str:
    if isinstance(question, SampleHistory):
        return f"ledger: {question.what} of the last {question.hours} hours"
    since = f" since {question.since}" if question.since else ""
    return f"ledger: {question.command} that is {' or '.join(question.endings)}{since}"


def _query(question: Wql | GuestWql) -> str:
    """The query; the bare class where its words cannot be a query at all."""
    try:
        return select(question.cls, question.columns, question.where)
    except ValueError:
        return question.cls


def _statement(question: RunReader) -> str:
    """The select, and the values it is sent with."""
    values = ", ".join(f"{name} = {value}" for name, value in question.params)
    return QUERIES[question.what].text + (f" -- {values}" if values else "")


def _web_address(question: RunReader) -> str:
    """Verb and path below the service's address."""
    call = CALLS[question.what]
    try:
        return f"{call.verb} {call.address(question.params)}"
    except ValueError:
        return question.what


def _web_request(question: RunReader) -> str:
    """Method, path, version, Host, and where it is sent."""
    try:
        return str(PROBES[question.what].request(question.params))
    except ValueError:
        return question.what


def _connection(question: RunReader) -> str:
    """The port that takes a connection; nothing is sent there."""
    try:
        return f"{question.what}, port {connect_port(question.params)}"
    except ValueError:
        return question.what


def _method(question: RunReader) -> str:
    """Class, method and what it is called for."""
    row = METHODS[question.what]
    return f"{row.namespace}: {row.cls}.{row.method}({', '.join(str(value) for _, value in question.params)})"


def _command_line(question: RunReader | GuestRunReader) -> str:
    """As it is run; as it was named where it may not be run."""
    program = PROGRAMS.get(question.what)
    if program is None:
        return question.what
    try:
        words = program.command_line(question.params)
    except ValueError:
        return question.what
    return " ".join(f'"{word}"' if " " in word else word for word in words)


_WRITTEN: tuple[tuple[Mapping[str, Any], Callable[[RunReader], str]], ...] = (
    (CALLS, _web_address),
    (METHODS, _method),
    (PROBES, _web_request),
    ({ANSWERS: None}, _connection),
    (QUERIES, _statement),
)


def _unanswered(on: str, error: TargetError) -> Unknown:
    """Why nobody knows, without secrets: what a host tells in an error decides nothing, and is cut and joined by whoever shows it."""
    says = error.message if host_key(error.target) == host_key(on) else f"{error.target}: {error.message}"
    return Unknown(on, error.kind, _sentence(says), _sentence(error.hint))


def _sentence(text: str) -> str:
    """A sentence of an error without secrets; a host may choose how long it is, and this is on the loop."""
    return mask_all(clip(text, _LONGEST_SENTENCE, "…"))
