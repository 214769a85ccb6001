"""chat.*: posting, changing, deleting."""

from __future__ import annotations

from lab.slack.api_json import message_json
from lab.slack.arguments import flag
from lab.slack.blockkit_walk import numbered
from lab.slack.context import Call, Method
from lab.slack.limits import check_message
from lab.slack.methods.conversations import known
from lab.slack.model import BOT_USER, JSON, NO_FALLBACK, Channel, Message, Refusal

LONGEST_TEXT = 40_000
"""Characters of a posted `text`; Slack recommends 4,000."""
LONGEST_UPDATE = 4_000
"""Characters of an updated `text`."""
MOST_ATTACHMENTS = 100


def post_message(call: Call) -> JSON:
    """chat.postMessage; a member's id as channel means the direct conversation with that member."""
    channel = _writable(call)
    call.core.rates.count_post(channel.id)
    text, blocks = _content(call, LONGEST_TEXT)
    parent = call.text("thread_ts") or None
    message = Message(
        channel.id, call.workspace.next_ts(), BOT_USER, text, blocks, thread_ts=_thread(call, channel, parent)
    )
    message.attachments = call.arguments.get("attachments") or []
    message.metadata = _metadata(call)
    call.workspace.post(message)
    described = message_json(call.workspace, message, all_metadata=True)
    answer: JSON = {"channel": channel.id, "ts": message.ts, "message": described}
    if not (call.text("text") or call.text("markdown_text")):
        answer |= {"warning": "missing_text_in_message"}
        answer["response_metadata"] = {"warnings": ["missing_text_in_message"]}
    return answer


def post_ephemeral(call: Call) -> JSON:
    """chat.postEphemeral: seen by one member, who has to be in the channel."""
    channel = _writable(call)
    user = call.text("user")
    if user not in call.workspace.members:
        raise Refusal("user_not_found")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    text, blocks = _content(call, LONGEST_TEXT)
    message = Message(channel.id, call.workspace.next_ts(), BOT_USER, text, blocks, only_for=user)
    message.thread_ts = call.text("thread_ts") or None
    call.workspace.post(message)
    return {"message_ts": message.ts}


def update(call: Call) -> JSON:
    """chat.update: `text` without `blocks` takes the blocks away; ephemerals are not found.

    Without `metadata` the message keeps what it has, and an empty object takes it away
    (docs.slack.dev/reference/methods/chat.update).
    """
    channel = known(call, call.text("channel"))
    message = _own(call, channel, "cant_update_message")
    text, blocks = _content(call, LONGEST_UPDATE)
    metadata = _metadata(call)
    message.text, message.blocks, message.edited, message.trouble = text, blocks, True, ""
    if "attachments" in call.arguments:
        message.attachments = call.arguments["attachments"] or []
    if metadata is not None:
        message.metadata = metadata or None
    kept = {block["block_id"] for block in blocks}
    message.state = {block_id: values for block_id, values in message.state.items() if block_id in kept}
    call.workspace.changed(message)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message_json(call.workspace, message, all_metadata=True),
    }


def delete(call: Call) -> JSON:
    """chat.delete: own messages only."""
    channel = known(call, call.text("channel"))
    message = _own(call, channel, "cant_delete_message")
    call.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def permalink(call: Call) -> JSON:
    """chat.getPermalink."""
    channel = known(call, call.text("channel"))
    message = call.workspace.find(channel.id, call.text("message_ts"))
    if message is None or message.only_for is not None:
        raise Refusal("message_not_found")
    link = f"{call.core.address}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _writable(call: Call) -> Channel:
    name = call.text("channel")
    if name in call.workspace.members:
        return call.workspace.direct(BOT_USER, name)
    try:
        channel = known(call, call.workspace.channel(name).id)
    except KeyError:
        raise Refusal("channel_not_found") from None
    if BOT_USER not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def _content(call: Call, longest: int) -> tuple[str, list[JSON]]:
    text, blocks = call.text("text"), call.arguments.get("blocks") or []
    attachments = call.arguments.get("attachments") or []
    if call.text("markdown_text"):
        if text or blocks:
            raise Refusal("markdown_text_conflict")
        text, blocks = call.text("markdown_text"), [{"type": "markdown", "text": call.text("markdown_text")}]
    if not (text or blocks or attachments):
        raise Refusal("no_text")
    if len(text) > longest:
        raise Refusal("msg_too_long")
    if len(attachments) > MOST_ATTACHMENTS:
        raise Refusal("too_many_attachments")
    check_message(blocks)
    return text or NO_FALLBACK, numbered(blocks)


def _metadata(call: Call) -> JSON | None:
    """What the app wants to be kept with the message, {} to take it away, None where nothing is said.

    Raises:
        Refusal: invalid_metadata_format, invalid_metadata_schema.
    """
    metadata = call.arguments.get("metadata")
    if metadata is None or metadata == {}:
        return metadata
    if not isinstance(metadata, dict):
        raise Refusal("invalid_metadata_format")
    event_type, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not (isinstance(event_type, str) and event_type and isinstance(payload, dict)):
        raise Refusal("invalid_metadata_schema")
    return metadata


def _thread(call: Call, channel: Channel, parent: str | None) -> str | None:
    # An answer to an answer stands in the same thread; Slack takes a thread_ts that no message has.
    if parent is None:
        return None
    found = call.workspace.find(channel.id, parent)
    if flag(call.arguments, "reply_broadcast") and found is None:
        raise Refusal("cannot_reply_to_message")
    return found.thread_ts or parent if found else parent


def _own(call: Call, channel: Channel, error: str) -> Message:
    message = call.workspace.find(channel.id, call.text("ts"))
    if message is None or message.only_for is not None:
        raise Refusal("message_not_found")
    if message.user != BOT_USER:
        raise Refusal(error)
    return message


WRITE = ("chat:write",)
METHODS = {
    "chat.postMessage": Method(post_message, WRITE, tier=0),
    "chat.postEphemeral": Method(post_ephemeral, WRITE, tier=4),
    "chat.update": Method(update, WRITE),
    "chat.delete": Method(delete, WRITE),
    "chat.getPermalink": Method(permalink, tier=0),
}
