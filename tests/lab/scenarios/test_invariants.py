"""Whatever people do in the stuck-writer story, and in which order: what belongs together stays together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lab import scenarios
from lab.windows.query import wql_rows
from lab.world import backup
from lab.world.services import HYPER_V_WRITER
from lab.world.world import World

DEEDS = st.lists(
    # Seconds to wait are few, so that a backup is met while it runs: it takes five of them.
    st.one_of(st.sampled_from(["free-2gb", "end-job"]), st.sampled_from([1, 2, 3, 5, 400])),
    max_size=6,
)
START = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)


def begin() -> World:
    return scenarios.begin("stuck-writer", clock=lambda: START)


def locked_names(world: World) -> tuple[set[str], set[str]]:
    """The locked groups, and the groups of the locked resources."""
    found = []
    for cls, column in (("MSCluster_ResourceGroup", "Name"), ("MSCluster_Resource", "OwnerGroup")):
        rows = wql_rows(world.machine("hv02"), "root/MSCluster", f"SELECT * FROM {cls}")
        found.append({row.instance[column] for row in rows if row.instance["StatusInformation"] & 1})
    return found[0], found[1]


def check(world: World) -> None:
    job, node = world.jobs[48211], world.node("hv03")
    writer = node.writer(HYPER_V_WRITER)
    groups, of_resources = locked_names(world)
    assert groups == of_resources <= {guest.group for guest in backup.members(node)}
    assert (writer.state == backup.STABLE) == (job.state == "completed")
    running = job.state == "running"
    assert node.cluster.backup_in_progress == running
    assert any(guest.backing_up for guest in node.guests) == running
    assert any(volume.backing_up for volume in node.cluster.shared_volumes) == running
    if job.state == "completed":
        assert (groups, node.shadows, backup.without_space(node), writer.error) == (set(), [], [], "none")
    if job.state in {"pending", "running"}:
        assert len(groups) == len(backup.members(node))
    for windows in (machine.windows for machine in world.machines.values()):
        records = [event.record for event in windows.events if event.log == "System"]
        assert records == sorted(set(records))
        assert all(0 <= volume.free <= volume.capacity for volume in windows.volumes)


@settings(max_examples=30, deadline=None)
@given(DEEDS)
def test_locks_jobs_and_writer_agree_after_any_deeds(deeds):
    world = begin()
    check(world)
    for deed in deeds:
        if isinstance(deed, int):
            world.skip(deed)
        elif deed in dict(world.actions()):
            world.act(deed)
        check(world)
    world.skip(3_600)
    check(world)
    assert world.now - START >= timedelta(hours=1)
