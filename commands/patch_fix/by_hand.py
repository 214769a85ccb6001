"""The same through WSUS, by people: where no packages lie on the nodes. Each step is looked at afterwards, by the nodes' own lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.api.actions import ManualStep
from bot.api.plan import Check, Group, Step, exists
from bot.api.queries import Predicate
from bot.api.updates import UpdateRule
from commands.formatting import join_names
from commands.patch_fix.needs import NodeNeed
from commands.sources.packages import PackageState, is_gone, package_list
from commands.sources.services import step_name

DAYS = 7  # that people have for each step: approvals are looked at by nodes once a day or so
CLIENTS = (
    "Clients and other servers: the same order in WSUS for their computer groups; hvops does not ask them.",
    "Afterwards, by hand: run cluster validation again and read its report (Validate System Configuration, updates).",
)
NO_WUSA = (
    "wusa.exe and the Windows Update Agent do not install over WinRM [doc: KB2773898], so hvops does not try them."
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One change of one update, and the nodes that need it: node -> identity of what is removed."""

    does: str
    kb: str
    nodes: Mapping[str, str]


def wsus_group(cluster: str, rule: UpdateRule, needs: tuple[NodeNeed, ...]) -> Group:
    """One step by hand for each change of the rule."""
    steps = [_step(cluster, number, turn) for number, turn in enumerate(_turns(rule, needs), start=1)]
    return Group("wsus", tuple(steps))


def _turns(rule: UpdateRule, needs: tuple[NodeNeed, ...]) -> Iterator[_Turn]:
    for wanted in rule.steps:
        found = {need.node: one.identity for need in needs for one in need.changes if one.step == wanted}
        if found:
            yield _Turn(wanted.does, wanted.kb, found)


def _step(cluster: str, number: int, turn: _Turn) -> Step:
    names = join_names(turn.nodes, len(turn.nodes))
    how = (
        f"In WSUS approve {turn.kb} for removal for the computer group of {names}. Where it cannot be removed there, uninstall"
        " it at the console of each node (Programs and Features, or wusa /uninstall)."
        if turn.does == "remove"
        else f"In WSUS approve {turn.kb} for installation for the computer group of {names}."
    )
    each = f"On one node of {cluster} after the other: drain it (/drain-node), let it install and restart, resume it (/resume-node)."
    return Step(
        key=f"wsus-{number}-{turn.does}-{step_name(turn.kb)}",
        description=f"{'Remove' if turn.does == 'remove' else 'Install'} {turn.kb} through WSUS on {names}",
        act=ManualStep(f"{how} {each} Press Done when all of them have restarted.", "operator"),
        done=tuple(_check(turn, node, identity) for node, identity in turn.nodes.items()),
        deadline=DAYS * 86_400,
    )


def _check(turn: _Turn, node: str, identity: str) -> Check:
    if turn.does == "remove":
        return is_gone(node, identity).described_as(f"{node} lists {turn.kb} no more")
    named = Predicate("identity", "like", f"Package[_]for[_]{turn.kb}~%")
    installed = Predicate("state", "=", PackageState.INSTALLED.word)
    return exists(package_list(node), named, installed).described_as(f"{node} lists {turn.kb} as installed")
