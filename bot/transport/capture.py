"""A capture: every request to live hosts and every reply, as a file that `replay` can answer from.

Taken by `hvops record`, anonymised, and meant to replace an assumption by what a real host said.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.api.texts import codec_of, unescape
from bot.config.inventory_strings import Text, change_texts
from bot.errors import UsageError
from bot.private_files import private_text, read_regular

VERSION = 1

# What a program printed, in a ReceiveResponse [cap]: prefix, attributes, their order and their quotes are the host's choice.
_ATTRIBUTE = r"""([^\s=<>/"']++)\s*+=\s*+("[^"<]*"|'[^'<]*')"""
_STREAM = re.compile(
    rf"<((?:[\w.-]+:)?Stream)((?:\s+{_ATTRIBUTE.replace('(', '(?:')})*)\s*(?:/>|>([^<]*)</\1\s*>)",
)
_OPENS = re.compile(r"<(?:[\w.-]+:)?Stream[\s/>]")
_ATTRIBUTES = re.compile(rf"""(?<![^\s=<>/"'])(?:{_ATTRIBUTE})""")
_OUTPUT = re.compile(r"<(?:[\w.-]+:)?ReceiveResponse\b")
# Of the request for it [cap].
_WANTED = re.compile(r"""<(?:[\w.-]+:)?DesiredStream\b[^<>]*\bCommandId=["']([^"']+)["']""")

_COMMAND_ID = re.compile(r"<(?:\w+:)?CommandId\b[^<>]*+>([^<]+)</")  # of the reply that a program has begun [cap]
# Of the request for a shell [cap].
_CODE_PAGE = re.compile(r"""\bName=["']WINRS_CODEPAGE["'][^<>]*+>\s*+([0-9]{1,5})\s*<""")
_MARKS = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_OTHER_CONTROLS = re.compile(rb"[\x01-\x06\x0e-\x1a\x1c-\x1f]")  # those that no program prints beside text
# Of Windows for Western, Central European, Cyrillic, Greek, Turkish, Baltic, Hebrew, Arabic and East Asian languages [doc].
_PAGES = (
    *("latin-1", "cp437", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860", "cp862", "cp863", "cp864", "cp865"),
    *("cp866", "cp737", "cp775", "cp869", "cp874", "cp932", "cp936", "cp949", "cp950"),
    *(f"cp125{number}" for number in range(9)),
)
_UNREADABLE = "\x00", "\ufffd"  # in a text that was read as UTF-8 and is none


class Undecodable(UsageError):
    """A reply cannot be read, so that nobody can say which names and secrets are in it: nothing of it is kept."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"There is no capture: {why} in a reply of {host}, so names and secrets in it would stay.")


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
            told = json.loads(read_regular(path).decode("utf-8"))
            if told.pop("version") != VERSION:
                raise UsageError(f"{path}: a capture of another version; record it again.")
            told["exchanges"] = tuple(Exchange(**one) for one in told["exchanges"])
            return cls(**told)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: this is no capture ({error}).") from None

    def texts(self) -> Iterator[str]:
        """Every text of it, what programs printed included, in each way in which it can be read. Raises Undecodable."""
        pages = _code_pages(self.exchanges)
        for one in whole_output(self.exchanges):
            yield one.request
            yield one.reply
            for stream in _streams(one):
                yield from _readings(stream.data, pages.get(one.host, ""))

    def changed(self, change: Callable[[str], str]) -> Capture:
        """The same capture with every text changed, what programs printed included. Raises Undecodable."""
        printed, pages = whole_output(self.exchanges), _code_pages(self.exchanges)
        exchanges = tuple(
            Exchange(change(one.host), change(one.request), _inside(one, change, pages.get(one.host, "")))
            for one in printed
        )
        inventory = change_texts(self.inventory, lambda kind, text: text if kind is Text.WORD else change(text))
        command, between, rest = self.line.partition(" ")
        line = f"{command}{between}{change(rest)}"
        return replace(self, line=line, inventory=inventory, title=change(self.title), exchanges=exchanges)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A piece of what a program printed: of which command, on which of its outputs, where it stands, and what opens and ends it."""

    command: str
    name: str
    data: bytes
    span: tuple[int, int]
    tag: str
    attributes: str

    def written(self, data: bytes) -> str:
        """The same element with other data."""
        return f"<{self.tag}{self.attributes}>{base64.b64encode(data).decode()}</{self.tag}>"


def _streams(one: Exchange) -> list[_Stream]:
    """All that programs printed, as it stands in a reply. Raises Undecodable where any of it cannot be read."""
    if any(sign in one.reply for sign in _UNREADABLE):
        raise Undecodable(one.host, "there are characters of another encoding")
    if not _OUTPUT.search(one.reply):
        return []
    found = [_stream(one, piece) for piece in _STREAM.finditer(one.reply)]
    if len(found) != len(_OPENS.findall(one.reply)):
        raise Undecodable(one.host, "what a program printed is written in no known way")
    return found


def _stream(one: Exchange, piece: re.Match[str]) -> _Stream:
    told = {name.rpartition(":")[2]: unescape(value[1:-1]) for name, value in _ATTRIBUTES.findall(piece[2])}
    wanted = _WANTED.search(one.request)
    command = told.get("CommandId") or (wanted[1] if wanted else "")
    try:
        data = base64.b64decode("".join(unescape(piece[3] or "").split()), validate=True)
    except ValueError:
        raise Undecodable(one.host, "what a program printed is no base64") from None
    if not command or not told.get("Name"):
        raise Undecodable(one.host, "what a program printed does not say of which program it is")
    return _Stream(command, told["Name"], data, piece.span(), piece[1], piece[2])


def _with_streams(one: Exchange, write: Callable[[_Stream], str], between: Callable[[str], str] = str) -> str:
    """The reply with each of them written by one function, and all between them by another."""
    kept, at = [], 0
    for stream in _streams(one):
        start, end = stream.span
        kept += [between(one.reply[at:start]), write(stream)]
        at = end
    return "".join([*kept, between(one.reply[at:])])


def whole_output(exchanges: Iterable[Exchange]) -> tuple[Exchange, ...]:
    """Put what a program printed in pieces into the first piece, so that no name is cut in two. Raises Undecodable."""
    exchanges = tuple(exchanges)
    pieces: dict[tuple[str, str, str], list[bytes]] = {}
    for one in exchanges:
        for stream in _streams(one):
            pieces.setdefault((one.host, stream.command, stream.name), []).append(stream.data)
    told: set[tuple[str, str, str]] = set()

    def joined(host: str, stream: _Stream) -> str:
        key = (host, stream.command, stream.name)
        data = b"" if key in told else b"".join(pieces[key])
        told.add(key)
        return stream.written(data)

    return tuple(replace(one, reply=_with_streams(one, partial(joined, one.host))) for one in exchanges)


def cover_output(
    exchanges: Iterable[Exchange], covering: Iterable[tuple[Iterable[str], Callable[[str], str]]]
) -> tuple[Exchange, ...]:
    """The same exchanges without what programs cover of their output: the text of configuration files, for instance.

    Pieces are put together first, since a line may be cut in two. `covering`: words of a command line, and what covers.
    Raises Undecodable.
    """
    exchanges = whole_output(exchanges)
    covers: dict[tuple[str, str], Callable[[str], str]] = {}
    for words, cover in covering:
        begun = [one for one in exchanges if all(word in one.request for word in words)]
        covers |= {
            (one.host, unescape(found).strip()): cover for one in begun for found in _COMMAND_ID.findall(one.reply)
        }

    def covered(host: str, stream: _Stream) -> str:
        cover = covers.get((host, stream.command))
        if cover is None:
            return stream.written(stream.data)
        # every byte has its own character there, and none of them ends a line but those of ASCII
        return stream.written(cover(stream.data.decode("cp437")).encode("cp437"))

    return tuple(replace(one, reply=_with_streams(one, partial(covered, one.host))) for one in exchanges)


def _code_pages(exchanges: Iterable[Exchange]) -> dict[str, str]:
    """In which encoding the programs of each host print, as its shells were asked to."""
    told = ((one.host, found[1]) for one in exchanges if (found := _CODE_PAGE.search(one.request)))
    return {host: codec_of(int(page)) for host, page in told}


def _inside(one: Exchange, change: Callable[[str], str], code_page: str) -> str:
    """Change a reply, and within it what programs printed."""

    def changed(stream: _Stream) -> str:
        kept = replace(stream, attributes=change(stream.attributes))
        return kept.written(_bytes_changed(one.host, stream.data, change, code_page))

    return _with_streams(one, changed, change)


def _bytes_changed(host: str, data: bytes, change: Callable[[str], str], code_page: str) -> bytes:
    """Change text in whatever encoding a program used. Raises Undecodable."""
    code = _encoding(data, code_page)
    if not code:
        raise Undecodable(host, "what a program printed is in an encoding that is not known")
    return change(data.decode(code)).encode(code, "replace")


def _encoding(data: bytes, code_page: str) -> str:
    """As it is printed: UTF-16, UTF-8 where it is that, else the code page of the shell; "" where that cannot read it."""
    for code in (_wide(data),) if _is_wide(data) else ("utf-8", code_page):
        with suppress(UnicodeError, LookupError):
            if data.decode(code).encode(code) == data:
                return code
    return ""


def _is_wide(data: bytes) -> bool:
    """Whether it is UTF-16. A zero here and there makes no text so: read as that, all of it would be other characters."""
    zeros = data.count(0)
    is_odd = _OTHER_CONTROLS.search(data) is not None  # the upper halves of letters that are not Latin
    return data.startswith(_MARKS) or (zeros > 0 and (4 * zeros >= len(data) or is_odd))


def _wide(data: bytes) -> str:
    """Which UTF-16: where no mark says it, the zeros are the upper halves of what everybody writes."""
    is_big = not data.startswith(_MARKS) and data[::2].count(0) > data[1::2].count(0)
    return "utf-16-be" if is_big or data.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"


def _readings(data: bytes, code_page: str) -> Iterator[str]:
    """A text in every encoding in which anybody may read it, so that what is looked for in it is found.

    UTF-16 from its first byte and from its second; what is not ASCII also in each usual code page.
    """
    yield data.decode("utf-8", "replace")
    odd = b"\n".join(line for line in data.split(b"\n") if not line.isascii())
    for code in dict.fromkeys((code_page, *_PAGES)) if odd else ():
        with suppress(LookupError):
            yield odd.decode(code, "replace")
    for code in ("utf-16-le", "utf-16-be"):
        for at in (0, 1):
            yield data[at:].decode(code, "replace")
    if b"\x00" in data:
        yield data.replace(b"\x00", b"").decode("latin-1")
