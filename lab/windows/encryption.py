"""Message encryption: sealed SOAP envelopes in multipart/encrypted.

Source: MS-WSMV 2.2.9.1 [doc]: a first part that names the protocol and the original's length, a second of the length of the
signature (32 bits, little-endian), the signature and the sealed envelope; lines of the parts' headers begin with a tab.
"""

from __future__ import annotations

import re
import struct

import spnego
from spnego.exceptions import SpnegoError

from lab.windows.kerberos_context import BadToken, KerberosContext

Context = spnego.ContextProxy | KerberosContext

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"

_BOUNDARY = b"--Encrypted Boundary"
_OCTETS = re.compile(rb"Content-Type:[ \t]*application/octet-stream\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"OriginalContent:[^\r\n]*Length=(\d+)", re.IGNORECASE)
_PROTOCOL = re.compile(r'protocol="([^"]+)"')


class Garbled(Exception):
    """A message that is not what its content type says, or was sealed with other keys."""


def protocol_of(content_type: str) -> str | None:
    """The protocol that an encrypted message names, or None if the message is plain.

    Raises:
        Garbled: it is encrypted in a way that is not spoken here.
    """
    if not content_type.lower().startswith("multipart/encrypted"):
        return None
    match = _PROTOCOL.search(content_type)
    for known in (SPNEGO, KERBEROS):
        if match is not None and match[1].lower() == known.lower():
            return known
    raise Garbled(content_type)


def unseal(context: Context, data: bytes) -> bytes:
    """The envelope in an encrypted message.

    Raises:
        Garbled: it cannot be read.
    """
    length = _LENGTH.search(data)
    start = _OCTETS.search(data)
    end = data.rfind(_BOUNDARY + b"--")
    if length is None or start is None or end < start.end() + 4:
        raise Garbled("parts are missing")
    sealed = data[start.end() : end]
    (signature_length,) = struct.unpack_from("<I", sealed)
    if signature_length > len(sealed) - 4:
        raise Garbled("the signature is longer than the message")
    header, body = sealed[4 : 4 + signature_length], sealed[4 + signature_length :]
    try:
        plain = context.unwrap_winrm(header, body)
    except (BadToken, SpnegoError, ValueError) as error:
        raise Garbled("the seal does not hold") from error
    if len(plain) != int(length[1]):
        raise Garbled("the length differs")
    return plain


def seal(context: Context, protocol: str, data: bytes) -> tuple[str, bytes]:
    """An envelope as an encrypted message: its content type and its body."""
    wrapped = context.wrap_winrm(data)
    name = protocol.encode()
    length = len(data) + wrapped.padding_length
    body = b"".join(
        [
            _BOUNDARY + b"\r\n\tContent-Type: " + name + b"\r\n",
            b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % length,
            _BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n",
            struct.pack("<i", len(wrapped.header)) + wrapped.header + wrapped.data,
            _BOUNDARY + b"--\r\n",
        ]
    )
    return f'multipart/encrypted;protocol="{protocol}";boundary="Encrypted Boundary"', body
