"""What must be so before the service of a writer is restarted: nothing may lean on that writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome
from commands.formatting import format_time
from commands.sources.commvault import BackupJob, jobs_in_words
from commands.sources.vss_writers import no_error_text
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import APART, WriterStatus, WriterVerdict


def no_backup_job(target: str, own: Sequence[BackupJob] | Unknown, now: datetime) -> Gate:
    """Where there is no backup product to ask this only warns: locks and mounted volumes are then all there is."""
    says = f"No backup job of {target}, its cluster or its guests waits"
    if isinstance(own, Unknown):
        absent = own.kind == "absent"
        return Gate(
            says, outcome=GateOutcome.NOT_KNOWN, measured=f"not known: {own.why.rstrip('.')}", blocks=not absent
        )
    return Gate(says, GateOutcome.of(not own), jobs_in_words(own, now) or "none among its active jobs")


def readable(node: NodeVerdict) -> Gate:
    """The check afterwards waits for the host's own words for "no error"."""
    words = no_error_text([one.writer for one in node.writers])
    return Gate(
        f"The language in which {node.name} tells of errors is known",
        GateOutcome.of(bool(words)),
        f"“{words}”" if words else "not one known here",
    )


def gate_stuck_twice(one: WriterVerdict, now: datetime) -> tuple[Gate, ...]:
    """A writer that waits may only be slow. One sample too few is a matter of time: people can decide meanwhile."""
    says = f"{one.writer.name} is stuck: two looks, {APART.seconds // 60} minutes apart or more, saw the same instance wait"
    if one.verdict is WriterStatus.STUCK or (
        one.verdict is WriterStatus.LOOKS_STUCK and one.seen and now - one.seen[0] >= APART
    ):
        return (Gate(says, outcome=GateOutcome.PASSED, measured=f"first seen {format_time(one.seen[0], now)}"),)
    if one.verdict is not WriterStatus.LOOKS_STUCK:
        return ()
    first = one.seen[0] if one.seen else now
    ripe = first + APART
    measured = f"first seen {format_time(first, now)}; looked at again from {ripe:%H:%M:%S} UTC on"
    return (Gate(says, outcome=GateOutcome.BLOCKED, measured=measured, passes_at=ripe.isoformat()),)
