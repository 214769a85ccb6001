"""Blocks that show data: table, data_table, data_visualization, plan, task_card.

`table`: at most 100 rows of 20 cells; an empty cell is refused (getnao/nao#1141). `data_table`: a header and at most 200
rows of 20 columns, all rows alike, no rich text in the header, caption required. `data_visualization`: at most 12
series of 20 points that match the axis' categories, title at most 50, labels at most 20 characters; one published
library says 6 series, so 12 is the looser reading. `plan`: at most 50 cards, its title is a bare string; a card on its own
cannot be pending.
"""

from __future__ import annotations

from typing import Any

from lab.slack.blockkit.elements import button
from lab.slack.blockkit.schema import (
    Problems,
    boolean,
    both,
    by_type,
    choice,
    items,
    number,
    optional,
    required,
    shape,
    string,
    unique,
)
from lab.slack.blockkit.texts import LONGEST_TEXT, identity, rich_text, rich_text_block, url

MOST_COLUMNS = 20
LONGEST_CELL = 20_000
"""As long as all cells of a message together may be; a limit of its own is not published."""
LONGEST_LABEL = 20
MOST_POINTS = 20
MOST_SERIES = 12

raw_text = shape({"text": required(string(LONGEST_CELL, shortest=1))})
raw_number = shape({"value": required(number()), "text": required(string(LONGEST_TEXT, shortest=1))})
action_cell = shape({"elements": required(items(by_type({"button": button}), 5))})
table_cell = by_type({"raw_text": raw_text, "raw_number": raw_number, "rich_text": rich_text})
data_cell = by_type(
    {"raw_text": raw_text, "raw_number": raw_number, "rich_text": rich_text, "action_cell": action_cell}
)


def _column(problems: Problems, node: Any, pointer: str) -> None:
    # null stands for a column with the usual behaviour
    if node is not None:
        shape({"align": optional(choice("left", "center", "right")), "is_wrapped": optional(boolean)})(
            problems, node, pointer
        )


table = shape(
    {
        "block_id": optional(identity),
        "rows": required(items(items(table_cell, MOST_COLUMNS), 100)),
        "column_settings": optional(items(_column, MOST_COLUMNS, least=0)),
    }
)


def _rectangle(problems: Problems, node: Any, pointer: str) -> None:
    rows = node.get("rows") if isinstance(node, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        return
    for at, row in enumerate(rows):
        if len(row) != len(rows[0]):
            problems.add(f"{pointer}/rows/{at}", f"must have as many cells as the header: {len(rows[0])}")
    for column, cell in enumerate(rows[0]):
        if isinstance(cell, dict) and cell.get("type") not in ("raw_text", "raw_number"):
            problems.add(f"{pointer}/rows/0/{column}/type", f"unsupported type in the header: {cell.get('type')}")
    index = node.get("row_header_column_index", 0)
    if isinstance(index, int) and index >= len(rows[0]):
        problems.add(f"{pointer}/row_header_column_index", "there is no such column")


data_table = both(
    shape(
        {
            "block_id": optional(identity),
            "caption": required(string(LONGEST_TEXT, shortest=1)),
            "rows": required(items(items(data_cell, MOST_COLUMNS), 201, least=2)),
            "page_size": optional(number(1, 100, whole=True)),
            "row_header_column_index": optional(number(0, whole=True)),
        }
    ),
    _rectangle,
)

_label = string(LONGEST_LABEL, shortest=1)
_point = shape({"label": required(_label), "value": required(number())})
_segment = shape({"label": required(_label), "value": required(number(0))})
_series = shape({"name": required(_label), "data": required(items(_point, MOST_POINTS))})
_axis = shape(
    {
        "categories": required(items(_label, MOST_POINTS)),
        "x_label": optional(string(50)),
        "y_label": optional(string(50)),
    }
)


def _points_match(problems: Problems, node: Any, pointer: str) -> None:
    try:
        categories = list(node["axis_config"]["categories"])
        labels = [[point["label"] for point in series["data"]] for series in node["series"]]
    except (TypeError, KeyError):
        return  # found by the shapes already
    for at, found in enumerate(labels):
        if sorted(map(str, found)) != sorted(map(str, categories)):
            problems.add(f"{pointer}/series/{at}/data", "labels must be those of axis_config.categories")


_curves = both(
    shape(
        {"series": required(both(items(_series, MOST_SERIES), unique("name"))), "axis_config": required(_axis)},
    ),
    _points_match,
)
data_visualization = shape(
    {
        "block_id": optional(identity),
        "title": required(string(50, shortest=1)),
        "chart": required(
            by_type(
                {
                    "line": _curves,
                    "bar": _curves,
                    "area": _curves,
                    "pie": shape({"segments": required(both(items(_segment, MOST_SERIES), unique("label")))}),
                }
            )
        ),
    }
)

STATUSES = ("pending", "in_progress", "complete", "error")
_source = by_type({"url": shape({"url": required(url), "text": required(string(LONGEST_TEXT, shortest=1))})})
_card = {
    "block_id": optional(identity),
    "task_id": required(identity),
    "title": required(string(LONGEST_TEXT, shortest=1)),
    "details": optional(rich_text_block),
    "output": optional(rich_text_block),
    "sources": optional(items(_source, 50, least=0)),
}


def _is_a_card(problems: Problems, node: Any, pointer: str) -> None:
    # Within a plan the type may be left out.
    if isinstance(node, dict) and node.get("type", "task_card") != "task_card":
        problems.add(f"{pointer}/type", f"unsupported type: {node['type']}")


task_card = shape({**_card, "status": required(choice(*STATUSES[1:]))})
plan = shape(
    {
        "block_id": optional(identity),
        "title": required(string(LONGEST_TEXT, shortest=1)),
        "status": optional(choice(*STATUSES)),
        "tasks": optional(
            both(
                items(both(_is_a_card, shape({**_card, "status": required(choice(*STATUSES))})), 50),
                unique("task_id"),
            )
        ),
    }
)
