"""What a LoadMaster knows: its virtual services, their real servers, how they are checked, and what came out.

Fields have the names of the interface, and version 1's text values: "Y" and "N", numbers as text [cap: showvs]. One that is
empty is absent [src]. Statuses: Up, Down, Unchecked [cap], Disabled and Redirect [recorded notes of 7.2.63].
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

# What a new virtual service of type http has, as a showvs of an empty one tells [cap].
DEFAULTS = {
    "SSLReverse": "N",
    "SSLReencrypt": "N",
    "Transparent": "Y",
    "ServerInit": "0",
    "Idletime": "0",
    "ForceL7": "Y",
    "ErrorCode": "0",
    "CheckUse1.1": "N",
    "MatchLen": "0",
    "CheckUseGet": "0",
    "VStype": "http",
    "Schedule": "rr",
    "CheckType": "http",
    "PersistTimeout": "0",
    "CheckPort": "0",
    "EnhancedHealthChecks": "N",
    "RsMinimum": "0",
}
# Beside these a field can be set: all of them appear once they hold anything.
MORE = (
    "NickName",
    "CheckUrl",
    "CheckHost",
    "CheckCodes",
    "CheckHeaders",
    "CheckPattern",
    "CheckPostData",
    "ChkInterval",
    "ChkTimeout",
    "ChkRetryCount",
    "Persist",
    "ErrorUrl",
    "SSLAcceleration",
    "ReverseSNIHostname",
)
FIELDS = {name.casefold(): name for name in (*DEFAULTS, *MORE)}
SWITCHES = {
    "SSLReverse",
    "SSLReencrypt",
    "Transparent",
    "ForceL7",
    "CheckUse1.1",
    "EnhancedHealthChecks",
    "SSLAcceleration",
}
NUMBERS = {
    "ServerInit",
    "Idletime",
    "MatchLen",
    "CheckUseGet",
    "RsMinimum",
    "ChkInterval",
    "ChkTimeout",
    "ChkRetryCount",
}
_CHOICES = {
    "CheckUseGet": {"0", "1", "2"},  # HEAD, GET, POST [src]
    "CheckType": {
        "icmp",
        "https",
        "http",
        "tcp",
        "smtp",
        "nntp",
        "ftp",
        "telnet",
        "pop3",
        "imap",
        "rdp",
        "bdata",
        "ldap",
        "none",
    },
}
_LEAST_PERSIST = 60  # seconds: as many or more switch persistence by source address on where there was none [src]
_REDIRECTS = range(300, 400)
_LONGEST_CODES = 127  # characters of CheckCodes [doc]


class Refused(ValueError):
    """What the interface answers in place of doing it: a status and a message."""

    def __init__(self, code: int, says: str) -> None:
        super().__init__(says)
        self.code = code


@dataclass(slots=True)
class RealServer:
    """A real server of one virtual service, and what its checks have come to.

    Attributes:
        up: what the last check that ended found; None before the first.
        silent_since: when the cycle began since which nothing came back at all.
    """

    index: int
    address: str
    port: int
    enabled: bool = True
    up: bool | None = None
    silent_since: datetime | None = None


@dataclass(slots=True)
class VirtualService:
    """A virtual service, or a SubVS: one with a master, without an address, with port 0 [cap].

    Attributes:
        master: the index of the service that it belongs to; 0 where it is no SubVS.
        place: of a SubVS: its number among the real servers of the master.
        checked: when the newest cycle began.
    """

    index: int
    address: str = ""
    port: int = 0
    protocol: str = "tcp"
    enabled: bool = True
    master: int = 0
    place: int = 0
    settings: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    servers: list[RealServer] = field(default_factory=list)
    checked: datetime | None = None

    def get(self, name: str) -> str:
        """The value of a field; "" for one that is absent."""
        return self.settings.get(name, "")

    def set(self, name: str, value: str) -> None:
        """Set a field as modvs does. Raises Refused."""
        name = FIELDS.get(name.casefold(), "")
        if not name:
            return
        if name in SWITCHES:
            value = "Y" if value.casefold() in ("1", "y", "yes", "true") else "N"
        if value not in _CHOICES.get(name, {value}):
            raise Refused(422, f"Invalid value for {name}")
        if name == "CheckCodes" and (len(value) > _LONGEST_CODES or not all(map(_is_code, value.split()))):
            raise Refused(422, "Invalid value for CheckCodes")
        if name == "PersistTimeout" and value.isdecimal() and int(value) >= _LEAST_PERSIST and not self.get("Persist"):
            self.settings["Persist"] = "src"
        if value:
            self.settings[name] = value
        else:
            self.settings.pop(name, None)

    @property
    def redirects(self) -> bool:
        """Whether it answers every request by itself, with a redirect."""
        return int(self.get("ErrorCode") or 0) in _REDIRECTS and bool(self.get("ErrorUrl"))

    def number(self, name: str, default: int) -> int:
        """A setting of its checks in seconds or times; the appliance's own where it has none."""
        told = self.get(name)
        return int(told) if told.isdecimal() and int(told) else default


@dataclass(slots=True)
class Appliance:
    """One LoadMaster.

    Attributes:
        api: which version of its interface the bot is told to ask; it answers both.
        interval, timeout, retries: of all checks whose service sets none of its own: seconds, seconds, times [doc].
        has_sessions: whether session management is on, without which version 2 does not answer [doc].
        has_api: whether the interface is switched on.
        shows_subs: whether showvs answers for a SubVS; some do not.
        checks: False: checks have stopped, and what they found last stands for ever.
        reach: where on loopback an address and port of the practice world are; None where nothing listens.
        checking: held by a cycle: nobody is told of a server that its first check has not come back from.
    """

    version: str = "7.2.63.2.24350.RELEASE"
    api: str = "v1"
    services: dict[int, VirtualService] = field(default_factory=dict)
    interval: int = 9
    timeout: int = 4
    retries: int = 2
    has_sessions: bool = True
    has_api: bool = True
    shows_subs: bool = True
    checks: bool = True
    reach: Callable[[str, int], tuple[str, int] | None] = lambda address, port: (address, port)
    checking: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False, repr=False)

    def add(self, address: str, port: int, *, master: int = 0, **settings: str) -> VirtualService:
        """A new service, or a SubVS of one; a field's dot is written as two underscores: CheckUse1__1="Y"."""
        index = max(self.services, default=0) + 1
        place = len(self.subs(master)) + 1 if master else 0
        service = VirtualService(index, address, port, master=master, place=place)
        for name, value in settings.items():
            service.set(name.replace("__", "."), value)
        self.services[index] = service
        return service

    def add_server(self, service: VirtualService, address: str, port: int) -> RealServer:
        """A new real server of a service."""
        taken = [server.index for one in self.services.values() for server in one.servers]
        server = RealServer(max(taken, default=0) + 1, address, port)
        service.servers.append(server)
        return server

    def subs(self, index: int) -> list[VirtualService]:
        """The SubVSs of a service, in order."""
        return [one for one in self.services.values() if one.master == index and index]

    def find(self, vs: str, port: str = "", protocol: str = "") -> VirtualService:
        """By its index, or by address, port and protocol. Raises Refused."""
        for service in self.services.values():
            if vs == str(service.index) and not port:
                return service
            if (vs, port or "80", protocol or "tcp") == (service.address, str(service.port), service.protocol) and vs:
                return service
        raise Refused(422, "Unknown VS")

    def status(self, service: VirtualService) -> str:
        """What the interface calls the state of a service."""
        subs = self.subs(service.index)
        if not service.enabled:
            return "Disabled"
        if service.redirects and not service.servers and not subs:
            return "Redirect"
        if subs:
            return "Up" if any(self.status(one) in ("Up", "Unchecked") for one in subs) else "Down"
        if service.servers and all(not one.enabled for one in service.servers):
            return "Disabled"
        found = {self.server_status(service, one) for one in service.servers if one.enabled}
        if "Unchecked" in found or service.get("CheckType") == "none":
            return "Unchecked"
        return "Up" if "Up" in found else "Down"

    @staticmethod
    def server_status(service: VirtualService, server: RealServer) -> str:
        """What the interface calls the state of a real server."""
        if not server.enabled:
            return "Disabled"
        if service.get("CheckType") == "none":
            return "Unchecked"
        return "Up" if server.up else "Down"


def _is_code(word: str) -> bool:
    return word.isdecimal() and 300 <= int(word) <= 599  # noqa: PLR2004 - what CheckCodes takes [doc]
