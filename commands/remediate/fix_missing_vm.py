"""Mend a virtual machine that SCVMM shows as Missing: VMM's own refresh, then a live migration, its database last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from bot.vocabulary.arguments import VmmTarget
from bot.vocabulary.ask import Ask, Unanswered
from bot.vocabulary.command import Remediation, Risk, Role
from bot.vocabulary.plan import Gate, Group, Plan
from bot.vocabulary.report import Remedy
from commands.diagnose import find_missing_vms
from commands.know.cluster import Node, ask_nodes, read_nodes
from commands.know.guests import Guest, Power
from commands.know.identity import guid
from commands.know.plans import held, no_plan, why_held
from commands.know.vmm import CODES, OLDEST
from commands.know.vmm_compare import Compared, Verdict, compare
from commands.know.vmm_repair import (
    DRAFT,
    FullBackup,
    Repair,
    ask_last_backup,
    database_steps,
    move_steps,
    read_last_backup,
    refresh_step,
)
from commands.know.wording import count, listed

_WAYS = ("refresh", "migration", "database")


class Vm(str):
    """A word of a virtual machine's name, or one of its ids."""

    __slots__ = ()


class Way(str):
    """How it is mended."""

    __slots__ = ()
    wants = "refresh, migration or database"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        if word.casefold() not in _WAYS:
            raise ValueError(word)
        return cls(word.casefold())


_FIRST = Way("refresh")


@dataclass(frozen=True, slots=True)
class Args:
    """What people type. The server is named, since an estate may have several, and roles hold for each."""

    vmm: VmmTarget
    vm: tuple[Vm, ...] = ()
    by: Way = _FIRST


@dataclass(frozen=True, slots=True)
class Facts:
    """What `/find-missing-vms` finds, the nodes with their Windows, and the newest full backup of the database."""

    found: find_missing_vms.Facts
    nodes: Mapping[str, Node]
    backup: FullBackup | Unanswered | None = None


async def collect(args: Args, ask: Ask) -> Facts:
    """As many rounds as `/find-missing-vms` takes."""
    found, nodes, backup = await asyncio.gather(
        find_missing_vms.collect(find_missing_vms.Args(args.vmm), ask),
        ask.each({name: ask_nodes(name) for name in args.vmm.clusters}, read_nodes),
        ask.one(ask_last_backup(args.vmm.name), read_last_backup),
    )
    known = {one.name: one for part in nodes.values() if not isinstance(part, Unanswered) for one in part}
    return Facts(found, known, backup)


def plan(args: Args, facts: Facts) -> Plan:
    """Find the record, and mend it in the way that was asked for."""
    name = " ".join(args.vm)
    found = facts.found
    look = (Remedy("Find Missing VMs", f"/find-missing-vms {args.vmm}", primary=True),)
    if not name:
        return no_plan("Which virtual machine? Name it, or write its id.", remedies=look)
    if isinstance(found.layout, Unanswered):
        return no_plan(f"No plan: {found.layout.on}: {found.layout.says}")
    if not found.layout.is_known:
        lacks = f"its schema lacks {listed(found.layout.lacks, 4)}"
        return no_plan(
            f"No plan: this VMM is of a version that hvops does not know: {lacks}. By hand: Read-SCVirtualMachine.",
            evidence=DRAFT,
        )
    if isinstance(found.hosts, Unanswered) or isinstance(found.machines, Unanswered):
        why = found.hosts if isinstance(found.hosts, Unanswered) else found.machines
        assert isinstance(why, Unanswered)
        return no_plan(f"No plan: {why.on}: {why.says}")
    seen = {host: part for host, part in found.seen.items() if not isinstance(part, Unanswered)}
    compared = compare(found.machines, found.hosts, seen, [one.on for one in _silent(found)])
    matching = [one for one in compared if _is_meant(one, name)]
    if len(matching) != 1:
        return no_plan(_which(args, name, matching), remedies=look)
    return _mend(args, facts, matching[0], seen)


def _silent(found: find_missing_vms.Facts) -> tuple[Unanswered, ...]:
    return (*found.clusters, *(part for part in found.seen.values() if isinstance(part, Unanswered)))


def _is_meant(one: Compared, name: str) -> bool:
    own = guid(name)
    return own in (one.machine.object_id, one.machine.vm_id) if own else one.machine.name.casefold() == name.casefold()


def _which(args: Args, name: str, matching: Sequence[Compared]) -> str:
    if not matching:
        return f"VMM {args.vmm} has no virtual machine “{name[:80]}” on a host."
    ids = listed([f"{one.machine.object_id} on {one.believed or 'an unknown host'}" for one in matching], 6)
    return f"VMM {args.vmm} has {count(len(matching), 'record')} that could be meant, so none is changed: {ids}."


def _mend(args: Args, facts: Facts, one: Compared, seen: Mapping[str, Sequence[Guest]]) -> Plan:
    if refusal := _refused(one):
        return no_plan(refusal)
    repair = _repair(args, facts, one)
    if isinstance(repair, str):
        return no_plan(repair)
    if args.by == "migration":
        return _by_migration(facts, one, repair, seen)
    return _by_database(args, facts, one, repair) if args.by == "database" else _by_refresh(one, repair)


def _refused(one: Compared) -> str:
    """Why nothing may be done to this record; "" where something may."""
    name = one.machine.name
    return {
        Verdict.AGREES: f"Nothing to mend: VMM and {one.believed} agree about {name}.",
        Verdict.DUPLICATE: f"No plan for {name}: VMM has more than one record of this machine, and nobody can tell which one is right.",
        Verdict.BUSY: f"No plan for {name}: a job of VMM's is at work on it ({one.machine.state_name}).",
        Verdict.GONE: f"No plan for {name}: every node answered, and none of them has it. Look for its files.",
        Verdict.UNKNOWN: f"No plan for {name}: where it is is not known. {one.why}",
        Verdict.NOT_COMPARED: f"No plan for {name}: its host was not asked or did not answer.",
    }.get(one.verdict, "")


def _repair(args: Args, facts: Facts, one: Compared) -> Repair | str:
    """Everything that a step needs; else why there can be none."""
    assert isinstance(facts.found.hosts, Mapping)
    assert one.real is not None  # else it was refused
    name, real = one.machine.name, one.real
    ids = [host for host, called in facts.found.hosts.items() if called == real.host.casefold()]
    node = facts.nodes.get(real.host)
    if len(ids) != 1 or node is None:
        return f"No plan for {name}: VMM lists {count(len(ids), 'host')} called {real.host}, where it really is."
    becomes = CODES.get(real.guest.power)
    if becomes is None:
        return f"No plan for {name}: it is {real.guest.power} on {real.host}. Look again when that has ended."
    machine = one.machine
    return Repair(
        on=args.vmm.name,
        machine=machine.object_id,
        vm_id=machine.vm_id,
        believed=machine.host_id,
        real=ids[0],
        node=node,
        power=real.guest.power,
        state=machine.state,
        becomes=becomes,
    )


def _because(one: Compared) -> str:
    assert one.real is not None
    return (
        f"VMM has {one.machine.name} as {one.machine.state_name} ({one.machine.state}) on"
        f" {one.believed or 'a host it does not list'}; it is {one.real.guest.power} on {one.real.host}."
    )


def _lock(repair: Repair) -> tuple[str, ...]:
    return (f"vmm:{repair.on.lower()}:{repair.machine}",)


def _by_refresh(one: Compared, repair: Repair) -> Plan:
    """What Microsoft documents, and always the first to try."""
    return Plan(
        because=_because(one),
        impact="VMM looks at one virtual machine anew; the machine itself is not touched.",
        way_back="None is needed: a refresh only reads the host.",
        locks=_lock(repair),
        gates=(),
        groups=(Group("refresh", (refresh_step(repair),)),),
    )


def _by_migration(facts: Facts, one: Compared, repair: Repair, seen: Mapping[str, Sequence[Guest]]) -> Plan:
    """To the host that VMM believes in, so that its next look finds it there."""
    believed = next((host for host in seen if host.casefold() == one.believed), "")
    node = facts.nodes.get(believed)
    if one.verdict is Verdict.STALE or node is None or repair.power is not Power.RUNNING:
        why = "it is where VMM believes it to be" if one.verdict is Verdict.STALE else "it does not run"
        why = why if node else f"{one.believed or 'the host that VMM names'} did not answer"
        return no_plan(f"No live migration for {one.machine.name}: {why}.")
    return Plan(
        because=_because(one),
        impact=f"{one.machine.name} moves live to {node.name}.",
        way_back="Move it back in the same way.",
        locks=_lock(repair),
        gates=(),
        groups=(Group("migration", move_steps(repair, node)),),
    )


def _by_database(args: Args, facts: Facts, one: Compared, repair: Repair) -> Plan:
    """Last, and at one's own risk."""
    name = one.machine.name
    assert not isinstance(facts.found.layout, Unanswered)
    release = facts.found.layout.release
    if one.verdict is not Verdict.LOST:
        return no_plan(f"No change of the database for {name}: it is {one.verdict}. Refresh it in VMM.")
    if release == OLDEST and repair.power is not Power.RUNNING:
        return no_plan(
            f"No change of the database for {name}: of VMM 2008 R2 only the state of a running one is known."
        )
    gates = (
        Gate(f"The schema of {args.vmm} is known", passed=True, measured=f"VMM {release}"),
        _all_answered(facts),
        _no_job(args, facts),
        _backed_up(args, facts.backup),
    )
    if held(gates):
        return no_plan(why_held(name, gates), gates)
    return Plan(
        because=f"{_because(one)} Microsoft documents no such change: try the refresh and the live migration first.",
        impact="VMM manages nothing while its service is stopped; every virtual machine goes on running.",
        way_back="Stop VMMService, then undo: the row gets its earlier values back.",
        locks=_lock(repair),
        gates=gates,
        groups=(Group("database", database_steps(repair)),),
        evidence=(f"ObjectId {repair.machine}, VM id {repair.vm_id}.",),
    )


def _all_answered(facts: Facts) -> Gate:
    """A silent node could have a second machine of that id."""
    silent = [one.on for one in _silent(facts.found)]
    told = f"silent: {listed(silent, 4)}" if silent else count(len(facts.found.seen), "node")
    return Gate("Every node said which virtual machines it has", passed=not silent, measured=told)


def _no_job(args: Args, facts: Facts) -> Gate:
    says, jobs = f"No job runs in VMM {args.vmm}", facts.found.running_jobs
    if isinstance(jobs, int):
        return Gate(says, passed=jobs == 0, measured=f"{jobs} running")
    why = f": {jobs.says.rstrip('.')}" if isinstance(jobs, Unanswered) else ": this schema does not tell"
    return Gate(says, passed=False, measured=f"not known{why}", blocks=isinstance(jobs, Unanswered))


def _backed_up(args: Args, backup: FullBackup | Unanswered | None) -> Gate:
    says = f"The database of {args.vmm} has a full backup less than 24 hours old"
    if isinstance(backup, Unanswered):
        return Gate(says, passed=False, measured=f"not known: {backup.says.rstrip('.')}")
    told = f"{backup.finished:%Y-%m-%d %H:%M} server time" if backup else "none at all"
    return Gate(says, passed=backup is not None and backup.is_recent, measured=told)


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan)
