"""Which messages of a channel are anchors of this bot, and which only look like it. Pure.

Anybody in the channel can type an anchor. One counts only as a message of its own by this bot that nobody edited
[doc: docs.slack.dev/events/message: an edited message carries `edited`, one of an app its `bot_id`]; an app that posts in
a person's name carries a bot_id beside that person's user. Whatever else has the numbers of an anchor is named, never hidden;
talk about heads, and a reason of somebody's that hvops repeats, is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.ledger.anchors import Anchor
from bot.ledger.chain_heads import is_anchor_like, parse_anchor, starts_like_anchor


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Who the bot is in Slack.

    Attributes:
        user: the id of its user, "U…".
        bot: the id of the bot, "B…".
    """

    user: str
    bot: str


@dataclass(frozen=True, slots=True)
class ClassifiedAnchors:
    """What a channel's messages come to.

    Attributes:
        anchors: those that are believed.
        doubts: a sentence for each of the others.
    """

    anchors: tuple[Anchor, ...]
    doubts: tuple[str, ...]


def classify(messages: Iterable[Mapping[str, Any]], ours: frozenset[BotIdentity]) -> ClassifiedAnchors:
    """Tell the anchors from what looks like one, in the order of the messages.

    Args:
        messages: as Slack's API and its exports write them.
        ours: who the bot is, or was; empty: not known, then a message of any app is believed, and a sentence says so.
    """
    anchors: list[Anchor] = []
    doubts: list[str] = []
    authors: set[str] = set()
    for message in messages:
        text = message.get("text")
        is_own = _author(message) in ours
        if not isinstance(text, str) or not (is_anchor_like(text) or (is_own and starts_like_anchor(text))):
            continue
        anchor = parse_anchor(text)
        why = _doubt(message, ours)
        if is_own and not why and not starts_like_anchor(text):
            continue  # a decision that it tells: in a reason people write what they like
        if why or anchor is None:
            doubts.append(f"Not believed: {_named(message, anchor)}: {why or 'it is not exactly an anchor'}.")
        else:
            anchors.append(anchor)
            authors.add(str(message.get("user")))
    if authors and not ours:
        doubts.append(f"Believed without knowing the bot's id: messages of the app {', '.join(sorted(authors))}.")
    return ClassifiedAnchors(tuple(anchors), tuple(doubts))


def _doubt(message: Mapping[str, Any], ours: frozenset[BotIdentity]) -> str:
    """Why a message cannot be one of ours as it was posted; "" where it can."""
    if not message.get("bot_id"):
        return "a person wrote it"
    if ours and _author(message) not in ours:
        return "another app, or somebody through one, wrote it"
    if message.get("edited"):
        return "it was edited"
    if message.get("subtype") not in (None, "bot_message"):
        return f"it is a message of the kind {message['subtype']}"
    return ""


def _author(message: Mapping[str, Any]) -> BotIdentity:
    return BotIdentity(str(message.get("user")), str(message.get("bot_id")))


def _named(message: Mapping[str, Any], anchor: Anchor | None) -> str:
    about = f"of entry {anchor.seq}" if anchor is not None else "that looks like an anchor"
    return f"the message of {_when(str(message.get('ts', '')))} by {message.get('user') or 'somebody'} {about}"


def _when(ts: str) -> str:
    """A message's `ts` is its time, in seconds since 1970, and its id."""
    try:
        return f"{datetime.fromtimestamp(float(ts), UTC):%Y-%m-%d %H:%M} UTC (ts {ts})"
    except (ValueError, OverflowError, OSError):
        return f"ts {ts[:30]!r}"
