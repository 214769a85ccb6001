"""The columns of an answer: what the items of SELECT and OUTPUT stand for, aggregates, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.sqlserver import errors
from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.binding import Bound, Rows, Scope
from lab.sqlserver.types import INT, SqlType, Value, convert, sortable


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement answers: columns with their types, and rows."""

    columns: tuple[tuple[str, SqlType], ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Aggregated(Bound):
    """A column over all rows."""

    function: Literal["COUNT", "MIN", "MAX"] = "COUNT"


def columns_of(scope: Scope, items: Iterable[syntax.Item]) -> list[Bound]:
    """The columns that items stand for. Raises SqlError."""
    found: list[Bound] = []
    for item in items:
        if item.expression is None:
            found += scope.star(item.star_of)
        elif isinstance(item.expression, syntax.Aggregate):
            inner = scope.bind(item.expression.of) if item.expression.of else Bound(INT, lambda _rows: 1)
            kind = INT if item.expression.function == "COUNT" else inner.type
            found.append(Aggregated(kind, inner.read, item.alias, function=item.expression.function))
        else:
            bound = scope.bind(item.expression)
            found.append(Bound(bound.type, bound.read, item.alias or bound.name, bound.is_constant))
    return found


def aggregated(columns: Sequence[Bound], found: Sequence[Rows]) -> Answer:
    """One row over all. Raises SqlError 8120 for a column beside it."""
    values: list[Value] = []
    for column in columns:
        if not isinstance(column, Aggregated):
            if not column.is_constant:
                says = f"Column '{column.name}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."
                raise errors.SqlError(8120, says)
            values.append(column.read(()))
            continue
        known = [value for rows in found if (value := column.read(rows)) is not None]
        if column.function == "COUNT":
            values.append(len(known))
        else:
            best: Callable[..., Any] = min if column.function == "MIN" else max
            values.append(best(known, key=sortable) if known else None)
    return Answer(tuple((column.name, column.type) for column in columns), (tuple(values),))


def ordered(scope: Scope, columns: Sequence[Bound], what: syntax.Expression) -> Bound:
    """A column of ORDER BY: by its place or its alias in the answer, or any column of the tables."""
    if isinstance(what, syntax.Constant) and isinstance(what.value, int):
        if not 1 <= what.value <= len(columns):
            says = (
                f"The ORDER BY position number {what.value} is out of range of the number of items in the select list."
            )
            raise errors.SqlError(108, says, 15)
        return columns[what.value - 1]
    if isinstance(what, syntax.Column) and len(what.name) == 1:
        for column in columns:
            if column.name.casefold() == what.name[0].casefold():
                return column
    return scope.bind(what)


def sorter(order: Sequence[tuple[Bound, bool]]) -> Callable[[Rows, Rows], int]:
    """NULL before everything, as SQL Server sorts."""

    def compare(one: Rows, other: Rows) -> int:
        for column, descending in order:
            left, right = column.read(one), column.read(other)
            if left is None or right is None:
                sign = (left is not None) - (right is not None)
            else:
                a, b = sortable(left), sortable(right)
                sign = (a > b) - (a < b)
            if sign:
                return -sign if descending else sign
        return 0

    return compare


def limit_of(scope: Scope, top: syntax.Expression | None) -> int | None:
    """How many rows TOP leaves; None for all of them."""
    if top is None:
        return None
    bound = scope.bind(top)
    value = convert(bound.read(()), bound.type, INT)
    if value is None or value < 0:
        raise errors.SqlError(
            1060, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.", 15
        )
    return int(value)
