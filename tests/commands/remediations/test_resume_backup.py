"""`/resume-backup`: a job that waits goes on, unless a guest would make it wait again."""

import pytest

from bot.api.actions import RunProgram
from bot.api.command import Risk
from bot.api.facts import Unknown
from bot.api.plan import Check, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, RunReader
from bot.api.report import Remedy
from bot.tickets.conditions import is_terminal_failure, unmet
from bot.tickets.plan_digest import digest
from commands.remediations.resume_backup import COMMAND, Args, JobNumber

JOB = RunReader("commvault", "commvault job", (("job", 48211),))
THIS = (Predicate("job", "=", 48211),)
DONE = ("Running", "Completed", "Completed w/ one or more errors", "Completed w/ one or more warnings", "Committed")
STEP = Step(
    key="resume-job",
    description="Resume backup job 48211",
    act=RunProgram("commvault", "commvault resume job", (("job", 48211),)),
    guard=(
        Check(JOB, (Expect(THIS, (Predicate("status", "=", "Pending"),), at_most=1),)).described_as(
            "job 48211 is pending"
        ),
    ),
    done=(
        Check(
            JOB,
            (Expect(THIS, (Predicate("status", "in", DONE),), at_most=1),),
            within=120,
            every=2,
            give_up=Expect(THIS, (Predicate("status", "in", ("Killed", "Failed", "Failed to Start")),), at_most=1),
        ).described_as("job 48211 is running or completed", never="job 48211 has ended without a backup"),
    ),
    before=JOB,
)
ROOM = "Every guest that job 48211 saves has enough free space"


@pytest.fixture
def planned(scripted):
    async def run(script):
        args = Args(JobNumber.parse("48211"))
        run.ask = scripted(script)
        return COMMAND.plan(args, await COMMAND.collect(args, run.ask))

    return run


def script(make, *jobs, full=(), **over):
    return make.resettable(full=full, commvault={"commvault job": list(jobs)}, **over)


async def test_the_whole_plan(planned, make):
    plan = await planned(script(make, make.job(client="hv03.corp.example")))
    assert plan == Plan(
        reason="Job 48211 has been Pending since 22:14 UTC [91:9], of hv03.corp.example. It says: Volume Shadow Copy Service (VSS) error.",
        impact="The backup of hv03.corp.example continues. Its guests are locked until it ends, and cannot be moved.",
        rollback="Suspend the job in the backup product. Killing it can leave the writer stuck.",
        locks=("job:48211", "host:hv03"),  # its cluster, where it is in one
        gates=(
            Gate("Job 48211 is pending", GateOutcome.PASSED, "Pending since 22:14 UTC [91:9]", guards="worth"),
            Gate(ROOM, outcome=GateOutcome.PASSED, measured="3 guests answered", guards="worth"),
        ),
        groups=(Group("resume", (STEP,)),),
        remedies=(Remedy("Check Writers", "/check-writers hv03", primary=True),),
        touches=("hv03",),
        current_state="job 48211 has been Pending since 22:14 UTC [91:9]",
        expected_state="job 48211 is running or completed",
    )
    assert COMMAND.risk is Risk.LOW


async def test_a_guest_that_is_still_full_holds_it(planned, make):
    plan = await planned(script(make, make.job(), full=("test-tfs-01",)))
    assert plan.groups == ()
    assert plan.reason == (
        "No plan yet for job 48211: test-tfs-01 C: is full or nearly full, so the job would only go pending again."
        " First: free 1 GB or more on test-tfs-01 C:, then check again."
    )
    assert [(gate.description, gate.measured) for gate in plan.blocking_gates] == [
        (ROOM, "full or nearly full: test-tfs-01 C:")
    ]
    assert plan.remedies[0].line == "/find-full-guests hv03"


@pytest.mark.parametrize("other", [100, 99999])
async def test_an_answer_that_lists_another_job_beside_it_is_read_for_the_one_that_was_asked_for(planned, make, other):
    """The guests, the lock and the machine are those of the job that is sent, never those of its neighbour."""
    own = make.job(client="hv03.corp.example")
    beside = make.job(client="hv01.corp.example") | {"job": other}
    for jobs in ((own, beside), (beside, own)):
        plan = await planned(script(make, *jobs))
        assert (plan.locks, plan.touches) == (("job:48211", "host:hv03"), ("hv03",))
        full = await planned(script(make, *jobs, full=("test-tfs-01",)))
        assert full.reason.startswith("No plan yet for job 48211: test-tfs-01 C: is full")
    assert "lists no job 48211" in (await planned(script(make, beside))).reason
    assert "reported nothing about it" in (await planned(script(make, own, own | {"client": "hv01"}))).reason


@pytest.mark.parametrize("other", ["Pending", "Running", "Killed"])
def test_no_other_job_and_no_second_answer_decides_what_became_of_it(other):
    (guard,), (done,) = STEP.guard, STEP.done
    for check, status in ((guard, "Pending"), (done, "Running")):
        own = {"job": "48211", "status": status}
        assert not unmet(check, (own, {"job": "100", "status": other}), {})
        assert unmet(check, ({"job": "100", "status": status},), {})
        assert unmet(check, (own, own), {})
    lost = {"job": "48211", "status": "Killed"}
    assert is_terminal_failure(done, (lost, {"job": "100", "status": other}), {})
    assert not is_terminal_failure(done, ({"job": "100", "status": "Killed"},), {})
    assert not is_terminal_failure(done, (lost, {"job": "48211", "status": other}), {})


@pytest.mark.parametrize("status", ["Pending", "Suspended", "Waiting", "SUSPENDED"])
async def test_a_job_is_resumed_only_from_the_state_that_was_shown(planned, make, status):
    """A person may have suspended since what was pending: that is another plan, and the guard of the shown one is unmet."""
    plan = await planned(script(make, make.job(status=status)))
    word = status.lower()
    assert plan.gates[0].description == f"Job 48211 is {word}"
    (guard,) = plan.steps[0].guard
    assert guard.description == f"job 48211 is {word}"
    for other in ("Pending", "Suspended", "Waiting", "Running", "Kill Pending", "", None):
        held = not unmet(guard, ({"job": "48211", "status": other},), {})
        assert held is (other == status.capitalize())
        if other in ("Pending", "Suspended", "Waiting") and not held:
            fresh = await planned(script(make, make.job(status=other)))
            assert digest(fresh, Risk.LOW, "1") != digest(plan, Risk.LOW, "1")


@pytest.mark.parametrize("status", ["Running", "Completed", "Killed", "Queued", "Kill Pending", "Verwirrt"])
async def test_a_job_that_does_not_wait(planned, make, status):
    plan = await planned(script(make, make.job(status=status)))
    verb = "is" if status in ("Completed", "Killed") else "has been"
    held = (
        " A queued job is held by the product itself: by an operation window, by another job, or by activity that is switched"
        " off there. It starts by itself once that is over."
    )
    assert plan.groups == ()
    assert plan.reason == (
        f"Nothing to resume: job 48211 {verb} {status} since 22:14 UTC [91:9]. It says: Volume Shadow Copy Service (VSS) error."
        f"{held if status == 'Queued' else ''}"
    )
    assert plan.is_done_already is (status in ("Running", "Completed"))


@pytest.mark.parametrize(
    ("status", "after"),
    [("Pending", "The product lets it go on by itself"), ("Waiting", "The product lets"), ("Suspended", "Resume it")],
)
@pytest.mark.parametrize("window", ["Operation Window", "blackout window"])
async def test_a_job_is_not_resumed_into_a_window_of_the_products_own(planned, make, status, after, window):
    plan = await planned(script(make, make.job(status=status, reason=f"Not allowed now: {window} is in effect.")))
    assert plan.groups == ()
    assert f"It says: Not allowed now: {window} is in effect. {after}" in plan.reason


async def test_guests_that_nobody_can_ask_only_warn(planned, make):
    outside = Unknown("fs01", "not allowed", "it is not in the inventory.")
    over = {"fs01": {"Win32_OperatingSystem": outside, "Msvm_ComputerSystem": outside}}
    plan = await planned(script(make, make.job(client="fs01"), **over))
    assert plan.groups == (Group("resume", (STEP,)),)
    assert (plan.gates[1].passed, plan.gates[1].blocks) == (False, False)
    assert plan.gates[1].measured == "not known: it is not in the inventory"
    assert [(one.what, one.why) for one in plan.gates[1].unknowns] == [
        ("the guests on fs01", "it is not in the inventory. Not known: its guests")
    ]
    silent = {"sql-07": {"Win32_Volume": Unknown("sql-07", "timed out", "no answer.")}}
    plan = await planned(script(make, make.job(), **silent))
    assert (plan.gates[1].passed, plan.gates[1].measured) == (False, "unknown for sql-07; the other 2 have enough")
    assert [(one.what, one.why) for one in plan.gates[1].unknowns] == [("free space of sql-07", "no answer")]


async def test_a_client_that_is_a_stranger_even_to_the_clusters_is_not_known(make, scripted):
    """The name decides with its domain: hv03 of another domain is not our hv03, however full or well that is."""
    args = Args(JobNumber.parse("48211"))
    ask = scripted(script(make, make.job(client="hv03.other.example"), full=("test-tfs-01",)))
    ask.strangers.add("hv03.other.example")
    plan = COMMAND.plan(args, await COMMAND.collect(args, ask))
    gate = plan.gates[1]
    assert (gate.outcome, [one.what for one in gate.unknowns]) == (
        GateOutcome.NOT_KNOWN,
        ["which machine job 48211 saves"],
    )
    assert (
        gate.measured
        == "not known: hv03.other.example, the client of job 48211, is not known here as a host or cluster"
    )
    assert (plan.blocking_gates, plan.open_questions, plan.remedies[1:]) == ((gate,), gate.unknowns, ())


async def test_no_such_job_and_no_answer(planned, make):
    plan = await planned(script(make))
    assert plan.reason.startswith("The backup software lists no job 48211.")
    assert planned.ask.rounds == 1
    other = await planned(script(make, make.job(number=7)))
    assert (other.groups, "lists no job 48211" in other.reason) == ((), True)
    silent = Unknown("commvault", "absent", "no backup product is in the inventory.")
    plan = await planned(make.resettable(commvault={"commvault job": silent}))
    assert plan.reason == "No plan for job 48211: the backup software reported nothing about it"


async def test_a_client_without_a_name(planned, make):
    plan = await planned(script(make, make.job(client="")))
    assert [one.what for one in plan.open_questions] == ["which machine job 48211 saves"]
    assert plan.gates[1].measured == "not known: job 48211 does not say which machine it saves"


@pytest.mark.parametrize("word", ["", "0", "-1", "1.5", "48211;", "2147483648", "４８２１１x", "1e3"])
def test_what_is_no_number_of_a_job(word):
    with pytest.raises(ValueError, match=r".*"):
        JobNumber.parse(word)


def test_numbers_of_jobs():
    assert (JobNumber.parse("#48211"), JobNumber.parse("2147483647")) == (48211, 2147483647)
