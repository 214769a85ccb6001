"""What a workspace consists of: members, groups, channels, messages, files, views, commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]
"""A JSON object as it travels: keys are Slack's own."""

TEAM = "T0PRACTICE"
TEAM_DOMAIN = "practice"
APP = "A0PRACTICE"
BOT = "B0PRACTICE"
BOT_USER = "U0BOT"
SLACKBOT = "USLACKBOT"
NO_FALLBACK = "This content can't be displayed."
"""What Slack writes into `text` when an app sends blocks and no text."""


class Refusal(Exception):
    """The Web API says no.

    Attributes:
        error: Slack's word for it, such as "channel_not_found".
        more: further keys of the answer.
        status: the HTTP status; Slack says 200 for nearly everything.
        headers: further headers, such as Retry-After.
    """

    def __init__(
        self, error: str, more: JSON | None = None, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.error = error
        self.more = more or {}
        self.status = status
        self.headers = headers or {}

    def answer(self) -> JSON:
        """The JSON body."""
        return {"ok": False, "error": self.error, **self.more}


@dataclass
class Member:
    """A person, or the app's bot user.

    Attributes:
        deleted: the account is deactivated. Slack then leaves out what it could do, and keeps it in its user groups
            [mem] until somebody takes it out.
        is_restricted: a guest of several channels. `is_ultra_restricted` is one of a single channel, who is both.
    """

    id: str
    name: str
    real_name: str
    is_bot: bool = False
    time_zone: str = "Etc/UTC"
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False


@dataclass
class Group:
    """A user group; `handle` is what people type after the @."""

    id: str
    handle: str
    name: str
    users: list[str]


@dataclass
class Channel:
    """A channel, or a direct conversation (`kind` "dm")."""

    id: str
    name: str
    members: list[str]
    kind: str = "channel"
    topic: str = ""
    is_private: bool = False

    def other_side(self, member: str) -> str | None:
        """In a direct conversation: who the other one is."""
        others = [user for user in self.members if user != member]
        return others[0] if self.kind == "dm" and others else None


@dataclass
class StoredFile:
    """A file after its upload was completed; before that it belongs to nobody."""

    id: str
    name: str
    title: str
    data: bytes
    mimetype: str
    user: str
    shared_in: list[str] = field(default_factory=list)


@dataclass
class Message:
    """One message. `only_for` makes it an ephemeral of that member."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[JSON] = field(default_factory=list)
    attachments: list[JSON] = field(default_factory=list)
    thread_ts: str | None = None
    only_for: str | None = None
    edited: bool = False
    files: list[str] = field(default_factory=list)
    metadata: JSON | None = None
    state: JSON = field(default_factory=dict)
    trouble: str = ""


@dataclass
class View:
    """A modal in a person's stack, or the person's Home.

    Attributes:
        payload: what the app sent, with block ids filled in.
        state: block_id -> action_id -> value of the element, as Slack sends it.
        offered: block_id -> the options that the app gave last for a menu that asks it.
    """

    id: str
    user: str
    payload: JSON
    hash: str
    root: str
    previous: str | None = None
    state: JSON = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    offered: dict[str, list[JSON]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What kind of view it is: "modal" or "home"."""
        return str(self.payload["type"])

    @property
    def blocks(self) -> list[JSON]:
        """The blocks shown."""
        return list(self.payload["blocks"])


@dataclass(frozen=True)
class SlashCommand:
    """A command that an app registered through its manifest."""

    command: str
    description: str
    usage_hint: str = ""
    should_escape: bool = False
