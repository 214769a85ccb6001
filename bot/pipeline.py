"""The path of a question, on one screen: parse, authorize, look, judge, and a ledger entry for each.

Slack and the terminal both come through here; what differs is only who asks and how the answer is drawn.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from bot import authorize, parse
from bot.authorize import Person
from bot.errors import HvopsError, LedgerError, NotAllowed, OurBug, UsageError
from bot.keep import Evidence, evidence_from_bytes, evidence_to_bytes, report_from_bytes, report_to_bytes
from bot.ledger import Entry, Ledger
from bot.look import Look, Progress
from bot.mask import Mask
from bot.registry import Command, Registry
from bot.vocabulary.arguments import Target
from bot.vocabulary.command import Diagnostic
from bot.vocabulary.report import Report

log = structlog.get_logger()

FRONT_DOOR = "hvops"  # `/hvops check-writers prod` reaches every command by name


@dataclass(frozen=True, slots=True)
class Request:
    """A line that somebody typed or pressed.

    Attributes:
        line: "/check-writers prod", as typed.
        via: "slack", "button", "mention" or "terminal".
        place: the channel, or the host of the terminal.
        answers: the sequence number of the ledger entry (a click) that led here, or None.
    """

    person: Person
    line: str
    via: str
    place: str
    answers: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A report, and where the ledger keeps it.

    Attributes:
        token: opaque; all that a button carries.
        seq: the number of the `answered` entry.
        at: when, UTC.
        line: the command line in its plain form, for *Look Again*.
    """

    token: str
    seq: int
    at: datetime
    line: str
    command: str
    report: Report
    evidence: tuple[Evidence, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """A command line that was read: the command, and its values by parameter."""

    command: Command
    values: Mapping[str, Any]

    def __str__(self) -> str:
        """Its plain form, without what chat clients made of it: what *Look Again* asks."""
        return " ".join(
            [f"/{self.command.name}", *(word for part in self.command.parameters for word in self._typed(part))]
        )

    @property
    def target(self) -> str:
        """The names it is about."""
        return " ".join(str(self.values[part.name]) for part in self.command.parameters if part.targets)

    @property
    def places(self) -> frozenset[str]:
        """The clusters, or the hosts that stand alone, where the role was checked, in lower case."""
        targets = (self.values[part.name] for part in self.command.parameters if part.targets)
        return frozenset((target.cluster or target.name).lower() for target in targets)

    def _typed(self, part: parse.Parameter) -> list[str]:
        value = self.values.get(part.name)
        if value is None:
            return []
        if part.kind == "rest":
            return [str(one) for one in value]
        return [f"--{part.name.replace('_', '-')} {value}"] if part.kind == "option" else [str(value)]


class Directory(Protocol):
    """Which names there are (`discover.Directory`)."""

    async def find(self, name: str) -> Target:
        """The target of that name. Raises UsageError with suggestions."""
        ...


class Pipeline:
    """Everything between a typed line and its report."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        ledger: Ledger,
        look: Callable[[datetime, Any], Look],
        mask: Mask | None = None,
    ) -> None:
        """Take the parts.

        Args:
            registry: the commands.
            directory: the names of clusters and hosts.
            ledger: where every step is written before the next one is taken.
            look: makes the `Ask` of one request, from its time and its progress callback.
            mask: takes secrets out of what hosts and people say, before anybody is shown it.
        """
        self.registry = registry
        self._directory = directory
        self._ledger = ledger
        self._look = look
        self._mask = mask or Mask()

    async def answer(self, request: Request, progress: Callable[[Progress], None] | None = None) -> Answered:
        """Answer one line. Whatever happens stands in the ledger before the caller hears of it.

        Raises:
            HvopsError: refused, unreadable, or our own bug; its text is the sentence for the person.
        """
        began = time.monotonic()
        asked: Entry | None = None
        try:
            typed = self._read(request.line)
            authorize.allow(request.person, typed.command.role)
            asked = await asyncio.to_thread(self._ledger.append, "asked", request.person.id, _asked(request, typed))
            line = await self._resolve(typed, request.person)
            look = self._look(datetime.now(UTC), progress)
            look.places = line.places
            report = await _judge(line, look)
            seconds = time.monotonic() - began
            # On a thread: megabytes of evidence are searched for secrets, and acknowledgements must not wait for it.
            return await asyncio.to_thread(self._keep, asked, line, report, tuple(look.evidence), seconds)
        except LedgerError:
            raise  # nothing can be written, so nothing is asked and nothing is claimed
        except HvopsError as error:
            error.args = (self._mask.text(str(error)),)
            await asyncio.to_thread(self._refuse, request, asked, error)
            raise
        except Exception as error:
            bug = secrets.token_hex(4)
            log.exception("our bug", bug=bug, line=request.line)
            await asyncio.to_thread(self._refuse, request, asked, OurBug(bug))
            raise OurBug(bug) from error

    def reads(self, line: str) -> bool:
        """Whether the line can be read at all. Whether its host exists, and who may ask, is found out later."""
        try:
            self._read(line)
        except UsageError:
            return False
        return True

    async def reopen(self, request: Request, token: str) -> Answered:
        """The answer a button belongs to, for whoever pressed it now: they need the role that asking takes.

        A shared message can be pressed by everybody in its channel. A refusal stands in the ledger.

        Raises:
            NotAllowed: this person may not ask that line.
            UsageError: there is no such answer, or it has been dropped since.
        """
        try:
            found = self.find(token)
            if found is None:
                raise UsageError("That answer is no longer kept. Type the command again.", f"/{FRONT_DOOR} help")
            line = self._read(found.line)
            authorize.allow(request.person, line.command.role)
            await self._resolve(line, request.person)
        except LedgerError:
            raise
        except HvopsError as error:
            await asyncio.to_thread(self._refuse, request, None, error)
            raise
        return found

    def find(self, token: str) -> Answered | None:
        """The answer a button belongs to; None where there is none, or its report has been dropped since."""
        entry = self._ledger.answer(token)
        report = self._ledger.blob(entry.data["report"]) if entry else None
        if entry is None or report is None:
            return None
        evidence = self._ledger.blob(entry.data["evidence"])
        return Answered(
            token=token,
            seq=entry.seq,
            at=datetime.fromisoformat(entry.at),
            line=entry.data["line"],
            command=entry.data["command"],
            report=report_from_bytes(report),
            evidence=evidence_from_bytes(evidence) if evidence else (),
            seconds=entry.data["seconds_tenths"] / 10,
        )

    def _read(self, line: str) -> Line:
        typed = parse.words(line)
        if typed and typed[0].removeprefix("/").casefold() == FRONT_DOOR:
            typed = typed[1:]
        if not typed:
            raise UsageError("Type a command, for example /hvops help.", f"/{FRONT_DOOR} <command> …")
        command = self.registry.get(typed[0])
        if command is None:
            near = tuple(f"/{name}" for name in parse.nearest(typed[0].removeprefix("/"), self.registry.commands))
            raise UsageError(f"There is no command {parse.quoted(typed[0])}.", f"/{FRONT_DOOR} help", near)
        if not isinstance(command.spec, Diagnostic):
            raise UsageError(f"/{command.name} changes things, and this way in only asks.", command.usage)
        return Line(command, parse.read(command.usage, command.parameters, typed[1:]))

    async def _resolve(self, typed: Line, person: Person) -> Line:
        """Turn names into targets, and ask again whether this person may, there."""
        command, values = typed.command, dict(typed.values)
        for parameter in command.parameters:
            if not parameter.targets:
                continue
            target = await self._directory.find(values[parameter.name])
            if target.kind not in parameter.targets:
                wants = " or a ".join(parameter.targets)
                raise UsageError(f"{target.name} is a {target.kind}; this takes a {wants}.", command.usage)
            authorize.allow(person, command.role, target.cluster or target.name)
            values[parameter.name] = target
        return Line(command, values)

    def _keep(
        self, asked: Entry, line: Line, report: Report, evidence: tuple[Evidence, ...], seconds: float
    ) -> Answered:
        token = secrets.token_urlsafe(12)
        report_blob = self._ledger.put_blob(report_to_bytes(report))
        evidence_blob = self._ledger.put_blob(evidence_to_bytes(evidence))
        report = report_from_bytes(self._kept(report_blob))  # as the ledger has it: without secrets
        evidence = evidence_from_bytes(self._kept(evidence_blob))
        data = {
            "asked": asked.seq,
            "answer": token,
            "line": str(line),
            "command": line.command.name,
            "target": line.target,
            "places": sorted(line.places),
            "title": report.title,
            "verdict": report.summary,
            "findings": len(report.findings),
            "unknown": len(report.unanswered),
            "report": report_blob,
            "evidence": evidence_blob,
            "samples": [
                {"on": sample.on, "what": sample.what, "fields": dict(sample.fields)} for sample in report.samples
            ],
            "seconds_tenths": round(seconds * 10),
        }
        entry = self._ledger.append("answered", asked.actor, data)
        at = datetime.fromisoformat(entry.at)
        return Answered(token, entry.seq, at, str(line), line.command.name, report, evidence, seconds)

    def _kept(self, blob: str) -> bytes:
        data = self._ledger.blob(blob)
        if data is None:
            raise LedgerError("The answer was written and cannot be read back. Run hvops audit verify.")
        return data

    def _refuse(self, request: Request, asked: Entry | None, error: HvopsError) -> None:
        kind = {UsageError: "usage", NotAllowed: "not allowed", OurBug: "our bug"}.get(type(error), "not answered")
        self._ledger.append(
            "refused",
            request.person.id,
            {
                "asked": asked.seq if asked else None,
                "line": parse.shortened(request.line),
                "via": request.via,
                "place": request.place,
                "kind": kind,
                "why": str(error),
            },
        )


async def _judge(line: Line, look: Look) -> Report:
    spec = line.command.spec
    assert isinstance(spec, Diagnostic)
    args = spec.args(**line.values)
    facts = await spec.collect(args, look)
    return spec.judge(args, facts)


def _asked(request: Request, typed: Line) -> dict[str, Any]:
    return {
        "line": str(typed),
        "command": typed.command.name,
        "target": typed.target,
        "via": request.via,
        "place": request.place,
        "click": request.answers,
    }
