"""`sc query`: the state of a service as the service control manager counts it.

Lines and numbers: the page of SERVICE_STATUS and published output [doc, cap]; error 1060 for an unknown service [doc]. The
other commands of sc are refused: services are changed through WMI.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.windows.machine_protocol import Output
from lab.world.model import Service, Windows

STATES = {"Stopped": 1, "Start Pending": 2, "Stop Pending": 3, "Running": 4}
NO_SUCH_SERVICE, INVALID_FUNCTION = 1060, 1


def run(windows: Windows, arguments: Sequence[str]) -> Output:
    """Run sc with these arguments: query or queryex, and the name of a service."""
    if len(arguments) != 2 or arguments[0].casefold() not in {"query", "queryex"}:  # noqa: PLR2004 (verb and name)
        return Output("DESCRIPTION:\r\n        SC is a command line program.\r\n", exit_code=INVALID_FUNCTION)
    service = windows.services.get(arguments[1].casefold())
    if service is None:
        text = "The specified service does not exist as an installed service."
        return Output(
            f"[SC] EnumQueryServicesStatus:OpenService FAILED {NO_SUCH_SERVICE}:\r\n\r\n{text}\r\n\r\n",
            exit_code=NO_SUCH_SERVICE,
        )
    return Output(_status(service, extended=arguments[0].casefold() == "queryex"))


def _status(service: Service, *, extended: bool) -> str:
    number = STATES[service.state]
    kind = "20  WIN32_SHARE_PROCESS" if "svchost" in service.path else "10  WIN32_OWN_PROCESS"
    accepts = "STOPPABLE" if service.state == "Running" and service.stoppable else "NOT_STOPPABLE"
    lines = [
        "",
        f"SERVICE_NAME: {service.name}",
        f"        TYPE               : {kind}  ",
        f"        STATE              : {number}  {service.state.upper().replace(' ', '_')} ",
        f"                                ({accepts}, NOT_PAUSABLE, IGNORES_SHUTDOWN)",
        "        WIN32_EXIT_CODE    : 0  (0x0)",
        "        SERVICE_EXIT_CODE  : 0  (0x0)",
        "        CHECKPOINT         : 0x0",
        "        WAIT_HINT          : 0x0",
    ]
    if extended:
        pid = 0 if service.state == "Stopped" else service.pid
        lines += [f"        PID                : {pid}", "        FLAGS              : "]
    return "".join(f"{line}\r\n" for line in lines)
