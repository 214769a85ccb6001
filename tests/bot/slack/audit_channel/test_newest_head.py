"""What the audit channel says before anything starts: the newest head of this ledger, nothing, or that it cannot say."""

import pytest
from entry_samples import entry_data

from bot.errors import RecordUnavailable
from bot.ledger import Ledger
from bot.ledger.chain_heads import format_anchor
from bot.slack.audit_channel import newest_head
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.newest_head import NewestHead
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import make_client
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


@pytest.fixture
def asked(slack, ledger):
    reader = ChannelReader(slack.bot_token, slack.base_url, "C0AUDIT")
    return NewestHead(reader, ledger, "C0AUDIT")


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
    with pytest.raises(RecordUnavailable, match="the head of entry 2 was posted there and is gone"):
        await asked()


async def test_a_copy_from_before_the_first_head_takes_much_talk_for_no_answer(slack, ledger, asked, monkeypatch):
    """It knows of no head; whoever talks enough behind the real ones must not make it believe that there is none."""
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    monkeypatch.setattr(newest_head, "_PAGES", 2)
    await posted(slack, ledger, 5)
    for number in range(12):
        await slack.person("operator").types(f"talk {number}", "hv-audit")
    with pytest.raises(RecordUnavailable, match="its newest 2 pages hold no head"):
        await asked()


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
