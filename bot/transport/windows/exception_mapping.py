"""Foreign exceptions -> the error tree, once, here.

pywinrm's exceptions have no common root, and it lets those of requests, urllib3, requests_ntlm, requests_kerberos and
pyspnego come through as they are; replies that it does not expect surface as KeyError, IndexError or
UnicodeDecodeError out of its own code. A test walks all of these libraries and fails on one that is not known here.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator

import requests.exceptions as req
import urllib3.exceptions as lib3
from cryptography.exceptions import UnsupportedAlgorithm  # requests_ntlm reads the host's certificate with it
from kerberos import KrbError  # type: ignore[import-not-found] # pykerberos: raised bare when sealing fails
from requests_ntlm import requests_ntlm
from spnego.exceptions import FeatureMissingError, NativeError, SpnegoError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError, MutualAuthenticationError

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    PolicyViolation,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.transport.windows.faults import from_fault
from bot.transport.windows.wsman import Fault, MalformedReply, WSManFaultReply

Translate = Callable[[str, BaseException, float], TargetError]
Table = tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Translate], ...]

_LOGIN = "Check user name, password and transport in the settings; the account may be locked or disabled."
_NAME = "Check the name, or write its address below [endpoints] in the estate."
_WINRM = "Check that it is up, that WinRM is enabled (winrm quickconfig) and that no firewall is between."
_ELSE = "Check its address: something else than WinRM answers there."
_CERTIFICATE = "Renew the host's certificate, or set ca_file in the settings to the authority that signed it."
_OWN_CERTIFICATE = (
    "See that the certificate in the settings has not expired and is mapped to an account there (winrm certmapping)."
)
_BROKEN_OFF = f"{_ELSE} If the login is by certificate: {_OWN_CERTIFICATE[0].lower()}{_OWN_CERTIFICATE[1:]}"
_TICKET = "Check the account's ticket or keytab, the clocks, and that the host has the SPN HTTP/<its name>."


class StaleConnection(OSError):
    """A connection that was kept open turned out to be closed: a fact about the connection, not about the host."""


class DeadlineExceeded(OSError):
    """Our own deadline has passed while a message was under way."""


class ResponseTooLarge(ValueError):
    """The reply is longer than any honest one."""


def from_exception(on: str, error: BaseException, seconds: float = 0) -> TargetError:
    """Whatever the libraries raised, as an error of ours. `seconds` is how long was waited."""
    return _look_up(on, error, seconds) or MalformedResponse(
        on, f"the WinRM library failed over its reply ({type(error).__name__}: {error!s:.80}).", _ELSE
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
    causes = list(_chain(error))
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


def _chain(error: BaseException) -> Iterator[BaseException]:
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


def _plain(error: type[TargetError], says: str, do: str = "") -> Translate:
    return lambda on, _cause, _seconds: error(on, says, do)


def _faulted(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    if isinstance(error, WSManFaultReply):
        return from_fault(on, error.fault)
    assert isinstance(error, WSManFaultError)
    code = error.wsman_fault_code if error.wsman_fault_code is not None else error.wmierror_code
    return from_fault(on, Fault(code, (error.fault_subcode or "").rpartition(":")[2], error.reason))


def _http(on: str, error: BaseException, seconds: float) -> TargetError:
    """An HTTP status without a fault. 500 without a body is how WinRM refuses what is not encrypted [cap]."""
    del seconds
    assert isinstance(error, WinRMTransportError)
    status = error.code
    if status == http.client.NOT_FOUND:
        return TargetFault(
            on, "a web server answers, but there is no WinRM at this path (HTTP 404).", _ELSE, code=status
        )
    if status in (http.client.FORBIDDEN, http.client.PROXY_AUTHENTICATION_REQUIRED):
        return AuthenticationFailed(on, f"the login was refused (HTTP {status}).", _LOGIN)
    if status == http.client.INTERNAL_SERVER_ERROR and not error.response_text:
        return TargetFault(on, "it refused the request without a word: it may want encryption.", _LOGIN, code=status)
    if status == http.client.SERVICE_UNAVAILABLE:
        return ConnectionFailed(on, "the web server there says that WinRM is not available (HTTP 503).", _WINRM)
    return MalformedResponse(on, f"it answered with HTTP {status} in place of WS-Management.", _ELSE)


def _unintelligible(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    return MalformedResponse(on, f"{error}.", _ELSE)


def _late(on: str, error: BaseException, seconds: float) -> TargetError:
    del error
    return TargetTimeout(on, f"no answer in {seconds:.0f} s." if seconds >= 1 else "no answer in time.")


def _certificate(on: str, error: BaseException, seconds: float) -> TargetError:
    """By OpenSSL's verify codes (x509_vfy.h) [doc]; all that are not listed mean an authority we do not trust."""
    del seconds
    reasons = {
        9: "its certificate is not valid yet: one of the two clocks is wrong.",
        10: "its certificate has expired.",
        62: "its certificate was made for another name.",
        64: "its certificate was made for another address.",
    }
    unknown = f"its certificate is not trusted ({getattr(error, 'verify_message', '') or 'unknown authority'})."
    return ConnectionFailed(on, reasons.get(getattr(error, "verify_code", 0), unknown), _CERTIFICATE)


def _tls(on: str, error: BaseException, seconds: float) -> TargetError:
    del seconds
    reason = str(getattr(error, "reason", None) or error)[:80]
    if "ALERT" in reason.upper() and ("CERTIFICATE" in reason.upper() or "UNKNOWN_CA" in reason.upper()):
        return AuthenticationFailed(on, f"it refuses the certificate that it was shown ({reason}).", _OWN_CERTIFICATE)
    do = "Windows Server 2008 R2 needs TLS 1.2 switched on." if "VERSION" in reason.upper() else _ELSE
    return ConnectionFailed(on, f"no TLS connection could be made ({reason}).", do)


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
    return ConnectionFailed(on, f"the connection failed ({error!s:.80}).", _WINRM)


_NO_CONNECTION = _plain(ConnectionFailed, "no connection could be made.", _WINRM)
_NOT_HTTP = _plain(MalformedResponse, "it does not speak HTTP as WinRM does.", _ELSE)
_NOT_WINRM = _plain(MalformedResponse, "its reply lacks what every reply of WinRM has.", _ELSE)
_NO_NAME = _plain(ConnectionFailed, "its name is not known to DNS.", _NAME)
_UNFINISHED = _plain(MalformedResponse, "it broke its answer off in the middle.", "Ask again.")
_PROXY = _plain(ConnectionFailed, "a proxy is in the way.", _NAME)
_NO_LOGIN = _plain(AuthenticationFailed, "the login was refused.", _LOGIN)

_EXACT: Table = (
    ((WSManFaultReply, WSManFaultError), _faulted),
    (MalformedReply, _unintelligible),
    (ResponseTooLarge, _plain(MalformedResponse, "its reply is longer than any that WinRM may send.", _ELSE)),
    (WinRMTransportError, _http),
    (AuthenticationError, _NO_LOGIN),
    ((DeadlineExceeded, WinRMOperationTimeoutError), _late),
    (
        (KerberosExchangeError, MutualAuthenticationError, KrbError),
        _plain(AuthenticationFailed, "Kerberos did not succeed.", _TICKET),
    ),
    (
        (SpnegoError, NativeError, FeatureMissingError),
        _plain(AuthenticationFailed, "no login could be negotiated.", _LOGIN),
    ),
    (
        (requests_ntlm.NoCertificateRetrievedWarning, requests_ntlm.UnknownSignatureAlgorithmOID, UnsupportedAlgorithm),
        _plain(AuthenticationFailed, "its certificate cannot be bound to the login.", _CERTIFICATE),
    ),
)

# First match wins, so the exact kinds stand before those they derive from. Nearly all of these are OSErrors.
_NETWORK: Table = (
    (ssl.SSLCertVerificationError, _certificate),
    ((socket.gaierror, lib3.NameResolutionError), _NO_NAME),
    (
        (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        _plain(ConnectionFailed, "it broke off the TLS handshake.", _BROKEN_OFF),
    ),
    (ssl.SSLError, _tls),
    ((http.client.IncompleteRead, lib3.IncompleteRead, lib3.InvalidChunkLength), _UNFINISHED),
    ((ConnectionError, StaleConnection), _socket),
    (http.client.HTTPException, _NOT_HTTP),
    (PermissionError, _plain(AuthenticationFailed, "it does not offer the login that the settings ask for.", _LOGIN)),
    ((TimeoutError, req.Timeout), _late),
    (lib3.NewConnectionError, _NO_CONNECTION),
    ((lib3.TimeoutError, lib3.TimeoutStateError), _late),
    ((req.ProxyError, lib3.ProxyError, lib3.ProxySchemeUnknown, lib3.ProxySchemeUnsupported), _PROXY),
    ((req.SSLError, lib3.SSLError), _tls),
    (
        (req.InvalidURL, req.MissingSchema, req.InvalidSchema, lib3.LocationValueError, lib3.URLSchemeUnknown),
        _plain(PolicyViolation, "its address in the estate cannot be used.", _NAME),
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
