"""What a SQL Server holds: logins, databases, typed tables, rows with their locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.sqlserver import errors
from lab.sqlserver.types import INT, SMALLINT, SYSNAME, TINYINT, SqlType, Value, convert, nvarchar

READ_ONLY, READ_WRITE = frozenset({"SELECT"}), frozenset({"SELECT", "UPDATE"})
_DOUBLED = 2  # bytes of a character of nvarchar


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: SqlType
    nullable: bool = True


class Row:
    """A row: its values in the order of the columns, and who has it locked ("U": for update, "X": changed)."""

    __slots__ = ("holder", "mode", "values")

    def __init__(self, values: list[Value]) -> None:
        self.values = values
        self.holder: object | None = None
        self.mode: Literal["", "U", "X"] = ""


@dataclass(slots=True)
class Table:
    """A table. `key` is the column of its clustered primary key; "" for a heap."""

    name: str
    columns: tuple[Column, ...]
    key: str = ""
    schema: str = "dbo"
    rows: list[Row] = field(default_factory=list)

    def index(self, name: str) -> int | None:
        """Where a column is; None where there is none. Names are compared without case."""
        folded = name.casefold()
        return next((at for at, column in enumerate(self.columns) if column.name.casefold() == folded), None)

    def insert(self, **values: Value) -> Row:
        """Put a row in; columns that are not named are NULL. Raises KeyError for a column that is not there."""
        row = Row([None] * len(self.columns))
        self.rows.append(row)
        self.change(row, **values)
        return row

    def change(self, row: Row, **values: Value) -> None:
        """Change a row past all locks, as the world does."""
        for name, value in values.items():
            at = self.index(name)
            if at is None:
                raise KeyError(name)
            row.values[at] = value

    def read(self, row: Row) -> dict[str, Value]:
        """The row by column names."""
        return {column.name: value for column, value in zip(self.columns, row.values, strict=True)}

    def find(self, **values: Value) -> Iterator[Row]:
        """The rows that hold exactly these values."""
        wanted = [(self.index(name), value) for name, value in values.items()]
        return (row for row in self.rows if all(at is not None and row.values[at] == value for at, value in wanted))


@dataclass(slots=True)
class Database:
    """A database."""

    name: str
    tables: dict[str, Table] = field(default_factory=dict)

    def add(self, table: Table) -> Table:
        """Put a table in."""
        self.tables[f"{table.schema}.{table.name}".casefold()] = table
        return table

    def table(self, name: str, schema: str = "dbo") -> Table:
        """The table of that name. Raises KeyError."""
        return self.tables[f"{schema}.{name}".casefold()]


@dataclass(frozen=True, slots=True)
class Login:
    """A SQL login. `rights`: database -> what it may do with all tables there; it cannot even open the others."""

    name: str
    password: str
    rights: Mapping[str, frozenset[str]]
    default: str = "master"

    def may(self, verb: str, database: str) -> bool:
        """Whether it may do that in that database."""
        return verb in self.rights.get(database, frozenset())


@dataclass(slots=True)
class Instance:
    """A server. `version` is major, minor and build: 15.0.4322 is SQL Server 2019."""

    name: str
    databases: dict[str, Database] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    version: tuple[int, int, int] = (15, 0, 4322)

    def __post_init__(self) -> None:
        self.add(Database("master"))

    def add(self, database: Database) -> Database:
        """Put a database in."""
        self.databases[database.name.casefold()] = database
        return database

    def add_login(self, login: Login) -> None:
        """Add a login, or replace it."""
        self.logins[login.name.casefold()] = login

    def opened(self, name: str, login: Login) -> Database | None:
        """The database, if it is there and the login may open it. Everybody may open master."""
        found = self.databases.get(name.casefold())
        return found if found and (found.name in login.rights or found.name == "master") else None


# The views of the standard [doc: system-information-schema-views]. They show only what the login has a right on.

_TABLES = ("TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE")
_COLUMNS: tuple[tuple[str, SqlType], ...] = (
    ("TABLE_CATALOG", SYSNAME),
    ("TABLE_SCHEMA", SYSNAME),
    ("TABLE_NAME", SYSNAME),
    ("COLUMN_NAME", SYSNAME),
    ("ORDINAL_POSITION", INT),
    ("COLUMN_DEFAULT", nvarchar(4000)),
    ("IS_NULLABLE", nvarchar(3)),
    ("DATA_TYPE", SYSNAME),
    ("CHARACTER_MAXIMUM_LENGTH", INT),
    ("CHARACTER_OCTET_LENGTH", INT),
    ("NUMERIC_PRECISION", TINYINT),
    ("NUMERIC_PRECISION_RADIX", SMALLINT),
    ("NUMERIC_SCALE", INT),
    ("DATETIME_PRECISION", SMALLINT),
)
_DIGITS = {"bigint": 19, "int": 10, "smallint": 5, "tinyint": 3}


def information_schema(database: Database, name: str, login: Login) -> Table | None:
    """INFORMATION_SCHEMA.TABLES or .COLUMNS as a table of now; None for another view."""
    seen = list(database.tables.values()) if login.rights.get(database.name) else []
    if name.casefold() == "tables":
        view = Table("TABLES", tuple(Column(one, SYSNAME) for one in _TABLES), schema="INFORMATION_SCHEMA")
        for table in seen:
            view.rows.append(Row([database.name, table.schema, table.name, "BASE TABLE"]))
        return view
    if name.casefold() != "columns":
        return None
    view = Table("COLUMNS", tuple(Column(*one) for one in _COLUMNS), schema="INFORMATION_SCHEMA")
    for table in seen:
        for number, column in enumerate(table.columns, start=1):
            view.rows.append(Row(_described(database, table, column, number)))
    return view


def _described(database: Database, table: Table, column: Column, number: int) -> list[Any]:
    kind = column.type
    has_length = kind.name in ("nvarchar", "varbinary")
    octets = kind.length * (_DOUBLED if kind.name == "nvarchar" and kind.length > 0 else 1)
    digits = _DIGITS.get(kind.name)
    return [
        database.name,
        table.schema,
        table.name,
        column.name,
        number,
        None,
        "YES" if column.nullable else "NO",
        kind.name,
        kind.length if has_length else None,
        octets if has_length else None,
        digits,
        10 if digits else None,
        0 if digits else None,
        3 if kind.name == "datetime" else None,
    ]


def checked(column: Column, table: Table, value: Value, source: SqlType) -> Value:
    """A value as the column keeps it. Raises SqlError: NULL, another type, too long."""
    if value is None and not column.nullable:
        raise errors.not_null(column.name, f"{table.schema}.{table.name}")
    return convert(value, source, column.type)
