"""Verdicts in words: one finding for all real servers of a service that are in the same state, worst first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bot.api.facts import Unknown
from bot.api.report import Column, Finding, Healthy, Remedy, Severity, Table
from bot.api.texts import clip
from commands.formatting import join_names, pluralize
from commands.sources.load_balancer import (
    DISABLED,
    DOWN,
    STATUSES,
    UNCHECKED,
    CheckTimes,
    HealthCheck,
    VirtualService,
)
from commands.sources.web_server import WebAnswer
from commands.virtual_service.facts import ServiceFacts, enabled_servers, is_number
from commands.virtual_service.probes import Request, as_checked
from commands.virtual_service.verdict import (
    ServerState,
    ServerVerdict,
    counts_by_redirect,
    differing_answers,
    in_words,
    is_redirect,
    is_well,
    only_by_http_sys,
)

_PLAIN = re.compile(r"\w[\w.-]*( \w[\w.-]*){0,5}")
_WORDS = {
    ServerState.BY_CHECK: (Severity.FAULT, "WRONG CHECK", "marked down by the wrong health check"),
    ServerState.DOWN: (Severity.FAULT, "DOWN", "down"),
    ServerState.STALE_UP: (Severity.WARNING, "STALE UP", "up for the load balancer, not for hvops"),
    ServerState.DISAGREES: (Severity.WARNING, "DISAGREES", "down for the load balancer, up for hvops"),
}


def findings_of(balancer: str, facts: ServiceFacts, verdicts: Sequence[ServerVerdict]) -> tuple[Finding, ...]:
    """All that is not well, worst first."""
    own = _by_service(verdicts)
    found = [
        _finding(balancer, facts, service, state, same)
        for state in _WORDS
        for service in facts.chosen
        if (same := [one for one in own.get(id(service), ()) if one.state is state])
    ]
    found += [_no_servers(service) for service in facts.chosen if _lacks_servers(service)]
    found += [_other_status(service) for service in facts.chosen if _is_other_status(service)]
    found += [one for service in facts.chosen if (one := _differs(service, facts))]
    found += [one for service in facts.chosen if (one := _by_redirect(service, own.get(id(service), ())))]
    return tuple(found)


def _by_service(verdicts: Sequence[ServerVerdict]) -> dict[int, list[ServerVerdict]]:
    """Each service's own, by what the service is: of thousands none is compared with all."""
    found: dict[int, list[ServerVerdict]] = {}
    for one in verdicts:
        found.setdefault(id(one.service), []).append(one)
    return found


def title_of(balancer: str, facts: ServiceFacts, verdicts: Sequence[ServerVerdict], unknown: int) -> str:
    """The verdict: how many real servers are down, and why."""
    rest = f", {unknown} unknown" if unknown else ""
    counts = {state: sum(one.state is state for one in verdicts) for state in _WORDS}
    parts = [f"{count} {_WORDS[state][2]}" for state, count in counts.items() if count]
    if parts:
        first = next(count for count in counts.values() if count)
        parts[0] = parts[0].replace(str(first), pluralize(first, "real server"), 1)
        return clip(f"{balancer}: {', '.join(parts)}{rest}", 150)
    if any(map(_lacks_servers, facts.chosen)):
        empty = sum(map(_lacks_servers, facts.chosen))
        return f"{balancer}: {pluralize(empty, 'virtual service')} without a real server{rest}"
    if odd := [service for service in facts.chosen if _is_other_status(service)]:
        return clip(f"{balancer}: {odd[0].label} is “{odd[0].status}”{rest}", 150)
    if rest:
        return f"{balancer}: nothing found{rest}"
    one = facts.chosen[0].label if len(facts.chosen) == 1 else ""
    services = sum(not service.is_sub for service in facts.chosen)
    works = f"{one} works" if one else f"{pluralize(services, 'virtual service')}, no fault found"
    return clip(f"{balancer}: {works}", 150)


def unknowns_of(facts: ServiceFacts, verdicts: Sequence[ServerVerdict]) -> tuple[Unknown, ...]:
    """Real servers of which nobody knows how they are, and services whose list is not whole."""
    found = [
        Unknown(f"{one.service.label} {one.server.place}", *_why_unknown(one))
        for one in verdicts
        if one.state is ServerState.UNKNOWN
    ]
    found += [
        Unknown(
            service.label, "not whole", f"it says {service.declared}, and lists {len(service.servers)} real servers."
        )
        for service in facts.chosen
        if service.is_whole is False and not service.has_parts and not service.parts
    ]
    if facts.left_out:
        servers = pluralize(facts.left_out, "more real server")
        found.append(Unknown(servers, "not asked", "one look asks 240.", "Name one virtual service."))
    return tuple(found)


def fine_of(verdicts: Sequence[ServerVerdict]) -> tuple[Healthy, ...]:
    """Real servers that are up, those apart whose answer could not be compared."""
    up = [one for one in verdicts if one.state is ServerState.UP]
    same: list[ServerVerdict] = []
    other: list[ServerVerdict] = []
    for one in up:
        (same if is_well(one.service.check, one.answers.asked, one.answers.answer) else other).append(one)
    found = [Healthy("UP", _places(same), "hvops gets the same answer")] if same else []
    found += [Healthy("UP", _places(other), "by the load balancer alone, not compared")] if other else []
    return tuple(found)


def notes_of(facts: ServiceFacts, verdicts: Sequence[ServerVerdict]) -> tuple[str, ...]:
    """What is so by design, and where it was asked from."""
    notes = [
        f"{one.label}: redirects every request to {_where(one)}, by design." for one in facts.chosen if is_redirect(one)
    ]
    off = [one.label for one in facts.chosen if one.status.casefold() == DISABLED.casefold()]
    unchecked = [one.label for one in facts.chosen if one.status.casefold() == UNCHECKED.casefold()]
    notes += [f"Disabled: {join_names(off)}."] if off else []
    notes += [f"No check is set, so their state is not known: {join_names(unchecked)}."] if unchecked else []
    own = {one.answers.answer.own_address for one in verdicts if isinstance(one.answers.answer, WebAnswer)} - {""}
    if own:
        notes.append(
            f"Sent from {join_names(sorted(own))}, hvops' own machine: the load balancer may get other answers."
        )
    if len(facts.chosen) == 1 and not isinstance(facts.times, Unknown) and facts.chosen[0].check.is_http:
        notes.append(f"{facts.chosen[0].label}: {check_in_words(facts.chosen[0].check, facts.times)}")
    return tuple(notes)


def table_of(facts: ServiceFacts, verdicts: Sequence[ServerVerdict]) -> Table:
    """How each service checks, and what that gets."""
    columns = tuple(map(Column, ("Service", "Check", "Real server", "Status", "hvops gets")))
    rows = [(one.service.label, _short_check(one), one.server.place, one.server.status, one.told) for one in verdicts]
    alone = [service for service in facts.chosen if not service.servers]
    rows += [(service.label, _kind(service), "", service.status, "") for service in alone]
    return Table("Virtual services and how they check", columns, tuple(rows))


def remedies_of(balancer: str, verdicts: Sequence[ServerVerdict]) -> tuple[Remedy, ...]:
    """To change the check of the first service whose servers are down because of it."""
    first = next((one for one in verdicts if one.state is ServerState.BY_CHECK), None)
    if first is None or first.cure is None or (first.needs_name and first.cure.host is None):
        return ()  # the cure is a check without a name, which is set by hand
    name = word_for(first.service)
    host = f" --host {first.cure.host}" if first.needs_name else ""
    return (Remedy("Fix Health Check…", f"/fix-health-check {balancer} {name}{host}", primary=True),)


def word_for(service: VirtualService) -> str:
    """What to type for a service: its nickname where that is plain words, else its index, which nobody can dress up.

    A nickname of digits alone may be another one's index: then its address and port, where it has them.
    """
    if is_number(service.name) and service.address:
        return f"{service.address}:{service.port}"
    return service.name if _PLAIN.fullmatch(service.name) and not service.is_sub else str(service.index)


def check_in_words(check: HealthCheck, times: CheckTimes) -> str:
    """When and what counts, in a sentence."""
    own = times.of(check)
    if own is None:
        return f"when it checks is not known: it tells {times.told(check).in_words}, which no LoadMaster takes."
    codes = ", ".join(map(str, sorted(check.codes))) if check.codes else "301, 302, 401"
    more = " Its answer must match a pattern, which hvops does not read." if check.pattern else ""
    more += " It sends headers or data of its own, which hvops does not." if check.sends_more else ""
    return (
        f"checked every {own.interval} s; 200 to 299 and {codes} count as up; no answer for"
        f" {own.timeout * own.retries} s counts as down.{more}"
    )


def _finding(
    balancer: str, facts: ServiceFacts, service: VirtualService, state: ServerState, same: Sequence[ServerVerdict]
) -> Finding:
    severity, status, words = _WORDS[state]
    lines = {
        ServerState.BY_CHECK: _by_check_lines,
        ServerState.DOWN: _down_lines,
        ServerState.STALE_UP: _stale_lines,
        ServerState.DISAGREES: _disagrees_lines,
    }[state](balancer, facts, same)
    are = "is" if len(same) == 1 else "are"
    return Finding(severity, status, service.label, f"{join_names(_addresses(same), 4)} {are} {words}.", tuple(lines))


def _by_check_lines(balancer: str, facts: ServiceFacts, same: Sequence[ServerVerdict]) -> Iterator[tuple[str, str]]:
    first = same[0]
    assert first.cure is not None
    answer = first.answers.others[first.cure]
    yield "Means", f"The check sends {first.answers.asked} and gets {_together(same)}."
    yield "Because", f"{first.cure} gets {in_words(answer)}."
    yield "Do now", f"{cure_in_words(first.answers.asked, first.cure)}."
    if len(names := _answering_names(first)) > 1:
        word, hosts = word_for(first.service), ",".join(names)
        says = f"{join_names(names, 4)} all answer, and one check asks for one name. A SubVS for each"
        yield "Next", f"{says}: /fix-health-check {balancer} {word} --host {hosts} shows the steps."
    del facts


def _down_lines(balancer: str, facts: ServiceFacts, same: Sequence[ServerVerdict]) -> Iterator[tuple[str, str]]:
    first = same[0]
    yield "Means", f"{first.answers.asked} gets {_together(same)}."
    if isinstance(first.answers.answer, Unknown):
        yield "Because", f"{first.answers.answer.why}"
    tried = sorted({in_words(answer) for one in same for answer in one.answers.others.values()})
    if tried:
        yield "Because", f"With other names and methods it gets {', '.join(tried)}."
    if any(map(only_by_http_sys, same)):
        word = word_for(first.service)
        yield (
            "Suspect",
            "Windows itself answers, not a site: probably the site is bound to a host name that was not asked for.",
        )
        yield "Next", f"Try its name: /check-virtual-service {balancer} {word} --host www.corp.example"
    else:
        yield "By hand", "Look at the web server itself: its service, its site and its application pool."
    del facts


def _stale_lines(balancer: str, facts: ServiceFacts, same: Sequence[ServerVerdict]) -> Iterator[tuple[str, str]]:
    first = same[0]
    yield "Means", f"{first.answers.asked} gets {_together(same)} from hvops, and that does not count as up."
    settles = _settles_within(facts, first.service)
    wait = f"{settles} s" if settles else "a minute"
    yield "Next", f"Check again in {wait}: by then it has checked again. If it still says up, it no longer checks."
    del balancer


def _disagrees_lines(balancer: str, facts: ServiceFacts, same: Sequence[ServerVerdict]) -> Iterator[tuple[str, str]]:
    first = same[0]
    yield "Means", f"{first.answers.asked} gets {_together(same)} from hvops, and that counts as up."
    yield "Suspect", "It came back a moment ago, or a firewall stands between the load balancer and the server."
    if settles := _settles_within(facts, first.service):
        yield "Next", f"Check again in {settles} s."
    del balancer


def _settles_within(facts: ServiceFacts, service: VirtualService) -> int | None:
    """Seconds until every real server's state is a new one; None where that is not known."""
    times = None if isinstance(facts.times, Unknown) else facts.times.of(service.check)
    return None if times is None else times.settles_within


def _answering_names(one: ServerVerdict) -> tuple[str, ...]:
    """The host names whose sites answer on this server as its check wants, each once: what one check cannot all watch."""
    others = one.answers.others.items()
    well = [request for request, answer in others if _is_named(request) and is_well(one.service.check, request, answer)]
    return tuple(dict.fromkeys(request.host for request in well if request.host))


def cure_in_words(asked: Request | None, cure: Request) -> str:
    """What to set so that the check asks that."""
    if asked is not None and (asked.version, asked.host) == (cure.version, cure.host):
        right = "; the host name is already right" if cure.server_name or _is_named(cure) else ""
        return f"Set the health check to {cure.method}{right}"
    method = "" if asked is not None and asked.method == cure.method else f", {cure.method}"
    name = f", Host {cure.host}" if cure.host else ""
    return f"Set the health check to HTTP/{cure.version}{name}{method}"


def _is_named(request: Request) -> bool:
    """Whether its Host is a name, and not just the server's address."""
    bare = (request.host or "").replace(".", "").replace(":", "")
    return request.host is not None and not (bare.isascii() and bare.isdecimal())


def _differs(service: VirtualService, facts: ServiceFacts) -> Finding | None:
    """Real servers that do not answer alike: one of them lacks a site, a binding or a version."""
    found = differing_answers(service, facts)
    if not found:
        return None
    request, places = next(iter(found.items()))
    told = join_names([f"{place} {answer}" for place, answer in places.items()], 6)
    says = "Its real servers do not answer alike."
    lines = (
        ("Means", f"{request} gets: {told}."),
        ("By hand", "Compare their sites, bindings and versions: every real server needs the same."),
    )
    return Finding(Severity.WARNING, "DIFFERS", service.label, says, lines)


def _by_redirect(service: VirtualService, own: Sequence[ServerVerdict]) -> Finding | None:
    same = [one for one in own if counts_by_redirect(one)]
    if not same:
        return None
    says = "A redirect counts as up here, and says nothing about the application behind it."
    lines = (("Means", f"{same[0].answers.asked} gets {_together(same)}."),)
    return Finding(Severity.NOTE, "REDIRECT", service.label, says, lines)


def _is_other_status(service: VirtualService) -> bool:
    """Whether it says something else than hvops knows: a sorry server, an error message, its firewall or logins."""
    return service.status.casefold() not in {word.casefold() for word in (*STATUSES, "")}


def _other_status(service: VirtualService) -> Finding:
    lines = (
        ("By hand", "Look at the service in the load balancer's own interface: hvops judges its real servers only."),
    )
    says = f"The load balancer says “{service.status}” of it."
    return Finding(Severity.WARNING, "STATUS", service.label, says, lines)


def _no_servers(service: VirtualService) -> Finding:
    lines = (("By hand", "Add its real servers, or switch it off."),)
    return Finding(Severity.FAULT, "NO SERVERS", service.label, "It has no real server at all.", lines)


def _lacks_servers(service: VirtualService) -> bool:
    is_down = service.status.casefold() == DOWN.casefold()
    return is_down and not service.servers and service.declared == 0 and not (service.has_parts or service.parts)


def _why_unknown(verdict: ServerVerdict) -> tuple[str, str, str]:
    answer = verdict.answers.answer
    status = verdict.server.status or "nothing"
    if isinstance(answer, Unknown):
        return answer.kind, f"the load balancer says {status}, and {answer.why}", answer.remedy
    if verdict.answers.asked is None:
        kind = verdict.service.check.kind or "unknown"
        return "not compared", f"the load balancer says {status}; its {kind} check cannot be repeated by hvops.", ""
    if isinstance(answer, WebAnswer):
        why = "a pattern, headers or data of its own decide, which hvops does not have"
        return "not compared", f"the load balancer says {status}; hvops gets {answer.status}, but {why}.", ""
    return "not asked", f"the load balancer says {status}, and it was not asked.", ""


def _together(same: Sequence[ServerVerdict]) -> str:
    return ", ".join(dict.fromkeys(one.told for one in same))


def _addresses(same: Sequence[ServerVerdict]) -> list[str]:
    return [one.server.place for one in same]


def _places(same: Sequence[ServerVerdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{one.service.label} {one.server.place}" for one in same))


def _where(service: VirtualService) -> str:
    return "https" if service.error_url.casefold().startswith("https:") else "another address"


def _short_check(verdict: ServerVerdict) -> str:
    asked = as_checked(verdict.service.check, verdict.server)
    return str(asked) if asked is not None else _kind(verdict.service)


def _kind(service: VirtualService) -> str:
    if is_redirect(service) or service.parts or service.has_parts:
        return "its SubVSs" if service.parts or service.has_parts else "none: it redirects"
    check = service.check
    return f"{check.method} by {check.kind}".strip() if check.is_http else check.kind or "not told"


def asked_servers(facts: ServiceFacts) -> int:
    """How many real servers the look is about."""
    return sum(len(enabled_servers(service)) for service in facts.chosen)
