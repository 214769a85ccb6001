"""What every bench prints: a table, the aims beside what was found, and a sentence on how to read it."""

# ruff: noqa: T201 - printing is its purpose

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 100
GAP = "  "


@dataclass(frozen=True)
class Aim:
    """What was wanted, and what was found.

    Attributes:
        met: None where it could not be measured here, or where nothing was promised.
    """

    wanted: str
    found: str
    met: bool | None

    def __str__(self) -> str:
        verdict = {True: "met", False: "NOT MET", None: "not checked"}[self.met]
        return f"{verdict}: {self.wanted}; found: {self.found}"


@dataclass(frozen=True)
class Table:
    """One measure.

    Attributes:
        columns: headings; the first column is a name and stands left, all others stand right.
        rows: a cell per column, as it is shown.
        notes: how to read it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    aims: Sequence[Aim] = ()

    def __str__(self) -> str:
        columns = list(zip(self.columns, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        lines = [_line(row, widths) for row in (self.columns, *self.rows)]
        lines.insert(1, "-" * max(map(len, lines)))
        told = [*(textwrap.fill(note, WIDTH) for note in self.notes), *map(_aim, self.aims)]
        return "\n".join([self.title, "", *lines, *([""] if told else []), *told])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *values = row
    cells = [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(values, widths[1:], strict=True))]
    return GAP.join(cells).rstrip()


def _aim(aim: Aim) -> str:
    return textwrap.fill(f"Aim {aim}.", WIDTH, subsequent_indent="    ")


def show(tables: Sequence[Table], *, as_json: bool) -> None:
    """Print: for people, or for the process that collects all benches."""
    print(json.dumps([asdict(table) for table in tables]) if as_json else "\n\n".join(map(str, tables)))


def read(text: str) -> list[Table]:
    """What `show` printed as JSON."""
    return [_table(one) for one in json.loads(text)]


def _table(told: Mapping[str, Any]) -> Table:
    return Table(**{**told, "aims": [Aim(**aim) for aim in told["aims"]]})


def times(ratio: float) -> str:
    """A ratio as it is shown: "3.4 x"."""
    return f"{ratio:.2g} x" if ratio < 10 else f"{ratio:.0f} x"
