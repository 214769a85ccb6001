"""One connection to one host: pywinrm's Protocol, with a deadline of ours around every byte.

pywinrm logs in and encrypts; what it lacks is added here. Facts about it (0.5.0, read in source):

* It retries operation time-outs for ever, and its read time-out counts from byte to byte: here every exchange has an
  end, and `abort` wakes a thread that a dripping host would hold.
* A login belongs to one TCP connection. When that drops, urllib3 opens another one in silence, and requests_ntlm logs
  in again but resends the message sealed with the old key. Here a login never moves to another connection (`StaleConnection`).
* requests_ntlm takes a round trip and a fifth of the CPU time of a first contact for nothing: `ntlm` is in its place.
* When its first, blank message fails, the next one would go out in clear: a failed Connection is never used again.
* It believes a reply in clear over a connection whose messages are sealed. Here only what was sealed is believed.
* It reads proxies and certificate bundles from the environment, and follows redirects. Here it does neither.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import requests
from winrm.encryption import Encryption
from winrm.exceptions import WinRMTransportError
from winrm.protocol import Protocol
from winrm.transport import Transport

from bot.errors import AuthenticationFailed
from bot.transport import bounds
from bot.transport.room import Room
from bot.transport.routing import Credentials, Route
from bot.transport.windows.exception_mapping import DeadlineExceeded, ResponseTooLarge
from bot.transport.windows.http_adapter import BOUND, LONGEST_REPLY, Adapter
from bot.transport.windows.kerberos import no_answer_yet, ticket_for, tickets_of
from bot.transport.windows.ntlm import NtlmLogin
from bot.transport.windows.wsman import MalformedReply, Message, body_of

_NOT_KEPT = f"[the rest is not kept: this answer has more than {bounds.MAX_EVIDENCE >> 20} MB]".encode()
_READING = Room(bounds.MAX_READ_OF_ALL)  # of all hosts
_MOST_COOKIES, _LONGEST_COOKIES = (
    20,
    2**14,
)  # that are kept with a connection, and characters of all with what they say besides
_NO_PASSWORD = ("kerberos", "certificate")  # logins of which a host gets neither the password nor a proof of it
_LONGEST_OPERATION = 60.0  # seconds: MaxTimeoutms of WinRM [doc]

WireObserver = Callable[[str, str, str], None]  # host, request, reply: everything that goes over the wire, in clear


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a question must be answered, and how long the host may be silent meanwhile. Monotonic seconds."""

    ends: float
    silence: float

    @classmethod
    def of(cls, seconds: float, silence: float = 0) -> Deadline:
        """From now on."""
        return cls(time.monotonic() + seconds, silence or seconds)

    def next(self) -> float:
        """When the next message must be answered."""
        return min(self.ends, time.monotonic() + self.silence)

    @property
    def left(self) -> float:
        """Seconds until the end, 0 at least."""
        return max(0.0, self.ends - time.monotonic())


class Connection:
    """One login over one TCP connection. Used by one thread at a time; `abort` may be called from any.

    Whatever `exchange` raises, other than a SOAP fault, leaves it broken: close it and take a fresh one.
    """

    def __init__(self, way: Route, tap: WireObserver | None = None) -> None:
        self.way = way
        self.is_broken = False
        self.idle_since = time.monotonic()
        self.transcript: list[bytes] = []
        self._heard = 0  # bytes of the transcript
        self._long_answer = _long_answer(way.key)
        self._is_long = False  # whether ours is the one long answer of this host
        self._weight = 0  # bytes that earlier replies took, of which rows are left
        self._tap = tap
        self._adapter = Adapter(way)
        self._adapter.before_long = partial(self._take_room, 2 * LONGEST_REPLY)
        self.protocol = _Protocol(way, self._adapter, self.exchange)

    def ask(self, message: Message, deadline: Deadline) -> tuple[bytes, str]:
        """Send one message. Answers the reply, and the id it must relate to."""
        self.expect(deadline)
        message_id = str(uuid.uuid4())
        seconds = min(_LONGEST_OPERATION, max(1.0, deadline.left))
        return self.exchange(message.envelope(self.way.url, message_id, seconds)), message_id

    def hold(self) -> None:
        """Let nothing go over a second TCP connection, also where the login would allow it: another machine may take that one."""
        self._adapter.is_held = True

    @contextmanager
    def changing(self, look: Callable[[], None]) -> Iterator[None]:
        """What is sent inside changes something. `look` raises where it may go out no more, up to its very last byte."""
        self._adapter.last_look = look
        try:
            yield
        finally:
            self._adapter.last_look = None

    def expect(self, deadline: Deadline) -> None:
        """Set the deadline of what pywinrm's own methods (`protocol.open_shell` …) send next. Raises DeadlineExceeded once aborted."""
        if self.is_broken:
            raise DeadlineExceeded
        self._adapter.until = deadline.next()

    def exchange(self, envelope: str) -> bytes:
        """Send an envelope, answer the reply.

        Raises:
            WSManFaultReply: the host answered with a fault; the connection is still good.
            ResponseTooLarge: all replies to this question together exceed the size limit.
            Exception: anything that the libraries raise, for `foreign.from_exception`.
        """
        try:
            reply = self._send(envelope)
        except BaseException:
            self.is_broken = True
            raise
        self._adapter.is_established = True
        self.idle_since = time.monotonic()
        self._keep(reply.content)
        if self._tap:
            self._tap(self.way.name, envelope, reply.content.decode("utf-8", "replace"))
        if reply.error is not None:
            _raise_fault(reply.content, reply.error)
        return reply.content

    def forget(self) -> None:
        """Begin the transcript of another question."""
        self.transcript.clear()
        self._heard = self._weight = 0
        _READING.give_back(self)
        if self._is_long:
            self._is_long = False
            self._long_answer.release()

    def _keep(self, reply: bytes) -> None:
        self._heard += len(reply)
        if self._heard > bounds.MAX_ANSWER:  # an enumeration without end stays within every deadline of a single reply
            self.is_broken = True
            raise ResponseTooLarge
        if self._heard > bounds.LONG and not self._is_long:
            if not self._long_answer.acquire(timeout=max(0.0, self._adapter.until - time.monotonic())):
                raise DeadlineExceeded
            self._is_long = True
        self._make_room(reply)
        if self._heard <= bounds.MAX_EVIDENCE:
            self.transcript.append(reply)
        elif self.transcript[-1:] != [_NOT_KEPT]:
            self.transcript.append(_NOT_KEPT)

    def _make_room(self, reply: bytes) -> None:
        """Wait until there is room in memory to read it. Raises DeadlineExceeded."""
        weight = bounds.weigh_unread(reply)
        if self._weight + weight > bounds.LIGHT:
            self._take_room(weight)
        self._weight = min(self._weight + weight, bounds.MAX_WEIGHT)

    def _take_room(self, weight: int) -> None:
        if not _READING.take(self, self.way.name, self._weight + weight, self._adapter.until):
            raise DeadlineExceeded

    def _send(self, envelope: str) -> _Reply:
        try:
            return _Reply(self.protocol.transport.send_message(envelope))
        except WinRMTransportError as error:
            if not error.response_text:
                raise
            return _Reply(error.response_text.encode(), error)

    def abort(self) -> None:
        """Make the thread that waits on this connection fail at once."""
        self.is_broken = True
        self._adapter.abort()

    def is_asking_kdc(self) -> bool:
        """Whether it waits for a ticket: the host has not been asked yet. From any thread."""
        return self._adapter.is_asking_kdc

    def judge(self, refused: AuthenticationFailed) -> None:
        """Mark a refusal that is the host's own word of a login that takes no password there. From any thread.

        By Kerberos, whatever a KDC says of account and password comes before the host has heard anything.
        """
        if self._adapter.has_answered and self.way.credentials.transport in _NO_PASSWORD:
            refused.is_only_there = True

    def is_mostly_wrapping(self) -> bool:
        """Whether the host sends much over TLS that carries nothing. From any thread."""
        return self._adapter.is_mostly_wrapping()

    def close(self) -> None:
        """Give the socket back."""
        self.is_broken = True
        with suppress(Exception):
            self.protocol.transport.close_session()
        self._adapter.close()


# Guests are called as they like: each lock is gone with the last connection there.
_long_answers: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_of_long_answers = threading.Lock()


def _long_answer(host: str) -> threading.Lock:
    """Who holds it may go on with a long answer of that host: one machine has the memory of one such answer, not of four."""
    with _of_long_answers:
        return _long_answers.setdefault(host, threading.Lock())


@dataclass(frozen=True, slots=True)
class _Reply:
    content: bytes
    error: WinRMTransportError | None = None


def _raise_fault(content: bytes, error: WinRMTransportError) -> None:
    """An HTTP error that carries a SOAP fault is that fault; any other stays what it is."""
    with suppress(MalformedReply):
        body_of(content)
    raise error


class _Protocol(Protocol):
    """pywinrm's Protocol over our transport. Its shell methods send through `exchange` like all else."""

    def __init__(self, way: Route, adapter: Adapter, exchange: Callable[[str], bytes]) -> None:
        login = way.credentials
        named = _login(way)
        super().__init__(endpoint=way.url, transport=login.transport, **named)
        self.transport = _Transport(
            adapter,
            login,
            endpoint=way.url,
            auth_method=login.transport,
            service="HTTP",
            ca_trust_path=None,
            proxy=None,
            read_timeout_sec=self.read_timeout_sec,
            **named,
        )
        self._exchange = exchange

    def send_message(self, message: str) -> bytes:
        """What pywinrm's own methods call. They parse the reply themselves, document types and all: not before us."""
        reply = self._exchange(message)
        body_of(reply, may_be_empty=True)
        return reply


def _is_sealed(response: requests.Response, encryption: Encryption) -> bool:
    """Whether pywinrm will unseal it: by the very words that it looks for itself."""
    return f'protocol="{encryption.protocol_string.decode()}"' in response.headers.get("Content-Type", "")


def _login(way: Route) -> dict[str, Any]:
    login = way.credentials
    sealed = login.transport in BOUND and not way.is_tls
    return {
        "username": login.username,
        "password": login.password,
        "cert_pem": str(login.certificate) if login.certificate else None,
        "cert_key_pem": str(login.key) if login.key else None,
        "kerberos_hostname_override": way.service_name,
        "message_encryption": "always" if sealed else "auto",
    }


class _Transport(Transport):
    """pywinrm's Transport with our adapter under its session, in place before the very first byte."""

    def __init__(self, adapter: Adapter, login: Credentials, **named: Any) -> None:
        super().__init__(**named)
        self._adapter = adapter
        self._login = login
        self._ntlm = NtlmLogin(login, adapter) if login.transport == "ntlm" else None

    def build_session(self) -> requests.Session:
        """The session, made at the first call; logs in where messages are encrypted."""
        if self.session:
            return self.session
        if self._login.transport == "kerberos":
            ticket_for(self._login, self._adapter.until)
        return self._bare(super().build_session())

    def setup_encryption(self, session: requests.Session) -> None:
        """Log in with a blank message. What follows is sealed for this connection."""
        super().setup_encryption(self._bare(session))
        self._adapter.is_established = True

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        """What every message goes through. A sign-in page answers 200, even to the blank message of a login."""
        response = super()._send_message_request(session, prepared_request)
        if len(session.cookies) > _MOST_COOKIES:
            raise MalformedReply("the reply sets too many cookies")
        if sum(len(str(vars(cookie))) for cookie in session.cookies) > _LONGEST_COOKIES:
            raise MalformedReply("the reply sets cookies that are too long")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise MalformedReply("the reply is a web page, so a proxy or another web server answers in place of WinRM")
        if self._ntlm is not None and self._ntlm.session_security is None:
            raise MalformedReply("it does not ask who logs in, so something else than WinRM answers")
        return response

    def _get_message_response_text(self, response: requests.Response) -> bytes:
        """The reply, unsealed. pywinrm takes one that was never sealed as well; anybody on the way could write that.

        Raises:
            MalformedReply: it came in clear over a connection whose messages are sealed.
        """
        if self.encryption is None or _is_sealed(response, self.encryption):
            return super()._get_message_response_text(response)
        if response.ok:
            raise MalformedReply("the reply is not encrypted, so nobody knows who wrote it")
        return b""  # its status is believed, as that of a dropped connection would be; its words are not

    def _ask_kdc(self, header: Callable[..., str], *args: Any, **named: Any) -> str:
        """The login's header, for which libkrb5 gets the host's ticket: no deadline of ours ends that.

        Raises:
            LoginNotChecked: the deadline has passed meanwhile, which says nothing of the host.
        """
        self._adapter.is_asking_kdc = True
        try:
            with tickets_of(self._login):
                made = header(*args, **named)
            if time.monotonic() >= self._adapter.until:
                raise no_answer_yet(self._login)
        finally:
            self._adapter.is_asking_kdc = False
        return made

    def _bare(self, made: requests.Session) -> requests.Session:
        """Our session, with the login and the headers of the one that pywinrm made, and nothing of the environment."""
        if not isinstance(self.session, _Session):
            session = self.session = _Session()
            session.auth, session.cert = self._ntlm or made.auth, made.cert
            if self._login.transport == "kerberos":
                login: Any = made.auth
                login.generate_request_header = partial(self._ask_kdc, login.generate_request_header)
            session.headers = made.headers
            session.trust_env = False
            session.max_redirects = 0
            session.adapters.clear()
            session.mount("http", self._adapter)
        return self.session


class _Session(requests.Session):
    """Makes a request like the one before it: requests works all of it out anew, in a sixth of the CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self._like: requests.PreparedRequest | None = None

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """All go to one address, with the same headers; the body and the login differ."""
        if self.cookies:  # of something on the way that wants to know its own again
            return super().prepare_request(request)
        if self._like is None:
            headers = {**self.headers, **request.headers}
            self._like = requests.Request(request.method, request.url, headers=headers).prepare()
        prepared = self._like.copy()
        prepared.hooks = {"response": []}
        prepared.prepare_body(request.data, None)
        prepared.prepare_auth(self.auth, request.url)  # type: ignore[no-untyped-call,unused-ignore]
        return prepared
