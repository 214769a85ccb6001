"""Services that stop and start over time, and the writers that live in them."""

from __future__ import annotations

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.windows.query import wql_rows
from lab.world import services

HYPER_V = "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de"


def told(world, name: str, service: str):
    (row,) = wql_rows(world.machine(name), "root/cimv2", f"SELECT * FROM Win32_Service WHERE Name='{service}'")
    return row.instance


def act(world, method: str, service: str, on: str = "hv01") -> int:
    return world.machine(on).invoke("root/cimv2", "Win32_Service", {"Name": service}, method, {})["ReturnValue"]


def writer(world, name: str, writer_id: str = HYPER_V) -> list[str]:
    blocks = world.machine(name).run(["vssadmin", "list", "writers"]).stdout.split("\r\n\r\n")
    found = [block for block in blocks if writer_id in block]
    return [line.strip() for line in found[0].split("\r\n")[2:]] if found else []


def test_vmms_goes_through_its_states_into_a_new_process(world, clock):
    before = told(world, "hv01", "vmms")
    assert act(world, "StopService", "vmms") == 0
    pending = told(world, "hv01", "vmms")
    assert (pending["State"], pending["AcceptStop"], pending["ProcessId"]) == (
        "Stop Pending",
        False,
        before["ProcessId"],
    )
    assert act(world, "StopService", "vmms") == 5
    assert act(world, "StartService", "vmms") == 10
    clock.forward(2)
    stopped = told(world, "hv01", "vmms")
    assert (stopped["State"], stopped["Started"], stopped["ProcessId"]) == ("Stopped", False, 0)
    assert act(world, "StopService", "vmms") == 6
    assert act(world, "StartService", "vmms") == 0
    assert told(world, "hv01", "vmms")["State"] == "Start Pending"
    clock.forward(2)
    after = told(world, "hv01", "vmms")
    assert (after["State"], after["AcceptStop"]) == ("Running", True)
    assert after["ProcessId"] not in {0, before["ProcessId"]}
    assert act(world, "StartService", "vmms") == 10


def test_without_vmms_there_is_no_hyper_v_to_ask_but_its_guests_run(world, clock):
    guests = [guest.name for guest in world.node("hv01").guests if world.machine(guest.name).answers]
    act(world, "StopService", "vmms")
    clock.forward(2)
    for ask in (
        lambda: wql_rows(world.machine("hv01"), "root/virtualization/v2", "SELECT * FROM Msvm_ComputerSystem"),
        lambda: world.machine("hv01").invoke("root/virtualization/v2", "Msvm_ComputerSystem", {}, "X", {}),
    ):
        with pytest.raises(WmiFailure, match="0x80041013"):
            ask()
    assert writer(world, "hv01") == []
    assert wql_rows(world.machine("hv02"), "root/virtualization/v2", "SELECT * FROM Msvm_ComputerSystem")
    assert guests
    assert all(world.machine(name).run(["hostname"]).exit_code == 0 for name in guests)
    assert all(world.guest(name).state == "running" for name in guests)


def test_a_hanging_service_stays_at_stop_pending_until_its_process_is_ended(world, clock):
    node = world.node("hv01")
    node.service("vmms").hangs = True
    assert act(world, "StopService", "vmms") == 0
    clock.forward(3600)
    assert told(world, "hv01", "vmms")["State"] == "Stop Pending"
    assert "3  STOP_PENDING" in world.machine("hv01").run(["sc", "query", "vmms"]).stdout
    services.end_process(world, node, node.service("vmms"))
    assert told(world, "hv01", "vmms")["State"] == "Stopped"


def test_a_restart_gives_the_writer_a_new_instance_and_makes_it_well_when_nothing_is_locked(world, clock):
    node = world.node("hv01")
    node.writer("Microsoft Hyper-V VSS Writer").state = 5
    node.writer("Microsoft Hyper-V VSS Writer").error = "unexpected"
    before = writer(world, "hv01")
    for _ in range(2):
        act(world, "StopService", "vmms")
        clock.forward(3)
        act(world, "StartService", "vmms")
        clock.forward(3)
        after = writer(world, "hv01")
        assert after[0] != before[0]
        assert after[1:] == ["State: [1] Stable", "Last error: No error"]
        before = after


def test_with_locked_guests_a_restart_makes_it_worse(world, clock):
    node = world.node("hv01")
    node.guests[0].locked = True
    act(world, "StopService", "vmms")
    clock.forward(3)
    act(world, "StartService", "vmms")
    clock.forward(3)
    assert writer(world, "hv01")[1:] == ["State: [5] Waiting for completion", "Last error: Unexpected error"]


def test_other_writers_are_renewed_by_their_own_service(world, clock):
    system, wmi = "e8132975-6f93-4464-a53e-1050253ae220", "a6ad56c2-b509-4e6c-bb19-49d8f43532f0"
    world.node("hv01").writer("System Writer").state = 7
    before = writer(world, "hv01", system), writer(world, "hv01", wmi)
    assert act(world, "StopService", "CryptSvc") == 0
    clock.forward(3)
    assert writer(world, "hv01", system) == []
    act(world, "StartService", "cryptsvc")
    clock.forward(3)
    assert writer(world, "hv01", system)[0] != before[0][0]
    assert "[1]" in writer(world, "hv01", system)[1]
    assert writer(world, "hv01", wmi) == before[1]


@pytest.mark.parametrize(
    ("method", "service", "code"),
    [
        ("StopService", "Winmgmt", 3),
        ("StopService", "EventSystem", 3),
        ("StopService", "RpcSs", 5),
        ("StopService", "Spooler", 6),
        ("StartService", "Spooler", 14),
        ("StartService", "WinRM", 10),
        ("PauseService", "vmms", 1),
    ],
)
def test_what_is_refused_says_why_by_number(world, method, service, code):
    assert act(world, method, service) == code


def test_an_unknown_service_is_not_found(world):
    with pytest.raises(WmiFailure, match="0x80041002"):
        act(world, "StopService", "nope")


def test_the_system_log_tells_of_it(world, clock):
    act(world, "StopService", "vmms")
    clock.forward(3)
    world.settle()
    event = world.node("hv01").events[-1]
    assert (event.id, dict(event.data)["param2"]) == (7036, "stopped")


def test_without_vmms_on_it_a_node_takes_no_guests(world, clock):
    for number in range(3, 7):
        act(world, "StopService", "vmms", on=f"hv0{number}")
    clock.forward(3)
    world.machine("hv01").invoke("root/MSCluster", "MSCluster_Node", {"Name": "hv01"}, "Pause", {"DrainType": "1"})
    clock.forward(90)
    world.settle()
    assert world.node("hv01").drain == 2
    assert world.node("hv01").guests == []
    assert all(guest.drained_from is None or guest.node.name == "hv02" for guest in world.clusters["prod"].guests)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["queryex", "vmms"], 0, "4  RUNNING"),
        (["query", "VSS"], 0, "1  STOPPED"),
        (["query", "nope"], 1060, "FAILED 1060"),
        (["stop", "vmms"], 1, "command line program"),
        ([], 1, "command line program"),
    ],
)
def test_sc_counts_states(world, words, code, says):
    output = world.machine("hv01").run(["sc.exe", *words])
    assert (output.exit_code, says in output.stdout) == (code, True)
    if words[:1] == ["queryex"]:
        assert f"PID                : {told(world, 'hv01', 'vmms')['ProcessId']}" in output.stdout


def test_what_needs_a_service_can_be_asked_and_keeps_it_from_stopping(world):
    def needing(service: str) -> list[str]:
        found = wql_rows(world.machine("hv01"), "root/cimv2", "SELECT * FROM Win32_DependentService")
        ends = [(row.instance["Antecedent"].keys["Name"], row.instance["Dependent"].keys["Name"]) for row in found]
        return [needs for needed, needs in ends if needed == service]

    assert needing("Winmgmt") == ["vmms"]
    assert act(world, "StopService", "Winmgmt") == services.DEPENDENTS_RUN
    assert needing("EventSystem") == ["VSS", "SENS"]
    assert needing("BITS") == []
    assert act(world, "StopService", "BITS") == services.ACCEPTED


def test_once_nothing_that_runs_depends_on_it_any_more_it_stops(world, clock):
    assert act(world, "StopService", "SENS") == services.ACCEPTED
    assert act(world, "StopService", "EventSystem") == services.DEPENDENTS_RUN  # SENS is still at Stop Pending
    clock.forward(3)
    assert act(world, "StopService", "EventSystem") == services.ACCEPTED
    clock.forward(3)
    assert told(world, "hv01", "EventSystem")["State"] == "Stopped"
