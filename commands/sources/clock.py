"""The time that a Windows machine believes it is.

Win32_OperatingSystem.LocalDateTime is the machine's date and time of day, a CIM datetime with its distance from UTC
[doc]. A time without that distance is not used: in another zone it would be hours off and look exact.
"""

from __future__ import annotations

from datetime import datetime

from bot.api.queries import Wql
from bot.api.rows import Rows, get_datetime, get_str
from bot.api.sources import Source


def machine_time(on: str) -> Source[datetime]:
    """The question: what time is it there?"""
    return Source(Wql(on, "root/cimv2", "Win32_OperatingSystem", ("LocalDateTime",)), _read_time)


def _read_time(rows: Rows) -> datetime:
    """The time, in UTC.

    Raises:
        CellError: it is no time.
        ValueError: there is none, or not its distance from UTC.
    """
    told = get_datetime(rows[0], "LocalDateTime") if rows else None
    if told is None:
        raise ValueError("Win32_OperatingSystem returned no LocalDateTime")
    if datetime.fromisoformat(_whole_seconds(get_str(rows[0], "LocalDateTime"))).tzinfo is None:
        raise ValueError("LocalDateTime has no UTC offset")
    return told


def _whole_seconds(word: str) -> str:
    """ISO 8601 without its fraction, which Windows writes with up to nine digits."""
    head, _, tail = word.partition(".")
    return head + tail.lstrip("0123456789")
