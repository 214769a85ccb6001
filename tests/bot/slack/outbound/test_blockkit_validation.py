"""Deliberate violations: each is found, and where."""

import copy

import pytest

from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import Message
from bot.slack.render.blocks import actions, button, contexts, header, sections
from bot.slack.render.stop import stop_view

TABLE = {
    "type": "data_table",
    "caption": "c",
    "page_size": 10,
    "rows": [[{"type": "raw_text", "text": "a"}], [{"type": "raw_number", "value": 1, "text": "1"}]],
}
PLAIN = {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}
CHART = {
    "type": "data_visualization",
    "title": "t",
    "chart": {
        "type": "bar",
        "series": [{"name": "n", "data": [{"label": "a", "value": 1}]}],
        "axis_config": {"categories": ["a"]},
    },
}
RICH = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}]}],
}
GOOD = (header("h"), *sections("s"), *contexts("c"), TABLE, PLAIN, CHART, RICH, *actions([button("b", "v", "t")]))


def cell(text="a", kind="raw_text"):
    return {"type": kind, "text": text}


def changed(block, *path, to):
    made = copy.deepcopy(block)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return made


BAD = [
    ([header("h")] * 51, "/blocks"),
    ([changed(header("h"), "text", "text", to="x" * 151)], "/blocks/0/text/text"),
    ([changed(header("h"), "text", "type", to="mrkdwn")], "/blocks/0/text/type"),
    ([changed(sections("s")[0], "text", "text", to="")], "/blocks/0/text/text"),
    ([changed(sections("s")[0], "text", "text", to="x" * 3_001)], "/blocks/0/text/text"),
    ([changed(sections("s")[0], "text", "text", to="\U0001f525" * 1_501)], "/blocks/0/text/text"),
    ([changed(sections("s")[0], "text", "type", to="text")], "/blocks/0/text/type"),
    ([{"type": "section"}], "/blocks/0"),
    ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_001}]}], "/blocks/0/fields/0/text"),
    ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}], "/blocks/0/fields"),
    ([{"type": "context", "elements": []}], "/blocks/0/elements"),
    ([changed(contexts("c")[0], "elements", to=contexts("c")[0]["elements"] * 11)], "/blocks/0/elements"),
    ([{"type": "actions", "elements": [button("b", f"v{at}") for at in range(26)]}], "/blocks/0/elements"),
    ([{"type": "actions", "elements": [button("b", "v"), button("c", "v")]}], "/blocks/0/elements"),
    ([{"type": "actions", "elements": [{**button("b", "v"), "style": "green"}]}], "/blocks/0/elements/0/style"),
    ([{"type": "actions", "elements": [{**button("b", "v"), "value": "x" * 2_001}]}], "/blocks/0/elements/0/value"),
    ([{"type": "actions", "elements": [{"type": "overflow"}]}], "/blocks/0/elements/0/type"),
    ([changed(button("b", "v"), "action_id", to="x" * 256)], "/blocks/0/type"),
    ([{**header("h"), "block_id": "b"}, {**header("h"), "block_id": "b"}], "/blocks"),
    ([{"type": "divder"}], "/blocks/0/type"),
    ([changed(TABLE, "caption", to="")], "/blocks/0/caption"),
    ([changed(TABLE, "page_size", to=101)], "/blocks/0/page_size"),
    ([changed(TABLE, "rows", to=[[cell()]])], "/blocks/0/rows"),
    ([changed(TABLE, "rows", to=[[cell()]] * 102)], "/blocks/0/rows"),
    ([changed(TABLE, "rows", to=[[cell()], [cell(), cell()]])], "/blocks/0/rows"),
    ([changed(TABLE, "rows", to=[[cell()] * 21] * 2)], "/blocks/0/rows"),
    ([changed(TABLE, "rows", to=[[cell()], [cell("")]])], "/blocks/0/rows"),
    ([changed(TABLE, "rows", to=[[cell()], [cell("x" * 10_001)]])], "/blocks/0/rows"),
    ([changed(PLAIN, "rows", to=[[cell(kind="raw_number")]])], "/blocks/0/rows"),
    ([PLAIN, PLAIN], "/blocks"),
    ([CHART] * 3, "/blocks"),
    ([changed(CHART, "title", to="x" * 51)], "/blocks/0/title"),
    ([changed(CHART, "chart", "axis_config", "categories", to=["b"])], "/blocks/0/chart/series/0/data"),
    ([changed(CHART, "chart", "axis_config", "categories", to=["x" * 21])], "/blocks/0/chart/axis_config/categories"),
    ([changed(RICH, "elements", 0, "elements", 0, "text", to="")], "/blocks/0/elements/0/elements"),
]


def test_good_blocks_are_good():
    assert not problems(Message("text", GOOD))
    assert not problems(stop_view("C0OPS"))


@pytest.mark.parametrize(("blocks", "pointer"), BAD, ids=range(len(BAD)))
def test_bad_blocks_are_found(blocks, pointer):
    assert pointer in [problem.pointer for problem in problems(Message("text", tuple(blocks)))]


def test_texts_and_views():
    assert problems(Message("x" * 4_001))[0].pointer == "/text"
    view = stop_view("C0OPS")
    assert problems(changed(view, "title", "text", to="x" * 25))[0].pointer == "/title/text"
    assert problems({**view, "private_metadata": "x" * 3_001})[0].pointer == "/private_metadata"
    assert problems({**view, "blocks": [TABLE]})[0].says == "data_table is for messages"
    assert problems({**view, "blocks": [header("h")] * 101})[0].pointer == "/blocks"
    heavy = {**view, "blocks": [*sections("x" * 3_000 * 90)]}
    assert problems(heavy)[0].pointer == ""
