"""Time, happenings, troubles, registry and methods of the practice world."""

from __future__ import annotations

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.world.registry import AUTO_UPDATE, CURRENT_VERSION, GUEST_PARAMETERS, SERVICING, SESSION_MANAGER
from lab.world.world import Action

LOST_QUORUM = "WillOfflineLoseQuorum"


def test_things_happen_in_their_order_and_at_their_time(world, clock):
    seen = []
    world.after(5, lambda: seen.append(("b", world.now)))
    world.after(2, lambda: (seen.append(("a", world.now)), world.after(1, lambda: seen.append(("c", world.now)))))
    start = clock.at
    assert not world.tick()
    clock.forward(4)
    assert world.tick()
    clock.forward(60)
    world.settle()
    assert [(name, (at - start).total_seconds()) for name, at in seen] == [("a", 2), ("c", 3), ("b", 5)]
    assert not world.tick()


def test_time_can_be_skipped(world, clock):
    seen = []
    world.after(1800, lambda: seen.append(1))
    world.skip(1800)
    assert seen == [1]
    assert (world.now - clock.at).total_seconds() == 1800


def test_asking_a_machine_lets_what_is_due_happen(world, clock):
    world.after(1, lambda: setattr(world.node("hv01"), "state", 2))
    clock.forward(1)
    rows = world.machine("hv02").instances("root/MSCluster", "MSCluster_Node")
    assert [row["State"] for row in rows] == [2, 0, 0, 0, 0, 0]


def test_trouble_is_made_and_ended(world):
    before = world.changes
    world.trouble("hv05", "hang", on=True)
    assert world.machine("hv05").trouble.hang
    world.trouble("HV05", "hang", on=False)
    assert not world.machine("hv05").trouble.hang
    assert world.changes == before + 2
    with pytest.raises(KeyError):
        world.trouble("hv99", "hang", on=True)


def test_only_offered_actions_can_be_done(world):
    done = []
    offers = [
        Action("yes", "Do", lambda: done.append(1)),
        Action("no", "Do not", lambda: done.append(2), lambda: False),
    ]
    world.set_alert("", list, offers)
    assert world.actions() == [("yes", "Do")]
    world.act("yes")
    with pytest.raises(KeyError):
        world.act("no")
    assert done == [1]


def test_the_registry_says_version_code_pages_and_reboots(world):
    node = world.node("hv04")
    keys = world.machine("hv04").registry()
    assert keys[CURRENT_VERSION]["CurrentBuild"] == "9600"
    assert keys[CURRENT_VERSION]["UBR"] == node.release.revision
    assert keys["SYSTEM\\CurrentControlSet\\Control\\Nls\\CodePage"] == {"OEMCP": "850", "ACP": "1252"}
    assert f"{SERVICING}\\RebootPending" not in keys
    node.reboot_wanted_by |= {"cbs", "update", "rename"}
    keys = world.machine("hv04").registry()
    assert f"{SERVICING}\\RebootPending" in keys
    assert f"{AUTO_UPDATE}\\RebootRequired" in keys
    assert keys[SESSION_MANAGER]["PendingFileRenameOperations"]


def test_a_guest_knows_itself_and_the_cluster_its_resources(world):
    guest = world.guest("sql-01")
    told = world.machine("sql-01").registry()[GUEST_PARAMETERS]
    assert told["VirtualMachineId"] == guest.vm_id.upper()
    assert told["PhysicalHostName"] == guest.node.name.upper()
    keys = world.machine("hv01").registry()
    rows = list(world.machine("hv01").instances("root/MSCluster", "MSCluster_Resource"))
    (row,) = [row for row in rows if row["Name"] == "Virtual Machine sql-01"]
    assert keys[f"Cluster\\Resources\\{row['Id']}\\Parameters"] == {"VmID": guest.vm_id}
    assert row["PrivateProperties"].properties["VmId"] == guest.vm_id


def test_quorum_holds_without_one_node_and_not_without_half(world):
    machine, nodes = world.machine("hv01"), world.clusters["prod"].nodes

    def lost() -> object:
        return machine.invoke("root/MSCluster", "MSCluster_Node", {"Name": "hv01"}, LOST_QUORUM, {})["ReturnValue"]

    assert lost() is False
    for node in nodes[2:]:
        node.state = 1
    assert lost() is True
    with pytest.raises(WmiFailure):
        machine.invoke("root/MSCluster", "MSCluster_Node", {"Name": "hv99"}, LOST_QUORUM, {})


def test_whatever_would_change_something_is_refused_to_a_reader(world):
    machine = world.machine("hv01").acting_for(world.accounts["reader"].user)
    with pytest.raises(WmiFailure) as refused:
        machine.invoke("root/MSCluster", "MSCluster_Node", {"Name": "hv01"}, "Pause", {"DrainType": 1})
    assert refused.value.hresult == 0x80070005
    assert world.node("hv01").state == 0
    for method in ("StopService", "StartService", "Change"):
        assert machine.invoke("root/cimv2", "Win32_Service", {"Name": "vmms"}, method, {}) == {"ReturnValue": 2}
    assert world.node("hv01").service("vmms").state == "Running"
    change = machine.invoke("root/virtualization/v2", "Msvm_ComputerSystem", {}, "RequestStateChange", {})
    assert change == {"ReturnValue": 32769}
    asked = machine.invoke("root/MSCluster", "MSCluster_Node", {"Name": "hv01"}, LOST_QUORUM, {})
    assert asked == {"ReturnValue": False}


def test_a_guests_account_changes_nothing_in_it(world):
    machine = world.machine("sql-01").acting_for(world.accounts["guest"].user)
    assert machine.invoke("root/cimv2", "Win32_Service", {"Name": "VSS"}, "StartService", {}) == {"ReturnValue": 2}


def test_what_the_practice_world_cannot_do_is_refused_to_everybody(world):
    machine = world.machine("hv01").acting_for(world.accounts["operator"].user)
    for namespace, cls, method, hresult in (
        ("root/cimv2", "Win32_Volume", "Frobnicate", 0x8004102E),
        ("root/MSCluster", "MSCluster_Cluster", "EvictNode", 0x8004100C),
    ):
        with pytest.raises(WmiFailure) as refused:
            machine.invoke(namespace, cls, {}, method, {})
        assert refused.value.hresult == hresult
    assert machine.invoke("root/virtualization/v2", "Msvm_VirtualSystemManagementService", {}, "DestroySystem", {}) == {
        "ReturnValue": 32770
    }
    assert machine.invoke("root/cimv2", "Win32_Service", {"Name": "vmms"}, "PauseService", {}) == {"ReturnValue": 1}


@pytest.mark.parametrize(
    ("query", "each"),
    [
        ("SELECT Name, PrivateProperties FROM MSCluster_Resource", 0.019),
        ("SELECT * FROM MSCluster_Resource WHERE Type = 'Virtual Machine'", 0.008),
        ("SELECT Name, Type FROM MSCluster_Resource", 0),
        ("SELECT Name, PrivateProperties FROM MSCluster_ResourceType", 0),
    ],
)
def test_private_properties_of_resources_take_time(cluster, query, each):
    rows = cluster.rows("hv01", query)
    assert len(rows) > 3
    assert cluster.world.machine("hv01").trouble.owed == pytest.approx(len(rows) * each)
