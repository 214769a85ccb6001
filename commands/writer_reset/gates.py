"""What must be so before the service of a writer is restarted: nothing may lean on that writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, OpenQuestion
from commands.formatting import format_time, join_names
from commands.sources.commvault import BackupJob, jobs_in_words
from commands.sources.vss_writers import Error, no_error_text
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import APART, WriterStatus, WriterVerdict


def no_backup_job(target: str, own: Sequence[BackupJob] | Unknown, now: datetime) -> Gate:
    """Where there is no backup product to ask this only warns: locks and mounted volumes are then all there is."""
    says = f"No backup job of {target}, its cluster or its guests waits"
    if isinstance(own, Unknown):
        absent = own.kind == "absent"
        why, unknowns = own.why.rstrip("."), (OpenQuestion(f"backup jobs of {target}", own.why, own.remedy),)
        return Gate(says, GateOutcome.NOT_KNOWN, f"not known: {why}", blocks=not absent, unknowns=unknowns)
    return Gate(says, GateOutcome.of(not own), jobs_in_words(own, now) or "none among its active jobs")


def readable(node: NodeVerdict) -> Gate:
    """Whether the check afterwards can tell "no error" in the host's own words; else the state's number is all it has."""
    says = f"The language in which {node.name} tells of errors is known"
    words = no_error_text([one.writer for one in node.writers])
    if words:
        return Gate(says, GateOutcome.PASSED, f"“{words}”", guards="worth")
    texts = dict.fromkeys(one.writer.error_text for one in node.writers if one.writer.error is Error.UNREAD)
    return Gate(
        says,
        GateOutcome.NOT_KNOWN,
        "not one known here",
        guards="worth",
        unknowns=(
            OpenQuestion(
                f"what {node.name} prints for “No error”",
                f"it prints {join_names([f'“{text}”' for text in texts], 3) or 'nothing'}, in a language not known here.",
                f"Read on {node.name} what vssadmin list writers prints for a writer that is well. Afterwards only its"
                " state [1] in a new instance is checked.",
            ),
        ),
    )


def gate_stuck_twice(one: WriterVerdict, now: datetime) -> tuple[Gate, ...]:
    """A writer that waits may only be slow. One sample too few is a matter of time: people can decide meanwhile."""
    says = f"{one.writer.name} is stuck: two looks, {APART.seconds // 60} minutes apart or more, saw the same instance wait"
    if one.verdict is WriterStatus.STUCK or (
        one.verdict is WriterStatus.LOOKS_STUCK and one.seen and now - one.seen[0] >= APART
    ):
        measured = f"first seen {format_time(one.seen[0], now)}"
        return (Gate(says, outcome=GateOutcome.PASSED, measured=measured, guards="worth"),)
    if one.verdict is not WriterStatus.LOOKS_STUCK:
        return ()
    first = one.seen[0] if one.seen else now
    ripe = first + APART
    measured = f"first seen {format_time(first, now)}; looked at again from {ripe:%H:%M:%S} UTC on"
    return (Gate(says, GateOutcome.BLOCKED, measured, passes_at=ripe.isoformat(), guards="worth"),)
