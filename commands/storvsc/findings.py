"""The risk in words: who stopped, who is at risk and why, what cannot be told, what can be done by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Severity, Table
from bot.api.texts import clip
from commands.formatting import format_time, join_gaps, join_names, pluralize, tell_apart
from commands.sources.bugchecks import How, Stop
from commands.sources.event_log import EventLog
from commands.sources.guests import HostGuests
from commands.sources.rules import StopRule
from commands.storvsc.facts import LOOK_BACK, GuestAnswers, StorvscFacts
from commands.storvsc.ranking import GuestRisk, Risk

Names = Mapping[str, str]  # VM id -> the guest's name as it is shown
_ALONE = 6  # guests that stopped and have a finding each
_MOST = 10  # guests that one finding names
_BARS = 15
_LABEL = 20
_CAUSE = "Many drivers can cause this stop, and no event names the driver."


def guest_names(ranked: Sequence[GuestRisk]) -> Names:
    """VM id -> name, told apart from its namesakes."""
    return tell_apart((one.hosted.guest.vm_id, one.hosted.guest.name) for one in ranked)


def stop_text(code: int | None) -> str:
    """A stop as people look it up: "0xD1 (209)"."""
    return "of an unknown number" if code is None else f"0x{code:X} ({code})"


def findings_of(ranked: Sequence[GuestRisk], facts: StorvscFacts) -> tuple[Finding, ...]:
    """Worst first."""
    names, rule = guest_names(ranked), facts.rule
    stopped = [one for one in ranked if one.risk is Risk.STOPPED]
    fixed = [one for one in ranked if one.risk is Risk.STOPPED_FIXED]
    others = [one for one in ranked if one.others]
    return (
        *(_stopped(one, names, facts) for one in stopped[:_ALONE]),
        *_more_stopped(stopped[_ALONE:], names),
        *_group(ranked, Risk.AT_RISK, names, rule),
        *_group(ranked, Risk.CANNOT_TELL, names, rule),
        *(_stopped_fixed(one, names, facts) for one in fixed[:_ALONE]),
        *((_other_stops(others, names, facts.now),) if others else ()),
    )


def _name(one: GuestRisk, names: Names) -> str:
    return names[one.hosted.guest.vm_id]


def _when(stop: Stop, now: datetime) -> str:
    return f"{format_time(stop.at, now)} (event {stop.event_id})"


def _stopped(one: GuestRisk, names: Names, facts: StorvscFacts) -> Finding:
    newest = one.stops[0]
    return Finding(
        Severity.FAULT,
        "STOPPED",
        _name(one, names),
        f"Stop {stop_text(newest.code)}, {_when(newest, facts.now)}. {one.reason}.",
        (
            (
                "Means",
                f"{_CAUSE} With SCSI disks on such a host, the bug that {facts.rule.key} fixes is the first suspect.",
            ),
            ("By hand", _dump(one, facts.rule)),
            ("Next", _install(facts.rule)),
        ),
    )


def _dump(one: GuestRisk, rule: StopRule) -> str:
    dump = next((stop.dump for stop in one.stops if stop.dump), "its memory dump")
    module = rule.driver.removesuffix(".sys")
    return (
        f"In the guest, open {dump} in WinDbg and run !analyze -v. {module}!StorChannelVmbusCallback confirms this fault; any"
        " other driver is a different fault."
    )


def _install(rule: StopRule) -> str:
    return (
        "Shut down the at-risk guests at a quiet time. Don't live-migrate them: that is what triggers the stop. Then install"
        f" {rule.key}; restart the node if Windows asks."
    )


def _more_stopped(rest: Sequence[GuestRisk], names: Names) -> list[Finding]:
    if not rest:
        return []
    says = f"{join_names((_name(one, names) for one in rest), _MOST)}. The table has each."
    return [Finding(Severity.FAULT, "STOPPED", pluralize(len(rest), "more guest"), says)]


def _group(ranked: Sequence[GuestRisk], risk: Risk, names: Names, rule: StopRule) -> list[Finding]:
    found = [one for one in ranked if one.risk is risk]
    if not found:
        return []
    each = join_names((f"{_name(one, names)} ({_disks(one)})" for one in found), _MOST)
    hosts = sorted({one.hosted.host for one in found})
    if risk is Risk.AT_RISK:
        because = f"{rule.key} is not listed on {join_names(hosts)}. A later update may contain it: hvops cannot tell."
        severity, word = Severity.WARNING, "AT RISK"
    else:
        because = f"{join_names(hosts)} did not tell its disks, or its updates."
        severity, word = Severity.WARNING, "CANNOT TELL"
    return [
        Finding(
            severity,
            word,
            _name(found[0], names) if len(found) == 1 else pluralize(len(found), "guest"),
            f"{each}.",
            (
                ("Because", f"{because} {_versions(found, rule)}".strip()),
                ("Means", _MEANS.format(stop=stop_text(rule.stop))),
                ("By hand", _install(rule)),
            ),
        )
    ]


_MEANS = (
    "A live migration can stop these guests with {stop}: rarely with fixed disks, far more often with many dynamically"
    " expanding ones. Whether a .vhd expands is not reported; a checkpoint's disk always does."
)


def _disks(one: GuestRisk) -> str:
    if one.disks is None:
        return "disks not known"
    growing = f", {one.disks.growing} growing" if one.disks.growing else ""
    return f"{len(one.disks.files)} SCSI{growing}"


def _versions(found: Sequence[GuestRisk], rule: StopRule) -> str:
    """The driver's versions by branch. They never compare across branches, and nothing is public to compare them with."""
    by_branch: dict[str, set[str]] = {}
    for one in found:
        if one.file is not None:
            by_branch.setdefault(str(one.file.branch or "other"), set()).add(str(one.file))
    if not by_branch:
        return ""
    each = "; ".join(f"{branch} {join_names(sorted(told), 4)}" for branch, told in sorted(by_branch.items()))
    known = "" if rule.fixed else ": cannot tell, the fixed version is not public"
    return f"{rule.driver} {each}{known}."


def _stopped_fixed(one: GuestRisk, names: Names, facts: StorvscFacts) -> Finding:
    newest = one.stops[0]
    return Finding(
        Severity.WARNING,
        "STOPPED",
        _name(one, names),
        f"Stop {stop_text(newest.code)}, {_when(newest, facts.now)}. {one.reason}.",
        (
            ("Means", f"{_CAUSE} It stopped before the hotfix, or for another reason."),
            ("By hand", _dump(one, facts.rule)),
        ),
    )


def _other_stops(found: Sequence[GuestRisk], names: Names, now: datetime) -> Finding:
    each = join_names(
        (f"{_name(one, names)} {_other(one.others[0])}, {_when(one.others[0], now)}" for one in found), _MOST
    )
    return Finding(
        Severity.NOTE,
        "OTHER BUGCHECKS",
        _name(found[0], names) if len(found) == 1 else pluralize(len(found), "guest"),
        f"{each}.",
        (("Means", "None of these is the bugcheck in storvsc."),),
    )


def _other(stop: Stop) -> str:
    return f"stop {stop_text(stop.code)}" if stop.how is How.STOP else str(stop.how)


def fine_of(ranked: Sequence[GuestRisk], facts: StorvscFacts) -> tuple[Healthy, ...]:
    """Hosts that it does not happen on, and guests that are out of reach of it."""
    names = guest_names(ranked)
    groups = []
    others = [node.name for node in facts.other]
    if others:
        groups.append(
            Healthy("NOT AFFECTED", (pluralize(len(facts.other), "host"),), f"not 2008 R2: {join_names(others)}")
        )
    for risk, says in (
        (Risk.FIXED, f"{facts.rule.key} is listed on their host"),
        (Risk.NO_SCSI, "no disk on a SCSI controller"),
    ):
        own = sorted(_name(one, names) for one in ranked if one.risk is risk)
        if own:
            groups.append(
                Healthy(risk.word.upper(), tuple(own) if len(own) <= _MOST else (pluralize(len(own), "guest"),), says)
            )
    return tuple(groups)


def unknown_of(ranked: Sequence[GuestRisk], facts: StorvscFacts) -> tuple[Unknown, ...]:
    """Who did not answer, and what is not known for it."""
    names = guest_names(ranked)
    found = list(facts.silent)
    for host in facts.hosts:
        told = host.guests.failed if isinstance(host.guests, HostGuests) else (host.guests,)
        gaps = (
            *((part, "its guests") for part in told),
            (host.disks, "their SCSI disks"),
            (host.lists_hotfix, f"whether {facts.rule.key} is listed"),
            (host.log, "the stops that it logged"),
        )
        found += join_gaps(host.node.name, gaps)
    for one in ranked:
        name = _name(one, names)
        if one.why is not None:
            found.append(replace(one.why, target=name))
        elif one.risk in (Risk.STOPPED, Risk.AT_RISK) and one.hosted.guest.vm_id not in facts.answers:
            found.append(
                Unknown(name, "no name reported", "Its data exchange reports no name, so it was not asked for stops.")
            )
        answers = facts.answers.get(one.hosted.guest.vm_id)
        if isinstance(answers, GuestAnswers) and isinstance(answers.stops, Unknown):
            found.append(replace(answers.stops, target=name))
    return tuple(found)


def background_of(facts: StorvscFacts) -> tuple[str, ...]:
    """What was asked, and by which rule versions are compared."""
    if not facts.hosts:
        return ()
    return (
        f"Stops: events 1001 and 41 in the guests' System logs, 18590 and 18560 on the hosts, last {LOOK_BACK.days} days.",
        f"{facts.rule.driver}: GDR and LDR are two branches, so their versions are never compared with each other.",
    )


def notes_of(facts: StorvscFacts, ranked: Sequence[GuestRisk]) -> tuple[str, ...]:
    """What cannot be known."""
    if not facts.hosts:
        return ()
    names = guest_names(ranked)
    unread = [
        names[key]
        for key, told in facts.answers.items()
        if isinstance(told, GuestAnswers) and not isinstance(told.stops, Unknown) and told.stops.unread and key in names
    ]
    cut = [
        one.node.name
        for one in facts.hosts
        if isinstance(one.log, EventLog) and not one.log.is_whole(facts.now - LOOK_BACK)
    ]
    return tuple(
        part
        for part in (
            f"Some events could not be read in {join_names(unread)}." if unread else "",
            f"The list of stops may be cut on {join_names(cut)}." if cut else "",
        )
        if part
    )


def chart_of(ranked: Sequence[GuestRisk]) -> Chart | None:
    """SCSI disks of the guests at risk, worst guest first."""
    names = guest_names(ranked)
    risky = [one for one in ranked if one.risk in (Risk.STOPPED, Risk.AT_RISK) and one.disks][:_BARS]
    bars = tuple(Bar(clip(_name(one, names), _LABEL), 10 * len(one.disks.files)) for one in risky if one.disks)
    return Chart("SCSI disks of guests at risk, worst first", "disks", bars, one="disk") if bars else None


def table_of(ranked: Sequence[GuestRisk], now: datetime) -> Table:
    """Every guest of an affected host, worst first, with the reason."""
    names = guest_names(ranked)
    columns = (
        *map(Column, ("Guest", "Host", "Risk")),
        Column("SCSI disks", "number"),
        Column("Known to expand", "number"),
        *map(Column, ("storvsc.sys", "Branch", "Hotfix in guest", "Last stop", "Windows", "Reason")),
    )
    rows = tuple(
        (
            _name(one, names),
            one.hosted.host,
            one.risk.word,
            "" if one.disks is None else str(len(one.disks.files)),
            str(one.disks.growing) if one.disks and one.disks.growing else "",
            str(one.file or ""),
            str(one.file.branch or "") if one.file else "",
            {True: "listed", False: "not listed", None: ""}[one.guest_hotfix],
            _last_end(one, now),
            one.hosted.told.os_name,
            one.reason,
        )
        for one in ranked
    )
    return Table("Guests on hosts of 2008 R2, worst first", columns, rows)


def _last_end(one: GuestRisk, now: datetime) -> str:
    ends = sorted((*one.stops, *one.others), key=lambda stop: stop.at, reverse=True)
    if not ends:
        return ""
    return f"{_other(ends[0])}, {_when(ends[0], now)}"
