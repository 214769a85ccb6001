r"""Failover, start, check, reversal: the same steps both ways. Each is judged by the state of both hosts alone.

A planned failover as Microsoft describes it [doc: Set up Hyper-V Replica, planned failover], by WMI:

1. the guest is shut down (Msvm_ShutdownComponent.InitiateShutdown [doc]);
2. the primary sends its last changes: RequestReplicationStateChange to 4, "synced replication complete" [doc], which the
   PowerShell module shows as PreparedForFailover [src];
3. the replica fails over: InitiateFailover without a snapshot, to the latest point [doc]; its state is then 5, recovered;
4. the replica starts (RequestStateChange to 2 [doc]), and people look at the service;
5. ReverseReplicationRelationship on the replica, with its own settings and the old primary as the recovery side, as
   Microsoft's sample does it [src].

Until step 3 a failure is undone by the run itself: state 3 [doc], start. RevertFailover [doc] discards what was written on the other
side, where people may have started a machine meanwhile: once a failover may have been sent, an approver is asked before. From step 4 on the way back loses what was written there, so nothing is undone and a person decides. A guest that is a cluster's
role is started and shut down through Hyper-V all the same: its cluster follows [mem].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bot.api.actions import InstanceReference, InvokeMethod, ManualStep
from bot.api.continuity import Service
from bot.api.facts import Unknown
from bot.api.plan import Check, CompareToBefore, Expect, Group, Step, exists
from bot.api.queries import Fields, Predicate, Wql, make_params
from commands.drill.facts import HostState
from commands.drill.sides import Direction, Pair
from commands.formatting import join_names
from commands.sources.drills import machine_key
from commands.sources.ping import answers_at
from commands.sources.replication import PREPARED, RECOVERED, REPLICATING, Health, relationship_id

_NAMESPACE = "root/virtualization/v2"
_RUNNING, _OFF = 2, 3  # EnabledState, and what RequestStateChange takes [doc]
_PRIMARY, _REPLICA = 1, 2  # ReplicationMode [doc]
_CRITICAL = 8  # ReplicationState [doc]
_NEVER = "1601-12-31"  # a replication that never was is of 1601-01-01 [cap]; ISO 8601 has the order of its text
_STARTED_A_JOB = 4096  # [doc]
_SHUTDOWN_SECONDS, _SENDING_SECONDS, _FAILOVER_SECONDS, _START_SECONDS = 900, 1800, 900, 600
_REVERSED_SECONDS = 3600
_ACT_SECONDS = 60  # until the host has taken what it is asked to do
_CONNECT_SECONDS = 1800  # services start after Windows does, and names are cached
HOURS_FOR_A_PERSON = 8
ROLE = "operator"


def way(
    direction: Direction,
    pairs: Sequence[Pair],
    states: Mapping[str, HostState],
    service: Service,
    place: str,
) -> tuple[Group, ...]:
    """The groups of one way: over, start and check, reversal.

    Args:
        direction: out, or back.
        pairs: the machines.
        states: of their hosts.
        service: what is failed over.
        place: where it goes.
    """
    keys = step_keys_of((pair.vm_id, pair.name) for pair in pairs)
    stops = tuple(_stop(direction, pair, keys[pair.vm_id], states) for pair in pairs)
    prepares = tuple(_prepare(direction, pair, keys[pair.vm_id]) for pair in pairs)
    overs = tuple(_fail_over(direction, pair, keys[pair.vm_id]) for pair in pairs)
    starts = tuple(_start(direction, pair, keys[pair.vm_id]) for pair in pairs)
    reversals = tuple(_reverse(direction, pair, keys[pair.vm_id], states) for pair in pairs)
    connects = tuple(_connect(direction, service, place))
    names = join_names(pair.name for pair in pairs)
    tries = f"connect to {service.name}, " if connects else ""
    return (
        Group(
            f"{direction}-over",
            (*stops, *prepares, *overs),
            on_failure="undo",
            title=f"To {place}: shut down {names}, send the last changes, fail over",
        ),
        Group(
            f"{direction}-start",
            (*starts, *connects, _check_service(direction, service.name, place)),
            revalidate_before=False,
            title=f"In {place}: start {names}, {tries}an operator checks {service.name} by hand",
        ),
        Group(f"{direction}-reverse", reversals, revalidate_before=False, title="Reverse the replication"),
    )


def finish_reversal(pairs: Sequence[Pair], states: Mapping[str, HostState]) -> Group:
    """The group of a way out that was stopped before it: reverse what is failed over, so that it can come back."""
    keys = step_keys_of((pair.vm_id, pair.name) for pair in pairs)
    reversals = tuple(_reverse("out", pair, keys[pair.vm_id], states) for pair in pairs)
    return Group("out-reverse", reversals, title="Reverse the replication")


def as_before(pairs: Sequence[Pair]) -> Step:
    """The proof that all is as it was: asked of both hosts of every machine, and waited for."""
    done = tuple(
        check
        for pair in pairs
        for check in (
            exists(
                machine(pair.home.on, pair.vm_id),
                Predicate("EnabledState", "=", _RUNNING),
                Predicate("ReplicationMode", "=", _PRIMARY),
                within=_START_SECONDS,
            ).described_as(f"{pair.name} runs on {pair.home.on} as the primary"),
            exists(
                machine(pair.away.on, pair.vm_id),
                Predicate("EnabledState", "=", _OFF),
                Predicate("ReplicationMode", "=", _REPLICA),
                within=_START_SECONDS,
            ).described_as(f"its replica on {pair.away.on} is off"),
            _replicating(pair.home.on, pair.vm_id).described_as(f"{pair.home.on} replicates {pair.name}, health OK"),
        )
    )
    return Step("as-before", "Check that everything is as it was before", None, done, deadline=_START_SECONDS)


def step_keys_of(machines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Machine -> the end of its steps' keys: its name in few letters, apart from all others. Each as id and name."""
    found: dict[str, str] = {}
    for vm_id, shown in machines:
        name = machine_key(shown)
        found[vm_id] = f"{name}-{vm_id[:8]}" if name in found.values() else name
    return found


def fail_over_key(direction: Direction, key: str) -> str:
    """The key of the step that fails a machine over, by the end of its steps' keys."""
    return f"over-{direction}-{key}"


def machine(on: str, vm_id: str) -> Wql:
    """The question: does this end run, and is it the replica?"""
    columns = ("Name", "EnabledState", "ReplicationMode")
    return Wql(on, _NAMESPACE, "Msvm_ComputerSystem", columns, (Predicate("Name", "=", vm_id.upper()),))


def relationship(on: str, vm_id: str) -> Wql:
    """The question: how does this end replicate?"""
    columns = ("InstanceID", "ReplicationState", "ReplicationHealth", "LastReplicationTime")
    where = (Predicate("InstanceID", "=", relationship_id(vm_id)),)
    return Wql(on, _NAMESPACE, "Msvm_ReplicationRelationship", columns, where)


def is_off(on: str, vm_id: str, name: str, *, within: int = 0) -> Check:
    """It is known to be off: a host that does not answer is not."""
    return exists(machine(on, vm_id), Predicate("EnabledState", "=", _OFF), within=within).described_as(
        f"{name} is off on {on}"
    )


def _stop(direction: Direction, pair: Pair, key: str, states: Mapping[str, HostState]) -> Step:
    """The image tells when the last replication was: what would have been lost if the site had gone at that moment."""
    source, target = pair.source(direction).on, pair.target(direction).on
    components = states[source.casefold()].components
    device = "" if isinstance(components, Unknown) else components[pair.vm_id]
    path = make_params(
        CreationClassName="Msvm_ShutdownComponent",
        DeviceID=device,
        SystemCreationClassName="Msvm_ComputerSystem",
        SystemName=pair.vm_id.upper(),
    )
    return Step(
        key=f"stop-{direction}-{key}",
        description=f"Shut down {pair.name} on {source}",
        act=InvokeMethod(
            source,
            _NAMESPACE,
            path,
            "Msvm_ShutdownComponent",
            "InitiateShutdown",
            make_params(Force=False, Reason="hvops: planned failover"),
            (0, _STARTED_A_JOB),
        ),
        guard=(_replicating(source, pair.vm_id, within=0).described_as(f"{source} replicates {pair.name}, health OK"),),
        done=(is_off(source, pair.vm_id, pair.name, within=_SHUTDOWN_SECONDS),),
        before=relationship(source, pair.vm_id),
        undo=_on_machine(source, pair.vm_id, "RequestStateChange", _RUNNING),
        undo_guard=(is_off(target, pair.vm_id, pair.name), _in_state(target, pair.vm_id, REPLICATING, PREPARED)),
        undone=(_runs(source, pair.vm_id, pair.name),),
        undo_says=f"start {pair.name} on {source}",
        finishes=True,  # a guest goes off minutes after it was asked
    )


def _prepare(direction: Direction, pair: Pair, key: str) -> Step:
    source, target = pair.source(direction).on, pair.target(direction).on
    failed = Expect((Predicate("ReplicationState", "=", _CRITICAL),))
    question = relationship(source, pair.vm_id)
    done = exists(question, Predicate("ReplicationState", "=", PREPARED), within=_SENDING_SECONDS, give_up=failed)
    return Step(
        key=f"send-{direction}-{key}",
        description=f"Send the last changes of {pair.name} to {target}",
        act=_on_machine(source, pair.vm_id, "RequestReplicationStateChange", PREPARED),
        guard=(is_off(source, pair.vm_id, pair.name),),
        done=(done.described_as(f"{pair.name} is prepared for failover", "its replication is critical"),),
        before=question,
        undo=_on_machine(source, pair.vm_id, "RequestReplicationStateChange", REPLICATING),
        undo_guard=(_in_state(target, pair.vm_id, REPLICATING, PREPARED),),
        undone=(_in_state(source, pair.vm_id, REPLICATING, within=_FAILOVER_SECONDS),),
        undo_says=f"resume replication of {pair.name} from {source}",
    )


def _fail_over(direction: Direction, pair: Pair, key: str) -> Step:
    """Just before it the primary has to say that the guest is off and all is sent: silence is neither."""
    source, target = pair.source(direction).on, pair.target(direction).on
    return Step(
        key=fail_over_key(direction, key),
        description=f"Fail {pair.name} over to {target}",
        act=_on_service(target, pair.vm_id, "InitiateFailover", (("SnapshotSettingData", None),)),
        guard=(
            is_off(source, pair.vm_id, pair.name),
            _in_state(source, pair.vm_id, PREPARED).described_as(f"{source} has sent all changes"),
            is_off(target, pair.vm_id, pair.name),
        ),
        done=(
            _in_state(target, pair.vm_id, RECOVERED, within=_FAILOVER_SECONDS).described_as(
                f"{pair.name} is failed over to {target}"
            ),
        ),
        before=relationship(target, pair.vm_id),
        undo=_on_service(target, pair.vm_id, "RevertFailover", ()),
        undo_guard=(is_off(target, pair.vm_id, pair.name),),
        undone=(_in_state(target, pair.vm_id, REPLICATING, PREPARED, within=_FAILOVER_SECONDS),),
        undo_says=f"cancel the failover of {pair.name} on {target}",
    )


def _is_left(source: str, pair: Pair) -> Check:
    """It has not been used there since it was failed over: whoever does that has to cancel the planned failover there first.

    That it is off says nothing of the hours in which a run was held: it may have run, and its last changes be there alone.
    """
    return _in_state(source, pair.vm_id, PREPARED).described_as(
        f"the planned failover of {pair.name} still stands on {source}"
    )


def _start(direction: Direction, pair: Pair, key: str) -> Step:
    source, target = pair.source(direction).on, pair.target(direction).on
    return Step(
        key=f"start-{direction}-{key}",
        description=f"Start {pair.name} on {target}",
        act=_on_machine(target, pair.vm_id, "RequestStateChange", _RUNNING),
        guard=(
            is_off(source, pair.vm_id, pair.name),
            _is_left(source, pair),
            _in_state(target, pair.vm_id, RECOVERED),
        ),
        done=(_runs(target, pair.vm_id, pair.name),),
        before=machine(target, pair.vm_id),
        no_undo_after=True,
    )


def _connect(direction: Direction, service: Service, place: str) -> Iterator[Step]:
    """Look from hvops' own machine, before people do: names may take their time to lead to the other side.

    Nobody who takes a connection proves that the service works; nobody who takes none shows that it does not.
    """
    if service.connects:
        yield Step(
            key=f"connect-{direction}",
            description=f"Connect to {service.name} in {place}: {join_names(service.connects)}",
            act=None,
            done=tuple(
                exists(answers_at(one), within=_CONNECT_SECONDS).described_as(f"{one} takes a connection")
                for one in service.connects
            ),
        )


def _check_service(direction: Direction, service: str, place: str) -> Step:
    return Step(
        key=f"check-{direction}",
        description=f"Check that {service} works in {place}",
        act=ManualStep(
            f"Use {service} as its users do: sign in, read, write something that is recognised later. See that names resolve to"
            f" {place} and that nothing talks to the other site. Done ends the measured time. If it does not work, press"
            " Stop After Step and decide: repair it there, or give up what was written there since the failover.",
            ROLE,
        ),
        done=(),
        deadline=HOURS_FOR_A_PERSON * 3600,
    )


def _reverse(direction: Direction, pair: Pair, key: str, states: Mapping[str, HostState]) -> Step:
    """A new time of the last replication shows that changes really flow the other way."""
    source, target = pair.source(direction).on, pair.target(direction).on
    question = relationship(target, pair.vm_id)
    by_hand = any(_by_certificate(pair, states, on) for on in (source, target))
    act: InvokeMethod | ManualStep = (
        _reverse_by_hand(direction, pair, states)
        if by_hand
        else _on_service(
            target,
            pair.vm_id,
            "ReverseReplicationRelationship",
            (("ReplicationSettingData", _settings(direction, pair, states)),),
        )
    )
    return Step(
        key=f"reverse-{direction}-{key}",
        description=f"Reverse the replication of {pair.name}: {target} to {source}",
        act=act,
        guard=(
            is_off(source, pair.vm_id, pair.name),
            _is_left(source, pair),
            _runs(target, pair.vm_id, pair.name, within=0),
        ),
        done=(
            exists(
                machine(target, pair.vm_id), Predicate("ReplicationMode", "=", _PRIMARY), within=_REVERSED_SECONDS
            ).described_as(f"{target} is the primary of {pair.name}"),
            exists(
                machine(source, pair.vm_id), Predicate("ReplicationMode", "=", _REPLICA), within=_REVERSED_SECONDS
            ).described_as(f"{source} has its replica"),
            _replicating(target, pair.vm_id, within=_REVERSED_SECONDS).described_as(
                f"{target} replicates {pair.name}, health OK"
            ),
            Check(
                question,
                (
                    Expect((Predicate("LastReplicationTime", ">", _NEVER),)),
                    CompareToBefore(f"reverse-{direction}-{key}", ("LastReplicationTime",), same=False),
                ),
                within=_REVERSED_SECONDS,
            ).described_as("changes have been sent the other way"),
        ),
        before=question,
        deadline=HOURS_FOR_A_PERSON * 3600 if by_hand else _ACT_SECONDS,
    )


def _by_certificate(pair: Pair, states: Mapping[str, HostState], on: str) -> bool:
    told = states[on.casefold()].settings
    return not isinstance(told, Unknown) and told[pair.vm_id].by_kerberos is False


def _reverse_by_hand(direction: Direction, pair: Pair, states: Mapping[str, HostState]) -> ManualStep:
    """Each host proves itself by a certificate of its own, which the settings of the other one do not name."""
    source, target = pair.source(direction).on, pair.target(direction).on
    told = states[target.casefold()].certificates
    own = "" if isinstance(told, Unknown) or not told else f", thumbprint {told[0][0]}"
    return ManualStep(
        f"In Hyper-V Manager on {target}: {pair.name}, Replication, Reverse Replication. Replica server:"
        f" {_point(direction, pair, states)}, authentication by certificate, with the certificate of {target}{own}. Leave"
        f" everything else as it is. Then press Done: hvops looks whether changes flow to {source}.",
        ROLE,
    )


def _point(direction: Direction, pair: Pair, states: Mapping[str, HostState]) -> str:
    """How the place that was left is reached: the settings of the home host tell which point is whose."""
    home = states[pair.home.on.casefold()]
    assert not isinstance(home.settings, Unknown)
    at_home = home.settings[pair.vm_id]
    point_home, point_away = at_home.primary, at_home.recovery
    if pair.home.is_replica:
        point_home, point_away = point_away, point_home
    return point_home if direction == "out" else point_away


def _settings(direction: Direction, pair: Pair, states: Mapping[str, HostState]) -> str:
    """The target's own settings, towards the place that was left. Which point is whose, the home host's settings tell."""
    target = states[pair.target(direction).on.casefold()]
    assert not isinstance(target.settings, Unknown)
    return target.settings[pair.vm_id].towards(_point(direction, pair, states))


def _replicating(on: str, vm_id: str, *, within: int = _REVERSED_SECONDS) -> Check:
    return exists(
        relationship(on, vm_id),
        Predicate("ReplicationState", "=", REPLICATING),
        Predicate("ReplicationHealth", "=", Health.OK.value),
        within=within,
    )


def _in_state(on: str, vm_id: str, *wanted: int, within: int = 0) -> Check:
    return exists(relationship(on, vm_id), Predicate("ReplicationState", "in", wanted), within=within)


def _runs(on: str, vm_id: str, name: str, *, within: int = _START_SECONDS) -> Check:
    return exists(machine(on, vm_id), Predicate("EnabledState", "=", _RUNNING), within=within).described_as(
        f"{name} runs on {on}"
    )


def _path(vm_id: str) -> Fields:
    return make_params(CreationClassName="Msvm_ComputerSystem", Name=vm_id.upper())


def _on_machine(on: str, vm_id: str, method: str, state: int) -> InvokeMethod:
    params = make_params(RequestedState=state)
    return InvokeMethod(on, _NAMESPACE, _path(vm_id), "Msvm_ComputerSystem", method, params, (0, _STARTED_A_JOB))


def _on_service(on: str, vm_id: str, method: str, params: Fields) -> InvokeMethod:
    path = make_params(CreationClassName="Msvm_ReplicationService")
    refers = (InstanceReference("ComputerSystem", "Msvm_ComputerSystem", _path(vm_id)),)
    return InvokeMethod(
        on, _NAMESPACE, path, "Msvm_ReplicationService", method, params, (0, _STARTED_A_JOB), references=refers
    )
