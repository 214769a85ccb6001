"""What is asked before nodes are fixed: their packages, then of those that need it all that a drain and a restart need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from bot.api.updates import UpdateRule
from commands.drain.facts import DrainFacts, find_drain_facts
from commands.patch_fix.needs import Need, NodeNeed, Told, judge_need
from commands.patches.reboots import RebootFlags, look_at_flags
from commands.sources.backup_state import Backup, ask_backup_products, backup_state
from commands.sources.cluster import Cluster, Node, cluster_nodes
from commands.sources.event_log import EventLog, logged_events
from commands.sources.guests import Guest, virtual_machines
from commands.sources.packages import Package, PackageFile, listed_packages, staged_package, told_of
from commands.sources.restarts import file_renames
from commands.sources.services import Service, host_services
from commands.sources.snapshots import shadow_copies
from commands.sources.updates import NodeUpdates, look_at_updates

UPDATER = "wuauserv"  # the service behind Automatic Updates [doc]
DEFENDER, BLOCKED_BY_RULE = "Microsoft-Windows-Windows Defender/Operational", 1121
_LATELY = timedelta(days=7)
_MOST_ROLLUPS = 4


@dataclass(frozen=True, slots=True)
class OldNode:
    """What stands in for a drain's facts on 2008 R2, which knows no drain.

    Attributes:
        guests: virtual machines of the node.
        backup: whether one runs there, as far as guests, shadow copies and products tell: no shared volume tells it yet.
    """

    guests: tuple[Guest, ...] | Unknown
    backup: Backup


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """All that is known of a node that has to be fixed.

    Attributes:
        files: update -> what lies there as its file; an update without a path in the inventory is missing.
        updater: the service of Automatic Updates; None where the node has none.
        flags: what asks for a restart, and how old that is; None where nothing does.
        renames: whether files are to be renamed at the next start.
        drain: None on 2008 R2.
        blocked: events of attack surface rules that blocked something lately; Unknown also where Windows has no such log.
    """

    node: Node
    files: Mapping[str, PackageFile | Unknown]
    updater: Service | Unknown | None
    updates: NodeUpdates | Unknown
    flags: RebootFlags | None
    renames: bool | Unknown
    drain: DrainFacts | None
    old: OldNode | None
    blocked: EventLog | Unknown


@dataclass(frozen=True, slots=True)
class FixFacts:
    """What was found out.

    Attributes:
        needs: how each node stands, in the order of the cluster.
        nodes: node that has to be fixed -> what is known of it.
        members: the nodes as the cluster tells them.
        paths: update -> where its file lies, of the Windows of the nodes that have to be fixed.
        unfound: why nothing is known; None where it is.
    """

    now: datetime
    needs: tuple[NodeNeed, ...] = ()
    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    members: tuple[Node, ...] = ()
    paths: Mapping[tuple[str, int], str] = field(default_factory=dict)
    unfound: Unknown | None = None

    @property
    def to_fix(self) -> tuple[NodeNeed, ...]:
        """The nodes that have to be fixed."""
        return tuple(one for one in self.needs if one.need is Need.FIX)


async def find_fix_facts(target: Target, rule: UpdateRule, ask: QueryClient) -> FixFacts:
    """Ask every node for its packages, then those that need something for the rest."""
    members = value_of(await ask.query(cluster_nodes(target.name)))
    if isinstance(members, Unknown):
        return FixFacts(ask.now, unfound=members)
    up = [node for node in members if not node.down]
    lists, updates = await asyncio.gather(
        ask.query_many({node.name: listed_packages(node.name) for node in up}), look_at_updates(up, ask)
    )
    packages = values_of(lists)
    cumulative = await _ask_rollups(packages, ask)
    needs = tuple(_need(node, rule, packages, updates, cumulative) for node in members)
    paths = {(one.kb, one.build): one.path for one in target.packages}
    wanted = {one.node: one for one in needs if one.need is Need.FIX}
    found = await asyncio.gather(
        *(
            _look_at(target, node, _files(wanted[node.name], node, paths), updates[node.name], ask)
            for node in members
            if node.name in wanted
        )
    )
    return FixFacts(ask.now, needs, {one.node.name: one for one in found}, members, paths)


def _files(need: NodeNeed, node: Node, paths: Mapping[tuple[str, int], str]) -> dict[str, str]:
    """Where the files lie that a node has to have, as far as the inventory says."""
    build = node.build or 0
    return {kb: paths[kb, build] for kb in need.adds if (kb, build) in paths}


def _need(
    node: Node,
    rule: UpdateRule,
    packages: Mapping[str, tuple[Package, ...] | Unknown],
    updates: Mapping[str, NodeUpdates | Unknown],
    cumulative: Mapping[tuple[str, str], PackageFile | Unknown],
) -> NodeNeed:
    if node.down:
        return NodeNeed(node.name, Need.UNKNOWN, "its cluster says that it is down")
    told = updates[node.name]
    own = tuple(file for (name, _), file in cumulative.items() if name == node.name)
    listed = told if isinstance(told, Unknown) else told.listed
    return judge_need(node.name, rule, Told(node.build, packages[node.name], listed, own))


async def _ask_rollups(
    packages: Mapping[str, Sequence[Package] | Unknown], ask: QueryClient
) -> dict[tuple[str, str], PackageFile | Unknown]:
    """What the newest cumulative packages of each node say of themselves: their numbers stand nowhere else."""
    wanted = [
        (name, one.identity)
        for name, own in packages.items()
        if not isinstance(own, Unknown)
        for one in [each for each in own if each.is_cumulative][-_MOST_ROLLUPS:]
    ]
    if not wanted:
        return {}
    return values_of(await ask.query_many({(name, identity): told_of(name, identity) for name, identity in wanted}))


async def _look_at(
    target: Target, node: Node, named: Mapping[str, str], updates: NodeUpdates | Unknown, ask: QueryClient
) -> NodeFacts:
    """One node; `named` are the files that it has to have, by update."""
    host = Target(node.name, "host", target.name, managers=target.managers, backup=target.backup)
    known = {} if isinstance(updates, Unknown) else {node.name: updates}
    files, services, renames, blocked, flags, (drain, old) = await asyncio.gather(
        ask.query_many({kb: staged_package(node.name, path) for kb, path in named.items()}),
        ask.query(host_services(node.name)),
        ask.query(file_renames(node.name)),
        ask.query(logged_events(node.name, DEFENDER, (BLOCKED_BY_RULE,), ask.now - _LATELY)),
        look_at_flags(known, ask),
        _look_at_guests(host, node, ask),
    )
    return NodeFacts(
        node,
        values_of(files),
        _updater(node.name, value_of(services)),
        updates,
        flags.get(node.name),
        value_of(renames),
        drain,
        old,
        value_of(blocked),
    )


def _updater(node: str, services: Sequence[Service] | Unknown) -> Service | Unknown | None:
    """A list without any service is no knowledge: accounts without a right see none."""
    if isinstance(services, Unknown):
        return services
    if not services:
        return Unknown(node, "bad reply", "It lists no service at all.")
    return next((one for one in services if one.name.casefold() == UPDATER), None)


async def _look_at_guests(host: Target, node: Node, ask: QueryClient) -> tuple[DrainFacts | None, OldNode | None]:
    if not node.is_2008:
        return await find_drain_facts(host, ask), None
    guests, copies, products = await asyncio.gather(
        ask.query(virtual_machines(node)), ask.query(shadow_copies(node.name)), ask_backup_products(host, ask)
    )
    own, none = value_of(guests), Cluster(host.cluster, ())
    return None, OldNode(own, backup_state(node.name, own, none, value_of(copies), products))
