"""What VMM believes against what the hosts say, matched by virtual-machine id and never by name. Pure.

A host that did not answer makes nothing missing: what could be there is unknown. Two records of one machine, and one
machine on two hosts, are told apart by nobody here. Hyper-V Replica's copy bears the id of its primary and is no second
machine: it counts for a record of its own host alone. A machine of a record's name with another id is another machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from commands.sources.guests import Guest, Power, Replication
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
class Namesake:
    """A machine of a record's name that has another id: to VMM and to Hyper-V it is another machine."""

    place: Place
    is_recorded: bool  # whether VMM has a record of its own for it


@dataclass(frozen=True, slots=True)
class Compared:
    """A record and its verdict.

    Attributes:
        believed: the host VMM names, "" for one it does not list.
        real: where the machine is; None where it was not seen.
        why: more about what is not known.
        replicas: where else machines of its id are: the replicas of this one, or what this replica is a copy of.
        namesakes: of a record whose machine was not seen, the machines of its name.
    """

    machine: Machine
    believed: str
    real: Place | None
    verdict: RecordStatus
    why: str = ""
    replicas: tuple[Place, ...] = ()
    namesakes: tuple[Namesake, ...] = ()


@dataclass(frozen=True, slots=True)
class _Share:
    """Where the machine of one record can be, how many records can mean it, and the other machines of its id."""

    places: tuple[Place, ...]
    records: int
    replicas: tuple[Place, ...] = ()
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
    known = _Names(tuple(hosts.values()), tuple(seen), tuple(silent))
    records: dict[str, list[Machine]] = {}
    for machine in machines:
        records.setdefault(machine.vm_id, []).append(machine)
    named = _by_name(places)
    shares: dict[str, _Share] = {}
    for vm_id, same in records.items():
        shares |= _shares(same, places.get(vm_id, ()), hosts, known) if vm_id else {}
    compared = []
    for machine in machines:
        name, share = hosts.get(machine.host_id, ""), shares.get(machine.object_id, _Share((), 0))
        is_judged = machine.state in states or not machine.vm_id or share.records > 1
        found = _judge(machine, name, share, known) if is_judged else _unexplained(machine, name)
        compared.append(replace(found, replicas=share.replicas, namesakes=_namesakes(found, named, records)))
    return tuple(compared)


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


def unrecorded(machines: Sequence[Machine], seen: Mapping[str, Sequence[Guest]]) -> tuple[Place, ...]:
    """The virtual machines on the hosts that VMM has no record of, by name."""
    known = {machine.vm_id for machine in machines}
    found = [Place(host, guest) for host, guests in seen.items() for guest in guests if guest.vm_id not in known]
    return tuple(sorted(found, key=lambda place: (place.guest.name.casefold(), place.host)))


def _places(seen: Mapping[str, Sequence[Guest]]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for host, guests in seen.items():
        for guest in guests:
            found.setdefault(guest.vm_id, []).append(Place(host, guest))
    return found


def _shares(
    records: Sequence[Machine], places: Sequence[Place], hosts: Mapping[str, str], known: _Names
) -> dict[str, _Share]:
    """VMM's id of each of the records of one virtual-machine id -> where its machine can be.

    A replica belongs to the record of its own host, since both ends of a replication have one id; the other records
    share what is no replica.
    """
    copies = tuple(place for place in places if place.guest.is_copy)
    others = tuple(place for place in places if not place.guest.is_copy)
    owned: dict[str, list[Place]] = {}
    doubtful: set[str] = set()
    for record in records:
        same = {copy: known.is_same(copy.host, hosts.get(record.host_id, "")) for copy in copies}
        owned[record.object_id] = [copy for copy, is_same in same.items() if is_same]
        doubtful |= {record.object_id for is_same in same.values() if is_same is None}
    rest = sum(not found for found in owned.values())
    replicated = copies or any(place.guest.replication is Replication.PRIMARY for place in others)
    why = ""
    if rest > 1 and replicated and known.silent:
        why = "One of its records can be that of a replica on a host that did not answer."
    shares = {}
    for key, found in owned.items():
        if found:
            takers = sum(other == found for other in owned.values())
            shares[key] = _Share(tuple(found), takers, tuple(place for place in places if place not in found))
        elif key in doubtful:
            shares[key] = _Share(others, 1, copies, "More than one host bears the name of one with its replica.")
        else:
            shares[key] = _Share(others, 1 if why else rest, copies, why)
    return shares


def _by_name(places: Mapping[str, Sequence[Place]]) -> dict[str, list[Place]]:
    """Name, without its case -> the machines of that name: hosts tell thousands, and none is compared with each record."""
    found: dict[str, list[Place]] = {}
    for place in (one for same in places.values() for one in same):
        found.setdefault(place.guest.name.casefold(), []).append(place)
    return found


def _namesakes(one: Compared, named: Mapping[str, Sequence[Place]], records: Collection[str]) -> tuple[Namesake, ...]:
    """Machines of the record's name, where its own was not seen."""
    if one.real is not None or one.verdict is RecordStatus.DUPLICATE:
        return ()
    return tuple(
        Namesake(place, place.guest.vm_id in records)
        for place in named.get(one.machine.name.casefold(), ())
        if place.guest.vm_id != one.machine.vm_id
    )


def _judge(machine: Machine, name: str, share: _Share, known: _Names) -> Compared:
    believed = host_label(name)
    real, why = _where(share.places)
    why = why or share.why
    if not machine.vm_id:
        why = "VMM has no virtual-machine id for it."
    records = share.records
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
    if machine.state is None:
        why = "Its record has no state that can be read."
    elif machine.state in STATES:
        why = f"VMM has it in state {machine.state}, whose meaning is not known for its version."
    return Compared(machine, host_label(name), None, RecordStatus.UNKNOWN, why)


def _same_host(machine: Machine, believed: str, real: Place) -> Compared:
    """It agrees only where VMM's state says what the host says."""
    if machine.state == MISSING:
        return Compared(machine, believed, real, RecordStatus.STALE)
    power = real.guest.power
    if machine.state is not None and power in SAYS.get(machine.state, ()):
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
    """The one place. Of two hosts that list a machine nobody knows which has it, whatever state each of them tells."""
    for place in places:
        if place.guest.replication is None:
            return None, f"{place.host} has it in a mode of replication that is not known."
    if len(places) < 2:  # noqa: PLR2004 - one, or none
        return (places[0] if places else None), ""
    claims = " and ".join(f"{place.host} ({place.guest.power})" for place in places)
    return None, f"It is listed on {claims} at once: a move may be under way. Check again in a few minutes."


def _unseen(machine: Machine, name: str, known: _Names) -> Compared:
    believed = host_label(name)
    if machine.state != MISSING and not hosts_named(name, known.answered):
        return Compared(machine, believed, None, RecordStatus.NOT_COMPARED)
    if known.silent:
        why = "No host that answered has it, and not all of them answered."
        return Compared(machine, believed, None, RecordStatus.UNKNOWN, why)
    return Compared(machine, believed, None, RecordStatus.GONE)
