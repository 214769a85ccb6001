"""A snapshot of the bot's machine comes back: what it knows fits together, and is not what has happened since."""

import re
import shutil

import pytest

from bot.config import settings as settings_file
from bot.doctor.audit_channel import audit_channel
from bot.doctor.check import Status
from bot.doctor.event_logs import event_logs
from bot.services import open_connections
from lab.slack.plain_text import plain_text

pytestmark = pytest.mark.sqlite  # a snapshot of the machine has no database
FILES = ("ledger.db", "ledger.key", "anchors.txt")


def notes(ops):
    """What hvops wrote into the event log of hv03."""
    return [event for event in ops.estate.do(lambda: list(ops.estate.world.node("hv03").events)) if event.custom]


@pytest.mark.parametrize(
    "channel", [True, False], ids=["the audit channel knows", "only the event log of the host knows"]
)
async def test_a_restored_snapshot_runs_nothing_a_second_time_and_shows_both_heads(play, tmp_path, hurried, channel):
    async with play("healthy") as ops:
        folder = ops.estate.directory
        if not channel:
            await ops.ends()
            told = ops.estate.settings_path.read_text()
            ops.estate.settings_path.write_text(re.sub('audit_channel = "[^"]*"', 'audit_channel = ""', told))
            await ops.starts()
        await ops.says("/hvops stop snapshot")
        await ops.recorded("stop", 1)
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("approved", 1)
        await ops.ends()
        kept = tmp_path / "snapshot"
        kept.mkdir()
        for name in FILES:
            shutil.copy(folder / name, kept / name)

        await ops.starts()
        await ops.says("/hvops go", who="approver")
        await ops.recorded("done", 1)
        if channel:
            await ops.until_anchored()
        done = notes(ops)
        await ops.ends()
        knows = ops.ledger()[-1].seq

        for left in folder.glob("ledger.db*"):
            left.unlink()
        for name in FILES:
            shutil.copy(kept / name, folder / name)
        await ops.starts()
        begun = ops.ledger()[-1].seq
        await ops.says("/hvops go", who="approver")
        where = "the audit channel records entry" if channel else "the event log of hv03 records entry"
        shown = await ops.slack.person("operator").sees(where, "hv-ops")
        assert "it looks like a restored copy" in plain_text(shown)
        await ops.says("/hvops status")
        status = await ops.sees("External records:")
        assert where in plain_text(status)
        assert notes(ops) == done
        assert [entry.kind for entry in ops.ledger()].count("started") == 0
        assert begun < knows
        with open_connections(settings_file.load(ops.estate.settings_path)) as out:
            logs = {check.on: check for check in await event_logs(out)}
        assert {on for on, check in logs.items() if check.status is Status.FAIL} == {"hv03"}
        assert "it looks like a restored copy" in logs["hv03"].says
        assert {check.status for on, check in logs.items() if on != "hv03"} == {Status.OK}
        if channel:
            told = settings_file.load(ops.estate.settings_path)
            found = {check.what: check for check in await audit_channel(told, told.slack)}
            assert found["audit heads"].status is Status.FAIL
            assert "Was it restored from a copy?" in found["audit heads"].says
