"""The accepting side of Kerberos, by MIT's GSS-API; what pyspnego is for NTLM.

pyspnego's own way to it wants a second compiled package beside gssapi. Only the tests that bring a KDC need either: without
gssapi a machine takes no Kerberos.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spnego._spnego import NegTokenInit, unpack_token
from spnego.exceptions import SpnegoError

try:
    import gssapi
    from gssapi.raw import IOV, GSSError, IOVBuffer, IOVBufferType, unwrap_iov, wrap_iov
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

_KERBEROS = {"1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2"}  # the second is Windows' own [doc MS-SPNG]
_RAW_KERBEROS = bytes.fromhex("06092a864886f712010202")  # that OID in DER, at the head of a token without SPNEGO


class BadToken(Exception):
    """GSS-API refuses a token, or a message that another key sealed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An envelope sealed as MS-WSMV 2.2.9.1.1 wants it: the signature, and the rest with its padding."""

    header: bytes
    data: bytes
    padding_length: int


@dataclass(slots=True)
class KerberosContext:
    """One login. The keytab is the one that KRB5_KTNAME names."""

    negotiated_protocol: str = "kerberos"
    _context: Any = field(default_factory=lambda: gssapi.SecurityContext(usage="accept"))

    @property
    def complete(self) -> bool:
        """Whether the login is done."""
        return bool(self._context.complete)

    @property
    def client_principal(self) -> str:
        """Who has logged in: name@REALM."""
        return str(self._context.initiator_name)

    def step(self, token: bytes) -> bytes | None:
        """Take a token of the client's, and answer the next one. Raises BadToken."""
        try:
            return self._context.step(token) or None
        except GSSError as error:
            raise BadToken(str(error)) from error

    def wrap_winrm(self, data: bytes) -> Sealed:
        """Seal an envelope."""
        parts = IOV(IOVBufferType.header, data, IOVBufferType.padding, std_layout=False)
        wrap_iov(self._context, parts, confidential=True, qop=None)
        header, body, padding = (part.value or b"" for part in parts)
        return Sealed(header, body + padding, len(padding))

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """Open a sealed envelope. Raises BadToken."""
        parts = IOV(IOVBuffer(IOVBufferType.header, False, header), data, IOVBufferType.data, std_layout=False)
        try:
            unwrap_iov(self._context, parts)
        except GSSError as error:
            raise BadToken(str(error)) from error
        return parts[1].value or b""


def wants_kerberos(token: bytes) -> bool:
    """Whether this first token of a login is Kerberos', bare or as what SPNEGO would like best."""
    if not IS_INSTALLED:
        return False
    if _RAW_KERBEROS in token[:24]:
        return True
    try:
        opened = unpack_token(token)
    except (SpnegoError, ValueError, NotImplementedError):
        return False
    return isinstance(opened, NegTokenInit) and bool(opened.mech_types) and opened.mech_types[0] in _KERBEROS
