"""What a health check has to ask so that every real server answers it well, and the steps that make it so.

Only the fields that differ are written. Judged once every server has been asked anew: a cycle begins within an interval, and
silence runs out after timeout × retries [doc]. Where fewer are up then than before, the fields are put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.api.actions import ManualStep, RunProgram
from bot.api.facts import Unknown
from bot.api.plan import Check, Expect, Gate, GateOutcome, GateText, Group, Plan, Step, exists
from bot.api.queries import Predicate, RunReader, Value
from commands.formatting import join_names, pluralize
from commands.sources.load_balancer import (
    SERVICES,
    SET_CHECK,
    UP,
    CheckTimes,
    HealthCheck,
    HttpVersion,
    RealServer,
    VirtualService,
    check_settings,
    is_service,
    real_servers,
    set_check,
)
from commands.sources.web_server import Method, WebAnswer
from commands.virtual_service.facts import ServiceFacts, enabled_servers
from commands.virtual_service.probes import GET, HEAD, Request, as_checked, with_name
from commands.virtual_service.verdict import in_words, is_well

BY_HAND_SECONDS = 4 * 3600
_PATIENCE = 60  # seconds for which a load balancer may be silent before it is not asked to put a check back
_MARGIN = 2  # seconds: the servers of one cycle are not all asked in the same moment


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the check has to become.

    Attributes:
        request: what it asks then; None where no method is answered well by every server.
        told: each server's answer to the request that comes nearest.
        refused: to HEAD, where GET is the cure.
    """

    name: str
    request: Request | None
    told: tuple[tuple[RealServer, str], ...]
    refused: tuple[str, ...] = ()
    unread: bool = False


def find_wanted(service: VirtualService, facts: ServiceFacts, name: str) -> Wanted:
    """Which request with that name every real server answers well: by the method that is set, else by GET."""
    current: Method = GET if service.check.method == GET else HEAD
    first, *others = dict.fromkeys((current, GET))
    result = _asked(service, facts, name, first)
    refused = tuple(word for _, word in result.told) if first == HEAD else ()
    for method in others:
        if result.request is not None or result.unread:
            break
        other = _asked(service, facts, name, method)
        if other.request is not None:
            return Wanted(name, other.request, other.told, tuple(dict.fromkeys(refused)))
    return result


def _asked(service: VirtualService, facts: ServiceFacts, name: str, method: Method) -> Wanted:
    request: Request | None = None
    told: list[tuple[RealServer, str]] = []
    judged: list[bool | None] = []
    for server in enabled_servers(service):
        answers = facts.of(service, server)
        request = _request(service.check, server, name, method)
        answer = None
        if request is not None:
            answer = answers.answer if answers.asked == request else answers.others.get(request)
        told.append((server, in_words(answer)))
        judged.append(is_well(service.check, request, answer))
    is_good = bool(judged) and all(judged)
    unread = not is_good and bool(judged) and False not in judged
    return Wanted(name, request if is_good else None, tuple(told), unread=unread)


def _request(check: HealthCheck, server: RealServer, name: str, method: Method) -> Request | None:
    """What the check would ask this server; without a name, as it does now but for the method. None for what is no name."""
    plain = Request(method, "1.0", None, check.url, check.kind == "https")
    if name:
        return with_name(plain, name)
    return plain if check.version == "1.0" else with_name(plain, server.address)


def changed_fields(check: HealthCheck, name: str, request: Request) -> dict[str, Value]:
    """Only those that are otherwise now: host, use_1_1, method."""
    found: dict[str, Value] = {}
    if name and check.host.casefold() != (request.host or "").casefold():
        found["host"] = request.host or ""
    if name and check.version != request.version:
        found["use_1_1"] = True
    if check.method != request.method:
        found["method"] = request.method
    return found


def fields_before(check: HealthCheck, fields: dict[str, Value]) -> dict[str, Value]:
    """The same fields as they are now."""
    now: dict[str, Value] = {"host": check.host, "use_1_1": check.version == "1.1", "method": check.method}
    return {name: now[name] for name in fields}


def in_sentence(fields: dict[str, Value]) -> str:
    """The fields as the web interface of the load balancer calls them."""
    words = {
        "use_1_1": "“Use HTTP/1.1” = on",
        "host": f"“HTTP/1.1 Host” = {fields.get('host')}",
        "method": f"“HTTP Method” = {fields.get('method')}",
    }
    return ", ".join(words[name] for name in ("use_1_1", "host", "method") if name in fields)


def gates_of(service: VirtualService, wanted: Wanted) -> tuple[Gate, ...]:
    """Every real server has to answer as it will be asked; nobody's word can stand for that."""
    servers, label = enabled_servers(service), service.label
    name = f" for {wanted.name}" if wanted.name else ""
    told = join_names([f"{server.place} {word}" for server, word in wanted.told], 6)
    answers = None if wanted.unread else wanted.request is not None
    return (
        Gate.of(
            GateText(
                f"Every real server of {label} answers the new check{name}",
                f"Not every real server of {label} answers the new check{name}",
                f"It is not known whether every real server of {label} answers the new check{name}",
            ),
            GateOutcome.of(answers),
            told or "no real server is enabled",
            answerable=False,
        ),
        Gate.of(
            GateText(
                f"All real servers of {label} are known",
                f"The load balancer did not list all real servers of {label}",
                f"It is not known whether the load balancer listed all real servers of {label}",
            ),
            GateOutcome.of(service.is_whole),
            f"{len(service.servers)} listed, {'not told how many there are' if service.declared is None else f'{service.declared} declared'}",
            answerable=False,
        ),
        Gate.of(
            GateText(
                f"At least one real server of {label} is enabled",
                f"No real server of {label} is enabled",
                f"It is not known whether a real server of {label} is enabled",
            ),
            GateOutcome.of(bool(servers)),
            pluralize(len(servers), "real server"),
            answerable=False,
        ),
    )


def gates_back(facts: ServiceFacts, back: Plan) -> tuple[Gate, ...]:
    """Whether the real servers answer the check that is put back; it only warns.

    A check is mostly put back where the new one is answered no more, and nobody answered the old one before: neither holds it.
    That the service is the same, and its check as it was left, is seen just before.
    """
    acts = [act for step in back.steps for act in (step.act,) if isinstance(act, RunProgram) and act.what == SET_CHECK]
    return tuple(_answers_old(facts, dict(act.params)) for act in acts)


def _answers_old(facts: ServiceFacts, fields: dict[str, Value]) -> Gate:
    if isinstance(facts.services, Unknown):
        return _old_check("the service", None, facts.services.why.rstrip("."))
    service = next((one for one in facts.services if one.index == fields["vs"]), None)
    if service is None:
        return _old_check("the service", None, f"the virtual service {fields['vs']} is not listed")
    check = _with_fields(service.check, fields)
    judged: list[bool | None] = []
    told = []
    for server in enabled_servers(service):
        answers, request = facts.of(service, server), as_checked(check, server)
        known = {**answers.others, **({answers.asked: answers.answer} if answers.asked is not None else {})}
        answer = known.get(request) if request is not None else None
        judged.append(is_well(check, request, answer))
        told.append(f"{server.place} {in_words(answer)}")
    is_answered = False if False in judged else None if None in judged or not judged else True
    return _old_check(service.label, is_answered, join_names(told, 6) or "no real server is enabled")


def _old_check(label: str, is_answered: bool | None, measured: str) -> Gate:  # noqa: FBT001 - as of GateOutcome.of
    says = GateText(
        f"Every real server of {label} answers the old check",
        f"Not every real server of {label} answers the old check",
        f"It is not known whether every real server of {label} answers the old check",
    )
    return Gate.of(says, GateOutcome.of(is_answered), measured, blocks=False, guards="worth")


def _with_fields(check: HealthCheck, fields: dict[str, Value]) -> HealthCheck:
    """The check once these fields are written."""
    version: HttpVersion = "1.1" if fields.get("use_1_1") else "1.0"
    return replace(
        check,
        host=str(fields.get("host", check.host)),
        method=str(fields.get("method", check.method)),
        version=version if "use_1_1" in fields else check.version,
    )


def up_now(service: VirtualService) -> int:
    """How many of its real servers the load balancer calls up."""
    return sum(server.status.casefold() == UP.casefold() for server in service.servers)


def steps_of(balancer: str, service: VirtualService, fields: dict[str, Value], times: CheckTimes) -> Group:
    """Write the fields, wait until every server was asked anew, and put the fields back where fewer are up.

    `times` are those of this service.
    """
    before = check_settings(balancer, service.index)
    holds = tuple(Predicate(name, "=", _as_told(value)) for name, value in sorted(fields.items()))
    write = Step(
        key="write-check",
        description=f"Set the health check of {service.label}: {in_sentence(fields)}",
        act=set_check(balancer, service.index, **fields),
        guard=(
            Check(before, (Expect(_as_now(service.check, fields)),)).described_as(
                f"the check of {service.label} is as it was when this was planned"
            ),
            is_service(balancer, service),
        ),
        done=(exists(before, *holds).described_as(f"the check of {service.label} is set so"),),
        before=before,
        undo=set_check(balancer, service.index, **fields_before(service.check, fields)),
        undo_guard=(
            is_service(balancer, service, within=_PATIENCE),
            exists(before, *_as_left(service.check, fields), within=_PATIENCE).described_as(
                f"nobody else has changed the check of {service.label} meanwhile"
            ),
        ),
        undo_says=f"put the check of {service.label} back",
    )
    return Group("check", (write, _judge(balancer, service, times)), on_failure="undo")


def _judge(balancer: str, service: VirtualService, times: CheckTimes) -> Step:
    least = max(1, up_now(service))
    settles = times.settles_within + _MARGIN
    is_up = Expect((Predicate("status", "=", UP),), at_least=least)
    says = f"at least {pluralize(least, 'real server')} of {service.label} {'is' if least == 1 else 'are'} up"
    check = Check(
        real_servers(balancer, service.index), (is_up,), within=settles + times.interval, every=3, settle=settles
    )
    return Step(
        key="judge-servers",
        description=f"Wait {settles} s for the load balancer to check every real server again",
        act=None,
        done=(check.described_as(says),),
    )


def _as_told(value: Value) -> Value:
    """As the load balancer's own answer has it."""
    return ("true" if value else "false") if isinstance(value, bool) else value


def _as_now(check: HealthCheck, fields: dict[str, Value]) -> tuple[Predicate, ...]:
    return tuple(Predicate(name, "=", _as_told(value)) for name, value in sorted(fields_before(check, fields).items()))


def _as_left(check: HealthCheck, fields: dict[str, Value]) -> tuple[Predicate, ...]:
    """Each field as it was, or as it is written: anything else is somebody else's."""
    was = fields_before(check, fields)
    return tuple(Predicate(name, "in", (_as_told(was[name]), _as_told(fields[name]))) for name in sorted(fields))


def sub_services_by_hand(balancer: str, service: VirtualService, facts: ServiceFacts, names: Sequence[str]) -> Group:
    """One SubVS for each name, as manual steps: a service has one check, and a check one name.

    A new SubVS takes nothing of its parent's check: its times are the load balancer's own again [doc], its URL, method, port
    and codes those of any new service [cap]. So each that differs is said.
    """
    servers = join_names([server.place for server in enabled_servers(service)], 8)
    all_services = RunReader(balancer, SERVICES)
    parent = service.master or service.index
    steps = []
    for number, name in enumerate(names, start=1):
        known = (
            Predicate("master", "=", parent),
            Predicate("host", "=", name),
            Predicate("use_1_1", "=", "true"),
            Predicate("status", "=", UP),
        )
        says = (
            f"In {service.label} on {balancer}: add a SubVS for {name} with the real servers {servers}. Set its health check to"
            f" {', '.join(_check_of_part(service, facts, name))}. Add a content rule that matches the Host header {name}, and"
            " assign it to this SubVS."
        )
        step = Step(
            key=f"sub-{number}",
            description=f"Add a SubVS for {name}",
            act=ManualStep(says, "operator"),
            done=(
                exists(all_services, *known, within=120).described_as(
                    f"a SubVS of {service.label} checks {name} and is up"
                ),
            ),
            deadline=BY_HAND_SECONDS,
        )
        steps.append(step)
    return Group("subvs", tuple(steps))


def _check_of_part(service: VirtualService, facts: ServiceFacts, name: str) -> Iterator[str]:
    """What a new SubVS has to be given, as the web interface calls it: what a new service has by itself is left out."""
    check = service.check
    request = find_wanted(service, facts, name).request
    method = request.method if request else check.method
    yield check.kind or "http"
    yield f"Use HTTP/1.1, HTTP/1.1 Host {name}"
    if check.url not in ("", "/"):
        yield f"URL {check.url}"
    if method != HEAD:
        yield f"HTTP Method {method}"
    if check.port:
        yield f"Checked Port {check.port}"
    if check.codes:
        yield f"Status Codes {' '.join(map(str, sorted(check.codes)))}"
    times = (("Interval", check.interval, " s"), ("Timeout", check.timeout, " s"), ("Retry Count", check.retries, ""))
    for word, value, unit in times:
        if value is not None:
            yield f"{word} {value}{unit}"


def answered_words(wanted: Wanted) -> str:
    """Each answer once: "200", "200, 404"."""
    return ", ".join(dict.fromkeys(word for _, word in wanted.told))


def serves(service: VirtualService, facts: ServiceFacts, name: str) -> bool:
    """Whether any real server answers that name with success at all."""
    for server in enabled_servers(service):
        answers = facts.of(service, server)
        for request, answer in ((answers.asked, answers.answer), *answers.others.items()):
            is_it = request is not None and request.host == name
            if is_it and isinstance(answer, WebAnswer) and service.check.counts(answer.status):
                return True
    return False


def silent_servers(service: VirtualService, facts: ServiceFacts) -> tuple[Unknown, ...]:
    """What did not answer hvops."""
    return tuple(
        answer for server in enabled_servers(service) if isinstance(answer := facts.of(service, server).answer, Unknown)
    )
