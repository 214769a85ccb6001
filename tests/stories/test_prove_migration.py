"""Live migration is proved on a cluster before anything of hvops uses it there."""

import re

import pytest

from bot.api.queries import DoneChanges
from bot.transport.windows.faults import from_code
from lab.slack.plain_text import plain_text
from lab.world.migration import SECONDS
from tests.stories.conftest import taken_with_a_fault


async def proposed(ops, line, title):
    await ops.says(line)
    return await ops.sees(title, channel="hv-ops")


async def approved(ops, line, title, end):
    plan = await proposed(ops, line, title)
    await ops.clicks(plan, "Approve", who="approver")
    return plan, await ops.slack.person("operator").sees(re.compile(end), "hv-ops")


def asked(ops):
    return ops.estate.do(lambda: [one for one in ops.estate.world.asked if "eventcreate" not in one])


async def test_a_guest_moves_there_and_back_and_the_ticket_is_the_proof(play, hurried):
    async with play("healthy") as ops:
        plan, done = await approved(
            ops,
            "/prove-migration crm-04 --to hv02",
            "Prove live migration on prod with crm-04?",
            "^Done: Prove live migration on prod",
        )
        assert done.ts == plan.ts
        await ops.recorded("done", 1)
        guest = ops.estate.do(lambda: ops.estate.world.guest("crm-04"))
        assert (guest.node.name, guest.state) == ("hv06", "running")
        assert asked(ops) == [
            "hv06: MSCluster_Resource.ExecuteResourceControl",
            "hv02: MSCluster_Resource.ExecuteResourceControl",
        ]
        (row,) = ops.engine.ledger.done_changes(DoneChanges("prod", "prove-migration", among="places"))
        assert (row["ticket"], row["places"], row["changed"]) == ("T-1", ("prod",), ("control-there", "control-back"))
        assert ops.engine.ledger.done_changes(DoneChanges("branch", "prove-migration", among="places")) == []
        await ops.says("/prove-migration crm-04 --to hv02 --way parameters")
        again = await ops.sees("Prove live migration on prod with crm-04?", channel="hv-ops")
        assert "On prod: ExecuteResourceControl, proved with crm-04 in T-1" in plain_text(again)


@pytest.mark.long
async def test_the_second_way_is_judged_by_the_state_alone_where_windows_calls_it_a_failure(play, hurried):
    async with play("healthy") as ops:
        await approved(
            ops,
            "/prove-migration branch-sql-02 --way parameters",
            "Prove live migration on branch",
            "^Done: Prove live migration on branch",
        )
        await ops.recorded("done", 1)
        (row,) = ops.engine.ledger.done_changes(DoneChanges("branch", "prove-migration", among="places"))
        assert row["changed"] == ("parameters-there", "parameters-back")
        assert {one.rpartition(": ")[2] for one in asked(ops)} == {"MSCluster_ResourceGroup.MoveToNewNodeParams"}


@pytest.mark.long
async def test_a_start_that_is_answered_with_a_fault_and_goes_on_is_waited_for(play, hurried, monkeypatch):
    monkeypatch.setitem(SECONDS, "live", 3.0)
    async with play("healthy") as ops:
        taken_with_a_fault(ops, monkeypatch, "ExecuteResourceControl", lambda: from_code("hv06", 0x80041001))
        await approved(ops, "/prove-migration crm-04 --to hv02", "Prove live migration", "^Done: Prove live migration")
        outcomes = [entry.data for entry in ops.ledger() if entry.kind == "outcome"]
        assert [(one.step, one.result) for one in outcomes] == [("control-there", "done"), ("control-back", "done")]
        assert all("failed without saying why" in one.reply for one in outcomes)
        assert len(asked(ops)) == 2


@pytest.mark.long
async def test_a_migration_that_fails_says_why_and_proves_nothing(play, hurried):
    async with play("healthy") as ops:
        ops.estate.do(lambda: ops.estate.world.guest("crm-04").migration_errors.append(0x800700AA))
        await approved(
            ops, "/prove-migration crm-04", "Prove live migration", "^Failed at step 1.*Prove live migration on prod"
        )
        await ops.recorded("failed", 1)
        failed = next(entry for entry in ops.ledger() if entry.kind == "failed")
        assert "crm-04 was not migrated: something that it needs was busy (0x800700AA)" in failed.reason
        assert ops.engine.ledger.done_changes(DoneChanges("prod", "prove-migration", among="places")) == []


@pytest.mark.long
async def test_a_failure_of_last_month_is_no_failure_of_this_migration(play, hurried):
    async with play("healthy") as ops:
        ops.estate.do(lambda: setattr(ops.estate.world.guest("crm-04"), "migration_memory", (5, 0x800700AA)))
        await approved(ops, "/prove-migration crm-04", "Prove live migration", "^Done: Prove live migration on prod")


@pytest.mark.long
async def test_a_cluster_that_does_not_know_the_control_code_proves_nothing(play, hurried):
    async with play("healthy") as ops:
        ops.estate.do(lambda: setattr(ops.estate.world.clusters["prod"], "starts_migrations", False))
        await approved(
            ops, "/prove-migration crm-04", "Prove live migration", "^Failed at step 1.*Prove live migration on prod"
        )
        assert ops.estate.do(lambda: ops.estate.world.guest("crm-04").node.name) == "hv06"


async def test_what_could_be_quick_or_is_held_is_refused(play):
    async with play("healthy") as ops:

        def hold(**fields):
            guest = ops.estate.world.guest("crm-04")
            for name, value in fields.items():
                setattr(guest, name, value)

        ops.estate.do(lambda: hold(move_type=1))
        await ops.says("/prove-migration crm-04")
        await ops.sees("crm-04 is not set to live-migrate (DefaultMoveType is 1, not live (4))")
        ops.estate.do(lambda: hold(move_type=0xFFFFFFFF, priority=1000))
        await ops.says("/prove-migration crm-04")
        await ops.sees("priority 1000, MoveTypeThreshold 2000: it would be saved and moved")
        ops.estate.do(lambda: hold(priority=2000, locked=True))
        await ops.says("/prove-migration crm-04")
        await ops.sees("crm-04 is locked")
        ops.estate.do(lambda: hold(locked=False, backing_up=True))
        await ops.says("/prove-migration crm-04")
        await ops.sees("A backup of crm-04 or of a shared volume is running; let it finish first")
        ops.estate.do(lambda: hold(backing_up=False, state="saved"))
        await ops.says("/prove-migration crm-04")
        await ops.sees("it is saved")
        ops.estate.do(lambda: hold(state="running", possible_owners=frozenset({"hv06"})))
        await ops.says("/prove-migration crm-04 --to hv02")
        await ops.sees("hv02 is not up, or is not a possible owner of crm-04")
        assert "proposed" not in [entry.kind for entry in ops.ledger()]
