"""One machine of a service with both its ends, and from which of them the next failover leaves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.api.facts import Unknown
from bot.api.host_names import host_label
from bot.api.plan import OpenQuestion
from commands.continuity.facts import HostFacts
from commands.formatting import join_names
from commands.sources.guests import Guest, Power, Replication
from commands.sources.replication import PREPARED, RECOVERED

Direction = Literal["out", "back"]
DIRECTIONS: tuple[Direction, ...] = "out", "back"


@dataclass(frozen=True, slots=True)
class End:
    """A machine on one host: of a pair, one end is the machine that is used, the other one its replica."""

    host: HostFacts
    guest: Guest

    @property
    def on(self) -> str:
        """The name of its host."""
        return self.host.node.name

    @property
    def is_replica(self) -> bool | None:
        """Whether this end is the replica; None where the host does not tell its mode."""
        return None if self.guest.replication is None else self.guest.replication is Replication.REPLICA

    @property
    def primary(self) -> str:
        """The host of the primary, as this end's settings name it; "" where they do not."""
        told = self.host.ends
        return (
            ""
            if isinstance(told, Unknown) or self.guest.vm_id not in told
            else host_label(told[self.guest.vm_id].primary)
        )

    @property
    def is_recovered(self) -> bool:
        """Whether this end is a replica that was failed over to, and works."""
        return self.is_replica is True and self.state == RECOVERED and self.guest.power is Power.RUNNING

    @property
    def state(self) -> int | None:
        """ReplicationState of its relationship; None where it was not told."""
        told = () if isinstance(self.host.relationships, Unknown) else self.host.relationships
        return next((one.state for one in told if one.vm_id == self.guest.vm_id and not one.extended), None)


@dataclass(frozen=True, slots=True)
class Pair:
    """A machine whose two ends are known: one in the place where the service belongs, one in its other place."""

    name: str
    vm_id: str
    home: End
    away: End

    @property
    def is_unreversed(self) -> bool:
        """Whether it is failed over as planned and works on the other side, and only its reversal is missing."""
        return (
            self.away.is_replica is True
            and self.away.guest.power is Power.RUNNING
            and self.away.state == RECOVERED
            and self.home.is_replica is False
            and self.home.guest.power is Power.OFF
            and self.home.state == PREPARED
        )

    def source(self, direction: Direction) -> End:
        """The end that a failover in that direction leaves."""
        return self.home if direction == "out" else self.away

    def target(self, direction: Direction) -> End:
        """The end that a failover in that direction goes to."""
        return self.away if direction == "out" else self.home


@dataclass(frozen=True, slots=True)
class Lost:
    """A machine whose ends are not known.

    Attributes:
        why: what is so instead, or what is missing.
        known: True: it is known that they are not where they have to be. False: somebody did not answer.
        silent: who did not answer.
    """

    name: str
    why: str
    known: bool
    silent: tuple[Unknown, ...] = ()

    @property
    def questions(self) -> tuple[OpenQuestion, ...]:
        """What is missing, by name."""
        return tuple(OpenQuestion(f"guests of {one.target}", one.why, one.remedy) for one in self.silent)


def find_pair(name: str, places: Sequence[str], hosts: Mapping[str, Sequence[HostFacts] | Unknown]) -> Pair | Lost:
    """Find both ends of a machine by its name, one in each place; both bear one id.

    Args:
        name: the machine's.
        places: where the service belongs, and its other place.
        hosts: place, in lower case -> its hosts, or why they are not known.
    """
    ends: list[End] = []
    for place in places:
        told = hosts.get(place.casefold())
        if told is None or isinstance(told, Unknown):
            why = told or Unknown(place, "absent", "it was not asked.")
            return Lost(name, f"{place} does not name its hosts: {why.why.rstrip('.')}", known=False, silent=(why,))
        found = named_ends(name, told)
        silent = tuple(one.guests for one in told if isinstance(one.guests, Unknown) and not one.node.down)
        if silent:
            word = "does" if len(silent) == 1 else "do"
            says = f"{join_names(one.target for one in silent)} {word} not answer"
            beside = f", though {join_names(end.on for end in found)} has it" if found else ""
            return Lost(name, f"{says}{beside}", known=False, silent=silent)
        if len(found) != 1:
            where = join_names(end.on for end in found) if found else f"no host of {place}"
            return Lost(name, f"it is on {where}", known=True)
        ends += found
    home, away = ends
    if home.guest.vm_id != away.guest.vm_id:
        return Lost(name, f"{home.on} and {away.on} have different machines of that name", known=True)
    return Pair(home.guest.name, home.guest.vm_id, home, away)


def apart(machines: Sequence[Pair | Lost]) -> tuple[Pair | Lost, ...]:
    """The same machines, without those that a host lists by several of their names: one machine is not failed over twice."""
    names: dict[str, list[str]] = {}
    for one in machines:
        if isinstance(one, Pair):
            names.setdefault(one.vm_id, []).append(one.name)
    return tuple(
        Lost(one.name, f"{join_names(names[one.vm_id])} are one machine there", known=True)
        if isinstance(one, Pair) and len(names[one.vm_id]) > 1
        else one
        for one in machines
    )


def named_ends(name: str, hosts: Iterable[HostFacts]) -> list[End]:
    """Find every end of that name; what is only there for a test failover is none."""
    return [
        End(host, guest)
        for host in hosts
        for guest in host.guests_named(name)
        if guest.replication is not Replication.TEST_REPLICA
    ]
