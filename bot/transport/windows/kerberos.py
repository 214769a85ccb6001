"""Kerberos tickets for a login that has a password. Without one, the bot's own ticket cache or keytab is used.

pywinrm's Kerberos takes tickets only, and looks for them where its thread is told to, else where the whole process is
(KRB5CCNAME). So the tickets of each login with a password lie in a file of its own, in a directory that nobody else can read,
and are fetched again before they end; only the thread that logs in by them looks there, and only while it does. A login
without a password finds the account's own ticket cache or keytab as if there were no other, and so does the process of an
ODBC driver.

Each login adds the ticket of its host, and libkrb5 reads such a file from its beginning, several times a login: with two
thousand hosts in it that took 20 ms of CPU time, where it takes one with a few [measured]. So a file begins anew now and
then, with nothing but the ticket that others are got with. It takes the place of the old one whole: nobody finds it empty.

A KDC that is silent keeps libkrb5 waiting for half a minute, and nothing ends that. So each password is carried to its KDC on
a thread of its own, one at a time; whoever needs the ticket waits beside it, as long as their question has, and whoever
needs another one does not wait. A ticket that is still valid serves meanwhile.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import importlib
import importlib.util
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bot.errors import AuthenticationFailed, LoginNotChecked, PolicyViolation
from bot.transport.routing import Credentials
from bot.transport.windows.kerberos_reasons import NO_ANSWER_YET, KerberosReason, why_no_ticket
from bot.transport.windows.libkrb5 import Krb5Error, PasswordTicket, load, set_ticket_cache

_REFUSED_FOR = 60.0  # seconds: five hundred hosts must not carry one wrong password to the KDC five hundred times
_MOST_HOSTS = (
    256  # logins that one file serves: hosts beyond are asked for at the KDC again when they are connected to again
)
_RENEW_AFTER = 3600.0  # seconds; tickets live ten hours by default, and one exchange an hour costs nothing

# What pywinrm finds a token by. Its own pattern takes twice as long with each comma [src]: forty are a day.
_TOKEN = re.compile(r"(?:^|,)\s*+Negotiate(?![^\s,])\s*+([^,]*+)", re.IGNORECASE)

INSTALL = "Install it (pip install 'hvops[kerberos]'; it is compiled against libkrb5-dev), or log in by NTLM."

# Held for a look, or while a file is written: never while a KDC is waited for.
_lock = threading.Lock()
_Who = tuple[str, str]  # principal and password
_fetched: dict[_Who, _Ticket] = {}  # what the KDC gave for it
_refused: dict[_Who, tuple[float, KerberosReason]] = {}  # when it gave none, and why
_asking: dict[_Who, Future[None]] = {}  # done when the KDC that is asked just now has answered


async def wait_for_ticket(login: Credentials, ends: float) -> None:
    """Wait for the ticket that a login needs, on no thread that others need.

    Args:
        login: of any kind; one that needs no ticket by password does not wait.
        ends: until when, by the monotonic clock.

    Raises:
        LoginNotChecked: no KDC has answered by then.
        PolicyViolation, AuthenticationFailed: as `ticket_for` does.
    """
    if login.transport != "kerberos" or not login.password or not is_installed():
        return
    asked = _begin(login)
    if asked is None:
        return
    try:
        async with asyncio.timeout_at(ends):
            await asyncio.shield(asyncio.wrap_future(asked))
    except TimeoutError:
        raise no_answer_yet(login) from None
    _begin(login)


def ticket_for(login: Credentials, until: float) -> None:
    """Make sure that there is a ticket, on the thread that logs in by it. Waits until then, by the monotonic clock.

    Raises:
        PolicyViolation: a library is not installed: pykerberos, or libkrb5, which turns a password into a ticket.
        AuthenticationFailed: the KDC cannot be asked, or refuses.
    """
    if not is_installed():
        raise PolicyViolation(
            login.username, "Kerberos is not installed: the Python package pykerberos is missing.", INSTALL
        )
    _read_in_linear_time()
    if not login.password:
        return
    asked = _begin(login)
    if asked is not None:
        try:
            asked.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            raise no_answer_yet(login) from None
        _begin(login)
    with _lock:
        ticket = _fetched.get((login.username, login.password))
        if ticket is not None:  # else refused since
            ticket.logins += 1
            if ticket.logins % _MOST_HOSTS == 0:
                ticket.write()


@contextmanager
def tickets_of(login: Credentials) -> Iterator[None]:
    """Let this thread, and no other, log in by the tickets that were fetched for a password; without one, by the account's own.

    Raises PolicyViolation where the thread cannot be told: it would log in as somebody else.
    """
    if not login.password:
        yield
        return
    _look_at(login, f"FILE:{_file_of(login)}")
    try:
        yield
    finally:
        _look_at(login, None)


def _look_at(login: Credentials, tickets: str | None) -> None:
    """Tell this thread where its tickets are; None: where those of the process are. Raises PolicyViolation."""
    try:
        set_ticket_cache(tickets)
    except (OSError, Krb5Error) as error:
        raise PolicyViolation(
            login.username,
            f"a Kerberos password is set, and its tickets cannot be kept apart from others: {error}.",
            "Install MIT's GSS-API (Debian: libgssapi-krb5-2), or leave the password out and set KRB5_CLIENT_KTNAME to a keytab.",
        ) from None


def no_answer_yet(login: Credentials) -> AuthenticationFailed:
    """What is said where a KDC has not answered, and the question has no time left."""
    return _no_ticket(login, NO_ANSWER_YET)


@cache
def is_installed() -> bool:
    """Whether pywinrm can log in by Kerberos: pykerberos is an extra, `hvops[kerberos]`."""
    return importlib.util.find_spec("kerberos") is not None


def _read_in_linear_time() -> None:
    """Let pywinrm search what a host asks for by our pattern: it keeps its own with the function that searches."""
    vendored = importlib.import_module("winrm.vendor.requests_kerberos.kerberos_")
    vendored._negotiate_value.regex = _TOKEN  # noqa: SLF001 - nothing public takes it


def _begin(login: Credentials) -> Future[None] | None:
    """Have the KDC asked where that is due. Answers what to wait for; None where a ticket serves already.

    Raises:
        PolicyViolation: libkrb5 is not installed.
        AuthenticationFailed: the KDC has refused just now, or did not answer, and there is no ticket from before.
    """
    _check_library(login)
    who = (login.username, login.password)
    with _lock:
        ticket = _fetched.get(who)
        if ticket is not None and time.monotonic() - ticket.at < _RENEW_AFTER:
            return None
        is_valid = ticket is not None and time.time() < ticket.ends
        at, reason = _refused.get(who, (float("-inf"), None))
        if reason is not None and time.monotonic() - at < _REFUSED_FOR:
            if is_valid:  # a refusal leaves none
                return None
            raise _no_ticket(login, reason)
        asked = _asking.get(who) or _ask(login, who)
        return None if is_valid else asked


def _check_library(login: Credentials) -> None:
    try:
        load()
    except OSError:
        raise PolicyViolation(
            login.username,
            "a Kerberos password is set, and MIT's libkrb5 is not installed.",
            "Install it (Debian: libgssapi-krb5-2), or leave the password out and set KRB5_CLIENT_KTNAME to a keytab.",
        ) from None


def _no_ticket(login: Credentials, reason: KerberosReason) -> AuthenticationFailed:
    return reason.error(login.username, f"no ticket for it: {reason.says}", reason.do)


def _ask(login: Credentials, who: _Who) -> Future[None]:
    """Ask the KDC beside everything else. Call it with the lock held."""
    asked: Future[None] = Future()
    # a daemon: the end of the process waits for no KDC
    threading.Thread(target=_keep_answer, args=(login, who, asked), name="ticket", daemon=True).start()
    _asking[who] = asked
    return asked


def _keep_answer(login: Credentials, who: _Who, asked: Future[None]) -> None:
    found: _Ticket | KerberosReason
    try:
        found = _fetch(login)
    except Exception as error:  # noqa: BLE001 - whoever waits hears of it: the disk may be full
        found = why_no_ticket(None, str(error))._replace(error=LoginNotChecked)
    with _lock:
        _asking.pop(who, None)
        if isinstance(found, _Ticket):
            _fetched[who] = found
            _refused.pop(who, None)
        else:
            _refused[who] = (time.monotonic(), found)
            if not issubclass(found.error, LoginNotChecked):
                _fetched.pop(who, None)
    asked.set_result(None)


@dataclass(slots=True)
class _Ticket:
    """What other tickets are got with. `write` puts it into a file of its own, alone."""

    write: Callable[[], None]
    ends: float  # seconds since 1970
    at: float = field(default_factory=time.monotonic)
    logins: int = 0


def _fetch(login: Credentials) -> _Ticket | KerberosReason:
    """Ask the KDC. Answers why there is no ticket where there is none."""
    file = _file_of(login)

    def write() -> None:
        new = file.with_name(f"new{file.name}")
        ticket.write(new)
        new.replace(file)

    try:
        ticket = PasswordTicket(login.username, login.password)
        with _lock:  # the ticket before may be written to the same file
            write()
    except Krb5Error as error:
        return why_no_ticket(error.number, str(error))
    return _Ticket(write, ticket.ends)


def _file_of(login: Credentials) -> Path:
    return _folder() / f"tkt{hashlib.sha256(login.username.encode()).hexdigest()[:16]}"


@cache
def _folder() -> Path:
    """Made once, for the owner only, and gone with the process."""
    folder = tempfile.mkdtemp(prefix="hvops-tickets-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
