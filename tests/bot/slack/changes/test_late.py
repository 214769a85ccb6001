"""What Slack brings late decides nothing: presses, windows and mentions, and presses that a dying bot wrote down."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import partial
from itertools import count

import pytest
from entry_samples import entry_data
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.executor.scheduler import missed_clicks
from bot.ledger.entries import STOP_REQUEST
from bot.slack.inbound import freshness, request_handler
from bot.slack.inbound.freshness import Freshness, Way
from bot.slack.outbound.slack_time import slack_time
from bot.slack.render.ticket_buttons import sealed_value
from bot.slack.socket import ENVELOPE
from bot.slack.tickets.message_table import window_seal
from lab.slack.plain_text import plain_text

TEAM = "T0PRACTICE"
OPERATOR = Person(f"{TEAM}/U0OPERATOR", "operator", {Role.OPERATOR: frozenset(["prod"])})
NUMBERS = count()
OLD = 301.0


@pytest.fixture
async def life(bench, make_bot):
    """A bot that is fed directly, with no runner: what is decided stays as it is."""
    made = make_bot(bench)
    yield made
    await made.close()


async def proposed(life, line="/repair hv03"):
    return (await life.desk.parts.changes.proposals.propose(Request(OPERATOR, line, "slack", "C0OPS"))).ticket


def interrupted(life, ticket):
    digest, append = life.ledger.ticket(ticket).digest, life.ledger.append
    by = {"by": f"{TEAM}/U0APPROVER", "start_by": "2100-01-01T00:00:00Z", "digest": digest}
    append(by["by"], entry_data("approved", by), ticket)
    append("bot", entry_data("started", {"locks": ["a"], "attempt": 1}), ticket)
    append("bot", entry_data("interrupted", {"reason": "first"}), ticket)


def pressed(verb, ticket, age, user="U0APPROVER"):
    return {
        "type": "block_actions",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "channel": {"id": "C0OPS"},
        "container": {"type": "message", "channel_id": "C0OPS"},
        "trigger_id": f"late.{next(NUMBERS)}",
        "actions": [
            {"action_id": f"hvops:{verb}", "value": ticket, "type": "button", "action_ts": f"{time.time() - age:.6f}"}
        ],
    }


def submitted(ledger, verb, ticket, age, user="U0APPROVER"):
    digest = ledger.ticket(ticket).digest
    seal = window_seal(ledger, ticket, digest, verb, f"{TEAM}/{user}", opened=int(time.time() - age))
    values = {"reason": {"reason": {"value": "not tonight"}}}
    return {
        "type": "view_submission",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "trigger_id": f"late.{next(NUMBERS)}",
        "view": {
            "type": "modal",
            "callback_id": f"hvops:ticket:{verb}",
            "private_metadata": sealed_value(ticket, seal),
            "state": {"values": values},
        },
    }


def mentioned(text, age, user="U0OPERATOR", **more):
    event = {
        "type": "app_mention", "user": user, "team": TEAM, "channel": "C0OPS",
        "text": f"<@U0BOT> {text}", "ts": f"{time.time() - age:.6f}",
    }  # fmt: skip
    return {
        "type": "event_callback", "team_id": TEAM, "event_id": f"Ev{next(NUMBERS)}", "is_ext_shared_channel": False,
        "event": event | more,
    }  # fmt: skip


async def sent(life, body, *, sealed=False, acknowledged=lambda: None):
    body = body if sealed else life.genuine(body)
    request = AsyncBoltRequest(mode="socket_mode", body=body, context={ENVELOPE: f"e{next(NUMBERS)}"})
    before = asyncio.all_tasks()
    assert (await life.app.async_dispatch(request)).status == 200
    acknowledged()
    listeners = [
        one for one in asyncio.all_tasks() - before if one.get_coro().__qualname__.startswith("AsyncioListener")
    ]
    await asyncio.gather(*listeners)
    while life.desk._running:
        await asyncio.gather(*life.desk._running)


def state(ledger, ticket):
    found = ledger.ticket(ticket)
    return (found.state, found.end, found.attempt, found.cancel_asked)


@pytest.mark.parametrize(
    ("verb", "user"),
    [("t-approve", "U0APPROVER"), ("t-withdraw", "U0OPERATOR")],
)
async def test_an_old_press_decides_nothing_and_its_person_is_told(bench, life, verb, user):
    ticket = await proposed(life)
    before = state(bench.ledger, ticket)
    await sent(life, pressed(verb, ticket, OLD, user))
    assert state(bench.ledger, ticket) == before
    refused = bench.ledger.story(ticket)[-1]
    assert (refused.kind, refused.data.category) == ("refused", "too late")
    assert "pressed 5 min ago" in refused.data.reason
    assert "Nothing was done. Press it again" in refused.data.reason
    person = bench.approver if user == "U0APPROVER" else bench.operator
    assert "pressed 5 min ago" in plain_text(await person.sees("could not be answered in time", "hv-ops"))
    assert missed_clicks(bench.ledger, datetime(2000, 1, 1, tzinfo=UTC)) == []
    await sent(life, pressed(verb, ticket, 200, user))
    assert state(bench.ledger, ticket) != before


@pytest.mark.parametrize("verb", ["t-stop", "t-go-on:1", "t-undo"])
async def test_an_old_press_moves_no_run(bench, life, verb):
    ticket = await proposed(life)
    interrupted(life, ticket)
    before, head = state(bench.ledger, ticket), bench.ledger.head().seq
    await sent(life, pressed(verb, ticket, OLD))
    assert state(bench.ledger, ticket) == before
    kinds = [one.kind for one in bench.ledger.every() if one.seq > head]
    assert kinds == ["clicked", "refused"]


@pytest.mark.parametrize("verb", ["t-again", "t-run:0"])
async def test_an_old_press_proposes_nothing(bench, life, verb):
    ticket = await proposed(life)
    bench.ledger.append(f"{TEAM}/U0OPERATOR", entry_data("withdrawn", {"by": f"{TEAM}/U0OPERATOR"}), ticket)
    await sent(life, pressed(verb, ticket, OLD, "U0OPERATOR"))
    assert [one.ticket for one in bench.ledger.every() if one.kind == "proposed"] == [ticket]


async def test_an_old_window_decides_nothing_and_one_that_took_its_time_does(bench, life):
    ticket = await proposed(life)
    await sent(life, submitted(bench.ledger, "t-reject", ticket, 1_801), sealed=True)
    assert bench.ledger.ticket(ticket).state == "proposed"
    await bench.approver.sees("Slack doesn't say when it was sent. Nothing was done. Open it again", "dm")
    await sent(life, submitted(bench.ledger, "t-reject", ticket, 1_000), sealed=True)
    assert bench.ledger.ticket(ticket).end == "rejected"


async def test_the_age_of_a_window_cannot_be_made_up(bench, life):
    ticket = await proposed(life)
    body = submitted(bench.ledger, "t-reject", ticket, 1_801)
    seal, _, _ = body["view"]["private_metadata"].rpartition(".")
    body["view"]["private_metadata"] = f"{seal}.{int(time.time())}"
    await sent(life, body, sealed=True)
    assert bench.ledger.ticket(ticket).state == "proposed"
    assert bench.ledger.entries(kind="refused")[0].data.category == "not allowed"


async def test_a_press_that_does_not_say_when_it_was_made_decides_nothing(bench, life):
    ticket = await proposed(life)
    body = life.genuine(pressed("t-approve", ticket, 0))
    del body["actions"][0]["action_ts"]
    await sent(life, body, sealed=True)
    assert bench.ledger.ticket(ticket).state == "proposed"
    await bench.approver.sees("can't tell how old this is", "hv-ops")


@pytest.mark.parametrize("words", ["repair hv03", "hvops stop the storage burns"])
async def test_an_old_mention_proposes_and_stops_nothing(bench, life, words):
    await sent(life, mentioned(words, OLD))
    assert not bench.ledger.is_stopped()
    assert [one.kind for one in bench.ledger.every()] == ["refused"]
    await bench.operator.sees("This was written 5 min ago and could not be answered in time.", "hv-ops")
    await sent(life, mentioned(words, 10))
    assert {"proposed", "stop"} & {one.kind for one in bench.ledger.every()}


async def test_a_mentioned_stop_is_written_down_before_slack_hears_that_it_came(life):
    seen = []
    await sent(life, mentioned("hvops stop power work", 10), acknowledged=lambda: seen.extend(life.ledger.every()))
    (click,) = [one for one in seen if one.kind == "clicked"]
    assert (click.fields["button"], click.fields["reason"]) == (STOP_REQUEST, "power work")
    (stop,) = life.ledger.entries(kind="stop")
    assert stop.click == click.seq
    again = mentioned("hvops stop power work", 10)
    again["event"]["ts"] = (
        "1.0"  # written long ago, sent again: refused, and no later life takes it for one that counts
    )
    await sent(life, again)
    assert len(life.ledger.entries(kind="clicked")) == 1


def typed(text, user="U0APPROVER"):
    return {
        "command": "/hvops", "text": text, "team_id": TEAM, "user_id": user, "user_name": "approver", "channel_id": "C0OPS",
        "trigger_id": f"late.{next(NUMBERS)}",
    }  # fmt: skip


def stopped(bench, why, name="anna@ops1"):
    """Somebody stops changes at a terminal."""
    bench.ledger.append("os:anna", entry_data("stop", {"name": name, "reason": why, "via": "terminal"}))


def let_go(bench):
    bench.ledger.append("os:bea", entry_data("go", {"name": "bea@ops1", "via": "terminal"}))


@pytest.mark.parametrize("more", [{}, {"thread_ts": "1.0"}], ids=["channel", "thread"])
@pytest.mark.parametrize("was_stopped", [True, False])
async def test_a_go_that_slack_held_back_ends_no_stop_of_after_it_was_written(bench, life, was_stopped, more):
    if was_stopped:
        stopped(bench, "power work")
    written = mentioned("hvops go", 200, "U0APPROVER", **more)
    if was_stopped:
        let_go(bench)
    stopped(bench, "smoke in the room")
    await sent(life, written)
    assert bench.ledger.is_stopped()
    refused = bench.ledger.entries(kind="refused")[0]
    assert (refused.line, refused.data.category) == ("/hvops go", "too late")
    told = plain_text(await bench.approver.sees("Changes have been stopped since this go was given, by anna@ops1 at"))
    assert "smoke in the room" in told
    assert "type it again" in told


@pytest.mark.parametrize("make", [partial(typed, "go"), partial(mentioned, "hvops go", 0, "U0APPROVER")])
async def test_a_go_ends_no_stop_that_comes_while_slack_is_asked_who_that_is(bench, life, monkeypatch, make):
    stopped(bench, "power work")
    asked, answers, person = asyncio.Event(), asyncio.Event(), life.people.person

    async def slow(*who):
        asked.set()
        await answers.wait()
        return await person(*who)

    monkeypatch.setattr(life.people, "person", slow)
    async with asyncio.timeout(20):
        going = asyncio.create_task(sent(life, make(), sealed=True))
        await asked.wait()
        let_go(bench)
        stopped(bench, "smoke in the room")
        answers.set()
        await going
    assert bench.ledger.is_stopped()
    await bench.approver.sees("Changes have been stopped since this go was given, by anna@ops1 at")
    await sent(life, typed("go"), sealed=True)
    assert not bench.ledger.is_stopped()


async def test_an_old_mention_that_only_asks_is_answered(bench, life):
    await sent(life, mentioned("hvops runs", OLD))
    await bench.operator.sees("No open tickets", "hv-ops")


async def test_a_press_that_cannot_be_answered_in_time_decides_nothing_afterwards(bench, life, monkeypatch):
    """Slack does not say who that is; the answer comes when nobody reckons with it any more."""
    ticket = await proposed(life)

    async def silent(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(life.people, "person", silent)
    async with asyncio.timeout(20):
        await sent(life, pressed("t-approve", ticket, 299.5))
    assert bench.ledger.ticket(ticket).state == "proposed"
    await bench.approver.sees("could not be answered in time", "hv-ops")


@pytest.mark.parametrize(
    ("minutes", "fields", "counts"),
    [
        (0, {}, True),
        (4, {}, True),
        (6, {}, False),
        (120, {}, False),
        (3, {"age": 150}, False),
        (0, {"age": None}, False),
    ],
)
async def test_a_recorded_press_counts_within_the_bound_and_else_its_person_is_told(
    bench, life, minutes, fields, counts
):
    ticket = await proposed(life)
    click = recorded_at(bench, life, ticket, minutes, fields)
    await life.listener.replay_missed(click)
    answer = next(one for one in bench.ledger.story(ticket) if one.kind in ("approved", "refused"))
    assert (answer.kind, answer.data.click) == ("approved" if counts else "refused", click.seq)
    if not counts:
        assert answer.data.category == "too late"
        await bench.approver.sees("Nothing was done. Press it again if you still need it.", "hv-ops")


def recorded_at(bench, life, ticket, minutes, fields):
    """A press that was written down that long ago, as the ledger's clock has it."""
    data = entry_data("clicked", {"button": "t-approve", "answer": ticket, "place": "C0OPS", **fields})
    entry = bench.ledger.append(f"{TEAM}/U0APPROVER", data, ticket)
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    object.__setattr__(life.changes.run, "clock", lambda: now)
    return entry


async def test_a_process_that_has_not_heard_slacks_time_for_long_asks_for_it(bench, life):
    """The machine was saved for hours: its clocks stand where they were, and what is pressed now seems to be of later."""
    first, second = await proposed(life), await proposed(life, "/reopen hv03")
    for ticket, age, state in ((first, 0, "approved"), (second, OLD, "proposed")):
        slack_time(bench.slack.base_url).note(formatdate(time.time() - 7_200, usegmt=True))
        await sent(life, pressed("t-approve", ticket, age))
        assert bench.ledger.ticket(ticket).state == state


@pytest.fixture
def stepped(bench, life):
    """The host's clock is set forward by that many seconds, and Slack has not answered anything since."""
    slack, ahead = slack_time(bench.slack.base_url), [0.0]

    def step(seconds):
        ahead[0] = 0.0
        slack.note(formatdate(time.time(), usegmt=True))
        ahead[0] = seconds

    wall = slack._wall
    slack._wall = lambda: time.time() + ahead[0]
    yield step
    slack._wall = wall


async def test_a_clock_that_was_set_forward_makes_no_press_too_old(bench, life, stepped):
    first, second = await proposed(life), await proposed(life, "/reopen hv03")
    for ticket, age, found in ((first, 0, "approved"), (second, OLD, "proposed")):
        stepped(400)
        await sent(life, pressed("t-approve", ticket, age))
        assert bench.ledger.ticket(ticket).state == found


@pytest.mark.parametrize("words", ["repair hv03", "hvops stop power work"])
async def test_a_clock_that_was_set_forward_makes_no_mention_too_old(bench, life, stepped, words):
    stepped(400)
    await sent(life, mentioned(words, 0))
    assert not bench.ledger.entries(kind="refused")
    assert {"proposed", "stop"} & {one.kind for one in bench.ledger.every()}
    stepped(400)
    await sent(life, mentioned(words, OLD))
    assert [one.data.category for one in bench.ledger.entries(kind="refused")] == ["too late"]


async def test_a_stop_that_seems_old_by_such_a_clock_is_written_down_before_slack_hears_that_it_came(life, stepped):
    stepped(400)
    seen = []
    await sent(life, mentioned("hvops stop power work", 0), acknowledged=lambda: seen.extend(life.ledger.every()))
    assert [one.fields["button"] for one in seen if one.kind == "clicked"] == [STOP_REQUEST]


async def test_where_slack_does_not_say_the_time_such_a_stop_holds_up_no_acknowledgement(
    bench, life, stepped, monkeypatch
):
    stepped(400)
    monkeypatch.setattr(request_handler, "_MENU_SECONDS", 0.05)
    asked, answers, real = asyncio.Event(), asyncio.Event(), life.desk.parts.client.auth_test

    async def slow():
        asked.set()
        await answers.wait()
        return await real()

    monkeypatch.setattr(life.desk.parts.client, "auth_test", slow)
    async with asyncio.timeout(20):
        await sent(life, mentioned("hvops stop power work", 0), acknowledged=answers.set)
    assert asked.is_set()
    assert bench.ledger.is_stopped()


@pytest.fixture
async def asked(life, monkeypatch):
    """Slack never answers when it is asked for its time; how often it was. Who people are is known already."""
    found, nobody = [], asyncio.Event()
    for user in ("U0OPERATOR", "U0APPROVER"):
        await life.people.person(TEAM, user, "")

    async def never():
        found.append(True)
        await nobody.wait()

    monkeypatch.setattr(request_handler, "_MENU_SECONDS", 0.05)
    monkeypatch.setattr(life.desk.parts.client, "auth_test", never)
    return found


async def test_a_slack_that_never_says_the_time_keeps_no_window_from_being_opened(bench, life, stepped, asked):
    ticket = await proposed(life)
    stepped(200)
    async with asyncio.timeout(20):
        await sent(life, pressed("t-reject", ticket, 0))
    assert asked
    assert len(bench.slack.calls("views.open")) == 1
    assert bench.ledger.ticket(ticket).state == "proposed"


async def test_a_slack_that_never_says_the_time_keeps_no_stop_from_being_taken(bench, life, stepped, asked):
    """Nor a go from being answered, of which it matters when it was given: by this clock that was before the stop."""
    stepped(200)
    async with asyncio.timeout(20):
        await sent(life, mentioned("hvops stop power work", 0))
        assert bench.ledger.is_stopped()
        assert not asked
        stepped(200)
        await sent(life, mentioned("hvops go", 0, "U0APPROVER"))
    assert asked
    assert bench.ledger.entries(kind="refused")


async def test_a_stop_that_seems_old_is_answered_where_slack_never_says_the_time(bench, life, stepped, asked):
    """Whoever typed it hears that it does not count, and how to have it count; a slash command does at once."""
    stepped(400)
    async with asyncio.timeout(20):
        await sent(life, mentioned("hvops stop power work", 0))
    assert len(asked) == 2  # before Slack hears that it came, and behind that
    assert [one.data.category for one in bench.ledger.entries(kind="refused")] == ["too late"]
    await bench.operator.sees("Nothing was done", "hv-ops")


async def test_a_clock_that_was_set_forward_dates_no_go_before_a_stop(bench, life, stepped, monkeypatch):
    """The stop of a minute ago is older than the go, whatever the clock says of the go."""
    monkeypatch.setattr(freshness, "INEXACT_SECONDS", 0.0)
    stopped(bench, "power work")
    stepped(200)
    await sent(life, mentioned("hvops go", 0, "U0APPROVER"))
    assert not bench.ledger.is_stopped()


async def test_a_window_that_was_opened_after_such_a_step_counts(bench, life, stepped):
    ticket = await proposed(life)
    stepped(400)
    assert abs(await life.desk.slack_seconds() - time.time()) < 30
    stepped(400)
    await sent(life, submitted(bench.ledger, "t-reject", ticket, 0), sealed=True)
    assert bench.ledger.ticket(ticket).end == "rejected"


async def test_slack_is_asked_for_its_time_only_where_the_hosts_clocks_disagree(bench, life, stepped):
    for seconds, made, asks in ((0, OLD, False), (400, OLD, True), (400, 0, True), (200, 0, False)):
        stepped(seconds)
        seen = Freshness.of(time.time() - made, slack_time(bench.slack.base_url), Way.PRESS)
        assert (await life.desk.dated(seen) is not seen) is asks, (seconds, made)
