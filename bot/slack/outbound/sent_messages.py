"""Look whether what may have arrived did: in the history of the channel, by the mark that each message carries.

Slack has no key that makes a second post harmless. So a message that must not be doubled carries a mark that only this
ledger makes, as metadata and as the id of its first block: both come back with the history [doc: docs.slack.dev/messaging/
message-metadata, docs.slack.dev/reference/block-kit/blocks]. Which apps are shown metadata without a scope of its own
is not documented; the block's id is part of the message. A file has its mark in its title, which comes back with the file
[doc: docs.slack.dev/reference/objects/file-object].
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.outbound.api_errors import Retry, classify_error
from bot.slack.outbound.bounded_client import outlined
from bot.slack.outbound.conversation_pages import Call, conversation_pages, moment
from bot.slack.outbound.message import Block
from bot.slack.outbound.slack_time import slack_time

EVENT = "hvops_message"
_BEFORE_MARK = " \N{MIDDLE DOT} "  # in a file's title
_APART = timedelta(days=1)  # that our clock and Slack's may differ by, where Slack's is not known
_BOTS_APART = timedelta(minutes=30)  # that the clocks of two bots may: of a busy channel, a day is many calls
_MESSAGES = 2_000  # of a channel, newest first: what is looked for was sent a moment ago, or before a restart
_THREAD_MESSAGES = 4_000  # of a thread, which is told oldest first
# What Slack is asked for that many messages at most, twice what they take where members write as people do. Behind more than
# that nothing is looked for: what may stand there is sent again, since otherwise whoever fills a channel keeps hvops silent there.
_CALLS, _THREAD_CALLS = 20, 40


def metadata(mark: str) -> dict[str, Any] | None:
    """What a message carries to be found again; None without a mark."""
    return {"event_type": EVENT, "event_payload": {"mark": mark}} if mark else None


def marked(blocks: Iterable[Block], mark: str) -> list[Block]:
    """The blocks, the first of them with the mark as its id."""
    made = list(blocks)
    if made and mark and "block_id" not in made[0]:
        made[0] = {**made[0], "block_id": mark}
    return made


def marked_title(title: str, mark: str) -> str:
    """The title of a file, with its mark at the end."""
    return f"{title}{_BEFORE_MARK}{mark}" if mark else title


class SentMessages:
    """What stands in Slack. Every method raises what the SDK raises."""

    def __init__(
        self,
        client: AsyncWebClient,
        patience: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the Web API client.

        Args:
            client: asks Slack.
            patience: the seconds that one look waits, all in all, where Slack asks for a pause between its pages: who began anew
                each time would never come to the last one.
            sleep: waits.
        """
        self._client, self._patience, self._sleep = client, patience, sleep

    async def with_mark(
        self, channel: str, mark: str, owner: str, thread_ts: str = "", since: datetime | None = None
    ) -> list[str]:
        """The ts of every message of the owner's with this mark, oldest first, among the newest of a channel or in a thread.

        Whoever can read the channel can copy a mark. `since`: nothing of a channel is older, give or take what clocks differ by.
        """
        return (await self.with_marks(channel, (mark,), owner, thread_ts, since))[mark]

    async def with_marks(
        self, channel: str, marks: Collection[str], owner: str, thread_ts: str = "", since: datetime | None = None
    ) -> dict[str, list[str]]:
        """The same for several marks, in one look."""
        found: dict[str, set[str]] = {mark: set() for mark in marks}
        async for one in self._messages(channel, thread_ts, "" if since is None else self._oldest(since)):
            if one.get("user") == owner:
                for mark in _marks(one) & found.keys():
                    found[mark].add(str(one["ts"]))
        return {mark: sorted(stamps, key=moment) for mark, stamps in found.items()}

    async def has_file(self, channel: str, thread_ts: str, file_id: str) -> bool:
        """Whether a file that was uploaded has been shared there."""
        async for one in self._messages(channel, thread_ts):
            if any(file.get("id") == file_id for file in one.get("files") or ()):
                return True
        return False

    async def has_own_file(self, channel: str, thread_ts: str, mark: str, owner: str) -> bool:
        """Whether a file of the owner's with this mark stands there: anybody can share one of its name and size."""
        end = f"{_BEFORE_MARK}{mark}"
        async for one in self._messages(channel, thread_ts):
            for file in one.get("files") or ():
                if file.get("user") == owner and str(file.get("title") or "").endswith(end):
                    return True
        return False

    async def stands(self, channel: str, ts: str) -> bool:
        """Whether there is a message at that ts."""
        told = await self._client.conversations_history(channel=channel, oldest=ts, latest=ts, inclusive=True, limit=1)
        return any(one.get("ts") == ts for one in told.get("messages") or ())

    def _oldest(self, since: datetime) -> str:
        """The earliest time of Slack's at which something can have been sent that came about then, by a bot's clock."""
        slack = slack_time(self._client.base_url)
        now = slack.now()
        if now is None:
            return f"{(since - _APART).timestamp():.6f}"
        age = max(timedelta(), datetime.now(UTC) - since) + _BOTS_APART
        # Where this host's clocks disagree, the earlier time: else what was sent just now may be looked for in the future.
        return f"{now - slack.apart() - age.total_seconds():.6f}"

    async def _messages(self, channel: str, thread_ts: str, oldest: str = "") -> AsyncIterator[dict[str, Any]]:
        asked: dict[str, Any] = {"channel": channel, "include_all_metadata": True}
        most, calls = (_THREAD_MESSAGES, _THREAD_CALLS) if thread_ts else (_MESSAGES, _CALLS)
        if thread_ts:
            asked["ts"], method, call = thread_ts, "conversations.replies", self._client.conversations_replies
        else:
            asked |= {"oldest": oldest} if oldest else {}
            method, call = "conversations.history", self._client.conversations_history

        async def ask(page: dict[str, Any]) -> Any:
            return await call(**asked, **page)

        async def outline(page: dict[str, Any]) -> Any:
            return await outlined(self._client, method, {**asked, **page})

        waits = _Patience(self._patience, self._sleep)
        async for one in conversation_pages(waits.asking(ask), waits.asking(outline), calls=calls):
            for message in one.messages:
                yield message
            most -= max(len(one.messages), one.passed_over)
            if most <= 0:
                return


class _Patience:
    """Waits where Slack asks for a pause, as long as there is some left."""

    def __init__(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._left, self._sleep = seconds, sleep

    def asking(self, ask: Call) -> Call:
        """The same call, made again after each pause that Slack asked for. Raises what it raises once too long was asked for."""

        async def patient(page: dict[str, Any]) -> Any:
            while True:
                try:
                    return await ask(page)
                except Exception as error:
                    fate = classify_error(error, idempotent=True)
                    pause = fate.after if isinstance(fate, Retry) else None
                    if pause is None or pause > self._left:
                        raise
                self._left -= pause
                await self._sleep(pause)

        return patient


def _marks(message: dict[str, Any]) -> set[str]:
    """What a message may carry to be found again."""
    told = message.get("metadata") or {}
    payload = told.get("event_payload") or {} if told.get("event_type") == EVENT else {}
    marks = {payload.get("mark"), *(block.get("block_id") for block in message.get("blocks") or ())}
    return {mark for mark in marks if isinstance(mark, str)}
