"""People act: they type, click, choose, submit, close, open Home, and see.

    operator = slack.person("operator")
    await operator.types("/check-writers prod")
    answer = await operator.sees("STUCK")
    await operator.clicks(answer, "Evidence")
    await operator.sees_view("vssadmin")

Everything is awaited on the fake Slack's own event loop. `sees` waits for a condition and never for a time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lab.slack.blockkit_walk import Placed, placed
from lab.slack.model import BOT_USER, Member, Message, View
from lab.slack.plain_text import plain_text
from lab.slack.user_actions import Done, UserActions
from lab.slack.workspace import Workspace

PATIENCE = 10.0
"""Seconds of the machine's own time after which `sees` gives up."""


Thing = TypeVar("Thing")


class NotSeen(AssertionError):
    """What was waited for did not appear; the text says what was there instead."""


class Person:
    """One member of the workspace, acting through its client."""

    def __init__(self, acts: UserActions, member: Member) -> None:
        self._acts = acts
        self.member = member

    @property
    def id(self) -> str:
        """The member's id."""
        return self.member.id

    @property
    def name(self) -> str:
        """The member's name."""
        return self.member.name

    @property
    def _workspace(self) -> Workspace:
        return self._acts.core.workspace

    # what people do

    async def types(self, text: str, channel: str = "hv-ops", *, thread: Message | None = None) -> Done:
        """Type a line: a slash command when it begins with "/", else a message.

        Args:
            text: the line. "@hvops" and the like become mentions.
            channel: name or id; "dm" is the conversation with the bot.
            thread: the message in whose thread it is said; commands do not work there, as in Slack.
        """
        return await self._acts.types(self.member, self._channel(channel), text, thread.ts if thread else None)

    async def mentions(self, text: str, channel: str = "hv-ops", *, thread: Message | None = None) -> Done:
        """Say something to the bot by its name."""
        return await self.types(f"@{self._workspace.members[BOT_USER].name} {text}", channel, thread=thread)

    async def clicks(self, where: Message | View, button: str, value: Any = None, *, confirm: bool = True) -> Done:
        """Click a button, or choose in a menu that tells the app at once.

        Args:
            where: the message or view.
            button: its action_id or its label.
            value: what is chosen, for elements other than buttons.
            confirm: what the person answers when the element asks first.

        Raises:
            LookupError: there is no such element; the text lists those that are there.
        """
        place = find(where, button)
        if "confirm" in place.element and not confirm:
            return Done(ok=True)
        return await self._acts.clicks(self.member, where, place, value)

    def chooses(self, where: Message | View, element: str, value: Any) -> None:
        """Fill in an element without telling the app.

        Raises:
            LookupError: there is no such element.
            ValueError: the element has no such option.
        """
        self._acts.chooses(where, find(where, element), value)

    async def submits(self, view: View, values: Mapping[str, Any] | None = None) -> Done:
        """Fill a modal in and press its submit button.

        Args:
            view: the modal.
            values: by label, action_id or block_id of the input.
        """
        for name, value in (values or {}).items():
            place = find(view, name)
            if place.element["type"] == "external_select" and value is not None:
                await self._acts.suggests(self.member, view, place, str(value))
            self.chooses(view, name, value)
        return await self._acts.submits(self.member, view)

    async def suggested(self, view: View, element: str, typed: str = "") -> list[str]:
        """Open a menu whose options the app gives, type into it, and read the options."""
        options = await self._acts.suggests(self.member, view, find(view, element), typed)
        return [str(option["text"]["text"]) for option in options]

    async def closes(self, view: View, *, everything: bool = False) -> Done:
        """Close a modal, or with `everything` the whole stack."""
        return await self._acts.closes(self.member, view, everything=everything)

    async def opens_home(self) -> Done:
        """Open the app's Home tab."""
        return self._acts.opens_home(self.member)

    async def opens_dm(self) -> str:
        """Open the conversation with the bot; returns its channel id."""
        return self._workspace.direct(self.id, BOT_USER).id

    # what people see

    def messages(self, channel: str = "hv-ops") -> list[Message]:
        """Everything seen in a channel ("dm": with the bot), ephemerals included, oldest first."""
        return self._workspace.visible(self.id, self._channel(channel))

    def ephemerals(self, channel: str | None = None) -> list[Message]:
        """What only this person sees, of one channel or of all, oldest first."""
        channels = [self._channel(channel)] if channel else list(self._workspace.channels)
        seen = [message for each in channels for message in self._workspace.visible(self.id, each)]
        return sorted((message for message in seen if message.only_for), key=lambda message: message.ts)

    def thread(self, message: Message) -> list[Message]:
        """The replies to a message, oldest first."""
        seen = self._workspace.visible(self.id, message.channel)
        return [reply for reply in seen if reply.thread_ts == message.ts and reply.ts != message.ts]

    def views(self) -> list[View]:
        """Open modals, the one on top last."""
        return list(self._workspace.modals.get(self.id, []))

    @property
    def home(self) -> View | None:
        """What the app's Home tab shows this person."""
        return self._workspace.homes.get(self.id)

    def file(self, message: Message, name: str = "") -> bytes:
        """The bytes of a file in a message, the first whose name contains `name`.

        Raises:
            LookupError: the message has none.
        """
        for file_id in message.files:
            if name in self._workspace.files[file_id].name:
                return self._workspace.files[file_id].data
        raise LookupError(f"no file {name!r} in the message of {message.ts}")

    async def sees(self, text: str | re.Pattern[str], channel: str | None = None, *, after: str = "") -> Message:
        """Wait for a message or ephemeral that shows this, and return the newest.

        Args:
            text: words, or a pattern to search for.
            channel: name, id or "dm"; None: anywhere.
            after: a ts; only messages that came later count.

        Raises:
            NotSeen: it did not come.
        """

        def newest() -> Message | None:
            channels = [self._channel(channel)] if channel else list(self._workspace.channels)
            seen = [message for each in channels for message in self._workspace.visible(self.id, each)]
            for message in sorted(seen, key=lambda message: message.ts, reverse=True):
                if message.ts > after and shows(message, text):
                    return message
            return None

        return await self._until(newest, text)

    async def sees_view(self, text: str | re.Pattern[str]) -> View:
        """Wait for a modal on top of the stack that shows this.

        Raises:
            NotSeen: it did not come.
        """

        def top() -> View | None:
            views = self.views()
            return views[-1] if views and shows(views[-1], text) else None

        return await self._until(top, text)

    async def sees_home(self, text: str | re.Pattern[str]) -> View:
        """Wait for a Home that shows this.

        Raises:
            NotSeen: it did not come.
        """
        return await self._until(lambda: self.home if self.home and shows(self.home, text) else None, text)

    async def _until(self, look: Callable[[], Thing | None], text: str | re.Pattern[str]) -> Thing:
        with self._workspace.stream.follow() as events:
            try:
                async with asyncio.timeout(PATIENCE):
                    while (found := look()) is None:
                        await events.get()
            except TimeoutError:
                raise NotSeen(f"{self.name} does not see {text!r}, but:\n{self._everything()}") from None
        return found

    def _everything(self) -> str:
        seen = [message for each in self._workspace.channels for message in self._workspace.visible(self.id, each)]
        shown = [plain_text(message) for message in seen[-5:]] + [plain_text(view) for view in self.views()[-1:]]
        return "\n---\n".join(shown) or "nothing"

    def _channel(self, name: str) -> str:
        if name == "dm":
            return self._workspace.direct(self.id, BOT_USER).id
        return self._workspace.channel(name).id


def shows(thing: Message | View, text: str | re.Pattern[str]) -> bool:
    """Whether a person reads this in it: in its blocks or, in a message, in its notification text or trouble."""
    shown = plain_text(thing)
    if isinstance(thing, Message):
        shown = f"{shown}\n{thing.text}\n{thing.trouble}"
    return bool(text.search(shown)) if isinstance(text, re.Pattern) else text in shown


def find(where: Message | View, name: str) -> Placed:
    """The interactive element with that action_id, label or block_id; in this order of preference.

    Raises:
        LookupError: there is none; the text lists what there is.
    """
    places = list(placed(where.blocks))
    for trait in ("action_id", "label", "block_id"):
        found = [place for place in places if getattr(place, trait) == name]
        if found:
            return found[0]
    there = ", ".join(f"{place.label!r} ({place.action_id})" for place in places) or "nothing to click"
    raise LookupError(f"no {name!r} here, but: {there}")
