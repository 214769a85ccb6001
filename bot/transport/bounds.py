"""How much one answer may hold, whoever sends it: bytes, elements, nesting, names. XML and JSON are read here only.

What is small on the wire can be large in memory: a gigabyte behind two layers of gzip, an object per four bytes of XML, a
name of a megabyte that every element repeats. So nothing compressed is accepted, and a document is counted while it is
read, or before. The limits are several times the size of any normal answer.
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from bot.api.rows import Cell, Row
from bot.api.texts import replace_lone_surrogates

MAX_ANSWER = 24 * 2**20  # bytes of all replies to one question
MAX_EVIDENCE = 2**20  # bytes of them that are kept beside the rows
MAX_ELEMENTS = 320_000  # of one document; an attribute counts as two
MAX_ROWS = 50_000  # of one answer: the largest cluster's longest list has some twenty thousand
MAX_NODES = 128  # of one cluster: Windows allows 64 [doc], and each one that is named is asked as well
MAX_WEIGHT = 20 * 2**20  # bytes that the rows of one answer take
MAX_KEPT = 32 * 2**20  # bytes of all answers of one host that requests still hold
MAX_KEPT_OF_ALL = 64 * 2**20  # bytes of all answers of all hosts, from where on only short ones are kept besides
SHORT = 2 * 2**20  # bytes that a host may have kept all the same
MAX_READ_OF_ALL = 48 * 2**20  # bytes that replies take while they are read, all hosts together
LIGHT = 2**19  # bytes: what takes less while it is read takes no room from others
LONG = 2**20  # bytes: of answers that have more, one of each host is read at a time
_ELEMENT, _ATTRIBUTE = 96, 160  # bytes
_AT_ONCE = 2**20  # bytes of a document; a token that is longer is read anew with each piece
_DEEPEST_XML = 64
_MOST_NAMES = 20_000  # different ones of one document; the largest class of WMI has some hundreds of properties
_LONGEST_NAME = 1_000  # characters of a name with its namespace, which every element repeats
# What expat reads by itself: Windows writes the first two [cap], a LoadMaster the last [doc]. Of any other one it asks Python, which
# remembers each name that is none for ever, however long it is.
_ENCODINGS = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "iso-8859-1"})
_DEEPEST_JSON = 32
_MOST_CONTAINERS = 50_000  # objects and lists of one reply: a page of a thousand jobs has ten thousand
_MOST_VALUES = 400_000
_DIGITS = 40  # of a number; the longest that means anything has twenty
# One without an end ends with the reply: never quadratic.
_TEXTS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)', re.DOTALL)
_HALF = re.compile(r"\\ud[89a-f]", re.IGNORECASE)  # an escape that may be half of a character
_OPENS, _CLOSES = "[{", "]}"
_OUTSIDE_A_TEXT, _INSIDE_A_TEXT = re.compile(rb'["\[\]{}]'), re.compile(rb'["\\]')
_LONGEST_OUTLINE = 2**20  # bytes that are kept


V = TypeVar("V")


class Latest(Generic[V]):
    """What is remembered by a name of which there may be any number: of so many, those that were put last. On any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, V] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> V | None:
        """What is remembered, or None."""
        return self._known.get(name)

    def put(self, name: str, value: V) -> None:
        """Remember it, and forget what was put longest ago."""
        with self._lock:
            self._known.pop(name, None)
            self._known[name] = value
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)


def is_longer(rows: Iterable[Row], most: int) -> bool:
    """Whether the texts of some rows, and their names, have more than so many characters; no longer looked at than that takes.

    The text that they were read from does not tell: of a long answer a part of it is not kept.
    """
    left = most
    for row in rows:
        cells: list[Any] = [row]
        while cells:
            cell = cells.pop()
            if isinstance(cell, Mapping):
                cells += (*cell, *cell.values())
            elif isinstance(cell, (list, tuple)):
                cells += cell
            left -= len(cell) if isinstance(cell, str) else 8
            if left < 0:
                return True
    return False


def weigh(rows: Iterable[Row]) -> int:
    """How many bytes these rows take, roughly; names are shared."""
    return sum(map(_weight, rows))


def weigh_unread(document: bytes) -> int:
    """How many bytes an XML document takes while it is read, roughly: an element some ninety, attributes a dictionary."""
    return 2 * len(document) + _ELEMENT * document.count(b"<") + _ATTRIBUTE * document.count(b"=")


def _weight(cell: Cell) -> int:
    if isinstance(cell, str):
        return sys.getsizeof(cell)
    if isinstance(cell, Mapping):
        return sys.getsizeof(cell) + sum(map(_weight, cell.values()))
    if isinstance(cell, (tuple, list)):
        return sys.getsizeof(cell) + sum(map(_weight, cell))
    return 0 if cell is None else sys.getsizeof(cell)  # a worker can answer with numbers, as a host cannot


class TooMuch(ValueError):
    """A document exceeds the limits."""


class DocumentType(ValueError):
    """A document has a document type, so it could declare entities."""


def parse_xml(document: bytes | str) -> Element:
    """Read a document, counting. No document types, so no entities; comments and instructions are passed over.

    Raises:
        DocumentType: it has one.
        TooMuch: too many elements and attributes, nested too deep, or names that are too long.
        ParseError: it is no XML, or not whole, or in an encoding that no honest document has.
    """
    reading = _Reading()
    try:
        for at in range(0, len(document), _AT_ONCE):  # Python's lock is free between them
            reading.parser.Parse(document[at : at + _AT_ONCE], False)
        reading.parser.Parse(document[:0], True)
    except expat.ExpatError as error:
        raise ParseError(str(error)) from None
    return reading.builder.close()


class _Reading:
    """One document while it is read. Names are written as ElementTree does: {namespace}name."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.parser = parser = expat.ParserCreate(namespace_separator="}")
        self._names: dict[str, str] = {}
        self._length = 0  # characters of all different names
        self._left = MAX_ELEMENTS
        self._depth = 0
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.builder.data
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartDoctypeDeclHandler = self._doctype
        parser.XmlDeclHandler = self._declaration

    def _start(self, tag: str, attributes: list[str]) -> None:
        self._depth += 1
        self._left -= 1 + len(attributes)  # name and value
        if self._left < 0 or self._depth > _DEEPEST_XML:
            raise TooMuch("it has too many elements, or they are nested too deeply")
        names, values = attributes[::2], attributes[1::2]
        self.builder.start(
            self._name(tag), {self._name(name): value for name, value in zip(names, values, strict=True)}
        )

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self.builder.end(self._name(tag))

    def _name(self, told: str) -> str:
        """Each name is kept once, however often it comes."""
        known = self._names.get(told)
        if known is None:
            self._length += len(told)
            if len(told) > _LONGEST_NAME or self._length > MAX_ANSWER or len(self._names) >= _MOST_NAMES:
                raise TooMuch("its element names are too long")
            known = self._names[told] = f"{{{told}" if "}" in told else told
        return known

    def _namespace(self, _prefix: str | None, uri: str | None) -> None:
        self._left -= 2
        if self._left < 0 or len(uri or "") > _LONGEST_NAME:
            raise TooMuch("its element names are too long")

    def _declaration(self, _version: str | None, encoding: str | None, _is_alone: int) -> None:
        """What a document says of itself, before expat looks for its encoding."""
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise ParseError("it is in an encoding that is not read")

    def _doctype(self, *_told: Any) -> None:
        raise DocumentType("the reply carries a document type, which no SOAP message may")


def parse_json(text: str, *, is_strict: bool = False) -> Any:
    """Read JSON whose size is looked at before anything is made of it. Halves of characters are replaced.

    `is_strict`: no object has a name twice, of which one reader takes the first and another one the last.

    Raises:
        TooMuch: too many values, nested too deeply, or a number with too many digits, or beyond all numbers.
        ValueError: it is no JSON, such as NaN.
    """
    return JsonReader(is_strict=is_strict).read(text)


class JsonReader:
    """Reads texts that are one document together: the limits hold for all of them."""

    def __init__(self, *, is_strict: bool = False) -> None:
        """Nothing was read yet. `is_strict` as of `parse_json`."""
        self._pairs = _once_each if is_strict else None
        self._marks = self._containers = self._values = 0

    def read(self, text: str) -> Any:
        """The next one. Raises TooMuch, ValueError, as `parse_json`."""
        self._marks += text.count('"')
        if self._marks > 4 * _MOST_VALUES:
            raise TooMuch("it has too many values")
        bare = _TEXTS.sub('""', text)
        self._containers += sum(map(bare.count, _OPENS))
        self._values += bare.count(",")
        if self._containers > _MOST_CONTAINERS or self._values > _MOST_VALUES:
            raise TooMuch("it has too many values")
        depth = 0
        for mark in re.finditer(r"[][{}]", bare):
            depth += 1 if mark[0] in _OPENS else -1
            if depth > _DEEPEST_JSON:
                raise TooMuch("it is nested too deeply")
        found = json.loads(
            text, parse_int=_integer, parse_float=_float, parse_constant=_no_number, object_pairs_hook=self._pairs
        )
        return _without_halves(found) if _HALF.search(text) else found


class JsonOutline:
    """A JSON document while it comes in, without what is nested deeper than so many levels: it may be of any length.

    Of what is left out the brackets stay, so a list has as many elements as before.
    """

    def __init__(self, deepest: int) -> None:
        """Nothing has come in yet."""
        self._deepest = deepest
        self._kept: list[bytes] = []
        self._length = self._depth = 0
        self._in_text = self._is_escaped = False

    def add(self, part: bytes) -> None:
        """Take the next bytes. Raises TooMuch where its outer levels alone are too large."""
        begin, at = 0, int(self._is_escaped)
        self._is_escaped = False
        while mark := (_INSIDE_A_TEXT if self._in_text else _OUTSIDE_A_TEXT).search(part, at):
            at = mark.end()
            if mark[0] == b"\\":
                self._is_escaped = at == len(part)
                at += 1
            elif mark[0] == b'"':
                self._in_text = not self._in_text
            elif mark[0] in b"[{":
                if self._depth == self._deepest:
                    self._keep(part[begin:at])
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == self._deepest:
                    begin = at - 1
        if self._depth <= self._deepest:
            self._keep(part[begin:])

    def read(self) -> bytes:
        """What was kept."""
        return b"".join(self._kept)

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > _LONGEST_OUTLINE:
            raise TooMuch("its outer levels alone are too large")
        self._kept.append(part)


def _without_halves(found: Any) -> Any:
    """The same with "\ufffd" for half a character, which no ledger, message or digest can be written with."""
    if isinstance(found, str):
        return replace_lone_surrogates(found)
    if isinstance(found, list):
        return [_without_halves(one) for one in found]
    if isinstance(found, dict):
        return {_without_halves(name): _without_halves(one) for name, one in found.items()}
    return found


def _integer(digits: str) -> int:
    return int(_bounded(digits))


def _float(digits: str) -> float:
    found = float(_bounded(digits))
    if not math.isfinite(found):
        raise TooMuch("one of its numbers is beyond all numbers")
    return found


def _no_number(word: str) -> float:
    """What Python reads as JSON and no standard does."""
    raise ValueError(f"{word} is no number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises ValueError where it has a name twice, also once halves of characters are replaced."""
    found = dict(pairs)
    if len(found) < len(pairs) or len({_without_halves(name) for name in found}) < len(found):
        raise ValueError("it has a name twice")
    return found


def _bounded(digits: str) -> str:
    if len(digits) > _DIGITS:
        raise TooMuch("one of its numbers has too many digits")
    return digits


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a reply says that its body has to be unpacked. Nobody was asked to pack it."""
    return headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")
