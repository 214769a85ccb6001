"""Everything that `/find-full-guests` asks, as facts: which guests there are, and what each says of its volumes.

Three rounds: the cluster, every node at once, every guest at once; a fourth for guests whose integration services
write no VM id. An answer counts only from the very machine that was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.beside import beside
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
    Power,
    guest_firmware,
    guest_identity,
    guests_by_id,
    look_at_guests,
    same_machine,
)
from commands.sources.kvp import System
from commands.sources.volumes import (
    Room,
    ShadowStorage,
    Volumes,
    guest_volumes,
    shadow_storage,
    volumes_with_versions,
)
from commands.vss.suspects import HostLog, Suspect, find_suspects

LOOK_BACK = timedelta(hours=24)
NOT_WINDOWS = (System.LINUX, System.OTHER)
LIMITED = " (limit of its shadow storage)"


@dataclass(frozen=True, slots=True)
class GuestSpaceFacts:
    """What was found out.

    Attributes:
        guests: every virtual machine that a host told of.
        space: VM id -> volumes, of those that were asked.
        silent_hosts: hosts whose guests are not known, or not wholly.
        unseen: roles of guests on hosts that did not answer, by the cluster's word.
        named: guests that VMMS events name.
        unlimited: guests of which the limits of shadow storage are not known.
        disks: VM id -> disks, where they were asked for; of the machine that was meant only where its volumes are.
    """

    now: datetime
    guests: tuple[HostedGuest, ...]
    space: Mapping[str, Volumes | Unknown]
    silent_hosts: tuple[Unknown, ...] = ()
    unseen: tuple[str, ...] = ()
    named: tuple[Suspect, ...] = ()
    unlimited: tuple[str, ...] = ()
    disks: Mapping[str, Disks | Unknown] = field(default_factory=dict)


def guest_names(facts: GuestSpaceFacts) -> Mapping[str, str]:
    """VM id -> the guest's name as it is shown, told apart from its namesakes."""
    return tell_apart((hosted.guest.vm_id, hosted.guest.name) for hosted in facts.guests)


def is_askable(hosted: HostedGuest) -> bool:
    """Whether a guest can be asked at all: running, not known to be something else than Windows, and with a name."""
    known = hosted.told.system not in NOT_WINDOWS
    return hosted.guest.power.runs and known and bool(hosted.told.fqdn)


def short_of_space(facts: GuestSpaceFacts) -> tuple[str, ...]:
    """Volumes that are full, have less free than what helped once [1 note: 1 GB], or a limit: "test-tfs-01 C:"."""
    names = guest_names(facts)
    return tuple(
        f"{names[hosted.guest.vm_id]} {volume.name}{LIMITED if room is Room.SHADOW_LIMIT else ''}"
        for hosted in facts.guests
        for part in (facts.space.get(hosted.guest.vm_id),)
        if isinstance(part, Volumes)
        for volume in part.judged
        for room in (volume.room(GIB, percent=0),)
        if room in (Room.FULL, Room.LOW, Room.SHADOW_LIMIT)
    )


def way_to_room(facts: GuestSpaceFacts) -> str:
    """What a person does about them: "free 1 GB or more on test-tfs-01 C:"."""
    short = short_of_space(facts)
    limited = [name.removesuffix(LIMITED) for name in short if name.endswith(LIMITED)]
    full = [name for name in short if not name.endswith(LIMITED)]
    parts = (
        f"free 1 GB or more on {join_names(full, 4)}" if full else "",
        f"raise the limit of the shadow storage of {join_names(limited, 4)}" if limited else "",
    )
    return " and ".join(part for part in parts if part)


def unknown_guests(facts: GuestSpaceFacts) -> list[tuple[HostedGuest, Unknown]]:
    """Guests that run or may, are no Linux, and did not say how full they are; each with its reason."""
    found = []
    names = guest_names(facts)
    for hosted in facts.guests:
        part = facts.space.get(hosted.guest.vm_id)
        name = names[hosted.guest.vm_id]
        if isinstance(part, Unknown):
            found.append((hosted, replace(part, target=name) if part.target == hosted.guest.name else part))
        elif isinstance(part, Volumes) and part.unread:
            says = f"{join_names(part.unread, 4)} {'reports' if len(part.unread) == 1 else 'report'} no size or free space: locked or unformatted."
            found.append((hosted, Unknown(name, "no size reported", says)))
        elif part is None and hosted.guest.power is Power.UNKNOWN and hosted.told.system not in NOT_WINDOWS:
            says = f"{hosted.host} does not say whether it is running, so it was not asked."
            found.append((hosted, Unknown(name, "state not known", says)))
        elif part is None and _should_answer(hosted):
            found.append((hosted, _nameless(hosted, name)))
    return found


def _nameless(hosted: HostedGuest, name: str) -> Unknown:
    unread = hosted.told.unread
    if unread:
        return Unknown(name, "no name known", f"{hosted.host} did not say what it reports of itself: {unread}")
    says = "Its data exchange reports no name, so it cannot be asked."
    return Unknown(name, "no name reported", says, "Check its integration services.")


def _should_answer(hosted: HostedGuest) -> bool:
    return hosted.guest.power.runs and hosted.told.system not in NOT_WINDOWS and not is_askable(hosted)


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
    guests = tuple(guests_by_id(told.values()).values())
    builds = {node.name: node.build for node in nodes}
    known_logs = {
        on: HostLog(builds[on], events.value.events) for on, events in logs.items() if not isinstance(events, Unknown)
    }
    by_host = {on: [hosted.guest for hosted in part.guests] for on, part in told.items()}
    askable = [hosted for hosted in guests if is_askable(hosted)]
    (space, unlimited), disks = await asyncio.gather(
        _ask_guests(askable, ask), _ask_disks(askable if with_disks else (), ask)
    )
    # Beside the loop: there can be tens of thousands of roles.
    silent_hosts, unseen = await beside(_not_seen, nodes, hosts, groups)
    return GuestSpaceFacts(
        now=ask.now,
        guests=guests,
        space=space,
        silent_hosts=silent_hosts,
        unseen=unseen,
        named=find_suspects(known_logs, by_host, dict.fromkeys(known_logs, since)),
        unlimited=unlimited,
        disks=disks,
    )


async def _find_nodes(target: Target, ask: QueryClient) -> tuple[tuple[Node, ...] | Unknown, tuple[Group, ...]]:
    """The nodes to ask, and the cluster's roles: they name the guests on a silent node."""
    if not target.cluster:
        return (await look_at_host(target.name, ask),), ()
    nodes, groups = await asyncio.gather(
        ask.query(cluster_nodes(target.cluster)), ask.query(cluster_groups(target.cluster))
    )
    known = () if isinstance(groups, Unknown) else groups.value
    if isinstance(nodes, Unknown):
        return (nodes if target.kind == "cluster" else target_nodes(target, ())), known
    return target_nodes(target, nodes.value), known


async def _ask_guests(
    guests: Sequence[HostedGuest], ask: QueryClient
) -> tuple[dict[str, Volumes | Unknown], tuple[str, ...]]:
    """The volumes of each guest by VM id, and the names of those that did not tell the limits of their shadow storage."""
    volumes, identities, storage = await asyncio.gather(
        ask.query_many({one.guest.vm_id: guest_volumes(one) for one in guests}),
        ask.query_many({one.guest.vm_id: guest_identity(one) for one in guests}),
        ask.query_many({one.guest.vm_id: shadow_storage(one) for one in guests}),
    )
    answered = [one for one in guests if isinstance(volumes[one.guest.vm_id], Known)]
    unproven = [one for one in answered if not _said(identities[one.guest.vm_id])]
    limited = [one for one in answered if _is_limited(volumes[one.guest.vm_id], storage[one.guest.vm_id])]
    firmware, versions = await asyncio.gather(
        ask.query_many({one.guest.vm_id: guest_firmware(one) for one in unproven}),
        ask.query_many({one.guest.vm_id: volumes_with_versions(one) for one in limited}),
    )
    space = {
        key: _proven(
            one,
            _with_limits(value_of(volumes[key]), storage[key], versions.get(key)),
            *_said_by(key, identities, firmware),
        )
        for one in guests
        for key in (one.guest.vm_id,)
    }
    names = tell_apart((one.guest.vm_id, one.guest.name) for one in guests)
    open_ = [
        names[one.guest.vm_id]
        for one in answered
        if isinstance(storage[one.guest.vm_id], Unknown) or isinstance(versions.get(one.guest.vm_id), Unknown)
    ]
    return space, tuple(open_)


def _said_by(key: str, *answers: Mapping[str, Known[str] | Unknown]) -> tuple[str, ...]:
    return tuple(_said(every.get(key)) for every in answers)


def _is_limited(volumes: Known[Volumes] | Unknown, storage: Known[dict[str, ShadowStorage]] | Unknown) -> bool:
    """Whether a limit looks reached, so that it matters whether VSS could make room by itself."""
    if isinstance(volumes, Unknown) or isinstance(storage, Unknown):
        return False
    every = volumes.value.with_shadow_storage(storage.value).judged
    return any(one.shadow is not None and one.shadow.is_reached(one.vss_minimum) for one in every)


def _with_limits(
    volumes: Volumes | Unknown,
    storage: Known[dict[str, ShadowStorage]] | Unknown,
    versions: Known[frozenset[str]] | Unknown | None,
) -> Volumes | Unknown:
    """The volumes with their limits, as far as they are known. Previous Versions fill theirs, and give way: they count as none."""
    if isinstance(volumes, Unknown) or isinstance(storage, Unknown) or isinstance(versions, Unknown):
        return volumes
    give_way = versions.value if versions else frozenset()
    return volumes.with_shadow_storage(
        {device: replace(one, used=0) if device in give_way else one for device, one in storage.value.items()}
    )


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


def _not_seen(
    nodes: Sequence[Node], hosts: Sequence[HostGuests | Unknown], groups: Sequence[Group]
) -> tuple[tuple[Unknown, ...], tuple[str, ...]]:
    """Hosts whose guests are not known, and those that told only half; and the roles on the first."""
    on = _roles_by_owner(groups)
    silent = {node.name: None for node, part in zip(nodes, hosts, strict=True) if isinstance(part, Unknown)}
    return _silent_hosts(nodes, hosts, on), tuple(name for one in silent for name in on.get(one.casefold(), ()))


def _silent_hosts(
    nodes: Sequence[Node], hosts: Sequence[HostGuests | Unknown], on: Mapping[str, Sequence[str]]
) -> tuple[Unknown, ...]:
    found = []
    for node, part in zip(nodes, hosts, strict=True):
        if isinstance(part, Unknown):
            roles = on.get(node.name.casefold(), ())
            whose = f"its {pluralize(len(roles), 'guest')}: {join_names(roles)}" if roles else "its guests"
            found.append(Unknown(node.name, part.kind, f"{part.why} Not known: {whose}.", part.remedy))
        elif part.failed:
            first = part.failed[0]
            says = f"{first.why} What its guests report is not known."
            found.append(Unknown(node.name, first.kind, says, first.remedy))
    return tuple(found)


def _roles_by_owner(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Node, without its case -> the roles of guests that it owns: each role is looked at once, however many nodes are silent."""
    found: dict[str, list[str]] = {}
    for group in groups:
        if group.is_guest:
            found.setdefault(group.owner.casefold(), []).append(group.name)
    return found
