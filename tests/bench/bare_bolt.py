"""A Bolt app that acknowledges every slash command and does nothing else, over Socket Mode, until it is stopped.

python -m tests.bench.bare_bolt BASE_URL BOT_TOKEN APP_TOKEN
"""

from __future__ import annotations

import asyncio
import re
import sys

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


async def serve(base_url: str, bot_token: str, app_token: str) -> None:
    """As Bolt's own guide writes it, at another address."""
    app = AsyncApp(client=AsyncWebClient(bot_token, base_url))

    @app.command(re.compile(".*"))
    async def command(ack) -> None:
        await ack()

    await AsyncSocketModeHandler(app, app_token, web_client=AsyncWebClient(app_token, base_url)).start_async()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
