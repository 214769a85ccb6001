"""Under which name a machine counts, however a person, the inventory, a guest or another host writes it.

Locks, connections, places for runs, roles and logins all go by this one spelling: by two, one host would have twice of
each, and by a spelling that is too free, one host would have another one's.

Whether two names can be one host's is another question: with or without a domain, whole or as NetBIOS knows them. NetBIOS
takes the first 15 characters of a computer's name, and Windows goes on making that name [doc: naming conventions for
computers]; a cluster, VMM and a backup product each write the one that they were given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

NETBIOS = 15  # characters
LONGEST = 255  # characters of a name of DNS [doc]: RFC 1035


def host_key(name: str) -> str:
    """The spelling by which a name counts.

    Case makes no difference, nor do full-width letters and others that are only another form of a letter (NFKC), nor the dot
    that ends a name of DNS, nor spaces around it. A letter that is another one in some language alone (ı, İ) stays itself:
    it is part of no computer's name here.

    What is longer than any name of DNS is the name of nothing: it stays as it is, so that it counts as no machine's, and nobody
    chooses how long its letters and marks are put in order, for which Python needs the square of their number.
    """
    if len(name) > LONGEST:
        return name
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return plain.strip().removesuffix(".").lower()


def host_parts(name: str) -> tuple[str, str]:
    """Label and domain of a name, as they count; the domain is "" where none is written."""
    label, _, domain = host_key(name).partition(".")
    return label, domain


def host_label(name: str) -> str:
    """The name without its domain, in lower case."""
    return host_parts(name)[0]


def same_host(one: str, other: str) -> bool:
    """Whether two names can be those of one host: nothing speaks against it.

    Two domains are two hosts; a name without one may be in any. One of exactly 15 characters, without a domain, may be
    what NetBIOS leaves of a longer one.
    """
    (label, domain), (other_label, other_domain) = host_parts(one), host_parts(other)
    if not label or not other_label or (domain and other_domain and domain != other_domain):
        return False
    return label == other_label or _is_cut(label, domain, other_label) or _is_cut(other_label, other_domain, label)


class HostNames:
    """Many names of hosts, among which others are looked up: a backup product can tell tens of thousands."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names."""
        self._domains: dict[str, set[str]] = {}  # label -> the domains that it was written with, "" for none
        for label, domain in map(host_parts, names):
            if label:
                self._domains.setdefault(label, set()).add(domain)
        self._longer = {label[:NETBIOS] for label in self._domains if len(label) > NETBIOS}
        self._cut = {one for one, domains in self._domains.items() if len(one) == NETBIOS and "" in domains}

    def __contains__(self, name: str) -> bool:
        """Whether one of them can be that host (`same_host`)."""
        label, domain = host_parts(name)
        if not label:
            return False
        domains = self._domains.get(label, set())
        if domains and (not domain or domains & {"", domain}):
            return True
        if not domain and len(label) == NETBIOS and label in self._longer:
            return True
        return len(label) > NETBIOS and label[:NETBIOS] in self._cut


def _is_cut(label: str, domain: str, longer: str) -> bool:
    return not domain and len(label) == NETBIOS < len(longer) and longer.startswith(label)
