"""Pause a node and drain it: its guests live-migrate to the other nodes, once no check blocks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Gate, Group, Plan, bound
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.drain.blockers import locked_words, look_behind, node_behind, reasons, release_remedies
from commands.drain.effects import NODE_LOSES_GUESTS, gates_back
from commands.drain.facts import DrainFacts, find_drain_facts
from commands.drain.gates import nothing_known
from commands.drain.roles import moved_with_them
from commands.drain.steps import NOT_ONLINE, drain_step
from commands.formatting import join_names, pluralize, sentences
from commands.no_plan import blocking_reason, cluster_lock, held, no_plan
from commands.sources.event_log import LOCKED_ERROR
from commands.sources.nodes import ClusterNodeState, Drain
from commands.vss import facts as writer_facts


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    node: HostTarget


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out.

    Attributes:
        drain: None for a host that stands alone.
        behind: writers and logs, asked only where something holds the guests.
    """

    drain: DrainFacts | None
    behind: writer_facts.WriterFacts | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask the cluster, then the nodes; where guests are locked also who holds them."""
    if not args.node.cluster:
        return Facts(None)
    drain = await find_drain_facts(args.node, ask)
    return Facts(drain, await look_behind(args.node, drain, ask))


def plan(args: Args, facts: Facts) -> Plan:
    """One step, if every gate lets it through; else why not."""
    drain = facts.drain
    if drain is None:
        return no_plan(f"{args.node} belongs to no cluster, so its guests have nowhere to go.")
    if refusal := refused(drain):
        return no_plan(refusal)
    if done := _done_already(drain):
        # One under way is not: a script would go on too early.
        is_done = drain.state is not None and drain.state.is_drained and _roles_left(drain) == ""
        back = (Remedy("Resume Node…", f"/resume-node {drain.node}"),)
        return no_plan(done, remedies=back, is_done_already=is_done)
    gates = NODE_LOSES_GUESTS.judge(drain)
    if held(gates):
        return _held(facts, drain)
    earlier = drain.state.drain if drain.state else None
    step = drain_step(drain.cluster.name, drain.node, earlier=earlier, flags=drain.tells_flags, up=drain.others_up)
    return Plan(
        reason=f"{drain.node} is up with {pluralize(len(drain.roles), 'guest')}; {_stand(gates)}.",
        impact=impact(drain),
        rollback=f"Resume {drain.node} at any time: its guests come back.",
        locks=(cluster_lock(args.node),),
        gates=gates,
        groups=(Group("drain", (step,)),),
        evidence=guests_of(drain),
        remedies=(Remedy("Resume Node…", f"/resume-node {drain.node}"),),
        current_state=f"{drain.node} is up with {pluralize(len(drain.roles), 'guest')}",
        expected_state=f"{drain.node} is paused and drained, no guest is left",
        at_most=bound(drain.affected),
    )


def _stand(gates: Sequence[Gate]) -> str:
    """How its gates stand: nothing blocks, or some are left to whoever approves."""
    unknown = [gate for gate in gates if gate.is_open]
    if not unknown:
        return "nothing on the node or its cluster prevents a drain"
    return (
        f"{pluralize(len(unknown), 'gate')} that could prevent a drain {'is' if len(unknown) == 1 else 'are'} not known"
    )


def refused(drain: DrainFacts) -> str:
    """Why there can be no drain at all; "" where there can."""
    node, cluster = drain.node, drain.cluster.name
    if drain.unfound is not None:
        return f"No plan for {node}: {drain.unfound.target}: {drain.unfound.why}"
    if drain.is_2008:
        return (
            f"{node} runs Windows Server 2008 R2, which can pause a node but has no drain. By hand: live-migrate its"
            f" guests one after another in Failover Cluster Manager, then pause {node}."
        )
    if isinstance(drain.nodes, Unknown):
        return f"No plan for {node}: {cluster} did not report the states of its nodes: {drain.nodes.why}"
    return ""


def _done_already(drain: DrainFacts) -> str:
    state = drain.state
    if state is not None and state.state == ClusterNodeState.PAUSED and state.drain == Drain.UNDER_WAY:
        return f"Nothing to do: {drain.node} is being drained already, {pluralize(len(drain.roles), 'guest')} left."
    if state is not None and state.is_drained and not drain.roles:
        left = _roles_left(drain)
        if not left:
            return f"Nothing to do: {drain.node} is paused and drained."
        return f"No plan for {drain.node}: it is paused and its last drain has ended, but {left}. Resume it, then drain it."
    return ""


def _roles_left(drain: DrainFacts) -> str:
    """Which other roles are left on the node, as a clause; "" where each is known to be offline or failed.

    NodeDrainStatus may be that of an earlier drain: whoever only pauses a node drains nothing. A shared volume only has its
    coordinator there.
    """
    others = drain.other_roles
    if isinstance(others, Unknown):
        return "which other roles it has is not known"
    left = [one.name for one in others if not (one.is_shared_volume or one.group.state in NOT_ONLINE)]
    return f"roles are left there that are not known to be offline: {join_names(left, 6)}" if left else ""


def _held(facts: Facts, drain: DrainFacts) -> Plan:
    """No plan, and what holds it: for locked guests the writer and the guests behind it."""
    gates = NODE_LOSES_GUESTS.judge(drain)
    node = node_behind(facts.behind)
    behind = tuple(reasons(node, facts.behind)) if node and facts.behind else ()
    locked = locked_words(drain)
    why = f"No plan yet for {drain.node}: {locked}, a drain would fail ({LOCKED_ERROR})." if locked else ""
    others = [gate for gate in held(gates) if not locked or "locked" not in gate.description]
    rest = blocking_reason(drain.node, others) if others else ""
    remedies = release_remedies(drain.node) if locked else ()
    if drain.state is not None and drain.state.state == ClusterNodeState.PAUSED:
        remedies = (*remedies, Remedy("Resume Node…", f"/resume-node {drain.node}"))
    return no_plan(sentences((why, rest)), gates, remedies, behind)


def impact(drain: DrainFacts) -> str:
    """Everything that the drain moves or switches."""
    guests = f"{pluralize(len(drain.roles), 'guest')} {'leaves' if len(drain.roles) == 1 else 'leave'} {drain.node}."
    return sentences((guests, *moved_with_them(drain.other_roles)))


def guests_of(drain: DrainFacts) -> tuple[str, ...]:
    """Which guests will move."""
    return (f"Guests on {drain.node}: {join_names(drain.roles, 40)}.",) if drain.roles else ()


def undo_gates(args: Args, facts: Facts, back: Plan) -> tuple[Gate, ...]:
    """Nobody else is at work on the cluster: that is all the way back asks of it."""
    del back
    if facts.drain is None:
        why = Unknown(args.node.name, "not asked", "it is in no cluster that is known now.")
        return (nothing_known(args.node.name, why),)
    return gates_back(facts.drain)


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
