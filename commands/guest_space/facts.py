"""Everything that `/find-full-guests` asks, as facts: which guests there are, and what each says of its volumes.

Three rounds: the cluster, every node at once, every guest at once; a fourth for guests whose integration services
write no VM id. An answer counts only from the very machine that was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from commands.formatting import GIB, join_names, pluralize, tell_apart
from commands.sources.cluster import (
    Group,
    Node,
    cluster_groups,
    cluster_nodes,
    look_at_host,
    target_nodes,
)
from commands.sources.event_log import snapshot_failures
from commands.sources.guest_disks import Disks, guest_disks
from commands.sources.guests import (
    HostedGuest,
    HostGuests,
    guest_firmware,
    guest_identity,
    look_at_guests,
    newest,
    same_machine,
)
from commands.sources.kvp import System
from commands.sources.volumes import Room, Volumes, guest_volumes
from commands.vss.suspects import HostLog, Suspect, find_suspects

LOOK_BACK = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class GuestSpaceFacts:
    """What was found out.

    Attributes:
        guests: every virtual machine that a host told of.
        space: VM id -> volumes, of those that were asked.
        silent_hosts: hosts whose guests are not known, or not wholly.
        unseen: roles of guests on hosts that did not answer, by the cluster's word.
        named: guests that VMMS events name.
        disks: VM id -> disks, where they were asked for; of the machine that was meant only where its volumes are.
    """

    now: datetime
    guests: tuple[HostedGuest, ...]
    space: Mapping[str, Volumes | Unknown]
    silent_hosts: tuple[Unknown, ...] = ()
    unseen: tuple[str, ...] = ()
    named: tuple[Suspect, ...] = ()
    disks: Mapping[str, Disks | Unknown] = field(default_factory=dict)


def guest_names(facts: GuestSpaceFacts) -> Mapping[str, str]:
    """VM id -> the guest's name as it is shown, told apart from its namesakes."""
    return tell_apart((hosted.guest.vm_id, hosted.guest.name) for hosted in facts.guests)


def is_askable(hosted: HostedGuest) -> bool:
    """Whether a guest can be asked at all: running, not known to be something else than Windows, and with a name."""
    known = hosted.told.system not in (System.LINUX, System.OTHER)
    return hosted.guest.power.runs and known and bool(hosted.told.fqdn)


def short_of_space(facts: GuestSpaceFacts) -> tuple[str, ...]:
    """Volumes that are full, or have less free than what helped once [1 note: 1 GB]: "test-tfs-01 C:"."""
    names = guest_names(facts)
    return tuple(
        f"{names[hosted.guest.vm_id]} {volume.name}"
        for hosted in facts.guests
        for part in (facts.space.get(hosted.guest.vm_id),)
        if isinstance(part, Volumes)
        for volume in part.judged
        if volume.room(GIB, percent=0) in (Room.FULL, Room.LOW)
    )


def answered_guests(facts: GuestSpaceFacts) -> tuple[int, int]:
    """How many guests told their volumes, and how many were asked and did not."""
    told = sum(isinstance(part, Volumes) for part in facts.space.values())
    return told, len(facts.space) - told


async def find_guest_space(target: Target, ask: QueryClient, *, with_disks: bool = False) -> GuestSpaceFacts:
    """Ask everything; the guests' disks only for those who want to know."""
    nodes, groups = await _find_nodes(target, ask)
    if isinstance(nodes, Unknown):
        return GuestSpaceFacts(ask.now, (), {}, (nodes,))
    since = ask.now - LOOK_BACK
    hosts, logs = await asyncio.gather(
        asyncio.gather(*(look_at_guests(node, ask) for node in nodes)),
        ask.query_many({node.name: snapshot_failures(node.name, since, node.build) for node in nodes}),
    )
    told = {node.name: part for node, part in zip(nodes, hosts, strict=True) if isinstance(part, HostGuests)}
    guests = tuple(newest(told.values()).values())
    builds = {node.name: node.build for node in nodes}
    known_logs = {
        on: HostLog(builds[on], events.value.events) for on, events in logs.items() if not isinstance(events, Unknown)
    }
    by_host = {on: [hosted.guest for hosted in part.guests] for on, part in told.items()}
    askable = [hosted for hosted in guests if is_askable(hosted)]
    space, disks = await asyncio.gather(_ask_guests(askable, ask), _ask_disks(askable if with_disks else (), ask))
    return GuestSpaceFacts(
        now=ask.now,
        guests=guests,
        space=space,
        silent_hosts=_silent_hosts(nodes, hosts, groups),
        unseen=_unseen(told, nodes, groups),
        named=find_suspects(known_logs, by_host, dict.fromkeys(known_logs, since)),
        disks=disks,
    )


async def _find_nodes(target: Target, ask: QueryClient) -> tuple[tuple[Node, ...] | Unknown, tuple[Group, ...]]:
    """The nodes to ask, and the cluster's roles: they name the guests of a silent node."""
    if not target.cluster:
        return (await look_at_host(target.name, ask),), ()
    nodes, groups = await asyncio.gather(
        ask.query(cluster_nodes(target.cluster)), ask.query(cluster_groups(target.cluster))
    )
    known = () if isinstance(groups, Unknown) else groups.value
    if isinstance(nodes, Unknown):
        return (nodes if target.kind == "cluster" else target_nodes(target, ())), known
    return target_nodes(target, nodes.value), known


async def _ask_guests(guests: Sequence[HostedGuest], ask: QueryClient) -> dict[str, Volumes | Unknown]:
    volumes, identities = await asyncio.gather(
        ask.query_many({one.guest.vm_id: guest_volumes(one) for one in guests}),
        ask.query_many({one.guest.vm_id: guest_identity(one) for one in guests}),
    )
    unproven = [
        one
        for one in guests
        if not isinstance(volumes[one.guest.vm_id], Unknown) and not _said(identities[one.guest.vm_id])
    ]
    questions = {one.guest.vm_id: guest_firmware(one) for one in unproven}
    firmware = await ask.query_many(questions) if questions else {}
    return {
        key: _proven(one, value_of(volumes[key]), _said(identities[key]), _said(firmware.get(key)))
        for one in guests
        for key in (one.guest.vm_id,)
    }


async def _ask_disks(guests: Sequence[HostedGuest], ask: QueryClient) -> Mapping[str, Disks | Unknown]:
    return values_of(await ask.query_many({one.guest.vm_id: guest_disks(one) for one in guests})) if guests else {}


def _said(answer: Known[str] | Unknown | None) -> str:
    return answer.value if isinstance(answer, Known) else ""


def _proven(one: HostedGuest, volumes: Volumes | Unknown, vm_id: str, firmware: str) -> Volumes | Unknown:
    """The volumes, if they are those of the machine that was meant."""
    if isinstance(volumes, Unknown):
        return volumes
    itself = same_machine(one, vm_id, firmware)
    if itself:
        return volumes
    if itself is None:
        says = f"{one.told.fqdn} answered, and neither a VM id nor a BIOS GUID proves that it is this guest."
        return Unknown(one.guest.name, "not proven", says, "Update its integration services.")
    says = f"{one.told.fqdn} answered, and it is another machine (VM id {vm_id or 'unknown'})."
    return Unknown(one.guest.name, "wrong machine", says, "Check its name in DNS, and whether two machines bear it.")


def _silent_hosts(
    nodes: Sequence[Node], hosts: Sequence[HostGuests | Unknown], groups: Sequence[Group]
) -> tuple[Unknown, ...]:
    """Hosts whose guests are not known, and hosts that told only half."""
    found = []
    for node, part in zip(nodes, hosts, strict=True):
        if isinstance(part, Unknown):
            roles = _roles_on(node, groups)
            whose = f"its {pluralize(len(roles), 'guest')}: {join_names(roles)}" if roles else "its guests"
            found.append(Unknown(node.name, part.kind, f"{part.why} Not known: {whose}.", part.remedy))
        elif part.failed:
            first = part.failed[0]
            says = f"{first.why} What its guests say of themselves is not known."
            found.append(Unknown(node.name, first.kind, says, first.remedy))
    return tuple(found)


def _unseen(told: Mapping[str, HostGuests], nodes: Sequence[Node], groups: Sequence[Group]) -> tuple[str, ...]:
    return tuple(name for node in nodes if node.name not in told for name in _roles_on(node, groups))


def _roles_on(node: Node, groups: Sequence[Group]) -> list[str]:
    return [group.name for group in groups if group.is_guest and _same(group.owner, node.name)]


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
