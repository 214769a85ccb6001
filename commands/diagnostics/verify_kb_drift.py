"""Compare builds, updates and pending reboots of a cluster's nodes, and warn about known issues."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.api.arguments import ClusterTarget, Kb
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.report import Column, Finding, Healthy, Remedy, Report, Severity, Table
from commands.formatting import format_time, join_names, pluralize, summarize_failures, truncate_list
from commands.patches.drift import Drift, TriggeredIssue, drifts, needing_disks, outside_cumulative, triggered_issues
from commands.patches.levels import Release, by_release, in_rolling_upgrade, with_unknown_track
from commands.patches.reboots import FlagAge, RebootFlags, look_at_flags
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.guests import virtual_machines
from commands.sources.updates import NodeUpdates, look_at_tracks, look_at_updates, scsi_guests

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
        flags: node with a flag that asks for a restart -> what tells how old it is.
        hotpatched: node -> True where it is known to be enrolled; only where builds are compared that have hotpatches.
        unfound: why the nodes themselves are not known; None where they are.
    """

    now: datetime
    nodes: Mapping[str, NodeUpdates | Unknown]
    scsi_guests: Mapping[str, tuple[str, ...] | Unknown]
    flags: Mapping[str, RebootFlags] = field(default_factory=dict)
    hotpatched: Mapping[str, bool | None] = field(default_factory=dict)
    unfound: Unknown | None = None


@dataclass(frozen=True, slots=True)
class _Compared:
    """What compares with what.

    Attributes:
        releases: the nodes by the Windows that they run.
        drift: updates that not every node lists, of nodes whose lists compare.
        history: the same, of nodes at one cumulative level: it says nothing of what is in force.
        outside: of the history, those that the revision is unlikely to cover.
        agreeing: how many updates every node lists; None where not all lists compare.
    """

    releases: tuple[Release, ...]
    drift: tuple[Drift, ...]
    history: tuple[Drift, ...]
    agreeing: int | None
    outside: tuple[Drift, ...] = ()


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask for the nodes, then every node at once; then for what only some answers make necessary."""
    nodes = value_of(await ask.query(cluster_nodes(args.target.name)))
    if isinstance(nodes, Unknown):
        return Facts(ask.now, {}, {}, unfound=nodes)
    updates = await look_at_updates(nodes, ask)
    answered = _answered(updates)
    suspected = set(needing_disks(answered))
    disks, flags, tracks = await asyncio.gather(
        _ask_disks([node for node in nodes if node.name in suspected], ask),
        look_at_flags(answered, ask),
        look_at_tracks(with_unknown_track(answered), ask),
    )
    return Facts(ask.now, updates, disks, flags, tracks)


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
    compared = _compare(nodes, facts, args.kbs)
    traps = triggered_issues(nodes, facts.scsi_guests)
    differ = _differing(nodes, compared)
    title = _title(args, facts, compared, differ, traps)
    silent = _silent(facts)
    return Report(
        title=title,
        summary=_summary(title, facts, nodes, traps),
        of="nodes",
        asked=len(facts.nodes),
        answered=len(nodes),
        findings=(
            *_release_findings(compared.releases),
            *(one for release in compared.releases for one in _build_findings(release)),
            *(_unrevised_finding(release) for release in compared.releases if release.unrevised),
            *(_trap_finding(one) for one in traps),
            *_drift_findings(nodes, [one for one in compared.drift if not _is_trap(one, traps)]),
            *_outside_findings(compared.outside),
            *_asked_findings(args, compared),
            *_reboot_findings(facts),
        ),
        unanswered=summarize_failures(silent, "node"),
        fine=_fine(nodes, compared, differ),
        notes=_notes(nodes, compared),
        table=_table(nodes, (*compared.drift, *compared.history)),
        remedies=_remedies(args, traps),
    )


def _remedies(args: Args, traps: Sequence[TriggeredIssue]) -> tuple[Remedy, ...]:
    """The way out of each trap that hvops can go; the others are for people."""
    keys = dict.fromkeys(one.trap.key for one in traps if one.trap.steps)
    return tuple(Remedy("Fix KB Drift…", f"/fix-kb-drift {args.target} {key}") for key in keys)


def _compare(nodes: Mapping[str, NodeUpdates], facts: Facts, kbs: Sequence[str]) -> _Compared:
    """Lists of updates compare within one Windows; where updates are cumulative, within one revision, as history."""
    releases = by_release(nodes, facts.hotpatched)
    if kbs and any(release.is_cumulative for release in releases):
        return _Compared(releases, (), drifts(nodes, kbs), None)  # asked for by number: who lists them, and no more
    drift: list[Drift] = []
    history: list[Drift] = []
    outside: list[Drift] = []
    groups = 0
    for release in releases:
        alike = release.by_build.values() if release.is_cumulative else [tuple(release.nodes)]
        for names in alike:
            groups += 1
            own = {name: nodes[name] for name in names}
            found = drifts(own, kbs)
            if release.is_cumulative:
                outside.extend(outside_cumulative(own, found))
            (history if release.is_cumulative else drift).extend(found)
    listed = set(kbs or {kb for node in nodes.values() for kb in node.listed})
    agreeing = len(listed - {one.kb for one in (*drift, *history)}) if groups == 1 else None
    return _Compared(releases, tuple(drift), tuple(history), agreeing, tuple(outside))


def _answered(updates: Mapping[str, NodeUpdates | Unknown]) -> dict[str, NodeUpdates]:
    return {name: node for name, node in updates.items() if not isinstance(node, Unknown)}


def _differing(nodes: Mapping[str, NodeUpdates], compared: _Compared) -> tuple[str, ...]:
    """Nodes that differ from most of their Windows, in the order of the nodes. What no node lists differs nowhere."""
    found = {name for release in compared.releases for name in release.odd}
    found |= {name for one in compared.drift if one.having for name in one.odd_ones}
    return tuple(name for name in nodes if name in found)


def _title(
    args: Args,
    facts: Facts,
    compared: _Compared,
    differ: Sequence[str],
    traps: Sequence[TriggeredIssue],
) -> str:
    nodes = _answered(facts.nodes)
    silent = len(facts.nodes) - len(nodes)
    unknown = f", {silent} unknown" if silent else ""
    if not nodes:
        return f"{args.target}: no node said which updates it has"
    parts = _not_compared(nodes, compared.releases)
    if differ or traps or not parts:
        own = pluralize(len(nodes), "node")
        agree = f"{own} {'agree' if len(nodes) > 1 else 'answered'}"
        if compared.outside:
            alike = "of one build and revision" if len(compared.releases) == 1 else "of one revision in each Windows"
            agree = f"{own} {alike}, {pluralize(len(compared.outside), 'other update')} not on all of them"
        parts.insert(0, f"{len(differ)} of {own} differ" if differ or traps else agree)
    unrevised = sum(len(release.unrevised) for release in compared.releases)
    if unrevised:
        parts.append(f"{pluralize(unrevised, 'revision')} not known")
    if traps:
        parts.append(pluralize(len(traps), "known issue"))
    elif not differ:
        parts += _reboots(facts)
    return f"{args.target}: {', '.join(parts)}{unknown}"


def _not_compared(nodes: Mapping[str, NodeUpdates], releases: Sequence[Release]) -> list[str]:
    """What the title says of nodes that do not compare."""
    parts = []
    if len(releases) > 1:
        parts.append(f"{len(releases)} Windows builds on {pluralize(len(nodes), 'node')}, compared within each only")
    parts += [
        f"{len(release.by_build)} revisions of {release.number} that are not comparable"
        for release in releases
        if not release.is_comparable
    ]
    return parts


def _reboots(facts: Facts) -> list[str]:
    ages = [flags.age for flags in facts.flags.values()]
    waiting, open_flags = ages.count(FlagAge.YOUNGER), len(ages) - ages.count(FlagAge.YOUNGER)
    parts = [f"{pluralize(waiting, 'reboot')} pending"] if waiting else []
    return [*parts, f"{pluralize(open_flags, 'reboot flag')} to look at"] if open_flags else parts


def _summary(title: str, facts: Facts, nodes: Mapping[str, NodeUpdates], traps: Sequence[TriggeredIssue]) -> str:
    """The title, where the traps are, who is silent."""
    parts = [title]
    if traps:
        parts.append(f"trap on {join_names(dict.fromkeys(name for one in traps for name in one.nodes), 4)}")
    silent = [name for name in facts.nodes if name not in nodes]
    if silent:
        parts.append(f"{join_names(silent, 4)} UNKNOWN")
    return "; ".join(parts)


def _release_findings(releases: Sequence[Release]) -> list[Finding]:
    """Several Windows in one cluster: updates of one say nothing of another."""
    if len(releases) < 2:  # noqa: PLR2004 - one Windows
        return []
    told = "; ".join(f"{release.number} on {join_names(release.nodes)}" for release in releases)
    if in_rolling_upgrade(releases):
        means = (
            "A cluster looks so during a rolling upgrade, node by node. Updates were compared within one Windows only."
        )
        by_hand = (
            "Finish the upgrade: nodes of the older Windows are drained, evicted and installed anew. The functional level"
            " is raised last, and cannot be lowered again."
        )
    else:
        means = "Clusters cannot be upgraded node by node before 2012 R2. Updates were compared within one build only."
        by_hand = "Bring all nodes to one Windows and one service pack first."
    lines = (("Means", means), ("By hand", by_hand))
    others = [name for release in releases[1:] for name in release.nodes]
    return [Finding(Severity.WARNING, "OTHER WINDOWS", join_names(others), f"Builds: {told}.", lines)]


def _build_findings(release: Release) -> list[Finding]:
    """Other revisions of one Windows: behind or ahead where they compare; else only that they are two."""
    builds = release.by_build
    if not release.is_comparable:
        told = "; ".join(f"{build} on {join_names(names)}" for build, names in builds.items())
        lines = (
            (
                "Means",
                (
                    "Hotpatched nodes have other revisions and updates than ordinary ones of the same month. Which of these"
                    " nodes are hotpatched is not known, so nobody is called behind."
                ),
            ),
            (
                "By hand",
                "Look up each revision in Microsoft's release history of this Windows: hotpatches have a list of their own.",
            ),
        )
        return [Finding(Severity.WARNING, "NOT COMPARABLE", join_names(release.nodes), f"Builds: {told}.", lines)]
    means = "Updates there are cumulative: the revision says all of them, the list of single updates does not."
    if not release.is_cumulative:
        means = "Their updates are not comparable one by one: bring them to one build first."
    return [
        Finding(
            Severity.WARNING,
            "DIFFERS",
            join_names(names),
            f"Build {build}; most nodes run {release.usual}."
            if len(builds[release.usual]) > len(names)
            else f"Build {build}; as many nodes run {release.usual}.",
            (("Means", means),),
        )
        for build, names in builds.items()
        if build != release.usual
    ]


def _unrevised_finding(release: Release) -> Finding:
    """The value UBR may be missing before Windows Server 2016: then only the lists of updates compare."""
    names = release.unrevised
    told = "Its revision is" if len(names) == 1 else "Their revisions are"
    others = "; ".join(f"{build} on {join_names(own)}" for build, own in release.by_build.items())
    tell = "it tells" if len(names) == 1 else "they tell"
    lines = (
        (
            "Means",
            "Only the lists of updates were compared there. That is no difference, and no agreement on the revision.",
        ),
    )
    says = f"{told} not known: {tell} build {release.number} without a UBR. Others: {others}."
    return Finding(Severity.NOTE, "NO REVISION", join_names(names), says, lines)


def _trap_finding(sprung: TriggeredIssue) -> Finding:
    steps = "; ".join(f"({number}) {step}" for number, step in enumerate(sprung.trap.by_hand, start=1))
    lines = [("Means", sprung.trap.means), ("By hand", f"Per node: {steps}.")]
    if sprung.trap.listed:  # WSUS and Windows Update offer nothing there; what complained was the validation [1 note]
        lines.append(("Next", "By hand, run cluster validation again: it names missing updates that WSUS does not."))
    if sprung.guests:
        lines.append(("Because", f"Disks on SCSI controllers: {join_names(sprung.guests)}."))
    lines.append(("Because", f"{sprung.trap.source} ({sprung.trap.date})."))
    return Finding(Severity.FAULT, "KNOWN ISSUE", join_names(sprung.nodes), f"{sprung.trap.says}.", tuple(lines))


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


def _outside_findings(outside: Sequence[Drift]) -> list[Finding]:
    """Updates beside the cumulative one: most months bring one for .NET, and the revision does not tell of it."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in outside:
        alike.setdefault(one.lacking, []).append(one.kb)
    means = (
        "Its number is higher than that of every update which all nodes list, so it is probably one for .NET, the servicing"
        " stack or a driver. Those have levels of their own, and the revision says nothing of them."
    )
    by_hand = "Look the number up at Microsoft; if it is wanted, install it there as on the other nodes."
    return [
        Finding(
            Severity.WARNING,
            "NOT ON ALL",
            join_names(lacking),
            f"{join_names(kbs, _SHOWN)} not listed.",
            (("Means", means), ("By hand", by_hand)),
        )
        for lacking, kbs in alike.items()
    ]


def _asked_findings(args: Args, compared: _Compared) -> list[Finding]:
    """Updates that were asked for by number, where one list more or less says nothing of what is in force."""
    if not args.kbs:
        return []
    return [
        Finding(
            Severity.NOTE,
            "NOT LISTED",
            join_names(one.lacking) if one.having else "every node",
            f"{one.kb} not listed. A later cumulative update may contain it.",
        )
        for one in compared.history
    ]


def _reboot_findings(facts: Facts) -> list[Finding]:
    """One finding for each age of flags."""
    found = []
    for age, (status, lines) in _FLAGS.items():
        own = {name: flags for name, flags in facts.flags.items() if flags.age is age}
        if own:
            why = join_names(dict.fromkeys(who for flags in own.values() for who in flags.wanted_by))
            says = f"A reboot is pending ({why}), {age}.{_started(own, facts.now)}"
            found.append(Finding(Severity.WARNING, status, join_names(own), says, lines))
    return found


def _started(flags: Mapping[str, RebootFlags], now: datetime) -> str:
    told = [
        f"{name} last started {format_time(one.started, now)}"
        for name, one in flags.items()
        if not isinstance(one.started, Unknown)
    ]
    return f" {join_names(told, 4)}." if told else " When Windows last started is not known."


_FLAGS = {
    FlagAge.YOUNGER: (
        "REBOOT PENDING",
        (
            ("Means", "Those updates are not active yet, and what is listed may still change."),
            ("By hand", "Drain and restart one node after the other, then check again."),
        ),
    ),
    FlagAge.OLDER: (
        "STUCK UPDATE",
        (
            (
                "Means",
                "The flag outlived a restart: an update did not finish, and one more restart does not finish it.",
            ),
            (
                "By hand",
                r"Look into %windir%\Logs\CBS\CBS.log and the Setup log for the update that fails, and fix that.",
            ),
        ),
    ),
    FlagAge.NOT_KNOWN: (
        "REBOOT FLAG",
        (
            (
                "Means",
                (
                    "If it was set since the last start, updates wait for a restart. If it outlived that start, an update"
                    " is stuck, and one more restart does not help. No event tells when it was set."
                ),
            ),
            (
                "By hand",
                (
                    "Compare the last start with the newest update that was installed there (Setup log, update history)."
                    " Restart only where the update is younger."
                ),
            ),
        ),
    ),
}


def _silent(facts: Facts) -> list[Unknown]:
    found = [facts.unfound] if facts.unfound else []
    for node in facts.nodes.values():
        if isinstance(node, Unknown):
            found.append(node)
        elif node.failed:
            first = node.failed[0]
            says = f"{first.why} Whether a reboot is pending is not known."
            found.append(Unknown(first.target, first.kind, says, first.remedy))
    for flags in facts.flags.values():
        parts = (flags.started, *flags.asked.values())
        found += [
            replace(part, why=f"{part.why} How old a flag for a restart is stays open.")
            for part in parts
            if isinstance(part, Unknown)
        ]
    for part in facts.scsi_guests.values():
        if isinstance(part, Unknown):
            says = f"{part.why} Whether its guests have disks on SCSI controllers is not known (KB2636573)."
            found.append(Unknown(part.target, part.kind, says, part.remedy))
    return found


def _fine(nodes: Mapping[str, NodeUpdates], compared: _Compared, differ: Sequence[str]) -> tuple[Healthy, ...]:
    """The nodes that are as most of their Windows, where there is somebody to agree with."""
    if len(nodes) < 2:  # noqa: PLR2004 - one node agrees with nobody
        return ()
    return tuple(
        Healthy("SAME", truncate_list(same, 12), f"build {release.usual}")
        for release in compared.releases
        if release.is_comparable
        for same in ([name for name in release.nodes if name not in (*differ, *release.unrevised)],)
        if same
    )


def _notes(nodes: Mapping[str, NodeUpdates], compared: _Compared) -> tuple[str, ...]:
    agree = compared.agreeing
    notes = (
        [f"{pluralize(agree, 'update')} {'agrees' if agree == 1 else 'agree'}."] if nodes and agree is not None else []
    )
    if compared.history:
        kbs = join_names(dict.fromkeys(one.kb for one in compared.history), _SHOWN)
        notes.append(
            f"Listed by some nodes only: {kbs}. Build and revision say the cumulative level; older updates may stay listed or"
            " not. Updates of .NET, of the servicing stack and of drivers have levels of their own, which the list does not tell."
        )
    notes.append("Windows lists only CBS updates, so “not listed” does not prove that an update is missing.")
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
