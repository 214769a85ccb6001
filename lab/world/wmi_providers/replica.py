r"""Hyper-V Replica in root/virtualization/v2: relationships, their settings, and the statistics that a method tells.

Msvm_ReplicationRelationship since 2012 R2, Msvm_ReplicationSettingData and GetReplicationStatistics since 2012 [doc].
InstanceID is "Microsoft:<machine>\HVR\0" [doc]. Times that never came are 1601-01-01 [cap]. ReplicationLatency and
ReplicationSize are sums over the cycles of the monitoring period; LastTestFailoverTime is known to the recovery server
alone [doc].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from lab.windows.machine_protocol import Instance, Reference, Wmi, WmiFailure
from lab.world.class_availability import instance
from lab.world.method_call import INVALID_PARAMETER, Call
from lab.world.model import Guest, Node, Replication
from lab.world.wmi_providers import Scene, View

NEVER = datetime(1601, 1, 1, tzinfo=UTC)
_MONITORING = timedelta(hours=12)  # MonitoringInterval: 43200 s by default [doc]
_REPLICA = 2
NOT_FOUND = 32779  # of the standard return codes of Hyper-V: "system not available" [doc]


def of_machine(guest: Guest) -> Mapping[str, Wmi]:
    """What Msvm_ComputerSystem says of a machine's first relationship."""
    told = guest.replication
    if told is None:
        never: Mapping[str, Wmi] = {"ReplicationHealth": 0, "ReplicationMode": 0, "ReplicationState": 0}
        return {**never, "LastReplicationTime": NEVER, "LastApplicationConsistentReplicationTime": NEVER}
    return {
        "ReplicationHealth": told.health,
        "ReplicationMode": told.mode,
        "ReplicationState": told.state,
        "LastReplicationTime": told.last or NEVER,
        "LastApplicationConsistentReplicationTime": NEVER,
    }


def _replicated(scene: Scene) -> Iterator[tuple[Guest, Replication]]:
    assert isinstance(scene.windows, Node)
    for guest in scene.windows.guests:
        if guest.replication is not None:
            yield guest, guest.replication


def relationships(scene: Scene) -> Iterator[Instance]:
    """Msvm_ReplicationRelationship."""
    for guest, told in _replicated(scene):
        yield instance(
            "Msvm_ReplicationRelationship",
            guest.node.release,
            InstanceID=f"Microsoft:{guest.vm_id.upper()}\\HVR\\0",
            ReplicationState=told.state,
            ReplicationHealth=told.health,
            LastReplicationTime=told.last or NEVER,
            LastApplyTime=(told.last or NEVER) if told.mode == _REPLICA else NEVER,
            LastApplicationConsistentReplicationTime=NEVER,
            LastReplicationType=1 if told.last else 0,
            FailedOverReplicationType=told.failed_over,
        )
        if told.extended is not None:
            state, health = told.extended
            yield instance(
                "Msvm_ReplicationRelationship",
                guest.node.release,
                InstanceID=f"Microsoft:{guest.vm_id.upper()}\\HVR\\1",
                ReplicationState=state,
                ReplicationHealth=health,
                LastReplicationTime=told.last or NEVER,
                LastApplyTime=NEVER,
                LastApplicationConsistentReplicationTime=NEVER,
                LastReplicationType=1,
                FailedOverReplicationType=0,
            )


def settings(scene: Scene) -> Iterator[Instance]:
    """Msvm_ReplicationSettingData."""
    for guest, told in _replicated(scene):
        yield instance(
            "Msvm_ReplicationSettingData",
            guest.node.release,
            InstanceID=f"Microsoft:{guest.vm_id.upper()}\\HVR\\0",
            ElementName=guest.name,
            VirtualSystemIdentifier=guest.vm_id.upper(),
            AuthenticationType=1,
            PrimaryHostSystem=told.primary,
            PrimaryConnectionPoint=told.primary,
            RecoveryHostSystem=told.recovery,
            RecoveryConnectionPoint=told.recovery,
            RecoveryServerPortNumber=80,
            ReplicationInterval=told.interval if guest.node.release.at_least("2012R2") else None,
            RecoveryHistory=4,
            AutoResynchronizeEnabled=True,
            AutoResynchronizeIntervalStart=timedelta(hours=18, minutes=30),  # the class's own defaults [doc]
            AutoResynchronizeIntervalEnd=timedelta(hours=6),
            CompressionEnabled=True,
            BypassProxyServer=False,
            ReplicateHostKvpItems=True,
            ApplicationConsistentSnapshotInterval=0,
            EnableWriteOrderPreservationAcrossDisks=False,
            IncludedDisks=(f"{guest.shared_volume.path}\\{guest.name}\\{guest.name}.vhdx",),
        )


def services(scene: Scene) -> Iterator[Instance]:
    """Msvm_ReplicationService, one on every host."""
    yield instance(
        "Msvm_ReplicationService",
        scene.windows.release,
        Caption="Hyper-V Replication Service",
        CreationClassName="Msvm_ReplicationService",
        Name="VMMS",
        SystemCreationClassName="Msvm_ComputerSystem",
        SystemName=scene.windows.name.upper(),
        Started=True,
    )


def statistics(call: Call) -> Mapping[str, Wmi]:
    """GetReplicationStatistics: the statistics of one machine's relationships."""
    call.takes("ComputerSystem")
    machine = call.params.get("ComputerSystem")
    if not isinstance(machine, Reference):
        raise WmiFailure(INVALID_PARAMETER, "Invalid parameter ")
    assert isinstance(call.windows, Node)
    named = str(machine.keys.get("Name", "")).casefold()
    guest = next((one for one in call.windows.guests if one.vm_id.casefold() == named), None)
    if guest is None:
        return {"ReturnValue": NOT_FOUND}
    told = (_document(guest.replication, call.world.now),) if guest.replication else ()
    return {"ReplicationStatistics": told, "ReplicationHealthIssues": (), "Job": None, "ReturnValue": 0}


def _document(told: Replication, now: datetime) -> str:
    values = {
        "ApplicationConsistentSnapshotFailureCount": ("uint32", "0"),
        "EndStatisticTime": ("datetime", _dmtf(now)),
        "LastTestFailoverTime": ("datetime", _dmtf(told.tested or NEVER)),
        "MaxReplicationLatency": ("uint32", str(told.latency // told.cycles * 3 if told.cycles else 0)),
        "NetworkFailureCount": ("uint32", "0"),
        "PendingReplicationSize": ("uint64", str(told.pending)),
        "ReplicationFailureCount": ("uint32", "0"),
        "ReplicationHealth": ("uint32", str(told.health)),
        "ReplicationLatency": ("uint32", str(told.latency)),
        "ReplicationMissCount": ("uint32", str(told.missed)),
        "ReplicationSize": ("uint64", str(told.size)),
        "ReplicationSuccessCount": ("uint32", str(told.cycles)),
        "StartStatisticTime": ("datetime", _dmtf(now - _MONITORING)),
    }
    inside = "".join(
        f'<PROPERTY NAME="{name}" TYPE="{kind}"><VALUE>{value}</VALUE></PROPERTY>'
        for name, (kind, value) in values.items()
    )
    return f'<INSTANCE CLASSNAME="Msvm_ReplicationStatistics">{inside}</INSTANCE>'


def _dmtf(at: datetime) -> str:
    """A time as CIM writes it: 20260512091500.000000+000."""
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+000").rjust(25, "0")


VIEWS: dict[str, View] = {
    "Msvm_ReplicationRelationship": relationships,
    "Msvm_ReplicationSettingData": settings,
    "Msvm_ReplicationService": services,
}
