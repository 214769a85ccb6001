"""What a plan may do. An action is data: frozen, serialisable, read by people, signed by its digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bot.api.queries import Fields, Value
from bot.api.texts import clip

_BYTES = re.compile(r"[0-9]{1,20}")


Octets = tuple[int, ...]  # a parameter of the type uint8[]: each from 0 to 255
MethodFields = tuple[tuple[str, Value | Octets], ...]  # sorted pairs


def method_params(**values: Value | Octets) -> MethodFields:
    """Make sorted pairs out of keyword arguments, for a method that takes bytes."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """An in-parameter that refers to an instance in the namespace of the method: its name, the class and keys of that."""

    name: str
    cls: str
    keys: Fields


@dataclass(frozen=True, slots=True)
class InvokeMethod:
    """One WMI method call.

    Attributes:
        path: the selectors, () for none.
        accept: the return values that mean success.
        may_begin_despite_fault: no fault at all means that nothing was begun, not even one that is a refusal elsewhere: how it
            is afterwards, tells.
    """

    on: str
    namespace: str
    path: Fields
    cls: str
    method: str
    params: MethodFields = ()
    accept: tuple[int, ...] = (0,)
    may_begin_despite_fault: bool = False
    references: tuple[InstanceReference, ...] = ()


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


def can_be_typed(text: str) -> bool:
    """Whether people can read and type it so that nothing else matches: printable ASCII with a letter or digit."""
    return text.isascii() and text.isprintable() and any(character.isalnum() for character in text)


@dataclass(frozen=True, slots=True)
class TypedField:
    """One thing that a person reads off a machine and types when they confirm a manual step.

    Attributes:
        label: what it is: "Serial number of the disk". Short, unique in its step.
        compare: "text": the same letters and digits in ASCII, in any case, with or without what tools print between its
            parts. "size": a size in binary units, by less than one in the last digit that is shown. "number": any whole
            number, which is only recorded.
        expected: what it has to be; of a size its bytes. "" for a number.
        shown: the same as people read it: "278 GB".
    """

    label: str
    compare: Literal["text", "size", "number"]
    expected: str = ""
    shown: str = ""

    def __post_init__(self) -> None:
        """Refuse a field that anything, or nothing, would match. Raises ValueError."""
        if self.compare != "number" and not can_be_typed(self.expected):
            raise ValueError(f"{self.label}: nothing says what it has to be")
        if self.compare == "size" and not (_BYTES.fullmatch(self.expected) and int(self.expected)):
            raise ValueError(f"{self.label}: {clip(repr(self.expected), 40)} is no number of bytes")


@dataclass(frozen=True, slots=True)
class ReadBack(ManualStep):
    """A manual step that counts as done only with what its person has read off the machine.

    Attributes:
        typed: what they type; it is compared with what the plan expects, and stands signed in the ledger.
        mismatch: what to do where it is something else; said after what was typed and what was expected.
    """

    typed: tuple[TypedField, ...] = ()
    mismatch: str = ""

    def __post_init__(self) -> None:
        """Refuse one that asks for nothing, or twice for the same. Raises ValueError."""
        labels = {field.label for field in self.typed}
        if not self.typed or len(labels) < len(self.typed):
            raise ValueError("a step that is read back names what is typed, each thing once")


Action = InvokeMethod | RunProgram | RowTransaction | ManualStep
