"""Check that a load balancer answers, and whether its firmware has known faults."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.arguments import LoadBalancerTarget
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.report import Healthy, Remedy, Report
from commands.sources.load_balancer import firmware
from commands.virtual_service.firmware import firmware_findings


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    load_balancer: LoadBalancerTarget


async def collect(args: Args, ask: QueryClient) -> str | Unknown:
    """Ask for its firmware: whoever answers that can be logged in to."""
    return value_of(await ask.query(firmware(args.load_balancer.name)))


def evaluate(args: Args, told: str | Unknown) -> Report:
    """Whether it answers, and what is known of its version."""
    name = args.load_balancer.name
    if isinstance(told, Unknown):
        title = f"{name}: it does not answer"
        return Report(title, title, "load balancers", 1, 0, unanswered=(told,))
    found = firmware_findings(name, told)
    has = any(finding.status == "FIRMWARE" for finding in found)
    title = f"{name}: its firmware has known faults" if has else f"{name}: answers, firmware {told}"
    return Report(
        title=title,
        summary=title,
        of="load balancers",
        asked=1,
        answered=1,
        findings=found,
        fine=() if found else (Healthy("LOAD BALANCER", (name,), f"answers, firmware {told}, no known fault"),),
        notes=("hvops knows only the faults that its rules list.",),
        remedies=(Remedy("Check Services", f"/check-virtual-service {name}", primary=True),),
    )


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate, examines=True)
