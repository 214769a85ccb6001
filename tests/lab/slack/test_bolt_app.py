"""A real slack-bolt AsyncApp over Socket Mode: commands, buttons, modals, Home, events, files."""

from __future__ import annotations

import asyncio
import re

import pytest

from lab.slack.server import FakeSlack
from lab.slack.simulated_user import NotSeen


async def test_a_command_is_acknowledged_with_an_answer_and_answered_again(slack, connect, kit):
    app = await connect(slack)
    heard = []

    @app.command("/hello")
    async def hello(ack, body, respond):
        heard.append(body)
        await ack("Asking 6 nodes of prod.")
        await respond(text="verdict", blocks=[kit.section("*STUCK* on hv03")])

    operator, viewer = slack.person("operator"), slack.person("viewer")
    done = await operator.types("/HELLO  prod --free 1GB & <more>")
    answer = await operator.sees("STUCK")

    assert done.ok
    # Bolt sends an acknowledgement up to 10 ms after ack(), so an answer that follows at once may overtake it.
    assert {message.text for message in operator.messages()} == {"Asking 6 nodes of prod.", "verdict"}
    assert answer.only_for == operator.id
    assert viewer.messages() == []
    assert heard[0]["text"] == "prod --free 1GB & <more>"
    assert (heard[0]["user_name"], heard[0]["channel_name"]) == ("operator", "hv-ops")


async def test_a_command_that_nobody_registered(slack, connect):
    await connect(slack)
    done = await slack.person("operator").types("/nonsense at all")
    assert (done.ok, done.error) == (False, "/nonsense is not a valid command.")


async def test_a_command_in_a_thread_is_not_supported(slack, connect, client):
    await connect(slack)
    await client.chat_postMessage(channel="C0OPS", text="parent")
    operator = slack.person("operator")
    done = await operator.types("/hello", thread=await operator.sees("parent"))
    assert done.error == "/hello is not supported in threads. Sorry!"


async def test_a_command_while_the_app_is_away(slack):
    done = await slack.person("operator").types("/hello")
    assert done.error == '/hello failed with the error "dispatch_failed"'


async def test_an_acknowledgement_with_broken_blocks_is_an_error_to_the_person(slack, connect, kit):
    app = await connect(slack)

    @app.command("/hello")
    async def hello(ack):
        await ack(blocks=[kit.section("")], text="x")

    done = await slack.person("operator").types("/hello")
    assert done.error == '/hello failed with the error "invalid_command_response" (invalid_blocks)'


async def test_an_answer_in_the_channel_shows_what_was_typed_too(slack, connect):
    app = await connect(slack)

    @app.command("/public")
    async def public(ack, respond):
        await ack()
        await respond(text="for all", response_type="in_channel")

    await slack.person("operator").types("/public prod")
    viewer = slack.person("viewer")
    await viewer.sees("for all")
    assert [message.text for message in viewer.messages()] == ["/public prod", "for all"]


async def test_a_click_in_an_ephemeral_replaces_it_and_carries_no_message(slack, connect, kit):
    app = await connect(slack)
    heard = []

    @app.command("/hello")
    async def hello(ack, respond):
        await ack()
        blocks = [
            kit.section("first"),
            {"type": "actions", "elements": [kit.button("Check Again", "again", value="7")]},
        ]
        await respond(text="first", blocks=blocks)

    @app.action(re.compile(".*"))
    async def again(ack, body, respond):
        heard.append(body)
        await ack()
        await respond(text="second", replace_original=True)

    operator = slack.person("operator")
    await operator.types("/hello")
    done = await operator.clicks(await operator.sees("first"), "Check Again")
    await operator.sees("second")

    assert done.ok
    assert [message.text for message in operator.messages()] == ["second"]
    assert "message" not in heard[0]
    assert heard[0]["container"]["is_ephemeral"] is True
    assert (heard[0]["actions"][0]["action_id"], heard[0]["actions"][0]["value"]) == ("again", "7")


async def test_a_click_in_a_channel_message_carries_message_and_chosen_options(slack, connect, client, kit):
    app = await connect(slack)
    heard = []

    @app.action("go")
    async def go(ack, body):
        heard.append(body)
        await ack()

    options = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("hv01", "hv02")]
    menu = {"type": "static_select", "action_id": "node", "options": options}
    elements = [menu, kit.button("Go", "go")]
    await client.chat_postMessage(channel="C0OPS", text="choose", blocks=[{"type": "actions", "elements": elements}])
    operator = slack.person("operator")
    message = await operator.sees("choose")
    operator.chooses(message, "node", "hv02")
    await operator.clicks(message, "Go")

    block_id = message.blocks[0]["block_id"]
    assert heard[0]["message"]["text"] == "choose"
    assert heard[0]["state"]["values"][block_id]["node"]["selected_option"]["value"] == "hv02"
    with pytest.raises(ValueError, match="no option 'hv03'"):
        operator.chooses(message, "node", "hv03")


async def test_a_confirmation_answered_no_tells_the_app_nothing(slack, connect, client, kit):
    app = await connect(slack)
    heard = []

    @app.action("go")
    async def go(ack):
        heard.append("click")
        await ack()

    text = {"type": "plain_text", "text": "Sure?"}
    confirm = {"title": text, "text": text, "confirm": text, "deny": text}
    blocks = [{"type": "actions", "elements": [kit.button("Approve", "go", confirm=confirm)]}]
    await client.chat_postMessage(channel="C0OPS", text="plan", blocks=blocks)
    operator = slack.person("operator")
    message = await operator.sees("plan")
    await operator.clicks(message, "Approve", confirm=False)
    assert heard == []
    await operator.clicks(message, "Approve")
    assert heard == ["click"]


async def test_a_click_that_the_app_does_not_acknowledge_is_shown_as_trouble(still_slack, clock, connect, kit):
    await connect(still_slack)
    still_slack.workspace.direct("U0OPERATOR", "U0BOT")
    operator = still_slack.person("operator")
    message = still_slack.alert("x")
    message.blocks = [{"type": "actions", "block_id": "b", "elements": [kit.button("Go", "nobody-listens")]}]

    clicking = asyncio.ensure_future(operator.clicks(message, "Go"))
    await still_slack.socket.until_sent(1)
    await clock.advance(3.1)
    done = await clicking

    assert "operation_timeout" in done.error
    assert await operator.sees("did not answer") is message


async def test_a_modal_from_opening_to_closing(slack, connect, kit):
    app = await connect(slack)
    heard = {}

    @app.command("/hello")
    async def hello(ack, body, client):
        await ack()
        submit = {"type": "plain_text", "text": "Go"}
        first = kit.modal(kit.text_input("why", "Why?"), submit=submit, callback_id="asked", private_metadata="t-1")
        await client.views_open(trigger_id=body["trigger_id"], view=first)

    @app.view("asked")
    async def asked(ack, view):
        reason = view["state"]["values"]["why"]["text"]["value"]
        heard["metadata"] = view["private_metadata"]
        if reason == "because":
            await ack(response_action="errors", errors={"why": "Say more."})
        else:
            await ack(
                response_action="update", view=kit.modal(kit.section(f"You said: {reason}"), notify_on_close=True)
            )

    @app.view_closed(re.compile(".*"))
    async def closed(ack, body):
        heard["cleared"] = body["is_cleared"]
        await ack()

    operator = slack.person("operator")
    await operator.types("/hello")
    window = await operator.sees_view("Why?")
    assert (await operator.submits(window)).errors == {"why": "Please complete this required field."}
    assert (await operator.submits(window, {"Why?": "because"})).errors == {"why": "Say more."}
    assert (await operator.submits(window, {"why": "disk is full"})).ok
    window = await operator.sees_view("You said: disk is full")
    await operator.closes(window)
    assert operator.views() == []
    assert heard == {"metadata": "t-1", "cleared": False}


async def test_a_menu_asks_the_app_for_its_options(slack, connect, kit):
    app = await connect(slack)
    heard = []

    @app.command("/hello")
    async def hello(ack, body, client):
        await ack()
        submit = {"type": "plain_text", "text": "Go"}
        label = {"type": "plain_text", "text": "Host"}
        pick = {"type": "external_select", "action_id": "pick", "min_query_length": 0}
        block = {"type": "input", "block_id": "host", "label": label, "element": pick}
        await client.views_open(
            trigger_id=body["trigger_id"], view=kit.modal(block, submit=submit, callback_id="asked")
        )

    @app.options("pick")
    async def options(ack, body):
        heard.append((body["type"], body["value"], body["block_id"], body["view"]["callback_id"]))
        names = [f"hv{number:02d}" for number in range(101 if body["value"] == "too many" else 3)]
        found = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in names]
        await ack(options=[] if body["value"] == "nothing" else found)

    @app.view("asked")
    async def asked(ack, view):
        heard.append(view["state"]["values"]["host"]["pick"]["selected_option"]["value"])
        await ack()

    operator = slack.person("operator")
    await operator.types("/hello")
    window = await operator.sees_view("Host")
    assert await operator.suggested(window, "Host") == ["hv00", "hv01", "hv02"]
    assert await operator.suggested(window, "Host", "nothing") == []
    assert await operator.suggested(window, "Host", "too many") == []  # a hundred at most [doc]
    with pytest.raises(ValueError, match="no option"):
        operator.chooses(window, "Host", "hv01")  # it is offered no more
    assert (await operator.submits(window)).errors == {"host": "Please complete this required field."}
    assert (await operator.submits(window, {"Host": "hv01"})).ok
    assert heard == [
        *(("block_suggestion", typed, "host", "asked") for typed in ("", "nothing", "too many", "hv01")),
        "hv01",
    ]


async def test_home_is_published_when_it_is_opened(slack, connect, kit):
    app = await connect(slack)

    @app.event("app_home_opened")
    async def opened(event, client):
        view = {"type": "home", "blocks": [kit.section(f"For {event['user']}")]}
        await client.views_publish(user_id=event["user"], view=view)

    operator = slack.person("operator")
    await operator.opens_home()
    assert (await operator.sees_home("For U0OPERATOR")).user == operator.id
    assert slack.person("viewer").home is None


async def test_a_mention_arrives_escaped_and_is_answered_in_the_thread(slack, connect):
    app = await connect(slack)
    heard = []

    @app.event("app_mention")
    async def mentioned(event, say):
        heard.append(event["text"])
        await say(text="at your service", thread_ts=event["ts"])

    operator = slack.person("operator")
    done = await operator.mentions("tell @approvers that hv01 < hv02 & see https://hv01.corp.example")
    await operator.sees("at your service")
    first = slack.workspace.find("C0OPS", done.ts)

    expected = "<@U0BOT> tell <!subteam^S0APPROVERS> that hv01 &lt; hv02 &amp; see <https://hv01.corp.example>"
    assert heard == [expected]
    assert [reply.text for reply in operator.thread(first)] == ["at your service"]


async def test_a_direct_message_is_an_event_too_and_a_channel_message_only_with_its_subscription(slack, connect, until):
    app = await connect(slack)
    heard = []

    @app.event("message")
    async def message(event):
        heard.append((event["channel_type"], event["text"]))

    operator = slack.person("operator")
    await operator.types("not for the bot")
    await operator.types("hello bot", "dm")
    await slack.socket.until_sent(1)
    await slack.socket.settled()
    # Bolt acknowledges an event before its listener has run.
    await until(lambda: heard)
    assert heard == [("im", "hello bot")]


async def test_other_apps_are_heard_with_a_bot_id_and_ephemerals_are_not(connect, kit, until):
    events = {"event_subscriptions": {"bot_events": ["message.channels", "app_mention"]}}
    async with FakeSlack(manifest={**kit.manifest, "settings": events}) as slack:
        app = await connect(slack)
        heard = []

        @app.event("message")
        async def message(event):
            heard.append((event["text"], event.get("bot_id")))

        slack.alert("Backup: job 48211 pending")
        await slack.person("operator").types("/nonsense")
        await slack.person("operator").types("I see")
        await slack.socket.settled()
        # Bolt acknowledges an event before its listener has run.
        await until(lambda: len(heard) > 1)
        assert heard == [("Backup: job 48211 pending", "B1BACKUP"), ("I see", None)]
        await slack.socket.close()


async def test_a_file_is_uploaded_to_a_person(slack, connect, client):
    await connect(slack)
    operator = slack.person("operator")
    channel = await client.conversations_open(users=[operator.id])
    await client.files_upload_v2(
        channel=channel["channel"]["id"], content="Guest;Free\ntest-tfs-01;0\n", filename="guests.csv", title="Guests"
    )
    message = operator.messages("dm")[-1]
    assert operator.file(message, "guests") == b"Guest;Free\ntest-tfs-01;0\n"
    with pytest.raises(LookupError):
        operator.file(message, "other")


async def test_what_is_not_there_is_not_seen(slack, monkeypatch):
    monkeypatch.setattr("lab.slack.simulated_user.PATIENCE", 0.05)
    slack.alert("only this")
    with pytest.raises(NotSeen, match="only this"):
        await slack.person("operator").sees("something else")
