"""The bot is killed while a node restarts: the start of Windows tells the next life what became of it."""

import asyncio

import pytest

from lab import bot_process
from lab.demo import bot_command, verify_command
from lab.demo_session import DemoSession
from lab.scenarios.kb_drift_fix import BLOCKED, RULE
from lab.slack.server import FakeSlack
from lab.world.model import Update
from tests.stories.conftest import app_manifest, until
from tests.stories.test_killed import story

REBOOT = "hv02: Win32_OperatingSystem.Reboot"


@pytest.fixture
async def stage(tmp_path, monkeypatch, hurried):
    monkeypatch.setattr(bot_process, "AGAIN_AFTER", (0.05,) * 4)
    monkeypatch.setattr("lab.world.servicing.SHUTDOWN_SECONDS", 0.1)
    monkeypatch.setattr("lab.world.servicing.START_SECONDS", 3.0)
    async with FakeSlack(manifest=app_manifest()) as slack:
        made = DemoSession(slack, tmp_path, bot_command, verify_command)
        await made.begin("kb-drift-fix")
        await slack.connected(2)
        yield made
        await made.end()


def kill_at_reboot(stage):
    """Kill the bot once the node has been asked to restart."""
    world = stage.estate.world

    def asked():
        if world.asked[-1] == REBOOT:
            stage.bot.kill()
        else:
            world.when_asked = asked

    world.when_asked = asked


async def test_killed_in_a_restart_it_is_asked_for_once_and_judged_by_the_start(stage):
    world = stage.estate.world
    hv05 = world.node("hv05")
    await asyncio.to_thread(stage.estate.do, lambda: hv05.updates.append(Update(BLOCKED, hv05.booted)))
    operator, approver = stage.slack.person("operator"), stage.slack.person("approver")
    await operator.types(f"/fix-kb-drift prod {RULE}")
    plan = await operator.sees("on hv02?", "hv-ops")
    first = stage.bot._process.pid
    await asyncio.to_thread(stage.estate.do, lambda: kill_at_reboot(stage))
    await approver.clicks(plan, "Approve")
    await until(lambda: stage.bot._process.pid != first)
    await until(lambda: any(one.kind == "outcome" and one.data.step == "settled-1-hv02" for one in story(stage, "T-1")))
    assert world.asked.count(REBOOT) == 1
    (outcome,) = [one for one in story(stage, "T-1") if one.kind == "outcome" and one.data.step == "restart-1-hv02"]
    assert outcome.data.result == "done"
    assert "hvops did not see how the action ended" in outcome.data.reply
    assert [one.kind for one in story(stage, "T-1")].count("resumed") == 1
