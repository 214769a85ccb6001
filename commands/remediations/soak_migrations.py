"""Live-migrate one guest between two nodes hundreds or thousands of times, watching that it never stops or restarts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from bot.api.arguments import ClusterTargets, NodePair
from bot.api.command import AfterRun, Remediation, Risk, Role
from bot.api.facts import Known, Unknown, value_of
from bot.api.plan import KEPT, Check, Gate, GateOutcome, GateText, Plan
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.rows import CellError, Rows, get_datetime
from bot.api.sources import Source
from commands.formatting import pluralize
from commands.migration.contents import contents_gates, running_services
from commands.migration.facts import MigrationFacts, Place, find_migration_facts, find_place
from commands.migration.gates import move_gates
from commands.migration.proof import Proof, way_to_use
from commands.migration.soak import (
    BASELINE_BOOT,
    BASELINE_HOSTS,
    BASELINE_LOG,
    MOST_EVENTS,
    SOAK_SECONDS,
    Watched,
    boot_query,
    host_query,
    log_query,
    soak_groups,
    watch,
)
from commands.migration.steps import machine
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.remediations.prove_migration import Vm
from commands.sources.guests import (
    HostedGuest,
    guest_firmware,
    guest_identity,
    look_at_guests,
    same_machine,
)

_MOST = 5_000
_YOUNG = timedelta(minutes=10)
_COUNT = re.compile(r"[0-9]{1,5}")
_EVERY, _ANY = ClusterTargets(), NodePair()


class Moves(int):
    """How many moves."""

    label = "How many moves"
    wants = f"a number of moves from 2 to {_MOST:,}"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        plain = word.replace(",", "")
        if not _COUNT.fullmatch(plain) or not 2 <= int(plain) <= _MOST:  # noqa: PLR2004 - there and back
            raise ValueError(word)
        return cls(plain)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type. Where no cluster is named, the guest is looked for on all of them."""

    vm: Vm
    count: Moves
    between: NodePair = _ANY
    on: ClusterTargets = _EVERY


@dataclass(frozen=True, slots=True)
class Inside:
    """What the guest itself says.

    Attributes:
        booted: when it was started.
        vm_id, firmware: by which it shows that it is the machine that is meant; "" for what it does not tell.
        services: that run in it.
        logs: of the guest and of both hosts: whether they can be read, by name.
    """

    hosted: HostedGuest
    booted: datetime | Unknown
    vm_id: str
    firmware: str
    services: tuple[str, ...] | Unknown
    logs: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the guest is, all about it, and what it says itself."""

    place: Place | str
    now: datetime
    found: MigrationFacts | None = None
    inside: Inside | Unknown | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Look for the guest, ask about it as for a drain, then ask itself."""
    named = {one.cluster for one in args.between}
    place = await find_place(args.vm, [one for one in args.on if not named or one.name in named], ask)
    if isinstance(place, str):
        return Facts(place, ask.now)
    found, guests = await asyncio.gather(find_migration_facts(place, ask), look_at_guests(place.node, ask))
    if isinstance(guests, Unknown):
        return Facts(place, ask.now, found, guests)
    hosted = next((one for one in guests.guests if one.guest.vm_id == place.guest.vm_id), None)
    if hosted is None:
        gone = Unknown(place.guest.name, "absent", f"{place.node.name} no longer lists it.")
        return Facts(place, ask.now, found, gone)
    return Facts(place, ask.now, found, await _look_inside(args, hosted, found, ask))


async def _look_inside(args: Args, hosted: HostedGuest, found: MigrationFacts, ask: QueryClient) -> Inside | Unknown:
    if not hosted.told.fqdn:
        return Unknown(
            hosted.guest.name,
            "not asked",
            f"its name is not known: {hosted.told.unread or 'it reports none by data exchange.'}",
            "See that data exchange (KVP) is on, and that it is a Windows of one of the guest_domains.",
        )
    booted, vm_id, firmware, services = await asyncio.gather(
        ask.query(Source(boot_query(Watched(hosted, ask.now, has_id=True)), _read_boot)),
        ask.query(guest_identity(hosted)),
        ask.query(guest_firmware(hosted)),
        ask.query(running_services(hosted)),
    )
    inside = Inside(
        hosted,
        value_of(booted),
        vm_id.value if isinstance(vm_id, Known) else "",
        firmware.value if isinstance(firmware, Known) else "",
        value_of(services),
    )
    nodes, watched = _nodes(args, found), _watched(inside)
    if watched is None or isinstance(nodes, str):
        return inside
    logs = await ask.query_many(
        {
            "guest": Source(log_query(watched), len),
            **{node: Source(host_query(watched, node), _count_whole) for node in nodes},
        }
    )
    silent = tuple(part for part in logs.values() if isinstance(part, Unknown))
    return Inside(hosted, inside.booted, inside.vm_id, inside.firmware, inside.services, silent)


def _count_whole(rows: Rows) -> int:
    if len(rows) >= MOST_EVENTS:
        raise ValueError(f"its log has {MOST_EVENTS} or more stops of guests since then, and no more are read")
    return len(rows)


def _read_boot(rows: Rows) -> datetime:
    booted = get_datetime(rows[0], "LastBootUpTime") if rows else None
    if booted is None:
        raise ValueError("Win32_OperatingSystem tells no LastBootUpTime")
    return booted


def _watched(inside: Inside) -> Watched | None:
    """The guest as it is watched; None where it is not known when it started, or that it is the machine that is meant."""
    if isinstance(inside.booted, Unknown) or not same_machine(inside.hosted, inside.vm_id, inside.firmware):
        return None
    return Watched(inside.hosted, inside.booted, has_id=bool(inside.vm_id), firmware=inside.firmware)


def _nodes(args: Args, found: MigrationFacts) -> tuple[str, str] | str:
    """Where it is, and where it goes; else why that is not known."""
    name = found.guest.name
    if not args.between:
        there = next(iter(found.destinations()), "")
        if not there:
            return f"No plan for {name}: no other node of {found.cluster} is up, may own it and tells that it has room for it."
        return found.node, there
    wanted = [found.find_node(one.name) for one in args.between]
    if not all(wanted) or len(set(wanted)) != len(wanted):
        return f"No plan for {name}: {args.between} are not two nodes of {found.cluster}."
    if found.node not in wanted:
        return f"No plan for {name}: it is on {found.node}, and on neither of {args.between}. Move it to one of them first."
    return found.node, next(one for one in wanted if one != found.node)


def plan(args: Args, facts: Facts) -> Plan:
    """So many rounds of there and back, once it is proved that hvops can migrate there."""
    found = facts.found
    if found is None:
        assert isinstance(facts.place, str)
        return no_plan(facts.place)
    name, proof, nodes = found.guest.name, _proof(found), _nodes(args, found)
    if found.unplannable or isinstance(nodes, str):
        return no_plan(found.unplannable or str(nodes))
    if not isinstance(proof, Proof):
        return proof
    gates = (*move_gates(found, nodes[1], and_back=True), *_inside_gates(facts, name))
    inside = facts.inside
    watched = _watched(inside) if isinstance(inside, Inside) else None
    if watched is None:
        return or_no_plan(name, no_plan(_why_not_watched(facts, name), gates))
    return or_no_plan(name, replace(_soak(int(args.count), found, watched, nodes, proof), gates=gates))


def _soak(count: int, found: MigrationFacts, watched: Watched, nodes: tuple[str, str], proof: Proof) -> Plan:
    """The plan without its gates."""
    name, (here, there) = found.guest.name, nodes
    ends = here if count % 2 == 0 else there
    return Plan(
        reason=f"{name} runs on {here}, started {watched.booted:%d %b %Y %H:%M} UTC. {proof.says}.",
        impact=(
            f"{name} live-migrates {count:,} times between {here} and {there}, one move at a time, and pauses for a moment at the"
            " end of each. It stops at the first move that fails, and as soon as the guest has stopped or restarted. Between"
            f" moves it waits while a backup window or a freeze is open, and others may have the lock of {found.cluster}. Each"
            " move leaves two lines in the Application log of its source."
        ),
        rollback=(
            f"Nothing has to be undone: {name} stays on the node that it is on, {here} or {there}. Stop After Step ends it at"
            " any time; the move under way ends first."
        ),
        locks=(cluster_lock(found.target), f"{KEPT}soak:{found.cluster.lower()}"),
        gates=(),
        groups=soak_groups(watched, machine(found), nodes, count, proof.way),
        remedies=(Remedy("Check Storvsc Risk", f"/check-storvsc-risk {found.cluster}"),),
        title=f"Move {name} live {count:,} times between {here} and {there}",
        places=(found.cluster,),
        current_state=f"{name} runs on {here}, started {watched.booted:%d %b %Y %H:%M} UTC",
        expected_state=f"{name} runs on {ends} after {pluralize(count, 'live migration')}, and has not been restarted",
        afterwards=_afterwards(watched, nodes),
        self_reverting=count % 2 == 0,
        soak_seconds=SOAK_SECONDS,
    )


def _afterwards(watched: Watched, nodes: tuple[str, str]) -> tuple[Check, ...]:
    """What was watched, asked once more for the summary: boot time first, then the guest's log, then the hosts'."""
    return tuple(watch(watched, nodes))[1:]


def _proof(found: MigrationFacts) -> Proof | Plan:
    """The proof of the way to use; or no plan, and why."""
    if isinstance(found.proved, Unknown):
        return no_plan(
            f"No plan for {found.guest.name}: what was proved on {found.cluster} is not known: {found.proved.why}"
        )
    return way_to_use(found.proved) or _unproved(found)


def _unproved(found: MigrationFacts) -> Plan:
    name, cluster = found.guest.name, found.cluster
    assert not isinstance(found.proved, Unknown)
    tried = "".join(f" {one.says}." for one in found.proved)
    return no_plan(
        f"No plan for {name}: no live migration method has been proved on {cluster}.{tried} Name a guest that may be moved once"
        f" there and back: /prove-migration <vm> --on {cluster}.",
        remedies=(Remedy("Prove Migration…", f"/prove-migration {name} --on {cluster}"),),
    )


def _inside_gates(facts: Facts, name: str) -> tuple[Gate, ...]:
    """The guest can be watched, and somebody knows what it holds."""
    inside = facts.inside
    says = GateText(
        f"hvops can watch {name}: boot time, its own log and those of both nodes",
        f"hvops cannot watch {name}: boot time, its own log and those of both nodes",
        f"It is not known whether hvops can watch {name}: boot time, its own log and those of both nodes",
    )
    if not isinstance(inside, Inside):
        why = inside.why if isinstance(inside, Unknown) else "it was not asked."
        gate = Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {why.rstrip('.')}", answerable=False)
        return (gate, *contents_gates(name, inside if isinstance(inside, Unknown) else Unknown(name, "not asked", why)))
    silent = [inside.booted] if isinstance(inside.booted, Unknown) else []
    silent += inside.logs
    if silent or _watched(inside) is None:
        told = "; ".join(f"{one.target}: {one.why.rstrip('.')}" for one in silent)
        told = told or "it does not show that it is the virtual machine that is meant"
        return (
            Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {told}", answerable=False),
            *contents_gates(name, inside.services),
        )
    assert not isinstance(inside.booted, Unknown)
    old = facts.now - inside.booted >= _YOUNG
    return (
        Gate.of(says, GateOutcome.PASSED),
        Gate.of(
            GateText(
                f"{name} was started 10 minutes ago or longer",
                f"{name} was started less than 10 minutes ago; check again later",
                f"It is not known when {name} was started",
            ),
            GateOutcome.of(old),
            "" if old else "a restart could not be told from its start",
            answerable=False,
        ),
        *contents_gates(name, inside.services),
    )


def _why_not_watched(facts: Facts, name: str) -> str:
    gate = _inside_gates(facts, name)[0]
    return (
        f"No plan for {name}: it could not be watched between its moves: {gate.measured.removeprefix('not known: ')}."
    )


def describe_after(told: AfterRun) -> Sequence[str]:
    """Whether the guest has gone through all of it, out of what was watched. Raises ValueError for an answer of another form."""
    boot, log, *hosts = told.answers
    before = _boot_time(told.before.get(BASELINE_BOOT, ()))
    lines = [f"{told.target} was started {before:%d %b %Y %H:%M} UTC before the first move"]
    if isinstance(boot, Unknown):
        lines.append(f"when it was started is not known now: {boot.why.rstrip('.')}")
    else:
        lines.append(f"it was started {_boot_time(boot.value):%d %b %Y %H:%M} UTC after the last one")
    silent = [one.target for one in (log, *hosts) if isinstance(one, Unknown)]
    if silent:
        lines.append(f"not asked at the end: the logs of {', '.join(dict.fromkeys(silent))}")
    new = _new_events(told, log, hosts)
    if not silent and not new:
        lines.append("neither its own log nor those of the two nodes have a stop or restart of it since then")
    return lines + new


def _new_events(told: AfterRun, log: Known[Rows] | Unknown, hosts: Sequence[Known[Rows] | Unknown]) -> list[str]:
    """What came into the logs since the first move: after the last look between two moves, or nothing would have ended well."""
    lines = []
    if own := _new_rows(log, told.before.get(BASELINE_LOG, ()), ("RecordNumber", "EventCode")):
        lines.append(f"its own log has {pluralize(own, 'stop or restart', 'stops or restarts')} of it since then")
    columns = ("record_id", "event_id")
    for answer, before in zip(hosts[::2], BASELINE_HOSTS, strict=False):  # each is asked twice, for either column
        if others := _new_rows(answer, told.before.get(before, ()), columns):
            lines.append(
                f"the log of one of its nodes has {pluralize(others, 'stop')} of guests since then: see of which"
            )
    return lines


def _new_rows(answer: Known[Rows] | Unknown, before: Rows, columns: tuple[str, ...]) -> int:
    """How many rows are none of those before."""
    if isinstance(answer, Unknown):
        return 0
    known = {tuple(str(row.get(one)) for one in columns) for row in before}
    return sum(tuple(str(row.get(one)) for one in columns) not in known for row in answer.value)


def _boot_time(rows: Rows) -> datetime:
    try:
        return _read_boot(rows)
    except CellError as error:
        raise ValueError(str(error)) from None


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, describe_after=describe_after)
