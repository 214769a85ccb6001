from __future__ import annotations

import asyncio
from copy import deepcopy
from types import SimpleNamespace

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from lab.slack.clock import ManualClock
from lab.slack.manifest import EVERYTHING
from lab.slack.server import FakeSlack

COMMANDS = ("/hello", "/fails", "/public", "/silent")
MANIFEST = deepcopy(EVERYTHING)
MANIFEST["features"]["slash_commands"] = [
    {"command": command, "description": f"says {command}", "usage_hint": "<host>"} for command in COMMANDS
]
MANIFEST["oauth_config"]["scopes"]["bot"] += ["channels:history", "channels:read"]


@pytest.fixture
async def slack():
    async with FakeSlack(manifest=MANIFEST) as stand_in:
        yield stand_in


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def still_slack(clock):
    """The same, with time that moves only when a test says so."""
    async with FakeSlack(manifest=MANIFEST, clock=clock) as stand_in:
        yield stand_in


def web_client(slack, **more):
    return AsyncWebClient(slack.bot_token, base_url=slack.base_url, **more)


@pytest.fixture
def until():
    """`await until(condition)`: what is noted once an effect was seen, or by an app after its acknowledgement."""

    async def until(condition):
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)

    return until


@pytest.fixture
def client(slack):
    return web_client(slack)


@pytest.fixture
async def connect():
    """`await connect(slack)` gives a Bolt app with one open socket; `sockets=2` opens more."""
    handlers = []

    async def connect(slack, sockets=1, **options):
        app = AsyncApp(client=web_client(slack))
        for _ in range(sockets):
            client = AsyncWebClient(slack.app_token, base_url=slack.base_url)
            handler = AsyncSocketModeHandler(app, slack.app_token, web_client=client, **options)
            handlers.append(handler)
            await handler.connect_async()
        await slack.connected(sockets)
        return app

    yield connect
    for handler in handlers:
        await handler.close_async()


def button(label, action_id, **more):
    return {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": action_id, **more}


def section(text, **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def modal(*blocks, **more):
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "A window"},
        "blocks": list(blocks) or [section("inside")],
        **more,
    }


def text_input(block_id, label, **more):
    return {
        "type": "input",
        "block_id": block_id,
        "label": {"type": "plain_text", "text": label},
        "element": {"type": "plain_text_input", "action_id": "text", **more.pop("element", {})},
        **more,
    }


@pytest.fixture
def kit():
    """Makers of Block Kit, since test files of a folder without __init__.py cannot import from each other."""
    return SimpleNamespace(button=button, section=section, modal=modal, text_input=text_input, manifest=MANIFEST)
