"""How long a drill took, against what the inventory promises: from the entries of its own steps. Pure.

The failover begins with the first shutdown and ends when somebody has said that the service works on the other side; so does
the failback. What would have been lost is the age of the last replication when the first machine was shut down: its time is
the host's own clock, the shutdown's is the bot's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from bot.api.command import AfterRun, StepTimes
from bot.api.facts import Known
from bot.api.plan import PromisedTime
from bot.api.rows import CellError, get_datetime
from commands.continuity.replicas import format_span
from commands.drill.sides import Direction

RTO, RPO = "RTO", "RPO"
KEPT, BROKEN = "kept", "broken"
_WAYS: tuple[tuple[Direction, str], ...] = (("out", "failover"), ("back", "failback"))
_CLOCKS = timedelta(minutes=5)  # Kerberos allows a host's clock this much


def describe_drill(told: AfterRun) -> tuple[str, ...]:
    """Sentences for the card and the last entry: "failover took 42 min, RTO 60 min: kept"."""
    promised = {one.name: timedelta(minutes=one.minutes) for one in told.promises}
    return (
        *_durations(told.times, promised.get(RTO)),
        *_losses(told, promised.get(RPO)),
        *_standing(told),
    )


def promises(rto: int | None, rpo: int | None) -> tuple[PromisedTime, ...]:
    """What the inventory promises, in minutes; what it does not promise is left out."""
    return tuple(PromisedTime(name, minutes) for name, minutes in ((RTO, rto), (RPO, rpo)) if minutes)


def _durations(times: Mapping[str, StepTimes], promised: timedelta | None) -> Iterator[str]:
    for direction, word in _WAYS:
        took = _took(direction, times)
        if took is not None:
            yield f"{word} took {format_span(took)}, {_against(RTO, took, promised)}"
    stated, checked = times.get("state-off"), times.get("check-lost")
    if stated is not None and checked is not None:
        took = checked.ended - stated.ended
        yield f"it worked {format_span(took)} after the statement; how long it was down before is not known"


def _took(direction: Direction, times: Mapping[str, StepTimes]) -> timedelta | None:
    began = [one.began for step, one in times.items() if step.startswith(f"stop-{direction}-")]
    ended = times.get(f"check-{direction}")
    return ended.ended - min(began) if began and ended is not None else None


def _losses(told: AfterRun, promised: timedelta | None) -> Iterator[str]:
    """The worst of the machines; one whose time cannot be told is named, and never passed over."""
    prefix = "stop-out-"
    ages: dict[str, timedelta] = {}
    for step, times in told.times.items():
        if not step.startswith(prefix):
            continue
        at = _last_replication(told, step)
        if at is None or at > times.began + _CLOCKS:
            yield f"last replication of {step.removeprefix(prefix)} before the planned stop: not known"
            continue
        ages[step] = max(timedelta(), times.began - at)
    if ages:
        worst = max(ages.values())
        yield f"last replication {format_span(worst)} before the planned stop, {_against(RPO, worst, promised)}"


def _last_replication(told: AfterRun, step: str) -> datetime | None:
    rows = told.before.get(step) or ()
    try:
        return get_datetime(rows[0], "LastReplicationTime") if len(rows) == 1 else None
    except (CellError, ValueError):
        return None


def _against(name: str, span: timedelta, promised: timedelta | None) -> str:
    if promised is None:
        return f"no {name} is set"
    return f"{name} {promised // timedelta(minutes=1)} min: {KEPT if span <= promised else BROKEN}"


def _standing(told: AfterRun) -> Iterator[str]:
    """How many of the last questions were answered as wished; the readings themselves stand with the last step."""
    silent = [one.target for one in told.answers if not isinstance(one, Known)]
    if silent:
        yield f"not known how it stands now: {', '.join(dict.fromkeys(silent))} did not answer"
