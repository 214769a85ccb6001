"""The types of a command's arguments.

A command's `Args` is a frozen dataclass. A field without a default is a required word, in order; a field with a
default is an option named by its field (`free: Size = ...` -> `--free 1GB`); a `tuple[Kb, ...]` takes the words
that remain, and one of them at least where it has no default. A type whose `is_subject` is true names what a command is
about, in place of its targets. The same dataclass is the usage line, the parser and the modal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, Self

from bot.api.continuity import Service, Site
from bot.api.updates import UpdatePackage, UpdateRule

_SIZE = re.compile(r"([0-9]{1,20}(?:[.,][0-9]{1,20})?) *(B|KB|MB|GB|TB)?", re.IGNORECASE | re.ASCII)
_PERCENT = re.compile("[0-9]{1,3}")
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
_KB = re.compile(r"(?:KB)?([0-9]{5,8})(-v[0-9]{1,3})?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster; a host: a node of a cluster, or one that stands alone; a VMM server (SCVMM); a load balancer; or a service."""

    name: str
    kind: Literal["cluster", "host", "vmm", "load balancer", "service"]
    cluster: str = ""  # the cluster it is or belongs to; "" for a host that stands alone, and for a VMM server
    clusters: tuple[str, ...] = ()  # of a VMM server: those it manages; of a service: its places
    host: str = ""  # of a VMM server: the host of the inventory on which its service runs; "" where none is named
    managers: tuple[str, ...] = ()  # of a cluster and its nodes: the VMM servers that manage it
    services_of: tuple[str, ...] = ()  # of a host that stands alone: the VMM servers whose service runs there
    backup: tuple[str, ...] | None = None  # the products that back it up: () for none; None where nobody has said
    services: tuple[Service, ...] = ()  # of a service: itself; of a cluster: those that run or recover there
    sites: tuple[Site, ...] = ()  # of a service and a cluster: all that the inventory names
    packages: tuple[UpdatePackage, ...] = ()  # of a cluster: what is staged on nodes
    update_rules: tuple[UpdateRule, ...] = ()  # of a cluster: those that the inventory adds
    # Of a cluster: its hosts that are known now, whoever answers: the inventory writes them, or it has named them before.
    nodes: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        """As people write it."""
        return self.name


class ClusterTarget(Target):
    """A target that must be a cluster. Parsed only; code sees a `Target` of kind "cluster"."""


class HostTarget(Target):
    """A target that must be a host. Parsed only; code sees a `Target` of kind "host"."""


class VmmTarget(Target):
    """A target that must be a VMM server. Parsed only; code sees a `Target` of kind "vmm"."""


class LoadBalancerTarget(Target):
    """A target that must be a load balancer. Parsed only; code sees a `Target` of kind "load balancer"."""


class ServiceTarget(Target):
    """A target that must be a service. Parsed only; code sees a `Target` of kind "service"."""


class ServiceOrClusterTarget(Target):
    """A target that may be a service or a cluster. Parsed only; code sees a `Target`."""


class VmmTargets(tuple[Target, ...]):
    """VMM servers: "vmm", or "vmm-a,vmm-b"; where none is named, all of the inventory. Only as an option."""

    __slots__ = ()
    wants = "a VMM server, or several with commas"

    def __str__(self) -> str:
        """As people write them."""
        return ",".join(map(str, self))


class ClusterTargets(tuple[Target, ...]):
    """Clusters: "prod", or "prod,dr"; where none is named, all of the inventory where this person may. Only as an option.

    For what may be on any of them: the plan says where it was found (`Plan.places`).
    """

    __slots__ = ()
    wants = "a cluster, or several with commas"

    def __str__(self) -> str:
        """As people write them."""
        return ",".join(map(str, self))


class NodePair(tuple[Target, ...]):
    """Two nodes: "hv01 hv02", or "hv01,hv02"; () where none is named. Only as an option."""

    __slots__ = ()
    wants = "two nodes"
    words = 2

    def __str__(self) -> str:
        """As people write them."""
        return " ".join(map(str, self))


NO_HOST = Target("", "host")  # the default of an option that is a host: none is named


class Size(int):
    """A number of bytes, written "1GB", "1.5 GB", "500MB"; binary units, as Windows shows them."""

    wants = "a size such as 1GB or 500MB"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read a size. Raises ValueError."""
        found = _SIZE.fullmatch(word.strip())
        if not found:
            raise ValueError(word)
        unit = _UNITS[(found[2] or "B").lower()]
        return cls(round(float(found[1].replace(",", ".")) * unit))

    def __str__(self) -> str:
        """As people write it: the largest unit that leaves no fraction."""
        for unit in ("TB", "GB", "MB", "KB"):
            if self and self % _UNITS[unit.lower()] == 0:
                return f"{self // _UNITS[unit.lower()]}{unit}"
        return f"{int(self)}B"


class Percent(int):
    """A whole percentage from 0 to 100, with or without the sign."""

    wants = "a percentage from 0 to 100"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read a percentage. Raises ValueError."""
        digits = word.strip().removesuffix("%").rstrip()
        percent = int(digits) if _PERCENT.fullmatch(digits) else -1
        if not 0 <= percent <= 100:  # noqa: PLR2004 - a percentage
            raise ValueError(word)
        return cls(percent)

    def __str__(self) -> str:
        """As people write it."""
        return f"{int(self)}%"


class Kb(str):
    """A Microsoft knowledge-base number: "KB2607712", written with or without KB."""

    __slots__ = ()
    label = "KB numbers"
    wants = "a KB number such as KB2607712"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read a KB number. Raises ValueError."""
        found = _KB.fullmatch(word.strip())
        if not found:
            raise ValueError(word)
        return cls(f"KB{found[1]}{(found[2] or '').lower()}")
