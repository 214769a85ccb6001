import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot.control_chars import escape_control_chars


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_json_says_the_same_without_a_character_that_a_terminal_obeys(text):
    written = escape_control_chars(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == json.loads(json.dumps(text))
    assert not {unicodedata.category(one) for one in written} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_every_such_character_there_is():
    unreadable = [chr(one) for one in range(sys.maxunicode + 1) if unicodedata.category(chr(one)) in ("Cc", "Cf")]
    left = [one for one in unreadable if escape_control_chars(one) == one and one not in "\t\n"]
    assert left == []
