"""Buttons and windows that hvops did not make: whoever holds the bot's token can post any, under its name."""

import asyncio
import time
from itertools import count

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.ledger.entries import Clicked, TicketMessageShown
from bot.slack.outbound.api_errors import make_client
from bot.slack.render.reason_modal import CALLBACK
from bot.slack.render.ticket_buttons import SEALED
from bot.slack.tickets.message_table import MessageRef, message_ref, window_seal

TEAM = "T0PRACTICE"
OPERATOR = Person(f"{TEAM}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
TRIGGERS = (f"trigger.{number}" for number in count())
LIE = "Snooze the backup alert for an hour?"
APPROVER = f"{TEAM}/U0APPROVER"
NOW = int(time.time())


@pytest.fixture
async def stolen(bench, make_bot):
    """A bot with two open tickets, T-1 posted and T-2 posted, and a client with its token."""
    bench.bot = make_bot(bench)
    for line in ("/repair hv03", "/reopen hv03"):
        found = await bench.bot.changes.proposals.propose(Request(OPERATOR, line, "slack", "C0OPS"))
        await bench.bot.board.refresh(found.ticket)
    bench.client = make_client(bench.slack.bot_token, bench.slack.base_url)
    yield bench
    await bench.bot.close()


def values(bench, ticket):
    """What the buttons of a ticket's message carry, as anybody who may read the channel through the API sees it."""
    place = message_ref(bench.ledger.story(ticket))
    (message,) = [one for one in bench.viewer.messages("hv-ops") if one.ts == place.ts]
    (value,) = {one["value"] for block in message.blocks if block["type"] == "actions" for one in block["elements"]}
    return value


def pressed(verb, value, *, channel="C0OPS", user="U0APPROVER", ts="1772460000.000100", **container):
    told = {"type": "message", "channel_id": channel, "message_ts": ts, **container}
    action = {"action_id": f"hvops:{verb}", "value": value, "type": "button", "action_ts": f"{time.time():.6f}"}
    return {
        "type": "block_actions",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "channel": {"id": channel},
        "container": told,
        "trigger_id": next(TRIGGERS),
        "actions": [action],
    }


def submitted(verb, metadata, user="U0APPROVER"):
    values = {"reason": {"reason": {"value": "because"}}, "answer-0": {"answer-0": {"value": "I looked"}}}
    view = {"type": "modal", "callback_id": f"{CALLBACK}:{verb}", "private_metadata": metadata}
    return {
        "type": "view_submission",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "trigger_id": next(TRIGGERS),
        "view": {**view, "state": {"values": values}},
    }


async def sent(bench, body):
    answer = await bench.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
    assert answer.status == 200
    while bench.bot.desk._running:
        await asyncio.gather(*bench.bot.desk._running)  # one that is done already is forgotten in the loop's next turn


async def nothing_came_of(bench, body, ticket="T-1"):
    """A press, or a window: refused, answered with a link to the real message, and nothing else happened."""
    before, place = bench.ledger.ticket(ticket), message_ref(bench.ledger.story(ticket))
    head = bench.ledger.head().seq
    await sent(bench, body)
    assert bench.ledger.ticket(ticket) == before
    assert message_ref(bench.ledger.story(ticket)) == place
    new = [one for one in bench.ledger.every() if one.seq > head]
    assert [one.kind for one in new] == ["clicked", "refused"], body
    assert (new[0].data.forged, new[1].data.click, new[1].ticket) == (True, new[0].seq, ticket)
    told = await bench.approver.sees(f"This is not the original message of {ticket}, so nothing was decided")
    if place:
        assert f"/p{place.ts.replace('.', '')}|in the original message" in told.text


@pytest.mark.parametrize("verb", sorted(SEALED))
async def test_no_button_decides_by_a_number_that_can_be_guessed(stolen, verb):
    await nothing_came_of(stolen, pressed(verb, "T-1"))
    await nothing_came_of(stolen, pressed(verb, f"T-1 {'A' * 22}", channel="C0OPS", ts="1.2"))


async def test_what_another_ticket_carries_decides_nothing(stolen):
    _, _, seal = values(stolen, "T-2").partition(" ")
    real = message_ref(stolen.ledger.story("T-1")).ts
    await nothing_came_of(stolen, pressed("t-approve", f"T-1 {seal}"))
    await nothing_came_of(stolen, pressed("t-approve", f"T-1 {seal}", ts=real))
    other = message_ref(stolen.ledger.story("T-2")).ts
    await nothing_came_of(stolen, pressed("t-approve", "T-1", ts=other))


async def test_what_the_real_message_carries_decides_nothing_anywhere_else(stolen):
    """Another channel, a direct message, Home, a window, a message that only one person sees, a reply."""
    value, real = values(stolen, "T-1"), message_ref(stolen.ledger.story("T-1")).ts
    await nothing_came_of(stolen, pressed("t-approve", value, channel="D0APPROVER"))
    await nothing_came_of(stolen, pressed("t-approve", value, channel="C0AUDIT", ts=real))
    await nothing_came_of(stolen, pressed("t-approve", value, is_ephemeral=True))
    await nothing_came_of(stolen, pressed("t-approve", value, thread_ts=real))
    for kind in ("home", "modal"):
        view = pressed("t-approve", value, channel="", ts="") | {"view": {"id": "V1", "type": kind}}
        del view["channel"]
        view["container"] = {"type": "view", "view_id": "V1"}
        await nothing_came_of(stolen, view)


async def test_a_message_that_lies_decides_nothing_and_is_not_taken_for_the_ticket(stolen):
    """Posted by the attacker, with what can be guessed, into the very channel; and T-3 stands nowhere yet."""
    bench = stolen
    await bench.bot.changes.proposals.propose(Request(OPERATOR, "/hurry hv03", "slack", "C0OPS"))
    for ticket in ("T-1", "T-3"):
        button = {"type": "button", "text": {"type": "plain_text", "text": "Yes"}, "action_id": "hvops:t-approve"}
        blocks = [{"type": "actions", "elements": [{**button, "value": ticket}]}]
        made = await bench.client.chat_postMessage(channel="C0OPS", text=LIE, blocks=blocks)
        await nothing_came_of(bench, pressed("t-approve", ticket, ts=made["ts"]), ticket)
        (lie,) = [one for one in bench.viewer.messages("hv-ops") if one.ts == made["ts"]]
        assert lie.text == LIE
    assert await bench.bot.board.refresh("T-3") != MessageRef("C0OPS", made["ts"])


@pytest.mark.parametrize("verb", ["t-undo", "t-again", "t-run:0"])
async def test_what_asks_for_a_plan_does_so_in_the_message_of_its_ticket_alone(stolen, verb):
    """Its seal can be read there, and put under another label: whoever presses that would be who asks for the plan."""
    bench = stolen
    value = values(bench, "T-1")
    assert " " in value
    button = {"type": "button", "text": {"type": "plain_text", "text": LIE}, "action_id": f"hvops:{verb}"}
    blocks = [{"type": "actions", "elements": [{**button, "value": value}]}]
    made = await bench.client.chat_postMessage(channel="C0OPS", text=LIE, blocks=blocks)
    await nothing_came_of(bench, pressed(verb, value, ts=made["ts"]), "T-1")
    assert not bench.ledger.story("T-3")


async def test_a_window_that_was_not_opened_here_for_this_person_decides_nothing(stolen):
    bench = stolen
    digest = {ticket: bench.ledger.ticket(ticket).digest for ticket in ("T-1", "T-2")}
    forged = {
        "the number only": "T-1",
        "of a button": values(bench, "T-1"),
        "for another person": f"T-1 {window_seal(bench.ledger, 'T-1', digest['T-1'], 't-reject', OPERATOR.id, opened=NOW)}",
        "for another thing": f"T-1 {window_seal(bench.ledger, 'T-1', digest['T-1'], 't-close', APPROVER, opened=NOW)}",
        "of another ticket": f"T-1 {window_seal(bench.ledger, 'T-2', digest['T-2'], 't-reject', APPROVER, opened=NOW)}",
    }
    for metadata in forged.values():
        await nothing_came_of(bench, submitted("t-reject", metadata))
    for verb in ("t-approve", "t-answer", "t-withdraw", "t-go-on", "t-stop", "t-hand"):
        body = submitted(verb, "T-1")
        await sent(bench, body)
        assert bench.ledger.ticket("T-1").state == "proposed", verb
    right = f"T-1 {window_seal(bench.ledger, 'T-1', digest['T-1'], 't-reject', APPROVER, opened=NOW)}"
    await sent(bench, submitted("t-reject", right))
    assert bench.ledger.ticket("T-1").end == "rejected"


async def test_a_forged_press_that_a_dying_bot_wrote_down_is_not_made_up_for(stolen):
    click = Clicked(button="t-approve", answer="T-1", place="C0OPS", forged=True)
    entry = stolen.ledger.append(APPROVER, click, "T-1")
    await stolen.bot.listener.replay_missed(entry)
    assert stolen.ledger.ticket("T-1").state == "proposed"
    (refused,) = [one for one in stolen.ledger.story("T-1") if one.kind == "refused"]
    assert refused.data.click == entry.seq


async def test_the_real_message_decides_and_so_does_one_that_the_ledger_knew_before(stolen):
    bench = stolen
    # Posted anew: the old one was gone.
    bench.ledger.append("bot", TicketMessageShown(channel="C0OPS", ts="9.9"), "T-2")
    old = next(one for one in bench.ledger.story("T-2") if one.kind == "shown").fields["ts"]
    await sent(bench, pressed("t-approve", "T-2", ts=old))
    assert bench.ledger.ticket("T-2").state == "approved"
    real = message_ref(bench.ledger.story("T-1")).ts
    await sent(bench, pressed("t-approve", values(bench, "T-1"), ts=real))
    assert bench.ledger.ticket("T-1").state == "approved"
