"""What must be so before a node is drained, each shown as passed or not.

What a gate says is signed by the approval; what it measured stands beside. A gate whose facts are missing has not passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome
from commands.drain.facts import DrainFacts
from commands.formatting import format_size, join_names, pluralize
from commands.sources.backup_state import backup_state
from commands.sources.capacity import Need, without_room
from commands.sources.cluster import Cluster
from commands.sources.guests import Guest, Power
from commands.sources.nodes import ClusterNodeState, Drain, votes_without
from commands.vmm.gates import no_vmm_job
from commands.vss.suspects import locks_on

_REDIRECTED = 1  # FaultState of a shared volume: slower, but it works [doc]
_FAULTS = {1: "redirected access", 2: "no access", 4: "in maintenance"}


def drain_gates(facts: DrainFacts, *, is_up: bool = True) -> tuple[Gate, ...]:
    """Every gate of a drain.

    Args:
        facts: of the node.
        is_up: False where the node is drained already, and only goes on from there.
    """
    return (
        *((_is_up(facts),) if is_up else ()),
        _others_work(facts),
        _quorum(facts),
        _memory(facts),
        no_locks(facts.node, facts.guests, facts.cluster),
        no_backup(facts.node, facts.guests, facts.cluster),
        _volumes(facts),
        _repairs(facts),
        _movable(facts),
        _live(facts),
        _clustered(facts),
        no_update_run(facts),
        *_vmm_jobs(facts),
    )


def no_locks(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster) -> Gate:
    """Nothing on the node is in locked mode."""
    says = f"No guest on {node} is locked"
    found = locks_on(node, guests, cluster)
    if found.roles is None:
        return _unknown(says, cluster.groups, cluster.resources)
    of = "" if isinstance(guests, Unknown) else f" of {len(guests)}"
    held = f": {join_names(found.roles, 6)}" if found.roles else ""
    return Gate(says, outcome=GateOutcome.of(found.none), measured=f"{len(found.roles)}{of} locked{held}")


def no_backup(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster) -> Gate:
    """No backup holds a guest of the node or a shared volume."""
    says = f"No backup runs on {node} or on a shared volume"
    backup = backup_state(guests, cluster)
    return Gate(says, outcome=GateOutcome.of(None if backup.runs is None else not backup.runs), measured=backup.detail)


def _unknown(says: str, *parts: object, blocks: bool = True) -> Gate:
    """A gate whose facts are missing, with the reason of the first that is."""
    why = next((part for part in parts if isinstance(part, Unknown)), None)
    measured = f"not known: {why.target}: {why.why.rstrip('.')}" if why else "not known"
    return Gate(says, GateOutcome.NOT_KNOWN, measured, blocks)


def _is_up(facts: DrainFacts) -> Gate:
    says = f"{facts.node} is up"
    if facts.state is None:
        return _unknown(says, facts.nodes)
    failed = ", its last drain failed" if facts.state.drain == Drain.FAILED and not facts.state.is_up else ""
    told = "" if facts.state.is_up else f"{facts.node} is {facts.state.word}{failed}"
    return Gate(says, outcome=GateOutcome.of(facts.state.is_up), measured=told)


def _others_work(facts: DrainFacts) -> Gate:
    says = f"No other node of {facts.cluster.name} is paused or leaves the cluster"
    if isinstance(facts.nodes, Unknown):
        return _unknown(says, facts.nodes)
    away = [
        f"{one.name} is {one.word}"
        for one in facts.others
        if one.state not in (ClusterNodeState.UP, ClusterNodeState.DOWN)
    ]
    up = [one.name for one in facts.others if one.is_up]
    return Gate(
        says,
        outcome=GateOutcome.of(not away),
        measured=join_names(away) if away else f"{pluralize(len(up), 'other node')} up",
    )


def _quorum(facts: DrainFacts) -> Gate:
    """A paused node still votes, so this only warns: it says what a reboot would do."""
    says = f"The quorum would hold if {facts.node} went down"
    if isinstance(facts.nodes, Unknown) or isinstance(facts.witness, Unknown):
        return _unknown(says, facts.nodes, facts.witness, blocks=False)
    votes = votes_without(facts.nodes, facts.node, witness=facts.witness)
    return Gate(
        says, outcome=GateOutcome.of(votes.suffice), measured=f"{votes.left} of {votes.of} votes left", blocks=False
    )


def _memory(facts: DrainFacts) -> Gate:
    says = f"The guests of {facts.node} fit into the memory of the other nodes"
    silent = [part for part in facts.free.values() if isinstance(part, Unknown)]
    if isinstance(facts.guests, Unknown) or isinstance(facts.memory, Unknown) or not facts.states:
        return _unknown(says, facts.nodes, facts.guests, facts.memory)
    free = {name: room for name, room in facts.free.items() if isinstance(room, int)}
    needs = [Need(one.name, facts.memory.get(one.vm_id, 0), _owners(facts, one)) for one in _clustered_guests(facts)]
    homeless = without_room([need for need in needs if need.memory], free)
    gap = f"; {join_names([one.target for one in silent])} did not tell" if silent else ""
    left = f"; no room for {join_names(homeless, 4)}" if homeless else ""
    total = format_size(sum(need.memory for need in needs))
    room = f"{format_size(sum(free.values()))} free on {pluralize(len(free), 'node')}"
    return Gate(
        says,
        outcome=GateOutcome.of(None if homeless and silent else not homeless),
        measured=f"needs {total}, {room}{gap}{left}",
    )


def _volumes(facts: DrainFacts) -> Gate:
    """Redirected access is slow but works, and for some file systems it is the rule: it only warns."""
    says = f"Every shared volume of {facts.cluster.name} is without a fault"
    volumes = facts.cluster.volumes
    if isinstance(volumes, Unknown):
        return _unknown(says, volumes)
    faulty = [one for one in volumes if one.fault]
    told = [f"{one.name} {_FAULTS.get(one.fault, f'fault {one.fault}')}" for one in faulty]
    blocks = not faulty or any(one.fault != _REDIRECTED for one in faulty)
    return Gate(
        says, GateOutcome.of(not faulty), join_names(told, 4) if told else pluralize(len(volumes), "volume"), blocks
    )


def _repairs(facts: DrainFacts) -> Gate:
    """Not every Windows tells its storage jobs; where it does not, this only warns."""
    says = "No storage repair is under way"
    if isinstance(facts.repairs, Unknown):
        return _unknown(says, facts.repairs, blocks=facts.repairs.kind not in ("absent", "refused"))
    return Gate(says, GateOutcome.of(not facts.repairs), join_names(facts.repairs, 4))


def no_update_run(facts: DrainFacts) -> Gate:
    """A run drains and restarts nodes by itself. One whose provider is missing tells nothing: that only warns."""
    says = f"No run of Cluster-Aware Updating works on {facts.cluster.name}"
    runs = [name for name, told in facts.updating.items() if told is True]
    if runs:
        return Gate(
            says,
            outcome=GateOutcome.BLOCKED,
            measured=f"{join_names(sorted(runs, key=str.casefold), 4)} {'tells' if len(runs) == 1 else 'tell'} of one",
        )
    silent = [told for told in facts.updating.values() if isinstance(told, Unknown)]
    if silent or not facts.updating:
        return _unknown(says, *silent, blocks=any(one.kind not in ("absent", "refused") for one in silent))
    return Gate(says, outcome=GateOutcome.PASSED, measured=f"{pluralize(len(facts.updating), 'node')} asked")


def _vmm_jobs(facts: DrainFacts) -> Iterator[Gate]:
    """What a job of VMM's works on is not told, so it may have nothing to do with this cluster: a person has to see."""
    for server, jobs in facts.vmm_jobs.items():
        yield replace(no_vmm_job(server, jobs), blocks=False)


def _movable(facts: DrainFacts) -> Gate:
    says = f"Every guest of {facts.node} may run on another node that is up"
    if isinstance(facts.owners, Unknown) or isinstance(facts.cluster.resources, Unknown) or not facts.states:
        return _unknown(says, facts.owners, facts.cluster.resources, facts.nodes)
    up = {one.name.casefold() for one in facts.others if one.is_up}
    bound = {
        one.group or one.name
        for one in facts.resources
        if not up & facts.owners.get(one.name.casefold(), frozenset(up))
    }
    told = (
        f"cannot: {join_names(sorted(bound, key=str.casefold), 6)}" if bound else pluralize(len(facts.roles), "guest")
    )
    return Gate(says, outcome=GateOutcome.of(not bound), measured=told)


def _live(facts: DrainFacts) -> Gate:
    """Those below the threshold are saved and moved: downtime, which is no reason to refuse."""
    says = f"Every running guest of {facts.node} moves live"
    groups = facts.cluster.groups
    if isinstance(groups, Unknown) or not isinstance(facts.threshold, int) or isinstance(facts.guests, Unknown):
        return _unknown(says, groups, facts.threshold, facts.guests, blocks=False)
    own = [one for one in groups if one.is_guest and one.owner.casefold() == facts.node.casefold()]
    resting = {one.name.casefold() for one in facts.guests if one.power is not Power.RUNNING}
    quick = [
        one.name
        for one in own
        if one.priority is not None and one.priority < facts.threshold and one.name.casefold() not in resting
    ]
    told = (
        f"saved and moved, so down for a while: {join_names(quick, 6)}"
        if quick
        else f"MoveTypeThreshold {facts.threshold}"
    )
    return Gate(says, outcome=GateOutcome.of(not quick), measured=told, blocks=False)


def _clustered(facts: DrainFacts) -> Gate:
    """A guest outside of the cluster stays where it is: a warning, since a pause alone does it no harm."""
    says = f"Every guest of {facts.node} is clustered"
    if isinstance(facts.guests, Unknown) or isinstance(facts.cluster.resources, Unknown):
        return _unknown(says, facts.guests, facts.cluster.resources, blocks=False)
    clustered = {one.vm_id for one in _clustered_guests(facts)}
    alone = [one.name for one in facts.guests if one.vm_id not in clustered]
    told = f"stays on {facts.node}: {join_names(alone, 6)}" if alone else pluralize(len(facts.guests), "guest")
    return Gate(says, outcome=GateOutcome.of(not alone), measured=told, blocks=False)


def _clustered_guests(facts: DrainFacts) -> Iterator[Guest]:
    """The node's guests that a role of the cluster holds: by VM id, else by the role's name."""
    every = () if isinstance(facts.cluster.resources, Unknown) else facts.cluster.resources
    ids = {one.vm_id for one in every if one.vm_id}
    names = {one.group.casefold() for one in every if not one.vm_id}
    for guest in () if isinstance(facts.guests, Unknown) else facts.guests:
        if guest.vm_id in ids or guest.name.casefold() in names:
            yield guest


def _owners(facts: DrainFacts, guest: Guest) -> frozenset[str] | None:
    """Where a guest may run: where all of its resources may be."""
    if isinstance(facts.owners, Unknown):
        return None
    own = [facts.owners.get(one.name.casefold()) for one in facts.resources if one.vm_id == guest.vm_id]
    told = [one for one in own if one is not None]
    return frozenset.intersection(*told) if told else None
