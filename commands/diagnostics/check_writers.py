"""Check the VSS writers of every node: stuck or busy, who is locked, which guest is the suspect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Finding, Healthy, Remedy, Report, Severity
from bot.api.texts import clip
from commands.formatting import format_time, join_names, pluralize, summarize_failures, truncate_list
from commands.sources.nodes import ISOLATED_MEANS
from commands.sources.vss_writers import HYPER_V
from commands.vss.drift import NOT_LISTED, Missing, absent_findings, missing_notes, missing_writers, with_absent
from commands.vss.event_8194 import Cause
from commands.vss.facts import LOOK_BACK, WriterFacts, find_writer_facts
from commands.vss.findings import RECOVERED, node_findings, silent_findings
from commands.vss.node_verdict import NodeVerdict, judge_nodes
from commands.vss.unanswered import silences
from commands.vss.writer_verdict import WriterStatus

ALONE = 8  # findings of one kind that stand alone; the rest share one
_ORDER = (
    "STUCK",
    "NO WRITERS",
    "MISSING",
    "LOOKS STUCK",
    "FAILED",
    "ERROR",
    "ODD",
    NOT_LISTED,
    "LOCKED",
    RECOVERED,
    "PERMISSION",
    "BUSY",
)
_SUBJECT = {"LOCKED": "guests", "PERMISSION": "event 8194", "NO WRITERS": "", "MISSING": "Hyper-V writer"}
_ROOM_HELPS = ("STUCK", "LOOKS STUCK", "FAILED")
# A reset that is planned early waits for the second look.
_RESETTABLE = (
    WriterStatus.STUCK,
    WriterStatus.LOOKS_STUCK,
    WriterStatus.FAILED,
)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: QueryClient) -> WriterFacts:
    """Ask the cluster, then every node at once."""
    return await find_writer_facts(args.target, ask)


def evaluate(args: Args, facts: WriterFacts) -> Report:
    """Verdict, do now, do not do now, evidence, unknowns."""
    judged, others = judge_nodes(facts)
    missing = missing_writers(judged)
    nodes = with_absent(judged, missing)
    every = sorted(_pairs(nodes, others, facts, missing), key=lambda pair: _rank(pair[1].status))
    silent = silences(facts, nodes)
    return Report(
        title=_title(args, facts, every, silent),
        summary=_summary(args, facts, every, silent),
        of="nodes",
        asked=len(facts.nodes),
        answered=len(nodes),
        findings=_collapsed([finding for _, finding in every]),
        unanswered=summarize_failures(silent, "node"),
        fine=_fine(nodes),
        notes=_notes(facts, nodes, missing),
        background=_background(facts, nodes),
        remedies=_remedies(args, every),
        samples=tuple(sample for node in nodes for sample in node.samples()),
    )


def _pairs(
    nodes: Sequence[NodeVerdict],
    silent: Sequence[NodeVerdict],
    facts: WriterFacts,
    missing: Mapping[str, Sequence[Missing]],
) -> Iterator[tuple[NodeVerdict, Finding]]:
    for node in nodes:
        yield from ((node, finding) for finding in node_findings(node, facts.now))
        yield from ((node, finding) for finding in absent_findings(node, missing.get(node.name, ())))
    for node in silent:
        yield from ((node, finding) for finding in silent_findings(node, facts.now))


def _rank(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else len(_ORDER)


def _title(
    args: Args, facts: WriterFacts, every: Sequence[tuple[NodeVerdict, Finding]], silent: Sequence[Unknown]
) -> str:
    """Who recovered since the last answer, then the worst verdict, by name."""
    recovered = [pair for pair in every if pair[1].status == RECOVERED]
    others = [pair for pair in every if pair[1].status != RECOVERED]
    verdicts = [_recovered(recovered)] if recovered else []
    return clip(f"{args.target}: {'; '.join([*verdicts, _verdict(facts, others, silent)])}", 150)


def _verdict(facts: WriterFacts, every: Sequence[tuple[NodeVerdict, Finding]], silent: Sequence[Unknown]) -> str:
    if every and every[0][1].severity is not Severity.NOTE:
        return _worst(every)
    unknown = _unknown_nodes(facts, silent)
    if facts.unfound and not facts.nodes:
        return "its nodes are not known"
    if len(unknown) == len(facts.nodes):
        return "no node reported its writers"
    well = len(facts.nodes) - len(unknown)
    busy = ", a backup is running" if any(finding.status == WriterStatus.BUSY for _, finding in every) else ""
    if unknown:
        return f"VSS writers healthy on {well} of {len(facts.nodes)} nodes{busy}, {join_names(unknown, 3)} unknown"
    return f"VSS writers healthy on {'all ' if well > 1 else ''}{pluralize(well, 'node')}{busy}"


def _recovered(every: Sequence[tuple[NodeVerdict, Finding]]) -> str:
    hyper_v = all(one.writer.is_hyper_v for node, _ in every for one in node.has(WriterStatus.STABLE) if one.was)
    names = list(dict.fromkeys(node.name for node, _ in every))
    return f"{'Hyper-V writer' if hyper_v else 'writers'} {RECOVERED} on {join_names(names, 3)}"


def _worst(every: Sequence[tuple[NodeVerdict, Finding]]) -> str:
    word = every[0][1].status
    same = [(node, finding) for node, finding in every if finding.status == word]
    names = list(dict.fromkeys(node.name for node, _ in same))
    on = join_names(names) if len(names) <= 3 else f"{len(names)} nodes"  # noqa: PLR2004 - a header has room for three names
    subject = _SUBJECT[word] if word in _SUBJECT else _subject(same[0][0], word)
    return f"{subject} {word} on {on}".strip()


def _subject(node: NodeVerdict, word: str) -> str:
    """Which writer: the Hyper-V writer by its short name, another by its own."""
    if word == NOT_LISTED:
        return node.absent[0].name if len(node.absent) == 1 else pluralize(len(node.absent), "writer")
    found = node.has(WriterStatus(word))
    if found[0].writer.writer_id == HYPER_V:
        return "Hyper-V writer"
    return found[0].writer.name if len(found) == 1 else pluralize(len(found), "writer")


def _summary(
    args: Args, facts: WriterFacts, every: Sequence[tuple[NodeVerdict, Finding]], silent: Sequence[Unknown]
) -> str:
    """All of it in one line, for a notification."""
    unknown = _unknown_nodes(facts, silent)
    parts = [_title(args, facts, every, silent)]
    if every and every[0][1].severity is not Severity.NOTE:
        node, finding = every[0]
        if node.locks.roles and finding.status in (*_ROOM_HELPS, "LOCKED"):
            of = f" of {node.guests}" if node.guests else ""
            parts[0] += f", {len(node.locks.roles)}{of} guests locked"
        if node.suspects and finding.status in _ROOM_HELPS:
            parts.append(f"suspect {join_names([one.name for one in node.suspects], 3)}")
        if unknown:
            parts.append(f"{join_names(unknown, 3)} UNKNOWN")
        faulty = {node.name for node, finding in every if finding.severity is not Severity.NOTE}
        parts.append(f"{len(facts.nodes) - len(faulty | set(unknown))} stable")
    return "; ".join(parts)


def _unknown_nodes(facts: WriterFacts, silent: Sequence[Unknown]) -> list[str]:
    """Nodes whose writers are not known: silent ones, and ones whose language is not."""
    names = {one.target for one in silent if one.kind == "not understood"}
    return [one.node.name for one in facts.nodes if isinstance(one.writers, Unknown) or one.node.name in names]


def _collapsed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first findings of a kind in full; a fleet's worth of the same in one line."""
    kept: list[Finding] = []
    for word in dict.fromkeys(finding.status for finding in findings):
        same = [finding for finding in findings if finding.status == word]
        kept += same[:ALONE]
        rest = same[ALONE:]
        if rest:
            names = join_names([finding.target for finding in rest], 20)
            kept.append(replace(rest[0], target=f"{len(rest)} more nodes", summary=f"Likewise: {names}.", lines=()))
    return tuple(kept)


def _fine(nodes: Sequence[NodeVerdict]) -> tuple[Healthy, ...]:
    kinds = {
        "STABLE": [node for node in nodes if node.is_well],
        "PROBABLY STABLE": [node for node in nodes if node.is_probably_well],
    }
    return tuple(_healthy(word, found) for word, found in kinds.items() if found)


def _healthy(word: str, nodes: Sequence[NodeVerdict]) -> Healthy:
    counts = sorted({len(node.writers) for node in nodes})
    each = "writers each" if len(nodes) > 1 else "writers"
    says = f"{counts[0]} {each}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} {each}"
    return Healthy(word, truncate_list([node.name for node in nodes], 12), says)


def _notes(
    facts: WriterFacts, nodes: Sequence[NodeVerdict], missing: Mapping[str, Sequence[Missing]]
) -> tuple[str, ...]:
    notes = [*_away(facts), *missing_notes(missing)]
    unclear = [node.name for node in nodes if node.callback and node.callback.cause is Cause.UNCLEAR]
    if unclear:
        notes.append(
            f"Event 8194 (access denied) on {join_names(unclear)}: too few events to tell a missing permission from a side effect of a stuck writer."
        )
    if facts.cluster and not isinstance(facts.cluster.nodes, Unknown) and any(n.is_2008 for n in facts.cluster.nodes):
        notes.append("2008 R2 publishes no locked status: whether guests are locked is not known there.")
    return tuple(notes)


def _background(facts: WriterFacts, nodes: Sequence[NodeVerdict]) -> tuple[str, ...]:
    """How a language was read, and how far back the logs go: nobody acts on it."""
    if not nodes:
        return tuple(_guesses(nodes))
    since = f"Event logs searched back to {format_time(facts.now - LOOK_BACK, facts.now)}."
    return (*_guesses(nodes), since)


def _away(facts: WriterFacts) -> Iterator[str]:
    """Nodes that take no part in their cluster now; one that is just down is among those that did not answer."""
    states = () if isinstance(facts.states, Unknown) else facts.states
    away = [one for one in states if not one.stays]
    if away:
        told = join_names([f"{one.name} is {one.word}{ISOLATED_MEANS if one.is_isolated else ''}" for one in away], 8)
        yield f"{told}. hvops drains no other node until then."


def _guesses(nodes: Sequence[NodeVerdict]) -> Iterator[str]:
    """Nodes of an unknown language whose last errors are taken for none, with what speaks for it."""
    for node in nodes:
        guessed = [one.writer for one in node.writers if one.writer.guess]
        if guessed and guessed[0].guess:
            text, guess = guessed[0].error_text, guessed[0].guess
            yield (
                f"The language of {node.name} is not known here. Its last errors “{text}” probably mean"
                f" “{guess.value}”: {guess.basis}."
            )


def _remedies(args: Args, every: Sequence[tuple[NodeVerdict, Finding]]) -> tuple[Remedy, ...]:
    """Only what can help: looking for the guest without room, and a reset where nothing leans on the writer."""
    hyper_v = [
        (node, finding, writer.needs_other_job)
        for node, finding in every
        if finding.status in _ROOM_HELPS
        for writer in (node.has(WriterStatus(finding.status))[0].writer,)
        if writer.is_hyper_v
    ]
    helps = any(node.suspects or not is_of_job for node, _, is_of_job in hyper_v)
    find = (Remedy("Find Full Guests", f"/find-full-guests {args.target}", primary=True),) if helps else ()
    reset = [
        node.name
        for node, finding, is_of_job in hyper_v
        if finding.status in _RESETTABLE and not is_of_job and _is_free(node, args)
    ]
    return (*find, *(Remedy("Reset Writer…", f"/reset-writer {name}") for name in reset[:1]))


def _is_free(node: NodeVerdict, args: Args) -> bool:
    """Whether its Hyper-V writer may be reset at all: nothing is locked, no backup runs, and it can be drained."""
    drains = bool(args.target.cluster) and not node.facts.node.is_2008
    return drains and node.locks.none and node.backup.holds_guests is False


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
