"""Does a machine replicate, does its lag keep the promise, and was it ever failed over for a test?

Health is Windows' own judgement; its numbers are those of WMI. A machine with health 0, or that never replicated, is not
known to be well. Warning means cycles missed, a pause, or an initial copy that is pending [doc].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.api.continuity import Assumption
from bot.api.facts import Unknown
from commands.continuity.facts import HostFacts
from commands.continuity.outcomes import Outcome, Verdict, by_age
from commands.formatting import join_names
from commands.sources.guests import Guest, Replication
from commands.sources.replication import REPLICATING, Ends, Health, Relationship, Statistics

_AHEAD = timedelta(minutes=5)  # Kerberos allows a host's clock this much


@dataclass(frozen=True, slots=True)
class End:
    """One end of a replicated machine: where it is, and what its host says of it."""

    host: HostFacts
    guest: Guest

    @property
    def relationship(self) -> Relationship | Unknown | None:
        """The relationship between primary and replica; None where the host has none of this machine."""
        if isinstance(self.host.relationships, Unknown):
            return self.host.relationships
        found = [one for one in self.host.relationships if one.vm_id == self.guest.vm_id and not one.extended]
        return found[0] if found else None

    @property
    def ends(self) -> Ends | None:
        """The hosts that its settings name; None where they were not told."""
        return None if isinstance(self.host.ends, Unknown) else self.host.ends.get(self.guest.vm_id)


@dataclass(frozen=True, slots=True)
class Promise:
    """The RPO: how much work may be lost, and the time of the question."""

    rpo: timedelta
    now: datetime

    def __str__(self) -> str:
        """As it stands beside what was seen."""
        return f"limit: {format_span(self.rpo)}"


def judge_replication(
    assumption: Assumption,
    hosts: Iterable[HostFacts],
    statistics: Mapping[tuple[str, str], Statistics | Unknown],
    *,
    promised: timedelta | None,
    now: datetime,
) -> Verdict:
    """Judge whether a machine replicates within the promise. `promised` is the RPO; None where there is none."""
    primary = _find(assumption, hosts, copies=False)
    if isinstance(primary, Verdict):
        return primary
    told = primary.relationship
    if isinstance(told, Unknown):
        return _unprovable(assumption, f"{primary.host.node.name} does not say how it replicates: {_bare(told.why)}")
    if told is None:
        return _broken(assumption, "does not replicate at all", primary.host.node.name)
    seen = judge_relationship(assumption.target, told, primary.host.node.name, now, assumption)
    if seen.outcome is not Outcome.PROVED or promised is None:
        return seen
    found = statistics.get((primary.host.node.name.casefold(), told.vm_id))
    return replace(_kept(assumption, primary, told, found, Promise(promised, now)), since_cycle=seen.since_cycle)


def judge_relationship(
    name: str, told: Relationship, host: str, now: datetime, assumption: Assumption | None = None
) -> Verdict:
    """Judge a relationship by what Windows itself says of it."""
    return replace(_by_windows(name, told, host, now, assumption), since_cycle=_since_cycle(told, now))


def _since_cycle(told: Relationship, now: datetime) -> timedelta | None:
    """How long ago it last replicated; None for never, and for a time that its host's clock puts into the future."""
    if told.last is None or told.last > now + _AHEAD:
        return None
    return max(timedelta(), now - told.last)


def _by_windows(name: str, told: Relationship, host: str, now: datetime, assumption: Assumption | None) -> Verdict:
    last = _last(told, now)
    if told.health == Health.CRITICAL:
        return Verdict(Outcome.BROKEN, name, f"{_critical(told)}, {last}", assumption, host)
    if told.health not in (Health.OK, Health.WARNING):
        health = "not told" if told.health is None else str(told.health)
        return Verdict(Outcome.UNPROVABLE, name, f"its health is not known ({health}), {last}", assumption, host)
    if told.last is None:
        return Verdict(Outcome.UNPROVABLE, name, f"{last}, {told.state_word}", assumption, host)
    if told.last > now + _AHEAD:
        says = f"its last replication lies in the future ({told.last:%H:%M} UTC by the clock of {host})"
        return Verdict(Outcome.UNPROVABLE, name, says, assumption, host)
    if told.health == Health.WARNING or told.state != REPLICATING:
        warned = "Windows warns, " if told.health == Health.WARNING else ""
        return Verdict(Outcome.UNPROVABLE, name, f"{warned}{told.state_word}, {last}", assumption, host)
    return Verdict(Outcome.PROVED, name, f"replicating, {last}", assumption, host)


def judge_test_failover(
    assumption: Assumption,
    hosts: Iterable[HostFacts],
    statistics: Mapping[tuple[str, str], Statistics | Unknown],
    now: datetime,
) -> Verdict:
    """Judge when a machine was last failed over for a test. The recovery server alone knows it."""
    hosts = tuple(hosts)
    copy, primary = _find(assumption, hosts, copies=True), _find(assumption, hosts, copies=False)
    if isinstance(copy, Verdict):
        named = primary.ends.recovery if isinstance(primary, End) and primary.ends else ""
        where = f"; its recovery server is {named}" if named else ""
        return _unprovable(assumption, f"{copy.why}{where}, and the primary does not know of tests")
    server = copy.host.node.name
    if isinstance(primary, End) and primary.guest.vm_id != copy.guest.vm_id:
        return _unprovable(assumption, f"the copy on {server} is one of another machine of that name")
    told = statistics.get((server.casefold(), copy.guest.vm_id))
    if told is None or isinstance(told, Unknown):
        why = "was not asked" if told is None else _bare(told.why)
        return _unprovable(assumption, f"{server}, the recovery server, does not say when it was tested: {why}")
    asked = f"{server}, the recovery server"
    if told.tested is None:
        return _broken(assumption, f"no test failover yet, says {asked}", asked)
    return by_age(assumption, told.tested, now, "last test failover", asked=asked)


def _kept(
    assumption: Assumption, primary: End, told: Relationship, statistics: Statistics | Unknown | None, promise: Promise
) -> Verdict:
    """Whether the promise is kept now, and was on average."""
    host, last = primary.host.node.name, _last(told, promise.now)
    assert told.last is not None
    if promise.now - told.last > promise.rpo:
        return _broken(assumption, f"{last}; {promise}", host)
    if statistics is None or isinstance(statistics, Unknown):
        why = "was not asked" if statistics is None else _bare(statistics.why)
        return _unprovable(assumption, f"{last}, but its average lag is not known: {why}", host)
    if statistics.average_lag is None:
        return _unprovable(assumption, f"{last}, but no cycle has succeeded in the monitoring period", host)
    interval = primary.ends.interval if primary.ends else None
    lag = statistics.average_lag + (interval or timedelta())
    missed = f", {statistics.missed} cycles missed" if statistics.missed else ""
    every = f" every {format_span(interval)}" if interval else ""
    shown = f"a cycle{every} takes {format_span(statistics.average_lag)} on average{missed}"
    if lag > promise.rpo:
        return _broken(assumption, f"{shown}: up to {format_span(lag)} of work is lost; {promise}", host)
    if interval is None:
        return _unprovable(assumption, f"{shown}, but how often it replicates was not told; {promise}", host)
    return Verdict(Outcome.PROVED, assumption.target, f"{last}; {shown}; {promise}", assumption, host)


def _find(assumption: Assumption, hosts: Iterable[HostFacts], *, copies: bool) -> End | Verdict:
    """The end that is the machine itself, or its copy; a verdict where it is not known which machine is meant."""
    hosts = tuple(hosts)
    found = [
        End(host, guest)
        for host in hosts
        for guest in host.guests_named(assumption.target)
        if _is_end(guest, copies=copies)
    ]
    dumb = [
        host.node.name for host in hosts for guest in host.guests_named(assumption.target) if guest.replication is None
    ]
    if dumb:
        return _unprovable(assumption, f"{join_names(dumb)} does not say whether it is the machine itself or a copy")
    what = f"{'no copy of it' if copies else 'no virtual machine of that name'}"
    silent = [host.node.name for host in hosts if isinstance(host.guests, Unknown)]
    if len({end.guest.vm_id for end in found}) > 1:
        return _unprovable(
            assumption,
            f"several virtual machines are called that, on {join_names(end.host.node.name for end in found)}",
        )
    if copies:  # one may go on to a third host
        found = [end for end in found if end.guest.replication is Replication.REPLICA] or found
    if len(found) > 1:
        both = join_names(end.host.node.name for end in found)
        says = f"it is on {both}, and no copy on any of them: which one is in use is not known"
        if copies:
            says = f"copies of it are on {both}: which of them is its recovery server is not known"
        return _unprovable(assumption, says)
    if found:
        return found[0]
    if silent or not hosts:
        return _unprovable(assumption, f"{what} was found, and {join_names(silent) or 'no host'} did not answer")
    return (_unprovable if copies else _broken)(
        assumption, f"{what} was found on {join_names(host.node.name for host in hosts)}", ""
    )


def _is_end(guest: Guest, *, copies: bool) -> bool:
    """A copy is known as one; a mode that is not known is taken for neither."""
    if guest.replication is None:
        return False
    return guest.replication in (Replication.REPLICA, Replication.EXTENDED_REPLICA) if copies else not guest.is_copy


def _broken(assumption: Assumption, why: str, host: str) -> Verdict:
    return Verdict(Outcome.BROKEN, assumption.target, why, assumption, host)


def _unprovable(assumption: Assumption, why: str, host: str = "") -> Verdict:
    return Verdict(Outcome.UNPROVABLE, assumption.target, why, assumption, host)


def _bare(why: str) -> str:
    return why.rstrip(".")


def _critical(told: Relationship) -> str:
    return "critical" if told.state_word.startswith("critical") else f"critical, {told.state_word}"


def _last(told: Relationship, now: datetime) -> str:
    if told.last is None:
        return "never replicated"
    return f"last replicated {format_span(now - told.last)} ago"


def format_span(span: timedelta) -> str:
    """A length of time: "21 s", "14 min", "26 h", "4 days"."""
    seconds = max(0, round(span.total_seconds()))
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
