"""What VMM believes against what the hosts say, matched by virtual-machine id and never by name. Pure.

A host that did not answer makes nothing missing: what could be there is unknown. Two records of one machine, and one
machine on two hosts, are told apart by nobody here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from commands.sources.guests import Guest
from commands.sources.host_names import host_label, hosts_named
from commands.sources.vmm import BUSY, MISSING, STATES, Machine


class RecordStatus(StrEnum):
    """What comes of the comparison of one record."""

    LOST = "missing, on another host"
    WRONG_HOST = "on another host"
    STALE = "missing, on the same host"
    GONE = "on no host"
    DUPLICATE = "recorded twice"
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
) -> tuple[Compared, ...]:
    """Judge every record.

    Args:
        machines: what VMM has.
        hosts: VMM's host id -> name, with its domain where VMM has one.
        seen: the hosts that answered, by name as they call themselves -> their virtual machines.
        silent: the names of hosts, or whole clusters, that did not say what they have.
    """
    places = _places(seen)
    records = Counter(machine.vm_id for machine in machines if machine.vm_id)
    quiet = tuple(silent)
    known = _Names(tuple(hosts.values()), tuple(seen), quiet)
    return tuple(
        _judge(machine, hosts.get(machine.host_id, ""), places, known, records[machine.vm_id]) for machine in machines
    )


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
    if not why and machine.state not in STATES:
        why = f"VMM has it in state {machine.state}, which nobody has explained."
    if records > 1 or (machine.state in BUSY and not why):
        return Compared(machine, believed, real, RecordStatus.DUPLICATE if records > 1 else RecordStatus.BUSY)
    if why:
        return Compared(machine, believed, None, RecordStatus.UNKNOWN, why)
    if real is None:
        return _unseen(machine, name, known)
    is_there = known.is_same(real.host, name)
    if is_there is None:
        why = f"{real.host}, where it is, may be another host than VMM's {believed}: more than one bears such a name."
        return Compared(machine, believed, real, RecordStatus.UNKNOWN, why)
    if is_there:
        return Compared(
            machine, believed, real, RecordStatus.STALE if machine.state == MISSING else RecordStatus.AGREES
        )
    return Compared(machine, believed, real, RecordStatus.LOST if machine.state == MISSING else RecordStatus.WRONG_HOST)


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
