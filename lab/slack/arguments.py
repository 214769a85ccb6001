"""Reading the arguments of a Web API call, however the client chose to send them.

Slack takes query strings, forms and JSON bodies. In forms, lists and objects (`blocks`, `view`, …) come as JSON
strings, and they may do so in JSON bodies too. Some clients send an empty JSON body where there are no arguments.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from lab.slack.model import JSON, Refusal

STRUCTURED = {
    "attachments": "invalid_attachments",
    "blocks": "invalid_blocks_format",
    "files": "invalid_arguments",
    "metadata": "invalid_metadata_format",
    "view": "invalid_arguments",
}
"""Arguments that are JSON, and Slack's word when they are not."""


async def read_arguments(request: web.Request) -> JSON:
    """The arguments of a call, structured ones parsed.

    Raises:
        Refusal: invalid_json, json_not_object, invalid_form_data, invalid_blocks_format and the like.
    """
    arguments: JSON = dict(request.query)
    kind = request.content_type
    if request.method == "POST":
        if kind == "application/json":
            arguments |= await _json_body(request)
        elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            arguments |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    for name, error in STRUCTURED.items():
        if isinstance(arguments.get(name), str):
            arguments[name] = _parsed(arguments[name], error)
    return arguments


async def _json_body(request: web.Request) -> JSON:
    body = await request.text()
    if not body.strip():
        return {}
    parsed = _parsed(body, "invalid_json")
    if not isinstance(parsed, dict):
        raise Refusal("json_not_object")
    return parsed


def _parsed(text: str, error: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal(error) from None


def token_of(request: web.Request, arguments: JSON) -> str:
    """The token, from the header or from the arguments; "" where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return str(arguments.get("token") or "")


def flag(arguments: JSON, name: str, *, default: bool = False) -> bool:
    """A yes or no, which forms write as text."""
    value = arguments.get(name, default)
    return value.lower() in ("true", "1") if isinstance(value, str) else bool(value)
