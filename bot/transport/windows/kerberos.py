"""Kerberos tickets for a login that has a password. Without one, the bot's own ticket cache or keytab is used.

pywinrm's Kerberos takes tickets only, and finds those of a principal in the process's collection of caches. Of the
kinds of collection that MIT krb5 has, only a directory shows more than one cache to such a search [doc] "ccache types";
so the tickets lie in a directory of our own, readable by nobody else, and are fetched again before they end. From the
first password on, the process looks there and no longer into another ticket cache; a client keytab still serves.

Each login adds the ticket of its host, and libkrb5 reads such a file from its beginning, several times a login: with two
thousand hosts in it that took 20 ms of CPU time, where it takes one with a few [measured]. So a file begins anew now and
then, with nothing but the ticket that others are got with. It takes the place of the old one whole: nobody finds it empty.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bot.errors import PolicyViolation
from bot.transport.routing import Credentials
from bot.transport.windows.kerberos_reasons import KerberosReason, why_no_ticket

_REFUSED_FOR = 60.0  # seconds: five hundred hosts must not carry one wrong password to the KDC five hundred times
_MOST_HOSTS = (
    256  # logins that one file serves: hosts beyond are asked for at the KDC again when they are connected to again
)
_RENEW_AFTER = 3600.0  # seconds; tickets live ten hours by default, and one exchange an hour costs nothing

_lock = threading.Lock()
_fetched: dict[tuple[str, str], _Ticket] = {}  # principal and password -> what the KDC gave for it
_refused: dict[tuple[str, str], tuple[float, KerberosReason]] = {}  # likewise, and why


def ticket_for(login: Credentials) -> str:
    """Make sure that there is a ticket. Answers the principal to log in as, "" for the default one.

    Raises:
        PolicyViolation: a password is set, and the library that turns it into a ticket is not installed.
        AuthenticationFailed: the KDC cannot be asked, or refuses.
    """
    if not login.password:
        return login.username
    who = (login.username, login.password)
    with _lock:
        ticket = _fetched.get(who)
        if ticket is None or time.monotonic() - ticket.at >= _RENEW_AFTER:
            ticket = _fetched[who] = _fetch_once(login, who)
        ticket.logins += 1
        if ticket.logins % _MOST_HOSTS == 0:
            ticket.write()
    return login.username


def _fetch_once(login: Credentials, who: tuple[str, str]) -> _Ticket:
    """Ask the KDC, unless it has refused just now. Raises AuthenticationFailed."""
    at, reason = _refused.pop(who, (float("-inf"), None))
    if reason is None or time.monotonic() - at >= _REFUSED_FOR:
        at, found = time.monotonic(), _fetch(login)
        if isinstance(found, _Ticket):
            return found
        reason = found
    _refused[who] = (at, reason)
    raise reason.error(login.username, f"no ticket for it: {reason.says}", reason.do)


@dataclass(slots=True)
class _Ticket:
    """What other tickets are got with. `write` puts it into a file of its own, alone."""

    write: Callable[[], None]
    at: float = field(default_factory=time.monotonic)
    logins: int = 0


def _fetch(login: Credentials) -> _Ticket | KerberosReason:
    """Ask the KDC. Answers why there is no ticket where there is none."""
    krb5 = _library(login.username)
    folder = _folder()
    name = hashlib.sha256(login.username.encode()).hexdigest()[:16]

    def write() -> None:
        tickets = krb5.cc_resolve(context, f"FILE:{folder}/new{name}".encode())  # a collection is what begins with tkt
        krb5.cc_initialize(context, tickets, principal)
        krb5.cc_store_cred(context, tickets, ticket)
        Path(folder, f"new{name}").replace(Path(folder, f"tkt{name}"))

    try:
        context = krb5.init_context()
        principal = krb5.parse_name_flags(context, login.username.encode())
        options = krb5.get_init_creds_opt_alloc(context)
        ticket = krb5.get_init_creds_password(context, principal, options, password=login.password.encode())
        write()
    except krb5.Krb5Error as error:
        return why_no_ticket(error.err_code, str(error))
    os.environ["KRB5CCNAME"] = f"DIR:{folder}"
    return _Ticket(write)


def _library(on: str) -> Any:
    """The bindings of libkrb5: only this one login needs them."""
    try:
        import krb5  # noqa: PLC0415 - see above
    except ImportError:
        raise PolicyViolation(
            on,
            "a Kerberos password is set, and the Python package krb5 is not installed.",
            "Install krb5, or leave the password out and set KRB5_CLIENT_KTNAME to a keytab.",
        ) from None
    return krb5


@cache
def _folder() -> str:
    """Made once, for the owner only, and gone with the process."""
    folder = tempfile.mkdtemp(prefix="hvops-tickets-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
