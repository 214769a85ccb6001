"""The methods of root/MSCluster that the practice world carries out.

Signatures and numbers: the archived ClusWmi pages [doc]. They return nothing; what goes wrong is a failure with a Win32
error of the cluster [inf], and what comes of them is read from the properties afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.windows.machine_protocol import Wmi, WmiFailure
from lab.world import drain, events, migration
from lab.world.method_call import INVALID_PARAMETER, Call
from lab.world.model import Cluster, Guest, Node
from lab.world.roles import guest_resources, roles
from lab.world.win32_errors import CANCELLED, GROUP_MOVING, LOCKED_STATUS, NODE_NOT_FOUND, failure

NOT_FOUND, NOT_SUPPORTED = 0x80041002, 0x8004100C
Out = Mapping[str, Wmi]


def _cluster(call: Call) -> Cluster:
    assert isinstance(call.windows, Node)
    return call.windows.cluster


def _node(call: Call, name: str) -> Node | None:
    return next((node for node in _cluster(call).nodes if node.name.casefold() == name.casefold()), None)


def _instance(call: Call) -> Node:
    node = _node(call, call.key)
    if node is None:
        raise WmiFailure(NOT_FOUND, "Not found ")
    return node


def pause(call: Call) -> Out:
    """MSCluster_Node.Pause(DrainType, TargetNode). The parameters came with draining, in 2012 [inf]."""
    call.takes(*(("DrainType", "TargetNode") if call.windows.release.at_least("2012") else ()))
    kind = _one_of(call, "DrainType", (drain.PAUSE_ONLY, drain.DRAIN, drain.FORCE_DRAIN))
    drain.pause(call.world, _instance(call), kind, call.text("TargetNode"))
    return {}


def resume(call: Call) -> Out:
    """MSCluster_Node.Resume(FailbackType)."""
    call.takes(*(("FailbackType",) if call.windows.release.at_least("2012") else ()))
    failback = _one_of(call, "FailbackType", (drain.NO_FAILBACK, drain.FAILBACK_NOW, drain.FAILBACK_BY_POLICY))
    drain.resume(call.world, _instance(call), failback)
    return {}


def _one_of(call: Call, name: str, known: tuple[int, ...]) -> int:
    value = call.number(name)
    if value not in known:
        raise WmiFailure(INVALID_PARAMETER, "Invalid parameter ")
    return value


def would_lose_quorum(call: Call) -> Out:
    """Whether the cluster loses quorum without that node: nodes and a disk witness, one vote each; paused ones vote."""
    leaving = _instance(call)
    up = [node for node in leaving.cluster.nodes if node.state != drain.DOWN and node is not leaving]
    votes = len(leaving.cluster.nodes) + 1
    return {"ReturnValue": len(up) + 1 <= votes // 2}


def move_to_new_node(call: Call) -> Out:
    """MSCluster_ResourceGroup.MoveToNewNode(NodeName, TimeOut): a quick migration of a guest that runs [inf].

    Windows waits for up to TimeOut seconds; the practice world answers at once, and the move goes on.
    """
    call.takes("NodeName", "TimeOut")
    call.number("TimeOut")
    guest, target = _guest(call), _node(call, call.text("NodeName"))
    if target is None and call.text("NodeName"):
        raise failure(NODE_NOT_FOUND)
    if guest.locked:
        call.world.log(guest.node, events.blocked_by_lock(guest, call.world.now))
        raise failure(LOCKED_STATUS)
    if guest.move is not None:
        raise failure(GROUP_MOVING)
    if target is guest.node:
        return {}
    found = migration.place(guest, target)
    if isinstance(found, int):
        raise failure(found)
    guest.drained_from = None  # whoever moves a role by hand decides where it belongs
    migration.start(call.world, guest, found, live=False, ended=lambda _error: None)
    return {}


def cancel_operation(call: Call) -> Out:
    """MSCluster_ResourceGroup.CancelOperation(Flags): ends a move under way; the guest stays where it was."""
    call.takes("Flags")
    migration.stop(call.world, _guest(call), CANCELLED)
    return {}


def _guest(call: Call) -> Guest:
    """The guest of a group. Of the other groups the practice world moves none."""
    for guest in _cluster(call).guests:
        if guest.group.casefold() == call.key.casefold():
            return guest
    if any(group.name.casefold() == call.key.casefold() for group, _ in roles(_cluster(call))):
        raise WmiFailure(NOT_SUPPORTED, "Not supported ")
    raise WmiFailure(NOT_FOUND, "Not found ")


def possible_owners(call: Call) -> Out:
    """MSCluster_Resource.GetPossibleOwners(out NodeNames[])."""
    nodes = [node.name for node in _cluster(call).nodes]
    for guest in _cluster(call).guests:
        if call.key.casefold() in {resource.name.casefold() for resource in guest_resources(guest)[1:]}:
            nodes = [name for name in nodes if guest.possible_owners is None or name in guest.possible_owners]
    return {"NodeNames": nodes}
