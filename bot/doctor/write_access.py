"""What it takes to change something: the policy, and what the operator's login may do. Nothing is changed here.

Two things show what an account may without doing it. `WillOfflineLoseQuorum` only computes [doc], so that it answers shows
that methods of the cluster can be called. And `auditpol /get` asks for the privilege SeSecurityPrivilege [doc: auditpol get],
which elevated administrators have; they may pause nodes and restart services by default. Neither is a proof that a
pause or a restart is allowed: only a first one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator

from bot.api.actions import InvokeMethod
from bot.api.queries import Predicate, RunReader, Wql, make_params
from bot.api.rows import get_str
from bot.config.inventory_file import Cluster, LoadBalancer, StandaloneHost
from bot.config.settings import Settings
from bot.doctor.check import DoctorCheck, blocks_remediations, fail, ok, skip, warn
from bot.errors import AuthenticationFailed, HvopsError, TargetError, TargetFault
from bot.services import Connections, as_operator
from bot.transport.client import TargetClient

CLUSTER = "root/MSCluster"
_DRAIN, _RESTART = "See deploy/rights.md#drain.", "See deploy/rights.md#reset-writer."
_AUDIT_POLICY = "auditpol get object access"
VMM_SERVICE = "VMMService"  # KB3102955 stops it [doc]


async def changes(out: Connections) -> list[DoctorCheck]:
    """Everything about changing: one line where nothing can be."""
    found = list(policy(out.settings))
    away = out.target_client.worker_sites
    if away:
        says = f"what logins may do at {', '.join(sorted(set(away.values())))} shows only there"
        found.append(skip("operator", says, "Run hvops doctor on the machines of their workers."))
    if {*out.inventory_file.clusters, *out.inventory_file.hosts} <= away.keys():
        return [*found, *_channels(out), *await _vmm_services(out), *_by_hand(out)]
    if out.settings.credentials.operator is None:
        says = "no [credentials.operator], so nothing can ever be changed"
        return [*found, skip("operator", says, "Set it to change things; deploy/rights.md says what it may be.")]
    nodes = {cluster: names for cluster, names in (await _nodes(out)).items() if cluster.lower() not in away}
    places, doubts = await _proved(out, nodes)
    target_client = as_operator(out, places)
    try:
        looks: list[Awaitable[DoctorCheck]] = [
            _methods(out, cluster, nodes[0]) for cluster, nodes in places.items() if nodes
        ]
        looks += [check_admin(target_client, node) for nodes in places.values() for node in nodes]
        looks += [
            check_admin(target_client, host.name) for key, host in out.inventory_file.hosts.items() if key not in away
        ]
        found += await asyncio.gather(*looks)
    finally:
        target_client.close()
    return [*found, *doubts, *_channels(out), *await _vmm_services(out), *_by_hand(out)]


def policy(settings: Settings) -> Iterator[DoctorCheck]:
    """Whose decision each risk needs, and whether anybody can give it."""
    rules = {"low": settings.policy.low, "high": settings.policy.high}
    told = ", ".join(f"{risk} risk: {rule}" for risk, rule in rules.items() if rule)
    if not told:
        yield skip("policy", "nothing may be changed", "Write [policy] with low and high to allow it.")
        return
    for risk, rule in rules.items():
        if rule is None:
            yield warn(
                "policy", f"no rule for {risk} risk, so every such plan is refused", f"Write {risk} below [policy]."
            )
    yield ok("policy", told)
    held = {role.name.lower() for role, _ in settings.roles.rules()}
    needed = {"operator", "approver"} if "approval" in rules.values() else {"operator"}
    if missing := sorted(needed - held):
        yield blocks_remediations(
            fail("roles for changes", f"nobody is {' or '.join(missing)}", f"Write a table [roles.{missing[0]}].")
        )


async def _nodes(out: Connections) -> dict[str, tuple[str, ...]]:
    """The nodes of each cluster that names them; a cluster that does not was told of already."""
    found: dict[str, tuple[str, ...]] = {}
    for cluster in out.inventory_file.clusters.values():
        try:
            found[cluster.name] = await out.inventory.nodes(cluster.name)
        except HvopsError:
            found[cluster.name] = ()
    return found


async def _proved(
    out: Connections, nodes: dict[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[DoctorCheck]]:
    """The nodes that the operator's login may go to, and a line for each that it may not: a cluster can claim any name."""
    names = [name for found in nodes.values() for name in found]
    doubts = dict(zip(names, await asyncio.gather(*map(out.inventory.doubt, names)), strict=True))
    proved = {cluster: tuple(name for name in found if doubts[name] is None) for cluster, found in nodes.items()}
    checks = [warn("operator", f"not asked: {one.says}", one.do, on=name) for name, one in doubts.items() if one]
    return proved, checks


async def _methods(out: Connections, cluster: str, node: str) -> DoctorCheck:
    what = f"operator@{cluster}"
    question = InvokeMethod(node, CLUSTER, make_params(Name=node), "MSCluster_Node", "WillOfflineLoseQuorum")
    try:
        answer = await out.target_client.invoke(question)
    except (AuthenticationFailed, TargetFault) as error:
        says = f"may not call methods of the cluster, so it can pause no node: {error.message}"
        return blocks_remediations(fail(what, says, error.hint or _DRAIN))
    except TargetError as error:  # 2008 R2 has no such method, and no drain either [doc]
        return warn(what, f"WillOfflineLoseQuorum: {error.message}", error.hint or _DRAIN)
    shape = ", ".join(sorted(answer.rows[0])) or "no value"
    return ok(
        what,
        f"methods answer: WillOfflineLoseQuorum ({shape}); the right to pause a node only shows when one is paused",
    )


async def check_admin(target_client: TargetClient, host: str) -> DoctorCheck:
    """Whether the operator's login is an elevated administrator there."""
    what = "operator"
    try:
        rows = (await target_client.answer(RunReader(host, _AUDIT_POLICY))).rows
    except AuthenticationFailed as error:
        return blocks_remediations(fail(what, error.message, error.hint or _RESTART, on=host))
    except TargetFault as error:
        says = f"is no elevated administrator there: auditpol: {error.message}"
        return blocks_remediations(fail(what, says, _RESTART, on=host))
    except TargetError as error:
        return warn(what, f"not known what it may: {error.message}", error.hint, on=host)
    return ok(what, f"an elevated administrator: auditpol lists {len(rows)} subcategories", on=host)


def _channels(out: Connections) -> Iterator[DoctorCheck]:
    """A plan is decided in the ops channel of its cluster or host; without one nobody sees it."""
    file = out.inventory_file
    places: list[Cluster | StandaloneHost | LoadBalancer] = [
        *file.clusters.values(),
        *file.hosts.values(),
        *file.load_balancer,
    ]
    for place in places:
        if not place.ops_channel:
            yield warn(
                "ops channel", "none is set, so no plan for it can be decided", "Set ops_channel.", on=place.name
            )


def _by_hand(out: Connections) -> Iterator[DoctorCheck]:
    """What stays in people's hands, and why."""
    if out.inventory_file.vmm:
        says = "by hand, except where /prove-migration has proved a method; MoveToNewNode may save the guest instead"
        yield skip("live migration", says, "Run hvops doctor --migrate VM: it shows where one is proved.")
    for vmm in out.inventory_file.vmm.values():
        if not vmm.host:
            says = "VMMService is stopped and started by hand"
            yield skip(
                "vmm service", says, f"Set host below [vmm.{vmm.name}], and see deploy/rights.md#vmm.", on=vmm.name
            )


async def _vmm_services(out: Connections) -> list[DoctorCheck]:
    """VMMService, where the inventory names its host."""
    return list(
        await asyncio.gather(
            *(_service(out, vmm.host, vmm.name) for vmm in out.inventory_file.vmm.values() if vmm.host)
        )
    )


async def _service(out: Connections, host: str, vmm: str) -> DoctorCheck:
    what = "vmm service"
    try:
        rows = (
            await out.target_client.answer(
                Wql(host, "root/cimv2", "Win32_Service", ("Name", "State"), (Predicate("Name", "=", VMM_SERVICE),))
            )
        ).rows
    except TargetError as error:
        return blocks_remediations(fail(what, f"{host}: {error.message}", error.hint, on=vmm))
    if not rows:
        says, do = f"{host} has no service {VMM_SERVICE}", f"Correct host below [vmm.{vmm}]."
        return blocks_remediations(fail(what, says, do, on=vmm))
    return ok(what, f"{VMM_SERVICE} on {host} is {get_str(rows[0], 'State')}", on=vmm)
