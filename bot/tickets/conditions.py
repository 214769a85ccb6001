"""Does an answer hold what a check expects? Pure: rows and before-images in, a verdict and its reason out.

A cell that cannot be read as what it is compared with is no answer: `CellError` is raised, and the caller treats the
target as silent. Texts are compared without case, as WQL does [doc] "WHERE clause"; NULL matches nothing but "is null". So
NULL never counts as one of those that have to be there, and always as one of those that must not be: it may be one. Nor is it
another value than there was before: what has to be new has to be told. What was masked is not told either: when it was recorded,
or by a site's worker, before it was sent.
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
from bot.redaction import MASKED, clip_line

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
_NOTHING = (None, "")  # of a number: NULL, and an element without text
_FEW = 5  # rows that a reason names
_NEVER = "1601-01-01T"  # as Hyper-V tells a time that never came
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
    """The rows of which nobody can say whether they fulfil all terms: one is of a cell that tells nothing, and no other fails.

    Raises CellError.
    """
    return [
        row
        for row in rows
        if not matches(row, terms)
        and all(_is_untold(row, term) or _holds(with_embedded(row, term.column), term) for term in terms)
    ]


def _is_untold(row: Row, term: Term) -> bool:
    """Whether the cell of a term tells nothing: it is NULL or masked, or empty where a number or a list is asked for.

    Raises CellError.
    """
    row = with_embedded(row, term.column)
    if isinstance(term, ListPredicate):
        return not get_ints(row, term.column)
    if isinstance(term, Predicate) and term.op in ("is null", "is not null"):
        return False
    cell = row.get(term.column)
    if _holds_mask(cell):
        return True
    return not _tells(cell) if isinstance(term, FlagPredicate) or _is_about_a_number(term) else cell is None


def _is_about_a_number(term: Predicate) -> bool:
    values = term.value if isinstance(term.value, tuple) else (term.value,)
    return any(isinstance(one, int) or (one is not None and _WHOLE.fullmatch(one)) for one in values)


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


def same_rows(now: Rows, before: Rows) -> bool | None:
    """Whether two answers say the same, in whatever order; None where a cell of either came masked: nobody knows."""
    if any(_holds_mask([*row.values()]) for row in (*now, *before)):
        return None
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
    return "" if cell is None or isinstance(cell, (tuple, list, Mapping)) else clip_line(str(cell), _SHOWN)


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
    """Rows of which nobody can say whether they are compared are none that have to be as before, and may be as one was before."""
    if why := _unrecorded(expected, images) or (
        "how it is now is told only masked" if _is_masked(rows, expected) else ""
    ):
        return why
    found, perhaps = _compared(rows, expected.where)
    known, perhaps_before = _compared(images[expected.step], expected.where)
    if expected.nothing_new:
        return _nothing_new(expected, found, known if expected.same else [*known, *perhaps_before])
    if expected.tolerance and (untimed := _untimed(expected, found, known)):
        return untimed
    if not expected.same:
        return _other_than_before(expected, found, perhaps, [*known, *perhaps_before])
    if perhaps or perhaps_before:
        return (
            f"unknown whether {_count(len(perhaps) or len(perhaps_before))} {'counts' if perhaps else 'counted before'}"
        )
    return _as_before(expected, found, known)


def _unrecorded(expected: CompareToBefore, images: Images) -> str:
    if expected.step not in images:
        return "how it was before is not recorded"
    return "how it was before is recorded only masked" if _is_masked(images[expected.step], expected) else ""


def _is_masked(rows: Rows, expected: CompareToBefore) -> bool:
    """Whether a cell that is compared is not known as it was: it is equal to a secret or a service's token, or holds one."""
    columns = (*expected.columns, *(term.column for term in expected.where)) if expected.columns else ()
    return any(
        _holds_mask([with_embedded(row, name).get(name) for name in columns] if columns else [*row.values()])
        for row in rows
    )


def _holds_mask(cell: Cell) -> bool:
    if isinstance(cell, Mapping):
        return any(map(_holds_mask, cell.values()))
    return MASKED in cell if isinstance(cell, str) else isinstance(cell, (tuple, list)) and any(map(_holds_mask, cell))


def _compared(rows: Rows, where: Terms) -> tuple[list[Row], list[Row]]:
    """The rows that are compared, and those of which nobody can say."""
    return [row for row in rows if matches(row, where)], untold(rows, where) if where else []


def _as_before(expected: CompareToBefore, found: Rows, known: Rows) -> str:
    now, before = _comparable(expected, found, known)
    if now != before:
        return f"{', '.join(expected.columns) or 'the answer'} is not as it was before"
    unknown = [one for one in expected.columns if any(with_embedded(row, one).get(one) is None for row in found)]
    return f"{' and '.join(unknown)} is unknown" if unknown else ""


def _other_than_before(expected: CompareToBefore, found: Rows, perhaps: Rows, known: Rows) -> str:
    if not found:
        return "there is no such row now to compare"
    found = [*found, *perhaps]
    now, before = _comparable(expected, found, known)
    if set(now) & set(before):
        return f"{', '.join(expected.columns) or 'the answer'} is still as it was before"
    return "" if expected.tolerance else _perhaps_as_before(expected, found, known)


def _comparable(expected: CompareToBefore, found: Rows, known: Rows) -> tuple[list[str], list[str]]:
    """Both as texts that compare, each in an order of its own. Raises CellError."""
    if expected.tolerance:
        return _rounded(expected, found, known)
    return _sorted(found, expected.columns), _sorted(known, expected.columns)


def _nothing_new(expected: CompareToBefore, found: Rows, known: Rows) -> str:
    """Why not each row was one before, as far as anybody can say, or for the opposite, why none is surely new; "" where it is so."""
    new = set(_sorted(found, expected.columns)) - set(_sorted(known, expected.columns))
    untold = _tells_not_all(found, expected.columns)
    if not expected.same:
        is_sure = not _tells_not_all(known, expected.columns) and new - set(_sorted(untold, expected.columns))
        return "" if is_sure else "nothing new since the look before it"
    if new:
        return f"{_count(len(new))} new since the look before it"
    return f"unknown whether {_count(len(untold))} is new" if untold else ""


def _tells_not_all(rows: Rows, columns: tuple[str, ...]) -> list[Row]:
    return [row for row in rows if not all(_tells(with_embedded(row, column).get(column)) for column in columns)]


def _untimed(expected: CompareToBefore, found: Rows, known: Rows) -> str:
    """That a time is not told now, or was not before; "" where each is. Raises CellError."""
    (column,) = expected.columns
    for rows, says in ((found, f"{column} is unknown"), (known, f"{column} was unknown before")):
        if any(get_datetime(with_embedded(row, column), column) is None for row in rows):
            return says
    return ""


def _perhaps_as_before(expected: CompareToBefore, found: Rows, known: Rows) -> str:
    """What nobody tells, so that a row may be as one was before; "" where each is surely another one, or whole rows are compared.

    Rows that tell the same columns are looked up together, and not one by one: a host can list tens of thousands.
    """
    if not expected.columns:
        return ""
    was = _by_told(known, expected.columns) or {expected.columns: []}
    for told, rows in _by_told(found, expected.columns, never=False).items():
        for before, others in was.items():
            both = tuple(column for column in told if column in before)
            if both and set(_sorted(rows, both)).isdisjoint(_sorted(others, both)):
                continue
            now, then = ([one for one in expected.columns if one not in some] for some in (told, before))
            return f"{' and '.join(now)} is unknown" if now else f"{' and '.join(then)} was unknown before"
    return ""


def _by_told(rows: Rows, columns: tuple[str, ...], *, never: bool = True) -> dict[tuple[str, ...], list[Row]]:
    """The rows by which of these columns they tell. `never`: whether the time of what never was tells anything."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        cells = {column: with_embedded(row, column).get(column) for column in columns}
        told = tuple(one for one, cell in cells.items() if _tells(cell) and (never or not _is_never(cell)))
        found.setdefault(told, []).append(row)
    return found


def _tells(cell: Cell) -> bool:
    """Whether a cell says anything."""
    return cell is not None and cell != ""


def _is_never(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.startswith(_NEVER)


def _rounded(expected: CompareToBefore, found: Rows, known: Rows) -> tuple[list[str], list[str]]:
    """Times as texts that compare: those that differ by no more than is tolerated read like the nearest before.

    Each is looked up, and not compared with all: a guest can tell tens of thousands. Raises CellError.
    """
    (column,) = expected.columns
    was = [get_datetime(row, column) for row in known]
    told = sorted(at for at in was if at is not None)
    near = [
        at if at is None else _nearest(at, told, expected.tolerance)
        for row in found
        for at in (get_datetime(row, column),)
    ]
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
    """Compare a cell as what the value is. NULL compares with nothing, as in WQL; nor does what came masked."""
    if value is None or row.get(column) is None or _holds_mask(row[column]):
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
    if cell is None or _holds_mask(cell):
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
    shown = ", ".join(str(one) or "(empty)" for one in term.value) if isinstance(term.value, tuple) else str(term.value)
    return f"{term.column} {term.op} {shown}"


def _count(number_of: int) -> str:
    return {0: "no row", 1: "1 row"}.get(number_of, f"{number_of} rows")
