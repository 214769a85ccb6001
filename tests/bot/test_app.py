"""What the bot does when it starts."""

from __future__ import annotations

import pytest
from entry_samples import entry_data

from bot.app import precheck_ledger
from bot.ledger import Ledger, incremental


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A ledger whose chain takes several looks."""
    monkeypatch.setattr(incremental, "SHORT", 0)
    monkeypatch.setattr(incremental, "AT_ONCE", 3)
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as made:
        for number in range(10):
            made.append(
                "U1", entry_data("refused", {"line": f"/x {number}", "reason": "no", "category": "not understood"})
            )
        yield made


async def test_the_whole_chain_is_looked_over_when_the_bot_starts(ledger):
    first = ledger.check_recent()
    assert (first.to, first.of) == (3, 10)
    await precheck_ledger(ledger)
    ledger.append("U1", entry_data("refused", {"line": "/x", "reason": "no", "category": "not understood"}))
    assert (ledger.check_recent().to, ledger.check_recent().of) == (11, 11)


async def test_a_chain_that_is_broken_does_not_keep_the_bot_from_starting(ledger, monkeypatch):
    looks = []
    honest = ledger.check_recent

    def broken():
        looks.append(1)
        return incremental.replace(honest(), broken_at=2, says="it was changed")

    monkeypatch.setattr(ledger, "check_recent", broken)
    await precheck_ledger(ledger)
    assert looks == [1]
