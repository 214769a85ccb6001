"""Long lists of who did not answer, short enough to read; nobody is dropped from the count."""

from __future__ import annotations

from collections.abc import Sequence

from bot.vocabulary.ask import Unanswered
from commands.know.wording import count, listed

ALONE = 12  # of one kind that are named with their reason


def few(silent: Sequence[Unanswered], noun: str) -> tuple[Unanswered, ...]:
    """The first of each kind with their reasons; the rest of a kind in one line."""
    kept: list[Unanswered] = []
    for kind in dict.fromkeys(one.kind for one in silent):
        same = [one for one in silent if one.kind == kind]
        kept += same[:ALONE]
        rest = same[ALONE:]
        if rest:
            names = listed([one.on for one in rest], 20)
            kept.append(Unanswered(f"{count(len(rest), f'more {noun}')}", kind, f"{names}.", rest[0].do))
    return tuple(kept)
