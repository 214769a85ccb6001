"""The interface: version 1 below /access/, by GET or POST with basic authentication, and version 2 at /accessv2 by POST.

Version 1 takes its parameters in the query or in a form, and changes come by GET as well as reads do [doc, src]. Version 2
takes one JSON object with cmd, and apikey or apiuser and apipass; the key goes first where both are there [doc]. It needs session
management [doc]; what it answers without is not documented, and is 401 here. With the interface switched off every path is
404 [src: the vendor's Python client].
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from lab.loadmaster import checks, replies
from lab.loadmaster.model import Appliance, RealServer, Refused, VirtualService
from lab.world.accounts import Account

Values = Mapping[str, str]
_CHANGES = {"addvs", "modvs", "delvs", "addrs", "modrs", "delrs", "enablers", "disablers", "set", "modhealth"}
_GLOBAL = {"RetryInterval": "interval", "Timeout": "timeout", "RetryCount": "retries"}


class FakeLoadMaster:
    """The practice load balancer, on loopback; an async context manager in the loop that the world lives in.

    Args:
        appliance: what it is set to.
        now: the world's time.
        operators: the accounts that may change virtual services.
        viewers: the accounts that may only look.
        api_keys: key -> the account that it stands for; version 2 only.
        asked: hears of every command, as "modvs vs=1 CheckHost=www"; never of logins.
        address: in 127.0.0.0/8.
        port: 0 picks a free one.
        tls: as the real one, which knows nothing else; None speaks in clear.
    """

    def __init__(
        self,
        appliance: Appliance,
        now: Callable[[], datetime],
        operators: tuple[Account, ...],
        viewers: tuple[Account, ...] = (),
        *,
        api_keys: Mapping[str, Account] | None = None,
        asked: Callable[[str], None] = lambda _: None,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.appliance = appliance
        self.requests: list[str] = []  # every command that was let in, with its verb: "GET listvs"
        self._now = now
        self._operators, self._viewers = operators, viewers
        self._keys = dict(api_keys or {})
        self._asked = asked
        self._address, self._port, self._tls = address, port, tls
        application = web.Application()
        application.router.add_route("*", "/access/{command}", self._version_1)
        application.router.add_post("/accessv2", self._version_2)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"{'https' if self._tls else 'http'}://{self._address}:{self._port}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _version_1(self, request: web.Request) -> web.Response:
        command = request.match_info["command"]
        if not self.appliance.has_api:
            return web.Response(status=404, text="<html><title>404 Not Found</title></html>", content_type="text/html")
        account = self._by_password(*_basic(request.headers.get("Authorization", "")))
        if account is None:
            reply = replies.error_as_xml(401, "Unauthorized")
            reply.headers["WWW-Authenticate"] = 'Basic realm="LoadMaster"'
            return reply
        values = {name: str(value) for name, value in (*request.query.items(), *(await request.post()).items())}
        try:
            return replies.as_xml(await self._do(request.method, command, values, account))
        except Refused as why:
            return replies.error_as_xml(why.code, str(why))

    async def _version_2(self, request: web.Request) -> web.Response:
        if not self.appliance.has_api:
            return web.Response(status=404, text="<html><title>404 Not Found</title></html>", content_type="text/html")
        try:
            told = json.loads(await request.text())
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("cmd"), str):
            return replies.error_as_json(400, "Invalid JSON")
        account = self._keys.get(str(told.get("apikey", "")))
        if "apikey" not in told:
            account = self._by_password(str(told.get("apiuser", "")), str(told.get("apipass", "")))
        if account is None or not self.appliance.has_sessions:
            return replies.error_as_json(401, "Unauthorized")
        logins = ("cmd", "apikey", "apiuser", "apipass")
        values = {name: _text(value) for name, value in told.items() if name not in logins}
        try:
            return replies.as_json(await self._do("POST", told["cmd"], values, account))
        except Refused as why:
            return replies.error_as_json(why.code, str(why))

    def _by_password(self, user: str, password: str) -> Account | None:
        accounts = (*self._operators, *self._viewers)
        return next((one for one in accounts if (one.user, one.password) == (user, password)), None)

    async def _do(self, verb: str, command: str, values: Values, account: Account) -> dict[str, Any]:
        """Carry a command out, on what the checks have found by now. Raises Refused."""
        self.requests.append(f"{verb} {command}")
        await checks.settle(self.appliance, self._now())
        if command in _CHANGES:
            if account not in self._operators:
                raise Refused(403, "User does not have permission")
            self._asked(" ".join((command, *(f"{name}={value}" for name, value in values.items()))))
        work = getattr(self, f"_{command}", None) if command.isalpha() and command.islower() else None
        if work is None:
            raise Refused(404, "Unknown command")
        found: dict[str, Any] = work({name.casefold(): value for name, value in values.items()})
        return found

    def _listvs(self, _: Values) -> dict[str, Any]:
        return {"VS": [dict(replies.service_tree(self.appliance, one)) for one in self.appliance.services.values()]}

    def _showvs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        if service.master and not self.appliance.shows_subs:
            raise Refused(422, "Unknown VS")
        return dict(replies.service_tree(self.appliance, service))

    def _addvs(self, values: Values) -> dict[str, Any]:
        service = self.appliance.add(values.get("vs", ""), int(values.get("port", "80")))
        return self._changed(service, values)

    def _modvs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        if "createsubvs" in values:
            self.appliance.add("", 0, master=service.index)
        return self._changed(service, values)

    def _delvs(self, values: Values) -> dict[str, Any]:
        del self.appliance.services[self._found(values).index]
        return {}

    def _changed(self, service: VirtualService, values: Values) -> dict[str, Any]:
        for name, value in values.items():
            service.set(name, value)
        if "enable" in values:
            service.enabled = values["enable"].casefold() in ("1", "y", "true")
        return dict(replies.service_tree(self.appliance, service))

    def _showrs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        return {"Rs": [dict(replies.server_tree(self.appliance, service, self._server(service, values)))]}

    def _addrs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        self.appliance.add_server(service, values.get("rs", ""), int(values.get("rsport", "80")))
        service.checked = None
        return {}

    def _modrs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        if not values.get("rs", "").startswith("!"):  # a SubVS, which has nothing to change here
            server = self._server(service, values)
            server.enabled = values.get("enable", "y").casefold() in ("1", "y", "true")
        return {}

    def _delrs(self, values: Values) -> dict[str, Any]:
        service = self._found(values)
        service.servers.remove(self._server(service, values))
        return {}

    def _get(self, values: Values) -> dict[str, Any]:
        if values.get("param", "").casefold() != "version":
            raise Refused(422, "Unknown parameter")
        return {"version": self.appliance.version}

    def _showhealth(self, _: Values) -> dict[str, Any]:
        return {name: str(getattr(self.appliance, own)) for name, own in _GLOBAL.items()}

    def _modhealth(self, values: Values) -> dict[str, Any]:
        for name, own in _GLOBAL.items():
            if name.casefold() in values:
                setattr(self.appliance, own, int(values[name.casefold()]))
        return self._showhealth(values)

    def _found(self, values: Values) -> VirtualService:
        return self.appliance.find(values.get("vs", ""), values.get("port", ""), values.get("prot", ""))

    def _server(self, service: VirtualService, values: Values) -> RealServer:
        wanted, port = values.get("rs", ""), values.get("rsport", "")
        for server in service.servers:
            if wanted == f"!{server.index}" or (wanted, port) == (server.address, str(server.port)):
                return server
        raise Refused(422, "Unknown RS")


def _basic(header: str) -> tuple[str, str]:
    """User and password of a header; empty where it is none."""
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def _text(value: Any) -> str:
    return ("Y" if value else "N") if isinstance(value, bool) else str(value)
