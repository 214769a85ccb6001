"""The subset of XPath 1.0 with which the event log is asked.

Paths of names, `*` and attributes with predicates; = != < <= > >=, and, or, parentheses; the functions `timediff` and
`band`. No functions on strings: the event log has none ("Consuming Events") [doc]. `position` is left out.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

Value = list["Element | str"] | str | float | bool
Expression = Callable[["Element | str", datetime], Value]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^']*'|"[^"]*")|(?P<number>0[xX][0-9a-fA-F]+|\d+)|(?P<word>[\w.-]+)|(?P<sign><=|>=|!=|[=<>()\[\]/@*,]))"""
)
_COMPARISONS: dict[str, Callable[[float | str, float | str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class InvalidQueryError(ValueError):
    """The text is no query that the event log understands."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a query: kind is text, number, word or sign."""

    kind: str
    value: str


def _tokens(query: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(query.rstrip()):
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            raise InvalidQueryError(query)
        value = match[match.lastgroup]
        tokens.append(Token(match.lastgroup, value[1:-1] if match.lastgroup == "text" else value))
        at = match.end()
    return tokens


def parse(query: str) -> Callable[[Element, datetime], bool]:
    """Make a test of an event (its root above `Event`, and the time now) out of a query.

    Raises:
        InvalidQueryError: wevtutil would refuse it.
    """
    parser = _Parser(_tokens(query))
    expression = parser.either()
    if parser.at != len(parser.tokens):
        raise InvalidQueryError(query)
    return lambda root, now: bool(expression(root, now))


class _Parser:
    """Recursive descent: each method reads one rule and gives back what evaluates it."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def take(self, *values: str, kind: str = "") -> str | None:
        """The next token when it is one of these, or of this kind; else None and nothing is taken."""
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if (token.kind == kind) if kind else (token.value in values and token.kind != "text"):
                self.at += 1
                return token.value
        return None

    def expect(self, value: str) -> None:
        """Take exactly this sign."""
        if self.take(value) is None:
            raise InvalidQueryError(f"{value} is missing")

    def either(self) -> Expression:
        """A or B."""
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda node, now: any(part(node, now) for part in parts)

    def both(self) -> Expression:
        """A and B."""
        parts = [self.comparison()]
        while self.take("and"):
            parts.append(self.comparison())
        return parts[0] if len(parts) == 1 else lambda node, now: all(part(node, now) for part in parts)

    def comparison(self) -> Expression:
        """A, or A < B."""
        left = self.operand()
        sign = self.take(*_COMPARISONS)
        if sign is None:
            return left
        right = self.operand()
        return lambda node, now: _compare(sign, left(node, now), right(node, now))

    def operand(self) -> Expression:
        """A literal, a group, a function or a path."""
        if (text := self.take(kind="text")) is not None:
            return lambda _node, _now: text
        if (number := self.take(kind="number")) is not None:
            return lambda _node, _now: float(int(number, 0))
        if self.take("("):
            inner = self.either()
            self.expect(")")
            return inner
        name = self.tokens[self.at].value.casefold() if self.at < len(self.tokens) else ""
        follows = self.tokens[self.at + 1].value if self.at + 1 < len(self.tokens) else ""
        if name in {"timediff", "band"} and follows == "(":
            return self.function()
        return self.path()

    def function(self) -> Expression:
        """timediff(@SystemTime): milliseconds until now; band(a, b): bitwise and."""
        name = (self.take(kind="word") or "").casefold()
        self.expect("(")
        first = self.operand()
        second = self.operand() if self.take(",") else None
        self.expect(")")
        if name == "timediff":
            return lambda node, now: (now - _moment(_string(first(node, now)))) / timedelta(milliseconds=1)
        if second is None:
            raise InvalidQueryError("band takes two values")
        return lambda node, now: float(_integer(first(node, now)) & _integer(second(node, now)))

    def path(self) -> Expression:
        """A/B[…]/@C, from the node in hand."""
        steps = [self.step()]
        while self.take("/"):
            steps.append(self.step())

        def walk(node: Element | str, now: datetime) -> Value:
            nodes: list[Element | str] = [node]
            for step in steps:
                nodes = [found for each in nodes for found in step(each, now)]
            return nodes

        return walk

    def step(self) -> Callable[[Element | str, datetime], list[Element | str]]:
        """One name, `*` or attribute with its predicates."""
        attribute = self.take("@") is not None
        name = self.take("*") or self.take(kind="word")
        if name is None:
            raise InvalidQueryError("a name is missing")
        predicates: list[Expression] = []
        while self.take("["):
            predicates.append(self.either())
            self.expect("]")

        def follow(node: Element | str, now: datetime) -> list[Element | str]:
            if isinstance(node, str):
                return []
            found: list[Element | str] = (
                [node.attrib[name]] if attribute and name in node.attrib else
                [] if attribute else
                [child for child in node if name in {"*", child.tag}]
            )  # fmt: skip
            return [each for each in found if all(test(each, now) for test in predicates)]

        return follow


def _string(value: Value) -> str:
    if not isinstance(value, list):
        return str(value)
    first = value[0] if value else ""
    return first if isinstance(first, str) else first.text or ""


def _integer(value: Value) -> int:
    text = _string(value)
    return int(float(text)) if "." in text else int(text or "0", 0)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidQueryError(f"{text} is no time") from error


def _compare(sign: str, left: Value, right: Value) -> bool:
    """As XPath compares: true when any node of a set compares so."""
    lefts = [_string([each]) for each in left] if isinstance(left, list) else [_string(left)]
    rights = [_string([each]) for each in right] if isinstance(right, list) else [_string(right)]
    return any(_COMPARISONS[sign](*_same_type(one, other)) for one in lefts for other in rights)


def _same_type(one: str, other: str) -> tuple[float | str, float | str]:
    for convert in (float, lambda text: datetime.fromisoformat(text).timestamp()):
        try:
            return convert(one), convert(other)
        except ValueError:
            continue
    return one, other
