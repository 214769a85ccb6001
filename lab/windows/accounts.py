"""Which account a user name means, however the client spells it."""

from __future__ import annotations

from lab.windows.machine_protocol import Machine


def split_name(name: str) -> tuple[str, str]:
    r"""Domain and user of "CORP\user", "user@corp.example" or "user", in lower case."""
    lower = name.strip().lower()
    if "\\" in lower:
        domain, _mark, user = lower.partition("\\")
        return domain, user
    user, _mark, domain = lower.partition("@")
    return domain, user


def find_account(machine: Machine, domain: str, user: str) -> str | None:
    r"""The machine's own spelling of an account, or None if there is none.

    A domain may come as its NetBIOS name or as its DNS name, whose first label represents it. Without a domain, or with
    the machine's name or a dot as one, a local account goes before a domain's.
    """
    asked_domain, asked_user = (domain.lower(), user.lower()) if domain else split_name(user)
    local = asked_domain in ("", ".", machine.name.lower())
    found: str | None = None
    for account in machine.access.accounts:
        own_domain, own_user = split_name(account)
        if own_user != asked_user:
            continue
        if not own_domain and local:
            return account
        if not asked_domain or _same_domain(own_domain, asked_domain):
            found = found or account
    return found


def _same_domain(one: str, other: str) -> bool:
    if one == other:
        return True
    dotted = "." in one, "." in other
    return dotted[0] != dotted[1] and one.partition(".")[0] == other.partition(".")[0]
