"""How long hvops' own machine takes to connect to a host: a TCP connection to its WinRM, closed at once. Nothing is sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import urlsplit

from bot.api.rows import Rows
from bot.errors import ConnectionFailed, TargetTimeout
from bot.transport.routing import Route

CONNECT = "tcp connect"
_PORTS = {"http": 80, "https": 443}


async def measure_connect(way: Route, seconds: float) -> tuple[Rows, str]:
    """One row {milliseconds}, in tenths, and a sentence for the evidence.

    Raises:
        ConnectionFailed: the connection was refused, or the name has no address.
        TargetTimeout: nobody answered.
    """
    parts = urlsplit(way.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise TargetTimeout(way.name, f"no connection to port {port} in {seconds:.0f} s.") from None
    except OSError as error:
        raise ConnectionFailed(way.name, f"no connection to port {port}: {error.strerror or error}.") from None
    milliseconds = f"{(time.perf_counter() - began) * 1000:.1f}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ({"milliseconds": milliseconds},), f"port {port}: connected in {milliseconds} ms"
