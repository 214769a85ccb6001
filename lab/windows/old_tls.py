"""A Windows that offers no TLS after 1.0, as 2008 R2 does before TLS 1.2 is switched on there.

It answers any ClientHello with a ServerHello of TLS 1.0, by which a client of today ends the handshake. Python's own ssl
would send an alert instead, which Windows does not. Layout: RFC 2246, 6.2.1 and 7.4.1.3 [doc]; the suite is
TLS_RSA_WITH_AES_128_CBC_SHA.
"""

from __future__ import annotations

import asyncio
import secrets

_TLS_1_0 = b"\x03\x01"
_HANDSHAKE, _SERVER_HELLO = b"\x16", b"\x02"
_SUITE, _NO_COMPRESSION, _NO_SESSION = b"\x00\x2f", b"\x00", b"\x00"
_RECORD_HEADER = 5


async def serve(address: str) -> asyncio.Server:
    """Listen at an address, on a port that is free there. Ends when the server is closed."""
    return await asyncio.start_server(_answer, address, 0)


def server_hello() -> bytes:
    """The record: a ServerHello of TLS 1.0 without extensions."""
    hello = _TLS_1_0 + secrets.token_bytes(32) + _NO_SESSION + _SUITE + _NO_COMPRESSION
    message = _SERVER_HELLO + len(hello).to_bytes(3, "big") + hello
    return _HANDSHAKE + _TLS_1_0 + len(message).to_bytes(2, "big") + message


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        header = await reader.readexactly(_RECORD_HEADER)
        await reader.readexactly(int.from_bytes(header[3:], "big"))
        writer.write(server_hello())
        await writer.drain()
        await reader.read()  # the client's alert, and its end
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client went away
    finally:
        writer.close()
