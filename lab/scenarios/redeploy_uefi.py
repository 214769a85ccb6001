"""A node of prod starts in BIOS mode; it was drained and evicted, and is to be reinstalled for UEFI."""

from __future__ import annotations

from lab.scenarios.boot_layout import is_uefi, lay_out_for_bios
from lab.tour import Step
from lab.world.eviction import evict, install_for_uefi, remove_paths
from lab.world.model import Node
from lab.world.world import Action, World

HOST = "hv05"

TOUR = (
    Step(
        "ask",
        "hv05 was evicted, to be installed for UEFI.",
        "Ask how it starts: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"BIOS mode"),
        "/check-boot-layout hv05",
    ),
)


def begin(world: World) -> None:
    """Empty hv05, evict it, and leave it in BIOS mode with its paths to the SAN."""
    node = world.node(HOST)
    others = [one for one in node.cluster.nodes if one is not node]
    for at, guest in enumerate(node.guests):
        guest.node = others[at % len(others)]
    lay_out_for_bios(node)
    evict(node)
    world.prefilled = f"/check-boot-layout {HOST}"
    world.set_alert(
        f"{HOST} was drained and evicted from prod. It is to be installed for UEFI tonight.",
        lambda: _facts(node),
        [
            Action("paths", "Remove SAN Paths", lambda: remove_paths(node), lambda: _has_paths(node)),
            Action("off", "Shut Down hv05", lambda: world.trouble(HOST, "refuse", on=True), lambda: _is_up(world)),
            Action("install", "Install for UEFI", lambda: _install(world, node), lambda: not _is_up(world)),
        ],
    )


def _install(world: World, node: Node) -> None:
    install_for_uefi(world, node)
    world.trouble(HOST, "refuse", on=False)


def _is_up(world: World) -> bool:
    return not world.machine(HOST).trouble.refuse


def _has_paths(node: Node) -> bool:
    return any(volume.file_system == "CSVFS" for volume in node.volumes)


def _facts(node: Node) -> list[tuple[str, str]]:
    return [
        (HOST, "starts by UEFI" if is_uefi(node) else "starts in BIOS mode"),
        ("SAN paths", "there" if _has_paths(node) else "removed"),
    ]
