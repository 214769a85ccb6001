"""A guest of prod stopped with 0xD1 while it was moved: hosts of 2008 R2 without the hotfix, disks on SCSI controllers."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.world import events
from lab.world.world import World

RELEASES = {"prod": "2008R2"}
HOTFIX = "KB2636573"
STOPPED, GROWING, OTHER_STOP, POWER_LOSS, APPLICATION = "sql-05", "sql-02", "app-02", "file-02", "crm-04"
WITH_HOTFIX = "hv06"
DRIVER_IRQL = 0xD1
LDR = "6.1.7601.21680"  # made up: any version of that branch

TOUR = (
    Step(
        "ask",
        "sql-05 stopped while it was moved to another node.",
        "Ask which guests that can happen to: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"stopped with 0xD1"),
        "/check-storvsc-risk prod",
    ),
)


def begin(world: World) -> None:
    """The hotfix is on one host only; one guest stopped, others ended otherwise, one has a checkpoint."""
    for node in world.clusters["prod"].nodes:
        if node.name != WITH_HOTFIX:
            node.updates = [update for update in node.updates if update.kb != HOTFIX]
    at = world.now - timedelta(days=1, hours=2)
    stopped = world.guest(STOPPED)
    world.log(stopped.node, events.guest_stopped(stopped, at, DRIVER_IRQL))
    world.log(stopped, events.unclean_start(at + timedelta(minutes=1), DRIVER_IRQL))
    world.log(stopped, events.bugcheck(DRIVER_IRQL, at + timedelta(minutes=2)))
    world.guest(GROWING).checkpointed.update((1, 2))
    world.guest(GROWING).files["C:\\Windows\\system32\\drivers\\storvsc.sys"] = LDR
    world.log(world.guest(OTHER_STOP), events.bugcheck(0x7E, at - timedelta(days=9)))
    world.log(world.guest(POWER_LOSS), events.unclean_start(at - timedelta(days=3)))
    world.log(world.guest(APPLICATION), events.application_fault(at))
    world.prefilled = "/check-storvsc-risk prod"
    world.set_alert(
        f"{STOPPED} restarted by itself during a live migration: DRIVER_IRQL_NOT_LESS_OR_EQUAL, STOP 0x000000D1.",
        lambda: _facts(world),
        [],
    )


def _facts(world: World) -> list[tuple[str, str]]:
    nodes = world.clusters["prod"].nodes
    lacking = [node.name for node in nodes if all(update.kb != HOTFIX for update in node.updates)]
    return [(HOTFIX, f"not on {', '.join(lacking)}" if lacking else "on every node")]
