"""Disks and partitions as each provider tells them, and what findstr finds."""

from __future__ import annotations

import pytest

STORAGE = "root/Microsoft/Windows/Storage"
MSR = "{e3c9e316-0b5c-4db8-817d-f92df00215ae}"


def partitions(world, node, disk=0):
    rows = world.machine(node).instances(STORAGE, "MSFT_Partition")
    return [row for row in rows if row["DiskNumber"] == disk]


def older(world, node):
    return list(world.machine(node).instances("root/cimv2", "Win32_DiskPartition"))


@pytest.mark.parametrize(("reserved", "order"), [("behind", [3]), ("first", [1]), ("none", [])])
def test_the_reserved_partition_is_known_to_one_provider_only(world, reserved, order):
    world.node("hv01").reserved = reserved
    rows = partitions(world, "hv01")
    assert [row["PartitionNumber"] for row in rows if row["GptType"] == MSR] == order
    assert [row["Offset"] for row in rows] == sorted(row["Offset"] for row in rows)
    own = [row for row in older(world, "hv01") if row["DiskIndex"] == 0]
    assert [row["Index"] for row in own] == [0, 1, 2]
    assert [row["Type"] for row in own] == ["GPT: Unknown", "GPT: System", "GPT: Basic Data"]


def test_partitions_do_not_overlap(world):
    for node in ("hv01", "br01"):
        rows = partitions(world, node)
        ends = [row["Offset"] + row["Size"] for row in rows]
        assert all(end <= row["Offset"] for end, row in zip(ends, rows[1:], strict=False))


def test_a_dynamic_disk_is_known_to_the_older_provider_only(world):
    world.node("hv01").dynamic_disks = frozenset({0})
    disks = [row["Number"] for row in world.machine("hv01").instances(STORAGE, "MSFT_Disk")]
    assert 0 not in disks
    assert not partitions(world, "hv01")
    assert "GPT: Logical Disk Manager Data" in {row["Type"] for row in older(world, "hv01")}


def test_shared_disks_have_one_serial_number_on_all_nodes(world):
    serials = [
        {row["Number"]: row["SerialNumber"] for row in world.machine(node).instances(STORAGE, "MSFT_Disk")}
        for node in ("hv01", "hv02")
    ]
    assert serials[0][1] == serials[1][1]
    assert serials[0][0] != serials[1][0]


def test_findstr_reads_setups_log(world):
    run = world.machine("hv01").run
    log = "C:\\Windows\\Panther\\setupact.log"
    found = run(["findstr", "/C:Detected boot environment", log])
    assert (found.exit_code, found.stdout.endswith("environment: UEFI\r\n")) == (0, True)
    assert run(["findstr", "/C:Detected unicorn", log]).exit_code == 1
    assert run(["findstr", "/C:x", "C:\\no.log"]).stderr == "FINDSTR: Cannot open C:\\no.log\r\n"
    assert run(["findstr", log]).exit_code == 2
