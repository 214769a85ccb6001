"""Walking Block Kit: block ids, interactive elements, the state they leave, the pings a text holds."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lab.slack.model import JSON

PING = re.compile(
    r"<(?:!(channel|here|everyone)(?:\|[^>]*)?|@([UW][A-Z0-9]+)(?:\|[^>]*)?|!subteam\^(S[A-Z0-9]+)(?:\|[^>]*)?)>"
)


@dataclass(frozen=True)
class Placed:
    """An interactive element and the block that holds it."""

    block: JSON
    element: JSON

    @property
    def block_id(self) -> str:
        """Id of the block."""
        return str(self.block["block_id"])

    @property
    def action_id(self) -> str:
        """Id of the element within its block."""
        return str(self.element["action_id"])

    @property
    def label(self) -> str:
        """What a person reads on it or beside it."""
        text = self.element.get("text") or self.block.get("label") or self.element.get("placeholder") or {}
        return str(text.get("text", ""))


def numbered(blocks: list[JSON] | None) -> list[JSON]:
    """A copy in which every block has a block_id and every interactive element an action_id, as Slack fills them in."""
    copy = deepcopy(blocks or [])
    for block in copy:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for element in _elements(block):
            if _interactive(element):
                element.setdefault("action_id", secrets.token_urlsafe(4))
    return copy


def placed(blocks: list[JSON]) -> Iterator[Placed]:
    """Every interactive element, in reading order."""
    for block in blocks:
        for element in _elements(block):
            if _interactive(element):
                yield Placed(block, element)


def asks(blocks: list[JSON]) -> bool:
    """Whether a message asks for a decision: a button that is marked as the primary one stands in it."""
    return any(place.element.get("style") == "primary" for place in placed(blocks))


def _interactive(element: JSON) -> bool:
    return element.get("type") not in ("image", "mrkdwn", "plain_text", "raw_text", "raw_number", "rich_text")


def _elements(block: JSON) -> Iterator[JSON]:
    """The elements that stand directly in a block, or in the blocks and cells within it."""
    match block["type"]:
        case "actions" | "context_actions":
            yield from block["elements"]
        case "section" if "accessory" in block:
            yield block["accessory"]
        case "input":
            yield block["element"]
        case "card":
            yield from block.get("actions", [])
        case "carousel" | "container":
            for child in block.get("child_blocks") or block.get("elements") or []:
                yield from _elements(child)
        case "data_table":
            cells = [cell for row in block["rows"] for cell in row if cell["type"] == "action_cell"]
            for cell in cells:
                yield from cell["elements"]
        case _:
            return


def options_of(element: JSON) -> list[JSON]:
    """All options of a menu, groups flattened."""
    groups = element.get("option_groups") or []
    return list(element.get("options") or []) + [option for group in groups for option in group["options"]]


MANY = {
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}
ONE = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "rich_text_input": "rich_text_value",
}
"""Element type -> the key under which its value stands in state.values and in actions."""


def value_of(element: JSON, chosen: Any) -> JSON:
    """The element's value as Slack sends it.

    Args:
        element: the element.
        chosen: text, an option's value, an id, a list of those, or None.

    Raises:
        ValueError: the element has no such option.
    """
    kind = element["type"]
    if kind == "button":
        return {"type": kind, "text": element["text"], **({"value": element["value"]} if "value" in element else {})}
    key = MANY.get(kind) or ONE.get(kind, "value")
    if key in ("selected_option", "selected_options"):
        chosen = _options(element, chosen, many=kind in MANY)
    elif kind in MANY:
        chosen = list(chosen or [])
    return {"type": kind, key: chosen}


def _options(element: JSON, chosen: Any, *, many: bool) -> Any:
    by_value = {option["value"]: option for option in options_of(element)}
    wanted = list(chosen or []) if many else ([] if chosen is None else [chosen])
    unknown = [value for value in wanted if value not in by_value]
    if unknown:
        raise ValueError(f"{element.get('action_id')} has no option {unknown[0]!r}")
    found = [by_value[value] for value in wanted]
    return found if many else (found[0] if found else None)


INITIAL = {
    "plain_text_input": ("initial_value", "value"),
    "number_input": ("initial_value", "value"),
    "url_text_input": ("initial_value", "value"),
    "email_text_input": ("initial_value", "value"),
    "static_select": ("initial_option", "selected_option"),
    "external_select": ("initial_option", "selected_option"),
    "radio_buttons": ("initial_option", "selected_option"),
    "checkboxes": ("initial_options", "selected_options"),
    "multi_static_select": ("initial_options", "selected_options"),
    "users_select": ("initial_user", "selected_user"),
    "conversations_select": ("initial_conversation", "selected_conversation"),
    "channels_select": ("initial_channel", "selected_channel"),
    "datepicker": ("initial_date", "selected_date"),
    "timepicker": ("initial_time", "selected_time"),
    "datetimepicker": ("initial_date_time", "selected_date_time"),
}


def state_of(blocks: list[JSON], chosen: JSON) -> JSON:
    """state.values: what people chose, and the initial values of everything they left alone. Buttons have no state."""
    values: JSON = {}
    for place in placed(blocks):
        kind = place.element["type"]
        if kind in ("button", "overflow", "workflow_button", "icon_button", "feedback_buttons"):
            continue
        initial, key = INITIAL.get(kind, ("", MANY.get(kind) or ONE.get(kind, "value")))
        standing = chosen.get(place.block_id, {}).get(place.action_id)
        empty: list[JSON] | None = [] if kind in MANY else None
        value = standing or {"type": kind, key: place.element.get(initial, empty)}
        values.setdefault(place.block_id, {})[place.action_id] = value
    return values


def pings(text: str, blocks: list[JSON]) -> list[str]:
    """Whom a message notifies: "channel", "here", "everyone", user ids, group ids; each once, in order."""
    found: dict[str, None] = {}
    for piece in [text, *_marked_up(blocks)]:
        for match in PING.finditer(piece):
            found[next(group for group in match.groups() if group)] = None
    for target in _rich_pings(blocks):
        found[target] = None
    return list(found)


def _marked_up(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _marked_up(child)
    elif isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "markdown") and isinstance(node.get("text"), str):
            yield node["text"]
        for child in node.values():
            yield from _marked_up(child)


def _rich_pings(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _rich_pings(child)
    elif isinstance(node, dict):
        key = {"broadcast": "range", "user": "user_id", "usergroup": "usergroup_id"}.get(str(node.get("type")))
        if key and key in node:
            yield str(node[key])
        for child in node.values():
            yield from _rich_pings(child)
