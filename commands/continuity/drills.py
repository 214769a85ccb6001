"""Was the service failed over and back as a whole, within what is promised, and not too long ago? Pure.

A drill is proved by the proved entries of a ticket of /drill that is done: there and back, each way by steps that changed
something, for each machine that the service has by now. One way alone is none, nor is one that was taken back. Broken times are
no proof that the promise is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.api.continuity import Assumption, Service
from bot.api.facts import Unknown
from commands.continuity.outcomes import Outcome, Verdict, by_age
from commands.formatting import join_names
from commands.sources.drills import DrillRecord, machine_key

_STEPS = ("stop-out-", "over-out-", "start-out-", "stop-back-", "over-back-", "start-back-")
# Behind the key of a machine whose name is no key of its own.
_ID = re.compile(r"-[0-9a-f]{8}", re.IGNORECASE | re.ASCII)
_BROKEN, _NOT_KNOWN = ": broken", ": not known"
_TIMES = ("failover took ", "failback took ", "last replication ")


def judge_drill(
    assumption: Assumption, of: Service, told: Sequence[DrillRecord] | Unknown | None, now: datetime
) -> Verdict:
    """Judge by the newest drill of the service that went there and back.

    Args:
        assumption: whose target is the service; another target is no subject of a drill.
        of: the service, as the inventory has it now.
        told: the drills that are done.
        now: the time.
    """
    service = of.name
    if assumption.target.casefold() != service.casefold():
        why = f"a drill is of the service {service} as a whole; {assumption.target} is another name"
        return Verdict(Outcome.UNPROVABLE, assumption.target, why, assumption)
    if told is None or isinstance(told, Unknown):
        why = told.why.rstrip(".") if told else "was not asked"
        return Verdict(Outcome.UNPROVABLE, service, f"which drills were done is not known: {why}", assumption)
    whole = [one for one in told if one.target.casefold() == service.casefold() and _is_whole(one)]
    if not whole:
        return Verdict(
            Outcome.UNPROVABLE, service, "no drill there and back is in the ledger", assumption, "the ledger"
        )
    newest = max(whole, key=lambda one: one.ended)
    if absent := _without(newest, of.guests):
        why = f"{newest.ticket}, the last drill there and back, was without {join_names(absent)}"
        return Verdict(Outcome.UNPROVABLE, service, why, assumption, "the ledger")
    return _by_age_and_times(assumption, newest, now)


def _by_age_and_times(assumption: Assumption, newest: DrillRecord, now: datetime) -> Verdict:
    """What a drill of the whole service proves: how long ago it was, and whether it kept what is promised."""
    seen = by_age(assumption, newest.ended, now, f"{newest.ticket}, last drill", asked="the ledger")
    times = "; ".join(_times(newest.measured))
    shown = replace(seen, why=f"{seen.why}; {times}" if times else seen.why)
    if any(_BROKEN in one for one in newest.measured):
        return replace(shown, outcome=Outcome.BROKEN)
    is_told = all(any(one.startswith(start) for one in newest.measured) for start in _TIMES)
    is_open = any(one.startswith(_TIMES) and one.endswith(_NOT_KNOWN) for one in newest.measured)
    if seen.outcome is Outcome.PROVED and (is_open or not is_told):
        return replace(shown, outcome=Outcome.UNPROVABLE, why=f"{shown.why}; how long it took is not known")
    return shown


def _is_whole(one: DrillRecord) -> bool:
    return not one.undone_by and all(any(step.startswith(start) for step in one.changed) for start in _STEPS)


def _without(one: DrillRecord, guests: Iterable[str]) -> tuple[str, ...]:
    """The machines that did not go there and back in it, each way by every step: the inventory may have got them since."""
    left = Counter({key: min(_count(one, start, key) for start in _STEPS) for key in map(machine_key, guests)})
    absent = []
    for name in guests:
        key = machine_key(name)
        left[key] -= 1
        absent += [name] if left[key] < 0 else []
    return tuple(absent)


def _count(one: DrillRecord, start: str, key: str) -> int:
    """How many machines of that key a kind of step has changed."""
    ends = [step.removeprefix(start) for step in one.changed if step.startswith(start)]
    return sum(end == key or (end.startswith(key) and _ID.fullmatch(end[len(key) :]) is not None) for end in ends)


def _times(measured: Iterable[str]) -> list[str]:
    return [one for one in measured if one.startswith(_TIMES)]
