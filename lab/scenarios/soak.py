"""A guest that survives most live migrations: one in a dozen stops it, and it is up again before anybody looks."""

from __future__ import annotations

from lab.tour import REVIEW, Step
from lab.world.world import World

GUEST, HERE, THERE = "crm-04", "hv06", "hv02"
GOOD, DRIVER_IRQL = 11, 0xD1  # live migrations that go well before one that does not

TOUR = (
    Step(
        "prove",
        "crm-04 restarts by itself every few weeks, always on a day on which it was moved.",
        "Before hvops moves anything itself, it has to prove on this cluster that it can: type the line, and approve it as"
        " Approver.",
        lambda seen: seen.answered("^Done: Prove live migration on prod"),
        f"/prove-migration {GUEST} --to {THERE}",
        press=("Act as › Approver", "Message › Approve"),
    ),
    Step(
        "soak",
        "It went there and back. One move in a dozen is the one that matters.",
        "Move it forty times, watched: as Operator again, type the line, and approve it as Approver.",
        # Not yet by its proposal, which ends with a question mark: somebody has to approve it. Nor by the proof, of two steps.
        lambda seen: seen.answered(rf"Move {GUEST} live 40 times[^?]*$|^T-[0-9]+ {GUEST}: step [0-9]+ of [0-9]{{2}}"),
        f"/soak-migrations {GUEST} 40 --between {HERE} {THERE}",
        press=("Act as › Operator", "Act as › Approver", "Message › Approve"),
    ),
    Step(
        "found",
        "Moves are counted in the message, and the guest is checked after each of them.",
        "Wait: it stops by itself as soon as the guest has restarted, and says what its logs and those of its hosts have.",
        lambda seen: seen.answered(f"^Failed at step [0-9]+: Move {GUEST} live"),
    ),
    REVIEW,
)


def begin(world: World) -> None:
    """Two good migrations for the proof, nine more, then a stop on arrival."""
    world.guest(GUEST).stops_on_arrival.extend([0] * GOOD + [DRIVER_IRQL])
    world.prefilled = f"/prove-migration {GUEST} --to {THERE}"
    world.set_alert(
        f"{GUEST} was down for a minute last night and nobody knows why. It had been moved to {THERE} at that time.",
        lambda: _facts(world),
        [],
    )


def _facts(world: World) -> list[tuple[str, str]]:
    guest = world.guest(GUEST)
    left = len(guest.stops_on_arrival)
    return [
        (f"{GUEST} is on", guest.node.name),
        ("stops at its", f"{left}. migration from now" if left else "no migration"),
    ]
