"""One change that has run to its end, out of the entries of its ticket. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bot.api.queries import DoneChanges
from bot.ledger.entries import Done, Intent, Outcome, Proposed, Started
from bot.ledger.envelope import Entry
from bot.ledger.ticket_state import ENDS


def change_row(question: DoneChanges, entries: Sequence[Entry], undone_by: str) -> dict[str, Any] | None:
    """A row of `DoneChanges`; None for a change that is about something else, that never started, or that is an undo.

    Args:
        question: what it has to be about.
        entries: of its ticket, all of them, proved, oldest first.
        undone_by: the ticket that took it back.
    """
    proposed = next((one for entry in entries if (one := entry.read_if(Proposed)) is not None), None)
    started = next((entry.at for entry in entries if entry.kind == Started.kind), "")
    ended = next((entry for entry in entries if entry.kind in ENDS), None)
    if proposed is None or ended is None or not started or proposed.undoes:
        return None
    names = (proposed.target,) if question.among == "target" else proposed.places
    if question.on.casefold() not in {name.casefold() for name in names if name}:
        return None
    done = ended.read_if(Done)
    return {
        "ticket": ended.ticket,
        "target": proposed.target,
        "places": proposed.places,
        "line": proposed.line,
        "ending": ended.kind,
        "started": started,
        "ended": ended.at,
        "message": ended.message or ended.reason,
        "measured": done.measured if done is not None else (),
        "changed": _changed(entries),
        "undone_by": undone_by,
        "begun": tuple(dict.fromkeys(one.step for one in _intents(entries))),
        "before": _images(entries, question.images),
    }


def _changed(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The steps that each of their rounds has proved: what was already so, or only somebody's word, proves nothing."""
    proved: dict[str, bool] = {}
    for entry in entries:
        told = entry.read_if(Outcome)
        if told is not None and told.result != "not sent":
            proved[told.step] = proved.get(told.step, True) and told.result == "done" and told.basis == "changed"
    return tuple(step for step, so in proved.items() if so)


def _intents(entries: Sequence[Entry]) -> Iterator[Intent]:
    """What was begun; what was held back before it was sent was not."""
    told = (outcome for entry in entries if (outcome := entry.read_if(Outcome)) is not None)
    held = {(one.step, one.round, one.attempt) for one in told if one.result == "not sent"}
    intents = (one for entry in entries if (one := entry.read_if(Intent)) is not None)
    return (one for one in intents if (one.step, one.round, one.attempt) not in held)


def _images(entries: Sequence[Entry], wanted: Sequence[str]) -> dict[str, Any]:
    """What was noted before each of these steps, the first time; a step whose answer was too long to note has none."""
    images: dict[str, Any] = {}
    for intent in _intents(entries):
        if intent.step in wanted and intent.before is not None:
            images.setdefault(intent.step, intent.before)
    return images
