"""NTLM over one connection, in as many round trips as it has messages: the first token goes with the first request.

requests_ntlm waits for a 401 before it says that somebody logs in, sends the question along with every leg, and works the
LM hash out each time, in Python. Here the legs have no body, as those of Ruby's WinRM [src]; only over TLS the last one
has, which is the question itself. So a first contact takes three round trips over HTTP, where a question is sealed with
what the login gave, and two over HTTPS. A proof of the password is sent once: hosts count those that they refuse.

A challenge that offers less than any Windows does is answered by no proof: over HTTP, what it leaves out keeps messages
from being altered by whoever stands between.

A host that answers the early token as if there were none is told once more, in the scheme that it offers. One that closes
the connection before the proof has gone out is told once more on another; never one that has had it.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import spnego
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_der_x509_certificate
from requests.auth import AuthBase
from spnego._ntlm_raw.crypto import ntowfv1  # OpenSSL 3 has no MD4 any more, and nothing public in spnego answers it
from spnego._ntlm_raw.messages import Challenge, NegotiateFlags
from spnego.channel_bindings import GssChannelBindings

from bot.transport.connection_reasons import chain
from bot.transport.routing import Credentials
from bot.transport.windows.exception_mapping import StaleConnection, WeakChallenge
from bot.transport.windows.http_adapter import Adapter
from bot.transport.windows.wsman import MalformedReply

_NEGOTIATE, _NTLM = "negotiate", "ntlm"
# One without an end ends with the header: never quadratic.
_QUOTED = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)', re.DOTALL)
_CHALLENGE = re.compile(r"(?:^|,)\s*(negotiate|ntlm)(?:\s+([A-Za-z0-9+/]+={0,2}))?\s*(?=,|$)", re.IGNORECASE)
_TOO_WEAK = ("md5", "sha1")  # to bind a login to: RFC 5929, 4.1 has SHA-256 in their place
_HASH = "nt hash"
_SIGNATURE = b"NTLMSSP\x00"
# Where name and list of names of a challenge are told, and in units of how many bytes [doc: MS-NLMP 2.2.1.2].
_FIELDS = (
    (12, 2),
    (40, 1),
)
_NEEDED: Mapping[int, str] = {
    NegotiateFlags.extended_session_security: "extended session security",
    NegotiateFlags.sign: "signing",
    NegotiateFlags.seal: "sealing",
    NegotiateFlags.key_128: "128-bit keys",
    NegotiateFlags.key_exch: "key exchange",
}


class NtlmLogin(AuthBase):
    """The login of one connection, in the shape that requests and pywinrm's encryption want.

    `session_security` seals the messages; None until the host has let us in.
    """

    def __init__(self, login: Credentials, adapter: Adapter) -> None:
        self.session_security: _Seal | None = None
        self.adapter = adapter
        self._login = login

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the first leg in the place of a connection's first request, which follows when the host wants proof."""
        if self.session_security is None:
            request.register_hook("response", _Legs(self, request).answer)  # type: ignore[no-untyped-call]
        return request

    def context(self, url: str) -> spnego.ContextProxy:
        """A new login, before its first token."""
        known = spnego.NTLMHash(self._login.username, nt_hash=_nt_hash(self._login))
        host, own = urlsplit(url).hostname or "", spnego.NegotiateOptions.use_ntlm
        return spnego.client(known, hostname=host, service="http", protocol="ntlm", options=own)


class _Legs:
    """One login: from its first token to the answer that the request gets, which is held back until the host wants proof."""

    def __init__(self, auth: NtlmLogin, request: requests.PreparedRequest) -> None:
        self._auth = auth
        self._body = request.body
        self._scheme = _NEGOTIATE
        self._context = auth.context(request.url or "")
        self._carry(request, self._context.step(), None)

    def answer(self, response: requests.Response, **options: Any) -> requests.Response:
        """What the host answers in the end. `options`: what the first leg was sent with.

        Raises:
            PermissionError: it wants another login than NTLM, or does not go into this one; WeakChallenge is one.
        """
        is_told_again = is_on_another = False
        while response.status_code == requests.codes.unauthorized:
            offers = _offers(response)
            if challenge := offers.get(self._scheme):
                try:
                    return self._prove(response, challenge, options)
                except requests.ConnectionError as error:
                    if is_on_another or not any(isinstance(cause, StaleConnection) for cause in chain(error)):
                        raise
                    is_on_another = True
            elif is_told_again or not offers:
                raise PermissionError("the host answers no NTLM")
            else:
                is_told_again = True
                self._scheme = _NTLM if _NTLM in offers else _NEGOTIATE
            self._context = self._auth.context(response.url)
            response = self._send(response, self._context.step(), None, options)
        return response

    def _prove(self, response: requests.Response, challenge: str, options: Mapping[str, Any]) -> requests.Response:
        """Send the last leg, where the first went."""
        adapter = self._auth.adapter
        proof = _proof(self._context, challenge, _bindings(adapter.certificate()))
        adapter.is_proving = True  # this connection's challenge, and no other's
        try:
            last = self._send(response, proof, self._body, options)
        finally:
            adapter.is_proving = False
        if last.status_code != requests.codes.unauthorized:
            self._auth.session_security = _Seal(self._context)
        return last

    def _send(
        self, response: requests.Response, token: bytes | None, body: Any, options: Mapping[str, Any]
    ) -> requests.Response:
        """Another leg behind a response, which has to be read before its connection can be used again."""
        _ = response.content
        response.raw.release_conn()
        request = response.request.copy()
        self._carry(request, token, body)
        return self._auth.adapter.send(request, **options)

    def _carry(self, request: requests.PreparedRequest, token: bytes | None, body: Any) -> None:
        scheme = {_NEGOTIATE: "Negotiate", _NTLM: "NTLM"}[self._scheme]
        request.headers["Authorization"] = f"{scheme} {base64.b64encode(token or b'').decode()}"
        request.headers.pop("Content-Length", None)
        request.body = body
        request.prepare_content_length(body)


class _Seal:
    """What pywinrm seals messages with."""

    def __init__(self, context: spnego.ContextProxy) -> None:
        self._context = context

    def wrap(self, message: bytes) -> tuple[bytes, bytes]:
        """The sealed message, and its signature."""
        sealed = self._context.wrap_winrm(message)
        return sealed.data, sealed.header

    def unwrap(self, message: bytes, signature: bytes) -> bytes:
        """The message. Raises SpnegoError where the signature is not its own."""
        return self._context.unwrap_winrm(signature, message)


def _nt_hash(login: Credentials) -> str:
    """MD4 of the password in UTF-16, in hexadecimal [doc: MS-NLMP 3.3.1, NTOWFv1]. It opens what the password opens.

    So it is kept where the password is, and as long; what is made of it for a login lives as long as that login.
    """
    if _HASH not in login.derived:
        login.derived[_HASH] = ntowfv1(login.password).hex()
    return login.derived[_HASH]


def _offers(response: requests.Response) -> dict[str, str]:
    """Of what the host asks for, what NTLM can be: scheme -> the token with it, "" without one. In any order, any case."""
    told = _QUOTED.sub("", response.headers.get("WWW-Authenticate", ""))
    return {found[1].lower(): found[2] or "" for found in _CHALLENGE.finditer(told)}


def _proof(context: spnego.ContextProxy, challenge: str, bindings: GssChannelBindings | None) -> bytes | None:
    """The proof of the password that a challenge gets. Raises WeakChallenge, MalformedReply, and what spnego refuses it with.

    What reads it trusts its lengths and offsets, its kind and its texts: each of them fails in its own way, and none gets a proof.
    """
    try:
        token = base64.b64decode(challenge, validate=True)
        _check_layout(token)
        if missing := _missing(Challenge.unpack(token).flags):
            raise WeakChallenge(f"no {', no '.join(missing)}")
        return context.step(token, channel_bindings=bindings)
    except (ValueError, LookupError, struct.error) as error:
        raise MalformedReply("its NTLM challenge cannot be read, so it got no proof of the password") from error


def _check_layout(token: bytes) -> None:
    """Raise ValueError where it is no NTLM message, or its name or its list of names lies outside of it.

    What reads it looks for neither: a part that is cut off would be taken for a shorter one [src].
    """
    if not token.startswith(_SIGNATURE):
        raise ValueError("another signature")
    for at, unit in _FIELDS:
        length, _, offset = struct.unpack_from("<HHI", token, at)
        if length and (length % unit or offset + length > len(token)):
            raise ValueError("a part that it does not hold")


def _missing(flags: int) -> list[str]:
    """What a challenge does not offer of that without which messages can be altered on the way, or read soon.

    Every Windows since 2000 offers all of it to a client that asks for it [doc: MS-NLMP 2.2.2.5]. Without the first, messages
    are signed with a sum that anybody can correct. Whoever stands between could take any of them out of the challenge.
    """
    return [word for bit, word in _NEEDED.items() if not flags & bit]


def _bindings(certificate: bytes | None) -> GssChannelBindings | None:
    """What ties a login to the TLS connection it is made on: tls-server-end-point [doc: RFC 5929, 4]."""
    if certificate is None:
        return None
    kind = None
    with suppress(UnsupportedAlgorithm):
        kind = load_der_x509_certificate(certificate).signature_hash_algorithm
    digest = hashes.Hash(hashes.SHA256() if kind is None or kind.name in _TOO_WEAK else kind)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())
