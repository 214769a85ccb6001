"""A capture: every request to live hosts and every reply, as a file that `replay` can answer from.

Taken by `hvops record`, anonymised, and meant to replace an assumption by what a real host said.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.errors import UsageError
from bot.private_files import private_text

VERSION = 1

# rsp:Stream of a ReceiveResponse [cap]; the prefix is the host's choice
_STREAM = re.compile(
    r'(<(?:\w+:)?Stream\b[^>]*?\bName="(\w+)"[^>]*?\bCommandId="([^"]+)"[^>]*?>)([A-Za-z0-9+/=\s]*)(</(?:\w+:)?Stream>)'
)

_COMMAND_ID = re.compile(r"<(?:\w+:)?CommandId\b[^>]*>([^<]+)</")  # of the reply that a program has begun [cap]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its reply, in clear."""

    host: str
    request: str
    reply: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Everything one line asked.

    Attributes:
        line: the command line.
        at: when, ISO 8601 in UTC: the clock that a replay must show.
        inventory: as in inventory.toml.
        title: what the answer said then.
    """

    line: str
    at: str
    inventory: dict[str, Any]
    title: str
    exchanges: tuple[Exchange, ...]

    def save(self, path: Path) -> None:
        """Write the file. Raises UsageError where it cannot be written."""
        told = {"version": VERSION} | asdict(self)
        try:
            with private_text(path) as file:
                file.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from None

    @classmethod
    def load(cls, path: Path) -> Capture:
        """Read a file. Raises UsageError for anything else than a capture of this version."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told.pop("version") != VERSION:
                raise UsageError(f"{path}: a capture of another version; record it again.")
            told["exchanges"] = tuple(Exchange(**one) for one in told["exchanges"])
            return cls(**told)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: this is no capture ({error}).") from None

    def texts(self) -> Iterator[str]:
        """Every text of it, what programs printed included."""
        for one in whole_output(self.exchanges):
            yield one.request
            yield one.reply
            for found in _STREAM.finditer(one.reply):
                yield _text(base64.b64decode(found[4]))[0]

    def changed(self, change: Callable[[str], str]) -> Capture:
        """The same capture with every text changed, what programs printed included."""
        printed = whole_output(self.exchanges)
        exchanges = tuple(
            Exchange(change(one.host), _inside(one.request, change), _inside(one.reply, change)) for one in printed
        )
        inventory = json.loads(change(json.dumps(self.inventory)))
        return replace(self, line=change(self.line), inventory=inventory, title=change(self.title), exchanges=exchanges)


def whole_output(exchanges: Iterable[Exchange]) -> tuple[Exchange, ...]:
    """Put what a program printed in pieces into the first piece, so that no name is cut in two."""
    exchanges = tuple(exchanges)
    pieces: dict[tuple[str, str, str], list[bytes]] = {}
    for one in exchanges:
        for found in _STREAM.finditer(one.reply):
            pieces.setdefault((one.host, found[3], found[2]), []).append(base64.b64decode(found[4]))
    told: set[tuple[str, str, str]] = set()

    def joined(host: str, found: re.Match[str]) -> str:
        key = (host, found[3], found[2])
        data = b"" if key in told else b"".join(pieces[key])
        told.add(key)
        return f"{found[1]}{base64.b64encode(data).decode()}{found[5]}"

    return tuple(replace(one, reply=_STREAM.sub(partial(joined, one.host), one.reply)) for one in exchanges)


def cover_output(
    exchanges: Iterable[Exchange], covering: Iterable[tuple[Iterable[str], Callable[[str], str]]]
) -> tuple[Exchange, ...]:
    """The same exchanges without what programs cover of their output: the text of configuration files, for instance.

    Pieces are put together first, since a line may be cut in two. `covering`: words of a command line, and what covers.
    """
    exchanges = whole_output(exchanges)
    covers: dict[tuple[str, str], Callable[[str], str]] = {}
    for words, cover in covering:
        begun = [one for one in exchanges if all(word in one.request for word in words)]
        covers |= {(one.host, found): cover for one in begun for found in _COMMAND_ID.findall(one.reply)}

    def covered(host: str, found: re.Match[str]) -> str:
        cover = covers.get((host, found[3]))
        if cover is None:
            return found[0]
        # every byte has its own character there, and none of them ends a line but those of ASCII
        kept = cover(base64.b64decode(found[4]).decode("cp437")).encode("cp437")
        return f"{found[1]}{base64.b64encode(kept).decode()}{found[5]}"

    return tuple(replace(one, reply=_STREAM.sub(partial(covered, one.host), one.reply)) for one in exchanges)


def _inside(envelope: str, change: Callable[[str], str]) -> str:
    """Change the envelope, and within it what programs printed."""
    kept: list[str] = []

    def set_aside(found: re.Match[str]) -> str:
        kept.append(base64.b64encode(_bytes_changed(base64.b64decode(found[4]), change)).decode())
        return f"{found[1]}\x00{len(kept) - 1}\x00{found[5]}"

    changed = change(_STREAM.sub(set_aside, envelope))
    return re.sub("\x00([0-9]{1,9})\x00", lambda found: kept[int(found[1])], changed)


def _bytes_changed(data: bytes, change: Callable[[str], str]) -> bytes:
    """Change text in whatever encoding a program used."""
    text, code = _text(data)
    return change(text).encode(code)


def _text(data: bytes) -> tuple[str, str]:
    """The text and its encoding: UTF-16, UTF-8, or one byte for each character, which reads everything."""
    for code in ("utf-16-le", "utf-8") if b"\x00" in data else ("utf-8",):
        with suppress(UnicodeError):
            return data.decode(code), code
    return data.decode("latin-1"), "latin-1"
