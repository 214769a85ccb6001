"""Check the VSS writers of every node: stuck or busy, who is locked, which guest is the suspect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.query_client import Ask, Unanswered
from bot.api.report import Finding, Fine, Remedy, Report, Severity
from commands.formatting import clock, count, few, listed, shown
from commands.sources.vss_writers import HYPER_V
from commands.vss.event_8194 import Cause
from commands.vss.facts import LOOK_BACK, Facts, find_facts
from commands.vss.findings import RECOVERED, node_findings, silent_findings
from commands.vss.node_verdict import JudgedNode, judge_nodes
from commands.vss.unanswered import silences
from commands.vss.writer_verdict import Verdict

ALONE = 8  # findings of one kind that stand alone; the rest share one
_ORDER = (
    "STUCK",
    "NO WRITERS",
    "MISSING",
    "LOOKS STUCK",
    "FAILED",
    "ERROR",
    "ODD",
    "LOCKED",
    RECOVERED,
    "PERMISSION",
    "BUSY",
)
_SUBJECT = {"LOCKED": "guests", "PERMISSION": "event 8194", "NO WRITERS": "", "MISSING": "Hyper-V writer"}
_ROOM_HELPS = ("STUCK", "LOOKS STUCK", "FAILED")
_RESETTABLE = (
    Verdict.STUCK,
    Verdict.LOOKS_STUCK,
    Verdict.FAILED,
)  # a reset that is planned early waits for the second look


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: Ask) -> Facts:
    """Ask the cluster, then every node at once."""
    return await find_facts(args.target, ask)


def judge(args: Args, facts: Facts) -> Report:
    """Verdict, do now, do not do now, evidence, unknowns."""
    nodes, others = judge_nodes(facts)
    every = sorted(_pairs(nodes, others, facts), key=lambda pair: _rank(pair[1].word))
    silent = silences(facts, nodes)
    return Report(
        title=_title(args, facts, every, silent),
        summary=_summary(args, facts, every, silent),
        of="nodes",
        asked=len(facts.nodes),
        answered=len(nodes),
        findings=_collapsed([finding for _, finding in every]),
        unanswered=few(silent, "node"),
        fine=_fine(nodes),
        notes=_notes(facts, nodes),
        remedies=_remedies(args, every),
        samples=tuple(sample for node in nodes for sample in node.samples()),
    )


def _pairs(
    nodes: Sequence[JudgedNode], silent: Sequence[JudgedNode], facts: Facts
) -> Iterator[tuple[JudgedNode, Finding]]:
    for node in nodes:
        yield from ((node, finding) for finding in node_findings(node, facts.now))
    for node in silent:
        yield from ((node, finding) for finding in silent_findings(node, facts.now))


def _rank(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else len(_ORDER)


def _title(args: Args, facts: Facts, every: Sequence[tuple[JudgedNode, Finding]], silent: Sequence[Unanswered]) -> str:
    """Who recovered since the last answer, then the worst verdict, by name."""
    recovered = [pair for pair in every if pair[1].word == RECOVERED]
    others = [pair for pair in every if pair[1].word != RECOVERED]
    verdicts = [_recovered(recovered)] if recovered else []
    return f"{args.target}: {'; '.join([*verdicts, _verdict(facts, others, silent)])}"[:150]


def _verdict(facts: Facts, every: Sequence[tuple[JudgedNode, Finding]], silent: Sequence[Unanswered]) -> str:
    if every and every[0][1].severity is not Severity.NOTE:
        return _worst(every)
    unknown = _unknown_nodes(facts, silent)
    if facts.unfound and not facts.nodes:
        return "its nodes are not known"
    if len(unknown) == len(facts.nodes):
        return "no node said how its writers are"
    well = len(facts.nodes) - len(unknown)
    busy = ", a backup runs" if any(finding.word == Verdict.BUSY for _, finding in every) else ""
    if unknown:
        return f"writers well on {well} of {len(facts.nodes)} nodes{busy}, {listed(unknown, 3)} unknown"
    return f"writers well on {'all ' if well > 1 else ''}{count(well, 'node')}{busy}"


def _recovered(every: Sequence[tuple[JudgedNode, Finding]]) -> str:
    hyper_v = all(one.writer.is_hyper_v for node, _ in every for one in node.has(Verdict.STABLE) if one.was)
    names = list(dict.fromkeys(node.name for node, _ in every))
    return f"{'Hyper-V writer' if hyper_v else 'writers'} {RECOVERED} on {listed(names, 3)}"


def _worst(every: Sequence[tuple[JudgedNode, Finding]]) -> str:
    word = every[0][1].word
    same = [(node, finding) for node, finding in every if finding.word == word]
    names = list(dict.fromkeys(node.name for node, _ in same))
    on = listed(names) if len(names) <= 3 else f"{len(names)} nodes"  # noqa: PLR2004 - a header has room for three names
    subject = _SUBJECT[word] if word in _SUBJECT else _subject(same[0][0], word)
    return f"{subject} {word} on {on}".strip()


def _subject(node: JudgedNode, word: str) -> str:
    """Which writer: the Hyper-V writer by its short name, another by its own."""
    found = node.has(Verdict(word))
    if found[0].writer.writer_id == HYPER_V:
        return "Hyper-V writer"
    return found[0].writer.name if len(found) == 1 else count(len(found), "writer")


def _summary(
    args: Args, facts: Facts, every: Sequence[tuple[JudgedNode, Finding]], silent: Sequence[Unanswered]
) -> str:
    """All of it in one line, for a notification."""
    unknown = _unknown_nodes(facts, silent)
    parts = [_title(args, facts, every, silent)]
    if every and every[0][1].severity is not Severity.NOTE:
        node, finding = every[0]
        if node.locks.roles and finding.word in (*_ROOM_HELPS, "LOCKED"):
            of = f" of {node.guests}" if node.guests else ""
            parts[0] += f", {len(node.locks.roles)}{of} guests locked"
        if node.suspects and finding.word in _ROOM_HELPS:
            parts.append(f"suspect {listed([one.name for one in node.suspects], 3)}")
        if unknown:
            parts.append(f"{listed(unknown, 3)} UNKNOWN")
        faulty = {node.name for node, finding in every if finding.severity is not Severity.NOTE}
        parts.append(f"{len(facts.nodes) - len(faulty | set(unknown))} stable")
    return "; ".join(parts)


def _unknown_nodes(facts: Facts, silent: Sequence[Unanswered]) -> list[str]:
    """Nodes whose writers are not known: silent ones, and ones whose language is not."""
    names = {one.on for one in silent if one.kind == "not understood"}
    return [one.node.name for one in facts.nodes if isinstance(one.writers, Unanswered) or one.node.name in names]


def _collapsed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first findings of a kind in full; a fleet's worth of the same in one line."""
    kept: list[Finding] = []
    for word in dict.fromkeys(finding.word for finding in findings):
        same = [finding for finding in findings if finding.word == word]
        kept += same[:ALONE]
        rest = same[ALONE:]
        if rest:
            names = listed([finding.target for finding in rest], 20)
            kept.append(replace(rest[0], target=f"{len(rest)} more nodes", says=f"Likewise: {names}.", lines=()))
    return tuple(kept)


def _fine(nodes: Sequence[JudgedNode]) -> tuple[Fine, ...]:
    well = [node for node in nodes if node.is_well]
    if not well:
        return ()
    counts = sorted({len(node.writers) for node in well})
    each = "writers each" if len(well) > 1 else "writers"
    says = f"{counts[0]} {each}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} {each}"
    return (Fine("STABLE", shown([node.name for node in well], 12), says),)


def _notes(facts: Facts, nodes: Sequence[JudgedNode]) -> tuple[str, ...]:
    notes = []
    hinted = [node.name for node in nodes if any(one.writer.by_hint for one in node.writers)]
    if hinted:
        notes.append(
            f"The language of {listed(hinted)} is not known here: the text that all its stable writers share was read as “No error”."
        )
    unclear = [node.name for node in nodes if node.callback and node.callback.cause is Cause.UNCLEAR]
    if unclear:
        notes.append(
            f"Event 8194 (access denied) on {listed(unclear)}: too few to tell a missing permission from the echo of a stuck writer."
        )
    if (
        facts.cluster
        and not isinstance(facts.cluster.nodes, Unanswered)
        and any(n.is_2008 for n in facts.cluster.nodes)
    ):
        notes.append("2008 R2 publishes no locked status: whether guests are locked is not known there.")
    if nodes:
        notes.append(f"Logs were read since {clock(facts.now - LOOK_BACK, facts.now)}.")
    return tuple(notes)


def _remedies(args: Args, every: Sequence[tuple[JudgedNode, Finding]]) -> tuple[Remedy, ...]:
    """Only what can help: looking for the guest without room, and a reset where nothing leans on the writer."""
    hyper_v = [
        (node, finding)
        for node, finding in every
        if finding.word in _ROOM_HELPS and node.has(Verdict(finding.word))[0].writer.is_hyper_v
    ]
    find = (Remedy("Find Full Guests", f"/find-full-guests {args.target}", primary=True),) if hyper_v else ()
    reset = [node.name for node, finding in hyper_v if finding.word in _RESETTABLE and _is_free(node, args)]
    return (*find, *(Remedy("Reset Writer…", f"/reset-writer {name}") for name in reset[:1]))


def _is_free(node: JudgedNode, args: Args) -> bool:
    """Whether its Hyper-V writer may be reset at all: nothing is locked, no backup runs, and it can be drained."""
    drains = bool(args.target.cluster) and not node.facts.node.is_2008
    return drains and node.locks.none and node.backup.runs is False


COMMAND = Diagnostic(Role.VIEWER, Args, collect, judge)
