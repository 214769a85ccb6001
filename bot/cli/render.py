"""A report as text for people: verdict, what to do, evidence, what is not known. Readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bot.api.report import Chart, Finding, Healthy, Report, Severity
from bot.api.report import Table as Rows
from bot.cli.console import styled, visible
from bot.cli.layout import print_rows, print_table, print_text
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import AnsweredRequest
from bot.redaction import mask_all
from bot.serialization import Evidence

STYLES = {Severity.FAULT: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
UNKNOWN, FINE = "magenta", "green"
MOST_ROWS = 20  # of a table; `--json` has them all
BAR = 30  # characters of the longest bar
_THEN = "then"  # the name of what to type next
_EMPTY = "(empty)"  # an answer without a row

Row = tuple[str, str, str, str]  # style, word, name, text


def print_report(console: Console, report: Report, footer: str) -> None:
    """Draw the whole report."""
    print_text(console, styled(report.title, "bold"))
    print_rows(console, [_drawn(row) for row in _rows(report)])
    if report.chart is not None:
        _print_chart(console, report.chart)
    if report.table is not None:
        _print_table(console, report.table)
    for note in (*report.notes, *report.background):
        print_text(console, styled(note, "dim"))
    of = report.of.removesuffix("s") if report.asked == 1 else report.of
    answered = f"{report.answered:,} of {report.asked:,} {of} {report.did} · " if report.asked else ""
    print_text(console, styled(f"{answered}{footer}", "dim"))


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
    """Draw every question and its answer as people read it: one row a line, and what programs printed as they did."""
    for one in evidence:
        print_text(console, styled(f"── {one.on}: {one.query}", "bold"))
        if one.error:
            print_text(console, styled(one.error, UNKNOWN))
        said = (one.rendered or one.raw).splitlines()
        for line in said or (() if one.error else (_EMPTY,)):
            console.print(styled(line), soft_wrap=True)


def _rows(report: Report) -> Iterator[Row]:
    for finding in report.findings:
        yield from _finding(finding)
    for one in report.unanswered:
        yield UNKNOWN, "UNKNOWN", one.target, (one.why or one.kind) + (f" {one.remedy}" if one.remedy else "")
    for fine in report.fine:
        yield FINE, fine.word, *_well(fine, report.of)
    for remedy in report.remedies:
        yield "dim", "", _THEN, f'hvops ask "{remedy.line}"'


def _well(fine: Healthy, of: str) -> tuple[str, str]:
    """One name represents itself; several are counted, then listed."""
    if len(fine.targets) == 1:
        return fine.targets[0], fine.summary
    says = f" ({fine.summary})" if fine.summary else ""
    return f"{len(fine.targets)} {of}", " ".join(fine.targets) + says


def _finding(finding: Finding) -> Iterator[Row]:
    yield STYLES[finding.severity], finding.status, finding.target, finding.summary
    for label, says in finding.lines:
        yield "", "", mask_all(label).lower(), says


def _drawn(row: Row) -> tuple[Text, Text, Text]:
    style, word, name, text = row
    said = styled(text)
    said.no_wrap = name == _THEN  # a command line, to be copied
    return styled(word, style), styled(name, "" if word else "dim"), said


def _print_chart(console: Console, chart: Chart) -> None:
    print_text(console, styled(chart.title, "bold"))
    labels = [
        visible(label) for label in (*(bar.label for bar in chart.bars), *(label for label, _ in chart.thresholds))
    ]
    values = [visible(chart.value(bar.tenths)) for bar in chart.bars]
    longest = max((bar.tenths for bar in chart.bars), default=0) or 1
    name, value = max(map(cell_len, labels), default=0), max(map(cell_len, values), default=0)
    room = max(1, min(BAR, console.width - name - value - 2))
    for bar, label, says in zip(chart.bars, labels, values, strict=False):
        drawn = "━" * max(0, round(bar.tenths * room / longest))
        console.print(Text(f"{_padded(label, name)} {drawn.ljust(room)} {says}"), soft_wrap=True)
    for label, tenths in chart.thresholds:
        says = f"{_padded(visible(label), name)} {' ' * room} {visible(chart.value(tenths))}"
        console.print(Text(says, style="dim"), soft_wrap=True)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _print_table(console: Console, table: Rows) -> None:
    head = []
    for column in table.columns:
        unit = f" {column.unit}" if column.unit and not column.name.endswith(column.unit) else ""
        head.append(visible(f"{column.name}{unit}"))
    right = frozenset(number for number, column in enumerate(table.columns) if column.kind == "number")
    print_text(console, styled(table.caption, "bold"))
    print_table(console, head, [tuple(map(visible, row)) for row in table.rows[:MOST_ROWS]], right)
    if len(table.rows) > MOST_ROWS:
        print_text(console, styled(f"{len(table.rows) - MOST_ROWS} more rows: --csv FILE writes them all.", "dim"))
