"""Which name is reached where, by which login, and what may not be reached at all. Pure.

Chat never chooses credentials, endpoint or transport: they come from the settings and the inventory, and the rules about
guests are here, in one place. What a guest says of itself is hostile input: it may only pick a name inside of the
domains that the inventory allows, and the login that is used there cannot be replayed elsewhere (Kerberos), unless the
inventory itself says where that guest is and how its certificate is verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bot.api.host_names import host_key, host_parts
from bot.config.inventory_file import PLAIN_PORT, TLS_PORT, InventoryFile
from bot.errors import PolicyViolation
from bot.redaction import clip

Profile = Literal["reader", "operator", "guest"]
Transport = Literal["kerberos", "ntlm", "certificate", "basic"]

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")  # a computer name, never a URL or an option
_TLS_ONLY = ("basic", "certificate")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One login. Kerberos takes the ticket cache or keytab of the bot's own account where no password is set."""

    transport: Transport
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None  # None: the system's own authorities
    # What a transport works out of the password once, by its name: as secret as the password, and gone with it.
    derived: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def realm(self) -> str:
        """Whose domain controllers answer for it, in capital letters; "" where the username does not say."""
        _, at, realm = self.username.rpartition("@")
        return realm.upper() if at else ""


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one machine.

    Attributes:
        name: the machine, as people write it; two spellings of one machine are one way.
        service_name: the host part of its Kerberos service name HTTP/<service_name>.
        key: by which the machine counts: a host by its name in the inventory; a guest by the address where it is asked, and
            apart from all hosts, whatever it is called and whatever name it gives itself.
        is_tls: whether TLS protects the messages; else the login itself must encrypt them.
    """

    name: str = field(compare=False)
    url: str
    service_name: str
    credentials: Credentials
    key: str = field(default="", kw_only=True)
    is_tls: bool = field(init=False)

    def __post_init__(self) -> None:
        """The address alone says whether there is TLS."""
        object.__setattr__(self, "key", self.key or host_key(self.name))
        object.__setattr__(self, "is_tls", self.url.lower().startswith("https:"))

    @property
    def odd_port(self) -> str:
        """What to do where its address has the port that WinRM uses for the other of http and https; "" where it has not."""
        kind, wrong, right = ("https", PLAIN_PORT, TLS_PORT) if self.is_tls else ("http", TLS_PORT, PLAIN_PORT)
        if urlsplit(self.url).port != wrong:
            return ""
        other = "plain HTTP" if self.is_tls else "TLS"
        return (
            f"It is pinned to {kind}:// with port {wrong}, which is WinRM's for {other}: write port {right} below [endpoints],"
            f" or {'http' if self.is_tls else 'https'}://."
        )


def guest_key(where: str) -> str:
    """By which a guest counts, out of where it is asked or which one it is. No name of a host has a blank."""
    return f"guest {host_key(where)}"


class Router:
    """The ways to all machines that the inventory names, that were discovered from it, or that run as guests there."""

    def __init__(self, inventory_file: InventoryFile, credentials: Mapping[str, Credentials]) -> None:
        self._inventory_file = inventory_file
        self._credentials = dict(credentials)
        self._preferred: dict[str, str] = {}
        # What the inventory itself says: name -> cluster, "" alone.
        self._homes = dict.fromkeys(inventory_file.hosts, "")
        self._learnt: dict[str, frozenset[str]] = {}  # what the clusters say: cluster -> its nodes
        for key, cluster in inventory_file.clusters.items():
            self._homes |= {host_key(entry): key for entry in (*cluster.entry_hosts, *cluster.nodes)}
        self._proved = {
            host_key(entry) for cluster in inventory_file.clusters.values() for entry in cluster.entry_hosts
        }
        self._proved |= inventory_file.hosts.keys()  # hosts that the operator's login may go to

    def add_nodes(self, cluster: str, nodes: Iterable[str]) -> tuple[str, ...]:
        """Take the nodes that a cluster named. Answers those whose names can be names of computers, and its own.

        A cluster cannot take a host over that the inventory gives to another one: with the host would go who may ask it.
        """
        key = host_key(cluster)
        sound = tuple(
            node
            for node in nodes
            if _LABEL.fullmatch(host_key(node)) and self._inventory_file.may_claim(key, host_key(node))
        )
        self._learnt[key] = frozenset(host_key(node) for node in sound)
        return sound

    def nodes_of(self, cluster: str) -> frozenset[str]:
        """The nodes that a cluster named last, in lower case."""
        return self._learnt.get(host_key(cluster), frozenset())

    def allow_acts(self, name: str, *, may: bool) -> None:
        """Whether the operator's login may go to a node that the inventory does not name as an entry host."""
        written = self._inventory_file.hosts.keys() | {
            host_key(entry) for cluster in self._inventory_file.clusters.values() for entry in cluster.entry_hosts
        }
        if may:
            self._proved.add(self.count_as(name))
        elif self.count_as(name) not in written:
            self._proved.discard(self.count_as(name))

    def clusters_of(self, name: str) -> tuple[str, ...]:
        """The clusters, in lower case, that this host belongs to ("" where it stands alone); () for a stranger.

        More than one: two clusters claim it, and nobody but the inventory can say which one lies.
        """
        return self._homes_of(self.count_as(name))

    def scope_of(self, name: str) -> str:
        """Where the role to ask this host must be held: a cluster, or the host itself; "" for a stranger."""
        if self.is_cluster(name):
            return host_key(name)
        homes = self.clusters_of(name)
        return (homes[0] or self.count_as(name)) if len(homes) == 1 else ""

    @property
    def names(self) -> frozenset[str]:
        """The clusters, hosts, VMM servers and load balancers of the inventory, in lower case."""
        file = self._inventory_file
        return frozenset({*file.clusters, *file.hosts, *file.vmm, *file.load_balancers()})

    def is_cluster(self, name: str) -> bool:
        """Whether that is a cluster of the inventory."""
        return host_key(name) in self._inventory_file.clusters

    def entries(self, name: str) -> tuple[str, ...]:
        """The hosts to ask in turn: a cluster's entry hosts, the one that answered last first; else the host."""
        cluster = self._inventory_file.clusters.get(host_key(name))
        if cluster is None:
            return (name,)
        first = self._preferred.get(host_key(name))
        return tuple(sorted(cluster.entry_hosts, key=lambda entry: entry != first))

    def mark_preferred(self, cluster: str, entry: str) -> None:
        """Ask this entry host first from now on."""
        self._preferred[host_key(cluster)] = entry

    def host(self, name: str, profile: Profile = "reader") -> Route:
        """The way to a host or node. Raises PolicyViolation."""
        key, domain = self.count_as(name), self._domain(name)
        credentials = self._login(name, profile)
        if profile == "operator" and key not in self._proved:
            raise PolicyViolation(name, "it is not verified as a node, so the operator's login is not used there.")
        url = self._inventory_file.endpoint(key, domain, tls=credentials.transport in _TLS_ONLY)
        return _safe(Route(name, url, f"{key}.{domain}".lower(), credentials, key=key))

    def guest(self, name: str, fqdn: str) -> Route:
        """The way to a guest, whose `fqdn` is only what it says of itself. Raises PolicyViolation."""
        domains = self._inventory_file.guest_domains
        labels = host_key(fqdn).split(".")
        if not all(_LABEL.fullmatch(label) for label in labels) or ".".join(labels[1:]) not in domains:
            allowed = ", ".join(domains) or "none is set"
            raise PolicyViolation(
                name, f"it calls itself {clip(repr(fqdn), 80)}, outside of guest_domains ({allowed})."
            )
        credentials = self._login(name, "guest")
        whole = ".".join(labels)
        pinned = next((one for one in (whole, name) if self._inventory_file.is_pinned(one)), "")
        tls = credentials.transport in _TLS_ONLY
        url = self._inventory_file.endpoint(pinned or labels[0], ".".join(labels[1:]), tls=tls)
        way = _safe(Route(name, url, whole, credentials, key=guest_key(urlsplit(url).netloc)))
        if credentials.transport != "kerberos" and not (pinned and way.is_tls):
            raise PolicyViolation(
                name,
                f"guests are asked over Kerberos only, and the login for guests is {credentials.transport}.",
                'Set transport = "kerberos" for guests, or pin this one below [endpoints] with an https address.',
            )
        return way

    def count_as(self, name: str) -> str:
        """By which a host counts: its label alone, also where its own domain is written behind it; any other name as it is."""
        key = host_key(name)
        label, domain = host_parts(name)
        homes = self._homes_of(label) if domain else ()
        return label if len(homes) == 1 and domain == self._domain_in(homes[0], label).lower() else key

    def _homes_of(self, key: str) -> tuple[str, ...]:
        if key in self._homes:
            return (self._homes[key],)
        return tuple(sorted(cluster for cluster, nodes in self._learnt.items() if key in nodes))

    def _domain_in(self, home: str, label: str) -> str:
        alone = self._inventory_file.hosts.get(label)
        return alone.domain if alone else self._inventory_file.clusters[home].domain

    def _domain(self, name: str) -> str:
        homes = self.clusters_of(name)
        if not homes:
            raise PolicyViolation(name, "it is not in the inventory.", "Add it to the inventory, or to its cluster.")
        if len(homes) > 1:
            both = " and ".join(self._inventory_file.clusters[key].name for key in homes)
            raise PolicyViolation(
                name, f"{both} both call it their node.", "Write it into entry_hosts of the right one."
            )
        return self._domain_in(homes[0], self.count_as(name))

    def _login(self, name: str, profile: Profile) -> Credentials:
        credentials = self._credentials.get(profile)
        if credentials is None:
            raise PolicyViolation(name, f"no login is set for it ([credentials.{profile}]).")
        return credentials


def _safe(way: Route) -> Route:
    if way.credentials.transport in _TLS_ONLY and not way.is_tls:
        raise PolicyViolation(
            way.name,
            f"a {way.credentials.transport} login is never sent without TLS, and its address is {way.url}.",
            "Write an https address below [endpoints].",
        )
    return way
