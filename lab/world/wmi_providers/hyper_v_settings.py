r"""root/virtualization/v2: what a guest is made of: drives and their files, devices of the host, security settings.

InstanceID "Microsoft:<VM id>\<controller>\<number>\D" of a drive and "…\L" of what is in it, the chain by Parent and
HostResource, and the subtypes' words: published drivers [src]. Templates are "Microsoft:Definition\…" [src]. That an assigned
device names its host's by a path in HostResource: CIM_ResourceAllocationSettingData [doc].
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance
from lab.world.class_availability import instance
from lab.world.model import Guest, identity
from lab.world.wmi_providers import Scene, View
from lab.world.wmi_providers.hyper_v import guests_of

_IDE, _SCSI = "83F8638B-8DCA-4152-9EDA-2CA8B33039B4", "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F"
_RASD = "Msvm_ResourceAllocationSettingData"
_IDE_CONTROLLER, _SCSI_CONTROLLER, _DVD, _DISK, _EXTENT, _OTHER = 5, 6, 16, 17, 31, 1  # ResourceType [doc]


def _own(guest: Guest, *parts: str) -> str:
    return "\\".join((f"Microsoft:{guest.vm_id.upper()}", *parts))


def _controller(guest: Guest, disk: int) -> str:
    """IDE for what a guest of generation 1 starts from, else SCSI."""
    return _own(guest, _IDE if guest.generation == 1 and not disk else _SCSI, "0")


def _path(scene: Scene, key: str) -> str:
    doubled = key.replace("\\", "\\\\")
    return f'\\\\{scene.windows.name.upper()}\\root\\virtualization\\v2:{_RASD}.InstanceID="{doubled}"'


def drives(scene: Scene) -> Iterator[Instance]:
    """Msvm_ResourceAllocationSettingData: a template, and each guest's controllers, disk drives and DVD drive."""
    yield _drive(
        scene, "Microsoft:Definition\\7839D548-6F0C-4D5C-B1D8-9D3A9B6E1C55\\Default", "Synthetic Disk Drive", _DISK
    )
    for guest in guests_of(scene):
        if guest.generation == 1:
            for channel in ("0", "1"):
                yield _drive(scene, _own(guest, _IDE, channel), "Emulated IDE Controller", _IDE_CONTROLLER)
        yield _drive(scene, _own(guest, _SCSI, "0"), "Synthetic SCSI Controller", _SCSI_CONTROLLER)
        for disk in _disks(guest):
            controller = _controller(guest, disk)
            yield _drive(scene, f"{controller}\\{disk}\\D", "Synthetic Disk Drive", _DISK, parent=controller)
        controller = _dvd_controller(guest)
        yield _drive(scene, f"{controller}\\63\\D", "Synthetic DVD Drive", _DVD, parent=controller)
        for number, device in enumerate(guest.physical_disks):
            key = _own(guest, _SCSI, "0", str(32 + number), "D")
            yield _drive(scene, key, "Physical Disk Drive", _DISK, parent=_own(guest, _SCSI, "0"), host=device)


def _dvd_controller(guest: Guest) -> str:
    return _own(guest, _IDE if guest.generation == 1 else _SCSI, "1" if guest.generation == 1 else "0")


def _disks(guest: Guest) -> list[int]:
    return sorted({volume.disk for volume in guest.volumes if volume.kind != "cd"} or {0})


def _drive(scene: Scene, key: str, subtype: str, kind: int, *, parent: str = "", host: str = "") -> Instance:
    return instance(
        _RASD,
        scene.windows.release,
        InstanceID=key,
        ElementName=subtype,
        ResourceType=kind,
        ResourceSubType=f"Microsoft:Hyper-V:{subtype}",
        Parent=_path(scene, parent) if parent else None,
        HostResource=(host,) if host else None,
    )


def files(scene: Scene) -> Iterator[Instance]:
    """Msvm_StorageAllocationSettingData: virtual hard disks, and the disc in a DVD drive; an empty drive has none."""
    for guest in guests_of(scene):
        store = f"{guest.shared_volume.path}\\{guest.name}"
        for disk in _disks(guest):
            key = f"{_controller(guest, disk)}\\{disk}"
            yield _file(scene, key, "Virtual Hard Disk", f"{store}\\disk{disk}.vhdx")
        if guest.disc:
            yield _file(scene, f"{_dvd_controller(guest)}\\63", "Virtual CD/DVD Disk", guest.disc)


def _file(scene: Scene, key: str, subtype: str, file: str) -> Instance:
    return instance(
        "Msvm_StorageAllocationSettingData",
        scene.windows.release,
        InstanceID=f"{key}\\L",
        ElementName=subtype,
        ResourceType=_EXTENT,
        ResourceSubType=f"Microsoft:Hyper-V:{subtype}",
        Parent=_path(scene, f"{key}\\D"),
        HostResource=(file,),
    )


def security(scene: Scene) -> Iterator[Instance]:
    """Msvm_SecuritySettingData: one per guest."""
    for guest in guests_of(scene):
        yield instance(
            "Msvm_SecuritySettingData",
            scene.windows.release,
            InstanceID=_own(guest, identity("security", guest.vm_id).upper()),
            ElementName="Security Settings",
            TpmEnabled=guest.tpm,
            KsdEnabled=False,
            ShieldingRequested=False,
            DataProtectionRequested=False,
            EncryptStateAndVmMigrationTraffic=guest.tpm,
            VirtualizationBasedSecurityOptOut=False,
        )


def devices(scene: Scene) -> Iterator[Instance]:
    """Msvm_PciExpressSettingData: one per assigned device."""
    for guest in guests_of(scene):
        for location in guest.assigned_devices:
            yield instance(
                "Msvm_PciExpressSettingData",
                scene.windows.release,
                InstanceID=_own(guest, identity("pci", guest.vm_id, location).upper()),
                ElementName="PCI Express Port",
                ResourceType=_OTHER,
                ResourceSubType="Microsoft:Hyper-V:Virtual Pci Express Port",
                HostResource=(location,),
            )


VIEWS: dict[str, View] = {
    _RASD: drives,
    "Msvm_StorageAllocationSettingData": files,
    "Msvm_SecuritySettingData": security,
    "Msvm_PciExpressSettingData": devices,
}
