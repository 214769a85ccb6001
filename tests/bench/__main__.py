"""All benches, one after another, each in a fresh process; with --write the figures go into README.md.

python -m tests.bench [--quick] [--only NAME …] [--write]
"""

# ruff: noqa: T201 - it prints its tables

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.process import fresh
from tests.bench.table import Table, read

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- the last run: written by `python -m tests.bench --write` -->", "<!-- the end of the last run -->"
PACKAGES = ("pywinrm", "slack-bolt", "ansible-core")
QUICK = {
    "help": ("--runs", "2"),
    "ledger": ("--appends", "50", "--entries", "2000"),
    "writers": ("--writers", "2", "--appends", "5", "--rounds", "1"),
    "sites": ("--hosts", "5", "--rounds", "1", "--kills", "0"),
    "two_sites": ("--machines", "6", "--rounds", "1", "--latency", "0.02"),
    "scaled_out": ("--commands", "16", "--asks", "2", "--rounds", "1"),
    "ack": ("--commands", "16", "--asks", "2", "--rounds", "1"),
    "faults": ("--commands", "8", "--rounds", "1"),
    "fanout": ("--hosts", "8", "--latency", "0.02"),
    "first": ("--nodes", "2", "--guests", "6", "--latency", "0.01"),
    "again": ("--nodes", "4", "--latency", "0.01"),
    "click": ("--rounds", "1"),
    "enough": ("--kinds", "1", "--latency", "0.1"),
    "soak": ("--moves", "60"),
    "tickets": ("--tickets", "40", "--open", "20", "--rounds", "1"),
}


def machine() -> str:
    """What the figures were measured on; nothing that tells which machine it is."""
    kernel = ".".join(platform.release().split(".")[:2])
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {found}" for name in PACKAGES if (found := installed(name)))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores ({platform.machine()}), {platform.system()} {kernel}, "
        f"Python {platform.python_version()}, {packages};\nload when it began: {os.getloadavg()[0]:.1f} of {cores}"
    )


def installed(package: str) -> str:
    """Its version, "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def run(names: Iterable[str], *, quick: bool) -> tuple[list[Table], list[str]]:
    """Run benches and print each table when it is there. Answers the tables, and the benches that failed."""
    tables, failed = [], []
    for name in names:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        try:
            found = read(fresh(f"tests.bench.{name}", "--json", *(QUICK[name] if quick else ())))
        except SystemExit as failure:
            print(failure, file=sys.stderr)
            failed.append(name)
            continue
        tables += found
        print("\n\n".join(map(str, found)), end="\n\n\n", flush=True)
    return tables, failed


def judged(tables: Sequence[Table]) -> str:
    """How many of the aims were met."""
    aims = [aim for table in tables for aim in table.aims]
    missed = [aim for aim in aims if aim.met is False]
    unjudged = sum(aim.met is None for aim in aims)
    met = len(aims) - len(missed) - unjudged
    lines = [f"{met} of {len(aims)} aims met" + (f", {unjudged} not judged" if unjudged else "")]
    return "\n".join([*lines, *(f"  {aim}" for aim in missed)])


def written(readme: str, text: str) -> str:
    """The README with another last run in it.

    Raises:
        ValueError: it has no place for one.
    """
    before, found, rest = readme.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{README.name} has no place for the last run between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n```text\n{text}\n```\n\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write it down. Answers 1 where a bench could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny counts: whether the benches work, not how fast")
    parser.add_argument("--only", nargs="+", choices=list(QUICK), default=list(QUICK), metavar="NAME")
    parser.add_argument("--write", action="store_true", help=f"put the figures of a whole run into {README.name}")
    told = parser.parse_args(argv)
    if told.write and (told.quick or told.only != list(QUICK)):
        parser.error("--write is for a whole run")
    about = machine()
    print(f"{about}\n{'a quick run: these figures mean nothing' if told.quick else ''}\n")
    tables, failed = run(told.only, quick=told.quick)
    print(judged(tables))
    if failed:
        print(f"not measured: {', '.join(failed)}")
        return 1
    if told.write:
        text = "\n\n\n".join([about, *map(str, tables), judged(tables)])
        README.write_text(written(README.read_text(encoding="utf-8"), text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
