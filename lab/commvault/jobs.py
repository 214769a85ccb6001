"""The world's backup jobs as the interface tells them.

Field names: published replies and the vendor's Python client [doc, src]; words for states: the page of qlist job [doc].
`status` is English whatever the locale; `pendingReason` is absent where there is none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lab.commvault.responses import Reply, Value
from lab.world.model import BackupJob
from lab.world.world import World

STATUSES = {
    "pending": "Pending",
    "queued": "Queued",
    "waiting": "Waiting",
    "running": "Running",
    "suspended": "Suspended",
    "completed": "Completed",
    "killed": "Killed",
}
FINISHED = frozenset({"completed", "killed"})
_PERCENT = {
    "pending": 5.0,
    "queued": 0.0,
    "waiting": 5.0,
    "running": 40.0,
    "suspended": 5.0,
    "completed": 100.0,
    "killed": 5.0,
}
_REASON = re.compile(r"\[(?P<code>\d+:\d+)\] (?P<text>.*)", re.DOTALL)
UNSEEN = timedelta(seconds=2)  # a job that has just begun is not listed yet [src]
PAGE = 100  # results in one page, where nothing else is asked [doc]
LOOK_BACK = timedelta(days=365)  # for finished jobs, where nothing else is asked [doc]


def found(world: World, number: int) -> Reply | None:
    """One job; an empty list while it is new; None where there is no such job."""
    job = world.jobs.get(number)
    if job is None:
        return None
    return _listed([job] if _is_seen(job, world.now) else [], world.now)


def listed(
    world: World, category: str = "All", look_back: timedelta = LOOK_BACK, limit: int = PAGE, offset: int = 0
) -> Reply:
    """One page of the jobs of a category (Active, Finished or All), newest first.

    Args:
        world: whose jobs.
        category: in any case.
        look_back: how far finished jobs go back.
        limit: how many in a page.
        offset: how many stand before it: 100 is the second page of a hundred [doc].
    """
    wanted = {"active": (False,), "finished": (True,)}.get(category.casefold(), (False, True))
    jobs = [job for job in world.jobs.values() if (job.state in FINISHED) in wanted and _is_seen(job, world.now)]
    recent = [job for job in jobs if job.state not in FINISHED or _at(job.changed) >= world.now - look_back]
    return _listed(sorted(recent, key=lambda job: -job.id), world.now, limit, offset)


def details(world: World, number: int) -> Reply | None:
    """What JobDetails tells of one job, as far as the vendor's client reads it [src]; None where there is no such job."""
    job = world.jobs.get(number)
    if job is None:
        return None
    summary, state = _summary(job, world.now), STATUSES[job.state]
    ended = int(_at(job.changed).timestamp()) if job.state in FINISHED else 0
    progress: dict[str, Value] = {
        "state": state,
        "numOfFilesTransferred": 0,
        "percentComplete": int(_PERCENT[job.state]),
    }
    if "pendingReason" in summary:
        progress["reasonForJobDelay"] = summary["pendingReason"]
    attempt: dict[str, Value] = {
        "status": state,
        "phase": 4,
        "startTime": summary["jobStartTime"],
        "elapsedTime": summary["jobElapsedTime"],
    }
    general: dict[str, Value] = {
        "jobId": job.id,
        "jobType": "Backup",
        "startTime": summary["jobStartTime"],
        "subclient": summary["subclient"],
    }
    return {
        "job": {
            "jobDetail": {
                "generalInfo": general,
                "detailInfo": {"endTime": ended, "numOfObjects": 0},
                "progressInfo": progress,
                "attemptsInfo": [attempt],
            }
        }
    }


def _at(moment: datetime | None) -> datetime:
    return moment or datetime.fromtimestamp(0, UTC)


def _is_seen(job: BackupJob, now: datetime) -> bool:
    return now - _at(job.started) >= UNSEEN


def _listed(jobs: list[BackupJob], now: datetime, limit: int = PAGE, offset: int = 0) -> Reply:
    rows: list[Value] = [{"jobSummary": _summary(job, now)} for job in jobs[offset : offset + limit]]
    return {"totalRecordsWithoutPaging": len(jobs)} | ({"jobs": rows} if rows else {})


def _summary(job: BackupJob, now: datetime) -> dict[str, Value]:
    started, changed = _at(job.started), _at(job.changed)
    ended = changed if job.state in FINISHED else now
    summary: dict[str, Value] = {
        "jobId": job.id,
        "jobType": "Backup",
        "status": STATUSES[job.state],
        "localizedStatus": STATUSES[job.state],
        "localizedOperationName": "Backup",
        "appTypeName": "Virtual Server",
        "backupLevel": "INCREMENTAL",
        "backupLevelName": "Incremental",
        "percentComplete": _PERCENT[job.state],
        "jobStartTime": int(started.timestamp()),
        "lastUpdateTime": int(changed.timestamp()),
        "jobElapsedTime": int((ended - started).total_seconds()),
        "destClientName": job.client or job.node.name,
        "isVisible": True,
        "isAged": False,
        "totalFailedFiles": 0,
        "subclient": {
            "clientName": job.client or job.node.name,
            "instanceName": "Hyper-V",
            "backupsetName": "defaultBackupSet",
            "subclientName": f"guests of {job.node.name}",
        },
    }
    reason = _REASON.fullmatch(job.reason)
    if reason is not None:
        summary["pendingReason"] = f"Error Code: [{reason['code']}], Description: {reason['text']}"
        summary["pendingReasonErrorCode"] = reason["code"]
    return summary
