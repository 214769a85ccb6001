"""Which guest is at which risk, and why. Pure.

The stop needs a host of 2008 R2 and disks on SCSI controllers; growing disks make it far more likely, many disks more likely,
fixed ones rare [note]. Whether a host or driver has the fix can only be told from the list of updates: one that is not listed
may be contained in a later update, and the fixed version of the driver is public nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.api.facts import Unknown
from commands.formatting import pluralize
from commands.sources.bugchecks import How, Stop, Stops, read_host_stop
from commands.sources.event_log import EventLog
from commands.sources.guest_drivers import FileVersion, read_file_version
from commands.sources.guests import HostedGuest
from commands.sources.kvp import System
from commands.sources.rules import StopRule
from commands.sources.scsi_disks import ScsiDisks
from commands.storvsc.facts import GuestAnswers, HostRisk, StorvscFacts


class Risk(IntEnum):
    """The worst first."""

    STOPPED = 0
    AT_RISK = 1
    CANNOT_TELL = 2
    STOPPED_FIXED = 3
    FIXED = 4
    NO_SCSI = 5
    NOT_WINDOWS = 6
    NOT_RUNNING = 7

    @property
    def word(self) -> str:
        """As it stands in the table."""
        return _WORDS[self]


_WORDS = {
    Risk.STOPPED: "stopped with 0xD1",
    Risk.AT_RISK: "at risk",
    Risk.CANNOT_TELL: "cannot tell",
    Risk.STOPPED_FIXED: "stopped, hotfix listed",
    Risk.FIXED: "hotfix listed",
    Risk.NO_SCSI: "no SCSI disk",
    Risk.NOT_WINDOWS: "not Windows",
    Risk.NOT_RUNNING: "not running",
}


@dataclass(frozen=True, slots=True)
class GuestRisk:
    """One guest, ranked.

    Attributes:
        disks: None where its host did not report them.
        file: the driver's version; None where it is not known.
        stops: with the number of the rule, newest first, by the guest or by a host.
        others: ends that are none of it: other stops, power losses, triple faults; newest first.
        is_fixed: whether the driver is known to have the fix; None where nothing tells.
        why: what its own answers lack; None where it was not asked, or answered.
    """

    hosted: HostedGuest
    risk: Risk
    disks: ScsiDisks | None = None
    file: FileVersion | None = None
    stops: tuple[Stop, ...] = ()
    others: tuple[Stop, ...] = ()
    host_hotfix: bool | None = None
    guest_hotfix: bool | None = None
    is_fixed: bool | None = None
    why: Unknown | None = None

    @property
    def reason(self) -> str:
        """Why it is ranked so, in a few words: "4 SCSI disks, 1 growing; hotfix not listed on hv01"."""
        disks = self.disks or ScsiDisks()
        count = len(disks.files)
        growing = f", {disks.growing} known to expand" if disks.growing else ""
        listed = {True: "listed", False: "not listed", None: "not known"}[self.host_hotfix]
        return f"{pluralize(count, 'SCSI disk')}{growing}; hotfix {listed} on {self.hosted.host}"


def rank_all(facts: StorvscFacts) -> tuple[GuestRisk, ...]:
    """Every guest of an affected host, worst first: stops, then growing disks, then many disks."""
    hosts = {one.node.name: one for one in facts.hosts}
    logged = _logged(facts.hosts)
    ranked = [_rank(one, hosts[one.host], facts, logged) for one in facts.guests if one.host in hosts]
    return tuple(sorted(ranked, key=_worst_first))


def _worst_first(one: GuestRisk) -> tuple[int, int, int, int, str]:
    disks = one.disks or ScsiDisks()
    return one.risk, -len(one.stops), -disks.growing, -len(disks.files), one.hosted.guest.name.casefold()


def _logged(hosts: Sequence[HostRisk]) -> Mapping[str, list[Stop]]:
    """VM id -> stops that any host logged: a guest may have moved since."""
    found: dict[str, list[Stop]] = {}
    for host in hosts:
        if isinstance(host.log, EventLog):
            for event in host.log:
                vm_id, _, stop = read_host_stop(event)
                found.setdefault(vm_id, []).append(stop)
    return found


def _rank(one: HostedGuest, host: HostRisk, facts: StorvscFacts, logged: Mapping[str, list[Stop]]) -> GuestRisk:
    disks = None if isinstance(host.disks, Unknown) else host.disks.get(one.guest.vm_id, ScsiDisks())
    answers = facts.answers.get(one.guest.vm_id)
    told = answers if isinstance(answers, GuestAnswers) else None
    own = told.stops.stops if told and isinstance(told.stops, Stops) else ()
    every = sorted((*own, *logged.get(one.guest.vm_id, ())), key=lambda stop: stop.at, reverse=True)
    stops = tuple(stop for stop in every if stop.how is How.STOP and stop.code == facts.rule.stop)
    listed = None if isinstance(host.lists_hotfix, Unknown) else host.lists_hotfix
    file = told.file if told and isinstance(told.file, FileVersion) else None
    is_fixed = has_fix(file, facts.rule)
    risk = _risk(one, disks, listed=listed, is_fixed=is_fixed, has_stopped=bool(stops))
    if risk in (Risk.NO_SCSI, Risk.NOT_WINDOWS):
        stops = ()  # it has another reason: without a disk on a SCSI controller this fault does not happen
    return GuestRisk(
        one,
        risk,
        disks,
        file,
        stops,
        tuple(stop for stop in every if stop not in stops),
        listed,
        told.lists_hotfix if told and isinstance(told.lists_hotfix, bool) else None,
        is_fixed,
        answers if isinstance(answers, Unknown) else None,
    )


def _risk(
    one: HostedGuest, disks: ScsiDisks | None, *, listed: bool | None, is_fixed: bool | None, has_stopped: bool
) -> Risk:
    if one.told.system in (System.LINUX, System.OTHER):
        return Risk.NOT_WINDOWS
    if disks is not None and not disks.files:
        return Risk.NO_SCSI
    if listed or is_fixed:
        return Risk.STOPPED_FIXED if has_stopped else Risk.FIXED
    if disks is None or listed is None:
        return Risk.STOPPED if has_stopped else Risk.CANNOT_TELL
    if not one.guest.power.runs:
        return Risk.NOT_RUNNING
    return Risk.STOPPED if has_stopped else Risk.AT_RISK


def has_fix(file: FileVersion | None, rule: StopRule) -> bool | None:
    """Whether a driver has the fix: within its own branch only, and only where the rule knows that branch's version."""
    if file is None or file.branch is None:
        return None
    fixed = read_file_version(rule.fixed.get(file.branch, ""))
    return None if fixed is None else file.is_at_least(fixed)
