"""What `vssadmin list writers` prints, in any language of Windows.

Five lines per writer: name, writer id, instance id, state, last error, in this order in every language seen (English,
French [cap]; German, Danish labels [fixtures of others]). Labels, words, quotes, indent and blank lines vary; what
does not vary is two lines with GUIDs, one with a number in brackets, and the order. A header, and at times two lines
about waiting for responses (microsoft/CSS-Exchange #2093 [cap]), stand before the first writer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.rows import Cell, Row
from bot.redaction import clip, clip_line
from bot.transport.allowlist.definitions import BadOutput, lines_of

_COLON = re.compile("[:\uff1a]")  # full-width in East Asian text; no capture shows it, and it costs nothing
_GUID_LINE = re.compile(r"[:\uff1a]\s*\{?([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\}?$", re.IGNORECASE)
_STATE_LINE = re.compile(r"[:\uff1a]\s*\[([0-9]{1,9})\]\s*(.*)$")
_QUOTED = re.compile(r"""["'\u2018\u201a\u201c\u201e\u00ab]\s?(.*?)\s?["'\u2019\u2018\u201d\u201c\u00bb]$""")
# Two lines in every language: the program with its version, and the copyright, whose words vary: "(C) Copyright 2001-2013
# Microsoft Corp." [cap]; Cyrillic and Chinese ones after (C) from memory [mem]. The C may be Latin or Cyrillic.
_TITLE = re.compile(r"vssadmin\s+[0-9]", re.IGNORECASE)
_COPYRIGHT = re.compile(r"\(\s*[c\u0441]\s*\)|\u00a9|\uff08c\uff09", re.IGNORECASE)
_WAITING = ("waiting for responses", "these may be delayed")  # the only known wording; others are reported
_LINES = 5
_STATE_AT = 3  # the state is the fourth line of a writer
_RECOGNISED = 2  # of id, instance and state: fewer, and the five lines are no writer at all


def parse_writers(output: str) -> tuple[Row, ...]:
    """Rows {name, writer_id, instance_id, state, state_text, error_text}; GUIDs in lower case, without braces.

    No writer at all is an empty answer, which is a finding of its own (KB2009550 [doc]). A list that was cut is no
    answer: what came before the cut would look like all there is. A writer whose id, instance or state cannot be read has
    None there, and the lines as they stand in one more cell, `unreadable`: the others of the host stay known.

    Raises:
        BadOutput: the program failed and said so, the output was cut, or it is no list of writers.
    """
    lines = [line.strip() for line in lines_of(output)]
    if lines and not output.endswith(("\n", "\r")):
        raise BadOutput("the list of writers breaks off in the middle of a line")
    first = _first_writer(lines)
    if first is None:
        return _no_writers(lines)
    if first < 0:
        raise BadOutput("the list of writers begins in the middle")
    blocks = lines[first:]
    if len(blocks) % _LINES:
        raise BadOutput(f"the list of writers breaks off after {len(blocks) // _LINES} writers")
    return tuple(_writer(blocks[start : start + _LINES]) for start in range(0, len(blocks), _LINES))


def _first_writer(lines: Sequence[str]) -> int | None:
    """Where the first writer begins: by its ids, or by its state where the first id cannot be read. None without any."""
    by_id = next((at - 1 for at, line in enumerate(lines) if _GUID_LINE.search(line)), None)
    if by_id is None:
        return None
    return min(by_id, next((at - _STATE_AT for at, line in enumerate(lines) if _STATE_LINE.search(line)), by_id))


def _writer(block: list[str]) -> Row:
    name, writer, instance, state, error = block
    parts = {
        writer: (writer_id := _GUID_LINE.search(writer)),
        instance: (instance_id := _GUID_LINE.search(instance)),
        state: (bracketed := _STATE_LINE.search(state)),
    }
    odd = [line for line, found in parts.items() if not found]
    if len(parts) - len(odd) < _RECOGNISED or not all(_COLON.search(line) for line in block):
        raise BadOutput(f"the list of writers cannot be read at {clip(repr(name), 60)}")
    row: dict[str, Cell] = {
        "name": _name(name),
        "writer_id": writer_id[1].lower() if writer_id else None,
        "instance_id": instance_id[1].lower() if instance_id else None,
        "state": bracketed[1] if bracketed else None,
        "state_text": bracketed[2].strip() if bracketed else "",
        "error_text": _behind_colon(error),
    }
    return row | {"unreadable": " ".join(odd)} if odd else row


def _behind_colon(line: str) -> str:
    return (*_COLON.split(line, maxsplit=1), "")[1].strip()


def _name(line: str) -> str:
    """The name between quotes, straight or typographic, else all behind the colon."""
    value = _behind_colon(line)
    quoted = _QUOTED.fullmatch(value)
    return quoted[1] if quoted else value


def _no_writers(lines: list[str]) -> tuple[Row, ...]:
    """Nothing but the header is an empty list; any other word is a failure that speaks."""
    said = [line for line in _without_header(lines) if not line.casefold().startswith(_WAITING)]
    if said:
        raise BadOutput(f"vssadmin listed no writers and said: {clip_line(' '.join(said), 300)}")
    if not lines:
        raise BadOutput("vssadmin printed nothing at all")
    return ()


def _without_header(lines: list[str]) -> list[str]:
    """All but the program's own two lines at the top: its name with the version, and below it the one with (C) or ©."""
    if not lines or not _TITLE.match(lines[0]):
        return lines
    return lines[2:] if len(lines) > 1 and _COPYRIGHT.search(lines[1]) else lines[1:]
