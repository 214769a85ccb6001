"""A head of the ledger as a sentence, for a channel that others keep; and back, strictly.

    Ledger head: entry 1310, mac 9f3c…(64 hexadecimal digits), ledger 5d0e…(16), seal 77a1…(32), 2026-03-02 14:07 UTC

An anchor file stands on a disk that somebody with the ledger may reach as well; a message in a channel does not. The
sentence is a message of its own, so that nothing said beside it can make another one out of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bot.ledger.anchors import Anchor, AnchorSeal
from bot.ledger.envelope import Entry

_BEGINS = "ledger head"
# What a person could compare with an anchor: the number of an entry and a MAC, however they are set. People talk about heads, too.
_LIKE = re.compile(r"entry\W{0,3}[0-9][0-9,.]{0,20}\W{1,4}mac\W{0,3}[0-9a-f]{8}", re.IGNORECASE)
_TORN = re.compile(r"Ledger head: entry [0-9]")
_HEAD = re.compile(
    r"Ledger head: entry ([1-9][0-9]{0,15}), mac ([0-9a-f]{64}), ledger ([0-9a-f]{16}), seal ([0-9a-f]{32}), "
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}) UTC",
    re.ASCII,
)


def format_anchor(entry: Entry, seal: AnchorSeal) -> str:
    """The sentence about an entry; its time is when the entry was written."""
    at, anchor = datetime.fromisoformat(entry.at).astimezone(UTC), seal.sign(entry.seq, entry.mac)
    told = f"entry {anchor.seq}, mac {anchor.mac.hex()}, ledger {anchor.ledger}, seal {anchor.seal.hex()}"
    return f"Ledger head: {told}, {at:%Y-%m-%d %H:%M} UTC"


def parse_anchor(text: str) -> Anchor | None:
    """The anchor that a text is; None for anything else, however little differs. Whose it is, its seal says."""
    found = _HEAD.fullmatch(text)
    if found is None:
        return None
    try:
        datetime.strptime(found[5], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Anchor(int(found[1]), bytes.fromhex(found[2]), found[3], bytes.fromhex(found[4]))


def is_anchor_like(text: str) -> bool:
    """Whether a person could take it for an anchor: then it is at least named where it is not believed."""
    return _LIKE.search(text) is not None


def starts_like_anchor(text: str) -> bool:
    """Whether it begins as the anchors of hvops do, and as nothing else that it posts."""
    return text.lstrip().lower().startswith(_BEGINS)


def parse_anchors(text: str) -> tuple[tuple[Anchor, ...], tuple[str, ...]]:
    """The anchors in text copied from a channel, and what looks like one and is none.

    Whoever copies may have copied the name or the time before a message with it, never anything after it.
    """
    anchors: list[Anchor] = []
    doubts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not (is_anchor_like(line) or _TORN.search(line)):
            continue
        anchor = parse_anchor(line[max(0, line.find("Ledger head:")) :].strip())
        if anchor is None:
            doubts.append(f"Line {number} looks like an anchor and is none.")
        else:
            anchors.append(anchor)
    return tuple(anchors), tuple(doubts)
