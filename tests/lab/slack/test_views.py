"""views.*: trigger ids that die, hashes, stacks, sizes."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient


@pytest.fixture
def still_client(still_slack):
    return AsyncWebClient(still_slack.bot_token, base_url=still_slack.base_url)


async def error_of(awaitable):
    with pytest.raises(SlackApiError) as refused:
        await awaitable
    return refused.value.response["error"]


async def test_a_trigger_id_lives_three_seconds(still_slack, still_client, clock, kit):
    late, early = (still_slack.core.tokens.trigger("U0OPERATOR") for _ in range(2))
    await clock.advance(2.9)
    await still_client.views_open(trigger_id=early, view=kit.modal())
    await clock.advance(0.2)
    assert await error_of(still_client.views_open(trigger_id=late, view=kit.modal())) == "expired_trigger_id"
    assert len(still_slack.person("operator").views()) == 1


async def test_a_trigger_id_is_good_once(slack, client, kit):
    trigger = slack.core.tokens.trigger("U0OPERATOR")
    await client.views_open(trigger_id=trigger, view=kit.modal())
    assert await error_of(client.views_open(trigger_id=trigger, view=kit.modal())) == "exchanged_trigger_id"
    assert await error_of(client.views_open(trigger_id="1.2.nonsense", view=kit.modal())) == "invalid_trigger_id"


async def test_a_refused_view_does_not_use_the_trigger_up(slack, client, kit):
    trigger = slack.core.tokens.trigger("U0OPERATOR")
    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id=trigger, view=kit.modal(kit.section("")))
    assert refused.value.response["error"] == "invalid_arguments"
    messages = refused.value.response["response_metadata"]["messages"]
    assert messages == ["[ERROR] must be more than 0 characters [json-pointer:/view/blocks/0/text/text]"]
    assert (await client.views_open(trigger_id=trigger, view=kit.modal()))["ok"]


async def test_an_update_with_an_old_hash_is_a_conflict(slack, client, kit):
    opened = await client.views_open(trigger_id=slack.core.tokens.trigger("U0OPERATOR"), view=kit.modal())
    view_id, old = opened["view"]["id"], opened["view"]["hash"]
    await client.views_update(view_id=view_id, hash=old, view=kit.modal(kit.section("newer")))
    late = client.views_update(view_id=view_id, hash=old, view=kit.modal(kit.section("late")))
    assert await error_of(late) == "hash_conflict"
    await slack.person("operator").sees_view("newer")


async def test_three_modals_are_the_most(slack, client, kit):
    def trigger():
        return slack.core.tokens.trigger("U0OPERATOR")

    first = await client.views_open(trigger_id=trigger(), view=kit.modal())
    second = await client.views_push(trigger_id=trigger(), view=kit.modal())
    await client.views_push(trigger_id=trigger(), view=kit.modal())
    assert await error_of(client.views_push(trigger_id=trigger(), view=kit.modal())) == "push_limit_reached"
    assert second["view"]["root_view_id"] == second["view"]["previous_view_id"] == first["view"]["id"]


async def test_a_view_of_more_than_250_kilobytes(slack, client, kit):
    blocks = [kit.section("x" * 2_900) for _ in range(90)]
    opening = client.views_open(trigger_id=slack.core.tokens.trigger("U0OPERATOR"), view=kit.modal(*blocks))
    assert await error_of(opening) == "view_too_large"


async def test_an_external_id_stands_for_one_view(slack, client, kit):
    def trigger():
        return slack.core.tokens.trigger("U0OPERATOR")

    await client.views_open(trigger_id=trigger(), view=kit.modal(external_id="t-412"))
    again = client.views_push(trigger_id=trigger(), view=kit.modal(external_id="t-412"))
    assert await error_of(again) == "duplicate_external_id"
    updated = await client.views_update(external_id="t-412", view=kit.modal(kit.section("found"), external_id="t-412"))
    assert updated["view"]["external_id"] == "t-412"
    assert await error_of(client.views_update(external_id="t-413", view=kit.modal())) == "not_found"


async def test_home_is_per_person_and_knows_its_hash(slack, client, kit):
    home = {"type": "home", "blocks": [kit.section("mine")]}
    first = await client.views_publish(user_id="U0VIEWER", view=home)
    second = await client.views_publish(user_id="U0VIEWER", view=home, hash=first["view"]["hash"])
    assert second["view"]["id"] == first["view"]["id"]
    late = client.views_publish(user_id="U0VIEWER", view=home, hash=first["view"]["hash"])
    assert await error_of(late) == "hash_conflict"
    assert await error_of(client.views_publish(user_id="U0GHOST", view=home)) == "user_not_found"
    assert await error_of(client.views_publish(user_id="U0VIEWER", view=kit.modal())) == "invalid_arguments"
