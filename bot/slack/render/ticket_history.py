"""A ticket's whole story in a window: every entry with its number, time and author, what was so before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from bot.audit.ticket_history import READ, HistoryLine, is_plumbing, story_of, story_text
from bot.ledger import Entry
from bot.slack.outbound.blockkit_fitting import fit_view
from bot.slack.outbound.local_times import local_blocks
from bot.slack.outbound.message import Block, File, View, escape, escape_control, truncate, utf16_length
from bot.slack.render.blocks import actions, button, contexts, sections
from bot.slack.render.pagination import pager, paginate
from bot.slack.render.ticket_buttons import STORY_ALL, STORY_FILE, STORY_PAGE
from bot.slack.render.ticket_view_model import at_time, person

CALLBACK = "hvops:story"
_PAGE = 24_000  # characters of JSON on a page: what somebody still scrolls through, and far below a view's 250 kB
_ENTRIES = 30  # on a page, so that a page stays below 100 blocks
_PART = 1_200  # characters of one part of an entry before the window points to the file
_SAYS = 600


def loading_view() -> View:
    """What opens at once, because a trigger lives three seconds."""
    return _modal([*sections("Looking…")])


def error_view(says: str) -> View:
    """The same window when nothing can be shown; `says` is plain text."""
    return _modal([*sections(escape(says))])


def story_view(ticket: str, entries: Sequence[Entry], page: int = 0, *, whole: bool = False) -> View:
    """One page of a story.

    Args:
        ticket: its number; all that the buttons carry.
        entries: all of them, oldest first.
        page: from 0; a page that does not exist shows the nearest one.
        whole: also which buttons were pressed, and where messages were put.
    """
    one_page = paginate(story_of(entries, whole=whole), page, weigh=_weight, heaviest=_PAGE, most=_ENTRIES)
    hidden = 0 if whole else sum(map(is_plumbing, entries))
    where = f"*{escape(ticket)}* · {len(entries):,} entries · {one_page.number}"
    if hidden:
        where += f" · {hidden:,} about presses and messages not shown"
    shown = [block for one in one_page.items for block in _blocks(one)]
    row = pager(one_page, STORY_ALL if whole else STORY_PAGE, ticket)
    if hidden:
        row.append(button("All Entries", STORY_ALL, ticket, index=0))
    row.append(button("Send as File", STORY_FILE, ticket))
    return _modal([*contexts(where), *actions(row), *shown], ticket)


def story_file(ticket: str, entries: Sequence[Entry]) -> File:
    """All of it, whole: in words, and each entry as it stands in the ledger."""
    text = escape_control(story_text(ticket, entries), lines=True)
    return File(f"story-{ticket}.txt", f"History of {ticket}", text.encode())


_READ = tuple(f"*{label}:*" for label in sorted(READ))


def _weight(one: HistoryLine) -> int:
    return len(json.dumps(_text(one)))


def _blocks(one: HistoryLine) -> tuple[Block, ...]:
    """What was done in Slack's own size; what was only looked at or read in its small one, about half of it."""
    first, *lines = _text(one).split("\0")
    read = [line for line in lines if line.startswith(_READ)]
    done = [line for line in lines if not line.startswith(_READ)]
    told = "\n".join([first, *done])
    blocks = (*(sections if one.is_done else contexts)(told), *contexts("\n".join(read)))
    return local_blocks(blocks, datetime.fromisoformat(one.at))


def _text(one: HistoryLine) -> str:
    """An entry as a section: its number first, as it is in the ledger."""
    when = at_time(one.at, "{date_short_pretty} {time_secs}")
    first = f"*{one.seq}* · {when} · *{escape(one.kind)}* · {person(*one.by)}\n{escape(_cut(one.says, _SAYS))}"
    parts = [f"*{escape(label)}:* {escape(_cut(text, _PART), lines=True)}" for label, text in one.lines if text]
    return "\0".join([first, *parts])


def _cut(text: str, most: int) -> str:
    """What is cut says so, and where the rest is."""
    if utf16_length(text) <= most:
        return text
    return f"{truncate(text, most)} ({utf16_length(text) - most:,} more characters: Send as File)"


def _modal(blocks: list[Block], ticket: str = "") -> View:
    return fit_view(
        {
            "type": "modal",
            "callback_id": CALLBACK,
            "title": {"type": "plain_text", "text": f"History {ticket}".strip()[:24], "emoji": False},
            "close": {"type": "plain_text", "text": "Close", "emoji": False},
            "blocks": blocks,
        }
    )
