"""Nodes of a cluster as somebody who pauses one needs them: state, drain, votes, isolation.

Sources: ClusWmi's MSCluster_Node page and CLUSTER_NODE_STATUS of clusapi [doc]; 2012 and later, since drains and dynamic
votes came with it. No capture of root/MSCluster exists: an unlisted number stays visible as such, and stands for nothing
else.

A node that is isolated has left the active membership and goes on to host its virtual machines; one in quarantine may not
join for two hours by default [doc: Virtual Machine Compute Resiliency]. Both came with 2016.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from bot.api.facts import Unknown, value_of
from bot.api.queries import Predicate, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Row, Rows, get_build, get_int, get_str, readable
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE

COLUMNS = ("Name", "State", "NodeDrainStatus")
BUILD_2016 = 14393


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


class NodeStatus(IntFlag):
    """MSCluster_Node.StatusInformation (2016 and later): the flags of CLUSTER_NODE_STATUS [doc]."""

    ISOLATED = 1
    QUARANTINED = 2
    DRAIN_UNDER_WAY = 4
    DRAINED = 8
    DRAIN_FAILED = 16
    AVOIDED = 32  # the cluster places nothing there by itself


ISOLATED_MEANS = " (its guests keep running there until it rejoins or they fail over)"
_LISTED = sum(NodeStatus)
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
        build: of its Windows; None where it was not told.
        status: the flags of `NodeStatus`; None where they were not told, as on 2012 R2, which has none.
    """

    name: str
    state: int | None
    drain: int | None
    votes: bool | None
    build: int | None = None
    status: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether its state and its flags are those that Microsoft lists, or it is out of the cluster in any case."""
        if self.is_isolated or self.is_quarantined:
            return True
        return self.state in list(ClusterNodeState) and not self._unlisted

    @property
    def is_up(self) -> bool:
        """Whether roles may move there."""
        return self.state == ClusterNodeState.UP and not self.is_isolated and not self.is_quarantined

    @property
    def is_present(self) -> bool:
        """Whether its vote is there, where it has one: a paused node votes like any other."""
        joined = self.state in (ClusterNodeState.UP, ClusterNodeState.PAUSED)
        return joined and not self.is_isolated and not self.is_quarantined

    @property
    def is_isolated(self) -> bool:
        """Whether it is told to have lost the cluster while its guests go on."""
        return bool((self.status or 0) & NodeStatus.ISOLATED)

    @property
    def is_quarantined(self) -> bool:
        """Whether it is told to be kept out of the cluster for a while."""
        return bool((self.status or 0) & NodeStatus.QUARANTINED)

    @property
    def may_be_isolated(self) -> bool:
        """Whether it is down, and nobody told if its guests go on there: only 2012 R2 and older know no such thing."""
        old = self.build is not None and self.build < BUILD_2016
        return self.state == ClusterNodeState.DOWN and self.status is None and not old

    @property
    def stays(self) -> bool:
        """Whether it is known to be up, or to be down and no more than that."""
        if self.is_isolated or self.is_quarantined or not self.is_known or self.may_be_isolated:
            return False
        return self.state in (ClusterNodeState.UP, ClusterNodeState.DOWN)

    @property
    def _unlisted(self) -> int:
        return (self.status or 0) & ~_LISTED

    @property
    def is_drained(self) -> bool:
        """Whether it is paused and its drain has ended well."""
        return self.state == ClusterNodeState.PAUSED and self.drain == Drain.DONE

    @property
    def word(self) -> str:
        """Its state in one word."""
        if self.state is None:
            return "in a state that the cluster does not tell"
        if self.is_quarantined:
            return "in quarantine"
        if self.is_isolated:
            return "isolated"
        if self.state not in list(ClusterNodeState):
            return f"in the unknown state {self.state}"
        word = _WORDS[ClusterNodeState(self.state)]
        if self._unlisted:
            return f"{word}, with the unlisted StatusInformation {self.status}"
        return f"{word}, and whether it is isolated was not told" if self.may_be_isolated else word


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
    columns = (*COLUMNS, "NodeWeight", "DynamicWeight", "BuildNumber")
    return Source(Wql(on, NAMESPACE, "MSCluster_Node", columns), _read_node_states)


def node_statuses(on: str) -> Source[dict[str, int]]:
    """The question: which node is isolated or in quarantine? 2016 and later.

    It is a question of its own: a Windows without the column refuses one that names it [doc: WBEM_E_INVALID_QUERY].
    """
    return Source(Wql(on, NAMESPACE, "MSCluster_Node", ("Name", "StatusInformation")), _read_node_statuses)


def with_statuses(
    nodes: tuple[NodeState, ...] | Unknown, statuses: Mapping[str, int] | Unknown
) -> tuple[NodeState, ...] | Unknown:
    """Each node with its flags, where they were told."""
    if isinstance(nodes, Unknown) or isinstance(statuses, Unknown):
        return nodes
    return tuple(replace(one, status=statuses.get(one.name.casefold())) for one in nodes)


async def states_with_flags(on: str, ask: QueryClient) -> tuple[NodeState, ...] | Unknown:
    """Every node, with the flags that 2016 and later tell of it."""
    nodes, statuses = await asyncio.gather(ask.query(node_states(on)), ask.query(node_statuses(on)))
    return with_statuses(value_of(nodes), value_of(statuses))


def node_query(on: str, node: str) -> Wql:
    """The question of a check: one node's state and drain."""
    return Wql(on, NAMESPACE, "MSCluster_Node", COLUMNS, (Predicate("Name", "=", node),))


def _read_node_states(rows: Rows) -> tuple[NodeState, ...]:
    """Nodes in the order of their names; what cannot be read of one is unknown of that one alone.

    Raises CellError for a row without a name, which is its key, and ValueError where there is no row.
    """
    if not rows:
        raise ValueError("the cluster names no node")
    found = []
    for row in rows:
        name = get_str(row, "Name")
        if not name:
            raise CellError("Name", row.get("Name"))
        drain, build = readable(get_int, row, "NodeDrainStatus"), readable(get_build, row, "BuildNumber")
        found.append(NodeState(name, readable(get_int, row, "State"), drain, _has_vote(row), build))
    return tuple(sorted(found, key=lambda one: one.name.casefold()))


def _has_vote(row: Row) -> bool | None:
    """By its dynamic vote, else by its own, where there is no dynamic one; None where neither was told, or cannot be read."""
    try:
        dynamic = get_int(row, "DynamicWeight")
        votes = get_int(row, "NodeWeight") if dynamic is None else dynamic
    except CellError:
        return None
    return None if votes is None else votes != 0


def _read_node_statuses(rows: Rows) -> dict[str, int]:
    """Node, in lower case -> its flags; those that do not tell them are left out."""
    found = {
        (readable(get_str, row, "Name") or "").casefold(): readable(get_int, row, "StatusInformation") for row in rows
    }
    return {name: flags for name, flags in found.items() if flags is not None}


def votes_without(nodes: Sequence[NodeState], node: str, *, witness: bool) -> Votes | None:
    """Count what would be left; None where a vote, or the state of a node that has one, is not known.

    A paused node votes like any other, so a pause alone takes nothing away [doc].
    """
    if any(one.votes is None or (one.votes and one.state not in list(ClusterNodeState)) for one in nodes):
        return None
    holders = [one for one in nodes if one.votes]
    left = [one for one in holders if one.name.casefold() != node.casefold() and one.is_present]
    return Votes(len(left) + witness, len(holders) + witness)
