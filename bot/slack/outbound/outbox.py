"""How anything is sent: one lane per channel, in order, one message a second, never blindly twice.

A lane is a queue and the task that empties it. The head of the queue is tried until Slack takes or refuses it, so
a rate limit delays what follows and never reorders it. Updates of one message that still wait are folded into one.
Messages of a channel go in turns, person by person: what they are answered, each of them in order, and what is said of the
tickets that they asked for. Whoever asks sixty things at once, or proposes sixty plans, waits for that, and nobody else does.
What hvops itself has to say there, a stop, and what a run says, goes in every other of these turns.
Of what Slack grants to all channels together nobody is shown more than half: beyond that they are told directly.
Where nobody can know whether a message with a key arrived, the channel is looked through before it is sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.beside import beside, for_a_question_of
from bot.dispatch.person_rate import PersonRate
from bot.redaction import Redactor, clip
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, PartMissing, Retry, classify_error
from bot.slack.outbound.blockkit_fitting import downgrade, fit, weaker_view
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import File, Message, escape_control, split
from bot.slack.outbound.sent_messages import SentMessages, marked, marked_title, metadata

log = structlog.get_logger()
_quiet = logging.getLogger("bot.slack.outbound.sdk")

# What Slack answers to blocks it does not like, whatever our own checker thought of them.
_BLOCKS_REFUSED = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "block_mismatch")
_LONGEST_WAIT = 15.0  # where it does not say
_PIECE = 3_000  # characters of a refused file in one message
_PIECES = 10  # messages that a refused file may take, unless it must be whole
# What Slack answers where a conversation is none that the bot can write into.
_NO_CONVERSATION = ("channel_not_found", "is_archived", "not_in_channel")
_REFUSED_LOOKS = 5  # after which nobody can look
# Messages that only one person sees: Slack takes a hundred a minute of all together. At once, and until the next; half of them.
_EPHEMERALS, _EPHEMERAL_SECONDS = 20, 2.0
# Of everything else that Slack grants to all channels together: at once, and how many seconds, at a pace of one a second, until
# the next. Half of what it says [doc: docs.slack.dev/apis/web-api/rate-limits], counted for the first minute.
_GRANTED = {
    "chat.postMessage": (60, 1.0),  # several hundred a minute
    "chat.update": (10, 4.0),  # tier 3: 50
    "chat.delete": (10, 4.0),  # tier 3
    "files.getUploadURLExternal": (20, 2.0),  # tier 4: 100, and so is the call that shares what was uploaded
    "views.publish": (20, 2.0),  # tier 4
}
_files = ThreadPoolExecutor(1, "files")  # for what hvops says by itself
_T = TypeVar("_T")
_REMEMBERED = 1_000  # keys of messages that may stand there twice; people whose conversation is known; idle lanes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How fast a lane may go, and how long it tries. Times in seconds.

    Slack: one message a second per channel, short bursts more [doc: docs.slack.dev/apis/web-api/rate-limits].

    Attributes:
        give_way_after: the same for a message with a key, whose sender tries again: meanwhile others of its channel go.
        looks: the pauses before each look whether a message of unknown fate has arrived; what is not there after the
            last is sent again. A call that the client gave up may still be under way at Slack.
    """

    interval: float = 1.0
    burst: int = 3
    give_up_after: float = 60.0
    give_way_after: float = 10.0
    looks: tuple[float, ...] = (1.0, 4.0)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose message it is: those of one channel go in turns.

    Attributes:
        of: the person who has it said, or whose ticket it tells of; "" for what hvops itself has to say.
        is_first: whether it is what a run says: half of the turns are for those, and for what hvops itself has to say.
    """

    of: str = ""
    is_first: bool = False


OURS = Turn(is_first=True)
_Look = Callable[[], Awaitable[Any]]


@dataclass(slots=True, eq=False)
class _Job:
    """One call that waits in a lane."""

    send: Callable[[Message], Awaitable[Any]]
    message: Message
    idempotent: bool
    key: str  # the ts of the message it updates; "" for everything else
    done: asyncio.Future[Any]
    look: _Look | None = None  # Slack's answer to it, out of what stands in the channel; None where it is not there
    first: str = ""  # why to look before it is sent: _PERHAPS, _SENT or ""
    name: str = ""  # what it is, to whoever asks whether it may stand there twice
    turn: Turn = OURS


@dataclass(slots=True, eq=False)
class _Turns:
    """Whose turn it was last, as long as anything waits in a channel.

    Attributes:
        was_first: whether the last one was of those that go first.
        served: for both kinds, those whose messages were sent, the one of longest ago first.
    """

    was_first: bool = False
    served: tuple[dict[str, None], dict[str, None]] = field(default_factory=lambda: ({}, {}))

    def next(self, waiting: Sequence[_Job]) -> _Job:
        """Of those that go first and the others by turns the oldest one of whoever was served longest ago, or never."""
        kinds = {job.turn.is_first for job in waiting}
        self.was_first = True in kinds and not (False in kinds and self.was_first)
        oldest: dict[str, _Job] = {}
        for job in waiting:
            if job.turn.is_first == self.was_first:
                oldest.setdefault(job.turn.of, job)
        served = self.served[self.was_first]
        of = next((one for one in oldest if one not in served), None)
        if of is None:
            of = next(one for one in served if one in oldest)
        served.pop(of, None)
        served[of] = None
        return oldest[of]


@dataclass(slots=True, eq=False)
class _Lane:
    """The queue of one channel, when its next message is due, and whose turn it was last.

    Attributes:
        was_update: whether the last one was an update.
        updates: whose turn it was last among those.
        posts: the same among all others.
    """

    waiting: deque[_Job] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    due: float = 0.0
    was_update: bool = False
    updates: _Turns = field(default_factory=_Turns)
    posts: _Turns = field(default_factory=_Turns)


async def _beside(turn: Turn, work: Callable[..., _T], *args: Any, **more: Any) -> _T:
    """Work on what may have megabytes, on no thread that a decision or a run needs. Raises what it raises.

    Of the threads for questions a person has one at a time; what is nobody's has a thread of its own.
    """
    if turn.of:
        with for_a_question_of(turn.of):
            return await beside(work, *args, **more)
    return await asyncio.get_running_loop().run_in_executor(_files, partial(work, *args, **more))


class Outbox:
    """Everything the bot says leaves through here."""

    def __init__(
        self,
        client: AsyncWebClient,
        tempo: RateLimit | None = None,
        on_unknown: Callable[[str, Message], None] | None = None,
        mask: Redactor | None = None,
        sign: Callable[[str], str] | None = None,
    ) -> None:
        """Take a client made by `make_client`.

        Args:
            client: the Web API client.
            tempo: how fast, and with which clock.
            on_unknown: told the channel and the message when nobody can know whether it arrived.
            mask: takes secrets out of whatever leaves.
            sign: the mark of a message, out of its key; what stands in a channel with it is taken for ours.
        """
        self._client = client
        self._tempo = tempo or RateLimit()
        self._on_unknown = on_unknown or (lambda _channel, _message: None)
        self._mask = mask or Redactor()
        self._sign = sign or _digest
        self._sent = SentMessages(client, self._tempo.give_up_after / 2, self._tempo.sleep)
        self._ephemerals = PersonRate(_EPHEMERALS, _EPHEMERAL_SECONDS, self._tempo.clock)
        self._granted = {
            method: PersonRate(at_once, seconds * self._tempo.interval, self._tempo.clock)
            for method, (at_once, seconds) in _GRANTED.items()
        }
        self._own_id = ""
        self._repeated: dict[str, None] = {}
        self._found: dict[str, None] = {}
        self._buttonless: dict[str, None] = {}
        self._lanes: dict[str, _Lane] = {}
        self._conversations: dict[str, str] = {}

    def prepared(self, message: Message) -> Message:
        """The message as it may leave: without secrets, within the limits."""
        return _within_limits(self._masked(message))

    async def prepare(self, message: Message, turn: Turn = OURS) -> Message:
        """The same, on a thread where it has files: those may be megabytes, and nothing else may wait for them."""
        return await _beside(turn, self.prepared, message) if message.files else self.prepared(message)

    def hides(self, message: Message, words: str) -> bool:
        """Whether something of a message would be masked before it leaves, or was when it was made.

        Args:
            message: as it was made.
            words: what it was made of, before anything was escaped.
        """
        return self._mask.redact_text(words) != words or self._masked(message) != message

    def _masked(self, message: Message) -> Message:
        data = self._mask.redact_data
        files = tuple(map(self._masked_file, message.files))
        instead = self._masked(message.instead) if message.instead else None
        text, *blocks = data([message.text, *message.blocks])
        return replace(message, text=text, blocks=tuple(blocks), files=files, instead=instead)

    def _masked_file(self, file: File) -> File:
        data = self._mask.redact_data
        content = self._mask.redact_bytes(file.content)
        return File(data(file.name), data(file.title), content, data(file.elsewhere))

    async def post(
        self,
        channel: str,
        message: Message,
        thread_ts: str = "",
        key: str = "",
        *,
        looks_first: bool = False,
        was_sent: bool = False,
        whole: bool = False,
        turn: Turn = OURS,
        since: datetime | None = None,
    ) -> str:
        """Post a message, then its files into its thread. Returns its ts.

        A file that is refused follows as text; where even that fails the log says so: the message has been taken.

        Args:
            channel: by id.
            message: what to say.
            thread_ts: the thread it goes into, or "".
            key: what it is, where it must not be said twice: its fate is then looked up in the channel.
            looks_first: an earlier life of the bot may have sent it. Where Slack lets nobody look, it is sent.
            was_sent: it was sent, and its fate was unknown. Where Slack lets nobody look, it still is.
            whole: files are part of what is said, such as one that stands for blocks that Slack refused.
            turn: whose it is: one of them holds up nobody else.
            since: when what it tells of came about: it was not sent before.

        Raises:
            NotSent: Slack refuses or cannot be reached.
            DeliveryUnknown: nobody can know whether it arrived.
            PartMissing: it was taken, and a file of it was not, where it must be whole.
        """
        mark = self._mark(key, channel, thread_ts)

        async def send(fitting: Message) -> Any:
            said: dict[str, Any] = {
                "channel": channel,
                "text": fitting.text,
                "blocks": marked(fitting.blocks, mark),
                "thread_ts": thread_ts or None,
                "unfurl_links": False,
                "unfurl_media": False,
            }
            try:
                return _with_ts(await self._client.chat_postMessage(**said, metadata=metadata(mark)))
            except SlackApiError as error:
                if not mark or not _refuses_metadata(error):
                    raise
            return _with_ts(await self._client.chat_postMessage(**said))

        async def look() -> Any:
            found = await self._sent.with_mark(channel, mark, await self._own(), thread_ts, since)
            return {"ts": found[0]} if found else None

        first = _first(looks_first, was_sent)
        await self._wait_for("chat.postMessage", turn)
        answer, sent = await self._send(
            channel, send, message, look=look if mark else None, first=first, name=key, turn=turn
        )
        ts = str(answer["ts"])
        if _FOUND in answer:
            self._found[key] = None
        elif whole:
            try:
                await self.attach(channel, sent.files, thread_ts or ts, key, whole=True, turn=turn)
            except (NotSent, DeliveryUnknown) as error:
                raise PartMissing(str(error)) from error
        else:
            await self.attach_quietly(channel, sent.files, thread_ts or ts, turn=turn)
        return ts

    async def update(self, channel: str, ts: str, message: Message, key: str = "", turn: Turn = OURS) -> None:
        """Replace a message of ours. An update of it that still waits is replaced, not sent.

        Raises:
            NotSent: Slack refuses or cannot be reached.
        """
        mark = self._mark(key, channel)

        async def send(fitting: Message) -> Any:
            return await self._client.chat_update(
                channel=channel, ts=ts, text=fitting.text, blocks=marked(fitting.blocks, mark)
            )

        await self._wait_for("chat.update", turn)
        await self._send(channel, send, message, key=ts, name=key, turn=turn)

    async def delete(self, channel: str, ts: str, turn: Turn = OURS) -> None:
        """Take a message of ours away. Raises NotSent: Slack refuses, or cannot be reached."""

        async def send(_: Message) -> Any:
            return await self._client.chat_delete(channel=channel, ts=ts)

        await self._wait_for("chat.delete", turn)
        await self._send(channel, send, _NOTHING, idempotent=True, turn=turn)

    async def stands(self, channel: str, ts: str) -> bool:
        """Whether there is a message at that ts. Raises NotSent: Slack does not say."""
        return bool(await self._read(lambda: self._sent.stands(channel, ts)))

    async def copies(self, channel: str, key: str) -> list[str]:
        """The ts of every message of that key in a channel, oldest first. Raises NotSent: Slack does not say."""
        return (await self.copies_of(channel, (key,)))[key]

    async def copies_of(self, channel: str, keys: Collection[str]) -> dict[str, list[str]]:
        """The same of several keys, in one look: Slack takes few of them."""
        marks = {key: self._mark(key, channel) for key in keys}

        async def look() -> dict[str, list[str]]:
            return await self._sent.with_marks(channel, marks.values(), await self._own())

        found = await self._read(look)
        return {key: found[mark] for key, mark in marks.items()}

    def _mark(self, key: str, channel: str, thread_ts: str = "") -> str:
        """What a message carries to be found again: there and nowhere else."""
        return self._sign(f"{channel} {thread_ts} {key}") if key else ""

    def _file_mark(self, file: File, key: str, channel: str, thread_ts: str) -> str:
        """What a file carries to be found again: there, with these bytes, and nowhere else."""
        if not key:
            return ""
        return self._mark(f"{key} {file.name} {hashlib.sha256(file.content).hexdigest()}", channel, thread_ts)

    async def _own(self) -> str:
        """The id of the bot's own user: nobody else's message is taken for ours. Raises what the SDK raises."""
        if not self._own_id:
            self._own_id = str((await self._client.auth_test()).get("user_id") or "")
        return self._own_id

    def may_stand_twice(self, key: str) -> bool:
        """Whether a message was sent again after a look had not found it. Tells it once."""
        return self._repeated.pop(key, self) is None

    def was_found(self, key: str) -> bool:
        """Whether a message was not sent, but found where it stood already; as it was taken then. Tells it once."""
        return self._found.pop(key, self) is None

    def lost_its_buttons(self, key: str) -> bool:
        """Whether Slack took a message only without its buttons. Tells it once."""
        return self._buttonless.pop(key, self) is None

    async def _read(self, look: _Look) -> Any:
        """What Slack shows, once. Raises NotSent."""
        try:
            return await look()
        except Exception as error:
            fate = classify_error(error, idempotent=True)
            raise (
                fate if isinstance(fate, NotSent) else NotSent("later", f"Slack gave no clear answer: {_why(fate)}.")
            ) from error

    async def ephemeral(self, channel: str, user: str, message: Message, thread_ts: str = "") -> None:
        """Show a message to one person in a channel; its files go to them directly.

        Raises:
            NotSent: Slack refuses: the bot, or the person, is not in the channel. Or they were shown many in the last minute.
            DeliveryUnknown: nobody can know whether it arrived.
        """
        if not self._ephemerals.take(user):
            raise NotSent("too_many_ephemerals", "hvops has shown you many messages in channels in the last minute.")

        async def send(fitting: Message) -> Any:
            return await self._client.chat_postEphemeral(
                channel=channel,
                user=user,
                text=fitting.text,
                blocks=list(fitting.blocks),
                thread_ts=thread_ts or None,
            )

        _, sent = await self._send(channel, send, message, turn=Turn(user))
        if sent.files:
            await self.attach_quietly(await self.conversation(user), sent.files, turn=Turn(user))

    async def direct(
        self,
        user: str,
        message: Message,
        key: str = "",
        *,
        looks_first: bool = False,
        was_sent: bool = False,
        turn: Turn = OURS,
    ) -> str:
        """Post a message to one person. Returns its ts. Raises NotSent or DeliveryUnknown."""
        was_known = user in self._conversations
        place = await self.conversation(user)
        try:
            return await self.post(place, message, key=key, looks_first=looks_first, was_sent=was_sent, turn=turn)
        except NotSent as refused:
            if not was_known or refused.code not in _NO_CONVERSATION:
                raise
        place = await self.conversation(user)  # it was forgotten, and is asked for anew
        return await self.post(place, message, key=key, looks_first=looks_first, was_sent=was_sent, turn=turn)

    async def conversation(self, user: str) -> str:
        """The id of the conversation with one person. Raises NotSent.

        Slack is asked once: it never changes, and Slack grants few such questions to all people together.
        """
        if user in self._conversations:
            return self._conversations[user]

        async def send(_: Message) -> Any:
            if user in self._conversations:  # asked while this one waited
                return {"channel": {"id": self._conversations[user]}}
            answer = await self._client.conversations_open(users=user)
            if place := (answer.get("channel") or {}).get("id"):
                self._remember_conversation(user, str(place))
            return answer

        answer, _ = await self._send(user, send, _NOTHING, idempotent=True)
        return str(answer["channel"]["id"])

    def _remember_conversation(self, user: str, place: str) -> None:
        self._conversations[user] = place
        while len(self._conversations) > _REMEMBERED:
            self._conversations.pop(next(iter(self._conversations)))

    def _forget_conversation(self, channel: str) -> None:
        """Slack does not know it: it is asked for anew."""
        self._conversations = {user: place for user, place in self._conversations.items() if place != channel}

    async def files(self, channel: str, files: Sequence[File], thread_ts: str = "", turn: Turn = OURS) -> None:
        """Upload files, in order. Raises NotSent or DeliveryUnknown."""
        for file in files:
            await self._upload(channel, file, thread_ts, turn)

    async def attach(
        self,
        channel: str,
        files: Sequence[File],
        thread_ts: str = "",
        key: str = "",
        *,
        looks_first: bool = False,
        whole: bool = False,
        turn: Turn = OURS,
    ) -> None:
        """Upload files; one that is refused follows as text, in messages: whole, or as far as is of any use.

        Args:
            channel: by id.
            files: in order.
            thread_ts: the thread they go into, or "".
            key: what they are, where they must not be there twice: each carries a mark that is made of it.
            looks_first: an earlier life of the bot, or another one, may have shared them.
            whole: all of a file has to be told.
            turn: whose turn each call is.

        Raises:
            NotSent: Slack takes neither, or cannot be reached.
            DeliveryUnknown: nobody can know whether it arrived.
        """
        for number, file in enumerate(files):
            masked = await _beside(turn, self._masked, Message("", (), (file,)))
            mark = await _beside(turn, self._file_mark, masked.files[0], key, channel, thread_ts)
            try:
                await self._upload(channel, masked.files[0], thread_ts, turn, mark, looks_first=looks_first)
            except NotSent as refused:
                if not refused.is_refusal:
                    raise
                log.warning("slack refused a file; it follows as text", file=file.name, code=refused.code)
                pieces = await _beside(turn, _as_messages, masked.files[0], refused.code, whole=whole)
                for at, message in enumerate(pieces):
                    part = f"{key} file {number} part {at}" if key else ""
                    # text alone: there is nothing that Slack could refuse and that would become a file again
                    await self.post(channel, message, thread_ts, part, looks_first=looks_first, whole=True, turn=turn)

    async def attach_quietly(self, channel: str, files: Sequence[File], thread_ts: str = "", turn: Turn = OURS) -> None:
        """The same beside a message that has been taken: whoever waits must not take a missing file for a missing message."""
        try:
            await self.attach(channel, files, thread_ts, turn=turn)
        except (NotSent, DeliveryUnknown) as error:
            log.warning("a file was not delivered", channel=channel, files=[one.name for one in files], why=str(error))

    async def _upload(
        self, channel: str, file: File, thread_ts: str, turn: Turn, mark: str = "", *, looks_first: bool = False
    ) -> None:
        """Upload a file and share it [doc: docs.slack.dev/messaging/working-with-files]. Only sharing it must not be done twice.

        To reserve a place and to upload takes its time, in which another bot can have shared the same: so it is looked for again
        just before. It is found by its mark: whoever holds the bot's token can share another of its name and size. Without a
        mark it is shared again.
        """

        async def there() -> bool:
            return await self._sent.has_own_file(channel, thread_ts, mark, await self._own())

        file = await _beside(turn, self._masked_file, file)  # before its size is told; it may be megabytes
        may_be_there = bool(looks_first and thread_ts and mark)
        if may_be_there and await self._read(there):
            return
        lane = f"upload {channel}"
        title = marked_title(file.title, mark)

        async def reserve(_: Message) -> Any:
            return await self._client.files_getUploadURLExternal(filename=file.name, length=len(file.content))

        await self._wait_for("files.getUploadURLExternal", turn)
        told, _ = await self._send(lane, reserve, _NOTHING, idempotent=True, turn=turn)
        url, file_id = str(told["upload_url"]), str(told["file_id"])

        async def upload(_: Message) -> Any:
            sent = await self._client._upload_file(  # noqa: SLF001 - the SDK's own second step, without its first and third
                url=url, data=file.content, logger=_quiet, timeout=self._client.timeout, proxy=None, ssl=None
            )
            if sent.status != _OK:
                raise SlackApiError("not uploaded", _Status(sent.status))  # type: ignore[no-untyped-call]
            return {}

        async def share(_: Message) -> Any:
            if may_be_there and await there():
                return {}
            return await self._client.files_completeUploadExternal(
                files=[{"id": file_id, "title": title}], channel_id=channel, thread_ts=thread_ts or None
            )

        async def look() -> Any:
            return {} if await self._sent.has_file(channel, thread_ts, file_id) else None

        await self._send(lane, upload, _NOTHING, idempotent=True, turn=turn)
        await self._send(channel, share, _NOTHING, look=look, turn=turn)

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

        await self._wait_for("views.publish", Turn(user))
        await self._send(f"home {user}", send, _NOTHING, key="home")

    async def _wait_for(self, method: str, turn: Turn) -> None:
        """Wait until a person may have one more of what Slack grants to all together. What a run says waits for nobody."""
        if turn.of and not turn.is_first and (seconds := self._granted[method].reserve(turn.of)):
            await self._tempo.sleep(seconds)

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
        look: _Look | None = None,
        first: str = "",
        name: str = "",
        turn: Turn = OURS,
    ) -> tuple[Any, Message]:
        """Queue one call and wait until its fate is known: Slack's answer, and the message as it was taken."""
        lane = self._lanes.get(channel) or self._new_lane(channel)
        job = _waiting(lane, key)
        if job is not None:
            job.send, job.message, job.name, job.turn = send, message, name, turn
        else:
            made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            job = _Job(send, message, idempotent or bool(key), key, made, look, first, name, turn)
            lane.waiting.append(job)
        if lane.task is None:
            lane.task = asyncio.create_task(self._empty(channel, lane), name=f"outbox {channel}")
        answer: tuple[Any, Message] = await asyncio.shield(job.done)
        return answer

    def _new_lane(self, channel: str) -> _Lane:
        """A lane for a channel that has none; those that have been silent for long enough to say nothing are let go of."""
        if len(self._lanes) >= _REMEMBERED:
            now = self._tempo.clock()
            self._lanes = {name: one for name, one in self._lanes.items() if one.task or one.waiting or one.due > now}
        made = self._lanes[channel] = _Lane()
        return made

    async def _empty(self, channel: str, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._pace(lane)
                await self._deliver(channel, lane)
        finally:
            lane.task = None
            lane.updates, lane.posts = _Turns(), _Turns()

    async def _pace(self, lane: _Lane) -> None:
        """Wait until the lane may speak: one message per interval, and a burst after a silence."""
        now = self._tempo.clock()
        lane.due = max(lane.due, now - (self._tempo.burst - 1) * self._tempo.interval)
        if lane.due > now:
            await self._tempo.sleep(lane.due - now)
        lane.due += self._tempo.interval

    async def _deliver(self, channel: str, lane: _Lane) -> None:
        """Try the head of the queue until its fate is known. It leaves the queue before it is first sent."""
        job = _next(lane)
        try:
            fate, fitting = await self._settled(channel, job)
        except asyncio.CancelledError:
            _tell(job, NotSent("closing", "The bot is shutting down."))
            raise
        if isinstance(fate, NotSent) and fate.code in _NO_CONVERSATION:
            self._forget_conversation(channel)
        if isinstance(fate, DeliveryUnknown) and fate.was_sent:
            log.warning("fate of a message unknown", channel=channel, text=clip(fitting.text, 80))
            self._on_unknown(channel, fitting)
        elif isinstance(fate, DeliveryUnknown):
            log.warning("a message was not sent: it may already be in the channel", channel=channel, why=str(fate))
        _tell(job, (fate, fitting) if isinstance(fate, Mapping) else fate)

    async def _settled(self, channel: str, job: _Job) -> tuple[Any, Message]:
        """What became of a call, and the message as it was sent last."""
        message, tries = job.message, 0
        until = self._tempo.clock() + self._tempo.give_up_after
        soon = min(until, self._tempo.clock() + self._tempo.give_way_after) if job.name else until
        if job.first and job.look is not None:
            fate = await self._looked_first(job, soon)
            if fate is not None:
                return fate, message
        while True:
            fitting = message if message is _NOTHING else await self.prepare(message, job.turn)
            fate = await _attempt(job, fitting)
            if isinstance(fate, DeliveryUnknown) and job.look is not None:
                self._note_repeated(job.name)
                lost, fate = fate, await self._looked(job, self._tempo.looks, str(fate), soon)
                if fate is None and self._tempo.clock() >= soon:
                    fate = lost  # others of its channel wait; whoever sent it looks again, and sends it then
            elif isinstance(fate, Retry):
                tries += 1
                fate = await self._rest(fate, tries, soon if fate.after is None else until)
            elif isinstance(fate, NotSent) and fate.code in _BLOCKS_REFUSED and (lower := downgrade(fitting)):
                log.warning("slack refused blocks", channel=channel, code=fate.code, blocks=len(fitting.blocks))
                message, fate = lower, None
            if fate is not None:
                if job.name and _has_buttons(job.message) and not _has_buttons(fitting):
                    self._buttonless[job.name] = None
                return fate, fitting

    async def _looked_first(self, job: _Job, until: float) -> Any:
        """The same before it is sent by this process: None as well where nobody can look, and it may never have been sent.

        However long a look took: what it did not find is sent, or a channel that takes long to look through would never hear of it.
        """
        fate: Any = None
        for _ in range(_REFUSED_LOOKS):  # a passing refusal must not make a second message
            fate = await self._looked(job, (0.0,), job.first, until)
            if isinstance(fate, DeliveryUnknown):
                fate.was_sent = job.first == _SENT
            if not (isinstance(fate, DeliveryUnknown) and fate.unreadable):
                return {**fate, _FOUND: True} if isinstance(fate, Mapping) else fate
            await self._tempo.sleep(self._tempo.interval)
        return None if job.first == _PERHAPS else fate

    async def _looked(self, job: _Job, pauses: Sequence[float], why: str, until: float) -> Any:
        """Look whether a message has arrived: what Slack would have answered, None where it has not, or why nobody knows."""
        assert job.look is not None
        tries = 0
        for pause in pauses:
            await self._tempo.sleep(pause)
            while True:
                try:
                    found = await job.look()
                except Exception as error:  # noqa: BLE001 - foreign errors are translated here
                    fate = classify_error(error, idempotent=True)
                    if isinstance(fate, NotSent):
                        return DeliveryUnknown(f"{why} Slack does not let hvops check: {fate.code}.", fate.code)
                    assert isinstance(fate, Retry)
                    tries += 1
                    if await self._rest(fate, tries, until) is not None:
                        return DeliveryUnknown(f"{why} Slack can't confirm it right now: {fate.why}.")
                else:
                    break
            if found is not None:
                return found
        return None

    def _note_repeated(self, name: str) -> None:
        if name:
            self._repeated[name] = None
            while len(self._repeated) > _REMEMBERED:
                self._repeated.pop(next(iter(self._repeated)))

    async def _rest(self, again: Retry, tries: int, until: float) -> NotSent | None:
        """Wait before the next try; NotSent when that would be too late to matter."""
        pause = again.after if again.after is not None else min(2.0 ** min(tries, 6), _LONGEST_WAIT)
        if self._tempo.clock() + pause > until:
            return NotSent("gave_up", f"Slack did not take it in time: {again.why}.")
        await self._tempo.sleep(pause)
        return None


_NOTHING = Message("")
_PERHAPS, _SENT = "It may have been sent before.", "It was sent, but Slack did not confirm it."
_OK = 200
_FOUND = "found by hvops"  # in what stands for an answer of Slack's


async def _attempt(job: _Job, fitting: Message) -> Any:
    """One try: what Slack answers, or what its error means."""
    try:
        answer = await job.send(fitting)
        return getattr(answer, "data", answer)
    except Exception as error:  # noqa: BLE001 - foreign errors are translated here, and `judge` knows them all
        return classify_error(error, idempotent=job.idempotent)


def _within_limits(message: Message) -> Message:
    fitting = fit(message)
    found = problems(fitting)
    if found:
        log.error("message beyond the limits", problems=[f"{one.pointer} {one.says}" for one in found])
    return fitting


def _next(lane: _Lane) -> _Job:
    """Take out what is sent next: an update overtakes waiting posts, one at a time, so that a card is true soon."""
    updates = [job for job in lane.waiting if job.key]
    others = [job for job in lane.waiting if not job.key]
    job = lane.updates.next(updates) if updates and not (others and lane.was_update) else lane.posts.next(others)
    lane.waiting.remove(job)
    lane.was_update = bool(job.key)
    return job


def _waiting(lane: _Lane, key: str) -> _Job | None:
    return next((job for job in lane.waiting if key and job.key == key), None)


@dataclass(frozen=True, slots=True)
class _Status:
    """The answer of where files are uploaded to, which is no JSON."""

    status_code: int


def _first(looks_first: bool, was_sent: bool) -> str:  # noqa: FBT001 - as `post` has them
    return _SENT if was_sent else _PERHAPS if looks_first else ""


def _literal(text: str) -> str:
    """Text for a code block: as it is, but for what would end the block or make a mention."""
    shown = escape_control(text, lines=True).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _why(fate: Retry | DeliveryUnknown) -> str:
    return fate.why if isinstance(fate, Retry) else str(fate)


def _has_buttons(message: Message) -> bool:
    return any(block["type"] == "actions" for block in message.blocks)


def _with_ts(answer: Any) -> Any:
    """The answer to a post. Raises ClientPayloadError where it does not say which message it is about."""
    if not answer.get("ts"):
        raise aiohttp.ClientPayloadError("Slack's answer names no message")
    return answer


def _refuses_metadata(error: SlackApiError) -> bool:
    data = getattr(error.response, "data", None)
    return "metadata" in str(data.get("error", "")) if isinstance(data, dict) else False


def _as_messages(file: File, code: str, *, whole: bool) -> list[Message]:
    """A file as text that stands in messages instead, the first of which says why; of a long one where else it can be read."""
    if file.elsewhere and not whole and len(file.content) > _PIECE * _PIECES:
        return [Message(f"{file.name} is not here (Slack refused the file: {code}). {file.elsewhere}")]
    pieces = split(_literal(file.content.decode(errors="replace")), _PIECE)
    shown = pieces if whole else pieces[:_PIECES]
    left = sum(map(len, pieces[len(shown) :]))
    made = []
    for number, piece in enumerate(shown, 1):
        says = f"{file.name}, part {number} of {len(shown)} (Slack refused the file: {code})"
        if left and number == len(shown):
            says += f"; {left:,} more characters are not shown here"
        made.append(Message(f"{says}\n```{piece}```"))
    return made


def _tell(job: _Job, fate: Any) -> None:
    if job.done.done():
        return
    if isinstance(fate, BaseException):
        job.done.set_exception(fate)
        job.done.exception()  # whoever waited may be gone; asyncio would warn about an error nobody saw
    else:
        job.done.set_result(fate)
