"""The messages of a Slack export: a folder with a file of JSON for each channel and day, or one such file.

An answer of conversations.history, saved by other means, is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.errors import UsageError


def is_export(path: Path) -> bool:
    """Whether this is a folder, or begins as JSON does."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")


def messages_in(path: Path) -> Iterator[dict[str, Any]]:
    """Every message of every file, of whatever channel. Raises UsageError for JSON that cannot be read."""
    for file in sorted(path.rglob("*.json")) if path.is_dir() else (path,):
        try:
            told = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read as a Slack export: {error}.") from None
        listed = told.get("messages") if isinstance(told, dict) else told
        yield from (one for one in listed or () if isinstance(one, dict)) if isinstance(listed, list) else ()
