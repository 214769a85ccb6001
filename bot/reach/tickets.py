"""Kerberos tickets for a login that has a password. Without one, the bot's own ticket cache or keytab is used.

pywinrm's Kerberos takes tickets only. MIT krb5 finds, for a principal, the cache that holds its tickets, caches in
memory included [doc]; so a ticket is fetched into memory, once per principal and again before it ends.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from bot.errors import LoginRefused, OutOfBounds
from bot.reach.ways import Credentials

_RENEW_AFTER = 3600.0  # seconds; tickets live ten hours by default, and one exchange an hour costs nothing

_lock = threading.Lock()
_fetched: dict[tuple[str, str], tuple[float, Any]] = {}


def ticket_for(login: Credentials) -> str:
    """Make sure that there is a ticket. Answers the principal to log in as, "" for the default one.

    Raises:
        OutOfBounds: a password is set, and the library that turns it into a ticket is not installed.
        LoginRefused: the KDC cannot be asked, or refuses.
    """
    if not login.password:
        return login.username
    with _lock:
        at, _ = _fetched.get((login.username, login.password), (-_RENEW_AFTER, None))
        if time.monotonic() - at >= _RENEW_AFTER:
            _fetched[login.username, login.password] = (time.monotonic(), _fetch(login))
    return login.username


def _fetch(login: Credentials) -> Any:
    """The cache must be kept: one in memory lives as long as its handle."""
    try:
        import krb5  # noqa: PLC0415 - only this one login needs it
    except ImportError:
        raise OutOfBounds(
            login.username,
            "a Kerberos password is set, and the Python package krb5 is not installed.",
            "Install krb5, or leave the password out and set KRB5_CLIENT_KTNAME to a keytab.",
        ) from None
    try:
        context = krb5.init_context()
        principal = krb5.parse_name_flags(context, login.username.encode())
        options = krb5.get_init_creds_opt_alloc(context)
        ticket = krb5.get_init_creds_password(context, principal, options, password=login.password.encode())
        cache = krb5.cc_new_unique(context, b"MEMORY")
        krb5.cc_initialize(context, cache, principal)
        krb5.cc_store_cred(context, cache, ticket)
    except krb5.Krb5Error as error:
        raise LoginRefused(
            login.username, f"the KDC gives no ticket ({error!s:.120}).", "Check password, realm and krb5.conf."
        ) from None
    return context, cache
