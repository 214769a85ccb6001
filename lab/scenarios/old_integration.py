"""Guests of prod have integration services of several ages: one does not work, some report nothing, some are only older."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.world import events
from lab.world.world import World

EXPECTED = "Microsoft-Hyper-V-Guest-Installer-Win6x-Package"
BEHIND = "hv05"  # the one host that was not updated
INCOMPATIBLE, SILENT, NO_SNAPSHOTS, NO_DAEMON = "sap-old-01", "crm-02", "file-01", "lin-02"

TOUR = (
    Step(
        "ask",
        "A backup reports that the VSS requestor of sap-old-01 has another version than its host expects.",
        "Ask how the integration services of all guests are: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"incompatible integration services"),
        "/check-integration-services prod",
    ),
)


def begin(world: World) -> None:
    """One incompatible, two older, one without data exchange, a Linux without its daemon, one without VSS, a host behind."""
    old = world.guest(INCOMPATIBLE)
    old.integration = "6.1.7601.17514"
    old.component_status["vss"] = (7, 32775)
    for name, version in (("web-dev-01", "6.3.9600.16384"), ("dev-10", "6.3.9600.17415")):
        world.guest(name).integration = version
        world.guest(name).component_status["kvp"] = (3, 32775)
        world.log(
            world.guest(name).node, events.other_integration_version(world.guest(name), world.now - timedelta(days=3))
        )
    world.guest(SILENT).components_off.add("kvp")
    world.guest(NO_DAEMON).component_status["kvp"] = (12,)
    world.guest(NO_SNAPSHOTS).service("vmicvss").state = "Stopped"
    world.node(BEHIND).expected_integration[EXPECTED] = "6.3.9600.18080"
    world.prefilled = "/check-integration-services prod"
    world.set_alert(
        "Backup of prod: the VSS requestor failed to connect to sap-old-01, because the version does not match the version"
        " expected by Hyper-V.",
        lambda: _facts(world),
        [],
    )


def _facts(world: World) -> list[tuple[str, str]]:
    silent = "off" if "kvp" in world.guest(SILENT).components_off else "on"
    return [
        (INCOMPATIBLE, f"integration services {world.guest(INCOMPATIBLE).integration}"),
        (SILENT, f"data exchange {silent}"),
        (NO_SNAPSHOTS, f"vmicvss {world.guest(NO_SNAPSHOTS).service('vmicvss').state.casefold()}"),
    ]
