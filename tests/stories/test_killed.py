"""The bot is killed at the worst moment: a host has been asked to change something, and nobody is there for its reply."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest

from bot.dispatch.registry import Registry
from bot.ledger import Ledger
from bot.slack.manifest import manifest
from lab import bot_process
from lab.demo import bot_command, verify_command
from lab.demo_session import DemoSession
from lab.slack.server import FakeSlack


async def until(condition):
    """Wait for something that another process brings about; it cannot tell."""
    async with asyncio.timeout(60):  # a bot that starts on a busy machine
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


@pytest.fixture
async def stage(tmp_path, monkeypatch):
    monkeypatch.setattr(bot_process, "AGAIN_AFTER", (0.05,) * 4)
    async with FakeSlack(manifest=manifest(Registry.load())) as slack:
        made = DemoSession(slack, tmp_path, bot_command, verify_command)
        await made.begin("healthy")
        await slack.connected(2)
        yield made
        await made.end()


@asynccontextmanager
async def killed_at_next_act(stage):
    """Arm the trouble; afterwards wait until the bot has died of it and a new one is connected."""
    first = stage.bot._process.pid
    await stage.trouble("kill-at-act")
    assert (await armed(stage)) is True
    yield
    await until(lambda: stage.bot._process.pid != first)
    assert stage.bot.ended == "was killed (SIGKILL)"
    assert (await armed(stage)) is False
    world = stage.estate.world
    await asyncio.to_thread(stage.estate.do, lambda: world.skip(120))  # the guests have moved meanwhile
    await until(lambda: stage.slack.workspace.connections >= 2)


async def armed(stage):
    troubles = (await stage.as_json())["troubles"]
    return next(one["active"] for one in troubles if one["key"] == "kill-at-act")


def ledger(stage):
    directory = stage.estate.directory
    with Ledger(directory / "ledger.db", directory / "ledger.key", directory / "anchors.txt") as opened:
        assert opened.verify().holds
        return list(opened.every())


def story(stage, ticket):
    return [one for one in ledger(stage) if one.ticket == ticket and one.kind not in ("shown", "clicked")]


async def test_killed_when_the_host_had_been_asked_nothing_is_asked_twice(stage):
    """Pause has reached hv03, and the drain goes on by itself; so does what is asked of it afterwards."""
    operator, approver = stage.slack.person("operator"), stage.slack.person("approver")
    await operator.types("/drain-node hv03")
    plan = await operator.sees("Drain node hv03?", "hv-ops")
    async with killed_at_next_act(stage):
        await approver.clicks(plan, "Approve")
    assert [one.kind for one in story(stage, "T-1")][:4] == ["proposed", "approved", "started", "intent"]
    done = await operator.sees(re.compile("^Done: Drain node hv03"), "hv-ops")
    assert done.ts == plan.ts
    assert stage.estate.world.asked == ["hv03: MSCluster_Node.Pause"]
    told = story(stage, "T-1")
    kinds = [one.kind for one in told]
    assert [kinds.count(one) for one in ("approved", "started", "intent", "resumed", "done")] == [1] * 5
    (outcome,) = [one for one in told if one.kind == "outcome"]
    assert outcome.data.result == "done"
    assert "hvops did not see how the action ended" in outcome.data.reply
    # Nobody knows whether that was ours; nothing is claimed in the host's own log.
    assert "event_log_note" not in outcome.fields

    await operator.types("/resume-node hv03")
    plan = await operator.sees("Resume node hv03?", "hv-ops")
    async with killed_at_next_act(stage):
        await operator.clicks(plan, "Confirm")
    await operator.sees(re.compile("^Done: Resume node hv03"), "hv-ops")
    assert stage.estate.world.asked == ["hv03: MSCluster_Node.Pause", "hv03: MSCluster_Node.Resume"]
    assert [one.kind for one in ledger(stage)].count("intent") == 3


async def test_the_trouble_can_be_taken_back(stage):
    for expected in (True, False, True):
        await stage.trouble("kill-at-act")
        assert (await armed(stage)) is expected
