"""Guests that move from node to node: live, quick, or offline when they do not run.

Placement looks at possible owners and at memory, as the cluster's own does (5957 when no node has enough) [doc: system
error codes]. The practice world hurries: a live migration takes a second or two instead of minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from lab.world import events
from lab.world.model import Guest, Move, Node
from lab.world.roles import LIVE_SECONDS, migration_phase
from lab.world.win32_errors import (
    BUSY,
    CANCELLED,
    HOST_NODE_NOT_AVAILABLE,
    LOCKED_STATUS,
    NODE_DOWN,
    NOT_ENOUGH_ON_DESTINATION,
    SHARING_PAUSED,
)

if TYPE_CHECKING:
    from lab.world.world import World

SECONDS = {"live": LIVE_SECONDS, "quick": 2.0, "offline": 0.2}
TOO_LATE = 60  # per cent of a live migration, from which on a cancel does not take
_STATES = {1: NODE_DOWN, 2: SHARING_PAUSED}


def _as_reason(error: int) -> int:
    """MigrationFailureReason: 0x800700AA where something of it is busy, else 0x80004005 [doc]; other HRESULTs are seen [src]."""
    if error > 0xFFFF:  # noqa: PLR2004 - an HRESULT
        return error
    return 0x80070000 | BUSY if error == LOCKED_STATUS else 0x80004005


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
    kind: Literal["live", "quick", "offline"] = "offline" if not runs(guest) else "live" if live else "quick"
    fails = guest.migration_errors.pop(0) if kind == "live" and guest.migration_errors else 0
    move = Move(target, kind, ended, world.now, fails)
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
    error = (
        move.error or LOCKED_STATUS
        if move.error or guest.locked
        else HOST_NODE_NOT_AVAILABLE
        if stuck
        else refused_by(guest, move.target)
    )
    if not error:
        guest.node = move.target
        if move.kind == "live":
            world.log(source, events.migrated(guest, world.now))
            _live_on(world, guest)
    elif move.kind == "live":
        world.log(source, events.migration_failed(guest, world.now, error))
    stop(world, guest, error)


def _live_on(world: World, guest: Guest) -> None:
    """It goes on running on the other node; or it stops there, and starts again."""
    code = guest.stops_on_arrival.pop(0) if guest.stops_on_arrival else 0
    if not code:
        return
    world.log(guest.node, events.guest_stopped(guest, world.now, code))
    guest.booted = world.now
    world.log(guest, events.unclean_start(world.now, code))
    world.log(guest, events.unexpected_shutdown(world.now))
    world.log(guest, events.bugcheck(code, world.now))


def cancel(world: World, guest: Guest) -> bool:
    """Cancel a live migration: False where none is in its setup or its data transfer [doc]; late in it, it goes on [cases]."""
    move = guest.move
    if move is None or move.kind != "live":
        return False
    phase, progress = migration_phase(guest, world.now)
    if phase > 2:  # noqa: PLR2004 - the move itself
        return False
    if progress < TOO_LATE:
        stop(world, guest, CANCELLED)
    return True


def stop(world: World, guest: Guest, error: int) -> None:
    """End a guest's move, wherever it is by now; one that was saved for it runs again."""
    move = guest.move
    if move is None:
        return
    guest.move = None
    if move.kind == "live":
        guest.migration_memory = (4, 0) if error == CANCELLED else (5, _as_reason(error)) if error else (0, 0)
    if move.kind == "quick":
        guest.state = "running"
        machine = world.machine(guest.name)
        machine.trouble.refuse = not machine.answers
    move.ended(error)
