"""Fail a service over to its other site and back again as a drill, timed against its RTO and RPO."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from bot.api.arguments import ServiceTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.continuity import Service
from bot.api.facts import Unknown
from bot.api.plan import UNDO, Gate, GateOutcome, GateText, Group, OpenQuestion, Plan, exists
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.continuity.facts import service_of
from commands.continuity.replicas import format_span
from commands.drill.facts import PLACES, DrillFacts, find_drill_facts
from commands.drill.gates import drill_gates
from commands.drill.lost import WITNESS, age_in_words, lost_gates, lost_groups, replicas
from commands.drill.sides import DIRECTIONS, Direction, End, Pair
from commands.drill.steps import (
    as_before,
    fail_over_key,
    finish_reversal,
    machine,
    relationship,
    step_keys_of,
    way,
)
from commands.drill.timing import describe_drill, promises
from commands.formatting import join_names, pluralize
from commands.no_plan import blocking_reason, held, no_plan
from commands.sources.guests import Power

_ROLLBACK = (
    "Until a failover is sent, hvops undoes a failed step; after it, undo needs an approver. Once a machine runs there, nothing is"
    " undone: that loses what was written. Press Stop After Step, then run /drill {service} --only back, which loses nothing. If"
    " that fails too, someone decides in Hyper-V Manager which side is authoritative."
    " Never start a machine on both sides."
)


_OFF = (Power.OFF, Power.OFF_CRITICAL)


class Part(str):
    """Which ways are gone: both; only back; or out, by hand, because the place where the service belongs is lost."""

    __slots__ = ()
    wants = "both, back or lost"
    label = "Which ways"
    choices = MappingProxyType({  # word -> what a form calls it
        "both": "There and back",
        "back": "Back only: bring a stopped service home",
        "lost": "The other site is lost: fail over by hand, hvops checks",
    })  # fmt: skip

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        if word.casefold() not in ("both", "back", "lost"):
            raise ValueError(word)
        return cls(word.casefold())


_BOTH = Part("both")


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    service: ServiceTarget
    only: Part = _BOTH


async def collect(args: Args, ask: QueryClient) -> DrillFacts:
    """Ask both places of the service; of one that may be lost, first whether any of its hosts is there."""
    return await find_drill_facts(args.service, ask, is_lost=args.only == "lost")


def plan(args: Args, facts: DrillFacts) -> Plan:
    """There and back again; none where a gate does not pass, or somebody does not answer."""
    if args.only == "lost":
        return _plan_by_hand(args, facts)
    if args.only == "back":
        return _plan(args, facts, "back", tuple(pair for pair in facts.pairs if pair.is_unreversed))
    return _plan(args, facts, "out")


def plan_on(args: Args, facts: DrillFacts, group: str) -> Plan:
    """What is left before a group: from there on the service is on the side that the last one has brought it to."""
    if args.only == "lost":
        return _plan_by_hand(args, facts, is_under_way=True)
    return _plan(args, facts, "back" if group.startswith("back-") else "out")


def _plan(args: Args, facts: DrillFacts, direction: Direction, unreversed: tuple[Pair, ...] = ()) -> Plan:
    """The plan from how things stand; `unreversed`: machines that are failed over, whose reversal comes first."""
    service = service_of(args.service)
    assert service is not None
    look = (Remedy("Check Continuity", f"/check-continuity {service.name}"),)
    if refusal := _impossible(service):
        return no_plan(refusal, remedies=look)
    gates = drill_gates(args.service, service, facts, direction, [pair.vm_id for pair in unreversed])
    if facts.lost:
        return no_plan(_not_found(service, facts, gates), gates, look)
    if held(gates):
        away_now = direction == "out" and any(one.is_unreversed or one.home.is_replica for one in facts.pairs)
        back_home = (Remedy("Drill…", f"/drill {service.name} --only back", primary=True),) if away_now else ()
        return no_plan(blocking_reason(service.name, gates), gates, (*back_home, *look))
    home, away = service.places[:PLACES]
    back = way("back", facts.pairs, facts.states, service, home)
    groups = (
        *(way("out", facts.pairs, facts.states, service, away) if direction == "out" else ()),
        *((finish_reversal(unreversed, facts.states),) if unreversed else ()),
        *back,
        Group(
            "as-before",
            (as_before(facts.pairs),),
            revalidate_before=False,
            title="Check that all is as it was before",
        ),
    )
    both = direction == "out"
    return Plan(
        reason=f"{_last(facts, direction)}.",
        impact=_impact(service, both=both),
        rollback=_ROLLBACK.format(service=service.name),
        locks=tuple(sorted(_lock(place, facts) for place in (home, away))),
        gates=gates,
        groups=groups,
        remedies=look,
        current_state=_state(facts, direction),
        expected_state=f"in {home}, replicating to {away}",
        # The way back alone ends on another side than it began; what could be undone of either lies before its reversal.
        self_reverting=both,
        afterwards=tuple(
            exists(relationship(pair.home.on, pair.vm_id)).described_as(f"replication of {pair.name}")
            for pair in facts.pairs
        ),
        title=f"Fail {service.name} over to {away} and back" if both else f"Bring {service.name} back to {home}",
        promises=promises(service.rto_minutes, service.rpo_minutes),
        touches=tuple(dict.fromkeys(end.on for pair in facts.pairs for end in (pair.home, pair.away))),
    )


def _plan_by_hand(args: Args, facts: DrillFacts, *, is_under_way: bool = False) -> Plan:
    """The runbook for a lost place: a statement that is read back, and people who fail over. For what is left of it, too."""
    service = service_of(args.service)
    assert service is not None
    if refusal := _impossible(service):
        return no_plan(refusal)
    gates = lost_gates(args.service, service, facts)
    if holding := held(gates):
        return no_plan(blocking_reason(service.name, holding), gates)
    home, away = service.places[:PLACES]
    if not is_under_way and all(end.is_recovered for each in replicas(service, facts).values() for end in each):
        return no_plan(
            f"Nothing to fail over by hand: every machine of {service.name} is failed over to {away} already.", gates
        )
    return Plan(
        reason=f"{home} does not answer. {age_in_words(service, facts)}; what was written since is lost.",
        impact=(
            f"{service.name} is started in {away} from its replicas. If a machine still runs in {home}, its work and that of the"
            " replica part, and one of them is lost: that is why somebody has to see it off first."
        ),
        rollback=(
            "Until a machine is started in the recovery place: Hyper-V Manager, Cancel Failover. After that, someone must decide which"
            " side counts; never start a machine on both sides."
        ),
        locks=tuple(sorted(_lock(place, facts) for place in (home, away))),
        gates=gates,
        groups=lost_groups(service, facts, is_under_way=is_under_way),
        afterwards=tuple(
            exists(machine(end.on, end.guest.vm_id)).described_as(f"{end.guest.name} in the recovery place")
            for each in replicas(service, facts).values()
            for end in each
        ),
        current_state=f"{home} silent; {age_in_words(service, facts)}",
        expected_state=f"in {away}, without a replica until {home} is back",
        title=f"Fail {service.name} over to {away} by hand, with {home} lost",
        promises=promises(service.rto_minutes, service.rpo_minutes),
        touches=tuple(dict.fromkeys(end.on for each in replicas(service, facts).values() for end in each)),
    )


def _impossible(service: Service) -> str:
    """Why the inventory itself makes no drill; "" where it does."""
    if len(service.places) > PLACES:
        first, *others = service.places
        return (
            f"No plan for {service.name}: it has {len(service.places)} places, and a drill runs between exactly two places, so hvops"
            f" cannot tell which of {join_names(others)} is meant; a copy of a copy (extended replica) cannot be reversed at all."
            f" Write a service of its own for each pair in the inventory, such as [service.{service.name}-{others[0]}] with"
            f" places {first} and {others[0]} and the guests that replicate there, and drill that."
        )
    if len(service.places) != PLACES:
        return f"No plan for {service.name}: a drill needs two places, and the inventory has {join_names(service.places) or 'none'}. Write where it runs first, and where it recovers second."
    if not service.guests:
        return f"No plan for {service.name}: the inventory names no guests of it. Write them below [service.{service.name}]."
    return ""


def _not_found(service: Service, facts: DrillFacts, gates: tuple[Gate, ...]) -> str:
    """A side that does not answer is not off: nobody is asked to believe that it is."""
    silent = tuple(dict.fromkeys(why.target for one in facts.lost for why in one.silent))
    if not silent:
        return blocking_reason(service.name, gates)
    word = "does" if len(silent) == 1 else "do"
    return (
        f"No plan for {service.name}: {join_names(silent)} {word} not answer, and a side that does not answer is never assumed to be"
        " off. No unplanned failover is made from silence: if the machine still runs there, two of it would take work at the same"
        f" time. Bring the silent side back. If it is lost, /drill {service.name} --only lost is the runbook: somebody of the"
        f" {WITNESS} role types which hosts they have seen off, and people fail over by hand."
    )


def _lock(place: str, facts: DrillFacts) -> str:
    """Of a cluster, or of a host that stands alone: what every other change there locks too."""
    return f"{'cluster' if place.casefold() in facts.clusters else 'host'}:{place.lower()}"


def _impact(service: Service, *, both: bool) -> str:
    down = "twice, once each way" if both else "once"
    promised = [
        f"{name} {minutes} min"
        for name, minutes in (("RTO", service.rto_minutes), ("RPO", service.rpo_minutes))
        if minutes
    ]
    return (
        f"{service.name} is down {down}, from shutdown of {pluralize(len(service.guests), 'machine')} until someone has"
        f" checked it on the other side. hvops does not notify users: tell them before you start. Targets: {', '.join(promised) or 'nothing'}."
    )


def _last(facts: DrillFacts, direction: Direction) -> str:
    """Where each runs, and how long ago it last replicated: measured, beside the digest."""
    found = []
    for pair in facts.pairs:
        source = pair.source(direction)
        told = () if isinstance(source.host.relationships, Unknown) else source.host.relationships
        last = next((one.last for one in told if one.vm_id == pair.vm_id and not one.extended), None)
        ago = f", last replicated {format_span(facts.now - last)} ago" if last is not None else ""
        found.append(f"{pair.name} on {source.on}{ago}")
    return "; ".join(found)


def _state(facts: DrillFacts, direction: Direction) -> str:
    return "; ".join(
        f"{one.name} on {one.source(direction).on}, replica on {one.target(direction).on}" for one in facts.pairs
    )


def undo_gates(args: Args, facts: DrillFacts, back: Plan) -> tuple[Gate, ...]:
    """An undo cancels failovers: it discards what a machine has written on the other side, so none may have started there.

    A machine that is off there may have run meanwhile, if somebody started it: no state of it tells. So its failover is cancelled
    only where an approver has looked.
    """
    service = service_of(args.service)
    assert service is not None
    known = [
        one
        for one in drill_gates(args.service, service, facts, "out")
        if " and its replica are known" in one.description
    ]
    over, unmatched = _failed_over(facts, back)
    started = [f"{pair.name} on {end.on}" for pair, end in over if end.guest.power not in (*_OFF, Power.UNKNOWN)]
    unknown = [f"{pair.name} on {end.on}" for pair, end in over if end.guest.power is Power.UNKNOWN]
    unseen = tuple(
        OpenQuestion(
            f"whether {pair.name} has run on {end.on} since its failover",
            "it is off there now, and no state tells whether it was started in between",
            f"look at the log Hyper-V-Worker-Admin of {end.on} for a start (event 18500) of {pair.name}",  # [mem]
        )
        for pair, end in over
        if end.guest.power in _OFF
    )
    says = GateText(
        f"No machine of {service.name} has started on the other side",
        f"Machines of {service.name} have started on the other side",
        f"It is not known whether machines of {service.name} have started on the other side",
    )
    measured = f"{join_names(started)}: reverting discards what was written there; /drill {service.name} --only back brings it home with its data"
    if started:
        gate = Gate.of(says, GateOutcome.BLOCKED, measured)
    elif unknown or unmatched:
        # Nobody can have looked for a machine that hvops cannot name.
        lost = f"no machine of {service.name} in the inventory fits {join_names(unmatched)}" if unmatched else ""
        silent = f"{join_names(unknown)} did not report a state" if unknown else ""
        told = "; ".join(filter(None, (silent, lost)))
        gate = Gate.of(says, GateOutcome.NOT_KNOWN, told, answerable=False)
    else:
        gate = Gate.of(says, GateOutcome.NOT_KNOWN if unseen else GateOutcome.PASSED, unknowns=unseen)
    return (*known, gate)


def _failed_over(facts: DrillFacts, back: Plan) -> tuple[tuple[tuple[Pair, End], ...], tuple[str, ...]]:
    """The machines whose failover is cancelled, each with the end where it would have been started.

    And what the plan calls the cancellation of machines that are not among those that are known now.
    """
    keys = step_keys_of((pair.vm_id, pair.name) for pair in facts.pairs)
    ends = {
        fail_over_key(direction, keys[pair.vm_id]): (pair, pair.target(direction))
        for direction in DIRECTIONS
        for pair in facts.pairs
    }
    begins = tuple(fail_over_key(direction, "") for direction in DIRECTIONS)
    cancelled = {step.key.removeprefix(UNDO): step.description for step in back.steps}
    cancelled = {key: says for key, says in cancelled.items() if key.startswith(begins)}
    return (
        tuple(ends[key] for key in cancelled if key in ends),
        tuple(f"“{says}”" for key, says in cancelled.items() if key not in ends),
    )


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates, describe_drill, plan_on=plan_on)
