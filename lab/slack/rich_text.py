"""The rich_text block that stands beside the text of what a person typed.

Slack's composer makes one of every message, and an app is given both: each run of one style, each emoji and each mention is an
element of its own (docs.slack.dev/reference/block-kit/blocks/rich-text-block). So a message of 4,000 characters can be
thousands of objects in a reply.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lab.slack.model import JSON

_STYLES = {"*": "bold", "_": "italic", "~": "strike", "`": "code"}
_UNICODE = {"+1": "1f44d", "-1": "1f44e", "tada": "1f389", "eyes": "1f440", "white_check_mark": "2705", "fire": "1f525"}
_RUN = re.compile(
    r":(?P<emoji>[a-z0-9_+'-]+):"
    r"|<@(?P<user>[A-Z0-9]+)>|<#(?P<channel>[A-Z0-9]+)[^>]*>|<!subteam\^(?P<usergroup>[A-Z0-9]+)[^>]*>"
    r"|<!(?P<broadcast>here|channel|everyone)[^>]*>|<(?P<link>https?://[^>|]+)[^>]*>"
    r"|(?<!\w)(?P<mark>[*_~`])(?P<styled>[^*_~`\n]+)(?P=mark)(?!\w)"
)


def rich_text(text: str, block_id: str) -> JSON:
    """What Slack makes of a message beside its text, which is escaped already."""
    section = {"type": "rich_text_section", "elements": list(_elements(text))}
    return {"type": "rich_text", "block_id": block_id, "elements": [section]}


# a channel is read many times
@lru_cache(maxsize=64)
def _elements(text: str) -> tuple[JSON, ...]:
    elements: list[JSON] = []
    at = 0
    for run in _RUN.finditer(text):
        elements += [*_plain(text[at : run.start()]), _element(run)]
        at = run.end()
    return (*elements, *_plain(text[at:]))


def _plain(text: str) -> list[JSON]:
    return [{"type": "text", "text": _as_typed(text)}] if text else []


def _as_typed(text: str) -> str:
    """Inside of a block nothing is escaped."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _element(run: re.Match[str]) -> JSON:
    kind = run.lastgroup
    if kind == "emoji":
        name = run["emoji"]
        return {"type": "emoji", "name": name, **({"unicode": _UNICODE[name]} if name in _UNICODE else {})}
    if kind == "link":
        return {"type": "link", "url": _as_typed(run["link"])}
    if kind == "broadcast":
        return {"type": "broadcast", "range": run["broadcast"]}
    if kind in ("user", "channel", "usergroup"):
        return {"type": kind, f"{kind}_id": run[kind]}
    return {"type": "text", "text": _as_typed(run["styled"]), "style": {_STYLES[run["mark"]]: True}}
