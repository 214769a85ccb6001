"""Look whether what may have arrived did: in the history of the channel, by the mark that each message carries.

Slack has no key that makes a second post harmless. So a message that must not be doubled carries a mark that only this
ledger makes, as metadata and as the id of its first block: both come back with the history [doc: docs.slack.dev/messaging/
message-metadata, docs.slack.dev/reference/block-kit/blocks]. Which apps are shown metadata without a scope of its own
is not documented; the block's id is part of the message. A file has its mark in its title, which comes back with the file
[doc: docs.slack.dev/reference/objects/file-object].
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.outbound.message import Block
from bot.slack.outbound.slack_time import slack_time

EVENT = "hvops_message"
_BEFORE_MARK = " \N{MIDDLE DOT} "  # in a file's title
_PAGE = 200  # messages in one call: Slack recommends no more [doc: docs.slack.dev/apis/web-api/pagination]
_APART = timedelta(days=1)  # that our clock and Slack's may differ by, where Slack's is not known
_BOTS_APART = timedelta(minutes=30)  # that the clocks of two bots may: of a busy channel, a day is many calls
_PAGES = 10  # of a channel, newest first: what is looked for was sent a moment ago, or before a restart
_THREAD_PAGES = 20  # of a thread, which is told oldest first


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

    def __init__(self, client: AsyncWebClient) -> None:
        """Take the Web API client."""
        self._client = client

    async def with_mark(
        self, channel: str, mark: str, owner: str, thread_ts: str = "", since: datetime | None = None
    ) -> list[str]:
        """The ts of every message of the owner's with this mark, oldest first, among the newest of a channel or in a thread.

        Whoever can read the channel can copy a mark. `since`: nothing of a channel is older, give or take what clocks differ by.
        """
        messages = self._messages(channel, thread_ts, "" if since is None else self._oldest(since))
        found = [str(one["ts"]) async for one in messages if one.get("user") == owner and _has(one, mark)]
        return sorted(found, key=_moment)

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
        now = slack_time(self._client.base_url).now()
        if now is None:
            return f"{(since - _APART).timestamp():.6f}"
        age = max(timedelta(), datetime.now(UTC) - since) + _BOTS_APART
        return f"{now - age.total_seconds():.6f}"

    async def _messages(self, channel: str, thread_ts: str, oldest: str = "") -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        bounded: dict[str, Any] = {"oldest": oldest} if oldest else {}
        for _ in range(_THREAD_PAGES if thread_ts else _PAGES):
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            if thread_ts:
                told = await self._client.conversations_replies(
                    channel=channel, ts=thread_ts, limit=_PAGE, include_all_metadata=True, **more
                )
            else:
                told = await self._client.conversations_history(
                    channel=channel, limit=_PAGE, include_all_metadata=True, **bounded, **more
                )
            for one in told.get("messages") or ():
                yield one
            cursor = str((told.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return


def _has(message: dict[str, Any], mark: str) -> bool:
    told = message.get("metadata") or {}
    payload = told.get("event_payload") or {} if told.get("event_type") == EVENT else {}
    if payload.get("mark") == mark:
        return True
    return any(block.get("block_id") == mark for block in message.get("blocks") or ())


def _moment(ts: str) -> tuple[int, int]:
    seconds, _, rest = ts.partition(".")
    return int(seconds or 0), int(rest or 0)
