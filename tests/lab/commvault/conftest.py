from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lab import scenarios
from lab.commvault import FakeCommVault
from lab.world.accounts import Account

OPERATOR = Account("backup", "svc-backup", "a:pässword 1")
VIEWER = Account("viewer", "svc-view", "pw")


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 22, 39, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Client:
    """What the vendor's client does, in a few lines."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http
        self.headers = {"Accept": "application/json"}

    async def log_in(self, account: Account = OPERATOR, password: str | None = None) -> Mapping[str, Any]:
        secret = base64.b64encode((password or account.password).encode()).decode()
        body = {"mode": 4, "username": account.user, "password": secret, "deviceId": "here", "clientType": 30}
        reply = (await self.post("Login", body)).json()
        if "token" in reply:
            self.headers["Authtoken"] = reply["token"]
        return reply

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        return await self.http.post(f"{self.url}/{path}", content=json.dumps(body or {}), headers=self.headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"{self.url}/{path}", headers={**self.headers, **headers})

    async def job(self, number: int) -> Mapping[str, Any]:
        (row,) = (await self.get(f"Job/{number}")).json()["jobs"]
        return row["jobSummary"]

    async def act(self, number: int, verb: str) -> tuple[int, str]:
        reply = (await self.post(f"Job/{number}/action/{verb}")).json()
        (error,) = reply["errors"][0]["errList"]
        return error["errorCode"], error["errLogMessage"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock):
    return scenarios.begin("stuck-writer", clock=clock)


@pytest.fixture
async def product(world):
    async with FakeCommVault(world, (OPERATOR,), (VIEWER,)) as up:
        yield up


@pytest.fixture
async def stranger(product):
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Client(product.url, http)


@pytest.fixture
async def client(stranger):
    await stranger.log_in()
    return stranger
