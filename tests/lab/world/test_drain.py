"""Nodes that are paused, drained and resumed; seen through WMI."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.world.factory import make
from lab.world.model import GIB

HYPER_V = "root/virtualization/v2"
MIGRATING = 32774


def test_guests_leave_one_after_another(cluster, world, clock):
    home = cluster.owned("hv02")
    assert cluster.pause("hv02", DrainType="1") == {}
    assert (cluster.node("hv02")["State"], cluster.node("hv02")["NodeDrainStatus"]) == (2, 1)
    counts = [len(home)]
    for _ in range(400):
        clock.forward(0.25)
        counts.append(len(cluster.owned("hv02")))
        moving = [
            row["ElementName"]
            for row in cluster.rows("hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)
            if MIGRATING in row["OperationalStatus"]
        ]
        assert len(moving) <= 1
        if cluster.node("hv02")["NodeDrainStatus"] != 1:
            break
    assert cluster.node("hv02")["NodeDrainStatus"] == 2
    assert cluster.node("hv02")["State"] == 2
    assert counts[-1] == 0
    assert all(before - after in {0, 1} for before, after in pairwise(counts))
    assert set(cluster.owners()) >= home, "no group is lost"
    running = [guest for guest in world.clusters["prod"].guests if guest.group in home and guest.state == "running"]
    live = [guest for guest in running if guest.priority >= 2000]
    vmms = "Microsoft-Windows-Hyper-V-VMMS-Admin"
    assert {event[1][0][0].text for event in cluster.logged("hv02", vmms, 20415)} >= {guest.name for guest in live}


def test_a_guest_on_its_way_is_migrating_and_its_owner_changes_at_the_end(cluster, world, clock):
    cluster.pause("hv02", DrainType="1", TargetNode="HV05")
    clock.forward(0.31)
    (name,) = [
        row["ElementName"]
        for row in cluster.rows("hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)
        if row["OperationalStatus"] == (2, MIGRATING)
    ]
    guest = world.guest(name)
    (resource,) = cluster.rows("hv01", f"SELECT * FROM MSCluster_Resource WHERE Name='Virtual Machine {name}'")
    assert resource["PrivateProperties"].properties["MigrationState"] in (1, 2, 3)
    assert cluster.owners()[guest.group] == "hv02"
    assert cluster.node("hv02")["NodeDrainTarget"] == "hv05"
    clock.forward(1.5)
    assert cluster.owners()[guest.group] == "hv05"
    shown = {row["ElementName"]: row for row in cluster.rows("hv05", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)}
    assert shown[name]["OperationalStatus"] == (2,)
    assert world.machine(name).answers


def test_a_locked_guest_stays_and_makes_the_drain_fail(cluster, world, clock):
    guests = [guest for guest in world.node("hv02").guests if guest.state == "running"][:2]
    for guest in guests:
        guest.locked = True
    cluster.pause("hv02", DrainType="1")
    clock.forward(60)
    assert (cluster.node("hv02")["State"], cluster.node("hv02")["NodeDrainStatus"]) == (2, 3)
    assert cluster.owned("hv02") == {guest.group for guest in guests}
    failed = cluster.logged("hv02", "System", 1137)
    assert {(cluster.data(event, "ResourceGroup"), cluster.data(event, "ErrorCode")) for event in failed} == {
        (guest.group, "5960") for guest in guests
    }
    assert len(cluster.logged("hv02", "System", 1071)) == 2
    for guest in guests:
        guest.locked = False
    cluster.pause("hv02", DrainType="1")
    clock.forward(10)
    assert cluster.node("hv02")["NodeDrainStatus"] == 2
    assert cluster.owned("hv02") == set()


def test_a_guest_that_is_locked_on_its_way_does_not_arrive(cluster, world, clock):
    cluster.pause("hv02", DrainType="1")
    clock.forward(0.5)
    world.settle()
    (guest,) = [guest for guest in world.node("hv02").guests if guest.move]
    guest.locked = True
    clock.forward(2)
    world.settle()
    assert guest.node.name == "hv02"
    assert cluster.data(cluster.logged("hv02", "System", 1137)[0], "ErrorCode") == "5960"


def test_memory_and_possible_owners_limit_where_guests_go(cluster, world, clock):
    running = [guest for guest in world.node("hv02").guests if guest.state == "running"]
    large, picky, stuck = running[:3]
    large.memory = 300 * GIB
    picky.possible_owners = frozenset({"hv02", "hv05"})
    stuck.possible_owners = frozenset({"hv02"})
    names = [f"SCVMM {picky.name}" if picky.group.startswith("SCVMM") else f"Virtual Machine {picky.name}"]
    told = cluster.call("MSCluster_Resource", names[0], "GetPossibleOwners")
    assert told == {"NodeNames": ["hv02", "hv05"]}
    for other in world.clusters["prod"].nodes[2:]:
        other.memory = 256 * GIB
    world.node("hv01").memory = 256 * GIB
    cluster.pause("hv02", DrainType="1")
    clock.forward(60)
    world.settle()
    assert picky.node.name == "hv05"
    assert cluster.owned("hv02") == {large.group, stuck.group}
    codes = {
        cluster.data(event, "ResourceGroup"): cluster.data(event, "ErrorCode")
        for event in cluster.logged("hv02", "System", 1137)
    }
    assert codes == {large.group: "5957", stuck.group: "5005"}
    assert all(each.free_memory >= 0 for each in world.clusters["prod"].nodes)
    (system,) = cluster.rows("hv05", "SELECT * FROM Win32_OperatingSystem", "root/cimv2")
    assert system["FreePhysicalMemory"] == world.node("hv05").free_memory // 1024


def test_forced_out_a_guest_that_fits_nowhere_is_stopped_and_moved(cluster, world, clock):
    guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
    guest.memory = 600 * GIB
    cluster.pause("hv02", DrainType="2")
    clock.forward(60)
    assert cluster.node("hv02")["NodeDrainStatus"] == 2
    assert (guest.state, guest.node.name == "hv02") == ("off", False)
    assert world.machine(guest.name).trouble.refuse


def test_a_plain_pause_moves_nothing(cluster, clock):
    home = cluster.owned("hv02")
    cluster.pause("hv02")
    clock.forward(60)
    assert (cluster.node("hv02")["State"], cluster.node("hv02")["NodeDrainStatus"]) == (2, 0)
    assert cluster.owned("hv02") == home


@pytest.mark.parametrize(("failback", "back"), [("0", "none"), ("1", "all"), ("2", "by policy"), (None, "none")])
def test_failback_brings_back_whom_it_says(cluster, world, clock, failback, back):
    home = cluster.owned("hv02")
    by_policy = {guest.group for guest in world.node("hv02").guests[:2]}
    for guest in world.node("hv02").guests[:2]:
        guest.fails_back = True
    shown = cluster.rows("hv01", "SELECT * FROM MSCluster_ResourceGroup WHERE AutoFailbackType=1")
    assert {row["Name"] for row in shown} == by_policy
    cluster.pause("hv02", DrainType="1")
    clock.forward(60)
    cluster.resume("hv02", **({} if failback is None else {"FailbackType": failback}))
    assert (cluster.node("hv02")["State"], cluster.node("hv02")["NodeDrainStatus"]) == (0, 0)
    clock.forward(60)
    assert cluster.owned("hv02") == {"none": set(), "all": home, "by policy": by_policy}[back]


def test_a_guest_that_is_locked_does_not_come_back(cluster, world, clock):
    home = world.node("hv02").guests
    cluster.pause("hv02", DrainType="1")
    clock.forward(60)
    world.settle()
    locked = next(guest for guest in home if guest.state == "running")
    locked.locked = True
    cluster.resume("hv02", FailbackType="1")
    clock.forward(60)
    world.settle()
    assert {guest.name for guest in home if guest.node.name != "hv02"} == {locked.name}
    assert cluster.data(cluster.logged(locked.node.name, "System", 1155)[0], "ResourceGroup") == locked.group


def test_a_node_resumed_while_it_drains_keeps_the_rest(cluster, clock):
    home = cluster.owned("hv02")
    cluster.pause("hv02", DrainType="1")
    clock.forward(2)
    cluster.resume("hv02", FailbackType="0")
    clock.forward(60)
    left = home - cluster.owned("hv02")
    assert 1 <= len(left) <= 2, "what was on its way arrives"
    assert (cluster.node("hv02")["State"], cluster.node("hv02")["NodeDrainStatus"]) == (0, 0)


def test_several_nodes_may_be_paused_and_the_last_ones_guests_have_nowhere_to_go(cluster, clock):
    for number in range(1, 6):
        cluster.pause(f"hv0{number}")
    cluster.pause("hv06", DrainType="1")
    clock.forward(60)
    assert cluster.node("hv06")["NodeDrainStatus"] == 3
    assert {cluster.data(event, "ErrorCode") for event in cluster.logged("hv06", "System", 1137)} == {"5005"}


def test_what_the_cluster_refuses(cluster, world):
    with cluster.refused(5058):
        cluster.resume("hv02", FailbackType="0")
    with cluster.refused(5042):
        cluster.pause("hv02", DrainType="1", TargetNode="hv99")
    assert cluster.node("hv02")["State"] == 0
    cluster.pause("hv02", DrainType="1")
    with cluster.refused(5962):
        cluster.pause("hv02", DrainType="1")
    world.node("hv04").state = 1
    with cluster.refused(5050):
        cluster.pause("hv04", DrainType="1")
    for params, hresult in (
        ({"DrainType": "7"}, 0x80041008),
        ({"DrainType": "one"}, 0x80041008),
        ({"draintype": "1"}, 0x8004102F),
        ({"Force": "true"}, 0x8004102F),
    ):
        with pytest.raises(WmiFailure) as wrong:
            cluster.pause("hv03", **params)
        assert wrong.value.hresult == hresult
    with pytest.raises(WmiFailure, match="0x80041002"):
        cluster.pause("hv99", DrainType="1")


def test_2008_r2_pauses_but_knows_no_draining(clock, cluster):
    cluster.world = make(clock=clock, releases={"prod": "2008R2"})
    for params in ({"DrainType": "1"}, {"DrainType": "0"}, {"TargetNode": "hv01"}):
        with pytest.raises(WmiFailure, match="0x8004102F"):
            cluster.pause("hv02", **params)
    with pytest.raises(WmiFailure, match="0x8004102F"):
        cluster.resume("hv02", FailbackType="1")
    with pytest.raises(WmiFailure, match="0x8004102E"):
        cluster.call("MSCluster_Node", "hv02", "WillOfflineLoseQuorum")
    cluster.pause("hv02")
    clock.forward(60)
    row = cluster.node("hv02")
    assert (row["State"], "NodeDrainStatus" in row) == (2, False)
    cluster.resume("hv02")
    assert cluster.node("hv02")["State"] == 0


def test_the_newer_clusters_tell_the_drain_in_status_information(cluster, world, clock):
    def status() -> int:
        (row,) = cluster.rows("br02", "SELECT * FROM MSCluster_Node WHERE Name='br01'")
        return row["StatusInformation"]

    assert status() == 0
    cluster.call("MSCluster_Node", "br01", "Pause", by="br02", DrainType="1")
    assert status() == 4
    clock.forward(90)
    assert status() == 8
    cluster.call("MSCluster_Node", "br01", "Resume", by="br02", FailbackType="0")
    assert status() == 0
    world.node("br03").guests[0].locked = True
    cluster.call("MSCluster_Node", "br03", "Pause", by="br02", DrainType="1")
    clock.forward(90)
    assert status() == 0
    (row,) = cluster.rows("br02", "SELECT * FROM MSCluster_Node WHERE Name='br03'")
    assert row["StatusInformation"] == 16


def test_shared_volumes_leave_a_node_that_is_drained(cluster, world):
    cluster.pause("hv01", DrainType="1")
    owned_by = {volume.owner.name for volume in world.clusters["prod"].shared_volumes}
    assert "hv01" not in owned_by
    (group,) = cluster.rows("hv02", "SELECT * FROM MSCluster_ResourceGroup WHERE Name='Cluster Group'")
    assert group["OwnerNode"] == "hv02"


def test_a_cancelled_guest_makes_the_drain_fail(cluster, world, clock):
    cluster.pause("hv02", DrainType="1")
    clock.forward(0.5)
    world.settle()
    (guest,) = [guest for guest in world.node("hv02").guests if guest.move]
    cluster.call("MSCluster_ResourceGroup", guest.group, "CancelOperation", Flags="0")
    clock.forward(60)
    world.settle()
    assert cluster.node("hv02")["NodeDrainStatus"] == 3
    assert cluster.owned("hv02") == {guest.group}


def test_low_priority_guests_are_moved_by_quick_migration(cluster, world, clock):
    (kind,) = cluster.rows("hv01", "SELECT * FROM MSCluster_ResourceType WHERE Name='Virtual Machine'")
    threshold = kind["PrivateProperties"].properties["MoveTypeThreshold"]
    guest = world.guest("lab-dc-01")
    (group,) = cluster.rows("hv01", f"SELECT * FROM MSCluster_ResourceGroup WHERE Name='{guest.group}'")
    assert group["Priority"] < threshold == 2000
    home = guest.node
    cluster.pause(home.name, DrainType="1")
    seen = set()
    for _ in range(400):
        clock.forward(0.25)
        world.settle()
        seen |= {(guest.state, guest.node is home)}
    assert ("saved", True) in seen
    assert (guest.state, guest.node is home) == ("running", False)


def test_possible_owners_are_every_node_unless_somebody_limited_them(cluster, world):
    world.guest("sql-01").possible_owners = frozenset({"hv01", "hv02"})
    found = cluster.rows("hv01", "SELECT * FROM MSCluster_ResourceToPossibleOwner")
    by_resource: dict[str, set[str]] = {}
    for row in found:
        by_resource.setdefault(row["GroupComponent"].keys["Name"], set()).add(row["PartComponent"].keys["Name"])
    assert by_resource["Virtual Machine sql-01"] == {"hv01", "hv02"}
    assert len(by_resource["Virtual Machine sql-02"]) == 6
