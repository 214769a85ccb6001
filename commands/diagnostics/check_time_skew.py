"""Compare the clocks of nodes with each other and with the bot's: above 5 minutes, Kerberos fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Known, Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Column, Healthy, Remedy, Report, Table
from bot.api.texts import clip
from commands.clocks.compare import (
    BOT,
    KERBEROS,
    TENTH,
    WARNING,
    Clock,
    Comparison,
    Pair,
    Skew,
    compare,
    read_clock,
    spread,
)
from commands.clocks.findings import DOMAIN_TIME, findings_of, format_limit, format_span, not_precise
from commands.formatting import pluralize, summarize_failures
from commands.sources.clock import machine_time
from commands.sources.cluster import cluster_nodes

_RULES = f"hvops warns from {format_span(WARNING)}. Kerberos fails above {format_span(KERBEROS)} by default. Each reading is timestamped at the midpoint of its query; ± is half the round trip, plus half a second where the host reports whole seconds."


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


@dataclass(frozen=True, slots=True)
class Facts:
    """What each node told; where the cluster named none, why."""

    told: Mapping[str, Known[datetime] | Unknown]
    unlisted: Unknown | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask the cluster for its nodes, then all of them at once for the time; a host alone."""
    names: Sequence[str] = (args.target.name,)
    if args.target.kind == "cluster":
        nodes = await ask.query(cluster_nodes(args.target.name))
        if isinstance(nodes, Unknown):
            return Facts({}, nodes)
        names = [node.name for node in nodes.value]
    return Facts(await ask.query_many({name: machine_time(name) for name in names}))


def evaluate(args: Args, facts: Facts) -> Report:
    """The worst pair first, then the other clocks that are off, then who is not known."""
    read = {name: part if isinstance(part, Unknown) else read_clock(name, part) for name, part in facts.told.items()}
    clocks = [one for one in read.values() if isinstance(one, Clock)]
    silent = [one for one in read.values() if isinstance(one, Unknown)]
    compared = compare(clocks, len(facts.told))
    imprecise = [not_precise(pair) for pair in compared.not_known]
    unknown = (*([facts.unlisted] if facts.unlisted else ()), *silent, *imprecise)
    answered = len(clocks) - sum(not pair.clock.is_bot for pair in compared.not_known)
    title = _title(args.target, compared, clocks, len(unknown))
    findings = findings_of(compared)
    return Report(
        title=title,
        summary=title,
        of="nodes",
        asked=len(facts.told),
        answered=answered,
        findings=findings,
        unanswered=summarize_failures(unknown, "clock"),
        fine=_fine(compared),
        notes=_notes(silent, found=bool(findings)),
        background=(_RULES,),
        table=_table(compared, read),
        remedies=_remedies(args.target),
        did="checked" if imprecise else "answered",
    )


def _title(target: Target, compared: Comparison, clocks: Sequence[Clock], unknown: int) -> str:
    """The worst pair by name; without one, who agrees. What is unknown is always said."""
    rest = f", {unknown} unknown" if unknown else ""
    if not clocks:
        return f"{target}: no clock could be read"
    worst = compared.worst
    if worst:
        others = sum(pair.clock not in (worst.clock, worst.other) for pair in compared.off)
        rest = f", {pluralize(others, 'more clock')} off{rest}" if others else rest
        return clip(f"{target}: {_verdict(target, worst, compared)}", 150 - len(rest)) + rest
    if not compared.fine:
        return f"{target}: not known whether the clocks agree{rest}"
    within = format_limit(spread(_with_bot(compared)))
    if target.kind != "cluster":
        return f"{target}: agrees with the bot within {within}{rest}"
    if len(compared.fine) == 1:
        return f"{target}: one node agrees with the bot within {within}{rest}"
    return f"{target}: {len(compared.fine)} nodes agree within {within}{rest}"


def _verdict(target: Target, worst: Pair, compared: Comparison) -> str:
    """The worst pair in a few words; Kerberos is named where it is known to fail, or may."""
    kerberos = ", over the Kerberos limit" if worst.skew is Skew.TOO_FAR else ""
    kerberos = ", possibly over the Kerberos limit" if worst.may_be_too_far else kerberos
    is_behind = worst.difference < timedelta()
    span = format_span(worst.difference)
    if worst.clock.is_bot and compared.agreeing:
        return f"the bot's own clock is {span} {'behind' if is_behind else 'ahead'}{kerberos}; {pluralize(len(compared.agreeing), 'node')} agree with each other"
    name = f"{worst.clock.name} is " if target.kind == "cluster" else ""
    return f"{name}{span} {'behind' if is_behind else 'ahead of'} {worst.other.name}{kerberos}"


def _fine(compared: Comparison) -> tuple[Healthy, ...]:
    if not compared.fine:
        return ()
    clocks = _with_bot(compared)
    bot = "the bot" if len(compared.fine) == 1 else "each other and the bot"
    whom = bot if BOT in clocks else "each other"
    names = tuple(clock.name for clock in compared.fine)
    return (Healthy("IN SYNC", names, f"within {format_limit(spread(clocks))} of {whom}"),)


def _with_bot(compared: Comparison) -> tuple[Clock, ...]:
    """The nodes that are in time, and the bot where it surely is in time with them."""
    return (*compared.fine, *((BOT,) if BOT in compared.agreeing or not compared.agreeing else ()))


def _notes(silent: Sequence[Unknown], *, found: bool) -> tuple[str, ...]:
    notes = [DOMAIN_TIME] if found else []
    if any(one.kind == "login refused" for one in silent):
        notes.append(
            f"A login can be refused because a clock is off by more than {format_span(KERBEROS)}. Run w32tm /query "
            "/status on that host's console."
        )
    return tuple(notes)


def _table(compared: Comparison, read: Mapping[str, Clock | Unknown]) -> Table:
    """Every node against the bot, worst first."""
    known = [one for one in read.values() if isinstance(one, Clock)]
    known.sort(key=lambda one: abs(round(one.offset / TENTH)), reverse=True)
    columns = (
        Column("Node"),
        Column("Offset from bot", "number", "s"),
        Column("Error ±", "number", "s"),
        Column("State"),
    )
    rows = [
        (one.name, _tenths(round(one.offset / TENTH)), _tenths(-(-one.uncertainty // TENTH)), _state(one, compared))
        for one in known
    ]
    silent = [(one.target, "", "", one.kind) for one in read.values() if isinstance(one, Unknown)]
    return Table("Clock offsets from the bot, largest first", columns, (*rows, *silent))


def _tenths(count: int) -> str:
    return f"{count / 10:.1f}"


def _state(clock: Clock, compared: Comparison) -> str:
    if clock in compared.fine:
        return "in sync"
    if any(clock is pair.clock for pair in compared.not_known):
        return "not known"
    return "off"


def _remedies(target: Target) -> tuple[Remedy, ...]:
    """From a host to its cluster: two clocks do not tell which one is off."""
    if target.kind == "cluster" or not target.cluster:
        return ()
    return (Remedy("Compare All Nodes", f"/check-time-skew {target.cluster}"),)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate, examines=True)
