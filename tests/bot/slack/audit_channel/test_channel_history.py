"""The channel is read back page by page, at the pace that Slack asks for, and refusals say what to do."""

import pytest
from heavy_talk import emoji, too_large

from bot.slack.audit_channel import channel_history
from bot.slack.audit_channel.anchor_messages import BotIdentity
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.outbound.api_errors import NotSent, make_client
from lab.slack.manifest import EVERYTHING
from lab.slack.server import FakeSlack


@pytest.fixture
async def slack():
    scopes = [*EVERYTHING["oauth_config"]["scopes"]["bot"], "channels:history", "groups:history"]
    async with FakeSlack(manifest={**EVERYTHING, "oauth_config": {"scopes": {"bot": scopes}}}, rates="off") as made:
        yield made


def channel(slack, pauses=None, name="C0AUDIT"):
    async def sleep(seconds):
        (pauses if pauses is not None else []).append(seconds)

    return ChannelReader(slack.bot_token, slack.base_url, name, sleep)


async def said(slack, count):
    client = make_client(slack.bot_token, slack.base_url)
    return [(await client.chat_postMessage(channel="C0AUDIT", text=f"line {one}"))["ts"] for one in range(count)]


async def test_every_page_is_read_newest_first(slack, monkeypatch):
    monkeypatch.setattr(channel_history, "PAGE", 4)
    posted = await said(slack, 10)
    pages = []
    found = await channel(slack).everything(pages.append)
    assert [one["ts"] for one in found] == posted[::-1]
    assert pages == [4, 8, 10]
    asked = [call.arguments for call in slack.core.calls if call.method == "conversations.history"]
    assert [int(one["limit"]) for one in asked] == [4, 4, 4]
    assert len(await channel(slack).newest(3)) == 3


async def test_the_newest_messages_are_told_beside_those_that_nobody_can_read(slack):
    """The examiner looks for heads among them, and must not take what it did not see for what is not there."""
    posted = await said(slack, 2)
    heavy = emoji(slack.workspace, "C0AUDIT")
    too_large(slack.workspace, "C0AUDIT")
    assert [one["ts"] for one in await channel(slack).newest()] == [*heavy[::-1], *posted[::-1]]
    assert [one["ts"] for one in await channel(slack).everything()] == [*heavy[::-1], *posted[::-1]]
    assert await channel(slack).newest(1) == (await channel(slack).newest())[:1]


async def test_who_the_bot_is_comes_from_slack(slack):
    assert await channel(slack).own() == BotIdentity("U0BOT", "B0PRACTICE")


async def test_a_rate_limit_is_waited_for_as_long_as_slack_asks(slack):
    await said(slack, 1)
    slack.faults.add("conversations.history", "ratelimited", times=2)
    pauses = []
    assert len(await channel(slack, pauses).everything()) == 1
    assert pauses == [1.0, 1.0]


async def test_a_slack_that_never_answers_is_given_up(slack):
    slack.faults.add("conversations.history", "500", times=99)
    pauses = []
    with pytest.raises(NotSent, match="did not answer"):
        await channel(slack, pauses).everything()
    assert len(pauses) == 7
    assert max(pauses) == 60.0


async def test_a_cursor_that_leads_nowhere_ends(slack, monkeypatch):
    made = channel(slack)

    async def always_the_same(method, arguments):
        return {"messages": [], "response_metadata": {"next_cursor": "again"}}

    monkeypatch.setattr(made, "_call", always_the_same)
    with pytest.raises(NotSent, match="again and again"):
        await made.everything()


@pytest.mark.parametrize(("is_private", "code"), [(False, "not_in_channel"), (True, "channel_not_found")])
async def test_a_channel_without_the_bot_says_to_invite_it(slack, is_private, code):
    slack.workspace.channels["C0AUDIT"].is_private = is_private
    slack.workspace.leaves("hvops", "hv-audit")
    with pytest.raises(NotSent, match="/invite @hvops") as refused:
        await channel(slack).newest()
    assert refused.value.code == code


@pytest.mark.parametrize(("is_private", "scope"), [(False, "channels:history"), (True, "groups:history")])
async def test_each_kind_of_channel_has_its_scope(slack, is_private, scope):
    slack.workspace.channels["C0AUDIT"].is_private = is_private
    assert await channel(slack).newest() == []
    less = [one for one in EVERYTHING["oauth_config"]["scopes"]["bot"] if one != scope]
    other = {"channels:history", "groups:history"} - {scope}
    slack.workspace.install({**EVERYTHING, "oauth_config": {"scopes": {"bot": [*less, *other]}}})
    with pytest.raises(NotSent, match=r"deploy/slack\.yaml") as refused:
        await channel(slack).newest()
    assert refused.value.code == "missing_scope"
