"""The Web API, as slack_sdk's client and as bare HTTP see it."""

from __future__ import annotations

import json

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from lab.slack.limits import message_problems
from lab.slack.server import FakeSlack


async def error_of(awaitable):
    with pytest.raises(SlackApiError) as refused:
        await awaitable
    return refused.value.response["error"]


async def post(slack, method, *, token=None, **body):
    """Bare HTTP with JSON, for what the SDK would not send."""
    headers = {"Authorization": f"Bearer {token or slack.bot_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.base_url + method, json=body, headers=headers) as answer,
    ):
        return await answer.json()


async def test_who_am_i(slack, client):
    answer = await client.auth_test()
    assert (answer["user_id"], answer["user"]) == ("U0BOT", "hvops")
    assert "chat:write" in answer.headers["x-oauth-scopes"]


@pytest.mark.parametrize(
    ("token", "error"), [("", "not_authed"), ("xoxb-practice-other", "invalid_auth"), ("nonsense", "invalid_auth")]
)
async def test_tokens(slack, token, error):
    form = {"token": token} if token else {}
    async with aiohttp.ClientSession() as session, session.post(slack.base_url + "auth.test", data=form) as answer:
        assert (await answer.json())["error"] == error


async def test_a_real_looking_token_is_told_that_this_is_practice_and_is_not_kept(slack):
    token = "-".join(["xoxb", "1234567890123", "1234567890123", "A" * 24])
    answer = await post(slack, "chat.postMessage", token=token, channel="C0OPS", text="x")
    assert answer["error"] == "invalid_auth"
    assert "practice only" in answer["response_metadata"]["messages"][0]
    form = {"token": token, "channel": "C0OPS", "text": "x"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.base_url + "chat.postMessage", data=form) as response,
    ):
        assert (await response.json())["error"] == "invalid_auth"
    assert token not in repr(slack.core)


async def test_forms_and_json_say_the_same(slack):
    blocks = [{"type": "divider"}]
    async with aiohttp.ClientSession() as session:
        form = {"token": slack.bot_token, "channel": "C0OPS", "text": "form", "blocks": json.dumps(blocks)}
        async with session.post(slack.base_url + "chat.postMessage", data=form) as answer:
            from_form = await answer.json()
    from_json = await post(slack, "chat.postMessage", channel="C0OPS", text="json", blocks=blocks)
    from_text = await post(slack, "chat.postMessage", channel="C0OPS", text="text", blocks=json.dumps(blocks))
    assert [answer["message"]["blocks"][0]["type"] for answer in (from_form, from_json, from_text)] == ["divider"] * 3


async def test_an_empty_json_body_and_one_that_is_none(slack):
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for body, expected in (("", None), ("{", "invalid_json"), ("[]", "json_not_object")):
            async with session.post(slack.base_url + "auth.test", data=body) as answer:
                assert (await answer.json()).get("error") == expected


async def test_a_method_that_does_not_exist(slack):
    answer = await post(slack, "chat.shout")
    assert (answer["error"], answer["req_method"]) == ("unknown_method", "chat.shout")


async def test_a_scope_that_the_manifest_does_not_have(kit):
    manifest = {**kit.manifest, "oauth_config": {"scopes": {"bot": ["commands", "users:read"]}}}
    async with FakeSlack(manifest=manifest) as slack:
        answer = await post(slack, "chat.postMessage", channel="C0OPS", text="x")
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "chat:write",
        "commands,users:read",
    )


async def test_where_the_bot_may_post(slack, client):
    slack.workspace.leaves("hvops", "hv-audit")
    assert await error_of(client.chat_postMessage(channel="C0AUDIT", text="x")) == "not_in_channel"
    assert await error_of(client.chat_postMessage(channel="C0NONE", text="x")) == "channel_not_found"
    assert (await post(slack, "chat.postMessage", channel="C0OPS"))["error"] == "no_text"
    assert await error_of(client.chat_postMessage(channel="C0OPS", text="x" * 40_001)) == "msg_too_long"
    assert (await client.chat_postMessage(channel="U0VIEWER", text="psst"))["channel"].startswith("D")
    assert [message.text for message in slack.person("viewer").messages("dm")] == ["psst"]


async def test_ephemerals_reach_members_of_the_channel_only(slack, client):
    slack.workspace.leaves("nobody", "hv-ops")
    await client.chat_postEphemeral(channel="C0OPS", user="U0VIEWER", text="for you")
    outside = client.chat_postEphemeral(channel="C0OPS", user="U0NOBODY", text="x")
    assert await error_of(outside) == "user_not_in_channel"
    assert [message.text for message in slack.person("viewer").ephemerals()] == ["for you"]
    assert slack.person("operator").messages() == []


async def test_an_update_without_blocks_takes_them_away(slack, client, kit):
    first = await client.chat_postMessage(channel="C0OPS", text="plan", blocks=[kit.section("plan")])
    await client.chat_update(channel="C0OPS", ts=first["ts"], text="decided")
    message = slack.person("operator").messages()[0]
    assert (message.text, message.blocks, message.edited) == ("decided", [], True)


async def test_what_cannot_be_updated(slack, client):
    done = await slack.person("operator").types("mine")
    ephemeral = await client.chat_postEphemeral(channel="C0OPS", user="U0VIEWER", text="x")
    posted = await client.chat_postMessage(channel="C0OPS", text="x")
    assert await error_of(client.chat_update(channel="C0OPS", ts=done.ts, text="y")) == "cant_update_message"
    assert await error_of(client.chat_delete(channel="C0OPS", ts=done.ts)) == "cant_delete_message"
    hidden = client.chat_update(channel="C0OPS", ts=ephemeral["message_ts"], text="y")
    assert await error_of(hidden) == "message_not_found"
    assert await error_of(client.chat_update(channel="C0OPS", ts=posted["ts"], text="x" * 4001)) == "msg_too_long"


async def test_broken_blocks_are_answered_with_pointers(slack, client, kit):
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C0OPS", text="x", blocks=[kit.section("ok"), kit.section("x" * 3001)])
    answer = refused.value.response
    assert answer["error"] == "invalid_blocks"
    assert answer["errors"] == ["must be less than 3001 characters [json-pointer:/blocks/1/text/text]"]
    assert answer["response_metadata"]["messages"] == [f"[ERROR] {answer['errors'][0]}"]
    assert slack.person("operator").messages() == []


async def test_pings_are_written_down(slack, client, kit):
    blocks = [kit.section("<@U0OPERATOR> asks <!subteam^S0APPROVERS>"), {"type": "header", "text": {"type": "plain_text", "text": "<!here>"}}]  # fmt: skip
    await client.chat_postMessage(channel="C0OPS", text="<!channel> look &lt;!everyone&gt;", blocks=blocks)
    state = await _get(slack, "/practice/state?as=viewer")
    assert state["messages"]["C0OPS"][0]["pings"] == ["channel", "U0OPERATOR", "S0APPROVERS"]


async def test_markdown_text_stands_alone(slack, client):
    await client.chat_postMessage(channel="C0OPS", markdown_text="**bold**")
    both = client.chat_postMessage(channel="C0OPS", markdown_text="**bold**", text="bold")
    assert await error_of(both) == "markdown_text_conflict"
    assert slack.person("viewer").messages()[0].blocks[0]["text"] == "**bold**"


async def test_threads_history_and_permalinks(slack, client):
    parent = await client.chat_postMessage(channel="C0OPS", text="parent")
    reply = await client.chat_postMessage(channel="C0OPS", text="reply", thread_ts=parent["ts"])
    await client.chat_postMessage(channel="C0OPS", text="reply to the reply", thread_ts=reply["ts"])
    history = await client.conversations_history(channel="C0OPS")
    thread = await client.conversations_replies(channel="C0OPS", ts=parent["ts"])
    link = await client.chat_getPermalink(channel="C0OPS", message_ts=parent["ts"])
    assert [(message["text"], message["reply_count"]) for message in history["messages"]] == [("parent", 2)]
    assert [message["text"] for message in thread["messages"]] == ["parent", "reply", "reply to the reply"]
    assert link["permalink"].endswith(f"/archives/C0OPS/p{parent['ts'].replace('.', '')}")


MARK = {"event_type": "hvops_said", "event_payload": {"key": "T-1 card"}}


async def test_metadata_is_whole_only_where_it_is_asked_for(client):
    parent = await client.chat_postMessage(channel="C0OPS", text="card", metadata=MARK)
    reply = {"channel": "C0OPS", "text": "done", "thread_ts": parent["ts"], "metadata": MARK}
    await client.chat_postMessage(**reply)
    direct = await client.chat_postMessage(channel="U0VIEWER", text="psst", metadata=MARK)
    thread = {"channel": "C0OPS", "ts": parent["ts"]}

    async def read(**more):
        said = [
            await client.conversations_history(channel="C0OPS", **more),
            await client.conversations_replies(**thread, **more),
            await client.conversations_history(channel=direct["channel"], **more),
        ]
        return [message["metadata"] for answer in said for message in answer["messages"]]

    assert await read(include_all_metadata=True) == [MARK] * 4
    assert await read() == [{"event_type": "hvops_said"}] * 4


async def test_an_update_keeps_metadata_that_it_does_not_name(client):
    posted = await client.chat_postMessage(channel="C0OPS", text="card", metadata=MARK)
    place = {"channel": "C0OPS", "ts": posted["ts"]}

    async def kept(**more):
        await client.chat_update(**place, text="card, changed", **more)
        history = await client.conversations_history(channel="C0OPS", include_all_metadata=True)
        return history["messages"][0].get("metadata")

    assert await kept() == MARK
    assert await kept(metadata={}) is None


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ("{", "invalid_metadata_format"),
        ("[1]", "invalid_metadata_format"),
        ('{"event_type": "hvops_said"}', "invalid_metadata_schema"),
        ('{"event_type": "hvops_said", "event_payload": "text"}', "invalid_metadata_schema"),
    ],
)
async def test_metadata_that_slack_would_refuse(slack, metadata, error):
    answer = await post(slack, "chat.postMessage", channel="C0OPS", text="x", metadata=metadata)
    assert answer["error"] == error
    assert slack.person("operator").messages() == []


async def test_a_file_is_found_in_the_messages_of_its_thread(client):
    parent = await client.chat_postMessage(channel="C0OPS", text="card")
    uploaded = await client.files_upload_v2(
        channel="C0OPS", thread_ts=parent["ts"], filename="plan.txt", content="the whole plan"
    )
    thread = await client.conversations_replies(channel="C0OPS", ts=parent["ts"])
    assert [file["id"] for message in thread["messages"] for file in message.get("files", [])] == [
        uploaded["file"]["id"]
    ]


async def test_people_groups_and_members(slack, client):
    assert (await client.users_info(user="U0VIEWER"))["user"]["name"] == "viewer"
    assert await error_of(client.users_info(user="U0GHOST")) == "user_not_found"
    groups = await client.usergroups_list(include_users=True)
    assert {group["handle"]: group["users"] for group in groups["usergroups"]}["approvers"] == ["U0APPROVER"]
    assert (await client.usergroups_users_list(usergroup="S0APPROVERS"))["users"] == ["U0APPROVER"]
    assert await error_of(client.usergroups_users_list(usergroup="S0NONE")) == "no_such_subteam"
    members = await client.conversations_members(channel="C0OPS", limit=2)
    rest = await client.conversations_members(channel="C0OPS", cursor=members["response_metadata"]["next_cursor"])
    assert members["members"] + rest["members"] == slack.workspace.channels["C0OPS"].members
    listed = await client.conversations_list(types="public_channel")
    assert [channel["name"] for channel in listed["channels"]] == ["hv-ops", "hv-audit"]


async def test_the_default_client_posts_twice_when_the_answer_is_lost(slack):
    slack.faults.add("chat.postMessage", "drop")
    client = AsyncWebClient(slack.bot_token, base_url=slack.base_url)
    assert any(isinstance(handler, AsyncConnectionErrorRetryHandler) for handler in client.retry_handlers)
    await client.chat_postMessage(channel="C0OPS", text="restart hv03?")
    assert [message.text for message in slack.person("operator").messages()] == ["restart hv03?"] * 2


async def test_a_client_without_retries_posts_once_and_knows_that_it_does_not_know(slack):
    slack.faults.add("chat.postMessage", "drop")
    client = AsyncWebClient(slack.bot_token, base_url=slack.base_url, retry_handlers=[])
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0OPS", text="restart hv03?")
    assert [message.text for message in slack.person("operator").messages()] == ["restart hv03?"]


async def test_faults_end_after_their_number_of_calls(slack):
    client = AsyncWebClient(slack.bot_token, base_url=slack.base_url, retry_handlers=[])
    slack.faults.add("auth.test", "ratelimited", times=2)
    slack.faults.add("auth.test", "fatal_error")
    assert await error_of(client.auth_test()) == "ratelimited"
    assert await error_of(client.auth_test()) == "ratelimited"
    assert await error_of(client.auth_test()) == "fatal_error"
    assert (await client.auth_test())["ok"]


async def test_files_need_their_bytes_and_their_length(slack, client):
    announced = await client.files_getUploadURLExternal(filename="a.txt", length=3)
    assert await error_of(client.files_completeUploadExternal(files=[{"id": announced["file_id"]}])) == "file_not_found"
    async with aiohttp.ClientSession() as session:
        async with session.post(announced["upload_url"], data=b"four") as answer:
            assert answer.status == 400
        async with session.post(announced["upload_url"], data=b"abc") as answer:
            assert answer.status == 200
    done = await client.files_completeUploadExternal(
        files=[{"id": announced["file_id"], "title": "A"}], channel_id="C0OPS"
    )
    assert (done["files"][0]["title"], done["files"][0]["size"]) == ("A", 3)
    message = slack.person("viewer").messages()[0]
    assert slack.person("viewer").file(message) == b"abc"


async def _get(slack, path):
    async with aiohttp.ClientSession() as session, session.get(slack.address + path) as answer:
        return await answer.json()


async def test_beside_the_text_of_what_a_person_typed_stands_its_rich_text(slack, client):
    typed = "*look* at <hv03> :+1::tada: with @operator in #hv-audit, @here: https://example.com/a?b&c `x`"
    await slack.person("viewer").types(typed)
    await client.chat_postMessage(channel="C0OPS", text="*text* alone")
    own, said = (await client.conversations_history(channel="C0OPS"))["messages"][:2]
    assert "blocks" not in own
    assert message_problems(said["blocks"]) == []
    (block,) = said["blocks"]
    (section,) = block["elements"]
    assert section["elements"] == [
        {"type": "text", "text": "look", "style": {"bold": True}},
        {"type": "text", "text": " at <hv03> "},
        {"type": "emoji", "name": "+1", "unicode": "1f44d"},
        {"type": "emoji", "name": "tada", "unicode": "1f389"},
        {"type": "text", "text": " with "},
        {"type": "user", "user_id": "U0OPERATOR"},
        {"type": "text", "text": " in "},
        {"type": "channel", "channel_id": "C0AUDIT"},
        {"type": "text", "text": ", "},
        {"type": "broadcast", "range": "here"},
        {"type": "text", "text": ": "},
        {"type": "link", "url": "https://example.com/a?b&c"},
        {"type": "text", "text": " "},
        {"type": "text", "text": "x", "style": {"code": True}},
    ]
