"""Hosts and services that send mostly TLS: records of one byte each, or tickets without end, which no reply's length shows."""

import asyncio
import json
import ssl
from contextlib import suppress

import pytest
from httpcore._backends.anyio import AnyIOStream

from bot.api.queries import RunReader, Wql, make_params
from bot.config.inventory_file import InventoryFile, Web
from bot.errors import MalformedResponse, NotHttp
from bot.transport import client as transport
from bot.transport.client import TargetClient
from bot.transport.http import client as http
from bot.transport.http.commvault import BackupProduct, WebService
from bot.transport.http.probe import Prober
from bot.transport.routing import Credentials, Router
from bot.transport.windows import http_adapter
from lab.windows import CertificateAuthority

from .conftest import RawServer

ADDRESS = "127.0.94.1"
JOBS = RunReader("commvault", "commvault job", make_params(job=48211))
NODES = Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",))
TICKETS = 20_000  # a quarter of a kilobyte each
LENGTH = 300_000
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {LENGTH}\r\n\r\n".encode()


class Sealed(RawServer):
    """Answers each request with `head` and then a body in records of so many bytes. `sent` counts what goes over the wire."""

    address = ADDRESS
    patience = 5

    def __init__(self, context, record, body=b"x" * LENGTH, head=HEAD):
        super().__init__()
        self.context = context
        self.record = record
        self.body = body
        self.head = head
        self.sent = 0

    def __enter__(self):
        return super().__enter__().replace("http:", "https:")

    def talk(self, client):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)

        def flush():
            while told := outgoing.read(2**16):
                client.sendall(told)
                self.sent += len(told)

        def until_done(work):
            while True:
                with suppress(ssl.SSLWantReadError):
                    return work()
                flush()
                if not (told := client.recv(2**16)):
                    raise ConnectionResetError
                incoming.write(told)

        with suppress(ssl.SSLError):
            until_done(tls.do_handshake)
            flush()
            while until_done(lambda: tls.read(2**16)):
                tls.write(self.head)
                for at in range(0, len(self.body), self.record):
                    tls.write(self.body[at : at + self.record])
                    if outgoing.pending > 2**16:
                        flush()
                flush()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = CertificateAuthority()
    return made, made.write(tmp_path_factory.mktemp("ca") / "ca.pem")


@pytest.fixture(params=["records of one byte", "tickets"])
def wrapping(request, authority):
    """A server that sends nearly nothing but wrapping, and the file of its authority."""
    context = authority[0].server_context(ADDRESS)
    if request.param == "tickets":
        context.num_tickets = TICKETS
        return Sealed(context, 2**14), authority[1]
    return Sealed(context, 1), authority[1]


async def test_a_service_that_sends_mostly_tls_is_given_up(wrapping, monkeypatch):
    read, lengths = AnyIOStream.read, []

    async def counted(stream, max_bytes, timeout=None):  # noqa: ASYNC109
        lengths.append(max_bytes)
        return await read(stream, max_bytes, timeout)

    monkeypatch.setattr(AnyIOStream, "read", counted)
    server, ca_file = wrapping
    with server as url, pytest.raises(MalformedResponse, match="given up: it sends mostly TLS records"):
        await BackupProduct(WebService(url, "u", "p", ca_file)).answer(JOBS, 60)
    assert max(lengths) <= 4096  # so that others have the loop in between
    assert len(lengths) < 100


async def test_a_web_server_that_sends_mostly_tls_is_given_up(authority):
    context = authority[0].server_context(ADDRESS)
    context.num_tickets = TICKETS
    prober = Prober(Web(networks=(ADDRESS,)), 20)
    with Sealed(context, 2**14) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(NotHttp, match="was given up: it sends mostly TLS records"):
            await prober.answer(RunReader(ADDRESS, "http get", make_params(port=port, tls=True)), 60)


async def asked(url, ca_file):
    told = {"hosts": {"hv01": {"domain": "corp.example"}}, "endpoints": {"hv01": url}}
    login = Credentials("basic", "CORP\\reader", "Correct-Horse-7", ca_file=ca_file)
    client = TargetClient(Router(InventoryFile.model_validate(told), {"reader": login}))
    try:
        return await client.answer(NODES, 60)
    finally:
        client.close()
        await asyncio.to_thread(client._threads.shutdown)


async def test_a_host_that_sends_records_of_one_byte_is_given_up(authority):
    with (
        Sealed(authority[0].server_context(ADDRESS), 1) as url,
        pytest.raises(MalformedResponse, match="over TLS a few bytes at a time"),
    ):
        await asked(url, authority[1])


async def test_a_host_that_sends_tickets_without_end_is_given_up(authority, monkeypatch):
    """No read returns meanwhile: it is looked from beside what came over the wire."""
    monkeypatch.setattr(transport, "_WATCH", 0.01)
    monkeypatch.setattr(http_adapter, "_WRAPPING", 2**12)
    context = authority[0].server_context(ADDRESS)
    context.num_tickets = TICKETS
    with Sealed(context, 2**14) as url, pytest.raises(MalformedResponse, match="it sends mostly TLS records"):
        await asked(url, authority[1])


async def test_short_records_are_an_answer(authority):
    """Of a hundred bytes each, as who writes line by line sends."""
    body = json.dumps({"token": "x" * 100_000}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server = Sealed(authority[0].server_context(ADDRESS), 100, body, head)
    with server as url:
        async with http.open_client(url, authority[1], 60) as asking:
            for _ in range(3):
                assert (await http.send(asking, "GET", "Job")).body == body
