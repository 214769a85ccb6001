"""Would Slack take these blocks? If not, where not: JSON pointers, as Slack answers them.

This is the lab's own reading of Slack's documents, on purpose apart from whatever a bot checks before it sends. The
shapes are in `blockkit/`; here stand the limits that concern a message or a view as a whole. The wording of the errors
is close to Slack's, their pointers and their place in the answer are Slack's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.slack.blockkit.layout import block
from lab.slack.blockkit.schema import (
    Check,
    Problem,
    Problems,
    boolean,
    items,
    optional,
    required,
    shape,
    string,
    unique,
)
from lab.slack.blockkit.texts import plain
from lab.slack.model import JSON, Refusal

MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}
TABLE_CHARACTERS = 10_000
DATA_TABLE_CHARACTERS = 20_000
MARKDOWN_CHARACTERS = 12_000
MOST_OF = {"table": 1, "plan": 1, "data_visualization": 2}
"""Blocks of a kind in one message; the one plan is known from a published checker only."""


def _blocks(problems: Problems, blocks: Any, pointer: str) -> None:
    items(block, MOST_BLOCKS[problems.surface])(problems, blocks, pointer)
    if not isinstance(blocks, list):
        return
    unique("block_id")(problems, blocks, pointer)
    placed = [(f"{pointer}/{at}", each) for at, each in enumerate(blocks) if isinstance(each, dict)]
    for kind, most in MOST_OF.items():
        _count(problems, placed, kind, most)
    _focus(problems, placed)
    _sum(problems, placed, "table", TABLE_CHARACTERS)
    _sum(problems, placed, "data_table", DATA_TABLE_CHARACTERS)
    _sum(problems, placed, "markdown", MARKDOWN_CHARACTERS)


def _count(problems: Problems, placed: list[tuple[str, JSON]], kind: str, most: int) -> None:
    found = [pointer for pointer, each in placed if each.get("type") == kind]
    for pointer in found[most:]:
        problems.add(pointer, f"no more than {most} blocks of type {kind} allowed")


def _focus(problems: Problems, placed: list[tuple[str, JSON]]) -> None:
    """At most one element gets the focus."""
    elements = [(pointer, each.get("element")) for pointer, each in placed]
    focused = [pointer for pointer, one in elements if isinstance(one, dict) and one.get("focus_on_load") is True]
    for pointer in focused[1:]:
        problems.add(f"{pointer}/element/focus_on_load", "only one element may have focus_on_load")


def _sum(problems: Problems, placed: list[tuple[str, JSON]], kind: str, most: int) -> None:
    """The characters of all blocks of a kind together."""
    total = 0
    for pointer, each in placed:
        if each.get("type") != kind:
            continue
        total += sum(len(piece) for piece in _characters(each.get("rows", each.get("text"))))
        if total > most:
            problems.add(pointer, f"must be less than {most + 1} characters over all blocks of type {kind}")
            return


def _characters(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for child in node:
            yield from _characters(child)
    elif isinstance(node, dict):
        for key in ("text", "elements"):
            yield from _characters(node.get(key))


_VIEW = {
    "blocks": required(_blocks),
    "private_metadata": optional(string(3_000)),
    "callback_id": optional(string(255)),
    "external_id": optional(string(255)),
}
VIEWS: dict[str, Check] = {
    "home": shape(_VIEW),
    "modal": shape(
        {
            **_VIEW,
            "title": required(plain(24)),
            "submit": optional(plain(24)),
            "close": optional(plain(24)),
            "clear_on_close": optional(boolean),
            "notify_on_close": optional(boolean),
            "submit_disabled": optional(boolean),
        }
    ),
}


def check_message(blocks: Any) -> None:
    """Check the blocks of a message.

    Raises:
        Refusal: invalid_blocks, with `errors` and `response_metadata.messages`.
    """
    found = message_problems(blocks)
    if found:
        raise Refusal(
            "invalid_blocks",
            {
                "errors": [str(problem) for problem in found],
                "response_metadata": {"messages": [f"[ERROR] {problem}" for problem in found]},
            },
        )


def check_view(view: JSON, kinds: tuple[str, ...]) -> None:
    """Check a modal or a Home.

    Raises:
        Refusal: invalid_arguments, with `response_metadata.messages`.
    """
    found = view_problems(view, kinds)
    if found:
        messages = [f"[ERROR] {problem}" for problem in found]
        raise Refusal("invalid_arguments", {"response_metadata": {"messages": messages}})


def message_problems(blocks: Any) -> list[Problem]:
    """Everything that is wrong with the blocks of a message; [] when nothing is."""
    problems = Problems("message")
    if blocks:
        _blocks(problems, blocks, "/blocks")
    return problems.found


def view_problems(view: JSON, kinds: tuple[str, ...] = ("modal", "home")) -> list[Problem]:
    """Everything that is wrong with a view; [] when nothing is."""
    kind = view.get("type")
    if kind not in kinds:
        return [Problem("/view/type", f"must be a valid enum value: {', '.join(kinds)}")]
    problems = Problems(str(kind))
    VIEWS[str(kind)](problems, view, "/view")
    blocks = view.get("blocks")
    inputs = (
        [each for each in blocks if isinstance(each, dict) and each.get("type") == "input"]
        if isinstance(blocks, list)
        else []
    )
    if kind == "modal" and inputs and not view.get("submit"):
        problems.add("/view", "missing required field: submit, because there are input blocks")
    return problems.found
