"""Two bots by mistake, or for safety: two processes, one ledger, one Slack. One runs what is decided, the other stands by."""

import asyncio
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from bot.dispatch.registry import Registry
from bot.ledger import Ledger
from bot.slack.manifest import manifest
from lab.bot_process import environment
from lab.config_files import SlackAccess
from lab.demo import bot_command
from lab.environment import PracticeEnvironment
from lab.slack.model import Member
from lab.slack.server import FakeSlack


class Pair:
    """Two bots on one store."""

    def __init__(self, slack, estate):
        self.slack, self.estate = slack, estate
        self.log = (estate.directory / "bots.log").open("wb")
        command = bot_command(estate.settings_path)
        self.bots = [
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment())
            for _ in range(2)
        ]

    def holder(self):
        """The process that has the lock of the runs, as the kernel tells."""
        inode = (self.estate.directory / "ledger.db.runner").stat().st_ino
        told = [line.split() for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line]
        holders = {int(words[4]) for words in told if words[1] == "FLOCK"}
        found = [bot for bot in self.bots if bot.pid in holders]
        assert len(found) <= 1
        return found[0] if found else None

    def kill_holder_at_next_act(self):
        """From outside: when a machine has been asked for a change, before it answers."""
        holder = self.holder()
        self.estate.do(lambda: setattr(self.estate.world, "when_asked", lambda: holder.send_signal(signal.SIGKILL)))
        return holder

    def ledger(self):
        directory = self.estate.directory
        with Ledger(directory / "ledger.db", directory / "ledger.key", directory / "anchors.txt") as ledger:
            verdict = ledger.verify()
            assert verdict.holds, verdict.says
            return list(ledger.every())

    def story(self, ticket="T-1"):
        return [one for one in self.ledger() if one.ticket == ticket]

    def close(self):
        for bot in self.bots:
            if bot.poll() is None:
                bot.terminate()
        for bot in self.bots:
            bot.wait(30)
        self.log.close()


async def until(condition):
    """Wait for something that other processes bring about; they cannot tell."""
    async with asyncio.timeout(45):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


@pytest.fixture
async def pair(tmp_path):
    async with FakeSlack(manifest=manifest(Registry.load()), rates="off") as slack:
        member = Member("U0SECOND", "second", "Second approver")
        slack.workspace.members[member.id] = member
        slack.workspace.groups["S0APPROVERS"].users.append(member.id)
        slack.workspace.channels["C0OPS"].members.append(member.id)
        estate = PracticeEnvironment(
            "healthy", tmp_path / "healthy", SlackAccess(slack.base_url, slack.bot_token, slack.app_token)
        )
        await asyncio.to_thread(estate.__enter__)
        made = Pair(slack, estate)
        try:
            async with asyncio.timeout(45):
                await slack.connected(4)
            await until(made.holder)
            yield made
        finally:
            await asyncio.to_thread(made.close)
            await asyncio.to_thread(estate.__exit__, None, None, None)


def bot_messages(pair):
    return [one for one in pair.slack.workspace.messages["C0OPS"] if one.user == "U0BOT"]


async def test_one_decision_one_start_one_holder_and_the_other_takes_over(pair):
    operator, first, second = (pair.slack.person(one) for one in ("operator", "approver", "second"))
    await operator.types("/drain-node hv03")
    plan = await operator.sees("Drain node hv03?", "hv-ops")
    killed = pair.kill_holder_at_next_act()
    await asyncio.gather(*(one.clicks(plan, "Approve") for one in (first, second, first, second)))
    await until(lambda: killed.poll() is not None)
    assert killed.returncode == -signal.SIGKILL
    world = pair.estate.world
    await asyncio.to_thread(pair.estate.do, lambda: world.skip(120))  # the guests have moved meanwhile
    await until(lambda: pair.holder() not in (killed, None))

    done = await operator.sees(re.compile("^Done: Drain node hv03"), "hv-ops")
    assert done.ts == plan.ts
    await until(lambda: any(one.kind == "shown" and one.fields.get("entry") for one in pair.story()[-1:]))
    story = pair.story()
    kinds = Counter(one.kind for one in story)
    assert [kinds[one] for one in ("approved", "started", "intent", "outcome", "done")] == [1] * 5
    assert world.asked == ["hv03: MSCluster_Node.Pause"]
    clicks = [one for one in story if one.kind == "clicked"]
    answers = {one.click: one.kind for one in story if one.click}
    assert sorted(answers) == [one.seq for one in clicks]
    assert Counter(answers.values()) == {"approved": 1, "refused": len(clicks) - 1}

    shown = [one for one in bot_messages(pair) if one.only_for is None]
    assert [one.ts for one in shown if not one.thread_ts] == [plan.ts]
    assert [text for text, times in Counter(one.text for one in shown).items() if times > 1] == []
    told = [one for one in bot_messages(pair) if one.only_for in ("U0APPROVER", "U0SECOND")]
    assert len(told) == len(clicks)
    # Which is said depends on whether the run had begun, and whether the same bot still answered that person's first press.
    refused = re.compile(r"Too late: T-1 (was approved by|runs since)|This button is already being answered\.")
    assert len([one for one in told if refused.match(one.text)]) == len(clicks) - 1, [one.text for one in told]
