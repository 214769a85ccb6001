"""Make remote file browsing work again on a Windows Server 2012 host: toggle object access auditing, exactly as it was after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.api.actions import ManualStep
from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, value_of
from bot.api.plan import Gate, GateOutcome, Group, Plan, Step
from bot.api.query_client import QueryClient
from commands.formatting import join_names, pluralize
from commands.no_plan import no_plan
from commands.sources.audit_policy import Audits, Subcategory, as_it_was, object_access_policy, toggle_steps
from commands.sources.cluster import Node, look_at_host

_FAMILY = {9200: "Windows Server 2012", 9600: "Windows Server 2012 R2"}
_HOURS_FOR_A_PERSON = 8


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    node: HostTarget


@dataclass(frozen=True, slots=True)
class Facts:
    """Which Windows it is, and what it audits."""

    host: Node
    policy: tuple[Subcategory, ...] | Unknown


async def collect(args: Args, ask: QueryClient) -> Facts:
    """One round."""
    host, policy = await asyncio.gather(
        look_at_host(args.node.name, ask), ask.query(object_access_policy(args.node.name))
    )
    return Facts(host, value_of(policy))


def plan(args: Args, facts: Facts) -> Plan:
    """Toggle, set back, compare; then a person looks whether it helped."""
    on = args.node.name
    if refusal := _refused(on, facts):
        return no_plan(refusal)
    assert isinstance(facts.policy, tuple)  # else it was refused
    steps = toggle_steps(on, facts.policy)
    return Plan(
        reason=f"Remote browsing on {on} is said to fail. {_now(facts.policy)}",
        impact=f"For a minute {on} audits every access to its objects: its Security log grows.",
        rollback="Every subcategory is set back by its GUID; if a step fails, at once.",
        locks=(f"audit-policy:{on.lower()}",),
        gates=(
            Gate(f"{on} runs Windows Server 2012 or 2012 R2", GateOutcome.PASSED, _FAMILY[facts.host.build or 0]),
            Gate(
                f"What {on} audits is known",
                outcome=GateOutcome.PASSED,
                measured=pluralize(len(facts.policy), "subcategory", "subcategories"),
            ),
        ),
        groups=(
            Group("toggle", steps, on_failure="undo"),
            Group("confirm", (_confirm(on, steps[0].key),)),
        ),
        evidence=tuple(f"{one.name} {{{one.guid}}}: {one.word}" for one in facts.policy),
        current_state=f"browsing is said to fail; {_now(facts.policy)[:1].lower()}{_now(facts.policy)[1:].rstrip('.')}",
        expected_state="a person has browsed again; every subcategory is as it was",
        self_reverting=True,
    )


def _refused(on: str, facts: Facts) -> str:
    """Why there is no plan; "" where there is one."""
    if facts.host.build is None:
        return f"No plan for {on}: it did not tell which Windows it runs, and this helps on the 2012 family only."
    if facts.host.build not in _FAMILY:
        return (
            f"No plan for {on}: it runs build {facts.host.build}. This workaround is known for Windows Server 2012 and"
            " 2012 R2 only, between machines of that family."
        )
    if isinstance(facts.policy, Unknown):
        return f"No plan for {on}: its audit policy is not known, and has to be set back exactly. {facts.policy.why}"
    if unknown := [f"{one.name} “{one.word}”" for one in facts.policy if one.audits is None]:
        return (
            f"No plan for {on}: its audit policy is in words that are not known here: {join_names(unknown, 3)}. By hand: note"
            " them, switch “Audit object access” on and off again, and set them back."
        )
    if not any(one.audits in (Audits.NOTHING, Audits.FAILURE) for one in facts.policy if not one.is_too_loud):
        return f"Nothing to toggle on {on}: every subcategory of Object Access audits success already."
    return ""


def _now(policy: tuple[Subcategory, ...]) -> str:
    """What is audited now, in one sentence."""
    on = [one.name for one in policy if one.audits is not Audits.NOTHING]
    return f"It audits {join_names(on, 6)} of Object Access." if on else "It audits nothing of Object Access."


def _confirm(on: str, first: str) -> Step:
    says = (
        f"Close every open wizard and Hyper-V Manager, open them again, and browse for a file on {on}. Say done only"
        " if the files are listed. If they are not, stop here instead: then this was not the cause."
    )
    return Step(
        key="browse",
        description=f"A person confirms that remote browsing works on {on}",
        act=ManualStep(says, "operator"),
        done=(as_it_was(on, first),),
        deadline=_HOURS_FOR_A_PERSON * 3600,
    )


def undo_gates(args: Args, facts: Facts, back: Plan) -> tuple[Gate, ...]:
    """Nothing: what it audits is set back by GUID, and compared afterwards."""
    del args, facts, back
    return ()


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
