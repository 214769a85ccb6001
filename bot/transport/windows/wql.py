"""Terms -> WQL text. The one place where a value becomes part of a query.

Source: [doc] "WQL (SQL for WMI)", "WHERE clause", "LIKE operator" of the WMI SDK: strings in single quotes with
backslash escapes; LIKE knows % _ [a-f] [^a-f]; booleans only with = and !=; NULL only with IS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.queries import Predicate, Value
from bot.redaction import clip

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_NAMESPACE = re.compile(r"[A-Za-z0-9_]+([/\\][A-Za-z0-9_]+)*")
_CONTROL = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "like"})


def select(cls: str, columns: Sequence[str] = (), where: Sequence[Predicate] = ()) -> str:
    """The query: "SELECT Name, State FROM MSCluster_Node WHERE State = 0".

    Raises:
        ValueError: a name that is none, or a value that no query can hold.
    """
    wanted = ", ".join(name(column) for column in columns) or "*"
    query = f"SELECT {wanted} FROM {name(cls)}"  # noqa: S608 - every part has just been checked to be a name
    return f"{query} WHERE {' AND '.join(_term(term) for term in where)}" if where else query


def quote(value: Value) -> str:
    """A value as a WQL literal. Backslash and quote are escaped; control characters are refused, not dropped.

    Raises:
        ValueError: a control character, half a surrogate pair, or NULL, which only IS can compare.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if value is None:
        raise ValueError("NULL is compared with IS NULL")
    if found := _CONTROL.search(value):
        raise ValueError(f"the character U+{ord(found[0]):04X} cannot stand in a query")
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(word: str) -> str:
    """A class or property name, unchanged. Raises ValueError for anything that is none."""
    if not _NAME.fullmatch(word):
        raise ValueError(f"{clip(repr(word), 60)} is no name of a class or property")
    return word


def namespace(path: str) -> str:
    """A WMI namespace with forward slashes. Raises ValueError for anything that is none."""
    if not _NAMESPACE.fullmatch(path):
        raise ValueError(f"{clip(repr(path), 60)} is no WMI namespace")
    return path.replace("\\", "/")


def like(text: str) -> str:
    """The text as a LIKE pattern that means only itself: %, _ and [ lose their meaning inside of brackets."""
    return re.sub(r"[%_\[]", lambda found: f"[{found[0]}]", text)


def _term(term: Predicate) -> str:
    column = name(term.column)
    if term.op in ("is null", "is not null"):
        return f"{column} {term.op.upper()}"
    if term.op == "in":
        return _any_of(column, term.value)
    if term.op not in _COMPARISONS:
        raise ValueError(f"{term.op!r} is no comparison")
    if isinstance(term.value, tuple):
        raise ValueError(f"{column} {term.op} takes one value")  # noqa: TRY004 - one error for callers to know
    return f"{column} {term.op.upper()} {quote(term.value)}"


def _any_of(column: str, values: Value | tuple[Value, ...]) -> str:
    """WQL has no IN: a chain of OR, in brackets because AND binds tighter."""
    if not isinstance(values, tuple) or not values:
        raise ValueError(f"{column} in () would match nothing")
    return "(" + " OR ".join(f"{column} = {quote(value)}" for value in values) + ")"
