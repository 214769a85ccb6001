"""Make remote file browsing work again on a Windows Server 2012 host: toggle object access auditing, then restore it exactly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.api.actions import ManualStep
from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, value_of
from bot.api.plan import Gate, GateOutcome, GateText, Group, OpenQuestion, Plan, Step
from bot.api.query_client import QueryClient
from commands.formatting import format_size, join_names, pluralize, sentences
from commands.no_plan import cluster_lock, no_plan, or_no_plan
from commands.sources.audit_log import Auditing, CrashOnAuditFail, WhenFull, look_at_auditing
from commands.sources.audit_policy import Audits, Subcategory, as_it_was, object_access_policy, toggle_steps
from commands.sources.cluster import Node, look_at_host

_FAMILY = {9200: "Windows Server 2012", 9600: "Windows Server 2012 R2"}
_HOURS_FOR_A_PERSON = 8
_KNOWN = (  # [1 note]
    "Only consoles on Windows Server 2012 and Windows 8 show the problem: those on 2008 R2 and Windows 7 (RSAT) list the files.",
    "A UNC path is no workaround: it fails later for lack of rights.",
    "An audit policy can stay in effect after it is removed; the toggle clears it. Nothing is logged about it.",
)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    node: HostTarget


@dataclass(frozen=True, slots=True)
class Facts:
    """Which Windows it is, what it audits, and what hangs on that."""

    host: Node
    policy: tuple[Subcategory, ...] | Unknown
    auditing: Auditing


async def collect(args: Args, ask: QueryClient) -> Facts:
    """One round, and the names of the policies that set auditing, where there are any."""
    host, policy, auditing = await asyncio.gather(
        look_at_host(args.node.name, ask),
        ask.query(object_access_policy(args.node.name)),
        look_at_auditing(args.node.name, ask),
    )
    return Facts(host, value_of(policy), auditing)


def plan(args: Args, facts: Facts) -> Plan:
    """Toggle, set back, compare; then a person looks whether it helped."""
    on = args.node.name
    if refusal := _refused(on, facts):
        return no_plan(refusal)
    assert isinstance(facts.policy, tuple)  # else it was refused
    steps = toggle_steps(on, facts.policy)
    whole = Plan(
        reason=f"Someone reported that remote browsing on {on} fails. {_now(facts.policy)}",
        impact=_impact(on, facts.auditing),
        rollback="Every subcategory is restored by its GUID, immediately if a step fails.",
        locks=(cluster_lock(args.node),),  # no other change restarts it before its policy is set back
        gates=(
            Gate(f"{on} runs Windows Server 2012 or 2012 R2", GateOutcome.PASSED, _FAMILY[facts.host.build or 0]),
            Gate(
                f"The audit policy of {on} is known",
                outcome=GateOutcome.PASSED,
                measured=pluralize(len(facts.policy), "subcategory", "subcategories"),
            ),
            _does_not_stop(on, facts.auditing),
            _no_other_policy(on, facts.auditing),
            *_no_legacy_policy(on, facts.auditing),
        ),
        groups=(
            Group("toggle", steps, on_failure="undo"),
            Group("confirm", (_confirm(on, steps[0].key),)),
        ),
        evidence=(*_KNOWN, *(f"{one.name} {{{one.guid}}}: {one.word}" for one in facts.policy)),
        current_state=f"reported: browsing fails; {_now(facts.policy)[:1].lower()}{_now(facts.policy)[1:].rstrip('.')}",
        expected_state="someone has browsed again; every subcategory is as it was",
        self_reverting=True,
    )
    return or_no_plan(on, whole)


def _impact(on: str, auditing: Auditing) -> str:
    """What all those audits do to the Security log."""
    size = f" at {format_size(auditing.most)}" if auditing.most else ""
    full = auditing.when_full
    if full is None or isinstance(full, Unknown):
        log = "What that log does when it is full is not known: older or newer events may be lost."
    else:
        log = f"When that log is full{size}, it {full}."
        log += {
            WhenFull.KEEPS: " Until somebody clears it, security events of all kinds are lost.",
            WhenFull.ARCHIVES: " The archives take space on its volume.",
            WhenFull.OVERWRITES: "",
        }[full]
    policies = auditing.policies
    others = ""
    if policies and not isinstance(policies, Unknown):
        others = (
            f"Group Policy sets auditing there too ({join_names(policies, 4)}), and a refresh in between sets it anew."
        )
    return sentences((f"For about a minute {on} audits all object access, so its Security log grows.", log, others))


def _does_not_stop(on: str, auditing: Auditing) -> Gate:
    """With CrashOnAuditFail, the first audit that a full log does not take stops Windows (C0000244) [doc]."""
    says = GateText(
        f"{on} does not halt when a security event cannot be logged",
        f"{on} can halt when a security event cannot be logged",
        f"It is not known whether {on} halts when a security event cannot be logged",
    )
    crash, full = auditing.crash, auditing.when_full
    if isinstance(crash, Unknown):
        missing = OpenQuestion(f"CrashOnAuditFail of {on}", crash.why, crash.remedy)
        told = f"CrashOnAuditFail is not known: {crash.why.rstrip('.')}"
        return Gate.of(says, GateOutcome.NOT_KNOWN, told, unknowns=(missing,))
    if crash is CrashOnAuditFail.OFF:
        return Gate.of(says, GateOutcome.PASSED, "CrashOnAuditFail is 0")
    if crash is CrashOnAuditFail.TRIPPED:
        told = (
            "CrashOnAuditFail is 2: an audit has failed already, and only administrators may log on until the Security log"
            " is cleared and the value is 1 again"
        )
        return Gate.of(says, GateOutcome.BLOCKED, told)
    if full is WhenFull.OVERWRITES:
        return Gate.of(says, GateOutcome.PASSED, f"CrashOnAuditFail is 1, and the Security log {full}")
    if full is WhenFull.KEEPS:
        told = f"CrashOnAuditFail is 1, and a full Security log {full}: the first audit then stops {on} with C0000244"
        return Gate.of(says, GateOutcome.BLOCKED, told)
    if full is WhenFull.ARCHIVES:
        why = f"a full one {full}, which counts only from the next start or clearing on, and takes a volume with room"
    else:
        why = full.why if isinstance(full, Unknown) else "neither its service nor a policy says it."
    missing = OpenQuestion(f"what a full Security log of {on} does", why, f"On {on}: wevtutil gl Security")
    told = f"CrashOnAuditFail is 1, and what a full Security log does is not known: {why.rstrip('.')}"
    return Gate.of(says, GateOutcome.NOT_KNOWN, told, unknowns=(missing,))


def _no_other_policy(on: str, auditing: Auditing) -> Gate:
    """Only a warning: a refresh in between is seen by the comparison at the end, and the policy wins either way."""
    says = GateText(
        f"No Group Policy sets an advanced audit policy on {on}",
        f"A Group Policy sets an advanced audit policy on {on}",
        f"It is not known whether a Group Policy sets an advanced audit policy on {on}",
    )
    policies = auditing.policies
    if isinstance(policies, Unknown):
        missing = OpenQuestion(f"which Group Policy sets auditing on {on}", policies.why, policies.remedy)
        told = f"not known: {policies.why.rstrip('.')}"
        return Gate.of(says, GateOutcome.NOT_KNOWN, told, blocks=False, unknowns=(missing,))
    told = f"{join_names(policies, 4)} {'does' if len(policies) == 1 else 'do'}" if policies else "none was applied"
    ignored = "; a legacy audit policy is passed over" if auditing.ignores_legacy is True else ""
    return Gate.of(says, GateOutcome.of(not policies), f"{told}{ignored}", blocks=False)


def _no_legacy_policy(on: str, auditing: Auditing) -> tuple[Gate, ...]:
    """Where SCENoApplyLegacyAuditPolicy is 0, the categories of a policy go before the subcategories [doc: ff719776].

    Whether there is such a policy stands in the domain's SYSVOL, which is not read: so it is not known, and warns.
    """
    if auditing.ignores_legacy is not False:
        return ()
    missing = OpenQuestion(
        f"whether a Group Policy has a legacy audit policy for {on}",
        "SCENoApplyLegacyAuditPolicy is 0 there, and policies of the domain are not read.",
        f"On {on}: gpresult /scope computer /v, Audit Policy.",
    )
    told = "not known: one overwrites the subcategories at the next refresh, since SCENoApplyLegacyAuditPolicy is 0"
    says = GateText(
        f"No legacy audit policy of a Group Policy applies to {on}",
        f"A legacy audit policy of a Group Policy applies to {on}",
        f"It is not known whether a legacy audit policy of a Group Policy applies to {on}",
    )
    return (Gate.of(says, GateOutcome.NOT_KNOWN, told, blocks=False, unknowns=(missing,)),)


def _refused(on: str, facts: Facts) -> str:
    """Why there is no plan; "" where there is one."""
    if facts.host.build is None:
        return f"No plan for {on}: it did not report which Windows it runs, and this helps on the 2012 family only."
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
        "On a Windows Server 2012 or Windows 8 console or later: close every open wizard and Hyper-V Manager, open them"
        f" again, and browse for a file on {on}. Press Done only if the files are listed. If they are not, press Stop After Step:"
        " this was not the cause."
    )
    return Step(
        key="browse",
        description=f"Confirm that remote browsing works on {on}",
        act=ManualStep(says, "operator"),
        done=(as_it_was(on, first),),
        deadline=_HOURS_FOR_A_PERSON * 3600,
    )


def undo_gates(args: Args, facts: Facts, back: Plan) -> tuple[Gate, ...]:
    """Nothing: what it audits is set back by GUID, and compared afterwards."""
    del args, facts, back
    return ()


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
