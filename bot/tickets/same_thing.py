"""Whether two acts are about one thing, however each writes its name. Pure.

Windows, WMI and SQL Server know no case in names, and a rule file, a host, a cluster and a person write the same one
differently. What is held for one thing and is two costs a question or a wait; what is held for two and is one is reversed
behind the back of whoever relies on it. So where it is in doubt, it is one thing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot.api.actions import InstanceReference, InvokeMethod, MethodFields, Octets, RowTransaction, Update
from bot.api.host_names import host_key, same_host
from bot.api.queries import Fields, Value


def same_place(one: str, other: str) -> bool:
    """Whether two acts go to one machine: its name is written with or without its domain, or as NetBIOS cuts it."""
    return host_key(one) == host_key(other) or same_host(one, other)


def same_value(one: Value | Octets, other: Value | Octets) -> bool:
    """Whether two values can name the same thing: in any case, a path with either slash, a GUID with or without braces.

    Also a machine with or without its domain.
    """
    is_alike = _folded(one) == _folded(other)
    return is_alike or (isinstance(one, str) and isinstance(other, str) and same_host(one, other))


def shares_a_value(one: Value | Octets, other: Value | Octets) -> bool:
    """The same of what a program is given, which can be a list with commas: one thing in both lists is enough."""
    return any(same_value(mine, yours) for mine in _listed(one) for yours in _listed(other))


def same_instance(one: InvokeMethod, other: InvokeMethod) -> bool:
    """Whether two methods of one class, each of which names something, can be about the same, wherever they are called."""
    return _same_keys(one.path, other.path) and _same_references(one.references, other.references)


def same_class(one: InvokeMethod, other: InvokeMethod) -> bool:
    """Whether two methods are of one class."""
    return _folded(one.namespace) == _folded(other.namespace) and _folded(one.cls) == _folded(other.cls)


def share_a_row(one: RowTransaction, other: RowTransaction) -> bool:
    """Whether two transactions change the same row of a database, wherever that is."""
    return _folded(one.database) == _folded(other.database) and any(
        _same_row(mine, yours) for mine in one.rows for yours in other.rows
    )


def _same_row(one: Update, other: Update) -> bool:
    return _table(one.table) == _table(other.table) and _same_keys(one.key, other.key)


def _table(name: str) -> str:
    """Without its schema and its brackets: "[dbo].[tbl_WLC_VObject]" is "tbl_WLC_VObject"."""
    return _folded(name.replace("[", "").replace("]", "").rpartition(".")[2])


def _same_keys(one: MethodFields, other: MethodFields) -> bool:
    """Whether nothing speaks against it: of the keys that both name, none differs."""
    yours = _by_name(other)
    return all(same_value(value, yours[name]) for name, value in _by_name(one).items() if name in yours)


def _by_name(fields: Fields | MethodFields) -> Mapping[str, Value | Octets]:
    return {_folded(name): value for name, value in fields}


def _same_references(one: Collection[InstanceReference], other: Collection[InstanceReference]) -> bool:
    yours = {_folded(each.name): each for each in other}
    pairs = [(each, yours[name]) for each in one if (name := _folded(each.name)) in yours]
    return all(_folded(mine.cls) == _folded(your.cls) and _same_keys(mine.keys, your.keys) for mine, your in pairs)


def _listed(value: Value | Octets) -> list[Value | Octets]:
    return [*value.split(",")] if isinstance(value, str) else [value]


def _folded(value: Value | Octets) -> str:
    """A value without what makes no difference.

    Windows compares by upper case, letter by letter; both ways together are wider than any of its tables.
    """
    text = " ".join(str(value).split())
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    # A separator at the end, a doubled one, and what begins a long path or a device's name no other.
    parts = [part for part in text.replace("/", "\\").split("\\") if part not in ("", ".", "?")]
    return "\\".join(parts).upper().casefold()
