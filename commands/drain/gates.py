"""What must be so before a node is drained, each shown as passed or not.

What a gate says is signed by the approval; what it measured stands beside. A gate whose facts are missing has not passed.
Each takes the facts that it judges and no more, so that another command can ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, missing
from commands.drain.roles import OtherRole, bound_roles, role_names
from commands.formatting import format_size, join_names, pluralize, tell_apart
from commands.sources.capacity import Need, without_room
from commands.sources.cluster import Cluster, Group, Resource, RoleResource, SharedVolume, open_volumes, possibly_on
from commands.sources.guests import RUNNING_STATES, Guest, Power
from commands.sources.nodes import ISOLATED_MEANS, ClusterNodeState, Drain, NodeState, votes_without
from commands.sources.quorum import Witness
from commands.sources.services import HYPER_V_SERVICE, RUNNING
from commands.sources.storage import VirtualDisk
from commands.vmm.gates import no_vmm_job
from commands.vss.suspects import locks_on

_REDIRECTED = 1  # FaultState of a shared volume: slower, but it works [doc]
_FAULTS = {1: "redirected access", 2: "no access", 4: "in maintenance"}


def no_locks(node: str, guests: Sequence[Guest] | Unknown, cluster: Cluster) -> Gate:
    """Nothing on the node is in locked mode."""
    says = GateText(
        f"No guest on {node} is locked",
        f"Guests on {node} are locked",
        f"It is not known whether guests on {node} are locked",
    )
    found = locks_on(node, guests, cluster)
    if found.roles is None:
        return _unknown(says, cluster.groups, cluster.resources, about="locks", answerable=False)
    of = "" if isinstance(guests, Unknown) else f" of {len(guests)}"
    held = f": {join_names(found.roles, 6)}" if found.roles else ""
    gap = f"; not known for {join_names(found.unread, 6)}" if found.unread else ""
    measured = f"{len(found.roles)}{of} locked{held}{gap}"
    if found.unread and not found.roles:
        unknowns = tuple(_open_lock(name) for name in found.unread)
        return Gate.of(says, GateOutcome.NOT_KNOWN, measured, unknowns=unknowns, answerable=False)
    return Gate.of(says, outcome=GateOutcome.of(found.none), measured=measured)


def _open_lock(name: str) -> OpenQuestion:
    return OpenQuestion(
        f"whether {name} is locked",
        "its StatusInformation, or its node, cannot be read",
        "In Failover Cluster Manager.",
    )


def _unknown(
    says: GateText,
    *parts: object,
    blocks: bool = True,
    about: str | Sequence[str] = "what is told",
    answerable: bool = True,
) -> Gate:
    """A gate whose facts are missing, each by name, with the reason of the first that is.

    Args:
        says: what it asks for.
        parts: its facts.
        blocks: False for a gate that only warns.
        about: what was asked: "memory" makes "memory of hv04". A word for each part where they are of several kinds: who
            answers for one has not answered for another of the same machine.
        answerable: False where no person's word can stand for it.
    """
    why = next((part for part in parts if isinstance(part, Unknown)), None)
    measured = f"not known: {why.target}: {why.why.rstrip('.')}" if why else "not known"
    words = [about] * len(parts) if isinstance(about, str) else about
    each = (question for word, part in zip(words, parts, strict=True) for question in missing(word, part))
    unknowns = tuple(dict.fromkeys(each))
    return Gate.of(says, GateOutcome.NOT_KNOWN, measured, blocks, unknowns=unknowns, answerable=answerable)


def node_is_paused(node: str, state: NodeState | None, nodes: Sequence[NodeState] | Unknown) -> Gate:
    """Only a paused node can be resumed."""
    says = GateText(f"{node} is paused", f"{node} is not paused", f"It is not known whether {node} is paused")
    if state is None:
        return _unknown(says, nodes, about="node states", answerable=False)
    paused = state.state == ClusterNodeState.PAUSED
    outcome = GateOutcome.of(paused if state.is_known else None)
    return Gate.of(
        says, outcome, "" if paused else f"{node} is {state.word}", guards="worth", answerable=state.is_known
    )


def drain_has_ended(node: str, state: NodeState | None, nodes: Sequence[NodeState] | Unknown) -> Gate:
    """Resuming ends a drain half-way, which somebody may want: it only warns."""
    says = GateText(
        f"{node} is not being drained",
        f"{node} is still being drained",
        f"It is not known whether {node} is being drained",
    )
    if state is None:
        return _unknown(says, nodes, blocks=False, about="node states", answerable=False)
    if state.drain not in list(Drain):
        told = "NodeDrainStatus is not told" if state.drain is None else f"NodeDrainStatus is {state.drain}"
        return _unknown(says, Unknown(node, "bad reply", told), blocks=False, about="drain state", answerable=False)
    under_way = state.drain == Drain.UNDER_WAY
    return Gate.of(
        says, GateOutcome.of(not under_way), "resuming ends the drain half-way" if under_way else "", blocks=False
    )


def hyper_v_answers(node: str, vmms: str | Unknown) -> Gate:
    """Guests cannot move to a node whose Hyper-V management service does not run: Hyper-V's provider lives in it [doc].

    Args:
        node: that takes the guests.
        vmms: the service's state there, "" where it has none.
    """
    says = GateText(
        f"The service {HYPER_V_SERVICE} is running on {node}",
        f"The service {HYPER_V_SERVICE} is not running on {node}",
        f"It is not known whether the service {HYPER_V_SERVICE} is running on {node}",
    )
    if isinstance(vmms, Unknown):
        return _unknown(says, vmms, about=f"state of {HYPER_V_SERVICE}")
    return Gate.of(says, GateOutcome.of(vmms == RUNNING), vmms or "there is no such service")


def others_are_free(node: str, cluster: Cluster, *, with_volumes: bool = True) -> Gate:
    """A locked guest stays where it is, and a node whose backup is stuck may lock what it is given. It only warns.

    The cluster tells neither which guests come back nor where a drain takes them, so every other node counts.

    Args:
        node: that gives its guests away, or takes some.
        cluster: its roles, resources and shared volumes.
        with_volumes: False where another gate of the plan judges the shared volumes.
    """
    volumes = cluster.volumes if with_volumes else ()
    backup = ", and no shared volume is in backup" if with_volumes else ""
    says = GateText(
        f"No guest on another node of {cluster.name} is locked{backup}",
        f"Guests on other nodes of {cluster.name} are locked{', or shared volumes are in backup' if with_volumes else ''}",
        f"It is not known whether guests on other nodes of {cluster.name} are locked{' or shared volumes are in backup' if with_volumes else ''}",
    )
    if isinstance(cluster.groups, Unknown) or isinstance(cluster.resources, Unknown) or isinstance(volumes, Unknown):
        parts = (cluster.groups, cluster.resources, volumes)
        return _unknown(says, *parts, blocks=False, about="locks", answerable=False)
    away = node.casefold()
    every: tuple[Group | Resource, ...] = (*cluster.groups, *cluster.resources)
    elsewhere = [one for one in every if one.owner.casefold() != away]
    locked: dict[str, set[str]] = {}
    for one in elsewhere:
        if one.locked:
            locked.setdefault(one.owner, set()).add(one.shown)
    backups = [one.shown for one in volumes if one.backing_up]
    told = [
        f"locked on {owner}: {join_names(sorted(names, key=str.casefold), 6)}"
        for owner, names in sorted(locked.items())
    ]
    told += [f"in backup: {join_names(backups, 4)}"] if backups else []
    unread = sorted({one.shown for one in elsewhere if one.locked is None}, key=str.casefold)
    silent = [one for one in volumes if one.backing_up is None]
    gap = [f"not known for {join_names([*unread, *(one.shown for one in silent)], 6)}"] if unread or silent else []
    if gap and not told:
        unknowns = (*map(_open_lock, unread), *open_volumes("whether {} is in backup", silent))
        return Gate.of(says, GateOutcome.NOT_KNOWN, gap[0], blocks=False, unknowns=unknowns, answerable=False)
    return Gate.of(says, GateOutcome.of(not told), "; ".join((*told, *gap)), blocks=False)


def nothing_known(on: str, why: Unknown, *, answerable: bool = False) -> Gate:
    """Where not even the first question was answered, another running change cannot be excluded, by nobody's word.

    `answerable`: nothing was asked, so a person can look.
    """
    says = GateText(
        f"No other work is running on {on}",
        f"Other work is running on {on}",
        f"It is not known whether other work is running on {on}",
    )
    return _unknown(says, why, about="running work", answerable=answerable)


def node_is_up(node: str, state: NodeState | None, nodes: Sequence[NodeState] | Unknown) -> Gate:
    """The node takes part in its cluster."""
    says = GateText(f"{node} is up", f"{node} is not up", f"It is not known whether {node} is up")
    if state is None:
        return _unknown(says, nodes, about="node states", answerable=False)
    failed = ", its last drain failed" if state.drain == Drain.FAILED and not state.is_up else ""
    told = "" if state.is_up else f"{node} is {state.word}{failed}"
    outcome = GateOutcome.of(state.is_up if state.is_known else None)
    unknowns = () if state.is_known else (OpenQuestion(f"state of {node}", told),)
    return Gate.of(says, outcome=outcome, measured=told, unknowns=unknowns, answerable=state.is_known)


def other_nodes_work(cluster: str, others: Sequence[NodeState] | Unknown) -> Gate:
    """No other node is paused, joining, isolated or in quarantine; one that is just down is the quorum's business.

    An isolated node is down in the eyes of the cluster and goes on to host its guests: they fail over soon, or it joins.
    """
    says = GateText(
        f"No other node of {cluster} is paused, joining, isolated or quarantined",
        f"Another node of {cluster} does not fully take part in the cluster",
        f"It is not known whether another node of {cluster} is paused, joining, isolated or quarantined",
    )
    if isinstance(others, Unknown):
        return _unknown(says, others, about="node states", answerable=False)
    away = [one for one in others if not one.stays]
    open_ = [one for one in away if not one.is_known or one.may_be_isolated]
    if away and len(open_) < len(away):
        away, open_ = [one for one in away if one not in open_], []
    told = join_names([f"{one.name} is {one.word}{ISOLATED_MEANS if one.is_isolated else ''}" for one in away])
    up = [one.name for one in others if one.is_up]
    return Gate.of(
        says,
        outcome=GateOutcome.of(None if open_ else not away),
        measured=told if away else f"{pluralize(len(up), 'other node')} up",
        unknowns=tuple(OpenQuestion(f"state of {one.name}", f"it says {one.word}") for one in open_),
        answerable=not open_,  # who joins or leaves is the quorum's, or somebody else's change
    )


def quorum_says(node: str) -> str:
    """What the gate of the quorum says: a restart cannot live with what a drain only warns of, and looks for it."""
    return f"The cluster keeps quorum if {node} goes down"


def quorum_holds(node: str, nodes: Sequence[NodeState] | Unknown, witness: Witness | Unknown) -> Gate:
    """A paused node still votes, so this only warns: it says what a reboot would do."""
    says = GateText(
        quorum_says(node),
        f"The cluster loses quorum if {node} goes down",
        f"It is not known whether the cluster keeps quorum if {node} goes down",
    )
    if isinstance(nodes, Unknown) or isinstance(witness, Unknown):
        return _unknown(says, nodes, witness, blocks=False, about="votes", answerable=False)
    votes = votes_without(nodes, node, witness=witness.votes)
    if votes is None:
        untold = "not known: not every node tells its state and its vote"
        return Gate.of(says, GateOutcome.NOT_KNOWN, untold, blocks=False, answerable=False)
    lost = f"; {witness.says}" if witness.says else ""
    return Gate.of(
        says,
        outcome=GateOutcome.of(votes.suffice),
        measured=f"{votes.left} of {votes.of} votes left{lost}",
        blocks=False,
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
    says = GateText(
        f"The other nodes have enough memory for the guests on {node}",
        f"The other nodes do not have enough memory for the guests on {node}",
        f"It is not known whether the other nodes have enough memory for the guests on {node}",
    )
    if isinstance(guests, Unknown) or isinstance(memory, Unknown) or isinstance(free, Unknown):
        return _unknown(says, free, guests, memory, about=("free memory", "guests", "memory of guests"))
    silent = [part for part in free.values() if isinstance(part, Unknown)]
    known = {name: room for name, room in free.items() if isinstance(room, int)}
    names = tell_apart((one.vm_id, one.name) for one in guests)
    needs = [Need(names[one.vm_id], memory.get(one.vm_id, 0), owners.get(one.vm_id)) for one in guests]
    homeless = without_room([need for need in needs if need.memory], known)
    gap = f"; {join_names([one.target for one in silent])} did not report" if silent else ""
    unmeasured = [names[one.vm_id] for one in guests if one.vm_id not in memory and not one.power.is_at_rest]
    gap += f"; not known for {join_names(unmeasured, 4)}" if unmeasured else ""
    left = f"; no room for {join_names(homeless, 4)}" if homeless else ""
    total = format_size(sum(need.memory for need in needs))
    room = f"{format_size(sum(known.values()))} free on {pluralize(len(known), 'node')}"
    outcome = GateOutcome.of(None if (homeless and silent) or (unmeasured and not homeless) else not homeless)
    unasked = tuple(OpenQuestion(f"memory that {name} holds", "its host did not report it") for name in unmeasured)
    unknowns = (*missing("free memory", *silent), *unasked) if outcome is GateOutcome.NOT_KNOWN else ()
    return Gate.of(says, outcome=outcome, measured=f"needs {total}, {room}{gap}{left}", unknowns=unknowns)


def volumes_are_sound(cluster: str, volumes: Sequence[SharedVolume] | Unknown) -> Gate:
    """Redirected access is slow but works, and for some file systems it is the rule: it only warns."""
    says = GateText(
        f"All shared volumes of {cluster} are healthy",
        f"Not all shared volumes of {cluster} are healthy",
        f"It is not known whether all shared volumes of {cluster} are healthy",
    )
    if isinstance(volumes, Unknown):
        return _unknown(says, volumes, about="shared volumes")
    faulty = [one for one in volumes if one.fault]
    silent = [one for one in volumes if one.fault is None]
    told = [f"{one.shown} {_FAULTS.get(one.fault or 0, f'fault {one.fault}')}" for one in faulty]
    gap = f"not known for {join_names([one.shown for one in silent], 4)}" if silent else ""
    worse = any(one.fault != _REDIRECTED for one in faulty)
    if silent and not worse:  # redirected access beside it only warns, and must not hide what may hold
        measured = "; ".join(filter(None, (join_names(told, 4), gap)))
        unknowns = open_volumes("whether {} has a fault", silent)
        return Gate.of(says, GateOutcome.NOT_KNOWN, measured, unknowns=unknowns)
    measured = "; ".join(filter(None, (join_names(told, 4), gap))) or pluralize(len(volumes), "volume")
    return Gate.of(says, GateOutcome.of(not faulty), measured, worse or not faulty)


def no_storage_repair(repairs: Sequence[str] | Unknown) -> Gate:
    """Not every Windows tells its storage jobs; where it does not, this only warns."""
    says = GateText(
        "No storage repair is running",
        "A storage repair is running; let it finish first",
        "It is not known whether a storage repair is running",
    )
    if isinstance(repairs, Unknown):
        blocks = repairs.kind not in ("absent", "refused")
        return _unknown(says, repairs, blocks=blocks, about="storage jobs", answerable=False)
    return Gate.of(says, GateOutcome.of(not repairs), join_names(repairs, 4))


def virtual_disks_are_healthy(node: str, disks: Sequence[VirtualDisk] | Unknown) -> Gate:
    """A disk without its redundancy may have its last good copy on this node, whether a job repairs it or not.

    Not every Windows tells of its virtual disks; where it does not, this only warns, as for the jobs.
    """
    says = GateText(
        f"Every Storage Spaces virtual disk that {node} sees is healthy",
        f"Storage Spaces virtual disks that {node} sees are not healthy",
        f"It is not known whether every Storage Spaces virtual disk that {node} sees is healthy",
    )
    if isinstance(disks, Unknown):
        return _unknown(says, disks, blocks=disks.kind not in ("absent", "refused"), about="virtual disks")
    odd = [one.says for one in disks if one.is_healthy is False]
    open_ = [one for one in disks if one.is_healthy is None]
    if odd:
        return Gate.of(says, GateOutcome.BLOCKED, join_names(odd, 4))
    if open_:
        return Gate.of(
            says,
            GateOutcome.NOT_KNOWN,
            f"not known: {join_names([one.says for one in open_], 4)}",
            unknowns=tuple(OpenQuestion(f"health of virtual disk {one.name}", one.says) for one in open_),
            answerable=False,
        )
    return Gate.of(says, GateOutcome.PASSED, pluralize(len(disks), "virtual disk") if disks else "none found")


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
    says = GateText(
        f"Every guest on {node} has another possible owner node that is up",
        f"Guests on {node} have no other possible owner node that is up",
        f"It is not known whether every guest on {node} has another possible owner node that is up",
    )
    if isinstance(owners, Unknown) or isinstance(resources, Unknown) or isinstance(others, Unknown):
        kinds = ("possible owners of guests", "resources of guests", "node states")
        return _unknown(says, owners, resources, others, about=kinds)
    up = {one.name.casefold() for one in others if one.is_up}
    bound = {one.shown for one in resources if not up & owners.get(one.name.casefold(), frozenset(up))}
    unread = sorted({one.shown for one in resources if not one.name}, key=str.casefold)
    told = f"cannot: {join_names(sorted(bound, key=str.casefold), 6)}" if bound else pluralize(len(roles), "guest")
    if unread and not bound:
        unknowns = tuple(OpenQuestion(f"possible owners of {name}", "its name cannot be read") for name in unread)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known for {join_names(unread, 4)}", unknowns=unknowns)
    return Gate.of(says, outcome=GateOutcome.of(not bound), measured=told)


def roles_may_move(
    node: str,
    others: Sequence[NodeState] | Unknown,
    roles: Sequence[OtherRole] | Unknown,
    held: Sequence[RoleResource] | Unknown,
    owners: Mapping[str, frozenset[str]] | Unknown,
) -> Gate:
    """Every role that is no virtual machine may run on another node that is up: else it would stay down.

    Args:
        node: that is emptied.
        others: all nodes of the cluster but this one.
        roles: of the node, without virtual machines.
        held: their resources.
        owners: resource -> nodes where it may be, in lower case; where it is missing, anywhere.
    """
    says = GateText(
        f"Every other role on {node} has another possible owner node that is up",
        f"Other roles on {node} have no other possible owner node that is up",
        f"It is not known whether every other role on {node} has another possible owner node that is up",
    )
    if any(isinstance(part, Unknown) for part in (roles, held, owners, others)):
        kinds = ("roles", "resources of roles", "possible owners of roles", "node states")
        return _unknown(says, roles, held, owners, others, about=kinds)
    assert not isinstance(roles, Unknown)
    assert not isinstance(owners, Unknown)
    assert not isinstance(others, Unknown)
    bound = bound_roles(roles, frozenset(one.name.casefold() for one in others if one.is_up), owners)
    assert not isinstance(held, Unknown)
    unread = list(dict.fromkeys(one.shown for one in held if not one.name or not one.group))
    unread += [role.name for role in roles if not role.group.name]  # which resources are its own, nobody can tell
    if unread and not bound:
        unknowns = tuple(
            OpenQuestion(f"possible owners of {name}", "its name, or its role, cannot be read") for name in unread
        )
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known for {join_names(unread, 4)}", unknowns=unknowns)
    told = f"cannot: {join_names(bound, 6)}" if bound else role_names(roles) or "none"
    return Gate.of(says, GateOutcome.of(not bound), told)


def guests_move_live(
    node: str,
    roles: Sequence[Group] | Unknown,
    resources: Sequence[Resource] | Unknown,
    guests: Sequence[Guest] | Unknown,
    threshold: int | Unknown | None,
) -> Gate:
    """Those below the threshold are saved and moved: downtime, which is no reason to refuse.

    A role is its guest's by the VM id of its resources: its name is free text.
    """
    says = GateText(
        f"Every running guest on {node} is set to live-migrate",
        f"Not every running guest on {node} is set to live-migrate",
        f"It is not known whether every running guest on {node} is set to live-migrate",
    )
    if (
        isinstance(roles, Unknown)
        or isinstance(resources, Unknown)
        or not isinstance(threshold, int)
        or isinstance(guests, Unknown)
    ):
        return _unknown(
            says,
            roles,
            resources,
            threshold,
            guests,
            blocks=False,
            about=("priorities of guests", "resources of guests", "how roles move", "guests"),
        )
    power = {one.vm_id: one.power for one in guests}
    ids: dict[str, set[str]] = {}
    for one in resources:
        ids.setdefault(one.group.casefold(), set()).add(one.vm_id)
    own = [one for one in possibly_on(node, roles) if one.may_be_guest]
    quick, open_ = [], []
    for role in own:
        does = [power.get(vm_id, Power.UNKNOWN) for vm_id in ids.get(role.name.casefold(), {""})]
        if RUNNING_STATES.isdisjoint(does) and Power.UNKNOWN not in does:
            continue
        if role.priority is None or (role.priority < threshold and RUNNING_STATES.isdisjoint(does)):
            open_.append(role.shown)
        elif role.priority < threshold:
            quick.append(role.shown)
    told = (
        f"saved and moved, so down for a while: {join_names(quick, 6)}"
        if quick
        else f"not known for {join_names(open_, 6)}"
        if open_
        else f"MoveTypeThreshold {threshold}"
    )
    outcome = GateOutcome.of(None if open_ and not quick else not quick)
    unknowns = tuple(OpenQuestion(f"how {name} moves") for name in open_) if open_ and not quick else ()
    return Gate.of(says, outcome=outcome, measured=told, blocks=False, unknowns=unknowns)


def node_is_empty(
    node: str, state: NodeState | None, roles: Sequence[str] | Unknown, guests: Sequence[Guest] | Unknown
) -> Gate:
    """Nothing is left on the node, and nothing moves there: what the host itself has may be in no role of the cluster."""
    says = GateText(
        f"{node} is drained, with no guests on it or moving to it",
        f"{node} is not empty and drained",
        f"It is not known whether {node} is drained, with no guests on it or moving to it",
    )
    if state is None or isinstance(roles, Unknown) or isinstance(guests, Unknown):
        return _unknown(says, roles, guests, about="guests")
    count = max(len(guests), len(roles))
    there = f"{pluralize(count, 'guest')} on it"
    measured = f"{node} is drained, with {there}" if state.is_drained else f"{node} is not drained: {there}"
    return Gate.of(says, GateOutcome.of(state.is_drained and not count), measured)


def clustered_says(node: str) -> str:
    """What the gate of the guests outside of the cluster says: a restart looks for it, too."""
    return f"Every guest on {node} is clustered"


def guests_are_clustered(node: str, guests: Sequence[Guest] | Unknown, clustered: Sequence[Guest] | Unknown) -> Gate:
    """A guest outside of the cluster stays where it is: a warning, since a pause alone does it no harm."""
    says = GateText(
        clustered_says(node),
        f"Guests on {node} are not clustered and stay there",
        f"It is not known whether every guest on {node} is clustered",
    )
    if isinstance(guests, Unknown) or isinstance(clustered, Unknown):
        return _unknown(says, guests, clustered, blocks=False, about="guests")
    ids = {one.vm_id for one in clustered}
    names = tell_apart((one.vm_id, one.name) for one in guests)
    alone = [names[one.vm_id] for one in guests if one.vm_id not in ids]
    told = f"stays on {node}: {join_names(alone, 6)}" if alone else pluralize(len(guests), "guest")
    return Gate.of(says, outcome=GateOutcome.of(not alone), measured=told, blocks=False)


def no_cluster_aware_updating(cluster: str, updating: Mapping[str, bool | Unknown]) -> Gate:
    """A run drains and restarts nodes by itself. One whose provider is missing tells nothing: that only warns."""
    says = GateText(
        f"Cluster-Aware Updating is not running on {cluster}",
        f"Cluster-Aware Updating is running on {cluster}; let it finish first",
        f"It is not known whether Cluster-Aware Updating is running on {cluster}",
    )
    runs = [name for name, told in updating.items() if told is True]
    if runs:
        return Gate.of(
            says,
            outcome=GateOutcome.BLOCKED,
            measured=f"reported by {join_names(sorted(runs, key=str.casefold), 4)}",
        )
    silent = [told for told in updating.values() if isinstance(told, Unknown)]
    if silent or not updating:
        blocks = not updating or any(one.kind not in ("absent", "refused") for one in silent)
        return _unknown(says, *silent, blocks=blocks, about="Cluster-Aware Updating", answerable=False)
    return Gate.of(says, outcome=GateOutcome.PASSED, measured=f"{pluralize(len(updating), 'node')} asked")


def vmm_jobs_end(vmm_jobs: Mapping[str, int | Unknown | None]) -> Iterator[Gate]:
    """What a job of VMM's works on is not told, so it may have nothing to do with this cluster: a person has to see."""
    for server, jobs in vmm_jobs.items():
        yield replace(no_vmm_job(server, jobs), blocks=False)


def clustered_guests(
    guests: Sequence[Guest] | Unknown, resources: Sequence[Resource] | Unknown
) -> tuple[Guest, ...] | Unknown:
    """The guests that a role of the cluster holds, by VM id.

    Args:
        guests: of the node.
        resources: of virtual machines that the node owns. One that does not tell its machine could be any guest's.
    """
    if isinstance(guests, Unknown):
        return guests
    if isinstance(resources, Unknown):
        return resources
    ids = {one.vm_id for one in resources if one.vm_id}
    nameless = [one.shown for one in resources if not one.vm_id]
    if nameless and any(one.vm_id not in ids for one in guests):
        why = f"not known which virtual machine each of these is: {join_names(list(dict.fromkeys(nameless)), 4)}."
        return Unknown("the cluster", "not whole", why)
    return tuple(one for one in guests if one.vm_id in ids)


def owners_of_guests(
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
