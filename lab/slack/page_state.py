"""The workspace as the page sees it: the shapes that the package's docstring promises."""

from __future__ import annotations

from urllib.parse import quote

from lab.slack.blockkit_walk import asks, pings, state_of
from lab.slack.event_stream import Event
from lab.slack.model import BOT_USER, JSON, Channel, Group, Member, Message, View
from lab.slack.workspace import Workspace


def state_json(workspace: Workspace, me: Member) -> JSON:
    """State: everything this member sees."""
    channels = sorted(
        (channel for channel in workspace.channels.values() if me.id in channel.members),
        key=lambda channel: channel.kind == "dm",
    )
    home = workspace.homes.get(me.id)
    return {
        "version": workspace.stream.version,
        "now": workspace.clock.now(),
        "me": member_json(workspace, me),
        "people": [member_json(workspace, member) for member in workspace.people()],
        "groups": [group_json(group) for group in workspace.groups.values()],
        "bot": {
            "user_id": BOT_USER,
            "name": workspace.members[BOT_USER].name,
            "connections": workspace.connections,
        },
        "channels": [channel_json(workspace, channel, me) for channel in channels],
        "messages": {
            channel.id: [message_json(workspace, message, me) for message in workspace.visible(me.id, channel.id)]
            for channel in channels
        },
        "views": [view_json(view) for view in workspace.modals.get(me.id, [])],
        "home": view_json(home) if home else None,
        "commands": [
            {"command": command.command, "description": command.description, "usage_hint": command.usage_hint}
            for command in workspace.manifest.commands
        ],
    }


def event_json(workspace: Workspace, event: Event, me: Member) -> JSON:
    """One event of the stream."""
    return {
        "version": event.version,
        "kind": event.kind,
        "channel": event.channel,
        "ts": event.ts,
        "message": message_json(workspace, event.message, me) if event.message else None,
        "view": view_json(event.view) if event.view else None,
    }


def member_json(workspace: Workspace, member: Member) -> JSON:
    """Person."""
    return {
        "id": member.id,
        "name": member.name,
        "real_name": member.real_name,
        "groups": [group.handle for group in workspace.groups.values() if member.id in group.users],
        "unread": sum(workspace.unread(member.id, channel) for channel in workspace.channels),
        "decides": sum(workspace.decides(member.id, channel) for channel in workspace.channels),
    }


def group_json(group: Group) -> JSON:
    """Group."""
    return {"id": group.id, "handle": group.handle, "name": group.name, "users": list(group.users)}


def channel_json(workspace: Workspace, channel: Channel, me: Member) -> JSON:
    """Channel."""
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "with": channel.other_side(me.id),
        "members": list(channel.members),
        "bot_is_member": BOT_USER in channel.members,
        "unread": workspace.unread(me.id, channel.id),
        "decides": workspace.decides(me.id, channel.id),
        "topic": channel.topic,
    }


def message_json(workspace: Workspace, message: Message, me: Member) -> JSON:
    """Message."""
    return {
        "channel": message.channel,
        "ts": message.ts,
        "user": message.user,
        "username": workspace.members[message.user].name,
        "bot": workspace.members[message.user].is_bot,
        "text": message.text,
        "blocks": message.blocks,
        "state": state_of(message.blocks, message.state),
        "thread_ts": message.thread_ts,
        "reply_count": 0 if message.only_for else workspace.replies(message),
        "edited": message.edited,
        "ephemeral": message.only_for is not None,
        "files": [_file_json(workspace, file_id, me) for file_id in message.files],
        "pings": pings(message.text, message.blocks),
        "asks": asks(message.blocks),
        "trouble": message.trouble,
    }


def view_json(view: View) -> JSON:
    """View."""
    return {
        "id": view.id,
        "type": view.kind,
        "callback_id": view.payload.get("callback_id", ""),
        "title": view.payload.get("title"),
        "submit": view.payload.get("submit"),
        "close": view.payload.get("close"),
        "blocks": view.blocks,
        "state": state_of(view.blocks, view.state),
        "errors": view.errors,
        "trouble": view.trouble,
        "hash": view.hash,
    }


def _file_json(workspace: Workspace, file_id: str, me: Member) -> JSON:
    file = workspace.files[file_id]
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "size": len(file.data),
        "mimetype": file.mimetype,
        "url": f"/practice/file?as={quote(me.name)}&id={file.id}",
    }
