"""A ledger in a directory of its own, and a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.ledger import Ledger
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


@pytest.fixture
def opened(tmp_path: Path, clock: Clock):
    """A function that opens the ledger of this test, again and again; all are closed at the end."""
    ledgers: list[Ledger] = []

    def open_ledger(folder: Path = tmp_path, **options) -> Ledger:
        ledger = Ledger(
            folder / "ledger.db",
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
