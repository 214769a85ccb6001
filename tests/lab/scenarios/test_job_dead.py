"""The killed job: what heals the writer, what does not, and what makes it worse."""

from __future__ import annotations

import pytest

from lab.windows.query import wql_rows
from lab.world.services import HYPER_V_WRITER


def facts(world) -> dict[str, str]:
    return dict(world.facts())


def method(world, namespace: str, cls: str, name: str, call: str, *, on: str = "hv03", **params):
    machine = world.machine(on).acting_for(world.accounts["operator"].user)
    return machine.invoke(namespace, cls, {"Name": name}, call, params)


def service(world, call: str) -> int:
    return method(world, "root/cimv2", "Win32_Service", "vmms", call)["ReturnValue"]


def node(world, call: str, **params) -> None:
    assert method(world, "root/MSCluster", "MSCluster_Node", "hv03", call, on="hv02", **params) == {}


def restart(world, clock) -> None:
    assert service(world, "StopService") == 0
    clock.forward(3)
    assert service(world, "StartService") == 0
    clock.forward(3)
    world.settle()


@pytest.fixture
def world(begin):
    return begin("stuck-writer-job-dead")


def test_nothing_is_locked_and_the_writer_is_broken(world):
    told = facts(world)
    assert told["hv03 writer"] == "[5] unexpected error"
    assert told["hv03 locked guests"] == "0 of 11"
    assert told["Backup job 48211"] == "killed"
    assert told["hv03"] == "up, 11 guests"
    assert world.node("hv03").shadows == []
    assert not world.clusters["prod"].backup_in_progress
    ids = {event.id for event in world.node("hv03").events}
    assert {10102, 1137, 1071, 8194} <= ids
    assert world.alert().startswith("Backup: job 48211 (hv03, 11 guests) was killed at ")
    assert world.prefilled == "/check-writers hv03"


def test_time_and_space_heal_nothing(world, clock):
    clock.forward(7200)
    world.guest("test-tfs-01").volume("C").free += 10 * 1024**3
    world.settle()
    assert facts(world)["hv03 writer"] == "[5] unexpected error"


def test_a_new_job_does_not_get_on_while_the_writer_is_broken(world, clock):
    world.act("back-up-again")
    clock.forward(60)
    told = facts(world)
    assert told["Backup job 48212"] == "pending"
    assert told["hv03 locked guests"] == "0 of 11"
    assert "[91:9]" in world.jobs[48212].reason
    world.act("resume-job")
    clock.forward(60)
    assert facts(world)["Backup job 48212"] == "pending"


def test_drain_restart_and_resume_heal_it_for_good(world, clock):
    old = world.node("hv03").writer(HYPER_V_WRITER).instance
    home = {guest.name for guest in world.node("hv03").guests}
    node(world, "Pause", DrainType="1")
    clock.forward(60)
    assert facts(world)["hv03"] == "paused, drained, 0 guests"
    restart(world, clock)
    assert facts(world)["hv03 writer"] == "[1] no error"
    node(world, "Resume", FailbackType="1")
    clock.forward(60)
    assert facts(world)["hv03"] == "up, 11 guests"
    assert {guest.name for guest in world.node("hv03").guests} == home
    new = world.node("hv03").writer(HYPER_V_WRITER).instance
    assert new != old
    world.act("back-up-again")
    clock.forward(60)
    told = facts(world)
    assert (told["Backup job 48212"], told["hv03 writer"]) == ("completed", "[1] no error")
    assert world.node("hv03").writer(HYPER_V_WRITER).instance == new


def test_a_job_that_waited_goes_on_after_the_restart(world, clock):
    world.act("back-up-again")
    restart(world, clock)
    world.act("resume-job")
    clock.forward(60)
    assert facts(world)["Backup job 48212"] == "completed"


def test_vmms_can_be_made_to_hang_and_its_process_be_ended(world, clock):
    world.act("hang-vmms")
    service(world, "StopService")
    clock.forward(600)
    assert facts(world)["hv03 vmms"] == "stop pending"
    assert facts(world)["hv03 writer"] == "not registered"
    assert "hang-vmms" not in dict(world.actions())
    world.act("end-vmms")
    assert facts(world)["hv03 vmms"] == "stopped"
    service(world, "StartService")
    clock.forward(3)
    assert facts(world)["hv03 writer"] == "[1] no error"


def test_in_the_other_story_a_restart_with_locked_guests_breaks_the_writer(begin, clock):
    world = begin("stuck-writer")
    restart(world, clock)
    assert facts(world)["hv03 writer"] == "[5] unexpected error"
    assert facts(world)["hv03 locked guests"] == "9 of 11"
    world.act("free-2gb")
    clock.forward(60)
    assert facts(world)["Backup job 48211"] == "pending"
    world.act("end-job")
    clock.forward(10)
    restart(world, clock)
    assert facts(world)["hv03 writer"] == "[1] no error"


def test_in_the_other_story_the_drain_fails(begin, clock):
    world = begin("stuck-writer")
    node(world, "Pause", DrainType="1")
    clock.forward(60)
    assert facts(world)["hv03"] == "paused, its drain failed, 9 guests"
    (row,) = wql_rows(world.machine("hv01"), "root/MSCluster", "SELECT * FROM MSCluster_Node WHERE Name='hv03'")
    assert row.instance["NodeDrainStatus"] == 3


def test_a_suspended_job_waits_until_it_is_resumed(begin, clock):
    world = begin("stuck-writer")
    world.act("suspend-job")
    world.act("free-2gb")
    clock.forward(600)
    assert facts(world)["Backup job 48211"] == "suspended"
    assert facts(world)["hv03 locked guests"] == "9 of 11"
