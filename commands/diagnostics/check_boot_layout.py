"""Check how hosts start: UEFI or BIOS, GPT or MBR, EFI and reserved partition, firmware version, and which hosts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Remedy, Report
from commands.boot_layout.facts import BootFacts, find_boot_facts
from commands.boot_layout.findings import fine, layout_findings, layout_table, notes, version_findings
from commands.boot_layout.layout import Judged, Layout, judge
from commands.formatting import join_names, pluralize, summarize_failures

_IN_WORDS = {
    Layout.NO_EFI: "no visible EFI partition",
    Layout.CONTRADICTS: "firmware and partition table do not match",
    Layout.EFI_ELSEWHERE: "its EFI partition is on another disk",
    Layout.NO_RESERVED: "UEFI from GPT, no reserved partition",
    Layout.BIOS: "BIOS mode, MBR",
    Layout.UEFI: "UEFI and GPT with EFI and reserved partition",
}


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: QueryClient) -> BootFacts:
    """Ask the cluster for its nodes, then all of them at once."""
    return await find_boot_facts(args.target, ask)


def evaluate(args: Args, facts: BootFacts) -> Report:
    """What is missing first, then who differs, then what is only noted; a host that cannot be told is unknown."""
    read = {name: judge(name, host) for name, host in facts.hosts.items()}
    judged = [one for one in read.values() if isinstance(one, Judged)]
    unknown = [one for one in (facts.unlisted, *read.values()) if isinstance(one, Unknown)]
    title = _title(args.target, judged, len(unknown))
    return Report(
        title=title,
        summary=title,
        of="hosts",
        asked=len(read),
        answered=len(judged),
        findings=(*layout_findings(judged, args.target.name), *version_findings(facts.hosts)),
        unanswered=summarize_failures(_grouped(unknown), "host"),
        fine=fine(judged),
        notes=notes(judged),
        table=layout_table(facts.hosts, read) if facts.hosts else None,
        remedies=_remedies(args.target),
        did="checked",
    )


def _title(target: Target, judged: Sequence[Judged], unknown: int) -> str:
    """The worst in a few words, by name; then who is fine. What is unknown is always said."""
    rest = f", {unknown} unknown" if unknown else ""
    if not judged:
        return f"{target}: cannot tell how {'any host starts' if target.kind == 'cluster' else 'it starts'}"
    worst = min(judged, key=lambda one: list(Layout).index(one.layout)).layout
    same = [one.name for one in judged if one.layout is worst]
    if target.kind != "cluster":
        return f"{target}: {_IN_WORDS[worst]}{rest}"
    if len(same) == len(judged):
        return f"{target}: {_IN_WORDS[worst]} on {_all(len(judged))}{rest}"
    others = [one for one in judged if one.layout is not worst]
    well = f", {pluralize(len(others), 'other')} UEFI" if all(one.layout is Layout.UEFI for one in others) else ""
    return f"{target}: {_IN_WORDS[worst]} on {join_names(same, 3)}{well}{rest}"


def _all(count: int) -> str:
    return "the one host that answered" if count == 1 else f"all {count} hosts"


def _grouped(unknown: Sequence[Unknown]) -> tuple[Unknown, ...]:
    """Hosts of which the same is not known in one line: a whole cluster of an old Windows is one sentence."""
    found: dict[Unknown, list[str]] = {}
    for one in unknown:
        found.setdefault(replace(one, target=""), []).append(one.target)
    return tuple(replace(one, target=join_names(names, 12)) for one, names in found.items())


def _remedies(target: Target) -> tuple[Remedy, ...]:
    """From a host to its cluster: how its neighbours start."""
    if target.kind == "cluster" or not target.cluster:
        return ()
    return (Remedy("Compare All Nodes", f"/check-boot-layout {target.cluster}"),)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
