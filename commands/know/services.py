"""Windows services: how one is restarted, step by step, with waits.

StopService only asks: its return value says that the request was taken, and the state says whether the service has
stopped [doc: Win32_Service]. One that hangs stays at "Stop Pending"; then nobody knows how it ends, and a person decides.
"""

from __future__ import annotations

from bot.vocabulary.actions import Invoke
from bot.vocabulary.plan import Check, Step, there_is
from bot.vocabulary.questions import Question, Term, Wql, fields

RUNNING, STOPPED = "Running", "Stopped"
_NAMESPACE, _CLASS = "root/cimv2", "Win32_Service"
_NOT_RUNNING, _RUNS_ALREADY = 6, 10  # return values [doc]
WAIT = 120  # seconds for each of both ways; the service manager itself gives up on most after 30 [mem]


def ask_service(on: str, service: str) -> Wql:
    """The question: how is this service? The process id shows whether it is still the same process."""
    return Wql(on, _NAMESPACE, _CLASS, ("Name", "State", "ProcessId"), (Term("Name", "=", service),))


def is_in_state(on: str, service: str, state: str, within: int = 0) -> Check:
    """It is there, and in that state."""
    return there_is(ask_service(on, service), Term("State", "=", state), within=within, every=2)


def restart_steps(
    on: str, service: str, guard: tuple[Check, ...] = (), before: Question | None = None
) -> tuple[Step, Step]:
    """Stop a service, then start it.

    Args:
        on: the host.
        service: its short name.
        guard: what else must hold just before it is stopped.
        before: what is noted before it is stopped, where that is more than the service itself.
    """
    start = _method(on, service, "StartService", _RUNS_ALREADY)
    return (
        Step(
            key=f"stop-{_key(service)}",
            says=f"Stop the service {service} on {on}",
            act=_method(on, service, "StopService", _NOT_RUNNING),
            guard=(is_in_state(on, service, RUNNING), *guard),
            done=(is_in_state(on, service, STOPPED, WAIT),),
            before=before or ask_service(on, service),
            undo=start,
            undone=(is_in_state(on, service, RUNNING, WAIT),),
        ),
        Step(
            key=f"start-{_key(service)}",
            says=f"Start the service {service} on {on}",
            act=start,
            guard=(is_in_state(on, service, STOPPED),),
            done=(is_in_state(on, service, RUNNING, WAIT),),
            before=ask_service(on, service),
            repeatable=True,
        ),
    )


def _method(on: str, service: str, method: str, *accepted: int) -> Invoke:
    return Invoke(on, _NAMESPACE, fields(Name=service), _CLASS, method, accept=(0, *accepted))


def _key(service: str) -> str:
    """A service's name as part of a step's key."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in service.lower())
