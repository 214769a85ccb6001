"""Blocks as plain text, for queries such as `await operator.sees("STUCK")`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.slack.model import JSON, Message, View

SHOWN = ("title", "caption", "text", "label", "hint", "placeholder", "fields", "elements", "accessory", "element")
SHOWN_TOO = ("rows", "tasks", "details", "output", "options", "description", "subtitle", "body", "actions", "alt_text")
CHART = ("chart", "series", "segments", "data", "name", "axis_config", "categories", "child_blocks", "blocks")


def plain_text(thing: Message | View | list[JSON]) -> str:
    """What a person reads, one line per piece; a message without blocks is its text; entities are resolved."""
    if isinstance(thing, Message):
        pieces = list(_pieces(thing.blocks)) or [thing.text]
    elif isinstance(thing, View):
        buttons = [thing.payload.get(key) for key in ("title", "submit", "close")]
        pieces = [*_pieces(buttons), *_pieces(thing.blocks)]
    else:
        pieces = list(_pieces(thing))
    return "\n".join(pieces).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _pieces(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield from [node] if node else []
    elif isinstance(node, list):
        for child in node:
            yield from _pieces(child)
    elif isinstance(node, dict):
        yield from _object(node)


def _object(node: JSON) -> Iterator[str]:
    if node.get("type") in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        yield "".join(_rich(element) for element in node["elements"])
        return
    if "status" in node:
        yield str(node["status"])
    for key in (*SHOWN, *SHOWN_TOO, *CHART):
        yield from _pieces(node.get(key))
    if "text" not in node and isinstance(node.get("value"), int | float):
        yield str(node["value"])


def _rich(element: JSON) -> str:
    for key in ("text", "url", "user_id", "usergroup_id", "channel_id", "range", "fallback", "name"):
        if key in element:
            return str(element[key])
    return str(element.get("timestamp", ""))
