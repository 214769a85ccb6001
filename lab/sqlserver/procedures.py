"""The stored procedures that drivers live on: prepared statements, and what they ask about types and parameters."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from lab.sqlserver import catalog, errors
from lab.sqlserver.session import Done, Outcome, Parameters, Session
from lab.sqlserver.sql.columns import Answer
from lab.sqlserver.sql.parser import parse
from lab.sqlserver.types import INT, SqlType, convert, declared
from lab.sqlserver.wire.requests import Call, Parameter

_DECLARATION = re.compile(r"\s*(@[\w@#$]+)\s+([^,(]+(?:\([^)]*\))?)\s*(?:,|$)")
_OUTPUT = re.compile(r"\s+out(?:put)?\s*$", re.IGNORECASE)
_METADATA = 1  # @options of sp_prepare


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement. `declared`: its parameters in order."""

    text: str
    declared: tuple[tuple[str, SqlType], ...]


Returned = tuple[Parameter, ...]  # what goes back to the client, in the order of the call


class Procedures:
    """The procedures of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._prepared: dict[int, Prepared] = {}
        self._handles = count(1)
        self._known: Mapping[str, Callable[[Sequence[Parameter], list[Outcome]], Awaitable[Returned]]] = {
            "sp_executesql": self._execute_sql,
            "sp_prepare": self._prepare,
            "sp_prepexec": self._prepare_and_execute,
            "sp_execute": self._execute,
            "sp_unprepare": self._unprepare,
            "sp_describe_undeclared_parameters": self._describe,
            "sp_datatype_info_100": self._types,
            "sp_datatype_info_90": self._types,
            "sp_datatype_info": self._types,
        }

    async def call(self, call: Call, out: list[Outcome]) -> Returned:
        """Run a procedure; what came of it is appended to `out`, an error among it."""
        name = call.procedure.rpartition(".")[2].strip("[]").casefold()
        rule = self._known.get(name)
        try:
            if rule is None:
                raise errors.no_procedure(call.procedure)
            return await rule(call.parameters, out)
        except errors.SqlError as error:
            out.append(error)
            return ()

    def text_of(self, call: Call) -> str:
        """The SQL that a call runs, for those who wait for a certain statement; "" where it runs none."""
        name, given = call.procedure.casefold(), call.parameters
        if name == "sp_executesql" and given:
            return str(given[0].value)
        if name == "sp_prepexec" and len(given) > 2:  # noqa: PLR2004 - handle, parameters, statement
            return str(given[2].value)
        if name == "sp_execute" and given:
            prepared = self._prepared.get(_handle(given))
            return prepared.text if prepared else ""
        return ""

    async def _execute_sql(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        statement = _text(given, 0)
        known = _declared(_text(given, 1)) if len(given) > 1 else ()
        await self._session.run(statement, _bound(Prepared(statement, known), given[2:]), out)
        return ()

    async def _prepare(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        prepared = Prepared(_text(given, 2), _declared(_text(given, 1)))
        parse(prepared.text)
        options = given[3].value if len(given) > 3 else 0  # noqa: PLR2004 - handle, parameters, statement, options
        if options == _METADATA:
            nothing = {name.casefold(): (kind, None) for name, kind in prepared.declared}
            columns = self._session.describe(prepared.text, nothing)
            if columns:
                out.append(Answer(columns, ()))
        return self._handed_out(given[0], prepared)

    async def _prepare_and_execute(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        prepared = Prepared(_text(given, 2), _declared(_text(given, 1)))
        parse(prepared.text)
        returned = self._handed_out(given[0], prepared)
        await self._session.run(prepared.text, _bound(prepared, given[3:]), out)
        return returned

    async def _execute(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        handle = _handle(given)
        prepared = self._prepared.get(handle)
        if prepared is None:
            raise errors.no_handle(handle)
        await self._session.run(prepared.text, _bound(prepared, given[1:]), out)
        return ()

    async def _unprepare(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        handle = _handle(given)
        if self._prepared.pop(handle, None) is None:
            raise errors.no_handle(handle)
        out.append(Done("OTHER"))
        return ()

    async def _describe(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        text = _text(given, 0)
        known = {name.casefold() for name, _ in _declared(_text(given, 1))} if len(given) > 1 else set()
        wanted = self._session.undeclared(text)
        answer = catalog.parameters([one for one in wanted if one[0].casefold() not in known])
        out += [answer, Done("SELECT", len(answer.rows))]
        return ()

    async def _types(self, given: Sequence[Parameter], out: list[Outcome]) -> Returned:
        wanted = given[0].value if given else 0
        answer = catalog.types(int(wanted or 0))
        out += [answer, Done("SELECT", len(answer.rows))]
        return ()

    def _handed_out(self, wanted: Parameter, prepared: Prepared) -> Returned:
        handle = next(self._handles)
        self._prepared[handle] = prepared
        return (Parameter(wanted.name, INT, handle, output=True),)


def _handle(given: Sequence[Parameter]) -> int:
    """The handle of a prepared statement; 0, which none has, where there is none."""
    return int(given[0].value or 0) if given else 0


def _text(given: Sequence[Parameter], at: int) -> str:
    """A parameter that must be text; NULL is none at all."""
    if at >= len(given):
        raise errors.SqlError(201, "Procedure or function expects a parameter, which was not supplied.", 16, 4)
    return str(given[at].value or "")


def _declared(text: str) -> tuple[tuple[str, SqlType], ...]:
    """Names and types out of "@P1 nvarchar(10),@P2 int". Raises SqlError for what is no declaration."""
    found, at = [], 0
    while at < len(text.rstrip()):
        one = _DECLARATION.match(text, at)
        if not one:
            raise errors.syntax(text[at : at + 20].strip())
        found.append((one[1], declared(_OUTPUT.sub("", one[2]))))
        at = one.end()
    return tuple(found)


def _bound(prepared: Prepared, given: Sequence[Parameter]) -> Parameters:
    """The values by the names of the declaration: by name where they have one, else by place."""
    bound: dict[str, tuple[SqlType, object]] = {}
    by_name = {one.name.casefold(): one for one in given if one.name}
    for number, (name, kind) in enumerate(prepared.declared):
        one = by_name.get(name.casefold()) or (
            given[number] if number < len(given) and not given[number].name else None
        )
        if one is None:
            raise errors.not_supplied(prepared.text, name)
        bound[name.casefold()] = kind, convert(one.value, one.type, kind)
    return bound
