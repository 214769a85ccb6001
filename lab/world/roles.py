"""The clustered roles that follow from the model: groups and resources of virtual machines, disks and the core.

Private property names and VmState numbers: virtual-machine-private-properties of the archived MsCS pages [doc].
Group types 1 and 4 of core and shared-volume groups: CLUSGROUP_TYPE [mem]; 111: MSCluster_ResourceGroup [doc].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lab.windows.machine_protocol import Wmi
from lab.world.model import Cluster, Guest, Node, identity

LIVE_SECONDS = 1.5  # of a live migration, which takes minutes elsewhere
GROUP_ONLINE, GROUP_OFFLINE, GROUP_PENDING = 0, 1, 4
RESOURCE_ONLINE, RESOURCE_OFFLINE, RESOURCE_PENDING = 2, 3, 128
# MigrationState of a machine resource (virtual-machine-private-properties) [doc]; of a live migration under way, by the part
# of its time that has passed [inf]
PHASES = ((0.15, 1), (0.85, 2), (1.01, 3))
TYPE_CORE, TYPE_SHARED_VOLUME, TYPE_VIRTUAL_MACHINE = 1, 4, 111
# VmState of a virtual machine resource in the numbers of the v1 provider (virtual-machine-private-properties) [doc]
VM_STATES = {"running": 2, "off": 3, "paused": 32768, "saved": 32769}


@dataclass(frozen=True, slots=True)
class Group:
    """A clustered role: what MSCluster_ResourceGroup is about."""

    name: str
    id: str
    type: int
    owner: Node
    state: int = GROUP_ONLINE
    locked: bool = False
    queued: bool = False
    core: bool = False
    priority: int = 2000
    fails_back: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A cluster resource: what MSCluster_Resource is about."""

    name: str
    id: str
    type: str
    group: Group
    state: int = RESOURCE_ONLINE
    locked: bool = False
    core: bool = False
    shared_volume: bool = False
    possible_owners: frozenset[str] | None = None  # None: every node
    private: tuple[tuple[str, Wmi], ...] = ()


def _states(guest: Guest) -> tuple[int, int]:
    """Of its group and of its resources."""
    if guest.pending or (guest.move is not None and guest.move.kind == "quick"):
        return GROUP_PENDING, RESOURCE_PENDING
    if guest.move is not None and guest.move.kind == "live":
        return GROUP_PENDING, RESOURCE_ONLINE  # os-win waits for the end of this state [src]
    if guest.state in {"running", "paused"}:
        return GROUP_ONLINE, RESOURCE_ONLINE
    return GROUP_OFFLINE, RESOURCE_OFFLINE


def migration_phase(guest: Guest, now: datetime | None) -> tuple[int, int]:
    """MigrationState and MigrationProgress of a guest that moves live: setup, data transfer, move."""
    began = guest.move.began if guest.move is not None else None
    passed = (now - began).total_seconds() / LIVE_SECONDS if now is not None and began is not None else 0.5
    share = min(1.0, max(0.0, passed))
    phase = next(state for until, state in PHASES if share < until)
    return phase, int(100 * share) if phase > 1 else 0


def guest_resources(guest: Guest, now: datetime | None = None) -> tuple[Group, Resource, Resource]:
    """The group of a virtual machine, its machine resource and its configuration resource.

    Only the machine resource is in locked mode, and the group shows the same bit.
    """
    group_state, state = _states(guest)
    moving = guest.move is not None and guest.move.kind == "live"
    phase, progress = migration_phase(guest, now) if moving else (0, 0)
    cluster = guest.node.cluster.name
    managed = guest.group.startswith("SCVMM ")  # VMM names its resources after itself
    machine = guest.resource or (f"SCVMM {guest.name}" if managed else f"Virtual Machine {guest.name}")
    configuration = f"SCVMM {guest.name} Configuration" if managed else f"Virtual Machine Configuration {guest.name}"
    group = Group(
        guest.group,
        identity(cluster, "group", guest.vm_id),
        TYPE_VIRTUAL_MACHINE,
        guest.node,
        group_state,
        guest.locked,
        queued=guest.queued,
        priority=guest.priority,
        fails_back=guest.fails_back,
    )
    store = guest.shared_volume.path
    return (
        group,
        Resource(
            machine,
            identity(cluster, "resource", guest.vm_id),
            "Virtual Machine",
            group,
            state,
            guest.locked,
            possible_owners=guest.possible_owners,
            private=(
                ("CheckHeartbeat", 1),
                *((("DefaultMoveType", guest.move_type),) if guest.node.release.at_least("2012") else ()),
                ("MigrationFailureReason", 0 if moving else guest.migration_memory[1]),
                ("MigrationProgress", progress if moving else 0),
                ("MigrationState", phase if moving else guest.migration_memory[0]),
                ("OfflineAction", 1),
                ("ShutdownAction", 0),
                ("VmId", guest.vm_id),
                ("VmState", VM_STATES[guest.state]),
            ),
        ),
        Resource(
            configuration,
            identity(cluster, "configuration", guest.vm_id),
            "Virtual Machine Configuration",
            group,
            state,
            possible_owners=guest.possible_owners,
            private=(("VmId", guest.vm_id), ("VmStoreRootPath", f"{store}\\{guest.name}")),
        ),
    )


def roles(cluster: Cluster, now: datetime | None = None) -> Iterator[tuple[Group, tuple[Resource, ...]]]:
    """Every group of the cluster with its resources: core, shared volumes, virtual machines."""
    owner = next((node for node in cluster.nodes if node.state == 0), cluster.nodes[0])
    core = Group("Cluster Group", identity(cluster.name, "core"), TYPE_CORE, owner, core=True)
    names = (
        ("Cluster IP Address", "IP Address"),
        ("Cluster Name", "Network Name"),
        ("Cluster Disk Q", "Physical Disk"),
    )
    yield core, tuple(Resource(name, identity(cluster.name, name), type_, core, core=True) for name, type_ in names)
    for volume in cluster.shared_volumes:
        group_id = identity(cluster.name, "group", volume.guid)
        group = Group(group_id, group_id, TYPE_SHARED_VOLUME, volume.owner)
        disk = identity(cluster.name, volume.resource)
        yield group, (Resource(volume.resource, disk, "Physical Disk", group, shared_volume=True),)
    for guest in cluster.guests:
        group, machine, configuration = guest_resources(guest, now)
        yield group, (machine, configuration)
