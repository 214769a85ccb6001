"""One command to thousands of machines at two sites, each behind a worker, beside the longest single machine.

    python -m tests.bench.two_sites [--machines 2064 5000] [--latency 0.1] [--questions 4]

Every machine is asked so many questions, each after the one before, as `/find-full-guests` does with 64 nodes and 2,000 guests.
Bot, two workers and PostgreSQL are processes of their own on loopback; the machines are waits, half of them at either site. So
what is measured is the bot's session, the queue, both JSON encodings, both MACs, and nothing of WinRM (`first` measures that).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.api.facts import Known
from bot.api.queries import Wql
from bot.api.rows import Rows
from bot.api.sources import Source
from bot.config.settings import Limits
from bot.dispatch.query_session import QuerySession
from bot.transport.sites.client import SitedClient
from tests.bench import sites
from tests.bench.table import Aim, Table, show, times
from tests.support import site_queue
from tests.support.postgresql import Cluster, cluster

SITES = ("branch1", "branch2")
SECONDS = 300  # for a machine, and for all: nothing is cut off here


@dataclass(frozen=True)
class Asked:
    """One command.

    Attributes:
        walls: seconds of each round; `alone`: those of one machine alone, through its worker, in the same run.
        known: answers of the last round.
    """

    machines: int
    walls: list[float]
    alone: list[float]
    known: int


async def ask(client: SitedClient, names: Sequence[str], questions: int) -> tuple[float, int]:
    """Seconds until every machine has answered all, and how many answers there are."""
    session = QuerySession(
        client, lambda _: (), datetime.now(UTC), Limits(per_host_seconds=SECONDS, overall_seconds=SECONDS)
    )
    known, began = 0, time.perf_counter()
    for number in range(questions):
        sources: dict[str, Source[Rows]] = {
            name: Source(Wql(name, "root/cimv2", f"Bench_{number}", ("Name",)), lambda rows: rows) for name in names
        }
        known += sum(isinstance(one, Known) for one in (await session.query_many(sources)).values())
    return time.perf_counter() - began, known


async def measure(
    server: Cluster, folder: Path, machines: Sequence[int], latency: float, *, questions: int, rounds: int
) -> list[Asked]:
    """Each number of machines, so many rounds."""
    found = []
    async with AsyncExitStack() as ending:
        place = site_queue.make_place(server, *SITES)
        most = -(-max(machines) // len(SITES))
        client = site_queue.client(place.queue(stale_seconds=sites.STALE), site_queue.inventory(*SITES, hosts=most))
        ending.callback(client.close)
        await client.warm()
        for site in SITES:
            await ending.enter_async_context(sites.worker(place, folder / site, latency, site=site))
        for count in machines:
            names = [f"{SITES[number % len(SITES)]}-{number // len(SITES) + 1}" for number in range(count)]
            walls, alone, known = [], [], 0
            for _ in range(rounds):
                alone.append((await ask(client, names[:1], questions))[0])
                wall, known = await ask(client, names, questions)
                walls.append(wall)
            found.append(Asked(count, walls, alone, known))
    await asyncio.sleep(0)
    return found


def table(found: Sequence[Asked], latency: float, questions: int) -> Table:
    rows = []
    for one in found:
        wall, alone = statistics.median(one.walls), statistics.median(one.alone)
        answers = one.machines * questions
        rows.append(
            (f"{one.machines:,} machines", f"{wall:.2f}", f"{max(one.walls):.2f}", f"{alone:.2f}", times(wall / alone),
             f"{answers / wall:,.0f}", f"{answers * latency / wall:,.0f} x")
        )  # fmt: skip
    silent = max(one.machines * questions - one.known for one in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(
        f"Two sites: one command of {questions} questions to each machine, {latency * 1000:.0f} ms an answer",
        ("", "p50 s", "worst s", "one alone", "beside it", "answers/s", "one by one"),
        rows,
        (
            f"'one by one': how many times as long the waits take after one another. The asking process had {peak:.0f} MB.",
        ),
        (Aim("every machine answers everything", f"{silent} did not", silent == 0),),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, nargs="+", default=[2064, 5000])
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory, cluster() as server:
        found = asyncio.run(
            measure(server, Path(directory), told.machines, told.latency, questions=told.questions, rounds=told.rounds)
        )
    show([table(found, told.latency, told.questions)], as_json=told.json)


if __name__ == "__main__":
    main()
