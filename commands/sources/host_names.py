"""The one host among many that a name means, where more than one could be it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.api.host_names import NETBIOS, host_label, host_parts, same_host

_NONE: Mapping[str, None] = {}


def hosts_named(name: str, among: Iterable[str]) -> tuple[str, ...]:
    """The names that can be of that host: those with its whole name, else those that differ by the cut alone.

    More than one: nobody can tell which.
    """
    found = tuple(dict.fromkeys(other for other in among if same_host(name, other)))
    return tuple(other for other in found if host_label(other) == host_label(name)) or found


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
