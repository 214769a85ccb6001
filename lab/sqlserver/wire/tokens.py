"""The tokens of a reply [MS-TDS 2.2.7]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntFlag

from lab.sqlserver.errors import SqlError
from lab.sqlserver.types import SqlType, Value
from lab.sqlserver.wire.reader import long_text, number, short_text
from lab.sqlserver.wire.types import COLLATION, type_info, value

DONE, DONE_PROCEDURE, DONE_IN_PROCEDURE = 0xFD, 0xFE, 0xFF
COMMANDS = {"SELECT": 0xC1, "UPDATE": 0xC5}
_NULLABLE = 0x01
_OUTPUT = 0x01


class Status(IntFlag):
    """The state of a DONE token."""

    FINAL = 0
    MORE = 0x01
    ERROR = 0x02
    IN_TRANSACTION = 0x04
    COUNT = 0x10
    ATTENTION = 0x20


def done(token: int, status: Status, command: str = "", count: int = 0) -> bytes:
    """DONE, DONEPROC or DONEINPROC."""
    return bytes([token]) + number(status, 2) + number(COMMANDS.get(command, 0), 2) + number(count, 8)


def error(what: SqlError, server: str, line: int = 1) -> bytes:
    """ERROR."""
    body = number(what.number, 4) + bytes([what.state, what.severity]) + long_text(what.text)
    return _framed(0xAA, body + short_text(server) + short_text("") + number(line, 4))


def info(message: int, text: str, server: str) -> bytes:
    """INFO: a message that is no error."""
    body = number(message, 4) + bytes([1, 10]) + long_text(text)
    return _framed(0xAB, body + short_text(server) + short_text("") + number(1, 4))


def login_acknowledged(version: tuple[int, int, int], tds: int) -> bytes:
    """LOGINACK."""
    major, minor, build = version
    program = short_text("Microsoft SQL Server") + bytes([major, minor]) + build.to_bytes(2, "big")
    return _framed(0xAD, b"\x01" + tds.to_bytes(4, "big") + program)


def environment(kind: int, new: str, old: str) -> bytes:
    """ENVCHANGE of a text: 1 database, 2 language, 4 packet size."""
    return _framed(0xE3, bytes([kind]) + short_text(new) + short_text(old))


def collation() -> bytes:
    """ENVCHANGE of the collation."""
    return _framed(0xE3, bytes([7, len(COLLATION)]) + COLLATION + bytes(1))


def transaction(kind: int, descriptor: int) -> bytes:
    """ENVCHANGE of the transaction: 8 begun (its descriptor is new), 9 committed and 10 rolled back (it is old)."""
    known = bytes([8]) + number(descriptor, 8)
    return _framed(0xE3, bytes([kind]) + (known + bytes(1) if kind == 8 else bytes(1) + known))  # noqa: PLR2004


def columns(what: Sequence[tuple[str, SqlType]]) -> bytes:
    """COLMETADATA."""
    described = (number(0, 4) + number(_NULLABLE, 2) + type_info(kind) + short_text(name) for name, kind in what)
    return b"\x81" + number(len(what), 2) + b"".join(described)


def row(what: Iterable[tuple[SqlType, Value]]) -> bytes:
    """ROW."""
    return b"\xd1" + b"".join(value(kind, cell) for kind, cell in what)


def return_status(code: int) -> bytes:
    """RETURNSTATUS of a procedure."""
    return b"\x79" + number(code, 4)


def return_value(ordinal: int, name: str, kind: SqlType, what: Value) -> bytes:
    """RETURNVALUE: a parameter that goes back."""
    head = number(ordinal, 2) + short_text(name) + bytes([_OUTPUT]) + number(0, 4) + number(_NULLABLE, 2)
    return b"\xac" + head + type_info(kind) + value(kind, what)


def _framed(token: int, body: bytes) -> bytes:
    return bytes([token]) + number(len(body), 2) + body
