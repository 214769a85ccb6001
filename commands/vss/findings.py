"""Findings about writers, in words: verdict, what it means, do now, do not do now, then the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from bot.api.report import Finding, Severity
from commands.formatting import format_time, join_names, pluralize, sentences
from commands.sources.event_log import LOCKED_ERROR, Meaning
from commands.sources.rules import folded_names, service_of
from commands.sources.vss_writers import ADVICE, HYPER_V, Error
from commands.vss.event_8194 import Cause
from commands.vss.evidence import count_events, locked_line, log_line, saved_line, suspect_line
from commands.vss.node_verdict import TROUBLED, NodeVerdict
from commands.vss.writer_verdict import APART, WriterSample, WriterStatus, WriterVerdict

Line = tuple[str, str]

SEVERITY = {
    WriterStatus.STUCK: Severity.FAULT,
    WriterStatus.LOOKS_STUCK: Severity.WARNING,
    WriterStatus.FAILED: Severity.WARNING,
    WriterStatus.ERROR: Severity.WARNING,
    WriterStatus.ODD: Severity.WARNING,
    WriterStatus.BUSY: Severity.NOTE,
    WriterStatus.EXPECTED: Severity.NOTE,
}
RECOVERED = "RECOVERED"
_WAITS = (WriterStatus.STUCK, WriterStatus.LOOKS_STUCK)
_UNRELIABLE = (
    "Windows keeps a writer's last state: outside of a backup it can be an old one, even of a job that worked."
)


def node_findings(node: NodeVerdict, now: datetime) -> Iterator[Finding]:
    """Everything that is to say about one node, worst first."""
    if not node.writers:
        yield _no_writers(node)
        return
    if node.lacks_hyper_v_writer:
        yield _no_hyper_v(node)
    for verdict in SEVERITY:
        for found in _alike(node.has(verdict), verdict):
            yield _finding(node, verdict, found, now)
    if node.locks.roles and not node.backup.runs and not any(node.has(verdict) for verdict in _WAITS):
        yield _locked(node)
    if node.callback and node.callback.cause is Cause.PERMISSION:
        yield _permission(node, now)
    for one in node.has(WriterStatus.STABLE):
        if one.was is not None:
            yield _recovered(node, one, one.was, now)


def silent_findings(node: NodeVerdict, now: datetime) -> Iterator[Finding]:
    """What is to say about a node whose writers are not known: its cluster may know that guests are locked."""
    if node.locks.roles and not node.backup.runs:
        found = _locked(node)
        says = f"{found.summary} The state of its writers is not known."
        suspects = ("Suspect", suspect_line(node, now) if node.suspects else "")
        because = ("Because", log_line(node, now))
        yield replace(found, summary=says, lines=(*found.lines, *(line for line in (suspects, because) if line[1])))


def _finding(node: NodeVerdict, verdict: WriterStatus, found: tuple[WriterVerdict, ...], now: datetime) -> Finding:
    first = found[0]
    error = verdict is WriterStatus.BUSY and first.writer.error not in (Error.NONE, Error.UNREAD)
    names = join_names([node.shown(one) for one in found], 4)
    state = first.writer.says if len({one.writer.says for one in found}) == 1 else _each(node, found)
    lines = _waiting(node, verdict, first, now) if verdict in _WAITS else _other(node, verdict, found, now)
    return Finding(
        Severity.FAULT if _failed_a_guest(node, verdict, first) else Severity.WARNING if error else SEVERITY[verdict],
        verdict.value,
        node.name,
        sentences((f"{names}: {state}.", node.backup.says if first.writer.waits else "", _seen(verdict, first, now))),
        tuple((label, text) for label, text in (*lines, *_evidence(node, verdict, found, now)) if text),
    )


def _failed_a_guest(node: NodeVerdict, verdict: WriterStatus, one: WriterVerdict) -> bool:
    """Whether a failure is known to be one of a backup: logs name a guest for which it failed in this time."""
    return verdict is WriterStatus.FAILED and one.writer.is_hyper_v and bool(node.suspects)


def _alike(found: tuple[WriterVerdict, ...], verdict: WriterStatus) -> Iterator[tuple[WriterVerdict, ...]]:
    """Writers that share a finding: all that wait, since they wait for one job; others by state and error."""
    keys = dict.fromkeys("" if verdict in _WAITS or verdict is WriterStatus.BUSY else one.writer.says for one in found)
    for key in keys:
        yield tuple(one for one in found if key in ("", one.writer.says))


def _each(node: NodeVerdict, found: tuple[WriterVerdict, ...]) -> str:
    return "; ".join(f"{node.shown(one)} {one.writer.says}" for one in found[:4])


def _seen(verdict: WriterStatus, one: WriterVerdict, now: datetime) -> str:
    if verdict is WriterStatus.STUCK:
        earlier = max(at for at in one.seen if now - at >= APART)
        return f"Same instance at {format_time(earlier, now)} and {format_time(now, now)}."
    return "One reading so far." if verdict is WriterStatus.LOOKS_STUCK and not one.seen else ""


def _waiting(node: NodeVerdict, verdict: WriterStatus, one: WriterVerdict, now: datetime) -> Iterator[Line]:
    """A writer that waits for nobody."""
    again = _look_again(node, one, now) if verdict is WriterStatus.LOOKS_STUCK else ""
    room = _free_space(node)
    if one.writer.is_hyper_v:
        yield "Means", _means(node)
        yield (
            "Do now",
            sentences(
                (again, room) if node.backup.holds_guests is None and not node.backup.on_hosts_by_age else (room, again)
            ),
        )
        yield "Caution", sentences((_leave_alone(node), _leave_the_job(node)))
        yield "By hand", _restart_vmms(node) if verdict is WriterStatus.STUCK else ""
    else:
        yield "Means", "Backups that use this writer are expected to fail until it is stable again."
        yield "Do now", again or _who_holds(node, "this writer")
        yield from _restart(node, (one,))
    if one.seen:
        yield (
            "First seen",
            f"{format_time(one.seen[0], now)}, same instance in {pluralize(len(one.seen) + 1, 'reading')}.",
        )


def _look_again(node: NodeVerdict, one: WriterVerdict, now: datetime) -> str:
    holds = node.backup.holds_guests if one.writer.is_hyper_v else node.backup.runs
    by_age = node.backup.on_hosts_by_age if one.writer.is_hyper_v else node.backup.by_age
    if holds is None and not by_age:
        return f"Check {_place(node)} whether a backup is running."
    due = (one.seen or (now,))[0] + APART
    return f"Check again at {format_time(due, now)} or later: a second reading shows whether it is stuck or just slow."


def _place(node: NodeVerdict) -> str:
    """Where a person looks; without a backup product, what made a shadow copy tells it."""
    return node.backup.where_to_see or f"on {node.name} (vssadmin list shadows)"


def _who_holds(node: NodeVerdict, what: str) -> str:
    if node.backup.where_to_see:
        return f"Check {_place(node)} whether a job still holds {what}."
    return f"The inventory lists no backup product for {node.name}: check there which program holds {what} (vssadmin list shadows)."


def _means(node: NodeVerdict) -> str:
    guests = "all its guests" if node.guests is None else f"all {pluralize(node.guests, 'guest')}"
    locked = node.locks.roles
    if locked is None:
        drain = "whether any is locked is not known"
    elif node.locks.unread and not locked:
        drain = f"whether {join_names(node.locks.unread, 4)} is locked is not known"
    elif locked:
        drain = f"{len(locked)} {'is' if len(locked) == 1 else 'are'} locked, so {node.name} cannot drain (error {LOCKED_ERROR})"
    else:
        drain = "none is locked"
    return f"The next backup of {node.name} is expected to fail for {guests}; {drain}."


def _free_space(node: NodeVerdict) -> str:
    full = [one.name for one in node.suspects if set(one.meanings) != {Meaning.NO_SCSI_CONTROLLER}]
    controllers = add_controllers(node)
    if full:
        room = f"Free 1 GB or more on every full volume of {join_names(full, 4)}, then resume the backup job."
        return sentences((room, controllers))
    if controllers:
        return controllers
    return "Find the guest without room (Find Full Guests) and free 1 GB or more on each of its full volumes. Then resume the backup job."


def add_controllers(node: NodeVerdict) -> str:
    """What to give the guests that logs name for want of a SCSI controller; "" for none. A running guest takes none [mem]."""
    names = [one.name for one in node.suspects if Meaning.NO_SCSI_CONTROLLER in one.meanings]
    return f"Shut down {join_names(names, 4)}, add a SCSI controller, and start it again." if names else ""


def _leave_alone(node: NodeVerdict) -> str:
    if node.locks.none:
        return f"Don't restart vmms on {node.name} before it is drained."
    state = (
        f"{pluralize(len(node.locks.roles), 'guest')} {'is' if len(node.locks.roles) == 1 else 'are'} locked"
        if node.locks.roles
        else "unknown whether guests are locked"
    )
    return f"Don't drain, pause or reboot {node.name}, restart vmms, or force guests off it: {state}."


def _leave_the_job(node: NodeVerdict) -> str:
    """A job that waits goes on once there is room; resumed before it fails again, and killed it leaves worse [1 note]."""
    if node.backup.runs is False:
        return "Until the cause is fixed, a resumed or new job will fail too."
    return "Don't kill the backup job: it can continue once the cause is fixed. Killing it leaves the writer stuck."


def _restart_vmms(node: NodeVerdict) -> str:
    if not node.locks.none or node.backup.runs is not False:
        return ""
    return (
        f"If it does not recover once there is room: drain {node.name}, restart the service vmms, resume with failback."
    )


def _restart(node: NodeVerdict, found: tuple[WriterVerdict, ...]) -> Iterator[Line]:
    """The services of writers: by hand, never, or not known. The Hyper-V writer's needs a drain first."""
    listed = folded_names(one.writer.name for one in node.writers)
    rules = [rule for one in found if (rule := service_of(one.writer.writer_id, one.writer.name, listed))]
    never = dict.fromkeys(f"{rule.service} ({rule.why})" for rule in rules if rule.restart == "never")
    leave = f"Don't restart {join_names(never)} on {node.name}." if never else ""
    hyper_v = _leave_alone(node) if any(one.writer.is_hyper_v for one in found) else ""
    yield "Caution", sentences((hyper_v, leave))
    if all(one.writer.needs_other_job for one in found):
        yield "By hand", "No restart of a service fixes this error: only what the job selects does."
        return
    may = [rule for rule in rules if rule.restart == "by hand" and rule.writer_id != HYPER_V]
    if may and node.backup.runs is False:
        services = join_names(dict.fromkeys(rule.service for rule in may))
        why = dict.fromkeys(rule.why for rule in may)
        when = "If a retry does not help"
        if all(one.writer.fails_again for one in found):
            logs = (
                join_names(dict.fromkeys(rule.log for rule in may if rule.log)) or f"the Application log of {node.name}"
            )
            yield "Suspect", f"A fault in the writer's own application, which may fail the next backup too: see {logs}."
            when = "Once that is fixed (a restart clears the state, not the cause)"
        yield "By hand", sentences((f"{when}: restart {services} on {node.name}.", *why))


def _other(node: NodeVerdict, verdict: WriterStatus, found: tuple[WriterVerdict, ...], now: datetime) -> Iterator[Line]:
    first = found[0]
    advice = ADVICE.get(first.writer.error, "")
    if verdict is WriterStatus.BUSY:
        failing = first.writer.error not in (Error.NONE, Error.UNREAD)
        means = "Waiting is normal while a backup runs."
        yield "Means", f"{means} Its error says that this backup is likely to fail." if failing else means
        yield "Do now", "Let the backup end, then check again."
        yield "Caution", f"Don't drain or reboot {node.name} or restart vmms while a backup is running."
    elif verdict is WriterStatus.FAILED:
        yield "Means", _failed_when(node, found, now)
        retry = advice or "Retry the backup job, and check again while no backup runs."
        yield "Do now", sentences((add_controllers(node) if first.writer.is_hyper_v else "", retry))
        yield from _restart(node, found)
    elif verdict is WriterStatus.EXPECTED:
        yield (
            "Means",
            "Expected on Windows Server 2003 and 2008: their writers show it after backups that worked (KB2952783).",
        )
    elif verdict is WriterStatus.ERROR:
        yield "Means", "It is ready again; the error is that of an earlier backup."
        yield "Do now", advice or "Retry the backup job, and check again."
    else:
        yield "Means", "No source describes this state. It is not counted as healthy."
        yield "Do now", "Check again while no backup runs."


def _failed_when(node: NodeVerdict, found: tuple[WriterVerdict, ...], now: datetime) -> str:
    """What is known of a failure in time: a state says that some backup had it, and neither when nor what came of it."""
    one, they = found[0], "It" if len(found) == 1 else "They"
    if _failed_a_guest(node, WriterStatus.FAILED, one):
        return f"{they} failed in a backup, and the log names a guest that was not backed up."
    alone = len(found) == 1
    if alone and one.well_at and not one.seen:
        return f"It failed in a backup after {format_time(one.well_at, now)}, when it was still healthy. Check in the backup product whether that backup failed."
    since = f" It was already in this state at {format_time(one.seen[0], now)}." if alone and one.seen else ""
    return f"{they} failed in some backup. Nothing here says in which one, or whether that backup failed.{since}"


def _evidence(
    node: NodeVerdict, verdict: WriterStatus, found: tuple[WriterVerdict, ...], now: datetime
) -> Iterator[Line]:
    """Suspects, locks and logs: only beside a verdict that they explain."""
    hyper_v = any(one.writer.is_hyper_v for one in found)
    if hyper_v and (verdict in _WAITS or verdict is WriterStatus.FAILED):
        yield "Suspect", suspect_line(node, now)
        yield "Saved", saved_line(node)
    if verdict in (*_WAITS, WriterStatus.BUSY):
        yield "Locked", locked_line(node)
    if verdict in TROUBLED:
        old = _UNRELIABLE if verdict is WriterStatus.FAILED else ""
        yield "Because", sentences((old, log_line(node, now)))


def _no_writers(node: NodeVerdict) -> Finding:
    lines = (
        ("Means", "An empty list is not healthy: nothing here can be backed up through VSS."),
        (
            "Do now",
            "Look in its Application log for VSS 22, 8193 or 12302: a broken EventSystem registration is a known cause.",
        ),
    )
    return Finding(Severity.FAULT, "NO WRITERS", node.name, "vssadmin answered and lists no writer at all.", lines)


def _no_hyper_v(node: NodeVerdict) -> Finding:
    lines = (
        ("Means", f"No backup through VSS can include the guests on {node.name}."),
        ("Do now", "See whether the service vmms runs, then check again."),
    )
    listed_ = f"{pluralize(len(node.writers), 'writer')} listed, and not that of Hyper-V."
    return Finding(Severity.FAULT, "MISSING", node.name, listed_, lines)


def _locked(node: NodeVerdict) -> Finding:
    lines = (
        ("Means", f"{node.name} cannot drain (error {LOCKED_ERROR}) while they are locked."),
        ("Do now", _who_holds(node, "them")),
        ("Caution", _leave_alone(node)),
        ("Locked", locked_line(node)),
    )
    return Finding(Severity.WARNING, "LOCKED", node.name, f"Guests are locked. {node.backup.says}", lines)


def _permission(node: NodeVerdict, now: datetime) -> Finding:
    assert node.callback is not None  # asked by the only caller
    error = node.callback
    named = f" The events name {join_names(error.writers, 4)}." if error.writers else ""
    lines = (
        (
            "Means",
            "The writers are stable, and the event repeats: a service account is denied the COM callback from the writer to the backup software.",
        ),
        (
            "By hand",
            "Grant that service account local access: Component Services, COM Security, Access Permissions.",
        ),
    )
    what = f"Event 8194, access denied, {count_events(node.facts.callbacks, error.times, 'time')}, last {format_time(error.newest, now)}.{named}"
    return Finding(Severity.WARNING, Cause.PERMISSION.value, node.name, what, lines)


def _recovered(node: NodeVerdict, one: WriterVerdict, was: WriterSample, now: datetime) -> Finding:
    """A writer that an earlier answer saw stuck or failed, and that is well now."""
    error = f" · {was.error}" if was.error else ""
    lines = [("Because", f"At {format_time(was.at, now)} it was [{was.state}]{error}.")]
    if one.writer.is_hyper_v:
        locks = f"No guest on {node.name} is locked now." if node.locks.none else ""
        lines.append(("Next", sentences((locks, "Resume the backup job if it is still pending."))))
    return Finding(Severity.NOTE, RECOVERED, node.name, f"{node.shown(one)}: {one.writer.says}.", tuple(lines))
