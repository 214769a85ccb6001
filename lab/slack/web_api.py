"""The Web API's front door: who calls, may they, how often, and then the method."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from lab.slack.arguments import read_arguments, token_of
from lab.slack.context import Call, CallRecord, Core, Method
from lab.slack.methods import METHODS
from lab.slack.model import JSON, Refusal
from lab.slack.rate_limits import ratelimited

PRACTICE_ONLY = "practice only: this is no Slack, do not send it a token of a real workspace"


async def answer(core: Core, request: web.Request) -> web.StreamResponse:
    """Answer /api/<method>."""
    name = request.match_info["method"]
    arguments: JSON = {}
    try:
        arguments = await read_arguments(request)
        fault = core.faults.next(name)
        if fault == "500":
            return web.Response(status=500, text="internal error")
        if fault not in ("", "drop"):
            raise ratelimited(1) if fault == "ratelimited" else Refusal(fault)
        method = _method(name)
        check_token(core, token_of(request, arguments), method)
        check_scopes(core, method)
        core.rates.count(name, method.tier)
        body, status, headers = {"ok": True, **method.handle(Call(core, arguments))}, 200, {}
    except Refusal as refusal:
        fault = ""
        body, status, headers = refusal.answer(), refusal.status, refusal.headers
    arguments.pop("token", None)
    core.calls.append(CallRecord(name, arguments, body, core.clock.now()))
    if fault == "drop":
        return await cut(request)
    headers["X-OAuth-Scopes"] = ",".join(sorted(core.workspace.manifest.scopes))
    return web.json_response(body, status=status, headers=headers)


def check_token(core: Core, token: str, method: Method) -> None:
    """Is it one of our own made-up tokens, and of the right kind?

    Raises:
        Refusal: not_authed, invalid_auth, not_allowed_token_type.
    """
    if not token:
        raise Refusal("not_authed")
    if token not in (core.bot_token, core.app_token):
        # Never repeat the token: somebody may have pasted one that opens a real workspace.
        raise Refusal("invalid_auth", {"response_metadata": {"messages": [f"[ERROR] {PRACTICE_ONLY}"]}})
    if (token == core.app_token) != method.app_level:
        raise Refusal("not_allowed_token_type")


def check_scopes(core: Core, method: Method) -> None:
    """Has the app, as its manifest says, one of the scopes that the method wants?

    Raises:
        Refusal: missing_scope, with what is needed and what is provided.
    """
    provided = core.workspace.manifest.scopes
    if method.app_level or not method.scopes or provided & set(method.scopes):
        return
    raise Refusal("missing_scope", {"needed": method.scopes[0], "provided": ",".join(sorted(provided))})


async def cut(request: web.Request) -> web.StreamResponse:
    """Let the connection die before the answer."""
    if request.transport is not None:
        request.transport.abort()
    # The handler is cancelled with its connection; should that take a moment, nothing must be written meanwhile.
    await asyncio.sleep(0)
    return web.Response(status=500)


async def receive_upload(core: Core, request: web.Request) -> web.Response:
    """Take the bytes of an announced file, raw or as a form's `file`; the length has to be the one announced."""
    upload = core.tokens.uploads.get(request.match_info["token"])
    if upload is None:
        return web.Response(status=404, text="no such upload")
    if request.content_type == "multipart/form-data":
        form = await request.post()
        parts = [part.file.read() for part in form.values() if isinstance(part, web.FileField)]
        data = parts[0] if parts else b""
    else:
        data = await request.read()
    if len(data) != upload.length:
        return web.Response(status=400, text=f"announced {upload.length} bytes, got {len(data)}")
    upload.data = data
    return web.Response(text=f"OK - {len(data)}")


async def json_body(request: web.Request) -> JSON:
    """A JSON body, whatever its content type says.

    Raises:
        Refusal: invalid_payload.
    """
    try:
        body = json.loads(await request.text())
    except ValueError:
        raise Refusal("invalid_payload", status=400) from None
    if not isinstance(body, dict):
        raise Refusal("invalid_payload", status=400)
    return body


def _method(name: str) -> Method:
    method = METHODS.get(name)
    if method is None:
        raise Refusal("unknown_method", {"req_method": name})
    return method
