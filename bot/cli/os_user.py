"""Who sits at the terminal: the operating-system user, with the roles that the settings give it."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.config.settings import LedgerFiles, Roles
from bot.dispatch.authorization import Person, system_person

ROOT = 0
LOGIN_UID = Path("/proc/self/loginuid")
_UNSET = 2**32 - 1  # nobody logged in: a service, a container [doc] proc(5), audit_getloginuid(3)


def current_user(roles: Roles, name: str | None = None) -> Person:
    """The user of this process, by its real id: environment variables can claim anything."""
    return system_person(roles.rules(), name or pwd.getpwuid(os.getuid()).pw_name, roles.contact)


@dataclass(frozen=True, slots=True)
class OsUser:
    """Who typed at this machine, as far as its kernel knows.

    Attributes:
        name: of the account: "anna".
        host: this machine, as it calls itself.
        is_bots_account: whether that is an account that the bot runs as: nobody can tell who typed then.
    """

    name: str
    host: str
    is_bots_account: bool

    def person(self, roles: Roles) -> Person:
        """The same with the roles that the settings give the account; called "anna@ops1"."""
        found = system_person(roles.rules(), self.name, roles.contact)
        return replace(found, name=f"{self.name}@{self.host}")


def who_typed(files: LedgerFiles) -> OsUser:
    """Who typed a command that acts on the bot's own files: its account, or root, runs it, mostly through sudo.

    The account of this process, where it is neither the bot's own nor root's. Else the account that logged in, which the
    kernel keeps for every process since then (`loginuid`): su and sudo do not change it, and only a process that may
    CAP_AUDIT_CONTROL can, once it is set [src] kernel/audit.c, audit_set_loginuid_perm. SUDO_USER and SUDO_UID are
    variables, which whoever holds a shell of the bot's account sets at will: they count for nothing.
    """
    uid, own = os.getuid(), bots_accounts(files)
    if uid in own or uid == ROOT:
        logged_in = _login_uid()
        uid = uid if logged_in is None else logged_in
    return OsUser(_name(uid), socket.gethostname(), uid in own)


def bots_accounts(files: LedgerFiles) -> frozenset[int]:
    """The accounts that the bot runs as: those that own what only it writes. The lock is made by whoever ran it."""
    ledger = files.lock_base.resolve()
    return frozenset(_owners((ledger, files.key_file, ledger.with_name(f"{ledger.name}.runner"))))


def _owners(paths: Iterable[Path]) -> Iterable[int]:
    return (path.stat().st_uid for path in paths if path.exists())


def _login_uid() -> int | None:
    """The account that logged in; None where nobody did, or this kernel keeps no record of it."""
    try:
        found = int(LOGIN_UID.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if found == _UNSET else found


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
