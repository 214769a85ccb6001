"""Fix the health check of a virtual service, so that it asks for a host name that every real server answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import LoadBalancerTarget
from bot.api.command import AfterRun, Remediation, Risk, Role
from bot.api.facts import Known, Unknown
from bot.api.plan import Check, Expect, Gate, Plan
from bot.api.queries import Predicate
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.rows import get_str
from commands.formatting import join_names, pluralize
from commands.no_plan import no_plan, or_no_plan
from commands.sources.load_balancer import LONGEST_INTERVAL, UP, CheckTimes, VirtualService, real_servers
from commands.virtual_service import fix
from commands.virtual_service.facts import ServiceFacts, enabled_servers, find_services, is_number
from commands.virtual_service.findings import cure_in_words
from commands.virtual_service.host_names import NO_HOSTS, HostNames, Vs
from commands.virtual_service.probes import Request, as_checked
from commands.virtual_service.verdict import is_redirect


@dataclass(frozen=True, slots=True)
class Args:
    """What people type: the load balancer, the virtual service, and the host name to ask for; without one, that which is set."""

    load_balancer: LoadBalancerTarget
    vs: tuple[Vs, ...]
    host: HostNames = NO_HOSTS

    @property
    def wanted(self) -> str:
        """The service as it was typed."""
        return " ".join(self.vs)


async def collect(args: Args, ask: QueryClient) -> ServiceFacts:
    """Ask the load balancer, then each real server in every way that its check could."""
    return await find_services(args.load_balancer.name, args.wanted, args.host, ask)


def plan(args: Args, facts: ServiceFacts) -> Plan:
    """Write what differs, judge it once all was checked again, put it back where fewer are up."""
    balancer = args.load_balancer.name
    service = _service(args, facts)
    if isinstance(service, str):
        return no_plan(f"No plan for {args.wanted}: {service}", remedies=_look(args))
    if isinstance(facts.times, Unknown):
        return no_plan(f"No plan for {service.label}: how often {balancer} checks is not known: {facts.times.why}")
    names = args.host or HostNames(filter(None, (service.check.host,)))
    if len(names) > 1:
        return _by_hand(args, service, facts, names)
    times = facts.times.of(service.check)
    if times is None:
        told = facts.times.told(service.check).in_words
        return no_plan(
            f"No plan for {service.label}: how often {balancer} checks it is not known. It tells {told}, and a LoadMaster takes"
            f" {LONGEST_INTERVAL} s at most, and no fewer than timeout × retries + 1.",
            remedies=_look(args),
        )
    return _one_name(args, service, facts, names[0] if names else "", times)


def _service(args: Args, facts: ServiceFacts) -> VirtualService | str:
    """The one service that is meant, or why there is none that a check could be changed of."""
    if isinstance(facts.services, Unknown):
        return f"{args.load_balancer.name} does not tell its virtual services: {facts.services.why}"
    chosen = {one.index for one in facts.chosen}
    own = [one for one in facts.chosen if one.master not in chosen]
    if len(own) != 1:
        return _which(args.wanted, own, facts.services)
    service = own[0]
    return _why_no_check(service, facts) or service


def _which(wanted: str, found: Sequence[VirtualService], services: Sequence[VirtualService]) -> str:
    """What to type in place of a word that means no service, or several of them."""
    if found and is_number(wanted.strip()):
        listed = join_names([f"{one.label} ({one.index}) at {one.address}:{one.port}" for one in found], 8)
        return f"that is the number of one and the name of another: {listed}. Name one by its address and port."
    listed = join_names([f"{one.label} ({one.index})" for one in found or services], 8)
    return f"{'several are called so' if found else 'there is none of that name'}. Name one by its number: {listed}."


def _why_no_check(service: VirtualService, facts: ServiceFacts) -> str:
    """Why the check of a service is none that could ask for a name; "" where it could."""
    if is_redirect(service):
        return f"{service.label} only redirects, by design: it has no real servers, and no check."
    if service.parts or service.has_parts:
        parts = join_names([f"{one.label} ({one.index})" for one in facts.chosen if one.is_sub], 8)
        return f"its SubVSs are checked, not {service.label} itself. Name one by its number: {parts or 'not listed'}."
    if not service.check.is_http:
        return f"its check is {service.check.kind or 'not told'}, which asks for no host name."
    if service.check.method not in ("HEAD", "GET") or not service.check.version:
        return f"its check asks by {service.check.method or 'a method that it does not tell'}, which hvops does not repeat."
    return ""


def _one_name(args: Args, service: VirtualService, facts: ServiceFacts, name: str, times: CheckTimes) -> Plan:
    balancer = args.load_balancer.name
    wanted = fix.find_wanted(service, facts, name)
    gates = fix.gates_of(service, wanted)
    fields = fix.changed_fields(service.check, name, wanted.request) if wanted.request else {}
    if not name and not fields:
        return no_plan(f"No plan for {service.label}: name the host that its real servers answer, with --host.", gates)
    if wanted.request and not fields:
        is_done = fix.up_now(service) == len(service.servers)
        return no_plan(_nothing(service, wanted), gates, _look(args), is_done_already=is_done)
    groups = (fix.steps_of(balancer, service, fields, times),) if wanted.request else ()
    servers = pluralize(len(wanted.told), "real server")
    settles = times.settles_within
    up = fix.up_now(service)
    made = Plan(
        reason=_reason(service, wanted),
        impact=(
            f"{balancer} then checks the {servers} of {service.label} with the new request. One that does not answer it is taken"
            f" out of service. The old status can stay for up to {settles} s."
        ),
        rollback=(
            "If fewer real servers are up afterwards, hvops restores the old settings automatically (while changes are stopped, only after"
            " /hvops go). Otherwise press Undo."
        ),
        locks=(f"load-balancer:{balancer.lower()}",),
        gates=gates,
        groups=groups,
        remedies=_look(args),
        current_state=f"{up} of {pluralize(len(service.servers), 'real server')} up",
        expected_state=f"{servers} up",
        afterwards=(_after(balancer, service),),
        title=_title(balancer, service),
    )
    return or_no_plan(service.label, made)


def _reason(service: VirtualService, wanted: fix.Wanted) -> str:
    """Why, with what was measured."""
    now = as_checked(service.check, service.servers[0]) if service.servers else None
    if wanted.request is None:
        return f"No request for {wanted.name or 'no name'} is answered with success by every real server."
    both = "Both" if len(wanted.told) == 2 else f"All {len(wanted.told)}"  # noqa: PLR2004 - two are both
    both = "The one" if len(wanted.told) == 1 else both
    is_one = len(wanted.told) == 1
    all_of = f"{both} real server{'' if is_one else 's'}"
    told = fix.answered_words(wanted)
    if wanted.refused and now is not None and now.host == wanted.request.host:
        return (
            f"{all_of} {_verb(wanted)} {wanted.request.method} with {told} and refuse{'s' if is_one else ''} HEAD"
            f" ({', '.join(wanted.refused)}). Fix: {_small(cure_in_words(now, wanted.request))}."
        )
    return (
        f"The check of {service.label} asks {now}. {all_of} {_verb(wanted)} {wanted.request} with {told}. Fix:"
        f" {_small(cure_in_words(now, wanted.request))}."
    )


def _verb(wanted: fix.Wanted) -> str:
    return "answers" if len(wanted.told) == 1 else "answer"


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _nothing(service: VirtualService, wanted: fix.Wanted) -> str:
    asked: Request | None = wanted.request
    down = len(service.servers) - fix.up_now(service)
    state = f" {pluralize(down, 'real server')} still down: check again after its next check." if down else ""
    return f"Nothing to change: the check of {service.label} asks {asked} already, and gets {fix.answered_words(wanted)}.{state}"


def _by_hand(args: Args, service: VirtualService, facts: ServiceFacts, names: HostNames) -> Plan:
    """Several names behind one service: one SubVS for each, by hand."""
    balancer = args.load_balancer.name
    missing = [name for name in names if not fix.serves(service, facts, name)]
    if missing:
        return no_plan(
            f"No plan for {service.label}: no real server answers {join_names(missing)} with success.",
            remedies=_look(args),
        )
    return Plan(
        reason=(
            f"{service.label} serves {pluralize(len(names), 'host name')}: {join_names(list(names))}. A virtual service has one"
            " health check, and a check asks for one name. A SubVS for each name has a check of its own."
        ),
        # "default" is a rule of the load balancer's own, whose name no other may have [doc]; that it takes what matches no
        # other rule, and that a SubVS without any rule is sent nothing [mem].
        impact="Requests that match no content rule are dropped. Assign the built-in rule “default” to one SubVS to keep them.",
        rollback="Delete the new SubVSs. This restores the service only if its own real servers were not removed.",
        locks=(f"load-balancer:{balancer.lower()}",),
        gates=(),
        groups=(fix.sub_services_by_hand(balancer, service, facts, names),),
        remedies=_look(args),
        touches=(balancer,),
        current_state=f"{fix.up_now(service)} of {pluralize(len(service.servers), 'real server')} up, one check",
        expected_state=f"{pluralize(len(names), 'SubVS', 'SubVSs')} up, each with its own check",
        title=_title(balancer, service),
    )


def _title(balancer: str, service: VirtualService) -> str:
    return f"Fix health check of {service.label} on {balancer}"


def _after(balancer: str, service: VirtualService) -> Check:
    every = Expect((Predicate("status", "=", UP),), at_least=len(enabled_servers(service)))
    return Check(real_servers(balancer, service.index), (every,)).described_as(
        f"every real server of {service.label} is up"
    )


def _describe(told: AfterRun) -> tuple[str, ...]:
    """How many are up once it is done."""
    answer = told.answers[0]
    if not isinstance(answer, Known):
        return (f"How many real servers are up is not known: {answer.why}",)
    up = sum(get_str(row, "status").casefold() == UP.casefold() for row in answer.value)
    return (f"{up} of {pluralize(len(answer.value), 'real server')} up",)


def _look(args: Args) -> tuple[Remedy, ...]:
    return (
        Remedy("Check Service", f"/check-virtual-service {args.load_balancer} {args.wanted}".rstrip(), primary=True),
    )


def undo_gates(args: Args, facts: ServiceFacts, back: Plan) -> tuple[Gate, ...]:
    """That the new check is answered is no matter any more: where it is not, the old one is what helps."""
    del args
    return fix.gates_back(facts, back)


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates, _describe)
