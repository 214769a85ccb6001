"""Test what a service relies on in a disaster: each assumption is proved, stale, broken, or not proved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.api.arguments import ServiceOrClusterTarget
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Report
from commands.continuity.facts import Facts, look, service_of
from commands.continuity.findings import chart_of, count_outcomes, findings_of, one_owner, proved_of, table_of
from commands.continuity.verdicts import verdicts_of


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: ServiceOrClusterTarget


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask all places of the service, or the cluster."""
    return await look(args.target, ask)


def evaluate(args: Args, facts: Facts) -> Report:
    """Worst first. Nothing is well by default: what was not answered is not proved."""
    verdicts = verdicts_of(args.target, facts)
    title = f"{args.target}: {count_outcomes(verdicts) or 'nothing is assumed, so nothing was tested'}"
    silent = tuple(host.guests for host in facts.hosts.values() if isinstance(host.guests, Unknown))
    return Report(
        title=title,
        summary=title,
        of="hosts",
        asked=len(facts.hosts) + len(facts.unlisted),
        answered=len(facts.hosts) - len(silent),
        findings=findings_of(verdicts),
        unanswered=(*facts.unlisted, *silent),
        fine=proved_of(verdicts),
        notes=(*_notes(args), *_owner(one_owner(verdicts))),
        chart=chart_of(verdicts, _promised(args)),
        table=table_of(verdicts) if verdicts else None,
    )


def _promised(args: Args) -> timedelta | None:
    service = service_of(args.target)
    return timedelta(minutes=service.rpo_minutes) if service and service.rpo_minutes else None


def _owner(name: str) -> tuple[str, ...]:
    return (f"Owner of what is not proved: {name}.",) if name else ()


def _notes(args: Args) -> tuple[str, ...]:
    service = service_of(args.target)
    if service is None:
        return (
            ("Also check the services that run here: " + ", ".join(one.name for one in args.target.services) + ".",)
            if args.target.services
            else ()
        )
    promises = [
        f"{word} {minutes} min"
        for word, minutes in (("RTO", service.rto_minutes), ("RPO", service.rpo_minutes))
        if minutes
    ]
    return (f"Targets in the inventory: {', '.join(promises) or 'nothing'}.",)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
