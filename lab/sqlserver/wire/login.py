"""PRELOGIN and LOGIN7: what client and server tell each other before the first statement [MS-TDS 2.2.6.4, 2.2.6.5]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from lab.sqlserver import errors
from lab.sqlserver.wire.reader import Reader

TDS_7_4 = 0x74000004
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _TERMINATOR = 0, 1, 2, 3, 4, 0xFF
_SMALLEST_PACKET, _DEFAULT_PACKET, _LARGEST_PACKET = 512, 4096, 32_767
_INTEGRATED = 0x80  # fIntSecurity of OptionFlags2
_TEXTS = ("host", "user", "password", "application", "server", "extension", "library", "language", "database")


class Encryption(IntEnum):
    """What a side says about TLS."""

    OFF = 0
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


Policy = Literal["none", "login", "full"]  # of a server: no TLS at all, what the client wishes, everything


@dataclass(frozen=True, slots=True)
class Login7:
    """What a client says of itself."""

    user: str
    password: str
    database: str
    application: str
    host: str
    packet_size: int
    version: int
    integrated: bool  # wants Windows authentication


def read_prelogin(data: bytes) -> Encryption:
    """What the client wishes about TLS. Raises SqlError."""
    reader = Reader(data)
    while (token := reader.byte()) != _TERMINATOR:
        offset, length = int.from_bytes(reader.take(2), "big"), int.from_bytes(reader.take(2), "big")
        if token == _ENCRYPTION and length:
            wish = Reader(data, offset).byte() & 0x0F  # the high bits are about client certificates
            return Encryption(wish) if wish in set(Encryption) else Encryption.ON
    return Encryption.NOT_SUPPORTED


def agreed(policy: Policy, wish: Encryption) -> Encryption:
    """What the server answers to a wish, by the table of MS-TDS 2.2.6.5."""
    if policy == "none":
        return Encryption.NOT_SUPPORTED
    if wish is Encryption.NOT_SUPPORTED:
        return Encryption.REQUIRED if policy == "full" else Encryption.NOT_SUPPORTED
    if wish is Encryption.OFF:
        return Encryption.REQUIRED if policy == "full" else Encryption.OFF
    return Encryption.ON


def prelogin(version: tuple[int, int, int], encryption: Encryption) -> bytes:
    """The server's PRELOGIN."""
    major, minor, build = version
    options = (
        (_VERSION, bytes([major, minor]) + build.to_bytes(2, "big") + bytes(2)),
        (_ENCRYPTION, bytes([encryption])),
        (_INSTANCE, bytes(1)),
        (_THREAD, b""),
        (_MARS, bytes(1)),
    )
    offset = 5 * len(options) + 1
    head, body = b"", b""
    for token, value in options:
        head += bytes([token]) + (offset + len(body)).to_bytes(2, "big") + len(value).to_bytes(2, "big")
        body += value
    return head + bytes([_TERMINATOR]) + body


def read_login(data: bytes) -> Login7:
    """A LOGIN7 message. Raises SqlError."""
    fixed = Reader(data)
    if fixed.number(4) != len(data):
        raise errors.broken_stream("LOGIN7 has another length than it says.")
    version, packet_size = fixed.number(4), fixed.number(4)
    fixed.take(13)  # program version, process, connection, OptionFlags1
    integrated = bool(fixed.byte() & _INTEGRATED)
    fixed.take(10)  # TypeFlags, OptionFlags3, time zone, locale
    fields = {}
    for name in _TEXTS:
        offset, length = fixed.ushort(), fixed.ushort()
        if name == "password":
            fields[name] = _revealed(Reader(data, offset).take(length * 2))
        elif name != "extension":
            fields[name] = Reader(data, offset).text(length) if length else ""
    return Login7(
        user=fields["user"],
        password=fields["password"],
        database=fields["database"],
        application=fields["application"],
        host=fields["host"],
        packet_size=_sensible(packet_size),
        version=version,
        integrated=integrated,
    )


def _sensible(size: int) -> int:
    return size if _SMALLEST_PACKET <= size <= _LARGEST_PACKET else _DEFAULT_PACKET


def _revealed(data: bytes) -> str:
    """The password as it was typed: each byte was turned by half and then covered with 0xA5."""
    bare = bytes(((byte ^ 0xA5) << 4 & 0xF0) | ((byte ^ 0xA5) >> 4) for byte in data)
    return bare.decode("utf-16-le", "replace")
