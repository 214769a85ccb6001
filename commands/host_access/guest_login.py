"""Whether guests let hvops in, proved by asking one that runs: the first of at most three that answers or refuses.

One refusal ends it: each refused password brings the account nearer to its lockout. Who is asked is chosen by what guests
say of themselves, which only picks a name; the transport decides where a login may go.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from bot.api.report import Severity
from commands.formatting import join_names, pluralize
from commands.host_access.verdict import RIGHTS, NotKnown, Passed, Verdict, finding, says_no
from commands.sources.cluster import cluster_nodes, look_at_host
from commands.sources.guests import HostedGuest, HostGuests, guest_firmware, guests_by_id, look_at_guests, same_machine
from commands.sources.kvp import System

GUEST_LOGIN = "GUEST LOGIN"
_MOST = 3  # guests that are tried: one may be cut off from the network, three say more about the way than about a guest
_NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, slots=True)
class GuestLoginFacts:
    """What was found out of the guests on a cluster or host.

    Attributes:
        running: how many run, as far as is known.
        asked: each guest that was asked, and the firmware id that it answered, or why it did not.
        unlisted: the hosts whose guests are not known.
    """

    running: int
    asked: tuple[tuple[HostedGuest, str | Unknown], ...] = ()
    unlisted: tuple[Unknown, ...] = ()


async def find_guest_login(target: Target, ask: QueryClient) -> GuestLoginFacts:
    """The guests of a host, or of every node of a cluster; then one of them."""
    if target.kind != "cluster":
        node = await look_at_host(target.name, ask)
        return await ask_one_guest([await look_at_guests(node, ask)], ask)
    nodes = value_of(await ask.query(cluster_nodes(target.name)))
    if isinstance(nodes, Unknown):
        return GuestLoginFacts(0, unlisted=(nodes,))
    return await ask_one_guest(await asyncio.gather(*(look_at_guests(node, ask) for node in nodes)), ask)


async def ask_one_guest(parts: Sequence[HostGuests | Unknown], ask: QueryClient) -> GuestLoginFacts:
    """Ask running guests one after the other until one answers, or refuses the login."""
    listed = [part for part in parts if isinstance(part, HostGuests)]
    running = [hosted for hosted in guests_by_id(listed).values() if hosted.guest.power.runs]
    asked: list[tuple[HostedGuest, str | Unknown]] = []
    for hosted in _candidates(running)[:_MOST]:
        told = await ask.query(guest_firmware(hosted))
        asked.append((hosted, told if isinstance(told, Unknown) else told.value))
        if not isinstance(told, Unknown) or (says_no(told) and told.kind != _NOT_ALLOWED):
            break
    silent = [part for part in parts if isinstance(part, Unknown)]
    silent += [failed for part in listed for failed in part.failed]
    return GuestLoginFacts(len(running), tuple(asked), tuple(silent))


def _candidates(running: Sequence[HostedGuest]) -> list[HostedGuest]:
    """Those with a name of their own, Windows first: another system has no WinRM."""
    times = Counter(hosted.told.fqdn.casefold() for hosted in running)
    own = [one for one in running if times[one.told.fqdn.casefold()] == 1 and one.told.fqdn]
    asked = [one for one in own if one.told.system in (System.WINDOWS, System.UNKNOWN)]
    return sorted(asked, key=lambda one: (one.told.system is not System.WINDOWS, one.guest.name.casefold()))


def check_guest_login(name: str, facts: GuestLoginFacts) -> Verdict:
    """Does the login for guests hold? Known by the one guest that said so; nobody's word is not known.

    Args:
        name: the cluster or host whose guests they are.
        facts: what was found out.
    """
    if not facts.asked:
        return _nobody_asked(name, facts)
    hosted, told = facts.asked[-1]
    guest = hosted.guest.name
    if not isinstance(told, Unknown):
        if same_machine(hosted, "", told) is False:
            says = f"another machine answers at {hosted.told.fqdn}, so nothing is known of the login."
            return NotKnown(GUEST_LOGIN, Unknown(guest, "another machine", says, "Check its record in DNS."))
        return Passed(GUEST_LOGIN, guest, f"hvops can log in to a running guest of {name}")
    if told.kind == _NOT_ALLOWED:
        means = "Guests are not asked, so what is inside of them stays unknown."
        return finding(Severity.NOTE, GUEST_LOGIN, name, told.why, means=means, by_hand=told.remedy)
    if says_no(told):
        means = f"It was the one guest of {name} that was asked, so that no lockout comes nearer."
        does = told.remedy or RIGHTS
        return finding(Severity.FAULT, GUEST_LOGIN, guest, told.why, means=means, by_hand=does)
    others = [one.guest.name for one, _ in facts.asked[:-1]]
    also = f" Nor did {join_names(others)} answer." if others else ""
    return NotKnown(GUEST_LOGIN, Unknown(guest, told.kind, f"{told.why}{also}", told.remedy))


def _nobody_asked(name: str, facts: GuestLoginFacts) -> Verdict:
    if facts.unlisted:
        why = facts.unlisted[0]
        return NotKnown(GUEST_LOGIN, Unknown(why.target, why.kind, why.why, why.remedy))
    says = "no guest runs that could be asked"
    if facts.running:
        says = f"{pluralize(facts.running, 'guest')} running, none of which tells a name of Windows that only it has"
    return finding(Severity.NOTE, GUEST_LOGIN, name, f"not known: {says}")
