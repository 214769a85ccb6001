"""The manifest is read as the bot writes it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.slack.manifest import manifest, manifest_yaml
from lab.app_manifest import read


class Listed:
    def __init__(self, name: str, says: str, hint: str) -> None:
        self.name, self.help, self.hint = name, says, hint


text = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40)
listed = st.builds(Listed, st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True), text, text | st.just(""))


@settings(max_examples=60, deadline=None)
@given(st.lists(listed, max_size=4, unique_by=lambda one: one.name))
def test_what_the_bot_writes_is_read_back(commands: Any):
    commands = [one for one in commands if one.name != "hvops"]
    assert read(manifest_yaml(commands)) == manifest(commands)


def test_json_is_read_too():
    assert read(json.dumps({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize("nonsense", ["- 1\n- 2\n", "a: 1\n  b: 2\n", "a: nothing\n", "a:\n", ""])
def test_anything_else_is_refused(nonsense):
    with pytest.raises((ValueError, IndexError)):
        read(nonsense)
