"""What is written of lines that are refused: of each person two at a time, some a minute one by one, and the others as a number."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from bot.dispatch.line_entries import LineEntries
from bot.dispatch.person_rate import PersonRate
from bot.errors import LedgerError
from bot.ledger import Ledger
from bot.ledger.entries import Asked, Refused

WHO, OTHER = "T1/U1", "T1/U2"


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors") as ledger:
        yield ledger


@pytest.fixture
async def entries(ledger):
    """Two refusals of each person are written, and no more come free."""
    made = LineEntries(ledger, PersonRate(2, 60.0, lambda: 0.0))
    yield made
    await made.close()


def refusal(line, **more):
    return Refused(name="jane", line=line, reason="No.", category="not allowed", via="slack", place="C0OPS", **more)


def written(ledger, actor=WHO):
    return ledger.entries(kind="refused", actor=actor, newest_first=False)


class Held:
    """A ledger in which the entries of one person are not written until `release`."""

    def __init__(self, ledger, monkeypatch, actor):
        self.release, self.waiting = threading.Event(), []
        append = ledger.append

        def held(by, data, ticket=None):
            if by == actor:
                self.waiting.append(data.line)
                self.release.wait(30)
            return append(by, data, ticket)

        monkeypatch.setattr(ledger, "append", held)


async def test_whoever_has_many_entries_written_waits_for_themselves_alone(ledger, monkeypatch):
    held, entries = Held(ledger, monkeypatch, WHO), LineEntries(ledger)
    mine = [asyncio.create_task(entries.write(WHO, Asked(line=f"/hvops {number}"))) for number in range(20)]
    try:
        async with asyncio.timeout(10):
            await entries.write(OTHER, Asked(line="/hvops status"))
            await entries.refuse(OTHER, refusal("/repair hv03"))
        assert len(held.waiting) == 2
        assert len(ledger.entries()) == 2
    finally:
        held.release.set()
    await asyncio.gather(*mine)
    assert len(ledger.entries(actor=WHO)) == 20
    await entries.close()


async def test_beyond_some_a_minute_refusals_are_a_number(ledger, entries):
    for number in range(7):
        await entries.refuse(WHO, refusal(f"/repair {number}"))
    await entries.refuse(OTHER, refusal("/repair hv03"))
    assert [one.line for one in written(ledger)] == ["/repair 0", "/repair 1"]
    assert [one.line for one in written(ledger, OTHER)] == ["/repair hv03"]
    await entries.close()
    number = written(ledger)[2]
    assert number.line == "/repair 2"
    assert number.reason.startswith("5 more lines of this person refused shortly after one another")
    assert (number.name, number.data.via, number.data.place) == ("jane", "slack", "C0OPS")
    assert number.data.category == "not answered"
    assert len(written(ledger)) == 3


async def test_the_number_is_written_while_the_bot_runs_and_counted_anew_then(ledger):
    entries = LineEntries(ledger, PersonRate(0, 60.0, lambda: 0.0), counted_seconds=0.01)
    for count in (1, 2):
        await entries.refuse(WHO, refusal(f"/repair {count}"))
        async with asyncio.timeout(10):
            while len(written(ledger)) < count:  # noqa: ASYNC110 - a task of its own writes it
                await asyncio.sleep(0.001)
    assert [one.reason[:11] for one in written(ledger)] == ["1 more line"] * 2
    await entries.close()


@pytest.mark.parametrize("more", [{"click": 7}, {"asked": 7}])
async def test_what_ends_a_press_or_a_line_that_was_asked_is_always_written(ledger, entries, more):
    for number in range(7):
        await entries.refuse(WHO, refusal(f"/repair {number}", **more))
    await entries.refuse(WHO, refusal("button show"), always=True)
    assert len(written(ledger)) == 8


async def test_a_number_that_cannot_be_written_ends_nothing(ledger, monkeypatch):
    entries = LineEntries(ledger, PersonRate(0, 60.0, lambda: 0.0))
    await entries.refuse(WHO, refusal("/repair hv03"))

    def fails(*_):
        raise LedgerError("The disk is full.")

    monkeypatch.setattr(ledger, "append", fails)
    await entries.close()
    assert not written(ledger)


@pytest.mark.parametrize("more", [0, 2])
async def test_a_number_that_cannot_be_written_is_part_of_the_next_one(ledger, monkeypatch, more):
    """The ledger was locked, or its database away, in the very moment in which the number was due."""
    entries = LineEntries(ledger, PersonRate(0, 60.0, lambda: 0.0), counted_seconds=0.5)
    real, failed = ledger.append, 0

    def fails_once(*args):
        nonlocal failed
        failed += 1
        if failed == 1:
            for _ in range(more):  # while it is being written
                asyncio.run_coroutine_threadsafe(entries.refuse(WHO, refusal("/repair hv04")), loop).result()
            raise LedgerError("The database is locked.")
        return real(*args)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(ledger, "append", fails_once)
    for _ in range(3):
        await entries.refuse(WHO, refusal("/repair hv03"))
    async with asyncio.timeout(10):
        while not written(ledger):  # noqa: ASYNC110 - a task of its own writes it
            await asyncio.sleep(0.001)
    await entries.close()
    assert [(one.line, one.reason[:12]) for one in written(ledger)] == [("/repair hv03", f"{3 + more} more lines")]


async def begun_to_write(ledger, monkeypatch, count):
    """What writes the number of so many refusals, and a ledger that is at it: nothing of it is counted any more."""
    held = Held(ledger, monkeypatch, WHO)
    entries = LineEntries(ledger, PersonRate(0, 60.0, lambda: 0.0), counted_seconds=0.0)
    for number in range(count):
        await entries.refuse(WHO, refusal(f"/repair {number}"))
    async with asyncio.timeout(10):
        while not held.waiting:  # noqa: ASYNC110 - a thread comes to it
            await asyncio.sleep(0.001)
    assert not entries._counted
    return held, entries


async def test_the_end_waits_for_a_number_that_is_being_written(ledger, monkeypatch):
    held, entries = await begun_to_write(ledger, monkeypatch, 3)
    try:
        closing = asyncio.create_task(entries.close())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not closing.done()
    finally:
        held.release.set()
    await closing
    assert [one.reason[:12] for one in written(ledger)] == ["3 more lines"]


async def test_a_number_that_the_end_does_not_wait_for_any_longer_is_in_the_log(ledger, monkeypatch):
    monkeypatch.setattr("bot.dispatch.line_entries._CLOSING_SECONDS", 0.05)
    held, entries = await begun_to_write(ledger, monkeypatch, 3)
    (writing,) = entries._writing
    try:
        with capture_logs() as logged:
            async with asyncio.timeout(10):
                await entries.close()
        assert writing.cancelled()
        assert [(one["actor"], one["lines"]) for one in logged] == [(WHO, 3)]
    finally:
        held.release.set()
