"""Connections that die come back; those that do not come back by themselves are built anew."""

import asyncio

import pytest

from bot.slack.inbound.listeners import make_app
from bot.slack.socket import SocketConnections
from lab.slack.model import Refusal
from lab.slack.server import FakeSlack


@pytest.fixture
async def slack():
    async with FakeSlack() as made:
        yield made


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the SDK sets no event that could be waited for
            await asyncio.sleep(0.01)


class Running:
    """Sockets that run until the test ends."""

    def __init__(self, slack, clock=None):
        app = make_app(slack.bot_token, slack.base_url)
        told = {} if clock is None else {"clock": clock}
        self.sockets = SocketConnections(app, slack.app_token, slack.base_url, look_every=0.01, patience=30, **told)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.sockets.run(self.stop))

    async def end(self):
        self.stop.set()
        await self.task


async def test_two_connections_open_and_close_cleanly(slack):
    running = Running(slack)
    await slack.connected(2)
    await until(lambda: all(one.heard is not None and one.lost is None for one in running.sockets._open))
    assert all(one.connected and one.heard is not None for one in await running.sockets.health())
    assert await running.sockets.sentence() == "2 of 2 connections open"
    await running.end()
    await slack.connected(0)
    assert await running.sockets.health() == ()


async def test_a_refresh_is_followed(slack):
    running = Running(slack)
    await slack.connected(2)
    opened = len(slack.calls("apps.connections.open"))
    await slack.socket.refresh()
    await until(lambda: len(slack.calls("apps.connections.open")) > opened)
    await slack.connected(2)
    await running.end()


async def test_a_connection_lost_too_long_is_built_anew(slack):
    now = [0.0]
    running = Running(slack, clock=lambda: now[0])
    await slack.connected(2)
    stuck = running.sockets._open[0]
    await until(lambda: stuck.lost is None)

    async def never() -> bool:
        return False

    stuck.client.is_connected = never
    await until(lambda: stuck.lost is not None)
    assert running.sockets._open[0] is stuck
    now[0] += 31
    await until(lambda: running.sockets._open[0] is not stuck)
    await slack.connected(2)
    assert stuck.client.closed
    await running.end()


async def test_a_rate_limit_is_waited_for_and_not_met_with_more_calls(slack):
    now = [0.0]
    for _ in range(10):  # all that Slack allows at once
        slack.core.rates.count("apps.connections.open", tier=1)
    running = Running(slack, clock=lambda: now[0])
    await until(lambda: len(slack.calls("apps.connections.open")) == 2)
    await until(lambda: all(one.may > 50 for one in running.sockets._open))
    first = tuple(running.sockets._open)
    now[0] += 45  # more than the watchdog's patience, less than the minute that Slack asks for
    for _ in range(5):
        await running.sockets._look()
    assert tuple(running.sockets._open) == first
    assert len(slack.calls("apps.connections.open")) == 2
    await running.end()


@pytest.mark.parametrize("asks", ["864000", "inf"])
async def test_no_rate_limit_keeps_the_bot_away_for_longer_than_a_minute(slack, monkeypatch, asks):
    """Whatever a proxy in between writes into its refusal: meanwhile no press comes in, and no /hvops stop."""
    now, count, is_limited = [0.0], slack.core.rates.count, True

    def limit(method, tier):
        if is_limited and method == "apps.connections.open":
            raise Refusal("ratelimited", status=429, headers={"Retry-After": asks})
        count(method, tier)

    monkeypatch.setattr(slack.core.rates, "count", limit)
    running = Running(slack, clock=lambda: now[0])
    await until(lambda: running.sockets._open and all(one.may for one in running.sockets._open))
    is_limited = False
    now[0] += 60 + 31  # a minute, and the watchdog's patience
    await until(lambda: slack.workspace.connections == 2)
    await running.end()


async def test_a_connection_that_is_given_up_no_longer_asks_for_a_place(slack):
    now = [0.0]
    for _ in range(10):
        slack.core.rates.count("apps.connections.open", tier=1)
    running = Running(slack, clock=lambda: now[0])
    await until(lambda: running.sockets._open and all(one.may > 50 for one in running.sockets._open))
    given_up = tuple(running.sockets._connecting.values())
    now[0] += 100
    slack.core.rates.forget()
    await slack.connected(2)
    assert all(task.cancelled() for task in given_up)
    await running.end()
