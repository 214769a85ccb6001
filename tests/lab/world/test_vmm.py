from datetime import UTC, datetime, timedelta

import pytest

from lab.scenarios import begin
from lab.sqlserver.store import READ_WRITE
from lab.world.factory import make
from lab.world.vmm import DATABASE, MISSING, REFRESH_SECONDS, VirtualMachineManager, host_id

START = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)


@pytest.fixture
def world():
    return make(clock=lambda: START)


def test_vmm_knows_every_host_and_every_guest(world):
    vmm = world.vmm
    assert len(vmm.hosts.rows) == 10
    assert len(vmm.instances.rows) == 120
    assert len(vmm.objects.rows) == 122  # and two templates, which lie in the library
    states = {vmm.believes(guest)[1] for cluster in world.clusters.values() for guest in cluster.guests}
    assert states == {0, 1, 3}


def test_a_guest_that_moves_is_seen_when_vmm_looks_again(world):
    guest = world.guest("crm-01")
    guest.node, guest.state = world.node("hv06"), "saved"
    world.skip(REFRESH_SECONDS - 1)
    world.vmm.settle()
    before = world.vmm.believes(guest)
    world.skip(1)
    world.vmm.settle()
    assert before != world.vmm.believes(guest) == ("hv06", 3)


def test_nothing_is_looked_at_while_the_service_is_stopped(world):
    guest = world.guest("crm-01")
    before = world.vmm.believes(guest)
    world.vmm.host.service("VMMService").state = "Stopped"
    guest.node = world.node("hv06")
    world.skip(600)
    world.vmm.settle()
    assert world.vmm.believes(guest) == before


def test_a_lost_guest_stays_missing_until_its_record_or_itself_moves(world):
    vmm, guest, believed = world.vmm, world.guest("crm-01"), world.node("hv04")
    guest.node = world.node("hv06")
    vmm.lose(guest, believed, "test")
    vmm.refresh()
    assert vmm.believes(guest) == ("hv04", MISSING)
    vmm.objects.change(vmm.record(guest), HostId=host_id(guest.node))
    vmm.refresh()
    assert vmm.believes(guest) == ("hv06", 0)
    vmm.objects.change(vmm.record(guest), HostId=host_id(believed), ObjectState=MISSING)
    vmm.refresh()
    assert vmm.believes(guest) == ("hv04", MISSING)  # put back, it is as lost as before
    guest.node = believed
    vmm.refresh()
    assert vmm.believes(guest) == ("hv04", 0)
    guest.node = world.node("hv06")
    vmm.refresh()
    assert vmm.believes(guest) == ("hv06", 0)


def test_a_row_that_a_transaction_holds_is_left_for_the_next_time(world):
    vmm, guest = world.vmm, world.guest("crm-01")
    vmm.record(guest).holder = object()
    before = vmm.believes(guest)
    guest.node = world.node("hv06")
    vmm.refresh()
    assert vmm.believes(guest) == before


@pytest.mark.parametrize(
    ("release", "has"),
    [
        ("2008R2", set()),
        ("2012", {"CloudId"}),
        ("2012R2", {"CloudId", "ProtectionUnitId"}),
        ("2016", {"SecuritySummary"}),
    ],
)
def test_releases_differ_in_their_columns(world, release, has):
    vmm = VirtualMachineManager(world, world.vmm.host, release)
    columns = {column.name for table in (vmm.objects, vmm.instances) for column in table.columns}
    assert has <= columns
    assert ("SecuritySummary" in columns) == (release == "2016")


def test_the_database_was_backed_up_last_night(world):
    row = world.vmm.instance.databases["msdb"].table("backupset").rows[0]
    finished = START.replace(tzinfo=None) - timedelta(hours=7)
    assert row.values[4] == finished


def test_the_login_may_change_the_database_and_nothing_else(world):
    world.vmm.add_login("hvops", "secret")
    login = world.vmm.instance.logins["hvops"]
    assert login.rights[DATABASE] == READ_WRITE
    assert login.rights["msdb"] == {"SELECT"}


def test_the_story_tells_what_is_wrong():
    world = begin("missing-vm", clock=lambda: START)
    facts = dict(world.facts())
    assert facts["crm-01 runs on"] == "hv06"
    assert facts["VMM believes"] == "on hv04, Missing"
    assert world.actions() == [("refresh-vmm", "Refresh in VMM")]
    world.act("refresh-vmm")
    assert dict(world.facts())["VMM believes"] == "on hv04, Missing"
