"""The path of a question, on one screen: parse, authorize, look, judge, and a ledger entry for each.

Slack and the terminal both come through here; what differs is only who asks and how the answer is drawn.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.api.beside import beside
from bot.api.command import Diagnostic, Remediation
from bot.api.report import Report
from bot.config.settings import Limits
from bot.dispatch import argument_parser, authorization
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import FRONT_DOOR
from bot.dispatch.command_line import CommandLine, TypedLine, read_line, read_typed, resolve
from bot.dispatch.evidence_limits import EvidenceLimits, free_bytes, not_stored_finding, stored_remainder
from bot.dispatch.inventory import Inventory
from bot.dispatch.line_entries import LineEntries
from bot.dispatch.query_session import Progress, QuerySession
from bot.dispatch.registry import Registry
from bot.dispatch.turns import Turns
from bot.errors import HvopsError, InternalError, LedgerError, UsageError
from bot.ledger import Entry, Ledger
from bot.ledger.entries import Answered, Asked, Refused
from bot.redaction import Redactor, hides_number
from bot.serialization import (
    Evidence,
    evidence_from_bytes,
    evidence_to_bytes,
    report_from_bytes,
    report_to_bytes,
    samples_to_json,
)
from bot.transport.turns import asking_about

log = structlog.get_logger()

_REMEMBERED = 64  # lines: those that are being answered at one time


@dataclass(frozen=True, slots=True)
class Request:
    """A line that somebody typed or pressed.

    Attributes:
        line: "/check-writers prod", or what a button does: what the ledger says of it.
        via: "slack", "button", "mention" or "terminal".
        place: the channel, or the host of the terminal.
        answers: the sequence number of the ledger entry (a click) that led here, or None.
        typed: the line as the entry point read it; None where nothing was typed, as with most buttons.
    """

    person: Person
    line: str
    via: str
    place: str
    answers: int | None = None
    typed: TypedLine | None = None

    @classmethod
    def of(cls, person: Person, typed: TypedLine, via: str, place: str, answers: int | None = None) -> Request:
        """The request that a line makes, once it was read."""
        return cls(person, typed.text, via, place, answers, typed)

    @property
    def reading(self) -> TypedLine:
        """The line, read."""
        return self.typed or read_typed(self.line)


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A report, and where the ledger keeps it.

    Attributes:
        token: opaque; all that a button carries.
        seq: the number of the `answered` entry.
        at: when, UTC.
        line: the command line in its plain form, for *Check Again*.
    """

    token: str
    seq: int
    at: datetime
    line: str
    command: str
    report: Report
    evidence: tuple[Evidence, ...]
    seconds: float


@dataclass(slots=True)
class RequestContext:
    """One line on its way: the command and the targets it names, once it was read, and its `asked` entry."""

    command: str = ""
    target: str = ""
    entry: Entry | None = None

    def reads(self, line: CommandLine) -> CommandLine:
        """Remember what a line is about: a refusal is about the same."""
        self.command, self.target = line.command.name, line.target
        return line


class Pipeline:
    """Everything between a typed line and its report."""

    def __init__(
        self,
        registry: Registry,
        inventory: Inventory,
        ledger: Ledger,
        look: Callable[[datetime, Any], QuerySession],
        mask: Redactor | None = None,
        *,
        turns: Turns | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts.

        Args:
            registry: the commands.
            inventory: the names of clusters and hosts.
            ledger: where every step is written before the next one is taken.
            look: makes the `QueryClient` of one request, from its time and its progress callback.
            mask: takes secrets out of what hosts and people say, before anybody is shown it.
            turns: how many lines of one person are answered at a time.
            clock: the time at which a line is asked, UTC.
        """
        self.registry = registry
        self.inventory = inventory
        self.ledger = ledger
        self.look = look
        self.mask = mask or Redactor()
        self.turns = turns or Turns(Limits().per_person, Limits().overall_seconds)
        self.entries = LineEntries(ledger)
        self._clock = clock
        self._limits = EvidenceLimits(functools.partial(free_bytes, ledger.place))
        # What is said at once, which way a line goes and what it asks: one line is looked at three times, and read once.
        self._read = functools.lru_cache(_REMEMBERED)(functools.partial(read_line, registry))

    async def answer(self, request: Request, progress: Callable[[Progress], None] | None = None) -> AnsweredRequest:
        """Answer one line. Whatever happens stands in the ledger before the caller hears of it.

        Raises:
            HvopsError: refused, unreadable, or our own bug; its text is the sentence for the person.
        """
        began = time.monotonic()
        async with self.recording_refusals_beside(request) as asking, self.turns.take(request.person.id):
            line = await self.begin(request, asking, Diagnostic)
            look = self.look(self._clock(), progress)
            look.count_from(began)
            report = await run_diagnostic(line, look)
            seconds = time.monotonic() - began
            # On a thread: megabytes of evidence are searched for secrets, and acknowledgements must not wait for it.
            return await beside(self.store_answer, asking, line, report, tuple(look.evidence), seconds)

    @contextmanager
    def recording_refusals(self, request: Request) -> Iterator[RequestContext]:
        """Whatever goes wrong inside stands in the ledger, without secrets, before it is raised on. For the terminal."""
        asking = RequestContext()
        try:
            yield asking
        except LedgerError:
            raise  # nothing can be written, so nothing is asked and nothing is claimed
        except Exception as error:
            known = self._known(request, error)
            self.ledger.append(request.person.id, _refused(request, asking, known))
            if known is error:
                raise
            raise known from error

    @asynccontextmanager
    async def recording_refusals_beside(self, request: Request) -> AsyncIterator[RequestContext]:
        """The same for whoever is on the loop: it is written beside it, in the turn of this person, or counted."""
        asking = RequestContext()
        try:
            yield asking
        except LedgerError:
            raise
        except Exception as error:
            known = self._known(request, error)
            await self._refuse(request, asking, known)
            if known is error:
                raise
            raise known from error

    def _known(self, request: Request, error: Exception) -> HvopsError:
        """The error that the person and the ledger are told, without secrets; our own bug by an id that the log has too."""
        if isinstance(error, HvopsError):
            error.args = (self.mask.redact_text(str(error)),)
            return error
        bug = secrets.token_hex(4)
        log.error("our bug", bug=bug, line=request.line, exc_info=error)
        return InternalError(bug)

    async def begin(
        self, request: Request, asking: RequestContext, kind: type[Diagnostic[Any, Any] | Remediation[Any, Any]]
    ) -> CommandLine:
        """Read a line, write down that it was asked, and find its targets. Raises HvopsError."""
        with authorization.no_hints_for_strangers(request.person):
            typed = asking.reads(self._read(request.reading))
            if not isinstance(typed.command.spec, kind):
                does = "makes changes, and only diagnostics run here" if typed.command.changes else "changes nothing"
                raise UsageError(f"/{typed.command.name} {does}.", typed.command.usage)
        authorization.require_role(request.person, typed.command.role)
        asking.entry = await self.entries.write(request.person.id, _asked(request, typed))
        return await resolve(self.inventory, typed, request.person)

    def can_parse(self, line: TypedLine) -> bool:
        """Whether the line can be read at all. Whether its host exists, and who may ask, is found out later."""
        try:
            self._read(line)
        except UsageError:
            return False
        return True

    def is_remediation(self, line: TypedLine) -> bool:
        """Whether the line names a command that changes things."""
        try:
            return self._read(line).command.changes
        except UsageError:
            return False

    async def load_answer(self, request: Request, token: str) -> AnsweredRequest:
        """The answer a button belongs to, for whoever pressed it now: they need the role that asking takes.

        A shared message can be pressed by everybody in its channel. A refusal stands in the ledger.

        Raises:
            PermissionDenied: this person may not ask that line.
            UsageError: there is no such answer, or it has been dropped since.
        """
        asking = RequestContext()
        try:
            found = await asyncio.to_thread(self.find, token)
            if found is None:
                raise UsageError("That answer is no longer kept. Type the command again.", f"/{FRONT_DOOR} help")
            line = asking.reads(self._read(read_typed(found.line)))
            authorization.require_role(request.person, line.command.role)
            await resolve(self.inventory, line, request.person)
        except LedgerError:
            raise
        except HvopsError as error:
            await self._refuse(request, asking, error)
            raise
        return found

    def find(self, token: str) -> AnsweredRequest | None:
        """The answer a button belongs to; None where there is none, or its report has been dropped since."""
        entry = self.ledger.find_answer(token)
        if entry is None:
            return None
        answered = entry.read(Answered)
        report = self.ledger.blob(answered.report or "")
        if report is None:
            return None
        evidence = self.ledger.blob(answered.evidence or "")
        return AnsweredRequest(
            token=token,
            seq=entry.seq,
            at=datetime.fromisoformat(entry.at),
            line=answered.line,
            command=answered.command,
            report=report_from_bytes(report),
            evidence=evidence_from_bytes(evidence) if evidence else (),
            seconds=answered.seconds_tenths / 10,
        )

    def store_answer(
        self,
        asking: RequestContext,
        line: CommandLine,
        report: Report,
        evidence: tuple[Evidence, ...],
        seconds: float,
        *,
        no_plan: bool = False,
    ) -> AnsweredRequest:
        """Keep a report and its evidence, and write down that the line was answered, or that no plan came of it.

        Where there is no room for them, little is kept of both, and the report that is returned says so.
        """
        asked = asking.entry
        assert asked is not None
        token = secrets.token_urlsafe(12)
        if report.chart is not None and any(hides_number(str(tenths)) for tenths in report.chart.tenths()):
            report = replace(report, chart=None)  # masked, it would be no chart, and so no report
        found = len(report.findings)
        report, report_blob = self._keep_report(asked.actor, report)
        evidence_blob = self.ledger.put_blob(evidence_to_bytes(self._limits.kept(asked.actor, evidence)))
        evidence = evidence_from_bytes(self._kept(evidence_blob))
        answered = Answered(
            asked=asked.seq,
            answer=token,
            name=asked.name,
            line=str(line),
            command=line.command.name,
            target=line.target,
            places=tuple(sorted(line.scopes)),
            title=report.title,
            verdict=report.summary,
            findings=found,
            unknown=len(report.unanswered),
            report=report_blob,
            evidence=evidence_blob,
            samples=samples_to_json(report.samples),
            seconds_tenths=round(seconds * 10),
            no_plan=no_plan,
        )
        entry = self.ledger.append(asked.actor, answered)
        at = datetime.fromisoformat(entry.at)
        return AnsweredRequest(token, entry.seq, at, str(line), line.command.name, report, evidence, seconds)

    def _keep_report(self, person: str, report: Report) -> tuple[Report, str]:
        """The report as the person is shown it, without secrets, and the digest of what is kept of it."""
        data = report_to_bytes(report)
        if not (why := self._limits.why_not(person, len(data))):
            blob = self.ledger.put_blob(data)
            return report_from_bytes(self._kept(blob)), blob
        shown = report_from_bytes(self.ledger.without_secrets(data))
        blob = self.ledger.put_blob(report_to_bytes(stored_remainder(shown, why)))
        return replace(shown, findings=(not_stored_finding(why), *shown.findings)), blob

    def _kept(self, blob: str) -> bytes:
        data = self.ledger.blob(blob)
        if data is None:
            raise LedgerError("The answer was written and cannot be read back. Run hvops audit verify.")
        return data

    async def _refuse(self, request: Request, asking: RequestContext, error: HvopsError) -> None:
        is_press = request.answers is not None
        await self.entries.refuse(request.person.id, _refused(request, asking, error), always=is_press)


async def run_diagnostic(line: CommandLine, look: QuerySession) -> Report:
    """The report of a diagnostic whose targets were found. It asks only where the line is about.

    Raises whatever the command does wrong.
    """
    spec = line.command.spec
    assert isinstance(spec, Diagnostic)
    look.places = frozenset(place.lower() for place in line.scopes)
    args = spec.args(**line.values)
    with asking_about(line.scopes):
        facts = await spec.collect(args, look)
    return await beside(spec.evaluate, args, facts)  # of lists as long as a host makes them


def _asked(request: Request, typed: CommandLine) -> Asked:
    return Asked(
        name=request.person.name,
        line=str(typed),
        command=typed.command.name,
        target=typed.target,
        via=request.via,
        place=request.place,
        click=request.answers,
    )


def _refused(request: Request, asking: RequestContext, error: HvopsError) -> Refused:
    return Refused(
        asked=asking.entry.seq if asking.entry else None,
        name=request.person.name,
        command=asking.command or None,
        target=asking.target or None,
        line=argument_parser.truncate(request.line),
        via=request.via,
        place=request.place,
        category=error.refused_as,
        reason=str(error),
    )
