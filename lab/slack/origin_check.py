"""Who may talk to the fake Slack: this machine, by a loopback name, from no foreign page.

A page on the internet can make a browser send requests to loopback, and a name that the page's owner turns over to
127.0.0.1 (DNS rebinding) makes such a request look like its own. So the peer, the Host and the Origin all have to be ours.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse with 403 whatever is not from here."""
    why = refused(request.remote, request.headers.get("Host", ""), request.headers.get("Origin"))
    if why:
        return web.Response(status=403, text=f"practice only: {why}")
    return await handler(request)


def refused(peer: str | None, host: str, origin: str | None) -> str:
    """Why a request is refused, or ""."""
    if not _loopback(peer):
        return "only this machine may connect"
    if _name(host) not in LOOPBACK_NAMES:
        return "the Host is no loopback name"
    if origin is not None and (urlsplit(origin).scheme != "http" or urlsplit(origin).netloc.lower() != host.lower()):
        return "a page from elsewhere may not use this"
    return ""


def _loopback(peer: str | None) -> bool:
    try:
        return ipaddress.ip_address(peer or "").is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    name = host.lower()
    return name.rpartition(":")[0] if not name.endswith("]") and ":" in name else name
