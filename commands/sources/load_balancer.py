"""What a load balancer (Kemp LoadMaster) tells of its virtual services, their health checks and their real servers.

Statuses: Up, Down, Unchecked [cap], Disabled and Redirect [recorded notes of 7.2.63]; of a service also that a sorry server
answers in place of its real servers, an error message, and that its authentication or its firewall is out of order [doc: Health
Check Statuses]: their words in the interface are not published, so any other word is repeated as it is. A check is HEAD of "/" by HTTP/1.0 without
a Host header unless it is set otherwise; 200 to 299, 301, 302 and 401 count as up, codes that are set replace the last three [doc].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bot.api.actions import RunProgram
from bot.api.plan import Check, exists
from bot.api.queries import Predicate, RunReader, Value, make_params
from bot.api.rows import CellError, Row, Rows, get_bool, get_int, get_str
from bot.api.sources import Source

SERVICES, SERVICE = "loadmaster virtual services", "loadmaster virtual service"
SETTINGS, SERVERS = "loadmaster check settings", "loadmaster real servers"
TIMES, VERSION, SET_CHECK = "loadmaster check times", "loadmaster version", "loadmaster set check"
UP, DOWN, UNCHECKED, DISABLED, REDIRECT = "Up", "Down", "Unchecked", "Disabled", "Redirect"
STATUSES = (UP, DOWN, UNCHECKED, DISABLED, REDIRECT)
LONGEST_INTERVAL = 901  # seconds between checks; it takes no more, and no fewer than timeout × retries + 1 [doc]
_COUNT_AS_UP = frozenset({301, 302, 401})  # beside 200 to 299 [doc]
_SUCCESS = range(200, 300)
_NUMBERS = re.compile(r"(?<![0-9])[0-9]{1,9}(?![0-9])")
HttpVersion = Literal["1.0", "1.1"]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a service checks its real servers.

    Attributes:
        kind: "http", "https", "tcp", "icmp", "none" and others.
        method: HEAD, GET or POST; "" where it does not tell.
        version: of HTTP; "" where it does not tell.
        host: CheckHost, "" where none is set. It is sent with HTTP/1.1 only [doc].
        port: 0 for each server's own.
        codes: those that are set to count as up; empty for the usual ones.
        pattern: whether the body has to match one: with GET and POST, and 200 to 299, only [doc].
        sends_more: whether it sends headers or data of its own, which nobody is told.
        interval, timeout, retries: of this service; None where it has the load balancer's own.
    """

    kind: str
    method: str
    version: HttpVersion | Literal[""]
    host: str
    url: str
    port: int
    codes: frozenset[int]
    pattern: bool
    sends_more: bool
    interval: int | None
    timeout: int | None
    retries: int | None

    @property
    def is_http(self) -> bool:
        """Whether it sends a request of HTTP."""
        return self.kind in ("http", "https")

    def counts(self, status: int) -> bool:
        """Whether an answer of that status counts as up, a pattern apart."""
        return status in _SUCCESS or status in (self.codes or _COUNT_AS_UP)


@dataclass(frozen=True, slots=True)
class RealServer:
    """One real server, and what the load balancer says of it."""

    index: int
    address: str
    port: int
    name: str
    status: str
    enabled: bool | None

    @property
    def place(self) -> str:
        """Address and port: "10.1.0.51:80"."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A virtual service, or a SubVS: one with a master.

    Attributes:
        name: its nickname; "" where it has none.
        parts: the indices of its SubVSs.
        has_parts: whether it says that it has SubVSs, of which the list may say nothing.
        declared: how many real servers or SubVSs it says that it has; None where it does not tell.
    """

    index: int
    name: str
    address: str
    port: str
    protocol: str
    status: str
    check: HealthCheck
    servers: tuple[RealServer, ...]
    parts: tuple[int, ...]
    has_parts: bool
    master: int
    declared: int | None
    error_code: int
    error_url: str

    @property
    def label(self) -> str:
        """As people call it: its nickname, else its address and port, else its index."""
        if self.name and self.name != "-":
            return self.name
        return f"{self.address}:{self.port}" if self.address else f"SubVS {self.index}"

    @property
    def is_sub(self) -> bool:
        """Whether it is part of another one."""
        return self.master > 0

    @property
    def is_whole(self) -> bool | None:
        """Whether as many real servers are listed as it says that it has; None where it does not say."""
        return None if self.declared is None else self.declared == len(self.servers)


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """Seconds between checks, seconds that an answer may take, and how often silence is asked again."""

    interval: int
    timeout: int
    retries: int

    @property
    def settles_within(self) -> int:
        """Seconds until every real server's state is that of the newest settings: a cycle begins, and silence runs out."""
        return self.interval + self.timeout * self.retries

    @property
    def in_words(self) -> str:
        """All three: "every 9 s, with a timeout of 4 s, asked 2 times"."""
        return f"every {self.interval} s, with a timeout of {self.timeout} s, asked {self.retries} times"

    def of(self, check: HealthCheck) -> CheckTimes | None:
        """Those of one service, which may have its own since 7.2.52 [doc]; None where they cannot be how it checks."""
        told = self.told(check)
        least = told.retries * told.timeout + 1
        are_times = min(told.interval, told.timeout, told.retries) > 0
        return told if are_times and least <= told.interval <= LONGEST_INTERVAL else None

    def told(self, check: HealthCheck) -> CheckTimes:
        """What it tells of one service, whatever that is."""
        return CheckTimes(check.interval or self.interval, check.timeout or self.timeout, check.retries or self.retries)


def virtual_services(on: str) -> Source[tuple[VirtualService, ...]]:
    """The question: which virtual services and SubVSs are there? The list, since a SubVS may not be shown by itself."""
    names = ("virtual service", lambda services: [service.name for service in services if service.name])
    return Source(RunReader(on, SERVICES), _read_services, names)


def check_times(on: str) -> Source[CheckTimes]:
    """The question: how often does it check?"""
    return Source(RunReader(on, TIMES), _read_times)


def firmware(on: str) -> Source[str]:
    """The question: which firmware does it run?"""
    return Source(RunReader(on, VERSION), _read_version)


def check_settings(on: str, vs: int) -> RunReader:
    """The question: which of the fields that may be changed are set, and how? One row {vs, host, use_1_1, method}."""
    return RunReader(on, SETTINGS, make_params(vs=vs))


def is_service(on: str, service: VirtualService, within: int = 0) -> Check:
    """What has to be so just before a change: under that index is still this very service, on whatever appliance answers.

    Indices are given again, and the partner of a pair may have another list. One address and port may have a service of either
    protocol.
    """
    told: dict[str, Value] = {
        "index": service.index,
        "name": service.name,
        "address": service.address,
        "port": service.port,
        "protocol": service.protocol,
    }
    terms = tuple(Predicate(column, "=", value) for column, value in told.items())
    master = (Predicate("master", "=", service.master),) if service.master else ()
    check = exists(RunReader(on, SERVICE, make_params(vs=service.index)), *terms, *master, within=within)
    return check.described_as(f"the virtual service {service.index} of {on} is still {service.label}")


def real_servers(on: str, vs: int) -> RunReader:
    """The question: how are the real servers of one service?"""
    return RunReader(on, SERVERS, make_params(vs=vs))


def set_check(on: str, vs: int, **fields: Value) -> RunProgram:
    """The action: write these fields of a check (host, use_1_1, method), and no other."""
    return RunProgram(on, SET_CHECK, make_params(vs=vs, **fields))


def _read_services(rows: Rows) -> tuple[VirtualService, ...]:
    """In the order of the list. Raises CellError."""
    return tuple(map(_service, rows))


def _service(row: Row) -> VirtualService:
    error_code = get_int(row, "error_code")
    return VirtualService(
        index=_index(row),
        name=get_str(row, "name"),
        address=get_str(row, "address"),
        port=get_str(row, "port"),
        protocol=get_str(row, "protocol"),
        status=get_str(row, "status"),
        check=_check(row),
        servers=_servers(row),
        parts=tuple(map(_index, row.get("subs") or ())),
        has_parts=bool(get_int(row, "parts")),
        master=get_int(row, "master") or 0,
        declared=get_int(row, "count"),
        error_code=error_code or 0,
        error_url=get_str(row, "error_url"),
    )


def _check(row: Row) -> HealthCheck:
    is_newer = get_bool(row, "use_1_1")
    return HealthCheck(
        kind=get_str(row, "check_type").casefold(),
        method=get_str(row, "method"),
        version="" if is_newer is None else "1.1" if is_newer else "1.0",
        host=get_str(row, "host"),
        url=get_str(row, "url") or "/",
        port=get_int(row, "check_port") or 0,
        codes=frozenset(map(int, _NUMBERS.findall(get_str(row, "codes")))),
        pattern=bool(get_str(row, "pattern")),
        sends_more=get_bool(row, "has_headers") is not False or get_bool(row, "has_data") is not False,
        interval=get_int(row, "interval"),
        timeout=get_int(row, "timeout"),
        retries=get_int(row, "retries"),
    )


def _servers(row: Row) -> tuple[RealServer, ...]:
    """Raises CellError, and ValueError for two with one index: what one of them answers would stand for both."""
    servers = tuple(map(_server, row.get("servers") or ()))
    if len({one.index for one in servers}) != len(servers):
        raise ValueError("two real servers of a virtual service have the same index")
    return servers


def _server(row: Row) -> RealServer:
    port = get_int(row, "port")
    if not get_str(row, "address") or port is None:
        raise CellError("address", row.get("address"))
    return RealServer(
        index=_index(row),
        address=get_str(row, "address"),
        port=port,
        name=get_str(row, "name"),
        status=get_str(row, "status"),
        enabled=get_bool(row, "enabled"),
    )


def _index(row: Row) -> int:
    index = get_int(row, "index")
    if index is None:
        raise CellError("index", row.get("index"))
    return index


def _read_times(rows: Rows) -> CheckTimes:
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} answers about how often it checks")
    told = [get_int(rows[0], name) for name in ("interval", "timeout", "retries")]
    interval, timeout, retries = told
    if not interval or not timeout or not retries:
        raise ValueError("it does not tell how often it checks")
    return CheckTimes(interval, timeout, retries)


def _read_version(rows: Rows) -> str:
    if len(rows) != 1 or not get_str(rows[0], "version"):
        raise ValueError("it does not tell its version")
    return get_str(rows[0], "version")
