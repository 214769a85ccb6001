"""How long `hvops --help` takes, beside a Python that does nothing: the same interpreter, one after the other.

python tests/bench/help.py [--runs 20]
"""

# ruff: noqa: T201 - it prints its table

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

WANTED_SECONDS = 0.3
HVOPS = Path(sys.executable).with_name("hvops")


def seconds(command: list[str], runs: int) -> list[float]:
    """Wall-clock seconds of each run; the first one, which fills the caches, is not counted."""
    took = []
    for number in range(runs + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        if number:
            took.append(time.perf_counter() - began)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    rows = {
        "hvops --help": seconds([str(HVOPS), "--help"], runs),
        "python -c pass": seconds([sys.executable, "-c", "pass"], runs),
    }
    print(f"\nStart: {runs} runs each\n")
    print(f"{'':24}{'median s':>12}{'worst s':>12}")
    for name, took in rows.items():
        print(f"{name:24}{statistics.median(took):>12.3f}{max(took):>12.3f}")
    ours, nothing = (statistics.median(took) for took in rows.values())
    print(f"{'hvops / python':24}{ours / nothing:>12.1f}")
    print(f"wanted: under {WANTED_SECONDS} s: {'yes' if ours < WANTED_SECONDS else 'NO'}")


if __name__ == "__main__":
    main()
