"""What is sent to Slack: a message of blocks and its text, a file, and text made safe for both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.control_chars import reveal_masked
from bot.redaction import clip, mask_all

Block = dict[str, Any]
View = dict[str, Any]

# Slack has no escape for these. At the edge of a word they format what follows, so a look-alike stands there instead;
# inside of a word (`my_vm_01`) they do nothing and stay.
_FORMATTING = {"*": "\N{ASTERISK OPERATOR}", "_": "\N{FULLWIDTH LOW LINE}", "~": "\N{TILDE OPERATOR}"}
# What stands between two colons is an emoji: ":blank:", ":100:", ":+1:". Numbers alone are none: times, ports; nor are capitals:
# "Microsoft:Hyper-V:System". The second one may be hvops' own, behind a name; no name is a whole command.
_EMOJI = re.compile(r":(?=([0-9+'-]*+[^\W0-9][\w+'-]*+|100|1234|[+-]1)(:|$))")
_BOLD = re.compile(r"(?<![^\W_])\*+|\*+(?![^\W_])")
_AT_AN_EDGE = re.compile(r"(?<![^\W_])[*_~]+|[*_~]+(?![^\W_])")


@dataclass(frozen=True, slots=True)
class File:
    """A file for a person or a thread.

    Attributes:
        elsewhere: a sentence that says where all of it can be read. Where Slack refuses a long file, it is said in its place.
    """

    name: str
    title: str
    content: bytes
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `text` says it all for notifications and screen readers; `files` follow beside it.

    Attributes:
        instead: what says the same in the plainest blocks, with the same buttons, where Slack refuses these.
        keeps_times: what reads like a time in it may be part of a name, so that it stays as it is.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    files: tuple[File, ...] = ()
    instead: Message | None = None
    keeps_times: bool = field(default=False, compare=False)


def escape_control(outside: str, *, lines: bool = False) -> str:
    """Show what cannot be seen as "⟨U+200B⟩", so that text from outside cannot lie about itself.

    Line breaks and tabs become blanks, or stay where `lines` is set. Secrets are masked first: none is found any more in what is
    made of it here, nor once a piece of it was cut off.
    """
    return _shown(mask_all(outside), lines=lines)


def escape_control_lines(outside: Iterable[str]) -> str:
    """Many lines from outside as one text: none of them can break into two, or hide what it says."""
    lines = list(outside)
    whole = "\n".join(lines)
    has_secrets = mask_all(whole) != whole  # one look at all of them: there may be thousands
    return "\n".join(escape_control(line) if has_secrets else _shown(line) for line in lines)


def _shown(masked: str, *, lines: bool = False) -> str:
    return masked if masked.isascii() and masked.isprintable() else reveal_masked(masked, lines=lines)


def _without_emoji(colon: re.Match[str]) -> str:
    name, end = colon.groups()
    return ":" if name != name.lower() or (not end and " " in colon.string) else "\N{RATIO}"


def escape(outside: str, *, lines: bool = False) -> str:
    """Make text from outside harmless in mrkdwn: a VM named `<!channel>` must not ring a channel.

    Slack asks for `&`, `<` and `>` to be escaped [doc: docs.slack.dev/messaging/formatting-message-text]; a name must
    not write `*APPROVED*` into a card either, nor `:white_check_mark:`.
    """
    shown = escape_control(outside, lines=lines).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")
    shown = _EMOJI.sub(_without_emoji, shown)
    shown = _AT_AN_EDGE.sub(lambda found: "".join(_FORMATTING[one] for one in found[0]), shown)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_each(outside: Iterable[str]) -> list[str]:
    """Make each of several texts from outside harmless in mrkdwn."""
    return [escape(text) for text in outside]


def utf16_length(text: str) -> int:
    """The length of a text as Slack may count it: UTF-16 units, two for every emoji and rare script."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def unescape(mrkdwn: str) -> str:
    """Undo `escape`."""
    return mrkdwn.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def without_bold(mrkdwn: str) -> str:
    """A text for where nothing is bold, without hvops' own asterisks: what `escape` made has none at the edge of a word."""
    return _BOLD.sub("", mrkdwn)


def truncate(text: str, most: int) -> str:
    """Cut to `most` units; the last one says that something was cut."""
    if utf16_length(text) <= most:
        return text
    short = clip(text, _room(text, most) - 1)
    return short[: _room(short, most - 1)] + "…"


def split(text: str, most: int) -> tuple[str, ...]:
    """Cut into pieces of at most `most` units, at line ends or blanks where there are any.

    Never cuts inside an escaped character (`&amp;`), and loses nothing but the blank that it cuts at. What is cut is masked
    first: each piece is a text of its own where they leave.
    """
    pieces: list[str] = []
    text = text if _room(text, most) == len(text) else mask_all(text)
    while (room := _room(text, most)) < len(text):
        at = _cut(text, room)
        pieces.append(text[:at].rstrip("\n "))
        text = text[at:].lstrip("\n ")
    return (*pieces, text) if text or not pieces else tuple(pieces)


def _room(text: str, most: int) -> int:
    """How many characters of its beginning fit into that many units."""
    begins = text[:most]
    while (over := utf16_length(begins) - most) > 0:
        begins = begins[: -max(1, over // 2)]  # a character takes two units at most, so none too many is left out
    return len(begins)


def _cut(text: str, most: int) -> int:
    for mark in ("\n", " "):
        at = text.rfind(mark, most // 2, most)
        if at > 0:
            return at
    ampersand = text.rfind("&", most - len("&amp;") + 1, most)
    return ampersand if ampersand > 0 else most
