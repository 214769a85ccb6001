"""The outbox against a Web API that misbehaves on purpose; time is ours, so nothing here waits."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from heavy_talk import emoji, too_large
from slack_sdk.errors import SlackApiError

from bot.dispatch.person_rate import PersonRate
from bot.redaction import Redactor
from bot.slack.manifest import manifest
from bot.slack.outbound import outbox as outbox_module
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, make_client
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import File, Message
from bot.slack.outbound.outbox import OURS, Outbox, RateLimit, Turn
from bot.slack.render.blocks import sections
from lab.slack.model import Message as LabMessage
from lab.slack.server import FakeSlack


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Response:
    def __init__(self, code, status=200, after=None):
        self.data = {"ok": False, "error": code}
        self.status_code = self.status = status
        self.headers = {} if after is None else {"Retry-After": after}


def refused(code, status=200, after=None):
    return SlackApiError(code, Response(code, status, after))


class WebApi:
    """Takes calls down, and fails as told: one error per call, None for success."""

    def __init__(self, time):
        self.time = time
        self.taken = []  # (at, method, text)
        self.fails = []
        self.hold = None
        self.is_held = asyncio.Event()
        self.named, self.uploaded = [], []

    async def _call(self, method, text):
        if self.hold:
            await self.hold.wait()
        error = self.fails.pop(0) if self.fails else None
        self.taken.append((self.time.now, method, text, error is None))
        if error is not None:
            raise error
        return {"ok": True, "ts": f"{len(self.taken)}.0", "channel": {"id": "D1"}}

    async def chat_postMessage(self, **told):  # noqa: N802 - the SDK's name
        return await self._call("post", told["text"])

    async def chat_update(self, **told):
        return await self._call("update", told["text"])

    async def chat_postEphemeral(self, **told):  # noqa: N802 - the SDK's name
        return await self._call("ephemeral", told["text"])

    async def chat_delete(self, **told):
        return await self._call("delete", told["ts"])

    async def views_publish(self, **_):
        return await self._call("home", "")

    async def auth_test(self):
        return {"user_id": "U0BOT"}

    async def conversations_history(self, **_):
        return {"messages": []}

    async def conversations_open(self, users):
        return await self._call("open", users)

    async def files_getUploadURLExternal(self, **told):  # noqa: N802 - the SDK's name
        if self.hold:
            self.is_held.set()
            await self.hold.wait()
        self.named.append(told["filename"])
        return {"ok": True, "upload_url": "https://files.example/1", "file_id": f"F{len(self.named)}"}

    timeout = 15

    async def _upload_file(self, *, data, **_):
        self.uploaded.append(data)
        return Response("", 200)

    async def files_completeUploadExternal(self, files, **_):  # noqa: N802 - the SDK's name
        at = int(files[0]["id"][1:]) - 1
        return await self._call("file", f"{self.named[at]} {self.uploaded[at]!r}")

    @property
    def done(self):
        return [text for _, _, text, well in self.taken if well]


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def api(time):
    return WebApi(time)


@pytest.fixture
async def outbox(api, time):
    made = Outbox(api, RateLimit(clock=time.clock, sleep=time.sleep), lambda *told: made.lost.append(told))
    made.lost = []
    yield made
    await made.close()


def numbered(many):
    return [Message(f"message {at}") for at in range(many)]


async def test_one_channel_in_order_one_a_second_after_a_burst(outbox, api):
    await asyncio.gather(*(outbox.post("C1", message) for message in numbered(6)))
    assert api.done == [f"message {at}" for at in range(6)]
    assert [at - 1_000 for at, *_ in api.taken] == [0, 0, 0, 1, 2, 3]


async def test_channels_do_not_wait_for_each_other(outbox, api):
    await asyncio.gather(*(outbox.post(f"C{at}", message) for at, message in enumerate(numbered(10))))
    assert {at for at, *_ in api.taken} == {1_000}


@pytest.mark.parametrize(
    ("method", "half"), [("post", 150), ("update", 25), ("delete", 25), ("file", 50), ("home", 50)]
)
async def test_in_a_minute_one_person_has_half_of_what_slack_takes_over_all_channels(method, half, outbox, api):
    """What Slack grants to one method it grants to all channels together. The rest is sent later, and nothing is lost."""
    mine = Turn("U1")

    def sent(at):
        channel, message = f"C{at % 60}", Message(f"number {at}")
        return {
            "post": lambda: outbox.post(channel, message, turn=mine),
            "update": lambda: outbox.update(channel, f"{at}.0", message, turn=mine),
            "delete": lambda: outbox.delete(channel, f"{at}.0", turn=mine),
            "file": lambda: outbox.files(channel, [File("a.csv", "a", b"1")], turn=mine),
            "home": lambda: outbox.publish_home("U1", {}),
        }[method]()

    await asyncio.gather(*(sent(at) for at in range(200)))
    taken = [at for at, *_ in api.taken]
    assert sum(at < 1_060 for at in taken) <= half
    assert len(taken) == 200 if method != "home" else taken  # of a Home that waits only the newest is sent
    before = len(taken)
    await outbox.update("C1", "1.0", Message("of a run"), turn=Turn("U1", is_first=True))  # a run waits for nobody
    assert len(api.taken) == before + 1


async def test_in_a_minute_one_person_is_shown_half_of_what_slack_takes_over_all_channels(outbox, api, time):
    """Slack takes a hundred messages a minute that one person sees, of all channels together."""
    refusals = 0
    for second in range(60):
        time.now = 1_000.0 + second
        for at in range(5):
            try:
                await outbox.ephemeral(f"C{at}", "U1", Message("for one"))
            except NotSent:
                refusals += 1
    assert 40 <= len(api.taken) <= 50
    assert refusals == 300 - len(api.taken)
    await outbox.ephemeral("C1", "U2", Message("for another"))
    assert api.done[-1] == "for another"


def opened(api):
    return sum(method == "open" for _, method, *_ in api.taken)


async def test_the_conversation_with_somebody_is_asked_for_once(outbox, api):
    """Slack grants fifty such questions a minute to all people together, and the answer never changes."""
    await asyncio.gather(*(outbox.direct("U1", message) for message in numbered(5)))
    await outbox.direct("U1", Message("later"))
    assert await outbox.conversation("U1") == "D1"
    assert opened(api) == 1
    await outbox.direct("U2", Message("to another"))
    assert opened(api) == 2


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel"])
async def test_a_conversation_that_slack_does_not_know_any_more_is_asked_for_anew(outbox, api, code):
    await outbox.direct("U1", Message("first"))
    api.fails = [refused(code)]
    await outbox.direct("U1", Message("second"))
    assert api.done == ["U1", "first", "U1", "second"]
    api.fails = [refused(code), None, refused(code)]
    with pytest.raises(NotSent):
        await outbox.direct("U1", Message("third"))
    assert opened(api) == 3, "once anew, and not on and on"
    await outbox.direct("U1", Message("fourth"))
    assert opened(api) == 4


async def test_of_many_people_the_conversations_of_some_are_remembered(outbox, api, monkeypatch):
    monkeypatch.setattr(outbox_module, "_REMEMBERED", 3)
    for at in range(10):
        await outbox.conversation(f"U{at}")
    assert len(outbox._conversations) == 3
    await outbox.conversation("U9")
    assert opened(api) == 10


async def test_of_channels_that_are_silent_no_more_than_some_are_remembered(outbox, api, time, monkeypatch):
    monkeypatch.setattr(outbox_module, "_REMEMBERED", 3)
    for at in range(20):
        await outbox.post(f"C{at}", Message("one"))
        time.now += 10
    assert len(outbox._lanes) <= 3
    # Those that have spoken just now keep their pace, however many others there are.
    await asyncio.gather(*(outbox.post("C1", message) for message in numbered(6)))
    await asyncio.gather(*(outbox.post(f"D{at}", Message("one")) for at in range(5)))
    began = time.now
    await asyncio.gather(*(outbox.post("C1", message) for message in numbered(1)))
    assert time.now > began


async def test_a_rate_limit_delays_and_does_not_reorder(outbox, api, time):
    api.fails = [None, refused("ratelimited", 429, "7")]
    await asyncio.gather(*(outbox.post("C1", message) for message in numbered(4)))
    assert api.done == ["message 0", "message 1", "message 2", "message 3"]
    assert 7.0 in time.slept


@pytest.mark.parametrize("error", [refused("", 429, "1"), refused("ratelimited"), refused("team_added_to_org")])
async def test_what_was_surely_not_taken_is_sent_again(outbox, api, error):
    api.fails = [error]
    await outbox.post("C1", Message("once"))
    assert api.done == ["once"]


async def test_no_connection_is_tried_again(outbox, api):
    api.fails = [aiohttp.ClientConnectorError(None, OSError("refused"))]
    await outbox.post("C1", Message("once"))
    assert api.done == ["once"]


@pytest.mark.parametrize(
    "error",
    [
        *(aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError("reset"), TimeoutError(), refused("internal_error")),
        *(refused("fatal_error"), refused("service_unavailable"), refused("", 500), refused("", 503, "1")),
        *(refused("fatal_error", 504), refused("", 408), refused("")),
    ],
)
async def test_a_post_whose_fate_is_unknown_is_not_sent_twice(outbox, api, error):
    api.fails = [error]
    with pytest.raises(DeliveryUnknown):
        await outbox.post("C1", Message("perhaps"))
    await outbox.post("C1", Message("next"))
    assert [text for _, _, text, _ in api.taken] == ["perhaps", "next"]
    assert [(channel, message.text) for channel, message in outbox.lost] == [("C1", "perhaps")]


async def test_an_update_is_repeated_since_twice_is_the_same_as_once(outbox, api):
    api.fails = [aiohttp.ServerDisconnectedError()]
    await outbox.update("C1", "1.0", Message("state"))
    assert api.done == ["state"]
    assert not outbox.lost


async def test_updates_of_one_message_that_wait_are_folded_into_the_latest(outbox, api):
    api.hold = asyncio.Event()
    first = asyncio.create_task(outbox.update("C1", "1.0", Message("10 %")))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(outbox.update("C1", "1.0", Message(f"{at} %"))) for at in (20, 30, 40)]
    other = asyncio.create_task(outbox.update("C1", "2.0", Message("another")))
    await asyncio.sleep(0)
    api.hold.set()
    await asyncio.gather(first, *waiting, other)
    assert api.done == ["10 %", "40 %", "another"]


async def test_a_message_of_no_known_fate_makes_way_for_the_others_of_its_channel(outbox, api, time):
    api.fails = [refused("internal_error")] * 2  # and it is not in the channel
    bad = asyncio.create_task(outbox.post("C1", Message("lost"), key="lost"))
    await asyncio.sleep(0)
    good = asyncio.create_task(outbox.post("C1", Message("well")))
    with pytest.raises(DeliveryUnknown):
        await bad
    await good
    assert time.now - 1_000 <= 15


async def test_an_update_overtakes_waiting_posts_one_at_a_time(outbox, api):
    api.hold = asyncio.Event()
    sent = [asyncio.create_task(outbox.post("C1", message)) for message in numbered(3)]
    sent += [asyncio.create_task(outbox.update("C1", f"{at}.0", Message(f"card {at}"))) for at in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    api.hold.set()
    await asyncio.gather(*sent)
    assert api.done == ["card 0", "message 0", "card 1", "message 1", "message 2"]


async def test_sixty_answers_of_one_person_hold_up_no_plan_and_nobody_elses_answer(outbox, api):
    """They mention hvops in its channel, or press Share; a plan is posted there, and somebody else is answered."""
    outbox._ephemerals = PersonRate(30, 60.0, lambda: 0.0)
    api.hold = asyncio.Event()
    sent = [asyncio.create_task(outbox.ephemeral("C1", "U1", message)) for message in numbered(30)]
    sent += [asyncio.create_task(outbox.post("C1", Message("shared"), turn=Turn("U1"))) for _ in range(30)]
    await asyncio.sleep(0)
    sent += [asyncio.create_task(outbox.post("C1", Message(f"plan {at}"))) for at in range(3)]
    sent += [asyncio.create_task(outbox.ephemeral("C1", "U2", Message("theirs")))]
    await asyncio.sleep(0)
    api.hold.set()
    await asyncio.gather(*sent)
    assert api.done[:8] == [
        *("message 0", "plan 0", "theirs", "plan 1", "message 1", "plan 2", "message 2", "message 3"),
    ]
    assert api.done[8:] == [*(f"message {at}" for at in range(4, 30)), *["shared"] * 30]


async def test_sixty_plans_of_one_person_hold_up_nobody_elses_and_no_run_and_no_stop(outbox, api):
    """Two messages each, its own after the other; somebody else proposes one, a run goes on, and somebody stops changes."""
    api.hold = asyncio.Event()

    async def ticket(name, turn):
        ts = await outbox.post("C1", Message(f"card {name}"), turn=turn)
        await outbox.update("C1", ts, Message(f"again {name}"), turn=turn)
        await outbox.post("C1", Message(f"plan {name}"), ts, turn=turn)

    sent = [asyncio.create_task(ticket(f"A{at}", Turn("T1/A"))) for at in range(60)]
    await asyncio.sleep(0)
    sent += [asyncio.create_task(ticket("B", Turn("T1/B")))]
    sent += [
        asyncio.create_task(outbox.post("C1", Message(f"step {at}"), turn=Turn("T1/A", is_first=True)))
        for at in range(2)
    ]
    sent += [asyncio.create_task(outbox.post("C1", Message("stopped"), turn=OURS))]
    await asyncio.sleep(0)
    api.hold.set()
    await asyncio.gather(*sent)
    assert len(api.done) == len(set(api.done)) == 61 * 3 + 3
    behind = {one: api.done.index(one) for one in ("card B", "again B", "plan B", "step 0", "step 1", "stopped")}
    assert max(behind.values()) <= 16, behind
    assert behind["card B"] < behind["again B"] < behind["plan B"]
    assert behind["step 0"] < behind["step 1"]
    cards = [one for one in api.done if one.startswith("card A")]
    assert cards == [f"card A{at}" for at in range(60)]
    for at in range(60):
        assert api.done.index(f"card A{at}") < api.done.index(f"again A{at}") < api.done.index(f"plan A{at}")


async def test_of_two_who_always_have_something_waiting_a_third_who_comes_back_takes_no_more_than_a_turn(outbox, api):
    api.hold = asyncio.Event()
    sent = [
        asyncio.create_task(outbox.post("C1", Message(f"{who}{at}"), turn=Turn(who))) for who in "AB" for at in range(4)
    ]

    async def one_by_one():
        for at in range(4):
            await outbox.post("C1", Message(f"C{at}"), turn=Turn("C"))

    sent.append(asyncio.create_task(one_by_one()))
    await asyncio.sleep(0)
    api.hold.set()
    await asyncio.gather(*sent)
    for at in range(3):
        assert api.done.index(f"A{at + 1}") < api.done.index(f"C{at + 1}")
        assert api.done.index(f"B{at + 1}") < api.done.index(f"C{at + 1}")


async def waiting(outbox, lane, count):
    while lane not in outbox._lanes or len(outbox._lanes[lane].waiting) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_files_of_one_persons_plans_hold_up_nobody_elses(outbox, api):
    """The place of a file is reserved, and its bytes are sent, in turns as well."""
    api.hold = asyncio.Event()

    def begun(name, who):
        return asyncio.create_task(outbox.files("C1", [File(f"{name}.txt", who, b"1")], turn=Turn(f"T1/{who}")))

    sent = [begun("A0", "A")]
    await api.is_held.wait()
    sent += [begun(f"A{at}", "A") for at in range(1, 20)]
    await waiting(outbox, "upload C1", 19)
    sent.append(begun("B", "B"))
    await waiting(outbox, "upload C1", 20)
    api.hold.set()
    await asyncio.gather(*sent)
    assert api.named.index("B.txt") <= 2
    assert "B.txt b'1'" in api.done[:4]


@pytest.fixture
async def slack():
    async with FakeSlack(rates="off") as made:
        made.install(manifest(()))
        yield made


def marking(slack, sign):
    client = make_client(slack.bot_token, slack.base_url)
    return Outbox(client, RateLimit(interval=0.001, give_up_after=1, looks=(0.01, 0.01)), sign=sign)


def said(slack):
    return [one.text for one in slack.person("viewer").messages("hv-ops")]


@pytest.mark.parametrize("message", [Message("once"), Message("once", sections("in a block"))])
async def test_what_may_have_arrived_is_looked_for_before_it_is_sent_again(slack, message):
    outbox = marking(slack, None)
    slack.faults.add("chat.postMessage", "drop", 1)  # done, and the answer is lost
    slack.faults.add("chat.postMessage", "500", 1)  # of the second message: not done
    ts = await outbox.post("C0OPS", message, key="first")
    assert await outbox.post("C0OPS", message, key="second") != ts
    assert await outbox.post("C0OPS", message, key="first", looks_first=True) == ts
    assert said(slack) == ["once", "once"]
    await outbox.close()


async def test_of_a_busy_channel_no_more_is_looked_through_than_what_came_since(slack):
    """A day of it is many calls, of which Slack takes fifty a minute for all tickets together; and their channel waits."""
    outbox, now = marking(slack, None), datetime.now(UTC)
    for number in range(900):
        at = now - timedelta(hours=20) + timedelta(minutes=number)
        slack.workspace.post(LabMessage("C0OPS", f"{at.timestamp():.6f}", "U0VIEWER", "an alert"))
    ts = await outbox.post("C0OPS", Message("once"), key="first")
    assert await outbox.post("C0OPS", Message("once"), key="first", looks_first=True, since=now) == ts
    assert await outbox.post("C0OPS", Message("other"), key="other", looks_first=True, since=now) != ts
    assert len(slack.calls("conversations.history")) == 2
    await outbox.close()


async def test_what_stands_among_messages_that_nobody_could_read_at_once_is_found_and_what_does_not_is_sent(slack):
    """A member of the channel wrote them; whoever could not look would never send anything that may have been sent."""
    outbox = marking(slack, None)
    ts = await outbox.post("C0OPS", Message("once"), key="first")
    emoji(slack.workspace)
    too_large(slack.workspace)
    assert await outbox.post("C0OPS", Message("once"), key="first", looks_first=True) == ts
    assert await outbox.post("C0OPS", Message("other"), key="other", looks_first=True) != ts
    assert [one for one in said(slack) if ":" not in one] == ["once", "much", "other"]
    assert len(slack.calls("conversations.history")) <= 2 * 12
    await outbox.close()


async def test_a_channel_full_of_messages_that_cannot_be_read_keeps_nothing_from_being_sent(slack):
    """Behind so many calls nobody looks: a second one is better than none."""
    outbox = marking(slack, None)
    for _ in range(12):
        too_large(slack.workspace)
    await outbox.post("C0OPS", Message("a stop"), key="first", looks_first=True)
    assert said(slack)[-1] == "a stop"
    assert len(slack.calls("conversations.history")) <= 21
    await outbox.close()


async def test_a_look_goes_on_after_the_pause_that_slack_asks_for(slack, time):
    """Who began anew each time would never come through a channel of many pages, of which Slack tells fifty a minute."""
    client = make_client(slack.bot_token, slack.base_url)
    outbox = Outbox(client, RateLimit(clock=time.clock, sleep=time.sleep))
    for number in range(900):
        slack.workspace.post(LabMessage("C0OPS", slack.workspace.next_ts(), "U0VIEWER", f"talk {number}"))
    asked = client.conversations_history
    calls = []

    async def limited(**told):
        calls.append(told.get("cursor", ""))
        if len(calls) % 2 == 0:
            raise refused("ratelimited", 429, after="5")
        return await asked(**told)

    client.conversations_history = limited
    await outbox.post("C0OPS", Message("once"), key="first", looks_first=True)
    assert said(slack)[-1] == "once"
    assert time.slept.count(5.0) == 4
    assert len(set(calls)) == 5
    await outbox.close()


async def test_what_a_long_look_did_not_find_is_sent(api, time):
    """Otherwise a channel that takes long to look through would never hear of it."""

    async def slow(**_):
        time.now += 90
        return {"messages": []}

    api.conversations_history = slow
    outbox = Outbox(api, RateLimit(clock=time.clock, sleep=time.sleep))
    for first in ({"looks_first": True}, {"was_sent": True}):
        await outbox.post("C1", Message("a stop"), key="stop", **first)
    assert api.done == ["a stop", "a stop"]
    await outbox.close()


@pytest.mark.parametrize(
    ("first", "says"),
    [({"looks_first": True}, "It may have been sent before."), ({"was_sent": True}, "It was sent, but Slack did not")],
)
async def test_what_was_not_sent_is_not_said_to_have_been(api, time, first, says):
    async def away(**_):
        raise refused("internal_error", 500)

    api.conversations_history = away
    lost = []
    outbox = Outbox(api, RateLimit(clock=time.clock, sleep=time.sleep), lambda *told: lost.append(told))
    with pytest.raises(DeliveryUnknown, match=f"{says}.* Slack can't confirm it right now: .*internal_error") as told:
        await outbox.post("C1", Message("a stop"), key="stop", **first)
    assert told.value.was_sent == bool(lost) == ("was_sent" in first)
    assert api.done == []
    await outbox.close()


async def test_only_a_mark_of_this_ledger_is_taken_for_a_message_of_ours(slack):
    theirs, ours = marking(slack, None), marking(slack, lambda key: f"of our key {key}")
    await theirs.post("C0OPS", Message("forged"), key="T-1 message 0")
    await ours.post("C0OPS", Message("ours"), key="T-1 message 0", looks_first=True)
    assert said(slack) == ["forged", "ours"]
    await theirs.close()
    await ours.close()


async def test_a_file_that_another_bot_has_shared_while_it_was_uploaded_is_not_shared_again(slack, monkeypatch):
    slow, other = marking(slack, None), marking(slack, None)
    root = await slow.post("C0OPS", Message("T-1"))
    file, upload = File("evidence.json", "evidence", b"[]"), slow._client._upload_file

    async def and_meanwhile_the_other(**told):
        await other.attach("C0OPS", [file], root, "T-1 file", looks_first=True)
        return await upload(**told)

    monkeypatch.setattr(slow._client, "_upload_file", and_meanwhile_the_other)
    await slow.attach("C0OPS", [file], root, "T-1 file", looks_first=True)
    (plan,) = slack.person("viewer").messages("hv-ops")[:1]
    assert sum(len(one.files) for one in slack.person("viewer").thread(plan)) == 1
    await slow.close()
    await other.close()


def files_of(slack, ts):
    """The names, titles and bytes of all files in the thread of a message, oldest first."""
    workspace = slack.workspace
    replies = [one for one in workspace.messages["C0OPS"] if one.thread_ts == ts]
    return [
        (stored.name, stored.title, stored.data) for one in replies for stored in map(workspace.files.get, one.files)
    ]


async def test_a_file_that_was_shared_before_a_restart_is_found_by_its_mark(slack):
    file = File("evidence.json", "Evidence", b"[]")
    first, second = marking(slack, None), marking(slack, None)
    root = await first.post("C0OPS", Message("T-1"))
    await first.attach("C0OPS", [file], root, "T-1 file")
    await second.attach("C0OPS", [file], root, "T-1 file", looks_first=True)
    assert len(files_of(slack, root)) == 1
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param((File("plan.txt", "The plan", b"lies"), "T-1 file", str), id="other bytes of that size"),
        pytest.param((File("plan.txt", "The plan", b"plan"), "T-2 file", str), id="shared as something else"),
        pytest.param((File("plan.txt", "The plan", b"plan"), "T-1 file", str.upper), id="marked by another ledger"),
        pytest.param((File("plan.txt", "The plan", b"plan"), "", str), id="without a mark"),
    ],
)
async def test_no_file_is_taken_for_ours_by_its_name_and_size(slack, theirs):
    """The holder of the bot's token shares files as the bot's own user too: one file too many is better than a lie."""
    lie, key, sign = theirs
    holder, ours = marking(slack, sign), marking(slack, str)
    root = await ours.post("C0OPS", Message("T-1"))
    await holder.attach("C0OPS", [lie], root, key)
    await ours.attach("C0OPS", [File("plan.txt", "The plan", b"plan")], root, "T-1 file", looks_first=True)
    assert [data for _, _, data in files_of(slack, root)] == [lie.content, b"plan"]
    await holder.close()
    await ours.close()


async def test_the_mark_of_a_file_counts_in_its_own_thread_alone(slack):
    outbox, file = marking(slack, None), File("plan.txt", "The plan", b"plan")
    root, other = await outbox.post("C0OPS", Message("T-1")), await outbox.post("C0OPS", Message("T-2"))
    await outbox.attach("C0OPS", [file], root, "T-1 file")
    ((name, title, _),) = files_of(slack, root)
    await outbox.attach("C0OPS", [File(name, title, b"lies")], other)
    await outbox.attach("C0OPS", [file], other, "T-1 file", looks_first=True)
    assert [data for _, _, data in files_of(slack, other)] == [b"lies", b"plan"]
    await outbox.close()


async def test_what_was_sent_and_cannot_be_looked_for_is_not_sent_again(slack):
    outbox = marking(slack, None)
    slack.faults.add("chat.postMessage", "drop", 1)
    slack.faults.add("conversations.history", "missing_scope", 20)
    with pytest.raises(DeliveryUnknown, match="missing_scope"):
        await outbox.post("C0OPS", Message("once"), key="first")
    with pytest.raises(DeliveryUnknown, match="missing_scope"):
        await outbox.post("C0OPS", Message("once"), key="first", was_sent=True)
    slack.faults.waiting.clear()
    await outbox.post("C0OPS", Message("once"), key="first", was_sent=True)
    assert said(slack) == ["once"]
    await outbox.close()


async def test_a_refusal_is_told_and_the_next_one_goes_on(outbox, api):
    api.fails = [refused("channel_not_found")]
    with pytest.raises(NotSent, match="channel_not_found"):
        await outbox.post("C1", Message("nowhere"))
    await outbox.post("C1", Message("next"))
    assert api.done == ["next"]


async def test_it_gives_up_in_the_end(outbox, api, time):
    api.fails = [refused("ratelimited", 429, "50")] * 20
    with pytest.raises(NotSent, match="in time"):
        await outbox.post("C1", Message("never"))
    assert time.now - 1_000 <= 300


async def test_refused_blocks_step_down_until_they_are_taken(outbox, api):
    api.fails = [refused("invalid_blocks"), None]
    await outbox.post("C1", Message("the point", sections("more of it")))
    assert [text for _, method, text, _ in api.taken if method == "post"] == ["the point", "the point"]
    (file,) = [text for _, method, text, _ in api.taken if method == "file"]
    assert "more of it" in file


async def test_files_of_an_ephemeral_go_to_the_person(outbox, api):
    await outbox.ephemeral("C1", "U1", Message("see", files=(File("a.txt", "A", b"1"), File("b.txt", "B", b"2"))))
    assert [(method, text) for _, method, text, _ in api.taken] == [
        ("ephemeral", "see"),
        ("open", "U1"),
        ("file", "a.txt b'1'"),
        ("file", "b.txt b'2'"),
    ]


async def test_secrets_do_not_leave(api, time):
    outbox = Outbox(api, RateLimit(clock=time.clock, sleep=time.sleep), mask=Redactor(["hunter2hunter2"]))
    await outbox.post("C1", Message("it is hunter2hunter2", files=(File("a.txt", "A", b"hunter2hunter2"),)))
    await outbox.close()
    assert "hunter2" not in str(api.taken)
    assert "[masked]" in api.taken[0][2]


async def test_what_is_sent_is_within_the_limits(outbox):
    whole = outbox.prepared(Message("x" * 50_000, sections("y" * 400_000)))
    assert not problems(whole)
    assert "y" * 400_000 in "".join(file.content.decode() for file in whole.files).replace("\n", "")


async def test_closing_tells_whoever_waits(outbox, api):
    api.hold = asyncio.Event()
    tasks = [asyncio.create_task(outbox.post("C1", message)) for message in numbered(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await outbox.close()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, NotSent) for one in told)


async def test_files_are_searched_on_no_thread_that_decisions_need(outbox, api, monkeypatch):
    """Those of a person on the threads for questions, of which they have one at a time; what hvops says on one of its own."""
    seen, real = [], outbox._masked_file

    def masked(file):
        seen.append(threading.current_thread().name.rpartition("_")[0])
        return real(file)

    monkeypatch.setattr(outbox, "_masked_file", masked)
    file = File("evidence.txt", "Evidence", b"a" * 10_000)
    await outbox.files("C1", [file], turn=Turn("T1/U1"))
    assert set(seen) == {"questions"}
    seen.clear()
    await outbox.files("C1", [file])
    await outbox.prepare(Message("one", files=(file,)))
    assert set(seen) == {"files"}
