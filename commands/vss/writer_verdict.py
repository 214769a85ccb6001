"""What one writer's state means on its host, now.

Microsoft: a status read outside of a backup sequence "does not provide a reliable picture" [doc]. So a waiting writer
is *stuck* only when no backup runs and two samples of one instance, two minutes apart, say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.api.facts import Unknown
from bot.api.plan import OpenQuestion
from bot.api.queries import SampleHistory, make_params
from bot.api.report import Sample
from bot.api.rows import CellError, Row, Rows, get_datetime, get_int, get_str
from bot.api.sources import Source
from commands.sources.backup_state import Backup, BackupProducts, backup_state
from commands.sources.cluster import Cluster
from commands.sources.guests import Guest
from commands.sources.snapshots import Snapshot
from commands.sources.vss_writers import Error, VssState, Writer

SAMPLE = "writer"
APART = timedelta(minutes=2)
# Windows Server 2003, 2008, 2008 SP2: [9] with "No error" is expected there (KB2952783 [doc]).
_OLD_BUILDS = (3790, 6001, 6002, 6003)
_RUNS = {True: "yes", False: "no", None: "unknown"}
# A sample of the first look: all that was open was whether a copy is older than the wait. If a later look finds that it is,
# and nothing else speaks for a backup, that look meant "no".
_BY_AGE = "copies"
_RECENT = timedelta(hours=24)  # a backup that has gone on for longer is known to the product, and to nobody here


class WriterStatus(StrEnum):
    """What one writer is, in the words of the report."""

    STUCK = "STUCK"
    LOOKS_STUCK = "LOOKS STUCK"
    FAILED = "FAILED"
    ERROR = "ERROR"  # stable, with the error of an earlier backup
    ODD = "ODD"  # a state that nobody has documented
    BUSY = "BUSY"
    EXPECTED = "EXPECTED"  # failed on paper, harmless on this Windows
    UNREAD = "UNREAD"  # stable with an error text in an unknown language, or not readable at all
    STABLE = "STABLE"


@dataclass(frozen=True, slots=True)
class WriterSample:
    """One writer as an earlier answer saw it."""

    at: datetime
    writer_id: str
    instance_id: str
    state: int
    error: str
    backup: str  # "yes", "no", "unknown", "copies"
    name: str = ""  # of the writer; "" in answers of before it was kept

    @property
    def was_well(self) -> bool:
        """Whether it was stable without an error."""
        return self.state == VssState.STABLE and self.error == Error.NONE


@dataclass(frozen=True, slots=True)
class WriterVerdict:
    """One writer, what it is, and how long it has been so.

    Attributes:
        seen: when earlier answers saw the same instance waiting with no backup, or failed as now, oldest first, without
            a break; those too that did not know of a backup, where this one does not either.
        well_at: of a failed one, when the newest earlier answer saw it stable without an error.
        was: how the newest earlier answer saw it, where that was not well and it is now.
    """

    writer: Writer
    verdict: WriterStatus
    seen: tuple[datetime, ...] = ()
    was: WriterSample | None = None
    well_at: datetime | None = None


def writer_samples(on: str) -> Source[tuple[WriterSample, ...]]:
    """The question: what did earlier answers say of a host's writers?"""
    return Source(SampleHistory(on, SAMPLE), _read_samples)


def _read_samples(rows: Rows) -> tuple[WriterSample, ...]:
    """Samples of earlier answers, oldest first. Raises CellError."""
    return tuple(sorted(map(_seen, rows), key=lambda seen: seen.at))


def _seen(row: Row) -> WriterSample:
    at, state = get_datetime(row, "at"), get_int(row, "state")
    if at is None or state is None:
        raise CellError("at" if at is None else "state", None)
    keys = ("writer_id", "instance_id")
    writer_id, instance_id = (get_str(row, key) for key in keys)
    named = get_str(row, "name") if "name" in row else ""
    return WriterSample(at, writer_id, instance_id, state, get_str(row, "error"), get_str(row, "backup"), named)


def samples_of_each(listed: Sequence[Writer], samples: Sequence[WriterSample]) -> tuple[tuple[WriterSample, ...], ...]:
    """What earlier answers saw of each writer, and not of its twin; in the order of the writers.

    Two writers may share an id (Exchange's), and one writer may run more than once (an instance of each application
    instance or replica): they are told apart by name, then by instance. All are gone through once: a host may list thousands.
    """
    instances: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in listed:
        instances[one.writer_id, one.name].add(one.instance_id)
    named: dict[tuple[str, str], list[tuple[int, WriterSample]]] = defaultdict(list)
    for number, seen in enumerate(samples):
        named[seen.writer_id, seen.name].append((number, seen))
    own: dict[tuple[str, str, str], list[tuple[int, WriterSample]]] = defaultdict(list)
    # Of instances that it lists no more.
    gone: dict[tuple[str, str], list[tuple[int, WriterSample]]] = defaultdict(list)
    for (id_, name), known in instances.items():
        for told in (*named.get((id_, name), ()), *(named.get((id_, ""), ()) if name else ())):
            instance = told[1].instance_id
            (own[id_, name, instance] if instance in known else gone[id_, name]).append(told)
    return tuple(
        tuple(
            seen
            for _, seen in sorted(
                (
                    *own.get((one.writer_id, one.name, one.instance_id), ()),
                    *gone.get((one.writer_id, one.name), ()),
                ),
                key=lambda told: told[0],
            )
        )
        for one in listed
    )


def sample(on: str, writer: Writer, backup: Backup) -> Sample:
    """What the next answer will want to know of this one."""
    return Sample(
        on,
        SAMPLE,
        make_params(
            backup=_BY_AGE if _is_by_age(writer, backup) else _RUNS[_holds(writer, backup)],
            error=writer.error.value,
            instance_id=writer.instance_id,
            name=writer.name,
            state=writer.state,
            writer_id=writer.writer_id,
        ),
    )


def judge_writer(
    writer: Writer, backup: Backup, samples: Sequence[WriterSample], now: datetime, build: int | None
) -> WriterVerdict:
    """Say what a writer is.

    Args:
        writer: as it is now.
        backup: whether a backup runs now.
        samples: of this writer, `own_samples`.
        now: the time of `writer`.
        build: of its host's Windows, None where unknown.
    """
    if writer.unreadable:
        return WriterVerdict(writer, WriterStatus.UNREAD)
    if writer.waits:
        return _judge_waiting(writer, backup, samples, now)
    if writer.failed:
        return _judge_failed(writer, samples, build)
    if writer.state != VssState.STABLE:
        return WriterVerdict(writer, WriterStatus.ODD)
    if writer.error is Error.NONE:
        return WriterVerdict(writer, WriterStatus.STABLE, was=_was_unwell(writer, samples))
    return WriterVerdict(writer, WriterStatus.UNREAD if writer.error is Error.UNREAD else WriterStatus.ERROR)


def _judge_failed(writer: Writer, samples: Sequence[WriterSample], build: int | None) -> WriterVerdict:
    if writer.state == VssState.FAILED_AT_FREEZE and writer.error is Error.NONE and build in _OLD_BUILDS:
        return WriterVerdict(writer, WriterStatus.EXPECTED)
    seen, well_at = _failed_as_now(writer, samples), last_well(writer.writer_id, samples)
    return WriterVerdict(writer, WriterStatus.FAILED, seen, well_at=well_at)


def _was_unwell(writer: Writer, samples: Sequence[WriterSample]) -> WriterSample | None:
    """How the newest answer saw it, where that was a failure, or waiting for nobody."""
    newest = _newest(writer, samples)
    return newest if newest and newest.state != VssState.STABLE and newest.backup != "yes" else None


def _failed_as_now(writer: Writer, samples: Sequence[WriterSample]) -> tuple[datetime, ...]:
    """When earlier answers saw the same instance failed in the same way, back to the first that says otherwise."""
    run: list[datetime] = []
    for seen in reversed(samples):
        if (seen.instance_id, seen.state) != (writer.instance_id, writer.state):
            break
        run.append(seen.at)
    return tuple(reversed(run))


def _newest(writer: Writer, samples: Sequence[WriterSample]) -> WriterSample | None:
    """How the newest earlier answer saw it."""
    own = (seen for seen in samples if seen.writer_id == writer.writer_id)
    return max(own, key=lambda seen: seen.at, default=None)


def _holds(writer: Writer, backup: Backup) -> bool | None:
    """Whether a backup runs that may hold this writer. One that no guest, volume or copy shows has no guest in it."""
    return backup.holds_guests if writer.is_hyper_v else backup.runs


def _is_by_age(writer: Writer, backup: Backup) -> bool:
    return backup.on_hosts_by_age if writer.is_hyper_v and backup.runs is None else backup.by_age


def _judge_waiting(writer: Writer, backup: Backup, samples: Sequence[WriterSample], now: datetime) -> WriterVerdict:
    holds = _holds(writer, backup)
    if holds:
        return WriterVerdict(writer, WriterStatus.BUSY)
    seen = _unbroken(writer, samples, ("no", _BY_AGE) if holds is False else ("no", _BY_AGE, "unknown"))
    stuck = holds is False and bool(seen) and now - seen[0] >= APART
    return WriterVerdict(writer, WriterStatus.STUCK if stuck else WriterStatus.LOOKS_STUCK, seen)


def waits_anew(writer: Writer, samples: Sequence[WriterSample]) -> bool:
    """Whether it waits in another instance than at the answer before: something has begun since."""
    before = _newest(writer, samples)
    return writer.waits and before is not None and before.instance_id != writer.instance_id


def backup_with_writers(
    node: str,
    guests: Sequence[Guest] | Unknown,
    cluster: Cluster | None,
    *,
    copies: Sequence[Snapshot] | Unknown,
    products: BackupProducts,
    writers: Sequence[Writer] | Unknown,
    samples: Sequence[WriterSample],
    now: datetime,
) -> Backup:
    """Judge whether a backup runs, by the node's writers too: every command that asks for one asks here.

    Args:
        node: as its cluster writes it.
        guests: of the node.
        cluster: None for a host that stands alone.
        copies: every shadow copy of the node.
        products: that back it up.
        writers: of the node.
        samples: of its writers, of earlier answers.
        now: the time of the answer.
    """
    listed = () if isinstance(writers, Unknown) else writers
    since = first_seen_waiting(listed, samples)
    each = zip(listed, samples_of_each(listed, samples), strict=True)
    anew = [one.name for one, own in each if waits_anew(one, own)]
    recent = now - _RECENT if any(one.waits for one in listed) else None
    found = backup_state(node, guests, cluster, copies, products, waits_anew=anew, since=since, recent=recent)
    if not isinstance(writers, Unknown):
        return found
    silent = OpenQuestion(f"the VSS writers of {node}", writers.why.rstrip("."), writers.remedy)
    return replace(found, runs=found.runs or None, unknowns=(*found.unknowns, silent))


def first_seen_waiting(writers: Sequence[Writer], samples: Sequence[WriterSample]) -> datetime | None:
    """When an answer first saw one of the writers wait that wait now; None where none did."""
    by_id: dict[str, list[WriterSample]] = defaultdict(list)
    for seen in samples:
        by_id[seen.writer_id].append(seen)
    waiting = (one for one in writers if one.waits and not one.unreadable)
    runs = (_unbroken(one, by_id.get(one.writer_id, ()), (*_RUNS.values(), _BY_AGE)) for one in waiting)
    return min((run[0] for run in runs if run), default=None)


def _unbroken(writer: Writer, samples: Sequence[WriterSample], backups: Sequence[str]) -> tuple[datetime, ...]:
    """When the same instance was seen waiting, back to the first sample that says otherwise.

    Args:
        writer: as it is now.
        samples: of its host.
        backups: what those samples may say of a backup: "yes", "no", "unknown".
    """
    run: list[datetime] = []
    for seen in reversed(samples):
        if seen.writer_id != writer.writer_id:
            continue
        waits = VssState.WAITING_FOR_FREEZE <= seen.state <= VssState.WAITING_FOR_BACKUP_COMPLETE
        if seen.instance_id != writer.instance_id or not waits or seen.backup not in backups:
            break
        run.append(seen.at)
    return tuple(reversed(run))


def last_well(writer_id: str, samples: Sequence[WriterSample]) -> datetime | None:
    """When a writer was last seen stable without an error."""
    return max((seen.at for seen in samples if seen.writer_id == writer_id and seen.was_well), default=None)


def last_unwell(samples: Sequence[WriterSample]) -> datetime | None:
    """When any writer of the host was last seen otherwise, and not merely waiting for a backup that ran."""
    busy = (Error.NONE, "yes")
    return max((seen.at for seen in samples if not seen.was_well and (seen.error, seen.backup) != busy), default=None)
