"""Who is at the other end of a TCP connection: Basic, NTLM, Kerberos, Negotiate, client certificate.

NTLM and Kerberos authenticate the connection, as HTTP.sys does for WinRM; their security context then seals its messages
[doc, MS-WSMV 2.2.9.1]. Basic stands in every request. The scheme "NTLM" is taken too, though WinRM never offers it [inf].
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass, field

import spnego
from spnego.exceptions import SpnegoError

from lab.windows import ntlm_credentials, wsman_constants
from lab.windows.accounts import find_account
from lab.windows.kerberos_context import BadToken, KerberosContext, wants_kerberos
from lab.windows.machine_protocol import Machine

Context = spnego.ContextProxy | KerberosContext

_NTLM_SIGNATURE = b"NTLMSSP\x00"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request's Authorization came to.

    `user` is the account, None if it is known to the domain but has no rights here; `challenge` belongs into
    WWW-Authenticate, of a 401 or of the last answer of a handshake.
    """

    accepted: bool
    user: str | None = None
    challenge: str = ""


_REFUSED = Outcome(accepted=False)


@dataclass(slots=True)
class Connection:
    """What one TCP connection has proved."""

    machine: Machine
    thumbprint: str = ""  # of the client certificate, upper-case hex
    context: Context | None = None
    accepted: bool = False
    user: str | None = field(default=None)

    def authenticate(self, authorization: str) -> Outcome:
        """Judge a request by its Authorization header, or by what the connection has proved before."""
        scheme, _blank, credentials = authorization.strip().partition(" ")
        match scheme.lower():
            case "":
                return Outcome(accepted=True, user=self.user) if self.accepted else _REFUSED
            case "basic":
                return self._basic(credentials)
            case "negotiate" | "kerberos" | "ntlm":
                return self._negotiate(scheme, credentials)
            case wsman_constants.MUTUAL_TLS:
                return self._certificate()
            case _:
                return _REFUSED

    def offers(self) -> list[str]:
        """The values of WWW-Authenticate for a 401, in the order WinRM lists them [mem]."""
        access = self.machine.access
        offered = ["Negotiate"] if access.ntlm or access.kerberos else []
        if access.kerberos:
            offered.append("Kerberos")
        if access.basic:
            offered.append('Basic realm="WSMAN"')
        return offered

    def _basic(self, credentials: str) -> Outcome:
        if not self.machine.access.basic:
            return _REFUSED
        try:
            sent = base64.b64decode(credentials, validate=True)
        except binascii.Error:
            return _REFUSED
        name, _colon, password = _decode(sent).partition(":")
        account = find_account(self.machine, "", name)
        if account is None:
            return _REFUSED
        right = self.machine.access.accounts[account]
        if not hmac.compare_digest(right.encode(), password.encode()):
            return _REFUSED
        return Outcome(accepted=True, user=account)

    def _certificate(self) -> Outcome:
        certificates = {key.upper(): account for key, account in self.machine.access.certificates.items()}
        account = certificates.get(self.thumbprint)
        return _REFUSED if account is None else Outcome(accepted=True, user=account)

    def _negotiate(self, scheme: str, credentials: str) -> Outcome:
        try:
            token = base64.b64decode(credentials, validate=True)
            reply = self._step(token)
        except (binascii.Error, BadToken, SpnegoError, struct.error, ValueError):
            # pyspnego names most of what can be wrong with a token, and lets struct's own error through for the rest.
            self._forget()
            return _REFUSED
        context = self.context
        assert context is not None
        challenge = f"{scheme} {base64.b64encode(reply).decode('ascii')}" if reply else ""
        if not context.complete:
            return Outcome(accepted=False, challenge=challenge)
        self.accepted = self._allowed(context)
        if not self.accepted:
            self._forget()
            return _REFUSED
        self.user = self._account(context)
        return Outcome(accepted=True, user=self.user, challenge=challenge)

    def _step(self, token: bytes) -> bytes:
        """Feed a token to the handshake; a first message starts a new one."""
        if self.context is None or self.context.complete:
            self._forget()
        names_sent = ntlm_credentials.names_in(token)
        domain, user = names_sent or ("", "")
        account = find_account(self.machine, domain, user) if names_sent else None
        password = None if account is None else self.machine.access.accounts[account]
        with ntlm_credentials.holding(domain, user, password):
            if self.context is None:
                self.context = self._new_context(token)
            return self.context.step(token) or b""

    def _new_context(self, token: bytes) -> Context:
        if wants_kerberos(token):
            return KerberosContext()
        protocol = "ntlm" if token.startswith(_NTLM_SIGNATURE) else "negotiate"
        return spnego.server(hostname=self.machine.fqdn, service="HTTP", protocol=protocol)

    def _forget(self) -> None:
        self.context = None
        self.accepted = False
        self.user = None

    def _allowed(self, context: Context) -> bool:
        access = self.machine.access
        return access.ntlm if context.negotiated_protocol == "ntlm" else access.kerberos

    def _account(self, context: Context) -> str | None:
        principal = context.client_principal or ""
        domain, backslash, user = principal.partition("\\")
        return find_account(self.machine, domain, user) if backslash else find_account(self.machine, "", principal)


def _decode(sent: bytes) -> str:
    """Basic names no encoding: clients send UTF-8 or the code page of western Windows [mem]."""
    try:
        return sent.decode("utf-8")
    except UnicodeDecodeError:
        return sent.decode("cp1252", "replace")
