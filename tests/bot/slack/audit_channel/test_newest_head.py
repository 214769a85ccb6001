"""What the audit channel says before anything starts: the newest head of this ledger, nothing, or that it cannot say."""

import pytest
from entry_samples import entry_data
from heavy_talk import emoji, too_large

from bot.errors import RecordUnavailable
from bot.ledger import Ledger
from bot.ledger.chain_heads import format_anchor
from bot.slack.audit_channel import newest_head
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.newest_head import NewestHead
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import make_client
from lab.slack.model import BOT_USER, Message
from lab.slack.server import FakeSlack


@pytest.fixture
async def slack():
    async with FakeSlack(manifest=manifest(()), rates="off") as made:
        yield made


@pytest.fixture
def ledgers(tmp_path):
    """Makes ledgers; "other" is one of another key."""
    made = []

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt"))
        for _ in range(5):
            made[-1].append("U", entry_data("asked", {"line": "/x"}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ledger(ledgers):
    return ledgers("ours")


def asking(slack, ledger):
    return NewestHead(ChannelReader(slack.bot_token, slack.base_url, "C0AUDIT"), ledger, "C0AUDIT")


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """What these tests write is as good as old."""
    monkeypatch.setattr(newest_head, "_SETTLES", 0)


@pytest.fixture
def asked(slack, ledger):
    return asking(slack, ledger)


async def posted(slack, ledger, seq):
    client = make_client(slack.bot_token, slack.base_url)
    text = format_anchor(ledger.entry(seq), ledger.seal)
    return (await client.chat_postMessage(channel="C0AUDIT", text=text))["ts"]


def wrote_down(ledger, seq, ts, channel="C0AUDIT"):
    ledger.append("bot", entry_data("anchor", {"head": seq, "channel": channel, "ts": ts}))


async def test_the_newest_of_ours_counts_whoever_else_is_told_there(slack, ledger, ledgers, asked):
    assert await asked() is None
    other = ledgers("other")
    for _ in range(30):
        other.append("U", entry_data("asked", {"line": "/x"}))
    for one, seq in ((ledger, 2), (ledger, 4), (other, 33), (ledger, 3)):
        await posted(slack, one, seq)
    found = await asked()
    assert (found.seq, found.mac) == (4, ledger.entry(4).mac)


async def test_what_people_type_or_edit_there_is_no_head(slack, ledger, asked):
    await posted(slack, ledger, 2)
    await slack.person("nobody").types(format_anchor(ledger.entry(5), ledger.seal), "hv-audit")
    assert (await asked()).seq == 2


async def test_a_head_behind_much_talk_is_still_found(slack, ledger, asked, monkeypatch):
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    wrote_down(ledger, 2, await posted(slack, ledger, 2))
    for number in range(12):
        await slack.person("operator").types(f"talk {number}", "hv-audit")
    assert (await asked()).seq == 2
    monkeypatch.setattr(newest_head, "_PAGES", 2)
    again = asking(slack, ledger)
    with pytest.raises(RecordUnavailable, match="the head of entry 2 is not among the 10 messages read this time"):
        await again()
    assert (await again()).seq == 2


async def test_a_copy_from_before_the_first_head_takes_much_talk_for_no_answer(slack, ledger, asked, monkeypatch):
    """It knows of no head; whoever talks enough behind the real ones must not make it believe that there is none."""
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    monkeypatch.setattr(newest_head, "_PAGES", 2)
    await posted(slack, ledger, 5)
    for number in range(12):
        await slack.person("operator").types(f"talk {number}", "hv-audit")
    with pytest.raises(RecordUnavailable, match="no head is among the 10 messages read this time"):
        await asked()


async def test_what_was_read_once_is_not_read_again(slack, ledger, asked, monkeypatch):
    """Who always begins anew never comes behind what somebody writes all the time; and what comes meanwhile is read as well."""
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    monkeypatch.setattr(newest_head, "_PAGES", 2)
    await posted(slack, ledger, 2)
    operator = slack.person("operator")
    typed = [(await operator.types(f"talk {number}", "hv-audit")).ts for number in range(30)]
    looks = 0
    while True:
        typed += [(await operator.types("more talk", "hv-audit")).ts for _ in range(4)]
        try:
            found = await asked()
            break
        except RecordUnavailable:
            looks += 1
    assert (found.seq, looks) == (2, 3)
    read = [
        one["ts"]
        for call in slack.calls("conversations.history")
        for one in call.answer["messages"]
        if "bot_id" not in one
    ]
    assert sorted(read) == sorted(typed)
    await posted(slack, ledger, 4)
    assert (await asked()).seq == 4


async def test_a_head_that_comes_in_before_what_was_read_already_is_found(slack, ledger, asked, monkeypatch):
    """Slack shows messages of the last seconds when it has them."""
    monkeypatch.setattr(newest_head, "_SETTLES", 10)
    late = Message("C0AUDIT", slack.workspace.next_ts(), BOT_USER, format_anchor(ledger.entry(3), ledger.seal))
    await slack.person("operator").types("talk", "hv-audit")
    assert await asked() is None
    slack.workspace.messages["C0AUDIT"].insert(0, late)
    assert (await asked()).seq == 3


async def test_a_channel_without_a_head_is_read_to_its_beginning_once(slack, ledger, asked, monkeypatch):
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    for number in range(12):
        await slack.person("operator").types(f"talk {number}", "hv-audit")
    assert await asked(to_post=True) is None
    slack.core.calls.clear()
    assert await asked(to_post=True) is None
    assert [call.answer["messages"] for call in slack.calls("conversations.history")] == [[]]
    await posted(slack, ledger, 3)
    assert (await asked()).seq == 3


async def test_a_head_behind_messages_of_any_size_is_found(slack, ledger, asked):
    await posted(slack, ledger, 2)
    emoji(slack.workspace, "C0AUDIT", 3)
    too_large(slack.workspace, "C0AUDIT")
    emoji(slack.workspace, "C0AUDIT", 3)
    assert (await asked()).seq == 2


async def test_a_look_that_takes_too_long_says_how_far_it_came(slack, ledger, asked, monkeypatch):
    """It is no silence of Slack's."""
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    await posted(slack, ledger, 2)
    for number in range(12):
        await slack.person("operator").types(f"talk {number}", "hv-audit")
    call, calls = asked._reader._call, []

    async def until_time_is_over(method, arguments):
        calls.append(method)
        if calls.count("conversations.history") > 2:
            raise TimeoutError
        return await call(method, arguments)

    monkeypatch.setattr(asked._reader, "_call", until_time_is_over)
    with pytest.raises(
        RecordUnavailable, match="timed out after 20 s: no head is among the 10 messages read this time"
    ):
        await asked()
    monkeypatch.setattr(asked._reader, "_call", call)
    assert (await asked()).seq == 2


async def test_a_channel_from_which_the_heads_were_deleted_says_nothing(slack, ledger, asked):
    wrote_down(ledger, 3, "1.5", channel="C0OTHER")
    assert await asked() is None
    wrote_down(ledger, 4, "1.6")
    with pytest.raises(RecordUnavailable, match="was posted there and is gone"):
        await asked()


async def test_a_channel_that_cannot_be_read_says_nothing(slack, ledger, asked, monkeypatch):
    await posted(slack, ledger, 2)
    slack.workspace.leaves("hvops", "hv-audit")
    with pytest.raises(RecordUnavailable, match="the bot is not in it"):
        await asked()
    monkeypatch.setattr(newest_head, "_SECONDS", 0.05)
    away = NewestHead(ChannelReader(slack.bot_token, "http://127.0.0.1:9/", "C0AUDIT"), ledger, "C0AUDIT")
    with pytest.raises(RecordUnavailable, match="no answer from Slack"):
        await away()
