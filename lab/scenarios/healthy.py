"""All is well: writers are stable, every guest has space, the nodes are patched alike."""

from __future__ import annotations

from lab.world.world import World


def begin(world: World) -> None:
    """Leave the estate as it was drawn."""
    world.prefilled = "/check-writers prod"
    world.set_alert("", lambda: _facts(world), [])


def _facts(world: World) -> list[tuple[str, str]]:
    return [
        (name, f"{len(cluster.nodes)} nodes, {len(cluster.guests)} guests") for name, cluster in world.clusters.items()
    ]
