"""`/reset-writer`: every branch of the field notes as a whole plan, and every refusal with its reason."""

from dataclasses import replace

import pytest
from scripted_cluster import INSTANCE

from bot.api.actions import InvokeMethod
from bot.api.arguments import Target
from bot.api.command import Risk
from bot.api.facts import Unknown
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, Group, OpenQuestion, Plan, Step
from bot.api.queries import Predicate, RunReader, Wql
from bot.api.report import Remedy
from bot.tickets.conditions import unmet
from bot.tickets.plan_digest import digest
from commands.drain.steps import drain_step, failback_step, gate_no_locks, is_drained, resume_step
from commands.remediations.reset_writer import COMMAND, Writer
from commands.sources.vss_writers import host_writers
from commands.writer_reset.steps import reset_steps

HYPER_V = "Microsoft Hyper-V VSS Writer"
ID = "66841CD4-6DED-4F4B-8F17-FD23F8DDC3DE"
SYSTEM_ID = "E8132975-6F93-4464-A53E-1050253AE220"
EARLIER = "2026-11-22T22:30:00Z"
WRITERS = RunReader("hv03", "vssadmin list writers")


def stuck(make, name=HYPER_V, error="Unexpected error", state=5, **over):
    """A writer that was seen so before: stuck, not slow."""
    return {
        "vssadmin list writers": make.writer_rows(make.writer_row(name, state, error)),
        "recall writer": [make.sample(name, EARLIER, state, error)],
    } | over


def is_still_bad(on, name, writer_id):
    """What is looked at once more before a service is stopped: a drain may have taken half an hour."""
    bad = (
        Predicate("writer_id", "=", writer_id),
        Predicate("name", "=", name),
        Predicate("instance_id", "=", INSTANCE.upper()),
        Predicate("state", "in", tuple(range(2, 16))),
    )
    return Check(RunReader(on, "vssadmin list writers"), (Expect(bad),)).described_as(
        f"{name} on {on} is the same instance, and still waiting or failed"
    )


def restart(on, service, writer_id, name, guard=()):
    question = Wql(
        on, "root/cimv2", "Win32_Service", ("Name", "State", "ProcessId"), (Predicate("Name", "=", service),)
    )

    def state(word, within=0):
        found = Check(question, (Expect((Predicate("State", "=", word),)),), within=within, every=2)
        return found.described_as(f"the service {service} is {word.lower()} on {on}")

    def method(name, other):
        return InvokeMethod(on, "root/cimv2", (("Name", service),), "Win32_Service", name, accept=(0, other))

    key = service.lower()
    same = (Predicate("writer_id", "=", writer_id), Predicate("name", "=", name))
    return (
        Step(
            f"stop-{key}",
            f"Stop the service {service} on {on}",
            method("StopService", 6),
            guard=(state("Running"), *guard, is_still_bad(on, name, writer_id)),
            done=(state("Stopped", 120),),
            before=WRITERS,
            undo=method("StartService", 10),
            undone=(state("Running", 120),),
            undo_says=f"Start the service {service} on {on} again",
        ),
        Step(
            f"start-{key}",
            f"Start the service {service} on {on}",
            method("StartService", 10),
            guard=(state("Stopped"),),
            done=(state("Running", 120),),
            before=question,
            repeatable=True,
            reverts=(f"stop-{key}",),
        ),
        Step(
            "writer",
            f"Wait for a new instance of {name}, [1] Stable and without an error",
            None,
            done=(
                Check(
                    WRITERS,
                    (
                        Expect(same, (Predicate("state", "=", 1), Predicate("error_text", "=", "No error"))),
                        CompareToBefore(f"stop-{key}", ("instance_id",), same=False, where=same),
                    ),
                    within=300,
                    every=15,
                ).described_as(f"a new instance of {name} is [1] Stable and without an error"),
            ),
        ),
    )


EMPTY = (*is_drained("prod", "hv03"), *gate_no_locks("prod", "hv03"))
TWICE = f"{HYPER_V} is stuck: two readings, at least 2 minutes apart, found the same instance waiting"
JOB_GATE = "No backup job of hv03, its cluster or its guests is pending"


async def test_the_job_is_dead_and_nothing_is_locked(planned, make):
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make)))
    assert plan == Plan(
        reason="Microsoft Hyper-V VSS Writer on hv03 is STUCK: [5] Waiting for completion · Unexpected error, same instance in 2 readings. No backup is running.",
        impact="3 guests live-migrate off hv03 and back. While vmms restarts nobody can manage Hyper-V on hv03.",
        rollback="Start vmms if it is stopped, then resume hv03.",
        locks=("cluster:prod",),
        gates=plan.gates,
        groups=(
            Group(
                "reset",
                (
                    drain_step("prod", "hv03", earlier=0, up=("hv01", "hv02")),
                    *restart("hv03", "vmms", ID, HYPER_V, EMPTY),
                    replace(resume_step("prod", "hv03"), reverts=("drain",)),
                    failback_step("prod", "hv03"),
                ),
            ),
        ),
        remedies=(Remedy("Check Writers", "/check-writers hv03", primary=True),),
        samples=plan.samples,
        current_state="[5] Waiting for completion · Unexpected error; hv03 is up with 3 guests",
        expected_state="[1] Stable · No error, in a new instance; hv03 is up and its guests are back",
        self_reverting=True,
        at_most=6,
        afterwards=(*plan.steps[3].done, *resume_step("prod", "hv03").done),
    )
    assert [(one.on, one.what, dict(one.fields)["state"]) for one in plan.samples] == [("hv03", "writer", 5)]
    assert plan.gates[0] == Gate(TWICE, GateOutcome.PASSED, "first seen 22:30 UTC", guards="worth")
    assert plan.gates[1:4] == (
        Gate(JOB_GATE, outcome=GateOutcome.PASSED, measured="none among its active jobs"),
        Gate(
            "The language of VSS error texts on hv03 is known",
            outcome=GateOutcome.PASSED,
            measured="“No error”",
            guards="worth",
        ),
        Gate("Every guest on hv03 has enough free space", GateOutcome.PASSED, "3 guests answered", guards="worth"),
    )
    assert len(plan.gates) == 4 + 20
    assert [gate.description for gate in plan.gates if not gate.passed] == []
    assert planned.ask.rounds <= 4
    assert COMMAND.risk is Risk.HIGH


async def test_a_failed_writer_needs_no_second_sample(planned, make):
    failed = {"vssadmin list writers": make.writer_rows(make.writer_row(HYPER_V, 8, "Non-retryable error"))}
    plan = await planned(COMMAND, make.resettable(hv03=failed))
    assert [step.key for step in plan.steps] == [
        "drain",
        "stop-vmms",
        "start-vmms",
        "writer",
        "resume",
        "return",
    ]


async def test_the_job_still_waits(planned, make):
    """Room in the guest, then the job: never a reset."""
    script = make.resettable(
        locked=("crm-02", "sql-07"),
        full=("test-tfs-01",),
        hv03=stuck(make, error="Retryable error"),
        commvault={"commvault active jobs": [make.job()]},
    )
    plan = await planned(COMMAND, script)
    assert plan.groups == ()
    assert plan.reason == (
        "No plan yet for hv03: 2 of 3 guests are locked, a drain would fail (5960); backup job 48211 has been Pending since"
        " 22:14 UTC [91:9]. First: free 1 GB or more on test-tfs-01 C:, then resume job 48211; the writer recovers on its own."
    )
    assert [remedy.line for remedy in plan.remedies] == ["/find-full-guests hv03", "/check-writers hv03"]
    assert [gate.description for gate in plan.blocking_gates] == [
        JOB_GATE,
        "Every guest on hv03 has enough free space",
        "No guest on hv03 is locked",
    ]


async def test_the_job_waits_and_its_guests_have_room_again(planned, make):
    jobs = {
        "commvault active jobs": [make.job(), make.job(7, client="hv02"), make.job(8, status="Running", client="x")]
    }
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    assert plan.groups == ()
    assert plan.reason.startswith("No plan yet for hv03: backup job 48211 has been Pending since 22:14 UTC [91:9]. ")
    assert "Every guest that answered has room: resume job 48211; the writer recovers on its own." in plan.reason
    assert [(one.line, one.primary) for one in plan.remedies] == [
        ("/resume-backup 48211", True),
        ("/find-full-guests hv03", False),
        ("/check-writers hv03", False),
    ]
    assert plan.blocking_gates[0].measured == "job 48211 has been Pending since 22:14 UTC [91:9]"


@pytest.mark.parametrize("client", ["HV03", "hv03.corp.example", "prod", "Sql-07"])
async def test_a_job_of_the_node_its_cluster_or_a_guest_counts(planned, make, client):
    jobs = {"commvault active jobs": [make.job(client=client)]}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    assert plan.groups == ()
    assert "backup job 48211" in plan.reason


async def test_a_job_whose_state_cannot_be_read_counts_for_its_machine_only(planned, make):
    jobs = {"commvault active jobs": [make.job(client="elsewhere", status="")]}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    assert len(plan.groups) == 1
    jobs = {"commvault active jobs": [make.job(status="")]}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    assert plan.groups == ()
    assert "in a state that cannot be read" in plan.blocking_gates[0].measured


async def test_a_job_that_does_not_say_which_machine_it_saves_may_be_of_this_one(planned, make):
    jobs = {"commvault active jobs": [make.job(client="")]}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    (gate,) = plan.blocking_gates
    assert (gate.description, gate.outcome) == (JOB_GATE, GateOutcome.NOT_KNOWN)
    assert gate.measured == "not known: job 48211 does not say which machine it saves"


@pytest.mark.parametrize("writer", [(), ("System", "Writer")])
async def test_a_job_whose_client_is_no_known_machine_may_be_of_this_one(make, scripted, hv03, writer):
    failed = [make.writer_row(HYPER_V, 5, "Unexpected error"), make.writer_row("System Writer", 9, "Timed out")]
    jobs = [make.job(client="HyperV-01"), make.job(7, client="hv02"), make.job(9, status="Running", client="CLU 2")]
    over = stuck(make) | {"vssadmin list writers": make.writer_rows(*failed)}
    ask = scripted(make.resettable(hv03=over, commvault={"commvault active jobs": jobs}))
    ask.strangers |= {"HyperV-01", "CLU 2"}
    args = COMMAND.args(hv03, tuple(map(Writer, writer)))
    plan = COMMAND.plan(args, await COMMAND.collect(args, ask))
    (gate,) = plan.blocking_gates
    assert (gate.description, gate.outcome) == (JOB_GATE, GateOutcome.NOT_KNOWN)
    assert plan.open_questions == gate.unknowns  # an approver has to answer each
    assert [(one.what, one.why) for one in gate.unknowns] == [
        ("which machine job 9 saves", "CLU 2, the client of job 9, is not known here as a host or cluster."),
        (
            "which machine job 48211 saves",
            "HyperV-01, the client of job 48211, is not known here as a host or cluster.",
        ),
    ]


async def test_a_job_of_a_guest_on_another_node_is_nobody_s_here(make, scripted, hv03):
    """A guest is in no inventory; the cluster's roles name it."""
    roles = [*make.role_rows(), make.role_rows()[-1] | {"Name": "web-01", "OwnerNode": "hv01"}]
    over = {"hv03": stuck(make), "prod": {"MSCluster_ResourceGroup": roles}}
    ask = scripted(
        make.resettable(**over, commvault={"commvault active jobs": [make.job(client="web-01.corp.example")]})
    )
    ask.strangers.add("web-01.corp.example")
    args = COMMAND.args(hv03)
    plan = COMMAND.plan(args, await COMMAND.collect(args, ask))
    assert [gate.outcome for gate in plan.gates if gate.description == JOB_GATE] == [GateOutcome.PASSED]


async def test_no_job_of_its_guests_waits_is_not_said_where_its_guests_are_not_known(planned, make):
    silent = Unknown("hv03", "timed out", "no answer in 20 s.")
    rows = make.writer_rows(make.writer_row("System Writer", 9, "Timed out"))
    over = stuck(make, Msvm_ComputerSystem=silent) | {"vssadmin list writers": rows}
    plan = await planned(COMMAND, make.resettable(hv03=over), writer=("System", "Writer"))
    held = {gate.description: gate.measured for gate in plan.blocking_gates}
    assert held[JOB_GATE] == "not known: its guests are not known: no answer in 20 s"


async def test_a_job_that_has_ended_does_not_count(planned, make):
    jobs = {"commvault active jobs": [make.job(status="Killed"), make.job(2, status="Completed w/ one or more errors")]}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault=jobs))
    assert len(plan.groups) == 1


async def test_locked_without_a_job_says_what_holds_it(planned, make):
    plan = await planned(COMMAND, make.resettable(locked=("sql-07",), hv03=stuck(make)))
    assert plan.groups == ()
    assert plan.reason == (
        "No plan yet for hv03: 1 of 3 guests is locked, a drain would fail (5960). First: find the guest without room"
        " and free 1 GB or more on each of its full volumes, then let the program that holds it end."
    )
    assert "Locked: 1 of 3: victims: sql-07." in plan.evidence
    assert any(line.startswith("Suspect: ") for line in plan.evidence)


async def test_locks_that_are_not_known_are_no_locks_that_are_not_there(planned, make):
    silent = Unknown("prod", "timed out", "no answer in 20 s.")
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), prod={"MSCluster_ResourceGroup": silent}))
    assert plan.groups == ()
    assert plan.reason.startswith("No plan yet for hv03: whether guests are locked is not known. ")


async def test_jobs_that_the_backup_product_did_not_tell_are_asked_of_the_approver(planned, make):
    silent = Unknown("commvault", "timed out", "no answer.", "See in CommCell whether a job runs.")
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), commvault={"commvault active jobs": silent}))
    assert plan.steps[0].key == "drain"
    assert plan.open_questions == (OpenQuestion("backup jobs of hv03", silent.why, silent.remedy),)


GATES = {
    "a guest is still full": (
        lambda make: {
            "sql-07": {
                "Win32_Volume": [{"Name": "D:\\", "DriveLetter": "D:", "Capacity": str(2**36), "FreeSpace": "4096"}]
            }
        },
        "Every guest on hv03 has enough free space",
        "full or nearly full: sql-07 D:",
    ),
    "another node is paused": (
        lambda make: {
            "prod": {"MSCluster_Node": [make.node_row("hv01", state=2), make.node_row("hv02"), make.node_row("hv03")]}
        },
        "No other node of prod is paused, joining, isolated or quarantined",
        "hv01 is paused",
    ),
}


@pytest.mark.parametrize("case", GATES)
async def test_gates_that_hold_it(planned, make, case):
    over, says, measured = GATES[case]
    plan = await planned(COMMAND, make.resettable(**({"hv03": stuck(make)} | over(make))))
    assert plan.groups == ()
    assert [(gate.description, gate.measured) for gate in plan.blocking_gates][:1] == [(says, measured)]
    assert plan.blocking_gates[0].finding in plan.reason


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"state": None, "unreadable": "State: ?"}, "The vssadmin output for it cannot be read: look on the host."),
        ({"state_text": "Stable"}, "The vssadmin output for it cannot be read: look on the host."),
        (
            {"writer_id": None, "unreadable": "Writer Id: {x}"},
            "it lists no Hyper-V writer, though the id of one cannot be read",
        ),
    ],
)
async def test_a_writer_that_cannot_be_read_is_not_reset(planned, make, cells, says):
    over = stuck(make)
    key = next(key for key in over if "vssadmin" in key)
    over[key] = [row | cells if "Hyper-V" in row["name"] else row for row in over[key]]
    plan = await planned(COMMAND, make.resettable(hv03=over))
    assert plan.groups == ()
    assert says in plan.reason


async def test_without_a_backup_product_it_warns(planned, make, hv03):
    """Nobody has said that none backs it up; where the inventory says so, no job of one waits."""
    none = Unknown("commvault", "absent", "no backup product is in the settings.")
    script = make.resettable(hv03=stuck(make), commvault={"commvault active jobs": none})
    told = next(one for one in (await planned(COMMAND, script)).gates if one.description == JOB_GATE)
    assert told.passed
    plan = await planned(COMMAND, script, target=replace(hv03, backup=None))
    gate = plan.gates[1]
    assert (gate.description, gate.passed, gate.blocks) == (JOB_GATE, False, False)
    assert gate.measured == "not known: no backup product is in the settings"
    assert len(plan.groups) == 1


async def test_a_node_that_is_drained_already_is_not_drained_again(planned, make):
    script = make.resettable(
        hv03=stuck(make, Msvm_ComputerSystem=make.guest_rows()[:1]),
        prod={
            "MSCluster_Node": [make.node_row("hv01"), make.node_row("hv02"), make.node_row("hv03", state=2, drain=2)],
            "MSCluster_ResourceGroup": make.role_rows(owner="hv01"),
            "MSCluster_Resource": make.resource_rows(owner="hv01"),
        },
    )
    plan = await planned(COMMAND, script)
    resume = resume_step("prod", "hv03", moves=True)
    assert plan.groups == (Group("reset", (*restart("hv03", "vmms", ID, HYPER_V, EMPTY), resume)),)
    assert plan.impact.startswith("hv03 is drained already; it takes guests again afterwards.")
    assert not plan.self_reverting, "the node was paused before it"
    roles = len(make.role_rows(owner="hv01"))
    assert plan.at_most == 2 * roles  # whichever of them the earlier drain has moved away come back
    assert plan.guards_of(resume)[-1].description == (
        f"no more than {2 * roles} guests and other roles are on other nodes than hv03"
    )


async def test_a_node_that_is_drained_already_waits_for_a_run_of_updates_and_for_the_last_guest(planned, make):
    """The service is stopped and the node resumed, whoever has drained it: their gates are asked all the same."""
    drained = {
        "MSCluster_Node": [make.node_row("hv01"), make.node_row("hv02"), make.node_row("hv03", state=2, drain=2)],
        "MSCluster_ResourceGroup": make.role_rows(owner="hv01"),
        "MSCluster_Resource": make.resource_rows(owner="hv01"),
    }
    own = stuck(make, Msvm_ComputerSystem=make.guest_rows(count=1))
    plan = await planned(
        COMMAND,
        make.resettable(hv03=own, hv02={"MSFT_CAURun": [{"OrchestratorGuid": "5b1c"}]}, prod=drained),
    )
    assert [gate.description for gate in plan.blocking_gates] == [
        "hv03 is drained, with no guests on it or moving to it",
        "Cluster-Aware Updating is not running on prod",
    ]


@pytest.mark.parametrize(
    ("writer", "why"),
    [
        ((1, "No error"), "Nothing to reset on hv03: Microsoft Hyper-V VSS Writer is [1] Stable · No error."),
        ((1, "Retryable error"), "It is stable again; the error is of an earlier backup."),
        ((1, "Brak błędu"), "Its last error is in a language not known here"),
        ((99, "No error"), "No source describes this state"),
    ],
)
async def test_a_writer_that_no_reset_would_help(planned, make, writer, why):
    rows = make.writer_rows(make.writer_row(HYPER_V, *writer))
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}))
    assert plan.groups == ()
    assert why in plan.reason
    assert plan.is_done_already is (writer == (1, "No error"))
    assert plan.remedies[0].line == "/check-writers hv03"


@pytest.mark.parametrize(
    ("earlier", "measured", "ripens_at"),
    [
        ([], "first seen 22:41 UTC; a second reading is due at 22:43:00 UTC", "2026-11-22T22:43:00+00:00"),
        (["39:30"], "first seen 22:39 UTC; a second reading is due at 22:41:30 UTC", "2026-11-22T22:41:30+00:00"),
        (
            ["39:30", "40:30"],
            "first seen 22:39 UTC; a second reading is due at 22:41:30 UTC",
            "2026-11-22T22:41:30+00:00",
        ),
    ],
)
async def test_one_sample_too_few_can_be_decided_and_not_begun(planned, make, earlier, measured, ripens_at):
    seen = [make.sample(HYPER_V, f"2026-11-22T22:{at}Z", 5, "Unexpected error") for at in earlier]
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make) | {"recall writer": seen}))
    assert plan.gates[0] == Gate(TWICE, GateOutcome.BLOCKED, measured, passes_at=ripens_at, guards="worth")
    assert plan.pending_gates == plan.gates[:1]
    assert not plan.blocking_gates
    assert plan.reason.startswith(f"{HYPER_V} on hv03 LOOKS STUCK: [5] ")
    later = await planned(COMMAND, make.resettable(hv03=stuck(make)))
    assert digest(plan, Risk.HIGH, "") == digest(later, Risk.HIGH, "")


async def test_another_instance_in_between_begins_the_time_anew(planned, make):
    other = make.sample(HYPER_V, "2026-11-22T22:35:00Z", 5, "Unexpected error") | {"instance_id": "another"}
    old = make.sample(HYPER_V, EARLIER, 5, "Unexpected error")
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make) | {"recall writer": [old, other]}))
    assert plan.gates[0].passes_at == "2026-11-22T22:43:00+00:00"


async def test_looks_stuck_asks_the_approver_where_nobody_knows_of_backups(planned, make):
    silent = {"MSCluster_ClusterSharedVolume": Unknown("prod", "timed out", "no answer.")}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), prod=silent))
    assert "backups of the shared volumes of prod" in [one.what for one in plan.open_questions]


async def test_a_refusal_is_a_sample_too(planned, make):
    plan = await planned(COMMAND, make.resettable(locked=("sql-07",), hv03=stuck(make)))
    assert plan.groups == ()
    assert [dict(one.fields)["backup"] for one in plan.samples] == ["no"]


async def test_a_running_backup_is_let_end(planned, make):
    busy = stuck(make, Msvm_ComputerSystem=make.guest_rows(busy=("sql-07",)))
    plan = await planned(COMMAND, make.resettable(locked=("sql-07",), hv03=busy))
    assert plan.groups == ()
    assert "A backup is running: 1 guest backing up (sql-07). Waiting is normal meanwhile: let it end" in plan.reason


async def test_another_writer_that_is_not_well_is_named(planned, make):
    rows = make.writer_rows(make.writer_row("System Writer", 9, "Timed out"))
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}))
    assert plan.reason.endswith(" Not well: System Writer [9] Failed at freeze · Timed out.")


@pytest.mark.parametrize("writer", [(), (Writer("System Writer"),)], ids=["Hyper-V", "System Writer"])
@pytest.mark.parametrize(
    ("backup", "missing"), [(("veeam",), "backups of hv03 by Veeam"), (None, "which backup products save hv03")]
)
async def test_a_backup_product_that_cannot_be_asked_is_named(planned, make, writer, backup, missing):
    name, state = (HYPER_V, 8) if not writer else ("System Writer", 9)
    failed = {"vssadmin list writers": make.writer_rows(make.writer_row(name, state, "Timed out"))}
    on = Target("hv03", "host", "prod", backup=backup)
    plan = await planned(COMMAND, make.resettable(hv03=failed), on, writer=writer)
    gates = [gate for gate in plan.gates if gate.description.startswith("No backup is running on hv03")]
    assert [(gate.outcome, gate.blocks_plan) for gate in gates] == [(GateOutcome.NOT_KNOWN, True)]
    assert [one.what for one in gates[0].unknowns] == [missing]
    assert missing in [one.what for one in plan.open_questions]


async def test_a_guest_of_which_nobody_knows_whether_it_runs_is_no_guest_with_enough_free_space(planned, make):
    script = make.resettable(hv03=stuck(make))
    machines = script["hv03", "Msvm_ComputerSystem"]
    at, name = next((at, one["ElementName"]) for at, one in enumerate(machines) if one["ElementName"] == "crm-02")
    script["hv03", "Msvm_ComputerSystem"] = [
        one | ({"EnabledState": None} if number == at else {}) for number, one in enumerate(machines)
    ]
    plan = await planned(COMMAND, script)
    gate = next(gate for gate in plan.gates if gate.description == "Every guest on hv03 has enough free space")
    assert gate.outcome is GateOutcome.NOT_KNOWN
    assert [(one.what, one.why) for one in gate.unknowns] == [
        (f"free space of {name}", "hv03 does not say whether it is running, so it was not asked")
    ]


async def test_a_guest_that_does_not_tell_its_free_space_is_named(planned, make):
    silent = {"Win32_Volume": Unknown("crm-02", "timed out", "no answer.", "See whether it runs.")}
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), crm_02=silent))
    gate = next(gate for gate in plan.gates if gate.description == "Every guest on hv03 has enough free space")
    assert (gate.outcome, gate.measured) == (GateOutcome.NOT_KNOWN, "unknown for crm-02; the other 2 have enough")
    assert [(one.what, one.why, one.remedy) for one in gate.unknowns] == [
        ("free space of crm-02", "no answer", "See whether it runs.")
    ]
    assert (gate.guards, gate.blocks) == ("worth", False)


async def test_the_service_of_another_writer(planned, make):
    script = make.resettable(hv03=stuck(make, "System Writer", "Timed out", 9))
    plan = await planned(COMMAND, script, writer=(Writer("system"), Writer("writer")))
    assert plan == Plan(
        reason="System Writer on hv03 is FAILED: [9] Failed at freeze · Timed out. No backup is running.",
        impact="The service CryptSvc of hv03 is unavailable for a moment.",
        rollback="Start CryptSvc if it is stopped.",
        locks=("cluster:prod",),
        gates=(
            Gate(
                "System Writer has not failed over what the backup job selects",
                outcome=GateOutcome.PASSED,
                measured="“Timed out”",
                guards="worth",
            ),
            Gate(
                "No backup is running on hv03",
                outcome=GateOutcome.PASSED,
                measured="asked: guests, shared volumes, shadow copies; backup products: none",
            ),
            Gate(JOB_GATE, outcome=GateOutcome.PASSED, measured="none among its active jobs"),
            Gate(
                "No cluster owns CryptSvc on hv03",
                outcome=GateOutcome.PASSED,
                measured="no cluster resource represents it",
            ),
            Gate(
                "The language of VSS error texts on hv03 is known",
                outcome=GateOutcome.PASSED,
                measured="“No error”",
                guards="worth",
            ),
        ),
        groups=(Group("reset", restart("hv03", "CryptSvc", SYSTEM_ID, "System Writer")),),
        remedies=(Remedy("Check Writers", "/check-writers hv03", primary=True),),
        samples=plan.samples,
        current_state="[9] Failed at freeze · Timed out",
        expected_state="[1] Stable · No error, in a new instance",
        self_reverting=True,
    )


async def test_a_writer_whose_service_is_a_resource_of_the_cluster_is_left_to_it(planned, make):
    dhcp = make.writer_row("System Writer", 9, "Timed out") | {
        "name": "Dhcp Jet Writer",
        "writer_id": "be9ac81e-3619-421f-920f-4c6fea9e93ad",
    }
    owner = {"Name": "DHCP", "Id": "r-1", "Type": "DHCP Service", "OwnerGroup": "dhcp01", "OwnerNode": "hv03"}
    script = make.resettable(
        hv03={"vssadmin list writers": [*make.writer_rows(), dhcp]},
        prod={"MSCluster_Resource": [*make.resource_rows(), owner], "Parameters": []},
    )
    plan = await planned(COMMAND, script, writer=(Writer("dhcp"), Writer("jet"), Writer("writer")))
    assert plan.groups == ()
    assert "DHCPServer is a resource of the cluster prod: “DHCP” of the role “dhcp01”, on hv03 now." in plan.reason


@pytest.mark.parametrize("name", [HYPER_V, "System Writer"])
@pytest.mark.parametrize("text", ["Inconsistent shadow copy", "Cliché instantané incohérent"])
async def test_a_snapshot_set_that_lacks_a_volume_is_no_matter_of_a_service(planned, make, name, text):
    script = make.resettable(hv03={"vssadmin list writers": make.writer_rows(make.writer_row(name, 8, text))})
    plan = await planned(COMMAND, script, writer=tuple(map(Writer, name.split())))
    assert (plan.groups, [gate.guards for gate in plan.blocking_gates]) == ((), ["worth"])
    assert "Add the missing volume to the selection of the backup job" in plan.reason


@pytest.mark.parametrize("name", [HYPER_V, "SqlServerWriter"])
@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("Non-retryable error", True),
        ("Erreur non récupérable", True),
        ("Retryable error", False),
        ("Timed out", False),
        ("Not responding", False),
    ],
)
async def test_a_restart_that_clears_the_state_alone_is_called_that(planned, make, name, text, warns):
    script = make.resettable(hv03={"vssadmin list writers": make.writer_rows(make.writer_row(name, 7, text))})
    plan = await planned(COMMAND, script, writer=tuple(map(Writer, name.split())))
    told = [gate.measured for gate in plan.gates if "one that a restart fixes" in gate.description and not gate.passed]
    assert [("clears the state" in one, "log" in one) for one in told] == ([(True, True)] if warns else [])
    assert plan.groups


async def test_a_locked_guest_is_not_the_cure_for_a_snapshot_set_that_lacks_a_volume(planned, make):
    rows = make.writer_rows(make.writer_row(HYPER_V, 8, "Inconsistent shadow copy"))
    plan = await planned(COMMAND, make.resettable(1, hv03={"vssadmin list writers": rows}))
    assert "no restart fixes that" in plan.reason
    assert [one.line for one in plan.remedies] == ["/check-writers hv03"]


async def test_the_error_of_a_failed_writer_in_an_unknown_language_is_asked_for_by_name(planned, make):
    rows = [row | {"error_text": "Kein Fehler"} for row in make.writer_rows()]
    rows[1] |= {"state": "9", "error_text": "Zeitüberschreitung"}
    plan = await planned(
        COMMAND, make.resettable(hv03={"vssadmin list writers": rows}), writer=(Writer(SYSTEM_ID.lower()),)
    )
    (gate,) = plan.blocking_gates
    assert (gate.guards, [one.what for one in gate.unknowns]) == (
        "worth",
        ["what the last error of System Writer on hv03 means"],
    )


async def test_a_french_host_says_aucune_erreur(planned, make):
    rows = [row | {"error_text": "Aucune erreur"} for row in make.writer_rows()]
    rows[1] |= {"state": "9", "error_text": "Délai dépassé"}
    plan = await planned(
        COMMAND, make.resettable(hv03={"vssadmin list writers": rows}), writer=(Writer(SYSTEM_ID.lower()),)
    )
    check = plan.steps[2].done[0]
    assert check.holds[0].each == (Predicate("state", "=", 1), Predicate("error_text", "=", "Aucune erreur"))


async def test_an_unknown_language_is_asked_of_the_approver(planned, make):
    rows = [row | {"error_text": f"Fehler {index}", "state": "9"} for index, row in enumerate(make.writer_rows())]
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}))
    assert "what hv03 prints for “No error”" in [one.what for one in plan.open_questions]
    holds = [hold for step in plan.steps for check in step.done for hold in check.holds]
    checks = [term.column for hold in holds if isinstance(hold, Expect) for term in (*hold.where, *hold.each)]
    assert "error_text" not in checks  # a text that nobody can read decides nothing


NEVER = {
    "Cluster Database": "Cluster Database on hv03 is never reset: its service is ClusSvc. A restart takes the node out of the cluster.",
    "NTDS": "NTDS on hv03 is never reset: its service is NTDS. This is a domain controller's directory.",
    "Task Scheduler Writer": "No plan for Task Scheduler Writer on hv03: which service to restart is not known. No source names its service.",
    "WMI Writer": "No plan for WMI Writer on hv03: its service Winmgmt is WMI, through which hvops itself asks and acts. By hand: restart Winmgmt on hv03. Remote questions over WMI stop while it restarts.",
}


@pytest.mark.parametrize("name", NEVER)
async def test_services_that_are_never_restarted(planned, make, name):
    script = make.resettable(hv03=stuck(make, name, "Timed out", 9))
    plan = await planned(COMMAND, script, writer=tuple(map(Writer, name.split())))
    assert (plan.reason, plan.groups) == (NEVER[name], ())


async def test_a_writer_that_nobody_knows(planned, make):
    rows = [*make.writer_rows(), make.writer_row(HYPER_V) | {"name": "Acme", "writer_id": "x", "state": "9"}]
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}), writer=(Writer("Acme"),))
    assert plan.reason == (
        "No plan for Acme on hv03: which service to restart is not known. No source names its service."
    )


@pytest.mark.parametrize("name", ["'; Restart-Computer", "vmms & shutdown", "x" * 500])
async def test_a_name_that_no_writer_has(planned, make, name):
    plan = await planned(COMMAND, make.resettable(), writer=(Writer(name),))
    assert plan.groups == ()
    assert plan.reason.startswith(
        f"No plan for hv03: it lists no writer “{name[:80]}”. It lists: Microsoft Hyper-V VSS Writer, "
    )


async def test_two_writers_of_one_name(planned, make):
    rows = [*make.writer_rows(), make.writer_row("NTDS") | {"writer_id": "x"}]
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}), writer=(Writer("ntds"),))
    says = "No plan for hv03: it lists 2 writers that “ntds” means. Name one by its instance id: NTDS [1] Stable · No error ("
    assert plan.reason.startswith(says)


EXCHANGE = "76FE1AC4-15F7-4BCD-987E-8E1ACB462FB7"
REPL = [
    {"Name": name, "State": "Running", "ProcessId": "4711", "StartMode": "Auto"}
    for name in ("MSExchangeRepl", "MSExchangeIS")
]


def exchange(make, *writers):
    """Rows of Exchange writers (name, state, instance) beside the others."""
    rows = [
        make.writer_row("System Writer")
        | {"name": name, "writer_id": EXCHANGE.lower(), "instance_id": instance, "state": str(state)}
        for name, state, instance in writers
    ]
    return make.resettable(hv03={"vssadmin list writers": [*make.writer_rows(), *rows], "Win32_Service": REPL})


A, B = "0000000a-0000-4000-8000-000000000000", "0000000b-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    "typed", ["Microsoft Exchange Replica Writer", "'microsoft  exchange “replica” writer'", A.upper(), f"{{{A}}}"]
)
async def test_a_writer_that_shares_its_id_is_meant_by_its_name_or_instance(planned, make, typed):
    script = exchange(make, ("Microsoft Exchange Replica Writer", 8, A), ("Microsoft Exchange Writer", 1, B))
    plan = await planned(COMMAND, script, writer=(Writer(typed),))
    assert [step.key for step in plan.steps] == ["stop-msexchangerepl", "start-msexchangerepl", "writer"]
    where = plan.steps[2].done[0].holds[0].where
    assert Predicate("name", "=", "Microsoft Exchange Replica Writer") in where


async def test_stopping_the_information_store_says_that_databases_are_dismounted(planned, make):
    script = exchange(make, ("Microsoft Exchange Replica Writer", 1, A), ("Microsoft Exchange Writer", 8, B))
    plan = await planned(COMMAND, script, writer=(Writer("Microsoft Exchange Writer"),))
    assert plan.steps[0].key == "stop-msexchangeis"
    assert "dismounts every mailbox database of the host" in plan.impact


async def test_a_service_is_stopped_only_while_the_instance_of_the_plan_is_still_bad(planned, make):
    """A writer that came up again, or was restarted by someone, needs no reset any more; nor does one that is not listed."""
    script = exchange(make, ("Microsoft Exchange Writer", 8, A), ("Microsoft Exchange Writer", 1, B))
    plan = await planned(COMMAND, script, writer=(Writer("Microsoft Exchange Writer"),))
    *_, check = plan.steps[0].guard
    rows = script["hv03", "vssadmin list writers"]

    def now(**cells):
        return [row | cells if row["instance_id"] == A else row for row in rows]

    assert check.within == 0
    assert not unmet(check, rows, {})
    assert not unmet(check, now(state="5"), {})
    assert unmet(check, now(state="1"), {})
    assert unmet(check, now(state=None), {})
    assert unmet(check, now(instance_id="0000000c-0000-4000-8000-000000000000"), {})
    assert unmet(check, [row for row in rows if row["instance_id"] != A], {})


async def test_a_reset_is_judged_by_the_instance_that_was_bad(planned, make):
    script = exchange(make, ("Microsoft Exchange Writer", 8, A), ("Microsoft Exchange Writer", 1, B))
    plan = await planned(COMMAND, script, writer=(Writer("Microsoft Exchange Writer"),))
    check = plan.steps[2].done[0]
    before = {"stop-msexchangerepl": script["hv03", "vssadmin list writers"]}

    def after(bad):
        return [row | {"instance_id": bad if row["instance_id"] == A else row["instance_id"]} for row in well]

    well = [row | {"state": "1"} for row in before["stop-msexchangerepl"]]
    assert unmet(check, after(A), before)  # the bad instance is still there
    assert not unmet(check, after("0000000c-0000-4000-8000-000000000000"), before)  # and its healthy twin may stay


async def test_on_a_host_of_an_unknown_language_the_number_is_the_proof_and_a_person_must_say_so(planned, make):
    rows = [row | {"error_text": "Brak błędu"} for row in make.writer_rows()]
    rows[1] |= {"state": "9", "error_text": "Przekroczono limit czasu"}
    plan = await planned(COMMAND, make.resettable(hv03={"vssadmin list writers": rows}), writer=(Writer(SYSTEM_ID),))
    (gate,) = [one for one in plan.gates if one.description.startswith("The language")]
    assert (gate.outcome, gate.guards, gate.answerable) == (GateOutcome.NOT_KNOWN, "worth", True)
    assert [one.what for one in gate.unknowns] == ["what hv03 prints for “No error”"]
    assert "Brak błędu" in gate.unknowns[0].why


def test_without_the_words_only_the_state_of_a_new_instance_is_checked():
    (failed,) = host_writers("hv03").read(
        [{"name": "System Writer", "writer_id": SYSTEM_ID, "instance_id": A, "state": "9", "error_text": "Błąd"}]
    )
    *_, wait = reset_steps("hv03", "CryptSvc", failed, "")
    assert wait.done[0].holds[0].each == (Predicate("state", "=", 1),)
    assert wait.description.endswith("[1] Stable; its last error cannot be read")


async def test_refusals(planned, make, alone):
    silent = await planned(COMMAND, make.resettable(), silent={"hv03": "timed out"})
    assert silent.reason == "No plan for hv03: its writers are not known. no answer in 20 s."
    old = [make.node_row(one, build=7601) for one in ("hv01", "hv02", "hv03")]
    plan = await planned(COMMAND, make.resettable(hv03=stuck(make), prod={"MSCluster_Node": old}))
    assert plan.groups == ()
    assert "2008 R2 has no drain" in plan.reason
    script = make.resettable(backup01=stuck(make))
    plan = await planned(COMMAND, script, alone)
    assert plan.groups == ()
    assert plan.reason.startswith("No plan for backup01: it belongs to no cluster")
    script = make.resettable(backup01=stuck(make, "System Writer", "Timed out", 9))
    plan = await planned(COMMAND, script, alone, writer=(Writer("System"), Writer("Writer")))
    assert plan.locks == ("host:backup01",)
