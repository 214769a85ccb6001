"""TLS over a stream of bytes, of which little is opened at a time, and none that is mostly wrapping.

A record may carry one byte in 23, and records may carry tickets and new keys alone, as many as their sender likes. asyncio and
anyio open all that has come before anybody else has the loop, piece by piece, and no limit on what a reply may hold counts
what never becomes a part of one. So here what comes is counted as it came, pieces go on together, and others have their
turn in between.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Awaitable, Callable

_PIECE = 2**12  # bytes that are opened at a time
_WRAPPING = 2**17  # bytes that may carry nothing in a row: a handshake holds 100 KB of certificates at most
_CARRIES = 3  # times its length that what is carried may take: in records of 32 bytes it takes twice


class MostlyWrapping(ValueError):
    """What comes over a connection is mostly no answer."""


class TlsStream:
    """The client's end of one connection."""

    def __init__(
        self,
        context: ssl.SSLContext,
        server_name: str | None,
        receive: Callable[[int], Awaitable[bytes]],
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Take what it goes over.

        Args:
            context: what is trusted.
            server_name: the name in the hello, and the one that the certificate has to be for; None for no name.
            receive: at least one and at most so many bytes of the stream below; b"" at its end.
            send: sends all of it.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._receive, self._send = receive, send
        self._spare = _WRAPPING

    async def handshake(self) -> None:
        """Make it.

        Raises:
            ssl.SSLError: there is no TLS, or no trust.
            ConnectionResetError: the stream below ended.
            MostlyWrapping: it has no end.
        """
        while True:
            try:
                self.ssl_object.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            except ssl.SSLEOFError:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None
            else:
                await self._flush()
                return

    async def read(self, most: int) -> bytes:
        """As much as is there, up to so many bytes, but at least one; b"" at the end. Raises ssl.SSLError, MostlyWrapping."""
        while True:
            found = self._opened(most)
            await self._flush()  # a new key is answered
            if found is not None:
                self._spare = min(_WRAPPING, self._spare + _CARRIES * len(found))
                return found
            await self._more()

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises ssl.SSLError, MostlyWrapping."""
        while True:
            try:
                self.ssl_object.write(data)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            else:
                await self._flush()
                return

    def _opened(self, most: int) -> bytes | None:
        """What has come, short pieces together; None for nothing yet."""
        found = bytearray()
        while len(found) < most:
            try:
                piece = self.ssl_object.read(most - len(found))
            except ssl.SSLWantReadError:
                return bytes(found) or None
            except ssl.SSLEOFError:
                break
            if not piece:
                break
            found += piece
        return bytes(found)

    async def _more(self) -> None:
        await asyncio.sleep(0)  # a stream that has more at hand lets nobody else have the loop
        piece = await self._receive(_PIECE)
        if not piece:
            self._incoming.write_eof()
            return
        self._spare -= len(piece)
        if self._spare < 0:
            raise MostlyWrapping("it sends mostly TLS records that carry little or nothing")
        self._incoming.write(piece)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._send(self._outgoing.read())
