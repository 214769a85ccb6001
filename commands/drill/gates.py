"""What has to be so before a service is failed over, and again before it comes back. Pure.

A gate reads the same on both ways, since the plan that is made anew before the failback has to ask all of them again; what was
measured says where the machine is now. No statement can replace any of them: a failover on a guess loses work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.api.arguments import Target
from bot.api.continuity import Assumption, Probe, Service
from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, missing
from commands.continuity.outcomes import Outcome, Verdict
from commands.continuity.replicas import format_span, judge_relationship, judge_replication
from commands.continuity.votes import judge_votes
from commands.drill.facts import DrillFacts, HostState
from commands.drill.returns import judge_return
from commands.drill.sides import Direction, End, Lost, Pair
from commands.formatting import format_size, join_names
from commands.sources.backup_state import no_backup
from commands.sources.guests import Power, Replication
from commands.sources.replication import Relationship

_OUTCOMES = {Outcome.PROVED: True, Outcome.BROKEN: False}
_LASTS = timedelta(days=2)  # that a certificate has to last from now on: a drill waits for people twice
_HEADROOM = 10  # percent of a host's free memory that stays free [note: 10 to 15 % headroom]


def drill_gates(
    target: Target,
    service: Service,
    facts: DrillFacts,
    direction: Direction,
    unreversed: Collection[str] = (),
) -> tuple[Gate, ...]:
    """All gates, in the order in which people read them.

    Args:
        target: the service, with its sites.
        service: the same.
        facts: what was answered.
        direction: of the next failover.
        unreversed: machines whose replication the plan itself reverses first: it cannot flow before that.
    """
    places = service.places[:2]
    return (
        *(_in_both_places(one, places) for one in facts.machines),
        *(gate for pair in facts.pairs for gate in _of_machine(pair, facts, service, direction, unreversed)),
        *_room(facts, direction),
        *_answers(service, facts, direction),
        *no_backup_gates(dict.fromkeys(end.on for pair in facts.pairs for end in (pair.home, pair.away)), facts),
        *quorum_gates(target, facts),
    )


def no_backup_gates(hosts: Iterable[str], facts: DrillFacts) -> Iterator[Gate]:
    """No backup is running on these hosts; nobody's word represents it here."""
    for name in hosts:
        state = facts.states.get(name.casefold())
        if state is not None:
            gate = no_backup(name, state.backup)
            yield replace(gate, answerable=False)


def _of_machine(
    pair: Pair, facts: DrillFacts, service: Service, direction: Direction, unreversed: Collection[str]
) -> Iterator[Gate]:
    if pair.vm_id in unreversed:
        says = GateText(
            f"{pair.name} is failed over to {pair.away.on} as planned, and not reversed yet",
            f"{pair.name} is not failed over to {pair.away.on}",
            f"It is not known whether {pair.name} is failed over to {pair.away.on}",
        )
        yield Gate.of(says, GateOutcome.PASSED, f"off and prepared on {pair.home.on}", guards="worth", answerable=False)
    else:
        yield _side(pair, direction)
        yield _replicates(pair, facts, service, direction)
    yield _no_extension(pair, facts)
    yield _undisturbed(pair)
    yield _can_return(pair, facts.states)
    yield _can_be_driven(pair, facts.states)
    yield from _certificates(pair, facts)
    yield _resynchronises(pair, facts.states)
    yield _tested(pair, facts, direction)


def _gate(says: GateText, outcome: bool | None, measured: str, *open_: OpenQuestion) -> Gate:  # noqa: FBT001 - as of GateOutcome.of
    return Gate.of(says, GateOutcome.of(outcome), measured, unknowns=open_ if outcome is None else (), answerable=False)


def _in_both_places(one: Pair | Lost, places: Sequence[str]) -> Gate:
    says = GateText(
        f"{one.name} and its replica are known: one in {places[0]}, one in {places[-1]}",
        f"{one.name} and its replica are not where they should be: one in {places[0]}, one in {places[-1]}",
        f"It is not known where {one.name} and its replica are",
    )
    if isinstance(one, Lost):
        return _gate(says, False if one.known else None, one.why, *one.questions)
    return _gate(says, True, f"on {one.home.on} and {one.away.on}")


def _side(pair: Pair, direction: Direction) -> Gate:
    """Whether the end that is used is the one that is left, the other one its replica, and each names the other."""
    says = GateText(
        f"{pair.name} runs on the side to fail over from, and its replica is off",
        f"{pair.name} does not run on the side to fail over from with its replica off",
        f"It is not known which side {pair.name} runs on and whether its replica is off",
    )
    source, target = pair.source(direction), pair.target(direction)
    modes = (source.is_replica, target.is_replica)
    if pair.is_unreversed:
        return _gate(says, False, f"it is failed over to {pair.away.on} and works there, not reversed yet")
    if None in modes:
        dumb = [end.on for end in (source, target) if end.is_replica is None]
        return _gate(says, None, f"{join_names(dumb)} does not tell which end it has")
    if modes != (False, True):
        used = "both ends are replicas" if all(modes) else f"it is used on {target.on}, not on {source.on}"
        return _gate(says, False, "neither end is a replica" if not any(modes) else used)
    if source.guest.replication is not Replication.PRIMARY:
        return _gate(says, False, f"{source.on} does not call it the primary of a replication")
    if source.guest.power is not Power.RUNNING or target.guest.power is not Power.OFF:
        powers = f"{source.guest.power} on {source.on}, {target.guest.power} on {target.on}"
        is_known = Power.UNKNOWN not in (source.guest.power, target.guest.power)
        return _gate(says, False if is_known else None, powers)
    return _gate(says, True, f"running on {source.on}, off on {target.on}")


def _replicates(pair: Pair, facts: DrillFacts, service: Service, direction: Direction) -> Gate:
    """Out: health, last cycle and average lag against the RPO. Back: a replica that was just reversed has no average yet."""
    says = GateText(
        f"Replication of {pair.name} is normal and within the RPO",
        f"Replication of {pair.name} is not normal, or not within the RPO",
        f"It is not known whether replication of {pair.name} is normal and within the RPO",
    )
    promised = timedelta(minutes=service.rpo_minutes) if service.rpo_minutes else None
    source, target = pair.source(direction), pair.target(direction)
    ends = [_relationship(end) for end in (source, target)]
    for end, told in zip((source, target), ends, strict=True):
        if isinstance(told, Unknown):
            return _gate(says, None, f"{end.on}: {told.why.rstrip('.')}", *missing("replication", told))
        if told is None:
            return _gate(says, False, f"{end.on} has no relationship for it")
        assert isinstance(told, Relationship)
        seen = judge_relationship(pair.name, told, end.on, facts.now)
        if seen.outcome is not Outcome.PROVED:
            return _judged(says, seen, end.on)
        late = promised is not None and seen.since_cycle is not None and seen.since_cycle > promised
        if late and promised is not None:
            return _gate(says, False, f"{seen.why} (on {end.on}); RPO {format_span(promised)}")
    seen = judge_relationship(pair.name, ends[0], source.on, facts.now)  # type: ignore[arg-type]
    if direction == "out":
        about = Assumption("", Probe.REPLICATION, pair.name)
        seen = judge_replication(about, facts.all_hosts, facts.statistics, promised=promised, now=facts.now)
    return _judged(says, seen, source.on)


def _judged(says: GateText, seen: Verdict, on: str) -> Gate:
    outcome = _OUTCOMES.get(seen.outcome)
    return _gate(says, outcome, seen.why if outcome else f"{seen.why} (on {on})")


def _relationship(end: End) -> Relationship | Unknown | None:
    told = end.host.relationships
    if isinstance(told, Unknown):
        return told
    return next((one for one in told if one.vm_id == end.guest.vm_id and not one.extended), None)


def _no_extension(pair: Pair, facts: DrillFacts) -> Gate:
    r"""A replica that is replicated on (InstanceID …\HVR\1) cannot be reversed before that is removed [doc]."""
    says = GateText(
        f"{pair.name} has no extended replica",
        f"{pair.name} has an extended replica",
        f"It is not known whether {pair.name} has an extended replica",
    )
    silent = []
    for host in facts.all_hosts:
        if isinstance(host.relationships, Unknown):
            if host.relationships.kind != "absent" and not host.node.down:
                silent.append(host.relationships)
            continue
        if any(one.vm_id == pair.vm_id and one.extended for one in host.relationships):
            says_why = rf"{host.node.name} replicates it on to a third host (InstanceID …\HVR\1)"
            first = "remove the extended replication first, and set it up again after the drill"
            return _gate(says, False, f"{says_why}, and such a replica cannot be reversed: {first}")
    if silent:
        return _gate(says, None, silent[0].why.rstrip("."), *missing("replication", *silent))
    return _gate(says, True, "")


def _undisturbed(pair: Pair) -> Gate:
    """Nothing is done to either end: no move, no export, no merge, no backup."""
    says = GateText(
        f"No other operation is running on {pair.name}",
        f"Another operation is running on {pair.name}; let it finish first",
        f"It is not known whether another operation is running on {pair.name}",
    )
    for end in (pair.home, pair.away):
        if end.guest.activities or end.guest.unlisted:
            what = join_names(end.guest.activities or [f"unlisted activity {one}" for one in end.guest.unlisted])
            return _gate(says, False if end.guest.activities else None, f"{what} (on {end.on})")
        if end.guest.backing_up is None:
            return _gate(says, None, f"{end.on} does not tell what is done to it")
        if end.guest.backing_up:
            return _gate(says, False, f"a backup holds it on {end.on}")
    return _gate(says, True, "")


def _can_return(pair: Pair, states: Mapping[str, HostState]) -> Gate:
    says = GateText(
        f"{pair.name} can come back to {pair.home.on}",
        f"{pair.name} cannot come back to {pair.home.on}",
        f"It is not known whether {pair.name} can come back to {pair.home.on}",
    )
    told = [
        version
        for end in (pair.home, pair.away)
        if (state := states.get(end.on.casefold())) is not None
        and not isinstance(state.versions, Unknown)
        and (version := state.versions.get(pair.vm_id))
    ]
    found = judge_return(pair, max(told, key=lambda one: (len(one), one), default=None))
    return _gate(says, found.can, found.says)


def _can_be_driven(pair: Pair, states: Mapping[str, HostState]) -> Gate:
    """What the steps need to know: how each end is shut down, and with what a reversal is configured."""
    says = GateText(
        f"hvops can shut down {pair.name} and reverse its replication from either host",
        f"hvops cannot shut down {pair.name} and reverse its replication from either host",
        f"It is not known whether hvops can shut down {pair.name} and reverse its replication from either host",
    )
    for end in (pair.home, pair.away):
        state = states.get(end.on.casefold())
        for told, what in (
            (state.components if state else None, "its shutdown service"),
            (state.settings if state else None, "its replication settings"),
        ):
            if told is None or isinstance(told, Unknown):
                why = told.why.rstrip(".") if told else "was not asked"
                return _gate(says, None, f"{end.on} does not tell {what}: {why}")
            if pair.vm_id not in told:
                return _gate(says, None, f"{end.on} does not tell {what}, or has it switched off")
        assert state is not None
        assert not isinstance(state.settings, Unknown)
        settings = state.settings[pair.vm_id]
        if settings.by_kerberos is None or not (settings.primary and settings.recovery):
            return _gate(says, None, f"{end.on} does not tell how it reaches the other host")
    return _gate(says, True, "")


def _certificates(pair: Pair, facts: DrillFacts) -> Iterator[Gate]:
    """Where hosts prove themselves by certificates, each receives with one of its own, and both have to last."""
    states = [(end.on, facts.states.get(end.on.casefold())) for end in (pair.home, pair.away)]
    if not any(state is not None and is_by_certificate(pair, state) for _, state in states):
        return
    says = GateText(
        f"The certificates by which {pair.home.on} and {pair.away.on} replicate {pair.name} are valid long enough",
        f"A certificate by which {pair.home.on} and {pair.away.on} replicate {pair.name} is not valid long enough",
        f"It is not known whether the certificates by which {pair.home.on} and {pair.away.on} replicate {pair.name} are valid long enough",
    )
    told = []
    for on, state in states:
        certificates: tuple[tuple[str, datetime | Unknown], ...] | Unknown = state.certificates if state else ()
        if isinstance(certificates, Unknown):
            yield _gate(says, False if certificates.kind == "absent" else None, f"{on}: {certificates.why.rstrip('.')}")
            return
        if not certificates:
            yield _gate(says, None, f"{on} does not tell by which certificate it replicates")
            return
        for thumbprint, until in certificates:
            if isinstance(until, Unknown):
                yield _gate(says, None, f"{on}: {until.why.rstrip('.')} ({thumbprint})")
                return
            told.append((until, f"{on}: until {until:%-d %b %Y} ({thumbprint[:8]}…)"))
    until, words = min(told)
    if until - facts.now < _LASTS:
        ends = "ended" if until <= facts.now else "ends"
        yield _gate(says, False, f"{words.replace('until', f'{ends} on')}: replace it first, on both hosts' trust too")
        return
    yield _gate(says, True, "; ".join(words for _, words in told))


def is_by_certificate(pair: Pair, state: HostState) -> bool:
    """Whether a host replicates a machine by certificates."""
    settings = None if isinstance(state.settings, Unknown) else state.settings.get(pair.vm_id)
    return settings is not None and settings.by_kerberos is False


def _resynchronises(pair: Pair, states: Mapping[str, HostState]) -> Gate:
    """A warning: when it would resynchronise by itself, and whether a reversal can take that over."""
    says = GateText(
        f"The automatic resynchronization schedule of {pair.name} is known, and a reversal keeps it",
        f"A reversal does not keep the automatic resynchronization schedule of {pair.name}",
        f"It is not known whether a reversal keeps the automatic resynchronization schedule of {pair.name}",
    )
    told = []
    for end in (pair.home, pair.away):
        state = states.get(end.on.casefold())
        settings = None if state is None or isinstance(state.settings, Unknown) else state.settings.get(pair.vm_id)
        if settings is None:
            return Gate.of(says, GateOutcome.NOT_KNOWN, f"{end.on} did not report it", blocks=False, guards="worth")
        told.append((end.on, settings.resync))
    words = "; ".join(f"{on}: {resync}" for on, resync in told)
    if all(resync.is_readable for _, resync in told):
        return Gate.of(says, GateOutcome.PASSED, words, blocks=False, guards="worth")
    after = "a reversal sets it to Windows' own hours, from 18:30 to 06:00: look at it after the drill"
    return Gate.of(says, GateOutcome.NOT_KNOWN, f"{words}; {after}", blocks=False, guards="worth")


def _tested(pair: Pair, facts: DrillFacts, direction: Direction) -> Gate:
    """A warning: a failover that was never tried on isolated copies is tried on the service itself."""
    says = GateText(
        f"A test failover of {pair.name} was made on its recovery server",
        f"No test failover of {pair.name} has been made on its recovery server",
        f"It is not known whether a test failover of {pair.name} was made on its recovery server",
    )
    server = pair.target(direction).on
    told = facts.statistics.get((server.casefold(), pair.vm_id))
    if told is None or isinstance(told, Unknown):
        why = told.why.rstrip(".") if told else "it was not asked"
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"{server}: {why}", blocks=False, guards="worth")
    if told.tested is None:
        return Gate.of(says, GateOutcome.BLOCKED, f"none yet, says {server}", blocks=False, guards="worth")
    days = max(timedelta(), facts.now - told.tested) // timedelta(days=1)
    measured = f"last one {told.tested:%-d %B %Y}, {days} days ago, says {server}"
    return Gate.of(says, GateOutcome.PASSED, measured, blocks=False, guards="worth")


def _room(facts: DrillFacts, direction: Direction) -> Iterator[Gate]:
    """Memory and processors of the hosts that take the machines, all of them together."""
    if not facts.pairs:
        return
    says = GateText(
        "The hosts on the other side have memory and processors for every machine",
        "The hosts on the other side lack memory or processors for these machines",
        "It is not known whether the hosts on the other side have memory and processors for every machine",
    )
    needs: dict[str, list[tuple[Pair, int]]] = {}
    for pair in facts.pairs:
        source, target = pair.source(direction), pair.target(direction)
        state, other = facts.states.get(source.on.casefold()), facts.states.get(target.on.casefold())
        memory = state.memory if state else Unknown(source.on, "absent", "it was not asked.")
        counts = state.counts if state else Unknown(source.on, "absent", "it was not asked.")
        processors = other.processors if other else Unknown(target.on, "absent", "it was not asked.")
        for told in (memory, counts, processors):
            if isinstance(told, Unknown):
                yield _gate(
                    says, None, f"{told.target}: {told.why.rstrip('.')}", *missing("memory and processors", told)
                )
                return
        assert not isinstance(memory, Unknown)
        assert not isinstance(counts, Unknown)
        assert not isinstance(processors, Unknown)
        held, wanted = memory.get(pair.vm_id), counts.get(pair.vm_id)
        if held is None or wanted is None or held <= 0 or wanted <= 0:
            yield _gate(says, None, f"{source.on} does not tell how much memory {pair.name} holds")
            return
        if wanted > processors:
            yield _gate(says, False, f"{pair.name} has {wanted} processors, {target.on} only {processors}")
            return
        needs.setdefault(target.on, []).append((pair, held))
    yield _memory(says, needs, facts)


def _memory(says: GateText, needs: Mapping[str, Sequence[tuple[Pair, int]]], facts: DrillFacts) -> Gate:
    told = []
    for on, machines in needs.items():
        state = facts.states[on.casefold()]
        if isinstance(state.free, Unknown):
            return _gate(says, None, f"{on}: {state.free.why.rstrip('.')}", *missing("free memory", state.free))
        want, usable = sum(held for _, held in machines), state.free * (100 - _HEADROOM) // 100
        told.append(f"{on}: {format_size(want)} wanted, {format_size(state.free)} free")
        if want > usable:
            return _gate(says, False, f"{told[-1]}, of which {_HEADROOM} % stay free")
    return _gate(says, True, "; ".join(told))


def _answers(service: Service, facts: DrillFacts, direction: Direction) -> Iterator[Gate]:
    """It takes connections before anything is shut down; whether it does afterwards is then a finding, and no old fault.

    On the way back nothing depends on it: a service that does not work over there has to come home all the more.
    """
    if not service.connects:
        return
    says = GateText(
        f"{service.name} takes connections before it is failed over: {join_names(service.connects)}",
        f"{service.name} takes no connections before it is failed over; fix that first",
        f"It is not known whether {service.name} takes connections before it is failed over",
    )
    silent = {name: told for name, told in facts.connects.items() if isinstance(told, Unknown)}
    if direction == "back" or not silent:
        yield _gate(says, True, "")
        return
    name, why = next(iter(silent.items()))
    yield _gate(says, False, f"{name}: {why.why.rstrip('.')}")


def quorum_gates(target: Target, facts: DrillFacts) -> Iterator[Gate]:
    """Whether the cluster that takes the service over outlives the next voter that goes."""
    if facts.quorum is None:
        return
    seen = judge_votes(facts.quorum, target.sites)[0]
    cluster = facts.quorum.cluster
    says = GateText(
        f"{cluster} keeps quorum if it loses one voter",
        f"{cluster} loses quorum if it loses one voter",
        f"It is not known whether {cluster} keeps quorum if it loses one voter",
    )
    yield _gate(says, _OUTCOMES.get(seen.outcome), seen.why)
