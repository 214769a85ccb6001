"""Addresses of the web: what a URL may be here, where a Location leads, and how either is shown. Pure.

Narrower than the URL Standard on purpose: what browsers, resolvers and servers read differently is refused, not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import ClassVar, Self
from urllib.parse import quote, urljoin

from bot.api.texts import clip

Address = IPv4Address | IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = (
    2_048  # characters of one that is asked; IIS takes a path of 4,096 bytes and a query of 2,048 by default [doc]
)
_LARGEST_PORT = 65_535
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# ASCII labels. An international name is written as DNS has it: xn--….
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"(?i)[0-9]+|0x[0-9a-f]*")  # as a last label it makes a number of the whole [doc: URL Standard]
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::([0-9]{1,5}))?")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?")
_PRINTABLE = re.compile(r"[!-~]+")  # ASCII without blanks
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
# How an authority begins for one client or another: "http://", "//", and as browsers mend it "http:/", "https:", "http:\\\\".
_BEGINS = re.compile(r"\s*(?:(?:https?:|[A-Za-z][A-Za-z0-9+.-]*:(?=[/\\]))[/\\]*|[/\\]{2,})", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/\\?#]*")
_PLAIN_HOST = re.compile(r"(?:[\w.-]*|\[[0-9A-Fa-f:.]*\])(?::[0-9]{0,5})?")
_SESSION = re.compile(r"(;[^=/\\;]*=|;)[^/\\;]+")  # ";jsessionid=…" in a path
# "(S(…))": ASP.NET's, for want of a cookie [doc].
_COOKIELESS = re.compile(r"(\(|%28)[A-Z](?:\(|%28)[^/\\]*", re.IGNORECASE)
# "?", "#" or ";" that was encoded.
_ENCODED_QUERY = re.compile(r"(%(?:25){0,9}(?:3F|23|3B)).*", re.IGNORECASE | re.DOTALL)
_NAME_OF_VALUE = re.compile(r"[\w.$:%\[\]-]{1,40}", re.ASCII)


def read_address(text: str) -> Address | None:
    """The address that a text is; None where it is none, or is not in its one usual spelling.

    "127.1", "0x7f.0.0.1", "2130706433" and "::ffff:127.0.0.1" are all the loopback to some resolver, and no address here.
    """
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() and "%" not in text else None


def is_name(text: str) -> bool:
    """Whether it is a name that DNS may be asked for: never one that some resolver takes for a number."""
    name = text.removesuffix(".")
    return bool(_NAME.fullmatch(name)) and not _NUMBER.fullmatch(name.rpartition(".")[2])


def split_port(text: str) -> tuple[str, int]:
    """The host without brackets, and the port: 0 where none is written. Raises ValueError."""
    if text.count(":") > 1 and read_address(text) is not None:
        return text, 0
    found = _PLACE.fullmatch(text)
    port = int(found[3] or 0) if found else 0
    if found is None or port > _LARGEST_PORT or (found[3] and not port):
        raise ValueError(f"{clip(text, 80)} is no host, with or without a port")
    return found[1] or found[2], port


def with_port(host: str, port: int) -> str:
    """A host and its port as one text: IPv6 in brackets; without a port where it is 0."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{port}" if port else bracketed


def without_values(url: str) -> str:
    """A URL, or a part of one, without what may be somebody's secret.

    A query keeps its names and loses its values; a user name, a fragment and a session in the path go. What some client could
    read as a user name, however it is spelled, is one; rather too much goes than too little.
    """
    begins = _BEGINS.match(url)
    if begins is None:
        return _without_user(url)
    rest = url[begins.end() :]
    authority = _AUTHORITY.match(rest)
    host = authority[0] if authority else ""
    behind = rest[len(host) :]
    user, at, named = host.rpartition("@")
    if at and _PLAIN_HOST.fullmatch(named):
        return f"{begins[0]}…@{named}{_without_user(behind)}"
    if user or at or not _PLAIN_HOST.fullmatch(host):  # a password may go on behind "/", "?" or "#"
        _, at, named = rest.rpartition("@")
        end = _AUTHORITY.match(named)
        host = end[0] if end and at and _PLAIN_HOST.fullmatch(end[0]) else ""
        return f"{begins[0]}…{at}{host}{_without_user(named[len(host) :]) if host else ''}"
    if "." not in host and not host.startswith("[") and _has_user(behind):
        return f"{begins[0]}{_without_user(rest)}"
    return f"{begins[0]}{host}{_without_user(behind)}"


def _has_user(path: str) -> bool:
    """Whether an @ is in a path, other than as the first letter of a part: "/@jo" is nobody's password."""
    return any("@" in part[1:] for part in re.split(r"[/\\]", re.split("[?#]", path, maxsplit=1)[0]))


def _without_user(target: str) -> str:
    """Path, query and fragment without what may be secret."""
    plain, mark, _ = target.partition("#")
    path, asks, query = plain.partition("?")
    if _has_user(path):
        path = f"{'/' if path.startswith('/') else ''}…@{path.rpartition('@')[2]}"
    path = _ENCODED_QUERY.sub(r"\1…", _COOKIELESS.sub(r"\1…)", _SESSION.sub(r"\1…", path)))
    parts = "&".join(map(_without_value, query.split("&"))) if query else ""
    return path + asks + parts + (f"{mark}…" if mark else "")


def _without_value(part: str) -> str:
    """A name with "=…"; "…" for what is no name: base64 ends with "=" as well."""
    name, _, value = part.partition("=")
    return f"{name}=…" if value.strip("=") and _NAME_OF_VALUE.fullmatch(name) else "…"


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address that may be asked for.

    Attributes:
        scheme: "http" or "https".
        host: a name in lower case, without a dot at its end, or an address without brackets.
        port: the scheme's own where none is written.
        target: path and query, beginning with "/".
    """

    scheme: str
    host: str
    port: int
    target: str

    wants: ClassVar[str] = (
        "a web address such as http://www.corp.example/manual/, in ASCII (an international name as xn--…, other letters as %…),"
        " without a user name or password"
    )
    label: ClassVar[str] = "Web address"
    is_subject: ClassVar[bool] = True  # what a command is about, in place of a target

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read what somebody typed; http where no scheme is written, as browsers do. Raises ValueError without the text."""
        whole = word if "://" in word else f"http://{word}"
        found = _URL.fullmatch(whole) if len(whole) <= LONGEST_URL and _PRINTABLE.fullmatch(whole) else None
        if found is None or "\\" in whole:
            raise ValueError("it is no address of the web, or it is too long")
        scheme, target = found["scheme"].lower(), found["target"]
        if "@" in found["authority"]:
            raise ValueError("it has a user name")
        host, port = _host_of(found["authority"])
        if scheme not in DEFAULT_PORTS:
            raise ValueError("it is neither http nor https")
        return cls(scheme, host, port or DEFAULT_PORTS[scheme], target if target.startswith("/") else f"/{target}")

    @classmethod
    def hide(cls, word: str) -> str:
        """What an error may repeat of a word that could not be read: no user name, no value of a query."""
        return without_values(word if "://" in word else f"//{word}").removeprefix("" if "://" in word else "//")

    def join(self, location: str) -> Url:
        """Where a Location leads from here (RFC 9110, 10.2.2; RFC 3986, 5.2). Raises ValueError saying why nowhere.

        Letters beyond ASCII are percent-encoded, as browsers do [doc: URL Standard].
        """
        plain = quote(location.strip(" \t"), safe=_ASCII)
        if "%00" in plain or any(ord(one) < ord(" ") or one == "\x7f" for one in location):
            raise ValueError("it holds control characters")
        if "\\" in plain or " " in location.strip(" \t"):
            raise ValueError("it holds a backslash or a blank, which clients read differently")
        if not plain:
            raise ValueError("it is empty")
        try:
            return Url.parse(_absolute(urljoin(str(self), plain)))
        except ValueError as error:
            raise ValueError(str(error) if "://" in plain or ":" in plain else "it is no address of the web") from None

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's own: the Host header."""
        return with_port(self.host, 0 if self.port == DEFAULT_PORTS[self.scheme] else self.port)

    @property
    def path(self) -> str:
        """The path alone."""
        return self.target.partition("?")[0]

    @property
    def shown(self) -> str:
        """As people are shown it: without the values of its query."""
        return f"{self.scheme}://{self.authority}{_without_user(self.target)}"

    def __str__(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.authority}{self.target}"


def _host_of(authority: str) -> tuple[str, int]:
    """Host and port. Raises ValueError."""
    host, port = split_port(authority)
    in_brackets = isinstance(read_address(host), IPv6Address)
    if not (is_name(host) or read_address(host)) or in_brackets != authority.startswith("["):
        raise ValueError("its host is no name, and no address in its usual spelling")
    return host.lower().removesuffix("."), port


def _absolute(joined: str) -> str:
    if "://" not in joined:
        raise ValueError("it leads to something else than a web page")
    return joined
