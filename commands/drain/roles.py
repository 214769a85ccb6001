"""Roles of a node that are no virtual machines: what each is, and what a drain does to it.

A drain moves every role of a node. Virtual machines move live; any other role is taken offline and brought online on
another node [doc: planned failover of roles], so whoever is connected to it loses the connection.

Kinds come from the resources of a role first: a SQL Server instance has no group type of its own. Names of resource types:
Microsoft's page "Resource Types" [doc], those of SQL Server and of Hyper-V Replica from published scripts [src].
Group types: MSCluster_ResourceGroup [doc]; 1 to 5 are those of CLUSGROUP_TYPE [mem].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.api.facts import Unknown
from commands.formatting import join_names, pluralize
from commands.sources.cluster import Group, RoleResource, possibly_on

_RESTARTS = "goes offline and starts on another node, connections break"
_CORE, _AVAILABLE_STORAGE, _SHARED_VOLUME, _STORAGE_POOL, _SCALE_OUT, _BROKER = 1, 2, 4, 5, 114, 115
_ONLINE, _OFFLINE = 0, 1  # MSCluster_ResourceGroup.State [doc]
_TYPES = {  # type of a resource, in lower case -> the role that it makes; the first that a role has
    "sql server": "SQL Server instance",
    "sql server availability group": "SQL Server availability group",
    "analysis services": "SQL Server Analysis Services",
    "virtual machine replication broker": "Hyper-V Replica Broker",
    "scale out file server": "scale-out file server",
    "file server": "file server",
    "iscsi target server": "iSCSI target server",
    "dhcp service": "DHCP server",
    "wins service": "WINS server",
    "print spooler": "print server",
    "distributed transaction coordinator": "Distributed Transaction Coordinator",
    "msmq": "Message Queuing",
    "microsoft isns": "iSNS server",
    "dfs replicated folder": "DFS replication",
    "generic service": "generic service",
    "generic application": "generic application",
    "generic script": "generic script",
}
_GROUPS = {
    _CORE: "the cluster's own name and address",
    _AVAILABLE_STORAGE: "disks that no role uses",
    _SHARED_VOLUME: "shared volume",
    _STORAGE_POOL: "storage pool",
    100: "file server",
    101: "print server",
    102: "DHCP server",
    103: "Distributed Transaction Coordinator",
    104: "Message Queuing",
    105: "WINS server",
    106: "DFS namespace server",
    107: "generic application",
    108: "generic service",
    109: "generic script",
    110: "iSNS server",
    112: "Remote Desktop connection broker",
    113: "iSCSI target server",
    _SCALE_OUT: "scale-out file server",
    _BROKER: "Hyper-V Replica Broker",
    116: "clustered task",
    117: "Cluster-Aware Updating",
    118: "scale-out cluster",
    119: "Storage Replica",
    120: "virtual machine replica coordinator",
    121: "cross-cluster orchestrator",
    122: "infrastructure file server",
    123: "Storage Spaces Direct in a stretched cluster",
}
_MOVED_AS_A_WHOLE = frozenset(range(100, 111)) | {112, 113}  # stopped here, started there
_FATES = {
    _CORE: "moves to another node, connections to the cluster's name break",
    _AVAILABLE_STORAGE: "moves to another node",
    _STORAGE_POOL: "moves to another node",
    _SCALE_OUT: "goes on on the other nodes, its clients reconnect",
    _BROKER: "goes offline and starts on another node, replication waits until then",
}


@dataclass(frozen=True, slots=True)
class OtherRole:
    """A role of a node that is no virtual machine.

    Attributes:
        group: as the cluster tells it.
        resources: of the role.
    """

    group: Group
    resources: tuple[RoleResource, ...] = ()

    @property
    def name(self) -> str:
        """The role's name."""
        return self.group.shown

    @property
    def is_shared_volume(self) -> bool:
        """Whether it only says which node coordinates a shared volume: reading and writing go on."""
        return self.group.kind == _SHARED_VOLUME

    @property
    def kind(self) -> str:
        """What it is, in words."""
        types = {one.type.casefold() for one in self.resources}
        made = next((words for type_, words in _TYPES.items() if type_ in types), "")
        if made:
            return made
        return _GROUPS.get(self.group.kind or 0, "kind not known")

    @property
    def fate(self) -> str:
        """What a drain does to it, in words."""
        if self.group.state == _OFFLINE:
            return "is offline, only its owner changes"
        kind = self.group.kind or 0
        if kind in _FATES or kind in _MOVED_AS_A_WHOLE:
            return _FATES.get(kind, _RESTARTS)
        types = {one.type.casefold() for one in self.resources}
        return _RESTARTS if types & _TYPES.keys() else "what a drain does to it is not known"

    @property
    def says(self) -> str:
        """The whole: "SQL Server (VMMDB) (SQL Server instance: goes offline and starts on another node, …)"."""
        return f"{self.name} ({self.kind}: {self.fate})"


def other_roles(
    groups: Sequence[Group] | Unknown, node: str, resources: Sequence[RoleResource] | Unknown
) -> tuple[OtherRole, ...] | Unknown:
    """The roles of a node but for its virtual machines; their resources where they are known."""
    if isinstance(groups, Unknown):
        return groups
    held: dict[str, list[RoleResource]] = {}
    for one in () if isinstance(resources, Unknown) else resources:
        held.setdefault(one.group.casefold(), []).append(one)
    own = [one for one in possibly_on(node, groups) if not one.is_guest]
    return tuple(OtherRole(group, tuple(held.get(group.name.casefold(), ()))) for group in own)


def moved_with_them(roles: Sequence[OtherRole] | Unknown) -> tuple[str, ...]:
    """Sentences: what else a drain moves or switches; () where it is nothing."""
    if isinstance(roles, Unknown):
        return ("Which other roles move with them is not known.",)
    named = [one.says for one in roles if not one.is_shared_volume]
    volumes = sum(one.is_shared_volume for one in roles)
    said = [f"Also moved: {'; '.join(named)}."] if named else []
    if volumes:
        get = "gets" if volumes == 1 else "get"
        said.append(f"{pluralize(volumes, 'shared volume')} {get} another coordinator node; I/O continues.")
    return tuple(said)


def bound_roles(
    roles: Iterable[OtherRole], up: frozenset[str], owners: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """The roles of which a resource may be on no node that is up.

    Args:
        roles: of the node that is emptied.
        up: the other nodes that are up, in lower case.
        owners: resource -> nodes where it may be, in lower case; where it is missing, anywhere.
    """
    return tuple(
        role.name
        for role in roles
        if any(not up & owners.get(one.name.casefold(), up) for one in role.resources) and not role.is_shared_volume
    )


def role_names(roles: Sequence[OtherRole]) -> str:
    """The names of those that have one for people."""
    return join_names([one.name for one in roles if not one.is_shared_volume], 6)
