"""What is asked before a service is failed over: both ends of its machines, their hosts, and the recovery cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Known, Unknown, value_of, values_of
from bot.api.host_names import host_label
from bot.api.query_client import QueryClient
from bot.api.sources import Source
from commands.continuity.facts import HostFacts, QuorumFacts, look_at_quorum, look_at_replicas, place_nodes, service_of
from commands.drill.sides import Lost, Pair, apart, find_pair, named_ends
from commands.sources.backup_state import Backup, ask_backup_products, backup_state
from commands.sources.capacity import free_memory, logical_processors, memory_use, processor_counts
from commands.sources.certificates import certificate_end
from commands.sources.cluster import Cluster, look_at_cluster
from commands.sources.guests import configuration_versions, shutdown_components
from commands.sources.ping import answers_at, connect_time
from commands.sources.replication import (
    ReplicaSettings,
    Statistics,
    replica_certificate,
    replica_settings,
    replication_statistics,
)
from commands.sources.snapshots import shadow_copies

PLACES = 2  # where it runs, and where it recovers


@dataclass(frozen=True, slots=True)
class HostState:
    """One host that has an end of a machine.

    Attributes:
        settings: how each relationship is configured there, by machine.
        versions: of each machine's configuration.
        components: by which component each guest is shut down.
        memory: bytes that each guest holds.
        counts: virtual processors of each guest.
        free: bytes of physical memory.
        processors: logical ones.
        certificates: thumbprints that Replica uses there, and until when each is valid: () where it uses none.
    """

    settings: Mapping[str, ReplicaSettings] | Unknown
    versions: Mapping[str, str] | Unknown
    components: Mapping[str, str] | Unknown
    memory: Mapping[str, int] | Unknown
    counts: Mapping[str, int] | Unknown
    free: int | Unknown
    processors: int | Unknown
    backup: Backup
    certificates: tuple[tuple[str, datetime | Unknown], ...] | Unknown = ()


@dataclass(frozen=True, slots=True)
class DrillFacts:
    """Everything that was answered.

    Attributes:
        hosts: place, in lower case -> its hosts.
        machines: one for each guest of the service, in its order.
        states: by host, in lower case: of those that have an end.
        statistics: by host, in lower case, and machine.
        quorum: of the place that the service is failed over to; None where that is no cluster.
        clusters: the places that are clusters, in lower case.
        connects: what of the service takes a connection, as the inventory writes it, or why not.
        reached: of a place that may be lost: each of its hosts that hvops knows, and how long a connection to it takes, or why
            there is none.
    """

    hosts: Mapping[str, tuple[HostFacts, ...] | Unknown]
    machines: tuple[Pair | Lost, ...]
    now: datetime
    states: Mapping[str, HostState] = field(default_factory=dict)
    statistics: Mapping[tuple[str, str], Statistics | Unknown] = field(default_factory=dict)
    quorum: QuorumFacts | None = None
    clusters: frozenset[str] = frozenset()
    connects: Mapping[str, Known[int] | Unknown] = field(default_factory=dict)
    reached: Mapping[str, float | Unknown] = field(default_factory=dict)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The machines whose ends are known."""
        return tuple(one for one in self.machines if isinstance(one, Pair))

    @property
    def lost(self) -> tuple[Lost, ...]:
        """The machines whose ends are not known."""
        return tuple(one for one in self.machines if isinstance(one, Lost))

    @property
    def all_hosts(self) -> tuple[HostFacts, ...]:
        """Every host of every place that named its hosts."""
        return tuple(host for told in self.hosts.values() if not isinstance(told, Unknown) for host in told)


async def find_drill_facts(target: Target, ask: QueryClient, *, is_lost: bool = False) -> DrillFacts:
    """Ask both places for their machines, then the hosts that have an end of one of the service's.

    Args:
        target: the service.
        ask: who is asked by.
        is_lost: the first place is said to be lost: every host of it that is known is asked for a connection, and the place
            for its machines only where one of them is there.
    """
    service = service_of(target)
    assert service is not None
    places = service.places
    if len(places) != PLACES:
        return DrillFacts({}, (), ask.now)
    reached: dict[str, float | Unknown] = {}
    if is_lost:
        told, reached = await asyncio.gather(_look_at(places[-1], ask), _reach(await _known_hosts(places[0], ask), ask))
        hosts = {places[-1].casefold(): told}
        primaries = () if isinstance(told, Unknown) else await beside(_primaries, service.guests, told)
        asked = {host_label(one) for one in reached}
        reached |= await _reach([one for one in primaries if one not in asked], ask)
        if any(not isinstance(one, Unknown) for one in reached.values()):
            hosts[places[0].casefold()] = await _look_at(places[0], ask)
    else:
        looked = await asyncio.gather(*(_look_at(place, ask) for place in places))
        hosts = {place.casefold(): one for place, one in zip(places, looked, strict=True)}
    # Beside the loop: by as many machines as the hosts list.
    machines = await beside(lambda: apart([find_pair(name, places, hosts) for name in service.guests]))
    pairs = [one for one in machines if isinstance(one, Pair)]
    known = [end for pair in pairs for end in (pair.home, pair.away)]
    away = hosts[places[-1].casefold()]
    if not isinstance(away, Unknown):
        known += [end for one in machines if isinstance(one, Lost) for end in named_ends(one.name, away)]
    ends = {end.on.casefold(): end.host for end in known}
    questions = {
        (end.on.casefold(), pair.vm_id): replication_statistics(end.on, pair.vm_id)
        for pair in pairs
        for end in (pair.home, pair.away)
    }
    clusters = await _clusters(places, ask)
    states, statistics, quorum, connects = await asyncio.gather(
        _states(ends.values(), ask),
        ask.query_many(questions),
        _quorum(places[-1] if ends and places[-1].casefold() in clusters else "", ask),
        ask.query_many({one: Source(answers_at(one), len) for one in service.connects}),
    )
    return DrillFacts(hosts, machines, ask.now, states, values_of(statistics), quorum, clusters, connects, reached)


async def _look_at(place: str, ask: QueryClient) -> tuple[HostFacts, ...] | Unknown:
    nodes = await place_nodes(place, ask, is_cluster=False)
    if isinstance(nodes, Unknown):
        return nodes
    return tuple(await asyncio.gather(*(look_at_replicas(one, ask) for one in nodes)))


async def _known_hosts(place: str, ask: QueryClient) -> tuple[str, ...]:
    """The hosts of a place that are known without it: a cluster that is silent names none."""
    target = await ask.find_host(place)
    if isinstance(target, Unknown) or target.kind != "cluster":
        return (place,)
    return tuple(host_label(one) for one in target.nodes) or (place,)


def _primaries(names: Iterable[str], hosts: Iterable[HostFacts]) -> tuple[str, ...]:
    """The hosts that the replicas of these machines were copied from, where they say so."""
    hosts = tuple(hosts)
    told = [end.primary for name in names for end in named_ends(name, hosts)]
    return tuple(dict.fromkeys(one for one in told if one))


async def _reach(hosts: Iterable[str], ask: QueryClient) -> dict[str, float | Unknown]:
    return values_of(await ask.query_many({host: connect_time(host) for host in hosts}))


async def _states(hosts: Iterable[HostFacts], ask: QueryClient) -> dict[str, HostState]:
    hosts = tuple(hosts)
    found = await asyncio.gather(*(_state(host, ask) for host in hosts))
    return {host.node.name.casefold(): state for host, state in zip(hosts, found, strict=True)}


async def _state(host: HostFacts, ask: QueryClient) -> HostState:
    node, on = host.node, host.node.name
    (settings, versions, components), (memory, counts), (free, processors), backup = await asyncio.gather(
        asyncio.gather(
            ask.query(replica_settings(node)),
            ask.query(configuration_versions(node)),
            ask.query(shutdown_components(node)),
        ),
        asyncio.gather(ask.query(memory_use(node)), ask.query(processor_counts(node))),
        asyncio.gather(ask.query(free_memory(on)), ask.query(logical_processors(on))),
        _backup(host, ask),
    )
    return HostState(
        certificates=await _certificates(on, value_of(settings), ask),
        settings=value_of(settings),
        versions=value_of(versions),
        components=value_of(components),
        memory=value_of(memory),
        counts=value_of(counts),
        free=value_of(free),
        processors=value_of(processors),
        backup=backup,
    )


async def _certificates(
    on: str, settings: Mapping[str, ReplicaSettings] | Unknown, ask: QueryClient
) -> tuple[tuple[str, datetime | Unknown], ...] | Unknown:
    """Those that Replica uses on a host, where it replicates by certificates at all: as the receiver first."""
    by_certificate = (
        () if isinstance(settings, Unknown) else [one for one in settings.values() if one.by_kerberos is False]
    )
    if not by_certificate:
        return ()
    own = value_of(await ask.query(replica_certificate(on)))
    if isinstance(own, Unknown):
        return own
    if not own:
        return Unknown(on, "absent", "it has no certificate with which it receives replicas.")
    thumbprints = dict.fromkeys((own, *(one.certificate for one in by_certificate if one.certificate)))
    found = []
    for thumbprint in thumbprints:
        try:
            found.append((thumbprint, value_of(await ask.query(certificate_end(on, thumbprint)))))
        except ValueError as error:
            found.append((thumbprint, Unknown(on, "bad reply", f"{error}.")))
    return tuple(found)


async def _backup(host: HostFacts, ask: QueryClient) -> Backup:
    """Whether a backup runs there; of a host that hvops cannot place, that is not known."""
    on = host.node.name
    target = await ask.find_host(on)
    place = Target(on, "host") if isinstance(target, Unknown) else target
    cluster, copies, products = await asyncio.gather(
        _cluster(place.cluster, ask), ask.query(shadow_copies(on)), ask_backup_products(place, ask)
    )
    return await beside(backup_state, on, host.guests, cluster, value_of(copies), products)


async def _cluster(name: str, ask: QueryClient) -> Cluster | None:
    return await look_at_cluster(name, ask) if name else None


async def _clusters(places: Iterable[str], ask: QueryClient) -> frozenset[str]:
    places = tuple(places)
    found = await asyncio.gather(*(ask.find_host(place) for place in places))
    return frozenset(
        place.casefold()
        for place, one in zip(places, found, strict=True)
        if not isinstance(one, Unknown) and one.kind == "cluster"
    )


async def _quorum(cluster: str, ask: QueryClient) -> QuorumFacts | None:
    return await look_at_quorum(cluster, ask) if cluster else None
