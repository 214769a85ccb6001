"""Entities are read whatever somebody else wrote."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.texts import replace_lone_surrogates, unescape


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("&#65;&#x41;&#X41;&amp;&lt;", "AAA&<"),
        ("&#" + "0" * 5_000 + "65;", "A"),  # as XML allows it
        ("&#" + "9" * 5_000 + ";", "\ufffd"),
        ("&#x" + "9" * 5_000 + ";", "\ufffd"),
        ("&#" + "9" * 5_000, "\ufffd"),
        ("&#" + "0" * 5_000 + ";", "\ufffd"),
        ("&#1114112;&#99999999;&#123456789;", "\ufffd\ufffd\ufffd"),
    ],
)
def test_an_entity_of_any_length_is_read(written, text):
    assert unescape(f"a{written}b") == f"a{text}b"


@given(st.lists(st.sampled_from(["&", "#", "x", "0", "9", "65", ";", "amp", " ", "0000000041"])).map("".join))
def test_all_others_are_read_as_ever(text):
    assert unescape(text) == html.unescape(text)


def test_half_a_character_is_one_that_cannot_be_read():
    assert replace_lone_surrogates("a\ud800b \udc00") == "a\ufffdb \ufffd"
    assert replace_lone_surrogates("\ud83d\ude00 é 😀") == "😀 é 😀"
    assert replace_lone_surrogates("") == ""
