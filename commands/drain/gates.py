"""What must be so before a node is drained, each shown as passed or not.

What a gate says is signed by the approval; what it measured stands beside. A gate whose facts are missing has not passed.
Each takes the facts that it judges and no more, so that another command can ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, OpenQuestion, missing
from commands.drain.facts import DrainFacts
from commands.formatting import format_size, join_names, pluralize
from commands.sources.backup_state import Backup, no_backup
from commands.sources.capacity import Need, without_room
from commands.sources.cluster import Cluster, Group, Resource, SharedVolume
from commands.sources.guests import Guest, Power
from commands.sources.nodes import ClusterNodeState, Drain, NodeState, votes_without
from commands.vmm.gates import no_vmm_job
from commands.vss.suspects import locks_on

_REDIRECTED = 1  # FaultState of a shared volume: slower, but it works [doc]
_FAULTS = {1: "redirected access", 2: "no access", 4: "in maintenance"}


def drain_gates(facts: DrainFacts, *, is_up: bool = True, backup: Backup | None = None) -> tuple[Gate, ...]:
    """Every gate of a drain.

    Args:
        facts: of the node.
        is_up: False where the node is drained already, and only goes on from there.
        backup: whether one runs, where the node's writers were asked too; else as far as `facts` tell.
    """
    node, nodes, guests, cluster = facts.node, facts.nodes, facts.guests, facts.cluster
    others = nodes if isinstance(nodes, Unknown) else facts.others
    resources = cluster.resources if isinstance(cluster.resources, Unknown) else facts.resources
    free = nodes if isinstance(nodes, Unknown) else facts.free  # of the nodes that are up, which nobody told then
    clustered = _clustered_guests(guests, cluster.resources)
    return (
        *((node_is_up(node, facts.state, nodes),) if is_up else ()),
        other_nodes_work(cluster.name, others),
        quorum_holds(node, nodes, facts.witness),
        memory_suffices(node, clustered, facts.memory, free, _owners_of_guests(resources, facts.owners)),
        no_locks(node, guests, cluster),
        no_backup(node, backup or facts.backup),
        volumes_are_sound(cluster.name, cluster.volumes),
        no_storage_repair(facts.repairs),
        guests_may_move(node, others, resources, facts.owners, facts.roles),
        guests_move_live(node, cluster.groups, guests, facts.threshold),
        guests_are_clustered(node, guests, clustered),
        no_cluster_aware_updating(cluster.name, facts.updating),
        *_vmm_jobs(facts.vmm_jobs),
    )


def gates_back(facts: DrainFacts) -> tuple[Gate, ...]:
    """What has to be so before the node takes its guests again: nobody else is at work there.

    Whether it is up, has room elsewhere, or holds locked guests is about the way there.
    """
    return (
        no_cluster_aware_updating(facts.cluster.name, facts.updating),
        no_storage_repair(facts.repairs),
        *_vmm_jobs(facts.vmm_jobs),
    )


def no_locks(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster) -> Gate:
    """Nothing on the node is in locked mode."""
    says = f"No guest on {node} is locked"
    found = locks_on(node, guests, cluster)
    if found.roles is None:
        return _unknown(says, cluster.groups, cluster.resources, about="locks", answerable=False)
    of = "" if isinstance(guests, Unknown) else f" of {len(guests)}"
    held = f": {join_names(found.roles, 6)}" if found.roles else ""
    outcome, measured = GateOutcome.of(found.none), f"{len(found.roles)}{of} locked{held}"
    known = outcome is not GateOutcome.NOT_KNOWN
    unknowns = () if known else missing("locks", guests, cluster.groups, cluster.resources)
    return Gate(says, outcome=outcome, measured=measured, unknowns=unknowns, answerable=known)


def _unknown(
    says: str, *parts: object, blocks: bool = True, about: str = "what is told", answerable: bool = True
) -> Gate:
    """A gate whose facts are missing, each by name, with the reason of the first that is.

    Args:
        says: what it asks for.
        parts: its facts.
        blocks: False for a gate that only warns.
        about: what was asked: "memory" makes "memory of hv04".
        answerable: False where no person's word can stand for it.
    """
    why = next((part for part in parts if isinstance(part, Unknown)), None)
    measured = f"not known: {why.target}: {why.why.rstrip('.')}" if why else "not known"
    unknowns = missing(about, *parts)
    return Gate(says, GateOutcome.NOT_KNOWN, measured, blocks, unknowns=unknowns, answerable=answerable)


def node_is_up(node: str, state: NodeState | None, nodes: Sequence[NodeState] | Unknown) -> Gate:
    """The node takes part in its cluster."""
    says = f"{node} is up"
    if state is None:
        return _unknown(says, nodes, about="node states", answerable=False)
    failed = ", its last drain failed" if state.drain == Drain.FAILED and not state.is_up else ""
    told = "" if state.is_up else f"{node} is {state.word}{failed}"
    outcome = GateOutcome.of(state.is_up if state.is_known else None)
    unknowns = () if state.is_known else (OpenQuestion(f"state of {node}", told),)
    return Gate(says, outcome=outcome, measured=told, unknowns=unknowns, answerable=state.is_known)


def other_nodes_work(cluster: str, others: Sequence[NodeState] | Unknown) -> Gate:
    """No other node is paused, joining or isolated; one that is down is the quorum's business."""
    says = f"No other node of {cluster} is paused or leaves the cluster"
    if isinstance(others, Unknown):
        return _unknown(says, others, about="node states", answerable=False)
    away = [one for one in others if one.state not in (ClusterNodeState.UP, ClusterNodeState.DOWN)]
    open_ = bool(away) and not any(one.is_known for one in away)
    told = join_names([f"{one.name} is {one.word}" for one in away])
    up = [one.name for one in others if one.is_up]
    return Gate(
        says,
        outcome=GateOutcome.of(None if open_ else not away),
        measured=told if away else f"{pluralize(len(up), 'other node')} up",
        unknowns=tuple(OpenQuestion(f"state of {one.name}", f"it says {one.word}") for one in away) if open_ else (),
        answerable=not open_,  # who joins or leaves is the quorum's, or somebody else's change
    )


def quorum_holds(node: str, nodes: Sequence[NodeState] | Unknown, witness: bool | Unknown) -> Gate:  # noqa: FBT001 - a fact
    """A paused node still votes, so this only warns: it says what a reboot would do."""
    says = f"The quorum would hold if {node} went down"
    if isinstance(nodes, Unknown) or isinstance(witness, Unknown):
        return _unknown(says, nodes, witness, blocks=False, about="votes", answerable=False)
    votes = votes_without(nodes, node, witness=witness)
    if votes is None:
        untold = "not known: not every node tells its state and its vote"
        return Gate(says, GateOutcome.NOT_KNOWN, untold, blocks=False, answerable=False)
    return Gate(
        says, outcome=GateOutcome.of(votes.suffice), measured=f"{votes.left} of {votes.of} votes left", blocks=False
    )


def memory_suffices(
    node: str,
    guests: Sequence[Guest] | Unknown,
    memory: Mapping[str, int] | Unknown,
    free: Mapping[str, int | Unknown] | Unknown,
    owners: Mapping[str, frozenset[str]],
) -> Gate:
    """The other nodes have room for the guests.

    Args:
        node: that is emptied.
        guests: of the node, those of the cluster.
        memory: VM id -> bytes that it holds; where it is missing, a guest that holds any makes the answer not known.
        free: other node that is up -> free bytes.
        owners: VM id -> nodes where it may be, in lower case; where it is missing, anywhere.
    """
    says = f"The guests of {node} fit into the memory of the other nodes"
    if isinstance(guests, Unknown) or isinstance(memory, Unknown) or isinstance(free, Unknown):
        return _unknown(says, free, guests, memory, about="memory")
    silent = [part for part in free.values() if isinstance(part, Unknown)]
    known = {name: room for name, room in free.items() if isinstance(room, int)}
    needs = [Need(one.name, memory.get(one.vm_id, 0), owners.get(one.vm_id)) for one in guests]
    homeless = without_room([need for need in needs if need.memory], known)
    gap = f"; {join_names([one.target for one in silent])} did not tell" if silent else ""
    unmeasured = [one.name for one in guests if one.vm_id not in memory and not one.power.is_at_rest]
    gap += f"; not told of {join_names(unmeasured, 4)}" if unmeasured else ""
    left = f"; no room for {join_names(homeless, 4)}" if homeless else ""
    total = format_size(sum(need.memory for need in needs))
    room = f"{format_size(sum(known.values()))} free on {pluralize(len(known), 'node')}"
    outcome = GateOutcome.of(None if (homeless and silent) or (unmeasured and not homeless) else not homeless)
    unasked = tuple(OpenQuestion(f"memory that {name} holds", "its host did not tell") for name in unmeasured)
    unknowns = (*missing("free memory", *silent), *unasked) if outcome is GateOutcome.NOT_KNOWN else ()
    return Gate(says, outcome=outcome, measured=f"needs {total}, {room}{gap}{left}", unknowns=unknowns)


def volumes_are_sound(cluster: str, volumes: Sequence[SharedVolume] | Unknown) -> Gate:
    """Redirected access is slow but works, and for some file systems it is the rule: it only warns."""
    says = f"Every shared volume of {cluster} is without a fault"
    if isinstance(volumes, Unknown):
        return _unknown(says, volumes, about="shared volumes")
    faulty = [one for one in volumes if one.fault]
    told = [f"{one.name} {_FAULTS.get(one.fault, f'fault {one.fault}')}" for one in faulty]
    blocks = not faulty or any(one.fault != _REDIRECTED for one in faulty)
    return Gate(
        says, GateOutcome.of(not faulty), join_names(told, 4) if told else pluralize(len(volumes), "volume"), blocks
    )


def no_storage_repair(repairs: Sequence[str] | Unknown) -> Gate:
    """Not every Windows tells its storage jobs; where it does not, this only warns."""
    says = "No storage repair is under way"
    if isinstance(repairs, Unknown):
        blocks = repairs.kind not in ("absent", "refused")
        return _unknown(says, repairs, blocks=blocks, about="storage jobs", answerable=False)
    return Gate(says, GateOutcome.of(not repairs), join_names(repairs, 4))


def guests_may_move(
    node: str,
    others: Sequence[NodeState] | Unknown,
    resources: Sequence[Resource] | Unknown,
    owners: Mapping[str, frozenset[str]] | Unknown,
    roles: Sequence[str],
) -> Gate:
    """Every guest may run on another node that is up.

    Args:
        node: that is emptied.
        others: all nodes of the cluster but this one.
        resources: of virtual machines, those that the node owns.
        owners: resource -> nodes where it may be, in lower case; where it is missing, anywhere.
        roles: of virtual machines on the node.
    """
    says = f"Every guest of {node} may run on another node that is up"
    if isinstance(owners, Unknown) or isinstance(resources, Unknown) or isinstance(others, Unknown):
        return _unknown(says, owners, resources, others, about="possible owners of guests")
    up = {one.name.casefold() for one in others if one.is_up}
    bound = {one.group or one.name for one in resources if not up & owners.get(one.name.casefold(), frozenset(up))}
    told = f"cannot: {join_names(sorted(bound, key=str.casefold), 6)}" if bound else pluralize(len(roles), "guest")
    return Gate(says, outcome=GateOutcome.of(not bound), measured=told)


def guests_move_live(
    node: str,
    roles: Sequence[Group] | Unknown,
    guests: Sequence[Guest] | Unknown,
    threshold: int | Unknown | None,
) -> Gate:
    """Those below the threshold are saved and moved: downtime, which is no reason to refuse."""
    says = f"Every running guest of {node} moves live"
    if isinstance(roles, Unknown) or not isinstance(threshold, int) or isinstance(guests, Unknown):
        return _unknown(says, roles, threshold, guests, blocks=False, about="priorities of guests")
    own = [one for one in roles if one.is_guest and one.owner.casefold() == node.casefold()]
    resting = {one.name.casefold() for one in guests if not one.power.runs and one.power is not Power.UNKNOWN}
    unclear = {one.name.casefold() for one in guests if one.power is Power.UNKNOWN}
    awake = [one for one in own if one.name.casefold() not in resting]
    below = [one for one in awake if one.priority is not None and one.priority < threshold]
    quick = [one.name for one in below if one.name.casefold() not in unclear]
    open_ = [one.name for one in awake if one.priority is None or (one in below and one.name not in quick)]
    told = (
        f"saved and moved, so down for a while: {join_names(quick, 6)}"
        if quick
        else f"not told of {join_names(open_, 6)}"
        if open_
        else f"MoveTypeThreshold {threshold}"
    )
    outcome = GateOutcome.of(None if open_ and not quick else not quick)
    unknowns = tuple(OpenQuestion(f"how {name} moves") for name in open_) if open_ and not quick else ()
    return Gate(says, outcome=outcome, measured=told, blocks=False, unknowns=unknowns)


def guests_are_clustered(node: str, guests: Sequence[Guest] | Unknown, clustered: Sequence[Guest] | Unknown) -> Gate:
    """A guest outside of the cluster stays where it is: a warning, since a pause alone does it no harm."""
    says = f"Every guest of {node} is clustered"
    if isinstance(guests, Unknown) or isinstance(clustered, Unknown):
        return _unknown(says, guests, clustered, blocks=False, about="guests")
    ids = {one.vm_id for one in clustered}
    alone = [one.name for one in guests if one.vm_id not in ids]
    told = f"stays on {node}: {join_names(alone, 6)}" if alone else pluralize(len(guests), "guest")
    return Gate(says, outcome=GateOutcome.of(not alone), measured=told, blocks=False)


def no_cluster_aware_updating(cluster: str, updating: Mapping[str, bool | Unknown]) -> Gate:
    """A run drains and restarts nodes by itself. One whose provider is missing tells nothing: that only warns."""
    says = f"No run of Cluster-Aware Updating works on {cluster}"
    runs = [name for name, told in updating.items() if told is True]
    if runs:
        return Gate(
            says,
            outcome=GateOutcome.BLOCKED,
            measured=f"{join_names(sorted(runs, key=str.casefold), 4)} {'tells' if len(runs) == 1 else 'tell'} of one",
        )
    silent = [told for told in updating.values() if isinstance(told, Unknown)]
    if silent or not updating:
        blocks = any(one.kind not in ("absent", "refused") for one in silent)
        return _unknown(says, *silent, blocks=blocks, about="Cluster-Aware Updating", answerable=False)
    return Gate(says, outcome=GateOutcome.PASSED, measured=f"{pluralize(len(updating), 'node')} asked")


def _vmm_jobs(vmm_jobs: Mapping[str, int | Unknown | None]) -> Iterator[Gate]:
    """What a job of VMM's works on is not told, so it may have nothing to do with this cluster: a person has to see."""
    for server, jobs in vmm_jobs.items():
        yield replace(no_vmm_job(server, jobs), blocks=False)


def _clustered_guests(
    guests: Sequence[Guest] | Unknown, resources: Sequence[Resource] | Unknown
) -> tuple[Guest, ...] | Unknown:
    """The node's guests that a role of the cluster holds: by VM id, else by the role's name."""
    if isinstance(guests, Unknown):
        return guests
    if isinstance(resources, Unknown):
        return resources
    ids = {one.vm_id for one in resources if one.vm_id}
    names = {one.group.casefold() for one in resources if not one.vm_id}
    return tuple(one for one in guests if one.vm_id in ids or one.name.casefold() in names)


def _owners_of_guests(
    resources: Sequence[Resource] | Unknown, owners: Mapping[str, frozenset[str]] | Unknown
) -> dict[str, frozenset[str]]:
    """VM id -> where a guest may run, which is where all of its resources may be; anywhere where it is missing."""
    found: dict[str, frozenset[str]] = {}
    if isinstance(resources, Unknown) or isinstance(owners, Unknown):
        return found
    for one in resources:
        told = owners.get(one.name.casefold())
        if told is not None:
            found[one.vm_id] = found.get(one.vm_id, told) & told
    return found
