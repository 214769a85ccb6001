"""Guests find room in the memory of other nodes, or they do not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.rows import CellError
from commands.sources.capacity import Need, free_memory, memory_use, without_room
from commands.sources.cluster import Node

GIB = 2**30
VM = "0000000A-0000-4000-8000-000000000000"


def test_units():
    assert free_memory("hv03").read([{"FreePhysicalMemory": "1048576"}]) == GIB
    assert memory_use(Node("hv03", 9600)).read(
        [{"Name": VM, "MemoryUsage": "1024"}, {"Name": "HV03", "MemoryUsage": "9"}]
    ) == {VM: GIB}
    assert memory_use(Node("hv03", 9600)).read([{"Name": VM, "MemoryUsage": None}]) == {}
    for rows in ([], [{"FreePhysicalMemory": None}]):
        with pytest.raises(CellError):
            free_memory("hv03").read(rows)


def test_the_namespace_is_that_of_the_node():
    assert memory_use(Node("hv03", 9600)).query.namespace == "root/virtualization/v2"
    assert memory_use(Node("hv03", 7601)).query.namespace == "root/virtualization"


@pytest.mark.parametrize(
    ("needs", "free", "homeless"),
    [
        ([], {}, ()),
        ([Need("a", 1)], {}, ("a",)),
        ([Need("a", 8)], {"n1": 8}, ()),
        ([Need("a", 8)], {"n1": 7}, ("a",)),
        ([Need("a", 5), Need("b", 5)], {"n1": 6, "n2": 6}, ()),
        ([Need("a", 5), Need("b", 5), Need("c", 5)], {"n1": 9, "n2": 9}, ("c",)),
        ([Need("a", 5, frozenset({"n2"}))], {"n1": 99, "N2": 4}, ("a",)),
        ([Need("a", 5, frozenset({"n2"}))], {"n1": 0, "N2": 5}, ()),
        ([Need("a", 5, frozenset())], {"n1": 99}, ("a",)),
    ],
)
def test_the_largest_is_placed_first(needs, free, homeless):
    assert without_room(needs, free) == homeless


@settings(max_examples=50)
@given(st.lists(st.integers(1, 64)), st.lists(st.integers(0, 128), max_size=6))
def test_whatever_has_found_room_is_no_more_than_there_is(needs, free):
    wanted = [Need(str(index), memory) for index, memory in enumerate(needs)]
    homeless = without_room(wanted, {f"n{index}": room for index, room in enumerate(free)})
    placed = sum(need.memory for need in wanted if need.name not in homeless)
    assert placed <= sum(free)
