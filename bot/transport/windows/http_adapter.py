"""The one TCP connection under a login: one host, one deadline, one TLS context, and no second connection in silence."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.x509 import load_pem_x509_certificate
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from bot.errors import AuthenticationFailed, PolicyViolation
from bot.private_files import check_regular, read_regular
from bot.redaction import clip
from bot.transport.bounds import is_encoded
from bot.transport.heads import HeadCheck, OddHead
from bot.transport.routing import Route
from bot.transport.windows.exception_mapping import DeadlineExceeded, ResponseTooLarge, StaleConnection
from bot.transport.windows.wsman import MalformedReply

_LENGTH = re.compile("[0-9]{1,18}")
LONGEST_REPLY = 5 * 2**18  # bytes; we ask for 150 KB at most, and XML takes fifty times its length in memory
_HONEST = 2**18  # bytes that a reply has at most of a host that does as it is asked
LONGEST_HEAD = 2**17  # bytes of a reply's head, interim ones included; a ticket of Kerberos takes up to 64 KB [doc]
_PIECE = 2**16  # bytes of a body that are read at a time
_READS, _LEAST = 4_000, 32  # records in which replies may come, and the bytes that each further one has to bring
_WRAPPING, _CARRIES = 2**20, 4  # bytes over TLS between two looks that may carry less than a quarter of their length
_RECEIVED = slice(128, 136)  # of TCP_INFO: tcpi_bytes_received [src: linux/tcp.h]
BOUND = ("ntlm", "kerberos")  # logins that belong to one TCP connection


class Adapter(HTTPAdapter):
    """What requests sends through. `until` is when the next reply is due; `is_established` once a login has served."""

    def __init__(self, way: Route) -> None:
        super().__init__(max_retries=0)
        self.until = 0.0
        self.is_established = False
        self.has_answered = False  # whether anything came back: what fails from then on is no matter of a KDC's
        self.is_proving = False  # whether the leg of a login is under way that belongs to the connection before it
        self.is_asking_kdc = False  # whether libkrb5 gets a ticket just now
        self.last_look: Callable[[], None] | None = None  # asked before each piece of a change goes out
        self.before_long: Callable[[], None] | None = None  # called where a reply is longer than any honest one
        self.is_held = False  # whether all that follows goes to the machine that answered first, and to no other
        self._is_bound = way.credentials.transport in BOUND
        self._live: HTTPConnection | None = None
        self._seen = (0, 0)  # bytes that came over TLS until the last look, and what they carried
        self._pool = _pool(way, self)

    def add_headers(self, request: requests.PreparedRequest, **_named: Any) -> None:
        """Ask for replies as they are: a body that has to be unpacked may be a thousand times as long."""
        request.headers["Accept-Encoding"] = "identity"

    def opening(self, connection: HTTPConnection) -> None:
        """A TCP connection is about to be opened. Raises StaleConnection when the login, or a change, belongs to the one before."""
        if self.is_proving or (self.is_established and (self._is_bound or self.is_held)):
            raise StaleConnection("the connection was closed, and the login with it")
        self._live = connection
        self._seen = (0, 0)

    def get_connection_with_tls_context(self, *_args: Any, **_named: Any) -> HTTPConnectionPool:
        """The one pool there is."""
        return self._pool

    def cert_verify(self, *_args: Any, **_named: Any) -> None:
        """The TLS context verifies already."""

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        """Every leg of a login comes through here as well, and shares the one deadline."""
        del args
        left = self.until - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded
        named["timeout"] = left
        response = super().send(request, **named)
        self.has_answered = True
        if is_encoded(response.headers):
            raise MalformedReply("the reply is compressed, which hvops did not ask for")
        length = response.headers.get("Content-Length") or "0"
        if not _LENGTH.fullmatch(length):
            raise MalformedReply("the reply has a length that is none")
        if int(length) > LONGEST_REPLY:
            raise ResponseTooLarge
        if self.is_established:  # the login handlers look at the open socket of the first replies
            _read(response, self.before_long)
        return response

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Bound what the login handlers read: they ask for all there is, before anybody has proved who talks."""
        resp.stream = partial(_bounded, resp.stream, before_long=self.before_long)
        resp.decode_content = False
        return super().build_response(req, resp)

    def certificate(self) -> bytes | None:
        """The host's, as it showed it on the open connection, DER; None without TLS."""
        live = self._live.sock if self._live is not None else None
        return live.getpeercert(binary_form=True) if isinstance(live, ssl.SSLSocket) else None

    def is_mostly_wrapping(self) -> bool:
        """Whether much has come over TLS since the last look, and carried next to nothing. From any thread.

        OpenSSL goes through tickets and new keys for as long as they come, and no read returns meanwhile.
        """
        live = self._live.sock if self._live is not None else None
        if not isinstance(live, _TlsSocket):
            return False
        with suppress(OSError):
            info = live.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.stop)
            came, carried = int.from_bytes(info[_RECEIVED], sys.byteorder), live.carried
            before, self._seen = self._seen, (came, carried)
            return came - before[0] > max(_WRAPPING, _CARRIES * (carried - before[1]))
        return False

    def abort(self) -> None:
        """Shut the socket down under the thread that waits on it."""
        self.until = 0.0
        live = self._live.sock if self._live is not None else None
        if live is not None:
            with suppress(OSError):
                live.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, also one that an unfinished reply has taken out of its pool."""
        self._pool.close()
        if self._live is not None:
            self._live.close()
        super().close()


def _bounded(
    stream: Callable[..., Iterator[bytes]], *args: Any, before_long: Callable[[], None] | None = None, **named: Any
) -> Iterator[bytes]:
    """The pieces of a body, short ones together: whoever joins them keeps each until then. Raises ResponseTooLarge."""
    together = bytearray()
    length = 0
    for piece in stream(*args, **{**named, "decode_content": False}):
        if length <= _HONEST < length + len(piece) and before_long is not None:
            before_long()
        length += len(piece)
        if length > LONGEST_REPLY:
            raise ResponseTooLarge
        together += piece
        if len(together) >= _PIECE:
            yield bytes(together)
            together.clear()
    if together:
        yield bytes(together)


def _read(response: requests.Response, before_long: Callable[[], None] | None = None) -> None:
    """Read the body, but not for ever: a reply without a length could go on. Piece by piece, as chunks can be short."""
    body = bytearray()
    while piece := response.raw.read(_PIECE, decode_content=False):
        if len(body) <= _HONEST < len(body) + len(piece) and before_long is not None:
            before_long()
        body += piece
        if len(body) > LONGEST_REPLY:
            raise ResponseTooLarge
    response._content = bytes(body)  # noqa: SLF001 - what `Response.content` would have set
    response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001


class _TlsSocket(ssl.SSLSocket):
    """Counts what it hands on. Each record is a read of its own, however short: a reply of one-byte records is a million of them."""

    carried = 0
    _reads = 0

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """As a socket does. Raises MalformedReply for too many reads that bring next to nothing."""
        count = super().recv_into(buffer, nbytes, flags)
        self.carried += count
        self._reads += 1
        if self._reads > _READS + self.carried // _LEAST:
            raise MalformedReply("the reply comes over TLS a few bytes at a time")
        return count


class _Lines:
    """The lines of a head, each looked at before http.client, and all that reads headers behind it, makes something of it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._check = HeadCheck(LONGEST_HEAD, is_all_head=True)

    def readline(self, most: int) -> bytes:
        """The next line. Raises MalformedReply where no honest host sends such a one."""
        line: bytes = self._inner.readline(most)
        try:
            # What comes last is read as a line, too, where the connection ends behind it.
            self._check.feed(line if line.endswith(b"\n") or not line else line + b"\n")
        except OddHead as error:
            raise MalformedReply(str(error)) from None
        return line

    def close(self) -> None:
        self._inner.close()


class _Response(http.client.HTTPResponse):
    """A response whose head is looked at first, and of which no more is read at once than was asked for."""

    def begin(self) -> None:
        """Read the head. Raises MalformedReply besides what http.client raises."""
        whole: Any = self.fp
        self.fp: Any = _Lines(whole)
        try:
            super().begin()
        finally:
            if self.fp is not None:  # http.client has closed it
                self.fp = whole

    def _safe_read(self, amt: int) -> bytes:
        """Read so much of a chunk. Raises MalformedReply where its length is negative: -1 would be all that there is."""
        if amt < 0:
            raise MalformedReply("the reply has a chunk of negative length")
        read: bytes = super()._safe_read(amt)  # type: ignore[misc] # what both http.client and urllib3 read chunks by
        return read


class _PlainConnection(HTTPConnection):
    """Tells its adapter before it opens."""

    response_class = _Response

    def __init__(self, *args: Any, adapter: Adapter, **named: Any) -> None:
        super().__init__(*args, **named)
        self._adapter = adapter

    def _new_conn(self) -> socket.socket:
        self._adapter.opening(self)
        return super()._new_conn()

    def send(self, data: Any) -> None:
        """Send a piece: headers, or a body. A connection, and its TLS, stands before the last look is taken."""
        if self.sock is None and self.auto_open:
            self.connect()
        if self._adapter.last_look is not None:
            self._adapter.last_look()
        super().send(data)


class _TlsConnection(_PlainConnection, HTTPSConnection):
    """Likewise, and what it opens is TLS: urllib3's HTTPSConnection is the next in line after the class above."""


def _pool(way: Route, adapter: Adapter) -> HTTPConnectionPool:
    address = urlsplit(way.url)
    host = address.hostname or ""
    pool: HTTPConnectionPool
    if way.is_tls:
        login = way.credentials
        try:
            context = tls_context(login.ca_file, login.certificate, login.key)
        except OSError as error:
            raise PolicyViolation(
                way.name, f"the certificates in the settings cannot be used ({clip(str(error), 80)})."
            ) from None
        _refuse_expired(way)
        pool = HTTPSConnectionPool(host, address.port or 443, maxsize=1, ssl_context=context)
        pool.ConnectionCls = partial(_TlsConnection, adapter=adapter)  # type: ignore[assignment]
    else:
        pool = HTTPConnectionPool(host, address.port or 80, maxsize=1)
        pool.ConnectionCls = partial(_PlainConnection, adapter=adapter)  # type: ignore[assignment]
    return pool


def _refuse_expired(way: Route) -> None:
    """Hosts break the connection off without a word, at a moment of their own, where our certificate has run out."""
    certificate = way.credentials.certificate
    ends = _end_of(certificate) if certificate else None
    if ends and ends < datetime.now(UTC):
        says = f"the certificate in the settings expired on {ends:%Y-%m-%d}."
        raise AuthenticationFailed(
            way.name, says, f"Renew {certificate}, and map the new one to the account on every host."
        )


@lru_cache(maxsize=64)
def _end_of(certificate: Path) -> datetime | None:
    """When a certificate runs out; None where that cannot be read from it."""
    with suppress(OSError, ValueError):
        return load_pem_x509_certificate(read_regular(certificate)).not_valid_after_utc
    return None


@lru_cache(maxsize=64)
def tls_context(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """One context for all hosts of a login: reading the authorities costs more than a whole question."""
    check_regular(
        *(path for path in (ca_file, certificate, key) if path)
    )  # OpenSSL would wait for the writer of a pipe
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.sslsocket_class = _TlsSocket
    if certificate and key:
        context.load_cert_chain(certificate, key)
    return context
