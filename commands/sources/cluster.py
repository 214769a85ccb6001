"""A failover cluster as its WMI provider tells it: nodes, roles, locks, shared volumes. One round of questions.

Sources: ClusWmi class pages and clusapi status flags [doc]; no capture of root/MSCluster exists, so everything is
read tolerantly. Locks are flag 1 of StatusInformation (2012 and later); there is no LockedMode property.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import Cell, CellError, Row, Rows, get_int, get_str
from bot.api.sources import Source
from commands.sources.identity import guid


async def look_at_host(on: str, ask: QueryClient) -> Node:
    """The host as a node; its build decides where Hyper-V's classes are. Unknown where it does not answer."""
    build = await ask.query(host_build(on))
    return Node(on, None if isinstance(build, Unknown) else build.value)


def host_build(on: str) -> Source[int | None]:
    """The question: which build of Windows does it run?"""
    return Source(Wql(on, "root/cimv2", "Win32_OperatingSystem", ("BuildNumber",)), _read_build)


def _read_build(rows: Rows) -> int | None:
    """The build number; None where it was not told. Raises CellError."""
    return get_int(rows[0], "BuildNumber") if rows else None


_NAMESPACE, _CLASS = "root/Microsoft/Windows/ClusterUpdate", "MSFT_CAURun"


def update_run(node: str) -> Source[bool]:
    """The question: does this node tell of a run?"""
    return Source(Wql(node, _NAMESPACE, _CLASS, ("OrchestratorGuid",)), _read_updating)


def _read_updating(rows: Rows) -> bool:
    """Whether one works: its instance is there."""
    return bool(rows)


NAMESPACE = "root/MSCluster"
BUILD_2012 = 9200
LOCKED = 1  # CLUSGRP_STATUS_LOCKED_MODE and CLUSRES_STATUS_LOCKED_MODE [doc]
GUEST_GROUP = 111
_DOWN = 1
_BACKUP = {0: False, 1: True}  # BackupState of a shared volume: none, in progress [doc]
_VM_TYPES = ("Virtual Machine", "Virtual Machine Configuration")


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `build` is None where it was not told; `down` is the cluster's view, not ours."""

    name: str
    build: int | None
    down: bool = False

    @property
    def is_2008(self) -> bool:
        """Whether it is of the 2008 R2 generation: other Hyper-V namespace, no locks in WMI."""
        return self.build is not None and self.build < BUILD_2012


@dataclass(frozen=True, slots=True)
class Group:
    """A role. Its name is that of its virtual machine by default, and can be anything.

    Attributes:
        priority: 0 to 4999 (2012 and later); None where it was not told.
    """

    name: str
    owner: str
    locked: bool
    is_guest: bool
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A virtual machine's resource. `vm_id` is "" where it could not be read."""

    name: str
    key: str
    group: str
    owner: str
    locked: bool
    vm_id: str


@dataclass(frozen=True, slots=True)
class SharedVolume:
    """A cluster shared volume."""

    name: str
    backing_up: bool
    fault: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster says of itself; each part stands alone, since each can fail alone.

    Attributes:
        backup_hint: MSCluster_Cluster.BackupInProgress: a hint, it can be stale.
    """

    name: str
    nodes: tuple[Node, ...] | Unknown
    groups: tuple[Group, ...] | Unknown = ()
    resources: tuple[Resource, ...] | Unknown = ()
    volumes: tuple[SharedVolume, ...] | Unknown = ()
    backup_hint: bool | Unknown = False


def target_nodes(target: Target, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes of a cluster that a target means: all of them, or one.

    A host that the cluster does not name any more is asked all the same; its build is not known then.
    """
    if target.kind == "cluster":
        return tuple(nodes)
    own = tuple(node for node in nodes if node.name.casefold() == target.name.casefold())
    return own or (Node(target.name, None),)


def cluster_nodes(on: str) -> Source[tuple[Node, ...]]:
    """The nodes, with columns that exist since 2008."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Node", ("Name", "State", "BuildNumber")), _read_nodes)


def cluster_groups(on: str) -> Source[tuple[Group, ...]]:
    """The roles and whether they are locked (2012 and later)."""
    columns = ("Name", "OwnerNode", "GroupType", "StatusInformation", "Priority")
    return Source(Wql(on, NAMESPACE, "MSCluster_ResourceGroup", columns), _read_groups)


def cluster_resources(on: str) -> Source[tuple[Resource, ...]]:
    """The resources of virtual machines and whether they are locked (2012 and later)."""
    columns = ("Name", "Id", "OwnerGroup", "OwnerNode", "StatusInformation", "PrivateProperties")
    return Source(
        Wql(on, NAMESPACE, "MSCluster_Resource", columns, (Predicate("Type", "in", _VM_TYPES),)), _read_resources
    )


def shared_volumes(on: str) -> Source[tuple[SharedVolume, ...]]:
    """The cluster shared volumes and whether one is in backup."""
    columns = ("Name", "BackupState", "FaultState")
    return Source(Wql(on, NAMESPACE, "MSCluster_ClusterSharedVolume", columns), _read_volumes)


def cluster_name(on: str) -> Source[str]:
    """The name of the cluster that a host belongs to; "" where its cluster service knows none."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name",)), _read_cluster_name)


def private_vm_ids(on: str) -> Source[tuple[str, ...]]:
    """The VM id of each virtual machine's resource, as its private properties tell it; "" where they do not.

    With columns that exist since 2008, where `cluster_resources` takes 2012.
    """
    machines = (Predicate("Type", "=", "Virtual Machine"),)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", ("Name", "PrivateProperties"), machines), _read_private_ids)


def backup_hint(on: str) -> Source[bool]:
    """Does the cluster believe that a backup runs? It can be stale."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name", "BackupInProgress")), _read_backup_hint)


def resource_vm_id(on: str, resource: str) -> Source[str]:
    """Which virtual machine is that resource's, by the cluster's hive?"""
    return Source(Registry(on, rf"Cluster\Resources\{resource}\Parameters", ("VmID",)), _read_vm_id)


async def look_at_cluster(on: str, ask: QueryClient) -> Cluster:
    """Ask a cluster everything about locks and backups, in one round."""
    nodes, groups, resources, volumes, backup = await asyncio.gather(
        ask.query(cluster_nodes(on)),
        ask.query(cluster_groups(on)),
        ask.query(cluster_resources(on)),
        ask.query(shared_volumes(on)),
        ask.query(backup_hint(on)),
    )
    return Cluster(on, value_of(nodes), value_of(groups), value_of(resources), value_of(volumes), value_of(backup))


async def with_vm_ids(cluster: Cluster, ask: QueryClient, of_node: str = "") -> Cluster:
    """Read the VM ids of locked resources from the registry where the private properties did not tell them.

    How WinRM serialises PrivateProperties was never captured; the cluster hive is the second way.

    Args:
        cluster: as it was asked.
        ask: for the registry.
        of_node: the ids of every resource that this node owns are wanted too.
    """
    if isinstance(cluster.resources, Unknown):
        return cluster
    wanted = [one for one in cluster.resources if one.locked or one.owner.casefold() == of_node.casefold()]
    missing = [resource for resource in wanted if not resource.vm_id and resource.key]
    if not missing:
        return cluster
    found = await ask.query_many({one.key: resource_vm_id(cluster.name, one.key) for one in missing})
    known = {key: vm_id.value for key, vm_id in found.items() if not isinstance(vm_id, Unknown)}
    resources = tuple(replace(one, vm_id=one.vm_id or known.get(one.key, "")) for one in cluster.resources)
    return replace(cluster, resources=resources)


def _read_nodes(rows: Rows) -> tuple[Node, ...]:
    """Nodes in the order of their names.

    Raises:
        CellError: a row has no name.
        ValueError: there is no row; nodes that are not named are unknown, not well.
    """
    if not rows:
        raise ValueError("MSCluster_Node names no node, which no cluster can be without")
    nodes = [Node(_name(row), get_int(row, "BuildNumber"), get_int(row, "State") == _DOWN) for row in rows]
    return tuple(sorted(nodes, key=lambda node: node.name.casefold()))


def _read_groups(rows: Rows) -> tuple[Group, ...]:
    """Roles. Raises CellError."""
    return tuple(
        Group(
            name=_name(row),
            owner=get_str(row, "OwnerNode"),
            locked=_locked(row),
            is_guest=get_int(row, "GroupType") == GUEST_GROUP,
            priority=get_int(row, "Priority"),
        )
        for row in rows
    )


def _read_resources(rows: Rows) -> tuple[Resource, ...]:
    """Resources of virtual machines. Raises CellError."""
    return tuple(
        Resource(
            name=_name(row),
            key=get_str(row, "Id"),
            group=get_str(row, "OwnerGroup"),
            owner=get_str(row, "OwnerNode"),
            locked=_locked(row),
            vm_id=_private_vm_id(row.get("PrivateProperties")),
        )
        for row in rows
    )


def _read_volumes(rows: Rows) -> tuple[SharedVolume, ...]:
    """Cluster shared volumes. Raises CellError for one whose state is not told, or whose backup is not listed."""
    found = []
    for row in rows:
        fault, backup = get_int(row, "FaultState"), get_int(row, "BackupState")
        if fault is None:
            raise CellError("FaultState", None)
        if backup not in _BACKUP:
            raise CellError("BackupState", row.get("BackupState"))
        found.append(SharedVolume(_name(row), _BACKUP[backup], fault))
    return tuple(found)


def _read_cluster_name(rows: Rows) -> str:
    """The name, or "". Raises CellError."""
    return get_str(rows[0], "Name") if rows else ""


def _read_private_ids(rows: Rows) -> tuple[str, ...]:
    """One id a row, or ""."""
    return tuple(_private_vm_id(row.get("PrivateProperties")) for row in rows)


def _read_backup_hint(rows: Rows) -> bool:
    """MSCluster_Cluster.BackupInProgress. Raises CellError."""
    return any(get_int(row, "BackupInProgress") for row in rows)


def _read_vm_id(rows: Rows) -> str:
    """The VM id out of one registry row; "" where there is none."""
    return guid(get_str(rows[0], "VmID")) if rows else ""


def _locked(row: Row) -> bool:
    """Whether flag 1 is set. Raises CellError where the flags were not told: that is not "no lock"."""
    flags = get_int(row, "StatusInformation")
    if flags is None:
        raise CellError("StatusInformation", None)
    return bool(flags & LOCKED)


def _name(row: Row) -> str:
    name = get_str(row, "Name")
    if not name:
        raise CellError("Name", row.get("Name"))
    return name


def _private_vm_id(cell: Cell) -> str:
    if not isinstance(cell, Mapping):
        return ""
    named = {name.casefold(): value for name, value in cell.items()}
    value = named.get("vmid")
    return guid(value) if isinstance(value, str) else ""
