"""SELECT and UPDATE over the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import islice
from typing import Literal

from lab.sqlserver import errors
from lab.sqlserver.locks import Holder, Locks, Transaction
from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.binding import Rows, Scope, Test, Variables, conjuncts
from lab.sqlserver.sql.columns import Aggregated, Answer, aggregated, columns_of, limit_of, ordered, sorter
from lab.sqlserver.store import Database, Instance, Login, Row, Table, checked, information_schema
from lab.sqlserver.types import SqlType, Value, convert, sortable


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement runs: in which database, for whom, within which transaction."""

    instance: Instance
    database: Database
    login: Login
    locks: Locks
    session: Holder
    transaction: Transaction
    variables: Variables
    reads_uncommitted: bool = False


def find(place: Place, name: syntax.Name, verb: str) -> Table:
    """The table of that name, if the login may do that with it. Raises SqlError 208, 229, 916."""
    shown = ".".join(name)
    database = place.database
    if len(name) > 2:  # noqa: PLR2004 - database.schema.object
        wanted = name[-3]
        if wanted.casefold() not in place.instance.databases or len(name) > 3:  # noqa: PLR2004
            raise errors.no_object(shown)
        opened = place.instance.opened(wanted, place.login)
        if opened is None:
            raise errors.no_access(place.login.name, wanted)
        database = opened
    schema = (name[-2] if len(name) > 1 else "") or "dbo"
    if schema.casefold() == "information_schema":
        view = information_schema(database, name[-1], place.login)
        if view is None or verb != "SELECT":
            raise errors.no_object(shown)
        return view
    try:
        table = database.table(name[-1], schema)
    except KeyError:
        raise errors.no_object(shown) from None
    if not place.login.may(verb, database.name):
        raise errors.denied(verb, table.name, database.name, table.schema)
    return table


async def select(statement: syntax.Select, place: Place) -> Answer:
    """Run a SELECT. Raises SqlError."""
    scope = scope_of(statement, place)
    tables = [table for _, table in scope.tables]
    where = scope.test(statement.where) if statement.where else None
    columns = columns_of(scope, statement.items)
    order = [(ordered(scope, columns, what), descending) for what, descending in statement.order]
    limit = limit_of(scope, statement.top)
    candidates = [
        await _readable(place, source, _sought(scope, number, statement.where, table))
        for number, (source, table) in enumerate(zip(statement.sources, tables, strict=True))
    ]
    found = [rows for rows in _joined(scope, statement.sources, candidates) if where is None or where(rows) is True]
    for number, source in enumerate(statement.sources):
        if source.hints & {"UPDLOCK", "XLOCK"}:
            _lock(place, (row for rows in found if (row := rows[number]) is not None), source.hints)
    if any(isinstance(column, Aggregated) for column in columns):
        return aggregated(columns, found)
    if order:
        found.sort(key=cmp_to_key(sorter(order)))
    rows = tuple(tuple(column.read(each) for column in columns) for each in islice(found, limit))
    return Answer(tuple((column.name, column.type) for column in columns), rows)


async def update(statement: syntax.Update, place: Place) -> tuple[int, Answer | None]:
    """Run an UPDATE: how many rows it changed, and what OUTPUT asked for. Raises SqlError."""
    scope = scope_of(statement, place)
    table = scope.tables[0][1]
    where = scope.test(statement.where) if statement.where else None
    sets = [_setter(scope, table, name, expression) for name, expression in statement.sets]
    outputs = columns_of(_images(scope), statement.output)
    changed: list[tuple[Row, Row]] = []
    mine: list[Row] = []
    for row in _sought(scope, 0, statement.where, table):
        await place.locks.free(row, place.session, "U")
        if where is None or where((row,)) is True:
            place.locks.take(row, place.session, place.transaction, "X")
            mine.append(row)
    for row in mine:
        before = Row(row.values)
        place.transaction.undo.append((row, row.values))
        values = list(row.values)
        for at, setter in sets:
            values[at] = setter((before,))
        row.values = values
        changed.append((before, Row(values)))
    _refuse_duplicates(table, [row for _, row in changed])
    if not outputs:
        return len(changed), None
    rows = tuple(tuple(column.read(pair) for column in outputs) for pair in changed)
    return len(changed), Answer(tuple((column.name, column.type) for column in outputs), rows)


# rows -----------------------------------------------------------------------------------------------------------------


def _sought(scope: Scope, number: int, where: syntax.Condition | None, table: Table) -> list[Row]:
    """The rows a statement has to look at: those with the key that WHERE names, else all of them."""
    for part in conjuncts(where):
        if not (table.key and isinstance(part, syntax.Compare) and part.op == "="):
            continue
        for column, other in ((part.left, part.right), (part.right, part.left)):
            if not isinstance(column, syntax.Column) or isinstance(other, syntax.Column):
                continue
            place, at = scope.table_of(column.name)
            if place == number and table.columns[at].name == table.key:
                kind, bound = table.columns[at].type, scope.bind(other)
                key = sortable(convert(bound.read(()), bound.type, kind))
                return [row for row in table.rows if sortable(row.values[at]) == key]
    return list(table.rows)


async def _readable(place: Place, source: syntax.Source, rows: list[Row]) -> list[Row]:
    """The rows, once nobody has changed any of them without committing."""
    if place.reads_uncommitted or source.hints & {"NOLOCK", "READUNCOMMITTED"}:
        return rows
    mode: Literal["S", "U"] = "U" if source.hints & {"UPDLOCK", "XLOCK"} else "S"
    for row in rows:
        await place.locks.free(row, place.session, mode)
    return rows


def _lock(place: Place, rows: Iterable[Row], hints: frozenset[str]) -> None:
    for row in rows:
        place.locks.take(row, place.session, place.transaction, "X" if "XLOCK" in hints else "U")


def _joined(scope: Scope, sources: Sequence[syntax.Source], candidates: Sequence[list[Row]]) -> Iterator[Rows]:
    """Every combination that the joins allow; one empty one where there is no table at all."""
    found: list[Rows] = [()]
    for number, (source, rows) in enumerate(zip(sources, candidates, strict=True)):
        test: Test | None = None
        inner = Scope(scope.tables[: number + 1], scope.variables)
        if source.on is not None:
            test = inner.test(source.on)
        near = _near(inner, source.on, rows)
        joined: list[Rows] = []
        for left in found:
            matches = [(*left, row) for row in near(left) if test is None or test((*left, row)) is True]
            joined += matches or ([(*left, None)] if source.join == "LEFT" else [])
        found = joined
    return iter(found)


def _near(scope: Scope, on: syntax.Condition | None, rows: list[Row]) -> Callable[[Rows], Sequence[Row]]:
    """The rows that can match at all: by their key where ON compares two columns of one type, else all of them."""
    last = len(scope.tables) - 1
    for part in conjuncts(on):
        if not (isinstance(part, syntax.Compare) and part.op == "="):
            continue
        for mine, other in ((part.left, part.right), (part.right, part.left)):
            if not (isinstance(mine, syntax.Column) and isinstance(other, syntax.Column)):
                continue
            (table, at), (elsewhere, there) = scope.table_of(mine.name), scope.table_of(other.name)
            same = scope.tables[table][1].columns[at].type == scope.tables[elsewhere][1].columns[there].type
            if table == last and elsewhere != last and same:
                return _by_key(rows, at, elsewhere, there)
    return lambda _left: rows


def _by_key(rows: list[Row], at: int, elsewhere: int, there: int) -> Callable[[Rows], Sequence[Row]]:
    keyed: dict[object, list[Row]] = {}
    for row in rows:
        keyed.setdefault(sortable(row.values[at]), []).append(row)

    def near(left: Rows) -> Sequence[Row]:
        other = left[elsewhere]
        return keyed.get(sortable(other.values[there]), ()) if other is not None else ()

    return near


# changes --------------------------------------------------------------------------------------------------------------


def _setter(
    scope: Scope, table: Table, name: str, expression: syntax.Expression
) -> tuple[int, Callable[[Rows], Value]]:
    at = table.index(name)
    if at is None:
        raise errors.no_column(name)
    bound, column = scope.bind(expression), table.columns[at]
    return at, lambda rows: checked(column, table, bound.read(rows), bound.type)


def _refuse_duplicates(table: Table, changed: Sequence[Row]) -> None:
    at = table.index(table.key) if table.key else None
    if at is None or not changed:
        return
    keys = [sortable(row.values[at]) for row in table.rows]
    if len(set(keys)) < len(keys):
        says = f"Violation of PRIMARY KEY constraint 'PK_{table.name}'. Cannot insert duplicate key in object '{table.schema}.{table.name}'."
        raise errors.SqlError(2627, says, 14)


def scope_of(statement: syntax.Statement, place: Place) -> Scope:
    """The tables that a statement is about. Raises SqlError."""
    if isinstance(statement, syntax.Select):
        tables = [find(place, source.name, "SELECT") for source in statement.sources]
        aliases = [source.alias or source.name[-1] for source in statement.sources]
        return Scope(list(zip(aliases, tables, strict=True)), place.variables)
    if isinstance(statement, syntax.Update):
        return Scope([(statement.table[-1], find(place, statement.table, "UPDATE"))], place.variables)
    return Scope([], place.variables)


def describe(statement: syntax.Statement, place: Place) -> tuple[tuple[str, SqlType], ...] | None:
    """The columns that a statement would answer; None for one that answers no rows. Raises SqlError."""
    scope = scope_of(statement, place)
    if isinstance(statement, syntax.Select):
        return tuple((column.name, column.type) for column in columns_of(scope, statement.items))
    if isinstance(statement, syntax.Update) and statement.output:
        return tuple((column.name, column.type) for column in columns_of(_images(scope), statement.output))
    return None


def _images(scope: Scope) -> Scope:
    """What OUTPUT sees: the changed table twice, as it was and as it is."""
    table = scope.tables[0][1]
    return Scope([("deleted", table), ("inserted", table)], scope.variables)
