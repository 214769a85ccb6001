r"""The forms in which a login is written, and which of them a transport takes. Pure.

Kerberos wants name@REALM, and Active Directory's realms are the DNS names of domains in capital letters [doc: MS-KILE].
WinRM's Basic takes local accounts only [doc: "Authentication for Remote Connections"]. No name of an account has / \ [ ] : ; |
= , + * ? < > or " in it, and no login of SQL Server's own has a backslash [doc: sAMAccountName, CREATE LOGIN].
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Form = Literal["kerberos", "ntlm", "basic", "sql"]

_DOMAIN = re.compile(r"([^\\/@]+)\\([^\\/@]+)")
_SLASHES = re.compile(r"([^\\/@]+)[\\/]+([^\\/@]+)")
_DOUBLE = "In single quotes TOML takes every backslash as it stands, so write one there; in double quotes write two."


def wrong_form(form: Form, username: str, domains: Iterable[str] = ()) -> str:
    """Why a transport cannot take a login as it is written, and the right form; "" where it may be right.

    Args:
        form: the transport, or "sql" for a login of SQL Server's own.
        username: as it is written.
        domains: DNS names of the domains that the inventory has; a NetBIOS name is looked for among them.
    """
    if any(not character.isprintable() for character in username):
        return f"there is a control character in it, as \\n in double quotes is one. {_DOUBLE}"
    if re.search(r"\\\\", username):
        return f"there are several backslashes in a row. {_DOUBLE}"
    judge = {"kerberos": _kerberos, "ntlm": _ntlm, "basic": _basic, "sql": _sql}[form]
    return judge(username, tuple(domains))


def _kerberos(username: str, domains: tuple[str, ...]) -> str:
    name, _, realm = username.rpartition("@")
    if realm != realm.upper() and name:
        if slashed := _DOMAIN.fullmatch(name):
            name = slashed[2]
        return (
            f'Kerberos takes a realm by its very letters, and those of Windows are capitals: "{name}@{realm.upper()}"'
        )
    if "\\" not in username:
        return ""
    slashed = _DOMAIN.fullmatch(name or username)
    if slashed is None:
        return 'Kerberos takes no backslash: write "name@REALM"'
    if name:
        return f'Kerberos takes no domain before the name: "{slashed[2]}@{realm}"'
    known = [domain for domain in dict.fromkeys(domains) if _is_netbios(slashed[1], domain)]
    if len(known) == 1:
        return f'for Kerberos a login is name@REALM: "{slashed[2]}@{known[0].upper()}"'
    return (
        f'for Kerberos a login is name@REALM: "{slashed[2]}@REALM", with the DNS name of the domain {slashed[1]} in '
        "capital letters as REALM"
    )


def _ntlm(username: str, domains: tuple[str, ...]) -> str:
    del domains
    if "/" not in username:
        return ""
    slashed = _SLASHES.fullmatch(username)
    right = f"{slashed[1]}\\{slashed[2]}" if slashed else "DOMAIN\\name"
    return f"domain and name stand on two sides of a backslash: '{right}', in single quotes"


def _basic(username: str, domains: tuple[str, ...]) -> str:
    slashed = _SLASHES.fullmatch(username)
    name, _, suffix = username.partition("@")
    of_domain = slashed is not None and any(_is_netbios(slashed[1], domain) for domain in domains)
    if not suffix and not of_domain and "/" not in username:
        return ""
    name = slashed[2] if slashed else name
    return (
        f'basic takes local accounts of the host only, by the name alone: "{name}". For an account of a domain set '
        'transport = "kerberos" or "ntlm"'
    )


def _sql(username: str, domains: tuple[str, ...]) -> str:
    _, _, suffix = username.rpartition("@")
    if "\\" not in username and suffix.lower() not in {domain.lower() for domain in domains}:
        return ""
    return (
        'a login of SQL Server\'s own has no domain. For an account of Windows set login = "kerberos" without username '
        "and password"
    )


def _is_netbios(name: str, domain: str) -> bool:
    """Whether a domain may have this NetBIOS name: by default it is its first label, cut at 15 characters [doc]."""
    return name.casefold() in (domain.casefold(), domain.partition(".")[0][:15].casefold())
