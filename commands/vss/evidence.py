"""The evidence beside a verdict on writers, in words: suspects, locks, drains, mounted snapshots, event 8194."""

from __future__ import annotations

from datetime import datetime

from bot.api.facts import Unknown
from commands.formatting import format_time, join_names, pluralize, sentences
from commands.sources.event_log import DRAIN_MOVE_FAILED, MOST, EventLog, drain_error, format_error_code
from commands.vss.event_8194 import Cause
from commands.vss.node_verdict import NodeVerdict


def suspect_line(node: NodeVerdict, now: datetime) -> str:
    """Which guests the logs name, and that silence clears nobody. "None" is said of a log only that was read whole."""
    log = node.facts.vmms
    gap = "" if isinstance(log, Unknown) else missing_events(log, node.logs_since, now)
    if not node.suspects:
        if isinstance(log, Unknown):
            return f"Not known: the events 10102 of {node.name} did not come. That clears nobody."
        if gap:
            return f"No event 10102 that was read names a guest. {gap} That clears nobody."
        return f"No event 10102 names a guest since {format_time(node.logs_since, now)}. That clears nobody."
    said = []
    for one in node.suspects:
        moved = (
            ""
            if one.runs_on == node.name
            else f", now on {one.runs_on}"
            if one.runs_on
            else ", on no node that answered"
        )
        times = f", {one.times} times" if one.times > 1 else ""
        said.append(f"{one.name} (event 10102, {format_time(one.newest, now)}{times}{moved})")
    return f"{join_names(said, 5)}. {gap}" if gap else join_names(said, 5)


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
    suspects = {one.name for one in node.suspects}
    among = [name for name in node.locks.roles if name in suspects]
    victims = [name for name in node.locks.roles if name not in suspects]
    suspected = f"{join_names(among, 4)}, suspect" if among else ""
    hit = f"victims: {join_names(victims, 12)}" if victims else ""
    return f"{len(node.locks.roles)}{of}: {'; '.join(part for part in (suspected, hit) if part)}"


def log_line(node: NodeVerdict, now: datetime) -> str:
    """What logs and volumes of the node add: failed drains, blocked moves, mounted snapshots, event 8194."""
    return sentences((_drains(node, now), _mounted(node, now), _callbacks(node, now)))


def _drains(node: NodeVerdict, now: datetime) -> str:
    own = node.facts.clustering
    if isinstance(own, Unknown):
        return ""
    drains = [event for event in own if event.event_id == DRAIN_MOVE_FAILED]
    codes = dict.fromkeys(code for code in map(drain_error, drains) if code is not None)
    errors = "errors" if len(codes) > 1 else "error"
    failed = f" with {errors} {join_names([format_error_code(code) for code in codes], 4)}" if codes else ""
    moves = (
        f"A drain failed{failed} ({count_events(own, len(drains), 'event')} 1137, last {format_time(drains[0].at, now)})."
        if drains
        else ""
    )
    blocked = [event for event in own if event not in drains]
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
        f"Event 8194 (access denied, {count_events(node.facts.callbacks, error.times, 'time')}, last {format_time(error.newest, now)}) comes with a stuck"
        " writer too: mend the writer before any permission."
    )
