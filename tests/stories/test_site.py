"""A site behind a worker, in chat language: the bot has no route there and no login, and people see no difference."""

import asyncio
import re
import sys
from datetime import timedelta

import pytest

from bot.transport.sites import client as sited
from commands.vss import writer_verdict
from commands.writer_reset import gates
from lab.slack.plain_text import plain_text

DONE = re.compile("^Done: Reset writer on hv03")


@pytest.fixture
def soon(monkeypatch, hurried):
    for module in (writer_verdict, gates):
        monkeypatch.setattr(module, "APART", timedelta(seconds=1))


async def test_its_writers_are_asked_and_a_node_is_drained_once_somebody_else_approved(play_at_site, hurried):
    async with play_at_site("healthy") as ops:
        await ops.says("/check-writers hv01")
        await ops.sees("hv01: VSS writers healthy")
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.slack.person("operator").sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        await ops.recorded("done", 1)
        assert not (ops.estate.directory / "site" / "ledger.key").exists()


@pytest.mark.postgresql
async def test_its_writers_are_asked_and_one_is_reset_once_somebody_else_approved(play_at_site, soon):
    async with play_at_site("stuck-writer-job-dead") as ops:
        await ops.says("/check-writers prod")
        await ops.sees("hv03")
        await ops.says("/reset-writer hv03")
        plan = await ops.sees("Reset writer on hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.recorded("done", 1)
        kinds = [entry.kind for entry in ops.ledger() if entry.ticket == "T-1"]
        assert kinds.count("intent") == kinds.count("outcome") > 0


@pytest.mark.postgresql
async def test_while_its_worker_is_away_people_are_told_and_the_next_one_goes_on(play_at_site, hurried, monkeypatch):
    monkeypatch.setattr(sited, "_NOBODY_SECONDS", 0.5)
    monkeypatch.setattr(sited, "_NOT_HEARD", 1.0)
    async with play_at_site("healthy") as ops:
        ops.estate.site.stop.set()
        await ops.estate.site.working
        await ops.says("/check-writers hv01")
        answer = await ops.sees("no worker of campus")
        assert "VSS writers healthy" not in plain_text(answer)
        queue, site = ops.engine.target_client.queue, ops.engine.target_client.site_of("hv01")
        file = ops.estate.directory / "site" / "settings.toml"
        command = (sys.executable, "-m", "bot", "worker", "--site", "campus", "--settings", str(file))
        worker = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(60):
                while (await queue.last_heard(site) or 9) > 1:  # noqa: ASYNC110 - another process brings it about
                    await asyncio.sleep(0.05)
            await ops.says("/check-writers hv01")
            await ops.sees("hv01: VSS writers healthy")
        finally:
            worker.terminate()
            assert await worker.wait() == 0
