"""`/prove-migration`: there and back, by the way that was asked for; or why not."""

from dataclasses import replace

import pytest
from scripted_migration import PROD, script, ticket

from bot.api.arguments import Target
from bot.api.command import Risk
from bot.api.facts import Unknown
from bot.api.plan import GateOutcome, Group
from bot.tickets.conditions import is_terminal_failure, unmet
from bot.tickets.plan_digest import digest, plan_from_json, plan_to_json
from bot.tickets.undo import undo_step
from commands.migration.proof import Way, proofs, read_proofs, way_to_use
from commands.migration.steps import Machine, live_move_step, move_parameters, node_name_octets
from commands.remediations.prove_migration import COMMAND, Args, Vm, WayWord, proof_lines


@pytest.fixture
def guest(make):
    return make.guests["hv03"][0].name


@pytest.fixture
def plans(planned, make, guest):
    async def run(answers=None, **options):
        options = {"on": PROD, "to": Target("hv01", "host", "prod")} | options
        return await planned(COMMAND, answers or script(make), Vm(options.pop("vm", guest)), **options)

    return run


def gate(plan, words):
    return next(one for one in plan.gates if words in one.description)


async def test_it_goes_there_and_back_with_the_locks_of_the_cluster(plans, guest):
    plan = await plans()
    assert COMMAND.risk is Risk.HIGH
    assert not plan.blocking_gates, [(one.description, one.measured) for one in plan.blocking_gates]
    assert (plan.locks, plan.places, plan.self_reverting) == (("cluster:prod",), ("prod",), True)
    there, back = plan.steps
    assert (there.key, there.description) == ("control-there", f"Live-migrate {guest} from hv03 to hv01")
    assert (back.key, back.description) == ("control-back", f"Live-migrate {guest} from hv01 to hv03")
    assert (there.act.on, back.act.on) == ("hv03", "hv01"), "on the node that owns it"
    assert dict(there.act.params) == {"ControlCode": 23068676, "InputBuffer": node_name_octets("hv01")}
    assert there.repeatable
    assert dict(there.undo.params) == {"ControlCode": 23068680}
    assert back.undo is None
    assert back.finishes
    assert plan_from_json(plan_to_json(plan)) == plan
    assert digest(plan, Risk.HIGH, "1") == digest(await plans(), Risk.HIGH, "1")


async def test_the_second_way_is_judged_by_the_state_alone(plans):
    plan = await plans(way=WayWord("parameters"))
    act = plan.steps[0].act
    assert (act.method, act.may_begin_despite_fault) == ("MoveToNewNodeParams", True)
    assert dict(act.params) == {"Flags": 14, "NodeName": "hv01", "Parameters": move_parameters()}


OTHER = "AAAAAAAA-0000-4000-8000-000000000000"


@pytest.fixture
def resource(make, guest):
    """What the cluster tells of the resource that bears the guest's name, once it is asked for that alone."""

    def of(**private):
        row = next(
            row
            for row in script(make)["prod", "MSCluster_Resource"]
            if row.get("Type") == "Virtual Machine" and row["OwnerGroup"] == guest
        )
        return {**row, "PrivateProperties": {**row["PrivateProperties"], **private}}

    return of


@pytest.mark.parametrize("way", ["control", "parameters"])
async def test_a_resource_that_is_another_machines_by_then_is_not_moved(plans, make, resource, way):
    """After a restore beside the old machine, a name can be another one's: what is moved by its name tells its id first."""
    vm_id = make.guests["hv03"][0].vm_id
    there, _ = (await plans(way=WayWord(way))).steps
    (guard,) = (check for check in there.guard if "is not being migrated" in check.description)
    for own in (vm_id, vm_id.lower(), f"{{{vm_id}}}"):
        assert not unmet(guard, (resource(VmId=own),), {})
    for told in (OTHER, None, ""):
        assert unmet(guard, (resource(VmId=told),), {})
        assert is_terminal_failure(guard, (resource(VmId=told),), {}) is (told == OTHER), (
            "told nothing, it may still be it"
        )
    assert not is_terminal_failure(guard, (resource(VmId=f"{{{vm_id.lower()}}}", MigrationState="2"),), {})
    assert unmet(guard, ({**resource(), "OwnerGroup": "another role"},), {}), (
        "the second way moves the role by its name"
    )


async def test_what_another_machine_does_proves_no_move_and_no_failure_and_is_not_cancelled(plans, make, resource):
    there, _ = (await plans()).steps
    arrived, key = there.done[0], there.key
    images = {key: (resource(),)}
    moved = {"OwnerNode": "hv01"}
    failed = {"MigrationState": "5", "MigrationFailureReason": "170"}
    assert not unmet(arrived, ({**resource(), **moved},), images)
    assert is_terminal_failure(arrived, (resource(**failed),), images)
    (can_be_cancelled,), (stayed,) = there.undo_guard, there.undone
    assert not unmet(can_be_cancelled, (resource(MigrationState="2"),), images)
    assert not unmet(stayed, (resource(MigrationState="4"),), images)
    for told in (OTHER, None, ""):
        assert unmet(arrived, ({**resource(VmId=told), **moved},), images)
        assert not is_terminal_failure(arrived, (resource(VmId=told, **failed),), images)
        assert unmet(can_be_cancelled, (resource(VmId=told, MigrationState="2"),), images)
        assert unmet(stayed, (resource(VmId=told, MigrationState="4"),), images)


async def test_a_migration_that_is_running_keeps_nobody_from_cancelling_it(plans, make, guest, scripted):
    """What has to be so before one begins, that none is running, would be asked just when there is one to cancel."""
    made = await plans()
    back = replace(made, groups=(Group("undo", (undo_step(made.steps[0]),)),))
    args = Args(Vm(guest), Target("hv01", "host", "prod"), on=PROD)
    running = await COMMAND.collect(args, scripted(script(make, {"MigrationState": "2"})))
    assert COMMAND.plan(args, running).blocking_gates
    assert COMMAND.undo_gates(args, running, back) == ()
    assert back.steps[0].guard == made.steps[0].undo_guard, "looked at just before"


def test_the_bytes_are_those_of_the_documents():
    assert node_name_octets("hv02") == (104, 0, 118, 0, 48, 0, 50, 0, 0, 0)
    raw = bytes(move_parameters())
    assert len(raw) == 144
    assert raw.hex().startswith("02000000" + "03000400" + "20000000" + "56006900720074007500")
    assert raw.endswith(bytes.fromhex("02000100" + "04000000" + "04000000" + "00000000"))


def test_a_failure_that_was_there_before_makes_no_step_repeatable():
    one = Machine("prod", "crm", "id", "Virtual Machine crm", "crm", earlier=5)
    assert not live_move_step(one, "hv01", "hv02", way=Way.CONTROL).repeatable


@pytest.mark.parametrize(
    ("private", "words", "measured"),
    [
        ({"DefaultMoveType": "1"}, "never to quick-migrate", "DefaultMoveType is 1, not live (4)"),
        ({"DefaultMoveType": "77"}, "never to quick-migrate", "DefaultMoveType is 77"),
        ({"DefaultMoveType": None}, "never to quick-migrate", "does not tell DefaultMoveType"),
        ({"DefaultMoveType": "four"}, "never to quick-migrate", "does not tell DefaultMoveType"),
        ({"VmState": "32769"}, "shows it as running", "5023"),
        ({"VmState": None}, "shows it as running", "was not told"),
        ({"MigrationState": "2"}, "No migration of", "MigrationState is 2"),
        ({"MigrationState": "9"}, "No migration of", "MigrationState is 9"),
        ({"MigrationState": None}, "No migration of", "does not tell MigrationState"),
    ],
)
async def test_what_is_not_known_to_be_live_is_refused_and_nobody_can_answer_for_it(
    plans, make, private, words, measured
):
    plan = await plans(script(make, private))
    held = gate(plan, words)
    assert measured in held.measured
    assert not held.passed
    assert not held.answerable
    assert not plan.groups


@pytest.mark.parametrize(
    ("role", "measured"),
    [
        ({"Priority": "1000"}, "priority 1000, MoveTypeThreshold 2000: it would be saved and moved"),
        ({"Priority": None}, "the cluster did not tell it"),
        ({"State": "4"}, "it is pending"),
        ({"State": None}, "the cluster did not tell it"),
        ({"StatusInformation": "1"}, "locked"),
    ],
)
async def test_a_role_that_is_held_is_not_moved(plans, make, role, measured):
    plan = await plans(script(make, role=role))
    assert not plan.groups
    assert any(measured in one.measured for one in plan.gates if not one.passed)


async def test_a_failure_of_last_month_is_told_and_counts_for_nothing(plans, make):
    plan = await plans(script(make, {"MigrationState": "5", "MigrationFailureReason": "-2147024726"}))
    told = gate(plan, "No migration of")
    assert told.outcome is GateOutcome.PASSED
    assert "0x800700AA" in told.measured
    assert not plan.steps[0].repeatable


async def test_who_is_not_found_or_found_twice_is_not_moved(plans, make, guest):
    assert "no node of prod has a virtual machine of that name" in (await plans(vm="nobody")).reason
    answers = script(make)
    twice = dict(next(row for row in answers["hv03", "Msvm_ComputerSystem"] if row["ElementName"] == guest))
    answers["hv01", "Msvm_ComputerSystem"].append(twice | {"Name": "AAAAAAAA-0000-4000-8000-000000000000"})
    assert "2 virtual machines bear that name" in (await plans(answers)).reason
    silent = script(make) | {("hv02", "Msvm_ComputerSystem"): Unknown("hv02", "timed out", "no answer in 20 s.")}
    assert "Not known of hv02 (no answer in 20 s)" in (await plans(silent, vm="nobody")).reason


async def test_a_name_is_not_taken_for_a_machine_while_a_node_is_silent_that_may_have_another_one(plans, make, guest):
    silent = script(make) | {("hv02", "Msvm_ComputerSystem"): Unknown("hv02", "timed out", "no answer in 20 s.")}
    plan = await plans(silent)
    assert not plan.groups
    assert "whether another virtual machine bears that name is not known of hv02 (no answer in 20 s)" in plan.reason
    vm_id = make.guests["hv03"][0].vm_id
    assert f"Give its id: {vm_id}." in plan.reason
    assert (await plans(silent, vm=vm_id)).groups


async def test_a_node_that_is_down_in_the_eyes_of_its_cluster_is_asked_for_the_name_as_well(plans, make, guest):
    """An isolated node goes on to host its guests."""
    answers = script(make)
    for row in answers["prod", "MSCluster_Node"]:
        row["State"] = "1" if row["Name"] == "hv02" else row["State"]
    assert (await plans(answers)).groups
    twice = dict(next(row for row in answers["hv03", "Msvm_ComputerSystem"] if row["ElementName"] == guest))
    other = [*answers["hv02", "Msvm_ComputerSystem"], twice | {"Name": OTHER}]
    assert (
        "2 virtual machines bear that name" in (await plans(answers | {("hv02", "Msvm_ComputerSystem"): other})).reason
    )
    silent = answers | {("hv02", "Msvm_ComputerSystem"): Unknown("hv02", "timed out", "no answer in 20 s.")}
    assert "Give its id" in (await plans(silent)).reason
    assert (await plans(silent, vm=make.guests["hv03"][0].vm_id)).groups


async def test_a_resource_that_does_not_say_which_machine_it_is_is_not_taken_for_it(plans, make):
    plan = await plans(script(make, {"VmId": None}))
    assert not plan.groups
    assert "no resource of prod on hv03 says that it is this virtual machine" in plan.reason


async def test_a_node_that_is_none_and_the_own_one_are_no_destination(plans):
    assert "it is on hv03 already" in (await plans(to=Target("hv03", "host", "prod"))).reason
    assert "hv99 is no node of prod" in (await plans(to=Target("hv99", "host", "prod"))).reason


PARAMETERS = "/prove-migration crm-01 --way parameters --on prod"
KEYS = ("parameters-there", "parameters-back")


@pytest.mark.parametrize(
    ("rows", "way"),
    [
        ([], None),
        ([ticket(1)], Way.CONTROL),
        ([ticket(1), ticket(2, "failed", changed=())], None),
        ([ticket(1, "failed", changed=()), ticket(2)], Way.CONTROL),
        ([ticket(1, changed=("control-there",))], None),
        ([ticket(1, changed=KEYS)], None),
        ([ticket(1, line=PARAMETERS, changed=KEYS)], Way.PARAMETERS),
        ([ticket(1), ticket(2, line=PARAMETERS, changed=KEYS)], Way.CONTROL),
        ([ticket(1, line=PARAMETERS, changed=KEYS), ticket(2, "failed", changed=())], Way.PARAMETERS),
        *(
            row
            for ending in ("closed", "cancelled", "voided")
            for row in (
                (
                    [ticket(1), ticket(2, ending, changed=("control-there",), begun=("control-there", "control-back"))],
                    None,
                ),
                ([ticket(1), ticket(2, ending, changed=(), begun=("control-there",))], None),
                ([ticket(1), ticket(2, ending, changed=(), begun=("control-there", "undo-control-there"))], None),
                ([ticket(1), ticket(2, ending, changed=())], Way.CONTROL),
                ([ticket(1), ticket(2, ending, line=PARAMETERS, changed=(), begun=KEYS)], Way.CONTROL),
                ([ticket(1, ending, changed=(), begun=("control-there",)), ticket(2)], Way.CONTROL),
            )
        ),
    ],
)
def test_the_newest_attempt_of_each_way_counts(rows, way):
    proof = way_to_use(read_proofs(rows))
    assert (proof.way if proof else None) == way


def test_the_proofs_are_told_in_words():
    assert [(one.says, one.holds) for one in proof_lines([ticket(1), ticket(2, "failed", PARAMETERS, ())])] == [
        ("ExecuteResourceControl, proved with crm-01 in T-1 on 01 Nov 2026", True),
        ("MoveToNewNodeParams, failed with crm-01 in T-2 on 02 Nov 2026", False),
    ]
    closed = ticket(1, "closed", changed=(), begun=("control-there",))
    assert [(one.says, one.holds) for one in proof_lines([closed])] == [
        ("ExecuteResourceControl, stopped half-way with crm-01 in T-1 on 01 Nov 2026", False),
    ]


def test_every_ending_of_an_attempt_is_asked_for():
    """*Close…* is how people end one that hangs."""
    assert set(proofs("prod").query.endings) == {"done", "failed", "cancelled", "voided", "closed"}
