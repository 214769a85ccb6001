"""Anchors on a share whose server is away: neither bytes nor an error come from there, and nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
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


class Share:
    """An anchor file whose writes stand still until the server is back."""

    def __init__(self, file, back):
        self.file, self.back, self.begun = file, back, []

    def write(self, lines):
        self.begun.append(lines)
        self.back.wait(30)
        return self.file.write(lines)

    def __getattr__(self, name):
        return getattr(self.file, name)


def until_begun(share):
    """Until the thread that writes stands there."""
    while not share.begun:
        time.sleep(0.001)


def test_what_is_written_down_waits_for_no_share_and_is_anchored_once_it_is_back(opened, away):
    now = [0.0]
    ledger = opened(monotonic=lambda: now[0])
    ledger.append("U1", entry_data("asked"))
    assert ledger.settle_anchors() == ""
    share = ledger._anchors._file = Share(ledger._anchors._file, away)
    ledger.append("U1", entry_data("asked"))
    assert ledger.trouble == ""
    now[0] = 5.0
    assert "the anchor of entry 2 is not written yet: no answer in" in ledger.trouble
    assert ledger.written.seq == 1
    ledger.append("U2", entry_data("stop", {"reason": "power work"}))
    assert ledger.is_stopped()
    until_begun(share)
    assert "the anchor of entry 2 is not written yet: no answer in" in ledger.settle_anchors()
    assert len(share.begun) == 1  # one thread stands there, however many wait
    away.set()
    ledger.append("U2", entry_data("go"))
    ledger._anchors._thread.submit(lambda: None).result(30)  # behind all of them, however long a busy machine takes
    assert (ledger.trouble, ledger.written.seq) == ("", 4)
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [1, 2, 3, 4]


def test_no_append_waits_for_its_anchor(ledger, monkeypatch):
    """A share that takes two seconds for each write would delay each press by two seconds, and those behind it by more."""
    waited = []
    monkeypatch.setattr(PatientThread, "wait", lambda _, future, seconds: waited.append(seconds) or future.result(30))
    for _ in range(3):
        ledger.append("U1", entry_data("asked"))
    assert waited == []
    ledger.settle_anchors()
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [1, 2, 3]


def test_a_slow_share_gets_what_waits_for_it_with_one_write(opened, away):
    """Else it would never come to the end of what is appended, and each start would wait for all of it."""
    ledger = opened()
    share = ledger._anchors._file = Share(ledger._anchors._file, away)
    ledger.append("U1", entry_data("asked"))
    until_begun(share)
    for _ in range(45):
        ledger.append("U1", entry_data("asked"))
    away.set()
    ledger._anchors._thread.submit(lambda: None).result(30)
    assert [lines.count(b"\n") for lines in share.begun] == [1, 30, 15]
    assert all(len(lines) < 4096 for lines in share.begun)  # what a pipe takes at once
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [*range(1, 47)]


def test_the_end_of_a_bot_writes_what_waits_and_waits_for_no_share_that_is_away(opened, away):
    ledger = opened()
    ledger.append("U1", entry_data("asked"))
    ledger.close()
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [1]
    again = opened()
    share = again._anchors._file = Share(again._anchors._file, away)
    again.append("U1", entry_data("asked"))
    until_begun(share)
    again.close()
    assert not away.is_set()
    assert [one.seq for one in anchors_in(ledger.anchor_file)] == [1]


def test_a_bot_begins_on_no_share_that_is_away_and_says_so(opened, away, monkeypatch):
    monkeypatch.setattr(anchors, "OPEN_SECONDS", 0.05)
    monkeypatch.setattr("bot.ledger.ledger.newest", lambda *_: away.wait(30))
    with pytest.raises(LedgerError, match=r"anchors.txt: no answer in 0 s from the anchor file. Check the share"):
        opened()


async def test_who_waits_for_the_file_on_a_loop_takes_no_thread_of_others(away):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    thread, done = PatientThread("test"), []
    asking = asyncio.create_task(thread.ask(lambda: away.wait(30) and 7, 30))
    behind = asyncio.create_task(thread.ask(lambda: done.append(1), 30))
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(lambda: 3) == 3
    behind.cancel()
    await asyncio.wait((behind,))
    with pytest.raises(NoAnswer, match="no answer in"):
        await thread.ask(lambda: done.append(2), 0.05)
    with pytest.raises(NoAnswer, match="has not answered since"):
        await thread.ask(lambda: done.append(3), 30)
    away.set()
    assert await asking == 7
    assert await thread.ask(lambda: 4, 30) == 4
    assert done == []  # what nobody waited for any more was not begun


def test_a_look_at_the_chain_waits_for_no_share(ledger, away, monkeypatch):
    ledger.append("U1", entry_data("asked"))
    monkeypatch.setattr(incremental, "newest", lambda *_: away.wait(30))
    for _ in range(3):
        found = ledger.check_recent()
        assert (found.holds, found.anchored) == (True, None)


def test_a_look_at_the_chain_waits_for_a_slow_share_once_and_goes_by_what_it_said_last(ledger, away, monkeypatch):
    ledger.append("U1", entry_data("asked"))
    ledger.settle_anchors()
    monkeypatch.setattr(incremental, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(incremental, "WAIT_SECONDS", 30.0)
    assert ledger.check_recent().anchored
    monkeypatch.setattr(incremental, "newest", lambda *_: away.wait(30) and None)
    found = ledger.check_recent()
    assert (found.holds, found.anchored, away.is_set()) == (True, True, False)


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
