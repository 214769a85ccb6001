"""What a payload of Slack's says, read without trusting any of it: a field that is missing or odd is "".

Much of it is what somebody's client sent. What comes out of here are ids and words; those that are kept are cut to a length.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.api.texts import replace_lone_surrogates
from bot.slack.inbound.freshness import Freshness, Way, seconds_in
from bot.slack.inbound.request_handler import SlackUser
from bot.slack.inbound.ticket_buttons import Click
from bot.slack.outbound.responder import ReplyTarget
from bot.slack.outbound.slack_time import SlackTime
from bot.slack.render.blocks import PREFIX
from bot.slack.socket import ENVELOPE

_LATEST = 253_402_300_800  # epoch seconds: the end of the year 9999
_LONGEST = 1_000  # characters of a field that are read
_LONGEST_VALUE = 160  # of what a button carries: a token, or a ticket and its seal


def parse_click(body: dict[str, Any], slack: SlackTime) -> Click:
    """Ids out of a block_actions payload, how old it is, and nothing else."""
    who = parse_person(body)
    actions = body.get("actions")
    action = next((one for one in actions if isinstance(one, dict)), {}) if isinstance(actions, list) else {}
    prefix, _, rest = get_str(action, "action_id").partition(":")
    verb, _, argument = rest.partition(":")
    token, _, seal = get_str(action, "value")[:_LONGEST_VALUE].partition(" ")
    told = body.get("container")
    container = told if isinstance(told, dict) else {}
    where = ReplyTarget(
        who.user,
        get_str(body.get("channel") or {}, "id") or get_str(container, "channel_id"),
        get_str(container, "thread_ts"),
        get_str(body, "response_url"),
    )
    return Click(
        who,
        where,
        verb if prefix == PREFIX else "",
        argument[:80],
        token[:80],
        get_str(body, "trigger_id"),
        get_str(body.get("view") or {}, "id"),
        message="" if container.get("is_ephemeral") else get_str(container, "message_ts"),
        seal=seal,
        is_private=bool(container.get("is_ephemeral")),
        fresh=Freshness.of(seconds_in(get_str(action, "action_ts")), slack, Way.PRESS),
    )


def parse_field(body: dict[str, Any], name: str) -> str:
    """What a field of the window that was sent off holds, typed or chosen; a block has one element, named as the block.

    A time is ISO 8601 in UTC.
    """
    view = body.get("view")
    state = view.get("state") if isinstance(view, dict) else None
    values = state.get("values") if isinstance(state, dict) else None
    block = values.get(name) if isinstance(values, dict) else None
    element = next(iter(block.values()), None) if isinstance(block, dict) else None
    chosen = element.get("selected_option") if isinstance(element, dict) else None
    picked = element.get("selected_date_time") if isinstance(element, dict) else None
    if isinstance(picked, int) and 0 < picked < _LATEST:
        return datetime.fromtimestamp(picked, UTC).isoformat()
    return get_str(element, "value") or get_str(chosen, "value")


def parse_fields(body: dict[str, Any], name: str, most: int) -> tuple[str, ...]:
    """What the numbered fields of a window hold, from 0 to the last that is there; "" for one that is left out.

    Each is cut well beyond what our own windows let through, so that one who is too long is still seen to be.
    """
    said = [parse_field(body, f"{name}{number}")[:_LONGEST] for number in range(most)]
    while said and not said[-1]:
        said.pop()
    return tuple(said)


def parse_person(body: dict[str, Any]) -> SlackUser:
    """The person behind an interaction: their own team, which need not be the one the app lives in.

    Where it is missing they are a stranger: `team` says where it was pressed, and not who pressed.
    """
    user = body.get("user") or {}
    return SlackUser(get_str(user, "team_id"), get_str(user, "id"), get_str(user, "username") or get_str(user, "name"))


def deliveries_of(body: dict[str, Any], context: Any) -> tuple[str, ...]:
    """What names a delivery: the envelope, the event, or the trigger, whichever there are."""
    return tuple(
        f"{kind} {found}"
        for kind, found in (
            ("envelope", context.get(ENVELOPE)),
            ("event", body.get("event_id")),
            ("trigger", body.get("trigger_id")),
        )
        if isinstance(found, str) and found
    )


def get_str(of: Any, name: str) -> str:
    """A text field of a payload, with "\ufffd" for half a character; "" where there is none, or something else."""
    found = of.get(name) if isinstance(of, dict) else None
    return replace_lone_surrogates(found) if isinstance(found, str) else ""
