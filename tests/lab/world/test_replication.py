"""Hyper-V Replica, pings, and findstr over the files that people write: as the documents say, not as anybody asks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lab.windows.machine_protocol import Reference, WmiFailure
from lab.windows.query import wql_rows
from lab.world.replication import replicate

SPACE = "root/virtualization/v2"


def ask(world, host, vm_id):
    machine = Reference(SPACE, "Msvm_ComputerSystem", {"CreationClassName": "Msvm_ComputerSystem", "Name": vm_id})
    keys = {"CreationClassName": "Msvm_ReplicationService"}
    params = {"ComputerSystem": machine}
    return world.machine(host).invoke(SPACE, "Msvm_ReplicationService", keys, "GetReplicationStatistics", params)


@pytest.fixture
def copy(world):
    return replicate(world.guest("app-01"), world.node("br01"), last=world.now - timedelta(minutes=2))


def test_both_ends_bear_one_id_and_only_the_copy_knows_of_tests(world, copy):
    copy.replication.tested = world.now - timedelta(days=3)
    (row,) = world.machine("br01").instances(SPACE, "Msvm_ReplicationRelationship")
    assert row["InstanceID"] == f"Microsoft:{copy.vm_id.upper()}\\HVR\\0"
    here, there = ask(world, "br01", copy.vm_id), ask(world, world.guest("app-01").node.name, copy.vm_id)
    assert f"{copy.replication.tested:%Y%m%d}" in here["ReplicationStatistics"][0]
    assert "16010101000000.000000+000" in there["ReplicationStatistics"][0]


def test_a_machine_that_is_not_there_and_one_that_is_no_reference(world, copy):
    assert ask(world, "br02", copy.vm_id)["ReturnValue"] == 32779
    keys = {"CreationClassName": "Msvm_ReplicationService"}
    with pytest.raises(WmiFailure):
        world.machine("br01").invoke(
            SPACE, "Msvm_ReplicationService", keys, "GetReplicationStatistics", {"ComputerSystem": "x"}
        )


def ping(world, host, where):
    return [
        row.instance for row in wql_rows(world.machine(host), "root/cimv2", f"SELECT * FROM Win32_PingStatus{where}")
    ]


def test_a_ping_is_made_of_what_is_asked(world):
    world.link_delay = 12
    assert ping(world, "hv01", "") == []
    assert ping(world, "hv01", " WHERE Address = 'br01'")[0]["ResponseTime"] == 12
    assert ping(world, "hv01", " WHERE Address = 'hv02.corp.example'")[0]["ResponseTime"] == 0
    nobody = ping(world, "hv01", " WHERE Address = 'nobody'")[0]
    assert (nobody.get("StatusCode"), nobody["PrimaryAddressResolutionStatus"]) == (None, 11001)
    world.trouble("br02", "hang", on=True)
    assert ping(world, "hv01", " WHERE Address = 'br02'")[0]["StatusCode"] == 11010


def test_some_of_a_series_get_lost_between_clusters(world):
    world.link_delay, world.link_loss = 12, 35
    codes = [
        ping(world, "hv01", f" WHERE Address = 'br01' AND BufferSize = {size}")[0]["StatusCode"]
        for size in range(32, 42)
    ]
    assert codes == [11010] * 3 + [0] * 7


def test_findstr_below_a_folder_prints_file_and_number(world):
    windows = world.machine("app-01").windows
    windows.text_files = {
        "C:\\app\\a.ini": "x=1\ny=10.1.2.3\n",
        "C:\\app\\bin\\b.config": "10.1.2.4\n",
        "C:\\other\\c.ini": "10.9.9.9\n",
    }
    found = world.machine("app-01").run(
        ["findstr", "/S", "/N", "/R", "[0-9]*\\.[0-9]", "C:\\app\\*.ini", "C:\\app\\*.config"]
    )
    assert found.stdout == "C:\\app\\a.ini:2:y=10.1.2.3\r\nC:\\app\\bin\\b.config:1:10.1.2.4\r\n"
    assert world.machine("app-01").run(["findstr", "/N", ".", "C:\\app\\a.ini"]).stdout == "1:x=1\r\n2:y=10.1.2.3\r\n"
