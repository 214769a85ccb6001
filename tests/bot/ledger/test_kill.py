"""A process that dies at its n-th append, just before or just after the commit, leaves a ledger that holds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest
from entry_samples import entry_data

CHILD = """
import os, signal, sys
from pathlib import Path
from bot.ledger import Ledger
from bot.ledger.entries import parse
from bot.ledger.postgresql_store import PostgresqlStore
from bot.ledger.store import Store
from bot.ledger_place import Database

folder, when, doomed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
place = Database(os.environ["DATABASE"]) if "DATABASE" in os.environ else folder / "ledger.db"
kind = PostgresqlStore if isinstance(place, Database) else Store
original = kind.insert
count = 0

def insert(self, seq, body, previous, mac):
    global count
    original(self, seq, body, previous, mac)
    count += 1
    if when == "before" and count == doomed:
        os.kill(os.getpid(), signal.SIGKILL)

kind.insert = insert
ledger = Ledger(place, folder / "ledger.key", folder / "anchors.txt")
far = "2999-01-01T00:00:00Z"
work = [
    ("asked", None, {"line": ""}),
    ("proposed", None, {
        "line": "", "command": "", "target": "", "places": [], "risk": "high", "policy": "approval", "open_until": far,
        "start_minutes": 30, "version": "1", "digest": "d", "plan": {},
    }),
    ("approved", "T-1", {"by": "U2", "digest": "d", "start_by": far}),
    ("started", "T-1", {"attempt": 1, "locks": ["cluster:prod"]}),
    ("intent", "T-1", {"step": "drain", "round": 1, "attempt": 1, "description": ""}),
    ("outcome", "T-1", {"step": "drain", "round": 1, "attempt": 1, "result": "done", "message": ""}),
    ("done", "T-1", {"attempt": 1, "message": ""}),
]
for kind, ticket, data in work:
    entry = ledger.append("U2" if kind == "approved" else "U1", parse(kind, data), ticket)
    print(entry.seq, flush=True)
    if when == "after" and entry.seq == doomed:
        os.kill(os.getpid(), signal.SIGKILL)
"""
KINDS = ["asked", "proposed", "approved", "started", "intent", "outcome", "done"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("doomed", range(1, 8))
def test_death_at_the_nth_append(tmp_path, opened, child_environment, when, doomed):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), when, str(doomed)],
        env=child_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    promised = [int(line) for line in child.stdout.split()]
    ledger = opened()
    kept = ledger.entries(newest_first=False)
    # What was promised is there, what was not committed is not, and nothing is there in part.
    assert [entry.seq for entry in kept] == promised
    assert len(kept) == doomed - (when == "before")
    assert [entry.kind for entry in kept] == KINDS[: len(kept)]
    assert ledger.verify().holds
    ledger.append("U1", entry_data("asked"))
    assert ledger.verify().holds


WRITER = """
import os, sys
from pathlib import Path
from bot.ledger import Ledger
from bot.ledger.entries import Asked
from bot.ledger_place import Database
folder = Path(sys.argv[1])
place = Database(os.environ["DATABASE"]) if "DATABASE" in os.environ else folder / "ledger.db"
ledger = Ledger(place, folder / "ledger.key", folder / "anchors.txt")
number = 0
while True:
    number += 1
    sys.stdout.write(f"{ledger.append('U1', Asked(line=str(number))).seq}\\n")
    sys.stdout.flush()
"""


def test_death_at_any_moment_keeps_every_promise(tmp_path, opened, child_environment):
    """Killed after a random number of promises, several lives in a row: none of them is ever broken."""
    promised = 0
    for life in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment, text=True)
        for _ in range(random.Random(life).randint(1, 60)):
            promised = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        last_words = child.communicate()[0].split()
        promised = max([promised, *map(int, last_words)])
        ledger = opened()
        assert ledger.head().seq in (promised, promised + 1)  # committed, and killed before it could say so
        promised = ledger.head().seq
        assert ledger.verify().holds
        ledger.close()
