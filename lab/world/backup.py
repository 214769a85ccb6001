"""Host backups as they bear on a node: writer, locks, events. The backup product itself is elsewhere.

The chain is the one field notes tell: one guest without space fails its snapshot, so no guest of the host is backed up,
the Hyper-V writer stays at [5] with a retryable error, the guests stay locked, the job waits and tries again. With space
the next try succeeds and all of it goes away. Killing the job makes the writer's error "unexpected" until vmms restarts.
"""

from __future__ import annotations

from lab.world import events
from lab.world.model import GIB, BackupJob, Guest, Node
from lab.world.world import World

HYPER_V_WRITER = "Microsoft Hyper-V VSS Writer"
STABLE, WAITING_FOR_BACKUP_COMPLETE = 1, 5
ENOUGH = GIB  # free bytes that a guest's larger volumes need for a snapshot, by the field notes
RETRY_SECONDS, SNAPSHOT_SECONDS, RELEASE_SECONDS, IDLE_SECONDS = 4, 5, 3, 180


def members(node: Node) -> list[Guest]:
    """The guests a host backup freezes: those that run."""
    return [guest for guest in node.guests if guest.state == "running"]


def without_space(node: Node) -> list[Guest]:
    """Running Windows guests that have too little free on a volume to make a snapshot."""
    return [
        guest
        for guest in members(node)
        if guest.release.family == "windows"
        and any(volume.kind == "basic" and volume.free < ENOUGH for volume in guest.volumes)
    ]


def retry_soon(world: World, job: BackupJob) -> None:
    """The product tries its pending job again within seconds."""
    world.after(RETRY_SECONDS, lambda: _begin(world, job))


def _begin(world: World, job: BackupJob) -> None:
    if job.state != "pending":
        return
    job.state = "running"
    _mark(job.node, running=True)
    for guest in members(job.node):
        guest.locked = True
    writer = job.node.writer(HYPER_V_WRITER)
    writer.state, writer.error = WAITING_FOR_BACKUP_COMPLETE, "none"
    world.after(SNAPSHOT_SECONDS, lambda: _end(world, job))


def _end(world: World, job: BackupJob) -> None:
    if job.state != "running":
        return
    _mark(job.node, running=False)
    full = without_space(job.node)
    if full:
        job.state = "pending"
        fail(world, job.node, full)
        return
    job.state, job.reason = "completed", ""
    for guest in members(job.node):
        guest.last_backup = world.now
    release(job.node)
    writer = job.node.writer(HYPER_V_WRITER)
    writer.state, writer.error = STABLE, "none"
    world.after(IDLE_SECONDS, lambda: world.log(job.node, events.shadow_service_idle(world.now)))


def fail(world: World, node: Node, full: list[Guest]) -> None:
    """A try that failed: 10102 for each full guest, the writer waits, every member stays locked."""
    for guest in full:
        world.log(node, events.snapshot_failed(guest, world.now))
    for guest in members(node):
        guest.locked = True
    writer = node.writer(HYPER_V_WRITER)
    writer.state, writer.error = WAITING_FOR_BACKUP_COMPLETE, "retryable"


def kill(world: World, job: BackupJob) -> None:
    """A person ends the job: locks go within seconds, the writer stays broken and says something worse."""
    job.state = "killed"
    _mark(job.node, running=False)
    writer = job.node.writer(HYPER_V_WRITER)
    writer.error = "unexpected"
    world.log(job.node, events.callback_refused(writer, world.now))
    world.after(RELEASE_SECONDS, lambda: release(job.node))


def release(node: Node) -> None:
    """Unlock the guests and take the mounted snapshots away."""
    for guest in node.guests:
        guest.locked = False
    node.shadows.clear()


def _mark(node: Node, *, running: bool) -> None:
    for guest in members(node):
        guest.backing_up = running
    node.cluster.backup_in_progress = running
    used = {guest.shared_volume.name for guest in members(node)}
    for volume in node.cluster.shared_volumes:
        if volume.name in used:
            volume.backing_up = running
