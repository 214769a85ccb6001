"""Fix a virtual machine that SCVMM shows as Missing: VMM's own refresh, then a live migration, its database as a last resort."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from bot.api.actions import RowTransaction
from bot.api.arguments import Target, VmmTargets
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, values_of
from bot.api.plan import Gate, GateOutcome, Group, Plan, Step
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.diagnostics import find_missing_vms
from commands.drain.facts import DrainFacts
from commands.drain.move import GUEST_MOVES, MoveFacts
from commands.formatting import join_names, pluralize
from commands.migration.facts import MigrationFacts, Place, find_migration_facts
from commands.migration.gates import move_gates
from commands.migration.proof import Proof, way_to_use
from commands.migration.steps import live_move_step, machine
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.cluster_services import ClusterServices, find_cluster_services
from commands.sources.guests import Guest, Power
from commands.sources.services import service_state
from commands.sources.vmm import CODES, OLDEST
from commands.vmm.compare import Compared, RecordStatus, compare, host_ids, known_states, node_of
from commands.vmm.findings import because, refusal, shown
from commands.vmm.gates import all_answered, backed_up, no_vmm_job, service_runs
from commands.vmm.repair import (
    DRAFT,
    SERVICE,
    FullBackup,
    Repair,
    database_groups,
    is_there,
    last_full_backup,
    move_steps,
    refresh_step,
)
from commands.vmm.resolve_record import CHANGE, MOVE, Ambiguous, Resolved, choose, repair_applies
from commands.writer_reset.gates import not_clustered, owned_by_cluster

_WAYS = ("refresh", "migration", "database")


class Vm(str):
    """A word of a virtual machine's name, or one of its ids."""

    __slots__ = ()
    is_subject = True
    label = "Virtual machine"
    names = "guest"


class Way(str):
    """How it is mended."""

    __slots__ = ()
    wants = "refresh, migration or database"
    label = "How"
    choices = MappingProxyType({  # word -> what a form calls it
        "refresh": "Refresh SCVMM's record",
        "migration": "Live-migrate it once",
        "database": "Edit SCVMM's database",
    })  # fmt: skip

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        if word.casefold() not in _WAYS:
            raise ValueError(word)
        return cls(word.casefold())


_FIRST, _EVERY = Way("refresh"), VmmTargets()


@dataclass(frozen=True, slots=True)
class Args:
    """What people type. Where no VMM server is named, the machine is looked for on all of them."""

    vm: tuple[Vm, ...]
    vmm: VmmTargets = _EVERY
    by: Way = _FIRST


@dataclass(frozen=True, slots=True)
class Facts:
    """What `/find-missing-vms` finds, the nodes with their Windows, and what a change of the database takes.

    Attributes:
        found: VMM server -> what it believes, and what is so.
        nodes: the nodes of all clusters that they manage.
        backups: VMM server -> the newest full backup of its database, None where there is none.
        services: VMM server whose host the inventory names -> the state of its service there, "" where there is none.
        placed: the same -> that host, with its cluster where it is a node of one.
        clustered: the same -> the services that a cluster of that host owns: a highly available VMM is a role of one.
        move: the node where the machine really is, asked as for a drain; only where it is to be moved.
        moves_in: that node.
        migration: the machine as a resource of its cluster, and whether a way to migrate live is proved there.
    """

    found: Mapping[str, find_missing_vms.Facts]
    nodes: Mapping[str, Node]
    backups: Mapping[str, FullBackup | Unknown | None]
    services: Mapping[str, str | Unknown]
    clustered: Mapping[str, ClusterServices | Unknown]
    placed: Mapping[str, Target] = field(default_factory=dict)
    move: DrainFacts | None = None
    moves_in: Target | None = None
    migration: MigrationFacts | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """As many rounds as `/find-missing-vms` takes."""
    clusters = dict.fromkeys(cluster for server in args.vmm for cluster in server.clusters)
    hosts = {server.name: Target(server.host, "host") for server in args.vmm if server.host}
    found, nodes, backups, services, clustered = await asyncio.gather(
        asyncio.gather(*(find_missing_vms.look_at(server, ask) for server in args.vmm)),
        ask.query_many({name: cluster_nodes(name) for name in clusters}),
        ask.query_many({server.name: last_full_backup(server.name) for server in args.vmm}),
        ask.query_many({name: service_state(host.name, SERVICE) for name, host in hosts.items()}),
        asyncio.gather(*(find_cluster_services(host, ask) for host in hosts.values())),
    )
    known = {one.name: one for part in nodes.values() if not isinstance(part, Unknown) for one in part.value}
    names = [server.name for server in args.vmm]
    facts = Facts(
        dict(zip(names, found, strict=True)),
        known,
        values_of(backups),
        values_of(services),
        dict(zip(hosts, clustered, strict=True)),
    )
    if args.by == "database":
        told = await asyncio.gather(*(ask.find_host(host.name) for host in hosts.values()))
        placed = {name: one for name, one in zip(hosts, told, strict=True) if isinstance(one, Target)}
        return replace(facts, placed=placed)
    if args.by != "migration":
        return facts
    of = {one.name: cluster for cluster, part in nodes.items() if not isinstance(part, Unknown) for one in part.value}
    return await _with_move(args, facts, of, ask)


async def _with_move(args: Args, facts: Facts, cluster_of: Mapping[str, str], ask: QueryClient) -> Facts:
    """The facts, with what a move needs to know of the node where the machine is; as they are where there is nothing to move."""
    chosen = _chosen(args, facts)
    real = None if isinstance(chosen, Ambiguous) else chosen.record.real
    if (
        isinstance(chosen, Ambiguous)
        or real is None
        or real.host not in cluster_of
        or chosen.record.verdict is not RecordStatus.LOST
    ):
        return facts
    told = await ask.find_host(real.host)  # with the backup products that the inventory names for it
    node = Target(real.host, "host", cluster_of[real.host]) if isinstance(told, Unknown) else told
    node = replace(node, cluster=cluster_of[real.host], managers=(chosen.server,))
    of = next((one for one in facts.nodes.values() if one.name == real.host), Node(real.host, None))
    place = Place(real.guest, of, Target(node.cluster, "cluster", node.cluster, managers=node.managers))
    migration = await find_migration_facts(place, ask)
    return replace(facts, move=migration.drain, moves_in=node, migration=migration)


def plan(args: Args, facts: Facts) -> Plan:
    """Find the record, and mend it in the way that was asked for."""
    chosen = _chosen(args, facts)
    if isinstance(chosen, Ambiguous):
        draft = DRAFT if any(_is_strange(found) for found in facts.found.values()) else ()
        look = [Remedy("Find Missing VMs", f"/find-missing-vms {server}") for server in facts.found]
        return no_plan(chosen.says, remedies=chosen.remedies or look, evidence=draft)
    return _mend(args, facts, chosen)


def _chosen(args: Args, facts: Facts) -> Resolved | Ambiguous:
    """The record that was meant, compared with the hosts."""
    compared: dict[str, Sequence[Compared]] = {}
    silent: dict[str, str] = {}
    for server, found in facts.found.items():
        records = _records(server, found)
        if isinstance(records, str):
            silent[server] = records
        else:
            compared[server] = records
    return choose(" ".join(args.vm), compared, silent)


def _records(server: str, found: find_missing_vms.Facts) -> tuple[Compared, ...] | str:
    """A server's records, compared with the hosts; else why they are not known."""
    if isinstance(found.layout, Unknown):
        return f"{found.layout.target}: {found.layout.why}"
    if not found.layout.is_known:
        lacks = f"Its schema lacks {join_names(found.layout.lacks, 4)}"
        return f"VMM {server} is a version that hvops does not know. {lacks}. By hand: Read-SCVirtualMachine."
    for part in (found.hosts, found.machines):
        if isinstance(part, Unknown):
            return f"{part.target}: {part.why}"
    assert not isinstance(found.hosts, Unknown)
    assert not isinstance(found.machines, Unknown)
    silent = [one.target for one in _silent(found)]
    return compare(found.machines, found.hosts, _seen(found), silent, known_states(found.layout))


def _is_strange(found: find_missing_vms.Facts) -> bool:
    """Whether the schema was read, and is an unknown one."""
    return not isinstance(found.layout, Unknown) and not found.layout.is_known


def _seen(found: find_missing_vms.Facts) -> dict[str, Sequence[Guest]]:
    return {host: part for host, part in found.seen.items() if not isinstance(part, Unknown)}


def _silent(found: find_missing_vms.Facts) -> tuple[Unknown, ...]:
    return (*found.clusters, *(part for part in found.seen.values() if isinstance(part, Unknown)))


def _mend(args: Args, facts: Facts, chosen: Resolved) -> Plan:
    look = (Remedy("Find Missing VMs", f"/find-missing-vms {chosen.server}"),)
    if why := refusal(chosen.record):
        return no_plan(why, remedies=look, is_done_already=chosen.record.verdict is RecordStatus.AGREES)
    repair = _repair(args, facts, chosen)
    if isinstance(repair, str):
        return no_plan(repair, remedies=look)
    if args.by == "migration":
        return _by_migration(facts, chosen, repair)
    return _by_database(facts, chosen, repair) if args.by == "database" else _by_refresh(chosen, repair)


def _repair(args: Args, facts: Facts, chosen: Resolved) -> Repair | str:
    """Everything that a step needs; else why there can be none."""
    one, hosts = chosen.record, facts.found[chosen.server].hosts
    assert isinstance(hosts, Mapping)
    assert one.real is not None  # else it was refused
    name, real = one.machine.name, one.real
    ids = host_ids(real.host, hosts)
    node = facts.nodes.get(real.host)
    if len(ids) != 1 or node is None:
        return f"No plan for {name}: VMM lists {pluralize(len(ids), 'host')} called {real.host}, where it really is."
    becomes = CODES.get(real.guest.power)
    if becomes is None:
        return f"No plan for {name}: it is {real.guest.power} on {real.host}. Check again when that has ended."
    machine = one.machine
    if machine.state is None:
        return f"No plan for {name}: its record has no state that can be read."
    return Repair(
        on=chosen.server,
        machine=machine.object_id,
        vm_id=machine.vm_id,
        believed=machine.host_id,
        real=ids[0],
        node=node,
        power=real.guest.power,
        state=machine.state,
        becomes=becomes,
        host=_service_host(args, facts, chosen.server),
    )


def _service_host(args: Args, facts: Facts, server: str) -> str:
    """The host whose service we stop and start: named by the inventory, and it told how that service is."""
    state = facts.services.get(server)
    host = next(one.host for one in args.vmm if one.name == server)
    return host if state and isinstance(state, str) else ""


def _lock(repair: Repair) -> tuple[str, ...]:
    return (f"vmm:{repair.on.lower()}:{repair.machine}",)


def _locks_of_server(facts: Facts, repair: Repair) -> tuple[str, ...]:
    """VMM's service is stopped for the change of a row: another one would start it meanwhile, or find it stopped."""
    on = facts.placed.get(repair.on) or Target(repair.host, "host")
    return (*((cluster_lock(on),) if repair.host else ()), f"vmm:{repair.on.lower()}", *_lock(repair))


def _locks_of_move(facts: Facts, repair: Repair) -> tuple[str, ...]:
    """A guest leaves one node for another: nobody drains one of them, or moves more guests there, at the same time."""
    return (*((cluster_lock(facts.moves_in),) if facts.moves_in else ()), *_lock(repair))


def _next(chosen: Resolved, *ways: tuple[str, str]) -> tuple[Remedy, ...]:
    """What to try when it did not help: a look first, then the ways that are left."""
    look = Remedy("Find Missing VMs", f"/find-missing-vms {chosen.server}", primary=True)
    return (look, *(Remedy(f"{label}…", repair_applies(chosen, way)) for label, way in ways))


def _by_refresh(chosen: Resolved, repair: Repair) -> Plan:
    """What Microsoft documents, and always the first to try."""
    others = (MOVE, CHANGE) if chosen.record.verdict is RecordStatus.LOST else ()
    return Plan(
        reason=because(chosen.record),
        impact="VMM refreshes one virtual machine's record; the machine itself is not touched.",
        rollback="None is needed: a refresh only reads the host.",
        locks=_lock(repair),
        gates=(),
        groups=(Group("refresh", (refresh_step(repair),)),),
        remedies=_next(chosen, *others),
        current_state=_now(chosen),
        expected_state=_mended(chosen, repair),
    )


def _by_migration(facts: Facts, chosen: Resolved, repair: Repair) -> Plan:
    """To the host that VMM believes in, so that its next look finds it there."""
    one = chosen.record
    found = facts.found[chosen.server]
    assert isinstance(found.hosts, Mapping)
    believed = node_of(one.machine.host_id, found.hosts, _seen(found))
    node = facts.nodes.get(believed)
    if one.verdict is RecordStatus.STALE or node is None or repair.power is not Power.RUNNING:
        why = "it is where VMM believes it to be" if one.verdict is RecordStatus.STALE else "it does not run"
        why = (
            why
            if node
            else f"{one.believed or 'the host that VMM names'} did not answer, or more than one bears that name"
        )
        return no_plan(f"No plan for a live migration of {one.machine.name}: {why}.")
    move = facts.move
    if move is None or move.unfound or move.is_2008:
        why = "how a move would go is not known" if move is None or not move.unfound else move.unfound.why.rstrip(".")
        why = "Windows Server 2008 R2 tells too little of it" if move is not None and move.is_2008 else why
        return no_plan(f"No plan for a live migration of {one.machine.name}: {why}.")
    assert one.real is not None  # else it was refused
    whole = Plan(
        reason=because(one),
        impact=f"{one.machine.name} live-migrates to {node.name}. {_how(facts)}",
        rollback="Move it back in the same way.",
        locks=_locks_of_move(facts, repair),
        gates=_move_gates(facts, MoveFacts(move, one.real.guest, node.name)),
        groups=(Group("migration", _migration_steps(facts, repair, node)),),
        remedies=_next(chosen, CHANGE),
        current_state=_now(chosen),
        expected_state=f"{one.machine.name} runs on {node.name}, and VMM {chosen.server} does not show it as Missing",
    )
    return or_no_plan(one.machine.name, whole)


def _proof(facts: Facts) -> Proof | None:
    """The way that is proved where the machine is; None where none is, or where that is not known: then a person moves it."""
    found = facts.migration
    if found is None or isinstance(found.proved, Unknown) or isinstance(found.resource, Unknown):
        return None
    return way_to_use(found.proved)


def _how(facts: Facts) -> str:
    """Who moves it, and why."""
    proof, found = _proof(facts), facts.migration
    if proof is not None:
        return f"hvops moves it: {proof.says}."
    if found is not None and isinstance(found.proved, Unknown):
        return f"Someone must move it by hand: it is not known which migration method was proved on {found.cluster}: {found.proved.why}"
    if found is not None and isinstance(found.resource, Unknown):
        return f"Someone must move it by hand: {found.resource.why}"
    where = found.cluster if found is not None else "its cluster"
    return f"Someone must move it by hand: no live migration method has been proved on {where} yet."


def _move_gates(facts: Facts, move: MoveFacts) -> tuple[Gate, ...]:
    """What has to be so before it moves; more of it where hvops moves it."""
    if facts.migration is not None and _proof(facts) is not None:
        return move_gates(facts.migration, move.to)
    return GUEST_MOVES.judge(move)


def _migration_steps(facts: Facts, repair: Repair, believed: Node) -> tuple[Step, ...]:
    """The move, and the wait for VMM's next look: by hand where no way is proved."""
    by_hand, look = move_steps(repair, believed)
    proof, found = _proof(facts), facts.migration
    if proof is None or found is None:
        return by_hand, look
    step = live_move_step(machine(found), found.node, believed.name, way=proof.way)
    return replace(step, guard=(is_there(repair), *step.guard)), look


def _by_database(facts: Facts, chosen: Resolved, repair: Repair) -> Plan:
    """Last, and at one's own risk."""
    one, name = chosen.record, chosen.record.machine.name
    found = facts.found[chosen.server]
    assert not isinstance(found.layout, Unknown)
    release = found.layout.release
    if one.verdict is not RecordStatus.LOST:
        return no_plan(f"No plan for {name} in the database: it is {one.verdict}. Refresh it in VMM.")
    if release == OLDEST and repair.power is not Power.RUNNING:
        return no_plan(
            f"No plan for {name} in the database: for VMM 2008 R2, only the state code of a running machine is known."
        )
    clustered = facts.clustered.get(chosen.server)
    if repair.host and clustered and (why := owned_by_cluster(repair.host, [SERVICE], clustered)):
        return no_plan(f"No plan for {name} in the database: {why}")
    gates = _gates(facts, chosen, repair, release)
    whole = Plan(
        reason=f"{because(one)} Microsoft does not document this change: try the refresh and the live migration first.",
        impact="VMM cannot manage anything while its service is stopped; all virtual machines keep running.",
        rollback="Undo: the service is stopped again, the row's previous values are restored, the service is started.",
        locks=_locks_of_server(facts, repair),
        gates=gates,
        groups=database_groups(repair),
        evidence=(f"ObjectId {repair.machine}, VM id {repair.vm_id}.", *_by_hand(facts, chosen, repair)),
        remedies=_next(chosen),
        current_state=_now(chosen),
        expected_state=f"{_mended(chosen, repair)}; one row of its database was changed",
        title=f"Fix missing VM {name} by changing VMM's database",
    )
    return or_no_plan(name, whole)


def _now(chosen: Resolved) -> str:
    return f"VMM {chosen.server} shows {shown(chosen.record)}"


def _mended(chosen: Resolved, repair: Repair) -> str:
    return f"VMM {chosen.server} shows {chosen.record.machine.name} on {repair.node.name}, no longer as Missing"


def _gates(facts: Facts, chosen: Resolved, repair: Repair, release: str) -> tuple[Gate, ...]:
    found, service = facts.found[chosen.server], facts.services.get(chosen.server)
    return (
        Gate(
            f"hvops knows the database schema of VMM {chosen.server}",
            outcome=GateOutcome.PASSED,
            measured=f"VMM {release}",
        ),
        all_answered(len(found.seen), _silent(found)),
        no_vmm_job(chosen.server, found.running_jobs),
        backed_up(chosen.server, facts.backups[chosen.server]),
        *((service_runs(repair.host, service),) if repair.host and isinstance(service, str) else ()),
        *((not_clustered(repair.host, [SERVICE], facts.clustered[chosen.server]),) if repair.host else ()),
    )


def _by_hand(facts: Facts, chosen: Resolved, repair: Repair) -> tuple[str, ...]:
    """Why a person stops and starts the service."""
    service = facts.services.get(chosen.server)
    if repair.host:
        return ()
    if service is None:
        why = f"the inventory names no host for VMM {chosen.server}"
    else:
        why = service.why.rstrip(".") if isinstance(service, Unknown) else "there is no such service on its host"
    return (f"{SERVICE} must be stopped and started by hand: {why}.",)


def _not_asked(server: str) -> Unknown:
    return Unknown(server, "not asked", "it was not asked this time.", "Take it back once it is in the inventory.")


def undo_gates(args: Args, facts: Facts, back: Plan) -> tuple[Gate, ...]:
    """No job runs in the VMM whose row is set back. How old its backup is by now only warns."""
    del args
    servers = [act.on for step in back.steps for act in (step.act,) if isinstance(act, RowTransaction)]
    return tuple(
        gate
        for server in dict.fromkeys(servers)
        for found in (facts.found.get(server),)
        for gate in (
            no_vmm_job(server, found.running_jobs if found else _not_asked(server)),
            replace(backed_up(server, facts.backups.get(server)), guards="worth"),
        )
    )


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
