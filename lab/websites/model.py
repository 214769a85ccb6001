"""What a web server of the practice world has: sites with bindings, HTTP Redirect, pages. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

ResponseStatus = Literal["Permanent", "Found", "Temporary", "PermRedirect"]
STATUSES: Mapping[str, int] = {"Permanent": 301, "Found": 302, "Temporary": 307, "PermRedirect": 308}  # [doc]
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding, written as IIS writes it: "https/10.1.0.71:443:www.corp.example", "http/*:80:".

    Attributes:
        address: "*" for all addresses of the server.
        host: the host header that it is for; "" for any.
        sni: whether its certificate is found by the name in the TLS hello (sslFlags 1) [doc].
        certificate: the names that its certificate is made for; () for its host.
    """

    protocol: Literal["http", "https"]
    address: str
    port: int
    host: str = ""
    sni: bool = False
    certificate: tuple[str, ...] = ()
    expired: bool = False

    @classmethod
    def read(cls, text: str, *, sni: bool = False) -> Self:
        """Read the notation of IIS. Raises ValueError."""
        protocol, _, rest = text.partition("/")
        address, port, host = rest.rsplit(":", 2) if rest.count(":") > 1 else ("", "", "")
        if protocol not in PORTS or not address or not port.isdecimal():
            raise ValueError(f"{text!r} is no binding of the form http/10.1.0.71:80:www.corp.example")
        return cls("https" if protocol == "https" else "http", address, int(port), host.lower(), sni=sni)

    def __str__(self) -> str:
        return f"{self.protocol}/{self.address}:{self.port}:{self.host}"


@dataclass(frozen=True, slots=True)
class HttpRedirect:
    """system.webServer/httpRedirect, its attributes and their defaults [doc].

    Attributes:
        destination: a URL, or a virtual path; "" redirects nothing.
        exact_destination: the destination alone, without the rest of the request's path.
        child_only: only what lies in the directory itself, not in its subdirectories.
    """

    destination: str = ""
    enabled: bool = True
    exact_destination: bool = False
    child_only: bool = False
    status: ResponseStatus = "Found"


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers when nothing redirects it.

    Attributes:
        methods: those that are taken; another one answers 405 and names them (RFC 9110, 15.5.6).
        headers: further ones.
    """

    status: int = 200
    methods: tuple[str, ...] = ("GET", "HEAD")
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Site:
    """A site.

    Attributes:
        redirects: path of a directory or application ("/", "/app/") -> its httpRedirect; what lies below inherits it,
            unless it has one of its own [doc: configuration is inherited].
        pages: path -> page; any other path answers 404.
        requires_https: a rule that sends whoever came over plain HTTP to https, at the same host and path: where a
            device ends TLS before the server, that is everybody.
        sets_cookie: whoever brings no cookie gets one, and is redirected to the same path.
        login_page: where forms authentication sends whoever has not logged in, with ReturnUrl [doc]; "" for none.
        anonymous: the paths that need no login.
        running: whether its application pool is started; http.sys answers 503 for a stopped one [doc].
    """

    name: str
    bindings: list[Binding]
    redirects: dict[str, HttpRedirect] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=lambda: {"/": Page()})
    requires_https: bool = False
    sets_cookie: bool = False
    login_page: str = ""
    anonymous: tuple[str, ...] = ()
    running: bool = True


@dataclass(slots=True)
class WebServer:
    """A machine with IIS.

    Attributes:
        address: its own, in the practice world: "10.1.0.71".
        version: of IIS: "7.5", "10.0".
        names: further DNS names that lead to it; those of its bindings do so anyway.
        silent: it takes connections and never answers.
    """

    name: str
    address: str
    sites: list[Site] = field(default_factory=list)
    version: str = "10.0"
    names: list[str] = field(default_factory=list)
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Front:
    """A device that ends TLS and hands each request on in plain HTTP, as a load balancer with TLS offload does.

    Attributes:
        address: its own; `names` lead there.
        to: address and port of the server behind it.
        plain: whether it also passes on what comes to port 80.
    """

    address: str
    names: tuple[str, ...]
    to: tuple[str, int]
    plain: bool = True
