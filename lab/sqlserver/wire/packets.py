"""Packets and messages [MS-TDS 2.2.3]: a message is one or more packets, the last one marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from lab.sqlserver import errors

HEADER = 8
_END, _IGNORE, _RESET = 0x01, 0x02, 0x18  # the last one: RESETCONNECTION and RESETCONNECTIONSKIPTRAN
_LONGEST = 16 * 1024 * 1024  # bytes of one message; nothing that is asked here needs a hundredth of it


class Kind(IntEnum):
    """What a message is."""

    BATCH = 1
    RPC = 3
    REPLY = 4
    ATTENTION = 6
    BULK = 7
    TRANSACTION = 14
    LOGIN = 16
    SSPI = 17
    PRELOGIN = 18


class Source(Protocol):
    """Where bytes come from."""

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises IncompleteReadError where the client has gone."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. `resets` asks to make the session new before it; `is_ignored`: the client thought better of it."""

    kind: int
    data: bytes
    resets: bool = False
    is_ignored: bool = False


async def read_message(source: Source) -> Message:
    """The next message. Raises IncompleteReadError, or SqlError for what is no packet."""
    pieces, size, resets = [], 0, False
    while True:
        header = await source.read(HEADER)
        kind, status, length = header[0], header[1], int.from_bytes(header[2:4], "big")
        size += length
        if length < HEADER or size > _LONGEST:
            raise errors.broken_stream("A packet has an impossible length.")
        pieces.append(await source.read(length - HEADER))
        resets = resets or bool(status & _RESET)
        if status & _END:
            return Message(kind, b"".join(pieces), resets, bool(status & _IGNORE))


def packets(kind: int, data: bytes, size: int, process: int = 0) -> Iterator[bytes]:
    """A message in packets of at most `size` bytes, header included."""
    room = size - HEADER
    pieces = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
    for number, piece in enumerate(pieces, start=1):
        status = _END if number == len(pieces) else 0
        length = (len(piece) + HEADER).to_bytes(2, "big")
        yield bytes([kind, status]) + length + process.to_bytes(2, "big") + bytes([number % 256, 0]) + piece
