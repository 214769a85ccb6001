r"""What a hosts file overrides, and which addresses stand in files that configure programs, found by `findstr`.

`findstr /N` prints "27:text" for one named file and "C:\folder\file:27:text" with /S [doc]. The text of a configuration
file may be anybody's secret, so it never leaves the worker: of each line only the address stays, and what stands there
(`cover_lines`). IPv6 addresses are not looked for, and a comment over several lines is not seen as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from itertools import islice

from bot.api.queries import Value
from bot.api.rows import Row, Rows
from bot.redaction import clip_line
from bot.transport.allowlist.definitions import BadOutput, lines_of

ADDRESS = r"[0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\.[0-9]"  # findstr knows no "+" and no groups [doc]
FILES = (
    *("*.config", "*.ini", "*.xml", "*.json", "*.yaml", "*.yml", "*.conf", "*.cfg", "*.properties"),
    *("*.udl", "*.ora", "*.rdp", "*.env", "*.toml"),
)
_FOLDER = re.compile(r"[A-Za-z]:(\\(?!\.)[A-Za-z0-9_.()&+ -]{1,80}(?<![ .])){1,12}", re.ASCII)
_NUMBERED = re.compile(r"([0-9]{1,9}):(.*)", re.ASCII)
_IN_FILE = re.compile(r"([A-Za-z]:\\[^:\r\n]{1,400}):([0-9]{1,9}):(.*)", re.ASCII)
_COVERED = re.compile(
    r"([A-Za-z]:\\[^:\r\n]{1,400}):([0-9]{1,9}): (address|version|comment|own) ([0-9.]{7,15})", re.ASCII
)
_FOUR = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?!\.?[0-9]|-[0-9]{1,9}\.)", re.ASCII)
# A key that ends in "version", and its value up to here: version="1.2.3.4", newVersion: 1.2.3.4, <Version>1.2.3.4, and the
# range of a binding redirect, oldVersion="0.0.0.0-4.1.0.0". Anything looser would call an address a version.
_VERSION = re.compile(r"(?:(?<![a-z])version|Version|VERSION)[\"']?\s*[:=>]\s*[\"']?(?:[0-9.]{7,40}-)?$")
_COMMENT = re.compile(r"\s*(#|;|//|rem\b|\*)", re.IGNORECASE)
_LARGEST_PART = 255
_MOST, _MOST_FOUND = 5_000, 50_000  # lines that are read, and that are looked at for addresses
_SLICE, _OVERLAP = 2**16, 64  # characters that are searched at a time, and beyond: no address is longer
_LONGEST = (
    400  # characters of one line of a hosts file that are kept: blanks are one, or a name could stand behind them
)
_LONGEST_READ = 8_192  # characters of one line of a hosts file


def local_folder(value: Value) -> str:
    r"""A folder on a local drive: "C:\inetpub\crm". Raises ValueError for anything else."""
    if not isinstance(value, str) or not _FOLDER.fullmatch(value) or ".." in value:
        raise ValueError("takes a local folder such as C:\\inetpub\\crm")
    return value


def parse_hosts(output: str) -> Rows:
    """Rows {line, text} of a hosts file, in its order.

    Raises:
        BadOutput: a line without its number, or one that is longer, or more of them, than a hosts file that people read has.
    """
    lines = _lines(output)
    if any(len(line) > _LONGEST_READ for line in lines):
        raise BadOutput(f"a line of the hosts file has more than {_LONGEST_READ:,} characters")
    found = [_NUMBERED.fullmatch(line) for line in lines]
    if not all(found):
        raise BadOutput("findstr printed a line of the hosts file without its number")
    return tuple({"line": one[1], "text": clip_line(one[2], _LONGEST)} for one in found if one)


def cover_lines(output: str) -> str:
    """What is kept of lines of configuration files: file, number, and each address with what it is.

    A line that is not of findstr's form is kept as "?": the reader then refuses the whole answer. So it does one of which
    more lines would be kept than are read; those are not made at all, as a path of 400 characters stands in each.
    """
    try:
        kept = list(islice(_covered(lines_of(output, _MOST_FOUND)), _MOST + 1))
    except BadOutput:
        kept = ["?"] * (_MOST + 1)
    return "".join(f"{line}\n" for line in kept)


def _covered(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        found = _IN_FILE.fullmatch(line)
        if _COVERED.fullmatch(line):  # out of a capture
            yield line
        elif found is None:
            yield "?"
        else:
            yield from (f"{found[1]}:{found[2]}: {kind} {address}" for kind, address in _addresses(found[3]))


def parse_lines(output: str) -> Rows:
    """Rows {file, line, kind, address} out of `cover_lines`. `kind`: address, version, comment, own (this machine, or a mask).

    Raises:
        BadOutput: it is not all of that form, or too long.
    """
    rows: list[Row] = []
    for line in _lines(output):
        found = _COVERED.fullmatch(line)
        if found is None:
            raise BadOutput("findstr printed a line that names no file and number")
        rows.append({"file": found[1], "line": found[2], "kind": found[3], "address": found[4]})
    return tuple(rows)


def _addresses(text: str) -> Iterator[tuple[str, str]]:
    """Each IPv4 address of a line, and what it is by what stands before it."""
    line_is_comment = _COMMENT.match(text[:200]) is not None
    seen, is_open = 0, False
    for one in _fours(text):
        between, seen = text[seen : one.start()], one.start()
        if (last := max(between.rfind("<!--"), between.rfind("-->"))) >= 0:
            is_open = between.startswith("<!--", last)
        parts = [int(part) for part in one[1].split(".")]
        if max(parts) > _LARGEST_PART:
            continue  # 999.1.1.1 is no address, whatever it is
        address = IPv4Address(".".join(map(str, parts)))  # 10.0.020.005 is one to some programs, and another to others
        before = text[max(0, one.start() - 60) : one.start()]
        kind = "version" if _VERSION.search(before) else "comment" if line_is_comment or is_open else _kind(address)
        yield kind, one[1]


def _fours(text: str) -> Iterator[re.Match[str]]:
    """What looks like an address, searched in slices: a search holds Python's lock to its end, and the loop waits."""
    at = 0
    while at < len(text):
        found = _FOUR.search(text, at, at + _SLICE + _OVERLAP)
        if found is None or found.start() >= at + _SLICE:
            at += _SLICE
        else:
            yield found
            at = found.end()


def _kind(address: IPv4Address) -> str:
    return "own" if address.is_loopback or address.is_unspecified or str(address).startswith("255.") else "address"


def _lines(output: str) -> list[str]:
    lines = lines_of(output, _MOST)
    if lines and not output.endswith(("\n", "\r")):
        raise BadOutput("what findstr printed breaks off")
    return lines
