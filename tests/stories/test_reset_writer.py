"""The job is dead and its writer broken: a reset planned by one person, approved by another, done and proved."""

import re
from datetime import timedelta

import pytest

from commands.sources import services
from commands.vss import writer_verdict
from commands.writer_reset import gates, steps
from lab.slack.blockkit_walk import placed
from lab.slack.plain_text import plain_text
from lab.world import services as practice_services
from lab.world.model import BackupJob

NODE = "hv03"
BOTH = "<@U0OPERATOR> <@U0APPROVER>"
PAIR = ["intent", "outcome"]
STARTED = ["proposed", "approved", "started"]


def labels(message) -> list[str]:
    return [one.element["text"]["text"] for one in placed(message.blocks) if one.element.get("type") == "button"]


def turns(ops, ticket="T-1") -> list[str]:
    """What the ledger tells of a ticket's run, without clicks and posts."""
    told = [entry.kind for entry in ops.ledger() if entry.ticket == ticket]
    return [kind for kind in told if kind not in ("clicked", "shown", "refused")]


def last(ops, kind, ticket="T-1"):
    return [entry for entry in ops.ledger() if (entry.kind, entry.ticket) == (kind, ticket)][-1]


def notes(ops) -> list[str]:
    """What hvops left in the node's own event log."""
    events = ops.estate.do(lambda: list(ops.estate.world.node(NODE).events))
    return [event.message for event in events if event.provider == "hvops"]


@pytest.fixture
def soon(monkeypatch, hurried):
    """Two looks need not be two minutes apart here, nor is anything waited for long: that is proved where no clock runs."""
    for module in (writer_verdict, gates):
        monkeypatch.setattr(module, "APART", timedelta(seconds=1))


async def reaches(ops, start: str, channel="hv-ops"):
    """Wait until the ticket's message begins so."""
    return await ops.slack.person("operator").sees(re.compile(f"^{start}"), channel)


async def proposes_and_approves(ops):
    await ops.says(f"/reset-writer {NODE}")
    plan = await ops.sees(f"Reset writer on {NODE}?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def test_planned_by_one_approved_by_another_done_and_proved(play, soon):
    async with play("stuck-writer-job-dead") as ops:
        instance = ops.estate.world.node(NODE).writer(practice_services.HYPER_V_WRITER).instance
        home = {guest.name for guest in ops.estate.world.node(NODE).guests}
        await ops.says(f"/reset-writer {NODE}")
        plan = await ops.sees(f"Reset writer on {NODE}?", channel="hv-ops")
        told = plain_text(plan)
        for fact in (
            "one of you (not the requester) must approve or reject",
            "LOOKS STUCK: [5] Waiting for completion · Unexpected error",
            "Pending; nothing runs before this check passes:",
            "23 of 25 checks passed",
            "*1* Pause hv03 and drain it",
            "*2* Stop the service vmms on hv03",
        ):
            assert fact in told
        await ops.clicks(plan, "Approve")
        await ops.sees("so another approver must decide")
        await ops.clicks(plan, "Approve", who="approver")
        done = await reaches(ops, "Done: Reset writer on hv03")
        assert done.ts == plan.ts
        assert labels(done)[0] == "Check Writers"
        end = await ops.sees("T-1 Done: Reset writer on hv03", channel="hv-ops")
        assert end.thread_ts == plan.ts
        assert BOTH in end.text

        assert turns(ops) == [*STARTED, *PAIR * 6, "done"]
        proposed, approved = last(ops, "proposed"), last(ops, "approved")
        assert (proposed.actor, approved.actor) == ("T0PRACTICE/U0OPERATOR", "T0PRACTICE/U0APPROVER")
        assert last(ops, "refused").actor == proposed.actor
        steps = ["drain", "stop-vmms", "start-vmms", "writer", "resume", "return"]
        story = [entry for entry in ops.ledger() if entry.kind in PAIR]
        assert [(entry.data.step, entry.kind) for entry in story] == [(key, kind) for key in steps for kind in PAIR]
        assert {entry.data.result for entry in story[1::2]} == {"done"}

        thread = "\n".join(plain_text(reply) for reply in ops.slack.person("viewer").thread(done))
        before, after = thread[thread.index("Step 4 of 6") :].split("\n")[1:3]
        for line, facts in (
            (before, ("Before:", "state 5", "Unexpected error", instance)),
            (after, ("After:", "state 1", "No error")),
        ):
            assert all(fact in line for fact in facts), line
        assert instance not in after
        whole = f"Asked for by operator ({proposed.actor}), approved by approver ({approved.actor}). Plan"
        acts = ("Pause hv03 and drain it", "Stop the service vmms", "Start the service vmms", "Resume hv03")
        assert len(notes(ops)) == 2 * len(acts)  # one before each act, one behind it
        for act, begins, note in zip(acts, notes(ops)[::2], notes(ops)[1::2], strict=True):
            assert begins.startswith(f"hvops T-1: {act}")
            assert f": starting. (note of T-1 plan {proposed.data.digest[:16]} step " in begins
            assert note.startswith(f"hvops T-1: {act}")
            assert ": done. Asked for by " in note
            assert f"{whole} {proposed.data.digest[:16]}" in note

        assert {guest.name for guest in ops.estate.world.node(NODE).guests} == home
        await ops.clicks(done, "Check Writers")
        assert "it was [5]" in plain_text(await ops.sees("hv03: Hyper-V writer RECOVERED"))


async def test_a_question_was_the_first_look_and_two_minutes_are_two_minutes(play):
    async with play("stuck-writer-job-dead") as ops:
        await ops.says(f"/check-writers {NODE}")
        await ops.sees("Hyper-V writer LOOKS STUCK on hv03")
        plan = await proposes_and_approves(ops)
        waits = await ops.slack.person("viewer").sees(
            re.compile("(?s)Approved.*Waiting:.* Microsoft Hyper-V VSS Writer")
        )
        assert waits.ts == plan.ts
        asked = next(entry for entry in ops.ledger() if entry.kind == "answered")
        gate = next(gate for gate in last(ops, "proposed").data.plan["gates"] if gate["passes_at"])
        assert gate["outcome"] != "passed"
        assert gate["passes_at"][11:16] == f"{_moment(asked.at) + timedelta(minutes=2):%H:%M}"
        await ops.clicks(waits, "Withdraw")
        await reaches(ops, "Withdrawn: Reset writer on hv03")
        assert turns(ops) == ["proposed", "approved", "withdrawn"]
        assert dict(ops.estate.do(ops.estate.world.facts))[NODE] == "up, 11 guests"


def _moment(text):
    return writer_verdict.datetime.fromisoformat(text)


async def test_locked_guests_are_no_plan_and_what_holds_them_is_said(play):
    async with play("stuck-writer") as ops:
        await ops.says(f"/reset-writer {NODE}")
        refused = await ops.sees(
            "No plan yet for hv03: 9 of 11 guests are locked, a drain would fail (5960); backup job"
        )
        told = plain_text(refused)
        for fact in (
            "9 of 11 locked",
            "Free 1 GB or more on test-tfs-01 C:, then resume job 48211; the writer recovers on its own.",
            "job 48211 has been Pending since",
            "[91:9]",
            "full or nearly full: test-tfs-01 C:",
            "Suspect: test-tfs-01",
        ):
            assert fact in told, fact
        assert labels(refused)[:2] == ["Find Full Guests", "Check Writers"]
        assert refused in ops.slack.person("operator").ephemerals()
        kinds = [entry.kind for entry in ops.ledger()]
        assert "proposed" not in kinds
        assert next(entry for entry in ops.ledger() if entry.kind == "answered").data.samples


async def test_a_backup_between_decision_and_start_voids_it_and_says_what_is_different(play, soon):
    async with play("stuck-writer-job-dead") as ops:
        await ops.says(f"/reset-writer {NODE}")
        plan = await ops.sees(f"Reset writer on {NODE}?", channel="hv-ops")

        def lock():
            for guest in ops.estate.world.node(NODE).guests[:2]:
                guest.locked = True

        ops.estate.do(lock)
        await ops.clicks(plan, "Approve", who="approver")
        void = await reaches(ops, "Void, the plan changed: Reset writer on hv03")
        told = plain_text(void)
        assert "Nothing was done." in told
        assert "- Check passed: No guest on hv03 is locked" in told
        assert "+ Check failed: No guest on hv03 is locked (2 of 11 locked" in told
        assert "+ no plan: No plan yet for hv03: 2 of 11 guests are locked, a drain would fail (5960)." in told
        assert turns(ops) == ["proposed", "approved", "voided"]
        assert dict(ops.estate.do(ops.estate.world.facts))[NODE] == "up, 11 guests"
        await ops.clicks(void, "Plan Again")
        await ops.sees("No plan yet for hv03: 2 of 11 guests are locked, a drain would fail (5960)")


async def test_a_lock_that_appears_during_the_drain_fails_it_and_the_node_is_resumed_by_a_plan(play, soon, monkeypatch):
    async with play("stuck-writer-job-dead") as ops:
        late = ops.estate.world.node(NODE).guests[-1]
        act = ops.engine.target_client.invoke

        async def locks_one_first(action, seconds):
            if action.method == "Pause":
                ops.estate.do(lambda: setattr(late, "locked", True))
            return await act(action, seconds)

        monkeypatch.setattr(ops.engine.target_client, "invoke", locks_one_first)
        await proposes_and_approves(ops)
        failed = await reaches(ops, "Failed at step 1: Reset writer on hv03")
        told = plain_text(failed)
        assert "Pause hv03 and drain it" in told
        assert "the drain of hv03 has failed (NodeDrainStatus is 3, not 2)" in told
        assert f"not met: no guest is left on hv03 (1 row: {late.group}, expected none)" in told
        assert labels(failed) == ["Check Again", "Check Writers", "Plan Again", "Undo…", "History"]
        assert turns(ops) == [*STARTED, *PAIR, "failed"]
        assert dict(ops.estate.do(ops.estate.world.facts))[NODE] == "paused, its drain failed, 1 guests"

        ops.estate.do(lambda: setattr(late, "locked", False))
        await ops.clicks(failed, "Undo…")
        back = await ops.sees("Undo T-1 on hv03?", channel="hv-ops")
        await ops.clicks(back, "Approve", who="approver")
        await ops.until(NODE, "up, 11 guests")
        await ops.recorded("done", 1)


async def test_a_writer_that_recovers_during_the_drain_is_not_reset_and_the_node_is_resumed_by_a_plan(
    play, soon, monkeypatch
):
    """A drain can take half an hour, and more with a stop behind it: by then the reset may be harm without use."""
    async with play("stuck-writer-job-dead") as ops:
        writer = ops.estate.world.node(NODE).writer(practice_services.HYPER_V_WRITER)
        act = ops.engine.target_client.invoke

        def recovers():
            writer.state, writer.error = 1, "none"

        async def recovers_first(action, seconds):
            if action.method == "Pause":
                ops.estate.do(recovers)
            return await act(action, seconds)

        monkeypatch.setattr(ops.engine.target_client, "invoke", recovers_first)
        await proposes_and_approves(ops)
        failed = await reaches(ops, "Failed at step 2: Reset writer on hv03")
        told = plain_text(failed)
        assert "not met: Microsoft Hyper-V VSS Writer on hv03 is the same instance, and still waiting or failed" in told
        assert turns(ops) == [*STARTED, *PAIR, "failed"]
        assert ops.estate.do(lambda: ops.estate.world.node(NODE).service("vmms").state) == "Running"
        assert [act for act in ops.estate.do(lambda: [*ops.estate.world.asked]) if "StopService" in act] == []

        await ops.clicks(failed, "Undo…")
        back = await ops.sees("Undo T-1 on hv03?", channel="hv-ops")
        await ops.clicks(back, "Approve", who="approver")
        await ops.until(NODE, "up, 11 guests")
        await ops.recorded("done", 1)


async def test_vmms_that_hangs_is_interrupted_looked_at_and_gone_on_with(play, soon, monkeypatch):
    monkeypatch.setattr(services, "WAIT", 3)
    async with play("stuck-writer-job-dead") as ops:
        await ops.guest_admin("Let vmms of hv03 hang when it is stopped")
        await proposes_and_approves(ops)
        stopped = await reaches(ops, "Interrupted at step 2: someone must decide")
        told = plain_text(stopped)
        assert "Outcome unknown:* step 2, Stop the service vmms on hv03" in told
        assert "Done:* Pause hv03 and drain it" in told
        assert turns(ops) == [*STARTED, *PAIR, "intent", "interrupted"]

        await ops.clicks(stopped, "Check Again", who="approver")
        looked = await ops.sees("Step 2, Stop the service vmms on hv03: not done", who="approver", channel="hv-ops")
        assert looked.thread_ts == stopped.ts
        await ops.guest_admin("End the process of vmms on hv03")
        await ops.clicks(stopped, "Go On…", who="approver")
        await reaches(ops, "Done: Reset writer on hv03")
        assert turns(ops) == [*STARTED, *PAIR, "intent", "interrupted", "resumed", "outcome", *PAIR * 4, "done"]
        assert ops.estate.world.node(NODE).service("vmms").state == "Running"


@pytest.mark.parametrize(
    ("place", "client", "says"),
    [
        (121, NODE, "job 47880 has been Suspended"),
        (121, "filer-121", "filer-121, the client of job 47880, is not known here as a host or cluster"),
        (None, "", "checks passed"),
    ],
)
async def test_a_job_on_a_later_page_of_the_list_holds_it(play, soon, place, client, says):
    """140 active jobs, newest first, of which the backup product shows a hundred at a time."""
    async with play("stuck-writer-job-dead") as ops:
        product, world = ops.estate.backup_product, ops.estate.world
        hosts = [client if at == place else f"br0{at % 4 + 1}" for at in range(1, 141)]
        active = [
            BackupJob(48_001 - at, world.node("hv01"), "suspended", started=world.now - timedelta(hours=2), client=host)
            for at, host in enumerate(hosts, 1)
        ]
        ops.estate.do(lambda: world.jobs.update({job.id: job for job in active}))
        product.page_cap = 100
        await ops.says(f"/reset-writer {NODE}")
        plan = plain_text(await ops.sees(re.compile(rf"No plan yet for {NODE}|Reset writer on {NODE}\?"), channel=None))
        assert says in plan
        assert ("No plan yet" in plan) == (client == NODE)
        assert ("Approve With 1 Unknown…" in plan) == (client == "filer-121")  # whose machine it saves nobody knows


@pytest.mark.long
async def test_a_writer_that_does_not_get_well_is_a_failure_that_says_so(play, soon, monkeypatch):
    monkeypatch.setattr(steps, "SETTLES", 2)

    def stays_broken(windows, writer, service):
        writer.instance = practice_services.identity("writer", windows.fqdn, writer.name, str(service.pid))
        writer.state, writer.error = 5, "unexpected"

    monkeypatch.setattr(practice_services, "_renew", stays_broken)
    async with play("stuck-writer-job-dead") as ops:
        await proposes_and_approves(ops)
        failed = await reaches(ops, "Failed at step 4: Reset writer on hv03")
        assert "Wait for a new instance of Microsoft Hyper-V VSS Writer" in plain_text(failed)
        assert "not met: a new instance of Microsoft Hyper-V VSS Writer is [1] Stable" in plain_text(failed)
        assert turns(ops) == [*STARTED, *PAIR * 4, "failed"]
        assert dict(ops.estate.do(ops.estate.world.facts))[NODE] == "paused, drained, 0 guests"
        assert "Undo…" in labels(failed)


@pytest.mark.long
async def test_another_writer_has_its_own_service_restarted_and_the_clusters_own_never(play, hurried):
    async with play("stuck-writer-job-dead") as ops:
        node = ops.estate.world.node(NODE)
        for name in ("System Writer", "Cluster Database"):
            writer = node.writer(name)
            ops.estate.do(lambda writer=writer: setattr(writer, "state", 9))
            ops.estate.do(lambda writer=writer: setattr(writer, "error", "timed out"))
        await ops.says(f"/reset-writer {NODE} Cluster Database")
        told = plain_text(await ops.sees(f"Cluster Database on {NODE} is never reset: its service is ClusSvc."))
        assert "A restart takes the node out of the cluster." in told
        assert "proposed" not in [entry.kind for entry in ops.ledger()]

        await ops.says(f"/reset-writer {NODE} System Writer")
        plan = await ops.sees(f"Reset writer on {NODE}?", channel="hv-ops")
        assert "Pause" not in plain_text(plan)
        await ops.clicks(plan, "Approve", who="approver")
        await reaches(ops, f"Done: Reset writer on {NODE}")
        assert notes(ops) != []
        assert ops.estate.do(lambda: (node.writer("System Writer").state, node.service("CryptSvc").state)) == (
            1,
            "Running",
        )
        assert node.service("vmms").state == node.service("ClusSvc").state == "Running"


@pytest.mark.long
async def test_a_restart_while_a_service_stops_knows_its_node_again(play, soon):
    """The node is none of the entry hosts: only its cluster can tell that it is one of its own."""
    async with play("stuck-writer-job-dead") as ops:
        await ops.guest_admin("Let vmms of hv03 hang when it is stopped")
        await proposes_and_approves(ops)
        await ops.recorded("intent", 2)
        await ops.until("hv03 vmms", "stop pending")
        await ops.ends()
        await ops.starts()
        await ops.recorded("resumed", 1)
        await ops.guest_admin("End the process of vmms on hv03")
        await reaches(ops, "Done: Reset writer on hv03")
        assert turns(ops) == [*STARTED, *PAIR, "intent", "resumed", "outcome", *PAIR * 4, "done"]
