"""What VMM believes against what the hosts say, matched by virtual-machine id and never by name. Pure.

A host that did not answer makes nothing missing: what could be there is unknown. Two records of one machine, and one
machine on two hosts, are told apart by nobody here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from commands.sources.guests import Guest, Power
from commands.sources.host_names import host_label, hosts_named
from commands.sources.vmm import BUSY, MISSING, NOT_HEARD, OF_2008_R2, OLDEST, SAYS, STATES, Layout, Machine


class RecordStatus(StrEnum):
    """What comes of the comparison of one record."""

    LOST = "missing, on another host"
    WRONG_HOST = "on another host"
    STALE = "missing, on the same host"
    GONE = "on no host"
    DUPLICATE = "recorded twice"
    NOT_HEARD = "host not heard"
    OTHER_STATE = "in another state"
    BUSY = "under a job of VMM's"
    UNKNOWN = "not known"
    NOT_COMPARED = "not compared"
    AGREES = "as VMM believes"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a virtual machine really is."""

    host: str
    guest: Guest


@dataclass(frozen=True, slots=True)
class Compared:
    """A record and its verdict. `real` is None where it was not seen; `why` says more about what is not known."""

    machine: Machine
    believed: str  # the host VMM names, "" for one it does not list
    real: Place | None
    verdict: RecordStatus
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Names:
    """All names of hosts: as VMM has them, of those that answered, and of those (or clusters) that did not."""

    recorded: tuple[str, ...]
    answered: tuple[str, ...]
    silent: tuple[str, ...]

    def is_same(self, node: str, recorded: str) -> bool | None:
        """Whether a node is the host that VMM means; None where either name could be another's too."""
        if self.recorded.count(recorded) > 1 and host_label(recorded) == host_label(node):
            return None
        meant = hosts_named(node, self.recorded)
        nodes = hosts_named(recorded, (*self.answered, *self.silent))
        if recorded not in meant and node not in nodes:
            return False
        return True if meant == (recorded,) and nodes == (node,) else None


def compare(
    machines: Sequence[Machine],
    hosts: Mapping[str, str],
    seen: Mapping[str, Sequence[Guest]],
    silent: Iterable[str],
    states: Collection[int] = STATES,
) -> tuple[Compared, ...]:
    """Judge every record.

    Args:
        machines: what VMM has.
        hosts: VMM's host id -> name, with its domain where VMM has one.
        seen: the hosts that answered, by name as they call themselves -> their virtual machines.
        silent: the names of hosts, or whole clusters, that did not say what they have.
        states: those whose meaning is known for this VMM.
    """
    places = _places(seen)
    records = Counter(machine.vm_id for machine in machines if machine.vm_id)
    quiet = tuple(silent)
    known = _Names(tuple(hosts.values()), tuple(seen), quiet)
    return tuple(
        _judge(machine, hosts.get(machine.host_id, ""), places, known, records[machine.vm_id])
        if machine.state in states or not machine.vm_id or records[machine.vm_id] > 1
        else _unexplained(machine, hosts.get(machine.host_id, ""))
        for machine in machines
    )


def known_states(layout: Layout) -> Collection[int]:
    """The states whose meaning is known for a VMM of that schema."""
    return OF_2008_R2 if layout.release == OLDEST else STATES


def host_ids(node: str, hosts: Mapping[str, str]) -> tuple[str, ...]:
    """VMM's ids of the hosts that a node can be, by its whole name; more than one: nobody can tell which."""
    named = hosts_named(node, hosts.values())
    return tuple(key for key, name in hosts.items() if name in named and host_label(name) == host_label(node))


def node_of(host_id: str, hosts: Mapping[str, str], nodes: Iterable[str]) -> str:
    """The one node that VMM's host of that id is; "" where there is none, or more than one could be."""
    found = hosts_named(hosts.get(host_id, ""), nodes)
    return found[0] if len(found) == 1 and host_ids(found[0], hosts) == (host_id,) else ""


def unrecorded(machines: Sequence[Machine], seen: Mapping[str, Sequence[Guest]]) -> tuple[str, ...]:
    """Names of virtual machines on the hosts that VMM has no record of."""
    known = {machine.vm_id for machine in machines}
    return tuple(sorted({guest.name for guests in seen.values() for guest in guests if guest.vm_id not in known}))


def _places(seen: Mapping[str, Sequence[Guest]]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for host, guests in seen.items():
        for guest in guests:
            found.setdefault(guest.vm_id, []).append(Place(host, guest))
    return found


def _judge(
    machine: Machine,
    name: str,
    places: Mapping[str, Sequence[Place]],
    known: _Names,
    records: int,
) -> Compared:
    believed = host_label(name)
    real, why = _where(places.get(machine.vm_id, ()))
    if not machine.vm_id:
        why = "VMM has no virtual-machine id for it."
    if records > 1 or (machine.state in BUSY and not why):
        return Compared(machine, believed, real, RecordStatus.DUPLICATE if records > 1 else RecordStatus.BUSY)
    if why:
        return Compared(machine, believed, None, RecordStatus.UNKNOWN, why)
    if machine.state == NOT_HEARD:
        return _not_heard(machine, name, real, known)
    if real is None:
        return _unseen(machine, name, known)
    return _placed(machine, name, real, known)


def _placed(machine: Machine, name: str, real: Place, known: _Names) -> Compared:
    """A record whose machine was seen."""
    believed = host_label(name)
    is_there = known.is_same(real.host, name)
    if is_there is None:
        why = f"{real.host}, where it is, may be another host than VMM's {believed}: more than one bears such a name."
        return Compared(machine, believed, real, RecordStatus.UNKNOWN, why)
    if is_there:
        return _same_host(machine, believed, real)
    return Compared(machine, believed, real, RecordStatus.LOST if machine.state == MISSING else RecordStatus.WRONG_HOST)


def _unexplained(machine: Machine, name: str) -> Compared:
    why = f"VMM has it in state {machine.state}, which nobody has explained."
    if machine.state in STATES:
        why = f"VMM has it in state {machine.state}, whose meaning is not known for its version."
    return Compared(machine, host_label(name), None, RecordStatus.UNKNOWN, why)


def _same_host(machine: Machine, believed: str, real: Place) -> Compared:
    """It agrees only where VMM's state says what the host says."""
    if machine.state == MISSING:
        return Compared(machine, believed, real, RecordStatus.STALE)
    power = real.guest.power
    if power in SAYS.get(machine.state, ()):
        return Compared(machine, believed, real, RecordStatus.AGREES)
    if power in (Power.CHANGING, Power.CHANGING_CRITICAL, Power.UNKNOWN) and machine.state in SAYS:
        why = f"VMM has it as {machine.state_name} ({machine.state}), and on {real.host} it is {power}."
        return Compared(machine, believed, real, RecordStatus.UNKNOWN, why)
    return Compared(machine, believed, real, RecordStatus.OTHER_STATE)


def _not_heard(machine: Machine, name: str, real: Place | None, known: _Names) -> Compared:
    """VMM says nothing of the machine but that it does not hear from its host, wherever it is."""
    found = Compared(machine, host_label(name), real, RecordStatus.NOT_HEARD) if real else _unseen(machine, name, known)
    return found if found.verdict is RecordStatus.GONE else replace(found, verdict=RecordStatus.NOT_HEARD, why="")


def _where(places: Sequence[Place]) -> tuple[Place | None, str]:
    """The one place; during a move a machine is seen twice, and where it runs is where it is."""
    if len(places) < 2:  # noqa: PLR2004 - one, or none
        return (places[0] if places else None), ""
    running = [place for place in places if place.guest.power.runs]
    if len(running) == 1:
        return running[0], ""
    return None, f"It is seen on {' and '.join(place.host for place in places)} at once."


def _unseen(machine: Machine, name: str, known: _Names) -> Compared:
    believed = host_label(name)
    if machine.state != MISSING and not hosts_named(name, known.answered):
        return Compared(machine, believed, None, RecordStatus.NOT_COMPARED)
    if known.silent:
        why = "No host that answered has it, and not all of them answered."
        return Compared(machine, believed, None, RecordStatus.UNKNOWN, why)
    return Compared(machine, believed, None, RecordStatus.GONE)
