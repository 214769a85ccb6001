"""Volumes inside a Windows guest, and whether each has room for a shadow copy.

One full volume of one guest fails the backup of its whole host: the Hyper-V writer takes no partial backups [doc],
and a guest cannot snapshot a full volume [note: a bit more than 1 GB was enough, 10 to 15 % is comfortable].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bot.api.queries import GuestWql, Predicate
from bot.api.rows import CellError, Row, Rows, get_int, get_str
from bot.api.sources import Source
from commands.formatting import GIB, MIB, format_size
from commands.sources.guests import HostedGuest

_FIXED = 3  # Win32_Volume.DriveType
_COLUMNS = ("Name", "DriveLetter", "Label", "FileSystem", "Capacity", "FreeSpace")

_WITHOUT_SNAPSHOTS = {"FAT", "FAT12", "FAT16", "FAT32", "EXFAT"}

# VSS wants this much free on a volume, by its size (Microsoft, Windows Server Backup [doc]).
SMALL_VOLUME = 500 * MIB
FREE_ON_SMALL = 32 * MIB
FREE_ON_LARGER = 320 * MIB
LARGEST_RESERVED = GIB  # System Reserved is 100 to 500 MB, EFI 100 to 260 MB, WinRE 300 to 990 MB by default


class Room(IntEnum):
    """How much room a volume has, worst first."""

    FULL = 0  # less than VSS itself wants
    LOW = 1  # less than was asked for in bytes
    LITTLE_HEADROOM = 2  # less than was asked for in percent
    ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Volume:
    """A fixed volume; sizes in bytes."""

    name: str  # "C:", "C:\\Data" for a mount point, or a description of one without either
    reserved: bool  # System Reserved, EFI, recovery: judged apart
    capacity: int
    free: int
    file_system: str = ""
    is_named: bool = True  # whether it has a letter or a mount point

    @property
    def percent(self) -> int:
        """Free space in whole percent, rounded down."""
        return self.free * 100 // self.capacity

    @property
    def vss_minimum(self) -> int:
        """What VSS wants free here, in bytes."""
        return FREE_ON_LARGER if self.capacity > SMALL_VOLUME else FREE_ON_SMALL

    @property
    def lacks_snapshots(self) -> bool:
        """Whether data is on a file system that VSS takes no snapshot of; an EFI partition is FAT32 by nature."""
        return self.is_named and self.file_system.upper() in _WITHOUT_SNAPSHOTS

    def room(self, least: int, percent: int) -> Room:
        """Judge the volume. Reserved ones and those smaller than `least` only have to suit VSS."""
        if self.free < self.vss_minimum:
            return Room.FULL
        if self.reserved or self.capacity <= least:
            return Room.ENOUGH
        if self.free < least:
            return Room.LOW
        return Room.LITTLE_HEADROOM if self.free * 100 < percent * self.capacity else Room.ENOUGH


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one guest; `unread` are named ones that report no size (locked or raw)."""

    judged: tuple[Volume, ...]
    unread: tuple[str, ...] = ()


def guest_volumes(hosted: HostedGuest) -> Source[Volumes]:
    """The question: every fixed volume, mount points too (Win32_LogicalDisk shows lettered ones only)."""
    guest = hosted.guest
    fixed = (Predicate("DriveType", "=", _FIXED),)
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_Volume", _COLUMNS, fixed),
        _read_volumes,
    )


def _read_volumes(rows: Rows) -> Volumes:
    """Read the volumes of one guest.

    Raises:
        CellError: more free than there is room, or no fixed volume at all: no Windows runs without one.
    """
    judged, unread = [], []
    for row in rows:
        if get_int(row, "Capacity"):
            judged.append(_volume(row))
        elif _path(row):
            unread.append(_path(row))
    if not judged and not unread:
        raise CellError("Win32_Volume", "no fixed volume")
    return Volumes(tuple(judged), tuple(unread))


def _volume(row: Row) -> Volume:
    capacity, free = get_int(row, "Capacity") or 0, get_int(row, "FreeSpace")
    if free is None or not 0 <= free <= capacity:
        raise CellError("FreeSpace", row.get("FreeSpace"))
    path = _path(row)
    reserved = not path or capacity <= LARGEST_RESERVED
    file_system = get_str(row, "FileSystem").strip()
    return Volume(path or _described(row, capacity), reserved, capacity, free, file_system, bool(path))


def _path(row: Row) -> str:
    r"""The letter or the mount point; "" for a volume that has neither: its Name is \\?\Volume{…}\ [doc]."""
    name = get_str(row, "DriveLetter") or get_str(row, "Name")
    return "" if name.startswith("\\\\?\\") else name.rstrip("\\")


def _described(row: Row, capacity: int) -> str:
    label = get_str(row, "Label").strip()
    if get_str(row, "FileSystem").upper().startswith("FAT"):
        return f"{label or 'EFI'} partition ({format_size(capacity)})"
    return f"{label or 'unlettered'} partition ({format_size(capacity)})"
