"""What the inventory says of updates: where their packages lie on the nodes, and in which order they belong on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class UpdatePackage:
    """An update that people have put on every node, as a file that `dism` takes online.

    Attributes:
        kb: its number, "KB2607712".
        build: the Windows that it is for: 7601, 9600.
        path: where it lies on each node: a .cab, or the update.mum of an expanded update.
    """

    kb: str
    build: int
    path: str


@dataclass(frozen=True, slots=True)
class UpdateStep:
    """One change of one update."""

    does: Literal["remove", "add"]
    kb: str


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """A set of updates that belong together, and how a node gets them.

    Attributes:
        key: what people type.
        says: why, in a sentence.
        builds: the Windows builds that it is about; () for any.
        steps: in order. An update that is added at the end is wanted on every node.
        unless: a node that lists one of these has no need of it.
    """

    key: str
    says: str
    builds: tuple[int, ...]
    steps: tuple[UpdateStep, ...]
    unless: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The updates that every node has once it is fixed, in the order in which they are added."""
        return tuple(dict.fromkeys(step.kb for step in self.steps if step.does == "add"))
