"""What a site's worker can answer that takes time: none of it is looked at on the bot's loop, and others have their turn."""

import asyncio
import time
import uuid
from datetime import UTC, datetime

import pytest
from site_queue import CountingMachines, Running, action, errand

from bot.api.queries import Wql
from bot.transport.client import QueryResult
from bot.transport.errand import carrying_out
from bot.transport.sites import client as sited
from bot.transport.sites import queue
from bot.transport.sites.database import Clock
from bot.transport.sites.messages import join_part
from bot.transport.sites.queue import Pending, Site
from bot.transport.sites.signing import SiteKey

HOST = "branch1-1"


def pending_of(key, reads, most=1):
    clock = Clock(told=datetime.now(UTC), heard=time.monotonic())
    return Pending(uuid.uuid4(), "questions", Site("branch1", "login", key), clock, most=most, reads=reads)


def part_of(pending, number, numbers, texts):
    body = join_part({"site": "branch1", "id": str(pending.id), "part": number}, numbers, texts)
    return number, body, pending.site.key.sign_reply(body)


async def test_of_many_short_answers_none_is_read_on_the_loop():
    read = []
    pending = pending_of(
        SiteKey.of("branch1", bytes(32)), lambda *_: read.append(asyncio._get_running_loop() is not None), 2_500
    )
    await queue._take(pending, *part_of(pending, 0, range(2_500), ["{}"] * 2_500))
    assert read == [False] * 2_500


async def test_between_short_parts_others_have_their_turn():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    pending = pending_of(SiteKey.of("branch1", bytes(32)), lambda text, _clock: text, 200)
    beside = asyncio.create_task(others())
    for number in range(200):
        await queue._take(pending, *part_of(pending, number, [number], ["{}"]))
    beside.cancel()
    assert len(pending.answers) == 200
    assert turns >= 200


@pytest.mark.parametrize("wide", [180, 1])
async def test_of_180_000_ids_few_are_remembered_and_none_is_looked_at_on_the_loop(place, asking, monkeypatch, wide):
    """A cluster has eight thousand at most; what was remembered of each held the loop, and so did many in few rows."""
    ids = [str(uuid.UUID(int=number)) for number in range(180_000)]
    rows = [{f"c{n}": one for n, one in enumerate(ids[at : at + wide])} for at in range(0, 40_000 * wide, wide)]
    rows = rows[: 180_000 // wide][:40_000]
    looked, look = [], sited._ids_in

    def noting(rows):
        looked.append(asyncio._get_running_loop() is not None)
        return look(rows)

    class Talkative(CountingMachines):
        async def answer(self, question, seconds):
            return QueryResult(tuple(rows), "", question.on)

    monkeypatch.setattr(sited, "_ids_in", noting)
    async with asking() as client, Running(place, "branch1", Talkative()):
        await client.answer(Wql(HOST, "root/virtualization/v2", "Msvm_ComputerSystem", ("Name",)))
        assert 0 < len(client._guests["branch1"]) <= 10_000
    assert looked == [False]


async def test_what_a_row_says_of_its_state_is_fetched_in_part(asking, admin):
    """Who may write the tables is bound by no rule of theirs."""
    act = action(HOST)
    async with asking() as client:
        with carrying_out(errand(act)):
            acting = asyncio.create_task(client.invoke(act, 60))
        async with asyncio.timeout(30):
            while not (found := admin.execute("SELECT id FROM task").fetchall()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        admin.execute("ALTER TABLE task DROP CONSTRAINT task_state_check")
        admin.execute("UPDATE task SET state = repeat('x', 1000000)")
        assert len(await client.queue.withdraw(found[0][0], client.queue.sites["branch1"])) < 1_000
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
