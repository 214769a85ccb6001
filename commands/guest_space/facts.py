"""Everything that `/find-full-guests` asks, as facts: which guests there are, and what each says of its volumes.

Three rounds: the cluster, every node at once, every guest at once; a fourth for guests whose integration services
write no VM id. An answer counts only from the very machine that was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.query_client import Ask, Unanswered
from commands.formatting import GIB, count, listed
from commands.sources.cluster import (
    Group,
    Node,
    ask_groups,
    ask_nodes,
    look_at_host,
    nodes_meant,
    read_groups,
    read_nodes,
)
from commands.sources.event_log import ask_snapshot_failures, read_events
from commands.sources.guests import (
    HostedGuest,
    HostGuests,
    Power,
    ask_firmware,
    ask_identity,
    is_itself,
    look_at_guests,
    newest,
    read_firmware,
    read_identity,
)
from commands.sources.kvp import System
from commands.sources.volumes import Room, Volumes, ask_volumes, read_volumes
from commands.vss.suspects import Suspect, find_suspects

LOOK_BACK = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out.

    Attributes:
        guests: every virtual machine that a host told of.
        space: VM id -> volumes, of those that were asked.
        silent_hosts: hosts whose guests are not known, or not wholly.
        unseen: roles of guests on hosts that did not answer, by the cluster's word.
        named: guests that event 10102 names.
    """

    now: datetime
    guests: tuple[HostedGuest, ...]
    space: Mapping[str, Volumes | Unanswered]
    silent_hosts: tuple[Unanswered, ...] = ()
    unseen: tuple[str, ...] = ()
    named: tuple[Suspect, ...] = ()


def is_askable(hosted: HostedGuest) -> bool:
    """Whether a guest can be asked at all: running, not known to be something else than Windows, and with a name."""
    known = hosted.told.system not in (System.LINUX, System.OTHER)
    return hosted.guest.power is Power.RUNNING and known and bool(hosted.told.fqdn)


def short_of_space(facts: Facts) -> tuple[str, ...]:
    """Volumes that are full, or have less free than what helped once [1 note: 1 GB]: "test-tfs-01 C:"."""
    return tuple(
        f"{hosted.guest.name} {volume.name}"
        for hosted in facts.guests
        for part in (facts.space.get(hosted.guest.vm_id),)
        if isinstance(part, Volumes)
        for volume in part.judged
        if volume.room(GIB, percent=0) in (Room.FULL, Room.LOW)
    )


async def find_facts(target: Target, ask: Ask) -> Facts:
    """Ask everything."""
    nodes, groups = await _find_nodes(target, ask)
    if isinstance(nodes, Unanswered):
        return Facts(ask.now, (), {}, (nodes,))
    hosts, logs = await asyncio.gather(
        asyncio.gather(*(look_at_guests(node, ask) for node in nodes)),
        ask.each({node.name: ask_snapshot_failures(node.name, ask.now - LOOK_BACK) for node in nodes}, read_events),
    )
    told = {node.name: part for node, part in zip(nodes, hosts, strict=True) if isinstance(part, HostGuests)}
    guests = tuple(newest(told.values()).values())
    known_logs = {on: events for on, events in logs.items() if not isinstance(events, Unanswered)}
    by_host = {on: [hosted.guest for hosted in part.guests] for on, part in told.items()}
    return Facts(
        now=ask.now,
        guests=guests,
        space=await _ask_guests([hosted for hosted in guests if is_askable(hosted)], ask),
        silent_hosts=_silent_hosts(nodes, hosts, groups),
        unseen=_unseen(told, nodes, groups),
        named=find_suspects(known_logs, by_host, dict.fromkeys(known_logs, ask.now - LOOK_BACK)),
    )


async def _find_nodes(target: Target, ask: Ask) -> tuple[tuple[Node, ...] | Unanswered, tuple[Group, ...]]:
    """The nodes to ask, and the cluster's roles: they name the guests of a silent node."""
    if not target.cluster:
        return (await look_at_host(target.name, ask),), ()
    nodes, groups = await asyncio.gather(
        ask.one(ask_nodes(target.cluster), read_nodes), ask.one(ask_groups(target.cluster), read_groups)
    )
    known = () if isinstance(groups, Unanswered) else groups
    if isinstance(nodes, Unanswered):
        return (nodes if target.kind == "cluster" else nodes_meant(target, ())), known
    return nodes_meant(target, nodes), known


async def _ask_guests(guests: Sequence[HostedGuest], ask: Ask) -> dict[str, Volumes | Unanswered]:
    volumes, identities = await asyncio.gather(
        ask.each({one.guest.vm_id: ask_volumes(one) for one in guests}, read_volumes),
        ask.each({one.guest.vm_id: ask_identity(one) for one in guests}, read_identity),
    )
    unproven = [
        one
        for one in guests
        if not isinstance(volumes[one.guest.vm_id], Unanswered) and not _said(identities[one.guest.vm_id])
    ]
    questions = {one.guest.vm_id: ask_firmware(one) for one in unproven}
    firmware = await ask.each(questions, read_firmware) if questions else {}
    return {
        key: _proven(one, volumes[key], _said(identities[key]), _said(firmware.get(key, "")))
        for one in guests
        for key in (one.guest.vm_id,)
    }


def _said(answer: str | Unanswered) -> str:
    return "" if isinstance(answer, Unanswered) else answer


def _proven(one: HostedGuest, volumes: Volumes | Unanswered, vm_id: str, firmware: str) -> Volumes | Unanswered:
    """The volumes, if they are those of the machine that was meant."""
    if isinstance(volumes, Unanswered):
        return volumes
    itself = is_itself(one, vm_id, firmware)
    if itself:
        return volumes
    if itself is None:
        says = f"{one.told.fqdn} answered, and neither a VM id nor a BIOS GUID proves that it is this guest."
        return Unanswered(one.guest.name, "not proven", says, "Update its integration services.")
    says = f"{one.told.fqdn} answered, and it is another machine (VM id {vm_id or 'unknown'})."
    return Unanswered(one.guest.name, "wrong machine", says, "Check its name in DNS, and whether two machines bear it.")


def _silent_hosts(
    nodes: Sequence[Node], hosts: Sequence[HostGuests | Unanswered], groups: Sequence[Group]
) -> tuple[Unanswered, ...]:
    """Hosts whose guests are not known, and hosts that told only half."""
    found = []
    for node, part in zip(nodes, hosts, strict=True):
        if isinstance(part, Unanswered):
            roles = _roles_on(node, groups)
            whose = f"its {count(len(roles), 'guest')}: {listed(roles)}" if roles else "its guests"
            found.append(Unanswered(node.name, part.kind, f"{part.says} Not known: {whose}.", part.do))
        elif part.failed:
            first = part.failed[0]
            says = f"{first.says} What its guests say of themselves is not known."
            found.append(Unanswered(node.name, first.kind, says, first.do))
    return tuple(found)


def _unseen(told: Mapping[str, HostGuests], nodes: Sequence[Node], groups: Sequence[Group]) -> tuple[str, ...]:
    return tuple(name for node in nodes if node.name not in told for name in _roles_on(node, groups))


def _roles_on(node: Node, groups: Sequence[Group]) -> list[str]:
    return [group.name for group in groups if group.is_guest and _same(group.owner, node.name)]


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
