"""Services that stop and start over time, and what hangs on them: VSS writers live in a service's process.

Return values: the pages of Win32_Service's StopService and StartService [doc]. Which writer lives in which service:
Microsoft's page of in-box writers and published tables [doc, src]. After a restart a writer has a new instance id; whether
the Hyper-V writer is well then depends on the locks that are left [field notes].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.world import events
from lab.world.model import Node, Service, Windows, Writer, identity

if TYPE_CHECKING:
    from lab.world.world import World

ACCEPTED, NO_ACCESS, DEPENDENTS_RUN, CANNOT_ACCEPT, NOT_STARTED, ALREADY_RUNS, DISABLED = 0, 2, 3, 5, 6, 10, 14
BAD_PARAMETER = 21
STOPPING_SECONDS, STARTING_SECONDS = 2.0, 1.5
HYPER_V_WRITER = "Microsoft Hyper-V VSS Writer"
SERVICE_OF_WRITER = {
    HYPER_V_WRITER: "vmms",
    "System Writer": "CryptSvc",
    "WMI Writer": "Winmgmt",
    "BITS Writer": "BITS",
    "SqlServerWriter": "SQLWriter",
    "Cluster Database": "ClusSvc",
    "Cluster Shared Volume VSS Writer": "ClusSvc",
    "ASR Writer": "VSS",
    "COM+ REGDB Writer": "VSS",
    "Registry Writer": "VSS",
    "Shadow Copy Optimization Writer": "VSS",
}


def stop(world: World, windows: Windows, service: Service) -> int:
    """Tell a service to stop: the return value. It is stopped a little later, or hangs at Stop Pending."""
    if service.state == "Stopped":
        return NOT_STARTED
    if service.state != "Running" or not service.stoppable:
        return CANNOT_ACCEPT
    needed_by = [windows.services[name.casefold()] for name in service.needed_by if name.casefold() in windows.services]
    if any(other.state != "Stopped" for other in needed_by):
        return DEPENDENTS_RUN
    service.state = "Stop Pending"
    world.after(STOPPING_SECONDS, lambda: None if service.hangs else _stopped(world, windows, service))
    return ACCEPTED


def end_process(world: World, windows: Windows, service: Service) -> None:
    """What a person does with a service that hangs: end its process."""
    service.hangs = False
    _stopped(world, windows, service)


def _stopped(world: World, windows: Windows, service: Service) -> None:
    if service.state == "Stop Pending":
        service.state = "Stopped"
        world.log(windows, events.service_state(windows, service.name, "stopped", world.now))


def start(world: World, windows: Windows, service: Service) -> int:
    """Tell a service to start: the return value. It runs a little later, in a new process."""
    if service.state != "Stopped":
        return ALREADY_RUNS
    if service.start == "Disabled":
        return DISABLED
    service.state = "Start Pending"
    service.pid += 4096
    world.after(STARTING_SECONDS, lambda: _started(world, windows, service))
    return ACCEPTED


def _started(world: World, windows: Windows, service: Service) -> None:
    service.state = "Running"
    world.log(windows, events.service_state(windows, service.name, "running", world.now))
    for writer in windows.writers:
        if SERVICE_OF_WRITER.get(writer.name) == service.name:
            _renew(windows, writer, service)


def _renew(windows: Windows, writer: Writer, service: Service) -> None:
    """A writer registers itself anew. Guests that are still locked leave the Hyper-V writer where it was, and worse."""
    writer.instance = identity("writer", windows.fqdn, writer.name, str(service.pid))
    if writer.name == HYPER_V_WRITER and isinstance(windows, Node) and any(guest.locked for guest in windows.guests):
        writer.state, writer.error = 5, "unexpected"
    else:
        writer.state, writer.error = 1, "none"


_START_MODES = {"automatic": "Auto", "manual": "Manual", "disabled": "Disabled"}  # ChangeStartMode -> StartMode [doc]


def change_start(service: Service, mode: str) -> int:
    """Win32_Service.ChangeStartMode: the return value. What runs goes on running [doc]."""
    if mode.casefold() not in _START_MODES:
        return BAD_PARAMETER
    service.start = _START_MODES[mode.casefold()]
    return ACCEPTED


def registered_writers(windows: Windows) -> list[Writer]:
    """The writers whose process runs. The VSS service's own come with it, and vssadmin starts it."""
    return [writer for writer in windows.writers if _is_registered(windows, writer)]


def _is_registered(windows: Windows, writer: Writer) -> bool:
    service = windows.services.get(SERVICE_OF_WRITER.get(writer.name, "VSS").casefold())
    return service is None or service.name == "VSS" or service.state == "Running"
