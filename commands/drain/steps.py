"""Draining a node and bringing it back, as steps. Shared by every plan that needs an empty node.

`MSCluster_Node.Pause(DrainType 1)` asks the cluster to move the roles away and returns at once; NodeDrainStatus says how
far that has come, and 3 that a role would not leave [doc]. Over WS-Management none of it was ever captured, so a step is
judged by the state alone. Questions go to the cluster, since a drained node may be about to restart; the acts go to the
node itself.
"""

from __future__ import annotations

from bot.api.actions import InvokeMethod
from bot.api.plan import Check, CompareToBefore, Expect, FlagPredicate, Step, exists, not_exists
from bot.api.queries import Predicate, Wql, make_params
from commands.sources.cluster import GUEST_GROUP, LOCKED, NAMESPACE
from commands.sources.nodes import COLUMNS, ClusterNodeState, Drain, NodeStatus, node_query

DRAIN, RESUME = "drain", "resume"
DRAIN_MINUTES, RETURN_MINUTES = 30, 20
AT_ONCE = 1  # FailbackType [doc]
_DRAIN_ROLES = 1  # DrainType [doc]; 2, force drain, would stop guests that cannot move
_RESUMED = 120
_IN_BACKUP = 1
_QUEUED = 4  # CLUSGRP_STATUS_WAITING_IN_QUEUE_FOR_MOVE [doc]
_ONLINE, _OFFLINE, _FAILED, _PARTLY_ONLINE, _PENDING = 0, 1, 2, 3, 4  # MSCluster_ResourceGroup.State [doc]
NOT_ONLINE = (_OFFLINE, _FAILED)  # of a role that a drain may leave where it is
_SETTLES = 60  # seconds from the end of a drain until the cluster's list of roles says so


def drain_step(cluster: str, node: str, *, earlier: int | None, flags: bool = False, up: tuple[str, ...] = ()) -> Step:
    """Pause a node and wait until its guests have left, and its other roles.

    The before-image is which guests were there. A drain changes the node first, and the guests one by one: after a crash it may
    be tried again only where the node is up, says of no drain that it is under way, and has no role that moves. One that is,
    is waited for.

    Args:
        cluster: the cluster's name.
        node: the node's name.
        earlier: its NodeDrainStatus before, None where it was not told. It is that of the last drain, and no document
            says when the next one takes it away: an earlier failure ends no wait, an earlier success is no success. Where
            it may be such a success, each role that is left has to be offline or failed; else none may be on its way.
        flags: whether every node tells if it is isolated or in quarantine; a Windows before 2016 refuses the question.
        up: the other nodes that were up when the plan was made: by these quorum and room for its guests were judged.
    """
    state = node_query(cluster, node)
    wait = DRAIN_MINUTES * 60
    failed = Expect((Predicate("State", "=", ClusterNodeState.PAUSED), Predicate("NodeDrainStatus", "=", Drain.FAILED)))
    can_tell_failure = earlier in (Drain.NOT_BEGUN, Drain.UNDER_WAY, Drain.DONE)
    can_tell_success = earlier in (Drain.NOT_BEGUN, Drain.UNDER_WAY, Drain.FAILED)
    settles = _SETTLES if can_tell_success else wait
    others = _no_role_moves if can_tell_success else _no_role_is_online
    return Step(
        key=DRAIN,
        description=f"Pause {node} and drain it",
        act=_method(node, "Pause", DrainType=_DRAIN_ROLES),
        guard=(
            _is_up(cluster, node),
            others_stay(cluster, node, up),
            *((none_is_isolated(cluster),) if flags else ()),
            *gate_no_locks(cluster, node),
        ),
        done=(
            exists(
                state,
                Predicate("State", "=", ClusterNodeState.PAUSED),
                Predicate("NodeDrainStatus", "=", Drain.DONE),
                within=wait,
                give_up=failed if can_tell_failure else None,
            ).described_as(
                f"{node} is paused and drained", never=f"the drain of {node} has failed" if can_tell_failure else ""
            ),
            _has_no_guest(cluster, node, within=settles),
            others(cluster, node, within=settles),
        ),
        before=roles_query(cluster, node),
        undo=_method(node, "Resume", FailbackType=AT_ONCE),
        undone=(_is_up(cluster, node, within=_RESUMED),),
        repeatable=True,
        undo_says=f"Resume {node}, its guests come back",
        untouched=(_is_not_draining(cluster, node), _no_role_moves(cluster, node)),
        moves=_may_leave(cluster, node),
    )


def resume_step(
    cluster: str, node: str, failback: int = AT_ONCE, *, notes_guests: bool = False, moves: bool = False
) -> Step:
    """Let a paused node take roles again. It has no undo: pausing it again would not take the guests away.

    Args:
        cluster: the cluster's name.
        node: the node's name.
        failback: the FailbackType [doc].
        notes_guests: whether the before-image is which guests the node has, in place of its state.
        moves: whether the plan's limit is about what it brings back: not where a step before it has moved that away, within
            that limit.
    """
    how = {0: "its guests stay where they are", 1: "its guests come back", 2: "its guests come back as their roles say"}
    state = node_query(cluster, node)
    return Step(
        key=RESUME,
        description=f"Resume {node}: {how[failback]}",
        act=_method(node, "Resume", FailbackType=failback),
        guard=(_is_paused(cluster, node),),
        done=(_is_up(cluster, node, within=_RESUMED),),
        before=roles_query(cluster, node) if notes_guests else state,
        repeatable=True,
        untouched=(_is_paused(cluster, node),) if notes_guests else (),
        moves=_may_come_back(cluster, node) if moves else None,
    )


def failback_step(cluster: str, node: str) -> Step:
    """Wait until the guests are back that were there before the drain."""
    return Step(
        key="return",
        description=f"Wait until the guests on {node} are back",
        act=None,
        done=(
            Check(
                roles_query(cluster, node), (CompareToBefore(DRAIN, ("Name",)),), within=RETURN_MINUTES * 60
            ).described_as(f"{node} has the same guests as before the drain"),
        ),
    )


def arrival_step(cluster: str, node: str) -> Step:
    """Wait until no guest of the cluster moves any more, and note which ones the node has then.

    The cluster does not tell which guests it brings back. While a role waits for its move it has a flag [doc: CLUSGRP_STATUS],
    while it moves its state is Pending, live or not [src: os-win].
    """
    guests = Wql(
        cluster,
        NAMESPACE,
        "MSCluster_ResourceGroup",
        ("Name", "State", "StatusInformation"),
        (Predicate("GroupType", "=", GUEST_GROUP),),
    )
    wait = RETURN_MINUTES * 60
    return Step(
        key="arrive",
        description=f"Wait until no guest is moving, then record the guests on {node}",
        act=None,
        done=(
            not_exists(guests, FlagPredicate("StatusInformation", _QUEUED), within=wait).described_as(
                f"no guest of {cluster} is queued to move"
            ),
            not_exists(guests, Predicate("State", "=", _PENDING), within=wait).described_as(
                f"no guest of {cluster} is being moved"
            ),
        ),
        before=roles_query(cluster, node),
    )


def is_drained(cluster: str, node: str) -> tuple[Check, ...]:
    """The node is paused, and no guest is left there."""
    return _is_paused(cluster, node), _has_no_guest(cluster, node)


def gate_no_locks(cluster: str, node: str) -> tuple[Check, ...]:
    """No role and no resource of the node is in locked mode, and no shared volume in backup."""
    owned = (Predicate("OwnerNode", "=", node),)
    groups = Wql(cluster, NAMESPACE, "MSCluster_ResourceGroup", ("Name", "OwnerNode", "StatusInformation"), owned)
    resources = Wql(cluster, NAMESPACE, "MSCluster_Resource", ("Name", "OwnerNode", "StatusInformation"), owned)
    volumes = Wql(cluster, NAMESPACE, "MSCluster_ClusterSharedVolume", ("Name", "BackupState"))
    return (
        none_locked(groups).described_as(f"no guest on {node} is locked"),
        none_locked(resources).described_as(f"no resource on {node} is locked"),
        not_exists(volumes, Predicate("BackupState", "=", _IN_BACKUP)).described_as(
            f"no shared volume of {cluster} is in backup"
        ),
    )


def none_locked(question: Wql) -> Check:
    """Every row tells its flags, and the lock is in none."""
    untold = Expect((Predicate("StatusInformation", "is null"),), at_least=0, at_most=0)
    return Check(question, (Expect((FlagPredicate("StatusInformation", LOCKED),), at_least=0, at_most=0), untold))


def others_stay(cluster: str, node: str, up: tuple[str, ...] = ()) -> Check:
    """Every other node is up or down: none is paused, joining, or in a state that nobody lists.

    Those of `up` are up still: with one of them gone meanwhile, the gates could say otherwise of quorum and memory.
    """
    others = Wql(cluster, NAMESPACE, "MSCluster_Node", COLUMNS, (Predicate("Name", "!=", node),))
    stays = Predicate("State", "in", (ClusterNodeState.UP, ClusterNodeState.DOWN))
    is_up = Predicate("State", "=", ClusterNodeState.UP)
    are_up = (Expect((Predicate("Name", "in", up), is_up), at_least=len(up)),) if up else ()
    named = f", and {', '.join(up)} {'is' if len(up) == 1 else 'are'} up" if up else ""
    return Check(others, (Expect(each=(stays,), at_least=0), *are_up)).described_as(
        f"no other node of {cluster} is paused or joining{named}"
    )


def none_is_isolated(cluster: str) -> Check:
    """Every node tells its flags, and is neither isolated nor in quarantine. 2016 and later."""
    nodes = Wql(cluster, NAMESPACE, "MSCluster_Node", ("Name", "State", "StatusInformation"))
    calm = FlagPredicate("StatusInformation", int(NodeStatus.ISOLATED | NodeStatus.QUARANTINED), are_set=False)
    return Check(nodes, (Expect(each=(calm,), at_least=0),)).described_as(
        f"no node of {cluster} is isolated or in quarantine"
    )


def _is_up(cluster: str, node: str, within: int = 0) -> Check:
    return exists(node_query(cluster, node), Predicate("State", "=", ClusterNodeState.UP), within=within).described_as(
        f"{node} is up"
    )


def _is_not_draining(cluster: str, node: str) -> Check:
    """The node is up and tells that no drain is under way."""
    no_drain = Expect((Predicate("NodeDrainStatus", "=", Drain.UNDER_WAY),), at_least=0, at_most=0)
    is_up = Expect((Predicate("State", "=", ClusterNodeState.UP),))
    return Check(node_query(cluster, node), (is_up, no_drain)).described_as(f"{node} is up and not being drained")


def _is_paused(cluster: str, node: str) -> Check:
    return exists(node_query(cluster, node), Predicate("State", "=", ClusterNodeState.PAUSED)).described_as(
        f"{node} is paused"
    )


def _has_no_guest(cluster: str, node: str, within: int = 0) -> Check:
    return not_exists(roles_query(cluster, node), within=within).described_as(f"no guest is left on {node}")


def _no_role_moves(cluster: str, node: str, within: int = 0) -> Check:
    """No role of the node, of whatever kind, is moving or queued to move: each says so itself."""
    states = (_ONLINE, _OFFLINE, _FAILED, _PARTLY_ONLINE)
    return _each_role_is(cluster, node, states, within).described_as(f"no role on {node} is moving")


def _no_role_is_online(cluster: str, node: str, within: int) -> Check:
    """The same, and none is left that a drain may not have come to yet."""
    check = _each_role_is(cluster, node, NOT_ONLINE, within)
    return check.described_as(f"no role on {node} is online or moving")


def _each_role_is(cluster: str, node: str, states: tuple[int, ...], within: int) -> Check:
    question = Wql(
        cluster,
        NAMESPACE,
        "MSCluster_ResourceGroup",
        ("Name", "OwnerNode", "State", "StatusInformation"),
        (Predicate("OwnerNode", "=", node),),
    )
    stays = (Predicate("State", "in", states), FlagPredicate("StatusInformation", _QUEUED, are_set=False))
    return Check(question, (Expect(each=stays, at_least=0),), within=within)


def _may_leave(cluster: str, node: str) -> Check:
    """The roles that the node owns, or may own, of whatever kind: those that a plan counts."""
    own = Expect((Predicate("OwnerNode", "in", (node, "")),), at_least=0)
    return Check(_every_role(cluster), (own,)).described_as(f"are on {node}")


def _may_come_back(cluster: str, node: str) -> Check:
    """The roles that another node owns, or may own. The cluster tells of none that it has left this one in its drain."""
    away = Expect((Predicate("OwnerNode", "!=", node),), at_least=0)
    return Check(_every_role(cluster), (away,)).described_as(f"are on other nodes than {node}")


def _every_role(cluster: str) -> Wql:
    return Wql(cluster, NAMESPACE, "MSCluster_ResourceGroup", ("Name", "OwnerNode"))


def roles_query(cluster: str, node: str) -> Wql:
    """The question: which virtual machines' roles does the node own?"""
    own = (Predicate("OwnerNode", "=", node), Predicate("GroupType", "=", GUEST_GROUP))
    return Wql(cluster, NAMESPACE, "MSCluster_ResourceGroup", ("Name", "OwnerNode"), own)


def _method(node: str, method: str, **params: int) -> InvokeMethod:
    return InvokeMethod(node, NAMESPACE, make_params(Name=node), "MSCluster_Node", method, make_params(**params))
