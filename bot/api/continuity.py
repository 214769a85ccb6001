"""What the inventory says of a service: where it runs and recovers, what is promised, and what everybody assumes.

An assumption is proved by one of a few probes, or by nobody. None of them can be written by hand in the inventory as proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Probe(StrEnum):
    """How an assumption is tested. There are no others."""

    REPLICATION = "replication"  # a guest replicates, and its lag keeps the promised RPO
    TEST_FAILOVER = "test-failover"  # a guest was failed over for a test, not too long ago
    VOTES = "votes"  # a cluster keeps its quorum without one voter
    ADDRESSES = "addresses"  # no configuration file names an address
    HOSTS_FILE = "hosts-file"  # no name is overridden in a hosts file
    SINGLE_POINT = "single-point"  # a server that every site needs has a second one
    LINK = "link"  # delay and loss between two sites
    ON_CALL = "on-call"  # a Slack group has somebody in it
    DRILL = "drill"  # the service was failed over and back as a whole, not too long ago
    STATEMENT = "statement"  # a person said so; nothing can be asked


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that people rely on.

    Attributes:
        says: a sentence, as people would say it.
        probe: how it is tested.
        target: what is tested: a guest, a host, a cluster, a Slack group.
        owner: who has to see to it: a team or a role.
        proof: where a person's proof is to be found; of a statement.
        proved_on: the day of a person's proof; None where nobody gave one.
        max_age_days: how old a proof may be; 0 for any age.
        others: what else does the same: the second licence server.
        folders: where configuration files are.
        site: in which site the target has to be; "" where it does not matter.
        to: the other end of a link.
        max_milliseconds: the longest delay of a link; 0 where none is promised.
        max_loss_percent: the loss of a link that is borne.
    """

    says: str
    probe: Probe
    target: str
    owner: str = ""
    proof: str = ""
    proved_on: date | None = None
    max_age_days: int = 0
    others: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    site: str = ""
    to: str = ""
    max_milliseconds: int = 0
    max_loss_percent: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """A place that can be lost as a whole: the names of the clusters and machines there."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """What a business calls one thing.

    Attributes:
        places: the clusters, or hosts that stand alone, where it runs and where it recovers.
        guests: its virtual machines, by name.
        rto_minutes: how long it may be down; None where nothing is promised.
        rpo_minutes: how much work may be lost; None where nothing is promised.
        connects: what takes a TCP connection wherever the service works: "crm.corp.example:443".
    """

    name: str
    places: tuple[str, ...]
    guests: tuple[str, ...] = ()
    rto_minutes: int | None = None
    rpo_minutes: int | None = None
    assumptions: tuple[Assumption, ...] = ()
    connects: tuple[str, ...] = ()


def site_of(name: str, sites: tuple[Site, ...]) -> str | None:
    """The site that a cluster or machine is in; None where the inventory does not say. The domain of a name does not count."""
    label = name.strip().strip("\\").partition(".")[0].casefold()
    return next(
        (site.name for site in sites if label in {one.partition(".")[0].casefold() for one in site.members}), None
    )
