"""A conversation is read whatever its members write: in smaller pages where they are large, each message once, in few calls."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from heavy_talk import emoji, too_large

from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import NotSent, classify_error, make_client
from bot.slack.outbound.bounded_client import ReplyTooLarge, outlined
from bot.slack.outbound.conversation_pages import conversation_pages, moment
from bot.slack.outbound.sent_messages import SentMessages
from bot.slack.outbound.slack_time import slack_time
from lab.slack.server import FakeSlack

ROOM = 50_000  # objects in one page


@dataclass
class Channel:
    """Messages of so many objects each, newest first, and what was asked."""

    weights: list[int]
    asked: list[int] = field(default_factory=list)
    outlined: int = 0

    def _told(self, page):
        at = int(page.get("cursor") or 0)
        end = min(at + page["limit"], len(self.weights))
        more = {"response_metadata": {"next_cursor": str(end)}} if end < len(self.weights) else {}
        messages = [{"ts": f"{len(self.weights) - one}.000000"} for one in range(at, end)]
        return {"messages": messages, **more}, sum(self.weights[at:end])

    async def ask(self, page):
        self.asked.append(page["limit"])
        told, weight = self._told(page)
        if weight > ROOM:
            raise ReplyTooLarge("too many")
        return told

    async def outline(self, page):
        self.outlined += 1
        return self._told(page)[0]

    async def read(self, **more):
        return [page async for page in conversation_pages(self.ask, self.outline, **more)]

    @property
    def calls(self):
        return len(self.asked) + self.outlined


def read(pages):
    return [one["ts"] for page in pages for one in page.messages]


KINDS = {
    "talk": [5] * 900,
    "typed emoji": [900] * 600,
    "emoji by a token": [10_000] * 60,
    "one in ten is heavy": [*[5] * 9, 20_000] * 60,
    "each as large as a page": [ROOM] * 12,
    "one that is too large": [*[5] * 300, ROOM + 1, *[5] * 300],
    "none": [],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_message_is_looked_at_once_in_order(kind):
    channel = Channel(KINDS[kind])
    pages = await channel.read()
    fits = [f"{len(channel.weights) - at}.000000" for at, one in enumerate(channel.weights) if one <= ROOM]
    assert read(pages) == fits
    assert sum(page.passed_over for page in pages) == len(channel.weights) - len(fits)


# pages that would be needed, if somebody knew what is in them, and how many calls it may take: Slack grants some fifty a minute
@pytest.mark.parametrize(("kind", "pages"), [("talk", 5), ("typed emoji", 11), ("emoji by a token", 12)])
async def test_it_takes_few_calls(kind, pages):
    channel = Channel(KINDS[kind])
    await channel.read()
    assert channel.calls <= 2 * pages + 4
    assert channel.asked[0] == 200


async def test_behind_a_few_heavy_messages_pages_are_large_again():
    channel = Channel([*[10_000] * 20, *[5] * 2_000])
    await channel.read()
    assert channel.asked[-3:-1] == [200, 200]
    assert channel.calls <= 40


async def test_a_channel_full_of_messages_that_are_too_large_ends_after_so_many_calls():
    channel = Channel([ROOM + 1] * 2_000)
    pages = await channel.read(calls=20)
    assert channel.calls <= 21
    assert not read(pages)
    assert sum(page.passed_over for page in pages) >= 5


async def test_pages_that_lead_in_a_circle_end():
    async def ask(_):
        return {"messages": [], "response_metadata": {"next_cursor": "again"}}

    with pytest.raises(NotSent, match="again and again"):
        _ = [page async for page in conversation_pages(ask, ask)]


def test_what_is_no_ts_is_the_earliest():
    assert sorted(["10.000001", "9.500000", "", "x", "\u0663.5", "9.000001"], key=moment)[3:] == [
        "9.000001",
        "9.500000",
        "10.000001",
    ]


@pytest.fixture
async def slack():
    async with FakeSlack(manifest=manifest(()), rates="off") as made:
        yield made


@pytest.mark.parametrize("is_thread", [False, True])
async def test_a_message_of_ours_is_found_among_what_nobody_could_read_at_once(slack, is_thread):
    client, workspace = make_client(slack.bot_token, slack.base_url), slack.workspace
    root = (await client.chat_postMessage(channel="C0OPS", text="the plan"))["ts"]
    thread = root if is_thread else None
    before = emoji(workspace, thread_ts=thread, messages=3)
    too_large(workspace, thread_ts=thread)
    mark = {"event_type": "hvops_message", "event_payload": {"mark": "m1"}}
    ours = (await client.chat_postMessage(channel="C0OPS", text="ours", thread_ts=thread, metadata=mark))["ts"]
    too_large(workspace, thread_ts=thread)
    emoji(workspace, thread_ts=thread, messages=3)
    assert moment(before[0]) < moment(ours)
    sent = SentMessages(client)
    assert await sent.with_mark("C0OPS", "m1", "U0BOT", root if is_thread else "") == [ours]
    assert await sent.with_marks("C0OPS", ("m1", "m2"), "U0BOT") == {"m1": [] if is_thread else [ours], "m2": []}


async def test_what_was_sent_before_the_hosts_clock_was_set_forward_is_found(slack):
    """Nothing was heard of Slack since: by the clock that stepped, it would be looked for an hour after it was sent."""
    client = make_client(slack.bot_token, slack.base_url)
    mark = {"event_type": "hvops_message", "event_payload": {"mark": "m1"}}
    ours = (await client.chat_postMessage(channel="C0OPS", text="ours", metadata=mark))["ts"]
    time_there = slack_time(slack.base_url)
    time_there._wall, real = lambda: time.time() - 3_600, time_there._wall
    time_there.note(formatdate(time.time(), usegmt=True))
    time_there._noted[1]._wall = real
    assert await SentMessages(client).with_mark("C0OPS", "m1", "U0BOT", since=datetime.now(UTC)) == [ours]


async def test_of_a_reply_of_any_length_an_outline_says_where_it_goes_on(slack):
    client = make_client(slack.bot_token, slack.base_url)
    first, second = too_large(slack.workspace), too_large(slack.workspace)
    with pytest.raises(ReplyTooLarge) as lost:
        await client.conversations_history(channel="C0OPS", limit=1)
    assert classify_error(lost.value, idempotent=True).why == "its answer is too large to be read"
    told = await outlined(client, "conversations.history", {"channel": "C0OPS", "limit": 1})
    (message,) = told["messages"]
    assert (message["ts"], message["blocks"]) == (second, [])
    more = {"cursor": told["response_metadata"]["next_cursor"]}
    told = await outlined(client, "conversations.history", {"channel": "C0OPS", "limit": 1, **more})
    assert told["messages"][0]["ts"] == first
    assert client.session is None
