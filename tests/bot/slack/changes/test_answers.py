"""An approver answers what no source did: the button, its window, and everybody whose answer does not count."""

import asyncio
import re
from datetime import timedelta

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.audit.ticket_history import story_text
from bot.config.settings import Policy
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.errors import PlanNotShown, TicketError
from bot.ledger.entries import Approved
from bot.slack.render.reason_modal import CALLBACK
from bot.tickets.answers import ONE_BY_ONE
from bot.tickets.decisions import UserAction
from lab.slack.model import Member
from lab.slack.plain_text import plain_text

HOME = "T0PRACTICE"
LABEL = "free space of crm-03"
SAID = "I looked in the guest, 40 GB free"


async def proposed(bench, line="/repair hv03", unasked="crm-03"):
    """A ticket that leaves something open, and its message."""
    bench.world.values["unasked"] = unasked
    await bench.operator.types(line)
    return await bench.operator.sees("hv03?", "hv-ops")


async def window(bench, message, button="Approve With 1 Unknown…"):
    await bench.approver.clicks(message, button)
    return await bench.approver.sees_view("Approve T-1")


async def test_the_card_names_the_unknown_and_the_window_asks_how_they_know(bench):
    async with bench.running():
        message = await proposed(bench)
        told = plain_text(message)
        assert "*Not known (1).* The approver must say how they know:" in told
        assert "free space of crm-03: no answer (timed out after 20 s). To find out: Look." in told
        assert "Approve With 1 Unknown…" in told
        shown = await window(bench, message)
        (asked,) = [block for block in shown.blocks if block["type"] == "input"]
        assert asked["label"]["text"] == LABEL
        assert (
            asked["hint"]["text"]
            == "Needed for the check “Every guest has room”. No answer (timed out after 20 s). To find out: Look."
        )
        assert (asked["element"]["multiline"], asked["element"]["max_length"]) == (True, 500)
        assert not asked.get("optional")
        assert "approved" not in bench.kinds()
        await bench.approver.submits(shown, {LABEL: SAID})
        bench.world.gate.set()
        await bench.ended("done")
        (approved,) = bench.ledger.entries(kind="approved")
        assert [(one.what, one.answer) for one in approved.read(Approved).answers] == [(LABEL, SAID)]
        assert bench.ledger.verify().holds


async def test_the_statement_stands_in_card_thread_story_and_file_and_is_harmless(bench):
    async with bench.running():
        message = await proposed(bench)
        hostile = "<!channel> `rm -rf` *now* \u202egnp.exe <@U0OPERATOR>\nsaid & done\x1b[31m"
        await bench.approver.submits(await window(bench, message), {LABEL: hostile})
        bench.world.gate.set()
        await bench.ended("done")
        (approved,) = bench.ledger.entries(kind="approved")
        (answer,) = approved.read(Approved).answers
        assert answer.answer.startswith("<!channel> `rm -rf` *now*")
        done = await bench.viewer.sees(re.compile("^Done: Repair"), "hv-ops")
        says = next(one for one in bench.viewer.thread(message) if "Approved by" in one.text)
        for text in (str(done.blocks), str(says.blocks), says.text):
            assert re.search("<@U0APPROVER> answered: free space of crm-03: “&lt;!channel&gt; ['ˋ]rm -rf['ˋ]", text)
            assert "<!channel>" not in text
            assert "`" not in text
            assert "\u202e" not in text
            assert "\x1b" not in text
        story = story_text("T-1", bench.ledger.story("T-1"))
        assert "approver answered: free space of crm-03: “<!channel> `rm -rf`" in story.replace("Approver", "approver")


@pytest.fixture
async def fed(bench, make_bot):
    """The real listeners, fed directly; no runner, so that a ticket stays as it was left."""
    bench.bot = make_bot(bench)
    bench.world.values["unasked"] = "crm-03"
    requester = Person(f"{HOME}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
    await bench.bot.desk.parts.changes.proposals.propose(Request(requester, "/tweak hv03", "slack", "C0OPS"))
    yield bench
    await bench.bot.close()


async def sent(bench, body):
    """Deliver a payload, and wait until all of it has been done."""
    answer = await bench.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=bench.bot.genuine(body)))
    assert answer.status == 200
    while bench.bot.desk._running:
        await asyncio.gather(*bench.bot.desk._running)


def by(user, trigger):
    return {"team": {"id": HOME}, "user": {"id": user, "team_id": HOME}, "trigger_id": trigger}


def pressed(user, verb, trigger="t.1"):
    action = {"action_id": f"hvops:{verb}", "value": "T-1", "type": "button"}
    place = {"channel": {"id": "C0OPS"}, "container": {"type": "message", "channel_id": "C0OPS"}}
    return {"type": "block_actions", **by(user, trigger), **place, "actions": [action]}


def submitted(user, *said, trigger="t.2", ticket="T-1"):
    values = {f"answer-{at}": {f"answer-{at}": {"value": text}} for at, text in enumerate(said)}
    view = {
        "type": "modal",
        "callback_id": f"{CALLBACK}:t-answer",
        "private_metadata": ticket,
        "state": {"values": values},
    }
    return {"type": "view_submission", **by(user, trigger), "view": view}


def refusals(bench):
    return [(one.data.category, one.reason) for one in bench.ledger.entries(kind="refused")]


async def test_a_low_risk_with_an_unknown_is_approved_by_somebody_else(fed):
    proposal = fed.ledger.story("T-1")[0].data
    assert (proposal.risk, proposal.policy, proposal.open_questions) == ("low", "approval", (LABEL,))
    for body in (pressed("U0OPERATOR", "t-answer"), submitted("U0OPERATOR", SAID)):
        await sent(fed, body)
    why = "You requested T-1, so another approver must decide."
    assert refusals(fed) == [("not allowed", why)] * 2
    assert fed.slack.calls("views.open") == []
    await sent(fed, submitted("U0APPROVER", SAID, trigger="t.3"))
    assert fed.ledger.ticket("T-1").state == "approved"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ((), "must be answered (free space of crm-03)"),
        (("",), "must be answered"),
        ((" \n\t\u200b ",), "must be answered"),
        (("...",), "must be answered"),
        ((SAID, SAID), "must be answered"),
        (("x" * 501,), "an answer has more than 500 characters"),
    ],
)
async def test_a_window_without_an_answer_approves_nothing(fed, said, says):
    await sent(fed, submitted("U0APPROVER", *said))
    (refusal,) = refusals(fed)
    assert refusal[0] == "not understood"
    assert says in refusal[1]
    assert fed.ledger.ticket("T-1").state == "proposed"


async def test_the_plain_approve_of_an_old_or_forged_click_decides_nothing_and_says_why(fed):
    for body in (pressed("U0APPROVER", "t-approve"), submitted("U0APPROVER", trigger="t.9")):
        await sent(fed, body)
    why = "1 unknown must be answered (free space of crm-03). Press Approve With 1 Unknown… and say how you know."
    assert refusals(fed) == [("not understood", f"T-1 is not approved: {why}")] * 2
    assert fed.ledger.ticket("T-1").state == "proposed"


async def test_a_stranger_and_one_who_lost_the_role_meanwhile_are_refused(fed):
    fed.slack.workspace.members["U0NOBODY"] = Member("U0NOBODY", "nobody", "nobody")
    await sent(fed, pressed("U0NOBODY", "t-answer"))
    assert fed.slack.calls("views.open") == []
    await sent(fed, pressed("U0APPROVER", "t-answer", "t.5"))
    assert len(refusals(fed)) == 1, "the approver's window opened"
    fed.slack.workspace.groups["S0APPROVERS"].users.clear()
    fed.bot.people._groups.clear()  # what it remembers of them is old by then
    await sent(fed, submitted("U0APPROVER", SAID))
    assert [one[0] for one in refusals(fed)] == ["not allowed", "not allowed"]
    assert fed.ledger.ticket("T-1").state == "proposed"


async def test_who_comes_too_late_is_told_before_anything_is_asked(fed):
    await sent(fed, submitted("U0APPROVER", SAID))
    await sent(fed, submitted("U0APPROVER", SAID, trigger="t.7"))  # once more, as another delivery
    await sent(fed, pressed("U0APPROVER", "t-answer", "t.8"))
    assert [one[0] for one in refusals(fed)] == ["too late", "too late"]
    assert all("T-1 was approved by" in one[1] for one in refusals(fed))
    assert fed.slack.calls("views.open") == []
    assert len(fed.ledger.entries(kind="approved")) == 1


async def test_a_ticket_that_has_expired_takes_no_answer(fed):
    later = fed.bot.decisions._clock() + timedelta(hours=1)
    fed.bot.decisions._clock = lambda: later
    await sent(fed, pressed("U0APPROVER", "t-answer"))
    await sent(fed, submitted("U0APPROVER", SAID))
    assert [one[0] for one in refusals(fed)] == ["too late", "too late"]
    assert fed.ledger.ticket("T-1").state == "proposed"


async def test_a_window_of_a_ticket_that_there_is_not_or_that_leaves_nothing_open(fed):
    await sent(fed, submitted("U0APPROVER", SAID, ticket="T-99"))
    fed.world.values["unasked"] = ""
    requester = Person(f"{HOME}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
    await fed.bot.desk.parts.changes.proposals.propose(Request(requester, "/repair hv03", "slack", "C0OPS"))
    await sent(fed, submitted("U0APPROVER", SAID, ticket="T-2", trigger="t.4"))
    assert {one[1] for one in refusals(fed)} == {
        "There is no ticket T-99.",
        "T-2 leaves nothing open: press Approve next to its plan.",
    }
    assert fed.ledger.ticket("T-2").state == "proposed"


async def test_settings_that_became_stricter_hold_for_what_is_open(fed):
    fed.bot.decisions._policy = Policy(low="confirm", high="approval", unknown="refuse")
    await sent(fed, submitted("U0APPROVER", SAID))
    assert refusals(fed)[0][0] == "not allowed"
    assert '[policy] unknown = "refuse"' in refusals(fed)[0][1]


async def test_an_answer_that_was_typed_before_a_crash_is_not_lost(fed):
    """The click holds what was typed, so the next life of the bot decides by it."""
    decide, fed.bot.decisions.approve = fed.bot.decisions.approve, None
    fed.bot.listener._clicks.tickets._decides = {}
    await sent(fed, submitted("U0APPROVER", SAID))
    fed.bot.decisions.approve = decide
    (click,) = fed.ledger.entries(kind="clicked")
    assert click.data.answers == (SAID,)
    fresh = type(fed.bot.listener._clicks.tickets)(fed.bot.desk, fed.bot.changes, None)
    await fresh.replay_missed(click)
    assert fed.ledger.ticket("T-1").state == "approved"


async def test_very_many_unknowns_are_answered_once_and_signed_one_by_one(bench):
    names = [f"crm-{number:02}" for number in range(ONE_BY_ONE + 5)]
    async with bench.running():
        message = await proposed(bench, unasked=",".join(names))
        shown = await window(bench, message, f"Approve With {len(names)} Unknowns…")
        assert [block["type"] for block in shown.blocks].count("input") == 1
        await bench.approver.submits(shown, {f"How do you know all {len(names)} of them?": SAID})
        bench.world.gate.set()
        await bench.ended("done")
        (approved,) = bench.ledger.entries(kind="approved")
        answers = approved.read(Approved).answers
        assert [one.what for one in answers] == [f"free space of {name}" for name in names]
        assert {one.answer for one in answers} == {SAID}


async def test_no_way_in_past_the_service_approves_without_an_answer(fed):
    approver = Person(f"{HOME}/U0APPROVER", "approver", {Role.APPROVER: frozenset(["prod"])})
    digest = fed.ledger.story("T-1")[0].data.digest
    bare = Approved(by=approver.id, digest=digest, start_by="2999-01-01T00:00:00Z")
    with pytest.raises(TicketError, match="nothing is said of free space of crm-03"):
        fed.ledger.append(approver.id, bare, "T-1")
    with pytest.raises(PlanNotShown, match="the full plan is not in Slack yet"):
        fed.bot.decisions.approve(UserAction(approver, "T-1"), (SAID,))
    await fed.bot.changes.show_plan("T-1")
    fed.bot.decisions.approve(UserAction(approver, "T-1"), (SAID,))
    assert fed.ledger.ticket("T-1").state == "approved"


async def test_a_card_with_many_long_names_stays_short_and_says_where_all_of_them_are(bench):
    names = [f"{'x' * 200}-{number:02}" for number in range(30)]
    async with bench.running():
        message = await proposed(bench, unasked=",".join(names))
        told = plain_text(message)
        assert "and 10 more" in told
        assert "All of them are in the plan in the thread." in told
        plan = (await bench.until_file(message, "plan.txt")).decode()
        assert all(f"free space of {name}" in plan for name in names)
