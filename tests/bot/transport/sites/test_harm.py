"""Bots and workers that are killed, a database that goes away, connections that lie: nothing is done twice, nothing stays silent.

Acts are counted by the machines, not by the queue. `SITE_KILLS=200` kills more often.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import site_queue
from site_queue import CountingMachines, Running, action, errand, question
from tcp_proxy import Proxy

from bot.errors import NotBegun, OutcomeUnknown, TargetError
from bot.ledger import Ledger
from bot.ledger_place import Database
from bot.transport.errand import carrying_out
from tests.support.postgresql import cluster

pytestmark = pytest.mark.postgresql
WORKERS = 0, 1  # of the processes that are killed; the others are bots
KILLS = int(os.environ.get("SITE_KILLS", "12"))
ROOT = Path(__file__).parents[4]


async def until(condition):
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - other processes bring it about
            await asyncio.sleep(0.02)


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


def lines(notes):
    """Whole lines: a process may be writing one."""
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


@pytest.fixture
def start(place, notes, tmp_path):
    """Start a bot or a worker as a process of its own; all are ended."""
    begun = []

    def starting(role, **told):
        keys = {site: key.hex() for site, key in place.keys.items()}
        usual = {"bot": place.bot.url, "logins": place.logins, "keys": keys, "password": place.password}
        told = usual | {"role": role, "notes": str(notes), "until": str(tmp_path / "until")} | told
        told |= {"site": "branch1", "seconds": told.get("seconds", 0.05)}
        child = subprocess.Popen([sys.executable, "-m", "tests.support.site_child", json.dumps(told)], cwd=ROOT)
        begun.append(child)
        return child

    starting.notes = notes
    yield starting
    for child in begun:
        child.kill()
        child.wait()


def acts(notes):
    return Counter(line["act"] for line in lines(notes) if "act" in line)


def begun(notes):
    """The processes that are connected."""
    return {line.get("works") or line.get("asks") for line in lines(notes)}


async def not_the_last_worker(which, running, notes):
    """Wait, before one of the two is killed, for the other: a site whose workers are all away for ten seconds has none.

    hvops says so then, which is an answer to no question.
    """
    if which in WORKERS:
        await until(lambda: running[1 - which].pid in begun(notes))


@pytest.mark.parametrize("ends", [("taken", NotBegun, 0), ("begun", OutcomeUnknown, 0), ("acted", OutcomeUnknown, 1)])
async def test_a_worker_that_is_killed_leaves_an_action_as_it_was(place, asking, start, ends):
    (die_at, fate, done), act, machines = ends, action("branch1-1"), CountingMachines()
    async with asking() as client:
        child = start("worker", die_at=die_at)
        await until(lambda: any("works" in line for line in lines(start.notes)))
        with carrying_out(errand(act)):
            waiting = asyncio.create_task(client.invoke(act, 8))
            await asyncio.to_thread(child.wait, 30)
            async with Running(place, "branch1", machines):  # which does nothing that the other one left
                with pytest.raises(fate):
                    await waiting
                await client.answer(question("branch1-1"))
    assert child.returncode == -signal.SIGKILL
    assert acts(start.notes).total() == done
    assert machines.acts == {}


async def test_the_question_of_a_worker_that_is_killed_is_answered_by_another(place, asking, start):
    async with asking() as client:
        child = start("worker", die_at="asked")
        await until(lambda: any("works" in line for line in lines(start.notes)))
        asked = asyncio.create_task(client.answer(question("branch1-1")))
        await asyncio.to_thread(child.wait, 30)
        async with Running(place, "branch1", CountingMachines()):
            assert (await asked).by == "branch1-1"


@pytest.mark.parametrize("die_at", ["queued", "taken", "begun"])
async def test_the_action_of_a_bot_that_is_killed_is_done_once_or_never(asking, admin, start, die_at):
    async with asking() as client:
        if die_at != "queued":
            start("worker", seconds=1.0)
            await until(lambda: any("works" in line for line in lines(start.notes)))
        child = start("dying bot", die_at=die_at)
        await asyncio.to_thread(child.wait, 60)
        if die_at == "queued":  # a bot that is not heard of wants nothing: what it had put lapses
            await until(
                lambda: admin.execute("SELECT bool_and(wanted_until < clock_timestamp()) FROM task").fetchone()[0]
            )
            start("worker")
            await until(lambda: any("works" in line for line in lines(start.notes)))
        await client.answer(question("branch1-1"))
        await until(lambda: admin.execute("SELECT count(*) FROM task WHERE state = 'begun'").fetchone() == (0,))
    assert acts(start.notes).total() <= 1
    assert die_at != "queued" or acts(start.notes).total() == 0


async def test_killed_again_and_again_nothing_is_done_twice_and_nothing_stays_silent(asking, admin, start, tmp_path):
    async with asking():
        roles = ["worker", "worker", "bot", "bot"]
        running = [start(role) for role in roles]
        await until(lambda: sum("works" in line or "asks" in line for line in lines(start.notes)) >= 4)
        chance = random.Random(7)
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.2, 0.8))
            which = chance.randrange(4)
            await not_the_last_worker(which, running, start.notes)
            running[which].kill()
            running[which].wait()
            running[which] = start(roles[which])
        (tmp_path / "until").touch()
        for child in running[2:]:
            await asyncio.to_thread(child.wait, 120)
    told = lines(start.notes)
    fates = {line["of"]: line["fate"] for line in told if "fate" in line}
    done = acts(start.notes)
    assert max(done.values(), default=0) <= 1
    assert [line for line in told if line.get("answered") is False] == []
    assert all(done[method] == 1 for method, fate in fates.items() if fate == "done")
    assert all(done[method] == 0 for method, fate in fates.items() if fate == "not begun")
    rows = dict(
        admin.execute("SELECT body::jsonb -> 'action' ->> 'method', state FROM task WHERE body LIKE '{%'").fetchall()
    )
    for method in {line["wanted"] for line in told if "wanted" in line} - fates.keys():  # its bot was killed
        assert done[method] == 0 or rows[method] in ("begun", "ended"), "it was done, and nobody could know"
    counts = Counter(fates.values())
    assert counts["done"] > 0


@pytest.fixture
async def proxied():
    """A database of its own behind a proxy: the queue and a ledger, both reached through it."""
    with cluster() as server:
        async with Proxy(server.port) as proxy:
            yield server, proxy


async def harm(server, proxy, chance):
    """One of the troubles that a network or a database has, and its end."""
    which = chance.choice(["delay", "reset", "hole", "hole and reset", "stop"])
    if which == "delay":
        proxy.delay = 0.05
        await asyncio.sleep(3)
        proxy.delay = 0.0
    elif which == "stop":
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
    else:
        proxy.swallows, proxy.refuses = which != "reset", which == "reset"
        if which == "reset":
            proxy.reset()
        await asyncio.sleep(8 if proxy.swallows else 0.3)
        proxy.swallows = proxy.refuses = False
        if which == "hole and reset":
            proxy.reset()
    return which


async def answered_again(notes):
    before = len(lines(notes))
    await until(lambda: any(line.get("answered") for line in lines(notes)[before:]))


@pytest.mark.long
async def test_two_bots_and_two_workers_are_killed_while_the_database_and_the_way_to_it_fail(proxied, start, tmp_path):
    """Over their ledger and their queue at once: no act twice, no question unanswered, no fate silent, no entry lost."""
    server, proxy = proxied
    own = site_queue.make_place(server, "branch1")
    ledger = Database(server.url(server.database().url.rpartition("/")[2], proxy.port))
    more = {
        "ledger": ledger.url,
        "folder": str(tmp_path),
        "port": proxy.port,
        "bot": own.bot.url,
        "logins": own.logins,
        "password": own.password,
        "keys": {site: key.hex() for site, key in own.keys.items()},
    }
    await asyncio.to_thread(lambda: Ledger(ledger, tmp_path / "ledger.key", tmp_path / "anchors.txt").close())
    roles = ["worker", "worker", "bot", "bot"]
    running = [start(role, **more) for role in roles]
    await until(lambda: sum("works" in line or "asks" in line for line in lines(start.notes)) >= 4)
    chance, harms = random.Random(7), Counter()
    for number in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 0.8))
        which = chance.randrange(4)
        await not_the_last_worker(which, running, start.notes)
        running[which].kill()
        running[which].wait()
        running[which] = start(roles[which], **more)
        if number % 3 == 2:  # one trouble at a time: all are there again before the next
            await until(lambda: {child.pid for child in running} <= begun(start.notes))
            harms[await harm(server, proxy, chance)] += 1
            await answered_again(start.notes)
    (tmp_path / "until").touch()
    for child in running[2:]:
        await asyncio.to_thread(child.wait, 180)
    told = lines(start.notes)
    done = acts(start.notes)
    fates = {line["of"]: line["fate"] for line in told if "fate" in line}
    assert max(done.values(), default=0) <= 1, harms
    assert all(done[method] == (fate == "done") for method, fate in fates.items() if fate != "unknown"), harms
    assert Counter(fates.values())["done"] > 0
    kept = {line["entry"]: line["seq"] for line in told if "entry" in line}
    place = Database(server.url(ledger.url.rpartition("/")[2]))
    with Ledger(place, tmp_path / "ledger.key", tmp_path / "anchors.txt") as opened:
        proof = opened.verify()
        assert proof.holds, (proof.says, harms)
        there = Counter(entry.id for entry in opened.every())
        assert {entry.id: entry.seq for entry in opened.every() if entry.id in kept} == kept, harms
    assert max(there.values()) == 1
    lost = [line["why"] for line in told if line.get("answered") is False]
    assert lost == [], harms


# The database, and the way to it


@asynccontextmanager
async def load(place, port=None):
    """Questions and actions, four at a time, through a worker; what became of each."""
    machines = CountingMachines(seconds=0.02, act_seconds=0.02)
    client = site_queue.client(place.queue(port), site_queue.inventory("branch1", "branch2"))
    fates, stop = [], asyncio.Event()
    await client.warm()

    async def asks():
        while not stop.is_set():
            try:
                await client.answer(question("branch1-1"))
                fates.append(("question", "answered"))
            except TargetError as error:
                fates.append(("question", str(error)))

    async def does():
        while not stop.is_set():
            act = action("branch1-1", f"M{len(fates)}x{random.getrandbits(48):x}")
            with carrying_out(errand(act)):
                try:
                    await client.invoke(act, 10)
                    fates.append((act.method, "done"))
                except NotBegun:
                    fates.append((act.method, "not begun"))
                except OutcomeUnknown:
                    fates.append((act.method, "unknown"))

    async with Running(place, "branch1", machines, port=port):
        working = [asyncio.create_task(one()) for one in (asks, asks, does, does)]
        yield machines, fates
        stop.set()
        await asyncio.gather(*working)
    client.close()
    await asyncio.sleep(0)
    assert max(machines.acts.values()) == 1
    assert [fate for what, fate in fates if what == "question" and fate != "answered"] == []
    for method, fate in fates:
        if method != "question" and fate != "unknown":
            assert machines.acts[method] == (fate == "done"), (method, fate)


def answered(fates):
    return sum(fate == "answered" for _, fate in fates)


async def goes_on(fates):
    """Wait until questions are answered and actions done again."""
    before = len(fates)
    await until(lambda: answered(fates[before:]) > 3 and ("done" in [fate for _, fate in fates[before:]]))


async def test_a_slow_link_only_takes_longer(place, postgresql_cluster):
    async with Proxy(postgresql_cluster.port) as proxy:
        proxy.delay = 0.05
        async with load(place, proxy.port) as (_, fates):
            await goes_on(fates)
            await goes_on(fates)
        assert "unknown" not in [fate for _, fate in fates]


async def test_connections_that_are_reset_are_made_again(place, postgresql_cluster):
    async with Proxy(postgresql_cluster.port) as proxy, load(place, proxy.port) as (_, fates):
        for _ in range(6):
            await goes_on(fates)
            proxy.refuses = True
            proxy.reset()
            await asyncio.sleep(0.3)
            proxy.refuses = False
        await goes_on(fates)


@pytest.mark.parametrize("resets", [True, False], ids=["and is reset", "and is never reset"])
async def test_a_connection_that_swallows_everything_is_given_up(place, postgresql_cluster, resets):
    async with Proxy(postgresql_cluster.port) as proxy, load(place, proxy.port) as (_, fates):
        await goes_on(fates)
        proxy.swallows = True
        await asyncio.sleep(8)
        proxy.swallows = False
        if resets:
            proxy.reset()
        await goes_on(fates)


async def test_a_database_that_is_stopped_and_started_is_waited_for():
    with cluster() as server:
        place = site_queue.make_place(server, "branch1", "branch2")
        async with load(place) as (_, fates):
            for _ in range(3):
                await goes_on(fates)
                await asyncio.to_thread(server.stop, signal.SIGQUIT)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.start)
            await goes_on(fates)


async def test_after_an_outage_no_living_worker_counts_as_silent(place, asking, admin):
    """The database was away, so nobody could be heard of: nothing is asked twice for that."""
    with cluster() as server:
        own = site_queue.make_place(server, "branch1")
        machines = CountingMachines(seconds=9)
        client = site_queue.client(own.queue(stale_seconds=4), site_queue.inventory("branch1"))
        await client.warm()
        async with Running(own, "branch1", machines), Running(own, "branch1", machines):
            asked = asyncio.create_task(client.answer(question("branch1-1")))
            await until(lambda: machines.asked.total() == 1)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            await asyncio.sleep(4.5)
            await asyncio.to_thread(server.start)
            await asked
            assert machines.asked.total() == 1
        client.close()
        await asyncio.sleep(0)


def test_the_queue_takes_connections_only_from_a_server_that_notices_the_dead(place):
    with psycopg.connect(place.bot.url) as connection:
        assert connection.info.server_version >= 140_000  # client_connection_check_interval
