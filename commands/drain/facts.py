"""Everything that is asked before a node is drained or resumed: one round to the cluster, one to the nodes.

VMM's jobs are asked for where the inventory names a VMM server that manages the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from commands.drain.roles import OtherRole, other_roles
from commands.sources import placement
from commands.sources.backup_state import NOT_SAID, Backup, BackupProducts, ask_backup_products, backup_state
from commands.sources.capacity import free_memory, memory_use
from commands.sources.cluster import (
    BUILD_2012,
    Cluster,
    Node,
    Resource,
    RoleResource,
    beside_if_long,
    look_at_cluster,
    node_named,
    possibly_on,
    role_resources,
    update_run,
    with_vm_ids,
)
from commands.sources.guest_bonds import Bonds, find_bonds
from commands.sources.guests import Guest, virtual_machines
from commands.sources.nodes import ClusterNodeState, NodeState, states_with_flags
from commands.sources.quorum import (
    NO_SETTINGS,
    NO_WITNESS,
    ClusterSettings,
    Witness,
    cluster_settings,
    judge_witness,
    witness_resources,
    witness_weight,
)
from commands.sources.services import HYPER_V_SERVICE, service_state
from commands.sources.snapshots import Snapshot, shadow_copies
from commands.sources.storage import VirtualDisk, storage_jobs, virtual_disks
from commands.sources.vmm import find_running_jobs
from commands.sources.vss_writers import host_writers
from commands.vss.writer_verdict import backup_with_writers, writer_samples


@dataclass(frozen=True)
class DrainFacts:
    """What was found out about one node and its cluster.

    Attributes:
        node: as the cluster writes it.
        build: of its Windows, None where it was not told.
        cluster: roles, resources, shared volumes.
        witness: whether it votes now.
        settings: of the cluster.
        threshold: from which priority on guests move live; None where nobody told.
        owners: resource of the node -> nodes where it may be, in lower case.
        guests: on the node, clustered or not.
        memory: VM id -> bytes that it holds.
        free: other node that is up -> free bytes.
        repairs: storage jobs under way, by name.
        virtual_disks: of Storage Spaces, as the node sees them.
        updating: node that is up, or may be -> whether it tells of a run of Cluster-Aware Updating.
        vmm_jobs: VMM server that manages the cluster -> how many of its jobs run, None where it does not tell.
        bonds: what binds the node's guests to it.
        others_held: the resources of the node's other roles; asked only where it has any.
        others_owners: as `owners`, of these.
        unfound: why nothing else is known; None where it is.
        copies: shadow copies of the node.
        products: that back it up.
        judged_backup: whether a backup runs, where somebody asked more than this (the node's writers).
    """

    node: str
    build: int | None
    cluster: Cluster
    nodes: tuple[NodeState, ...] | Unknown = ()
    witness: Witness | Unknown = NO_WITNESS
    settings: ClusterSettings | Unknown = NO_SETTINGS
    threshold: int | Unknown | None = None
    owners: Mapping[str, frozenset[str]] | Unknown = field(default_factory=dict)
    guests: tuple[Guest, ...] | Unknown = ()
    memory: Mapping[str, int] | Unknown = field(default_factory=dict)
    free: Mapping[str, int | Unknown] = field(default_factory=dict)
    repairs: tuple[str, ...] | Unknown = ()
    virtual_disks: tuple[VirtualDisk, ...] | Unknown = ()
    updating: Mapping[str, bool | Unknown] = field(default_factory=dict)
    vmm_jobs: Mapping[str, int | Unknown | None] = field(default_factory=dict)
    bonds: Bonds = field(default_factory=Bonds)
    others_held: tuple[RoleResource, ...] | Unknown = ()
    others_owners: Mapping[str, frozenset[str]] | Unknown = field(default_factory=dict)
    unfound: Unknown | None = None
    copies: tuple[Snapshot, ...] | Unknown = ()
    products: BackupProducts = NOT_SAID
    judged_backup: Backup | None = None

    @property
    def backup(self) -> Backup:
        """Whether a backup runs on the node, as far as its guests, volumes, copies and products tell."""
        return self.judged_backup or backup_state(self.node, self.guests, self.cluster, self.copies, self.products)

    @property
    def is_2008(self) -> bool:
        """Whether it is of the generation that knows no drain."""
        return self.build is not None and self.build < BUILD_2012

    @property
    def state(self) -> NodeState | None:
        """The node itself; None where the cluster did not tell of it."""
        return next((one for one in self.states if one.name.casefold() == self.node.casefold()), None)

    @cached_property
    def states(self) -> tuple[NodeState, ...]:
        """The nodes that the cluster told of."""
        return () if isinstance(self.nodes, Unknown) else self.nodes

    @property
    def tells_flags(self) -> bool:
        """Whether every node tells if it is isolated or in quarantine: 2016 and later."""
        return bool(self.states) and all(one.status is not None for one in self.states)

    @cached_property
    def others(self) -> tuple[NodeState, ...]:
        """All of them but the node."""
        return tuple(one for one in self.states if one.name.casefold() != self.node.casefold())

    @property
    def others_up(self) -> tuple[str, ...]:
        """The other nodes that are up, by name, in order."""
        return tuple(sorted(one.name for one in self.others if one.is_up))

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """The resources of virtual machines that the node owns, or may own."""
        every = () if isinstance(self.cluster.resources, Unknown) else self.cluster.resources
        return possibly_on(self.node, every)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The virtual machines' roles that the node owns, or may own."""
        every = () if isinstance(self.cluster.groups, Unknown) else self.cluster.groups
        return tuple(one.shown for one in possibly_on(self.node, every) if one.is_guest)

    @property
    def affected(self) -> int:
        """How many guests and other roles move: what an approval's bound is about."""
        others = self.other_roles
        return len(self.roles) + (0 if isinstance(others, Unknown) else len(others))

    @property
    def other_roles(self) -> tuple[OtherRole, ...] | Unknown:
        """What else the node owns, and a drain moves."""
        return other_roles(self.cluster.groups, self.node, self.others_held)


@dataclass(frozen=True, slots=True)
class ResumeFacts:
    """What was found out about a paused node that is to take guests again.

    Attributes:
        node: as the cluster writes it.
        cluster: roles, resources, shared volumes.
        updating: node that is up or may be, or this one -> whether it tells of a run of Cluster-Aware Updating.
        vmm_jobs: as of `DrainFacts`.
        vmms: how Hyper-V's management service is on the node; "" where it has none.
        unfound: why nothing else is known; None where it is.
    """

    node: str
    build: int | None
    cluster: Cluster
    nodes: tuple[NodeState, ...] | Unknown = ()
    updating: Mapping[str, bool | Unknown] = field(default_factory=dict)
    vmm_jobs: Mapping[str, int | Unknown | None] = field(default_factory=dict)
    vmms: str | Unknown = ""
    unfound: Unknown | None = None

    @property
    def is_2008(self) -> bool:
        """Whether it is of the generation of which nothing tells whether guests come back."""
        return self.build is not None and self.build < BUILD_2012

    @property
    def state(self) -> NodeState | None:
        """The node itself; None where the cluster did not tell of it."""
        every = () if isinstance(self.nodes, Unknown) else self.nodes
        return next((one for one in every if one.name.casefold() == self.node.casefold()), None)

    @property
    def affected(self) -> int:
        """How many guests and other roles are elsewhere, or may be: no more can come back.

        The cluster does not tell which of them it moved away when it drained the node.
        """
        groups = self.cluster.groups
        every = () if isinstance(groups, Unknown) else groups
        return sum(one.owner.casefold() != self.node.casefold() for one in every)


async def find_resume_facts(target: Target, ask: QueryClient) -> ResumeFacts:
    """Ask the cluster, then the nodes that are up and the node itself. The target is a node of a cluster."""
    on = target.cluster
    cluster, nodes = await asyncio.gather(look_at_cluster(on, ask), states_with_flags(on, ask))
    if isinstance(cluster.nodes, Unknown):
        return ResumeFacts(target.name, None, cluster, unfound=cluster.nodes)
    node = node_named(target.name, cluster.nodes)
    if isinstance(node, Unknown):
        return ResumeFacts(
            target.name, None, cluster, unfound=replace(node, why=node.why.replace("the cluster", on, 1))
        )
    found = ResumeFacts(node.name, node.build, cluster, nodes)
    if node.is_2008 or found.state is None or found.state.state != ClusterNodeState.PAUSED:
        return found
    updating, jobs, vmms = await asyncio.gather(
        _updating(node.name, found.nodes, ask),
        _vmm_jobs(target, ask),
        ask.query(service_state(node.name, HYPER_V_SERVICE)),
    )
    return replace(found, updating=updating, vmm_jobs=jobs, vmms=value_of(vmms))


async def _updating(node: str, nodes: tuple[NodeState, ...] | Unknown, ask: QueryClient) -> dict[str, bool | Unknown]:
    """Whether the node, or another one that is up or does not tell, tells of a run of Cluster-Aware Updating."""
    listed = () if isinstance(nodes, Unknown) else nodes
    others = tuple(one.name for one in listed if (one.is_up or not one.is_known) and one.name != node)
    return values_of(await ask.query_many({name: update_run(name) for name in (*others, node)}))


async def _vmm_jobs(target: Target, ask: QueryClient) -> dict[str, int | Unknown | None]:
    """How many jobs run in each VMM server that manages the cluster."""
    jobs = await asyncio.gather(*(find_running_jobs(server, ask) for server in target.managers))
    return dict(zip(target.managers, jobs, strict=True))


async def find_drain_facts(target: Target, ask: QueryClient) -> DrainFacts:
    """Ask everything, in two rounds. The target is a node of a cluster."""
    on = target.cluster
    cluster, nodes, (settings, witness), threshold = await asyncio.gather(
        look_at_cluster(on, ask),
        states_with_flags(on, ask),
        _quorum(on, ask),
        ask.query(placement.move_threshold(on)),
    )
    if isinstance(cluster.nodes, Unknown):
        return DrainFacts(target.name, None, cluster, unfound=cluster.nodes)
    node = node_named(target.name, cluster.nodes)
    if isinstance(node, Unknown):
        return DrainFacts(target.name, None, cluster, unfound=replace(node, why=node.why.replace("the cluster", on, 1)))
    if node.is_2008:
        return DrainFacts(node.name, node.build, cluster)
    up = [] if isinstance(nodes, Unknown) else [one.name for one in nodes if one.is_up and one.name != node.name]
    (
        (known, owners, held),
        (guests, memory),
        free,
        (repairs, disks),
        (hive, copies, products, writers, samples),
        (updating, jobs, bonds),
    ) = await asyncio.gather(
        asyncio.gather(with_vm_ids(cluster, ask, node.name), _owners(cluster, node, ask), _held(cluster, node, ask)),
        asyncio.gather(ask.query(virtual_machines(node)), ask.query(memory_use(node))),
        ask.query_many({name: free_memory(name) for name in up}),
        asyncio.gather(ask.query(storage_jobs(node.name)), ask.query(virtual_disks(node.name))),
        asyncio.gather(
            _threshold_of_hive(node, value_of(threshold), ask),
            ask.query(shadow_copies(node.name)),
            ask_backup_products(target, ask),
            ask.query(host_writers(node.name)),
            ask.query(writer_samples(node.name)),
        ),
        asyncio.gather(_updating(node.name, nodes, ask), _vmm_jobs(target, ask), find_bonds(on, node, up, ask)),
    )
    judged = await beside(  # by as many writers and guests as the host lists
        backup_with_writers,
        node.name,
        value_of(guests),
        known,
        copies=value_of(copies),
        products=products,
        writers=value_of(writers),
        samples=() if isinstance(samples, Unknown) else samples.value,
        now=ask.now,
    )
    return DrainFacts(
        node=node.name,
        build=node.build,
        cluster=known,
        nodes=nodes,
        witness=witness,
        settings=settings,
        threshold=hive,
        owners=owners,
        guests=value_of(guests),
        memory=value_of(memory),
        free=values_of(free),
        repairs=value_of(repairs),
        virtual_disks=value_of(disks),
        updating=updating,
        vmm_jobs=jobs,
        bonds=bonds,
        others_held=held[0],
        others_owners=held[1],
        copies=value_of(copies),
        products=products,
        judged_backup=judged,
    )


async def _quorum(on: str, ask: QueryClient) -> tuple[ClusterSettings | Unknown, Witness | Unknown]:
    """How the cluster is set, and whether its witness votes now."""
    settings, weight, resources = await asyncio.gather(
        ask.query(cluster_settings(on)), ask.query(witness_weight(on)), ask.query(witness_resources(on))
    )
    told = value_of(settings)
    return told, judge_witness(on, told, value_of(weight), value_of(resources))


async def _held(
    cluster: Cluster, node: Node, ask: QueryClient
) -> tuple[tuple[RoleResource, ...] | Unknown, placement.Owners | Unknown]:
    """The resources of the node's other roles, and where they may be; nothing is asked where it has none."""
    groups = cluster.groups
    roles = await beside_if_long(() if isinstance(groups, Unknown) else groups, other_roles, groups, node.name, ())
    if isinstance(roles, Unknown) or all(one.is_shared_volume for one in roles):
        return (), {}
    held = value_of(await ask.query(role_resources(cluster.name, node.name)))
    if isinstance(held, Unknown):
        return held, held
    return held, await placement.find_possible_owners(cluster.name, [one.name for one in held if one.name], ask)


async def _owners(cluster: Cluster, node: Node, ask: QueryClient) -> placement.Owners | Unknown:
    """Where the node's resources may be."""
    if isinstance(cluster.resources, Unknown):
        return cluster.resources
    own = await beside_if_long(cluster.resources, _owned, cluster.resources, node.name)
    return await placement.find_possible_owners(cluster.name, own, ask)


def _owned(resources: Sequence[Resource], node: str) -> list[str]:
    return [one.name for one in possibly_on(node, resources) if one.name]


async def _threshold_of_hive(node: Node, told: int | Unknown | None, ask: QueryClient) -> int | Unknown | None:
    """Where the private properties did not tell it."""
    if isinstance(told, int):
        return told
    return value_of(await ask.query(placement.move_threshold_of_hive(node.name)))
