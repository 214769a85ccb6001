"""What has not been delivered is delivered until it is: refusals, lost answers, restarts; and nobody approves unseen."""

import asyncio
import re

import aiohttp
import pytest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.errors import LedgerError, PlanNotShown
from bot.ledger.entries import DirectMessageShown, ThreadReplyShown
from bot.redaction import SESSION_TOKENS
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.outbox import RateLimit
from bot.slack.tickets.ticket_messages import ReminderSchedule
from bot.tickets.decisions import UserAction, is_plan_shown
from bot.transport.client import QueryResult
from lab.slack.model import BOT_USER, Message
from lab.slack.plain_text import plain_text

HOME = "T0PRACTICE"
DONE = re.compile("^Done: Repair on hv03")
ENDED = "<@U0OPERATOR> <@U0APPROVER> T-1 Done"
QUICK = RateLimit(interval=0.001, give_up_after=0.2, looks=(0.01, 0.01))


@pytest.fixture
def quick(bench):
    """A life of the bot that looks soon for what may have arrived."""
    return lambda **options: bench.running(tempo=QUICK, **options)


def cards(bench):
    """The messages of tickets in the ops channel that can still be pressed."""
    return [one for one in bench.viewer.messages("hv-ops") if any(block["type"] == "actions" for block in one.blocks)]


def roots(bench):
    """The messages of the ops channel that are no replies."""
    return [one for one in bench.viewer.messages("hv-ops") if not one.thread_ts]


def texts(bench, message):
    return [one.text for one in bench.viewer.thread(message)]


async def approved(bench):
    """A plan for hv03 that is approved and about to begin."""
    await bench.operator.types("/repair hv03")
    plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
    await bench.approver.clicks(plan, "Approve")
    await bench.approver.sees("T-1: approved")
    await bench.until(lambda: "started" in bench.kinds())
    return plan


@pytest.mark.parametrize(
    "code",
    ["update_failed", "is_inactive", "streaming_state_conflict", "external_channel_migrating", "invalid_blocks"],
)
async def test_a_refused_update_keeps_nobody_from_the_end_and_the_card_follows(bench, quick, code):
    async with quick():
        plan = await approved(bench)
        bench.slack.faults.add("chat.update", code, 4)
        bench.world.gate.set()
        await bench.until(lambda: any(one.startswith(ENDED) for one in texts(bench, plan)))
        done = await bench.viewer.sees(DONE, "hv-ops")
        assert done.ts == plan.ts or plan.ts not in [one.ts for one in cards(bench)]


async def test_whoever_asked_and_approved_hears_the_end_directly_where_the_channel_takes_nothing(bench, quick):
    async with quick():
        plan = await approved(bench)
        members = bench.slack.workspace.channels["C0OPS"].members
        members.remove(BOT_USER)
        bench.world.gate.set()
        for person in (bench.operator, bench.approver):
            told = await person.sees("T-1 Done", "dm")
            assert "Sent to you directly: hvops can't post in this ticket's channel (not_in_channel)." in plain_text(
                told
            )
        members.append(BOT_USER)
        await bench.until(lambda: any(one.startswith(ENDED) for one in texts(bench, plan)))
        assert (await bench.viewer.sees(DONE, "hv-ops")).ts == plan.ts
        shown = [entry.read_if(DirectMessageShown) for entry in bench.ledger.story("T-1")]
        assert [one.to for one in shown if one] == ["U0OPERATOR", "U0APPROVER"]
        assert len(bench.operator.messages("dm")) == 1


async def test_a_plan_whose_file_is_refused_stands_in_the_thread_as_text_and_once(bench, quick):
    async with quick():
        bench.slack.faults.add("files.getUploadURLExternal", "missing_scope", 50)
        await bench.operator.types("/overhaul hv03")
        plan = await bench.viewer.sees("Overhaul on hv03?", "hv-ops")
        await bench.until(lambda: any("The full plan of T-1" in one for one in texts(bench, plan)))
        whole = "\n".join(plain_text(one) for one in bench.viewer.thread(plan))
        assert all(f"Guest {number:02} of hv03 has room" in whole for number in range(90))
        assert sum("The full plan of T-1" in one for one in texts(bench, plan)) == 1
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("T-1: approved")


async def test_nobody_approves_a_plan_that_is_not_in_slack_whole(bench, quick, monkeypatch):
    monkeypatch.setattr("bot.slack.tickets.change_service._FOR_THE_PLAN", 0.2)
    async with quick():
        faults = bench.slack.faults
        faults.add("files.completeUploadExternal", "500", 10_000)
        await bench.operator.types("/overhaul hv03")
        plan = await bench.viewer.sees("Overhaul on hv03?", "hv-ops")
        await bench.approver.clicks(plan, "Approve")
        told = await bench.approver.sees("the full plan is not in Slack yet")
        assert "then press again" in plain_text(told)
        assert "approved" not in bench.kinds()
        faults.waiting.clear()
        await bench.until(lambda: any("The full plan of T-1" in one for one in texts(bench, plan)))
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("T-1: approved")


async def test_a_plan_of_which_a_part_would_be_masked_is_not_told_and_nobody_approves_it(bench, make_bot):
    """A service gives out as its token what stands in the plan: after the proposal, before it is shown."""
    bench.bot = make_bot(bench)
    operator = Person(f"{HOME}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
    approver = Person(f"{HOME}/U0APPROVER", "approver", {Role.APPROVER: frozenset(["prod"])})
    await bench.bot.changes.proposals.propose(Request(operator, "/repair hv03", "slack", "C0OPS"))
    SESSION_TOKENS.clear()
    try:
        SESSION_TOKENS.add("commvault", "Pause hv03 [pause], timeout 60 s")
        await bench.bot.board.refresh("T-1")
        assert not is_plan_shown(bench.ledger.story("T-1"))
        with pytest.raises(PlanNotShown):
            bench.bot.decisions.approve(UserAction(approver, "T-1"))
    finally:
        SESSION_TOKENS.clear()
    await bench.bot.board.refresh("T-1")
    assert bench.bot.decisions.approve(UserAction(approver, "T-1")).kind == "approved"
    await bench.bot.close()


async def test_a_plan_counts_as_shown_in_the_thread_of_the_newest_message_alone(bench):
    """Two bots posted its message; the plan went into the thread of the one that is only a pointer by now."""
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.until(lambda: is_plan_shown(bench.ledger.story("T-1")))
    first = bench.ledger.story("T-1")
    told = next(one.data for one in first if one.data.kind == "shown" and one.fields.get("what") == "thread-reply")
    message = next(one.data for one in first if one.fields.get("what") == "ticket-message")
    assert told.thread == message.ts
    bench.ledger.append("bot", message.model_copy(update={"ts": "1999999999.000100"}), "T-1")
    assert not is_plan_shown(bench.ledger.story("T-1"))
    for thread, is_shown in (("", False), (message.ts, False), ("1999999999.000100", True)):
        bench.ledger.append("bot", told.model_copy(update={"thread": thread}), "T-1")
        assert is_plan_shown(bench.ledger.story("T-1")) is is_shown


async def test_many_plans_of_one_person_hold_up_nobody_elses_plan(bench, make_bot, monkeypatch):
    bench.bot = bot = make_bot(bench)
    held, post, posted, theirs = asyncio.Event(), bot.outbox._client.chat_postMessage, [], f"{HOME}/U0APPROVER"

    async def taken(**said):
        await held.wait()
        if len(posted) == 2:  # else it depends on how soon it is written down that the card of hv03 is there
            await bench.until(lambda: any(job.turn.of == theirs for job in bot.outbox._lanes["C0OPS"].waiting))
        posted.append(said["text"])
        return await post(**said)

    monkeypatch.setattr(bot.outbox._client, "chat_postMessage", taken)

    async def proposes(user, host):
        person = Person(f"{HOME}/{user}", user, {Role.OPERATOR: frozenset(["prod"])})
        found = await bot.changes.proposals.propose(Request(person, f"/repair {host}", "slack", "C0OPS"))
        return asyncio.create_task(bot.board.refresh(found.ticket))

    shown = [await proposes("U0OPERATOR", f"node{at}") for at in range(12)]
    await bench.until(lambda: len(bot.outbox._lanes["C0OPS"].waiting) == 11)
    shown.append(await proposes("U0APPROVER", "hv03"))
    await bench.until(lambda: len(bot.outbox._lanes["C0OPS"].waiting) == 12)
    held.set()
    await asyncio.gather(*shown)
    of_theirs = [at for at, text in enumerate(posted) if "hv03" in text or "plan of T-13" in text]
    assert of_theirs == [1, 3], "the one that was under way already came before, and one between the two"
    assert all(is_plan_shown(bench.ledger.story(f"T-{at + 1}")) for at in range(13))
    assert len(roots(bench)) == 13
    await bot.close()


async def test_a_file_of_somebody_elses_under_the_plans_name_and_size_is_not_the_plan(bench, quick):
    """The holder of the bot's token is the bot's own user to Slack, and knows the size from an earlier plan."""
    async with quick():
        await bench.operator.types("/overhaul hv03")
        plan = await bench.viewer.sees("Overhaul on hv03?", "hv-ops")
        size = len(await bench.until_file(plan, "plan.txt"))
        await bench.operator.clicks(plan, "Withdraw")
        await bench.ended("withdrawn")

        lie = b"T-2: /overhaul hv03\nNothing is changed.\n".ljust(size)
        holder = make_client(bench.slack.bot_token, bench.slack.base_url)
        told = await holder.files_getUploadURLExternal(filename="plan.txt", length=size)
        async with aiohttp.ClientSession() as session, session.post(told["upload_url"], data=lie) as uploaded:
            assert uploaded.status == 200
        bench.slack.faults.add("files.getUploadURLExternal", "ratelimited", 3)
        await bench.operator.types("/overhaul hv03")
        await bench.until(lambda: any("T-2" in str(one.blocks) for one in cards(bench)))
        (card,) = [one for one in cards(bench) if "T-2" in str(one.blocks)]
        await holder.files_completeUploadExternal(
            files=[{"id": told["file_id"], "title": "The full plan of T-2"}], channel_id="C0OPS", thread_ts=card.ts
        )
        await bench.until(lambda: is_plan_shown(bench.ledger.story("T-2")))
        shared = [bench.viewer.file(one) for one in bench.viewer.thread(card) if one.files]
        assert lie in shared
        assert any(b"Guest 42 of hv03 has room" in one for one in shared)


async def test_text_that_stands_for_a_refused_file_is_no_plan_before_it_can_be_read(bench, quick, monkeypatch):
    monkeypatch.setattr("bot.slack.tickets.change_service._FOR_THE_PLAN", 0.2)
    async with quick():
        faults = bench.slack.faults
        faults.add("files.getUploadURLExternal", "missing_scope", 10_000)
        await bench.operator.types("/overhaul hv03")
        plan = await bench.viewer.sees("Overhaul on hv03?", "hv-ops")
        faults.add("chat.postMessage", "invalid_blocks", 10_000)
        await bench.approver.clicks(plan, "Approve")
        await bench.until(lambda: "refused" in bench.kinds() or "approved" in bench.kinds())
        whole = "\n".join(plain_text(one) for one in bench.viewer.thread(plan))
        is_there = all(f"Guest {number:02} of hv03 has room" in whole for number in range(90))
        assert is_there == ("approved" in bench.kinds())
        faults.waiting["chat.postMessage"].clear()  # files are refused for good
        await bench.until(lambda: any("The full plan of T-1" in one for one in texts(bench, plan)))
        told = [one for one in texts(bench, plan) if "(Slack refused the file: missing_scope)" in one]
        assert len(told) == len(set(told)) > 1


async def test_while_nothing_can_be_written_down_there_is_one_card(bench, quick, monkeypatch):
    async with quick() as bot:
        append, failures = bot.ledger.append, []

        def full(actor, data, ticket=None):
            if data.kind == "shown" and len(failures) < 5:
                failures.append(data)
                raise LedgerError("The disk is full.")
            return append(actor, data, ticket)

        monkeypatch.setattr(bot.ledger, "append", full)
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.until(lambda: any(entry.read_if(ThreadReplyShown) for entry in bench.ledger.story("T-1")))
        assert [one.ts for one in roots(bench)] == [plan.ts]
        told = texts(bench, plan)
        assert len(told) == len(set(told))


async def test_a_copied_mark_in_a_message_of_somebody_elses_is_not_taken_for_ours(bench, quick):
    async with quick() as bot:
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        mark = plan.blocks[0]["block_id"]
        workspace = bench.slack.workspace
        block = {"type": "section", "block_id": mark, "text": {"type": "mrkdwn", "text": "lunch?"}}
        workspace.post(Message("C0OPS", workspace.next_ts(), "U0VIEWER", "lunch?", [block]))
        assert await bot.outbox.copies("C0OPS", "T-1 message 0") == [plan.ts]


async def test_an_answer_that_is_lost_after_the_post_leaves_one_card_and_one_line_each(bench, quick):
    async with quick():
        bench.slack.faults.add("chat.postMessage", "drop", 3)
        plan = await approved(bench)
        bench.slack.faults.add("chat.postMessage", "drop", 2)
        bench.world.gate.set()
        await bench.ended("done")
        assert len(roots(bench)) == 1
        told = texts(bench, plan)
        assert len(told) == len(set(told))


async def test_a_proposal_whose_card_may_be_there_has_a_number_and_can_be_shown(bench, quick):
    faults = bench.slack.faults
    async with quick():
        faults.add("chat.postMessage", "internal_error", 1)  # not done, and nobody can look
        faults.add("conversations.history", "missing_scope", 10_000)
        await bench.operator.types("/repair hv03", "dm")
        told = await bench.operator.sees("T-1 is proposed. hvops can't tell yet whether its plan was posted in", "dm")
        assert not cards(bench)
        faults.waiting.clear()
        await bench.operator.clicks(told, "Show Plan")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.until(lambda: any("The full plan of T-1" in one for one in texts(bench, plan)))
        assert len(cards(bench)) == 1


async def test_what_an_earlier_life_posted_and_could_not_write_down_is_found(bench, quick, monkeypatch):
    async with quick() as bot:
        append = bot.ledger.append

        def lost(actor, data, ticket=None):
            if data.kind == "shown":
                raise AssertionError("the bot is killed here")
            return append(actor, data, ticket)

        monkeypatch.setattr(bot.ledger, "append", lost)
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        monkeypatch.setattr(bot.ledger, "append", append)
    async with quick():
        await bench.until(lambda: any(entry.read_if(ThreadReplyShown) for entry in bench.ledger.story("T-1")))
        assert [one.ts for one in cards(bench)] == [plan.ts]


async def test_a_message_that_was_deleted_is_posted_anew_with_its_whole_plan(bench, quick):
    async with quick() as bot:
        plan = await approved(bench)
        await bot.outbox.delete("C0OPS", plan.ts)
        bench.world.gate.set()
        anew = await bench.viewer.sees(DONE, "hv-ops")
        await bench.until(lambda: any("The full plan" in one for one in texts(bench, anew)))
        await bench.until(lambda: any(one.startswith(ENDED) for one in texts(bench, anew)))
        assert [one.ts for one in roots(bench)] == [anew.ts]


async def test_what_happened_without_a_word_to_the_bot_is_shown_as_well(bench, quick):
    async with quick(pace=ReminderSchedule(progress=0.01, again=0.05, glance=0.02, sweep=0.05)) as bot:
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
        operator = Person(f"{HOME}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
        bot.decisions.withdraw(UserAction(operator, "T-1"))
        await bench.viewer.sees(re.compile("withdr", re.IGNORECASE), "hv-ops")


async def test_every_end_of_a_long_outage_is_told_by_the_next_life(bench, quick):
    async with quick():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        bench.slack.faults.add("chat.update", "500", 10_000)
        bench.slack.faults.add("chat.postMessage", "500", 10_000)
        await bench.operator.clicks(plan, "Withdraw")
        await bench.until(lambda: "withdrawn" in bench.kinds())
    bench.slack.faults.waiting.clear()
    async with quick():
        await bench.until(lambda: any("T-1" in one and "ithdr" in one for one in texts(bench, plan)))
        assert len(roots(bench)) == 1


async def test_long_evidence_that_slack_refuses_is_one_message_that_says_where_it_is(bench, quick, monkeypatch):
    async def at_length(question, seconds=20.0):
        return QueryResult((dict(bench.world.values),), "a line of a long answer\n" * 20_000, question.on)

    monkeypatch.setattr(bench.world, "answer", at_length)
    async with quick():
        plan = await approved(bench)
        bench.slack.faults.add("files.getUploadURLExternal", "missing_scope", 50)
        bench.world.gate.set()
        refused = "evidence.txt is not here (Slack refused the file: missing_scope). "
        where = "To see all of it: hvops audit show T-1 --evidence."
        await bench.until(lambda: refused + where in texts(bench, plan))
        await bench.ended("done")
        shown = [entry.read_if(ThreadReplyShown) for entry in bench.ledger.story("T-1")]
        assert not any("a line of a long answer" in one for one in texts(bench, plan))
        assert not any(one.missing for one in shown if one)
    tried = len(bench.slack.calls("files.getUploadURLExternal"))
    bench.world.values.update(paused="no", fixed="no")
    async with quick():  # nothing is left to be tried again
        await bench.operator.types("/repair hv03")
        await bench.until(lambda: any(one.read_if(ThreadReplyShown) for one in bench.ledger.story("T-2")))
        assert len(bench.slack.calls("files.getUploadURLExternal")) == tried
        assert texts(bench, plan).count(refused + where) == 1
