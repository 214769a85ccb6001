"""Pausing and resuming nodes: roles leave one after another, and come back if they are told to.

Meaning of the numbers: the pages of MSCluster_Node, CLUSTER_NODE_DRAIN_STATUS and CLUSTER_NODE_RESUME_FAILBACK_TYPE [doc].
A role in locked mode does not move: event 1137 with 5960, the drain fails, the node stays paused with what is left on it
[doc: list of FailoverClustering events; field notes]. Another paused node is no reason to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.world import events, migration
from lab.world.model import Guest, Node
from lab.world.win32_errors import DRAIN_IN_PROGRESS, LOCKED_STATUS, NODE_DOWN, NODE_NOT_FOUND, NODE_NOT_PAUSED, failure

if TYPE_CHECKING:
    from lab.world.world import World

UP, DOWN, PAUSED = 0, 1, 2
NOT_INITIATED, IN_PROGRESS, COMPLETED, FAILED = 0, 1, 2, 3
PAUSE_ONLY, DRAIN, FORCE_DRAIN = 0, 1, 2
NO_FAILBACK, FAILBACK_NOW, FAILBACK_BY_POLICY = 0, 1, 2
BETWEEN = 0.3  # seconds between two roles


@dataclass(eq=False, slots=True)
class _Drain:
    """A drain under way. `tried`: the guests that had their turn, by VM id."""

    node: Node
    target: Node | None
    force: bool
    failed: bool = False
    tried: set[str] = field(default_factory=set)


def pause(world: World, node: Node, kind: int = PAUSE_ONLY, target: str = "") -> None:
    """Pause a node, and let its roles leave where the kind says so; it goes on over time.

    Raises:
        WmiFailure: the node is down or being drained, or there is no such target.
    """
    if node.state == DOWN:
        raise failure(NODE_DOWN)
    if node.draining is not None:
        raise failure(DRAIN_IN_PROGRESS)
    wanted = _named(node, target) if target else None
    node.state, node.drain, node.drain_target = PAUSED, NOT_INITIATED, ""
    if kind == PAUSE_ONLY:
        return
    drain = _Drain(node, wanted, force=kind == FORCE_DRAIN)
    node.drain, node.drain_target, node.draining = IN_PROGRESS, wanted.name if wanted else "", drain
    up = [other for other in node.cluster.nodes if other.state == UP]
    for number, volume in enumerate(volume for volume in node.cluster.shared_volumes if volume.owner is node):
        volume.owner = up[number % len(up)] if up else node
    world.after(BETWEEN, lambda: _next(world, drain))


def _named(node: Node, name: str) -> Node:
    for other in node.cluster.nodes:
        if other.name.casefold() == name.casefold() and other is not node:
            return other
    raise failure(NODE_NOT_FOUND)


def _next(world: World, drain: _Drain) -> None:
    """The turn of the next role; the drain is over when all that are there had theirs."""
    node = drain.node
    if node.draining is not drain:
        return  # the node was resumed
    left = [guest for guest in node.guests if guest.vm_id not in drain.tried]
    if not left:
        if any(guest.move for guest in node.guests):
            world.after(BETWEEN, lambda: _next(world, drain))  # somebody else moves them; wait how it ends
            return
        node.draining = None
        node.drain = FAILED if drain.failed or node.guests else COMPLETED
        return
    guest = next((guest for guest in left if guest.move is None), None)
    if guest is None:
        world.after(BETWEEN, lambda: _next(world, drain))
        return
    drain.tried.add(guest.vm_id)
    _leave(world, drain, guest)


def _leave(world: World, drain: _Drain, guest: Guest) -> None:
    def ended(error: int) -> None:
        if error:
            drain.failed = True
            world.log(drain.node, events.drain_failed(guest, world.now, error))
        else:
            guest.drained_from = drain.node
        world.after(BETWEEN, lambda: _next(world, drain))

    if guest.locked:
        world.log(drain.node, events.blocked_by_lock(guest, world.now))
        ended(LOCKED_STATUS)
        return
    found = migration.place(guest, drain.target)
    if isinstance(found, int) and drain.force:
        guest.state = "off" if migration.runs(guest) else guest.state  # workloads that cannot move are stopped [doc]
        world.machine(guest.name).trouble.refuse = True
        found = migration.place(guest, drain.target)
    if isinstance(found, int):
        ended(found)
        return
    live = guest.priority >= guest.node.cluster.move_type_threshold
    migration.start(world, guest, found, live=live, ended=ended)


def resume(world: World, node: Node, failback: int = NO_FAILBACK) -> None:
    """Resume a paused node; a drain under way ends, what is on its way arrives.

    Raises:
        WmiFailure: the node is not paused.
    """
    if node.state != PAUSED:
        raise failure(NODE_NOT_PAUSED)
    node.state, node.drain, node.drain_target, node.draining = UP, NOT_INITIATED, "", None
    drained = [guest for guest in node.cluster.guests if guest.drained_from is node]
    for guest in drained:
        guest.drained_from = None
    by_policy = failback == FAILBACK_BY_POLICY
    if failback != NO_FAILBACK:
        waiting = [guest for guest in drained if guest.fails_back or not by_policy]
        for guest in waiting:
            guest.queued = True
        _come_back(world, node, waiting)


def _come_back(world: World, node: Node, waiting: list[Guest]) -> None:
    """Bring the first of them back, then the others."""
    if not waiting:
        return
    guest, rest = waiting[0], waiting[1:]
    guest.queued = False

    def ended(error: int) -> None:
        if error:
            world.log(guest.node, events.move_pending(guest, world.now))
        world.after(BETWEEN, lambda: _come_back(world, node, rest))

    if guest.node is node or guest.move is not None:
        _come_back(world, node, rest)
        return
    found = LOCKED_STATUS if guest.locked else migration.place(guest, node)
    if isinstance(found, int):
        ended(found)
        return
    migration.start(world, guest, found, live=guest.priority >= guest.node.cluster.move_type_threshold, ended=ended)
