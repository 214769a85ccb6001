"""Heads that no honest server sends are read in no more than their length, or not at all; honest ones are read as ever."""

from __future__ import annotations

import http.client
import io
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.transport.heads import HeadCheck, LongHead, OddHead
from bot.transport.http import h11_patterns
from bot.transport.windows import kerberos, ntlm

ROOT = Path(__file__).parents[3]
ENDS = 60  # seconds: generous for what takes three; what goes back and forth takes many minutes, or half a day
OK = b"HTTP/1.1 200 OK\r\n"
ODD_PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n ", b"\n\t", b"\v", b"\f", b"\x1c", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"a: b", b"a: b\r\n", b"From x", b"content-type: multipart/x;boundary=a", b"--a\r\n", b"a", b":", b" ", b"\t"),
)
DIGEST = b'Digest qop="auth,auth-int",algorithm=MD5-sess,nonce="+Upgraded+v1b0",charset=utf-8,realm="Digest"'
HONEST = {
    "WinRM": b"HTTP/1.1 401 \r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Kerberos\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n",
    "all logins": b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate, NTLM, " + DIGEST + b", " + DIGEST
    + b'\r\nWWW-Authenticate: Basic realm="a, b, \\"c\\""\r\n\r\n',
    "a token": OK + b"WWW-Authenticate: Negotiate " + b"YII" * 21_000 + b"\r\n\r\n",
    "an indented policy": OK + b"Content-Security-Policy: default-src 'self';" + b" " * 80 + b"img-src *\r\n\r\n",
    "a folded line": OK + b"X-Note: one\r\n two\r\n\tthree\r\n\r\n",
    "commas in an address": b"HTTP/1.1 302 Found\r\nLocation: /find?f=" + b"," * 200 + b"\r\n\r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"\r\n",
    "letters of no ASCII": OK + "X-Note: Zürich… Ѕ\x85\r\nLocation: /Å\r\n\r\n".encode() + b"Server: caf\xe9 \x93x\x94\r\n\r\n",
    "odd names": OK + b"X(a)/b@c: d\r\nP3P:\r\na:\tb\r\n\r\n",
    "a name in UTF-8": OK + b"Content-Type: text/html; name*=UTF-8''a\r\n\r\n",
    "any kind": OK + b"Content-Type: */*; q=1\r\n\r\n",
    "sealed": OK + b'Content-Type: multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";'
    + b'boundary="Encrypted Boundary"\r\n\r\n',
    "bare line ends": b"HTTP/1.0 200 OK\nServer: x\n\n",
}  # fmt: skip


@pytest.fixture
def environment(request, kdc, tmp_path, monkeypatch):
    """That of a process which has a ticket, where one is needed."""
    if request.node.callspec.params["way"] != "kerberos":
        return dict(os.environ)
    for name, value in {**kdc.environment, "KRB5CCNAME": f"FILE:{tmp_path / 'tickets'}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(kdc.environment, "KRB5CCNAME", os.environ["KRB5CCNAME"])
    kdc.add_service("HTTP", "hv15.corp.example")
    kdc.add_user("visitor", "Ticket-7")
    kdc.log_in("visitor", "Ticket-7")
    return dict(os.environ)


@pytest.mark.parametrize("way", ["patterns", "probe", "service", "slack", "ntlm", "kerberos"])
def test_no_head_holds_whoever_reads_it(way, environment):
    """Open quotes, escaped quotes, commas, blanks, tabs, NULs: in a process of its own, as nothing inside of it would notice."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.support.heads_child", way], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=ENDS, check=False,
    )  # fmt: skip
    assert child.stdout.endswith("read\n"), child.stderr[-2_000:]


def feed(head, length):
    """All of it, in pieces of that length."""
    check = HeadCheck(2**17)
    for at in range(0, len(head), length):
        check.feed(head[at : at + length])


@pytest.mark.parametrize("head", HONEST.values(), ids=HONEST)
def test_an_honest_head_is_let_in_however_it_comes(head):
    for length in (1, 7, len(head)):
        feed(head, length)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (OK + b"a:" + b" " * 300 + b"x\r\n", "256 blanks in a row"),
        (OK + b"a: b" + b" \t" * 150 + b"\r\n", "256 blanks in a row"),
        (OK + b"a: b\0c\r\n", "zero byte"),
        (b"HTTP/1.1 200 \0\r\n", "zero byte"),
        (OK + b"WWW-Authenticate: x\rContent-Type: multipart/x;boundary=" + b"b" * 2_000 + b"\r\n", "carriage return"),
        (OK + b"a: b\r c\r\n", "carriage return"),
        (OK + b"a: b\r\r\n", "carriage return"),
        (OK + b"\r\r\n", "carriage return"),
        (b"HTTP/1.1 200 OK\ra: b\r\n", "carriage return"),
        *((OK + b"a: b" + bytes([one]) + b"c\r\n", "control character") for one in (*range(1, 9), *range(11, 13), *range(14, 32), 127)),
        (b"HTTP/1.1\x1c200\r\n", "control character"),
        (OK + b"Content-Type : x\r\n", "no header"),
        (OK + b"Content Type: x\r\n", "no header"),
        (OK + b"From b: x\r\n", "no header"),
        (OK + b": x\r\n", "no header"),
        (OK + b"no colon\r\n", "no header"),
        (OK + b"a\xa0b: x\r\n", "no header"),
        (OK + b" a fold of nothing\r\n", "no header"),
        (b"HTTP/1.1 100 Continue\r\na: b\r\n\r\n" + OK + b" a fold of nothing\r\n", "no header"),
        (OK + b"a: b\r\n" + b" \r\n" * 17, "go on with the one before"),
        (OK + b"WWW-Authenticate: ,,,,,,,,,,,,,,,,,\r\n", "16 commas in a row"),
        (OK + b"WWW-Authenticate: NTLM" + b" ,\t" * 17 + b"\r\n", "16 commas in a row"),
        (OK + b"www-authenticate: " + b"a," * 65 + b"\r\n", "more than 64 parts"),
        (OK + b"WWW-Authenticate: NTLM\r\n" * 65, "more than 64 parts"),
        (OK + b"WWW-Authenticate: NTLM\r\n ,a,a,a,a,a,a,a,a" + b"\r\n ,a,a,a,a,a,a,a,a" * 7 + b"\r\n", "more than 64 parts"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"a: \0\r\n", "zero byte"),
        (b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"a: \0\r\n", "zero byte"),
    ],
)  # fmt: skip
def test_what_no_honest_server_sends_is_named_and_not_repeated(head, says):
    for length in (1, 7, len(head)):
        with pytest.raises(OddHead, match=says):
            feed(head, length)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (OK + b"Set-Cookie: a=" + b"b" * 17_000, "a line of it has more than 16,384 bytes"),
        (OK + b"WWW-Authenticate: Negotiate " + b"Y" * 66_000, "a line of it has more than 65,536 bytes"),
        (
            OK + b"content-type: multipart/x; boundary=" + b"b" * 1_000 + b"\r\n",
            "its Content-Type has more than 1,024 bytes",
        ),
        (
            OK + b"Content-Type: x;\r\n" + (b" " + b"b" * 200 + b"\r\n") * 6,
            "its Content-Type has more than 1,024 bytes",
        ),
        (OK + (b"a: " + b"b" * 16_000 + b"\r\n") * 9, "more than 131,072 bytes"),
        (OK + b"a: b\r\n" * 4_001, "more than 4,000 lines"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 2_001, "more than 4,000 lines"),
    ],
)
def test_a_head_without_end_is_given_up_by_its_length(head, says):
    with pytest.raises(LongHead, match=says):
        HeadCheck(2**17).feed(head)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(ODD_PIECES) | st.binary(max_size=3), max_size=12).map(b"".join))
def test_of_what_is_let_in_readers_see_the_lines_that_were_checked(head):
    """A reader that ends a line, a fold or the head elsewhere would read what nobody looked at."""
    while b"\n\n" in head or b"\n\r\n" in head:  # a head ends at an empty line
        head = head.replace(b"\n\n", b"\n").replace(b"\n\r\n", b"\r\n")
    head = head.strip(b"\r\n") + b"\r\n"
    try:
        feed(OK + head + b"\r\n", 1_000)
    except OddHead:
        return
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    checked = [line.partition(b":")[0].decode().lower() for line in lines if line and line[:1] not in (b" ", b"\t")]
    read = http.client.parse_headers(io.BytesIO(head + b"\r\n"))
    assert [name.lower() for name in read] == checked
    assert read.get_payload() == ""
    reading = h11.Connection(h11.CLIENT)
    reading.send(h11.Request(method="HEAD", target="/", headers=[("Host", "x")]))
    reading.receive_data(OK + head + b"\r\n")
    # What it refuses of the rest reaches nobody.
    with suppress(h11.RemoteProtocolError):
        assert [name.decode() for name, _ in reading.next_event().headers] == checked


def test_a_body_is_none_of_its_business():
    check = HeadCheck(2**17)
    check.feed(OK + b"\r\n" + b" " * 1_000 + b"\0" + b"x" * 200_000)
    check.feed(b"\0" * 200_000)


def test_where_all_is_head_an_empty_line_ends_nothing():
    check = HeadCheck(2**17, is_all_head=True)
    check.feed(b"HTTP/1.1  100  Continue\r\n\r\n")
    with pytest.raises(OddHead):
        check.feed(b"a: \0\r\n")


LINES = st.text(alphabet='aZ9 \t,:;="\\-_\0\r\x0b\x80\xff', max_size=12).map(lambda text: text.encode("latin-1"))


@given(LINES, LINES)
def test_h11_reads_the_same_lines_by_our_patterns(name, value):
    """h11's own, written here as it has them, on what is too short to take long."""
    own = import_module("h11._abnf")
    line = name + b":" + value
    theirs = re.compile(own.header_field.encode("ascii")).fullmatch(line)
    ours = h11_patterns._HEADER.fullmatch(line)
    assert (ours and ours.groupdict()) == (theirs and theirs.groupdict())


@given(st.text(alphabet="0aFg; \t\r\nx", max_size=12).map(lambda text: text.encode("latin-1")))
def test_h11_reads_the_same_chunks_by_our_patterns(begins):
    own = import_module("h11._abnf")
    line = begins + b"\r\n"
    theirs = re.compile(own.chunk_header.encode("ascii")).fullmatch(line)
    ours = h11_patterns._CHUNK.fullmatch(line)
    assert (ours and ours["chunk_size"]) == (theirs and theirs["chunk_size"])


def test_h11_has_the_patterns_that_we_replace():
    """Of a version that keeps them elsewhere, ours would be read by nobody."""
    h11_patterns.make_linear()
    readers = import_module("h11._readers")
    assert (readers.header_field_re, readers.chunk_header_re) == (h11_patterns._HEADER, h11_patterns._CHUNK)


@pytest.mark.parametrize(
    ("asks", "token"),
    [
        ("Negotiate", ""),
        ("Negotiate YIIabc==", "YIIabc=="),
        ("negotiate  YIIabc==, Basic realm=x", "YIIabc=="),
        ("Basic realm=x, Kerberos,\tNegotiate YIIabc==", "YIIabc=="),
        ("Kerberos, NTLM", None),
        ("Negotiated", None),
        ("", None),
    ],
)
def test_a_kerberos_token_is_found_as_hosts_write_it(asks, token):
    kerberos._read_in_linear_time()
    vendored = import_module("winrm.vendor.requests_kerberos.kerberos_")
    assert vendored._negotiate_value(SimpleNamespace(headers={"www-authenticate": asks})) == token


@pytest.mark.parametrize(
    ("asks", "offers"),
    [
        ('Basic realm="NTLM, Negotiate x", NTLM', {"ntlm": ""}),
        ('Basic realm="a \\", NTLM", Negotiate abcd', {"negotiate": "abcd"}),
        ('NTLM, Basic realm="open, Negotiate', {"ntlm": ""}),
        ('NTLM, Basic realm="open\\', {"ntlm": ""}),
    ],
)
def test_what_stands_in_quotes_offers_no_login(asks, offers):
    assert ntlm._offers(SimpleNamespace(headers={"WWW-Authenticate": asks})) == offers
