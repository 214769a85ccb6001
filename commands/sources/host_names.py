"""Is this the same host? Windows names compared, with or without a domain, whole or as NetBIOS knows them.

NetBIOS takes the first 15 characters of a computer's name, and Windows goes on making that name [doc: naming conventions
for computers]; a cluster, VMM and a backup product each write the one that they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.api.host_names import host_parts

NETBIOS = 15  # characters
_NONE: Mapping[str, None] = {}


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


class HostIndex:
    """Many names of hosts, of which those that can be one host are found without a look at all the others (`hosts_named`)."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names."""
        self._labels: dict[str, dict[str, None]] = {}
        self._whole: dict[tuple[str, str], dict[str, None]] = {}
        self._longer: dict[str, dict[str, None]] = {}  # what NetBIOS leaves of a label -> the names with that label
        for name in names:
            label, domain = host_parts(name)
            if label:
                self._labels.setdefault(label, {})[name] = None
                self._whole.setdefault((label, domain), {})[name] = None
            if len(label) > NETBIOS:
                self._longer.setdefault(label[:NETBIOS], {})[name] = None

    def count(self, name: str) -> int:
        """How many of the names can be of that host."""
        return sum(map(len, self._found(name)))

    def only(self, name: str) -> str:
        """The one name that can be of that host; "" where there is none, or more than one."""
        found = self._found(name)
        return next(iter(next(filter(None, found)))) if sum(map(len, found)) == 1 else ""

    def names(self, name: str, other: str) -> bool:
        """Whether `other` is one of the names that can be of the host `name`."""
        return any(other in part for part in self._found(name))

    def _found(self, name: str) -> tuple[Mapping[str, None], ...]:
        """The names in lists that are there already: a host may have as many as somebody writes, and nobody copies them."""
        label, domain = host_parts(name)
        if domain:
            whole = self._whole.get((label, domain), _NONE), self._whole.get((label, ""), _NONE)
        else:
            whole = self._labels.get(label, _NONE), _NONE
        if any(whole):
            return whole
        if len(label) > NETBIOS:
            return (self._whole.get((label[:NETBIOS], ""), _NONE),)
        return (self._longer.get(label, _NONE) if len(label) == NETBIOS and not domain else _NONE,)


def _is_cut(label: str, domain: str, longer: str) -> bool:
    return not domain and len(label) == NETBIOS < len(longer) and longer.startswith(label)
