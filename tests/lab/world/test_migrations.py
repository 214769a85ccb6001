"""Live migrations that are started through the cluster's WMI: what Microsoft's pages say of them, seen through WMI."""

from __future__ import annotations

import pytest

from lab.windows.machine_protocol import WmiFailure

START, CANCEL = "23068676", "23068680"
LIVE = (
    "020000000300040020000000" + "Virtual Machine\0".encode("utf-16-le").hex() + "02000100040000000400000000000000"
    "030004003c000000" + "Virtual Machine Configuration\0".encode("utf-16-le").hex() + "02000100040000000400000000000000"
)  # fmt: skip


def octets(text):
    return [str(one) for one in f"{text}\0".encode("utf-16-le")]


@pytest.fixture
def guest(world):
    return next(guest for guest in world.node("hv02").guests if guest.state == "running")


@pytest.fixture
def resource(cluster, guest):
    """Its name, and what its private properties are now."""
    rows = cluster.rows("hv01", "SELECT * FROM MSCluster_Resource WHERE Type='Virtual Machine'")
    name = next(row["Name"] for row in rows if row["Name"].endswith(f" {guest.name}"))

    def now():
        (row,) = cluster.rows("hv01", f"SELECT * FROM MSCluster_Resource WHERE Name='{name}'")
        told = row["PrivateProperties"].properties
        return row["OwnerNode"], told["MigrationState"], told["MigrationFailureReason"]

    now.name = name
    return now


def control(cluster, resource, code=START, **params):
    return cluster.call("MSCluster_Resource", resource.name, "ExecuteResourceControl", ControlCode=code, **params)


def test_it_begins_and_goes_through_its_states(cluster, guest, resource, clock):
    before = len(cluster.logged("hv02", "Microsoft-Windows-Hyper-V-VMMS-Admin", 20415))
    assert control(cluster, resource, InputBuffer=octets("hv04")) == {"OutputBuffer": None, "OutputBufferSize": 0}
    seen = [resource()]
    for _ in range(3):
        clock.forward(0.45)
        seen.append(resource())
    assert [state for _, state, _ in seen] == [1, 2, 2, 3]
    clock.forward(1)
    assert resource() == ("hv04", 0, 0)
    assert len(cluster.logged("hv02", "Microsoft-Windows-Hyper-V-VMMS-Admin", 20415)) == before + 1


def test_it_is_refused_where_it_cannot_begin(cluster, world, guest, resource):
    for wrong in (octets("hv04")[:-2], ["1"], []):
        with cluster.refused(87):
            control(cluster, resource, InputBuffer=wrong)
    with cluster.refused(5042):
        control(cluster, resource, InputBuffer=octets("hv99"))
    guest.state = "saved"
    with cluster.refused(5023):
        control(cluster, resource, InputBuffer=octets("hv04"))
    guest.state, guest.locked = "running", True
    with cluster.refused(5960):
        control(cluster, resource, InputBuffer=octets("hv04"))
    guest.locked = False
    with cluster.refused(1):
        control(cluster, resource, code="23068673", InputBuffer=octets("hv04"))
    guest.node.cluster.starts_migrations = False
    with cluster.refused(1):
        control(cluster, resource, InputBuffer=octets("hv04"))


def test_a_second_one_is_refused_while_the_first_goes_on(cluster, guest, resource):
    control(cluster, resource, InputBuffer=octets("hv04"))
    with cluster.refused(170):
        control(cluster, resource, InputBuffer=octets("hv05"))


def test_a_failure_is_remembered_until_the_next_one_begins(cluster, guest, resource, clock):
    guest.migration_errors.append(0x800700AA)
    control(cluster, resource, InputBuffer=octets("hv04"))
    clock.forward(2)
    assert resource() == ("hv02", 5, 0x800700AA)
    assert len(cluster.logged("hv02", "Microsoft-Windows-Hyper-V-High-Availability-Admin", 21502)) == 1
    control(cluster, resource, InputBuffer=octets("hv04"))
    assert resource() == ("hv02", 1, 0)
    clock.forward(2)
    assert resource() == ("hv04", 0, 0)


def test_what_speaks_against_the_other_node_ends_it(cluster, guest, resource, clock):
    cluster.pause("hv04")
    control(cluster, resource, InputBuffer=octets("hv04"))
    clock.forward(2)
    assert resource() == ("hv02", 5, 0x80004005)


def test_it_is_cancelled_early_and_moves_on_where_the_cancel_comes_late(cluster, guest, resource, clock):
    with cluster.refused(5023):
        control(cluster, resource, code=CANCEL)
    control(cluster, resource, InputBuffer=octets("hv04"))
    clock.forward(0.3)
    control(cluster, resource, code=CANCEL)
    assert resource() == ("hv02", 4, 0)
    control(cluster, resource, InputBuffer=octets("hv04"))
    clock.forward(1.1)
    control(cluster, resource, code=CANCEL)
    assert resource()[:2] == ("hv02", 2), "it took the cancel, and goes on all the same"
    clock.forward(0.3)
    with cluster.refused(5023):
        control(cluster, resource, code=CANCEL)
    clock.forward(1)
    assert resource() == ("hv04", 0, 0)


def params(cluster, guest, parameters=None, flags="14", node="hv04"):
    told = [str(one) for one in bytes.fromhex(LIVE)] if parameters is None else parameters
    return cluster.call(
        "MSCluster_ResourceGroup", guest.group, "MoveToNewNodeParams", NodeName=node, Parameters=told, Flags=flags
    )


def test_the_second_way_reads_the_property_list(cluster, guest, resource, clock):
    assert params(cluster, guest) == {}
    assert resource()[1] == 1
    clock.forward(2)
    assert (resource(), guest.state) == (("hv04", 0, 0), "running")
    save = LIVE.replace("020001000400000004000000", "020001000400000001000000")
    params(cluster, guest, [str(one) for one in bytes.fromhex(save)], node="hv02")
    assert guest.move.kind == "quick"


def test_the_second_way_is_refused_as_documented(cluster, guest):
    with cluster.refused(5042):
        params(cluster, guest, node="hv99")
    with cluster.refused(87):
        params(cluster, guest, flags="64")
    guest.locked = True
    with cluster.refused(5960):
        params(cluster, guest)


def test_from_2016_on_it_moves_and_calls_that_a_failure_and_a_short_list_hangs_the_role(world, clock, cluster):
    node = world.node("br01")
    guest = next(one for one in node.guests if one.state == "running")
    machine = world.machine("br01")
    told = {"NodeName": "br02", "Parameters": [str(one) for one in bytes.fromhex(LIVE)], "Flags": "14"}
    path = {"Name": guest.group}
    with pytest.raises(WmiFailure, match="0x80041001"):
        machine.invoke("root/MSCluster", "MSCluster_ResourceGroup", path, "MoveToNewNodeParams", told)
    clock.forward(2)
    world.settle()
    assert guest.node.name == "br02"
    assert (
        machine.invoke(
            "root/MSCluster", "MSCluster_ResourceGroup", path, "MoveToNewNodeParams", {**told, "Parameters": "4"}
        )
        == {}
    )
    assert guest.pending
