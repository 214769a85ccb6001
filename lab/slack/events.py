"""The Events API: what the app hears of what is said, as far as its manifest subscribes and it is in the channel.

An app hears its own messages and those of other apps too, with a `bot_id`; telling them apart is the app's business.
Nobody hears of ephemerals.
"""

from __future__ import annotations

from lab.slack.api_json import message_json
from lab.slack.context import Core
from lab.slack.event_stream import Event
from lab.slack.model import BOT_USER, JSON, TEAM, Message
from lab.slack.payloads import event_payload
from lab.slack.socket import SocketMode


class Events:
    """Turns what happens in the workspace into events for the app."""

    def __init__(self, core: Core, socket: SocketMode) -> None:
        self._core = core
        self._socket = socket
        core.workspace.stream.listeners.append(self._happened)

    def home_opened(self, user: str, about: JSON) -> None:
        """A person opened the app's Home tab.

        Args:
            user: the person's id.
            about: further fields of the event: channel and, once there is one, view.
        """
        now = f"{self._core.clock.now():.6f}"
        self._tell(
            "app_home_opened", {"type": "app_home_opened", "user": user, "tab": "home", "event_ts": now, **about}
        )

    def _happened(self, event: Event) -> None:
        if event.kind == "message" and event.message and event.message.only_for is None:
            self._said(event.message)

    def _said(self, message: Message) -> None:
        channel = self._core.workspace.channels[message.channel]
        event: JSON = {**message_json(self._core.workspace, message), "channel": channel.id, "event_ts": message.ts}
        if not self._core.workspace.members[message.user].is_bot:
            event |= {"client_msg_id": f"practice-{message.ts}", "team": TEAM}
        if message.files:
            event["subtype"] = "file_share"
        if BOT_USER in channel.members:
            kind = "im" if channel.kind == "dm" else "channel"
            subscription = "message.im" if kind == "im" else "message.channels"
            self._tell(subscription, {**event, "type": "message", "channel_type": kind})
        if f"<@{BOT_USER}>" in message.text and channel.kind == "channel" and message.user != BOT_USER:
            self._tell("app_mention", {**event, "type": "app_mention"})

    def _tell(self, subscription: str, event: JSON) -> None:
        if subscription in self._core.workspace.manifest.events:
            self._socket.tell(event_payload(self._core, event))
