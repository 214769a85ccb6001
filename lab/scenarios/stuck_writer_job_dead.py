"""The backup job of hv03 was killed: nothing is locked now, but its Hyper-V writer stays broken until vmms restarts."""

from __future__ import annotations

from datetime import timedelta

from lab.scenarios.stuck_writer import FREED, FULL_GUEST, JOB, NODE, facts, failed_backup, failed_drain
from lab.tour import REVIEW, Step
from lab.world import backup, events, services
from lab.world.model import BackupJob, Service
from lab.world.world import Action, World

KILLED = timedelta(minutes=9)  # ago

_RESET, _RUNS = f"^Reset writer on {NODE}", rf"^T-\d+ {NODE}: |^Done: Reset writer on {NODE}"
TOUR = (
    Step(
        "ask",
        "The job is dead, and new ones fail.",
        "Ask about hv03: the line is ready below, press Enter. Seen once, its writer only looks stuck: it might be slow. A "
        "second look counts from two minutes later on, and nothing shortens them here.",
        lambda seen: seen.answered("writer.* on hv03"),
        "/check-writers hv03",
    ),
    Step(
        "plan",
        "Nothing is locked now, so it can be reset.",
        "Press Reset Writer… in the answer, or type the line; deciding needs no waiting.",
        lambda seen: seen.answered(_RESET),
        "/reset-writer hv03",
        press=("Message › Reset Writer…",),
    ),
    Step(
        "approve",
        "Nothing happens before someone else agrees.",
        "Become Approver, read the plan, press Approve. (As Operator you would be refused: try it.)",
        lambda seen: seen.answered(rf"{_RESET}$|{_RUNS}"),
        press=("Act as › Approver", "Message › Approve"),
    ),
    Step(
        "watch",
        "Two looks, then it runs by itself.",
        "The message says what it waits for. Once the two minutes are over it begins: hv03 is drained, vmms restarted, hv03 resumed. "
        "Meanwhile read the whole plan in its thread. A live migration takes seconds in here, instead of minutes.",
        lambda seen: seen.answered("^Done: Reset writer on hv03"),
    ),
    Step(
        "back-up",
        "Does it last?",
        "Press Back up hv03 again in World.",
        lambda seen: any(name.startswith("Backup job") and says == "completed" for name, says in seen.facts.items()),
        press=("World › Back up hv03 again",),
    ),
    REVIEW,
)


def begin(world: World) -> None:
    """Let the backup fail, the drain after it too, and then someone free the guest and kill the job."""
    job = failed_backup(world)
    failed_drain(world, timedelta(minutes=18))
    _killed(world, job)
    vmms = world.node(NODE).service("vmms")
    world.prefilled = f"/check-writers {NODE}"
    world.set_alert(
        f"Backup: job {JOB} (hv03, 11 guests) was killed at {world.now - KILLED:%H:%M} UTC. New jobs on hv03 hang.",
        lambda: facts(world, world.jobs[max(world.jobs)]),
        [
            Action(
                "back-up-again",
                f"Back up {NODE} again",
                lambda: _again(world),
                lambda: world.jobs[max(world.jobs)].state in {"killed", "completed"},
            ),
            Action("resume-job", "Resume the waiting job", lambda: _resume(world), lambda: _waits(world)),
            Action(
                "hang-vmms",
                f"Let vmms of {NODE} hang when it is stopped",
                lambda: setattr(vmms, "hangs", True),
                lambda: not vmms.hangs and vmms.state == "Running",
            ),
            Action(
                "end-vmms",
                f"End the process of vmms on {NODE}",
                lambda: services.end_process(world, world.node(NODE), vmms),
                lambda: _hangs(vmms),
            ),
        ],
    )


def _killed(world: World, job: BackupJob) -> None:
    """What is left nine minutes after someone freed the guest and killed the job."""
    node = world.node(NODE)
    world.guest(FULL_GUEST).volume("C").free += FREED
    backup.release(node)
    job.state, job.reason, job.changed = "killed", "", world.now - KILLED
    writer = node.writer(services.HYPER_V_WRITER)
    writer.error = "unexpected"
    world.log(node, events.callback_refused(writer, world.now - KILLED))


def _again(world: World) -> None:
    backup.begin(world, world.node(NODE))


def _resume(world: World) -> None:
    backup.resume(world, world.jobs[max(world.jobs)])


def _waits(world: World) -> bool:
    return world.jobs[max(world.jobs)].state in {"pending", "suspended"}


def _hangs(vmms: Service) -> bool:
    return vmms.hangs and vmms.state == "Stop Pending"
