"""A ledger in a directory of its own, and a clock that a test moves."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.ledger import Ledger
from bot.ledger_place import Database, Place
from bot.redaction import Redactor


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    def later(self, minutes: float) -> str:
        return (self.now + timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, tmp_path: Path) -> Place:
    """Where the ledger of this test is: for each store, so that the test runs on both."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    return request.getfixturevalue("postgresql_cluster").database()


@pytest.fixture
def place(request, tmp_path: Path) -> Place:
    """Where the ledger of this test is. A file of tests that hold for both stores says that it is `either`.

    STORE=postgresql runs the others on it, those that look into a file of SQLite's left out: `make test-postgres`.
    """
    if os.environ.get("STORE") == "postgresql":
        return request.getfixturevalue("postgresql_cluster").database()
    return tmp_path / "ledger.db"


@pytest.fixture
def child_environment(place: Place) -> dict[str, str]:
    """For a process that opens the ledger of this test: where it is, unless that is the usual file."""
    return os.environ | ({"DATABASE": place.url} if isinstance(place, Database) else {})


@pytest.fixture
def opened(tmp_path: Path, clock: Clock, place: Place):
    """A function that opens the ledger of this test, again and again; all are closed at the end."""
    ledgers: list[Ledger] = []

    def open_ledger(folder: Path = tmp_path, **options) -> Ledger:
        ledger = Ledger(
            folder / "ledger.db" if isinstance(place, Path) else place,
            folder / "ledger.key",
            folder / "anchors.txt",
            options.pop("mask", Redactor(["hunter2"])),
            options.pop("clock", clock),
            monotonic=options.pop("monotonic", lambda: 0.0),
        )
        ledgers.append(ledger)
        return ledger

    yield open_ledger
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(opened) -> Ledger:
    return opened()
