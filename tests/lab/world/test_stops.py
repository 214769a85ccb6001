"""Stops of practice guests as their logs and their hosts have them; drivers and checkpoints."""

from datetime import timedelta

import pytest

from lab.world import events, factory

DRIVER = "c:\\windows\\system32\\drivers\\storvsc.sys"


@pytest.fixture
def world():
    return factory.make(seed=1, releases={"prod": "2008R2"})


def logged(world, name):
    return list(world.machine(name).instances("root/cimv2", "Win32_NTLogEvent"))


def test_a_stop_is_in_the_system_log_by_its_provider(world):
    guest, at = world.guest("sql-01"), world.now - timedelta(hours=1)
    for one in (events.bugcheck(0xD1, at), events.unclean_start(at, 0xD1), events.application_fault(at)):
        world.log(guest, one)
    found = {
        row["SourceName"]: (row["Logfile"], row["EventCode"], row["InsertionStrings"][0])
        for row in logged(world, "sql-01")
    }
    stop = "0x000000d1 (0x0000000000000028, 0x0000000000000002, 0x0000000000000000, 0xfffff88001c3e2b8)"
    assert found["BugCheck"] == ("System", 1001, stop)
    assert found["Microsoft-Windows-Kernel-Power"] == ("System", 41, "209")
    assert found["Windows Error Reporting"][:2] == ("Application", 1001)


def test_the_driver_is_that_of_its_windows_unless_it_was_replaced(world):
    def versions():
        return {row["Name"]: row["Version"] for row in world.machine("sql-01").instances("root/cimv2", "CIM_DataFile")}

    assert versions() == {DRIVER: "6.1.7601.17514"}
    world.guest("sql-01").files["C:\\Windows\\system32\\drivers\\storvsc.sys"] = "6.1.7601.21680"
    assert versions() == {DRIVER: "6.1.7601.21680"}


def test_a_checkpoint_makes_an_avhd_of_a_disk(world):
    world.guest("sql-01").checkpointed.add(1)
    node = world.guest("sql-01").node.name
    rows = world.machine(node).instances("root/virtualization", "Msvm_ResourceAllocationSettingData")
    files = [row["Connection"][0] for row in rows if row["Connection"] and "sql-01\\" in row["Connection"][0]]
    assert [file.rpartition(".")[2] for file in files] == ["vhd", "avhd", "vhd", "vhd"]
