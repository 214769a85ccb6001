"""TYPE_INFO and values: parameters as clients send them, columns as the server answers them [MS-TDS 2.2.5.4, 2.2.5.5]."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from lab.sqlserver import errors
from lab.sqlserver.types import BIGINT, BIT, DATETIME, FLOAT, GUID, INT, MAX, SMALLINT, TINYINT, SqlType, Value
from lab.sqlserver.wire.reader import Reader, number

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
_WHOLE = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
_BY_SIZE = {1: TINYINT, 2: SMALLINT, 4: INT, 8: BIGINT}
_FIXED: dict[int, tuple[SqlType, int]] = {
    0x30: (TINYINT, 1),
    0x32: (BIT, 1),
    0x34: (SMALLINT, 2),
    0x38: (INT, 4),
    0x3D: (DATETIME, 8),
    0x3E: (FLOAT, 8),
    0x7F: (BIGINT, 8),
}
_PLP_NULL = 0xFFFFFFFFFFFFFFFF
_LONG_NULL = 0xFFFFFFFF
_MAX_MARK = 0xFFFF
_NULL, _NTEXT = 0x1F, 0x63
_LARGEST = 8000  # bytes of a value that is not max
_EPOCH, _DAY_ONE = datetime(1900, 1, 1), datetime(1, 1, 1)  # noqa: DTZ001 - datetime has no zone in SQL


def read_parameter(reader: Reader) -> tuple[SqlType, Value]:
    """A TYPE_INFO and the value after it. Raises SqlError 8009 for a type that is not known here."""
    token = reader.byte()
    if token == _NULL:
        return INT, None
    rule = _fixed if token in _FIXED else _VARIABLE.get(token)
    if rule is None:
        raise errors.SqlError(
            8009,
            f"The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Data type 0x{token:02X} is unknown.",
            16,
            1,
        )
    try:
        return rule(reader, token)
    except (ValueError, ArithmeticError) as error:  # half a character, a day after the end of time
        raise errors.broken_stream("A parameter holds no value of its type.") from error


def type_info(kind: SqlType) -> bytes:
    """The TYPE_INFO of a column."""
    if kind.name in _WHOLE:
        return bytes([0x26, _WHOLE[kind.name]])
    if kind.name in ("nvarchar", "varbinary"):
        doubled = 2 if kind.name == "nvarchar" else 1
        size = _MAX_MARK if kind.length == MAX or kind.length * doubled > _LARGEST else max(1, kind.length) * doubled
        tail = COLLATION if kind.name == "nvarchar" else b""
        return bytes([0xE7 if kind.name == "nvarchar" else 0xA5]) + number(size, 2) + tail
    if kind.name == "decimal":
        return bytes([0x6A, 17, kind.precision or 38, kind.scale])
    if kind.name == "datetime2":
        return bytes([0x2A, kind.scale])
    return {"bit": b"\x68\x01", "uniqueidentifier": b"\x24\x10", "datetime": b"\x6f\x08", "float": b"\x6d\x08"}[
        kind.name
    ]


def value(kind: SqlType, what: Value) -> bytes:
    """A value as it stands in a row, or behind a returned parameter's TYPE_INFO."""
    if kind.name in ("nvarchar", "varbinary"):
        return _long(kind, what)
    if what is None:
        return b"\x00"
    body = _body(kind, what)
    return bytes([len(body)]) + body


def _body(kind: SqlType, what: Value) -> bytes:
    if kind.name in _WHOLE or kind.name == "bit":
        return int(what).to_bytes(_WHOLE.get(kind.name, 1), "little", signed=kind.name not in ("tinyint", "bit"))
    if kind.name == "uniqueidentifier":
        assert isinstance(what, uuid.UUID)
        return what.bytes_le
    if kind.name == "float":
        return struct.pack("<d", what)
    if kind.name == "decimal":
        unscaled = int(Decimal(what).scaleb(kind.scale))
        return bytes([int(unscaled >= 0)]) + abs(unscaled).to_bytes(16, "little")
    return _moment(kind, what)


def _moment(kind: SqlType, what: datetime) -> bytes:
    days, rest = divmod(what - (_EPOCH if kind.name == "datetime" else _DAY_ONE), timedelta(days=1))
    if kind.name == "datetime":
        return struct.pack("<iI", days, round(rest / timedelta(seconds=1) * 300))
    ticks: int = rest // timedelta(microseconds=1) * 10**kind.scale // 10**6
    return ticks.to_bytes(_time_size(kind.scale), "little") + days.to_bytes(3, "little")


def _long(kind: SqlType, what: Value) -> bytes:
    data = None if what is None else what.encode("utf-16-le") if isinstance(what, str) else bytes(what)
    whole = type_info(kind)[1:3] == b"\xff\xff"
    if not whole:
        return b"\xff\xff" if data is None else len(data).to_bytes(2, "little") + data
    if data is None:
        return _PLP_NULL.to_bytes(8, "little")
    chunk = len(data).to_bytes(4, "little") + data if data else b""
    return len(data).to_bytes(8, "little") + chunk + bytes(4)


# parameters -----------------------------------------------------------------------------------------------------------


def _of_size(reader: Reader, kind: SqlType, size: int) -> Value:
    if kind is DATETIME:
        days, ticks = struct.unpack("<iI", reader.take(8))
        return _EPOCH + timedelta(days=days, microseconds=round(ticks * 10_000 / 3))
    if kind is FLOAT:
        return struct.unpack("<d" if size == 8 else "<f", reader.take(size))[0]  # noqa: PLR2004
    return reader.number(size, signed=kind not in (TINYINT, BIT))


def _fixed(reader: Reader, token: int) -> tuple[SqlType, Value]:
    kind, size = _FIXED[token]
    return kind, _of_size(reader, kind, size)


def _by_length(kinds: dict[int, SqlType]) -> Callable[[Reader, int], tuple[SqlType, Value]]:
    """Types whose length says which one of a family they are: INTN, BITN, FLTN, DATETIMN."""

    def read(reader: Reader, _token: int) -> tuple[SqlType, Value]:
        kind = kinds.get(reader.byte())
        if kind is None:
            raise errors.broken_stream("A parameter has an impossible length.")
        size = reader.byte()
        return kind, _of_size(reader, kind, size) if size else None

    return read


def _guid(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    reader.byte()
    size = reader.byte()
    return GUID, uuid.UUID(bytes_le=reader.take(16)) if size else None


def _decimal(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    _, precision, scale = reader.take(3)
    kind, size = SqlType("decimal", precision=precision, scale=scale), reader.byte()
    if not size:
        return kind, None
    positive = reader.byte()
    unscaled = Decimal(reader.number(size - 1)).scaleb(-scale)
    return kind, unscaled if positive else -unscaled


def _datetime2(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    scale = reader.byte()
    kind, size = SqlType("datetime2", scale=scale), reader.byte()
    if not size:
        return kind, None
    ticks, days = reader.number(_time_size(scale)), reader.number(3)
    return kind, _DAY_ONE + timedelta(days=days, microseconds=ticks * 10**6 // 10**scale)


def _date(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    size = reader.byte()
    return SqlType("datetime2"), _DAY_ONE + timedelta(days=reader.number(3)) if size else None


def _text(reader: Reader, token: int) -> tuple[SqlType, Value]:
    """NVARCHAR, NCHAR, VARCHAR, CHAR."""
    size = reader.ushort()
    reader.take(5)
    wide = token in (0xE7, 0xEF)
    length = MAX if size == _MAX_MARK else size // (2 if wide else 1)
    data = _plp(reader) if size == _MAX_MARK else _short(reader)
    return SqlType("nvarchar", length), None if data is None else data.decode("utf-16-le" if wide else "cp1252")


def _old_text(reader: Reader, token: int) -> tuple[SqlType, Value]:
    """NTEXT and TEXT."""
    reader.take(4 + 5)
    size = reader.number(4)
    kind = SqlType("nvarchar", MAX)
    if size == _LONG_NULL:
        return kind, None
    return kind, reader.take(size).decode("utf-16-le" if token == _NTEXT else "cp1252")


def _binary(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    size = reader.ushort()
    data = _plp(reader) if size == _MAX_MARK else _short(reader)
    return SqlType("varbinary", MAX if size == _MAX_MARK else size), data


def _old_binary(reader: Reader, _token: int) -> tuple[SqlType, Value]:
    """IMAGE."""
    reader.take(4)
    size = reader.number(4)
    return SqlType("varbinary", MAX), None if size == _LONG_NULL else reader.take(size)


def _short(reader: Reader) -> bytes | None:
    size = reader.ushort()
    return None if size == _MAX_MARK else reader.take(size)


def _plp(reader: Reader) -> bytes | None:
    """A value in pieces: its whole length, perhaps unknown, then pieces up to an empty one."""
    if reader.number(8) == _PLP_NULL:
        return None
    data = b""
    while size := reader.number(4):
        data += reader.take(size)
    return data


def _time_size(scale: int) -> int:
    return 3 if scale <= 2 else 4 if scale <= 4 else 5  # noqa: PLR2004 - MS-TDS 2.2.5.5.1.8


_VARIABLE: dict[int, Callable[[Reader, int], tuple[SqlType, Value]]] = {
    0x24: _guid,
    0x26: _by_length(_BY_SIZE),
    0x68: _by_length({1: BIT}),
    0x6D: _by_length({4: FLOAT, 8: FLOAT}),
    0x6F: _by_length({8: DATETIME}),
    0x6A: _decimal,
    0x6C: _decimal,
    0x28: _date,
    0x2A: _datetime2,
    0xE7: _text,
    0xEF: _text,
    0xA7: _text,
    0xAF: _text,
    _NTEXT: _old_text,
    0x23: _old_text,
    0xA5: _binary,
    0xAD: _binary,
    0x22: _old_binary,
}
