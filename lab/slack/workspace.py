"""The state of the practice workspace, and every way it changes.

Nothing here knows of HTTP. The Web API, Socket Mode and the people all change the same workspace, and everything that
changes goes through `stream`, where a page and a waiting test see it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field

from lab.slack.blockkit_walk import asks, pings
from lab.slack.clock import Clock, WallClock
from lab.slack.event_stream import Stream
from lab.slack.manifest import EVERYTHING, Manifest, read_manifest
from lab.slack.model import (
    BOT_USER,
    JSON,
    SLACKBOT,
    Channel,
    Group,
    Member,
    Message,
    StoredFile,
    View,
)

MOST_VIEWS = 3
"""Modals in one stack (docs.slack.dev/surfaces/modals)."""


@dataclass
class Workspace:
    """People, channels, messages, files, views, and the one installed app."""

    clock: Clock = field(default_factory=WallClock)
    members: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    modals: dict[str, list[View]] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    marks: dict[tuple[str, str], str] = field(default_factory=dict)
    manifest: Manifest = field(default_factory=lambda: read_manifest(EVERYTHING))
    stream: Stream = field(default_factory=Stream)
    connections: int = 0
    _last_ts: int = 0
    _replies: Counter[tuple[str, str]] = field(default_factory=Counter)

    def install(self, manifest: JSON) -> None:
        """Install the app: its commands, scopes and events.

        Raises:
            ValueError: Slack would refuse this manifest.
        """
        self.manifest = read_manifest(manifest)
        self.members[BOT_USER].name = self.manifest.name
        self.stream.emit("commands")

    def member(self, name: str) -> Member:
        """The member with that name or id.

        Raises:
            KeyError: there is none.
        """
        for member in self.members.values():
            if name in (member.name, member.id):
                return member
        raise KeyError(name)

    def channel(self, name: str) -> Channel:
        """The channel with that id or name, with or without the "#".

        Raises:
            KeyError: there is none.
        """
        found = self.channels.get(name)
        if found:
            return found
        for channel in self.channels.values():
            if channel.kind == "channel" and channel.name == name.removeprefix("#"):
                return channel
        raise KeyError(name)

    def people(self) -> list[Member]:
        """Everybody who can be acted as."""
        return [member for member in self.members.values() if not member.is_bot and member.id != SLACKBOT]

    def direct(self, one: str, other: str) -> Channel:
        """The direct conversation of two members, opened when they had none."""
        for channel in self.channels.values():
            if channel.kind == "dm" and set(channel.members) == {one, other}:
                return channel
        channel = Channel(new_id("D"), f"{one}-{other}", [one, other], kind="dm")
        self.channels[channel.id] = channel
        self.stream.emit("channels", seen_by=frozenset(channel.members), channel=channel.id)
        return channel

    def joins(self, name: str, channel: str) -> None:
        """A member comes into a channel, as after /invite."""
        found, member = self.channel(channel), self.member(name)
        if member.id not in found.members:
            found.members.append(member.id)
            self.stream.emit("channels", channel=found.id)

    def leaves(self, name: str, channel: str) -> None:
        """A member goes out of a channel, as after /remove."""
        found, member = self.channel(channel), self.member(name)
        if member.id in found.members:
            found.members.remove(member.id)
            self.stream.emit("channels", channel=found.id)

    def next_ts(self) -> str:
        """A time stamp that no other message has, later than all before."""
        self._last_ts = max(self._last_ts + 1, int(self.clock.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    # messages

    def post(self, message: Message) -> Message:
        """A new message, or a new ephemeral."""
        self.messages.setdefault(message.channel, []).append(message)
        if message.thread_ts and message.only_for is None:
            self._replies[message.channel, message.thread_ts] += 1
        self._tell("message", message)
        if message.thread_ts and message.only_for is None:
            parent = self.find(message.channel, message.thread_ts)
            if parent:
                self._tell("message_changed", parent)
        return message

    def post_as(self, name: str, channel: str, text: str) -> Message:
        """A message of another app, which becomes a member of that name when it is new."""
        identity = f"U1{name.upper()}"
        self.members.setdefault(identity, Member(identity, name, name.capitalize(), is_bot=True))
        return self.post(Message(channel, self.next_ts(), identity, text))

    def changed(self, message: Message) -> None:
        """Say that a message is no longer what it was."""
        self._tell("message_changed", message)

    def delete(self, message: Message) -> None:
        """Take a message away."""
        self.messages[message.channel].remove(message)
        if message.thread_ts and message.only_for is None:
            self._replies[message.channel, message.thread_ts] -= 1
        self.stream.emit("message_deleted", seen_by=self._readers(message), channel=message.channel, ts=message.ts)

    def find(self, channel: str, ts: str) -> Message | None:
        """The message or ephemeral with that time stamp."""
        return next((message for message in reversed(self.messages.get(channel, [])) if message.ts == ts), None)

    def replies(self, message: Message) -> int:
        """How many answers a message has in its thread."""
        return self._replies[message.channel, message.ts]

    def visible(self, member: str, channel: str) -> list[Message]:
        """What a member sees in a channel, oldest first."""
        found = self.channels.get(channel)
        if found is None or member not in found.members:
            return []
        return [message for message in self.messages.get(channel, []) if message.only_for in (None, member)]

    def unread(self, member: str, channel: str) -> int:
        """How many messages came after the member's mark."""
        mark = self.marks.get((member, channel), "")
        return sum(1 for message in self.visible(member, channel) if message.ts > mark and message.user != member)

    def decides(self, member: str, channel: str) -> int:
        """How many messages there ask this member for a decision: addressed to a group of theirs, else to them by name."""
        own = {group.id for group in self.groups.values() if member in group.users}

        def addressed(message: Message) -> bool:
            pinged = set(pings(message.text, message.blocks))
            groups = pinged & self.groups.keys()
            return bool(groups & own) if groups else member in pinged

        return sum(asks(message.blocks) and addressed(message) for message in self.visible(member, channel))

    def mark(self, member: str, channel: str, ts: str) -> None:
        """The member read up to there."""
        self.marks[member, channel] = max(ts, self.marks.get((member, channel), ""))
        self.stream.emit("channels", seen_by=frozenset({member}), channel=channel)

    # views

    def view(self, view_id: str) -> View | None:
        """An open modal or a Home by its id."""
        every = [view for stack in self.modals.values() for view in stack] + list(self.homes.values())
        return next((view for view in every if view.id == view_id), None)

    def view_called(self, external_id: str) -> View | None:
        """An open modal or a Home by the id that the app gave it."""
        every = [view for stack in self.modals.values() for view in stack] + list(self.homes.values())
        return next((view for view in every if external_id and view.payload.get("external_id") == external_id), None)

    def open_view(self, user: str, payload: JSON, *, on_top: bool) -> View:
        """A modal comes up, over the one that is there when `on_top`."""
        stack = self.modals.setdefault(user, [])
        identity = new_id("V")
        below = stack[-1] if on_top and stack else None
        view = View(identity, user, payload, new_hash(self.clock), below.root if below else identity)
        view.previous = below.id if below else None
        stack.append(view)
        self._tell_view("view_opened", view)
        return view

    def update_view(self, view: View, payload: JSON) -> View:
        """The app replaces what a view shows; values of elements that stay under the same ids are kept."""
        view.payload, view.hash = payload, new_hash(self.clock)
        kept = {block["block_id"] for block in payload["blocks"]}
        view.state = {block_id: values for block_id, values in view.state.items() if block_id in kept}
        view.errors, view.trouble = {}, ""
        self._tell_view("home" if view.kind == "home" else "view_changed", view)
        return view

    def touched(self, view: View) -> None:
        """Say that something in a view is no longer what it was."""
        self._tell_view("home" if view.kind == "home" else "view_changed", view)

    def close_view(self, view: View) -> None:
        """One modal goes; the one below it is seen again."""
        self.modals[view.user].remove(view)
        self._tell_view("view_closed", view)

    def publish_home(self, user: str, payload: JSON) -> View:
        """What the person's Home tab of the app shows from now on."""
        present = self.homes.get(user)
        if present:
            return self.update_view(present, payload)
        identity = new_id("V")
        self.homes[user] = View(identity, user, payload, new_hash(self.clock), identity)
        self._tell_view("home", self.homes[user])
        return self.homes[user]

    def _tell(self, kind: str, message: Message) -> None:
        readers = self._readers(message)
        self.stream.emit(kind, seen_by=readers, channel=message.channel, ts=message.ts, message=message)

    def _readers(self, message: Message) -> frozenset[str]:
        if message.only_for is not None:
            return frozenset({message.only_for})
        return frozenset(self.channels[message.channel].members)

    def _tell_view(self, kind: str, view: View) -> None:
        self.stream.emit(kind, seen_by=frozenset({view.user}), view=view)


def new_id(letter: str) -> str:
    """An id of Slack's shape that nothing else has."""
    return letter + secrets.token_hex(5).upper()


def new_hash(clock: Clock) -> str:
    """A view's hash: another one after every change."""
    return f"{int(clock.now())}.{secrets.token_hex(4)}"


def practice_workspace(clock: Clock | None = None) -> Workspace:
    """The workspace of the practice company: four people, three groups, two channels, one app."""
    workspace = Workspace(clock=clock or WallClock())
    for name in ("operator", "approver", "viewer", "nobody"):
        identity = f"U0{name.upper()}"
        workspace.members[identity] = Member(identity, name, name.capitalize())
    workspace.members[BOT_USER] = Member(BOT_USER, workspace.manifest.name, workspace.manifest.name, is_bot=True)
    workspace.members[SLACKBOT] = Member(SLACKBOT, "slackbot", "Slackbot")
    for name, users in (
        ("viewers", ["U0VIEWER", "U0OPERATOR", "U0APPROVER"]),
        ("operators", ["U0OPERATOR", "U0APPROVER"]),
        ("approvers", ["U0APPROVER"]),
    ):
        workspace.groups[f"S0{name.upper()}"] = Group(f"S0{name.upper()}", name, name.capitalize(), users)
    everybody = [member.id for member in workspace.people()] + [BOT_USER]
    workspace.channels["C0OPS"] = Channel("C0OPS", "hv-ops", list(everybody), topic="Hyper-V on call")
    workspace.channels["C0AUDIT"] = Channel(
        "C0AUDIT", "hv-audit", list(everybody), topic="Each decision, each end, and heads of the ledger"
    )
    return workspace
