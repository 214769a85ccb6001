"""What the page speaks: state, events, acts, troubles; and who is turned away."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from lab.slack.origin_check import refused
from lab.slack.server import FakeSlack


@pytest.fixture
async def http(slack):
    async with aiohttp.ClientSession(base_url=slack.address) as session:
        yield session


async def state(http, person="operator"):
    async with http.get("/practice/state", params={"as": person}) as answer:
        assert answer.status == 200
        return await answer.json()


async def act(http, person, name, **more):
    async with http.post("/practice/act", json={"as": person, "act": name, **more}) as answer:
        assert answer.status == 200
        return await answer.json()


class Events:
    """Reads a stream of server-sent events."""

    def __init__(self, answer):
        self.answer = answer

    async def next(self):
        async with asyncio.timeout(5):
            while True:
                line = (await self.answer.content.readline()).decode()
                if line.startswith("data: "):
                    return json.loads(line.removeprefix("data: "))


async def test_the_state_before_anything_happened(http):
    seen = await state(http)
    assert seen["me"] == {
        "id": "U0OPERATOR",
        "name": "operator",
        "real_name": "Operator",
        "groups": ["viewers", "operators"],
        "unread": 0,
        "decides": 0,
    }
    assert [person["name"] for person in seen["people"]] == ["operator", "approver", "viewer", "nobody"]
    assert [(channel["name"], channel["bot_is_member"]) for channel in seen["channels"]] == [
        ("hv-ops", True),
        ("hv-audit", True),
    ]
    assert seen["commands"][0] == {"command": "/hello", "description": "says /hello", "usage_hint": "<host>"}
    assert (seen["views"], seen["home"], seen["bot"]["connections"]) == ([], None, 0)


async def test_a_whole_conversation_through_the_page(slack, http, connect, kit):
    app = await connect(slack)

    @app.command("/hello")
    async def hello(ack, respond):
        await ack()
        await respond(text="hi", blocks=[{"type": "actions", "block_id": "b", "elements": [kit.button("Why", "why")]}])

    @app.action("why")
    async def why(ack, body, client):
        await ack()
        submit = {"type": "plain_text", "text": "Go"}
        view = kit.modal(kit.text_input("reason", "Reason"), submit=submit, callback_id="asked")
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.view("asked")
    async def asked(ack, view, client):
        await ack()
        await client.chat_postMessage(channel="C0OPS", text=view["state"]["values"]["reason"]["text"]["value"])

    async with http.get("/practice/events", params={"as": "operator"}) as answer:
        events = Events(answer)
        assert await act(http, "operator", "types", channel="C0OPS", text="/hello") == {"ok": True}
        event = await events.next()
        message = event["message"]
        assert (event["kind"], message["ephemeral"], message["username"]) == ("message", True, "hvops")
        assert await act(
            http, "operator", "clicks", channel="C0OPS", message=message["ts"], block_id="b", action_id="why"
        ) == {"ok": True}
        event = await events.next()
        view = event["view"]
        assert (event["kind"], view["title"]["text"]) == ("view_opened", "A window")
        empty = await act(http, "operator", "submits", view=view["id"], values={})
        assert empty == {"ok": False, "errors": {"reason": "Please complete this required field."}}
        assert (await events.next())["view"]["errors"] == empty["errors"]
        values = {"reason": {"text": "disk full"}}
        assert await act(http, "operator", "submits", view=view["id"], values=values) == {"ok": True}
        kinds = [(await events.next())["kind"] for _ in range(3)]
        assert sorted(kinds) == ["message", "view_changed", "view_closed"]
    seen = await state(http)
    assert (seen["messages"]["C0OPS"][-1]["text"], seen["views"]) == ("disk full", [])


async def test_an_ephemeral_is_in_nobody_elses_state_or_events(slack, http, client):
    async with http.get("/practice/events", params={"as": "viewer"}) as answer:
        events = Events(answer)
        await client.chat_postEphemeral(channel="C0OPS", user="U0OPERATOR", text="secret")
        await client.chat_postMessage(channel="C0OPS", text="public")
        assert (await events.next())["message"]["text"] == "public"
    assert [message["text"] for message in (await state(http, "viewer"))["messages"]["C0OPS"]] == ["public"]
    assert [message["text"] for message in (await state(http))["messages"]["C0OPS"]] == ["secret", "public"]


async def test_a_page_that_comes_back_gets_what_it_missed(slack, http):
    seen = await state(http)
    slack.alert("first")
    slack.alert("second")
    async with http.get("/practice/events", params={"as": "viewer", "after": str(seen["version"])}) as answer:
        events = Events(answer)
        assert [(await events.next())["message"]["text"] for _ in range(2)] == ["first", "second"]
    async with http.get("/practice/events", params={"as": "viewer"}, headers={"Last-Event-ID": "999999"}) as answer:
        assert (await Events(answer).next())["kind"] == "reset"


async def test_a_page_hears_of_the_end_and_is_cut_off_where_it_stays(slack, http, monkeypatch):
    monkeypatch.setattr("lab.slack.page_api.LETS_GO_WITHIN", 0.1)
    async with http.get("/practice/events", params={"as": "viewer"}) as answer:
        events = Events(answer)
        ending = asyncio.create_task(slack.farewell())
        assert (await events.next())["kind"] == "over"
        await ending
        with pytest.raises(aiohttp.ClientPayloadError):
            await events.next()
    assert (await state(http))["version"], "whoever asks is answered until the server is closed"


async def test_marks_and_badges(slack, http):
    slack.alert("one")
    last = slack.alert("two")
    assert (await state(http))["me"]["unread"] == 2
    await act(http, "operator", "marks", channel="C0OPS", ts=last.ts)
    seen = await state(http)
    assert (seen["me"]["unread"], seen["channels"][0]["unread"]) == (0, 0)
    assert (await state(http, "viewer"))["me"]["unread"] == 2


@pytest.mark.parametrize(
    ("text", "deciding"),
    [
        (
            "requested by <@U0OPERATOR>, <!subteam^S0APPROVERS> decide",
            ["approver"],
        ),  # naming whoever asked asks nothing of them
        ("<@U0OPERATOR> confirms it", ["operator"]),
        ("<!here> look", []),
    ],
)
async def test_a_badge_counts_what_is_addressed_to_somebody_and_asks_for_a_decision(http, client, kit, text, deciding):
    primary = {**kit.button("Approve", "yes"), "style": "primary"}
    blocks = [{"type": "actions", "block_id": "b", "elements": [primary]}]
    posted = await client.chat_postMessage(channel="C0OPS", text=text, blocks=blocks)
    people = (await state(http))["people"]
    assert [one["name"] for one in people if one["decides"]] == deciding
    await client.chat_update(channel="C0OPS", ts=posted["ts"], text=text, blocks=[kit.section("done")])
    assert not [one for one in (await state(http))["people"] if one["decides"]]


async def test_acts_that_cannot_be_done_are_said_in_a_sentence(http):
    gone = await act(http, "operator", "clicks", channel="C0OPS", message="1.0", action_id="x")
    assert gone == {"ok": False, "error": "This message is no longer there."}
    assert (await act(http, "operator", "submits", view="V0"))["error"] == "This window is no longer open."
    assert not (await act(http, "operator", "types", channel="C0NONE", text="x"))["ok"]
    unknown = await act(http, "operator", "types", channel="C0OPS", text="/nope")
    assert unknown == {"ok": False, "error": "/nope is not a valid command."}


@pytest.mark.parametrize(
    "body", [{"as": "operator", "act": "flies"}, {"as": "ghost", "act": "opens_home"}, {"act": "opens_home"}, ["x"]]
)
async def test_what_is_no_act_at_all(http, body):
    async with http.post("/practice/act", json=body) as answer:
        assert answer.status == 400


async def test_troubles(slack, http, connect):
    app = await connect(slack, ping_interval=0.2)
    async with http.post("/practice/trouble", json={"trouble": "drop_sockets"}) as answer:
        assert await answer.json() == {"ok": True}
    await slack.connected(0)
    await slack.connected(1)
    fault = {"trouble": "fault", "method": "auth.test", "fault": "500", "times": 2}
    async with http.post("/practice/trouble", json=fault) as answer:
        assert answer.status == 200
    assert slack.faults.waiting == {"auth.test": ["500", "500"]}
    async with http.post("/practice/trouble", json={"trouble": "earthquake"}) as answer:
        assert answer.status == 400
    assert app is not None


async def test_a_file_is_for_those_who_see_it(slack, http, client):
    channel = (await client.conversations_open(users="U0OPERATOR"))["channel"]["id"]
    await client.files_upload_v2(channel=channel, content="a;b", filename="größe.csv")
    message = (await state(http))["messages"][channel][0]
    async with http.get(message["files"][0]["url"]) as answer:
        assert await answer.text() == "a;b"
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv"
    async with http.get("/practice/file", params={"as": "viewer", "id": message["files"][0]["id"]}) as answer:
        assert answer.status == 404


PATHS = ["/practice/state?as=operator", "/practice/events?as=operator", "/"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "practice.corp.example"},
        {"Host": "practice.corp.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
async def test_foreign_hosts_and_origins_are_refused(http, path, headers):
    async with http.get(path, headers=headers) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("path", ["/practice/act", "/practice/trouble", "/api/chat.postMessage"])
async def test_a_foreign_page_cannot_act(slack, http, path):
    body = {"as": "operator", "act": "types", "channel": "C0OPS", "text": "x", "token": slack.bot_token}
    async with http.post(path, json=body, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    assert slack.person("operator").messages() == []


async def test_a_form_cannot_act_even_from_here(slack, http):
    text = json.dumps({"as": "operator", "act": "types", "channel": "C0OPS", "text": "x"})
    async with http.post("/practice/act", data=text, headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    assert slack.person("operator").messages() == []


async def test_its_own_page_may(slack, http):
    async with http.get("/practice/state?as=operator", headers={"Origin": slack.address}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("peer", "host", "origin", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8000", None, True),
        ("127.8.8.8", "localhost:8000", "http://localhost:8000", True),
        ("::1", "[::1]:8000", None, True),
        ("::1", "[::1]", None, True),
        ("10.0.0.5", "127.0.0.1:8000", None, False),
        (None, "127.0.0.1:8000", None, False),
        ("127.0.0.1", "", None, False),
        ("127.0.0.1", "localhost.evil.example:8000", None, False),
        ("127.0.0.1", "127.0.0.1.evil.example", None, False),
        ("127.0.0.1", "localhost:8000", "https://localhost:8000", False),
        ("127.0.0.1", "localhost:8000", "http://127.0.0.1:8000", False),
    ],
)
def test_who_is_from_here(peer, host, origin, allowed):
    assert (refused(peer, host, origin) == "") is allowed


async def test_static_files_and_nothing_beside_them(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<p>practice</p>")
    (tmp_path / "secret.txt").write_text("secret")
    async with FakeSlack(page=tmp_path / "page") as slack, aiohttp.ClientSession() as session:
        async with session.get(slack.address) as answer:
            assert (answer.status, await answer.text()) == (200, "<p>practice</p>")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(slack.address.rpartition(":")[2]))
        writer.write(b"GET /../secret.txt HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"404" in await reader.readline()
        writer.close()
        await writer.wait_closed()
