"""Response URLs with their five uses in thirty minutes, and the rate limits."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from lab.slack.clock import ManualClock
from lab.slack.ephemeral_tokens import Hook
from lab.slack.model import Refusal
from lab.slack.payloads import hook_url
from lab.slack.rate_limits import Rates


def hook(slack, **about):
    """What an app would use to answer the operator."""
    made = Hook("U0OPERATOR", "C0OPS", slack.core.clock.now(), **about)
    return AsyncWebhookClient(hook_url(slack.core, "commands", made))


async def test_the_sixth_use_is_a_404_and_nobody_raises(slack):
    respond = hook(slack)
    answers = [await respond.send(text=f"answer {number}") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    assert "used_url" in answers[5].body
    assert [message.text for message in slack.person("operator").ephemerals()] == [f"answer {n}" for n in range(5)]


async def test_half_an_hour_later_it_is_gone(still_slack, clock):
    respond = hook(still_slack)
    await clock.advance(29 * 60)
    assert (await respond.send(text="in time")).status_code == 200
    await clock.advance(61)
    answer = await respond.send(text="too late")
    assert (answer.status_code, "expired_url" in answer.body) == (404, True)


async def test_a_command_has_no_original_to_replace(slack):
    respond = hook(slack)
    await respond.send(text="Looking…")
    await respond.send(text="verdict", replace_original=True)
    assert [message.text for message in slack.person("operator").messages()] == ["Looking…", "verdict"]


async def test_a_clicked_message_is_replaced_or_deleted_and_never_changes_who_sees_it(slack, client):
    await client.chat_postEphemeral(channel="C0OPS", user="U0OPERATOR", text="first")
    operator = slack.person("operator")
    respond = hook(slack, original=operator.messages()[0].ts)
    await respond.send(text="second", replace_original=True, response_type="in_channel")
    assert [message.text for message in operator.messages()] == ["second"]
    assert slack.person("viewer").messages() == []
    await respond.send(delete_original=True)
    assert operator.messages() == []


async def test_broken_blocks_through_a_response_url(slack, kit):
    answer = await hook(slack).send(text="x", blocks=[kit.section("")])
    assert (answer.status_code, "invalid_blocks" in answer.body) == (400, True)
    assert slack.person("operator").messages() == []


async def test_a_url_that_was_never_given_out(slack):
    answer = await AsyncWebhookClient(f"{slack.address}/commands/T0PRACTICE/nonsense").send(text="x")
    assert answer.status_code == 404


async def test_what_nobody_can_use_is_forgotten(still_slack, clock):
    grants = still_slack.core.tokens
    hook(still_slack)
    grants.trigger("U0OPERATOR")
    await clock.advance(3 * 60 * 60)
    latest = grants.trigger("U0OPERATOR")
    assert (list(grants.triggers), grants.hooks) == ([latest], {})


async def test_posting_faster_than_one_a_second(still_slack, clock):
    client = AsyncWebClient(still_slack.bot_token, base_url=still_slack.base_url)
    for number in range(5):
        await client.chat_postMessage(channel="C0OPS", text=str(number))
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0OPS", text="6")
    assert (refused.value.response.status_code, refused.value.response["error"]) == (429, "ratelimited")
    assert refused.value.response.headers["Retry-After"] == "1"
    await client.chat_postMessage(channel="C0AUDIT", text="another channel has its own count")
    await clock.advance(1)
    await client.chat_postMessage(channel="C0OPS", text="6")
    assert still_slack.core.rates.refused == 1


@pytest.mark.parametrize(("tier", "at_once"), [(1, 10), (2, 20), (3, 50), (4, 100)])
async def test_tiers(tier, at_once):
    clock = ManualClock()
    rates = Rates(clock)
    for _ in range(at_once):
        rates.count("method", tier)
    with pytest.raises(Refusal) as refused:
        rates.count("method", tier)
    rates.count("another method", tier)
    await clock.advance(int(refused.value.headers["Retry-After"]))
    rates.count("method", tier)


def test_rates_switched_off():
    rates = Rates(ManualClock(), strict=False)
    for _ in range(1_000):
        rates.count_post("C0OPS")
    assert rates.refused == 0
