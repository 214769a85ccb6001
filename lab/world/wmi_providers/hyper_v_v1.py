"""root/virtualization, the first Hyper-V namespace: all that a 2008 R2 node has, other numbers and fewer properties.

Value meanings: the archived Virtual pages [doc]: EnabledState 32768 paused, 32769 saved; SettingType 3 = current.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance
from lab.world import kvp
from lab.world.class_availability import instance
from lab.world.model import identity
from lab.world.wmi_providers import Scene, View
from lab.world.wmi_providers.hyper_v import (
    OK,
    component,
    guests_of,
    heartbeats,
    operational_status,
    serial_number,
    service_runs,
    summary,
    up_time,
    vss_components,
)

NAMESPACE = "root/virtualization"
ENABLED_STATES = {"running": 2, "off": 3, "paused": 32768, "saved": 32769}
IDE_CONTROLLER, SCSI_CONTROLLER, DISK_DRIVE, STORAGE_EXTENT = 5, 6, 21, 20


def computer_systems(scene: Scene) -> Iterator[Instance]:
    """Msvm_ComputerSystem: the host itself, then its guests."""
    host = scene.windows
    yield instance(
        "Msvm_ComputerSystem",
        host.release,
        Caption="Hosting Computer System",
        Description="Microsoft Hosting Computer System",
        ElementName=host.name.upper(),
        Name=host.name.upper(),
        CreationClassName="Msvm_ComputerSystem",
        EnabledState=2,
        HealthState=5,
        OperationalStatus=(OK,),
    )
    for guest in guests_of(scene):
        yield instance(
            "Msvm_ComputerSystem",
            host.release,
            Caption="Virtual Machine",
            Description="Microsoft Virtual Machine",
            ElementName=guest.name,
            Name=guest.vm_id.upper(),
            CreationClassName="Msvm_ComputerSystem",
            EnabledState=ENABLED_STATES[guest.state],
            HealthState=5,
            InstallDate=guest.created,
            OperationalStatus=operational_status(guest),
            OnTimeInMilliseconds=up_time(guest, scene.now),
            TimeOfLastStateChange=guest.booted,
        )


def summaries(scene: Scene) -> Iterator[Instance]:
    """Msvm_SummaryInformation."""
    for guest in guests_of(scene):
        yield summary(guest, scene.now, ENABLED_STATES)


def settings(scene: Scene) -> Iterator[Instance]:
    """Msvm_VirtualSystemSettingData: the current settings of each guest."""
    for guest in guests_of(scene):
        yield instance(
            "Msvm_VirtualSystemSettingData",
            guest.node.release,
            InstanceID=f"Microsoft:{guest.vm_id.upper()}",
            SystemName=guest.vm_id.upper(),
            ElementName=guest.name,
            SettingType=3,
            BIOSGUID=f"{{{guest.bios_guid.upper()}}}",
            BIOSSerialNumber=serial_number(guest),
            CreationTime=guest.created,
        )


def key_value_pairs(scene: Scene) -> Iterator[Instance]:
    """Msvm_KvpExchangeComponent: what the guests told about themselves."""
    for guest in guests_of(scene):
        yield component(
            guest,
            "Msvm_KvpExchangeComponent",
            "Key-Value Pair Exchange",
            part="kvp",
            works=guest.state == "running" and service_runs(guest, "vmickvpexchange"),
            GuestIntrinsicExchangeItems=kvp.items(guest),
        )


def resource_allocations(scene: Scene) -> Iterator[Instance]:
    """Msvm_ResourceAllocationSettingData: controllers, drives and disks; the first disk on IDE, the others on SCSI.

    A disk's parent is its drive, the drive's its controller, each as a WMI path; subtype names with "Microsoft " [doc].
    """
    for guest in guests_of(scene):
        vm = f"Microsoft:{guest.vm_id.upper()}"
        ide, scsi = f"{vm}\\{identity('ide').upper()}\\0", f"{vm}\\{identity('scsi').upper()}\\0"
        yield _allocation(scene, ide, "Microsoft Emulated IDE Controller", IDE_CONTROLLER)
        yield _allocation(scene, scsi, "Microsoft Synthetic SCSI Controller", SCSI_CONTROLLER)
        for disk in sorted({volume.disk for volume in guest.volumes if volume.kind != "cd"} or {0}):
            controller = scsi if disk else ide
            drive, image = f"{controller}\\{disk}\\D", f"{controller}\\{disk}\\L"
            name = (
                f"disk{disk}_{identity('checkpoint', vm).upper()}.avhd"
                if disk in guest.checkpointed
                else f"disk{disk}.vhd"
            )
            file = f"{guest.shared_volume.path}\\{guest.name}\\{name}"
            yield _allocation(scene, drive, "Microsoft Synthetic Disk Drive", DISK_DRIVE, parent=controller)
            yield _allocation(scene, image, "Microsoft Virtual Hard Disk", STORAGE_EXTENT, parent=drive, file=file)


def _allocation(scene: Scene, key: str, subtype: str, kind: int, *, parent: str = "", file: str = "") -> Instance:
    doubled = parent.replace("\\", "\\\\")
    host = scene.windows.name.upper()
    path = f'\\\\{host}\\root\\virtualization:Msvm_ResourceAllocationSettingData.InstanceID="{doubled}"'
    return instance(
        "Msvm_ResourceAllocationSettingData",
        scene.windows.release,
        InstanceID=key,
        ElementName=subtype.removeprefix("Microsoft "),
        ResourceType=kind,
        ResourceSubType=subtype,
        Parent=path if parent else None,
        Connection=(file,) if file else None,
    )


VIEWS: dict[str, View] = {
    "Msvm_ResourceAllocationSettingData": resource_allocations,
    "Msvm_ComputerSystem": computer_systems,
    "Msvm_SummaryInformation": summaries,
    "Msvm_VirtualSystemSettingData": settings,
    "Msvm_KvpExchangeComponent": key_value_pairs,
    "Msvm_VssComponent": vss_components,
    "Msvm_HeartbeatComponent": heartbeats,
}
