"""The budget of a response URL, and whose URLs count."""

import pytest

from bot.redaction import Redactor
from bot.slack.outbound.api_errors import NotSent
from bot.slack.outbound.message import Message
from bot.slack.outbound.outbox import Outbox
from bot.slack.outbound.responder import PressedReply, Reply, ReplyTarget, is_slack_url

SLACK = "https://slack.com/api/"
LAB = "http://127.0.0.1:9100/api/"


@pytest.mark.parametrize(
    ("url", "base", "counts"),
    [
        ("https://hooks.slack.com/commands/T1/2/3", SLACK, True),
        ("http://hooks.slack.com/commands/T1/2/3", SLACK, False),
        ("https://hooks.slack.com.evil.example/commands", SLACK, False),
        ("https://hooks.slack.com@evil.example/commands", SLACK, False),
        ("https://evil.example/?https://hooks.slack.com", SLACK, False),
        ("http://127.0.0.1:9100/commands/T1/2", LAB, True),
        ("http://127.0.0.1:9101/commands/T1/2", LAB, False),
        ("http://127.0.0.1:9100/commands/T1/2", SLACK, False),
        ("https://[bad", SLACK, False),
        ("", SLACK, False),
    ],
)
def test_a_response_url_leads_to_slack(url, base, counts):
    assert is_slack_url(url, base) is counts


class Spent(Reply):
    """A reply whose URL answers as told: 200 unless `answers` says otherwise."""

    def __init__(self, clock=lambda: 0.0, where=None):
        self.posted, self.answers, self.elsewhere = [], [], []
        super().__init__(
            Elsewhere(self.elsewhere), where or ReplyTarget("U1", "C1", "", f"{LAB[:-5]}/commands/T1/1"), LAB, clock
        )

    async def _use(self, message):
        self.posted.append(message.text)
        return (self.answers.pop(0) if self.answers else 200), 0.0


class Elsewhere(Outbox):
    """An outbox that takes down what would be sent."""

    def __init__(self, told):
        super().__init__(None)
        self.told = told
        self.in_channel = True

    async def ephemeral(self, channel, user, message, thread_ts=""):
        if not self.in_channel:
            raise NotSent("user_not_in_channel")
        self.told.append(("ephemeral", channel, user, message.text))

    async def direct(self, user, message, turn):
        self.told.append(("direct", user, message.text))
        return "1.0"


async def test_progress_spends_one_use_beside_the_first_word_and_leaves_the_rest_for_the_answer():
    reply = Spent()
    assert await reply.begins(Message("Checking"))
    told = [await reply.progress(Message(f"{at} of 9")) for at in range(9)]
    assert told == [True] + [False] * 8
    assert await reply.result(Message("the answer")) == "response_url"
    assert reply.posted == ["Checking", "0 of 9", "the answer"]


async def test_what_is_said_is_masked_once_and_no_less():
    """It is the longest part of the loop's work for a short answer, so all who ask at once would wait for it twice."""
    masked = []

    class Counting(Redactor):
        def redact_text(self, text):
            masked.append(text)
            return super().redact_text(text)

    reply = Spent()
    reply._outbox._mask = Counting(("hunter22",))
    assert await reply.begins(Message("Checking hunter22"))
    assert await reply.result(Message("the answer is hunter22")) == "response_url"
    assert masked == ["Checking hunter22", "the answer is hunter22"]
    assert reply.posted == ["Checking [masked]", "the answer is [masked]"]


class Pressed(PressedReply):
    """A press in an answer, of which the message as it was is called "the old answer"."""

    def __init__(self, *answers):
        self.posted, self.answers, self.elsewhere = [], list(answers), []
        where = ReplyTarget("U1", "C1", "", f"{LAB[:-5]}/actions/T1/1")
        super().__init__(Elsewhere(self.elsewhere), where, LAB, lambda says: says or Message("the old answer"))

    async def _use(self, message):
        self.posted.append((message.text, self._replaces))
        return (self.answers.pop(0) if self.answers else 200), 0.0


async def test_a_press_says_how_far_it_is_in_the_pressed_message_and_leaves_it_as_it_was():
    reply = Pressed()
    assert await reply.begins(Message("Checking"))
    assert [await reply.progress(Message(f"{at} of 9")) for at in range(3)] == [True, False, False]
    assert await reply.result(Message("the answer")) == "response_url"
    assert reply.posted == [("Checking", True), ("0 of 9", True), ("the answer", False), ("the old answer", True)]


async def test_a_press_that_said_nothing_replaces_nothing():
    reply = Pressed()
    await reply.result(Message("the answer"))
    assert reply.posted == [("the answer", False)]


async def test_five_uses_and_no_more():
    reply = Spent()
    ways = [await reply.result(Message(f"answer {at}")) for at in range(7)]
    assert ways == ["response_url"] * 5 + ["ephemeral"] * 2
    assert reply.elsewhere == [("ephemeral", "C1", "U1", "answer 5"), ("ephemeral", "C1", "U1", "answer 6")]


async def test_a_url_that_has_expired_is_not_tried():
    now = [0.0]
    reply = Spent(clock=lambda: now[0])
    now[0] = 30 * 60
    assert await reply.result(Message("late")) == "ephemeral"
    assert not reply.posted


@pytest.mark.parametrize("status", [404, 410, 500, 0])
async def test_a_broken_url_is_given_up(status):
    reply = Spent()
    reply.answers = [status]
    assert await reply.result(Message("the answer")) == "ephemeral"
    assert len(reply.posted) == 1


async def test_a_rate_limit_is_waited_for():
    reply = Spent()
    reply.answers = [429, 200]
    assert await reply.result(Message("the answer")) == "response_url"
    assert reply.posted == ["the answer", "the answer"]


async def test_the_last_way_is_a_direct_message():
    reply = Spent()
    reply.answers = [404]
    reply._outbox.in_channel = False
    assert await reply.result(Message("the answer")) == "direct"
    assert await Spent(where=ReplyTarget("U1")).result(Message("from Home")) == "direct"
