"""Listeners on loopback for all web servers of a world.

A request belongs to the site whose binding has its address, port and host header, the one with the host before the one
without [doc: bindings]. Where none has, http.sys answers by itself, as Microsoft-HTTPAPI/2.0: 400, Invalid Hostname [seen].
TLS takes the certificate of the binding with that name (SNI), else that of the binding without; where there is neither, the
handshake fails. Windows resets the connection there [seen]; here an alert says unrecognized_name.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import quote

from lab.websites import redirect, requests
from lab.websites.model import PORTS, STATUSES, Binding, Front, Page, Site, WebServer
from lab.websites.requests import BadRequest, Request

Certificates = Callable[[tuple[str, ...], bool], ssl.SSLContext]  # names, expired
_LISTENS_AT = "127.0.94.{}"  # each server and each device has one of its own
_PATIENCE = 10.0  # seconds for a head
_REASONS = {200: "OK", 301: "Moved Permanently", 302: "Redirect", 307: "Temporary Redirect", 308: "Permanent Redirect"}
_REASONS |= {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who gives it, and its head."""

    status: int
    server: str
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""

    def head(self, length: int) -> bytes:
        """Its head, for a body of that length."""
        lines = [f"HTTP/1.1 {self.status} {self.reason or _REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Server: {self.server}", "Content-Type: text/html", f"Content-Length: {length}", "Connection: close"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(slots=True)
class Asked:
    """What a server was asked, for tests and the page: address, port, and the request line."""

    lines: list[str] = field(default_factory=list)


class WebServers:
    """All web servers and devices before them; an async context manager."""

    def __init__(
        self, servers: Sequence[WebServer], fronts: Sequence[Front] = (), certificates: Certificates | None = None
    ) -> None:
        """Take the model; `certificates` makes a TLS context for some names, where there is any https."""
        self._servers = servers
        self._fronts = fronts
        self._certificates = certificates
        self._listening: dict[tuple[str, int], asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked = Asked()

    def place(self, address: str, port: int) -> tuple[str, int] | None:
        """Where on loopback an address and port of the practice world are; None where nothing listens."""
        found = self._listening.get((address, port))
        return found.sockets[0].getsockname()[:2] if found and found.sockets else None

    def places(self) -> Iterator[tuple[str, int, str]]:
        """Name or address, port, and where that is on loopback: "10.1.0.71", 80, "127.0.94.1:43711"."""
        for (address, port), server in self._listening.items():
            host, at = server.sockets[0].getsockname()[:2]
            for name in (address, *self._names(address, port)):
                yield name, port, f"{host}:{at}"

    async def __aenter__(self) -> Self:
        """Listen."""
        number = 0
        for one in self._servers:
            number += 1
            for port in sorted({binding.port for site in one.sites for binding in site.bindings}):
                await self._listen(number, one.address, port, partial(self._serve, one, port), self._tls(one, port))
        for front in self._fronts:
            number += 1
            for scheme, port in PORTS.items():
                if scheme == "https" or front.plain:
                    tls = self._made(front.names, expired=False) if scheme == "https" else None
                    await self._listen(number, front.address, port, partial(self._pass_on, front), tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        for server in self._listening.values():
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._listening.values():
            await server.wait_closed()

    async def _listen(
        self,
        number: int,
        address: str,
        port: int,
        answer: Callable[[Request | BadRequest, str], Answer | None],
        tls: ssl.SSLContext | None,
    ) -> None:
        talk = partial(self._talk, address, port, answer)
        self._listening[address, port] = await asyncio.start_server(talk, _LISTENS_AT.format(number), 0, ssl=tls)

    async def _talk(
        self,
        address: str,
        port: int,
        answer: Callable[[Request | BadRequest, str], Answer | None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """One request a connection."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            asked = _read(head)
            first = head.partition(b"\r\n")[0].decode("latin-1")
            self.asked.lines.append(f"{address}:{port} {first}")
            told = answer(asked, "https" if writer.get_extra_info("ssl_object") else "http")
            if told is None:
                await reader.read()  # silent until the client goes
                return
            body = f"<html><h1>{told.status}</h1></html>".encode()
            has_body = not (isinstance(asked, Request) and asked.method == "HEAD")
            writer.write(told.head(len(body)) + (body if has_body else b""))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone, or never asks
        finally:
            writer.close()

    def _serve(self, server: WebServer, port: int, asked: Request | BadRequest, scheme: str) -> Answer | None:
        """What a server answers at one of its ports."""
        if server.silent:
            return None
        if isinstance(asked, BadRequest):
            return _kernel(400, str(asked))
        site = _site(server, port, asked.host)
        if site is None:
            return _kernel(400, "Invalid Hostname")
        if not site.running:
            return _kernel(503)
        return _answer(server, site, asked, scheme)

    def _pass_on(self, front: Front, asked: Request | BadRequest, _scheme: str) -> Answer | None:
        """What the server behind a device answers: it is asked in plain HTTP, whatever the client came over."""
        address, port = front.to
        behind = next(one for one in self._servers if one.address == address)
        return self._serve(behind, port, asked, "http")

    def _tls(self, server: WebServer, port: int) -> ssl.SSLContext | None:
        """The TLS of a port: a certificate for each name (SNI), and the one for who sends none."""
        bindings = [
            one for site in server.sites for one in site.bindings if one.port == port and one.protocol == "https"
        ]
        if not bindings:
            return None
        by_name = {one.host: self._of(one, server) for one in bindings if one.host and one.sni}
        plain = [self._of(one, server) for one in bindings if not one.sni]
        listening = plain[0] if plain else self._made(("unused.invalid",), expired=False)

        def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            found = by_name.get((name or "").lower())
            if found is not None:
                connection.context = found
            elif not plain:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            return None

        listening.sni_callback = choose
        return listening

    def _of(self, binding: Binding, server: WebServer) -> ssl.SSLContext:
        return self._made(binding.certificate or (binding.host or server.address,), expired=binding.expired)

    def _made(self, names: tuple[str, ...], *, expired: bool) -> ssl.SSLContext:
        if self._certificates is None:
            raise ValueError("there is https, and nobody makes certificates")
        return self._certificates(names, expired)

    def _names(self, address: str, port: int) -> list[str]:
        """The DNS names that lead to an address."""
        fronts = [name for front in self._fronts if front.address == address for name in front.names]
        behind = {name for front in self._fronts for name in front.names}  # they lead to the device
        own = [one for one in self._servers if one.address == address]
        bound = [
            one.host
            for server in own
            for site in server.sites
            for one in site.bindings
            if one.host and one.port == port
        ]
        further = [name for server in own for name in server.names]
        return list(dict.fromkeys((*fronts, *(name for name in (*bound, *further) if name not in behind))))


def _read(head: bytes) -> Request | BadRequest:
    try:
        return requests.read(head)
    except BadRequest as bad:
        return bad


def _site(server: WebServer, port: int, host: str) -> Site | None:
    """The site that a request belongs to: its name, else any name."""
    for wanted in (host, "") if host else ("",):
        for site in server.sites:
            if any(_is_bound(one, server, port) and one.host == wanted for one in site.bindings):
                return site
    return None


def _is_bound(binding: Binding, server: WebServer, port: int) -> bool:
    return binding.port == port and binding.address in ("*", server.address)


def _answer(server: WebServer, site: Site, asked: Request, scheme: str) -> Answer:
    """What a site answers: its https rule, its redirects, then its pages."""
    name = f"Microsoft-IIS/{server.version}"
    cookie = (("Set-Cookie", "ASP.NET_SessionId=made-up; path=/; HttpOnly"),) if site.sets_cookie else ()
    host = asked.authority or server.address
    if site.sets_cookie and not asked.has_cookie:
        return Answer(302, name, (("Location", asked.path), *cookie))
    if site.requires_https and scheme == "http":
        to = f"https://{host.partition(':')[0]}{asked.path}" + (f"?{asked.query}" if asked.query else "")
        return Answer(301, name, (("Location", to), *cookie))
    found = redirect.effective(site.redirects, asked.path)
    to_other = redirect.location(found, scheme, host, asked.path, asked.query)
    if found is not None and to_other is not None:
        return Answer(STATUSES[found[1].status], name, (("Location", to_other), *cookie))
    if site.login_page and asked.path not in site.anonymous:
        back = quote(asked.path + (f"?{asked.query}" if asked.query else ""), safe="")
        return Answer(302, name, (("Location", f"{site.login_page}?ReturnUrl={back}"), *cookie))
    page = site.pages.get(asked.path)
    if page is None:
        return Answer(404, name, cookie)
    return _page(page, name, asked, cookie)


def _page(page: Page, name: str, asked: Request, cookie: tuple[tuple[str, str], ...]) -> Answer:
    if asked.method not in page.methods:
        return Answer(405, name, (("Allow", ", ".join(page.methods)), *cookie))
    return Answer(page.status, name, (*page.headers, *cookie))


def _kernel(status: int, reason: str = "") -> Answer:
    """What http.sys answers by itself."""
    why = f"{_REASONS[status]} - {reason}" if reason else ""
    return Answer(status, "Microsoft-HTTPAPI/2.0", reason=why)
