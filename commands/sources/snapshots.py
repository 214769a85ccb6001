"""Shadow copies of a host: what they say of a running backup, and which are mounted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.api.facts import Unknown, value_of
from bot.api.queries import Wql
from bot.api.query_client import QueryClient
from bot.api.rows import Rows, get_bool, get_datetime, get_str, readable
from bot.api.sources import Source

_COLUMNS = (
    "ID",
    "InstallDate",
    "DeviceObject",
    "ExposedName",
    "ExposedLocally",
    "ExposedRemotely",
    "Persistent",
    "ClientAccessible",
    "NoAutoRelease",
    "NoWriters",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shadow copy, with the attributes of its context; None where the host does not say.

    Attributes:
        made: when, UTC.
        exposed: where it is mounted; "" where it is not.
        persistent: False: it does not outlive a restart, and unless `no_auto_release` is set it goes when the program
            that made it ends [doc: VSS_VOLUME_SNAPSHOT_ATTRIBUTES].
        client_accessible: made for Previous Versions, and kept for people. A program can make one for a backup too.
        no_auto_release: it stays when the program that made it ends.
        no_writers: made without a word to the writers, as the schedule of Previous Versions does: no writer waits for it
            [doc: VSS_CTX_CLIENT_ACCESSIBLE, which is so, beside VSS_CTX_CLIENT_ACCESSIBLE_WRITERS, which is not].
    """

    key: str
    made: datetime | None
    device: str
    exposed: str
    persistent: bool | None = None
    client_accessible: bool | None = None
    no_auto_release: bool | None = None
    no_writers: bool | None = None

    def is_of_a_backup(self, since: datetime | None = None, *, recent: datetime | None = None) -> bool | None:
        """Whether a program holds it now; None where that may be.

        Args:
            since: when hvops first saw a writer of the host wait for the backup in question; None where it never did.
            recent: where a writer waits that hvops never saw wait: from when on a copy may be of what it waits for; None
                where none waits so.
        """
        if self.persistent is None:
            return None
        if not self.persistent:
            return None if self.no_auto_release else True
        begin = since or recent
        if begin is None or (self.client_accessible and self.no_writers):
            return False
        return None if self.made is None or self.made > begin else False


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The shadow copies of a host, and those of them that are mounted: either can be unknown alone."""

    copies: tuple[Snapshot, ...] | Unknown
    mounted: tuple[Snapshot, ...] | Unknown


def shadow_copies(on: str) -> Source[tuple[Snapshot, ...]]:
    """The question: every shadow copy of a host."""
    return Source(Wql(on, "root/cimv2", "Win32_ShadowCopy", _COLUMNS), _read_snapshots)


def volume_mounts(on: str) -> Source[dict[str, str]]:
    """The question: where is each volume of a host mounted?"""
    return Source(Wql(on, "root/cimv2", "Win32_Volume", ("DeviceID", "Name")), _read_mounts)


async def look_at_snapshots(hosts: Iterable[str], ask: QueryClient) -> dict[str, Snapshots]:
    """Ask hosts for their shadow copies, and which are mounted, in one round.

    Win32_ShadowCopy says when it is exposed; a hardware provider's copy is a volume of its own, which the device
    name ties to it [mem].
    """
    names = list(hosts)
    copies, volumes = await asyncio.gather(
        ask.query_many({on: shadow_copies(on) for on in names}),
        ask.query_many({on: volume_mounts(on) for on in names}),
    )
    return {on: Snapshots(value_of(copies[on]), _mounted(value_of(copies[on]), value_of(volumes[on]))) for on in names}


def _read_snapshots(rows: Rows) -> tuple[Snapshot, ...]:
    """Shadow copies. What cannot be read of one is unknown of that one alone."""
    return tuple(
        Snapshot(
            key=readable(get_str, row, "ID") or "",
            made=readable(get_datetime, row, "InstallDate"),
            device=_device(readable(get_str, row, "DeviceObject") or ""),
            exposed=readable(get_str, row, "ExposedName")
            or ("locally" if readable(get_bool, row, "ExposedLocally") else "")
            or ("as a share" if readable(get_bool, row, "ExposedRemotely") else ""),
            persistent=readable(get_bool, row, "Persistent"),
            client_accessible=readable(get_bool, row, "ClientAccessible"),
            no_auto_release=readable(get_bool, row, "NoAutoRelease"),
            no_writers=readable(get_bool, row, "NoWriters"),
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
