"""Bring all nodes of a cluster to the same updates, node by node: drain, remove and add packages, restart, prove, resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.api.actions import InvokeMethod, RunProgram
from bot.api.arguments import ClusterTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Gate, Group, Plan, bound
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.texts import clip
from bot.api.updates import UpdateRule
from commands.drain.effects import gates_back, together
from commands.drain.gates import nothing_known
from commands.drain.roles import moved_with_them
from commands.formatting import join_names, pluralize, sentences
from commands.no_plan import blocking_reason, cluster_lock, held, no_plan
from commands.patch_fix.by_hand import CLIENTS, NO_WUSA, wsus_group
from commands.patch_fix.facts import FixFacts, find_fix_facts
from commands.patch_fix.gates import drained_of, gates_of
from commands.patch_fix.needs import Need, NodeNeed
from commands.patch_fix.rules import as_rule, find_rule
from commands.patch_fix.steps import groups_of, listed
from commands.sources.rules import KnownIssue, traps


class Rule(str):
    """A set of updates: one of the rule file or the inventory, or one update."""

    __slots__ = ()
    wants = "a rule such as KB2616676, one of the inventory, or a KB number"
    names = "update rule"
    offers = tuple(trap.key for trap in traps() if as_rule(trap) is not None)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: ClusterTarget
    rule: Rule


async def collect(args: Args, ask: QueryClient) -> FixFacts:
    """Ask nobody for a word that names no rule; else every node for its packages."""
    rule = find_rule(args.rule, args.target.update_rules)
    if not isinstance(rule, UpdateRule):
        return FixFacts(datetime.min.replace(tzinfo=UTC))
    return await find_fix_facts(args.target, rule, ask)


def plan(args: Args, facts: FixFacts) -> Plan:
    """The steps of each node that needs them; through WSUS where no packages lie there; else why not."""
    on = args.target.name
    rule = find_rule(args.rule, args.target.update_rules)
    look = (Remedy("Verify KB Drift", f"/verify-kb-drift {on}"),)
    if not isinstance(rule, UpdateRule):
        return no_plan(_no_rule(on, args.rule, rule), remedies=look)
    if facts.unfound is not None:
        return no_plan(f"No plan for {on}: {facts.unfound.target}: {facts.unfound.why}", remedies=look)
    if not facts.to_fix:
        is_done = {one.need for one in facts.needs} <= {Need.THERE, Need.CONTAINED}
        because, evidence = _nothing(on, args.rule, facts), _standing(facts.needs)
        return no_plan(because, remedies=look, evidence=evidence, is_done_already=is_done and bool(facts.needs))
    if not any(facts.nodes[need.node].files for need in facts.to_fix):
        return _through_wsus(args, rule, facts)
    gates = gates_of(facts)
    if held(gates):
        return no_plan(_held(on, gates), gates, look, _standing(facts.needs))
    return _plan(args, rule, facts, gates)


def _plan(args: Args, rule: UpdateRule, facts: FixFacts, gates: tuple[Gate, ...]) -> Plan:
    on, names = args.target.name, [one.node for one in facts.to_fix]
    groups: list[Group] = []
    for need in facts.to_fix:
        groups += groups_of(on, need, facts.nodes[need.node], facts.members, facts.paths)
    drains = drained_of(facts)
    affected = max((one.affected for one in drains), default=0)
    return Plan(
        reason=f"{_so_far(facts.to_fix)} {rule.says.rstrip('.')}.",
        impact=_impact(facts),
        rollback=(
            "Before a package is removed: press Stop After Step, then Undo…: the node takes its guests back. After that, a failure is"
            " undone unless others may be at work: the removed package is added again (active after a restart), Automatic Updates"
            " start as before. A finished node is not."
        ),
        locks=(cluster_lock(args.target),),
        gates=gates,
        groups=tuple(groups),
        evidence=(*_standing(facts.needs), *_order(facts.to_fix), NO_WUSA, *CLIENTS),
        remedies=(Remedy("Verify KB Drift", f"/verify-kb-drift {on}"),),
        touches=tuple(names),
        current_state=_so_far(facts.to_fix).rstrip("."),
        expected_state=f"{join_names(names, len(names))} list {join_names(rule.wanted)} as installed",
        title=f"Fix updates of {on} ({rule.key}) on {join_names(names, len(names))}",
        afterwards=tuple(check for need in facts.to_fix for check in listed(need, facts.nodes[need.node])),
        at_most=bound(affected) if drains else None,
    )


def _through_wsus(args: Args, rule: UpdateRule, facts: FixFacts) -> Plan:
    """No file of these updates is named in the inventory: people do it, and hvops looks."""
    on, names = args.target.name, [one.node for one in facts.to_fix]
    return Plan(
        reason=(
            f"{_so_far(facts.to_fix)} The inventory names no file of these updates ([[update_package]]), so hvops cannot add"
            f" them itself. {rule.says.rstrip('.')}."
        ),
        impact="Nothing by hvops itself: people approve in WSUS, and drain and restart each node. hvops reads the lists after each step.",
        rollback="Take the approval in WSUS back; what is installed by then stays.",
        locks=(cluster_lock(args.target),),
        gates=(),
        groups=(wsus_group(on, rule, facts.to_fix),),
        evidence=(*_standing(facts.needs), NO_WUSA, *CLIENTS),
        remedies=(Remedy("Verify KB Drift", f"/verify-kb-drift {on}"),),
        touches=tuple(names),
        current_state=_so_far(facts.to_fix).rstrip("."),
        expected_state=f"{join_names(names, len(names))} list {join_names(rule.wanted)} as installed",
        title=f"Fix updates of {on} ({rule.key}) through WSUS on {join_names(names, len(names))}",
    )


def _no_rule(on: str, word: str, found: KnownIssue | None) -> str:
    if found is None:
        known = join_names([trap.key for trap in traps() if trap.steps])
        return f"No plan for {on}: there is no rule “{clip(word, 40)}”. Known are {known}, those of the inventory, and any KB number."
    steps = "; ".join(f"({number}) {step}" for number, step in enumerate(found.by_hand, start=1))
    return f"No plan for {on}: {found.says}. {found.means} That is done by people, not by hvops: {steps}."


def _nothing(on: str, word: str, facts: FixFacts) -> str:
    """Why nothing is done, in the words of the nodes."""
    kinds = {one.need for one in facts.needs}
    told = "; ".join(f"{one.node}: {one.says}" for one in facts.needs[:4])
    more = f"; {pluralize(len(facts.needs) - 4, 'more node')}" if len(facts.needs) > 4 else ""  # noqa: PLR2004 - those shown
    if kinds & {Need.UNKNOWN, Need.UNCLEAR}:
        return f"No plan for {on}: no node is known to need {word}, and not every node could be checked. {told}{more}."
    if kinds <= {Need.ELSEWHERE, Need.CUMULATIVE, Need.EXEMPT}:
        return f"No plan for {on}: refused, there is nothing to do here by the rule {word}. {told}{more}."
    return f"Nothing to fix on {on} by the rule {word}. {told}{more}."


def _held(on: str, gates: Sequence[Gate]) -> str:
    return blocking_reason(on, held(gates))


def _so_far(needs: Sequence[NodeNeed]) -> str:
    return f"{'; '.join(f'{one.node} {one.says}' for one in needs)}."


def _standing(needs: Sequence[NodeNeed]) -> tuple[str, ...]:
    """How each node stands that is not fixed."""
    return tuple(f"{one.node} {one.need}: {one.says}." for one in needs if one.need is not Need.FIX)


def _order(needs: Sequence[NodeNeed]) -> tuple[str, ...]:
    """What is done on each node, in one line."""
    return tuple(
        f"{one.node}: {', '.join(f'{change.step.does} {change.step.kb}' for change in one.changes)}, a restart after each."
        for one in needs
    )


def _impact(facts: FixFacts) -> str:
    drains = drained_of(facts)
    moves = [
        sentences(
            (
                f"{pluralize(len(one.roles), 'guest')} live-migrate off {one.node} and back.",
                *moved_with_them(one.other_roles),
            )
        )
        for one in drains
    ]
    by_hand = [name for name, node in facts.nodes.items() if node.drain is None]
    hands = [f"People empty {join_names(by_hand)}: Windows Server 2008 R2 has no drain."] if by_hand else []
    restarts = sum(len(one.changes) + (facts.nodes[one.node].flags is not None) for one in facts.to_fix)
    return " ".join(
        (
            *moves,
            *hands,
            f"One node after the other, {pluralize(restarts, 'restart')} in all.",
            "Between “remove” and “add” a node lacks that update. Automatic Updates are disabled meanwhile.",
        )
    )


def undo_gates(args: Args, facts: FixFacts, back: Plan) -> tuple[Gate, ...]:
    """Nobody else is at work on the cluster: that is all the way back asks of it, of each node that it changes.

    A node that needs nothing any more, as after a fix that is done, was not looked at, nor was one that people drain: an approver
    answers for it.
    """
    drains = drained_of(facts)
    if facts.unfound is not None or not facts.needs:
        why = facts.unfound or Unknown(args.target.name, "not asked", "its rule is no longer known.")
        return (nothing_known(args.target.name, why),)
    acts = (step.act for step in back.steps)
    nodes = {act.on.casefold(): act.on for act in acts if isinstance(act, (InvokeMethod, RunProgram))}
    for one in drains:
        nodes.pop(one.node.casefold(), None)
    says = "hvops checks for other work only on nodes that it drains. Check Failover Cluster Manager and VMM."
    return together(
        *map(gates_back, drains),
        (nothing_known(on, Unknown(on, "not asked", says), answerable=True) for on in nodes.values()),
    )


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
