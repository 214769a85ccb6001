"""Guests that are moved by MoveToNewNode; seen through WMI."""

from __future__ import annotations

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.world.model import GIB

HYPER_V = "root/virtualization/v2"


def move(cluster, guest, **params):
    return cluster.call("MSCluster_ResourceGroup", guest.group, "MoveToNewNode", **params)


def test_it_saves_the_guest_and_restores_it_elsewhere(cluster, world, clock):
    guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
    assert move(cluster, guest, NodeName="hv04", TimeOut="60") == {}
    (row,) = cluster.rows("hv01", f"SELECT * FROM MSCluster_ResourceGroup WHERE Name='{guest.group}'")
    assert (row["State"], row["OwnerNode"]) == (4, "hv02")
    assert world.machine(guest.name).trouble.refuse, "nobody reaches a guest that is saved"
    shown = {row["ElementName"]: row for row in cluster.rows("hv02", "SELECT * FROM Msvm_ComputerSystem", HYPER_V)}
    assert shown[guest.name]["EnabledState"] == 6
    with cluster.refused(5908):
        move(cluster, guest, NodeName="hv05")
    clock.forward(2)
    assert cluster.owners()[guest.group] == "hv04"
    assert guest.state == "running"
    assert not world.machine(guest.name).trouble.refuse


def test_it_can_be_cancelled(cluster, world, clock):
    guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
    move(cluster, guest, NodeName="hv04")
    clock.forward(1)
    assert cluster.call("MSCluster_ResourceGroup", guest.group, "CancelOperation", Flags="0") == {}
    clock.forward(10)
    assert (cluster.owners()[guest.group], guest.state) == ("hv02", "running")
    assert not world.machine(guest.name).trouble.refuse


def test_it_is_refused_for_locked_guests_and_nodes_that_cannot_take_them(cluster, world):
    guest = next(guest for guest in world.node("hv02").guests if guest.state == "running")
    with cluster.refused(5042):
        move(cluster, guest, NodeName="hv99")
    cluster.pause("hv04")
    with cluster.refused(70):
        move(cluster, guest, NodeName="hv04")
    guest.memory = 600 * GIB
    with cluster.refused(5957):
        move(cluster, guest, NodeName="hv05")
    guest.locked = True
    with cluster.refused(5960):
        move(cluster, guest, NodeName="hv05")
    assert len(cluster.logged("hv02", "System", 1071)) == 1
    with pytest.raises(WmiFailure, match="0x8004100C"):
        cluster.call("MSCluster_ResourceGroup", "Cluster Group", "MoveToNewNode", NodeName="hv05")
    with pytest.raises(WmiFailure, match="0x80041002"):
        cluster.call("MSCluster_ResourceGroup", "no such", "MoveToNewNode", NodeName="hv05")


def test_what_does_not_run_moves_at_once_and_stays_off(cluster, world, clock):
    guest = world.guest("vdi-09")
    assert guest.state == "off"
    move(cluster, guest, NodeName="hv06" if guest.node.name != "hv06" else "hv05")
    clock.forward(0.3)
    assert (guest.state, guest.node.name in {"hv05", "hv06"}) == ("off", True)
