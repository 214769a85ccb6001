"""Two nodes of prod lack an update that another one blocks; the files of both lie on every node, and a rule says the order."""

from __future__ import annotations

from lab.tour import Step
from lab.world import servicing
from lab.world.model import Node, StagedPackage
from lab.world.world import Action, World

# The pair of the field note (KB2616676 and KB2607712) is of 2008 R2, see patch-drift. That these two of 2012 R2 get in each
# other's way is made up.
BLOCKED, BLOCKER = "KB3063843", "KB3102429"
RULE, BUILD = "blocked-hotfix", 9600
FOLDER = "C:\\hvops\\packages"
LACKING = ("hv02", "hv05")

TOUR = (
    Step(
        "ask",
        f"Cluster validation says that {BLOCKED} is missing on two nodes, and Windows Update offers nothing.",
        "Ask for the way out: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"Fix updates of prod"),
        f"/fix-kb-drift prod {RULE}",
    ),
)


def begin(world: World) -> None:
    """hv02 and hv05 never got the blocked update; both files were copied to every node."""
    for node in world.clusters["prod"].nodes:
        node.kept_out[BLOCKED] = BLOCKER
        node.staged |= {path(kb): StagedPackage(kb) for kb in (BLOCKED, BLOCKER)}
        if node.name in LACKING:
            node.updates = [update for update in node.updates if update.kb != BLOCKED]
    world.inventory = inventory()
    world.prefilled = f"/fix-kb-drift prod {RULE}"
    world.set_alert(
        f"Cluster validation of prod: an update is missing on some nodes ({BLOCKED}). Windows Update offers nothing.",
        lambda: [(node.name, state(node)) for node in world.clusters["prod"].nodes],
        [_start(world, node) for node in world.clusters["prod"].nodes],
    )


def _start(world: World, node: Node) -> Action:
    """What someone in the server room does with a machine that did not come up by itself."""
    return Action(
        f"start-{node.name}",
        f"Start {node.name}",
        lambda: servicing.start(world, node),
        lambda: node.state == servicing.DOWN and node.stays_down is False and world.machine(node.name).trouble.refuse,
    )


def path(kb: str) -> str:
    """Where the file of an update lies on every node."""
    return f"{FOLDER}\\{kb}.cab"


def state(node: Node) -> str:
    """How a node stands, in a few words."""
    names = {update.kb for update in node.updates}
    if node.state == 1:
        return "restarts"
    own = f"lacks {BLOCKED}" if BLOCKED not in names else f"lacks {BLOCKER}" if BLOCKER not in names else "has both"
    return f"{own}, paused" if node.state == 2 else own  # noqa: PLR2004 (paused)


def inventory() -> dict[str, object]:
    """The rule and the files as the inventory has them."""
    return {
        f"update_rule.{RULE}": {
            "says": f"{BLOCKER} blocks {BLOCKED}, and both are needed",
            "builds": [BUILD],
            "steps": [f"remove {BLOCKER}", f"add {BLOCKED}", f"add {BLOCKER}"],
        },
        "[update_package]": [{"kb": kb, "build": BUILD, "path": path(kb)} for kb in (BLOCKED, BLOCKER)],
    }
