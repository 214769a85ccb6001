"""What people see, word for word: hvops is driven from outside only, and each thing seen is a file that reads well.

    await scene.says("/check-writers prod")
    scene.keeps("check-writers", await scene.sees("STUCK"))      # check-writers.txt and check-writers.json

Nothing here names a module of the bot: it is started as `hvops` starts, spoken to through the practice Slack, and
read as people read it. The clock stands still, so that every time is a fact; it moves when a scene says so.
`make snapshots` writes the files afresh; the difference is then for a reviewer to read.
"""

import asyncio
import difflib
import itertools
import json
import os
import pwd
import re
import shlex
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import time_machine
from inline_snapshot import external_file

from bot.executor.context import RunContext
from bot.ledger import Ledger
from lab.app_manifest import bot_manifest
from lab.environment import PracticeEnvironment, SlackAccess
from lab.slack.model import Message, View
from lab.slack.plain_text import plain_text
from lab.slack.server import FakeSlack

HERE = Path(__file__).parent
SILENT = "sap-old-01"  # a guest that never answers
NOW = datetime(2026, 3, 2, 23, 5, tzinfo=UTC)
PATIENCE = 60.0
GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
# What differs from one run to the next, and what stands in its place.
VARIES = (
    (r"127\.\d+\.\d+\.\d+:\d+", "<address>"),
    (r"(?<=:)\d{4,5}(?=/(?:wsman|SearchSvc|webconsole))", "<port>"),
    (r"/tmp/[\w./-]*?(?=/(?:settings|estate|ledger|anchors|ca)\b|[\s\"'])", "<folder>"),
    (r"\b0\.1\.0\+[0-9a-f]{10}\b", "<version>"),
    (r"\b(plan|Plan) [0-9a-f]{8}\b", r"\1 <digest>"),
    (r"/p\d{16}\b", "/p<ts>"),
    (r"\b\d{10}\.\d{6}\b", "<ts>"),
    (r"\b(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16})\b", "<hash>"),
    (r"\b(\d+\.\d) s\b", "<seconds> s"),
    (r"(?i)\bentry \d[\d,]*\b(?: of \d[\d,]*)?", "entry <n>"),
    (r"\b\d[\d,]* (?:entries\b|entry about presses)", "<n> entries"),
    (r"\b\d+ about presses", "<n> about presses"),
    (r"\bledger \d+\b", "ledger <n>"),
    (r"(?m)(^|\\n|\")\*\d+\* · ", r"\1*<n>* · "),  # the story of a ticket
    (r"(?m)^\d+(?=,\d{4}-)", "<n>"),  # the CSV of a review
    (r"(?m)^ *\d+(?=  (?:\d\d:\d\d:\d\d|\d{4}-))", "<n>"),  # entries at a terminal
    (r"\b\d+ anchors match", "<n> anchors match"),
    (r"(?m)^\d+ <hash>", "<n> <hash>"),
    (r"\b(hv01|br01) in \d+\.\d ms", r"\1 in <n> ms"),  # how long hvops itself takes to connect
    (r'"seconds": \d+\.\d', '"seconds": "<seconds>"'),
    (r"(Audit channel:\*?) (?:posted up to|nothing to post)[^·\\\n\"]*[^·\\\n\" ]", r"\1 <told>"),
)


def steadied(text: str) -> str:
    """The text without what differs from one run to the next; GUIDs of the practice world are always the same."""
    kept = re.split(f"({GUID})", text)
    for at in range(0, len(kept), 2):
        for pattern, instead in VARIES:
            kept[at] = re.sub(pattern, instead, kept[at])
    return re.sub(r"(?m) +$", "", "".join(kept))


@dataclass
class Kept:
    """The files of one scene: each thing seen is compared with its file, and all differences are told at the end."""

    folder: Path

    def __post_init__(self):
        self.differences, self.names = [], set()

    def text(self, name: str, text: str):
        assert name not in self.names, f"{name} is kept twice"
        self.names.add(name)
        path, text = self.folder / name, steadied(text).rstrip("\n") + "\n"
        with suppress(FileNotFoundError):
            if text == external_file(path, format=".txt"):
                return
        was = path.read_text().splitlines() if path.exists() else []
        told = difflib.unified_diff(was, text.splitlines(), f"kept {path.name}", f"seen {path.name}", lineterm="")
        self.differences.append("\n".join(told))

    def ends(self):
        there = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        self.differences += [f"{name} is kept, and was not seen" for name in sorted(there - self.names)]
        if self.differences:
            told = "\n\n".join(self.differences)
            pytest.fail(f"Seen otherwise than kept in {self.folder.name}; `make snapshots`:\n\n{told}", pytrace=False)


class Scene:
    """A story, a bot, and the people between them."""

    def __init__(self, estate: PracticeEnvironment, slack: FakeSlack, kept: Kept, clock):
        self.estate, self.slack, self.kept, self.clock = estate, slack, kept, clock
        self.newest = ""

    # acting

    async def says(self, line: str, who: str = "operator", channel: str = "hv-ops"):
        """Type a line. What is seen afterwards is newer than this."""
        self.newest = self._newest()
        return await self.slack.person(who).types(line, channel)

    async def clicks(self, where, button: str, who: str = "operator"):
        self.newest = self._newest()
        done = await self.slack.person(who).clicks(where, button)
        assert done.ok, done
        return done

    async def act(self, label: str):
        """Do what a guest's administrator can do, by the label of the page's button."""
        keys = {shown: key for key, shown in self.estate.do(self.estate.world.actions)}
        await asyncio.to_thread(self.estate.do, lambda: self.estate.world.act(keys[label]))

    async def world(self, change):
        """Change the practice world behind everybody's back."""
        await asyncio.to_thread(self.estate.do, change)

    async def until_world(self, about: str, says: str):
        async with asyncio.timeout(PATIENCE):
            while says not in dict(self.estate.do(self.estate.world.facts))[about]:  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.02)

    def passes(self, seconds: float):
        """Let time pass, for everybody at once."""
        self.clock.shift(timedelta(seconds=seconds))

    @property
    def now(self) -> datetime:
        """What the clock says."""
        return datetime.now(UTC)

    # seeing

    async def sees(self, text, who: str = "operator", channel: str | None = None) -> Message:
        return await self.slack.person(who).sees(text, channel, after=self.newest)

    async def card(self, begins: str) -> Message:
        """The ticket's own message, which is edited in place, as soon as it begins so."""
        return await self.slack.person("operator").sees(re.compile(f"(?m)^{begins}"), "hv-ops")

    async def ended(self, ticket: str, says: str) -> Message:
        """The last reply of a ticket, which tells everybody how it ended."""
        return await self.slack.person("operator").sees(re.compile(rf"\*{ticket}\* {says}"), "hv-ops")

    async def home(self, who: str, text: str) -> View:
        await self.slack.person(who).opens_home()
        return await self.slack.person(who).sees_home(text)

    # keeping

    def keeps(self, name: str, thing: Message | View):
        """Keep a message or a view: its words, and its blocks."""
        told = self._message(thing) if isinstance(thing, Message) else self._view(thing)
        self.kept.text(f"{name}.txt", self._words(thing))
        self.kept.text(f"{name}.json", json.dumps(told, ensure_ascii=False, indent=2))

    def keeps_thread(self, name: str, card: Message):
        """Keep all replies to a message, in order."""
        replies = self.slack.person("approver").thread(card)
        self.kept.text(f"{name}.txt", "\n\n".join(f"--- {at}\n{self._words(one)}" for at, one in enumerate(replies, 1)))
        told = [self._message(one) for one in replies]
        self.kept.text(f"{name}.json", json.dumps(told, ensure_ascii=False, indent=2))

    async def asks(self, name: str, line: str, says, who: str = "operator") -> Message:
        """Type a line, and keep the answer."""
        await self.says(line, who)
        answer = await self.sees(says, who)
        self.keeps(name, answer)
        return answer

    async def opens_evidence(self, name: str, answer: Message, who: str = "operator"):
        """Keep the evidence of all pages, by question: in which order answers came in, differs."""
        person = self.slack.person(who)
        await self.clicks(answer, "Evidence", who)
        view, page, pieces = await person.sees_view("questions"), 1, []  # a piece is a question with its answer
        frame = [one for one in view.blocks if one["type"] in ("context", "actions")][:2]
        while True:
            body = [one for one in view.blocks if one not in frame and one["type"] != "actions"]
            for block in _unnumbered([one for one in body if " questions" not in plain_text([one])]):
                pieces += [[block]] if block["type"] == "section" else []
                pieces[-1] += [block] if block["type"] != "section" else []
            if "Next" not in plain_text(view):
                break
            page += 1
            await self.clicks(view, "Next", who)
            view = await person.sees_view(f"page {page} of")
        await person.closes(view, everything=True)
        pieces.sort(key=json.dumps)
        shown = View("", "", {**view.payload, "blocks": [*frame, *itertools.chain(*pieces)]}, "", "")
        self.kept.text(f"{name}-evidence.txt", re.sub("page 1 of [0-9]+", "page 1 of <n>", plain_text(shown)))

    async def has_sent(self, name: str, answer: Message, button: str, file: str, who: str = "operator"):
        """Keep a file that a button sends, and the sentence that says so."""
        await self.clicks(answer, button, who)
        self.keeps(f"{name}-sent", await self.sees("sent to you as a direct message", who))
        sent = [one for one in self.slack.person(who).messages("dm") if one.files]
        self.kept.text(f"{name}-{file}", self.slack.person(who).file(sent[-1], file).decode("utf-8-sig"))

    async def rejects(self, card: Message, button: str, why: str, name: str, who: str = "approver"):
        """Give a reason in the window that a button opens."""
        await self.clicks(card, button, who)
        person = self.slack.person(who)
        window = await person.sees_view("Why?")
        self.keeps(name, window)
        assert (await person.submits(window, {"Why?": why})).ok

    async def story(self, name: str, where: Message, button: str, who: str = "operator"):
        """Keep every page of the story of a ticket."""
        person = self.slack.person(who)
        await self.clicks(where, button, who)
        view, page = await person.sees_view("page 1 of"), 1
        while True:
            self.keeps(f"{name}-page-{page}", _without_shown(view))
            if "Next" not in plain_text(view):
                break
            page += 1
            await self.clicks(view, "Next", who)
            view = await person.sees_view(f"page {page} of")
        await person.closes(view, everything=True)

    def _words(self, thing) -> str:
        told = plain_text(thing)
        if not isinstance(thing, Message):
            return told
        files = [self.slack.workspace.files[one] for one in thing.files]
        return "\n".join([told, *(f"[file {one.name}]\n{one.data.decode('utf-8-sig')}" for one in files)])

    def _message(self, message: Message):
        where = self.slack.workspace.channels[message.channel]
        reader = self.slack.workspace.members.get(message.only_for or "")
        return {
            "in": f"#{where.name}" if where.kind == "channel" else "a direct message",
            "seen by": reader.name if reader else "everybody there",
            "thread": bool(message.thread_ts and message.thread_ts != message.ts),
            "text": message.text,
            "blocks": _unnumbered(message.blocks),
            "files": [self.slack.workspace.files[one].name for one in message.files],
        }

    def _view(self, view: View):
        names = ("type", "callback_id", "private_metadata", "title", "submit", "close")
        told = {name: view.payload[name] for name in names if name in view.payload}
        if found := _OF_A_TICKET.fullmatch(told.get("private_metadata", "")):
            told["private_metadata"] = found[1]
        elif _OF_A_COMMAND.fullmatch(told.get("private_metadata", "")):
            told["private_metadata"] = "<when it was opened>"
        return {**told, "blocks": _unnumbered(view.blocks)}

    def _newest(self) -> str:
        everything = [one for channel in self.slack.workspace.messages.values() for one in channel]
        return max((one.ts for one in everything), default="")


_OF_A_TICKET = re.compile(r"(T-\d+)(?: [\w-]{22}(?:\.\d+)?)?")
_OF_A_COMMAND = re.compile(r"[\w-]{22}\.\d+")  # its seal, and when it was opened


def _unnumbered(told):
    """Without the ids that the practice Slack itself filled in, and answers by a name instead of their token."""
    if isinstance(told, list):
        return [_unnumbered(one) for one in told]
    if not isinstance(told, dict):
        return told
    kept = {key: _unnumbered(value) for key, value in told.items() if not _filled_in(key, value)}
    ours = str(told.get("action_id", "")).startswith("hvops:") and isinstance(told.get("value"), str)
    if ours:  # a ticket without its seal, which is another one with each ledger's key
        kept["value"] = found[1] if (found := _OF_A_TICKET.fullmatch(told["value"])) else "<answer>"
    return kept


def _without_shown(view: View) -> View:
    """A story without what was shown where: that is written after it is seen, sooner or later."""
    blocks = [one for one in view.blocks if "· *shown* ·" not in plain_text([one])]
    return View(view.id, view.user, {**view.payload, "blocks": blocks}, view.hash, view.root)


def _filled_in(key: str, value) -> bool:
    told = str(value)
    is_mark = key == "block_id" and re.fullmatch(r"[\w-]{22}", told)  # by which hvops finds what it sent
    return bool(is_mark) or (key in ("block_id", "action_id") and told.startswith("filled-in-"))


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, and a practice world in which nothing takes time."""
    monkeypatch.setattr("lab.slack.simulated_user.PATIENCE", float(PATIENCE))
    # TLS goes by the machine's own clock, whatever year that is.
    monkeypatch.setattr("lab.windows.certificates._DAY", timedelta(days=30))
    numbers = itertools.count(1)
    filled = SimpleNamespace(token_urlsafe=lambda _: f"filled-in-{next(numbers)}")
    monkeypatch.setattr("lab.slack.blockkit_walk.secrets", filled)
    for name, seconds in {
        "migration.SECONDS": dict.fromkeys(("live", "quick", "offline"), 0),
        "drain.BETWEEN": 0,
        "services.STOPPING_SECONDS": 0,
        "services.STARTING_SECONDS": 0,
        "backup.SNAPSHOT_SECONDS": 0,
        "backup.RELEASE_SECONDS": 0,
    }.items():
        monkeypatch.setattr(f"lab.world.{name}", seconds)
    monkeypatch.setattr("lab.config_files.PATIENCE", 30)  # seconds: who is silent here refuses, so nobody is waited for
    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", sleeps_little(asyncio.BaseEventLoop.call_later))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="alex", pw_dir="/nowhere"))
    # The SDK tells by the time of day whether Slack still answers: it must not miss what a scene skips.
    monkeypatch.setattr("slack_sdk.socket_mode.aiohttp.time", SimpleNamespace(time=time.monotonic))
    for made in (RunContext, Ledger):
        follow_the_clock(monkeypatch, made.__init__)
    with time_machine.travel(NOW, tick=False) as standing:
        yield standing


def follow_the_clock(monkeypatch, init):
    """Let the clock that nobody sets move as well with the time that a scene lets pass: nobody has set the other one."""

    def monotonic():
        return (datetime.now(UTC) - NOW).total_seconds()

    def moved(default):
        return monotonic if default is time.monotonic else default

    monkeypatch.setattr(init, "__defaults__", tuple(map(moved, init.__defaults__ or ())))
    named = {name: moved(default) for name, default in (init.__kwdefaults__ or {}).items()}
    monkeypatch.setattr(init, "__kwdefaults__", named)


def sleeps_little(call_later):
    """A loop in which `asyncio.sleep` takes moments, so that a message a second takes no second.

    Whole seconds from three on are kept: those are how long somebody is waited for.
    """

    def soon(loop, delay, callback, *args, **more):
        is_sleep = callback is asyncio.futures._set_result_unless_cancelled
        is_patience = delay >= 3 and delay == int(delay)
        return call_later(loop, min(delay, 0.02) if is_sleep and not is_patience else delay, callback, *args, **more)

    return soon


@pytest.fixture
def kept():
    """Keep things under a name: `kept("healthy")`; what is different is told when the test ends."""
    made = []

    def keep(folder: str) -> Kept:
        made.append(Kept(HERE / folder))
        return made[-1]

    yield keep
    for one in made:
        one.ends()


@pytest.fixture
def terminal(tmp_path: Path):
    """Keep what command lines of `hvops` say: `await terminal(kept("helps"), {"hvops": ["--help"]})`."""

    async def types(files: Kept, lines: dict, *, now: datetime = NOW, tidied=lambda text: text, **environment: str):
        started = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "at_a_terminal.py"),
            str(int(now.timestamp())),
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "160", "TZ": "UTC", "NO_COLOR": "1", "TERM": "dumb", **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await started.communicate(json.dumps(list(lines.values())).encode())
        for (name, line), said in zip(lines.items(), json.loads(out), strict=True):
            files.text(
                f"{name}.txt", tidied("$ {}\n{out}{err}exit code {code}".format(shlex.join(["hvops", *line]), **said))
            )

    return types


@pytest.fixture
def play(tmp_path: Path, clock, kept):
    """Play a story: `async with play("stuck-writer") as scene`; `folder` is where it is kept."""

    @asynccontextmanager
    async def playing(story: str, folder: str = ""):
        files = kept(folder or story)
        async with AsyncExitStack() as ending:
            slack = await ending.enter_async_context(FakeSlack(manifest=await bot_manifest(), rates="off"))
            access = SlackAccess(slack.base_url, slack.bot_token, slack.app_token)
            estate = await asyncio.to_thread(PracticeEnvironment, story, tmp_path / story, access)
            await asyncio.to_thread(estate.__enter__)
            ending.push_async_callback(asyncio.to_thread, estate.__exit__, None, None, None)
            for trouble, on in (("hang", False), ("refuse", True)):
                estate.do(lambda trouble=trouble, on=on: estate.world.trouble(SILENT, trouble, on=on))
            stop, bot = start_bot(estate.settings_path)
            ending.push_async_callback(leave, stop, bot)
            async with asyncio.timeout(PATIENCE):
                connected = asyncio.create_task(slack.connected(2))
                await asyncio.wait({connected, bot}, return_when=asyncio.FIRST_COMPLETED)
            if bot.done():
                bot.result()
            yield Scene(estate, slack, files, clock)

    return playing


def start_bot(settings_path: Path):
    """The bot in this process, where the clock stands still: the one place here that names modules of the bot."""
    from bot import app  # noqa: PLC0415
    from bot.config import settings  # noqa: PLC0415

    stop = asyncio.Event()
    return stop, asyncio.create_task(app.serve(settings.load(settings_path), stop))


async def leave(stop: asyncio.Event, bot: asyncio.Task):
    stop.set()
    await bot
