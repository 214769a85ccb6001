"""All is well: writers are stable, every guest has space, the nodes are at the same patch level."""

from __future__ import annotations

from lab.config_files import PATIENCE
from lab.tour import Step
from lab.world.world import World

TOUR = (
    Step(
        "ask",
        "All is well here.",
        "See what that looks like: the line is ready below, press Enter.",
        lambda seen: seen.answered("writer"),
        "/check-writers prod",
    ),
    Step(
        "silent",
        "A silent host is not a healthy one.",
        f"Open Trouble, press Hang hv05, then ask again. The answer comes after {PATIENCE} seconds, without hv05.",
        lambda seen: seen.unknown,
        "/check-writers prod",
        press=("Trouble › Hang hv05",),
    ),
)


def begin(world: World) -> None:
    """Leave the estate as it was drawn."""
    world.prefilled = "/check-writers prod"
    world.set_alert("", lambda: _facts(world), [])


def _facts(world: World) -> list[tuple[str, str]]:
    return [
        (name, f"{len(cluster.nodes)} nodes, {len(cluster.guests)} guests") for name, cluster in world.clusters.items()
    ]
