"""The same with the other half of the SDK: a synchronous Bolt App with the built-in Socket Mode client."""

from __future__ import annotations

import asyncio

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient


@pytest.fixture
async def sync_bot(slack, kit):
    """Everything that blocks happens in threads; the stand-in keeps the event loop."""

    def start():
        app = App(client=WebClient(slack.bot_token, base_url=slack.base_url))

        @app.command("/hello")
        def hello(ack, body, respond, client):
            ack()
            view = kit.modal(
                kit.text_input("why", "Why?"), submit={"type": "plain_text", "text": "Go"}, callback_id="asked"
            )
            client.views_open(trigger_id=body["trigger_id"], view=view)
            blocks = [{"type": "actions", "elements": [kit.button("Check Again", "again")]}]
            respond(text="synchronous", blocks=blocks)

        @app.action("again")
        def again(ack, respond):
            ack()
            respond(text="replaced", replace_original=True)

        @app.view("asked")
        def asked(ack, view, client):
            ack()
            why = view["state"]["values"]["why"]["text"]["value"]
            client.files_upload_v2(channel="C0OPS", content=why, filename="why.txt", title="Why")

        client = WebClient(slack.app_token, base_url=slack.base_url)
        handler = SocketModeHandler(app, slack.app_token, web_client=client, ping_interval=1)
        handler.connect()
        return app, handler

    app, handler = await asyncio.to_thread(start)
    await slack.connected()
    yield app
    await asyncio.to_thread(handler.close)
    app.listener_runner.listener_executor.shutdown()


@pytest.mark.usefixtures("sync_bot")
async def test_a_command_a_modal_a_click_and_a_file(slack):
    operator = slack.person("operator")
    assert (await operator.types("/hello")).ok
    message = await operator.sees("Check Again")
    assert (await operator.clicks(message, "Check Again")).ok
    await operator.sees("replaced")
    assert (await operator.submits(await operator.sees_view("Why?"), {"Why?": "because"})).ok
    with slack.workspace.stream.follow() as events:
        while not any(each.files for each in operator.messages()):
            await events.get()
    assert operator.file(operator.messages()[-1]) == b"because"
