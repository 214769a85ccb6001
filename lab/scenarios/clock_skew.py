"""The clocks of prod are not alike: one node is too far ahead for Kerberos, another one lags behind."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.world.world import World

AHEAD, BEHIND = timedelta(seconds=432), timedelta(seconds=-95)

TOUR = (
    Step(
        "ask",
        "Logins between nodes are refused.",
        "Ask what time each node believes it is: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"skew|ahead|clock"),
        "/check-time-skew prod",
    ),
)


def begin(world: World) -> None:
    """Set two clocks wrong: hv04 is ahead, hv06 behind."""
    world.node("hv04").clock_ahead = AHEAD
    world.node("hv06").clock_ahead = BEHIND
    world.prefilled = "/check-time-skew prod"
    world.set_alert(
        "System log of hv03: the Kerberos client received KRB_AP_ERR_SKEW from hv04. Live migration to hv04 fails.",
        lambda: _facts(world),
        [],
    )


def _facts(world: World) -> list[tuple[str, str]]:
    clocks = {name: world.node(name).clock_ahead.total_seconds() for name in ("hv04", "hv06")}
    return [(name, f"clock {seconds:+.0f} s" if seconds else "clock right") for name, seconds in clocks.items()]
