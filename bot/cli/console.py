"""Text for a terminal, with everything made visible that could move the cursor, hide or reorder other text."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from bot.control_chars import reveal


def visible(text: str) -> str:
    """The text with what cannot be seen shown as "⟨U+200B⟩"; tabs and line ends become one space."""
    return reveal(text.replace("\r", " "))


def styled(text: str, style: str = "") -> Text:
    """Text from outside: never read as markup, never as control sequences."""
    return Text(visible(text), style=style)


def console(*, errors: bool = False) -> Console:
    """A console that adds nothing of its own to a text: colours and weights on a terminal only, and there unless NO_COLOR asks for none."""
    file = sys.stderr if errors else sys.stdout
    is_plain = not file.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in ("dumb", "unknown")
    plain: dict[str, Any] = {"color_system": None, "force_terminal": file.isatty()} if is_plain else {}
    return Console(file=file, highlight=False, markup=False, emoji=False, **plain)


def format_time(at: str) -> str:
    """A time of the ledger in the zone of this terminal, without seconds: "2026-03-02 14:07"."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def format_short_time(at: str) -> str:
    """A time of the ledger in the zone of this terminal: time only for today, else the date with it."""
    moment = datetime.fromisoformat(at).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%m-%d %H:%M")
