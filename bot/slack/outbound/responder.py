"""How one person is answered about one request: response_url, then an ephemeral, then a direct message.

A response URL takes five messages within 30 minutes. Progress spends few of them, so that the answer always has one;
where the URL is spent, expired or broken the answer still arrives another way. The URL of a typed line replaces nothing
[src: bolt-js#2287, bolt-python#1268], so of its progress one line at most is said: it stays. The URL of a press replaces the message
that the button is in: there progress stands in that message, and is gone with the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.slack.outbound import limits
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, retry_after
from bot.slack.outbound.blockkit_fitting import downgrade
from bot.slack.outbound.bounded_client import bounded_session, masked_arguments
from bot.slack.outbound.local_times import local_message
from bot.slack.outbound.message import Message, View
from bot.slack.outbound.outbox import Outbox, Turn

log = structlog.get_logger()

PROGRESS = 1  # uses of the response_url that progress may spend, beside the word that a press was understood
_SPARE_SECONDS = 30  # a URL this close to its end is not trusted any more
_PATIENCE = 20.0  # longest Retry-After that a response_url is waited for
_SLACK_HOOKS = "hooks.slack.com"
_OK, _BAD, _TOO_MANY, _SERVER = 200, 400, 429, 500


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """Where somebody asked. Ids only, and a URL that counts only on Slack's own host.

    Attributes:
        channel: "" in Home and in modals: then answers go directly to the person.
        thread_ts: the thread of a mention.
    """

    user: str
    channel: str = ""
    thread_ts: str = ""
    response_url: str = ""


class Reply:
    """Answers one person about one request."""

    def __init__(
        self, outbox: Outbox, where: ReplyTarget, base_url: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the place of the request; `base_url` is the Web API's, and says whose response URLs count."""
        self.where = where
        self._outbox = outbox
        self._url = where.response_url if is_slack_url(where.response_url, base_url) else ""
        self._uses = limits.URL_USES
        self._progress = PROGRESS
        self._clock = clock
        self._until = clock() + limits.URL_SECONDS - _SPARE_SECONDS
        self._one_at_a_time = asyncio.Lock()
        self._replaces = False  # what is said now takes the place of the message whose button was pressed

    async def begins(self, message: Message) -> bool:
        """Say at once that something was understood. Never raises: it is not worth an answer."""
        async with self._one_at_a_time:
            if self._url:
                return await self._said(message)
            if not self.where.channel:
                return False
            try:
                await self._outbox.ephemeral(self.where.channel, self.where.user, message, self.where.thread_ts)
            except (NotSent, DeliveryUnknown):
                return False
            return True

    async def progress(self, message: Message) -> bool:
        """Say how far it is, if the budget allows. Never raises: progress is not worth an answer."""
        async with self._one_at_a_time:
            if not self._url or not self._progress:
                return False
            self._progress -= 1
            return await self._said(message)

    async def _said(self, message: Message) -> bool:
        try:
            return await self._post(await self._outbox.prepare(message, Turn(self.where.user)))
        except DeliveryUnknown:
            return False

    async def result(self, message: Message, *, replaces: bool = False) -> str:
        """Deliver an answer, in the place of the message whose button was pressed where it replaces that. Returns the way it went: "response_url", "ephemeral" or "direct".

        Raises:
            NotSent: no way was open.
            DeliveryUnknown: it was sent, and the connection died before Slack confirmed it.
        """
        message = local_message(message, datetime.now(UTC))
        async with self._one_at_a_time:
            self._replaces = replaces
            fitting = await self._outbox.prepare(message, Turn(self.where.user))
            if self._url and await self._post(fitting):
                await self._files(fitting)
                return "response_url"
        if self.where.channel:
            try:
                await self._outbox.ephemeral(self.where.channel, self.where.user, message, self.where.thread_ts)
            except NotSent as refused:
                log.info("no ephemeral", channel=self.where.channel, code=refused.code)
            else:
                return "ephemeral"
        await self._outbox.direct(self.where.user, message, turn=Turn(self.where.user))
        return "direct"

    async def _post(self, prepared: Message) -> bool:
        """Use the URL once, or once more per step down where Slack refuses the blocks."""
        fitting: Message | None = prepared  # once: it takes longer than anything else of a short answer
        while fitting is not None and self._uses and self._clock() < self._until:
            self._uses -= 1
            status, after = await self._use(fitting)
            if status == _OK:
                return True
            if status == _TOO_MANY and after <= _PATIENCE:
                await asyncio.sleep(after)
            elif status == _BAD:  # the blocks were refused; one more step down costs one more use
                fitting = downgrade(fitting)
            else:
                self._url = ""
                return False
        return False

    async def _use(self, message: Message) -> tuple[int, float]:
        """One POST to the URL: its HTTP status, and how long Slack asks to wait. 0 where nothing was sent."""
        try:
            async with bounded_session(15) as session:
                client = AsyncWebhookClient(self._url, session=session, retry_handlers=[])
                says = masked_arguments({"text": message.text, "blocks": list(message.blocks)})
                answer = await client.send(
                    text=says["text"],
                    blocks=says["blocks"] or None,
                    response_type="ephemeral",
                    replace_original=self._replaces,
                    unfurl_links=False,
                    unfurl_media=False,
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return 0, 0.0
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DeliveryUnknown(f"It may or may not have arrived: {type(error).__name__}.") from error
        log.debug("response_url", status=answer.status_code)
        if answer.status_code >= _SERVER:  # it may have been shown before that was said
            raise DeliveryUnknown(f"It may or may not have arrived: Slack answered HTTP {answer.status_code}.")
        return answer.status_code, retry_after(answer.headers) or 1.0

    async def _files(self, message: Message) -> None:
        """An ephemeral carries no files: they go to the person directly."""
        if message.files:
            try:
                place = await self._outbox.conversation(self.where.user)
            except NotSent as refused:
                log.warning("a file was not delivered", user=self.where.user, why=str(refused))
                return
            await self._outbox.attach_quietly(place, message.files, turn=Turn(self.where.user))


class PressedReply(Reply):
    """Answers a press in an answer that one person sees: how far it is stands in that answer, and is taken out of it at the end."""

    def __init__(
        self,
        outbox: Outbox,
        where: ReplyTarget,
        base_url: str,
        pressed: Callable[[Message | None], Message],
    ) -> None:
        """Take the message that the button is in: `pressed` makes it with a line that says how far it is, or without one."""
        super().__init__(outbox, where, base_url)
        self._pressed = pressed
        self._is_marked = False

    async def begins(self, message: Message) -> bool:
        """Say it in the message whose button was pressed."""
        async with self._one_at_a_time:
            return bool(self._url) and await self._mark(message)

    async def progress(self, message: Message) -> bool:
        """The same, in place of what stood there before."""
        async with self._one_at_a_time:
            if not self._url or not self._progress:
                return False
            self._progress -= 1
            return await self._mark(message)

    async def result(self, message: Message, *, replaces: bool = False) -> str:
        """Deliver the answer as any other, then leave the message with the button as it was. Raises NotSent, DeliveryUnknown."""
        try:
            return await super().result(message, replaces=replaces)
        finally:
            if self._is_marked:
                async with self._one_at_a_time:
                    await self._mark(None)
                    self._is_marked = False

    async def _mark(self, says: Message | None) -> bool:
        self._replaces, self._is_marked = True, True
        try:
            return await self._said(self._pressed(says))
        finally:
            self._replaces = False


class WindowReply(Reply):
    """Answers in the window that was sent off; where that is closed by now, as anybody is answered who asked in none."""

    def __init__(
        self,
        outbox: Outbox,
        where: ReplyTarget,
        base_url: str,
        update: Callable[[View], Awaitable[bool]],
        draw: Mapping[str, Callable[[Message], View]],
    ) -> None:
        """Take the window.

        Args:
            outbox: for whoever has closed it, and for files.
            where: the person.
            base_url: of the Web API.
            update: shows a view there, and says whether it did.
            draw: "progress" and "result": the views that say a message.
        """
        super().__init__(outbox, where, base_url)
        self._update = update
        self._draw = draw

    async def progress(self, message: Message) -> bool:
        """Say in the window how far it is. The answer waits until Slack has it: what comes second stands there."""
        async with self._one_at_a_time:
            return await self._update(
                self._draw["progress"](await self._outbox.prepare(message, Turn(self.where.user)))
            )

    async def begins(self, message: Message) -> bool:
        """Say nothing more: the window has said it already."""
        return bool(message)

    async def result(self, message: Message, *, replaces: bool = False) -> str:
        """Show the answer in the window: "window"; else as `Reply` does. Raises NotSent, DeliveryUnknown."""
        message = local_message(message, datetime.now(UTC))
        async with self._one_at_a_time:
            fitting = await self._outbox.prepare(message, Turn(self.where.user))
            is_shown = await self._update(self._draw["result"](fitting))
        if not is_shown:
            return await super().result(message, replaces=replaces)
        await self._files(fitting)
        return "window"


def is_slack_url(url: str, base_url: str) -> bool:
    """Whether a response URL leads to Slack: its hooks, or the very server that the settings name.

    The URL comes out of a payload. Whoever could forge one would otherwise have answers sent to themselves.
    """
    if not url:
        return False
    try:
        told, ours = urlsplit(url), urlsplit(base_url)
    except ValueError:
        return False
    if told.scheme == "https" and told.netloc == _SLACK_HOOKS:
        return True
    return (told.scheme, told.netloc) == (ours.scheme, ours.netloc)
