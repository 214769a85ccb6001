"""The request that a health check makes, and the others that tell why it fails.

With HTTP/1.1 and no CheckHost the load balancer sends the server's address [mem]; over TLS it sends the name of the header
in the handshake [mem]. HEAD and GET are asked, POST never: it may change something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.api.sources import Source
from bot.api.web import is_name, split_port, with_port
from commands.sources.load_balancer import HealthCheck, HttpVersion, RealServer
from commands.sources.web_server import Method, WebAnswer, ask_server

HEAD: Method = "HEAD"
GET: Method = "GET"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a real server.

    Attributes:
        host: the Host header; None sends none.
        server_name: the name in the TLS handshake (SNI); "" sends none.
    """

    method: Method
    version: HttpVersion
    host: str | None
    target: str
    tls: bool
    server_name: str = ""

    def to(self, server: RealServer, port: int) -> Source[WebAnswer]:
        """The question to one server; `port` 0 is its own."""
        return ask_server(
            server.address,
            port=port or server.port,
            target=self.target,
            host=self.host,
            method=self.method,
            version=self.version,
            tls=self.tls,
            server_name=self.server_name,
        )

    def __str__(self) -> str:
        """As an engineer would write it: "HEAD / HTTP/1.0 without Host", "GET /health HTTP/1.1 Host www.shop.lab"."""
        host = "without Host" if self.host is None else f"Host {self.host}"
        sni = f", {'SNI' if self.server_name else 'no SNI'}" if self.tls else ""
        return f"{self.method} {self.target} HTTP/{self.version} {host}{sni}"


def as_checked(check: HealthCheck, server: RealServer) -> Request | None:
    """What the check asks this server; None where hvops cannot ask the same: no HTTP, POST, or not told, or no host name."""
    if not check.is_http or check.method not in (HEAD, GET) or not check.version:
        return None
    plain = Request(HEAD if check.method == HEAD else GET, check.version, None, check.url, check.kind == "https")
    return plain if check.version == "1.0" else with_name(plain, check.host or server.address)


def with_name(request: Request, name: str) -> Request | None:
    """The same for a host name or an address, with a port or without, by HTTP/1.1; None for what is neither.

    Both may be anything that a load balancer tells.
    """
    try:
        bare, port = split_port(name)
    except ValueError:
        return None
    sni = bare if request.tls and is_name(bare) else ""
    return replace(request, version="1.1", host=with_port(bare, port), server_name=sni)


def variants(check: HealthCheck, names: Iterable[str]) -> tuple[Request, ...]:
    """The other ways to ask: without a name, and with each, by HEAD and by GET; over TLS also without SNI."""
    plain = Request(HEAD, "1.0", None, check.url, check.kind == "https")
    found = [plain, replace(plain, method=GET)]
    for named in filter(None, (with_name(plain, name) for name in names)):
        found += [named, replace(named, method=GET)]
        found += [replace(named, method=GET, server_name="")] if named.server_name else []
    return tuple(found)
