"""What comes back from a question, and how to read a cell.

The wire carries no types (a column list answers an XmlFragment), so a cell is text, a tuple where the element
was repeated, None for nil, or a nested row. An array of one cannot be told from a scalar, and a NULL array is
absent: the readers below accept all of it. They raise `CellError` instead of guessing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.api.texts import clip
from bot.redaction import MASKED

Cell = Any  # str | None | tuple[Cell, ...] | Row: recursive, and read only through the functions below
Row = Mapping[str, Cell]
Rows = Sequence[Row]

T = TypeVar("T")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")  # int() would also take "1_0" and the digits of other scripts
_LARGEST_BUILD = 2**31 - 1
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


class CellError(ValueError):
    """A cell holds something else than its column promises."""

    def __init__(self, column: str, cell: object) -> None:
        super().__init__(f"{column} holds {clip(repr(cell), 80)}, which cannot be read")
        self.column = column


def get_str(row: Row, column: str) -> str:
    """The cell as text; "" for NULL or an absent column. Raises CellError also for what came masked: it is not told.

    A site's worker masks whatever a service there calls its token: a host's name, or the id of a package on another host.
    """
    cell = row.get(column)
    if cell is None:
        return ""
    if isinstance(cell, str) and MASKED not in cell:
        return cell
    raise CellError(column, cell)


def get_int(row: Row, column: str) -> int | None:
    """The cell as an integer; None for NULL or an absent column. CIM has none of more than 64 bits [doc] DSP0004."""
    cell = row.get(column)
    if cell is None or cell == "":
        return None
    try:
        found = cell if isinstance(cell, int) else _integer(get_str(row, column))
    except ValueError:
        raise CellError(column, cell) from None
    if not _SMALLEST <= found <= _LARGEST:  # sums and ratios of larger ones would not fit into any figure
        raise CellError(column, cell)
    return int(found)


def _integer(word: str) -> int:
    """Raises ValueError."""
    if not _INTEGER.fullmatch(word):
        raise ValueError(f"{clip(repr(word), 80)} is no integer")
    return int(word)


def get_build(row: Row, column: str = "BuildNumber") -> int | None:
    """The cell as a build of Windows; None for NULL or an absent column. Less than one is none, and holds no rule's range."""
    found = get_int(row, column)
    if found is not None and not 0 < found <= _LARGEST_BUILD:
        raise CellError(column, row.get(column))
    return found


def get_bool(row: Row, column: str) -> bool | None:
    """The cell as a boolean; None for NULL or an absent column."""
    cell = row.get(column)
    if cell is None or isinstance(cell, bool):
        return cell
    word = get_str(row, column).casefold()
    if word in ("true", "false"):
        return word == "true"
    raise CellError(column, cell)


def get_strs(row: Row, column: str) -> tuple[str, ...]:
    """The cell as an array of text; () for NULL or an absent column."""
    cell = row.get(column)
    if cell is None:
        return ()
    if isinstance(cell, str):
        return (get_str(row, column),)
    if isinstance(cell, (tuple, list)) and all(isinstance(one, str) and MASKED not in one for one in cell):
        return tuple(cell)
    raise CellError(column, cell)


def get_ints(row: Row, column: str) -> tuple[int, ...]:
    """The cell as an array of integers; () for NULL or an absent column."""
    try:
        found = tuple(map(_integer, get_strs(row, column)))
    except ValueError:
        raise CellError(column, row.get(column)) from None
    if not all(_SMALLEST <= one <= _LARGEST for one in found):
        raise CellError(column, row.get(column))
    return found


def get_datetime(row: Row, column: str) -> datetime | None:
    """The cell as an aware datetime in UTC; None for NULL, absent, or Hyper-V's "never" (year 1601).

    Reads ISO 8601 with any number of fraction digits. `vocabulary` knows no other format: a catalogue parser
    or the transport has made ISO 8601 of it already.
    """
    word = get_str(row, column)
    if not word:
        return None
    try:
        at = datetime.fromisoformat(_six_digits(word))
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):  # the last hours of the year 9999 in some zones have no name in UTC
        raise CellError(column, word) from None
    return None if at.year <= 1601 else at  # noqa: PLR2004 - FILETIME's zero


def readable(read: Callable[[Row, str], T | None], row: Row, column: str) -> T | None:
    """What one of the readers above makes of a cell; None where it cannot be read, so that it spoils no other cell."""
    try:
        return read(row, column)
    except CellError:
        return None


def get_reference_name(row: Row, column: str) -> str:
    """The key `Name` of the instance that a REF names: an end of an association.

    Where the keys are references themselves, it is that of the one among them that has any: an association's end may be
    an association. Raises CellError where there is none, or more than one.
    """
    return get_reference_key(row, column, "Name")


def get_reference_key(row: Row, column: str, key: str) -> str:
    """A key of the instance that a REF names: "DeviceID" of a volume.

    Where the keys are references themselves, it is that of the one among them that has any. Raises CellError where there
    is none, or more than one.
    """
    found = _keys(row.get(column), key.casefold())
    if len(found) == 1 and MASKED not in found[0]:
        return found[0]
    raise CellError(column, row.get(column))


def _keys(reference: Cell, key: str) -> list[str]:
    if not isinstance(reference, Mapping):
        return []
    own = [value for part, value in reference.items() if part.casefold() == key and isinstance(value, str) and value]
    return own or [name for part in reference.values() for name in _keys(part, key)]


def format_rows(rows: Rows) -> str:
    """The rows as people read them: one a line, `column: cell` in the order of the answer; "(no rows)" for none."""
    return "\n".join("  ".join(f"{name}: {_shown(cell)}" for name, cell in row.items()) for row in rows) or "(no rows)"


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Mapping):
        return "{" + ", ".join(f"{name}: {_shown(inner)}" for name, inner in cell.items()) + "}"
    if isinstance(cell, (tuple, list)):
        return "[" + ", ".join(_shown(inner) for inner in cell) + "]"
    return str(cell)


def _six_digits(word: str) -> str:
    """Cut the fraction to what datetime can hold: Windows writes up to nine digits."""
    head, dot, tail = word.partition(".")
    if not dot:
        return word
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"
