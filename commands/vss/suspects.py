"""Victims and suspects: guests that are locked or held by a backup, and guests that the logs name.

A locked guest suffers from a stuck writer and did nothing; a guest whose own snapshot failed may have caused it.
That no event names a guest clears nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.api.facts import Unknown
from commands.sources.cluster import Cluster
from commands.sources.event_log import Event, named_guest
from commands.sources.guests import Guest


@dataclass(frozen=True, slots=True)
class Suspect:
    """A guest that VMMS events name.

    Attributes:
        vm_id: "" where the event's id is no GUID and no host knows the name.
        newest: the newest event.
        logged_on: the nodes whose logs name it: guests move.
        runs_on: where it is now; "" where no node that answered has it.
    """

    name: str
    vm_id: str
    newest: datetime
    times: int
    logged_on: tuple[str, ...]
    runs_on: str


@dataclass(frozen=True, slots=True)
class Locks:
    """What is locked on one node; None where the cluster did not say."""

    roles: tuple[str, ...] | None

    @property
    def none(self) -> bool:
        """Whether it is certain that nothing is locked."""
        return self.roles == ()


def locks_on(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster | None) -> Locks:
    """The locked roles and resources of a node, by the name of their guest where it is known.

    A resource may be locked while its role is not, and a role's name is free text: the VM id ties them together.
    """
    if cluster is None:
        return Locks(())
    if isinstance(cluster.groups, Unknown) or isinstance(cluster.resources, Unknown):
        return Locks(None)
    names = {} if isinstance(guests, Unknown) else {guest.vm_id: guest.name for guest in guests}
    own_vm = {one.group.casefold(): one.vm_id for one in cluster.resources if one.vm_id}
    here = node.casefold()
    locked = [group.name for group in cluster.groups if group.locked and group.owner.casefold() == here]
    locked += [one.group or one.name for one in cluster.resources if one.locked and one.owner.casefold() == here]
    shown = {group.casefold(): names.get(own_vm.get(group.casefold(), ""), group) for group in locked}
    return Locks(tuple(sorted(shown.values(), key=str.casefold)))


def find_suspects(
    logs: Mapping[str, Iterable[Event]],
    guests: Mapping[str, Sequence[Guest]],
    since: Mapping[str, datetime],
) -> tuple[Suspect, ...]:
    """The guests that events name, newest first.

    Args:
        logs: node -> its VMMS events.
        guests: node -> its guests, to find each by VM id, else by name.
        since: node -> when its job can have begun at the earliest; older events are of other jobs.
    """
    every = [(guest, node) for node, own in guests.items() for guest in own]
    by_id = {guest.vm_id: (guest, node) for guest, node in every}
    by_name: dict[str, list[tuple[Guest, str]]] = {}
    for guest, node in every:
        by_name.setdefault(guest.name.casefold(), []).append((guest, node))
    found: dict[str, Suspect] = {}
    for node, event in _since(logs, since):
        vm_id, name = named_guest(event)
        known, runs_on = by_id.get(vm_id) or _the_one(by_name.get(name.casefold(), []), node)
        if known:
            vm_id, name = known.vm_id, known.name
        key = vm_id or name.casefold()
        seen = found.get(key)
        found[key] = Suspect(
            name=name or vm_id,
            vm_id=vm_id,
            newest=max(event.at, seen.newest) if seen else event.at,
            times=seen.times + 1 if seen else 1,
            logged_on=tuple(sorted({node, *(seen.logged_on if seen else ())})),
            runs_on=runs_on,
        )
    return tuple(sorted(found.values(), key=lambda suspect: suspect.newest, reverse=True))


def _the_one(namesakes: Sequence[tuple[Guest, str]], node: str) -> tuple[Guest | None, str]:
    """The only guest of a name, or the one on the node that logged it: names need not be unique."""
    here = [pair for pair in namesakes if pair[1] == node] if len(namesakes) > 1 else namesakes
    return here[0] if len(here) == 1 else (None, "")


def _since(logs: Mapping[str, Iterable[Event]], since: Mapping[str, datetime]) -> Iterator[tuple[str, Event]]:
    for node, own in logs.items():
        yield from ((node, event) for event in own if event.at >= since[node] and any(named_guest(event)))


def suspects_of(node: str, suspects: Iterable[Suspect]) -> tuple[Suspect, ...]:
    """Those that a node's log names, and those that run there now."""
    return tuple(one for one in suspects if node in one.logged_on or one.runs_on == node)
