"""A freeze is in force on prod: nothing starts there, unless an approver says why it cannot wait."""

from __future__ import annotations

from datetime import UTC, timedelta

from lab.tour import Step
from lab.world.world import World

NODE = "hv03"
FREEZE, BACKUP = "year-end closing", "nightly backup"

TOUR = (
    Step(
        "ask",
        "hv03 has to be restarted, and the year-end closing has frozen prod.",
        "Ask for its drain: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"Drain node hv03"),
        f"/drain-node {NODE}",
    ),
    Step(
        "override",
        "Nothing starts inside a freeze by itself.",
        "As the approver, press Override Freeze and Approve…, and say why it cannot wait.",
        lambda seen: seen.answered(r"Done: Drain node hv03"),
        press=("Act as › Approver", "Message › Override Freeze and Approve…"),
    ),
)


def begin(world: World) -> None:
    """The freeze began yesterday and ends in a week; backups run every night."""
    now = world.now.astimezone(UTC)
    world.inventory = {
        "[window]": [
            {
                "name": FREEZE,
                "kind": "freeze",
                "scope": ["prod"],
                "from": f"{now - timedelta(days=1):%Y-%m-%d %H:%M}",
                "to": f"{now + timedelta(days=7):%Y-%m-%d %H:%M}",
                "zone": "UTC",
            },
            {
                "name": BACKUP,
                "kind": "backup",
                "scope": ["prod", "branch"],
                "from": f"{now + timedelta(hours=3):%H:%M}",
                "to": f"{now + timedelta(hours=9):%H:%M}",
                "zone": "UTC",
            },
        ]
    }
    world.prefilled = f"/drain-node {NODE}"
    world.set_alert(
        "hv03 waits for a restart. The year-end closing has frozen prod for another week.",
        lambda: [(NODE, "waits for a restart"), (FREEZE, "in force")],
        [],
    )
