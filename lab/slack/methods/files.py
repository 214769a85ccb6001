"""files.*: the three steps of an upload, and deleting."""

from __future__ import annotations

import mimetypes
import secrets
from typing import Any

from lab.slack.api_json import file_json
from lab.slack.blockkit_walk import numbered
from lab.slack.context import Call, Method
from lab.slack.ephemeral_tokens import Upload
from lab.slack.limits import check_message
from lab.slack.methods.conversations import known
from lab.slack.model import BOT_USER, JSON, Message, Refusal, StoredFile
from lab.slack.workspace import new_id


def upload_url(call: Call) -> JSON:
    """files.getUploadURLExternal: where to POST that many bytes."""
    name, length = call.text("filename"), call.text("length")
    if not name:
        raise _missing("filename")
    if not length.isdigit() or int(length) == 0:
        raise _missing("length")
    token = secrets.token_urlsafe(12)
    upload = Upload(new_id("F"), name, int(length))
    call.core.tokens.uploads[token] = upload
    return {"upload_url": f"{call.core.address}/upload/v1/{token}", "file_id": upload.file_id}


def complete(call: Call) -> JSON:
    """files.completeUploadExternal: the files exist from now on, and are posted where asked."""
    wanted = call.arguments.get("files")
    if not isinstance(wanted, list) or not wanted:
        raise _missing("files")
    channels = _channels(call)
    uploads = {upload.file_id: (token, upload) for token, upload in call.core.tokens.uploads.items()}
    if any(entry.get("id") not in uploads or uploads[entry["id"]][1].data is None for entry in wanted):
        raise Refusal("file_not_found")
    stored = [_store(call, entry, *uploads[entry["id"]]) for entry in wanted]
    blocks = call.arguments.get("blocks") or []
    check_message(blocks)
    for channel in channels:
        for file in stored:
            file.shared_in.append(channel)
        message = Message(channel, call.workspace.next_ts(), BOT_USER, call.text("initial_comment"), numbered(blocks))
        message.thread_ts, message.files = call.text("thread_ts") or None, [file.id for file in stored]
        call.workspace.post(message)
    return {"files": [file_json(file) for file in stored]}


def info(call: Call) -> JSON:
    """files.info."""
    return {"file": file_json(_known(call)), "comments": [], "paging": {"count": 0, "total": 0, "page": 1, "pages": 0}}


def delete(call: Call) -> JSON:
    """files.delete: the messages stay, without the file."""
    file = _known(call)
    for messages in call.workspace.messages.values():
        for message in [message for message in messages if file.id in message.files]:
            message.files.remove(file.id)
            call.workspace.changed(message)
    del call.workspace.files[file.id]
    return {}


def _channels(call: Call) -> list[str]:
    named = [call.text("channel_id")] if call.text("channel_id") else call.text("channels").split(",")
    channels = [known(call, name) for name in named if name]
    if any(BOT_USER not in channel.members for channel in channels):
        raise Refusal("not_in_channel")
    return [channel.id for channel in channels]


def _store(call: Call, entry: JSON, token: str, upload: Upload) -> StoredFile:
    assert upload.data is not None
    mimetype = mimetypes.guess_type(upload.name)[0] or "application/octet-stream"
    title: Any = entry.get("title") or upload.name
    file = StoredFile(upload.file_id, upload.name, str(title), upload.data, mimetype, BOT_USER)
    call.workspace.files[file.id] = file
    del call.core.tokens.uploads[token]
    return file


def _known(call: Call) -> StoredFile:
    file = call.workspace.files.get(call.text("file"))
    if file is None:
        raise Refusal("file_not_found")
    return file


def _missing(name: str) -> Refusal:
    messages = [f"[ERROR] missing required field: {name}"]
    return Refusal("invalid_arguments", {"response_metadata": {"messages": messages}})


METHODS = {
    "files.getUploadURLExternal": Method(upload_url, ("files:write",), tier=4),
    "files.completeUploadExternal": Method(complete, ("files:write",), tier=4),
    "files.info": Method(info, ("files:read",), tier=4),
    "files.delete": Method(delete, ("files:write",)),
}
