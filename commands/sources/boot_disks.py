"""Disks and partitions of a host, from two providers that each leave something out.

MSFT_Disk and MSFT_Partition (2012 and later) know partitions by their type GUID, reserved ones as well, but list no
dynamic disk [doc, seen]. Win32_DiskPartition is there on every Windows, lists dynamic disks and the EFI partition ("GPT:
System" [seen]), and no reserved partition [seen]; on 2008 R2 nobody has shown that it lists either [mem]. GptType stands with braces or
without, in either case [doc, seen]. Offset is in no documented syntax and stands in published output [seen], so all columns
are asked for. Numbers of disks may change with a restart, and differ in the repair console [doc].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.api.queries import Wql
from bot.api.rows import Rows, get_bool, get_int, get_str, readable
from bot.api.sources import Source
from bot.api.texts import clip, clip_line
from commands.sources.identity import guid

_STORAGE = "root/Microsoft/Windows/Storage"
_MBR, _GPT = 1, 2  # PartitionStyle [doc]
# As Microsoft documents the values [doc].
_BUSES = {
    1: "SCSI",
    3: "ATA",
    6: "Fibre Channel",
    7: "USB",
    8: "RAID",
    9: "iSCSI",
    10: "SAS",
    11: "SATA",
    12: "SD",
}
_BUSES |= {14: "virtual", 15: "file-backed virtual", 16: "Storage Spaces", 17: "NVMe"}
_LONGEST = 60  # characters of what a controller or a provider says
_DYNAMIC_WORDS = "logical disk manager"


class Kind(StrEnum):
    """What a partition of a GPT disk is, by its type GUID [doc]."""

    EFI = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
    RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
    BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    RECOVERY = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"
    OTHER = "other"
    UNREADABLE = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as Windows sees it now. None, or "", for what was not told.

    Attributes:
        is_gpt: whether its partition table is GPT; False for MBR; None for neither, and where it was not told.
        size: bytes.
        serial: as its controller tells it.
        has_windows: whether Windows runs from it (IsBoot).
        has_system: whether it has the partition that the firmware starts from (IsSystem).
    """

    number: int
    is_gpt: bool | None
    size: int | None = None
    serial: str = ""
    name: str = ""
    bus: str = ""
    has_windows: bool | None = None
    has_system: bool | None = None
    is_clustered: bool | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition. `number` counts from 1; `offset` and `size` are bytes; None for what was not told."""

    disk: int
    number: int | None
    kind: Kind
    size: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionWord:
    """A partition as Win32_DiskPartition tells it: its disk and the words of its type, in Windows' language."""

    disk: int
    word: str

    @property
    def is_dynamic(self) -> bool:
        """Whether the word is the English one of a dynamic disk."""
        return _DYNAMIC_WORDS in self.word.casefold()


def boot_disks(on: str) -> Source[tuple[Disk, ...]]:
    """The question: which disks are there? 2012 and later; dynamic ones are left out."""
    columns = ("Number", "PartitionStyle", "Size", "SerialNumber", "FriendlyName", "BusType", "IsBoot", "IsSystem")
    return Source(Wql(on, _STORAGE, "MSFT_Disk", (*columns, "IsClustered")), _read_disks)


def disk_partitions(on: str) -> Source[tuple[Partition, ...]]:
    """The question: which partitions do they have?"""
    return Source(Wql(on, _STORAGE, "MSFT_Partition"), _read_partitions)


def partition_words(on: str) -> Source[tuple[PartitionWord, ...]]:
    """The question: what does the older provider list? It knows dynamic disks."""
    return Source(Wql(on, "root/cimv2", "Win32_DiskPartition", ("DiskIndex", "Type")), _read_words)


def _read_disks(rows: Rows) -> tuple[Disk, ...]:
    """Disks by number. Raises ValueError for a disk without a number: it may be the one that matters."""
    found = []
    for row in rows:
        number = get_int(row, "Number")
        if number is None:
            raise ValueError("MSFT_Disk lists a disk without its number")
        style = readable(get_int, row, "PartitionStyle")
        bus = readable(get_int, row, "BusType")
        found.append(
            Disk(
                number,
                {_GPT: True, _MBR: False}.get(style) if style is not None else None,
                readable(get_int, row, "Size"),
                clip_line(readable(get_str, row, "SerialNumber") or "", _LONGEST),
                clip_line(readable(get_str, row, "FriendlyName") or "", _LONGEST),
                _BUSES.get(bus, f"bus {bus}") if bus is not None else "",
                readable(get_bool, row, "IsBoot"),
                readable(get_bool, row, "IsSystem"),
                readable(get_bool, row, "IsClustered"),
            )
        )
    return tuple(sorted(found, key=lambda one: one.number))


def _read_partitions(rows: Rows) -> tuple[Partition, ...]:
    """Partitions in the order of their disks: by offset where all of a disk tell theirs, else by number.

    Raises ValueError for a partition that names no disk: it may be the one that matters.
    """
    found = []
    for row in rows:
        disk = get_int(row, "DiskNumber")
        if disk is None:
            raise ValueError("MSFT_Partition lists a partition without its disk")
        found.append(
            Partition(
                disk,
                readable(get_int, row, "PartitionNumber"),
                _kind(readable(get_str, row, "GptType")),
                readable(get_int, row, "Size"),
                readable(get_int, row, "Offset"),
            )
        )
    blind = {one.disk for one in found if one.offset is None}
    return tuple(sorted(found, key=lambda one: (one.disk, (one.number or 0) if one.disk in blind else one.offset or 0)))


def _kind(word: str | None) -> Kind:
    """What the GUID says; OTHER for one that is none of these, UNREADABLE for what is no GUID (MBR disks have none)."""
    known = guid(word or "")
    if not known:
        return Kind.UNREADABLE
    return Kind(known) if known in list(Kind) else Kind.OTHER


def _read_words(rows: Rows) -> tuple[PartitionWord, ...]:
    """Partitions that name their disk; the others tell nothing here."""
    found = []
    for row in rows:
        disk = readable(get_int, row, "DiskIndex")
        if disk is not None:
            found.append(PartitionWord(disk, clip((readable(get_str, row, "Type") or "").strip(), _LONGEST)))
    return tuple(found)
