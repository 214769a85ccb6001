"""Socket Mode itself: tickets, acknowledgements in time, redelivery, lost and refreshed connections."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient


class RawClient:
    """A socket that acknowledges only when it is told to."""

    def __init__(self, socket):
        self.socket = socket

    async def envelope(self):
        async with asyncio.timeout(5):
            return json.loads((await self.socket.receive()).data)

    async def acknowledge(self, envelope, payload=None):
        await self.socket.send_json({"envelope_id": envelope["envelope_id"], "payload": payload or {}})


@pytest.fixture
async def raw():
    """`await raw(slack)` opens one more connection and has read its hello."""
    async with aiohttp.ClientSession() as session:

        async def connect(slack):
            client = RawClient(await session.ws_connect(await address(slack)))
            hello = await client.envelope()
            assert hello["type"] == "hello"
            assert hello["num_connections"] == slack.workspace.connections
            return client

        yield connect


async def address(slack):
    client = AsyncWebClient(slack.app_token, base_url=slack.base_url)
    return (await client.apps_connections_open(app_token=slack.app_token))["url"]


async def test_a_ticket_is_good_for_one_connection(slack):
    async with aiohttp.ClientSession() as session:
        url = await address(slack)
        socket = await session.ws_connect(url)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url)
        await socket.close()
    assert refused.value.status == 401


async def test_a_bot_token_opens_no_socket_and_an_app_token_posts_nothing(slack):
    client = AsyncWebClient(slack.bot_token, base_url=slack.base_url)
    with pytest.raises(SlackApiError) as refused:
        await client.apps_connections_open(app_token=slack.bot_token)
    assert refused.value.response["error"] == "not_allowed_token_type"
    client = AsyncWebClient(slack.app_token, base_url=slack.base_url)
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0OPS", text="x")
    assert refused.value.response["error"] == "not_allowed_token_type"


async def test_a_command_not_acknowledged_within_three_seconds_times_out(still_slack, clock, raw):
    client = await raw(still_slack)
    typing = asyncio.ensure_future(still_slack.person("operator").types("/hello prod"))
    await client.envelope()
    await clock.advance(2.9)
    assert not typing.done()
    await clock.advance(0.2)
    async with asyncio.timeout(5):
        done = await typing
    assert done.error == '/hello failed with the error "operation_timeout"'
    shown = await still_slack.person("operator").sees("operation_timeout")
    assert (shown.user, shown.only_for) == ("USLACKBOT", "U0OPERATOR")


async def test_an_acknowledgement_at_the_last_moment_counts(still_slack, clock, raw):
    client = await raw(still_slack)
    typing = asyncio.ensure_future(still_slack.person("operator").types("/hello"))
    envelope = await client.envelope()
    await clock.advance(2.9)
    await client.acknowledge(envelope, {"text": "just in time"})
    assert (await typing).ok
    await still_slack.person("operator").sees("just in time")


async def test_every_envelope_goes_to_one_socket_only(slack, raw):
    clients = [await raw(slack), await raw(slack)]
    seen = []

    async def serve(number, client):
        while True:
            envelope = await client.envelope()
            seen.append((number, envelope["payload"]["text"]))
            await client.acknowledge(envelope)

    serving = [asyncio.ensure_future(serve(number, client)) for number, client in enumerate(clients)]
    for number in range(6):
        assert (await slack.person("operator").types(f"/hello {number}")).ok
    for each in serving:
        each.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert sorted(text for _, text in seen) == [str(number) for number in range(6)]
    assert {number for number, _ in seen} == {0, 1}


async def test_a_command_whose_socket_dies_goes_to_another_one(slack, raw):
    clients = [await raw(slack), await raw(slack)]
    typing = asyncio.ensure_future(slack.person("operator").types("/hello"))
    first = [asyncio.ensure_future(client.envelope()) for client in clients]
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    got = 0 if first[0].done() else 1
    await clients[got].socket.close()
    again = await first[1 - got]
    await clients[1 - got].acknowledge(again)
    assert (await typing).ok
    assert (again["retry_attempt"], again["retry_reason"]) == (1, "connection_failed")
    assert again["payload"] == first[got].result()["payload"]


async def test_an_event_is_sent_again_at_once_after_a_minute_and_after_five(still_slack, clock, raw):
    client = await raw(still_slack)
    await still_slack.person("operator").opens_home()
    attempts = [await client.envelope()]
    for pause in (3.1, 3.1 + 60, 3.1 + 300):
        await clock.advance(pause)
        attempts.append(await client.envelope())
    await clock.advance(3.1 + 3_000)
    await still_slack.socket.settled()
    assert [attempt["retry_attempt"] for attempt in attempts] == [0, 1, 2, 3]
    assert [attempt["retry_reason"] for attempt in attempts] == ["", "timeout", "timeout", "timeout"]
    assert len({attempt["payload"]["event_id"] for attempt in attempts}) == 1
    assert len(still_slack.socket.sent) == 4


async def test_an_acknowledged_event_is_not_sent_again(still_slack, clock, raw):
    client = await raw(still_slack)
    await still_slack.person("operator").opens_home()
    await client.acknowledge(await client.envelope())
    await still_slack.socket.settled()
    await clock.advance(1_000)
    assert len(still_slack.socket.sent) == 1


async def test_an_eleventh_connection_is_turned_away(slack, raw):
    kept = [await raw(slack) for _ in range(10)]
    slack.core.rates.strict = False
    async with aiohttp.ClientSession() as session, session.ws_connect(await address(slack)) as socket:
        message = json.loads((await socket.receive()).data)
    assert (message["type"], message["reason"]) == ("disconnect", "too_many_websockets")
    assert len(kept) == slack.workspace.connections


async def test_bolt_comes_back_after_its_sockets_were_cut(slack, connect):
    app = await connect(slack, ping_interval=0.2)

    @app.command("/hello")
    async def hello(ack):
        await ack("here again")

    slack.socket.drop()
    await slack.connected(0)
    await slack.connected(1)
    assert (await slack.person("operator").types("/hello")).ok


async def test_bolt_follows_a_polite_disconnect_without_losing_a_command(slack, connect):
    app = await connect(slack)

    @app.command("/hello")
    async def hello(ack):
        await ack("on the new connection")

    old = slack.socket.connections[0]
    await slack.socket.refresh("warning")
    with slack.workspace.stream.follow() as events:
        while all(connection is old for connection in slack.socket.connections):
            await events.get()
    assert (await slack.person("operator").types("/hello")).ok
    assert old.delivered == 0


async def test_new_connections_are_refused_for_a_while(still_slack, clock):
    still_slack.socket.refuse(20)
    client = AsyncWebClient(still_slack.app_token, base_url=still_slack.base_url)
    with pytest.raises(SlackApiError) as refused:
        await client.apps_connections_open(app_token=still_slack.app_token)
    assert refused.value.response["error"] == "internal_error"
    await clock.advance(21)
    assert (await client.apps_connections_open(app_token=still_slack.app_token))["ok"]


async def test_nonsense_on_the_socket_is_ignored(slack, raw):
    client = await raw(slack)
    await client.socket.send_str("no json")
    await client.socket.send_str('["no", "object"]')
    await client.socket.send_json({"envelope_id": "unknown"})
    typing = asyncio.ensure_future(slack.person("operator").types("/hello"))
    await client.acknowledge(await client.envelope(), payload={"text": "still here"})
    assert (await typing).ok


async def test_a_client_that_hangs_up_while_it_is_greeted_is_no_error(slack, monkeypatch, caplog):
    url = await address(slack)

    async def gone(*_):
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr("aiohttp.web.WebSocketResponse.send_json", gone)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.receive()
    await slack.connected(0)
    assert not caplog.records
