"""A site behind a worker: one command to all its hosts beside a plain fan-out, and how soon a dead worker's question is answered.

    python -m tests.bench.sites [--hosts 200] [--latency 0.1] [--rounds 20]

Worker and PostgreSQL are processes of their own on loopback; the hosts are waits of the same length on either side. So what is measured
is the way there and back: the queue, both JSON encodings, both MACs, and a process more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.transport.sites.client import SitedClient
from tests.bench.process import ROOT
from tests.bench.table import Aim, Table, show, times
from tests.support import site_queue
from tests.support.postgresql import Cluster, cluster
from tests.support.site_queue import QueuePlace

SITE = "branch1"
MOST_TIMES = 2.5  # the slowest host, for all of a site as one command
STALE = 3.0  # seconds, as the settings have it unless told otherwise
MOST_LATE = 1.0  # seconds beyond that, for the question of a worker that was killed


@asynccontextmanager
async def worker(
    place: QueuePlace, notes: Path, seconds: float, die_at: str = "", site: str = SITE
) -> AsyncIterator[Process]:
    """A worker of a site as a process; it works when this begins."""
    told = {
        "role": "worker",
        "notes": str(notes),
        "bot": place.bot.url,
        "logins": place.logins,
        "password": place.password,
    }
    told |= {"keys": {name: key.hex() for name, key in place.keys.items()}, "site": site, "die_at": die_at}
    before = working(notes)
    arguments = ("-m", "tests.support.site_child", json.dumps(told | {"seconds": seconds}))
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while working(notes) == before:
            assert child.returncode is None, "the worker ended"
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)  # it joins the queue, and listens
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def working(notes: Path) -> int:
    return notes.read_text().count('"works"') if notes.exists() else 0


async def opened(place: QueuePlace, hosts: int) -> SitedClient:
    client = site_queue.client(place.queue(stale_seconds=STALE), site_queue.inventory(SITE, hosts=hosts))
    await client.warm()
    return client


async def fan_out(place: QueuePlace, notes: Path, hosts: int, latency: float, rounds: int) -> dict[str, list[float]]:
    """Seconds for all hosts, each round: plain asyncio in this process, and through the worker; and for one host that answers at once."""
    names = [f"{SITE}-{number}" for number in range(1, hosts + 1)]
    client = await opened(place, hosts)
    found: dict[str, list[float]] = {"plain": [], "worker": []}
    try:
        async with worker(place, notes, latency):
            await client.answer(site_queue.question(names[0]))
            for _ in range(rounds):
                found["plain"].append(await timed(asyncio.sleep(latency) for _ in names))
                found["worker"].append(await timed(client.answer(site_queue.question(name)) for name in names))
    finally:
        client.close()
        await asyncio.sleep(0)
    return found


async def timed(works: Any) -> float:
    began = time.perf_counter()
    await asyncio.gather(*works)
    return time.perf_counter() - began


async def killed(place: QueuePlace, notes: Path, rounds: int) -> list[float]:
    """Seconds from a worker's end to the answer of another one that is there, to the question that it had."""
    client, found = await opened(place, 1), []
    try:
        async with worker(place, notes, 0.0) as other:
            for _ in range(rounds):
                other.send_signal(signal.SIGSTOP)  # so that the question is not its own to begin with
                async with worker(place, notes, 0.0, "asked") as dying:
                    asked = asyncio.create_task(client.answer(site_queue.question(f"{SITE}-1")))
                    await dying.wait()
                began = time.perf_counter()
                other.send_signal(signal.SIGCONT)
                await asked
                found.append(time.perf_counter() - began)
    finally:
        client.close()
        await asyncio.sleep(0)
    return found


def tables(fans: dict[str, list[float]], late: list[float], hosts: int, latency: float) -> list[Table]:
    """Beside the slowest host, which is every host."""
    rows = []
    for side, name in (("plain", "plain asyncio, in the bot"), ("worker", "one task, through a worker")):
        middle, worst = statistics.median(fans[side]), max(fans[side])
        rows.append((name, f"{middle * 1000:.0f}", f"{worst * 1000:.0f}", times(middle / latency)))
    ratio = statistics.median(fans["worker"]) / latency
    wide = Table(
        f"Sites: one command to {hosts} hosts that each take {latency * 1000:.0f} ms",
        ("", "p50 ms", "worst ms", "beside a host"),
        rows,
        aims=(Aim(f"under {MOST_TIMES} times the slowest host", times(ratio), ratio < MOST_TIMES),),
    )
    bound = STALE + MOST_LATE
    aim = Aim(
        f"answered within {bound:.0f} s", f"{max(late):.1f} s" if late else "", max(late) <= bound if late else None
    )
    row = ("seconds", *(f"{f(late):.1f}" if late else "" for f in (statistics.median, max)))
    gone = Table(
        f"Sites: the question of a worker that was killed, another one beside it, {STALE:.0f} s until it counts as silent",
        ("", "p50 s", "worst s"),
        [row],
        aims=(aim,),
    )
    return [wide, gone]


def measure(server: Cluster, folder: Path, hosts: int, latency: float, *, rounds: int, kills: int) -> list[Table]:
    place = site_queue.make_place(server, SITE)
    fans = asyncio.run(fan_out(place, folder / "fans", hosts, latency, rounds))
    late = asyncio.run(killed(place, folder / "kills", kills)) if kills else []
    return tables(fans, late, hosts, latency)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory, cluster() as server:
        found = measure(server, Path(directory), told.hosts, told.latency, rounds=told.rounds, kills=told.kills)
    show(found, as_json=told.json)


if __name__ == "__main__":
    main()
