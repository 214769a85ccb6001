"""Each guest is asked whether it may leave: what is done to it, and what binds it to its host, on each Windows."""

import pytest
from scripted_cluster import SMALL

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.plan import GateOutcome
from commands.drain.effects import NODE_LOSES_GUESTS
from commands.drain.facts import find_drain_facts
from commands.sources.guest_bonds import is_shared

BUSY = "No guest on hv03 is being exported, merged, checkpointed or migrated"
BOUND = "No guest on hv03 is tied to this node (by a device, a disk, a file or a key)"
ABSENT = Unknown("hv03", "absent", "it has no such class.")
SILENT = Unknown("hv03", "timed out", "no answer in 20 s.")
DEVICE, GPU, REMOTE_FX = (
    "Msvm_PciExpressSettingData",
    "Msvm_GpuPartitionSettingData",
    "Msvm_Synthetic3DDisplayControllerSettingData",
)
DISK, DISC, TPM = "Msvm_ResourceAllocationSettingData", "Msvm_StorageAllocationSettingData", "Msvm_SecuritySettingData"
PASSTHROUGH = {"ResourceSubType": "Microsoft:Hyper-V:Physical Disk Drive", "HostResource": "Msvm_DiskDrive.DeviceID=4"}


def of(guest, **more):
    return [{"InstanceID": f"Microsoft:{SMALL.vm_id(guest)}\\11111111-2222-3333-4444-555555555555\\0"} | more]


def disc(guest, *paths):
    return of(guest, ResourceSubType="Microsoft:Hyper-V:Virtual CD/DVD Disk", HostResource=paths)


@pytest.fixture
def gate(scripted):
    """Judge hv03 of a Windows: `await gate(BOUND, 20348, {class: rows})`; `prod` and `keys` of the cluster and of nodes."""

    async def judge(says, build, answers, *, prod=None, keys=None, guests=None, gpus=None):
        nodes = [SMALL.node_row(one, build=build) for one in SMALL.nodes]
        every = {cls: [] for cls in (DEVICE, GPU, TPM)} | answers
        if guests is not None:
            every["Msvm_ComputerSystem"] = guests
        script = SMALL.cluster(prod={"MSCluster_Node": nodes} | (prod or {}), hv03=every)
        for on, found in (keys or {}).items():
            script[on, "Certificates"] = [{"subkeys": found}] if not isinstance(found, Unknown) else found
        for on in SMALL.nodes:
            script[on, "Msvm_PartitionableGpu"] = (gpus or {}).get(on, [])
        facts = await find_drain_facts(Target("hv03", "host", "prod"), scripted(script))
        return next(one for one in NODE_LOSES_GUESTS.judge(facts) if one.description == says)

    return judge


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("32768", "a checkpoint is being created"),
        ("32769", "a checkpoint is being applied"),
        ("32770", "a checkpoint is being deleted"),
        ("32771", "it waits to start"),
        ("32772", "its disks are being merged"),
        ("32773", "it is being exported"),
        ("32774", "it is being migrated"),
        ("32777", "it is being modified"),
        ("32778", "its storage is being migrated"),
        ("32779", "its storage is being migrated"),
        ("32780", "a planned machine is being migrated"),
        ("32781", "its compatibility is being checked"),
    ],
)
async def test_a_busy_guest_is_named_with_what_is_done_to_it(gate, status, word):
    rows = [
        row | ({"OperationalStatus": ("2", status)} if row["ElementName"] == "crm-02" else {})
        for row in SMALL.guest_rows()
    ]
    found = await gate(BUSY, 20348, {}, guests=rows)
    assert (found.outcome, found.blocks_plan, found.measured) == (GateOutcome.BLOCKED, True, f"crm-02: {word}")


@pytest.mark.parametrize("status", ["32775", "32791", "32796", "40000"])
async def test_an_activity_that_nobody_lists_is_not_known(gate, status):
    rows = [row | {"OperationalStatus": ("2", status)} for row in SMALL.guest_rows()[:2]]
    found = await gate(BUSY, 20348, {}, guests=rows)
    assert (found.outcome, found.measured) == (
        GateOutcome.NOT_KNOWN,
        f"not known: what is done to test-tfs-01: OperationalStatus {status}",
    )
    assert [one.what for one in found.unknowns] == ["what is done to test-tfs-01"]


@pytest.mark.parametrize("status", ["2", ("2", "32776"), ("11", "32782"), ("3", "32783"), ("2", "32790")])
async def test_a_backup_and_a_trouble_are_no_activity(gate, status):
    rows = [row | {"OperationalStatus": status} for row in SMALL.guest_rows()]
    assert (await gate(BUSY, 20348, {}, guests=rows)).passed


CRITICAL = "No guest on hv03 is in a critical state"
OUT = ": bring the storage of its files back, or shut it down"
STATES = {
    "paused, its storage is gone": ("32785", "25", GateOutcome.BLOCKED, True, f"crm-02 is paused (critical){OUT}"),
    "running without its files": ("32781", "25", GateOutcome.BLOCKED, True, f"crm-02 is running (critical){OUT}"),
    "2012 R2 tells it by health": ("9", "25", GateOutcome.BLOCKED, True, f"crm-02 is paused, in critical health{OUT}"),
    "off without its files": ("32782", "25", GateOutcome.BLOCKED, False, "crm-02 is off (critical)"),
    "saved without its files": ("32784", None, GateOutcome.BLOCKED, False, "crm-02 is saved (critical)"),
    "a lesser failure": ("2", "20", GateOutcome.PASSED, True, ""),
    "an unlisted health": ("2", "30", GateOutcome.NOT_KNOWN, True, "not known: state of crm-02: HealthState 30"),
    "no health": ("2", None, GateOutcome.NOT_KNOWN, True, "not known: state of crm-02: no HealthState"),
    "an unlisted state": (
        "77",
        "5",
        GateOutcome.NOT_KNOWN,
        True,
        "not known: state of crm-02: it is in an unknown state",
    ),
    "off, and no health": ("3", None, GateOutcome.PASSED, True, ""),
}


@pytest.mark.parametrize("case", STATES)
async def test_a_guest_that_has_lost_its_files_holds_the_drain_unless_it_is_at_rest(gate, case):
    state, health, outcome, blocks, measured = STATES[case]
    odd = {"EnabledState": state, "HealthState": health}
    rows = [row | (odd if row["ElementName"] == "crm-02" else {}) for row in SMALL.guest_rows()]
    found = await gate(CRITICAL, 20348, {}, guests=rows)
    assert (found.outcome, found.blocks, found.measured) == (outcome, blocks, measured)
    assert bool(found.unknowns) is (outcome is GateOutcome.NOT_KNOWN)


BONDS = {
    "an assigned device": (20348, {DEVICE: of("crm-02")}, "crm-02: assigned device"),
    "a GPU partition before 2025": (20348, {GPU: of("crm-02")}, "crm-02: GPU partition"),
    "a disk of the host": (
        9600,
        {DISK: of("crm-02", **PASSTHROUGH)},
        "crm-02: physical disk of the host (Physical Disk Drive)",
    ),
    "two guests": (20348, {DEVICE: [*of("sql-07"), *of("crm-02")]}, "sql-07: assigned device, crm-02: assigned device"),
}


@pytest.mark.parametrize("case", BONDS)
async def test_what_binds_a_guest_holds_the_drain(gate, case):
    build, answers, measured = BONDS[case]
    found = await gate(BOUND, build, answers)
    assert (found.outcome, found.blocks_plan, found.measured) == (GateOutcome.BLOCKED, True, measured)


OPEN = {
    "a GPU partition on 2025": (26100, {GPU: of("crm-02")}, "a GPU partition for crm-02 elsewhere"),
    "RemoteFX": (17763, {REMOTE_FX: of("crm-02")}, "a RemoteFX adapter for crm-02 elsewhere"),
    "an ISO file on the host": (
        9600,
        {DISC: disc("crm-02", "D:\\iso\\w.iso")},
        "D:\\iso\\w.iso of crm-02 on the other nodes",
    ),
    "a class that this Windows should have": (20348, {DEVICE: ABSENT}, "assigned device of the guests on hv03"),
    "a class that did not answer": (9600, {DISC: SILENT}, "ISO file on the host of the guests on hv03"),
    "a row that does not say whose it is": (
        20348,
        {DEVICE: [{"InstanceID": None}]},
        "assigned device of the guests on hv03",
    ),
}


@pytest.mark.parametrize("case", OPEN)
async def test_what_nobody_knows_of_the_other_nodes_is_named(gate, case):
    build, answers, what = OPEN[case]
    found = await gate(BOUND, build, answers)
    assert (found.outcome, found.blocks_plan, [one.what for one in found.unknowns]) == (
        GateOutcome.NOT_KNOWN,
        True,
        [what],
    )
    assert found.answerable
    assert what in found.measured


FREE = {
    "2012 R2 has none of the new classes": (9600, dict.fromkeys((DEVICE, GPU, TPM), ABSENT)),
    "2016 has no GPU partitions yet": (14393, {GPU: ABSENT}),
    "RemoteFX is gone since 2022": (20348, {REMOTE_FX: ABSENT}),
    "templates and snapshots are nobody's": (
        20348,
        {
            DEVICE: [
                {"InstanceID": "Microsoft:Definition\\11111111\\Default"},
                {"InstanceID": "Microsoft:99999999-0000-4000-8000-000000000000\\1"},
            ]
        },
    ),
    "an empty drive": (
        9600,
        {DISC: disc("crm-02"), DISK: of("crm-02", ResourceSubType="Microsoft:Hyper-V:Physical DVD Drive")},
    ),
    "a disc on a shared volume": (9600, {DISC: disc("crm-02", "C:\\ClusterStorage\\Volume1\\w.iso")}),
    "no virtual TPM": (20348, {TPM: of("crm-02", TpmEnabled="false")}),
}


@pytest.mark.parametrize("case", FREE)
async def test_what_binds_nobody(gate, case):
    build, answers = FREE[case]
    assert (await gate(BOUND, build, answers)).passed


async def test_a_guest_that_is_off_moves_with_whatever_it_has(gate):
    rows = [row | {"EnabledState": "3"} for row in SMALL.guest_rows()]
    assert (await gate(BOUND, 20348, {DEVICE: of("crm-02")}, guests=rows)).passed


@pytest.mark.parametrize(("role", "passed"), [("SCVMM crm-02 Resources", True), ("sql-07", False)])
async def test_a_disk_of_the_cluster_in_the_guests_own_role_moves_with_it(gate, role, passed):
    disks = {
        "Name": "Cluster Disk 9",
        "Type": "Physical Disk",
        "OwnerGroup": role,
        "OwnerNode": "hv03",
        "StatusInformation": "0",
    }
    rows = [*SMALL.resource_rows(), disks]
    found = await gate(BOUND, 20348, {DISK: of("crm-02", **PASSTHROUGH)}, prod={"MSCluster_Resource": rows})
    assert found.passed is passed


NO_GUARDIAN = (
    "not known: the key of the virtual TPM of crm-02 on the other nodes: the host has no local guardian, so its keys may"
    " come from a guardian service"
)
KEYS = {
    "every node has them": ({"hv03": ("AA",), "hv01": ("aa", "BB"), "hv02": ("AA",)}, GateOutcome.PASSED, ""),
    "one lacks them": ({"hv03": ("AA",), "hv01": ("AA",), "hv02": None}, GateOutcome.BLOCKED, "crm-02: virtual TPM"),
    "one does not answer": (
        {"hv03": ("AA",), "hv01": ("AA",), "hv02": SILENT},
        GateOutcome.NOT_KNOWN,
        "not known: the key of the virtual TPM of crm-02 on the other nodes: hv02: no answer in 20 s",
    ),
    "no local guardian": (
        dict.fromkeys(("hv03", "hv01", "hv02")),
        GateOutcome.NOT_KNOWN,
        NO_GUARDIAN,
    ),
}


@pytest.mark.parametrize("case", KEYS)
async def test_a_virtual_tpm_needs_its_key_on_the_other_nodes(gate, case):
    keys, outcome, measured = KEYS[case]
    found = await gate(BOUND, 20348, {TPM: of("crm-02", TpmEnabled="true")}, keys=keys)
    assert (found.outcome, found.measured) == (outcome, measured)


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("C:\\ClusterStorage\\V\\a.iso", True),
        ("c:\\clusterstorage\\V\\a.iso", True),
        ("\\\\files\\iso\\a.iso", True),
        ("\\\\?\\UNC\\files\\iso\\a.iso", True),
        ("\\\\?\\C:\\iso\\a.iso", False),
        ("D:\\a.iso", False),
        ("C:\\ClusterStorage2\\a.iso", False),
    ],
)
def test_which_files_every_node_sees(path, shared):
    assert is_shared(path) is shared


def gpu(model):
    return [{"Name": f"\\\\?\\PCI#{model}&SUBSYS_14A910DE&REV_A1#4&37ffb7d4&0&0010#{{064092b3}}\\GPUPARAV"}]


A2, L4 = gpu("VEN_10DE&DEV_25B6"), gpu("VEN_10DE&DEV_27B8")


@pytest.mark.parametrize(
    ("gpus", "outcome"),
    [
        ({"hv03": A2, "hv01": A2}, GateOutcome.PASSED),
        ({"hv03": A2, "hv01": L4}, GateOutcome.BLOCKED),
        ({"hv03": A2}, GateOutcome.BLOCKED),
        ({"hv03": A2, "hv01": SILENT}, GateOutcome.NOT_KNOWN),
        ({"hv03": A2, "hv01": [{"Name": "\\\\?\\ROOT#BasicRender"}]}, GateOutcome.NOT_KNOWN),
        ({}, GateOutcome.NOT_KNOWN),
    ],
    ids=["the same", "another", "none", "silent", "unreadable", "its own is not told"],
)
async def test_a_gpu_partition_moves_from_2025_on_to_a_node_with_the_same_gpu(gate, gpus, outcome):
    found = await gate(BOUND, 26100, {GPU: of("test-tfs-01")}, gpus=gpus)
    assert found.outcome is outcome
    assert bool(found.unknowns) is (outcome is GateOutcome.NOT_KNOWN)
