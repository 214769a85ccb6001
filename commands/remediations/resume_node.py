"""Resume a paused node: it takes guests again, and those that left it may come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, value_of
from bot.api.plan import Gate, GateOutcome, Group, Plan
from bot.api.query_client import QueryClient
from commands.drain.steps import resume_step
from commands.no_plan import cluster_lock, no_plan
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.nodes import ClusterNodeState, Drain, NodeState, node_states

_TYPES = {"no": 0, "immediate": 1, "policy": 2}  # FailbackType [doc]
_IMPACT = {
    "no": "No guest moves.",
    "immediate": "The guests that its drain moved away come back at once, live.",
    "policy": "Guests whose roles allow failback come back in their failback hours.",
}


class Failback(str):
    """When the guests come back."""

    __slots__ = ()
    wants = "immediate, policy or no"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        if word.casefold() not in _TYPES:
            raise ValueError(word)
        return cls(word.casefold())


_AT_ONCE = Failback("immediate")


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    node: HostTarget
    failback: Failback = _AT_ONCE


@dataclass(frozen=True, slots=True)
class Facts:
    """What the cluster says of its nodes; `nodes` tells which Windows they run."""

    states: tuple[NodeState, ...] | Unknown
    nodes: tuple[Node, ...] | Unknown


async def collect(args: Args, ask: QueryClient) -> Facts:
    """One round."""
    on = args.node.cluster
    if not on:
        return Facts((), ())
    states, nodes = await asyncio.gather(ask.query(node_states(on)), ask.query(cluster_nodes(on)))
    return Facts(value_of(states), value_of(nodes))


def plan(args: Args, facts: Facts) -> Plan:
    """One step, if the node is paused."""
    name, cluster = args.node.name, args.node.cluster
    if not cluster:
        return no_plan(f"{name} belongs to no cluster, so there is nothing to resume.")
    if isinstance(facts.nodes, tuple) and any(one.is_2008 for one in facts.nodes if _same(one.name, name)):
        return no_plan(
            f"{name} runs Windows Server 2008 R2, where nothing tells whether guests come back. By hand: resume it in"
            " Failover Cluster Manager, then move its guests back."
        )
    if isinstance(facts.states, Unknown):
        return no_plan(f"No plan for {name}: {facts.states.target}: {facts.states.why}")
    state = next((one for one in facts.states if _same(one.name, name)), None)
    if state is None:
        return no_plan(f"No plan for {name}: {cluster} has no node of that name.")
    if state.state != ClusterNodeState.PAUSED:
        why = "Nothing to resume" if state.is_known else f"No plan for {name}"
        return no_plan(f"{why}: {state.name} is {state.word}.")
    return Plan(
        reason=f"{state.name} is paused{_drain(state)}.",
        impact=_IMPACT[args.failback],
        rollback=f"Drain {state.name} again.",
        locks=(cluster_lock(args.node),),
        gates=(
            Gate(f"{state.name} is paused", outcome=GateOutcome.PASSED),
            Gate(
                f"No drain of {state.name} is under way",
                GateOutcome.of(state.drain != Drain.UNDER_WAY if state.drain in list(Drain) else None),
                _under_way(state),
                False,
            ),
        ),
        groups=(Group("resume", (resume_step(cluster, state.name, _TYPES[args.failback]),)),),
        current_state=f"{state.name} is paused{_drain(state)}",
        expected_state=f"{state.name} is up and takes guests again",
    )


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _drain(state: NodeState) -> str:
    said = {Drain.DONE: " and drained", Drain.FAILED: ", its last drain failed", Drain.UNDER_WAY: " and being drained"}
    return said.get(Drain(state.drain), "") if state.drain in list(Drain) else ""


def _under_way(state: NodeState) -> str:
    if state.drain not in list(Drain):
        return "not known: NodeDrainStatus is not told" if state.drain is None else f"NodeDrainStatus is {state.drain}"
    return "resuming ends the drain half-way" if state.drain == Drain.UNDER_WAY else ""


COMMAND = Remediation(Role.OPERATOR, Risk.LOW, Args, collect, plan)
