"""What only a server of its own can do wrong: drip, talk without end, speak another protocol, present a bad certificate."""

import asyncio
import io
import ssl
from dataclasses import replace

import pytest
import requests
from urllib3 import HTTPResponse

from bot.api.actions import InvokeMethod
from bot.api.queries import GuestRegistry, GuestWql, Wql
from bot.config.inventory_file import InventoryFile
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    PolicyViolation,
    TargetError,
    TargetTimeout,
)
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.windows import host_operations, http_adapter
from bot.transport.windows.exception_mapping import ResponseTooLarge
from bot.transport.windows.http_adapter import LONGEST_REPLY, tls_context
from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.machine_protocol import Access

from .conftest import PASSWORD, READER, USER, Box, RawServer

QUESTION = Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",))
OK = b"HTTP/1.1 200 OK\r\n"


class Rude(RawServer):
    """A server that reads one request per connection and then does what it likes with the socket."""

    def __init__(self, act):
        super().__init__()
        self.act = act
        self.requests = 0

    def talk(self, client):
        while client.recv(65536):
            self.requests += 1
            if self.act(self, client) is not None:
                return


def says(data):
    return lambda _, client: client.sendall(data)


def drip(server, client):
    """A header byte now and then: no read ever times out."""
    client.sendall(OK)
    while not server.leaving.wait(0.05):
        client.sendall(b"X")


def flood(server, client):
    client.sendall(OK + b"Content-Length: 99999999999\r\n\r\n")
    return True


async def asked(url, login=READER, seconds=1.0):
    estate = InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}, "endpoints": {"hv01": url}})
    reach = TargetClient(Router(estate, {"reader": login}))
    try:
        return await reach.answer(QUESTION, seconds)
    finally:
        reach.close()
        await asyncio.to_thread(reach._threads.shutdown)


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (says(OK + b"Content-Type: text/html\r\nContent-Length: 12\r\n\r\n<html>hello "), MalformedResponse, "web page"),
        (says(OK + b"Content-Length: 0\r\n\r\n"), MalformedResponse, ""),
        (says(OK + b"Content-Length: 500\r\n\r\n<s:Env"), TargetError, ""),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"), MalformedResponse, "elsewhere"),
        (says(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), AuthenticationFailed, "does not offer"),
        (says(b"HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"), AuthenticationFailed, "does not offer"),
        (says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), TargetError, "no WinRM at this path"),
        (says(b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nabc"), ConnectionFailed, "not available"),
        (says(b"HTTP/1.1 502 No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n\xe9t\xe9!"), MalformedResponse, ""),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), MalformedResponse, "does not speak HTTP"),
        (flood, MalformedResponse, "longer than any"),
        (drip, TargetTimeout, "no answer in 1 s"),
        (lambda server, _: server.leaving.wait(10), TargetTimeout, "no answer in 1 s"),
        (lambda *_: True, ConnectionFailed, "closed the connection"),
    ],
)  # fmt: skip
async def test_whatever_answers_there_becomes_a_sentence(act, kind, words):
    with Rude(act) as url, pytest.raises(TargetError) as caught:
        await asked(url)
    assert isinstance(caught.value, kind), caught.value
    assert words in caught.value.message


async def test_a_login_that_failed_is_never_followed_by_a_message_in_clear():
    """pywinrm keeps a session whose first, blank message failed, and would send the next one unencrypted."""
    heard = []

    def listen(server, client):
        heard.append(server.requests)
        client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    rude = Rude(listen)
    with rude as url, pytest.raises(TargetError):
        await asked(url)
    assert rude.requests == 1  # the blank one


async def test_a_redirect_is_not_followed():
    rude = Rude(says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
    with rude as url, pytest.raises(MalformedResponse, match="elsewhere"):
        await asked(url)
    assert rude.requests == 1


@pytest.mark.parametrize(("length", "fits"), [(10, True), (11, False)])
def test_a_reply_without_a_length_is_not_read_for_ever(monkeypatch, length, fits):
    monkeypatch.setattr(http_adapter, "LONGEST_REPLY", 10)
    response = requests.Response()
    response.raw = HTTPResponse(io.BytesIO(b"x" * length), preload_content=False)
    if fits:
        http_adapter._read(response)
        assert response.content == b"x" * length
    else:
        with pytest.raises(ResponseTooLarge):
            http_adapter._read(response)


async def test_names_that_dns_does_not_know():
    with pytest.raises(ConnectionFailed, match="not known to DNS"):
        await asked("http://hv01.invalid:5985/wsman", seconds=10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = CertificateAuthority()
    return authority, authority.write(tmp_path_factory.mktemp("ca") / "ca.pem")


def tls_box(**access):
    box = Box()
    box.access = Access(accounts={USER: PASSWORD}, **access)
    box.classes["root/mscluster", "mscluster_node"] = [{"Name": "HV01"}]
    return box


def served(box, context):
    return BackgroundServer({"127.0.92.2": box}, tls={"127.0.92.2": context})


@pytest.mark.parametrize(("transport", "access"), [("ntlm", {}), ("basic", {"basic": True})])
async def test_logins_over_tls(authority, transport, access):
    ca, ca_file = authority
    with served(tls_box(**access), ca.server_context("127.0.92.2")) as up:
        login = Credentials(transport, USER, PASSWORD, ca_file=ca_file)
        answer = await asked(up.url("127.0.92.2", secure=True), login, 5)
        assert answer.rows == ({"Name": "HV01"},)
        with pytest.raises(AuthenticationFailed):
            await asked(up.url("127.0.92.2", secure=True), Credentials(transport, USER, "no", ca_file=ca_file), 5)


@pytest.mark.parametrize("transport", ["ntlm", "basic", "certificate"])
async def test_a_change_goes_over_the_connection_on_which_the_machine_told_its_name(
    authority, tmp_path, monkeypatch, transport
):
    """Behind an address that leads to several machines of one certificate, the next connection may be another one's."""
    ca, ca_file = authority
    issued = ca.client("operator@corp.example")
    certificate, key = issued.write(tmp_path, "operator")
    box = tls_box(basic=True, certificates={issued.thumbprint: USER})
    login = Credentials(transport, USER, PASSWORD, ca_file=ca_file)
    if transport == "certificate":
        login = Credentials(transport, certificate=certificate, key=key, ca_file=ca_file)

    def told(connection, deadline):
        check_itself(connection, deadline)
        connection._adapter._live.close()

    check_itself = host_operations.check_itself
    monkeypatch.setattr(host_operations, "check_itself", told)
    with served(box, ca.server_context("127.0.92.2")) as up:
        estate = InventoryFile.model_validate(
            {"hosts": {"hv01": {"domain": "x.example"}}, "endpoints": {"hv01": up.url("127.0.92.2", secure=True)}}
        )
        reach = TargetClient(Router(estate, {"reader": login, "operator": login}))
        try:
            with pytest.raises(ConnectionFailed, match="closed the connection"):
                await reach.invoke(InvokeMethod("hv01", "root/cimv2", (), "Win32_Service", "StopService"), 5)
            assert box.called == []
        finally:
            reach.close()


async def test_login_by_certificate(authority, tmp_path):
    ca, ca_file = authority
    issued = ca.client("reader@corp.example")
    certificate, key = issued.write(tmp_path, "reader")
    with served(tls_box(certificates={issued.thumbprint: USER}), ca.server_context("127.0.92.2")) as up:
        login = Credentials("certificate", certificate=certificate, key=key, ca_file=ca_file)
        answer = await asked(up.url("127.0.92.2", secure=True), login, 5)
        assert answer.rows == ({"Name": "HV01"},)


async def test_a_certificate_that_one_host_maps_to_no_account_may_open_another_one(authority, tmp_path):
    """It is mapped on each host by itself, and no password is called wrong."""
    ca, ca_file = authority
    certificate, key = ca.client("reader@corp.example").write(tmp_path, "reader")
    with served(tls_box(certificates={}), ca.server_context("127.0.92.2")) as up:
        url = up.url("127.0.92.2", secure=True)
        with pytest.raises(AuthenticationFailed) as caught:
            await asked(url, Credentials("certificate", certificate=certificate, key=key, ca_file=ca_file), 5)
        assert caught.value.is_only_there
        with pytest.raises(AuthenticationFailed) as caught:
            await asked(url, Credentials("basic", USER, "nonsense-9", ca_file=ca_file), 5)
        assert not caught.value.is_only_there


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "words"),
    [
        (("127.0.92.2",), True, True, "expired"),
        (("127.0.92.2",), False, False, "not trusted"),
        (("other.corp.example",), False, True, "made for another"),
    ],
)
async def test_bad_certificates(authority, names, expired, trusted, words):
    ca, ca_file = authority
    with served(tls_box(basic=True), ca.server_context(*names, expired=expired)) as up:
        login = Credentials("basic", USER, PASSWORD, ca_file=ca_file if trusted else None)
        with pytest.raises(ConnectionFailed, match=words) as caught:
            await asked(up.url("127.0.92.2", secure=True), login, 5)
        assert "certificate" in caught.value.hint


async def test_tls_spoken_to_a_plain_port():
    with Rude(says(b"HTTP/1.1 400 Bad\r\n\r\n")) as url, pytest.raises(ConnectionFailed, match="TLS"):
        await asked(url.replace("http:", "https:"), Credentials("basic", USER, PASSWORD))


def test_the_context_is_made_once_and_verifies(authority):
    _, ca_file = authority
    context = tls_context(ca_file, None, None)
    assert context is tls_context(ca_file, None, None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_guest_that_the_estate_pins_is_asked_over_tls(authority):
    ca, ca_file = authority
    box = tls_box()
    box.classes["root/cimv2", "win32_operatingsystem"] = [{"CSName": "TEST-TFS-01"}]
    login = Credentials("ntlm", USER, PASSWORD, ca_file=ca_file)
    with served(box, ca.server_context("127.0.92.2")) as up:
        estate = InventoryFile.model_validate(
            {
                "hosts": {"hv01": {"domain": "corp.example"}},
                "guest_domains": ["corp.example"],
                "endpoints": {"test-tfs-01": up.url("127.0.92.2", secure=True), "plain-01": up.url("127.0.92.2")},
            }
        )
        reach = TargetClient(Router(estate, {"guest": login}))
        try:
            question = GuestWql(
                "test-tfs-01", "TEST-TFS-01.corp.example", "id", "root/cimv2", "Win32_OperatingSystem", ("CSName",)
            )
            assert (await reach.answer(question, 5)).rows == ({"CSName": "TEST-TFS-01"},)
            values = GuestRegistry("test-tfs-01", "test-tfs-01.corp.example", "id", "SOFTWARE\\X", ("a",))
            assert (await reach.answer(values, 5)).rows == ({"a": None},)
            with pytest.raises(PolicyViolation, match="Kerberos only"):
                await reach.answer(replace(question, on="plain-01"), 5)
        finally:
            reach.close()


def test_chunks_of_two_bytes_are_not_kept_one_by_one():
    """Three replies of them took a hundred megabytes before they were joined."""
    pieces = list(http_adapter._bounded(lambda *_, **__: iter([b"xy"] * 200_000)))
    assert b"".join(pieces) == b"xy" * 200_000
    assert len(pieces) < 10


def test_of_a_body_little_is_read_at_a_time():
    asked, left = [], [LONGEST_REPLY]

    class Raw:
        def read(self, most, decode_content):
            asked.append(most)
            taken = min(most, left[0], 1_000)
            left[0] -= taken
            return b"x" * taken

    response = requests.Response()
    response.raw = Raw()
    http_adapter._read(response)
    assert len(response.content) == LONGEST_REPLY
    assert max(asked) <= 2**16
