"""Resume a paused node: it takes guests again, and those that left can come back."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from bot.api.arguments import HostTarget
from bot.api.command import AfterRun, Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Group, Plan, Step, bound
from bot.api.query_client import QueryClient
from commands.drain.effects import NODE_TAKES_GUESTS
from commands.drain.facts import ResumeFacts, find_resume_facts
from commands.drain.returned import describe_return, return_checks
from commands.drain.steps import RESUME, arrival_step, resume_step
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.sources.nodes import ClusterNodeState, Drain, NodeState

_TYPES = {"no": 0, "immediate": 1, "policy": 2}  # FailbackType [doc]
_IMPACT = {
    "no": "No guest moves.",
    "immediate": "Guests that the drain moved away live-migrate back immediately.",
    "policy": "Guests whose roles allow failback come back in their failback hours.",
}


class Failback(str):
    """When the guests come back."""

    __slots__ = ()
    wants = "immediate, policy or no"
    label = "When its guests come back"
    choices = MappingProxyType({  # word -> what a form calls it
        "immediate": "At once, live",
        "policy": "In the failback hours of their roles",
        "no": "Don't move them back",
    })  # fmt: skip

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        if word.casefold() not in _TYPES:
            raise ValueError(word)
        return cls(word.casefold())


_AT_ONCE, _STAY = Failback("immediate"), Failback("no")


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    node: HostTarget
    failback: Failback = _AT_ONCE


async def collect(args: Args, ask: QueryClient) -> ResumeFacts | None:
    """Ask the cluster, then the nodes; None for a host that stands alone."""
    return await find_resume_facts(args.node, ask) if args.node.cluster else None


def plan(args: Args, facts: ResumeFacts | None) -> Plan:
    """One step, if the node is paused and may take guests; else why not."""
    if facts is None:
        return no_plan(f"{args.node.name} belongs to no cluster, so there is nothing to resume.")
    if refusal := _refused(facts):
        return no_plan(refusal, is_done_already=facts.state is not None and facts.state.is_up)
    state, cluster = facts.state, facts.cluster.name
    assert state is not None  # else it was refused
    whole = Plan(
        reason=f"{state.name} is paused{_drain(state)}.",
        impact=_IMPACT[args.failback],
        rollback=f"Drain {state.name} again.",
        locks=(cluster_lock(args.node),),
        gates=NODE_TAKES_GUESTS.judge(facts),
        groups=(Group("resume", _steps(cluster, state.name, args.failback)),),
        current_state=f"{state.name} is paused{_drain(state)}",
        expected_state=f"{state.name} is up and takes guests again",
        at_most=None if args.failback == _STAY else bound(facts.affected),
        afterwards=return_checks(cluster, state.name) if args.failback == _AT_ONCE else (),
    )
    return or_no_plan(state.name, whole)


def _steps(cluster: str, node: str, failback: Failback) -> tuple[Step, ...]:
    """Guests that come back at once are waited for, so that the end names them."""
    if failback != _AT_ONCE:
        return (resume_step(cluster, node, _TYPES[failback], moves=failback != _STAY),)
    return (resume_step(cluster, node, _TYPES[failback], notes_guests=True, moves=True), arrival_step(cluster, node))


def describe_after(told: AfterRun) -> tuple[str, ...]:
    """How many guests came back, which did not, and why, as far as the cluster and the ledger tell."""
    return describe_return(told.target, told.before.get(RESUME), told.answers)


def _refused(facts: ResumeFacts) -> str:
    """Why there is nothing to resume, or no way to; "" where there is."""
    name = facts.node
    if facts.unfound is not None:
        return f"No plan for {name}: {facts.unfound.target}: {facts.unfound.why}".replace(
            f"{name}: {name}:", f"{name}:"
        )
    if facts.is_2008:
        return (
            f"{name} runs Windows Server 2008 R2, which does not show whether guests come back. By hand: resume it in"
            " Failover Cluster Manager, then move its guests back."
        )
    if isinstance(facts.nodes, Unknown):
        return f"No plan for {name}: {facts.nodes.target}: {facts.nodes.why}"
    if facts.state is None:
        return f"No plan for {name}: {facts.cluster.name} did not report its state."
    return _not_paused(facts.state)


def _not_paused(state: NodeState) -> str:
    """What to do in place of a resume, where the node is not paused; "" where it is."""
    if state.is_quarantined:
        return (
            f"Nothing to resume: {state.name} is in quarantine. It left the cluster several times within an hour and may"
            " not join for a while, two hours by default; it is not paused. Find the cause first (event 1676 of the"
            f" System log). By hand: wait, or Start-ClusterNode -Name {state.name} -ClearQuarantine."
        )
    if state.is_isolated:
        return (
            f"Nothing to resume: {state.name} is isolated. It has lost the other nodes, and its guests go on running"
            " there; it is not paused. Look at its network and its cluster service. By hand: wait until it has joined"
            " again; if it does not within some minutes (four by default), the cluster starts its guests elsewhere."
        )
    if state.state != ClusterNodeState.PAUSED:
        why = "Nothing to resume" if state.is_known else f"No plan for {state.name}"
        return f"{why}: {state.name} is {state.word}."
    return ""


def _drain(state: NodeState) -> str:
    said = {Drain.DONE: " and drained", Drain.FAILED: ", its last drain failed", Drain.UNDER_WAY: " and being drained"}
    return said.get(Drain(state.drain), "") if state.drain in list(Drain) else ""


COMMAND = Remediation(Role.OPERATOR, Risk.LOW, Args, collect, plan, describe_after=describe_after)
