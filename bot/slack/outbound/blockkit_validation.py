"""Find what Slack would reject, before it is sent: `problems(message | view | blocks)`.

Slack's own `blocks.validate` needs the internet. This one knows the blocks that the bot makes, and calls every
other type a problem, so that a new block cannot slip past its limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack.outbound import limits
from bot.slack.outbound.local_times import cell_text
from bot.slack.outbound.message import Block, Message, View, utf16_length

Found = Iterator["Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that Slack would reject.

    Attributes:
        pointer: where, as a JSON pointer: "/blocks/3/text/text".
        says: what is wrong with it.
    """

    pointer: str
    says: str


def problems(what: Message | View | Sequence[Block]) -> tuple[Problem, ...]:
    """Everything that Slack would reject in a message, a view (modal or home), or a message's blocks."""
    if isinstance(what, Message):
        return (*_length("/text", what.text, limits.MESSAGE_TEXT), *_blocks(what.blocks, limits.BLOCKS_IN_MESSAGE))
    if isinstance(what, dict):
        return (
            *_view(what),
            *_blocks(what.get("blocks", ()), limits.BLOCKS_IN_VIEW, view=True, home=what.get("type") == "home"),
        )
    return tuple(_blocks(what, limits.BLOCKS_IN_MESSAGE))


def block_problems(block: Block, pointer: str = "") -> tuple[Problem, ...]:
    """What is wrong with one block by itself."""
    checker = _CHECKERS.get(block.get("type", ""))
    if checker is None:
        return (Problem(f"{pointer}/type", f"{block.get('type')!r:.40} is no block the bot knows"),)
    return (*checker(block, pointer), *_identifier(block, "block_id", pointer))


def _blocks(blocks: Sequence[Block], most: int, *, view: bool = False, home: bool = False) -> Found:
    if len(blocks) > most:
        yield Problem("/blocks", f"{len(blocks)} blocks; {most} at most")
    for index, block in enumerate(blocks):
        yield from block_problems(block, f"/blocks/{index}")
    yield from _unique(blocks)
    kinds = [block.get("type") for block in blocks]
    if kinds.count("table") > limits.TABLES_IN_MESSAGE:
        yield Problem("/blocks", "more than one table")
    if kinds.count("data_visualization") > limits.CHARTS_IN_MESSAGE:
        yield Problem("/blocks", "more than two charts")
    if kinds.count("plan") > limits.PLANS_IN_MESSAGE:
        yield Problem("/blocks", "more than one plan")
    for kind in ("data_table", "table", "data_visualization", "plan"):
        if view and kind in kinds and (kind, home) != ("data_table", True):  # messages and Home only
            yield Problem("/blocks", f"{kind} is for messages")


def _unique(blocks: Sequence[Block]) -> Found:
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    yield from (Problem("/blocks", f"block_id {one!r} twice") for one in _doubles(ids))


def _view(view: View) -> Found:
    if view.get("type") == "modal":
        for part in ("title", "submit", "close"):
            if part in view or part == "title":
                yield from _text(view.get(part, {}), f"/{part}", limits.VIEW_TITLE, kinds=("plain_text",))
    yield from _length("/private_metadata", view.get("private_metadata", ""), limits.VIEW_METADATA)
    yield from _length("/callback_id", view.get("callback_id", ""), limits.IDENTIFIER)
    size = len(json.dumps(view).encode())
    if size > limits.VIEW_BYTES:
        yield Problem("", f"{size} bytes; {limits.VIEW_BYTES} at most")


def _header(block: Block, pointer: str) -> Found:
    return _text(block.get("text", {}), f"{pointer}/text", limits.HEADER_TEXT, kinds=("plain_text",))


def _section(block: Block, pointer: str) -> Found:
    if "text" not in block and not block.get("fields"):
        yield Problem(pointer, "a section needs text or fields")
    if "text" in block:
        yield from _text(block["text"], f"{pointer}/text", limits.SECTION_TEXT)
    fields = block.get("fields", ())
    if len(fields) > limits.SECTION_FIELDS:
        yield Problem(f"{pointer}/fields", f"{len(fields)} fields; {limits.SECTION_FIELDS} at most")
    for index, field in enumerate(fields):
        yield from _text(field, f"{pointer}/fields/{index}", limits.FIELD_TEXT)
    if "accessory" in block:
        yield from _button(block["accessory"], f"{pointer}/accessory")


def _context(block: Block, pointer: str) -> Found:
    elements = block.get("elements", ())
    yield from _count(elements, f"{pointer}/elements", limits.CONTEXT_ELEMENTS)
    for index, element in enumerate(elements):
        yield from _text(element, f"{pointer}/elements/{index}", limits.CONTEXT_TEXT)


def _actions(block: Block, pointer: str) -> Found:
    elements = block.get("elements", ())
    yield from _count(elements, f"{pointer}/elements", limits.ACTIONS_ELEMENTS)
    for index, element in enumerate(elements):
        yield from _button(element, f"{pointer}/elements/{index}")
    for double in _doubles([element.get("action_id") for element in elements]):
        yield Problem(f"{pointer}/elements", f"action_id {double!r} twice")


def _button(button: Block, pointer: str) -> Found:
    if button.get("type") != "button":
        yield Problem(f"{pointer}/type", f"{button.get('type')!r:.40} is no element the bot knows")
        return
    yield from _text(button.get("text", {}), f"{pointer}/text", limits.BUTTON_TEXT, kinds=("plain_text",))
    yield from _identifier(button, "action_id", pointer)
    yield from _length(f"{pointer}/value", button.get("value", ""), limits.BUTTON_VALUE)
    yield from _length(f"{pointer}/url", button.get("url", ""), limits.BUTTON_URL)
    if button.get("style", "primary") not in ("primary", "danger"):
        yield Problem(f"{pointer}/style", "primary or danger")
    if "confirm" in button:
        parts = {"title": limits.CONFIRM_TITLE, "text": limits.CONFIRM_TEXT}
        parts |= {"confirm": limits.CONFIRM_BUTTON, "deny": limits.CONFIRM_BUTTON}
        for part, most in parts.items():
            yield from _text(button["confirm"].get(part, {}), f"{pointer}/confirm/{part}", most)


def _rich_text(block: Block, pointer: str) -> Found:
    elements = block.get("elements", ())
    if not elements:
        yield Problem(f"{pointer}/elements", "empty")
    for index, element in enumerate(elements):
        where = f"{pointer}/elements/{index}"
        if element.get("type") not in ("rich_text_section", "rich_text_preformatted"):
            yield Problem(f"{where}/type", f"{element.get('type')!r:.40} is no element the bot knows")
        texts = [part["text"] for part in element.get("elements", ()) if part.get("type") == "text"]
        if not element.get("elements") or "" in texts:
            yield Problem(f"{where}/elements", "empty text")
        yield from _length(f"{where}/elements", "".join(texts), limits.PREFORMATTED_TEXT)


def _data_table(block: Block, pointer: str) -> Found:
    yield from _length(f"{pointer}/caption", block.get("caption", ""), limits.IDENTIFIER, least=1)
    if not 1 <= block.get("page_size", 1) <= limits.DATA_TABLE_PAGE:
        yield Problem(f"{pointer}/page_size", f"1 to {limits.DATA_TABLE_PAGE}")
    kinds = ("raw_text", "raw_number", "rich_text")
    yield from _rows(block, pointer, limits.DATA_TABLE_ROWS + 1, limits.DATA_TABLE_TEXT, kinds, least=2)


def _table(block: Block, pointer: str) -> Found:
    if len(block.get("column_settings", ())) > limits.TABLE_COLUMNS:
        yield Problem(f"{pointer}/column_settings", f"{limits.TABLE_COLUMNS} at most")
    yield from _rows(block, pointer, limits.TABLE_ROWS, limits.TABLE_TEXT, ("raw_text", "rich_text"), least=1)


def _rows(block: Block, pointer: str, most: int, characters: int, kinds: tuple[str, ...], *, least: int) -> Found:
    rows = block.get("rows", ())
    if not least <= len(rows) <= most:
        yield Problem(f"{pointer}/rows", f"{len(rows)} rows; {least} to {most}")
    if len({len(row) for row in rows}) > 1 or any(not 1 <= len(row) <= limits.TABLE_COLUMNS for row in rows):
        yield Problem(f"{pointer}/rows", f"rows of one length, 1 to {limits.TABLE_COLUMNS} cells")
    cells = [cell for row in rows for cell in row]
    if any(not cell_text(cell) for cell in cells):
        yield Problem(f"{pointer}/rows", "empty cell")
    if any(cell.get("type") not in kinds for cell in cells):
        yield Problem(f"{pointer}/rows", f"cells are {' or '.join(kinds)}")
    total = sum(utf16_length(cell_text(cell)) for cell in cells)
    if total > characters:
        yield Problem(f"{pointer}/rows", f"{total} characters; {characters} at most")


def _chart(block: Block, pointer: str) -> Found:
    yield from _length(f"{pointer}/title", block.get("title", ""), limits.CHART_TITLE, least=1)
    chart = block.get("chart", {})
    categories = chart.get("axis_config", {}).get("categories", ())
    series = chart.get("series", ())
    yield from _count(series, f"{pointer}/chart/series", limits.CHART_SERIES)
    yield from _count(categories, f"{pointer}/chart/axis_config/categories", limits.CHART_POINTS)
    for axis in ("x_label", "y_label"):
        yield from _length(f"{pointer}/chart/{axis}", chart.get("axis_config", {}).get(axis, ""), limits.CHART_AXIS)
    for category in categories:
        yield from _length(f"{pointer}/chart/axis_config/categories", category, limits.CHART_LABEL, least=1)
    for index, one in enumerate(series):
        where = f"{pointer}/chart/series/{index}"
        yield from _length(f"{where}/name", one.get("name", ""), limits.CHART_LABEL, least=1)
        labels = [point.get("label") for point in one.get("data", ())]
        if labels != list(categories) or len(set(labels)) < len(labels):
            yield Problem(f"{where}/data", "labels are the categories, each once")


def _input(block: Block, pointer: str) -> Found:
    yield from _text(block.get("label", {}), f"{pointer}/label", limits.INPUT_LABEL, kinds=("plain_text",))
    element = block.get("element", {})
    yield from _identifier(element, "action_id", f"{pointer}/element")
    if "hint" in block:
        yield from _text(block["hint"], f"{pointer}/hint", limits.HINT, kinds=("plain_text",))
    if "placeholder" in element:
        yield from _text(
            element["placeholder"], f"{pointer}/element/placeholder", limits.PLACEHOLDER, kinds=("plain_text",)
        )
    if element.get("type") == "static_select":
        yield from _options(element, f"{pointer}/element")
        return
    if element.get("type") == "datetimepicker":
        return
    if element.get("type") == "external_select":
        yield from _option(element.get("initial_option"), f"{pointer}/element/initial_option")
        return
    if element.get("type") != "plain_text_input":
        yield Problem(f"{pointer}/element/type", f"{element.get('type')!r:.40} is no element the bot knows")
    if not 1 <= element.get("max_length", 1) <= limits.INPUT_TEXT:
        yield Problem(f"{pointer}/element/max_length", f"1 to {limits.INPUT_TEXT}")


def _options(element: Block, pointer: str) -> Found:
    options = element.get("options", ())
    yield from _count(options, f"{pointer}/options", limits.OPTIONS)
    for index, option in enumerate(options):
        yield from _option(option, f"{pointer}/options/{index}")
    if "initial_option" in element and element["initial_option"] not in options:
        yield Problem(f"{pointer}/initial_option", "one of the options, the same in every part")


def _option(option: Block | None, pointer: str) -> Found:
    if option is not None:
        yield from _text(option.get("text"), f"{pointer}/text", limits.OPTION_TEXT, ("plain_text",))
        yield from _length(f"{pointer}/value", option.get("value", ""), limits.OPTION_VALUE, least=1)


def _plan(block: Block, pointer: str) -> Found:
    yield from _length(f"{pointer}/title", block.get("title", ""), limits.PLAN_TEXT, least=1)
    tasks = block.get("tasks", ())
    yield from _count(tasks, f"{pointer}/tasks", limits.PLAN_TASKS)
    for index, task in enumerate(tasks):
        where = f"{pointer}/tasks/{index}"
        if task.get("status") not in ("pending", "in_progress", "complete", "error"):
            yield Problem(f"{where}/status", "pending, in_progress, complete or error")
        yield from _length(f"{where}/title", task.get("title", ""), limits.PLAN_TEXT, least=1)
        yield from _length(f"{where}/task_id", task.get("task_id", ""), limits.IDENTIFIER, least=1)
    for double in _doubles([task.get("task_id") for task in tasks]):
        yield Problem(f"{pointer}/tasks", f"task_id {double!r} twice")


def _divider(block: Block, pointer: str) -> Found:
    del block, pointer
    return iter(())


_CHECKERS: dict[str, Callable[[Block, str], Found]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "input": _input,
    "rich_text": _rich_text,
    "data_table": _data_table,
    "table": _table,
    "data_visualization": _chart,
    "plan": _plan,
    "divider": _divider,
}


def _text(text: Any, pointer: str, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Found:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield Problem(f"{pointer}/type", f"a text object: {' or '.join(kinds)}")
        return
    yield from _length(f"{pointer}/text", text.get("text", ""), most, least=1)


def _length(pointer: str, text: str, most: int, *, least: int = 0) -> Found:
    if least <= len(text) <= most // 2:  # no character counts as more than two
        return
    if not least <= utf16_length(text) <= most:
        yield Problem(pointer, f"{utf16_length(text)} characters; {least} to {most}")


def _count(items: Sequence[Any], pointer: str, most: int) -> Found:
    if not 1 <= len(items) <= most:
        yield Problem(pointer, f"{len(items)} of them; 1 to {most}")


def _identifier(element: Block, name: str, pointer: str) -> Found:
    if name in element:
        yield from _length(f"{pointer}/{name}", element[name], limits.IDENTIFIER, least=1)


def _doubles(items: Sequence[Any]) -> list[Any]:
    return sorted({one for one in items if one is not None and items.count(one) > 1})
