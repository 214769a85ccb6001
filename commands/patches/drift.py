"""Which node lacks which update, and which known traps that means.

An update that most nodes list differs on those that do not list it; one that few list differs on those few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.api.facts import Unknown
from commands.sources.rules import KnownIssue, traps
from commands.sources.updates import NodeUpdates


@dataclass(frozen=True, slots=True)
class Drift:
    """One update on which nodes do not agree.

    Attributes:
        lacking: nodes that do not list it; `having`: nodes that do. Silent nodes are in neither.
    """

    kb: str
    lacking: tuple[str, ...]
    having: tuple[str, ...]

    @property
    def odd_ones(self) -> tuple[str, ...]:
        """The nodes that differ from most: those without it where at least half have it, else those with it."""
        return self.lacking if len(self.having) >= len(self.lacking) else self.having


@dataclass(frozen=True, slots=True)
class TriggeredIssue:
    """A known trap, and the nodes on which its conditions hold."""

    trap: KnownIssue
    nodes: tuple[str, ...]
    guests: tuple[str, ...] = ()


def drifts(nodes: Mapping[str, NodeUpdates], only: Sequence[str] = ()) -> tuple[Drift, ...]:
    """Updates that some nodes list and others do not, by number; only those asked for, if any were.

    One that was asked for and that no node lists is in the answer too: lacking everywhere.
    """
    listed = {kb for node in nodes.values() for kb in node.listed}
    wanted = sorted(only or listed, key=_number)
    found = [
        Drift(
            kb,
            tuple(name for name, node in nodes.items() if not _has(node, kb)),
            tuple(name for name, node in nodes.items() if _has(node, kb)),
        )
        for kb in dict.fromkeys(wanted)
    ]
    return tuple(drift for drift in found if drift.lacking and (drift.having or only))


def outside_cumulative(nodes: Mapping[str, NodeUpdates], found: Iterable[Drift]) -> tuple[Drift, ...]:
    """Of updates that only some nodes of one revision list, those that the revision is unlikely to cover.

    The cumulative update that all of them list replaces older ones, so one with a higher number than all that they list
    alike is another kind: .NET, servicing stack, a driver [seen: KB4601887 beside KB4601345]. By number alone, so it is
    for people, and decides nothing.
    """
    alike = [_number(kb)[0] for kb in frozenset.intersection(*(frozenset(node.listed) for node in nodes.values()))]
    newest = max(alike, default=0)
    return tuple(one for one in found if newest and one.having and _number(one.kb)[0] > newest)


def _has(node: NodeUpdates, kb: str) -> bool:
    return kb in node.listed


def _number(kb: str) -> tuple[int, str]:
    digits = "".join(letter for letter in kb.partition("-")[0] if letter.isascii() and letter.isdigit())
    return (int(digits or 0), kb)


def triggered_issues(
    nodes: Mapping[str, NodeUpdates], scsi_guests: Mapping[str, Sequence[str] | Unknown]
) -> tuple[TriggeredIssue, ...]:
    """The known traps whose conditions hold somewhere.

    Args:
        nodes: those that answered.
        scsi_guests: node -> names of its guests with disks on SCSI controllers, for traps that need them.
    """
    found = []
    for trap in traps():
        names = [name for name, node in nodes.items() if could_trigger(trap, node)]
        guests: dict[str, Sequence[str]] = {}
        if trap.needs:
            guests = {name: own for name in names if not isinstance(own := scsi_guests.get(name, ()), Unknown)}
            names = [name for name in names if guests.get(name)]
        if names:
            who = tuple(dict.fromkeys(guest for name in names for guest in guests.get(name, ())))
            found.append(TriggeredIssue(trap, tuple(names), who))
    return tuple(found)


def could_trigger(trap: KnownIssue, node: NodeUpdates) -> bool:
    """Whether a trap's conditions about build and updates hold on a node."""
    if node.build.number not in trap.builds or trap.missing in node.listed:
        return False
    wanted = not trap.listed or trap.listed in node.listed
    return wanted and not any(kb in node.listed for kb in trap.unless)


def needing_disks(nodes: Mapping[str, NodeUpdates]) -> Iterable[str]:
    """The nodes whose guests' disks must be known to judge a trap."""
    return [name for name, node in nodes.items() if any(trap.needs and could_trigger(trap, node) for trap in traps())]
