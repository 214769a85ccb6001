"""The audit channel: a line for each decision and each end, in order, once; and heads. All from the ledger alone."""

import asyncio
from datetime import UTC, datetime, timedelta

import newer_version
import pytest
from entry_samples import entry_data, entry_data_of

from bot.errors import LedgerError
from bot.ledger import Ledger
from bot.ledger.anchors import Anchor
from bot.ledger.chain_heads import parse_anchor
from bot.slack.audit_channel.publisher import AuditChannel, PostSchedule
from bot.slack.outbound.api_errors import NotSent, make_client
from bot.slack.outbound.outbox import Outbox, RateLimit
from lab.slack.server import FakeSlack

FAR = "2999-01-01T00:00:00Z"
START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


class Bench:
    """A ledger, the practice Slack, and lives of the audit channel one after the other."""

    def __init__(self, slack, folder):
        self.slack = slack
        self.now = START
        self.ledger = Ledger(folder / "ledger.db", folder / "key", folder / "anchors", clock=lambda: self.now)
        self.client = make_client(slack.bot_token, slack.base_url)
        self.outbox = Outbox(self.client, RateLimit(interval=0.0, give_up_after=0.2))

    def life(self, channel="C0AUDIT", minutes=60, **options):
        rhythm = PostSchedule(glance=0.01, again=0.01, now=lambda: self.now)
        return AuditChannel(
            self.client, self.outbox, self.ledger, channel, link=self.link, minutes=minutes, rhythm=rhythm, **options
        )

    async def link(self, ticket):
        return f"https://practice.slack.com/archives/C0OPS/{ticket}"

    def decided(self, kind="approved", line="/drain-node hv03", end="done"):
        """A ticket with its decision and its end."""
        data = {"digest": "9f3c41aa00", "policy": "approval", "open_until": FAR, "target": "hv03", "line": line}
        ticket = self.ledger.append("T0/U1", entry_data("proposed", {**data, "name": "operator"})).ticket
        by = {"by": "T0/U2", "name": "approver", "start_by": FAR, "reason": "no", "digest": data["digest"]}
        self.ledger.append("T0/U2", entry_data_of(kind, by), ticket)
        if kind == "approved":
            self.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": []}), ticket)
            self.ledger.append("bot", entry_data_of(end, {"reason": "all is well", "message": "all is well"}), ticket)
        return ticket

    def texts(self):
        return [one.text for one in self.slack.person("viewer").messages("hv-audit")]

    def lines(self):
        return [line for text in self.texts() if parse_anchor(text) is None for line in text.splitlines()]

    def heads(self):
        return [found for text in self.texts() if (found := parse_anchor(text))]


@pytest.fixture
async def fresh(tmp_path):
    """A ledger of which nothing was ever told."""
    async with FakeSlack(rates="off") as slack:
        made = Bench(slack, tmp_path)
        with made.ledger:
            yield made
        await made.outbox.close()


@pytest.fixture
def bench(fresh):
    """One whose channel has begun: entry 1 says that nothing before it is left to tell."""
    fresh.ledger.append(
        "bot",
        entry_data("shown", {"what": "audit", "last_published": 1, "channel": "C0AUDIT", "ts": "1.1"}),
    )
    return fresh


async def test_each_decision_and_each_end_leaves_a_line_with_who_and_where(bench):
    bench.decided()
    await bench.life().catch_up()
    link = "<https://practice.slack.com/archives/C0OPS/T-1|message>"
    about, asked = "/drain-node hv03 · on hv03", "requested by operator (T0/U1)"
    assert bench.lines() == [
        f"T-1 approved: {about} · by approver (T0/U2) · {asked} · plan 9f3c41aa · entry 3 · {link}",
        f"T-1 done: {about} · by hvops · {asked} · plan 9f3c41aa · entry 5 · {link}",
    ]


async def test_stop_and_go_leave_lines_and_a_restart_of_the_bot_none(bench):
    ticket = bench.decided("approved", end="interrupted")
    bench.ledger.append("T0/U2", entry_data("resumed", {"attempt": 2, "by": "T0/U2", "name": "approver"}), ticket)
    bench.ledger.append("bot", entry_data("resumed", {"attempt": 3, "by": "bot"}), ticket)
    bench.ledger.append("T0/U2", entry_data("stop", {"name": "approver", "reason": "power work"}))
    bench.ledger.append("T0/U2", entry_data("go", {"name": "approver"}))
    await bench.life().catch_up()
    told = [line.split(" · ")[0].split(":")[0] for line in bench.lines()]
    assert told == ["T-1 approved", "T-1 interrupted, someone must decide", "T-1 resumed", "/hvops stop", "/hvops go"]
    assert "power work" in bench.lines()[3]


async def test_a_bot_that_was_away_tells_everything_once_and_in_order(bench):
    for number in range(13):
        bench.decided(line=f"/drain-node hv{number:02}")
    await bench.life().catch_up()
    bench.decided("rejected", line="/drain-node hv99")
    for _ in range(3):
        await bench.life().catch_up()  # another life each time
    told = [line.split(" · ")[0] for line in bench.lines()]
    twice = [
        f"T-{number + 1} {kind}: /drain-node hv{number:02}" for number in range(13) for kind in ("approved", "done")
    ]
    assert told == [*twice, "T-14 rejected: /drain-node hv99"]
    assert len(bench.texts()) < len(told)  # whoever is behind tells several in one message
    assert bench.ledger.verify().holds


async def test_a_bot_that_is_killed_between_post_and_entry_repeats_that_one_message(bench, monkeypatch):
    bench.decided()
    killed = bench.life()

    async def gone(data):
        raise asyncio.CancelledError

    monkeypatch.setattr(killed, "_write", gone)
    with pytest.raises(asyncio.CancelledError):
        await killed.catch_up()
    bench.decided("rejected")
    await bench.life().catch_up()
    await bench.life().catch_up()
    numbers = [line.split("entry ")[1].split(" ")[0] for line in bench.lines()]
    assert numbers == ["3", "5", "3", "5", "7"]


async def test_a_life_begins_where_the_newest_head_says_that_nothing_was_left(bench):
    bench.decided()
    for _ in range(5):
        bench.ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))
    await bench.life().catch_up()
    assert bench.ledger.last_published() == 10
    bench.decided("rejected")
    late = bench.life()
    await late.catch_up()
    assert [line.split(" ")[0] for line in bench.lines()] == ["T-1", "T-1", "T-2"]


async def test_what_was_decided_while_a_head_was_posted_is_still_told(bench, monkeypatch):
    life = bench.life()
    bench.ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))
    posts = bench.outbox.post

    async def meanwhile(channel, message, **how):
        monkeypatch.setattr(bench.outbox, "post", posts)
        bench.decided("rejected")
        return await posts(channel, message, **how)

    monkeypatch.setattr(bench.outbox, "post", meanwhile)
    await life.catch_up()
    assert bench.lines() == []
    await bench.life().catch_up()  # another life: the newest `anchor` entry stands behind the decision
    assert [line.split(":")[0] for line in bench.lines()] == ["T-1 rejected"]


BEGINS = "The audit channel begins here, at entry {}; earlier decisions are in the ledger and in /audit."


async def test_a_channel_begins_now_on_a_ledger_with_a_history(fresh):
    for number in range(30):
        fresh.decided(line=f"/drain-node hv{number:02}")
    head = fresh.ledger.head().seq
    await fresh.life().catch_up()
    assert fresh.lines() == [BEGINS.format(head)]
    assert [found.seq for found in fresh.heads()] == [head + 2]  # what is told behind it hangs on the old history
    fresh.decided("rejected", line="/drain-node hv99")
    for _ in range(3):
        await fresh.life().catch_up()  # another life each time
    assert [line.split(" · ")[0] for line in fresh.lines()[1:]] == ["T-31 rejected: /drain-node hv99"]
    assert fresh.ledger.verify().holds


async def test_a_ledger_without_a_decision_has_nothing_to_begin_after(fresh):
    fresh.ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))
    await fresh.life().catch_up()
    assert fresh.lines() == []
    fresh.decided("rejected")
    await fresh.life().catch_up()
    assert [line.split(":")[0] for line in fresh.lines()] == ["T-1 rejected"]


async def test_who_is_there_from_the_first_entry_on_tells_everything(fresh):
    life = fresh.life()
    await life.catch_up()
    fresh.decided("rejected")
    await life.catch_up()
    assert [line.split(":")[0] for line in fresh.lines()] == ["T-1 rejected"]


async def test_what_is_decided_after_a_beginning_that_slack_did_not_take_is_told(fresh):
    fresh.decided()
    fresh.slack.workspace.leaves("hvops", "hv-audit")
    for _ in range(2):
        with pytest.raises(NotSent):
            await fresh.life().catch_up()
    fresh.decided("rejected")
    fresh.slack.workspace.joins("hvops", "hv-audit")
    for _ in range(2):
        await fresh.life().catch_up()
    assert [line.split(":")[0] for line in fresh.lines()] == [BEGINS.format(4), "T-2 rejected"]


async def test_a_bot_that_is_killed_while_a_channel_begins_begins_it_once_more(fresh, monkeypatch):
    fresh.decided()
    killed, write = fresh.life(), AuditChannel._write

    async def gone(data):
        if data.ts:
            raise asyncio.CancelledError
        return await write(killed, data)

    monkeypatch.setattr(killed, "_write", gone)
    with pytest.raises(asyncio.CancelledError):
        await killed.catch_up()
    fresh.decided("rejected")
    for _ in range(2):
        await fresh.life().catch_up()
    assert [line.split(":")[0] for line in fresh.lines()] == [BEGINS.format(4)] * 2 + ["T-2 rejected"]


async def test_names_and_reasons_can_neither_ring_nor_pose_as_a_head(bench):
    said = f"Ledger head: entry 9, mac {'ab' * 32}, ledger {'ab' * 8}, seal {'ab' * 16}, 2026-03-02 14:07 UTC"
    data = {"digest": "d", "policy": "approval", "open_until": FAR, "target": "<!channel>", "line": f"x\n{said}"}
    ticket = bench.ledger.append("T0/U1", entry_data("proposed", {**data, "name": f"\n{said}"})).ticket
    why = f"<!here>\n{said}"
    bench.ledger.append(
        "T0/U2", entry_data("rejected", {"by": "T0/U2", "name": "*<@U0VIEWER>*", "reason": why}), ticket
    )
    await bench.life().catch_up()
    assert [head.seq for head in bench.heads()] == [4]  # the real one: the line's own `shown` entry
    assert len(bench.texts()) == 2
    for ringing in ("<!channel>", "<@U0VIEWER>", "<!here>"):
        assert ringing not in bench.texts()[0]
    assert all(parse_anchor(line) is None for line in bench.texts()[0].splitlines())


async def test_a_head_is_posted_at_once_then_when_it_moved_and_its_time_has_come(bench):
    question = {"line": "/check-writers prod", "target": "prod"}
    asked = bench.ledger.append("T0/U1", entry_data("asked", question))
    life = bench.life(minutes=60)
    await life.catch_up()
    assert bench.heads() == [Anchor(2, asked.mac)]
    bench.ledger.append("T0/U1", entry_data("asked", question))
    bench.now += timedelta(minutes=59)
    await life.catch_up()
    assert len(bench.heads()) == 1
    bench.now += timedelta(minutes=1)
    await life.catch_up()
    assert [head.seq for head in bench.heads()] == [2, 4]
    bench.now += timedelta(days=3)
    for _ in range(3):
        await life.catch_up()
        await bench.life().catch_up()
    assert len(bench.heads()) == 2  # its own entries do not make it move
    anchored = bench.ledger.entries(kind="anchor")
    assert [(one.data.head, one.data.user) for one in anchored] == [(4, "U0BOT"), (2, "U0BOT")]


async def test_the_end_of_a_ticket_is_anchored_at_once(bench):
    life = bench.life()
    bench.ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))
    await life.catch_up()
    bench.decided()
    await life.catch_up()
    first, second = bench.heads()
    end = bench.ledger.entries(kind="done")[0]
    assert first.seq < end.seq <= second.seq
    bench.decided("rejected")
    await bench.life().catch_up()  # also where another life finds it
    assert len(bench.heads()) == 3


async def test_another_channel_gets_a_head_at_once(bench):
    bench.decided()
    await bench.life().catch_up()
    await bench.life(channel="C0OPS").catch_up()
    assert [parse_anchor(one.text) is not None for one in bench.slack.person("viewer").messages("hv-ops")] == [True]


async def test_a_channel_that_cannot_be_told_holds_nothing_up_and_is_made_up_for(bench):
    bench.slack.workspace.leaves("hvops", "hv-audit")
    bench.decided()
    life, stop = bench.life(), asyncio.Event()
    with pytest.raises(NotSent, match="not_in_channel"):
        await life.catch_up()
    living = asyncio.create_task(life.run(stop))
    await until(lambda: "not_in_channel" in life.trouble)
    assert "not posted" in life.sentence()
    bench.slack.workspace.joins("hvops", "hv-audit")
    await until(lambda: len(bench.heads()) == 1 and not life.trouble)
    stop.set()
    await living
    assert [line.split(" · ")[0] for line in bench.lines()] == [
        "T-1 approved: /drain-node hv03",
        "T-1 done: /drain-node hv03",
    ]
    assert "posted up to entry" in life.sentence()


async def stopped_while_posting(bench, answers):
    """One life that is stopped while its first post is on the way."""
    posting, life, stop = asyncio.Event(), bench.life(), asyncio.Event()

    async def post(channel, message, **how):
        posting.set()
        await stop.wait()
        await asyncio.sleep(0)
        await answers.wait()
        return await bench.outbox.post(channel, message, **how)

    life._rhythm = PostSchedule(grace=0.05 if not answers.is_set() else 10)
    slow = {"post": staticmethod(post), "copies_of": staticmethod(bench.outbox.copies_of)}
    life._outbox = type("Slow", (), slow)()
    living = asyncio.create_task(life.run(stop))
    await asyncio.wait_for(posting.wait(), 20)
    stop.set()
    await asyncio.wait_for(living, 10)


async def test_what_is_posted_when_the_bot_is_stopped_is_written_down_too(bench):
    bench.decided()
    answers = asyncio.Event()
    answers.set()
    await stopped_while_posting(bench, answers)
    assert [entry.data.last_published for entry in bench.ledger.entries(kind="shown")] == [5, 1]
    await bench.life().catch_up()
    assert len(bench.lines()) == 2


async def test_a_slack_that_does_not_answer_does_not_hold_up_the_end(bench):
    bench.decided()
    await stopped_while_posting(bench, asyncio.Event())
    assert len(bench.ledger.entries(kind="shown")) == 1


async def test_without_a_channel_nothing_is_told_and_one_process_tells(bench):
    bench.decided()
    stop = asyncio.Event()
    await bench.life(channel="").run(stop)
    assert "none is set" in bench.life(channel="").sentence()
    looked = asyncio.Event()

    def may():
        looked.set()
        return False

    living = asyncio.create_task(bench.life(may=may).run(stop))
    await asyncio.wait_for(looked.wait(), 20)
    stop.set()
    await living
    assert bench.texts() == []


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the ledger and the practice Slack cannot tell
            await asyncio.sleep(0.01)


async def test_an_entry_of_a_newer_version_keeps_nothing_from_being_told(bench):
    ticket = bench.decided()
    await bench.life().catch_up()
    posted = {"head": 3, "channel": "C0AUDIT", "ts": "1.5"}
    newer_version.write(bench.ledger, "anchor", {**posted, "novel": 1})
    newer_version.write(bench.ledger, "shown", {"what": "novel"}, ticket)
    sick = bench.decided(line="/drain-node hv04", end="interrupted")
    proposed, *_, interrupted = bench.ledger.story(sick)
    newer_version.add_field(bench.ledger, proposed)
    newer_version.add_field(bench.ledger, interrupted)
    after = bench.decided(line="/drain-node hv05")
    before = len(bench.lines())
    channel = bench.life()
    await channel.catch_up()
    told = bench.lines()[before:]
    assert [line.split(" · ")[0].split(":")[0] for line in told] == [
        f"{sick} approved",
        f"{sick} interrupted, someone must decide",
        f"{after} approved",
        f"{after} done",
    ]
    assert f"entry {proposed.seq} cannot be read by this version of hvops" in told[0]
    assert f"entry {interrupted.seq} cannot be read by this version of hvops" in told[1]
    assert "cannot be read" not in told[2]
    assert channel.sentence().startswith("posted up to entry")
    assert len(bench.heads()) == 2


async def test_a_beginning_is_told_beside_an_entry_of_a_newer_version(fresh):
    fresh.decided()
    begun = {"what": "audit-begin", "last_published": fresh.ledger.head().seq, "channel": "C0AUDIT"}
    fresh.ledger.append("bot", entry_data("shown", begun))
    newer_version.write(fresh.ledger, "shown", {"what": "novel"})
    await fresh.life().catch_up()
    assert "The audit channel begins here" in fresh.lines()[0]


async def test_an_old_copy_tells_what_was_decided_and_posts_no_head(bench):
    """Else the true ledger would find a head there that it knows nothing of, and stop as well."""
    says = "the audit channel records entry 60, but this ledger ends at entry 4; it looks like a restored copy"

    async def knows_more():
        return says

    bench.decided()
    copy = bench.life(keeps_back=knows_more)
    with pytest.raises(LedgerError, match="no head was posted: the audit channel records entry 60"):
        await copy.catch_up()
    assert bench.heads() == []
    says = ""
    await copy.catch_up()
    assert len(bench.heads()) == 1
