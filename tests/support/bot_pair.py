"""Two bots, each a process of its own, on one ledger and in one practice Slack; killed from outside."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bot.config import settings
from bot.dispatch.registry import Registry
from bot.ledger.places import open_locks
from bot.ledger.shared_locks import Duty
from bot.ledger_place import Database
from bot.services import open_ledger
from bot.slack.manifest import manifest
from lab.bot_process import environment
from lab.config_files import SlackAccess
from lab.demo import bot_command
from lab.environment import PracticeEnvironment
from lab.slack.model import Member
from lab.slack.server import FakeSlack


class Pair:
    """Two bots on one store: a file, or a database."""

    def __init__(self, slack: FakeSlack, estate: PracticeEnvironment, database: Database | None = None):
        self.slack, self.estate, self.database = slack, estate, database
        told = settings.load(estate.settings_path)
        if database is not None:
            told = told.model_copy(
                update={"ledger": told.ledger.model_copy(update={"database": SecretStr(database.url)})}
            )
        self.settings = told
        self.locks = open_locks(told.ledger.place)
        self.log = (estate.directory / "bots.log").open("wb")
        self.bots = [self._started() for _ in range(2)]

    def _started(self) -> subprocess.Popen:
        command = bot_command(self.estate.settings_path)
        more = {"HVOPS_LEDGER__DATABASE": self.database.url} if self.database is not None else {}
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**environment(), **more}
        )

    def holder(self):
        """The process that starts what is approved: as the kernel tells, or the server of the database."""
        if self.locks is not None:
            holders = {int(one.process) for one in self.locks.present() if Duty.RUNS in one.duties}
        else:
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

    async def start_the_dead(self):
        """Start each bot anew that is gone, and wait until Slack hears all of them."""
        for at, bot in enumerate(self.bots):
            if bot.poll() is not None:
                self.bots[at] = self._started()
        async with asyncio.timeout(120):
            await self.slack.connected(2 * len(self.bots))
        await until(self.holder)

    def ledger(self):
        with open_ledger(self.settings) as ledger:
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
            bot.wait(60)
        self.log.close()
        if self.locks is not None:
            self.locks.close()


async def until(condition):
    """Wait for something that other processes bring about; they cannot tell."""
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)


@asynccontextmanager
async def pair_on(folder: Path, database: Database | None = None) -> AsyncIterator[Pair]:
    """Both bots, once Slack hears them; the practice estate "healthy", and a second approver."""
    async with FakeSlack(manifest=manifest(Registry.load()), rates="off") as slack:
        member = Member("U0SECOND", "second", "Second approver")
        slack.workspace.members[member.id] = member
        slack.workspace.groups["S0APPROVERS"].users.append(member.id)
        slack.workspace.channels["C0OPS"].members.append(member.id)
        estate = PracticeEnvironment(
            "healthy", folder / "healthy", SlackAccess(slack.base_url, slack.bot_token, slack.app_token)
        )
        await asyncio.to_thread(estate.__enter__)
        made = Pair(slack, estate, database)
        try:
            async with asyncio.timeout(120):
                await slack.connected(4)
            await until(made.holder)
            yield made
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(made.close)
            await asyncio.to_thread(estate.__exit__, None, None, None)


def bot_messages(pair: Pair):
    """What the bots said in the ops channel, to all and to one."""
    return [one for one in pair.slack.workspace.messages["C0OPS"] if one.user == "U0BOT"]
