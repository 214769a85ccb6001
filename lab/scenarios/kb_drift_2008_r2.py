"""KB2616676 keeps KB2607712 off hv02 of a 2008 R2 cluster; the files of both lie there, and people have to empty the node."""

from __future__ import annotations

from lab.scenarios.kb_drift_fix import path
from lab.tour import Step
from lab.world import drain
from lab.world.model import StagedPackage
from lab.world.world import Action, World

RELEASES = {"prod": "2008R2"}
BLOCKED, BLOCKER = "KB2607712", "KB2616676"
BUILD, LACKING = 7601, "hv02"

TOUR = (
    Step(
        "ask",
        f"Cluster validation says that {BLOCKED} is missing on {LACKING}, and Windows Update offers nothing.",
        "Ask for the way out: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"Fix updates of prod"),
        f"/fix-kb-drift prod {BLOCKER}",
    ),
)


def begin(world: World) -> None:
    """hv02 never got the blocked update; both files were copied to every node."""
    node = world.node(LACKING)
    for each in world.clusters["prod"].nodes:
        each.kept_out[BLOCKED] = BLOCKER
        each.staged |= {path(kb): StagedPackage(kb) for kb in (BLOCKED, BLOCKER)}
    node.updates = [update for update in node.updates if update.kb != BLOCKED]
    world.inventory = {
        "[update_package]": [{"kb": kb, "build": BUILD, "path": path(kb)} for kb in (BLOCKED, BLOCKER)],
    }
    world.prefilled = f"/fix-kb-drift prod {BLOCKER}"
    world.set_alert(
        f"Cluster validation of prod: {BLOCKED} is missing on {LACKING}. Windows Update offers nothing.",
        lambda: [(LACKING, _state(world))],
        [
            Action(
                "empty",
                f"Pause {LACKING} and move its guests away",
                lambda: drain.pause(world, node, drain.DRAIN),
                lambda: node.state == drain.UP,
            )
        ],
    )


def _state(world: World) -> str:
    node = world.node(LACKING)
    names = {update.kb for update in node.updates}
    words = {drain.UP: "up", drain.DOWN: "restarts", drain.PAUSED: f"paused, {len(node.guests)} guests"}
    return f"{words[node.state]}, {'has both' if {BLOCKED, BLOCKER} <= names else 'lacks an update'}"
