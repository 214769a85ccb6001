"""How anything is sent: one lane per channel, in order, one message a second, never blindly twice.

A lane is a queue and the task that empties it. The head of the queue is tried until Slack takes or refuses it, so
a rate limit delays what follows and never reorders it. Updates of one message that still wait are folded into one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.redaction import Redactor
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, Retry, classify_error
from bot.slack.outbound.blockkit_fitting import downgrade, fit, weaker_view
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import File, Message

log = structlog.get_logger()

# What Slack answers to blocks it does not like, whatever our own checker thought of them.
_BLOCKS_REFUSED = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "block_mismatch")
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How fast a lane may go, and how long it tries. Times in seconds.

    Slack: one message a second per channel, short bursts more [doc: docs.slack.dev/apis/web-api/rate-limits].
    """

    interval: float = 1.0
    burst: int = 3
    give_up_after: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True, eq=False)
class _Job:
    """One call that waits in a lane."""

    send: Callable[[Message], Awaitable[Any]]
    message: Message
    idempotent: bool
    key: str  # the ts of the message it updates; "" for everything else
    done: asyncio.Future[Any]


@dataclass(slots=True, eq=False)
class _Lane:
    """The queue of one channel, and when its next message is due."""

    waiting: deque[_Job] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    due: float = 0.0


class Outbox:
    """Everything the bot says leaves through here."""

    def __init__(
        self,
        client: AsyncWebClient,
        tempo: RateLimit | None = None,
        on_unknown: Callable[[str, Message], None] | None = None,
        mask: Redactor | None = None,
    ) -> None:
        """Take a client made by `calls.make_client`.

        Args:
            client: the Web API client.
            tempo: how fast, and with which clock.
            on_unknown: told the channel and the message when nobody can know whether it arrived.
            mask: takes secrets out of whatever leaves.
        """
        self._client = client
        self._tempo = tempo or RateLimit()
        self._on_unknown = on_unknown or (lambda _channel, _message: None)
        self._mask = mask or Redactor()
        self._lanes: dict[str, _Lane] = {}

    def prepared(self, message: Message) -> Message:
        """The message as it may leave: without secrets, within the limits."""
        return _within_limits(self._masked(message))

    async def prepare(self, message: Message) -> Message:
        """The same, on a thread where it has files: those may be megabytes, and nothing else may wait for them."""
        return await asyncio.to_thread(self.prepared, message) if message.files else self.prepared(message)

    def _masked(self, message: Message) -> Message:
        data = self._mask.redact_data
        files = tuple(
            File(data(one.name), data(one.title), self._mask.redact_bytes(one.content)) for one in message.files
        )
        instead = self._masked(message.instead) if message.instead else None
        text, *blocks = data([message.text, *message.blocks])
        return Message(text, tuple(blocks), files, instead)

    async def post(self, channel: str, message: Message, thread_ts: str = "", key: str = "") -> str:
        """Post a message, then its files into its thread. Returns its ts.

        Args:
            channel: the id of the channel.
            message: what is said.
            thread_ts: the message in whose thread it is said, or "".
            key: names what is said, so that a post whose fate is unknown can be found in the channel again.

        Raises:
            NotSent: Slack refuses or cannot be reached.
            DeliveryUnknown: nobody can know whether it arrived.
        """
        del key  # nothing is looked for as yet

        async def send(fitting: Message) -> Any:
            return await self._client.chat_postMessage(
                channel=channel,
                text=fitting.text,
                blocks=list(fitting.blocks),
                thread_ts=thread_ts or None,
                unfurl_links=False,
                unfurl_media=False,
            )

        answer, sent = await self._send(channel, send, message)
        ts = str(answer["ts"])
        await self.files(channel, sent.files, thread_ts or ts)
        return ts

    async def update(self, channel: str, ts: str, message: Message) -> None:
        """Replace a message of ours. An update of it that still waits is replaced, not sent.

        Raises:
            NotSent: Slack refuses or cannot be reached.
        """

        async def send(fitting: Message) -> Any:
            return await self._client.chat_update(
                channel=channel, ts=ts, text=fitting.text, blocks=list(fitting.blocks)
            )

        await self._send(channel, send, message, key=ts)

    async def ephemeral(self, channel: str, user: str, message: Message, thread_ts: str = "") -> None:
        """Show a message to one person in a channel; its files go to them directly.

        Raises:
            NotSent: Slack refuses: the bot, or the person, is not in the channel.
            DeliveryUnknown: nobody can know whether it arrived.
        """

        async def send(fitting: Message) -> Any:
            return await self._client.chat_postEphemeral(
                channel=channel,
                user=user,
                text=fitting.text,
                blocks=list(fitting.blocks),
                thread_ts=thread_ts or None,
            )

        _, sent = await self._send(channel, send, message)
        if sent.files:
            await self.files(await self.conversation(user), sent.files)

    async def direct(self, user: str, message: Message) -> str:
        """Post a message to one person. Returns its ts. Raises NotSent or DeliveryUnknown."""
        return await self.post(await self.conversation(user), message)

    async def conversation(self, user: str) -> str:
        """The id of the conversation with one person. Raises NotSent."""

        async def send(_: Message) -> Any:
            return await self._client.conversations_open(users=user)

        answer, _ = await self._send(user, send, _NOTHING, idempotent=True)
        return str(answer["channel"]["id"])

    async def files(self, channel: str, files: Sequence[File], thread_ts: str = "") -> None:
        """Upload files, in order. Raises NotSent or DeliveryUnknown."""
        for file in files:

            async def send(_: Message, file: File = file) -> Any:
                return await self._client.files_upload_v2(
                    channel=channel,
                    filename=file.name,
                    title=file.title,
                    content=file.content,
                    thread_ts=thread_ts or None,
                )

            await self._send(channel, send, _NOTHING)

    async def publish_home(self, user: str, view: dict[str, Any]) -> None:
        """Show somebody their Home tab, with its tables as text where Slack rejects them. Raises NotSent."""
        try:
            await self._publish(user, view)
        except NotSent as refused:
            lower = weaker_view(view)
            if lower is None or refused.code not in (*_BLOCKS_REFUSED, "invalid_arguments"):
                raise
            log.warning("slack refused blocks", home=user, code=refused.code)
            await self._publish(user, lower)

    async def _publish(self, user: str, view: dict[str, Any]) -> None:
        async def send(_: Message) -> Any:
            return await self._client.views_publish(user_id=user, view=view)

        await self._send(f"home {user}", send, _NOTHING, key="home")

    async def close(self) -> None:
        """Send nothing more. What still waits is told that it was not sent."""
        lanes, self._lanes = self._lanes, {}
        tasks = [lane.task for lane in lanes.values() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in lanes.values():
            for job in lane.waiting:
                _tell(job, NotSent("closing", "The bot is shutting down."))

    async def _send(
        self,
        channel: str,
        send: Callable[[Message], Awaitable[Any]],
        message: Message,
        *,
        key: str = "",
        idempotent: bool = False,
    ) -> tuple[Any, Message]:
        """Queue one call and wait until its fate is known: Slack's answer, and the message as it was taken."""
        lane = self._lanes.setdefault(channel, _Lane())
        job = _waiting(lane, key)
        if job is not None:
            job.send, job.message = send, message
        else:
            made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            job = _Job(send, message, idempotent or bool(key), key, made)
            lane.waiting.append(job)
        if lane.task is None:
            lane.task = asyncio.create_task(self._empty(channel, lane), name=f"outbox {channel}")
        answer: tuple[Any, Message] = await asyncio.shield(job.done)
        return answer

    async def _empty(self, channel: str, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._pace(lane)
                await self._deliver(channel, lane)
        finally:
            lane.task = None

    async def _pace(self, lane: _Lane) -> None:
        """Wait until the lane may speak: one message per interval, and a burst after a silence."""
        now = self._tempo.clock()
        lane.due = max(lane.due, now - (self._tempo.burst - 1) * self._tempo.interval)
        if lane.due > now:
            await self._tempo.sleep(lane.due - now)
        lane.due += self._tempo.interval

    async def _deliver(self, channel: str, lane: _Lane) -> None:
        """Try the head of the queue until its fate is known. It leaves the queue before it is first sent."""
        job = lane.waiting.popleft()
        message: Message = job.message
        until = self._tempo.clock() + self._tempo.give_up_after
        tries = 0
        try:
            while True:
                fitting = message if message is _NOTHING else await self.prepare(message)
                fate = await _attempt(job, fitting)
                if isinstance(fate, Retry):
                    tries += 1
                    fate = await self._rest(fate, tries, until)
                elif isinstance(fate, NotSent) and fate.code in _BLOCKS_REFUSED and (lower := downgrade(fitting)):
                    log.warning("slack refused blocks", channel=channel, code=fate.code, blocks=len(fitting.blocks))
                    message, fate = lower, None
                if fate is not None:
                    break
        except asyncio.CancelledError:
            _tell(job, NotSent("closing", "The bot is shutting down."))
            raise
        if isinstance(fate, DeliveryUnknown):
            log.warning("fate of a message unknown", channel=channel, text=fitting.text[:80])
            self._on_unknown(channel, fitting)
        _tell(job, fate)

    async def _rest(self, again: Retry, tries: int, until: float) -> NotSent | None:
        """Wait before the next try; NotSent when that would be too late to matter."""
        pause = min(again.after if again.after is not None else 2.0 ** min(tries, 6), _LONGEST_PAUSE)
        if self._tempo.clock() + pause > until:
            return NotSent("gave_up", f"Slack did not take it in time: {again.why}.")
        await self._tempo.sleep(pause)
        return None


_NOTHING = Message("")


async def _attempt(job: _Job, fitting: Message) -> Any:
    """One try: (answer, message), or what its error means."""
    try:
        return await job.send(fitting), fitting
    except Exception as error:  # noqa: BLE001 - foreign errors are translated here, and `judge` knows them all
        return classify_error(error, idempotent=job.idempotent)


def _within_limits(message: Message) -> Message:
    fitting = fit(message)
    found = problems(fitting)
    if found:
        log.error("message beyond the limits", problems=[f"{one.pointer} {one.says}" for one in found])
    return fitting


def _waiting(lane: _Lane, key: str) -> _Job | None:
    return next((job for job in lane.waiting if key and job.key == key), None)


def _tell(job: _Job, fate: Any) -> None:
    if job.done.done():
        return
    if isinstance(fate, BaseException):
        job.done.set_exception(fate)
        job.done.exception()  # whoever waited may be gone; asyncio would warn about an error nobody saw
    else:
        job.done.set_result(fate)
