"""One node of prod starts in BIOS mode from an MBR disk; another was laid out by diskpart, and one has older firmware."""

from __future__ import annotations

from lab.tour import Step
from lab.world.model import MIB, Node, Volume, identity
from lab.world.world import World

BIOS, BY_DISKPART, OLDER = "hv05", "hv02", "hv06"

TOUR = (
    Step(
        "ask",
        "Setup was started without UEFI on a new node.",
        "Ask how the nodes start: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"BIOS mode|boot|UEFI"),
        "/check-boot-layout prod",
    ),
)


def begin(world: World) -> None:
    """Lay hv05 out as the field note found it: 320 MB System Reserved, and the rest for Windows."""
    lay_out_for_bios(world.node(BIOS))
    world.node(BY_DISKPART).reserved = "first"
    world.node(OLDER).firmware_version = "2.7.4"
    world.prefilled = "/check-boot-layout prod"
    world.set_alert(
        f"{BIOS} of prod was installed last week. Its firmware update wants UEFI and refuses.",
        lambda: [(BIOS, "starts by UEFI" if is_uefi(world.node(BIOS)) else "starts in BIOS mode")],
        [],
    )


def lay_out_for_bios(node: Node) -> None:
    """System Reserved in place of the hidden partitions of UEFI."""
    hidden = Volume(
        identity(node.fqdn, "reserved"), 320 * MIB, 290 * MIB, label="System Reserved", kind="system reserved"
    )
    node.volumes = [hidden, *(one for one in node.volumes if one.kind not in {"efi", "recovery"})]


def is_uefi(node: Node) -> bool:
    """Whether it has an EFI partition."""
    return any(volume.kind == "efi" for volume in node.volumes)
