"""TOML's values as those of WMI and of SQL Server. A value that does not fit its property is an error, never bent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lab.cases.errors import CaseError
from lab.sqlserver.errors import SqlError
from lab.sqlserver.store import Column
from lab.sqlserver.types import BIGINT, FLOAT, WHOLE, SqlType, Value, convert, nvarchar
from lab.windows import schema
from lab.windows.machine_protocol import Embedded, Reference, Wmi
from lab.windows.schema import ClassDefinition, Property

Shift = Callable[[datetime], datetime]  # a time of the file -> the time at which it is played
_TEXT = ("string", "char16")


def instance(
    definition: ClassDefinition, told: Mapping[str, Any], missing: frozenset[str], shift: Shift, key: str
) -> dict[str, Wmi]:
    """A row as an instance of the class.

    Args:
        definition: the class, with all properties that Microsoft documents.
        told: property -> value, names in any case.
        missing: properties that the class does not have on that Windows.
        shift: moves times.
        key: of the row in the file.

    Raises:
        CaseError: a property that the class does not have, or a value of another type.
    """
    found: dict[str, Wmi] = {}
    for name, value in told.items():
        known = definition.properties.get(name.lower())
        if known is None:
            raise CaseError(f"{key}.{name}", f"{definition.name} has no such property.")
        if known.name in missing:
            raise CaseError(f"{key}.{name}", f"{definition.name} does not have it on that machine's Windows yet.")
        if known.name in found:
            raise CaseError(f"{key}.{name}", "stands there twice.")
        found[known.name] = _value(known, value, definition.namespace, shift, f"{key}.{name}")
    return found


def _value(known: Property, told: Any, namespace: str, shift: Shift, key: str) -> Wmi:
    if not known.array:
        return _scalar(known, told, namespace, shift, key)
    if not isinstance(told, list):
        raise CaseError(key, f"is an array of {known.kind}: write a list.")
    return tuple(_scalar(known, one, namespace, shift, f"{key}[{at}]") for at, one in enumerate(told))


def _scalar(known: Property, told: Any, namespace: str, shift: Shift, key: str) -> Wmi:
    kind = known.kind
    if kind in ("ref", "object"):
        return _object(known, told, namespace, shift, key)
    if (kind in _TEXT and isinstance(told, str)) or (kind == "boolean" and isinstance(told, bool)):
        return told
    if kind.startswith(("uint", "sint")) and isinstance(told, int) and not isinstance(told, bool):
        return _whole(kind, told, key)
    if kind.startswith("real") and isinstance(told, float):
        return str(told)
    if kind == "datetime" and isinstance(told, datetime):
        return shift(told)  # in its own zone, as Windows writes times of day
    wanted = "a time with its zone: 2026-11-22T22:41:00Z" if kind == "datetime" else kind
    raise CaseError(key, f"is not {wanted}, as {known.name} is.")


def _object(known: Property, told: Any, namespace: str, shift: Shift, key: str) -> Wmi:
    part = "keys" if known.kind == "ref" else "properties"
    if not isinstance(told, dict) or set(told) != {"class", part} or not isinstance(told[part], dict):
        raise CaseError(key, f'is not {{ class = "…", {part} = {{ … }} }}, as {known.name} is.')
    if known.kind == "ref":
        return Reference(namespace, str(told["class"]), dict(told["keys"]))
    return Embedded(namespace, str(told["class"]), _bag(namespace, told, shift, key))


def _whole(kind: str, told: int, key: str) -> int:
    bits = int(kind[4:])
    low, high = (0, 2**bits) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if not low <= told < high:
        raise CaseError(key, f"does not fit into {kind}.")
    return told


def _bag(namespace: str, told: Mapping[str, Any], shift: Shift, key: str) -> dict[str, Wmi]:
    """The properties of an embedded object. A bag such as MSCluster_Property has whatever its owner has."""
    known = schema.find(namespace, str(told["class"]))
    if known is not None and known.properties and any(name.lower() in known.properties for name in told["properties"]):
        return instance(known, told["properties"], frozenset(), shift, f"{key}.properties")
    for name, value in told["properties"].items():
        if not isinstance(value, (str, int)):
            raise CaseError(f"{key}.properties.{name}", "a private property is text or a number.")
    return dict(told["properties"])


def cell(column: Column, told: Any, shift: Shift, key: str) -> Value:
    """A value as a column of SQL Server keeps it. Raises CaseError."""
    value, source = _literal(told, shift)
    if source is None or (isinstance(told, str) and column.type.name in WHOLE):
        raise CaseError(key, f"is not {column.type.name}, as {column.name} is.")
    try:
        return convert(value, source, column.type)
    except SqlError as error:
        raise CaseError(key, f"is not {column.type.name}, as {column.name} is: {error}") from None


def _literal(told: Any, shift: Shift) -> tuple[Value, SqlType | None]:
    if isinstance(told, datetime):
        return shift(told).astimezone(UTC).replace(tzinfo=None), SqlType("datetime2", scale=7)
    if isinstance(told, bool):
        return int(told), BIGINT
    if isinstance(told, int):
        return told, BIGINT
    if isinstance(told, float):
        return told, FLOAT
    return (told, nvarchar(-1)) if isinstance(told, str) else (None, None)
