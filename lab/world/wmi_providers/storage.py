"""Volumes and partitions: Win32_Volume and its kin in root/cimv2, MSFT_* in root/Microsoft/Windows/Storage.

Property meanings: CIMWin32Prov, VssWmi and stormgmt pages [doc]; partition types: the New-Partition page [doc].
MSFT DriveLetter is a char16, of which no capture exists: answered as one character, as CIM's own XML binding has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance, Reference
from lab.world.class_availability import instance
from lab.world.model import MIB, Guest, Volume, Windows, identity
from lab.world.wmi_providers import Scene, View

GPT_TYPES = {
    "efi": "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}",
    "recovery": "{de94bba4-06d1-4d40-a16a-bfd50179d6ac}",
    "basic": "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}",
    "system reserved": "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}",
}
FIXED, CD = 3, 5
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
    """Win32_DiskPartition. The words of Type for GPT disks: [mem]."""
    windows = scene.windows
    for index, volume, offset in _partitions(windows):
        name = f"Disk #{volume.disk}, Partition #{index}"
        words = {"efi": "GPT: System", "recovery": "GPT: Unknown"}.get(volume.kind, "GPT: Basic Data")
        yield instance(
            "Win32_DiskPartition",
            windows.release,
            DeviceID=name,
            Name=name,
            Caption=name,
            DiskIndex=volume.disk,
            Index=index,
            Size=volume.capacity,
            StartingOffset=offset,
            Bootable=volume.kind in {"efi", "system reserved"},
            BootPartition=volume.kind in {"efi", "system reserved"},
            PrimaryPartition=True,
            Type=words if _gpt(windows, volume) else "Installable File System",
            BlockSize=512,
            NumberOfBlocks=volume.capacity // 512,
            SystemName=windows.name.upper(),
        )


def _gpt(windows: Windows, volume: Volume) -> bool:
    return volume.disk > 0 or any(each.kind == "efi" for each in windows.volumes)


def _partitions(windows: Windows) -> Iterator[tuple[int, Volume, int]]:
    """Partition index (from 0, per disk), volume, starting offset."""
    seen: dict[int, tuple[int, int]] = {}
    for volume in windows.volumes:
        if volume.kind != "cd":
            index, offset = seen.get(volume.disk, (0, MIB))
            yield index, volume, offset
            seen[volume.disk] = (index + 1, offset + volume.capacity)


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
    """MSFT_Partition; AccessPaths carry the volume's device id, which ties it to Win32_Volume."""
    windows = scene.windows
    for index, volume, _ in _partitions(windows):
        gpt = _gpt(windows, volume)
        paths = [path for path in (f"{volume.letter}:\\" if volume.letter else "", volume.mount) if path]
        yield instance(
            "MSFT_Partition",
            windows.release,
            ObjectId=f"partition:{identity(windows.fqdn, volume.guid)}",
            DiskNumber=volume.disk,
            PartitionNumber=index + 1,
            DriveLetter=volume.letter or None,
            AccessPaths=(*paths, device_id(volume.guid)),
            OperationalStatus=1,
            TransitionState=1,
            Size=volume.capacity,
            MbrType=None if gpt else (FAT32 if volume.file_system == "FAT32" else IFS),
            GptType=GPT_TYPES[volume.kind] if gpt else None,
            Guid=f"{{{identity('gpt', volume.guid)}}}" if gpt else None,
            IsSystem=volume.kind in {"efi", "system reserved"},
            IsBoot=volume.letter == "C",
            IsActive=volume.kind == "system reserved",
            IsHidden=volume.kind in {"efi", "recovery"},
            IsReadOnly=False,
            IsOffline=False,
            IsShadowCopy=False,
            NoDefaultDriveLetter=volume.kind in {"efi", "recovery"},
        )


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
    """MSFT_Disk: one per disk that carries a volume."""
    windows = scene.windows
    for number in sorted({volume.disk for volume in windows.volumes if volume.kind != "cd"}):
        members = [volume for volume in windows.volumes if volume.disk == number and volume.kind != "cd"]
        yield instance(
            "MSFT_Disk",
            windows.release,
            ObjectId=f"disk:{identity(windows.fqdn, str(number))}",
            Number=number,
            FriendlyName="Msft Virtual Disk" if isinstance(windows, Guest) else "PERC H730",
            PartitionStyle=2 if _gpt(windows, members[0]) else 1,
            Size=sum(volume.capacity for volume in members) + 2 * MIB,
            NumberOfPartitions=len(members),
            IsBoot=number == 0,
            IsSystem=number == 0,
            IsOffline=False,
            IsReadOnly=False,
            HealthStatus=0,
        )


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
