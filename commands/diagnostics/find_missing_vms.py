"""Find virtual machines that SCVMM shows as Missing, or on the wrong host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.api.arguments import Target, VmmTarget
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from bot.api.report import Finding, Healthy, Remedy, Report, Severity
from bot.api.texts import clip
from commands.formatting import join_names, pluralize, summarize_failures, tell_apart
from commands.sources import vmm
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.guests import Guest, virtual_machines
from commands.sources.vmm import Layout, Machine, VmmJob
from commands.vmm.compare import Compared, RecordStatus, compare, known_states, unrecorded
from commands.vmm.findings import findings, names, replica_notes, seen_at, table
from commands.vmm.resolve_record import Resolved, repair_options

_MISSING = (RecordStatus.LOST, RecordStatus.STALE, RecordStatus.GONE)
_OTHERS = (RecordStatus.WRONG_HOST, RecordStatus.DUPLICATE, RecordStatus.OTHER_STATE)
_DIFFERS = (*_MISSING, *_OTHERS)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    vmm: VmmTarget


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out; what depends on an unknown schema is empty.

    Attributes:
        seen: host -> its virtual machines, or why they are not known.
        clusters: clusters that did not name their nodes, and why.
        failed: VMM's id of a machine -> the job that failed over it; Unknown, or None where the schema has no jobs.
    """

    layout: Layout | Unknown
    hosts: Mapping[str, str] | Unknown = field(default_factory=dict)
    machines: tuple[Machine, ...] | Unknown = ()
    seen: Mapping[str, tuple[Guest, ...] | Unknown] = field(default_factory=dict)
    clusters: tuple[Unknown, ...] = ()
    failed: Mapping[str, VmmJob] | Unknown | None = None
    running_jobs: int | Unknown | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """What one VMM server believes, and what is so."""
    return await look_at(args.vmm, ask)


async def look_at(server: Target, ask: QueryClient) -> Facts:
    """Look at the schema first; then at VMM's records and at every node, at once."""
    on = server.name
    layout = value_of(await ask.query(vmm.database_layout(on)))
    if isinstance(layout, Unknown) or not layout.is_known:
        return Facts(layout, running_jobs=layout if isinstance(layout, Unknown) else None)
    hosts, machines, failed, running, (seen, silent) = await asyncio.gather(
        ask.query(vmm.recorded_hosts(on)),
        ask.query(vmm.recorded_machines(on)),
        _failed_jobs(on, layout, ask),
        _running_jobs(on, layout, ask),
        _look_at_clusters(server.clusters, ask),
    )
    return Facts(layout, value_of(hosts), value_of(machines), seen, silent, failed, running)


async def _failed_jobs(on: str, layout: Layout, ask: QueryClient) -> Mapping[str, VmmJob] | Unknown | None:
    return value_of(await ask.query(vmm.failed_jobs(on))) if layout.has_failed_jobs else None


async def _running_jobs(on: str, layout: Layout, ask: QueryClient) -> int | Unknown | None:
    return value_of(await ask.query(vmm.running_jobs(on))) if layout.has_jobs else None


async def _look_at_clusters(
    clusters: Sequence[str], ask: QueryClient
) -> tuple[dict[str, tuple[Guest, ...] | Unknown], tuple[Unknown, ...]]:
    """Every node of every cluster: its virtual machines."""
    found = await ask.query_many({name: cluster_nodes(name) for name in clusters})
    nodes: list[Node] = [node for part in found.values() if not isinstance(part, Unknown) for node in part.value]
    seen = await ask.query_many({node.name: virtual_machines(node) for node in nodes})
    return values_of(seen), tuple(part for part in found.values() if isinstance(part, Unknown))


def evaluate(args: Args, facts: Facts) -> Report:
    """Who is missing and where they really are; what was not seen is unknown, never gone."""
    if isinstance(facts.layout, Unknown):
        return _nothing(args, facts.layout)
    if not facts.layout.is_known:
        return _unknown_schema(args, facts.layout)
    for part in (facts.hosts, facts.machines):
        if isinstance(part, Unknown):
            return _nothing(args, part)
    assert not isinstance(facts.hosts, Unknown)
    assert not isinstance(facts.machines, Unknown)
    seen = {host: part for host, part in facts.seen.items() if not isinstance(part, Unknown)}
    silent = [*facts.clusters, *(part for part in facts.seen.values() if isinstance(part, Unknown))]
    states = known_states(facts.layout)
    compared = compare(facts.machines, facts.hosts, seen, [one.target for one in silent], states)
    jobs = facts.failed if isinstance(facts.failed, Mapping) else {}
    title = _title(args, compared, len(silent))
    return Report(
        title=title,
        summary=_summary(title, compared),
        of="nodes",
        asked=len(facts.seen),
        answered=len(seen),
        findings=findings(compared, jobs, facts.running_jobs),
        unanswered=summarize_failures((*silent, *_jobs_unanswered(facts), *_not_known(compared)), "target"),
        fine=_fine(compared),
        notes=_notes(facts, facts.layout, compared, seen),
        background=(
            f"The schema is that of VMM {facts.layout.release}, identified by its columns. Matched by virtual-machine id, never by name.",
        ),
        table=table(compared),
        remedies=_remedies(args, compared),
    )


def _title(args: Args, compared: Sequence[Compared], silent: int) -> str:
    missing = [one for one in compared if one.verdict in _MISSING]
    others = len({one.machine.vm_id for one in compared if one.verdict in _OTHERS})
    unheard = [one.believed or "a host" for one in compared if one.verdict is RecordStatus.NOT_HEARD]
    unknown = sum(one.verdict is RecordStatus.UNKNOWN for one in compared)
    tail = f", {unknown} unknown" if unknown else ", not all hosts answered" if silent else ""
    parts = []
    if len(missing) == 1 and missing[0].real and missing[0].verdict is RecordStatus.LOST:
        where = f"{missing[0].real.guest.power.value} on {missing[0].real.host}"
        parts.append(f"{missing[0].machine.name} is missing in VMM, and {where}")
    elif len(missing) == 1 and missing[0].namesakes:
        where = seen_at(missing[0].namesakes.first[0].place)
        parts.append(f"{missing[0].machine.name} is missing in VMM; another machine of that name is {where}")
    elif missing:
        parts.append(f"{pluralize(len(missing), 'virtual machine')} missing")
    if unheard:
        hosts = join_names(dict.fromkeys(unheard), 4)
        parts.append(f"VMM does not hear from {hosts}, {pluralize(len(unheard), 'virtual machine')} there")
    if others:
        wrong = f"VMM is wrong about {pluralize(others, 'virtual machine')}"
        parts.append(f"{others} more differ" if parts else wrong)
    if not parts:
        agree = sum(one.verdict is RecordStatus.AGREES for one in compared)
        parts.append(f"VMM and hosts agree about {pluralize(agree, 'virtual machine')}")
    return clip(f"{args.vmm}: {', '.join(parts)}{tail}", 150)


def _summary(title: str, compared: Sequence[Compared]) -> str:
    differing = names(compared, *_DIFFERS)
    return f"{title} ({differing})" if differing and differing not in title else title


def _not_known(compared: Sequence[Compared]) -> tuple[Unknown, ...]:
    return tuple(
        Unknown(one.machine.name, "not known", one.why) for one in compared if one.verdict is RecordStatus.UNKNOWN
    )


def _jobs_unanswered(facts: Facts) -> tuple[Unknown, ...]:
    return tuple(part for part in (facts.failed, facts.running_jobs) if isinstance(part, Unknown))


def _fine(compared: Sequence[Compared]) -> tuple[Healthy, ...]:
    agree = sum(one.verdict is RecordStatus.AGREES for one in compared)
    return (Healthy("AGREE", (pluralize(agree, "virtual machine"),), "on the host that VMM names"),) if agree else ()


def _notes(
    facts: Facts, layout: Layout, compared: Sequence[Compared], seen: Mapping[str, Sequence[Guest]]
) -> tuple[str, ...]:
    assert not isinstance(facts.machines, Unknown)
    notes = []
    if layout.release == vmm.OLDEST:
        notes.append("For 2008 R2 only the states Running and Missing are known by number.")
    if isinstance(facts.running_jobs, int) and facts.running_jobs:
        noun = "VMM job" if facts.running_jobs == 1 else "VMM jobs"
        notes.append(
            f"{vmm.running_words(facts.running_jobs)} {noun} running: some of the differences may be their work."
        )
    if facts.failed is None:
        notes.append("Failed jobs are not shown: this schema has no column for them that is known.")
    if skipped := names(compared, RecordStatus.NOT_COMPARED):
        notes.append(f"Not compared, since their hosts were not asked or did not answer: {skipped}.")
    strangers = unrecorded(facts.machines, seen)
    called = tell_apart((place.guest.vm_id, place.guest.name) for place in strangers)
    if listed := list(dict.fromkeys(called[one.guest.vm_id] for one in strangers if not one.guest.is_copy)):
        notes.append(f"VMM has no record of {join_names(listed)}.")
    return (*notes, *replica_notes(compared, strangers))


def _remedies(args: Args, compared: Sequence[Compared]) -> tuple[Remedy, ...]:
    """For the first that can be mended."""
    mendable = (one for one in compared if one.verdict in (RecordStatus.LOST, RecordStatus.STALE))
    first = next(mendable, None)
    return repair_options(Resolved(args.vmm.name, first), compared) if first else ()


def _nothing(args: Args, why: Unknown) -> Report:
    title = f"{args.vmm}: VMM's database did not answer"
    return Report(title, f"{title}: {why.why}", "databases", 1, 0, unanswered=(why,))


def _unknown_schema(args: Args, layout: Layout) -> Report:
    title = f"{args.vmm}: the schema of VMM's database is unknown"
    lines = (
        ("Means", "Nothing was read from it, and nothing will be changed in it."),
        ("Because", f"Not there, or of another type: {join_names(layout.lacks)}."),
        (
            "By hand",
            "Compare Get-SCVirtualMachine with Get-ClusterGroup, and refresh what differs with Read-SCVirtualMachine.",
        ),
    )
    finding = Finding(
        Severity.WARNING, "UNKNOWN", str(args.vmm), "This VMM is a version that hvops does not know.", lines
    )
    return Report(title, title, "databases", 1, 1, findings=(finding,))


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
