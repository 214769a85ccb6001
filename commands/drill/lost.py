r"""The place where a service belongs is silent: what people do then, and what hvops leaves to them. Pure.

Silence is no state of a machine. Whether it is off there somebody has to see, who then types which host that is and how it is;
what was typed is compared, and stands signed in the ledger. The failover itself people make by hand on the recovery server: an
unplanned failover loses what was written since the last replication, and two machines that run are worse than none. hvops looks
whether it has happened, and keeps the time.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.api.actions import ManualStep, ReadBack, TypedField, can_be_typed
from bot.api.arguments import Target
from bot.api.continuity import Service
from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, Group, Step, exists, missing
from bot.api.queries import Predicate
from commands.continuity.facts import HostFacts
from commands.continuity.replicas import format_span
from commands.drill.facts import DrillFacts
from commands.drill.gates import no_backup_gates, quorum_gates
from commands.drill.sides import End, named_ends
from commands.drill.steps import HOURS_FOR_A_PERSON, ROLE, machine, relationship, step_keys_of
from commands.formatting import join_names
from commands.sources.guests import Power
from commands.sources.host_names import host_label
from commands.sources.replication import RECOVERED

WITNESS = "approver"  # who states that the primary is off: nobody of a lower role
WORDS = "powered off"
_SILENT = ("timed out", "unreachable")  # kinds of Unknown that are silence; a refused login is an answer
_RUNNING = 2  # EnabledState [doc]
_NOT_STATED = (
    "Nothing was failed over. Only what you have seen yourself, or heard from someone standing at the machine, may be typed: a host"
    " that does not answer may still run its machines. Press Stop After Step to end here."
)


def replicas(service: Service, facts: DrillFacts) -> dict[str, tuple[End, ...]]:
    """Machine -> its ends in the recovery place."""
    told = facts.hosts.get(service.places[1].casefold())
    hosts = () if told is None or isinstance(told, Unknown) else told
    return {name: tuple(named_ends(name, hosts)) for name in service.guests}


def lost_gates(target: Target, service: Service, facts: DrillFacts) -> tuple[Gate, ...]:
    """What has to be known before anybody is asked to state anything."""
    found = replicas(service, facts)
    ends = [end for each in found.values() for end in each]
    return (
        _is_silent(service.places[0], facts),
        *(_one_replica(name, service.places[1], each, facts, ends) for name, each in found.items()),
        *(_names_its_primary(name, each[0]) for name, each in found.items() if len(each) == 1),
        *no_backup_gates(dict.fromkeys(end.on for end in ends), facts),
        *quorum_gates(target, facts),
    )


def lost_groups(service: Service, facts: DrillFacts) -> tuple[Group, ...]:
    """The statement, then the failover by hand, machine by machine. Only of machines that have one replica."""
    ends = [each[0] for each in replicas(service, facts).values()]
    home, away = service.places[:2]
    keys = step_keys_of((end.guest.vm_id, end.guest.name) for end in ends)
    return (
        Group("lost-state", (_statement(home, ends),)),
        Group(
            "lost-over",
            (
                *(_by_hand(end, keys[end.guest.vm_id]) for end in ends),
                Step(
                    "check-lost",
                    f"Check that {service.name} works in {away}",
                    ManualStep(f"Use {service.name} as its users do. Done ends the measured time.", ROLE),
                    (),
                    deadline=HOURS_FOR_A_PERSON * 3600,
                ),
                Step(
                    "keep-off",
                    f"Keep the old machines of {service.name} off when {home} comes back",
                    ManualStep(
                        f"Before anything in {home} is switched on: see that {join_names(end.guest.name for end in ends)} cannot"
                        " start there by itself (automatic start, cluster role). Then reverse the replication by hand in Hyper-V"
                        f" Manager; /drill {service.name} --only back brings the service home once it replicates again.",
                        WITNESS,
                    ),
                    (),
                    deadline=HOURS_FOR_A_PERSON * 3600,
                ),
            ),
        ),
    )


def age_in_words(service: Service, facts: DrillFacts) -> str:
    """What is lost: the age of the last replication of each machine, by its replica's host."""
    return "; ".join(
        f"{name}: {_last(each[0], facts)}" for name, each in replicas(service, facts).items() if len(each) == 1
    )


def primary_of(end: End) -> str:
    """The host of the primary, as the replica's settings name it; "" where they do not, or nobody could type it."""
    told = end.host.ends
    label = (
        "" if isinstance(told, Unknown) or end.guest.vm_id not in told else host_label(told[end.guest.vm_id].primary)
    )
    return label if can_be_typed(label) else ""


def _is_silent(home: str, facts: DrillFacts) -> Gate:
    """Every host of the place, not only the machine's: it may run on any of them."""
    says = GateText(
        f"No host in {home} answers", f"Hosts in {home} answer", f"It is not known whether hosts in {home} answer"
    )
    told = facts.hosts.get(home.casefold())
    if told is None:
        return Gate.of(says, GateOutcome.NOT_KNOWN, "it was not asked", answerable=False)
    silent = (
        (told,) if isinstance(told, Unknown) else tuple(one.guests for one in told if isinstance(one.guests, Unknown))
    )
    answering = [] if isinstance(told, Unknown) else [one.node.name for one in told if _has_answered(one)]
    answering += [one.target for one in silent if one.kind not in _SILENT]
    if not isinstance(told, Unknown) and home.casefold() in facts.clusters:
        answering += [home]  # it has just named its nodes
    answering = list(dict.fromkeys(answering))
    if answering:
        measured = f"{join_names(answering)} answered: so the site is not lost. Plan the failover instead, or fix what fails there"
        return Gate.of(says, GateOutcome.BLOCKED, measured, answerable=False)
    return Gate.of(says, GateOutcome.PASSED, join_names(one.target for one in silent), answerable=False)


def _has_answered(host: HostFacts) -> bool:
    """Whether a host has said anything at all: with Hyper-V's own provider stuck it still tells its Windows, and works."""
    told = (host.guests, host.relationships, host.ends)
    return host.node.build is not None or not all(isinstance(one, Unknown) for one in told)


def _one_replica(name: str, away: str, ends: Sequence[End], facts: DrillFacts, of_all: Sequence[End]) -> Gate:
    says = GateText(
        f"{name} has one replica in {away}, which is off",
        f"{name} does not have exactly one replica in {away} that is off",
        f"It is not known whether {name} has one replica in {away} that is off",
    )
    told = facts.hosts.get(away.casefold())
    silent = (
        (told,)
        if isinstance(told, Unknown)
        else tuple(one.guests for one in told or () if isinstance(one.guests, Unknown) and not one.node.down)
    )
    if silent:
        measured = f"{join_names(one.target for one in silent)} did not answer"
        unknowns = missing("guests", *silent)
        return Gate.of(says, GateOutcome.NOT_KNOWN, measured, unknowns=unknowns, answerable=False)
    if len(ends) != 1:
        where = join_names(end.on for end in ends) or "no host"
        return Gate.of(says, GateOutcome.BLOCKED, f"it is on {where}", answerable=False)
    (end,) = ends
    if sum(one.guest.vm_id == end.guest.vm_id for one in of_all) > 1:
        return Gate.of(says, GateOutcome.BLOCKED, f"{end.on} lists it by another name as well", answerable=False)
    if end.is_replica is None or end.guest.power is Power.UNKNOWN:
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"{end.on} did not report its mode and state", answerable=False)
    is_so = end.is_replica and end.guest.power is Power.OFF
    kind = "a replica" if end.is_replica else "no replica"
    return Gate.of(
        says, GateOutcome.of(is_so), f"{kind}, {end.guest.power} on {end.on}, {_last(end, facts)}", answerable=False
    )


def _names_its_primary(name: str, end: End) -> Gate:
    says = GateText(
        f"The replica of {name} names the host that it was copied from",
        f"The replica of {name} does not name the host that it was copied from",
        f"It is not known which host the replica of {name} was copied from",
    )
    host = primary_of(end)
    return Gate.of(
        says, GateOutcome.of(True if host else None), host or f"{end.on} did not report it", answerable=False
    )


def _last(end: End, facts: DrillFacts) -> str:
    told = () if isinstance(end.host.relationships, Unknown) else end.host.relationships
    last = next((one.last for one in told if one.vm_id == end.guest.vm_id and not one.extended), None)
    return "last replication not known" if last is None else f"last replicated {format_span(facts.now - last)} ago"


def _statement(home: str, ends: Sequence[End]) -> Step:
    hosts = dict.fromkeys(primary_of(end) for end in ends)
    names = join_names(f"{end.guest.name} on {primary_of(end)}" for end in ends)
    return Step(
        "state-off",
        f"State that the machines in {home} are off",
        ReadBack(
            f"{home} does not answer, and that is no proof that it is off: with only the link down, its machines still work, and two"
            f" of each would. Go there, or call someone standing at the machine: {names}. Another host of {home} may run them by now, so"
            " see that the whole place is without power, or unplugged from users and storage. Then type what was seen.",
            WITNESS,
            (
                *(TypedField(f"Host seen powered off ({host})", "text", host) for host in hosts),
                TypedField(f"Its state, in these words: {WORDS}", "text", WORDS),
            ),
            _NOT_STATED,
        ),
        (),
        deadline=HOURS_FOR_A_PERSON * 3600,
    )


def _by_hand(end: End, key: str) -> Step:
    """A person fails it over and starts it; both ends up in what the recovery server says."""
    name, on = end.guest.name, end.on
    return Step(
        f"over-lost-{key}",
        f"Fail {name} over to {on} by hand",
        ManualStep(
            f"In Hyper-V Manager on {on} (of a cluster: in Failover Cluster Manager): {name}, Replication, Failover. Take the latest"
            " recovery point, unless somebody has reason to distrust it. Start the machine if it does not start by itself. Don't"
            " remove recovery points yet.",
            ROLE,
        ),
        (
            exists(
                relationship(on, end.guest.vm_id), Predicate("ReplicationState", "=", RECOVERED), within=600
            ).described_as(f"{name} is failed over to {on}"),
            exists(machine(on, end.guest.vm_id), Predicate("EnabledState", "=", _RUNNING), within=600).described_as(
                f"{name} runs on {on}"
            ),
        ),
        deadline=HOURS_FOR_A_PERSON * 3600,
    )
