"""How a database spells what the statements of the ledger need and standard SQL has no word for.

The statements stand once, in `store`, `filters` and `queries`; each store brings its words. All values are parameters,
marked with question marks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class Dialect(ABC):
    """The words of one database. `of` is the name of the entry in the statement, "" where it is the only one.

    Attributes:
        unindexed: behind a table: read it in the order of its key, by no index that somebody may have added.
        joined: joins the table on the left with entries, in that order where the database can be told so.
        everything: a limit that is none.
        like: matches a pattern whatever the case of its ASCII letters.
    """

    unindexed: str
    joined: str
    everything: str
    like: str

    @abstractmethod
    def body(self, of: str = "") -> str:
        """The bytes of an entry as they were hashed."""

    @abstractmethod
    def raw(self, column: str) -> str:
        """The bytes in a column; NULL where it holds something else."""

    @abstractmethod
    def field(self, name: str, of: str = "") -> str:
        """A field of the data as text, NULL where there is none; "plan.title" is a field of a field."""

    @abstractmethod
    def number(self, name: str, of: str = "") -> str:
        """A field of the data as a whole number."""

    @abstractmethod
    def is_true(self, name: str, of: str = "") -> str:
        """Whether a field of the data is true; never NULL."""

    @abstractmethod
    def fields(self, names: tuple[str, ...], of: str = "") -> str:
        """Several fields at once, as the text of a JSON list."""

    @abstractmethod
    def elements(self, name: str, of: str, called: str) -> str:
        """The elements of a list among the data as a table of that name; empty where there is no list."""

    @abstractmethod
    def element(self, called: str) -> str:
        """One of those elements as text."""

    @abstractmethod
    def member(self, called: str, name: str) -> str:
        """A field of one of those elements as text."""

    @abstractmethod
    def length(self, name: str, of: str = "") -> str:
        """How many elements a list among the data has; NULL where there is no list."""

    @abstractmethod
    def values(self, called: str = "given") -> str:
        """The elements of a parameter that is a JSON list of texts, as a table of that name with the column `value`."""

    @abstractmethod
    def same(self, one: str, other: str) -> str:
        """Whether two values are the same; two NULLs are."""

    @abstractmethod
    def differs(self, one: str, other: str) -> str:
        """Whether they are not."""

    @abstractmethod
    def place_of(self, part: str, text: str) -> str:
        """Where in a text the part begins, from 1; 0 where it does not occur."""

    @abstractmethod
    def moment(self, text: str) -> str:
        """A time that can be compared, out of one in ISO 8601."""

    @abstractmethod
    def readable(self, column: str) -> str:
        """Bytes as a text to search in, whatever they are."""

    @abstractmethod
    def by_index(self, index: str) -> str:
        """Behind a table: read it by that index, where the database has to be told."""

    @abstractmethod
    def in_order(self, order: str) -> str:
        """The order of rows whose joined table was in that order already, where the database does not keep it."""

    @abstractmethod
    def limit(self, most: int) -> int | None:
        """The value for a limit; everything where it is negative."""


class SqliteDialect(Dialect):
    """SQLite's JSON functions over the body, which indexes are made of as well."""

    unindexed = " NOT INDEXED"
    joined = "CROSS JOIN"
    everything = "LIMIT -1"
    like = "LIKE"

    def body(self, of: str = "") -> str:  # noqa: D102 - what each is, the base says
        return f"CAST({_column(of, 'body')} AS BLOB)"

    def raw(self, column: str) -> str:  # noqa: D102
        return f"CASE typeof({column}) WHEN 'blob' THEN {column} END"

    def field(self, name: str, of: str = "") -> str:  # noqa: D102
        return f"json_extract({_column(of, 'body')}, '$.data.{name}')"

    def number(self, name: str, of: str = "") -> str:  # noqa: D102
        return self.field(name, of)

    def is_true(self, name: str, of: str = "") -> str:  # noqa: D102
        return f"({self.field(name, of)} IS 1)"

    def fields(self, names: tuple[str, ...], of: str = "") -> str:  # noqa: D102
        paths = ", ".join(f"'$.data.{name}'" for name in names)
        return f"json_extract({_column(of, 'body')}, {paths})"

    def elements(self, name: str, of: str, called: str) -> str:  # noqa: D102
        return f"json_each({_column(of, 'body')}, '$.data.{name}') AS {called}"

    def element(self, called: str) -> str:  # noqa: D102
        return f"{called}.value"

    def member(self, called: str, name: str) -> str:  # noqa: D102
        return f"json_extract({called}.value, '$.{name}')"

    def length(self, name: str, of: str = "") -> str:  # noqa: D102
        return f"json_array_length({_column(of, 'body')}, '$.data.{name}')"

    def values(self, called: str = "given") -> str:  # noqa: D102
        return f"json_each(?) AS {called}"

    def same(self, one: str, other: str) -> str:  # noqa: D102
        return f"{one} IS {other}"

    def differs(self, one: str, other: str) -> str:  # noqa: D102
        return f"{one} IS NOT {other}"

    def place_of(self, part: str, text: str) -> str:  # noqa: D102
        return f"instr({text}, {part})"

    def moment(self, text: str) -> str:  # noqa: D102
        return f"julianday({text})"

    def readable(self, column: str) -> str:  # noqa: D102
        return f"CAST({column} AS TEXT)"

    def by_index(self, index: str) -> str:  # noqa: D102
        return f" INDEXED BY {index}"

    def in_order(self, order: str) -> str:  # noqa: D102
        del order
        return ""

    def limit(self, most: int) -> int | None:  # noqa: D102
        return most


class PostgresqlDialect(Dialect):
    """PostgreSQL's operators over `told`, the body as jsonb."""

    unindexed = ""
    joined = "JOIN"
    everything = "LIMIT ALL"
    like = "ILIKE"

    def body(self, of: str = "") -> str:  # noqa: D102 - what each is, the base says
        return f"convert_to({_column(of, 'body')}, 'UTF8')"

    def raw(self, column: str) -> str:  # noqa: D102
        return column

    def field(self, name: str, of: str = "") -> str:  # noqa: D102
        *outer, last = name.split(".")
        return f"({self._value('.'.join(outer), of) if outer else self._data(of)} ->> '{last}')"

    def number(self, name: str, of: str = "") -> str:  # noqa: D102
        return f"{self.field(name, of)}::bigint"

    def is_true(self, name: str, of: str = "") -> str:  # noqa: D102
        return f"({self.field(name, of)} IS NOT DISTINCT FROM 'true')"

    def fields(self, names: tuple[str, ...], of: str = "") -> str:  # noqa: D102
        return f"jsonb_build_array({', '.join(self._value(name, of) for name in names)})::text"

    def elements(self, name: str, of: str, called: str) -> str:  # noqa: D102
        value = self._value(name, of)
        found = f"CASE jsonb_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END"
        return f"jsonb_array_elements({found}) AS {called}(value)"

    def element(self, called: str) -> str:  # noqa: D102
        return f"({called}.value ->> 0)"  # a value that is no list is its own first element

    def member(self, called: str, name: str) -> str:  # noqa: D102
        return f"({called}.value ->> '{name}')"

    def length(self, name: str, of: str = "") -> str:  # noqa: D102
        value = self._value(name, of)
        return f"CASE jsonb_typeof({value}) WHEN 'array' THEN jsonb_array_length({value}) END"

    def values(self, called: str = "given") -> str:  # noqa: D102
        return f"jsonb_array_elements_text(?::jsonb) AS {called}(value)"

    def same(self, one: str, other: str) -> str:  # noqa: D102
        return f"{one} IS NOT DISTINCT FROM {other}"

    def differs(self, one: str, other: str) -> str:  # noqa: D102
        return f"{one} IS DISTINCT FROM {other}"

    def place_of(self, part: str, text: str) -> str:  # noqa: D102
        return f"strpos({text}, {part})"

    def moment(self, text: str) -> str:  # noqa: D102
        return f"{text}::timestamptz"

    def readable(self, column: str) -> str:  # noqa: D102
        return f"readable({column})"

    def by_index(self, index: str) -> str:  # noqa: D102
        del index
        return ""

    def in_order(self, order: str) -> str:  # noqa: D102
        return f" ORDER BY {order}"

    def limit(self, most: int) -> int | None:  # noqa: D102
        return None if most < 0 else most

    def _data(self, of: str) -> str:
        return f"{_column(of, 'told')} -> 'data'"

    def _value(self, name: str, of: str) -> str:
        path = " -> ".join(f"'{part}'" for part in name.split("."))
        return f"({self._data(of)} -> {path})"


def _column(of: str, name: str) -> str:
    return f"{of}.{name}" if of else name


SQLITE = SqliteDialect()
POSTGRESQL = PostgresqlDialect()
