"""Text for a terminal, with everything made visible that could move the cursor, hide or reorder other text."""

from __future__ import annotations

import sys
import unicodedata
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text


def visible(text: str) -> str:
    """The text with controls and invisible format characters as `?`; tabs and line ends become one space."""
    return "".join(_shown(character) for character in text)


def styled(text: str, style: str = "") -> Text:
    """Text from outside: never read as markup, never as control sequences."""
    return Text(visible(text), style=style)


def console(*, errors: bool = False) -> Console:
    """A console that adds nothing of its own to a text."""
    return Console(file=sys.stderr if errors else sys.stdout, highlight=False, markup=False, emoji=False)


def format_time(at: str) -> str:
    """A time of the ledger in the zone of this terminal, without seconds: "2026-03-02 14:07"."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def format_short_time(at: str) -> str:
    """A time of the ledger in the zone of this terminal: time only for today, else the date with it."""
    moment = datetime.fromisoformat(at).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%m-%d %H:%M")


def _shown(character: str) -> str:
    if character in "\t\n\r":
        return " "
    # Cc: controls, escape among them. Cf: bidirectional overrides, zero width. Zl, Zp: line ends of their own.
    return "?" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character
