"""Workspace things as Slack's own API writes them."""

from __future__ import annotations

from lab.slack.blockkit_walk import state_of
from lab.slack.model import APP, BOT, BOT_USER, JSON, TEAM, Channel, Message, StoredFile, View
from lab.slack.rich_text import rich_text
from lab.slack.workspace import Workspace


def message_json(workspace: Workspace, message: Message, *, all_metadata: bool = False) -> JSON:
    """A message as in conversations.history and in payloads.

    Args:
        workspace: where it stands.
        message: which one.
        all_metadata: the metadata's payload too; without it Slack keeps the name of its event only
            (slackapi/python-slack-sdk#1501).
    """
    answer: JSON = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text, "team": TEAM}
    if message.user == BOT_USER:
        name = workspace.members[BOT_USER].name
        answer |= {"bot_id": BOT, "app_id": APP}
        answer["bot_profile"] = {"id": BOT, "app_id": APP, "name": name, "team_id": TEAM, "deleted": False}
    elif workspace.members[message.user].is_bot:
        answer |= {"bot_id": f"B{message.user[1:]}", "subtype": "bot_message"}
    optional: JSON = {
        "blocks": message.blocks or _typed_blocks(workspace, message),
        "attachments": message.attachments,
        "thread_ts": message.thread_ts,
        "files": [file_json(workspace.files[file_id]) for file_id in message.files],
        "metadata": message.metadata if all_metadata else _event_type_only(message.metadata),
    }
    answer |= {key: value for key, value in optional.items() if value}
    if message.edited:
        answer["edited"] = {"user": message.user, "ts": message.ts}
    replies = workspace.replies(message) if message.only_for is None else 0
    if replies:
        answer |= {"thread_ts": message.ts, "reply_count": replies}
    return answer


def _typed_blocks(workspace: Workspace, message: Message) -> list[JSON]:
    """What a person typed has a rich_text block beside its text; what an app says as text alone has none [mem]."""
    is_typed = bool(message.text) and not workspace.members[message.user].is_bot
    return [rich_text(message.text, f"p{message.ts[-6:]}")] if is_typed else []


def _event_type_only(metadata: JSON | None) -> JSON | None:
    return {"event_type": metadata["event_type"]} if metadata else None


def channel_json(workspace: Workspace, channel: Channel) -> JSON:
    """A conversation as in conversations.info."""
    if channel.kind == "dm":
        return {"id": channel.id, "is_im": True, "user": channel.other_side(BOT_USER), "is_archived": False}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_im": False,
        "is_private": channel.is_private,
        "is_archived": False,
        "is_member": BOT_USER in channel.members,
        "topic": {"value": channel.topic},
        "purpose": {"value": ""},
        "num_members": len([user for user in channel.members if not workspace.members[user].is_bot]),
    }


def file_json(file: StoredFile) -> JSON:
    """A file as in completeUploadExternal's answer."""
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "size": len(file.data),
        "user": file.user,
        "channels": list(file.shared_in),
    }


def view_json(view: View) -> JSON:
    """A view as views.* answer it and payloads carry it."""
    payload = view.payload
    return {
        "id": view.id,
        "team_id": TEAM,
        "type": view.kind,
        "blocks": view.blocks,
        "private_metadata": payload.get("private_metadata", ""),
        "callback_id": payload.get("callback_id", ""),
        "external_id": payload.get("external_id", ""),
        "state": {"values": state_of(view.blocks, view.state)},
        "hash": view.hash,
        "title": payload.get("title"),
        "submit": payload.get("submit"),
        "close": payload.get("close"),
        "clear_on_close": bool(payload.get("clear_on_close", False)),
        "notify_on_close": bool(payload.get("notify_on_close", False)),
        "root_view_id": view.root,
        "previous_view_id": view.previous,
        "app_id": APP,
        "bot_id": BOT,
        "app_installed_team_id": TEAM,
    }
