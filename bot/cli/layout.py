"""Lines for a terminal of any width: text is broken between words only, so a path, an id or a name can always be copied whole.

What does not fit beside something else goes below it, indented. Widths are cells of the terminal: a letter of East Asia
takes two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = 2  # cells between two columns
_ROOM = 28  # cells that the last column needs beside the others; with less it goes below them
_INDENT = "    "


def wrap(text: str, width: int, indent: str = "") -> Iterator[str]:
    """Break a text between its words. A word that is longer than a line stays whole on a line of its own.

    Args:
        text: without line ends.
        width: cells of a line.
        indent: what the lines after the first begin with, beside the text's own indent.
    """
    if cell_len(text) <= width:
        yield text
        return
    own = text[: len(text) - len(text.lstrip(" "))]
    line, is_empty = own, True
    for word in text.split():
        if not is_empty and cell_len(line) + 1 + cell_len(word) > width:
            yield line
            line, is_empty = own + indent, True
        line, is_empty = line + ("" if is_empty else " ") + word, False
    yield line


def print_text(console: Console, text: Text, indent: str = "") -> None:
    """Print one text, broken between its words. `indent` stands before the lines after the first."""
    for line in wrap(text.plain, console.width, indent):
        console.print(Text(line, style=text.style), soft_wrap=True)


def print_rows(console: Console, rows: Sequence[Sequence[Text]], head: Sequence[str] = ()) -> None:
    """Print rows whose last column is text; the others are never broken. Below the others it stands where room is short.

    A text with `no_wrap` stays on one line.

    Args:
        console: where.
        rows: cells; each row has as many as the first.
        head: names of the columns; left out where the text stands below.
    """
    if not rows:
        return
    every = [*([[Text(name, style="bold") for name in head]] if head else []), *rows]
    widths = [max(cell_len(row[column].plain) for row in every) for column in range(len(rows[0]) - 1)]
    before = sum(width + _GAP for width in widths if width)
    if console.width - before < _ROOM:
        _print_below(console, rows)
        return
    for row in every:
        lines = [row[-1].plain] if row[-1].no_wrap else [*wrap(row[-1].plain, console.width - before)]
        drawn = Text()
        for cell, width in zip(row, widths, strict=False):
            if width:
                drawn.append(cell.plain, style=cell.style)
                drawn.append(" " * (width - cell_len(cell.plain) + _GAP))
        drawn.append(lines[0], style=row[-1].style)
        drawn.rstrip()
        console.print(drawn, soft_wrap=True)
        for line in lines[1:]:
            console.print(Text(" " * before + line, style=row[-1].style), soft_wrap=True)


def print_table(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> None:
    """Print a table where each row fits on a line, else each row as "name: value" lines: no cell is ever cut.

    Args:
        console: where.
        head: names of the columns.
        rows: cells, visible text.
        right: columns of numbers, which stand at their right end.
    """
    widths = [max(map(cell_len, column)) for column in zip(head, *rows, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > console.width:
        _print_pairs(console, head, rows)
        return
    for number, row in enumerate((head, *rows)):
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - cell_len(cell))
            cells.append(blanks + cell if column in right else cell + blanks)
        line = (" " * _GAP).join(cells).rstrip()
        console.print(Text(line, style="" if number else "bold"), soft_wrap=True)


def _print_pairs(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        if number:
            console.print()
        for name, cell in zip(head, row, strict=True):
            if cell:
                print_text(console, Text(f"  {name}: {cell}"), _INDENT)


def _print_below(console: Console, rows: Sequence[Sequence[Text]]) -> None:
    for row in rows:
        first = Text((" " * _GAP).join(cell.plain for cell in row[:-1] if cell.plain))
        at = 0
        for cell in row[:-1]:
            if cell.plain:
                first.stylize(cell.style, at, at + len(cell.plain))
                at += len(cell.plain) + _GAP
        if first.plain:
            console.print(first, soft_wrap=True)
        lines = [row[-1].plain] if row[-1].no_wrap else wrap(row[-1].plain, console.width - len(_INDENT))
        for line in lines:
            console.print(Text(f"{_INDENT}{line}" if first.plain else line, style=row[-1].style), soft_wrap=True)
