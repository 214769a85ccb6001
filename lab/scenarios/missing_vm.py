"""SCVMM shows a virtual machine as Missing: its record stayed on the node from which a migration failed to move it."""

from __future__ import annotations

from lab.tour import REVIEW, Step
from lab.world.vmm import SERVICE, VirtualMachineManager
from lab.world.world import Action, World

GUEST, BELIEVED, OWNER = "crm-01", "hv04", "hv06"
_STATES = {0: "Running", 1: "PowerOff", 3: "Saved", 6: "Paused", 220: "Missing"}

TOUR = (
    Step(
        "find",
        "VMM has lost a machine that runs.",
        "Ask where it really is: the line is ready below, press Enter.",
        lambda seen: seen.answered("missing in VMM"),
        "/find-missing-vms vmm",
    ),
    Step(
        "plan",
        "Three ways, the last at your own risk.",
        "Press Refresh in VMM in World: here it does not help. So press Change the Database… in the answer. That only makes a "
        "plan.",
        lambda seen: seen.answered("Fix missing"),
        "/fix-missing-vm crm-01 --by database",
        press=("World › Refresh in VMM", "Message › Change the Database…"),
    ),
    Step(
        "approve",
        "Nothing happens before someone else agrees.",
        "Become Approver, read the plan, approve it. VMM's service is stopped, one row is changed, the service is started.",
        lambda seen: (
            seen.facts.get("VMM believes") == "on hv06, Running" and seen.facts.get("VMMService on vmm01") == "running"
        ),
        press=("Act as › Approver", "Message › Approve"),
    ),
    Step(
        "refresh",
        "Does it stay so?",
        "Press Refresh in VMM in World. Then, as Operator, press Done in the plan's message: the bot looks for itself.",
        lambda seen: seen.answered("^Done: Fix missing"),
        press=("World › Refresh in VMM", "Act as › Operator", "Message › Done"),
    ),
    Step(
        "undo",
        "What was done can be undone.",
        "Press Undo… there, then become Approver again for the plan that it makes. The row gets its earlier values back.",
        lambda seen: seen.answered("^Done: Undo") and seen.facts.get("VMM believes") == "on hv04, Missing",
        press=("Message › Undo…", "Act as › Approver", "Message › Approve"),
    ),
    REVIEW,
)


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
