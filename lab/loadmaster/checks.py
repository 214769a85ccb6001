"""The health checks, made for real: a connection to each real server, and one request on it as the service says.

HEAD of "/" by HTTP/1.0 without a Host header is what nobody has changed; 200 to 299, 301, 302 and 401 count as up [doc]. Codes
that are set replace 301, 302 and 401, never 200 to 299; a pattern counts with GET and POST, and with 200 to 299 only [doc].
With HTTP/1.1 the header is CheckHost [doc: "Health Checking"], else the server's address [mem]. Over TLS the name of
that header is sent in the handshake too [mem]; no certificate is verified [mem].

When is by the world's clock: a cycle each interval; any answer ends it, and silence takes timeout × retries [doc].
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta

from lab.loadmaster.model import Appliance, RealServer, VirtualService

_METHODS = {"0": "HEAD", "1": "GET", "2": "POST"}  # [src]
_COUNT_AS_UP = {301, 302, 401}
# Real seconds until a server on loopback counts as silent: how long that lasts is for the world's clock.
_PATIENCE = 6.0
_LONGEST_ANSWER = 4_096  # bytes that a pattern is looked for in [doc: "Health Checking"]
_ANSWERED = re.compile(rb"HTTP/\d\.\d (\d{3})")


Reach = Callable[[str, int], tuple[str, int] | None]


def _as_it_is(address: str, port: int) -> tuple[str, int]:
    return address, port


async def settle(appliance: Appliance, now: datetime) -> None:
    """Make every check that is due by now, or wait for whoever makes them."""
    if not appliance.checks:
        return
    async with appliance.checking:
        await asyncio.gather(*(_cycle(appliance, service, now) for service in appliance.services.values()))


async def _cycle(appliance: Appliance, service: VirtualService, now: datetime) -> None:
    every = timedelta(seconds=service.number("ChkInterval", appliance.interval))
    timeout = service.number("ChkTimeout", appliance.timeout)
    patience = timedelta(seconds=timeout * service.number("ChkRetryCount", appliance.retries))
    is_first = service.checked is None
    # When the first cycle began that was not seen yet.
    due = now if service.checked is None else service.checked + every
    if due <= now:
        service.checked = due + every * ((now - due) // every)
        found = await asyncio.gather(*(ask(service, server, appliance.reach) for server in service.servers))
        for server, up in zip(service.servers, found, strict=True):
            if up is None:
                server.silent_since = server.silent_since or due
            else:
                server.up, server.silent_since = up, None
    for server in service.servers:
        if server.silent_since is not None and (is_first or now - server.silent_since >= patience):
            server.up = False


async def ask(service: VirtualService, server: RealServer, reach: Reach = _as_it_is) -> bool | None:
    """Whether a real server is well by the check of its service; None where nothing came back."""
    kind = service.get("CheckType")
    if kind in ("none", "icmp"):
        return True
    place = reach(server.address, int(service.get("CheckPort") or 0) or server.port)
    if place is None:
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            if kind not in ("http", "https"):
                _, writer = await asyncio.open_connection(*place)
                writer.close()
                return True
            return await _http(service, server.address, place)
    except (OSError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
        return None


async def _http(service: VirtualService, address: str, place: tuple[str, int]) -> bool | None:
    host = service.get("CheckHost") or address
    is_newer = service.get("CheckUse1.1") == "Y"
    context, name = None, None
    if service.get("CheckType") == "https":
        context, name = _context(), (host if is_newer and not _is_address(host) else "")
    reader, writer = await asyncio.open_connection(*place, ssl=context, server_hostname=name)
    try:
        writer.write(request(service, host))
        await writer.drain()
        answer = b""
        while len(answer) < _LONGEST_ANSWER and (more := await reader.read(_LONGEST_ANSWER)):
            answer += more
    finally:
        writer.close()
    return _is_up(service, answer)


def request(service: VirtualService, host: str) -> bytes:
    """The request of a service's check, whole."""
    method = _METHODS[service.get("CheckUseGet") or "0"]
    is_newer = service.get("CheckUse1.1") == "Y"
    url = service.get("CheckUrl") or "/"
    lines = [f"{method} {url} HTTP/{'1.1' if is_newer else '1.0'}"]
    lines += [f"Host: {host}", "Connection: close"] if is_newer else []
    body = service.get("CheckPostData") if method == "POST" else ""
    lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
    return ("\r\n".join((*lines, "", "")) + body).encode("latin-1", "replace")


def _is_up(service: VirtualService, answer: bytes) -> bool | None:
    told = _ANSWERED.match(answer)
    if told is None:
        return None if not answer else False
    code = int(told[1])
    if code // 100 == 2:  # noqa: PLR2004 - success
        pattern = service.get("CheckPattern") if service.get("CheckUseGet") in ("1", "2") else ""
        return (
            not pattern or re.search(pattern.encode("latin-1", "replace"), answer.partition(b"\r\n\r\n")[2]) is not None
        )
    codes = {int(one) for one in service.get("CheckCodes").split()}
    return code in (codes or _COUNT_AS_UP)


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_address(host: str) -> bool:
    return re.fullmatch(r"[0-9.]+|.*:.*", host) is not None
