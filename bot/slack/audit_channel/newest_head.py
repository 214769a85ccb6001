"""The newest head of this ledger in the audit channel, asked before anything starts. Cheap: few pages, newest first."""

from __future__ import annotations

import asyncio

from bot.errors import RecordUnavailable
from bot.ledger import Ledger
from bot.ledger.anchors import Anchor
from bot.ledger.entries import AnchorPosted
from bot.slack.audit_channel.anchor_messages import BotIdentity, classify
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent

_PAGES = 10  # of 200 messages; who writes more than that between two heads keeps us from knowing
_SECONDS = 20.0  # for all of it: a start waits meanwhile
_POSTED = 20  # `anchor` entries, for the newest that went to this channel


class NewestHead:
    """Asks one channel about one ledger."""

    def __init__(self, reader: ChannelReader, ledger: Ledger, channel: str) -> None:
        """Take the parts; `channel` is the id."""
        self._reader, self._ledger, self._channel = reader, ledger, channel
        self._own: BotIdentity | None = None

    async def __call__(self) -> Anchor | None:
        """The newest head that somebody with the ledger's key made and this bot posted; None where none was ever posted.

        Raises:
            RecordUnavailable: Slack does not answer in time, refuses, or does not show what this ledger says was posted.
        """
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._ask()
        except TimeoutError:
            raise RecordUnavailable(f"no answer from Slack in {_SECONDS:.0f} s") from None
        except (NotSent, DeliveryUnknown) as error:
            raise RecordUnavailable(str(error).rstrip(".")) from None

    async def _ask(self) -> Anchor | None:
        posted = await asyncio.to_thread(self._posted)
        self._own = self._own or await self._reader.own()
        pages, unread = 0, False
        async for page in self._reader.pages():
            pages += 1
            found = classify(page, frozenset({self._own})).anchors
            ours = [anchor for anchor in found if self._ledger.seal.holds(anchor)]
            if ours:
                return max(ours, key=lambda anchor: anchor.seq)
            if pages >= _PAGES:
                unread = True
                break
        if posted is not None:
            raise RecordUnavailable(f"the head of entry {posted:,} was posted there and is gone")
        if unread:  # a copy from before the first head knows of none either
            raise RecordUnavailable(f"its newest {_PAGES} pages hold no head, and the pages before them were not read")
        return None

    def _posted(self) -> int | None:
        """Of which entry the newest head was, that this ledger says it posted there."""
        told = (entry.read_if(AnchorPosted) for entry in self._ledger.entries(kind="anchor", limit=_POSTED))
        return next((one.head for one in told if one is not None and one.channel == self._channel), None)
