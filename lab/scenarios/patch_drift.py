"""The nodes of prod run Windows Server 2008 R2 SP1 and are not at the same patch level; one update blocks another."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.world import events
from lab.world.model import Node
from lab.world.world import World

RELEASES = {"prod": "2008R2"}
BLOCKED, BLOCKER, MISSED = "KB2607712", "KB2616676", "KB2570791"

TOUR = (
    Step(
        "ask",
        "An update is missing on some nodes.",
        "Ask which: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"differ|issue|agree|alike|KB\d|update"),
        "/verify-kb-drift prod",
    ),
)


def begin(world: World) -> None:
    """Take updates away: hv02 and hv05 never got the blocked one, hv06 missed another and waits for a reboot."""
    for name in ("hv02", "hv05"):
        _remove(world.node(name), BLOCKED)
    _remove(world.node("hv06"), MISSED)
    hv06 = world.node("hv06")
    hv06.reboot_wanted_by.add("cbs")
    world.log(hv06, events.restart_needed(hv06.updates[-1].kb, world.now - timedelta(days=2)))
    world.prefilled = "/verify-kb-drift prod"
    world.set_alert(
        f"Cluster validation of prod: an update is missing on some nodes ({BLOCKED}). Windows Update offers nothing.",
        lambda: _facts(world),
        [],
    )


def _remove(node: Node, kb: str) -> None:
    node.updates = [update for update in node.updates if update.kb != kb]


def _facts(world: World) -> list[tuple[str, str]]:
    nodes = world.clusters["prod"].nodes
    lacking = {
        kb: [node.name for node in nodes if all(update.kb != kb for update in node.updates)] for kb in (BLOCKED, MISSED)
    }
    return [
        (BLOCKED, f"not on {', '.join(lacking[BLOCKED])}, kept out by {BLOCKER}"),
        (MISSED, f"not on {', '.join(lacking[MISSED])}"),
        ("hv06", "waits for a reboot" if world.node("hv06").reboot_wanted_by else "no reboot pending"),
    ]
