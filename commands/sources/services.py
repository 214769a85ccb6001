"""Windows services: how one is restarted, step by step, with waits.

StopService only asks: its return value says that the request was taken, and the state says whether the service has
stopped [doc: Win32_Service]. One that hangs stays at "Stop Pending"; then nobody knows how it ends, and a person decides.
"""

from __future__ import annotations

from bot.api.actions import InvokeMethod
from bot.api.plan import Check, Step, exists
from bot.api.queries import Predicate, Query, Wql, make_params
from bot.api.rows import Rows, get_str
from bot.api.sources import Source

RUNNING, STOPPED = "Running", "Stopped"
_NAMESPACE, _CLASS = "root/cimv2", "Win32_Service"
_NOT_RUNNING, _RUNS_ALREADY = 6, 10  # return values [doc]
WAIT = 120  # seconds for each of both ways; the service manager itself gives up on most after 30 [mem]


def service_state(on: str, service: str) -> Source[str]:
    """The question: how is this service? The process id shows whether it is still the same process."""
    return Source(
        Wql(on, _NAMESPACE, _CLASS, ("Name", "State", "ProcessId"), (Predicate("Name", "=", service),)), _read_state
    )


def is_in_state(on: str, service: str, state: str, within: int = 0) -> Check:
    """It is there, and in that state."""
    found = exists(service_state(on, service).query, Predicate("State", "=", state), within=within, every=2)
    return found.described_as(f"the service {service} is {state.lower()} on {on}")


def _read_state(rows: Rows) -> str:
    """Its state in Windows' own English word, "" where there is no such service. Raises CellError."""
    return get_str(rows[0], "State") if rows else ""


def restart_steps(
    on: str, service: str, guard: tuple[Check, ...] = (), before: Query | None = None
) -> tuple[Step, Step]:
    """Stop a service, then start it. The arguments are those of `stop_step`."""
    return stop_step(on, service, guard, before), start_step(on, service)


def stop_step(on: str, service: str, guard: tuple[Check, ...] = (), before: Query | None = None) -> Step:
    """Stop a service; taking that back starts it.

    Args:
        on: the host.
        service: its short name.
        guard: what else must hold just before it is stopped.
        before: what is noted before it is stopped, where that is more than the service itself.
    """
    return Step(
        key=f"stop-{_key(service)}",
        description=f"Stop the service {service} on {on}",
        act=_stop(on, service),
        guard=(is_in_state(on, service, RUNNING), *guard),
        done=(is_in_state(on, service, STOPPED, WAIT),),
        before=before or service_state(on, service).query,
        undo=_start(on, service),
        undone=(is_in_state(on, service, RUNNING, WAIT),),
        undo_says=f"Start the service {service} on {on} again",
    )


def start_step(on: str, service: str, *, can_stop_again: bool = False) -> Step:
    """Start a service. `can_stop_again`: taking that back stops it, for what was done while it was stopped."""
    return Step(
        key=f"start-{_key(service)}",
        description=f"Start the service {service} on {on}",
        act=_start(on, service),
        guard=(is_in_state(on, service, STOPPED),),
        done=(is_in_state(on, service, RUNNING, WAIT),),
        before=service_state(on, service).query,
        undo=_stop(on, service) if can_stop_again else None,
        undone=(is_in_state(on, service, STOPPED, WAIT),) if can_stop_again else (),
        repeatable=True,
        undo_says=f"Stop the service {service} on {on} again" if can_stop_again else "",
    )


def _stop(on: str, service: str) -> InvokeMethod:
    return _method(on, service, "StopService", _NOT_RUNNING)


def _start(on: str, service: str) -> InvokeMethod:
    return _method(on, service, "StartService", _RUNS_ALREADY)


def _method(on: str, service: str, method: str, *accepted: int) -> InvokeMethod:
    return InvokeMethod(on, _NAMESPACE, make_params(Name=service), _CLASS, method, accept=(0, *accepted))


def _key(service: str) -> str:
    """A service's name as part of a step's key."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in service.lower())
