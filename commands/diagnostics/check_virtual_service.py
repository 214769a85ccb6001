"""Check the virtual services of a load balancer: which real servers are down, and which are only marked down by a wrong check."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.arguments import LoadBalancerTarget
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Report
from bot.api.texts import clip
from commands.formatting import join_names, summarize_failures
from commands.virtual_service import findings
from commands.virtual_service.facts import ServiceFacts, find_services
from commands.virtual_service.firmware import firmware_findings
from commands.virtual_service.host_names import NO_HOSTS, HostNames, Vs
from commands.virtual_service.verdict import ServerState, judge_servers


@dataclass(frozen=True, slots=True)
class Args:
    """What people type: the load balancer, one virtual service or all, and host names to try beside those it knows."""

    load_balancer: LoadBalancerTarget
    vs: tuple[Vs, ...] = ()
    host: HostNames = NO_HOSTS

    @property
    def wanted(self) -> str:
        """The service as it was typed; "" for all."""
        return " ".join(self.vs)


async def collect(args: Args, ask: QueryClient) -> ServiceFacts:
    """Ask the load balancer, then its real servers."""
    return await find_services(args.load_balancer.name, args.wanted, args.host, ask)


def evaluate(args: Args, facts: ServiceFacts) -> Report:
    """The worst first: marked down by the wrong check, down, up no more."""
    balancer = args.load_balancer.name
    if isinstance(facts.services, Unknown):
        title = f"{balancer}: its virtual services are not known"
        return Report(title, title, "load balancers", 1, 0, unanswered=(facts.services,))
    if not facts.chosen and args.wanted:
        names = join_names([service.label for service in facts.services if not service.is_sub], 12)
        title = f"{balancer}: no virtual service “{clip(args.wanted, 60)}”"
        return Report(title, title, "load balancers", 1, 1, notes=(f"There are: {names or 'none'}.",))
    verdicts = judge_servers(facts)
    unknown = findings.unknowns_of(facts, verdicts)
    title = findings.title_of(balancer, facts, verdicts, len(unknown))
    faults = () if isinstance(facts.firmware, Unknown) else firmware_findings(balancer, facts.firmware)
    silent = [one for one in (facts.times, facts.firmware) if isinstance(one, Unknown)]
    asked = findings.asked_servers(facts)
    return Report(
        title=title,
        summary=title,
        of="real servers",
        asked=asked,
        answered=asked - facts.left_out - sum(one.state is ServerState.UNKNOWN for one in verdicts),
        findings=(*findings.findings_of(balancer, facts, verdicts), *faults),
        unanswered=summarize_failures((*unknown, *silent), "real server"),
        fine=findings.fine_of(verdicts),
        notes=findings.notes_of(facts, verdicts),
        table=findings.table_of(facts, verdicts),
        remedies=findings.remedies_of(balancer, verdicts),
        did="checked",
    )


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
