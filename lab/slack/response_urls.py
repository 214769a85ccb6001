"""Response URLs, and the answers that an app puts into its acknowledgement of a slash command.

The five uses within 30 minutes, the default of an ephemeral, and that a response URL cannot make an ephemeral public or
the other way round are documented (docs.slack.dev/interactivity/handling-user-interaction). `replace_original` through
the URL of a slash command replaces nothing, neither the typed command nor an earlier answer: bolt-js#2287 and
bolt-python#1268. Which HTTP status Slack gives to blocks it refuses is not documented: here it is 400.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.slack.blockkit_walk import numbered
from lab.slack.context import CallRecord, Core
from lab.slack.ephemeral_tokens import Hook
from lab.slack.limits import check_message
from lab.slack.model import BOT_USER, JSON, NO_FALLBACK, Message, Refusal
from lab.slack.rate_limits import ratelimited
from lab.slack.web_api import cut, json_body


async def respond(core: Core, request: web.Request) -> web.StreamResponse:
    """Answer a POST to a response URL."""
    body: JSON = {}
    fault = core.faults.next("response_url")
    status, answer = 200, {"ok": True}
    try:
        body = await json_body(request)
        if fault == "500":
            return web.Response(status=500, text="internal error")
        if fault not in ("", "drop"):
            raise ratelimited(1) if fault == "ratelimited" else Refusal(fault, status=400)
        speak(core, core.tokens.use_hook(request.match_info["token"]), body)
    except Refusal as refusal:
        status, answer = (400 if refusal.status == 200 else refusal.status), refusal.answer()  # noqa: PLR2004 - HTTP
    core.calls.append(CallRecord("response_url", body, answer, core.clock.now()))
    if fault == "drop":
        return await cut(request)
    return web.json_response(answer, status=status)


def speak(core: Core, hook: Hook, body: JSON) -> None:
    """Do what the app says through a hook: a new message, a replacement, or a deletion.

    Raises:
        Refusal: no_text, invalid_blocks, message_not_found.
    """
    original = core.workspace.find(hook.channel, hook.original) if hook.original else None
    if _yes(body.get("delete_original")):
        if original is None:
            raise Refusal("message_not_found", status=404)
        core.workspace.delete(original)
        return
    text, blocks = str(body.get("text") or ""), body.get("blocks") or []
    if not (text or blocks or body.get("attachments")):
        raise Refusal("no_text")
    check_message(blocks)
    if _yes(body.get("replace_original")) and original is not None:
        original.text, original.blocks, original.state = text or NO_FALLBACK, numbered(blocks), {}
        original.edited, original.trouble = original.only_for is None, ""
        core.workspace.changed(original)
        return
    _new(core, hook, body)


def _new(core: Core, hook: Hook, body: JSON) -> None:
    public = body.get("response_type") == "in_channel"
    if public and hook.typed:
        line = Message(hook.channel, core.workspace.next_ts(), hook.user, hook.typed)
        core.workspace.post(line)
        hook.typed = ""
    message = Message(
        hook.channel,
        core.workspace.next_ts(),
        BOT_USER,
        str(body.get("text") or NO_FALLBACK),
        numbered(body.get("blocks")),
        only_for=None if public else hook.user,
        thread_ts=body.get("thread_ts") or hook.thread_ts,
    )
    core.workspace.post(message)


def _yes(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
