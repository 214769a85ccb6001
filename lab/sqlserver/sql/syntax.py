"""The statements that this server knows, as data. Nothing else is executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.sqlserver.types import SqlType, Value

Name = tuple[str, ...]  # one to four parts, the last one the object's own name

# expressions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column, perhaps with its table or the table's alias before it."""

    name: Name


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant."""

    value: Value
    type: SqlType


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter (@P1), or a variable of the server (@@TRANCOUNT)."""

    name: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """COUNT(*), where `of` is None, or COUNT, MIN or MAX of an expression."""

    function: Literal["COUNT", "MIN", "MAX"]
    of: Expression | None


@dataclass(frozen=True, slots=True)
class Function:
    """DB_NAME(), SUSER_SNAME(), GETDATE(): no arguments."""

    name: str


Expression = Column | Constant | Variable | Aggregate | Function

# conditions -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """Two expressions compared."""

    op: Literal["=", "<>", "<", "<=", ">", ">="]
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class InList:
    """IN (…)."""

    left: Expression
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """IS NULL."""

    left: Expression


@dataclass(frozen=True, slots=True)
class Like:
    """LIKE, with its escape character or ""."""

    left: Expression
    pattern: Expression
    escape: str


@dataclass(frozen=True, slots=True)
class Not:
    """NOT."""

    of: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them."""

    of: tuple[Condition, ...]


Condition = Compare | InList | IsNull | Like | Not | And | Or

# statements -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """A table in FROM; `on` is None for the first one."""

    name: Name
    alias: str
    hints: frozenset[str]
    join: Literal["", "INNER", "LEFT"] = ""
    on: Condition | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A column of the answer; `expression` None for `*`, perhaps of one table."""

    expression: Expression | None
    alias: str = ""
    star_of: str = ""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT."""

    items: tuple[Item, ...]
    sources: tuple[Source, ...] = ()
    where: Condition | None = None
    order: tuple[tuple[Expression, bool], ...] = ()  # (what, whether descending)
    top: Expression | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE. `output` are items over `deleted` and `inserted`."""

    table: Name
    hints: frozenset[str]
    sets: tuple[tuple[str, Expression], ...]
    output: tuple[Item, ...] = ()
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class Forbidden:
    """INSERT, DELETE or TRUNCATE of a table: nobody may, here."""

    verb: str
    table: Name


@dataclass(frozen=True, slots=True)
class Transact:
    """BEGIN, COMMIT or ROLLBACK TRANSACTION; `if_open` for `IF @@TRANCOUNT > 0`, as drivers write it."""

    verb: Literal["BEGIN", "COMMIT", "ROLLBACK"]
    if_open: bool = False


@dataclass(frozen=True, slots=True)
class SetOption:
    """SET of one option of the session; the value as it was written, in capitals."""

    option: str
    value: str


@dataclass(frozen=True, slots=True)
class Use:
    """USE."""

    database: str


@dataclass(frozen=True, slots=True)
class Execute:
    """EXEC of a stored procedure with its arguments by position or by name."""

    procedure: Name
    arguments: tuple[tuple[str, Expression], ...]


Statement = Select | Update | Forbidden | Transact | SetOption | Use | Execute
