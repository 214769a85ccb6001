"""Memory over a long mixed load: a bot with its ledger in PostgreSQL and its hosts behind a worker, asked without a pause.

    python -m tests.bench.steady [--minutes 60]

Questions, searches in the ledger, refusals and proposals that are rejected, one after the other, as fast as they are
answered; the resident memory of the bot's process is read every second. Beside it the bare Bolt app, which acknowledges as many
slash commands. What grows with every question shows in an hour; what only fills up (caches, pools) is over by the second fifth.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.slack import simulated_user
from lab.slack.server import FakeSlack
from tests.bench import ack, scaled_out
from tests.bench.table import Aim, Table, show, times
from tests.support.postgresql import Cluster, cluster

LINES = (
    "/check-writers hv01",
    "/hvops help",
    "/audit",
    "/check-writers nowhere",
    "/hvops status",
    "/find-full-guests hv02",
)
PLANS = 10  # a proposal, rejected, after so many rounds of those
FIFTHS = 5
PATIENCE = 120.0  # seconds for an answer, on a machine that does other things
MOST_GROWTH = 1.1  # the last fifth beside the second one


@dataclass
class Load:
    """What was asked, and the bots' memory meanwhile: MB, by bot."""

    asked: Counter[str] = field(default_factory=Counter)
    memory: dict[str, list[float]] = field(default_factory=lambda: {ack.HVOPS: [], ack.BARE: []})


def resident_mb(pid: int) -> float:
    """What a process has in memory now."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:"))
    return float(line.split()[1]) / 1024


async def ask(hvops: ack.Bot, bolt: ack.Bot, slack: FakeSlack, load: Load, ends: float) -> None:
    """Type lines until then, and wait for the answer of each."""
    rounds = 0
    while time.monotonic() < ends:
        for line in LINES:
            await hvops.round(line, 1, 1)
            await bolt.round(line, 1, 1)
            load.asked[line] += 1
        if rounds % PLANS == 0:
            await reject_a_plan(slack)
            load.asked["a plan, rejected"] += 1
        rounds += 1


async def reject_a_plan(slack: FakeSlack) -> None:
    """Have a drain proposed, and reject it."""
    operator, approver = slack.person("operator"), slack.person("approver")
    newest = max((message.ts for message in operator.messages("hv-ops")), default="")
    await operator.types("/drain-node hv03")
    plan = await operator.sees("Drain node hv03?", "hv-ops", after=newest)
    await approver.clicks(plan, "Reject…")
    await approver.submits(await approver.sees_view("Reject"), {"Why?": "a bench"})
    await operator.sees("Rejected", "hv-ops", after=newest)


async def watch(bots: Mapping[str, ack.Bot], load: Load, every: float) -> None:
    while True:
        for name, bot in bots.items():
            load.memory[name].append(resident_mb(bot.pid))
        await asyncio.sleep(every)


async def measure(server: Cluster, seconds: float, every: float = 1.0) -> Load:
    """Ask for so long."""
    load = Load()
    simulated_user.PATIENCE = PATIENCE
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        async with scaled_out.bots(Path(directory), server, "healthy") as (bolt, hvops, slack):
            watching = asyncio.create_task(watch({ack.HVOPS: hvops, ack.BARE: bolt}, load, every))
            try:
                await ask(hvops, bolt, slack, load, time.monotonic() + seconds)
            finally:
                watching.cancel()
    return load


def fifths(memory: Sequence[float]) -> list[float]:
    """The median of each fifth."""
    size = max(1, len(memory) // FIFTHS)
    return [statistics.median(memory[number * size : (number + 1) * size] or memory[-1:]) for number in range(FIFTHS)]


def table(load: Load, minutes: float) -> Table:
    rows = []
    for name, memory in load.memory.items():
        parts = fifths(memory)
        rows.append((name, *(f"{one:.1f}" for one in parts), f"{max(memory):.1f}", times(parts[-1] / parts[1])))
    parts = fifths(load.memory[ack.HVOPS])
    ratio = parts[-1] / parts[1]
    said = ", ".join(f"{count:,} × {line}" for line, count in load.asked.items())
    return Table(
        f"Memory over {minutes:.0f} minutes of mixed load, in MB: the median of each fifth",
        ("", "1st", "2nd", "3rd", "4th", "5th", "most", "5th beside 2nd"),
        rows,
        (f"Asked: {said}.",),
        (Aim(f"the last fifth is at most {MOST_GROWTH:.1f} times the second", times(ratio), ratio <= MOST_GROWTH),),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    with cluster() as server:
        load = asyncio.run(measure(server, told.minutes * 60))
    show([table(load, told.minutes)], as_json=told.json)


if __name__ == "__main__":
    main()
