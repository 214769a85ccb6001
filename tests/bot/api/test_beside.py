import asyncio
import os
import threading
from contextvars import ContextVar

import pytest

from bot.api.beside import beside, for_a_question_of
from bot.transport.turns import RUNS, asking_as

# As many as Python's own threads, and some.
MANY = (os.cpu_count() or 1) + 8


async def test_however_long_questions_take_nobody_else_waits_for_them():
    """The ledger is written, approvals are decided and runs are looked after on the threads that everybody shares."""
    may_end, begun = threading.Event(), threading.Event()

    def takes_long():
        begun.set()
        may_end.wait(60)
        return threading.current_thread()

    async def asked(person):
        with asking_as(person):
            return await beside(takes_long)

    questions = [asyncio.create_task(asked(f"U{number}")) for number in range(MANY)]
    try:
        await asyncio.to_thread(begun.wait, 60)
        assert await asyncio.to_thread(lambda: "written") == "written"
        with asking_as(RUNS):
            assert await beside(lambda: "looked at") == "looked at"
        assert await beside(lambda: "of hvops itself") == "of hvops itself"
    finally:
        may_end.set()
    assert 1 <= len(set(await asyncio.gather(*questions))) <= 4


async def test_one_person_has_one_thread_at_a_time_and_another_waits_for_none_of_theirs():
    """Four questions at a time, each with seconds of work in it: that person waits, and nobody else."""
    may_end, working = threading.Event(), set()
    most = 0

    def takes_long(number):
        nonlocal most
        working.add(number)
        most = max(most, len(working))
        may_end.wait(60)
        working.discard(number)

    async def asked(person, work, *args):
        with asking_as(person):
            return await beside(work, *args)

    mine = [asyncio.create_task(asked("U1", takes_long, number)) for number in range(MANY)]
    try:
        assert await asked("U2", lambda: "at once") == "at once"
        assert await asked("U3", lambda: "at once") == "at once"
    finally:
        may_end.set()
    await asyncio.gather(*mine)
    assert most == 1


async def test_who_waits_no_more_gives_the_thread_back_once_its_work_has_ended():
    may_end, begun, told = threading.Event(), threading.Event(), []

    def takes_long():
        begun.set()
        may_end.wait(60)
        told.append("the first has ended")

    with asking_as("U1"):
        given_up = asyncio.create_task(beside(takes_long))
        await asyncio.to_thread(begun.wait, 60)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        next_one = asyncio.create_task(beside(lambda: told.append("the next")))
        given_up_too = asyncio.create_task(beside(lambda: told.append("never")))
        await asyncio.sleep(0)
        given_up_too.cancel()
        assert told == []
        may_end.set()
        await next_one
    assert told == ["the first has ended", "the next"]


@pytest.mark.parametrize("person", ["U1", ""])
async def test_work_knows_what_its_task_knows_and_its_errors_arrive(person):
    told = ContextVar("told", default="")
    told.set("by the task")

    def fails(*, why):
        raise ValueError(why)

    with for_a_question_of(person):
        assert await beside(told.get) == "by the task"
        with pytest.raises(ValueError, match="so it is"):
            await beside(fails, why="so it is")
