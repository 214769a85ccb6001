"""CommVault's web service over httpx: the only place that imports it.

Login takes the password in base64 and answers a token, which goes into the header Authtoken of everything else; a dead one
answers 401 and can be renewed once [src: cvpysdk]. The token stays in this object: it is in no reply that is handed on, in no
error and in no log. A login that was refused is not tried again for a while, since the product locks accounts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.api.actions import RunProgram
from bot.api.queries import Fields, RunReader
from bot.api.rows import Rows
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.web import ACCESS_DENIED, CALLS, JobRefused, WebCall

_LONGEST = 16 * 2**20  # bytes of a reply; ten thousand active jobs take about eight million
_DEVICE = "hvops"  # a name of ours for this client
_CLIENT_TYPE, _MODE = 30, 4  # what the vendor's own client sends [src]
_PAUSE = 300.0  # seconds after a refused login
_LOGIN = "Check username and password below [credentials.commvault] in the settings."


@dataclass(frozen=True, slots=True)
class WebService:
    """Where it is, and who we are there.

    Attributes:
        url: "https://backup.corp.example/webconsole/api".
        ca_file: the authority that signed its certificate; None for the system's own.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    text: str


class BackupProduct:
    """The way to the estate's backup product."""

    def __init__(self, service: WebService | None, calls: Mapping[str, WebCall] = CALLS) -> None:
        """Take the service; None where the estate names none."""
        self._service = service
        self._calls = calls
        self._token = ""
        self._one_login = asyncio.Lock()
        self._refused: AuthenticationFailed | None = None
        self._refused_at = 0.0

    async def answer(self, question: RunReader, seconds: float) -> tuple[Rows, str]:
        """The rows of a question, and the reply as it came. Raises TargetError."""
        return await self._call(question.on, question.what, question.params, seconds, marked="reads")

    async def change(self, action: RunProgram, seconds: float) -> tuple[Rows, str]:
        """Act, once. Raises TargetError; `TimedOut` does not mean that nothing happened."""
        return await self._call(action.on, action.what, action.params, seconds, marked="changes")

    async def _call(self, on: str, what: str, params: Fields, seconds: float, *, marked: str) -> tuple[Rows, str]:
        call, service = self._calls[what], self._service
        if call.marked != marked:
            raise PolicyViolation(
                on, f"{what!r} {call.marked}, so no {'question' if marked == 'reads' else 'action'} may be it."
            )
        if service is None:
            raise NotFound(on, "no backup product is in the estate.", "Add a table [commvault] to the estate.")
        try:
            address = call.address(params)
        except ValueError as error:
            raise PolicyViolation(on, f"{error}.") from None
        _check_login(on, service)
        try:
            async with asyncio.timeout(seconds), _client(service, seconds) as client:
                reply = await self._with_token(on, service, client, call.verb, address)
        except TimeoutError:
            raise TargetTimeout(on, f"no answer in {seconds:.0f} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError) as error:
            raise from_exception(on, error, seconds) from None
        return self._read(on, call, reply)

    async def _with_token(
        self, on: str, service: WebService, client: httpx.AsyncClient, verb: str, address: str
    ) -> _Reply:
        """Send it; where the token is dead, renew it and send it again: a 401 has not been carried out."""
        token = self._token or await self._log_in(on, service, client, "")
        reply = await _send(client, verb, address, token)
        if reply.status == httpx.codes.UNAUTHORIZED:
            reply = await _send(client, verb, address, await self._log_in(on, service, client, token))
        return reply

    async def _log_in(self, on: str, service: WebService, client: httpx.AsyncClient, dead: str) -> str:
        """A token that lives: by renewing the dead one, else by password. Of many callers, one goes."""
        async with self._one_login:
            if self._token != dead:
                return self._token
            self._token = ""
            if dead:
                self._token = await _renew(client, dead)
            self._token = self._token or await self._by_password(on, service, client)
            return self._token

    async def _by_password(self, on: str, service: WebService, client: httpx.AsyncClient) -> str:
        if self._refused is not None and time.monotonic() - self._refused_at < _PAUSE:
            raise AuthenticationFailed(on, self._refused.message, self._refused.hint)
        password = base64.b64encode(service.password.encode()).decode()
        told = {
            "mode": _MODE,
            "username": service.username,
            "password": password,
            "deviceId": _DEVICE,
            "clientType": _CLIENT_TYPE,
        }
        reply = await _send(client, "POST", "Login", "", told)
        token = _token_of(reply)
        if token:
            self._refused = None
            return token
        if reply.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise TargetFault(on, f"it answered the login with status {reply.status}.", code=reply.status)
        self._refused, self._refused_at = _no_login(on, reply), time.monotonic()
        raise self._refused

    def _read(self, on: str, call: WebCall, reply: _Reply) -> tuple[Rows, str]:
        """Rows out of a reply. Raises TargetError."""
        told = _json(reply)
        if reply.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise AuthenticationFailed(on, "the account may not do this there.", _LOGIN)
        if reply.status == httpx.codes.TOO_MANY_REQUESTS:
            raise QuotaExceeded(on, "it is too busy.")
        if told is None:
            raise MalformedResponse(on, f"it answered {call.what!r} with status {reply.status} and no JSON.")
        text = reply.text.replace(self._token, "…") if self._token else reply.text
        try:
            rows = call.parse(told)
        except JobRefused as declined:
            if declined.code == ACCESS_DENIED:
                raise AuthenticationFailed(on, f"the account may not do this there: {declined}", _LOGIN) from None
            raise TargetFault(on, f"it says: {declined} ({declined.code})", code=declined.code) from None
        except BadOutput as error:
            raise MalformedResponse(on, f"{error}.") from None
        if reply.status >= httpx.codes.MULTIPLE_CHOICES:
            raise TargetFault(on, f"it answered with status {reply.status}.", code=reply.status)
        return rows, text


def is_web(what: str) -> bool:
    """Whether a row of the catalogue is a call of the web service."""
    return what in CALLS


def from_exception(on: str, error: BaseException, seconds: float = 0) -> TargetError:
    """Whatever httpx raised, as an error of ours."""
    if isinstance(error, httpx.TimeoutException):
        return TargetTimeout(on, f"no answer in {seconds:.0f} s.")
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return PolicyViolation(on, "its address in the estate is none.", 'Write url = "https://…" below [commvault].')
    if isinstance(error, httpx.NetworkError | httpx.ProxyError):
        certificate = "CERTIFICATE" in str(error).upper() or isinstance(error.__cause__, ssl.SSLError)
        do = (
            "Set ca_file below [credentials.commvault] to the authority that signed its certificate."
            if certificate
            else ""
        )
        says = "its certificate cannot be verified." if certificate else "there is no connection to it."
        return ConnectionFailed(on, says, do or "Check its address, and that no firewall is between.")
    if isinstance(error, OSError):
        return ConnectionFailed(on, f"no connection can be made: {error.strerror or type(error).__name__}.")
    return MalformedResponse(on, f"its reply is no honest one ({type(error).__name__}).")


def _client(service: WebService, seconds: float) -> httpx.AsyncClient:
    """A client for one call: no proxies, no redirects, nothing from the environment."""
    url = service.url.rstrip("/") + "/"
    verify: ssl.SSLContext | bool = True
    if urlsplit(url).scheme == "https":
        verify = ssl.create_default_context(cafile=str(service.ca_file) if service.ca_file else None)
    return httpx.AsyncClient(
        base_url=url,
        verify=verify,
        timeout=seconds,
        trust_env=False,
        follow_redirects=False,
        headers={"Accept": "application/json"},
    )


async def _send(
    client: httpx.AsyncClient, verb: str, address: str, token: str, told: Mapping[str, Any] | None = None
) -> _Reply:
    """One request. Raises httpx's errors."""
    headers = {"Authtoken": token} if token else {}
    body = bytearray()
    async with client.stream(verb, address, headers=headers, json=told) as response:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _LONGEST:
                raise httpx.DecodingError("the reply is longer than any honest one")
    return _Reply(response.status_code, body.decode("utf-8", "replace"))


async def _renew(client: httpx.AsyncClient, dead: str) -> str:
    """A new token for an old one; "" where it cannot be renewed."""
    return _token_of(await _send(client, "POST", "RenewLoginToken", dead, {"sessionId": dead, "deviceId": _DEVICE}))


def _token_of(reply: _Reply) -> str:
    told = _json(reply)
    token = told.get("token") if isinstance(told, dict) and reply.status == httpx.codes.OK else None
    return token if isinstance(token, str) else ""


def _no_login(on: str, reply: _Reply) -> AuthenticationFailed:
    """Why there is no token, in the product's own words."""
    told = _json(reply)
    told = told if isinstance(told, dict) else {}
    errors = told.get("errList")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    says = str(first.get("errLogMessage") or told.get("errorMessage") or f"status {reply.status}")[:300]
    seconds = told.get("remainingLockTime")
    locked = f" The account is locked for {seconds} s more." if told.get("isAccountLocked") and seconds else ""
    return AuthenticationFailed(on, f"it does not take the login: {says.rstrip('.')}.{locked}", _LOGIN)


def _json(reply: _Reply) -> Any:
    """The JSON of a reply; None where it is none."""
    try:
        return json.loads(reply.text)
    except (ValueError, RecursionError):
        return None


def _check_login(on: str, service: WebService) -> None:
    """A password goes out over TLS only, or to this very machine. Raises OutOfBounds."""
    if not (service.username and service.password):
        raise PolicyViolation(on, "no login is set for it ([credentials.commvault]).")
    parts = urlsplit(service.url)
    if parts.scheme != "https" and not _is_here(parts.hostname or ""):
        raise PolicyViolation(on, "a password is never sent without TLS.", "Write an https address below [commvault].")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
