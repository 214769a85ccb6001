"""The Slack that fails by a seed: what it draws is the same again, and what it says of a call is what happened."""

from __future__ import annotations

from collections import Counter

import aiohttp
import pytest
from faulty_slack import CODES, ENVELOPES, SHAPES, Draws, Fault, FaultySlack
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

KINDS = ("chat.postMessage", "chat.update", "files.completeUploadExternal", "conversations.history")


class Planned(Draws):
    """What the test says goes wrong, by the kind of a call; and at envelopes."""

    def __post_init__(self):
        self.plan, self.at_envelopes = {}, ""

    def fault(self, kind, ordinal, *, is_worse=False):
        return self.plan.get(kind)

    def envelope(self, ordinal):
        return self.at_envelopes


@pytest.fixture
async def faulty(slack):
    async with FaultySlack(slack, Planned(1, patience=0.2)) as proxy:
        yield proxy


def client_of(faulty):
    return AsyncWebClient(faulty.bot_token, base_url=faulty.base_url, retry_handlers=[], timeout=60)


def test_the_same_call_of_the_same_seed_meets_the_same_fault():
    one, other = ([Draws(7).fault(kind, at) for kind in KINDS for at in range(1, 200)] for _ in range(2))
    assert one == other
    assert one != [Draws(8).fault(kind, at) for kind in KINDS for at in range(1, 200)]


def test_every_fault_and_every_code_is_drawn():
    drawn = [Draws(seed).fault("chat.update", at) for seed in range(40) for at in range(1, 100)]
    met = [one for one in drawn if one is not None]
    assert 0.25 < len(met) / len(drawn) < 0.45
    assert {one.shape for one in met} == set(SHAPES)
    assert set(CODES["chat.update"]) <= {one.code for one in met}
    assert {(one.shape, one.is_done) for one in met} >= {(each, done) for each in ("5xx", "dropped", "hung", "half done") for done in (True, False)}  # fmt: skip
    assert set(ENVELOPES) <= {Draws(1).envelope(at) for at in range(1, 400)}


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        (Fault("refused", code="update_failed"), "update_failed"),
        (Fault("half done", is_done=True, code="internal_error"), "internal_error"),
        (Fault("half done", code="fatal_error"), "fatal_error"),
        (Fault("5xx", is_done=True, status=504), "HTTP 504"),
        (Fault("5xx", status=503, code="service_unavailable"), "service_unavailable"),
        (Fault("ratelimited", code="ratelimited", status=429, seconds=2.0), "ratelimited"),
        (Fault("dropped", is_done=True), "nothing"),
        (Fault("dropped"), "nothing"),
        (Fault("hung", is_done=True, seconds=0.3), "nothing"),
        (Fault("cut short", is_done=True), "half of an answer"),
        (Fault("garbage"), "garbage"),
    ],
    ids=str,
)
async def test_a_call_fails_and_its_work_is_done_or_not(faulty, fault, heard):
    faulty.draws.plan = {"chat.postMessage": fault}
    with pytest.raises((SlackApiError, aiohttp.ClientError, TimeoutError, OSError)):
        await client_of(faulty).chat_postMessage(channel="C0OPS", text="T-1 done")
    (seen,) = faulty.calls
    there = [one.text for one in faulty.workspace.messages.get("C0OPS", [])]
    assert there == (["T-1 done"] if fault.is_done else [])
    assert (seen.was_done, seen.heard, seen.misreports) == (fault.is_done, heard, fault.is_done)
    assert "T-1 done" in faulty.about("T-1")[0]


async def test_a_slow_call_is_done_and_answered(faulty):
    faulty.draws.plan = {"chat.postMessage": Fault("slow", is_done=True, seconds=0.05)}
    assert (await client_of(faulty).chat_postMessage(channel="C0OPS", text="x"))["ok"]


async def test_the_bytes_of_a_file_are_kept_though_that_is_not_said(faulty):
    faulty.draws.plan = {"upload": Fault("5xx", is_done=True, status=500)}
    with pytest.raises(SlackRequestError):
        await client_of(faulty).files_upload_v2(channel="C0OPS", filename="plan.txt", content="the plan")
    assert Counter(one.kind for one in faulty.calls) == {"files.getUploadURLExternal": 1, "upload": 1}
    assert faulty.calls[1].was_done
    assert [each.data for each in faulty.core.tokens.uploads.values()] == [b"the plan"]


async def test_a_response_url_fails_after_its_work(faulty, connect, until):
    app = await connect(faulty)

    @app.command("/hello")
    async def hello(ack, respond):
        await ack()
        await respond("hello")

    faulty.draws.plan = {"response_url": Fault("5xx", is_done=True, status=500)}
    await faulty.person("operator").types("/hello")
    await faulty.person("operator").sees("hello")
    # It is seen before the proxy has Slack's answer, and notes what the app is told instead.
    await until(lambda: any(one.kind == "response_url" and one.heard != "nothing yet" for one in faulty.calls))
    assert [one.kind for one in faulty.calls if one.misreports] == ["response_url"]


async def test_once_healed_everything_is_done_and_answered(faulty):
    faulty.draws.plan = dict.fromkeys(("chat.postMessage", "files.getUploadURLExternal"), Fault("dropped"))
    faulty.heal()
    posted = await client_of(faulty).chat_postMessage(channel="C0OPS", text="x")
    await client_of(faulty).files_upload_v2(channel="C0OPS", filename="a.txt", content="a", thread_ts=posted["ts"])
    assert [one.heard for one in faulty.calls] == ["ok"] * 4


@pytest.mark.parametrize("trouble", ["lost", "cut", "unheard", "both"])
async def test_a_socket_is_cut_at_an_envelope(faulty, connect, until, trouble):
    app = await connect(faulty, sockets=2)
    heard = []

    @app.command("/hello")
    async def hello(ack, body):
        heard.append(body["command"])
        await ack("hello")

    faulty.draws.at_envelopes = trouble
    done = await faulty.person("operator").types("/hello")
    assert not done.ok
    if trouble != "lost":  # the app hears it, and Slack hears nothing of that; it may still ask who it is
        await until(lambda: heard)
    assert len(heard) <= 2
    assert {one.heard for one in faulty.calls if one.kind == "envelope"} == {trouble}
