"""Messages of which a page is too large to be read: what any member of a channel can write there, or an app of theirs."""

from lab.slack.model import Message
from lab.slack.workspace import Workspace

EMOJI = 10_000
"""As many as 40,000 characters hold, which a member posts by a token of their own; typed, the same takes eleven messages."""


def emoji(workspace: Workspace, channel: str = "C0OPS", messages: int = 6, thread_ts: str | None = None) -> list[str]:
    """Write emoji, which Slack gives back as an object each, and tell the ts of these messages."""
    said = [
        Message(channel, workspace.next_ts(), "U0VIEWER", ":+1:" * EMOJI, thread_ts=thread_ts) for _ in range(messages)
    ]
    return [workspace.post(one).ts for one in said]


def too_large(workspace: Workspace, channel: str = "C0OPS", thread_ts: str | None = None) -> str:
    """Write a message that cannot be read even alone, as an app does, and tell its ts."""
    section = {"type": "rich_text_section", "elements": [{"type": "emoji", "name": "+1", "unicode": "1f44d"}] * 1_000}
    blocks = [{"type": "rich_text", "block_id": f"b{at}", "elements": [section] * 2} for at in range(30)]
    message = Message(channel, workspace.next_ts(), "U0VIEWER", "much", blocks, thread_ts=thread_ts)
    return workspace.post(message).ts
