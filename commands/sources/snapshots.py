"""Snapshot volumes that are mounted on a host: a backup that reads them, or one that did not clean up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.api.facts import Unknown, value_of
from bot.api.queries import Wql
from bot.api.query_client import QueryClient
from bot.api.rows import Rows, get_bool, get_datetime, get_str
from bot.api.sources import Source

_COLUMNS = ("ID", "InstallDate", "DeviceObject", "ExposedName", "ExposedLocally", "ExposedRemotely")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shadow copy. `exposed` says where it is mounted; "" where it is not."""

    key: str
    made: datetime | None
    device: str
    exposed: str


def shadow_copies(on: str) -> Source[tuple[Snapshot, ...]]:
    """The question: every shadow copy of a host."""
    return Source(Wql(on, "root/cimv2", "Win32_ShadowCopy", _COLUMNS), _read_snapshots)


def volume_mounts(on: str) -> Source[dict[str, str]]:
    """The question: where is each volume of a host mounted?"""
    return Source(Wql(on, "root/cimv2", "Win32_Volume", ("DeviceID", "Name")), _read_mounts)


async def look_at_snapshots(hosts: Iterable[str], ask: QueryClient) -> dict[str, tuple[Snapshot, ...] | Unknown]:
    """Ask hosts for their mounted shadow copies, in one round.

    Win32_ShadowCopy says when it is exposed; a hardware provider's copy is a volume of its own, which the device
    name ties to it [mem].
    """
    names = list(hosts)
    copies, volumes = await asyncio.gather(
        ask.query_many({on: shadow_copies(on) for on in names}),
        ask.query_many({on: volume_mounts(on) for on in names}),
    )
    return {on: _mounted(value_of(copies[on]), value_of(volumes[on])) for on in names}


def _read_snapshots(rows: Rows) -> tuple[Snapshot, ...]:
    """Shadow copies. Raises CellError."""
    return tuple(
        Snapshot(
            key=get_str(row, "ID"),
            made=get_datetime(row, "InstallDate"),
            device=_device(get_str(row, "DeviceObject")),
            exposed=get_str(row, "ExposedName")
            or ("locally" if get_bool(row, "ExposedLocally") else "")
            or ("as a share" if get_bool(row, "ExposedRemotely") else ""),
        )
        for row in rows
    )


def _read_mounts(rows: Rows) -> dict[str, str]:
    """Device name -> where the volume is mounted. Raises CellError."""
    return {_device(get_str(row, "DeviceID")): get_str(row, "Name") for row in rows}


def _mounted(
    copies: tuple[Snapshot, ...] | Unknown, mounts: Mapping[str, str] | Unknown
) -> tuple[Snapshot, ...] | Unknown:
    if isinstance(copies, Unknown):
        return copies
    if isinstance(mounts, Unknown):
        return mounts
    return tuple(copy for copy in copies if copy.exposed or copy.device in mounts)


def _device(path: str) -> str:
    return path.rstrip("\\").casefold()
