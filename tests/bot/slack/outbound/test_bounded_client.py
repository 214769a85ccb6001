"""What answers in Slack's place cannot fill the bot's memory."""

import gzip
import json

import aiohttp
import pytest
from aiohttp import web

from bot.slack.outbound import bounded_client
from bot.slack.outbound.api_errors import DeliveryUnknown, classify_error, make_client
from bot.slack.outbound.bounded_client import ReplyTooLarge, bounded_session, outlined

OK = json.dumps({"ok": True, "team_id": "T1"}).encode()


@pytest.fixture
async def served():
    """Serves one reply to whatever is asked. Gives back how to set it, and the address."""
    reply, asked = {}, []

    async def answer(request):
        asked.append(request.headers.get("Accept-Encoding"))
        return web.Response(**reply)

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield reply, asked, f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


def said(body, **headers):
    return {"body": body, "headers": {"Content-Type": "application/json", **headers}}


async def test_an_honest_reply_is_read_and_none_is_asked_for_compressed(served):
    reply, asked, address = served
    reply.update(said(OK))
    client = make_client("xoxb-1", address)
    assert (await client.auth_test())["team_id"] == "T1"
    assert (await client.auth_test())["team_id"] == "T1"
    assert asked == ["identity", "identity"]
    assert client.session is None


HOSTILE = {
    "compressed": said(gzip.compress(OK), **{"Content-Encoding": "gzip"}),
    "compressed twice": said(gzip.compress(gzip.compress(OK)), **{"Content-Encoding": "gzip, gzip"}),
    "without end": said(b'{"ok": true, "pad": "' + b"x" * 9_000_000 + b'"}'),
    "of nothing but lists": said(b'{"ok": true, "pad": [' + b"[]," * 100_000 + b"[]]}"),
    "nested": said(b'{"ok": true, "pad": ' + b"[" * 500 + b"]" * 500 + b"}"),
    "text without end": {"body": b"x" * 9_000_000, "headers": {"Content-Type": "text/plain"}},
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_no_reply_holds_more_than_any_honest_one(served, kind):
    """What was posted may have arrived: the reply was lost, not the call."""
    reply, _, address = served
    reply.update(HOSTILE[kind])
    with pytest.raises(aiohttp.ClientPayloadError, match="Slack's reply was not read: it ") as told:
        await make_client("xoxb-1", address).chat_postMessage(channel="C1", text="hello")
    assert isinstance(classify_error(told.value, idempotent=False), DeliveryUnknown)


async def test_a_session_reads_no_more_than_its_bound(served, monkeypatch):
    reply, _, address = served
    reply.update(said(OK))
    monkeypatch.setattr(bounded_client, "MAX_REPLY", len(OK) - 1)
    async with bounded_session(5) as session, session.get(address) as got:
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()


async def test_an_outline_of_what_is_not_nested_is_bounded_too(served):
    reply, _, address = served
    client = make_client("xoxb-1", address)
    client.timeout = 600  # a busy machine may take longer than Slack may
    inside = b'{"ok": true, "messages": [{"ts": "1.5", "blocks": [' + b"[]," * 3_000_000 + b'[]]}], "more": 1}'
    reply.update(said(inside))
    told = await outlined(client, "conversations.history", {"limit": 1})
    assert told.data == {"ok": True, "messages": [{"ts": "1.5", "blocks": []}], "more": 1}
    for kind in ("without end", "compressed"):
        reply.update(HOSTILE[kind])
        with pytest.raises(aiohttp.ClientPayloadError, match="Slack's reply was not read: ") as lost:
            await outlined(client, "conversations.history", {"limit": 1})
        assert isinstance(lost.value, ReplyTooLarge) == (kind == "without end")
