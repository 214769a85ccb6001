"""The app's manifest: commands, scopes, events, and the limits that Slack sets to them.

Numbers are those of Slack's published manifest schema: at most 50 slash commands, a command of 2 to 32 characters that
begins with "/", a description up to 2,000 and a usage hint up to 1,000 characters, a name up to 35.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.slack.model import JSON, SlashCommand

MOST_COMMANDS = 50
LONGEST_COMMAND = 32
LONGEST_DESCRIPTION = 2_000
LONGEST_HINT = 1_000
LONGEST_NAME = 35

EVERYTHING: JSON = {
    "display_information": {"name": "hvops"},
    "features": {"bot_user": {"display_name": "hvops"}, "slash_commands": []},
    "oauth_config": {
        "scopes": {
            "bot": [
                "app_mentions:read",
                "chat:write",
                "commands",
                "files:write",
                "im:history",
                "im:write",
                "usergroups:read",
                "users:read",
            ]
        }
    },
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened", "app_mention", "message.im"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}
"""What the workspace assumes until an app brings its own manifest."""


@dataclass(frozen=True)
class Manifest:
    """An installed app, as the workspace knows it."""

    name: str
    commands: tuple[SlashCommand, ...]
    scopes: frozenset[str]
    events: frozenset[str]
    interactive: bool


def read_manifest(manifest: JSON) -> Manifest:
    """Read an app manifest as Slack would on installation.

    Args:
        manifest: the manifest's JSON (YAML already parsed).

    Raises:
        ValueError: a limit is broken; the sentence names the place in the manifest.
    """
    features = manifest.get("features", {})
    settings = manifest.get("settings", {})
    name = manifest.get("display_information", {}).get("name", "")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"/display_information/name: 1 to {LONGEST_NAME} characters, not {len(name)}")
    commands = [_command(entry, at) for at, entry in enumerate(features.get("slash_commands", []))]
    if len(commands) > MOST_COMMANDS:
        raise ValueError(f"/features/slash_commands: at most {MOST_COMMANDS}, not {len(commands)}")
    if len({command.command for command in commands}) != len(commands):
        raise ValueError("/features/slash_commands: a command is registered twice")
    return Manifest(
        name=features.get("bot_user", {}).get("display_name", name),
        commands=tuple(commands),
        scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
        events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
        interactive=bool(settings.get("interactivity", {}).get("is_enabled", False)),
    )


def _command(entry: JSON, at: int) -> SlashCommand:
    where = f"/features/slash_commands/{at}"
    command, description = entry.get("command", ""), entry.get("description", "")
    hint = entry.get("usage_hint", "")
    if not (command.startswith("/") and 2 <= len(command) <= LONGEST_COMMAND) or command != command.lower():  # noqa: PLR2004 - "/x" is the shortest
        raise ValueError(f"{where}/command: begins with /, lower case, 2 to {LONGEST_COMMAND} characters: {command!r}")
    if any(character.isspace() for character in command):
        raise ValueError(f"{where}/command: no spaces: {command!r}")
    if not 1 <= len(description) <= LONGEST_DESCRIPTION:
        raise ValueError(f"{where}/description: 1 to {LONGEST_DESCRIPTION} characters, not {len(description)}")
    if len(hint) > LONGEST_HINT:
        raise ValueError(f"{where}/usage_hint: at most {LONGEST_HINT} characters, not {len(hint)}")
    return SlashCommand(command, description, hint, bool(entry.get("should_escape", False)))
