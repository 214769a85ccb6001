"""What may be asked of CommVault's web service and of load balancers, and what may be done there: closed rows, like the programs.

Paths, fields and error codes: the vendor's own Python client (cvpysdk) and its documentation [src, doc]. Replies are JSON
where the request asks for it; versions before 11 wrap the same in the name of the XML element, with @ before attributes [src].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from bot.api.queries import Fields, Value
from bot.api.rows import Cell, Row, Rows
from bot.redaction import clip
from bot.transport.allowlist import loadmaster
from bot.transport.allowlist.definitions import BadOutput, Parameter, bind_parameters

_WRAPPER = "JobManager_JobListResponse"
_JOB_END = 2**31
_REASON = 500  # characters of a reason that are kept
_PAGE = 1000  # jobs in one page: one is seldom more; the service's own default is 100 [doc]
ACCESS_DENIED = 5  # in a reply's errorCode [cap]


class JobRefused(ValueError):
    """The service answered that it does not do that.

    Attributes:
        code: its own number; 0 means success.
    """

    def __init__(self, says: str, code: int) -> None:
        super().__init__(says)
        self.code = code


@dataclass(frozen=True, slots=True)
class WebCall:
    """One thing that may be asked or done there.

    Attributes:
        what: its name in a question or an action: "commvault job".
        path: below the service's address; "{name}" stands for a parameter. Of a load balancer: "access/" and the command,
            whose parameters are sent under its own names (`loadmaster.NAMES`).
        parse: makes rows of the reply's JSON; raises BadOutput or Declined.
        page: how many rows one reply is asked for, where the service answers a list in pages; 0 where it does not. Such a
            list is asked for until it is whole: one that stays short of the total is refused.
    """

    what: str
    marked: Literal["reads", "changes"]
    verb: Literal["GET", "POST"]
    path: str
    parse: Callable[[Any], Rows]
    parameters: tuple[Parameter, ...] = ()
    profile: Literal["commvault", "load balancer"] = "commvault"
    page: int = 0

    def address(self, params: Fields) -> str:
        """The path with its values. Raises ValueError for one that is unknown, missing or of another kind."""
        return self.path.format_map(self.bind(params))

    def bind(self, params: Fields) -> dict[str, str]:
        """The values as text, by name. Raises ValueError for one that is unknown, missing or of another kind."""
        return bind_parameters(self.what, self.parameters, params)


def job_number(value: Value) -> str:
    """The number of a job."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _JOB_END:
        raise ValueError("takes the number of a job")
    return str(value)


def parse_jobs(reply: Any) -> tuple[Row, ...]:
    """Rows {job, status, kind, percent, client, subclient, reason, reason_code, started, changed}; times ISO 8601 or None.

    A job that has only just begun is an empty answer [src]. One that does not tell its state has the status "".

    Raises:
        BadOutput: it is no list of jobs.
        JobRefused: the service says why there is none.
    """
    told = _unwrapped(reply)
    raise_for_error(told)
    if "jobs" not in told and "totalRecordsWithoutPaging" not in told:
        raise BadOutput(clip(f"the reply is no list of jobs: it has {', '.join(map(str, told)) or 'nothing'}", 200))
    return tuple(_job(summary) for summary in _summaries(told.get("jobs")))


def total_jobs(reply: Any) -> int | None:
    """How many jobs there are on all pages; None where the reply does not say. Raises BadOutput."""
    return _integer(_unwrapped(reply).get("totalRecordsWithoutPaging"))


def parse_done(reply: Any) -> tuple[Row, ...]:
    """Nothing: an action is judged by the job afterwards. Raises JobRefused, or BadOutput."""
    told = _unwrapped(reply)
    raise_for_error(told)
    if not told:
        raise BadOutput("the reply to an action is empty")
    return ()


def raise_for_error(told: Mapping[str, Any]) -> None:
    """Raise Declined for any error that a reply carries: in errors, in errList, or by itself."""
    for error in (told, *_errors(told)):
        code = _integer(error.get("errorCode"))
        if code:
            says = str(error.get("errorMessage") or error.get("errLogMessage") or "it did not say why")
            raise JobRefused(clip(says, 300), code)


def _errors(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in (told, *_objects(told.get("errors"))):
        yield from _objects(one.get("errList"))


def _unwrapped(reply: Any) -> Mapping[str, Any]:
    """The object of a reply, in the form of version 11. Raises BadOutput."""
    told = _plain(reply)
    if isinstance(told, dict) and isinstance(told.get(_WRAPPER), dict):
        told = told[_WRAPPER]
    if not isinstance(told, dict):
        raise BadOutput("the reply is JSON, but no object")
    return told


def _plain(value: Any) -> Any:
    """Without the @ that older versions write before names that were attributes."""
    if isinstance(value, dict):
        return {str(name).removeprefix("@"): _plain(inner) for name, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _summaries(jobs: Any) -> Iterator[Mapping[str, Any]]:
    """Each job's summary: in an object of its own in each item [src], or all of them in one [src, old versions]."""
    for item in _objects(jobs):
        inner = _objects(item.get("jobSummary"))
        yield from inner or (item,)


def _objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    """A list of objects, or a single one; anything else is none."""
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, dict))


def _job(summary: Mapping[str, Any]) -> Row:
    subclient = next(iter(_objects(summary.get("subclient"))), {})
    number = _integer(summary.get("jobId"))
    if not number:
        raise BadOutput(f"there is a job without a number: {clip(repr(dict(summary)), 120)}")
    percent = _integer(summary.get("percentComplete"))
    row: dict[str, Cell] = {
        "job": str(number),
        "status": _text(summary, "status"),
        "kind": _text(summary, "jobType"),
        "percent": None if percent is None else str(percent),
        "client": _text(subclient, "clientName") or _text(summary, "destClientName"),
        "subclient": _text(subclient, "subclientName") or _text(summary, "subclientName"),
        "reason": clip(_text(summary, "pendingReason"), _REASON),
        "reason_code": _text(summary, "pendingReasonErrorCode"),
        "started": _time(summary.get("jobStartTime")),
        "changed": _time(summary.get("lastUpdateTime")),
    }
    return row


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return value if isinstance(value, str) else ""


_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?")


def _integer(value: Any) -> int | None:
    """Numbers come as numbers or as text, with a fraction or without [cap]."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _time(value: Any) -> str | None:
    """Seconds since 1970 as ISO 8601; None for 0 and for nonsense."""
    seconds = _integer(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
    except (OverflowError, OSError, ValueError):
        return None


_JOB = (Parameter("job", job_number),)
_ROWS = (
    WebCall("commvault job", "reads", "GET", "Job/{job}", parse_jobs, _JOB),
    WebCall("commvault active jobs", "reads", "GET", "Job?jobCategory=Active", parse_jobs, page=_PAGE),
    WebCall("commvault resume job", "changes", "POST", "Job/{job}/action/resume", parse_done, _JOB),
    # A LoadMaster takes changes by GET as well [doc], so no verb tells them from reads: these rows do.
    *(
        WebCall(what, "reads", "GET", path, parse, parameters, "load balancer")
        for what, path, parse, parameters in (
            ("loadmaster virtual services", "access/listvs", loadmaster.parse_services, ()),
            ("loadmaster virtual service", "access/showvs?vs={vs}", loadmaster.parse_service, (loadmaster.VS,)),
            ("loadmaster check settings", "access/showvs?vs={vs}", loadmaster.parse_check, (loadmaster.VS,)),
            ("loadmaster real servers", "access/showvs?vs={vs}", loadmaster.parse_servers, (loadmaster.VS,)),
            ("loadmaster check times", "access/showhealth", loadmaster.parse_times, ()),
            ("loadmaster version", "access/get?param=version", loadmaster.parse_version, ()),
        )
    ),
    WebCall(
        "loadmaster set check",
        "changes",
        "POST",
        "access/modvs?vs={vs}",
        loadmaster.parse_done,
        loadmaster.CHANGE,
        "load balancer",
    ),
)

CALLS: Mapping[str, WebCall] = MappingProxyType({row.what: row for row in _ROWS})
