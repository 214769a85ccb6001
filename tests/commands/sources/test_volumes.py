"""Room for a shadow copy, at the thresholds and around them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.rows import CellError
from commands.formatting import GIB, MIB
from commands.sources.guests import Guest, HostedGuest, Power
from commands.sources.kvp import KvpInfo
from commands.sources.volumes import FREE_ON_LARGER, FREE_ON_SMALL, SMALL_VOLUME, Room, Volume, guest_volumes

GUEST = HostedGuest(Guest("V", "sql-07", Power.RUNNING), "hv03", KvpInfo("sql-07.corp.example"), "")


def row(**over):
    return {
        "Name": "C:\\",
        "DriveLetter": "C:",
        "Label": "",
        "FileSystem": "NTFS",
        "Capacity": str(80 * GIB),
        "FreeSpace": str(GIB),
    } | over


HIDDEN = {"Name": "\\\\?\\Volume{1}\\", "DriveLetter": None}


@pytest.mark.parametrize(
    ("free", "room"),
    [
        (0, Room.FULL),
        (320 * MIB - 1, Room.FULL),
        (320 * MIB, Room.LOW),
        (GIB - 1, Room.LOW),
        (GIB, Room.LITTLE_HEADROOM),
        (8 * GIB - 1, Room.LITTLE_HEADROOM),
        (8 * GIB, Room.ENOUGH),
    ],
)
def test_thresholds_of_an_ordinary_volume(free, room):
    assert Volume("C:", reserved=False, capacity=80 * GIB, free=free).room(GIB, 10) is room


@pytest.mark.parametrize(
    ("capacity", "free", "room"),
    [
        (350 * MIB, 32 * MIB - 1, Room.RESERVED_TIGHT),
        (350 * MIB, 32 * MIB, Room.ENOUGH),
        (SMALL_VOLUME, 32 * MIB, Room.ENOUGH),
        (SMALL_VOLUME + 1, 32 * MIB, Room.ENOUGH),
        (2 * 2**40, 0, Room.RESERVED_TIGHT),
    ],
)
def test_reserved_partitions_are_tight_and_never_full(capacity, free, room):
    assert Volume("x", reserved=True, capacity=capacity, free=free).room(GIB, 10) is room


def test_a_small_data_volume_cannot_be_asked_for_more_than_it_holds():
    assert Volume("E:", reserved=False, capacity=2 * GIB, free=400 * MIB).room(2 * GIB, 50) is Room.ENOUGH
    assert Volume("E:", reserved=False, capacity=2 * GIB, free=400 * MIB).room(GIB, 0) is Room.LOW


@given(
    capacity=st.integers(1, 4 * 2**40),
    share=st.integers(0, 1000),
    reserved=st.booleans(),
    least=st.integers(0, 2**40),
    percent=st.integers(0, 100),
)
@settings(max_examples=200)
def test_more_free_space_is_never_worse(capacity, share, reserved, least, percent):
    free = capacity * share // 1000
    volume = Volume("C:", reserved=reserved, capacity=capacity, free=free)
    more = Volume("C:", reserved=reserved, capacity=capacity, free=min(capacity, free + capacity // 7))
    assert volume.room(least, percent) <= more.room(least, percent)
    floor = FREE_ON_LARGER if capacity > SMALL_VOLUME else FREE_ON_SMALL
    assert (volume.room(least, percent) is Room.FULL) == (free < floor and not reserved)
    assert 0 <= volume.percent <= 100


def test_letters_mount_points_and_hidden_partitions():
    volumes = guest_volumes(GUEST).read(
        [
            row(),
            row(Name="C:\\Data\\", DriveLetter=None),
            row(**HIDDEN, Label="Réservé au système", Capacity=str(350 * MIB), FreeSpace=str(60 * MIB)),
            row(**HIDDEN, FileSystem="FAT32", Capacity=str(99 * MIB), FreeSpace=str(60 * MIB)),
            row(Name="S:\\", DriveLetter="S:", Capacity=str(500 * MIB), FreeSpace=str(60 * MIB)),
        ]
    )
    assert [(one.name, one.reserved) for one in volumes.judged] == [
        ("C:", False),
        ("C:\\Data", False),
        ("Réservé au système partition (350 MB)", True),
        ("EFI partition (99 MB)", True),
        ("S:", False),
    ]


def test_volumes_without_a_size_are_named_if_they_have_a_name():
    volumes = guest_volumes(GUEST).read(
        [row(), row(Name="E:\\", DriveLetter="E:", Capacity=None, FreeSpace=None), row(**HIDDEN, Capacity=None)]
    )
    assert [one.name for one in volumes.judged] == ["C:"]
    assert volumes.unread == ("E:",)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(**HIDDEN, Capacity=None)],
        [row(FreeSpace=str(81 * GIB))],
        [row(FreeSpace="-1")],
        [row(FreeSpace=None)],
        [row(FreeSpace="plenty")],
    ],
    ids=["none", "only raw ones", "more than there is", "less than nothing", "no figure", "words"],
)
def test_nonsense_is_not_read(rows):
    with pytest.raises(CellError):
        guest_volumes(GUEST).read(rows)
