"""SCVMM shows a virtual machine as Missing: its record stayed on the node from which a migration failed to move it."""

from __future__ import annotations

from lab.world.vmm import SERVICE, VirtualMachineManager
from lab.world.world import Action, World

GUEST, BELIEVED, OWNER = "crm-01", "hv04", "hv06"
_STATES = {0: "Running", 1: "PowerOff", 3: "Saved", 6: "Paused", 220: "Missing"}


def begin(world: World) -> None:
    """Let the guest run where it was moved to, and its record stay where it was."""
    vmm = world.vmm
    assert vmm is not None
    guest = world.guest(GUEST)
    guest.node = world.node(OWNER)
    vmm.refresh()
    vmm.lose(guest, world.node(BELIEVED), f"Live migrate {GUEST}")
    world.prefilled = "/find-missing-vms vmm"
    world.set_alert(
        f"VMM: Virtual machine {GUEST} on {BELIEVED} is Missing. Repair is greyed out.",
        lambda: _facts(world, vmm),
        [Action("refresh-vmm", "Refresh in VMM", vmm.refresh, lambda: vmm.is_running)],
    )


def _facts(world: World, vmm: VirtualMachineManager) -> list[tuple[str, str]]:
    guest = world.guest(GUEST)
    host, state = vmm.believes(guest)
    return [
        (f"{GUEST} runs on", guest.node.name),
        ("VMM believes", f"on {host}, {_STATES.get(state, state)}"),
        (f"VMMService on {vmm.host.name}", vmm.host.service(SERVICE).state.lower()),
    ]
