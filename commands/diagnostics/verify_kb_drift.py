"""Compare builds, updates and pending reboots of a cluster's nodes, and warn of known traps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.arguments import ClusterTarget, Kb
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.report import Column, Finding, Healthy, Report, Severity, Table
from commands.formatting import join_names, pluralize, summarize_failures, truncate_list
from commands.patches.drift import Drift, TriggeredIssue, drifts, needing_disks, triggered_issues, usual_build
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.guests import virtual_machines
from commands.sources.updates import NodeUpdates, look_at_updates, scsi_guests

_SHOWN = 6  # updates that a finding names; the table has all


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: ClusterTarget
    kbs: tuple[Kb, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out.

    Attributes:
        nodes: node -> its updates, or why they are not known.
        scsi_guests: node -> guests with disks on SCSI controllers; only where a trap depends on it.
        unfound: why the nodes themselves are not known; None where they are.
    """

    nodes: Mapping[str, NodeUpdates | Unknown]
    scsi_guests: Mapping[str, tuple[str, ...] | Unknown]
    unfound: Unknown | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask for the nodes, then every node at once; then for disks, where a trap depends on them."""
    nodes = value_of(await ask.query(cluster_nodes(args.target.name)))
    if isinstance(nodes, Unknown):
        return Facts({}, {}, nodes)
    updates = await look_at_updates(nodes, ask)
    suspected = set(needing_disks(_answered(updates)))
    disks = await _ask_disks([node for node in nodes if node.name in suspected], ask)
    return Facts(updates, disks)


async def _ask_disks(nodes: Sequence[Node], ask: QueryClient) -> dict[str, tuple[str, ...] | Unknown]:
    if not nodes:
        return {}
    scsi, guests = await asyncio.gather(
        ask.query_many({node.name: scsi_guests(node) for node in nodes}),
        ask.query_many({node.name: virtual_machines(node) for node in nodes}),
    )
    found: dict[str, tuple[str, ...] | Unknown] = {}
    for on, ids in scsi.items():
        own = guests[on]
        names = {} if isinstance(own, Unknown) else {guest.vm_id: guest.name for guest in own.value}
        found[on] = ids if isinstance(ids, Unknown) else tuple(sorted(names.get(one, one) for one in ids.value))
    return found


def evaluate(args: Args, facts: Facts) -> Report:
    """Builds first, then traps, then updates, then reboots; a silent node is unknown, never different."""
    nodes = _answered(facts.nodes)
    drift = drifts(nodes, args.kbs)
    traps = triggered_issues(nodes, facts.scsi_guests)
    odd = _odd_builds(nodes)
    differ = _differing(nodes, drift, odd)
    title = _title(args, facts, nodes, differ, traps)
    silent = _silent(facts)
    return Report(
        title=title,
        summary=_summary(title, facts, nodes, traps),
        of="nodes",
        asked=len(facts.nodes),
        answered=len(nodes),
        findings=(
            *_build_findings(nodes, odd),
            *(_trap_finding(one) for one in traps),
            *_drift_findings(nodes, [one for one in drift if not _is_trap(one, traps)]),
            *_reboot_findings(nodes),
        ),
        unanswered=summarize_failures(silent, "node"),
        fine=_fine(nodes, differ),
        notes=_notes(args, nodes, drift),
        table=_table(nodes, drift),
    )


def _answered(updates: Mapping[str, NodeUpdates | Unknown]) -> dict[str, NodeUpdates]:
    return {name: node for name, node in updates.items() if not isinstance(node, Unknown)}


def _odd_builds(nodes: Mapping[str, NodeUpdates]) -> dict[str, NodeUpdates]:
    usual = usual_build(nodes)
    return {name: node for name, node in nodes.items() if node.build != usual}


def _differing(
    nodes: Mapping[str, NodeUpdates], drift: Sequence[Drift], odd: Mapping[str, NodeUpdates]
) -> tuple[str, ...]:
    """Nodes that differ from most, in the order of the nodes. What no node lists differs nowhere."""
    found = set(odd) | {name for one in drift if one.having for name in one.odd_ones}
    return tuple(name for name in nodes if name in found)


def _title(
    args: Args,
    facts: Facts,
    nodes: Mapping[str, NodeUpdates],
    differ: Sequence[str],
    traps: Sequence[TriggeredIssue],
) -> str:
    silent = len(facts.nodes) - len(nodes)
    unknown = f", {silent} unknown" if silent else ""
    if not nodes:
        return f"{args.target}: no node said which updates it has"
    if not differ and not traps:
        reboots = sum(bool(node.reboot_for) for node in nodes.values())
        waits = f", {pluralize(reboots, 'reboot')} pending" if reboots else ""
        return f"{args.target}: {pluralize(len(nodes), 'node')} {'agree' if len(nodes) > 1 else 'answered'}{waits}{unknown}"
    known = f", {pluralize(len(traps), 'known trap')}" if traps else ""
    return f"{args.target}: {len(differ)} of {pluralize(len(nodes), 'node')} differ{known}{unknown}"


def _summary(title: str, facts: Facts, nodes: Mapping[str, NodeUpdates], traps: Sequence[TriggeredIssue]) -> str:
    """The title, where the traps are, who is silent."""
    parts = [title]
    if traps:
        parts.append(f"trap on {join_names(dict.fromkeys(name for one in traps for name in one.nodes), 4)}")
    silent = [name for name in facts.nodes if name not in nodes]
    if silent:
        parts.append(f"{join_names(silent, 4)} UNKNOWN")
    return "; ".join(parts)


def _build_findings(nodes: Mapping[str, NodeUpdates], odd: Mapping[str, NodeUpdates]) -> list[Finding]:
    usual = usual_build(nodes)
    found = []
    for build in dict.fromkeys(node.build for node in odd.values()):
        names = [name for name, node in odd.items() if node.build == build]
        says = f"Build {build}; most nodes run {usual}."
        means = ("Means", "Their updates are not comparable one by one: bring them to one build first.")
        found.append(Finding(Severity.WARNING, "DIFFERS", join_names(names), says, (means,)))
    return found


def _trap_finding(sprung: TriggeredIssue) -> Finding:
    steps = "; ".join(f"({number}) {step}" for number, step in enumerate(sprung.trap.by_hand, start=1))
    lines = [("Means", sprung.trap.means), ("By hand", f"Per node: {steps}.")]
    if sprung.guests:
        lines.append(("Because", f"Disks on SCSI controllers: {join_names(sprung.guests)}."))
    lines.append(("Because", f"{sprung.trap.source} ({sprung.trap.date})."))
    return Finding(Severity.FAULT, "TRAP", join_names(sprung.nodes), f"{sprung.trap.says}.", tuple(lines))


def _is_trap(drift: Drift, traps: Sequence[TriggeredIssue]) -> bool:
    """Whether a trap's finding says it already."""
    return any(one.trap.missing == drift.kb and set(one.nodes) == set(drift.lacking) for one in traps)


def _drift_findings(nodes: Mapping[str, NodeUpdates], drift: Sequence[Drift]) -> list[Finding]:
    """One finding per set of nodes that differ alike; the table has every update."""
    alike: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for one in drift:
        if one.having:
            alike.setdefault((one.odd_ones, one.odd_ones == one.lacking), []).append(one.kb)
    found = []
    for (names, lacks), kbs in alike.items():
        what = join_names(kbs, _SHOWN)
        others = len(nodes) - len(names)
        says = f"{what} not listed; {others} of {len(nodes)} list it." if lacks else f"Only here: {what}."
        found.append(Finding(Severity.WARNING, "DIFFERS", join_names(names), says))
    nowhere = [one.kb for one in drift if not one.having]
    if nowhere:
        says = f"{join_names(nowhere, _SHOWN)} not listed on any node that answered."
        found.append(Finding(Severity.NOTE, "NOT LISTED", "every node", says))
    return found


def _reboot_findings(nodes: Mapping[str, NodeUpdates]) -> list[Finding]:
    waiting = {name: node.reboot_for for name, node in nodes.items() if node.reboot_for}
    if not waiting:
        return []
    why = join_names(dict.fromkeys(reason for reasons in waiting.values() for reason in reasons))
    lines = (
        ("Means", "Updates there are not in force yet, and what is listed may still change."),
        ("By hand", "Drain and restart one node after the other, then look again."),
    )
    return [Finding(Severity.WARNING, "REBOOT PENDING", join_names(waiting), f"Wanted by {why}.", lines)]


def _silent(facts: Facts) -> list[Unknown]:
    found = [facts.unfound] if facts.unfound else []
    for node in facts.nodes.values():
        if isinstance(node, Unknown):
            found.append(node)
        elif node.failed:
            first = node.failed[0]
            says = f"{first.why} Whether a reboot is pending is not known."
            found.append(Unknown(first.target, first.kind, says, first.remedy))
    for part in facts.scsi_guests.values():
        if isinstance(part, Unknown):
            says = f"{part.why} Whether its guests have disks on SCSI controllers is not known (KB2636573)."
            found.append(Unknown(part.target, part.kind, says, part.remedy))
    return found


def _fine(nodes: Mapping[str, NodeUpdates], differ: Sequence[str]) -> tuple[Healthy, ...]:
    same = [name for name in nodes if name not in differ]
    if not same or len(nodes) < 2:  # noqa: PLR2004 - one node agrees with nobody
        return ()
    return (Healthy("SAME", truncate_list(same, 12), f"build {usual_build(nodes)}"),)


def _notes(args: Args, nodes: Mapping[str, NodeUpdates], drift: Sequence[Drift]) -> tuple[str, ...]:
    everywhere = [kb for kb in (args.kbs or {kb for node in nodes.values() for kb in node.listed}) if nodes]
    agree = len(set(everywhere) - {one.kb for one in drift})
    notes = [f"{pluralize(agree, 'update')} {'agrees' if agree == 1 else 'agree'}."] if nodes else []
    notes.append("Windows lists CBS updates only: “not listed” is no proof of absence.")
    return tuple(notes)


def _table(nodes: Mapping[str, NodeUpdates], drift: Sequence[Drift]) -> Table | None:
    """Two columns fit a phone."""
    rows = tuple((one.kb, _where(one, len(nodes))) for one in drift)
    return Table("Updates that not every node lists", (Column("KB"), Column("Not listed on")), rows) if rows else None


def _where(drift: Drift, nodes: int) -> str:
    if not drift.having:
        return f"every node that answered ({nodes})"
    if len(drift.lacking) > len(drift.having):
        return f"all but {join_names(drift.having)}"
    return join_names(drift.lacking, 20)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
