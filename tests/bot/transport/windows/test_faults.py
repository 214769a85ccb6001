"""Every exception that a library below may raise has a sentence of its own: this fails on one that has none."""

import http.client
import inspect
import socket
import ssl

import kerberos as pykerberos
import pytest
import requests.exceptions
import requests_ntlm.requests_ntlm
import spnego.exceptions
import urllib3.exceptions
import winrm.exceptions
from winrm.vendor.requests_kerberos import exceptions as kerberos

from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.transport.windows import fault_codes
from bot.transport.windows.exception_mapping import DeadlineExceeded, StaleConnection, from_exception, is_known
from bot.transport.windows.faults import from_code, from_fault
from bot.transport.windows.wsman import Fault, MalformedReply, WSManFaultReply

LIBRARIES = (
    winrm.exceptions,
    requests.exceptions,
    requests_ntlm.requests_ntlm,
    kerberos,
    urllib3.exceptions,
    spnego.exceptions,
    http.client,
    ssl,
    socket,
    pykerberos,
)


def exceptions_of(module):
    for thing in vars(module).values():
        if not (inspect.isclass(thing) and issubclass(thing, Exception)) or thing.__name__.startswith("_"):
            continue
        if not thing.__module__.startswith("gssapi"):  # pyspnego wraps these into SpnegoError
            yield thing


def made(cls):
    """An instance without its constructor: these want pools, responses and GSS codes."""
    error = cls.__new__(cls)
    Exception.__init__(error, "http", 500, "")
    return error


ALL = sorted({cls for module in LIBRARIES for cls in exceptions_of(module)}, key=lambda cls: f"{cls.__module__}{cls}")


def test_the_walk_finds_what_it_should():
    found = {cls.__name__ for cls in ALL}
    assert {"WSManFaultError", "ReadTimeout", "MaxRetryError", "SpnegoError", "KerberosExchangeError"} <= found
    assert len(ALL) > 90


@pytest.mark.parametrize(
    "cls", [cls for cls in ALL if cls is not Exception], ids=lambda cls: f"{cls.__module__}.{cls.__name__}"
)
def test_every_foreign_exception_is_known(cls):
    error = made(cls)
    if cls is winrm.exceptions.WSManFaultError:
        error = cls(500, "m", "r", "reason", wsman_fault_code=5)
    assert is_known(error), f"{cls} has no translation in bot/transport/windows/exception_mapping.py"
    translated = from_exception("hv01", error)
    assert isinstance(translated, TargetError)
    assert str(translated).startswith("hv01: ")
    assert translated.message.endswith((".", ")", "…")) or "It says" in translated.message


def test_a_stranger_is_not_known_but_still_translated():
    class Stranger(Exception):
        pass

    assert not is_known(Stranger("x"))
    assert isinstance(from_exception("hv01", Stranger("x")), MalformedResponse)


def wrapped(inner):
    """As urllib3 and requests wrap what the socket raised."""
    error = requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", inner))
    error.__context__ = inner
    return error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (wrapped(ConnectionRefusedError(111, "x")), ConnectionFailed, "nothing listens"),
        (wrapped(ConnectionResetError(104, "x")), ConnectionFailed, "closed the connection"),
        (wrapped(http.client.RemoteDisconnected("x")), ConnectionFailed, "closed the connection"),
        (wrapped(StaleConnection("x")), ConnectionFailed, "closed the connection"),
        (wrapped(socket.gaierror(-2, "x")), ConnectionFailed, "not known to DNS"),
        (wrapped(OSError(113, "x")), ConnectionFailed, "no way to it"),
        (wrapped(TimeoutError("x")), TargetTimeout, "no answer in 20 s"),
        (wrapped(http.client.BadStatusLine("SSH-2.0")), MalformedResponse, "does not speak HTTP"),
        (wrapped(http.client.IncompleteRead(b"")), MalformedResponse, "broke its answer off"),
        (DeadlineExceeded(), TargetTimeout, "no answer in 20 s"),
        (MalformedReply("the reply is empty"), MalformedResponse, "the reply is empty."),
        (requests.exceptions.TooManyRedirects("x"), MalformedResponse, "elsewhere"),
        (winrm.exceptions.InvalidCredentialsError("x"), AuthenticationFailed, "login was refused"),
        (PermissionError("no NTLM challenge"), AuthenticationFailed, "does not offer"),
        (kerberos.KerberosExchangeError("x"), AuthenticationFailed, "Kerberos"),
        (winrm.exceptions.WinRMTransportError("http", 404, ""), TargetFault, "no WinRM at this path"),
        (winrm.exceptions.WinRMTransportError("http", 500, ""), TargetFault, "want encryption"),
        (winrm.exceptions.WinRMTransportError("http", 503, "x"), ConnectionFailed, "not available"),
        (winrm.exceptions.WinRMTransportError("http", 502, "x"), MalformedResponse, "HTTP 502"),
        (winrm.exceptions.WinRMTransportError("http", 403, "x"), AuthenticationFailed, "HTTP 403"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), MalformedResponse, "lacks"),
        (KeyError("content-type"), MalformedResponse, "lacks"),
    ],
)
def test_what_happened_is_said(error, kind, says):
    translated = from_exception("hv01", error, 20.2)
    assert type(translated) is kind
    assert says in translated.message
    assert translated.hint or kind is TargetTimeout


def test_login_raised_while_handling_an_http_error_is_a_login():
    error = winrm.exceptions.InvalidCredentialsError("rejected")
    error.__context__ = requests.exceptions.HTTPError("401")
    assert isinstance(from_exception("hv01", error), AuthenticationFailed)


@pytest.mark.parametrize(
    ("code", "says"), [(10, "expired"), (62, "another name"), (9, "not valid yet"), (18, "not trusted")]
)
def test_certificates(code, says):
    inner = ssl.SSLCertVerificationError()
    inner.verify_code, inner.verify_message = code, "self-signed certificate"
    outer = requests.exceptions.SSLError(
        urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.SSLError(inner))
    )
    translated = from_exception("hv01", outer)
    assert isinstance(translated, ConnectionFailed)
    assert says in translated.message


@pytest.mark.parametrize("reason", ["SSLV3_ALERT_CERTIFICATE_EXPIRED", "TLSV1_ALERT_UNKNOWN_CA"])
def test_our_own_certificate_that_a_host_refuses_is_a_login(reason):
    inner = ssl.SSLError(1, "alert")
    inner.reason = reason
    translated = from_exception("hv01", requests.exceptions.SSLError(inner))
    assert isinstance(translated, AuthenticationFailed)
    assert "certificate in the settings" in translated.hint


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(5, "AccessDenied", ""), AuthenticationFailed),
        (Fault(2150858778, "CannotProcessFilter", "x"), NotFound),
        (Fault(2150858778, "CannotProcessFilter", "x", 0x8004106C), QuotaExceeded),
        (Fault(2150859173, "QuotaLimit", ""), QuotaExceeded),
        (Fault(2150859174, "InternalError", ""), QuotaExceeded),
        (Fault(2150858793, "TimedOut", ""), TargetTimeout),
        (Fault(None, "AccessDenied", ""), AuthenticationFailed),
        (Fault(None, "Nonsense", "words"), TargetFault),
        (Fault(2150850000, "InternalError", "words"), TargetFault),
    ],
)
def test_faults(fault, kind):
    assert type(from_fault("hv01", fault)) is kind


def test_unknown_code_is_shown_with_the_words_of_the_host():
    error = from_exception("hv01", WSManFaultReply(Fault(0x80338999, "InternalError", "Da stimmt was nicht.")))
    assert str(error) == "hv01: it answered with error 2150861209 (0x80338999): Da stimmt was nicht."
    assert isinstance(error, TargetFault)
    assert error.code == 0x80338999


def test_returned_codes():
    assert isinstance(from_code("hv01", 5), AuthenticationFailed)
    assert isinstance(from_code("hv01", 32), TargetFault)


def test_every_known_code_is_a_sentence():
    for code, known in {**fault_codes.KNOWN, **fault_codes.SUBCODES}.items():
        assert known.says.endswith("."), code
        assert not known.do or known.do.endswith("."), code
