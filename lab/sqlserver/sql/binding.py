"""Names -> columns, expressions -> functions over rows. Everything is bound before the first row is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.sqlserver import errors
from lab.sqlserver.sql import syntax
from lab.sqlserver.store import Row, Table
from lab.sqlserver.types import DATETIME, SYSNAME, TEXT, SqlType, Value, common, convert, sortable

Rows = Sequence[Row | None]  # one per table of the statement; None where an outer join found nothing
Test = Callable[[Rows], bool | None]
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


@dataclass(frozen=True, slots=True)
class Variables:
    """What a statement can see beside tables: parameters, and what the session says of itself."""

    parameters: Mapping[str, tuple[SqlType, Value]]
    server: Mapping[str, tuple[SqlType, Value]]  # "@@TRANCOUNT" -> …
    database: str
    login: str


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression, ready to be read. `is_constant`: it looks at no row."""

    type: SqlType
    read: Callable[[Rows], Value]
    name: str = ""
    is_constant: bool = False


class Scope:
    """The tables of a statement, by alias."""

    def __init__(self, tables: Sequence[tuple[str, Table]], variables: Variables) -> None:
        self.tables = tables
        self.variables = variables

    def bind(self, expression: syntax.Expression) -> Bound:
        """Bind an expression. Raises SqlError for names that are not there."""
        if isinstance(expression, syntax.Column):
            return self._column(expression.name)
        if isinstance(expression, syntax.Constant):
            return _constant(expression.type, expression.value)
        if isinstance(expression, syntax.Variable):
            return self._variable(expression.name)
        if isinstance(expression, syntax.Function):
            return self._function(expression.name)
        raise errors.SqlError(147, "An aggregate may not appear here.", 15)

    def star(self, of: str = "") -> list[Bound]:
        """The columns that `*` stands for."""
        chosen = [alias for alias, _ in self.tables if not of or alias.casefold() == of.casefold()]
        if not chosen:
            raise errors.unbound(f"{of}.*") if of else errors.SqlError(263, "Must specify table to select from.", 16)
        return [
            self._column((alias, column.name))
            for alias, table in self.tables
            if alias in chosen
            for column in table.columns
        ]

    def table_of(self, name: syntax.Name) -> tuple[int, int]:
        """Which table and which of its columns a name means."""
        places = [
            (number, at)
            for number, (alias, table) in enumerate(self.tables)
            if _means(name[:-1], alias, table) and (at := table.index(name[-1])) is not None
        ]
        if len(places) == 1:
            return places[0]
        if places:
            raise errors.ambiguous(name[-1])
        known = any(_means(name[:-1], alias, table) for alias, table in self.tables)
        raise errors.no_column(name[-1]) if known or len(name) == 1 else errors.unbound(".".join(name))

    def test(self, condition: syntax.Condition) -> Test:
        """Bind a condition: True, False, or None for unknown."""
        if isinstance(condition, (syntax.And, syntax.Or)):
            parts, rule = [self.test(part) for part in condition.of], _any if isinstance(condition, syntax.Or) else _all
            return lambda rows: rule([part(rows) for part in parts])
        if isinstance(condition, syntax.InList):
            return self.test(syntax.Or(tuple(syntax.Compare("=", condition.left, one) for one in condition.values)))
        if isinstance(condition, syntax.IsNull):
            left = self.bind(condition.left)
            return lambda rows: left.read(rows) is None
        if isinstance(condition, syntax.Like):
            return self._like(condition)
        if isinstance(condition, syntax.Not):
            inner = self.test(condition.of)
            return lambda rows: None if (found := inner(rows)) is None else not found
        return self._compare(condition)

    def _column(self, name: syntax.Name) -> Bound:
        number, at = self.table_of(name)
        column = self.tables[number][1].columns[at]

        def read(rows: Rows) -> Value:
            row = rows[number]
            return None if row is None else row.values[at]

        return Bound(column.type, read, column.name)

    def _variable(self, name: str) -> Bound:
        if name.startswith("@@"):
            known = self.variables.server.get(name.upper())
        else:
            known = self.variables.parameters.get(name.casefold())
        if known is None:
            raise errors.undeclared(name)
        return _constant(*known)

    def _function(self, name: str) -> Bound:
        now = datetime.now(UTC).replace(tzinfo=None)
        known: dict[str, tuple[SqlType, Value]] = {
            "DB_NAME": (SYSNAME, self.variables.database),
            "SUSER_SNAME": (SYSNAME, self.variables.login),
            "GETDATE": (DATETIME, now),  # the practice server's clock runs in UTC
            "GETUTCDATE": (DATETIME, now),
        }
        return _constant(*known[name])

    def _compare(self, condition: syntax.Compare) -> Test:
        left, right = self.bind(condition.left), self.bind(condition.right)
        kind, compare = common(left.type, right.type), _COMPARE[condition.op]

        def test(rows: Rows) -> bool | None:
            one = convert(left.read(rows), left.type, kind)
            other = convert(right.read(rows), right.type, kind)
            return None if one is None or other is None else compare(sortable(one), sortable(other))

        return test

    def _like(self, condition: syntax.Like) -> Test:
        left, pattern = self.bind(condition.left), self.bind(condition.pattern)

        def test(rows: Rows) -> bool | None:
            text = convert(left.read(rows), left.type, TEXT)
            like = convert(pattern.read(rows), pattern.type, TEXT)
            if text is None or like is None:
                return None
            return re.fullmatch(_as_regex(like, condition.escape), text, re.IGNORECASE | re.DOTALL) is not None

        return test


def conjuncts(condition: syntax.Condition | None) -> tuple[syntax.Condition, ...]:
    """What must all be true."""
    if condition is None:
        return ()
    if isinstance(condition, syntax.And):
        return tuple(inner for part in condition.of for inner in conjuncts(part))
    return (condition,)


def _constant(kind: SqlType, value: Value) -> Bound:
    return Bound(kind, lambda _rows: value, is_constant=True)


def _means(qualifier: syntax.Name, alias: str, table: Table) -> bool:
    """Whether a column's qualifier names this table: by its alias, or by its own name with its schema."""
    if not qualifier:
        return True
    if len(qualifier) == 1:
        return qualifier[0].casefold() == alias.casefold()
    return (qualifier[-2] or "dbo", qualifier[-1].casefold()) == (table.schema, alias.casefold())


def _any(found: Sequence[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False


def _all(found: Sequence[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def _as_regex(pattern: str, escape: str) -> str:
    """A LIKE pattern: % and _, sets in brackets, and an escape character [doc: like-transact-sql]."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        end = pattern.find("]", at + 2) if char == "[" else -1
        if escape and char == escape and at + 1 < len(pattern):
            out, at = out + re.escape(pattern[at + 1]), at + 2
        elif end > 0:
            inner = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, at = f"{out}[{inner}]", end + 1
        else:
            out, at = out + {"%": ".*", "_": "."}.get(char, re.escape(char)), at + 1
    return out
