"""What the bot does when it starts."""

from __future__ import annotations

import pytest

from bot.app import looked_over
from bot.ledger import Ledger, incremental


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A ledger whose chain takes several looks."""
    monkeypatch.setattr(incremental, "SHORT", 0)
    monkeypatch.setattr(incremental, "AT_ONCE", 3)
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as made:
        for number in range(10):
            made.append("refused", "U1", {"line": f"/x {number}", "why": "no", "kind": "usage"})
        yield made


async def test_the_whole_chain_is_looked_over_when_the_bot_starts(ledger):
    first = ledger.look()
    assert (first.to, first.of) == (3, 10)
    await looked_over(ledger)
    ledger.append("refused", "U1", {"line": "/x", "why": "no", "kind": "usage"})
    assert (ledger.look().to, ledger.look().of) == (11, 11)


async def test_a_chain_that_is_broken_does_not_keep_the_bot_from_starting(ledger, monkeypatch):
    looks = []
    honest = ledger.look

    def broken():
        looks.append(1)
        return incremental.replace(honest(), broken_at=2, says="it was changed")

    monkeypatch.setattr(ledger, "look", broken)
    await looked_over(ledger)
    assert looks == [1]
