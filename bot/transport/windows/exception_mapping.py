"""Foreign exceptions -> the error tree, once, here.

pywinrm's exceptions have no common root, and it lets those of requests, urllib3, requests_ntlm, requests_kerberos and
pyspnego come through as they are; replies that it does not expect surface as KeyError, IndexError or
UnicodeDecodeError out of its own code. A test walks all of these libraries and fails on one that is not known here.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterable

import requests.exceptions as req
import urllib3.exceptions as lib3
from cryptography.exceptions import UnsupportedAlgorithm  # requests_ntlm reads the host's certificate with it
from requests_ntlm import requests_ntlm
from spnego.exceptions import FeatureMissingError, NativeError, SpnegoError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    PolicyViolation,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.redaction import clip
from bot.transport.connection_reasons import chain, tls_reason, why_no_name, why_no_tls, why_no_trust
from bot.transport.windows.faults import from_fault
from bot.transport.windows.kerberos_reasons import OF_THE_HOST, UNPROVEN, why_no_ticket
from bot.transport.windows.wsman import Fault, MalformedReply, WSManFaultReply

Kinds = tuple[type[BaseException], ...]
try:
    import kerberos as pykerberos
    from winrm.vendor.requests_kerberos import exceptions as requests_kerberos
except ImportError:  # hvops[kerberos] is not installed: nothing raises these
    _GSS: Kinds = ()
    _UNPROVEN: Kinds = ()
    _KERBEROS: Kinds = ()
else:
    _GSS = (pykerberos.GSSError,)
    _UNPROVEN = (requests_kerberos.MutualAuthenticationError,)
    # The last bare, when sealing fails.
    _KERBEROS = (
        requests_kerberos.KerberosExchangeError,
        *_UNPROVEN,
        pykerberos.KrbError,
    )

Translate = Callable[[str, BaseException, float], TargetError]
Table = tuple[tuple[type[BaseException] | Kinds, Translate], ...]

_LOGIN = "Check user name, password and transport in the settings; the account may be locked or disabled."
_NAME = "Check the name, or write its address below [endpoints] in the inventory."
_WINRM = "Check that it is up, that WinRM is enabled (winrm quickconfig) and that no firewall blocks the connection."
_ELSE = "Check its address: something else than WinRM answers there."
_AUTHORITY = "Set ca_file in the settings to the authority that signed the host's certificate."
_OWN_CERTIFICATE = (
    "See that the certificate in the settings has not expired and is mapped to an account there (winrm certmapping)."
)
_BROKEN_OFF = f"If the login is by certificate: {_OWN_CERTIFICATE[0].lower()}{_OWN_CERTIFICATE[1:]}"
_NO_PROXY = "Check its address in the inventory: hosts are asked directly, never through a proxy."


class StaleConnection(OSError):
    """A connection that was kept open turned out to be closed: a fact about the connection, not about the host."""


class WeakChallenge(PermissionError):
    """A host offers less of a login than any Windows does: what it lets through could be altered on the way."""


class DeadlineExceeded(OSError):
    """Our own deadline has passed while a message was under way."""


class ResponseTooLarge(ValueError):
    """The reply exceeds the size limit."""


def from_exception(on: str, error: BaseException, seconds: float = 0) -> TargetError:
    """Whatever the libraries raised, as an error of ours. `seconds` is how long was waited."""
    return _look_up(on, error, seconds) or MalformedResponse(
        on, f"the WinRM library failed over its reply ({type(error).__name__}: {clip(str(error), 80)})."
    )


def is_known(error: BaseException) -> bool:
    """Whether this exception has a sentence of its own."""
    return _look_up("", error, 0) is not None


def _look_up(on: str, error: BaseException, seconds: float) -> TargetError | None:
    """A requests exception wraps one of urllib3, which wraps one of the socket: there the innermost says most.

    What pywinrm and the login raise is exact already, though it was raised while handling something else.
    """
    if isinstance(error, TargetError):
        return error
    causes = list(chain(error))
    return (
        _first(_EXACT, causes, on, seconds)
        or _first(_NETWORK, _most_telling_first(causes), on, seconds)
        or _first(_REST, causes, on, seconds)
    )


def _most_telling_first(causes: list[BaseException]) -> list[BaseException]:
    """What the socket or TLS raised, then what was wrapped around it, the inner before the outer."""
    innermost_first = list(reversed(causes))
    return sorted(
        innermost_first, key=lambda cause: type(cause).__module__.partition(".")[0] in ("requests", "urllib3")
    )


def _first(table: Table, causes: Iterable[BaseException], on: str, seconds: float) -> TargetError | None:
    for cause in causes:
        for kind, translate in table:
            if isinstance(cause, kind):
                return translate(on, cause, seconds)
    return None


def _plain(error: type[TargetError], says: str, do: str = "") -> Translate:
    return lambda on, _cause, _seconds: error(on, says, do)


def _only_there(says: str, do: str = "") -> Translate:
    """Of a host that no proof of a password went to, or that shows otherwise that it called none wrong."""
    return lambda on, _cause, _seconds: AuthenticationFailed(on, says, do, is_only_there=True)


def _weak(on: str, error: BaseException, _seconds: float) -> TargetError:
    says = f"its NTLM login is weaker than Windows' own ({error}), so it got no proof of the password."
    do = "Find out who is between: the login may have been weakened on the way. Use Kerberos or https."
    return AuthenticationFailed(on, says, do, is_only_there=True)


def _faulted(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    if isinstance(error, WSManFaultReply):
        return from_fault(on, error.fault)
    assert isinstance(error, WSManFaultError)
    code = error.wsman_fault_code if error.wsman_fault_code is not None else error.wmierror_code
    return from_fault(on, Fault(code, (error.fault_subcode or "").rpartition(":")[2], error.reason))


# An HTTP status without a fault, by number [doc: RFC 9110]; one that is not here follows from nothing that we know.
# 413: WinRM takes no message above its MaxEnvelopeSizekb [doc: 500 since WinRM 3.0, 150 before; seen as 413 in a public report].
STATUSES: dict[int, tuple[type[TargetError], str, str]] = {
    http.client.BAD_REQUEST: (
        TargetFault,
        "it takes the request for malformed (HTTP 400), before WinRM hears of it.",
        "Where HTTP.sys has answered, its log there says why: %windir%\\System32\\LogFiles\\HTTPERR.",
    ),
    http.client.UNAUTHORIZED: (AuthenticationFailed, "the login was refused (HTTP 401).", _LOGIN),
    http.client.FORBIDDEN: (AuthenticationFailed, "the login was refused (HTTP 403).", _LOGIN),
    http.client.NOT_FOUND: (
        TargetFault,
        "a web server answers, but there is no WinRM at this path (HTTP 404).",
        _ELSE,
    ),
    http.client.METHOD_NOT_ALLOWED: (
        TargetFault,
        "a web server answers that takes no WS-Management at this path (HTTP 405).",
        _ELSE,
    ),
    http.client.REQUEST_ENTITY_TOO_LARGE: (
        TargetFault,
        "it takes no message as long as the one that was sent (HTTP 413): WinRM's own limit is MaxEnvelopeSizekb.",
        (
            "Compare MaxEnvelopeSizekb there (winrm get winrm/config) with its default, 500, and raise it, or the Group Policy"
            " that sets it."
        ),
    ),
    http.client.PROXY_AUTHENTICATION_REQUIRED: (
        ConnectionFailed,
        "a proxy in the way wants a login of its own (HTTP 407).",
        _NO_PROXY,
    ),
    http.client.BAD_GATEWAY: (ConnectionFailed, "a gateway in the way got no answer from it (HTTP 502).", _NO_PROXY),
    http.client.SERVICE_UNAVAILABLE: (
        ConnectionFailed,
        "the web server there says that WinRM is not available (HTTP 503).",
        _WINRM,
    ),
    http.client.GATEWAY_TIMEOUT: (
        ConnectionFailed,
        "a gateway in the way got no answer from it in time (HTTP 504).",
        _NO_PROXY,
    ),
}


# What HTTP.sys answers before WinRM hears of a request: status and the heading of its page, whole [doc: KB2020943].
HTTP_SYS: dict[tuple[int, str], tuple[str, str]] = {
    (http.client.BAD_REQUEST, "Bad Request - Request Too Long"): (
        (
            "its HTTP.sys takes no request with as long a header (HTTP 400, Request Too Long): the login is in it, and grows with"
            " the groups of the account."
        ),
        "Log in with an account that is in fewer groups, or raise MaxFieldLength and MaxRequestBytes there (KB2020943).",
    ),
    (http.client.BAD_REQUEST, "Bad Request - Invalid Hostname"): (
        "its HTTP.sys takes no request for the name it is asked by (HTTP 400, Invalid Hostname).",
        "Compare its address in the inventory with its listeners (winrm enumerate winrm/config/listener).",
    ),
}
_HEADING = re.compile(r"<h2>([^<]{1,60})</h2>", re.IGNORECASE)


def _http(on: str, error: BaseException, seconds: float) -> TargetError:
    """An HTTP status without a fault. 500 without a body is how WinRM refuses what is not encrypted [cap]."""
    del seconds
    assert isinstance(error, WinRMTransportError)
    status = error.code
    if (page := _HEADING.search(error.response_text or "")) and (status, page[1]) in HTTP_SYS:
        says, do = HTTP_SYS[status, page[1]]
        return TargetFault(on, says, do, code=status, is_refusal=True)
    if status == http.client.INTERNAL_SERVER_ERROR and not error.response_text:
        return TargetFault(on, "it refused the request without a word: it may want encryption.", _LOGIN, code=status)
    if status not in STATUSES:
        return MalformedResponse(on, f"it answered with HTTP {status} in place of WS-Management.")
    kind, says, do = STATUSES[status]
    if kind is AuthenticationFailed:
        return kind(on, says, do, is_only_there=status == http.client.FORBIDDEN)
    # Each of them is answered before WinRM hears of the request.
    return TargetFault(on, says, do, code=status, is_refusal=True) if kind is TargetFault else kind(on, says, do)


def _unintelligible(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    return MalformedResponse(on, f"{error}.", _ELSE)


def _late(on: str, error: BaseException, seconds: float) -> TargetError:
    del error
    return TargetTimeout(on, TargetTimeout.after(seconds))


def _certificate(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    assert isinstance(error, ssl.SSLCertVerificationError)
    reason = why_no_trust(error, _AUTHORITY)
    return ConnectionFailed(on, reason.says, reason.do)


# What a host says of the certificate that the bot logs in with, by OpenSSL's name of the alert [doc: RFC 8446, 6.2].
REFUSED_CERTIFICATES: dict[str, tuple[str, str]] = {
    "SSLV3_ALERT_NO_CERTIFICATE": ("it wants a certificate, and was shown none", _OWN_CERTIFICATE),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("it wants a certificate, and was shown none", _OWN_CERTIFICATE),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("it refuses the certificate that it was shown", _OWN_CERTIFICATE),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": ("it refuses the kind of certificate that it was shown", _OWN_CERTIFICATE),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("it refuses the certificate that it was shown", _OWN_CERTIFICATE),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (
        "it calls the certificate that it was shown revoked",
        "Write another certificate in the settings.",
    ),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (
        "it calls the certificate that it was shown expired",
        "Renew the certificate in the settings, or set the clock there.",
    ),
    "TLSV1_ALERT_UNKNOWN_CA": (
        "it does not trust the certificate that it was shown",
        "Import the authority that signed the certificate in the settings into Trusted Root Certification Authorities there.",
    ),
    "TLSV1_ALERT_ACCESS_DENIED": (
        "the certificate that it was shown is good, but does not let the account in",
        "See that the certificate in the settings is mapped to an account there (winrm certmapping).",
    ),
}


def _tls(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    if (name := tls_reason(error)) in REFUSED_CERTIFICATES:
        says, do = REFUSED_CERTIFICATES[name]
        return AuthenticationFailed(on, f"{says} ({name}).", do, is_only_there=True)
    reason = why_no_tls(error)
    return ConnectionFailed(on, reason.says, reason.do)


def _unresolved(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    reason = why_no_name(error)
    return ConnectionFailed(on, reason.says, reason.do)


def _socket(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return ConnectionFailed(on, "the connection was refused: nothing listens on its WinRM port.", _WINRM)
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return ConnectionFailed(on, "there is no way to it through the network.", _WINRM)
    if isinstance(error, (ConnectionError, StaleConnection)):
        return ConnectionFailed(
            on, "it closed the connection in the middle.", "Ask again; if it stays, see its event log."
        )
    return ConnectionFailed(on, f"the connection failed ({clip(str(error), 80)}).")


def _kerberos(on: str, error: BaseException, seconds: float) -> TargetError:
    """By the minor status of GSS-API, which pywinrm keeps only in what its exception was raised from."""
    del seconds
    if isinstance(error, _UNPROVEN):  # raised where the host's proof was refused or never came
        reason = UNPROVEN
    else:
        number, words = next(filter(None, map(_minor_status, chain(error))), (None, str(error)))
        reason = why_no_ticket(number, words)
    return reason.error(on, reason.says, reason.do, is_only_there=reason in OF_THE_HOST)


def _minor_status(error: BaseException) -> tuple[int, str] | None:
    """The second pair that pykerberos raises with: ((text, major), (text, minor)) [src]."""
    pair = error.args[1] if isinstance(error, _GSS) and len(error.args) > 1 else None
    if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], int):  # noqa: PLR2004 - text and number
        return pair[1], str(pair[0])
    return None


_NO_CONNECTION = _plain(ConnectionFailed, "no connection could be made.", _WINRM)
_NOT_HTTP = _plain(MalformedResponse, "it does not speak HTTP as WinRM does.", _ELSE)
_NOT_WINRM = _plain(MalformedResponse, "its reply lacks what every reply of WinRM has.", _ELSE)
_UNFINISHED = _plain(MalformedResponse, "it broke its answer off in the middle.", "Ask again.")
_PROXY = _plain(ConnectionFailed, "a proxy is in the way.", _NO_PROXY)
_NO_LOGIN = _plain(AuthenticationFailed, "the login was refused.", _LOGIN)

_EXACT: Table = (
    ((WSManFaultReply, WSManFaultError), _faulted),
    (MalformedReply, _unintelligible),
    (ResponseTooLarge, _plain(MalformedResponse, "its reply is longer than any that WinRM may send.", _ELSE)),
    (WinRMTransportError, _http),
    (AuthenticationError, _NO_LOGIN),
    ((DeadlineExceeded, WinRMOperationTimeoutError), _late),
    (_KERBEROS, _kerberos),
    (
        (SpnegoError, NativeError, FeatureMissingError),
        _only_there("no login could be negotiated.", _LOGIN),
    ),
    (
        (requests_ntlm.NoCertificateRetrievedWarning, requests_ntlm.UnknownSignatureAlgorithmOID, UnsupportedAlgorithm),
        _only_there("its certificate cannot be bound to the login."),
    ),
)

# First match wins, so the exact kinds stand before those they derive from. Nearly all of these are OSErrors.
_NETWORK: Table = (
    (ssl.SSLCertVerificationError, _certificate),
    ((socket.gaierror, lib3.NameResolutionError), _unresolved),
    (
        (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        _plain(ConnectionFailed, "it broke off the TLS handshake.", _BROKEN_OFF),
    ),
    (ssl.SSLError, _tls),
    ((http.client.IncompleteRead, lib3.IncompleteRead, lib3.InvalidChunkLength), _UNFINISHED),
    ((ConnectionError, StaleConnection), _socket),
    (http.client.HTTPException, _NOT_HTTP),
    (WeakChallenge, _weak),
    (PermissionError, _only_there("it does not offer the login that the settings ask for.", _LOGIN)),
    ((TimeoutError, req.Timeout), _late),
    (lib3.NewConnectionError, _NO_CONNECTION),
    ((lib3.TimeoutError, lib3.TimeoutStateError), _late),
    ((req.ProxyError, lib3.ProxyError, lib3.ProxySchemeUnknown, lib3.ProxySchemeUnsupported), _PROXY),
    ((req.SSLError, lib3.SSLError), _tls),
    (
        (req.InvalidURL, req.MissingSchema, req.InvalidSchema, lib3.LocationValueError, lib3.URLSchemeUnknown),
        _plain(PolicyViolation, "its address in the inventory cannot be used.", _NAME),
    ),
    ((req.ChunkedEncodingError, req.ContentDecodingError, lib3.ProtocolError), _UNFINISHED),
    (req.TooManyRedirects, _plain(MalformedResponse, "it sends the request elsewhere.", _ELSE)),
    ((req.ConnectionError, lib3.PoolError), _NO_CONNECTION),
    ((req.RequestException, req.RequestsWarning, lib3.HTTPError, lib3.HTTPWarning), _NOT_HTTP),
    (OSError, _socket),
)

_REST: Table = (
    (WinRMError, _NOT_WINRM),
    ((LookupError, AttributeError, StopIteration, AssertionError, TypeError, ValueError), _NOT_WINRM),
)
