"""A cluster's rows are read tolerantly, and its VM ids in two ways."""

import re
from pathlib import Path

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.rows import CellError
from commands import sources
from commands.sources import cluster as know
from commands.sources.cluster import Cluster, Node, with_vm_ids
from commands.sources.event_log import guest_event_ids

VM = "0000000A-0000-4000-8000-000000000000"


def resource(**over):
    return {
        "Name": "Virtual Machine a",
        "Id": "k1",
        "OwnerGroup": "a",
        "OwnerNode": "hv03",
        "StatusInformation": "1",
    } | over


def test_nodes_are_sorted_and_know_their_generation():
    nodes = know.cluster_nodes("prod").read(
        [{"Name": "hv2", "State": "1", "BuildNumber": "7601"}, {"Name": "HV1", "State": "4294967295"}]
    )
    assert nodes == (Node("HV1", None), Node("hv2", 7601, down=True))
    assert [node.is_2008 for node in nodes] == [False, True]
    with pytest.raises(CellError):
        know.cluster_nodes("prod").read([{"Name": None}])
    with pytest.raises(ValueError, match="names no node"):
        know.cluster_nodes("prod").read([])


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        (Target("prod", "cluster", "prod"), (Node("HV1", 9600), Node("hv2", 7601))),
        (Target("hv1", "host", "prod"), (Node("HV1", 9600),)),
        (Target("hv9", "host", "prod"), (Node("hv9", None),)),
    ],
)
def test_a_target_means_all_nodes_or_one_even_if_the_cluster_forgot_it(target, meant):
    assert know.target_nodes(target, (Node("HV1", 9600), Node("hv2", 7601))) == meant
    assert know.target_nodes(Target("prod", "cluster", "prod"), ()) == ()


@pytest.mark.parametrize(("bits", "locked"), [("0", False), ("1", True), ("3", True), ("2", False), ("257", True)])
def test_the_lock_is_one_bit(bits, locked):
    assert know.cluster_groups("prod").read([{"Name": "a", "StatusInformation": bits}])[0].locked is locked


def test_a_lock_that_was_not_told_is_not_no_lock_and_spoils_no_other_row():
    roles = know.cluster_groups("prod").read(
        [
            {"Name": "a", "StatusInformation": None},
            {"Name": "b", "StatusInformation": "many"},
            {"Name": "c", "StatusInformation": "1"},
        ]
    )
    assert [(one.name, one.locked) for one in roles] == [("a", None), ("b", None), ("c", True)]
    resources = know.cluster_resources("prod").read([resource(StatusInformation=None), resource(Name=("x", "y"))])
    assert [(one.name, one.locked, one.vm_id) for one in resources] == [("Virtual Machine a", None, ""), ("", True, "")]


@pytest.mark.parametrize(
    ("private", "vm_id"),
    [
        ({"VmID": VM}, VM),
        ({"vmid": f"{{{VM.lower()}}}"}, VM),
        ({"VmState": "2"}, ""),
        ({"VmID": ("a", "b")}, ""),
        (None, ""),
        ("text", ""),
    ],
)
def test_private_properties_were_never_captured_so_anything_may_come(private, vm_id):
    read = know.machines_of_node("prod", "hv03").read([resource(PrivateProperties=private)])
    assert list(read.values()) == ([vm_id] if vm_id else [])


def machines(rows):
    return {("prod", "MSCluster_Resource"): rows}


async def test_missing_ids_of_locked_resources_come_from_the_hive(scripted):
    rows = [resource(), resource(Name="b", Id="k2", StatusInformation="0"), resource(Name="c", Id="", OwnerGroup="c")]
    resources = know.cluster_resources("prod").read(rows)
    ask = scripted(machines(rows) | {("prod", "Parameters"): [{"VmID": f"{{{VM}}}"}]})
    found = await with_vm_ids(Cluster("prod", (), resources=resources), ask)
    assert [one.vm_id for one in found.resources] == [VM, "", ""]
    assert [question.key for question in ask.asked[1:]] == [r"Cluster\Resources\k1\Parameters"]


async def test_nothing_is_asked_where_nothing_is_locked_or_owned(scripted):
    ask = scripted({})
    free = Cluster("prod", (), resources=know.cluster_resources("prod").read([resource(StatusInformation="0")]))
    silent = Cluster("prod", (), resources=Unknown("prod", "timed out", "no answer."))
    assert await with_vm_ids(free, ask) is free
    assert await with_vm_ids(silent, ask) is silent
    assert ask.rounds == 0


async def test_only_what_is_locked_or_owned_is_asked_for_its_machine(scripted):
    """A role that is locked says nothing of its resources; the machine's configuration has the machine's id."""
    rows = [
        resource(Name="Virtual Machine a", Id="k1", OwnerGroup="a", OwnerNode="hv01", StatusInformation="0"),
        resource(Name="Configuration a", Id="k2", OwnerGroup="a", OwnerNode="hv01", StatusInformation="0"),
        resource(Name="Virtual Machine b", Id="k3", OwnerGroup="b", OwnerNode="hv02", StatusInformation="0"),
    ]
    told = [{"Name": "VIRTUAL MACHINE A", "PrivateProperties": {"VmId": VM}}]
    groups = know.cluster_groups("prod").read([{"Name": "A", "OwnerNode": "hv01", "StatusInformation": "1"}])
    ask = scripted(machines(told))
    cluster = Cluster("prod", (), groups, know.cluster_resources("prod").read(rows))
    found = await with_vm_ids(cluster, ask)
    assert [one.vm_id for one in found.resources] == [VM, VM, ""]
    (asked,) = ask.asked
    assert asked.where[1].value == ("Virtual Machine a", "Configuration a")


async def test_a_hive_that_does_not_answer_leaves_the_id_unknown(scripted):
    ask = scripted({}, {"prod": "timed out"})
    found = await with_vm_ids(Cluster("prod", (), resources=know.cluster_resources("prod").read([resource()])), ask)
    assert found.resources[0].vm_id == ""


def test_shared_volumes_and_the_hint():
    (volume,) = know.shared_volumes("prod").read([{"Name": "V1", "BackupState": "1", "FaultState": "4"}])
    assert (volume.backing_up, volume.fault) == (True, 4)
    assert know.backup_hint("prod").read([{"BackupInProgress": "1"}])
    assert not know.backup_hint("prod").read([{"BackupInProgress": "0"}])
    assert not know.backup_hint("prod").read([])


@pytest.mark.parametrize(
    ("odd", "backing_up", "fault"),
    [
        ({"BackupState": None}, None, 0),
        ({"BackupState": "2"}, None, 0),
        ({"BackupState": "none"}, None, 0),
        ({"FaultState": None}, False, None),
        ({"FaultState": "bad"}, False, None),
    ],
)
def test_what_a_shared_volume_does_not_tell_is_not_known_of_that_one(odd, backing_up, fault):
    well = {"Name": "V2", "BackupState": "1", "FaultState": "0"}
    first, second = know.shared_volumes("prod").read(
        [{"Name": "V1", "BackupState": "0", "FaultState": "0"} | odd, well]
    )
    assert (first.backing_up, first.fault) == (backing_up, fault)
    assert (second.name, second.backing_up, second.fault) == ("V2", True, 0)


@pytest.mark.parametrize(
    ("asked", "names", "found"),
    [
        ("hv03", ("hv01", "HV03"), "HV03"),
        ("hv03.corp.example", ("hv01", "hv03"), "hv03"),
        ("hypervisor-bern-02", ("HYPERVISOR-BERN", "hypervisor-graz-02"), "HYPERVISOR-BERN"),
        ("hypervisor-bern", ("hypervisor-bern-01", "hypervisor-bern-02"), "ambiguous"),
        ("hv09", ("hv01", "hv03"), "absent"),
    ],
)
def test_the_node_that_a_name_of_the_inventory_means(asked, names, found):
    node = know.node_named(asked, [Node(name, None) for name in names])
    assert (node.kind if isinstance(node, Unknown) else node.name) == found


def test_a_node_with_a_build_that_is_none_spoils_nothing():
    """No event is looked for on build -1, and the sentence that names the events ended every `/check-writers` of the cluster."""
    rows = [{"Name": name, "State": "0", "BuildNumber": build} for name, build in (("hv01", "-1"), ("hv02", "9600"))]
    assert [node.build for node in know.cluster_nodes("prod").read(rows)] == [None, 9600]
    with pytest.raises(CellError):
        know.host_build("hv01").read(rows)
    assert guest_event_ids(None)


@pytest.mark.parametrize("source", sorted(Path(sources.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_every_source_reads_a_build_as_one(source):
    assert not re.search(r'get_int[(,] ?\w+(\[0\])?, "\w*BuildNumber"', source.read_text())
