"""What a guest is made of, as the class pages and published drivers have it; which Windows has which class."""

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.windows.query import wql_rows

NAMESPACE = "root/virtualization/v2"
OLD, NEW = "hv03", "br01"


def rows(world, machine, query):
    return [row.instance for row in wql_rows(world.machine(machine), NAMESPACE, query)]


@pytest.mark.parametrize(
    ("cls", "old", "new"),
    [
        ("Msvm_PciExpressSettingData", False, True),
        ("Msvm_GpuPartitionSettingData", False, True),
        ("Msvm_SecuritySettingData", False, True),
        ("Msvm_Synthetic3DDisplayControllerSettingData", True, True),
        ("Msvm_ResourceAllocationSettingData", True, True),
    ],
)
def test_a_class_is_there_from_its_windows_on(world, cls, old, new):
    for machine, known in ((OLD, old), (NEW, new)):
        if known:
            rows(world, machine, f"SELECT InstanceID FROM {cls}")
        else:
            with pytest.raises(WmiFailure, match="0x80041010"):
                rows(world, machine, f"SELECT InstanceID FROM {cls}")


def test_by_default_nothing_binds_a_guest(world):
    physical = "SELECT InstanceID FROM Msvm_ResourceAllocationSettingData WHERE ResourceSubType LIKE 'Microsoft:Hyper-V:Physical%'"
    assert rows(world, NEW, physical) == []
    assert rows(world, NEW, "SELECT InstanceID FROM Msvm_PciExpressSettingData") == []
    discs = "SELECT HostResource FROM Msvm_StorageAllocationSettingData WHERE ResourceSubType='Microsoft:Hyper-V:Virtual CD/DVD Disk'"
    assert rows(world, NEW, discs) == []
    assert not any(row["TpmEnabled"] for row in rows(world, NEW, "SELECT * FROM Msvm_SecuritySettingData"))


def test_what_a_guest_has_is_told_with_its_id(world):
    guest = world.node(NEW).guests[0]
    guest.disc, guest.tpm = "D:\\iso\\w.iso", True
    guest.physical_disks, guest.assigned_devices = ("Msvm_DiskDrive=4",), ("PCIROOT(0)#PCI(0300)",)
    every = (
        "SELECT * FROM Msvm_ResourceAllocationSettingData WHERE ResourceSubType='Microsoft:Hyper-V:Physical Disk Drive'",
        "SELECT * FROM Msvm_StorageAllocationSettingData WHERE ResourceSubType='Microsoft:Hyper-V:Virtual CD/DVD Disk'",
        "SELECT * FROM Msvm_SecuritySettingData WHERE TpmEnabled=TRUE",
        "SELECT * FROM Msvm_PciExpressSettingData",
    )
    for query in every:
        (row,) = rows(world, NEW, query)
        assert row["InstanceID"].startswith(f"Microsoft:{guest.vm_id.upper()}\\")
