"""Acknowledgements of a bot with its ledger in PostgreSQL and all its hosts behind a site's worker, beside a bare Bolt app.

    python -m tests.bench.scaled_out [--commands 200] [--asks 40] [--rounds 5]

As `ack`, whose lines and clock these are: PostgreSQL, the worker, both bots and the practice estate are processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

from bot.dispatch.registry import Registry
from bot.slack.manifest import manifest
from lab.slack.server import FakeSlack
from tests.bench import ack
from tests.bench.process import ROOT
from tests.bench.table import show
from tests.support import site_queue, site_story
from tests.support.postgresql import Cluster, cluster

TITLE = "Slash commands with the ledger in PostgreSQL and the hosts behind a worker: from the envelope to its acknowledgement"


@contextmanager
def behind_worker(settings: Path, server: Cluster) -> Iterator[None]:
    """Put the ledger of these settings into a database and their hosts behind a worker, which is a process of its own."""
    estate = SimpleNamespace(directory=settings.parent, settings_path=settings)
    site_story.write_files(estate, site_queue.make_place(server, *site_story.sites(estate)))
    told = tomllib.loads(settings.read_text())
    told.setdefault("ledger", {})["database"] = server.database().url
    site_story.write(settings, told)
    file = site_story.folder_of(site_story.SITE, settings.parent) / "settings.toml"
    command = [sys.executable, "-m", "bot", "worker", "--site", site_story.SITE, "--settings", str(file)]
    worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        yield
        assert worker.poll() is None, "the worker ended"
    finally:
        worker.terminate()
        worker.wait(30)


@asynccontextmanager
async def bots(
    folder: Path, server: Cluster, story: str = ack.STORY
) -> AsyncIterator[tuple[ack.Bot, ack.Bot, FakeSlack]]:
    """The bare app and hvops, both connected, and the practice Slack of hvops."""
    app = manifest(Registry.load())
    async with FakeSlack(manifest=app, rates="off") as ours, FakeSlack(manifest=app, rates="off") as theirs:
        with ack.estate(folder, ours, story) as settings, behind_worker(settings, server):
            async with (
                ack.running(ack.HVOPS, ack.hvops(settings), ours, 2) as hvops,
                ack.running(ack.BARE, ack.bare(theirs), theirs, 1) as bolt,
            ):
                yield bolt, hvops, ours


async def measure(server: Cluster, commands: int, asks: int, rounds: int) -> ack.Took:
    """Seconds to each acknowledgement, by line, commands in flight, and bot."""
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        async with bots(Path(directory), server) as (bolt, hvops, _):
            return await ack.turns((bolt, hvops), {ack.HELP: commands, ack.ASK: asks}, rounds)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    with cluster() as server:
        took = asyncio.run(measure(server, told.commands, told.asks, told.rounds))
    show([ack.table(took, TITLE)], as_json=told.json)


if __name__ == "__main__":
    main()
