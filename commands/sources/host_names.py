"""Is this the same host? Windows names compared, with or without a domain, whole or as NetBIOS knows them.

NetBIOS takes the first 15 characters of a computer's name, and Windows goes on making that name [doc: naming conventions
for computers]; a cluster, VMM and a backup product each write the one that they were given.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.api.host_names import host_parts

NETBIOS = 15  # characters


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


def hosts_named(name: str, among: Iterable[str]) -> tuple[str, ...]:
    """The names that can be of that host: those with its whole name, else those that differ by the cut alone.

    More than one: nobody can tell which.
    """
    found = tuple(dict.fromkeys(other for other in among if same_host(name, other)))
    return tuple(other for other in found if host_label(other) == host_label(name)) or found


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
