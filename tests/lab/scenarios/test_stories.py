"""Each story as a machine's neighbours see it: through WMI and programs only."""

from __future__ import annotations

from datetime import timedelta
from xml.etree.ElementTree import fromstring

import pytest

from lab import scenarios
from lab.windows.machine_protocol import WmiFailure
from lab.windows.query import wql_rows

NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"
HYPER_V = "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de"


def rows(world, name: str, namespace: str, query: str):
    return [row.instance for row in wql_rows(world.machine(name), namespace, query)]


def writer(world, node: str) -> list[str]:
    blocks = world.machine(node).run(["vssadmin", "list", "writers"]).stdout.split("\r\n\r\n")
    (block,) = [block for block in blocks if HYPER_V in block]
    return [line.strip() for line in block.split("\r\n")[2:]]


def locked(world, cls: str) -> list[str]:
    found = rows(world, "hv01", "root/MSCluster", f"SELECT Name, StatusInformation FROM {cls}")
    return [row["Name"] for row in found if (row["StatusInformation"] or 0) & 1]


def logged(world, node: str, channel: str, event_id: int, within_hours: int = 24):
    age = within_hours * 3_600_000
    query = f"/q:*[System[(EventID={event_id}) and TimeCreated[timediff(@SystemTime) <= {age}]]]"
    output = world.machine(node).run(["wevtutil", "qe", channel, query, "/e:Events"])
    assert output.exit_code == 0
    return list(fromstring(output.stdout))


def free_on(world, guest: str, drive: str) -> int:
    (row,) = rows(world, guest, "root/cimv2", f"SELECT * FROM Win32_Volume WHERE DriveLetter='{drive}'")
    return row["FreeSpace"]


def backup_runs(world) -> bool:
    statuses = [
        row["OperationalStatus"]
        for node in world.clusters["prod"].nodes
        for row in rows(world, node.name, "root/virtualization/v2", "SELECT * FROM Msvm_ComputerSystem")
    ]
    shared = rows(world, "hv01", "root/MSCluster", "SELECT * FROM MSCluster_ClusterSharedVolume")
    return any(32776 in status for status in statuses) or any(row["BackupState"] for row in shared)


def test_every_story_has_one_sentence_and_begins():
    told = scenarios.stories()
    assert {"healthy", "patch-drift", "stuck-writer"} <= set(told)
    for name, sentence in told.items():
        assert sentence.endswith(".")
        assert "\n" not in sentence
        world = scenarios.begin(name)
        assert world.sentence == sentence
        assert world.prefilled.startswith("/")
        assert all(name and text for name, text in world.facts())
    with pytest.raises(KeyError):
        scenarios.begin("no-such-story")


@pytest.mark.parametrize("story", ["healthy", "patch-drift"])
def test_where_the_story_is_another_writers_are_well_and_nothing_is_locked(begin, story):
    world = begin(story)
    for node in world.clusters["prod"].nodes:
        assert "[1]" in writer(world, node.name)[1]
    assert not any(guest.locked for guest in world.clusters["prod"].guests)
    assert world.actions() == []


class TestStuckWriter:
    @pytest.fixture
    def world(self, begin):
        return begin("stuck-writer")

    def test_one_writer_waits_and_no_backup_runs(self, world):
        assert writer(world, "hv03")[1:] == ["State: [5] Waiting for completion", "Last error: Retryable error"]
        for node in ("hv01", "hv02", "hv04", "hv05", "hv06", "br01"):
            assert "[1]" in writer(world, node)[1]
        assert not backup_runs(world)
        (cluster,) = rows(world, "hv01", "root/MSCluster", "SELECT BackupInProgress FROM MSCluster_Cluster")
        assert cluster["BackupInProgress"] == 0
        assert "pending" in world.alert()
        assert "[91:9]" in world.alert()

    def test_nine_of_eleven_guests_are_locked_as_groups_and_as_resources(self, world):
        groups, resources = locked(world, "MSCluster_ResourceGroup"), locked(world, "MSCluster_Resource")
        members = world.node("hv03").guests
        assert (len(members), len(groups), len(resources)) == (11, 9, 9)
        assert set(groups) == {guest.group for guest in members if guest.state == "running"}
        owners = {
            row["Name"]: row["OwnerGroup"]
            for row in rows(world, "hv01", "root/MSCluster", "SELECT * FROM MSCluster_Resource")
        }
        assert {owners[name] for name in resources} == set(groups)

    def test_the_log_names_one_suspect_of_today(self, world):
        (event,) = logged(world, "hv03", "Microsoft-Windows-Hyper-V-VMMS-Admin", 10102)
        texts = [part.text for part in event.find(f"{NS}UserData")[0]]
        assert texts == ["test-tfs-01", world.guest("test-tfs-01").vm_id.upper()]
        assert len(logged(world, "hv03", "Microsoft-Windows-Hyper-V-VMMS-Admin", 10102, 24 * 30)) == 2
        age = world.now - next(each.at for each in reversed(world.node("hv03").events) if each.id == 10102)
        assert age == timedelta(minutes=25)

    def test_the_drain_that_failed_is_in_the_system_log(self, world):
        failed = logged(world, "hv03", "System", 1137)
        assert {event.findtext(f"{NS}EventData/{NS}Data[@Name='ErrorCode']") for event in failed} == {"5960"}
        assert len(failed) == len(logged(world, "hv03", "System", 1071)) == 9
        classic = rows(
            world, "hv03", "root/cimv2", "SELECT * FROM Win32_NTLogEvent WHERE Logfile='System' AND EventCode=1137"
        )
        assert len(classic) == 9

    def test_the_other_cause_of_8194_is_on_another_node(self, world):
        assert logged(world, "hv03", "Application", 8194) == []
        events = logged(world, "hv06", "Application", 8194)
        assert len(events) == 2
        assert all("System Writer" in (event[1][1].text or "") for event in events)

    def test_space_is_short_in_these_guests(self, world):
        megabyte = 1024**2
        assert free_on(world, "test-tfs-01", "C:") // megabyte == 0
        assert free_on(world, "sql-stage-02", "L:") == 412 * megabyte
        assert free_on(world, "web-dev-04", "C:") == 820 * megabyte
        assert free_on(world, "file-01", "D:") == 21 * 1024 * megabyte

    def test_freeing_space_lets_the_next_try_succeed(self, world, clock):
        before = writer(world, "hv03")[0]
        world.act("free-2gb")
        assert free_on(world, "test-tfs-01", "C:") >= 1024**3
        clock.forward(240)
        assert "[5]" in writer(world, "hv03")[1], "room alone changes nothing: the job has to try again"
        clock.forward(61)
        assert backup_runs(world)
        (cluster,) = rows(world, "hv01", "root/MSCluster", "SELECT BackupInProgress FROM MSCluster_Cluster")
        assert cluster["BackupInProgress"] == 1
        assert writer(world, "hv03")[2] == "Last error: No error"
        clock.forward(10)
        assert writer(world, "hv03") == [before, "State: [1] Stable", "Last error: No error"]
        assert locked(world, "MSCluster_ResourceGroup") == []
        assert not backup_runs(world)
        assert rows(world, "hv03", "root/cimv2", "SELECT * FROM Win32_ShadowCopy") == []
        assert world.actions() == []
        assert dict(world.facts())["hv03 writer"] == "[1] no error"
        clock.forward(200)
        assert len(logged(world, "hv03", "Application", 8224)) == 1

    def test_too_little_space_fails_the_next_try_again(self, world, clock):
        world.guest("test-tfs-01").volume("C").free = 500 * 1024**2
        clock.forward(330)
        assert "[5]" in writer(world, "hv03")[1]
        assert len(logged(world, "hv03", "Microsoft-Windows-Hyper-V-VMMS-Admin", 10102)) == 2
        assert len(locked(world, "MSCluster_ResourceGroup")) == 9

    def test_ending_the_job_frees_the_guests_but_not_the_writer(self, world, clock):
        world.act("end-job")
        clock.forward(10)
        assert writer(world, "hv03")[1:] == ["State: [5] Waiting for completion", "Last error: Unexpected error"]
        assert locked(world, "MSCluster_Resource") == []
        (event,) = logged(world, "hv03", "Application", 8194)
        assert HYPER_V in (event[1][1].text or "")
        world.act("free-2gb")
        clock.forward(60)
        assert "[5]" in writer(world, "hv03")[1]

    def test_a_leftover_snapshot_is_a_volume_of_its_own(self, world):
        (copy,) = rows(world, "hv03", "root/cimv2", "SELECT * FROM Win32_ShadowCopy")
        volumes = [row["DeviceID"] for row in rows(world, "hv03", "root/cimv2", "SELECT * FROM Win32_Volume")]
        assert f"{copy['DeviceObject']}\\" in volumes


class TestPatchDrift:
    @pytest.fixture
    def world(self, begin):
        return begin("patch-drift")

    def listed(self, world, node: str) -> set[str]:
        return {
            row["HotFixID"] for row in rows(world, node, "root/cimv2", "SELECT HotFixID FROM Win32_QuickFixEngineering")
        }

    def test_three_nodes_differ(self, world):
        full = self.listed(world, "hv01")
        assert {"KB2607712", "KB2616676", "KB2570791", "KB2636573"} <= full
        assert full == self.listed(world, "hv03") == self.listed(world, "hv04")
        assert full - self.listed(world, "hv02") == full - self.listed(world, "hv05") == {"KB2607712"}
        assert full - self.listed(world, "hv06") == {"KB2570791"}

    def test_the_nodes_are_2008_r2_and_their_guests_are_asked_in_the_first_namespace(self, world):
        (system,) = rows(world, "hv01", "root/cimv2", "SELECT * FROM Win32_OperatingSystem")
        assert (system["BuildNumber"], system["ServicePackMajorVersion"]) == ("7601", 1)
        where = "SELECT SystemName, BIOSGUID FROM Msvm_VirtualSystemSettingData WHERE SettingType = 3"
        assert len(rows(world, "hv03", "root/virtualization", where)) == 11
        disks = "SELECT * FROM Msvm_ResourceAllocationSettingData WHERE ResourceSubType='Microsoft Synthetic SCSI Controller'"
        assert len(rows(world, "hv03", "root/virtualization", disks)) == 11

    def test_what_came_with_2012_cannot_be_asked_for(self, world):
        with pytest.raises(WmiFailure) as refused:
            rows(world, "hv01", "root/MSCluster", "SELECT Name, OwnerNode FROM MSCluster_ResourceGroup")
        assert refused.value.hresult == 0x80041017
        with pytest.raises(WmiFailure):
            rows(world, "hv01", "root/MSCluster", "SELECT * FROM MSCluster_Node WHERE NodeDrainStatus = 0")
        owned = rows(world, "hv01", "root/MSCluster", "SELECT * FROM MSCluster_NodeToActiveGroup")
        assert sum(row["GroupComponent"].keys["Name"] == "hv03" for row in owned) >= 11
        assert rows(world, "br01", "root/MSCluster", "SELECT Name, OwnerNode FROM MSCluster_ResourceGroup")

    def test_one_node_waits_for_a_reboot(self, world):
        pending = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending"
        waiting = [node.name for node in world.clusters["prod"].nodes if pending in world.machine(node.name).registry()]
        assert waiting == ["hv06"]

    def test_other_clusters_are_not_part_of_it(self, world):
        (system,) = rows(world, "br01", "root/cimv2", "SELECT * FROM Win32_OperatingSystem")
        assert system["BuildNumber"] == "17763"
