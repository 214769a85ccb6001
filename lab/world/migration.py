"""Guests that move from node to node: live, quick, or offline when they do not run.

Placement looks at possible owners and at memory, as the cluster's own does (5957 when no node has enough) [doc: system
error codes]. The practice world hurries: a live migration takes a second or two instead of minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.world import events
from lab.world.model import Guest, Move, Node
from lab.world.win32_errors import (
    HOST_NODE_NOT_AVAILABLE,
    LOCKED_STATUS,
    NODE_DOWN,
    NOT_ENOUGH_ON_DESTINATION,
    SHARING_PAUSED,
)

if TYPE_CHECKING:
    from lab.world.world import World

SECONDS = {"live": 1.5, "quick": 2.0, "offline": 0.2}
_STATES = {1: NODE_DOWN, 2: SHARING_PAUSED}


def runs(guest: Guest) -> bool:
    """Whether it takes memory on its node."""
    return guest.state in {"running", "paused"}


def refused_by(guest: Guest, node: Node) -> int:
    """Why this node cannot take the guest, as a Win32 error; 0 when it can. Memory apart."""
    if node.state:
        return _STATES.get(node.state, HOST_NODE_NOT_AVAILABLE)
    allowed = guest.possible_owners is None or node.name in guest.possible_owners
    return 0 if allowed and node.service("vmms").state == "Running" else HOST_NODE_NOT_AVAILABLE


def place(guest: Guest, wanted: Node | None = None) -> Node | int:
    """The node that takes the guest: the wanted one, else the one with the most memory left; or why there is none."""
    nodes = [wanted] if wanted else [node for node in guest.node.cluster.nodes if node is not guest.node]
    able = [node for node in nodes if not refused_by(guest, node)]
    roomy = [node for node in able if not runs(guest) or node.free_memory >= guest.memory]
    if roomy:
        return max(roomy, key=lambda node: node.free_memory)
    if able:
        return NOT_ENOUGH_ON_DESTINATION
    return refused_by(guest, wanted) if wanted else HOST_NODE_NOT_AVAILABLE


def start(world: World, guest: Guest, target: Node, *, live: bool, ended: Callable[[int], None]) -> None:
    """Begin to move a guest that does not move yet; `ended` is called with 0 or a Win32 error."""
    move = Move(target, "offline" if not runs(guest) else "live" if live else "quick", ended)
    guest.move = move
    if move.kind == "quick":
        guest.state = "saved"
        world.machine(guest.name).trouble.refuse = True
    world.after(SECONDS[move.kind], lambda: _arrive(world, guest, move))


def _arrive(world: World, guest: Guest, move: Move) -> None:
    if guest.move is not move:
        return  # it was cancelled
    source = guest.node
    stuck = move.kind != "offline" and source.service("vmms").state != "Running"
    error = LOCKED_STATUS if guest.locked else HOST_NODE_NOT_AVAILABLE if stuck else refused_by(guest, move.target)
    if not error:
        guest.node = move.target
        if move.kind == "live":
            world.log(source, events.migrated(guest, world.now))
    stop(world, guest, error)


def stop(world: World, guest: Guest, error: int) -> None:
    """End a guest's move, wherever it is by now; one that was saved for it runs again."""
    move = guest.move
    if move is None:
        return
    guest.move = None
    if move.kind == "quick":
        guest.state = "running"
        machine = world.machine(guest.name)
        machine.trouble.refuse = not machine.answers
    move.ended(error)
