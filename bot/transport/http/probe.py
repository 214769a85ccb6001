"""One raw request to a web server, over a connection of its own, and the head of what it answers.

    resolve   the name, once, unless the inventory or the question says the address
    check     the address against the inventory; the connection is made to that very address, so no later look-up counts
    connect   TLS where it is asked for: with the name in its hello or without; its certificate is told, not trusted
    send      method, path, version and Host as the question has them: HTTP/1.0 without Host, too, as health checks ask
    read      up to the end of the head, then the connection is cut: nobody reads a body

It speaks sockets, as httpx and h11 send neither HTTP/1.0 nor a request without Host; h11, which httpx reads with, reads the answer.
No cookies, no credentials, no redirects, no proxies. Where it is asked from is told: hvops' own machine, whose way
through firewalls is not that of a client or of a load balancer.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

import h11
from cryptography import x509
from cryptography.x509.oid import NameOID

from bot.api.queries import RunReader
from bot.api.rows import Cell, Row, Rows
from bot.api.web import Address, is_name, read_address, with_port, without_values
from bot.config.inventory_file import Web
from bot.config.web_addresses import key_of, read_place, why_not
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
from bot.redaction import clip
from bot.transport.allowlist.web_probe import PROBES, ProbeRequest, connect_port
from bot.transport.connection_reasons import chain, why_no_name, why_no_tls
from bot.transport.heads import HeadCheck, LongHead, OddHead
from bot.transport.http import h11_patterns
from bot.transport.http.client import without_long_handshakes
from bot.transport.http.tls import MostlyWrapping, TlsStream
from bot.transport.name_lookup import NameLookup, ResolverBusy
from bot.transport.turns import Slots

# Bytes of an answer up to the end of its head, interim answers included; http.sys sends 16 KB at most [mem].
MAX_HEAD = 32 * 2**10
LONGEST_LOCATION = 4_096  # characters that are kept
_LONGEST_VALUE = 200  # of any other header
_SILENCE = 5.0  # seconds in which a connection, a handshake or another byte has to come
_AT_ONCE = 16  # probes; a person gets half of them
_RESOLVERS = (
    16  # names that are looked up at a time; a person gets half of them, and glibc gives up after half a minute
)
_PIECE = 4_096
_MOST_PIECES = 2_000  # of a head: each wakes the loop
_BEGINS = b"HTTP/1."
_TOO_LONG = 431  # the status that h11 hints at for a head beyond its limit
_MOST_NAMES, _LONGEST_NAME = 50, 255  # of a certificate
_NOT_LISTED = 'Add its network below [web] in the inventory: networks = ["10.20.7.0/24"].'
_NO_WEB = "No web server is in the inventory. Add a table [web] with networks to it."


class Prober:
    """The way to web servers. Lives as long as the bot, in one event loop."""

    def __init__(self, web: Web, silence: float = _SILENCE) -> None:
        """Take what the inventory lists; `silence` is how many seconds each part of a probe may take."""
        h11_patterns.make_linear()
        self._networks = web.listed
        self._hosts = {key: read_place(place) for key, place in web.hosts.items()}
        self._silence = silence
        self._slots = Slots(_AT_ONCE)
        self._names = NameLookup(_RESOLVERS)

    async def answer(self, question: RunReader, seconds: float) -> tuple[Rows, str]:
        """Ask. The one row, and the head as it came, without what its addresses may hold.

        A row is {status, reason, version, location, locations, location_cut, server, allow, login, sets_cookie, address, port,
        addresses, pinned, own_address, tls, certificate}: numbers and truth values as such, `tls` the version or "", `certificate` a row or
        None. `location` is as it came, cut to LONGEST_LOCATION characters where `location_cut`.

        Raises:
            PolicyViolation: the address is not in the inventory, or the question cannot be sent.
            TargetTimeout, NotListening, NoTls, NotHttp, HeadTooLong, ConnectionFailed: there was no such answer.
        """
        request = _request(question)
        began = time.monotonic()
        try:
            who = await self._slots.acquire(began + seconds)
        except TimeoutError:
            says = f"not asked: hvops was busy with other web servers for {seconds:.0f} s."
            raise TargetTimeout(question.on, says, "Try again in a moment.") from None
        try:
            return await _Attempt(question.on, request, began + seconds, self._silence).run(self)
        finally:
            self._slots.release(who)

    async def connect(self, question: RunReader, seconds: float) -> tuple[Rows, str]:
        """Open a connection, send nothing, and close it. One row {milliseconds, address, port}, and a sentence for the evidence.

        Raises:
            PolicyViolation: the address is not in the inventory, or the port is none.
            TargetTimeout, NotListening, ConnectionFailed: nobody takes the connection.
        """
        try:
            port = connect_port(question.params)
        except ValueError as error:
            raise PolicyViolation(question.on, f"{error}.") from None
        request = ProbeRequest("HEAD", "/", "1.1", None, "", port, tls=False, server_name="")
        began = time.monotonic()
        try:
            who = await self._slots.acquire(began + seconds)
        except TimeoutError:
            raise TargetTimeout(question.on, f"not asked: hvops was busy with others for {seconds:.0f} s.") from None
        try:
            return await _Attempt(question.on, request, began + seconds, self._silence).connect(self)
        finally:
            self._slots.release(who)

    async def place(self, on: str, request: ProbeRequest, within: float) -> tuple[str, int, tuple[str, ...], bool]:
        """Where to connect: address, port, all addresses of the name, and whether the inventory says so itself.

        Raises:
            PolicyViolation: it is not in the inventory.
            ConnectionFailed, TargetTimeout: its name cannot be looked up.
        """
        host = request.address or on
        pinned = self._hosts.get(key_of(host, request.port)) or self._hosts.get(key_of(host))
        if pinned is not None:
            return pinned.address, pinned.port or request.port, (pinned.address,), True
        if not self._networks and not self._hosts:
            raise PolicyViolation(on, "it is not asked.", _NO_WEB)
        written = read_address(host)
        if written is not None:
            self._check(on, written)
            return str(written), request.port, (str(written),), False
        if not is_name(host):
            raise PolicyViolation(on, "it is no name, and no address in its usual spelling.")
        found = await self._resolve(on, host, request.port, within)
        allowed = [one for one in found if not why_not(one, self._networks)]
        if not allowed:
            self._check(on, found[0], "its name leads to")
        return str(allowed[0]), request.port, tuple(map(str, found)), False

    def _check(self, on: str, address: Address, says: str = "its address is") -> None:
        if why := why_not(address, self._networks):
            raise PolicyViolation(on, f"{says} {address}, and {why}.", _NOT_LISTED if "none of" in why else "")

    async def _resolve(self, on: str, name: str, port: int, within: float) -> tuple[Address, ...]:
        """All addresses of a name, in the resolver's order. Once: what is checked is what is connected to."""
        try:
            told = await self._names.find(name, port, time.monotonic() + within, type=socket.SOCK_STREAM)
        except ResolverBusy:
            says = f"its name was not looked up: for {within:.0f} s, the resolver was busy with names asked for before."
            raise TargetTimeout(on, says, "Try again in a moment.") from None
        except TimeoutError:
            raise TargetTimeout(
                on, f"the resolver did not answer in {within:.0f} s, so nothing is known of its name."
            ) from None
        except (OSError, UnicodeError) as error:
            reason = why_no_name(error)
            raise ConnectionFailed(on, reason.says, reason.do.replace("[endpoints]", "[web.hosts]")) from None
        found = [one for info in told if (one := _address(str(info[4][0]))) is not None]
        if not found:
            raise ConnectionFailed(on, "DNS has no address for its name.")
        return tuple(dict.fromkeys(found))


class _Attempt:
    """One probe. Every wait of it ends with the shorter of its own time and the whole."""

    def __init__(self, on: str, request: ProbeRequest, ends: float, silence: float) -> None:
        self.on = on
        self.request = request
        self._ends = ends
        self._silence = silence

    async def run(self, prober: Prober) -> tuple[Rows, str]:
        """Raises TargetError."""
        place = address, port, _, _ = await prober.place(self.on, self.request, self._left())
        async with self._connected(address, port) as stream:
            await stream.write(self.request.head)
            head = await self._head(stream)
            own = stream.own_address
            version, encoded = _tls(stream.tls.ssl_object) if stream.tls is not None else ("", None)
        # beside the loop: a certificate may have as many names as a handshake holds
        certificate = await asyncio.to_thread(_certificate, encoded) if encoded else None
        row = _row(head, place, {"own_address": own, "tls": version, "certificate": certificate})
        return (row,), f"{self.request}\nsent from {own} at {with_port(address, port)}\n\n{_shown(head)}"

    async def connect(self, prober: Prober) -> tuple[Rows, str]:
        """The connection alone. Raises TargetError."""
        address, port, _, _ = await prober.place(self.on, self.request, self._left())
        began = time.perf_counter()
        async with self._connected(address, port):
            milliseconds = f"{(time.perf_counter() - began) * 1000:.1f}"
        where = with_port(address, port)
        return (
            {"milliseconds": milliseconds, "address": address, "port": port},
        ), f"{where}: connected in {milliseconds} ms"

    def _left(self) -> float:
        return max(0.05, min(self._silence, self._ends - time.monotonic()))

    @asynccontextmanager
    async def _connected(self, address: str, port: int) -> AsyncIterator[_Stream]:
        """A connection to that very address, cut off afterwards, whatever is still on its way."""
        where = with_port(address, port)
        plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            plain.setblocking(False)
            await self._connect(plain, address, port, where)
            stream = _Stream(*await asyncio.open_connection(sock=plain, limit=_PIECE))
        except BaseException:
            plain.close()
            raise
        try:
            if self.request.tls:
                await self._seal(stream, where)
            yield stream
        except MostlyWrapping as error:
            raise NotHttp(self.on, f"{where} was given up: {error}.") from None
        except OSError as error:
            raise ConnectionFailed(
                self.on, f"{where} cuts the connection off before it answers: {_words(error)}."
            ) from None
        finally:
            stream.writer.transport.abort()

    async def _connect(self, plain: socket.socket, address: str, port: int, where: str) -> None:
        within = self._left()
        try:
            async with asyncio.timeout(within):
                await asyncio.get_running_loop().sock_connect(plain, (address, port))
        except TimeoutError:
            raise TargetTimeout(self.on, f"no connection to {where} in {within:.0f} s.") from None
        except ConnectionRefusedError:
            says = f"{where} refuses the connection: nothing listens there, or a firewall rejects it."
            raise NotListening(self.on, says) from None
        except OSError as error:
            raise ConnectionFailed(self.on, f"there is no connection to {where}: {_words(error)}.") from None

    async def _seal(self, stream: _Stream, where: str) -> None:
        """Make TLS on it. Raises NoTls."""
        within = self._left()
        try:
            async with asyncio.timeout(within):
                await stream.seal(self.request.server_name)
        except TimeoutError:
            says = f"{where} takes the connection, but TLS was not made in {within:.0f} s."
            raise NoTls(self.on, says) from None
        except MostlyWrapping as error:
            raise NoTls(self.on, f"at {where}, TLS was given up: {error}.") from None
        except OSError as error:
            raise self._no_tls(where, error) from None

    def _no_tls(self, where: str, error: OSError) -> TargetError:
        name = f"with the name {self.request.server_name}" if self.request.server_name else "without a name (SNI)"
        for cause in chain(error):
            if isinstance(cause, ssl.SSLError):
                reason = why_no_tls(cause)
                return NoTls(self.on, f"at {where}, {name}: {reason.says}", reason.do)
        return NoTls(self.on, f"{where} cuts the connection off during the TLS handshake, {name}: {_words(error)}.")

    async def _head(self, stream: _Stream) -> h11.Response:
        """The head of the final answer. Interim ones (1xx) count against its length. Raises TargetError."""
        reading = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        # h11 wants to know what was asked; it sends nothing, so a stand-in does. As for HEAD: no body follows for it.
        reading.send(h11.Request(method="HEAD", target="/", headers=[("Host", "none")]))
        reading.send(h11.EndOfMessage())
        check = HeadCheck(2 * MAX_HEAD, 2 * MAX_HEAD)  # its length is counted here
        came, pieces, begins = 0, 0, b""
        while came <= MAX_HEAD:
            piece = await self._piece(stream, came)
            pieces += 1
            if pieces > _MOST_PIECES:
                raise HeadTooLong(self.on, f"the head of its answer comes in more than {_MOST_PIECES:,} pieces.")
            came += len(piece)
            begins = (begins + piece)[: len(_BEGINS)]
            if not _BEGINS.startswith(begins):
                raise NotHttp(self.on, f"what answers is no HTTP/1.x{_likeness(begins)}.")
            try:
                check.feed(piece)
                reading.receive_data(piece)
                event = reading.next_event()
                while isinstance(event, h11.InformationalResponse):
                    event = reading.next_event()
            except h11.RemoteProtocolError as error:
                if error.error_status_hint == _TOO_LONG:
                    break
                raise NotHttp(self.on, f"its answer breaks the rules of HTTP: {_broken_rule(error)}.") from None
            except LongHead as error:
                raise HeadTooLong(self.on, f"{error}.") from None
            except OddHead as error:
                raise NotHttp(self.on, f"{error}, which no web server sends.") from None
            if isinstance(event, h11.Response):
                return event
        raise HeadTooLong(self.on, f"the head of its answer has no end within {MAX_HEAD:,} bytes.")

    async def _piece(self, stream: _Stream, came: int) -> bytes:
        """Some more bytes, at least one. Raises TargetTimeout, ConnectionFailed."""
        within = self._left()
        if time.monotonic() >= self._ends:
            says = f"its answer did not come whole: {came} bytes, and no end of its head, in the time that it had."
            raise TargetTimeout(self.on, says)
        try:
            async with asyncio.timeout(within):
                piece = await stream.read()
        except TimeoutError:
            says = f"stopped after {came} bytes of its answer" if came else "took the request and did not answer"
            raise TargetTimeout(self.on, f"it {says} for {within:.0f} s.") from None
        if not piece:
            says = f"after {came} bytes of a head" if came else "without an answer"
            raise ConnectionFailed(self.on, f"it closes the connection {says}.")
        return piece


class _Stream:
    """A connection, in clear or sealed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.tls: TlsStream | None = None
        self._reader = reader

    @property
    def own_address(self) -> str:
        return str((self.writer.get_extra_info("sockname") or ("",))[0])

    async def seal(self, server_name: str) -> None:
        """Make TLS. An empty name is none in the hello. Raises OSError, MostlyWrapping."""
        tls = TlsStream(_context(), server_name or None, self._reader.read, self._send)
        await tls.handshake()
        self.tls = tls

    async def read(self) -> bytes:
        return await (self._reader if self.tls is None else self.tls).read(_PIECE)

    async def write(self, data: bytes) -> None:
        await (self._send if self.tls is None else self.tls.write)(data)

    async def _send(self, data: bytes) -> None:
        self.writer.write(data)


def is_probe(what: str) -> bool:
    """Whether a row of the allowlist is a request to a web server."""
    return what in PROBES


def _request(question: RunReader) -> ProbeRequest:
    try:
        return PROBES[question.what].request(question.params)
    except ValueError as error:
        raise PolicyViolation(question.on, f"{error}.") from None


def _address(text: str) -> Address | None:
    """What the resolver says, with the zone of a link-local address, which no rule allows anyway."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _words(error: OSError) -> str:
    return clip(error.strerror or str(error) or type(error).__name__, 120)


# What h11 says of a head [src] -> what is said here. h11 quotes the head as bytes, in which no mask finds a secret.
_RULES = {
    "illegal status line": "its first line is none",
    "illegal header line": "a line of its head is no header",
    "continuation line": "its first header goes on with none before it",
    "conflicting Content-Length": "it has two lengths",
    "bad Content-Length": "its length is no number",
    "multiple Transfer-Encoding": "it has two ways in which its body comes",
    "Only Transfer-Encoding": "its body would come in a way that nobody asked for",
}
_LIKENESS = {
    b"SSH-": "SSH",
    b"HTTP/": "another version of HTTP",
    b"220": "a mail or FTP server",
    b"\x15\x03": "TLS",
    b"\x16\x03": "TLS",
    b"<": "a page without a head",
}


def _broken_rule(error: h11.RemoteProtocolError) -> str:
    """Which rule of HTTP an answer breaks, without a word of that answer."""
    return next((says for begins, says in _RULES.items() if str(error).startswith(begins)), "its head cannot be read")


def _likeness(begins: bytes) -> str:
    """What an answer looks like by its first bytes, which are not repeated: a secret that is cut is masked by nobody."""
    return next((f": it looks like {kind}" for known, kind in _LIKENESS.items() if begins.startswith(known)), "")


def _context() -> ssl.SSLContext:
    """TLS that shows a certificate and trusts none: nothing secret is sent, and the answer decides nothing by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return without_long_handshakes(context)


def _tls(connection: ssl.SSLObject) -> tuple[str, bytes | None]:
    """The version, and the certificate as it came."""
    return connection.version() or "TLS", connection.getpeercert(binary_form=True)


def _certificate(encoded: bytes) -> Row:
    """A row {subject, issuer, names, begins, ends, sha256, unreadable}: times ISO 8601, None where it cannot be read."""
    row: dict[str, Cell] = {"sha256": hashlib.sha256(encoded).hexdigest(), "unreadable": False}
    try:
        found = x509.load_der_x509_certificate(encoded)
        row |= {
            "subject": _common_name(found.subject),
            "issuer": _common_name(found.issuer),
            "names": _names(found),
            "begins": found.not_valid_before_utc.isoformat(),
            "ends": found.not_valid_after_utc.isoformat(),
        }
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        row["unreadable"] = True
    return MappingProxyType(row)


def _common_name(name: x509.Name) -> str:
    told = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return clip(str(told[0].value), _LONGEST_NAME) if told else ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and addresses that it was made for; without any, what its subject is called."""
    try:
        told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(filter(None, (_common_name(certificate.subject),)))
    names = [*told.get_values_for_type(x509.DNSName), *told.get_values_for_type(x509.IPAddress)[:_MOST_NAMES]]
    return tuple(clip(str(name), _LONGEST_NAME) for name in names[:_MOST_NAMES])


def _row(head: h11.Response, place: tuple[str, int, tuple[str, ...], bool], more: Mapping[str, Cell]) -> Row:
    headers: dict[str, list[str]] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("ascii"), []).append(_text(value))
    locations = headers.get("location", [])
    address, port, addresses, pinned = place
    return {
        "status": head.status_code,
        "reason": clip(_text(head.reason), _LONGEST_VALUE),
        "version": head.http_version.decode("ascii"),
        "location": clip(locations[0], LONGEST_LOCATION) if locations else None,
        "locations": len(set(locations)),
        "location_cut": bool(locations) and len(locations[0]) > LONGEST_LOCATION,
        "server": _first(headers, "server"),
        "allow": _first(headers, "allow"),
        "login": clip(", ".join(dict.fromkeys(_schemes(headers))), _LONGEST_VALUE),
        "sets_cookie": "set-cookie" in headers,
        "address": address,
        "port": port,
        "addresses": addresses,
        "pinned": pinned,
        **more,
    }


def _schemes(headers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """By which kinds of login it wants one: "NTLM", "Basic"."""
    return (clip(one.split(" ")[0], 20) for one in headers.get("www-authenticate", ()))


def _first(headers: Mapping[str, Sequence[str]], name: str) -> str:
    return clip(next(iter(headers.get(name, ())), ""), _LONGEST_VALUE)


def _text(value: bytes) -> str:
    """A header's bytes: UTF-8 where they are, else a letter for each byte."""
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1")


_KEPT = ("location", "server", "allow", "date", "content-type", "content-length", "via", "x-powered-by")


def _shown(head: h11.Response) -> str:
    """The head as evidence: what may be somebody's session is named and not shown."""
    lines = [f"HTTP/{head.http_version.decode()} {head.status_code} {clip(_text(head.reason), _LONGEST_VALUE)}"]
    for raw, value in head.headers:
        name = raw.decode("ascii")
        text = without_values(_text(value)) if name == "location" else _text(value)
        lines.append(f"{name}: {clip(text, LONGEST_LOCATION)}" if name in _KEPT else f"{clip(name, 60)}: …")
    return "\n".join(lines[:100])
