"""Reading a channel back: for the anchors that stand in it, and for whether the bot is in there at all.

`conversations.history` is Tier 3, about 50 calls a minute for an app of one's own [doc: docs.slack.dev/reference/methods/
conversations.history]; a call too many is answered with the seconds to wait, and they are waited for. Whatever members write there,
it is read, a few messages at a time where they are large.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.audit_channel.anchor_messages import BotIdentity
from bot.slack.outbound.api_errors import LONGEST_REST, DeliveryUnknown, NotSent, Retry, classify_error, make_client
from bot.slack.outbound.bounded_client import ReplyTooLarge, outlined
from bot.slack.outbound.conversation_pages import LARGEST, Page, conversation_pages

PAGE = LARGEST
_HISTORY = "conversations.history"
_TRIES = 8
_FEW_CALLS = 10  # one, where messages are as people write them
_WHAT_TO_DO = {
    "not_in_channel": "the bot is not in it. Type there: /invite @hvops",
    "channel_not_found": "there is no such channel, or it is private and the bot is not in it. Type there: /invite @hvops",
    "missing_scope": "the app lacks channels:history, or groups:history for a private channel. Install it again from "
    "deploy/slack.yaml",
}

Sleep = Callable[[float], Awaitable[None]]


class ChannelReader:
    """One channel, read with the bot's token."""

    def __init__(self, token: str, base_url: str, channel: str, sleep: Sleep = asyncio.sleep) -> None:
        """Name the channel by its id."""
        self._client: AsyncWebClient = make_client(token, base_url)
        self._channel, self._sleep = channel, sleep

    async def own(self) -> BotIdentity:
        """Who the bot is. Raises NotSent."""
        told = await self._call("auth.test", {})
        return BotIdentity(str(told.get("user_id") or ""), str(told.get("bot_id") or ""))

    async def newest(self, most: int = PAGE) -> list[dict[str, Any]]:
        """The newest messages, as far as a few calls tell. Raises NotSent: the bot is not in there, or a scope is missing."""
        found: list[dict[str, Any]] = []
        async with aclosing(self._read(most, calls=_FEW_CALLS)) as pages:
            async for page in pages:
                found += page.messages
                if len(found) >= most:
                    break
        return found[:most]

    async def everything(self, each_page: Callable[[int], None] = lambda _: None) -> list[dict[str, Any]]:
        """All messages, newest first.

        Args:
            each_page: is told after each page how many there are by now.

        Raises:
            NotSent: Slack refuses, or does not answer for a long time.
        """
        found: list[dict[str, Any]] = []
        async for page in self.pages():
            found += page.messages
            each_page(len(found))
        return found

    async def pages(self, latest: str = "", oldest: str = "") -> AsyncIterator[Page]:
        """The messages, page by page, newest first: before and after those ts, where they are given. Raises NotSent."""
        async with aclosing(self._read(PAGE, latest, oldest)) as pages:
            async for page in pages:
                yield page

    async def _read(
        self, largest: int, latest: str = "", oldest: str = "", *, calls: int | None = None
    ) -> AsyncGenerator[Page, None]:
        bounds = {name: ts for name, ts in (("latest", latest), ("oldest", oldest)) if ts}
        asked = {"channel": self._channel, **bounds}

        async def ask(page: dict[str, Any]) -> Any:
            return await self._call(_HISTORY, {**asked, **page})

        async def outline(page: dict[str, Any]) -> Any:
            return await self._tried(_HISTORY, lambda: outlined(self._client, _HISTORY, {**asked, **page}))

        try:
            async for page in conversation_pages(ask, outline, largest=largest, calls=calls):
                yield page
        except ReplyTooLarge as error:  # even one message, of which hardly anything is kept
            raise NotSent(
                "too_large", f"A message in the audit channel {self._channel} is too large to be read."
            ) from error

    async def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        """One call that changes nothing, tried until it is answered. Raises NotSent, ReplyTooLarge."""
        return await self._tried(method, lambda: self._client.api_call(method, params=arguments, http_verb="GET"))

    async def _tried(self, method: str, call: Callable[[], Awaitable[Any]]) -> Any:
        for tries in range(1, _TRIES + 1):
            try:
                return await call()
            except ReplyTooLarge:
                raise  # the next one would be as large
            except Exception as error:
                fate = classify_error(error, idempotent=True)
                if isinstance(fate, DeliveryUnknown):
                    raise NotSent("unknown", str(fate)) from error
                if not isinstance(fate, Retry):
                    raise self._explained(fate) from error
                if tries == _TRIES:
                    raise NotSent("gave_up", f"Slack did not answer {method}: {fate.why}.") from error
            await self._sleep(fate.after if fate.after is not None else min(2.0**tries, LONGEST_REST))
        raise AssertionError("unreachable")

    def _explained(self, refused: NotSent) -> NotSent:
        says = _WHAT_TO_DO.get(refused.code)
        return NotSent(refused.code, f"The audit channel {self._channel} cannot be read: {says}.") if says else refused
