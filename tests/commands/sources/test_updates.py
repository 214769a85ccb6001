"""Builds, listed updates, pending reboots, disks on SCSI controllers."""

import pytest

from bot.api.rows import CellError
from commands.sources.cluster import Node
from commands.sources.scsi_disks import scsi_disks
from commands.sources.updates import Build, listed_updates, registry_subkeys, scsi_guests, windows_build

VM = "0000000A-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"CurrentBuildNumber": "7601", "UBR": None}, "7601"),
        ({"CurrentBuildNumber": "14393", "UBR": "6897"}, "14393.6897"),
        ({"CurrentBuildNumber": "20348"}, "20348"),
    ],
)
def test_builds_are_shown_as_winver_does(row, shown):
    assert str(windows_build("hv03").read([row])) == shown


@pytest.mark.parametrize("rows", [[], [{}], [{"CurrentBuildNumber": None}], [{"CurrentBuildNumber": "ten"}]])
def test_no_build_is_no_answer(rows):
    with pytest.raises(CellError):
        windows_build("hv03").read(rows)


def test_builds_compare_by_value():
    assert Build(7601, None) == windows_build("hv03").read([{"CurrentBuildNumber": "7601"}])
    assert Build(14393, 1) != Build(14393, 2)


def test_only_kb_numbers_count_and_each_once():
    ids = [
        "KB2616676",
        "kb2616676",
        "KB2616676-v2",
        "KB2616676-V2",
        "File 1",
        "",
        " KB976902 ",
        "KB1",
        "Service Pack 1",
    ]
    assert listed_updates("hv03").read([{"HotFixID": one} for one in ids]) == {"KB2616676", "KB2616676-v2", "KB976902"}
    assert listed_updates("hv03").read([]) == frozenset()


def test_subkeys_in_lower_case_and_none_where_there_is_no_key():
    assert registry_subkeys("hv03", "KEY").read([{"subkeys": ("RebootPending", "Packages")}]) == {
        "rebootpending",
        "packages",
    }
    assert registry_subkeys("hv03", "KEY").read([{"subkeys": "RebootPending"}]) == {"rebootpending"}
    assert registry_subkeys("hv03", "KEY").read([{"subkeys": None}]) == frozenset()


def setting(key, kind, parent=None):
    path = (
        f'\\\\HV03\\root\\virtualization:Msvm_ResourceAllocationSettingData.InstanceID="{parent}"' if parent else None
    )
    return {
        "InstanceID": f"Microsoft:{VM}\\{key}",
        "ResourceSubType": f"Microsoft {kind}",
        "Parent": path and path.replace("Microsoft:", f"Microsoft:{VM}\\").replace(f"{VM}\\", f"{VM}\\\\"),
    }


def test_a_disk_is_followed_to_its_controller():
    rows = [
        setting("scsi", "Synthetic SCSI Controller"),
        setting("drive", "Synthetic Disk Drive", "Microsoft:scsi"),
        setting("disk", "Virtual Hard Disk", "Microsoft:drive"),
    ]
    assert scsi_guests(Node("hv03", 7601)).read(rows) == {VM}
    assert scsi_guests(Node("hv03", 7601)).read(rows[1:]) == frozenset()  # an IDE controller is not among the rows
    assert scsi_guests(Node("hv03", 7601)).read(rows[:2]) == frozenset()  # a drive without a disk
    assert scsi_guests(Node("hv03", 7601)).read([]) == frozenset()


@pytest.mark.parametrize("column", ["InstanceID", "ResourceSubType", "Parent"])
@pytest.mark.parametrize("told", [None, ""])
def test_a_disk_that_does_not_tell_where_it_belongs_may_be_on_a_scsi_controller(column, told):
    rows = [
        setting("scsi", "Synthetic SCSI Controller"),
        setting("drive", "Synthetic Disk Drive", "Microsoft:scsi"),
        setting("disk", "Virtual Hard Disk", "Microsoft:drive"),
    ]
    for number in (1, 2):
        odd = [row | ({column: told} if at == number else {}) for at, row in enumerate(rows)]
        for source in (scsi_guests(Node("hv03", 7601)), scsi_disks(Node("hv03", 7601))):
            with pytest.raises(CellError):
                source.read(odd)
    default = {"InstanceID": f"Microsoft:Definition\\{VM}\\Default", "ResourceSubType": "Microsoft Virtual Hard Disk"}
    assert scsi_guests(Node("hv03", 7601)).read([*rows, default]) == {VM}
