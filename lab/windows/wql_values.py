"""How WQL compares: strings without case, numbers, booleans, DMTF times, nothing with NULL.

Two decisions where Microsoft's pages are silent [inf]: a comparison with a NULL property is false and its NOT is true; a
constant that cannot be read as the property's type makes the query invalid.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

from lab.windows import schema
from lab.windows.machine_protocol import Embedded, Instance, Reference, Wmi
from lab.windows.schema import ClassDefinition, Property
from lab.windows.wql import Both, Compare, Condition, Constant, Either, Isa, IsNull, Not
from lab.windows.wql_relations import invalid, namespace_of, parse_path

Predicate = Callable[[Instance], bool]

_OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,  # type: ignore[dict-item]  # both sides were made one type
    ">": operator.gt,  # type: ignore[dict-item]
    "<=": operator.le,  # type: ignore[dict-item]
    ">=": operator.ge,  # type: ignore[dict-item]
}
_EQUALITY = frozenset({"=", "<>"})
_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-])(\d{3})")
_DMTF_INTERVAL = re.compile(r"(\d{8})(\d\d)(\d\d)(\d\d)\.(\d{6}):000")


def compile_condition(condition: Condition, definition: ClassDefinition) -> Predicate:
    """A test of instances for one class and its derived ones.

    Raises:
        WmiFailure: the class lacks a property that is named, it is an array, or a constant does not fit its type.
    """
    match condition:
        case Both(parts):
            tests = [compile_condition(part, definition) for part in parts]
            return lambda row: all(test(row) for test in tests)
        case Either(parts):
            tests = [compile_condition(part, definition) for part in parts]
            return lambda row: any(test(row) for test in tests)
        case Not(inner):
            test = compile_condition(inner, definition)
            return lambda row: not test(row)
        case IsNull(path, negated):
            find, _kind = _finder(path, definition, arrays=True)
            return lambda row: (find(row) is None) != negated
        case Isa(path, cls):
            return _isa(path, cls, definition)
        case Compare(path, sign, constant):
            find, kind = _finder(path, definition)
            return _comparison(find, kind, sign, constant)


def _finder(
    path: tuple[str, ...], definition: ClassDefinition, *, arrays: bool = False
) -> tuple[Callable[[Instance], Wmi], str]:
    """How to find a property in an instance, and its CIM type."""
    first = path[0].lower()
    if first == "__class" and len(path) == 1:
        # An instance does not say its class: the query tells each class's rows apart before it tests them.
        return lambda _row: definition.name, "string"
    found = definition.properties.get(first)
    if found is None or (found.array and not arrays):
        raise invalid(f"{definition.name} has no such scalar property: {'.'.join(path)}")
    if len(path) == 1:
        return _plain(found), found.kind
    return lambda row: _embedded(row.get(found.name), path[1:]), "any"


def _plain(found: Property) -> Callable[[Instance], Wmi]:
    name = found.name
    return lambda row: row.get(name)


def _embedded(value: Wmi, path: tuple[str, ...]) -> Wmi:
    for name in path:
        if not isinstance(value, Embedded):
            return None
        value = next((held for key, held in value.properties.items() if key.lower() == name.lower()), None)
    return value


def _isa(path: tuple[str, ...], cls: str, definition: ClassDefinition) -> Predicate:
    if path[0].lower() == "__this":
        answer = definition.is_a(cls)
        return lambda _row: answer
    find, _kind = _finder(path, definition)

    def test(row: Instance) -> bool:
        value = find(row)
        held = schema.find(value.namespace, value.cls) if isinstance(value, Embedded) else None
        return held is not None and held.is_a(cls)

    return test


def _comparison(find: Callable[[Instance], Wmi], kind: str, sign: str, constant: Constant) -> Predicate:
    if sign == "like":
        if kind not in {"string", "ref", "any", "char16"} or not isinstance(constant, str):
            raise invalid("LIKE wants a string property")
        pattern = like(constant)
        return lambda row: isinstance(value := find(row), str) and pattern.fullmatch(value) is not None
    if kind == "boolean" and sign not in _EQUALITY:
        raise invalid("booleans are equal or not, never less")
    if kind == "ref":
        return _reference_comparison(find, sign, constant)
    wanted = comparable(constant, kind)
    if wanted is None:
        raise invalid(f"{constant!r} is no {kind}")
    compare = _OPERATORS[sign]

    def test(row: Instance) -> bool:
        value = find(row)
        held = None if value is None else comparable(value, kind)
        return held is not None and _family(held) is _family(wanted) and compare(held, wanted)

    return test


def _family(value: object) -> type:
    return float if isinstance(value, (int, float)) else type(value)


def comparable(value: Wmi | float, kind: str) -> str | float | datetime | timedelta | None:
    """A value as what its CIM type compares as, or None if it cannot be that. Lower case for strings."""
    if isinstance(value, (Reference, Embedded)) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return None
    if kind == "boolean":
        return _as_boolean(value)
    if kind == "datetime" or isinstance(value, (datetime, timedelta)):
        return _as_time(value)
    if kind.startswith(("uint", "sint", "real")):
        return _as_number(value)
    return str(value).lower()


def _as_boolean(value: Wmi | float) -> int | None:
    words = {"true": 1, "false": 0, "1": 1, "0": 0}
    return words.get(str(value).lower())


def _as_number(value: Wmi | float) -> float | None:
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    for read in (lambda: int(text, 0), lambda: int(text), lambda: float(text)):
        try:
            return read()
        except ValueError:
            continue
    return None


def _as_time(value: Wmi | float) -> datetime | timedelta | None:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return parse_time(str(value))


def parse_time(text: str) -> datetime | timedelta | None:
    """A DMTF time or interval, or one of the other formats WQL takes ("2026-08-01", "2026-08-01 14:05:00"); else None.

    A time without an offset is UTC [inf].
    """
    interval = _DMTF_INTERVAL.fullmatch(text)
    if interval is not None:
        days, hours, minutes, seconds, micro = map(int, interval.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)
    dmtf = _DMTF.fullmatch(text)
    try:
        if dmtf is not None:
            *parts, sign, offset = dmtf.groups()
            zone = timezone(timedelta(minutes=int(sign + offset)))
            return datetime(*map(int, parts), tzinfo=zone)  # type: ignore[arg-type,misc]  # seven integers
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def like(pattern: str) -> re.Pattern[str]:
    """LIKE's pattern as a regular expression: % any text, _ any character, [a-f] one of, [^a-f] none of."""
    parts = re.findall(r"\[\^?[^\]]+\]|.", pattern, flags=re.DOTALL)
    translated = "".join(_like_part(part) for part in parts)
    return re.compile(translated, re.IGNORECASE | re.DOTALL)


def _like_part(part: str) -> str:
    if part == "%":
        return ".*"
    if part == "_":
        return "."
    if len(part) > 1:
        negated = part.startswith("[^")
        inside = part[2 if negated else 1 : -1]
        escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside).replace("--", r"-\-")
        try:
            re.compile(f"[{escaped}]")
        except re.error as error:
            raise invalid(f"no range: {part}") from error
        return f"[{'^' if negated else ''}{escaped}]"
    return re.escape(part)


def _reference_comparison(find: Callable[[Instance], Wmi], sign: str, constant: Constant) -> Predicate:
    """Object paths are equal when class and keys are, and the namespace where one is named; the host is the one asked.

    That letter case does not count, and that single quotes and a path without host and namespace will do [doc: "WMI Object
    Path Requirements"; src: Win32_GroupUser is asked so in many public scripts, while its paths are written in full].
    """
    if sign not in _EQUALITY or not isinstance(constant, str):
        raise invalid("references are equal or not")
    cls, keys = parse_path(constant)
    wanted = {name.lower(): value.lower() for name, value in keys.items()}
    namespace = namespace_of(constant)

    def test(row: Instance) -> bool:
        held = find(row)
        if not isinstance(held, Reference):
            return False
        have = {name.lower(): str(value).lower() for name, value in held.keys.items()}
        if set(wanted) == {""}:
            have = {"": next(iter(have.values()))} if len(have) == 1 else have
        same_place = namespace in ("", held.namespace.lower())
        return (same_place and held.cls.lower() == cls.lower() and have == wanted) == (sign == "=")

    return test
