"""A node that was evicted: its cluster lists it no more, its own service is disabled, and it can be installed anew."""

from __future__ import annotations

import pytest

from lab.scenarios.boot_layout import is_uefi, lay_out_for_bios
from lab.windows.machine_protocol import WmiFailure
from lab.world.eviction import evict, install_for_uefi, remove_paths

STORAGE, CLUSTER = "root/Microsoft/Windows/Storage", "root/MSCluster"


def names(world, cls="MSCluster_Node", on="hv01"):
    return [row["Name"] for row in world.machine(on).instances(CLUSTER, cls)]


def evicted(world):
    node = world.node("hv05")
    for guest in node.guests:
        guest.node = world.node("hv01")
    evict(node)
    return node


def test_the_cluster_lists_it_no_more_and_it_has_no_cluster_of_its_own(world):
    node = evicted(world)
    assert "hv05" not in [name.casefold() for name in names(world)]
    assert all(volume.owner is not node for volume in node.cluster.shared_volumes)
    assert (node.service("clussvc").state, node.service("clussvc").start) == ("Stopped", "Disabled")
    with pytest.raises(WmiFailure, match="endpoint"):
        names(world, on="hv05")
    assert not [key for key in world.machine("hv05").registry() if key.startswith("Cluster")]


def test_without_its_paths_it_sees_its_own_disk_alone(world):
    node = evicted(world)
    remove_paths(node)
    assert [row["Number"] for row in world.machine("hv05").instances(STORAGE, "MSFT_Disk")] == [0]


def test_installed_anew_it_has_another_layout_on_the_same_disk(world):
    node = evicted(world)
    lay_out_for_bios(node)
    remove_paths(node)
    (before,) = world.machine("hv05").instances(STORAGE, "MSFT_Disk")
    install_for_uefi(world, node)
    (after,) = world.machine("hv05").instances(STORAGE, "MSFT_Disk")
    assert (before["PartitionStyle"], after["PartitionStyle"]) == (1, 2)
    assert before["SerialNumber"] == after["SerialNumber"]
    assert is_uefi(node)
    types = [row["GptType"] for row in world.machine("hv05").instances(STORAGE, "MSFT_Partition")]
    assert types[0] == "{e3c9e316-0b5c-4db8-817d-f92df00215ae}"
