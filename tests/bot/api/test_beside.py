import asyncio
import os
import threading
from contextvars import ContextVar

import pytest

from bot.api.beside import beside, for_a_question
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
    assert 1 <= len(set(await asyncio.gather(*questions))) <= 2


@pytest.mark.parametrize("is_one", [True, False])
async def test_work_knows_what_its_task_knows_and_its_errors_arrive(is_one):
    told = ContextVar("told", default="")
    told.set("by the task")

    def fails(*, why):
        raise ValueError(why)

    with for_a_question(is_one=is_one):
        assert await beside(told.get) == "by the task"
        with pytest.raises(ValueError, match="so it is"):
            await beside(fails, why="so it is")
