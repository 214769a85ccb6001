"""The evidence beside a verdict on writers, in words: suspects, locks, drains, mounted snapshots, event 8194."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from commands.formatting import format_time, join_names, pluralize, sentences
from commands.sources.event_log import (
    MOST,
    EventLog,
    Meaning,
    drain_error,
    format_error_code,
    guest_event_ids,
    meaning_of,
)
from commands.sources.guests import Power
from commands.vss.event_8194 import Cause
from commands.vss.node_verdict import NodeVerdict
from commands.vss.suspects import Suspect, which_are_suspects


def suspect_line(node: NodeVerdict, now: datetime) -> str:
    """Which guests the logs name, and that silence clears nobody. "None" is said of a log only that was read whole."""
    log = node.facts.vmms
    gap = "" if isinstance(log, Unknown) else missing_events(log, node.logs_since, now)
    if not node.suspects:
        ids = format_event_ids(guest_event_ids(node.facts.node.build), "or")
        if isinstance(log, Unknown):
            return f"Not known: events {ids} on {node.name} could not be read. That does not rule out any guest."
        if gap:
            return f"No event {ids} that was read names a guest. {gap} That does not rule out any guest."
        return (
            f"No event {ids} names a guest since {format_time(node.logs_since, now)}. That does not rule out any guest."
        )
    said = join_names([_suspect(one, node.name, now) for one in node.suspects], 5)
    return f"{said}. {gap}" if gap else said


def _suspect(one: Suspect, node: str, now: datetime) -> str:
    """By whose word it is one, and where it runs: "crm-01 (event 10102, 22:14 UTC, 3 times, now on hv04)"."""
    moved = (
        ""
        if one.runs_on == node
        else f", now on {one.runs_on}"
        if one.runs_on
        else f", which of {one.namesakes} guests of that name is not known"
        if one.namesakes
        else ", on no node that answered"
    )
    times = f", {one.times} times" if one.times > 1 else ""
    others = [meaning for meaning in one.meanings if meaning is not Meaning.GUEST_SNAPSHOT_FAILED]
    said = f": {join_names([meaning.value for meaning in others])}" if others else ""
    return f"{one.name} (event {one.event_id}{said}, {format_time(one.newest, now)}{times}{moved})"


def format_event_ids(ids: Sequence[int], joint: str) -> str:
    """Numbers of events in a sentence: "10102", "10102, 10103 or 10150"."""
    *most, last = map(str, ids)
    return f"{', '.join(most)} {joint} {last}" if most else last


def missing_events(log: EventLog, since: datetime, now: datetime) -> str:
    """What a log may hold since then beside what was read, as sentences; "" where it was read whole."""
    if log.is_whole(since):
        return ""
    back = f", back to {format_time(log.events[-1].at, now)}" if log.events else ""
    cut = f"Only the newest {MOST} were read{back}." if log.cut else ""
    unreadable = f"{pluralize(log.unreadable, 'event')} cannot be read." if log.unreadable else ""
    return sentences((cut, unreadable))


def count_events(log: EventLog | Unknown, times: int, noun: str) -> str:
    """How many, as far as the log was read: "9 events", "at least 200 events"."""
    least = "" if isinstance(log, Unknown) or not log.cut else "at least "
    return f"{least}{pluralize(times, noun)}"


def locked_line(node: NodeVerdict) -> str:
    """Which guests are locked; "" for none or unknown. All but the suspects are victims."""
    if not node.locks.roles:
        return ""
    of = f" of {node.guests}" if node.guests else ""
    locked = [(one.name, is_) for one, is_ in which_are_suspects(node.locks.locked or (), node.suspects)]
    kinds = {
        True: ("{}, suspect", 4),
        None: ("suspect or victim, the event has no id: {}", 4),
        False: ("victims: {}", 12),
    }
    parts = [
        says.format(join_names(names, most))
        for kind, (says, most) in kinds.items()
        if (names := [name for name, suspect in locked if suspect is kind])
    ]
    return f"{len(locked)}{of}: {'; '.join(parts)}"


def saved_line(node: NodeVerdict) -> str:
    """Guests in saved state, beside a writer in trouble; "" for none or unknown. Why they are is not in their state."""
    guests = node.facts.guests
    saved = [] if isinstance(guests, Unknown) else [one.name for one in guests if one.power is Power.SAVED]
    if not saved:
        return ""
    which = "it" if len(saved) == 1 else "each"
    return f"{join_names(sorted(saved), 4)}. Either someone saved {which}, or a backup that could not run online did."


def log_line(node: NodeVerdict, now: datetime) -> str:
    """What logs and volumes of the node add: failed drains, blocked moves, mounted snapshots, event 8194."""
    return sentences((_drains(node, now), _mounted(node, now), _callbacks(node, now)))


def _drains(node: NodeVerdict, now: datetime) -> str:
    own = node.facts.clustering
    if isinstance(own, Unknown):
        return ""
    build = node.facts.node.build
    drains = [event for event in own if meaning_of(event, build) is Meaning.DRAIN_MOVE_FAILED]
    codes = dict.fromkeys(code for code in map(drain_error, drains) if code is not None)
    errors = "errors" if len(codes) > 1 else "error"
    failed = f" with {errors} {join_names([format_error_code(code) for code in codes], 4)}" if codes else ""
    moves = (
        f"A drain failed{failed} (event 1137, {count_events(own, len(drains), 'time')}, last {format_time(drains[0].at, now)})."
        if drains
        else ""
    )
    blocked = [event for event in own if meaning_of(event, build) is Meaning.LOCKED_STATUS]
    denied = (
        f"The lock blocked {count_events(own, len(blocked), 'operation')} (event 1071, last {format_time(blocked[0].at, now)})."
        if blocked
        else ""
    )
    return sentences((moves, denied))


def _mounted(node: NodeVerdict, now: datetime) -> str:
    snapshots = node.facts.snapshots
    if not isinstance(snapshots, tuple) or not snapshots:
        return ""
    made = [one.made for one in snapshots if one.made]
    since = f", the oldest since {format_time(min(made), now)}" if made else ""
    return f"{pluralize(len(snapshots), 'snapshot volume')} mounted{since}."


def _callbacks(node: NodeVerdict, now: datetime) -> str:
    error = node.callback
    if error is None or error.cause is not Cause.STUCK_WRITER:
        return ""
    return (
        f"Event 8194 (access denied, {count_events(node.facts.callbacks, error.times, 'time')}, last {format_time(error.newest, now)}) also appears with a stuck"
        " writer, and again after its job is killed. Fix the writer before you change any permissions."
    )
