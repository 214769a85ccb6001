"""Who comes first, and what comes twice: one decision, everybody told, and every click in the ledger before its reply."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.errors import LedgerError
from bot.executor.scheduler import missed_clicks
from bot.ledger import EntryDraft
from bot.slack.socket import ENVELOPE

TEAM = "T0PRACTICE"
OPERATOR = Person(f"{TEAM}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})


@pytest.fixture
async def two(bench, make_bot):
    """Two lives on one ledger, fed directly. No runner: what is decided stays as it is."""
    lives = [make_bot(bench), make_bot(bench)]
    yield lives
    for one in lives:
        await one.close()


async def proposed(life, line="/repair hv03"):
    return (await life.desk.parts.changes.proposals.propose(Request(OPERATOR, line, "slack", "C0OPS"))).ticket


def pressed(verb, ticket, user, trigger):
    return {
        "type": "block_actions",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "channel": {"id": "C0OPS"},
        "container": {"type": "message", "channel_id": "C0OPS"},
        "trigger_id": trigger,
        "actions": [{"action_id": f"hvops:{verb}", "value": ticket, "type": "button"}],
    }


def submitted(verb, ticket, user, trigger):
    values = {"reason": {"reason": {"value": "not tonight"}}}
    view = {
        "type": "modal",
        "callback_id": f"hvops:ticket:{verb}",
        "private_metadata": ticket,
        "state": {"values": values},
    }
    user = {"id": user, "team_id": TEAM}
    return {"type": "view_submission", "team": {"id": TEAM}, "user": user, "trigger_id": trigger, "view": view}


async def delivered(life, body, envelope, *, again=False):
    """Deliver, and prove that what was pressed stood in the ledger when it was acknowledged.

    An acknowledgement does not wait for the note that this process has heard the same before.
    """
    body = life.genuine(body)
    request = AsyncBoltRequest(mode="socket_mode", body=body, context={ENVELOPE: envelope})
    assert (await life.app.async_dispatch(request)).status == 200
    if again:
        await settled(life)
    kinds = ("clicked", "refused")
    known = [
        list(one.data.deliveries) for one in life.ledger.every() if one.kind in kinds and "deliveries" in one.fields
    ]
    assert any(f"envelope {envelope}" in one for one in known)


async def settled(*lives):
    while tasks := [task for life in lives for task in life.desk._running]:
        await asyncio.gather(*tasks)


def kinds(ledger, ticket):
    return [one.kind for one in ledger.story(ticket) if one.kind != "shown"]


async def test_the_same_envelope_again_is_one_click(bench, two):
    """Slack did not hear the acknowledgement: the same envelope, or the same payload after a reconnect."""
    life, _ = two
    ticket = await proposed(life)
    body = pressed("t-approve", ticket, "U0APPROVER", "trigger.1")
    await delivered(life, body, "e1")
    for envelope in ("e1", "e2", "e3"):
        await delivered(life, body, envelope, again=True)
    await settled(life)
    assert kinds(bench.ledger, ticket) == ["proposed", "clicked", "approved"]
    again = bench.ledger.entries(kind="refused")
    assert [one.data.category for one in again] == ["redelivered"] * 3
    bench.ledger.verify()


@pytest.mark.parametrize(
    ("make", "verb", "kind"),
    [(pressed, "t-approve", "approved"), (submitted, "t-reject", "rejected")],
)
async def test_the_same_envelope_at_another_process_decides_nothing_more(bench, two, make, verb, kind):
    """The one that acknowledged is gone, or its acknowledgement was lost on the way."""
    first, second = two
    ticket = await proposed(first)
    body = make(verb, ticket, "U0APPROVER", "trigger.1")
    await delivered(first, body, "e1")
    await delivered(second, body, "e1")
    await settled(first, second)
    story = bench.ledger.story(ticket)
    assert sorted(kinds(bench.ledger, ticket)) == sorted(["proposed", "clicked", "clicked", kind, "refused"])
    assert sorted(one.data.click for one in story if one.kind in (kind, "refused")) == [
        one.seq for one in story if one.kind == "clicked"
    ]
    (late,) = [one for one in story if one.kind == "refused"]
    assert late.data.reason.startswith(f"Too late: {ticket} was {kind} by")


async def test_everybody_at_once_at_two_processes_is_one_decision_and_an_answer_for_each(bench, two):
    crowd = bench.crowd(6)
    ticket = await proposed(two[0])
    bodies = [
        *(pressed("t-approve", ticket, one.id, f"trigger.a{one.id}") for one in crowd),
        *(submitted("t-reject", ticket, one.id, f"trigger.r{one.id}") for one in crowd),
        *(pressed("t-withdraw", ticket, "U0OPERATOR", f"trigger.w{number}") for number in range(2)),
    ]
    await asyncio.gather(*(delivered(two[at % 2], body, f"e{at}") for at, body in enumerate(bodies)))
    await settled(*two)
    story = bench.ledger.story(ticket)
    answers = [one for one in story if one.kind not in ("proposed", "clicked", "shown")]
    assert sum(one.kind in ("approved", "rejected") for one in answers) <= 1
    assert sum(one.kind in ("rejected", "withdrawn") for one in answers) <= 1
    assert sorted(one.data.click for one in answers) == [one.seq for one in story if one.kind == "clicked"]
    assert len(answers) == len(bodies)
    assert all("Too late" in one.data.reason for one in answers if one.kind == "refused")
    assert bench.ledger.verify().holds


async def test_what_one_process_posted_and_did_not_live_to_write_down_no_other_posts_again(bench, two, monkeypatch):
    """Both show the ticket: one put it up, the other took the press. Neither found it by a sweep, nor when it started."""
    first, second = two
    ticket = await proposed(first)
    await first.desk.parts.changes.board.refresh(ticket)
    append = second.ledger.append

    def killed(actor, data, ticket=None):
        if data.kind == "shown":
            raise LedgerError("the process is killed here")
        return append(actor, data, ticket)

    monkeypatch.setattr(second.ledger, "append", killed)
    await delivered(second, pressed("t-approve", ticket, "U0APPROVER", "trigger.1"), "e1")
    await settled(second)
    with pytest.raises(LedgerError):
        await second.desk.parts.changes.board.refresh(ticket)
    (plan,) = [one for one in bench.viewer.messages("hv-ops") if not one.thread_ts]
    posted = [one.text for one in bench.viewer.thread(plan)]
    assert sum("Approved by" in one for one in posted) == 1
    await second.close()
    monkeypatch.setattr(second.ledger, "append", append)
    await first.desk.parts.changes.board.refresh(ticket)
    assert [one.text for one in bench.viewer.thread(plan)] == posted
    assert "approved" in [one.kind for one in bench.ledger.story(ticket)]


async def test_a_click_in_hand_is_not_made_up_for_by_the_same_life(bench, two):
    """A process becomes the one that runs while it answers a click: only clicks of others were left unanswered."""
    first, second = two
    ticket = await proposed(first)
    await delivered(first, pressed("t-approve", ticket, "U0APPROVER", "trigger.1"), "e1")
    (click,) = [one for one in bench.ledger.story(ticket) if one.kind == "clicked"]
    await asyncio.gather(first.listener.replay_missed(click), settled(first))
    assert kinds(bench.ledger, ticket) == ["proposed", "clicked", "approved"]
    other = await proposed(first)
    lost = bench.ledger.append(
        f"{TEAM}/U0APPROVER",
        entry_data("clicked", {"button": "t-approve", "place": "C0OPS", "deliveries": ["envelope e9"]}),
        other,
    )
    await second.listener.replay_missed(lost)
    assert kinds(bench.ledger, other) == ["proposed", "clicked", "approved"]


@pytest.mark.parametrize("button", ["t-go-on 1", "t-go-on", "t-close-why 1", "t-close-why"])
async def test_a_late_click_decides_nothing_about_what_was_interrupted_since(bench, two, button):
    """Pressed twice in a hurry: the first click let it go on. It stops again, and then the bot is restarted."""
    life, _ = two
    ticket, append = await proposed(life), bench.ledger.append
    digest = bench.ledger.ticket(ticket).digest
    append(
        "T1/U9", entry_data("approved", {"by": "T1/U9", "start_by": "2100-01-01T00:00:00Z", "digest": digest}), ticket
    )
    append("bot", entry_data("started", {"locks": ["a"], "attempt": 1}), ticket)
    append("bot", entry_data("interrupted", {"reason": "first"}), ticket)
    data = {"button": button, "answer": ticket, "place": "C0OPS", "deliveries": [], "reason": "seen to"}
    click = append(f"{TEAM}/U0{'OPERATOR' if 'close' in button else 'APPROVER'}", entry_data("clicked", data), ticket)
    append("T1/U9", entry_data("resumed", {"attempt": 2, "by": "T1/U9"}), ticket)
    append("bot", entry_data("interrupted", {"attempt": 2, "reason": "again"}), ticket)
    await life.listener.replay_missed(click)
    assert (bench.ledger.ticket(ticket).attempt, bench.ledger.ticket(ticket).state) == (2, "interrupted")
    refused = bench.ledger.story(ticket)[-1]
    assert (refused.kind, refused.data.click) == ("refused", click.seq)
    assert "moved on since that button was shown" in refused.data.reason


async def test_a_plan_is_shown_in_its_channel_and_not_where_somebody_asks_for_it(bench, two):
    """Where an answer went as a direct message, that message has the button, and nobody else sees it."""
    life, _ = two
    ticket = await proposed(life)
    body = pressed("t-show", ticket, "U0OPERATOR", "trigger.1")
    body["channel"]["id"] = body["container"]["channel_id"] = "D0OPERATOR"
    body["container"]["message_ts"] = "1772460000.000100"
    await delivered(life, body, "e1")
    await settled(life)
    (place,) = {one.data.channel for one in bench.ledger.story(ticket) if one.kind == "shown"}
    assert place == "C0OPS"


async def test_a_second_press_while_the_first_is_answered_is_answered_for_good(bench, two, monkeypatch):
    """Else a restart within the hour would take it for a click that a dying bot left, and decide about what is so then."""
    life, _ = two
    ticket = await proposed(life)
    all_pressed = threading.Event()
    approve = life.decisions.approve

    def answer_after_all_presses(*arguments):
        assert all_pressed.wait(30)
        return approve(*arguments)

    monkeypatch.setattr(life.decisions, "approve", answer_after_all_presses)
    for number in range(3):
        await delivered(life, pressed("t-approve", ticket, "U0APPROVER", f"trigger.{number}"), f"e{number}")
    all_pressed.set()
    await settled(life)
    story = bench.ledger.story(ticket)
    answers = [one for one in story if one.kind in ("approved", "refused")]
    assert sorted(one.data.click for one in answers) == [one.seq for one in story if one.kind == "clicked"]
    assert "redelivered" in [one.fields.get("category") for one in answers]
    assert missed_clicks(bench.ledger, datetime(2000, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(("verb", "kind"), [("t-approve", "proposed"), ("t-reject-why", "rejected")])
async def test_an_old_press_begins_nothing_and_still_keeps_something_from_beginning(bench, two, verb, kind):
    life, _ = two
    ticket = await proposed(life)
    data = entry_data("clicked", {"button": verb, "place": "C0OPS", "reason": "no", "deliveries": []})
    click = bench.ledger.append(f"{TEAM}/U0APPROVER", data, ticket)
    later = datetime.fromisoformat(click.at) + timedelta(hours=2)
    assert missed_clicks(bench.ledger, later) == [click]
    now = bench.ledger.now
    bench.ledger.now = lambda: later
    await life.listener.replay_missed(click)
    bench.ledger.now = now
    assert bench.ledger.story(ticket)[-1].kind == {"proposed": "refused"}.get(kind, kind)


async def test_thousands_of_presses_bury_no_missed_one(bench, two):
    """Anybody can press; the bot dies. What an approver pressed before all of them is still made up for."""
    life, _ = two
    ticket, other = await proposed(life), await proposed(life)
    bench.ledger._store.write("PRAGMA synchronous=OFF")
    data = entry_data("clicked", {"button": "t-approve", "answer": ticket, "place": "C0OPS", "deliveries": []})
    lost = bench.ledger.append(f"{TEAM}/U0APPROVER", data, ticket)
    noise = entry_data("clicked", {"button": "t-look", "answer": other, "place": "C0OPS", "deliveries": []})
    drafts = [EntryDraft(f"{TEAM}/U0NOBODY", noise, other) for _ in range(1_200)]
    bench.ledger.append_together(*drafts)
    missed = missed_clicks(bench.ledger, datetime(2000, 1, 1, tzinfo=UTC))
    assert missed[0] == lost
    assert len(missed) == 1 + len(drafts)


async def test_a_press_that_could_not_be_decided_is_not_called_undone(bench, two, monkeypatch):
    """It stands in the ledger, and a restart takes it up: "nothing was done" would not stay true."""
    life, _ = two
    ticket = await proposed(life)

    def full(*_):
        raise LedgerError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(life.decisions, "_write", full)
        await delivered(life, pressed("t-approve", ticket, "U0APPROVER", "trigger.1"), "e1")
        await settled(life)
    await bench.approver.sees("The disk is full. Press again. If hvops restarts within 5 minutes", "hv-ops")
    (click,) = missed_clicks(bench.ledger, datetime(2000, 1, 1, tzinfo=UTC))
    assert bench.ledger.ticket(ticket).state == "proposed"
    await two[1].listener.replay_missed(click)
    assert bench.ledger.ticket(ticket).state == "approved"
