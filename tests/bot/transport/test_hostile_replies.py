"""A host that is not a host any more: replies made to fill memory, to burn time, or to be believed unproved."""

import asyncio
import gzip
import re
import socket
from dataclasses import replace
from itertools import count
from urllib.parse import urlsplit

import pytest

from bot.api.queries import RunReader, Wql
from bot.api.rows import get_strs
from bot.config.inventory_file import InventoryFile
from bot.errors import MalformedResponse, TargetError
from bot.transport import bounds
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.windows import host_operations, http_adapter

from .conftest import READER, RawServer

QUESTION = Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",))
SOAP = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"><s:Body>{}</s:Body></s:Envelope>'
)
ROWS = "<n:{kind}Response><n:EnumerationContext>more</n:EnumerationContext><n:Items>{rows}</n:Items>{end}</n:{kind}Response>"
END = "<n:EndOfSequence/>"
OPEN = Credentials("basic", "CORP\\reader", "Correct-Horse-7")  # no handshake: what the host says comes at once


def page(rows: str, kind: str = "Enumerate", end: str = END) -> bytes:
    return SOAP.format(ROWS.format(kind=kind, rows=rows, end=end)).encode()


def whole(body: bytes, status: str = "200 OK", kind: str = "application/soap+xml") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Impostor(RawServer):
    """Answers each request with what `act` makes of it; never checks a login."""

    address = "127.0.93.1"
    patience = 2

    def __init__(self, act):
        super().__init__()
        self.act = act
        self.sent = 0

    def talk(self, client):
        while (request := self._request(client)) is not None:
            for piece in self.act(request):
                if self.leaving.is_set():
                    return
                client.sendall(piece)
                self.sent += len(piece)

    def _request(self, client) -> bytes | None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(client)
            if not data:
                return None
        head, _, body = data.partition(b"\r\n\r\n")
        due = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(body) < due:
            body += self._more(client)
        return head + b"\r\n\r\n" + body

    @staticmethod
    def _more(client) -> bytes:
        return client.recv(65536)


def reach_to(url: str, login: Credentials) -> TargetClient:
    estate = InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}, "endpoints": {"hv01": url}})
    return TargetClient(Router(estate, {"reader": login}))


async def asked(url, question=QUESTION, login=OPEN, seconds=5.0):
    reach = reach_to(url, login)
    try:
        return await reach.answer(question, seconds)
    finally:
        reach.close()
        await asyncio.to_thread(reach._threads.shutdown)


@pytest.fixture(autouse=True)
def _basic_in_clear(monkeypatch):
    """Basic needs TLS, and these tests are about what comes back: the rule is lifted, in a test only."""
    monkeypatch.setattr("bot.transport.routing._safe", lambda way: way)


async def test_an_instance_with_a_million_values_takes_no_longer_than_its_length():
    """Adding to a tuple one by one is quadratic, and holds the whole interpreter meanwhile."""
    reply = page("<r>" + "<a/>" * 300_000 + "</r>")
    with Impostor(lambda _: [whole(reply)]) as url:
        answer = await asked(url, seconds=60)  # the deadline is the judge: quadratic, it took minutes
    assert len(get_strs(answer.rows[0], "a")) == 300_000


async def test_an_instance_nested_without_end_is_a_bad_reply():
    reply = page("<r>" + "<a>" * 300 + "<b/><b/>" + "</a>" * 300 + "</r>")
    with Impostor(lambda _: [whole(reply)]) as url, pytest.raises(MalformedResponse):
        await asked(url)


@pytest.mark.parametrize(
    ("cookies", "more", "says"),
    [
        ((60_000,), "", "is too long"),
        ((16_000,) * 9, "", "is too long"),
        ((10,), "", "too many cookies"),
        ((8_000,), "", "cookies that are too long"),
        ((10,), f"; Note={'v' * 8_000}", "cookies that are too long"),
    ],
    ids=["a long one", "long ones", "many", "a few that come to much", "a few that say much besides"],
)
async def test_a_host_fills_no_memory_with_cookies(cookies, more, says):
    """They are kept with the connection, and no page of an enumeration without end has to be long for them."""
    named = count()

    def act(request):
        reply = page("", "Pull" if b"/Pull<" in request else "Enumerate", end="")
        heads = "".join(f"Set-Cookie: c{next(named)}={'v' * length}{more}\r\n" for length in cookies)
        return [whole(reply).replace(b"Content-Type", f"{heads}Content-Type".encode(), 1)]

    with Impostor(act) as url, pytest.raises(MalformedResponse, match=says):
        await asked(url, seconds=60)
    assert next(named) < 100


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"WWW-Authenticate: " + b"," * 40 + b"\r\n", "asks for a login with more than 16 commas in a row"),
        (b"WWW-Authenticate: Negotiate\r\n" * 65, "asks for a login in more than 64 parts"),
        (
            b'WWW-Authenticate: Negotiate, NTLM, X="' + b'\\"' * 33_000 + b"\r\n",
            "a line of it has more than 65,536 bytes",
        ),
        (
            b'Content-Type: multipart/x; boundary="' + b"; " * 3_000 + b"\r\n",
            "its Content-Type has more than 1,024 bytes",
        ),
        (b"X: " + b" " * 300 + b"y\r\n", "256 blanks in a row"),
        (b"X: " + b" " * 300, "256 blanks in a row"),
        (b"X: \0\r\n", "a zero byte"),
        (
            b"WWW-Authenticate: x\rContent-Type: multipart/x;boundary=" + b"x" * 60_000 + b"\r\n",
            "a bare carriage return",
        ),
        (b"X: \x1cy\r\n", "a control character"),
        (b"Content-Type : multipart/x;boundary=" + b"x" * 2_000 + b"\r\n", "is no header"),
    ],
)
@pytest.mark.parametrize("login", [OPEN, READER], ids=["basic", "ntlm"])
async def test_a_head_that_no_honest_host_sends_is_named_before_any_login(head, says, login):
    def act(_):
        return [b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n" + head + (b"\r\n" if head.endswith(b"\n") else b"")]

    class Ending(Impostor):
        """Closes the connection behind its answer."""

        def talk(self, client):
            self._request(client)
            client.sendall(act(b"")[0])

    with Ending(act) as url, pytest.raises(MalformedResponse, match=says):
        await asked(url, login=login, seconds=60)


async def test_an_enumeration_without_end_is_given_up_by_its_size(monkeypatch):
    monkeypatch.setattr(bounds, "MAX_ANSWER", 200_000)
    rows = "<r><Name>x</Name></r>" * 1_000
    rude = Impostor(lambda request: [whole(page(rows, "Pull" if b"/Pull<" in request else "Enumerate", end=""))])
    with rude as url, pytest.raises(MalformedResponse, match="longer than any"):
        await asked(url, seconds=20)
    assert rude.sent < 2_000_000


def _endless(_):
    yield b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    for _ in range(400):
        yield chunk


async def test_a_reply_before_the_login_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(http_adapter, "LONGEST_REPLY", 2**20)
    rude = Impostor(_endless)
    with rude as url, pytest.raises(TargetError):
        await asked(url, login=Credentials("ntlm", "CORP\\reader", "x"))
    assert rude.sent < 60 * 2**20  # what the sockets hold, not what the host would like to say


@pytest.mark.parametrize("length", [b"-1", b" -0x1", b"-2"])
@pytest.mark.parametrize("status", [b"401 No", b"200 OK"])
async def test_a_chunk_of_negative_length_is_not_read_to_its_end(status, length):
    """-1 would be all that comes, at once, until the host is done."""

    def act(_):
        yield b"HTTP/1.1 " + status + b"\r\nWWW-Authenticate: Negotiate\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield length + b"\r\n"
        for _ in range(60):
            yield b"x" * 2**20

    rude = Impostor(act)
    with rude as url, pytest.raises(MalformedResponse, match="a chunk of negative length"):
        await asked(url, login=READER if status == b"401 No" else OPEN)
    assert rude.sent < 30 * 2**20


async def test_a_program_whose_reply_carries_entities_is_refused():
    bomb = '<!DOCTYPE x [<!ENTITY a "' + "b" * 50 + '">]>'
    shell = SOAP.format("<r><x>&a;</x></r>")
    no_key = SOAP.format("<r><ReturnValue>2</ReturnValue></r>")

    def act(request):
        return [whole((no_key if b"StdRegProv" in request else bomb + shell).encode())]

    with Impostor(act) as url, pytest.raises(MalformedResponse, match="document type"):
        await asked(url, RunReader("hv01", "wevtutil enumerate channels"))


def relay(upstream: str, forged: bytes):
    """Somebody on the way: lets the login pass, then answers in the host's place, in clear."""
    address = urlsplit(upstream)

    def act(request):
        if b"multipart/encrypted" in request.partition(b"\r\n\r\n")[0]:
            return [forged]
        if act.host is None:
            act.host = socket.create_connection((address.hostname, address.port))
            act.host.settimeout(5)
        act.host.sendall(request)
        return [_response(act.host)]

    act.host = None
    return act


def _response(host) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += host.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += host.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (whole(page("<r><Name>forged</Name></r>")), "not encrypted"),
        (whole(page("<r><Name>forged</Name></r>"), kind="application/HTTP-Other-session-encrypted"), "not encrypted"),
        (
            whole(
                SOAP.format("<s:Fault><s:Reason><s:Text>all is well</s:Text></s:Reason></s:Fault>").encode(), "500 No"
            ),
            "without a word",
        ),
    ],
)
async def test_a_reply_in_clear_over_a_sealed_connection_is_not_believed(site, forged, words):
    """pywinrm reads it as if it had been sealed: whoever sits on the way could call a stuck writer healthy."""
    act = relay(site.up.url("127.0.91.1"), forged)
    try:
        with Impostor(act) as url, pytest.raises(TargetError, match=words) as caught:
            await asked(url, login=READER)
    finally:
        act.host.close()
    assert "all is well" not in str(caught.value)


@pytest.mark.parametrize("login", [OPEN, Credentials("ntlm", "CORP\\reader", "x")], ids=["basic", "ntlm"])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "x-unknown"])
async def test_a_compressed_reply_is_refused_before_it_is_unpacked(encoding, login):
    """A kilobyte of gzip in gzip is a gigabyte; nobody asked for it, so it is not opened, even where it is small."""
    packed = gzip.compress(page("<r><Name>hv01</Name></r>"))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Encoding: {encoding}\r\n"
    asked_for = []

    def act(request):
        asked_for.extend(re.findall(rb"(?i)accept-encoding: ([^\r]*)", request))
        return [head.encode() + f"Content-Length: {len(packed)}\r\n\r\n".encode() + packed]

    with Impostor(act) as url, pytest.raises(MalformedResponse, match="compressed"):
        await asked(url, login=login)
    assert set(asked_for) == {b"identity"}


async def test_an_enumeration_of_tiny_rows_is_given_up_by_what_it_takes(monkeypatch):
    monkeypatch.setattr(host_operations, "MAX_ROWS", 20_000)
    rows = "<r><a/></r>" * 3_000
    rude = Impostor(lambda request: [whole(page(rows, "Pull" if b"/Pull<" in request else "Enumerate", end=""))])
    with rude as url, pytest.raises(MalformedResponse, match="exceeds the size limit"):
        await asked(url, seconds=20)
    assert rude.sent < 20_000 * len("<r><a/></r>") * 2


async def test_an_enumeration_of_wide_rows_is_given_up_by_what_it_takes(monkeypatch):
    monkeypatch.setattr(host_operations, "MAX_WEIGHT", 2**20)
    row = "<r>" + "".join(f"<a{number}/>" for number in range(5_000)) + "</r>"
    rude = Impostor(lambda request: [whole(page(row, "Pull" if b"/Pull<" in request else "Enumerate", end=""))])
    with rude as url, pytest.raises(MalformedResponse, match="exceeds the size limit"):
        await asked(url, seconds=20)
    assert rude.sent < 20 * len(row)


async def test_of_a_long_answer_all_rows_count_and_the_beginning_is_kept(monkeypatch):
    monkeypatch.setattr(bounds, "MAX_EVIDENCE", 20_000)
    pages = iter([*[""] * 9, END])

    def act(request):
        rows = "<r><Name>x</Name></r>" * 200
        return [whole(page(rows, "Pull" if b"/Pull<" in request else "Enumerate", end=next(pages)))]

    with Impostor(act) as url:
        answer = await asked(url, replace(QUESTION, cls="MSCluster_Resource"))
    assert len(answer.rows) == 2_000
    assert len(answer.raw) < 21_000
    assert answer.raw.endswith("MB]")
