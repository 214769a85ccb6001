"""Volumes inside a Windows guest, and whether each has room for a shadow copy: free bytes, and the limit of its storage.

One full volume of one guest fails the backup of its whole host: the Hyper-V writer takes no partial backups [doc],
and a guest cannot snapshot a full volume [note: a bit more than 1 GB was enough, 10 to 15 % is comfortable].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from bot.api.queries import GuestWql, Predicate
from bot.api.rows import CellError, Row, Rows, get_bool, get_int, get_reference_key, get_str
from bot.api.sources import Source
from commands.formatting import MIB, format_size
from commands.sources.guests import HostedGuest

_FIXED = 3  # Win32_Volume.DriveType
_COLUMNS = ("DeviceID", "Name", "DriveLetter", "Label", "FileSystem", "Capacity", "FreeSpace")

_WITHOUT_SNAPSHOTS = {"FAT", "FAT12", "FAT16", "FAT32", "EXFAT"}

# VSS wants this much free on a volume, by its size (Microsoft, Windows Server Backup [doc]).
SMALL_VOLUME = 500 * MIB
FREE_ON_SMALL = 32 * MIB
FREE_ON_LARGER = 320 * MIB
_UNBOUNDED = 2**63  # MaxSpace is a uint64; without a limit it is its largest value [src: vssadmin "UNBOUNDED"]


class Room(IntEnum):
    """How much room a volume has, worst first."""

    FULL = 0  # less than VSS itself wants
    LOW = 1  # less than was asked for in bytes
    SHADOW_LIMIT = 2  # a limit leaves a shadow copy less than VSS itself wants, however much is free
    LITTLE_HEADROOM = 3  # less than was asked for in percent
    RESERVED_TIGHT = 4  # a partition of Windows' own, which nobody can free: it decides nothing
    ENOUGH = 5


@dataclass(frozen=True, slots=True)
class ShadowStorage:
    """Where a volume's shadow copies lie, and how large they may grow; bytes."""

    used: int
    limit: int  # 0 for none

    def is_reached(self, least: int) -> bool:
        """Whether less than `least` bytes are left below the limit."""
        return bool(self.limit) and self.limit - self.used < least


@dataclass(frozen=True, slots=True)
class Volume:
    """A fixed volume; sizes in bytes."""

    name: str  # "C:", "C:\\Data" for a mount point, or a description of one without either
    reserved: (
        bool  # without letter and mount point: System Reserved, EFI, recovery. Setup fills them, nobody frees them
    )
    capacity: int
    free: int
    device: str = ""  # Win32_Volume.DeviceID, lower case, without the last backslash
    shadow: ShadowStorage | None = None  # None where the guest keeps none for it, or does not say
    file_system: str = ""

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
        return not self.reserved and self.file_system.upper() in _WITHOUT_SNAPSHOTS

    def room(self, least: int, percent: int) -> Room:
        """Judge the volume. One smaller than `least` only has to suit VSS."""
        if self.reserved:  # 499 MB with 26 MB free did stop a backup; 72 of 550 MB is how Setup leaves one
            return Room.RESERVED_TIGHT if self.free < FREE_ON_SMALL else Room.ENOUGH
        if self.free < self.vss_minimum:
            return Room.FULL
        small = self.capacity <= least
        if not small and self.free < least:
            return Room.LOW
        if self.shadow is not None and self.shadow.is_reached(self.vss_minimum):
            return Room.SHADOW_LIMIT
        if small:
            return Room.ENOUGH
        return Room.LITTLE_HEADROOM if self.free * 100 < percent * self.capacity else Room.ENOUGH


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one guest; `unread` are named ones that report no size (locked or raw), or none that can be read."""

    judged: tuple[Volume, ...]
    unread: tuple[str, ...] = ()

    def with_shadow_storage(self, storage: Mapping[str, ShadowStorage]) -> Volumes:
        """The same volumes, with the limits of their shadow copies."""
        return replace(self, judged=tuple(replace(one, shadow=storage.get(one.device)) for one in self.judged))


def guest_volumes(hosted: HostedGuest) -> Source[Volumes]:
    """The question: every fixed volume, mount points too (Win32_LogicalDisk shows lettered ones only)."""
    guest = hosted.guest
    fixed = (Predicate("DriveType", "=", _FIXED),)
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_Volume", _COLUMNS, fixed),
        _read_volumes,
    )


def shadow_storage(hosted: HostedGuest) -> Source[dict[str, ShadowStorage]]:
    """The question: device of a volume -> how large its shadow copies may grow.

    Win32_ShadowStorage: Volume and DiffVolume are its keys, and references to Win32_Volume, whose key is DeviceID [doc].
    """
    guest, columns = hosted.guest, ("Volume", "AllocatedSpace", "UsedSpace", "MaxSpace")
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_ShadowStorage", columns),
        _read_shadow_storage,
    )


def volumes_with_versions(hosted: HostedGuest) -> Source[frozenset[str]]:
    """The question: devices of the volumes that keep Previous Versions. VSS deletes the oldest where it needs room [doc]."""
    guest, columns = hosted.guest, ("VolumeName", "Persistent", "ClientAccessible")
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_ShadowCopy", columns), _read_versions
    )


def _read_shadow_storage(rows: Rows) -> dict[str, ShadowStorage]:
    """Raises CellError. A volume whose copies lie in several places counts as a whole."""
    found: dict[str, ShadowStorage] = {}
    for row in rows:
        device = _device(get_reference_key(row, "Volume", "DeviceID"))
        used = max(get_int(row, "AllocatedSpace") or 0, get_int(row, "UsedSpace") or 0)
        limit = get_int(row, "MaxSpace") or 0
        known = found.get(device)
        bounded = limit if 0 < limit < _UNBOUNDED else 0
        if known is None:
            found[device] = ShadowStorage(used, bounded)
        else:
            both = known.limit + bounded if known.limit and bounded else 0
            found[device] = ShadowStorage(known.used + used, both)
    return found


def _read_versions(rows: Rows) -> frozenset[str]:
    """Raises CellError."""
    kept = [row for row in rows if get_bool(row, "ClientAccessible") and get_bool(row, "Persistent")]
    return frozenset(_device(get_str(row, "VolumeName")) for row in kept)


def _device(path: str) -> str:
    return path.rstrip("\\").casefold()


def _read_volumes(rows: Rows) -> Volumes:
    """Read the volumes of one guest; one whose size or free space cannot be read is named, and spoils no other.

    Raises:
        CellError: not one can be read, or there is no fixed volume at all: no Windows runs without one.
    """
    judged: list[Volume] = []
    unread: list[str] = []
    damaged: list[CellError] = []
    for row in rows:
        try:
            if get_int(row, "Capacity"):
                judged.append(_volume(row))
            elif _path(row):
                unread.append(_path(row))
        except CellError as error:
            damaged.append(error)
            unread.append(_path_or_word(row))
    if not judged and damaged:
        raise damaged[0]
    if not judged and not unread:
        raise CellError("Win32_Volume", "no fixed volume")
    return Volumes(tuple(judged), tuple(unread))


def _volume(row: Row) -> Volume:
    capacity, free = get_int(row, "Capacity") or 0, get_int(row, "FreeSpace")
    if free is None or not 0 <= free <= capacity:
        raise CellError("FreeSpace", row.get("FreeSpace"))
    path = _path(row)
    return Volume(
        path or _described(row, capacity),
        not path,
        capacity,
        free,
        _device(get_str(row, "DeviceID")),
        file_system=get_str(row, "FileSystem").strip(),
    )


def _path(row: Row) -> str:
    r"""The letter or the mount point; "" for a volume that has neither: its Name is \\?\Volume{…}\ [doc]."""
    name = get_str(row, "DriveLetter") or get_str(row, "Name")
    return "" if name.startswith("\\\\?\\") else name.rstrip("\\")


def _path_or_word(row: Row) -> str:
    try:
        return _path(row) or "a volume without a letter"
    except CellError:
        return "a volume whose name cannot be read"


def _described(row: Row, capacity: int) -> str:
    label = get_str(row, "Label").strip()
    if get_str(row, "FileSystem").upper().startswith("FAT"):
        return f"{label or 'EFI'} partition ({format_size(capacity)})"
    return f"{label or 'unlettered'} partition ({format_size(capacity)})"
