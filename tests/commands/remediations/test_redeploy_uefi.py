"""What has to be known before a host is erased: every doubt refuses, and nobody's word lifts it."""

import pytest

from bot.api.actions import ManualStep, ReadBack
from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.plan import GateOutcome
from bot.api.queries import Predicate, Wql
from bot.api.rows import CellError
from bot.tickets.conditions import unmet
from commands.boot_layout.redeploy import _still_evicted
from commands.remediations.redeploy_uefi import Args, collect, plan

IN_PROD, ALONE = Target("hv05", "host", "prod"), Target("hv05", "host")
GONE = Unknown("hv05", "timed out", "no answer in 20 s.")
DISK = {
    "Number": "0",
    "PartitionStyle": "1",
    "Size": "299439751168",
    "SerialNumber": "SN-R810-VD0",
    "BusType": "8",
    "IsBoot": "true",
    "IsSystem": "true",
    "IsClustered": "false",
}
LUN = DISK | {
    "Number": "1",
    "SerialNumber": "60060160A1B2",
    "BusType": "9",
    "IsBoot": "false",
    "IsSystem": "false",
    "IsClustered": "true",
}
CLUSSVC = {"Name": "ClusSvc", "State": "Stopped", "StartMode": "Disabled", "ProcessId": "0"}
HOST = {"Name": "HV05", "ElementName": "HV05", "EnabledState": "2"}
VM = {"Name": "5B2C8A90-1111-2222-3333-444455556666", "ElementName": "crm-01", "EnabledState": "3"}


def node(name, state="0", drain="0"):
    return {"Name": name, "State": state, "NodeDrainStatus": drain, "NodeWeight": "1", "BuildNumber": "9600"}


def script(**more):
    answers = {
        ("hv05", "Win32_OperatingSystem"): [{"WindowsDirectory": "C:\\Windows", "BuildNumber": "9600"}],
        ("hv05", "Control"): [{"PEFirmwareType": "1"}],
        ("hv05", "Win32_BIOS"): [{"SMBIOSBIOSVersion": "2.7.4"}],
        ("hv05", "Win32_ComputerSystem"): [{"Manufacturer": "Dell Inc.", "Model": "PowerEdge R810"}],
        ("hv05", "MSFT_Disk"): [DISK, LUN],
        ("hv05", "MSFT_Partition"): [{"DiskNumber": "0", "PartitionNumber": "1", "GptType": None}],
        ("hv05", "Win32_Service"): [CLUSSVC],
        ("hv05", "Msvm_ComputerSystem"): [HOST],
        ("hv05", "findstr boot environment"): GONE,
        ("prod", "MSCluster_Node"): [node("hv01"), node("hv02")],
        ("prod", "MSCluster_ResourceGroup"): [{"Name": "crm-01", "OwnerNode": "hv01", "GroupType": "111"}],
    }
    return answers | {("prod" if name.startswith("MSCluster") else "hv05", name): rows for name, rows in more.items()}


@pytest.fixture
def planned(scripted):
    async def make(target=IN_PROD, **more):
        args = Args(target)
        return plan(args, await collect(args, scripted(script(**more))))

    return make


async def test_the_steps_of_the_field_note(planned):
    made = await planned()
    assert {gate.outcome for gate in made.gates} == {GateOutcome.PASSED}
    assert [step.key for step in made.steps] == [
        "san-paths", "console", "find-disk", "select-disk", "erase", "shut-down", "install", "answers"
    ]  # fmt: skip
    assert len(made.groups) == 1  # no plan is made anew while the host is silent
    assert all(isinstance(step.act, ManualStep) for step in made.steps)
    find, select = (step.act for step in made.steps if isinstance(step.act, ReadBack))
    assert [(one.compare, one.expected) for one in find.typed[:2]] == [
        ("text", "SN-R810-VD0"),
        ("size", "299439751168"),
    ]
    assert [one.expected for one in select.typed[:2]] == ["SN-R810-VD0", "299439751168"]
    assert "drvload" in find.mismatch
    said = " ".join(step.act.instruction for step in made.steps)
    assert "select disk 0" not in said
    assert "start setup again" in said
    before_erase = made.steps[: [step.key for step in made.steps].index("erase")]
    assert not any("“clean”" in step.act.instruction for step in before_erase)


async def test_only_the_first_and_the_last_step_are_looked_at_and_silence_is_expected_at_the_end(planned):
    made = await planned()
    first, *between, last = made.steps
    assert [check.question.cls for check in first.done if isinstance(check.question, Wql)] == ["MSFT_Disk"]
    assert not any(step.done for step in between)
    assert len(last.done) == 5
    assert last.done[0].holds[0].where == (Predicate("Name", "in", ("hv05",)),)  # who answers is asked before all else
    assert Predicate("IsSystem", "=", True) in last.done[3].holds[0].where  # of the disk that it started from
    assert {check.silence for check in last.done} == {"wait"}
    erase = made.steps[4]
    assert [check.question.on for check in erase.guard] == ["prod"]  # asked of the cluster: the host is off


async def test_the_digest_covers_what_has_to_be_typed(planned):
    one, other = await planned(), await planned(MSFT_Disk=[DISK | {"SerialNumber": "SN-R810-VD1"}, LUN])
    assert one.groups != other.groups
    fewer = await planned(MSFT_Disk=[DISK])  # what Windows sees beside it is a measurement
    assert fewer.groups == one.groups
    assert "1 other disk now, 1 of them shared" in one.reason


TWIN = DISK | {"Number": "1", "IsBoot": "false", "IsSystem": "false"}


@pytest.mark.parametrize(
    "other", [{}, {"SerialNumber": " sn r81-0VD0", "Size": "299000000000"}, {"Size": None}, {"Size": "600000000000"}]
)
async def test_a_disk_that_reads_like_another_one_is_not_erased(planned, other):
    """Whoever stands before the wrong one of the two would type what the plan expects."""
    made = await planned(MSFT_Disk=[DISK, TWIN | other, LUN])
    assert not made.groups
    (gate,) = (gate for gate in made.gates if not gate.passed)
    assert (gate.outcome, gate.measured) == (GateOutcome.BLOCKED, f"disk 1 has {DISK['SerialNumber']} as well")


@pytest.mark.parametrize("other", [{"SerialNumber": "SN-R810-VD1"}, {"SerialNumber": ""}])
async def test_a_disk_that_reads_otherwise_keeps_no_other_from_being_erased(planned, other):
    assert (await planned(MSFT_Disk=[DISK, TWIN | other])).groups


@pytest.mark.parametrize(
    ("more", "gate", "outcome"),
    [
        ({"MSCluster_Node": [node("hv01"), node("HV05")]}, "drained and evicted", GateOutcome.BLOCKED),
        ({"MSCluster_Node": [node("hv01"), node("hv05", "2", "2")]}, "drained and evicted", GateOutcome.BLOCKED),
        ({"MSCluster_Node": [node("hv01"), node("hv05", "1")]}, "drained and evicted", GateOutcome.BLOCKED),
        ({"MSCluster_Node": GONE}, "drained and evicted", GateOutcome.NOT_KNOWN),
        ({"MSCluster_Node": []}, "drained and evicted", GateOutcome.NOT_KNOWN),
        ({"MSCluster_Node": [node("hv01"), node(None)]}, "drained and evicted", GateOutcome.NOT_KNOWN),
        ({"Win32_Service": [CLUSSVC | {"StartMode": "Auto"}]}, "no longer a cluster node", GateOutcome.BLOCKED),
        ({"Win32_Service": [CLUSSVC | {"State": "Running"}]}, "no longer a cluster node", GateOutcome.BLOCKED),
        ({"Win32_Service": [CLUSSVC | {"StartMode": None}]}, "no longer a cluster node", GateOutcome.BLOCKED),
        ({"Win32_Service": []}, "no longer a cluster node", GateOutcome.NOT_KNOWN),
        ({"Win32_Service": GONE}, "no longer a cluster node", GateOutcome.NOT_KNOWN),
        ({"MSCluster_ResourceGroup": [{"Name": "dhcp", "OwnerNode": "HV05"}]}, "No cluster role", GateOutcome.BLOCKED),
        ({"MSCluster_ResourceGroup": [{"Name": "dhcp", "OwnerNode": None}]}, "No cluster role", GateOutcome.BLOCKED),
        ({"MSCluster_ResourceGroup": GONE}, "No cluster role", GateOutcome.NOT_KNOWN),
        ({"Msvm_ComputerSystem": [HOST, VM]}, "No virtual machine", GateOutcome.BLOCKED),
        ({"Msvm_ComputerSystem": []}, "No virtual machine", GateOutcome.NOT_KNOWN),
        ({"Msvm_ComputerSystem": GONE}, "No virtual machine", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK | {"SerialNumber": None}]}, "Serial number and size", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK | {"SerialNumber": " -- "}]}, "Serial number and size", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK | {"Size": "0"}]}, "Serial number and size", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK | {"Size": "lots"}]}, "Serial number and size", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK, DISK | {"Number": "1", "IsBoot": "false"}]}, "No other disk", GateOutcome.BLOCKED),
        (
            {"MSFT_Disk": [DISK, LUN | {"SerialNumber": "sn r810 vd0", "Size": "9"}]},
            "No other disk",
            GateOutcome.BLOCKED,
        ),
        ({"MSFT_Disk": [DISK | {"BusType": "9"}]}, "is not on a SAN", GateOutcome.BLOCKED),
        ({"MSFT_Disk": [DISK | {"IsClustered": "true"}]}, "is not on a SAN", GateOutcome.BLOCKED),
        ({"MSFT_Disk": [DISK | {"IsClustered": None}]}, "is not on a SAN", GateOutcome.NOT_KNOWN),
        ({"MSFT_Disk": [DISK | {"BusType": None}]}, "is not on a SAN", GateOutcome.NOT_KNOWN),
    ],
)
async def test_whatever_is_not_so_or_not_known_refuses(planned, more, gate, outcome):
    made = await planned(**more)
    assert not made.groups
    (found,) = [one for one in made.gates if gate in one.description]
    assert found.outcome is outcome
    assert found.blocks_plan
    assert not found.is_open  # nobody's word can stand for it


@pytest.mark.parametrize(
    "more",
    [
        {"Control": [{"PEFirmwareType": None}]},
        {"Control": GONE},
        {"MSFT_Disk": GONE},
        {"MSFT_Disk": [DISK, DISK | {"Number": "1"}]},
    ],
)
async def test_a_layout_that_cannot_be_told_is_not_erased(planned, more):
    made = await planned(**more)
    assert not made.groups
    assert made.reason.startswith("No plan for hv05: how it boots cannot be determined.")


@pytest.mark.parametrize("serial", [" -- ", "___.", "\u00b2", "SN\u200b-1", "\u0421\u041d-1", "SN-\u0661"])
async def test_a_serial_number_that_nobody_can_compare_is_said(planned, serial):
    made = await planned(MSFT_Disk=[DISK | {"SerialNumber": serial}, LUN])
    assert not made.groups
    (found,) = [one for one in made.gates if "Serial number and size" in one.description]
    assert found.outcome is GateOutcome.NOT_KNOWN
    assert "has no letter or digit, or some outside of ASCII" in str(found)
    assert not found.is_open  # nobody's word can stand for it


async def test_a_healthy_layout_is_left_alone(planned):
    gpt = [
        {"DiskNumber": "0", "PartitionNumber": "1", "GptType": "{e3c9e316-0b5c-4db8-817d-f92df00215ae}"},
        {"DiskNumber": "0", "PartitionNumber": "2", "GptType": "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}"},
    ]
    uefi = {"Control": [{"PEFirmwareType": "2"}], "MSFT_Disk": [DISK | {"PartitionStyle": "2"}]}
    assert (await planned(**uefi, MSFT_Partition=gpt)).reason.startswith(
        "Nothing to redeploy: hv05 already starts by UEFI"
    )
    assert (await planned(**uefi, MSFT_Partition=gpt[1:])).reason.startswith(
        "Nothing to redeploy: hv05 already starts by UEFI"
    )
    assert (await planned(**uefi, MSFT_Partition=gpt[:1])).reason.startswith(
        "No plan for hv05: UEFI started it, but no EFI partition"
    )


async def test_a_node_that_is_not_drained_is_offered_the_drain(planned):
    up = await planned(MSCluster_Node=[node("hv01"), node("hv05")])
    assert [one.line for one in up.remedies] == ["/drain-node hv05"]
    assert "drain it first, then evict it" in up.reason
    drained = await planned(MSCluster_Node=[node("hv01"), node("hv05", "2", "2")])
    assert drained.remedies == ()
    assert "evict it in Failover Cluster Manager" in drained.reason


async def test_a_host_that_the_inventory_names_alone(planned):
    made = await planned(ALONE, Win32_Service=[CLUSSVC | {"Name": "Spooler"}])
    assert made.groups
    assert not any(step.guard for step in made.steps)
    blocked = await planned(ALONE, Win32_Service=[CLUSSVC | {"State": "Running", "StartMode": "Auto"}])
    assert not blocked.groups


def is_met(check, rows):
    """Whether an answer holds; one that cannot be read is none."""
    try:
        return not unmet(check, rows, {})
    except CellError:
        return False


@pytest.mark.parametrize(
    ("rows", "erases"),
    [
        (["hv01", "hv02"], True),
        (["hv01", "HV05"], False),
        (["hv01", "hv05.corp.example"], False),
        (["hv01", None], False),
        (["hv01", ""], False),
        ([], False),
    ],
)
async def test_nothing_is_erased_unless_the_cluster_names_its_nodes_and_this_is_none(planned, rows, erases):
    (check,) = (await planned()).steps[4].guard
    assert is_met(check, [{"Name": name} for name in rows]) is erases


@pytest.mark.parametrize("name", ["HYPERVISOR-SITE", "hypervisor-site-05", "hypervisor-site-05.corp.example"])
def test_a_name_that_windows_has_cut_is_the_same_host(name):
    (check,) = _still_evicted(Target("hypervisor-site-05", "host", "prod"))
    assert unmet(check, [{"Name": name}], {})
    assert not unmet(check, [{"Name": "hypervisor-site-06"}], {})


@pytest.mark.parametrize(
    ("buses", "gone"), [(["8"], True), (["8", "17"], True), (["8", "6"], False), (["9"], False), (["8", None], False), (["8", ""], False), ([], False)]
)  # fmt: skip
async def test_the_san_is_gone_only_where_every_disk_tells_its_bus(planned, buses, gone):
    (check,) = (await planned()).steps[0].done
    assert is_met(check, [{"Number": "0", "BusType": bus} for bus in buses]) is gone
