"""Whatever Slack sends over a socket is acknowledged, known or not, and the log says so once."""

import asyncio

import pytest
import structlog

from bot.slack.socket import Rarely

MISSING = object()


async def acknowledged(bench, kind, payload=MISSING):
    """Whether one envelope is acknowledged within the three seconds that Slack gives."""
    envelope = {"type": kind, "accepts_response_payload": False}
    if payload is not MISSING:
        envelope["payload"] = payload
    async with asyncio.timeout(3):
        return await bench.slack.socket._until_acknowledged(envelope)


EVENT = {"type": "event_callback", "team_id": "T0PRACTICE", "event_id": "Ev1", "event_time": 1}
PERSON = {"user": {"id": "U0OPERATOR", "team_id": "T0PRACTICE"}}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("novel", MISSING),
        ("novel", {}),
        ("novel", {"type": "novel"}),
        ("novel", None),
        ("events_api", ["no", "object"]),
        ("events_api", 7),
        ("events_api", "only text"),
        ("events_api", {**EVENT, "event": {"type": "never_heard_of"}}),
        ("events_api", {**EVENT, "event": "no object"}),
        ("events_api", {**EVENT, "event": {"type": "app_mention", "user": {"id": "U1"}, "edited": 7}}),
        ("events_api", {"type": "app_rate_limited", "team_id": "T0PRACTICE", "minute_rate_limited": 1}),
        ("interactive", {**PERSON, "type": "novel_interaction"}),
        ("interactive", {**PERSON, "type": "block_actions", "actions": []}),
        ("interactive", {**PERSON, "type": "block_actions", "actions": "none"}),
        ("interactive", {"type": "block_actions", "user": 7, "actions": [{"action_id": "x", "type": "button"}]}),
        ("interactive", {**PERSON, "type": "view_submission", "view": []}),
        ("slash_commands", {"text": "prod"}),
        ("slash_commands", {"command": 7, "user_id": ["U1"]}),
    ],
)
async def test_every_envelope_is_acknowledged(bench, kind, payload):
    told = await acknowledged(bench, kind, payload)
    assert told.error == ""
    await bench.idle()
    assert (await bench.operator.types("/check-writers prod")).ok
    await bench.operator.sees("STUCK hv03")


async def test_one_that_a_listener_breaks_over_is_acknowledged_and_its_person_told(bench, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(bench.desk, "ack_message", broken)
    assert (await bench.operator.types("/check-writers prod")).ok
    await bench.operator.sees("Something went wrong inside hvops itself")


async def test_a_flood_of_what_is_not_known_is_one_line_of_the_log(bench):
    with structlog.testing.capture_logs() as logs:
        for _ in range(20):
            await acknowledged(bench, "novel", {"type": "novel"})
        for _ in range(20):
            await acknowledged(bench, "events_api", {**EVENT, "event": {"type": "never_heard_of"}})
        for _ in range(20):
            await acknowledged(bench, "novel")
    told = [one for one in logs if "does not know" in one["event"]]
    assert {one["kind"] for one in told} >= {"novel"}
    assert len(told) <= 4  # each of the two connections says it for itself where there is no payload


def test_what_comes_often_is_said_once_an_hour_with_how_many_came():
    now = [0.0]
    rarely = Rarely(clock=lambda: now[0])
    assert [rarely.since("novel") for _ in range(4)] == [0, None, None, None]
    assert rarely.since("other") == 0
    now[0] = 3_600
    assert rarely.since("novel") == 3
    assert rarely.since("novel") is None


def test_kinds_that_somebody_makes_up_do_not_fill_the_log():
    rarely = Rarely(clock=lambda: 0.0)
    assert sum(rarely.since(f"kind {number}") is not None for number in range(10_000)) == 65
