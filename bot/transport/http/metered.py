"""How much of what comes over a connection is an answer, and how much only wraps it.

h11 makes an event of each interim answer (1xx) and of each chunk of a body, however short, and goes through all that has come
without letting anybody else have the loop [src]: 64 KB of them are a third of a second. So it gets little at a time, and a
service that sends mostly wrapping, or a few bytes at a time without end, is given up. Below it TLS is ours, and counts
what never becomes a part of a reply. The head of each reply is looked at before h11 reads it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from bot.transport.heads import HeadCheck, OddHead
from bot.transport.http.tls import MostlyWrapping, TlsStream

_PIECE = 2**12  # bytes that are read at a time
_HEAD = 2**16  # bytes that a reply may have beside its body
_SHARE = 4  # of a body's length, what its chunks may take besides: whoever sends 32 bytes at a time sends no answer
_READS, _LEAST = 4_000, 32  # pieces in which a reply may come, and the bytes that each further one has to bring


class Meter:
    """What came over the connections of one call."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._came = 0
        self._pieces = 0
        self._may_come = 0

    def asked(self) -> None:
        """One more request is about to be sent."""
        self._may_come += _HEAD

    def taken(self, count: int) -> None:
        """So many bytes of a body were taken."""
        self._may_come += count + count // _SHARE

    def came(self, count: int) -> None:
        """So many bytes came. Raises httpcore.RemoteProtocolError where they are mostly no answer."""
        self._came += count
        self._pieces += 1
        if self._came > self._may_come:
            raise httpcore.RemoteProtocolError("the reply is mostly chunk headers or interim responses")
        if self._pieces > _READS + self._came // _LEAST:
            raise httpcore.RemoteProtocolError("the reply comes a few bytes at a time")


class _Head:
    """The head of the reply to what was sent last over one connection."""

    def __init__(self) -> None:
        self._check = HeadCheck(_HEAD)

    def asked(self) -> None:
        """Something was sent: what comes next begins with a head."""
        self._check = HeadCheck(_HEAD)

    def came(self, piece: bytes) -> None:
        """Look at what came. Raises httpcore.RemoteProtocolError where no honest server sends such a head."""
        try:
            self._check.feed(piece)
        except OddHead as error:
            raise httpcore.RemoteProtocolError(str(error)) from error


class Metered(httpcore.AsyncNetworkBackend):
    """A way to connect whose connections are metered."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend, meter: Meter) -> None:
        """Take what connects."""
        self._inner = inner
        self._meter = meter

    async def connect_tcp(self, *args: Any, **named: Any) -> httpcore.AsyncNetworkStream:
        """As `inner` does."""
        return _Stream(await self._inner.connect_tcp(*args, **named), self._meter)

    async def connect_unix_socket(self, *args: Any, **named: Any) -> httpcore.AsyncNetworkStream:
        """As `inner` does."""
        return _Stream(await self._inner.connect_unix_socket(*args, **named), self._meter)

    async def sleep(self, seconds: float) -> None:
        """As `inner` does."""
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self._head = _Head()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as httpcore has it
        piece = await self._inner.read(min(max_bytes, _PIECE), timeout)
        self._meter.came(len(piece))
        self._head.came(piece)
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._head.asked()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        sealed = _Sealed(self._inner, self._meter, ssl_context, server_hostname)
        await sealed.begin(timeout)
        return sealed

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Sealed(httpcore.AsyncNetworkStream):
    def __init__(
        self, inner: httpcore.AsyncNetworkStream, meter: Meter, context: ssl.SSLContext, server_name: str | None
    ) -> None:
        self._inner = inner
        self._meter = meter
        self._head = _Head()
        self._tls = TlsStream(context, server_name, self._receive, self._send)
        self._timeout: float | None = None

    async def begin(self, timeout: float | None) -> None:  # noqa: ASYNC109
        self._timeout = timeout
        try:
            with _translated(httpcore.ConnectError):
                await self._tls.handshake()
        except BaseException:
            await self._inner.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._timeout = timeout
        with _translated(httpcore.ReadError):
            piece = await self._tls.read(min(max_bytes, _PIECE))
        self._meter.came(len(piece))
        self._head.came(piece)
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if buffer:
            self._timeout = timeout
            self._head.asked()
            with _translated(httpcore.WriteError):
                await self._tls.write(buffer)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._tls.ssl_object if info == "ssl_object" else self._inner.get_extra_info(info)

    async def _receive(self, most: int) -> bytes:
        return await self._inner.read(most, self._timeout)

    async def _send(self, data: bytes) -> None:
        await self._inner.write(data, self._timeout)


@contextmanager
def _translated(kind: type[Exception]) -> Iterator[None]:
    """What TLS raises, as httpcore's own streams raise it."""
    try:
        yield
    except MostlyWrapping as error:
        raise httpcore.RemoteProtocolError(str(error)) from error
    except OSError as error:  # that of OpenSSL is one
        raise kind(str(error)) from error
