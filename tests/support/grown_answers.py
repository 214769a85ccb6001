"""What the practice environment answers to one line, made many times as long, and how much work a command has with it.

Every row comes in so many copies. What a copy names (hosts, guests, roles, updates) and its ids get a number, so that the copies fit
together as the rows did: guest 7 lies in role 7 of node 7. What is asked of one that bears a number is answered with its copy.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, ClassVar

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Remediation
from bot.api.facts import Unknown
from bot.api.queries import GuestRegistry, GuestRunReader, GuestWql, LedgerQuery, Query, Wql
from bot.api.rows import Rows
from bot.config.settings import Limits
from bot.dispatch.command_line import EntryPoint, read_typed, resolve
from bot.dispatch.pipeline import report_to_bytes
from bot.dispatch.query_session import QuerySession
from bot.errors import ConnectionFailed, NoPlan, TargetError
from bot.services import Services
from bot.tickets.plan_digest import plan_to_json
from bot.transport.client import QueryResult

ROOT = Path(__file__).parents[2]
_OURS = tuple(f"{ROOT / package}/" for package in ("bot", "commands"))
# What takes as long as a text is (`test_searches.py`), whoever has it searched; in steps, so that its lines say nothing.
_NOT_COUNTED = (
    f"{ROOT}/bot/redaction.py",
    # Gives back what recorded answers took, whenever Python notices that nobody holds them.
    f"{ROOT}/bot/transport/client.py",
)
_ON_GUESTS = (GuestWql, GuestRegistry, GuestRunReader)
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?=-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})")
_NUMBER = re.compile(r"-x([0-9]+)x")
_NAMED_IN = re.compile(r"(?i).*(name|group|node|client|element|hotfixid|key|^id)$")
_IS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_. -]{2,}")
_COUNTED = ("job", "record_id")


class Growth(StrEnum):
    """Which lists become longer, and what is the same in all copies."""

    ROWS = "many of everything but hosts"
    NAMESAKES = "many of one name"
    TWINS = "many that are the same"
    HOSTS = "many hosts, each with what the first ones have"
    SILENT = "many hosts that do not answer"
    CROWDED = "many hosts that do not answer, and everything on the first ones"


@dataclass
class Recorded:
    """One line, and all that was asked and told for it."""

    line: str
    spec: Diagnostic[Any, Any] | Remediation[Any, Any]
    args: Any
    now: datetime
    answers: dict[Query, Rows | TargetError]
    found: dict[str, Target | Unknown]


async def record(made: Services, line: str) -> Recorded:
    """Ask what a line asks, once. Nobody asks it, and nothing is written into the ledger."""
    pipeline = made.pipeline
    typed = await resolve(pipeline.inventory, pipeline._read(read_typed(line, EntryPoint.TERMINAL)), None)
    spec = typed.command.spec
    session = pipeline.look(pipeline._clock(), None)
    found = Recorded(line, spec, spec.args(**typed.values), session.now, {}, {})
    ask, find = session._ask_target, session.find_host

    async def asked(question: Query) -> QueryResult:
        try:
            answer = await ask(question)
        except TargetError as error:
            found.answers[question] = error
            raise
        found.answers[question] = answer.rows
        return answer

    async def host(name: str) -> Target | Unknown:
        found.found[name] = await find(name)
        return found.found[name]

    session._ask_target, session.find_host = asked, host
    await spec.collect(found.args, session)
    return found


def small(recorded: Recorded, nodes: int = 2, guests: int = 2) -> Recorded:
    """The same of so many nodes, and so many guests on each: rows that speak of the others are left out."""
    line = recorded.line.lower()
    every = [row["Name"] for rows in _rows_of(recorded, "MSCluster_Node").values() for row in rows]
    left = dict.fromkeys(sorted(every, key=lambda name: name.lower() not in line)[: max(nodes, line.count(" hv0"))])
    gone = set(map(str.lower, every)) - set(map(str.lower, left))
    for rows in _rows_of(recorded, "Msvm_ComputerSystem").values():
        own = [row for row in rows if _GUID.match(str(row.get("Name")))]
        kept = sorted(own, key=lambda row: str(row.get("ElementName", "-")).lower() not in line)[:guests]
        ids = {row["Name"].lower() for row in kept}
        for row in own:
            if row["Name"].lower() not in ids:
                gone |= {row["Name"].lower(), str(row.get("ElementName") or row["Name"]).lower()}
        gone -= ids | {str(row.get("ElementName")).lower() for row in kept}
    words = re.compile("(?i)(?<![A-Za-z0-9_-])(" + "|".join(map(re.escape, sorted(gone))) + ")(?![A-Za-z0-9_-])")
    if not gone:
        return recorded
    answers = {
        question: rows if isinstance(rows, TargetError) else tuple(row for row in rows if not words.search(repr(row)))
        for question, rows in recorded.answers.items()
    }
    return replace(recorded, answers=answers)


def _rows_of(recorded: Recorded, cls: str) -> dict[str, Rows]:
    return {
        question.on: rows
        for question, rows in recorded.answers.items()
        if isinstance(question, Wql) and question.cls == cls and not isinstance(rows, TargetError)
    }


class Text(str):
    """A text of a host that counts who compares it with another one, also inside of `in`, `index` and `count`."""

    __slots__ = ()
    compared: ClassVar[Counter[CodeType]] = Counter()

    def __eq__(self, other: object) -> bool:
        Text.compared[sys._getframe(1).f_code] += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        Text.compared[sys._getframe(1).f_code] += 1
        return str.__ne__(self, other)

    __hash__ = str.__hash__

    def casefold(self) -> Text:
        return Text(str.casefold(self))

    def lower(self) -> Text:
        return Text(str.lower(self))

    def upper(self) -> Text:
        return Text(str.upper(self))

    def strip(self, *told: Any) -> Text:
        return Text(str.strip(self, *told))

    def removesuffix(self, suffix: str) -> Text:
        return Text(str.removesuffix(self, suffix))

    def removeprefix(self, prefix: str) -> Text:
        return Text(str.removeprefix(self, prefix))

    def partition(self, by: str) -> Any:
        return tuple(map(Text, str.partition(self, by)))

    def rpartition(self, by: str) -> Any:
        return tuple(map(Text, str.rpartition(self, by)))


class Grown:
    """Answers what was recorded, in so many copies."""

    def __init__(self, recorded: Recorded, growth: Growth, copies: int) -> None:
        """Nothing was asked yet."""
        self._recorded, self._growth, self._copies = recorded, growth, copies
        self._ids: dict[str, tuple[int, str]] = {}
        told = [rows for rows in recorded.answers.values() if not isinstance(rows, TargetError)]
        self._hosts = {
            row["Name"].lower()
            for question, rows in recorded.answers.items()
            if isinstance(question, Wql) and question.cls == "MSCluster_Node" and not isinstance(rows, TargetError)
            for row in rows
        }
        places = {question.on.lower() for question in recorded.answers if not isinstance(question, _ON_GUESTS)}
        self._many_hosts = growth in (Growth.HOSTS, Growth.SILENT, Growth.CROWDED)
        fixed = places - self._hosts if self._many_hosts else places | self._hosts
        names = {name.lower() for rows in told for name in _names(rows)} - fixed
        if self._many_hosts:
            names |= self._hosts
        self._kept = self._hosts if growth is Growth.CROWDED else set()
        every = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
        self._names = re.compile(rf"(?i)(?<![A-Za-z0-9_-])({every})(?![A-Za-z0-9_-])")
        self._loosely = {_loosely(question): rows for question, rows in recorded.answers.items()}

    async def answer(self, question: Query, seconds: float = 20.0) -> QueryResult:
        """What a host says. Raises TargetError."""
        rows = self.told(question)
        return QueryResult(rows, "", question.on)

    def told(self, question: Query) -> Rows:
        """The copies that a question is about: those whose numbers it bears, else all. Raises TargetError."""
        numbers: set[int] = set()
        plain = self._plain(question, numbers)
        is_silent = self._growth in (Growth.SILENT, Growth.CROWDED) and plain.on.lower() in self._hosts
        if is_silent and not isinstance(question, LedgerQuery):
            raise ConnectionFailed(question.on, "connection refused.")
        rows = self._recorded.answers.get(plain, self._loosely.get(_loosely(plain)))
        if rows is None:
            raise ConnectionFailed(question.on, "connection refused.")
        if isinstance(rows, TargetError):
            raise rows
        if self._is_single(plain):
            return tuple(self._copy(row, next(iter(numbers), 0)) for row in rows)
        wanted = sorted(numbers) if numbers and numbers != {0} else range(self._copies)
        # Rows of a host for each of its rows would be the square of them, whatever a command does.
        if not self._many_hosts and getattr(plain, "cls", "") == "MSCluster_Node":
            wanted = [0]
        if self._growth is Growth.HOSTS and plain.on.lower() in self._hosts:
            wanted = sorted(numbers) or [0]
        found = tuple(self._copy(row, number) for number in wanted for row in rows)
        named = {
            _named_by(one)
            for term in getattr(question, "where", ())
            if isinstance(term.value, tuple) and len(term.value) > 1
            for one in term.value
        }
        # Some of very many are asked for at a time.
        return tuple(row for row in found if named & set(_texts(row))) or found

    async def find(self, name: str) -> Target:
        """The host of that name. Raises TargetError."""
        numbers: set[int] = set()
        plain = self._plain(name, numbers)
        found = self._recorded.found.get(plain)
        if isinstance(found, Target):
            return replace(found, name=Text(name))
        raise ConnectionFailed(name, "it is in no inventory.")

    def _is_single(self, plain: Query) -> bool:
        """Whether it has one row, however much there is: the settings of a machine."""
        return type(plain).__name__ in ("Registry", "GuestRegistry", "WinRMConfig") or getattr(plain, "cls", "") in (
            "Win32_OperatingSystem",
            "MSCluster_Cluster",
            "Win32_ComputerSystem",
        )

    def _plain(self, told: Any, numbers: set[int]) -> Any:
        if isinstance(told, str):
            numbers.update(int(number) for number in _NUMBER.findall(told))

            def back(found: re.Match[str]) -> str:
                number, old = self._ids.get(found[0].lower(), (None, found[0]))
                if number is not None:
                    numbers.add(number)
                return old if found[0] != found[0].lower() else old.lower()

            return _GUID.sub(back, _NUMBER.sub("", told))
        if isinstance(told, tuple):
            return tuple(self._plain(one, numbers) for one in told)
        if is_dataclass(told):
            return replace(told, **{one.name: self._plain(getattr(told, one.name), numbers) for one in fields(told)})
        return told

    def _copy(self, cell: Any, number: int, column: str = "") -> Any:
        if isinstance(cell, str):
            return Text(self._text(cell, number, column))
        if isinstance(cell, Mapping):
            return {name: one if name == "__CLASS" else self._copy(one, number, name) for name, one in cell.items()}
        if isinstance(cell, (tuple, list)):
            return tuple(self._copy(one, number, column) for one in cell)
        if isinstance(cell, int) and column in _COUNTED and self._growth is not Growth.TWINS:
            return cell + 1_000_000 * number
        return cell

    def _text(self, text: str, number: int, column: str) -> str:
        if not number or self._growth is Growth.TWINS:
            return text
        if column in _COUNTED and text.isdigit():
            return str(int(text) + 1_000_000 * number)

        def other(found: re.Match[str]) -> str:
            new = f"{number:04x}{found[0][4:]}"
            self._ids[new.lower()] = number, found[0]
            return new if found[0] != found[0].lower() else new.lower()

        text = _GUID.sub(other, text)
        if self._growth is Growth.NAMESAKES:
            return text

        def named(found: re.Match[str]) -> str:
            if found[0].lower() in self._kept and column == "OwnerNode":
                return found[0]
            return f"{found[0]}-x{number}x"

        return self._names.sub(named, text)


def _names(told: Any, column: str = "") -> Iterator[str]:
    """What a row names."""
    if isinstance(told, Mapping):
        for name, cell in told.items():
            if name != "__CLASS":
                yield from _names(cell, name)
    elif isinstance(told, (tuple, list)):
        for one in told:
            yield from _names(one, column)
    elif isinstance(told, str) and _NAMED_IN.match(column) and _IS_NAME.fullmatch(told) and not _GUID.match(told):
        yield told


def _named_by(value: Any) -> str:
    """The name in an object's path, or the value."""
    return str(value).partition('Name="')[2].rstrip('"') or str(value)


def _texts(told: Any) -> Iterator[str]:
    if isinstance(told, Mapping):
        for one in told.values():
            yield from _texts(one)
    elif isinstance(told, (tuple, list)):
        for one in told:
            yield from _texts(one)
    elif isinstance(told, str):
        yield str(told)


def _loosely(question: Query) -> tuple[Any, ...]:
    about = tuple(getattr(question, name, "") for name in ("cls", "key", "what", "command"))
    return (type(question), question.on.lower(), *about)


@dataclass
class Work:
    """What a command did with one answer.

    Attributes:
        lines: function -> lines that ran, and comparisons of texts that it had made.
        kept: bytes of what it found out and said.
    """

    lines: Counter[str]
    kept: int


def work_of(recorded: Recorded, growth: Growth, copies: int) -> Work:
    """Let a command collect and conclude from so many copies."""
    grown = Grown(recorded, growth, copies)
    Text.compared.clear()
    with _counting() as lines:
        made = asyncio.run(_conclude(recorded, grown))
    named: Counter[str] = Counter()
    for code, times in [*lines.items(), *Text.compared.items()]:
        if code.co_filename.startswith(_OURS):
            named[f"{Path(code.co_filename).relative_to(ROOT)}:{code.co_firstlineno} {code.co_qualname}"] += times
    return Work(named, _size(made))


@contextmanager
def _counting() -> Iterator[Counter[CodeType]]:
    """Count the lines of ours that run inside, on every thread."""
    lines: Counter[CodeType] = Counter()

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines[frame.f_code] += 1
        return line

    def call(frame: FrameType, _event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        return line if name.startswith(_OURS) and name not in _NOT_COUNTED else None

    before = sys.gettrace()
    threading.settrace(call)
    sys.settrace(call)
    try:
        yield lines
    finally:
        sys.settrace(before)
        threading.settrace(before)


async def _conclude(recorded: Recorded, grown: Grown) -> list[Any]:
    """What a command finds out, and what it says of it."""

    def recall(question: LedgerQuery) -> Rows:
        try:
            return grown.told(question)
        except TargetError:
            return ()

    spec = recorded.spec
    session = QuerySession(grown, recall, recorded.now, Limits(), place=lambda _: "somewhere", find=grown.find)
    facts = await spec.collect(recorded.args, session)
    try:
        if isinstance(spec, Diagnostic):
            report = spec.evaluate(recorded.args, facts)
            return [facts, report, report_to_bytes(report)]
        plan = spec.plan(recorded.args, facts)
        return [facts, plan, str(plan_to_json(plan))]
    except NoPlan as why:
        return [facts, why]


def _size(root: object) -> int:
    """Bytes of everything that hangs on it, each once."""
    seen: dict[int, object] = {}
    left, size = [root], 0
    while left:
        one = left.pop()
        if id(one) not in seen and not isinstance(one, (type, ModuleType, CodeType)) and not callable(one):
            seen[id(one)] = one
            size += sys.getsizeof(one)
            left.extend(gc.get_referents(one))
    return size


def grows_too_much(
    recorded: Recorded, growth: Growth, sizes: tuple[int, int], most: float, least: int
) -> Iterable[str]:
    """Each function whose work grows by more than so much, of those that run so many lines or more."""
    small, large = (work_of(recorded, growth, size) for size in sizes)
    for name, times in sorted(large.lines.items()):
        if times >= least and times > most * max(small.lines[name], least / (4 * most)):
            yield f"{recorded.line}: {growth}: {name}: {small.lines[name]:,} -> {times:,} lines"
    if large.kept > most * small.kept:
        yield f"{recorded.line}: {growth}: {small.kept:,} -> {large.kept:,} bytes are kept"
