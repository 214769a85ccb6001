"""Nodes that are paused, drained and resumed, and guests that move; seen through WMI only."""

from __future__ import annotations

from itertools import pairwise
from xml.etree.ElementTree import fromstring

import pytest

from lab.windows.machine import WmiFailure
from lab.windows.query import wql_rows
from lab.world.make import make
from lab.world.model import GIB

CLUSTER, HYPER_V = "root/MSCluster", "root/virtualization/v2"
NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"
MIGRATING = 32774


def rows(world, machine: str, query: str, namespace: str = CLUSTER):
    return [row.instance for row in wql_rows(world.machine(machine), namespace, query)]


def call(world, cls: str, name: str, method: str, by: str = "hv01", **params):
    return world.machine(by).invoke(CLUSTER, cls, {"Name": name}, method, params)


def pause(world, name: str, **params):
    return call(world, "MSCluster_Node", name, "Pause", **params)


def resume(world, name: str, **params):
    return call(world, "MSCluster_Node", name, "Resume", **params)


def node(world, name: str):
    return rows(world, "hv01", f"SELECT * FROM MSCluster_Node WHERE Name='{name}'")[0]


def owners(world) -> dict[str, str]:
    found = rows(world, "hv01", "SELECT * FROM MSCluster_ResourceGroup WHERE GroupType=111")
    return {row["Name"]: row["OwnerNode"] for row in found}


def owned(world, name: str) -> set[str]:
    return {group for group, owner in owners(world).items() if owner == name}


def logged(world, name: str, channel: str, event_id: int):
    output = world.machine(name).run(["wevtutil", "qe", channel, f"/q:*[System[(EventID={event_id})]]", "/e:Events"])
    return list(fromstring(output.stdout))


def data(event, name: str) -> str:
    return event.findtext(f"{NS}EventData/{NS}Data[@Name='{name}']")


def refused(code: int):
    return pytest.raises(WmiFailure, match=f"0x{0x80070000 | code:08X}")


def test_guests_leave_one_after_another(world, clock):
    home = owned(world, "hv02")
    assert pause(world, "hv02", DrainType="1") == {}
    assert (node(world, "hv02")["State"], node(world, "hv02")["NodeDrainStatus"]) == (2, 1)
    counts = [len(home)]
    for _ in range(400):
        clock.forward(0.25)
        counts.append(len(owned(world, "hv02")))
        moving = [
            row["ElementName"]
            for row in rows(world, "hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)
            if MIGRATING in row["OperationalStatus"]
        ]
        assert len(moving) <= 1
        if node(world, "hv02")["NodeDrainStatus"] != 1:
            break
    assert node(world, "hv02")["NodeDrainStatus"] == 2
    assert node(world, "hv02")["State"] == 2
    assert counts[-1] == 0
    assert all(before - after in {0, 1} for before, after in pairwise(counts))
    assert set(owners(world)) >= home, "no group is lost"
    running = [guest for guest in world.clusters["prod"].guests if guest.group in home and guest.state == "running"]
    live = [guest for guest in running if guest.priority >= 2000]
    vmms = "Microsoft-Windows-Hyper-V-VMMS-Admin"
    assert {event[1][0][0].text for event in logged(world, "hv02", vmms, 20415)} >= {guest.name for guest in live}


def test_a_guest_on_its_way_is_migrating_and_its_owner_changes_at_the_end(world, clock):
    pause(world, "hv02", DrainType="1", TargetNode="HV05")
    clock.forward(0.31)
    (name,) = [
        row["ElementName"]
        for row in rows(world, "hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)
        if row["OperationalStatus"] == (2, MIGRATING)
    ]
    guest = world.guest(name)
    (resource,) = rows(world, "hv01", f"SELECT * FROM MSCluster_Resource WHERE Name='Virtual Machine {name}'")
    assert resource["PrivateProperties"].properties["MigrationState"] == 2
    assert owners(world)[guest.group] == "hv02"
    assert node(world, "hv02")["NodeDrainTarget"] == "hv05"
    clock.forward(1.5)
    assert owners(world)[guest.group] == "hv05"
    shown = {row["ElementName"]: row for row in rows(world, "hv05", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)}
    assert shown[name]["OperationalStatus"] == (2,)
    assert world.machine(name).answers


def test_a_locked_guest_stays_and_makes_the_drain_fail(world, clock):
    guests = [guest for guest in world.node("hv02").guests if guest.state == "running"][:2]
    for guest in guests:
        guest.locked = True
    pause(world, "hv02", DrainType="1")
    clock.forward(60)
    assert (node(world, "hv02")["State"], node(world, "hv02")["NodeDrainStatus"]) == (2, 3)
    assert owned(world, "hv02") == {guest.group for guest in guests}
    failed = logged(world, "hv02", "System", 1137)
    assert {(data(event, "ResourceGroup"), data(event, "ErrorCode")) for event in failed} == {
        (guest.group, "5960") for guest in guests
    }
    assert len(logged(world, "hv02", "System", 1071)) == 2
    for guest in guests:
        guest.locked = False
    pause(world, "hv02", DrainType="1")
    clock.forward(10)
    assert node(world, "hv02")["NodeDrainStatus"] == 2
    assert owned(world, "hv02") == set()


def test_a_guest_that_is_locked_on_its_way_does_not_arrive(world, clock):
    pause(world, "hv02", DrainType="1")
    clock.forward(0.5)
    world.settle()
    (guest,) = [guest for guest in world.node("hv02").guests if guest.move]
    guest.locked = True
    clock.forward(2)
    world.settle()
    assert guest.node.name == "hv02"
    assert data(logged(world, "hv02", "System", 1137)[0], "ErrorCode") == "5960"


def test_memory_and_possible_owners_limit_where_guests_go(world, clock):
    running = [guest for guest in world.node("hv02").guests if guest.state == "running"]
    large, picky, stuck = running[:3]
    large.memory = 300 * GIB
    picky.possible_owners = frozenset({"hv02", "hv05"})
    stuck.possible_owners = frozenset({"hv02"})
    names = [f"SCVMM {picky.name}" if picky.group.startswith("SCVMM") else f"Virtual Machine {picky.name}"]
    told = call(world, "MSCluster_Resource", names[0], "GetPossibleOwners")
    assert told == {"NodeNames": ["hv02", "hv05"]}
    for other in world.clusters["prod"].nodes[2:]:
        other.memory = 256 * GIB
    world.node("hv01").memory = 256 * GIB
    pause(world, "hv02", DrainType="1")
    clock.forward(60)
    world.settle()
    assert picky.node.name == "hv05"
    assert owned(world, "hv02") == {large.group, stuck.group}
    codes = {data(event, "ResourceGroup"): data(event, "ErrorCode") for event in logged(world, "hv02", "System", 1137)}
    assert codes == {large.group: "5957", stuck.group: "5005"}
    assert all(each.free_memory >= 0 for each in world.clusters["prod"].nodes)
    (system,) = rows(world, "hv05", "SELECT * FROM Win32_OperatingSystem", "root/cimv2")
    assert system["FreePhysicalMemory"] == world.node("hv05").free_memory // 1024


def test_forced_out_a_guest_that_fits_nowhere_is_stopped_and_moved(world, clock):
    guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
    guest.memory = 600 * GIB
    pause(world, "hv02", DrainType="2")
    clock.forward(60)
    assert node(world, "hv02")["NodeDrainStatus"] == 2
    assert (guest.state, guest.node.name == "hv02") == ("off", False)
    assert world.machine(guest.name).trouble.refuse


def test_a_plain_pause_moves_nothing(world, clock):
    home = owned(world, "hv02")
    pause(world, "hv02")
    clock.forward(60)
    assert (node(world, "hv02")["State"], node(world, "hv02")["NodeDrainStatus"]) == (2, 0)
    assert owned(world, "hv02") == home


@pytest.mark.parametrize(("failback", "back"), [("0", "none"), ("1", "all"), ("2", "by policy"), (None, "none")])
def test_failback_brings_back_whom_it_says(world, clock, failback, back):
    home = owned(world, "hv02")
    by_policy = {guest.group for guest in world.node("hv02").guests[:2]}
    for guest in world.node("hv02").guests[:2]:
        guest.fails_back = True
    shown = rows(world, "hv01", "SELECT * FROM MSCluster_ResourceGroup WHERE AutoFailbackType=1")
    assert {row["Name"] for row in shown} == by_policy
    pause(world, "hv02", DrainType="1")
    clock.forward(60)
    resume(world, "hv02", **({} if failback is None else {"FailbackType": failback}))
    assert (node(world, "hv02")["State"], node(world, "hv02")["NodeDrainStatus"]) == (0, 0)
    clock.forward(60)
    assert owned(world, "hv02") == {"none": set(), "all": home, "by policy": by_policy}[back]


def test_a_guest_that_is_locked_does_not_come_back(world, clock):
    home = world.node("hv02").guests
    pause(world, "hv02", DrainType="1")
    clock.forward(60)
    world.settle()
    locked = next(guest for guest in home if guest.state == "running")
    locked.locked = True
    resume(world, "hv02", FailbackType="1")
    clock.forward(60)
    world.settle()
    assert {guest.name for guest in home if guest.node.name != "hv02"} == {locked.name}
    assert data(logged(world, locked.node.name, "System", 1155)[0], "ResourceGroup") == locked.group


def test_a_node_resumed_while_it_drains_keeps_the_rest(world, clock):
    home = owned(world, "hv02")
    pause(world, "hv02", DrainType="1")
    clock.forward(2)
    resume(world, "hv02", FailbackType="0")
    clock.forward(60)
    left = home - owned(world, "hv02")
    assert 1 <= len(left) <= 2, "what was on its way arrives"
    assert (node(world, "hv02")["State"], node(world, "hv02")["NodeDrainStatus"]) == (0, 0)


def test_several_nodes_may_be_paused_and_the_last_ones_guests_have_nowhere_to_go(world, clock):
    for number in range(1, 6):
        pause(world, f"hv0{number}")
    pause(world, "hv06", DrainType="1")
    clock.forward(60)
    assert node(world, "hv06")["NodeDrainStatus"] == 3
    assert {data(event, "ErrorCode") for event in logged(world, "hv06", "System", 1137)} == {"5005"}


def test_what_the_cluster_refuses(world):
    with refused(5058):
        resume(world, "hv02", FailbackType="0")
    with refused(5042):
        pause(world, "hv02", DrainType="1", TargetNode="hv99")
    assert node(world, "hv02")["State"] == 0
    pause(world, "hv02", DrainType="1")
    with refused(5962):
        pause(world, "hv02", DrainType="1")
    world.node("hv04").state = 1
    with refused(5050):
        pause(world, "hv04", DrainType="1")
    for params, hresult in (
        ({"DrainType": "7"}, 0x80041008),
        ({"DrainType": "one"}, 0x80041008),
        ({"draintype": "1"}, 0x8004102F),
        ({"Force": "true"}, 0x8004102F),
    ):
        with pytest.raises(WmiFailure) as wrong:
            pause(world, "hv03", **params)
        assert wrong.value.hresult == hresult
    with pytest.raises(WmiFailure, match="0x80041002"):
        pause(world, "hv99", DrainType="1")


def test_2008_r2_pauses_but_knows_no_draining(clock):
    world = make(clock=clock, releases={"prod": "2008R2"})
    for params in ({"DrainType": "1"}, {"DrainType": "0"}, {"TargetNode": "hv01"}):
        with pytest.raises(WmiFailure, match="0x8004102F"):
            pause(world, "hv02", **params)
    with pytest.raises(WmiFailure, match="0x8004102F"):
        resume(world, "hv02", FailbackType="1")
    with pytest.raises(WmiFailure, match="0x8004102E"):
        call(world, "MSCluster_Node", "hv02", "WillOfflineLoseQuorum")
    pause(world, "hv02")
    clock.forward(60)
    row = node(world, "hv02")
    assert (row["State"], "NodeDrainStatus" in row) == (2, False)
    resume(world, "hv02")
    assert node(world, "hv02")["State"] == 0


def test_the_newer_clusters_tell_the_drain_in_status_information(world, clock):
    def status() -> int:
        (row,) = rows(world, "br02", "SELECT * FROM MSCluster_Node WHERE Name='br01'")
        return row["StatusInformation"]

    assert status() == 0
    call(world, "MSCluster_Node", "br01", "Pause", by="br02", DrainType="1")
    assert status() == 4
    clock.forward(90)
    assert status() == 8
    call(world, "MSCluster_Node", "br01", "Resume", by="br02", FailbackType="0")
    assert status() == 0
    world.node("br03").guests[0].locked = True
    call(world, "MSCluster_Node", "br03", "Pause", by="br02", DrainType="1")
    clock.forward(90)
    assert status() == 0
    (row,) = rows(world, "br02", "SELECT * FROM MSCluster_Node WHERE Name='br03'")
    assert row["StatusInformation"] == 16


def test_shared_volumes_leave_a_node_that_is_drained(world):
    pause(world, "hv01", DrainType="1")
    owned_by = {volume.owner.name for volume in world.clusters["prod"].shared_volumes}
    assert "hv01" not in owned_by
    (group,) = rows(world, "hv02", "SELECT * FROM MSCluster_ResourceGroup WHERE Name='Cluster Group'")
    assert group["OwnerNode"] == "hv02"


class TestMoveToNewNode:
    def move(self, world, guest, **params):
        return call(world, "MSCluster_ResourceGroup", guest.group, "MoveToNewNode", **params)

    def test_it_saves_the_guest_and_restores_it_elsewhere(self, world, clock):
        guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
        assert self.move(world, guest, NodeName="hv04", TimeOut="60") == {}
        (row,) = rows(world, "hv01", f"SELECT * FROM MSCluster_ResourceGroup WHERE Name='{guest.group}'")
        assert (row["State"], row["OwnerNode"]) == (4, "hv02")
        assert world.machine(guest.name).trouble.refuse, "nobody reaches a guest that is saved"
        shown = {row["ElementName"]: row for row in rows(world, "hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)}
        assert shown[guest.name]["EnabledState"] == 6
        with refused(5908):
            self.move(world, guest, NodeName="hv05")
        clock.forward(2)
        assert owners(world)[guest.group] == "hv04"
        assert guest.state == "running"
        assert not world.machine(guest.name).trouble.refuse

    def test_it_can_be_cancelled(self, world, clock):
        guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
        self.move(world, guest, NodeName="hv04")
        clock.forward(1)
        assert call(world, "MSCluster_ResourceGroup", guest.group, "CancelOperation", Flags="0") == {}
        clock.forward(10)
        assert (owners(world)[guest.group], guest.state) == ("hv02", "running")
        assert not world.machine(guest.name).trouble.refuse

    def test_it_is_refused_for_locked_guests_and_nodes_that_cannot_take_them(self, world):
        guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
        with refused(5042):
            self.move(world, guest, NodeName="hv99")
        pause(world, "hv04")
        with refused(70):
            self.move(world, guest, NodeName="hv04")
        guest.memory = 600 * GIB
        with refused(5957):
            self.move(world, guest, NodeName="hv05")
        guest.locked = True
        with refused(5960):
            self.move(world, guest, NodeName="hv05")
        assert len(logged(world, "hv02", "System", 1071)) == 1
        with pytest.raises(WmiFailure, match="0x8004100C"):
            call(world, "MSCluster_ResourceGroup", "Cluster Group", "MoveToNewNode", NodeName="hv05")
        with pytest.raises(WmiFailure, match="0x80041002"):
            call(world, "MSCluster_ResourceGroup", "no such", "MoveToNewNode", NodeName="hv05")

    def test_what_does_not_run_moves_at_once_and_stays_off(self, world, clock):
        guest = world.guest("vdi-09")
        assert guest.state == "off"
        self.move(world, guest, NodeName="hv06" if guest.node.name != "hv06" else "hv05")
        clock.forward(0.3)
        assert (guest.state, guest.node.name in {"hv05", "hv06"}) == ("off", True)


def test_a_cancelled_guest_makes_the_drain_fail(world, clock):
    pause(world, "hv02", DrainType="1")
    clock.forward(0.5)
    world.settle()
    (guest,) = [guest for guest in world.node("hv02").guests if guest.move]
    call(world, "MSCluster_ResourceGroup", guest.group, "CancelOperation", Flags="0")
    clock.forward(60)
    world.settle()
    assert node(world, "hv02")["NodeDrainStatus"] == 3
    assert owned(world, "hv02") == {guest.group}


def test_low_priority_guests_are_moved_by_quick_migration(world, clock):
    (kind,) = rows(world, "hv01", "SELECT * FROM MSCluster_ResourceType WHERE Name='Virtual Machine'")
    threshold = kind["PrivateProperties"].properties["MoveTypeThreshold"]
    guest = world.guest("lab-dc-01")
    (group,) = rows(world, "hv01", f"SELECT * FROM MSCluster_ResourceGroup WHERE Name='{guest.group}'")
    assert group["Priority"] < threshold == 2000
    home = guest.node
    pause(world, home.name, DrainType="1")
    seen = set()
    for _ in range(400):
        clock.forward(0.25)
        world.settle()
        seen |= {(guest.state, guest.node is home)}
    assert ("saved", True) in seen
    assert (guest.state, guest.node is home) == ("running", False)


def test_possible_owners_are_every_node_unless_somebody_limited_them(world):
    world.guest("sql-01").possible_owners = frozenset({"hv01", "hv02"})
    found = rows(world, "hv01", "SELECT * FROM MSCluster_ResourceToPossibleOwner")
    by_resource: dict[str, set[str]] = {}
    for row in found:
        by_resource.setdefault(row["GroupComponent"].keys["Name"], set()).add(row["PartComponent"].keys["Name"])
    assert by_resource["Virtual Machine sql-01"] == {"hv01", "hv02"}
    assert len(by_resource["Virtual Machine sql-02"]) == 6
