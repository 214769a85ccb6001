"""Times, names of commands and locks as people read them in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bot.redaction import mask_all

GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ID = re.compile(rf":?{GUID.pattern}")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,6})?(?:[+]00:00|Z)")
_KINDS = {"vmm": "VMM", "load-balancer": "load balancer", "audit-policy": "audit policy of"}
_ABBREVIATIONS = {"kb": "KB", "uefi": "UEFI", "vm": "VM", "vms": "VMs"}


def format_time(at: str) -> str:
    """A time of an entry: "23:08 UTC on 2026-03-02"."""
    moment = datetime.fromisoformat(at).astimezone(UTC)
    return f"{moment:%H:%M} UTC on {moment:%Y-%m-%d}"


def cell_text(cell: object) -> str:
    """One value of a row that was read: an empty one says so, a time is in UTC and says so; any other as it is."""
    if cell is None or cell == "":
        return "empty"
    if isinstance(cell, str) and _ISO.fullmatch(cell):
        try:
            return f"{datetime.fromisoformat(cell):%Y-%m-%d %H:%M:%S} UTC"
        except ValueError:
            return cell
    return str(cell)


def column_text(name: str) -> str:
    """What a column is called: hvops' own names are words ("reason_code" is "reason code"), those of Windows stay as they are."""
    return mask_all(name).replace("_", " ") if name.islower() and "_" in name else name


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


def clauses(parts: Iterable[str]) -> str:
    """Readings and reasons as one sentence: each once, empty ones left out, with no full stop before a semicolon."""
    return "; ".join(dict.fromkeys(bare for part in parts if (bare := without_stop(part))))


def without_stop(says: str) -> str:
    """A sentence that goes on behind its end: in brackets, or in a row of others."""
    bare = mask_all(says).rstrip()  # before it goes: a password may end in one
    return bare if bare.endswith("..") else bare.removesuffix(".")


def capital(says: str) -> str:
    """Words that begin a sentence. Their secrets are masked first: with another first letter none is found any more."""
    bare = mask_all(says)
    return bare[:1].upper() + bare[1:]


def sentence(command: str) -> str:
    """A command that begins a sentence: `fix-missing-vm` is "Fix missing VM"."""
    return capital(_spoken(command, str))


def _spoken(command: str, word: Callable[[str], str]) -> str:
    return " ".join(_ABBREVIATIONS.get(part, word(part)) for part in command.split("-"))


def format_locks(locks: Iterable[str]) -> str:
    """What a change holds: "cluster:prod" is "cluster prod", "vmm:vmm" is "VMM vmm", "kept:soak:prod" is "soak prod"."""
    return ", ".join(map(_lock, sorted(locks))) or "none"


def short_locks(locks: Iterable[str]) -> str:
    """The same without GUIDs, each once: "vmm:vmm:1174…" is "one object of VMM vmm", and nothing beside the whole of it.

    The whole names stand in the plan.
    """
    held = sorted(locks)
    parts = {lock: _ID.sub("", lock) for lock in held}
    told = dict.fromkeys(
        _lock(whole) if whole == lock else f"one object of {_lock(whole)}"
        for lock, whole in parts.items()
        if whole == lock or whole not in parts
    )
    return ", ".join(told) or "none"


def _lock(lock: str) -> str:
    kind, _, name = lock.removeprefix("kept:").partition(":")
    return f"{_KINDS.get(kind, kind)} {name}".rstrip()
