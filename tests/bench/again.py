"""Looking again before something is changed: a plan whose facts come from a cluster of 64 nodes.

    python -m tests.bench.again [--nodes 64] [--latency 0.05] [--rounds 1]

The plan is that of /drain-node, which asks the cluster, the node itself, and every other node. The cluster is the practice
one, in a process of its own, with the latency added to every answer. Beside it: a cluster of two nodes, the smallest that
can be drained, and the same 64 nodes asked one after the other, which is what a plain script does.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.config.settings import load
from bot.dispatch.command_line import read_line, read_typed, resolve
from bot.services import Services, build_services
from tests.bench.cluster_server import FIRST, served
from tests.bench.table import Aim, Table, show, times

LINE = f"/drain-node {FIRST}"
AT_ONCE = 128
LONGEST = 60.0  # seconds: what one answer may take as the settings come
PATIENT = 300  # seconds: nothing is cut off here


@dataclass(frozen=True)
class Look:
    """One way to look: seconds of the first time, and of the middle one of those after it."""

    who: str
    nodes: int
    questions: int
    first: float
    again: float


async def looks(made: Services, rounds: int) -> tuple[int, list[float]]:
    """Make the plan that often; how many questions it takes, and the seconds of each time."""
    took, questions = [], 0
    for _ in range(rounds + 1):
        look = made.pipeline.look(datetime.now(UTC), None)
        began = time.perf_counter()
        line = await resolve(made.inventory, read_line(made.registry, read_typed(LINE)), None)
        plan = (await made.planner.make(line, look)).plan
        took.append(time.perf_counter() - began)
        questions = len(look.evidence)
        if not plan.gates:
            raise SystemExit(f"there is no plan: {plan.reason}")
    return questions, took


def measured(nodes: int, latency: float, rounds: int, at_once: int = AT_ONCE) -> Look:
    """One cluster, asked `at_once` at a time."""
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as folder, served(nodes, latency, Path(folder)) as file:
        told = load(file)
        limits = told.limits.model_copy(
            update={"at_once": at_once, "per_host_seconds": PATIENT, "overall_seconds": PATIENT}
        )
        with build_services(told.model_copy(update={"limits": limits})) as made:
            questions, took = asyncio.run(looks(made, rounds))
    who = f"{nodes} nodes, {'one after the other' if at_once == 1 else 'all at once'}"
    return Look(who, nodes, questions, took[0], statistics.median(took[1:]))


def table(found: Sequence[Look], latency: float) -> Table:
    """Each beside the smallest cluster."""
    small, large, slow = found
    rows = [
        (one.who, str(one.questions), f"{one.first:.2f}", f"{one.again:.2f}", times(one.again / small.again))
        for one in found
    ]
    note = "'first': connecting and logging in included; the times beside are those of 'again', with connections kept open."
    aims = [
        Aim(f"{large.nodes} nodes within {LONGEST:.0f} s", f"{large.again:.1f} s", large.again < LONGEST),
        Aim(
            "asking at once is faster than one after the other",
            times(slow.again / large.again),
            slow.again > large.again,
        ),
    ]
    title = f"Looking again: the plan of /drain-node, {latency * 1000:.0f} ms latency per answer"
    return Table(title, ("", "questions", "first s", "again s", f"beside {small.nodes} nodes"), rows, [note], aims)


def measure(nodes: int, latency: float, rounds: int) -> Table:
    """The three ways, one after another."""
    ways = ((2, AT_ONCE), (nodes, AT_ONCE), (nodes, 1))
    return table([measured(count, latency, rounds, at_once) for count, at_once in ways], latency)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds added to every answer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    show([measure(told.nodes, told.latency, told.rounds)], as_json=told.json)


if __name__ == "__main__":
    main()
