"""Which names there are: clusters and hosts of the inventory, and the nodes that the clusters themselves name."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from bot.api.arguments import Target
from bot.api.beside import beside
from bot.api.host_names import LONGEST, host_key, host_parts
from bot.api.queries import Wql
from bot.api.rows import CellError, get_str
from bot.config.inventory_file import Cluster, InventoryFile, Vmm
from bot.dispatch.argument_parser import quoted
from bot.dispatch.askings import Askings
from bot.dispatch.known_names import KnownNames
from bot.dispatch.query_session import QueryExecutor
from bot.errors import HostNotKnown, PolicyViolation, TargetError, UsageError
from bot.transport.turns import asker

UPDATE_RULE = "update rule"  # a kind of name
_NOBODY = ""  # who asks where nobody in particular does (`transport.turns.asker`)
_PROVED_SECONDS = 60.0  # how long a node is believed to belong to the cluster that it named itself
FRESH_SECONDS = 600.0  # how long a cluster's list of nodes is believed
_SOON_SECONDS = 1.0  # how long a look waits for a cluster whose answer may decide, and whose silence does not
PATIENCE_SECONDS = 1.0  # how long a name that nobody typed waits for clusters, from when they began to be asked
SILENT_SECONDS = 60.0  # how long such names do not wait at all for a cluster that did not answer
_PAUSE_SECONDS = 10.0  # how long a cluster that did not answer is not asked again for such a name


class NodeCache(Protocol):
    """Who must know of nodes to reach them (`transport.Router`)."""

    def add_nodes(self, cluster: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """Take the nodes of a cluster; answer those that can be reached at all."""
        ...

    def clusters_of(self, name: str) -> tuple[str, ...]:
        """The clusters, in lower case, that this host belongs to ("" where it stands alone); () for a stranger."""
        ...

    def nodes_of(self, cluster: str) -> frozenset[str]:
        """The nodes that a cluster named last, to whoever asked it, in lower case."""
        ...

    def allow_acts(self, name: str, *, may: bool) -> None:
        """Whether the operator's login may go to a node that the inventory does not name as an entry host."""
        ...


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why it is not known that a host is the node that it is called: a sentence, and what to do."""

    cluster: str
    says: str
    do: str


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
        # Of each cluster, and of each person or run: who asks waits for their own question alone, and for none before it.
        self._asking: dict[tuple[str, str], asyncio.Task[tuple[str, ...]]] = {}
        self._began: dict[tuple[str, str], float] = {}  # since when, on the loop's clock
        self._silent: dict[str, tuple[float, str]] = {}  # cluster -> when it last failed to name its nodes, and why
        self._answered: set[str] = set()  # clusters that have named their nodes since the bot started
        self._heard: set[str] = set()  # those, and clusters that were asked in vain
        self._called: dict[str, tuple[float, str]] = {}  # cluster -> what it is called in Windows
        self._itself: dict[str, tuple[float, str, str]] = {}  # node -> the cluster that it says it belongs to, and ours
        # Of other clusters than a node's own: what they answer counts as soon as it comes.
        self._others_nodes = Askings(self.nodes)
        self._others_names = Askings(self._windows_name)
        self.names = KnownNames()
        written = ((*one.entry_hosts, *one.nodes) for one in inventory_file.clusters.values())
        self._written_nodes = frozenset(name.lower() for names in written for name in names)
        # Made once for the same nodes: a service can name thousands of machines, and each is looked up.
        self._homes_by_nodes: tuple[Mapping[str, frozenset[str]], Mapping[str, tuple[str, str, str]]] | None = None
        # Whether the ledger saw that node in that cluster before: it has acted there.
        self.was_seen: Callable[[str, str], bool] = lambda _cluster, _node: False

    async def nodes(self, cluster: str) -> tuple[str, ...]:
        """The nodes of a cluster, sorted, in the cluster's own spelling in lower case.

        Raises:
            TargetError: no entry host of the cluster answered.
        """
        key = host_key(cluster)
        if self._is_fresh(key):
            return self._nodes[key][1]
        mine = key, asker()
        return await asyncio.shield(self._under_way(mine) or self._begin_to_ask(mine))

    def _is_fresh(self, key: str) -> bool:
        """Whether what a cluster said of its nodes is still believed."""
        return key in self._nodes and self._clock() - self._nodes[key][0] < FRESH_SECONDS

    def _under_way(self, mine: tuple[str, str]) -> asyncio.Task[tuple[str, ...]] | None:
        asking = self._asking.get(mine)
        return None if asking is None or asking.done() else asking

    def _begin_to_ask(self, mine: tuple[str, str], context: Context | None = None) -> asyncio.Task[tuple[str, ...]]:
        key, _ = mine
        asking = asyncio.create_task(self._ask_for_nodes(key), name=f"nodes of {key}", context=context)
        self._asking[mine], self._began[mine] = asking, asyncio.get_running_loop().time()
        asking.add_done_callback(partial(self._asked, mine))
        return asking

    async def _ask_for_nodes(self, key: str) -> tuple[str, ...]:
        question = Wql(self._inventory_file.clusters[key].name, "root/MSCluster", "MSCluster_Node", ("Name",))
        try:
            answer = await self._target_client.answer(question, self._seconds)
            named = tuple(sorted({host_key(get_str(row, "Name")) for row in answer.rows} - {""}))
        except (TargetError, CellError) as error:
            self._silent[key] = (self._clock(), str(error))
            self._heard.add(key)
            raise
        found = self._router.add_nodes(key, named)
        self._nodes[key] = (self._clock(), found)
        self._silent.pop(key, None)
        self._answered.add(key)
        self._heard.add(key)
        return found

    def _asked(self, mine: tuple[str, str], asking: asyncio.Task[tuple[str, ...]]) -> None:
        if self._asking.get(mine) is asking:
            del self._asking[mine], self._began[mine]
        _looked_at(asking)

    async def prove(self, name: str) -> None:
        """Let the operator's login be used on a host. Raises PolicyViolation where it is not known to be the node."""
        # What is changed is changed: of a neighbour that was not silent before, the name is waited for as long as it may take.
        doubt = await self._doubt(name, self._seconds)
        self._router.allow_acts(name, may=doubt is None)
        if doubt is not None:
            raise PolicyViolation(name, doubt.says, doubt.do)

    async def doubt(self, name: str) -> Doubt | None:
        """Why nothing may be done on a host yet; None where it may, and for what is no node at all.

        A cluster can claim any machine of the domain as a node, and the claim would decide where the operator's login goes
        and who may use it. So a node counts if the inventory lists it, if the ledger saw it there before, or if every cluster
        of the domain has listed its nodes since the bot started; and the node itself has to name that cluster.

        A cluster whose silence decides nothing is waited for a second, and no more once it was silent: else one of them would
        hold up every change of the others. It is asked all the same, and what it answers counts from then on.
        """
        return await self._doubt(name, _SOON_SECONDS)

    async def _doubt(self, name: str, seconds: float) -> Doubt | None:
        """The same. `seconds` is how long other clusters have to say what they are called, unless they were silent last."""
        label = host_parts(name)[0]
        if self._is_entry(label):
            return await self._doubt_entry(label, seconds)
        if self._is_place(label):
            return None
        if not self._router.clusters_of(label):
            await self._listen(self._inventory_file.clusters, first=True, pause=0.0)
        homes = self._router.clusters_of(label)
        if len(homes) == 1 and homes[0] not in self._inventory_file.named_by(label):
            key = homes[0]
            silent = await self._silent_neighbours(key, label)
            if silent:
                return self._claimed(label, key, silent)
            homes = self._router.clusters_of(label)  # a neighbour may call it its own
        doubt = self._doubt_homes(label, homes) or await self._doubt_itself(label, homes[0], seconds)
        now = self._router.clusters_of(label)
        if doubt is not None or now == homes:
            return doubt
        return self._doubt_homes(label, (*homes, *now) if len(now) == 1 else now)  # it left one for the other meanwhile

    def _doubt_homes(self, label: str, homes: tuple[str, ...]) -> Doubt | None:
        """Whether another number of clusters than one call it their own."""
        if len(homes) == 1:
            return None
        both = " and ".join(self._cluster(key).name for key in homes) or "no cluster"
        says = f"{both} {'claim' if len(homes) > 1 else 'claims'} it as a node, so its cluster is not known."
        return Doubt(both, says, f'Write nodes = ["{label}", …] under its cluster in inventory.toml.')

    def _claimed(self, label: str, key: str, silent: dict[str, str]) -> Doubt:
        cluster = self._cluster(key).name
        which = "; ".join(f"{name}: {why}" for name, why in silent.items())
        says = (
            f"only {cluster} claims it as a node, and {', '.join(silent)}, which could own it too, has not answered since "
            f"hvops started ({which})."
        )
        return Doubt(
            cluster, says, f'Try again when it answers, or write nodes = ["{label}", …] under [clusters.{cluster}].'
        )

    async def _silent_neighbours(self, key: str, label: str) -> dict[str, str]:
        """The clusters for whose nodes a host that they could own has to wait, and why they have not told them.

        They have not since the bot started, and the ledger has not seen the host in its cluster either. Where it has, they are
        asked, but their silence decides nothing. One that was silent before has a second to be back.
        """
        missing = [one for one in self._inventory_file.neighbours(key, label) if one not in self._answered]
        if not missing:
            return {}
        if await asyncio.to_thread(self.was_seen, self._cluster(key).name, label):
            self._others_nodes.begin(missing)
            await self._others_nodes.wait(missing, _SOON_SECONDS)
            return {}
        # Asked again however lately it did not answer: what it says now may be that the host is its own.
        return await self._listen(missing, first=True, pause=0.0)

    async def _doubt_itself(self, label: str, key: str, seconds: float) -> Doubt | None:
        """Whether the node names the cluster that names it. One that has done so, and now cannot, is still believed."""
        cluster = self._cluster(key).name
        at, said, ours = self._itself.get(label, (float("-inf"), "", ""))
        if ours == key and self._clock() - at < _PROVED_SECONDS:
            return self._doubt_double(label, key, said)
        self._ask_names_of_others(label, key)
        own, called = await asyncio.gather(self._ask_name(label), self._windows_name(key), return_exceptions=True)
        for found in (own, called):
            if isinstance(found, BaseException) and not isinstance(found, (TargetError, CellError)):
                raise found
        if isinstance(called, BaseException) or not called:
            why = called if isinstance(called, BaseException) else "its reply has no name."
            return Doubt(cluster, f"{cluster} did not report its own name: {why}", "Try again when it answers.")
        if isinstance(own, BaseException) or not own:
            if ours == key and said == called:
                return self._doubt_double(label, key, called)
            why = own if isinstance(own, BaseException) else "its reply has no name."
            says = f"{cluster} claims it as a node, but the node has not confirmed that: {why}"
            return Doubt(
                cluster, says, "Check that its cluster service is running and that the reader's login may query it."
            )
        doubt = await self._doubt_names(label, key, own, called, seconds)
        if doubt is None:
            self._itself[label] = (self._clock(), own, key)
        return doubt

    async def _doubt_entry(self, label: str, seconds: float) -> Doubt | None:
        """Whether an entry host says that it belongs to another cluster than the inventory says. Its silence says nothing."""
        (key,) = self._router.clusters_of(label)
        at, said, ours = self._itself.get(label, (float("-inf"), "", ""))
        if ours == key and self._clock() - at < _PROVED_SECONDS:
            return self._doubt_double(label, key, said)
        self._ask_names_of_others(label, key)
        try:
            own, called = await asyncio.gather(self._ask_name(label), self._windows_name(key))
        except (TargetError, CellError):
            return None
        doubt = await self._doubt_names(label, key, own, called, seconds) if own and called else None
        if own and called and doubt is None:
            self._itself[label] = (self._clock(), own, key)
        return doubt

    async def _doubt_names(self, label: str, key: str, own: str, called: str, seconds: float) -> Doubt | None:
        """Whether a node means the cluster that means it."""
        cluster = self._cluster(key).name
        if own != called:  # renamed a moment ago, perhaps
            called = await self._windows_name(key, afresh=True)
        if own != called:
            says = f"{cluster} claims it as a node and reports its own name as {quoted(called)}; the node says that it belongs to {quoted(own)}."
            return Doubt(cluster, says, "Find out which cluster it belongs to; until then nothing is changed there.")
        await self._others_names.wait(self._ask_names_of_others(label, key), seconds)
        return self._doubt_double(label, key, called)

    def _ask_names_of_others(self, label: str, key: str) -> list[str]:
        """Begin to ask the clusters that could own the host too what they are called, where they have not said so lately."""
        others = [one for one in self._inventory_file.neighbours(key, label) if not self._has_said_lately(one)]
        self._others_names.begin(others)
        return others

    def _doubt_double(self, label: str, key: str, called: str) -> Doubt | None:
        """Whether another cluster that could own the host has the same name, by what each said last: silence takes back nothing."""
        cluster = self._cluster(key).name
        others = self._inventory_file.neighbours(key, label)
        double = next((self._cluster(one).name for one in others if self._called.get(one, (0.0, ""))[1] == called), "")
        if not double:
            return None
        says = f"{double} and {cluster} both report the name {quoted(called)}, so its cluster is not known."
        return Doubt(cluster, says, f"Correct the entry_hosts of {double} or {cluster} in inventory.toml.")

    def _has_said_lately(self, key: str) -> bool:
        at, _ = self._called.get(key, (float("-inf"), ""))
        return self._clock() - at < FRESH_SECONDS

    async def _windows_name(self, key: str, *, afresh: bool = False) -> str:
        """What a cluster is called in Windows, in lower case. Raises TargetError, CellError."""
        if not afresh and self._has_said_lately(key):
            return self._called[key][1]
        found = await self._ask_name(self._cluster(key).name)
        self._called[key] = (self._clock(), found)
        return found

    async def _ask_name(self, on: str) -> str:
        """The cluster that a host, or an entry host, says it belongs to; "" for what is no name. The reader's login asks."""
        question = Wql(on, "root/MSCluster", "MSCluster_Cluster", ("Name",))
        answer = await self._target_client.answer(question, self._seconds)
        name = host_key(get_str(answer.rows[0], "Name")) if len(answer.rows) == 1 else ""
        return name if len(name) <= LONGEST else ""

    def _cluster(self, key: str) -> Cluster:
        return self._inventory_file.clusters[key]

    def _is_entry(self, label: str) -> bool:
        entries = (entry for cluster in self._inventory_file.clusters.values() for entry in cluster.entry_hosts)
        return label in {entry.lower() for entry in entries}

    async def find(self, name: str) -> Target:
        """The target of that name, with or without its domain.

        Raises:
            UsageError: there is none; suggests names that are near, and says whose nodes are not known.
        """
        found = await self._found(name)
        if isinstance(found, Target):
            return found
        near = await beside(self._near, host_key(name).partition(".")[0])  # of thousands of hosts
        there = "" if near else f" Clusters: {', '.join(sorted(self._inventory_file.clusters)) or 'none'}."
        raise UsageError(_no_such(name, found, there), suggestions=tuple(near))

    async def find_told(self, name: str) -> Target:
        """The same of a name that a machine told: nobody mistyped it, so nothing near is looked for.

        A machine can tell thousands of strangers. So none of them is waited for longer than a moment, and not at all while a
        cluster is known to be silent: it is asked meanwhile, and its answer serves whoever asks next.

        Raises:
            HostNotKnown: a cluster that could own it has not said what its nodes are.
            UsageError: there is none.
        """
        return await self._found_for_nobody(name, first=False)

    async def find_planned(self, name: str) -> Target:
        """The same of a name of a plan. After a start, it waits until each cluster was asked once. Raises as `find_told`."""
        return await self._found_for_nobody(name, first=True)

    async def find_of(self, name: str, cluster: str) -> Target:
        """The same of a node of this cluster, as whoever asks has heard from it: no other cluster is waited for.

        Raises:
            TargetError: no entry host of the cluster answered.
            UsageError: another cluster claims it as well, or neither does; says whose nodes are not known.
        """
        wanted, key = host_key(name), host_key(cluster)
        if key in self._inventory_file.clusters and not self._is_place(wanted):
            if self._known(wanted) is None:
                with suppress(CellError):  # what it calls its nodes cannot be read
                    await self.nodes(key)
            target = self._known(wanted)
            if target is not None and host_key(target.cluster) == key:
                return target
        return await self.find(name)

    async def _found(self, name: str) -> Target | dict[str, str]:
        """The target, or which clusters did not say what their nodes are, and why."""
        wanted = host_key(name)
        target = self._known(wanted)
        if self._is_settled(wanted, target):
            return target or {}
        silent = await self._ask_nodes(list(self._inventory_file.clusters))
        return self._known(wanted) or silent

    async def _found_for_nobody(self, name: str, *, first: bool) -> Target:
        wanted = host_key(name)
        target, silent = self._known(wanted), dict[str, str]()
        if not self._is_settled(wanted, target):
            silent = await self._listen(self._inventory_file.clusters, first=first or target is not None)
            target = self._known(wanted)
            if target is not None and not self._is_settled(wanted, target):
                # One cluster names it, and another one was never asked: once, right after a start.
                await self._listen(self._inventory_file.clusters, first=True)
                target = self._known(wanted)
        if target is not None:
            return target
        if silent:
            raise HostNotKnown(_not_known(name, silent))
        raise UsageError(_no_such(name, {}))

    def _is_settled(self, wanted: str, target: Target | None) -> bool:
        """Whether no cluster need be asked for that name.

        Of names that the inventory does not write, one cluster is not believed before the others were asked; that is once,
        since a cluster that is down must not hold up questions about the others.
        """
        if target is None:
            # Nor can a cluster claim it: the backup product is asked by its name in every round of a wait.
            return self._is_place(wanted)
        return self._heard >= self._inventory_file.clusters.keys() or self._is_written(wanted)

    async def find_now(self, names: Iterable[str]) -> dict[str, Target | UsageError]:
        """The same as `find`, of many, by what clusters and nodes say now: what they said minutes ago may be so no more.

        Each cluster is asked once. One that does not answer keeps the nodes that it named last; whether they are its own,
        `doubt` says. UsageError: there is none; or a node that the inventory writes says that it belongs to another cluster.
        """
        labels = {name: host_parts(name)[0] for name in names}
        nodes = {one for one in labels.values() if not self._is_entry(one) and not self._is_place(one)}
        before = {label: self._router.clusters_of(label) for label in nodes}
        first = {key for homes in before.values() for key in homes}
        await self._ask_afresh(first)
        if any(not homes or self._router.clusters_of(label) != homes for label, homes in before.items()):
            await self._ask_afresh(self._inventory_file.clusters.keys() - first)
        told = await asyncio.gather(*(self._found_now(name, label) for name, label in labels.items()))
        return dict(zip(labels, told, strict=True))

    async def _found_now(self, name: str, label: str) -> Target | UsageError:
        try:
            if self._is_entry(label):
                await self._must_agree(label)
            return await self.find(name)
        except UsageError as error:
            return error

    def _is_place(self, label: str) -> bool:
        """Whether it is something that the inventory alone speaks for: no node."""
        return label in self._inventory_file.hosts or self._inventory_file.is_place(label)

    async def _ask_afresh(self, keys: Iterable[str]) -> None:
        """Ask these clusters for their nodes, however lately they were asked. Who does not answer is left as it was."""
        found = await asyncio.gather(*map(self._ask_for_nodes, keys), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, (TargetError, CellError)):
                raise one

    async def _must_agree(self, label: str) -> None:
        """Raise UsageError where an entry host says that it belongs to another cluster. Its silence says nothing."""
        self._itself.pop(label, None)  # what it said a moment ago may be so no more
        doubt = await self._doubt_entry(label, _SOON_SECONDS)
        if doubt is not None:
            raise UsageError(f"{doubt.says} {doubt.do}")

    def _near(self, word: str) -> list[str]:
        """The known names that look most like a word, best first."""
        return difflib.get_close_matches(word, sorted(self.known()), n=3, cutoff=0.6)

    def known(self) -> tuple[str, ...]:
        """All names known by now: clusters first, then VMM servers, load balancers and services, then hosts and nodes."""
        file = self._inventory_file
        clusters = (*sorted(file.clusters), *sorted(file.vmm), *sorted(file.load_balancers()), *sorted(file.service))
        return clusters + tuple(sorted(set(self._homes()) - set(clusters)))

    def scopes(self) -> dict[str, tuple[str, ...]]:
        """Every name known by now, and where a role must hold for it. Asks nobody."""
        return {name: scopes for name, (_, _, scopes) in self._places().items()}

    def suggestions(self, targets: Iterable[str], named: str = "") -> dict[str, tuple[str, ...]]:
        """The names that a form may offer, and where a role must hold for each. Asks nobody; may be asked on any thread.

        Args:
            targets: kinds of target.
            named: a kind of name that was answered before: "guest"; or "update rule", of the inventory; "" for none.
        """
        kinds = set(targets)
        known = self._places()
        found = {shown: scopes for shown, kind, scopes in known.values() if kind in kinds}
        if named:
            told = [(name, on) for name, on in sorted(self.names.of(named)) if on in known]
            found |= {name: known[on][2] for name, on in told if name not in found}
        if named == UPDATE_RULE:  # of no place: whoever may use the command at all may read it
            found |= {rule.key: () for rule in self._inventory_file.update_rules()}
        return found

    def _places(self) -> dict[str, tuple[str, str, tuple[str, ...]]]:
        """Every name known by now, in lower case -> as it is shown, its kind, and where a role must hold for it.

        Hosts are many, and all are gone through once: finding each by its name goes through all of them every time.
        """
        file, homes = self._inventory_file, self._homes()
        others = {*file.clusters, *file.vmm, *file.load_balancers(), *file.service}
        found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        for name in self.known():
            if name not in others:
                shown, _, home = homes[name]
                found[name] = (shown, "host", (home or shown,))
            elif (target := self._known(name)) is not None:
                found[name] = (target.name, target.kind, scopes_of(target))
        return found

    def vmm_servers(self) -> tuple[Target, ...]:
        """The VMM servers of the inventory, by name."""
        return tuple(self._server(vmm) for _, vmm in sorted(self._inventory_file.vmm.items()))

    def clusters(self) -> tuple[Target, ...]:
        """The clusters of the inventory, by name."""
        found = (self._known(name) for name in sorted(self._inventory_file.clusters))
        return tuple(target for target in found if target is not None)

    def load_balancers(self) -> tuple[Target, ...]:
        """The load balancers of the inventory, by name."""
        return tuple(
            Target(one.name, "load balancer") for _, one in sorted(self._inventory_file.load_balancers().items())
        )

    def _server(self, vmm: Vmm) -> Target:
        return Target(vmm.name, "vmm", clusters=self._inventory_file.managed_by(vmm), host=vmm.host)

    def _is_written(self, wanted: str) -> bool:
        """Whether the inventory itself names it: of other names, no cluster is believed before the others were heard."""
        label, _ = host_parts(wanted)
        file, told = self._inventory_file, self._written_nodes
        places = {*file.clusters, *file.load_balancers(), *file.service}
        return wanted in places or label in file.hosts or label in told

    def _known(self, wanted: str) -> Target | None:
        cluster = self._inventory_file.clusters.get(wanted)
        if cluster is not None:
            return Target(
                cluster.name,
                "cluster",
                cluster.name,
                managers=self._inventory_file.managers(cluster.name),
                backup=self._inventory_file.backup_products(cluster.name),
                services=self._inventory_file.services_at(cluster.name),
                sites=self._inventory_file.sites(),
                packages=self._inventory_file.packages(),
                update_rules=self._inventory_file.update_rules(),
                nodes=self._known_nodes(cluster),
            )
        vmm = self._inventory_file.vmm.get(wanted)
        if vmm is not None:
            return self._server(vmm)
        balancer = self._inventory_file.load_balancers().get(wanted)
        if balancer is not None:
            return Target(balancer.name, "load balancer")
        service = self._inventory_file.services().get(wanted)
        if service is not None:
            sites = self._inventory_file.sites()
            return Target(service.name, "service", clusters=service.places, services=(service,), sites=sites)
        label, domain = host_parts(wanted)
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

    def _known_nodes(self, cluster: Cluster) -> tuple[str, ...]:
        """Its hosts, in lower case: those that the inventory writes, and those that it named last."""
        written = {host_key(one) for one in (*cluster.entry_hosts, *cluster.nodes)}
        return tuple(sorted(written | self._router.nodes_of(cluster.name)))

    def _homes(self) -> Mapping[str, tuple[str, str, str]]:
        """Lower-case name -> name, domain, and cluster ("" for a host that stands alone)."""
        # One view for roles, locks and logins: where acts are let go by a newer list of nodes than roles are asked by, who
        # may change things on the old cluster alone would change them on the new one.
        told = {key: self._router.nodes_of(key) for key in self._inventory_file.clusters}
        if self._homes_by_nodes is None or self._homes_by_nodes[0] != told:
            self._homes_by_nodes = told, self._read_homes(told)
        return self._homes_by_nodes[1]

    def _read_homes(self, told: Mapping[str, frozenset[str]]) -> Mapping[str, tuple[str, str, str]]:
        homes: dict[str, tuple[str, str, str]] = {}
        claimed = Counter(node for nodes in told.values() for node in nodes)
        for key, cluster in self._inventory_file.clusters.items():
            nodes = [node for node in told[key] if claimed[node] == 1]
            homes |= {name: (name, cluster.domain, cluster.name) for name in nodes}
        for (
            cluster
        ) in self._inventory_file.clusters.values():  # what the inventory says goes before what a cluster says
            names = (*cluster.entry_hosts, *cluster.nodes)
            homes |= {name.lower(): (name.lower(), cluster.domain, cluster.name) for name in names}
        return homes | {key: (host.name, host.domain, "") for key, host in self._inventory_file.hosts.items()}

    async def _listen(self, keys: Iterable[str], *, first: bool, pause: float = _PAUSE_SECONDS) -> dict[str, str]:
        """Have clusters asked whose nodes are not known now, each once at a time, and wait a moment at most.

        Args:
            keys: the clusters, by lower-case name.
            first: whether a cluster that was not asked since the bot started is waited for as long as it may take.
            pause: for how long one that did not answer is not asked again.

        Returns:
            Those that have not said by then, and why.
        """
        missing = [key for key in keys if not self._is_fresh(key)]
        asking = {key: one for key in missing if (one := self._ask_for_nobody(key, pause)) is not None}
        if whole := [one for key, one in asking.items() if first and key not in self._heard]:
            await asyncio.wait(whole)
        for key, one in asking.items():
            is_silent = pause > 0 and self._was_silent(key, SILENT_SECONDS)
            if not one.done() and not is_silent:
                # From when its question began: a name that comes later in the same request waits no second time.
                left = self._began[key, _NOBODY] + PATIENCE_SECONDS - asyncio.get_running_loop().time()
                await asyncio.wait([one], timeout=max(0.0, left))
        for one in asking.values():
            error = one.exception() if one.done() and not one.cancelled() else None
            if error is not None and not isinstance(error, (TargetError, CellError)):
                raise error
        return {self._cluster(key).name: self._why_silent(key) for key in missing if not self._is_fresh(key)}

    def _ask_for_nobody(self, key: str, pause: float) -> asyncio.Task[tuple[str, ...]] | None:
        """The one question to a cluster that many wait for, and that goes on without them; None where it was silent lately.

        It is nobody's, so that it is in no person's queue, and takes no place that is kept for runs.
        """
        mine = key, _NOBODY
        if (asking := self._under_way(mine)) is not None:
            return asking
        return None if self._was_silent(key, pause) else self._begin_to_ask(mine, Context())

    def _was_silent(self, key: str, seconds: float) -> bool:
        return key in self._silent and self._clock() - self._silent[key][0] < seconds

    def _why_silent(self, key: str) -> str:
        return self._silent[key][1] if key in self._silent else "it has not answered yet."

    async def _ask_nodes(self, names: list[str]) -> dict[str, str]:
        """Ask these clusters for their nodes. Answers those that did not say, and why."""
        results = await asyncio.gather(*map(self.nodes, names), return_exceptions=True)
        silent: dict[str, str] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, (TargetError, CellError)):
                silent[self._inventory_file.clusters[name].name] = str(result)
            elif isinstance(result, BaseException):
                raise result
        return silent


def scopes_of(target: Target) -> tuple[str, ...]:
    """Where a role must hold for this target: its cluster, or itself; for a VMM server, every cluster it manages; for a service, every place of it."""
    return target.clusters or (target.cluster or target.name,)


def _looked_at(asking: asyncio.Task[Any]) -> None:
    """Whoever asked may have left: what it ended in is said by whoever asks next."""
    if not asking.cancelled():
        asking.exception()


def _no_such(name: str, silent: Mapping[str, str], there: str = "") -> str:
    unknown = "".join(f" The nodes of {cluster} are not known: {why}" for cluster, why in silent.items())
    return f"There is no cluster or host {quoted(name)} in the inventory.{there}{unknown}"


def _not_known(name: str, silent: Mapping[str, str]) -> str:
    """Why it is not known whether a name is a host: silence of a cluster does not say that it is none."""
    which = " and ".join(silent)
    who = f"Cluster {which} has" if len(silent) == 1 else f"Clusters {which} have"
    why = "".join(f" {cluster}: {says}" for cluster, says in silent.items())
    return f"{who} not answered, so it is not known whether {quoted(name)} is a host.{why}"
