r"""Hyper-V Replica's methods, and those that start and shut down a guest, in root/virtualization/v2.

Signatures, states and return values: the pages of Msvm_ReplicationService, Msvm_ComputerSystem and Msvm_ShutdownComponent
[doc]. What moves a state where: the pages' remarks, Microsoft's replication sample, and the PowerShell module's names of WMI's
states (4 on a primary is "prepared for failover", 5 on a replica "failed over, waiting for completion") [src]:

    RequestReplicationStateChange 4   primary, off, replicating -> 4, once the last changes are sent
    RequestReplicationStateChange 3   primary in 4 -> 3 again
    InitiateFailover                  replica, off -> 12, then 5; from the latest point where no snapshot is named [doc]
    RevertFailover                    replica in 5, off -> 3 again; InitiateFailover may be called again [doc]
    CommitFailover                    replica in 5 -> 6; it cannot be reverted then [doc]
    ReverseReplicationRelationship    replica in 5 or 6 -> primary; the other end, prepared and off, becomes its replica

A method that goes on answers 4096 and refers to a job [doc]. 32775: invalid state for this operation, 32773: invalid
parameter, 32777: system not available [doc: as the table of these pages]. A replica that is not failed over does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from lab.windows.machine_protocol import Reference, Wmi, WmiFailure
from lab.world.method_call import INVALID_PARAMETER, Call
from lab.world.model import Guest, HyperVJob, Node, Replication, identity

if TYPE_CHECKING:
    from lab.world.world import World

OK, STARTED = 0, 4096
ACCESS_DENIED, NOT_SUPPORTED, BAD_PARAMETER, BAD_STATE, NOT_AVAILABLE = 32769, 32770, 32773, 32775, 32777
SHUTDOWN_SECONDS, SENDING_SECONDS, FAILOVER_SECONDS, START_SECONDS, REVERSAL_SECONDS = 2.0, 2.0, 1.5, 2.0, 3.0
CYCLE_SECONDS = 60.0
PRIMARY, REPLICA = 1, 2
REPLICATING, PREPARED, RECOVERED, COMMITTED, RESYNCHRONISE, IN_PROGRESS = 3, 4, 5, 6, 9, 12
PLANNED = 3  # FailedOverReplicationType and LastReplicationType [doc]
Out = Mapping[str, Wmi]


def request_state_change(call: Call) -> Out:
    """Msvm_ComputerSystem.RequestStateChange: 2 starts, 3 turns off [doc]; the practice world knows no others."""
    call.takes("RequestedState", "TimeoutPeriod")
    guest = _guest(call, call.keys.get("Name", ""))
    state = call.number("RequestedState")
    if guest is None or state not in (2, 3):
        return _returned(NOT_AVAILABLE if guest is None else NOT_SUPPORTED)
    if state == 3:  # noqa: PLR2004 - RequestedState, off
        if guest.state == "off":
            return _returned(BAD_STATE)
        return _job(call, guest, START_SECONDS / 4, lambda: _power(call.world, guest, runs=False))
    told = guest.replication
    is_plain_replica = told is not None and told.mode == REPLICA and told.state not in (RECOVERED, COMMITTED)
    if guest.state != "off" or is_plain_replica or (told is not None and told.state == PREPARED):
        return _returned(BAD_STATE)
    return _job(call, guest, START_SECONDS, lambda: _power(call.world, guest, runs=True))


def initiate_shutdown(call: Call) -> Out:
    """Msvm_ShutdownComponent.InitiateShutdown(Force, Reason): the guest's own Windows shuts down [doc]."""
    call.takes("Force", "Reason")
    guest = _guest(call, call.keys.get("SystemName", ""))
    if guest is None or guest.state != "running" or "shutdown" in guest.components_off:
        return _returned(NOT_AVAILABLE if guest is None else BAD_STATE)
    if not guest.ignores_shutdown:
        call.world.after(SHUTDOWN_SECONDS, lambda: _power(call.world, guest, runs=False))
    return _returned(OK)


def request_replication_state(call: Call) -> Out:
    """Msvm_ComputerSystem.RequestReplicationStateChange, on the relationship of a primary [doc]."""
    call.takes("RequestedState", "TimeoutPeriod")
    guest = _guest(call, call.keys.get("Name", ""))
    told = guest.replication if guest else None
    if guest is None or told is None:
        return _returned(NOT_AVAILABLE)
    wanted = call.number("RequestedState")
    if wanted not in (1, 2, REPLICATING, PREPARED, 7, 9):
        return _returned(BAD_PARAMETER)
    if told.mode != PRIMARY:
        return _returned(BAD_STATE)
    if wanted == PREPARED and told.state == REPLICATING and guest.state == "off":
        return _job(call, guest, SENDING_SECONDS, lambda: _prepared(call.world, guest))
    if wanted == REPLICATING and told.state == PREPARED:
        told.state = REPLICATING
        return _returned(OK)
    return _returned(BAD_STATE)


def initiate_failover(call: Call) -> Out:
    """InitiateFailover(ComputerSystem, SnapshotSettingData): NULL is the latest point [doc]."""
    call.takes("ComputerSystem", "SnapshotSettingData")
    guest, told = _replica(call)
    if guest is None or told is None or told.state not in (REPLICATING, PREPARED) or guest.state != "off":
        return _returned(NOT_AVAILABLE if guest is None else BAD_STATE)
    other = other_end(call.world, guest)
    is_planned = other is not None and other.replication is not None and other.replication.state == PREPARED
    told.state = IN_PROGRESS

    def ended() -> None:
        if told.state == IN_PROGRESS:
            told.state, told.failed_over = RECOVERED, PLANNED if is_planned else 1

    return _job(call, guest, FAILOVER_SECONDS, ended)


def revert_failover(call: Call) -> Out:
    """RevertFailover(ComputerSystem): discards what the failed-over machine has written [doc]."""
    call.takes("ComputerSystem")
    guest, told = _replica(call)
    if guest is None or told is None or told.state != RECOVERED or guest.state != "off":
        return _returned(NOT_AVAILABLE if guest is None else BAD_STATE)

    def ended() -> None:
        told.state, told.failed_over = REPLICATING, 0

    return _job(call, guest, FAILOVER_SECONDS, ended)


def commit_failover(call: Call) -> Out:
    """CommitFailover(ComputerSystem): the failover cannot be reverted any more [doc]."""
    call.takes("ComputerSystem")
    guest, told = _replica(call)
    if guest is None or told is None or told.state != RECOVERED:
        return _returned(NOT_AVAILABLE if guest is None else BAD_STATE)
    told.state = COMMITTED
    return _returned(OK)


def reverse(call: Call) -> Out:
    """ReverseReplicationRelationship(ComputerSystem, ReplicationSettingData): the settings name the new recovery side [doc]."""
    call.takes("ComputerSystem", "ReplicationSettingData")
    guest, told = _replica(call)
    point = _recovery_point(call.text("ReplicationSettingData"))
    if guest is None or told is None:
        return _returned(NOT_AVAILABLE)
    if told.state not in (RECOVERED, COMMITTED):
        return _returned(BAD_STATE)
    other = other_end(call.world, guest)
    if other is None or other.replication is None or point.casefold() not in _points(other.node):
        return _returned(BAD_PARAMETER)
    trouble = call.world.machine(other.node.name).trouble
    if trouble.refuse or trouble.dark:
        return _returned(NOT_AVAILABLE)
    return _job(call, guest, REVERSAL_SECONDS, lambda: _reversed(call.world, guest, other))


def keep_replicating(world: World, guest: Guest) -> None:
    """Let a cycle succeed every minute for as long as this end is a primary that replicates, and its guest is on."""
    _cycle(world, guest)
    world.after(CYCLE_SECONDS, lambda: keep_replicating(world, guest))


def other_end(world: World, guest: Guest) -> Guest | None:
    """The other end of a relationship: the machine with the same id on another host."""
    found = (
        one
        for cluster in world.clusters.values()
        for one in cluster.guests
        if one.vm_id == guest.vm_id and one is not guest and one.replication is not None
    )
    return next(found, None)


def _cycle(world: World, guest: Guest) -> None:
    told, other = guest.replication, other_end(world, guest)
    if told is None or told.mode != PRIMARY or told.state != REPLICATING or told.health != 1:
        return
    told.last = world.now
    if other is not None and other.replication is not None:
        other.replication.last = world.now


def _prepared(world: World, guest: Guest) -> None:
    told = guest.replication
    if told is not None and told.state == REPLICATING and guest.state == "off":
        _cycle(world, guest)
        told.state = PREPARED


def _reversed(world: World, guest: Guest, other: Guest) -> None:
    told, old = guest.replication, other.replication
    assert told is not None
    assert old is not None
    is_planned = old.state == PREPARED and other.state == "off"
    told.mode, told.primary, told.recovery = PRIMARY, guest.node.fqdn, other.node.fqdn
    old.mode, old.primary, old.recovery = REPLICA, guest.node.fqdn, other.node.fqdn
    told.failed_over = old.failed_over = 0
    for end in (told, old):  # an end that still ran, or was never prepared, has to be compared as a whole first
        end.state, end.health = (REPLICATING, 1) if is_planned else (RESYNCHRONISE, 2)
        end.cycles = end.latency = end.size = end.missed = 0
    if is_planned:
        _cycle(world, guest)
        told.cycles, told.latency = 1, 21


def _power(world: World, guest: Guest, *, runs: bool) -> None:
    """Switch one end; the guest's own Windows answers where either end of it runs."""
    guest.state = "running" if runs else "off"
    if runs:
        guest.booted = world.now
    machine = world.machine(guest.name)
    other = other_end(world, guest)
    is_up = guest.state == "running" or (other is not None and other.state == "running")
    machine.trouble.refuse = not is_up or guest.release.family != "windows"


def _recovery_point(document: str) -> str:
    """RecoveryConnectionPoint of the embedded instance; "" where it cannot be read."""
    try:
        instance = ET.fromstring(document)  # noqa: S314 - the practice world reads what its own bot writes
    except ET.ParseError:
        return ""
    if instance.get("CLASSNAME") != "Msvm_ReplicationSettingData":
        return ""
    found = (one for one in instance.iter("PROPERTY") if one.get("NAME") == "RecoveryConnectionPoint")
    return next((one.findtext("VALUE") or "" for one in found), "")


def _points(node: Node) -> set[str]:
    return {node.fqdn.casefold(), node.name.casefold()}


def _replica(call: Call) -> tuple[Guest | None, Replication | None]:
    machine = call.params.get("ComputerSystem")
    if not isinstance(machine, Reference):
        raise WmiFailure(INVALID_PARAMETER, "Invalid parameter ")
    guest = _guest(call, str(machine.keys.get("Name", "")))
    told = guest.replication if guest else None
    return (guest, told) if told is not None and told.mode == REPLICA else (None, None)


def _guest(call: Call, vm_id: str) -> Guest | None:
    assert isinstance(call.windows, Node)
    return next((one for one in call.windows.guests if one.vm_id.casefold() == vm_id.casefold()), None)


def _returned(value: int) -> Out:
    return {"Job": None, "ReturnValue": value}


def _job(call: Call, guest: Guest, seconds: float, ended: Callable[[], None]) -> Out:
    """A job that runs that long: JobState 4 running, then 7 completed [doc: CIM_ConcreteJob]."""
    node = guest.node
    job = HyperVJob(identity("job", node.name, str(len(node.jobs) + 1)).upper(), call.world.now)
    node.jobs.append(job)

    def complete() -> None:
        ended()
        job.state, job.percent = 7, 100

    call.world.after(seconds, complete)
    reference = Reference("root/virtualization/v2", "Msvm_ConcreteJob", {"InstanceID": job.id})
    return {"Job": reference, "ReturnValue": STARTED}
