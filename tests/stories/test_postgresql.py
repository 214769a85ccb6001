"""Whole incidents with the ledger in a database: what they look like to people is what it is on SQLite."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bot import app
from bot.cli import break_glass
from bot.config import settings
from bot.errors import LedgerError
from bot.services import open_ledger
from tests.support.postgresql import cluster

DONE = re.compile("^Done: Drain node hv03")


@pytest.fixture
def played(play, postgresql_cluster, monkeypatch):
    """Play a story whose settings name a new database, through the environment."""

    @asynccontextmanager
    async def playing(story):
        monkeypatch.setenv("HVOPS_LEDGER__DATABASE", postgresql_cluster.database().url)
        async with play(story) as ops:
            ops.ledger = lambda: entries(ops)
            yield ops

    return playing


def entries(ops):
    with open_ledger(settings.load(ops.estate.settings_path)) as ledger:
        proof = ledger.verify()
        assert proof.holds, proof.says
        assert not (ops.estate.directory / "ledger.db").exists()
        return list(ledger.every())


async def test_a_question_is_answered_and_found_again(played):
    async with played("healthy") as ops:
        await ops.says("/check-writers hv01")
        await ops.sees("hv01: VSS writers healthy")
        await ops.recorded("answered", 1)
        await ops.says("/audit")
        await ops.sees("hv01")
        assert "answered" in [entry.kind for entry in ops.ledger()]


async def test_a_drain_is_proposed_approved_and_done(played, hurried):
    async with played("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("T-1: approved", who="approver")
        await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.recorded("done", 1)
        kinds = [entry.kind for entry in ops.ledger() if entry.ticket == "T-1"]
        assert [kinds.count(kind) for kind in ("proposed", "approved", "started", "done")] == [1, 1, 1, 1]


async def test_a_bot_that_was_restarted_still_knows_its_proposal(played, hurried):
    async with played("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.sees("The full plan of T-1", channel="hv-ops")
        await ops.ends()
        await ops.starts()
        await ops.clicks(plan, "Approve", who="approver")
        await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.recorded("done", 1)


async def test_stopped_in_slack_nothing_starts_and_the_terminal_knows(played, hurried, capsys):
    async with played("healthy") as ops:
        await ops.says("/hvops stop the vendor is on the phone")
        await ops.sees("stopped all changes", channel="hv-ops")
        assert break_glass.runs(settings.load(ops.estate.settings_path)) == 0
        assert "vendor is on the phone" in " ".join(capsys.readouterr().out.split())
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.sees("T-1: approved", who="approver")
        assert "started" not in [entry.kind for entry in ops.ledger()]
        await ops.says("/hvops go", who="approver")
        await ops.slack.person("operator").sees(DONE, "hv-ops")


@pytest.fixture
async def proposed(play, hurried, monkeypatch):
    """Have a drain proposed on a database of its own, which then stands still for as long as the test says."""

    @asynccontextmanager
    async def playing(answers_within):
        monkeypatch.setattr("bot.ledger.ledger.ANSWER_SECONDS", answers_within)
        with cluster() as own:
            monkeypatch.setenv("HVOPS_LEDGER__DATABASE", own.database().url)
            async with play("healthy") as ops:
                ops.ledger = lambda: entries(ops)
                await ops.says("/drain-node hv03")
                plan = await ops.sees("Drain node hv03?", channel="hv-ops")
                await ops.sees("The full plan of T-1", channel="hv-ops")
                own.hang()
                try:
                    yield ops, plan, own
                finally:
                    own.hang(still=False)

    return playing


async def test_a_press_is_acknowledged_while_the_database_is_silent_and_counts_once_it_answers(proposed):
    async with proposed(answers_within=120.0) as (ops, plan, own):
        pressed = await ops.clicks(plan, "Approve", who="approver")
        assert pressed.ok, pressed
        await ops.sees("The ledger does not answer", who="approver")
        own.hang(still=False)
        await ops.slack.person("operator").sees(DONE, "hv-ops")
        assert [entry.kind for entry in ops.ledger() if entry.ticket == "T-1"].count("approved") == 1


async def test_who_asks_while_the_database_is_silent_is_told_so_and_nothing_is_done(proposed):
    async with proposed(answers_within=2.0) as (ops, plan, own):
        asked = await ops.slack.person("operator").types("/check-writers hv01")
        assert asked.ok, asked
        await ops.sees("the ledger does not answer")
        pressed = await ops.clicks(plan, "Approve", who="approver")
        assert pressed.ok, pressed
        await ops.sees("Nothing was done", who="approver")
        own.hang(still=False)
        assert {"approved", "clicked"}.isdisjoint(entry.kind for entry in ops.ledger())


WAITED_FOR = "the database of the ledger is waited for"


@pytest.fixture
async def absent(play, monkeypatch):
    """A bot that ran on a database of its own and was stopped, and then the database; the log of what comes after that."""
    monkeypatch.setattr(app, "_PAUSES", (0.01,))
    with cluster() as own:
        monkeypatch.setenv("HVOPS_LEDGER__DATABASE", own.database().url)
        async with play("healthy") as ops:
            ops.ledger = lambda: entries(ops)
            await ops.ends()
            await asyncio.to_thread(own.stop)
            with capture_logs() as logged:
                yield ops, own, logged


async def attempts(logged, bots, times):
    """Wait until the bot has said so often that it waits."""
    async with asyncio.timeout(60):
        while [one["event"] for one in logged].count(WAITED_FOR) < times:
            for bot in bots:
                assert not bot.done(), bot.result()
            await asyncio.sleep(0.01)


async def test_a_bot_that_starts_while_its_database_is_away_waits_for_it_and_then_answers(absent):
    ops, own, logged = absent
    starting = asyncio.create_task(ops.starts())
    await attempts(logged, (starting,), 3)
    said = next(one for one in logged if one["event"] == WAITED_FOR)
    assert said["log_level"] == "warning"
    assert "Connection refused" in said["why"]
    assert own.password not in str(logged)
    await asyncio.to_thread(own.start)
    await starting
    await ops.says("/check-writers hv01")
    await ops.sees("hv01: VSS writers healthy")
    await ops.recorded("answered", 1)


async def test_a_bot_that_waits_for_its_database_can_be_stopped(absent, monkeypatch):
    ops, _, logged = absent
    monkeypatch.setattr(app, "_PAUSES", (600.0,))
    stop = asyncio.Event()
    serving = asyncio.create_task(app.serve(settings.load(ops.estate.settings_path), stop))
    await attempts(logged, (serving,), 1)
    stop.set()
    async with asyncio.timeout(60):
        await serving


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(("hvops:", "hvops:not"), "password authentication failed"), (("/ledger", "/no_ledger"), "does not exist")],
)
async def test_a_bot_waits_for_no_database_that_refuses_it(absent, monkeypatch, wrong, says):
    ops, own, logged = absent
    await asyncio.to_thread(own.start)
    told = settings.load(ops.estate.settings_path)
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", told.ledger.database.get_secret_value().replace(*wrong))
    with pytest.raises(LedgerError, match=says):
        await app.serve(settings.load(ops.estate.settings_path), asyncio.Event())
    assert WAITED_FOR not in [one["event"] for one in logged]
