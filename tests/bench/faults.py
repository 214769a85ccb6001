"""How soon Slack hears an acknowledgement while it fails: hvops beside a Bolt app that does nothing else, in one run.

    python -m tests.bench.faults [--commands 240] [--rounds 3] [--seed 1]

Both bots are processes of their own, each with a practice Slack in this process, behind a proxy that fails by a seed
(`tests/support/faulty_slack.py`): three of ten calls are refused, answered with an HTTP 5xx, broken off, slow or limited,
and sockets are cut. Four people type the same lines at both, each a line a second: help, a question over WinRM, the open
tickets, and plans. What hvops proposes is withdrawn as soon as its message is seen, so that tickets, threads and their messages
go on all the while. The clock is the practice Slack's: from the envelope to its acknowledgement, a second delivery after a
cut socket included. The bots take turns, round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bot.dispatch.registry import Registry
from bot.slack.manifest import manifest
from lab.slack.blockkit_walk import placed
from lab.slack.model import BOT_USER, Message
from lab.slack.server import FakeSlack
from lab.slack.socket import Acknowledged, SocketMode
from tests.bench.ack import ASK, BARE, HELP, HVOPS, _module, access, estate, hvops, middle, running, slow
from tests.bench.table import Aim, Table, show, times
from tests.support.faulty_slack import Draws, FaultySlack

LINES = (HELP, ASK, "/hvops runs", "/drain-node hv03")
WIDTH = 4
EVERY = 1.0  # seconds between two lines of one person
BACK_WITHIN = 60.0  # seconds after which something is wrong
LIMIT = 0.1  # seconds at the 99th percentile
COMMAND, CLICK = "slash_commands", "interactive"
SOCKETS = 0.02  # of all envelopes: the bare app is away for ten seconds after each
PATIENCE = 0.5  # seconds that a slow call takes at most; nobody waits here for a client that gives up


@dataclass
class Watch:
    """Stands before the practice Slack's Socket Mode and times every delivery, in seconds, by its kind."""

    socket: SocketMode
    took: dict[str, list[float]] = field(default_factory=lambda: {COMMAND: [], CLICK: []})
    lost: dict[str, int] = field(default_factory=lambda: {COMMAND: 0, CLICK: 0})
    counts: bool = False

    async def deliver(self, kind: str, payload: dict[str, Any], *, accepts_response: bool) -> Acknowledged:
        """Deliver as Socket Mode does."""
        began = time.perf_counter()
        acknowledged = await self.socket.deliver(kind, payload, accepts_response=accepts_response)
        if self.counts and acknowledged.error:
            self.lost[kind] += 1
        elif self.counts:
            self.took[kind].append(time.perf_counter() - began)
        return acknowledged


class Side:
    """One bot, its Slack, and the people there."""

    def __init__(self, name: str, slack: FaultySlack) -> None:
        self.name, self.slack = name, slack
        self.watch = slack.acts.socket = Watch(slack.socket)

    async def round(self, commands: int, *, counts: bool) -> None:
        """Type that many lines, and withdraw meanwhile what is proposed."""
        self.watch.counts = counts
        waiting = islice(cycle(LINES), commands)
        withdrawing = asyncio.create_task(self._withdraw())
        try:
            await asyncio.gather(*(self._type(waiting) for _ in range(WIDTH)))
        finally:
            withdrawing.cancel()
            await asyncio.gather(withdrawing, return_exceptions=True)
            self.watch.counts = False

    async def _type(self, waiting: Iterator[str]) -> None:
        operator = self.slack.person("operator")
        for line in waiting:
            next_line = asyncio.create_task(asyncio.sleep(EVERY))
            if not (await operator.types(line)).ok:
                await self._connected()
            await next_line

    async def _connected(self) -> None:
        """Nobody types again before the bot is there again."""
        async with asyncio.timeout(BACK_WITHIN):
            with self.slack.workspace.stream.follow() as events:
                while not self.slack.workspace.connections:
                    await events.get()

    async def _withdraw(self) -> None:
        """Once a second, what can be withdrawn is; where that was not heard, again."""
        operator = self.slack.person("operator")
        while True:
            for message in tuple(self.slack.workspace.messages.get("C0OPS", ())):
                if button := _withdraw_button(message):
                    with contextlib.suppress(LookupError):
                        await operator.clicks(message, button)
            await asyncio.sleep(EVERY)


def _withdraw_button(message: Message) -> str:
    if message.user != BOT_USER or message.only_for is not None:
        return ""
    ids = (place.action_id for place in placed(message.blocks))
    return next((one for one in ids if one.startswith("hvops:t-withdraw")), "")


def failing(slack: FakeSlack, seed: int) -> FaultySlack:
    """The same Slack, failing."""
    return FaultySlack(slack, Draws(seed, sockets=SOCKETS, patience=PATIENCE))


async def measure(commands: int, rounds: int, seed: int) -> tuple[Side, Side]:
    """Both sides; a first short round of each is not counted."""
    app = manifest(Registry.load())
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        async with (
            FakeSlack(manifest=app, rates="off") as ours,
            FakeSlack(manifest=app, rates="off") as theirs,
            failing(ours, seed) as our_slack,
            failing(theirs, seed) as their_slack,
        ):
            bolt = _module("bare_bolt", *access(their_slack))
            with estate(Path(directory), our_slack, "healthy") as settings:
                async with (
                    running(HVOPS, hvops(settings), our_slack, 2),
                    running(BARE, bolt, their_slack, 1),
                ):
                    sides = Side(BARE, their_slack), Side(HVOPS, our_slack)
                    for number in range(rounds + 1):
                        for side in sides if number % 2 else sides[::-1]:
                            await side.round(commands if number else WIDTH, counts=bool(number))
                    return sides


def table(sides: Sequence[Side], seed: int) -> Table:
    """The percentiles of both bots, and how many times the bare one's ours are."""
    rows, bare = [], sides[0].watch.took[COMMAND]
    for kind, says in ((COMMAND, "slash commands"), (CLICK, "clicks")):
        for side in sides:
            seconds = side.watch.took[kind]
            if not seconds:
                continue
            figures = [f"{1000 * each:.1f}" for each in (middle(seconds), _slow(seconds), max(seconds))]
            ratios = ("", "")
            if side.name == HVOPS and bare:
                ratios = (times(middle(seconds) / middle(bare)), times(_slow(seconds) / _slow(bare)))
            rows.append((f"{says}, {side.name}", str(len(seconds)), *figures, *ratios, str(side.watch.lost[kind])))
    columns = ("what, bot", "count", "p50 ms", "p99 ms", "worst ms", "p50 ratio", "p99 ratio", "not heard")
    note = (
        f"Seed {seed}; {_failed(sides[1])}; of the bare app's {_failed(sides[0])}. "
        "The ratios are hvops to the slash commands of the bare app, which has one socket and calls nothing. 'not "
        "heard': no socket was open, or Slack waited for three seconds."
    )
    ours = [each for seconds in sides[1].watch.took.values() for each in seconds]
    aim = Aim("hvops acknowledges within 100 ms at p99", f"{1000 * _slow(ours):.0f} ms", _slow(ours) < LIMIT)
    return Table("Acknowledgements while Slack fails", columns, rows, [note], [aim])


def _slow(seconds: Sequence[float]) -> float:
    """The 99th percentile; of a single one, that."""
    return slow(seconds) if len(seconds) > 1 else max(seconds)


def _failed(side: Side) -> str:
    calls = side.slack.calls
    return f"{sum(one.fault is not None for one in calls):,} of {len(calls):,} calls failed"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=240, help="lines of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    show([table(asyncio.run(measure(told.commands, told.rounds, told.seed)), told.seed)], as_json=told.json)


if __name__ == "__main__":
    main()
