"""A restored copy and the true ledger in one channel: who does not know what stands there posts no head."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data
from heavy_talk import emoji, too_large

from bot.errors import LedgerError
from bot.executor.external_records import ExternalRecords
from bot.ledger import Ledger
from bot.ledger.chain_heads import parse_anchor
from bot.slack.audit_channel import newest_head
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.newest_head import NewestHead
from bot.slack.audit_channel.publisher import AuditChannel, PostSchedule
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import NotSent, make_client
from bot.slack.outbound.outbox import Outbox, RateLimit
from lab.slack.server import FakeSlack

pytestmark = pytest.mark.sqlite  # copies files
FILES = ("ledger.db", "ledger.key", "anchors.txt")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

    def __call__(self):
        return self.now

    def forward(self, **how):
        self.now += timedelta(**how)


class Bot:
    """What of a bot reads the audit channel and posts there."""

    def __init__(self, bench, folder):
        self.ledger = Ledger(*(folder / name for name in FILES), clock=bench.clock)
        self.reader = ChannelReader(bench.slack.bot_token, bench.slack.base_url, bench.channel)
        self.records = ExternalRecords(
            self.ledger,
            required=True,
            minutes=60,
            channel=NewestHead(self.reader, self.ledger, bench.channel),
            monotonic=lambda: bench.clock().timestamp(),
        )
        self.publisher = AuditChannel(
            bench.client,
            bench.outbox,
            self.ledger,
            bench.channel,
            link=bench.link,
            minutes=60,
            keeps_back=self.records.may_post,
            rhythm=PostSchedule(now=bench.clock),
        )

    def asked(self):
        self.ledger.append("T0/U1", entry_data("asked", {"line": "/x"}))

    async def says(self):
        """Why nothing may begin, by the channel alone."""
        return (await self.records.compare("T-1", (), None)).says


class Bench:
    """The practice Slack, and bots in folders of their own."""

    def __init__(self, slack, folder, clock):
        self.slack, self.folder, self.clock = slack, folder, clock
        self.channel = "C0AUDIT"
        self.client = make_client(slack.bot_token, slack.base_url)
        self.outbox = Outbox(self.client, RateLimit(interval=0.0, give_up_after=0.2))
        self.bots = []

    async def link(self, ticket):
        return ""

    def bot(self, name="first"):
        (self.folder / name).mkdir(exist_ok=True)
        self.bots.append(Bot(self, self.folder / name))
        return self.bots[-1]

    def copy_of(self, bot):
        bot.ledger.settle_anchors()
        (self.folder / "copy").mkdir()
        for file in self.folder.joinpath("first").iterdir():
            shutil.copy(file, self.folder / "copy" / file.name)
        return self.bot("copy")

    async def talk(self, messages=12):
        for number in range(messages):
            await self.slack.person("operator").types(f"talk {number}", "hv-audit")
        self.clock.forward(seconds=3)

    def heads(self, name="hv-audit"):
        told = (parse_anchor(message.text) for message in self.slack.person("viewer").messages(name))
        return [head.seq for head in told if head]


@pytest.fixture
async def bench(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.slack.audit_channel.channel_history.PAGE", 5)
    monkeypatch.setattr(newest_head, "_PAGES", 2)
    monkeypatch.setattr(newest_head, "_SETTLES", 0)
    async with FakeSlack(manifest=manifest(()), rates="off") as slack:
        made = Bench(slack, tmp_path, Clock())
        yield made
        for one in made.bots:
            one.ledger.close()
        await made.outbox.close()


@pytest.fixture
async def both(bench):
    """The true ledger, and a copy of before its newest head."""
    first = bench.bot()
    first.asked()
    await first.publisher.catch_up()
    copy = bench.copy_of(first)
    bench.clock.forward(minutes=61)
    for _ in range(3):
        first.asked()
    await first.publisher.catch_up()
    copy.asked()
    return first, copy


async def deleted(bench):
    """What the holder of the bot's token can do."""
    for message in await ChannelReader(bench.slack.bot_token, bench.slack.base_url, "C0AUDIT").everything():
        if parse_anchor(message["text"]):
            await bench.client.chat_delete(channel="C0AUDIT", ts=message["ts"])


async def test_where_the_heads_were_deleted_neither_posts_one_and_neither_takes_the_other_for_the_truth(bench, both):
    first, copy = both
    await deleted(bench)
    bench.clock.forward(minutes=61)
    for bot in (copy, first):
        bot.asked()
        with pytest.raises(LedgerError, match=r"no head was posted: what the audit channel holds .* is not known"):
            await bot.publisher.catch_up()
        assert "was posted there and is gone" in await bot.says()
        assert not bot.records.more
    assert bench.heads() == []


async def test_where_the_channel_cannot_be_read_no_head_is_posted_until_it_can(bench, both, monkeypatch):
    first, copy = both
    read = ChannelReader.pages

    async def refused(self, **_):
        raise NotSent("missing_scope", "the app lacks channels:history")
        yield

    monkeypatch.setattr(ChannelReader, "pages", refused)
    before = bench.heads()
    bench.clock.forward(minutes=61)
    first.asked()
    for bot in (copy, first):
        with pytest.raises(LedgerError, match=r"is not known \(the app lacks channels:history"):
            await bot.publisher.catch_up()
    assert bench.heads() == before
    monkeypatch.setattr(ChannelReader, "pages", read)
    await first.publisher.catch_up()
    assert len(bench.heads()) == len(before) + 1
    assert await first.says() == ""
    assert "the audit channel records entry" in await copy.says()


async def test_behind_much_talk_a_copy_posts_nothing_and_the_true_ledger_goes_on(bench, both):
    first, copy = both
    before = bench.heads()
    await bench.talk()
    assert "the head of entry 1 is not among the 10 messages read this time" in await copy.says()
    bench.clock.forward(minutes=61)
    with pytest.raises(LedgerError, match=f"the audit channel records entry {before[-1]} "):
        await copy.publisher.catch_up()
    assert "the audit channel records entry" in await copy.says()
    first.asked()
    assert f"the head of entry {before[-1]} is not among the 10 messages read this time" in await first.says()
    await first.publisher.catch_up()
    assert len(bench.heads()) == len(before) + 1
    bench.clock.forward(seconds=3)
    assert await first.says() == ""


async def test_behind_messages_that_nobody_could_read_at_once_heads_go_on(bench):
    """Anybody in the channel can write emoji; what cannot be read at all would keep every later head back."""
    first = bench.bot()
    first.asked()
    await first.publisher.catch_up()
    for _ in range(2):
        emoji(bench.slack.workspace, "C0AUDIT", 6)
        too_large(bench.slack.workspace, "C0AUDIT")
        bench.clock.forward(minutes=61)
        first.asked()
        await first.publisher.catch_up()
        bench.clock.forward(seconds=3)
        assert await first.says() == ""
    assert len(bench.heads()) == 3


async def test_a_copy_from_before_the_first_head_does_not_answer_itself_either(bench):
    first = bench.bot()
    first.asked()
    copy = bench.copy_of(first)
    first.asked()
    await first.publisher.catch_up()
    before = bench.heads()
    await bench.talk()
    copy.asked()
    assert "no head is among the 10 messages read this time" in await copy.says()
    with pytest.raises(LedgerError, match="the audit channel records entry"):
        await copy.publisher.catch_up()
    assert bench.heads() == before
    assert "the audit channel records entry" in await copy.says()


@pytest.mark.parametrize("messages", [0, 12])
async def test_a_first_head_is_posted_in_a_channel_that_holds_none(bench, messages):
    """A new ledger, whatever others have written there; and an old one in a new channel, which is the way on from deleted heads."""
    await bench.talk(messages)
    first = bench.bot()
    await first.publisher.catch_up()
    first.asked()
    await first.publisher.catch_up()
    assert bench.heads() == [1]
    bench.clock.forward(seconds=3)
    assert await first.says() == ""
    await deleted(bench)
    first.ledger.close()
    bench.channel = "C0OPS"
    again = bench.bot()
    await again.publisher.catch_up()
    assert len(bench.heads("hv-ops")) == 1
    assert await again.says() == ""


async def test_a_channel_that_took_long_to_search_in_vain_is_not_searched_again_at_once(bench, both, monkeypatch):
    first, _ = both
    await deleted(bench)
    searches, read = [], ChannelReader.pages

    async def slow(self, **where):
        searches.append(bench.clock())
        bench.clock.forward(seconds=40)
        async for page in read(self, **where):
            yield page

    monkeypatch.setattr(ChannelReader, "pages", slow)
    for _ in range(3):
        assert "was posted there and is gone" in await first.records.may_post()
    assert len(searches) == 1
    bench.clock.forward(seconds=5 * 40)
    await first.records.may_post()
    assert len(searches) == 2
