"""One machine's listening sockets and what goes over them: HTTP around the SOAP service.

HTTP itself is aiohttp's. Here are the troubles that happen below SOAP, the login, and message encryption.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import struct
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from lab.windows import encryption, identify
from lab.windows.authentication import Connection, Outcome
from lab.windows.listener import Listener
from lab.windows.machine_protocol import Machine, Page
from lab.windows.service import Service

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
_SERVER = "Microsoft-HTTPAPI/2.0"
_IDLE = 120.0  # seconds after which HTTP.sys closes a silent connection [src]
_ROUNDS_TO_SETTLE = 3  # of the loop: asyncio accepts and closes in steps, one per round
_ANONYMOUS_PATH = "/wsman-anon/identify"
_PAGE = "<html><head><title>Gateway</title></head><body><h1>Please sign in to the network</h1></body></html>"


class Host:
    """A machine on the network: HTTP, and HTTPS where it has a certificate."""

    def __init__(self, address: str, machine: Machine, port: int, tls_port: int, tls: ssl.SSLContext | None) -> None:
        self.machine = machine
        self.service = Service(machine)
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._connections: WeakKeyDictionary[asyncio.BaseTransport, Connection] = WeakKeyDictionary()
        self._http = web.Server(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_IDLE,
        )
        self._listeners.append(Listener(address, port, self._http, None))
        if tls is not None:
            self._listeners.append(Listener(address, tls_port, self._http, tls))

    def open(self) -> None:
        """Listen, unless the machine's trouble is to refuse, or that nobody reaches it.

        Raises:
            OSError: a port is taken.
        """
        self.machine.trouble.watch = self._refusal_changed
        self._apply_refusal()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self.machine.trouble.watch = None
        for listener in self._listeners:
            listener.shut()
        await _let_sockets_settle()  # whoever was just taken from the backlog becomes a connection
        self._abort_connections()
        await self._http.shutdown(timeout=0.1)
        await _let_sockets_settle()
        self.service.shells.close_all()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._http.connections)

    def _refusal_changed(self) -> None:
        """Close or open the port as the trouble now says; called in whatever thread changed it."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._apply_refusal()
        elif self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._apply_refusal_later(), self._loop).result(timeout=10)

    async def _apply_refusal_later(self) -> None:
        self._apply_refusal()

    def _apply_refusal(self) -> None:
        trouble = self.machine.trouble
        for listener in self._listeners:
            if trouble.dark:
                listener.darken()
            elif trouble.refuse:
                listener.shut()
            else:
                listener.open()
        if trouble.refuse or trouble.dark:
            self._abort_connections()

    def _abort_connections(self) -> None:
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def _make_request(self, *args: Any) -> web.BaseRequest:
        """As aiohttp makes one of its five arguments, but with room for the largest envelope, sealed."""
        room = self.machine.quotas.max_envelope_kb * 1_024 + 16_384
        make = partial(web.BaseRequest, loop=self._loop, client_max_size=room)
        return make(*args)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return _empty(400)
        connection = self._connections.get(transport)
        if connection is None:
            connection = self._connections[transport] = Connection(self.machine, _thumbprint(transport))
        try:
            data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _empty(413)
        trouble = self.machine.trouble
        if trouble.hang:
            await asyncio.Event().wait()
        if trouble.reset:
            _reset(transport)
            return _empty(500)
        if trouble.latency:
            await asyncio.sleep(trouble.latency)
        if trouble.html:
            return web.Response(text=_PAGE, content_type="text/html")
        if trouble.page is not None:
            return _page(trouble.page)
        answered = await self._receive(request, connection, data)
        owed, trouble.owed = trouble.owed, 0.0
        if owed:
            await asyncio.sleep(owed)
        return answered

    async def _receive(self, request: web.BaseRequest, connection: Connection, data: bytes) -> web.Response:
        path = request.path.lower().rstrip("/")
        if path == _ANONYMOUS_PATH:
            return web.Response(text=identify.answer(None), headers={"Content-Type": SOAP_TYPE, "Server": _SERVER})
        if path != "/wsman":
            return _empty(404)
        if request.method != "POST":
            return _empty(405)
        if self.connections > self.machine.quotas.max_connections:
            return _empty(503)
        outcome = connection.authenticate(request.headers.get("Authorization", ""))
        if not outcome.accepted:
            return _unauthorised(connection, outcome)
        response = await self._answer(request, connection, outcome.user, data)
        if outcome.challenge:
            response.headers["WWW-Authenticate"] = outcome.challenge
        return response

    async def _answer(
        self, request: web.BaseRequest, connection: Connection, user: str | None, data: bytes
    ) -> web.Response:
        if not data:
            return _empty(200)  # the last leg of a handshake may come without a message
        try:
            protocol = encryption.protocol_of(request.headers.get("Content-Type", ""))
            if protocol is not None:
                if connection.context is None:
                    return _empty(400)
                data = encryption.unseal(connection.context, data)
        except encryption.Garbled:
            return _empty(400)
        if protocol is None and not request.secure and not self.machine.access.allow_unencrypted:
            return _empty(500)  # an unencrypted message is refused without a word [src]
        host = request.host.rpartition(":")[0] or request.host
        status, text = await self.service.answer(data, user, host, f"{request.scheme}://{request.host}/wsman")
        if self.machine.trouble.cut:
            text = text[: len(text) // 2]
        body, content_type = text.encode("utf-8"), SOAP_TYPE
        if protocol is not None and connection.context is not None:
            content_type, body = encryption.seal(connection.context, protocol, body)
        return web.Response(status=status, body=body, headers={"Content-Type": content_type, "Server": _SERVER})


async def _let_sockets_settle() -> None:
    for _round in range(_ROUNDS_TO_SETTLE):
        await asyncio.sleep(0)


def _page(page: Page) -> web.Response:
    """As HTTP.sys answers by itself: an HTML page in us-ascii, and the connection ends [doc: KB820729]."""
    headers = {"Server": _SERVER, "Content-Type": "text/html; charset=us-ascii", "Connection": "close"}
    return web.Response(status=page.status, body=page.body.encode("ascii", "xmlcharrefreplace"), headers=headers)


def _empty(status: int) -> web.Response:
    return web.Response(status=status, headers={"Server": _SERVER})


def _unauthorised(connection: Connection, outcome: Outcome) -> web.Response:
    response = _empty(401)
    for value in [outcome.challenge] if outcome.challenge else connection.offers():
        response.headers.add("WWW-Authenticate", value)
    return response


def _thumbprint(transport: asyncio.Transport) -> str:
    channel = transport.get_extra_info("ssl_object")
    certificate = channel.getpeercert(binary_form=True) if channel is not None else None
    if not certificate:
        return ""
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()


def _reset(transport: asyncio.Transport) -> None:
    """End the connection with RST instead of FIN."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
