"""Whatever does not fit steps down, and its words stay."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.slack.outbound import limits
from bot.slack.outbound.blockkit_fitting import (
    as_text,
    downgrade,
    fit,
    fit_view,
    plain_text_fallback,
    preformatted,
    texts,
)
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import (
    Message,
    escape,
    escape_control,
    escape_control_lines,
    split,
    truncate,
    unescape,
    utf16_length,
)
from bot.slack.render.blocks import actions, button, sections


def table(rows, text="cell"):
    cells = [
        [{"type": "raw_text", "text": f"{text} {at}"}, {"type": "raw_number", "value": at, "text": str(at)}]
        for at in range(rows)
    ]
    head = [{"type": "raw_text", "text": "A"}, {"type": "raw_text", "text": "B"}]
    return {"type": "data_table", "caption": "c", "page_size": 10, "rows": [head, *cells]}


def kinds(message):
    return [block["type"] for block in message.blocks]


def test_a_data_table_steps_down_to_table_then_text_then_file_then_plain():
    message = fit(Message("the point", (table(20), *actions([button("Check Again", "look-again", "t")]))))
    assert kinds(message) == ["data_table", "actions"]
    message = downgrade(message)
    assert kinds(message) == ["table", "actions"]
    assert message.blocks[0]["column_settings"][1] == {"align": "right", "is_wrapped": False}
    message = downgrade(message)
    assert kinds(message) == ["rich_text", "actions"]
    assert "cell 19\t19" in next(texts(message.blocks[0]))
    message = downgrade(message)
    assert kinds(message) == ["context", "actions"]
    assert b"cell 19\t19" in message.files[0].content
    message = downgrade(message)
    assert kinds(message) == []
    assert message.text == "the point"
    assert downgrade(message) is None


def test_a_table_too_long_for_a_table_becomes_text_or_a_file():
    shown = fit(Message("t", (table(150),)))
    assert "cell 149\t149" in as_text(shown) + "".join(file.content.decode() for file in shown.files)
    endless = fit(Message("t", (table(5_000),)))
    assert b"cell 4999\t4999" in endless.files[0].content
    assert "part-1.txt" in as_text(endless)


def test_too_many_blocks_keep_the_buttons_and_put_the_whole_into_a_file():
    many = tuple(block for at in range(80) for block in sections(f"part {at}"))
    message = fit(Message("t", (*many, *actions([button("Check Again", "look-again", "t")]))))
    assert len(message.blocks) == 50
    assert kinds(message)[-2:] == ["context", "actions"]
    assert all(f"part {at}" in message.files[0].content.decode() for at in range(80))


def test_only_one_plain_table_per_message():
    message = downgrade(fit(Message("t", (table(2), table(3)))))
    assert kinds(message) == ["table", "rich_text"]


def test_a_view_too_large_says_that_there_is_more():
    blocks = [block for at in range(150) for block in sections(f"part {at}")]
    view = fit_view({"type": "home", "blocks": blocks})
    assert not problems(view)
    assert "more than Slack shows" in view["blocks"][-1]["elements"][0]["text"]
    heavy = fit_view({"type": "home", "blocks": list(preformatted("\U0001f525" * 200_000))})
    assert not problems(heavy)


anything = st.text(max_size=300) | st.sampled_from(["<!channel>&" * 400, "\U0001f525" * 3_000, "a b\n" * 2_000])


@settings(max_examples=80, deadline=None)
@given(anything, st.integers(8, 400))
@example("&\U00016800", 8)
@example("\U00016800&\U00016800<\U00016800", 8)
def test_split_loses_nothing_but_blanks_and_cuts_no_entity(text, most):
    pieces = split(escape(text, lines=True), most)
    assert all(utf16_length(piece) <= most for piece in pieces)
    kept = "".join("".join(unescape(piece).split()) for piece in pieces)
    assert kept == "".join(unescape(escape(text, lines=True)).split())


@settings(max_examples=80, deadline=None)
@given(anything, st.integers(2, 400))
def test_clip_keeps_the_limit(text, most):
    assert utf16_length(truncate(text, most)) <= most


@pytest.mark.parametrize(("character", "units"), [("x", 1), ("\U0001f525", 2)])
@pytest.mark.parametrize("over", [-1, 0, 1, 2])
def test_a_header_holds_as_many_units_as_slack_says(character, units, over):
    text = character * (limits.HEADER_TEXT // units + over)
    found = problems([{"type": "header", "text": {"type": "plain_text", "text": text}}])
    assert bool(found) == (over > 0)


def test_a_line_of_many_stays_one_line():
    assert escape_control_lines(["a\nGate: passed", "b\u202ec"]) == "a Gate: passed\nb⟨U+202E⟩c"


def test_what_cannot_be_seen_is_shown():
    assert escape_control("safe\u202egpj.exe") == "safe⟨U+202E⟩gpj.exe"
    assert escape_control("a\nb\tc\r") == "a b c"
    assert escape_control("a\nb", lines=True) == "a\nb"
    assert escape("<!channel> & \x1b[31m") == "&lt;!channel&gt; &amp; ⟨U+001B⟩[31m"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("*APPROVED*", "∗APPROVED∗"),
        ("_x_ ~y~ `z`", "\uff3fx\uff3f ∼y∼ ˋzˋ"),
        ("my_vm_01", "my_vm_01"),
        ("2*3 a~b", "2*3 a~b"),
        ("crm-01 *held* now", "crm-01 ∗held∗ now"),
    ],
)
def test_a_name_formats_nothing_around_it(name, shown):
    assert escape(name) == shown


def test_what_the_text_says_in_full_is_not_said_once_more_in_a_file():
    line = Message("T-7 starts. (entry 108)", sections("*T-7* starts. (entry 108)"))
    assert plain_text_fallback(line) == Message(line.text)
    more = Message(line.text, sections("*T-7* starts, and locks node hv03. (entry 108)"))
    (file,) = plain_text_fallback(more).files
    assert b"locks node hv03" in file.content
