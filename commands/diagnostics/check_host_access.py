"""Check that hvops can query each host: login, Hyper-V, cluster, WinRM quotas, event channels, VSS writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Finding, Healthy, Remedy, Report, Severity
from bot.api.texts import clip
from commands.formatting import join_names, pluralize
from commands.host_access.checks import LOGIN, WRITERS, check_host, check_nodes, check_vm_ids
from commands.host_access.facts import AccessFacts, find_access
from commands.host_access.verdict import NotKnown, Passed, Verdict

_NAMED = 3  # hosts that a header has room for
_WORST_FIRST = (Severity.FAULT, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: QueryClient) -> AccessFacts:
    """Ask the cluster for its nodes, each host to log in, then everything else at once."""
    return await find_access(args.target, ask)


def evaluate(args: Args, facts: AccessFacts) -> Report:
    """What hvops may not ask first, then what somebody should know, then what is not known, then what is well."""
    verdicts = _verdicts(args, facts)
    found = [one for one in verdicts if isinstance(one, Finding)]
    findings = sorted(found, key=lambda one: _WORST_FIRST.index(one.severity))
    unanswered = _unanswered([one for one in verdicts if isinstance(one, NotKnown)])
    title = _title(args, facts, findings, unanswered)
    return Report(
        title=title,
        summary=title,
        of="hosts",
        asked=len(facts.hosts),
        answered=sum(not isinstance(host.login, Unknown) for host in facts.hosts),
        findings=_together(findings),
        unanswered=unanswered,
        fine=_fine([one for one in verdicts if isinstance(one, Passed)]),
        notes=_notes(args, facts),
        remedies=_remedies(findings),
    )


def _verdicts(args: Args, facts: AccessFacts) -> list[Verdict]:
    """The cluster's own first, then host by host."""
    found: list[Verdict] = []
    if facts.unfound is not None:
        found.append(check_nodes(args.target.name, facts.unfound))
    if facts.vm_ids is not None:
        found.append(check_vm_ids(args.target.name, facts.vm_ids))
    return [*found, *(verdict for host in facts.hosts for verdict in check_host(host))]


def _together(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for all hosts of which the same is to be said: "hv02, hv05"."""
    alike: dict[Finding, list[str]] = {}
    for one in findings:
        alike.setdefault(replace(one, target=""), []).append(one.target)
    return tuple(replace(one, target=", ".join(hosts)) for one, hosts in alike.items())


def _unanswered(unknown: Sequence[NotKnown]) -> tuple[Unknown, ...]:
    """One line for what a host left open for one reason, which names every check that could not be made."""
    together: dict[Unknown, list[str]] = {}
    for one in unknown:
        together.setdefault(one.why, []).append(one.word)
    return tuple(
        Unknown(why.target, why.kind, f"{why.why} {_left_open(words)}", why.remedy) for why, words in together.items()
    )


def _left_open(words: Sequence[str]) -> str:
    if LOGIN in words:
        return "The login was not confirmed, so nothing else was checked."
    return f"Not known: {join_names(map(str.lower, words))}."


def _fine(passed: Sequence[Passed]) -> tuple[Healthy, ...]:
    """One line for all hosts that say the same to the same check."""
    together: dict[tuple[str, str], list[str]] = {}
    for one in passed:
        together.setdefault((one.word, one.says), []).append(one.host)
    return tuple(Healthy(word, tuple(hosts), says) for (word, says), hosts in together.items())


def _title(args: Args, facts: AccessFacts, findings: Sequence[Finding], unanswered: Sequence[Unknown]) -> str:
    barred = list(dict.fromkeys(one.target for one in findings if one.severity is Severity.FAULT))
    silent = [name for name in dict.fromkeys(one.target for one in unanswered) if name not in barred]
    unknown = f", {join_names(silent, _NAMED)} unknown" if silent else ""
    total, well = len(facts.hosts), sum(host.name not in silent for host in facts.hosts)
    name = args.target.name
    if barred:
        on = "" if barred == [name] else f" on {join_names(barred, _NAMED)}"
        return clip(f"{name}: hvops cannot query everything it needs{on}{unknown}", 150)
    if silent and not well:
        return f"{name}: not known whether hvops can query everything it needs"
    warned = sum(one.severity is Severity.WARNING for one in _together(findings))
    warnings = f", with {pluralize(warned, 'warning')}" if warned else ""
    if silent:
        return clip(f"{name}: hvops can query everything it needs on {well} of {total} hosts{unknown}{warnings}", 150)
    on = f" on all {total} hosts" if total > 1 else ""
    return f"{name}: hvops can query everything it needs{on}{warnings}"


def _notes(args: Args, facts: AccessFacts) -> tuple[str, ...]:
    if not args.target.services_of or any(isinstance(host.login, Unknown) for host in facts.hosts):
        return ()
    host, servers = args.target.name, join_names(args.target.services_of)
    return (f"{host} runs the service of {servers}, so Hyper-V, event channels and VSS writers were not checked.",)


def _remedies(findings: Sequence[Finding]) -> tuple[Remedy, ...]:
    """Writers that are not listed have a command of their own."""
    unlisted = [one.target for one in findings if one.status == WRITERS and one.severity is Severity.WARNING]
    return tuple(Remedy("Check Writers", f"/check-writers {name}") for name in unlisted[:1])


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate, examines=True)
