"""The subset of XPath 1.0 with which the event log is asked: elementpath's, with all else taken out of it.

Paths of names, `*` and attributes with predicates; = != < <= > >=, and, or, parentheses; the functions `timediff` and
`band`. No functions on strings: the event log has none ("Consuming Events") [doc]. `position` is left out, its short
form `[1]` is not. Times are compared as times, which XPath 1.0 cannot; a number may be hexadecimal.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

from elementpath import ElementPathError, XPath1Parser, XPathContext, XPathToken
from elementpath.xpath_nodes import XPathNode

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SYMBOLS = ("(start)", "(end)", "(invalid)", "(unknown)", "(string)", "(integer)", "(name)", "and", "or", *"()[],/@*")
_STEPS = ("(name)", "*", "@", "[", "/")
_HEXADECIMAL = re.compile(r"""('[^']*'|"[^"]*")|\b0[xX][0-9a-fA-F]+\b""")


class InvalidQueryError(ValueError):
    """The text is no query that the event log understands."""


def _texts(token: XPathToken, context: XPathContext | None) -> list[str]:
    return [each.string_value if isinstance(each, XPathNode) else str(each) for each in token.select(context)]


def _compare(self: XPathToken, context: XPathContext | None = None) -> bool:
    """As XPath compares: true when any node of a set compares so."""
    lefts, rights = _texts(self[0], context), _texts(self[1], context)
    return any(_COMPARISONS[self.symbol](*_same_type(one, other)) for one in lefts for other in rights)


def _same_type(one: str, other: str) -> tuple[float | str, float | str]:
    for convert in (float, lambda text: datetime.fromisoformat(text).timestamp()):
        try:
            return convert(one), convert(other)
        except ValueError:
            continue
    return one, other


class EventLogParser(XPath1Parser):
    """The grammar: a symbol that is not in this table is refused."""

    literals_pattern = re.compile(r"""'[^']*'|"[^"]*"|\d+""")
    symbol_table = {symbol: XPath1Parser.symbol_table[symbol] for symbol in _SYMBOLS} | {
        sign: type(f"Compare{at}", (XPath1Parser.symbol_table[sign],), {"evaluate": _compare})
        for at, sign in enumerate(_COMPARISONS)
    }


def _values(self: XPathToken, context: XPathContext | None) -> tuple[XPathContext, list[str]]:
    """The first text of each argument of a function, "" for a node that is not there."""
    if context is None:
        raise self.missing_context()
    return context, [next(iter(_texts(argument, copy(context))), "") for argument in self]


@EventLogParser.method(EventLogParser.function("timediff", nargs=(1, 2)))
def evaluate_timediff(self: XPathToken, context: XPathContext | None = None) -> float:
    """Milliseconds from the first time to the second, or until now."""
    context, values = _values(self, context)
    first, second = [*map(datetime.fromisoformat, values), context.current_dt][:2]
    return (second - first) / timedelta(milliseconds=1)


class _Bits(str):
    """A number that is true when it is not 0; XPath itself takes a number in a predicate for a position."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return self != "0"


@EventLogParser.method(EventLogParser.function("band", nargs=2))
def evaluate_band(self: XPathToken, context: XPathContext | None = None) -> str:
    """Bitwise and."""
    one, other = (int(value or "0", 0) for value in _values(self, context)[1])
    return _Bits(one & other)


def parse(query: str) -> Callable[[Element, datetime], bool]:
    """Make a test of an event (its root above `Event`, and the time now) out of a query.

    Raises:
        InvalidQueryError: wevtutil would refuse it; by the test, when an event has no such number or time.
    """
    try:
        expression = EventLogParser().parse(_HEXADECIMAL.sub(lambda found: found[1] or str(int(found[0], 0)), query))
    except (ElementPathError, ValueError) as error:
        raise InvalidQueryError(query) from error
    for token in expression.iter():  # what the library takes beyond the event log: a * b, /a, a/1, 'x'[1]
        parts = {"*": 0, "/": 2, "[": 1}.get(token.symbol, 0)
        if any(part.symbol not in _STEPS for part in token[:parts]) or (token.symbol in "*/" and len(token) != parts):
            raise InvalidQueryError(query)

    def test(root: Element, now: datetime) -> bool:
        try:
            return expression.boolean_value(expression.select(XPathContext(root, current_dt=now)))
        except (ElementPathError, ValueError) as error:
            raise InvalidQueryError(query) from error

    return test
