"""Which addresses of web servers may be asked at all: those that the inventory lists, and a few never. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from bot.api.web import Address, is_name, read_address, split_port, with_port

Network = IPv4Network | IPv6Network

_WIDEST = {4: 8, 6: 32}  # bits of a prefix: what is wider is no network of anybody's web servers

_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# Where virtual machines of cloud providers get their credentials and their identity [doc: each provider's pages]; those of
# 169.254.0.0/16 are link-local besides.
_METADATA: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "fd00:ec2::/32",
            "fd00:c1::a9fe:a9fe/128",
            "fd00:42::42/128",
            "fd20:ce::254/128",
        ),
    )
)
_LINK_LOCAL: tuple[Network, ...] = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fec0::/10")))
# An IPv4 address inside of an IPv6 one: mapped, compatible, translated (RFC 6052, RFC 8215), 6to4, Teredo, ISATAP's is by chance.
_WRAPPED: tuple[Network, ...] = tuple(
    map(ip_network, ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
)
_NOBODY: tuple[Network, ...] = tuple(map(ip_network, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8")))


class Place(NamedTuple):
    """An address, and a port: 0 where none is written."""

    address: str
    port: int


def read_place(text: str) -> Place:
    """Read "10.1.0.71", "10.1.0.71:8080", "fd12::1" or "[fd12::1]:443". Raises ValueError."""
    host, port = split_port(text)
    address = read_address(host)
    if address is None:
        raise ValueError(f"{text:.80} is no address of the form 10.1.0.71 or 10.1.0.71:8080")
    if why := why_never(address):
        raise ValueError(f"{text:.80} can never be asked: {why}")
    return Place(str(address), port)


def read_key(text: str) -> str:
    """Read "www.corp.example", "www.corp.example:8080" or an address with or without a port, in lower case. Raises ValueError."""
    host, port = split_port(text)
    if not is_name(host) and read_address(host) is None:
        raise ValueError(f"{text:.80} is no name or address of the form www.corp.example or www.corp.example:8080")
    return key_of(host, port)


def key_of(host: str, port: int = 0) -> str:
    """How a host is written as a key, with its port or without."""
    return with_port(host.lower().removesuffix("."), port) if port else host.lower().removesuffix(".")


def read_network(text: str) -> Network:
    """Read "10.1.0.0/24" or one address. Raises ValueError for one that is too wide, or can never be asked."""
    try:
        found = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text:.80} is no network of the form 10.1.0.0/24 ({error})") from None
    if found.prefixlen < _WIDEST[found.version]:
        raise ValueError(f"{text:.80} is wider than /{_WIDEST[found.version]}: name the networks of your web servers")
    if why := why_never(found.network_address):
        raise ValueError(f"{text:.80} can never be asked: {why}")
    return found


def why_never(address: Address) -> str:
    """Why an address is never asked, whatever the inventory lists; "" where nothing is against it."""
    for networks, why in (
        (_WRAPPED, "it is an IPv4 address inside of an IPv6 one; write the IPv4 address"),
        (_NOBODY, "it is the address of no single machine"),
        (_LINK_LOCAL, "it is link-local, where cloud providers keep their metadata service"),
        (_METADATA, "it is a cloud provider's metadata service"),
    ):
        if address != ip_address("::1") and any(_lies_in(address, network) for network in networks):
            return why
    return ""


def why_not(address: Address, networks: Iterable[Network]) -> str:
    """Why an address is not asked where these networks may be; "" where it is one of them.

    Loopback needs a network that is loopback itself: no wide one lets a name lead to what listens on hvops' own machine.
    """
    if why := why_never(address):
        return why
    if any(_lies_in(address, loopback) for loopback in _LOOPBACK):
        own = [one for one in networks if any(_is_inside(one, loopback) for loopback in _LOOPBACK)]
        return "" if any(_lies_in(address, one) for one in own) else "it is the machine that hvops runs on"
    if any(_lies_in(address, network) for network in networks):
        return ""
    return "it is in none of the networks below [web] in the inventory"


def _lies_in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _is_inside(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.subnet_of(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.subnet_of(other)
