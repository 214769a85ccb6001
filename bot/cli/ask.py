"""`hvops ask`: one line, one report, and an exit code that a script can use."""

from __future__ import annotations

import asyncio
import csv
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bot.api.command import Role
from bot.api.report import Report
from bot.cli.console import console, format_time, styled, visible
from bot.cli.layout import print_rows, print_text
from bot.cli.os_user import current_user
from bot.cli.plan_preview import approver_names, as_json, print_preview, refuse_decision
from bot.cli.render import head_as_json, print_evidence, print_report
from bot.config.settings import Roles, Settings
from bot.control_chars import json_text, spreadsheet_row
from bot.dispatch.authorization import Person, no_role
from bot.dispatch.builtins import FRONT_DOOR, HELP, STATUS, Builtin
from bot.dispatch.command_line import EntryPoint, TypedLine, read_typed
from bot.dispatch.help import help_for, role_name, roles_of
from bot.dispatch.pipeline import AnsweredRequest, Request
from bot.dispatch.query_session import Progress as Step
from bot.errors import HvopsError, LedgerError, TargetError, UsageError
from bot.executor.external_records import NOT_ASKED
from bot.ledger import Entry, Ledger
from bot.ledger.entries import Asked, Refused, Stopped
from bot.ledger.proved import switch_in_words
from bot.private_files import private_text
from bot.redaction import clip
from bot.services import Services, build_services
from bot.tickets.create import Preview

WELL, FINDINGS, REFUSED, UNKNOWN = 0, 1, 2, 3  # exit codes


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the answer is wanted."""

    json: bool = False
    evidence: bool = False
    csv: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a line: an answer, the plan that would be proposed, or a refusal."""

    ended: AnsweredRequest | Preview | HvopsError
    code: int


def ask(settings: Settings, line: str, shape: OutputOptions) -> int:
    """Ask one line and draw the answer. Returns the exit code."""
    person = current_user(settings.roles)
    stop = ""
    with build_services(settings) as made:
        typed = read_typed(line, EntryPoint.TERMINAL)
        own = _OWN.get(typed.builtin) if typed.builtin and not typed.rest else None
        if own is not None:
            if not _may_ask(made, person, typed):
                print_text(console(errors=True), styled(no_role(person)))
                return REFUSED
            own(person, made)
            return WELL
        outcome = asyncio.run(outcome_of(made, person, typed))
        if isinstance(outcome.ended, Preview):
            stop = stop_in_force(made.ledger)
    draw(outcome, person, shape, settings.roles, stop)
    return outcome.code


def _may_ask(made: Services, person: Person, typed: TypedLine) -> bool:
    """Whether this person holds any role; what they said to hvops itself is written down, as in Slack. Raises LedgerError."""
    line, where = clip(typed.text, 200), socket.gethostname()
    entry: Asked | Refused = Asked(
        name=person.name, line=line, command=FRONT_DOOR, target="", via="terminal", place=where
    )
    if may_not := person.highest_role is Role.NOBODY:
        reason = no_role(person)
        entry = Refused(name=person.name, line=line, reason=reason, category="not allowed", via="terminal", place=where)
    made.ledger.append(person.id, entry)
    return not may_not


def stop_in_force(ledger: Ledger) -> str:
    """That changes are stopped, by whom and why, or that nobody can say; "" where they are not."""
    try:
        newest = ledger.newest_switch()
    except LedgerError as error:
        return f"hvops can't tell whether changes are stopped, so nothing starts: {error}"
    return stopped_in_words(newest)


def stopped_in_words(newest: Entry | None) -> str:
    """That changes are stopped, where the newest of stop and go says so."""
    if newest is None or newest.kind != Stopped.kind:
        return ""
    return f"Changes are stopped, {switch_in_words(newest)} Nothing starts until hvops go."


async def outcome_of(made: Services, person: Person, typed: TypedLine) -> Outcome:
    """Ask one line; a refusal is an outcome as well. No plan is 0 only where what was asked for is so already."""
    try:
        ended = await _answer(made, Request.of(person, typed, "terminal", socket.gethostname()))
    except HvopsError as error:
        return Outcome(error, UNKNOWN if isinstance(error, TargetError) else REFUSED)
    if isinstance(ended, Preview):
        return Outcome(ended, _preview_code(ended))
    return Outcome(ended, exit_code(ended.report))


def draw(outcome: Outcome, person: Person, shape: OutputOptions, roles: Roles, stop: str = "") -> None:
    """Draw what came of a line; write its table, where that is wanted. Raises UsageError where there is none.

    Args:
        outcome: what came of it.
        person: who asked.
        shape: how it is wanted.
        roles: who would decide about a plan.
        stop: that changes are stopped, which stands before a plan; "" where they are not.
    """
    ended = outcome.ended
    if isinstance(ended, HvopsError):
        _print_refusal(ended, shape)
        return
    if isinstance(ended, Preview):
        if stop and not shape.json:
            print_text(console(), styled(stop, "bold red"))
        _print_preview(ended, person, shape, approver_names(roles, ended), outcome.code, stop)
        report = ended.answered.report
    else:
        _print_answer(ended, person, shape)
        report = ended.report
    if shape.csv is not None:
        _write_csv(report, shape.csv)


def _preview_code(shown: Preview) -> int:
    """0 for a plan that could be proposed or that nobody needs, 3 where an approver would have to answer what is not known."""
    if not shown.decides:
        return WELL if shown.made.plan.is_done_already else exit_code(shown.answered.report) or FINDINGS
    return UNKNOWN if shown.made.plan.open_questions else WELL


def exit_code(report: Report) -> int:
    """1 for any finding; 3 for no finding but something unknown; 0 only if all answered and are well."""
    if report.has_findings:
        return FINDINGS
    return UNKNOWN if report.has_unknowns else WELL


async def _answer(made: Services, request: Request) -> AnsweredRequest | Preview:
    refuse_decision(made.pipeline, request)
    with _bar(request.reading) as tell:
        if made.pipeline.is_remediation(request.reading):
            return await made.proposals.preview(request, tell)
        return await made.pipeline.answer(request, tell)


@contextmanager
def _bar(line: TypedLine) -> Iterator[Callable[[Step], None] | None]:
    """Progress on standard error, where somebody is looking at it."""
    errors = console(errors=True)
    if not errors.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[waiting]}", markup=False),
    )
    with Progress(*columns, console=errors, transient=True) as drawn:
        task = drawn.add_task(f"Asking {visible(' '.join(line.rest.split()[:1]))}", total=None, waiting="")

        def tell(step: Step) -> None:
            waiting = visible(", ".join(step.waiting))
            short = clip(waiting, 40, "…")  # half a line
            drawn.update(task, total=step.total, completed=step.done, waiting=f"waiting: {short}" if short else "")

        yield tell


def _print_answer(answered: AnsweredRequest, person: Person, shape: OutputOptions) -> None:
    out = console()
    if shape.json:
        print(json_text(_as_json(answered, person), indent=2))  # noqa: T201 - the answer itself
        return
    role = role_name(person.highest_role)
    print_report(out, answered.report, f"ledger {answered.seq} · as {person.name} ({role}) · {answered.seconds:.1f} s")
    if shape.evidence:
        print_evidence(out, answered.evidence)


def _print_preview(  # noqa: PLR0917 - all that is drawn
    shown: Preview, person: Person, shape: OutputOptions, named: str, code: int, stop: str
) -> None:
    """What would be proposed, or why nothing."""
    if shape.json:
        print(as_json(shown, person, named, code, stop))  # noqa: T201 - the answer itself
    elif shown.decides:
        print_preview(console(), shown, named)
        if shape.evidence:
            print_evidence(console(), shown.answered.evidence)
    else:
        _print_answer(shown.answered, person, shape)


def _as_json(answered: AnsweredRequest, person: Person) -> dict[str, Any]:
    return {**head_as_json(answered, person, exit_code(answered.report)), "report": asdict(answered.report)}


def _write_csv(report: Report, path: Path) -> None:
    """The table of the report as a file; cells that a spreadsheet would run as a formula are quoted as text."""
    if report.table is None:
        raise UsageError("This answer has no table, so there is no CSV to write.")
    try:
        with private_text(path) as file:
            writer = csv.writer(file)
            writer.writerow(spreadsheet_row(visible(column.name) for column in report.table.columns))
            writer.writerows(spreadsheet_row(map(visible, row)) for row in report.table.rows)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def _print_refusal(error: HvopsError, shape: OutputOptions) -> None:
    near = error.suggestions if isinstance(error, UsageError) else ()
    usage = error.usage if isinstance(error, UsageError) else ""
    if shape.json:
        what = {"kind": type(error).__name__, "outcome": error.refused_as, "says": str(error)}
        told = {"error": {**what, "usage": usage, "suggestions": near}}
        print(json_text(told, indent=2))  # noqa: T201 - the answer itself
        return
    print_error(console(errors=True), str(error), usage, near)


def print_error(errors: Console, says: str, usage: str = "", near: tuple[str, ...] = ()) -> None:
    """A refusal on standard error: the sentence, what was probably meant, how it is written."""
    for line in says.splitlines():
        print_text(errors, styled(line))
    if near:
        print_text(errors, styled(f"Did you mean {', '.join(near)}?"))
    if usage:
        print_text(errors, styled(f"Usage: {usage}", "dim"))


def _print_help(person: Person, made: Services) -> None:
    out = console()
    told = help_for(person, made.registry)
    print_text(out, styled(f"You are {told.name} ({told.role}).", "bold"))
    for line in told.lines:
        print_text(out, styled(f'hvops ask "{line.usage}"', "" if line.allowed else "dim"))
        needs = "" if line.allowed else f" Needs the role {line.role}."
        print_text(out, styled(f"    {line.says}{needs}", "dim"))


def _print_status(person: Person, made: Services) -> None:
    """Who asks, what they may, where the ledger stands, through whom clusters are asked."""
    out, head, trouble = console(), made.ledger.head(), made.ledger.settle_anchors()
    roles = "; ".join(f"{role} ({', '.join(places)})" for role, places in roles_of(person)) or "no role"
    may = [command.usage for command in made.registry if person.highest_role >= command.role]
    rows = [
        *((("Changes", stop),) if (stop := stop_in_force(made.ledger)) else ()),
        ("You", f"{person.name}, {roles}"),
        ("You may", "\n".join(may) or "only read the help"),
        ("Ledger", f"entry {head.seq}, {format_time(head.at)}" if head else "empty"),
        ("Anchors", trouble or str(made.ledger.anchor_file)),
        *(() if made.settings.ledger.require_anchor else (("External records", NOT_ASKED),)),
        *(
            (cluster.name, f"queried through {', '.join(cluster.entry_hosts)}")
            for cluster in made.inventory_file.clusters.values()
        ),
        *((host.name, "standalone") for host in made.inventory_file.hosts.values()),
        *((one.name, "a load balancer") for one in made.inventory_file.load_balancer),
        ("Version", version("hvops")),
    ]
    lines = [(name if not number else "", line) for name, says in rows for number, line in enumerate(says.splitlines())]
    print_rows(out, [(styled(name, "dim"), styled(line)) for name, line in lines])


_OWN: dict[Builtin, Callable[[Person, Services], None]] = {HELP: _print_help, STATUS: _print_status}
