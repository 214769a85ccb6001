"""Do machines reach each other, and soon enough: links between sites, and servers that every site needs.

No reply to an echo request is not "down": a firewall may drop them where everything else gets through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.continuity import Assumption, Site, site_of
from bot.api.facts import Unknown
from commands.continuity.outcomes import Outcome, Verdict
from commands.formatting import join_names
from commands.sources.ping import Series


@dataclass(frozen=True, slots=True)
class Paths:
    """Who asks for whom, and what came of it.

    Attributes:
        senders: by place in lower case, the host that asks for it; "" where none of its hosts answered.
        series: by sender and address, both in lower case.
        connects: milliseconds that hvops itself took to connect, by host in lower case.
    """

    senders: Mapping[str, str]
    series: Mapping[tuple[str, str], Series | Unknown]
    connects: Mapping[str, float | Unknown]


NO_PATHS = Paths({}, {}, {})


def link_pairs(assumption: Assumption, senders: Mapping[str, str]) -> list[tuple[str, str]]:
    """Who sends to whom for a link: both ways where both ends are places of the service."""
    one = senders.get(assumption.target.casefold(), assumption.target)
    other = senders.get(assumption.to.casefold(), assumption.to)
    ends = ((one, other, assumption.target), (other, one, assumption.to))
    return [(sender, address) for sender, address, place in ends if place.casefold() in senders and sender and address]


def point_pairs(assumption: Assumption, senders: Mapping[str, str]) -> list[tuple[str, str]]:
    """Who sends to whom for a server that every site needs: one host of each place, to each of them."""
    every = dict.fromkeys(sender for sender in senders.values() if sender)
    return [(sender, name) for sender in every for name in (assumption.target, *assumption.others)]


def judge_link(assumption: Assumption, paths: Paths) -> Verdict:
    """Judge delay and loss of a link, both ways where both ends can be asked."""
    subject = f"{assumption.target} to {assumption.to}"
    pairs = link_pairs(assumption, paths.senders)
    silent = [name for name in (assumption.target, assumption.to) if paths.senders.get(name.casefold()) == ""]
    if not pairs:
        says = f"no host of {join_names(silent) or assumption.target} answered"
        return Verdict(Outcome.UNPROVABLE, subject, says, assumption)
    judged = [_direction(assumption, sender, address, _told(paths, sender, address)) for sender, address in pairs]
    worst = min(judged, key=lambda one: one[0])
    shown = "; ".join(says for _, says in judged)
    promised = f"limits: {assumption.max_milliseconds} ms and {assumption.max_loss_percent} % lost"
    asked = join_names(dict.fromkeys(sender for sender, _ in pairs))
    return Verdict(worst[0], subject, f"{shown}; {promised}{_own(pairs, paths)}", assumption, asked)


def judge_single_point(assumption: Assumption, paths: Paths, sites: Sequence[Site]) -> Verdict:
    """Judge whether there is a second one, each site reaches both, and no site holds them all."""
    name, names = assumption.target, (assumption.target, *assumption.others)
    if not assumption.others:
        return Verdict(
            Outcome.BROKEN, name, "it is the only one: the inventory names no other that does the same", assumption
        )
    pairs = point_pairs(assumption, paths.senders)
    if not pairs:
        return Verdict(
            Outcome.UNPROVABLE, name, "no host of the service answered, so nobody could ask for it", assumption
        )
    told = {pair: _told(paths, *pair) for pair in pairs}
    unresolved = [pair for pair, one in told.items() if isinstance(one, Series) and not one.resolved]
    if unresolved:
        says = f"{unresolved[0][0]} finds no address for {unresolved[0][1]}"
        return Verdict(Outcome.BROKEN, name, says, assumption, unresolved[0][0])
    silent = [pair for pair, one in told.items() if not isinstance(one, Series) or not one.times]
    asked = join_names(dict.fromkeys(sender for sender, _ in pairs))
    if silent:
        says = f"{silent[0][1]} did not reply to {silent[0][0]}; a firewall may drop echo requests"
        return Verdict(Outcome.UNPROVABLE, name, says, assumption, asked)
    return _second_elsewhere(assumption, names, tuple(sites), asked)


def _own(pairs: Sequence[tuple[str, str]], paths: Paths) -> str:
    """How long hvops' own machine takes to connect to the senders: a third path, for comparison."""
    told = {sender: paths.connects.get(sender.casefold()) for sender, _ in pairs}
    shown = [f"{sender} in {one:.1f} ms" for sender, one in told.items() if isinstance(one, float)]
    return f"; hvops itself connects to {join_names(shown)}" if shown else ""


def _second_elsewhere(assumption: Assumption, names: Sequence[str], sites: tuple[Site, ...], asked: str) -> Verdict:
    name, both = assumption.target, f"{join_names(names)} reply to {asked}"
    if not sites:
        return Verdict(Outcome.UNPROVABLE, name, f"{both}, but the inventory names no sites", assumption, asked)
    where = {one: site_of(one, sites) for one in names}
    if unplaced := [one for one, site in where.items() if site is None]:
        says = f"{both}, but the inventory does not say in which site {join_names(unplaced)} {_be(unplaced)}"
        return Verdict(Outcome.UNPROVABLE, name, says, assumption, asked)
    if len(set(where.values())) == 1:
        says = f"{join_names(names)} are all in {where[name]}: the loss of that site takes them all"
        return Verdict(Outcome.BROKEN, name, says, assumption, asked)
    placed = ", ".join(f"{one} in {site}" for one, site in where.items())
    return Verdict(Outcome.PROVED, name, f"{both}: {placed}", assumption, asked)


def _direction(assumption: Assumption, sender: str, address: str, told: Series | Unknown | None) -> tuple[Outcome, str]:
    way = f"{sender} to {address}"
    if told is None or isinstance(told, Unknown):
        return Outcome.UNPROVABLE, f"{way}: {told.why.rstrip('.') if told else 'not asked'}"
    if not told.resolved:
        return Outcome.BROKEN, f"{way}: the name has no address there"
    if not told.times:
        return Outcome.UNPROVABLE, f"{way}: no reply to {told.sent} echo requests; a firewall may drop them"
    says = f"{way}: {_delay(told)}, {told.loss_percent} % lost of {told.sent}"
    slow = (told.slowest or 0) > assumption.max_milliseconds
    if slow or told.loss_percent > assumption.max_loss_percent:
        return Outcome.BROKEN, says
    return (Outcome.UNPROVABLE if told.unasked else Outcome.PROVED), says


def _delay(told: Series) -> str:
    """The slowest reply: Windows tells whole milliseconds."""
    return "under 1 ms" if not told.slowest else f"up to {told.slowest} ms"


def _told(paths: Paths, sender: str, address: str) -> Series | Unknown | None:
    return paths.series.get((sender.casefold(), address.casefold()))


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
