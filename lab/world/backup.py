"""Host backups as they bear on a node: writer, locks, events. The backup product itself is elsewhere.

The chain is the one field notes tell: one guest without space fails its snapshot, so no guest of the host is backed up,
the Hyper-V writer stays at [5] with a retryable error, the guests stay locked, the job waits. It tries again by itself
when its restart interval is over (the product's setting, in minutes [doc: Job Restarts]), or when somebody resumes it;
with space that try succeeds and all of it goes away. Killing the job makes the writer's error "unexpected" until vmms restarts,
and until then no job gets on.
"""

from __future__ import annotations

from lab.world import events
from lab.world.model import GIB, BackupJob, Guest, JobState, Node
from lab.world.services import HYPER_V_WRITER
from lab.world.world import World

STABLE, WAITING_FOR_BACKUP_COMPLETE = 1, 5
ENOUGH = GIB  # free bytes that a guest's larger volumes need for a snapshot, by the field notes
SNAPSHOT_SECONDS, RELEASE_SECONDS, IDLE_SECONDS = 5, 3, 180
RESTART_SECONDS = 30 * 60  # after its last try a pending job tries again by itself
WRITERS_BAD = "[91:9] Volume Shadow Copy Service (VSS) error. VSS service or writers may be in a bad state."


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


def begin(world: World, node: Node) -> BackupJob:
    """Start a new job for a node, under the next number."""
    job = BackupJob(max(world.jobs, default=48_000) + 1, node, started=world.now, changed=world.now)
    world.jobs[job.id] = job
    _begin(world, job)
    return job


def resume(world: World, job: BackupJob) -> bool:
    """A person resumes a job that waits; False when it does not."""
    if job.state not in {"pending", "suspended"}:
        return False
    job.state = "pending"
    _begin(world, job)
    return True


def suspend(world: World, job: BackupJob) -> bool:
    """A person suspends a job; its guests stay locked, and it tries no more by itself. False when it is over."""
    if job.state not in {"pending", "running"}:
        return False
    _mark(job.node, running=False)
    _turn(world, job, "suspended")
    return True


def _turn(world: World, job: BackupJob, state: JobState, reason: str = "") -> None:
    job.state, job.reason, job.changed = state, reason, world.now


def _can_write(job: BackupJob) -> bool:
    """Whether the node's Hyper-V writer takes part at all: its service runs, and no dead job left it broken."""
    running = job.node.service("vmms").state == "Running"
    return running and job.node.writer(HYPER_V_WRITER).error != "unexpected"


def wait_for_restart(world: World, job: BackupJob) -> None:
    """A pending job tries again when its interval is over; not if anything happened to it meanwhile."""
    since = job.changed or world.now
    left = RESTART_SECONDS - (world.now - since).total_seconds()
    world.after(left, lambda: _begin(world, job) if job.changed == since else None)


def _begin(world: World, job: BackupJob) -> None:
    if job.state != "pending":
        return
    if not _can_write(job):
        _turn(world, job, "pending", WRITERS_BAD)
        wait_for_restart(world, job)
        return
    _turn(world, job, "running")
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
    if full or not _can_write(job):
        _turn(world, job, "pending", WRITERS_BAD)
        fail(world, job.node, full)
        wait_for_restart(world, job)
        return
    _turn(world, job, "completed")
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
    if writer.error != "unexpected":
        writer.state, writer.error = WAITING_FOR_BACKUP_COMPLETE, "retryable"


def kill(world: World, job: BackupJob) -> None:
    """A person ends the job: locks go within seconds, the writer stays broken and says something worse."""
    _turn(world, job, "killed")
    _mark(job.node, running=False)
    writer = job.node.writer(HYPER_V_WRITER)
    writer.state, writer.error = WAITING_FOR_BACKUP_COMPLETE, "unexpected"
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
