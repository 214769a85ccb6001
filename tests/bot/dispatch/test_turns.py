import asyncio

import pytest

from bot.dispatch.turns import WAITING, Turns
from bot.errors import TooManyQuestions


class Line:
    """Lines of people that end when they are told to."""

    def __init__(self, most=4, seconds=30.0):
        self.turns = Turns(most, seconds)
        self.under_way = []
        self.ends = asyncio.Event()

    async def asks(self, who):
        async with self.turns.take(who):
            self.under_way.append(who)
            try:
                await self.ends.wait()
            finally:
                self.under_way.remove(who)

    def begin(self, who, count):
        return [asyncio.create_task(self.asks(who)) for _ in range(count)]


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_so_many_are_under_way_some_wait_and_the_others_are_told_at_once():
    line = Line()
    flood = line.begin("U1", 60)
    await settled()
    assert line.under_way == ["U1"] * 4
    refused = [task for task in flood if task.done()]
    assert len(refused) == 60 - 4 - WAITING
    for one in refused:
        with pytest.raises(TooManyQuestions, match=r"You have 4 questions in progress and 12 waiting.*not run"):
            one.result()
    other = line.begin("U2", 1)
    await settled()
    assert line.under_way.count("U2") == 1
    line.ends.set()
    await asyncio.gather(*(task for task in (*flood, *other) if task not in refused))
    assert line.turns._people == {}
    line.ends.clear()
    again = line.begin("U1", 1)
    await settled()
    assert line.under_way == ["U1"]
    line.ends.set()
    await asyncio.gather(*again)


async def test_the_wait_has_an_end():
    line = Line(most=1, seconds=0.05)
    first = line.begin("U1", 1)
    await settled()
    with pytest.raises(TooManyQuestions, match="none of them was answered within"):
        await line.asks("U1")
    line.ends.set()
    await asyncio.gather(*first)
    assert line.turns._people == {}


async def test_who_gives_up_leaves_the_place():
    line = Line(most=1)
    first, second, third = line.begin("U1", 3)
    await settled()
    second.cancel()
    first.cancel()
    await settled()
    assert not third.done()
    assert line.turns._people["U1"].inside == 1
    line.ends.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert line.turns._people == {}
