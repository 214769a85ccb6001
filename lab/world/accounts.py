"""The practice accounts: one per credential profile, with passwords drawn from the world's seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from lab.windows.machine_protocol import Access

PROFILES = ("reader", "operator", "guest")
DOMAIN = "CORP"


@dataclass(frozen=True, slots=True)
class Account:
    """A domain account: `user` is the domain, a backslash, and "svc-hvops-reader"."""

    profile: str
    user: str
    password: str


def accounts(seed: int) -> dict[str, Account]:
    """Profile -> account; the same for the same seed."""
    draw = Random(f"accounts {seed}")
    letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return {
        profile: Account(profile, f"{DOMAIN}\\svc-hvops-{profile}", "".join(draw.choices(letters, k=20)))
        for profile in PROFILES
    }


def backup_account(seed: int) -> Account:
    """The account at the backup product, which knows no domain."""
    draw = Random(f"backup account {seed}")
    return Account("backup", "svc-hvops-backup", "".join(draw.choices("abcdefghjkmnpqrstuvwxyz23456789", k=20)))


def balancer_account(seed: int) -> Account:
    """The account at load balancers: one of their own."""
    draw = Random(f"balancer account {seed}")
    return Account("load balancer", "hvops", "".join(draw.choices("abcdefghjkmnpqrstuvwxyz23456789", k=20)))


def database_account(seed: int) -> Account:
    """The login at VMM's SQL Server: one of the server's own."""
    draw = Random(f"database account {seed}")
    return Account("vmm", "hvops", "".join(draw.choices("abcdefghjkmnpqrstuvwxyz23456789", k=20)))


def host_access(known: dict[str, Account]) -> Access:
    """Hosts let the reader and the operator in; only the operator may change anything."""
    return Access(
        accounts={known[name].user: known[name].password for name in ("reader", "operator")},
        operators={known["operator"].user},
    )


def guest_access(known: dict[str, Account], *, admitted: bool = True) -> Access:
    """A guest lets the guest account in to look, unless its own administrators took it out."""
    accounts = {known["guest"].user: known["guest"].password} if admitted else {}
    return Access(accounts=accounts, operators=set())
