"""At which cumulative level nodes are, and which of them compare.

From 2016 on one update is the whole level: build and revision say it, and older ones may stay listed or not [src: public
trackers of update scanners]. Revisions compare within one Windows and one track only: a hotpatched node has another
revision than an ordinary one of the same month [doc: hotpatch for Windows Server].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from commands.sources.updates import Build, NodeUpdates

_HOTPATCHES = 20348  # 2022: the first with hotpatches; which later ones have none is not known, so they count too [doc]
_UPGRADES = 9600  # 2012 R2: the first that a cluster can be upgraded from node by node [doc: rolling upgrade]


@dataclass(frozen=True, slots=True)
class Release:
    """The nodes of one Windows, of one build number.

    Attributes:
        usual: what most of them run; of two as frequent, the newer one. One that tells its revision, where any does.
        is_comparable: False: their revisions differ, and may be those of two tracks.
    """

    number: int
    nodes: Mapping[str, NodeUpdates]
    usual: Build
    is_comparable: bool = True

    @property
    def is_cumulative(self) -> bool:
        """Whether build and revision say its level, whatever is listed."""
        return self.usual.is_cumulative

    @property
    def unrevised(self) -> tuple[str, ...]:
        """The nodes that tell no revision where others do: theirs is not known, which is no difference."""
        if self.usual.revision is None:
            return ()
        return tuple(name for name, node in self.nodes.items() if node.build.revision is None)

    @property
    def by_build(self) -> dict[Build, tuple[str, ...]]:
        """Its nodes by what they run, the usual first; without those whose revision is not known."""
        told = {name: node.build for name, node in self.nodes.items() if name not in self.unrevised}
        builds = sorted(set(told.values()), key=lambda one: (one != self.usual, one.revision or 0))
        return {build: tuple(name for name, own in told.items() if own == build) for build in builds}

    @property
    def odd(self) -> tuple[str, ...]:
        """The nodes that run another revision than most, where that can be compared."""
        if not self.is_comparable:
            return ()
        return tuple(name for build, names in self.by_build.items() if build != self.usual for name in names)


def in_rolling_upgrade(releases: Iterable[Release]) -> bool:
    """Whether several Windows in one cluster can be a rolling upgrade: from 2012 R2 on."""
    return all(release.number >= _UPGRADES for release in releases)


def by_release(
    nodes: Mapping[str, NodeUpdates], hotpatched: Mapping[str, bool | None] | None = None
) -> tuple[Release, ...]:
    """The nodes by the Windows that they run, the most frequent first, of two as frequent the newer one.

    Args:
        nodes: those that answered.
        hotpatched: node -> True where it is known to be enrolled for hotpatches; nothing else says on which track it is.
    """
    counted = Counter(node.build.number for node in nodes.values())
    numbers = sorted(counted, key=lambda number: (counted[number], number), reverse=True)
    enrolled = {name for name, told in (hotpatched or {}).items() if told is True}
    return tuple(_release(number, nodes, enrolled) for number in numbers)


def with_unknown_track(nodes: Mapping[str, NodeUpdates]) -> tuple[str, ...]:
    """The nodes whose track must be known to compare them: of a Windows with hotpatches, at more than one revision."""
    return tuple(name for release in by_release(nodes) if not release.is_comparable for name in release.nodes)


def _release(number: int, nodes: Mapping[str, NodeUpdates], enrolled: set[str]) -> Release:
    own = {name: node for name, node in nodes.items() if node.build.number == number}
    usual = usual_build(own)
    assert usual is not None
    several = len({node.build for node in own.values() if node.build.revision is not None}) > 1
    return Release(number, own, usual, not several or number < _HOTPATCHES or enrolled >= own.keys())


def usual_build(nodes: Mapping[str, NodeUpdates]) -> Build | None:
    """The build that most nodes run; of two as frequent, the newer one. A revision that nobody tells is none to agree on."""
    counted = Counter(node.build for node in nodes.values())
    if not counted:
        return None
    revised = {build.number for build in counted if build.revision is not None}
    told = [build for build in counted if build.revision is not None or build.number not in revised]
    return max(told, key=lambda build: (counted[build], build.number, build.revision or 0))
