"""How soon a slash command is acknowledged: hvops beside a Bolt app that does nothing else, in one run.

    python -m tests.bench.ack [--commands 200] [--asks 40] [--rounds 5]

Both bots are real processes on Socket Mode (aiohttp), each with a practice Slack of its own in this process, without
rate limits; the practice estate that hvops asks is a third process. The clock is the practice Slack's: from the
envelope to its acknowledgement. The bots take turns, round by round, so that what else the machine does hits both.

`/hvops help` is answered at once. `/check-writers hv01` is real work over WinRM that begins at the acknowledgement: each
further command is acknowledged by a bot that is busy with all those before. Every round ends when all is answered.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.dispatch.registry import Registry
from bot.slack.manifest import manifest
from lab.slack.server import FakeSlack
from lab.slack.socket import Acknowledged, SocketMode
from tests.bench.process import ROOT
from tests.bench.table import Aim, Table, show, times

HVOPS, BARE = "hvops", "bare Bolt"
HELP, ASK = "/hvops help", "/check-writers hv01"
WIDTHS = (1, 16)
STARTED_WITHIN, ANSWERED_WITHIN = 240.0, 300.0  # seconds after which something is wrong
LIMIT = 3.0  # seconds
STORY = "stuck-writer"


@dataclass
class Stopwatch:
    """Stands before the practice Slack's Socket Mode and times every delivery, in seconds."""

    socket: SocketMode
    took: list[float] = field(default_factory=list)

    async def deliver(self, kind: str, payload: dict[str, Any], *, accepts_response: bool) -> Acknowledged:
        began = time.perf_counter()
        acknowledged = await self.socket.deliver(kind, payload, accepts_response=accepts_response)
        self.took.append(time.perf_counter() - began)
        return acknowledged


class Bot:
    """One bot and its practice Slack."""

    def __init__(self, name: str, slack: FakeSlack, pid: int, *, answers: bool) -> None:
        self.name, self.pid = name, pid
        self._slack = slack
        self._answers = answers
        self._watch = slack.acts.socket = Stopwatch(slack.socket)

    async def round(self, line: str, commands: int, width: int) -> list[float]:
        """Type a line that often, `width` at a time, and wait until all of it is answered; seconds of each."""
        self._watch.took = []
        self._slack.core.calls = deque()
        waiting = iter(range(commands))
        await asyncio.gather(*(self._type(line, waiting) for _ in range(width)))
        if self._answers:
            await self._answered(commands)
        return self._watch.took

    async def _type(self, line: str, waiting: Iterator[int]) -> None:
        operator = self._slack.person("operator")
        for _ in waiting:
            done = await operator.types(line)
            if not done.ok:
                raise SystemExit(f"{self.name} did not acknowledge {line}: {done.error}")

    async def _answered(self, commands: int) -> None:
        """An answer has blocks; "Asking …" and progress are plain text."""
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                with self._slack.workspace.stream.follow() as events:
                    while sum("blocks" in call.arguments for call in self._slack.calls("response_url")) < commands:
                        await events.get()
        except TimeoutError:
            raise SystemExit(f"{self.name} left a command without an answer for {ANSWERED_WITHIN:.0f} s") from None


# --- the processes -----------------------------------------------------------------------------------------------


@contextmanager
def estate(directory: Path, slack: FakeSlack, story: str = STORY) -> Iterator[Path]:
    """The practice estate in its own process; gives the settings file of a bot that asks it."""
    command = _module("practice_estate", story, str(directory), *access(slack))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        if not process.stdout.readline():
            raise SystemExit("the practice estate did not start")
        yield directory / "settings.toml"
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


@asynccontextmanager
async def running(name: str, command: Sequence[str], slack: FakeSlack, connections: int) -> AsyncIterator[Bot]:
    """A bot in its own process, from its connection to the end of the block."""
    with tempfile.TemporaryFile("w+") as log:
        nothing = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=log, stderr=log, cwd=ROOT)
        try:
            try:
                await asyncio.wait_for(slack.connected(connections), STARTED_WITHIN)
            except TimeoutError:
                log.seek(0)
                raise SystemExit(f"{name} did not connect:\n{log.read()[-2000:]}") from None
            yield Bot(name, slack, process.pid, answers=name == HVOPS)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def access(slack: FakeSlack) -> tuple[str, str, str]:
    """What a bot needs to reach a practice Slack."""
    return slack.base_url, slack.bot_token, slack.app_token


def hvops(settings: Path) -> list[str]:
    """What starts the bot."""
    return [sys.executable, "-m", "bot", "run", "--settings", str(settings)]


def bare(slack: FakeSlack) -> list[str]:
    """What starts the app that only acknowledges."""
    return _module("bare_bolt", *access(slack))


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.{name}", *arguments]


# --- the measure -------------------------------------------------------------------------------------------------

Took = dict[tuple[str, int, str], list[float]]


async def measure(commands: int, asks: int, rounds: int) -> Took:
    """Seconds to each acknowledgement, by line, commands in flight, and bot."""
    app = manifest(Registry.load())
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        async with FakeSlack(manifest=app, rates="off") as ours, FakeSlack(manifest=app, rates="off") as theirs:
            with estate(Path(directory), ours) as settings:
                async with (
                    running(HVOPS, hvops(settings), ours, 2) as ours_running,
                    running(BARE, bare(theirs), theirs, 1) as bolt,
                ):
                    return await turns((bolt, ours_running), {HELP: commands, ASK: asks}, rounds)


async def turns(bots: Sequence[Bot], counts: Mapping[str, int], rounds: int) -> Took:
    """Rounds of every line and width, turn by turn; a first short round of each is not counted."""
    took: Took = {}
    for line in counts:
        for width in WIDTHS:
            took |= {(line, width, bot.name): [] for bot in bots}
    for number in range(rounds + 1):
        order = bots if number % 2 else bots[::-1]
        for line, count in counts.items():
            for width in WIDTHS:
                for bot in order:
                    seconds = await bot.round(line, count if number else min(count, width), width)
                    if number:
                        took[line, width, bot.name] += seconds
    return took


def table(took: Took, title: str = "Slash commands: from the envelope to its acknowledgement") -> Table:
    """The percentiles of both bots, and how many times the bare one's ours are."""
    rows = []
    for line, width, name in took:
        seconds, beside = took[line, width, name], took[line, width, BARE]
        figures = (middle(seconds), slow(seconds), max(seconds))
        ratios = (times(middle(seconds) / middle(beside)), times(slow(seconds) / slow(beside)))
        told = ratios if name == HVOPS else ("", "")
        rows.append(
            (f"{line}, {name}", str(width), str(len(seconds)), *(f"{1000 * each:.1f}" for each in figures), *told)
        )
    columns = ("command, bot", "in flight", "count", "p50 ms", "p99 ms", "worst ms", "p50 ratio", "p99 ratio")
    note = (
        "The ratios are hvops to the bare Bolt app. Bolt looks every 10 ms whether its listener has acknowledged: the "
        "floor of both. The bare app does no work for any line."
    )
    worst = max(max(seconds) for (_, _, name), seconds in took.items() if name == HVOPS)
    aim = Aim("hvops is within the 3 s after which Slack gives up, every time", f"worst {worst:.3f} s", worst < LIMIT)
    return Table(title, columns, rows, [note], [aim])


def middle(seconds: Sequence[float]) -> float:
    """The median."""
    return statistics.median(seconds)


def slow(seconds: Sequence[float]) -> float:
    """The 99th percentile, within what was seen."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=200, help=f"{HELP} of one round")
    parser.add_argument("--asks", type=int, default=40, help=f"{ASK} of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    show([table(asyncio.run(measure(told.commands, told.asks, told.rounds)))], as_json=told.json)


if __name__ == "__main__":
    main()
