"""What is sent to Slack: a message of blocks and its text, a file, and text made safe for both."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
View = dict[str, Any]

# "Cc" control, "Cf" format (zero width, bidirectional overrides), "Cs" lone surrogates: they can hide or reorder
# what a person reads, and a lone surrogate cannot even be encoded.
_INVISIBLE = frozenset(("Cc", "Cf", "Cs"))


@dataclass(frozen=True, slots=True)
class File:
    """A file for a person or a thread."""

    name: str
    title: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `text` says it all for notifications and screen readers; `files` follow beside it.

    Attributes:
        instead: what says the same in the plainest blocks, with the same buttons, where Slack refuses these.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    files: tuple[File, ...] = ()
    instead: Message | None = None


def escape_control(outside: str, *, lines: bool = False) -> str:
    """Replace what cannot be seen by U+FFFD, so that text from outside cannot lie about itself.

    Line breaks and tabs become blanks, or stay where `lines` is set.
    """
    return "".join(_visible(character, lines=lines) for character in outside)


def escape_control_lines(outside: Iterable[str]) -> str:
    """Many lines from outside as one text: none of them can break into two, or hide what it says."""
    return "\n".join(escape_control(line) for line in outside)


def _visible(character: str, *, lines: bool) -> str:
    if character in "\n\t":
        return character if lines else " "
    if character == "\r":
        return ""
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in _INVISIBLE else character


def escape(outside: str, *, lines: bool = False) -> str:
    """Make text from outside harmless in mrkdwn: a VM named `<!channel>` must not ring a channel.

    Slack asks for exactly these three to be escaped [doc: docs.slack.dev/messaging/formatting-message-text].
    """
    return escape_control(outside, lines=lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def utf16_length(text: str) -> int:
    """The length of a text as Slack may count it: UTF-16 units, two for every emoji and rare script."""
    return len(text) + sum(character > "\uffff" for character in text)


def unescape(mrkdwn: str) -> str:
    """Undo `escape`."""
    return mrkdwn.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def truncate(text: str, most: int) -> str:
    """Cut to `most` units; the last one says that something was cut."""
    return text if utf16_length(text) <= most else text[: _room(text, most) - 1] + "…"


def split(text: str, most: int) -> tuple[str, ...]:
    """Cut into pieces of at most `most` units, at line ends or blanks where there are any.

    Never cuts inside an escaped character (`&amp;`), and loses nothing but the blank that it cuts at.
    """
    pieces: list[str] = []
    most = _room(text, most)
    while len(text) > most:
        at = _cut(text, most)
        pieces.append(text[:at].rstrip("\n "))
        text = text[at:].lstrip("\n ")
    return (*pieces, text) if text or not pieces else tuple(pieces)


def _room(text: str, most: int) -> int:
    """How many characters surely fit into that many units."""
    return most if utf16_length(text) == len(text) else most // 2


def _cut(text: str, most: int) -> int:
    for mark in ("\n", " "):
        at = text.rfind(mark, most // 2, most)
        if at > 0:
            return at
    ampersand = text.rfind("&", most - len("&amp;") + 1, most)
    return ampersand if ampersand > 0 else most
