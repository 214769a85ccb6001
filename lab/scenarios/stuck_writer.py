"""Backups of hv03 fail and it will not drain: its Hyper-V writer is stuck, because one guest's disk is full."""

from __future__ import annotations

import re
from datetime import timedelta

from lab.config_files import PATIENCE
from lab.tour import AUDITED, REVIEW, Step
from lab.world import backup, events, services
from lab.world.backup import WRITERS_BAD
from lab.world.model import GIB, MIB, BackupJob, ShadowCopy, identity
from lab.world.wmi_providers.storage import device_id
from lab.world.world import Action, World

JOB = 48211
FULL_GUEST, NODE = "test-tfs-01", "hv03"
FREED = 2 * GIB
BEGAN, FAILED = timedelta(minutes=31), timedelta(minutes=25)  # ago
# Other guests that are short of space but fail nothing yet: guest, drive, free bytes.
_LOW = (("sql-stage-02", "L", 412 * MIB), ("web-dev-04", "C", 820 * MIB), ("file-01", "D", 21 * GIB))
_NODE_STATES = {0: "up", 1: "down", 2: "paused"}
_DRAINS = {0: "", 1: ", is being drained", 2: ", drained", 3: ", its drain failed"}

_SPACE = r"\bfree\b|\bfull\b"  # in the headers of /find-full-guests, and in no other about a whole cluster
_ELSE = rf"{_SPACE}|^No plan|{AUDITED}|{JOB}"  # headers that are no verdict on writers


def _is_over(header: str) -> bool:
    """Whether a verdict on writers says nothing of what was wrong, nor of the backup that tries again."""
    return bool(header) and not re.search("STUCK|BUSY|a backup is running", header)


TOUR = (
    Step(
        "ask",
        "A backup of prod failed.",
        "Ask the bot why: the line is ready below, press Enter.",
        lambda seen: seen.answered("writer"),
        "/check-writers prod",
    ),
    Step(
        "find",
        "One guest stopped the backup of all.",
        f"The answer names a suspect. Press Find Full Guests in it, or type the line. It takes {PATIENCE} seconds: one guest of "
        "prod never answers, and the bot does not pretend it did.",
        lambda seen: seen.answered(_SPACE),
        "/find-full-guests prod",
        press=("Message › Find Full Guests",),
    ),
    Step(
        "no-reset",
        "Why not simply reset the writer?",
        "Because guests are locked: draining hv03 would fail. Ask for a plan, and see what the bot says instead of making one.",
        lambda seen: seen.answered(r"^No plan yet for hv03"),
        "/reset-writer hv03",
    ),
    Step(
        "free",
        "No command frees space in a guest.",
        "Someone has to. World shows the machines; press Free 2 GB there, as their administrator would.",
        lambda seen: "free-2gb" not in seen.offers,
        press=("World › Free 2 GB",),
    ),
    Step(
        "resume",
        "The job is still pending.",
        "It would try again by itself in a while. Do not wait: ask for a plan, read it, press Confirm. The risk is low, so the "
        "requester decides. Time is short in here: a try that takes minutes elsewhere takes seconds.",
        lambda seen: seen.facts.get(f"Backup job {JOB}") in {"running", "completed"},
        f"/resume-backup {JOB}",
        press=("Message › Confirm",),
    ),
    Step(
        "again",
        "Check again.",
        "Press Check Again in the first answer, or type the line.",
        lambda seen: _is_over(seen.last_but(_ELSE)) and seen.facts.get("hv03 writer", "").startswith("[1]"),
        "/check-writers prod",
        press=("Message › Check Again",),
    ),
    REVIEW,
)


def begin(world: World) -> None:
    """Fill the guest's disk, fail the backup of half an hour ago, and let someone try to drain the node since."""
    job = failed_backup(world)
    backup.wait_for_restart(world, job)
    _leftover_snapshot(world)
    failed_drain(world, timedelta(minutes=12))
    world.set_alert(
        f"Backup: job {JOB} (hv03, 11 guests) has been pending since {world.now - FAILED:%H:%M} UTC. Error Code: {WRITERS_BAD}",
        lambda: facts(world, job),
        [
            Action("free-2gb", f"Free 2 GB on {FULL_GUEST} C:", lambda: _free(world), lambda: not _has_space(world)),
            Action("end-job", f"End Job {JOB}", lambda: backup.kill(world, job), lambda: job.state == "pending"),
            Action(
                "suspend-job",
                f"Suspend Job {JOB}",
                lambda: _suspend(world, job),
                lambda: job.state == "pending",
            ),
        ],
    )


def failed_backup(world: World) -> BackupJob:
    """The job that failed: one guest without space, every guest that runs locked, the writer waiting."""
    node, guest = world.node(NODE), world.guest(FULL_GUEST)
    guest.volume("C").free = 60 * 1024  # all but the last few blocks: 0 MB
    for name, letter, free in _LOW:
        world.guest(name).volume(letter).free = free
    _old_troubles(world)
    job = BackupJob(JOB, node, reason=WRITERS_BAD, started=world.now - BEGAN, changed=world.now - FAILED)
    world.jobs[JOB] = job
    backup.fail(world, node, [])
    world.log(node, events.snapshot_failed(guest, world.now - FAILED))
    return job


def _suspend(world: World, job: BackupJob) -> None:
    backup.suspend(world, job)


def _old_troubles(world: World) -> None:
    """Events that must not be mistaken: an old 10102 of another guest, and 8194 where a permission is missing."""
    earlier = world.now - timedelta(days=9, hours=2)
    world.log(world.node(NODE), events.snapshot_failed(world.guest("crm-02"), earlier))
    hindered = world.node("hv06")
    for ago in (timedelta(hours=50), timedelta(hours=26), timedelta(minutes=95), timedelta(minutes=80)):
        refused = events.callback_refused(hindered.writer("System Writer"), world.now - ago)
        world.log(hindered, refused)


def _leftover_snapshot(world: World) -> None:
    """The hardware provider's copy of the volume that the guest lies on, still mounted."""
    shared = world.guest(FULL_GUEST).shared_volume
    world.node(NODE).shadows.append(
        ShadowCopy(
            id=identity("shadow", str(JOB)),
            set_id=identity("shadow set", str(JOB)),
            volume=device_id(shared.guid),
            created=world.now - timedelta(minutes=26),
            label=f"{shared.name} snapshot",
            capacity=shared.size_mb * MIB,
            free=shared.free_mb * MIB,
        )
    )


def failed_drain(world: World, ago: timedelta) -> None:
    """Someone tried to drain the node that long ago, every locked role stayed, and the node was resumed."""
    node = world.node(NODE)
    for number, guest in enumerate(member for member in node.guests if member.locked):
        at = world.now - ago + timedelta(seconds=2 * number)
        world.log(node, events.blocked_by_lock(guest, at))
        world.log(node, events.drain_failed(guest, at + timedelta(seconds=1)))


def _has_space(world: World) -> bool:
    return world.guest(FULL_GUEST).volume("C").free >= backup.ENOUGH


def _free(world: World) -> None:
    world.guest(FULL_GUEST).volume("C").free += FREED


def facts(world: World, job: BackupJob) -> list[tuple[str, str]]:
    """What is true of the node, its writer, its guests and the job."""
    node = world.node(NODE)
    writer = node.writer(services.HYPER_V_WRITER)
    locked = sum(guest.locked for guest in node.guests)
    free = world.guest(FULL_GUEST).volume("C").free
    runs = node.service("vmms").state == "Running"
    says = f"[{writer.state}] {'no' if writer.error == 'none' else writer.error} error" if runs else "not registered"
    return [
        (f"{NODE} writer", says),
        (f"{NODE} locked guests", f"{locked} of {len(node.guests)}"),
        (f"{FULL_GUEST} C:", f"{free // MIB} MB free of 80 GB"),
        (f"Backup job {job.id}", job.state),
        (NODE, f"{_NODE_STATES[node.state]}{_DRAINS[node.drain]}, {len(node.guests)} guests"),
        (f"{NODE} vmms", node.service("vmms").state.lower()),
    ]
