"""A bot with the manners of the real one and none of its knowledge: what the page is tested against.

python echo_bot.py SETTINGS        answers /check-writers, /find-full-guests; stays silent on /silent
"""

import asyncio
import json
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

SAMPLES = json.loads(Path(__file__).with_name("samples.json").read_text())
WELL = [{"type": "header", "text": {"type": "plain_text", "text": "prod: VSS writers healthy on all 6 nodes"}}]
EVIDENCE = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Evidence"},
    "close": {"type": "plain_text", "text": "Close"},
    "blocks": [deepcopy(SAMPLES["rest"][2])],
}


def build(slack: dict[str, Any]) -> AsyncApp:
    app = AsyncApp(client=AsyncWebClient(slack["bot_token"], base_url=slack["base_url"]))

    @app.command("/check-writers")
    async def check(ack, respond):
        await ack()
        await respond(text="stuck on hv03", blocks=SAMPLES["answer"])

    @app.command("/find-full-guests")
    async def find(ack, say):
        await ack()
        await say(text="full", blocks=SAMPLES["guests"])

    @app.command("/silent")
    async def silent(ack):
        del ack

    @app.action("remedy.0")
    async def remedy(ack, respond):
        await ack()
        await respond(text="full", blocks=SAMPLES["guests"], replace_original=False)

    @app.action("again")
    async def again(ack, respond):
        await ack()
        await respond(text="well", blocks=WELL, replace_original=False)

    @app.action("evidence")
    async def evidence(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=EVIDENCE)

    @app.action("share")
    async def share(ack, body, client):
        await ack()
        channel = body["channel"]["id"]
        posted = await client.chat_postMessage(channel=channel, text="shared", blocks=SAMPLES["answer"])
        await client.chat_postMessage(channel=channel, thread_ts=posted["ts"], text="hv05: no answer in 20 s")

    @app.event("app_home_opened")
    async def home(event, client):
        section = {"type": "section", "text": {"type": "mrkdwn", "text": f"Hello <@{event['user']}>"}}
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section]})

    return app


async def main(slack: dict[str, Any]) -> None:
    app_client = AsyncWebClient(slack["app_token"], base_url=slack["base_url"])
    await AsyncSocketModeHandler(build(slack), slack["app_token"], web_client=app_client).start_async()


if __name__ == "__main__":
    asyncio.run(main(tomllib.loads(Path(sys.argv[1]).read_text())["slack"]))
