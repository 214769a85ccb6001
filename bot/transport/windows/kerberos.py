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
import importlib
import importlib.util
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bot.errors import PolicyViolation
from bot.transport.routing import Credentials
from bot.transport.windows.kerberos_reasons import KerberosReason, why_no_ticket
from bot.transport.windows.libkrb5 import Krb5Error, PasswordTicket

_REFUSED_FOR = 60.0  # seconds: five hundred hosts must not carry one wrong password to the KDC five hundred times
_MOST_HOSTS = (
    256  # logins that one file serves: hosts beyond are asked for at the KDC again when they are connected to again
)
_RENEW_AFTER = 3600.0  # seconds; tickets live ten hours by default, and one exchange an hour costs nothing

# What pywinrm finds a token by. Its own pattern takes twice as long with each comma [src]: forty are a day.
_TOKEN = re.compile(r"(?:^|,)\s*+Negotiate(?![^\s,])\s*+([^,]*+)", re.IGNORECASE)

INSTALL = "Install it (pip install 'hvops[kerberos]'; it is compiled against libkrb5-dev), or log in by NTLM."

_lock = threading.Lock()
_fetched: dict[tuple[str, str], _Ticket] = {}  # principal and password -> what the KDC gave for it
_refused: dict[tuple[str, str], tuple[float, KerberosReason]] = {}  # likewise, and why


def ticket_for(login: Credentials) -> str:
    """Make sure that there is a ticket. Answers the principal to log in as, "" for the default one.

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


@cache
def is_installed() -> bool:
    """Whether pywinrm can log in by Kerberos: pykerberos is an extra, `hvops[kerberos]`."""
    return importlib.util.find_spec("kerberos") is not None


def _read_in_linear_time() -> None:
    """Let pywinrm search what a host asks for by our pattern: it keeps its own with the function that searches."""
    vendored = importlib.import_module("winrm.vendor.requests_kerberos.kerberos_")
    vendored._negotiate_value.regex = _TOKEN  # noqa: SLF001 - nothing public takes it


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
    folder = _folder()
    name = hashlib.sha256(login.username.encode()).hexdigest()[:16]

    def write() -> None:
        ticket.write(folder / f"new{name}")  # a collection is what begins with tkt
        (folder / f"new{name}").replace(folder / f"tkt{name}")

    try:
        ticket = PasswordTicket(login.username, login.password)
        write()
    except OSError:
        raise PolicyViolation(
            login.username,
            "a Kerberos password is set, and MIT's libkrb5 is not installed.",
            "Install it (Debian: libgssapi-krb5-2), or leave the password out and set KRB5_CLIENT_KTNAME to a keytab.",
        ) from None
    except Krb5Error as error:
        return why_no_ticket(error.number, str(error))
    os.environ["KRB5CCNAME"] = f"DIR:{folder}"
    return _Ticket(write)


@cache
def _folder() -> Path:
    """Made once, for the owner only, and gone with the process."""
    folder = tempfile.mkdtemp(prefix="hvops-tickets-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
