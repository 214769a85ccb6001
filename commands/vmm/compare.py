"""What VMM believes against what the hosts say, matched by virtual-machine id and never by name. Pure.

A host that did not answer makes nothing missing: what could be there is unknown. Two records of one machine, and one
machine on two hosts, are told apart by nobody here. Hyper-V Replica's copy bears the id of its primary and is no second
machine: it counts for a record of its own host alone. A machine of a record's name with another id is another machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from enum import StrEnum
from itertools import islice

from bot.api.host_names import NETBIOS, host_label
from commands.sources.guests import Guest, Power, Replication
from commands.sources.host_names import HostIndex, hosts_named
from commands.sources.vmm import BUSY, MISSING, NOT_HEARD, OF_2008_R2, OLDEST, SAYS, STATES, Layout, Machine

# Of one id on one host, in one mode of replication: Hyper-V has one, and of more nobody knows which is meant. Two say so.
_TOLD_TWICE = 2
NAMED = 6  # machines of one name that are told, beside how many there are


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
class Namesakes:
    """The machines of a record's name that have another id. A host can tell thousands, for thousands of records of that name.

    Attributes:
        count: how many there are.
        first: so many of them as are told.
        new_on: the hosts that have some of which VMM has no record.
    """

    count: int = 0
    first: tuple[Namesake, ...] = ()
    new_on: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.count > 0


_NO_NAMESAKES = Namesakes()


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
    namesakes: Namesakes = _NO_NAMESAKES


@dataclass(frozen=True, slots=True)
class _Share:
    """Where the machine of one record can be, how many records can mean it, and the other machines of its id."""

    places: InitVar[Sequence[Place]]
    records: int
    replicas: tuple[Place, ...] = ()
    why: str = ""
    real: Place | None = field(init=False)
    doubt: str = field(init=False)

    def __post_init__(self, places: Sequence[Place]) -> None:
        """Conclude once where it is, for all records."""
        real, doubt = _where(places)
        object.__setattr__(self, "real", real)
        object.__setattr__(self, "doubt", doubt)


class _Names:
    """All names of hosts: as VMM has them, of those that answered, and of those (or clusters) that did not."""

    def __init__(self, recorded: Iterable[str], answered: Sequence[str], silent: Sequence[str]) -> None:
        self._times = Counter(recorded)
        self._recorded = HostIndex(self._times)
        self._answered = HostIndex(answered)
        self._nodes = HostIndex((*answered, *silent))
        self.is_any_silent = bool(silent)

    def is_same(self, node: str, recorded: str) -> bool | None:
        """Whether a node is the host that VMM means; None where either name could be another's too."""
        if self._times[recorded] > 1 and host_label(recorded) == host_label(node):
            return None
        if not self._recorded.names(node, recorded) and not self._nodes.names(recorded, node):
            return False
        return True if self._recorded.only(node) == recorded and self._nodes.only(recorded) == node else None

    def has_answered(self, recorded: str) -> bool:
        """Whether any host that answered can be the one that VMM means."""
        return self._answered.count(recorded) > 0


class _OfOneName:
    """The machines of one name, gone through once for all records of that name."""

    def __init__(self, places: Sequence[Place], records: Collection[str]) -> None:
        self._all = tuple(Namesake(place, place.guest.vm_id in records) for place in places)
        self._of_id = Counter(place.guest.vm_id for place in places)
        self._new_on = tuple(dict.fromkeys(one.place.host for one in self._all if not one.is_recorded))

    def but(self, vm_id: str) -> Namesakes:
        """All but those of an id."""
        others = (one for one in self._all if one.place.guest.vm_id != vm_id)
        return Namesakes(len(self._all) - self._of_id[vm_id], tuple(islice(others, NAMED)), self._new_on)


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
    known = _Names(hosts.values(), tuple(seen), tuple(silent))
    records: dict[str, list[Machine]] = {}
    for machine in machines:
        records.setdefault(machine.vm_id, []).append(machine)
    named = {name: _OfOneName(same, records) for name, same in _by_name(places).items()}
    shares: dict[str, _Share] = {}
    for vm_id, same in records.items():
        shares |= _shares(same, places.get(vm_id, ()), hosts, known) if vm_id else {}
    compared = []
    for machine in machines:
        name, share = hosts.get(machine.host_id, ""), shares.get(machine.object_id, _NOWHERE)
        is_judged = machine.state in states or not machine.vm_id or share.records > 1
        found = _judge(machine, name, share, known) if is_judged else _unexplained(machine, name)
        compared.append(replace(found, replicas=share.replicas, namesakes=_namesakes(found, named)))
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
    """Virtual-machine id -> where it is. A host that lists one more often than twice says no more by that."""
    found: dict[str, list[Place]] = {}
    times: Counter[tuple[str, str, Replication | None]] = Counter()
    for host, guests in seen.items():
        for guest in guests:
            key = host, guest.vm_id, guest.replication
            times[key] += 1
            if times[key] <= _TOLD_TWICE:
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
    on: dict[str, tuple[tuple[str, ...], bool]] = {}
    alike = _by_beginning(place.host for place in copies)
    for name in dict.fromkeys(hosts.get(record.host_id, "") for record in records):
        same = {host: known.is_same(host, name) for host in alike.get(host_label(name)[:NETBIOS], ())}
        on[name] = tuple(host for host, is_same in same.items() if is_same), None in same.values()
    takers = Counter(on[hosts.get(record.host_id, "")][0] for record in records)
    owned = {key: _share_of(key, copies, places, takers[key]) for key in takers if key}
    rest = takers[()]
    replicated = copies or any(place.guest.replication is Replication.PRIMARY for place in others)
    why = ""
    if rest > 1 and replicated and known.is_any_silent:
        why = "One of its records can be that of a replica on a host that did not answer."
    doubted = _Share(others, 1, copies, "More than one host bears the name of one with its replica.")
    shared = _Share(others, 1 if why else rest, copies, why)
    shares = {}
    for record in records:
        key, is_doubtful = on[hosts.get(record.host_id, "")]
        shares[record.object_id] = owned[key] if key else doubted if is_doubtful else shared
    return shares


def _share_of(hosts: Collection[str], copies: Sequence[Place], places: Sequence[Place], records: int) -> _Share:
    """That of the records whose hosts have a replica."""
    own = tuple(place for place in copies if place.host in hosts)
    return _Share(own, records, tuple(place for place in places if place not in own))


def _by_beginning(names: Iterable[str]) -> dict[str, dict[str, None]]:
    """Beginning of a label -> the names of hosts that begin so: no two others can be one host, however they are cut."""
    found: dict[str, dict[str, None]] = {}
    for name in names:
        found.setdefault(host_label(name)[:NETBIOS], {})[name] = None
    return found


def _by_name(places: Mapping[str, Sequence[Place]]) -> dict[str, list[Place]]:
    """Name, without its case -> the machines of that name: hosts tell thousands, and none is compared with each record."""
    found: dict[str, list[Place]] = {}
    for place in (one for same in places.values() for one in same):
        found.setdefault(place.guest.name.casefold(), []).append(place)
    return found


def _namesakes(one: Compared, named: Mapping[str, _OfOneName]) -> Namesakes:
    """Machines of the record's name, where its own was not seen."""
    same = named.get(one.machine.name.casefold())
    if one.real is not None or one.verdict is RecordStatus.DUPLICATE or same is None:
        return _NO_NAMESAKES
    return same.but(one.machine.vm_id)


def _judge(machine: Machine, name: str, share: _Share, known: _Names) -> Compared:
    believed = host_label(name)
    real, why = share.real, share.doubt
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
    if machine.state != MISSING and not known.has_answered(name):
        return Compared(machine, believed, None, RecordStatus.NOT_COMPARED)
    if known.is_any_silent:
        why = "No host that answered has it, and not all of them answered."
        return Compared(machine, believed, None, RecordStatus.UNKNOWN, why)
    return Compared(machine, believed, None, RecordStatus.GONE)


_NOWHERE = _Share((), 0)
