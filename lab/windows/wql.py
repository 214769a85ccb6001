"""The grammar of WQL data queries.

Source: "WQL (SQL for WMI)", "WHERE clause", "LIKE operator" and "Querying with WQL" of Microsoft's WMI pages [doc]: one
class, a column list or `*`, AND binds tighter than OR, a constant on either side, no comparison of two properties, no
arithmetic, no ORDER BY. What those pages leave open and is decided here [inf]: a backslash escapes only a backslash or a
quotation mark, any other use is an invalid query; the quota on AND and OR, of which the pages give no figure, is `MAX_TERMS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lab.windows.faults import WBEM_QUOTA_VIOLATION
from lab.windows.machine_protocol import WmiFailure
from lab.windows.wql_relations import Related, invalid, parse_related, unquote

MAX_TERMS = 500
_DEPTH = 100  # nested parentheses and NOTs

Constant = str | int | float | bool
Operator = Literal["=", "<>", "<", ">", "<=", ">=", "like"]


@dataclass(frozen=True, slots=True)
class Compare:
    """`Property operator constant`; the property may be a path into embedded objects."""

    path: tuple[str, ...]
    operator: Operator
    constant: Constant


@dataclass(frozen=True, slots=True)
class IsNull:
    """`Property IS NULL`, or IS NOT NULL."""

    path: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Isa:
    """`Property ISA "Class"`; the path is ("__this",) for the instance itself."""

    path: tuple[str, ...]
    cls: str


@dataclass(frozen=True, slots=True)
class Not:
    """NOT of a condition."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Conditions joined by AND."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Conditions joined by OR."""

    parts: tuple[Condition, ...]


Condition = Compare | IsNull | Isa | Not | Both | Either


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT columns FROM cls WHERE condition; `columns` is None for `*`."""

    cls: str
    columns: tuple[str, ...] | None
    where: Condition | None


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\[\\'"])*'|"(?:[^"\\]|\\[\\'"])*")
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+|\d+[eE][+-]?\d+|\d+))(?![A-Za-z_])
    | (?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<operator><>|!=|<=|>=|=|<|>)
    | (?P<mark>[(),*])
    )""",
    re.VERBOSE,
)
_MIRRORED: dict[str, Operator] = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def parse(text: str) -> Select | Related:
    """Read a query.

    Raises:
        WmiFailure: WBEM_E_INVALID_QUERY, or WBEM_E_QUOTA_VIOLATION for too many terms.
    """
    if text.lstrip()[:10].lower().startswith(("associator", "references")):
        return parse_related(text)
    return _Parser(_tokens(text)).select()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise invalid(f"cannot read {text[at : at + 20]!r}")
        assert match.lastgroup is not None
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens of one SELECT."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._terms = 0
        self._depth = 0

    def select(self) -> Select:
        self._keyword("select")
        columns = None if self._accept("*") else self._columns()
        self._keyword("from")
        cls = self._word()
        where = None
        if self._accept("where"):
            where = self._either()
        if self._at < len(self._tokens):
            raise invalid(f"nothing may follow {self._tokens[self._at]}")
        return Select(cls, columns, where)

    def _columns(self) -> tuple[str, ...]:
        columns = [self._word()]
        while self._accept(","):
            columns.append(self._word())
        return tuple(columns)

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._accept("or"):
            self._count()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._accept("and"):
            self._count()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise WmiFailure(WBEM_QUOTA_VIOLATION, "")

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _DEPTH:
            raise WmiFailure(WBEM_QUOTA_VIOLATION, "")
        try:
            if self._accept("not"):
                return Not(self._one())
            if self._accept("("):
                inner = self._either()
                self._keyword(")")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        kind, _text = self._peek()
        if kind in {"string", "number"} or self._is_boolean():
            constant = self._constant()
            operator = _MIRRORED[self._operator()]
            return Compare(self._path(), operator, constant)
        path = self._path()
        if self._accept("is"):
            negated = self._accept("not")
            self._keyword("null")
            return IsNull(path, negated)
        if self._accept("isa"):
            return Isa(path, self._class_name())
        if self._accept("like"):
            return Compare(path, "like", self._string())
        if self._accept("not"):
            self._keyword("like")
            return Not(Compare(path, "like", self._string()))
        return Compare(path, self._operator(), self._constant())

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *kinds: str) -> str:
        kind, text = self._peek()
        if kind not in kinds:
            raise invalid(f"{text!r} where {' or '.join(kinds)} belongs")
        self._at += 1
        return text

    def _accept(self, wanted: str) -> bool:
        kind, text = self._peek()
        if kind in {"word", "mark"} and text.lower() == wanted:
            self._at += 1
            return True
        return False

    def _keyword(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise invalid(f"{wanted} is missing before {self._peek()[1]!r}")

    def _word(self) -> str:
        text = self._take("word")
        if text.lower() in {"select", "from", "where", "and", "or", "not", "is", "like", "null"}:
            raise invalid(f"{text} is a keyword")
        return text

    def _path(self) -> tuple[str, ...]:
        return tuple(self._word().split("."))

    def _operator(self) -> Operator:
        text = self._take("operator")
        return "<>" if text == "!=" else text  # type: ignore[return-value]  # the token's expression allows no other

    def _is_boolean(self) -> bool:
        kind, text = self._peek()
        return kind == "word" and text.lower() in {"true", "false"}

    def _string(self) -> str:
        return unquote(self._take("string")[1:-1])

    def _class_name(self) -> str:
        return self._string() if self._peek()[0] == "string" else self._word()

    def _constant(self) -> Constant:
        if self._is_boolean():
            return self._take("word").lower() == "true"
        if self._peek()[0] == "string":
            return self._string()
        text = self._take("number")
        if "x" in text.lower():
            return int(text, 16)
        return float(text) if any(mark in text for mark in ".eE") else int(text)
