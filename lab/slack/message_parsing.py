"""What Slack makes of a line that a person typed: a command, or a message with mentions and escaped characters."""

from __future__ import annotations

import re

from lab.slack.workspace import Workspace

AT = re.compile(r"(?<![\w<])@([A-Za-z0-9][\w.-]*)")
HASH = re.compile(r"(?<![\w<])#([a-z0-9][\w-]*)")
ADDRESS = re.compile(r"(?<![\w<|/])(https?://[^\s<>|]+)")


def escaped(text: str) -> str:
    """Text with `&`, `<` and `>` as Slack hands them to apps."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_sent(workspace: Workspace, text: str) -> str:
    """A message as apps receive it: @names, #channels and links in angle brackets, the rest escaped."""
    text = escaped(text)
    text = AT.sub(lambda match: _mention(workspace, match), text)
    text = HASH.sub(lambda match: _channel(workspace, match), text)
    return ADDRESS.sub(lambda match: f"<{match[1]}>", text)


def split_command(line: str) -> tuple[str, str]:
    """A command line's command, in lower case, and the rest."""
    command, _, rest = line.strip().partition(" ")
    return command.lower(), rest.strip()


def _mention(workspace: Workspace, match: re.Match[str]) -> str:
    name = match[1].rstrip(".")
    if name in ("channel", "here", "everyone"):
        return f"<!{name}>"
    for member in workspace.members.values():
        if member.name == name:
            return f"<@{member.id}>" + match[1][len(name) :]
    for group in workspace.groups.values():
        if group.handle == name:
            return f"<!subteam^{group.id}>" + match[1][len(name) :]
    return match[0]


def _channel(workspace: Workspace, match: re.Match[str]) -> str:
    for channel in workspace.channels.values():
        if channel.kind == "channel" and channel.name == match[1]:
            return f"<#{channel.id}|{channel.name}>"
    return match[0]
