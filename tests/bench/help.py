"""How long `hvops --help` takes, beside a Python that does nothing: the same interpreter, turn by turn.

python -m tests.bench.help [--runs 20]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.table import Aim, Table, show, times

WANTED_SECONDS = 0.3
OURS, NOTHING = "hvops --help", "python -c pass"
COMMANDS = {
    OURS: [str(Path(sys.executable).with_name("hvops")), "--help"],
    NOTHING: [sys.executable, "-c", "pass"],
}


def measure(runs: int) -> dict[str, list[float]]:
    """Wall-clock seconds of each run; the first turn, which fills the caches, is not counted."""
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn:
                took[name].append(time.perf_counter() - began)
    return took


def table(took: Mapping[str, Sequence[float]]) -> Table:
    """Both, and how many times an empty Python fits into ours."""
    nothing = statistics.median(took[NOTHING])
    rows = [
        (name, f"{statistics.median(each):.3f}", f"{max(each):.3f}", times(statistics.median(each) / nothing))
        for name, each in took.items()
    ]
    ours = statistics.median(took[OURS])
    aim = Aim(f"{OURS} under {WANTED_SECONDS} s", f"{ours:.3f} s (median)", ours < WANTED_SECONDS)
    title = f"Start: {len(took[OURS])} runs each"
    return Table(title, ("", "median s", "worst s", "of an empty Python"), rows, aims=[aim])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    show([table(measure(told.runs))], as_json=told.json)


if __name__ == "__main__":
    main()
