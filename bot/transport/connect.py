"""How long hvops' own machine takes to connect to a host: a TCP connection to its WinRM, closed at once. Nothing is sent.

What fails is told apart: only a host that leaves the connection unanswered, or to which the network knows no way, is silent.
One that refuses it is there. Whatever is in hvops' own way, a name server or too little time, says nothing of the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from urllib.parse import urlsplit

from bot.api.rows import Rows
from bot.errors import ConnectionFailed, NotAsked, NotAskedInTime, NotListening, TargetTimeout
from bot.transport.connection_reasons import why_no_name
from bot.transport.routing import Route

CONNECT = "tcp connect"
_PORTS = {"http": 80, "https": 443}
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)
_ENOUGH = 0.5  # of the time that a question has: who had less of it to answer in was not silent


async def measure_connect(way: Route, seconds: float, *, of: float = 0) -> tuple[Rows, str]:
    """One row {milliseconds}, in tenths, and a sentence for the evidence.

    Args:
        way: to the host.
        seconds: how long to wait.
        of: seconds that the question had, some of which went by before it was its turn; 0: all of them are left.

    Raises:
        NotListening: the connection was refused, or broken off at once.
        ConnectionFailed: the network knows no way to it.
        NotAsked: its name could not be looked up, or this machine cannot connect to anything.
        TargetTimeout: nobody answered; NotAskedInTime where there was too little time to say so.
    """
    parts = urlsplit(way.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        late = TargetTimeout if seconds >= of * _ENOUGH else NotAskedInTime
        raise late(way.name, f"no connection to port {port} in {seconds:.0f} s.") from None
    except socket.gaierror as error:
        reason = why_no_name(error)
        raise NotAsked(way.name, reason.says, reason.do) from None
    except ConnectionError as error:
        raise NotListening(way.name, f"no connection to port {port}: {error.strerror or error}.") from None
    except OSError as error:
        kind = ConnectionFailed if error.errno in _NO_WAY else NotAsked
        raise kind(way.name, f"no connection to port {port}: {error.strerror or error}.") from None
    milliseconds = f"{(time.perf_counter() - began) * 1000:.1f}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ({"milliseconds": milliseconds},), f"port {port}: connected in {milliseconds} ms"
