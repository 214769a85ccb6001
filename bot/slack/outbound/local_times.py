"""Times in words, shown to each reader in their own time zone.

Commands and entries say times in UTC ("22:41 UTC", "19 Sep 22:14 UTC", "2026-03-02 23:08 UTC"), as files, the terminal and the
ledger have them. In mrkdwn each becomes Slack's date token, in a cell of a table its date element; both keep the words as
their fallback [doc: docs.slack.dev/messaging/formatting-message-text, .../block-kit/blocks/rich-text-block]. A text that Slack shows as it is
(a header, the title of a task) takes no token: there the time is left out, since the message says it below. Heads of the ledger in
the audit channel are read back by machines, so they are never changed. A time is read only between words and marks that hvops writes
around its own ("since 22:41 UTC;"): the name of a guest ("crm 10:00 UTC 01") would be shown as another name. Where what a message is about
holds a time, all of its words stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, Message, utf16_length

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = r"(?P<{0}year>20[0-9]{{2}})-(?P<{0}month>[01][0-9])-(?P<{0}day>[0-3][0-9])"
_WORDS = rf"(?P<day>[0-3]?[0-9]) (?P<name>{'|'.join(_MONTHS)})(?: (?P<year>20[0-9]{{2}}))?"
_TIME = re.compile(
    rf"(?<![\w:.-])(?:{_DATE.format('iso_')} |{_WORDS},? )?(?P<hour>[0-2][0-9]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?"
    rf" UTC\b(?: on {_DATE.format('on_')}\b)?"
)
# What is not read: tokens of Slack's own, and code.
_APART = re.compile(r"(<[^<>]*>|`[^`\n]*`)")
_TOKEN = re.compile(r"<!date\^[0-9]+\^[^|<>]*\|([^<>]*)>")
# What stands before and behind the times of hvops' own: a column of a row, too, such as "changed" or "LastBootUpTime".
_OWN_BEFORE = re.compile(
    r"(?:[,(*>·•;“]\s*|\n[^\S\n]*|\b(?:since|at|from|until|last|of|after|before|seen|made|and|or|to|by|is|was|on|started|changed|changes|again"
    r"|reading|deadline|\w*(?:time|date))\s+)$",
    re.IGNORECASE,
)
_OWN_BEHIND = re.compile(
    r"\s*(?:$|[\n;)\]<·•*—–”]|[,.:](?=[\s)\]*\"”]|$))|\s+(?:[\[(]|(?:and|or|to|on|by|until|it|in|has|have|is|was|with|before|after)\b)"
)
_WINDOW = 24  # characters before a time that are looked at
_BEFORE = re.compile(r"(?:,? (?:since|at|from|until|last|of|after|before))?$")


def local_message(message: Message, at: datetime) -> Message:
    """A message whose times are each reader's own. `at`: when its words were made; a time without a date is of that day.

    One that keeps its times stays as it is.
    """
    if message.keeps_times:
        return message
    instead = local_message(message.instead, at) if message.instead else None
    text = local_text(message.text, at, limits.MESSAGE_TEXT)
    return replace(message, text=text, blocks=local_blocks(message.blocks, at), instead=instead)


def local_blocks(blocks: Iterable[Block], at: datetime) -> tuple[Block, ...]:
    """The same of blocks."""
    return tuple(_local_block(block, at) for block in blocks)


def local_text(mrkdwn: str, at: datetime, most: int) -> str:
    """The same of mrkdwn; as it is where the tokens would make it longer than `most` units."""
    if " UTC" not in mrkdwn:
        return mrkdwn
    parts = _APART.split(mrkdwn)
    parts[::2] = [
        _TIME.sub(lambda found: _token(found, at) if _is_own(found) else found[0], part) for part in parts[::2]
    ]
    told = "".join(parts)
    return told if utf16_length(told) <= most else mrkdwn


def reads_like_times(names: Iterable[str]) -> bool:
    """Whether one of these names holds what reads like a time: without it, or in another zone, it would be another name."""
    return any(_TIME.search(name) is not None for name in names)


def without_times(plain: str) -> str:
    """Words for where Slack shows text as it is, without the times in them: "Pending since 22:40 UTC [91:9]" is "Pending [91:9]"."""
    told = ""
    done = 0
    for found in _TIME.finditer(plain):
        if _is_own(found):
            told += _BEFORE.sub("", plain[done : found.start()].rstrip())
            done = found.end()
    return (told + plain[done:]).strip()


def in_utc(mrkdwn: str) -> str:
    """The words behind the tokens of a text, for a file: UTC, and labelled."""
    return _TOKEN.sub(lambda found: found[1], mrkdwn)


def cell_text(cell: Block) -> str:
    """What a cell of a table says, in words."""
    if cell["type"] != "rich_text":
        return str(cell.get("text", ""))
    return "".join(part.get("text", part.get("fallback", "")) for one in cell["elements"] for part in one["elements"])


def _is_own(found: re.Match[str]) -> bool:
    """Whether a time is one that hvops says, and no part of a name."""
    text, begin, end = found.string, found.start(), found.end()
    before = text[max(0, begin - _WINDOW) : begin]
    return bool((begin == 0 or (before and _OWN_BEFORE.search(before))) and _OWN_BEHIND.match(text, end))


def _local_block(block: Block, at: datetime) -> Block:
    kind = block["type"]
    if kind == "header":
        return {**block, "text": {**block["text"], "text": without_times(block["text"]["text"])}}
    if kind == "section":
        told = dict(block)
        if "text" in block:
            told["text"] = _local(block["text"], at, limits.SECTION_TEXT)
        if "fields" in block:
            told["fields"] = [_local(one, at, limits.FIELD_TEXT) for one in block["fields"]]
        return told
    if kind == "context":
        return {**block, "elements": [_local(one, at, limits.CONTEXT_TEXT) for one in block["elements"]]}
    if kind in ("table", "data_table"):
        return {**block, "rows": [[_local_cell(cell, at) for cell in row] for row in block["rows"]]}
    if kind == "plan":
        return {**block, "tasks": [{**one, "title": without_times(one["title"])} for one in block["tasks"]]}
    return block


def _local(text: Block, at: datetime, most: int) -> Block:
    return {**text, "text": local_text(text["text"], at, most)} if text.get("type") == "mrkdwn" else text


def _local_cell(cell: Block, at: datetime) -> Block:
    if cell["type"] != "raw_text" or not any(map(_is_own, _TIME.finditer(cell["text"]))):
        return cell
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": list(_parts(cell["text"], at))}],
    }


def _parts(words: str, at: datetime) -> Iterator[Block]:
    done = 0
    for found in _TIME.finditer(words):
        moment = _moment(found, at) if _is_own(found) else None
        if moment is None:
            continue
        if found.start() > done:
            yield {"type": "text", "text": words[done : found.start()]}
        form, fallback = _form(found), found[0]
        yield {"type": "date", "timestamp": int(moment.timestamp()), "format": form, "fallback": fallback}
        done = found.end()
    if done < len(words):
        yield {"type": "text", "text": words[done:]}


def _token(found: re.Match[str], at: datetime) -> str:
    moment = _moment(found, at)
    return found[0] if moment is None else f"<!date^{int(moment.timestamp())}^{_form(found)}|{found[0]}>"


def _form(found: re.Match[str]) -> str:
    time = "{time_secs}" if found["second"] else "{time}"
    return time if _date(found) is None else f"{{date_short_pretty}} {time}"


def _date(found: re.Match[str]) -> tuple[int | None, int, int] | None:
    """Year, month and day, as far as the words tell; the year is None where they do not."""
    for name in ("iso_", "on_"):
        if found[f"{name}year"]:
            return int(found[f"{name}year"]), int(found[f"{name}month"]), int(found[f"{name}day"])
    if found["name"]:
        return int(found["year"]) if found["year"] else None, _MONTHS.index(found["name"]) + 1, int(found["day"])
    return None


def _moment(found: re.Match[str], at: datetime) -> datetime | None:
    """The time that is meant; None for one that there is not (30 February), which stays as it is."""
    now, date = at.astimezone(UTC), _date(found)
    year, month, day = date or (now.year, now.month, now.day)
    try:
        moment = datetime(
            year or now.year,
            month,
            day,
            int(found["hour"]),
            int(found["minute"]),
            int(found["second"] or 0),
            tzinfo=UTC,
        )
        # a date without a year is within the last year: a little ahead for what is due soon
        return moment.replace(year=now.year - 1) if year is None and moment - now > timedelta(days=60) else moment
    except ValueError:
        return None
