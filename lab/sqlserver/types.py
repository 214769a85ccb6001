"""The types of columns, literals and parameters, and how a value of one becomes a value of another.

Values are Python's own: int, str, UUID, datetime (naive), bytes, Decimal, float, None; bit is 0 or 1. Implicit conversion
follows the order of precedence of data types [doc: data-type-precedence-transact-sql].
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from lab.sqlserver import errors

Value = Any  # int | str | UUID | datetime | bytes | Decimal | float | None
MAX = -1  # the length of nvarchar(max) and varbinary(max)
_DECLARED = re.compile(r"\s*(\w+)\s*(?:\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.ASCII)
_SYNONYMS = {
    "sysname": "nvarchar",
    "varchar": "nvarchar",
    "nchar": "nvarchar",
    "char": "nvarchar",
    "ntext": "nvarchar",
    "text": "nvarchar",
    "binary": "varbinary",
    "image": "varbinary",
    "numeric": "decimal",
    "real": "float",
    "date": "datetime2",
    "smalldatetime": "datetime",
}
_UNBOUNDED = ("ntext", "text", "image")
_PRECEDENCE = (
    "datetime2",
    "datetime",
    "float",
    "decimal",
    "bigint",
    "int",
    "smallint",
    "tinyint",
    "bit",
    "uniqueidentifier",
    "nvarchar",
    "varbinary",
)
_RANGES = {"bigint": (-(2**63), 2**63), "int": (-(2**31), 2**31), "smallint": (-(2**15), 2**15), "tinyint": (0, 256)}
WHOLE = (*_RANGES, "bit")
_NUMBERS = (*WHOLE, "decimal", "float")
_DATES = ("datetime", "datetime2")
_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type. `length` counts characters of nvarchar and bytes of varbinary; MAX for no limit."""

    name: str
    length: int = 0
    precision: int = 0
    scale: int = 0


INT, BIGINT, SMALLINT, TINYINT, BIT = (SqlType(name) for name in ("int", "bigint", "smallint", "tinyint", "bit"))
GUID, DATETIME, FLOAT = SqlType("uniqueidentifier"), SqlType("datetime"), SqlType("float")


def nvarchar(length: int) -> SqlType:
    """Text of at most so many characters; MAX for any."""
    return SqlType("nvarchar", length)


def varbinary(length: int) -> SqlType:
    """At most so many bytes; MAX for any."""
    return SqlType("varbinary", length)


SYSNAME = nvarchar(128)
TEXT = nvarchar(MAX)


def declared(text: str) -> SqlType:
    """The type of a declaration: "nvarchar(4000)", "decimal(10,2)". Raises SqlError 2715 for an unknown one."""
    found = _DECLARED.fullmatch(text)
    name = found[1].lower() if found else ""
    kind = _SYNONYMS.get(name, name)
    if found is None or kind not in _PRECEDENCE:
        raise errors.SqlError(2715, f"Column, parameter, or variable #1: Cannot find data type {text.strip():.60}.")
    first, second = found[2], int(found[3] or 0)
    if kind in ("nvarchar", "varbinary"):
        whole = name in _UNBOUNDED or (first or "").lower() == "max"
        return SqlType(kind, MAX if whole else int(first or (128 if name == "sysname" else 1)))
    if kind == "decimal":
        return SqlType(kind, precision=int(first or 18), scale=second)
    return SqlType(kind, scale=int(first or 7)) if kind == "datetime2" else SqlType(kind)


def common(one: SqlType, other: SqlType) -> SqlType:
    """The type in which two values are compared. Raises SqlError 206 where there is none."""
    first, second = sorted((one, other), key=lambda each: _PRECEDENCE.index(each.name))
    if not _converts(second.name, first.name):
        raise errors.clash(second.name, first.name)
    if first.name in ("nvarchar", "varbinary"):
        return SqlType(first.name, MAX)
    return first


def _converts(source: str, target: str) -> bool:
    if source == target or (source in _NUMBERS and target in _NUMBERS) or (source in _DATES and target in _DATES):
        return True
    if source == "nvarchar":
        return target != "varbinary"
    return target == "nvarchar" and source != "varbinary"


def convert(value: Value, source: SqlType, target: SqlType) -> Value:
    """The value as one of the other type. Raises SqlError: clash, not convertible, overflow, truncated."""
    if value is None:
        return None
    if not _converts(source.name, target.name):
        raise errors.clash(source.name, target.name)
    if target.name in WHOLE:
        return _whole(value, source, target)
    if target.name in ("decimal", "float"):
        return _fraction(value, source, target)
    if target.name == "uniqueidentifier":
        return value if isinstance(value, uuid.UUID) else _guid(value, source)
    if target.name in _DATES:
        return _moment(value, source, target)
    if target.name == "nvarchar" and not isinstance(value, str):
        value = _text(value)
    if target.length != MAX and len(value) > target.length:
        raise errors.truncated()
    return value


def sortable(value: Value) -> Any:
    """What to compare instead of the value: the collation knows no case and no trailing spaces."""
    if isinstance(value, str):
        return value.rstrip(" ").casefold()
    return value.bytes_le[10:] + value.bytes_le[:10] if isinstance(value, uuid.UUID) else value


def to_ticks(value: datetime) -> datetime:
    """As datetime keeps it: in three-hundredths of a second."""
    midnight = value.replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = round((value - midnight) / timedelta(seconds=1) * 300)
    return midnight + timedelta(microseconds=round(ticks * 10_000 / 3))


def _whole(value: Value, source: SqlType, target: SqlType) -> int:
    if isinstance(value, str):
        word = value.strip()
        if target.name == "bit" and word.lower() in ("true", "false"):
            return int(word.lower() == "true")
        try:
            number = int(word or "0")
        except ValueError:
            raise errors.not_converted(value, source.name, target.name) from None
    else:
        number = int(value)
    if target.name == "bit":
        return int(number != 0)
    low, high = _RANGES[target.name]
    if not low <= number < high:
        raise errors.overflow(target.name)
    return number


def _fraction(value: Value, source: SqlType, target: SqlType) -> Value:
    try:
        return float(value) if target.name == "float" else Decimal(str(value))
    except (ValueError, InvalidOperation):
        raise errors.not_converted(str(value), source.name, target.name) from None


def _guid(value: str, source: SqlType) -> uuid.UUID:
    found = _GUID.match(value)
    if not found:
        raise errors.not_converted(value, source.name, "uniqueidentifier")
    return uuid.UUID(found[1])


def _moment(value: Value, source: SqlType, target: SqlType) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise errors.not_converted(value, source.name, target.name) from None
        if value.tzinfo is not None:
            raise errors.not_converted(str(value), source.name, target.name)
    return to_ticks(value) if target.name == "datetime" else value


def _text(value: Value) -> str:
    if isinstance(value, uuid.UUID):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"{value:%b} {value.day:2} {value:%Y} {value.hour % 12 or 12:2}:{value:%M%p}"
    return str(value)
