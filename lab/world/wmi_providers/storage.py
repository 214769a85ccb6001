"""Volumes and partitions: Win32_Volume and its kin in root/cimv2, MSFT_* in root/Microsoft/Windows/Storage.

Property meanings: CIMWin32Prov, VssWmi and stormgmt pages [doc]; partition types: the New-Partition page [doc].
MSFT DriveLetter is a char16, of which no capture exists: answered as one character, as CIM's own XML binding has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.windows.machine_protocol import Instance, Reference
from lab.world.class_availability import instance
from lab.world.model import KIB, MIB, Guest, Volume, Windows, identity
from lab.world.wmi_providers import Scene, View

GPT_TYPES = {
    "efi": "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}",
    "recovery": "{de94bba4-06d1-4d40-a16a-bfd50179d6ac}",
    "basic": "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}",
    "system reserved": "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}",
}
RESERVED = "{e3c9e316-0b5c-4db8-817d-f92df00215ae}"
FIXED, CD = 3, 5
RAID, ISCSI = 8, 9  # BusType
IFS, FAT32 = 7, 12  # MbrType
SNAPSHOT_CREATED = 9  # Win32_ShadowCopy.State
HARDWARE_PROVIDER = "hardware provider"


def device_id(guid: str) -> str:
    """A volume's device id as Win32_Volume prints it."""
    return f"\\\\?\\Volume{{{guid}}}\\"


def _name(volume: Volume) -> str:
    return f"{volume.letter}:\\" if volume.letter else volume.mount or device_id(volume.guid)


def _serial(volume: Volume) -> int:
    return int(volume.guid[:8], 16)


def volumes(scene: Scene) -> Iterator[Instance]:
    """Win32_Volume: lettered, mounted and hidden ones alike. Bytes. A CD drive without a disc has no sizes."""
    windows = scene.windows
    for volume in [*windows.volumes, *_snapshot_volumes(windows)]:
        disc = volume.kind == "cd"
        yield instance(
            "Win32_Volume",
            windows.release,
            DeviceID=device_id(volume.guid),
            Name=_name(volume),
            Caption=_name(volume),
            DriveLetter=f"{volume.letter}:" if volume.letter else None,
            DriveType=CD if disc else FIXED,
            Label=None if disc else volume.label,
            FileSystem=None if disc else volume.file_system,
            Capacity=None if disc else volume.capacity,
            FreeSpace=None if disc else volume.free,
            BlockSize=None if disc else 4096,
            SerialNumber=None if disc else _serial(volume),
            Automount=True,
            Compressed=None if disc else False,
            DirtyBitSet=None if disc else False,
            IndexingEnabled=None if disc else True,
            MaximumFileNameLength=None if disc else 255,
            SystemName=windows.name.upper(),
        )


def _snapshot_volumes(windows: Windows) -> Iterator[Volume]:
    """Mounted snapshots: extra volumes without a letter, until the backup takes them away."""
    for shadow in windows.shadows:
        yield Volume(identity("mounted", shadow.id), shadow.capacity, shadow.free, label=shadow.label, disk=9)


def logical_disks(scene: Scene) -> Iterator[Instance]:
    """Win32_LogicalDisk: only what has a drive letter."""
    windows = scene.windows
    for volume in windows.volumes:
        if not volume.letter:
            continue
        disc = volume.kind == "cd"
        yield instance(
            "Win32_LogicalDisk",
            windows.release,
            DeviceID=f"{volume.letter}:",
            Name=f"{volume.letter}:",
            Caption=f"{volume.letter}:",
            Description="CD-ROM Disc" if disc else "Local Fixed Disk",
            DriveType=CD if disc else FIXED,
            MediaType=11 if disc else 12,
            FileSystem=None if disc else volume.file_system,
            Size=None if disc else volume.capacity,
            FreeSpace=None if disc else volume.free,
            VolumeName=None if disc else volume.label,
            VolumeSerialNumber=None if disc else f"{_serial(volume):08X}",
            Compressed=None if disc else False,
            CreationClassName="Win32_LogicalDisk",
            SystemCreationClassName="Win32_ComputerSystem",
            SystemName=windows.name.upper(),
        )


def mount_points(scene: Scene) -> Iterator[Instance]:
    """Win32_MountPoint: folder to volume, also for the drive letters' own roots."""
    for volume in scene.windows.volumes:
        folder = f"{volume.letter}:\\" if volume.letter else volume.mount.rstrip("\\")
        if folder:
            yield {
                "Directory": Reference("root/cimv2", "Win32_Directory", {"Name": folder}),
                "Volume": Reference("root/cimv2", "Win32_Volume", {"DeviceID": device_id(volume.guid)}),
            }


def disk_partitions(scene: Scene) -> Iterator[Instance]:
    """Win32_DiskPartition: without reserved partitions, which it does not list [seen]. The words of Type for GPT disks: [src].

    On dynamic disks, what the Logical Disk Manager keeps is one partition of its own kind each [src].
    """
    windows = scene.windows
    counted: dict[int, int] = {}
    for part in _partitions(windows):
        volume = part.volume
        if volume is None:
            continue
        index = counted.get(part.disk, 0)
        counted[part.disk] = index + 1
        name = f"Disk #{part.disk}, Partition #{index}"
        yield instance(
            "Win32_DiskPartition",
            windows.release,
            DeviceID=name,
            Name=name,
            Caption=name,
            DiskIndex=part.disk,
            Index=index,
            Size=part.size,
            StartingOffset=part.offset,
            Bootable=volume.kind in {"efi", "system reserved"},
            BootPartition=volume.kind in {"efi", "system reserved"},
            PrimaryPartition=True,
            Type=_type_in_words(windows, volume),
            BlockSize=512,
            NumberOfBlocks=part.size // 512,
            SystemName=windows.name.upper(),
        )


def _type_in_words(windows: Windows, volume: Volume) -> str:
    gpt = _gpt(windows, volume)
    if volume.disk in windows.dynamic_disks and volume.kind == "basic":
        return "GPT: Logical Disk Manager Data" if gpt else "Logical Disk Manager"
    words = {"efi": "GPT: System", "recovery": "GPT: Unknown"}.get(volume.kind, "GPT: Basic Data")
    return words if gpt else "Installable File System"


def _gpt(windows: Windows, volume: Volume) -> bool:
    return volume.disk > 0 or any(each.kind == "efi" for each in windows.volumes)


@dataclass(frozen=True, slots=True)
class _Partition:
    """A partition of a disk, in the order of the disk; `volume` is None for a reserved one. Bytes; numbers count from 1."""

    disk: int
    number: int
    offset: int
    size: int
    volume: Volume | None


def _partitions(windows: Windows) -> Iterator[_Partition]:
    """All partitions. On GPT disks one of them is reserved: 16 MB since 2016 (15 MB at 17 KB where diskpart makes it), 128 MB before.

    Sizes and the place: Microsoft's pages on partitions of UEFI disks and issue 227 of commercialization-public [doc, seen].
    """
    disks: dict[int, list[Volume | None]] = {}
    for volume in windows.volumes:
        if volume.kind == "cd":
            continue
        if volume.disk not in disks:
            disks[volume.disk] = [None] if _reserved_first(windows, volume) else []
        disks[volume.disk].append(volume)
        if volume.kind == "efi" and windows.reserved == "behind":
            disks[volume.disk].append(None)
    for disk, members in disks.items():
        at = 17 * KIB if members[0] is None else MIB
        for number, member in enumerate(members, start=1):
            size = _reserved_size(windows, at) if member is None else member.capacity
            yield _Partition(disk, number, at, size, member)
            at = -(-(at + size) // MIB) * MIB


def _reserved_first(windows: Windows, volume: Volume) -> bool:
    """Whether the reserved partition is the first one of the volume's disk: on data disks always."""
    if not _gpt(windows, volume):
        return False
    return volume.disk > 0 or windows.reserved == "first"


def _reserved_size(windows: Windows, at: int) -> int:
    size = 16 * MIB if windows.release.at_least("2016") else 128 * MIB
    return size if at >= MIB else size - MIB


def shadow_copies(scene: Scene) -> Iterator[Instance]:
    """Win32_ShadowCopy: snapshots that a hardware provider mounted on this node.

    Its device is the volume of the same name in Win32_Volume [mem].
    """
    windows = scene.windows
    for shadow in windows.shadows:
        yield instance(
            "Win32_ShadowCopy",
            windows.release,
            ID=f"{{{shadow.id.upper()}}}",
            SetID=f"{{{shadow.set_id.upper()}}}",
            ProviderID=f"{{{identity(HARDWARE_PROVIDER).upper()}}}",
            InstallDate=shadow.created,
            DeviceObject=device_id(identity("mounted", shadow.id)).rstrip("\\"),
            VolumeName=shadow.volume,
            OriginatingMachine=windows.fqdn,
            ServiceMachine=windows.fqdn,
            State=SNAPSHOT_CREATED,
            Count=1,
            HardwareAssisted=True,
            Imported=True,
            Transportable=True,
            Plex=True,
            Differential=False,
            Persistent=True,
            ClientAccessible=False,
            NoAutoRelease=True,
            NoWriters=False,
            NotSurfaced=False,
            ExposedLocally=False,
            ExposedRemotely=False,
        )


def shadow_storage(scene: Scene) -> Iterator[Instance]:
    """Win32_ShadowStorage: its keys are references to Win32_Volume, the copies' volume and the one they lie on [doc]."""
    windows = scene.windows
    devices = {volume.letter: device_id(volume.guid) for volume in windows.volumes if volume.letter}
    for storage in windows.shadow_storage:
        volume = Reference("root/cimv2", "Win32_Volume", {"DeviceID": devices[storage.volume]})
        yield instance(
            "Win32_ShadowStorage",
            windows.release,
            Volume=volume,
            DiffVolume=volume,
            AllocatedSpace=storage.allocated,
            UsedSpace=storage.used,
            MaxSpace=storage.limit,
        )


def msft_partitions(scene: Scene) -> Iterator[Instance]:
    """MSFT_Partition, reserved ones as well; AccessPaths carry the volume's device id, which ties it to Win32_Volume.

    GptType stands in braces, as in published output [seen]; a reserved partition has no paths.
    """
    windows = scene.windows
    for part in _partitions(windows):
        if part.disk in windows.dynamic_disks:
            continue
        volume = part.volume
        kind = "reserved" if volume is None else volume.kind
        gpt = volume is None or _gpt(windows, volume)
        fat = volume is not None and volume.file_system == "FAT32"
        key = f"reserved {part.disk}" if volume is None else volume.guid
        yield instance(
            "MSFT_Partition",
            windows.release,
            ObjectId=f"partition:{identity(windows.fqdn, key)}",
            DiskNumber=part.disk,
            PartitionNumber=part.number,
            DriveLetter=(volume.letter or None) if volume else None,
            AccessPaths=_paths(volume) if volume else None,
            OperationalStatus=1,
            TransitionState=1,
            Offset=part.offset,
            Size=part.size,
            MbrType=None if gpt else (FAT32 if fat else IFS),
            GptType=(RESERVED if volume is None else GPT_TYPES[volume.kind]) if gpt else None,
            Guid=f"{{{identity('gpt', windows.fqdn, key)}}}" if gpt else None,
            IsSystem=kind in {"efi", "system reserved"},
            IsBoot=volume is not None and volume.letter == "C",
            IsActive=kind == "system reserved",
            IsHidden=kind in {"efi", "recovery"},
            IsReadOnly=False,
            IsOffline=False,
            IsShadowCopy=False,
            NoDefaultDriveLetter=kind in {"efi", "recovery", "reserved"},
        )


def _paths(volume: Volume) -> tuple[str, ...]:
    paths = [path for path in (f"{volume.letter}:\\" if volume.letter else "", volume.mount) if path]
    return (*paths, device_id(volume.guid))


def msft_volumes(scene: Scene) -> Iterator[Instance]:
    """MSFT_Volume."""
    for volume in scene.windows.volumes:
        if volume.kind != "cd":
            yield instance(
                "MSFT_Volume",
                scene.windows.release,
                ObjectId=device_id(volume.guid),
                Path=device_id(volume.guid),
                DriveLetter=volume.letter or None,
                DriveType=FIXED,
                FileSystem=volume.file_system,
                FileSystemLabel=volume.label,
                FileSystemType=6 if volume.file_system == "FAT32" else 14,
                HealthStatus=0,
                Size=volume.capacity,
                SizeRemaining=volume.free,
            )


def msft_disks(scene: Scene) -> Iterator[Instance]:
    """MSFT_Disk: one per disk that carries a volume, but for dynamic ones, which it does not list [doc, seen].

    BootFromDisk is set for the disk with the EFI partition only where there is one such disk [doc].
    """
    windows = scene.windows
    disks = {volume.disk for volume in windows.volumes if volume.kind != "cd"}
    with_efi = {volume.disk for volume in windows.volumes if volume.kind == "efi"} or {0}
    parts = list(_partitions(windows))
    for number in sorted(disks - windows.dynamic_disks):
        members = [volume for volume in windows.volumes if volume.disk == number and volume.kind != "cd"]
        shared = any(volume.file_system == "CSVFS" for volume in members)
        virtual = isinstance(windows, Guest)
        own = [part for part in parts if part.disk == number]
        yield instance(
            "MSFT_Disk",
            windows.release,
            ObjectId=f"disk:{identity(windows.fqdn, str(number))}",
            Number=number,
            FriendlyName="Msft Virtual Disk" if virtual else "COMPELNT Compellent Vol" if shared else "PERC H730",
            SerialNumber=None if virtual else disk_serial(windows, number),
            BusType=10 if virtual else ISCSI if shared else RAID,
            PartitionStyle=2 if _gpt(windows, members[0]) else 1,
            Size=own[-1].offset + own[-1].size + MIB,
            NumberOfPartitions=len(own),
            IsBoot=any(volume.letter == "C" for volume in members),
            IsSystem=any(volume.kind in {"efi", "system reserved"} for volume in members),
            BootFromDisk=with_efi == {number},
            IsClustered=shared,
            IsOffline=False,
            IsReadOnly=False,
            HealthStatus=0,
        )


def disk_serial(windows: Windows, number: int) -> str:
    """The serial number of a disk of a host, as its controller made it up; a shared one has the same on every node."""
    shared = [volume.guid for volume in windows.volumes if volume.disk == number and volume.file_system == "CSVFS"]
    owner = shared[:1] or [windows.fqdn, str(number)]
    return identity("disk serial", *owner).replace("-", "")[:16]


VIEWS: dict[str, View] = {
    "Win32_Volume": volumes,
    "Win32_LogicalDisk": logical_disks,
    "Win32_MountPoint": mount_points,
    "Win32_DiskPartition": disk_partitions,
    "Win32_ShadowCopy": shadow_copies,
    "Win32_ShadowStorage": shadow_storage,
}
MSFT_VIEWS: dict[str, View] = {
    "MSFT_Disk": msft_disks,
    "MSFT_Partition": msft_partitions,
    "MSFT_Volume": msft_volumes,
}
