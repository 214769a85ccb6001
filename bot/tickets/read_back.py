"""What a person read off a machine, compared with what the plan expects. Pure; the plan is data, and so is the comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.actions import ReadBack, TypedField
from bot.control_chars import escape_control_chars
from bot.errors import Unanswered, WrongReadBack
from bot.ledger.entries import Answer

LONGEST_TYPED = 120
MOST_TYPED = 8  # fields of one window that are read
_SIZE = re.compile(r"(\d{1,20})(?:[.,](\d{1,6}))? ?(B|KB|MB|GB|TB)?", re.IGNORECASE | re.ASCII)
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
_CYLINDER = 16 * 2**20  # what a tool that counts in cylinders leaves out at most
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


def read_back(ticket: str, number: int, act: ReadBack, said: Sequence[str]) -> tuple[Answer, ...]:
    """What was typed, each with the label it was typed for.

    Args:
        ticket: its number.
        number: of the step.
        act: what the step asks for.
        said: one text for each field, in their order.

    Raises:
        Unanswered: one is missing, empty or too long.
        WrongReadBack: one is something else than the plan expects.
    """
    texts = [" ".join(one.split()) for one in said]
    if len(texts) != len(act.typed) or not all(texts):
        labels = "; ".join(field.label for field in act.typed)
        raise Unanswered(f"{ticket}: step {number} is not confirmed. Press Done… and type what you read: {labels}.")
    if any(len(one) > LONGEST_TYPED for one in texts):
        raise Unanswered(f"{ticket}: step {number} is not confirmed: a field takes at most {LONGEST_TYPED} characters.")
    pairs = list(zip(act.typed, texts, strict=True))
    if wrong := [_difference(field, text) for field, text in pairs if not _matches(field, text)]:
        says = f"{ticket} stops at step {number}: {'; '.join(wrong)}. The step does not count as done, and no later step starts."
        raise WrongReadBack(f"{says} {act.mismatch}".rstrip())
    return tuple(Answer(what=field.label, answer=text) for field, text in pairs)


def typed_in_words(field: TypedField) -> str:
    """A field as the plan shows it: "Serial number of the disk (must be SN-1)"."""
    if field.compare == "number":
        return f"{field.label} (a number, only recorded)"
    return f"{field.label} (must be {_expected(field)})"


def _expected(field: TypedField) -> str:
    if field.compare == "size":
        return f"{field.shown or 'as many bytes'}, {field.expected} bytes"
    return field.shown or field.expected


def _difference(field: TypedField, text: str) -> str:
    if field.compare == "number":
        return f"{field.label}: “{escape_control_chars(text)}” is no number"
    return f"{field.label}: “{escape_control_chars(text)}” was typed, and it must be {field.shown or field.expected}"


def _matches(field: TypedField, text: str) -> bool:
    if field.compare == "number":
        return _NUMBER.fullmatch(text) is not None
    if field.compare == "size":
        return _is_size(text, int(field.expected))
    return _plain(text) == _plain(field.expected)


def _plain(text: str) -> str:
    """Letters and digits alone: tools print serial numbers with blanks, dots or lines between them, or without."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _is_size(text: str, size: int) -> bool:
    """Whether a size as people type it is that many bytes: diskpart rounds to whole units, and some count in cylinders."""
    found = _SIZE.fullmatch(text)
    if not found:
        return False
    unit = _UNITS[(found[3] or "b").lower()]
    fraction = found[2] or ""
    typed = int(found[1]) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
    return abs(typed - size) <= max(min(unit, size // 100), _CYLINDER)
