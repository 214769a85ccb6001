"""An answer of megabytes as many short lines of JSON, so that whoever reads it on a thread lets the loop go on in between.

Python's JSON reader holds its lock for as long as one text takes: eight megabytes are half a second in which a bot acknowledges
nothing. So a long answer is one line about itself (its columns, the number of lines of each long text, what else is told),
then the pieces of its long texts, a JSON string a line, then its cells, a list a line. A long text stands in its cell as
{"text": number}, and is taken once; a nested row as {"row": {...}}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.api.rows import Cell, Row, Rows
from bot.transport.bounds import MAX_ROWS, JsonReader

MOST_LINE = 2**19  # characters of a line that is read: Python's lock is held meanwhile
_LONG = 2**15  # characters of an answer that is written as lines
_LINE = 2**15  # characters of the texts of one line: escaped, they are twelve times as many at most
_PIECE = 2**14  # the same, of a piece of a long text
_WEIGHT = 8  # of a cell that is no text
_LEAST_NUMBER, _LARGEST_NUMBER = -(2**63), 2**64 - 1


def is_long(rows: Rows, raw: str) -> bool:
    """Whether an answer is written as lines."""
    size = len(raw)
    for row in rows:
        size += sum(map(_weight, row.values()))
        if size > _LONG:
            return True
    return size > _LONG


def columns_of(rows: Rows) -> list[str]:
    """The columns that all rows have in the same order; [] where they differ."""
    columns = list(rows[0]) if rows else []
    return columns if all(list(row) == columns for row in rows) else []


def to_lines(
    told: Mapping[str, Any],
    rows: Rows,
    raw: str,
    dumps: Callable[[Any], str],
    *,
    line: int = _LINE,
    piece: int = _PIECE,
) -> str:
    """Write an answer as lines; `told` is what else is told of it."""
    texts: list[str] = []

    def put(cell: Cell) -> Any:
        if isinstance(cell, str) and len(cell) > piece:
            texts.append(cell)
            return {"text": len(texts) - 1}
        if isinstance(cell, Mapping):
            return {"row": {name: put(inner) for name, inner in cell.items()}}
        if isinstance(cell, (tuple, list)):
            return [put(inner) for inner in cell]
        return cell

    columns = columns_of(rows)
    values: Iterator[Cell] = (cell for row in rows for cell in row.values()) if columns else iter(rows)
    cells, put_raw = list(_gathered(values, put, line)), put(raw)
    pieces = [[text[at : at + piece] for at in range(0, len(text), piece)] for text in texts]
    head = {**told, "columns": columns, "raw": put_raw, "texts": [len(one) for one in pieces]}
    return "\n".join(map(dumps, (head, *(part for one in pieces for part in one), *cells)))


def from_lines(text: str) -> tuple[Mapping[str, Any], Rows, str]:
    """What is told of an answer, its rows and its raw text. Raises ValueError."""
    reader, lines = JsonReader(is_strict=True), _lines(text)
    head = reader.read(next(lines))
    if not isinstance(head, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of the text, not of our value
    columns, counts = _list(head.get("columns")), _list(head.get("texts"))
    if len(set(map(_text, columns))) < len(columns):
        raise ValueError("two of its columns have one name")
    texts = {
        number: "".join(_text(reader.read(_next(lines))) for _ in range(_count(count)))
        for number, count in enumerate(counts)
    }

    def take(cell: Any) -> Cell:
        if isinstance(cell, list):
            return tuple(map(take, cell))
        if isinstance(cell, dict):
            return _row(cell["row"], take) if cell.keys() == {"row"} else _once(texts, cell)
        return plain(cell)

    raw = _text(take(head.get("raw")))
    wide = len(columns) or 1
    cells: list[Cell] = []
    for line in lines:
        cells += map(take, _list(reader.read(line)))
        if len(cells) > MAX_ROWS * wide:
            raise ValueError("it has too many rows")
    return head, _rows(columns, cells), raw


def plain(cell: Any) -> str | int | None:
    """A cell that holds no others. Raises ValueError for a fraction, or a number that no host could have told."""
    if cell is None or isinstance(cell, str):
        return cell
    if not isinstance(cell, int):  # a boolean is an integer
        raise ValueError("a cell is neither text nor integer")  # noqa: TRY004 - of the text, not of our value
    if not _LEAST_NUMBER <= cell <= _LARGEST_NUMBER:
        raise ValueError("a number has more than 64 bits")
    return cell


def _rows(columns: Sequence[str], cells: Sequence[Cell]) -> Rows:
    """The rows of these cells; without columns each of them is one."""
    if not columns:
        return tuple(map(_mapping, cells))
    wide = len(columns)
    if len(cells) % wide:
        raise ValueError("its rows have no columns")
    return tuple(dict(zip(columns, cells[at : at + wide], strict=True)) for at in range(0, len(cells), wide))


def _gathered(values: Iterator[Cell], put: Callable[[Cell], Any], line: int) -> Iterator[list[Any]]:
    """Values, as many together as a line takes."""
    together: list[Any] = []
    size = 0
    for value in values:
        together.append(put(value))
        size += _weight(value)
        if size >= line:
            yield together
            together, size = [], 0
    if together:
        yield together


def _weight(cell: Cell) -> int:
    if isinstance(cell, str):
        return _WEIGHT + len(cell)
    if isinstance(cell, Mapping):
        return _WEIGHT + sum(len(name) + _weight(inner) for name, inner in cell.items())
    if isinstance(cell, (tuple, list)):
        return _WEIGHT + sum(map(_weight, cell))
    return _WEIGHT


def _lines(text: str) -> Iterator[str]:
    at = 0
    while at <= len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if end - at > MOST_LINE:
            raise ValueError("one of its lines is too long")
        yield text[at:end]
        at = end + 1


def _next(lines: Iterator[str]) -> str:
    line = next(lines, None)
    if line is None:
        raise ValueError("it has fewer lines than it says")
    return line


def _once(texts: dict[int, str], cell: Mapping[str, Any]) -> str:
    """A long text, once: else a few bytes could stand for megabytes a thousand times."""
    number = cell.get("text")
    if cell.keys() != {"text"} or isinstance(number, bool) or not isinstance(number, int) or number not in texts:
        raise ValueError("a cell is none")
    return texts.pop(number)


def _row(told: Any, take: Callable[[Any], Cell]) -> Row:
    if not isinstance(told, dict):
        raise ValueError("a row is none")  # noqa: TRY004
    return {name: take(cell) for name, cell in told.items()}


def _mapping(cell: Cell) -> Row:
    if not isinstance(cell, Mapping):
        raise ValueError("a row is none")  # noqa: TRY004
    return cell


def _list(told: Any) -> Sequence[Any]:
    if not isinstance(told, list):
        raise ValueError("a list is none")  # noqa: TRY004
    return told


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise ValueError("a text is none")  # noqa: TRY004
    return told


def _count(told: Any) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or told < 0:
        raise ValueError("a number is none")
    return told
