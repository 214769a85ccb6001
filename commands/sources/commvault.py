"""Backup jobs as CommVault's web service tells them: which wait, since when and why, and how one is resumed.

Fields and words: the vendor's own Python client and its documentation [src, doc]; `status` is English whatever the
locale. The field notes' case ran a version of 2012, where nobody has checked that this interface exists.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.api.actions import RunProgram
from bot.api.host_names import HostNames
from bot.api.plan import OpenQuestion
from bot.api.queries import RunReader, make_params
from bot.api.rows import CellError, Row, Rows, get_datetime, get_int, get_str, readable
from bot.api.sources import Source
from commands.formatting import format_time, join_names

ON = "commvault"  # the one backup product of an inventory
JOB, ACTIVE_JOBS, RESUME = "commvault job", "commvault active jobs", "commvault resume job"
WRITERS_BAD = "91:9"  # a VSS writer is in a bad state [1 note]
RUNNING, WAITING, PENDING, SUSPENDED = "Running", "Waiting", "Pending", "Suspended"
# A person can resume these: documented for suspended jobs, and what the field notes did with pending ones.
WAITS = (PENDING, SUSPENDED, WAITING)
# Those that have ended [doc: qlist job]; a word that nobody knows counts as one that has not.
COMPLETED = ("Completed", "Completed w/ one or more errors", "Completed w/ one or more warnings", "Committed")
_WINDOW = re.compile(r"\b(operation|blackout) window", re.IGNORECASE)
UNREADABLE = "in a state that cannot be read"
QUEUED = "Queued"  # for another job, an operation window or disabled activity; it starts by itself afterwards [doc, community]
LOST = ("Killed", "Failed", "Failed to Start")


@dataclass(frozen=True, slots=True)
class BackupJob:
    """One job.

    Attributes:
        status: the product's own English word.
        client: the machine that it saves.
        reason: why it waits; "" where it does not say.
        reason_code: such as "91:9".
    """

    number: int
    status: str
    kind: str
    client: str
    reason: str
    reason_code: str
    started: datetime | None
    changed: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether it will do nothing any more."""
        return self.status.casefold() in {word.casefold() for word in (*COMPLETED, *LOST)}

    @property
    def waits(self) -> bool:
        """Whether a person can resume it."""
        return bool(self.waits_as)

    @property
    def waits_as(self) -> str:
        """The state in which it waits, as the product writes it; "" for one that does not wait."""
        return next((word for word in WAITS if word.casefold() == self.status.casefold()), "")

    @property
    def waits_for_window(self) -> bool:
        """Whether the product's own reason names an operation window or blackout window [doc: words]."""
        return _WINDOW.search(self.reason) is not None

    @property
    def machine(self) -> str:
        """Its client without a domain."""
        return self.client.partition(".")[0]

    def says(self, now: datetime) -> str:
        """In one line: "48211 has been Pending since 22:14 UTC [91:9]"."""
        verb = "is" if self.has_ended or not (self.changed or self.started) else "has been"
        return f"{self.number} {verb} {self.stands(now)}"

    def stands(self, now: datetime) -> str:
        """Its state, since when and why: "Pending since 22:14 UTC [91:9]"."""
        at = self.changed or self.started
        since = f" since {format_time(at, now)}" if at else ""
        code = f" [{self.reason_code}]" if self.reason_code else ""
        return f"{self.status}{since}{code}"


def backup_job(job: int) -> Source[BackupJob | None]:
    """The question: how is one job? None where the product lists none of that number."""
    return Source(RunReader(ON, JOB, make_params(job=job)), partial(_read_job, job))


def active_jobs() -> Source[tuple[BackupJob, ...]]:
    """The question: which jobs have not ended?"""
    names = ("backup job", lambda jobs: [(str(job.number), job.machine) for job in jobs])
    return Source(RunReader(ON, ACTIVE_JOBS), _read_active_jobs, names)


def resume_job(job: int) -> RunProgram:
    """The action: let a job that waits go on."""
    return RunProgram(ON, RESUME, make_params(job=job))


def _read_job(job: int, rows: Rows) -> BackupJob | None:
    """That very job, whatever else the answer lists. Raises CellError, and ValueError where it is there more than once."""
    found = [row for row in rows if get_int(row, "job") == job]
    if len(found) > 1:
        raise ValueError(f"the answer lists job {job} more than once")
    return _job(found[0]) if found else None


def _read_jobs(rows: Rows) -> tuple[BackupJob, ...]:
    """Jobs by number. Raises CellError for a row without a number or a state."""
    return tuple(sorted(map(_job, rows), key=lambda job: job.number))


def _read_active_jobs(rows: Rows) -> tuple[BackupJob, ...]:
    """Jobs by number. One whose state cannot be read has not ended, as far as anybody knows. Raises CellError."""
    return _read_jobs([row if readable(get_str, row, "status") else {**row, "status": UNREADABLE} for row in rows])


def _job(row: Row) -> BackupJob:
    job, status = get_int(row, "job"), get_str(row, "status")
    if job is None or not status:
        raise CellError("job" if job is None else "status", None)
    return BackupJob(
        number=job,
        status=status,
        kind=readable(get_str, row, "kind") or "",
        client=readable(get_str, row, "client") or "",
        reason=readable(get_str, row, "reason") or "",
        reason_code=readable(get_str, row, "reason_code") or "",
        started=readable(get_datetime, row, "started"),
        changed=readable(get_datetime, row, "changed"),
    )


def jobs_of(names: Collection[str], jobs: Sequence[BackupJob]) -> tuple[BackupJob, ...]:
    """The jobs that have not ended and may be of these machines: with or without a domain, whole or cut by NetBIOS."""
    known = HostNames(names)
    return tuple(job for job in jobs if not job.has_ended and job.client in known)


def why_unplaced(job: BackupJob) -> str:
    """Why nobody knows which machine a job saves."""
    if not job.client:
        return f"job {job.number} does not say which machine it saves"
    return f"{job.client}, the client of job {job.number}, is not known here as a host or cluster"


def which_machine(job: BackupJob) -> OpenQuestion:
    """The question that such a job leaves open, by its number."""
    return OpenQuestion(
        f"which machine job {job.number} saves",
        f"{why_unplaced(job)}.",
        f"Check in the backup product which hosts or guests job {job.number} saves. A guest with its own agent appears under"
        " its own name; the name of a virtualization or cluster client is given by the product.",
    )


def jobs_in_words(jobs: Sequence[BackupJob], now: datetime) -> str:
    """Several jobs in one line."""
    return join_names([f"job {job.says(now)}" for job in jobs], 4)
