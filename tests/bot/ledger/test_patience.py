"""Anchors on a share whose server is away: neither bytes nor an error come from there, and nobody waits for it."""

from __future__ import annotations

import threading

import pytest
from entry_samples import entry_data

from bot.ledger import anchors, incremental
from bot.ledger.anchors import anchors_in
from bot.ledger.patience import NoAnswer, PatientThread


@pytest.fixture
def away(monkeypatch):
    """Set once the server is back; until then each work that waits for it stands still."""
    monkeypatch.setattr(anchors, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(incremental, "WAIT_SECONDS", 0.05)
    back = threading.Event()
    yield back
    back.set()


def test_what_is_written_down_waits_for_no_share_and_is_anchored_once_it_is_back(ledger, away):
    ledger.append("U1", entry_data("asked"))
    file, begun = ledger._anchors._file, []

    class Away:
        def write(self, line):
            begun.append(line)
            away.wait(30)
            return file.write(line)

        def __getattr__(self, name):
            return getattr(file, name)

    ledger._anchors._file = Away()
    ledger.append("U1", entry_data("asked"))
    assert "the anchor of entry 2 is not written yet: no answer in" in ledger.trouble
    assert ledger.written.seq == 1
    ledger.append("U2", entry_data("stop", {"reason": "power work"}))
    assert ledger.is_stopped()
    assert "the anchor of entry 3 is not written yet" in ledger.trouble
    assert len(begun) == 1  # one thread stands there, however many wait
    away.set()
    ledger.append("U2", entry_data("go"))
    ledger._anchors._thread.submit(lambda: None).result(30)  # behind all of them, however long a busy machine takes
    ledger._anchors.close()
    assert (ledger.trouble, ledger.written.seq) == ("", 4)
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [1, 2, 3, 4]


def test_a_look_at_the_chain_waits_for_no_share(ledger, away, monkeypatch):
    ledger.append("U1", entry_data("asked"))
    monkeypatch.setattr(incremental, "newest", lambda *_: away.wait(30))
    for _ in range(3):
        found = ledger.check_recent()
        assert (found.holds, found.anchored) == (True, None)


def test_what_stands_still_is_asked_nothing_more_and_answers_again_afterwards(away):
    thread, done = PatientThread("test"), []
    with pytest.raises(NoAnswer, match="no answer in"):
        thread.call(lambda: away.wait(30) and done.append(1), 0.05)
    with pytest.raises(NoAnswer, match="has not answered since"):
        thread.call(lambda: done.append(2), 30)
    away.set()
    assert thread.submit(lambda: 3).result(30) == 3
    assert thread.call(lambda: 4, 30) == 4
    assert done == [1]


def test_an_error_of_its_own_is_one(away):
    def fails():
        raise TimeoutError("the server's own")

    with pytest.raises(TimeoutError, match="the server's own"):
        PatientThread("test").call(fails, 30)
