"""Expressions and conditions: the lower half of the grammar, and how the parser walks over words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast, overload

from lab.sqlserver import errors
from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.lexer import Token, tokens
from lab.sqlserver.sql.syntax import Condition, Expression, Name
from lab.sqlserver.types import BIGINT, INT, SqlType, nvarchar

T = TypeVar("T")

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_AGGREGATES = ("COUNT", "MIN", "MAX")
_FUNCTIONS = ("DB_NAME", "SUSER_SNAME", "GETDATE", "GETUTCDATE")
_MOST_PARTS = 4
_INT_END = 2**31


class Expressions:
    """A parser's place in its words, and what it can read there."""

    def __init__(self, text: str) -> None:
        self._words: list[Token] = list(tokens(text))
        self._index = 0

    @property
    def at(self) -> Token:
        """The word that comes next."""
        return self._words[self._index]

    @property
    def is_at_start(self) -> bool:
        """Whether nothing has been read yet."""
        return self._index == 0

    def next(self) -> Token:
        """Take the word that comes next; the end is never passed."""
        token = self.at
        if token.kind != "end":
            self._index += 1
        return token

    def take(self, word: str) -> bool:
        """Take this keyword or symbol if it comes next."""
        if self.at.is_(word):
            self._index += 1
            return True
        return False

    def expect(self, word: str) -> None:
        """Take this keyword or symbol. Raises SqlError where another word comes."""
        if not self.take(word):
            raise self.unexpected()

    def unexpected(self) -> errors.SqlError:
        """The error for the word that comes next; at the end the one before is named, as the server does."""
        if self.at.kind == "end":
            before = self._words[self._index - 1] if self._index else self.at
            return errors.syntax(before.text)
        return errors.keyword(self.at.text) if self.at.is_reserved else errors.syntax(self.at.text)

    def listed(self, one: Callable[[], T]) -> tuple[T, ...]:
        """One or more, with commas between."""
        found = [one()]
        while self.take(","):
            found.append(one())
        return tuple(found)

    def identifier(self) -> str:
        """One part of a name."""
        if self.at.kind == "name" or (self.at.kind == "word" and not self.at.is_reserved):
            return self.next().text
        raise self.unexpected()

    def name(self) -> Name:
        """A name of up to four parts; a part in the middle may be empty, as in msdb..backupset."""
        parts = [self.identifier()]
        while self.take("."):
            if len(parts) == _MOST_PARTS:
                raise self.unexpected()
            parts.append("" if self.at.is_(".") else self.identifier())
        return tuple(parts)

    # expressions ------------------------------------------------------------------------------------------------------

    @overload
    def expression(self) -> Expression: ...
    @overload
    def expression(self, *, star: Literal[True]) -> Expression | str: ...
    def expression(self, *, star: bool = False) -> Expression | str:
        """An expression; where a `star` may stand, the table of `t.*` comes back as text."""
        token = self.at
        if token.kind == "variable":
            return syntax.Variable(self.next().text)
        if token.kind == "string":
            return syntax.Constant(self.next().text, nvarchar(max(1, len(token.text))))
        if token.kind == "number" or token.is_("-"):
            return self._number()
        if self.take("NULL"):
            return syntax.Constant(None, INT)
        if token.kind == "word" and not token.is_reserved and self._words[self._index + 1].is_("("):
            return self._call()
        return self._column(star=star)

    def _column(self, *, star: bool) -> Expression | str:
        parts = [self.identifier()]
        while self.take("."):
            if star and self.take("*"):
                return ".".join(parts)
            parts.append(self.identifier())
        return syntax.Column(tuple(parts))

    def _number(self) -> Expression:
        sign = "-" if self.take("-") else ""
        if self.at.kind != "number":
            raise self.unexpected()
        text = sign + self.next().text
        if "." in text:
            scale = len(text.partition(".")[2])
            return syntax.Constant(Decimal(text), SqlType("decimal", precision=len(text), scale=scale))
        number = int(text)
        return syntax.Constant(number, INT if -_INT_END <= number < _INT_END else BIGINT)

    def _call(self) -> Expression:
        shown = self.next().text
        function = shown.upper()
        self.expect("(")
        if function in _AGGREGATES:
            of = None if function == "COUNT" and self.take("*") else self.expression()
            self.expect(")")
            return syntax.Aggregate(cast("Literal['COUNT', 'MIN', 'MAX']", function), of)
        if function not in _FUNCTIONS:
            raise errors.SqlError(195, f"'{shown}' is not a recognized built-in function name.", 15, 10)
        self.expect(")")
        return syntax.Function(function)

    # conditions -------------------------------------------------------------------------------------------------------

    def condition(self) -> Condition:
        """A condition: OR over AND over NOT."""
        return self._chain("OR", self._both, syntax.Or)

    def _both(self) -> Condition:
        return self._chain("AND", self._negated, syntax.And)

    def _chain(self, word: str, one: Callable[[], Condition], node: type[Any]) -> Condition:
        found = [one()]
        while self.take(word):
            found.append(one())
        return found[0] if len(found) == 1 else cast("Condition", node(tuple(found)))

    def _negated(self) -> Condition:
        if self.take("NOT"):
            return syntax.Not(self._negated())
        if self.take("("):
            inner = self.condition()
            self.expect(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Condition:
        left = self.expression()
        if self.at.kind == "symbol" and self.at.text in _COMPARISONS:
            op = _COMPARISONS[self.next().text]
            return syntax.Compare(cast("Any", op), left, self.expression())
        if self.take("IS"):
            negated = self.take("NOT")
            self.expect("NULL")
            return syntax.Not(syntax.IsNull(left)) if negated else syntax.IsNull(left)
        negated = self.take("NOT")
        found = self._in_or_like(left)
        return syntax.Not(found) if negated else found

    def _in_or_like(self, left: Expression) -> Condition:
        if self.take("IN"):
            self.expect("(")
            values = self.listed(self.expression)
            self.expect(")")
            return syntax.InList(left, values)
        if not self.take("LIKE"):
            raise self.unexpected()
        pattern = self.expression()
        if not self.take("ESCAPE"):
            return syntax.Like(left, pattern, "")
        if self.at.kind != "string":
            raise self.unexpected()
        return syntax.Like(left, pattern, self.next().text)
