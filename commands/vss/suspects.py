"""Victims and suspects: guests that are locked or held by a backup, and guests that the logs name.

A locked guest suffers from a stuck writer and did nothing; a guest whose own snapshot failed may have caused it.
That no event names a guest clears nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.api.facts import Unknown
from commands.formatting import tell_apart
from commands.sources.cluster import Cluster, Group, Resource
from commands.sources.event_log import Event, Meaning, meaning_of, named_guest
from commands.sources.guests import Guest


@dataclass(frozen=True, slots=True)
class Suspect:
    """A guest that VMMS events name.

    Attributes:
        vm_id: "" where the event's id is no GUID and no host knows the name, or several guests bear it.
        name: as it is shown: with the beginning of its id where another guest has the same name.
        newest: the newest event.
        logged_on: the nodes whose logs name it: guests move.
        runs_on: where it is now; "" where no node that answered has it.
        event_id: of the newest event.
        meanings: what the events say, the newest first.
        namesakes: how many guests may be meant, where only a name is known that several bear.
    """

    name: str
    vm_id: str
    newest: datetime
    times: int
    logged_on: tuple[str, ...]
    runs_on: str
    event_id: int = 0
    meanings: tuple[Meaning, ...] = ()
    namesakes: int = 0


@dataclass(frozen=True, slots=True)
class HostLog:
    """What VMMS of one host logged; its Windows says what the numbers mean."""

    build: int | None
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class LockedRole:
    """A locked role or resource.

    Attributes:
        name: its guest's where that is known, as it is shown; else the role's, which is free text.
        vm_id: "" where it is not known: then nothing says which guest it is.
        guest: the guest's plain name; "" where it is not known.
    """

    name: str
    vm_id: str = ""
    guest: str = ""


@dataclass(frozen=True, slots=True)
class Locks:
    """What is locked on one node.

    Attributes:
        locked: None where the cluster did not say.
        unread: names of roles and resources of which it did not say whether they are, or whose node it did not say.
    """

    locked: tuple[LockedRole, ...] | None
    unread: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...] | None:
        """Their names, as they are shown."""
        return None if self.locked is None else tuple(one.name for one in self.locked)

    @property
    def none(self) -> bool:
        """Whether it is certain that nothing is locked."""
        return self.locked == () and not self.unread

    @property
    def are_known(self) -> bool:
        """Whether the cluster said of everything there whether it is locked."""
        return self.locked is not None and not self.unread


def locks_on(
    node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster | None, shown: Mapping[str, str] | None = None
) -> Locks:
    """The locked roles and resources of a node, by the name of their guest where it is known.

    A resource may be locked while its role is not, and a role's name is free text: the VM id ties them together.

    Args:
        node: its name.
        guests: the node's.
        cluster: None for a host that stands alone.
        shown: VM id -> the name that tells a guest apart, where more guests than the node's are known.
    """
    return ClusterLocks(cluster).on(node, guests, shown)


class ClusterLocks:
    """The locked roles and resources of a cluster by their node: all are gone through once, however many nodes there are."""

    def __init__(self, cluster: Cluster | None) -> None:
        """None for a host that stands alone."""
        self._is_alone = cluster is None
        every: tuple[Group | Resource, ...] | None = ()
        self._own_vm: dict[str, str] = {}
        if cluster is not None:
            if isinstance(cluster.groups, Unknown) or isinstance(cluster.resources, Unknown):
                every = None
            else:
                every = (*cluster.groups, *cluster.resources)
                self._own_vm = {one.group.casefold(): one.vm_id for one in cluster.resources if one.vm_id}
        self._are_known = every is not None
        self._locked: dict[str, dict[str, str]] = {}  # node -> role without its case -> as it was written last
        self._unread: dict[str, set[str]] = {}
        for one in every or ():
            owner = one.owner.casefold()
            if one.locked:
                name = one.name if isinstance(one, Group) else one.group or one.name
                self._locked.setdefault(owner, {})[name.casefold()] = name
            if _may_be_locked(one):
                self._unread.setdefault(owner, set()).add(one.shown)
        self._of_nobody = self._unread.get("", set())

    def on(self, node: str, guests: Sequence[Guest] | Unknown, shown: Mapping[str, str] | None = None) -> Locks:
        """Those of a node, as of `locks_on`."""
        if self._is_alone:
            return Locks(())
        if not self._are_known:
            return Locks(None)
        own = {} if isinstance(guests, Unknown) else {guest.vm_id: guest.name for guest in guests}
        names = tell_apart(own.items())
        told = shown or {}
        found = [
            LockedRole(told.get(vm_id, names.get(vm_id, group)), vm_id, own.get(vm_id, ""))
            for key, group in self._locked.get(node.casefold(), {}).items()
            for vm_id in (self._own_vm.get(key, ""),)
        ]
        unread = self._unread.get(node.casefold(), set()) | self._of_nobody
        return Locks(tuple(sorted(found, key=lambda one: one.name.casefold())), tuple(sorted(unread, key=str.casefold)))


def _may_be_locked(one: Group | Resource) -> bool:
    """Whether nobody knows if it is locked, or on which node it is locked."""
    return one.locked is None or (one.locked and not one.owner)


def find_suspects(
    logs: Mapping[str, HostLog],
    guests: Mapping[str, Sequence[Guest]],
    since: Mapping[str, datetime],
) -> tuple[Suspect, ...]:
    """The guests that events name, newest first.

    Args:
        logs: node -> its VMMS events; those whose meaning is not known there name nobody.
        guests: node -> its guests, to find each by VM id; by name only where the event has no id.
        since: node -> when its job can have begun at the earliest; older events are of other jobs.
    """
    every = [(guest, node) for node, own in guests.items() for guest in own]
    by_id = {guest.vm_id: (guest, node) for guest, node in every}
    by_name: dict[str, list[Guest]] = {}
    on_node: dict[tuple[str, str], list[Guest]] = {}
    for guest, node in every:
        by_name.setdefault(guest.name.casefold(), []).append(guest)
        on_node.setdefault((guest.name.casefold(), node), []).append(guest)
    shown = tell_apart((guest.vm_id, guest.name) for guest, _ in every)
    found: dict[str, list[tuple[str, Event, Meaning]]] = {}
    for node, event, meaning in _since(logs, since):
        vm_id, name = named_guest(event)
        if not vm_id:
            # The only guest of a name, or the one on the node that logged it: names need not be unique.
            same = by_name.get(name.casefold(), [])
            here = on_node.get((name.casefold(), node), []) if len(same) > 1 else same
            vm_id = here[0].vm_id if len(here) == 1 else ""
        found.setdefault(vm_id or name.casefold(), []).append((node, event, meaning))
    suspects = []
    for key, named in found.items():
        named.sort(key=lambda one: one[1].at, reverse=True)
        newest = named[0][1]
        known, runs_on = by_id.get(key, (None, ""))
        vm_id, name = named_guest(newest)
        suspects.append(
            Suspect(
                name=shown[key] if known else name or vm_id,
                vm_id=known.vm_id if known else vm_id,
                newest=newest.at,
                times=len(named),
                logged_on=tuple(sorted({node for node, _, _ in named})),
                runs_on=runs_on,
                event_id=newest.event_id,
                meanings=tuple(dict.fromkeys(meaning for _, _, meaning in named)),
                namesakes=0 if vm_id or known else len(by_name.get(key, [])),
            )
        )
    return tuple(sorted(suspects, key=lambda suspect: suspect.newest, reverse=True))


def _since(logs: Mapping[str, HostLog], since: Mapping[str, datetime]) -> Iterator[tuple[str, Event, Meaning]]:
    for node, log in logs.items():
        for event in log.events:
            meaning = meaning_of(event, log.build)
            if meaning is not None and event.at >= since[node] and any(named_guest(event)):
                yield node, event, meaning


def suspects_by_node(suspects: Iterable[Suspect]) -> dict[str, tuple[Suspect, ...]]:
    """Node -> those that its log names, and those that run there now."""
    found: dict[str, list[Suspect]] = {}
    for one in suspects:
        for node in dict.fromkeys((*one.logged_on, one.runs_on)):
            found.setdefault(node, []).append(one)
    return {node: tuple(own) for node, own in found.items()}


def which_are_suspects(
    locked: Iterable[LockedRole], suspects: Iterable[Suspect]
) -> list[tuple[LockedRole, bool | None]]:
    """Each locked guest, and whether it is one that events name, by VM id.

    None where an event has a name only that it bears too.
    """
    every = tuple(suspects)
    ids = {one.vm_id for one in every} - {""}
    names = {one.name.casefold() for one in every if not one.vm_id} - {""}
    return [(one, True if one.vm_id in ids else None if one.guest.casefold() in names else False) for one in locked]
