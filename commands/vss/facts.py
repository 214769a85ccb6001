"""Everything that `/check-writers` asks, as facts: one round to the cluster, one to every node at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from commands.sources import event_log as logs
from commands.sources.backup_state import NOT_SAID, BackupProducts, ask_backup_products
from commands.sources.cluster import Cluster, Node, look_at_cluster, look_at_host, target_nodes, with_vm_ids
from commands.sources.event_log import EventLog, logged_events, snapshot_failures
from commands.sources.guests import Guest, virtual_machines
from commands.sources.nodes import NodeState, states_with_flags
from commands.sources.snapshots import Snapshot, look_at_snapshots
from commands.sources.vss_writers import Writer, host_writers
from commands.vss.writer_verdict import WriterSample, writer_samples

LOOK_BACK = timedelta(hours=24)  # a night's backup, seen the next morning


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What one node said; each part stands alone, since each can fail alone."""

    node: Node
    writers: tuple[Writer, ...] | Unknown
    guests: tuple[Guest, ...] | Unknown
    vmms: EventLog | Unknown
    clustering: EventLog | Unknown
    callbacks: EventLog | Unknown
    snapshots: tuple[Snapshot, ...] | Unknown  # the mounted ones
    copies: tuple[Snapshot, ...] | Unknown  # every one
    samples: tuple[WriterSample, ...] | Unknown

    @property
    def runs_hyper_v(self) -> bool:
        """Whether it has Hyper-V at all; a host that did not answer is taken to."""
        return not (isinstance(self.guests, Unknown) and self.guests.kind == "absent")


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What a node beside the target said: only its log and its guests count, since guests move."""

    node: Node
    guests: tuple[Guest, ...] | Unknown
    vmms: EventLog | Unknown


@dataclass(frozen=True, slots=True)
class WriterFacts:
    """What was found out.

    Attributes:
        cluster: None for a host that stands alone.
        unfound: why there are no nodes; None where there are.
        products: that back up the target.
        states: of every node of the cluster, with its flags; not asked where a node of 2008 R2 is in it.
    """

    now: datetime
    cluster: Cluster | None
    nodes: tuple[NodeFacts, ...]
    beside: tuple[LogFacts, ...] = ()
    unfound: Unknown | None = None
    products: BackupProducts = NOT_SAID
    states: tuple[NodeState, ...] | Unknown = ()


async def find_writer_facts(target: Target, ask: QueryClient) -> WriterFacts:
    """Ask everything: two rounds, and a third where a locked resource did not tell its virtual machine."""
    facts, products = await asyncio.gather(_ask_hosts(target, ask), ask_backup_products(target, ask))
    return replace(facts, products=products)


async def _ask_hosts(target: Target, ask: QueryClient) -> WriterFacts:
    if not target.cluster:
        return WriterFacts(ask.now, None, await _ask_nodes((await look_at_host(target.name, ask),), ask))
    cluster = await look_at_cluster(target.cluster, ask)
    if isinstance(cluster.nodes, Unknown):
        if target.kind == "cluster":
            return WriterFacts(ask.now, cluster, (), unfound=cluster.nodes)
        return WriterFacts(ask.now, cluster, await _ask_nodes((Node(target.name, None),), ask), unfound=cluster.nodes)
    wanted = target_nodes(target, cluster.nodes)
    others = tuple(node for node in cluster.nodes if node not in wanted)
    nodes, beside, known, states = await asyncio.gather(
        _ask_nodes(wanted, ask), _ask_beside(others, ask), with_vm_ids(cluster, ask), _states(cluster, ask)
    )
    return WriterFacts(ask.now, known, nodes, beside, states=states)


async def _states(cluster: Cluster, ask: QueryClient) -> tuple[NodeState, ...] | Unknown:
    if isinstance(cluster.nodes, Unknown) or any(node.is_2008 for node in cluster.nodes):
        return ()
    return await states_with_flags(cluster.name, ask)


async def _ask_nodes(nodes: Sequence[Node], ask: QueryClient) -> tuple[NodeFacts, ...]:
    names = [node.name for node in nodes]
    since = ask.now - LOOK_BACK
    drains, callback = (logs.DRAIN_MOVE_FAILED, logs.LOCKED_STATUS), (logs.VSS_CALLBACK,)
    (writers, guests, samples), (vmms, clustering, callbacks), snapshots = await asyncio.gather(
        asyncio.gather(
            ask.query_many({on: host_writers(on) for on in names}),
            ask.query_many({node.name: virtual_machines(node) for node in nodes}),
            ask.query_many({on: writer_samples(on) for on in names}),
        ),
        asyncio.gather(
            ask.query_many({node.name: snapshot_failures(node.name, since, node.build) for node in nodes}),
            ask.query_many({on: logged_events(on, "System", drains, since, logs.CLUSTERING) for on in names}),
            ask.query_many({on: logged_events(on, "Application", callback, since, logs.VSS) for on in names}),
        ),
        look_at_snapshots(names, ask),
    )
    return tuple(
        NodeFacts(
            node,
            writers=value_of(writers[node.name]),
            guests=value_of(guests[node.name]),
            vmms=value_of(vmms[node.name]),
            clustering=value_of(clustering[node.name]),
            callbacks=value_of(callbacks[node.name]),
            snapshots=snapshots[node.name].mounted,
            copies=snapshots[node.name].copies,
            samples=value_of(samples[node.name]),
        )
        for node in nodes
    )


async def _ask_beside(nodes: Sequence[Node], ask: QueryClient) -> tuple[LogFacts, ...]:
    since = ask.now - LOOK_BACK
    guests, vmms = await asyncio.gather(
        ask.query_many({node.name: virtual_machines(node) for node in nodes}),
        ask.query_many({node.name: snapshot_failures(node.name, since, node.build) for node in nodes}),
    )
    return tuple(LogFacts(node, value_of(guests[node.name]), value_of(vmms[node.name])) for node in nodes)
