"""The demo: one story at a time, played by the practice estate, the practice Slack and the real bot."""

from __future__ import annotations

import asyncio
import html
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.bot_process import BotProcess, ProcessState
from lab.config_files import SlackAccess
from lab.environment import PracticeEnvironment
from lab.scenarios import stories, tour
from lab.slack.model import BOT_USER, Message
from lab.slack.server import FakeSlack
from lab.tour import Observation, Tour

JSON = dict[str, Any]
BotCommand = Callable[[Path], Sequence[str]]
DEFAULT_STORY = "stuck-writer"
HANGING = "hv05"
SLACK_AWAY = 10.0  # seconds for which "Drop Slack" refuses new connections: long enough to be seen
_WRITTEN = {"vm": "VM", "kb": "KB", "uefi": "UEFI", "r2": "R2"}
ALERTED_BY = "monitoring"
_UTC = re.compile(r"\b([01][0-9]|2[0-3]):([0-5][0-9]) UTC\b")


def in_mrkdwn(alert: str, now: datetime) -> str:
    """An alert as monitoring posts it: its times, of the last 24 hours and in UTC, are each reader's own."""

    def token(found: re.Match[str]) -> str:
        at = now.astimezone(UTC).replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        at -= timedelta(days=1) if at > now else timedelta()
        return f"<!date^{int(at.timestamp())}^{{time}}|{found[0]}>"

    return _UTC.sub(token, html.escape(alert, quote=False))


class DemoSession:
    """What the page's World, Story, Trouble and Tour are about.

    Args:
        slack: the practice Slack, listening.
        root: each story gets a directory of its own in here, with a ledger of its own.
        bot: the command line that runs the bot, given its settings; None: no bot is started, people start their own.
        verify: the command line that checks the ledger, given the settings.
    """

    def __init__(self, slack: FakeSlack, root: Path, bot: BotCommand | None, verify: Callable[[Path], str]) -> None:
        self.slack = slack
        self.bot = BotProcess(self._bot_changed)
        self.estate: PracticeEnvironment | None = None
        self.tour = Tour((), "")
        self._root = root
        self._command = bot
        self._verify = verify
        self._met = False  # whether this run of the bot has been connected
        self._changing = asyncio.Lock()
        # Held while something is done in the environment, which cannot be closed meanwhile.
        self._using = asyncio.Lock()

    async def begin(self, story: str) -> None:
        """Play a story from its start: another world, an empty Slack, a fresh ledger, the bot started anew.

        Raises:
            KeyError: there is no such story.
        """
        if story not in stories():
            raise KeyError(story)
        async with self._changing:
            await self._end()
            access = SlackAccess(self.slack.base_url, self.slack.bot_token, self.slack.app_token)
            estate = await asyncio.to_thread(PracticeEnvironment, story, self._directory(story), access)
            await asyncio.to_thread(estate.__enter__)
            self.estate = estate
            self.tour = Tour(tour(story), self._verify(estate.settings_path))
            self._clear()
            alert = estate.do(estate.world.alert)
            if alert:
                self.slack.alert(in_mrkdwn(alert, estate.do(lambda: estate.world.now)), name=ALERTED_BY)
            self._met = False
            if self._command:
                self.bot.start(self._command(estate.settings_path), estate.directory / "bot.log")

    async def end(self) -> None:
        """Stop everything but Slack."""
        async with self._changing:
            await self._end()

    async def as_json(self) -> JSON:
        """What the page shows beside Slack."""
        shown: JSON = {"stories": _menu(), "bot": self.bot_says(), "facts": [], "actions": [], "troubles": []}
        async with self._using:
            estate = self.estate
            if estate is None:
                return {**shown, "story": {}, "estate": "", "tour": self.tour.as_json()}
            world = estate.world
            facts, actions = await asyncio.to_thread(estate.do, lambda: (world.facts(), world.actions()))
        self.tour.look(self._seen(facts, actions))
        return {
            **shown,
            "story": {
                "name": estate.story,
                "title": _title(estate.story),
                "says": world.sentence,
                "prefilled": world.prefilled,
            },
            "estate": " · ".join(
                f"{name}: {len(each.nodes)} nodes, {len(each.guests)} guests" for name, each in world.clusters.items()
            ),
            "facts": [{"about": about, "says": says} for about, says in facts],
            "actions": [{"key": key, "label": label} for key, label in actions],
            "troubles": self._troubles(estate),
            "tour": self.tour.as_json(),
        }

    @property
    def starts_bot(self) -> bool:
        """Whether a bot is started here, and not by people."""
        return self._command is not None

    def how_to_start(self) -> str:
        """What to type to start a bot of one's own; a sentence."""
        settings = self.estate.settings_path if self.estate else Path("settings.toml")
        return f"Run: hvops run --settings {shlex.quote(str(settings))}"

    def bot_says(self) -> JSON:
        """How the bot is: {"state": "running" or else, "says": a sentence}."""
        if self._changing.locked():  # one that is connected is of the story before
            return {"state": "starting", "says": "The scenario is being set up."}
        return self._own_bot_says() if self.starts_bot else self._their_bots_say()

    def _their_bots_say(self) -> JSON:
        if self.slack.workspace.connections:
            return {"state": "running", "says": ""}
        return {"state": "absent", "says": f"No bot is connected. {self.how_to_start()}"}

    def _own_bot_says(self) -> JSON:
        if self.bot.state is ProcessState.STOPPED:
            return {"state": "starting", "says": "The scenario is being set up."}
        if self.slack.workspace.connections:
            self._met = True
            return {"state": "running", "says": ""}
        state, ended = self.bot.state, self.bot.ended
        if state is ProcessState.FAILED:
            said = self.bot.log_tail().rpartition("\n")[2]
            return {"state": "failed", "says": f"The bot {ended}, again and again. Its last words: {said or 'none'}"}
        if self._met:
            return {"state": "lost", "says": "The bot lost its connection to Slack. It connects again by itself."}
        if ended:
            return {"state": "restarting", "says": f"The bot {ended}. It starts again by itself."}
        return {"state": "starting", "says": "The bot is starting."}

    async def act(self, action: str) -> None:
        """Do something as a guest's administrator.

        Raises:
            KeyError: it cannot be done now.
        """
        await self._do(lambda estate: estate.world.act(action))

    async def trouble(self, key: str) -> None:
        """Make a trouble, or end one that is in force.

        Raises:
            KeyError: there is no such trouble, or nothing to be troubled.
        """
        self._playing()
        self.slack.core.rates.forget()  # somebody at play makes in minutes the troubles of months
        if key == "hang":
            await self._do(_hang_or_free)
        elif key == "drop":
            self.slack.socket.refuse(SLACK_AWAY)
            self.slack.socket.drop()
        elif key == "kill-at-act":
            await self._do(self._arm)
        elif key != "kill":
            raise KeyError(key)
        elif not self.bot.kill():
            raise KeyError("The bot does not run at the moment.")

    def _arm(self, estate: PracticeEnvironment) -> None:
        """Kill the bot when the next change has reached a machine, or do not. The bot cannot know: nobody asks it."""
        estate.world.when_asked = None if estate.world.when_asked else self._kill_there

    def _kill_there(self) -> None:
        """In the machines' thread: the change is done, and whoever asked for it never hears of it."""
        self.bot.kill()

    async def _do(self, work: Callable[[PracticeEnvironment], None]) -> None:
        """Do something in the environment, which stays until it is done."""
        async with self._using:
            estate = self._playing()
            await asyncio.to_thread(estate.do, lambda: work(estate))

    def _playing(self) -> PracticeEnvironment:
        if self.estate is None:
            raise KeyError("The scenario is just being changed.")
        return self.estate

    def _bot_changed(self) -> None:
        if self.bot.state is ProcessState.RESTARTING:
            self._met = False

    async def _end(self) -> None:
        await self.bot.stop()
        async with self._using:
            estate, self.estate = self.estate, None
            if estate is not None:
                await asyncio.to_thread(estate.__exit__, None, None, None)

    def _directory(self, story: str) -> Path:
        """A directory that is not there yet: a ledger is never written on by a second world."""
        names = (story, *(f"{story}-{number}" for number in range(2, 10_000)))
        return next(self._root / name for name in names if not (self._root / name).exists())

    def _clear(self) -> None:
        """Empty Slack of what belongs to the story before, and tell every page to load anew."""
        workspace = self.slack.workspace
        for channel in [channel.id for channel in workspace.channels.values() if channel.kind == "dm"]:
            del workspace.channels[channel]
        for messages in workspace.messages.values():
            messages.clear()
        for store in (workspace.files, workspace.modals, workspace.homes, workspace.marks):
            store.clear()
        self.slack.core.rates.forget()
        workspace.stream.emit("reset")

    def _troubles(self, estate: PracticeEnvironment) -> list[JSON]:
        hangs = estate.world.machine(HANGING).trouble.hang
        away = f"Every connection is cut; for {SLACK_AWAY:.0f} seconds none is let in."
        troubles: list[JSON] = [
            {
                "key": "hang",
                "label": f"Hang {HANGING}",
                "says": "It takes questions and never answers.",
                "active": hangs,
            },
            {"key": "drop", "label": "Drop Slack", "says": away, "active": None},
        ]
        if not self.starts_bot:  # whoever started it kills it
            return troubles
        return [
            *troubles,
            {
                "key": "kill",
                "label": "Kill the bot",
                "says": "As a crash would. It starts again by itself.",
                "active": None,
            },
            {
                "key": "kill-at-act",
                "label": "Kill the bot at its next act",
                "says": "When a machine is next asked to change something: it is done, and the bot never hears of it.",
                "active": estate.world.when_asked is not None,
            },
        ]

    def _seen(self, facts: list[tuple[str, str]], actions: list[tuple[str, str]]) -> Observation:
        posted = [message for each in self.slack.workspace.messages.values() for message in each]
        said = [message for message in posted if message.user == BOT_USER]
        headers = tuple(header for message in said for header in _headers(message))
        unknown = any("UNKNOWN" in f"{message.text} {message.blocks}" for message in said)
        return Observation(headers, dict(facts), frozenset(key for key, _ in actions), unknown=unknown)


def _hang_or_free(estate: PracticeEnvironment) -> None:
    hangs = estate.world.machine(HANGING).trouble.hang
    estate.world.trouble(HANGING, "hang", on=not hangs)


def _headers(message: Message) -> list[str]:
    return [str(block["text"]["text"]) for block in message.blocks if block.get("type") == "header"]


def _title(story: str) -> str:
    first, *others = [_WRITTEN.get(word, word) for word in story.split("-")]
    return " ".join([first[:1].upper() + first[1:], *others])


def in_order() -> dict[str, str]:
    """The stories, name -> one sentence; the usual one first."""
    every = stories()
    return {DEFAULT_STORY: every[DEFAULT_STORY], **every}


def _menu() -> list[JSON]:
    return [{"name": name, "title": _title(name), "says": says} for name, says in in_order().items()]
