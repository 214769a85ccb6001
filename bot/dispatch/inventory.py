"""Which names there are: clusters and hosts of the inventory, and the nodes that the clusters themselves name."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from bot.api.arguments import Target
from bot.api.queries import Wql
from bot.api.rows import CellError, get_str
from bot.config.inventory_file import InventoryFile, Vmm
from bot.dispatch.argument_parser import quoted
from bot.dispatch.query_session import QueryExecutor
from bot.errors import TargetError, UsageError

FRESH_SECONDS = 600.0  # how long a cluster's list of nodes is believed


class NodeCache(Protocol):
    """Who must know of nodes to reach them (`transport.Router`)."""

    def add_nodes(self, cluster: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """Take the nodes of a cluster; answer those that can be reached at all."""
        ...


class Inventory:
    """The names. Nodes are asked for when they are needed, and again after ten minutes."""

    def __init__(
        self,
        inventory_file: InventoryFile,
        target_client: QueryExecutor,
        router: NodeCache,
        seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inventory_file = inventory_file
        self._target_client = target_client
        self._router = router
        self._seconds = seconds
        self._clock = clock
        self._nodes: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._has_asked_all = False

    async def nodes(self, cluster: str) -> tuple[str, ...]:
        """The nodes of a cluster, sorted, in the cluster's own spelling in lower case.

        Raises:
            TargetError: no entry host of the cluster answered.
        """
        key = cluster.lower()
        async with self._locks.setdefault(key, asyncio.Lock()):
            at, known = self._nodes.get(key, (float("-inf"), ()))
            if self._clock() - at < FRESH_SECONDS:
                return known
            question = Wql(self._inventory_file.clusters[key].name, "root/MSCluster", "MSCluster_Node", ("Name",))
            answer = await self._target_client.answer(question, self._seconds)
            named = tuple(sorted({get_str(row, "Name").lower() for row in answer.rows} - {""}))
            found = self._router.add_nodes(key, named)
            self._nodes[key] = (self._clock(), found)
            return found

    async def find(self, name: str) -> Target:
        """The target of that name, with or without its domain.

        Raises:
            UsageError: there is none; suggests names that are near, and says whose nodes are not known.
        """
        wanted = name.strip().lower()
        target = self._known(wanted)
        if target is not None and (self._is_written(wanted) or self._has_asked_all):
            return target
        silent = await self._discover()
        target = self._known(wanted)
        if target is not None:
            return target
        near = difflib.get_close_matches(wanted.partition(".")[0], sorted(self.known()), n=3, cutoff=0.6)
        unknown = "".join(f" The nodes of {cluster} are not known: {why}" for cluster, why in silent.items())
        there = "" if near else f" Clusters: {', '.join(sorted(self._inventory_file.clusters)) or 'none'}."
        says = f"There is no cluster or host {quoted(name)} in the estate.{there}{unknown}"
        raise UsageError(says, suggestions=tuple(near))

    def known(self) -> tuple[str, ...]:
        """All names known by now: clusters first, then VMM servers, then hosts and nodes."""
        clusters = (*sorted(self._inventory_file.clusters), *sorted(self._inventory_file.vmm))
        return clusters + tuple(sorted(set(self._homes()) - set(clusters)))

    def scopes(self) -> dict[str, tuple[str, ...]]:
        """Every name known by now, and where a role must hold for it. Asks nobody."""
        found = {name: self._known(name) for name in self.known()}
        return {name: scopes_of(target) for name, target in found.items() if target is not None}

    def vmm_servers(self) -> tuple[Target, ...]:
        """The VMM servers of the inventory, by name."""
        return tuple(self._server(vmm) for _, vmm in sorted(self._inventory_file.vmm.items()))

    def _server(self, vmm: Vmm) -> Target:
        return Target(vmm.name, "vmm", clusters=self._inventory_file.managed_by(vmm), host=vmm.host)

    def _is_written(self, wanted: str) -> bool:
        """Whether the inventory itself names it: of other names, no cluster is believed before the others were heard."""
        label = wanted.partition(".")[0]
        entries = (entry.lower() for cluster in self._inventory_file.clusters.values() for entry in cluster.entry_hosts)
        return wanted in self._inventory_file.clusters or label in self._inventory_file.hosts or label in entries

    def _known(self, wanted: str) -> Target | None:
        cluster = self._inventory_file.clusters.get(wanted)
        if cluster is not None:
            return Target(
                cluster.name,
                "cluster",
                cluster.name,
                managers=self._inventory_file.managers(cluster.name),
                backup=self._inventory_file.backup_products(cluster.name),
            )
        vmm = self._inventory_file.vmm.get(wanted)
        if vmm is not None:
            return self._server(vmm)
        label, _, domain = wanted.partition(".")
        host = self._homes().get(label)
        if host is None or (domain and domain != host[1].lower()):
            return None
        name, _, home = host
        services_of = self._inventory_file.vmm_servers_on(name)
        return Target(
            name,
            "host",
            home,
            managers=self._inventory_file.managers(home),
            services_of=services_of,
            backup=self._inventory_file.backup_products(home, name),
        )

    def _homes(self) -> dict[str, tuple[str, str, str]]:
        """Lower-case name -> name, domain, and cluster ("" for a host that stands alone)."""
        homes: dict[str, tuple[str, str, str]] = {}
        claimed = Counter(node for _, nodes in self._nodes.values() for node in nodes)
        for key, cluster in self._inventory_file.clusters.items():
            nodes = [node for node in self._nodes.get(key, (0.0, ()))[1] if claimed[node] == 1]
            homes |= {name.lower(): (name.lower(), cluster.domain, cluster.name) for name in nodes}
        for (
            cluster
        ) in self._inventory_file.clusters.values():  # what the inventory says goes before what a cluster says
            names = cluster.entry_hosts
            homes |= {name.lower(): (name.lower(), cluster.domain, cluster.name) for name in names}
        return homes | {key: (host.name, host.domain, "") for key, host in self._inventory_file.hosts.items()}

    async def _discover(self) -> dict[str, str]:
        """Ask all clusters for their nodes. Answers those that did not say, and why."""
        names = list(self._inventory_file.clusters)
        results = await asyncio.gather(*map(self.nodes, names), return_exceptions=True)
        self._has_asked_all = True  # once: a cluster that is down must not hold up questions about the others
        silent: dict[str, str] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, (TargetError, CellError)):
                silent[self._inventory_file.clusters[name].name] = str(result)
            elif isinstance(result, BaseException):
                raise result
        return silent


def scopes_of(target: Target) -> tuple[str, ...]:
    """Where a role must hold for this target: its cluster, or itself; for a VMM server, every cluster it manages."""
    return target.clusters or (target.cluster or target.name,)
