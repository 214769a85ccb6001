"""`/drain-node`: one step when every gate has passed, and every gate both ways."""

from dataclasses import replace

import pytest

from bot.api.actions import InvokeMethod
from bot.api.arguments import Target
from bot.api.command import Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Check, Expect, FlagPredicate, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, Wql
from bot.api.report import Remedy
from bot.api.rows import CellError
from bot.tickets.conditions import unmet
from commands.drain.steps import drain_step, none_locked
from commands.remediations.drain_node import COMMAND

CLUSTER = "root/MSCluster"
NODE = Wql("prod", CLUSTER, "MSCluster_Node", ("Name", "State", "NodeDrainStatus"), (Predicate("Name", "=", "hv03"),))
ROLES = Wql(
    "prod",
    CLUSTER,
    "MSCluster_ResourceGroup",
    ("Name", "OwnerNode"),
    (Predicate("OwnerNode", "=", "hv03"), Predicate("GroupType", "=", 111)),
)
OWNED = (Predicate("OwnerNode", "=", "hv03"),)
COLUMNS = ("Name", "OwnerNode", "StatusInformation")
UNLOCKED = (
    Expect((FlagPredicate("StatusInformation", 1),), at_least=0, at_most=0),
    Expect((Predicate("StatusInformation", "is null"),), at_least=0, at_most=0),
)
RESTS = Check(
    Wql("prod", CLUSTER, "MSCluster_ResourceGroup", ("Name", "OwnerNode", "State", "StatusInformation"), OWNED),
    (
        Expect(
            each=(Predicate("State", "in", (0, 1, 2, 3)), FlagPredicate("StatusInformation", 4, are_set=False)),
            at_least=0,
        ),
    ),
).described_as("no role on hv03 is moving")
DRAIN = Step(
    key="drain",
    description="Pause hv03 and drain it",
    act=InvokeMethod("hv03", CLUSTER, (("Name", "hv03"),), "MSCluster_Node", "Pause", (("DrainType", 1),)),
    guard=(
        Check(NODE, (Expect((Predicate("State", "=", 0),)),)).described_as("hv03 is up"),
        Check(
            Wql("prod", CLUSTER, "MSCluster_Node", NODE.columns, (Predicate("Name", "!=", "hv03"),)),
            (
                Expect(each=(Predicate("State", "in", (0, 1)),), at_least=0),
                Expect((Predicate("Name", "in", ("hv01", "hv02")), Predicate("State", "=", 0)), at_least=2),
            ),
        ).described_as("no other node of prod is paused or joining, and hv01, hv02 are up"),
        Check(Wql("prod", CLUSTER, "MSCluster_ResourceGroup", COLUMNS, OWNED), UNLOCKED).described_as(
            "no guest on hv03 is locked"
        ),
        Check(Wql("prod", CLUSTER, "MSCluster_Resource", COLUMNS, OWNED), UNLOCKED).described_as(
            "no resource on hv03 is locked"
        ),
        Check(
            Wql("prod", CLUSTER, "MSCluster_ClusterSharedVolume", ("Name", "BackupState")),
            (Expect((Predicate("BackupState", "=", 1),), at_least=0, at_most=0),),
        ).described_as("no shared volume of prod is in backup"),
    ),
    done=(
        Check(
            NODE,
            (Expect((Predicate("State", "=", 2), Predicate("NodeDrainStatus", "=", 2))),),
            within=1800,
            give_up=Expect((Predicate("State", "=", 2), Predicate("NodeDrainStatus", "=", 3))),
        ).described_as("hv03 is paused and drained", never="the drain of hv03 has failed"),
        Check(ROLES, (Expect(at_least=0, at_most=0),), within=60).described_as("no guest is left on hv03"),
        replace(RESTS, within=60),
    ),
    before=ROLES,
    undo=InvokeMethod("hv03", CLUSTER, (("Name", "hv03"),), "MSCluster_Node", "Resume", (("FailbackType", 1),)),
    undone=(Check(NODE, (Expect((Predicate("State", "=", 0),)),), within=120).described_as("hv03 is up"),),
    repeatable=True,
    undo_says="Resume hv03, its guests come back",
    untouched=(
        Check(
            NODE,
            (
                Expect((Predicate("State", "=", 0),)),
                Expect((Predicate("NodeDrainStatus", "=", 1),), at_least=0, at_most=0),
            ),
        ).described_as("hv03 is up and not being drained"),
        RESTS,
    ),
    moves=Check(
        Wql("prod", CLUSTER, "MSCluster_ResourceGroup", ("Name", "OwnerNode")),
        (Expect((Predicate("OwnerNode", "in", ("hv03", "")),), at_least=0),),
    ).described_as("are on hv03"),
)
GATES = (
    Gate("hv03 is up", outcome=GateOutcome.PASSED),
    Gate(
        "No other node of prod is paused, joining, isolated or quarantined",
        outcome=GateOutcome.PASSED,
        measured="2 other nodes up",
    ),
    Gate(
        "The cluster keeps quorum if hv03 goes down",
        outcome=GateOutcome.PASSED,
        measured="3 of 4 votes left",
        blocks=False,
    ),
    Gate(
        "The other nodes have enough memory for the guests on hv03",
        outcome=GateOutcome.PASSED,
        measured="needs 24 GB, 32 GB free on 2 nodes",
    ),
    Gate("No guest on hv03 is locked", outcome=GateOutcome.PASSED, measured="0 of 3 locked"),
    Gate("No guest on another node of prod is locked", outcome=GateOutcome.PASSED, blocks=False),
    Gate(
        "No backup is running on hv03 or on a shared volume",
        outcome=GateOutcome.PASSED,
        measured="asked: guests, shared volumes, shadow copies; backup products: none",
    ),
    Gate("No guest on hv03 is being exported, merged, checkpointed or migrated", outcome=GateOutcome.PASSED),
    Gate("No guest on hv03 is in a critical state", outcome=GateOutcome.PASSED),
    Gate("No guest on hv03 is tied to this node (by a device, a disk, a file or a key)", outcome=GateOutcome.PASSED),
    Gate("All shared volumes of prod are healthy", outcome=GateOutcome.PASSED, measured="1 volume"),
    Gate("No storage repair is running", outcome=GateOutcome.PASSED),
    Gate(
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        outcome=GateOutcome.PASSED,
        measured="none found",
    ),
    Gate(
        "Every guest on hv03 has another possible owner node that is up",
        outcome=GateOutcome.PASSED,
        measured="3 guests",
    ),
    Gate("Every other role on hv03 has another possible owner node that is up", GateOutcome.PASSED, "none"),
    Gate(
        "Anti-affinity allows every role on hv03 to move",
        GateOutcome.PASSED,
        "no role has such a class",
    ),
    Gate(
        "Every running guest on hv03 is set to live-migrate",
        outcome=GateOutcome.PASSED,
        measured="MoveTypeThreshold 2000",
        blocks=False,
    ),
    Gate("Every guest on hv03 is clustered", outcome=GateOutcome.PASSED, measured="3 guests", blocks=False),
    Gate("Cluster-Aware Updating is not running on prod", outcome=GateOutcome.PASSED, measured="3 nodes asked"),
)


async def test_the_whole_plan(planned, make):
    plan = await planned(COMMAND, make.cluster())
    assert plan == Plan(
        reason="hv03 is up with 3 guests; nothing on the node or its cluster prevents a drain.",
        impact="3 guests leave hv03.",
        rollback="Resume hv03 at any time: its guests come back.",
        locks=("cluster:prod",),
        gates=GATES,
        groups=(Group("drain", (DRAIN,)),),
        evidence=("Guests on hv03: test-tfs-01, SCVMM crm-02 Resources, sql-07.",),
        remedies=(Remedy("Resume Node…", "/resume-node hv03"),),
        current_state="hv03 is up with 3 guests",
        expected_state="hv03 is paused and drained, no guest is left",
        at_most=6,
    )
    assert plan.at_most == 6  # twice what was counted: signed, and shown
    assert planned.ask.rounds == 2
    assert (COMMAND.role, COMMAND.risk) == (Role.OPERATOR, Risk.HIGH)


@pytest.mark.parametrize(
    ("others", "unread", "is_met"), [(0, 0, True), (3, 0, True), (4, 0, False), (0, 3, True), (2, 2, False)]
)
async def test_no_more_roles_may_be_there_than_were_signed_as_the_drain_begins(planned, make, others, unread, is_met):
    """Of whatever kind; one that may be there counts as it does in the plan."""
    plan = await planned(COMMAND, make.cluster())
    limit = plan.guards_of(plan.steps[0])[-1]
    assert limit.description == "no more than 6 guests and other roles are on hv03"
    rows = [row | {"OwnerNode": "hv03"} for row in make.role_rows()[:3]]
    rows += [{"Name": f"SQL {number}", "OwnerNode": "HV03"} for number in range(others)]
    rows += [{"Name": f"odd {number}", "OwnerNode": (None, "")[number % 2]} for number in range(unread)]
    rows += [{"Name": f"crm-{number}", "OwnerNode": "hv01"} for number in range(50)]
    assert bool(unmet(limit, rows, {})) is not is_met


@pytest.mark.parametrize("state", ["0", "1", "2", "3", None, "gone"])
async def test_each_node_that_was_up_for_the_gates_is_up_as_the_drain_begins(planned, make, state):
    (step,) = (await planned(COMMAND, make.cluster())).steps
    check = next(one for one in step.guard if one.description.endswith(", and hv01, hv02 are up"))
    rows = [make.node_row("hv01"), make.node_row("hv02"), make.node_row("hv04", state=1)]
    rows[1] = rows[1] | {"State": state}
    assert bool(unmet(check, [row for row in rows if row["State"] != "gone"], {})) is (state != "0")


async def test_what_is_measured_stands_beside_what_is_signed(planned, make):
    """Guests that come and go, and memory that is used, void no approval."""
    one = await planned(COMMAND, make.cluster())
    other = await planned(
        COMMAND,
        make.cluster(
            prod={
                "MSCluster_ResourceGroup": make.role_rows()[:3],
                "MSCluster_Resource": [*make.resource_rows()[:2], make.resource_rows()[-1]],
            },
            hv03={"Msvm_ComputerSystem": make.guest_rows()[:3], "Msvm_SummaryInformation": make.memory_rows(1024)},
        ),
    )
    assert other.groups == one.groups
    assert [(gate.description, gate.passed, gate.blocks) for gate in other.gates] == [
        (gate.description, gate.passed, gate.blocks) for gate in one.gates
    ]
    assert other.impact == "2 guests leave hv03."


def only_sql_07_awake(make, state):
    """One guest of a low priority in that state, the others off, or of no priority that matters."""
    roles = [row | {"Priority": "1000" if row["Name"] == "sql-07" else "3000"} for row in make.role_rows()]
    guests = [row | {"EnabledState": state if row["ElementName"] == "sql-07" else "3"} for row in make.guest_rows()]
    return {"prod": {"MSCluster_ResourceGroup": roles}, "hv03": {"Msvm_ComputerSystem": guests}}


def disk(name, health="0", status="2"):
    return {"FriendlyName": name, "HealthStatus": health, "OperationalStatus": status}


def up(make, **odd):
    return [odd.get(one) or make.node_row(one) for one in ("hv01", "hv02", "hv03")]


SILENT = Unknown("prod", "timed out", "no answer in 20 s.")
CASES = {
    "another node is paused": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=2))}},
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is paused",
    ),
    "another node is joining": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=3))}},
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is joining",
    ),
    "another node is in a state that nobody knows": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=4294967295))}},
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is in the unknown state 4294967295",
    ),
    "another node is isolated": (
        lambda make: {
            "prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=1) | {"StatusInformation": "1"})}
        },
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is isolated (its guests keep running there until it rejoins or they fail over)",
    ),
    "another node is in quarantine": (
        lambda make: {
            "prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=1) | {"StatusInformation": "2"})}
        },
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is in quarantine",
    ),
    "another node is down, and nobody told whether it is isolated": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=1, build=17763))}},
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is down, and whether it is isolated was not told",
    ),
    "roles of one class have no node left": (
        lambda make: {
            "prod": {
                "MSCluster_ResourceGroup": [
                    row | {"AntiAffinityClassNames": ("DC",)} if row["GroupType"] == "111" else row
                    for row in make.role_rows()
                ],
                "MSCluster_Cluster": [
                    {"Name": "prod", "QuorumTypeValue": "3", "ClusterEnforcedAntiAffinity": "1"},
                ],
            }
        },
        "Anti-affinity allows every role on hv03 to move",
        "the rule is enforced: sql-07 has no node left",
    ),
    "the node itself is down": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv03=make.node_row("hv03", state=1))}},
        "hv03 is up",
        "hv03 is down",
    ),
    "the node is paused and not drained": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv03=make.node_row("hv03", state=2))}},
        "hv03 is up",
        "hv03 is paused",
    ),
    "too little memory": (
        lambda make: {"hv01": {"Win32_OperatingSystem": [{"FreePhysicalMemory": str(7 * 2**20)}]}},
        "The other nodes have enough memory for the guests on hv03",
        "needs 24 GB, 23 GB free on 2 nodes; no room for test-tfs-01",
    ),
    "a node that may have the memory is silent": (
        lambda make: {"hv01": {"Win32_OperatingSystem": Unknown("hv01", "timed out", "no answer in 20 s.")}},
        "The other nodes have enough memory for the guests on hv03",
        "needs 24 GB, 16 GB free on 1 node; hv01 did not report; no room for test-tfs-01",
    ),
    "nobody tells how much memory the guests hold": (
        lambda make: {"hv03": {"Msvm_SummaryInformation": Unknown("hv03", "refused", "no right.")}},
        "The other nodes have enough memory for the guests on hv03",
        "not known: hv03: no right",
    ),
    "nobody tells which guests are clustered, so how much has to move": (
        lambda make: {"prod": {"MSCluster_Resource": SILENT}},
        "The other nodes have enough memory for the guests on hv03",
        "not known: prod: no answer in 20 s",
    ),
    "a guest is backing up": (
        lambda make: {"hv03": {"Msvm_ComputerSystem": make.guest_rows(busy=("sql-07",))}},
        "No backup is running on hv03 or on a shared volume",
        "1 guest backing up (sql-07)",
    ),
    "a shared volume is in backup": (
        lambda make: {
            "prod": {"MSCluster_ClusterSharedVolume": [{"Name": "V", "BackupState": "1", "FaultState": "0"}]}
        },
        "No backup is running on hv03 or on a shared volume",
        "shared volume V in backup",
    ),
    "a shared volume has no access": (
        lambda make: {
            "prod": {"MSCluster_ClusterSharedVolume": [{"Name": "V", "BackupState": "0", "FaultState": "2"}]}
        },
        "All shared volumes of prod are healthy",
        "V no access",
    ),
    "shared volumes are not known": (
        lambda make: {"prod": {"MSCluster_ClusterSharedVolume": SILENT}},
        "All shared volumes of prod are healthy",
        "not known: prod: no answer in 20 s",
    ),
    "a storage job runs": (
        lambda make: {"hv03": {"MSFT_StorageJob": [{"Name": "Repair", "JobState": "4"}]}},
        "No storage repair is running",
        "Repair",
    ),
    "a virtual disk is unhealthy, and no job runs": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": [disk("Volume1", "2", ("11",)), disk("Volume2")]}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "Volume1 is unhealthy (in service)",
    ),
    "a virtual disk is healthy by one number and detached by the other": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": [disk("Volume1", "0", ("53249",))]}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "Volume1 is healthy (detached)",
    ),
    "a virtual disk warns": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": [disk("Volume1", "1", "3")]}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "Volume1 is warning (degraded)",
    ),
    "a virtual disk does not tell how it is": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": [disk("Volume1", "5", ("2",))]}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "not known: Volume1 is of health 5",
    ),
    "virtual disks are not known": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": Unknown("hv03", "timed out", "no answer in 20 s.")}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "not known: hv03: no answer in 20 s",
    ),
    "storage jobs are not known": (
        lambda make: {"hv03": {"MSFT_StorageJob": Unknown("hv03", "timed out", "no answer in 20 s.")}},
        "No storage repair is running",
        "not known: hv03: no answer in 20 s",
    ),
    "Cluster-Aware Updating works on another node": (
        lambda make: {"hv02": {"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]}},
        "Cluster-Aware Updating is not running on prod",
        "reported by hv02",
    ),
    "a node does not tell of Cluster-Aware Updating": (
        lambda make: {"hv01": {"MSFT_CAURun": Unknown("hv01", "timed out", "no answer in 20 s.")}},
        "Cluster-Aware Updating is not running on prod",
        "not known: hv01: no answer in 20 s",
    ),
    "a job on the storage is in a state that nobody lists": (
        lambda make: {"hv03": {"MSFT_StorageJob": [{"Name": "Repair", "JobState": "32768"}]}},
        "No storage repair is running",
        "not known: hv03: JobState 32768 does not tell whether the job Repair has ended",
    ),
    "a guest's memory is not told": (
        lambda make: {"hv03": {"Msvm_SummaryInformation": make.memory_rows()[1:]}},
        "The other nodes have enough memory for the guests on hv03",
        "needs 16 GB, 32 GB free on 2 nodes; not known for test-tfs-01",
    ),
    "another node is in a state that nobody lists": (
        lambda make: {"prod": {"MSCluster_Node": up(make, hv01=make.node_row("hv01", state=7))}},
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is in the unknown state 7",
    ),
    "a lock is not told": (
        lambda make: {
            "prod": {
                "MSCluster_ResourceGroup": [
                    row | ({"StatusInformation": None} if row["Name"] == "sql-07" else {}) for row in make.role_rows()
                ]
            }
        },
        "No guest on hv03 is locked",
        "0 of 3 locked; not known for sql-07",
    ),
    "the node of a locked role is not told": (
        lambda make: {
            "prod": {
                "MSCluster_ResourceGroup": [
                    row | ({"StatusInformation": "1", "OwnerNode": ("a", "b")} if row["Name"] == "sql-07" else {})
                    for row in make.role_rows()
                ]
            }
        },
        "No guest on hv03 is locked",
        "0 of 3 locked; not known for sql-07",
    ),
    "a shared volume did not report its fault": (
        lambda make: {
            "prod": {
                "MSCluster_ClusterSharedVolume": [
                    {"Name": "V", "BackupState": "0", "FaultState": None},
                    {"Name": "W", "BackupState": "0", "FaultState": "1"},
                ]
            }
        },
        "All shared volumes of prod are healthy",
        "W redirected access; not known for V",
    ),
    "a shared volume does not tell whether it is in backup": (
        lambda make: {
            "prod": {
                "MSCluster_ClusterSharedVolume": [
                    {"Name": "V", "BackupState": "7", "FaultState": "0"},
                    {"Name": "W", "BackupState": "0", "FaultState": "0"},
                ]
            }
        },
        "No backup is running on hv03 or on a shared volume",
        "Unknown whether a backup is running: what the cluster reports about V cannot be read",
    ),
    "a guest may be nowhere else": (
        lambda make: {"prod": {"MSCluster_ResourceToPossibleOwner": make.owner_rows(crm_02=("hv03",))}},
        "Every guest on hv03 has another possible owner node that is up",
        "cannot: SCVMM crm-02 Resources",
    ),
    "possible owners are not known": (
        lambda make: {"prod": {"MSCluster_ResourceToPossibleOwner": SILENT}},
        "Every guest on hv03 has another possible owner node that is up",
        "not known: prod: no answer in 20 s",
    ),
    "locks are not known": (
        lambda make: {"prod": {"MSCluster_Resource": SILENT}},
        "No guest on hv03 is locked",
        "not known: prod: no answer in 20 s",
    ),
}


# What is only not known, and a person may answer: the names that the plan asks for.
OPEN = {
    "a node that may have the memory is silent": ("free memory of hv01",),
    "nobody tells how much memory the guests hold": ("memory of guests of hv03",),
    "a guest's memory is not told": ("memory that test-tfs-01 holds",),
    "shared volumes are not known": ("backups of the shared volumes of prod", "shared volumes of prod"),
    "a shared volume did not report its fault": ("whether V has a fault",),
    "a shared volume does not tell whether it is in backup": ("whether V is in backup",),
    "possible owners are not known": ("possible owners of guests of prod",),
    "virtual disks are not known": ("virtual disks of hv03",),
}


@pytest.mark.parametrize("case", OPEN)
async def test_a_gate_that_is_only_not_known_is_asked_of_the_approver(planned, make, case):
    over, says, measured = CASES[case]
    plan = await planned(COMMAND, make.cluster(**over(make)))
    assert [step.key for step in plan.steps] == ["drain"]
    assert tuple(one.what for one in plan.open_questions) == OPEN[case]
    gate = next(gate for gate in plan.gates if gate.description == says)
    assert (gate.outcome, gate.is_open, gate.measured) == (GateOutcome.NOT_KNOWN, True, measured)
    assert "not known" in plan.reason
    assert "has passed" not in plan.reason


@pytest.mark.parametrize("case", sorted(CASES.keys() - OPEN.keys()))
async def test_a_gate_that_does_not_pass_holds_the_plan(planned, make, case):
    over, says, measured = CASES[case]
    plan = await planned(COMMAND, make.cluster(**over(make)))
    assert plan.groups == ()
    assert plan.open_questions == () or plan.is_held
    gate = next(gate for gate in plan.gates if gate.description == says)
    assert (gate.passed, gate.blocks, gate.measured) == (False, True, measured)
    assert gate in plan.blocking_gates
    assert gate.finding in plan.reason or "locked" in says


WARNINGS = {
    "the quorum would be lost": (
        lambda make: {
            "prod": {
                "MSCluster_Node": up(make, hv01=make.node_row("hv01", state=1)),
                "MSCluster_Cluster": [{"Name": "prod", "QuorumTypeValue": "1"}],
            },
            "hv02": {"Win32_OperatingSystem": [{"FreePhysicalMemory": str(64 * 2**20)}]},
        },
        "The cluster keeps quorum if hv03 goes down",
        "1 of 3 votes left",
    ),
    "a cloud witness has no listed number": (
        lambda make: {"prod": {"MSCluster_Cluster": [{"Name": "prod", "QuorumTypeValue": "5"}]}},
        "The cluster keeps quorum if hv03 goes down",
        "not known: prod: the cluster tells the unlisted QuorumTypeValue 5, so whether a witness votes is open",
    ),
    "a node did not report its vote": (
        lambda make: {
            "prod": {
                "MSCluster_Node": up(make, hv01=make.node_row("hv01") | {"NodeWeight": None, "DynamicWeight": None})
            }
        },
        "The cluster keeps quorum if hv03 goes down",
        "not known: not every node tells its state and its vote",
    ),
    "a guest of a low priority is in a state that nobody lists": (
        lambda make: only_sql_07_awake(make, "5"),
        "Every running guest on hv03 is set to live-migrate",
        "not known for sql-07",
    ),
    "the witness has failed": (
        lambda make: {
            "prod": {
                "MSCluster_Node": up(make, hv01=make.node_row("hv01", votes=0)),
                "MSCluster_Resource": [
                    *make.resource_rows()[:-1],
                    make.resource_rows()[-1] | {"State": "4"},
                ],
            }
        },
        "The cluster keeps quorum if hv03 goes down",
        "1 of 2 votes left; the disk witness has failed, so it does not count",
    ),
    "two roles of one class would share a node": (
        lambda make: {
            "prod": {
                "MSCluster_ResourceGroup": [
                    row | {"AntiAffinityClassNames": ("DC",)} if row["GroupType"] == "111" else row
                    for row in make.role_rows()
                ],
                "MSCluster_Cluster": [
                    {"Name": "prod", "QuorumTypeValue": "3", "ClusterEnforcedAntiAffinity": "0"},
                ],
            }
        },
        "Anti-affinity allows every role on hv03 to move",
        "a wish that is not enforced: sql-07 has no node left",
    ),
    "the witness is not known": (
        lambda make: {"prod": {"MSCluster_Cluster": SILENT}},
        "The cluster keeps quorum if hv03 goes down",
        "not known: prod: no answer in 20 s",
    ),
    "guests of a low priority are saved and moved": (
        lambda make: {"prod": {"MSCluster_ResourceGroup": make.role_rows(priority=1000)}},
        "Every running guest on hv03 is set to live-migrate",
        "saved and moved, so down for a while: test-tfs-01, SCVMM crm-02 Resources, sql-07",
    ),
    "the threshold is nowhere": (
        lambda make: {"prod": {"MSCluster_ResourceType": []}, "hv03": {"Parameters": [{"MoveTypeThreshold": None}]}},
        "Every running guest on hv03 is set to live-migrate",
        "not known",
    ),
    "a guest is not clustered": (
        lambda make: {"hv03": {"Msvm_ComputerSystem": make.guest_rows(extra=("lonely",))}},
        "Every guest on hv03 is clustered",
        "stays on hv03: lonely",
    ),
    "a shared volume is redirected": (
        lambda make: {
            "prod": {"MSCluster_ClusterSharedVolume": [{"Name": "V", "BackupState": "0", "FaultState": "1"}]}
        },
        "All shared volumes of prod are healthy",
        "V redirected access",
    ),
    "this Windows knows no Cluster-Aware Updating": (
        lambda make: {"hv02": {"MSFT_CAURun": Unknown("hv02", "absent", "it has no such class.")}},
        "Cluster-Aware Updating is not running on prod",
        "not known: hv02: it has no such class",
    ),
    "this Windows tells no virtual disks": (
        lambda make: {"hv03": {"MSFT_VirtualDisk": Unknown("hv03", "absent", "it has no such class.")}},
        "Every Storage Spaces virtual disk that hv03 sees is healthy",
        "not known: hv03: it has no such class",
    ),
    "this Windows tells no storage jobs": (
        lambda make: {"hv03": {"MSFT_StorageJob": Unknown("hv03", "absent", "it has no such class.")}},
        "No storage repair is running",
        "not known: hv03: it has no such class",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
async def test_a_warning_is_shown_and_the_plan_goes_on(planned, make, case):
    over, says, measured = WARNINGS[case]
    plan = await planned(COMMAND, make.cluster(**over(make)))
    gate = next(gate for gate in plan.gates if gate.description == says)
    assert (gate.passed, gate.blocks, gate.measured) == (False, False, measured)
    (step,) = plan.steps
    are_up = [one for one in step.guard if "no other node" in one.description]
    assert replace(step, guard=()) == replace(DRAIN, guard=())
    assert set(step.guard) - set(DRAIN.guard) <= set(are_up)  # a node that is down is none by which room was judged


def with_roles(make, *roles, resources=(), owners=()):
    """hv03 owns these roles beside its guests; their resources, and what they may run on."""
    names = {"OwnerNode": "HV03", "StatusInformation": "0"}
    rows = [{"State": "0"} | names | role for role in roles]
    held = [names | one for one in resources]
    ends = [
        {"GroupComponent": {"Name": name}, "PartComponent": {"Name": node}} for name, nodes in owners for node in nodes
    ]
    return {
        "MSCluster_ResourceGroup": [*make.role_rows(), *rows],
        "MSCluster_Resource": [*make.resource_rows(), *held],
        "MSCluster_ResourceToPossibleOwner": [*make.owner_rows(), *ends],
    }


SQL = {"Name": "SQL Server (VMMDB)", "GroupType": "9999"}
SQL_RESOURCE = {"Name": "SQL Server (VMMDB) instance", "Type": "SQL Server", "OwnerGroup": "sql server (vmmdb)"}
FATES = {
    "a SQL Server instance, by its resource": (
        SQL,
        SQL_RESOURCE,
        "SQL Server (VMMDB) (SQL Server instance: goes offline and starts on another node, connections break)",
    ),
    "an availability group": (
        {"Name": "AG1", "GroupType": "9999"},
        {"Name": "AG1", "Type": "SQL Server Availability Group", "OwnerGroup": "AG1"},
        "AG1 (SQL Server availability group: goes offline and starts on another node, connections break)",
    ),
    "a file server, by its group": (
        {"Name": "files", "GroupType": "100"},
        {},
        "files (file server: goes offline and starts on another node, connections break)",
    ),
    "a scale-out file server": (
        {"Name": "sofs", "GroupType": "114"},
        {},
        "sofs (scale-out file server: goes on on the other nodes, its clients reconnect)",
    ),
    "Replica's broker": (
        {"Name": "broker", "GroupType": "115"},
        {"Name": "broker", "Type": "Virtual Machine Replication Broker", "OwnerGroup": "broker"},
        "broker (Hyper-V Replica Broker: goes offline and starts on another node, replication waits until then)",
    ),
    "a role that is offline": (
        SQL | {"State": "1"},
        SQL_RESOURCE,
        "SQL Server (VMMDB) (SQL Server instance: is offline, only its owner changes)",
    ),
    "a kind that nobody lists": (
        {"Name": "new", "GroupType": "124"},
        {},
        "new (kind not known: what a drain does to it is not known)",
    ),
    "the cluster's own role": (
        {"Name": "Cluster Group", "GroupType": "1"},
        {},
        "Cluster Group (the cluster's own name and address: moves to another node, connections to the cluster's name break)",
    ),
}


@pytest.mark.parametrize("case", FATES)
async def test_the_impact_names_what_moves_beside_the_guests(planned, make, case):
    role, resource, says = FATES[case]
    plan = await planned(COMMAND, make.cluster(prod=with_roles(make, role, resources=[resource] if resource else [])))
    assert plan.impact == f"3 guests leave hv03. Also moved: {says}."
    gate = next(gate for gate in plan.gates if "other role" in gate.description)
    assert (gate.passed, gate.measured) == (True, role["Name"])


async def test_the_coordinator_of_a_shared_volume_moves_and_nothing_is_said_to_break(planned, make):
    volumes = [{"Name": f"6b0e5c1{at}-0000-4000-8000-000000000000", "GroupType": "4"} for at in range(2)]
    plan = await planned(COMMAND, make.cluster(prod=with_roles(make, *volumes)))
    assert plan.impact == ("3 guests leave hv03. 2 shared volumes get another coordinator node; I/O continues.")


async def test_a_role_that_may_run_nowhere_else_holds_the_drain(planned, make):
    prod = with_roles(make, SQL, resources=[SQL_RESOURCE], owners=[("SQL Server (VMMDB) instance", ("hv03", "hv99"))])
    plan = await planned(COMMAND, make.cluster(prod=prod))
    held = {gate.description: gate.measured for gate in plan.blocking_gates}
    assert held["Every other role on hv03 has another possible owner node that is up"] == "cannot: SQL Server (VMMDB)"


@pytest.mark.parametrize("name", [None, ""])
async def test_a_role_without_a_name_may_run_nowhere_else(planned, make, name):
    owners = [("SQL Server (VMMDB) instance", ("hv03", "hv99"))]
    prod = with_roles(make, SQL | {"Name": name}, resources=[SQL_RESOURCE], owners=owners)
    plan = await planned(COMMAND, make.cluster(prod=prod))
    gate = next(gate for gate in plan.gates if "other role" in gate.description)
    assert (gate.outcome, gate.measured) == (GateOutcome.NOT_KNOWN, "not known for a role whose name cannot be read")


@pytest.mark.parametrize("kind", [None, ""])
async def test_a_role_that_does_not_tell_its_kind_may_be_a_guests(planned, make, kind):
    """One that is saved and moved was said to move live."""
    rows = [row | {"GroupType": kind, "Priority": "1000"} for row in make.role_rows()]
    plan = await planned(COMMAND, make.cluster(prod={"MSCluster_ResourceGroup": rows}))
    gate = next(gate for gate in plan.gates if "live-migrate" in gate.description)
    assert (gate.outcome, gate.measured[:15]) == (GateOutcome.BLOCKED, "saved and moved")


async def test_a_role_with_a_guests_name_is_not_that_guest(planned, make):
    """sql-07 is off, and a role of its name is another machine's: that one runs, and would be saved and moved."""
    roles = [row | {"Priority": "1000"} for row in make.role_rows()]
    names = {"sql-07": "test-tfs-01", "test-tfs-01": "sql-07"}
    resources = [row | {"OwnerGroup": names.get(row["OwnerGroup"], row["OwnerGroup"])} for row in make.resource_rows()]
    guests = [row | {"EnabledState": "2" if row["ElementName"] == "test-tfs-01" else "3"} for row in make.guest_rows()]
    script = make.cluster(
        prod={"MSCluster_ResourceGroup": roles, "MSCluster_Resource": resources}, hv03={"Msvm_ComputerSystem": guests}
    )
    gate = next(gate for gate in (await planned(COMMAND, script)).gates if "live-migrate" in gate.description)
    assert (gate.outcome, gate.measured) == (GateOutcome.BLOCKED, "saved and moved, so down for a while: sql-07")


async def test_resources_that_do_not_tell_their_machine_leave_room_and_clustering_open(planned, make):
    script = make.cluster(
        prod={"MSCluster_Resource": make.resource_rows(private=False), "Parameters": [{"VmID": None}]}
    )
    plan = await planned(COMMAND, script)
    open_ = [gate.description for gate in plan.gates if gate.outcome is GateOutcome.NOT_KNOWN]
    assert open_ == ["The other nodes have enough memory for the guests on hv03", "Every guest on hv03 is clustered"]


async def test_the_threshold_may_come_from_the_hive(planned, make):
    script = make.cluster(
        prod={"MSCluster_ResourceType": [{"Name": "Virtual Machine", "PrivateProperties": None}]},
        hv03={"Parameters": [{"MoveTypeThreshold": "3000"}]},
    )
    plan = await planned(COMMAND, script)
    gate = next(gate for gate in plan.gates if "live-migrate" in gate.description)
    assert (gate.passed, gate.measured[:15]) == (False, "saved and moved")


async def test_locked_guests_are_explained_with_the_writer_and_the_guests_behind_them(planned, make):
    script = make.cluster(
        locked=("crm-02", "sql-07"),
        hv03={
            "vssadmin list writers": make.writer_rows(
                make.writer_row("Microsoft Hyper-V VSS Writer", 5, "Retryable error")
            ),
            "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin": [
                make.event(10102, "2026-11-22T22:14:37Z", VmName="test-tfs-01", VmId=make.vm_id("test-tfs-01"))
            ],
            "wevtutil query events System": [
                make.event(1137, "2026-11-22T22:20:00Z", ResourceGroup="sql-07", ErrorCode="5960")
            ],
        },
    )
    plan = await planned(COMMAND, script)
    assert plan.reason == "No plan yet for hv03: 2 of 3 guests are locked, a drain would fail (5960)."
    assert plan.evidence == (
        "A locked guest does not move: a drain fails with error 5960 and event 1137.",
        "Microsoft Hyper-V VSS Writer LOOKS STUCK: [5] Waiting for completion · Retryable error.",
        "No backup is running.",
        "Locked: 2 of 3: victims: crm-02, sql-07.",
        "Suspect: test-tfs-01 (event 10102, 22:14 UTC).",
        "A drain failed with error 5960 (event 1137, 1 time, last 22:20 UTC).",
    )
    assert [remedy.line for remedy in plan.remedies] == ["/find-full-guests hv03", "/check-writers hv03"]
    assert next(gate for gate in plan.gates if "locked" in gate.description).measured == "2 of 3 locked: crm-02, sql-07"


async def test_beside_locked_guests_what_is_not_known_is_named_too(planned, make):
    silent = {"Win32_OperatingSystem": Unknown("hv01", "timed out", "no answer in 20 s.")}
    plan = await planned(COMMAND, make.cluster(locked=("crm-02",), hv01=silent))
    assert plan.reason.startswith("No plan yet for hv03: 1 of 3 guests is locked, a drain would fail (5960). ")
    assert ". ." not in plan.reason
    assert any(gate.finding in plan.reason for gate in plan.open_gates)


async def test_a_drain_that_failed_is_explained_and_can_be_resumed(planned, make):
    script = make.cluster(
        locked=("sql-07",),
        prod={
            "MSCluster_Node": up(make, hv03=make.node_row("hv03", state=2, drain=3)),
        },
    )
    plan = await planned(COMMAND, script)
    assert plan.reason.startswith("No plan yet for hv03: 1 of 3 guests is locked, a drain would fail (5960). ")
    assert "hv03 is not up (hv03 is paused, its last drain failed)" in plan.reason
    assert plan.remedies[-1] == Remedy("Resume Node…", "/resume-node hv03")


@pytest.mark.parametrize(
    ("drain", "roles", "because"),
    [
        (2, False, "Nothing to do: hv03 is paused and drained."),
        (1, True, "Nothing to do: hv03 is being drained already, 3 guests left."),
    ],
)
async def test_nothing_to_do(planned, make, drain, roles, because):
    script = make.cluster(
        prod={
            "MSCluster_Node": up(make, hv03=make.node_row("hv03", state=2, drain=drain)),
            "MSCluster_ResourceGroup": make.role_rows(owner="hv03" if roles else "hv01"),
            "MSCluster_Resource": make.resource_rows(owner="hv03" if roles else "hv01"),
        }
    )
    plan = await planned(COMMAND, script)
    assert (plan.reason, plan.groups, plan.gates) == (because, (), ())
    assert plan.remedies == (Remedy("Resume Node…", "/resume-node hv03"),)
    assert plan.is_done_already is (drain == 2)  # a script that asks twice must not go on while guests leave


@pytest.mark.parametrize(("state", "is_done"), [("0", False), ("4", False), (None, False), ("1", True), ("2", True)])
async def test_a_paused_node_that_has_another_role_is_not_called_drained(planned, make, state, is_done):
    """Whoever only pauses a node drains nothing, and NodeDrainStatus may be that of the drain before."""
    sql = make.role_rows()[0] | {"Name": "SQL Server (CRM)", "OwnerNode": "hv03", "GroupType": "9999", "State": state}
    script = make.cluster(
        prod={
            "MSCluster_Node": up(make, hv03=make.node_row("hv03", state=2, drain=2)),
            "MSCluster_ResourceGroup": [*make.role_rows(owner="hv01"), sql],
            "MSCluster_Resource": make.resource_rows(owner="hv01"),
        }
    )
    plan = await planned(COMMAND, script)
    assert (plan.is_done_already, plan.groups) == (is_done, ())
    assert plan.reason == (
        "Nothing to do: hv03 is paused and drained."
        if is_done
        else "No plan for hv03: it is paused and its last drain has ended, but roles are left there that are not known to be"
        " offline: SQL Server (CRM). Resume it, then drain it."
    )


async def test_a_host_that_stands_alone_is_refused_without_a_question(planned, alone):
    plan = await planned(COMMAND, {}, alone)
    assert (plan.reason, plan.groups) == (
        "backup01 belongs to no cluster, so its guests have nowhere to go.",
        (),
    )
    assert planned.ask.asked == []


async def test_2008_knows_no_drain(planned, make):
    rows = [make.node_row(one, build=7601) for one in ("hv01", "hv02", "hv03")]
    plan = await planned(COMMAND, make.cluster(prod={"MSCluster_Node": rows}))
    assert plan.groups == ()
    assert plan.reason.startswith("hv03 runs Windows Server 2008 R2")
    assert planned.ask.rounds == 1


async def test_a_cluster_that_does_not_answer_is_no_plan(planned, make):
    plan = await planned(COMMAND, make.cluster(), silent={"prod": "timed out"})
    assert (plan.reason, plan.groups) == ("No plan for hv03: prod: no answer in 20 s.", ())


async def test_a_node_that_the_cluster_does_not_know(planned, make):
    plan = await planned(COMMAND, make.cluster(), Target("hv99", "host", "prod", backup=()))
    assert (plan.reason, plan.groups) == ("No plan: hv99: prod has no node of that name.", ())


async def test_hostile_names_stay_names(planned, make):
    """A role whose name tries to be a query is measured, not signed, and never part of an action."""
    name = "x' OR Name != '"
    rows = make.role_rows()
    rows[1]["Name"] = name
    plan = await planned(COMMAND, make.cluster(prod={"MSCluster_ResourceGroup": rows}))
    assert plan.groups == (Group("drain", (DRAIN,)),)
    assert name in plan.evidence[0]


COLUMNS = {
    "tbl_ADHC_Host": {"HostID": "uniqueidentifier", "ComputerName": "nvarchar"},
    "tbl_WLC_VObject": {
        "ObjectId": "uniqueidentifier",
        "ObjectState": "int",
        "Name": "nvarchar",
        "HostId": "uniqueidentifier",
        "CloudId": "uniqueidentifier",
    },
    "tbl_WLC_VMInstance": {"VMInstanceId": "uniqueidentifier", "VMId": "nvarchar"},
    "tbl_TR_TaskTrail": {"TaskID": "uniqueidentifier", "TaskState": "nvarchar"},
}
JOB_COLUMNS = [
    {"TABLE_NAME": table, "COLUMN_NAME": column, "DATA_TYPE": kind}
    for table, columns in COLUMNS.items()
    for column, kind in columns.items()
]


@pytest.mark.parametrize(
    ("answers", "passed", "measured"),
    [
        ({"vmm columns": JOB_COLUMNS, "vmm running jobs": []}, True, "0 running"),
        (
            {"vmm columns": JOB_COLUMNS, "vmm running jobs": [{"TaskID": "a", "TaskState": "Running"}]},
            False,
            "1 running",
        ),
        ({"vmm columns": []}, False, "not known: this schema does not tell"),
        (
            {"vmm columns": Unknown("vmm", "timed out", "no answer in 20 s.")},
            False,
            "not known: no answer in 20 s",
        ),
    ],
)
async def test_jobs_of_the_vmm_server_that_manages_the_cluster_are_a_warning(planned, make, answers, passed, measured):
    script = make.cluster(vmm=answers)
    plan = await planned(COMMAND, script, Target("hv03", "host", "prod", managers=("vmm",), backup=()))
    gate = next(gate for gate in plan.gates if gate.description == "VMM vmm is idle")
    assert (gate.passed, gate.blocks, gate.measured) == (passed, False, measured)
    assert plan.groups == (Group("drain", (DRAIN,)),)


BACK = {
    "all is well": ({}, []),
    "a run of Cluster-Aware Updating": (
        {"hv02": {"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]}},
        ["Cluster-Aware Updating is not running on prod"],
    ),
    "a storage job, which does not mind": ({"hv03": {"MSFT_StorageJob": [{"Name": "Repair", "JobState": "4"}]}}, []),
}


@pytest.mark.parametrize("case", BACK)
async def test_the_way_back_asks_whether_somebody_else_is_at_work_and_not_whether_it_may_drain(
    scripted, make, hv03, case
):
    over, held = BACK[case]
    paused = {"prod": {"MSCluster_Node": up(make, hv03=make.node_row("hv03", state=2, drain=2))}}
    args = COMMAND.args(hv03)
    facts = await COMMAND.collect(args, scripted(make.cluster(**(paused | over))))
    gates = COMMAND.undo_gates(args, facts, Plan("", "", "", (), (), ()))
    assert {gate.guards for gate in gates} == {"safety"}
    assert [gate.description for gate in gates if gate.blocks_plan] == held
    assert "hv03 is up" not in [gate.description for gate in gates]


@pytest.mark.parametrize(
    ("earlier", "gives_up", "guests_within"),
    [("0", True, 60), ("1", True, 60), ("2", True, 1800), ("3", False, 60), ("7", False, 1800), (None, False, 1800)],
)
def test_the_end_of_an_earlier_drain_is_taken_for_none_of_this_one(earlier, gives_up, guests_within):
    """NodeDrainStatus is that of the last drain until the next one is under way; nobody says when that is."""
    step = drain_step("prod", "hv03", earlier=None if earlier is None else int(earlier))
    ended, empty, others = step.done
    assert (ended.give_up is not None, bool(ended.never)) == (gives_up, gives_up)
    assert (empty.within, others.within) == (guests_within, guests_within)


@pytest.mark.parametrize("earlier", ["0", "1", "2", "3", "7", None])
@pytest.mark.parametrize(
    ("state", "flags", "told", "untold"),
    [
        # Online: a drain that has ended may leave such a role, and so does one that has not begun with it.
        ("0", "0", True, False),
        ("3", "0", True, False),
        ("1", "0", True, True),
        ("2", "0", True, True),
        ("4", "0", False, False),
        ("0", "4", False, False),
        ("1", "4", False, False),
        ("4294967295", "0", False, False),
        (None, "0", False, False),
        ("0", None, False, False),
        ("1", None, False, False),
    ],
)
def test_a_role_that_is_no_guest_has_left_before_a_drain_is_done(earlier, state, flags, told, untold):
    """NodeDrainStatus may still be that of the last drain, which ended well: then it proves nothing of this one."""
    step = drain_step("prod", "hv03", earlier=None if earlier is None else int(earlier))
    sql = {"Name": "SQL Server (CRM)", "OwnerNode": "hv03", "State": state, "StatusInformation": flags}
    answers = {"MSCluster_Node": [{"Name": "hv03", "State": "2", "NodeDrainStatus": "2"}]}
    says_so = earlier in ("0", "1", "3")
    missed = []
    for check in step.done:
        asks_for_guests = any(term.column == "GroupType" for term in check.question.where)
        rows = answers.get(check.question.cls, [] if asks_for_guests else [sql])
        missed += unmet(check, rows, {})
    assert (not missed) is (told if says_so else untold)


async def test_a_drain_knows_what_came_of_the_last_one(planned, make):
    plan = await planned(COMMAND, make.cluster(prod={"MSCluster_Node": _after_a_failed_drain(make)}))
    (step,) = plan.groups[0].steps
    assert step.done[0].give_up is None


def _after_a_failed_drain(make):
    rows = make.cluster()["prod", "MSCluster_Node"]
    return [row | {"NodeDrainStatus": "3"} if row["Name"] == "hv03" else row for row in rows]


async def test_guests_of_one_name_are_told_apart_by_their_ids(planned, make):
    rows = [row | ({} if row["Name"] == "HV03" else {"ElementName": "app"}) for row in make.guest_rows()]
    busy = [row | {"OperationalStatus": ("2", "32776")} if row["Name"].startswith("00000002") else row for row in rows]
    plan = await planned(
        COMMAND,
        make.cluster(hv03={"Msvm_ComputerSystem": busy, "Msvm_SummaryInformation": make.memory_rows()[1:]}),
    )
    told = {gate.description: gate.measured for gate in plan.gates if not gate.passed}
    assert "guest backing up (app (00000002))" in told["No backup is running on hv03 or on a shared volume"]
    assert told["The other nodes have enough memory for the guests on hv03"].endswith("not known for app (00000001)")


@pytest.mark.parametrize("state", ["0", "1", "2", "3", "7", "4294967295", None])
@pytest.mark.parametrize("status", ["0", "1", "2", "3", "32", None])
async def test_the_guard_before_a_drain_looks_for_what_its_gate_looks_for(planned, make, state, status):
    """What another node turns to between the look that made the plan and the step itself."""
    rows = [make.node_row(one) | {"StatusInformation": "0", "BuildNumber": "17763"} for one in make.nodes]
    drain = (await planned(COMMAND, make.cluster(prod={"MSCluster_Node": rows}))).groups[0].steps[0]
    rows[0] |= {"State": state, "StatusInformation": status}
    now = await planned(COMMAND, make.cluster(prod={"MSCluster_Node": rows}))
    gate = next(one for one in now.gates if one.description.startswith("No other node of prod"))
    others = [row for row in rows if row["Name"] != "hv03"]
    checks = [one for one in drain.guard if "node of prod" in one.description]
    held = [unmet(one, others if "isolated" not in one.description else rows, {}) for one in checks]
    assert len(checks) == 2
    if gate.passed and state == "1":
        assert any(held)  # it was up as the plan was made, and what the other gates said rests on it
    else:
        # an up node that tells no flags: 2016 does
        assert gate.passed is not any(held) or (state, status) == ("0", None)


@pytest.mark.parametrize(
    ("client", "status", "asked"),
    [
        ("HyperV-Prod", "Running", ("which machine job 48211 saves",)),
        ("HyperV-Prod", "Pending", ()),
        ("HyperV-Prod", "Completed", ()),
        ("", "Running", ("which machine job 48211 saves",)),
        ("web-01.corp.example", "Running", ()),
    ],
)
async def test_a_job_that_runs_for_a_client_of_the_product_s_own_is_not_known_to_be_another_s(
    scripted, make, client, status, asked
):
    """A virtualization client may save any host; a guest of another node is told by its host, not by its role's name."""
    web = make.guest_rows()[1] | {"ElementName": "web-01", "Name": "0000009A-0000-4000-8000-000000000000"}
    script = make.cluster(
        commvault={"commvault active jobs": [make.job(client=client, status=status)]},
        hv01={"Msvm_ComputerSystem": [web]},
        hv02={"Msvm_ComputerSystem": []},
    )
    ask = scripted(script)
    ask.strangers |= {"HyperV-Prod", "web-01.corp.example"}
    args = COMMAND.args(Target("hv03", "host", "prod", backup=("commvault",)))
    plan = COMMAND.plan(args, await COMMAND.collect(args, ask))
    assert tuple(one.what for one in plan.open_questions) == asked
    gate = next(one for one in plan.gates if one.description.startswith("No backup is running on hv03"))
    assert gate.outcome is (GateOutcome.NOT_KNOWN if asked else GateOutcome.PASSED)


# What decides a drain, row by row: a cell of it that nobody can read is a question by name, and no gate passes over it.
DECIDES = {
    ("prod", "MSCluster_ResourceGroup", "StatusInformation"): "sql-07",
    ("prod", "MSCluster_ResourceGroup", "AntiAffinityClassNames"): "sql-07",
    ("prod", "MSCluster_ResourceGroup", "Priority"): "sql-07",
    ("prod", "MSCluster_Resource", "StatusInformation"): "sql-07",
    ("prod", "MSCluster_Resource", "Name"): "sql-07",
    ("prod", "MSCluster_ClusterSharedVolume", "BackupState"): "Volume1",
    ("prod", "MSCluster_ClusterSharedVolume", "FaultState"): "Volume1",
    ("prod", "MSCluster_Node", "State"): "hv02",
    ("prod", "MSCluster_Node", "DynamicWeight"): "not every node tells",
    ("hv03", "Msvm_ComputerSystem", "OperationalStatus"): "sql-07",
    ("hv03", "Msvm_ComputerSystem", "EnabledState"): "sql-07",
    ("hv03", "Msvm_ComputerSystem", "HealthState"): "sql-07",
    ("hv03", "Msvm_SummaryInformation", "MemoryUsage"): "sql-07",
    ("hv03", "MSFT_VirtualDisk", "HealthStatus"): "Volume9",
    ("hv03", "MSFT_VirtualDisk", "OperationalStatus"): "Volume9",
    ("hv03", "MSFT_StorageJob", "JobState"): "Repair",
    ("hv03", "Win32_ShadowCopy", "Persistent"): "hv03",
}


@pytest.mark.parametrize("cell", DECIDES, ids=lambda cell: "-".join(cell[1:]))
async def test_no_gate_passes_over_a_cell_that_cannot_be_read(planned, make, cell):
    on, what, column = cell
    copy = {"ID": "{1}", "InstallDate": "2026-11-20T10:00:00Z", "Persistent": "true", "ClientAccessible": "true"}
    script = make.cluster(
        hv03={
            "MSFT_VirtualDisk": [disk("Volume1"), disk("Volume9")],
            "MSFT_StorageJob": [{"Name": "Repair", "JobState": "7"}],
            "Win32_ShadowCopy": [copy],
        }
    )
    assert all(gate.passed for gate in (await planned(COMMAND, script)).gates)
    rows = script[on, what]
    at = next(
        (
            at
            for at, row in enumerate(rows)
            if any("sql-07" in str(told) or told in ("Volume9", "hv02") for told in row.values())
        ),
        0,
    )
    if what == "Msvm_SummaryInformation":
        names = [row["Name"] for row in script["hv03", "Msvm_ComputerSystem"] if row["ElementName"] == "sql-07"]
        at = next(at for at, row in enumerate(rows) if row["Name"] in names)
    script[on, what] = [row | ({column: {"x": "y"}} if number == at else {}) for number, row in enumerate(rows)]
    open_ = [gate for gate in (await planned(COMMAND, script)).gates if gate.outcome is GateOutcome.NOT_KNOWN]
    assert open_
    named = [gate.measured for gate in open_] + [one.what + one.why for gate in open_ for one in gate.unknowns]
    assert any(DECIDES[cell] in words for words in named)


@pytest.mark.parametrize("state", [None, "", "7"])
async def test_a_node_that_may_be_up_is_asked_for_cluster_aware_updating(planned, make, state):
    script = make.cluster(hv02={"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]})
    nodes = script["prod", "MSCluster_Node"]
    script["prod", "MSCluster_Node"] = [one | ({"State": state} if one["Name"] == "hv02" else {}) for one in nodes]
    gates = {gate.description: gate.outcome for gate in (await planned(COMMAND, script)).gates}
    assert gates["Cluster-Aware Updating is not running on prod"] is GateOutcome.BLOCKED


@pytest.mark.parametrize("name", [None, ""])
async def test_no_gate_passes_over_a_machine_that_does_not_tell_which_it_is(planned, make, name):
    script = make.cluster()
    machines = script["hv03", "Msvm_ComputerSystem"]
    script["hv03", "Msvm_ComputerSystem"] = [*machines[:-1], machines[-1] | {"Name": name}]
    open_ = [gate for gate in (await planned(COMMAND, script)).gates if gate.outcome is GateOutcome.NOT_KNOWN]
    assert len(open_) > 1


@pytest.mark.parametrize("flags", ["1", None, ""])
def test_no_drain_begins_over_a_role_that_does_not_tell_whether_it_is_locked(flags):
    """Also where its flags are an element without a text: that is no number, and no NULL."""
    check = none_locked(Wql("prod", CLUSTER, "MSCluster_ResourceGroup", COLUMNS, OWNED))
    try:
        assert unmet(check, ({"Name": "crm-01", "OwnerNode": "hv03", "StatusInformation": flags},), {})
    except CellError:  # that is no answer
        assert flags == ""
    assert not unmet(check, ({"Name": "crm-01", "OwnerNode": "hv03", "StatusInformation": "0"},), {})
