"""Everything that is asked before a guest moves live: on which node it is, and all that a drain of that node asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from commands.drain.facts import DrainFacts, find_drain_facts
from commands.drain.move import MoveFacts
from commands.formatting import join_names, pluralize
from commands.migration.proof import Proof, proofs
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.guests import Guest, virtual_machines
from commands.sources.identity import guid
from commands.sources.migration import MachineResource, machine_resources_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a guest is: on a node of a cluster."""

    guest: Guest
    node: Node
    cluster: Target


@dataclass(frozen=True, slots=True)
class MigrationFacts:
    """What is known of a guest that is to move.

    Attributes:
        place: where it is.
        target: its node, as the inventory knows it.
        drain: that node, asked as for a drain.
        resource: the guest as a resource of the cluster.
        proved: the ways that were tried there, newest attempts.
    """

    place: Place
    target: Target
    drain: DrainFacts
    resource: MachineResource | Unknown
    proved: tuple[Proof, ...] | Unknown

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.place.cluster.name

    @property
    def guest(self) -> Guest:
        """The guest, as its node tells it."""
        return self.place.guest

    @property
    def node(self) -> str:
        """Its node, as the cluster writes it."""
        return self.drain.node

    @property
    def unplannable(self) -> str:
        """Why nothing can be planned from what is known; "" where it can."""
        name, drain = self.guest.name, self.drain
        if drain.unfound is not None:
            return f"No plan for {name}: {drain.unfound.target}: {drain.unfound.why}"
        if drain.is_2008:
            return (
                f"No plan for {name}: {drain.node} runs Windows Server 2008 R2, which tells too little of locks and backups."
                " By hand: live-migrate it in Failover Cluster Manager."
            )
        if isinstance(drain.nodes, Unknown):
            return f"No plan for {name}: {self.cluster} did not report the states of its nodes: {drain.nodes.why}"
        if isinstance(self.resource, Unknown):
            return f"No plan for {name}: {self.resource.why}"
        return ""

    def to(self, node: str) -> MoveFacts:
        """What is known of a move of it to a node."""
        return MoveFacts(self.drain, self.guest, node)

    def find_node(self, name: str) -> str:
        """A node of the cluster as the cluster writes it, by the name that somebody typed; "" where it is none."""
        label = name.partition(".")[0].casefold()
        return next((one.name for one in self.drain.states if one.name.partition(".")[0].casefold() == label), "")

    def destinations(self) -> tuple[str, ...]:
        """Nodes that could take it, as far as names, states, owners and memory tell: by name, so that the choice stays."""
        owners = self.drain.owners
        resource = "" if isinstance(self.resource, Unknown) else self.resource.name.casefold()
        allowed = None if isinstance(owners, Unknown) else owners.get(resource)
        memory = self.drain.memory
        needs = 0 if isinstance(memory, Unknown) else memory.get(self.guest.vm_id, 0)
        found = [
            one.name
            for one in self.drain.others
            if one.is_up
            and (allowed is None or one.name.casefold() in allowed)
            and isinstance(free := self.drain.free.get(one.name), int)
            and free >= needs
        ]
        return tuple(sorted(found, key=str.casefold))


async def find_place(name: str, clusters: Iterable[Target], ask: QueryClient) -> Place | str:
    """The one guest of that name, or id, on the nodes of these clusters; else why it is not known which that is.

    A name is found only where every node has answered: another machine of that name may be on a silent one. One that is down
    in the eyes of its cluster is asked as well: an isolated node goes on to host its guests. An id is one machine's.
    """
    of = {cluster.name: cluster for cluster in clusters}
    nodes = await ask.query_many({cluster: cluster_nodes(cluster) for cluster in of})
    silent: list[Unknown] = [part for part in nodes.values() if isinstance(part, Unknown)]
    every = {
        (cluster, node.name): node
        for cluster, part in nodes.items()
        if not isinstance(part, Unknown)
        for node in part.value
    }
    told = await ask.query_many({key: virtual_machines(node) for key, node in every.items()})
    silent += [part for part in told.values() if isinstance(part, Unknown)]
    wanted, id_ = name.casefold(), guid(name)
    found = [
        Place(guest, every[key], of[key[0]])
        for key, part in told.items()
        if not isinstance(part, Unknown)
        for guest in part.value
        if not guest.is_copy and (guest.name.casefold() == wanted or (id_ and guest.vm_id == id_))
    ]
    if len(found) == 1 and (not silent or (id_ and found[0].guest.vm_id == id_)):
        return found[0]
    return _which(name, found, silent, list(of))


def _which(name: str, found: Sequence[Place], silent: Sequence[Unknown], clusters: Sequence[str]) -> str:
    gap = join_names([f"{one.target} ({one.why.rstrip('.')})" for one in silent], 4)
    if len(found) == 1:
        one = found[0]
        return (
            f"No plan for {name}: it is on {one.node.name}, but whether another virtual machine bears that name is not known of"
            f" {gap}. Give its id: {one.guest.vm_id}."
        )
    if found:
        where = join_names([f"{one.guest.vm_id} on {one.node.name}" for one in found], 6)
        return f"No plan for {name}: {pluralize(len(found), 'virtual machine')} bear that name: {where}. Give the id of one."
    not_told = f" Not known of {gap}." if silent else ""
    return f"No plan for {name}: no node of {join_names(clusters)} has a virtual machine of that name or id.{not_told}"


async def find_migration_facts(place: Place, ask: QueryClient) -> MigrationFacts:
    """Ask everything about a guest whose place is known."""
    cluster = place.cluster.name
    told = await ask.find_host(place.node.name)  # with the backup products that the inventory names for it
    target = Target(place.node.name, "host", cluster) if isinstance(told, Unknown) else told
    target = replace(target, cluster=cluster, managers=place.cluster.managers)
    drain, resources, proved = await asyncio.gather(
        find_drain_facts(target, ask),
        ask.query(machine_resources_of(cluster, place.node.name)),
        ask.query(proofs(cluster)),
    )
    return MigrationFacts(place, target, drain, _own(place, value_of(resources)), value_of(proved))


def _own(place: Place, resources: tuple[MachineResource, ...] | Unknown) -> MachineResource | Unknown:
    """The guest's own resource. One that does not tell its machine could be it, so then it is not known."""
    if isinstance(resources, Unknown):
        return resources
    own = [one for one in resources if one.vm_id == place.guest.vm_id]
    if len(own) == 1 and own[0].name and own[0].group:
        return own[0]
    if len(own) > 1:
        return Unknown(
            place.guest.name, "ambiguous", f"{pluralize(len(own), 'resource')} of the cluster say that they are it."
        )
    why = f"no resource of {place.cluster.name} on {place.node.name} says that it is this virtual machine."
    return Unknown(place.guest.name, "absent", why)
