"""What a web server answers to one request, sent from hvops' own machine: the head, and no body.

One HEAD or GET with the HTTP version, Host header, address and name in the TLS hello that the caller asks for, so that
what a browser, a health check of HTTP/1.0 and a client without SNI get can be compared. RFC 9110 and 9112 [doc].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.api.queries import RunReader, make_params
from bot.api.rows import CellError, Row, Rows, get_bool, get_datetime, get_int, get_str, get_strs
from bot.api.sources import Source
from bot.api.web import Url, read_address

HEAD, GET = "http head", "http get"
Method = Literal["HEAD", "GET"]
_REDIRECTS = (301, 302, 303, 307, 308)  # RFC 9110, 15.4
_LEAST, _MOST = 100, 999


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server's certificate says of itself. Nobody has verified it.

    Attributes:
        subject: its common name; "" where it has none, or cannot be read.
        names: the DNS names and addresses that it was made for; fifty at most.
        begins: from when it counts; None where it cannot be read.
        sha256: of its encoding, in hexadecimal.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime | None
    ends: datetime | None
    sha256: str

    def covers(self, name: str) -> bool:
        """Whether it was made for that name: as it stands, or by a wildcard for its first label (RFC 6125, 6.4.3)."""
        wanted = name.lower().rstrip(".")
        rest = wanted.partition(".")[2]
        told = {one.lower().rstrip(".") for one in self.names}
        return wanted in told or (bool(rest) and f"*.{rest}" in told)


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """The head of one answer.

    Attributes:
        status: 100 to 999.
        version: of the answer: "1.0" or "1.1".
        location: as it came, None where there was none; it may be cut.
        locations: how many different ones there were.
        server: what it calls itself: "Microsoft-IIS/10.0"; "Microsoft-HTTPAPI/2.0" is http.sys itself, before any site.
        allow: the methods that it takes, where it says so.
        login: which logins it wants: "Negotiate, NTLM".
        sets_cookie: whether it gives the client a cookie, which hvops never sends back.
        address: where the connection went.
        addresses: all that the name has.
        pinned: whether the inventory itself says where it is ([web.hosts]).
        own_address: of hvops' own machine on that connection: where the question came from.
        tls: the version, "TLSv1.3"; "" without TLS.
    """

    status: int
    reason: str
    version: str
    location: str | None
    locations: int
    location_cut: bool
    server: str
    allow: str
    login: str
    sets_cookie: bool
    address: str
    port: int
    addresses: tuple[str, ...]
    pinned: bool
    own_address: str
    tls: str
    certificate: Certificate | None

    @property
    def redirects(self) -> bool:
        """Whether it sends the client elsewhere."""
        return self.status in _REDIRECTS


def ask_url(url: Url, method: Method = "GET", version: Literal["1.0", "1.1"] = "1.1") -> Source[WebAnswer]:
    """Ask a web address as a browser would: Host and SNI are its host."""
    return ask_server(
        url.host,
        port=url.port,
        target=url.target,
        host=url.authority,
        method=method,
        version=version,
        tls=url.scheme == "https",
        server_name=url.host if read_address(url.host) is None else "",
    )


def ask_server(
    on: str,
    *,
    port: int,
    target: str = "/",
    host: str | None = None,
    method: Method = "GET",
    version: Literal["1.0", "1.1"] = "1.1",
    address: str = "",
    tls: bool = False,
    server_name: str = "",
) -> Source[WebAnswer]:
    """Ask one server for the head of one answer.

    Args:
        on: the server, as people name it: its name, which is looked up once, or its address.
        port: where it listens.
        target: path with query.
        host: the Host header, with a port or without; None sends none.
        method: HEAD or GET.
        version: of HTTP.
        address: where to connect, in place of what its name leads to.
        tls: whether it listens for TLS.
        server_name: the name in the TLS hello (SNI); "" sends none.
    """
    params = make_params(
        port=port, target=target, host=host, version=version, address=address, tls=tls, server_name=server_name
    )
    return Source(RunReader(on, HEAD if method == "HEAD" else GET, params), _read_answer)


def _read_answer(rows: Rows) -> WebAnswer:
    """Raises CellError, and ValueError where there is not exactly one answer."""
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} answers to one request")
    row = rows[0]
    status, port = get_int(row, "status"), get_int(row, "port")
    if status is None or not _LEAST <= status <= _MOST:
        raise CellError("status", row.get("status"))
    certificate = row.get("certificate")
    return WebAnswer(
        status=status,
        reason=get_str(row, "reason"),
        version=get_str(row, "version"),
        location=None if row.get("location") is None else get_str(row, "location"),
        locations=get_int(row, "locations") or 0,
        location_cut=bool(get_bool(row, "location_cut")),
        server=get_str(row, "server"),
        allow=get_str(row, "allow"),
        login=get_str(row, "login"),
        sets_cookie=bool(get_bool(row, "sets_cookie")),
        address=get_str(row, "address"),
        port=port or 0,
        addresses=get_strs(row, "addresses"),
        pinned=bool(get_bool(row, "pinned")),
        own_address=get_str(row, "own_address"),
        tls=get_str(row, "tls"),
        certificate=_certificate(certificate) if isinstance(certificate, Mapping) else None,
    )


def _certificate(row: Row) -> Certificate:
    return Certificate(
        subject=get_str(row, "subject"),
        issuer=get_str(row, "issuer"),
        names=get_strs(row, "names"),
        begins=get_datetime(row, "begins"),
        ends=get_datetime(row, "ends"),
        sha256=get_str(row, "sha256"),
    )
