"""Find guests that can stop with 0xD1 in storvsc during a live migration (KB2636573), ranked, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import ClusterTarget
from bot.api.command import Diagnostic, Role
from bot.api.query_client import QueryClient
from bot.api.report import Remedy, Report
from bot.api.texts import clip
from commands.formatting import join_names, pluralize, summarize_failures
from commands.sources.bugchecks import Stops
from commands.storvsc.facts import GuestAnswers, StorvscFacts, find_storvsc_risk
from commands.storvsc.findings import (
    background_of,
    chart_of,
    findings_of,
    fine_of,
    guest_names,
    notes_of,
    stop_text,
    table_of,
    unknown_of,
)
from commands.storvsc.ranking import GuestRisk, Risk, rank_all


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: ClusterTarget


async def collect(args: Args, ask: QueryClient) -> StorvscFacts:
    """Ask the cluster, its hosts of 2008 R2, then their guests with SCSI disks."""
    return await find_storvsc_risk(args.target, ask)


def evaluate(args: Args, facts: StorvscFacts) -> Report:
    """Who stopped first, then who is at risk, then who cannot be judged."""
    ranked = rank_all(facts)
    unknown = unknown_of(ranked, facts)
    told = [one for one in facts.answers.values() if isinstance(one, GuestAnswers) and isinstance(one.stops, Stops)]
    title = _title(args, facts, ranked, len({one.target for one in unknown}))
    return Report(
        title=title,
        summary=title,
        of="guests with SCSI disks",
        asked=len(facts.answers),
        answered=len(told),
        findings=findings_of(ranked, facts),
        unanswered=summarize_failures(unknown, "target"),
        fine=fine_of(ranked, facts),
        notes=notes_of(facts, ranked),
        background=background_of(facts),
        chart=chart_of(ranked),
        table=table_of(ranked, facts.now) if ranked else None,
        remedies=_remedies(args, ranked),
    )


def _title(args: Args, facts: StorvscFacts, ranked: Sequence[GuestRisk], unknown: int) -> str:
    """The worst by name or number; what is unknown is always said."""
    rest = f", {unknown} unknown" if unknown else ""
    if not facts.hosts:
        if not facts.other:
            return f"{args.target}: not known whether {facts.rule.key} matters{rest}"
        return f"{args.target}: {facts.rule.key} does not apply, no host runs 2008 R2{rest}"
    counted = {risk: [one for one in ranked if one.risk is risk] for risk in Risk}
    names = guest_names(ranked)
    parts = []
    if stopped := counted[Risk.STOPPED]:
        who = join_names((names[one.hosted.guest.vm_id] for one in stopped), 3)
        parts.append(f"{who} stopped with {stop_text(facts.rule.stop)}")
    if risky := len(counted[Risk.AT_RISK]):
        parts.append(f"{pluralize(risky, 'guest')} at risk of a storvsc bugcheck")
    if unjudged := len(counted[Risk.CANNOT_TELL]):
        parts.append(f"cannot tell of {pluralize(unjudged, 'guest')}")
    said = ", ".join(parts) or (
        "no guest is known to be at risk" if unknown or not ranked else "no guest is at risk of a storvsc bugcheck"
    )
    return clip(f"{args.target}: {said}", 150 - len(rest)) + rest


def _remedies(args: Args, ranked: Sequence[GuestRisk]) -> tuple[Remedy, ...]:
    if not any(one.risk in (Risk.STOPPED, Risk.AT_RISK, Risk.CANNOT_TELL) for one in ranked):
        return ()
    return (Remedy("Verify KB Drift", f"/verify-kb-drift {args.target} KB2636573"),)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
