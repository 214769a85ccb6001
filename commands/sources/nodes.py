"""Nodes of a cluster as somebody who pauses one needs them: state, drain, votes, and the witness.

Sources: ClusWmi's MSCluster_Node and MSCluster_Cluster pages [doc]; 2012 and later, since drains and dynamic votes came
with it. No capture of root/MSCluster exists: an unlisted number stays visible as such, and stands for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.api.queries import Predicate, Wql
from bot.api.rows import CellError, Rows, get_int, get_str
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE

COLUMNS = ("Name", "State", "NodeDrainStatus")
# QuorumTypeValue [doc]: nodes only, a file share, a disk, none. The page is older than the cloud witness of 2016, whose
# number nobody here has seen.
_WITNESSES = {1: False, 2: True, 3: True, 4: False}


class ClusterNodeState(IntEnum):
    """MSCluster_Node.State [doc]; 4294967295 is its -1, unknown."""

    UP = 0
    DOWN = 1
    PAUSED = 2
    JOINING = 3


class Drain(IntEnum):
    """MSCluster_Node.NodeDrainStatus [doc]."""

    NOT_BEGUN = 0
    UNDER_WAY = 1
    DONE = 2
    FAILED = 3


_WORDS = {
    ClusterNodeState.UP: "up",
    ClusterNodeState.DOWN: "down",
    ClusterNodeState.PAUSED: "paused",
    ClusterNodeState.JOINING: "joining",
}


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node.

    Attributes:
        state: as told, known to `ClusterNodeState` or not; None where it was not told.
        votes: whether it has a vote now: its dynamic one, else its own; None where neither was told.
    """

    name: str
    state: int | None
    drain: int | None
    votes: bool | None

    @property
    def is_known(self) -> bool:
        """Whether its state is one of those that Microsoft lists."""
        return self.state in list(ClusterNodeState)

    @property
    def is_up(self) -> bool:
        """Whether roles may move there."""
        return self.state == ClusterNodeState.UP

    @property
    def is_drained(self) -> bool:
        """Whether it is paused and its drain has ended well."""
        return self.state == ClusterNodeState.PAUSED and self.drain == Drain.DONE

    @property
    def word(self) -> str:
        """Its state in one word."""
        if self.state is None:
            return "in a state that the cluster does not tell"
        return _WORDS[ClusterNodeState(self.state)] if self.is_known else f"in the unknown state {self.state}"


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of a cluster when one node has gone."""

    left: int
    of: int

    @property
    def suffice(self) -> bool:
        """Whether they are a majority."""
        return self.left * 2 > self.of


def node_states(on: str) -> Source[tuple[NodeState, ...]]:
    """The question: every node (2012 and later)."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Node", (*COLUMNS, "NodeWeight", "DynamicWeight")), _read_node_states)


def node_query(on: str, node: str) -> Wql:
    """The question of a check: one node's state and drain."""
    return Wql(on, NAMESPACE, "MSCluster_Node", COLUMNS, (Predicate("Name", "=", node),))


def quorum_witness(on: str) -> Source[bool]:
    """The question: is there a witness?"""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name", "QuorumTypeValue")), _read_witness)


def _read_node_states(rows: Rows) -> tuple[NodeState, ...]:
    """Nodes in the order of their names. Raises CellError for a row without a name, ValueError where there is none."""
    if not rows:
        raise ValueError("the cluster names no node")
    found = []
    for row in rows:
        name = get_str(row, "Name")
        if not name:
            raise CellError("Name", row.get("Name"))
        dynamic, own = get_int(row, "DynamicWeight"), get_int(row, "NodeWeight")
        votes = own if dynamic is None else dynamic
        has_vote = None if votes is None else votes != 0
        found.append(NodeState(name, get_int(row, "State"), get_int(row, "NodeDrainStatus"), has_vote))
    return tuple(sorted(found, key=lambda one: one.name.casefold()))


def _read_witness(rows: Rows) -> bool:
    """Whether a disk or a file share votes too.

    Raises:
        CellError: the number is none.
        ValueError: it was not told, or is not listed: a cloud witness votes, and has no listed number.
    """
    kind = get_int(rows[0], "QuorumTypeValue") if rows else None
    if kind not in _WITNESSES:
        told = "no QuorumTypeValue" if kind is None else f"the unlisted QuorumTypeValue {kind}"
        raise ValueError(f"the cluster tells {told}, so whether a witness votes is open")
    return _WITNESSES[kind]


def votes_without(nodes: Sequence[NodeState], node: str, *, witness: bool) -> Votes | None:
    """Count what would be left; None where a vote, or the state of a node that has one, is not known.

    A paused node votes like any other, so a pause alone takes nothing away [doc].
    """
    if any(one.votes is None or (one.votes and not one.is_known) for one in nodes):
        return None
    holders = [one for one in nodes if one.votes]
    left = [
        one
        for one in holders
        if one.name.casefold() != node.casefold() and one.state in (ClusterNodeState.UP, ClusterNodeState.PAUSED)
    ]
    return Votes(len(left) + witness, len(holders) + witness)
