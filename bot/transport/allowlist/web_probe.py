"""What may be asked of a web server: one HEAD or one GET, whose head is read and whose body is not; or a connection alone.

Both are reads (RFC 9110, 9.2.1 safe methods [doc]). Each value is checked for what it may hold before it becomes part of a
request: nothing that was typed, or that a server answered, can end a line or begin another header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bot.api.queries import Fields, Value
from bot.api.web import is_name, read_address, split_port, without_values
from bot.transport.allowlist.definitions import Parameter, bind_parameters

_LONGEST_TARGET = (
    4_096  # characters; http.sys takes no longer path with query than 16 KB by default, and mostly less [doc]
)
# Printable ASCII without blank and "#": what browsers send, everything else percent-encoded.
_TARGET = re.compile(r"/[!\"$-~]*")
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One request, every part of which has been checked.

    Attributes:
        target: path with query: "/manual/?a=1".
        host: the Host header; None sends none.
        address: where to connect, apart from the name; "" where the name is resolved.
        port: where to connect.
        server_name: the name in the TLS hello (SNI); "" sends none. Only of `tls`.
    """

    method: Literal["HEAD", "GET"]
    target: str
    version: Literal["1.0", "1.1"]
    host: str | None
    address: str
    port: int
    tls: bool
    server_name: str

    @property
    def head(self) -> bytes:
        """The request as it is sent. No cookies and no credentials."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"Host: {self.host}"] if self.host is not None else []
        lines += ["User-Agent: hvops", "Accept: */*", "Connection: close"]
        return "\r\n".join((*lines, "", "")).encode("ascii")

    def __str__(self) -> str:
        """As an engineer would write it, without what a query may hold: GET /manual/ HTTP/1.1, Host: intra.corp.example, TLS with SNI …."""
        name = f"SNI {self.server_name}" if self.server_name else "without SNI"
        words = [f"{self.method} {without_values(self.target)} HTTP/{self.version}"]
        words.append("no Host" if self.host is None else f"Host: {self.host}")
        words += [f"TLS {name}"] if self.tls else []
        words.append(f"at {self.address or 'its address'}, port {self.port}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One row of the allowlist.

    Attributes:
        what: its name in a question: "http head".
    """

    what: str
    method: Literal["HEAD", "GET"]
    marked: Literal["reads"] = "reads"

    def request(self, params: Fields) -> ProbeRequest:
        """The request with its values. Raises ValueError for one that is unknown, missing or of another kind."""
        values = bind_parameters(self.what, PARAMETERS, params)
        return ProbeRequest(
            method=self.method,
            target=values["target"],
            version="1.0" if values["version"] == "1.0" else "1.1",
            host=values["host"].removeprefix("=") if values["host"] else None,
            address=values["address"],
            port=int(values["port"]),
            tls=values["tls"] == "yes",
            server_name=values["server_name"],
        )


def _target(value: Value) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TARGET or not _TARGET.fullmatch(value):
        raise ValueError('takes a path that begins with "/", in printable ASCII without blanks')
    return value


def _version(value: Value) -> str:
    if value not in ("1.0", "1.1"):
        raise ValueError("takes 1.0 or 1.1")
    return str(value)


def _host(value: Value) -> str:
    """The header with "=" before it, so that none can be told from one. Raises ValueError."""
    if value is None:
        return ""
    try:
        host, _ = split_port(value if isinstance(value, str) else "")
    except ValueError:
        host = ""
    if not (is_name(host) or read_address(host)):
        raise ValueError("takes a name or an address, with a port or without")
    return f"={value}"


def _address(value: Value) -> str:
    if value and (not isinstance(value, str) or read_address(value) is None):
        raise ValueError("takes an address in its usual spelling")
    return str(value or "")


def _port(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_PORT:
        raise ValueError("takes a port")
    return str(value)


def _yes(value: Value) -> str:
    if not isinstance(value, bool):
        raise ValueError("is yes or no")  # noqa: TRY004 - what a row raises
    return "yes" if value else ""


def _server_name(value: Value) -> str:
    if value and not (isinstance(value, str) and is_name(value)):
        raise ValueError("takes a name, and no address (RFC 6066)")
    return str(value or "")


PARAMETERS = (
    Parameter("target", _target, "/"),
    Parameter("version", _version, "1.1"),
    Parameter("host", _host, None),
    Parameter("address", _address, ""),
    Parameter("port", _port),
    Parameter("tls", _yes, False),
    Parameter("server_name", _server_name, ""),
)
_ROWS = (ProbeRow("http head", "HEAD"), ProbeRow("http get", "GET"))

PROBES: Mapping[str, ProbeRow] = MappingProxyType({row.what: row for row in _ROWS})
ANSWERS = "connect to service"  # a TCP connection that is closed at once: nothing is sent


def connect_port(params: Fields) -> int:
    """The port of a connection alone. Raises ValueError for values of another kind."""
    return int(bind_parameters(ANSWERS, (Parameter("port", _port),), params)["port"])
