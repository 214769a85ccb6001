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
from lab.world.win32_errors import (
    BUSY,
    CANCELLED,
    GROUP_MOVING,
    INVALID_FUNCTION,
    INVALID_STATE,
    LOCKED_STATUS,
    NODE_NOT_FOUND,
    failure,
)
from lab.world.win32_errors import INVALID_PARAMETER as WRONG_PARAMETER

NOT_FOUND, NOT_SUPPORTED, GENERAL_FAILURE = 0x80041002, 0x8004100C, 0x80041001
START_MIGRATION, CANCEL_MIGRATION = 0x01600004, 0x01600008  # CLUSCTL_RESOURCE_VM_START_MIGRATION, …_CANCEL_… [doc]
_SAVE, _LIVE = 1, 4
_MOVE_FLAGS = 1 | 2 | 4 | 8
_NAME_SYNTAX, _DWORD_SYNTAX = b"\x03\x00\x04\x00", b"\x02\x00\x01\x00"  # CLUSPROP_SYNTAX_NAME, …_LIST_VALUE_DWORD [doc]
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


def execute_resource_control(call: Call) -> Out:
    """MSCluster_Resource.ExecuteResourceControl(ControlCode, InputBuffer, out OutputBuffer, out OutputBufferSize).

    CLUSCTL_RESOURCE_VM_START_MIGRATION takes the node's name in UTF-16 with a zero at its end, and answers 5023 where the
    machine does not run [doc]; CLUSCTL_RESOURCE_VM_CANCEL_MIGRATION takes nothing [doc]. Both start work that goes on.
    """
    call.takes("ControlCode", "InputBuffer")
    code, guest = call.number("ControlCode"), _machine(call)
    if guest is None or not guest.node.cluster.starts_migrations or code not in (START_MIGRATION, CANCEL_MIGRATION):
        raise failure(INVALID_FUNCTION)
    if code == CANCEL_MIGRATION:
        if not migration.cancel(call.world, guest):
            raise failure(INVALID_STATE)
    else:
        _start_migration(call, guest, _text(call.octets("InputBuffer")))
    return {"OutputBuffer": None, "OutputBufferSize": 0}


def _start_migration(call: Call, guest: Guest, name: str) -> None:
    target = _node(call, name)
    if target is None:
        raise failure(NODE_NOT_FOUND)
    if guest.locked:
        call.world.log(guest.node, events.blocked_by_lock(guest, call.world.now))
        raise failure(LOCKED_STATUS)
    if guest.state != "running":
        raise failure(INVALID_STATE)
    if guest.move is not None:
        raise failure(BUSY)
    if target is guest.node:
        raise failure(WRONG_PARAMETER)
    _go_live(call, guest, target)


def _go_live(call: Call, guest: Guest, target: Node) -> None:
    """It begins; what speaks against the other node is found on the way, and ends it [inf]."""
    found = migration.place(guest, target)
    guest.drained_from = None
    if isinstance(found, int):
        guest.migration_errors.insert(0, 0x80004005)
    migration.start(call.world, guest, target, live=True, ended=lambda _error: None)


def _text(octets: bytes) -> str:
    """A text in UTF-16 that ends with a zero."""
    try:
        text = octets.decode("utf-16-le")
    except UnicodeDecodeError:
        raise failure(WRONG_PARAMETER) from None
    if not text.endswith("\0") or "\0" in text[:-1]:
        raise failure(WRONG_PARAMETER)
    return text[:-1]


def _machine(call: Call) -> Guest | None:
    """The guest of a machine's resource; None for another resource."""
    for guest in _cluster(call).guests:
        if guest_resources(guest)[1].name.casefold() == call.key.casefold():
            return guest
    return None


def move_to_new_node_params(call: Call) -> Out:
    """MSCluster_ResourceGroup.MoveToNewNodeParams(NodeName, Parameters, Flags), 2012 and later.

    Parameters is a property list (value list of clusapi [doc]): for the resource types "Virtual Machine" and "Virtual Machine
    Configuration" a DWORD each, 4 live, 1 save, 0 turn off, 2 shut down, 3 forced [doc: MoveClusterGroupEx]. The move goes on
    when the method has returned, and on 2016 and later it fails with a general error all the same [src: os-win].
    """
    call.takes("NodeName", "Parameters", "Flags")
    guest, target = _guest(call), _node(call, call.text("NodeName"))
    flags, told = call.number("Flags"), call.octets("Parameters")
    if target is None:
        raise failure(NODE_NOT_FOUND)
    if flags & ~_MOVE_FLAGS:
        raise failure(WRONG_PARAMETER)
    if guest.locked and not flags & 1:
        call.world.log(guest.node, events.blocked_by_lock(guest, call.world.now))
        raise failure(LOCKED_STATUS)
    if guest.move is not None or guest.pending:
        raise failure(GROUP_MOVING)
    kinds = _move_types(told)
    if kinds is None:  # what is no list of properties moves on 2012 R2, and hangs the role from 2016 on [src: os-win]
        if guest.node.release.at_least("2016"):
            guest.pending = True
            return {}
        kinds = {"virtual machine": told[0] if told else -1}
    if target is not guest.node:
        _move_as(call, guest, target, kinds.get("virtual machine", -1))
    if guest.node.release.at_least("2016"):
        raise WmiFailure(GENERAL_FAILURE, "Generic failure ")
    return {}


def _move_as(call: Call, guest: Guest, target: Node, kind: int) -> None:
    if kind == _LIVE and guest.state == "running":
        _go_live(call, guest, target)
        return
    if kind not in (_SAVE, -1) and guest.state == "running":
        raise failure(WRONG_PARAMETER)  # the practice world turns no guest off for a move
    found = migration.place(guest, target)
    if isinstance(found, int):
        raise failure(found)
    guest.drained_from = None
    live = kind == -1 and guest.move_type == _LIVE
    migration.start(call.world, guest, found, live=live, ended=lambda _error: None)


def _move_types(told: bytes) -> dict[str, int] | None:
    """Resource type in lower case -> DWORD; None for what is no property list. Layout: "Property Lists" of clusapi [doc]."""
    if len(told) < 4:  # noqa: PLR2004 - the count
        return None
    found: dict[str, int] = {}
    count, rest = int.from_bytes(told[:4], "little"), told[4:]
    for _ in range(count):
        if rest[:4] != _NAME_SYNTAX:
            return None
        size = int.from_bytes(rest[4:8], "little")
        name, rest = _text(rest[8 : 8 + size]), rest[8 + size + (-size) % 4 :]
        if rest[:8] != _DWORD_SYNTAX + (4).to_bytes(4, "little") or rest[12:16] != bytes(4):
            return None
        found[name.casefold()], rest = int.from_bytes(rest[8:12], "little"), rest[16:]
    return found if not rest else None


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
