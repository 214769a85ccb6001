"""What a client asks: a batch of text, a remote procedure call, something of the transaction manager [MS-TDS 2.2.6]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab.sqlserver import errors
from lab.sqlserver.types import SqlType, Value
from lab.sqlserver.wire.reader import Reader
from lab.sqlserver.wire.types import read_parameter

_BY_NUMBER = 0xFFFF
_PROCEDURES = {
    1: "sp_cursor",
    2: "sp_cursoropen",
    3: "sp_cursorprepare",
    4: "sp_cursorexecute",
    5: "sp_cursorprepexec",
    6: "sp_cursorunprepare",
    7: "sp_cursorfetch",
    8: "sp_cursoroption",
    9: "sp_cursorclose",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}
_SEPARATORS = (0xFF, 0xFE)  # to the next call, and the same without running it
_OUTPUT = 0x01
_REQUESTS: dict[int, Literal["begin", "commit", "rollback", "save"]] = {
    5: "begin",
    7: "commit",
    8: "rollback",
    9: "save",
}
_BEGINS_ANOTHER = 0x01


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a call; `name` with its @, or "" for one by position."""

    name: str
    type: SqlType
    value: Value
    output: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A remote procedure call."""

    procedure: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """A request to the transaction manager. `begins_another`: commit or roll back, and begin the next one."""

    what: Literal["begin", "commit", "rollback"]
    begins_another: bool = False


def read_batch(data: bytes) -> str:
    """The text of a SQL batch."""
    reader = _after_headers(data)
    return reader.data[reader.at :].decode("utf-16-le", "replace")


def read_calls(data: bytes) -> Iterator[Call]:
    """The calls of an RPC request. Raises SqlError for what cannot be read."""
    reader = _after_headers(data)
    while not reader.is_done:
        length = reader.ushort()
        name = _PROCEDURES.get(reader.ushort(), "") if length == _BY_NUMBER else reader.text(length)
        reader.ushort()  # option flags: recompile, no metadata
        parameters = []
        while not reader.is_done and reader.data[reader.at] not in _SEPARATORS:
            parameters.append(_parameter(reader))
        if not reader.is_done:
            reader.byte()
        yield Call(name, tuple(parameters))


def read_transaction(data: bytes) -> TransactionRequest:
    """A transaction manager request. Raises SqlError for one that is not played: distributed ones, savepoints."""
    reader = _after_headers(data)
    what = _REQUESTS.get(reader.ushort())
    if what is None or what == "save":
        raise errors.broken_stream("This transaction manager request is not supported here.")
    if what == "begin":
        reader.byte()  # the isolation level; READ COMMITTED is all there is
        return TransactionRequest(what)
    reader.short_text()
    return TransactionRequest(what, bool(reader.byte() & _BEGINS_ANOTHER))


def _parameter(reader: Reader) -> Parameter:
    name, flags = reader.short_text(), reader.byte()
    kind, value = read_parameter(reader)
    return Parameter(name, kind, value, bool(flags & _OUTPUT))


def _after_headers(data: bytes) -> Reader:
    """ALL_HEADERS tell the open transaction and how to trace; neither is needed: one session has one transaction."""
    reader = Reader(data)
    reader.take(reader.number(4) - 4)
    return reader
