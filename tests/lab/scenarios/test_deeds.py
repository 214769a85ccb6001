"""Whatever is done to nodes, guests, services and jobs, and in which order: what belongs together stays together."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab import scenarios
from lab.windows.machine_protocol import WmiFailure
from lab.windows.query import wql_rows
from lab.world import backup
from lab.world.services import HYPER_V_WRITER
from lab.world.wmi_providers.cluster import LOCKED
from lab.world.world import World

START = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)
NODES = ("hv01", "hv02", "hv03", "hv04")
GUESTS = ("test-tfs-01", "sql-07", "lab-dc-01", "vdi-09")

PAUSES = st.tuples(st.just("Pause"), st.sampled_from(NODES), st.sampled_from([{}, {"DrainType": "1"}, {"DrainType": "2"}, {"DrainType": "1", "TargetNode": "hv02"}]))  # fmt: skip
RESUMES = st.tuples(st.just("Resume"), st.sampled_from(NODES), st.sampled_from([{}, {"FailbackType": "1"}, {"FailbackType": "2"}]))  # fmt: skip
MOVES = st.tuples(st.just("MoveToNewNode"), st.sampled_from(GUESTS), st.sampled_from([{"NodeName": name} for name in NODES]))  # fmt: skip
CANCELS = st.tuples(st.just("CancelOperation"), st.sampled_from(GUESTS), st.just({}))
SERVICES = st.tuples(st.sampled_from(["StopService", "StartService"]), st.sampled_from(NODES), st.just({}))
JOBS = st.tuples(st.just("job"), st.sampled_from(["resume", "suspend", "kill", "free", "begin"]), st.just({}))
WAITS = st.tuples(st.just("wait"), st.sampled_from(["0.5", "1", "3", "20"]), st.just({}))
DEEDS = st.lists(st.one_of(PAUSES, RESUMES, MOVES, CANCELS, SERVICES, JOBS, WAITS, WAITS), max_size=14)


def do(world: World, what: str, name: str, params: dict[str, str]) -> None:
    if what == "wait":
        world.skip(float(name))
    elif what == "job":
        on_job(world, name)
    elif what.endswith("Service"):
        world.machine(name).invoke("root/cimv2", "Win32_Service", {"Name": "vmms"}, what, {})
    else:
        cls = "MSCluster_Node" if name in NODES else "MSCluster_ResourceGroup"
        key = name if name in NODES else world.guest(name).group
        with suppress(WmiFailure):
            world.machine("hv06").invoke("root/MSCluster", cls, {"Name": key}, what, params)


def on_job(world: World, verb: str) -> None:
    job = world.jobs[max(world.jobs)]
    if verb == "free":
        world.guest("test-tfs-01").volume("C").free = 4 * 1024**3
    elif verb == "begin" and job.state in {"killed", "completed"}:
        backup.begin(world, world.node("hv03"))
    elif verb == "kill" and job.state not in {"killed", "completed"}:
        backup.kill(world, job)
    elif verb in {"resume", "suspend"}:
        getattr(backup, verb)(world, job)


def rows(world: World, cls: str):
    return [row.instance for row in wql_rows(world.machine("hv06"), "root/MSCluster", f"SELECT * FROM {cls}")]


def check(world: World) -> None:
    cluster = world.clusters["prod"]
    assert len(cluster.guests) == len({guest.vm_id for guest in cluster.guests}) == 64
    groups = {row["Name"]: row for row in rows(world, "MSCluster_ResourceGroup")}
    for row in rows(world, "MSCluster_Resource"):
        group = groups[row["OwnerGroup"]]
        assert row["OwnerNode"] == group["OwnerNode"]
        if row["Type"] == "Virtual Machine":
            # A group that waits in the queue for its move says so with a flag that resources do not have.
            assert row["StatusInformation"] & LOCKED == group["StatusInformation"] & LOCKED
    for row in rows(world, "MSCluster_Node"):
        node = world.node(row["Name"])
        assert (row["NodeDrainStatus"] == 1) == (node.draining is not None)
        if row["NodeDrainStatus"]:
            assert row["State"] == 2
        if row["NodeDrainStatus"] == 2:
            assert node.guests == []
        assert node.free_memory >= 0
    for guest in cluster.guests:
        quick = guest.move is not None and guest.move.kind == "quick"
        assert not quick or guest.state == "saved"
        assert guest.move is None or guest.move.target is not guest.node
        assert not guest.backing_up or guest.locked
        assert world.machine(guest.name).trouble.refuse == (not world.machine(guest.name).answers)
        assert not guest.locked or guest.node.name == "hv03", "a locked guest does not move"
    check_job(world)


def check_job(world: World) -> None:
    job, node = world.jobs[max(world.jobs)], world.node("hv03")
    writer = node.writer(HYPER_V_WRITER)
    running = any(each.state == "running" for each in world.jobs.values())
    assert node.cluster.backup_in_progress == running
    assert any(guest.backing_up for guest in node.cluster.guests) == (running and bool(backup.members(node)))
    if running:
        assert all(guest.locked for guest in backup.members(node) if guest.backing_up)
    if job.state == "completed":
        assert not any(guest.locked for guest in node.cluster.guests)
    if any(guest.locked for guest in node.guests) and not running:
        assert writer.state == backup.WAITING_FOR_BACKUP_COMPLETE


@settings(max_examples=60, deadline=None)
@given(DEEDS)
@example([("Pause", "hv03", {"DrainType": "1"}), ("wait", "3", {}), ("Resume", "hv03", {"FailbackType": "1"})])
def test_owners_locks_drains_and_jobs_agree_after_any_deeds(deeds):
    world = scenarios.begin("stuck-writer", clock=lambda: START)
    check(world)
    for deed in deeds:
        do(world, *deed)
        check(world)
    world.skip(3_600)
    check(world)
    assert all(guest.move is None for guest in world.clusters["prod"].guests), "every move ends"
    assert all(node.draining is None for node in world.clusters["prod"].nodes), "every drain ends"
