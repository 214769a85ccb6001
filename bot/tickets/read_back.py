"""What a person read off a machine, compared with what the plan expects. Pure; the plan is data, and so is the comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.actions import ReadBack, TypedField
from bot.control_chars import escape_control_chars
from bot.errors import Unanswered, WrongReadBack
from bot.ledger.entries import Answer
from bot.redaction import clip_line

LONGEST_TYPED = 120
MOST_TYPED = 8  # fields of one window that are read
_SIZE = re.compile(r"([0-9]{1,20})(?:[.,]([0-9]{1,6}))? ?(B|KB|MB|GB|TB)?", re.IGNORECASE | re.ASCII)
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
_CYLINDER = 16 * 2**20  # what a tool that counts in cylinders leaves out at most
_NUMBER = re.compile(r"[0-9]{1,6}")
_BETWEEN = re.compile(r"[ ._-]+")  # what tools print between the parts of a serial number, or leave out


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
    texts = [clip_line(one) for one in said]
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
        return _is_size(text, int(field.expected), field.shown)
    return _is_text(text, field.expected)


def _is_text(text: str, expected: str) -> bool:
    """The same parts in the same order, or one of both without anything between its parts: "1-23" is "123", never "12-3".

    ASCII alone: other scripts have letters that look the same, or become the same in lower case.
    """
    typed, wanted = _parts(text), _parts(expected)
    if not (typed and wanted and text.isascii() and expected.isascii()):
        return False
    return typed == wanted or (1 in (len(typed), len(wanted)) and "".join(typed) == "".join(wanted))


def _parts(text: str) -> list[str]:
    return list(filter(None, _BETWEEN.split(text.lower())))


def _is_size(text: str, size: int, shown: str) -> bool:
    """Whether a size as people type it is that many bytes, cut or rounded to the digits that were typed.

    diskpart cuts to whole units, others round, and some count in cylinders. It is never off by one in the last digit of the size
    as the plan shows it.
    """
    found = _measure(text)
    if found is None or not found[0] > 0 or size <= 0:
        return False
    typed, step = found
    _, finest = _measure(shown) or (0, 1)
    off, cylinders = abs(typed - size), min(_CYLINDER, size // 100)
    is_cut_or_rounded = -step // 2 <= typed - size <= step // 2 or 0 <= size - typed < step
    return off <= cylinders or (is_cut_or_rounded and off < finest)


def _measure(text: str) -> tuple[int, int] | None:
    """A size in bytes, and what one in its last digit is; None where it is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    unit = _UNITS[(found[3] or "b").lower()]
    tenths = 10 ** len(found[2] or "")
    return int(found[1] + (found[2] or "")) * unit // tenths, max(unit // tenths, 1)
