"""Does an answer hold what a check expects? Pure: rows and before-images in, a verdict and its reason out.

A cell that cannot be read as what it is compared with is no answer: `CellError` is raised, and the caller treats the
target as silent. Texts are compared without case, as WQL does [doc] "WHERE clause"; NULL matches nothing but "is null". So
NULL never counts as one of those that have to be there, and always as one of those that must not be: it may be one.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.api.plan import Check, CompareToBefore, Expect, FlagPredicate, ListPredicate, Term, Terms
from bot.api.queries import Predicate, Value
from bot.api.rows import Cell, CellError, Row, Rows, get_bool, get_datetime, get_int, get_ints

Images = Mapping[str, Rows]  # step -> its before-image

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_FEW = 5  # rows that a reason names
_SHOWN = 80  # characters of a cell that a reason repeats


def unmet(check: Check, rows: Rows, images: Images) -> tuple[str, ...]:
    """Why an answer does not hold what is expected; () where it does. Raises CellError."""
    return tuple(why for expected in check.holds if (why := _miss(expected, rows, images)))


def progress_text(check: Check, rows: Rows, images: Images) -> str:
    """How far it is on the way there: "9 left", "5 of 11"; "" where no count tells. Raises CellError."""
    expected = check.holds[0]
    found = [row for row in rows if matches(row, expected.where)]
    if isinstance(expected, Expect):
        return f"{len(found)} left" if expected.at_most == 0 else ""
    before = [row for row in images.get(expected.step, ()) if matches(row, expected.where)]
    if not expected.same or expected.nothing_new or not before:
        return ""
    now = set(_sorted(found, expected.columns))
    return f"{sum(row in now for row in _sorted(before, expected.columns))} of {len(before)}"


def is_terminal_failure(check: Check, rows: Rows, images: Images) -> bool:
    """Whether the answer says that there is nothing to wait for any more. Raises CellError."""
    return bool(check.gives_up) and not any(_miss(one, rows, images) for one in check.gives_up)


def meaning(check: Check, rows: Rows) -> str:
    """Why there is nothing to wait for, as the numbers of an answer say; "" where none of them is known. Raises CellError."""
    for one in check.meanings:
        for row in rows:
            value = get_int(with_embedded(row, one.column), one.column)
            if value in one.values or (value and not one.values):
                return one.says if one.values else f"{one.says} ({value})"
    return ""


def matches(row: Row, terms: Terms) -> bool:
    """Whether a row fulfils all terms. Raises CellError."""
    return all(_holds(with_embedded(row, term.column), term) for term in terms)


def untold(rows: Rows, terms: Terms) -> list[Row]:
    """The rows of which nobody can say whether they fulfil all terms: a cell is NULL, and no other term fails. Raises CellError."""
    return [
        row
        for row in rows
        if not matches(row, terms)
        and all(_is_untold(row, term) or _holds(with_embedded(row, term.column), term) for term in terms)
    ]


def _is_untold(row: Row, term: Term) -> bool:
    asks_for_null = isinstance(term, Predicate) and term.op in ("is null", "is not null")
    return not asks_for_null and with_embedded(row, term.column).get(term.column) is None


def with_embedded(row: Row, column: str) -> Row:
    """The row, with a cell of its own for a column of an embedded instance; None where there is no such one."""
    outer, dot, inner = column.partition(".")
    if not dot or column in row:
        return row
    cell = row.get(outer)
    parts = {name.casefold(): part for name, part in cell.items()} if isinstance(cell, Mapping) else {}
    return {**row, column: parts.get(inner.casefold())}


def _holds(row: Row, term: Term) -> bool:
    if isinstance(term, FlagPredicate):
        return _bits(row, term)
    return _list(row, term) if isinstance(term, ListPredicate) else _term(row, term)


def same_rows(now: Rows, before: Rows) -> bool:
    """Whether two answers say the same, in whatever order."""
    return _sorted(now, ()) == _sorted(before, ())


def comparable(row: Row, columns: tuple[str, ...]) -> str:
    """A row as text that compares, on some of its columns or, for (), on all: the same from the wire and out of JSON."""
    return repr([(name, _plain(with_embedded(row, name).get(name))) for name in columns or sorted(row)])


def _miss(expected: Expect | CompareToBefore, rows: Rows, images: Images) -> str:
    return _versus(expected, rows, images) if isinstance(expected, CompareToBefore) else _expect(expected, rows)


def _expect(expected: Expect, rows: Rows) -> str:
    found = [row for row in rows if matches(row, expected.where)]
    which = f" with {describe_terms(expected.where)}" if expected.where else ""
    if len(rows) == expected.at_least == 1 and not found:
        return _instead(rows[0], expected.where)
    if len(found) < expected.at_least:
        return f"{_count(len(found))}{which}, expected at least {expected.at_least}"
    perhaps = untold(rows, expected.where)
    if expected.at_most is not None and len(found) + len(perhaps) > expected.at_most:
        return _too_many(expected, found, perhaps, which)
    wrong = [row for row in (*found, *perhaps) if not matches(row, expected.each)]
    if len(wrong) == 1:
        return _instead(wrong[0], expected.each)
    return f"{_count(len(wrong))}{which} without {describe_terms(expected.each)}" if wrong else ""


def _instead(row: Row, terms: Terms) -> str:
    """What one row says instead of what was expected: "NodeDrainStatus is 3, not 2"."""
    return ", ".join(_is_not(row, term) for term in terms if not matches(row, (term,)))


def _too_many(expected: Expect, found: Rows, perhaps: Rows, which: str) -> str:
    """Which rows are too many; or what some of them leave open: "BackupState of Volume 1 is unknown"."""
    assert expected.at_most is not None
    if len(found) > expected.at_most:
        most = f"at most {expected.at_most}" if expected.at_most else "none"
        return f"{_count(len(found))}{which}{'' if expected.at_most else _named(found)}, expected {most}"
    columns = dict.fromkeys(term.column for row in perhaps for term in expected.where if _is_untold(row, term))
    return f"{' and '.join(columns)} of {_named(perhaps).removeprefix(': ') or _count(len(perhaps))} is unknown"


def _named(rows: Rows) -> str:
    """Some of the rows by name, where they have one: ": crm-02, crm-03 and 4 more"."""
    names = [shown for row in rows if (shown := _cell(row.get("Name")))]
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f": {', '.join(names[:_FEW])}{more}" if names else ""


def _cell(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, (tuple, list, Mapping)) else " ".join(str(cell).split())[:_SHOWN]


def _is_not(row: Row, term: Term) -> str:
    cell = with_embedded(row, term.column).get(term.column)
    if isinstance(term, ListPredicate):
        return f"not met: {_term_in_words(term)}"
    if isinstance(term, FlagPredicate):
        return f"flag {term.mask} is {'not set' if term.are_set else 'set'} in {term.column}"
    if term.op not in ("=", "in") or isinstance(cell, (tuple, list, Mapping)):
        return f"not met: {_term_in_words(term)}"
    wanted = " or ".join(map(str, term.value)) if isinstance(term.value, tuple) else term.value
    return f"{term.column} is {_cell(cell) or 'empty'}, not {wanted}"


def _versus(expected: CompareToBefore, rows: Rows, images: Images) -> str:
    if expected.step not in images:
        return "how it was before is not recorded"
    now = _sorted([row for row in rows if matches(row, expected.where)], expected.columns)
    before = _sorted([row for row in images[expected.step] if matches(row, expected.where)], expected.columns)
    what = ", ".join(expected.columns) or "the answer"
    if expected.nothing_new:
        new = set(now) - set(before)
        if expected.same:
            return f"{_count(len(new))} new since the look before it" if new else ""
        return "" if new else "nothing new since the look before it"
    if expected.tolerance:
        now, before = _rounded(expected, rows, images[expected.step])
    if expected.same:
        return "" if now == before else f"{what} is not as it was before"
    if not now:
        return "there is no such row now to compare"
    return f"{what} is still as it was before" if set(now) & set(before) else ""


def _rounded(expected: CompareToBefore, rows: Rows, before: Rows) -> tuple[list[str], list[str]]:
    """Times as texts that compare: those that differ by no more than is tolerated read like the nearest before.

    Each is looked up, and not compared with all: a guest can tell tens of thousands. Raises CellError.
    """
    (column,) = expected.columns
    was = [get_datetime(row, column) for row in before if matches(row, expected.where)]
    now = [get_datetime(row, column) for row in rows if matches(row, expected.where)]
    told = sorted(at for at in was if at is not None)
    near = [at if at is None else _nearest(at, told, expected.tolerance) for at in now]
    return sorted(map(str, near)), sorted(map(str, was))


def _nearest(at: datetime, told: Sequence[datetime], tolerance: int) -> datetime:
    """The nearest of some times in their order, or the time itself where none is as near as is tolerated."""
    place = bisect_left(told, at)
    found = min(told[max(0, place - 1) : place + 1], key=lambda one: abs(one - at), default=at)
    return found if abs(found - at) <= timedelta(seconds=tolerance) else at


def _sorted(rows: Rows, columns: tuple[str, ...]) -> list[str]:
    """The rows as texts that compare, in an order of their own."""
    return sorted(comparable(row, columns) for row in rows)


def _plain(cell: Cell) -> Any:
    if isinstance(cell, Mapping):
        return {name: _plain(cell[name]) for name in sorted(cell)}
    if isinstance(cell, (tuple, list)):
        return [_plain(one) for one in cell]
    return cell if cell is None else str(cell)  # the wire carries no types: 1 and "1" are one answer


def _bits(row: Row, term: FlagPredicate) -> bool:
    value = get_int(row, term.column)
    if value is None:
        return False
    return value & term.mask == (term.mask if term.are_set else 0)


def _list(row: Row, term: ListPredicate) -> bool:
    found = get_ints(row, term.column)
    return bool(found) and not set(found) & set(term.values)


def _term(row: Row, term: Predicate) -> bool:
    if term.op in ("is null", "is not null"):
        return _is_null(row, term.column) is (term.op == "is null")
    if isinstance(term.value, tuple):
        if term.op != "in":
            raise ValueError(f"{term.column} {term.op} takes one value")
        return any(_compare(row, term.column, operator.eq, one) for one in term.value)
    if term.op == "like":
        return _like(row, term.column, str(term.value))
    return _compare(row, term.column, _COMPARE[term.op], term.value)


def _is_null(row: Row, column: str) -> bool:
    """An empty cell is neither: as a number it tells nothing, as NULL does, and nobody has said that it is NULL."""
    if row.get(column) == "":
        raise CellError(column, "")
    return row.get(column) is None


def _compare(row: Row, column: str, how: Callable[[Any, Any], bool], value: Value) -> bool:
    """Compare a cell as what the value is. NULL compares with nothing, as in WQL."""
    if value is None or row.get(column) is None:
        return False
    if isinstance(value, (bool, int)):
        told = get_bool(row, column) if isinstance(value, bool) else get_int(row, column)
        return told is not None and how(told, value)
    cell = row[column]
    if isinstance(cell, (tuple, list, Mapping)):
        raise CellError(column, cell)
    if how not in (operator.eq, operator.ne) and _WHOLE.fullmatch(value) and _WHOLE.fullmatch(str(cell)):
        return how(int(str(cell)), int(value))  # numbers beyond 2**53 are written as text
    return how(str(cell).casefold(), value.casefold())


def _like(row: Row, column: str, pattern: str) -> bool:
    cell = row.get(column)
    if cell is None:
        return False
    if not isinstance(cell, str):
        raise CellError(column, cell)
    return re.fullmatch(_regular(pattern), cell, re.IGNORECASE | re.DOTALL) is not None


def _regular(pattern: str) -> str:
    """A LIKE pattern as a regular expression: % any text, _ one character, [a-f] [^a-f] one of a set [doc]."""
    parts = re.findall(r"\[\^?[^\]]+\]|.", pattern, re.DOTALL)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if len(part) > 1:
        return part[0] + part[1:-1].replace("\\", "\\\\").replace("[", "\\[") + part[-1]
    return {"%": ".*", "_": "."}.get(part, re.escape(part))


def describe_terms(terms: Terms) -> str:
    """Terms as people read them: "State = 2, OwnerNode like hv%"."""
    return ", ".join(_term_in_words(term) for term in terms)


def _term_in_words(term: Term) -> str:
    if isinstance(term, ListPredicate):
        return f"{term.column} has none of {', '.join(map(str, term.values))}"
    if isinstance(term, FlagPredicate):
        return f"flag {term.mask} {'set' if term.are_set else 'not set'} in {term.column}"
    if term.op in ("is null", "is not null"):
        return f"{term.column} {term.op}"
    shown = ", ".join(map(str, term.value)) if isinstance(term.value, tuple) else str(term.value)
    return f"{term.column} {term.op} {shown}"


def _count(number_of: int) -> str:
    return {0: "no row", 1: "1 row"}.get(number_of, f"{number_of} rows")
