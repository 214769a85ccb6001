"""Reads hostile heads in a process of its own, which can be ended where it reads for ever: `python -m tests.support.heads_child WAY`.

A pattern that goes back and forth holds the whole interpreter, so nothing inside of the process would notice.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import product
from types import SimpleNamespace

import aiohttp
import h11
import httpx
from slack_sdk.errors import SlackApiError

from bot.api.queries import RunReader, Wql, make_params
from bot.config.inventory_file import InventoryFile, Web
from bot.errors import TargetError
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.bounded_client import connector
from bot.transport.client import TargetClient
from bot.transport.heads import HeadCheck, OddHead
from bot.transport.http import client, h11_patterns
from bot.transport.http.probe import MAX_HEAD, Prober
from bot.transport.routing import Credentials, Router
from bot.transport.windows import kerberos, ntlm

ADDRESS = "127.0.97.1"
SECONDS = 5.0
BEGINS = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LOGINS = {
    "ntlm": Credentials("ntlm", "CORP\\reader", "Correct-Horse-7"),
    "kerberos": Credentials("kerberos", "visitor@CORP.EXAMPLE"),
}
LARGEST = {"ntlm": 65_000, "kerberos": 65_000, "probe": MAX_HEAD - 200, "service": 16_000, "slack": 8_000}
LONG = 200_000  # bytes, for a pattern alone: what grows faster than its length is not over in an hour

OPENERS = (b"", b'x="', b"Negotiate ", b"NTLM ", b'multipart/x; boundary="')
PIECES = (
    b" ", b"\t", b",", b", ", b"a,", b'\\"', b'"', b"\\", b"; ", b"Negotiate,", b"NTLM ", b"ntlm,", b"Negotiate", b"a ", b"=", b"\0", b"\xcc\x81",
)  # fmt: skip
ENDS = (b"", b"\0", b'"', b"!")


def values(
    length: int,
    pieces: tuple[bytes, ...] = PIECES,
    openers: tuple[bytes, ...] = OPENERS,
    ends: tuple[bytes, ...] = ENDS,
) -> Iterator[bytes]:
    """What a header may hold, each about as long as that."""
    for opener, piece, end in product(openers, pieces, ends):
        yield opener + piece * (length // len(piece)) + end


def heads(length: int) -> Iterator[bytes]:
    """Heads with one long header: as it is, by the name that a login is asked for, and by a name that others read.

    Such as get past what looks at lines first are among them: an empty list in parts, and blanks over many short lines.
    """
    for name in (b"a", b"WWW-Authenticate", b"Set-Cookie", b"Content-Type"):
        for value in values(length, (b" ", b",", b"a,", b'\\"', b"\0", b"; "), OPENERS[:2], ENDS[:2]):
            yield BEGINS + name + b": " + value + b"\r\n\r\n"
    yield BEGINS + b"Content-Type: " + OPENERS[-1] + b"; " * (length // 2) + b"\r\n\r\n"
    yield BEGINS + b"WWW-Authenticate: " + b"," * 16 + b"a,," * 16 + b"\r\n\r\n"
    yield BEGINS + b"WWW-Authenticate: " + b"a," * 60 + b"\r\n\r\n"
    yield BEGINS + b"WWW-Authenticate: , \r\n" * 31 + b"\r\n"
    yield BEGINS + b"a:" + b"\r\n " * 16 + b"\0\r\n\r\n"
    yield BEGINS + b"a: b\r\n" * 1_500 + b"\r\n"
    yield b"HTTP/1.1 100 Continue\r\n\r\n" * 500 + BEGINS + b"a:" + b" " * length + b"\0\r\n\r\n"


def behind_heads(length: int) -> Iterator[bytes]:
    """What is read by the same patterns and is no head: what stands behind a chunk's length, and behind the last chunk."""
    for piece in (b" ", b"\t", b";", b"; "):
        blanks = piece * (length // len(piece))
        yield CHUNKED + b"5;" + blanks + b"\n" + blanks + b"\r\nhello\r\n0\r\n\r\n"
        yield CHUNKED + b"5" + blanks + b"x\r\nhello\r\n0\r\n\r\n"
        yield CHUNKED + b"5\r\nhello\r\n0\r\na:" + blanks + b"\0\r\n\r\n"


def read_all_patterns() -> None:
    """Each pattern that reads a head, alone, on more than is ever let in."""
    h11_patterns.make_linear()
    kerberos._read_in_linear_time()
    negotiate = import_module("winrm.vendor.requests_kerberos.kerberos_")._negotiate_value
    for value in values(LONG):
        with suppress(OddHead):
            HeadCheck(10 * LONG, 10 * LONG).feed(BEGINS + b"WWW-Authenticate: " + value + b"\r\n\r\n")
        response = SimpleNamespace(headers={"WWW-Authenticate": value.decode("latin-1")})
        ntlm._offers(response)
        negotiate(SimpleNamespace(headers={"www-authenticate": value.decode("latin-1")}))
        _h11(BEGINS + b"a:" + value + b"\r\n\r\n")
    for reply in behind_heads(LONG):
        _h11(reply)


def _h11(reply: bytes) -> None:
    reading = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * LONG)
    reading.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reading.send(h11.EndOfMessage())
    with suppress(h11.RemoteProtocolError):
        reading.receive_data(reply)
        while reading.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass


async def _probed(port: int) -> None:
    prober = Prober(Web(networks=(ADDRESS,)))
    await prober.answer(RunReader(ADDRESS, "http get", make_params(port=port)), SECONDS)


async def _served(port: int) -> None:
    async with client.open_client(f"http://{ADDRESS}:{port}", None, SECONDS) as asking:
        await client.send(asking, "GET", "Job")
        await client.send(asking, "GET", "Job")


async def _told_slack(port: int) -> None:
    slack = make_client("xoxb-1", f"http://{ADDRESS}:{port}/api/")
    slack.retry_handlers.clear()
    slack.timeout = 2
    await slack.auth_test()


async def _connected_to_slack(port: int) -> None:
    async with aiohttp.ClientSession(connector=connector()) as session, session.ws_connect(f"http://{ADDRESS}:{port}/"):
        pass


def _logged_in(way: str) -> Callable[[int], Awaitable[None]]:
    async def ask(port: int) -> None:
        told = {
            "hosts": {"hv15": {"domain": "corp.example"}},
            "endpoints": {"hv15": f"http://{ADDRESS}:{port}/wsman"},
        }
        asked = TargetClient(Router(InventoryFile.model_validate(told), {"reader": LOGINS[way]}))
        try:
            await asked.answer(Wql("hv15", "root/cimv2", "Win32_Service", ("Name",)), SECONDS)
        finally:
            asked.close()
            await asyncio.to_thread(asked._threads.shutdown)

    return ask


async def meet_all(ways: tuple[Callable[[int], Awaitable[None]], ...], replies: Iterator[bytes]) -> int:
    """Ask whoever answers so, by each way; answers how many there were. What they are is none, so each way raises."""
    now = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(now)
                await writer.drain()
        writer.close()

    count = 0
    async with await asyncio.start_server(talk, ADDRESS, 0) as server:
        port = server.sockets[0].getsockname()[1]
        for now in replies:  # noqa: B007 - what `talk` answers
            for ask in ways:
                count += 1
                with suppress(
                    TargetError, httpx.HTTPError, aiohttp.ClientError, SlackApiError, TimeoutError, ValueError
                ):
                    await ask(port)
    return count


def main(way: str) -> None:
    """Read all that is hostile in one way."""
    if way == "patterns":
        read_all_patterns()
    else:
        ways = {"probe": (_probed,), "service": (_served,), "slack": (_told_slack, _connected_to_slack)}
        replies = [*heads(LARGEST[way])]
        if way == "service":
            replies += [*heads(60_000), *behind_heads(60_000)]
        # One of them takes seconds by a pattern that goes back and forth; so many together do not end in time.
        replies += [BEGINS + b"a:" + b" " * LARGEST[way] + b"\0\r\n\r\n"] * 40
        replies += [*behind_heads(60_000)] * 6 if way == "service" else []
        assert asyncio.run(meet_all(ways.get(way) or (_logged_in(way),), iter(replies)))
    sys.stdout.write("read\n")


if __name__ == "__main__":
    main(sys.argv[1])
