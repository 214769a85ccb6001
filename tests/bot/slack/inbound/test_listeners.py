"""People type and click in the practice Slack; real listeners, pipeline and ledger answer."""

import asyncio
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import newer_version
import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from structlog.testing import capture_logs

from bot.api.report import Column, Remedy, Table
from bot.dispatch.line_entries import LineEntries
from bot.dispatch.person_rate import PersonRate
from bot.errors import LedgerError
from bot.slack.inbound import request_handler
from bot.slack.inbound.request_handler import SlackUser
from bot.slack.inbound.ticket_buttons import Click
from bot.slack.outbound import responder
from bot.slack.outbound.message import Message
from bot.slack.outbound.responder import ReplyTarget
from bot.slack.render.blocks import EVIDENCE_PAGE, actions, button
from lab.slack.model import Channel
from lab.slack.plain_text import plain_text


async def test_a_command_is_answered_to_the_one_who_typed_it(bench):
    done = await bench.operator.types("/check-writers prod")
    assert done.ok
    answer = await bench.operator.sees("STUCK hv03")
    assert answer.only_for == bench.operator.id
    assert bench.operator.messages()[0].text == "Checking: /check-writers prod (up to 60 s)…"
    assert [one.data.line for one in bench.entries("asked")] == ["/check-writers prod"]
    assert not bench.viewer.ephemerals()


async def test_look_again_asks_the_same_line(bench):
    await bench.operator.types("/check-writers prod")
    first = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(first, "Check Again")
    second = await bench.operator.sees("STUCK hv03", after=first.ts)
    assert second.ts != first.ts
    clicked, asked = bench.entries("clicked"), bench.entries("asked")
    assert asked[1].data.click == clicked[0].seq
    assert asked[1].data.via == "button"


async def test_an_answer_that_is_not_kept_is_shown_whole_and_says_so_and_its_buttons_go_on_working(bench, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    table = Table("Nodes", (Column("Node"),), (("hv03",),))
    bench.report = replace(bench.report, table=table, remedies=(Remedy("Check hv03", "/check-writers hv03"),))
    await bench.operator.types("/check-writers prod")
    first = await bench.operator.sees("STUCK hv03")
    assert "NOT STORED this answer:* the ledger's disk has only 100 MB free." in plain_text(first)
    await bench.operator.clicks(first, "Evidence")
    await bench.operator.sees_view("[not stored: the ledger's disk has only 100 MB free.]")
    await bench.operator.clicks(first, "Send CSV")
    gone = await bench.operator.sees("its answer is no longer kept; type /check-writers prod", after=first.ts)
    await bench.operator.clicks(first, "Check Again")
    again = await bench.operator.sees("STUCK hv03", after=gone.ts)
    await bench.operator.clicks(again, "Check hv03")
    await bench.operator.sees("STUCK hv03", after=again.ts)
    lines = ["/check-writers prod", "/check-writers prod", "/check-writers hv03"]
    assert [one.data.line for one in bench.entries("asked")] == lines


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.02)


async def test_a_press_is_answered_at_once_in_the_message_that_was_pressed_and_leaves_it_as_it_was(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    before, count = plain_text(answer), len(bench.operator.messages())
    bench.hosts.gate.clear()
    await bench.operator.clicks(answer, "Check Again")
    await until(lambda: "Checking: /check-writers prod (up to 60 s)…" in plain_text(answer))
    assert "Check Again" in plain_text(answer)
    await until(lambda: "0 of 3 answered, still waiting for hv01, hv02, hv03." in plain_text(answer))
    bench.hosts.gate.set()
    await bench.operator.sees("STUCK hv03", after=answer.ts)
    await until(lambda: plain_text(answer) == before)
    assert len(bench.operator.messages()) == count + 1


async def test_a_press_on_home_opens_a_window_at_once_and_the_answer_comes_there(bench):
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03")
    await bench.operator.opens_home()
    home = await bench.operator.sees_home("Your recent answers")
    bench.hosts.gate.clear()
    await bench.operator.clicks(home, "Check Again")
    await bench.operator.sees_view("Checking…")
    bench.hosts.gate.set()
    await bench.operator.sees_view("STUCK hv03")
    assert not bench.operator.messages("dm")


async def test_a_remedy_runs_its_own_line(bench):
    bench.report = replace(bench.report, remedies=(Remedy("Check hv03", "/check-writers hv03"),))
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(answer, "Check hv03")
    await bench.operator.sees("STUCK hv03", after=answer.ts)
    assert [one.data.line for one in bench.entries("asked")] == ["/check-writers prod", "/check-writers hv03"]


async def test_buttons_carry_the_token_and_those_that_start_something_a_seal(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    token = bench.entries("answered")[0].data.answer
    values = {one["value"] for block in answer.blocks if block["type"] == "actions" for one in block["elements"]}
    assert {value.partition(" ")[0] for value in values} == {token}
    assert sum(value == token for value in values) == 1  # evidence


LIE = "Snooze for an hour"


async def lie(bench, value, action, **where):
    """What the holder of the bot's token posts under hvops' name: somebody's button, under another label."""
    one = {"type": "button", "text": {"type": "plain_text", "text": LIE}, "action_id": action, "value": value}
    blocks = [{"type": "actions", "elements": [one]}]
    client = bench.desk.parts.client
    if "user" in where:
        await client.chat_postEphemeral(channel="C0OPS", text="Backup alert", blocks=blocks, **where)
    else:
        await client.chat_postMessage(channel="C0OPS", text="Backup alert", blocks=blocks)


@pytest.mark.parametrize("where", ["in the channel", "for one person"])
@pytest.mark.parametrize("label", ["Check Again", "Find Full Guests", "Share"])
async def test_a_button_of_somebodys_answer_under_another_label_starts_nothing(bench, label, where):
    """Else whoever presses it would ask for what it starts: a plan, which the one who posted it could then approve."""
    await bench.viewer.types("/check-writers prod")
    answer = await bench.viewer.sees("STUCK hv03")
    (real,) = [
        one
        for block in answer.blocks
        if block["type"] == "actions"
        for one in block["elements"]
        if one["text"]["text"] == label
    ]
    only = {} if where == "in the channel" else {"user": bench.operator.id}
    await lie(bench, real["value"], real["action_id"], **only)
    forged = await bench.operator.sees("Backup alert")
    await bench.operator.clicks(forged, LIE)
    await bench.operator.sees("Not done. This button is not part of an answer that hvops gave you")
    await bench.idle()
    assert [one.data.line for one in bench.entries("asked")] == ["/check-writers prod"]
    (refused,) = bench.entries("refused")
    (clicked,) = bench.entries("clicked")
    assert (refused.actor, refused.data.category, refused.data.click) == (clicked.actor, "not allowed", clicked.seq)
    assert clicked.data.forged
    assert not [one for one in bench.entries("shown") if one.data.delivery == "shared"]


async def test_a_button_of_ones_own_answer_starts_nothing_from_a_message_for_all(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    real = next(block for block in answer.blocks if block["type"] == "actions")["elements"][0]
    await lie(bench, real["value"], real["action_id"])
    await bench.operator.clicks(await bench.operator.sees("Backup alert"), LIE)
    await bench.operator.sees("Not done. This button is not part of an answer that hvops gave you")
    assert len(bench.entries("asked")) == 1


async def test_a_seal_is_for_one_thing(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    row = next(block for block in answer.blocks if block["type"] == "actions")["elements"]
    again = next(one for one in row if one["action_id"] == "hvops:look-again")
    await lie(bench, again["value"], "hvops:run:0", user=bench.operator.id)
    await bench.operator.clicks(await bench.operator.sees("Backup alert"), LIE)
    await bench.operator.sees("Not done. This button is not part of an answer that hvops gave you")
    assert len(bench.entries("asked")) == 1


async def test_what_is_shared_starts_nothing_and_gives_everybody_an_answer_of_their_own(bench):
    await bench.operator.types("/check-writers prod")
    await bench.operator.clicks(await bench.operator.sees("STUCK hv03"), "Share")
    shared = await bench.viewer.sees("Shared by")
    row = next(block for block in shared.blocks if block["type"] == "actions")["elements"]
    assert [one["text"]["text"] for one in row] == ["Show Answer", "Evidence"]
    await bench.viewer.clicks(shared, "Show Answer")
    mine = await bench.viewer.sees("only you see this")
    await bench.viewer.clicks(mine, "Check Again")
    await bench.viewer.sees("STUCK hv03", after=mine.ts)
    await bench.idle()
    assert [one.actor for one in bench.entries("asked")][1:] == [f"T0PRACTICE/{bench.viewer.id}"]


async def test_a_click_is_in_the_ledger_before_anything_else_happens(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    bench.hosts.gate.clear()
    done = await bench.operator.clicks(answer, "Check Again")
    assert done.ok
    (clicked,) = bench.entries("clicked")
    assert clicked.data.button == "look-again"
    assert clicked.actor == "T0PRACTICE/U0OPERATOR"
    assert any(one.startswith("envelope ") for one in clicked.data.deliveries)
    bench.hosts.gate.set()
    await bench.operator.sees("STUCK hv03", after=answer.ts)


async def test_the_click_is_written_before_slack_hears_that_we_have_it(bench):
    written = []

    async def ack():
        written.append(len(bench.entries("clicked")))

    body = {
        "user": {"id": "U0OPERATOR", "team_id": "T0PRACTICE"},
        "actions": [{"action_id": "hvops:share", "value": "t"}],
        "trigger_id": "1.2",
    }
    await bench.listener.action(ack, body, {})
    assert written == [1]
    await bench.idle()


async def test_a_ledger_that_cannot_be_written_stops_everything(bench, monkeypatch):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    asked = len(bench.hosts.asked)

    def broken(*_, **__):
        raise LedgerError("The disk of the ledger is full.")

    monkeypatch.setattr(bench.ledger, "append", broken)
    done = await bench.operator.clicks(answer, "Check Again")
    assert done.ok
    await bench.operator.sees("*Nothing was done.* The disk of the ledger is full.")
    before = bench.operator.messages()[-1].ts
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("Nothing was done", after=before)
    assert len(bench.hosts.asked) == asked


async def test_evidence_opens_in_a_modal_and_goes_as_a_file(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(answer, "Evidence")
    view = await bench.operator.sees_view("<hv02> & more")
    await bench.operator.clicks(view, "Send as File")
    await bench.idle()
    direct = next(one for one in bench.operator.messages("dm") if one.files)
    assert b"<raw of hv01> & more" in bench.operator.file(direct, "evidence")


async def test_share_posts_for_all_with_a_thread(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(answer, "Share")
    shared = await bench.viewer.sees("Shared by")
    await bench.idle()
    assert [one.text.splitlines()[0] for one in bench.viewer.thread(shared)] == [
        "STUCK hv03: Microsoft Hyper-V VSS Writer",
        "UNKNOWN hv05: No answer in 20 s. Not counted as healthy.",
    ]
    assert [one.data.delivery for one in bench.entries("shown")] == ["response_url", "shared"]


async def test_somebody_without_a_role_is_refused_on_every_way_in(bench):
    await bench.nobody.types("/check-writers prod")
    await bench.nobody.sees("Not allowed. You have no role in hvops.")
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(answer, "Share")
    shared = await bench.nobody.sees("Shared by")
    before = bench.nobody.messages()[-1].ts
    await bench.nobody.clicks(shared, "Show Answer")
    await bench.nobody.sees("Not allowed", after=before)
    await bench.nobody.clicks(shared, "Evidence")
    view = await bench.nobody.sees_view("You have no role in hvops.")
    assert "& more" not in str(view.blocks)
    before = bench.nobody.messages()[-1].ts
    await bench.nobody.mentions("check-writers prod")
    await bench.nobody.sees("Not allowed", after=before)
    kinds = [one.data.category for one in bench.entries("refused") if one.actor.endswith("U0NOBODY")]
    assert set(kinds) == {"not allowed"}
    assert len(kinds) >= 4


async def test_the_role_must_hold_for_that_cluster(bench):
    await bench.viewer.types("/check-writers branch")
    await bench.viewer.sees("This needs the viewer role on branch")
    await bench.operator.types("/check-writers branch")
    await bench.operator.sees("STUCK hv03")


async def test_a_near_miss_is_suggested(bench):
    await bench.operator.types("/check-writers prd")
    refusal = await bench.operator.sees("There is no prd.")
    assert "*Did you mean:* prod?" in plain_text(refusal)
    await bench.operator.types("/hvops chek-writers prod")
    await bench.operator.sees("*Did you mean:* /check-writers?")


async def test_every_command_also_works_through_hvops_and_in_a_thread(bench):
    await bench.operator.types("/hvops check-writers prod")
    first = await bench.operator.sees("STUCK hv03")
    alert = bench.slack.alert("Backup job 48211 is pending")
    await bench.operator.mentions("check-writers prod", thread=alert)
    answer = await bench.operator.sees("STUCK hv03", after=first.ts)
    assert answer.thread_ts == alert.ts
    assert answer.only_for == bench.operator.id
    assert [one.data.via for one in bench.entries("asked")] == ["slack", "mention"]


async def test_what_bots_say_is_not_a_command(bench):
    event = {"type": "app_mention", "user": "U0OPERATOR", "text": "<@U0BOT> check-writers prod", "channel": "C0OPS"}
    marks = ({"bot_id": "B1"}, {"subtype": "message_changed"}, {"edited": {"user": "U0VIEWER"}}, {"edited": 1})
    with capture_logs() as logged:
        for mark in marks:
            await bench.listener.mention({"team_id": "T0PRACTICE", "event": {**event, **mark}}, {})
    told = [one["kind"] for one in logged if one["event"] == "ignored a mention that no user wrote"]
    assert told == [
        "from an app",
        "message_changed",
        "edited by someone else, or without an author",
    ]  # each once an hour
    assert not bench.entries("asked")
    assert not bench.entries("refused")
    await bench.listener.mention({"team_id": "T0PRACTICE", "is_ext_shared_channel": False, "event": event}, {})
    await bench.operator.sees("STUCK hv03")


async def test_a_mention_that_does_not_say_where_its_author_is_at_home_is_a_strangers(bench):
    event = {"type": "app_mention", "user": "U0OPERATOR", "text": "<@U0BOT> check-writers prod", "channel": "C0OPS"}
    await bench.listener.mention({"team_id": "T0PRACTICE", "event": event}, {})
    await bench.operator.sees("Slack did not say which workspace this account belongs to")
    assert not bench.entries("asked")


async def test_somebody_of_another_workspace_is_a_stranger(bench):
    event = {"type": "app_mention", "user": "U0OPERATOR", "user_team": "T0OTHER", "text": "<@U0BOT> check-writers prod"}
    await bench.listener.mention({"team_id": "T0PRACTICE", "event": {**event, "channel": "C0OPS"}}, {})
    await bench.operator.sees("Not allowed")
    assert bench.entries("refused")[0].actor == "T0OTHER/U0OPERATOR"


async def test_help_and_status(bench):
    await bench.viewer.types("/hvops")
    told = plain_text(await bench.viewer.sees("What you can ask"))
    assert "/check-writers <cluster|host>" in told
    await bench.nobody.types("/hvops")
    assert "/check-writers" not in plain_text(await bench.nobody.sees("You have no role in hvops."))
    await bench.operator.types("/hvops status")
    told = plain_text(await bench.operator.sees("2 of 2 connections open"))
    assert "operator everywhere; viewer on prod" in told
    assert [one.data.line for one in bench.entries("asked")] == ["/hvops", "/hvops", "/hvops status"]


async def test_the_ledger_has_a_line_in_its_plain_form(bench):
    await bench.operator.types("/hvops `status`")
    first = await bench.operator.sees("2 of 2 connections open")
    await bench.operator.mentions("\u201cstatus\u201d")
    await bench.operator.sees("2 of 2 connections open", after=first.ts)
    await bench.operator.types("/hvops \u200b`check\u2011writers prod`")
    await bench.operator.sees("STUCK hv03")
    lines = [one.fields["line"] for one in bench.entries("asked")]
    assert lines == ["/hvops status", "/hvops status", "/check-writers prod"]
    assert any(one.text == "Checking: /hvops check-writers prod (up to 60 s)…" for one in bench.operator.messages())


async def test_a_button_reads_a_decorated_line_too(bench):
    bench.report = replace(bench.report, remedies=(Remedy("Check hv03", "`/check\u2013writers\u00a0hv03`"),))
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    await bench.operator.clicks(answer, "Check hv03")
    await bench.operator.sees("STUCK hv03", after=answer.ts)
    assert [one.fields["line"] for one in bench.entries("asked")] == ["/check-writers prod", "/check-writers hv03"]


async def test_home_shows_who_you_are_and_asks(bench):
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03")
    await bench.operator.opens_home()
    home = await bench.operator.sees_home("Your recent answers")
    await bench.operator.sees_home("/check-writers prod")
    await bench.operator.clicks(home, "Check Writers…")
    view = await bench.operator.sees_view("Cluster or host")
    assert await bench.operator.suggested(view, "Cluster or host") == ["prod", "branch", "hv03"]
    assert (await bench.operator.submits(view, {"Cluster or host": "hv03"})).ok
    answer = await bench.operator.sees_view("STUCK hv03")  # in the same window
    assert answer.id == view.id
    assert bench.entries("asked")[-1].data.line == "/check-writers hv03"
    await bench.idle()
    assert bench.entries("shown")[-1].data.delivery == "window"


async def test_what_is_wrong_stands_in_the_window_and_nothing_typed_is_lost(bench):
    await bench.operator.opens_home()
    await bench.operator.clicks(await bench.operator.sees_home("Your recent answers"), "Check Writers…")
    view = await bench.operator.sees_view("Cluster or host")
    assert (await bench.operator.submits(view)).errors == {"target": "Please complete this required field."}
    assert await bench.operator.suggested(view, "target", "prdo") == ["Use “prdo”"]
    assert (await bench.operator.submits(view, {"target": "prdo"})).ok
    again = await bench.operator.sees_view("There is no prdo. Perhaps you mean prod.")
    (standing,) = [block["element"] for block in again.blocks if block["type"] == "input"]
    assert (again.id, standing["initial_option"]["value"]) == (view.id, "prdo")
    assert (await bench.operator.submits(again, {"target": "prod"})).ok
    await bench.operator.sees_view("STUCK hv03")


async def test_an_answer_to_a_window_that_was_closed_comes_as_a_direct_message(bench):
    await bench.operator.opens_home()
    await bench.operator.clicks(await bench.operator.sees_home("Your recent answers"), "Check Writers…")
    view = await bench.operator.sees_view("Cluster or host")
    bench.hosts.gate.clear()
    await bench.operator.submits(view, {"target": "prod"})
    await bench.operator.closes(await bench.operator.sees_view("Checking…"))
    bench.hosts.gate.set()
    await bench.operator.sees("STUCK hv03", "dm")


async def test_menus_offer_only_where_somebody_may_ask(bench):
    await bench.viewer.opens_home()
    home = await bench.viewer.sees_home("Your recent answers")
    await bench.viewer.clicks(home, "Check Writers…")
    view = await bench.viewer.sees_view("Cluster or host")
    offered = await bench.viewer.suggested(view, "target")
    assert offered == [name for name in ("prod", "branch", "hv03") if name in offered]
    before = len(bench.hosts.asked)
    await bench.viewer.suggested(view, "target", "h")
    assert len(bench.hosts.asked) == before  # nobody is asked while a menu is open


async def test_an_unknown_button_says_what_to_type(bench):
    blocks = [{"type": "actions", "elements": [button("Approve", "approve-v0", "T-1")]}]
    await bench.outbox.post("C0OPS", Message("an old message", tuple(blocks)))
    old = await bench.operator.sees("Approve")
    done = await bench.operator.clicks(old, "Approve")
    assert done.ok
    await bench.operator.sees("This button is from an older version")
    assert bench.entries("clicked")[0].data.button == "approve-v0"


async def test_a_token_that_nobody_gave_out_opens_nothing(bench):
    await bench.outbox.post("C0OPS", Message("forged", actions([button("Evidence", "evidence", "guessed")])))
    forged = await bench.operator.sees("Evidence")
    await bench.operator.clicks(forged, "Evidence")
    await bench.operator.sees_view("That answer is no longer kept")


async def test_unknown_views_events_and_shortcuts_are_acknowledged(bench):
    for body in (
        {
            "type": "view_submission",
            "view": {"type": "modal", "callback_id": "old", "state": {"values": {}}},
            "user": {"id": "U0OPERATOR"},
        },
        {"type": "view_closed", "view": {"type": "modal", "callback_id": "old"}, "user": {"id": "U0OPERATOR"}},
        {"type": "shortcut", "callback_id": "old", "user": {"id": "U0OPERATOR"}},
        {"type": "event_callback", "event": {"type": "reaction_added"}},
        {"type": "block_actions", "actions": [{"action_id": "x", "type": "button"}], "user": {"id": "U0OPERATOR"}},
    ):
        request = AsyncBoltRequest(mode="socket_mode", body={"team": {"id": "T0PRACTICE"}, **body})
        assert (await bench.app.async_dispatch(request)).status == 200


async def test_a_delivery_that_comes_twice_is_asked_once(bench):
    body = {
        "command": "/check-writers",
        "text": "prod",
        "team_id": "T0PRACTICE",
        "user_id": "U0OPERATOR",
        "channel_id": "C0OPS",
        "trigger_id": "1.2.3",
        "response_url": "",
    }
    for _ in range(2):
        request = AsyncBoltRequest(mode="socket_mode", body=body, context={"envelope_id": "e1"})
        assert (await bench.app.async_dispatch(request)).status == 200
    await bench.operator.sees("STUCK hv03")
    assert len(bench.entries("asked")) == 1
    (twice,) = bench.entries("refused")
    assert twice.data.category == "redelivered"
    assert twice.data.deliveries == ("envelope e1", "trigger 1.2.3")


async def test_the_same_button_twice_at_once_asks_once(bench):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    bench.hosts.gate.clear()
    await bench.operator.clicks(answer, "Check Again")
    await bench.operator.clicks(answer, "Check Again")
    await bench.operator.sees("This button is already being answered.")
    bench.hosts.gate.set()
    await bench.operator.sees("STUCK hv03", after=answer.ts)
    assert len(bench.entries("asked")) == 2
    assert len(bench.entries("clicked")) == 2


async def test_progress_is_said_at_most_twice(bench):
    bench.hosts.gate.clear()
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("0 of 3 answered, still waiting for hv01, hv02, hv03.")
    second = len(bench.slack.calls("response_url"))
    bench.hosts.gate.set()
    await bench.operator.sees("STUCK hv03")
    assert 1 <= second <= 2
    assert len(bench.slack.calls("response_url")) <= 3


async def test_an_answer_that_the_response_url_refuses_arrives_otherwise(bench):
    bench.slack.faults.add("response_url", "expired_url", 5)
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    assert answer.only_for == bench.operator.id
    await bench.idle()
    assert bench.entries("shown")[0].data.delivery == "ephemeral"


async def test_an_answer_goes_by_direct_message_where_nothing_else_works(bench):
    bench.slack.faults.add("response_url", "expired_url", 5)
    bench.slack.faults.add("chat.postEphemeral", "user_not_in_channel", 5)
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03", "dm")
    await bench.idle()
    assert bench.entries("shown")[0].data.delivery == "direct"


async def test_an_answer_that_is_perhaps_lost_can_be_shown_again_without_asking(bench, monkeypatch):
    monkeypatch.setattr(responder, "PROGRESS", 0)  # else it is what the lost connection hits, on a machine that is busy
    bench.slack.faults.add("response_url", "drop", 1)
    await bench.operator.types("/check-writers prod")
    notice = await bench.operator.sees("the connection to Slack died before it was confirmed")
    await bench.idle()
    assert bench.entries("shown")[0].data.delivery == "unknown"
    await bench.operator.clicks(notice, "Show Answer")
    await bench.operator.sees("STUCK hv03", after=notice.ts)
    assert len(bench.entries("asked")) == 1


async def test_blocks_that_slack_refuses_step_down_to_plain_text(bench):
    bench.slack.faults.add("response_url", "invalid_blocks", 5)
    bench.slack.faults.add("chat.postEphemeral", "invalid_blocks", 1)
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("prod: Hyper-V writer STUCK on hv03, 9 of 11 guests locked")
    assert not answer.blocks
    await bench.idle()
    (direct,) = bench.operator.messages("dm")
    assert "Retryable error" in bench.operator.file(direct).decode()


async def test_our_own_bug_is_said_with_an_id(bench, monkeypatch):
    monkeypatch.setattr(bench.desk.parts.people, "person", None)
    await bench.operator.types("/check-writers prod")
    told = plain_text(await bench.operator.sees("Something went wrong inside hvops itself"))
    assert re.search(r"\*Bug [0-9a-f]{8}\.\*", told)


async def test_a_dropped_connection_comes_back_and_the_other_one_answers(bench):
    bench.slack.socket.drop()
    await bench.slack.connected(2)
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03")


async def test_a_quick_refusal_does_not_overtake_the_acknowledgement(bench):
    await bench.people.person("T0PRACTICE", bench.nobody.id)  # known from now on, so that the refusal is quick
    await bench.nobody.types("/check-writers prod")
    await bench.nobody.sees("Not allowed")
    first, second = bench.nobody.messages()
    assert first.text.startswith("Checking: ")
    assert second.text.startswith("Not allowed")


async def test_home_leaves_out_an_answer_of_a_newer_version(bench):
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03")
    answered = bench.entries("answered")[-1]
    newer_version.write(bench.ledger, "answered", {**answered.fields, "answer": "t", "novel": 1}, actor=answered.actor)
    await bench.operator.opens_home()
    await bench.operator.sees_home("/check-writers prod")


async def test_windows_that_one_person_opens_on_and_on_leave_those_of_others(bench):
    """Slack opens a hundred a minute for all people together, and a trigger lives three seconds."""
    now = [0.0]
    bench.desk.windows = PersonRate(3, 6.0, lambda: now[0])
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    for _ in range(10):
        await bench.operator.clicks(answer, "Evidence")
        await bench.idle()
    await bench.operator.sees(
        "You have opened many windows in the last minute. Try again in a moment.", after=answer.ts
    )
    opened = len(bench.slack.calls("views.open"))
    refused = bench.entries("refused")
    assert (opened, len(refused)) == (3, 7)
    assert {one.data.click for one in refused} <= {one.seq for one in bench.entries("clicked")}
    await bench.viewer.types("/check-writers prod")
    theirs = await bench.viewer.sees("STUCK hv03")
    await bench.viewer.clicks(theirs, "Evidence")
    await bench.viewer.sees_view("SELECT")
    now[0] = 6.0
    await bench.operator.clicks(answer, "Evidence")
    await bench.idle()
    assert len(bench.slack.calls("views.open")) == opened + 2


async def test_pages_that_one_person_turns_on_and_on_leave_those_of_others(bench):
    """Slack changes a hundred windows a minute for all people together."""
    bench.desk.windows = PersonRate(2, 6.0, lambda: 0.0)
    who = SlackUser("T0PRACTICE", bench.operator.id)
    for _ in range(5):
        turned = Click(who, ReplyTarget(who.user), EVIDENCE_PAGE, "1", "gone", view="V1")
        await bench.listener._clicks.dispatch(turned)
    await bench.idle()
    too_many = "You have turned many pages in the last minute. Try again in a moment."
    assert [one.data.reason for one in bench.entries("refused")].count(too_many) == 3
    assert len(bench.slack.calls("views.update")) <= 2


async def test_windows_and_their_pages_together_leave_others_half_of_what_slack_grants(bench):
    """Each window that opens is filled, which changes it once; a page changes it once more."""
    assert request_handler._WINDOWS + 60 / request_handler._WINDOW_SECONDS <= 50
    bench.desk.windows = PersonRate(3, 6.0, lambda: 0.0)
    who = SlackUser("T0PRACTICE", bench.operator.id)
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    for opened in (1, 2):
        await bench.operator.clicks(answer, "Evidence")
        await until(lambda opened=opened: len(bench.slack.calls("views.update")) == opened)
        await bench.idle()
    for _ in range(3):
        turned = Click(who, ReplyTarget(who.user), EVIDENCE_PAGE, "1", "gone", view="V1")
        await bench.listener._clicks.dispatch(turned)
    await bench.operator.clicks(answer, "Evidence")
    await bench.operator.sees("You have opened many windows in the last minute.", after=answer.ts)
    assert len(bench.slack.calls("views.open")) == 2
    assert len(bench.slack.calls("views.update")) == 3


@pytest.mark.parametrize("who", ["operator", "nobody"])
async def test_mentions_of_one_person_on_and_on_in_many_channels_leave_the_answers_of_others(bench, who):
    """Slack takes a hundred messages a minute that one person sees, of all channels together; nobody needs a role to be answered."""
    workspace, person = bench.slack.core.workspace, getattr(bench, who)
    bench.desk.parts.pipeline.entries = LineEntries(bench.ledger, PersonRate(100, 2.0))  # each of them is written
    for name in ("talk1", "talk2", "talk3"):
        members = [*workspace.channels["C0OPS"].members, "U0HVOPS"]
        workspace.channels[f"C0{name}"] = Channel(f"C0{name}", name, list(dict.fromkeys(members)))
    for at in range(30):
        for name in ("talk1", "talk2", "talk3"):
            await person.mentions(f"help {at}", name)
    await until(lambda: len(bench.entries("asked")) + len(bench.entries("refused")) == 90)
    await bench.idle()
    assert 0 < len(bench.slack.calls("chat.postEphemeral")) <= 50
    assert not bench.slack.core.rates.refused
    await bench.viewer.mentions("check-writers prod")
    await bench.viewer.sees("STUCK hv03")
    assert not bench.slack.core.rates.refused


async def test_who_mentions_hvops_too_often_is_told_once_and_each_time_stands_in_the_ledger(bench):
    now = [0.0]
    bench.desk.mentions = PersonRate(2, 6.0, lambda: now[0])
    bench.desk.told_too_many = PersonRate(1, 60.0, lambda: now[0])
    for at in range(6):
        await bench.operator.mentions(f"help {at}")
    await bench.operator.sees("You have mentioned hvops many times in the last minute.")
    await until(lambda: len(bench.entries("refused")) == 4)
    await bench.idle()
    assert len(bench.operator.ephemerals()) == 3
    refused = bench.entries("refused")
    assert all(one.data.line.startswith("/hvops help ") for one in refused)
    assert {(one.data.via, one.data.place, one.data.category) for one in refused} == {
        ("mention", "C0OPS", "not answered")
    }
    now[0] = 6.0
    await bench.operator.mentions("help 6")
    await until(lambda: len(bench.entries("asked")) == 3)
    await bench.idle()
    assert len(bench.operator.ephemerals()) == 4


async def test_who_was_shown_many_messages_in_channels_is_answered_directly(bench):
    bench.outbox._ephemerals = PersonRate(0, 60.0, lambda: 0.0)
    await bench.operator.mentions("check-writers prod")
    await bench.operator.sees("STUCK hv03", "dm")
    await bench.idle()
    assert bench.entries("shown")[0].data.delivery == "direct"
    assert not bench.slack.calls("chat.postEphemeral")


@pytest.mark.parametrize("code", ["ratelimited", "internal_error", "service_unavailable"])
async def test_a_window_that_slack_does_not_open_now_says_press_again(bench, code):
    await bench.operator.types("/check-writers prod")
    answer = await bench.operator.sees("STUCK hv03")
    bench.slack.faults.add("views.open", code, 1)
    await bench.operator.clicks(answer, "Evidence")
    await bench.operator.sees("Press again.", after=answer.ts)
