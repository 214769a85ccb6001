"""A mention that is mended by editing its message is answered, each wording once."""

import asyncio
import time
from itertools import count

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.slack.socket import ENVELOPE

TEAM = "T0PRACTICE"
NUMBERS = count()


@pytest.fixture
async def life(bench, make_bot):
    """A bot that is fed directly, with no runner: what is proposed stays as it is."""
    made = make_bot(bench)
    yield made
    await made.close()


class Posted:
    """One message in a channel, as Slack tells of it: what it says may change, its `ts` never."""

    def __init__(self, life, user="U0OPERATOR"):
        self.life, self.user, self.ts = life, user, f"{time.time():.6f}"

    async def says(self, text, *, edited=True, by=None, **more):
        """An `app_mention` event of its own, as for each edit (the shape of slack-go#1256)."""
        event = {
            "type": "app_mention", "user": self.user, "team": TEAM, "channel": "C0OPS", "ts": self.ts,
            "client_msg_id": "m1", "text": f"<@U0BOT> {text}",
            **({"edited": {"user": by or self.user, "ts": f"{int(time.time())}.000000"}} if edited else {}), **more,
        }  # fmt: skip
        body = {
            "type": "event_callback", "team_id": TEAM, "event_id": f"Ev{next(NUMBERS)}",
            "is_ext_shared_channel": False, "event": event,
        }  # fmt: skip
        await self.delivered(body)
        return body

    async def delivered(self, body):
        request = AsyncBoltRequest(mode="socket_mode", body=body, context={ENVELOPE: f"e{next(NUMBERS)}"})
        before = asyncio.all_tasks()
        assert (await self.life.app.async_dispatch(request)).status == 200
        mine = [
            one for one in asyncio.all_tasks() - before if one.get_coro().__qualname__.startswith("AsyncioListener")
        ]
        await asyncio.gather(*mine)
        while self.life.desk._running:
            await asyncio.gather(*self.life.desk._running)


def lines(bench, *kinds):
    return [one.fields.get("line") for one in bench.ledger.every() if one.kind in kinds]


async def test_a_typing_error_that_is_mended_by_an_edit_is_answered(bench, life):
    message = Posted(life)
    await message.says("hvops rnus", edited=False)
    await bench.operator.sees("There is no command", "hv-ops")
    await message.says("hvops runs")
    await bench.operator.sees("No open tickets", "hv-ops")
    assert lines(bench, "asked") == ["/hvops runs"]


async def test_an_edit_that_says_the_same_is_not_answered_again(bench, life):
    message = Posted(life)
    await message.says("hvops runs", edited=False)
    for more in ({}, {"attachments": [{"from_url": "https://example.org"}]}, {"reply_count": 1}):
        await message.says("hvops runs", **more)
    await message.says("`hvops` runs")
    assert lines(bench, "asked") == ["/hvops runs"]
    refused = bench.ledger.entries(kind="refused")
    assert {one.data.category for one in refused} == {"redelivered"}
    assert {one.data.reason for one in refused} == {
        "This message was edited, but hvops has already answered it with the same wording."
    }


async def test_a_second_delivery_of_an_edit_is_answered_once(bench, life):
    message = Posted(life)
    body = await message.says("hvops runs")
    await message.delivered(body)
    assert lines(bench, "asked") == ["/hvops runs"]


async def test_each_wording_of_a_remediation_proposes_at_most_one_ticket(bench, life):
    message = Posted(life)
    for text in ("repiar hv03", "repair hv03", "repair hv03", "reopen hv03", "repair hv03", "repair hv03 "):
        await message.says(text)
    proposals = [one for one in bench.ledger.every() if one.kind == "proposed"]
    assert [one.data.line for one in proposals] == ["/repair hv03", "/reopen hv03"]


async def test_the_same_words_in_another_message_are_another_question(bench, life):
    for _ in range(2):
        await Posted(life).says("hvops runs", edited=False)
    assert lines(bench, "asked") == ["/hvops runs", "/hvops runs"]


async def test_nobody_speaks_for_somebody_else_by_an_edit(bench, life):
    await Posted(life, user="U0APPROVER").says("hvops stop", by="U0OPERATOR")
    assert bench.ledger.head() is None
