"""The bot's app manifest, as the bot itself prints it: `hvops manifest` writes YAML, whose scalars are JSON.

Only what that command writes is read here: mappings, lists and JSON scalars by indentation; no anchors, no flow style.
"""

from __future__ import annotations

import json
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from typing import Any

from lab.bot_process import environment

Line = tuple[int, str]  # indentation, what stands there


class ManifestUnreadable(Exception):
    """The bot did not print its manifest; the text says what it printed."""


async def bot_manifest() -> dict[str, Any]:
    """Ask the bot for its manifest.

    Raises:
        ManifestUnreadable: it failed, or printed something else.
    """
    command = (sys.executable, "-m", "bot", "manifest")
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment())
    out, err = await process.communicate()
    if process.returncode:
        raise ManifestUnreadable(f"`hvops manifest` ended with code {process.returncode}: {err.decode().strip()}")
    try:
        return read(out.decode())
    except (ValueError, IndexError) as error:
        raise ManifestUnreadable(f"`hvops manifest` printed what cannot be read: {error}") from error


def read(text: str) -> dict[str, Any]:
    """Read a manifest, YAML of that kind or JSON.

    Raises:
        ValueError: it is neither.
    """
    if text.lstrip().startswith("{"):
        found = json.loads(text)
    else:
        lines = [(len(line) - len(line.lstrip(" ")), line.strip(" ")) for line in text.split("\n")]
        found, rest = _block([line for line in lines if line[1] and not line[1].startswith("#")])
        if rest:
            raise ValueError(f"nothing should follow, but {rest[0][1]!r} does")
    if not isinstance(found, dict):
        raise ValueError("it is no mapping")  # noqa: TRY004 - of the text, not of an argument
    return found


def _block(lines: list[Line]) -> tuple[Any, list[Line]]:
    """The mapping or list that begins in the first line; and the lines after it."""
    depth, first = lines[0]
    found: Any = [] if first.startswith("- ") else {}
    while lines and lines[0][0] == depth:
        if isinstance(found, list):
            item, lines = _item(lines)
            found.append(item)
        else:
            key, _, value = lines[0][1].partition(":")
            inner, lines = (json.loads(value), lines[1:]) if value.strip() else _block(lines[1:])
            found[key] = inner
    return found, lines


def _item(lines: list[Line]) -> tuple[Any, list[Line]]:
    """An item of a list: a scalar, or a mapping whose first key stands behind the hyphen."""
    depth, first = lines[0]
    item = first.removeprefix("- ")
    if item[:1] in '"[' or ":" not in item:
        return json.loads(item), lines[1:]
    return _block([(depth + 2, item), *lines[1:]])
