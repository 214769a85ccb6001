"""A report as text for people: verdict, what to do, evidence, what is not known. Readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from bot.api.report import Chart, Finding, Healthy, Report, Severity
from bot.api.report import Table as Rows
from bot.cli.console import styled, visible
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import AnsweredRequest
from bot.serialization import Evidence

STYLES = {Severity.FAULT: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
UNKNOWN, FINE = "magenta", "green"
MOST_ROWS = 20  # of a table; `--json` has them all
BAR = 30  # characters of the longest bar

Row = tuple[str, str, str, str]  # style, word, name, text


def print_report(console: Console, report: Report, footer: str) -> None:
    """Draw the whole report."""
    console.print(styled(report.title, "bold"))
    console.print(_grid(_rows(report)))
    if report.chart is not None:
        console.print(_chart(report.chart))
    if report.table is not None:
        _print_table(console, report.table)
    for note in (*report.notes, *report.background):
        console.print(styled(note, "dim"))
    answered = f"{report.answered} of {report.asked} {report.of} {report.did} · " if report.asked else ""
    console.print(styled(f"{answered}{footer}", "dim"))


def head_as_json(answered: AnsweredRequest, person: Person, exit_code: int) -> dict[str, Any]:
    """What every answer in JSON begins with, whether it is a report or a plan."""
    return {
        "line": answered.line,
        "command": answered.command,
        "at": answered.at.isoformat(),
        "ledger": answered.seq,
        "as": person.id,
        "seconds": round(answered.seconds, 1),
        "exit_code": exit_code,
    }


def print_evidence(console: Console, evidence: tuple[Evidence, ...]) -> None:
    """Draw every question and its raw answer, line by line as it came."""
    for one in evidence:
        console.print(styled(f"── {one.on}: {one.query}", "bold"))
        for line in (one.raw or one.error).splitlines():
            console.print(styled(line), soft_wrap=True)


def _rows(report: Report) -> Iterator[Row]:
    for finding in report.findings:
        yield from _finding(finding)
    for one in report.unanswered:
        kind = "" if one.kind in one.why.lower() else f"{one.kind}: "
        yield UNKNOWN, "UNKNOWN", one.target, f"{kind}{one.why}" + (f" {one.remedy}" if one.remedy else "")
    for fine in report.fine:
        yield FINE, fine.word, *_well(fine, report.of)
    for remedy in report.remedies:
        yield "dim", "", "then", f'hvops ask "{remedy.line}"'


def _well(fine: Healthy, of: str) -> tuple[str, str]:
    """One name stands for itself; several are counted, then listed."""
    if len(fine.targets) == 1:
        return fine.targets[0], fine.summary
    says = f" ({fine.summary})" if fine.summary else ""
    return f"{len(fine.targets)} {of}", " ".join(fine.targets) + says


def _finding(finding: Finding) -> Iterator[Row]:
    yield STYLES[finding.severity], finding.status, finding.target, finding.summary
    for label, says in finding.lines:
        yield "", "", label.lower(), says


def _grid(rows: Iterator[Row]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=24, overflow="fold")
    grid.add_column(overflow="fold")
    for style, word, name, text in rows:
        dim = "" if word else "dim"
        grid.add_row(styled(word, style), styled(name, dim), styled(text))
    return grid


def _chart(chart: Chart) -> Table:
    drawn = Table.grid(padding=(0, 1, 0, 0))
    longest = max((bar.tenths for bar in chart.bars), default=0) or 1
    drawn.add_row(styled(chart.title, "bold"))
    for bar in chart.bars:
        length = max(0, round(bar.tenths * BAR / longest))
        drawn.add_row(styled(bar.label), styled("━" * length), styled(f"{bar.tenths / 10:g} {chart.unit}"))
    for label, tenths in chart.thresholds:
        drawn.add_row(styled(label, "dim"), styled("", "dim"), styled(f"{tenths / 10:g} {chart.unit}", "dim"))
    return drawn


def _print_table(console: Console, table: Rows) -> None:
    drawn = Table(title=visible(table.caption), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in table.columns:
        unit = f" {column.unit}" if column.unit and not column.name.endswith(column.unit) else ""
        drawn.add_column(styled(f"{column.name}{unit}"), justify="right" if column.kind == "number" else "left")
    for row in table.rows[:MOST_ROWS]:
        drawn.add_row(*map(styled, row))
    console.print(drawn)
    if len(table.rows) > MOST_ROWS:
        console.print(styled(f"{len(table.rows) - MOST_ROWS} more rows: --csv FILE writes them all.", "dim"))
