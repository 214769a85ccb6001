"""Queries, actions, answers and errors as JSON, and back. Nothing else is understood, whoever wrote it.

A body is ASCII, so that it is the same bytes everywhere. A part of a reply is a line that says what it is, and behind it the
answers' texts as they are; each is measured before it is read (`bounds.parse_json`), and a long one has lines of its own. What does not have the shape that it must have raises ValueError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.api.actions import Action, InvokeMethod, RowTransaction, RunProgram
from bot.api.queries import (
    GuestRegistry,
    GuestRunReader,
    GuestWql,
    Query,
    Registry,
    RunReader,
    WinRMConfig,
    Wql,
)
from bot.api.rows import Cell, Row, Rows
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    HeadTooLong,
    IncompleteResponse,
    LoginNotChecked,
    MalformedResponse,
    NotAsked,
    NotAskedInTime,
    NotBegun,
    NotFound,
    NotHttp,
    NotListening,
    NoTls,
    OutcomeUnknown,
    PolicyViolation,
    ProgramFailed,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.redaction import clip
from bot.transport.bounds import MAX_ROWS, parse_json
from bot.transport.sites.long_answers import MOST_LINE, columns_of, from_lines, is_long, plain, to_lines

_QUERIES: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (Wql, Registry, RunReader, WinRMConfig, GuestWql, GuestRegistry, GuestRunReader)
}
_ACTIONS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (InvokeMethod, RunProgram, RowTransaction)
}
_FIELDS = {
    kind.__name__: {one.name for one in fields(kind)}
    for kind in (
        *(Wql, Registry, RunReader, WinRMConfig, GuestWql, GuestRegistry, GuestRunReader),
        *(InvokeMethod, RunProgram, RowTransaction),
    )
}
_ERRORS: dict[str, type[TargetError]] = {
    kind.__name__: kind
    for kind in (
        *(TargetError, ConnectionFailed, NotListening, NoTls, AuthenticationFailed, LoginNotChecked, TargetTimeout),
        *(NotAsked, NotAskedInTime, ProgramFailed),
        *(TargetFault, NotFound, PolicyViolation, MalformedResponse, IncompleteResponse, NotHttp, HeadTooLong),
        *(QuotaExceeded, OutcomeUnknown, Withheld, NotBegun),
    )
}
_LONGEST = 4_000  # characters of a sentence of an error
_MOST_SECONDS = 86_400
_MOST_NAME = 255  # characters of who answered: of a host, with its domain, as DNS has them
_MOST_HEAD = 2**17  # characters of what a part says of itself: of thousands of answers it takes a quarter of that


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question or an action was answered with: `client.QueryResult` without what only one process knows."""

    rows: Rows
    raw: str
    by: str
    asked: datetime | None = None
    answered: datetime | None = None


def dumps(told: Any) -> str:
    """The JSON of a body."""
    return json.dumps(told, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def loads(body: str) -> Mapping[str, Any]:
    """A body. Raises ValueError for anything but an object within the limits."""
    told = parse_json(body, is_strict=True)
    if not isinstance(told, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of the text, not of our value
    return told


def join_part(told: Mapping[str, Any], numbers: Sequence[int], texts: Sequence[str]) -> str:
    """A part of a reply: what it is, and behind that line the answers."""
    return "".join((dumps({**told, "numbers": list(numbers), "lengths": list(map(len, texts))}), "\n", *texts))


def split_part(body: str) -> tuple[Mapping[str, Any], list[tuple[int, str]]]:
    """What a part of a reply is, and the answers with their numbers. Raises ValueError."""
    end = body.find("\n")
    if not 0 <= end <= _MOST_HEAD:
        raise ValueError("it does not say what it is")
    told = loads(body[:end])
    numbers, lengths = get_list(told, "numbers"), get_list(told, "lengths")
    if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in (*numbers, *lengths)):
        raise ValueError("its answers have no numbers")
    if len(numbers) != len(lengths) or end + 1 + sum(lengths) != len(body):
        raise ValueError("its answers are not as long as it says")
    if len(set(numbers)) < len(numbers):
        raise ValueError("it has two answers to one question")
    ends = list(accumulate(lengths, initial=end + 1))
    return told, [(number, body[at:to]) for number, at, to in zip(numbers, ends, ends[1:], strict=False)]


def encode(one: Query | Action) -> dict[str, Any]:
    """A query or an action, with the name of its kind."""
    name = type(one).__name__
    if name not in _FIELDS:
        raise TypeError(f"no site is asked for {name}")
    return {"is": name, **(_QUERIES.get(name) or _ACTIONS[name]).dump_python(one)}


def decode_query(told: Any) -> Query:
    """Raises ValueError."""
    found: Query = _decode(told, _QUERIES)
    return found


def decode_action(told: Any) -> InvokeMethod | RunProgram | RowTransaction:
    """Raises ValueError."""
    found: InvokeMethod | RunProgram | RowTransaction = _decode(told, _ACTIONS)
    return found


def _decode(told: Any, known: Mapping[str, TypeAdapter[Any]]) -> Any:
    if not isinstance(told, dict) or not isinstance(told.get("is"), str) or told["is"] not in known:
        raise ValueError("it is nothing that can be asked or done")
    name = told["is"]
    if told.keys() - {"is"} != _FIELDS[name]:
        raise ValueError(f"{name} has other fields")
    try:
        return known[name].validate_python({key: value for key, value in told.items() if key != "is"})
    except ValidationError as error:
        raise ValueError(f"{name} cannot be read: {error.error_count()} values are none of its own") from None


def fingerprint(action: Action) -> str:
    """What an action is recognized by: SHA-256 of its JSON, its parts sorted."""
    return hashlib.sha256(json.dumps(encode(action), sort_keys=True).encode()).hexdigest()


def encode_answer(answer: Answer, offset: timedelta = timedelta(0), doubt: timedelta = timedelta(0)) -> str:
    """An answer, its times by the database's clock: `offset` ahead of ours, give or take `doubt`, which widens them."""
    told: dict[str, Any] = {"by": answer.by}
    if answer.asked is not None and answer.answered is not None:
        told["asked"] = (answer.asked + offset - doubt).isoformat()
        told["answered"] = (answer.answered + offset + doubt).isoformat()
    if is_long(answer.rows, answer.raw):
        return to_lines(told, answer.rows, answer.raw, dumps)
    return dumps({"rows": _encode_rows(answer.rows), "raw": answer.raw, **told})


def encode_error(error: TargetError, mask: Callable[[str], str] = str, *, begun: bool = False) -> str:
    """An error, as a person reads it there, without what `mask` takes out. `begun`: of an action that whoever says it began."""
    kind = next(name for cls in type(error).__mro__ if (name := cls.__name__) in _ERRORS)
    says, do = mask(error.message), mask(error.hint)
    told: dict[str, Any] = {"error": kind, "on": error.target, "says": clip(says, _LONGEST), "do": clip(do, _LONGEST)}
    if isinstance(error, TargetFault) and mask(str(error.code)) == str(error.code):
        told["code"] = error.code
    if error.is_refusal is not type(error).is_refusal:
        told["refusal"] = error.is_refusal
    if error.is_unsent is not type(error).is_unsent:
        told["unsent"] = error.is_unsent
    return dumps(told | ({"begun": True} if begun else {}))


def is_of_who_began(text: str) -> bool:
    """Whether an error is told by the worker that began the action, and not by another one that was shown it, too."""
    return len(text) <= MOST_LINE and "\n" not in text and loads(text).get("begun") is True


def decode_answer(text: str, offset: timedelta = timedelta(0), doubt: timedelta = timedelta(0)) -> Answer | TargetError:
    """What a worker says: an answer with its times by our clock, or an error. Raises ValueError for anything else."""
    if "\n" in text:
        told, rows, raw = from_lines(text)
    elif len(text) > MOST_LINE:
        raise ValueError("it is too long for one line")
    else:
        told = loads(text)
        if "error" in told:
            return _decode_error(told)
        rows, raw = _decode_rows(told.get("rows")), get_text(told, "raw")
    by = get_text(told, "by")
    if not 0 < len(by) <= _MOST_NAME:
        raise ValueError("it does not say who answered")
    asked, answered = _time(told.get("asked")), _time(told.get("answered"))
    if asked is None or answered is None:
        if asked is not answered:
            raise ValueError("it has one time of two")
        return Answer(rows, raw, by)
    if asked > answered:
        raise ValueError("it was answered before it was asked")
    return Answer(rows, raw, by, asked - offset - doubt, answered - offset + doubt)


def _decode_error(told: Mapping[str, Any]) -> TargetError:
    kind = _ERRORS.get(get_text(told, "error"))
    if kind is None:
        raise ValueError("it is no error that is known")
    on, says, do = (clip(get_text(told, name), _LONGEST) for name in ("on", "says", "do"))
    if issubclass(kind, TargetFault):
        code = plain(told.get("code"))
        if isinstance(code, (bool, str)):
            raise ValueError("its code is no number")  # noqa: TRY004 - of the text, not of our value
        found: TargetError = kind(on, says, do, code)
    else:
        found = kind(on, says, do)
    found.is_refusal = told.get("refusal", found.is_refusal) is True
    found.is_unsent = found.is_refusal and told.get("unsent", found.is_unsent) is True
    return found


def _encode_rows(rows: Rows) -> Any:
    """Rows of the same columns as one list of cells: an answer of thousands of rows is a few containers."""
    if columns := columns_of(rows):
        return {"columns": columns, "cells": [cell for row in rows for cell in row.values()]}
    return [dict(row) for row in rows]


def _decode_rows(told: Any) -> Rows:
    if isinstance(told, list):
        if len(told) > MAX_ROWS:
            raise ValueError("it has too many rows")
        return tuple(_row(one) for one in told)
    if not isinstance(told, dict):
        raise ValueError("its rows are none")  # noqa: TRY004
    columns, cells = told.get("columns"), told.get("cells")
    if not isinstance(columns, list) or not columns or not isinstance(cells, list) or len(cells) % len(columns):
        raise ValueError("its rows have no columns")
    if len(cells) > MAX_ROWS * len(columns):  # a row takes many times what it does in the text
        raise ValueError("it has too many rows")
    names = [_named(one) for one in columns]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have one name")
    wide = len(names)
    return tuple(
        {name: _cell(cell) for name, cell in zip(names, cells[at : at + wide], strict=True)}
        for at in range(0, len(cells), wide)
    )


def _row(told: Any) -> Row:
    if not isinstance(told, dict):
        raise ValueError("a row is none")  # noqa: TRY004
    return {name: _cell(cell) for name, cell in told.items()}


def _cell(told: Any) -> Cell:
    if isinstance(told, list):
        return tuple(map(_cell, told))
    if isinstance(told, dict):
        return _row(told)
    return plain(told)


def _named(told: Any) -> str:
    if not isinstance(told, str):
        raise ValueError("a column has no name")  # noqa: TRY004
    return told


def _time(told: Any) -> datetime | None:
    if told is None:
        return None
    if not isinstance(told, str):
        raise ValueError("a time is none")  # noqa: TRY004
    at = datetime.fromisoformat(told)
    if at.tzinfo is None or not 1970 < at.year < 9000:  # noqa: PLR2004 - room for every offset
        raise ValueError("a time is none")
    return at.astimezone(UTC)


def read_time(told: Mapping[str, Any], name: str) -> datetime:
    """A time, UTC. Raises ValueError."""
    at = _time(told.get(name))
    if at is None:
        raise ValueError(f"{name} is missing")
    return at


def get_text(told: Mapping[str, Any], name: str) -> str:
    """A text; "" where there is none. Raises ValueError for anything else."""
    found = told.get(name, "")
    if not isinstance(found, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004
    return found


def get_seconds(told: Any) -> float:
    """A number of seconds that can be waited. Raises ValueError."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not 0 < told < _MOST_SECONDS:
        raise ValueError("it is no time to wait")
    return float(told)


def get_list(told: Mapping[str, Any], name: str) -> Sequence[Any]:
    """A list. Raises ValueError."""
    found = told.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name} is no list")  # noqa: TRY004
    return found


def texts_of(told: Iterable[Any]) -> tuple[str, ...]:
    """Texts. Raises ValueError for anything else."""
    return tuple(_named(one) for one in told)
