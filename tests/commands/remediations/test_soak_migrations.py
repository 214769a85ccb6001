"""`/soak-migrations`: so many rounds of a plan that is no longer for more of them, or why there is none."""

from datetime import UTC, datetime

import pytest
from scripted_cluster import kvp
from scripted_migration import PROD, script, ticket

from bot.api.actions import InvokeMethod
from bot.api.arguments import NodePair, Target
from bot.api.command import AfterRun, Risk
from bot.api.facts import Known, Unknown
from bot.tickets.conditions import is_terminal_failure, unmet
from bot.tickets.plan_digest import plan_from_json, plan_to_json
from bot.tickets.plan_text import plan_lines
from commands.migration.contents import held_by
from commands.remediations.soak_migrations import COMMAND, Moves, Vm, describe_after

PAIR = NodePair((Target("hv03", "host", "prod"), Target("hv01", "host", "prod")))
WORKER = "wevtutil query events Microsoft-Windows-Hyper-V-Worker-Admin"
BOOTED = "2026-11-20T10:00:00Z"


@pytest.fixture
def guest(make):
    return make.guests["hv03"][0]


@pytest.fixture
def answers(make, guest):
    """All is well, a way is proved, and the guest answers; keyword arguments are answers of the guest."""

    def of(private=None, proofs=None, hosts=None, **own):
        told = script(make, private) | {
            ("*", "changes prove-migration"): [ticket(1)] if proofs is None else proofs,
            ("*", "Msvm_KvpExchangeComponent"): [
                {"SystemName": guest.vm_id, "GuestIntrinsicExchangeItems": kvp(guest.name)}
            ],
            ("*", "Msvm_VirtualSystemSettingData"): [
                {"VirtualSystemIdentifier": guest.vm_id, "BIOSGUID": f"{{{guest.vm_id}}}"}
            ],
            (guest.name, "Parameters"): [{"VirtualMachineId": guest.vm_id}],
            (guest.name, "Win32_ComputerSystemProduct"): [{"Name": "Virtual Machine", "UUID": guest.vm_id}],
            (guest.name, "Win32_OperatingSystem"): [{"LastBootUpTime": BOOTED}],
            (guest.name, "Win32_Service"): [{"Name": name} for name in ("EventLog", "MSSQL$CRM")],
            (guest.name, "Win32_NTLogEvent"): [],
            ("*", WORKER): [],
        }
        told |= {(guest.name, name): rows for name, rows in own.items()}
        return told | {(on, WORKER): rows for on, rows in (hosts or {}).items()}

    return of


@pytest.fixture
def plans(planned, answers, guest):
    async def run(told=None, count=500, between=PAIR, vm=None):
        return await planned(
            COMMAND, told or answers(), Vm(vm or guest.name), count=Moves(count), between=between, on=PROD
        )

    return run


def gate(plan, words):
    return next(one for one in plan.gates if words in one.description)


async def test_five_thousand_moves_are_one_signed_number(plans, guest):
    few, many = await plans(count=4), await plans(count=5_000)
    assert not few.blocking_gates, [(one.description, one.measured) for one in few.blocking_gates]
    assert COMMAND.risk is Risk.HIGH
    assert [(group.key, group.times, group.unit) for group in many.groups] == [
        ("baseline", 1, ""),
        ("soak", 2_500, "live migration"),
        ("end", 1, ""),
    ]
    assert len(plan_lines(many, Risk.HIGH, "1")) == len(plan_lines(few, Risk.HIGH, "1"))
    assert len(str(plan_to_json(many))) < 100_000
    assert plan_from_json(plan_to_json(many)) == many
    assert many.locks == ("cluster:prod", "kept:soak:prod")
    assert many.places == ("prod",)
    assert many.groups[1].seconds == 5_000 * 180 + 6 * 3600
    assert many.soak_seconds == 24 * 3600
    assert "live-migrates 5,000 times between hv03 and hv01" in many.impact
    assert guest.name in many.title


async def test_each_round_rests_moves_rests_and_moves_back(plans, guest):
    plan = await plans(count=5)
    soak, last = plan.groups[1], plan.groups[2]
    assert [step.key for step in soak.steps] == ["ready-there", "there", "ready-back", "back"]
    assert [step.key for step in last.steps] == ["ready-last", "last"]
    for rest in (soak.steps[0], soak.steps[2], last.steps[0]):
        assert rest.act is None
        assert rest.yields_locks
        assert f"{guest.name} has been restarted" in {check.never for check in rest.done}
    for move, here in ((soak.steps[1], "hv03"), (soak.steps[3], "hv01"), (last.steps[1], "hv03")):
        assert isinstance(move.act, InvokeMethod)
        assert move.act.on == here
        assert move.finishes
        assert move.undo is None
    assert not plan.self_reverting
    assert (await plans(count=4)).self_reverting


async def test_what_the_guest_holds_is_said_first(plans, answers):
    plan = await plans()
    told = gate(plan, "runs no service that a short pause can hurt")
    assert (told.blocks, told.measured) == (False, "it is SQL Server")
    silent = await plans(answers(Win32_Service=Unknown("crm", "refused", "access denied.")))
    known = gate(silent, "which services are running")
    assert known.is_open, "an approver says what it holds"
    assert silent.groups


def test_services_are_told_as_what_they_make_of_a_guest():
    assert held_by(["NTDS", "MSSQL$A", "mssql$b", "ClusSvc", "Spooler"]) == (
        "a domain controller",
        "SQL Server",
        "a node of a guest cluster, which may fail over",
    )


@pytest.mark.parametrize(
    "proofs", [[], [ticket(1, "failed", changed=())], [ticket(1), ticket(2, "failed", changed=())]]
)
async def test_without_a_proof_there_is_no_plan_but_what_to_type(plans, answers, guest, proofs):
    plan = await plans(answers(proofs=proofs))
    assert not plan.groups
    assert "no live migration method has been proved on prod" in plan.reason
    assert plan.remedies[0].line == f"/prove-migration {guest.name} --on prod"


async def test_a_guest_that_cannot_be_watched_is_not_soaked(plans, answers, guest):
    silent = Unknown(guest.name, "timed out", "no answer in 20 s.")
    for told in (
        answers(Win32_OperatingSystem=silent),
        answers(Win32_NTLogEvent=silent),
        answers(hosts={"hv01": Unknown("hv01", "absent", "there is no such log.")}),
        answers(Parameters=[{"VirtualMachineId": "AAAAAAAA-0000-4000-8000-000000000000"}]),
        answers() | {("*", "Msvm_KvpExchangeComponent"): []},
    ):
        plan = await plans(told)
        assert not plan.groups
        watched = gate(plan, "hvops can watch") if plan.gates else None
        assert watched is None or not (watched.passed or watched.answerable)


def stops(count):
    return [
        {"record_id": str(number), "event_id": "18590", "data.VmId": f"ffffffff-0000-4000-8000-{number:012}"}
        for number in range(count)
    ]


async def test_a_log_so_full_of_other_guests_that_ours_may_be_missing_is_not_taken_for_silence(plans, answers, guest):
    assert (await plans(answers(hosts={"hv03": stops(199)}))).groups
    full = await plans(answers(hosts={"hv03": stops(200)}))
    assert not full.groups
    assert "hv03" in gate(full, "hvops can watch").measured
    assert "200 or more stops of guests" in gate(full, "hvops can watch").measured


async def test_no_move_follows_a_log_that_has_filled_up_meanwhile(plans, guest):
    plan = await plans()
    noted = {step.key: () for step in plan.groups[0].steps}
    for rest in (plan.groups[1].steps[0], plan.groups[1].steps[2]):
        ours = [check for check in rest.done if "has logged no new stop" in check.description]
        assert len(ours) == 4
        for check in ours:
            assert not unmet(check, tuple(stops(199)), noted)
            assert unmet(check, tuple(stops(200)), noted)
    for step in plan.groups[0].steps[2:]:
        (check,) = step.done
        assert unmet(check, tuple(stops(200)), {})


async def test_each_rest_and_each_move_asks_whose_the_resource_is_by_now(plans, answers, guest):
    """Between two rounds nothing is planned afresh, and a wait for a window takes hours."""
    plan = await plans(count=5)
    (row,) = (
        row
        for row in answers()["prod", "MSCluster_Resource"]
        if row.get("Type") == "Virtual Machine" and row["OwnerGroup"] == guest.name
    )
    another = {**row["PrivateProperties"], "VmId": "AAAAAAAA-0000-4000-8000-000000000000"}
    steps = (*plan.groups[1].steps, *plan.groups[2].steps)
    for step, here in zip(steps, ("hv03", "hv03", "hv01", "hv01", "hv03", "hv03"), strict=True):
        checks = step.guard or step.done
        (check,) = (one for one in checks if "is not being migrated" in one.description)
        assert not unmet(check, ({**row, "OwnerNode": here},), {})
        assert unmet(check, ({**row, "OwnerNode": here, "PrivateProperties": another},), {})


@pytest.mark.parametrize("data", [{}, {"VmId": None}, {"VmErrorMessage": "ours"}])
async def test_a_new_stop_that_names_no_guest_may_be_of_ours(plans, guest, data):
    plan = await plans()
    noted = {step.key: () for step in plan.groups[0].steps}
    ours = [check for check in plan.groups[1].steps[0].done if "has logged no new stop" in check.description]
    row = {"record_id": "7", "event_id": "18590", "data": data}
    for check in ours:
        assert unmet(check, (row,), noted)
        assert not unmet(check, (row,), dict.fromkeys(noted, (row,)))
        assert not is_terminal_failure(check, (row,), noted), "whose it is, is not known"
        assert not unmet(check, ({**row, "data": {"Parameter1": guest.vm_id[::-1]}},), noted)


async def test_a_guest_that_does_not_say_when_it_started_is_not_moved(plans):
    plan = await plans()
    (first, *_) = plan.groups[0].steps
    (check,) = first.done
    assert unmet(check, ({"LastBootUpTime": None},), {})
    (watched,) = (check for check in plan.groups[-1].steps[0].done if "has not been restarted" in check.description)
    assert unmet(watched, ({"LastBootUpTime": None},), {first.key: ({"LastBootUpTime": None},)})


async def test_a_guest_that_has_just_started_could_hide_a_restart(plans, answers):
    plan = await plans(answers(Win32_OperatingSystem=[{"LastBootUpTime": "2026-11-22T22:35:00Z"}]))
    assert not plan.groups
    assert "a restart could not be told from its start" in gate(plan, "10 minutes ago").measured


async def test_it_goes_between_two_nodes_of_which_one_has_it(plans):
    elsewhere = NodePair((Target("hv01", "host", "prod"), Target("hv02", "host", "prod")))
    assert "on neither of hv01 hv02" in (await plans(between=elsewhere)).reason
    strange = NodePair((Target("hv03", "host", "prod"), Target("hv99", "host", "prod")))
    assert "are not two nodes of prod" in (await plans(between=strange)).reason
    assert "between hv03 and hv01" in (await plans(between=NodePair())).title


@pytest.mark.parametrize("word", ["1", "0", "5001", "-3", "٣", "1e3", "", "99999"])
def test_a_number_of_moves_is_between_2_and_5000(word):
    with pytest.raises(ValueError, match=word or "^$"):
        Moves.parse(word)


def test_a_number_may_have_a_comma():
    assert Moves.parse("1,000") == 1_000


def test_the_summary_says_how_it_was_before_and_after():
    at = datetime(2026, 11, 22, tzinfo=UTC)
    fine = Known([], at, at)
    before = {"baseline-boot": [{"LastBootUpTime": BOOTED}]}
    boot = Known([{"LastBootUpTime": BOOTED}], at, at)
    assert describe_after(AfterRun("crm-01", before, (boot, fine, fine, fine))) == [
        "crm-01 was started 20 Nov 2026 10:00 UTC before the first move",
        "it was started 20 Nov 2026 10:00 UTC after the last one",
        "neither its own log nor those of the two nodes have a stop or restart of it since then",
    ]
    log = Known([{"RecordNumber": "7", "EventCode": "1001"}], at, at)
    hosts = [Known([{"record_id": number, "event_id": "18590"}], at, at) for number in ("3", "4")]
    known = {**before, "baseline-host-1": hosts[0].value}
    assert describe_after(AfterRun("crm-01", known, (boot, log, hosts[0], hosts[0], hosts[1], hosts[1])))[2:] == [
        "its own log has 1 stop or restart of it since then",
        "the log of one of its nodes has 1 stop of guests since then: see of which",
    ]
    silent = Unknown("hv01", "timed out", "no answer in 20 s.")
    told = describe_after(AfterRun("crm-01", before, (silent, fine, silent)))
    assert "not known now: no answer in 20 s" in told[1]
    assert told[2] == "not asked at the end: the logs of hv01"
    with pytest.raises(ValueError, match="LastBootUpTime"):
        describe_after(AfterRun("crm-01", {}, (boot, fine)))
