"""The messages of a conversation, page by page, whatever its members write there.

Each emoji that somebody types, and each run of bold letters, is an object of its own in the `rich_text` block that Slack gives back
beside the text [doc: docs.slack.dev/reference/block-kit/blocks/rich-text-block]. So a few messages of a member can make a page of
two hundred larger than any reply that is read. Then fewer are asked for, from the same place on, and more again once that goes
well: none is skipped, and each call counts, since Slack takes some fifty of them a minute for all channels together.

A message that is too large alone is passed over. It is none of hvops': what hvops posts is within the limits of Block Kit, 50
blocks with one table of 100 rows at most [doc: docs.slack.dev/reference/block-kit/blocks], which are some ten thousand
objects and less than a megabyte.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from bot.slack.outbound.api_errors import NotSent
from bot.slack.outbound.bounded_client import ReplyTooLarge

log = structlog.get_logger()

LARGEST = 200  # messages in one call: Slack recommends no more [doc: docs.slack.dev/apis/web-api/pagination]
_FEWER = 4  # times fewer, after a page that was too large
_LARGER = 2  # times more, after one that was not
_WELL = 4  # pages in a row, after which as many are tried again as were once too many

_TS = re.compile("([0-9]{1,12})[.]([0-9]{1,9})")

Call = Callable[[dict[str, Any]], Awaitable[Any]]
"""One call that asks for a page: takes `limit` and `cursor`, and answers as Slack does."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages that stand beside each other, in Slack's order.

    Attributes:
        messages: those that can be read.
        first: the ts of the first one that was looked at, or passed over; "" where there was none.
        last: the same of the last one.
        passed_over: how many were too large.
    """

    messages: tuple[dict[str, Any], ...]
    first: str = ""
    last: str = ""
    passed_over: int = 0


@dataclass(slots=True)
class PageSize:
    """How many messages to ask for."""

    largest: int = LARGEST
    now: int = field(init=False)
    _too_many: int = field(init=False)
    _well: int = 0

    def __post_init__(self) -> None:
        """Begin with the largest."""
        self.now, self._too_many = self.largest, self.largest + 1

    def shrink(self) -> None:
        """That many were too much."""
        self._too_many, self._well = self.now, 0
        self.now = max(1, self.now // _FEWER)

    def grow(self) -> None:
        """That many were read."""
        self._well += 1
        if self._well >= _WELL:
            self._too_many = self.largest + 1
        larger = min(self.now * _LARGER, self.largest)
        if larger < self._too_many:
            self.now = larger


async def conversation_pages(
    ask: Call, outline: Call, *, largest: int = LARGEST, calls: int | None = None
) -> AsyncIterator[Page]:
    """Read a conversation, in the order in which Slack tells it.

    Args:
        ask: asks for a page. Raises ReplyTooLarge where it cannot be read.
        outline: the same, of whose answer only what messages say of themselves is kept.
        largest: messages in one page.
        calls: after how many the rest is left unread; None: never.

    Raises:
        NotSent: the pages lead in a circle. And what `ask` and `outline` raise.
    """
    size, cursor, made, seen = PageSize(largest), "", 0, set[str]()
    while calls is None or made < calls:
        wanted: dict[str, Any] = {"limit": size.now, **({"cursor": cursor} if cursor else {})}
        made += 1
        try:
            told, is_read = await ask(wanted), True
        except ReplyTooLarge:
            if size.now > 1:
                size.shrink()
                continue
            made += 1
            told, is_read = await outline(wanted), False
        size.grow()
        page = _page(told, is_read=is_read)
        if page.passed_over:
            log.warning("skipped a slack message that is too large to read", ts=page.last)
        yield page
        cursor = str((told.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return
        if cursor in seen:
            raise NotSent("invalid_cursor", "Slack sends the same page again and again; the channel was not read.")
        seen.add(cursor)


def moment(ts: str) -> tuple[int, int]:
    """The time that a ts stands for, to compare it with others; the beginning of all time where it is none."""
    told = _TS.fullmatch(ts)
    return (int(told[1]), int(told[2])) if told else (0, 0)


def _page(told: Any, *, is_read: bool) -> Page:
    messages = tuple(told.get("messages") or ())
    stamps = [str(one.get("ts") or "") for one in messages] or [""]
    if is_read:
        return Page(messages, stamps[0], stamps[-1])
    return Page((), stamps[0], stamps[-1], len(messages))
