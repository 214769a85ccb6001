"""Follow redirects from one address: every hop is asked once, without cookies, and none outside of the inventory.

The name of each hop is looked up once and its address checked by the transport, so a redirect leads hvops nowhere that the
inventory does not list. Ten hops are enough: browsers give up after twenty, and loops show within four.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.sources import Source
from bot.api.texts import clip
from bot.api.web import Url, read_address, without_values
from commands.redirects.loops import Loop, find_loop
from commands.sources.web_server import WebAnswer, ask_server, ask_url

MOST_HOPS = 10
_SHOWN = 200  # characters of a Location that leads nowhere


@dataclass(frozen=True, slots=True)
class Hop:
    """One address that was asked.

    Attributes:
        leads_to: where its redirect leads; None where it is none, or leads nowhere.
        broken: why a redirect leads nowhere; "" where nothing is wrong with it.
    """

    url: Url
    answer: WebAnswer | Unknown
    leads_to: Url | None = None
    broken: str = ""

    @property
    def known(self) -> WebAnswer | None:
        """The answer, where there was one."""
        return self.answer if isinstance(self.answer, WebAnswer) else None


@dataclass(frozen=True, slots=True)
class Trail:
    """All hops, in order.

    Attributes:
        loop: why they never end; None where they do, or where nobody knows.
        without_host: what the first address answers to HTTP/1.0 without a Host header; None where it was not asked.
    """

    hops: tuple[Hop, ...]
    loop: Loop | None = None
    without_host: WebAnswer | Unknown | None = None

    @property
    def last(self) -> Hop:
        """The last one that was asked."""
        return self.hops[-1]

    @property
    def redirects(self) -> int:
        """How many of them send the client on."""
        return sum(hop.leads_to is not None for hop in self.hops)


async def follow(url: Url, ask: QueryClient) -> Trail:
    """Ask hop after hop, until one does not redirect, does not answer, or a loop is known."""
    hops: list[Hop] = []
    loop: Loop | None = None
    following: Url | None = url
    while following is not None and loop is None and len(hops) < MOST_HOPS:
        hop = read_hop(following, value_of(await ask.query(ask_url(following))))
        hops.append(hop)
        following = hop.leads_to
        loop = find_loop([one.url for one in hops], following) if following else None
    first = hops[0].known
    bare = value_of(await ask.query(_without_host(url))) if first is not None and first.redirects else None
    return Trail(tuple(hops), loop, bare)


def read_hop(url: Url, answer: WebAnswer | Unknown) -> Hop:
    """Where an answer leads."""
    if isinstance(answer, Unknown) or not answer.redirects:
        return Hop(url, answer)
    if answer.location is None:
        return Hop(url, answer, broken="it has no Location, so clients go nowhere")
    if answer.locations > 1:
        return Hop(
            url, answer, broken=f"it has {answer.locations} different Locations, and clients differ in which they take"
        )
    if answer.location_cut:
        return Hop(url, answer, broken="its Location is too long to be followed")
    try:
        return Hop(url, answer, url.join(answer.location))
    except ValueError as error:
        return Hop(url, answer, broken=f"its Location cannot be followed: {error} ({_shown(answer.location)})")


def _shown(location: str) -> str:
    shown = without_values(location)
    return shown if len(shown) <= _SHOWN else f"{clip(shown, _SHOWN)}…"


def _without_host(url: Url) -> Source[WebAnswer]:
    """The same address as a health check of HTTP/1.0 asks for it: no name in the request."""
    tls = url.scheme == "https"
    name = url.host if tls and read_address(url.host) is None else ""
    return ask_server(url.host, port=url.port, target=url.target, version="1.0", tls=tls, server_name=name)
