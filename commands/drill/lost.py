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
from commands.sources.ping import REFUSED, is_silence
from commands.sources.replication import RECOVERED

WITNESS = "approver"  # who states that the primary is off: nobody of a lower role
WORDS = "powered off"
_RUNNING = 2  # EnabledState [doc]
_AS_PLANNED = (
    "Plan the failover instead (/drill {service}), or fix what fails there. If the site has to be given up all the same, its hosts"
    " are switched off or unplugged first: then they are silent, and the runbook asks an approver to state what was seen powered off"
)
_NOT_SILENCE = (
    "hvops could not try these hosts, which does not mean that they are down. Fix the connection, or start another worker for the"
    " site; add hosts that the inventory does not list to nodes of {home}. No statement can replace this check: the runbook starts"
    " only after every host was tried and none answered"
)
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
        _is_silent(service, facts),
        *(_one_replica(name, service.places[1], each, facts, ends) for name, each in found.items()),
        *(_names_its_primary(name, each[0]) for name, each in found.items() if len(each) == 1),
        *no_backup_gates(dict.fromkeys(end.on for end in ends), facts),
        *quorum_gates(target, facts),
    )


def lost_groups(service: Service, facts: DrillFacts, *, is_under_way: bool = False) -> tuple[Group, ...]:
    """The statement, then the failover by hand, machine by machine. Only of machines that have one replica.

    Each machine is a group of its own, so that the place is asked again before the next one: people take hours, and a place that
    answers by then is not lost.

    Args:
        service: what is failed over.
        facts: what was answered.
        is_under_way: made anew half-way; else what is failed over already is asked of nobody any more.
    """
    ends = [each[0] for each in replicas(service, facts).values()]
    home, away = service.places[:2]
    keys = step_keys_of((end.guest.vm_id, end.guest.name) for end in ends)
    left = ends if is_under_way else [end for end in ends if not end.is_recovered]
    return (
        Group("lost-state", (_statement(home, ends),)),
        *(Group(f"lost-over-{keys[end.guest.vm_id]}", (_by_hand(end, keys[end.guest.vm_id]),)) for end in left),
        Group(
            "lost-check",
            (
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
            # What is left starts nothing, and matters all the more once the place is back.
            revalidate_before=False,
        ),
    )


def age_in_words(service: Service, facts: DrillFacts) -> str:
    """What is lost: the age of the last replication of each machine, by its replica's host."""
    return "; ".join(
        f"{name}: {_last(each[0], facts)}" for name, each in replicas(service, facts).items() if len(each) == 1
    )


def primary_of(end: End) -> str:
    """The host of the primary, as the replica's settings name it; "" where they do not, or nobody could type it."""
    return end.primary if can_be_typed(end.primary) else ""


def _is_silent(service: Service, facts: DrillFacts) -> Gate:
    """Every host of the place that hvops knows, not only the machine's, nor those that it asks first: it may run on any of them.

    What is asked for is a connection. A host that refuses it is there; one that hvops has no way to is not silent, and neither
    is known to be gone.
    """
    home = service.places[0]
    says = GateText(
        f"No host in {home} that hvops knows answers",
        f"Hosts in {home} answer",
        f"It is not known whether hosts in {home} answer",
    )
    there = _who_is_there(home, facts)
    if there:
        measured = f"{'; '.join(there)}: so the site is not lost. {_AS_PLANNED.format(service=service.name)}{_on_both(service, facts)}"
        return Gate.of(says, GateOutcome.BLOCKED, measured, answerable=False)
    unknown = [one for one in facts.reached.values() if isinstance(one, Unknown) and not is_silence(one)]
    if unknown or not facts.reached:
        whose: dict[str, list[str]] = {}
        for one in unknown:
            whose.setdefault(f"{one.why} {one.remedy}".rstrip(". "), []).append(one.target)
        reasons = [f"{join_names(names)}: {why}" for why, names in whose.items()]
        measured = f"{'; '.join(reasons) or 'no host was asked'}. {_NOT_SILENCE.format(home=home)}"
        return Gate.of(
            says, GateOutcome.NOT_KNOWN, measured, unknowns=missing("a connection", *unknown), answerable=False
        )
    return Gate.of(says, GateOutcome.PASSED, f"asked for a connection: {join_names(facts.reached)}", answerable=False)


def _who_is_there(home: str, facts: DrillFacts) -> list[str]:
    """The hosts of a place that have shown that they are there, and how."""
    taken = [name for name, told in facts.reached.items() if not isinstance(told, Unknown)]
    refusing = [name for name, told in facts.reached.items() if isinstance(told, Unknown) and told.kind == REFUSED]
    told = facts.hosts.get(home.casefold())
    named = {name.casefold() for name in (*taken, *refusing)}
    others: list[str] = []
    if told is not None and not isinstance(told, Unknown):
        others = [one.node.name for one in told if _has_answered(one) and one.node.name.casefold() not in named]
        if home.casefold() in facts.clusters and not (taken or refusing or others):
            # It has just named its nodes.
            others = [home]
    return [
        f"{join_names(names)} answered{how}"
        for names, how in (
            (taken, " (connection taken)"),
            (refusing, " (connection refused, so switched on, unless something in between refuses it)"),
            (others, ""),
        )
        if names
    ]


def _on_both(service: Service, facts: DrillFacts) -> str:
    """Which machines work in the place after all, and which of them on both sides: that is for people, at once."""
    home, away = (facts.hosts.get(place.casefold()) for place in service.places[:2])
    if home is None or isinstance(home, Unknown):
        return ""
    over = () if away is None or isinstance(away, Unknown) else away
    said = []
    for name in service.guests:
        here = [end.on for end in named_ends(name, home) if end.guest.power is Power.RUNNING]
        there = [end.on for end in named_ends(name, over) if end.guest.power is Power.RUNNING]
        if here and there:
            said.append(
                f"{name} runs twice, on {join_names(here + there)}: decide at once which one counts, and shut the other one down"
            )
        elif here:
            said.append(f"{name} runs on {join_names(here)}: do not start its replica")
    return "".join(f". {one}" for one in said)


def _has_answered(host: HostFacts) -> bool:
    """Whether a host has said anything at all: with Hyper-V's own provider stuck it still tells its Windows, and works."""
    told = (host.guests, host.relationships, host.ends)
    return host.node.build is not None or not all(isinstance(one, Unknown) for one in told)


def _one_replica(name: str, away: str, ends: Sequence[End], facts: DrillFacts, of_all: Sequence[End]) -> Gate:
    says = GateText(
        f"{name} has one replica in {away}, which is off, or failed over already",
        f"{name} does not have exactly one replica in {away} that is off, or failed over already",
        f"It is not known whether {name} has one replica in {away} that is off, or failed over already",
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
    is_so = end.is_replica and (end.guest.power is Power.OFF or end.is_recovered)
    kind = "failed over" if end.is_recovered else "a replica" if end.is_replica else "no replica"
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
