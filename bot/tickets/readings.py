"""What the answer to a check said, in words: for a card tonight, and for an auditor next year. Pure.

The words of a check's own description stand there only where the answer held them; beside them is always what was
read. A cell that cannot be read raises `CellError`, as it does where the check is judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.api.plan import Check, CompareToBefore, Expect
from bot.api.rows import Cell, Row, Rows
from bot.formatting import cell_text, clauses, column_text
from bot.redaction import clip, clip_line
from bot.tickets.conditions import Images, comparable, describe_terms, matches, unmet, untold, with_embedded

NOT_MEASURED = "not measured"
MOST_READINGS = 12  # that an entry holds
_ROWS = 5  # that a reading repeats
_CELL = 80  # characters of a cell
_LONGEST = 400  # characters of a reading
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAMES = ("name", "job")  # columns that say which row it is


def describe_reading(check: Check, rows: Rows, images: Images) -> str:
    """What an answer said of what a check asks: "hv03 is up (Name hv03: State 0)". Raises CellError.

    Args:
        check: what was asked.
        rows: the answer.
        images: step -> its before-image.
    """
    why = unmet(check, rows, images)
    read = clauses(_read(one, rows, images, is_said=bool(check.description)) for one in check.holds)
    if not why:
        said = f"{check.description} ({read})" if check.description and read else check.description or read
        return _shortened(said, _LONGEST)
    if all(
        isinstance(one, CompareToBefore) and one.same and not (one.nothing_new or one.tolerance) and one.step in images
        for one in check.holds
    ):
        return _shortened(f"{check.question.on}: {read}", _LONGEST)  # a comparison says itself what is different
    means = f"not met: {check.description}" if check.description else "not as expected"
    return _shortened(f"{means} ({clauses(why)})", _LONGEST)


def rows_in_words(rows: Sequence[Row]) -> str:
    """Rows as people read them: "Name hv03: State 2, NodeDrainStatus 2"; of many only the first."""
    shared = _shared(rows)
    told = "; ".join(_row(row, shared) for row in rows[:_ROWS])
    more = f" and {len(rows) - _ROWS:,} more" if len(rows) > _ROWS else ""
    return f"{told}{more}" if rows else "none"


def compare_rows(now: Sequence[Row], before: Sequence[Row], columns: tuple[str, ...] = ()) -> str:
    """What is as it was before, and what is not.

    Args:
        now: the rows as they are.
        before: the rows as they were.
        columns: what is compared; () for all of them.
    """
    if len(now) == len(before) == 1:
        return _one_row(now[0], before[0], columns)
    is_now, was = [comparable(row, columns) for row in now], [comparable(row, columns) for row in before]
    found, known = set(is_now), set(was)
    gone = [row for row, key in zip(before, was, strict=True) if key not in found]
    new = [row for row, key in zip(now, is_now, strict=True) if key not in known]
    told = [f"{len(before) - len(gone):,} of {len(before):,} rows as before"]
    told += [f"missing: {rows_in_words(_only(gone, columns))}"] if gone else []
    told += [f"new: {rows_in_words(_only(new, columns))}"] if new else []
    return "; ".join(told)


def _read(expected: Expect | CompareToBefore, rows: Rows, images: Images, *, is_said: bool) -> str:
    """What was read. `is_said`: the check has words of its own, which need no terms beside them."""
    found = [row for row in rows if matches(row, expected.where)]
    if isinstance(expected, CompareToBefore):
        before = images.get(expected.step)
        if before is None or not expected.same or expected.nothing_new or expected.tolerance:
            new = [_narrow(row, expected.columns) for row in found]
            return "" if is_said and all(map(_is_named_only, map(_without_ids, new))) else rows_in_words(new)
        return compare_rows(found, [row for row in before if matches(row, expected.where)], expected.columns)
    if expected.at_most == 0 and not found:
        if unknown := untold(rows, expected.where):
            return f"unknown for {len(unknown):,} of {len(rows):,}"
        which = "" if is_said or not expected.where else f" with {describe_terms(expected.where)}"
        return f"none of {len(rows):,}{which}" if rows else "none listed"
    wanted = dict.fromkeys(term.column for term in (*expected.where, *expected.each))
    narrowed = [_narrow(row, tuple(wanted)) for row in found or rows]
    return rows_in_words([_without_ids(row) for row in narrowed] if is_said else narrowed)


def _one_row(now: Row, before: Row, columns: tuple[str, ...]) -> str:
    """One row that was one before: column by column."""
    names = columns or sorted(before, key=lambda name: name.casefold() not in _NAMES)
    same = [name for name in names if comparable(now, (name,)) == comparable(before, (name,))]
    other = [
        f"{column_text(name)} was {_cell(before.get(name))}, is {_cell(now.get(name))}"
        for name in names
        if name not in same
    ]
    told = [f"unchanged: {_pairs(before, same)}"] if same else []
    told += [f"changed: {'; '.join(other)}"] if other else []
    return "; ".join(told)


def _narrow(row: Row, wanted: tuple[str, ...]) -> Row:
    """What names a row and what the check is about; all of it where the check names no column."""
    for name in wanted:
        row = with_embedded(row, name)
    kept = [name for name in row if name in wanted or name.casefold() in _NAMES]
    return {name: row[name] for name in kept} if wanted and kept else row


def _without_ids(row: Row) -> Row:
    """Without cells that hold a GUID, which tell a person nothing where words stand beside them; all of it if nothing else is left."""
    kept = {name: cell for name, cell in row.items() if not (isinstance(cell, str) and _GUID.search(cell))}
    return kept or row


def _is_named_only(row: Row) -> bool:
    """Whether a row without its ids has nothing left but its name: the words of the check say what is new about it."""
    return all(name.casefold() in _NAMES for name in row)


def _only(rows: Sequence[Row], columns: tuple[str, ...]) -> list[Row]:
    return [{name: row.get(name) for name in columns} if columns else row for row in rows]


def _shared(rows: Sequence[Row]) -> frozenset[str]:
    """Columns that are the same in all of several rows: they need not be repeated."""
    if len(rows) < 2:  # noqa: PLR2004 - one row shares with nothing
        return frozenset()
    same = [name for name in rows[0] if all(row.get(name) == rows[0][name] for row in rows)]
    return frozenset(same) if len(same) < len(rows[0]) else frozenset()


def _row(row: Row, shared: frozenset[str]) -> str:
    own = [name for name in row if name not in shared]
    if shared and len(own) == 1:
        return _cell(row[own[0]])
    named = next((name for name in own if name.casefold() in _NAMES), None)
    rest = [name for name in own if name != named]
    if named is None or not rest:
        return _pairs(row, own)
    return f"{named} {_cell(row[named])}: {_pairs(row, rest)}"


def _pairs(row: Row, names: Sequence[str]) -> str:
    return ", ".join(f"{_cell(column_text(name))} {_cell(row.get(name))}" for name in names)


def _cell(cell: Cell) -> str:
    if isinstance(cell, Mapping):
        return _shortened(", ".join(f"{name} {_cell(part)}" for name, part in cell.items()), _CELL) or "empty"
    if isinstance(cell, (tuple, list)):
        return _shortened(", ".join(map(_cell, cell)), _CELL) or "none"
    return clip_line(cell_text(cell), _CELL, "…")


def short_reading(text: str) -> str:
    """A reading on one line and no longer than people read: hosts decide how long it was, and the ledger keeps it."""
    return clip_line(text, _LONGEST, "…")


def _shortened(text: str, most: int) -> str:
    return clip(text, most, "…")
