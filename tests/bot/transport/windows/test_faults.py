"""Every exception that a library below may raise has a sentence of its own: this fails on one that has none."""

import ast
import ctypes
import errno
import http.client
import inspect
import socket
import ssl
from _ssl import err_codes_to_names
from pathlib import Path

import kerberos as pykerberos
import pytest
import requests.exceptions
import requests_ntlm.requests_ntlm
import spnego.exceptions
import urllib3.exceptions
import winrm.exceptions
from winrm.vendor.requests_kerberos import exceptions as kerberos

import bot
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    LoginNotChecked,
    MalformedResponse,
    NotFound,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
)
from bot.transport import connection_reasons
from bot.transport.windows import fault_codes, kerberos_reasons, libkrb5
from bot.transport.windows.exception_mapping import (
    HTTP_SYS,
    REFUSED_CERTIFICATES,
    STATUSES,
    DeadlineExceeded,
    StaleConnection,
    from_exception,
    is_known,
)
from bot.transport.windows.fault_codes import KNOWN
from bot.transport.windows.faults import from_code, from_fault, from_return
from bot.transport.windows.wsman import Fault, MalformedReply, WSManFaultReply

SSL_LIBRARY = 20
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


libkrb5.load().krb5_init_context(ctypes.byref(ctypes.c_void_p()))  # either registers the errors of its library
pykerberos.authGSSClientInit("HTTP@hv01.corp.example")


def message_of(code):
    """What libkrb5 or GSS-API's Kerberos calls an error."""
    table = ctypes.CDLL("libcom_err.so.2")
    table.error_message.restype = ctypes.c_char_p
    return table.error_message(ctypes.c_long(code)).decode()


def gss_error(minor, words):
    """As pywinrm raises it: the numbers are only in what it was raised from."""
    error = kerberos.KerberosExchangeError(f"authGSSClientStep() failed: {words}")
    error.__context__ = pykerberos.GSSError(("Unspecified GSS failure", 851968), (words, minor))
    return error


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
        (gss_error(-1765328377, ""), AuthenticationFailed, "no service HTTP/"),
        (kerberos.MutualAuthenticationError("x"), AuthenticationFailed, "did not prove"),
        (winrm.exceptions.WinRMTransportError("http", 404, ""), TargetFault, "no WinRM at this path"),
        (winrm.exceptions.WinRMTransportError("http", 500, ""), TargetFault, "want encryption"),
        (winrm.exceptions.WinRMTransportError("http", 503, "x"), ConnectionFailed, "not available"),
        (winrm.exceptions.WinRMTransportError("http", 502, "x"), ConnectionFailed, "HTTP 502"),
        (winrm.exceptions.WinRMTransportError("http", 407, "x"), ConnectionFailed, "a proxy in the way"),
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
    ("code", "says"),
    [(10, "expired"), (62, "another name"), (9, "not valid yet"), (18, "not trusted"), (66, "not trusted")],
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
    assert ("ca_file" in translated.hint) == (code == 18)


def tls_error(reason):
    inner = ssl.SSLError(1, f"[SSL: {reason}] no words to go by (_ssl.c:1006)")
    inner.reason = reason
    return inner


@pytest.mark.parametrize(
    ("error", "is_only_there"),
    [
        (winrm.exceptions.InvalidCredentialsError("x"), False),
        (winrm.exceptions.WinRMTransportError("http", 401, ""), False),
        (winrm.exceptions.WinRMTransportError("http", 403, ""), True),
        (spnego.exceptions.BadMICError(), True),  # what it sealed is not sealed by this login
        (requests.exceptions.SSLError(tls_error("TLSV1_ALERT_UNKNOWN_CA")), True),
        (kerberos.MutualAuthenticationError("x"), True),
        (kerberos.KerberosExchangeError("a failure that is listed nowhere"), False),
    ],
)
def test_whether_a_refusal_is_that_of_one_host_alone(error, is_only_there):
    """Else nobody else is asked with the same password."""
    assert from_exception("hv01", error).is_only_there is is_only_there


def test_of_what_windows_answers_only_a_wrong_login_is_wrong_elsewhere():
    refused = {code: from_code("hv01", code) for code, known in KNOWN.items() if known.error is AuthenticationFailed}
    assert {code for code, error in refused.items() if not error.is_only_there} == {1326, 1331, 1909, 2150858806}
    assert [
        from_fault("hv01", Fault(None, name, "")).is_only_there for name in ("AccessDenied", "FailedAuthentication")
    ] == [
        True,
        False,
    ]


def test_of_what_a_kdc_says_only_what_it_says_of_the_host_is_of_one_host_alone():
    """Never what it says of the account, of its password or key, or of this machine's clock."""
    host_says = {number for number in range(256) if is_of_one_host(kerberos_reasons.BASE + number)}
    assert {7, 35, 41, 44, 45, 46} <= host_says
    assert not host_says & {1, 6, 9, 12, 18, 20, 21, 23, 24, 31, 32, 33, 37, 68, 141, 148, 154, 156, 181}


def is_of_one_host(code):
    return from_exception("hv01", gss_error(code, "")).is_only_there


@pytest.mark.parametrize("reason", REFUSED_CERTIFICATES)
def test_our_own_certificate_that_a_host_refuses_is_a_login(reason):
    translated = from_exception("hv01", requests.exceptions.SSLError(tls_error(reason)))
    assert isinstance(translated, AuthenticationFailed)
    assert "certificate in the settings" in translated.hint
    assert reason in translated.message


@pytest.mark.parametrize(
    "reason", sorted({name for (library, _), name in err_codes_to_names.items() if library == SSL_LIBRARY})
)
def test_every_reason_of_openssl_is_explained_by_the_table_or_quoted_without_advice(reason):
    translated = from_exception("hv01", requests.exceptions.SSLError(tls_error(reason)))
    if reason in REFUSED_CERTIFICATES:
        return
    assert type(translated) is ConnectionFailed
    if reason in connection_reasons.TLS:
        assert (translated.message, translated.hint) == connection_reasons.TLS[reason]
    else:
        assert (translated.message, translated.hint) == (f"no TLS connection could be made ({reason}).", "")


KERBEROS = {
    code: words
    for base in (kerberos_reasons.BASE, 39756032)
    for code in range(base, base + 256)
    if not (words := message_of(code)).startswith(("Unknown code", "KRB5 error code", "$Id$", "No error"))
}
"""Every error that libkrb5 and GSS-API's Kerberos have, with their own words."""


@pytest.mark.parametrize("code", KERBEROS, ids=KERBEROS.get)
@pytest.mark.parametrize("as_unsigned", [False, True])
def test_every_error_of_kerberos_is_explained_by_the_table_or_quoted_without_advice(code, as_unsigned):
    number = code % 2**32 if as_unsigned else code
    translated = from_exception("hv01", gss_error(number, "as the library puts it"))
    assert isinstance(translated, AuthenticationFailed)
    if code in kerberos_reasons.REASONS:
        reason = kerberos_reasons.REASONS[code]
        assert (translated.message, translated.hint, type(translated)) == reason
        assert reason.says.endswith(".")
        assert reason.do.endswith(".")
    else:
        assert (translated.message, translated.hint) == ("Kerberos did not succeed (as the library puts it).", "")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "Client's entry in database has expired"),
        (6, "Client not found in Kerberos database"),
        (7, "Server not found in Kerberos database"),
        (8, "Principal has multiple entries in Kerberos database"),
        (12, "KDC policy rejects request"),
        (14, "KDC has no support for encryption type"),
        (18, "Client's credentials have been revoked"),
        (23, "Password has expired"),
        (24, "Preauthentication failed"),
        (31, "Decrypt integrity check failed"),
        (32, "Ticket expired"),
        (37, "Clock skew too great"),
        (41, "Message stream modified"),
        (44, "Key version is not available"),
        (68, "Realm not local to KDC"),
        (135, "Can't open/find Kerberos configuration file"),
        (141, "Matching credential not found"),
        (147, "KDC reply did not match expectations"),
        (154, "Cannot find KDC for requested realm"),
        (156, "Cannot contact any KDC for requested realm"),
        (181, "Key table entry not found"),
        (185, "Cannot find ticket for requested realm"),
        (194, "Credentials cache permissions incorrect"),
        (195, "No credentials cache found"),
        (216, "Hostname cannot be canonicalized"),
        (217, "Cannot determine realm for host"),
        (220, "Cannot resolve network address for KDC in requested realm"),
        (224, "Configuration file does not specify default realm"),
        (236, "Encryption type not permitted"),
    ],
)
def test_the_numbers_of_kerberos_are_libkrb5s(number, words):
    assert KERBEROS[kerberos_reasons.BASE + number] == words
    assert kerberos_reasons.BASE + number in kerberos_reasons.REASONS


def test_every_reason_of_kerberos_is_an_error_that_the_library_has():
    assert kerberos_reasons.REASONS.keys() < KERBEROS.keys()


def test_words_of_kerberos_alone_advise_nothing():
    error = kerberos.KerberosExchangeError("authGSSClientStep() failed: Clock skew too great, Server not found")
    assert from_exception("hv01", error).hint == ""


def test_nobody_refused_a_login_that_no_kdc_could_be_asked_about():
    unasked = {code for code, reason in kerberos_reasons.REASONS.items() if reason.error is LoginNotChecked}
    assert unasked == {kerberos_reasons.BASE + number for number in (29, 154, 156, 220)}


@pytest.mark.parametrize(("status", "heading"), HTTP_SYS)
def test_a_page_of_http_sys_is_read_by_its_heading(status, heading):
    page = f"<HTML><BODY><h2>{heading}</h2><hr><p>HTTP Error {status}. Whatever.</p></BODY></HTML>"
    translated = from_exception("hv01", winrm.exceptions.WinRMTransportError("http", status, page))
    assert (translated.message, translated.hint) == HTTP_SYS[status, heading]


@pytest.mark.parametrize("page", ["<h2>Bad Request - Invalid Verb</h2>", "<p>Bad Request - Request Too Long</p>", ""])
def test_other_pages_of_http_sys_say_only_where_the_reason_stands(page):
    translated = from_exception("hv01", winrm.exceptions.WinRMTransportError("http", 400, page))
    assert "HTTP 400" in translated.message
    assert "HTTPERR" in translated.hint
    assert "groups" not in str(translated)


@pytest.mark.parametrize("body", ["", "<h2>Content Too Large</h2>"])
def test_a_message_that_is_too_long_is_no_matter_of_the_login(body):
    translated = from_exception("hv01", winrm.exceptions.WinRMTransportError("http", 413, body))
    assert (type(translated), "MaxEnvelopeSizekb" in translated.hint) == (TargetFault, True)
    assert "password" not in str(translated)


def test_plain_http_and_an_old_tls_are_two_reasons():
    plain = from_exception("hv01", requests.exceptions.SSLError(tls_error("WRONG_VERSION_NUMBER")))
    old = from_exception("hv01", requests.exceptions.SSLError(tls_error("UNSUPPORTED_PROTOCOL")))
    assert "plain HTTP" in plain.message
    assert "TLS 1.2" not in str(plain)
    assert "Switch TLS 1.2 on" in old.hint
    assert "port" not in str(old)


def test_words_alone_advise_nothing():
    error = from_exception(
        "hv01", requests.exceptions.SSLError(ssl.SSLError(1, "UNSUPPORTED VERSION of a certificate"))
    )
    assert (type(error), error.hint) == (ConnectionFailed, "")


@pytest.mark.parametrize("number", sorted(getattr(socket, name) for name in dir(socket) if name.startswith("EAI_")))
def test_every_error_of_the_resolver_is_explained_by_the_table_or_quoted_without_advice(number):
    translated = from_exception("hv01", wrapped(socket.gaierror(number, "as the resolver puts it")))
    assert type(translated) is ConnectionFailed
    if number in connection_reasons.NAMES:
        assert (translated.message, translated.hint) == connection_reasons.NAMES[number]
    else:
        assert "as the resolver puts it" in translated.message
        assert translated.hint == ""
    assert ("not known to DNS" in translated.message) == (number == socket.EAI_NONAME)


@pytest.mark.parametrize("status", [status.value for status in http.HTTPStatus if status >= 300])
def test_every_status_is_explained_by_the_table_or_quoted_without_advice(status):
    translated = from_exception("hv01", winrm.exceptions.WinRMTransportError("http", status, "x"))
    assert f"HTTP {status}" in translated.message
    assert bool(translated.hint) == (status in STATUSES)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOBUFS, errno.EMFILE])
def test_an_error_of_the_socket_that_is_not_listed_is_quoted_without_advice(number):
    translated = from_exception("hv01", wrapped(OSError(number, "as the system puts it")))
    assert translated.hint == "" or isinstance(translated, AuthenticationFailed)
    assert "as the system puts it" in translated.message or isinstance(translated, AuthenticationFailed)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x0A000086, "CERTIFICATE_VERIFY_FAILED"),
        (0x1416F086, "CERTIFICATE_VERIFY_FAILED"),
        (0x0A000102, "UNSUPPORTED_PROTOCOL"),
        (0x0A00010B, "WRONG_VERSION_NUMBER"),
        (0x1408F10B, "WRONG_VERSION_NUMBER"),
        (0x0A000001, ""),
        (0x03000086, ""),
        (0, ""),
    ],
)
def test_openssls_packed_codes(code, reason):
    assert connection_reasons.unpack_tls_reason(code) == reason


def test_the_numbers_of_reasons_are_openssls():
    known = {number: name for (library, number), name in err_codes_to_names.items() if library == SSL_LIBRARY}
    for number, name in known.items():
        assert connection_reasons.unpack_tls_reason(SSL_LIBRARY << 23 | number) in (name, "")
    told = {connection_reasons.unpack_tls_reason(SSL_LIBRARY << 23 | number) for number in known}
    assert connection_reasons.TLS.keys() < told
    assert REFUSED_CERTIFICATES.keys() < set(known.values())


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


RPC_FAILURES = (1722, 1726, 1727, 1753)


@pytest.mark.parametrize("code", [number for code in RPC_FAILURES for number in (code, 0x80070000 + code)])
def test_a_failure_of_rpc_is_unreachable_and_never_a_refusal(code):
    for error in (
        from_fault("hv01", Fault(code, "InternalError", "As Windows puts it.")),
        from_fault("hv01", Fault(2150858843, "InternalError", "x", code)),
        from_code("hv01", code),
        from_return("hv01", "MSCluster_Node", "Pause", code),
    ):
        assert (type(error), error.kind) == (ConnectionFailed, "unreachable")


def test_win32_codes_and_hresults_are_apart():
    assert type(from_code("hv01", 5)) is type(from_code("hv01", 0x80070005)) is AuthenticationFailed
    assert type(from_code("hv01", 0x80041722)) is TargetFault
    assert type(from_code("hv01", 0x40070000 + 1722)) is TargetFault


def methods_called():
    """Class and method of every action that hvops has, found where they are made: a new one needs a line in `HERE`."""
    for folder in ("bot", "commands"):
        for file in sorted((Path(bot.__file__).parents[1] / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InvokeMethod":
                    yield file.name


HERE = {
    "steps.py": ("MSCluster_Node", ("Pause", "Resume"), 5, "may not do this"),
    "write_access.py": ("MSCluster_Node", ("WillOfflineLoseQuorum",), 5, "may not do this"),
    "restarts.py": ("Win32_OperatingSystem", ("Reboot",), 5, "may not restart it"),
    "services.py": ("Win32_Service", ("StopService", "StartService"), 5, "accepts no such request in the state"),
}


def test_every_method_that_hvops_calls_has_return_values_of_its_own():
    assert set(methods_called()) == set(HERE)
    for cls, methods, returned, says in HERE.values():
        for method in methods:
            error = from_return("hv01", cls, method, returned)
            assert error.message.startswith(f"{cls}.{method} returned {returned}: ")
            assert says in error.message
            assert error.code == returned


@pytest.mark.parametrize("returned", range(1, 25))
def test_each_return_value_of_a_service_has_a_meaning(returned):
    error = from_return("hv01", "Win32_Service", "StopService", returned)
    assert type(error) is TargetFault
    assert "login" not in error.message
    documented = {*range(1, 25)}
    assert ("no meaning" in error.message) == (returned not in documented)


@pytest.mark.parametrize("returned", [1, 5, 4096, 4099, *range(32768, 32780)])
def test_the_return_values_of_hyper_v_are_its_own(returned):
    error = from_return("hv01", "Msvm_ComputerSystem", "RequestStateChange", returned)
    assert type(error) is TargetFault
    assert "no meaning" not in error.message
    assert "error" not in error.message


@pytest.mark.parametrize("cls", ["Win32_Service", "Msvm_ComputerSystem", "MSFT_Disk"])
@pytest.mark.parametrize("returned", [1326, 1722, 65_535, 2150858793])
def test_a_number_that_the_class_does_not_have_is_no_error_of_windows(cls, returned):
    error = from_return("hv01", cls, "Method", returned)
    assert type(error) is TargetFault
    assert error.message.endswith(f"returned {returned}: the documents have no meaning for it")
