"""Text -> statements. A closed grammar: what is not in it is refused with the server's own syntax errors.

parse("SELECT [HostID] FROM [VirtualManagerDB].[dbo].[tbl_ADHC_Host] WHERE ComputerName = @P1")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from lab.sqlserver import errors
from lab.sqlserver.sql import syntax
from lab.sqlserver.sql.expressions import Expressions
from lab.sqlserver.sql.syntax import Item, Select, Source, Statement, Transact, Update

# Of a session. The first group takes ON or OFF, the second a number, the third words that are kept as they are.
_SWITCHES = {
    "ANSI_DEFAULTS",
    "ANSI_NULL_DFLT_ON",
    "ANSI_NULLS",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ARITHABORT",
    "CONCAT_NULL_YIELDS_NULL",
    "CURSOR_CLOSE_ON_COMMIT",
    "IMPLICIT_TRANSACTIONS",
    "NOCOUNT",
    "NUMERIC_ROUNDABORT",
    "QUOTED_IDENTIFIER",
    "XACT_ABORT",
}
_NUMBERS = {"LOCK_TIMEOUT", "TEXTSIZE", "ROWCOUNT", "DATEFIRST"}
_WORDS = {"LANGUAGE", "DATEFORMAT"}
_ISOLATION = {"COMMITTED", "UNCOMMITTED"}  # SNAPSHOT, REPEATABLE READ and SERIALIZABLE lock otherwise: not played
_HINTS = {"NOLOCK", "READUNCOMMITTED", "ROWLOCK", "UPDLOCK", "XLOCK"}
_DELETING = ("DELETE", "INSERT", "TRUNCATE")


def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a batch. Raises SqlError: nothing of a batch runs when a part of it cannot be read."""
    return _Parser(text).batch()


class _Parser(Expressions):
    """Statements; expressions and conditions are its base."""

    def batch(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while True:
            while self.take(";"):
                pass
            if self.at.kind == "end":
                return tuple(found)
            found.append(self._statement())

    def _statement(self) -> Statement:
        rules: dict[str, Callable[[], Statement]] = {
            "SELECT": self._select,
            "UPDATE": self._update,
            "BEGIN": self._transact,
            "COMMIT": self._transact,
            "ROLLBACK": self._transact,
            "SET": self._set,
            "USE": self._use,
            "EXEC": self._execute,
            "EXECUTE": self._execute,
            "IF": self._if_open,
            **dict.fromkeys(_DELETING, self._forbidden),
        }
        rule = rules.get(self.at.text.upper()) if self.at.kind == "word" else None
        if rule is not None:
            return rule()
        if self.is_at_start and self.at.kind in ("word", "name") and not self.at.is_reserved:
            return self._execute()  # the first statement of a batch may leave EXEC out
        raise self.unexpected()

    def _select(self) -> Select:
        self.expect("SELECT")
        top = self._top()
        items = self.listed(self._item)
        sources = self._sources() if self.take("FROM") else ()
        where = self.condition() if self.take("WHERE") else None
        order: tuple[tuple[syntax.Expression, bool], ...] = ()
        if self.take("ORDER"):
            self.expect("BY")
            order = self.listed(self._ordering)
        return Select(items, sources, where, order, top)

    def _top(self) -> syntax.Expression | None:
        if not self.take("TOP"):
            return None
        bracketed = self.take("(")
        count = self.expression()
        if bracketed:
            self.expect(")")
        return count

    def _item(self) -> Item:
        if self.take("*"):
            return Item(None)
        expression = self.expression(star=True)
        if isinstance(expression, str):
            return Item(None, star_of=expression)
        has_alias = self.take("AS") or self.at.kind == "name" or (self.at.kind == "word" and not self._ends_item())
        return Item(expression, self.identifier() if has_alias else "")

    def _ends_item(self) -> bool:
        return self.at.is_reserved or self.at.is_("OUTPUT")

    def _ordering(self) -> tuple[syntax.Expression, bool]:
        expression = self.expression()
        if self.take("DESC"):
            return expression, True
        self.take("ASC")
        return expression, False

    def _sources(self) -> tuple[Source, ...]:
        found = [self._source("")]
        while True:
            if self.take(","):
                found.append(self._source("INNER"))
                continue
            kind = self._join()
            if not kind:
                return tuple(found)
            source = self._source(kind)
            self.expect("ON")
            found.append(
                Source(
                    source.name, source.alias, source.hints, cast("Literal['INNER', 'LEFT']", kind), self.condition()
                )
            )

    def _join(self) -> str:
        if self.take("LEFT"):
            self.take("OUTER")
            self.expect("JOIN")
            return "LEFT"
        if self.take("INNER"):
            self.expect("JOIN")
            return "INNER"
        return "INNER" if self.take("JOIN") else ""

    def _source(self, join: str) -> Source:
        name = self.name()
        has_alias = self.take("AS") or self.at.kind == "name" or (self.at.kind == "word" and not self.at.is_reserved)
        alias = self.identifier() if has_alias else ""
        return Source(name, alias, self._hints(), cast("Literal['', 'INNER', 'LEFT']", join))

    def _hints(self) -> frozenset[str]:
        if not self.take("WITH"):
            return frozenset()
        self.expect("(")
        hints = self.listed(self._hint)
        self.expect(")")
        return frozenset(hints)

    def _hint(self) -> str:
        hint = self.at
        if hint.kind not in ("word", "name"):
            raise self.unexpected()
        if self.next().text.upper() not in _HINTS:
            raise errors.no_hint(hint.shown)
        return hint.text.upper()

    def _update(self) -> Update:
        self.expect("UPDATE")
        table, hints = self.name(), self._hints()
        self.expect("SET")
        sets = self.listed(self._assignment)
        output = self.listed(self._item) if self.take("OUTPUT") else ()
        where = self.condition() if self.take("WHERE") else None
        return Update(table, hints, sets, output, where)

    def _assignment(self) -> tuple[str, syntax.Expression]:
        name = self.name()
        self.expect("=")
        return name[-1], self.expression()

    def _forbidden(self) -> syntax.Forbidden:
        """Read as far as the table; what follows is never looked at, since nobody may do it."""
        verb = self.next().text.upper()
        for word in ("TABLE", "INTO", "FROM"):
            self.take(word)
        table = self.name()
        while self.at.kind != "end":
            self.next()
        return syntax.Forbidden(verb, table)

    def _transact(self) -> Transact:
        verb = cast("Literal['BEGIN', 'COMMIT', 'ROLLBACK']", self.next().text.upper())
        if not (self.take("TRAN") or self.take("TRANSACTION") or verb != "BEGIN"):
            raise self.unexpected()
        if self.at.kind == "name" or (self.at.kind == "word" and not self.at.is_reserved):
            self.next()  # a transaction's name changes nothing as long as transactions are not nested
        return Transact(verb)

    def _if_open(self) -> Transact:
        """IF @@TRANCOUNT > 0 COMMIT, as drivers write it; no other condition."""
        self.expect("IF")
        if self.at.shown.upper() != "@@TRANCOUNT":
            raise self.unexpected()
        self.next()
        self.expect(">")
        if self.next().text != "0" or not self.at.is_("COMMIT", "ROLLBACK"):
            raise self.unexpected()
        return Transact(self._transact().verb, if_open=True)

    def _set(self) -> syntax.SetOption:
        self.expect("SET")
        if self.take("TRANSACTION"):
            for word in ("ISOLATION", "LEVEL", "READ"):
                self.expect(word)
            if self.at.text.upper() not in _ISOLATION:
                raise self.unexpected()
            return syntax.SetOption("ISOLATION", self.next().text.upper())
        option = self.at.text.upper()
        if self.at.kind != "word" or option not in _SWITCHES | _NUMBERS | _WORDS:
            raise self.unexpected()
        self.next()
        if option in _SWITCHES:
            if not self.at.is_("ON", "OFF"):
                raise self.unexpected()
            return syntax.SetOption(option, self.next().text.upper())
        sign = "-" if option in _NUMBERS and self.take("-") else ""
        value = self.next()
        if value.kind == "end" or (option in _NUMBERS and value.kind != "number"):
            raise errors.syntax(value.text or option)
        return syntax.SetOption(option, sign + value.text.upper())

    def _use(self) -> syntax.Use:
        self.expect("USE")
        return syntax.Use(self.identifier())

    def _execute(self) -> syntax.Execute:
        if self.at.is_reserved:
            self.next()
        procedure = self.name()
        nothing: tuple[tuple[str, syntax.Expression], ...] = ()
        return syntax.Execute(procedure, nothing if self._at_end_of_statement() else self.listed(self._argument))

    def _at_end_of_statement(self) -> bool:
        return self.at.kind == "end" or self.at.is_(";")

    def _argument(self) -> tuple[str, syntax.Expression]:
        value = self.expression()
        if isinstance(value, syntax.Variable) and self.take("="):
            return value.name, self.expression()
        return "", value
