"""A failover cluster as its WMI provider tells it: nodes, roles, locks, shared volumes. One round of questions.

Sources: ClusWmi class pages and clusapi status flags [doc]; no capture of root/MSCluster exists, so everything is
read tolerantly. Locks are flag 1 of StatusInformation (2012 and later); there is no LockedMode property.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ParamSpec, TypeVar

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Unknown, value_of
from bot.api.plan import OpenQuestion
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import Cell, CellError, Row, Rows, get_build, get_int, get_str, get_strs, readable
from bot.api.sources import Source
from commands.formatting import ALONE
from commands.sources.host_names import hosts_named
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
    return get_build(rows[0]) if rows else None


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
_MACHINE = "Virtual Machine"
_VM_TYPES = (_MACHINE, "Virtual Machine Configuration")
_FEW = 1_000  # resources that are gone through in no time
_AT_ONCE = 40  # names in one question: WQL limits the terms of one, and does not say how many it takes [doc]


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
        name: "" where it cannot be read.
        owner: its node; "" where it was not told: it may be any.
        locked: None where it was not told: that is not "no lock".
        priority: 0 to 4999 (2012 and later); None where it was not told.
        kind: GroupType; None where it was not told.
        state: 0 online, 1 offline, 2 failed, 3 partially online, 4 pending [doc]; None where it was not told.
        apart: AntiAffinityClassNames: roles that share one are kept apart. NULL, the default, is none [doc]; None where
            they cannot be read.
    """

    name: str
    owner: str
    locked: bool | None
    is_guest: bool
    priority: int | None = None
    kind: int | None = None
    state: int | None = None
    apart: tuple[str, ...] | None = ()

    @property
    def may_be_guest(self) -> bool:
        """Whether it is a guest's, or does not tell what it is."""
        return self.is_guest or self.kind is None

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.name or "a role whose name cannot be read"

    def may_be_on(self, node: str) -> bool:
        """Whether that node owns it, or may."""
        return self.owner.casefold() in ("", node.casefold())


@dataclass(frozen=True, slots=True)
class Resource:
    """A virtual machine's resource. `vm_id` is "" where it was not asked for, or could not be read; the rest as of `Group`."""

    name: str
    key: str
    group: str
    owner: str
    locked: bool | None
    vm_id: str = ""

    @property
    def shown(self) -> str:
        """The name of its role for people, or its own."""
        return self.group or self.name or "a resource whose name cannot be read"

    def may_be_on(self, node: str) -> bool:
        """Whether that node owns it, or may."""
        return self.owner.casefold() in ("", node.casefold())


Owned = TypeVar("Owned", Group, Resource)
T = TypeVar("T")
P = ParamSpec("P")


def possibly_on(node: str, every: Iterable[Owned]) -> tuple[Owned, ...]:
    """Those that the node owns, or may own."""
    return tuple(one for one in every if one.may_be_on(node))


@dataclass(frozen=True, slots=True)
class RoleResource:
    """A resource of a role that is no virtual machine: "Network Name", "SQL Server"; "" for what cannot be read."""

    name: str
    type: str
    group: str

    @property
    def shown(self) -> str:
        """Its name for people, or that of its role."""
        return self.name or (f"a resource of {self.group}" if self.group else "a resource whose name cannot be read")


@dataclass(frozen=True, slots=True)
class SharedVolume:
    """A cluster shared volume.

    Attributes:
        name: "" where it cannot be read.
        backing_up: whether it is in backup; None where it was not told, or in a number that is not listed.
        fault: 0 for none; None where it was not told.
    """

    name: str
    backing_up: bool | None
    fault: int | None

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.name or "a shared volume whose name cannot be read"


@dataclass(frozen=True)
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

    @cached_property
    def in_backup(self) -> tuple[str, ...]:
        """The names of the shared volumes in backup: made once, for as many nodes as ask for them."""
        volumes = () if isinstance(self.volumes, Unknown) else self.volumes
        return tuple(one.shown for one in volumes if one.backing_up)

    @cached_property
    def open_backups(self) -> tuple[OpenQuestion, ...]:
        """The shared volumes of which nobody knows whether they are in backup."""
        volumes = () if isinstance(self.volumes, Unknown) else self.volumes
        return open_volumes("whether {} is in backup", [one for one in volumes if one.backing_up is None])


def target_nodes(target: Target, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes of a cluster that a target means: all of them, or one.

    A host that the cluster does not name any more is asked all the same; its build is not known then.
    """
    if target.kind == "cluster":
        return tuple(nodes)
    found = node_named(target.name, nodes)
    return (Node(target.name, None) if isinstance(found, Unknown) else found,)


def node_named(name: str, nodes: Sequence[Node]) -> Node | Unknown:
    """The node that a name of the inventory means: with or without its domain, whole or as NetBIOS cuts it.

    Unknown where the cluster names no such node, or two that it could mean.
    """
    exact = [node for node in nodes if node.name.casefold() == name.casefold()]
    named = hosts_named(name, [node.name for node in nodes])
    found = exact or [node for node in nodes if node.name in named]
    if len(found) == 1:
        return found[0]
    if not found:
        return Unknown(name, "absent", "the cluster has no node of that name.")
    return Unknown(
        name, "ambiguous", f"the cluster has {' and '.join(node.name for node in found)}, which it could mean."
    )


def cluster_nodes(on: str) -> Source[tuple[Node, ...]]:
    """The nodes, with columns that exist since 2008."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Node", ("Name", "State", "BuildNumber")), _read_nodes)


def cluster_groups(on: str) -> Source[tuple[Group, ...]]:
    """The roles and whether they are locked (2012 and later)."""
    columns = ("Name", "OwnerNode", "GroupType", "State", "StatusInformation", "Priority", "AntiAffinityClassNames")
    return Source(Wql(on, NAMESPACE, "MSCluster_ResourceGroup", columns), _read_groups)


def cluster_resources(on: str) -> Source[tuple[Resource, ...]]:
    """The resources of virtual machines and whether they are locked (2012 and later).

    Without their private properties: those took 19 ms a resource on a real cluster, and 500 guests have a thousand [src].
    """
    columns = ("Name", "Id", "OwnerGroup", "OwnerNode", "StatusInformation")
    return Source(
        Wql(on, NAMESPACE, "MSCluster_Resource", columns, (Predicate("Type", "in", _VM_TYPES),)), _read_resources
    )


def role_resources(on: str, node: str) -> Source[tuple[RoleResource, ...]]:
    """The resources of a node that are no virtual machines' (2012 and later)."""
    others = (Predicate("OwnerNode", "=", node), *(Predicate("Type", "!=", one) for one in _VM_TYPES))
    return Source(
        Wql(on, NAMESPACE, "MSCluster_Resource", ("Name", "Type", "OwnerGroup"), others), _read_role_resources
    )


def machines_of_node(on: str, node: str) -> Source[dict[str, str]]:
    """Which virtual machine is each resource's, of those that a node owns? Private properties: 19 ms a row [src]."""
    return _machines(on, Predicate("OwnerNode", "=", node))


def machines_of(on: str, resources: Sequence[str]) -> Source[dict[str, str]]:
    """The same, of these resources."""
    return _machines(on, Predicate("Name", "in", tuple(resources)))


def _machines(on: str, which: Predicate) -> Source[dict[str, str]]:
    machines = (Predicate("Type", "=", _MACHINE), which)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", ("Name", "PrivateProperties"), machines), _read_machines)


def shared_volumes(on: str) -> Source[tuple[SharedVolume, ...]]:
    """The cluster shared volumes and whether one is in backup."""
    columns = ("Name", "BackupState", "FaultState")
    return Source(Wql(on, NAMESPACE, "MSCluster_ClusterSharedVolume", columns), _read_volumes)


def cluster_name(on: str) -> Source[str]:
    """The name of the cluster that a host belongs to; "" where its cluster service knows none."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name",)), _read_cluster_name)


def machine_resources(on: str) -> Source[tuple[str, ...]]:
    """The names of the virtual machines' resources, with columns that exist since 2008."""
    machines = (Predicate("Type", "=", _MACHINE),)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", ("Name",), machines), _read_names)


def backup_hint(on: str) -> Source[bool]:
    """Does the cluster believe that a backup runs? It can be stale."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name", "BackupInProgress")), _read_backup_hint)


def resource_vm_id(on: str, resource: str) -> Source[str]:
    """Which virtual machine is that resource's, by the cluster's hive?"""
    return Source(Registry(on, rf"Cluster\Resources\{resource}\Parameters", ("VmID",)), _read_vm_id)


def open_volumes(what: str, volumes: Sequence[SharedVolume]) -> tuple[OpenQuestion, ...]:
    """What is not known of each: `what` with its name in it, "whether {} is in backup"; of those after the first in one."""
    alone = volumes if len(volumes) <= ALONE else volumes[: ALONE - 1]
    told = [(one.shown, one.shown) for one in alone]
    if rest := len(volumes) - len(alone):
        more = f"{rest} more shared volumes"
        told.append((f"any of {more}", more))
    return tuple(
        OpenQuestion(
            what.format(one), f"what the cluster reports about {of} cannot be read", "In Failover Cluster Manager."
        )
        for one, of in told
    )


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
    """Read which virtual machines the locked resources are, and those that a node owns; of no others.

    From the private properties; how WinRM serialises them was never captured, so the cluster's hive is the second way.
    A role's other resource, the machine's configuration, carries the same id, and is not asked for.

    Args:
        cluster: as it was asked.
        ask: for the private properties, and for the registry.
        of_node: the ids of every resource that this node owns are wanted too.
    """
    if isinstance(cluster.resources, Unknown):
        return cluster
    owned, locked, named = await beside_if_long(cluster.resources, _in_question, cluster, of_node)
    if not owned and not locked:
        return cluster
    questions = {str(at): machines_of(cluster.name, named[at : at + _AT_ONCE]) for at in range(0, len(named), _AT_ONCE)}
    if owned:
        questions["owned"] = machines_of_node(cluster.name, of_node)
    told = await ask.query_many(questions)
    ids = {name: vm_id for part in told.values() if not isinstance(part, Unknown) for name, vm_id in part.value.items()}
    known = await beside_if_long(cluster.resources, _with_ids, cluster.resources, ids)
    wanted = {one.key for one in (*owned, *locked)}
    missing = [one.key for one in known if one.key and one.key in wanted and not one.vm_id]
    if missing:
        found = await ask.query_many({key: resource_vm_id(cluster.name, key) for key in missing})
        hive = {key: vm_id.value for key, vm_id in found.items() if not isinstance(vm_id, Unknown)}
        known = tuple(replace(one, vm_id=hive[one.key]) if not one.vm_id and one.key in hive else one for one in known)
    return replace(cluster, resources=known)


def _in_question(cluster: Cluster, of_node: str) -> tuple[list[Resource], list[Resource], tuple[str, ...]]:
    """The resources that a node owns, those of others that are locked, and the names of all in the roles of the latter."""
    every = () if isinstance(cluster.resources, Unknown) else cluster.resources
    here = of_node.casefold()
    roles = () if isinstance(cluster.groups, Unknown) else cluster.groups
    held = {one.name.casefold() for one in roles if one.locked}  # its resources may be locked or not
    owned = [one for one in every if one.owner.casefold() == here]
    others = [one for one in every if one.owner.casefold() != here]
    locked = [one for one in others if one.locked or one.group.casefold() in held]
    groups = {one.group.casefold() for one in locked}
    # Each name once: a cluster that has many of one would be asked for them as often, and tell them all each time.
    return owned, locked, tuple(dict.fromkeys(one.name for one in others if one.group.casefold() in groups))


async def beside_if_long(every: Sized, work: Callable[P, T], *told: P.args, **named: P.kwargs) -> T:
    """Work on a list, on a thread where it is so long that others would notice, for each of many nodes."""
    if len(every) > _FEW:
        return await beside(work, *told, **named)
    return work(*told, **named)


def _with_ids(resources: Sequence[Resource], ids: Mapping[str, str]) -> tuple[Resource, ...]:
    """Each resource with its machine's id; one that was not told has that of its role, where the role has but one."""
    of_role: dict[str, set[str]] = {}
    for one in resources:
        if vm_id := ids.get(one.name.casefold(), ""):
            of_role.setdefault(one.group.casefold(), set()).add(vm_id)
    single = {group: next(iter(found)) for group, found in of_role.items() if group and len(found) == 1}
    found = ((one, ids.get(one.name.casefold(), "") or single.get(one.group.casefold(), "")) for one in resources)
    # One that has no other id stays the same object: this is done for each node that a change is about.
    return tuple(one if one.vm_id == vm_id else replace(one, vm_id=vm_id) for one, vm_id in found)


def _read_nodes(rows: Rows) -> tuple[Node, ...]:
    """Nodes in the order of their names.

    Raises:
        CellError: a row has no name.
        ValueError: there is no row; nodes that are not named are unknown, not well.
    """
    if not rows:
        raise ValueError("MSCluster_Node names no node, which no cluster can be without")
    nodes = [
        Node(_name(row), readable(get_build, row, "BuildNumber"), readable(get_int, row, "State") == _DOWN)
        for row in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.name.casefold()))


def _read_groups(rows: Rows) -> tuple[Group, ...]:
    """Roles. What cannot be read of one is unknown of that one alone."""
    return tuple(
        Group(
            name=readable(get_str, row, "Name") or "",
            owner=readable(get_str, row, "OwnerNode") or "",
            locked=_locked(row),
            is_guest=(kind := readable(get_int, row, "GroupType")) == GUEST_GROUP,
            priority=readable(get_int, row, "Priority"),
            kind=kind,
            state=readable(get_int, row, "State"),
            apart=None
            if (apart := readable(get_strs, row, "AntiAffinityClassNames")) is None
            else tuple(filter(None, apart)),
        )
        for row in rows
    )


def _read_resources(rows: Rows) -> tuple[Resource, ...]:
    """Resources of virtual machines. What cannot be read of one is unknown of that one alone."""
    return tuple(
        Resource(
            name=readable(get_str, row, "Name") or "",
            key=readable(get_str, row, "Id") or "",
            group=readable(get_str, row, "OwnerGroup") or "",
            owner=readable(get_str, row, "OwnerNode") or "",
            locked=_locked(row),
        )
        for row in rows
    )


def _read_role_resources(rows: Rows) -> tuple[RoleResource, ...]:
    """Resources by name, type and role; "" for what cannot be read of one."""
    return tuple(
        RoleResource(*(readable(get_str, row, column) or "" for column in ("Name", "Type", "OwnerGroup")))
        for row in rows
    )


def _read_machines(rows: Rows) -> dict[str, str]:
    """Resource, in lower case -> VM id; those that do not tell it are left out."""
    found = {
        (readable(get_str, row, "Name") or "").casefold(): _private_vm_id(row.get("PrivateProperties")) for row in rows
    }
    return {name: vm_id for name, vm_id in found.items() if vm_id}


def _read_volumes(rows: Rows) -> tuple[SharedVolume, ...]:
    """Cluster shared volumes. What cannot be read of one is unknown of that one alone."""
    return tuple(
        SharedVolume(
            readable(get_str, row, "Name") or "",
            _BACKUP.get(-1 if (backup := readable(get_int, row, "BackupState")) is None else backup),
            readable(get_int, row, "FaultState"),
        )
        for row in rows
    )


def _read_cluster_name(rows: Rows) -> str:
    """The name, or "". Raises CellError."""
    return get_str(rows[0], "Name") if rows else ""


def _read_names(rows: Rows) -> tuple[str, ...]:
    """One name a row. Raises CellError."""
    return tuple(_name(row) for row in rows)


def _read_backup_hint(rows: Rows) -> bool:
    """MSCluster_Cluster.BackupInProgress. Raises CellError."""
    return any(get_int(row, "BackupInProgress") for row in rows)


def _read_vm_id(rows: Rows) -> str:
    """The VM id out of one registry row; "" where there is none."""
    return guid(get_str(rows[0], "VmID")) if rows else ""


def _locked(row: Row) -> bool | None:
    """Whether flag 1 is set; None where the flags were not told: that is not "no lock"."""
    flags = readable(get_int, row, "StatusInformation")
    return None if flags is None else bool(flags & LOCKED)


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
