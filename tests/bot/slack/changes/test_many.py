"""Lists and start-up when many tickets are open: they say how many, show the newest, and ask Slack for little."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from entry_samples import entry_data

from bot.dispatch.pipeline import Pipeline
from bot.slack.inbound import buttons, request_handler
from bot.slack.inbound.builtin_commands import open_tickets
from bot.tickets.create import ProposalService
from lab.slack.plain_text import plain_text

MANY = 60


async def proposed(bench):
    """A ticket on its way through Slack, then many like it, in the ledger alone, as if they had been shown."""
    await bench.operator.types("/repair hv03")
    await bench.viewer.sees("Repair on hv03?", "hv-ops")
    await bench.operator.sees("T-1 is proposed")
    # Posted, and its plan told: the next life finds nothing to do.
    await bench.until(lambda: len(bench.kinds("T-1")) == 3)
    data = bench.ledger.story("T-1")[0].data
    for _ in range(MANY - 1):
        entry = bench.ledger.append("T0PRACTICE/U0OPERATOR", data)
        shown = {"channel": "C0OPS"}
        bench.ledger.append(
            "bot", entry_data("shown", {"what": "ticket-message", "ts": f"{entry.seq}.1", **shown}), entry.ticket
        )
        bench.ledger.append(
            "bot", entry_data("shown", {"what": "thread-reply", "entry": entry.seq, **shown}), entry.ticket
        )


def asked(bench, *methods):
    return sum(len(bench.slack.calls(method)) for method in methods)


async def test_runs_says_how_many_there_are_and_shows_the_newest(bench):
    async with bench.running() as bot:
        await proposed(bench)
        await bench.operator.types("/hvops runs")
        told = plain_text(await bench.operator.sees("60 open tickets"))
        assert "The newest 50 are shown; 10 are older." in told
        assert "T-60" in told
        assert "T-9 " not in told
        assert asked(bench, "chat.getPermalink") < MANY
        bot.board._links.clear()
        before = asked(bench, "chat.getPermalink")
        assert await bot.board.permalink("T-1") == await bot.board.permalink("T-1") != ""
        assert asked(bench, "chat.getPermalink") == before + 1


async def test_what_needs_a_person_is_not_hidden_behind_newer_proposals(bench):
    async with bench.running():
        await proposed(bench)
    proposed_, approver = bench.ledger.story("T-1")[0].data, "T0PRACTICE/U0APPROVER"
    approval = {"by": approver, "start_by": proposed_.open_until, "digest": proposed_.digest}
    for actor, kind, data in (
        (approver, "approved", approval),
        ("bot", "started", {"attempt": 1, "locks": ["node:hv03"]}),
        ("bot", "interrupted", {"step": "", "known": "", "reason": "nobody knows"}),
    ):
        bench.ledger.append(actor, entry_data(kind, data), "T-1")
    async with bench.running():
        await bench.approver.opens_home()
        home = plain_text(await bench.approver.sees_home("1 needs attention"))
        assert "50 to decide" in home
        assert "40 more: type /hvops runs. 9 older ones were not checked." in home


async def test_home_reads_no_plan_of_what_only_waits(bench, monkeypatch):
    """Counted, not timed: of fifty proposals no card is built and no plan is read, and Slack is asked about ten."""
    async with bench.running() as bot:
        await proposed(bench)
        await bench.approver.opens_home()
        await bench.approver.sees_home("50 to decide")
        read = []
        for module, name in (
            ("bot.tickets.proposal", "plan_from_json"),
            ("bot.slack.tickets.ticket_messages", "read_card"),
        ):
            monkeypatch.setattr(f"{module}.{name}", lambda *_, name=name: read.append(name))
        links = asked(bench, "chat.getPermalink")
        person = await bot.people.person("T0PRACTICE", "U0APPROVER", "approver")
        waiting, *_ = await open_tickets(bot.changes, person)
        assert (waiting.count, waiting.not_looked_at) == (50, 10)
        assert [ticket for ticket, _, _ in waiting.tickets] == [f"T-{60 - at}" for at in range(10)]
        assert waiting.tickets[0][1].startswith("*T-60* Repair on hv03 · requested by <@U0OPERATOR> · *")
        assert read == []
        assert asked(bench, "chat.getPermalink") - links <= 10


async def test_a_restart_posts_only_what_is_not_told_and_reminds_of_the_rest(bench, monkeypatch):
    # Their messages are made up: none stands in Slack.
    monkeypatch.setattr("bot.slack.tickets.ticket_messages._TOLD", 0)
    async with bench.running():
        await proposed(bench)
    bench.ledger.append("T0PRACTICE/U0OPERATOR", bench.ledger.story("T-1")[0].data)  # which no bot has seen
    before = asked(bench, "chat.postMessage", "chat.update")
    async with bench.running() as bot:
        await bench.until(lambda: len(bench.kinds(f"T-{MANY + 1}")) == 3)  # posted, and its plan told
        assert asked(bench, "chat.postMessage", "chat.update") == before + 2
        kept = [bot.board._keeping.get(f"T-{number}") for number in range(1, MANY + 2)]
        await bench.until(lambda: all(one.remind_at is not None for one in kept))
        assert len(bot.board._keeping.to_remind(datetime.max.replace(tzinfo=UTC))) == MANY + 1


async def test_what_is_made_for_one_person_is_never_made_on_the_threads_that_everybody_needs(bench, monkeypatch):
    """Megabytes of evidence are searched for secrets, and long answers are drawn: on the threads for questions."""
    where = {}

    def noting(owner, name):
        real = getattr(owner, name)

        def noted(*given, **named):
            where.setdefault(name, set()).add(threading.current_thread().name.partition("_")[0])
            return real(*given, **named)

        monkeypatch.setattr(owner, name, noted)

    noting(Pipeline, "store_answer")
    noting(ProposalService, "_write_once")
    noting(request_handler, "report_message")
    for name in ("csv_file", "shared_message", "evidence_file"):
        noting(buttons, name)
    async with bench.running():
        bench.world.values["locked"] = "yes"
        await bench.operator.types("/repair hv03")
        no_plan = await bench.operator.sees("No plan yet for hv03")
        await bench.operator.clicks(no_plan, "Share")
        await bench.viewer.sees("No plan yet for hv03", "hv-ops")
        bench.world.values["locked"] = "no"
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
    assert {"store_answer", "_write_once", "report_message", "shared_message"} <= where.keys()
    assert set().union(*where.values()) == {"questions"}
