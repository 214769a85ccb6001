"""What a plan may do. An action is data: frozen, serialisable, read by people, signed by its digest."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.queries import Fields


@dataclass(frozen=True, slots=True)
class InvokeMethod:
    """One WMI method call. `accept` are the return values that mean success; `path` the selectors, () for none."""

    on: str
    namespace: str
    path: Fields
    cls: str
    method: str
    params: Fields = ()
    accept: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class RunProgram:
    """A row of the catalogue marked *changes*."""

    on: str
    what: str
    params: Fields = ()


@dataclass(frozen=True, slots=True)
class Update:
    """One row of one table: these values become those, or nothing happens."""

    table: str
    key: Fields
    was: Fields
    becomes: Fields


@dataclass(frozen=True, slots=True)
class RowTransaction:
    """One transaction, exactly one row each, else rolled back."""

    on: str
    database: str
    rows: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class ManualStep:
    """A person of that role does it; the bot checks it afterwards."""

    instruction: str
    role: str


Action = InvokeMethod | RunProgram | RowTransaction | ManualStep
