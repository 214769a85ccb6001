"""Manifests, typed lines, block state, plain text, the hand-moved clock."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.slack.blockkit_walk import numbered, pings, placed, state_of, value_of
from lab.slack.clock import ManualClock
from lab.slack.manifest import read_manifest
from lab.slack.message_parsing import as_sent, split_command
from lab.slack.model import Message
from lab.slack.plain_text import plain_text
from lab.slack.workspace import practice_workspace


def manifest(*commands, name="hvops"):
    return {"display_information": {"name": name}, "features": {"slash_commands": list(commands)}}


def command(name="/x", description="d", **more):
    return {"command": name, "description": description, **more}


@pytest.mark.parametrize(
    ("taken", "refused", "where"),
    [
        (
            manifest(*[command(f"/c{number}") for number in range(50)]),
            manifest(*[command(f"/c{number}") for number in range(51)]),
            "slash_commands: at most 50",
        ),
        (manifest(command("/" + "x" * 31)), manifest(command("/" + "x" * 32)), "0/command"),
        (manifest(command("/check-writers")), manifest(command("check-writers")), "0/command"),
        (manifest(command("/check-writers")), manifest(command("/Check-Writers")), "0/command"),
        (manifest(command("/check-writers")), manifest(command("/check writers")), "0/command"),
        (manifest(command(description="x" * 2000)), manifest(command(description="x" * 2001)), "0/description"),
        (manifest(command(usage_hint="x" * 1000)), manifest(command(usage_hint="x" * 1001)), "0/usage_hint"),
        (manifest(command("/a"), command("/b")), manifest(command("/a"), command("/a")), "twice"),
        (manifest(name="x" * 35), manifest(name="x" * 36), "display_information/name"),
    ],
)
def test_manifest_limits(taken, refused, where):
    read_manifest(taken)
    with pytest.raises(ValueError, match=where):
        read_manifest(refused)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("plain", "plain"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("@hvops status", "<@U0BOT> status"),
        ("@approver, look", "<@U0APPROVER>, look"),
        ("ask @approvers.", "ask <!subteam^S0APPROVERS>."),
        ("@here and @channel", "<!here> and <!channel>"),
        ("@stranger", "@stranger"),
        ("mail me@hvops", "mail me@hvops"),
        ("see #hv-ops or #nowhere", "see <#C0OPS|hv-ops> or #nowhere"),
        ("http://hv01.corp.example/x", "<http://hv01.corp.example/x>"),
        ("<!channel>", "&lt;!channel&gt;"),
    ],
)
def test_what_a_typed_line_becomes(typed, sent):
    assert as_sent(practice_workspace(), typed) == sent


def test_a_command_line_in_two():
    assert split_command("/Check-Writers   prod  hv01 ") == ("/check-writers", "prod  hv01")
    assert split_command("/hvops") == ("/hvops", "")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_typed_text_smuggles_an_entity_in(text):
    sent = as_sent(practice_workspace(), "x" + text.replace("@", "").replace("#", "").replace("http", ""))
    assert "<" not in sent
    assert pings(sent, []) == []


MENU = {
    "type": "static_select",
    "action_id": "m",
    "options": [{"text": {"type": "plain_text", "text": "A"}, "value": "a"}],
}
BOXES = {**MENU, "type": "checkboxes", "action_id": "c"}


def test_state_holds_initial_and_chosen_values_and_no_buttons():
    text = {
        "type": "input",
        "block_id": "i",
        "element": {"type": "plain_text_input", "action_id": "t", "initial_value": "v"},
    }
    go = {"type": "button", "action_id": "b", "text": {"type": "plain_text", "text": "B"}}
    blocks = [text, {"type": "actions", "block_id": "a", "elements": [MENU, BOXES, go]}]
    chosen = {"a": {"m": value_of(MENU, "a")}}
    assert state_of(blocks, chosen) == {
        "i": {"t": {"type": "plain_text_input", "value": "v"}},
        "a": {
            "m": {"type": "static_select", "selected_option": MENU["options"][0]},
            "c": {"type": "checkboxes", "selected_options": []},
        },
    }


@pytest.mark.parametrize(
    ("element", "chosen", "value"),
    [
        (MENU, None, {"type": "static_select", "selected_option": None}),
        (BOXES, ["a"], {"type": "checkboxes", "selected_options": MENU["options"]}),
        ({"type": "datepicker"}, "2026-01-31", {"type": "datepicker", "selected_date": "2026-01-31"}),
        ({"type": "multi_users_select"}, ["U1"], {"type": "multi_users_select", "selected_users": ["U1"]}),
        ({"type": "plain_text_input"}, "x", {"type": "plain_text_input", "value": "x"}),
    ],
)
def test_values_as_slack_writes_them(element, chosen, value):
    assert value_of(element, chosen) == value


def test_ids_are_filled_in_where_the_app_left_them_out_and_kept_where_not():
    mine = {"type": "button", "action_id": "mine", "text": {"type": "plain_text", "text": "B"}}
    given_blocks = [
        {"type": "actions", "block_id": "b", "elements": [mine, {**mine, "action_id": None}]},
        {"type": "divider"},
    ]
    del given_blocks[0]["elements"][1]["action_id"]
    filled = numbered(given_blocks)
    assert filled[0]["block_id"] == "b"
    assert filled[1]["block_id"]
    assert next(placed(filled)).action_id == "mine"
    assert len({place.action_id for place in placed(filled)}) == 2
    assert "action_id" not in given_blocks[0]["elements"][1]


def test_plain_text_reads_every_block():
    rows = [[{"type": "raw_text", "text": "Guest"}], [{"type": "raw_number", "value": 0, "text": "0.0"}]]
    data = [{"label": "C:", "value": 7}]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Verdict"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "a &lt; b"}},
        {"type": "data_table", "caption": "Volumes", "rows": rows},
        {
            "type": "data_visualization",
            "title": "Free GB",
            "chart": {"type": "bar", "series": [{"name": "GB", "data": data}]},
        },
        {"type": "plan", "title": "T-412", "tasks": [{"type": "task_card", "title": "Drain", "status": "error"}]},
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "raw\noutput"}]}],
        },
    ]
    expected = "Verdict\na < b\nVolumes\nGuest\n0.0\nFree GB\nGB\nC:\n7\nT-412\nerror\nDrain\nraw\noutput"
    read = plain_text(Message("C", "1", "U", "fallback", blocks))
    assert sorted(read.split("\n")) == sorted(expected.split("\n"))
    assert plain_text(Message("C", "1", "U", "fallback")) == "fallback"


async def test_the_clock_wakes_sleepers_in_order_and_at_their_own_time():
    clock, woken = ManualClock(start=100), []

    async def sleeper(name, seconds):
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    sleeping = [asyncio.ensure_future(sleeper(name, seconds)) for name, seconds in (("b", 2), ("a", 1), ("c", 9))]
    await asyncio.sleep(0)
    await clock.advance(5)
    assert (woken, clock.now()) == ([("a", 101), ("b", 102)], 105)
    sleeping[2].cancel()
    await asyncio.gather(*sleeping, return_exceptions=True)


def test_two_messages_of_one_moment_have_different_time_stamps():
    workspace = practice_workspace(ManualClock())
    first, second = workspace.next_ts(), workspace.next_ts()
    assert first < second
