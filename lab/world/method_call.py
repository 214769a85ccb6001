"""Somebody calls a method or a program of a practice machine: where, with what, and whether they may change things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.windows.machine_protocol import Wmi, WmiFailure
from lab.world.model import Windows

if TYPE_CHECKING:
    from lab.world.world import World

INVALID_PARAMETER, INVALID_METHOD_PARAMETERS = 0x80041008, 0x8004102F


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `keys` name the instance of a method, `params` are its in-parameters as they came over the wire."""

    world: World
    windows: Windows
    may_change: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Wmi] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The only key of a class with one; empty where it is missing."""
        return next(iter(self.keys.values()), "")

    def takes(self, *names: str) -> None:
        """Refuse parameters that the method does not have. Over WS-Management their case matters [src].

        Raises:
            WmiFailure: there is such a one.
        """
        if not set(self.params) <= set(names):
            raise WmiFailure(INVALID_METHOD_PARAMETERS, "Invalid method Parameter(s) ")

    def number(self, name: str, *, default: int = 0) -> int:
        """A whole number; the default where it is missing or NULL.

        Raises:
            WmiFailure: it is none.
        """
        value = self.params.get(name)
        if value is None:
            return default
        if not str(value).isdecimal():
            raise WmiFailure(INVALID_PARAMETER, "Invalid parameter ")
        return int(str(value))

    def octets(self, name: str) -> bytes:
        """Bytes: one number comes as a text, several as a list; none where it is missing or NULL.

        Raises:
            WmiFailure: it is something else.
        """
        value = self.params.get(name)
        told = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(one, str) and one.isdecimal() and int(one) <= 0xFF for one in told):  # noqa: PLR2004 - a byte
            raise WmiFailure(INVALID_PARAMETER, "Invalid parameter ")
        return bytes(int(str(one)) for one in told)

    def text(self, name: str) -> str:
        """A text; empty where it is missing or NULL."""
        value = self.params.get(name)
        return "" if value is None else str(value)
