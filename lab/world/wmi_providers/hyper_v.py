"""root/virtualization/v2: the guests that a node runs, and the node itself. Each node knows only its own guests.

Value meanings: Msvm_ComputerSystem and Msvm_SummaryInformation pages [doc]; 6 saved and 9 paused, and the host's own
row with the host's name [cap, go-wsman]; OperationalStatus[1] 32774 "migrating" [doc], 32776 "backing up": the PowerShell module's enum [src].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from lab.windows.machine_protocol import Instance, Wmi
from lab.world import kvp
from lab.world.class_availability import instance
from lab.world.model import MIB, Guest, Node, identity
from lab.world.wmi_providers import Scene, View, replica

NAMESPACE = "root/virtualization/v2"
MIGRATING, BACKING_UP = 32774, 32776
NEVER = replica.NEVER
ENABLED_STATES = {"running": 2, "off": 3, "saved": 6, "paused": 9}
_VERSIONS = {"2012": "4.0", "2012R2": "5.0"}  # of a virtual machine's configuration
HOST_CAPTIONS = {"en-US": "Hosting Computer System", "de-DE": "Hostcomputersystem", "fr-FR": "Système hôte"}
OK, NO_CONTACT = 2, 12


def guests_of(scene: Scene) -> list[Guest]:
    """The guests of the node that is asked."""
    assert isinstance(scene.windows, Node)
    return scene.windows.guests


def operational_status(guest: Guest) -> tuple[int, ...]:
    """OperationalStatus: OK, with what is done to the guest beside it."""
    if guest.move is not None and guest.move.kind == "live":
        return (OK, MIGRATING)
    return (OK, BACKING_UP) if guest.backing_up else (OK,)


_DESCRIPTIONS = {OK: "Operating normally", MIGRATING: "Migrating", BACKING_UP: "Backing up"}  # the words: [mem]


def up_time(guest: Guest, now: datetime) -> int:
    """Milliseconds since the guest started; 0 when it does not run."""
    return int((now - guest.booted) / timedelta(milliseconds=1)) if guest.state in {"running", "paused"} else 0


def _host(scene: Scene) -> Instance:
    host = scene.windows
    return instance(
        "Msvm_ComputerSystem",
        host.release,
        Caption=HOST_CAPTIONS[host.language],
        Description="Microsoft Hosting Computer System",
        ElementName=host.name.upper(),
        Name=host.name.upper(),
        CreationClassName="Msvm_ComputerSystem",
        EnabledState=2,
        RequestedState=12,
        HealthState=5,
        OperationalStatus=(OK,),
        StatusDescriptions=("Operating normally",),
    )


def _computer_system(guest: Guest, now: datetime) -> Instance:
    return instance(
        "Msvm_ComputerSystem",
        guest.node.release,
        Caption="Virtual Machine",
        Description="Microsoft Virtual Machine",
        ElementName=guest.name,
        Name=guest.vm_id.upper(),
        CreationClassName="Msvm_ComputerSystem",
        EnabledState=ENABLED_STATES[guest.state],
        EnabledDefault=2,
        RequestedState=12,
        HealthState=5,
        InstallDate=guest.created,
        OperationalStatus=operational_status(guest),
        StatusDescriptions=tuple(_DESCRIPTIONS[status] for status in operational_status(guest)),
        OnTimeInMilliseconds=up_time(guest, now),
        ProcessID=2000 + int(guest.vm_id[:4], 16) // 4 * 4 if guest.state == "running" else None,
        TimeOfLastConfigurationChange=guest.created,
        TimeOfLastStateChange=guest.booted,
        NumberOfNumaNodes=1,
        **replica.of_machine(guest),
        LastSuccessfulBackupTime=guest.last_backup or NEVER,
        EnhancedSessionModeState=3,
    )


def computer_systems(scene: Scene) -> Iterator[Instance]:
    """Msvm_ComputerSystem: the host itself, then its guests."""
    yield _host(scene)
    for guest in guests_of(scene):
        yield _computer_system(guest, scene.now)


def summaries(scene: Scene) -> Iterator[Instance]:
    """Msvm_SummaryInformation, with what its version 1 does not have yet."""
    for guest in guests_of(scene):
        runs = guest.state == "running"
        yield summary(
            guest,
            scene.now,
            ENABLED_STATES,
            InstanceID=f"Microsoft:{guest.vm_id.upper()}",
            IntegrationServicesVersionState=(1 if guest.release.family == "windows" else 2) if runs else 0,
            ProcessorLoad=3 if runs else 0,
            ReplicationHealth=guest.replication.health if guest.replication else 0,
            ReplicationMode=guest.replication.mode if guest.replication else 0,
            ReplicationState=guest.replication.state if guest.replication else 0,
            Version=guest.configuration or _VERSIONS.get(guest.node.release.key, "8.0"),
            VirtualSystemSubType=f"Microsoft:Hyper-V:SubType:{guest.generation}",
        )


def summary(guest: Guest, now: datetime, states: Mapping[str, int], **more: Wmi) -> Instance:
    """What Msvm_SummaryInformation says of a guest in either namespace. MemoryUsage in MB."""
    runs = guest.state == "running"
    return instance(
        "Msvm_SummaryInformation",
        guest.node.release,
        Name=guest.vm_id.upper(),
        ElementName=guest.name,
        CreationTime=guest.created,
        EnabledState=states[guest.state],
        GuestOperatingSystem=guest.release.caption.removeprefix("Microsoft ").rstrip() if runs else "",
        HealthState=5,
        Heartbeat=OK if runs else NO_CONTACT,
        MemoryUsage=guest.memory // MIB if runs else 0,
        NumberOfProcessors=guest.processors,
        OperationalStatus=operational_status(guest),
        UpTime=up_time(guest, now),
        Notes="",
        **more,
    )


def settings(scene: Scene) -> Iterator[Instance]:
    """Msvm_VirtualSystemSettingData: the current settings of each guest, with its BIOS GUID in braces."""
    for guest in guests_of(scene):
        store = f"{guest.shared_volume.path}\\{guest.name}"
        yield instance(
            "Msvm_VirtualSystemSettingData",
            guest.node.release,
            InstanceID=f"Microsoft:{guest.vm_id.upper()}",
            Caption="Virtual Machine Settings",
            Description="Active settings for the virtual machine.",
            ElementName=guest.name,
            VirtualSystemIdentifier=guest.vm_id.upper(),
            VirtualSystemType="Microsoft:Hyper-V:System:Realized",
            VirtualSystemSubType=f"Microsoft:Hyper-V:SubType:{guest.generation}",
            BIOSGUID=f"{{{guest.bios_guid.upper()}}}",
            BIOSSerialNumber=serial_number(guest),
            ChassisSerialNumber=serial_number(guest),
            BaseBoardSerialNumber=serial_number(guest),
            ChassisAssetTag=serial_number(guest),
            ConfigurationDataRoot=store,
            SnapshotDataRoot=store,
            SuspendDataRoot=store,
            SwapFileDataRoot=store,
            CreationTime=guest.created,
            AutomaticStartupAction=3,
            AutomaticShutdownAction=3,
            AutomaticRecoveryAction=3,
            IncrementalBackupEnabled=False,
            IsSaved=guest.state == "saved",
            Notes=(),
            SecureBootEnabled=guest.generation > 1,
            Version=guest.configuration or _VERSIONS.get(guest.node.release.key, "8.0"),
        )


def serial_number(guest: Guest) -> str:
    """The serial number Hyper-V gives a virtual machine: seven groups of digits [mem]."""
    digits = str(int(identity("serial", guest.vm_id).replace("-", ""), 16))[:26].zfill(26)
    return "-".join([*(digits[at : at + 4] for at in range(0, 24, 4)), digits[24:]])


def key_value_pairs(scene: Scene) -> Iterator[Instance]:
    """Msvm_KvpExchangeComponent: what the guests told about themselves."""
    for guest in guests_of(scene):
        yield component(
            guest,
            "Msvm_KvpExchangeComponent",
            "Key-Value Pair Exchange",
            part="kvp",
            works=guest.state == "running" and service_runs(guest, "vmickvpexchange"),
            GuestExchangeItems=(),
            GuestIntrinsicExchangeItems=kvp.items(guest),
        )


def vss_components(scene: Scene) -> Iterator[Instance]:
    """Msvm_VssComponent: whether a guest can freeze for a backup of the host."""
    for guest in guests_of(scene):
        works = guest.state == "running" and guest.release.family == "windows" and service_runs(guest, "vmicvss")
        yield component(guest, "Msvm_VssComponent", "Volume Shadow Copy", part="vss", works=works)


def heartbeats(scene: Scene) -> Iterator[Instance]:
    """Msvm_HeartbeatComponent: whether a guest's kernel answers. In Linux it needs no daemon: hv_utils does it [mem]."""
    for guest in guests_of(scene):
        works = guest.state == "running" and service_runs(guest, "vmicheartbeat")
        yield component(guest, "Msvm_HeartbeatComponent", "Heartbeat", part="heartbeat", works=works)


def shutdown_components(scene: Scene) -> Iterator[Instance]:
    """Msvm_ShutdownComponent: whether the host can have a guest shut down."""
    for guest in guests_of(scene):
        works = guest.state == "running" and service_runs(guest, "vmicshutdown")
        yield component(guest, "Msvm_ShutdownComponent", "Shutdown", part="shutdown", works=works)


def jobs(scene: Scene) -> Iterator[Instance]:
    """Msvm_ConcreteJob: what the host works at, or has worked at a moment ago."""
    assert isinstance(scene.windows, Node)
    for job in scene.windows.jobs:
        yield instance(
            "Msvm_ConcreteJob",
            scene.windows.release,
            InstanceID=job.id,
            JobState=job.state,
            PercentComplete=job.percent,
            StartTime=job.started,
            ErrorCode=0,
        )


def service_runs(guest: Guest, name: str) -> bool:
    """Whether a service of integration services runs; True where the guest has none of that name."""
    service = guest.services.get(name)
    return service is None or service.state == "Running"


def component(guest: Guest, cls: str, name: str, *, part: str, works: bool, **more: Wmi) -> Instance:
    """An integration component of a guest, in either namespace. Switched off it says OK, as a published listing does [src]."""
    off = part in guest.components_off
    usual = (OK,) if works or off else (NO_CONTACT,)
    return instance(
        cls,
        guest.node.release,
        CreationClassName=cls,
        DeviceID=f"Microsoft:{guest.vm_id.upper()}\\{identity(cls).upper()}",
        SystemCreationClassName="Msvm_ComputerSystem",
        SystemName=guest.vm_id.upper(),
        ElementName=name,
        EnabledState=3 if off else 2,
        RequestedState=12,
        HealthState=5,
        Description="",
        OperationalStatus=guest.component_status.get(part, usual) if guest.state == "running" and not off else usual,
        **more,
    )


VIEWS: dict[str, View] = {
    "Msvm_ComputerSystem": computer_systems,
    "Msvm_SummaryInformation": summaries,
    "Msvm_VirtualSystemSettingData": settings,
    "Msvm_KvpExchangeComponent": key_value_pairs,
    "Msvm_VssComponent": vss_components,
    "Msvm_HeartbeatComponent": heartbeats,
    "Msvm_ShutdownComponent": shutdown_components,
    "Msvm_ConcreteJob": jobs,
}
