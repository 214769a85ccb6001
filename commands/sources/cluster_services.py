"""Which Windows services the cluster owns: resources that stand for one.

Stopped behind the cluster's back, such a service counts as failed: the cluster restarts it, or moves its role [doc: never stop
the services of clustered resources with the Services application or net stop].

A resource tells its service in its private properties: Generic Service in ServiceName [doc], SQL Server and its agent in
InstanceName, which makes MSSQLSERVER or MSSQL$NAME and SQLSERVERAGENT or SQLAgent$NAME [doc]. Other types stand for one
service each [mem]. PrivateProperties cost a real cluster 19 ms for each resource, so only types that may stand for a service
are asked for them, and the cluster's hive is the second way [mem].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Unknown
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import Row, Rows, get_str, readable
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE

_MACHINES = ("Virtual Machine", "Virtual Machine Configuration")
_GENERIC, _SQL, _AGENT, _GROUP = "generic service", "sql server", "sql server agent", "sql server availability group"
# The types of Windows itself that stand for no service [doc: Get-ClusterResourceType; those after 2012 R2 mem].
_NO_SERVICE = frozenset(
    {
        *(one.casefold() for one in _MACHINES),
        "cloud witness",
        "cluster aware updating resource",
        "disjoint ipv4 address",
        "disjoint ipv6 address",
        "distributed network name",
        "file share witness",
        "generic application",
        "generic script",
        "health service",
        "ip address",
        "ipv6 address",
        "ipv6 tunnel address",
        "nat",
        "network name",
        "physical disk",
        "sql server filestream share",
        "storage pool",
        "storage qos policy manager",
        "storage replica",
        "task scheduler",
        "virtual machine cluster wmi",
        "virtual machine replication broker",
        "virtual machine replication coordinator",
    }
)
# Types that stand for one service each, whatever their resource is called [mem].
_FIXED: Mapping[str, str] = {
    "dfs replicated folder": "dfsr",
    "dhcp service": "dhcpserver",
    "distributed file system": "dfs",
    "file server": "lanmanserver",
    "iscsi target server": "wintarget",
    "print spooler": "spooler",
    "scale out file server": "lanmanserver",
    "wins service": "wins",
}
# Types whose service is named by its resource: MSMQ$NAME; MSDTC$ and the resource's id [mem].
_BY_NAME: Mapping[str, str] = {"msmq": "msmq$", "msmqtriggers": "msmqtriggers$"}
_BY_ID: Mapping[str, str] = {"distributed transaction coordinator": "msdtc$"}
_SQL_SERVICES = ("mssql", "sqlagent$", "sqlserveragent")
# Types that always stand for a service, and a type that cannot be read: silence is not "none".
_MUST_TELL = (_GENERIC, _SQL, _AGENT, "")


@dataclass(frozen=True, slots=True)
class ServiceResource:
    """A resource of a cluster that stands for a service, or may.

    Attributes:
        service: short name in lower case; "" where the resource did not report it.
        role: its group.
        owner: the node that it is on now.
        is_availability_group: it stands for databases of an instance on its owner, and does not say which instance.
    """

    name: str
    key: str
    kind: str
    role: str
    owner: str
    service: str = ""
    is_availability_group: bool = False


@dataclass(frozen=True, slots=True)
class ClusterServices:
    """The resources of a cluster that stand for services.

    Attributes:
        cluster: "the cluster prod"; "the cluster of vmm01" where a host that stands alone was asked.
        found: those whose service is known, and availability groups.
        unread: resources that stand for a service which nobody told.
    """

    cluster: str
    found: tuple[ServiceResource, ...] = ()
    unread: tuple[ServiceResource, ...] = ()

    def possibly_owning(self, services: Iterable[str]) -> tuple[ServiceResource, ...]:
        """The resources of which nobody knows that they do not stand for one of these: those of SQL Server only for its own."""
        own = {service.casefold().startswith(_SQL_SERVICES) for service in services}
        if not own:
            return ()
        return tuple(one for one in self.unread if True in own or one.kind.casefold() not in (_SQL, _AGENT))

    def owners(self) -> dict[str, ServiceResource]:
        """Service, in lower case -> the resource that stands for it. Made anew with each call: host and cluster tell thousands."""
        return {one.service: one for one in reversed(self.found) if one.service}

    def groups_on(self, host: str) -> tuple[ServiceResource, ...]:
        """The availability groups that a host has now."""
        own = host.partition(".")[0].casefold()
        return tuple(one for one in self.found if one.is_availability_group and one.owner.casefold() == own)


def is_sql_engine(service: str) -> bool:
    """Whether it is the service of an instance of SQL Server."""
    word = service.casefold()
    return word == "mssqlserver" or word.startswith("mssql$")


async def find_cluster_services(target: Target, ask: QueryClient) -> ClusterServices | Unknown:
    """Ask the cluster of a host; a host that stands alone is asked itself: it may be a node of one that nobody named."""
    on = target.cluster or target.name
    cluster = f"the cluster {on}" if target.cluster else f"the cluster of {on}"
    listed = await ask.query(other_resources(on))
    if isinstance(listed, Unknown):
        return ClusterServices(cluster) if not target.cluster and listed.kind == "absent" else listed
    plain, open_ = await beside(_sorted_out, listed.value)
    told = await _told(on, target.name, open_, ask)
    return await beside(_put_together, cluster, plain, open_, told)


def _sorted_out(listed: Sequence[ServiceResource]) -> tuple[list[ServiceResource], list[ServiceResource]]:
    """Those of which the type alone says what they stand for, and the others. A cluster can tell tens of thousands."""
    plain: list[ServiceResource] = []
    open_: list[ServiceResource] = []
    for one in (_by_type(one) for one in listed if one.kind.casefold() not in _NO_SERVICE):
        (plain if one.service or one.is_availability_group else open_).append(one)
    return plain, open_


def _put_together(
    cluster: str, plain: Sequence[ServiceResource], open_: Sequence[ServiceResource], told: Mapping[str, Row]
) -> ClusterServices:
    found = [*plain, *(_named(one, told[one.key]) for one in open_ if one.key in told)]
    unread = [one for one in open_ if one.key not in told]
    unread += [one for one in found if not one.service and one.kind.casefold() in _MUST_TELL]
    return ClusterServices(
        cluster, tuple(one for one in found if one.service or one.is_availability_group), tuple(unread)
    )


async def _told(on: str, node: str, open_: Sequence[ServiceResource], ask: QueryClient) -> dict[str, Row]:
    """Id -> the private properties of each, in lower case: from WMI, else from the hive; missing where both are silent."""
    if not open_:
        return {}
    kinds = tuple(sorted({one.kind for one in open_}))
    private = await ask.query(private_properties(on, kinds))
    told: dict[str, Row] = {}
    if not isinstance(private, Unknown):
        told = {key: row for key, row in private.value.items() if _tells(row)}
    silent = [one.key for one in open_ if one.key and one.key not in told]
    hive = await ask.query_many({key: hive_parameters(node, key) for key in silent}) if silent else {}
    return told | {key: row.value for key, row in hive.items() if not isinstance(row, Unknown)}


def other_resources(on: str) -> Source[tuple[ServiceResource, ...]]:
    """The question: which resources are there beside those of virtual machines?"""
    columns = ("Name", "Id", "Type", "OwnerGroup", "OwnerNode")
    where = tuple(Predicate("Type", "!=", one) for one in _MACHINES)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", columns, where), _read_resources)


def private_properties(on: str, kinds: tuple[str, ...]) -> Source[dict[str, Row]]:
    """The question: what do the resources of these types keep? Id -> property in lower case -> value."""
    where = (Predicate("Type", "in", kinds),)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", ("Id", "PrivateProperties"), where), _read_private)


def hive_parameters(node: str, resource: str) -> Source[Row]:
    """The same of one resource, from the cluster's hive on a node."""
    names = ("ServiceName", "InstanceName")
    return Source(Registry(node, rf"Cluster\Resources\{resource}\Parameters", names), _read_hive)


def _read_resources(rows: Rows) -> tuple[ServiceResource, ...]:
    """Resources. One whose name or type cannot be read may be the one that matters: it stays, and its service is not known."""
    return tuple(
        ServiceResource(
            name=readable(get_str, row, "Name") or "a resource without a name",
            key=readable(get_str, row, "Id") or "",
            kind=readable(get_str, row, "Type") or "",
            role=readable(get_str, row, "OwnerGroup") or "",
            owner=readable(get_str, row, "OwnerNode") or "",
        )
        for row in rows
    )


def _read_private(rows: Rows) -> dict[str, Row]:
    """Id -> properties; those whose properties did not come are left out."""
    return {
        readable(get_str, row, "Id") or "": {name.casefold(): value for name, value in private.items()}
        for row in rows
        for private in (row.get("PrivateProperties"),)
        if isinstance(private, Mapping)
    }


def _read_hive(rows: Rows) -> Row:
    """The values, by name in lower case."""
    return {name.casefold(): value for name, value in rows[0].items()} if rows else {}


def _tells(row: Row) -> bool:
    return any(isinstance(row.get(name), str) and row[name] for name in ("servicename", "instancename"))


def _by_type(one: ServiceResource) -> ServiceResource:
    """With its service, where the type alone says which."""
    kind = one.kind.casefold()
    if kind == _GROUP:
        return _with(one, "", is_availability_group=True)
    if kind in _BY_NAME:
        return _with(one, _BY_NAME[kind] + one.name)
    if kind in _BY_ID:
        return _with(one, _BY_ID[kind] + one.key.strip("{}"))
    return _with(one, _FIXED.get(kind, ""))


def _named(one: ServiceResource, told: Row) -> ServiceResource:
    """With the service that its private properties name. An instance alone has two: its type tells whether it is the agent."""
    service, instance = (_text(told, name) for name in ("servicename", "instancename"))
    if not service and instance and one.kind:
        default = instance.casefold() == "mssqlserver"
        if one.kind.casefold() == _AGENT:
            service = "sqlserveragent" if default else f"sqlagent${instance}"
        else:
            service = instance if default else f"mssql${instance}"
    return _with(one, service)


def _text(told: Row, name: str) -> str:
    value = told.get(name)
    return value.strip() if isinstance(value, str) else ""


def _with(one: ServiceResource, service: str, *, is_availability_group: bool = False) -> ServiceResource:
    return ServiceResource(one.name, one.key, one.kind, one.role, one.owner, service.casefold(), is_availability_group)


def names_of(found: Iterable[ServiceResource]) -> tuple[str, ...]:
    """Their names, each once."""
    return tuple(dict.fromkeys(one.name for one in found))
