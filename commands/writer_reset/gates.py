"""What must be so before the service of a writer is restarted: nothing may lean on that writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, OpenQuestion
from commands.formatting import format_time, join_names, pluralize
from commands.guest_space.facts import GuestSpaceFacts, answered_guests, short_of_space
from commands.sources.commvault import BackupJob, jobs_in_words
from commands.sources.vss_writers import no_error_text
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import APART, WriterStatus, WriterVerdict


def backup_ended(node: NodeVerdict) -> Gate:
    """No backup holds the writer."""
    unknown = node.backup.runs is None
    return Gate(
        f"No backup runs on {node.name}",
        GateOutcome.of(None if unknown else not node.backup.runs),
        node.backup.detail,
        unknowns=(OpenQuestion(f"backup state of {node.name}", node.backup.says),) if unknown else (),
    )


def no_backup_job(target: str, own: Sequence[BackupJob] | Unknown, now: datetime) -> Gate:
    """Where there is no backup product to ask this only warns: locks and mounted volumes are then all there is."""
    says = f"No backup job of {target}, its cluster or its guests waits"
    if isinstance(own, Unknown):
        absent = own.kind == "absent"
        why, unknowns = own.why.rstrip("."), (OpenQuestion(f"backup jobs of {target}", own.why, own.remedy),)
        return Gate(says, GateOutcome.NOT_KNOWN, f"not known: {why}", blocks=not absent, unknowns=unknowns)
    return Gate(says, GateOutcome.of(not own), jobs_in_words(own, now) or "none among its active jobs")


def has_room(space: GuestSpaceFacts) -> Gate:
    """A guest that is still full would hold the writer again at the next backup."""
    full = short_of_space(space)
    told, silent = answered_guests(space)
    unknown = f", {silent} not known" if silent else ""
    measured = f"full or low: {join_names(full, 4)}" if full else f"{pluralize(told, 'guest')} answered{unknown}"
    outcome = GateOutcome.of(not full)
    return Gate("No guest that answered is short of space", outcome=outcome, measured=measured, guards="worth")


def readable(node: NodeVerdict) -> Gate:
    """The check afterwards waits for the host's own words for "no error"."""
    words = no_error_text([one.writer for one in node.writers])
    return Gate(
        f"The language in which {node.name} tells of errors is known",
        GateOutcome.of(bool(words)),
        f"“{words}”" if words else "not one known here",
        guards="worth",
    )


def gate_stuck_twice(one: WriterVerdict, now: datetime) -> tuple[Gate, ...]:
    """A writer that waits may only be slow. One sample too few is a matter of time: people can decide meanwhile."""
    says = f"{one.writer.name} is stuck: two looks, {APART.seconds // 60} minutes apart or more, saw the same instance wait"
    if one.verdict is WriterStatus.STUCK:
        measured = f"first seen {format_time(one.seen[0], now)}"
        return (Gate(says, outcome=GateOutcome.PASSED, measured=measured, guards="worth"),)
    if one.verdict is not WriterStatus.LOOKS_STUCK:
        return ()
    first = one.seen[0] if one.seen else now
    ripe = first + APART
    measured = f"first seen {format_time(first, now)}; looked at again from {ripe:%H:%M:%S} UTC on"
    return (Gate(says, GateOutcome.BLOCKED, measured, passes_at=ripe.isoformat(), guards="worth"),)
