"""Times, names of commands and locks as people read them in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_ID = re.compile(rf":?{_GUID}")
_ABBREVIATIONS = {"kb": "KB", "uefi": "UEFI", "vm": "VM", "vms": "VMs"}


def format_time(at: str) -> str:
    """A time of an entry: "23:08 UTC on 2026-03-02"."""
    moment = datetime.fromisoformat(at).astimezone(UTC)
    return f"{moment:%H:%M} UTC on {moment:%Y-%m-%d}"


def at_most(seconds: float) -> str:
    """How long a step may take: "up to 31 min"; "at once" for what only looks."""
    return f"up to {duration(seconds)}" if seconds >= 1 else "at once"


def duration(seconds: float) -> str:
    """A stretch of time, as its largest two units say it: "52 min", "1 h 5 min", "3 d 2 h"."""
    whole = max(0, round(seconds))
    for size, unit, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 0, "")):
        if whole >= size:
            rest = whole % size // part if part else 0
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s" if whole else "less than 1 s"


def plural(count: int, noun: str, many: str = "") -> str:
    """A count and what is counted: "1 unknown", "2 unknowns", "3 entries"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or noun + 's'}"


def command_title(command: str) -> str:
    """A command on a button: `check-writers` is "Check Writers"."""
    return _spoken(command, str.capitalize)


def sentence(command: str) -> str:
    """A command that begins a sentence: `fix-missing-vm` is "Fix missing VM"."""
    told = _spoken(command, str)
    return told[:1].upper() + told[1:]


def _spoken(command: str, word: Callable[[str], str]) -> str:
    return " ".join(_ABBREVIATIONS.get(part, word(part)) for part in command.split("-"))


def format_locks(locks: Iterable[str]) -> str:
    """What a change holds: "cluster:prod" is "cluster prod", "kept:soak:prod" is "soak prod"."""
    return ", ".join(lock.removeprefix("kept:").replace(":", " ", 1) for lock in sorted(locks)) or "none"


def short_locks(locks: Iterable[str]) -> str:
    """The same without GUIDs, each once: "vmm:vmm:1174…" is "vmm vmm (one object of it)". The whole names stand in the plan."""
    told = dict.fromkeys(_ID.sub(" (one object of it)", lock) for lock in sorted(locks))
    return ", ".join(format_locks([lock]) for lock in told) or "none"
