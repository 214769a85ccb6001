"""root/virtualization, the first Hyper-V namespace: all that a 2008 R2 node has, other numbers and fewer properties.

Value meanings: the archived Virtual pages [doc]: EnabledState 32768 paused, 32769 saved; SettingType 3 = current.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine import Instance
from lab.world import kvp
from lab.world.classes import instance
from lab.world.model import MIB
from lab.world.views import Scene, View
from lab.world.views.hyper_v import component, guests_of, operational_status, serial_number, up_time

NAMESPACE = "root/virtualization"
ENABLED_STATES = {"running": 2, "off": 3, "paused": 32768, "saved": 32769}
OK, NO_CONTACT = 2, 12


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
    """Msvm_SummaryInformation. MemoryUsage in MB."""
    for guest in guests_of(scene):
        runs = guest.state == "running"
        yield instance(
            "Msvm_SummaryInformation",
            guest.node.release,
            Name=guest.vm_id.upper(),
            ElementName=guest.name,
            CreationTime=guest.created,
            EnabledState=ENABLED_STATES[guest.state],
            GuestOperatingSystem=guest.release.caption.removeprefix("Microsoft ").rstrip() if runs else "",
            HealthState=5,
            Heartbeat=OK if runs else NO_CONTACT,
            MemoryUsage=guest.memory // MIB if runs else 0,
            NumberOfProcessors=guest.processors,
            OperationalStatus=operational_status(guest),
            UpTime=up_time(guest, scene.now),
            Notes="",
        )


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
            Notes="",
        )


def key_value_pairs(scene: Scene) -> Iterator[Instance]:
    """Msvm_KvpExchangeComponent: what the guests told about themselves."""
    for guest in guests_of(scene):
        yield instance(
            "Msvm_KvpExchangeComponent",
            guest.node.release,
            **component(guest, "Msvm_KvpExchangeComponent"),
            ElementName="Key-Value Pair Exchange",
            OperationalStatus=(OK if guest.state == "running" else NO_CONTACT,),
            GuestIntrinsicExchangeItems=kvp.items(guest),
        )


def vss_components(scene: Scene) -> Iterator[Instance]:
    """Msvm_VssComponent."""
    for guest in guests_of(scene):
        yield instance(
            "Msvm_VssComponent",
            guest.node.release,
            **component(guest, "Msvm_VssComponent"),
            ElementName="Volume Shadow Copy",
            OperationalStatus=(OK,),
        )


VIEWS: dict[str, View] = {
    "Msvm_ComputerSystem": computer_systems,
    "Msvm_SummaryInformation": summaries,
    "Msvm_VirtualSystemSettingData": settings,
    "Msvm_KvpExchangeComponent": key_value_pairs,
    "Msvm_VssComponent": vss_components,
}
