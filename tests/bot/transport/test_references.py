"""REF columns compared with object paths, over the wire: whatever a resource is called, its rows come and no others."""

import pytest

from bot.api.queries import object_path
from commands.sources.placement import possible_owners
from lab.windows.machine_protocol import Reference

CLASS = "MSCluster_ResourceToPossibleOwner"
NODES = [f"HV{number:02}" for number in range(1, 65)]
HOSTILE = [
    "Virtual Machine it's",
    'a "quoted" one',
    "back\\slash",
    "ends with \\",
    "\\'",
    '\\"',
    '" OR GroupComponent LIKE "%',
    "' OR GroupComponent IS NOT NULL OR '' = '",
    'x",Name="Virtual Machine it\'s',
    "root/other:MSCluster_Resource.Name=1",
    "%",
    "x\u2019; \u2018 \u202e",
    "Größe <&> 𝕏",
]


@pytest.fixture
def rows(site):
    """64 nodes may own each of the hostile resources and 200 ordinary ones."""
    table = site.boxes["hv01"].classes.setdefault(("root/mscluster", CLASS.lower()), [])
    table += [
        {
            "GroupComponent": Reference("root/MSCluster", "MSCluster_Resource", {"Name": resource}),
            "PartComponent": Reference("root/MSCluster", "MSCluster_Node", {"Name": node}),
        }
        for resource in [*HOSTILE, *(f"Virtual Machine {number}" for number in range(200))]
        for node in NODES
    ]
    return table


@pytest.fixture
def reach(site):
    reach = site.reach()
    yield reach
    reach.close()


def test_paths():
    assert object_path("MSCluster_Resource", "Name", "VM 1") == 'MSCluster_Resource.Name="VM 1"'
    assert object_path("A", "B", 'x"\\') == 'A.B="x\\"\\\\"'


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_finds_its_own_rows_and_no_others(rows, reach, name):
    answer = await reach.answer(possible_owners("hv01", [name]).query)
    assert {row["GroupComponent"]["Name"] for row in answer.rows} == {name}
    assert len(answer.rows) == len(NODES)


async def test_the_rows_read_are_those_of_the_resources_asked_for(rows, reach):
    """Rows, not seconds: 30 resources among 213 of a cluster of 64 nodes."""
    names = [*HOSTILE, *(f"Virtual Machine {number}" for number in range(17))]
    questions = [possible_owners("hv01", names).query, possible_owners("hv01").query]
    told = [len((await reach.answer(question)).rows) for question in questions]
    assert told == [30 * 64, 213 * 64]
