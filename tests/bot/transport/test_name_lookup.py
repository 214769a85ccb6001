"""A name server that is silent: look-ups hang on threads of their own, and all other work goes on."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from slack_bolt.async_app import AsyncApp

from bot.slack.outbound.api_errors import Retry, classify_error, make_client
from bot.slack.outbound.bounded_client import bounded_session
from bot.slack.socket import Connection
from bot.transport.name_lookup import Loop, NameLookup, ResolverBusy
from bot.transport.turns import asking_as

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]
MANY = 40


@pytest.fixture
def silent(monkeypatch):
    """The names that hang, as they are asked for, until the test is over; whatever is written in numbers does not."""
    asked, back, look = [], threading.Event(), socket.getaddrinfo

    def hang(host, *others, **more):
        host = host.decode() if isinstance(host, bytes) else host  # as httpx has it
        if not host.endswith(".silent.example"):
            return look(host, *others, **more)
        asked.append(host)
        back.wait(60)
        return FOUND

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    back.set()


@pytest.fixture
def one_thread():
    """Of those that everything else of a loop waits for there is one."""
    return lambda: asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))


async def goes_on(asked, least):
    """What everything else waits for: a thread of the shared ones. Once at least so many names hang."""
    async with asyncio.timeout(20):
        while len(asked) < least:  # noqa: ASYNC110 - a thread tells nobody here
            await asyncio.sleep(0.001)
        return await asyncio.to_thread(lambda: "read")


async def gone(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_calls_to_slack_whose_name_nobody_tells_hold_up_no_other_work(silent, one_thread):
    one_thread()
    client = make_client("xoxb-1", "https://slack.silent.example/api/")

    async def responds():
        async with bounded_session(60) as session:
            await session.post("https://hooks.silent.example/1")

    calls = [asyncio.ensure_future(client.auth_test()) for _ in range(MANY)]
    calls += [asyncio.ensure_future(responds()) for _ in range(MANY)]
    assert await goes_on(silent, 3) == "read"
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(silent) <= 8
    await gone(calls)


async def test_both_sockets_look_their_names_up_there_too(silent, one_thread):
    one_thread()
    app = AsyncApp(client=make_client("xoxb-1", "http://127.0.0.1:9/api/"), request_verification_enabled=False)
    made = [Connection(app, "xapp-1", "http://127.0.0.1:9/api/", lambda: 0.0) for _ in range(2)]
    opening = [
        asyncio.ensure_future(one.client.aiohttp_client_session.ws_connect("wss://wss.silent.example/")) for one in made
    ]
    assert await goes_on(silent, 2) == "read"
    await gone(opening)
    for one in made:
        await one.close()


async def test_a_name_that_nobody_tells_is_no_connection_to_slack(monkeypatch, silent):
    monkeypatch.setattr("bot.transport.name_lookup._LONGEST", 0.05)
    client = make_client("xoxb-1", "https://slack.silent.example/api/")
    with pytest.raises(Exception, match=r"slack\.silent\.example") as refused:
        await client.auth_test()
    assert isinstance(classify_error(refused.value, idempotent=False), Retry)  # nothing was sent


def test_whatever_asks_the_loop_of_a_bot_takes_none_of_those_threads_either(silent, one_thread):
    """CommVault and LoadMaster through httpx, a host's port and the queue of a site through the loop itself."""

    async def main():
        one_thread()
        async with httpx.AsyncClient() as client:
            asking = [asyncio.ensure_future(client.get("https://commvault.silent.example/")) for _ in range(3)]
            asking += [asyncio.ensure_future(asyncio.open_connection("hv01.silent.example", 5985)) for _ in range(3)]
            told = await goes_on(silent, 6)
            await gone(asking)
        assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 9, type=socket.SOCK_STREAM) == FOUND
        return told

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(main()) == "read"


@pytest.mark.parametrize("file", ["bot/app.py", "bot/worker.py"])
def test_a_bot_and_a_worker_run_on_that_loop(file):
    source = (Path(__file__).parents[3] / file).read_text("utf-8")
    assert "asyncio.Runner(loop_factory=Loop)" in source
    assert "asyncio.run(" not in source


async def test_names_of_one_person_leave_places_to_others(silent):
    names, loop = NameLookup(4), asyncio.get_running_loop()
    with asking_as("U1"):
        theirs = [asyncio.ensure_future(names.find(f"x{at}.silent.example", 9, loop.time() + 60)) for at in range(10)]
    async with asyncio.timeout(20):
        while len(silent) < 2:  # noqa: ASYNC110 - a thread tells nobody here
            await asyncio.sleep(0.001)
        with asking_as("U2"):
            assert await names.find("127.0.0.1", 9, loop.time() + 60, type=socket.SOCK_STREAM) == FOUND
    with asking_as("U1"), pytest.raises(ResolverBusy):
        await names.find("127.0.0.1", 9, loop.time())
    assert len(silent) == 2
    await gone(theirs)
