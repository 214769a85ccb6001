"""Windows services: how they are, what depends on them, and how one is restarted, step by step, with waits.

StopService only asks: its return value says that the request was taken, and the state says whether the service has
stopped [doc: Win32_Service]. One that hangs stays at "Stop Pending"; then nobody knows how it ends, and a person decides.
While a service that depends on it runs, StopService refuses with 3 [doc: StopService].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bot.api.actions import InvokeMethod
from bot.api.plan import Check, CompareToBefore, Expect, Step, exists
from bot.api.queries import Predicate, Query, Wql, make_params
from bot.api.rows import Row, Rows, get_bool, get_int, get_reference_name, get_str
from bot.api.sources import Source

RUNNING, STOPPED, PAUSED, DISABLED = "Running", "Stopped", "Paused", "Disabled"
HYPER_V_SERVICE = "vmms"  # Virtual Machine Management: guests are managed and moved through it
CARRIES_US = {"winmgmt": "WMI", "winrm": "WinRM"}  # services that carry our own questions
_NAMESPACE, _CLASS = "root/cimv2", "Win32_Service"
_NOT_RUNNING, _RUNS_ALREADY = 6, 10  # return values [doc]
WAIT = 120  # seconds for each of both ways; the service manager itself gives up on most after 30 [mem]
_KEY_LENGTH = 64  # of a step's key at most 80 characters, of which "undo-start-" needs some


@dataclass(frozen=True, slots=True)
class Service:
    """A service as its host lists it.

    Attributes:
        name: the short name, "Spooler".
        display_name: "Print Spooler", in the host's language.
        state: "Running", "Stopped", "Stop Pending" …: Windows' own English words [doc].
        start_mode: "Auto", "Manual", "Disabled" …
        process_id: 0 while no process is there; None where the host does not tell.
        accepts_stop: whether it takes the stop control now; None where the host does not tell.
    """

    name: str
    display_name: str
    state: str
    start_mode: str
    process_id: int | None
    accepts_stop: bool | None

    @property
    def label(self) -> str:
        """Both names, as services.msc and people use them: "Print Spooler (Spooler)"."""
        plain = self.display_name.casefold() in ("", self.name.casefold())
        return self.name if plain else f"{self.display_name} ({self.name})"


def host_services(on: str) -> Source[tuple[Service, ...]]:
    """The question: which services has this host, and how are they?"""
    columns = ("Name", "DisplayName", "State", "StartMode", "ProcessId", "AcceptStop")
    return Source(
        Wql(on, _NAMESPACE, _CLASS, columns),
        _read_services,
        ("service of Windows", lambda services: [service.name for service in services]),
    )


def service_dependents(on: str) -> Source[tuple[tuple[str, str], ...]]:
    """The question: which service depends on which? Pairs: the one that is relied upon, and the one that relies on it.

    Either can be a driver: both ends are any Win32_BaseService [doc: Win32_DependentService].
    """
    return Source(Wql(on, _NAMESPACE, "Win32_DependentService", ("Antecedent", "Dependent")), _read_dependents)


def _read_services(rows: Rows) -> tuple[Service, ...]:
    """One for each row. Raises CellError."""
    return tuple(_service(row) for row in rows)


def _service(row: Row) -> Service:
    return Service(
        get_str(row, "Name"),
        get_str(row, "DisplayName"),
        get_str(row, "State"),
        get_str(row, "StartMode"),
        get_int(row, "ProcessId"),
        get_bool(row, "AcceptStop"),
    )


def _read_dependents(rows: Rows) -> tuple[tuple[str, str], ...]:
    """The pairs, by name. Raises CellError: a pair that nobody can read could be the one that matters."""
    return tuple((get_reference_name(row, "Antecedent"), get_reference_name(row, "Dependent")) for row in rows)


def service_state(on: str, service: str) -> Source[str]:
    """The question: how is this service? The process id shows whether it is still the same process."""
    return Source(
        Wql(on, _NAMESPACE, _CLASS, ("Name", "State", "ProcessId"), (Predicate("Name", "=", service),)),
        partial(_read_state, service),
    )


def is_in_state(on: str, service: str, state: str, within: int = 0) -> Check:
    """It is there, and in that state."""
    found = exists(service_state(on, service).query, Predicate("State", "=", state), within=within, every=2)
    return found.described_as(f"the service {service} is {state.lower()} on {on}")


def _read_state(service: str, rows: Rows) -> str:
    """Its state in Windows' own English word, "" where there is no such service. Raises CellError, and ValueError for several."""
    own = [row for row in rows if get_str(row, "Name").casefold() == service.casefold()]
    if len(own) > 1:
        raise ValueError(f"it lists the service {service} more than once")
    return get_str(own[0], "State") if own else ""


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
        key=f"stop-{step_name(service)}",
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
        key=f"start-{step_name(service)}",
        description=f"Start the service {service} on {on}",
        act=_start(on, service),
        guard=(is_in_state(on, service, STOPPED),),
        done=(is_in_state(on, service, RUNNING, WAIT),),
        before=service_state(on, service).query,
        undo=_stop(on, service) if can_stop_again else None,
        undone=(is_in_state(on, service, STOPPED, WAIT),) if can_stop_again else (),
        repeatable=True,
        undo_says=f"Stop the service {service} on {on} again" if can_stop_again else "",
        reverts=() if can_stop_again else (f"stop-{step_name(service)}",),
    )


def new_process_step(on: str, service: str) -> Step:
    """See that a service that was stopped by `stop_step` runs, and that its process is not the one from before."""
    runs = (Predicate("State", "=", RUNNING),)
    question = service_state(on, service).query
    runs_anew = Check(
        question,
        (Expect(runs), CompareToBefore(f"stop-{step_name(service)}", ("ProcessId",), same=False)),
        within=WAIT,
        every=2,
    )
    says = f"the service {service} is running on {on} in a new process"
    return Step(
        key=f"proof-{step_name(service)}",
        description=f"Check that {service} is running on {on} in a new process",
        act=None,
        done=(runs_anew.described_as(says),),
    )


def _stop(on: str, service: str) -> InvokeMethod:
    return _method(on, service, "StopService", _NOT_RUNNING)


def _start(on: str, service: str) -> InvokeMethod:
    return _method(on, service, "StartService", _RUNS_ALREADY)


def _method(on: str, service: str, method: str, *accepted: int) -> InvokeMethod:
    return InvokeMethod(on, _NAMESPACE, make_params(Name=service), _CLASS, method, accept=(0, *accepted))


def step_name(service: str) -> str:
    """A service's name as part of a step's key. Names that differ only in odd letters, or late, share one."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in service.lower())[:_KEY_LENGTH]
