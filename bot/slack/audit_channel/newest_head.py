"""The newest head of this ledger in the audit channel, asked before anything starts. Cheap: few pages, newest first.

Before a head is posted, more pages are read where those show none: a restored copy that posted one without knowing what is
there would find its own the next time, and take it for the answer.
"""

from __future__ import annotations

import asyncio

from bot.errors import RecordUnavailable
from bot.ledger import Ledger, Reader
from bot.ledger.anchors import Anchor
from bot.ledger.entries import AnchorPosted
from bot.slack.audit_channel.anchor_messages import BotIdentity, classify
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent

_PAGES = 10  # of 200 messages; who writes more than that between two heads keeps us from knowing
_SECONDS = 20.0  # for all of it: a start waits meanwhile
_POST_SECONDS = (
    60.0  # the same before a head is posted: some ten thousand messages; the lines of decisions wait meanwhile
)
_POSTED = 20  # `anchor` entries, for the newest that went to this channel


class NewestHead:
    """Asks one channel about one ledger."""

    def __init__(self, reader: ChannelReader, ledger: Ledger, channel: str) -> None:
        """Take the parts; `channel` is the id."""
        self._reader, self._ledger, self._channel = reader, ledger, channel
        self._own: BotIdentity | None = None

    async def __call__(self, *, to_post: bool = False) -> Anchor | None:
        """The newest head that somebody with the ledger's key made and this bot posted; None where none was ever posted.

        Args:
            to_post: whether a head is to be posted next: then as many pages are read as there is time for.

        Raises:
            RecordUnavailable: Slack does not answer in time, refuses, or does not show what this ledger says was posted.
        """
        seconds = _POST_SECONDS if to_post else _SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(None if to_post else _PAGES)
        except TimeoutError:
            raise RecordUnavailable(f"no answer from Slack in {seconds:.0f} s") from None
        except (NotSent, DeliveryUnknown) as error:
            raise RecordUnavailable(str(error).rstrip(".")) from None

    async def _ask(self, most: int | None) -> Anchor | None:
        posted = await asyncio.to_thread(newest_posted, self._ledger, self._channel)
        self._own = self._own or await self._reader.own()
        pages, unread = 0, False
        async for page in self._reader.pages():
            pages += 1
            found = classify(page, frozenset({self._own})).anchors
            ours = [anchor for anchor in found if self._ledger.seal.holds(anchor)]
            if ours:
                return max(ours, key=lambda anchor: anchor.seq)
            if pages == most:
                unread = True
                break
        if posted is not None:
            raise RecordUnavailable(f"the head of entry {posted:,} was posted there and is gone")
        if unread:  # a copy from before the first head knows of none either
            raise RecordUnavailable(f"its newest {most} pages hold no head, and the pages before them were not read")
        return None


def newest_posted(ledger: Reader, channel: str) -> int | None:
    """Of which entry the newest head was that a ledger says was posted to a channel; None where none was."""
    told = (entry.read_if(AnchorPosted) for entry in ledger.entries(kind="anchor", limit=_POSTED))
    return next((one.head for one in told if one is not None and one.channel == channel), None)
