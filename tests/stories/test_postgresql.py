"""Whole incidents with the ledger in a database: what they look like to people is what it is on SQLite."""

import re
from contextlib import asynccontextmanager

import pytest

from bot.cli import break_glass
from bot.config import settings
from bot.services import open_ledger

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
        await ops.sees("hv01: writers well")
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
        await ops.sees("The whole plan of T-1", channel="hv-ops")
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
