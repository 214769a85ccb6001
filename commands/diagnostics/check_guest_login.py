"""Check that the login for guests works: one running guest per cluster or host is tried."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Finding, Healthy, Remedy, Report, Severity
from commands.formatting import join_names
from commands.host_access.guest_login import GuestLoginFacts, check_guest_login, find_guest_login
from commands.host_access.verdict import NotKnown, Passed


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: QueryClient) -> GuestLoginFacts:
    """Ask the hosts for their guests, then guests one by one until one answers or refuses. No host of VMM's has any."""
    if args.target.services_of:
        return GuestLoginFacts(0)
    return await find_guest_login(args.target, ask)


def evaluate(args: Args, facts: GuestLoginFacts) -> Report:
    """One verdict: known only by a guest that said so. None of a host that is known for VMM's service."""
    if args.target.services_of:
        title = f"{args.target.name}: runs the service of {join_names(args.target.services_of)}, so no guest was asked"
        return Report(title=title, summary=title, of="guests", asked=0, answered=0)
    verdict = check_guest_login(args.target.name, facts)
    title = f"{args.target.name}: {_says(verdict)}"
    return Report(
        title=title,
        summary=title,
        of="guests",
        asked=len(facts.asked),
        answered=sum(not isinstance(told, Unknown) for _, told in facts.asked),
        findings=(verdict,) if isinstance(verdict, Finding) else (),
        unanswered=(verdict.why,) if isinstance(verdict, NotKnown) else (),
        fine=(Healthy(verdict.word, (verdict.host,), verdict.says),) if isinstance(verdict, Passed) else (),
        remedies=(Remedy("Find Full Guests", f"/find-full-guests {args.target.name}"),),
    )


def _says(verdict: Passed | Finding | NotKnown) -> str:
    if isinstance(verdict, Passed):
        return f"guests let hvops in, {verdict.host} was asked"
    if isinstance(verdict, Finding) and verdict.severity is Severity.FAULT:
        return f"{verdict.target} does not let hvops in"
    return "not known whether guests let hvops in"


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate, examines=True)
