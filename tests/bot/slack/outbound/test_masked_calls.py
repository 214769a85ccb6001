"""Nothing is sent to Slack but through a mask: by whatever method, as an acknowledgement, or to a response URL."""

import inspect
import json
import re
from pathlib import Path

import pytest
from slack_bolt import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

import bot.slack
from bot.dispatch.help import Help, Status
from bot.redaction import Redactor
from bot.slack.outbound.api_errors import make_client
from bot.slack.outbound.message import File, Message
from bot.slack.outbound.outbox import Outbox, RateLimit
from bot.slack.outbound.responder import Reply, ReplyTarget
from bot.slack.render.home import home_view
from bot.slack.socket import Connection
from lab.slack.server import FakeSlack

SECRET = "db-pass-word-9"
SOURCE = "\n".join(path.read_text() for path in Path(bot.slack.__file__).parent.parent.rglob("*.py"))
CALLED = sorted(
    name
    for name in set(re.findall(r"client\.(\w+)\(", SOURCE))
    if inspect.iscoroutinefunction(getattr(AsyncWebClient, name, None)) and not name.startswith("_")
)
SAYS = {
    **dict.fromkeys(("text", "filename", "title", "users", "cursor", "query"), f"it is {SECRET}"),
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": SECRET}}],
    "view": {"type": "home", "private_metadata": SECRET, "blocks": [{"text": SECRET, "value": SECRET}]},
    "files": [{"id": "F1", "title": SECRET}],
    "metadata": {"event_type": "x", "event_payload": {"mark": SECRET}},
    "params": {"text": SECRET},
    **dict.fromkeys(("channel", "user", "user_id", "channel_id", "view_id", "trigger_id", "usergroup"), "C1"),
    **dict.fromkeys(("ts", "thread_ts", "message_ts"), "1.0"),
    "length": 1,
    "app_token": "xapp-1",
    "api_method": "x.y",
}


@pytest.fixture
def mask():
    return Redactor([SECRET])


def test_the_methods_that_are_called_are_found():
    assert {"chat_postMessage", "chat_update", "views_open", "views_update", "views_publish", "api_call"} <= set(CALLED)


def test_there_are_no_other_clients_than_those_with_a_mask():
    assert not re.search(r"\bAsyncWebClient\(\w", SOURCE.replace("BoundedWebClient(AsyncWebClient)", ""))
    assert len(re.findall(r"\bAsyncWebhookClient\(", SOURCE)) == 1
    assert not re.search(r"(?<!Async)(?<!Bounded)\bWebClient\(|(?<!Async)\bWebhookClient\(", SOURCE)


@pytest.mark.parametrize("method", CALLED)
async def test_no_method_that_the_bot_calls_sends_a_secret(method, mask, monkeypatch):
    client = make_client("xoxb-1", "http://127.0.0.1:1/api/")
    sent = []

    async def send(**call):
        sent.append(call["req_args"])
        return {"data": {"ok": True}, "headers": {}, "status_code": 200}

    monkeypatch.setattr(client, "_request", send)
    call = getattr(client, method)
    taken = {*inspect.signature(call).parameters, *(("params",) if method == "api_call" else ())}
    await call(**{name: says for name, says in SAYS.items() if name in taken})
    told = [one.get(part) for one in sent for part in ("params", "data", "json")]
    assert any(told) or method in ("auth_test", "apps_connections_open")
    assert SECRET not in json.dumps(told)
    assert "xoxb-1" in str(sent) or "xapp-1" in str(sent)


async def test_home_shows_no_secret(mask):
    async with FakeSlack(rates="off") as slack:
        outbox = Outbox(make_client(slack.bot_token, slack.base_url), RateLimit(interval=0.001), mask=mask)
        trouble = f"postgresql://db1/hvops: FATAL: no entry for hvops with {SECRET}"
        status = Status("anna", (("viewer", ("*",)),), (), (("Runs", trouble),), "entry 1", "0.1")
        view = home_view(status, Help("anna", "viewer", ()), ())
        view["blocks"].append({"type": "section", "text": {"type": "plain_text", "text": SECRET}})  # unescaped
        await outbox.publish_home("U0VIEWER", view)
        await outbox.close()
        (call,) = slack.calls("views.publish")
        assert "[masked]" in str(call.arguments)
        assert SECRET not in str(call.arguments)


async def test_a_file_is_masked_however_it_is_handed_over(mask):
    async with FakeSlack(rates="off") as slack:
        outbox = Outbox(make_client(slack.bot_token, slack.base_url), RateLimit(interval=0.001), mask=mask)
        await outbox.files("C0OPS", [File(f"{SECRET}.txt", SECRET, f"it is {SECRET}".encode())])
        await outbox.close()
        (message,) = [one for one in slack.person("viewer").messages("hv-ops") if one.files]
        assert SECRET not in str(slack.core.calls)
        assert slack.person("viewer").file(message, "[masked].txt") == b"it is [masked]"


async def test_a_response_url_is_sent_no_secret(mask, monkeypatch):
    posted = []

    async def send(_client, **told):
        posted.append(told)
        return type("Answer", (), {"status_code": 200, "headers": {}})()

    monkeypatch.setattr("bot.slack.outbound.responder.AsyncWebhookClient.send", send)
    reply = Reply(Outbox(make_client("x", "http://127.0.0.1:1/api/")), ReplyTarget("U1", "C1", "", HOOK), HOOK)
    await reply.result(Message(SECRET, tuple(SAYS["blocks"])))
    assert posted
    assert SECRET not in str(posted)


async def test_a_secret_of_digits_is_sent_as_no_number(monkeypatch):
    """What others tell in numbers is below an argument; an argument that is a number is a length or a count of ours."""
    mask = Redactor(["20261130"])
    client, sent = make_client("xoxb-1", "http://127.0.0.1:1/api/"), []

    async def send(**call):
        sent.append(call["req_args"])
        return {"data": {"ok": True}, "headers": {}, "status_code": 200}

    monkeypatch.setattr(client, "_request", send)
    blocks = [{"type": "section", "text": {"text": "x"}, "n": 20261130, "deep": [{"value": 20261130.0, "page": 10}]}]
    await client.api_call("chat.postMessage", json={"channel": "C1", "length": 20261130, "blocks": blocks})
    (told,) = [one["json"] for one in sent]
    assert told["length"] == 20261130
    assert told["blocks"][0]["n"] == told["blocks"][0]["deep"][0]["value"] == "[masked]"
    assert told["blocks"][0]["deep"][0]["page"] == 10
    assert mask is not None


HOOK = "https://hooks.slack.com/commands/T1/2/abc"


class Answering:
    """An app that acknowledges with what it is given."""

    def __init__(self, response):
        self.response = response

    async def async_dispatch(self, _request):
        return self.response


@pytest.mark.parametrize(
    "response",
    [
        BoltResponse(status=200, body={"response_action": "errors", "errors": {"host": f"there is no {SECRET}"}}),
        BoltResponse(status=200, body={"options": [{"text": {"text": SECRET}, "value": SECRET}]}),
        BoltResponse(status=200, body=f"Checking {SECRET}"),
    ],
)
async def test_an_acknowledgement_has_no_secret(response, mask, monkeypatch):
    connection = object.__new__(Connection)
    connection.app = Answering(response)
    sent = []

    class Client:
        logger = type("Quiet", (), {"level": 50})

        async def send_socket_mode_response(self, told):
            sent.append(told.to_dict())

    request = type("Request", (), {"envelope_id": "e1", "payload": {}, "type": "interactive"})
    await connection.handle(Client(), request)
    assert "[masked]" in str(sent)
    assert SECRET not in str(sent)
