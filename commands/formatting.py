"""Sizes, times, counts and lists in words, the same in every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from bot.api.facts import Unknown

ALONE = 12  # of one kind that are named with their reason


def summarize_failures(silent: Sequence[Unknown], noun: str) -> tuple[Unknown, ...]:
    """The first of each kind with their reasons; the rest of a kind in one line."""
    kept: list[Unknown] = []
    for kind in dict.fromkeys(one.kind for one in silent):
        same = [one for one in silent if one.kind == kind]
        kept += same[:ALONE]
        rest = same[ALONE:]
        if rest:
            names = join_names([one.target for one in rest], 20)
            kept.append(Unknown(f"{pluralize(len(rest), f'more {noun}')}", kind, f"{names}.", rest[0].remedy))
    return tuple(kept)


def join_gaps(target: str, gaps: Sequence[tuple[object, str]]) -> tuple[Unknown, ...]:
    """The parts that one target did not answer, each with what is not known for it: those of one reason together.

    Args:
        target: whose parts they are.
        gaps: answer and what it would have told; answers that are there are left out.
    """
    found: dict[Unknown, list[str]] = {}
    for part, what in gaps:
        if isinstance(part, Unknown):
            found.setdefault(part, []).append(what)
    return tuple(
        Unknown(target, part.kind, f"{part.why} Not known: {join_names(missing)}.", part.remedy)
        for part, missing in found.items()
    )


MIB, GIB, TIB = 2**20, 2**30, 2**40
_FRACTIONS_END = 100  # tenths: from ten units on a fraction says nothing more


def format_size(count: int) -> str:
    """A number of bytes as people read it: "0 MB", "412 MB", "1.3 GB", "80 GB", "2.4 TB".

    Rounded down, so that nobody is told of more free space than there is.
    """
    if count < GIB:
        return f"{count // MIB} MB"
    unit, name = (TIB, "TB") if count >= TIB else (GIB, "GB")
    tenths = count * 10 // unit
    if tenths >= _FRACTIONS_END or tenths % 10 == 0:
        return f"{tenths // 10} {name}"
    return f"{tenths / 10:.1f} {name}"


def format_time(moment: datetime, now: datetime) -> str:
    """A time of day in UTC, with its date where that is not today: "22:41 UTC", "19 Sep 22:14 UTC"."""
    if moment.date() == now.date():
        return f"{moment:%H:%M} UTC"
    year = f" {moment:%Y}" if moment.year != now.year else ""
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M} UTC"


def pluralize(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun: "1 node", "6 nodes"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def truncate_list(names: Iterable[str], most: int = 8) -> tuple[str, ...]:
    """The first names, and how many more there are: a list that stays readable for a thousand hosts."""
    every = tuple(names)
    if len(every) <= most:
        return every
    return (*every[: most - 1], f"{len(every) - most + 1} more")


def join_names(names: Iterable[str], most: int = 8) -> str:
    """Names in one line: "hv01, hv02, hv03", or "hv01, …, and 40 more"."""
    every = tuple(names)
    few = truncate_list(every, most)
    return ", ".join(few) if len(few) == len(every) else f"{', '.join(few[:-1])} and {few[-1]}"


def join_first(names: Sequence[str], count: int, most: int = 8) -> str:
    """The same of the first names of a longer list that has so many: it need not be made for them.

    Args:
        names: at least `most` of them, or all.
        count: how many there are.
        most: how many stand in the line, with that of the others.
    """
    if count <= most:
        return join_names(names[:count], most)
    return f"{', '.join(names[: most - 1])} and {count - most + 1} more"


_ID_SHOWN = 8  # characters of a GUID that tell namesakes apart; all of it where they do not


def tell_apart(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names as they are shown, by id: one that several ids bear has the beginning of its id behind it.

    Names of virtual machines are not unique on a host [doc]: "app (D93C77E4)", "app (BC05E548)", "crm-01".

    Args:
        named: id and name of each.
    """
    names = dict(named)
    bearers = Counter(name.casefold() for name in names.values())
    short = Counter((name.casefold(), key[:_ID_SHOWN]) for key, name in names.items())
    return {
        key: name
        if bearers[name.casefold()] == 1
        else f"{name} ({key[:_ID_SHOWN] if short[name.casefold(), key[:_ID_SHOWN]] == 1 else key})"
        for key, name in names.items()
    }


def sentences(parts: Sequence[str]) -> str:
    """Sentences in one line; empty ones are left out."""
    return " ".join(part for part in parts if part)
