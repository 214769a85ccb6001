"""The messages of a Slack export: a file of JSON for each channel and day, in a folder, in the ZIP that Slack gives, or one.

An answer of conversations.history, saved by other means, is read as well.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.errors import UsageError
from bot.private_files import check_regular, open_regular, read_regular

LARGEST = 200_000_000  # bytes of one channel's day; a ZIP may claim anything


def is_export(path: Path) -> bool:
    """Whether this is a folder, a ZIP, or begins as JSON does."""
    check_regular(path)  # zipfile would wait for the writer of a pipe
    if path.is_dir() or zipfile.is_zipfile(path):
        return True
    with open_regular(path) as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")


def messages_in(path: Path) -> Iterator[dict[str, Any]]:
    """Every message of every file, of whatever channel. Raises UsageError for what cannot be read."""
    name = path.name
    try:
        for name, content in _files(path):  # noqa: B007 - the sentence below names it
            told = json.loads(content)
            listed = told.get("messages") if isinstance(told, dict) else told
            if isinstance(listed, list):
                yield from (one for one in listed if isinstance(one, dict))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read as a Slack export, at {name}: {error}.") from None


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file of JSON."""
    check_regular(path)
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield file.name, read_regular(file)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            for part in packed.infolist():
                if part.filename.endswith(".json"):
                    if part.file_size > LARGEST:
                        raise ValueError(f"{part.filename} has {part.file_size:,} bytes")
                    yield part.filename, packed.read(part)
    else:
        yield path.name, read_regular(path)
