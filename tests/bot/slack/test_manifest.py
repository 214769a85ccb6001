"""The manifest is one that Slack takes."""

import json
from dataclasses import dataclass

import pytest

from bot.errors import SettingsError
from bot.slack.manifest import BOT_SCOPES, manifest, manifest_yaml
from lab.slack.manifest import read_manifest


@dataclass(frozen=True)
class Listed:
    name: str
    help: str = "Say something."
    hint: str = "<cluster|host>"


def test_every_command_is_there_escaped_with_its_usage():
    made = manifest([Listed("check-writers"), Listed("drain-node", hint="")])
    commands = made["features"]["slash_commands"]
    assert [one["command"] for one in commands] == ["/hvops", "/audit", "/check-writers", "/drain-node"]
    assert commands[2] == {
        "command": "/check-writers",
        "description": "Say something.",
        "usage_hint": "<cluster|host>",
        "should_escape": True,
    }
    assert "usage_hint" not in commands[3]
    assert all(one["should_escape"] for one in commands)


def test_the_practice_slack_installs_it():
    installed = read_manifest(manifest([Listed("check-writers")]))
    assert installed.scopes == frozenset(BOT_SCOPES)
    assert installed.events == {"app_home_opened", "app_mention"}
    assert installed.interactive


@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ([Listed(f"command-{at}") for at in range(49)], "51 slash commands"),
        ([Listed("x" * 40)], "no command name"),
        ([Listed("Check-Writers")], "no command name"),
        ([Listed("a"), Listed("a")], "/a twice"),
        ([Listed("hvops")], "/hvops twice"),
        ([Listed("audit")], "/audit twice"),
        ([Listed("a", help="")], "description of /a"),
        ([Listed("a", hint="x" * 1_001)], "usage hint of /a"),
    ],
)
def test_what_slack_would_refuse_is_refused_here(commands, says):
    with pytest.raises(SettingsError, match=says):
        manifest(commands)


def test_the_yaml_says_the_same():
    commands = [Listed("check-writers", 'Say "stuck": yes, or # no.')]
    assert read_yaml(manifest_yaml(commands)) == manifest(commands)


def read_yaml(text):
    """Just enough YAML for our own: blocks by indent, scalars as JSON."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]

    def block(at, depth):
        indent = "  " * depth
        if lines[at].startswith(f"{indent}- "):
            items = []
            while at < len(lines) and lines[at].startswith(f"{indent}- "):
                rest = lines[at][len(indent) + 2 :]
                if rest.startswith('"'):
                    items.append(json.loads(rest))
                    at += 1
                else:
                    lines[at] = f"{indent}  {rest}"
                    item, at = block(at, depth + 1)
                    items.append(item)
            return items, at
        made = {}
        while at < len(lines) and lines[at].startswith(indent) and not lines[at].startswith(f"{indent} "):
            key, _, rest = lines[at].strip().partition(":")
            if rest:
                made[key] = json.loads(rest)
                at += 1
            else:
                made[key], at = block(at + 1, depth + 1)
        return made, at

    return block(0, 0)[0]
