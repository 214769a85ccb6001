"""Why no connection came about, by what the resolver and OpenSSL enumerate: a sentence and an advice per reason. Pure.

The numbers are those of getaddrinfo (RFC 3493), the names those of OpenSSL's sslerr.h and of the alerts of RFC 8446 [doc].
No text is searched for words: what is listed nowhere is quoted, and nobody is advised anything.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bot.redaction import clip

_LONGEST = 80
_RESOLVER = "Check the DNS servers of the machine that hvops runs on."
_SUITES = "Compare the cipher suites that are switched on there with those of the machine that hvops runs on."


class Reason(NamedTuple):
    """What happened, and what to do about it: "" where nothing follows from it."""

    says: str
    do: str = ""


_NO_TLS = Reason(
    "it answers without TLS, as one that speaks plain HTTP does.",
    "Check its port in the inventory: this one is not for TLS (WinRM has 5985 for plain HTTP, 5986 for TLS).",
)
_OLD_TLS = Reason(
    "it offers no TLS from 1.2 on.", "Switch TLS 1.2 on there: Windows Server 2008 R2 has it, and has it switched off."
)
_NO_CIPHER = Reason("it has no way of encrypting in common with this machine.", _SUITES)
_NO_SAFE_RENEGOTIATION = Reason("its TLS lacks secure renegotiation (RFC 5746).", "Install its Windows updates.")

TLS: Mapping[str, Reason] = MappingProxyType(
    {
        "WRONG_VERSION_NUMBER": _NO_TLS,
        "HTTP_REQUEST": _NO_TLS,
        "UNSUPPORTED_PROTOCOL": _OLD_TLS,
        "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
        "VERSION_TOO_LOW": _OLD_TLS,
        "NO_SHARED_CIPHER": _NO_CIPHER,
        "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_CIPHER,
        "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NO_CIPHER,
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _NO_SAFE_RENEGOTIATION,
    }
)

_NO_SUCH_NAME = Reason(
    "its name is not known to DNS.", "Check the name, or write its address below [endpoints] in the inventory."
)
NAMES: Mapping[int, Reason] = MappingProxyType(
    {
        socket.EAI_NONAME: _NO_SUCH_NAME,
        socket.EAI_NODATA: Reason(
            "DNS has no address for its name.",
            "Check its record, or write its address below [endpoints] in the inventory.",
        ),
        socket.EAI_AGAIN: Reason(
            "the resolver does not answer, so nothing is known of its name.", f"Ask again in a minute. {_RESOLVER}"
        ),
        socket.EAI_FAIL: Reason("the resolver gives up on its name.", _RESOLVER),
    }
)

# OpenSSL's verify codes (x509_vfy.h) that say what is wrong with a certificate itself [doc].
CERTIFICATES: Mapping[int, Reason] = MappingProxyType(
    {
        9: Reason("its certificate is not valid yet: one of the two clocks is wrong.", "Compare the two clocks."),
        10: Reason("its certificate has expired.", "Renew its certificate."),
        23: Reason("its certificate was revoked.", "Give it another certificate."),
        62: Reason("its certificate was made for another name.", "Renew its certificate for the name it is asked by."),
        64: Reason(
            "its certificate was made for another address.", "Write the name in its certificate in the inventory."
        ),
    }
)
# Those that say that nobody known has signed it: self-signed, alone or in its chain, or no issuer found.
_UNSIGNED = (2, 18, 19, 20, 21)

# Numbers of SSL reasons where only OpenSSL's packed error code is printed, as database drivers do [doc: sslerr.h].
_SSL_LIBRARY = 20
_REASONS = MappingProxyType(
    {
        134: "CERTIFICATE_VERIFY_FAILED",
        156: "HTTP_REQUEST",
        193: "NO_SHARED_CIPHER",
        258: "UNSUPPORTED_PROTOCOL",
        267: "WRONG_VERSION_NUMBER",
        338: "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        396: "VERSION_TOO_LOW",
        1040: "SSLV3_ALERT_HANDSHAKE_FAILURE",
        1070: "TLSV1_ALERT_PROTOCOL_VERSION",
        1071: "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    }
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it was raised from or holds, outermost first."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__ or one.__context__, getattr(one, "reason", None), *one.args)
        pending += [cause for cause in inner if isinstance(cause, BaseException)]


def why_no_name(error: BaseException) -> Reason:
    """What getaddrinfo's number means; a name that could not be looked up for another reason is not called unknown."""
    number = error.errno if isinstance(error, socket.gaierror) else None
    return NAMES.get(number or 0) or Reason(f"its name could not be looked up ({clip(str(error), _LONGEST)}).")


def tls_reason(error: BaseException) -> str:
    """OpenSSL's name of the reason: WRONG_VERSION_NUMBER; "" where there is none."""
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    return reason if isinstance(reason, str) else ""


def why_no_tls(error: BaseException) -> Reason:
    """What OpenSSL's reason means."""
    reason = tls_reason(error)
    return TLS.get(reason) or Reason(f"no TLS connection could be made ({clip(reason or str(error), _LONGEST)}).")


def why_no_trust(error: ssl.SSLCertVerificationError, trust: str) -> Reason:
    """What OpenSSL's verify code means; `trust` is how its authority is trusted, where only that is missing."""
    code = getattr(error, "verify_code", 0)
    words = getattr(error, "verify_message", "") or "for no reason given"
    unknown = Reason(f"its certificate is not trusted ({words}).", trust if code in _UNSIGNED else "")
    return CERTIFICATES.get(code) or unknown


def unpack_tls_reason(code: int) -> str:
    """The name of a reason in OpenSSL's packed error code, of version 1.1 or 3; "" for another library or reason."""
    for library, reason in ((code >> 23 & 0x1FF, code & 0x7FFFFF), (code >> 24, code & 0xFFF)):
        if library == _SSL_LIBRARY:
            return _REASONS.get(reason, "")
    return ""
