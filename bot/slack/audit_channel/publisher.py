"""The audit channel: a line for each decision and each end, and heads of the ledger, in order, from the ledger alone.

What has been told stands in the ledger: a `shown` entry names the newest entry that a message told of, an `anchor`
entry the head that one carried, and up to where nothing else was left to tell. So a bot that was away, or had no
channel, catches up and repeats nothing. On a ledger whose decisions were never told anywhere it begins with what comes next,
and says so: years of them at one post a second would keep everything else waiting. Where a bot was killed between a post and
its entry, or an answer was lost on the way, the channel is looked through before that message is sent again. Nothing
waits for this channel, whatever is wrong with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import HvopsError, LedgerError
from bot.executor.context import BOT
from bot.ledger import Entry, Filter, Ledger
from bot.ledger.chain_heads import format_anchor
from bot.ledger.entries import AnchorPosted, AuditPublished, EntryData
from bot.ledger.ticket_state import ENDS
from bot.slack.outbound.api_errors import NotSent
from bot.slack.outbound.message import Message
from bot.slack.outbound.outbox import Outbox
from bot.slack.outbound.shielded_tasks import ShieldedTasks
from bot.slack.render.audit_lines import TOLD, audit_message, beginning_line, decision_line

log = structlog.get_logger()

AT_ONCE = 10  # lines in one message, while there are more of them
_LOOKED_AT = 100  # `shown` entries behind a beginning, one of which says that it was told
_HEADS = 100  # `anchor` entries, for the newest that can be read
_LONGEST = 3_500  # characters of a message of several lines


@dataclass(frozen=True, slots=True)
class PostSchedule:
    """How often, in seconds.

    Attributes:
        glance: between two looks at the ledger.
        again: after Slack could not be reached, or refused.
        grace: for what is under way when the bot is stopped.
    """

    glance: float = 1.0
    again: float = 30.0
    grace: float = 5.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class AuditChannel:
    """Tells the audit channel.

    Attributes:
        trouble: why it cannot be told now, or "".
    """

    def __init__(
        self,
        client: AsyncWebClient,
        outbox: Outbox,
        ledger: Ledger,
        channel: str,
        *,
        link: Callable[[str], Awaitable[str]],
        minutes: int,
        may: Callable[[], bool] = lambda: True,
        keeps_back: Callable[[], Awaitable[str]] | None = None,
        rhythm: PostSchedule | None = None,
    ) -> None:
        """Take the parts.

        Args:
            client: made by `calls.make_client`.
            outbox: posts.
            ledger: is told of, and remembers what was told.
            channel: the id of the channel; "" where none is set: then nothing is told until one is.
            link: leads to the message of a ticket, or is "".
            minutes: between two heads, while the ledger moves; the end of a ticket is anchored at once.
            may: whether this process is the one that tells; another one on the same ledger would tell it twice.
            keeps_back: why no head may be posted now, or ""; None: always may one. If a restored copy posted, the
                true ledger would look like the copy; so none is posted either where what stands there is not known.
            rhythm: how often.
        """
        self._client, self._outbox, self._ledger, self._channel = client, outbox, ledger, channel
        self._link, self._every, self._may = link, timedelta(minutes=minutes), may
        self._keeps_back = keeps_back
        self._rhythm = rhythm or PostSchedule()
        self._after: int | None = None  # every entry up to here is told, or is none to tell
        self._head: Entry | None = None  # the newest `anchor` entry
        self._ended = True  # whether a ticket ended since the newest head; True: look
        self._user: tuple[str, str] = ("", "")
        self._unbroken = ShieldedTasks()
        self._is_unsure = True  # an earlier life may have posted what it could not write down
        self.trouble = "" if channel else "none is set"

    async def run(self, stop: asyncio.Event) -> None:
        """Catch up, and keep up until `stop` is set. Never raises: work does not wait for this."""
        if not self._channel:
            return
        working = asyncio.create_task(self._keep_up(stop))
        await stop.wait()
        working.cancel()  # what it posts just now is written down as well, unless Slack does not answer
        await asyncio.gather(working, return_exceptions=True)
        await self._unbroken.close(self._rhythm.grace)

    def sentence(self) -> str:
        """How it is, for `/hvops status`. Where another process tells, that is read from the ledger: beside the loop. Raises LedgerError."""
        if self.trouble:
            return f"not posted: {self.trouble}"
        if not self._may():
            told = self._ledger.last_published()
            return (
                f"posted up to entry {told:,} by another bot" if told else "nothing posted yet; another bot posts there"
            )
        head = f", newest head there: entry {self._head.read(AnchorPosted).head:,}" if self._head else ""
        return f"posted up to entry {self._after:,}{head}" if self._after else "nothing to post yet"

    async def catch_up(self) -> None:
        """Tell all that is not told, then the head if it is due.

        Raises:
            NotSent: Slack refuses.
            DeliveryUnknown: nobody can know whether the newest message arrived.
            LedgerError: what was told cannot be written down.
        """
        head = await asyncio.to_thread(self._ledger.head)
        if head is None:
            self._after = self._after or 0  # whoever is there from the first entry on tells everything
            return
        if self._after is None:
            self._head = await asyncio.to_thread(self._newest_head)
            self._after = await self._begin(head)
        while self._after < head.seq and (due := await asyncio.to_thread(self._due, self._after)):
            if not self._may():
                return
            self._after = await self._unbroken.do(self._tell(due))
        self._after = max(self._after, head.seq)
        if await asyncio.to_thread(self._is_head_due):
            await self._unbroken.do(self._anchor())

    async def _begin(self, head: Entry) -> int:
        """After which entry this life begins to tell: where an earlier one left off; now, where none has told anything.

        The beginning stands in the ledger before it is posted: what is decided while Slack is away is told afterwards.
        """
        after = await asyncio.to_thread(self._ledger.last_published)
        if not after:
            if self._head is not None or not await asyncio.to_thread(self._ledger.following, TOLD, 0, 1):
                return 0
            after = head.seq
            await self._write(AuditPublished(what="audit-begin", last_published=after, channel=self._channel))
        if await asyncio.to_thread(self._begins_untold, after):
            await self._unbroken.do(self._tell_beginning(after))
        return after

    def _begins_untold(self, after: int) -> bool:
        """Whether a channel begins after this entry, and nobody has told it that."""
        about = [entry.read_if(AuditPublished) for entry in self._ledger.following(("shown",), after, _LOOKED_AT)]
        own = [data for data in about if data is not None and data.last_published == after]
        return any(data.what == "audit-begin" for data in own) and not any(data.ts for data in own)

    async def _tell_beginning(self, after: int) -> None:
        ts = await self._post(audit_message([beginning_line(after)]), f"audit begins after {after}")
        await self._write(AuditPublished(last_published=after, channel=self._channel, ts=ts))

    async def _keep_up(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            may = self._may()
            if not may:  # another process tells meanwhile, and what it told stands in the ledger
                self._after, self._head, self._ended, self._is_unsure = None, None, True, True
            well = not may or await self._guarded()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._rhythm.glance if well else self._rhythm.again)

    async def _guarded(self) -> bool:
        """Whether it went well; what did not is logged once."""
        try:
            await self.catch_up()
        except HvopsError as error:
            trouble = str(error)
        except Exception as error:
            log.exception("our bug in the audit channel")
            trouble = f"something went wrong inside hvops: {type(error).__name__}"
        else:
            trouble = ""
        if trouble and trouble != self.trouble:
            log.warning("the audit channel is not told", channel=self._channel, why=trouble)
        self.trouble = trouble
        return not trouble

    def _due(self, after: int) -> list[Entry]:
        return self._ledger.following(TOLD, after, AT_ONCE)

    async def _tell(self, due: list[Entry]) -> int:
        """Post one message about the first of these entries. Returns the number of the last one that it told."""
        lines: list[str] = []
        told = due[0].seq
        for entry in due:
            line = await self._line(entry)
            if lines and sum(map(len, lines)) + len(line) > _LONGEST:
                break
            told = entry.seq
            if line:
                lines.append(line)
        if lines and self._is_unsure and (earlier := await self._told_before(due, told)):
            told, ts = earlier
            await self._write(AuditPublished(last_published=told, channel=self._channel, ts=ts))
        elif lines:
            ts = await self._post(audit_message(lines), f"audit {due[0].seq} to {told}")
            await self._write(AuditPublished(last_published=told, channel=self._channel, ts=ts))
        self._ended = self._ended or any(entry.kind in ENDS for entry in due if entry.seq <= told)
        return told

    async def _told_before(self, due: list[Entry], to: int) -> tuple[int, str] | None:
        """Up to which of these an earlier life, or another process, has told, and where; None for none of them.

        How many entries were due when it did, nobody knows: it may have been killed before it could write down what it told.
        Whether it told just as many as would be told now, up to `to`, is looked for with the post itself.
        """
        keys = {f"audit {due[0].seq} to {entry.seq}": entry.seq for entry in reversed(due) if entry.seq != to}
        try:
            found = await self._outbox.copies_of(self._channel, keys) if keys else {}
        except NotSent as error:
            log.info("what the audit channel was told is not known", why=str(error))
            return None
        return next(((keys[key], stamps[0]) for key, stamps in found.items() if stamps), None)

    async def _post(self, message: Message, key: str) -> str:
        """Post a message, looking first where an earlier one may have arrived that nobody wrote down. Returns its ts."""
        looks, self._is_unsure = self._is_unsure, True
        ts = await self._outbox.post(self._channel, message, key=key, looks_first=looks)
        self._is_unsure = False
        return ts

    async def _line(self, entry: Entry) -> str:
        if entry.ticket is None:
            return decision_line(entry, None, "")
        found = await asyncio.to_thread(self._ledger.entries, kind="proposed", ticket=entry.ticket, limit=1)
        return decision_line(entry, found[0] if found else None, await self._link(entry.ticket))

    async def _anchor(self) -> None:
        """Post the head as it is now, and remember where. Raises LedgerError where the channel knows another ledger, or nobody knows what it knows."""
        if self._keeps_back is not None and (why := await self._keeps_back()):
            raise LedgerError(f"no head was posted: {why}.")
        head = await asyncio.to_thread(self._ledger.head)
        assert head is not None
        user, bot = await self._own()
        ts = await self._post(Message(format_anchor(head, self._ledger.seal)), f"head {head.seq}")
        posted = AnchorPosted(
            head=head.seq,
            ledger_id=self._ledger.seal.ledger,
            last_published=self._after,
            channel=self._channel,
            ts=ts,
            user=user,
            bot=bot,
        )
        self._head = await self._write(posted)
        self._ended = False

    def _newest_head(self) -> Entry | None:
        """The newest that this version can read."""
        heads = self._ledger.entries(kind="anchor", limit=1) or ()
        if any(one.doubt for one in heads):
            heads = self._ledger.entries(kind="anchor", limit=_HEADS)
        return next((one for one in heads if not one.doubt), None)

    def _is_head_due(self) -> bool:
        """At the first sight of a channel, at each end of a ticket, else when the time has come and something is new."""
        head = self._head
        if head is None:
            return True
        posted = head.read(AnchorPosted)
        if posted.channel != self._channel:
            return True
        if self._ended and self._ledger.following(ENDS, posted.head, 1):
            return True
        self._ended = False
        if self._rhythm.now() - datetime.fromisoformat(head.at) < self._every:
            return False
        return any(not entry.is_anchoring for entry in self._ledger.every(Filter(after=posted.head)))

    async def _own(self) -> tuple[str, str]:
        """The ids of the bot's own user and of the bot, by which its messages are known in an export; or ""."""
        if not self._user[0]:
            try:
                told = await self._client.auth_test()
                self._user = (str(told.get("user_id") or ""), str(told.get("bot_id") or ""))
            except Exception as error:  # noqa: BLE001 - the anchor stands without it; an export is then asked who wrote it
                log.info("who the bot is in Slack is not known", why=type(error).__name__)
        return self._user

    async def _write(self, data: EntryData) -> Entry:
        return await asyncio.to_thread(self._ledger.append, BOT, data)
