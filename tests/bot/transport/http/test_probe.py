"""One raw request: sent as asked, to the address that was checked, bounded, and with nothing of a body."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from bot.api.queries import RunReader, make_params
from bot.api.web import read_address, without_values
from bot.config.inventory_file import InventoryFile, Web
from bot.errors import (
    ConnectionFailed,
    HeadTooLong,
    NotHttp,
    NotListening,
    NoTls,
    PolicyViolation,
    TargetError,
    TargetTimeout,
)
from bot.transport.allowlist.web_probe import ANSWERS
from bot.transport.client import TargetClient
from bot.transport.http import probe
from bot.transport.http.probe import LONGEST_LOCATION, MAX_HEAD, Prober
from bot.transport.routing import Router
from bot.transport.turns import asking_as
from lab.windows import CertificateAuthority, certificates

ADDRESS = "127.0.93.1"
SECONDS = 5.0
OK = b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/7.5\r\nContent-Length: 4\r\n\r\nbody"


class Server:
    """A TCP server that keeps what it was sent, and says what the test wants."""

    def __init__(self, port):
        self.port = port
        self.heard = []
        self.names = []
        self.connections = 0


@asynccontextmanager
async def serving(says=OK, tls=None):
    """`says` is bytes, or an async function of reader and writer."""
    server = Server(0)

    async def talk(reader, writer):
        server.connections += 1
        try:
            server.heard.append(await reader.readuntil(b"\r\n\r\n"))
            if callable(says):
                await says(reader, writer)
            else:
                writer.write(says)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    if tls is not None:
        tls.sni_callback = lambda _connection, name, _context: server.names.append(name)
    listening = await asyncio.start_server(talk, ADDRESS, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


async def ask(port, *, web=None, on=ADDRESS, what="http get", silence=0.4, seconds=SECONDS, **params):
    """The row and the evidence."""
    prober = Prober(web or Web(networks=(ADDRESS,)), silence)
    rows, raw = await prober.answer(RunReader(on, what, make_params(port=port, **params)), seconds)
    return rows[0], raw


def resolving(monkeypatch, *answers):
    """Let the resolver give one answer after the other, each a list of addresses; keeps the names it was asked for."""
    asked = []

    def look(name, port, *_args, **_options):
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(name)
        if isinstance(found, Exception):
            raise found
        families = [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in found]
        return [(family, socket.SOCK_STREAM, 6, "", (one, port)) for family, one in families]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


async def test_the_head_is_told_and_the_body_never_kept():
    async with serving() as server:
        row, raw = await ask(server.port)
    assert (row["status"], row["reason"], row["version"], row["server"]) == (200, "OK", "1.1", "Microsoft-IIS/7.5")
    assert (row["address"], row["port"], row["location"], row["tls"]) == (ADDRESS, server.port, None, "")
    assert row["own_address"].startswith("127.")
    assert "body" not in raw


@pytest.mark.parametrize(
    ("params", "first", "host"),
    [
        ({}, "GET / HTTP/1.1", None),
        ({"version": "1.0"}, "GET / HTTP/1.0", None),
        ({"host": "www.corp.example"}, "GET / HTTP/1.1", "www.corp.example"),
        ({"host": "www.corp.example:8080", "version": "1.0"}, "GET / HTTP/1.0", "www.corp.example:8080"),
        ({"what": "http head", "target": "/health?a=1", "host": "10.1.0.5"}, "HEAD /health?a=1 HTTP/1.1", "10.1.0.5"),
        ({"host": "[fd12::1]:81"}, "GET / HTTP/1.1", "[fd12::1]:81"),
    ],
)
async def test_a_request_is_sent_as_it_was_asked_for(params, first, host):
    async with serving() as server:
        await ask(server.port, **params)
    lines = server.heard[0].decode().split("\r\n")
    assert lines[0] == first
    assert [line for line in lines if line.lower().startswith("host:")] == ([f"Host: {host}"] if host else [])
    assert not [line for line in lines if line.lower().startswith(("cookie", "authorization"))]
    assert "Connection: close" in lines


@pytest.mark.parametrize(
    "params",
    [
        {"target": "/\r\nX: y"},
        {"target": "/ HTTP/1.1\r\nHost: evil"},
        {"target": "/a b"},
        {"target": "/ä"},
        {"target": "http://elsewhere/"},
        {"target": "*"},
        {"target": "/" + "a" * 5000},
        {"target": "/\x00"},
        {"host": "www\r\nX: y"},
        {"host": ""},
        {"host": "www.corp.example/x"},
        {"host": "user@www.corp.example"},
        {"host": "a b"},
        {"version": "2"},
        {"version": "1.1\r\nX: y"},
        {"server_name": "10.1.0.5", "tls": True},
        {"server_name": "a\x00b", "tls": True},
        {"address": "127.1"},
        {"address": "www.corp.example"},
        {"tls": "yes"},
        {"port": 0},
        {"port": 70_000},
        {"port": "80"},
        {"cookie": "a=b"},
    ],
)
async def test_nothing_that_could_be_another_header_or_request_is_sent(params):
    async with serving() as server:
        with pytest.raises(PolicyViolation):
            await ask(**({"port": server.port} | params))
        assert not server.connections


async def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to(monkeypatch):
    async with serving() as server:
        asked = resolving(monkeypatch, [ADDRESS], ["169.254.169.254"])  # another answer each time it is asked
        row, _ = await ask(server.port, on="www.corp.example", host="www.corp.example")
        assert row["status"] == 200
        assert asked == ["www.corp.example"]
        resolving(monkeypatch, ["169.254.169.254"], [ADDRESS])
        with pytest.raises(PolicyViolation, match="metadata"):
            await ask(server.port, on="www.corp.example")


WIDE = Web(networks=("10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "100.64.0.0/10", "168.63.0.0/16", "fd00::/32"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1", "machine that hvops runs on"),
        ("127.0.93.1", "machine that hvops runs on"),
        ("::1", "machine that hvops runs on"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd00:c1::a9fe:a9fe", "metadata"),
        ("fd00:42::42", "metadata"),
        ("::ffff:a00:1", "inside of an IPv6"),
        ("::ffff:127.0.0.1", "inside of an IPv6"),
        ("::a00:1", "inside of an IPv6"),
        ("64:ff9b::a00:1", "inside of an IPv6"),
        ("2002:a00:1::1", "inside of an IPv6"),
        ("0.0.0.0", "no single machine"),
        ("::", "inside of an IPv6"),
        ("224.0.0.1", "no single machine"),
        ("255.255.255.255", "no single machine"),
        ("8.8.8.8", "none of the networks"),
        ("2606:4700::1", "none of the networks"),
        ("172.32.0.1", "none of the networks"),
    ],
)
async def test_an_address_that_is_not_listed_is_never_connected_to(monkeypatch, address, says):
    resolving(monkeypatch, [address])
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a connection was begun"))
    with pytest.raises(PolicyViolation, match=says):
        await ask(80, web=WIDE, on="www.corp.example")
    if read_address(address) is not None:
        with pytest.raises(PolicyViolation, match=says):
            await ask(80, web=WIDE, on=address)
        with pytest.raises(PolicyViolation, match=says):
            await ask(80, web=WIDE, on="www.corp.example", address=address)


@pytest.mark.parametrize(
    "name",
    [
        *("127.1", "127.0.0.01", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.0x1", "1.2.3.4.5"),
        *(
            "münchen.example",
            "１２７.0.0.1",
            "127。0。0。1",
            "localhost%00",
            "a b",
            "www..example",
            "-x",
            "[::1]",
            "::ffff:10.0.0.1",
        ),
        *(
            "www.corp.example/x",
            "user@www.corp.example",
            "",
            "a" * 64,
            "a." * 130 + "a",
            "www.corp.example:80",
            "x\r\ny",
        ),
    ],
)
async def test_odd_spellings_never_reach_the_resolver(monkeypatch, name):
    asked = resolving(monkeypatch, [ADDRESS])
    with pytest.raises(PolicyViolation):
        await ask(80, on=name)
    assert asked == []


async def test_of_several_addresses_one_that_is_listed_is_asked(monkeypatch):
    async with serving() as server:
        resolving(monkeypatch, ["169.254.169.254", "8.8.8.8", ADDRESS])
        row, _ = await ask(server.port, on="www.corp.example")
    assert row["address"] == ADDRESS
    assert row["addresses"] == ("169.254.169.254", "8.8.8.8", ADDRESS)


@pytest.mark.parametrize("key", ["www.corp.example", "WWW.corp.example:81", "10.1.0.71:81"])
async def test_the_inventory_itself_says_where_a_host_is(monkeypatch, key):
    asked = resolving(monkeypatch, ["8.8.8.8"])
    async with serving() as server:
        web = Web(hosts={key: f"{ADDRESS}:{server.port}"})
        on = "10.1.0.71" if key.startswith("10.") else "www.corp.example"
        row, _ = await ask(81, web=web, on=on)
    assert (row["status"], row["pinned"], row["address"]) == (200, True, ADDRESS)
    assert not asked


async def test_without_a_table_nothing_is_asked(monkeypatch):
    asked = resolving(monkeypatch, [ADDRESS])
    with pytest.raises(PolicyViolation, match=r"Add a table \[web\]"):
        await ask(80, web=Web(), on="www.corp.example")
    assert not asked


@pytest.mark.parametrize(
    ("web", "says"),
    [
        ({"networks": ["0.0.0.0/0"]}, "wider than"),
        ({"networks": ["::/0"]}, "wider than"),
        ({"networks": ["10.1.0.5/24"]}, "no network"),
        ({"networks": ["169.254.0.0/16"]}, "link-local"),
        ({"networks": ["::ffff:10.0.0.0/104"]}, "inside of an IPv6"),
        ({"networks": ["www.corp.example"]}, "no network"),
        ({"hosts": {"www.corp.example": "169.254.169.254"}}, "link-local"),
        ({"hosts": {"www.corp.example": "127.1"}}, "no address"),
        ({"hosts": {"www.corp.example": "10.1.0.5:0"}}, "with or without a port"),
        ({"hosts": {"http://www.corp.example": "10.1.0.5"}}, "with or without a port"),
        ({"hosts": {"www.corp.example": "10.1.0.5", "WWW.corp.example": "10.1.0.6"}}, "twice"),
        ({"network": ["10.0.0.0/8"]}, "Extra inputs"),
    ],
)
def test_an_inventory_that_would_open_too_much_is_refused(web, says):
    hosts = {"web01": {"domain": "corp.example"}}
    assert InventoryFile.model_validate({"hosts": hosts}).web == Web()
    with pytest.raises(ValueError, match=says):
        InventoryFile.model_validate({"hosts": hosts, "web": web})


async def test_a_refused_connection_has_a_kind_of_its_own():
    with socket.create_server((ADDRESS, 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(NotListening, match="refuses the connection") as told:
        await ask(port)
    assert told.value.kind == "connection refused"


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), ConnectionFailed, "not known to DNS"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), ConnectionFailed, "resolver does not answer"),
        (UnicodeError("label too long"), ConnectionFailed, "could not be looked up"),
    ],
)
async def test_a_name_that_is_not_found(monkeypatch, failure, kind, says):
    resolving(monkeypatch, failure)
    with pytest.raises(kind, match=says):
        await ask(80, on="www.corp.example", silence=SECONDS)


async def test_a_resolver_that_hangs_costs_no_more_than_its_time(monkeypatch):
    free = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_args, **_options):
        asyncio.run_coroutine_threadsafe(free.wait(), loop).result()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(TargetTimeout, match="resolver"):
        await ask(80, on="www.corp.example", silence=0.2)
    free.set()


async def hangs(reader, _writer):
    await reader.read()


async def drips(_reader, writer):
    for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
        writer.write(bytes((letter,)))
        await writer.drain()
        await asyncio.sleep(0.02)


async def never_ends(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Again: and again\r\n" * 100)
        await writer.drain()


async def interim_for_ever(_reader, writer):
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()


async def pours(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (hangs, TargetTimeout, "took the request and did not answer"),
        (b"", ConnectionFailed, "closes the connection without an answer|cuts the connection off"),
        (b"HTTP/1.1 200 OK\r\nServ", ConnectionFailed, "after 21 bytes|cuts the connection off"),
        (never_ends, HeadTooLong, "no end within"),
        (interim_for_ever, HeadTooLong, "no end within"),
        (b"HTTP/1.1 302 Found\r\nLocation: /" + b"a" * 2 * MAX_HEAD + b"\r\n\r\n", HeadTooLong, "no end within"),
        (b"<html><h1>400</h1></html>", NotHttp, "no HTTP/1.x"),
        (b"220 mail.corp.example ESMTP\r\n", NotHttp, "no HTTP/1.x"),
        (b"HTTP/2 200\r\n\r\n", NotHttp, "no HTTP/1.x"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", NotHttp, "no HTTP/1.x"),
        (b"HTTP/1.1 two hundred\r\n\r\n", NotHttp, "breaks the rules"),
        (b"HTTP/1.1 200 OK\r\nLocation : /x\r\n\r\n", NotHttp, "is no header, which no web server sends"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", NotHttp, "breaks the rules"),
    ],
)
async def test_what_is_no_answer_is_told_by_its_reason(says, kind, words):
    async with serving(says) as server:
        with pytest.raises(kind, match=words):
            await ask(server.port)


@pytest.mark.parametrize("secret", ["Winter-2026!", "S\u00f6mmer-2026!", "Z\u00fcrich", "a\tb\\c\x80"])
@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"HTTP/1.1 2000 %b\r\n\r\n", "its first line is none"),
        (b"HTTP/1.1 200 OK\r\nlogon failed %b\r\n\r\n", "a line of the head of its answer is no header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n", "its length is no number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %b\r\n\r\n", "would come in a way that nobody asked for"),
        (b"HTTP/1.1 200 OK\r\na: %b\0\r\n\r\n", "zero byte"),
        (b"%b\r\n\r\n", "no HTTP/1.x"),
        (b"SSH-%b\r\n\r\n", "it looks like SSH"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_of_what_breaks_the_rules_nothing_is_repeated(says, words, secret, encoding):
    """Bytes are shown as escapes, in which no mask finds a secret, and what is cut is the beginning of one."""
    async with serving(says % secret.encode(encoding)) as server:
        with pytest.raises(NotHttp, match=words) as refused:
            await ask(server.port)
    told = str(refused.value)
    for part in (secret[-4:], secret[:4], repr(secret.encode(encoding))[2:-1]):
        assert part not in told


@pytest.mark.parametrize(
    ("head", "kind", "words"),
    [
        (b"a:" + b" " * 30_000 + b"\x0b", NotHttp, "256 blanks in a row, which no web server sends"),
        (b"WWW-Authenticate: " + b"," * 40, NotHttp, "16 commas in a row, which no web server sends"),
        (b"a: b\rc: d", NotHttp, "has a bare carriage return in it, which no web server sends"),
        (b"a: b\r\n" * 4_500, HeadTooLong, "more than 4,000 lines"),
    ],
)
async def test_a_head_that_no_honest_server_sends_is_named(head, kind, words):
    async with serving(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n") as server:
        with pytest.raises(kind, match=words):
            await ask(server.port)


async def test_slow_bytes_end_with_the_whole_time():
    async with serving(drips) as server:
        began = time.monotonic()
        with pytest.raises(TargetTimeout, match=r"did not come whole|stopped after"):
            await ask(server.port, seconds=0.6)
        assert time.monotonic() - began < 30  # it would drip for ever


async def test_a_body_without_end_is_cut_off():
    async with serving(pours) as server:
        row, raw = await ask(server.port)
    assert row["status"] == 200
    assert len(raw) < 1_000


async def test_interim_answers_come_before_the_answer():
    async with serving(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK) as server:
        row, _ = await ask(server.port)
    assert row["status"] == 200


async def test_a_long_location_is_cut_and_says_so():
    long = b"/" + b"a" * (LONGEST_LOCATION + 10)
    async with serving(b"HTTP/1.1 302 Found\r\nLocation: " + long + b"\r\n\r\n") as server:
        row, _ = await ask(server.port)
    assert (len(row["location"]), row["location_cut"]) == (LONGEST_LOCATION, True)


async def test_what_may_be_a_session_stands_in_no_evidence():
    head = (
        b"HTTP/1.1 302 Found\r\nLocation: https://jo:hunter22@sso.corp.example/in;sid=c0ffee?SAMLRequest=abcdef&x#id_token=zzz\r\n"
        b"Set-Cookie: session=topsecret\r\nX-Debug: topsecret\r\nWWW-Authenticate: Negotiate topsecret\r\n\r\n"
    )
    async with serving(head) as server:
        row, raw = await ask(server.port, target="/a?token=mysecret")
    for secret in ("hunter22", "jo:", "c0ffee", "abcdef", "zzz", "topsecret", "mysecret"):
        assert secret not in raw
    assert "https://…@sso.corp.example/in;sid=…?SAMLRequest=…&…#…" in raw
    assert row["login"] == "Negotiate"
    assert "topsecret" not in repr(row)


async def test_two_different_locations_are_counted():
    async with serving(b"HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\n\r\n") as server:
        row, _ = await ask(server.port)
    assert row["locations"] == 2


@pytest.fixture(scope="module")
def authority():
    return CertificateAuthority()


@pytest.mark.parametrize("name", ["www.corp.example", ""])
async def test_the_name_in_the_tls_hello_is_the_one_that_was_asked_for(authority, name):
    async with serving(tls=authority.server_context("www.corp.example", "10.1.0.5")) as server:
        row, _ = await ask(server.port, tls=True, server_name=name, host="other.corp.example")
    assert server.names == [name or None]
    assert row["tls"].startswith("TLSv1.")
    assert row["certificate"]["names"] == ("www.corp.example", "10.1.0.5")
    assert row["certificate"]["issuer"] == "Practice World Root CA"
    assert not row["certificate"]["unreadable"]


async def test_a_certificate_is_read_beside_the_loop(authority, monkeypatch):
    """One of fourteen thousand addresses held it for a tenth of a second."""
    reads, real = [], probe._certificate
    monkeypatch.setattr(probe, "_certificate", lambda told: reads.append(threading.current_thread()) or real(told))
    many = [f"10.1.{number // 250}.{number % 250}" for number in range(2_000)]
    async with serving(tls=authority.server_context("www.corp.example", *many)) as server:
        row, _ = await ask(server.port, tls=True)
    assert len(row["certificate"]["names"]) == 50
    assert len(reads) == 1
    assert threading.main_thread() not in reads


async def test_an_expired_certificate_is_told_and_not_judged(authority):
    async with serving(tls=authority.server_context("www.corp.example", expired=True)) as server:
        row, _ = await ask(server.port, tls=True)
    assert row["status"] == 200
    assert datetime.fromisoformat(row["certificate"]["ends"]) < datetime.now(UTC)


async def test_tls_that_cannot_be_made_has_a_kind_of_its_own(authority):
    async with serving(b"HTTP/1.1 400 Bad\r\n\r\n") as server:
        with pytest.raises(NoTls):  # it waits for a whole request, and answers in clear
            await ask(server.port, tls=True, server_name="www.corp.example")
    context = authority.server_context("www.corp.example")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.sni_callback = None

    def unknown(_connection, name, _context):
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None else None

    async with serving() as plain:  # a server that needs a name, as http.sys without a default binding
        context.sni_callback = unknown
        listening = await asyncio.start_server(lambda *_: None, ADDRESS, 0, ssl=context)
        async with listening:
            with pytest.raises(NoTls, match=r"without a name \(SNI\)"):
                await ask(listening.sockets[0].getsockname()[1], tls=True)
        assert not plain.connections


async def test_no_server_chooses_the_numbers_of_a_handshake_on_the_loop(authority, monkeypatch, tmp_path):
    """Of 10,000 bits, as many as OpenSSL takes, they are computed with for more than a second."""
    monkeypatch.setattr(certificates.ec, "generate_private_key", lambda _: rsa.generate_private_key(65537, 2048))
    context = authority.server_context("www.corp.example")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    numbers = bytes.fromhex("308201080282010100") + (2**2048 - 1_942_289).to_bytes(256, "big") + b"\x02\x01\x02"
    told = base64.encodebytes(numbers).decode()
    (tmp_path / "numbers").write_text(f"-----BEGIN DH PARAMETERS-----\n{told}-----END DH PARAMETERS-----\n")
    context.load_dh_params(tmp_path / "numbers")
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
    async with serving(tls=context) as server:
        with pytest.raises(NoTls):
            await ask(server.port, tls=True)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256")
    async with serving(tls=context) as server:
        assert (await ask(server.port, tls=True))[0]["tls"] == "TLSv1.2"


async def test_plain_http_asked_of_a_tls_port_is_not_http_or_cut_off(authority):
    async with serving(tls=authority.server_context("www.corp.example")) as server:
        with pytest.raises((NotHttp, ConnectionFailed)):
            await ask(server.port)


async def test_the_client_takes_it_for_a_read_and_never_for_a_change():
    inventory = InventoryFile.model_validate(
        {"hosts": {"web01": {"domain": "corp.example"}}, "web": {"networks": [ADDRESS]}}
    )
    client = TargetClient(Router(inventory, {}), at_once=2, prober=Prober(inventory.web))
    try:
        async with serving() as server:
            answer = await client.answer(RunReader(ADDRESS, "http head", make_params(port=server.port)))
        assert answer.rows[0]["status"] == 200
        assert answer.by == ADDRESS
        with pytest.raises(TargetError):
            await client.answer(RunReader(ADDRESS, "http post", make_params(port=80)))
    finally:
        client.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/a?b=c&d", "/a?b=…&…"),
        ("http://u:p@h/x", "http://…@h/x"),
        ("http://u@p@h/x", "http://…@h/x"),
        ("//u@h", "//…@h"),
        ("/x;jsessionid=1/y;v=2?q", "/x;jsessionid=…/y;v=…?…"),
        ("/x#access_token=1", "/x#…"),
        ("/plain/", "/plain/"),
        ("/x?", "/x?"),
    ],
)
def test_a_url_is_shown_without_what_it_may_hold(url, shown):
    assert without_values(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "http:\\\\user:pw1@h/", "http:/user:pw1@h/", "https:user:pw1@h/", "\\\\user:pw1@h/", "/\\user:pw1@h/", "user:pw1@h/", "FTP:\\user:pw1@h",
        "http://u:pw1 x@h/", "http://u:x pw1@h/", "http://u:x\tpw1@h/", "http://u:x\u2028pw1@h/", "http://u:pw1/w@h/", "http://u:w/pw1@h/",
        "http://u:w?pw1@h/", "http://u:w#pw1@h/", "http://u:pw1?w@h/", "http://u:pw1#w@h/", "http://pw1/w@h/", "http://u:pw1%40h/", "http://u:pw1",
        "http://u:a@b/pw1@h/", "http://u:a@b:pw1", "/x/u:pw1@h", "u/pw1@h", "https:/pw1@h", "http:///u:pw1@h/", " \thttp://u:pw1@h/", "//u:pw1\\w@h",
        "http://h/?cHcpw1=", "http://h/?cHcpw1==&a=1", "http://h/?pw1", "http://h/?a=b=pw1", "http://h/?a;pw1=1", "http://h/?" + "pw1" * 20 + "=1",
        "/login%3Ftoken=pw1", "/login%3ftoken=pw1", "/login%253Ftoken=pw1", "/login%23token=pw1", "http://h/x%3Bsession=pw1",
        "http://h/(S(pw1))/x", "http://h/(s(pw1))/x", "/(A(x)S(pw1))/", "/(X(1)F(pw1))", "/%28S%28pw1%29%29/x",
        "http://h/a;token=x;b=pw1/c", "http://h/a;pw1", "/x;jsessionid=a=pw1",
    ],
)  # fmt: skip
def test_a_secret_in_an_odd_spelling_is_not_shown(url):
    assert "pw1" not in without_values(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.corp.example:8080/manual/a.b_c~d/", "https://[fd12::1]:81/x", "//www.corp.example/", "/@jo/x", "http://h/@jo", "manual/",
        "http:///x", "https://m\u00fcnchen.example/", "/a(b)/c%20d",
    ],
)  # fmt: skip
def test_what_holds_no_secret_is_shown_whole(url):
    assert without_values(url) == url


def test_a_host_is_told_from_what_stands_behind_it():
    """Nobody is to take an address in a path for the host that answers."""
    assert without_values("http://shop.example/bye/jo@x.example") == "http://shop.example/…@x.example"


@given(st.text("u:p@/\\?#;=%3F(S) h.", max_size=40))
def test_no_text_breaks_it(text):
    without_values(f"http:{text}")
    without_values(text)


async def test_slow_names_of_one_person_leave_the_resolver_to_others(monkeypatch):
    """Their threads hang on after their questions have ended; whoever else asks waits for none of them."""
    go_on = threading.Event()
    hang = lambda name, *_, **__: go_on.wait(30) and [] if "hole" in name else [(2, 1, 6, "", (ADDRESS, 80))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    prober = Prober(Web(networks=("127.0.93.0/24",)), silence=0.2)

    async def ask_for(name, who, port):
        with asking_as(who):
            question = RunReader(name, "http get", make_params(port=port, host=name))
            return await prober.answer(question, SECONDS)

    try:
        async with serving() as server:
            for _ in range(2):  # the second time, all of their places are taken by threads that hang
                holes = [ask_for(f"x{number}.hole.example", "U1", 80) for number in range(16)]
                ended = await asyncio.gather(*holes, return_exceptions=True)
                assert all(isinstance(one, TargetTimeout) for one in ended)
                assert await ask_for("www.corp.example", "U2", server.port)  # those hang for far longer than its time
    finally:
        go_on.set()


async def test_a_place_at_the_resolver_is_free_again_when_its_thread_ends(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait(30) and [(2, 1, 6, "", (ADDRESS, 80))])
    prober = Prober(Web(networks=("127.0.93.0/24",)), silence=0.2)
    try:
        with asking_as("U1"):
            many = [
                prober.answer(RunReader(f"x{one}.example", "http get", make_params(port=80)), 2) for one in range(8)
            ]
            await asyncio.gather(*many, return_exceptions=True)
            with pytest.raises(TargetTimeout, match="the resolver was busy with names asked for before"):
                await prober.answer(RunReader("www.corp.example", "http get", make_params(port=80)), 2)
            go_on.set()
            async with serving() as server:
                async with asyncio.timeout(5):
                    while prober._names._places._held:  # noqa: ASYNC110 - a thread tells nobody here
                        await asyncio.sleep(0.01)
                assert await prober.answer(RunReader("www.corp.example", "http get", make_params(port=server.port)), 2)
    finally:
        go_on.set()


async def connected(port, *, web=None, on=ADDRESS, **params):
    """A connection alone."""
    prober = Prober(web or Web(networks=(ADDRESS,)), 0.4)
    return await prober.connect(RunReader(on, ANSWERS, make_params(port=port, **params)), SECONDS)


async def test_a_connection_alone_sends_nothing():
    came = asyncio.get_running_loop().create_future()

    async def talk(reader, writer):
        came.set_result(await reader.read())
        writer.close()

    listening = await asyncio.start_server(talk, ADDRESS, 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        (row,), raw = await connected(port)
        with contextlib.suppress(ConnectionResetError):
            assert await came == b""
    assert (row["address"], row["port"]) == (ADDRESS, port)
    assert float(row["milliseconds"]) >= 0
    assert raw.startswith(f"{ADDRESS}:{port}: connected in ")


@pytest.mark.parametrize(
    ("port", "params", "says"),
    [
        (443, {"port": 0}, "takes a port"),
        (443, {"target": "/"}, "target"),
        (443, {}, "is the machine that hvops runs on"),
    ],
)
async def test_a_connection_goes_nowhere_but_to_what_is_listed(port, params, says):
    with pytest.raises(PolicyViolation, match=says):
        await connected(**({"port": port} | params), on=ADDRESS, web=Web(networks=("10.20.7.0/24",)))


async def test_a_connection_that_is_refused_is_said_as_refused():
    with socket.create_server((ADDRESS, 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(NotListening, match="refuses the connection"):
        await connected(port)
