"""Every assumption of a service, judged by its probe; of a cluster, everything that it replicates, and its votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta

from bot.api.arguments import Target
from bot.api.continuity import Assumption, Probe, Service
from bot.api.facts import Unknown
from commands.continuity.drills import judge_drill
from commands.continuity.facts import Facts, assumptions_of, service_of
from commands.continuity.inside import judge_addresses, judge_hosts_file
from commands.continuity.links import judge_link, judge_single_point
from commands.continuity.outcomes import Outcome, Verdict, by_age
from commands.continuity.replicas import judge_relationship, judge_replication, judge_test_failover
from commands.continuity.votes import judge_votes
from commands.formatting import join_names
from commands.sources.slack_group import Member


def verdicts_of(target: Target, facts: Facts) -> tuple[Verdict, ...]:
    """Judge every assumption of the service; of a cluster, everything that it replicates and its votes."""
    if service_of(target) is not None:
        return tuple(verdict for one in assumptions_of(target) for verdict in _JUDGES[one.probe](one, target, facts))
    return (*_replicated(facts), *_votes(target.name, target, facts, _votes_assumption(target)))


def _replication(assumption: Assumption, target: Target, facts: Facts) -> tuple[Verdict, ...]:
    service = service_of(target)
    minutes = service.rpo_minutes if service else None
    promised = timedelta(minutes=minutes) if minutes else None
    hosts = tuple(facts.hosts.values())
    return (judge_replication(assumption, hosts, facts.statistics, promised=promised, now=facts.now),)


def _stated(assumption: Assumption, facts: Facts) -> Verdict:
    """A person's word: with a day it may be stale, and it is never more than their word."""
    if assumption.proved_on is None:
        return Verdict(Outcome.UNPROVABLE, assumption.target, "no date of a proof is recorded", assumption)
    at = datetime.combine(assumption.proved_on, time(), UTC)
    where = f" ({assumption.proof})" if assumption.proof else ""
    return by_age(assumption, at, facts.now, f"confirmed but not verified{where}, proved on")


def judge_on_call(assumption: Assumption, told: tuple[Member, ...] | Unknown | None) -> Verdict:
    """Judge whether somebody can be reached: an active member of the group."""
    group = assumption.target
    if told is None or isinstance(told, Unknown):
        why = told.why.rstrip(".") if told else "was not asked"
        return Verdict(Outcome.UNPROVABLE, group, f"who is on call is not known: {why}", assumption)
    active = [one.name for one in told if one.active]
    if not active:
        says = "nobody is in the group" if not told else "nobody in the group has an active account"
        return Verdict(Outcome.BROKEN, group, says, assumption, "Slack")
    return Verdict(Outcome.PROVED, group, f"on call now: {join_names(active, 4)}", assumption, "Slack")


def _replicated(facts: Facts) -> tuple[Verdict, ...]:
    """Every relationship of a cluster's nodes, by what Windows says of it."""
    found: list[Verdict] = []
    for host in facts.hosts.values():
        if isinstance(host.relationships, Unknown):
            if host.relationships.kind != "absent":
                says = f"what it replicates is not known: {host.relationships.why.rstrip('.')}"
                found.append(Verdict(Outcome.UNPROVABLE, host.node.name, says))
            continue
        names = {} if isinstance(host.guests, Unknown) else {one.vm_id: one.name for one in host.guests}
        found += [
            judge_relationship(names.get(one.vm_id, one.vm_id), one, host.node.name, facts.now)
            for one in host.relationships
        ]
    return tuple(found)


def _votes(cluster: str, target: Target, facts: Facts, assumption: Assumption | None) -> tuple[Verdict, ...]:
    told = facts.quorums.get(cluster.casefold())
    if told is None:
        return (Verdict(Outcome.UNPROVABLE, cluster, "it is no cluster of the service", assumption),)
    if assumption is None and isinstance(told.nodes, Unknown):
        return ()  # nobody assumes anything of it; that it did not answer is said once, with why
    return judge_votes(told, target.sites, assumption)


def _votes_assumption(target: Target) -> Assumption | None:
    return next(iter(assumptions_of(target)), None)


_JUDGES: Mapping[Probe, Callable[[Assumption, Target, Facts], tuple[Verdict, ...]]] = {
    Probe.REPLICATION: _replication,
    Probe.TEST_FAILOVER: lambda one, _target, facts: (
        judge_test_failover(one, tuple(facts.hosts.values()), facts.statistics, facts.now),
    ),
    Probe.VOTES: lambda one, target, facts: _votes(one.target, target, facts, one),
    Probe.STATEMENT: lambda one, _target, facts: (_stated(one, facts),),
    Probe.HOSTS_FILE: lambda one, _target, facts: (judge_hosts_file(one, facts.inside.get(one.target.casefold())),),
    Probe.ADDRESSES: lambda one, _target, facts: (judge_addresses(one, facts.inside.get(one.target.casefold())),),
    Probe.LINK: lambda one, _target, facts: (judge_link(one, facts.paths),),
    Probe.SINGLE_POINT: lambda one, target, facts: (judge_single_point(one, facts.paths, target.sites),),
    Probe.ON_CALL: lambda one, _target, facts: (judge_on_call(one, facts.groups.get(one.target)),),
    Probe.DRILL: lambda one, target, facts: (
        judge_drill(one, service_of(target) or Service(target.name, ()), facts.drills, facts.now),
    ),
}
