"""What is so of each real server: what its load balancer says, against what it answers to the very same request.

hvops asks from its own machine, whose way is not the load balancer's: what differs is said as such, and by itself decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from bot.api.facts import Unknown
from commands.sources.load_balancer import (
    DISABLED,
    DOWN,
    REDIRECT,
    UNCHECKED,
    UP,
    HealthCheck,
    RealServer,
    VirtualService,
)
from commands.sources.web_server import WebAnswer
from commands.virtual_service.facts import Answer, ServerAnswers, ServiceFacts
from commands.virtual_service.probes import GET, HEAD, Request

_SAID_NOTHING = ("not allowed", "bad reply", "held back")  # kinds that tell of us, not of the server
_GONE = ("connection refused", "unreachable", "timed out", "no TLS", "not HTTP", "head too long")
_REDIRECTS = (301, 302)


class ServerState(IntEnum):
    """How a real server is; worst first."""

    BY_CHECK = 0  # the load balancer says down; it is well by another request than that of the check
    DOWN = 1  # the load balancer says down, and nothing that hvops asked is answered well
    STALE_UP = 2  # the load balancer says up, and the check's own request fails
    DISAGREES = 3  # the load balancer says down, and the check's own request is answered well
    UNKNOWN = 4  # what the load balancer says could not be compared
    NOT_CHECKED = 5  # the load balancer does not check it, or it was switched off
    UP = 6


@dataclass(frozen=True, slots=True)
class ServerVerdict:
    """One real server.

    Attributes:
        answers: what it answered.
        cure: the request that it answers well where that of the check fails; None where there is none.
    """

    service: VirtualService
    server: RealServer
    state: ServerState
    answers: ServerAnswers
    cure: Request | None = None

    @property
    def told(self) -> str:
        """What came back to the request of the check: "404", "connection refused", "not asked"."""
        return in_words(self.answers.answer)

    @property
    def needs_name(self) -> bool:
        """Whether another Host header cures it, rather than another method alone."""
        asked = self.answers.asked
        return self.cure is not None and (asked is None or self.cure.host != asked.host)


def judge_servers(facts: ServiceFacts) -> tuple[ServerVerdict, ...]:
    """Each real server of the chosen services, worst first."""
    found = (
        judge(service, server, facts.of(service, server)) for service in facts.chosen for server in service.servers
    )
    return tuple(sorted(found, key=lambda one: one.state))


def judge(service: VirtualService, server: RealServer, answers: ServerAnswers) -> ServerVerdict:
    """One real server."""
    status = server.status.casefold()
    if server.enabled is False or status in (DISABLED.casefold(), UNCHECKED.casefold()):
        return ServerVerdict(service, server, ServerState.NOT_CHECKED, answers)
    well = is_well(service.check, answers.asked, answers.answer)
    if status == UP.casefold():
        state = {True: ServerState.UP, False: ServerState.STALE_UP, None: ServerState.UP}[well]
        return ServerVerdict(service, server, state, answers)
    if status != DOWN.casefold():
        return ServerVerdict(service, server, ServerState.UNKNOWN, answers)
    if well:
        return ServerVerdict(service, server, ServerState.DISAGREES, answers)
    if well is None:
        return ServerVerdict(service, server, ServerState.UNKNOWN, answers)
    cure = find_cure(service.check, answers)
    state = ServerState.DOWN if cure is None else ServerState.BY_CHECK
    return ServerVerdict(service, server, state, answers, cure)


def is_well(check: HealthCheck, asked: Request | None, answer: Answer | None) -> bool | None:
    """Whether an answer counts as up; None where nobody knows: not asked, or a pattern of a body that hvops never reads."""
    if asked is None or answer is None:
        return None
    if isinstance(answer, Unknown):
        return False if answer.kind in _GONE else None
    is_pattern = check.pattern and asked.method == GET and answer.status // 100 == 2  # noqa: PLR2004 - success
    if is_pattern or (check.sends_more and not check.counts(answer.status)):
        return None
    return check.counts(answer.status)


def find_cure(check: HealthCheck, answers: ServerAnswers) -> Request | None:
    """A request that is answered with success, the nearest to the check's own: the same name first, then the same method."""
    asked = answers.asked
    if asked is None:
        return None
    well = [
        request
        for request, answer in answers.others.items()
        if isinstance(answer, WebAnswer) and answer.status // 100 == 2 and check.counts(answer.status)  # noqa: PLR2004
    ]
    return min(
        well,
        key=lambda one: (one.host != asked.host, one.version != "1.1", one.method != asked.method),
        default=None,
    )


def in_words(answer: Answer | None) -> str:
    """An answer in a word or two."""
    if answer is None:
        return "not asked"
    if isinstance(answer, Unknown):
        return answer.kind
    return str(answer.status)


def counts_by_redirect(verdict: ServerVerdict) -> bool:
    """Whether it is up by a redirect, which says little of the application behind."""
    answer = verdict.answers.answer
    return verdict.state is ServerState.UP and isinstance(answer, WebAnswer) and answer.status in _REDIRECTS


def only_by_http_sys(verdict: ServerVerdict) -> bool:
    """Whether http.sys itself answered whatever was asked, before any site: it knows none for these requests."""
    found = [answer for _, answer in _all(verdict.answers)]
    return bool(found) and all(isinstance(one, WebAnswer) and "httpapi" in one.server.casefold() for one in found)


def differing_answers(service: VirtualService, facts: ServiceFacts) -> dict[Request, dict[str, str]]:
    """Requests that real servers of one service answer with different success: request -> place -> answer.

    To which a site answers 404 and another one 405 is no difference: neither takes it. HEAD is left out where GET is alike.
    """
    told: dict[Request, dict[str, str]] = {}
    well: dict[Request, set[bool]] = {}
    for server in service.servers:
        answers = facts.of(service, server)
        for request, answer in _all(answers):
            if isinstance(answer, Unknown) and answer.kind not in _GONE:
                continue
            told.setdefault(request, {})[server.place] = in_words(answer)
            is_good = isinstance(answer, WebAnswer) and service.check.counts(answer.status)
            well.setdefault(request, set()).add(is_good)
    differ = {request: told[request] for request, seen in well.items() if len(seen) > 1}
    return {
        request: places
        for request, places in differ.items()
        if request.method != HEAD
        or any(one.method == GET and one.host == request.host for one in differ)
        or not any(one.method == GET and one.host == request.host for one in told)
    }


def is_redirect(service: VirtualService) -> bool:
    """Whether it answers every request by itself with a redirect: it has no real servers, and needs none."""
    return service.status.casefold() == REDIRECT.casefold()


def _all(answers: ServerAnswers) -> Iterator[tuple[Request, Answer]]:
    if answers.asked is not None and answers.answer is not None:
        yield answers.asked, answers.answer
    yield from answers.others.items()
