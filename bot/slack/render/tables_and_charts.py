"""Tables and charts as blocks, and a table as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import count

from bot.api.report import Chart, Column, Table
from bot.control_chars import spreadsheet_row
from bot.redaction import hides_number
from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, escape, escape_control, truncate, utf16_length
from bot.slack.render.blocks import contexts

_CELL = 80  # longer ones are whole in the CSV
_PAGE = 10
_SMALL = (2, 10)  # columns and rows up to which a plain table reads better on a phone
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?")  # what a float holds exactly enough to sort by


def table_blocks(table: Table | None, page: int = _PAGE) -> tuple[Block, ...]:
    """A table, `page` rows at a time, and where it is longer than a message holds, a line that says where the rest is."""
    if table is None or not table.rows or not table.columns:
        return ()
    columns = table.columns[: limits.DATA_TABLE_COLUMNS]
    head = [_text(_heading(column)) for column in columns]
    rows = [[_cell(column, cell) for column, cell in zip(columns, row, strict=False)] for row in table.rows]
    shown = _that_fit(head, [_padded(row, len(columns)) for row in rows[: limits.DATA_TABLE_ROWS]])
    block = _table(head, shown) if _is_small(table) else _data_table(table.caption, head, shown, page)
    if len(shown) == len(table.rows) and len(columns) == len(table.columns):
        return (block,)
    rows_shown = f"{len(shown):,} of {len(table.rows):,} rows" if len(shown) < len(table.rows) else ""
    cut = len(columns) < len(table.columns)
    columns_shown = f"{len(columns)} of {len(table.columns)} columns" if cut else ""
    told = ", ".join(part for part in (rows_shown, columns_shown) if part)
    return (block, *contexts(f"The first {told}. Use Send CSV for all of them."))


def chart_blocks(chart: Chart | None) -> tuple[Block, ...]:
    """A bar chart; each threshold is a series of its own beside the bars, and stands in words below.

    None where a number is a secret: a mask would leave no number, which Slack takes for no chart.
    """
    if chart is None or not chart.bars:
        return ()
    bars = chart.bars[: limits.CHART_POINTS]
    if any(hides_number(str(_in_units(tenths))) for tenths in chart.tenths()):  # the table beside it shows the others
        return ()
    labels = _different([bar.label for bar in bars])
    block: Block = {
        "type": "data_visualization",
        "title": truncate(escape_control(chart.title), limits.CHART_TITLE) or "Chart",
        "chart": {
            "type": "bar",
            "series": [
                _series(chart.unit, labels, [_in_units(bar.tenths) for bar in bars]),
                *(_series(label, labels, [_in_units(tenths)] * len(labels)) for label, tenths in _marked(chart)),
            ],
            "axis_config": {
                "categories": labels,
                "y_label": truncate(escape_control(chart.unit), limits.CHART_AXIS) or "value",
            },
        },
    }
    marks = " · ".join(f"{escape(label)}: {escape(chart.value(tenths))}" for label, tenths in chart.thresholds)
    return (block, *contexts(marks))


def _series(name: str, labels: Sequence[str], values: Sequence[float]) -> Block:
    points = [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)]
    return {"name": truncate(escape_control(name), limits.CHART_LABEL) or "value", "data": points}


def _marked(chart: Chart) -> tuple[tuple[str, int], ...]:
    """The thresholds that fit beside the bars, each under a name of its own."""
    names = {truncate(escape_control(label), limits.CHART_LABEL): (label, tenths) for label, tenths in chart.thresholds}
    names.pop(truncate(escape_control(chart.unit), limits.CHART_LABEL), None)
    return tuple(names.values())[: limits.CHART_SERIES - 1]


def csv_bytes(table: Table) -> bytes:
    """The whole table as CSV, with the byte-order mark that Excel wants for UTF-8.

    A text cell that a spreadsheet would run as a formula is prefixed by an apostrophe: VM names come from outside.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_heading(column) for column in table.columns])
    for row in table.rows:
        writer.writerow(spreadsheet_row(map(escape_control, row[: len(table.columns)])))
    return out.getvalue().encode("utf-8-sig", "replace")


def _heading(column: Column) -> str:
    named = escape_control(column.name)
    return named if not column.unit or column.unit in named else f"{named} {escape_control(column.unit)}"


def _cell(column: Column, cell: str) -> Block:
    word = cell.strip()
    if column.kind == "number" and _NUMBER.fullmatch(word) and not hides_number(word):
        return {"type": "raw_number", "value": float(word) if "." in word else int(word), "text": word}
    return _text(cell)  # also "" where unknown, and a word such as "n/a"


def _text(cell: str) -> Block:
    return {"type": "raw_text", "text": truncate(escape_control(cell).strip(), _CELL) or "—"}


def _padded(row: list[Block], columns: int) -> list[Block]:
    return row + [_text("") for _ in range(columns - len(row))]


def _that_fit(head: list[Block], rows: list[list[Block]]) -> list[list[Block]]:
    room = limits.DATA_TABLE_TEXT - sum(utf16_length(cell["text"]) for cell in head)
    for at, row in enumerate(rows):
        room -= sum(utf16_length(cell["text"]) for cell in row)
        if room < 0:
            return rows[:at]
    return rows


def _is_small(table: Table) -> bool:
    return len(table.columns) <= _SMALL[0] and len(table.rows) <= _SMALL[1]


def _table(head: list[Block], rows: list[list[Block]]) -> Block:
    plain = [[_text(cell["text"]) for cell in row] for row in [head, *rows]]
    settings = [{"align": "left", "is_wrapped": True} for _ in head]
    return {"type": "table", "column_settings": settings, "rows": plain}


def _data_table(caption: str, head: list[Block], rows: list[list[Block]], page: int) -> Block:
    title = truncate(escape_control(caption), limits.HEADER_TEXT) or "Table"
    return {"type": "data_table", "caption": title, "page_size": page, "rows": [head, *rows]}


def _different(labels: Sequence[str]) -> list[str]:
    """Labels of a chart must differ: clipped ones that became equal get a number."""
    taken: dict[str, None] = {}
    for label in labels:
        short = truncate(escape_control(label), limits.CHART_LABEL) or "—"
        names = (short if at == 1 else f"{truncate(short, limits.CHART_LABEL - 3)} {at}" for at in count(1))
        taken[next(name for name in names if name not in taken)] = None
    return list(taken)


def _in_units(tenths: int) -> int | float:
    return tenths // 10 if tenths % 10 == 0 else tenths / 10
