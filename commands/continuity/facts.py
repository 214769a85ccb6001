"""What is asked for the assumptions of a service, or of a cluster.

Both ends of a replication bear one id, so a machine is found on all places first, and then each end is asked where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from bot.api.arguments import Target
from bot.api.continuity import Assumption, Probe, Service
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from bot.api.sources import Source
from commands.continuity.inside import InsideFacts, look_inside
from commands.continuity.links import NO_PATHS, Paths, link_pairs, point_pairs
from commands.sources.cluster import Node, cluster_nodes, look_at_host
from commands.sources.drills import DrillRecord, drills_of
from commands.sources.guests import Guest, Replication, virtual_machines
from commands.sources.nodes import NodeState, states_with_flags
from commands.sources.ping import connect_time, echoes, series_of
from commands.sources.quorum import (
    ClusterSettings,
    WitnessResource,
    cluster_settings,
    witness_resources,
    witness_shares,
    witness_weight,
)
from commands.sources.replication import (
    Ends,
    Relationship,
    Statistics,
    relationships,
    replication_ends,
    replication_statistics,
)
from commands.sources.slack_group import Member, group_members

T = TypeVar("T")


@dataclass(frozen=True)
class HostFacts:
    """One host: its machines, what of them it replicates, and with whom."""

    node: Node
    guests: tuple[Guest, ...] | Unknown
    relationships: tuple[Relationship, ...] | Unknown
    ends: Mapping[str, Ends] | Unknown

    def guests_named(self, name: str) -> Sequence[Guest]:
        """Its machines of that name; none where it did not say. Looked up, for a service has many and a host thousands."""
        return self._by_name.get(name.casefold(), ())

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[Guest]]:
        found: dict[str, list[Guest]] = {}
        for guest in () if isinstance(self.guests, Unknown) else self.guests:
            found.setdefault(guest.name.casefold(), []).append(guest)
        return found


@dataclass(frozen=True, slots=True)
class QuorumFacts:
    """The votes of one cluster. `shares`: the paths of its file share witness."""

    cluster: str
    nodes: tuple[NodeState, ...] | Unknown
    settings: ClusterSettings | Unknown
    weight: int | Unknown | None
    witnesses: tuple[WitnessResource, ...] | Unknown
    shares: tuple[str, ...] | Unknown


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was answered.

    Attributes:
        hosts: by name, in lower case.
        unlisted: clusters that did not name their nodes.
        statistics: by host in lower case and machine.
        quorums: by cluster, in lower case.
        inside: what stands in files, by machine in lower case.
        paths: echo requests, and how long hvops itself took to connect.
        groups: members of Slack groups, by id.
        drills: of the service that are done; None where nobody asked.
    """

    hosts: Mapping[str, HostFacts]
    unlisted: tuple[Unknown, ...]
    statistics: Mapping[tuple[str, str], Statistics | Unknown]
    quorums: Mapping[str, QuorumFacts]
    now: datetime
    inside: Mapping[str, InsideFacts | Unknown] = field(default_factory=dict)
    paths: Paths = NO_PATHS
    groups: Mapping[str, tuple[Member, ...] | Unknown] = field(default_factory=dict)
    drills: tuple[DrillRecord, ...] | Unknown | None = None


async def look(target: Target, ask: QueryClient) -> Facts:
    """Ask all places of a service, or one cluster."""
    service = service_of(target)
    places = service.places if service else (target.name,)
    quorums = asyncio.create_task(_quorums(target, ask))
    found = await asyncio.gather(*(place_nodes(place, ask, is_cluster=service is None) for place in places))
    nodes = [node for each in found if not isinstance(each, Unknown) for node in each]
    looked = await asyncio.gather(*(look_at_replicas(node, ask) for node in nodes))
    hosts = {one.node.name.casefold(): one for one in looked}
    senders = _senders(places, found, hosts)
    statistics, inside, paths, groups, drills = await asyncio.gather(
        ask.query_many(_statistics(target, looked)),
        look_inside(assumptions_of(target), nodes, ask),
        _paths(target, senders, ask),
        _groups(target, ask),
        _drills(target, ask),
    )
    return Facts(
        hosts=hosts,
        unlisted=tuple(one for one in found if isinstance(one, Unknown)),
        statistics=values_of(statistics),
        quorums=await quorums,
        now=ask.now,
        inside=inside,
        paths=paths,
        groups=groups,
        drills=drills,
    )


def service_of(target: Target) -> Service | None:
    """The service that a target is; None for a cluster."""
    return target.services[0] if target.kind == "service" else None


def assumptions_of(target: Target) -> tuple[Assumption, ...]:
    """What the inventory says of a target: of a service its own; of a cluster those of its services that name it."""
    if target.kind == "service":
        return target.services[0].assumptions
    return tuple(
        one
        for service in target.services
        for one in service.assumptions
        if one.probe is Probe.VOTES and one.target.casefold() == target.name.casefold()
    )


async def place_nodes(place: str, ask: QueryClient, *, is_cluster: bool) -> tuple[Node, ...] | Unknown:
    """The hosts of a place: the nodes of a cluster, or the host itself."""
    if not is_cluster:
        target = await ask.find_host(place)
        if isinstance(target, Unknown):
            return target
        if target.kind != "cluster":
            return (await look_at_host(target.name, ask),)
    return value_of(await ask.query(cluster_nodes(place)))


async def look_at_replicas(node: Node, ask: QueryClient) -> HostFacts:
    """One host; of what its Windows does not have, why."""
    question = relationships(node)
    guests, replicated, ends = await asyncio.gather(
        ask.query(virtual_machines(node)),
        _answer(question, ask),
        ask.query(replication_ends(node)) if isinstance(question, Source) else _answer(question, ask),
    )
    return HostFacts(node, value_of(guests), replicated, ends if isinstance(ends, Unknown) else value_of(ends))


async def _answer(question: Source[T] | Unknown, ask: QueryClient) -> T | Unknown:
    return question if isinstance(question, Unknown) else value_of(await ask.query(question))


async def _quorums(target: Target, ask: QueryClient) -> dict[str, QuorumFacts]:
    """The votes of the clusters whose votes matter: this one, or those that the service's assumptions name."""
    if target.kind == "cluster":
        names = [target.name]
    else:
        names = list(dict.fromkeys(one.target for one in assumptions_of(target) if one.probe is Probe.VOTES))
    found = await asyncio.gather(*(look_at_quorum(name, ask) for name in names))
    return {name.casefold(): one for name, one in zip(names, found, strict=True)}


async def look_at_quorum(cluster: str, ask: QueryClient) -> QuorumFacts:
    """Ask one cluster for everything that votes."""
    nodes, settings, weight, witnesses, shares = await asyncio.gather(
        states_with_flags(cluster, ask),
        ask.query(cluster_settings(cluster)),
        ask.query(witness_weight(cluster)),
        ask.query(witness_resources(cluster)),
        ask.query(witness_shares(cluster)),
    )
    return QuorumFacts(cluster, nodes, value_of(settings), value_of(weight), value_of(witnesses), value_of(shares))


def _statistics(target: Target, hosts: Iterable[HostFacts]) -> dict[tuple[str, str], Source[Statistics]]:
    """Whose statistics are asked: of each machine that an assumption names, on every host that has an end of it."""
    names = {
        one.target.casefold() for one in assumptions_of(target) if one.probe in (Probe.REPLICATION, Probe.TEST_FAILOVER)
    }
    return {
        (host.node.name.casefold(), guest.vm_id): replication_statistics(host.node.name, guest.vm_id)
        for host in hosts
        if not isinstance(host.guests, Unknown)
        for guest in host.guests
        if guest.name.casefold() in names and guest.replication is not Replication.NONE
    }


def _senders(
    places: Sequence[str], found: Sequence[tuple[Node, ...] | Unknown], hosts: Mapping[str, HostFacts]
) -> dict[str, str]:
    """Which host asks for each place: its first one that answered; "" where none did."""
    return {
        place.casefold(): next(
            (
                node.name
                for node in (() if isinstance(nodes, Unknown) else nodes)
                if not isinstance(hosts[node.name.casefold()].guests, Unknown)
            ),
            "",
        )
        for place, nodes in zip(places, found, strict=True)
    }


async def _paths(target: Target, senders: Mapping[str, str], ask: QueryClient) -> Paths:
    """Send a series for every pair that an assumption wants, and connect to the senders of links."""
    links = [one for one in assumptions_of(target) if one.probe is Probe.LINK]
    points = [one for one in assumptions_of(target) if one.probe is Probe.SINGLE_POINT]
    pairs = [pair for one in links for pair in link_pairs(one, senders)]
    ends = dict.fromkeys(sender for sender, _ in pairs)
    pairs += [pair for one in points for pair in point_pairs(one, senders)]
    every = list(dict.fromkeys(pairs))
    answers = await asyncio.gather(*(ask.query_many(echoes(sender, address)) for sender, address in every))
    connects = values_of(await ask.query_many({sender.casefold(): connect_time(sender) for sender in ends}))
    series = {
        (sender.casefold(), address.casefold()): series_of(told.values())
        for (sender, address), told in zip(every, answers, strict=True)
    }
    return Paths(senders, series, connects)


async def _drills(target: Target, ask: QueryClient) -> tuple[DrillRecord, ...] | Unknown | None:
    if not any(one.probe is Probe.DRILL for one in assumptions_of(target)):
        return None
    return value_of(await ask.query(drills_of(target.name)))


async def _groups(target: Target, ask: QueryClient) -> dict[str, tuple[Member, ...] | Unknown]:
    names = {one.target for one in assumptions_of(target) if one.probe is Probe.ON_CALL}
    return values_of(await ask.query_many({name: group_members(name) for name in sorted(names)}))
