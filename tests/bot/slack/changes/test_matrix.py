"""Every way in gives the same answer: message button, modal, Home, window with a reason, slash, mention.

The payloads go to the real listeners, whatever a client would let somebody press: who may is not a matter of which
button is shown. What is expected is written here, from the design's words, for each person.
"""

import asyncio
import time
from itertools import count, product

import pytest
from entry_samples import entry_data
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.ledger.entries import Released, Stopped, TicketMessageShown
from bot.slack.inbound import freshness
from bot.slack.render.command_modal import CALLBACK as ASK
from bot.slack.render.reason_modal import CALLBACK as WINDOW
from bot.slack.render.stop import CALLBACK as STOP_WINDOW
from lab.slack.model import Member
from lab.slack.plain_text import plain_text

HOME, OTHER = "T0PRACTICE", "T0OTHER"
PEOPLE = {  # team, user, and what they may where the ticket works: prod
    "nobody": (HOME, "U0NOBODY", 0),
    "the bot itself": (HOME, "U0BOT", 0),
    "Slackbot": (HOME, "USLACKBOT", 0),
    "viewer": (HOME, "U0VIEWER", 1),
    "an approver of another cluster": (HOME, "U0ELSEWHERE", 0),
    "an approver's id in another workspace": (OTHER, "U0APPROVER", 0),
    "the requester": (HOME, "U0OPERATOR", 2),
    "the requester, an approver too": (HOME, "U0BOTH", 3),
    "another operator": (HOME, "U0SECOND", 2),
    "approver": (HOME, "U0APPROVER", 3),
    "a member of all groups": (HOME, "U0ALL", 3),
}
TRIGGERS = (f"trigger.{number}" for number in count())


@pytest.fixture
async def slack(bench, make_bot, rule):
    """The real listeners, fed directly; no runner, so that a ticket stays as it was left."""
    groups = bench.slack.workspace.groups
    for user, of in (
        ("U0ELSEWHERE", ()),
        ("U0BOTH", ("S0OPERATORS", "S0APPROVERS")),
        ("U0SECOND", ("S0OPERATORS",)),
        ("U0ALL", ("S0VIEWERS", "S0OPERATORS", "S0APPROVERS")),
        ("U0OTHERS", ("S0APPROVERS",)),  # who approved it: going on asks whether they still may
    ):
        bench.slack.workspace.members[user] = Member(user, user.casefold(), user)
        bench.slack.workspace.channels["C0OPS"].members.append(user)
        for group in of:
            groups[group].users.append(user)
    bench.bot = make_bot(bench)
    bench.bot.people._rules += ((Role.APPROVER, rule(users=("U0ELSEWHERE",), clusters=("branch",))),)
    yield bench
    await bench.bot.close()


async def sent(bench, body):
    """Deliver a payload, and wait until all of it has been done."""
    before = asyncio.all_tasks()
    answer = await bench.bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
    assert answer.status == 200
    listeners = [
        one for one in asyncio.all_tasks() - before if one.get_coro().__qualname__.startswith("AsyncioListener")
    ]
    await asyncio.gather(*listeners)  # an event is acknowledged before its listener is called
    while bench.bot.desk._running:
        await asyncio.gather(*bench.bot.desk._running)


def by(team, user):
    """The app lives in one workspace; the person may be of another one (Slack Connect)."""
    return {"team": {"id": HOME}, "user": {"id": user, "team_id": team}, "trigger_id": next(TRIGGERS)}


def shown_for(verb):
    """The step or the attempt that a button, or its window, was shown for."""
    return ":1" if verb in ("t-hand", "t-go-on", "t-close") else ""


def button(where):
    def body(who, verb, ticket):
        action = {"action_id": f"hvops:{verb}{shown_for(verb)}", "value": ticket, "type": "button"}
        return {"type": "block_actions", **by(*who), **where, "actions": [action]}

    return body


def window(who, verb, ticket):
    values = {"reason": {"reason": {"value": "because"}}}
    view = {"type": "modal", "callback_id": f"{WINDOW}:{verb}{shown_for(verb)}", "private_metadata": ticket}
    view["state"] = {"values": values}
    return {"type": "view_submission", **by(*who), "view": view}


TS = "1772460000.000100"  # of the message of an interrupted ticket: what asks for a plan counts there alone
OWN_MESSAGE = button(
    {"channel": {"id": "C0OPS"}, "container": {"type": "message", "channel_id": "C0OPS", "message_ts": TS}}
)
BUTTONS = {
    "message": button({"channel": {"id": "C0OPS"}, "container": {"type": "message", "channel_id": "C0OPS"}}),
    "modal": button({"view": {"id": "V1", "type": "modal"}, "container": {"type": "view", "view_id": "V1"}}),
    "home": button({"view": {"id": "V2", "type": "home"}, "container": {"type": "view", "view_id": "V2"}}),
}
WAYS = {
    **{("t-approve", way): made for way, made in BUTTONS.items()},
    **{(verb, "message"): BUTTONS["message"] for verb in ("t-withdraw", "t-stop", "t-hand", "t-go-on")},
    ("t-undo", "message"): OWN_MESSAGE,
    ("t-reject", "window"): window,
    ("t-close", "window"): window,
}
STATE = {
    "t-approve": "proposed",
    "t-withdraw": "proposed",
    "t-reject": "proposed",
    "t-stop": "running",
    "t-hand": "running",
    "t-go-on": "interrupted",
    "t-close": "interrupted",
    "t-undo": "interrupted",
}


def may(verb, level, *, own, low):
    """The table, for a ticket on prod."""
    decides = (own and level >= 2) if low else (not own and level >= 3)
    return {
        "t-approve": decides,
        "t-go-on": decides,
        "t-withdraw": own,
        "t-reject": level >= 3,
        "t-stop": level >= 2,
        "t-hand": level >= 2,
        "t-close": level >= 2,
        "t-undo": level >= 2,
    }[verb]


class Tickets:
    """One ticket for each state, until somebody moves it."""

    def __init__(self, bench, line, requester):
        self.bench, self.line, self.open = bench, line, {}
        self.requester = Person(requester, "requester", {Role.OPERATOR: frozenset(["prod"])})

    async def one(self, state):
        if state not in self.open:
            proposals = self.bench.bot.desk.parts.changes.proposals
            made = await proposals.propose(Request(self.requester, self.line, "slack", "C0OPS"))
            self.open[state] = made.ticket
            if state != "proposed":
                self._move(made.ticket, state)
        return self.open[state]

    def _move(self, ticket, state):
        append, low = self.bench.ledger.append, self.line == "/tweak hv03"
        decider = self.requester.id if low else f"{HOME}/U0APPROVER"
        proposed = self.bench.ledger.story(ticket)[0].data
        approval = {"by": decider, "start_by": proposed.open_until, "digest": proposed.digest}
        append(decider, entry_data("approved", approval), ticket)
        append("bot", entry_data("started", {"locks": [f"only:{ticket}"], "attempt": 1}), ticket)
        key = "wizard" if self.line == "/reopen hv03" else "pause"
        append("bot", entry_data("intent", {"step": key, "round": 1, "attempt": 1, "description": ""}), ticket)
        if state == "interrupted":
            append("bot", entry_data("interrupted", {"step": key, "known": "", "reason": "reason"}), ticket)
            append("bot", TicketMessageShown(channel="C0OPS", ts=TS), ticket)


@pytest.mark.parametrize("line", ["/repair hv03", "/tweak hv03", "/reopen hv03"])
async def test_the_same_answer_on_every_way_in(slack, line):
    wrong = []
    slack.ledger._store.write("PRAGMA synchronous=OFF")  # what is asked here is not whether it outlives a power cut
    for requester in ("U0OPERATOR", "U0BOTH"):
        tickets = Tickets(slack, line, f"{HOME}/{requester}")
        for ((verb, way), made), (name, (team, user, level)) in product(WAYS.items(), PEOPLE.items()):
            if (verb == "t-hand") is not (line == "/reopen hv03") or (requester == "U0BOTH" and level < 2):
                continue
            ticket = await tickets.one(STATE[verb])
            before, head = slack.ledger.ticket(ticket), slack.ledger.head().seq
            await sent(slack, slack.bot.genuine(made((team, user), verb, ticket)))
            new = [one for one in slack.ledger.every() if one.seq > head and one.kind != "shown"]
            expected = may(verb, level, own=user == requester and team == HOME, low=line == "/tweak hv03")
            moved = (
                slack.ledger.ticket(ticket) != before
                or "proposed" in [one.kind for one in new]
                or "step-confirmed" in [one.kind for one in new]
            )
            assert new[0].kind == "clicked", (verb, way, name)
            assert new[0].actor == f"{team}/{user}"
            if moved is not expected:
                wrong.append((requester, verb, way, name, [one.kind for one in new]))
            if moved:
                tickets.open.pop(STATE[verb])
            else:
                assert [one.kind for one in new[1:]] == ["refused"], (verb, way, name)
                assert new[1].data.reason
    assert not wrong


@pytest.mark.parametrize("verb", ["t-show", "t-look"])
async def test_a_ticket_is_shown_to_those_who_may_look_there(slack, verb):
    ticket = await Tickets(slack, "/repair hv03", f"{HOME}/U0OPERATOR").one("interrupted")
    for name, (team, user, level) in PEOPLE.items():
        in_channel, refused = posts(slack), len(slack.ledger.entries(kind="refused"))
        await sent(slack, slack.bot.genuine(BUTTONS["message"]((team, user), verb, ticket)))
        assert len(slack.ledger.entries(kind="refused")) == refused + (not level), name
        if not level:
            assert posts(slack) == in_channel, name


def posts(slack):
    return sum(one.arguments.get("channel") == "C0OPS" for one in slack.slack.calls("chat.postMessage"))


def with_reason(word):
    """A go takes none: with any, it is a sentence that only names hvops."""
    return word if word == "go" else f"{word} why"


SWITCH_WAYS = {
    "slash": lambda team, user, word: {
        "command": "/hvops", "text": with_reason(word), "team_id": team, "user_id": user, "channel_id": "C0OPS",
        "trigger_id": next(TRIGGERS),
    },
    "mention": lambda team, user, word: mentioned(team, user, f"<@U0BOT> hvops {with_reason(word)}"),
}  # fmt: skip


def mentioned(who_team, who, text, **more):
    event = {
        "type": "app_mention",
        "user": who,
        "team": who_team,
        "text": text,
        "channel": "C0OPS",
        "ts": f"{time.time():.6f}",
    }
    return {"type": "event_callback", "team_id": HOME, "event_id": next(TRIGGERS), "event": event | more}


NO_TEAM = {"somebody of no team": ("", "U0APPROVER", 0)}  # a mention in a channel that is shared with others


@pytest.fixture
def to_the_second(monkeypatch):
    """Slack dates a mention exactly, so that a go counts at once behind a stop."""
    monkeypatch.setattr(freshness, "INEXACT_SECONDS", 0.0)


@pytest.mark.usefixtures("to_the_second")
async def test_stop_and_go_take_their_roles_on_every_way_in(slack):
    wrong = []
    for (way, made), (name, (team, user, level)), (word, needs) in product(
        SWITCH_WAYS.items(), (PEOPLE | NO_TEAM).items(), (("stop", 2), ("go", 3))
    ):
        # A stop takes the role anywhere; it covers everything, so ending it takes the role on all of that.
        here = 3 if user == "U0ELSEWHERE" and word == "stop" else level
        if slack.ledger.is_stopped() == (word == "stop"):
            slack.ledger.append("T1/U0APPROVER", Released() if word == "stop" else Stopped(reason="why"))
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        body = made(team, user, word) | {"is_ext_shared_channel": not team}
        await sent(slack, body)
        kinds = [one.kind for one in slack.ledger.every() if one.seq > head and one.kind not in ("clicked", "asked")]
        if kinds != ([word] if here >= needs else ["refused"]):
            wrong.append((way, name, word, kinds))
    assert not wrong


async def test_the_window_that_asks_why_to_stop_takes_the_same_role(slack):
    for name, (team, user, level) in PEOPLE.items():
        if slack.ledger.is_stopped():
            slack.ledger.append("T1/U0APPROVER", Released())
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        values = {"reason": {"reason": {"value": "why"}}}
        view = {"type": "modal", "callback_id": STOP_WINDOW, "private_metadata": "C0OPS", "state": {"values": values}}
        await sent(slack, {"type": "view_submission", **by(team, user), "view": view})
        kinds = [one.kind for one in slack.ledger.every() if one.seq > head and one.kind not in ("clicked", "asked")]
        assert kinds == (["stop"] if user == "U0ELSEWHERE" or level >= 2 else ["refused"]), name


async def test_no_window_says_a_line_of_its_own(slack):
    """The window of a command takes its arguments: a forged one can name no builtin, and no command that is not there."""
    ways = [f"{ASK}:{name}" for name in ("hvops", "audit", "../x", "", "stop", "go")]
    for name in (*ways, "stop", "go"):
        values = {"arguments": {"arguments": {"value": "stop why"}}}
        view = {"type": "modal", "callback_id": name, "state": {"values": values}}
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        await sent(slack, {"type": "view_submission", **by(HOME, "U0APPROVER"), "view": view})
        assert {one.kind for one in slack.ledger.every() if one.seq > head} <= {"clicked", "refused"}, name
        assert not slack.ledger.stop_requests(), name  # nothing would start before it is answered
    assert not slack.ledger.is_stopped()


DECORATIONS = (
    "`{}`",
    "\u201c{}\u201d",
    "\u2018{}\u2019",
    '"{}"',
    "'{}'",
    "\u200b{}\u200b",
    "\u200b`{}`",
    "\u2060{}\ufeff",
    "\u00a0{}",
)


@pytest.mark.usefixtures("to_the_second")
@pytest.mark.parametrize("way", SWITCH_WAYS)
async def test_stop_stops_however_it_is_decorated_on_every_way_in(slack, way):
    """People copy commands out of documents and chats, at three in the morning."""
    for decoration in DECORATIONS:
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        await sent(slack, SWITCH_WAYS[way](HOME, "U0APPROVER", decoration.format("stop")))
        kinds = [one.kind for one in slack.ledger.every() if one.seq > head and one.kind not in ("clicked", "asked")]
        assert kinds == ["stop"], decoration
        assert slack.ledger.is_stopped()
        await sent(slack, SWITCH_WAYS[way](HOME, "U0APPROVER", "go"))
        assert not slack.ledger.is_stopped()


async def test_a_mention_is_a_front_door(slack):
    await sent(slack, mentioned(HOME, "U0APPROVER", "<@U0BOT> stop the storage is on fire"))
    (stop,) = slack.ledger.entries(kind="stop")
    assert stop.fields["reason"] == "the storage is on fire"


NOT_TYPED = {
    "a bot": {"bot_id": "B0EVIL"},
    "an app in somebody's name": {"bot_id": "B0EVIL", "app_id": "A0EVIL"},
    "a workflow": {"bot_id": "B0FLOW", "subtype": "bot_message"},
    "an edit by somebody else": {"edited": {"user": "U0OPERATOR", "ts": "2.2"}},
    "an edit by nobody": {"edited": {"ts": "2.2"}},
    "an edit, as its own event": {"subtype": "message_changed"},
    "a deletion": {"subtype": "message_deleted"},
    "a note that somebody came": {"subtype": "channel_join"},
    "a topic": {"subtype": "channel_topic"},
    "a canvas": {"subtype": "document_mention", "document_mention": {"mentioning_user_ids": ["U0APPROVER"]}},
    "nobody": {"user": ""},
}
TYPED = {  # where Slack says how it shows what a person wrote; what stands beside it as others saw it: SlackNet#69
    "a broadcast of a thread": {
        "subtype": "thread_broadcast",
        "thread_ts": "1772460000.000100",
        "parent_user_id": "U0OPERATOR",
        "root": {"type": "message", "user": "U0OPERATOR", "text": "Backup is pending", "ts": "1772460000.000100"},
    },
    "beside a file": {"subtype": "file_share", "files": [{"id": "F1"}], "upload": False, "display_as_bot": False},
    "a file, with no team": {"subtype": "file_share", "files": [{"id": "F1"}], "team": None},
    "with /me": {"subtype": "me_message"},
}
OF_THIS_WORKSPACE = {"is_ext_shared_channel": False}
WORDS = ("approve T-1", "hvops go", "/hvops stop", "approve", "t-approve T-1", "hvops approve T-1", "confirm T-1")


@pytest.mark.parametrize("kind", ["app_mention", "message"])
async def test_what_no_person_typed_decides_and_asks_nothing(slack, kind):
    ticket = await Tickets(slack, "/repair hv03", f"{HOME}/U0OPERATOR").one("proposed")
    head = slack.ledger.head().seq
    for more, words in product(NOT_TYPED.values(), WORDS):
        body = mentioned(HOME, "U0APPROVER", f"<@U0BOT> {words}", **more)
        body["event"]["type"] = kind
        await sent(slack, body)
    assert slack.ledger.head().seq == head
    for shape in ({"message": {"user": "U0APPROVER", "text": "<@U0BOT> hvops go"}, "subtype": "message_changed"}, {}):
        await sent(
            slack,
            {
                "type": "event_callback",
                "team_id": HOME,
                "event": {"type": "message", "text": "<@U0BOT> hvops go", "user": "U0APPROVER", **shape},
            },
        )
    assert slack.ledger.head().seq == head
    assert slack.ledger.ticket(ticket).state == "proposed"


@pytest.mark.parametrize("more", TYPED.values(), ids=TYPED)
async def test_a_mentioned_stop_counts_however_slack_shows_its_message(slack, more):
    body = mentioned(HOME, "U0APPROVER", "<@U0BOT> stop the storage is on fire", **more) | OF_THIS_WORKSPACE
    await sent(slack, body)
    (stop,) = slack.ledger.entries(kind="stop")
    assert (stop.actor, stop.fields["reason"]) == (f"{HOME}/U0APPROVER", "the storage is on fire")
    (clicked,) = slack.ledger.entries(kind="clicked")
    assert stop.click == clicked.seq


@pytest.mark.parametrize("more", TYPED.values(), ids=TYPED)
async def test_a_mention_is_answered_however_slack_shows_its_message(slack, more):
    await sent(slack, mentioned(HOME, "U0OPERATOR", "<@U0BOT> repair hv03", **more) | OF_THIS_WORKSPACE)
    assert [one.data.line for one in slack.ledger.entries(kind="proposed")] == ["/repair hv03"]


HALVES = ("check hv\ud800", "repair \udc00", "hvops \ud800", "hvops stop the storage \ud83d", "audit --who \ud800")


@pytest.mark.parametrize("way", SWITCH_WAYS)
@pytest.mark.parametrize("words", HALVES)
async def test_half_a_character_keeps_no_line_from_being_answered(slack, words, way):
    """JSON can bring half a surrogate pair, which can be hashed, stored and sent by nothing."""
    made = SWITCH_WAYS[way](HOME, "U0APPROVER", "x")
    part = made["event"] if way == "mention" else made
    part["text"] = f"<@U0BOT> {words}" if way == "mention" else words.removeprefix("hvops ")
    await sent(slack, made | OF_THIS_WORKSPACE)
    assert slack.ledger.is_stopped() is ("stop" in words)
    told = [plain_text(one) for one in slack.approver.messages("hv-ops")]
    assert told
    assert "inside hvops itself" not in told[-1]


async def test_half_a_character_in_a_button_is_answered(slack):
    for verb in ("t-approve", "t-show", "t-undo", "evidence"):
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        await sent(slack, BUTTONS["message"]((HOME, "U0APPROVER"), verb, "T-\ud800"))
        assert next(one.kind for one in slack.ledger.every() if one.seq > head) == "clicked", verb


async def test_a_message_that_slack_tells_of_twice_is_one_stop(slack):
    """As the reply in a thread that it is, and as what the channel shows of it."""
    reply = mentioned(HOME, "U0APPROVER", "<@U0BOT> stop the storage is on fire", thread_ts=TS) | OF_THIS_WORKSPACE
    shown = reply | {"event_id": next(TRIGGERS), "event": reply["event"] | {"subtype": "thread_broadcast"}}
    await sent(slack, reply)
    await sent(slack, shown)
    assert len(slack.ledger.entries(kind="stop")) == 1
    (again,) = slack.ledger.entries(kind="refused")
    assert (again.data.category, again.data.reason) == (
        "redelivered",
        "Slack delivered this message more than once; hvops has already answered it.",
    )


@pytest.mark.usefixtures("to_the_second")
async def test_a_mention_of_a_kind_that_hvops_does_not_know_stops_or_its_person_is_told(slack):
    for words in ("hvops go", "repair hv03", "hvops runs"):
        head = slack.ledger.head().seq if slack.ledger.head() else 0
        body = mentioned(HOME, "U0APPROVER", f"<@U0BOT> {words}", subtype="hologram") | OF_THIS_WORKSPACE
        await sent(slack, body)
        (refused,) = [one for one in slack.ledger.every() if one.seq > head]
        assert (refused.kind, refused.data.via) == ("refused", "mention"), words
    told = plain_text(await slack.approver.sees("Slack gives this message the type hologram", "hv-ops"))
    assert "Nothing was done." in told
    await sent(slack, mentioned(HOME, "U0APPROVER", "<@U0BOT> stop now", subtype="hologram") | OF_THIS_WORKSPACE)
    assert slack.ledger.is_stopped()


async def test_no_word_approves_whoever_types_it(slack):
    """There is no text that decides: only a button beside the whole plan."""
    ticket = await Tickets(slack, "/repair hv03", f"{HOME}/U0OPERATOR").one("proposed")
    for words in (*WORDS[:1], *WORDS[3:], f"repair hv03 approve {ticket}"):
        await sent(slack, mentioned(HOME, "U0APPROVER", f"<@U0BOT> {words}"))
        await sent(slack, SWITCH_WAYS["slash"](HOME, "U0APPROVER", words))
    assert slack.ledger.ticket(ticket).state == "proposed"
    assert "approved" not in [one.kind for one in slack.ledger.every()]
    assert [one.id for one in slack.ledger.listed(("proposed",))] == [ticket]


async def test_a_payload_says_nothing_about_the_decision(slack):
    """Whatever else a payload claims: only who pressed, which verb and which ticket are read."""
    tickets = Tickets(slack, "/repair hv03", f"{HOME}/U0OPERATOR")
    ticket = await tickets.one("proposed")
    body = slack.bot.genuine(BUTTONS["message"]((HOME, "U0VIEWER"), "t-approve", ticket))
    body |= {"roles": ["approver"], "approved": True, "state": {"values": {}}, "is_enterprise_install": True}
    body["user"] |= {"is_admin": True, "is_owner": True, "roles": ["approver"], "username": "approver"}
    body["actions"][0] |= {"policy": "confirm", "requester": f"{HOME}/U0VIEWER", "digest": "0"}
    body["message"] = {"user": "U0BOT", "metadata": {"event_payload": {"approver": "U0VIEWER"}}}
    await sent(slack, body)
    assert slack.ledger.ticket(ticket).state == "proposed"
    for value in ("T-2", "", "T-1 ", "t-1", f"{ticket}\n", "T-01", "1", ticket * 9):
        body = BUTTONS["message"]((HOME, "U0APPROVER"), "t-approve", value)
        await sent(slack, body)
        assert slack.ledger.ticket(ticket).state == "proposed", value
    assert slack.ledger.head().kind == "refused"
