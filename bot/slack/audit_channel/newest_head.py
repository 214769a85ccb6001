"""The newest head of this ledger in the audit channel, asked before anything starts. Cheap: few pages, newest first.

Before a head is posted, more pages are read where those show none: a restored copy that posted one without knowing what is
there would find its own the next time, and take it for the answer. What was read without finding one is not read again, so
however much members write there, each look comes further than the one before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.errors import RecordUnavailable
from bot.ledger import Ledger, Reader
from bot.ledger.anchors import Anchor
from bot.ledger.entries import AnchorPosted
from bot.slack.audit_channel import channel_history
from bot.slack.audit_channel.anchor_messages import BotIdentity, classify
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent
from bot.slack.outbound.conversation_pages import Page, moment

_PAGES = 10  # of 200 messages; who writes more than that between two heads keeps us from knowing, until more was read
_SECONDS = 20.0  # for all of it: a start waits meanwhile
# The same before a head is posted: some ten thousand messages; the lines of decisions wait meanwhile.
_POST_SECONDS = 60.0
_POSTED = 20  # `anchor` entries, for the newest that went to this channel
_BEGINNING = ""  # in place of the ts of a channel's first message
_SETTLES = 10  # seconds, in which a message may still come in before one that was read already
_STRETCHES = 100  # that are remembered; one a look, until it reaches the one before


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From one ts to another, all messages were read, and no head of ours is among them.

    That stays so: nothing is posted into the past, and what is edited does not count.
    """

    newest: str
    oldest: str


class _Stretches:
    """What was read of a channel."""

    def __init__(self) -> None:
        self._known: list[_Stretch] = []

    def below(self, ts: str) -> _Stretch | None:
        """The newest one that begins before a ts; "" stands for now."""
        return next((one for one in self._known if not ts or moment(one.newest) < moment(ts)), None)

    def add(self, newest: str, oldest: str) -> None:
        """All of that was read; what touches becomes one."""
        if moment(newest) < moment(oldest):
            return
        made: list[_Stretch] = []
        for one in sorted([*self._known, _Stretch(newest, oldest)], key=lambda one: moment(one.newest), reverse=True):
            last = made[-1] if made else None
            if last is not None and moment(last.oldest) <= moment(one.newest):
                made[-1] = _Stretch(last.newest, min(last.oldest, one.oldest, key=moment))
            else:
                made.append(one)
        del made[_STRETCHES:]
        self._known = made


@dataclass(slots=True)
class _Count:
    """How many messages one look has read."""

    messages: int = 0


class NewestHead:
    """Asks one channel about one ledger."""

    def __init__(self, reader: ChannelReader, ledger: Ledger, channel: str) -> None:
        """Take the parts; `channel` is the id."""
        self._reader, self._ledger, self._channel = reader, ledger, channel
        self._own: BotIdentity | None = None
        self._without_head = _Stretches()

    async def __call__(self, *, to_post: bool = False) -> Anchor | None:
        """The newest head that somebody with the ledger's key made and this bot posted; None where none was ever posted.

        Args:
            to_post: whether a head is to be posted next: then as many pages are read as there is time for.

        Raises:
            RecordUnavailable: Slack does not answer in time, refuses, or does not show what this ledger says was posted.
        """
        seconds = _POST_SECONDS if to_post else _SECONDS
        read = _Count()
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(None if to_post else _PAGES * channel_history.PAGE, read)
        except TimeoutError:
            if not read.messages:
                raise RecordUnavailable(f"no answer from Slack in {seconds:.0f} s") from None
            raise RecordUnavailable(f"timed out after {seconds:.0f} s: {_not_reached(read.messages, None)}") from None
        except (NotSent, DeliveryUnknown) as error:
            raise RecordUnavailable(str(error).rstrip(".")) from None

    async def _ask(self, most: int | None, read: _Count) -> Anchor | None:
        posted = await asyncio.to_thread(newest_posted, self._ledger, self._channel)
        self._own = self._own or await self._reader.own()
        before, is_left = "", True
        while is_left:
            known = self._without_head.below(before)
            until = known.newest if known else _BEGINNING
            newest = before
            async for page in self._reader.pages(latest=before, oldest=until):
                if (head := self._head_in(page)) is not None:
                    return head
                newest = newest or _settled(page.first)
                if page.last:
                    self._without_head.add(newest, page.last)
                read.messages += max(len(page.messages), page.passed_over)
                if most is not None and read.messages >= most:
                    raise RecordUnavailable(_not_reached(read.messages, posted))
            if newest:
                self._without_head.add(newest, until)
            before = known.oldest if known else _BEGINNING
            is_left = before != _BEGINNING
        if posted is not None:
            raise RecordUnavailable(f"the head of entry {posted:,} was posted there and is gone")
        return None

    def _head_in(self, page: Page) -> Anchor | None:
        assert self._own is not None
        found = classify(page.messages, frozenset({self._own})).anchors
        ours = [anchor for anchor in found if self._ledger.seal.holds(anchor)]
        return max(ours, key=lambda anchor: anchor.seq, default=None)


def _settled(ts: str) -> str:
    """Up to when nothing comes in later, where this is the newest message."""
    seconds, rest = moment(ts)
    return f"{max(0, seconds - _SETTLES)}.{rest:06}"


def _not_reached(read: int, posted: int | None) -> str:
    """What is known where not all was read: nothing of what is older. A copy from before the first head knows of none either."""
    what = "no head is" if posted is None else f"the head of entry {posted:,} is not"
    return f"{what} among the {read:,} messages read this time; the next check continues with older ones"


def newest_posted(ledger: Reader, channel: str) -> int | None:
    """Of which entry the newest head was that a ledger says was posted to a channel; None where none was."""
    told = (entry.read_if(AnchorPosted) for entry in ledger.entries(kind="anchor", limit=_POSTED))
    return next((one.head for one in told if one is not None and one.channel == channel), None)
