"""Resetting a writer, as steps: its service is restarted, and a new instance of it must be stable without an error."""

from __future__ import annotations

from bot.api.plan import Check, CompareToBefore, Expect, Step
from bot.api.queries import Predicate
from commands.drain.steps import drain_step, failback_step, gate_no_locks, is_drained, resume_step
from commands.sources.services import HYPER_V_SERVICE, restart_steps
from commands.sources.vss_writers import VssState, Writer, host_writers

SETTLES = 300  # seconds for a writer to register again [1 note: a minute or two]


def reset_steps(
    on: str, service: str, writer: Writer, no_error: str, guard: tuple[Check, ...] = ()
) -> tuple[Step, ...]:
    """Stop the service, start it, wait for the writer.

    Args:
        on: the host.
        service: the one that hosts the writer.
        writer: as it is now; it is known by its id, for its name can be in any language.
        no_error: what this host prints for "no error".
        guard: what else must hold just before the service is stopped.
    """
    stop, start = restart_steps(on, service, guard, before=host_writers(on).query)
    same = (Predicate("writer_id", "=", writer.writer_id),)
    well = (Predicate("state", "=", int(VssState.STABLE)), Predicate("error_text", "=", no_error))
    stable = Step(
        key="writer",
        description=f"Wait for a new instance of {writer.name}, [1] Stable and without an error",
        act=None,
        done=(
            Check(
                host_writers(on).query,
                (Expect(same, well), CompareToBefore(stop.key, ("instance_id",), same=False, where=same)),
                within=SETTLES,
                every=15,
            ).described_as(f"a new instance of {writer.name} is [1] Stable and without an error"),
        ),
    )
    return stop, start, stable


def hyper_v_steps(cluster: str, node: str, writer: Writer, no_error: str, *, drain: bool) -> tuple[Step, ...]:
    """Drain the node, reset its Hyper-V writer, resume it with failback.

    Args:
        cluster: the cluster's name.
        node: the node's name.
        writer: the Hyper-V writer as it is now.
        no_error: as for `reset_steps`.
        drain: False where the node is drained already; then nobody knows which guests would have to come back.
    """
    empty = (*is_drained(cluster, node), *gate_no_locks(cluster, node))
    return (
        *((drain_step(cluster, node),) if drain else ()),
        *reset_steps(node, HYPER_V_SERVICE, writer, no_error, empty),
        resume_step(cluster, node),
        *((failback_step(cluster, node),) if drain else ()),
    )
