"""A guest is moved again and again: counted, watched, stopped by what happens to it, and by nothing else."""

import re

import pytest

from lab.slack.plain_text import plain_text

END = re.compile(r"^(Done|Failed at step [0-9]+|Stopped at step [0-9]+): Move crm-04 live")


def moves(ops):
    return [
        one for one in ops.estate.do(lambda: list(ops.estate.world.asked)) if one.endswith("ExecuteResourceControl")
    ]


def outcomes(ops, *steps):
    return [entry for entry in ops.ledger() if entry.kind == "outcome" and entry.data.step in steps]


def guest(ops):
    return ops.estate.world.guest("crm-04")


async def proved(ops):
    await ops.says("/prove-migration crm-04 --to hv02")
    plan = await ops.sees("Prove live migration on prod with crm-04?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    await ops.recorded("done", 1)
    ops.estate.do(ops.estate.world.asked.clear)


async def soaking(ops, count):
    await ops.says(f"/soak-migrations crm-04 {count} --between hv06 hv02")
    plan = await ops.sees(f"Move crm-04 live {count} times between hv06 and hv02?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def ended(ops):
    return await ops.slack.person("operator").sees(END, "hv-ops")


async def test_nothing_is_soaked_where_no_migration_was_proved(play):
    async with play("healthy") as ops:
        await ops.says("/soak-migrations crm-04 500")
        answer = await ops.sees("no live migration method has been proved on prod")
        await ops.clicks(answer, "Prove Migration…")
        await ops.sees("Prove live migration on prod with crm-04?", channel="hv-ops")


@pytest.mark.long
async def test_a_guest_goes_there_and_back_and_the_rate_is_shown(play, hurried):
    async with play("healthy") as ops:
        await proved(ops)
        plan = await soaking(ops, 7)
        told = plain_text(plan)
        for fact in (
            "3 rounds of:",
            "soak prod",
            "one move at a time",
            "ExecuteResourceControl, proved with crm-04 in T-1",
        ):
            assert fact in told
        assert len(told) < 12_000
        done = await ended(ops)
        said = plain_text(done)
        assert "7 of 7 live migrations done" in said
        assert "a minute" in said
        assert any(block["type"] == "data_visualization" for block in done.blocks)
        assert "it was started" in said
        assert "neither its own log nor those of the two nodes have a stop or restart" in said
        assert moves(ops) == [
            "hv06: MSCluster_Resource.ExecuteResourceControl",
            "hv02: MSCluster_Resource.ExecuteResourceControl",
        ] * 3 + ["hv06: MSCluster_Resource.ExecuteResourceControl"]
        assert ops.estate.do(lambda: guest(ops).node.name) == "hv02"
        assert [entry.data.basis for entry in outcomes(ops, "there", "back", "last")] == ["changed"] * 7
        thread = [one for one in ops.slack.person("operator").messages("hv-ops") if one.thread_ts == plan.ts]
        assert sum("Live-migrate crm-04" in one.text for one in thread) <= 4, "not a line for each of a thousand moves"


@pytest.mark.long
async def test_a_failure_of_last_month_is_noted_and_counts_for_no_move(play, hurried):
    """MigrationState keeps it until the next migration begins; the reason is that of a busy resource."""
    async with play("healthy") as ops:
        await proved(ops)
        ops.estate.do(lambda: setattr(guest(ops), "migration_memory", (5, 0x800700AA)))
        plan = await ops.whole_plan(await soaking(ops, 2))
        assert "an earlier one failed" in plan
        assert "0x800700AA" in plan
        said = plain_text(await ended(ops))
        assert said.startswith("Done: Move crm-04 live 2 times")
        assert "2 of 2 live migrations done" in said
        assert "failed" not in said.split("2 of 2 live migrations done")[1].splitlines()[0]


@pytest.mark.long
async def test_it_stops_at_the_first_move_that_fails_and_says_why(play, hurried):
    async with play("healthy") as ops:
        await proved(ops)
        ops.estate.do(lambda: guest(ops).migration_errors.extend([0, 0, 0, 0x800700AA]))
        await soaking(ops, 10)
        said = plain_text(await ended(ops))
        assert "crm-04 was not migrated: something that it needs was busy (0x800700AA)" in said
        assert "3 of 10 live migrations done, 1 failed" in said
        assert len(moves(ops)) == 4
        assert ops.estate.do(lambda: guest(ops).node.name) == "hv02"


@pytest.mark.long
async def test_it_stops_as_soon_as_the_guest_has_restarted(play, hurried):
    async with play("healthy") as ops:
        await proved(ops)
        ops.estate.do(lambda: guest(ops).stops_on_arrival.extend([0, 0xD1]))
        await soaking(ops, 10)
        said = plain_text(await ended(ops))
        assert "crm-04 has been restarted" in said
        assert "has a new stop or unexpected shutdown" in said
        assert "has logged a stop of crm-04 (event 18590 or 18560)" in said
        assert "2 of 10 live migrations done" in said
        assert len(moves(ops)) == 2


@pytest.mark.long
async def test_a_bot_that_was_restarted_goes_on_counting(play, hurried):
    async with play("healthy") as ops:
        await proved(ops)
        ops.estate.do(lambda: setattr(ops.estate.world, "when_asked", None))
        await soaking(ops, 12)
        await ops.recorded("outcome", 2 + 4 + 6)
        await ops.ends()
        before = len(moves(ops))
        assert 0 < before < 12
        await ops.starts()
        said = plain_text(await ended(ops))
        assert "12 of 12 live migrations done" in said
        assert len(moves(ops)) == 12, "none is done twice, none is left out"
        assert [entry for entry in ops.ledger() if entry.kind == "resumed"]


async def test_a_cancel_waits_until_the_move_has_ended(play):
    async with play("healthy") as ops:
        await proved(ops)
        plan = await soaking(ops, 100)
        await ops.recorded("outcome", 2 + 4 + 3)
        running = await ops.slack.person("operator").sees("T-2 crm-04: step", "hv-ops")
        assert running.ts == plan.ts
        await ops.clicks(running, "Stop After Step")
        said = plain_text(await ended(ops))
        assert "live migrations done" in said
        kinds = [entry.kind for entry in ops.ledger() if entry.ticket == "T-2"]
        assert "cancelled" in kinds
        results = [entry.data.result for entry in outcomes(ops, "there", "back")]
        assert set(results) <= {"done", "not sent"}
        assert 0 < len(moves(ops)) == results.count("done")
        assert ops.estate.do(lambda: guest(ops).move) is None


@pytest.mark.long
async def test_another_change_has_the_lock_between_two_moves_and_a_second_soak_waits(play, hurried):
    async with play("healthy") as ops:
        await proved(ops)
        await soaking(ops, 24)
        await ops.recorded("outcome", 9)
        await ops.says("/drain-node hv04")
        drain = await ops.sees("Drain node hv04?", channel="hv-ops")
        await ops.clicks(drain, "Approve", who="approver")
        await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv04"), "hv-ops")
        await ops.says("/soak-migrations crm-01 4 --on prod")
        second = await ops.sees("Move crm-01 live 4 times", channel="hv-ops")
        await ops.clicks(second, "Approve", who="approver")
        assert "24 of 24 live migrations done" in plain_text(await ended(ops))
        await ops.slack.person("operator").sees(re.compile("^Done: Move crm-01 live"), "hv-ops")
        order = [
            (entry.kind, entry.ticket)
            for entry in ops.ledger()
            if entry.kind in ("started", "done") or (entry.kind == "interrupted" and entry.data.yields_locks)
        ]
        assert order == [
            *(("started", "T-1"), ("done", "T-1"), ("started", "T-2"), ("interrupted", "T-2")),
            *(("started", "T-3"), ("done", "T-3"), ("done", "T-2"), ("started", "T-4"), ("done", "T-4")),
        ]
