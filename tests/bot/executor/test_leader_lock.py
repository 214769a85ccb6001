"""A lock counts for those who open the same file: one whose file was taken away stops acting, and says so."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os

import pytest

from bot.errors import LedgerError
from bot.executor.leader_lock import LeaderLock

pytestmark = pytest.mark.sqlite  # in a database there is no such file: tests/bot/executor/test_ownership.py


def taken_away(path, how):
    path.unlink()
    if how == "replaced":
        path.touch()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_lock_whose_file_was_taken_away_is_held_no_more(tmp_path, how):
    lock = LeaderLock(tmp_path / "ledger.db")
    assert lock.acquire()
    lock.must_be_held()
    taken_away(lock.path, how)
    with pytest.raises(LedgerError, match=f"was {how} while this process held it"):
        lock.must_be_held()
    assert (lock.is_held, lock.acquire()) == (False, False)
    other = LeaderLock(tmp_path / "ledger.db")
    assert other.acquire()
    for one in (lock, other):
        one.close()


def test_a_file_that_was_replaced_before_it_was_locked_gives_no_right(tmp_path):
    lock = LeaderLock(tmp_path / "ledger.db")
    taken_away(lock.path, "replaced")
    assert not lock.acquire()
    lock.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_lock_that_another_account_made_is_no_lock_and_that_is_said(tmp_path):
    """Whoever owns it could hold it for good: nothing would run, and nobody would know why."""
    planted = tmp_path / "ledger.db.runner"
    planted.touch()
    os.chown(planted, 12_345, -1)
    (tmp_path / "ledger.db").touch()
    with planted.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        lock = LeaderLock(tmp_path / "ledger.db")
        assert not lock.acquire()
        assert f"{planted} belongs to another account (uid 12345)" in lock.trouble
        assert f"run: rm {planted}" in lock.trouble
        with pytest.raises(LedgerError, match="belongs to another account"):
            lock.must_be_held()
    assert not lock.acquire()  # held by nobody now, and theirs all the same
    lock.close()
    os.chown(tmp_path / "ledger.db", 12_345, -1)  # root looks at the files of the bot's account
    lock = LeaderLock(tmp_path / "ledger.db")
    assert (lock.acquire(), lock.trouble) == (True, "")
    lock.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_lock_of_another_account_that_cannot_even_be_opened_is_said_too(tmp_path, monkeypatch):
    """As the kernel refuses it in a folder that many write to (fs.protected_regular)."""
    planted = tmp_path / "ledger.db.runner"
    planted.touch()
    os.chown(planted, 12_345, -1)

    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", refused)
    lock = LeaderLock(tmp_path / "ledger.db")
    assert not lock.acquire()
    assert f"{planted} belongs to another account (uid 12345)" in lock.trouble
    lock.close()


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_of_two_processes_only_the_one_with_the_right_file_goes_on(benches, world, how):
    """The file goes while the first step is under way: the other process takes the ticket up, and nothing is done twice."""
    first = benches()
    ticket = await first.approved()
    busy = asyncio.Event()

    def gone():
        taken_away(first.runner._only.path, how)
        busy.set()

    world.hooks[1] = gone
    await first.runner.tick()
    await busy.wait()
    third = benches()  # opens the file that is there now
    await asyncio.gather(first.runner.wait_idle(), third.runs(sweeps=3))
    await first.runs(sweeps=2)
    await third.runs(sweeps=3)
    assert all(times == 1 for times in world.acts.values()), world.order
    assert third.last(ticket).kind == "done"
    assert not first.runner.is_leader
    assert "This process no longer runs anything" in first.runner.trouble


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_before_each_step_the_lock_is_compared_with_its_path(bench, world, how):
    """Nobody else has taken the ticket up yet, and no sweep has looked: the run itself stops."""
    ticket = await bench.approved()
    world.hooks[1] = lambda: taken_away(bench.runner._only.path, how)
    await bench.runner.tick()
    await bench.runner.wait_idle()
    assert len(world.order) == 1
    assert bench.kinds(ticket)[-2:] == ["intent", "outcome"]
    assert not bench.runner.is_leader


async def test_a_process_that_lost_its_lock_begins_nothing_and_says_so_at_each_open_ticket(bench, world):
    await bench.runs()
    ticket = await bench.approved()
    bench.runner._only.path.unlink()
    await bench.runs(sweeps=3)
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    told = [one for one in bench.told if one.kind == "stopped"]
    assert [one.ticket for one in told] == [ticket]
    assert "restart hvops" in told[0].says
