"""The ledger beside raw sqlite3: appends a second, and the proof of a million entries, in one run on one machine.

    python -m tests.bench.ledger [--appends 2000] [--entries 1000000]

Raw sqlite3 is the least that anybody could do: one connection, WAL and synchronous=FULL, one row for each
transaction, chained by the same HMAC; no ticket check, no masking, no canonical JSON, no triggers, no anchors. The
proof beside it reads and chains the same rows and looks at nothing else.
"""

from __future__ import annotations

import argparse
import hmac
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bot.ledger import Ledger
from bot.ledger.anchors import Anchor, AnchorSeal
from bot.ledger.entries import Asked
from bot.ledger.envelope import FIRST, entry_mac
from bot.ledger.key import read_key
from bot.ledger.schema import INDEXES, TRIGGERS
from bot.redaction import Redactor
from tests.bench.table import Table, show, times

OURS, RAW = "hvops", "raw sqlite3"
DATA = {
    "line": "/check-writers prod",
    "command": "check-writers",
    "target": "prod",
    "via": "slack",
    "place": "C0OPS",
    "click": None,
}
KEY = bytes(range(32))
LEDGER_ID = "00112233445566aa"


def timed(count: int, work: Callable[[int], object]) -> tuple[float, float, float]:
    """Appends a second, and the median and 99th percentile in milliseconds."""
    took = []
    began = time.perf_counter()
    for number in range(count):
        start = time.perf_counter()
        work(number)
        took.append((time.perf_counter() - start) * 1000)
    return count / (time.perf_counter() - began), statistics.median(took), statistics.quantiles(took, n=100)[98]


def appends_of_hvops(folder: Path, count: int) -> tuple[float, float, float]:
    secrets = Redactor(["a password of the settings", "xoxb-and-a-token"])
    with Ledger(folder / "h.db", folder / "h.key", folder / "anchors.txt", secrets) as ledger:
        return timed(count, lambda _number: ledger.append("T01/U02", Asked(**DATA)))


def appends_of_sqlite(folder: Path, count: int) -> tuple[float, float, float]:
    database = sqlite3.connect(folder / "raw.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body TEXT, mac BLOB)")

    def append(number: int) -> None:
        database.execute("BEGIN IMMEDIATE")
        head = database.execute("SELECT mac FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        body = json.dumps({"seq": number + 1, "at": time.time_ns(), "kind": "asked", "actor": "T01/U02", "data": DATA})
        mac = hmac.digest(KEY, (head[0] if head else FIRST) + body.encode(), "sha256")
        database.execute("INSERT INTO entry VALUES (?, ?, ?)", (number + 1, body, mac))
        database.execute("COMMIT")

    try:
        return timed(count, append)
    finally:
        database.close()


def filled(folder: Path, count: int) -> None:
    """A ledger of that many entries with their anchors, as appends would leave it, without their fsyncs."""
    Ledger(folder / "big.db", folder / "big.key", folder / "big.txt").close()
    key = read_key(folder / "big.key")
    database = sqlite3.connect(folder / "big.db", isolation_level=None)
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    unindexed = [name for name in INDEXES if name.startswith("entry_")]
    for name in unindexed:
        database.execute(f"DROP INDEX {name}")
    database.execute("BEGIN")
    with (folder / "big.txt").open("w") as anchors:
        rows = chain(key, count, lambda anchor: anchors.write(f"{anchor}\n"))
        database.executemany("INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)", rows)
    for name in unindexed:
        database.execute(INDEXES[name].strip())
    for sql in TRIGGERS.values():
        database.execute(sql.strip())
    database.execute("COMMIT")
    database.close()


def chain(key: bytes, count: int, anchored: Callable[[Anchor], object]) -> Iterator[tuple[int, str, bytes, bytes]]:
    data = json.dumps(DATA, sort_keys=True, separators=(",", ":"))
    previous, seal = FIRST, AnchorSeal(key, LEDGER_ID)
    for seq in range(1, count + 1):
        head = f'{{"actor":"T01/U02","at":"2026-03-02T14:00:00.000Z","data":{data},"id":"{seq:032x}"'
        which = f'"ledger":"{LEDGER_ID}",' if seq == 1 else ""
        body = f'{head},"kind":"asked",{which}"seq":{seq},"ticket":null}}'
        mac = entry_mac(key, previous, body.encode())
        yield seq, body, previous, mac
        anchored(seal.sign(seq, mac))
        previous = mac


def proof_of_hvops(folder: Path) -> float:
    with Ledger(folder / "big.db", folder / "big.key", folder / "big.txt") as ledger:
        began = time.perf_counter()
        verdict = ledger.verify()
        took = time.perf_counter() - began
    assert verdict.holds, verdict
    assert verdict.anchors == verdict.entries
    return took


def proof_of_sqlite(folder: Path) -> float:
    key = read_key(folder / "big.key")
    database = sqlite3.connect(folder / "big.db")
    began = time.perf_counter()
    previous = FIRST
    for body, mac in database.execute("SELECT CAST(body AS BLOB), mac FROM entry ORDER BY seq"):
        previous = hmac.digest(key, previous + body, "sha256")
        assert previous == mac
    took = time.perf_counter() - began
    database.close()
    return took


def appends(folder: Path, count: int) -> Table:
    """Appends a second, each one durable."""
    measured = {OURS: appends_of_hvops(folder, count), RAW: appends_of_sqlite(folder, count)}
    raw = measured[RAW][0]
    rows = [
        (name, f"{rate:,.0f}", f"{median:.2f}", f"{worst:.2f}", times(rate / raw))
        for name, (rate, median, worst) in measured.items()
    ]
    title = f"Ledger: {count:,} appends, each its own transaction on the disk"
    return Table(title, ("", "appends/s", "p50 ms", "p99 ms", "rate beside raw"), rows)


def proofs(folder: Path, count: int) -> Table:
    """The proof of that many entries, and of as many anchors."""
    filled(folder, count)
    raw, ours = proof_of_sqlite(folder), proof_of_hvops(folder)
    rows = [
        (name, f"{took:.2f}", f"{count / took:,.0f}", times(took / raw))
        for name, took in ((f"{OURS} audit verify", ours), (f"{RAW}, chain only", raw))
    ]
    title = f"Ledger: proof of {count:,} entries with as many anchors"
    return Table(title, ("", "seconds", "entries/s", "time beside raw"), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--appends", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hvops-bench-") as directory:
        folder = Path(directory)
        show([appends(folder, told.appends), proofs(folder, told.entries)], as_json=told.json)


if __name__ == "__main__":
    main()
