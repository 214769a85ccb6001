from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lab.loadmaster import Appliance, FakeLoadMaster
from lab.world.accounts import Account

OPERATOR = Account("load balancer", "hvops", "a:pässword 1")
VIEWER = Account("load balancer", "looks", "pw")


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class RealServer:
    """A web server whose answer depends on the request's first line and Host. `answers`: (line, host) -> status, or None."""

    def __init__(self, answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []
        self.body = b"all is well"

    async def serve(self, reader, writer) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        line, *headers = head.split("\r\n")
        host = next((one[6:] for one in headers if one.lower().startswith("host: ")), "")
        self.asked.append((line, host))
        status = self.answers(line, host)
        if status is not None:
            body = b"" if line.startswith("HEAD") else self.body
            writer.write(f"HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


@pytest.fixture
async def web():
    """Start a real server on loopback: `address, port, server = await web(answers)`."""
    async with AsyncExitStack() as ending:

        async def start(answers, address="127.0.8.71", tls=None):
            server = RealServer(answers)
            listening = await asyncio.start_server(server.serve, address, 0, ssl=tls)
            ending.push_async_callback(listening.wait_closed)
            ending.callback(listening.close)
            return address, listening.sockets[0].getsockname()[1], server

        yield start


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def appliance() -> Appliance:
    return Appliance()


@pytest.fixture
async def lm(appliance, clock):
    async with FakeLoadMaster(appliance, clock, (OPERATOR,), (VIEWER,), api_keys={"key-1": OPERATOR}) as up:
        yield up


@pytest.fixture
async def http(lm):
    async with httpx.AsyncClient(base_url=lm.url, auth=(OPERATOR.user, OPERATOR.password), trust_env=False) as client:
        yield client
