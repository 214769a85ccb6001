"""A backup job waits for one full guest: no reset; the guest is freed, the job resumed, and the writer recovers."""

import asyncio
import re

import pytest

from bot.transport.http import client as http
from lab.slack.blockkit_walk import placed
from lab.slack.plain_text import plain_text

JOB = "48211"
OPERATOR = "T0PRACTICE/U0OPERATOR"
HELD = "No plan yet for hv03: 9 of 11 guests are locked, a drain would fail (5960); backup job 48211 has been Pending since"


def labels(message) -> list[str]:
    return [one.element["text"]["text"] for one in placed(message.blocks) if one.element.get("type") == "button"]


def turns(ops, ticket="T-1") -> list[str]:
    told = [entry.kind for entry in ops.ledger() if entry.ticket == ticket]
    return [kind for kind in told if kind not in ("clicked", "shown", "refused")]


async def proposed(ops):
    """The plan to resume the job, with room in the guest again."""
    await ops.guest_admin("Free 2 GB on test-tfs-01 C:")
    await ops.says(f"/resume-backup {JOB}")
    return await ops.sees(f"Resume backup {JOB}?", channel="hv-ops")


async def test_no_reset_but_room_then_the_job_and_the_writer_recovers(play, hurried):
    async with play("stuck-writer") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("sap-old-01", "hang", on=False))  # silence is another test's
        await ops.says("/reset-writer hv03")
        held = await ops.sees(HELD)
        assert "Free 1 GB or more on test-tfs-01 C:, then resume job 48211" in plain_text(held)
        assert "Resume Backup…" not in labels(held), "with the guest still full the job would only wait again"
        await ops.says(f"/resume-backup {JOB}")
        early = await ops.sees(
            "No plan yet for job 48211: test-tfs-01 C: is full or nearly full, so the job would only go pending again"
        )
        assert "Free 1 GB or more on test-tfs-01 C:, then check again." in plain_text(early)
        assert labels(early)[0] == "Find Full Guests"

        await ops.guest_admin("Free 2 GB on test-tfs-01 C:")
        await ops.clicks(held, "Check Again")
        freed = await ops.sees(HELD)
        assert "Every guest that answered has room: resume job 48211" in plain_text(freed)
        assert labels(freed)[0] == "Resume Backup…"
        await ops.clicks(freed, "Resume Backup…")
        plan = await ops.sees(f"Resume backup {JOB}?", channel="hv-ops")
        told = plain_text(plan)
        for fact in (
            "who must confirm",
            "Risk:* low",
            "Job 48211 has been Pending",
            "[91:9], of hv03",
            "Resume backup job 48211",
            "job 48211; no other change can run there",
        ):
            assert fact in told, fact
        await ops.clicks(plan, "Confirm", who="approver")
        await ops.sees("operator, who requested it, can confirm it", who="approver")
        await ops.clicks(plan, "Confirm")
        done = await ops.slack.person("viewer").sees(re.compile(f"^Done: Resume backup {JOB}"), "hv-ops")
        assert done.ts == plan.ts
        await ops.until("hv03 writer", "[1] no error")
        await ops.until(f"Backup job {JOB}", "completed")
        await ops.clicks(done, "Check Writers")
        well = plain_text(await ops.sees("hv03: Hyper-V writer RECOVERED"))
        assert "it was [5]" in well
        await ops.says("/check-writers prod")
        told = plain_text(await ops.sees(re.compile("^prod: (?!.*STUCK)")))
        assert "No guest" in told or "STABLE" in told

        assert turns(ops) == ["proposed", "approved", "started", "intent", "outcome", "done"]
        entries = {entry.kind: entry for entry in ops.ledger() if entry.ticket == "T-1"}
        assert entries["proposed"].actor == entries["approved"].actor == OPERATOR
        assert entries["proposed"].data.places == ("commvault", "prod")
        assert entries["refused"].actor == "T0PRACTICE/U0APPROVER"
        assert [row["status"] for row in entries["intent"].data.before] == ["Pending"]
        assert entries["outcome"].data.after[0]["status"] in ("Running", "Completed")
        assert not entries["outcome"].data.event_log_note, "a web service has no event log"
        secret = ops.estate.backup_account.password
        assert not any(secret in str(entry.fields) or "QSDK" in str(entry.fields) for entry in ops.ledger())


async def test_a_job_that_somebody_ended_meanwhile_is_not_resumed(play):
    async with play("stuck-writer") as ops:
        plan = await proposed(ops)
        await ops.guest_admin("End Job 48211")
        await ops.clicks(plan, "Confirm")
        void = await ops.slack.person("operator").sees(re.compile("^Void, the plan changed: Resume backup"), "hv-ops")
        told = plain_text(void)
        assert "Nothing to resume: job 48211 is Killed" in told
        assert "Nothing was done." in told
        assert turns(ops) == ["proposed", "approved", "voided"]
        assert dict(ops.estate.do(ops.estate.world.facts))[f"Backup job {JOB}"] == "killed"


@pytest.mark.long
async def test_a_job_that_only_suspends_is_resumed_too_and_a_number_that_is_none_is_refused(play, hurried):
    async with play("stuck-writer") as ops:
        await ops.guest_admin("Suspend Job 48211")
        # So that the bot knows hv03: else which guests are unknown changes on the way.
        await ops.says("/check-writers hv03")
        await ops.sees("LOOKS STUCK on hv03")
        plan = await proposed(ops)
        await ops.clicks(plan, "Confirm")
        await ops.until("hv03 writer", "[1] no error")
        await ops.recorded("done", 1)
        await ops.says("/resume-backup 99")
        await ops.sees("No plan for job 99: the backup software reported nothing about it")
        await ops.says("/resume-backup tonight")
        await ops.sees("a backup job number such as 48211")


async def test_a_job_that_was_suspended_since_it_was_shown_is_not_resumed(play, hurried):
    """The administrator of the backups has a reason of their own, and nobody who confirmed knew of it."""
    async with play("stuck-writer") as ops:
        plan = await proposed(ops)
        await ops.says("/hvops stop maintenance of the backup server")
        await ops.clicks(plan, "Confirm")
        await ops.recorded("approved", 1)
        await ops.guest_admin(f"Suspend Job {JOB}")
        await ops.until(f"Backup job {JOB}", "suspended")
        await ops.says("/hvops go", who="approver")
        await ops.recorded("voided", 1)
        (voided,) = [entry.data for entry in ops.ledger() if entry.kind == "voided"]
        assert f"- Check passed: Job {JOB} is pending" in voided.difference
        assert f"+ Check passed: Job {JOB} is suspended" in voided.difference
        assert "started" not in turns(ops)
        assert "suspended" in dict(ops.estate.do(ops.estate.world.facts))[f"Backup job {JOB}"]


@pytest.mark.long
async def test_a_time_out_of_the_service_itself_is_waited_out(play, hurried, monkeypatch):
    """It comes as an error of the service in a reply of a gateway, and the job goes on behind it."""
    real, asked = http.send, 0

    async def send(client, verb, address, *args, **more):
        nonlocal asked
        if address == f"Job/{JOB}/action/resume":
            asked = 1
            await asyncio.to_thread(more["look"])  # it goes out
            return http.Reply(504, '{"errorCode": 2, "errorMessage": "Timed out while waiting for the job manager"}')
        if asked and address == f"Job/{JOB}":
            asked += 1
            if asked == 5:  # it has been seen as it was before, more than once
                ops.estate.do(lambda: setattr(ops.estate.world.jobs[int(JOB)], "state", "running"))
        return await real(client, verb, address, *args, **more)

    async with play("stuck-writer") as ops:
        plan = await proposed(ops)
        monkeypatch.setattr(http, "send", send)
        await ops.clicks(plan, "Confirm")
        await ops.recorded("outcome", 1)
        assert turns(ops)[-2:] != ["outcome", "failed"]
        (outcome,) = [entry.data for entry in ops.ledger() if entry.kind == "outcome"]
        assert (outcome.result, "Timed out" in outcome.message) == ("done", True)
