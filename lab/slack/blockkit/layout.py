"""Every block, and which surface takes it.

Surfaces follow the compatibility tables of Slack's reference. Charts are for messages only there, while an older list
has them in Home too: the narrower reading is kept.
"""

from __future__ import annotations

from typing import Any

from lab.slack.blockkit import data, elements
from lab.slack.blockkit.schema import (
    Check,
    Problems,
    boolean,
    both,
    by_type,
    choice,
    items,
    on,
    one_of,
    optional,
    required,
    shape,
    string,
    unique,
)
from lab.slack.blockkit.texts import identity, plain, rich_text, rich_text_block, text, url

MESSAGE = ("message",)
MESSAGE_AND_HOME = ("message", "home")
BLOCK = {"block_id": optional(identity)}

header = shape({**BLOCK, "text": required(plain(150))})
section = both(
    one_of("text", "fields"),
    shape(
        {
            **BLOCK,
            "text": optional(text(3_000)),
            "fields": optional(items(text(2_000), 10)),
            "accessory": optional(elements.in_section),
            "expand": optional(boolean),
        }
    ),
)
context = shape(
    {
        **BLOCK,
        "elements": required(
            items(by_type({"image": elements.image, "plain_text": text(3_000), "mrkdwn": text(3_000)}), 10)
        ),
    }
)
actions = shape({**BLOCK, "elements": required(both(items(elements.in_actions, 25), unique("action_id")))})
image = both(
    one_of("image_url", "slack_file"),
    shape(
        {
            **BLOCK,
            "image_url": optional(url),
            "slack_file": optional(shape({"id": optional(identity), "url": optional(url)})),
            "alt_text": required(string(2_000, shortest=1)),
            "title": optional(plain(2_000)),
        }
    ),
)
input_block = shape(
    {
        **BLOCK,
        "label": required(plain(2_000)),
        "element": required(elements.in_input),
        "hint": optional(plain(2_000)),
        "optional": optional(boolean),
        "dispatch_action": optional(boolean),
    }
)
card = both(
    one_of("hero_image", "title", "actions", "body"),
    shape(
        {
            **BLOCK,
            "hero_image": optional(elements.image),
            "icon": optional(elements.image),
            "title": optional(text(150)),
            "subtitle": optional(text(150)),
            "body": optional(text(200)),
            "subtext": optional(text(200)),
            "slack_icon": optional(shape({"name": required(string(50, shortest=1))})),
            "actions": optional(both(items(by_type({"button": elements.button}), 3), unique("action_id"))),
        }
    ),
)

SIMPLE: dict[str, Check] = {
    "divider": shape(BLOCK),
    "header": header,
    "section": section,
    "context": context,
    "actions": actions,
    "image": image,
    "input": input_block,
    "rich_text": rich_text,
    "video": both(
        shape(
            {
                **BLOCK,
                "alt_text": required(string(2_000, shortest=1)),
                "title": required(plain(199)),
                "thumbnail_url": required(url),
                "video_url": required(url),
                "author_name": optional(string(49)),
                "description": optional(plain(200)),
                "provider_icon_url": optional(url),
                "provider_name": optional(string(50)),
                "title_url": optional(url),
            }
        )
    ),
    "alert": on(
        ("modal",),
        shape(
            {
                **BLOCK,
                "text": required(text(200)),
                "level": optional(choice("default", "info", "warning", "error", "success")),
            }
        ),
    ),
    "markdown": on(MESSAGE, shape({**BLOCK, "text": required(string(12_000, shortest=1))})),
    "context_actions": on(MESSAGE, shape({**BLOCK, "elements": required(items(elements.in_context_actions, 5))})),
    "table": on(MESSAGE_AND_HOME, data.table),
    "data_visualization": on(MESSAGE, data.data_visualization),
    "plan": on(MESSAGE, data.plan),
    "task_card": on(MESSAGE, data.task_card),
}
"""What may also stand inside a container."""


def _collapsing(problems: Problems, node: Any, pointer: str) -> None:
    if node.get("has_header_divider") and node.get("is_collapsible"):
        problems.add(f"{pointer}/has_header_divider", "cannot be set when is_collapsible is true")
    if node.get("default_collapsed") and not node.get("is_collapsible"):
        problems.add(f"{pointer}/default_collapsed", "requires is_collapsible")


container = both(
    one_of("title", "rich_text_title"),
    shape(
        {
            **BLOCK,
            "title": optional(plain(150)),
            "rich_text_title": optional(rich_text_block),
            "subtitle": optional(text(150)),
            "child_blocks": required(items(by_type(SIMPLE), 10)),
            "width": optional(choice("narrow", "standard", "wide", "full")),
            "icon": optional(elements.image),
            "is_collapsible": optional(boolean),
            "default_collapsed": optional(boolean),
            "has_header_divider": optional(boolean),
        }
    ),
    _collapsing,
)

block = by_type(
    {
        **SIMPLE,
        "card": card,
        "carousel": on(MESSAGE_AND_HOME, shape({**BLOCK, "elements": required(items(by_type({"card": card}), 10))})),
        "container": on(MESSAGE_AND_HOME, container),
        "data_table": on(MESSAGE_AND_HOME, data.data_table),
    }
)
