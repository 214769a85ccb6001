"""Everything that `/check-storvsc-risk` asks.

Four rounds: the cluster; each host of 2008 R2 at once, six questions whatever the number of its guests; the guests there that
run Windows and have disks on SCSI controllers; then the driver's file in each. Other hosts and guests are not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from commands.sources.bugchecks import Stops, guest_stops, host_stops
from commands.sources.cluster import Node, cluster_nodes
from commands.sources.event_log import EventLog
from commands.sources.guest_drivers import (
    FileVersion,
    GuestWindows,
    driver_version,
    guest_hotfix,
    guest_windows,
)
from commands.sources.guests import (
    HostedGuest,
    HostGuests,
    guest_firmware,
    guest_identity,
    guests_by_id,
    look_at_guests,
    same_machine,
)
from commands.sources.kvp import System
from commands.sources.rules import StopRule, storvsc_rule
from commands.sources.scsi_disks import ScsiDisks, scsi_disks
from commands.sources.updates import listed_updates

LOOK_BACK = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class HostRisk:
    """What one host of 2008 R2 reports.

    Attributes:
        lists_hotfix: whether the hotfix is in its list of updates.
        log: stops of guests that it logged.
    """

    node: Node
    guests: HostGuests | Unknown
    disks: Mapping[str, ScsiDisks] | Unknown
    lists_hotfix: bool | Unknown
    log: EventLog | Unknown


@dataclass(frozen=True, slots=True)
class GuestAnswers:
    """What one guest says of itself, proven to be the one that was meant.

    Attributes:
        file: of the driver; None where it has no such file.
    """

    windows: GuestWindows | Unknown
    file: FileVersion | Unknown | None
    lists_hotfix: bool | Unknown
    stops: Stops | Unknown


@dataclass(frozen=True, slots=True)
class StorvscFacts:
    """What was found out.

    Attributes:
        other: hosts that the stop does not happen on.
        answers: VM id -> what the guest says, or why it is not known; only of those that were asked.
        silent: the cluster that named no nodes, or hosts whose Windows is not known.
    """

    now: datetime
    rule: StopRule
    hosts: tuple[HostRisk, ...] = ()
    other: tuple[Node, ...] = ()
    guests: tuple[HostedGuest, ...] = ()
    answers: Mapping[str, GuestAnswers | Unknown] = field(default_factory=dict)
    silent: tuple[Unknown, ...] = ()


async def find_storvsc_risk(target: Target, ask: QueryClient) -> StorvscFacts:
    """Ask everything."""
    rule = storvsc_rule()
    nodes = value_of(await ask.query(cluster_nodes(target.name)))
    if isinstance(nodes, Unknown):
        return StorvscFacts(ask.now, rule, silent=(nodes,))
    affected = [node for node in nodes if node.build in rule.builds]
    nameless = [node for node in nodes if node.build is None]
    hosts = await asyncio.gather(*(_ask_host(node, rule, ask) for node in affected))
    guests = tuple(guests_by_id(one.guests for one in hosts if isinstance(one.guests, HostGuests)).values())
    disks = {vm_id: own for one in hosts if not isinstance(one.disks, Unknown) for vm_id, own in one.disks.items()}
    answers = await _ask_guests([one for one in guests if _is_asked(one, disks)], rule, ask)
    return StorvscFacts(
        ask.now,
        rule,
        tuple(hosts),
        tuple(node for node in nodes if node not in affected and node not in nameless),
        guests,
        answers,
        tuple(
            Unknown(node.name, "not reported", "the cluster does not tell which Windows it runs.") for node in nameless
        ),
    )


def _is_asked(hosted: HostedGuest, disks: Mapping[str, ScsiDisks]) -> bool:
    """Running Windows, as far as is known, with a name, and with disks on SCSI controllers."""
    foreign = hosted.told.system in (System.LINUX, System.OTHER)
    return hosted.guest.vm_id in disks and hosted.guest.power.runs and bool(hosted.told.fqdn) and not foreign


async def _ask_host(node: Node, rule: StopRule, ask: QueryClient) -> HostRisk:
    guests, disks, updates, log = await asyncio.gather(
        look_at_guests(node, ask),
        ask.query(scsi_disks(node)),
        ask.query(listed_updates(node.name)),
        ask.query(host_stops(node.name, ask.now - LOOK_BACK)),
    )
    listed = value_of(updates)
    return HostRisk(
        node,
        guests,
        value_of(disks),
        listed if isinstance(listed, Unknown) else rule.key in listed,
        value_of(log),
    )


async def _ask_guests(
    guests: Sequence[HostedGuest], rule: StopRule, ask: QueryClient
) -> Mapping[str, GuestAnswers | Unknown]:
    """The guests at once. An answer counts only from the very machine that was meant."""
    if not guests:
        return {}
    keys = {one.guest.vm_id: one for one in guests}
    windows, hotfixes, stops, identities, firmware = await asyncio.gather(
        ask.query_many({key: guest_windows(one) for key, one in keys.items()}),
        ask.query_many({key: guest_hotfix(one, rule.key) for key, one in keys.items()}),
        ask.query_many({key: guest_stops(one, ask.now - LOOK_BACK) for key, one in keys.items()}),
        ask.query_many({key: guest_identity(one) for key, one in keys.items()}),
        ask.query_many({key: guest_firmware(one) for key, one in keys.items()}),
    )
    known = {key: told.value for key, told in windows.items() if isinstance(told, Known)}
    files = values_of(
        await ask.query_many({key: driver_version(keys[key], told, rule.driver) for key, told in known.items()})
        if known
        else {}
    )
    found: dict[str, GuestAnswers | Unknown] = {}
    for key, one in keys.items():
        said = value_of(windows[key])
        if isinstance(said, Unknown):
            found[key] = said
            continue
        stranger = _stranger(one, identities[key], firmware[key])
        found[key] = stranger or GuestAnswers(said, files[key], value_of(hotfixes[key]), value_of(stops[key]))
    return found


def _stranger(one: HostedGuest, identity: Known[str] | Unknown, firmware: Known[str] | Unknown) -> Unknown | None:
    """Why the machine that answered does not count; None where it is the one that was meant."""
    itself = same_machine(
        one,
        identity.value if isinstance(identity, Known) else "",
        firmware.value if isinstance(firmware, Known) else "",
    )
    if itself:
        return None
    if itself is None:
        says = f"{one.told.fqdn} answered, and neither a VM id nor a BIOS GUID proves that it is this guest."
        return Unknown(one.guest.name, "not proven", says)
    says = f"{one.told.fqdn} answered, and it is another machine."
    return Unknown(one.guest.name, "wrong machine", says, "Check its name in DNS, and whether two machines bear it.")
