"""Who is logged in: passwords come in base64, tokens expire and can be renewed [src: the vendor's Python client].

How many wrong passwords lock an account, for how long, and how long a token lives are the practice world's own figures.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.commvault.responses import Reply
from lab.world.accounts import Account

LIFETIME, LOCKED_FOR, TRIES = timedelta(minutes=30), timedelta(minutes=5), 5
WRONG, LOCKED = 5, 1127  # error codes; clients read the message


@dataclass(slots=True)
class _Session:
    account: Account
    until: datetime


@dataclass(slots=True)
class Tokens:
    """Tokens and the accounts that may have them."""

    accounts: tuple[Account, ...]
    now: Callable[[], datetime]
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _wrong: dict[str, int] = field(default_factory=dict)
    _locked: dict[str, datetime] = field(default_factory=dict)

    def log_in(self, user: str, password: str) -> Reply:
        """Answer a login; one that failed has an error list and no token."""
        known = user.casefold()
        left = self._locked.get(known, self.now()) - self.now()
        if left > timedelta():
            return self._no(user, LOCKED, "The user account is locked.", int(left.total_seconds()))
        account = next((each for each in self.accounts if each.user.casefold() == known), None)
        if account is None or not _same(account.password, password):
            self._wrong[known] = self._wrong.get(known, 0) + 1
            if self._wrong[known] >= TRIES:
                self._locked[known] = self.now() + LOCKED_FOR
                self._wrong[known] = 0
            return self._no(user, WRONG, "The user name or password is not correct.")
        self._wrong.pop(known, None)
        return {
            "aliasName": "1",
            "userName": account.user,
            "token": self._issue(account),
            "loginAttempts": 0,
            "remainingLockTime": 0,
            "isAccountLocked": False,
            "forcePasswordChange": False,
        }

    def _no(self, user: str, code: int, message: str, seconds: int = 0) -> Reply:
        return {
            "userName": user,
            "loginAttempts": self._wrong.get(user.casefold(), 0),
            "remainingLockTime": seconds,
            "isAccountLocked": bool(seconds),
            "errList": [{"errorCode": code, "errLogMessage": message}],
        }

    def _issue(self, account: Account) -> str:
        token = f"QSDK 3{secrets.token_hex(40)}"
        self._sessions[token] = _Session(account, self.now() + LIFETIME)
        return token

    def account(self, token: str) -> Account | None:
        """Whose token it is, while it lives; every use lets it live on."""
        session = self._sessions.get(token)
        if session is None or session.until <= self.now():
            return None
        session.until = self.now() + LIFETIME
        return session.account

    def renew(self, token: str) -> str | None:
        """A new token for an old one, alive or not; None where it never was one. The old one is dead then."""
        session = self._sessions.pop(token, None)
        return None if session is None else self._issue(session.account)

    def end(self, token: str) -> None:
        """Log out."""
        self._sessions.pop(token, None)

    def expire(self) -> None:
        """Let all tokens run out at once."""
        for session in self._sessions.values():
            session.until = self.now()

    def forget(self) -> None:
        """Forget all tokens, as a restarted web service does: none can be renewed."""
        self._sessions.clear()


def _same(right: str, sent: str) -> bool:
    try:
        decoded = base64.b64decode(sent, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(right.encode(), decoded)
