"""The time that a Windows machine believes it is, and when it started.

Win32_OperatingSystem.LocalDateTime is the machine's date and time of day, LastBootUpTime when it was last restarted, both
CIM datetimes with their distance from UTC [doc]. A time without that distance is not used: in another zone it would be
hours off and look exact.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from bot.api.queries import Wql
from bot.api.rows import Rows, get_datetime, get_str
from bot.api.sources import Source


def machine_time(on: str) -> Source[datetime]:
    """The question: what time is it there?"""
    return _system_time(on, "LocalDateTime")


def last_start(on: str) -> Source[datetime]:
    """The question: when did Windows start there?"""
    return _system_time(on, "LastBootUpTime")


def _system_time(on: str, column: str) -> Source[datetime]:
    query = Wql(on, "root/cimv2", "Win32_OperatingSystem", (column,))
    return Source(query, partial(_read_time, column))


def _read_time(column: str, rows: Rows) -> datetime:
    """The time, in UTC.

    Raises:
        CellError: it is no time.
        ValueError: there is none, or not its distance from UTC.
    """
    told = get_datetime(rows[0], column) if rows else None
    if told is None:
        raise ValueError(f"Win32_OperatingSystem returned no {column}")
    if datetime.fromisoformat(_whole_seconds(get_str(rows[0], column))).tzinfo is None:
        raise ValueError(f"{column} has no UTC offset")
    return told


def _whole_seconds(word: str) -> str:
    """ISO 8601 without its fraction, which Windows writes with up to nine digits."""
    head, _, tail = word.partition(".")
    return head + tail.lstrip("0123456789")
