"""Several processes append at once: hvops on PostgreSQL beside hvops on SQLite, and beside the least that PostgreSQL needs.

    python -m tests.bench.writers [--writers 1 8] [--appends 200] [--rounds 3]

A server of its own on loopback, `fsync` and `synchronous_commit` on, starts for the run. The least: the same lock, the
newest mac, an HMAC, one row with a body of the same length and `unique(previous)`, in two round trips; no masking, no canonical
JSON, no generated columns, no triggers, no anchor file. The sides take turns.
"""

from __future__ import annotations

import argparse
import hmac
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import psycopg

from bot.ledger import Ledger
from bot.ledger.entries import Asked
from bot.ledger_place import Database
from bot.redaction import Redactor
from tests.bench.ledger import DATA, KEY, timed
from tests.bench.process import ROOT
from tests.bench.table import Aim, Table, show, times
from tests.support.postgresql import Cluster, cluster

SQLITE, POSTGRESQL, BARE = "hvops on SQLite", "hvops on PostgreSQL", "bare PostgreSQL"
SIDES = (SQLITE, POSTGRESQL, BARE)
AT_LEAST, BY = 300.0, 8  # appends a second, by so many writers
# Appends a second of all, the middle of their medians and the worst 99th percentile in ms.
Measured = tuple[float, float, float]


def write(side: str, folder: Path, url: str, appends: int) -> Measured:
    """One writer of its own process: says that it is ready, and begins when it is told to."""
    if side == BARE:
        with psycopg.connect(url, autocommit=True) as connection:
            return _when_told(lambda _number: append_barely(connection), appends)
    place = folder / "ledger.db" if side == SQLITE else Database(url)
    mask = Redactor(["a password of the settings", "xoxb-and-a-token"])
    with Ledger(place, folder / "ledger.key", folder / "anchors.txt", mask) as ledger:
        return _when_told(lambda _number: ledger.append("T01/U02", Asked(**DATA)), appends)


def _when_told(work: Callable[[int], object], appends: int) -> Measured:
    work(0)  # prepared, and warm
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return timed(appends, work)


def append_barely(connection: psycopg.Connection) -> None:
    """In two round trips, as the decision of the design has it."""
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        found = connection.execute("SELECT seq, mac FROM entry ORDER BY seq DESC LIMIT 1")
    seq, mac = found.fetchone() or (0, bytes(32))
    body = json.dumps({"seq": seq + 1, "at": time.time_ns(), "kind": "asked", "actor": "T01/U02", "data": DATA})
    row = (seq + 1, body, mac, hmac.digest(KEY, mac + body.encode(), "sha256"))
    with connection.pipeline():
        connection.execute("INSERT INTO entry VALUES (%s, %s, %s, %s)", row)
        connection.execute("COMMIT")


def measure(server: Cluster, folder: Path, side: str, writers: int, appends: int) -> Measured:
    """So many writers at once on a new ledger, whose chain is proved at the end."""
    folder.mkdir()
    url = server.database().url
    if side == BARE:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE entry (seq bigint PRIMARY KEY, body text, previous bytea UNIQUE, mac bytea)"
            )
    command = [sys.executable, "-m", "tests.bench.writers", "--child", side, str(folder), url, str(appends)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(writers)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [json.loads(child.communicate()[0]) for child in children]
    took = time.perf_counter() - began
    if side != BARE:
        place = folder / "ledger.db" if side == SQLITE else Database(url)
        with Ledger(place, folder / "ledger.key", folder / "anchors.txt") as ledger:
            proof = ledger.verify()
            assert (proof.holds, proof.entries) == (True, writers * (appends + 1)), proof
    medians = sorted(median for _, median, _ in said)
    return writers * appends / took, medians[len(medians) // 2], max(worst for *_, worst in said)


def table(found: dict[tuple[int, str], list[Measured]], appends: int) -> Table:
    """The middle round of each."""
    middle = {key: sorted(rounds)[len(rounds) // 2] for key, rounds in found.items()}
    rows = [
        (
            f"{writers} × {side}",
            f"{rate:,.0f}",
            f"{median:.1f}",
            f"{worst:.1f}",
            times(rate / middle[writers, SQLITE][0]),
            times(rate / middle[writers, BARE][0]),
        )
        for (writers, side), (rate, median, worst) in middle.items()
    ]
    rate = middle[BY, POSTGRESQL][0] if (BY, POSTGRESQL) in middle else None
    aim = Aim(
        f"at least {AT_LEAST:,.0f} appends a second on PostgreSQL with {BY} writers, the chain whole",
        f"{rate:,.0f}" if rate is not None else "not measured",
        rate >= AT_LEAST if rate is not None else None,
    )
    columns = ("writers", "appends/s", "p50 ms", "p99 ms", "beside SQLite", "beside bare")
    title = f"Ledger: processes that append at once, {appends:,} each, each append its own transaction on the disk"
    return Table(title, columns, rows, aims=(aim,))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 2, BY])
    parser.add_argument("--appends", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args(argv)
    if told.child:
        side, folder, url, appends = told.child
        sys.stdout.write(json.dumps(write(side, Path(folder), url, int(appends))))
        return
    found: dict[tuple[int, str], list[Measured]] = {}
    numbers = count(1)
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory, cluster() as server:
        for _ in range(told.rounds):
            for writers in told.writers:
                for side in SIDES:
                    folder = Path(directory) / str(next(numbers))
                    found.setdefault((writers, side), []).append(measure(server, folder, side, writers, told.appends))
    show([table(found, told.appends)], as_json=told.json)


if __name__ == "__main__":
    main()
