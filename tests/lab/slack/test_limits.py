"""Every limit of Block Kit: one step below is taken, one step above is refused, at that very place."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.slack.limits import message_problems, view_problems


def plain(text="x"):
    return {"type": "plain_text", "text": text}


def mrkdwn(text="x"):
    return {"type": "mrkdwn", "text": text}


def section(text="x", **more):
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more):
    return {"type": "button", "text": plain("Go"), "action_id": "go", **more}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def option(text="x", value="x", **more):
    return {"text": plain(text), "value": value, **more}


def select(**more):
    return {"type": "static_select", "action_id": "pick", **({"options": [option()]} | more)}


def confirm(**more):
    return {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain(), **more}


def buttons(count):
    return [button(action_id=f"go-{number}") for number in range(count)]


def raw(text="x"):
    return {"type": "raw_text", "text": text}


def raw_number(value=1, text="1"):
    return {"type": "raw_number", "value": value, "text": text}


def table(rows, columns=1, text="x"):
    return {"type": "table", "rows": [[raw(text)] * columns for _ in range(rows)]}


def data_table(rows, columns=1, text="x", **more):
    cells = [[raw("h")] * columns] + [[raw(text)] * columns for _ in range(rows)]
    return {"type": "data_table", "caption": "c", "rows": cells, **more}


def chart(series=1, points=1, title="t", kind="bar", name="s"):
    labels = [f"p{number}" for number in range(points)]
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {
            "type": kind,
            "series": [
                {"name": f"{name}{number}", "data": [{"label": label, "value": 1} for label in labels]}
                for number in range(series)
            ],
            "axis_config": {"categories": labels},
        },
    }


def changed(thing, *path, to):
    thing = copy.deepcopy(thing)
    node = thing
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = to
    return thing


def task(**more):
    return {"type": "task_card", "task_id": "1", "title": "t", "status": "complete", **more}


def plan(*tasks):
    return {"type": "plan", "title": "p", "tasks": list(tasks)}


def image(**more):
    return {"type": "image", "image_url": "https://host.corp.example/x.png", "alt_text": "a", **more}


def rich(*elements):
    return {"type": "rich_text", "elements": list(elements)}


def rich_section(text="x"):
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}


def repeated(block, count):
    return [copy.deepcopy(block) for _ in range(count)]


# (what, blocks that are taken, blocks that are refused, the pointer of the refusal)
MESSAGE = [
    ("blocks", repeated(section(), 50), repeated(section(), 51), "/blocks"),
    ("section text", [section("x" * 3000)], [section("x" * 3001)], "/blocks/0/text/text"),
    ("section text empty", [section()], [section("")], "/blocks/0/text/text"),
    ("section without text", [section()], [{"type": "section"}], "/blocks/0"),
    (
        "fields",
        [{"type": "section", "fields": [mrkdwn()] * 10}],
        [{"type": "section", "fields": [mrkdwn()] * 11}],
        "/blocks/0/fields",
    ),
    (
        "field text",
        [{"type": "section", "fields": [mrkdwn("x" * 2000)]}],
        [{"type": "section", "fields": [mrkdwn("x" * 2001)]}],
        "/blocks/0/fields/0/text",
    ),
    (
        "header text",
        [{"type": "header", "text": plain("x" * 150)}],
        [{"type": "header", "text": plain("x" * 151)}],
        "/blocks/0/text/text",
    ),
    (
        "header kind",
        [{"type": "header", "text": plain()}],
        [{"type": "header", "text": mrkdwn()}],
        "/blocks/0/text/type",
    ),
    ("text kind", [section()], [{"type": "section", "text": {"type": "text", "text": "x"}}], "/blocks/0/text/type"),
    ("emoji in mrkdwn", [section()], [changed(section(), "text", "emoji", to=True)], "/blocks/0/text/emoji"),
    ("typo in a key", [section()], [section(acessory=button())], "/blocks/0/acessory"),
    ("unknown block", [section()], [{"type": "sektion"}], "/blocks/0/type"),
    ("no type", [section()], [{"text": mrkdwn()}], "/blocks/0"),
    ("block that is none", [section()], ["x"], "/blocks/0"),
    (
        "context elements",
        [{"type": "context", "elements": [mrkdwn()] * 10}],
        [{"type": "context", "elements": [mrkdwn()] * 11}],
        "/blocks/0/elements",
    ),
    (
        "context with a button",
        [{"type": "context", "elements": [mrkdwn()]}],
        [{"type": "context", "elements": [button()]}],
        "/blocks/0/elements/0/type",
    ),
    ("actions elements", [actions(*buttons(25))], [actions(*buttons(26))], "/blocks/0/elements"),
    ("actions empty", [actions(button())], [actions()], "/blocks/0/elements"),
    (
        "action_id twice",
        [actions(button(), button(action_id="other"))],
        [actions(button(), button())],
        "/blocks/0/elements/1/action_id",
    ),
    (
        "block_id twice",
        [section(block_id="a"), section(block_id="b")],
        [section(block_id="a"), section(block_id="a")],
        "/blocks/1/block_id",
    ),
    ("block_id", [section(block_id="x" * 255)], [section(block_id="x" * 256)], "/blocks/0/block_id"),
    (
        "action_id",
        [actions(button(action_id="x" * 255))],
        [actions(button(action_id="x" * 256))],
        "/blocks/0/elements/0/action_id",
    ),
    (
        "button text",
        [actions(button(text=plain("x" * 75)))],
        [actions(button(text=plain("x" * 76)))],
        "/blocks/0/elements/0/text/text",
    ),
    (
        "button text kind",
        [actions(button())],
        [actions(button(text=mrkdwn()))],
        "/blocks/0/elements/0/text/type",
    ),
    (
        "button value",
        [actions(button(value="x" * 2000))],
        [actions(button(value="x" * 2001))],
        "/blocks/0/elements/0/value",
    ),
    (
        "button url",
        [actions(button(url="x" * 3000))],
        [actions(button(url="x" * 3001))],
        "/blocks/0/elements/0/url",
    ),
    (
        "button style",
        [actions(button(style="danger"))],
        [actions(button(style="default"))],
        "/blocks/0/elements/0/style",
    ),
    (
        "accessibility label",
        [actions(button(accessibility_label="x" * 75))],
        [actions(button(accessibility_label="x" * 76))],
        "/blocks/0/elements/0/accessibility_label",
    ),
    (
        "visible_to_user_ids",
        [actions(button(visible_to_user_ids=["U1"] * 10))],
        [actions(button(visible_to_user_ids=["U1"] * 11))],
        "/blocks/0/elements/0/visible_to_user_ids",
    ),
    *[
        (
            f"confirm {key}",
            [actions(button(confirm=confirm(**{key: plain("x" * longest)})))],
            [actions(button(confirm=confirm(**{key: plain("x" * (longest + 1))})))],
            f"/blocks/0/elements/0/confirm/{key}/text",
        )
        for key, longest in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30))
    ],
    (
        "confirm style",
        [actions(button(confirm=confirm(style="primary")))],
        [actions(button(confirm=confirm(style="warning")))],
        "/blocks/0/elements/0/confirm/style",
    ),
    (
        "option text",
        [actions(select(options=[option("x" * 75)]))],
        [actions(select(options=[option("x" * 76)]))],
        "/blocks/0/elements/0/options/0/text/text",
    ),
    (
        "option value",
        [actions(select(options=[option(value="x" * 150)]))],
        [actions(select(options=[option(value="x" * 151)]))],
        "/blocks/0/elements/0/options/0/value",
    ),
    (
        "option description",
        [actions(select(options=[option(description=plain("x" * 75))]))],
        [actions(select(options=[option(description=plain("x" * 76))]))],
        "/blocks/0/elements/0/options/0/description/text",
    ),
    (
        "options",
        [actions(select(options=[option()] * 100))],
        [actions(select(options=[option()] * 101))],
        "/blocks/0/elements/0/options",
    ),
    (
        "option groups",
        [actions(select(options=None, option_groups=[{"label": plain(), "options": [option()]}] * 100))],
        [actions(select(options=None, option_groups=[{"label": plain(), "options": [option()]}] * 101))],
        "/blocks/0/elements/0/option_groups",
    ),
    (
        "options and groups",
        [actions(select())],
        [actions(select(option_groups=[{"label": plain(), "options": [option()]}]))],
        "/blocks/0/elements/0",
    ),
    (
        "placeholder",
        [actions(select(placeholder=plain("x" * 150)))],
        [actions(select(placeholder=plain("x" * 151)))],
        "/blocks/0/elements/0/placeholder/text",
    ),
    (
        "overflow options",
        [actions({"type": "overflow", "options": [option()] * 5})],
        [actions({"type": "overflow", "options": [option()] * 6})],
        "/blocks/0/elements/0/options",
    ),
    *[
        (
            kind,
            [actions({"type": kind, "options": [option()] * 10})],
            [actions({"type": kind, "options": [option()] * 11})],
            "/blocks/0/elements/0/options",
        )
        for kind in ("checkboxes", "radio_buttons")
    ],
    ("image url", [image(image_url="x" * 3000)], [image(image_url="x" * 3001)], "/blocks/0/image_url"),
    ("image alt_text", [image(alt_text="x" * 2000)], [image(alt_text="x" * 2001)], "/blocks/0/alt_text"),
    ("image title", [image(title=plain("x" * 2000))], [image(title=plain("x" * 2001))], "/blocks/0/title/text"),
    ("image without alt_text", [image()], [{"type": "image", "image_url": "https://x.example"}], "/blocks/0"),
    ("table rows", [table(100)], [table(101)], "/blocks/0/rows"),
    ("table columns", [table(1, 20)], [table(1, 21)], "/blocks/0/rows/0"),
    ("table characters", [table(1, 1, "x" * 10_000)], [table(1, 1, "x" * 10_001)], "/blocks/0"),
    ("two tables", [table(1)], [table(1), table(1)], "/blocks/1"),
    ("empty cell", [table(1)], [table(1, 1, "")], "/blocks/0/rows/0/0/text"),
    (
        "column settings",
        [{**table(1), "column_settings": [None] * 20}],
        [{**table(1), "column_settings": [None] * 21}],
        "/blocks/0/column_settings",
    ),
    (
        "column alignment",
        [{**table(1), "column_settings": [{"align": "right"}]}],
        [{**table(1), "column_settings": [{"align": "middle"}]}],
        "/blocks/0/column_settings/0/align",
    ),
    ("data_table rows", [data_table(200)], [data_table(201)], "/blocks/0/rows"),
    ("data_table without rows", [data_table(1)], [data_table(0)], "/blocks/0/rows"),
    ("data_table columns", [data_table(1, 20)], [data_table(1, 21)], "/blocks/0/rows/0"),
    ("data_table characters", [data_table(1, 1, "x" * 19_999)], [data_table(1, 1, "x" * 20_000)], "/blocks/0"),
    (
        "data_table characters over blocks",
        [data_table(1, 1, "x" * 9_000), data_table(1, 1, "x" * 9_000)],
        [data_table(1, 1, "x" * 11_000), data_table(1, 1, "x" * 11_000)],
        "/blocks/1",
    ),
    ("data_table empty cell", [data_table(1)], [data_table(1, 1, "")], "/blocks/0/rows/1/0/text"),
    ("data_table caption", [data_table(1)], [{**data_table(1), "caption": None}], "/blocks/0"),
    ("page_size", [data_table(1, page_size=100)], [data_table(1, page_size=101)], "/blocks/0/page_size"),
    ("page_size 0", [data_table(1, page_size=1)], [data_table(1, page_size=0)], "/blocks/0/page_size"),
    (
        "data_table row shorter than the header",
        [data_table(1, 2)],
        [changed(data_table(1, 2), "rows", 1, to=[raw()])],
        "/blocks/0/rows/1",
    ),
    (
        "data_table rich text header",
        [changed(data_table(1), "rows", 1, 0, to=rich(rich_section()))],
        [changed(data_table(1), "rows", 0, 0, to=rich(rich_section()))],
        "/blocks/0/rows/0/0/type",
    ),
    (
        "data_table number as text",
        [changed(data_table(1), "rows", 1, 0, to=raw_number())],
        [changed(data_table(1), "rows", 1, 0, to=raw_number("1"))],
        "/blocks/0/rows/1/0/value",
    ),
    (
        "data_table row header",
        [data_table(1, 2, row_header_column_index=1)],
        [data_table(1, 2, row_header_column_index=2)],
        "/blocks/0/row_header_column_index",
    ),
    ("charts", [chart()] * 2, [chart()] * 3, "/blocks/2"),
    ("chart title", [chart(title="x" * 50)], [chart(title="x" * 51)], "/blocks/0/title"),
    ("chart series", [chart(series=12)], [chart(series=13)], "/blocks/0/chart/series"),
    ("chart points", [chart(points=20)], [chart(points=21)], "/blocks/0/chart/series/0/data"),
    ("chart series name", [chart(name="x" * 19)], [chart(name="x" * 20)], "/blocks/0/chart/series/0/name"),
    ("chart kind", [chart(kind="area")], [chart(kind="donut")], "/blocks/0/chart/type"),
    (
        "chart label outside the axis",
        [chart()],
        [changed(chart(), "chart", "axis_config", "categories", to=["other"])],
        "/blocks/0/chart/series/0/data",
    ),
    (
        "chart series named twice",
        [chart(series=2)],
        [changed(chart(series=2), "chart", "series", 1, "name", to="s0")],
        "/blocks/0/chart/series/1/name",
    ),
    (
        "plan tasks",
        [plan(*[task(task_id=str(number)) for number in range(50)])],
        [plan(*[task(task_id=str(number)) for number in range(51)])],
        "/blocks/0/tasks",
    ),
    ("task status", [plan(task(status="pending"))], [plan(task(status="done"))], "/blocks/0/tasks/0/status"),
    ("task_card pending on its own", [task()], [task(status="pending")], "/blocks/0/status"),
    ("two plans", [plan(task())], [plan(task()), plan(task())], "/blocks/1"),
    ("plan title", [plan(task())], [{**plan(task()), "title": plain()}], "/blocks/0/title"),
    (
        "task without type",
        [plan({"task_id": "1", "title": "t", "status": "pending"})],
        [plan({"type": "section", "task_id": "1", "title": "t", "status": "pending"})],
        "/blocks/0/tasks/0/type",
    ),
    ("task twice", [plan(task())], [plan(task(), task())], "/blocks/0/tasks/1/task_id"),
    (
        "markdown over blocks",
        [{"type": "markdown", "text": "x" * 12_000}],
        [{"type": "markdown", "text": "x" * 6_001}] * 2,
        "/blocks/1",
    ),
    ("rich text empty", [rich(rich_section())], [rich(rich_section(""))], "/blocks/0/elements/0/elements/0/text"),
    (
        "rich text list style",
        [rich({"type": "rich_text_list", "style": "bullet", "elements": [rich_section()]})],
        [rich({"type": "rich_text_list", "style": "square", "elements": [rich_section()]})],
        "/blocks/0/elements/0/style",
    ),
    (
        "rich text date",
        [rich(changed(rich_section(), "elements", 0, to={"type": "date", "timestamp": 1, "format": "{date}"}))],
        [rich(changed(rich_section(), "elements", 0, to={"type": "date", "timestamp": "1", "format": "{date}"}))],
        "/blocks/0/elements/0/elements/0/timestamp",
    ),
    (
        "preformatted holds text",
        [rich({**rich_section(), "type": "rich_text_preformatted"})],
        [rich({"type": "rich_text_preformatted", "elements": [{"type": "user", "user_id": "U1"}]})],
        "/blocks/0/elements/0/elements/0/type",
    ),
    (
        "container children",
        [{"type": "container", "title": plain(), "child_blocks": [section()] * 10}],
        [{"type": "container", "title": plain(), "child_blocks": [section()] * 11}],
        "/blocks/0/child_blocks",
    ),
    (
        "container holds no data_table",
        [{"type": "container", "title": plain(), "child_blocks": [section()]}],
        [{"type": "container", "title": plain(), "child_blocks": [data_table(1)]}],
        "/blocks/0/child_blocks/0/type",
    ),
    (
        "card body",
        [{"type": "card", "body": mrkdwn("x" * 200)}],
        [{"type": "card", "body": mrkdwn("x" * 201)}],
        "/blocks/0/body/text",
    ),
    (
        "card actions",
        [{"type": "card", "title": plain(), "actions": buttons(3)}],
        [{"type": "card", "title": plain(), "actions": buttons(4)}],
        "/blocks/0/actions",
    ),
    (
        "carousel",
        [{"type": "carousel", "elements": [{"type": "card", "title": plain()}] * 10}],
        [{"type": "carousel", "elements": [{"type": "card", "title": plain()}] * 11}],
        "/blocks/0/elements",
    ),
    ("alert in a message", [section()], [{"type": "alert", "text": plain()}], "/blocks/0/type"),
    ("accessory", [section(accessory=button())], [section(accessory=section())], "/blocks/0/accessory/type"),
]


@pytest.mark.parametrize(("taken", "refused", "pointer"), [case[1:] for case in MESSAGE], ids=[c[0] for c in MESSAGE])
def test_a_message_is_refused_one_step_beyond_the_limit_and_taken_at_it(taken, refused, pointer):
    assert message_problems(taken) == []
    assert pointer in [problem.pointer for problem in message_problems(refused)]


def modal(*blocks, **more):
    return {"type": "modal", "title": plain("t"), "blocks": list(blocks) or [section()], **more}


def home(*blocks, **more):
    return {"type": "home", "blocks": list(blocks) or [section()], **more}


def text_input(label="l", hint="h", **more):
    element = {"type": "plain_text_input", "action_id": "text", **more}
    return {"type": "input", "label": plain(label), "hint": plain(hint), "element": element}


def asked(kind, **more):
    return {"type": "input", "label": plain(), "element": {"type": kind, **more}}


def container():
    return {"type": "container", "title": plain(), "child_blocks": [section()]}


def asking(**more):
    return modal(text_input(**more), submit=plain("Go"))


VIEW = [
    ("modal blocks", modal(*repeated(section(), 100)), modal(*repeated(section(), 101)), "/view/blocks"),
    ("home blocks", home(*repeated(section(), 100)), home(*repeated(section(), 101)), "/view/blocks"),
    ("title", modal(title=plain("x" * 24)), modal(title=plain("x" * 25)), "/view/title/text"),
    ("title missing", modal(), {**modal(), "title": None}, "/view"),
    ("submit", modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25)), "/view/submit/text"),
    ("close", modal(close=plain("x" * 24)), modal(close=plain("x" * 25)), "/view/close/text"),
    ("private_metadata", modal(private_metadata="x" * 3000), modal(private_metadata="x" * 3001), "/view/private_metadata"),
    ("callback_id", modal(callback_id="x" * 255), modal(callback_id="x" * 256), "/view/callback_id"),
    ("external_id", modal(external_id="x" * 255), modal(external_id="x" * 256), "/view/external_id"),
    ("kind", modal(), {**modal(), "type": "window"}, "/view/type"),
    ("unknown key", modal(), modal(titel="x"), "/view/titel"),
    ("input without submit", asking(), modal(text_input()), "/view"),
    ("label", asking(label="x" * 2000), asking(label="x" * 2001), "/view/blocks/0/label/text"),
    ("hint", asking(hint="x" * 2000), asking(hint="x" * 2001), "/view/blocks/0/hint/text"),
    ("max_length", asking(max_length=3000), asking(max_length=3001), "/view/blocks/0/element/max_length"),
    ("alert", modal({"type": "alert", "text": plain("x" * 200)}), modal({"type": "alert", "text": plain("x" * 201)}), "/view/blocks/0/text/text"),
    ("alert level", modal({"type": "alert", "text": plain(), "level": "error"}), modal({"type": "alert", "text": plain(), "level": "bad"}), "/view/blocks/0/level"),
    ("data_table in a modal", home(data_table(1)), modal(data_table(1)), "/view/blocks/0/type"),
    ("chart in a modal", modal(), modal(chart()), "/view/blocks/0/type"),
    ("chart in Home", home(), home(chart()), "/view/blocks/0/type"),
    ("table in a modal", home(table(1)), modal(table(1)), "/view/blocks/0/type"),
    ("container in a modal", home(container()), modal(container()), "/view/blocks/0/type"),
    ("number in Home", modal(asked("number_input", is_decimal_allowed=False), submit=plain("Go")), home(asked("number_input", is_decimal_allowed=False)), "/view/blocks/0/element/type"),
    ("date and time in Home", modal(asked("datetimepicker"), submit=plain("Go")), home(asked("datetimepicker")), "/view/blocks/0/element/type"),
    ("two in focus", modal(asked("plain_text_input", focus_on_load=True), asked("plain_text_input"), submit=plain("Go")), modal(*[asked("plain_text_input", focus_on_load=True)] * 2, submit=plain("Go")), "/view/blocks/1/element/focus_on_load"),
    ("plan in Home", home(), home(plan(task())), "/view/blocks/0/type"),
    ("markdown in a modal", modal(), modal({"type": "markdown", "text": "x"}), "/view/blocks/0/type"),
    ("alert in Home", home(), home({"type": "alert", "text": plain()}), "/view/blocks/0/type"),
    ("button in an input", asking(), modal({**text_input(), "element": button()}, submit=plain("Go")), "/view/blocks/0/element/type"),
]  # fmt: skip


@pytest.mark.parametrize(("taken", "refused", "pointer"), [case[1:] for case in VIEW], ids=[case[0] for case in VIEW])
def test_a_view_is_refused_one_step_beyond_the_limit_and_taken_at_it(taken, refused, pointer):
    assert view_problems(taken) == []
    assert pointer in [problem.pointer for problem in view_problems(refused)]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "rows", "blocks", "chart"]), children, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES)
def test_no_nonsense_brings_the_checker_down(nonsense):
    for problem in message_problems([nonsense]):
        assert problem.pointer.startswith("/blocks")
    if not isinstance(nonsense, dict):
        assert message_problems([nonsense])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([case[1] for case in MESSAGE]), st.data())
def test_a_good_message_with_one_nonsense_value_is_checked_without_falling_over(blocks, data):
    broken = copy.deepcopy(blocks)
    node = data.draw(st.sampled_from(list(_containers(broken))))
    key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
    node[key] = data.draw(JSON_VALUES)
    for problem in message_problems(broken):
        assert problem.pointer.startswith("/blocks")


def _containers(node):
    if node and isinstance(node, dict | list):
        yield node
        for child in node.values() if isinstance(node, dict) else node:
            yield from _containers(child)
