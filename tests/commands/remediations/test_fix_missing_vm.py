"""`/fix-missing-vm`: three ways, each a whole plan; whatever is not certain is no plan."""

from dataclasses import replace

import pytest
from scripted_cluster import LARGE, changed, node_row
from scripted_migration import ticket
from scripted_vmm import OF_2008_R2, columns, guid, on, record, there, world

from bot.api.actions import InvokeMethod, ManualStep, RowTransaction, Update
from bot.api.arguments import Target, VmmTargets
from bot.api.facts import Unknown
from bot.api.plan import Check, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, RunReader, Wql, make_params
from bot.api.report import Remedy
from bot.tickets.conditions import unmet
from commands.remediations.fix_missing_vm import COMMAND, Vm, Way
from commands.sources.services import start_step, stop_step

VMM = Target("vmm", "vmm", clusters=("prod",))
OWN = Target("vmm", "vmm", clusters=("prod",), host="vmm01")
OTHER = Target("vmm-old", "vmm", clusters=("prod",))
OBJECT, VM, HV04, HV06 = guid("object", "crm-01"), guid("vm", "crm-01"), guid("host", "hv04"), guid("host", "hv06")


def missing(host="hv04", state=220, **over):
    return record("crm-01", host, state) | {"ObjectId": OBJECT} | over


def backup(finished="2026-11-22T05:53:00", now="2026-11-22T22:41:00"):
    return [{"backup_finish_date": finished, "server_now": now}]


def script(*records, power=2, **over):
    """VMM believes crm-01 to be on hv04, and it is on hv06."""
    told = world(list(records or [missing()]), hv06=on(more=there("crm-01", state=power)))
    alone = Unknown("vmm01", "absent", "there is no such namespace.")
    return changed(told | {("vmm", "vmm last full backup"): backup(), ("vmm01", "MSCluster_Resource"): alone}, over)


def movable(locked="0", **over):
    """The same, with all that is asked of the node from which crm-01 moves, and of its cluster."""
    own = {"OwnerNode": "hv06", "StatusInformation": locked}
    role = own | {"Name": "crm-01", "GroupType": "111", "Priority": "2000"}
    private = {"__CLASS": "MSCluster_Property", "VmId": VM}
    resource = own | {
        "Name": "Virtual Machine crm-01",
        "Id": "r1",
        "OwnerGroup": "crm-01",
        "PrivateProperties": private,
    }
    memory = [{"Name": VM, "MemoryUsage": "4096"}]
    told = LARGE.cluster(
        prod={"MSCluster_ResourceGroup": [role], "MSCluster_Resource": [resource]},
        hv06={"Msvm_SummaryInformation": memory},
    )
    return changed(told | script(), over)


@pytest.fixture
def planned(scripted):
    async def run(told, by="refresh", vm="crm-01", servers=(VMM,)):
        args = COMMAND.args(tuple(map(Vm, vm.split())), VmmTargets(servers), Way(by))
        run.ask = scripted(told)
        return COMMAND.plan(args, await COMMAND.collect(args, run.ask))

    return run


ROW = RunReader("vmm", "vmm virtual machine", make_params(object=OBJECT))
MACHINE = Wql(
    "hv06", "root/virtualization/v2", "Msvm_ComputerSystem", ("Name", "EnabledState"), (Predicate("Name", "=", VM),)
)
SERVICE = {"Name": "VMMService", "State": "Running", "ProcessId": "2112"}
BECAUSE = "VMM has crm-01 as Missing (220) on hv04; it is running on hv06."
ITSELF = Predicate("VMId", "in", (VM, f"{{{VM}}}"))
MENDED = (Expect((ITSELF, Predicate("HostId", "=", HV06), Predicate("ObjectState", "!=", 220))),)
SHOWN = "VMM vmm shows the virtual machine on hv06, no longer as Missing"
HAND = 4 * 3600
MENDS = f"/fix-missing-vm {OBJECT} --vmm vmm"
LOOK = Remedy("Find Missing VMs", "/find-missing-vms vmm", primary=True)


def row_is(host, state):
    which = "it had before" if host == HV04 else "where it really is"
    says = f"VMM vmm records the host {which}, and the state {state}"
    terms = (ITSELF, Predicate("HostId", "=", host), Predicate("ObjectState", "=", state))
    return Check(ROW, (Expect(terms),)).described_as(says)


def runs(power=(2,), word="running", **over):
    found = Check(MACHINE, (Expect((Predicate("EnabledState", "in", power),)),), **over)
    return found.described_as(f"the virtual machine is on hv06 and {word}")


def refresh(key):
    return Step(
        key,
        "Refresh the virtual machine in VMM vmm",
        ManualStep(f"On the VMM server: Get-SCVirtualMachine -ID {OBJECT} | Read-SCVirtualMachine -Force", "operator"),
        done=(Check(ROW, MENDED, within=600, every=15).described_as(SHOWN),),
        before=ROW,
        deadline=HAND,
    )


async def test_the_refresh_comes_first(planned):
    assert await planned(script()) == Plan(
        reason=BECAUSE,
        impact="VMM refreshes one virtual machine's record; the machine itself is not touched.",
        rollback="None is needed: a refresh only reads the host.",
        locks=(f"vmm:vmm:{OBJECT}",),
        gates=(),
        groups=(Group("refresh", (refresh("refresh"),)),),
        remedies=(
            LOOK,
            Remedy("Live-Migrate…", f"{MENDS} --by migration"),
            Remedy("Change the Database…", f"{MENDS} --by database"),
        ),
        current_state="VMM vmm shows crm-01 on hv04, Missing (220); it is running on hv06",
        expected_state="VMM vmm shows crm-01 on hv06, no longer as Missing",
    )


async def test_the_live_migration_is_by_hand(planned):
    plan = await planned(movable(), "migration")
    assert set(plan.locks) == {"cluster:prod", f"vmm:vmm:{OBJECT}"}  # no drain of its cluster runs beside it
    assert [gate.description for gate in plan.gates if not gate.passed] == []
    assert [gate.description for gate in plan.gates] == [
        "hv04 is up",
        "hv04 has enough memory for crm-01",
        "crm-01 is not locked",
        "No backup of crm-01 or of a shared volume is running",
        "crm-01 is not being exported, merged, checkpointed or migrated",
        "crm-01 is not in a critical state",
        "crm-01 is not tied to hv06 by a device, a disk, a file or a key",
        "All shared volumes of prod are healthy",
        "hv04 is up and a possible owner of crm-01",
        "No role of the anti-affinity class of crm-01 is on hv04",
        "Cluster-Aware Updating is not running on prod",
        "VMM vmm is idle",
    ]
    move, look = plan.steps
    assert isinstance(move.act, ManualStep)
    assert f"live-migrate the virtual machine {VM} from hv06 to hv04" in move.act.instruction
    assert move.guard == (runs(),)
    assert plan.expected_state == "crm-01 runs on hv04, and VMM vmm does not show it as Missing"
    assert move.done[0].question.on == "hv04"
    assert look.act is None
    assert look.done == (
        Check(ROW, (Expect((ITSELF, Predicate("ObjectState", "!=", 220))),), within=1800, every=30).described_as(
            "VMM vmm does not show the virtual machine as Missing"
        ),
    )


def proved_and(**private):
    """A way is proved on prod, and the resource tells what a migration has to know."""
    told = movable()
    for row in told["prod", "MSCluster_Resource"]:
        more = {"VmState": "2", "MigrationState": "0", "DefaultMoveType": "4"} | private
        row |= {"State": "2", "PrivateProperties": row["PrivateProperties"] | more}
    for row in told["prod", "MSCluster_ResourceGroup"]:
        row["State"] = "0"
    return told | {("*", "changes prove-migration"): [ticket(1)]}


async def test_hvops_moves_it_itself_where_it_has_proved_that_it_can(planned):
    plan = await planned(proved_and(), "migration")
    move, look = plan.steps
    assert isinstance(move.act, InvokeMethod)
    assert (move.act.on, move.act.method) == ("hv06", "ExecuteResourceControl")
    assert move.description == "Live-migrate crm-01 from hv06 to hv04"
    assert move.guard[0] == runs()
    assert move.finishes
    assert look.act is None
    assert "hvops moves it: ExecuteResourceControl, proved with crm-01 in T-1" in plan.impact
    assert "crm-01 is set to live-migrate, never to quick-migrate" in [gate.description for gate in plan.gates]
    assert "cluster:prod" in plan.locks


async def test_what_is_not_known_to_be_live_is_not_moved_by_a_person_instead(planned):
    plan = await planned(proved_and(DefaultMoveType="1"), "migration")
    assert not plan.groups
    assert "DefaultMoveType is 1, not live (4)" in plan.reason


async def test_a_person_moves_it_where_nothing_is_proved_or_known(planned):
    told = proved_and() | {("*", "changes prove-migration"): []}
    assert (
        "Someone must move it by hand: no live migration method has been proved on prod"
        in (await planned(told, "migration")).impact
    )
    silent = Unknown("prod", "bad reply", "its answer cannot be understood.")
    told = proved_and() | {("*", "changes prove-migration"): silent}
    plan = await planned(told, "migration")
    assert isinstance(plan.steps[0].act, ManualStep)
    assert "it is not known which migration method was proved on prod" in plan.impact


HELD = {
    "it is locked": (movable(locked="1"), "crm-01 is not locked", "1 of 1 locked: crm-01"),
    "the other node is paused": (
        movable(prod={"MSCluster_Node": [node_row(one, state=2 if one == "hv04" else 0) for one in LARGE.nodes]}),
        "hv04 is up",
        "hv04 is paused",
    ),
    "it is being exported": (
        movable(hv06={"Msvm_ComputerSystem": [row | {"OperationalStatus": ("2", "32773")} for row in there("crm-01")]}),
        "crm-01 is not being exported, merged, checkpointed or migrated",
        "crm-01: it is being exported",
    ),
    "it may not run there": (
        movable(
            prod={
                "MSCluster_ResourceToPossibleOwner": [
                    {"GroupComponent": {"Name": "Virtual Machine crm-01"}, "PartComponent": {"Name": "hv05"}}
                ]
            }
        ),
        "hv04 is up and a possible owner of crm-01",
        "cannot: crm-01",
    ),
    "there is no room": (
        movable(hv04={"Win32_OperatingSystem": [{"FreePhysicalMemory": "1024", "BuildNumber": "9600"}]}),
        "hv04 has enough memory for crm-01",
        "needs 4 GB, 1 MB free on 1 node; no room for crm-01",
    ),
    "a run of updates works": (
        movable(hv02={"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]}),
        "Cluster-Aware Updating is not running on prod",
        "reported by hv02",
    ),
}


@pytest.mark.parametrize("case", HELD)
async def test_a_live_migration_asks_what_a_drain_asks_of_a_guest(planned, case):
    answers, says, measured = HELD[case]
    plan = await planned(answers, "migration")
    assert plan.groups == ()
    assert (says, measured) in [(gate.description, gate.measured) for gate in plan.blocking_gates]


async def test_what_the_writers_of_its_node_leave_open_holds_a_live_migration_too(planned):
    """As it holds a drain of that node: a copy that is younger than the first look at a writer that waits."""
    kept = dict.fromkeys(("Persistent", "NoAutoRelease"), "true") | {"ClientAccessible": "false"}
    told = movable(
        hv06={
            "vssadmin list writers": LARGE.writer_rows(LARGE.writer_row("System Writer", 5)),
            "Win32_ShadowCopy": [{"ID": "a", "InstallDate": "2026-11-22T22:35:00Z"} | kept],
            "recall writer": [LARGE.sample("System Writer", "2026-11-22T22:21:00Z", 5, "No error")],
        }
    )
    (gate,) = (one for one in (await planned(told, "migration")).gates if one.description.startswith("No backup "))
    assert gate.outcome is GateOutcome.NOT_KNOWN
    assert [one.what for one in gate.unknowns] == ["what made the newest shadow copies of hv06"]


async def test_the_database_comes_last(planned):
    was, becomes = make_params(HostId=HV04, ObjectState=220), make_params(HostId=HV06, ObjectState=0)
    key = make_params(ObjectId=OBJECT)
    plan = await planned(script(), "database")
    assert plan.gates == (
        Gate("hvops knows the database schema of VMM vmm", outcome=GateOutcome.PASSED, measured="VMM 2016 or later"),
        Gate("Every node reported its virtual machines", outcome=GateOutcome.PASSED, measured="6 nodes"),
        Gate("VMM vmm is idle", outcome=GateOutcome.PASSED, measured="0 running"),
        Gate(
            "The database of vmm has a full backup less than 24 hours old",
            outcome=GateOutcome.PASSED,
            measured="last full backup of its database: 2026-11-22 05:53 server time",
        ),
    )
    record, finish = plan.groups
    assert (record.on_failure, record.revalidate_before, finish.on_failure, finish.revalidate_before) == (
        "undo",
        True,
        "stop",
        False,
    )
    assert plan.remedies == (LOOK,)
    assert (
        plan.evidence[1] == "VMMService must be stopped and started by hand: the inventory names no host for VMM vmm."
    )
    stop, change, start, stays = plan.steps
    assert isinstance(stop.act, ManualStep)
    assert "VMMService" in stop.act.instruction
    assert stop.done == (row_is(HV04, 220),)
    assert (stop.undo, start.undo, start.undo_guard) == (start.act, stop.act, (row_is(HV06, 0),))
    assert start.undo_says == "Stop the service VMMService on the VMM server again"
    assert (
        plan.expected_state == "VMM vmm shows crm-01 on hv06, no longer as Missing; one row of its database was changed"
    )
    assert change == Step(
        "record",
        "Change one row of tbl_WLC_VObject in VMM vmm: set the host to hv06 and the state to 0",
        RowTransaction("vmm", "vmm", (Update("tbl_WLC_VObject", key, was, becomes),)),
        guard=(row_is(HV04, 220), runs()),
        done=(row_is(HV06, 0),),
        deadline=20,
        before=ROW,
        undo=RowTransaction("vmm", "vmm", (Update("tbl_WLC_VObject", key, becomes, was),)),
        undo_guard=(
            Check(ROW, (Expect((ITSELF,)),)).described_as("VMM vmm has that row for the same virtual machine"),
        ),
        undone=(row_is(HV04, 220),),
        repeatable=True,
        undo_says="Restore the previous host and state of that row in tbl_WLC_VObject (VMM vmm)",
    )
    assert start.done == (Check(ROW, MENDED, every=15).described_as(SHOWN),)
    assert stays == refresh("stays")


@pytest.mark.parametrize("told", ["11743591-F14D-5833-B66A-C1ECB5E81B39", None, ""])
async def test_a_row_that_is_another_machines_by_then_is_neither_changed_nor_put_back_nor_taken_for_mended(
    planned, told
):
    """A row keeps its key when VMM takes another machine for it."""
    plan = await planned(script(vmm01={"Win32_Service": [SERVICE]}), "database", servers=(OWN,))
    _, change, start, stays = plan.steps
    before = {"ObjectId": OBJECT, "HostId": HV04, "ObjectState": "220"}
    after = {"ObjectId": OBJECT, "HostId": HV06, "ObjectState": "0"}
    asked = [
        *((check, before) for check in change.guard if check.question == ROW),
        *((check, after) for check in (*change.done, *change.undo_guard, *start.undo_guard, *stays.done)),
        *((check, before) for check in change.undone),
    ]
    assert len(asked) == 6
    for check, row in asked:
        for own in (VM, VM.lower(), f"{{{VM}}}"):
            assert not unmet(check, ({**row, "VMId": own},), {})
        assert unmet(check, ({**row, "VMId": told},), {})


async def test_a_service_whose_host_is_known_is_stopped_and_started_as_steps(planned):
    told = script(vmm01={"Win32_Service": [SERVICE]})
    plan = await planned(told, "database", servers=(OWN,))
    stop, change, start, stays = plan.steps
    assert stop == stop_step("vmm01", "VMMService")
    assert change.guard[0].question.on == "vmm01"
    assert change.guard[0].holds == (Expect((Predicate("State", "=", "Stopped"),)),)
    again = start_step("vmm01", "VMMService", can_stop_again=True)
    assert start == replace(again, undo_guard=(row_is(HV06, 0),))  # else VMM would be stopped for nothing
    assert start.undo == stop.act
    assert isinstance(stays.act, ManualStep)
    assert plan.gates[-2:] == (
        Gate(
            "The service VMMService is running on vmm01", outcome=GateOutcome.PASSED, measured="Running", guards="worth"
        ),
        Gate("No cluster owns VMMService on vmm01", GateOutcome.PASSED, "no cluster resource represents it"),
    )
    assert len(plan.evidence) == 1


@pytest.mark.parametrize("state", ["Running", "Stopped"])
async def test_a_highly_available_vmm_is_left_to_its_cluster(planned, state):
    role = {
        "Name": "VMM Service vmm",
        "Id": "r-1",
        "Type": "Generic Service",
        "OwnerGroup": "vmm",
        "OwnerNode": "vmm01",
    }
    owner = role | {"PrivateProperties": {"__CLASS": "MSCluster_Property", "ServiceName": "VMMService"}}
    told = script(vmm01={"Win32_Service": [SERVICE | {"State": state}], "MSCluster_Resource": [owner]})
    plan = await planned(told, "database", servers=(OWN,))
    assert plan.groups == ()
    assert "VMMService is a resource of the cluster of vmm01: “VMM Service vmm” of the role “vmm”" in plan.reason


async def test_a_cluster_of_vmms_host_that_says_nothing_may_own_the_service(planned):
    silent = Unknown("vmm01", "refused", "access is denied.")
    told = script(vmm01={"Win32_Service": [SERVICE], "MSCluster_Resource": silent})
    plan = await planned(told, "database", servers=(OWN,))
    assert [gate.outcome for gate in plan.blocking_gates] == [GateOutcome.NOT_KNOWN]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Unknown("vmm01", "login refused", "vmm01 refused the login."), "vmm01 refused the login."),
        ([], "there is no such service on its host."),
    ],
)
async def test_a_service_that_cannot_be_seen_is_left_to_a_person(planned, answer, why):
    plan = await planned(script(vmm01={"Win32_Service": answer}), "database", servers=(OWN,))
    assert [step.key for step in plan.steps] == ["stop-vmm", "record", "start-vmm", "stays"]
    assert plan.evidence[1] == f"VMMService must be stopped and started by hand: {why}"


async def test_a_service_that_does_not_run_is_not_stopped(planned):
    plan = await planned(script(vmm01={"Win32_Service": [SERVICE | {"State": "Stopped"}]}), "database", servers=(OWN,))
    assert plan.groups == ()
    assert [gate.measured for gate in plan.blocking_gates] == ["Stopped"]


@pytest.mark.parametrize(("power", "code", "states"), [(3, 1, (3,)), (6, 3, (6, 32769)), (9, 6, (9, 32768))])
async def test_a_machine_that_does_not_run_is_not_called_running(planned, power, code, states):
    plan = await planned(script(power=power), "database")
    change = plan.steps[1]
    assert dict(change.act.rows[0].becomes)["ObjectState"] == code
    assert change.guard[1] == runs(states, {1: "off", 3: "saved", 6: "paused"}[code])


GATES = {
    "no backup": ({"vmm": {"vmm last full backup": []}}, "last full backup of its database: none"),
    "an old backup": (
        {"vmm": {"vmm last full backup": backup("2026-11-21T22:41:00")}},
        "last full backup of its database: 2026-11-21 22:41 server time",
    ),
    "a backup of tomorrow": (
        {"vmm": {"vmm last full backup": backup("2026-11-23T22:41:00")}},
        "last full backup of its database: 2026-11-23 22:41 server time",
    ),
    "a job of VMM's": ({"vmm": {"vmm running jobs": [{"TaskID": OBJECT, "TaskState": "Running"}]}}, "1 running"),
    "jobs that may not be read": (
        {"vmm": {"vmm running jobs": Unknown("vmm", "refused", "no right.")}},
        "not known: no right",
    ),
}


@pytest.mark.parametrize("case", GATES)
async def test_gates_of_the_database(planned, case):
    over, measured = GATES[case]
    plan = await planned(script(**over), "database")
    assert plan.groups == ()
    assert [gate.measured for gate in plan.blocking_gates] == [measured]
    assert measured.removeprefix("not known: ") in plan.reason


@pytest.mark.parametrize(
    ("over", "what"),
    [
        (
            {"vmm": {"vmm last full backup": Unknown("vmm", "refused", "no right.")}},
            "last full backup of the database of vmm",
        ),
        ({"hv05": {"Msvm_ComputerSystem": Unknown("hv05", "timed out", "no answer.")}}, "virtual machines of hv05"),
    ],
)
async def test_what_only_did_not_answer_is_asked_of_the_approver(planned, over, what):
    plan = await planned(script(**over), "database")
    assert "record" in [step.key for step in plan.steps]
    assert [one.what for one in plan.open_questions] == [what]


async def test_no_two_records_of_one_server_are_changed_while_one_of_them_has_its_service_stopped(planned):
    """The second one would start VMMService in the middle of the first one, or change its row while the service runs."""
    other = record("crm-02", "hv04", 220)
    told = script(missing(), other, hv06={"Msvm_ComputerSystem": there("crm-01") + there("crm-02")})
    for way, share in (("database", {"vmm:vmm"}), ("refresh", set())):
        first, second = [await planned(told, way, vm=name) for name in ("crm-01", "crm-02")]
        assert set(first.locks) & set(second.locks) == share
        assert first.locks != second.locks


async def test_a_backup_that_is_just_young_enough(planned):
    over = {"vmm": {"vmm last full backup": backup("2026-11-21T22:41:01")}}
    assert (await planned(script(**over), "database")).groups


REFUSED = {
    "all is well": ([missing("hv06", 0)], {}, "Nothing to fix: VMM and hv06 agree about crm-01."),
    "two records of one machine": (
        [missing(), missing(ObjectId=guid("object", "x"), Name="other")],
        {},
        "VMM has more than one record of this machine",
    ),
    "two machines of one name": (
        [missing(), missing(ObjectId=guid("object", "x"), VMId=guid("vm", "x"))],
        {},
        "No plan for “crm-01”: 2 records could be meant. None is changed: ",
    ),
    "a job is at work": ([missing(state=200)], {}, "VMM has it under a job of its own (UnderMigration)"),
    "it is nowhere": ([missing()], {"hv06": {"Msvm_ComputerSystem": [{"Name": "HV06"}]}}, "none of them has it"),
    "another machine of its name is there": (
        [missing()],
        {"hv06": {"Msvm_ComputerSystem": [there("restored")[0] | {"ElementName": "crm-01"}]}},
        f"id {guid('vm', 'restored')}, running on hv06, VMM has no record of it. hvops never points this record at it.",
    ),
    "another machine of its name is there, and a node is silent": (
        [missing()],
        {
            "hv05": {"Msvm_ComputerSystem": Unknown("hv05", "timed out", "no answer.")},
            "hv06": {"Msvm_ComputerSystem": [there("restored")[0] | {"ElementName": "crm-01"}]},
        },
        f"Another machine of that name has another id: id {guid('vm', 'restored')}",
    ),
    "only its replica is there": (
        [missing()],
        {"hv06": {"Msvm_ComputerSystem": [there("crm-01")[0] | {"ReplicationMode": "2"}]}},
        "It has a copy in Hyper-V Replica: running on hv06 (replica).",
    ),
    "it may be on a silent node": (
        [missing()],
        {"hv06": {"Msvm_ComputerSystem": Unknown("hv06", "timed out", "no answer.")}},
        "its location is not known",
    ),
    "it is starting": (
        [missing()],
        {"hv06": {"Msvm_ComputerSystem": there("crm-01", state=10)}},
        "Check again when that has ended.",
    ),
    "VMM does not list its host": (
        [missing()],
        {"vmm": {"vmm hosts": [{"HostID": HV04, "ComputerName": "hv04"}]}},
        "VMM lists 0 hosts called hv06",
    ),
    "VMM lists its host twice": (
        [missing()],
        {"vmm": {"vmm hosts": [{"HostID": guid("host", one), "ComputerName": "hv06.a"} for one in "ab"]}},
        "VMM lists 2 hosts called hv06",
    ),
    "two domains have such a host": (
        [missing()],
        {
            "vmm": {
                "vmm hosts": [
                    {"HostID": guid("host", one), "ComputerName": name}
                    for one, name in (("hv04", "hv04.a"), ("hv06", "hv06.a"), ("x", "hv06.b"))
                ]
            }
        },
        "VMM lists 2 hosts called hv06",
    ),
    "VMM does not hear from the host": ([missing("hv06", 221)], {}, "VMM does not hear from hv06"),
    "VMM has it in another state there": (
        [missing("hv06", 201)],
        {},
        "VMM says MigrationFailed (201). On the VMM server: Get-SCVirtualMachine -ID",
    ),
    "the database is silent": (
        [missing()],
        {"vmm": {"vmm columns": Unknown("vmm", "timed out", "no answer.")}},
        "No plan: vmm: no answer.",
    ),
    "its rows are silent": (
        [missing()],
        {"vmm": {"vmm virtual machines": Unknown("vmm", "timed out", "no answer.")}},
        "No plan: vmm: no answer.",
    ),
}


@pytest.mark.parametrize("by", ["refresh", "migration", "database"])
@pytest.mark.parametrize("case", REFUSED)
async def test_whatever_is_not_certain_is_no_plan(planned, case, by):
    records, over, says = REFUSED[case]
    plan = await planned(movable() | script(*records, **over), by)
    assert plan.groups == ()
    assert says in plan.reason


async def test_no_migration_to_a_host_whose_name_two_bear(planned):
    hosts = [
        {"HostID": guid("host", one), "ComputerName": name}
        for one, name in (("hv04", "hv04.a"), ("hv06", "hv06.a"), ("x", "hv04.b"))
    ]
    told = changed(movable(), {"vmm": {"vmm hosts": hosts}})
    plan = await planned(told, "migration")
    assert plan.groups == ()
    assert "more than one bears that name" in plan.reason
    assert (await planned(told, "refresh")).groups


async def test_an_unknown_schema_gets_a_draft_and_no_action(planned):
    plan = await planned(script(vmm={"vmm columns": columns("ObjectState")}), "database")
    assert (plan.groups, plan.locks) == ((), ())
    assert "a version that hvops does not know" in plan.reason
    assert plan.evidence[0].startswith("Draft, not run")


async def test_what_each_way_cannot_do(planned):
    stale = [missing("hv06", 220)]
    assert "is where VMM believes it to be" in (await planned(script(*stale), "migration")).reason
    assert "Refresh it in VMM." in (await planned(script(*stale), "database")).reason
    assert (await planned(script(*stale))).groups
    assert (
        "it does not run"
        in (await planned(changed(movable(), {"hv06": on(more=there("crm-01", state=3))}), "migration")).reason
    )
    wrong = await planned(script(missing("hv04", 0)), "database")
    assert (wrong.groups, "on another host" in wrong.reason) == ((), True)
    silent = {"hv04": {"Msvm_ComputerSystem": Unknown("hv04", "timed out", "no answer.")}}
    assert "hv04 did not answer" in (await planned(movable(**silent), "migration")).reason
    old = {"vmm": {"vmm columns": columns(*OF_2008_R2, "FailedJobID")}}
    assert "2008 R2" in (await planned(script(power=3, **old), "database")).reason
    assert (await planned(script(**old), "database")).groups


@pytest.mark.parametrize("vm", [OBJECT, f"{{{VM.lower()}}}", "CRM-01"])
async def test_it_is_named_by_name_or_id(planned, vm):
    assert (await planned(script(), vm=vm)).reason == BECAUSE


@pytest.mark.parametrize("vm", ["x'; DROP TABLE tbl_WLC_VObject--", "nobody", "%"])
async def test_a_name_that_nobody_has(planned, vm):
    plan = await planned(script(), vm=vm)
    assert plan.reason == f"No plan for “{vm}”: VMM vmm has no virtual machine of that name or id on a host."


async def test_a_hostile_name_in_the_database_is_part_of_no_action(planned):
    name = "x'; Remove-Item C:\\ #"
    plan = await planned(script(missing(Name=name)), "database", vm=OBJECT)
    assert name in plan.reason
    assert not any(name in repr(step) for step in plan.steps)


ABSENT = {
    "vmm virtual machines": [],
    "vmm hosts": [],
    "vmm failed jobs": [],
    "vmm running jobs": [],
    "vmm columns": columns(),
}
BACKED_UP = {"vmm last full backup": backup()}


def two(**answers):
    return script(**{"vmm-old": ABSENT | BACKED_UP | answers})


async def test_it_is_looked_for_on_every_server(planned):
    plan = await planned(two(), "database", servers=(OTHER, VMM))
    assert (plan.reason.startswith(BECAUSE), plan.locks) == (True, ("vmm:vmm", f"vmm:vmm:{OBJECT}"))
    nobody = await planned(two(), vm="nobody", servers=(OTHER, VMM))
    assert nobody.reason == (
        "No plan for “nobody”: VMM vmm-old, VMM vmm have no virtual machine of that name or id on a host."
    )


async def test_one_name_on_two_servers_is_refused_with_what_to_write(planned):
    other = missing(ObjectId=guid("object", "y"), VMId=guid("vm", "y"))
    plan = await planned(two(**{"vmm virtual machines": [other]}), servers=(VMM, OTHER))
    assert plan.groups == ()
    assert plan.reason.startswith("No plan for “crm-01”: 2 records could be meant. None is changed: ")
    assert f"as in {MENDS}" in plan.reason
    assert [one.line for one in plan.remedies] == [MENDS, f"/fix-missing-vm {guid('object', 'y')} --vmm vmm-old"]


async def test_a_silent_server_could_have_one_of_that_name_too(planned):
    silent = Unknown("vmm-old", "timed out", "no answer.")
    plan = await planned(two(**{"vmm columns": silent}), servers=(VMM, OTHER))
    assert plan.groups == ()
    assert "vmm has it, and vmm-old could have one too. vmm-old: no answer." in plan.reason
    assert plan.reason.endswith(f"write {MENDS}")
    strange = await planned(two(**{"vmm columns": columns("HostId")}), servers=(VMM, OTHER))
    assert strange.evidence[0].startswith("Draft, not run")
    assert (await planned(two(**{"vmm columns": silent}), servers=(VMM,))).groups


def test_ways():
    assert Way.parse("DataBase") == "database"
    for word in ("", "sql", "migrate"):
        with pytest.raises(ValueError, match=f"^{word}$"):
            Way.parse(word)


@pytest.mark.parametrize(
    ("over", "held"),
    [
        ({}, []),
        ({"vmm": {"vmm last full backup": []}}, []),
        (
            {"vmm": {"vmm running jobs": [{"TaskID": OBJECT, "TaskState": "Running"}]}},
            ["VMM vmm is idle"],
        ),
    ],
)
async def test_the_way_back_of_the_database_is_held_by_a_job_and_not_by_the_age_of_the_backup(
    planned, scripted, over, held
):
    change = (await planned(script(), "database")).steps[1]
    back = Plan("", "", "", ("vmm",), (), (Group("undo", (replace(change, act=change.undo),)),))
    args = COMMAND.args((Vm("crm-01"),), VmmTargets((VMM,)), Way("database"))
    gates = COMMAND.undo_gates(args, await COMMAND.collect(args, scripted(script(**over))), back)
    assert [gate.description for gate in gates if gate.blocks_plan and gate.guards == "safety"] == held
    assert COMMAND.undo_gates(args, await COMMAND.collect(args, scripted(script())), Plan("", "", "", (), (), ())) == ()
