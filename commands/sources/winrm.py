"""What a host's WinRM grants to those who log in: how many shells, how much memory, and whether without encryption.

The shape is that of a captured Get of winrm/config [cap].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bot.api.queries import WinRMConfig
from bot.api.rows import CellError, Row, Rows, get_bool, get_int
from bot.api.sources import Source

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WinRMQuotas:
    """What WinRM grants.

    Attributes:
        shells: command shells at a time, for each user.
        memory: MB for each shell with all that runs in it.
        allows_unencrypted: whether it takes messages without encryption.
    """

    shells: int
    memory: int
    allows_unencrypted: bool


def winrm_quotas(on: str) -> Source[WinRMQuotas]:
    """The question: what does its WinRM grant? Takes an administrator [mem]."""
    return Source(WinRMConfig(on), _read_quotas)


def _read_quotas(rows: Rows) -> WinRMQuotas:
    """The quotas out of the nested settings. Raises CellError, also where one of them is not told."""
    config = rows[0] if rows else {}
    shells, service = _part(config, "Winrs"), _part(config, "Service")
    return WinRMQuotas(
        shells=_told(get_int(shells, "MaxShellsPerUser"), "MaxShellsPerUser"),
        memory=_told(get_int(shells, "MaxMemoryPerShellMB"), "MaxMemoryPerShellMB"),
        allows_unencrypted=_told(get_bool(service, "AllowUnencrypted"), "AllowUnencrypted"),
    )


def _told(value: T | None, name: str) -> T:
    if value is None:
        raise CellError(name, value)
    return value


def _part(config: Row, name: str) -> Row:
    """One part of the settings; no settings where it was not told. Raises CellError where it is something else."""
    part = config.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise CellError(name, part)
    return part
