"""One cell that cannot be read makes that one row unknown, and no other: readers of lists, and every column that is no key."""

from datetime import UTC, datetime

import pytest

from commands.sources import cluster, cluster_services, commvault, guests, nodes, snapshots, storage, vmm
from commands.sources.capacity import memory_use
from commands.sources.cluster import Node
from commands.sources.event_log import EventLog, logged_events
from commands.sources.guests import Guest, HostedGuest, Power
from commands.sources.kvp import KvpInfo
from commands.sources.volumes import Volumes, guest_volumes
from commands.sources.vss_writers import host_writers
from tests.support.scripted_cluster import event, job, kvp, node_row, vm_id, volume, writer_row

HOST = Node("hv03", 9600)
GUEST = HostedGuest(Guest("V", "sql-07", Power.RUNNING), "hv03", KvpInfo("sql-07.corp.example"), "")
NAMES = ("one", "two", "three")


def role(name):
    told = {"Name": name, "OwnerNode": "hv03", "GroupType": "111", "State": "0", "StatusInformation": "1"}
    return told | {"Priority": "2000", "AntiAffinityClassNames": ("DC", "SQL")}


def resource(name):
    return {"Name": name, "Id": f"id-{name}", "OwnerGroup": name, "OwnerNode": "hv03", "StatusInformation": "1"}


def machine(at):
    return {
        "Name": vm_id(at),
        "ElementName": NAMES[at],
        "EnabledState": "2",
        "OperationalStatus": ("2", "32776"),
        "HealthState": "5",
        "ReplicationMode": "1",
    }


def copy(name):
    told = {"ID": name, "InstallDate": "2026-11-22T20:00:00Z", "DeviceObject": f"\\\\?\\{name}", "Persistent": "true"}
    exposed = {"ExposedName": name, "ExposedLocally": "true", "ExposedRemotely": "false"}
    return told | exposed | {"ClientAccessible": "true", "NoAutoRelease": "true"}


def recorded(at):
    return {"ObjectId": vm_id(at), "Name": NAMES[at], "ObjectState": "0", "HostId": vm_id(9), "VMId": vm_id(at + 20)}


WRITERS = ("System Writer", "SqlServerWriter", "NTDS")
# question, three rows, and the columns without which nobody can tell what a row is about: the keys of their classes
READERS = {
    "roles": (cluster.cluster_groups("prod"), list(map(role, NAMES)), ()),
    "resources": (cluster.cluster_resources("prod"), list(map(resource, NAMES)), ()),
    "resources of other roles": (
        cluster.role_resources("prod", "hv03"),
        [{"Name": one, "Type": "SQL Server", "OwnerGroup": one} for one in NAMES],
        (),
    ),
    "shared volumes": (
        cluster.shared_volumes("prod"),
        [{"Name": one, "BackupState": "1", "FaultState": "2"} for one in NAMES],
        (),
    ),
    "nodes": (cluster.cluster_nodes("prod"), list(map(node_row, NAMES)), ("Name",)),
    "states of nodes": (nodes.node_states("prod"), list(map(node_row, NAMES)), ("Name",)),
    "resources of services": (
        cluster_services.other_resources("prod"),
        [{**resource(one), "Type": "Generic Service"} for one in NAMES],
        (),
    ),
    "guests": (guests.virtual_machines(Node("hv03", 14393)), list(map(machine, range(3))), ("Name",)),
    "shadow copies": (snapshots.shadow_copies("hv03"), list(map(copy, NAMES)), ()),
    "virtual disks": (
        storage.virtual_disks("hv03"),
        [{"FriendlyName": one, "HealthStatus": "1", "OperationalStatus": ("3", "11")} for one in NAMES],
        (),
    ),
    "jobs of CommVault": (commvault.active_jobs(), [job(at) for at in (1, 2, 3)], ("job",)),
    "machines of VMM": (vmm.recorded_machines("vmm01"), list(map(recorded, range(3))), ("ObjectId",)),
    "writers": (host_writers("hv03"), [writer_row(one, 9, "Timed out") for one in WRITERS], ()),
    "volumes of a guest": (guest_volumes(GUEST), [volume(one, 2**30) for one in ("C:", "D:", "E:")], ()),
    "events": (
        logged_events("hv03", "System", (1137,), datetime(2026, 11, 22, tzinfo=UTC)),
        [event(1137, f"2026-11-22T20:0{at}:00Z", Status="5960") for at in (1, 2, 3)],
        (),
    ),
}


def items(found):
    if isinstance(found, EventLog):
        return found.events
    return (*found.judged, *found.unread) if isinstance(found, Volumes) else tuple(found)


@pytest.mark.parametrize("odd", [{"x": {"y": "z"}}, None], ids=["nested", "empty"])
@pytest.mark.parametrize(
    ("what", "column"), [(what, one) for what, (_, rows, keys) in READERS.items() for one in rows[0] if one not in keys]
)
def test_the_others_are_read_as_ever_and_the_row_is_not_lost(what, column, odd):
    source, rows, _ = READERS[what]
    damaged = source.read([rows[0] | {column: odd}, *rows[1:]])
    others = items(source.read(rows[1:]))
    assert set(others) <= set(items(damaged))
    lost = damaged.unreadable if isinstance(damaged, EventLog) else 0
    assert len(items(damaged)) + lost == len(rows)


@pytest.mark.parametrize("column", ["Name", "MemoryUsage"])
def test_memory_that_cannot_be_read_is_no_zero(column):
    rows = [{"Name": vm_id(at), "MemoryUsage": "8"} for at in range(3)]
    told = memory_use(HOST).read([rows[0] | {column: {"x": "y"}}, *rows[1:]])
    assert set(told) == {vm_id(1), vm_id(2)}


def test_what_a_guest_said_of_itself_spoils_no_other_guest():
    rows = [{"SystemName": vm_id(at), "GuestIntrinsicExchangeItems": kvp(name)} for at, name in enumerate(NAMES)]
    told = guests.kvp_exchange(HOST).read([rows[0] | {"GuestIntrinsicExchangeItems": ({"x": "y"},)}, *rows[1:]])
    assert told[vm_id(0)].unread
    assert [told[vm_id(at)].fqdn for at in (1, 2)] == ["two.corp.example", "three.corp.example"]
