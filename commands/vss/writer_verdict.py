"""What one writer's state means on its host, now.

Microsoft: a status read outside of a backup sequence "does not provide a reliable picture" [doc]. So a waiting writer
is *stuck* only when no backup runs and two samples of one instance, two minutes apart, say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.api.queries import fields
from bot.api.report import Sample
from bot.api.rows import Row, Rows, Unreadable, moment, number, text
from commands.sources.backup_state import Backup
from commands.sources.vss_writers import Error, State, Writer

SAMPLE = "writer"
APART = timedelta(minutes=2)
# Windows Server 2003, 2008, 2008 SP2: [9] with "No error" is expected there (KB2952783 [doc]).
_OLD_BUILDS = (3790, 6001, 6002, 6003)
_RUNS = {True: "yes", False: "no", None: "unknown"}


class Verdict(StrEnum):
    """What one writer is, in the words of the report."""

    STUCK = "STUCK"
    LOOKS_STUCK = "LOOKS STUCK"
    FAILED = "FAILED"
    ERROR = "ERROR"  # stable, with the error of an earlier backup
    ODD = "ODD"  # a state that nobody has documented
    BUSY = "BUSY"
    EXPECTED = "EXPECTED"  # failed on paper, harmless on this Windows
    UNREAD = "UNREAD"  # stable, with an error text in an unknown language
    STABLE = "STABLE"


@dataclass(frozen=True, slots=True)
class Seen:
    """One writer as an earlier answer saw it."""

    at: datetime
    writer_id: str
    instance_id: str
    state: int
    error: str
    backup: str  # "yes", "no", "unknown"

    @property
    def was_well(self) -> bool:
        """Whether it was stable without an error."""
        return self.state == State.STABLE and self.error == Error.NONE


@dataclass(frozen=True, slots=True)
class JudgedWriter:
    """One writer, what it is, and how long it has been so.

    Attributes:
        seen: when earlier answers saw the same instance waiting with no backup, oldest first, without a break.
        was: how the newest earlier answer saw it, where that was not well and it is now.
    """

    writer: Writer
    verdict: Verdict
    seen: tuple[datetime, ...] = ()
    was: Seen | None = None


def read_samples(rows: Rows) -> tuple[Seen, ...]:
    """Samples of earlier answers, oldest first. Raises Unreadable."""
    return tuple(sorted(map(_seen, rows), key=lambda seen: seen.at))


def _seen(row: Row) -> Seen:
    at, state = moment(row, "at"), number(row, "state")
    if at is None or state is None:
        raise Unreadable("at" if at is None else "state", None)
    keys = ("writer_id", "instance_id")
    writer_id, instance_id = (text(row, key) for key in keys)
    return Seen(at, writer_id, instance_id, state, text(row, "error"), text(row, "backup"))


def sample(on: str, writer: Writer, backup: Backup) -> Sample:
    """What the next answer will want to know of this one."""
    return Sample(
        on,
        SAMPLE,
        fields(
            backup=_RUNS[backup.runs],
            error=writer.error.value,
            instance_id=writer.instance_id,
            state=writer.state,
            writer_id=writer.writer_id,
        ),
    )


def judge_writer(
    writer: Writer, backup: Backup, samples: Sequence[Seen], now: datetime, build: int | None
) -> JudgedWriter:
    """Say what a writer is.

    Args:
        writer: as it is now.
        backup: whether a backup runs now.
        samples: of its host, any writer.
        now: the time of `writer`.
        build: of its host's Windows, None where unknown.
    """
    if writer.waits:
        return _judge_waiting(writer, backup, samples, now)
    if writer.failed:
        expected = writer.state == State.FAILED_AT_FREEZE and writer.error is Error.NONE and build in _OLD_BUILDS
        return JudgedWriter(writer, Verdict.EXPECTED if expected else Verdict.FAILED)
    if writer.state != State.STABLE:
        return JudgedWriter(writer, Verdict.ODD)
    if writer.error is Error.NONE:
        return JudgedWriter(writer, Verdict.STABLE, was=_was_unwell(writer, samples))
    return JudgedWriter(writer, Verdict.UNREAD if writer.error is Error.UNREAD else Verdict.ERROR)


def _was_unwell(writer: Writer, samples: Sequence[Seen]) -> Seen | None:
    """How the newest answer saw it, where that was a failure, or waiting for nobody."""
    newest = max(
        (seen for seen in samples if seen.writer_id == writer.writer_id), key=lambda seen: seen.at, default=None
    )
    return newest if newest and newest.state != State.STABLE and newest.backup != "yes" else None


def _judge_waiting(writer: Writer, backup: Backup, samples: Sequence[Seen], now: datetime) -> JudgedWriter:
    if backup.runs:
        return JudgedWriter(writer, Verdict.BUSY)
    seen = _unbroken(writer, samples)
    stuck = backup.runs is False and bool(seen) and now - seen[0] >= APART
    return JudgedWriter(writer, Verdict.STUCK if stuck else Verdict.LOOKS_STUCK, seen)


def _unbroken(writer: Writer, samples: Sequence[Seen]) -> tuple[datetime, ...]:
    """When the same instance was seen waiting with no backup, back to the first sample that says otherwise."""
    run: list[datetime] = []
    for seen in reversed(samples):
        if seen.writer_id != writer.writer_id:
            continue
        waits = State.WAITING_FOR_FREEZE <= seen.state <= State.WAITING_FOR_BACKUP_COMPLETE
        if seen.instance_id != writer.instance_id or not waits or seen.backup != "no":
            break
        run.append(seen.at)
    return tuple(reversed(run))


def last_well(writer_id: str, samples: Sequence[Seen]) -> datetime | None:
    """When a writer was last seen stable without an error."""
    return max((seen.at for seen in samples if seen.writer_id == writer_id and seen.was_well), default=None)


def last_unwell(samples: Sequence[Seen]) -> datetime | None:
    """When any writer of the host was last seen otherwise, and not merely waiting for a backup that ran."""
    busy = (Error.NONE, "yes")
    return max((seen.at for seen in samples if not seen.was_well and (seen.error, seen.backup) != busy), default=None)
