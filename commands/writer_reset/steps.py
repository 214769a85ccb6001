"""Resetting a writer, as steps: its service is restarted, and a new instance of it must be stable without an error."""

from __future__ import annotations

from dataclasses import replace

from bot.api.plan import Check, CompareToBefore, Expect, Step, exists
from bot.api.queries import Predicate
from commands.drain.steps import DRAIN, drain_step, failback_step, gate_no_locks, is_drained, resume_step
from commands.sources.services import HYPER_V_SERVICE, restart_steps
from commands.sources.vss_writers import VssState, Writer, host_writers

SETTLES = 300  # seconds for a writer to register again [1 note: a minute or two]

WRITER = "writer"  # the step that waits for the writer
_BAD = tuple(range(VssState.WAITING_FOR_FREEZE, VssState.FAILED_AT_BACKUP_SHUTDOWN + 1))  # it waits, or has failed


def reset_steps(
    on: str,
    service: str,
    writer: Writer,
    no_error: str,
    guard: tuple[Check, ...] = (),
    *,
    twins: tuple[str, ...] = (),
) -> tuple[Step, ...]:
    """Stop the service, start it, wait for the writer.

    A drain before it can take long, and more with a stop behind it: the service is stopped only while the writer is still bad.

    Args:
        on: the host.
        service: the one that hosts the writer.
        writer: as it is now; it is known by its id and name, for writers may share an id.
        no_error: what this host prints for "no error"; "" where its language is not known: then only the state decides,
            by its number. A new instance has had no backup yet, so [1] is what a writer that came up says.
        twins: the instances of this writer that run beside it, and are not the one that is reset.
        guard: what else must hold just before the service is stopped.
    """
    guard = (*guard, _is_still_bad(on, writer))
    stop, start = restart_steps(on, service, guard, before=host_writers(on).query)
    same = _same(writer)
    same += tuple(Predicate("instance_id", "!=", instance) for instance in twins)
    well: tuple[Predicate, ...] = (Predicate("state", "=", int(VssState.STABLE)),)
    if no_error:
        well += (Predicate("error_text", "=", no_error),)
    is_well = "[1] Stable and without an error" if no_error else "[1] Stable; its last error cannot be read"
    stable = Step(
        key=WRITER,
        description=f"Wait for a new instance of {writer.name}, {is_well}",
        act=None,
        done=(
            Check(
                host_writers(on).query,
                (Expect(same, well), CompareToBefore(stop.key, ("instance_id",), same=False, where=same)),
                within=SETTLES,
                every=15,
            ).described_as(f"a new instance of {writer.name} is {is_well}"),
        ),
    )
    return stop, start, stable


def _same(writer: Writer) -> tuple[Predicate, ...]:
    return (Predicate("writer_id", "=", writer.writer_id), Predicate("name", "=", writer.name))


def _is_still_bad(on: str, writer: Writer) -> Check:
    """One that is well by now, is listed no more, or was restarted by someone, needs no reset."""
    instance, state = Predicate("instance_id", "=", writer.instance_id), Predicate("state", "in", _BAD)
    return exists(host_writers(on).query, *_same(writer), instance, state).described_as(
        f"{writer.name} on {on} is the same instance, and still waiting or failed"
    )


def hyper_v_steps(
    cluster: str,
    node: str,
    writer: Writer,
    no_error: str,
    *,
    drain: bool,
    earlier: int | None = None,
    flags: bool = False,
    up: tuple[str, ...] = (),
    twins: tuple[str, ...] = (),
) -> tuple[Step, ...]:
    """Drain the node, reset its Hyper-V writer, resume it with failback.

    Args:
        cluster: the cluster's name.
        node: the node's name.
        writer: the Hyper-V writer as it is now.
        no_error: as for `reset_steps`.
        drain: False where the node is drained already; then nobody knows which guests would have to come back.
        earlier: as for `drain_step`.
        flags: as for `drain_step`.
        up: as for `drain_step`.
        twins: as for `reset_steps`.
    """
    empty = (*is_drained(cluster, node), *gate_no_locks(cluster, node))
    return (
        *((drain_step(cluster, node, earlier=earlier, flags=flags, up=up),) if drain else ()),
        *reset_steps(node, HYPER_V_SERVICE, writer, no_error, empty, twins=twins),
        replace(resume_step(cluster, node, moves=not drain), reverts=(DRAIN,) if drain else ()),
        *((failback_step(cluster, node),) if drain else ()),
    )
