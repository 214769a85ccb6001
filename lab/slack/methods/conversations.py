"""conversations.*: where things are said."""

from __future__ import annotations

from lab.slack.api_json import channel_json, message_json
from lab.slack.arguments import flag
from lab.slack.context import Call, Method
from lab.slack.methods.people import paged
from lab.slack.model import BOT_USER, JSON, Channel, Message, Refusal


def open_direct(call: Call) -> JSON:
    """conversations.open: the direct conversation with one person."""
    if call.text("channel"):
        return {"channel": {"id": known(call, call.text("channel")).id}}
    given = call.arguments.get("users") or ""
    users = given if isinstance(given, list) else [user for user in str(given).split(",") if user]
    if not users:
        raise Refusal("users_list_not_supplied")
    if any(user not in call.workspace.members for user in users):
        raise Refusal("user_not_found")
    if len(users) > 1:
        raise Refusal("method_not_supported_for_channel_type")  # the workspace has no group conversations
    channel = call.workspace.direct(BOT_USER, users[0])
    return {"channel": {"id": channel.id}, "no_op": False, "already_open": False}


def info(call: Call) -> JSON:
    """conversations.info."""
    channel = known(call, call.text("channel"))
    _check_scope(call, channel, "read")
    return {"channel": channel_json(call.workspace, channel)}


def members(call: Call) -> JSON:
    """conversations.members."""
    channel = known(call, call.text("channel"))
    _check_scope(call, channel, "read")
    page, cursor = paged(call, [{"id": user} for user in channel.members])
    return {"members": [user["id"] for user in page], "response_metadata": {"next_cursor": cursor}}


def listed(call: Call) -> JSON:
    """conversations.list."""
    wanted = call.text("types") or "public_channel"
    kinds = {"channel": "public_channel" in wanted, "dm": "im" in wanted.split(",")}
    found = [channel for channel in call.workspace.channels.values() if kinds[channel.kind]]
    mine = [channel for channel in found if channel.kind == "channel" or BOT_USER in channel.members]
    page, cursor = paged(call, [channel_json(call.workspace, channel) for channel in mine])
    return {"channels": page, "response_metadata": {"next_cursor": cursor}}


def history(call: Call) -> JSON:
    """conversations.history: newest first, without replies and without ephemerals; 100 at a time, 999 at most.

    Files are in their messages. With `include_all_metadata` the metadata is whole.

    For a bot: of conversations that it is a member of, with the `*:history` scope of their kind
    (docs.slack.dev/reference/methods/conversations.history).
    """
    channel = _read_by_bot(call)
    every = [message for message in _lasting(call, channel) if message.thread_ts in (None, message.ts)]
    page, cursor = paged(call, list(reversed(_between(call, every))), most=999, usual=100)
    more: JSON = {"response_metadata": {"next_cursor": cursor}} if cursor else {}
    return {"messages": _described(call, page), "has_more": bool(cursor), **more}


def replies(call: Call) -> JSON:
    """conversations.replies: a thread, its first message included, oldest first; `include_all_metadata` as above."""
    channel = _read_by_bot(call)
    parent = call.workspace.find(channel.id, call.text("ts"))
    if parent is None or parent.only_for is not None:
        raise Refusal("thread_not_found")
    root = parent.thread_ts or parent.ts
    thread = [message for message in _lasting(call, channel) if root in (message.ts, message.thread_ts)]
    page, cursor = paged(call, _between(call, thread))
    return {"messages": _described(call, page), "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def join(call: Call) -> JSON:
    """conversations.join: the bot comes in by itself."""
    channel = known(call, call.text("channel"))
    if channel.kind != "channel":
        raise Refusal("method_not_supported_for_channel_type")
    call.workspace.joins(BOT_USER, channel.id)
    return {"channel": channel_json(call.workspace, channel)}


def known(call: Call, channel_id: str) -> Channel:
    """The channel with that id.

    Raises:
        Refusal: channel_not_found; other people's direct conversations and private channels are not found either.
    """
    channel = call.workspace.channels.get(channel_id)
    hidden = channel is not None and (channel.kind == "dm" or channel.is_private)
    if channel is None or (hidden and BOT_USER not in channel.members):
        raise Refusal("channel_not_found")
    return channel


def _read_by_bot(call: Call) -> Channel:
    channel = known(call, call.text("channel"))
    _check_scope(call, channel, "history")
    if BOT_USER not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def _check_scope(call: Call, channel: Channel, right: str) -> None:
    kind = "im" if channel.kind == "dm" else "groups" if channel.is_private else "channels"
    needed = f"{kind}:{right}"
    provided = call.workspace.manifest.scopes
    if needed not in provided:
        raise Refusal("missing_scope", {"needed": needed, "provided": ",".join(sorted(provided))})


def _lasting(call: Call, channel: Channel) -> list[Message]:
    return [message for message in call.workspace.messages.get(channel.id, []) if message.only_for is None]


def _described(call: Call, messages: list[Message]) -> list[JSON]:
    whole = flag(call.arguments, "include_all_metadata")
    return [message_json(call.workspace, message, all_metadata=whole) for message in messages]


def _between(call: Call, every: list[Message]) -> list[Message]:
    oldest, latest = call.text("oldest") or "0", call.text("latest") or "9999999999"
    inclusive = call.text("inclusive").lower() in ("true", "1")
    return [
        message
        for message in every
        if float(oldest) < float(message.ts) < float(latest) or (inclusive and message.ts in (oldest, latest))
    ]


ANY_READ = ("channels:read", "groups:read", "im:read")
ANY_HISTORY = ("channels:history", "groups:history", "im:history")
METHODS = {
    "conversations.open": Method(open_direct, ("im:write", "channels:manage")),
    "conversations.info": Method(info, ANY_READ),
    "conversations.members": Method(members, ANY_READ, tier=4),
    "conversations.list": Method(listed, ANY_READ, tier=2),
    "conversations.history": Method(history, ANY_HISTORY),
    "conversations.replies": Method(replies, ANY_HISTORY),
    "conversations.join": Method(join, ("channels:join",)),
}
