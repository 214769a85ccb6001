"""One bounded HTTP client: no proxies, no redirects, nothing from the environment, replies of a limited size.

httpx is spoken here only; its exceptions become the error tree here, once. What a product's replies mean stands in a file
of its own beside this one.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.errors import ConnectionFailed, MalformedResponse, PolicyViolation, TargetError, TargetTimeout
from bot.private_files import check_regular
from bot.transport import bounds
from bot.transport.connection_reasons import chain, why_no_name, why_no_tls, why_no_trust
from bot.transport.heads import OddHead
from bot.transport.http import h11_patterns
from bot.transport.http.metered import Meter, Metered
from bot.transport.http.tls import MostlyWrapping

MAX_REPLY_BYTES = 2 * 2**20  # a page of a thousand jobs takes less than one; as text each may take four
UNAUTHORIZED = 401
FORBIDDEN = 403
TOO_MANY_REQUESTS = 429
MULTIPLE_CHOICES = 300
REQUEST_TIMEOUT = 408
SERVER_ERROR = 500
OK = 200
# All that httpx raises, and what the operating system raises through it.
ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError)


def is_refused(status: int) -> bool:
    """Whether a status says that a request is not carried out: a redirect, or a fault of the request [doc: RFC 9110, 15.5]."""
    return status >= MULTIPLE_CHOICES and not is_outcome_unknown(status)


def is_outcome_unknown(status: int) -> bool:
    """Whether a status says that something went wrong on the way or there, so that nobody knows what was done [doc: as above]."""
    return status >= SERVER_ERROR or status == REQUEST_TIMEOUT


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its status, and its body as text."""

    status: int
    text: str
    body: bytes = b""

    def json(self) -> Any:
        """Parse the body; None where it is no JSON. Raises httpx.DecodingError where it holds too much."""
        try:
            return bounds.parse_json(self.text)
        except bounds.TooMuch:
            raise httpx.DecodingError("the reply exceeds the size limit") from None
        except (ValueError, RecursionError):
            return None


def without_long_handshakes(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, whose handshakes take no time: they are made on the event loop.

    For Diffie-Hellman without elliptic curves the server names the numbers: of 10,000 bits, as many as OpenSSL takes, a
    handshake takes more than a second. What speaks TLS 1.2 has the other kind, too.
    """
    kept = [one["name"] for one in context.get_ciphers() if one["kea"] != "kx-dhe" and one["protocol"] != "TLSv1.3"]
    context.set_ciphers(":".join(kept))
    return context


class Client(httpx.AsyncClient):
    """A client for one call: its connections are metered, and of the long replies of a service it holds one at a time.

    A reply of megabytes takes many times that until it is read; whoever closes the client has read it.
    """

    def __init__(self, *, verify: ssl.SSLContext, one_long: asyncio.Semaphore | None = None, **named: Any) -> None:
        """Take what httpx takes, and what all calls of the service share."""
        h11_patterns.make_linear()
        transport = httpx.AsyncHTTPTransport(verify=verify, trust_env=False)
        self.meter = Meter()
        self._one_long = one_long or asyncio.Semaphore()
        self._length, self._is_long = 0, False
        pool = transport._pool  # noqa: SLF001 - httpx hands no way to connect on to httpcore
        pool._network_backend = Metered(pool._network_backend, self.meter)  # noqa: SLF001
        super().__init__(transport=transport, trust_env=False, follow_redirects=False, **named)

    async def taken(self, count: int) -> None:
        """So many bytes of a reply came. Waits where the replies of this call are long by now, and another one's are."""
        self.meter.taken(count)
        self._length += count
        if self._length > bounds.LONG and not self._is_long:
            await self._one_long.acquire()
            self._is_long = True

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        where: TracebackType | None = None,
    ) -> None:
        """As httpx does; and the next long reply may come."""
        try:
            await super().__aexit__(kind, raised, where)
        finally:
            if self._is_long:
                self._is_long = False
                self._one_long.release()


def open_client(url: str, ca_file: Path | None, seconds: float, one_long: asyncio.Semaphore | None = None) -> Client:
    """Open a client for one call.

    Args:
        url: below which every address of a call lies.
        ca_file: the authority that signed the certificate; None for the system's own.
        seconds: how long each part of the call may take.
        one_long: what all calls of the service share: who has it may go on with a long reply.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    url = url.rstrip("/") + "/"
    trusted = ca_file if urlsplit(url).scheme == "https" else None
    verify = _trust(trusted, trusted.stat().st_mtime_ns if trusted else 0)
    return Client(verify=verify, one_long=one_long, base_url=url, timeout=seconds, headers=headers)


@functools.lru_cache(maxsize=64)
def _trust(ca_file: Path | None, _written: int) -> ssl.SSLContext:
    """One context for all calls, until the file is written anew: reading the authorities takes 25 ms, on the event loop."""
    check_regular(*([ca_file] if ca_file else []))  # OpenSSL would wait for the writer of a pipe
    return without_long_handshakes(ssl.create_default_context(cafile=str(ca_file) if ca_file else None))


async def send(
    client: Client,
    verb: str,
    address: str,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    *,
    form: Mapping[str, str] | None = None,
    most: int = 0,
    look: Callable[[], None] | None = None,
) -> Reply:
    """Send one request, its body as JSON or as a form. Raises httpx's errors; `from_exception` translates them.

    `most` is how many bytes the reply may have, where that is not MAX_REPLY_BYTES.
    `look` is called once the connection stands, before anything goes out, and raises where nothing may any more.
    """
    received = bytearray()
    client.meter.asked()
    more: dict[str, Any] = {"trace": _before_sending(look)} if look else {}
    async with client.stream(
        verb, address, headers=dict(headers or {}), json=body, data=form, extensions=more
    ) as response:
        if bounds.is_encoded(response.headers):
            raise httpx.DecodingError("the reply is compressed, which hvops did not ask for")
        async for chunk in response.aiter_raw():
            received += chunk
            await client.taken(len(chunk))
            if len(received) > (most or MAX_REPLY_BYTES):
                raise httpx.DecodingError("the reply exceeds the size limit")
    return Reply(response.status_code, received.decode("utf-8", "replace"), bytes(received))


def _before_sending(look: Callable[[], None]) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """As httpcore tells what it is about to do [src]. Behind the headers it is too late: an act without a body is whole."""

    async def trace(event: str, _about: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            await asyncio.to_thread(look)  # it may read the ledger, or wait for the queue of a site

    return trace


def from_exception(target: str, error: BaseException, section: str, seconds: float = 0) -> TargetError:
    """Translate whatever httpx raised.

    Args:
        target: who was called.
        error: what was raised.
        section: the table of inventory and credentials that says where it is: "commvault".
        seconds: the deadline that was given.
    """
    if isinstance(error, httpx.TimeoutException):
        return TargetTimeout(target, TargetTimeout.after(seconds))
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        hint = f'Write url = "https://…" below [{section}].'
        return PolicyViolation(target, "its address in the estate is none.", hint)
    if isinstance(error, httpx.NetworkError | httpx.ProxyError):
        return _no_connection(target, error, section)
    if isinstance(error, OSError):
        return ConnectionFailed(target, f"no connection can be made: {error.strerror or type(error).__name__}.")
    if wrapping := next((cause for cause in chain(error) if isinstance(cause, (MostlyWrapping, OddHead))), None):
        return MalformedResponse(target, f"its reply was given up: {wrapping}.")
    return MalformedResponse(target, f"its reply is malformed or too large ({type(error).__name__}).")


def _no_connection(target: str, error: BaseException, section: str) -> TargetError:
    """By the innermost cause that has a reason: a certificate, TLS, the resolver, the socket."""
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = f"Set ca_file below [credentials.{section}] to the authority that signed its certificate."
            reason = why_no_trust(cause, hint)
            return ConnectionFailed(target, reason.says, reason.do)
        if isinstance(cause, (ssl.SSLError, socket.gaierror)):
            reason = why_no_tls(cause) if isinstance(cause, ssl.SSLError) else why_no_name(cause)
            return ConnectionFailed(target, reason.says, reason.do)
    hint = "Check its address, and that no firewall blocks the connection."
    return ConnectionFailed(target, "there is no connection to it.", hint)


def check_tls(target: str, url: str, section: str) -> None:
    """Check that a password goes out over TLS only, or to this very machine. Raises PolicyViolation."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        hint = f"Write an https address below [{section}]."
        raise PolicyViolation(target, "a password is never sent without TLS.", hint)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
