"""What the load balancer tells of its services, and what their real servers answer to hvops itself.

First every real server is asked what its check asks. Those of a service where anything is not as it should be, or that was
named, are asked in other ways as well: which name, which method, with SNI or without.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from bot.api.beside import beside
from bot.api.facts import Known, Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.web import is_name, split_port
from commands.sources.load_balancer import (
    UP,
    CheckTimes,
    RealServer,
    VirtualService,
    check_times,
    firmware,
    virtual_services,
)
from commands.sources.web_server import WebAnswer
from commands.virtual_service.probes import Request, as_checked, variants

MOST_REQUESTS = 240  # of one look: sixty servers in four ways each
_NUMBER = re.compile("[0-9]+")
_NAMES = 4  # host names that are tried

Place = tuple[int, int]  # index of the service, and of the real server in it
Answer = WebAnswer | Unknown


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """What one real server answered.

    Attributes:
        asked: the request of its check; None where hvops cannot make it.
        answer: to that request; None where it was not asked.
        others: other requests, with their answers.
    """

    asked: Request | None
    answer: Answer | None
    others: Mapping[Request, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """All of one look.

    Attributes:
        services: all of the load balancer.
        chosen: those that the question is about.
        answers: of each real server that was asked.
        left_out: real servers that were not asked, since there are more than one look asks.
        now: when it was asked.
    """

    services: tuple[VirtualService, ...] | Unknown
    chosen: tuple[VirtualService, ...]
    times: CheckTimes | Unknown
    firmware: str | Unknown
    answers: Mapping[Place, ServerAnswers]
    left_out: int
    now: datetime

    def of(self, service: VirtualService, server: RealServer) -> ServerAnswers:
        """The answers of one real server; none where it was not asked."""
        return self.answers.get((service.index, server.index), ServerAnswers(None, None))


async def find_services(balancer: str, wanted: str, hosts: Sequence[str], ask: QueryClient) -> ServiceFacts:
    """Ask the load balancer, then its real servers.

    Args:
        balancer: its name.
        wanted: a service by nickname, index, address or address:port; "" for all.
        hosts: names to try beside those that the load balancer itself knows.
        ask: asks.
    """
    told, times, version = await asyncio.gather(
        ask.query(virtual_services(balancer)), ask.query(check_times(balancer)), ask.query(firmware(balancer))
    )
    services = value_of(told)
    if isinstance(services, Unknown):
        return ServiceFacts(services, (), value_of(times), value_of(version), {}, 0, ask.now)
    # beside the loop: there may be thousands of services, as many as the load balancer likes
    chosen = await beside(choose, services, wanted)
    places, left_out = await beside(_places_of, chosen)
    known = await beside(KnownNames, services)
    answers = await _ask_as_checked(places, ask)
    room = MOST_REQUESTS - sum(one.asked is not None for one in answers.values())
    for service in {id(service): service for service, _ in places}.values():
        if not wanted and not _is_odd(service, answers):
            continue
        answers, room = await _ask_otherwise(service, known.of(service, hosts), answers, room, ask)
    return ServiceFacts(services, chosen, value_of(times), value_of(version), answers, left_out, ask.now)


def _places_of(chosen: Sequence[VirtualService]) -> tuple[list[tuple[VirtualService, RealServer]], int]:
    """The real servers that are asked, each with its service, and how many are not."""
    every = ((service, server) for service in chosen for server in enabled_servers(service))
    places = list(islice(every, MOST_REQUESTS))
    return places, sum(1 for _ in every)


def choose(services: Sequence[VirtualService], wanted: str) -> tuple[VirtualService, ...]:
    """The services that a word means, each with its SubVSs; all for "".

    All that it can mean: of a nickname that is another one's index, nobody knows which of the two was meant.
    """
    if not wanted:
        return tuple(services)
    word = wanted.strip().casefold()
    indices = {one.index for one in services if word in _words_for(one)}
    return tuple(one for one in services if one.index in indices or one.master in indices)


def is_number(word: str) -> bool:
    """Whether a word can be the index of a service: digits of ASCII alone."""
    return _NUMBER.fullmatch(word) is not None


def _words_for(service: VirtualService) -> set[str]:
    return {
        service.label.casefold(),
        str(service.index),
        *({service.address, f"{service.address}:{service.port}"} if service.address else set()),
    }


def enabled_servers(service: VirtualService) -> tuple[RealServer, ...]:
    """Its real servers but for those that somebody has switched off."""
    return tuple(server for server in service.servers if server.enabled is not False)


class KnownNames:
    """The host names that a load balancer itself knows: each is looked up by the servers of its service, and not searched for."""

    def __init__(self, services: Iterable[VirtualService]) -> None:
        """Take all services, once: of each server's names no more are kept than are tried."""
        self._checked: dict[str, dict[str, tuple[int, str]]] = {}
        self._called: dict[str, dict[str, tuple[int, str]]] = {}
        for position, service in enumerate(services):
            for names, name in ((self._checked, service.check.host), (self._called, service.name)):
                if _is_host_name(name):
                    for address in {server.address for server in service.servers}:
                        _keep(names.setdefault(address, {}), position, name)

    def of(self, service: VirtualService, hosts: Sequence[str]) -> tuple[str, ...]:
        """Host names worth trying: those that were given, its own, those of services with the same servers, its nickname."""
        addresses = {server.address for server in service.servers}
        told = [
            *hosts,
            service.check.host,
            *_in_order(self._checked, addresses),
            service.name,
            *_in_order(self._called, addresses),
        ]
        names: dict[str, str] = {}
        for name in told:
            if _is_host_name(name):
                names.setdefault(name.casefold(), name)
        return tuple(names.values())[:_NAMES]


def _keep(names: dict[str, tuple[int, str]], position: int, name: str) -> None:
    if len(names) < _NAMES:
        names.setdefault(name.casefold(), (position, name))


def _in_order(names: Mapping[str, Mapping[str, tuple[int, str]]], addresses: Iterable[str]) -> list[str]:
    """The names of these servers, in the order in which the load balancer lists their services."""
    found = {told for address in addresses for told in names.get(address, {}).values()}
    return [name for _, name in sorted(found)]


def _is_host_name(text: str) -> bool:
    """Whether it can be a Host header with a domain, with a port or without: a nickname mostly is none."""
    try:
        host, _ = split_port(text)
    except ValueError:
        return False
    return is_name(host) and "." in host.rstrip(".")


def _is_odd(service: VirtualService, answers: Mapping[Place, ServerAnswers]) -> bool:
    """Whether a real server is not up, or does not answer what its check wants."""
    for server in enabled_servers(service):
        answer = answers[service.index, server.index].answer if (service.index, server.index) in answers else None
        if isinstance(answer, Unknown) or (answer is not None and not service.check.counts(answer.status)):
            return True
        if answer is not None and server.status.casefold() != UP.casefold():
            return True
    return False


async def _ask_as_checked(
    places: Sequence[tuple[VirtualService, RealServer]], ask: QueryClient
) -> dict[Place, ServerAnswers]:
    requests = {
        (service.index, server.index): (as_checked(service.check, server), server, service.check.port)
        for service, server in places
    }
    found = await ask.query_many(
        {place: request.to(server, port) for place, (request, server, port) in requests.items() if request}
    )
    return {place: ServerAnswers(request, _value(found.get(place))) for place, (request, _, _) in requests.items()}


async def _ask_otherwise(
    service: VirtualService,
    names: Sequence[str],
    answers: dict[Place, ServerAnswers],
    room: int,
    ask: QueryClient,
) -> tuple[dict[Place, ServerAnswers], int]:
    """The answers with those to other requests, and how many more may be asked."""
    if not service.check.is_http:
        return answers, room
    wanted = list(islice(_other_requests(service, names, answers), max(0, room)))
    found = await ask.query_many(
        {(server.index, request): request.to(server, service.check.port) for server, request in wanted}
    )
    more: dict[Place, dict[Request, Answer]] = {}
    for (server, request), answer in found.items():
        value = _value(answer)
        if value is not None:
            more.setdefault((service.index, server), {})[request] = value
    merged = {
        place: ServerAnswers(one.asked, one.answer, more[place]) if place in more else one
        for place, one in answers.items()
    }
    return merged, room - len(wanted)


def _other_requests(
    service: VirtualService, names: Sequence[str], answers: Mapping[Place, ServerAnswers]
) -> Iterator[tuple[RealServer, Request]]:
    for server in enabled_servers(service):
        known = answers.get((service.index, server.index))
        if known is not None:
            own = (server.address,) if service.check.version == "1.1" and not service.check.host else ()
            yield from ((server, one) for one in variants(service.check, (*own, *names)) if one != known.asked)


def _value(answer: Known[WebAnswer] | Unknown | None) -> Answer | None:
    return answer.value if isinstance(answer, Known) else answer
