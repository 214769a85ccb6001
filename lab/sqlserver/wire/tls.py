"""Bytes to and from one client: plain, or through TLS.

The handshake travels inside of PRELOGIN packets; afterwards TLS lies around everything, or around the login message
alone and is taken off again [MS-TDS 2.2.6.5, 3.3.5.2].
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from lab.sqlserver.wire.packets import Kind, packets, read_message

_CHUNK = 65_536
_HANDSHAKE_PACKET = 4096


class Wire:
    """One connection's bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises IncompleteReadError where the client has gone."""
        if self._tls is None:
            return await self._reader.readexactly(count)
        found = b""
        while len(found) < count:
            try:
                found += self._tls.read(count - len(found))
            except ssl.SSLWantReadError:
                data = await self._reader.read(_CHUNK)
                if not data:
                    raise asyncio.IncompleteReadError(found, count) from None
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                raise asyncio.IncompleteReadError(found, count) from None
        return found

    async def write(self, data: bytes) -> None:
        """Send."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._writer.write(data)
        await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands. Raises SSLError, or IncompleteReadError where the client does not like the certificate."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush_handshake()
                self._incoming.write((await read_message(self)).data)
            else:
                await self._flush_handshake()
                self._tls = tls
                return

    def stop_tls(self) -> None:
        """Take TLS off: it was for the login only."""
        self._tls = None

    def abort(self) -> None:
        """Cut the connection, without a word."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _flush_handshake(self) -> None:
        data = self._outgoing.read()
        if data:
            for packet in packets(Kind.PRELOGIN, data, _HANDSHAKE_PACKET):
                self._writer.write(packet)
            await self._writer.drain()
