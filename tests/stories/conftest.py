"""Whole incidents in chat language: the practice estate, the practice Slack, and the real bot between them.

    await ops.says("/check-writers prod")
    answer = await ops.sees("LOOKS STUCK on hv03")
    await ops.clicks(answer, "Find Full Guests")

Every part speaks its real protocol over loopback; the bot is the one that `hvops run` starts.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

import loop_guard
import pytest
import site_queue
import site_story

from bot import app
from bot.config import settings
from bot.dispatch.registry import Registry
from bot.errors import TargetError
from bot.ledger.shared_locks import Duty
from bot.ledger.ticket_state import ENDS
from bot.services import open_ledger
from bot.slack.manifest import manifest
from lab.environment import PracticeEnvironment, SlackAccess
from lab.slack.plain_text import plain_text
from lab.slack.server import FakeSlack

BOTS = int(os.environ.get("BOTS", "1"))


class Incident:
    """One story, played, by one bot, or with BOTS=2 in the environment by two that Slack gives each event in turn.

    Attributes:
        engines: of each bot; `engine` is that of the one that was there first, which starts what is approved.
    """

    def __init__(self, estate: PracticeEnvironment, slack: FakeSlack, guard: loop_guard.LoopGuard):
        self.estate = estate
        self.guard = guard
        self.slack = slack
        self.stop = asyncio.Event()
        self.bots: list[asyncio.Task] = []
        self.engines = []
        self.newest = ""

    @property
    def bot(self):
        return self.bots[0]

    @property
    def engine(self):
        return self.engines[0]

    async def starts(self):
        """Start the bots, one after the other, and wait until Slack hears them."""
        self.stop, self.bots, self.engines = asyncio.Event(), [], []
        told = settings.load(self.estate.settings_path)
        for _ in range(BOTS):
            self.bots.append(asyncio.create_task(app.serve(told, self.stop, ready=self.engines.append)))
            await self.until_connected()
            await until(lambda: self.engines[0].ledger.shared is None or self.engines[0].ledger.shared.owns(Duty.RUNS))
        self.guard.is_on = True

    async def until_connected(self):
        """Wait until Slack hears each bot on both connections, or a bot's own failure."""

        def is_connected() -> bool:
            for bot in self.bots:
                if bot.done():
                    bot.result()
            return self.slack.workspace.connections >= 2 * len(self.bots)

        await until(is_connected)

    async def ends(self):
        """Stop the bots."""
        self.guard.is_on = False
        self.stop.set()
        await asyncio.gather(*self.bots)

    async def says(self, line: str, who: str = "operator", channel: str = "hv-ops"):
        """Type a line. What is seen afterwards is newer than this."""
        person = self.slack.person(who)
        self.newest = max((message.ts for message in self.everything(who)), default="")
        await person.types(line, channel)

    async def clicks(self, message, button: str, who: str = "operator"):
        self.newest = max((message.ts for message in self.everything(who)), default="")
        return await self.slack.person(who).clicks(message, button)

    async def sees(self, text: str, who: str = "operator", channel: str | None = None):
        """Wait for a message that is newer than the last thing this test did."""
        return await self.slack.person(who).sees(text, channel, after=self.newest)

    def everything(self, who: str):
        person = self.slack.person(who)
        return [*person.ephemerals(), *person.messages("hv-ops"), *person.messages("dm")]

    async def guest_admin(self, label: str):
        """Do what a guest's administrator can do, by the label of the page's button."""
        keys = {shown: key for key, shown in self.estate.do(self.estate.world.actions)}
        await asyncio.to_thread(self.estate.do, lambda: self.estate.world.act(keys[label]))

    async def until(self, about: str, says: str):
        """Wait until the world's panel says so."""
        await until(lambda: says in dict(self.estate.do(self.estate.world.facts))[about])

    async def recorded(self, kind: str, times: int):
        """Wait until the ledger has that many entries of a kind: what was shown is written after it is seen.

        All of it is proved once they are there, and not at each look: that keeps a processor busy for as long as a host
        takes.
        """

        def is_recorded() -> bool:
            with open_ledger(settings.load(self.estate.settings_path)) as ledger:
                return len(ledger.entries(kind=kind, limit=times)) >= times

        await until(is_recorded)
        self.ledger()

    async def whole_plan(self, plan, who: str = "operator") -> str:
        """What stands in the thread of a proposal: commands, checks and evidence, as text or as a file."""
        person = self.slack.person(who)
        await until(lambda: bool(person.thread(plan)))
        return "".join(
            plain_text(one) + "".join(person.file(one).decode() for _ in one.files) for one in person.thread(plan)
        )

    async def until_anchored(self):
        """Wait until the audit channel knows the newest end of a ticket."""

        def is_anchored() -> bool:
            entries = self.ledger()
            ends = [entry.seq for entry in entries if entry.kind in ENDS]
            return any(entry.kind == "anchor" and entry.data.head >= ends[-1] for entry in entries)

        await until(is_anchored)

    def ledger(self) -> list:
        """The kinds of the ledger, in order, and the proof that it holds."""
        with open_ledger(settings.load(self.estate.settings_path)) as ledger:
            assert ledger.verify().holds
            return list(ledger.every())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other processes and threads bring about; they cannot tell."""
    async with asyncio.timeout(180):  # two bots that start again are told by Slack to wait a minute, and once more
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)


def taken_with_a_fault(ops, monkeypatch, method: str, fault: Callable[[], TargetError]) -> None:
    """A host takes each call of that method, does what it asks, and answers it with a fault."""
    client = ops.engine.target_client
    act = client.invoke

    async def invoke(action, seconds):
        answer = await act(action, seconds)
        if action.method == method:
            raise fault()
        return answer

    monkeypatch.setattr(client, "invoke", invoke)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """How long `sees` waits on a machine that is busy with other tests; nothing is asserted by the clock."""
    monkeypatch.setattr("lab.slack.simulated_user.PATIENCE", 60.0)


@pytest.fixture
def hurried(monkeypatch):
    """What takes the practice world seconds takes it moments."""
    for name, seconds in {
        "migration.SECONDS": dict.fromkeys(("live", "quick", "offline"), 0.02),
        "drain.BETWEEN": 0.01,
        "services.STOPPING_SECONDS": 0.1,
        "services.STARTING_SECONDS": 0.1,
        "backup.SNAPSHOT_SECONDS": 0.5,
    }.items():
        monkeypatch.setattr(f"lab.world.{name}", seconds)


@pytest.fixture
def stored(request, monkeypatch):
    """With STORE=postgresql in the environment the ledger is in a database: of this test alone, but for its later bots."""
    if os.environ.get("STORE") != "postgresql":
        yield
        return
    cluster = request.getfixturevalue("postgresql_cluster")
    database = cluster.database()
    monkeypatch.setenv("HVOPS_LEDGER__DATABASE", database.url)
    yield
    cluster.drop(database)


@pytest.fixture
def play(tmp_path: Path, request, stored):
    """Play a story: `async with play("stuck-writer") as ops`. With SITE=worker in the environment, behind a site's worker."""
    if os.environ.get("SITE") == "worker":
        return request.getfixturevalue("play_at_site")
    return lambda story, inventory=None, **more: playing(tmp_path, story, inventory, **more)


@pytest.fixture
def play_at_site(tmp_path: Path, postgresql_cluster):
    """Play a story whose machines the bot has no way to, and no login for: the workers of their sites ask them."""

    def behind_workers(estate):
        place = site_queue.make_place(postgresql_cluster, *site_story.sites(estate))
        return site_story.behind_worker(estate, place)

    return lambda story, inventory=None, **more: playing(tmp_path, story, inventory, behind_workers, **more)


@asynccontextmanager
async def playing(
    folder: Path, story: str, inventory=None, around=lambda _estate: nullcontext(), written=lambda _estate: None
):
    """`inventory`: tables of inventory.toml beside those of the story, as a scenario has them. `written` changes its files."""

    def prepare(world) -> None:
        world.inventory = {**world.inventory, **(inventory or {})}

    async with AsyncExitStack() as ending:
        guard = ending.enter_context(loop_guard.guarding())
        slack = await ending.enter_async_context(FakeSlack(manifest=app_manifest()))
        access = SlackAccess(slack.base_url, slack.bot_token, slack.app_token)
        estate = PracticeEnvironment(story, folder / story, access, prepare=prepare)
        await asyncio.to_thread(estate.__enter__)
        ending.push_async_callback(asyncio.to_thread, estate.__exit__, None, None, None)
        written(estate)
        await ending.enter_async_context(around(estate))
        ops = Incident(estate, slack, guard)
        await ops.starts()
        ending.push_async_callback(ops.ends)
        yield ops
    assert not guard.noted, "on the loop, which a silent database would hold:\n" + "\n".join(guard.noted)


def app_manifest():
    """The manifest that deploy/slack.yaml is made from: what an administrator would install."""
    return manifest(Registry.load())
